# SPDX-License-Identifier: GPL-2.0
"""The kselftest in every bed of tests/beds.py: dom0 on x86, dom0 and driver domains on ARM,
with our driver, and with stock's, which must fail exactly where its defects are listed.

An item is a script in a bed, or "console": what the boot itself came to, what the kernel
reported, and on stock whether all that is listed did run. Of one bed and kernel only the
scripts that are selected are booted, all in one boot:

    /usr/bin/python3 -m pytest tests/test_kselftest.py -k 'arm64-domu-1 and 6.12 and arm_map'
"""

import hashlib
import os
import re

import pytest

import beds
from bed import base, hypervisor, ktap, smmu

SELFTEST = base.TOP / "tools/testing/selftests/xen-dma"

# What a kernel's watchers say; a script's own messages in the log begin with "#".
REPORT = re.compile(r"\[ *[0-9]+\.[0-9]{6}\](?:\[ *[TC][0-9]+\])? (?:WARNING: |BUG[: ]|UBSAN: |ODEBUG: |Oops|"
                    r"pagealloc: |INFO: (?:possible|trying|suspicious|rcu|task)|kmemleak: (?:[0-9]+ new|.*disabled)|"
                    r"(?:\S+ [0-9a-f:.]+: )?DMA-API: (?!preallocated|debugging enabled)|.*invalid wait context)")

# Before and after the scripts, where the kernel has watchers that must be asked. KCSAN leaves out
# a race of the kernel's own timers: a sleeper looks whether its timer has run. A leak is one
# only when a second scan, some seconds later, still finds nobody who knows of the memory.
WATCHERS = """[ ! -e /sys/kernel/debug/dma-api/all_errors ] || echo 1 >/sys/kernel/debug/dma-api/all_errors
[ ! -e /sys/kernel/debug/kcsan ] || echo '!hrtimer_wakeup' >/sys/kernel/debug/kcsan"""
LEAKS = """leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
	echo scan >$leaks; sleep 6; echo scan >$leaks; echo scan >$leaks
	sed 's/^/# /' $leaks >/dev/kmsg
fi"""


def items():
    """One for each script of each bed and kernel, and one for the boot itself."""
    for bed in beds.BEDS:
        for kernel in bed.kernels.split():
            marks = [pytest.mark.xdist_group(f"{bed}-{kernel}")]
            if kernel not in bed.main.split():
                marks.append(pytest.mark.full)
            for word in (*(f"{name}.sh" for name in bed.scripts.split()), "console"):
                yield pytest.param(bed, kernel, word, id=f"{bed}-{kernel}-{word}", marks=marks)


def words_of(request, bed, kernel):
    """The scripts, and perhaps "console", that are selected of a bed and kernel."""
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    return [params["word"] for params in chosen if params.get("bed") is bed and params["kernel"] == kernel]


@pytest.fixture(scope="session", name="run_bed")
def bed_runner(build, kselftest, booted, tmp_path_factory):
    """run_bed(bed, kernel, scripts): boots it once; the boot, whose more["results"] are ktap.results()."""
    def words(bed, version, scripts):
        kver, _, flavour = version.partition("-")
        stock = flavour == "stock"
        kernel = build(arch=bed.arch, kver=kver, stock=stock, flavour="test" if stock else flavour or "test")
        place = tmp_path_factory.mktemp(str(bed))
        slow = 3 if flavour and not stock else 1
        devices, environment = list(beds.DEVICES), [f"export {bed.environment}"] if bed.environment else []
        sums = []
        for name, size, drive, device in bed.disks:
            (place / name).write_bytes(os.urandom(size << 20))
            sums.append(f"{name}:{hashlib.sha256((place / name).read_bytes()).hexdigest()}")
            devices += ["-drive", f"if=none,id={name},format=raw,file={place / name}{drive}",
                        "-device", f"{device},drive={name}"]
        environment += [f"export KSELFTEST_{name.upper()}_SH_ARGS='{' '.join(sums)}'"
                        for name in bed.scripts.split() if name.startswith("disk_")]
        # Through a pipe: the runner opens /dev/stdout anew, which would cut a file short.
        runner = ["./run_kselftest.sh", *(["-o 1500"] if slow > 1 else []), *(f"-t xen-dma:{name}" for name in scripts)]
        lines = [*environment, "cd /kselftest || exit 2", WATCHERS, f"{' '.join(runner)} 2>&1 | cat", LEAKS, ""]
        (place / "script").write_text("\n".join(lines))
        more = list(beds.FLAVOUR_BOOT.get(flavour, ()))
        for option, text in ("--dts", bed.dts), ("--beside", bed.beside):
            if text:
                (place / option[2:]).write_text(text)
                more += [option, place / option[2:]]
        if bed.hypervisor:
            more += ["--xen", hypervisor.build(variant=bed.hypervisor)]
        return ["--arch", bed.arch, "--kernel", kernel.image, "--timeout", bed.timeout * slow,
                "--file", f"{kselftest(kernel)}:/kselftest", "--run", place / "script", *bed.boot, *more, "--",
                *devices]

    def run_bed(bed, kernel, scripts):
        boot = booted((bed, kernel, *scripts), lambda: words(bed, kernel, scripts))
        if "results" not in boot.more:
            boot.more["results"] = ktap.results(boot.lines)
            if bed.is_judged:
                boot.more["results"] += smmu.results(boot.console(), boot.lines)
        return boot
    return run_bed


def listed(bed, kernel):
    """What must fail there: a line is a test's name, on ARM behind its bed's; perhaps kernel versions."""
    if not kernel.endswith("-stock"):
        return set()
    text = (SELFTEST / ("arm-stock-failures" if bed.name else "stock-failures")).read_text()
    rows = re.findall(r"^(?:([^:#\s]+): )?([^:#\s]+)[ \t]*(?:\[(.*)\])?", text, re.MULTILINE)
    return {name for of, name, versions in rows if of == bed.name and (not versions or kernel[:-6] in versions.split())}


def judge(results, impossible, stock, must_fail):
    """What is wrong with a script's results: (a result, or None, and why) each."""
    for result in results:
        if result.name in impossible:
            if not result.skipped:
                yield result, "is not possible here, yet it was not skipped"
        elif result.skipped:
            yield result, "was skipped"
        elif not result.ok and result.name not in must_fail:
            yield result, "fails without being listed" if stock else "failed"
        elif result.ok and result.name in must_fail:
            yield result, "passes on stock, so the test proves nothing"
    suites = {result.name.partition(".")[0] for result in results}
    for name in sorted(impossible - {result.name for result in results}):
        if name.partition(".")[0] in suites:
            yield None, f"{name}: is not possible here, yet it was not skipped"


def console(boot, scripts, bed, stock, must_fail):
    """What is wrong with the boot."""
    if stock:
        seen = {result.name for result in boot.more["results"]}
        suites = {name.partition(".")[0] for name in seen}
        everything = len(scripts) == len(bed.scripts.split())
        for name in sorted(must_fail - seen):
            if everything or name.partition(".")[0] in suites:
                yield f"{name}: is listed for stock, but did not run"
    else:
        yield from [line for line in boot.console() if REPORT.search(line)][:20]


def told(result, why):
    """A failed result, with what was said of it."""
    if not result:
        return why
    return "\n".join([f"not ok: {result.name}: {why}", *(f"    {line}" for line in result.diagnostics[-30:])])


@pytest.mark.parametrize("bed, kernel, word", items())
def test_kselftest(bed, kernel, word, request, run_bed, record_property):
    """A script's results, or the boot's."""
    words = words_of(request, bed, kernel)
    scripts = [name for name in words if name != "console"] or [f"{name}.sh" for name in bed.scripts.split()]
    boot = run_bed(bed, kernel, scripts)
    stock, must_fail = kernel.endswith("-stock"), listed(bed, kernel)
    results = [result for result in boot.more["results"] if result.group == word]
    bad = list(judge(results, set(bed.impossible.split()), stock, must_fail))
    if word == "console":
        wrong = [*console(boot, scripts, bed, stock, must_fail), *(told(*each) for each in bad)]
        record_property("results", [len(results) - len(bad) + (0 if wrong or boot.status else 1),
                                    len(wrong) + (boot.status != 0)])
    else:
        bad = bad or ([] if results else [(None, f"{word} did not run")])
        record_property("results", [len(results) - sum(1 for result, _ in bad if result), len(bad)])
        wrong = [told(*each) for each in bad]
    assert not wrong, "\n".join(["", *wrong, str(boot)])
    # The last one that is selected tells of the boot's end.
    assert word != words[-1] or boot.status == 0, str(boot)
