# SPDX-License-Identifier: GPL-2.0
"""xen-dma-top on terminals, over figures that the tests write and change.

tmux is the terminal, and TERM=vt100 with LC_ALL=C what a serial console has. Rates depend on
time there, so a test asks which are none and which are some; exact ones are asked of the
program's functions.
"""

import contextlib
import itertools
import json
import os
import pty
import re
import subprocess
import tempfile
import time
from importlib import machinery, util
from pathlib import Path

import pytest

from bed import base, screen

TOP = base.TOP / "tools/xen-dma/xen-dma-top"
LONG = "fe300000.a-device-with-a-name-of-40-char"
NVME, AHCI, OTHER = "0000:00:05.0", "0000:00:04.0", "0000:00:06.0"
FILES = {
    "usage": "slots 32768\nfree 30000\npeak 5000\nmapped 2000\ncoherent 500\nkept 268\n"
             "chunks-added 2\nchunks-not-added 3\nchunks-given-back 1\n",
    "aperture": "# bus-first bus-last slots used\n0xbf000000 0xbfffffff 16384 2000\n0xbe000000 0xbeffffff 16384 768\n",
    "coherent": "cached 0\nused 8192\npooled 2097152\nhits 1\nmade 2\nreturned 0\nkept 0\nfailed 5\n",
    "exchanges": "# order calls failed microseconds longest\n0 4 1 100 60\n9 2 0 300 200\n"}
DEVICES = [("-", "others", "present", 0, {}),
           ("ahci", AHCI, "present", 100, {"mask": (1000000000000, 4096000000000000), "straddle": (5, 20480)}),
           ("nvme", NVME, "removed", 300, {"mask": (20, 81920)}),
           ("a_driver", LONG, "present", 40, {"align": (7, 500)})]


@pytest.fixture(name="top", scope="session")
def program():
    """The program as a module."""
    spec = util.spec_from_loader("xen_dma_top", machinery.SourceFileLoader("xen_dma_top", str(TOP)))
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Figures:
    """A directory in place of debugfs; each file is replaced as a whole."""

    def __init__(self, debugfs):
        self.debugfs, self.place = debugfs, debugfs / "xen-dma"
        self.place.mkdir()
        self.numbers = {}
        for name, text in FILES.items():
            self.write(name, text)
        self.devices(*DEVICES)

    def write(self, name, text):
        """A file."""
        (self.debugfs / "new").write_text(text, encoding="latin-1")
        (self.debugfs / "new").replace(self.place / name)

    def devices(self, *devices):
        """The file devices. Of what is called the same each has a place of its own, which it keeps."""
        lines, seen = ["# device driver id state slots-held [reason mappings bytes]..."], set()
        for driver, name, state, held, reasons in devices:
            key = (name, name in seen)
            seen.add(name)
            number = "-" if name == "forgotten" else self.numbers.setdefault(key, len(self.numbers))
            lines.append(" ".join(map(str, [name, driver, number, state, held, *(
                word for why, pair in reasons.items() for word in (why, *pair))])))
        self.write("devices", "\n".join(lines) + "\n")


@pytest.fixture(name="figures")
def some_figures(tmp_path):
    """Figures in a directory of the test's own."""
    return Figures(tmp_path)


class Terminal:
    """A terminal of its own with the program on it; when that has ended, its status is the last line."""

    def __init__(self, place, size, command):
        self.tmux = ["tmux", "-S", f"{place}/socket", "-f", "/dev/null"]
        self.run("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]),
                 "sh", "-c", '"$@"; echo "ended with $?"; exec cat', "sh", *command)

    def run(self, *words):
        """A command of tmux; returns what it prints."""
        return subprocess.run([*self.tmux, *words], check=True, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True).stdout

    def keys(self, *keys):
        """Press keys."""
        self.run("send-keys", *keys)

    def resize(self, width, height):
        """Another size."""
        self.run("resize-window", "-x", str(width), "-y", str(height))

    def lines(self):
        """What stands on it."""
        return self.run("capture-pane", "-p").splitlines()

    def until(self, good):
        """Wait until good(lines) is true of what is not being drawn just now; returns the lines."""
        deadline, before = time.monotonic() + 60, None
        while not (good(lines := self.lines()) and lines == before):
            assert time.monotonic() < deadline, "\n".join(lines)
            before = lines
            time.sleep(0.05)
        return lines

    def running(self):
        """Has it not ended?"""
        return "ended with" not in "".join(self.lines())

    def ended(self):
        """Wait for the program's end; returns its status and what it left on the terminal."""
        lines = [line for line in self.until(lambda lines: "ended with" in "".join(lines)) if line]
        return int(lines[-1].removeprefix("ended with ")), lines[:-1]


@pytest.fixture(name="terminal")
def terminals(figures):
    """terminal(width, height, word...): the program on a terminal of that size."""
    base.need("tmux")
    with contextlib.ExitStack() as stack:
        def start(width, height, *words, term="vt100", locale="C"):
            command = ["env", "-u", "TMUX", "-u", "LINES", "-u", "COLUMNS", f"TERM={term}", f"LC_ALL={locale}",
                       "/usr/bin/python3", str(TOP), "--debugfs", str(figures.debugfs), "-d", "0.2", *words]
            # A socket's path can't be long.
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="top.", dir="/tmp"))
            it = Terminal(place, (width, height), command)
            stack.callback(it.run, "kill-server")
            return it
        yield start


def title(lines):
    """The number of the table's first line, or None."""
    return next((number for number, line in enumerate(lines) if line.startswith("DEVICE")), None)


def table(lines):
    """{device: {column: text}} of the table, in its order; figures end where their column's title does."""
    start = title(lines)
    if start is None:
        return {}
    heads = lines[start].split()
    numbers = [name for name in heads if name not in ("DEVICE", "DRIVER", "REASONS")]
    found = {}
    for line in itertools.takewhile(lambda line: line.strip() and "(h)eld" not in line, lines[start + 1:]):
        row, end = {}, lines[start].index(numbers[0]) + len(numbers[0])
        begin = end - 8
        for name in numbers:
            end = lines[start].index(name) + len(name)
            row[name.removesuffix("/s")] = line[begin:end].strip()
            begin = end
        found[line.split()[0]] = row
    return found


def rated(lines):
    """Is that a look with rates?"""
    return any("MAPPINGS/s" in line for line in lines)


@pytest.mark.parametrize("width, height", [(80, 24), (200, 60)])
def test_screen(terminal, width, height):
    """All is there, in ASCII, and no line is wider than the terminal."""
    lines = terminal(width, height).until(rated)
    text = "\n".join(lines)
    assert text.isascii() and len(lines) <= height
    assert max(map(len, lines)) < width
    for part in ("Aperture 64.0 MiB: 3.9 mapped, 1.0 coherent, 0.5 kept, 58.6 free, 9.8 peak", "2 chunks",
                 "2 added, 3 not to be had, 1 given back", "2.0 MiB pooled, 8.0 KiB used", "5 failed",
                 "Exchanges 6, failed 1, longest 200 us", f"{NVME} gone", "mask", "(q)uit"):
        assert part in text
    assert lines[1].startswith("[#") and len(lines[1]) == width - 1
    assert (LONG in text) == (width == 200) and LONG[-20:] in text
    assert {row["MAPPINGS"] for row in table(lines).values()} == {"0"}


def test_first_look(terminal):
    """The first look has everything since boot: 10^12 mappings stay in their column."""
    lines = terminal(80, 24, "-d", "3600").until(title)
    rows = table(lines)
    assert list(rows) == [NVME, AHCI, "~" + LONG[-31:], "others"] and not rated(lines)
    assert rows[AHCI] == {"HELD": "200 KiB", "MAPPINGS": "1.0 T", "BYTES": "3.6 PiB"}
    assert rows[NVME] == {"HELD": "600 KiB", "MAPPINGS": "20", "BYTES": "80.0 KiB"}


def test_keys(terminal, figures):
    """Each key sorts at once, with an interval that nobody waits for; others do nothing; q ends, and leaves the
    terminal's last line free."""
    figures.devices(("c", "one", "present", 30, {"mask": (2, 500)}), ("b", "two", "present", 20, {"mask": (1, 900)}),
                    ("a", "gamma", "present", 10, {"mask": (3, 100)}), ("d", "alpha", "present", 5, {"mask": (1, 1)}))
    it = terminal(80, 24, "-d", "3600", "-s", "name")
    orders = {"n": ["alpha", "gamma", "one", "two"], "h": ["one", "two", "gamma", "alpha"],
              "r": ["gamma", "one", "alpha", "two"], "b": ["two", "one", "gamma", "alpha"]}
    it.until(lambda lines: list(table(lines)) == orders["n"])
    for key in "hrbn":
        it.keys(key)
        lines = it.until(lambda lines, key=key: list(table(lines)) == orders[key])
    assert "ame: name" in "\n".join(lines)
    it.keys("x", "Up", "Escape", "[", "Z", "h")
    it.until(lambda lines: list(table(lines)) == orders["h"])
    assert it.running()
    it.keys("q")
    status, lines = it.ended()
    assert status == 0 and lines[-1].startswith("alpha")


def test_rates(terminal, figures):
    """What grows has a rate, what stays has none, and neither has what stops."""
    counts = itertools.count()

    def grown(lines):
        step = next(counts)
        figures.devices(("ahci", AHCI, "present", 1, {"mask": (10**12, 10**15)}),
                        ("nvme", NVME, "present", 1, {"mask": (20 + 100 * step, 81920 + 409600 * step)}))
        row = table(lines).get(NVME, {}).get("MAPPINGS", "0")
        return rated(lines) and row != "0"
    grown([])
    it = terminal(80, 24, "-s", "rate")
    rows = table(it.until(grown))
    assert list(rows) == [NVME, AHCI]
    assert float(rows[NVME]["MAPPINGS"]) > 0 and rows[NVME]["BYTES"] != "0 B"
    assert rows[AHCI]["MAPPINGS"] == "0" and rows[AHCI]["BYTES"] == "0 B"
    it.until(lambda lines: {row["MAPPINGS"] for row in table(lines).values()} == {"0"})


def test_devices_come_and_go(terminal, figures):
    """A device that comes is shown, one that is removed is gone and then no more, and none has a rate below 0."""
    it = terminal(80, 24)
    it.until(lambda lines: len(table(lines)) == 4)
    figures.devices(*DEVICES, ("e1000", OTHER, "present", 5, {"mask": (1000, 10**6)}))
    it.until(lambda lines: OTHER in table(lines))
    figures.devices(("e1000", OTHER, "removed", 5, {"mask": (3, 100)}))
    lines = it.until(lambda lines: list(table(lines)) == [OTHER])
    assert f"{OTHER} gone" in lines[title(lines) + 1] and "-" not in table(lines)[OTHER]["MAPPINGS"]
    figures.devices()
    it.until(lambda lines: title(lines) and not table(lines))


@pytest.mark.parametrize("width", [20, 40])
def test_narrow(terminal, width):
    """Names and what they are sorted by are there even on 20 columns, at the size it has at first."""
    it = terminal(width, 24, "-d", "3600")
    lines = it.until(title)
    assert max(map(len, lines)) < width
    rows = table(lines)
    assert [row["HELD"] for row in rows.values()] == ["600 KiB", "200 KiB", "80.0 KiB", "0 B"]
    it.keys("b")
    lines = it.until(lambda lines: title(lines) and "BYTES" in lines[title(lines)] and
                     table(lines)[list(table(lines))[0]]["BYTES"] == "3.6 PiB")
    assert max(map(len, lines)) < width and ":04.0" in lines[title(lines) + 1]


def test_resize(terminal):
    """It follows the terminal's size, down to one where nothing has room, and up again."""
    it = terminal(80, 24, "-d", "3600")
    it.until(title)
    for width, height in (20, 24), (200, 60), (33, 10), (80, 24):
        it.resize(width, height)
        lines = it.until(lambda lines, width=width: title(lines) and len(lines[1]) == width - 1)
        assert max(map(len, lines)) < width and len(lines) <= height
        assert (LONG in "\n".join(lines)) == (width == 200)
        assert list(table(lines))[0].endswith("05.0")
    for width, height in (80, 6), (1, 1), (2, 2):
        it.resize(width, height)
        it.until(lambda lines, height=height: len(lines) <= height)
    it.resize(80, 24)
    it.until(lambda lines: title(lines) and len(lines[1]) == 79)
    assert it.running()


def test_low(terminal, figures):
    """On few lines the table is there, and tells that there is more."""
    figures.devices(*DEVICES, *(("d", f"device{number}", "present", 0, {}) for number in range(60)))
    it = terminal(80, 8, "-d", "3600")
    lines = it.until(title)
    assert "and 63 more" in lines and NVME in table(lines) and "(q)uit" in lines[-1]


def test_utf8(terminal):
    """With UTF-8 it draws blocks, but not with --ascii, nor with a locale that the machine lacks."""
    assert "\N{FULL BLOCK}" in "".join(terminal(80, 24, locale="C.UTF-8").until(title))
    for words in {"locale": "C.UTF-8"}, {"locale": "xx_XX.UTF-8"}:
        it = terminal(80, 24, *(["--ascii"] if words["locale"][0] == "C" else []), **words)
        assert "".join(it.until(title)).isascii()


def test_file_vanishes(terminal, figures):
    """A file that goes while it runs is named in one line, on a terminal that is as before; on ARM one may lack."""
    (figures.place / "exchanges").unlink()
    it = terminal(200, 24)
    it.until(title)
    assert it.running()
    (figures.place / "usage").unlink()
    status, lines = it.ended()
    assert status == 1 and lines[-1] == f"xen-dma-top: {figures.place}/usage: No such file or directory"
    assert lines[-2].startswith("others")


@pytest.mark.parametrize("term", ["no-such-terminal", "", "dumb"])
def test_term(terminal, term):
    """A terminal that can't do it is refused in one line."""
    status, lines = terminal(200, 24, term=term).ended()
    assert status == 1 and len(lines) == 1
    assert lines[0].startswith("xen-dma-top: the terminal") and "--once" in lines[0]


def run(*words, **options):
    """Run it without a terminal: status, output, complaints."""
    done = subprocess.run(["/usr/bin/python3", "-", *map(str, words)], check=False, text=True, capture_output=True,
                          input=TOP.read_text(encoding="utf-8"), **options)
    return done.returncode, done.stdout, done.stderr


def test_once(figures):
    """Everything since boot, sorted, with nothing cut, and no terminal."""
    status, output, error = run("--once", "--debugfs", figures.debugfs, env=dict(os.environ, LC_ALL="C", TERM="none"))
    lines = output.splitlines()
    assert status == 0 and error == "" and output.isascii()
    assert list(table(lines)) == [NVME, AHCI, LONG, "others"]
    assert table(lines)[LONG] == {"HELD": "80.0 KiB", "MAPPINGS": "7", "BYTES": "500 B"}
    assert lines[-2].split()[1] == "a_driver" and "mask straddle" in output
    assert list(table(run("-1", "-s", "name", "--debugfs", figures.debugfs)[1].splitlines())) == \
        [AHCI, NVME, LONG, "others"]


def test_json(figures):
    """All that the files have, and the same sums."""
    figures.devices(*DEVICES, ("nvme", NVME, "present", 7, {"mask": (1, 4096)}), ("-", "forgotten", "removed", 0, {}))
    status, output, error = run("--json", "--debugfs", figures.debugfs)
    got = json.loads(output)
    assert status == 0 and error == ""
    assert got["usage"] == {name: int(value) for name, value in map(str.split, FILES["usage"].splitlines())}
    assert got["coherent"]["pooled"] == 2097152 and got["chunks"][0]["first"] == 0xbf000000
    assert sum(row["calls"] for row in got["exchanges"]) == 6 and got["exchanges"][1]["longest"] == 200
    assert [each["id"] for each in got["devices"]] == [0, 1, 2, 3, 4, None]
    assert sum(each["slots"] for each in got["devices"]) == sum(words[3] for words in DEVICES) + 7
    for at, name in enumerate(("mappings", "bytes")):
        assert sum(pair[name] for each in got["devices"] for pair in each["reasons"].values()) == \
            sum(pair[at] for *_, reasons in DEVICES for pair in reasons.values()) + (1, 4096)[at]


@pytest.mark.parametrize("name, text", [
    ("devices", "0000:00:04.0 ahci 1 present many\n"), ("devices", "ahci\n"), ("devices", "\xff\x1b[2J\x00"),
    ("devices", "0000:00:04.0 ahci 1 present 1 mask 1\n"), ("devices", "0000:00:04.0 ahci x present 1\n"),
    ("devices", "0000:00:04.0 ahci 1 here 1\n"), ("usage", "slots\n"), ("usage", "slots many\n"),
    ("aperture", "0xbf000000 0xbfffffff 16384\n"), ("aperture", "here there 1 1\n"), ("coherent", "used 1 2\n"),
    ("exchanges", "0 4 1 100\n"), ("exchanges", "0 4 1 100 x\n"), ("exchanges", "0 4 -1 100 1\n"),
    ("aperture", "0x1 0x2 1 -100\n"), ("coherent", "used -1\n"), ("usage", "slots +1\n"),
    ("usage", f"slots {10**400}\n"),
    ("devices", f"#0 ahci 1 present {10**400}\n"), ("devices", f"0000:00:04.0 ahci {'9' * 5000} present 1\n"),
    ("devices", f"0000:00:04.0 ahci 1 present 1 mask {2**64} 1\n")])
@pytest.mark.parametrize("mode", ["--once", "--json"])
def test_nonsense(figures, name, text, mode):
    """A line that is none is named, in one line that a terminal can show."""
    figures.write(name, text)
    status, output, error = run(mode, "--debugfs", figures.debugfs)
    assert status == 1 and output == "" and error.count("\n") == 1
    assert f"{name} has a line that is not understood" in error and error.strip().isprintable()


def test_more_than_there_is(figures):
    """Figures that do not belong together are shown nevertheless."""
    figures.write("usage", f"slots 1\nmapped {10**15}\n")
    status, output, error = run("--once", "--ascii", "--debugfs", figures.debugfs)
    assert status == 0 and error == "" and f"[{'#' * 78}]" in output


@pytest.mark.parametrize("redirect, words, says", [
    (">&-", "--once", "standard output is closed"), (">&-", "", "standard output is closed"),
    ("<&-", "", "standard input and output are no terminal"), (">/dev/full", "--once", "No space left on device"),
    (">/dev/full", "--json", "No space left on device"), (">/dev/full", "--help", "No space left on device")])
def test_bad_streams(figures, redirect, words, says):
    """One line, and status 1, where nothing can be read or printed."""
    process = subprocess.run(f"/usr/bin/python3 {TOP} --debugfs {figures.debugfs} {words} {redirect}", shell=True,
                             check=False, text=True, capture_output=True)
    assert process.returncode == 1 and process.stdout == ""
    assert says in process.stderr and process.stderr.count("\n") == 1


def test_output_is_ascii(figures):
    """What is printed need not have the locale's characters."""
    status, output, error = run("--once", "--debugfs", figures.debugfs,
                                env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "ascii"})
    assert status == 0 and error == "" and output.isascii()


@pytest.mark.parametrize("place, says", [("loop", "Too many levels of symbolic links"), ("n" * 300, "name too long")])
def test_bad_place(tmp_path, place, says):
    """One line for a directory that can't be looked for."""
    (tmp_path / "loop").symlink_to("loop")
    status, output, error = run("--once", "--debugfs", tmp_path / place)
    assert status == 1 and output == "" and error.count("\n") == 1 and says in error


def test_terminal_goes(figures):
    """Who is not told that the terminal has gone ends nevertheless, and does not look again and again."""
    main, terminal = pty.openpty()
    with subprocess.Popen(["/usr/bin/python3", TOP, "-d", "3600", "--debugfs", figures.debugfs], stdin=terminal,
                          stdout=terminal, stderr=terminal, start_new_session=True,
                          env={**os.environ, "TERM": "vt100"}) as process:
        os.close(terminal)
        seen = b""
        while b"Aperture" not in seen:
            seen += os.read(main, 4096)
        os.close(main)
        try:
            process.wait(60)
        finally:
            process.kill()


@pytest.mark.parametrize("words, says", [
    (["-d", "soon"], "seconds from 0.1 to 3600 are wanted, not 'soon'"), (["-d", "nan"], "0.1 to 3600"),
    (["-d", "0"], "0.1 to 3600"), (["--sort", "age"], "age"), (["--fast"], "--fast"), (["now"], "now"),
    (["--debugfs"], "--debugfs"), (["--debugfs", "/nowhere", "--once"], "this is no domain of Xen"),
    ([], "no terminal; --once and --json need none")])
def test_bad_usage(figures, words, says):
    """One line, and status 1."""
    status, output, error = run("--debugfs", figures.debugfs, *words)
    assert status == 1 and output == "" and error.count("\n") == 1 and says in error


def test_not_root(figures):
    """One line for who may not look: into the directory, or into a file of it."""
    nobody = {} if os.geteuid() else {"user": 65534, "group": 65534, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="top.", dir="/tmp") as place:
        place = Path(place)
        figures.place.rename(place / "xen-dma")
        place.chmod(0o755)
        for closed, says in (place, f"{place} is for root alone"), (place / "xen-dma/devices", "Permission denied"):
            closed.chmod(0)
            status, output, error = run("--once", "--debugfs", place, cwd="/", **nobody)
            closed.chmod(0o755)
            assert status == 1 and output == "" and error.count("\n") == 1 and says in error


@pytest.mark.parametrize("hypervisor, there, says", [
    (None, [], "this is no domain of Xen"), ("kvm\n", ["other"], "this is no domain of Xen"),
    ("xen\n", [], "debugfs is not mounted"), ("xen\n", ["other"], "no .*/xen-dma: the kernel has another DMA driver"),
    ("xen\n", ["xen-dma"], "has no figures of devices")])
def test_nothing_to_show(top, tmp_path, monkeypatch, capsys, hypervisor, there, says):
    """What is missing is named: the domain, debugfs, the driver."""
    (tmp_path / "debugfs").mkdir()
    for name in there:
        (tmp_path / "debugfs" / name).mkdir()
    if hypervisor:
        (tmp_path / "type").write_text(hypervisor)
    monkeypatch.setattr(top, "HYPERVISOR", tmp_path / "type")
    monkeypatch.setattr("sys.argv", ["xen-dma-top", "--once", "--debugfs", str(tmp_path / "debugfs")])
    assert top.main() == 1
    output, error = capsys.readouterr()
    assert output == "" and error.count("\n") == 1
    assert re.search(says, error), error


def look(top, when, *devices):
    """Figures of devices only."""
    return top.Figures(when=when, usage={}, chunks=[], coherent={}, exchanges=[], devices=[
        top.Device(name, "d", place, state, 0, {why: (count, 10 * count) for why, count in reasons.items()})
        for place, name, state, reasons in devices])


def test_exact_rates(top):
    """Differences by seconds; what comes anew counts from 0, also under a name and a place that others had."""
    before = look(top, 10, ("1", "a", "present", {"mask": 100}), ("2", "b", "present", {"mask": 50, "align": 5}),
                  ("3", "c", "present", {"mask": 70}), ("4", "e", "removed", {"mask": 30}),
                  ("-", "forgotten", "removed", {"mask": 1}))
    now = look(top, 14, ("1", "a", "removed", {"mask": 100}), ("5", "a", "present", {"mask": 8}),
               ("2", "b", "present", {"mask": 54, "align": 25}), ("3", "c", "present", {"mask": 4}),
               ("4", "f", "present", {"mask": 40}), ("-", "forgotten", "removed", {"mask": 31}))
    got = {(rate.device.place, rate.device.name): rate for rate in top.rates(now, before, "name")}
    assert {key: (rate.mappings, rate.bytes) for key, rate in got.items()} == {
        ("1", "a"): (0, 0), ("5", "a"): (2, 20), ("2", "b"): (6, 60), ("3", "c"): (1, 10), ("4", "f"): (10, 100),
        ("-", "forgotten"): (0, 0)}
    assert got["2", "b"].reasons == ["align", "mask"]
    assert top.name_of(now.devices[-1], 20) == "forgotten" and top.name_of(now.devices[0], 20) == "a gone"
    assert {rate.device.name: rate.mappings for rate in top.rates(now, None, "name")}["forgotten"] == 31


def test_no_rate_below_zero(top):
    """What has more mappings and fewer bytes than before is another one."""
    before = look(top, 10, ("1", "a", "present", {"mask": 3000}))
    now = look(top, 12, ("1", "a", "present", {"mask": 5000}))
    now.devices[0].reasons["mask"] = 5000, 2
    rate, = top.rates(now, before, "name")
    assert (rate.mappings, rate.bytes) == (2500, 1)


def test_numbers(top):
    """Figures keep to their columns, whatever a counter of 64 bits has."""
    assert [top.count(number) for number in (0, 1234567890, 10**12, 2**64 - 1)] == \
        ["0", "1234567890", "1.0 T", "18.4 E"]
    assert [top.size(number) for number in (0, 999, 1000, 2048, 2**64 - 1)] == \
        ["0 B", "999 B", "1.0 KiB", "2.0 KiB", "16.0 EiB"]
    for power in range(64):
        for number in range(2**power - 1, 2**power + 2):
            assert len(top.count(number)) <= 10 and len(top.size(number)) <= 8
    for power in range(20):
        assert len(top.count(10**power - 0.4)) <= 10


def test_sorted_by_is_whole(top, figures):
    """What the table is sorted by is shown whole on any terminal that has room for it and for a letter of the name."""
    found = top.read(figures.place)
    for sort, room, shown in (("held", 8, lambda rate: top.size(rate.device.held * top.SLOT)),
                              ("rate", 10, lambda rate: top.count(rate.mappings)),
                              ("bytes", 8, lambda rate: top.size(rate.bytes))):
        for width in range(room + 2, 100):
            rates = top.rates(found, None, sort)
            lines = list(top.table(rates, sort, True, width))[1:]
            assert all(f" {shown(rate)}" in line for rate, line in zip(rates, lines, strict=True))


def test_every_width(top, figures):
    """Nothing is wider than the terminal, with any number of chunks, full, empty or none."""
    for chunks in (0, 1, 2, 30, 300):
        figures.write("aperture", "".join(f"{0x1000 * at:#x} {0x1000 * at + 0xfff:#x} {at % 3 * 8} {at % 5 * 8}\n"
                                          for at in range(chunks)))
        seen = top.read(figures.place)
        for width in range(1, 250):
            for sort in top.SORTS:
                lines = [*top.head(seen, width, top.SHADES[True]),
                         *top.table(top.rates(seen, None, sort), sort, True, width)]
                assert max(map(len, lines)) <= width


@pytest.mark.parametrize("word", ["--once", "--json", "--help"])
def test_reader_gone(figures, word):
    """Nobody reads what is printed: it ends, and says nothing."""
    end, start = os.pipe()
    os.close(end)
    done = subprocess.run(["/usr/bin/python3", TOP, "--debugfs", figures.debugfs, word], check=False, stdout=start,
                          stderr=subprocess.PIPE, text=True)
    os.close(start)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.xdist_group("top")
def test_in_dom0(build, booted, tmp_path_factory):
    """Beside disks that are read: what it shows is what the kernel has counted."""
    base.need(*screen.PACKAGES)
    kernel = build(kver="6.12")
    boot = booted("top", lambda: screen.words(kernel, tmp_path_factory.mktemp("top")))
    told = json.loads("".join(screen.told(boot.lines, "json")))
    counted = {fields[0]: fields for fields in map(str.split, screen.told(boot.lines, "devices"))}
    ide = next(device for device in told["devices"] if device["driver"] == "ata_piix")
    later = counted[ide["name"]]
    assert boot.status == 0, str(boot)
    assert 0 < ide["reasons"]["mask"]["mappings"] <= int(later[later.index("mask") + 1]), str(boot)
    shown = ["".join(text for text, _ in parts) for parts in screen.screen(boot.lines)]
    line = next(line for line in shown if ide["name"] in line)
    assert "mask" in line and re.search(r" [1-9][0-9]* ", line), "\n".join(shown)
