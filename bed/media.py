# SPDX-License-Identifier: GPL-2.0
"""Sound, pictures and files of a system (bed/system.py): what a domain is to play, to draw and to
read, and whether QEMU heard and saw it.

A tone is looked for in a recording: once it has begun it must go on to its end without a
gap, and without a jump, as there is where pieces of it are missing or exchanged. A picture is
random, so that no piece of it looks like another, and a dump of the screen must be the same.
"""

import cmath
import hashlib
import os
import statistics
import subprocess
import wave
from array import array

from bed import ktap

# A sound card. With its timer it drops samples on a busy host.
CARD = "intel-hda -device hda-output,use-timer=off,audiodev=sound"

# Tones: /dev/dsp takes samples of 8 bits at that rate by default. What is looked at together are so
# many to the second; each has whole waves, but a page of samples has not.
HERTZ, RATE, SECONDS, WINDOWS = (100, 150, 200), 8000, 4, 50

# How far one window of a tone may be from the next, and the least that is loud; of 1. Linux loses a sample where it
# converts rates, which at 200 Hz is 0.16.
JUMP, LOUD = 0.2, 0.05

WIDTH, HEIGHT, PICTURES = 640, 480, (1, 2)

# A file, and the smallest disk that mkfs.xfs takes.
FILE, XFS = 32 << 20, 300 << 20


def sound(place):
    """Tones for dom0, and a card with a recording; returns QEMU's words."""
    for hertz in HERTZ:
        samples = (128 + 100 * cmath.rect(1, 2 * cmath.pi * hertz * number / RATE).imag
                   for number in range(RATE * SECONDS))
        (place / f"system/tone-{hertz}").write_bytes(bytes(map(round, samples)))
    return f"-audiodev wav,id=sound,path={place}/sound.wav -device {CARD}".split()


def windows(path, hertz):
    """A tone's strength and phase, 1 at most, in one window of a recording after the other."""
    with wave.open(str(path)) as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = array("h", file.readframes(file.getnframes()))[::channels]
    size = rate // WINDOWS
    turns = [cmath.rect(2 / size / 32768, -2 * cmath.pi * hertz * number / rate) for number in range(size)]
    return [sum(map(complex.__mul__, turns, map(complex, samples[start:start + size])))
            for start in range(0, len(samples) - size + 1, size)]


def is_heard(path, hertz):
    """Is there all of that tone, in one piece? Returns that, and what was found."""
    try:
        found = windows(path, hertz)
    except (OSError, EOFError, wave.Error) as error:
        return False, f"no recording: {error}"
    strength = [abs(each) for each in found]
    loud = [each for each in strength if each > LOUD]
    if not loud:
        return False, f"no tone in {len(found)} windows"
    usual = statistics.median(loud)
    # Whole windows: the first and the last one of the tone are not.
    first = next(number for number, each in enumerate(strength) if each > (1 - JUMP) * usual)
    tone = found[first:first + SECONDS * WINDOWS - 2]
    jumps = [number for number, (one, other) in enumerate(zip(tone, tone[1:])) if abs(one - other) > JUMP * usual]
    return (len(tone) == SECONDS * WINDOWS - 2 and not jumps,
            f"of {len(tone)} windows, strength {usual:.3f}, {len(jumps)} do not go on: {jumps[:10]}")


def picture(place, translated="on"):
    """Pictures for dom0, a screen, and a network on which QEMU's monitor and the dumps are reached; returns
    QEMU's words. A screen that is not translated takes what the kernel calls physical for the machine's addresses."""
    dumps = place / "dumps"
    dumps.mkdir()
    lines = [f"dumps {dumps}\n", f"size {WIDTH},{HEIGHT}\n"]
    for number in PICTURES:
        pixels = os.urandom(4 * WIDTH * HEIGHT)
        (place / f"system/picture-{number}").write_bytes(pixels)
        seen = bytearray(3 * WIDTH * HEIGHT)
        for colour in range(3):
            seen[colour::3] = pixels[2 - colour::4]
        (place / f"picture-{number}").write_bytes(seen)
        lines.append(f"picture-{number} {len(seen)} {hashlib.sha256(seen).hexdigest()}\n")
    with open(place / "media", "a", encoding="ascii") as file:
        file.writelines(lines)
    # The network is a client of the monitor's.
    return ["-device", f"virtio-gpu-pci,iommu_platform={translated},xres={WIDTH},yres={HEIGHT}",
            "-chardev", f"socket,id=monitor,path={place}/monitor,server=on,wait=off", "-mon", "chardev=monitor",
            "-netdev", f"user,id=monitor,restrict=on,net=10.0.9.0/24,tftp={dumps},"
            f"guestfwd=tcp:10.0.9.100:4444-unix:{place}/monitor", "-device", "e1000,netdev=monitor"]


def bypassing(place):
    """The same with a screen that is not translated."""
    return picture(place, "off")


def files(place):
    """A disk with XFS on it, which holds a file of random bytes; returns QEMU's words."""
    data = os.urandom(FILE)
    (place / "data").write_bytes(data)
    (place / "proto").write_text(f"-\n0 0\nd--755 0 0\ndata ---644 0 0 {place}/data\n$\n")
    subprocess.run(["/usr/sbin/mkfs.xfs", "-q", "-p", place / "proto", "-d", f"file,name={place}/xfs,size={XFS}"],
                   check=True, stdin=subprocess.DEVNULL)
    (place / "data").unlink()
    with open(place / "media", "a", encoding="ascii") as file:
        file.write(f"file {FILE} {hashlib.sha256(data).hexdigest()}\n")
    return ["-drive", f"if=none,id=files,format=raw,file={place}/xfs", "-device", "nvme,serial=files,drive=files"]


def is_seen(place, number):
    """Has the screen shown that picture?"""
    dump, right = place / f"dumps/shown-{number}", (place / f"picture-{number}").read_bytes()
    return dump.exists() and dump.read_bytes() == b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + right


def look(place, what, words):
    """What dom0 said that it played or showed, against what is here."""
    if what == "shown":
        return ktap.Result(f"host.shown_{words}", is_seen(place, words), group="host")
    right, about = is_heard(place / "sound.wav", int(words))
    return ktap.Result(f"host.played_{words}", right, diagnostics=(about,), group="host")
