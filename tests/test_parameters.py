# SPDX-License-Identifier: GPL-2.0
"""Boots dom0 with parameters that are wrong and with too little low memory: it comes up each
time, with the aperture that could be had, and says so in one line.

To add a case, add a row to CASES: scripts/boot's options, and how many lines of the driver
match what. Each case also boots, and reads its disk.
"""

import hashlib
import os
import re

import pytest

# The driver's lines, its counters, and what dom0 has left.
SCRIPT = """\
dmesg | sed -n 's/^.*xen-dma: /log: /p'
sed 's/^/aperture: /' /sys/kernel/debug/xen-dma/aperture
grep MemTotal /proc/meminfo
sed 's/^/domain: /' /sys/devices/system/xen_memory/xen_memory0/info/current_kb
head -c 1048576 /dev/nvme0n1 | sha256sum | sed 's/^/disk: /'
"""

IN_CHUNKS = r" in [0-9]+ chunks, largest [0-9.]+ [KMG]iB, highest bus address 0x[0-9a-f]+"
READY = "aperture [0-9.]+ [KMG]iB" + IN_CHUNKS

CASES = {
    "default": ((), {r"aperture 64\.0 MiB" + IN_CHUNKS: 1, "": 1}),
    "swiotlb=abc": (("--append", "swiotlb=abc"), {"swiotlb=abc: ignored from 'abc' on": 1, r"aperture 64\.0 MiB": 1}),
    "swiotlb=16384,force": (("--append", "swiotlb=16384,force"), {r"aperture 32\.0 MiB": 1}),
    "swiotlb=noforce": (("--append", "swiotlb=noforce"), {"aperture": 0}),
    "xen_dma.size=32M": (("--append", "xen_dma.size=32M"), {r"aperture 32\.0 MiB": 1}),
    "nonsense": (
        ("--append", "xen_dma.size=64X xen_dma.max=lots xen_dma.idle=-1 xen_dma.coherent_cache=much "
         "xen_dma.coherent_pooled=all xen_dma.defrag=10"),
        {r"xen_dma\.size=64X: ignored, it takes a size": 1, r"xen_dma\.max=lots: ignored, it takes a size": 1,
         r"xen_dma\.coherent_cache=much: ignored, it takes a size": 1,
         r"xen_dma\.coherent_pooled=all: ignored, it takes a size": 1,
         r"xen_dma\.defrag=10: ignored, it takes off, auto, or an order from 1 to 9": 1,
         r"xen_dma\.idle=-1: ignored, it takes seconds": 1, r"aperture 64\.0 MiB": 1}),
    # 8 GiB of aperture in a domain of 512 MiB.
    "larger-than-memory": (("--dom0-mem", "512M", "--append", "swiotlb=4194304"),
                           {r"the domain has no memory for an aperture of 8\.0": 1, READY: 1}),
    # dom0 takes nearly all of 3 GiB, and wants 1 GiB of aperture from what is left.
    "no-low-memory": (
        ("--mem", "3G", "--dom0-mem", "2900M", "--append", "swiotlb=524288"),
        {r"Xen has no more memory below 4 GiB for the aperture of 1\.00 GiB; leave it some with dom0_mem=": 1,
         READY: 1}),
}

GROUPS = {name: pytest.mark.xdist_group(f"parameters-{name}") for name in CASES}


@pytest.fixture(name="boot")
def boot_case(case, build, booted, tmp_path_factory):
    """The boot of a case; its disk's sum is in more["disk"]."""
    def words():
        place = tmp_path_factory.mktemp("parameters")
        (place / "script").write_text(SCRIPT)
        (place / "disk").write_bytes(DISK)
        return ["--kernel", build().image, "--timeout", "900", "--run", place / "script", *CASES[case][0], "--",
                "-drive", f"if=none,id=disk,format=raw,file={place}/disk", "-device", "nvme,serial=1,drive=disk"]
    return booted(case, words)


DISK = os.urandom(1 << 20)


@pytest.mark.parametrize("case", [pytest.param(case, marks=GROUPS[case]) for case in CASES])
def test_boots(case, boot):
    """dom0 comes up and can read its disk."""
    assert boot.status == 0, str(boot)
    assert f"disk: {hashlib.sha256(DISK).hexdigest()}  -" in boot.lines, str(boot)


@pytest.mark.parametrize("case, pattern, count", [
    pytest.param(case, pattern, count, marks=GROUPS[case], id=f"{case}-{number}")
    for case, (_, lines) in CASES.items() for number, (pattern, count) in enumerate(lines.items())])
def test_says(case, pattern, count, boot):
    """That many lines of the driver match."""
    found = [line for line in boot.lines if re.match(f"log: {pattern}", line)]
    assert boot.status == 0 and len(found) == count, f"{found}{boot}"


@pytest.mark.parametrize("case", [pytest.param("no-low-memory", marks=GROUPS["no-low-memory"])])
def test_unused_is_returned(case, boot):
    """What of the 1 GiB is not aperture is the kernel's again: no more than the aperture and 256 MiB
    for the kernel itself are missing of what Xen gave the domain. (KiB)"""
    text = "\n".join(boot.lines)
    aperture = sum(2 * int(slots) for slots in re.findall(r"^aperture: 0x\S+ \S+ (\d+)", text, re.MULTILINE))
    domain, total = (int(re.search(f"^{word}: *([0-9]+)", text, re.MULTILINE)[1]) for word in ("domain", "MemTotal"))
    assert total < domain < total + aperture + (256 << 10), str(boot)
