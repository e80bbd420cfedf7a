# SPDX-License-Identifier: GPL-2.0
"""Show xen-dma-top in a dom0 at work, and draw what is on its terminal then: writes
Documentation/admin-guide/xen-dma-top.svg. Its disks are read meanwhile: one that reaches no
further than 4 GiB, and two that reach all memory. A network card is up, which reaches no
further either.
"""

import base64
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bed import base, programs, svg, terminal
from bed.base import TOP, Failure
from bed.build import Kernel

PICTURE = TOP / "Documentation/admin-guide/xen-dma-top.svg"
PROGRAM = TOP / "tools/xen-dma/xen-dma-top"
PACKAGES = (*programs.PYTHON, "python3-pyte", "ncurses-base", "python3-matplotlib")
DISKS = {"ata_piix": "ide-hd,bus=ide.0", "ahci": "ide-hd,bus=ahci.0", "nvme": "nvme,serial=top"}

# Inches; a character's width and a line's height.
WIDE, HIGH = 0.076, 0.155


def arguments(_parser):
    """There are none."""


def install_top(place):
    """xen-dma-top, and what it needs for a terminal."""
    programs.install_python(place)
    locale = map(str, Path("/usr/lib/locale/C.utf8").rglob("LC_*"))
    programs.copy(("/lib/terminfo/l/linux", *filter(os.path.isfile, locale)), place)
    base.make_dirs(place / "top")
    shutil.copy2(PROGRAM, place / "top")
    shutil.copy2(terminal.__file__, place / "top/terminal.py")


def words(kernel, place):
    """What scripts/boot is told; makes what is booted in the empty directory `place`."""
    root = place / "root"
    root.mkdir()
    install_top(root)
    devices = ["-device", "ahci,id=ahci"]
    for name, device in DISKS.items():
        (place / name).write_bytes(os.urandom(16 << 20))
        devices += ["-drive", f"if=none,id={name},format=raw,file={place / name}", "-device", f"{device},drive={name}"]
    devices += ["-netdev", "user,id=net,restrict=on", "-device", "e1000,netdev=net"]
    return ["--kernel", kernel.image, "--machine", "pc", "--mem", "6G", "--dom0-mem", "2G",
            *(word for path in sorted(root.iterdir()) for word in ("--file", f"{path}:/{path.name}")),
            "--run", TOP / "tests/top-dom0", "--", *devices]


def told(lines, word):
    """What the script has said behind a word, a line each."""
    return [line.removeprefix(f"{word}: ") for line in lines if line.startswith(f"{word}: ")]


def screen(lines):
    """The terminal after all that the program has written: of each line a list of (text, is it reversed?)."""
    import pyte
    shown = pyte.Screen(terminal.COLUMNS, terminal.ROWS)
    pyte.ByteStream(shown).feed(base64.b64decode("".join(told(lines, "screen"))))
    rows = []
    for y in range(terminal.ROWS):
        parts = []
        for x in range(terminal.COLUMNS):
            cell = shown.buffer[y][x]
            if parts and parts[-1][1] == cell.reverse:
                parts[-1][0] += cell.data
            else:
                parts.append([cell.data, cell.reverse])
        rows.append([(text, reverse) for text, reverse in parts])
    return rows


def draw(rows):
    """The terminal as the text of an SVG file; the same for the same rows."""
    from matplotlib.patches import Rectangle
    width, height = terminal.COLUMNS * WIDE, len(rows) * HIGH
    figure = svg.figure(PICTURE.name, figsize=(width + 0.2, height + 0.2), facecolor="#202428")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1))
    axes.set_axis_off()
    for y, parts in enumerate(rows):
        x = 0
        for text, reverse in parts:
            if reverse:
                axes.add_patch(Rectangle((x * WIDE, y * HIGH), len(text) * WIDE, HIGH, color="#d0d4d8"))
            # A viewer's font may be wider or narrower, so each word has its place.
            for at, word in places(text):
                axes.text((x + at) * WIDE, (y + 0.78) * HIGH, word.replace("$", r"\$"), family="monospace", fontsize=9,
                          color="#202428" if reverse else "#d0d4d8")
            x += len(text)
    return svg.text(figure)


def places(text):
    """Where words begin, and the words."""
    at = 0
    for word in text.split(" "):
        if word:
            yield at, word
        at += len(word) + 1


def main(_args):
    """Boot, look, draw."""
    base.need(*PACKAGES, "busybox-static", "cpio", "qemu-system-x86")
    kernel = Kernel.from_environment()
    kernel.build()
    with tempfile.TemporaryDirectory(prefix="xen-dma-screen.") as place:
        command = [str(word) for word in (TOP / "scripts/boot", "--quiet", *words(kernel, Path(place)))]
        with base.stage("boot a dom0 with xen-dma-top", base.log_path("screen")):
            process = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                     errors="replace")
    if process.returncode:
        raise Failure(f"the boot ended with status {process.returncode}")
    rows = screen(process.stdout.replace("\r", "").splitlines())
    print("\n".join("".join(text for text, _ in parts).rstrip() for parts in rows))
    PICTURE.write_text(draw(rows), encoding="utf-8")
    print(f"written: {PICTURE}")
