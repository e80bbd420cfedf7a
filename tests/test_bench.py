# SPDX-License-Identifier: GPL-2.0
"""How the benchmark's rows become figures, verdicts, a table and a chart.

No kernel runs here: the rows are made up.
"""

import xml.etree.ElementTree as ElementTree

import pytest

from bed import bench, compare, sizing


def rows(*lines):
    """Rows whose fields stand apart by blanks."""
    return bench.read_rows("row\t" + "\t".join(line.split(maxsplit=6)) + "\r\n" for line in lines)


STOCK = rows("a 100 20 80 - -", "b 50 - - - -", "zero 0 - - - -", "none - - - - refused")
OURS = rows("a 30 20 -5 - -", "b 60 - - 4 -", "zero 0 - - - -", "none 7.5 - - - -")


@pytest.mark.parametrize("value, stock, ours", [
    ("a:figure", "100", "30"),
    ("a:overhead", "80", "-5"),         # below zero is a number too
    ("b:segments", "-", "4"),
    ("a:figure/b:figure", "2.00", "0.50"),
    ("a:figure/zero:figure", "-", "-"),
    ("a:figure/none:figure", "-", "4.00"),
    ("none:figure", "refused", "7.5"),  # the remark tells why there is no number
    ("lost:figure", "-", "-"),
])
def test_value(value, stock, ours):
    """A value is a column, a proportion, a reason, or a dash."""
    assert (bench.look_up(STOCK, value), bench.look_up(OURS, value)) == (stock, ours)


@pytest.mark.parametrize("value, bound, shown, verdict", [
    ("a:figure", "<=30", "<=30", "ok"),
    ("a:figure", "<=29", "<=29", "over"),
    ("a:figure", ">=30", ">=30", "ok"),
    ("a:figure", ">=30.5", ">=30.5", "over"),
    ("a:overhead", "<=0", "<=0", "ok"),
    ("b:figure", "<=b:figure", "<=50", "over"),     # what stock has
    ("a:figure", "<=a:figure", "<=100", "ok"),
    ("a:figure", "<=none:figure", "<=refused", "missing"),
    ("a:figure/b:figure", "<=0.49", "<=0.49", "over"),
    ("a:figure/b:figure", "<=0.50", "<=0.50", "ok"),
    ("lost:figure", "<=1000", "<=1000", "missing"),
    ("b:memcpy", ">=0", ">=0", "missing"),
])
def test_verdict(value, bound, shown, verdict):
    """A bound is ours'; where no number is, the figure is missing."""
    (line,) = bench.judge([["label", value, bound]], STOCK, OURS)
    assert line[3:] == (shown, verdict)


def test_nothing_to_judge():
    """A figure without a bound is shown for what it tells; a boot without rows leaves each bounded one missing."""
    assert bench.judge([["label", "lost:figure"]], STOCK, OURS) == [("label", "-", "-", "-", "-")]
    verdicts = {line[4] for line in bench.judge(bench.FIGURES["icount"], {}, {})}
    assert verdicts == {"-", "missing"}


@pytest.mark.parametrize("bound, good", [("<=30", True), ("<=3", False)])
def test_table(tmp_path, capsys, bound, good):
    """The table is shown, kept, and tells whether all is well."""
    lines = bench.judge([["one", "a:figure", bound], ["two", "b:figure"]], STOCK, OURS)
    assert bench.write_table(tmp_path / "t.tsv", "stock", "Head", lines) == good
    said = (tmp_path / "t.tsv").read_text().splitlines()
    assert said == ["figure\tstock\tours\tbound\tverdict", f"one\t100\t30\t{bound}\t{'ok' if good else 'over'}",
                    "two\t50\t60\t-\t-"]
    assert ("over" in capsys.readouterr().out) != good


def test_figures_name_rows():
    """Each row that a list names is one that the module, or the unit test, makes."""
    source = (bench.base.TOP / "tests/bench/xen_dma_bench.c").read_text()
    for label, value, *bound in bench.FIGURES["icount"]:
        for part in [*value.split("/"), *[word[2:] for word in bound if ":" in word]]:
            name, column = part.split(":")
            assert f'"{name}"' in source and column in bench.COLUMNS, label


LIST = """# a remark
xdt_a.one			# defect 1: too small
xdt_a.two [6.1 6.12]		# defect 1: too small
xdt_b.three			# defect 10: another
"""


@pytest.mark.parametrize("kver, names", [("6.12", ["xdt_a.one", "xdt_a.two"]), ("7.3", ["xdt_a.one"])])
def test_tests_of_a_defect(kver, names):
    """The tests of a defect are those that the list gives for that kernel."""
    listed = list(compare.stock_failures(kver, LIST))
    assert [name for name, reason in listed if reason.startswith("defect 1:")] == names
    assert compare.value("tests: defect 1", {}, {"xdt_a.one", "xdt_b.three"}, listed) == f"1 of {len(names)}"
    assert compare.value("tests: defect 2", {}, set(), listed) == "-"


def test_compare_names_reasons():
    """Each reason that the table asks for is one of the kselftest's list."""
    lines = compare.table("6.12", ({}, set()), ({}, set()))
    asked = {line[1] for line in bench.FIGURES["compare"] if line[2].startswith("tests: ")}
    assert len(asked) > 10
    assert {line[1] for line in lines if line[2].startswith("0 of ")} == asked


@pytest.mark.parametrize("said, mib", [
    ("xen-dma: aperture 64.0 MiB in 5 chunks, largest 32.0 MiB", 64),
    ("xen-dma: aperture 1.50 GiB in 5 chunks", 1536),
    ("software IO TLB: mapped [mem 0x1-0x2] (64MB)", 64),
    ("software IO TLB: area num 2.", 0),
])
def test_aperture(said, mib):
    """Both drivers tell the aperture's size in their own way."""
    assert compare.aperture(["something else", said]) == mib


def made_up():
    """A comparison in which nothing was measured but one cost and one limit."""
    def line(kind, what, value, unit):
        figures = {"bounce-64:overhead": ("2485", "426"), "largest-bounced:figure": ("256", "16384")}
        return (kind, what, *figures.get(value, ("refused", "-")), unit)
    return [line(*words) for words in bench.FIGURES["compare"]]


def test_chart():
    """The chart is a picture with its words as text, and the same for the same figures."""
    picture = compare.chart("6.12", made_up())
    assert compare.chart("6.12", made_up()) == picture
    words = {text.text for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")}
    assert {"2,485", "426", "5.8 ×", "16 MiB", "64 ×", "refused", "bounced, 64 bytes"} <= words
    assert not [line for line in picture.splitlines() if line != line.rstrip()]


def test_sizing():
    """The picture in the documentation is what is drawn, and has each of its lines."""
    picture = sizing.chart()
    assert sizing.PICTURE.read_text(encoding="utf-8") == picture
    assert all(f">{kib} KiB each<" in picture for kib in sizing.REQUESTS)
    assert abs(sizing.needed(224, 256) - sizing.BOOT) < 0.01
