// SPDX-License-Identifier: GPL-2.0
/*
 * The pool after its domain has moved.
 *
 * A domain that was saved and restored, or migrated, has other frames behind its pages:
 * the addresses of chunks are no longer theirs. A chunk that nobody uses is made anew.
 * What can't be made, or is used, is no longer part of the pool, so nobody is given an
 * address that was true before.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "contig.h"
#include "pool.h"

/* Chunks that nobody uses, to be made anew; the worker's while that is queued. */
static LIST_HEAD(moved);

static void make_worker(struct work_struct *work);
static DECLARE_WORK(make_work, make_worker);

/* Takes all chunks out of a zone that have moved; returns the bytes of those used. */
static size_t take_moved(struct xen_pool_zone *zone)
{
	struct xen_pool_chunk *chunk, *next;
	unsigned long flags;
	size_t lost = 0;
	bool used;

	raw_spin_lock_irqsave(&zone->lock, flags);
	list_for_each_entry_safe(chunk, next, &zone->chunks, list) {
		if (xen_lies_at(chunk->vaddr, xen_chunk_size(chunk), chunk->bus))
			continue;
		used = chunk->free != chunk->nr_slots;
		xen_pool_remove_chunk(chunk);
		if (used) {
			lost += xen_chunk_size(chunk);
			xen_pool_lose_chunk(chunk, true);
		} else {
			list_add(&chunk->list, &moved);
		}
	}
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	return lost;
}

/* Makes a chunk anew, where devices of the same widths reach it. */
static bool make_again(struct xen_pool_chunk *chunk)
{
	if (xen_make_contiguous(virt_to_phys(chunk->vaddr), NULL,
				get_order(xen_chunk_size(chunk)),
				xen_zone_bits[chunk->index],
				GFP_NOIO | __GFP_NORETRY, &chunk->bus,
				&chunk->exchanged))
		return false;

	xen_pool_locate_chunk(chunk);
	xen_pool_insert_chunk(chunk);
	return true;
}

/*
 * Makes several of the memory of one, for Xen may allow less than it did at boot; what has
 * been added to the pool goes instead. Returns the bytes that are lost.
 */
static size_t make_smaller(struct xen_pool_chunk *chunk)
{
	bool stays = chunk->origin == XEN_CHUNK_BOOT;
	unsigned int bits = xen_zone_bits[chunk->index];
	size_t size = xen_chunk_size(chunk);
	void *vaddr = chunk->vaddr;

	/* Early boot's descriptor and that of its slots can't be freed. */
	xen_pool_lose_chunk(chunk, false);
	return stays ? size - xen_pool_add_extents(vaddr, size, bits) : 0;
}

static void make_worker(struct work_struct *work)
{
	struct xen_pool_chunk *chunk, *next;
	size_t all = 0, lost = 0;

	/* Nobody adds to it: the domain can't move again before this is done. */
	list_for_each_entry_safe(chunk, next, &moved, list) {
		list_del(&chunk->list);
		all += xen_chunk_size(chunk);
		if (!make_again(chunk))
			lost += make_smaller(chunk);
	}
	pr_info("the domain has moved: %zu KiB of the aperture are made anew\n",
		(all - lost) / SZ_1K);
	if (lost)
		pr_warn("the domain has moved, and %zu KiB of the aperture are lost: Xen has no such memory here\n",
			lost / SZ_1K);
}

/**
 * xen_pool_revise() - take chunks out that have other frames now
 *
 * A worker makes those anew that nobody uses, when the domain is at work again.
 *
 * Context: Any. No device is at work, and no CPU owns its magazines.
 * Return: Bytes in chunks that are used; these the pool has lost.
 */
size_t xen_pool_revise(void)
{
	const struct xen_pool_reach all = xen_pool_reach(U64_MAX);
	size_t lost = 0;
	unsigned int i;

	xen_pool_drain(&all, true);
	for (i = 0; i < XEN_NR_ZONES; i++)
		if (READ_ONCE(xen_pool_zones[i].total))
			lost += take_moved(&xen_pool_zones[i]);
	if (!list_empty(&moved))
		queue_work(system_freezable_wq, &make_work);

	return lost;
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* The worker's work, at once. */
void xen_pool_flush_resume(void)
{
	cancel_work_sync(&make_work);
	make_worker(&make_work);
}
#endif
