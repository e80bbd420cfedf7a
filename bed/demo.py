# SPDX-License-Identifier: GPL-2.0
"""Show the driver at work: Xen and a dom0 whose memory lies above 4 GiB, with disks, a network
card and a device that reach no further than 4 GiB. Builds the kernel, boots it as dom0 and
prints a report.

The disks and the network's file are made here with ordinary tools, checked in dom0
(demo/dom0.sh), written there, and checked here again after the machine has ended.

Environment: KVER, KSRC and STOCK as for scripts/bed build. Exit status 0 when all of it is right.
"""

import hashlib
import os
import re
import shutil
import subprocess

from bed import base
from bed.base import TOP, Failure, cache, log_path
from bed.build import Kernel, build_modules

DISKS = ("ata_piix", "ahci", "nvme")
PART, SIZE = 1 << 20, 64 << 20      # where a disk's partition begins, and what it holds in all


def arguments(_parser):
    """There are none."""


def digest(data):
    """What tells that bytes are the same."""
    return hashlib.sha256(data).hexdigest()


def make_disk(run, work, name):
    """An image with a partition that has an ext4 file system of files, and their sums."""
    files, part, image = work / "files", work / f"{name}.part", work / f"{name}.img"
    shutil.rmtree(files, ignore_errors=True)
    (files / "directory").mkdir(parents=True)
    sums = []
    for size in (1, 4095, 4096, 65536, 1000003, 6000000):
        for path in (str(size), f"directory/{size}"):
            data = os.urandom(size)
            (files / path).write_bytes(data)
            sums.append(f"{digest(data)}  ./{path}\n")
    (files / "SHA256SUMS").write_text("".join(sums))
    part.unlink(missing_ok=True)
    run(["mke2fs", "-q", "-t", "ext4", "-L", name, "-d", files, part, "62M"])
    image.write_bytes(b"")
    os.truncate(image, SIZE)
    (work / "table").write_text(f"start={PART // 512}, type=83\n")
    with open(work / "table", "rb") as table:
        run(["sfdisk", "-q", "--label", "dos", image], stdin=table)
    run(["dd", f"if={part}", f"of={image}", "bs=1M", f"seek={PART >> 20}", "conv=notrunc,sparse", "status=none"])


def make_media(run, work):
    """The disks, and the file that goes over the network."""
    for name in DISKS:
        make_disk(run, work, name)
    shutil.rmtree(work / "tftp", ignore_errors=True)
    (work / "received").unlink(missing_ok=True)
    (work / "tftp").mkdir()
    data = os.urandom(3000000)
    (work / "tftp/net.bin").write_bytes(data)
    (work / "net.sum").write_text(digest(data) + "\n")


def boot(image, work, *words):
    """Boot a kernel, with more words for scripts/boot, and show the report as it comes; returns its lines that are
    for us, and the script's exit status."""
    command = [
        TOP / "scripts/boot", "--quiet", "--kernel", image, "--machine", "pc", "--mem", "6G", "--dom0-mem", "2G",
        "--file", f"{work}/module/xen_dma_demo.ko:/demo/xen_dma_demo.ko", "--file", f"{work}/net.sum:/demo/net.sum",
        "--run", TOP / "demo/dom0.sh", *words, "--",
        "-drive", f"if=ide,index=0,format=raw,file={work}/ata_piix.img",
        "-device", "ahci,id=ahci", "-drive", f"if=none,id=ahci0,format=raw,file={work}/ahci.img",
        "-device", "ide-hd,bus=ahci.0,drive=ahci0",
        "-drive", f"if=none,id=nvme0,format=raw,file={work}/nvme.img", "-device", "nvme,serial=demo,drive=nvme0",
        "-netdev", f"user,id=net0,restrict=on,tftp={work}/tftp,"
                   f"guestfwd=tcp:10.0.2.100:8000-cmd:dd of={work}/received bs=64k status=none",
        "-device", "e1000,netdev=net0", "-device", "edu,dma_mask=0xffffffff"]
    digests = {}
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, errors="replace") as process:
        for line in process.stdout:
            if found := re.match(r"digest (\S+) (\S+)", line):
                digests[found[1]] = found[2]
            else:
                print(line.rstrip("\r\n"), flush=True)
    return digests, process.returncode


def check_disk(work, name, expected):
    """Is what dom0 wrote on the disk, and the file system sound?"""
    part, log = work / f"{name}.part", log_path("demo-fsck")
    part.write_bytes((work / f"{name}.img").read_bytes()[PART:])
    with open(log, "wb") as file:
        if subprocess.run(["e2fsck", "-fn", part], stdout=file, stderr=file, check=False).returncode:
            raise Failure(f"{name}: the file system is damaged (log: {log})")
    written = work / "written"
    written.unlink(missing_ok=True)
    subprocess.run(["debugfs", "-R", f"dump /written {written}", part], stderr=subprocess.DEVNULL, check=False)
    if not written.exists() or digest(written.read_bytes()) != expected:
        raise Failure(f"{name}: the file that dom0 wrote is another one on the host")
    print(f"    {name}: the file that dom0 wrote has the same checksum here; file system sound")


def show(kernel, image, work, *words):
    """Make, boot, look: with an image, a kernel whose name and build directory fit it, and more words for
    scripts/boot."""
    base.need("make", "gcc", "fdisk", "e2fsprogs")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    with base.stage("make disks and files", log_path("demo-media")) as run:
        make_media(run, work)
    build_modules(kernel, TOP / "demo", work / "module")
    digests, status = boot(image, work, *words)
    if status:
        raise Failure(f"the demo failed in dom0 (status {status})")
    print("On the host, afterwards")
    for name in DISKS:
        check_disk(work, name, digests.get(name))
    received = work / "received"
    if not received.exists() or received.read_bytes() != (work / "tftp/net.bin").read_bytes():
        raise Failure("what dom0 sent over the network arrived otherwise")
    print("    network: what dom0 sent back is what was sent to it")
    print("All of it is right.")


def main(_args):
    """Show it with the kernel that is asked for."""
    kernel = Kernel.from_environment()
    kernel.build()
    work = cache() / "demo"
    base.make_dirs(work)
    with base.lock("demo"):
        show(kernel, kernel.image, work)
