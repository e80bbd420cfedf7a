// SPDX-License-Identifier: GPL-2.0
/*
 * Reading what the hypervisor tells of where an ARM domain's memory is.
 *
 * One call tells of a few extents and says where to go on, so it is asked again until it
 * has told of all that was asked for. An answer that makes no sense is refused as a whole:
 * a wrong entry sends a device into somebody else's memory.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>

#include "arm-extents.h"

/* Extents that one call has room for. */
#define XEN_EXTENTS_BATCH		32

/* Takes over one answer, to what was asked. Returns NULL, or what is wrong with it. */
static const char *add_extents(struct xen_bus_table *table,
			       const struct xen_dma_extents *asked,
			       const struct xen_dma_extents *told,
			       const struct xen_dma_extent *extent)
{
	const struct xen_dma_extent *end = extent + told->nr_extents;
	u64 next = asked->first_gfn;

	if (told->first_gfn <= next || told->first_gfn > asked->last_gfn + 1)
		return "does not go on with the next frame";
	if (told->nr_extents > asked->nr_extents)
		return "has more extents than there is room for";

	for (; extent < end; extent++) {
		const char *wrong;

		if (extent->gfn < next)
			return "extents overlap, or are not in order";
		if (extent->gfn >= told->first_gfn ||
		    extent->nr_frames > told->first_gfn - extent->gfn)
			return "an extent lies outside of what was asked for";
		if (extent->mfn > XEN_PFN_DOWN(U64_MAX))
			return "a range overflows";
		wrong = xen_bus_add(table, extent->gfn << XEN_PAGE_SHIFT,
				    extent->nr_frames << XEN_PAGE_SHIFT,
				    (extent->mfn - extent->gfn) <<
				    XEN_PAGE_SHIFT);
		if (wrong)
			return wrong;
		next = extent->gfn + extent->nr_frames;
	}

	return NULL;
}

/**
 * xen_read_extents() - have the hypervisor tell of a range of memory
 * @table:	where what it tells is added; it is sealed in the end
 * @ram:	the range, aligned to pages; its offset is of no account
 * @ask:	asks the hypervisor
 * @flags:	what it says of devices is added here, XENMEM_DMA_*
 * @wrong:	what is wrong with an answer
 *
 * Context: One at a time; as @ask, and xen_bus_add(), require.
 * Return: 0; -EPROTO with @wrong set when an answer makes no sense, and @table has a part of
 * it; else the hypervisor's error.
 */
int xen_read_extents(struct xen_bus_table *table,
		     const struct xen_bus_range *ram, xen_ask_fn ask,
		     u32 *flags, const char **wrong)
{
	static struct xen_dma_extent extents[XEN_EXTENTS_BATCH];
	struct xen_dma_extents asked = {
		.first_gfn = XEN_PFN_DOWN(ram->start),
		.last_gfn = XEN_PFN_DOWN(ram->start + (ram->size - 1)),
		.nr_extents = XEN_EXTENTS_BATCH,
		.extents = (uintptr_t)extents,
	};

	while (asked.first_gfn <= asked.last_gfn) {
		struct xen_dma_extents told = asked;
		int rc = ask(&told);

		if (rc)
			return rc;
		*wrong = add_extents(table, &asked, &told, extents);
		if (*wrong)
			return -EPROTO;
		*flags |= told.flags;
		asked.first_gfn = told.first_gfn;
	}

	*wrong = xen_bus_seal(table);
	return *wrong ? -EPROTO : 0;
}
