# SPDX-License-Identifier: GPL-2.0
"""Pictures as SVG files that are the same for the same figures. Text stays text."""

import io
import os

from bed import base


def figure(name, **words):
    """A figure of matplotlib's; the name tells its parts from those of other pictures."""
    os.environ["MPLCONFIGDIR"] = str(base.cache() / "matplotlib")
    import matplotlib
    from matplotlib.figure import Figure
    matplotlib.rcdefaults()
    matplotlib.rcParams.update({"svg.hashsalt": name, "svg.fonttype": "none"})
    return Figure(**words)


def text(drawn):
    """What the figure's file holds."""
    out = io.StringIO()
    drawn.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    head, end, rest = out.getvalue().partition("?>\n")
    return "".join(f"{line.rstrip()}\n" for line in
                   f"{head}{end}<!-- SPDX-License-Identifier: GPL-2.0 -->\n{rest}".splitlines())
