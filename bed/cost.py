# SPDX-License-Identifier: GPL-2.0
"""What a guest's disks and network cost with the driver, beside stock: instructions of dom0, the
guest and Xen, for each MiB and each packet. Boots the step "cost" of bed/system.py twice,
and writes the table beside that of the benchmark.
"""

import tempfile
from pathlib import Path

from bed import base, bench, system
from bed.build import Kernel
from bed.known import KERNELS, one_of

NAME = "xen-dma-cost"


def arguments(parser):
    """What can be said on the command line."""
    bench.table_arguments(parser, f"{NAME}.tsv")


def measure(kver):
    """Rows of stock and of ours."""
    kernels = [Kernel(kver=kver, flavour=system.FLAVOUR, stock=stock) for stock in (True, False)]
    for kernel in kernels:
        kernel.build()
    sides = []
    for kernel in kernels:
        with tempfile.TemporaryDirectory(prefix="xen-dma-cost.") as place:
            place = Path(place)
            system.install_programs(kernel, kernels[-1].tree, place / "programs")
            (place / "step").mkdir()
            words = system.prepare(system.COST, kernel, place / "programs", place / "step")
            lines = bench.boot(kernel, "cost of a guest's disks and network", "--icount", "--smp", "1",
                               *(str(word) for word in words))
        rows = bench.read_rows(lines)
        if not rows or any(line.startswith("not ok") for line in lines):
            raise base.Failure(f"{kernel.name}: not all was measured (log: {bench.log('boot-cost-' + kernel.name)})")
        sides.append(rows)
    return sides


def main(args):
    """Measure, judge, show."""
    kver = one_of("kernel version", args.kver, KERNELS)
    base.need(*bench.PACKAGES, "fdisk")
    base.make_dirs(args.output)
    with base.lock("bench"):
        lines = bench.judge(bench.FIGURES["cost"], *measure(kver))
        good = bench.write_table(args.output / f"{NAME}.tsv", "stock", f"Instructions on Linux {kver}", lines)
    return 0 if good else 1
