# SPDX-License-Identifier: GPL-2.0
"""Read KTAP, the form in which kernels and their selftests print results.

Results nest: run_kselftest.sh shows what a script prints behind "# ", KUnit shows the
cases of a suite behind blanks. A result that has results below it is their sum and is no
result of its own, except when it tells of a failure that none below it explains.
"""

import re
from dataclasses import dataclass, replace

# A second "#" makes it a comment of the script's.
RESULT = re.compile(r"((?:# )?(?: {4})*)(not )?ok [0-9]+ *(?:- )?(.*)")
HEADER = re.compile(r"(?:# selftests: \S+: (\S+)|(?:# )? *# Subtest: (\S+))$")


@dataclass(frozen=True)
class Result:
    """What became of a test: of what it is a part, and what was said before it."""

    name: str
    ok: bool
    skipped: bool = False
    reason: str = ""
    diagnostics: tuple = ()
    group: str = ""


def _end(own, below):
    """What counts of a result with these below it, whose group it gives its name."""
    if not below:
        return [own]
    below = [replace(result, group=result.group or own.name) for result in below]
    # A script ends with 1 for a failed result of its own, with others for reasons of which no result tells.
    if not own.ok and (all(result.ok for result in below) or not re.fullmatch("(exit=1)?", own.reason)):
        below.append(replace(own, name=f"{own.name} ended: {own.reason or 'not ok'}", group=own.name))
    return below


def results(lines):
    """The results of all that ended, and of what did not end: that it did not."""
    done, below, said, group = [], {}, [], ""
    for line in lines:
        line = line.rstrip("\r\n")
        found = RESULT.match(line)
        if not found:
            header = HEADER.match(line)
            group = (header[1] or header[2]) if header else group
            said.append(re.sub("^(# | {4})+", "", line))
            continue
        depth = len(re.findall("# | {4}", found[1]))
        name, _, reason = (word.strip() for word in found[3].partition("#"))
        name = name.split()[-1] if name.startswith("selftests: ") else name
        skipped = reason.upper().startswith("SKIP")
        own = Result(name, not found[2], skipped, reason[4:].strip() if skipped else reason, tuple(said))
        said = []
        ended = _end(own, below.pop(depth + 1, []))
        if depth:
            below.setdefault(depth, []).extend(ended)
        else:
            done += [replace(result, group=result.group or name) for result in ended]
            group = ""
    if below or group:
        done += [replace(result, group=result.group or group) for each in below.values() for result in each]
        done.append(Result(f"{group} did not end", False, diagnostics=tuple(said), group=group))
    return done
