// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's chunks: they come when room runs low, and go when they are idle.
 *
 * A worker adds chunks by exchange with the hypervisor, and gives them back when they
 * have been idle for long; a request that finds no room at all adds one at once.
 * Nothing that is in use ever moves.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "params.h"
#include "pool.h"

/* The worker adds below an eighth of free space, until there is a quarter. */
#define LOW_SHARE	8
#define ENOUGH_SHARE	4

/* Chunks that are added: 4 MiB, and 1 MiB where nobody may sleep. */
#define GROW_ORDER	min_t(unsigned int, MAX_PAGE_ORDER, get_order(SZ_4M))
#define GROW_ATOMIC_ORDER	max_t(unsigned int, XEN_CHUNK_MIN_ORDER, \
				      get_order(SZ_1M))

/* The worker may not wait for I/O, which may wait for room in the pool. */
#define GROW_GFP	(GFP_NOIO | __GFP_NORETRY)

/* The default limit is this share of the memory, and 1 GiB at most. */
#define MAX_SHARE	8

struct xen_pool_chunk **xen_pool_table __read_mostly;
unsigned long xen_pool_granules __read_mostly;

struct xen_pool_zone xen_pool_zones[XEN_NR_ZONES];

u8 xen_pool_preferred[XEN_NR_ZONES + 1] __read_mostly;
static DEFINE_RAW_SPINLOCK(preferred_lock);	/* for writers */

/* Bytes in all chunks. */
static atomic_long_t pool_bytes;

/*
 * By the number of zones that a device may use: which run low, as bits, and when a
 * growth that failed may be tried again.
 */
static unsigned long wanted;
static unsigned long retry_at[XEN_NR_ZONES + 1] = {
	[0 ... XEN_NR_ZONES] = INITIAL_JIFFIES,
};

/* One device's chunk serves the next of its width, if that waits for it. */
static DEFINE_MUTEX(obtain_mutex);

static void grow_worker(struct work_struct *work);
static void shrink_worker(struct work_struct *work);
static DECLARE_WORK(grow_work, grow_worker);
static DECLARE_DELAYED_WORK(shrink_work, shrink_worker);

/* Bytes that all chunks together may have. */
static unsigned long pool_limit(void)
{
	u64 share = (u64)totalram_pages() * PAGE_SIZE / MAX_SHARE;

	return xen_pool_max == ULONG_MAX ? min_t(u64, share, SZ_1G) :
					   xen_pool_max;
}

/*
 * What has just failed is not tried again for a second, for those who want it
 * may come by the thousand.
 */
static bool growth_has_failed(unsigned int zones)
{
	return time_before(jiffies, READ_ONCE(retry_at[zones]));
}

/* At the limit a try costs little, and a release may make room any time. */
static void note_failure(unsigned int zones, int rc)
{
	if (rc != -ENOSPC)
		WRITE_ONCE(retry_at[zones], jiffies + HZ);
}

static bool is_at_limit(void)
{
	return atomic_long_read(&pool_bytes) +
	       BIT(XEN_POOL_GRANULE_SHIFT) > pool_limit();
}

/*
 * Would less than a share of what these zones have be free without @without
 * slots? The narrowest zone is a reserve: only the narrowest devices count it.
 */
static bool is_low(unsigned int zones, unsigned int share, u32 without)
{
	u64 free = 0, total = 0;
	unsigned int i;

	for (i = zones > 1; i < zones; i++) {
		free += READ_ONCE(xen_pool_zones[i].free);
		total += READ_ONCE(xen_pool_zones[i].total);
	}

	return free < without || (free - without) * share < total - without;
}

/* Notes for the worker when what a width can use runs low. */
static void look_for_growth(unsigned int zones)
{
	if (likely(!is_low(zones, LOW_SHARE, 0)) || is_at_limit() ||
	    growth_has_failed(zones) ||
	    test_and_set_bit(zones, &wanted))
		return;

	schedule_work(&grow_work);
}

/**
 * xen_pool_largest() - the largest block of an idle pool
 * @zones:	of so many zones, from the narrowest on,
 * @lowest:	those from this one on
 *
 * Chunks that may go are not counted.
 *
 * Context: Any.
 * Return: Bytes, 0 where there is no chunk.
 */
size_t xen_pool_largest(unsigned int zones, unsigned int lowest)
{
	size_t largest = 0;

	while (zones-- > lowest)
		largest = max(largest, READ_ONCE(xen_pool_zones[zones].largest));
	return largest;
}

/* The limit is on growth: a device's own chunk may go beyond it. */
static bool reserve_bytes(size_t size, enum xen_chunk_origin origin)
{
	if (atomic_long_add_return(size, &pool_bytes) <=
	    pool_limit() || origin != XEN_CHUNK_GROWN)
		return true;

	atomic_long_sub(size, &pool_bytes);
	return false;
}

/* Set up in early boot, before the slab; the rest comes much later. */
static void * __ref meta_alloc(size_t size, gfp_t gfp)
{
	if (!slab_is_available())
		return memblock_alloc(size, SMP_CACHE_BYTES);
	if (gfpflags_allow_blocking(gfp))
		return kvzalloc(size, gfp | __GFP_NOWARN);
	return kzalloc(size, gfp | __GFP_NOWARN);
}

static void __ref meta_free(void *p, size_t size)
{
	if (slab_is_available())
		kvfree(p);
	else if (p)
		memblock_free(p, size);
}

/**
 * xen_pool_init() - make an empty pool, unless there is one
 *
 * Context: Early boot, or process.
 * Return: 0 or -ENOMEM.
 */
int __ref xen_pool_init(void)
{
	u64 covered = BIT_ULL(XEN_WIDEST_BITS);
	unsigned long granules;
	unsigned int i;

	if (xen_pool_table)
		return 0;

	if (!XEN_DMA_EXCHANGES)
		covered = min(covered - 1, xen_required_dma_mask()) + 1;
	granules = covered >> XEN_POOL_GRANULE_SHIFT;

	xen_pool_table = meta_alloc(granules * sizeof(*xen_pool_table),
				    GFP_KERNEL);
	if (!xen_pool_table)
		return -ENOMEM;

	for (i = 0; i < XEN_NR_ZONES; i++) {
		struct xen_pool_zone *zone = &xen_pool_zones[i];

		raw_spin_lock_init(&zone->lock);
		INIT_LIST_HEAD(&zone->chunks);
		xen_pool_init_buddies(zone);
	}
	xen_pool_granules = granules;

	return 0;
}

static void set_table(const struct xen_pool_chunk *chunk,
		      struct xen_pool_chunk *value)
{
	dma_addr_t bus;

	for (bus = chunk->bus; bus < chunk->bus + xen_chunk_size(chunk);
	     bus += BIT(XEN_POOL_GRANULE_SHIFT))
		WRITE_ONCE(xen_pool_table[bus >> XEN_POOL_GRANULE_SHIFT],
			   value);
}

/* The widest zone with chunks; under a zone's lock. */
static void set_preferred(void)
{
	unsigned int zones, index = 0;

	raw_spin_lock(&preferred_lock);
	for (zones = 1; zones <= XEN_NR_ZONES; zones++) {
		if (READ_ONCE(xen_pool_zones[zones - 1].total))
			index = zones - 1;
		WRITE_ONCE(xen_pool_preferred[zones], index);
	}
	raw_spin_unlock(&preferred_lock);
}

/* The zone's figures after its list of chunks has changed; under its lock. */
static void zone_changed(struct xen_pool_zone *zone)
{
	struct xen_pool_chunk *chunk;
	size_t largest = 0;

	list_for_each_entry(chunk, &zone->chunks, list)
		if (chunk->origin != XEN_CHUNK_GROWN)
			largest = max(largest,
				      rounddown_pow_of_two(xen_chunk_size(chunk)));
	WRITE_ONCE(zone->largest, largest);
	set_preferred();
}

static void insert_chunk(struct xen_pool_chunk *chunk)
{
	struct xen_pool_zone *zone = chunk->zone;
	struct list_head *below;
	unsigned long flags;

	raw_spin_lock_irqsave(&zone->lock, flags);
	list_for_each(below, &zone->chunks)
		if (list_entry(below, struct xen_pool_chunk, list)->bus <
		    chunk->bus)
			break;
	list_add_tail(&chunk->list, below);
	set_table(chunk, chunk);
	WRITE_ONCE(zone->total, zone->total + chunk->nr_slots);
	xen_pool_free_slots(chunk, chunk->first, chunk->nr_slots);
	zone_changed(zone);
	raw_spin_unlock_irqrestore(&zone->lock, flags);
}

/**
 * xen_pool_add_chunk() - make a chunk of an extent
 * @extent:	its address, where the kernel sees it, and where it comes from
 * @size:	bytes; the extent is aligned to at least a granule in the machine
 * @gfp:	how to allocate its descriptors
 *
 * What is in the extent stays there; users of blocks clear it.
 *
 * Context: As @gfp says; early boot.
 * Return: 0 or -ENOMEM.
 */
int xen_pool_add_chunk(const struct xen_pool_chunk *extent, size_t size,
		       gfp_t gfp)
{
	unsigned int bits = fls64(extent->bus + size - 1);
	u32 nr_slots = size >> XEN_SLOT_SHIFT;
	struct xen_pool_chunk *chunk;

	chunk = meta_alloc(sizeof(*chunk), gfp);
	if (!chunk)
		return -ENOMEM;
	*chunk = *extent;
	chunk->slot = meta_alloc(array_size(nr_slots, sizeof(*chunk->slot)),
				 gfp);
	if (!chunk->slot) {
		meta_free(chunk, sizeof(*chunk));
		return -ENOMEM;
	}

	chunk->first = extent->bus >> XEN_SLOT_SHIFT;
	chunk->nr_slots = nr_slots;
	chunk->index = max(bits, XEN_NARROW_BITS) - XEN_NARROW_BITS;
	chunk->zone = &xen_pool_zones[chunk->index];
	insert_chunk(chunk);

	return 0;
}

/* Pages that can be made contiguous below @bits, or are already; or NULL. */
static struct page *alloc_extent(unsigned int bits, unsigned int order,
				 gfp_t gfp)
{
	if (!XEN_DMA_EXCHANGES)
		return xen_alloc_reachable(order, bits, gfp);

	return alloc_pages(gfp | __GFP_NOWARN, order);
}

static void free_extent(struct page *page, unsigned int order)
{
	if (!XEN_DMA_EXCHANGES)
		xen_free_reachable(page, order);
	else
		__free_pages(page, order);
}

/**
 * xen_pool_grow() - add a chunk that is made of pages of the domain
 * @bits:	width of its addresses
 * @order:	log2 of its pages
 * @origin:	what it is for
 * @gfp:	allocation flags
 *
 * Context: As @gfp says.
 * Return: 0, -ENOSPC at the limit, -ENODEV without a pool, or why there are no pages
 * or extents.
 */
int xen_pool_grow(unsigned int bits, unsigned int order,
		enum xen_chunk_origin origin, gfp_t gfp)
{
	struct xen_pool_chunk extent = { .origin = origin };
	size_t size = PAGE_SIZE << order;
	struct page *page;
	phys_addr_t phys;
	int rc;

	/* Without a pool from early boot (swiotlb=noforce) there is none. */
	if (!xen_pool_table)
		return -ENODEV;
	if (!reserve_bytes(size, origin))
		return -ENOSPC;

	rc = -ENOMEM;
	page = alloc_extent(bits, order, gfp);
	if (!page)
		goto unreserve;

	phys = page_to_phys(page);
	rc = xen_make_contiguous(phys, order, bits, gfp, &extent.bus);
	if (rc < 0)
		goto free;

	extent.exchanged = !rc;
	extent.vaddr = page_address(page);
	/* What is left to Xen of the lowest memory is not for wide devices. */
	rc = -ENOMEM;
	if (bits == XEN_NARROW_BITS ||
	    fls64(extent.bus + size - 1) > XEN_NARROW_BITS)
		rc = xen_pool_add_chunk(&extent, size, gfp);
	if (!rc)
		return 0;

	if (extent.exchanged)
		xen_give_back_contiguous(phys, order, gfp);
free:
	free_extent(page, order);
unreserve:
	atomic_long_sub(size, &pool_bytes);
	return rc;
}

/* The same, and less than 2^@order pages where that can't be had. */
static int grow_some(unsigned int bits, unsigned int order,
		     enum xen_chunk_origin origin, gfp_t gfp)
{
	int rc = xen_pool_grow(bits, order, origin, gfp);

	while (rc < 0 && order > XEN_CHUNK_MIN_ORDER)
		rc = xen_pool_grow(bits, --order, origin, gfp);
	return rc;
}

/* A mapping found no room: adds a chunk at once, if that may help. */
static bool grow_now(unsigned int zones, u32 nr)
{
	unsigned int need = get_order((size_t)nr << XEN_SLOT_SHIFT);
	unsigned int order = max_t(unsigned int, need, GROW_ATOMIC_ORDER);
	int rc;

	if (need > GROW_ORDER || growth_has_failed(zones))
		return false;
	/* On PREEMPT_RT the page allocator may sleep for its locks. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) && !preemptible())
		return false;

	for (;; order--) {
		rc = xen_pool_grow(xen_zone_bits(zones - 1), order, XEN_CHUNK_GROWN,
			  GFP_ATOMIC);
		if (!rc) {
			schedule_delayed_work(&shrink_work,
					      xen_pool_idle * HZ);
			return true;
		}
		if (order <= max_t(unsigned int, need, XEN_CHUNK_MIN_ORDER))
			break;
	}

	/* That a large one can't be had says nothing of small ones. */
	if (order <= XEN_CHUNK_MIN_ORDER)
		note_failure(zones, rc);
	return false;
}

static void grow_wanted(void)
{
	unsigned int zones;
	int rc;

	for (zones = 1; zones <= XEN_NR_ZONES; zones++) {
		if (!test_and_clear_bit(zones, &wanted))
			continue;
		while (is_low(zones, ENOUGH_SHARE, 0)) {
			rc = grow_some(xen_zone_bits(zones - 1), GROW_ORDER,
				       XEN_CHUNK_GROWN, GROW_GFP);
			if (rc) {
				note_failure(zones, rc);
				break;
			}
		}
	}
}

static void grow_worker(struct work_struct *work)
{
	grow_wanted();
	schedule_delayed_work(&shrink_work, xen_pool_idle * HZ);
}

/* Takes an unused chunk out of its zone; under the zone's lock. */
static void remove_chunk(struct xen_pool_chunk *chunk)
{
	struct xen_pool_zone *zone = chunk->zone;

	xen_pool_forget_free(chunk);
	list_del(&chunk->list);
	set_table(chunk, NULL);
	WRITE_ONCE(zone->total, zone->total - chunk->nr_slots);
	zone_changed(zone);
}

/*
 * Returns the memory of a removed chunk to the hypervisor and to the kernel, or
 * fails and leaves it as it was.
 */
static int release_chunk(struct xen_pool_chunk *chunk)
{
	unsigned int order = get_order(xen_chunk_size(chunk));
	int rc;

	if (chunk->exchanged) {
		rc = xen_give_back_contiguous(virt_to_phys(chunk->vaddr), order,
					      GROW_GFP);
		if (rc < 0)
			return rc;
	}

	free_extent(virt_to_page(chunk->vaddr), order);
	atomic_long_sub(xen_chunk_size(chunk), &pool_bytes);
	/* A driver that is wrong about what it has mapped may be looking. */
	synchronize_rcu();
	kvfree(chunk->slot);
	kvfree(chunk);
	return 0;
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
				  xen_pool_idle * HZ) &&
		    !is_low(XEN_NR_ZONES, ENOUGH_SHARE,
			    index ? chunk->nr_slots : 0)) {
			found = chunk;
			remove_chunk(chunk);
			break;
		}
	}
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	return found;
}

/* Gives idle chunks back. Returns true when there are more that may go later. */
static bool shrink_idle(void)
{
	struct xen_pool_chunk *chunk;
	bool grown = false;
	unsigned int i;

	xen_pool_drain(XEN_NR_ZONES, 0);
	for (i = 0; i < XEN_NR_ZONES; i++) {
		if (!READ_ONCE(xen_pool_zones[i].total))
			continue;
		while ((chunk = take_idle(i, &grown))) {
			if (!release_chunk(chunk))
				continue;
			/* Xen did not take it: try again when it is idle again. */
			insert_chunk(chunk);
			break;
		}
	}

	return grown;
}

static void shrink_worker(struct work_struct *work)
{
	if (shrink_idle())
		schedule_delayed_work(&shrink_work,
				      max(xen_pool_idle, 1U) * HZ);
}

/* From what depot and buddy have, then from what all CPUs keep. */
static struct xen_pool_block take_drained(unsigned int zones,
					  unsigned int lowest, u32 nr)
{
	struct xen_pool_block block = xen_pool_take(zones, lowest, nr);

	if (block.slot)
		return block;

	xen_pool_drain(zones, lowest);
	return xen_pool_take(zones, lowest, nr);
}

/**
 * xen_pool_get() - get a block that the CPU has not at hand
 * @zones:	how many zones, from the narrowest on, the device may use
 * @nr:		slots
 * @effort:	what may be done for it
 *
 * The narrowest zone is a reserve: it is left to devices that can use no other, and
 * to whoever finds nothing else. A worker adds chunks when room runs low.
 *
 * Context: Any.
 * Return: The block, without @slot when there is none.
 */
struct xen_pool_block xen_pool_get(unsigned int zones, u32 nr,
				   enum xen_pool_effort effort)
{
	unsigned int lowest = zones > 1;
	struct xen_pool_block block;

	if (effort == XEN_POOL_TRY) {
		block = xen_pool_take(zones, lowest, nr);
	} else {
		block = take_drained(zones, lowest, nr);
		if (!block.slot && grow_now(zones, nr))
			block = xen_pool_take(zones, lowest, nr);
		if (!block.slot && lowest)
			block = take_drained(lowest, 0, nr);
	}
	if (block.slot)
		look_for_growth(zones);

	return block;
}

/**
 * xen_pool_obtain() - see to it that there is a chunk
 * @zones:	in so many zones, from the narrowest on, not 0
 *
 * Where there is none, one is made, to stay. The reserve is left to the narrowest
 * devices; others get some of their own.
 *
 * Context: Process, may sleep.
 * Return: 0, or why there is none, see xen_pool_grow().
 */
int xen_pool_obtain(unsigned int zones)
{
	int rc = 0;

	mutex_lock(&obtain_mutex);
	if (!xen_pool_largest(zones, zones > 1))
		rc = grow_some(xen_zone_bits(zones - 1), GROW_ORDER,
			       XEN_CHUNK_OBTAINED, GFP_KERNEL | __GFP_NORETRY);
	mutex_unlock(&obtain_mutex);

	return xen_pool_largest(zones, 0) ? 0 : rc;
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
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* The workers' work, at once. */
void xen_pool_flush_work(void)
{
	cancel_work_sync(&grow_work);
	cancel_delayed_work_sync(&shrink_work);
	grow_wanted();
	shrink_idle();
}

/* A leak that a test has found must not break the next test. */
static void forget_chunk(struct xen_pool_chunk *chunk)
{
	bool leaked = WARN_ON(chunk->free != chunk->nr_slots);

	list_del(&chunk->list);
	set_table(chunk, NULL);
	if (leaked)
		return;

	if (chunk->origin != XEN_CHUNK_BOOT) {
		WARN_ON(release_chunk(chunk));
	} else {
		kvfree(chunk->slot);
		kvfree(chunk);
	}
}

/* Forget the pool. */
void xen_pool_destroy(void)
{
	struct xen_pool_chunk *chunk, *next;
	unsigned int i;

	cancel_work_sync(&grow_work);
	cancel_delayed_work_sync(&shrink_work);
	xen_pool_drain(XEN_NR_ZONES, 0);
	for (i = 0; xen_pool_table && i < XEN_NR_ZONES; i++) {
		struct xen_pool_zone *zone = &xen_pool_zones[i];

		list_for_each_entry_safe(chunk, next, &zone->chunks, list)
			forget_chunk(chunk);
		xen_pool_init_buddies(zone);
		zone->total = 0;
		zone->free = 0;
		zone->largest = 0;
	}
	atomic_long_set(&pool_bytes, 0);
	xen_pool_max = ULONG_MAX;
	wanted = 0;
	for (i = 0; i <= XEN_NR_ZONES; i++)
		retry_at[i] = jiffies;
}
#endif
