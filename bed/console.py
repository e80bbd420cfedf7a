# SPDX-License-Identifier: GPL-2.0
"""What a machine that was booted says: its lines, the script's among them, its end.

Several talk on one console: the hypervisor, domains, a script. Lines that were cut are
put together again. A script's line carries its number and its length, so that a damaged
one is known as such; all of them are told twice. When nothing more is to come, the
log tells how it ended.
"""

import re

# What Xen writes before a line of a driver domain; it breaks such lines after a number of characters.
DOMU = b"(XEN) DOM1: "
DOMU_BREAK = 126

# A line of the kernel carries the time; that keeps a script's words apart.
_LINUX = r"\[ *[0-9]+\.[0-9]{6}\].*"
_XEN = r"\(XEN\) (\[[^]]*\] )?"

# Exit status, what is said of it, and what in the log shows it; the first one counts.
CRASHES = tuple((status, message, re.compile(pattern)) for status, message, pattern in (
    (122, "the hypervisor crashed", _XEN + "(Panic on CPU|FATAL|Xen BUG at|Assertion )"),
    (121, "the kernel panicked", _LINUX + "Kernel panic - not syncing"),
    (121, "the kernel reported an Oops or a BUG", _LINUX + r"(Oops: |kernel BUG at|[^A-Z]BUG: |\[#[0-9]+\] )"),
    (121, "the kernel crashed before it could say why",
     _XEN + "((Hardware )?Dom(ain )?0 crashed|Domain [0-9]+ .*crashed on cpu)"),
))


def lines(console):
    """The lines of a console (bytes, as they came), whole again."""
    rest = part = b""
    for line in console:
        line = line.replace(b"\0", b"").removesuffix(b"\n").removesuffix(b"\r")
        before, prefix, after = line.partition(DOMU)
        if prefix:
            # It may cut a line of dom0's.
            rest += before
            part += after
            if len(after) == DOMU_BREAK:
                continue
            line, part = DOMU + part, b""
        else:
            line, rest = rest + line, b""
        yield line.rstrip(b"\r")
    if rest or part:
        yield rest + (DOMU + part if part else b"")


class Script:
    """The script's lines among others: each is shown once, in its turn."""

    def __init__(self, nonce, show):
        self.mark = b"say %s " % nonce
        self.show = show
        self.shown = 0
        self.early = {}

    def take(self, line):
        """Is this a line of the script's? Then show what is due. Not if it is damaged; it will come again."""
        words = line.rpartition(self.mark)[2].split(b" ", 2) if self.mark in line else ()
        if len(words) != 3 or not words[0].isdigit() or not words[1].isdigit() or len(words[2]) != int(words[1]):
            return False
        if int(words[0]) > self.shown:
            self.early[int(words[0])] = words[2]
        while self.shown + 1 in self.early:
            self.shown += 1
            self.show(self.early.pop(self.shown))
        return True

    def finish(self):
        """Show what came whole behind a line that never did; returns the ranges of lines that are lost."""
        lost = []
        for number, line in sorted(self.early.items()):
            if number > self.shown + 1:
                lost.append((self.shown + 1, number - 1))
            self.shown = number
            self.show(line)
        return lost


def ending(nonce, in_domu):
    """A function that knows a line after which there is nothing to wait for: Xen goes on when a domain ends."""
    last = [rb"beside %s module .* end$" % nonce, rb"---\[ end Kernel panic",
            rb"^\(XEN\) (Reboot in five seconds|.*ebooting machine in 5 seconds)"]
    if in_domu:
        last += [rb"boot %s .* end$" % nonce, b"^" + re.escape(DOMU) + rb".*\] reboot: "]
    last = re.compile(b"|".join(last))
    crashed = False

    def ends(line):
        nonlocal crashed
        crashed = crashed or bool(re.match(rb"\(XEN\) Domain .* crashed on cpu", line))
        return bool(last.search(line)) or crashed and line.rstrip() == b"(XEN)"
    return ends


def crash(text):
    """(exit status, message) of the crash that the log tells, or None."""
    for status, message, pattern in CRASHES:
        if pattern.search(text):
            return status, message
    return None


def told(text, word, nonce):
    """The last report of the domain whose reports begin with word: ("exit", "0"), ("module", its name) or ("", "")."""
    reports = re.findall(rf".*{word} {nonce} (exit|module) (.*) end$", text, re.MULTILINE)
    return reports[-1] if reports else ("", "")
