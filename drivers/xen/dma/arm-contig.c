// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is contiguous in the machine where a domain can't exchange any: ARM.
 *
 * What is contiguous lies within one range of the table. The lowest in the machine is
 * wanted, so the page allocator is asked for particular pages, range by range; where that
 * may not be, for any block, which may happen to suit.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include <xen/bus-ranges.h>
#include <xen/swiotlb-xen.h>

#include "compat.h"

/* How many places are tried for contiguous pages, for it takes long. */
#define XEN_PLACES		256

/* Blocks that are looked at for small pieces, log2 of their pages: 4 MiB. */
#define LOOK_ORDER		min_t(unsigned int, MAX_PAGE_ORDER, get_order(SZ_4M))

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

/* Pages of a block, each by itself, if others can leave them. */
static struct page *pages_at(unsigned long pfn, unsigned int order, gfp_t gfp)
{
	unsigned long last = pfn + (1UL << order) - 1;

	if (!pfn_valid(pfn) || !pfn_valid(last) || PageHighMem(pfn_to_page(last)) ||
	    page_zone(pfn_to_page(pfn)) != page_zone(pfn_to_page(last)) ||
	    xen_alloc_contig_range(pfn, 1UL << order,
				   (gfp & GFP_KERNEL) | __GFP_NOWARN))
		return NULL;
	return pfn_to_page(pfn);
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
		struct page *page = NULL;

		if (pfn_valid(pfn) && is_within(pfn_to_page(pfn), order, span))
			page = pages_at(pfn, order, gfp);
		if (page)
			return page;
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

/* Pages of a block, each by itself, wherever the page allocator has one. */
static struct page *pages_anywhere(unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, order);

	if (page)
		split_page(page, order);
	return page;
}

/* Takes what suits of a large block, and frees the rest; how many there are. */
static unsigned int take_of(struct page *block, unsigned int order,
			    const struct xen_span *span, unsigned int nr,
			    struct list_head *pieces)
{
	unsigned int found = 0;
	unsigned long i;

	for (i = 0; i < 1UL << LOOK_ORDER; i += 1UL << order) {
		if (found < nr && is_within(block + i, order, span)) {
			list_add_tail(&block[i].lru, pieces);
			found++;
		} else {
			xen_free_reachable(block + i, order);
		}
	}
	return found;
}

/* The block of 4 MiB that is looked at for pieces of a range, and how many more may be. */
struct look {
	unsigned long pfn;
	unsigned int places;
};

/* Takes what suits around a range, up to @nr pieces; returns how many. */
static unsigned int pieces_around(const struct xen_bus_range *range, unsigned int order,
				  const struct xen_span *span, unsigned int nr,
				  struct list_head *pieces, struct look *look)
{
	u64 first = range->start + range->offset;
	unsigned long pfn = PHYS_PFN(range->start);
	unsigned long last = PHYS_PFN(range->start + range->size - 1);
	unsigned int found = 0;

	if (range->size < (u64)PAGE_SIZE << order ||
	    first + range->size - 1 < span->first)
		return 0;

	for (pfn = ALIGN_DOWN(pfn, 1UL << LOOK_ORDER);
	     pfn <= last && found < nr && look->places; pfn += 1UL << LOOK_ORDER) {
		struct page *block;

		/* The range before may lie in the same block. */
		if (pfn == look->pfn)
			continue;
		look->pfn = pfn;
		look->places--;
		block = pages_at(pfn, LOOK_ORDER, GFP_KERNEL);
		if (block)
			found += take_of(block, order, span, nr - found, pieces);
		cond_resched();
	}
	return found;
}

/**
 * xen_alloc_pieces() - allocate small blocks that are each contiguous in the machine
 * @order:	log2 of each one's pages, of less than 4 MiB
 * @span:	where they may be in the machine
 * @nr:		how many are wanted
 * @pieces:	where their first pages go
 *
 * What is around the lowest memory is allocated, 4 MiB at a time, for the lowest is mostly
 * together there; what does not suit is freed again.
 *
 * Context: Process, may sleep.
 * Return: How many there are.
 */
unsigned int xen_alloc_pieces(unsigned int order, const struct xen_span *span,
			      unsigned int nr, struct list_head *pieces)
{
	struct look look = { .pfn = ULONG_MAX, .places = XEN_PLACES };
	struct xen_bus_range range;
	unsigned int found = 0, i;
	struct page *block;

	for (i = 0; found < nr && look.places && range_from_below(i, &range); i++) {
		if (range.start + range.offset > span->last)
			break;
		found += pieces_around(&range, order, span, nr - found, pieces, &look);
	}
	/* Where no particular pages can be had, it takes luck. */
	block = found || !i ? NULL : pages_anywhere(LOOK_ORDER);
	if (block)
		found += take_of(block, order, span, nr, pieces);
	return found;
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
