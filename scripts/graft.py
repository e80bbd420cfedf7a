# SPDX-License-Identifier: GPL-2.0
"""Lay xen-dma over a Linux source tree, or take it off again.

A run has three parts. It works out what the tree should look like (our files,
and the stock files mended) and checks everything that could speak against it,
without touching the tree. It stages the difference in TREE/.xen-dma/txn. It
then puts the staged files into their places by renames, under a journal, so
that a run which fails or is killed can be rolled back, by itself or by the
next one.

TREE/.xen-dma/manifest.json says what every file of ours must look like, and
TREE/.xen-dma/stock keeps the stock files that were replaced or mended. No file
is ever written in place: TREE may share its files, by hard links, with a tree
that must not change.
"""

import argparse
import errno
import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

KNOWN = ("6.1", "6.12", "7.3")

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COCCI = os.path.join(REPO, "scripts", "graft.cocci")

# What of the repository goes into the tree: whole directories, at the same
# path, and single files at another one.
ROOTS = ("Documentation", "arch", "drivers", "include", "tools")
MOVED = {"Kconfig": "drivers/xen/Kconfig.xen-dma"}

# By-products of editors and builds, which are nobody's source.
LITTER = ("*~", "#*#", ".#*", ".*.sw?", "*.orig", "*.rej", "*.o", "*.ko",
          "*.mod", "*.mod.c", "*.a", "*.so", ".*.cmd", "*.order", "*.symvers",
          "*.pyc", "__pycache__")

# The KUnit tests, built into a User Mode Linux kernel with a model of the machine
# (scripts/kunit), not into the trees that the driver is laid over.
APART = ("drivers/xen/*_test.[ch]", "drivers/xen/*_bench.c")

# Stock files that ours replace, with names by which the stock file is known.
REPLACED = {
    "arch/arm/xen/mm.c": ("xen_arch_need_swiotlb", "xen_dma_sync_for_cpu"),
    "arch/arm/xen/p2m.c": ("__pfn_to_mfn", "set_foreign_p2m_mapping"),
    "arch/x86/xen/mmu.c": ("arbitrary_virt_to_machine",
                           "xen_unmap_domain_gfn_range"),
    "drivers/xen/swiotlb-xen.c": ("xen_swiotlb_dma_ops", "xen_swiotlb_fixup"),
    "include/xen/arm/xen-ops.h": ("xen_setup_dma_ops", "xen_swiotlb_detect"),
    "include/xen/swiotlb-xen.h": ("xen_dma_sync_for_cpu", "xen_swiotlb_dma_ops"),
}

# Without these of ours a tree from which stock code is gone won't link.
NEEDED = ("arch/arm/xen/mm.c", "arch/arm/xen/p2m.c", "arch/x86/xen/mmu.c",
          "drivers/xen/Kconfig.xen-dma", "drivers/xen/Makefile.xen-dma",
          "drivers/xen/swiotlb-xen.c", "include/xen/arm/xen-ops.h",
          "include/xen/bus-ranges.h", "include/xen/swiotlb-xen.h")

SELFTEST = "xen-dma"

# Only newer trees have it.
XEN_BINDING = "Documentation/devicetree/bindings/arm/xen.yaml"

FORMAT = 1
STATE = ".xen-dma"
MANIFEST = STATE + "/manifest.json"
STOCK = STATE + "/stock"
TXN = STATE + "/txn"
JOURNAL = TXN + "/journal.json"


class Refused(Exception):
    """What the user is told, in one line, before a non-zero exit."""


def sha(data):
    """Checksum of bytes, as the manifest has it."""
    return hashlib.sha256(data).hexdigest()


def read(path):
    """Whole file as bytes."""
    with open(path, "rb") as file:
        return file.read()


def plain(path):
    """Whether path is a regular file; links to one don't count."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def file_sha(path):
    """Checksum of a file, None when there is none."""
    return sha(read(path)) if os.path.lexists(path) else None


def file_mode(path):
    """Permission bits of a file."""
    return stat.S_IMODE(os.lstat(path).st_mode)


def litter(name):
    """Whether a file or directory of this name is nobody's source."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in LITTER)


def apart(path):
    """Whether a file of ours is not for the trees that this lays out."""
    return any(fnmatch.fnmatchcase(path, glob) for glob in APART)


# What of ours there is

def our_files():
    """Map from a path in the tree to our file for it."""
    ours = {}
    for root in ROOTS:
        for where, dirs, names in os.walk(os.path.join(REPO, root)):
            dirs[:] = sorted(d for d in dirs if not litter(d))
            for name in sorted(names):
                source = os.path.join(where, name)
                path = os.path.relpath(source, REPO)
                if not litter(name) and not apart(path):
                    ours[path] = source
    for name, path in MOVED.items():
        if os.path.lexists(os.path.join(REPO, name)):
            ours[path] = os.path.join(REPO, name)
    for path in NEEDED:
        if path not in ours:
            name = {v: k for k, v in MOVED.items()}.get(path, path)
            raise Refused(f"{name} is missing in this repository: {REPO}")
    for path, source in ours.items():
        if not plain(source):
            raise Refused(f"{source}: not a regular file")
    return ours


# Stock files that are mended. Each function takes the stock text and returns
# the mended one, or raises Refused with what it did not find.

def insert_before(lines, index, line):
    """Text of lines with one more line at index."""
    return "".join(lines[:index] + [line + "\n"] + lines[index:])


def mend_makefile(text):
    """drivers/xen/Makefile: one line that includes our own."""
    if not re.search(r"^obj-\$\(CONFIG_SWIOTLB_XEN\)", text, re.M):
        raise Refused("does not build CONFIG_SWIOTLB_XEN")
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        raise Refused("its last line has no end")
    return insert_before(lines, len(lines),
                         "include $(srctree)/drivers/xen/Makefile.xen-dma")


def mend_kconfig(text):
    """drivers/xen/Kconfig: one line before the end of its menu."""
    if len(re.findall(r"^config SWIOTLB_XEN$", text, re.M)) != 1:
        raise Refused("does not define SWIOTLB_XEN once")
    lines = text.splitlines(keepends=True)
    ends = [i for i, line in enumerate(lines) if line.rstrip() == "endmenu"]
    if len(ends) != 1:
        raise Refused("does not hold exactly one menu")
    return insert_before(lines, ends[0],
                         'source "drivers/xen/Kconfig.xen-dma"')


def mend_selftests(text):
    """The selftests' Makefile: our target, in its place in the alphabet."""
    lines = text.splitlines(keepends=True)
    place = None
    for i, line in enumerate(lines):
        target = re.match(r"TARGETS \+= (\S+)$", line)
        if target and target.group(1) < SELFTEST:
            place = i + 1
    if place is None:
        raise Refused("has no list of TARGETS")
    return insert_before(lines, place, "TARGETS += " + SELFTEST)


def mend_index(pages):
    """A documentation index: our pages, each a line in the longest list."""
    def mend(text):
        for page in pages:
            lines = text.splitlines(keepends=True)
            lists = []
            for i, line in enumerate(lines):
                if line.startswith(".. toctree::"):
                    lists.append([])
                elif lists and re.match(r"   [^\s:]", line):
                    lists[-1].append(i)
                elif line.strip() and not line.startswith(" "):
                    lists.append([])
            longest = max(lists, key=len, default=[])
            if not longest:
                raise Refused("has no list of pages")
            place = longest[-1] + 1
            for i in reversed(longest):
                if lines[i].strip().lower() > page.lower():
                    place = i
                else:
                    break
            text = insert_before(lines, place, "   " + page)
        return text
    return mend


def cocci_names():
    """The identifiers that the semantic patch names."""
    text = re.sub(r"//.*", "", read(COCCI).decode())
    names = [name for group in re.findall(r"=\s*\{([^}]*)\}", text)
             for name in re.findall(r"\w+", group)]
    names += re.findall(r"\bsymbol\s+(\w+)\s*;", text)
    return sorted(set(names))


class Source:
    """A C file by lines, with its comments told from its code."""

    TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
                       r"|'(?:\\.|[^'\\\n])*'", re.S)

    def __init__(self, text):
        self.lines = text.splitlines(keepends=True)
        # Comments as (first line, last line, text); lines from 0.
        self.comments = []
        code, end = [], 0
        for token in self.TOKEN.finditer(text):
            code.append(text[end:token.start()])
            code.append(re.sub(r"[^\n]", " ", token.group()))
            end = token.end()
            if token.group().startswith("/"):
                first = text.count("\n", 0, token.start())
                last = first + token.group().count("\n")
                self.comments.append((first, last, token.group()))
        code.append(text[end:])
        self.code = "".join(code).splitlines(keepends=True)

    def bare(self, i):
        """Whether line i holds no code: blank, or comment only."""
        return not self.code[i].strip()

    def items(self):
        """Top-level items as ranges of lines, one after the other."""
        items, start, depth = [], None, 0
        for i, line in enumerate(self.code):
            if start is None:
                if self.bare(i):
                    continue
                start, depth = i, 0
            if self.code[start].startswith("#"):
                done = not line.rstrip().endswith("\\")
            else:
                depth += line.count("{") - line.count("}")
                done = (line.startswith("}") or
                        depth == 0 and line.rstrip().endswith((";", "}")))
            if done:
                items.append(range(start, i + 1))
                start = None
        return items

    def defines(self, item, name):
        """Whether a top-level item defines a function, variable or macro."""
        text = "".join(self.code[i] for i in item)
        if text.startswith("#"):
            return bool(re.match(r"#\s*define\s+" + name + r"\b", text))
        head, body, _ = text.partition("{")
        if body:
            return bool(re.search(r"\b" + name + r"\s*\([^;]*\)\s*$", head))
        head = re.sub(r"\[[^]]*\]", "", head.partition("=")[0])
        return (text.startswith("static") and
                bool(re.search(r"\b" + name + r"\b", head)))


def run_spatch(text):
    """The text as Coccinelle leaves it."""
    spatch = os.environ.get("SPATCH") or "spatch"
    if not shutil.which(spatch):
        raise Refused(f"{spatch} is missing: install Coccinelle "
                      "(Debian: coccinelle)")
    with tempfile.TemporaryDirectory(prefix="graft.") as work:
        before = os.path.join(work, "before.c")
        after = os.path.join(work, "after.c")
        with open(before, "w", encoding="latin-1") as file:
            file.write(text)
        # A home and a directory of its own: no .cocciconfig but defaults.
        env = dict(os.environ, HOME=work, TMPDIR=work, LC_ALL="C")
        done = subprocess.run(
            [spatch, "--very-quiet", "--no-show-diff", "--sp-file", COCCI,
             before, "-o", after], cwd=work, env=env, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if done.returncode or not os.path.exists(after):
            said = done.stdout.decode("latin-1").split("\n")[0]
            raise Refused(f"{spatch} failed ({done.returncode}): {said}")
        with open(after, encoding="latin-1", newline="") as file:
            return file.read()


def mend_mmu_pv(text):
    """arch/x86/xen/mmu_pv.c: take out what graft.cocci names.

    Coccinelle says what goes, and the shape of the stock file what may: the
    definitions, one call, comments upon them, blank lines around them. What
    is returned consists of lines of the stock file, whatever spatch printed.
    """
    names = cocci_names()
    src = Source(text)
    items = src.items()
    gone = set()
    for name in names:
        found = [item for item in items if src.defines(item, name)]
        if len(found) != 1:
            raise Refused(f"defines {name} {len(found)} times, not once")
        gone.update(found[0])
    any_name = re.compile(r"\b(?:" + "|".join(names) + r")\b")
    calls = [i for i, line in enumerate(src.code)
             if i not in gone and any_name.search(line)]
    if len(calls) != 1:
        raise Refused(f"uses what is to go in {len(calls)} more places, "
                      "not in one")
    call = calls[0]
    if not (re.match(r"\s+if \(alloc_discontig_frames\(.*\)\)$",
                     src.code[call].rstrip()) and
            src.code[call + 1].strip() == "BUG();"):
        raise Refused(f"line {call + 1} uses what is to go otherwise than "
                      "expected")
    gone.update((call, call + 1))

    # Comments that go: right above what goes, or about it.
    may = set()
    for first, last, comment in src.comments:
        if not all(src.bare(i) for i in range(first, last + 1)):
            continue
        if last + 1 in gone or any_name.search(comment):
            may.update(range(first, last + 1))

    out = run_spatch(text).splitlines(keepends=True)
    tails = {src.lines[i][len(src.code[i].rstrip()):].strip() for i in gone}
    kept, j = [], 0
    for i, line in enumerate(src.lines):
        if i in gone:
            continue
        # A comment that stood behind something removed is left on its own.
        while (j < len(out) and out[j] != line and out[j].strip() and
               out[j].strip() in tails):
            j += 1
        if j < len(out) and out[j] == line:
            j += 1
            if i not in may:
                kept.append(i)
        elif i not in may and line.strip():
            raise Refused(f"the semantic patch changes line {i + 1}, which "
                          "it should not")
    if j != len(out):
        raise Refused("the semantic patch leaves what should go: "
                      + out[j].strip())

    # Where something went, one blank line of two is enough.
    result = []
    for n, i in enumerate(kept):
        gap = n and kept[n - 1] != i - 1
        if gap and not src.lines[i].strip() and not result[-1].strip():
            continue
        result.append(src.lines[i])
    mended = "".join(result)
    left = any_name.search(mended)
    if left:
        raise Refused(f"{left.group()} is still there after the removal")
    return mended


def mend_arm_page(text):
    """include/xen/arm/page.h: pfn_to_bfn() is a function of ours.

    What it did was to walk the tree of foreign pages, which is gone.
    """
    src = Source(text)
    found = [item for item in src.items() if src.defines(item, "pfn_to_bfn")]
    tree = [i for i, line in enumerate(src.code)
            if re.match(r"extern struct rb_root phys_to_mach;$", line.strip())]
    if len(found) != 1 or len(tree) != 1:
        raise Refused("does not define pfn_to_bfn and declare phys_to_mach "
                      "once")
    uses = [i for i, line in enumerate(src.code)
            if re.search(r"\bphys_to_mach\b", line)]
    if any(i not in found[0] and i != tree[0] for i in uses):
        raise Refused("uses phys_to_mach otherwise than expected")
    lines = []
    for i, line in enumerate(src.lines):
        if i == found[0][0]:
            lines.append("unsigned long pfn_to_bfn(unsigned long pfn);\n")
        if i not in found[0] and i != tree[0]:
            lines.append(line)
    return "".join(lines)


def mend_reservation(text):
    """drivers/xen/mem-reservation.c: we are told which pages leave."""
    lines = text.splitlines(keepends=True)
    call = [i for i, line in enumerate(lines)
            if re.match(r"\treturn HYPERVISOR_memory_op\("
                        r"XENMEM_decrease_reservation,", line)]
    include = [i for i, line in enumerate(lines)
               if line == "#include <xen/mem-reservation.h>\n"]
    if "xen_dma_pages_leave" in text:
        raise Refused("mended already")
    if len(call) != 1 or len(include) != 1 or \
            not re.search(r"int xenmem_reservation_decrease\("
                          r"int count, xen_pfn_t \*frames\)", text):
        raise Refused("does not give pages back in the one place that is "
                      "known")
    text = insert_before(lines, call[0], "\txen_dma_pages_leave(frames, count);")
    return insert_before(text.splitlines(keepends=True), include[0] + 1,
                         "#include <xen/swiotlb-xen.h>")


def mend_xen_binding(text):
    """The binding of the hypervisor's node: ours adds properties to it."""
    closed = re.compile(r"^additionalProperties: false$", re.M)
    if len(closed.findall(text)) != 1:
        raise Refused("does not close the list of properties once")
    return closed.sub("allOf:\n  - $ref: /schemas/arm/xen,dma.yaml#\n"
                      "\nunevaluatedProperties: false", text)


def mends(ours, has):
    """Map from stock path to what mends it.

    has: tells whether the tree has a stock file of that path; decides for
    the documentation, of which a tree may bring less.
    """
    plan = {
        "arch/x86/xen/mmu_pv.c": mend_mmu_pv,
        "drivers/xen/Kconfig": mend_kconfig,
        "drivers/xen/Makefile": mend_makefile,
        "drivers/xen/mem-reservation.c": mend_reservation,
        "include/xen/arm/page.h": mend_arm_page,
    }
    if os.path.dirname(XEN_BINDING) + "/xen,dma.yaml" in ours and \
            has(XEN_BINDING):
        plan[XEN_BINDING] = mend_xen_binding
    if f"tools/testing/selftests/{SELFTEST}/Makefile" in ours:
        plan["tools/testing/selftests/Makefile"] = mend_selftests
    pages = {}
    for path in sorted(ours):
        index = os.path.join(os.path.dirname(path), "index.rst")
        if (path.startswith("Documentation/") and path.endswith(".rst") and
                index not in ours and has(index)):
            name = os.path.basename(path)[:-len(".rst")]
            pages.setdefault(index, []).append(name)
    for index, names in pages.items():
        plan[index] = mend_index(names)
    for path in plan:
        if path in ours:
            raise Refused(f"{path}: cannot be both ours and mended")
    return plan


def recipe(ours):
    """Stands for the way stock files are mended: our list, and this text."""
    return sha(read(COCCI) + read(os.path.abspath(__file__)) +
               "\n".join(sorted(ours)).encode())


class Transaction:
    """Changes of files in a tree that happen all or not at all."""

    def __init__(self, tree):
        self.tree = tree
        self.fresh = False      # whether there was no manifest before
        self.files = {}         # path: {"old": sha or None, "new": ...}
        self.made = []          # directories that did not exist before
        self.dropped = []       # directories that go when they are empty

    def at(self, *parts):
        """Path in the tree, as the file system wants it."""
        return os.path.join(self.tree, *parts)

    def open(self):
        """Make the staging directory; leftovers of another run go."""
        self.fresh = not os.path.lexists(self.at(MANIFEST))
        if self.fresh and os.path.lexists(self.at(STATE)):
            shutil.rmtree(self.at(STATE))
        if os.path.lexists(self.at(TXN)):
            shutil.rmtree(self.at(TXN))
        os.makedirs(self.at(TXN))
        self.own(self.at(STATE))

    def own(self, path, like=None):
        """Give something new to the owner of the tree, or of another file."""
        if os.geteuid() == 0:
            owner = os.stat(like or self.tree)
            os.chown(path, owner.st_uid, owner.st_gid)

    def stage(self, path, data, mode, like=None):
        """Let path have this content and mode, owned as `like` is."""
        new = self.at(TXN, "new", path)
        os.makedirs(os.path.dirname(new), exist_ok=True)
        with open(new, "xb") as file:
            file.write(data)
        self.own(new, like)
        os.chmod(new, mode)
        self.files[path] = {"old": file_sha(self.at(path)), "new": sha(data)}
        parent = os.path.dirname(path)
        while parent and not os.path.isdir(self.at(parent)):
            if parent not in self.made:
                self.made.append(parent)
            parent = os.path.dirname(parent)

    def remove(self, path):
        """Let there be no file at path."""
        self.files[path] = {"old": file_sha(self.at(path)), "new": None}

    def drop(self, path):
        """Let there be no directory at path, if it is empty then."""
        if path not in self.dropped:
            self.dropped.append(path)

    def commit(self):
        """Do it all; on any failure undo it all and let the failure out."""
        self.made.sort()
        self.dropped.sort(reverse=True)
        for path, change in self.files.items():
            if change["old"] is not None:
                keep = self.at(TXN, "old", path)
                os.makedirs(os.path.dirname(keep), exist_ok=True)
                try:
                    os.link(self.at(path), keep)
                except OSError:
                    shutil.copy2(self.at(path), keep)
        journal = {"format": FORMAT, "files": self.files, "made": self.made,
                   "dropped": [d for d in self.dropped
                               if os.path.isdir(self.at(d))]}
        draft = self.at(JOURNAL + ".new")
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(journal, file, indent=1)
        os.rename(draft, self.at(JOURNAL))
        try:
            for path in self.made:
                os.mkdir(self.at(path))
                self.own(self.at(path))
            for path, change in self.files.items():
                if change["new"] is None:
                    os.unlink(self.at(path))
                else:
                    os.rename(self.at(TXN, "new", path), self.at(path))
            for path in self.dropped:
                try:
                    os.rmdir(self.at(path))
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.ENOENT,
                                           errno.EEXIST):
                        raise
            deaf()
            os.unlink(self.at(JOURNAL))
        except BaseException:
            deaf()
            roll_back(self.tree)
            raise

    def close(self, keep_state=True):
        """Clear the staging away; what can't be is left to a later run."""
        if not keep_state:
            shutil.rmtree(self.at(STATE), ignore_errors=True)
            return
        shutil.rmtree(self.at(TXN), ignore_errors=True)

    def abandon(self):
        """Clear away what was staged for a change that won't happen."""
        if os.path.lexists(self.at(JOURNAL)):
            return
        shutil.rmtree(self.at(STATE if self.fresh else TXN),
                      ignore_errors=True)


def roll_back(tree):
    """Bring a tree back to before the change that its journal describes.

    Can be interrupted and repeated: the journal goes last.
    Return: whether there was a change to roll back.
    """
    at = os.path.join
    if not os.path.lexists(at(tree, JOURNAL)):
        if os.path.lexists(at(tree, MANIFEST)):
            shutil.rmtree(at(tree, TXN), ignore_errors=True)
        return False
    try:
        journal = json.loads(read(at(tree, JOURNAL)))
        files = journal["files"].items()
    except (ValueError, KeyError):
        raise Refused(f"{tree}: {JOURNAL} is damaged") from None
    for path, change in files:
        now = file_sha(at(tree, path))
        if now not in (change["old"], change["new"]):
            raise Refused(f"{tree}: {path} was edited after an interrupted "
                          f"run; its older content is in {TXN}/old")
        if change["old"] and file_sha(at(tree, TXN, "old", path)) is None \
                and now != change["old"]:
            raise Refused(f"{tree}: {TXN}/old/{path} of an interrupted run "
                          "is missing")
    for path in reversed(journal["dropped"]):
        os.makedirs(at(tree, path), exist_ok=True)
    for path, change in reversed(list(files)):
        old = at(tree, TXN, "old", path)
        if change["old"] is None:
            if os.path.lexists(at(tree, path)):
                os.unlink(at(tree, path))
        elif os.path.lexists(old):
            os.rename(old, at(tree, path))
    for path in reversed(journal["made"]):
        try:
            os.rmdir(at(tree, path))
        except OSError:
            pass
    os.unlink(at(tree, JOURNAL))
    shutil.rmtree(at(tree, TXN))
    if not os.path.lexists(at(tree, MANIFEST)):
        shutil.rmtree(at(tree, STATE))
    return True


def deaf():
    """From here on, no signal that can be ignored interrupts."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class Tree:
    """The Linux tree that the graft works on."""

    def __init__(self, path):
        self.path = path
        self.manifest = None

    def at(self, *parts):
        """Path in the tree, as the file system wants it."""
        return os.path.join(self.path, *parts)

    def refuse(self, path, why):
        """Refuse because of one file of the tree."""
        raise Refused(f"{self.path}: {path}: {why}")

    def check_kernel(self):
        """Refuse what is no kernel tree. Return: its version, "6.12"."""
        for name in ("Makefile", "Kconfig", "Kbuild"):
            if not plain(self.at(name)):
                raise Refused(f"{self.path}: not a Linux source tree "
                              f"(no {name})")
        text = read(self.at("Makefile")).decode("latin-1")
        found = [re.search(rf"^{name} = (\d+)$", text, re.M)
                 for name in ("VERSION", "PATCHLEVEL")]
        if not all(found):
            raise Refused(f"{self.path}: not a Linux source tree (its "
                          "Makefile has no VERSION and PATCHLEVEL)")
        version = ".".join(match.group(1) for match in found)
        if version not in KNOWN:
            raise Refused(f"{self.path}: Linux {version} is not known, only "
                          + ", ".join(KNOWN))
        return version

    def load(self):
        """Read the manifest, if there is one."""
        if not os.path.lexists(self.at(MANIFEST)):
            return
        try:
            self.manifest = json.loads(read(self.at(MANIFEST)))
            if self.manifest["format"] != FORMAT:
                self.refuse(MANIFEST, "written by another version of the "
                            "graft, which must --undo it")
            self.manifest["files"].items()
        except (ValueError, KeyError, TypeError, AttributeError):
            self.refuse(MANIFEST, "damaged")

    def known(self, path):
        """What the manifest says about a path, or None."""
        return self.manifest["files"].get(path) if self.manifest else None

    def check_place(self, path):
        """Refuse where something else than a file or nothing is."""
        if os.path.lexists(self.at(path)) and not plain(self.at(path)):
            self.refuse(path, "not a regular file")
        parent = os.path.dirname(path)
        while parent:
            if os.path.lexists(self.at(parent)) and (
                    os.path.islink(self.at(parent)) or
                    not os.path.isdir(self.at(parent))):
                self.refuse(parent, "not a directory")
            parent = os.path.dirname(parent)

    def check_edited(self, path, entry, *also):
        """Refuse a file that holds what would be lost.

        Ours and stock's content (or absence) can be had again, and so can
        what has the checksums `also`.
        """
        now = file_sha(self.at(path))
        if now in (entry["now"], entry["stock"], *also):
            return
        if now is None:
            self.refuse(path, "removed by hand since the graft; bring it "
                        "back first")
        self.refuse(path, "edited by hand since the graft; move the edit "
                    "elsewhere first")

    def check_git(self, paths):
        """In a git work tree, refuse uncommitted changes of stock files."""
        paths = sorted(p for p in paths if not self.known(p) and
                       os.path.lexists(self.at(p)))
        if not paths or not os.path.lexists(self.at(".git")):
            return
        try:
            done = subprocess.run(
                ["git", "--no-optional-locks", "-C", self.path, "status",
                 "--porcelain", "-z", "--ignored", "--untracked-files=all",
                 "--", *paths], check=False, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise Refused(f"{self.path}: a git work tree, but git is "
                          "missing") from None
        if done.returncode:
            said = done.stderr.decode("latin-1").split("\n")[0]
            raise Refused(f"{self.path}: git status fails: {said}")
        if done.stdout:
            first = done.stdout.decode("latin-1").split("\0")[0]
            self.refuse(first[3:], "not under git's control, as the rest of "
                        "the tree is" if first[:2] in ("??", "!!")
                        else "has uncommitted changes")

    def check_writable(self, paths):
        """Refuse a tree in which a file could not be renamed into place."""
        parents = {""}
        for path in paths:
            parent = os.path.dirname(path)
            while not os.path.isdir(self.at(parent)):
                parent = os.path.dirname(parent)
            parents.add(parent)
        for parent in sorted(parents):
            if not os.access(self.at(parent) if parent else self.path,
                             os.W_OK | os.X_OK):
                raise Refused(f"{self.path}: cannot write in "
                              f"{parent or 'it'}")

    def stock(self, path):
        """Stock content of a file that we replace or mend."""
        entry = self.known(path)
        if not entry:
            return read(self.at(path))
        kept = self.at(STOCK, path)
        if not plain(kept) or sha(read(kept)) != entry["stock"]:
            self.refuse(f"{STOCK}/{path}", "missing or damaged")
        return read(kept)

    def has_stock(self, path):
        """Whether the tree has, or had, a stock file of this path."""
        entry = self.known(path)
        if entry:
            return entry["stock"] is not None
        return os.path.lexists(self.at(path))


def desired(tree, ours):
    """What the tree should hold: a manifest's files, and their content.

    Checks of every file concerned that it is what it should be. The content
    is None where the tree has it already.
    """
    files, contents = {}, {}
    plan = mends(ours, tree.has_stock)
    by = recipe(ours)

    for path in [*ours, *plan]:
        tree.check_place(path)

    for path, source in ours.items():
        entry = tree.known(path)
        data = read(source)
        mode = 0o755 if file_mode(source) & 0o100 else 0o644
        stock = stock_mode = None
        if entry:
            stock, stock_mode = entry["stock"], entry["stock_mode"]
            tree.check_edited(path, entry, sha(data))
        elif path in REPLACED:
            if not os.path.lexists(tree.at(path)):
                tree.refuse(path, "missing")
            text = tree.stock(path)
            if text == data:
                tree.refuse(path, f"ours already, but there is no {MANIFEST}")
            for name in REPLACED[path]:
                if name.encode() not in text:
                    tree.refuse(path, f"does not mention {name}: "
                                "a foreign file")
            stock, stock_mode = sha(text), file_mode(tree.at(path))
        elif os.path.lexists(tree.at(path)):
            tree.refuse(path, "exists, and not as a file that the graft "
                        "placed or knows")
        if stock:
            mode = stock_mode
        files[path] = {"now": sha(data), "mode": mode, "stock": stock,
                       "stock_mode": stock_mode}
        contents[path] = data

    for path, mend in plan.items():
        entry = tree.known(path)
        if not entry and not os.path.lexists(tree.at(path)):
            tree.refuse(path, "missing")
        if entry and entry.get("by") == by and \
                file_sha(tree.at(path)) == entry["now"]:
            files[path], contents[path] = entry, None
            continue
        data = tree.stock(path)
        try:
            mended = mend(data.decode("latin-1")).encode("latin-1")
        except Refused as reason:
            tree.refuse(path, reason)
        if not entry and SELFTEST.encode() in data:
            tree.refuse(path, f"mended already, but there is no {MANIFEST}")
        if entry:
            tree.check_edited(path, entry, sha(mended))
        mode = entry["stock_mode"] if entry else file_mode(tree.at(path))
        files[path] = {"now": sha(mended), "mode": mode, "stock": sha(data),
                       "stock_mode": mode, "by": by}
        contents[path] = mended
    return files, contents


def restore(tree, change, path):
    """Stage a path's way back to what it was before the graft."""
    entry = tree.known(path)
    if entry["stock"]:
        if file_sha(tree.at(path)) != entry["stock"] or \
                file_mode(tree.at(path)) != entry["stock_mode"]:
            change.stage(path, tree.stock(path), entry["stock_mode"],
                         like=tree.at(STOCK, path))
        if os.path.lexists(tree.at(STOCK, path)):
            change.remove(f"{STOCK}/{path}")
            parent = os.path.dirname(f"{STOCK}/{path}")
            while parent != STATE:
                change.drop(parent)
                parent = os.path.dirname(parent)
    elif os.path.lexists(tree.at(path)):
        change.remove(path)


def check_restorable(tree, paths):
    """Refuse unless each path can go back to what it was."""
    for path in paths:
        entry = tree.known(path)
        tree.check_place(path)
        tree.check_edited(path, entry)
        if entry["stock"]:
            tree.stock(path)


def graft(tree):
    """Lay our files over a tree."""
    ours = our_files()
    version = tree.check_kernel()
    if roll_back(tree.path):
        print(f"graft: {tree.path}: rolled back an interrupted run")
    tree.load()
    was = tree.manifest["files"] if tree.manifest else {}
    files, contents = desired(tree, ours)
    tree.check_git(files)
    leaving = [path for path in was if path not in files]
    check_restorable(tree, leaving)

    changing = [path for path, entry in files.items()
                if contents[path] is not None and
                (file_sha(tree.at(path)) != entry["now"] or
                 file_mode(tree.at(path)) != entry["mode"])]
    ours_dirs = set()
    for path in files:
        parent = os.path.dirname(path)
        while parent:
            ours_dirs.add(parent)
            parent = os.path.dirname(parent)
    old_dirs = tree.manifest["dirs"] if tree.manifest else []
    dirs = sorted({d for d in ours_dirs if not os.path.isdir(tree.at(d))} |
                  {d for d in old_dirs if d in ours_dirs})
    manifest = {"format": FORMAT, "version": version, "dirs": dirs,
                "files": dict(sorted(files.items()))}
    if manifest == tree.manifest and not changing:
        print(f"graft: {tree.path} (Linux {version}): nothing to do")
        return

    tree.check_writable([*changing, *leaving])
    change = Transaction(tree.path)
    try:
        change.open()
        for path in leaving:
            restore(tree, change, path)
        for path in old_dirs:
            if path not in ours_dirs:
                change.drop(path)
        for path in changing:
            like = None
            if files[path]["stock"]:
                like = tree.at(path)
                if not tree.known(path):
                    kept = f"{STOCK}/{path}"
                    change.stage(kept, tree.stock(path),
                                 files[path]["stock_mode"], like)
            change.stage(path, contents[path], files[path]["mode"], like)
        text = json.dumps(manifest, indent=1) + "\n"
        change.stage(MANIFEST, text.encode(), 0o644)
        change.commit()
    except BaseException:
        deaf()
        change.abandon()
        raise
    deaf()
    change.close()
    if not changing and not leaving:
        print(f"graft: {tree.path} (Linux {version}): nothing to do")
        return
    new = sum(1 for p in changing if p not in was and not files[p]["stock"])
    stock = sum(1 for p in changing if p not in was) - new
    print(f"graft: {tree.path} (Linux {version}): {new} files placed, "
          f"{stock} stock files replaced or mended, "
          f"{len(changing) - new - stock} updated, {len(leaving)} taken off")


def undo(tree):
    """Take everything of ours off a tree."""
    if not os.path.isdir(tree.path):
        raise Refused(f"{tree.path}: not a directory")
    if roll_back(tree.path):
        print(f"graft: {tree.path}: rolled back an interrupted run")
    tree.load()
    change = Transaction(tree.path)
    if not tree.manifest:
        # No word of ours: leftovers of a run killed at its very end, if any.
        if os.path.isdir(tree.at(STATE)):
            shutil.rmtree(tree.at(STATE))
        print(f"graft: {tree.path}: nothing to undo")
        return
    paths = sorted(tree.manifest["files"])
    check_restorable(tree, paths)
    tree.check_writable(paths)
    try:
        change.open()
        for path in paths:
            restore(tree, change, path)
        for path in tree.manifest["dirs"]:
            change.drop(path)
        change.remove(MANIFEST)
        change.commit()
    except BaseException:
        deaf()
        change.abandon()
        raise
    deaf()
    change.close(keep_state=False)
    print(f"graft: {tree.path}: {len(paths)} files taken off or restored")


def show():
    """Print what a graft would do to a tree, a line for each file."""
    ours = our_files()
    lines = [("replace" if path in REPLACED else "place", path)
             for path in ours]
    docs = {f"Documentation/{d}/index.rst" for d in ("admin-guide",
                                                    "driver-api")}
    docs.add(XEN_BINDING)
    lines += [("mend", path) for path in mends(ours, docs.__contains__)]
    for verb, path in sorted(lines, key=lambda line: line[1]):
        print(verb, path)


def interrupted(number, _):
    """Signal handler: leave the way of any other failure."""
    deaf()
    raise Refused(f"interrupted by {signal.Signals(number).name}")


class Parser(argparse.ArgumentParser):
    """Takes one line to say what is wrong."""

    def error(self, message):
        self.exit(2, f"graft: {message} (see --help)\n")


def main():
    """Command line."""
    parser = Parser(
        prog="graft", usage="graft [--undo] TREE | graft --list",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"""\
Lays xen-dma over the Linux source tree TREE: copies our files in, takes the
code they replace out of the stock files, and adds what the rest has to know to
Kconfig, Makefile, the balloon's hypercalls, the selftests and the documentation. Running it again brings
over what changed since, and touches nothing else. Linux {', '.join(KNOWN)}.""",
        epilog=f"""\
It refuses, with one line and without a change: a tree that it does not know,
stock files changed by someone else, files edited by hand since the graft.
TREE/{STATE} keeps what it needs to undo. Restored files get a new time, so
that a build sees them. SPATCH names the spatch to run.
Exit status: 0 done, 1 refused or failed, 2 wrong usage.""")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--undo", action="store_true",
                      help="bring TREE's files back to their stock content")
    what.add_argument("--list", action="store_true",
                      help="print what would be placed, replaced or mended")
    parser.add_argument("tree", metavar="TREE", nargs="?",
                        help="directory of a Linux source tree")
    args = parser.parse_args()
    if args.list == bool(args.tree):
        parser.error("--list takes no TREE" if args.list
                     else "TREE is missing")
    try:
        if args.list:
            show()
            return 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupted)
        tree = Tree(args.tree.rstrip("/") or "/")
        try:
            lock = os.open(tree.path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Refused(f"{tree.path}: {error.strerror}") from None
        fcntl.flock(lock, fcntl.LOCK_EX)
        (undo if args.undo else graft)(tree)
    except Refused as reason:
        print(f"graft: {reason}", file=sys.stderr)
        return 1
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        half = os.path.lexists(os.path.join(args.tree or "", JOURNAL))
        print(f"graft: {name}{error.strerror}; " +
              ("the next run rolls back what was changed" if half
               else "nothing was changed"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
