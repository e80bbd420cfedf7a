# SPDX-License-Identifier: GPL-2.0
"""Draw how large an aperture a load needs: writes Documentation/admin-guide/xen-dma-sizing.svg.

What is drawn is the rule of Documentation/admin-guide/xen-dma/sizing.rst: requests in flight by
their size, and an eighth free.
"""

from bed import base, svg
from bed.base import TOP

NAME = "xen-dma-sizing"
PICTURE = TOP / f"Documentation/admin-guide/{NAME}.svg"

# KiB of a request, and requests that are drawn.
REQUESTS, COUNTS = (2, 64, 256, 1024), (8, 4096)
# MiB: the default at boot; what the aperture grows to by default, by the domain's memory.
BOOT, LIMITS = 64, {"512 MiB": 64, "2 GiB": 256, "8 GiB": 1024}
LEAST, MOST = 1, 2048


def arguments(_parser):
    """There are none."""


def needed(count, kib):
    """MiB of the aperture for so many requests of that size."""
    return count * kib / 1024 * 8 / 7


def chart():
    """The chart as the text of an SVG file."""
    figure = svg.figure(NAME, figsize=(8.33, 4.6), facecolor="white", layout="constrained")
    axes = figure.subplots()
    for kib in REQUESTS:
        axes.plot(COUNTS, [needed(count, kib) for count in COUNTS], color="#2a6fbb", linewidth=1.8)
        count = min(COUNTS[1], LEAST * MOST * 0.55 / needed(1, kib))
        axes.annotate(f"{kib} KiB each", (count, needed(count, kib)), xytext=(-4, 4), textcoords="offset points",
                      ha="right", va="bottom", fontsize=9, color="#2a6fbb")
    for memory, most in LIMITS.items():
        axes.axhline(most, color="#777777", linewidth=0.9, linestyle="--")
        axes.annotate(("size at boot, and\n" if most == BOOT else "") + f"limit with {memory}", (COUNTS[1], most),
                      xytext=(5, 0), textcoords="offset points", va="center", fontsize=9, color="#555555",
                      annotation_clip=False)
    axes.set(xscale="log", yscale="log", xlim=COUNTS, ylim=(LEAST, MOST), xlabel="requests in flight that are bounced",
             ylabel="aperture")
    ticks, sizes = [8 << 2 * step for step in range(5)], [1, 4, 16, 64, 256, 1024]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks(sizes, [f"{size} MiB" if size < 1024 else "1 GiB" for size in sizes])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("What a load needs, an eighth free", fontsize=13, weight="bold")
    return svg.text(figure)


def main(_args):
    """Write the picture."""
    base.need("python3-matplotlib")
    PICTURE.write_text(chart(), encoding="utf-8")
    print(f"Written to {PICTURE}")
