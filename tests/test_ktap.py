# SPDX-License-Identifier: GPL-2.0
"""How results are read, how a bed's are judged, and whether the table of beds is whole."""

import os

import pytest

import beds
import test_kselftest
from bed import base, ktap
from bed.ktap import Result

# run_kselftest.sh of Linux 6.12 in a dom0, from a real run, cut short.
SCRIPT = (base.TOP / "tests/ktap/kselftest.txt").read_text()

# KUnit's form, written by hand: a suite of which a case has parameters.
KUNIT = (base.TOP / "tests/ktap/kunit.txt").read_text()


def read(text):
    """Group, name and verdict of each result."""
    return [f"{result.group}: {result.name} {'+' if result.ok else '-'}{'s' if result.skipped else ''}"
            for result in ktap.results(text.splitlines(keepends=True))]


MAP = ["map.sh: xdt_map.bounce_to_device +", "map.sh: xdt_map.stale_from_device +"]
FIRST = ["boot_message.sh: boot_message.one_line +", "boot_message.sh: boot_message.size +"]


@pytest.mark.parametrize("text, expected", [
    (SCRIPT, [*FIRST, *MAP, "disk_read.sh: disk_read.sh +s"]),
    (SCRIPT.replace("\n", "\r\n"), [*FIRST, *MAP, "disk_read.sh: disk_read.sh +s"]),
    # A case that failed, and the script with it.
    (SCRIPT.replace("# ok 2 xdt_map", "# not ok 2 xdt_map").replace("ok 2 selftests: xen-dma: map.sh",
                                                                    "not ok 2 selftests: xen-dma: map.sh # exit=1"),
     [*FIRST, MAP[0], "map.sh: xdt_map.stale_from_device -", "disk_read.sh: disk_read.sh +s"]),
    # A script that failed though its results did not: a case without a result, a signal, a time-out.
    (SCRIPT.replace("ok 2 selftests: xen-dma: map.sh", "not ok 2 selftests: xen-dma: map.sh # exit=1"),
     [*FIRST, *MAP, "map.sh: map.sh ended: exit=1 -", "disk_read.sh: disk_read.sh +s"]),
    (SCRIPT.replace("# ok 2 xdt_map", "# not ok 2 xdt_map").replace(
        "ok 2 selftests: xen-dma: map.sh", "not ok 2 selftests: xen-dma: map.sh # TIMEOUT 300 seconds"),
     [*FIRST, MAP[0], "map.sh: xdt_map.stale_from_device -", "map.sh: map.sh ended: TIMEOUT 300 seconds -",
      "disk_read.sh: disk_read.sh +s"]),
    # The machine died in the middle of a script, or before its first result.
    (SCRIPT[:SCRIPT.index("# ok 2 xdt_map")], [*FIRST, MAP[0], "map.sh: map.sh did not end -"]),
    (SCRIPT[:SCRIPT.index("# ok 1 xdt_map")], [*FIRST, "map.sh: map.sh did not end -"]),
    (KUNIT, ["a: p +", "a: q -", "s: b +"]),
    ("", []),
], ids=["script", "carriage-returns", "failed", "no-result", "time-out", "died", "died-early", "kunit", "empty"])
def test_results(text, expected):
    """Each result is read once, with what it is a part of."""
    assert read(text) == expected


def test_diagnostics():
    """What is said before a result is told with it, and why one was skipped."""
    results = {result.name: result for result in ktap.results(SCRIPT.splitlines())}
    assert results["xdt_map.stale_from_device"].diagnostics == (
        "stale_from_device: Test should be marked slow (runtime: 3.156954423s)",)
    assert "1..0 # SKIP no disk" in results["disk_read.sh"].diagnostics
    assert ktap.results(["ok 3 x.y # SKIP no reason\n"]) == [Result("x.y", True, True, "no reason", group="x.y")]


PASSED, FAILED, SKIPPED = Result("s.a", True), Result("s.a", False), Result("s.a", True, True)


@pytest.mark.parametrize("result, impossible, stock, must_fail, why", [
    (PASSED, "", False, "", None),
    (FAILED, "", False, "", "failed"),
    (SKIPPED, "", False, "", "was skipped"),
    (SKIPPED, "s.a", False, "", None),
    (PASSED, "s.a", False, "", "is not possible here, yet it was not skipped"),
    (Result("s.b", True), "s.a", False, "", "s.a: is not possible here, yet it was not skipped"),
    (Result("t.b", True), "s.a", False, "", None),
    (FAILED, "", True, "s.a", None),
    (FAILED, "", True, "", "fails without being listed"),
    (PASSED, "", True, "s.a", "passes on stock, so the test proves nothing"),
    (PASSED, "", True, "", None),
    (SKIPPED, "", True, "s.a", "was skipped"),
    (SKIPPED, "s.a", True, "", None),
])
def test_judge(result, impossible, stock, must_fail, why):
    """What is wrong with a result."""
    found = list(test_kselftest.judge([result], set(impossible.split()), stock, set(must_fail.split())))
    assert [said for _, said in found] == ([why] if why else [])


@pytest.mark.parametrize("line, is_report", [
    ("[   12.345678] WARNING: CPU: 0 PID: 1 at kernel/dma/debug.c:1111 check_unmap+0x1/0x2", True),
    ("[   12.345678][    T1] BUG: sleeping function called from invalid context at x.c:1", True),
    ("(XEN) DOM1: [   12.345678] WARNING: possible circular locking dependency detected", True),
    ("[   12.345678] edu 0000:00:04.0: DMA-API: device driver frees DMA memory with wrong function", True),
    ("[   12.345678] UBSAN: array-index-out-of-bounds in x.c:1", True),
    ("[   12.345678] DMA-API: preallocated 65536 debug entries", False),
    ("[   12.345678]     # warn: EXPECTATION FAILED at WARNING: BUG: x", False),
    ("[   12.345678] BUG: KCSAN: data-race in a / b", True),
    ("[   12.345678] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", True),
])
def test_report(line, is_report):
    """What a kernel's watchers say is noticed, and nothing else."""
    assert bool(test_kselftest.REPORT.search(line)) == is_report


def test_every_script_has_a_bed():
    """A script that no bed names would never run. arm_offer.sh runs beside others, two in a whole system."""
    named = {f"{name}.sh" for bed in beds.BEDS for name in bed.scripts.split()} | {
        "arm_offer.sh", "iommu.sh", "stray.sh"}
    assert named == {path.name for path in test_kselftest.SELFTEST.glob("*.sh") if os.access(path, os.X_OK)}


def test_every_listed_failure_has_a_bed():
    """A line of a list that no bed reads would never be looked at."""
    read = sum(len(test_kselftest.listed(bed, kernel)) for bed in beds.BEDS for kernel in bed.kernels.split())
    lists = [(test_kselftest.SELFTEST / name).read_text() for name in ("stock-failures", "arm-stock-failures")]
    assert read == sum(not line.startswith("#") for text in lists for line in text.splitlines())
