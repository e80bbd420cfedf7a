# SPDX-License-Identifier: GPL-2.0
"""Build the hypervisor of Debian's Xen for arm64 with our patches (patches/README), which
make it tell a domain where its memory is for devices, and one more for our tests; or
another variant of it. Prints where it lies, as scripts/boot --arch arm64 --xen takes it.

The source is a copy of the fetched one made of hard links; patch writes the files it
changes anew. A patch that has changed makes a new copy, which ccache compiles in seconds.

Environment: XENSRC=DIR is a source of your own of that version, for when Debian's archive
has none; it is copied and never changed. JOBS=N at a time; V=1 shows the compiler at work.
"""

import os
from pathlib import Path

from bed import base, fetch
from bed.base import TOP, Failure, cache, log_path
from bed.build import cksum, copy_own, link_tree, own_id
from bed.known import ARCHES, XENS, one_of

CROSS = ARCHES["arm64"].cross
CONFIG = TOP / "patches/config"

# What is built, and with which patches of patches/xen-VERSION. Debian's own has no driver for the SMMUv3.
VARIANTS = {
    "dma": ("*.patch", "test/*publish*.patch", "test/*pieces*.patch"),
    "plain": (),
    "fence": ("test/*fence*.patch",),
}


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--version", default=next(iter(XENS)), metavar="V",
                        help=f"{' '.join(XENS)}; the default is the first")
    parser.add_argument("--variant", default=next(iter(VARIANTS)), metavar="N",
                        help="dma (the default): with our patches; plain: with none; fence: with one for tests, which "
                             "makes the SMMU the judge of machine addresses")
    parser.add_argument("--print", action="store_true", help="build nothing, print where the hypervisor lies")


def main(args):
    """Build; the standard output is one line."""
    print(image(args.version, args.variant) if args.print else build(args.version, args.variant))


def image(version, variant=next(iter(VARIANTS))):
    """Where the hypervisor lies."""
    one_of("variant", variant, VARIANTS)
    return cache() / "img" / f"xen-{one_of('Xen version', version, XENS)}-arm64-{variant}"


def own_source():
    """The full path of a source of the user's, or None."""
    own = os.environ.get("XENSRC")
    if own and not (Path(own) / "xen/Makefile").is_file():
        raise Failure(f"XENSRC={own} is no source of Xen: it has no xen/Makefile")
    return Path(own).resolve() if own else None


def make(tree, *targets):
    """The command that makes something: the same names and times in every build, for ccache's sake."""
    return ["make", "-C", tree / "xen", "-j", base.jobs(), "XEN_TARGET_ARCH=arm64", f"CROSS_COMPILE={CROSS}",
            f"CC=ccache {CROSS}gcc", "HOSTCC=ccache gcc", "XEN_BUILD_DATE=Thu Jan 1 00:00:00 UTC 1970",
            "XEN_BUILD_TIME=00:00:00", "XEN_BUILD_HOST=host", "XEN_DOMAIN=domain", "XEN_WHOAMI=user", *targets]


def build(version=next(iter(XENS)), variant=next(iter(VARIANTS))):
    """Build what has changed; returns the hypervisor."""
    found, own = image(version, variant), own_source()
    name, place = found.name, TOP / "patches" / f"xen-{version}"
    patches = [path for pattern in VARIANTS[variant] for path in sorted(place.glob(pattern))]
    if VARIANTS[variant] and not patches:
        raise Failure(f"there is no patch for the variant '{variant}' of Xen {version}")
    base.need("make", "gcc", "libc6-dev", *ARCHES["arm64"].packages, "flex", "bison", "python3", "ccache", "patch",
              "rsync")
    source = copy_own(own, f"xen-{own_id(own)}", f"{name}-own") if own else fetch.xen_source(version)
    tree = cache() / "build" / name

    def apply(run, part):
        """The patches on the fresh copy."""
        for patch in patches:
            run(["patch", "-d", part, "-p1", "--fuzz=0", "--no-backup-if-mismatch", "-i", patch])

    with base.lock(name):
        base.make_dirs(tree.parent, found.parent, cache() / "ccache")
        origin = f"{source} {cksum(b''.join(patch.read_bytes() for patch in patches))}"
        link_tree(tree, origin, log_path(f"{name}-patch"), apply)
        configure(tree, log_path(f"{name}-config"))
        with base.stage(f"compile the hypervisor ({name})", log_path(f"{name}-make")) as run:
            run(make(tree, "build"), env=base.compiler_cache())
        built = (tree / "xen/xen").read_bytes()
        if not found.is_file() or found.read_bytes() != built:
            fetch.put(built, found)
    return found


def configure(tree, log):
    """Configure when our configuration is not that of before."""
    stamp, want = tree / ".configured", CONFIG.read_text()
    if stamp.is_file() and stamp.read_text() == want:
        return
    with base.stage(f"configure {tree.name}", log) as run:
        run(["cp", CONFIG, tree / "xen/.config"])
        run(make(tree, "olddefconfig"), env=base.compiler_cache())
    got = (tree / "xen/.config").read_text().splitlines()
    missing = [line for line in want.splitlines() if "CONFIG_" in line and line not in got]
    if missing:
        raise Failure(f"these came out otherwise than {CONFIG} asks for: {' '.join(missing)} (see {tree}/xen/.config)")
    stamp.write_text(want)
