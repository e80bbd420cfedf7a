# SPDX-License-Identifier: GPL-2.0
"""A PV guest that has the driver, but no device, is saved and restored by Xen's own toolstack;
then it is given a device. All its pages have other frames by then: the device must not be
given an address from before. VT-d is the judge, for Xen tells of each DMA that it stops.
The memory is in pieces then, until the device was bounced for that and it is put together.
"""

import re
import shutil

import pytest

from bed import base, initrd, ktap, toolstack

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("resume")]

# Nothing is known of what is contiguous in a guest that was restored page by page.
MAY_SKIP = re.compile(r"xdt_map\.direct_")


@pytest.fixture(name="boot")
def boot_with_guest(build, kselftest, booted, tmp_path_factory):
    """The boot; more["results"] are the kselftest's in the guest."""
    def words():
        kernel, guest = build(kver="6.12"), tmp_path_factory.mktemp("resume") / "guest"
        guest.mkdir()
        shutil.copy(kernel.image, guest / "kernel")
        shutil.copy(kernel.out / "drivers/xen/xen-pciback/xen-pciback.ko", guest)
        settings = {"arch": "x86", "domain": "guest", "nonce": "0", "word": "guest", "stay": "y", "way": "console"}
        initrd.make(guest / "initrd", shutil.which("busybox"), settings, files=[f"{kselftest(kernel)}:/kselftest"],
                    script=base.TOP / "tests/resume-guest")
        return ["--kernel", kernel.image, "--timeout", "1200", "--mem", "6G", "--dom0-mem", "2560M",
                "--machine", "q35,kernel-irqchip=split",
                *(word for file in (*toolstack.files(), f"{guest}:/guest") for word in ("--file", file)),
                "--run", base.TOP / "tests/resume-dom0", "--append", "loglevel=4",
                "--xen-append", "sched=credit bootscrub=0 iommu=verbose dom0-iommu=strict", "--",
                "-device", "edu,dma_mask=0xffffffffffffffff,addr=4", "-device", "intel-iommu,intremap=on"]
    boot = booted("resume", words)
    boot.more.setdefault("results", ktap.results(boot.lines))
    return boot


def test_moved(boot):
    """All of the guest's aperture had other frames, and it is whole again; else the rest proves nothing."""
    said = "\n".join(boot.lines)
    places = dict(re.findall(r"^guest: (before|after) (.*)$", said, re.MULTILINE))
    assert boot.status == 0 and set(places) == {"before", "after"}, str(boot)
    assert len(places["before"].split()) == len(places["after"].split()) > 0, str(boot)
    assert re.findall(r"^guest: the domain has moved(.*)$", said, re.MULTILINE) == [
        ": 65536 KiB of the aperture are made anew"], str(boot)


def test_put_together(boot):
    """All memory is in pieces since it was restored. The kselftest has some copied; then it is put together, nothing
    is copied, and most of it was exchanged."""
    told = re.findall(r"^guest: of (\d+) pages (\d+) exchanged, at last (\d+) of (\d+) copied$", "\n".join(boot.lines),
                      re.MULTILINE)
    assert len(told) == 1, str(boot)
    pages, exchanged, copied, total = map(int, told[0])
    assert exchanged > pages / 2 and copied == 0 and total > 1000, f"{told}\n{boot}"
    assert "guest: memory sound" in boot.lines, str(boot)


def test_no_report(boot):
    """The guest's kernel complained of nothing."""
    assert not [line for line in boot.lines if line.startswith("guest: report ")], str(boot)


def test_device(boot, record_property):
    """The device reads and writes what it should."""
    results = boot.more["results"]
    bad = [f"{result.name}: {'skipped' if result.skipped else 'failed'}" for result in results
           if not result.ok or result.skipped and not MAY_SKIP.match(result.name)]
    record_property("results", [len(results) - len(bad), len(bad)])
    assert len(results) >= 16 and not bad, "\n".join([*bad, str(boot)])


def test_no_fault(boot):
    """The IOMMU watched, and stopped nothing."""
    console = "\n".join(boot.console())
    assert "(XEN) Intel VT-d Interrupt Remapping enabled" in console, str(boot)
    assert not re.findall(r"^\(XEN\).*DMAR:.*fault.*$", console, re.MULTILINE), str(boot)
