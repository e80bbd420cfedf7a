# SPDX-License-Identifier: GPL-2.0
"""Run the tests, stage by stage: what a contributor needs, or with --all everything.

Kernels are built in one lane while tests that need none of them run in the other; a
stage begins when its kernels are there. Each stage is a run of pytest over tests/
(the table in tests/beds.py tells what is booted), which can be run alone as well:

    /usr/bin/python3 -m pytest tests -k 'x86 and map' -n 2

At the end stand a table of stages with their times, and "N passed, N failed", where each
result of a kselftest or of a unit test counts. A test that was skipped counts as failed,
for all that tests need is installed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from bed import base

PACKAGES = ("make", "gcc", "git", "python3-pytest", "python3-pytest-xdist", "python3-pytest-timeout", "python3-pexpect",
            "coccinelle", "qemu-system-x86", "qemu-system-arm", "busybox-static", "cpio", "device-tree-compiler",
            "fdisk", "e2fsprogs", "xfsprogs", "liburing-dev", "python3-matplotlib", "python3-docutils")


@dataclass(frozen=True)
class Stage:
    """Tests that run together: pytest's words for them, and the kernels that they boot."""

    name: str
    about: str
    select: tuple
    kernels: tuple = ()     # words for scripts/bed build
    more_kernels: tuple = ()    # the same, with --all
    asked: bool = False     # run only with --all, or when named
    named: bool = False     # run only when named: it takes hours

    def words(self, everything):
        """pytest's words for what is run of it."""
        files = [f"tests/{word}" if word.endswith(".py") else word for word in self.select]
        return [*([] if everything or self.asked or self.named else ["-m", "not full"]), *files]


X86, STOCK, UM = ("--kver", "6.12"), ("--kver", "6.12", "--stock"), ("--arch", "um")
NEW = ("--kver", "7.3")
ARM64 = ("--arch", "arm64", "--kver", "6.12")


def flavour(name, kernel=X86):
    """The words for that kernel in a flavour."""
    return (*kernel, "--flavour", name)


# In the order in which they run, so that each finds its kernels built.
STAGES = (
    Stage("graft", "what the graft does and refuses, and the patch series", ("test_graft.py", "test_series.py")),
    Stage("tools", "bad input to the tools, and their own unit tests",
          ("test_inputs.py", "test_build.py", "test_check.py", "test_ktap.py", "test_smmu.py", "test_bench.py",
           "test_mutants.py", "test_top.py"),
          more_kernels=(X86, UM, flavour("system"))),
    Stage("static", "the driver's shape, its documentation, checkpatch, kernel-doc, sparse, W=1, dt-schema, ShellCheck",
          ("test_static.py", "test_house.py", "test_documented.py")),
    Stage("kunit", "the unit tests under User Mode Linux", ("test_kunit.py",), (UM,), (flavour("debug", UM),)),
    Stage("parameters", "wrong boot parameters, too little memory", ("test_parameters.py",), (X86,)),
    Stage("demo", "make demo", ("test_demo.py",), (X86,)),
    Stage("x86", "the kselftest in a dom0, with ours and with stock", ("test_kselftest.py", "-k", "x86"),
          (X86, STOCK), (NEW, ("--kver", "6.1"), flavour("debug"), flavour("race"))),
    Stage("system", "the driver in a whole system: guests, driver domains, an IOMMU", ("test_system.py",),
          (flavour("system"),), (flavour("system", NEW), flavour("debug", NEW))),
    Stage("boot", "scripts/boot and its exit statuses", ("test_boot.py",), (X86, ARM64)),
    Stage("arm", "dom0 and driver domains of ARM", ("test_kselftest.py", "-k", "arm"), (ARM64,),
          ((*ARM64, "--stock"), ("--arch", "arm64", *NEW), ("--arch", "arm64", "--kver", "6.1"),
           ("--arch", "arm", "--kver", "6.12"),
           flavour("debug", ARM64), flavour("rt", ARM64))),
    Stage("largest", "the largest coherent allocations, beside stock's", ("test_largest.py",), (X86, STOCK),
          asked=True),
    Stage("resume", "a guest that was saved and restored gets a device", ("test_resume.py",), (X86,), asked=True),
    Stage("xl", "a domain with hardware that xl makes on ARM", ("test_xl_arm.py",), (ARM64,), asked=True),
    Stage("deb", "packages of kernels from Debian's configurations, unpacked and booted", ("test_deb.py",), named=True),
    Stage("trace", "the scripts for bpftrace and drgn, beside the kernel's own figures", ("test_trace.py",),
          (flavour("trace"),), asked=True),
    Stage("inert", "bare metal, PVH, HVM: the driver does nothing", ("test_inert.py",), (X86,), asked=True),
)

# What make hands on, and who calls make wants: the tests choose their own.
NOT_FOR_TESTS = ("ARCH", "KVER", "FLAVOUR", "STOCK", "KSRC", "XENSRC", "DIR", "CONFIG", "LSMOD", "BED_COMMAND",
                 "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--all", action="store_true", help="every version, flavour and kind of domain")
    parser.add_argument("stage", nargs="*", metavar="STAGE",
                        help="only these: " + "; ".join(f"{stage.name} ({stage.about})" for stage in STAGES))


class Builder(threading.Thread):
    """The lane that builds kernels, one after the other."""

    def __init__(self, kernels):
        super().__init__(daemon=True)
        self.built = {kernel: threading.Event() for kernel in kernels}
        self.failed = set()
        self.times = {}
        self.process = None
        self.busy = bool(kernels)

    def run(self):
        for kernel, built in self.built.items():
            start = time.monotonic()
            log = base.log_path("check-build-" + "-".join(word.strip("-") for word in kernel))
            with open(log, "wb") as file:
                self.process = subprocess.Popen([base.TOP / "scripts/bed", "build", *kernel], stdin=subprocess.DEVNULL,
                                                stdout=file, stderr=file, env=environment(), start_new_session=True)
                if self.process.wait():
                    self.failed.add(kernel)
                    base.tail(log)
            self.times[kernel] = time.monotonic() - start
            end = "FAILED after" if kernel in self.failed else "built in"
            print(f"    kernel {' '.join(kernel)}: {end} {base.span(self.times[kernel])} (log: {log})", flush=True)
            built.set()
        self.busy = False

    def stop(self):
        """End what is being built; its cache can be used again."""
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait()


def environment():
    """The environment of a test or build that chooses its own kernel."""
    env = {name: value for name, value in os.environ.items() if name not in NOT_FOR_TESTS}
    return dict(env, PYTHONPATH=str(base.TOP), PYTHONDONTWRITEBYTECODE="1")


def count(report):
    """(passed, failed) of a JUnit report: a case counts once, or as its results say."""
    passed = failed = 0
    for case in ElementTree.parse(report).iter("testcase"):
        bad = any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))
        results = case.find("properties/property[@name='results']")
        good, wrong = json.loads(results.get("value")) if results is not None else (not bad, bad)
        passed += int(good)
        failed += max(int(wrong), int(bad))
    return passed, failed


def run_stage(stage, everything, workers):
    """Run a stage's tests; returns (passed, failed)."""
    report = base.cache() / "check" / f"{stage.name}.xml"
    report.unlink(missing_ok=True)
    command = ["/usr/bin/python3", "-m", "pytest", "-q", "--no-header", f"--junitxml={report}", "-n", str(workers),
               *stage.words(everything)]
    status = base.communicate(command, cwd=base.TOP, env=environment())[0].returncode
    try:
        passed, failed = count(report)
    except (OSError, ElementTree.ParseError):
        passed, failed = 0, 1
    # 1: tests have failed, and are counted. More is a run that went wrong.
    return passed, failed or int(status != 0)


def main(args):
    """Run the chosen stages; 0 when nothing failed."""
    for name in args.stage:
        if name not in [stage.name for stage in STAGES]:
            raise base.Failure(f"unknown stage '{name}' (known: {' '.join(stage.name for stage in STAGES)})")
    base.need(*PACKAGES)
    base.make_dirs(base.cache() / "check")
    chosen = [stage for stage in STAGES if stage.name in args.stage or
              not args.stage and not stage.named and (args.all or not stage.asked)]
    needs = {stage.name: stage.kernels + (stage.more_kernels if args.all else ()) for stage in chosen}
    builder = Builder(list(dict.fromkeys(kernel for stage in chosen for kernel in needs[stage.name])))
    begun = time.monotonic()
    rows = []
    builder.start()
    try:
        for stage in chosen:
            for kernel in needs[stage.name]:
                builder.built[kernel].wait()
            missing = [kernel for kernel in needs[stage.name] if kernel in builder.failed]
            print(f"==> {stage.name}: {stage.about}", flush=True)
            start = time.monotonic()
            passed, failed = run_stage(stage, args.all, 1 if builder.busy else os.cpu_count())
            rows.append((stage.name, passed, failed + len(missing), time.monotonic() - start))
    finally:
        builder.stop()
    print(f"\n{'stage':<28}{'passed':>8}{'failed':>8}  time")
    for name, passed, failed, seconds in rows:
        print(f"{name:<28}{passed:>8}{failed:>8}  {base.span(seconds)}")
    for kernel, seconds in builder.times.items():
        print(f"{'build ' + ' '.join(kernel).replace('--', ''):<44}  {base.span(seconds)}, beside")
    print(f"{'all':<44}  {base.span(time.monotonic() - begun)}")
    passed = sum(row[1] for row in rows)
    failed = sum(row[2] for row in rows)
    print(f"{passed} passed, {failed} failed")
    sys.stdout.flush()
    return 1 if failed else 0
