# SPDX-License-Identifier: GPL-2.0
"""What the modules share: failures, the cache, locks, packages, work shown by stage.

A stage is a piece of work under one name: its commands write to a log, a line tells
how long it takes, and when it fails the end of the log is shown. A failure is one
line for people; it never shows a traceback.
"""

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent

NO_NETWORK = re.compile(
    "Temporary failure (in name resolution|resolving)|Could not (resolve|connect)|Unable to connect"
    "|Cannot initiate the connection|Network is unreachable|Connection timed out|Connection refused")
DISK_FULL = re.compile("No space left on device|not have enough free space")


class Failure(Exception):
    """What the user is told, in one line, before exit status `status`."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


class StageFailed(Failure):
    """A stage whose command failed; `log` is where its output is."""

    def __init__(self, message, log):
        super().__init__(message)
        self.log = Path(log)

    def no_network(self):
        """Does the log tell that a mirror was out of reach?"""
        return bool(NO_NETWORK.search(self.log.read_text(errors="replace")))


def note(message):
    """One line to the user."""
    print(f"{os.environ.get('BED_COMMAND', 'bed')}: {message}", file=sys.stderr, flush=True)


def cache():
    """The cache's directory, which need not exist."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        if not os.environ.get("HOME"):
            raise Failure("HOME is not set, so there is no place for the cache")
        base = os.environ["HOME"] + "/.cache"
    if re.search(r"[\s:]", base):
        raise Failure(f"the cache's path may hold neither blanks nor colons (the kernel's build refuses them): {base}")
    return Path(base) / "xen-dma"


def make_dirs(*paths):
    """Make directories, with a clear word when that can't be."""
    for path in paths:
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"cannot make {path} ({error.strerror})") from None


def log_path(name):
    """The log file of that name."""
    make_dirs(cache() / "log")
    return cache() / "log" / f"{name}.log"


def new_log(kind):
    """A log file of a run's own; what is older than two weeks goes."""
    make_dirs(cache() / "log")
    for old in (cache() / "log").glob(f"{kind}-*.log"):
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < time.time() - 14 * 86400:
                old.unlink()
    return cache() / "log" / f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"


@contextlib.contextmanager
def lock(name):
    """Hold the cache's lock of that name."""
    make_dirs(cache() / "lock")
    path = cache() / "lock" / name
    with open(path, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"waiting for another run that holds {path}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def span(seconds):
    """A time for people."""
    seconds = int(seconds)
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def disk_full(log=None):
    """Does the log tell of a full disk, or is the disk so full that it could not?"""
    if log and DISK_FULL.search(Path(log).read_text(errors="replace")):
        return True
    place = cache()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free < 64 << 10


def _tick(name, start, over):
    """Tell how long a stage has run: each second on a terminal, else once in a while."""
    terminal = sys.stderr.isatty()
    while not over.wait(1 if terminal else 60):
        passed = span(time.monotonic() - start)
        print(f"\r    {passed} " if terminal else f"    {name}: {passed} so far\n", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def stage(name, log):
    """Work shown under one name. Yields run(command, **options of subprocess.run).

    run() returns when the command succeeded; if it fails, so does the stage, by
    StageFailed. With V=1 the commands' output is shown as it comes.
    """
    start = time.monotonic()
    over = threading.Event()
    make_dirs(Path(log).parent)
    print(f"==> {name} (log: {log})", file=sys.stderr, flush=True)
    ticker = threading.Thread(target=_tick, args=(name, start, over), daemon=True)
    verbose = os.environ.get("V", "0") not in ("", "0")
    end = "failed after"
    with open(log, "wb", buffering=0) as file:
        def run(command, **options):
            options.setdefault("stdin", subprocess.DEVNULL)
            options.setdefault("stderr", subprocess.STDOUT)
            options.setdefault("stdout", subprocess.PIPE if verbose else file)
            # In a group of its own: one signal reaches the compilers that make's shells have started.
            with subprocess.Popen([str(word) for word in command], process_group=0, **options) as process:
                try:
                    for line in process.stdout or ():
                        file.write(line)
                        sys.stderr.buffer.write(line)
                    status = process.wait()
                except BaseException:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGTERM)
                    raise
            if status:
                raise subprocess.CalledProcessError(status, command)
        if not verbose:
            ticker.start()
        try:
            yield run
            end = "done in"
        except (OSError, subprocess.CalledProcessError) as error:
            with contextlib.suppress(OSError):
                file.write(f"{error}\n".encode())
            why = f"after {span(time.monotonic() - start)}"
            if disk_full(log):
                why = f"(no space left on the disk of {cache()})"
            raise StageFailed(f"stage '{name}' failed {why} (log: {log})", log) from None
        finally:
            over.set()
            if ticker.is_alive():
                ticker.join()
            print(f"    {end} {span(time.monotonic() - start)}", file=sys.stderr, flush=True)


def communicate(command, **options):
    """Run a command without input to its end: its process, what it printed, and its complaints. It is ended by a
    signal that it can heed, for it may have a machine to end."""
    with subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, **options) as process:
        try:
            return process, *process.communicate()
        except BaseException:
            process.terminate()
            raise


def tail(log, lines=20):
    """The last lines of a log, for the standard error."""
    text = Path(log).read_bytes().decode(errors="replace").replace("\r", "")
    print("\n".join(text.splitlines()[-lines:]), file=sys.stderr, flush=True)


def installed(package):
    """Is that Debian package installed?"""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout == "installed"


def need(*packages):
    """Install those Debian packages that are missing."""
    if not shutil.which("dpkg-query"):
        raise Failure("this is no Debian system; install by hand what these packages hold: " + " ".join(packages))
    if all(installed(package) for package in packages):
        return
    with lock("packages"):
        missing = [package for package in packages if not installed(package)]
        if missing:
            _install(missing)


def _install(missing):
    """Install packages, with today's lists when those at hand are none or too old."""
    words = " ".join(missing)
    root = []
    if os.geteuid():
        if not shutil.which("sudo"):
            raise Failure(f"needs these packages, and neither root nor sudo is here to install them: {words}")
        if subprocess.run(["sudo", "-n", "true"], check=False, stderr=subprocess.DEVNULL).returncode and \
                (not sys.stdin.isatty() or subprocess.run(["sudo", "true"], check=False).returncode):
            raise Failure(f"needs these packages, and sudo asks for a password: {words}")
        root = ["sudo"]
    log = log_path("packages")
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=600"]
    install = [*apt, "install", "--yes", "--no-install-recommends", *missing]
    for commands in [install], [[*apt, "update"], install]:
        try:
            with stage(f"install {words}", log) as run:
                for command in commands:
                    run(command)
            return
        except StageFailed as failed:
            failure = failed
    if failure.no_network():
        raise Failure("no network: the package mirror is out of reach, and these packages are missing: "
                      f"{words} (log: {log})")
    raise failure


def jobs():
    """Jobs at a time: JOBS, or the number of processors."""
    return os.environ.get("JOBS") or str(os.cpu_count())


def compiler_cache():
    """The environment in which ccache serves one build from another."""
    return dict(os.environ, CCACHE_DIR=str(cache() / "ccache"), CCACHE_NOHASHDIR="1",
                CCACHE_SLOPPINESS="include_file_mtime,include_file_ctime")


def end_on_signals():
    """A signal leaves by the way of any other failure: what was begun is cleaned up."""
    def leave(number, _):
        for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
