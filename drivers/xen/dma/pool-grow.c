// SPDX-License-Identifier: GPL-2.0
/*
 * The pool grows when room runs low, and shrinks when it is idle.
 *
 * A worker adds chunks by exchange with the hypervisor, and gives them back when they
 * have been idle for long; a request that finds no room at all adds one at once.
 * Nothing that is in use ever moves.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <trace/events/xen_dma.h>
#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "compat.h"
#include "contig.h"
#include "params.h"
#include "pool.h"

/* The worker adds below an eighth of free space, until there is a quarter. */
#define LOW_SHARE	8
#define ENOUGH_SHARE	4

/* Chunks that are added: 4 MiB, and 1 MiB where nobody may sleep. */
#define GROW_ORDER	min_t(unsigned int, MAX_PAGE_ORDER, get_order(SZ_4M))
#define GROW_SLOTS	((PAGE_SIZE << GROW_ORDER) >> XEN_SLOT_SHIFT)
#define ATOMIC_ORDER	max_t(unsigned int, XEN_CHUNK_MIN_ORDER, get_order(SZ_1M))

/* What there is to be for a device where chunks are smaller, and at least. Bytes. */
#define OBTAIN_PIECES	SZ_512K
#define LEAST_PIECES	SZ_64K

/* The worker may not wait for I/O, which may wait for room in the pool. */
#define GROW_GFP	(GFP_NOIO | __GFP_NORETRY)

/* The default limit is this share of the memory, and 1 GiB at most. */
#define MAX_SHARE	8

/* Bytes in all chunks, and how many of these are smaller than a granule. */
static atomic_long_t pool_bytes;
static atomic_t nr_pieces;

unsigned long xen_pool_boot_bytes;

/*
 * Widths of addresses of which room runs low, as bits, and the addresses in question.
 * What does not begin with the machine's first byte goes by the width 0.
 */
static unsigned long wanted[BITS_TO_LONGS(XEN_WIDEST_BITS + 1)];
static struct xen_span wanted_spans[XEN_WIDEST_BITS + 1];
static DEFINE_RAW_SPINLOCK(wanted_lock);	/* for both */

/* One device's chunk serves the next of its width, if that waits for it. */
static DEFINE_MUTEX(obtain_mutex);

static void grow_worker(struct work_struct *work);
static void shrink_worker(struct work_struct *work);
/* Frozen, they leave the domain's frames alone. */
static DECLARE_WORK(grow_work, grow_worker);
static DECLARE_DELAYED_WORK(shrink_work, shrink_worker);

/* Bytes that all chunks together may have. */
static unsigned long pool_limit(void)
{
	u64 share = (u64)totalram_pages() * PAGE_SIZE / MAX_SHARE;
	unsigned long max = READ_ONCE(xen_pool_max);

	return max == ULONG_MAX ? min_t(u64, share, SZ_1G) : max;
}

static bool is_at_limit(void)
{
	return atomic_long_read(&pool_bytes) +
	       BIT(XEN_POOL_GRANULE_SHIFT) > pool_limit();
}

/* The limit is on growth: a device's own chunk may go beyond it. */
static bool reserve_bytes(size_t size, enum xen_chunk_origin origin)
{
	if (atomic_long_add_return(size, &pool_bytes) <= pool_limit() ||
	    origin != XEN_CHUNK_GROWN)
		return true;

	atomic_long_sub(size, &pool_bytes);
	return false;
}

static bool has_failed(bool atomic, const struct xen_span *span,
		       unsigned int order)
{
	return xen_pool_has_failed(atomic, span, order, get_jiffies_64());
}

/* At the limit a try costs little, and a release may make room any time. */
static void note_failure(bool atomic, const struct xen_span *span,
			 unsigned int order, int rc)
{
	if (rc != -ENOSPC)
		xen_pool_note_failure(atomic, span, order, get_jiffies_64());
}

/*
 * Would less than a share of what so many zones have be free without @without slots?
 * The first one is a reserve: only who has no other counts it. Nor does what was made
 * for devices of some width count.
 */
static bool is_low(unsigned int zones, unsigned int share, u32 without)
{
	u64 free = 0, total = 0;
	unsigned int i;

	for (i = zones > 1; i < zones; i++) {
		u32 all = READ_ONCE(xen_pool_zones[i].free);

		/* They do not change at once. */
		free += all - min(all, READ_ONCE(xen_pool_zones[i].own_free));
		total += READ_ONCE(xen_pool_zones[i].total) -
			 READ_ONCE(xen_pool_zones[i].own_total);
	}

	return free < without || (free - without) * share < total - without;
}

/* Where memory is to be for a device. */
static struct xen_span span_of_reach(const struct xen_pool_reach *reach)
{
	u64 last = DMA_BIT_MASK(xen_zone_bits[reach->zones - 1]);

	return xen_span_for_growth(reach->first, min(reach->limit, last));
}

static unsigned int span_bits(const struct xen_span *span)
{
	return XEN_BUS_WINDOWS && span->first ? 0 : xen_limit_bits(span->last);
}

/*
 * Notes for the worker when what a device can use runs low. Of a device that does not
 * reach all of its zones that is known only when it has found nothing.
 */
static void look_for_growth(const struct xen_pool_reach *reach, bool found)
{
	struct xen_span span;
	unsigned long flags;
	unsigned int bits;

	if (likely(found && !is_low(reach->zones, LOW_SHARE, 0)) ||
	    is_at_limit())
		return;

	span = span_of_reach(reach);
	bits = span_bits(&span);
	if (has_failed(false, &span, XEN_CHUNK_MIN_ORDER) || test_bit(bits, wanted))
		return;

	raw_spin_lock_irqsave(&wanted_lock, flags);
	wanted_spans[bits] = span;
	__set_bit(bits, wanted);
	raw_spin_unlock_irqrestore(&wanted_lock, flags);
	queue_work(system_freezable_wq, &grow_work);
}

/**
 * xen_pool_add_pages() - add a chunk that is made of a block of pages
 * @page:	the first page, of xen_alloc_extent() or the like; on error it stays the
 *		caller's
 * @order:	log2 of the pages
 * @bits:	width of the machine addresses that it may have
 * @origin:	what it is for
 * @gfp:	allocation flags
 *
 * Context: As @gfp says.
 * Return: 0, -ENOSPC at the limit, or why they can't be made contiguous or a chunk.
 */
int xen_pool_add_pages(struct page *page, unsigned int order, unsigned int bits,
		       enum xen_chunk_origin origin, gfp_t gfp)
{
	struct xen_pool_chunk extent = { .origin = origin };
	phys_addr_t phys = page_to_phys(page);
	size_t size = PAGE_SIZE << order;
	bool all;
	int rc;

	if (!reserve_bytes(size, origin))
		return -ENOSPC;

	rc = xen_make_contiguous(phys, NULL, order, bits, gfp, &extent.bus,
				 &extent.exchanged);
	if (rc)
		goto unreserve;

	extent.vaddr = page_address(page);
	/* What is left to Xen of the lowest memory is not for wide devices. */
	rc = -ENOMEM;
	if (!extent.exchanged || bits == XEN_RESERVE_BITS ||
	    (extent.bus + size - 1) >> XEN_RESERVE_BITS)
		rc = xen_pool_add_chunk(&extent, size, gfp);
	if (!rc) {
		atomic_long_inc(&xen_pool_events[XEN_POOL_CHUNK_ADDED]);
		return 0;
	}

	if (extent.exchanged)
		xen_give_back(phys, NULL, order, gfp, &all);
unreserve:
	atomic_long_sub(size, &pool_bytes);
	return rc;
}

static int add_chunk_within(const struct xen_span *span, unsigned int order,
			    enum xen_chunk_origin origin, gfp_t gfp)
{
	struct page *page;
	int rc;

	/* Without chunks from early boot (swiotlb=noforce) there is none. */
	if (!xen_pool_table)
		return -ENODEV;
	/* What is at the limit need not look for pages. */
	if (origin == XEN_CHUNK_GROWN &&
	    atomic_long_read(&pool_bytes) + (PAGE_SIZE << order) > pool_limit())
		return -ENOSPC;

	page = xen_alloc_extent(span, order, gfp);
	if (!page)
		return -ENOMEM;

	rc = xen_pool_add_pages(page, order, xen_limit_bits(span->last), origin, gfp);
	if (rc)
		xen_free_extent(page, order);
	return rc;
}

/**
 * xen_pool_grow() - add a chunk that is made of pages of the domain
 * @span:	where it may be in the machine
 * @order:	log2 of its pages
 * @origin:	what it is for
 * @gfp:	allocation flags
 *
 * Context: As @gfp says.
 * Return: 0, -ENOSPC at the limit, -ENODEV without a pool, or why there are no pages
 * or extents.
 */
int xen_pool_grow(const struct xen_span *span, unsigned int order,
		  enum xen_chunk_origin origin, gfp_t gfp)
{
	int rc = add_chunk_within(span, order, origin, gfp);

	/* At the limit, and without a pool, nothing was tried. */
	if (rc && rc != -ENOSPC && rc != -ENODEV)
		atomic_long_inc(&xen_pool_events[XEN_POOL_CHUNK_NOT_ADDED]);
	trace_xen_dma_grow(span->last, PAGE_SIZE << order, rc);
	return rc;
}

/* Makes chunks of blocks of one size; returns their bytes. */
static size_t add_pieces_of(unsigned int order, const struct xen_span *span,
			    size_t size, enum xen_chunk_origin origin)
{
	/* The aperture leaves some to devices that it has none for. */
	int most = origin == XEN_CHUNK_BOOT ? XEN_MAX_PIECES * 3 / 4 : XEN_MAX_PIECES;
	int nr = min_t(int, size >> (PAGE_SHIFT + order), most - atomic_read(&nr_pieces));
	unsigned int bits = fls64(span->last);
	struct page *page, *next;
	LIST_HEAD(pieces);
	size_t added = 0;

	if (nr <= 0)
		return 0;

	xen_find_pieces(order, span, nr, &pieces);
	if (!list_empty(&pieces))
		xen_pool_allow_pieces();
	list_for_each_entry_safe(page, next, &pieces, lru) {
		list_del(&page->lru);
		if (xen_pool_add_pages(page, order, bits, origin, GFP_KERNEL)) {
			xen_free_extent(page, order);
			continue;
		}
		atomic_inc(&nr_pieces);
		added += PAGE_SIZE << order;
	}
	return added;
}

/**
 * xen_pool_add_pieces() - make chunks that are smaller than chunks mostly are
 * @span:	where they may be in the machine
 * @size:	how much is wanted, bytes
 * @origin:	what they are for
 *
 * Of pieces as large as there are, but XEN_MAX_PIECES of them at most.
 *
 * Context: Process, may sleep.
 * Return: Bytes that were added.
 */
size_t xen_pool_add_pieces(const struct xen_span *span, size_t size,
			   enum xen_chunk_origin origin)
{
	unsigned int order = XEN_CHUNK_MIN_ORDER;
	size_t added = 0;

	if (!XEN_POOL_PIECES)
		return 0;

	while (order-- && added < size)
		added += add_pieces_of(order, span, size - added, origin);
	return added;
}

/* The same, and less than 2^@order pages where that can't be had. */
static int grow_some(const struct xen_span *span, unsigned int order,
		     enum xen_chunk_origin origin, gfp_t gfp)
{
	int rc = xen_pool_grow(span, order, origin, gfp);

	while (rc < 0 && order > XEN_CHUNK_MIN_ORDER)
		rc = xen_pool_grow(span, --order, origin, gfp);
	return rc;
}

/* A request found no room: adds a chunk at once, if that may help. */
static bool grow_now(const struct xen_pool_reach *reach, u32 nr)
{
	unsigned int need = max_t(unsigned int, XEN_CHUNK_MIN_ORDER,
				  get_order((size_t)nr << XEN_SLOT_SHIFT));
	unsigned int order = max_t(unsigned int, need, ATOMIC_ORDER);
	const struct xen_span span = span_of_reach(reach);
	int rc = -ENOMEM;

	if (need > GROW_ORDER || has_failed(true, &span, need))
		return false;
	/* On PREEMPT_RT the page allocator may sleep for its locks. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) && !preemptible())
		return false;

	for (; order >= need; order--) {
		if (has_failed(true, &span, order))
			continue;
		rc = xen_pool_grow(&span, order, XEN_CHUNK_GROWN, GFP_NOWAIT);
		if (!rc) {
			queue_delayed_work(system_freezable_wq, &shrink_work,
					   READ_ONCE(xen_pool_idle) * HZ);
			return true;
		}
	}

	note_failure(true, &span, need, rc);
	return false;
}

static void grow_span(const struct xen_span *span)
{
	const struct xen_pool_reach reach = xen_pool_reach_span(span);
	/* What there is in a zone need not be in the span. */
	bool low = span->first || is_low(reach.zones, ENOUGH_SHARE, 0);

	do {
		/* What was too large for what is there a small chunk doesn't help. */
		int rc = low ? grow_some(span, GROW_ORDER, XEN_CHUNK_GROWN, GROW_GFP) :
			       xen_pool_grow(span, GROW_ORDER, XEN_CHUNK_GROWN,
					     GROW_GFP);

		if (rc) {
			note_failure(false, span, 0, rc);
			break;
		}
		low = is_low(reach.zones, ENOUGH_SHARE, 0);
	} while (low);
}

static void grow_wanted(void)
{
	struct xen_span span;
	unsigned int bits;

	for_each_set_bit(bits, wanted, XEN_WIDEST_BITS + 1) {
		raw_spin_lock_irq(&wanted_lock);
		span = wanted_spans[bits];
		__clear_bit(bits, wanted);
		raw_spin_unlock_irq(&wanted_lock);
		grow_span(&span);
	}
}

static void grow_worker(struct work_struct *work)
{
	grow_wanted();
	queue_delayed_work(system_freezable_wq, &shrink_work, READ_ONCE(xen_pool_idle) * HZ);
}

/*
 * Returns the memory of a removed chunk to the hypervisor and to the kernel, or
 * fails and leaves it as it was.
 */
static int release_chunk(struct xen_pool_chunk *chunk)
{
	unsigned int order = get_order(xen_chunk_size(chunk));
	bool all;
	int rc;

	if (chunk->exchanged) {
		rc = xen_give_back(virt_to_phys(chunk->vaddr), NULL, order,
				   GROW_GFP, &all);
		if (rc)
			return rc;
	}

	if (xen_chunk_is_piece(chunk))
		xen_pool_forget_piece(chunk);
	xen_free_extent(virt_to_page(chunk->vaddr), order);
	atomic_long_sub(xen_chunk_size(chunk), &pool_bytes);
	atomic_long_inc(&xen_pool_events[XEN_POOL_CHUNK_GIVEN_BACK]);
	/* A driver that is wrong about what it has mapped may be looking. */
	synchronize_rcu();
	kvfree(chunk->slot);
	kvfree(chunk);
	return 0;
}

/**
 * xen_pool_lose_chunk() - a removed chunk can't be part of the pool any more
 * @chunk:	chunk
 * @used:	some of its blocks are, so it stays where it is
 *
 * The memory of early boot stays, unused.
 *
 * Context: Process, may sleep; any for a chunk that is used.
 */
void xen_pool_lose_chunk(struct xen_pool_chunk *chunk, bool used)
{
	chunk->exchanged = false;
	if (chunk->origin == XEN_CHUNK_BOOT)
		xen_pool_boot_bytes -= xen_chunk_size(chunk);
	if (!used && chunk->origin != XEN_CHUNK_BOOT)
		release_chunk(chunk);
	else
		atomic_long_sub(xen_chunk_size(chunk), &pool_bytes);
}

/* A chunk that has been unused for long and isn't needed soon; or NULL. */
static struct xen_pool_chunk *take_idle(unsigned int index, bool *grown)
{
	struct xen_pool_zone *zone = &xen_pool_zones[index];
	struct xen_pool_chunk *chunk, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&zone->lock, flags);
	list_for_each_entry(chunk, &zone->chunks, list) {
		if (chunk->origin != XEN_CHUNK_GROWN)
			continue;
		*grown = true;
		if (chunk->free == chunk->nr_slots &&
		    time_after_eq(jiffies, chunk->idle_since +
				  READ_ONCE(xen_pool_idle) * HZ) &&
		    !is_low(XEN_NR_ZONES, ENOUGH_SHARE,
			    index ? chunk->nr_slots : 0)) {
			found = chunk;
			xen_pool_remove_chunk(chunk);
			break;
		}
	}
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	return found;
}

/* Gives idle chunks back. Returns true when there are more that may go later. */
static bool shrink_idle(void)
{
	const struct xen_pool_reach all = xen_pool_reach(U64_MAX);
	struct xen_pool_chunk *chunk;
	bool grown = false;
	unsigned int i;

	xen_pool_drain(&all, true);
	for (i = 0; i < XEN_NR_ZONES; i++) {
		if (!READ_ONCE(xen_pool_zones[i].total))
			continue;
		while ((chunk = take_idle(i, &grown))) {
			if (!release_chunk(chunk))
				continue;
			/* Xen did not take it: try again when it is idle again. */
			xen_pool_insert_chunk(chunk);
			break;
		}
	}

	return grown;
}

static void shrink_worker(struct work_struct *work)
{
	if (shrink_idle())
		queue_delayed_work(system_freezable_wq, &shrink_work,
				   max(READ_ONCE(xen_pool_idle), 1U) * HZ);
}

static int shrink_soon(struct notifier_block *nb, unsigned long event, void *data)
{
	if (xen_pool_table)
		mod_delayed_work(system_freezable_wq, &shrink_work, 0);
	return NOTIFY_OK;
}

static struct notifier_block limits_nb = { .notifier_call = shrink_soon };

static int __init watch_limits(void)
{
	return blocking_notifier_chain_register(&xen_limits_chain, &limits_nb);
}
core_initcall(watch_limits);

/**
 * xen_pool_get() - get a block that the CPU has not at hand
 * @reach:	what the device may use, some of the pool at least
 * @nr:		slots
 * @effort:	what may be done for it
 *
 * A worker adds chunks when room runs low. To add one at once takes up to a
 * millisecond, in the context of the caller.
 *
 * Context: Any.
 * Return: The block, without @slot when there is none.
 */
struct xen_pool_block xen_pool_get(const struct xen_pool_reach *reach, u32 nr,
				   enum xen_pool_effort effort)
{
	struct xen_pool_block block = xen_pool_take(reach, nr, false);
	bool found = block.slot || nr > GROW_SLOTS;

	if (!block.slot && effort >= XEN_POOL_DRAIN) {
		xen_pool_drain(reach, false);
		block = xen_pool_take(reach, nr, false);
	}
	if (!block.slot && effort >= XEN_POOL_GROW && grow_now(reach, nr))
		block = xen_pool_take(reach, nr, false);
	if (!block.slot && effort >= XEN_POOL_RESERVE)
		block = xen_pool_take(reach, nr, true);
	if (!block.slot && effort >= XEN_POOL_RESERVE) {
		xen_pool_drain(reach, true);
		block = xen_pool_take(reach, nr, true);
	}
	if (block.slot || effort >= XEN_POOL_GROW)
		look_for_growth(reach, found);

	return block;
}

/* Is there a chunk for a device? Of pieces there are to be so many bytes. */
static bool has_chunk(const struct xen_pool_reach *reach, bool reserve, u64 pieces)
{
	return xen_pool_has_pieces() ? xen_pool_bytes(reach) >= pieces :
				       xen_pool_largest(reach, reserve);
}

/**
 * xen_pool_obtain() - see to it that there is a chunk
 * @reach:	what a device may use, some of the machine at least
 *
 * Where there is none, one is made, to stay. The reserve is left to the narrowest
 * devices; others get some of their own.
 *
 * Context: Process, may sleep.
 * Return: 0, or why there is none, see xen_pool_grow().
 */
int xen_pool_obtain(const struct xen_pool_reach *reach)
{
	const struct xen_span span = span_of_reach(reach);
	int rc = 0;

	mutex_lock(&obtain_mutex);
	if (!has_chunk(reach, false, OBTAIN_PIECES)) {
		rc = grow_some(&span, GROW_ORDER,
			       XEN_CHUNK_OBTAINED, GFP_KERNEL | __GFP_NORETRY);
		if (rc)
			xen_pool_add_pieces(&span, OBTAIN_PIECES, XEN_CHUNK_OBTAINED);
	}
	mutex_unlock(&obtain_mutex);

	return has_chunk(reach, true, LEAST_PIECES) ? 0 : rc;
}

/**
 * xen_pool_count() - count bytes of chunks that were added at boot
 * @bytes:	bytes
 *
 * Context: Any.
 */
void xen_pool_count(long bytes)
{
	atomic_long_add(bytes, &pool_bytes);
	xen_pool_boot_bytes += bytes;
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* The workers' work, at once. */
void xen_pool_flush_work(void)
{
	cancel_work_sync(&grow_work);
	cancel_delayed_work_sync(&shrink_work);
	xen_pool_cancel_rebalance();
	grow_wanted();
	shrink_idle();
}

/* A leak that a test has found must not break the next test. */
static void forget_chunk(struct xen_pool_chunk *chunk)
{
	struct xen_pool_zone *zone = chunk->zone;

	if (WARN_ON(chunk->free != chunk->nr_slots)) {
		list_del(&chunk->list);
		return;
	}

	raw_spin_lock_irq(&zone->lock);
	xen_pool_remove_chunk(chunk);
	raw_spin_unlock_irq(&zone->lock);
	if (chunk->origin != XEN_CHUNK_BOOT) {
		WARN_ON(release_chunk(chunk));
	} else {
		if (xen_chunk_is_piece(chunk))
			xen_pool_forget_piece(chunk);
		kvfree(chunk->slot);
		kvfree(chunk);
	}
}

/* Forget the pool. */
void xen_pool_destroy(void)
{
	const struct xen_pool_reach all = xen_pool_reach(U64_MAX);
	struct xen_pool_chunk *chunk, *next;
	unsigned int i;

	cancel_work_sync(&grow_work);
	cancel_delayed_work_sync(&shrink_work);
	xen_pool_cancel_rebalance();
	xen_pool_drain(&all, true);
	for (i = 0; xen_pool_table && i < XEN_NR_ZONES; i++) {
		struct xen_pool_zone *zone = &xen_pool_zones[i];

		list_for_each_entry_safe(chunk, next, &zone->chunks, list)
			forget_chunk(chunk);
		xen_pool_init_buddies(zone);
		zone->total = 0;
		zone->free = 0;
		zone->peak = 0;
		zone->own_total = 0;
		zone->own_free = 0;
		zone->lent = 0;
		zone->stored = 0;
		zone->rank = 0;
		zone->first = XEN_NO_SLOT;
	}
	if (xen_pool_table)
		memset(xen_pool_table, 0,
		       xen_pool_granules * sizeof(*xen_pool_table));
	atomic_long_set(&pool_bytes, 0);
	atomic_set(&nr_pieces, 0);
	xen_pool_boot_bytes = 0;
	xen_pool_max = ULONG_MAX;
	bitmap_zero(wanted, XEN_WIDEST_BITS + 1);
	if (xen_pool_has_pieces())
		xen_pool_forbid_pieces();
	xen_pool_forget_failures();
}
#endif
