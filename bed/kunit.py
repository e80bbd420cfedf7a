# SPDX-License-Identifier: GPL-2.0
"""Run the KUnit tests: the driver and a model of the machine in a User Mode Linux kernel,
which is a process like any other. No hypervisor and no emulator, so the tests have the
processor's full speed.

The kernel tree's own tools/testing/kunit reads the results. What counts as well: results
that should be there and are not, how the kernel ended, and the reports of KASAN,
lockdep and other watchers, which no result tells of.

Environment: FLAVOUR is the same as the option; KSRC, JOBS, V=1 as in scripts/bed build.

Exit status 0 when at least one test ran, all passed, and the kernel had nothing to
report. The kernel's whole output is kept in a log file, which a failure names.
"""

import importlib
import os
import re
import sys
from dataclasses import dataclass

from bed import base, build, known, uml

# Seconds, without --timeout.
TIMEOUTS = {"test": 600, "debug": 3000}

REPORT = re.compile(r"(?! *#).*(BUG: |WARNING: |INFO: (possible|trying|rcu|task|lockdep)|Kernel panic|kernel BUG at"
                    "|Oops|UBSAN: |KASAN: )")


@dataclass(frozen=True)
class Case:
    """A test that passed or not, or another thing that is wrong; and what was said of it."""

    suite: str
    name: str
    passed: bool
    said: tuple = ()

    def __str__(self):
        return f"{self.suite}: {self.name}"


def _said(test):
    """The messages of a test, and of those of its parameters that failed."""
    lines = [line for line in test.log if not re.match(r" *(# module: |# [\w-]+: pass:|# Totals: )", line)]
    for part in test.subtests:
        if not part.ok_status():
            lines += _said(part)
    return tuple(lines[:60])


def _suites(tree, lines):
    """What the tree's parser makes of a kernel's output."""
    path = str(tree / "tools" / "testing" / "kunit")
    if path not in sys.path:
        sys.path.insert(0, path)
    parser = importlib.import_module("kunit_parser")
    printer = importlib.import_module("kunit_printer").null_printer
    return parser.parse_run_tests(lines, printer).subtests


def judge(tree, log, wrong=None):
    """All cases that a log tells of. `wrong` is what uml.run() said."""
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "").splitlines()
    cases = []
    for suite in _suites(tree, lines):
        if not suite.name:
            cases.append(Case("the run", "a suite did not end", False, _said(suite)))
            continue
        found = [Case(suite.name, case.name or "a case has no result", case.status.name == "SUCCESS",
                      () if case.status.name == "SUCCESS" else _said(case)) for case in suite.subtests]
        if not suite.ok_status() and all(case.passed for case in found):
            found.append(Case(suite.name, "the suite failed", False, _said(suite)))
        cases += found
    if not cases:
        cases.append(Case("the run", "no test ran", False))
    suite = "the run"
    reports = []
    for line in lines:
        if line.startswith("    # Subtest: "):
            suite = line.split(": ", 1)[1]
        elif REPORT.match(line):
            reports.append(Case(suite, f"the kernel reports: {line.strip()}", False))
    cases += reports[:20]
    if wrong:
        cases.append(Case("the run", wrong, False))
    return cases


def run(kernel, log, pattern=None, timeout=None, args=()):
    """Run a built kernel's tests, or those of a pattern; returns the cases."""
    words = ["kunit_shutdown=poweroff", *([f"kunit.filter_glob={pattern}"] if pattern else []), *args]
    with base.stage(f"run the tests{f' {pattern}' if pattern else ''} ({kernel.flavour})", log):
        wrong = uml.run(kernel.image, log, timeout or TIMEOUTS[kernel.flavour], *words)
    return judge(kernel.tree, log, wrong)


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--flavour", default=os.environ.get("FLAVOUR") or "test", metavar="F",
                        help="test (the default), or debug: with KASAN, lockdep and others")
    parser.add_argument("--filter", metavar="GLOB", help="only these suites, or cases: GLOB or GLOB.GLOB")
    parser.add_argument("--arg", action="append", default=[], metavar="K[=V]",
                        help="more for the kernel's command line; may be repeated")
    parser.add_argument("--timeout", type=int, metavar="S", help="give up after S seconds (600; debug 3000)")


def main(args):
    """Build, run, and tell of each suite and of what failed; 0 when nothing did."""
    known.one_of("flavour", args.flavour, TIMEOUTS)
    if args.timeout is not None and args.timeout <= 0:
        raise base.Failure(f"--timeout wants a positive number, not '{args.timeout}'")
    kernel = build.Kernel("um", flavour=args.flavour, ksrc=os.environ.get("KSRC") or None)
    kernel.build()
    log = base.new_log("kunit")
    cases = run(kernel, log, args.filter, args.timeout, args.arg)
    for case in cases:
        if not case.passed:
            print(f"not ok: {case}", *(f"      {line}" for line in case.said), sep="\n")
    for suite in dict.fromkeys(case.suite for case in cases):
        passed = [case.passed for case in cases if case.suite == suite]
        print(f"{suite}: {sum(passed)} passed, {len(passed) - sum(passed)} failed")
    failed = sum(not case.passed for case in cases)
    print(f"{len(cases) - failed} passed, {failed} failed", flush=True)
    if failed:
        raise base.Failure(f"tests failed (log: {log})")
