# SPDX-License-Identifier: GPL-2.0
"""Put Xen's toolstack, as Debian packs it, into a directory that scripts/boot can copy into
the initial file system: xenstored, xenconsoled, xl, on x86 the device model for HVM guests,
and each library that they need, down to the loader. Prints the directory; boot it with
    scripts/boot $(scripts/bed toolstack --files) --run SCRIPT
and let SCRIPT begin with ". /usr/sbin/toolstack-start", which starts the daemons in order
and waits for them (bed/toolstack-start.sh). The kernel of dom0 needs FILE_LOCKING, UNIX,
EVENTFD, SIGNALFD, EPOLL, XENFS, XEN_BACKEND, XEN_GNTDEV and XEN_DEV_EVTCHN. Debian's own
kernel has them, some as modules; for arm64 the option --kernel prints how to boot that one.

Nothing is installed. The machine that builds is no Xen host, and daemons must not start on
it; the packages are downloaded, unpacked in the cache, and only what is needed taken out of
them. What the machine already has in the right version, as x86's libraries mostly, is
copied from there.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bed import base, programs
from bed.base import Failure, cache, log_path
from bed.build import cksum
from bed.fetch import apt_state, download_package, output
from bed.known import ARCHES, XENS, one_of

# Of the hypervisor's own release: their interface changes with each.
RELEASE = "4.17"
START = Path(__file__).with_name("toolstack-start.sh")
# Modules of Debian's kernel, in the order in which they are loaded.
MODULES = ("xen-privcmd", "xenfs", "xen-evtchn", "xen-gntdev", "xen-gntalloc")


@dataclass(frozen=True)
class Stack:
    """What an architecture's toolstack is made of: packages, programs, whose libraries come along, plain files."""

    triplet: str
    packages: tuple
    programs: tuple
    data: tuple = ()


PROGRAMS = (*(f"/usr/lib/xen-{RELEASE}/bin/{name}" for name in (
    "xenstored", "xen-init-dom0", "xenconsoled", "xenconsole", "xl", "libxl-save-helper")),
            *(f"/usr/bin/{name}" for name in ("xenstore", "xenstore-ls", "xenstore-read", "xenstore-write")))
PACKAGES = (f"xen-utils-{RELEASE}", "xenstore-utils")
STACKS = {
    # And what tests make mirrors and encrypted disks with.
    "x86": Stack(programs.HERE,
                 (*PACKAGES, "qemu-system-xen", "seabios", "qemu-system-data", "dmsetup", "mdadm"),
                 (*PROGRAMS, "/usr/libexec/xen-qemu-system-i386", "/sbin/dmsetup", "/sbin/mdadm"),
                 (f"/usr/lib/xen-{RELEASE}/boot/hvmloader", "/usr/share/seabios/bios-256k.bin",
                  *(f"/usr/share/qemu/{name}" for name in ("linuxboot.bin", "linuxboot_dma.bin", "kvmvapic.bin",
                                                           "keymaps/en-us")))),
    # What a thread is cancelled by is loaded when one is.
    "arm64": Stack("aarch64-linux-gnu", PACKAGES, PROGRAMS, ("/lib/aarch64-linux-gnu/libgcc_s.so.1",)),
}


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--arch", default="x86", metavar="A", help="x86 (the default), arm64")
    parser.add_argument("--files", action="store_true",
                        help="print the options for scripts/boot instead: --file DIR/x:/x ... (no blanks in them)")
    parser.add_argument("--kernel", action="store_true",
                        help="print those that boot Debian's own kernel for arm64: --kernel FILE --module FILE ...")


def main(args):
    """Print where it lies, or how to boot it."""
    words = [f"--file {file}" for file in files(args.arch)] if args.files else []
    words += [str(word) for word in debian_kernel()] if args.kernel else []
    print(" ".join(words) or directory(args.arch))


def debian_kernel(arch="arm64"):
    """What boots Debian's own kernel with all that the toolstack needs: options and files for scripts/boot.
    xenfs is a module, so the script has to mount it."""
    place, debian = cache() / "toolstack" / f"kernel-{arch}", ARCHES[arch].debian
    base.make_dirs(place.parent, cache() / "dl")
    with base.lock("fetch"):
        if not (place / ".whole").exists():
            env = apt_state(XENS[RELEASE], debian)
            name = re.search(r"Depends: (\S+)", output(["apt-cache", "depends", f"linux-image-{debian}"], env))
            root, failed = download_package(name[1], env, log_path(f"toolstack-kernel-{arch}"))
            if not root:
                raise failed
            shutil.rmtree(place, ignore_errors=True)
            base.make_dirs(place)
            for file in (next(root.glob("boot/vmlinuz-*")), *(next(root.rglob(f"{each}.ko")) for each in MODULES)):
                shutil.copy2(file, place / file.name.partition("-6")[0])
            shutil.rmtree(root)
            (place / ".whole").touch()
    return ["--kernel", place / "vmlinuz", *(word for each in MODULES for word in ("--module", place / f"{each}.ko"))]


def files(arch="x86"):
    """What scripts/boot --file takes, one for each directory."""
    return [f"{path}:/{path.name}" for path in sorted(directory(arch).glob("[!.]*"))]


def directory(arch="x86"):
    """The toolstack's root directory, made afresh when this module has changed."""
    stack = STACKS[one_of("architecture", arch, STACKS)]
    place = cache() / "toolstack" / arch
    base.make_dirs(place)
    stamp = cksum(Path(__file__).read_bytes() + START.read_bytes())
    known = place / "root" / ".stamp"
    with base.lock(f"toolstack-{arch}"):
        if not known.is_file() or known.read_text() != stamp:
            # The packages stay for a change of this module; their directory says which they are when it is whole.
            whole, names = place / "debs/.whole", " ".join(stack.packages)
            if not whole.exists() or whole.read_text() != names:
                download(arch, stack, place)
                whole.write_text(names)
            assemble(arch, stack, place, stamp)
    return place / "root"


def download(arch, stack, place):
    """All that the packages need: of x86 what this machine lacks, and with --reinstall what it has; of another
    architecture everything, for nothing of it is installed. apt unpacks nothing."""
    base.make_dirs(place / "debs/partial")
    env = apt_state(XENS[RELEASE], ARCHES[arch].debian)
    own = ["--reinstall", "-o", "Dir::State::status=/var/lib/dpkg/status"] if arch == "x86" else []
    with base.stage(f"download the Xen toolstack ({arch})", log_path(f"toolstack-{arch}")) as run:
        run(["apt-get", "install", "--yes", "--download-only", "--no-install-recommends",
             "-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={place}/debs", *own, *stack.packages], env=env)


def assemble(arch, stack, place, stamp):
    """The root directory, whole or not at all."""
    part, unpacked = place / "root.part", place / "unpacked"

    def found(path):
        """Where a file is: in the packages, or else on this machine, if it is of that kind; None for nowhere."""
        for each in (Path(f"{unpacked}{path}"), *([Path(path)] if arch == "x86" else [])):
            if each.exists():
                return each
        return None

    with base.stage(f"put the Xen toolstack together ({arch})", log_path(f"toolstack-{arch}")) as run:
        run(["rm", "-rf", part, unpacked])
        for deb in (place / "debs").glob("*.deb"):
            run(["dpkg-deb", "-x", deb, unpacked])
        paths = {*programs.closure(stack.programs, stack.triplet, found), *stack.data}
        if missing := [path for path in paths if not found(path)]:
            raise Failure(f"there is no {missing[0]} in the packages ({' '.join(stack.packages)})")
        programs.copy(paths, part, found)
        base.make_dirs(part / "etc/xen", part / "usr/sbin")
        (part / "etc/xen/xl.conf").write_text('autoballoon="off"\n')
        shutil.copy2(START, part / "usr/sbin/toolstack-start")
        (part / ".stamp").write_text(stamp)
        run(["rm", "-rf", unpacked, place / "root"])
        part.rename(place / "root")
