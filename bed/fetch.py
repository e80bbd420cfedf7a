# SPDX-License-Identifier: GPL-2.0
"""Bring the stock source of a Linux series, the Xen hypervisor, its source, a static busybox
or a newer QEMU from Debian's archive into the cache, and print where it lies.

Works through an apt state of its own: the mirrors are those that the system's apt already
uses, and neither the system's configuration nor its package lists are touched. What is in
the cache already is used without any network. Debian's archive offers one series in each
suite, and drops the old when a new one arrives: when a series has gone, give your own tree
to the build with KSRC=DIR.
"""

import contextlib
import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

from bed import base
from bed.base import Failure, StageFailed, cache, log_path
from bed.known import ARCHES, KERNELS, QEMUS, XENS, one_of

KSRC_HINT = "a tree of your own can be used with KSRC=DIR"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT_CONFIG = """\
Dir::State "{0}";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "{0}/parts";
Dir::Etc::preferences "{0}/preferences";
Dir::Etc::preferencesparts "{0}/parts";
APT::Architecture "{1}";
APT::Architectures {{ "{1}"; }};
APT::Sandbox::User "root";
"""


def arguments(parser):
    """What can be said on the command line."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--kver", default=os.environ.get("KVER") or next(iter(KERNELS)), metavar="V",
                      help=f"the stock source of Linux V ({' '.join(KERNELS)}); the default is the first")
    what.add_argument("--xen", action="store_true", help="the hypervisor")
    what.add_argument("--busybox", action="store_true", help="a static busybox of another architecture")
    what.add_argument("--qemu", metavar="V", help=f"QEMU {', '.join(QEMUS)}, beside the one that is installed")
    what.add_argument("--xen-source", action="store_true", help="the unpacked and patched source of Debian's Xen")
    parser.add_argument("--arch", default="x86", metavar="A", help="x86 (the default), arm64, arm")
    parser.add_argument("--xen-version", metavar="V", help=f"of Xen: {' '.join(XENS)}; the default is the first")


def main(args):
    """Print where it lies: the only line on the standard output."""
    if args.xen:
        print(xen(args.arch, args.xen_version))
    elif args.busybox:
        print(busybox(args.arch))
    elif args.qemu:
        print(qemu(args.arch, args.qemu)[0])
    else:
        print(xen_source(args.xen_version) if args.xen_source else linux(args.kver))


def known_series(kver):
    """Refuse a kernel series that is not known."""
    if kver not in KERNELS:
        raise Failure(f"unknown kernel version '{kver}' (known: {' '.join(KERNELS)}; {KSRC_HINT})")
    return kver


def tree_version(tree):
    """What a kernel tree's Makefile tells: X.Y.Z, and "-rc1" of a candidate."""
    text = (tree / "Makefile").read_text()
    words = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(.*)$", text, re.M))
    return "{VERSION}.{PATCHLEVEL}.{SUBLEVEL}{EXTRAVERSION}".format_map(words)


def newest(versions):
    """Versions without doubles, the newest first."""
    return sorted(set(versions), reverse=True, key=lambda text: [int(part) if part.isdigit() else part
                                                                 for part in re.split(r"(\d+)", text)])


def once(find, bring):
    """What find() tells is in the cache; when nothing is, bring() brings it, one run at a time."""
    if found := find():
        return found
    with base.lock("fetch"):
        if not find():
            base.make_dirs(cache() / "src", cache() / "dl", cache() / "img")
            bring()
        return find()


def cached(pattern, sign):
    """The newest source whose name matches, or None; `sign` is a file that it has."""
    whole = [path.name for path in (cache() / "src").glob(pattern) if (path / sign).is_file()]
    return cache() / "src" / newest(whole)[0] if whole else None


@contextlib.contextmanager
def scratch():
    """A directory beside the sources, which goes again: what is whole is moved away."""
    place = cache() / "src" / ".unpack"
    shutil.rmtree(place, ignore_errors=True)
    base.make_dirs(place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def put(data, path):
    """Write a file, whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failure(f"cannot write {part} ({error.strerror})") from None
    part.chmod(0o755)
    return part.replace(path)


def output(command, env=None):
    """What a command prints, nothing if it fails."""
    return subprocess.run(command, env=env, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def attempt(name, log, command, **options):
    """A stage that may fail: returns its failure, or None. A full disk ends it all."""
    try:
        with base.stage(name, log) as run:
            run(command, **options)
    except StageFailed as failed:
        if base.disk_full(failed.log):
            raise
        return failed
    return None


def update(log, options=(), env=None):
    """Read Debian's package index."""
    failed = attempt("read Debian's package index", log,
                     ["apt-get", *options, "-o", "APT::Sandbox::User=root", "update", "--error-on=any"], env=env)
    if failed and failed.no_network():
        raise Failure(f"no network: Debian's mirror is out of reach (log: {log}); {KSRC_HINT}")
    if failed:
        raise failed


def indexes(*options):
    """(URI, suite, code name) of each index of Debian's main archive that apt knows."""
    shown = "$(ORIGIN)|$(CREATED_BY)|$(COMPONENT)|$(REPO_URI)|$(RELEASE)|$(CODENAME)"
    lines = output(["apt-get", *options, "indextargets", "--format", shown]).splitlines()
    return [line.split("|")[3:] for line in dict.fromkeys(lines) if line.startswith("Debian|Packages|main|")]


def apt_state(suite, debian="amd64"):
    """Lists of their own for a suite and an architecture. Returns the environment for apt."""
    if not shutil.which("apt-get"):
        raise Failure("no apt-get here: this needs Debian; on another system give your own tree with KSRC=DIR")
    name = suite.lstrip("+")
    state = cache() / "apt" / (name if debian == "amd64" else f"{name}-{debian}")
    system = cache() / "apt" / "system"
    base.make_dirs(*(place / part for place in (state, system)
                     for part in ("lists/partial", "cache/archives/partial", "parts")))
    known = indexes()
    if not known:
        # The system has never read its lists: do that here instead.
        options = ["-o", f"Dir::State={system}", "-o", f"Dir::Cache={system}/cache"]
        update(log_path("fetch-index"), options)
        known = indexes(*options)
    if not known:
        raise Failure("apt knows no Debian mirror here; give your own tree with KSRC=DIR")
    sources = [(uri, index) for uri, index, code in known
               if suite[0] == "+" and code.startswith(name) and "backports" not in code]
    if not sources:
        own = re.search(r"^VERSION_CODENAME=(.*)$", Path("/etc/os-release").read_text(), re.M)
        mirrors = [uri for uri, _, code in known if own and code == own[1]] or [known[0][0]]
        sources = [(mirrors[0], name)]
    signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    lines = [f"{kind}{signed} {uri} {index} main\n" for uri, index in sources for kind in ("deb", "deb-src")]
    texts = {"status": "", "sources.list": "".join(lines), "apt.conf": APT_CONFIG.format(state, debian)}
    for file, text in texts.items():
        (state / file).write_text(text)
    env = dict(os.environ, APT_CONFIG=str(state / "apt.conf"))
    update(log_path(f"fetch-{name}"), env=env)
    return env


def source_versions(package, env):
    """A source package's versions, newest first, each with the (SHA-256, name) of its original tar archive."""
    found = {}
    for text in output(["apt-cache", "showsrc", "--only-source", package], env).split("\n\n"):
        version = re.search(r"^Version: (.*)$", text, re.M)
        file = re.search(r"^ ([0-9a-f]{64}) \d+ (\S+\.orig\.tar\.xz)$", text, re.M)
        if version and file and re.search(rf"^Package: {package}$", text, re.M):
            found[version[1]] = file.groups()
    return {version: found[version] for version in newest(found)}


def download_package(package, env, log, root=None):
    """The newest that the mirror really has, unpacked. Returns where, and the failure if there is none."""
    place, failure = cache() / "dl", None
    root = root or place / "root"
    lines = output(["apt-cache", "madison", package], env).splitlines()
    for version in newest(line.split("|")[1].strip() for line in lines if line.endswith("Packages")):
        failure = attempt(f"download {package} {version}", log, ["apt-get", "download", f"{package}={version}"],
                          env=env, cwd=place)
        if not failure:
            with base.stage(f"unpack {package}", log_path("fetch-unpack")) as run:
                run(["rm", "-rf", root])
                run(["dpkg-deb", "-x", *place.glob(f"{package}_*.deb"), root])
                run(["rm", *place.glob(f"{package}_*.deb")])
            return root, None
    return None, failure


def unpack(name, archive):
    """A kernel's tar archive; the tree gets its final name only when it is whole, and the archive goes."""
    with scratch() as place:
        with base.stage(f"unpack {name}", log_path("fetch-unpack")) as run:
            run(["tar", "-x", "-J", "-f", archive, "-C", place, "--strip-components=1"])
        tree = cache() / "src" / f"linux-{tree_version(place)}"
        shutil.rmtree(tree, ignore_errors=True)
        place.rename(tree)
    archive.unlink()


def linux(kver=next(iter(KERNELS))):
    """The stock source of a Linux series."""
    known_series(kver)
    return once(lambda: cached(f"linux-{kver}.*", "Makefile"), lambda: fetch_linux(kver))


def fetch_linux(kver):
    """The newest source package that the mirror really has, or the one that carries the same tree for users.

    An index may name files which have gone; the small .dsc tells, before the tree is downloaded.
    """
    base.need("xz-utils")
    place, suite, failure = cache() / "dl", KERNELS[kver].lstrip("+"), None
    env = apt_state(KERNELS[kver])
    offered = source_versions("linux", env)
    listed = [version for version in offered if version.startswith(kver + ".")]
    for version in listed:
        source = ["apt-get", "source", "--only-source", f"linux={version}"]
        failure = attempt(f"ask for linux {version}", log_path("fetch-dsc"), [*source, "--dsc-only"],
                          env=env, cwd=place)
        # apt goes on where an interrupted download ended.
        failure = failure or attempt(f"download linux {version}", log_path("fetch-download"),
                                     [*source, "--download-only"], env=env, cwd=place)
        digest, name = offered[version]
        if (place / name).is_file() and hashlib.sha256((place / name).read_bytes()).hexdigest() == digest:
            return unpack(f"linux {version}", place / name)
    root, failed = download_package(f"linux-source-{kver}", env, log_path("fetch-download"))
    if root:
        return unpack(f"linux-source-{kver}", root / f"usr/src/linux-source-{kver}.tar.xz")
    if not listed:
        raise Failure(f"Linux {kver} has gone from {suite}; there is: {' '.join(offered) or 'nothing'} - "
                      "give a tree of your own with KSRC=DIR")
    failure = failed or failure
    if failure.no_network():
        raise Failure(f"no network: Linux {kver} could not be downloaded (log: {failure.log})")
    raise Failure(f"{suite} lists Linux {' '.join(listed)} but the mirror has none of them (log: {failure.log}); "
                  "give a tree of your own with KSRC=DIR")


def linux_config(kver):
    """Debian's own configuration of a Linux series, for its plain amd64 kernel."""
    found = cache() / "img" / f"config-{known_series(kver)}-amd64"

    def bring():
        log = log_path("fetch-config")
        root, _ = download_package(f"linux-config-{kver}", apt_state(KERNELS[kver]), log)
        if not root:
            raise Failure(f"Debian's configuration of Linux {kver} could not be downloaded (log: {log}); "
                          "name a file of your own with CONFIG=FILE")
        put(lzma.decompress(next(root.rglob("config.amd64_none_amd64.xz")).read_bytes()), found)
        shutil.rmtree(root)
    return once(lambda: found if found.is_file() else None, bring)


def suite_of(arch, version=next(iter(XENS))):
    """Debian's name of an architecture, and the suite of that Xen. For 32-bit ARM the mirrors' lists of the
    security suite are not always whole."""
    one_of("architecture", arch, [name for name in ARCHES if name != "um"])
    return ARCHES[arch].debian, XENS[version].lstrip("+" if arch == "arm" else "")


def fetch_file(package, version, arch, found, files, hint=""):
    """One file out of a package, which has it in one of those places. Nothing is installed: a machine that
    merely builds should not find Xen in its boot menu."""
    def bring():
        debian, suite = suite_of(arch, version)
        log = log_path(f"fetch-{found.name}")
        root, _ = download_package(package, apt_state(suite, debian), log)
        if not root:
            raise Failure(f"{package} ({debian}) could not be downloaded (log: {log}){hint}")
        file = next(root / file for file in files if (root / file).is_file())
        put(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes(), found)
        shutil.rmtree(root)
    return once(lambda: found if found.is_file() else None, bring)


def xen(arch="x86", version=None):
    """Debian's hypervisor: an ELF file; on ARM what its boot loaders take."""
    version = one_of("Xen version", version or next(iter(XENS)), XENS)
    name = f"xen-{version}-{suite_of(arch)[0]}"
    if (arch, version) == ("arm", "4.20"):
        raise Failure("Debian has no Xen 4.20 for 32-bit ARM; 4.17 it has")
    return fetch_file(name.replace("xen", "xen-hypervisor"), version, arch, cache() / "img" / name,
                      [f"boot/{name}" + (".gz" if arch == "x86" else "")],
                      "; name a hypervisor of your own with scripts/boot --xen FILE")


def busybox(arch):
    """A static busybox; its place in the package is not the same in each release."""
    found = cache() / "img" / f"busybox-{suite_of(arch)[0]}"
    return fetch_file("busybox-static", next(iter(XENS)), arch, found, ["bin/busybox", "usr/bin/busybox"])


def qemu(arch, version):
    """Debian's newer QEMU: the command that starts it. It is unpacked beside the installed one, whose firmware
    it finds; the libraries that it lacks are installed."""
    one_of("QEMU version", version, QEMUS)
    one_of("architecture", arch, [name for name, each in ARCHES.items() if each.qemu])
    place = cache() / "img" / f"{ARCHES[arch].qemu_package}-{version}"
    once(lambda: place if place.is_dir() else None, lambda: fetch_qemu(ARCHES[arch].qemu_package, version, place))
    base.need(*(place / "libraries").read_text().split())
    data = [place / "data/usr/share/qemu", "/usr/share/qemu", "/usr/share/seabios"]
    return [place / "program/usr/bin" / ARCHES[arch].qemu, *(word for each in data for word in ("-L", each))]


def fetch_qemu(package, version, found):
    """The program, its data, and the names of the packages that it needs."""
    env, log = apt_state(QEMUS[version]), log_path(f"fetch-qemu-{version}")
    needs = re.search("^Depends: (.*)$", output(["apt-cache", "show", package], env), re.M)
    with scratch() as place:
        for name, part in (package, "program"), ("qemu-system-data", "data"):
            if not download_package(name, env, log, place / part)[0]:
                raise Failure(f"{name} {version} could not be downloaded (log: {log})")
        (place / "libraries").write_text("\n".join(re.findall(r"\blib[a-z0-9.+-]+", needs[1])))
        place.rename(found)


def xen_source(version=None):
    """The source of Debian's Xen."""
    version = one_of("Xen version", version or next(iter(XENS)), XENS)
    return once(lambda: cached(f"xen-{version}.*", "xen/Makefile"), lambda: fetch_xen_source(version))


def fetch_xen_source(version):
    """The newest version that the mirror really has."""
    base.need("dpkg-dev", "xz-utils", "patch")
    env, failure = apt_state(XENS[version]), None
    for each in source_versions("xen", env):
        with scratch() as place:
            failure = attempt(f"fetch the source of xen {each}", log_path("fetch-xen-source"),
                              ["apt-get", "source", "--only-source", f"xen={each}"], env=env, cwd=place)
            if not failure:
                next(place.glob("*/xen/Makefile")).parent.parent.rename(cache() / "src" / f"xen-{each}")
                return
    if failure and failure.no_network():
        raise Failure(f"no network: the source of Xen could not be downloaded (log: {failure.log})")
    raise Failure(f"the mirror has no source of Xen {version} (log: {log_path('fetch-xen-source')}); "
                  "one of your own can be used with XENSRC=DIR")
