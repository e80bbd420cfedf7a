# SPDX-License-Identifier: GPL-2.0
"""What bed/smmu.py reads off a console, and makes of it."""

import pytest

from bed import smmu


def lines(kind=0x10, stream=8, flags=smmu.READ, address=0x50000000):
    """What Xen writes of an event."""
    words = [stream << 32 | kind, flags, address, 0]
    return [f"(XEN) SMMUv3: /smmuv3@9050000: event {kind:#04x} received:",
            *(f"(XEN) SMMUv3: /smmuv3@9050000: \t0x{word:016x}" for word in words)]


READ, WRITE = lines(), lines(flags=1 << 39, address=0x5000000c)
SAID = ["# xdt: stray read of 16 bytes at 0x50000000", "# xdt: stray write of 16 bytes at 0x50000000"]


@pytest.mark.parametrize("console, wanted", [
    ([], []),
    (READ, [smmu.Event(0x10, 8, "read", 0x50000000)]),
    (WRITE, [smmu.Event(0x10, 8, "write", 0x5000000c)]),
    (lines(2, 0x18, 0, 0), [smmu.Event(2, 0x18, "", 0)]),
    ([line for each in READ for line in ("(XEN) DOM1: [ 1.0] between", each)],
     [smmu.Event(0x10, 8, "read", 0x50000000)]),
    (["[ 1.0] cut b" + READ[0], *READ[1:]], [smmu.Event(0x10, 8, "read", 0x50000000)]),
    (READ[:3] + WRITE, [smmu.Event(0x10), smmu.Event(0x10, 8, "write", 0x5000000c)]),
    (READ[:1], [smmu.Event(0x10)]),
    (READ[1:], []),
])
def test_events(console, wanted):
    assert list(smmu.events(console)) == wanted


@pytest.mark.parametrize("console, script, wanted", [
    ([], [], [True]),
    (READ, [], [False]),
    (READ[:2], [], [False]),
    (READ + WRITE, SAID, [True, True]),
    (READ, SAID, [True, False]),
    ([], SAID, [True, False]),
    (READ + WRITE, SAID[:1], [False, True]),
    (lines(address=0x50000010), SAID[:1], [False, False]),
    (lines(2), SAID[:1], [False, False]),
])
def test_results(console, script, wanted):
    assert [result.ok for result in smmu.results(console, script)] == wanted
