# SPDX-License-Identifier: GPL-2.0
"""Run a User Mode Linux kernel: the machine is a process, its memory a file.

Both live in a directory of the run's own, best in memory too, and go with it. The
kernel's console goes to a log; nothing is read from the keyboard.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from bed.base import Failure

# MiB of the machine.
MEMORY = 1024


def directory():
    """A temporary directory with room for the memory, which is mapped executable."""
    for place in ("/dev/shm", os.environ.get("TMPDIR", "/tmp"), "/tmp"):
        if os.access(place, os.W_OK):
            about = os.statvfs(place)
            if about.f_bavail * about.f_frsize > (MEMORY + 128) << 20 and not about.f_flag & os.ST_NOEXEC:
                return tempfile.TemporaryDirectory(prefix="xen-dma-uml.", dir=place)
    raise Failure(f"found no directory to run in: /dev/shm or {os.environ.get('TMPDIR', '/tmp')} "
                  f"with {MEMORY + 128} MiB free, not mounted noexec")


def run(linux, log, timeout, *args, cpus=2):
    """Run a kernel for so many seconds at most, its console appended to a log.

    Returns None when it ended by itself and well, else what went wrong.
    """
    with directory() as place, open(log, "ab") as file:
        # On a busy machine a CPU may stall for half a minute: that is no fault of the kernel's.
        command = [Path(linux).resolve(), "seccomp=on", f"ncpus={cpus}", f"mem={MEMORY}M", "con=null", "con0=fd:0,fd:1",
                   f"uml_dir={place}", "xen_machine_buffer=64M",
                   "rcupdate.rcu_cpu_stall_timeout=300", *args]
        try:
            status = subprocess.run(command, check=False, cwd=place, env=dict(os.environ, TMPDIR=place),
                                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                                    timeout=timeout).returncode
        except subprocess.TimeoutExpired:
            return f"time-out after {timeout} s"
    return f"the kernel ended with status {status}" if status else None
