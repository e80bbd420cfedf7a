# SPDX-License-Identifier: GPL-2.0
"""The KUnit tests under User Mode Linux, and how their output is judged.

Each suite is a test and a boot of its own. It passes when all its cases have passed and
the kernel had nothing to report.
"""

import re

import pytest

from bed import base, fetch, known, kunit

SUITES = sorted(name for source in (base.TOP / "drivers/xen/dma/tests").glob("*_kunit.c")
                for name in re.findall(r'struct kunit_suite \w+ = \{\s*\.name = "([^"]+)"', source.read_text()))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flavour", ["test", pytest.param("debug", marks=pytest.mark.full)])
@pytest.mark.parametrize("suite", SUITES)
def test_suite(suite, flavour, build, record_property):
    """All cases of a suite pass."""
    log = base.log_path(f"kunit-{flavour}-{suite}")
    cases = kunit.run(build(arch="um", flavour=flavour), log, suite)
    bad = [case for case in cases if not case.passed]
    record_property("results", [len(cases) - len(bad), len(bad)])
    assert not bad, "\n".join(["", *(line for case in bad for line in (str(case), *case.said)), f"log: {log}"])
    assert {case.suite for case in cases} == {suite}


def test_parameters(build):
    """A random test can be had again, and shorter."""
    log = base.log_path("kunit-parameters")
    words = ["xen_dma_tests.seed=7", "xen_dma_tests.scale=3"]
    assert kunit.run(build(arch="um"), log, "xen-aperture-place", args=words)
    assert "seed 7, scale 3 %" in log.read_text(errors="replace")


def ktap(*cases, plan=2, end="ok 1 s", suites=1, said=""):
    """What a kernel prints of a suite "s"."""
    return "\n".join(["Linux version", "KTAP version 1", f"1..{suites}", "    KTAP version 1", "    # Subtest: s",
                      "    # module: s", f"    1..{plan}", *(f"    {case}" for case in cases), said, end,
                      "reboot: System halted", ""])


@pytest.mark.parametrize("output, wrong, expected", [
    (ktap("ok 1 a", "ok 2 b"), None, ["+s: a", "+s: b"]),
    (ktap("ok 1 a", "# b: 1 is not 2", "not ok 2 b", end="not ok 1 s"), None, ["+s: a", "-s: b"]),
    (ktap("ok 1 a", "ok 2 b # SKIP no reason"), None, ["+s: a", "-s: b"]),
    (ktap("ok 1 a"), None, ["+s: a", "-s: a case has no result"]),
    (ktap("ok 1 a", "ok 2 b", end="not ok 1 s"), None, ["+s: a", "+s: b", "-s: the suite failed"]),
    (ktap("ok 1 a", "ok 2 b", end=""), None, ["+s: a", "+s: b", "-s: the suite failed"]),
    (ktap("ok 1 a", "ok 2 b", suites=2), None, ["+s: a", "+s: b", "-the run: a suite did not end"]),
    (ktap("ok 1 a", "ok 2 b", said="WARNING: CPU: 0 at f"), None,
     ["+s: a", "+s: b", "-s: the kernel reports: WARNING: CPU: 0 at f"]),
    (ktap("ok 1 a", "# WARNING: says the test", "ok 2 b"), None, ["+s: a", "+s: b"]),
    (ktap("ok 1 a", "ok 2 b"), "time-out after 9 s", ["+s: a", "+s: b", "-the run: time-out after 9 s"]),
    (ktap("KTAP version 1", "# Subtest: a", "    ok 1 p", "    not ok 2 q", "not ok 1 a", "ok 2 b", end="not ok 1 s"),
     None, ["-s: a", "+s: b"]),
    ("Kernel panic - not syncing: no root\n", None,
     ["-the run: no test ran", "-the run: the kernel reports: Kernel panic - not syncing: no root"]),
    ("", None, ["-the run: no test ran"]),
], ids=["passed", "failed", "skipped", "no-result", "suite-failed", "suite-without-result", "suite-missing", "report",
        "word-of-a-test", "time-out", "parameter-failed", "panic", "empty"])
def test_judge(output, wrong, expected, tmp_path):
    """What counts as passed and as failed."""
    log = tmp_path / "log"
    log.write_text(output)
    cases = kunit.judge(fetch.linux(known.UML_KERNEL), log, wrong)
    assert ["+" * case.passed + "-" * (not case.passed) + str(case) for case in cases] == expected


def test_judge_says_why(tmp_path):
    """What a case that failed has said is told."""
    log = tmp_path / "log"
    log.write_text(ktap("ok 1 a", "# b: 1 is not 2", "not ok 2 b", end="not ok 1 s"))
    cases = kunit.judge(fetch.linux(known.UML_KERNEL), log)
    assert [case.said for case in cases] == [(), ("    # b: 1 is not 2",)]
