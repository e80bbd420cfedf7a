# SPDX-License-Identifier: GPL-2.0
"""Bad input to the tools: each is refused with one clear line, and changes nothing.

What the graft refuses is in test_graft.py, what a boot refuses later in test_boot.py.
"""

import re
import subprocess

import pytest

from conftest import run

# A command, its environment (NAME=VALUE before it), the status it ends with, and what it says.
REFUSED = [
    ("scripts/bed build --kver 5.4", 1, r"unknown kernel version '5\.4' \(known: .*KSRC"),
    ("scripts/bed build --arch mips", 1, r"unknown architecture 'mips' \(known: "),
    ("scripts/bed build --flavour mint", 1, r"unknown flavour 'mint' \(known: test debug race system\)"),
    ("scripts/bed build --arch arm64 --flavour race", 1, r"unknown flavour 'race' \(known: test debug rt\)"),
    ("scripts/bed build --arch arm --flavour debug", 1, r"unknown flavour 'debug' \(known: test\)"),
    ("scripts/bed build --arch um --stock", 1, r"there is no --stock of it"),
    ("scripts/bed build --arch um --kver 6.12", 1, r"--arch um needs --kver 7\.3"),
    ("scripts/bed build --fast", 1, r"--fast"),
    ("scripts/bed build --kver", 1, r"--kver"),
    ("KVER=5.4 make -s kernel", 2, r"unknown kernel version '5\.4'"),
    ("make -s print-builddir FLAVOUR=mint", 2, r"unknown flavour 'mint'"),
    ("scripts/bed fetch --kver 5.4", 1, r"5\.4"),
    ("scripts/bed fetch --xen --xen-version 3.0", 1, r"unknown Xen version '3\.0' \(known: 4\.17 4\.20\)"),
    ("scripts/bed fetch --xen --xen-version 4.20 --arch arm", 1, r"no Xen 4\.20 for 32-bit ARM"),
    ("scripts/bed fetch --qemu 9", 1, r"unknown QEMU version '9' \(known: 10\)"),
    ("scripts/bed fetch --qemu 10 --arch um", 1, r"unknown architecture 'um'"),
    ("scripts/bed fetch --busybox --arch um", 1, r"unknown architecture 'um'"),
    ("KSRC=/nowhere scripts/bed build", 1, r"KSRC=/nowhere is no directory"),
    ("KSRC=tests scripts/bed build", 1, r"KSRC=tests is no kernel tree: it has no Makefile"),
    ("XENSRC=tests scripts/bed hypervisor", 1, r"XENSRC=tests is no source of Xen"),
    ("scripts/bed hypervisor --variant best", 1, r"unknown variant 'best' \(known: dma plain fence\)"),
    ("scripts/bed hypervisor --version 4.20 --variant fence", 1, r"no patch for the variant 'fence' of Xen 4\.20"),
    ("scripts/bed hypervisor --version 3.0", 1, r"unknown Xen version '3\.0'"),
    ("XDG_CACHE_HOME=/tmp/a\N{NO-BREAK SPACE}b scripts/bed build", 1, r"may hold neither blanks"),
    ("scripts/bed clean everything", 1, r"everything"),
    ("scripts/bed fly", 1, r"unknown command 'fly'"),
    ("scripts/bed check all", 1, r"unknown \w+ 'all'"),
    ("scripts/bed demo now", 1, r"now"),
    ("scripts/boot --fast", 120, r"--fast"),
    ("scripts/boot --run /nowhere", 120, r"there is no file"),
    ("scripts/boot --timeout soon", 120, r"--timeout wants"),
    ("scripts/boot --mem plenty", 120, r"--mem wants a size"),
    ("scripts/boot --kernel /nowhere", 120, r"there is no kernel"),
    ("scripts/boot --kernel README.md --xen /nowhere", 120, r"there is no hypervisor"),
    ("scripts/boot --icount --smp 2", 120, r"one processor only"),
    ("scripts/graft /nowhere", 1, r"/nowhere"),
]


@pytest.mark.parametrize("command, status, says", REFUSED, ids=[row[0].rpartition("/")[2] for row in REFUSED])
def test_refused(command, status, says):
    """It ends with that status and says just one line, on the standard error."""
    words = command.split(" ")
    values = dict(word.split("=", 1) for word in words if re.match("[A-Z_]+=", word) and word == words[0])
    process, output, error = run(words[len(values):], **values)
    # make adds a line of its own.
    lines = [line for line in error.splitlines() if not line.startswith("make: ")]
    assert process.returncode == status
    assert output == ""
    assert len(lines) == 1 and re.search(says, lines[0]), error


def sources(cache):
    """What is in a cache's directory of sources."""
    return list((cache / "xen-dma/src").glob("*"))


def test_no_network(tmp_path):
    """A proxy that nobody answers at is a machine without network; an empty cache has nothing to fall back to."""
    proxy = "http://127.0.0.1:9/"
    process, output, error = run(["scripts/bed", "fetch", "--kver", "6.12"], XDG_CACHE_HOME=str(tmp_path),
                                 http_proxy=proxy, https_proxy=proxy)
    assert process.returncode == 1
    assert "no network" in error.splitlines()[-1]
    assert output == "" and sources(tmp_path) == []


def test_disk_full(tmp_path):
    """A file system of a few MiB in place of the cache, which only root can mount, and only with the right to."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", tmp_path], check=True)
    try:
        process, output, error = run(["scripts/bed", "fetch", "--kver", "6.12"], XDG_CACHE_HOME=str(tmp_path))
        assert process.returncode == 1
        assert re.search("[Nn]o space left on", error.splitlines()[-1])
        assert output == "" and sources(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
