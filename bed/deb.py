# SPDX-License-Identifier: GPL-2.0
"""Build Debian packages of a kernel with our driver from a distribution's configuration, for
installing on a dom0: linux-image and linux-headers, of a version that ends with "-xen-dma".
Prints the packages' files.

The configuration is the given one, /boot/config-... of the running system for instance, or with
"debian" the one that Debian's own kernel of that series has. On it are laid configs/dom0.config,
what a dom0 with the driver needs, and configs/deb.config. The packages are made by the kernel's own
bindeb-pkg. A distribution has thousands of modules. A list of modules (lsmod >FILE on the machine
that is to run it) leaves out all others. What is built in remains: with Debian's configuration some
four thousand files, most of an hour on two processors when none of them is in the compiler cache.

Environment: CONFIG, KVER, DIR, LSMOD and KSRC are the same as the options; JOBS and V as for
scripts/bed build.
"""

import gzip
import lzma
import os
import re
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path

from bed import base, build, fetch
from bed.base import TOP, Failure, cache
from bed.known import BUILD_PACKAGES, KERNELS

# What bindeb-pkg of each series wants, and what compresses modules and makes keys for them.
PACKAGES = (*BUILD_PACKAGES, "debhelper", "dpkg-dev", "fakeroot", "kmod", "cpio", "python3", "libdw-dev", "openssl",
            "xz-utils", "zstd")
FRAGMENTS = tuple(TOP / "configs" / name for name in ("dom0.config", "deb.config"))
UNPACK = {b"\x1f\x8b": gzip.decompress, b"\xfd7": lzma.decompress}


def arguments(parser):
    """What can be said on the command line."""
    def add(option, variable, **words):
        parser.add_argument(option, default=os.environ.get(variable) or None, **words)
    add("--config", "CONFIG", metavar="FILE", help='the distribution\'s configuration, or "debian"; may be compressed')
    add("--kver", "KVER", metavar="V", help=f"{' '.join(KERNELS)}; the default is the first")
    add("--output", "DIR", metavar="DIR", help="where the packages go; the default is in the cache")
    add("--lsmod", "LSMOD", metavar="FILE", help="make only the modules of this list, as lsmod prints it")


def main(args):
    """Build; the standard output is the packages' files."""
    for variable, known in ("ARCH", ("", "x86")), ("FLAVOUR", ("", "test")), ("STOCK", ("", "0")):
        if os.environ.get(variable, "") not in known:
            raise Failure(f"packages are made for x86, with the driver and of the given configuration: "
                          f"{variable}={os.environ[variable]} can't be")
    ours = make(args.config, args.kver, args.lsmod, args.output)
    print(*ours.packages, sep="\n")


def make(config, kver=None, lsmod=None, output=None):
    """Build the packages; returns what was built."""
    if not config:
        raise Failure("no configuration is given: CONFIG=FILE, or CONFIG=debian for Debian's own")
    kernel = build.Kernel(kver=kver, ksrc=os.environ.get("KSRC") or None)
    modules = listed(lsmod) if lsmod else ""
    if config == "debian":
        series = ".".join(fetch.tree_version(Path(kernel.ksrc)).split(".")[:2]) if kernel.ksrc else kernel.kver
        config = fetch.linux_config(series)
    given = settings_of(Path(config))
    place = Path(output or cache() / "deb" / kernel.series).absolute()
    base.make_dirs(place)
    base.need(*PACKAGES)
    ours = Packaged(kver=kernel.kver, ksrc=kernel.ksrc, config=str(config), given=given, lsmod=modules,
                    output=str(place))
    ours.build()
    return ours


def read(path):
    """A file's bytes."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"cannot read {path} ({error.strerror})") from None


def settings_of(path):
    """The text of a configuration, which must be one of x86-64."""
    data = read(path)
    try:
        data = UNPACK.get(data[:2], bytes)(data)
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        raise Failure(f"cannot unpack {path}") from None
    text = data.decode(errors="replace")
    if not re.search(r"^CONFIG_\w+=", text, re.M):
        raise Failure(f"{path} is no kernel configuration: it sets no CONFIG_...")
    if not re.search(r"^CONFIG_X86_64=y$", text, re.M):
        raise Failure(f"{path} is no distribution's configuration for x86-64: it has no CONFIG_X86_64=y")
    return text


def listed(path):
    """The full path of a list of modules, with a module in each line but a title."""
    lines = read(Path(path)).decode(errors="replace").splitlines()
    words = [(line.split() or [""])[0] for line in lines if line.strip() and not line.startswith("Module ")]
    if not words or not all(re.fullmatch(r"[\w-]+", word) for word in words):
        raise Failure(f"{path} is no list of modules as lsmod prints it")
    return str(Path(path).resolve())


def lay(config, fragments):
    """Lay fragments on a configuration, where a module may be built in as well; returns the settings they want."""
    got = {symbol: value for symbol, value, _ in build.settings(config)}
    want = {symbol: (value, optional) for path in fragments for symbol, value, optional in build.settings(path)}
    for symbol, (value, optional) in want.items():
        if value == "m" and got.get(symbol) == "y":
            want[symbol] = ("y", optional)
    got.update({symbol: value for symbol, (value, _) in want.items()})
    config.write_text("".join(written(*pair) for pair in got.items()))
    return "".join("# optional\n" * optional + written(symbol, value) for symbol, (value, optional) in want.items())


def written(symbol, value):
    """A setting's line."""
    return f"# {symbol} is not set\n" if value == "n" else f"{symbol}={value}\n"


def check(config, want, name):
    """Refuse a configuration in which what the fragments want did not come out."""
    missing = build.unmet(config, [want])
    if missing:
        raise Failure(f"{name} can't be made one of a dom0 with the driver: {' '.join(missing)} did not come out "
                      f"(see {config})")


@dataclass(frozen=True)
class Packaged(build.Kernel):
    """A kernel of which packages are made: its configuration's name and text, and a list of modules."""

    config: str = ""
    given: str = ""
    lsmod: str = ""
    output: str = ""

    @property
    def name(self):
        """Such as "x86-6.12-deb"."""
        return f"{self.arch}-{self.series}-deb"

    @property
    def out(self):
        """Where the build really lies."""
        return self.tree / f"build-{self.arch}-deb"

    def configure(self):
        """The given configuration with the fragments; anew each time, which touches nothing that stays the same."""
        config, want, env = self.out / ".config", self.out / "wanted.config", base.compiler_cache()
        config.write_text(self.given)
        with base.stage("configure", self.log("config")) as run:
            if self.lsmod:
                run(self.make("olddefconfig"), env=env)
                run(self.make("localmodconfig", LSMOD=self.lsmod), env=env)
            want.write_text(lay(config, FRAGMENTS))
            run(self.make("olddefconfig"), env=env)
        check(config, want, self.config)

    def compile(self, about):
        """All of it, and the packages, which bindeb-pkg leaves in the tree. One with the headers of user space is
        none to install: it would take the place of the system's."""
        self.sweep()
        super().compile("Debian packages")
        with base.stage("make Debian packages", self.log("pack")) as run:
            run(self.make("bindeb-pkg", DPKG_FLAGS="-d", KDEB_CHANGELOG_DIST="unstable"), env=base.compiler_cache())
            for path in self.packages:
                path.unlink(missing_ok=True)
            for kind in "image", "headers":
                for path in self.tree.glob(f"linux-{kind}-*-xen-dma_*.deb"):
                    shutil.move(path, self.output)
        self.sweep()

    @property
    def packages(self):
        """The packages' files of this version."""
        release = (self.out / "include/config/kernel.release").read_text().strip()
        return sorted(Path(self.output).glob(f"linux-*-{release}_*.deb"))

    def sweep(self):
        """Take away what packing leaves beside the build."""
        for pattern in ("*.deb", "*.changes", "*.buildinfo"):
            for path in self.tree.glob(pattern):
                path.unlink()
