# SPDX-License-Identifier: GPL-2.0
"""Are the tests worth anything? Put one deliberate fault after the other into the driver
(tests/mutants.toml lists them) and run the tests, which have to notice. A fault that
no test notices survives, and is shown.

The faults go into a copy of the checkout with builds of its own. The unit tests judge
the driver, in the kernel with KASAN and lockdep if the plain one notices nothing;
the kselftest in a dom0 judges what only an exchange with Xen shows, and in the bed that
a fault names what only a domain on ARM shows. Where a fault names steps of the whole
system, each of them has to notice it.
"""

import re
import shutil
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from bed import base, check, fetch, known, system
from bed.base import Failure

TABLE = base.TOP / "tests" / "mutants.toml"

# The tests that look at exchanged memory, in a dom0: the bed with its kernel, and scripts.
EXCHANGE = f"x86-{next(iter(known.KERNELS))}", "map coherent coherent_fault coherent_conserve"


@dataclass(frozen=True)
class Mutant:
    """A fault: in the checkout's file `path` the text `old` becomes `new`.

    `bed` and `scripts` are the kselftest that judges it, `steps` are those of scripts/bed system, `tests` are pytest's
    names of others that boot the default kernel; of none the unit tests do.
    """

    name: str
    path: Path
    old: str
    new: str
    bed: str = ""
    scripts: str = ""
    steps: str = ""
    tests: str = ""

    @property
    def kernel(self):
        """The kernel that it is judged in, as words for build.Kernel."""
        if self.steps:
            return {"arch": "x86", "kver": next(iter(known.KERNELS)), "flavour": system.FLAVOUR}
        if self.tests:
            return {"arch": "x86", "kver": next(iter(known.KERNELS))}
        if not self.bed:
            return {"arch": "um"}
        return {"arch": self.bed.partition("-")[0], "kver": self.bed.rpartition("-")[2]}

    @property
    def boots(self):
        """The tests that boot machines for it: lists of which each has to notice it."""
        if self.steps:
            return [[f"tests/test_system.py::test_step[{step}]"] for step in self.steps.split()]
        if self.tests:
            return [[name] for name in self.tests.split()]
        return self.bed and [[f"tests/test_kselftest.py::test_kselftest[{self.bed}-{script}.sh]"
                              for script in self.scripts.split()]]

    def changed(self, top):
        """The file's text in a checkout, with the fault."""
        text = Path(top, self.path).read_text(encoding="utf-8")
        if text.count(self.old) != 1 or self.old == self.new:
            raise Failure(f"{self.name}: its old text stands {text.count(self.old)} times in {self.path}, "
                          "or does not change; mend tests/mutants.toml")
        return text.replace(self.old, self.new)


def table():
    """The faults, by name."""
    found = {}
    for file, mutants in tomllib.loads(TABLE.read_text(encoding="utf-8")).items():
        exchange = file.startswith("mmu")
        path = Path("arch/x86/xen" if exchange else "drivers/xen", file)
        for name, texts in mutants.items():
            judge = [texts.get(word, "") for word in ("bed", "scripts", "steps", "tests")]
            found[name] = Mutant(name, path, texts["old"], texts["new"],
                                 *(EXCHANGE if exchange and not any(judge) else judge))
    return found


def compile_one(mutant, kernel):
    """Compile the file with its fault as it was compiled for a kernel; returns what the compiler has to say."""
    place, stem = mutant.path.parent, mutant.path.stem
    if kernel.arch == "um":
        place = "drivers/xen-dma" / place.relative_to("drivers/xen")

    def told(stem):
        """Where the compiler's words for a file are."""
        return kernel.out / place / f".{stem}.o.cmd"
    if mutant.path.suffix == ".h":      # some file that includes it and is a part of that kernel
        stem = next(path.stem for path in sorted((base.TOP / mutant.path.parent).glob("*.c"))
                    if told(path.stem).exists() and
                    f'#include "{mutant.path.name}"' in path.read_text(encoding="utf-8"))
    words = told(stem).read_text(encoding="utf-8").split("\n", 1)[0].split(" := ", 1)[1]
    with tempfile.TemporaryDirectory() as top:
        shutil.copytree(base.TOP / mutant.path.parent, top, dirs_exist_ok=True)
        Path(top, mutant.path.name).write_text(mutant.changed(base.TOP), encoding="utf-8")
        # The compiler alone, with files of our own for those that it reads and writes.
        command = re.sub(r"-Wp,-MMD,\S+", "", words.split(" ; ")[0])
        command = command.replace(f"-o {place}/{stem}.o", f"-o {top}/{stem}.o")
        command = re.sub(rf"\S*/{stem}\.c(?=\s|$)", f"{top}/{stem}.c", command)
        return subprocess.run(command, shell=True, check=False, cwd=kernel.out, env=base.compiler_cache(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


class Copy:
    """A copy of the checkout, with a cache of its own but for sources and compiler results."""

    def __init__(self):
        self.place = base.cache() / "mutants"
        self.top = self.place / "checkout"
        base.make_dirs(self.top, self.place / "xen-dma")
        for shared in ("src", "img", "ccache"):
            base.make_dirs(base.cache() / shared)
            link = self.place / "xen-dma" / shared
            if not link.is_symlink():
                link.symlink_to(base.cache() / shared)
        self.env = dict(check.environment(), XDG_CACHE_HOME=str(self.place), PYTHONPATH=str(self.top))

    def fresh(self, mutant=None):
        """The copy is as the checkout is, but for the fault."""
        subprocess.run(["rsync", "-a", "--checksum", "--delete", "--exclude=/.git", "--exclude=__pycache__",
                        f"{base.TOP}/", f"{self.top}/"], check=True)
        if mutant:
            (self.top / mutant.path).write_text(mutant.changed(base.TOP), encoding="utf-8")

    def run(self, log, *words):
        """Run a command in the copy; returns its exit status and standard output."""
        with open(log, "w", encoding="utf-8") as errors:
            process, output, _ = base.communicate(words, cwd=self.top, env=self.env, stdout=subprocess.PIPE,
                                                  stderr=errors, text=True)
            errors.write(output)
        return process.returncode, output

    def kunit(self, name, flavour):
        """Which unit test notices the fault?"""
        log = base.log_path(f"mutant-{name}-{flavour}")
        status, output = self.run(log, "scripts/bed", "kunit", "--flavour", flavour, "--timeout", 600)
        if not re.search(r"^\d+ passed, \d+ failed$", output, re.M):
            raise Failure(f"{name}: the tests could not be built (log: {log}); mend tests/mutants.toml")
        return status and flavour + ": " + first(r"not ok: (.*)", output, log)

    def boots(self, name, mutant, some=any):
        """Do its boots notice the fault: all, or some? Returns what the first says that does."""
        log = base.log_path(f"mutant-{name}-boots")
        words = [word for option, value in mutant.kernel.items() for word in (f"--{option}", value)]
        if self.run(log, "scripts/bed", "build", *words)[0]:
            raise Failure(f"{name}: does not compile (log: {log}); mend tests/mutants.toml")
        told = []
        for tests in mutant.boots:
            status, output = self.run(log, "/usr/bin/python3", "-m", "pytest", "-q", *tests)
            if status not in (0, 1):
                raise Failure(f"{name}: the tests could not begin (log: {log})")
            told.append(status and first(r"E {3,}(?!AssertionError)(?:not ok: )?(\S.*)", output, log))
            if not status and some is all:
                print(f"          {name}: not noticed by {tests[0]}", flush=True)
        return some(told) and next(filter(None, told))

    def noticed(self, mutant):
        """Which test notices the fault? None or 0 for none."""
        self.fresh(mutant)
        if mutant.boots:
            return self.boots(mutant.name, mutant, all)
        return self.kunit(mutant.name, "test") or self.kunit(mutant.name, "debug")


def first(pattern, output, log):
    """What the first test that failed is called, else the log's last line."""
    found = re.search("^" + pattern, output, re.M)
    return found[1] if found else Path(log).read_text(encoding="utf-8", errors="replace").rstrip().split("\n")[-1]


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--list", action="store_true", help="only tell their names")
    parser.add_argument("name", nargs="*", metavar="NAME", help="only these faults")


def main(args):
    """Run them; 0 when every fault was noticed."""
    mutants = table()
    if args.list:
        print("\n".join(mutants))
        return 0
    for name in args.name:
        if name not in mutants:
            raise Failure(f"no such fault: '{name}' (see --list)")
    chosen = [mutants[name] for name in args.name or mutants]
    base.need(*check.PACKAGES, *known.BUILD_PACKAGES)
    survivors = []
    with base.lock("mutants"):
        copy = Copy()
        copy.fresh()
        for mutant in {str(mutant.boots): mutant for mutant in chosen}.values():
            # Under the cache's own locks; the copy finds it then.
            fetch.linux(mutant.kernel.get("kver", known.UML_KERNEL))
            if mutant.boots:
                fetch.xen(mutant.kernel["arch"])
            by = copy.boots("none", mutant) if mutant.boots else copy.kunit("none", "test")
            if by:
                raise Failure(f"the tests fail without any fault: {by} (logs: {base.log_path('mutant-none-*')})")
        for mutant in chosen:
            by = copy.noticed(mutant)
            print(f"noticed   {mutant.name}: {by}" if by else f"SURVIVED  {mutant.name}", flush=True)
            if not by:
                survivors.append(mutant.name)
    if survivors:
        print("Survivors:", *survivors)
    print(f"{len(chosen) - len(survivors)} noticed, {len(survivors)} survived")
    return 1 if survivors else 0
