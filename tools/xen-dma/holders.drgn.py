#!/usr/bin/env drgn
# SPDX-License-Identifier: GPL-2.0
"""Who holds what of the aperture, in the live kernel or in a dump of a machine with Xen:

    drgn holders.drgn.py
    drgn -c vmcore -s vmlinux holders.drgn.py vmcore

Looks at the descriptors of all slots, as /sys/kernel/debug/xen-dma/devices does in a
kernel that runs.

Such a dump has the machine's memory. By itself drgn takes the machine's addresses for those
of the kernel, and does not find it; so the dump is named once more, and what dom0 has mapped
is looked up in its page tables, which hold the machine's addresses too. This takes pyelftools.
"""

import struct
import sys
from collections import Counter

from drgn import FaultError, cast
from drgn.helpers.linux.xarray import xa_for_each

NO_BIN = 255

# In the note of each CPU that Xen adds (XEN_ELFNOTE_CRASH_REGS): cr0, cr2, cr3, cr4.
REGISTERS, CR3 = 0x1000002, 2

# x86-64: what the kernel has mapped, in four levels of tables; bits of their entries.
KERNEL, LEVELS, PAGE = 0xffff800000000000, (39, 30, 21, 12), 4096
PRESENT, LARGE, FRAME = 1 << 0, 1 << 7, (1 << 52) - PAGE


def page_tables(path):
    """Where in the machine the page tables are that CPUs had when the dump was made."""
    from elftools.elf.elffile import ELFFile    # pylint: disable=import-outside-toplevel
    with open(path, "rb") as file:
        for segment in ELFFile(file).iter_segments("PT_NOTE"):
            for note in segment.iter_notes():
                if (note["n_name"], note["n_type"]) == ("Xen", REGISTERS):
                    yield struct.unpack("<4Q", note["n_descdata"])[CR3] & FRAME


class Mapped:
    """What is mapped by page tables, as drgn reads memory."""

    def __init__(self, prog, top):
        self.prog = prog
        self.top = top
        self.known = {}

    def walk(self, address):
        """Where in the machine a page is."""
        table = self.top
        for shift in LEVELS:
            entry, = struct.unpack("<Q", self.prog.read(table + 8 * (address >> shift & 511), 8, True))
            if not entry & PRESENT:
                raise FaultError("not mapped", address)
            table = entry & FRAME
            if entry & LARGE and shift != LEVELS[-1]:
                within = (1 << shift) - 1
                return (table & ~within) + (address & within & -PAGE)
        return table

    def read(self, address, count, _offset, _physical):
        """So many bytes."""
        found = b""
        while len(found) < count:
            at = address + len(found)
            page, within = at & -PAGE, at % PAGE
            if page not in self.known:
                self.known[page] = self.walk(page)
            found += self.prog.read(self.known[page] + within, min(PAGE - within, count - len(found)), True)
        return found


def find_kernel(prog, path):
    """Have drgn read the dump by the page tables of a CPU on which dom0 ran."""
    for top in dict.fromkeys(page_tables(path)):
        mapped = Mapped(prog, top)
        prog.add_memory_segment(KERNEL, (1 << 64) - KERNEL, mapped.read, False)
        try:
            if prog["linux_banner"].string_().startswith(b"Linux version"):
                return
        except FaultError:
            pass
    sys.exit(f"holders: {path} is no dump of a machine with Xen, or of another kernel than these symbols")


def chunks(prog):
    """Each chunk once: those of the table, and small ones, which have an entry for each page."""
    table = prog["xen_pool_table"]
    found = [table[number] for number in range(prog["xen_pool_granules"].value_())]
    try:
        pieces = prog.variable("pieces", "pool-pieces.c")
    except LookupError:
        pass    # built for a domain that has none
    else:
        found += [cast("struct xen_pool_chunk *", entry) for _, entry in xa_for_each(pieces.address_of_())]
    return {chunk.value_(): chunk for chunk in found if chunk}.values()


def blocks(prog):
    """(descriptor, slots) of each mapping."""
    sizes = prog["xen_pool_bin_slots"]
    mapped = prog.constant("XEN_SLOT_MAPPED").value_()
    for chunk in chunks(prog):
        for index in range(chunk.nr_slots.value_()):
            slot = chunk.slot[index].read_()
            if slot.state.value_() == mapped:
                bin_ = slot.bin.value_()
                yield slot, slot.nr.value_() if bin_ == NO_BIN else sizes[bin_].value_()


def main(prog):
    """Print the holders, those that hold most first."""
    if len(sys.argv) > 1:
        find_kernel(prog, sys.argv[1])
    try:
        places = prog.variable("places", "stats.c")
        prog["xen_pool_table"]
    except LookupError as name:
        sys.exit(f"holders: the kernel has no {name}: it has another DMA driver, or there are no symbols")
    held, mappings = Counter(), Counter()
    for slot, nr in blocks(prog):
        held[slot.owner.value_()] += nr
        mappings[slot.owner.value_()] += 1
    print(f"{'SLOTS':>8} {'MAPPINGS':>8}  DEVICE")
    for owner, nr in held.most_common():
        print(f"{nr:>8} {mappings[owner]:>8}  {places[owner].driver.string_().decode()} "
              f"{places[owner].name.string_().decode()}")


# drgn provides it.
main(globals()["prog"])
