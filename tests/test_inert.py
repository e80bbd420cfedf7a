# SPDX-License-Identifier: GPL-2.0
"""Boots the grafted kernel where the driver has no work: on a bare machine, in a PVH dom0
behind an IOMMU, in a PVH and in an HVM guest that Xen's own toolstack creates from a PV
dom0. In each the driver must have done nothing and left nothing, and the disks must work;
tests/inert-check looks, inside.

No processor feature is needed: QEMU emulates the hardware virtualisation that Xen needs
for all but PV. In the PV dom0 the same check must find the driver: that control is a test
too, so a check gone blind is noticed.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bed import base, initrd, toolstack

pytestmark = pytest.mark.full

CHECK = base.TOP / "tests/inert-check"
GRUB = Path("/usr/lib/grub/i386-pc")

# This processor has SVM and nested paging in QEMU. RDTSCP must go: QEMU names the
# wrong reason when a guest of Xen's is stopped at one, and Xen kills the guest.
SVM = "Opteron_G3,+svm,+npt,-rdtscp"


class Disk:
    """One image for all disks: each opens it with changes of its own. Its second half is what the check
    looks at; an HVM guest boots from the first."""

    def __init__(self, path):
        data = os.urandom(2 << 20)
        path.write_bytes(bytes(2 << 20) + data)
        self.path, self.sum = path, hashlib.sha256(data).hexdigest()

    def drives(self, **devices):
        """QEMU's arguments: an image behind each device that is named by its drive."""
        words = []
        for name, device in devices.items():
            words += ["-drive", f"if=none,id={name},format=raw,snapshot=on,file.locking=off,file={self.path}",
                      "-device", f"{device},drive={name}"]
        return words


def bare(_place, disk):
    """On "pc" memory begins at 4 GiB again; its IDE disk has 32 address bits. Later kernels must be told
    to keep the generic pool's figures."""
    return ["--bare", "--machine", "pc", "--mem", "5G", "--run", CHECK,
            "--append", f"inert=bare,3,{disk.sum} swiotlb=track_hiwater", "--", "-device", "ahci,id=ahci",
            *disk.drives(ide="ide-hd,bus=ide.0", sata="ide-hd,bus=ahci.0", nvme="nvme,serial=1")]


def pvh_dom0(_place, disk):
    """Page tables that the IOMMU shares with the processor fit Intel's alone; here the processor is AMD's."""
    return ["--cpu", SVM, "--machine", "q35,kernel-irqchip=off", "--mem", "1G", "--dom0-mem", "512M",
            "--xen-append", "dom0=pvh iommu=no-sharept", "--run", CHECK, "--append", f"inert=PVH,2,{disk.sum}",
            "--", "-device", "intel-iommu", *disk.drives(sata="ide-hd,bus=ide.0", nvme="nvme,serial=1")]


def guests(place, disk):
    """A PV dom0 with the toolstack, and what its guests boot from: an initial file system of busybox and the check;
    for HVM, GRUB at a disk's beginning, and what it loads in a disk that is an archive from its first byte on."""
    base.need("grub-pc-bin", "grub-common", "cpio", "busybox-static")
    inert = place / "inert"
    inert.mkdir()
    # No word of the kernel's may stand in the middle of one of the check's.
    (place / "script").write_text(f"dmesg -n 1\n{CHECK.read_text()}")
    settings = {"arch": "x86", "domain": "guest", "nonce": "0", "word": "guest", "stay": "", "way": "console"}
    initrd.make(inert / "initrd", shutil.which("busybox"), settings, script=place / "script")
    shutil.copy(place / "kernel", inert / "kernel")
    shutil.copy(CHECK, inert / "check")
    subprocess.run("printf '%s\n' kernel initrd | cpio --quiet -o -H newc >boot", shell=True, cwd=inert, check=True)
    os.truncate(inert / "boot", -(-(inert / "boot").stat().st_size // (1 << 20)) << 20)
    (place / "grub.cfg").write_text("set root=(hd1)\nlinux /kernel console=hvc0 panic=-1 "
                                    f"inert=HVM,1,{disk.sum}\ninitrd /initrd\nboot\n")
    subprocess.run(["grub-mkimage", "-d", GRUB, "-O", "i386-pc", "-c", place / "grub.cfg", "-p", "(hd1)/",
                    "-o", place / "core", "biosdisk", "newc", "linux"], check=True)
    # GRUB's boot sector looks for the rest right behind itself.
    loader = (GRUB / "boot.img").read_bytes() + (place / "core").read_bytes()
    assert len(loader) < 2 << 20
    (inert / "disk").write_bytes(loader + disk.path.read_bytes()[len(loader):])
    return ["--timeout", "1800", "--smp", "1", "--cpu", SVM, "--mem", "3G", "--dom0-mem", "1G",
            *(word for file in toolstack.files() for word in ("--file", file)), "--file", f"{inert}:/inert",
            "--run", base.TOP / "tests/inert-dom0", "--append", f"inert=PV,0,{disk.sum} inert.guests=pvh,hvm"]


@pytest.fixture(name="said")
def said_by_check(machine, part, build, booted, tmp_path_factory):
    """What the check said on a machine, or in a part of it, without its mark; and the boot."""
    def words():
        place = tmp_path_factory.mktemp("inert")
        (place / "kernel").symlink_to(build().image.resolve())
        return ["--kernel", place / "kernel", "--timeout", "900", *machine(place, Disk(place / "disk"))]
    boot = booted(machine.__name__, words)
    lines = "\n".join(boot.lines)
    if part:
        lines = lines.partition(f"inert: part {part}\n")[2].partition("inert: part ")[0]
    return re.findall("^inert: (.*)$", lines, re.MULTILINE), boot


def wrong(lines):
    """The findings that are wrong."""
    return [line for line in lines if line.startswith("wrong: ")]


@pytest.mark.parametrize("machine, part, kind", [
    pytest.param(machine, part, kind, id=name, marks=pytest.mark.xdist_group(f"inert-{machine.__name__}"))
    for name, machine, part, kind in (("bare", bare, "", "bare"), ("pvh-dom0", pvh_dom0, "", "PVH"),
                                      ("pvh", guests, "pvh", "PVH"), ("hvm", guests, "hvm", "HVM"))])
def test_inert(machine, part, kind, said):
    """The check ran on such a machine, and came to its end with nothing wrong: no driver, all disks right."""
    lines, boot = said
    assert any(re.match(f"Linux .* on {kind}, after", line) for line in lines), f"{machine.__name__} {part}{boot}"
    assert "end 0" in lines and not wrong(lines), "\n".join([*lines, str(boot)])


@pytest.mark.xdist_group("inert-guests")
@pytest.mark.parametrize("machine, part", [pytest.param(guests, "pv", id="pv")])
def test_control(machine, part, said):
    """In a PV dom0 the check comes to its end, and both signs of the driver are all that it finds wrong."""
    lines, boot = said
    found = wrong(lines)
    assert "end 1" in lines and len(found) == 2, "\n".join([machine.__name__, part, *lines, str(boot)])
    assert found[0].startswith("wrong: the kernel log: ") and found[1] == "wrong: debugfs has xen-dma"
