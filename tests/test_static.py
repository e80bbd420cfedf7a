# SPDX-License-Identifier: GPL-2.0
"""What can be said of the code without running it: the kernel's own checkers over our files, sparse
and W=1 for every version and architecture, dt-schema over the device tree binding, ShellCheck,
pyflakes and pycodestyle over the bed.

A checker passes when it succeeds and says nothing. What is compiled has a tree and build directories
of its own, so that this runs beside the building of kernels; only what changed is compiled again.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bed import base, build, fetch, graft
from bed.base import TOP
from bed.known import ARCHES, BUILD_PACKAGES, KERNELS
from sources import ours

NEWEST = "7.3"
MODULES = "tools/testing/selftests/xen-dma/test_modules"
BINDINGS = "Documentation/devicetree/bindings"

# What single objects are compiled with: what is soon ready, and a fragment laid on it.
COMPILED = {"x86": ("tinyconfig", "x86-test"), "arm64": ("tinyconfig", "arm64-test"),
            "arm": ("multi_v7_defconfig", "arm-dom0")}
# What a user's fragments are laid on, and those fragments.
ARM = ("arm-dom0", "arm-driver-domain")
USERS = {"x86": ("x86_64_defconfig", ("dom0", "driver-domain")), "arm64": ("defconfig", ARM),
         "arm": ("multi_v7_defconfig", ARM)}

# Debian's sparse does not know the operator that newer kernels use; taking it for typeof
# keeps the qualifiers, which is all the difference.
CHECK = "sparse -D__typeof_unqual__=__typeof__"
ENDED = "ended with status"


def text(name):
    """The text of a file of ours."""
    return (TOP / name).read_text(encoding="utf-8", errors="replace")


def says(*command, stdout=subprocess.PIPE, **options):
    """All that a command has to say, and how it ended if that was not well."""
    stderr = subprocess.STDOUT if stdout == subprocess.PIPE else subprocess.PIPE
    done = subprocess.run([str(word) for word in command], check=False, stdin=subprocess.DEVNULL, stdout=stdout,
                          stderr=stderr, text=True, errors="replace", **{"cwd": TOP, **options})
    return (done.stdout or done.stderr or "") + (f"{ENDED} {done.returncode}\n" if done.returncode else "")


def silent(*command):
    """The command succeeds and says nothing."""
    said = says(*command)
    assert not said, said


SHELL = [name for name in ours() if re.match(r"#!/bin/(ba)?sh|(#.*\n)?# shellcheck shell=", text(name))]
SOURCES = ours("*.c", "*.h", "*.dts", "*.dtsi", "*.yaml")
DRIVER = ours("drivers/*.[ch]", "arch/*.[ch]", "include/*.h")
GOOD, BAD = ([Path(name).stem for name in ours(f"tests/binding/{kind}-*.dts")] for kind in ("good", "bad"))
SCHEMAS = [name[len(BINDINGS) + 1:] for name in ours(f"{BINDINGS}/*.yaml")]


def case(kver, *more):
    """A parameter that begins with a series; all but the default one are for make check-all."""
    marks = [pytest.mark.xdist_group("-".join(("static", kver, *more[:1])))]
    return pytest.param(kver, *more, id="-".join((kver, *more)),
                        marks=marks if kver == next(iter(KERNELS)) else [*marks, pytest.mark.full])


SERIES = [case(kver) for kver in KERNELS]
# Linux 6.1 has the driver for x86 only.
TARGETS = [(kver, arch) for kver in KERNELS for arch in COMPILED if arch == "x86" or kver != "6.1"]


@pytest.fixture(scope="session", autouse=True)
def packages():
    """All that is used here."""
    base.need(*BUILD_PACKAGES, "git", "shellcheck", "sparse", "dt-schema", "yamllint", "device-tree-compiler",
              "coccinelle", "pyflakes3", "pycodestyle", *ARCHES["arm64"].packages, *ARCHES["arm"].packages)


@pytest.mark.parametrize("name", SHELL)
def test_shellcheck(name):
    """ShellCheck."""
    silent("shellcheck", "-x", name)


@pytest.mark.parametrize("name", ours("*.py"))
def test_python(name):
    """What is wrong, and what is ugly, in Python."""
    silent("pyflakes3", name)
    # Tabs stand in device trees and shell scripts that are strings.
    silent("pycodestyle", "--max-line-length=120", "--ignore=E1,W1,W5", name)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("kver", [case("6.12"), case(NEWEST)])
def test_checkpatch(once, kver, name):
    """checkpatch.pl --strict. One run for all files: to start it for each would double the time."""
    def check(place):
        # The compat header is where the kernel's version is looked at. Tracepoints are written as they are everywhere.
        compat = [name for name in SOURCES if name.endswith("compat.h")]
        trace = [name for name in SOURCES if name.startswith("include/trace/")]
        command = [fetch.linux(kver) / "scripts/checkpatch.pl", "--no-tree", "--no-summary", "--terse", "--strict",
                   "--quiet", "--show-types"]
        said = says(*command, "--file", *(name for name in SOURCES if name not in compat + trace)) + \
            says(*command, "--ignore", "LINUX_VERSION_CODE,CONSTANT_COMPARISON", "--file", *compat) + \
            says(*command, "--ignore", "OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT", "--file", *trace)
        assert all(line.split(":")[0] in SOURCES or line == f"{ENDED} 1" for line in said.splitlines()), said
        (place / "said").write_text(said)

    said = (once(f"checkpatch-{kver}", check) / "said").read_text().splitlines()
    # That name is the kernel's own.
    assert not [line for line in said if line.startswith(f"{name}:") and "<__ClearPageReported>" not in line]


@pytest.mark.parametrize("name", DRIVER)
def test_kernel_doc(name):
    """The kernel-doc comments are whole."""
    silent(fetch.linux("6.12") / "scripts/kernel-doc", "-none", "-Wall", name)


@pytest.mark.parametrize("pattern, names", [
    pytest.param(r"\bBUG(_ON)?\(", DRIVER, id="the driver does not stop the machine"),
    pytest.param("LINUX_VERSION_CODE|KERNEL_VERSION", [name for name in DRIVER if not name.endswith("compat.h")],
                 id="the kernel's version is looked at in the compat header only"),
    pytest.param(r"(^|[^\w.}$*])/(root|work|home/\w+)/", ours(), id="no path of one machine"),
    pytest.param(r"\b(TO[D]O|FIX[M]E|X{3})\b", ours(), id="nothing is left to be done"),
])
def test_nowhere(pattern, names):
    """No line of these files matches."""
    found = [f"{name}: {line}" for name in names for line in text(name).splitlines() if re.search(pattern, line)]
    assert not found, "\n".join(found)


def test_no_mirror():
    """No host that packages come from is named."""
    sites = says("apt-get", "indextargets", "--format", "$(SITE)").split()
    hosts = {re.sub(r"^\w+:/*([^/@]*@)?|[/:].*$", "", site) for site in sites} - {"", "localhost"}
    assert hosts
    test_nowhere("|".join(map(re.escape, hosts)), ours())


class Tree:
    """A tree with the driver laid over it, for this alone, and a build directory in it."""

    def __init__(self, once, kver, arch="x86"):
        self.kernel = build.Kernel(arch, kver)
        self.path = base.cache() / "tree" / f"{kver}-static"
        self.out = self.path / f"build-{arch}"

        def lay(_):
            base.make_dirs(self.path.parent)
            with base.lock(f"tree-{self.path.name}"):
                build.link_tree(self.path, f"{fetch.linux(kver)} {build.GRAFT}", base.log_path(f"static-{kver}-tree"))
                graft.lay(self.path)
        once(f"laid-{kver}", lay)

    def make(self, *targets, **variables):
        """What make has to say."""
        command = self.kernel.make(*targets, **{"O": self.out, "V": 0, "CHECK": CHECK, **variables})
        command[command.index("-C") + 1] = self.path
        return says(*command, stdout=subprocess.DEVNULL, env=base.compiler_cache())

    def configure(self, out, basis, fragment, *more):
        """Configure, when what goes into it has changed, and make what else is needed then; returns the result."""
        path, known = TOP / "configs" / f"{fragment}.config", out / ".from"
        stamp = f"{basis} {CHECK}\n" + "".join(file.read_text() for file in (
            path, TOP / "drivers/xen/dma/Kconfig", self.path / "Makefile"))
        with base.lock(f"{self.path.name}-{out.name}"):
            if not known.exists() or known.read_text() != stamp:
                base.make_dirs(out)
                said = self.make(basis, O=out)
                said += says(self.path / "scripts/kconfig/merge_config.sh", "-m", "-O", out, ".config", path, cwd=out,
                             stdout=subprocess.DEVNULL)
                said += "".join(self.make(target, O=out, W=1) for target in ("olddefconfig", *more))
                assert ENDED not in said, said
                known.write_text(stamp)
        return (out / ".config").read_text().splitlines()

    def listed(self, makefile):
        """The objects that a Makefile of the kernel's kind names; of those made of several, the parts."""
        rules = f"ARCH := {self.kernel.arch}\nSRCARCH := $(ARCH)\n" \
            f"include {self.out}/include/config/auto.conf {makefile}\n" \
            "parts = $(or $(strip $($(1:.o=-y)) $($(1:.o=-objs))),$(1))\n" \
            "all: ; @echo $(sort $(foreach o,$(obj-y) $(obj-m),$(call parts,$(o))))\n"
        return subprocess.run(["make", "-s", "-f", "-", "all"], input=rules, cwd=TOP, check=True, text=True,
                              stdout=subprocess.PIPE).stdout.split()

    def objects(self):
        """Our objects in the kernel, and those of test modules."""
        arch = self.kernel.arch
        self.configure(self.out, *COMPILED[arch], "modules_prepare")
        return (["drivers/xen/swiotlb-xen.o",
                 *(f"drivers/xen/dma/{name}" for name in self.listed("drivers/xen/dma/Makefile")),
                 *(name[:-1] + "o" for name in ours(f"arch/{arch.removesuffix('64')}/*.c"))],
                self.listed(f"{MODULES}/Kbuild"))

    def compile(self):
        """What compiler and sparse say of them. What they complain of is compiled again the next time."""
        kernel, modules = self.objects()
        place, known = self.out / "modules", self.out / ".silent"
        base.make_dirs(place)
        silent("rsync", "-rc", f"{MODULES}/", "demo/xen_dma_demo.c", place)
        if self.kernel.arch == "x86":
            with open(place / "Kbuild", "a", encoding="utf-8") as file:
                file.write("obj-m += xen_dma_demo.o\n")
            modules.append("xen_dma_demo.o")
        if self.kernel.arch == "arm64":     # as the architecture's Makefile names them
            kernel = [re.sub("^arch/", "arch/arm64/xen/../../", name) for name in kernel]
        if not known.exists():
            for path in [self.out / name for name in kernel] + [*place.glob("*.o")]:
                path.unlink(missing_ok=True)
        known.unlink(missing_ok=True)
        # C=1 looks at what is compiled now; C=2 would look at stock files too. 7.3 describes modules by constants
        # that this sparse can't evaluate; what it has to say of the test modules it says on the other versions.
        said = self.make(*kernel, W=1, C=1) + \
            self.make(*modules, W=1, C=int(self.kernel.kver != NEWEST), M=place)
        if not said:
            known.touch()
        return said


@pytest.mark.parametrize("kver, arch", [case(*target) for target in TARGETS])
def test_compile(once, kver, arch):
    """sparse and W=1 say nothing of our objects and test modules; none divides 64 bits by 64 with the compiler's
    function for it, which no 32-bit kernel has."""
    tree = Tree(once, kver, arch)
    said = tree.compile()
    assert not said, said
    if arch == "arm":
        objects = [*(tree.out / name for name in tree.objects()[0]), *(tree.out / "modules").glob("*.o")]
        missing = says(ARCHES[arch].cross + "nm", "-A", "-u", *objects)
        assert ".o:" in missing and not re.findall(".*ldivmod", missing)


@pytest.mark.xdist_group("static-6.12-arm")
def test_no_source_left_out(once):
    """Every source is compiled for some architecture, but those of the KUnit tests, which are not for Xen."""
    kernel, modules = zip(*(Tree(once, "6.12", arch).objects() for arch in COMPILED))
    compiled = {name[:-1] + "c" for name in [*sum(kernel, []), *(f"{MODULES}/{name}" for name in sum(modules, []))]}
    names = ours("drivers/*.c", "arch/*.c", f"{MODULES}/*.c")
    assert not [name for name in names if name not in compiled and "/dma/tests/" not in name]


@pytest.mark.parametrize("kver, arch, name",
                         [case(*target, name) for target in TARGETS for name in USERS[target[1]][1]])
def test_merges(once, kver, arch, name):
    """In a distribution-like configuration every line of a fragment holds, but for what a line "# only ARCH"
    before it keeps from this architecture."""
    tree = Tree(once, kver, arch)
    config = tree.configure(tree.path / f"build-{arch}-{name}", USERS[arch][0], name)
    lines = ["", *text(f"configs/{name}.config").splitlines()]
    wanted = {line for before, line in zip(lines, lines[1:]) if line.startswith("CONFIG_") and
              (not before.startswith("# only ") or before.split()[2] == arch)}
    assert wanted and not wanted - set(config)


@pytest.mark.full
@pytest.mark.xdist_group(f"static-{NEWEST}-x86")
@pytest.mark.parametrize("part", ["admin-guide", "core-api", "driver-api"])
def test_htmldocs(once, part):
    """make htmldocs has nothing to say of our pages in a part of the documentation, nor of what it finds there of our
    ABI files. Pages of other parts can't be found by it; the whole takes hours."""
    base.need("python3-sphinx", "python3-yaml", "graphviz", "librsvg2-bin")
    tree = Tree(once, NEWEST)
    out = tree.path / "build-docs"
    # What has not changed is not read again.
    shutil.rmtree(out, ignore_errors=True)
    base.make_dirs(out)
    said = says("make", "-C", tree.path, f"O={out}", f"SPHINXDIRS={part}", "htmldocs", timeout=3600)
    pages = [name for name in ours("Documentation/*.rst") if name.startswith(f"Documentation/{part}/")]
    assert pages and ENDED not in said, said[-3000:]
    made = out / "Documentation/output"
    assert not [name for name in pages if not (made / name[14:]).with_suffix(".html").exists()]
    of_ours = re.compile("|".join(map(re.escape, (*pages, *ours("Documentation/ABI/*")))))
    assert not [line for line in said.splitlines()
                if of_ours.search(line) and "WARNING: unknown document: '/" not in line]


def schemas(once, kver):
    """The binding, with what the tree has for the same node, as dt-validate reads it; and what was said of it."""
    def make(place):
        (place / "bindings/arm").mkdir(parents=True)
        for path in (Tree(once, kver).path / BINDINGS / "arm").glob("xen*.yaml"):
            shutil.copy(path, place / "bindings/arm")
        (place / "said").write_text(says("dt-mk-schema", "-j", "-o", place / "schemas.json", place / "bindings"))
    return once(f"schemas-{kver}", make)


def complaints(once, kver, dts, place):
    """What is wrong with a device tree, by every schema that the tree has for its nodes."""
    dtb = place / f"{dts.stem}.dtb"
    return says("dtc", "-Wno-unique_unit_address", "-Wunique_unit_address_if_enabled", "-O", "dtb", "-o", dtb, dts) + \
        says("dt-validate", "-u", Tree(once, kver).path / BINDINGS, "-s", schemas(once, kver) / "schemas.json", dtb)


@pytest.mark.parametrize("kver", SERIES)
def test_schemas(once, kver):
    """They can be read."""
    assert not (schemas(once, kver) / "said").read_text()


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("kver", SERIES)
def test_binding(once, tmp_path, kver, name):
    """What the tree's own dt_binding_check would look at: the file, its style, its examples."""
    tree, example = Tree(once, kver).path, tmp_path / "example.dts"
    style = tree / "scripts/dtc/dt-check-style"
    silent("yamllint", "-f", "parsable", "-c", tree / BINDINGS / ".yamllint", tree / BINDINGS / name)
    silent("dt-doc-validate", "-u", tree / BINDINGS, tree / BINDINGS / name)
    if style.exists():
        silent("/usr/bin/python3", style, "--mode=strict", tree / BINDINGS / name)
    with open(example, "w", encoding="utf-8") as file:
        assert not says("dt-extract-example", tree / BINDINGS / name, stdout=file)
    assert not complaints(once, kver, example, tmp_path)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("kver", SERIES)
def test_accepted(once, tmp_path, kver, name):
    """A good device tree."""
    assert not complaints(once, kver, TOP / f"tests/binding/{name}.dts", tmp_path)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("kver", SERIES)
def test_rejected(once, tmp_path, kver, name):
    """There are complaints about the property that a bad device tree names, and about nothing else."""
    bad = re.search(r"^/\* rejected: (.*) \*/$", text(f"tests/binding/{name}.dts"), re.M)[1]
    said = complaints(once, kver, TOP / f"tests/binding/{name}.dts", tmp_path)
    assert f"{bad}:" in said and all(bad in line for line in said.splitlines() if ".dtb: " in line), said
