# SPDX-License-Identifier: GPL-2.0
"""Lay the driver over the Linux source tree TREE, or take it off again.

Our files are copied in, Coccinelle takes out of stock files what they replace, and a few lines tell the rest:
Kconfig, Makefile, selftests, documentation. Running it again brings over what changed since, and touches nothing
else. It refuses, with one line and without a change, a tree that it does not know, stock files in which what it mends
is not as it knows it, and files edited by hand since. A file that ours replace is replaced whatever it holds, if it is
that file; one that is in no release known here is named. SPATCH names the spatch to run.

All is worked out, checked and written to TREE/.xen-dma/run first and then renamed into place, so TREE may share files
with another tree by hard links. A run that fails puts everything back. One that is killed leaves a manifest which
knows both what was and what was to be: the next run, or --undo, goes on from there.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bed.base import TOP, Failure, need, note
from bed.known import KERNELS

# What of the repository goes into the tree, and what stays out: by-products of editors and builds, and KUnit tests,
# which make kunit builds by itself.
ROOTS = ("Documentation", "arch", "drivers", "include", "tools")
LITTER = re.compile(r"(.*/)?(__pycache__/.*|#.*#|\.(?!gitignore$)[^/]*|"
                    r".*(~|\.(orig|rej|k?o|mod(\.c)?|a|so|order|symvers|pyc)))")
APART = "drivers/xen/dma/tests/"

# Stock files that ours replace, with names by which a stock file is known.
REPLACED = {
    "arch/arm/xen/mm.c": ("xen_arch_need_swiotlb", "xen_dma_sync_for_cpu"),
    "arch/arm/xen/p2m.c": ("__pfn_to_mfn", "set_foreign_p2m_mapping"),
    "arch/x86/xen/mmu.c": ("arbitrary_virt_to_machine", "xen_unmap_domain_gfn_range"),
    "drivers/xen/swiotlb-xen.c": ("xen_swiotlb_dma_ops", "xen_swiotlb_fixup"),
    "include/xen/arm/xen-ops.h": ("xen_setup_dma_ops", "xen_swiotlb_detect"),
    "include/xen/swiotlb-xen.h": ("xen_dma_sync_for_cpu", "xen_swiotlb_dma_ops"),
}
# What ours were written beside: how the checksums of those files begin in 6.1.187, in 6.12.95 and in 7.3.4.
BESIDE = {
    "arch/arm/xen/mm.c": "2f1676c526b36c9d a207c941969911a6",
    "arch/arm/xen/p2m.c": "86f29e8fffeebb21 260247b79770d30b 96f28558e63934d4",
    "arch/x86/xen/mmu.c": "e6cfdd5eef0b1dc8 428d179adda2af8e 00ff2b1d6c783f83",
    "drivers/xen/swiotlb-xen.c": "6ec910a23180b9d7 015d85c19b643213 9c15c01fb4dcdf23",
    "include/xen/arm/xen-ops.h": "bd270f941f9ee8ef",
    "include/xen/swiotlb-xen.h": "f88a33314a4187a5",
}
# Without these of ours as well, a tree from which stock code is gone won't link.
NEEDED = (*REPLACED, "drivers/xen/dma/Kconfig", "drivers/xen/dma/Makefile", "include/xen/bus-ranges.h")

# Stock files that are mended, by Coccinelle, or by text: what must be there once, and what comes in its place.
COCCI = Path(__file__).with_suffix(".cocci")
COCCINELLE = ("arch/x86/xen/mmu_pv.c", "drivers/xen/mem-reservation.c", "lib/scatterlist.c")
BINDING = "Documentation/devicetree/bindings/arm/xen.yaml"    # a text in old trees
OPS = "include/linux/dma-map-ops.h"                           # in 6.1 iommu-dma has operations
SOUND = "sound/core/memalloc.c"                               # 6.1 takes other memory in a PV domain
MAPPING = "kernel/dma/mapping.c"                              # older ones don't look
EDITS = {
    "Documentation/admin-guide/index.rst": {r"^   video-output\n": r"\g<0>   xen-dma\n"},
    "Documentation/core-api/index.rst": {r"^   dma-isa-lpc\n": r"\g<0>   xen-dma/index\n"},
    "Documentation/driver-api/index.rst": {r"^   xillybus\n": r"   xen-dma\n\g<0>"},
    BINDING: {r"^additionalProperties: false$":
              "allOf:\n  - $ref: /schemas/arm/xen,dma.yaml#\n\nunevaluatedProperties: false"},
    # Declared in xen/swiotlb-xen.h, beside what else the architecture provides.
    "arch/x86/include/asm/xen/swiotlb-xen.h": {
        r"^(int|void) xen_create_contiguous_region\([^;]*;\n": "",
        r"^(int|void) xen_destroy_contiguous_region\([^;]*;\n": ""},
    # A device that is set up anew gets its map anew, too.
    "arch/arm/mm/dma-mapping.c": {r"^\tif \(dev->dma_ops\)\n\t\treturn;$":
                                  "\tif (dev->dma_ops && !xen_has_dma_ops(dev))\n\t\treturn;"},
    "arch/x86/xen/Makefile": {r"^(obj-\$\(CONFIG_XEN_PV\)\s*\+= mmu_)pv\.o\n": r"\g<0>\1linear.o\n"},
    # Comments that Coccinelle leaves of what it took out.
    "arch/x86/xen/mmu_pv.c": {r"^/\* Protected by xen_reservation_lock. \*/\n/\* 2MB \*/\n\n": ""},
    "drivers/xen/Kconfig": {r"^config SWIOTLB_XEN$": r"\g<0>",
                            r"^endmenu$": 'source "drivers/xen/dma/Kconfig"\n' r"\g<0>"},
    "drivers/xen/Makefile": {r"^(obj-\$\(CONFIG_SWIOTLB_XEN\)\s*\+= )swiotlb-xen\.o\n": r"\g<0>\1dma/\n"},
    # A window beyond all that phys_addr_t holds leads nowhere, rather than to what is left of its address.
    "drivers/of/address.c": {r"^(\t\tif \(range\.cpu_addr == OF_BAD_ADDR)\)\n(\t\t\tcontinue;)$":
                             r"\1 ||\n\t\t    range.cpu_addr > PHYS_ADDR_MAX)\n\2"},
    # Where memory is for a device is not where the kernel has it.
    "drivers/xen/grant-table.c": {r"^(\t\tstruct page \*page = )pfn_to_page\(pfn\);$":
                                  r"\1xen_coherent_page(args->vaddr, i);"},
    "drivers/xen/mem-reservation.c": {r"^#include <xen/swiotlb-xen\.h>$": r"\g<0>",
                                      r"^\txen_dma_pages_leave\(\);\n\treturn xen_dma_pages_left\(frames,\n.*;\n\}$":
                                      r"\g<0>",
                                      r"^\treturn xen_dma_pages_return\(frames,$": r"\g<0>"},
    # What iommu-dma serves has no operations; those of x86 PV domains are every device's.
    OPS: {r"^#include <linux/dma-mapping\.h>\n": r"\g<0>#include <linux/iommu-dma.h>\n",
          r"^(static inline const struct dma_map_ops \*get_dma_ops\(.*\)\n\{\n)(?=\tif \(dev->dma_ops\)\n)":
          r"\1\tif (use_dma_iommu(dev))\n\t\treturn NULL;\n"},
    "include/xen/arm/page.h": {
        r"^static inline (unsigned long pfn_to_bfn\(unsigned long pfn\))\n\{\n(?:[^}].*\n|\n)*\}$": r"\1;",
        r"^extern struct rb_root phys_to_mach;\n": ""},
    # Memory that is in no zone of its own is memory all the same: what guests grant, files on DAX.
    MAPPING: {r"^#include <linux/kmsan\.h>\n": r"\g<0>#include <linux/memremap.h>\n",
              r"^\t    WARN_ON_ONCE\(is_zone_device_page\(page\)\)\)$":
              "\t    WARN_ON_ONCE(is_pci_p2pdma_page(page) ||\n\t\t\t is_device_private_page(page)))"},
    "lib/scatterlist.c": {r"^#include <linux/kmemleak\.h>\n(?:#include <linux/\w+\.h>\n)*":
                          r"\g<0>\n#include <xen/mergeable.h>\n"},
    # Pages that follow each other need not do so for the card.
    SOUND: {r"^(\t\.get_addr = snd_dma_noncontig_get_addr,\n)(\t/\* reuse vmalloc helpers \*/\n"
            r"\t\.get_page = snd_dma_vmalloc_get_page,\n)\t\.get_chunk_size = snd_dma_vmalloc_get_chunk_size,\n":
            r"\1\t.get_chunk_size = snd_dma_noncontig_get_chunk_size,\n\2"},
    "tools/testing/selftests/Makefile": {r"^TARGETS \+= zram$": r"TARGETS += xen-dma\n\g<0>"},
}
# These files are left alone in trees that don't have what is mended, or do without it.
LEFT = {
    BINDING: lambda text: text is None,
    OPS: lambda text: b"CONFIG_ARCH_HAS_DMA_OPS" not in (text or b"CONFIG_ARCH_HAS_DMA_OPS"),
    SOUND: lambda text: b"X86_FEATURE_XENPV" in (text or b""),
    MAPPING: lambda text: b"WARN_ON_ONCE(is_" not in (text or b"WARN_ON_ONCE(is_"),
}
# In so many places lib/scatterlist.c asks whether pages are one piece: since 6.12, and before.
MERGES = (1, 3)

FORMAT = 2
STATE = ".xen-dma"
MANIFEST = STATE + "/manifest.json"


def sha(data):
    """Checksum of bytes, as the manifest has it; None of nothing."""
    return None if data is None else hashlib.sha256(data).hexdigest()


def read(path):
    """The bytes of a file, None where there is none."""
    return path.read_bytes() if path.exists() else None


def mode_of(path):
    """Permission bits of a file."""
    return path.stat().st_mode & 0o7777


def our_files():
    """Map from a path in the tree to our file for it."""
    names = [str(path.relative_to(TOP)) for root in ROOTS for path in (TOP / root).rglob("*") if not path.is_dir()]
    ours = {name: TOP / name for name in sorted(names)
            if not LITTER.fullmatch(name) and not name.startswith(APART)}
    for path in NEEDED:
        if path not in ours:
            raise Failure(f"{path} is missing in this repository: {TOP}")
    for source in ours.values():
        if source.is_symlink() or not source.is_file():
            raise Failure(f"{source}: not a regular file")
    return ours


def mended_files(tree):
    """Stock files that are to be mended in a tree."""
    return [path for path in EDITS if path not in LEFT or not LEFT[path](read(tree / path))]


def mend(path, text):
    """The text of a stock file, mended; raises Failure with what speaks against it."""
    names = ["phys_to_mach"] if path.endswith("page.h") else []
    if path.endswith("mmu_pv.c"):
        names = re.findall(r"\w+", " ".join(re.findall(r"=\s*\{([^}]*)\}", COCCI.read_text(encoding="utf-8"))))
    for name in names:
        count = len(re.findall(rf"^[#\w][\w (*]*\b{name}\b", text, re.M))
        if count != 1:
            raise Failure(f"defines {name} {count} times, not once")
    if path in COCCINELLE:
        text = coccinelle(text)
    for pattern, new in EDITS[path].items():
        text, count = re.subn(pattern, new, text, flags=re.M)
        if count != 1:
            raise Failure(f"has {count} times, not once: {pattern}")
    for name in names:
        if re.search(rf"\b{name}\b", text):
            raise Failure(f"{name} is still there after the removal")
    if path == "lib/scatterlist.c" and (count := text.count("xen_pages_mergeable(")) not in MERGES:
        raise Failure(f"merges pages in {count} places that are known, not in {' or '.join(map(str, MERGES))}")
    return text


def coccinelle(text):
    """The text as the semantic patch leaves it."""
    spatch = os.environ.get("SPATCH") or "spatch"
    if not shutil.which(spatch):
        if spatch != "spatch":
            raise Failure(f"{spatch} is missing: install Coccinelle (Debian: coccinelle)")
        need("coccinelle")
    with tempfile.TemporaryDirectory(prefix="graft.") as work:
        before, after = Path(work, "before.c"), Path(work, "after.c")
        before.write_bytes(text.encode("latin-1"))
        # A home and a directory of its own: no .cocciconfig but defaults.
        done = subprocess.run([spatch, "--very-quiet", "--no-show-diff", "--sp-file", COCCI, before, "-o", after],
                              cwd=work, env=dict(os.environ, HOME=work, TMPDIR=work, LC_ALL="C"), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode or not after.exists():
            said = done.stdout.decode("latin-1").split("\n")[0]
            raise Failure(f"{spatch} failed ({done.returncode}): {said}")
        return after.read_bytes().decode("latin-1")


class Tree:
    """The Linux tree that the graft works on, and what its manifest says."""

    def __init__(self, path):
        self.path = Path(path)
        self.text = read(self.path / MANIFEST)
        self.manifest = {"format": FORMAT, "recipe": None, "dirs": [], "files": {}}
        if self.text is not None:
            try:
                self.manifest = json.loads(self.text)
                if self.manifest["format"] != FORMAT:
                    self.refuse(MANIFEST, "written by another version of the graft, which must --undo it")
                for entry in self.manifest["files"].values():
                    entry["stock"], entry["mode"], entry["ours"][0]     # pylint: disable=pointless-statement
            except (ValueError, LookupError, TypeError, AttributeError):
                self.refuse(MANIFEST, "damaged")
        self.files = self.manifest["files"]

    def refuse(self, path, why):
        """Refuse because of one file of the tree."""
        raise Failure(f"{self.path}: {path}: {why}")

    def version(self):
        """The tree's kernel series, "6.12"; refuses what is no kernel tree."""
        found = re.search(rb"^VERSION = (\d+)\nPATCHLEVEL = (\d+)$", read(self.path / "Makefile") or b"", re.M)
        if not found or not all((self.path / name).is_file() for name in ("Kconfig", "Kbuild")):
            raise Failure(f"{self.path}: not a Linux source tree (no Makefile with a version, Kconfig and Kbuild)")
        version = b".".join(found.groups()).decode()
        if version not in KERNELS:
            raise Failure(f"{self.path}: Linux {version} is not known, only {', '.join(KERNELS)}")
        return version

    def check_place(self, path):
        """Refuse where something else than a file in directories, or nothing, is."""
        for part in (Path(path), *Path(path).parents[:-1]):
            at = self.path / part
            if at.is_symlink() or at.exists() and at.is_dir() == (str(part) == path):
                self.refuse(part, "not a regular file" if str(part) == path else "not a directory")

    def check_edited(self, path, now, *also):
        """Refuse a file whose content is neither stock's, nor ours, nor `also`: it would be lost."""
        if sha(now) not in (self.files[path]["stock"], *self.files[path]["ours"], *also):
            self.refuse(path, "removed by hand since the graft; bring it back first" if now is None else
                        "edited by hand since the graft; move the edit elsewhere first")

    def stock(self, path):
        """Stock content of a file that ours replace or that is mended; None when there was none."""
        now = read(self.path / path)
        wanted = self.files[path]["stock"] if path in self.files else sha(now)
        if wanted in (None, sha(now)):
            return wanted and now
        kept = read(self.path / STATE / "stock" / wanted)
        if sha(kept) != wanted:
            self.refuse(path, f"its stock content, {STATE}/stock/{wanted}, is missing or damaged")
        return kept

    def check_git(self, paths):
        """In a git work tree, refuse uncommitted changes of stock files."""
        paths = sorted(path for path in paths if path not in self.files and (self.path / path).exists())
        if not paths or not (self.path / ".git").exists():
            return
        done = subprocess.run(["git", "--no-optional-locks", "-C", self.path, "status", "--porcelain", "-z",
                               "--ignored", "--untracked-files=all", "--", *paths], check=False, capture_output=True)
        said = done.stdout.decode("latin-1").split("\0")[0]
        if done.returncode:
            raise Failure(f"{self.path}: git status fails: " + done.stderr.decode("latin-1").split("\n")[0])
        if said:
            self.refuse(said[3:], "not under git's control, as the rest of the tree is" if said[:2] in ("??", "!!") else
                        "has uncommitted changes")

    def wanted(self, ours, recipe):
        """What the tree should hold, {path: (content, mode, stock content)}; all that speaks against it is checked."""
        plan = mended_files(self.path)
        wanted = {}
        for path in [*ours, *plan]:
            self.check_place(path)
            entry, now = self.files.get(path), read(self.path / path)
            if not entry and path not in plan and path not in REPLACED:
                if now is not None:
                    self.refuse(path, "exists, and not as a file that the graft placed or knows")
            elif not entry:
                if now is None:
                    self.refuse(path, "missing")
                for name in REPLACED.get(path, ()):
                    if name.encode() not in now:
                        self.refuse(path, f"does not mention {name}: a foreign file")
            data = ours[path].read_bytes() if path in ours else now
            if path in plan and not (entry and self.manifest["recipe"] == recipe and sha(now) == entry["ours"][0]):
                try:
                    data = mend(path, self.stock(path).decode("latin-1")).encode("latin-1")
                except Failure as reason:
                    self.refuse(path, reason)
            if entry:
                self.check_edited(path, now, sha(data))
            stock = self.stock(path)
            mode = 0o755 if path in ours and mode_of(ours[path]) & 0o100 else 0o644
            if stock is not None:
                mode = entry["mode"] if entry else mode_of(self.path / path)
            wanted[path] = (data, mode, stock)
        return wanted

    def tell_unknown(self, wanted):
        """Name the stock files that are about to be replaced and are in no release known here: somebody has changed
        them, and the changes go with them."""
        for path, known in BESIDE.items():
            if path not in self.files and sha(wanted[path][2])[:16] not in known.split():
                note(f"{self.path}: {path} is another than in the releases known here, and is replaced as a whole: "
                     "see what it has of its own")

    def own(self, at, like=None):
        """Give something new to the owner of something else, or of the tree."""
        owner = os.stat(like if like and like.exists() else self.path)
        if os.geteuid() == 0:
            os.chown(at, owner.st_uid, owner.st_gid)

    def mkdir(self, at):
        """Make a directory and those above it, owned as the tree is."""
        if not at.is_dir():
            self.mkdir(at.parent)
            os.mkdir(at)
            self.own(at)

    def drop(self, dirs):
        """Remove directories that are empty."""
        for path in sorted(dirs, reverse=True):
            if (self.path / path).is_dir() and not any((self.path / path).iterdir()):
                os.rmdir(self.path / path)

    def write(self, at, data, mode, like):
        """A new file of the state directory, owned as `like` is."""
        self.mkdir(at.parent)
        at.unlink(missing_ok=True)
        at.write_bytes(data)
        self.own(at, like)
        at.chmod(mode)

    def sweep(self):
        """Clear away what was staged, and stock content that nobody needs."""
        shutil.rmtree(self.path / STATE / ("run" if self.files else ""), ignore_errors=True)
        for kept in (self.path / STATE).glob("stock/*"):
            if kept.name not in [entry["stock"] for entry in self.files.values()]:
                with contextlib.suppress(OSError):
                    kept.unlink()

    def change(self, wanted, between, after):
        """Bring the tree to {path: (content or None, mode, stock content)}, all or nothing.

        The manifest is `between` meanwhile and `after` at the end.
        """
        run = self.path / STATE / "run"
        steps = [(MANIFEST, dump(between), 0o644), *((path, *value[:2]) for path, value in wanted.items()),
                 (MANIFEST, dump(after) if after["files"] else None, 0o644)]
        done = []
        try:
            for i, (path, data, mode) in enumerate(steps):
                if data is not None:
                    self.write(run / f"{i}.new", data, mode, self.path / path)
            for path, (_, mode, stock) in wanted.items():
                if stock is not None and path not in self.files:
                    self.write(self.path / STATE / "stock" / sha(stock), stock, mode, self.path / path)
            for i, (path, data, _) in enumerate(steps):
                at = self.path / path
                self.mkdir(at.parent)
                if i == len(steps) - 1:
                    self.drop(set(self.manifest["dirs"]) - set(after["dirs"]))
                if at.exists():
                    os.link(at, run / f"{i}.old")
                done.append((at, run / f"{i}.old"))
                if data is None:
                    os.unlink(at)
                else:
                    os.rename(run / f"{i}.new", at)
        except BaseException:
            for at, old in reversed(done):
                if old.exists():
                    self.mkdir(at.parent)
                    os.rename(old, at)
                else:
                    at.unlink(missing_ok=True)
            self.drop(set(between["dirs"]) - set(self.manifest["dirs"]))
            self.sweep()
            raise
        self.files = after["files"]
        self.sweep()

    def bring(self, wanted, recipe):
        """Bring the tree to what is wanted, all else of ours off it; returns how many files changed, and left."""
        self.sweep()
        leaving = [path for path in self.files if path not in wanted]
        for path in leaving:
            self.check_place(path)
            self.check_edited(path, read(self.path / path))
        target = {**wanted, **{path: (self.stock(path), self.files[path]["mode"], None) for path in leaving}}
        changes = {path: value for path, value in target.items() if read(self.path / path) != value[0] or
                   value[0] is not None and mode_of(self.path / path) != value[1]}
        parents = {str(parent) for path in wanted for parent in Path(path).parents[:-1]}
        dirs = sorted(path for path in parents if path in self.manifest["dirs"] or not (self.path / path).is_dir())
        files = {path: {"stock": sha(stock), "ours": [sha(data)], "mode": mode}
                 for path, (data, mode, stock) in wanted.items()}
        after = {"format": FORMAT, "recipe": recipe, "dirs": dirs, "files": files}
        if changes or dump(after) != self.text:
            both = {path: dict(entry, ours=entry["ours"] + self.files.get(path, {"ours": []})["ours"])
                    for path, entry in files.items()}
            between = dict(after, dirs=sorted({*dirs, *self.manifest["dirs"]}), files={**self.files, **both})
            self.change(changes, between, after)
        return len(changes) - len(set(changes) & set(leaving)), len(leaving)


def dump(manifest):
    """A manifest as the file has it."""
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()


@contextlib.contextmanager
def locked(path):
    """Hold the tree against other runs; what the system refuses becomes one line."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
    except OSError as error:
        raise Failure(f"{error.filename2 or error.filename or path}: {error.strerror}; nothing was changed") from None


def lay(path):
    """Lay our files over a tree; returns a line that says what was done."""
    with locked(path):
        ours = our_files()
        tree = Tree(path)
        version = tree.version()
        recipe = sha(COCCI.read_bytes() + Path(__file__).read_bytes() + "\n".join(ours).encode())
        wanted = tree.wanted(ours, recipe)
        tree.check_git(wanted)
        tree.tell_unknown(wanted)
        came, left = tree.bring(wanted, recipe)
        what = f"{came} files placed, replaced or mended, {left} taken off" if came or left else "nothing to do"
        return f"{path} (Linux {version}): {what}"


def undo(path):
    """Take everything of ours off a tree; returns a line that says what was done."""
    with locked(path):
        tree = Tree(path)
        left = tree.bring({}, None)[1] if tree.files else 0
        tree.sweep()
        return f"{path}: {left} files taken off or restored" if left else f"{path}: nothing to undo"


def arguments(parser):
    """What can be said on the command line."""
    parser.status = 2
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--undo", action="store_true", help="bring TREE's files back to their stock content")
    what.add_argument("--list", action="store_true", help="print what would be placed, replaced or mended")
    parser.add_argument("tree", metavar="TREE", nargs="?", help="directory of a Linux source tree")


def main(args):
    """Lay, undo or list."""
    if args.list == bool(args.tree):
        raise Failure(("--list takes no TREE" if args.list else "TREE is missing") + " (see --help)", 2)
    if not args.list:
        print("graft:", (undo if args.undo else lay)(args.tree))
        return
    verbs = {path: "replace" if path in REPLACED else "place" for path in our_files()}
    verbs.update(dict.fromkeys(EDITS, "mend"))
    print("\n".join(f"{verbs[path]} {path}" for path in sorted(verbs)))
