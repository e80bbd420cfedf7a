# SPDX-License-Identifier: GPL-2.0
"""The shape that the driver keeps: no file or function grows too long, no two files need each
other, and what architectures differ in is asked in two headers only.
"""

import re
import subprocess

import pytest

from bed import base
from bed.base import TOP
from sources import ours

FILE_LINES, FUNCTION_LINES = 700, 45


SOURCES = ours("drivers/*.[ch]", "arch/*.[ch]", "include/*.h")
DRIVER = [name for name in SOURCES if "/tests/" not in name]


def text(name):
    """The text of a source without comments and strings."""
    return re.sub(r'/\*.*?\*/|"(\\.|[^"\\\n])*"', lambda found: "\n" * found[0].count("\n"),
                  (TOP / name).read_text(encoding="utf-8"), flags=re.S)


@pytest.fixture(name="definitions", scope="session")
def definitions_by_ctags():
    """[(file, name, kind, is it static, first line, last line)] of all functions (f) and variables (v)."""
    base.need("universal-ctags")
    said = subprocess.run(["ctags", "-f", "-", "--languages=C", "--langmap=C:.c.h", "--kinds-C=fv", "--fields=+ne",
                           "-I", "__read_mostly,__ro_after_init,__initdata,__init,__ref,__always_inline",
                           *SOURCES], cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.findall(r'^(\w+)\t(\S+)\t.*;"\t([fv])\tline:(\d+)(?:\ttyperef:[^\t\n]*)?(\tfile:)?(?:\tend:(\d+))?$',
                       said, re.M)
    assert len(found) == len([line for line in said.splitlines() if not line.startswith("!")]), said
    return [(file, name, kind, bool(static), int(line), int(end or line))
            for name, file, kind, line, static, end in found]


@pytest.fixture(name="functions", scope="session")
def functions_of(definitions):
    """[(file, name, first line, last line)] of the functions."""
    return [(file, name, first, last) for file, name, kind, _, first, last in definitions if kind == "f"]


def circles(edges):
    """The sets of nodes that lead back to themselves: {node: nodes} is peeled from its leaves."""
    edges = {node: set(others) - {node} for node, others in edges.items()}
    while leaves := [node for node, others in edges.items() if not others & set(edges)]:
        for node in leaves:
            del edges[node]
    return edges


@pytest.mark.parametrize("name", SOURCES)
def test_file_length(name):
    """No source is too long."""
    assert len((TOP / name).read_text(encoding="utf-8").splitlines()) <= FILE_LINES


def test_function_length(functions):
    """No function of the driver is too long, nor of its KUnit tests."""
    assert len(functions) > 1000
    assert not [entry for entry in functions if entry[3] - entry[2] >= FUNCTION_LINES]


def test_function_names(functions):
    """A name says what a function does to what."""
    bare = {"add", "check", "copy", "drop", "find", "free", "get", "make", "put", "run", "set", "take"}
    assert not [entry for entry in functions if entry[1] in bare]


def test_includes():
    """Headers include downward: no header leads back to itself."""
    headers = {name.rsplit("/", 1)[1]: name for name in DRIVER if name.endswith(".h")}
    needs = {header: {other.rsplit("/", 1)[-1] for other in
                      re.findall(r'^#include ["<]([^">]+)[">]', (TOP / name).read_text(encoding="utf-8"), re.M)}
             for header, name in headers.items()}
    assert not circles(needs)


def of_other(arch):
    """The driver's files that an architecture does not have, by its Makefile."""
    makefile = (TOP / "drivers/xen/dma/Makefile").read_text(encoding="utf-8")
    exchanging, finding = re.search(r"^ifdef CONFIG_XEN_PV\n(.*?)^else\n(.*?)^endif", makefile, re.S | re.M).groups()
    listed, other = (finding, "arm") if arch == "x86" else (exchanging, "x86")
    return [name for name in DRIVER if name.startswith(f"arch/{other}/") or
            name.rsplit("/", 1)[1].removesuffix(".c") in re.findall(r"([\w-]+)\.o", listed)]


def words_of(lines, inlined):
    """The words of some lines, and of the inline functions that they name."""
    words, new = set(), set(re.findall(r"\w+", re.sub(r"\b(struct|enum)\s+\w+", "", "\n".join(lines))))
    while new:
        words |= new
        new = {word for name in new for word in inlined.get(name, ())} - words
    return words


@pytest.mark.parametrize("arch", ["x86", "arm"])
def test_no_two_files_need_each_other(functions, definitions, arch):
    """No file uses one that uses it, in however many steps."""
    mine = {name: text(name).splitlines() for name in DRIVER if name not in of_other(arch)}
    inlined = {name: re.findall(r"\w+", "\n".join(mine[file][first - 1:last]))
               for file, name, first, last in functions if file in mine and file.endswith(".h")}
    places = {name: file for file, name, _, static, _, _ in definitions
              if not static and file in mine and file.endswith(".c")}
    edges = {file: {places[word] for word in words_of(lines, inlined) & set(places)} - {file}
             for file, lines in mine.items() if file.endswith(".c")}
    assert len(edges) >= 20 and sum(map(len, edges.values())) > 40
    assert not circles(edges)


def test_differences():
    """Only the two contracts ask what memory the domain has, and only once is that said."""
    asked = [name for name in DRIVER if "XEN_DMA_EXCHANGES" in text(name)]
    assert asked == ["drivers/xen/dma/addr.h", "drivers/xen/dma/contig.h"]


@pytest.mark.parametrize("edges, expected", [
    ({"a": "b", "b": "c", "c": ""}, ""), ({"a": "b", "b": "a", "c": "a"}, "abc"), ({"a": "ab", "b": ""}, ""),
    ({"a": "b", "b": "c", "c": "a"}, "abc"),
])
def test_circles(edges, expected):
    """The tool finds circles of any length, and no others."""
    assert "".join(sorted(circles(edges))) == expected
