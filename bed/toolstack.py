# SPDX-License-Identifier: GPL-2.0
"""Put Xen's toolstack, as Debian packs it, into a directory that scripts/boot can copy into
the initial file system: xenstored, xenconsoled, xl, the device model for HVM guests, and
each library that they need, down to the loader. Prints the directory; boot it with
    scripts/boot $(scripts/bed toolstack --files) --run SCRIPT
and let SCRIPT begin with ". /usr/sbin/toolstack-start", which starts the daemons in order
and waits for them (bed/toolstack-start.sh). The kernel of dom0 needs FILE_LOCKING, UNIX,
EVENTFD, SIGNALFD, EPOLL, XENFS, XEN_BACKEND, XEN_GNTDEV and XEN_DEV_EVTCHN.

Nothing is installed. The machine that builds is no Xen host, and daemons must not start on
it; the packages are downloaded, unpacked in the cache, and only what is needed taken out of
them. What the machine already has in the right version, as libraries mostly, is copied
from there.
"""

import os
import re
import shutil
from pathlib import Path

from bed import base
from bed.base import Failure, cache, log_path
from bed.build import cksum
from bed.fetch import apt_state, output
from bed.known import XENS

# Of the hypervisor's own release: their interface changes with each.
RELEASE = "4.17"
PACKAGES = (f"xen-utils-{RELEASE}", "xenstore-utils", "qemu-system-xen", "seabios", "qemu-system-data")
# Programs, whose libraries come along, and plain files.
PROGRAMS = [f"/usr/lib/xen-{RELEASE}/bin/{name}" for name in (
    "xenstored", "xen-init-dom0", "xenconsoled", "xenconsole", "xl", "libxl-save-helper")] + [
    "/usr/libexec/xen-qemu-system-i386"] + [
    f"/usr/bin/{name}" for name in ("xenstore", "xenstore-ls", "xenstore-read", "xenstore-write")]
DATA = [f"/usr/lib/xen-{RELEASE}/boot/hvmloader", "/usr/share/seabios/bios-256k.bin"] + [
    f"/usr/share/qemu/{name}" for name in ("linuxboot.bin", "linuxboot_dma.bin", "kvmvapic.bin", "keymaps/en-us")]
START = Path(__file__).with_name("toolstack-start.sh")


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--files", action="store_true",
                        help="print the options for scripts/boot instead: --file DIR/x:/x ... (no blanks in them)")


def main(args):
    """Print where it lies, or how to boot it."""
    print(" ".join(f"--file {file}" for file in files()) if args.files else directory())


def files():
    """What scripts/boot --file takes, one for each directory."""
    return [f"{path}:/{path.name}" for path in sorted(directory().glob("[!.]*"))]


def directory():
    """The toolstack's root directory, made afresh when this module has changed."""
    place = cache() / "toolstack"
    base.make_dirs(place)
    stamp = cksum(Path(__file__).read_bytes() + START.read_bytes())
    known = place / "root" / ".stamp"
    with base.lock("toolstack"):
        if not known.is_file() or known.read_text() != stamp:
            # The packages stay for a change of this module; their directory gets its mark when it is whole.
            if not (place / "debs/.whole").exists():
                download(place)
                (place / "debs/.whole").touch()
            assemble(place, stamp)
    return place / "root"


def download(place):
    """All that the packages need and this machine lacks, and with --reinstall what it has. apt unpacks nothing."""
    base.make_dirs(place / "debs/partial")
    env = apt_state(XENS[RELEASE])
    with base.stage("download the Xen toolstack", log_path("toolstack")) as run:
        run(["apt-get", "install", "--yes", "--download-only", "--reinstall", "--no-install-recommends",
             "-o", "Debug::NoLocking=1", "-o", "Dir::State::status=/var/lib/dpkg/status",
             "-o", f"Dir::Cache::archives={place}/debs", *PACKAGES], env=env)


def assemble(place, stamp):
    """The root directory, whole or not at all."""
    part, unpacked = place / "root.part", place / "unpacked"

    def found(path):
        """Where a file is: in the packages, or else on this machine."""
        for each in (Path(f"{unpacked}{path}"), Path(path)):
            if each.exists():
                return each
        raise Failure(f"there is no {path} in the packages ({' '.join(PACKAGES)})")

    def libraries(program):
        """The loader and all libraries that a program loads; the packages' own come before this machine's.
        They are looked for by name where the loader looks, wherever they came from."""
        own = ":".join(str(path) for where in ("usr/lib", "lib") for path in unpacked.glob(f"{where}/*-linux-gnu"))
        text = output(["ldd", found(program)], dict(os.environ, LD_LIBRARY_PATH=own))
        if "not found" in text or not text:
            raise Failure(f"{program} lacks a library: {text.strip()}")
        return [path.removeprefix(str(unpacked)) for path in re.findall(r"(?:=>|^)\s*(/\S+)", text, re.M)]

    with base.stage("put the Xen toolstack together", log_path("toolstack")) as run:
        run(["rm", "-rf", part, unpacked])
        for deb in (place / "debs").glob("*.deb"):
            run(["dpkg-deb", "-x", deb, unpacked])
        for path in {*PROGRAMS, *DATA, *(library for program in PROGRAMS for library in libraries(program))}:
            target = Path(f"{part}{path}")
            base.make_dirs(target.parent)
            shutil.copy2(found(path), target)
        base.make_dirs(part / "etc/xen", part / "usr/sbin")
        (part / "etc/xen/xl.conf").write_text('autoballoon="off"\n')
        shutil.copy2(START, part / "usr/sbin/toolstack-start")
        (part / ".stamp").write_text(stamp)
        run(["rm", "-rf", unpacked, place / "root"])
        part.rename(place / "root")
