# SPDX-License-Identifier: GPL-2.0
"""Programs with all that they load, for a machine that is booted."""

import os
import re
import shutil
from pathlib import Path

from bed import base
from bed.base import Failure
from bed.fetch import output

# This machine's libraries, and where the loader looks.
HERE = "x86_64-linux-gnu"
LIBRARIES = ("/lib/{0}", "/usr/lib/{0}", "/lib", "/usr/lib", "/lib64")

PYTHON = ("python3-minimal", "libpython3-stdlib")
MODULES = "/usr/lib/python3/dist-packages"


def closure(paths, triplet, found):
    """Programs and libraries, the loader, and all libraries that they load; read from the files, for some can't run
    here. `found` says where a file is, or None."""
    todo, done = list(paths), set()
    while todo:
        path = todo.pop()
        if path in done:
            continue
        done.add(path)
        if not found(path):
            raise Failure(f"there is no {path}")
        text = output(["readelf", "-W", "-d", "-l", found(path)])
        todo += re.findall(r"program interpreter: (\S+)\]", text)
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text):
            at = [f"{where.format(triplet)}/{name}" for where in LIBRARIES]
            at = [each for each in at if found(each)]
            if not at:
                raise Failure(f"{path} lacks the library {name}")
            todo.append(at[0])
    return done


def copy(paths, place, found=lambda path: path):
    """Copy files to where they are, but in a root directory. `found` says where each is now."""
    for path in paths:
        base.make_dirs(Path(f"{place}{path}").parent)
        shutil.copy2(found(path), f"{place}{path}")


def install(paths, place):
    """Copy programs and libraries of this machine, and all that they load, into a root directory."""
    copy(closure(map(str, paths), HERE, lambda path: path if os.path.isfile(path) else None), place)


def install_python(place, *modules):
    """Copy Debian's interpreter, with what it needs for a terminal and with modules of other packages."""
    python = Path("/usr/bin/python3").resolve(strict=True)
    library = Path("/usr/lib") / python.name
    shutil.copytree(library, f"{place}{library}", symlinks=True, ignore=shutil.ignore_patterns(
        "__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "config-*"))
    for path in (file for module in modules for file in Path(MODULES).glob(module)):
        if path.is_dir():
            shutil.copytree(path, f"{place}{path}", ignore=shutil.ignore_patterns("__pycache__"))
        else:
            install([path], place)
    install([python, *library.glob("lib-dynload/*curses*.so")], place)
    base.make_dirs(place / "usr/bin")
    shutil.copy2(python, place / "usr/bin/python3")
