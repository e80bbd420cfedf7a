# SPDX-License-Identifier: GPL-2.0
"""Delete what the other commands made, and tell how much room that gave back.

Without --all the builds, the trees they were made of and logs go; what costs time to get
again stays: stock sources, Xen, the toolstack, ccache's results.
"""

import contextlib
import fcntl
import shutil
import subprocess

from bed.base import Failure, cache

PARTS = ("build", "tree", "deb", "log", "demo", "check", "bench", "mutants")
ALL = (*PARTS, "matplotlib", "toolstack", "src", "dl", "apt", "img", "ccache", "lock")


def arguments(parser):
    """What can be said on the command line."""
    parser.add_argument("--all", action="store_true", help="the whole cache")


def size():
    """The cache's size in MiB. Hard links share room, so what is freed is a difference."""
    done = subprocess.run(["du", "-sk", cache()], check=False, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[0]) / 1024 if done.stdout else 0


def main(args):
    """Delete, unless a build is at work."""
    place = cache()
    if not place.is_dir():
        print(f"nothing to delete: there is no {place}")
        return
    with contextlib.ExitStack() as held:
        for path in (place / "lock").glob("*"):
            try:
                fcntl.flock(held.enter_context(open(path, "rb")), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Failure(f"another run is at work (it holds {path}); nothing was deleted") from None
        before = size()
        for part in ALL if args.all else PARTS:
            if (place / part).is_dir():
                shutil.rmtree(place / part)
    left = size()
    print(f"freed {before - left:.0f} MiB, {left:.0f} MiB left in {place}")
