// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is contiguous in the machine where a domain can't exchange any: ARM.
 *
 * What is contiguous lies within one range of the table. The lowest in the machine is
 * wanted, so the page allocator is asked for particular pages, range by range; where that
 * may not be, for any block, which may happen to suit.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/rcupdate.h>

#include <xen/bus-ranges.h>
#include <xen/swiotlb-xen.h>

#include "compat.h"

/* How many places are tried for contiguous pages, for it takes long. */
#define XEN_PLACES		256

static bool is_within(struct page *page, unsigned int order,
		      const struct xen_span *span)
{
	u64 size = (u64)PAGE_SIZE << order;
	dma_addr_t machine;

	return xen_region_suits(page_to_phys(page), order, 63, &machine) &&
	       machine >= span->first && machine + size - 1 <= span->last;
}

/* A block from any zone, which may happen to suit. */
static struct page *any_block(unsigned int order, const struct xen_span *span,
			      gfp_t gfp)
{
	static const gfp_t zones[] = {
		0,
		IS_ENABLED(CONFIG_ZONE_DMA32) ? __GFP_DMA32 : 0,
		IS_ENABLED(CONFIG_ZONE_DMA) ? __GFP_DMA : 0,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(zones); i++) {
		struct page *page;

		if (i && !zones[i])
			continue;
		page = alloc_pages((gfp & ~__GFP_COMP) | zones[i] | __GFP_NOWARN |
				   __GFP_NORETRY, order);
		if (!page)
			continue;
		if (is_within(page, order, span)) {
			split_page(page, order);
			return page;
		}
		__free_pages(page, order);
	}

	return NULL;
}

/* Takes the lowest pages of a range, @nr of them, that others can leave. */
static struct page *lowest_of(const struct xen_bus_range *range,
			      unsigned int order, const struct xen_span *span,
			      gfp_t gfp, unsigned int *places)
{
	u64 size = (u64)PAGE_SIZE << order;
	u64 first = range->start + range->offset;
	u64 highest = min(first + (range->size - 1), span->last);
	u64 machine = ALIGN(max(first, span->first), size);

	for (; machine + size - 1 <= highest && *places;
	     machine += size, --*places) {
		unsigned long pfn = PHYS_PFN(machine - range->offset);
		unsigned long last = pfn + (1UL << order) - 1;

		if (!pfn_valid(pfn) || !pfn_valid(last) ||
		    PageHighMem(pfn_to_page(last)) ||
		    page_zone(pfn_to_page(pfn)) != page_zone(pfn_to_page(last)))
			continue;
		if (!is_within(pfn_to_page(pfn), order, span))
			continue;
		if (!xen_alloc_contig_range(pfn, 1UL << order,
					    (gfp & GFP_KERNEL) | __GFP_NOWARN))
			return pfn_to_page(pfn);
	}

	return NULL;
}

/* The @nr-th range from below; a copy, for the table may grow meanwhile. */
static bool range_from_below(unsigned int nr, struct xen_bus_range *range)
{
	const struct xen_bus_table *table;
	bool found;

	rcu_read_lock();
	table = xen_dma_table();
	found = nr < table->nr;
	if (found)
		*range = table->range[table->by_machine[nr]];
	rcu_read_unlock();
	return found;
}

static struct page *lowest_block(unsigned int order, const struct xen_span *span,
				 gfp_t gfp)
{
	unsigned int places = XEN_PLACES, i;
	struct xen_bus_range range;

	for (i = 0; places && range_from_below(i, &range); i++) {
		struct page *page = lowest_of(&range, order, span, gfp, &places);

		if (page)
			return page;
	}

	return NULL;
}

/**
 * xen_alloc_reachable() - allocate pages that are contiguous in the machine
 * @order:	log2 of the pages
 * @span:	where they may be in the machine
 * @gfp:	allocation flags
 *
 * They are aligned to their size in the machine, and have never left the domain.
 *
 * Context: As @gfp says. Where it may not sleep it takes luck.
 * Return: The first page, NULL when there are none.
 */
struct page *xen_alloc_reachable(unsigned int order, const struct xen_span *span,
				 gfp_t gfp)
{
	struct page *page = NULL;

	if (gfpflags_allow_blocking(gfp))
		page = lowest_block(order, span, gfp);
	if (!page && order <= MAX_PAGE_ORDER)
		page = any_block(order, span, gfp);

	return page;
}

/**
 * xen_free_reachable() - free what xen_alloc_reachable() returned
 * @page:	the first page
 * @order:	log2 of the pages
 *
 * Context: Any.
 */
void xen_free_reachable(struct page *page, unsigned int order)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++)
		__free_page(page + i);
}
