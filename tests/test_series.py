# SPDX-License-Identifier: GPL-2.0
"""Tests of make patch: git am takes the series on a pristine tree and makes the grafted tree of it, byte for byte; each
patch is clean for checkpatch, and the tree builds after each."""

import fnmatch
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bed import base, fetch, graft, series
from bed.build import Kernel

# Only the sender can sign off, and MAINTAINERS is the maintainers'. The compat header is where the kernel's version is
# looked at, and a Kconfig that is sourced has the name of another as its beginning.
IGNORED = ("MISSING_SIGN_OFF", "FILE_PATH_CHANGES", "EMBEDDED_FILENAME")
# A program for people has no suffix. Tracepoints are written as they are everywhere.
TOOLS = ("EXECUTE_PERMISSIONS",)
TRACE = ("OPEN_ENDED_LINE", "PARENTHESIS_ALIGNMENT")
# A name of the kernel's own.
CAMEL = ("CAMELCASE",)
COMPAT = ("LINUX_VERSION_CODE", "CONSTANT_COMPARISON")


@pytest.fixture(name="patches")
def made_patches(request, tmp_path):
    """The series for a kernel, as files."""
    return series.make(fetch.linux(request.param), tmp_path / "scratch", tmp_path / "patches")


def git(tree, *words):
    """Run git in a tree; returns what it prints."""
    return subprocess.run(["git", "-C", tree, "-c", "user.name=t", "-c", "user.email=t@localhost", *words], check=True,
                          capture_output=True).stdout


@pytest.mark.parametrize("kver", ["6.12", "7.3", pytest.param("6.1", marks=pytest.mark.full)])
def test_applies(kver, tmp_path):
    """git am makes of the stock files what the graft makes of them; the mbox is the same each time."""
    stock, tree, laid = fetch.linux(kver), tmp_path / "tree", tmp_path / "laid"
    for top in (tree, laid):
        series.copy_stock(stock, top)
    git(tree.parent, "init", "-q", tree)
    git(tree, "add", "-A", "-f")
    git(tree, "commit", "-q", "-m", "stock")
    graft.lay(laid)
    made = [subprocess.run([base.TOP / "scripts/bed", "series", "--kver", kver], check=True, capture_output=True).stdout
            for _ in range(2)]
    assert made[0] == made[1] and b"Signed-off-by" not in made[0]
    (tmp_path / "series.mbox").write_bytes(made[0])
    git(tree, "am", "--quiet", "--whitespace=error", tmp_path / "series.mbox")
    # A version that needs no change of a patch's files has no such patch.
    first = git(tree, "rev-list", "--max-parents=0", "HEAD").strip()
    changed = git(tree, "diff", "--name-only", first).decode().split()
    patches = [files for files in series.share(changed, series.messages()[1:]) if files]
    assert git(tree, "rev-list", "--count", "HEAD") == b"%d\n" % (1 + len(patches))
    assert len(series.messages()) - 1 - len(patches) == {"6.12": 1, "7.3": 0, "6.1": 3}[kver]
    files = [{str(path.relative_to(top)): (path.stat().st_mode & 0o111, path.read_bytes()) for path in top.rglob("*")
              if path.is_file() and not {".git", ".xen-dma"} & set(path.relative_to(top).parts)}
             for top in (tree, laid)]
    assert files[0] == files[1]


def test_refuses(tmp_path):
    """What is no tree, what has the driver already, and where patches are already: a line, and nothing is written."""
    tree, place = tmp_path / "tree", tmp_path / "series"
    place.mkdir()
    series.copy_stock(fetch.linux("6.12"), tree)

    def says(ksrc):
        done = subprocess.run([base.TOP / "scripts/bed", "series", "--ksrc", ksrc, "--output", place], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
        return done.stderr
    assert "not a Linux source tree" in says(tmp_path / "none")
    (place / "0001-of-another.patch").write_text("")
    assert f"{place}: has patches in it already" in says(tree)
    (place / "0001-of-another.patch").unlink()
    graft.lay(tree)
    assert f"{tree}: has the driver on it already" in says(tree)
    assert not list(place.iterdir())


@pytest.mark.parametrize("kver", ["6.12", "7.3", pytest.param("6.1", marks=pytest.mark.full)])
def test_maintainers(kver, tmp_path):
    """The entry applies, and each new file of the series is in it or in one that is there."""
    shutil.copy2(fetch.linux(kver) / "MAINTAINERS", tmp_path)
    done = subprocess.run(["patch", "-p1", "-d", tmp_path, "-i", base.TOP / "patches/MAINTAINERS.diff"], check=True,
                          capture_output=True, text=True)
    assert "fuzz" not in done.stdout
    text = (tmp_path / "MAINTAINERS").read_text(encoding="utf-8")
    globs = [word + "*" * word.endswith("/") for word in
             re.findall(r"^F:\t(\S+)$", text[text.index("\nXEN SWIOTLB SUBSYSTEM\n"):].partition("\n\n")[0], re.M)]
    assert not [name for name in graft.our_files() if not any(fnmatch.fnmatchcase(name, glob) for glob in globs)]


def count(top, names):
    """Lines of files."""
    return sum((top / name).read_bytes().count(b"\n") for name in names)


@pytest.mark.parametrize("letter", ["linux/00-cover.txt", "QUESTIONS.md"])
def test_size_told(letter):
    """What the letters say about how much it is, in hundreds of lines."""
    text = " ".join((series.MESSAGES.parent / letter).read_text(encoding="utf-8").split())
    lines = int(re.search(r" is (?:much code: )?([0-9,]+) lines", text)[1].replace(",", ""))
    gone = int(re.search(r"(?:in place of|that go have) ([0-9]+) ", text)[1])
    assert abs(lines - count(base.TOP, [name for name in graft.our_files() if re.fullmatch(
        "(arch|drivers|include)/.*[.][ch]", name)])) <= 200
    assert abs(gone - count(fetch.linux("6.12"), graft.REPLACED)) <= 10


@pytest.mark.parametrize("judge", ["6.12", pytest.param("7.3", marks=pytest.mark.full)])
@pytest.mark.parametrize("patches", ["6.12"], indirect=True)
def test_checkpatch(patches, judge):
    """checkpatch says nothing about any patch, beside what is ignored above."""
    found = []
    for patch in patches[1:]:
        text = patch.read_bytes()
        ignored = IGNORED + (COMPAT if b"compat.h" in text else ()) + (TRACE if b"TRACE_EVENT(" in text else ()) + \
            (CAMEL if b"__ClearPageReported(" in text else ()) + \
            (TOOLS if b"b/tools/xen-dma/xen-dma-top" in text else ())
        done = subprocess.run([fetch.linux(judge) / "scripts/checkpatch.pl", "--no-tree", "--strict", "--terse",
                               "--quiet", "--no-summary", "--show-types", "--ignore", ",".join(ignored), patch],
                              check=False, capture_output=True, text=True)
        found += (done.stdout + done.stderr).splitlines()
    assert not found


def test_unshared_file():
    """A file that no patch names is not left out silently."""
    with pytest.raises(base.Failure, match="lib/new.c belongs to no patch"):
        series.share(["lib/new.c"], series.messages()[1:])
    (_, _), *patches = series.messages()
    driver = next(i for i, (_, message) in enumerate(patches) if message.startswith("xen/swiotlb: replace the driver"))
    assert series.share(["drivers/xen/dma/sg.c", "drivers/xen/new.c"], patches)[driver] == ["drivers/xen/new.c"]


@pytest.mark.full
@pytest.mark.parametrize("patches", ["6.12"], indirect=True)
def test_each_builds(patches, tmp_path):
    """After each patch the objects that the series is about compile, without a warning."""
    kernel = Kernel(arch="x86", kver="6.12")
    kernel.build()
    tree, out = tmp_path / "tree", tmp_path / "out"
    shutil.copytree(fetch.linux("6.12"), tree, copy_function=os.link, symlinks=True)
    out.mkdir()
    shutil.copy2(Path(kernel.out) / ".config", out / ".config")
    objects = ("drivers/xen/", "arch/x86/xen/", "arch/x86/kernel/pci-dma.o")
    for patch in [None, *patches[1:]]:
        if patch:
            subprocess.run(["git", "apply", "--whitespace=nowarn", patch], cwd=tree, check=True,
                           env=dict(os.environ, GIT_CEILING_DIRECTORIES=str(tmp_path)))
        for targets in (["olddefconfig"], objects):
            done = subprocess.run(["make", "-s", "-C", tree, f"O={out}", f"-j{base.jobs()}", "KCFLAGS=-Werror",
                                   "CC=ccache gcc", *targets], check=False, capture_output=True, text=True,
                                  env=base.compiler_cache())
            assert done.returncode == 0, f"{patch}: {done.stderr[-3000:]}"
    assert (out / "drivers/xen/dma/aperture.o").exists()
