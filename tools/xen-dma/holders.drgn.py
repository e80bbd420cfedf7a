#!/usr/bin/env drgn
# SPDX-License-Identifier: GPL-2.0
"""Who holds what of the aperture, in a crash dump or a live kernel:

    drgn -c vmcore holders.drgn.py

Looks at the descriptors of all slots, as /sys/kernel/debug/xen-dma/devices does in a
kernel that runs.
"""

import sys
from collections import Counter

from drgn import cast
from drgn.helpers.linux.xarray import xa_for_each

NO_BIN = 255


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
            slot = chunk.slot[index]
            if slot.state.value_() == mapped:
                bin_ = slot.bin.value_()
                yield slot, slot.nr.value_() if bin_ == NO_BIN else sizes[bin_].value_()


def main(prog):
    """Print the holders, those that hold most first."""
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
