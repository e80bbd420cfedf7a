# SPDX-License-Identifier: GPL-2.0
"""What the tests share: kernels that are built once in a run, and boots that several
tests ask questions about.

Tests of one boot have one xdist_group, so that one worker has them all; with -n the
groups are what the workers share.
"""

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bed import base
from bed.build import Kernel, install_kselftest
from bed.check import environment


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Workers share groups, if nothing else is said. They read their options anew, so they must find it too."""
    if config.getoption("numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadgroup"
        os.environ["PYTEST_ADDOPTS"] = os.environ.get("PYTEST_ADDOPTS", "") + " --dist=loadgroup"


@pytest.fixture(scope="session", name="once")
def once_in_a_run(tmp_path_factory):
    """once(name, make): a directory that make(directory) fills, once, for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent

    def once(name, make):
        place = shared / name
        with open(shared / f"{name}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / ".made").exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                make(place)
                (place / ".made").touch()
        return place
    return once


@pytest.fixture(scope="session", name="build")
def build_once(once):
    """build(arch=, kver=, flavour=, stock=): a kernel, up to date."""
    def build(**words):
        kernel = Kernel(**words)
        once(f"kernel-{kernel.name}", lambda _: kernel.build())
        return kernel
    return build


@pytest.fixture(scope="session", name="kselftest")
def kselftest_once(once, build):
    """kselftest(kernel): where the kselftest is installed that was built for it; of stock, with our tree's sources."""
    def kselftest(kernel):
        tree = build(arch=kernel.arch, kver=kernel.kver).tree if kernel.stock else kernel.tree
        return once(f"kselftest-{kernel.name}", lambda place: install_kselftest(kernel, tree, place)) / "install"
    return kselftest


@dataclass
class Boot:
    """What a boot left: scripts/boot's exit status, the script's lines, complaints, the console's log."""

    status: int
    lines: list
    error: str
    log: Path
    more: dict = field(default_factory=dict)

    def console(self):
        """The console's lines."""
        return self.log.read_text(errors="replace").replace("\r", "").splitlines()

    def __str__(self):
        """For a failure's message: the end of all that was said."""
        return "\n".join(["", f"scripts/boot ended with status {self.status}; its output's end:", *self.lines[-20:],
                          "the console's end:", *self.console()[-20:], *self.error.splitlines()[-1:],
                          f"console: {self.log}"])


def run(words, **settings):
    """Run a command of the bed, whatever kernel the environment names: the process, its output, its complaints."""
    return base.communicate(words, cwd=base.TOP, env=environment() | settings, text=True, errors="replace",
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def boot(*words):
    """Boot and see what comes of it."""
    process, output, error = run((base.TOP / "scripts/boot", "--quiet", *words))
    # The log's name ends with the process's number.
    logs = sorted((base.cache() / "log").glob(f"boot-*-{process.pid}.log"))
    assert logs, error
    return Boot(process.returncode, output.replace("\r", "").splitlines(), error, logs[-1])


@pytest.fixture(scope="session", name="booted")
def booted_once():
    """booted(key, words): the boot of that key, made when it is first asked for; words() gives scripts/boot's."""
    boots = {}

    def booted(key, words):
        if key not in boots:
            boots[key] = boot(*words())
        return boots[key]
    return booted
