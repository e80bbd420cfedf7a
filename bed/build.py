# SPDX-License-Identifier: GPL-2.0
"""Build one kernel, with our driver laid over it or as it comes (--stock): the image, its
modules, and all that a module of one's own is built against. For User Mode Linux (um) the
driver and its KUnit tests are built into a stock kernel. Prints the build directory; a
module is built against it with make -C DIRECTORY M=...

The source is a copy of the stock tree made of hard links, on which the graft works; the
build lies in a directory of that copy, so that all paths a compiler sees are relative and
the same for stock and ours: ccache then serves one from the other. All lies in the cache.

Environment: ARCH, KVER (but not for um), FLAVOUR and STOCK=1 are the same as the options;
KSRC=DIR is a kernel tree of your own, which is copied and never changed; JOBS=N at a time;
V=1 shows the compiler at work.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bed import base, fetch, graft
from bed.base import TOP, Failure, cache, log_path
from bed.known import ARCHES, BUILD_PACKAGES, FLAVOURS, KERNELS, UML_KERNEL, one_of

# What tells a kernel tree, and what earlier builds leave in one.
KERNEL_FILES = ("Makefile", "Kconfig", "kernel/dma/swiotlb.c", "arch/x86/Kconfig", "scripts/kconfig/merge_config.sh")
BUILT = ("/.git", "*.o", "*.ko", "*.mod", "*.mod.c", ".*.cmd", ".*.d", "/vmlinux", "/build-*", "/.config*",
         "/include/config", "/include/generated", "/arch/*/include/generated",
         "/xen/.config*", "/xen/include/config", "/xen/include/generated", "/xen/xen")

# The graft's form: when it changes, trees that an older graft has touched are made afresh.
GRAFT = "graft 2"


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--arch", metavar="A", help=f"{' '.join(ARCHES)}; the default is the first")
    parser.add_argument("--kver", metavar="V",
                        help=f"{' '.join(KERNELS)}; the default is the first, for um it is {UML_KERNEL}")
    parser.add_argument("--flavour", metavar="F",
                        help="configs/ARCH-F.config: " + "; ".join(
                            f"{arch}: " + " ".join(name for where, name in FLAVOURS if where == arch)
                            for arch in dict.fromkeys(arch for arch, _ in FLAVOURS)))
    parser.add_argument("--stock", action="store_true", default=None, help="the same kernel without our graft")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--print-builddir", action="store_true", help="build nothing, print where the build lies")
    shown.add_argument("--print-tree", action="store_true", help="build nothing, print where its source lies")


def main(args):
    """Build; the standard output is one line."""
    kernel = Kernel.from_environment(arch=args.arch, kver=args.kver, flavour=args.flavour, stock=args.stock)
    if args.print_builddir:
        print(kernel.builddir)
    elif args.print_tree:
        print(kernel.tree)
    else:
        print(kernel.build())


def cksum(data):
    """A short sum, to tell whether something has changed."""
    return subprocess.run(["cksum"], input=data, check=True, stdout=subprocess.PIPE).stdout.decode().strip()


@dataclass(frozen=True)
class Kernel:
    """A kernel, by what tells it from others. Refuses what is not known."""

    arch: str = "x86"
    kver: str = None
    flavour: str = "test"
    stock: bool = False
    ksrc: str = None

    def __post_init__(self):
        one_of("architecture", self.arch, ARCHES)
        one_of("flavour", self.flavour, [flavour for arch, flavour in FLAVOURS if arch == self.arch])
        um = self.arch == "um"
        object.__setattr__(self, "kver", self.kver or (UML_KERNEL if um else next(iter(KERNELS))))
        if um and self.stock:
            raise Failure("--arch um runs the driver's tests; there is no --stock of it")
        if self.ksrc:
            object.__setattr__(self, "ksrc", own_tree(self.ksrc))
        elif fetch.known_series(self.kver) != UML_KERNEL and um:
            raise Failure(f"--arch um needs --kver {UML_KERNEL}, not {self.kver}")

    @classmethod
    def from_environment(cls, **given):
        """As the environment's variables say, where nothing is given."""
        said = {"arch": os.environ.get("ARCH"), "flavour": os.environ.get("FLAVOUR"), "ksrc": os.environ.get("KSRC"),
                "stock": os.environ.get("STOCK", "") not in ("", "0")}
        said.update({name: value for name, value in given.items() if value is not None})
        if said["arch"] != "um":
            said.setdefault("kver", os.environ.get("KVER"))
        return cls(**{name: value for name, value in said.items() if value})

    @property
    def series(self):
        """The source's name: Debian's series, or one for a tree of the user's."""
        return own_id(self.ksrc) if self.ksrc else self.kver

    @property
    def name(self):
        """Such as "x86-6.12-test-stock"."""
        return f"{self.arch}-{self.series}-{self.flavour}" + ("-stock" if self.stock else "")

    @property
    def tree(self):
        """The source that is compiled."""
        return cache() / "tree" / (self.series + ("-um" if self.arch == "um" else "-stock" if self.stock else ""))

    @property
    def out(self):
        """Where the build really lies."""
        return self.tree / f"build-{self.arch}-{self.flavour}"

    @property
    def builddir(self):
        """The same under a name that stays."""
        return cache() / "build" / self.name

    @property
    def image(self):
        """What is booted."""
        return self.builddir / ARCHES[self.arch].image

    def make(self, *targets, **variables):
        """The command that makes something in the tree, to be run in compiler_cache(): the same
        names and times in every build, for ccache's sake."""
        cross = ARCHES[self.arch].cross
        values = {"O": self.out, "ARCH": self.arch, "CROSS_COMPILE": cross, "CC": f"ccache {cross}gcc",
                  "HOSTCC": "ccache gcc", "LOCALVERSION": "", "KBUILD_BUILD_USER": "user", "KBUILD_BUILD_HOST": "host",
                  "KBUILD_BUILD_VERSION": "1", "KBUILD_BUILD_TIMESTAMP": "Thu Jan 1 00:00:00 UTC 1970",
                  "V": os.environ.get("V") or "0", **variables}
        return ["make", "-C", str(self.tree), "-j", base.jobs(), *(f"{name}={value}" for name, value in values.items()),
                *targets]

    def log(self, what):
        """The log of one of its stages."""
        return log_path(f"build-{self.name}-{what}")

    def build(self):
        """Build what has changed; returns the build directory."""
        base.need(*BUILD_PACKAGES, *ARCHES[self.arch].packages)
        base.make_dirs(cache() / "tree", cache() / "build", cache() / "ccache")
        source = None if self.ksrc else fetch.linux(self.kver)
        with base.lock(f"tree-{self.tree.name}"):
            origin = str(source) if source else copy_own(self.ksrc, self.series, f"build-{self.name}")
            self._lay(origin)
            base.make_dirs(self.out)
            link = self.builddir.with_name(f"{self.name}.{os.getpid()}")
            link.symlink_to(f"../tree/{self.tree.name}/{self.out.name}")
            link.replace(self.builddir)
            self.configure()
            self.compile(f"{self.arch}, {self.flavour}{', stock' if self.stock else ''}")
        return self.builddir

    def compile(self, about):
        """All that is booted or loaded."""
        with base.stage(f"compile Linux {fetch.tree_version(self.tree)} ({about})", self.log("make")) as run:
            run(self.make(*ARCHES[self.arch].targets), env=base.compiler_cache())

    def _lay(self, source):
        """The tree with the driver or its tests, made afresh when its source is not that of before."""
        ours = not self.stock and self.arch != "um"
        link_tree(self.tree, f"{source} {GRAFT}" if ours else source, self.log("tree"))
        version = fetch.tree_version(self.tree)
        if self.arch == "um":
            with base.stage(f"lay the tests over Linux {version}", self.log("lay")) as run:
                lay_tests(self.tree, run)
        elif ours:
            with base.stage(f"lay the driver over Linux {version}", self.log("graft")):
                graft.lay(self.tree)

    def configure(self):
        """Configure when the fragments, or the driver's options, are not those of before."""
        fragments = [TOP / "configs" / f"{self.arch}-{name}.config" for name in FLAVOURS[self.arch, self.flavour]]
        options = sorted(self.tree.glob("drivers/xen-dma/Kconfig" if self.arch == "um" else "drivers/xen/**/Kconfig"))
        stamp = cksum(b"".join(path.read_bytes() for path in [*fragments, self.tree / "Makefile", *options]))
        known = self.out / ".configured"
        if known.is_file() and known.read_text().strip() == stamp:
            return
        env = base.compiler_cache()
        with base.stage(f"configure {self.flavour}", self.log("config")) as run:
            run(self.make("tinyconfig"), env=env)
            run([self.tree / "scripts/kconfig/merge_config.sh", "-m", "-O", self.out, ".config", *fragments],
                cwd=self.out, env=env)
            run(self.make("olddefconfig"), env=env)
        missing = unmet(self.out / ".config", fragments)
        if missing:
            raise Failure(f"these came out otherwise than configs/ asks for: {' '.join(missing)} "
                          f"(see {self.out}/.config)")
        known.write_text(stamp + "\n")


def install_kselftest(kernel, tree, place):
    """The kselftest of a tree with our driver, built for a kernel, stock or ours; returns where it is installed."""
    cross = ARCHES[kernel.arch].cross
    machine = [f"ARCH={kernel.arch}", f"CROSS_COMPILE={cross}", f"CC={cross}gcc"] if cross else []
    base.make_dirs(place)
    with base.stage(f"build the kselftest ({kernel.name})", log_path(f"kselftest-{kernel.name}")) as run:
        run(["make", "-C", tree / "tools/testing/selftests", "TARGETS=xen-dma", "FORCE_TARGETS=1", *machine,
             f"KDIR={kernel.builddir}", f"O={place}/obj", f"INSTALL_PATH={place}/install", "install"])
    return place / "install"


def build_modules(kernel, source, place):
    """The modules of a directory, built for a kernel in a fresh copy of it."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place)
    with base.stage(f"build {source.relative_to(TOP)} ({kernel.name})", log_path(f"modules-{kernel.name}")) as run:
        run(["make", "-C", kernel.builddir, f"M={place}", "modules"])
    return place


def own_id(path):
    """A name for a tree of the user's."""
    return "own-" + cksum(f"{path}\n".encode()).split()[0]


def copy_own(own, name, log):
    """A tree of the user's into the cache, without what git and earlier builds left in it; returns what tells it.

    Anything new in it gives the copy a new stamp before the copying: the linked trees are then made
    afresh, even if that is interrupted. Only what changed has a new time, so only that is compiled again.
    """
    pristine, stamp = cache() / "src" / name, cache() / "src" / f"{name}.stamp"
    base.make_dirs(pristine)
    rsync = ["rsync", "-ai", "--delete", "--delete-excluded", *(f"--exclude={name}" for name in BUILT),
             f"{own}/", f"{pristine}/"]
    with base.lock(name):
        with base.stage(f"compare {own}", log_path(f"{log}-compare")) as run:
            run([*rsync, "--dry-run"])
        if log_path(f"{log}-compare").stat().st_size:
            stamp.write_text(f"{time.time_ns()}\n")
            with base.stage(f"copy {own}", log_path(f"{log}-copy")) as run:
                run(rsync)
        return f"{pristine} {stamp.read_text().strip()}"


def link_tree(tree, origin, log, change=None):
    """A copy of hard links, unless it is there; whole or not at all. Builds in an older one move over to it.

    The first word of `origin` is where it is copied from; change(run, directory) then works on it.
    """
    known = tree / ".origin"
    if known.is_file() and known.read_text().strip() == origin:
        return
    source = Path(origin.split()[0])
    part, old = (tree.with_name(tree.name + end) for end in (".part", ".old"))
    with base.stage(f"make a tree of {source.name}", log) as run:
        run(["rm", "-rf", part, old])
        run(["cp", "-al", source, part])
        if change:
            change(run, part)
        (part / ".origin").write_text(origin + "\n")
        for build in tree.glob("build-*"):
            build.rename(part / build.name)
        if tree.exists():
            tree.rename(old)
        part.rename(tree)
        run(["rm", "-rf", old])


def own_tree(ksrc):
    """The full path of a tree of the user's, which must be a kernel's."""
    path = Path(ksrc)
    if not path.is_dir():
        raise Failure(f"KSRC={ksrc} is no directory")
    for file in KERNEL_FILES:
        if not (path / file).is_file():
            raise Failure(f"KSRC={ksrc} is no kernel tree: it has no {file}")
    return str(path.resolve())


def settings(path):
    """What a configuration sets: (symbol, value, is the line before "# optional"?) each."""
    before = ""
    for line in path.read_text().splitlines():
        if found := re.match(r"(?:(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set)$", line):
            yield found[1] or found[3], found[2] if found[1] else "n", before == "# optional"
        before = line


def unmet(config, fragments):
    """The settings that did not come out as the last fragment asks."""
    got = {symbol: value for symbol, value, _ in settings(config)}
    want = {symbol: (value, optional) for path in fragments for symbol, value, optional in settings(path)}
    return [f"{symbol}={value}" for symbol, (value, optional) in want.items()
            if got.get(symbol, "n") != value and not (optional and got.get(symbol, "n") == "n")]


def mend(path, line):
    """Add a line to a file of the tree, which is from then on its own and no longer a link to the stock one."""
    text = path.read_text()
    if line not in text.splitlines():
        new = path.with_name(path.name + ".new")
        new.write_text(f"{text}{line}\n")
        new.replace(path)


def lay_tests(tree, run):
    """The driver and its tests into a directory of the tree, where Kbuild says what is built. What has
    not changed keeps its time, so that it is not compiled again."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(TOP / "tests/uml", place, dirs_exist_ok=True)
        shutil.copytree(TOP / "include", f"{place}/include", ignore=shutil.ignore_patterns("arm"), dirs_exist_ok=True)
        shutil.copytree(TOP / "drivers/xen", place, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("Kconfig", "Makefile"))
        run(["rsync", "-rci", "--delete", f"{place}/", tree / "drivers/xen-dma/"])
    mend(tree / "drivers/Makefile", "obj-$(CONFIG_XEN_DMA_KUNIT_TEST) += xen-dma/")
    mend(tree / "drivers/Kconfig", 'source "drivers/xen-dma/Kconfig"')
