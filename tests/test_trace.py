# SPDX-License-Identifier: GPL-2.0
"""The scripts for bpftrace and drgn in a dom0: what they say is what the kernel has counted."""

import re
import shutil

import pytest

from bed import base, programs

SCRIPTS = base.TOP / "tools/xen-dma"
DRGN = ("drgn", "_drgn.*.so", "drgn-*.egg-info")
# The kernel has no BTF: bpftrace looks there for the types of C.
HEADERS = ("/usr/include/linux", "/usr/include/asm-generic", f"/usr/include/{programs.HERE}/asm")
# Of each of the ten rounds: eleven mappings of 104 KiB in all (xdt_fault.c).
MAPPINGS, BYTES = 110, 10 * 104 << 10

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("trace"), pytest.mark.timeout(3600)]


def root(kernel, place):
    """A root directory with the tools, the scripts and the kernel's symbols."""
    programs.install_python(place, *DRGN)
    programs.install(["/usr/bin/bpftrace"], place)
    shutil.copy2("/usr/bin/drgn", place / "usr/bin")
    for path in HEADERS:
        shutil.copytree(path, f"{place}{path}")
    shutil.copytree(SCRIPTS, place / "trace")
    shutil.copy2(kernel.out / "vmlinux", place / "trace")
    return place


@pytest.fixture(name="told")
def all_that_is_told(build, kselftest, booted, tmp_path_factory):
    """A function: the lines behind a name. It is called with the name alone."""
    def words():
        base.need(*programs.PYTHON, "bpftrace", "linux-libc-dev", "python3-drgn")
        kernel, place = build(kver="6.12", flavour="trace"), tmp_path_factory.mktemp("trace")
        files = [f"{path}:/{path.name}" for path in sorted(root(kernel, place).iterdir())]
        return ["--kernel", kernel.image, "--timeout", "1200", "--mem", "8G", "--dom0-mem", "3G", "--run",
                base.TOP / "tests/trace-dom0", "--append", "loglevel=4",
                *(word for file in (*files, f"{kselftest(kernel)}:/kselftest") for word in ("--file", file)),
                "--", "-device", "edu,dma_mask=0xffffffffffffffff"]
    boot = booted("trace", words)
    assert boot.status == 0, str(boot)
    lines = {}
    for line in boot.lines:
        name, colon, rest = line.partition(": ")
        if colon:
            lines.setdefault(name, []).append(rest)
    assert set(lines.get("mapped", [])) == {lines["mapped"][0]} and "failed" not in lines, str(boot)
    return lambda name: lines.get(name, [])


def figures(lines, device):
    """Slots that a device holds, and {reason: (mappings, bytes)}, of the file "devices"."""
    words = next((line.split() for line in lines if line.startswith(f"{device} ")), None)
    if words is None:
        return 0, {}
    return int(words[4]), {why: (int(mappings), int(size))
                           for why, mappings, size in zip(words[5::3], words[6::3], words[7::3])}


def test_counted(told):
    """The kernel counts what was mapped; else the rest proves nothing."""
    device = told("mapped")[0]
    before, after = (figures(told(name), device)[1].get("mask", (0, 0)) for name in ("before", "counted"))
    assert (after[0] - before[0], after[1] - before[1]) == (MAPPINGS, BYTES)


def test_bounce_latency(told):
    """Each mapping is in the histogram, and none is left open."""
    said, device = "\n".join(told("bounce-latency")), told("mapped")[0]
    histogram = re.search(rf"^@us\[{re.escape(device)}\]: *\n((?:[\[(].*\n?)+)", said, re.M)
    counts = [int(count) for count in re.findall(r"^[\[(][^|]*?[\])] +([0-9]+) \|", histogram[1], re.M)]
    assert sum(counts) == MAPPINGS, said
    assert f"@open[{device}]: 0" in said.splitlines() and "@start[" not in said, said


def test_bounces_by_stack(told):
    """All bytes are somebody's, with what has called."""
    said, device = "\n".join(told("bounces-by-stack")), told("mapped")[0]
    entries = re.findall(rf"^@bytes\[{re.escape(device)}, mask,(.*?)\]: ([0-9]+)$", said, re.M | re.S)
    assert sum(int(size) for _, size in entries) == BYTES, said
    assert all("map_page" in stack or "dma_map" in stack or "xen_" in stack for stack, _ in entries), said


def test_exchanges(told):
    """The exchange of order 11 is told, and in the histogram."""
    said = told("exchanges")
    exchange = re.compile(r"[0-9]+ +exchange +order 11, 32 bits: 1 done, result 0, [0-9]+ us$")
    assert list(filter(exchange.match, said)) and any(line.startswith("@us[11]:") for line in said), said


def test_holders(told):
    """What drgn reads in the kernel's memory is what the kernel says, for each device."""
    said = "\n".join(told("drgn"))
    found = {name: (int(slots), driver) for slots, _, driver, name in
             re.findall(r"^ *([0-9]+) +([0-9]+)  (\S+) (\S+)$", said, re.M)}
    held = {line.split()[0]: (int(line.split()[4]), line.split()[1]) for line in told("held")
            if not line.startswith("#") and line.split()[4] != "0"}
    assert told("mapped")[0] in held and found == held, said
