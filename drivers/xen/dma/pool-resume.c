// SPDX-License-Identifier: GPL-2.0
/*
 * The pool after its domain has moved.
 *
 * A domain that was saved and restored, or migrated, has other frames behind its pages:
 * the addresses of chunks are no longer theirs. A chunk that nobody uses is made anew.
 * What can't be made, or is used, is no longer part of the pool, so nobody is given an
 * address that was true before.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/spinlock.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "pool.h"

static bool has_moved(const struct xen_pool_chunk *chunk)
{
	phys_addr_t phys = virt_to_phys(chunk->vaddr);

	return xen_pfn_to_mfn(PFN_DOWN(phys)) != PFN_DOWN(chunk->bus) ||
	       !xen_region_contiguous(phys, xen_chunk_size(chunk));
}

/* Takes a chunk out that has moved; NULL when there is none left. */
static struct xen_pool_chunk *take_moved(struct xen_pool_zone *zone, bool *used)
{
	struct xen_pool_chunk *chunk, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&zone->lock, flags);
	list_for_each_entry(chunk, &zone->chunks, list) {
		if (!has_moved(chunk))
			continue;
		*used = chunk->free != chunk->nr_slots;
		xen_pool_remove_chunk(chunk);
		found = chunk;
		break;
	}
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	return found;
}

/* Makes a chunk anew, where devices of the same widths reach it. */
static bool make_again(struct xen_pool_chunk *chunk)
{
	int rc = xen_make_contiguous(virt_to_phys(chunk->vaddr),
				     get_order(xen_chunk_size(chunk)),
				     xen_zone_bits[chunk->index], GFP_NOIO,
				     &chunk->bus);

	chunk->exchanged = !rc;
	if (rc < 0)
		return false;

	xen_pool_locate_chunk(chunk);
	xen_pool_insert_chunk(chunk);
	return true;
}

/**
 * xen_pool_revise() - make chunks anew that have other frames now
 *
 * Context: Process, may sleep, but for no I/O. No device is at work.
 * Return: Bytes that the pool has lost.
 */
size_t xen_pool_revise(void)
{
	const struct xen_pool_reach all = xen_pool_reach(U64_MAX);
	struct xen_pool_chunk *chunk;
	size_t lost = 0;
	unsigned int i;
	bool used;

	xen_pool_drain(&all, true);
	for (i = 0; i < XEN_NR_ZONES; i++) {
		struct xen_pool_zone *zone = &xen_pool_zones[i];

		if (!READ_ONCE(zone->total))
			continue;
		while ((chunk = take_moved(zone, &used))) {
			if (!used && make_again(chunk))
				continue;
			lost += xen_chunk_size(chunk);
			xen_pool_lose_chunk(chunk, used);
		}
	}

	return lost;
}
