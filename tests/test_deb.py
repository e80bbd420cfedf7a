# SPDX-License-Identifier: GPL-2.0
"""make deb: packages from Debian's own configuration of each series, with the modules that the
demo's devices need, and the demo on what they hold.

What make deb refuses is in test_inputs.py.
"""

import lzma
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from bed import base, demo, known
from conftest import run

# Drivers of the demo's devices, its file system, and what that asks for when it is mounted, which
# the kernel can't load by itself in an initial file system without modprobe. The last has gone
# from newer series, where it is no module.
MODULES = ("nvme", "ahci", "ata_piix", "sd_mod", "e1000", "ext4", "crc32c_generic")
OPTIONAL = ("crc32c_generic",)

pytestmark = [pytest.mark.full, pytest.mark.parametrize("kver", [
    pytest.param(kver, marks=pytest.mark.xdist_group(f"deb-{kver}")) for kver in known.KERNELS])]


@pytest.fixture(name="packages")
def packages_once(once, kver):
    """A directory with debs/, and image/ and headers/, what the two packages hold."""
    def make(place):
        (place / "lsmod").write_text("Module                  Size  Used by\n" +
                                     "".join(f"{name} 16384 0\n" for name in MODULES))
        process, output, error = run(["scripts/bed", "deb", "--config", "debian", "--kver", kver,
                                      "--lsmod", place / "lsmod", "--output", place / "debs"])
        assert process.returncode == 0, error[-3000:]
        files = [Path(line) for line in output.splitlines()]
        assert files == sorted((place / "debs").iterdir())
        for kind in "image", "headers":
            file, = [file for file in files if file.name.startswith(f"linux-{kind}-{kver}.")]
            subprocess.run(["dpkg-deb", "-x", file, place / kind], check=True)
    return once(f"deb-{kver}", make)


def release(packages):
    """The kernel's version, as its image's name has it."""
    image, = (packages / "image/boot").glob("vmlinuz-*")
    return image.name.removeprefix("vmlinuz-")


def name_of(path):
    """A module's name."""
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def load_order(packages):
    """The files of MODULES and of all that they need, in the order in which they can be loaded, and unpacked."""
    place = packages / "image/lib/modules" / release(packages)
    subprocess.run(["/sbin/depmod", "-b", packages / "image", place.name], check=True)
    needs = dict(line.split(":") for line in (place / "modules.dep").read_text().splitlines())
    paths = {name_of(path): path for path in needs}
    builtin = {name_of(path) for path in (place / "modules.builtin").read_text().split()}
    order = []
    for name in MODULES:
        if name in paths:
            order += [*reversed(needs[paths[name]].split()), paths[name]]
        else:
            assert name in builtin or name in OPTIONAL, f"{name} is neither a module nor built in"
    for path in dict.fromkeys(order):
        file = place / path
        if file.suffix == ".xz":
            file.with_suffix("").write_bytes(lzma.decompress(file.read_bytes()))
            file = file.with_suffix("")
        yield file


def test_packages(packages, kver):
    """An image and headers, to be told from Debian's; with the driver, the modules asked for, and few others."""
    version = release(packages)
    assert version.startswith(kver + ".") and version.endswith("-xen-dma")
    names = [subprocess.run(["dpkg-deb", "-f", file, "Package", "Architecture"], check=True, stdout=subprocess.PIPE,
                            text=True).stdout for file in sorted((packages / "debs").iterdir())]
    assert names == [f"Package: linux-{kind}-{version}\nArchitecture: amd64\n" for kind in ("headers", "image")]
    config = (packages / f"image/boot/config-{version}").read_text().splitlines()
    assert {"CONFIG_SWIOTLB_XEN=y", "CONFIG_XEN_DMA_DEBUGFS=y", "CONFIG_XEN_PV_DOM0=y",
            'CONFIG_LOCALVERSION="-xen-dma"', "CONFIG_DEBUG_INFO_NONE=y"} <= set(config)
    assert " xen_pool_show_usage\n" in (packages / f"image/boot/System.map-{version}").read_text()
    modules = {name_of(path) for path in (packages / "image/lib/modules" / version).rglob("*.ko*")}
    assert {"nvme", "ahci", "xen_netback"} <= modules and len(modules) < 200


def test_boots(packages, kver, tmp_path, monkeypatch, capsys):
    """The demo on the packaged kernel and modules; its own module is built against the packaged headers."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    version = release(packages)
    headers = SimpleNamespace(name=f"deb-{kver}", builddir=packages / "headers/usr/src" / f"linux-headers-{version}")
    words = [word for file in load_order(packages) for word in ("--module", file)]
    demo.show(headers, packages / f"image/boot/vmlinuz-{version}", tmp_path, "--timeout", "900",
              "--file", f"{base.TOP}/demo/dom0.sh:/demo/dom0.sh", *words, "--run", base.TOP / "tests/deb-dom0")
    assert capsys.readouterr().out.endswith("All of it is right.\n")
