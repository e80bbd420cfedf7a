# SPDX-License-Identifier: GPL-2.0
"""The driver that comes with Linux and ours, side by side: defects, features, limits, costs.

Both kernels boot with the same initial file system: the modules are built once. The
kselftest tells what works, and the benchmark's module what it costs and how large things
can be. The list "compare" in bed/figures.toml makes one table of it, written separated by
tabs, and a chart.
"""

import re
import shutil

from bed import base, bench, ktap, svg
from bed.build import install_kselftest
from bed.known import KERNELS, edu_devices, one_of

STOCK_FAILURES = base.TOP / "tools" / "testing" / "selftests" / "xen-dma" / "stock-failures"
NAME = "xen-dma-compare"
GREY, BLUE = "#9a9a9a", "#0072b2"   # as different in lightness as in hue


def arguments(parser):
    """What can be said on the command line."""
    bench.table_arguments(parser, f"{NAME}.tsv and {NAME}.svg")


def stock_failures(kver, text):
    """Name and reason of each test that stock must fail on that kernel, from the list's text."""
    for name, kvers, reason in re.findall(r"^(\w+\.\w+)(?: +\[([^]]*)\])?\s+# (.+)$", text, re.M):
        if not kvers or kver in kvers.split():
            yield name, reason


def value(what, rows, passed, listed):
    """What one kernel's rows, and the names of the tests that it passed, tell for a value of the list."""
    if what == "none":
        return "-"
    if not what.startswith("tests: "):
        return bench.look_up(rows, what)
    names = [name for name, reason in listed if reason.partition(":")[0] == what[len("tests: "):]]
    return f"{len(passed.intersection(names))} of {len(names)}" if names else "-"


def table(kver, stock, ours):
    """(kind, what, stock's, ours', unit) for each line; stock and ours are (rows, names of passed tests)."""
    listed = list(stock_failures(kver, STOCK_FAILURES.read_text(encoding="utf-8")))
    return [(kind, what, value(how, *stock, listed), value(how, *ours, listed), unit)
            for kind, what, how, unit in bench.FIGURES["compare"]]


def aperture(lines):
    """MiB of the aperture by what a kernel, stock or ours, said at boot."""
    said = re.search(r"aperture ([0-9.]+) ([KMG])iB|software IO TLB: mapped .*\(([0-9]+)MB\)", "\n".join(lines))
    if not said:
        return 0
    return int(said[3]) if said[3] else int(float(said[1]) * {"K": 1 / 1024, "M": 1, "G": 1024}[said[2]])


def features(kernel, kselftest):
    """Boot a kernel for its features; returns rows and the names of the tests that passed."""
    files = ("--file", f"{kselftest}:/kselftest", "--run", base.TOP / "tests" / "bench" / "features-dom0")
    # dom0 takes nearly all of the memory, and wants more for its aperture than Xen has left.
    short = bench.boot(kernel, "aperture where memory is short", "--mem", "3G", "--dom0-mem", "2900M",
                       "--append", "swiotlb=524288", *files)
    lines = bench.boot(kernel, "kselftest in dom0", "--timeout", "3600", *files,
                       "--append", "bed.features xen_dma.max=128M xen_dma.idle=2 xen_dma.coherent_pooled=0",
                       "--", *edu_devices())
    rows = bench.read_rows([*lines, f"row\tshort-of-memory\t{aperture(short)}"])
    passed = {result.name for result in ktap.results(lines) if result.ok and not result.skipped}
    return rows, passed


def measure(kver):
    """Rows and passed tests of stock, and of ours."""
    stock, ours = bench.kernels(kver)
    module = bench.build_module(stock)
    place = bench.results() / f"kselftest-{stock.name}"
    shutil.rmtree(place, ignore_errors=True)
    kselftest = install_kselftest(stock, ours.tree, place)
    sides = []
    for kernel in (stock, ours):
        rows, passed = features(kernel, kselftest)
        counted = bench.count(kernel, module)
        if not counted or not passed:
            raise base.Failure(f"{kernel.name}: not all was measured, so there is nothing to compare")
        sides.append((rows | counted, passed))
    return sides


def shown(text):
    """A figure for people."""
    return f"{float(text):,.0f}" if bench.number(text) else text


def size(text):
    """KiB for people."""
    if not bench.number(text):
        return text
    kib, units = float(text), ["KiB", "MiB", "GiB"]
    while kib >= 1024 and len(units) > 1:
        kib, units = kib / 1024, units[1:]
    return f"{kib:,.0f} {units[0]}"


def times(gain):
    """A proportion for people."""
    return f"{gain:.1f} ×" if gain < 10 else f"{gain:,.0f} ×"


def panel(axes, lines, title, show, gain):
    """Bars of stock above bars of ours; gain(stock, ours) is by how much ours is better."""
    figures = [float(text) for line in lines for text in line[2:4] if bench.number(text)]
    low, high = min(figures) / 3, max(figures)
    for place, (_, what, *pair, _) in enumerate(lines):
        for text, shift, colour in zip(pair, (-0.2, 0.2), (GREY, BLUE)):
            length = float(text) if bench.number(text) else low
            axes.barh(place + shift, length - low, 0.36, low, color=colour, linewidth=0, clip_on=False)
            axes.annotate(show(text), (length, place + shift), (4, -0.5), textcoords="offset points", va="center",
                          fontsize=8.5, color="#555555" if colour == GREY else BLUE)
        if all(bench.number(text) for text in pair):
            axes.annotate(times(gain(*map(float, pair))), (1, place), (-2, 0), xycoords=("axes fraction", "data"),
                          textcoords="offset points", va="center", ha="right", fontsize=9.5, weight="bold")
    axes.set(xscale="log", xlim=(low, high * (high / low) ** 0.33), ylim=(len(lines) - 0.45, -0.55))
    axes.set_yticks(range(len(lines)), [line[1] for line in lines], fontsize=9.5)
    axes.set_title(title, loc="left", fontsize=10.5, weight="bold", pad=8)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    axes.spines["left"].set(visible=True, color="#cccccc")


def chart(kver, lines):
    """The chart of costs and limits, as the text of an SVG file; the same for the same figures."""
    from matplotlib.patches import Patch
    costs, limits = ([line for line in lines if line[0] == kind] for kind in ("cost", "limit"))
    figure = svg.figure(NAME, figsize=(8.33, 0.38 * len(costs + limits) + 1.6), facecolor="white",
                        layout="constrained")
    upper, lower = figure.subplots(2, height_ratios=(len(costs), len(limits)))
    panel(upper, costs, "Instructions (log scale, shorter is better)", shown, lambda stock, ours: stock / ours)
    panel(lower, limits, "Largest size (log scale, longer is better)", size, lambda stock, ours: ours / stock)
    figure.suptitle(f"DMA in a dom0 under Xen, Linux {kver}", fontsize=13, weight="bold")
    figure.get_layout_engine().set(h_pad=0.1, hspace=0.04)
    upper.legend(handles=[Patch(color=GREY, label="stock"), Patch(color=BLUE, label="this driver")],
                 loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9.5,
                 handlelength=1.2, columnspacing=1.2, borderaxespad=0)
    return svg.text(figure)


def main(args):
    """Measure both, show and write the table and the chart."""
    kver = one_of("kernel version", args.kver, KERNELS)
    base.need(*bench.PACKAGES, "python3-matplotlib")
    base.make_dirs(args.output)
    with base.lock("bench"):
        lines = table(kver, *measure(kver))
    for line in (("", "", "stock", "ours", ""), *lines):
        print(f"{line[0]:<10} {line[1]:<68} {shown(line[2]):>12} {shown(line[3]):>12}  {line[4]}".rstrip())
    picture = chart(kver, lines)
    text = "".join("\t".join(line) + "\n" for line in (("kind", "what", "stock", "ours", "unit"), *lines))
    for suffix, content in (("tsv", text), ("svg", picture)):
        file = args.output / f"{NAME}.{suffix}"
        file.write_text(content, encoding="utf-8")
        print(f"Written to {file}")
