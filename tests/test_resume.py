# SPDX-License-Identifier: GPL-2.0
"""A PV guest that has the driver, but no device, is saved and restored by Xen's own toolstack;
then it is given a device. All its pages have other frames by then: the device must not be
given an address from before. VT-d is the judge, for Xen tells of each DMA that it stops.
The guest has its memory put together then, and is saved once more while that goes on.
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
    places = dict(re.findall(r"^guest: (before|after|again) (.*)$", said, re.MULTILINE))
    assert boot.status == 0 and set(places) == {"before", "after", "again"}, str(boot)
    assert {len(place.split()) for place in places.values()} == {len(places["before"].split())} != {0}, str(boot)
    assert re.findall(r"^guest: the domain has moved(.*)$", said, re.MULTILINE) == 2 * [
        ": 65536 KiB of the aperture are made anew"], str(boot)


def test_put_together(boot):
    """What is in pieces since it was restored is put together, also when that was going on while it was saved."""
    said = "\n".join(boot.lines)
    told = {word: [int(number) for number in found[0].split()] if found else None for word, found in (
        (word, re.findall(rf"^guest: {word} ([0-9 ]+)$", said, re.MULTILINE))
        for word in ("copied at first", "state working exchanged", "copied", "exchanged at last"))}
    assert None not in told.values() and "nobody begins" not in said, f"{told}\n{boot}"
    assert told["copied at first"][0] > 0 and told["copied"][0] > 0 == told["copied"][1], f"{told}\n{boot}"
    # The domain was saved a few seconds after that had begun, and then there was more to do.
    assert 0 < told["state working exchanged"][0] < told["exchanged at last"][0], f"{told}\n{boot}"


def test_device(boot, record_property):
    """The device reads and writes what it should."""
    results = boot.more["results"]
    bad = [f"{result.name}: {'skipped' if result.skipped else 'failed'}" for result in results
           if not result.ok or result.skipped and not MAY_SKIP.match(result.name)]
    record_property("results", [len(results) - len(bad), len(bad)])
    assert len(results) >= 32 and not bad, "\n".join([*bad, str(boot)])


def test_no_fault(boot):
    """The IOMMU watched, and stopped nothing."""
    console = "\n".join(boot.console())
    assert "(XEN) Intel VT-d Interrupt Remapping enabled" in console, str(boot)
    assert not re.findall(r"^\(XEN\).*DMAR:.*fault.*$", console, re.MULTILINE), str(boot)
