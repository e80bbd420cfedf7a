# SPDX-License-Identifier: GPL-2.0
"""Print what the graft does to a Linux tree as a patch series for git am, one change a patch.

The stock files concerned are committed to a scratch repository, the graft is laid over them, and what it touched is
committed in the order of patches/linux/*.txt, each of which names files and has the message. git format-patch does
the rest. The tree builds after each patch. Signed-off-by is left to who sends it. The cover letter has no patch, which
git am does not like: it is among the files that --output writes, and not in what is printed.
"""

import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bed import base, fetch, graft, known

MESSAGES = base.TOP / "patches" / "linux"
DATE = "2026-01-01T00:00:00+0000"


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--kver", metavar="V", default=os.environ.get("KVER") or next(iter(known.KERNELS)),
                        help="kernel series: " + ", ".join(known.KERNELS))
    parser.add_argument("--ksrc", metavar="TREE", default=os.environ.get("KSRC") or None,
                        help="a pristine kernel tree of your own in place of Debian's; its series counts, not KVER")
    parser.add_argument("--output", metavar="DIR", default=os.environ.get("DIR") or None,
                        help="write numbered files there, and a cover letter")


def main(args):
    """Print the series, or write it to files."""
    tree = Path(args.ksrc or fetch.linux(known.one_of("kernel series", args.kver, known.KERNELS)))
    graft.Tree(tree).version()
    if (tree / graft.MANIFEST).exists():
        raise base.Failure(f"{tree}: has the driver on it already; scripts/graft --undo takes it off")
    if args.output and any(Path(args.output).glob("*.patch")):
        raise base.Failure(f"{args.output}: has patches in it already, and nothing was written")
    with tempfile.TemporaryDirectory(prefix="series.") as work:
        cover, *patches = make(tree, Path(work), args.output)
        if args.output:
            print(cover, *patches, sep="\n")
        else:
            sys.stdout.buffer.write(b"".join(patch.read_bytes() + b"\n" for patch in patches))


def messages():
    """[(files' patterns, message)] of the patches, the cover letter first."""
    texts = [path.read_text(encoding="utf-8").partition("\n\n") for path in sorted(MESSAGES.glob("*.txt"))]
    return [(head.removeprefix("Files:").split(), message) for head, _, message in texts]


def share(paths, patches):
    """The files of each patch: each file goes to the first that has a pattern for it."""
    shares = [[] for _ in patches]
    for path in paths:
        places = [i for i, (globs, _) in enumerate(patches) if any(fnmatch.fnmatchcase(path, glob) for glob in globs)]
        if not places:
            raise base.Failure(f"{path} belongs to no patch: name it in one of {MESSAGES}/*.txt")
        shares[places[0]].append(path)
    return shares


def author():
    """Name and address of who makes the patches."""
    git = ["git", "-C", base.TOP, "config"]
    found = [subprocess.run([*git, key], check=False, capture_output=True, text=True).stdout.strip()
             for key in ("user.name", "user.email")]
    return found if all(found) else ["xen-dma", "xen-dma@localhost"]


def copy_stock(tree, place):
    """Copy the files that the graft looks at of a kernel tree."""
    for path in ("Makefile", "Kconfig", "Kbuild", *graft.EDITS, *graft.REPLACED):
        if (tree / path).exists():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / path, place / path)


def make(tree, work, output=None):
    """Make the series for a pristine tree in a scratch repository; returns its files."""
    name, address = author()
    env = {word: value for word, value in os.environ.items() if not word.startswith("GIT_")}
    env.update(GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null", LC_ALL="C", TZ="UTC")
    for role in ("AUTHOR", "COMMITTER"):
        env.update({f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": address, f"GIT_{role}_DATE": DATE})
    repo = work / "linux"

    def git(*words, **options):
        done = subprocess.run(["git", "-C", repo, *words], env=env, check=False, text=True, capture_output=True,
                              **options)
        if done.returncode:
            raise base.Failure(f"git {words[0]} fails: {done.stderr.strip().splitlines()[:1]}")
        return done.stdout

    repo.mkdir(parents=True)
    copy_stock(tree, repo)
    (_, cover), *patches = messages()
    git("init", "--quiet", "--initial-branch=xen-dma")
    git("add", "--all", "--force")
    git("commit", "--quiet", "--message=stock")
    git("tag", "stock")
    graft.lay(repo)
    touched = sorted(graft.Tree(repo).files)
    for (_, message), paths in zip(patches, share(touched, patches)):
        if paths:
            git("add", "--force", "--", *paths)
            git("commit", "--quiet", "--file=-", input=message)
    git("config", "branch.xen-dma.description", cover)
    output = Path(output or work / "patches").absolute()
    series = graft.Tree(repo).version()
    return [Path(line) for line in git(
        "format-patch", "--cover-letter", "--cover-from-description=subject", "--no-signature", "--no-renames",
        "--zero-commit", "--no-thread", f"--subject-prefix=PATCH {series}", f"--output-directory={output}",
        "stock").splitlines()]
