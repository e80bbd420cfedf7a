// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's chunks, the table that finds them, and their zones.
 *
 * The table has an entry for each granule of the machine. A chunk belongs to the zone
 * of its highest address.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/init.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string_helpers.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "contig.h"
#include "pool.h"

unsigned long xen_pool_granules __read_mostly;
u64 xen_pool_last __read_mostly = DMA_BIT_MASK(XEN_WIDEST_BITS);

struct xen_pool_zone xen_pool_zones[XEN_NR_ZONES];

u8 xen_pool_home[XEN_NR_ZONES + 1] __read_mostly;
static DEFINE_RAW_SPINLOCK(home_lock);	/* for writers */

const u8 xen_zone_bits[] = { XEN_RESERVE_BITS, 31, 32, XEN_WIDEST_BITS };

static_assert(ARRAY_SIZE(xen_zone_bits) >= XEN_NR_ZONES);

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
	struct xen_pool_chunk **table;
	unsigned long granules;
	unsigned int i;
	u64 end;

	if (xen_pool_table)
		return 0;

	end = xen_contig_end();
	granules = end >> XEN_POOL_GRANULE_SHIFT;
	table = meta_alloc(granules * sizeof(*table), GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	for (i = 0; i < XEN_NR_ZONES; i++) {
		struct xen_pool_zone *zone = &xen_pool_zones[i];

		raw_spin_lock_init(&zone->lock);
		INIT_LIST_HEAD(&zone->chunks);
		xen_pool_init_buddies(zone);
		zone->first = XEN_NO_SLOT;
	}
	xen_pool_last = end - 1;
	xen_pool_table = table;
	/* Whoever reads debugfs meanwhile sees no granule, or all that belongs to them. */
	smp_store_release(&xen_pool_granules, granules);

	return 0;
}

/**
 * xen_pool_report() - tell the administrator what the pool consists of
 * @size:	its bytes
 *
 * Chunks of early boot are meant; others may have come by then.
 *
 * Context: Process, or early boot.
 */
void xen_pool_report(size_t size)
{
	struct xen_pool_chunk *chunk;
	unsigned int chunks = 0, i;
	char all[12], one[12];
	size_t largest = 0;
	u64 highest = 0;

	for (i = 0; i < XEN_NR_ZONES; i++) {
		struct xen_pool_zone *zone = &xen_pool_zones[i];
		unsigned long flags;

		raw_spin_lock_irqsave(&zone->lock, flags);
		list_for_each_entry(chunk, &zone->chunks, list) {
			if (chunk->origin != XEN_CHUNK_BOOT)
				continue;
			chunks++;
			largest = max(largest, rounddown_pow_of_two(xen_chunk_size(chunk)));
			highest = max_t(u64, highest, xen_chunk_last(chunk));
		}
		raw_spin_unlock_irqrestore(&zone->lock, flags);
	}
	string_get_size(size, 1, STRING_UNITS_2, all, sizeof(all));
	string_get_size(largest, 1, STRING_UNITS_2, one, sizeof(one));
	if (largest < BIT(XEN_POOL_GRANULE_SHIFT))
		pr_info("aperture %s in pieces of %s at most, highest bus address %#llx: what is larger can't be bounced\n",
			all, one, highest);
	else
		pr_info("aperture %s in %u chunks, largest %s, highest bus address %#llx\n",
			all, chunks, one, highest);
}

static void set_table(const struct xen_pool_chunk *chunk,
		      struct xen_pool_chunk *value)
{
	dma_addr_t bus;

	/* Those have entries already, or still. */
	if (xen_chunk_is_piece(chunk))
		return;
	for (bus = chunk->bus; bus < chunk->bus + xen_chunk_size(chunk);
	     bus += BIT(XEN_POOL_GRANULE_SHIFT))
		/* Who looks an address up needs no lock. */
		smp_store_release(&xen_pool_table[bus >> XEN_POOL_GRANULE_SHIFT],
				  value);
}

/* The lowest slots of a zone's chunks, by their origins, and of all. */
static void set_first(struct xen_pool_zone *zone)
{
	const struct xen_pool_chunk *chunk;
	u32 first = XEN_NO_SLOT;
	unsigned int i;

	for (i = 0; i < XEN_CHUNK_ORIGINS; i++)
		zone->buddy[i].first = XEN_NO_SLOT;
	list_for_each_entry(chunk, &zone->chunks, list) {
		first = chunk->first;
		zone->buddy[chunk->origin].first = first;
	}
	WRITE_ONCE(zone->first, first);
}

/*
 * Where to look first: the widest zone with a chunk of early boot, or else with any.
 * Under the zone's lock.
 */
static void set_homes(struct xen_pool_zone *zone)
{
	bool stays = zone->buddy[XEN_CHUNK_BOOT].first != XEN_NO_SLOT;
	unsigned int zones, home = 0, rank = 0;

	WRITE_ONCE(zone->rank, !list_empty(&zone->chunks) + stays);

	raw_spin_lock(&home_lock);
	for (zones = 1; zones <= XEN_NR_ZONES; zones++) {
		unsigned int other = READ_ONCE(xen_pool_zones[zones - 1].rank);

		/* The reserve is nobody's home that reaches more. */
		if (zones == 2) {
			home = 1;
			rank = 0;
		}
		if (other && other >= rank) {
			home = zones - 1;
			rank = other;
		}
		WRITE_ONCE(xen_pool_home[zones], home);
	}
	raw_spin_unlock(&home_lock);
}

/**
 * xen_pool_insert_chunk() - put a chunk into its zone
 * @chunk:	chunk, unused
 *
 * Context: Any.
 */
void xen_pool_insert_chunk(struct xen_pool_chunk *chunk)
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
	if (chunk->origin == XEN_CHUNK_OBTAINED)
		zone->own_total += chunk->nr_slots;
	xen_pool_free_slots(chunk, chunk->first, chunk->nr_slots);
	set_first(zone);
	set_homes(zone);
	raw_spin_unlock_irqrestore(&zone->lock, flags);
}

/**
 * xen_pool_remove_chunk() - take a chunk out of its zone
 * @chunk:	chunk; blocks that are used can't be found any more
 *
 * Context: Any, under the zone's lock.
 */
void xen_pool_remove_chunk(struct xen_pool_chunk *chunk)
{
	struct xen_pool_zone *zone = chunk->zone;

	xen_pool_forget_free(chunk);
	list_del(&chunk->list);
	set_table(chunk, NULL);
	WRITE_ONCE(zone->total, zone->total - chunk->nr_slots);
	if (chunk->origin == XEN_CHUNK_OBTAINED)
		zone->own_total -= chunk->nr_slots;
	set_first(zone);
	set_homes(zone);
}

/**
 * xen_pool_locate_chunk() - note what follows from a chunk's address
 * @chunk:	chunk, in no zone
 *
 * Context: Any.
 */
void xen_pool_locate_chunk(struct xen_pool_chunk *chunk)
{
	chunk->first = chunk->bus >> XEN_SLOT_SHIFT;
	chunk->index = 0;
	while (xen_chunk_last(chunk) >> xen_zone_bits[chunk->index])
		chunk->index++;
	chunk->zone = &xen_pool_zones[chunk->index];
}

/**
 * xen_pool_add_chunk() - make a chunk of an extent
 * @extent:	its address, where the kernel sees it, and where it comes from
 * @size:	bytes; the extent is aligned to them, or at least to a granule, in the machine
 * @gfp:	how to allocate its descriptors
 *
 * What is in the extent stays there; users of blocks clear it.
 *
 * Context: As @gfp says; early boot.
 * Return: 0, -ENOMEM, or -ERANGE for an extent that the table does not cover, or that is
 * smaller than chunks may be.
 */
int xen_pool_add_chunk(const struct xen_pool_chunk *extent, size_t size,
		       gfp_t gfp)
{
	dma_addr_t last = extent->bus + size - 1;
	u32 nr_slots = size >> XEN_SLOT_SHIFT;
	struct xen_pool_chunk *chunk;
	int rc = -ENOMEM;

	if (last > xen_pool_last)
		return -ERANGE;
	chunk = meta_alloc(sizeof(*chunk), gfp);
	if (!chunk)
		return -ENOMEM;
	*chunk = *extent;
	chunk->nr_slots = nr_slots;
	chunk->slot = meta_alloc(array_size(nr_slots, sizeof(*chunk->slot)),
				 gfp);
	if (!chunk->slot)
		goto free_chunk;
	xen_pool_locate_chunk(chunk);
	if (xen_chunk_is_piece(chunk)) {
		rc = xen_pool_note_piece(chunk, gfp);
		if (rc)
			goto free_slots;
	}

	xen_pool_insert_chunk(chunk);
	return 0;

free_slots:
	meta_free(chunk->slot, array_size(nr_slots, sizeof(*chunk->slot)));
free_chunk:
	meta_free(chunk, sizeof(*chunk));
	return rc;
}

/**
 * xen_pool_reach_within() - what of the pool a narrow device may use
 * @limit:	highest machine address that it reaches
 *
 * See xen_pool_reach().
 *
 * Context: Any.
 * Return: The reach.
 */
struct xen_pool_reach xen_pool_reach_within(u64 limit)
{
	struct xen_pool_reach reach = {
		.limit = limit,
		.end = min_t(u64, (limit + 1) >> XEN_SLOT_SHIFT, XEN_NO_SLOT),
	};
	unsigned int i;

	if (limit < DMA_BIT_MASK(XEN_RESERVE_BITS))
		return reach;

	/* Memory is made for a width, so what is in between is worth no more. */
	if (xen_limit_bits(limit) == XEN_RESERVE_BITS)
		limit = DMA_BIT_MASK(XEN_RESERVE_BITS);
	for (i = 1; i < XEN_NR_ZONES && limit >> xen_zone_bits[i - 1]; i++)
		;
	reach.zones = i;
	reach.narrow = limit < min(DMA_BIT_MASK(xen_zone_bits[i - 1]),
				   xen_pool_last);
	reach.home = READ_ONCE(xen_pool_home[i]);
	return reach;
}

/*
 * Bytes of the chunks that stay, in so many of a device's zones from @lowest on, and
 * the largest block of them.
 */
static u64 look_at_chunks(const struct xen_pool_reach *reach,
			  unsigned int lowest, size_t *largest)
{
	unsigned int i;
	u64 bytes = 0;

	*largest = 0;
	for (i = lowest; i < reach->zones; i++) {
		struct xen_pool_zone *zone = &xen_pool_zones[i];
		const struct xen_pool_chunk *chunk;
		unsigned long flags;

		if (!READ_ONCE(zone->total))
			continue;
		raw_spin_lock_irqsave(&zone->lock, flags);
		list_for_each_entry(chunk, &zone->chunks, list) {
			size_t size = xen_chunk_size(chunk);

			if (chunk->origin == XEN_CHUNK_GROWN ||
			    xen_chunk_last(chunk) > reach->limit ||
			    (XEN_BUS_WINDOWS && chunk->bus < reach->first))
				continue;
			bytes += size;
			*largest = max(*largest, rounddown_pow_of_two(size));
		}
		raw_spin_unlock_irqrestore(&zone->lock, flags);
	}

	return bytes;
}

/**
 * xen_pool_largest() - the largest block of an idle pool
 * @reach:	what the device may use
 * @reserve:	look at the reserve too, for a device that reaches more
 *
 * Chunks that may go are not counted.
 *
 * Context: Any.
 * Return: Bytes, 0 where there is no chunk.
 */
size_t xen_pool_largest(const struct xen_pool_reach *reach, bool reserve)
{
	size_t largest;

	look_at_chunks(reach, reach->zones > 1 && !reserve, &largest);
	return largest;
}

/**
 * xen_pool_bytes() - what there is of the pool for a device
 * @reach:	what the device may use
 *
 * Chunks that may go are not counted.
 *
 * Context: Any.
 * Return: Bytes.
 */
u64 xen_pool_bytes(const struct xen_pool_reach *reach)
{
	size_t largest;

	return look_at_chunks(reach, 0, &largest);
}
