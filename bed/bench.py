# SPDX-License-Identifier: GPL-2.0
"""What DMA costs with the driver: instructions in a dom0 beside the stock driver, and
time in a User Mode Linux kernel beside the generic allocator.

In dom0 a module on the public DMA API does the work (tests/bench), the same file for
every kernel; under User Mode Linux a unit test does. What they print are rows; the lists
in bed/figures.toml make the tables of them and tell what ours may cost at most. Prints
the tables and writes them, separated by tabs, to files in the cache. Exit status 0 when
every measurement ran and no bound is exceeded.
"""

import os
import re
import tomllib
from pathlib import Path

from bed import base, check, uml
from bed.build import Kernel, build_modules
from bed.known import KERNELS, one_of

FIGURES = tomllib.loads((base.TOP / "bed" / "figures.toml").read_text(encoding="utf-8"))
COLUMNS = ("figure", "memcpy", "overhead", "segments", "remark")
DEFAULT_KVERS = ("6.12", "7.3")
PACKAGES = ("make", "gcc", "qemu-system-x86", "busybox-static", "cpio")
EDU = ("-device", "edu,dma_mask=0xffffffffffffffff")


def arguments(parser):
    """What can be said on the command line."""
    known, default = " ".join(KERNELS), " and ".join(DEFAULT_KVERS)
    parser.add_argument("--kver", metavar="V", help=f"instructions on this kernel only ({known}; default: {default})")
    parser.add_argument("--only", choices=("icount", "uml"), help="the instructions only, or the time only")


def table_arguments(parser, files):
    """What can be said on the command line of what boots stock and ours, and writes these files."""
    parser.add_argument("--kver", metavar="V", default=os.environ.get("KVER") or next(iter(KERNELS)),
                        help=f"the kernel ({' '.join(KERNELS)}; %(default)s)")
    parser.add_argument("--output", metavar="DIR", type=Path, default=base.TOP / "Documentation" / "admin-guide",
                        help=f"where to write {files} (Documentation/admin-guide)")


def number(text):
    """Is it one?"""
    return bool(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text))


def read_rows(lines):
    """Rows by name, each a dictionary of columns, from lines "row TAB name TAB figure ..."."""
    parts = [line.rstrip("\r\n").split("\t") for line in lines]
    return {part[1]: dict(zip(COLUMNS, part[2:])) for part in parts if part[0] == "row" and len(part) > 1}


def look_up(rows, value):
    """What rows tell for "name:column" or "name:column/name:column"; "-" when nothing."""
    if "/" in value:
        above, below = (look_up(rows, part) for part in value.split("/"))
        return f"{float(above) / float(below):.2f}" if number(above) and number(below) and float(below) else "-"
    name, column = value.split(":")
    row = rows.get(name, {})
    said = row.get(column, "-")
    # What a row says in place of a number is why there is none.
    return said if number(said) else row.get("remark", "-")


def judge(figures, stock, ours):
    """(label, stock's, ours', bound, verdict) for each figure; a verdict is ok, over, missing or "-"."""
    lines = []
    for label, value, *bound in figures:
        theirs, own = look_up(stock, value), look_up(ours, value)
        if not bound:
            lines.append((label, theirs, own, "-", "-"))
            continue
        sign, limit = bound[0][:2], bound[0][2:]
        limit = limit if number(limit) else look_up(stock, limit)
        verdict = "missing"
        if number(own) and number(limit):
            fits = float(own) <= float(limit) if sign == "<=" else float(own) >= float(limit)
            verdict = "ok" if fits else "over"
        lines.append((label, theirs, own, sign + limit, verdict))
    return lines


def write_table(file, name, head, lines):
    """Show a table to people and keep it; returns whether all is within bounds."""
    print(f"{head}\n{'':<46} {name:>14} {'ours':>14} {'bound':>10}")
    for label, theirs, own, bound, verdict in lines:
        print(f"{label:<46} {theirs:>14} {own:>14} {bound:>10}  {verdict.lstrip('-')}".rstrip())
    text = [("figure", name, "ours", "bound", "verdict"), *lines]
    file.write_text("".join("\t".join(line) + "\n" for line in text), encoding="utf-8")
    print(f"Written to {file}\n", flush=True)
    return all(line[-1] in ("ok", "-") for line in lines)


def results():
    """The directory of what was measured."""
    base.make_dirs(base.cache() / "bench")
    return base.cache() / "bench"


def log(name):
    """The log file of a part of the work."""
    return base.log_path(f"bench-{name}")


def kernels(kver):
    """Stock and ours, built."""
    pair = Kernel(kver=kver, stock=True), Kernel(kver=kver)
    for kernel in pair:
        kernel.build()
    return pair


def build_module(kernel):
    """Build the benchmark's module; returns the file."""
    return build_modules(kernel, base.TOP / "tests/bench", results() / f"module-{kernel.name}") / "xen_dma_bench.ko"


def boot(kernel, what, *options):
    """Boot dom0 with what scripts/boot's options say; returns the lines of its script."""
    file = log(f"boot-{what.split()[0]}-{kernel.name}")
    variant = ["--stock"] if kernel.stock else []
    with base.stage(f"{what} ({kernel.name})", file) as run:
        # The figures are of known kernels and no others, whatever make was given.
        run([base.TOP / "scripts" / "boot", "--kver", kernel.kver, *variant, "--quiet", *options],
            env=check.environment())
    return file.read_text(errors="replace").replace("\r", "").splitlines()


def count(kernel, module):
    """Count instructions in dom0; returns the rows, none when they are not all there."""
    # Growth would disturb: the aperture stays what it is from the boot on. On 7.3
    # only a clock that is trusted gives timers of high resolution.
    kept = results() / f"rows-{kernel.name}.tsv"
    kept.unlink(missing_ok=True)
    try:
        lines = boot(kernel, "count instructions in dom0", "--icount", "--timeout", "7200",
                     "--append", "xen_dma.max=64M tsc=reliable", "--module", module,
                     "--run", base.TOP / "tests" / "bench" / "dom0", "--", *EDU)
    except base.StageFailed as failure:
        base.tail(failure.log, 3)
        base.note(f"{failure}; no figures")
        return {}
    rows = [line for line in lines if line.startswith(("row\t", "end\t"))]
    kept.write_text("\n".join(rows) + "\n", encoding="utf-8")
    # "end" counts rows that did not measure what they are called after.
    if rows[-1:] != ["end\t0"]:
        base.note(f"{kernel.name}: not every row measured what it should (see {kept}); no figures")
        return {}
    return read_rows(rows)


def measure(kver):
    """Rows of stock and of ours, counted by one module: the kernels differ by the driver alone."""
    stock, ours = kernels(kver)
    module = build_module(stock)
    return count(stock, module), count(ours, module)


def time_pairs():
    """Time under User Mode Linux; returns the rows of the generic allocator and of ours."""
    kernel, file = Kernel(arch="um"), log("uml")
    kernel.build()
    with base.stage("measure time under User Mode Linux", file):
        # Two are at work; that there might be more must cost nothing.
        wrong = uml.run(kernel.image, file, 300, "xen_dma_bench", "kunit.filter_glob=none", "kunit_shutdown=poweroff",
                        cpus=32)
    said = re.findall(r"xen_dma_bench: (.*)", file.read_text(errors="replace").replace("\r", ""))
    if wrong or "end\t0" not in said:
        base.tail(file, 3)
        base.note(f"User Mode Linux: {wrong or 'not every row is there'} (log: {file}); no figures")
        return {}, {}
    return tuple(read_rows(line[len(side) + 1:] for line in said if line.startswith(side + "\t"))
                 for side in ("generic", "ours"))


def main(args):
    """Measure, judge, show."""
    kvers = [one_of("kernel version", args.kver, KERNELS)] if args.kver else DEFAULT_KVERS
    base.need(*PACKAGES)
    good = True
    with base.lock("bench"):
        if args.only != "uml":
            for kver in kvers:
                lines = judge(FIGURES["icount"], *measure(kver))
                good &= write_table(results() / f"bench-{kver}.tsv", "stock", f"Instructions on Linux {kver}", lines)
        if args.only != "icount":
            lines = judge(FIGURES["uml"], *time_pairs())
            good &= write_table(results() / "bench-uml.tsv", "generic",
                                "Nanoseconds under User Mode Linux, and proportions", lines)
    return 0 if good else 1
