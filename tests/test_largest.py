# SPDX-License-Identifier: GPL-2.0
"""The largest coherent allocation that a device of 32 and of 64 address bits gets in a dom0 of
2 GiB, on a machine with 3 GiB of low memory ("pc") and on one with 2 GiB (q35), with the
driver and with the one that comes with Linux. What was found is looked at by the CPU and
through the bus: xdt_largest of the kselftest does both (tests/largest-dom0).

Stock must get no more than the page allocator's largest block: if it got more, the figures
beside it would prove nothing.
"""

import itertools
import re

import pytest

from bed import base
from bed.known import edu_devices

pytestmark = pytest.mark.full

MIB = 1 << 20

# (machine, bits): MiB that ours gets at least. What Xen has in one piece below 4 GiB is a
# power of two, aligned to its size, and Xen itself lies in low memory too.
BOUNDS = {("pc", 64): 1024, ("pc", 32): 1024, ("q35", 32): 512}


@pytest.fixture(name="boot")
def boot_of(driver, machine, build, kselftest, booted):
    """The boot of a driver on a machine; more["figures"] are bytes, bytes again, exchanges by bits."""
    def words():
        kernel = build(kver="6.12", stock=driver == "stock")
        bits = ",".join(str(bits) for on, bits in BOUNDS if on == machine)
        return ["--kernel", kernel.image, "--timeout", "1200", "--machine", machine, "--mem", "8G", "--dom0-mem", "2G",
                "--append", f"large={bits}", "--file", f"{kselftest(kernel)}:/kselftest",
                "--run", base.TOP / "tests/largest-dom0", "--", *edu_devices(8)]
    boot = booted((driver, machine), words)
    found = re.findall(r"^largest (\d+) (\d+) (\d+) (\d+)$", "\n".join(boot.lines), re.MULTILINE)
    boot.more["figures"] = {int(bits): [int(number) for number in numbers] for bits, *numbers in found}
    return boot


def cases(*rows):
    """Parameters, of which the first two tell the boot."""
    return [pytest.param(*row, id="-".join(map(str, row)), marks=pytest.mark.xdist_group(f"largest-{row[0]}-{row[1]}"))
            for row in rows]


@pytest.mark.parametrize("driver, machine", cases(*itertools.product(("ours", "stock"), ("pc", "q35"))))
def test_right(driver, machine, boot):
    """What was found is as it should be, for each mask; with ours no warning."""
    assert boot.status == 0 and set(boot.more["figures"]) == {bits for on, bits in BOUNDS if on == machine}, str(boot)
    assert driver == "stock" or not [line for line in boot.lines if line.startswith("log: ")], str(boot)


@pytest.mark.parametrize("driver, machine, bits, bound", cases(*(("ours", *on, bound) for on, bound in BOUNDS.items())))
def test_ours(driver, machine, bits, bound, boot):
    """Ours gets that many MiB at least, by an exchange, and again when that was freed."""
    first, again, exchanges = boot.more["figures"].get(bits, (0, 0, 0))
    print(f"{driver}, {machine}, {bits} bits: {first // MIB} MiB, then {again // MIB} MiB, {exchanges} exchanges")
    assert first >= bound * MIB and again >= bound * MIB and exchanges >= 1, str(boot)


@pytest.mark.parametrize("driver, machine, bits", cases(*(("stock", *row) for row in BOUNDS)))
def test_stock(driver, machine, bits, boot):
    """Stock gets 4 MiB and no more."""
    assert boot.more["figures"].get(bits, (0, 0, 0))[0] // MIB == 4, f"{driver}, {machine}{boot}"
