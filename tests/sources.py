# SPDX-License-Identifier: GPL-2.0
"""Which files are ours, for the tests that look at them."""

import subprocess

from bed.base import TOP


def ours(*specs):
    """Our files of a kind: those that git knows or will be told of."""
    names = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *specs],
                           cwd=TOP, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return sorted(name for name in set(names) if (TOP / name).is_file())
