# SPDX-License-Identifier: GPL-2.0
"""The scripts for bpftrace and drgn in a dom0, and that for drgn on a dump that Xen makes after dom0's kernel has
panicked: what they say is what the kernel has counted."""

import re
import shutil

import pytest

from bed import base, initrd, programs

SCRIPTS = base.TOP / "tools/xen-dma"
DRGN = ("drgn", "_drgn.*.so", "drgn-*.egg-info", "elftools")
PACKAGES = (*programs.PYTHON, "bpftrace", "linux-libc-dev", "python3-drgn", "python3-pyelftools", "kexec-tools")
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


def words(kernel, kselftest, script, files, *xen):
    """What scripts/boot is told."""
    return ["--kernel", kernel.image, "--timeout", "1200", "--mem", "8G", "--dom0-mem", "3G", "--append", "loglevel=4",
            *xen, "--run", base.TOP / "tests" / script,
            *(word for file in (*files, f"{kselftest(kernel)}:/kselftest") for word in ("--file", file)),
            "--", "-device", "edu,dma_mask=0xffffffffffffffff"]


def parts(place):
    """What is in a root directory, for scripts/boot."""
    return [f"{path}:/{path.name}" for path in sorted(place.iterdir())]


def by_name(boot):
    """A function: the lines behind a name. It is called with the name alone."""
    lines = {}
    for line in boot.lines:
        name, colon, rest = line.partition(": ")
        if colon:
            lines.setdefault(name, []).append(rest)
    return lambda name: lines.get(name, [])


@pytest.fixture(name="told")
def all_that_is_told(build, kselftest, booted, tmp_path_factory):
    """What was told in dom0."""
    def boot_it():
        base.need(*PACKAGES)
        kernel = build(kver="6.12", flavour="trace")
        return words(kernel, kselftest, "trace-dom0", parts(root(kernel, tmp_path_factory.mktemp("trace"))))
    boot = booted("trace", boot_it)
    told = by_name(boot)
    assert boot.status == 0 and set(told("mapped")) == {told("mapped")[0]} and not told("failed"), str(boot)
    return told


@pytest.fixture(name="dumped")
def all_that_was_dumped(build, kselftest, booted, tmp_path_factory):
    """What was told in dom0 before it panicked, and in the kernel that Xen booted then."""
    def boot_it():
        base.need(*PACKAGES)
        kernel, place = build(kver="6.12", flavour="trace"), tmp_path_factory.mktemp("crash")
        (place / "crash").mkdir()
        programs.install(["/usr/sbin/kexec"], place)
        shutil.copy(kernel.image, place / "crash/kernel")
        settings = {"arch": "x86", "domain": "dump", "nonce": "dump", "word": "dump", "stay": "", "way": "serial"}
        initrd.make(place / "crash/initrd", shutil.which("busybox"), settings, script=base.TOP / "tests/crash-dump",
                    files=parts(root(kernel, tmp_path_factory.mktemp("dump"))))
        return words(kernel, kselftest, "crash-dom0", parts(place), "--xen-append", "crashkernel=1G")
    boot = booted("crash", boot_it)
    assert boot.status == 121 and "Kernel panic - not syncing: sysrq triggered crash" in "\n".join(boot.console())
    return by_name(boot)


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


def holders(lines):
    """{device: (slots, driver)} as drgn has found."""
    return {name: (int(slots), driver) for slots, _, driver, name in
            re.findall(r"^ *([0-9]+) +([0-9]+)  (\S+) (\S+)$", "\n".join(lines), re.M)}


def held(lines):
    """The same as the kernel says."""
    return {line.split()[0]: (int(line.split()[4]), line.split()[1]) for line in lines
            if not line.startswith("#") and line.split()[4] != "0"}


def test_holders(told):
    """What drgn reads in the kernel's memory is what the kernel says, for each device."""
    assert told("mapped")[0] in held(told("held")) and holders(told("drgn")) == held(told("held")), told("drgn")


def test_dump(dumped):
    """So is what it finds in the memory of the machine, when the kernel has panicked."""
    assert held(dumped("held")) and holders(dumped("vmcore")) == held(dumped("held")), dumped("vmcore")


def test_no_dump(dumped):
    """What has no notes of Xen's is no such dump."""
    assert dumped("vmlinux") == ["holders: /trace/vmlinux is no dump of a machine with Xen, or of another kernel than "
                                 "these symbols"]
