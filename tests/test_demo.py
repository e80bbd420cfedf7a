# SPDX-License-Identifier: GPL-2.0
"""make demo does what README.md shows."""

import os
import re

import pytest

from bed import base, demo
from conftest import run


def shape(report):
    """A report without its numbers, which differ from run to run, and without the order of disks."""
    lines = re.sub(r"0x[0-9a-f]+|\b[0-9.]+\b|\bsd[ab]1", "N", report).splitlines()
    return sorted(line.strip() for line in lines if line.strip())


def test_demo():
    """It ends with 0, and says what README.md shows, but for the numbers."""
    process, output, error = run(["scripts/bed", "demo"])
    assert process.returncode == 0 and output.endswith("All of it is right.\n"), f"{output}\n{error[-3000:]}"
    shown = re.search(r"^It prints:\n\n((?:    .*\n)+)", (base.TOP / "README.md").read_text(), re.MULTILINE)[1]
    assert shape(output) == shape(shown)


def test_damage_is_noticed(tmp_path, monkeypatch):
    """A disk whose file differs from what dom0 told, and one whose file system is damaged, are refused."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    with base.stage("make a disk", tmp_path / "log") as run:
        demo.make_disk(run, tmp_path, "nvme")
    with pytest.raises(base.Failure, match="nvme: the file that dom0 wrote is another one on the host"):
        demo.check_disk(tmp_path, "nvme", demo.digest(b"something"))
    image = tmp_path / "nvme.img"
    data = bytearray(image.read_bytes())
    data[demo.PART + 2048:demo.PART + 40960] = bytes(38912)
    image.write_bytes(data)
    with pytest.raises(base.Failure, match="nvme: the file system is damaged"):
        demo.check_disk(tmp_path, "nvme", "")
