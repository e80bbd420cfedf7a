# SPDX-License-Identifier: GPL-2.0
"""What the SMMU has to say of a boot: of each DMA that it stopped Xen writes an event, five
lines on its console: a head, and four words of 64 bits.

There is an event for each 4 bytes that a device wanted. A stream that Xen was not told of is
stopped without one, so that there is none says something only beside data that arrived.
"""

import re
from dataclasses import dataclass

from bed.ktap import Result

HEAD = re.compile(r"SMMUv3: \S+: event 0x([0-9a-f]+) received")
WORD = re.compile(r"SMMUv3: \S+:\s+0x([0-9a-f]{16})")

# What test modules say of a DMA past the API, before it.
STRAY = re.compile(r"xdt: stray (read|write) of ([0-9]+) bytes at (0x[0-9a-f]+)")

# In the words: what happened; where the device wanted to read rather than write; where to.
FAULTS = range(0x10, 0x14)
READ = 1 << 35


@dataclass(frozen=True)
class Event:
    """What was stopped: a kind of the SMMU's, who, how and where."""

    kind: int
    stream: int = None
    how: str = ""
    address: int = None

    def __str__(self):
        if self.address is None:
            return f"event {self.kind:#x}, whose lines did not come whole"
        return f"event {self.kind:#x}, stream {self.stream:#x}, {self.how or 'DMA'} at {self.address:#x}"


def event(kind, words):
    """The event of that kind with these words."""
    if len(words) < 4:
        return Event(kind)
    how = ("read" if words[1] & READ else "write") if kind in FAULTS else ""
    return Event(kind, words[0] >> 32, how, words[2])


def events(console):
    """The events on a console; others may talk between the lines of one."""
    kind, words = None, []
    for line in console:
        head, word = HEAD.search(line), WORD.search(line)
        if head:
            if kind is not None:
                yield event(kind, words)
            kind, words = int(head[1], 16), []
        elif word and kind is not None:
            words.append(int(word[1], 16))
            if len(words) == 4:
                yield event(kind, words)
                kind = None
    if kind is not None:
        yield event(kind, words)


def results(console, script):
    """The SMMU's judgement on a boot: whether it stopped nothing but what a test module, by the script's
    output, did on purpose; and, if one did, whether it reported each of these."""
    strays = [(how, int(at, 16), int(size)) for how, size, at in STRAY.findall("\n".join(script))]
    others, seen = [], set()
    for each in events(console):
        of = [stray for stray in strays if each.how == stray[0] and 0 <= each.address - stray[1] < stray[2]]
        seen.update(of)
        others += [] if of else [str(each)]
    silent = [f"nothing of the {how} at {at:#x}" for how, at, size in strays if (how, at, size) not in seen]
    yield Result("smmu.no_other_event", not others, diagnostics=tuple(others), group="console")
    if strays:
        yield Result("smmu.strays_reported", not silent, diagnostics=tuple(silent), group="console")
