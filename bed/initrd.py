# SPDX-License-Identifier: GPL-2.0
"""The initial file system of a domain: busybox, init.sh, modules, files, a script.

It is laid out in a directory and packed by cpio. What differs from boot to boot
stands in /.boot: settings, which init.sh reads, modules/ and script.
"""

import shutil
import subprocess
from pathlib import Path

from bed.base import Failure


def copy(source, target):
    """A file, or what a directory holds, with links followed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    except OSError:
        raise Failure(f"cannot copy {source} (unreadable, or no space left for {target})") from None


def split_file(word):
    """The two parts of SRC:/DST."""
    source, colon, target = word.rpartition(":")
    if not source or not colon or not target.startswith("/") or target == "/":
        raise Failure(f"--file wants SRC:/DST, not '{word}'")
    if not Path(source).exists():
        raise Failure(f"--file: there is no {source}")
    return source, target.lstrip("/")


def make(result, busybox, settings, modules=(), files=(), script=None):
    """Pack the initial file system into the file `result`; settings is a dictionary of plain words."""
    root = Path(f"{result}.root")
    for name in "bin dev proc sys tmp etc root .boot/modules".split():
        (root / name).mkdir(parents=True)
    copy(busybox, root / "bin/busybox")
    copy(Path(__file__).with_name("init.sh"), root / "init")
    (root / "init").chmod(0o755)
    (root / ".boot/settings").write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
    # They keep their names; a number keeps their order.
    for number, module in enumerate(modules, 101):
        copy(module, root / f".boot/modules/{number}-{Path(module).name}")
    for source, target in map(split_file, files):
        copy(source, root / target)
    if script:
        copy(script, root / ".boot/script")
        (root / ".boot/script").chmod(0o755)
    pack = "set -o pipefail; find . | cpio --quiet -o -H newc -R 0:0 | gzip -1"
    with open(result, "wb") as file:
        if subprocess.run(["bash", "-c", pack], cwd=root, stdout=file, check=False).returncode:
            raise Failure(f"cannot make the initial file system (no space left on the disk of {root.parent}?)")
    shutil.rmtree(root)
