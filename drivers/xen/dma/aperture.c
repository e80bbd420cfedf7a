// SPDX-License-Identifier: GPL-2.0
/*
 * The aperture: low, machine-contiguous memory to bounce DMA through.
 *
 * It consists of chunks, each one extent of the machine, found through a table
 * indexed by bus address. A chunk is divided into slots of IO_TLB_SIZE bytes,
 * numbered by their bus address. Chunks of the same address width form a class,
 * and a binary buddy per class hands out their slots. Blocks are aligned in the
 * machine, so a block of 2^n slots crosses no boundary as large as itself, and an
 * alignment is a matter of the order. What a request doesn't need at the end of
 * its block goes back at once.
 *
 * Blocks of common sizes don't go back to the buddy: each CPU keeps some, in two
 * bundles a size, and exchanges whole bundles with a depot per class. So a
 * mapping usually takes no lock, masks no interrupt and searches nothing, however
 * large or full the aperture is. A CPU's cache has an owner instead: an interrupt
 * that finds it owned goes to the buddy.
 *
 * When room runs low, a worker adds chunks by exchange with the hypervisor, and
 * gives them back when they have been idle for long; a mapping that finds no room
 * at all adds one at once. Nothing that is mapped ever moves.
 *
 * A slot has a descriptor. In the first one of a free block it links a list, in
 * the first one of a mapping it says what is bounced: one buffer, or as many as
 * descriptors behind it name. So nothing of a caller's list is needed after it was
 * mapped, for others may have changed it by then. No byte of an earlier
 * mapping is ever in the slots of a mapping: the copy in covers its own part,
 * whatever the direction, and the rest is cleared. (What a device writes behind
 * what it was given is not looked for. Only an IOMMU could keep it from that.)
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string_helpers.h>
#include <linux/swiotlb.h>
#include <linux/workqueue.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "compat.h"
#include "decide.h"
#include "aperture.h"

#define XEN_SLOT_SHIFT		IO_TLB_SHIFT
#define XEN_SLOT_SIZE		BIT(XEN_SLOT_SHIFT)
#define XEN_GRANULE_SLOTS_SHIFT	(XEN_APERTURE_GRANULE_SHIFT - XEN_SLOT_SHIFT)

/* 1 GiB, the largest extent that Xen gives to a control domain by default. */
#define XEN_CHUNK_MAX_ORDER	18
#define XEN_CHUNK_MIN_ORDER	(XEN_APERTURE_GRANULE_SHIFT - PAGE_SHIFT)
#define XEN_SLOT_ORDERS		(XEN_CHUNK_MAX_ORDER + PAGE_SHIFT - \
				 XEN_SLOT_SHIFT + 1)

/* What an idle aperture promises for one mapping; a chunk may hold several. */
#define XEN_MAX_MAPPING		SZ_16M

/* The lowest memory is taken for devices that can't use any other. */
#define XEN_NARROW_BITS		24
#define XEN_NARROW_SIZE		SZ_4M

/* Classes: one for each width from the narrowest to that of the table. */
#define XEN_WIDEST_BITS		(XEN_DMA_EXCHANGES ? 32 : 40)
#define XEN_NR_CLASSES		(XEN_WIDEST_BITS - XEN_NARROW_BITS + 1)

/*
 * Sizes that CPUs keep blocks of, in slots: each up to 16 KiB, for packets,
 * pages and what is a little more, then powers of two up to 256 KiB, for disks.
 */
static const u16 xen_bin_slots[] = { 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128 };

#define XEN_NR_BINS		ARRAY_SIZE(xen_bin_slots)
#define XEN_EXACT_BINS		8
#define XEN_MAX_BIN_SLOTS	128
#define XEN_NO_BIN		U8_MAX

/*
 * A bundle holds 64 KiB, or one block: as many small blocks as make its transfer
 * rare. The depot holds a few for CPUs that map what others unmap. A quarter of a
 * class at most lies in the CPUs' bundles, an eighth in the depot.
 */
#define XEN_BUNDLE_SLOTS	32
#define XEN_DEPOT_BUNDLES	8
#define XEN_CACHED_SHARE	4
#define XEN_DEPOT_SHARE		8

/* How often another CPU's cache is tried before it is left alone. */
#define XEN_DRAIN_TRIES		1000

/* The worker adds below an eighth of free space, until there is a quarter. */
#define XEN_LOW_SHARE		8
#define XEN_ENOUGH_SHARE	4

/* Chunks that are added: 4 MiB, and 1 MiB where nobody may sleep. */
#define XEN_GROW_ORDER		min_t(unsigned int, MAX_PAGE_ORDER, \
				      get_order(SZ_4M))
#define XEN_GROW_ATOMIC_ORDER	max_t(unsigned int, XEN_CHUNK_MIN_ORDER, \
				      get_order(SZ_1M))

/* The default limit is this share of the memory, and 1 GiB at most. */
#define XEN_MAX_SHARE		8

#define XEN_NO_SLOT		U32_MAX

enum xen_slot_state {
	XEN_SLOT_INNER,		/* not the first of anything */
	XEN_SLOT_FREE,		/* first of a free block */
	XEN_SLOT_CACHED,	/* first of a block in a bundle */
	XEN_SLOT_MAPPED,	/* first of a mapping */
};

/**
 * struct xen_aperture_slot - what a slot is used for
 * @next:	free, cached: next in the list, or XEN_NO_SLOT
 * @prev:	free: previous in the list; cached, first of a bundle in the
 *		depot: the next bundle; or XEN_NO_SLOT
 * @phys:	mapping of one buffer, or a buffer of a list: its pseudo-physical
 *		address
 * @size:	mapping, or a buffer of a list: its bytes; cached, first of a
 *		bundle: its blocks
 * @offset:	mapping: bytes from the first slot to the first mapped byte
 * @dirty:	cached, or mapping with a @bin: bytes from the first slot on that
 *		may not be zero
 * @nr:		mapping without a @bin: its slots
 * @order:	free: log2 of its slots
 * @state:	which of these holds, &enum xen_slot_state
 * @bin:	cached, mapping: index of its size, or XEN_NO_BIN
 * @buffers:	mapping of a list: how many buffers, each in one of the following
 *		slots' descriptors; 0 for one buffer
 */
struct xen_aperture_slot {
	union {
		struct {
			u32 next;
			u32 prev;
		};
		phys_addr_t phys;
	};
	u32 size;
	u32 offset;
	union {
		u32 dirty;
		u32 nr;
	};
	u8 order;
	u8 state;
	u8 bin;
	u8 buffers;
};

/* The generic driver's descriptor has as many. */
static_assert(sizeof(struct xen_aperture_slot) <= 24);

enum xen_chunk_origin {
	XEN_CHUNK_BOOT,		/* the buffer of early boot */
	XEN_CHUNK_OBTAINED,	/* made for a device's mask, and stays */
	XEN_CHUNK_GROWN,	/* added because room ran low, and may go again */
};

/**
 * struct xen_aperture_chunk - one machine-contiguous extent
 * @list:	in its class, from the highest bus address down
 * @class:	where it belongs
 * @index:	the class's
 * @bus:	bus address of the first byte
 * @first:	number of the first slot
 * @nr_slots:	slots
 * @free:	of these in the buddy
 * @slot:	descriptors
 * @vaddr:	where the kernel sees it
 * @origin:	where its pages come from, &enum xen_chunk_origin
 * @exchanged:	its frames came from the hypervisor
 * @idle_since:	when the last block came back, in jiffies
 *
 * What changes is protected by the class's lock.
 */
struct xen_aperture_chunk {
	struct list_head list;
	struct xen_aperture_class *class;
	unsigned int index;
	dma_addr_t bus;
	u32 first;
	u32 nr_slots;
	u32 free;
	struct xen_aperture_slot *slot;
	void *vaddr;
	enum xen_chunk_origin origin;
	bool exchanged;
	unsigned long idle_since;
};

/**
 * struct xen_aperture_buddy - free blocks
 * @orders:	bit n set: @free[n] is not empty
 * @free:	first free block of each order, or XEN_NO_SLOT
 */
struct xen_aperture_buddy {
	unsigned long orders;
	u32 free[XEN_SLOT_ORDERS];
};

/**
 * struct xen_aperture_bundle - a list of blocks of one size
 * @head:	first, or XEN_NO_SLOT
 * @nr:		how many
 */
struct xen_aperture_bundle {
	u32 head;
	u32 nr;
};

/**
 * struct xen_aperture_cache - what one CPU keeps of one class
 * @owned:	somebody is at it: the CPU, or another one that empties it
 * @loaded:	the bundle in use, of each size
 * @spare:	a full or empty one, so that a CPU which maps and unmaps around
 *		the end of a bundle doesn't turn to the depot each time
 */
struct xen_aperture_cache {
	atomic_t owned;
	struct xen_aperture_bundle loaded[XEN_NR_BINS];
	struct xen_aperture_bundle spare[XEN_NR_BINS];
};

/**
 * struct xen_aperture_class - chunks of the same address width
 * @bundle:	blocks in a full bundle of each size, 0 for none at all
 * @depot_max:	bundles of each size in the depot
 * @total:	slots
 * @lock:	protects what follows, @bundle and @total; may be taken by the
 *		owner of a cache
 * @free:	slots in the buddies
 * @largest:	bytes of the largest aligned block of an idle chunk that stays
 * @buddy:	free blocks of chunks that stay and of chunks that may go; the
 *		first are used first
 * @depot:	full bundles of each size, linked by their first blocks
 * @chunks:	the chunks
 */
struct xen_aperture_class {
	u16 bundle[XEN_NR_BINS];
	u16 depot_max;
	u32 total;
	raw_spinlock_t lock ____cacheline_aligned_in_smp;	/* see above */
	u32 free;
	size_t largest;
	struct xen_aperture_buddy buddy[2];
	struct xen_aperture_bundle depot[XEN_NR_BINS];
	struct list_head chunks;
};

/* One entry per granule; allocated before the first device is used. */
struct xen_aperture_chunk **xen_aperture_table __read_mostly;
unsigned long xen_aperture_granules __read_mostly;

static struct xen_aperture_class xen_classes[XEN_NR_CLASSES];

/* By the number of classes that a device may use: the one to try first. */
static u8 xen_preferred[XEN_NR_CLASSES + 1] __read_mostly;
static DEFINE_RAW_SPINLOCK(xen_preferred_lock);	/* for writers */

static DEFINE_PER_CPU(struct xen_aperture_cache [XEN_NR_CLASSES], xen_caches);

/* Bytes in all chunks, and how many there may be. */
static atomic_long_t xen_aperture_bytes;
unsigned long xen_aperture_max = ULONG_MAX;	/* see aperture_limit() */

/* Seconds after which an unused chunk that was added goes back. */
unsigned int xen_aperture_idle = 60;

/* Where memory is found: bytes to begin with, 0 for a share of what there is. */
static unsigned long xen_setup_size;

#define XEN_SETUP_SHARE		32

/*
 * By the number of classes that a device may use: which run low, as bits, and
 * when a growth that failed may be tried again.
 */
static unsigned long xen_wanted;
static unsigned long xen_retry_at[XEN_NR_CLASSES + 1] = {
	[0 ... XEN_NR_CLASSES] = INITIAL_JIFFIES,
};

/* One device's chunk serves the next of its width, if that waits for it. */
static DEFINE_MUTEX(xen_obtain_mutex);

static void xen_grow(struct work_struct *work);
static void xen_shrink(struct work_struct *work);
static DECLARE_WORK(xen_grow_work, xen_grow);
static DECLARE_DELAYED_WORK(xen_shrink_work, xen_shrink);

/* Slots, chunks and classes */

static struct xen_aperture_chunk *chunk_at(u32 mslot)
{
	return READ_ONCE(xen_aperture_table[mslot >> XEN_GRANULE_SLOTS_SHIFT]);
}

/* The descriptor of a slot that is in the aperture. */
static struct xen_aperture_slot *slot_at(u32 mslot)
{
	struct xen_aperture_chunk *chunk = chunk_at(mslot);

	return &chunk->slot[mslot - chunk->first];
}

static size_t chunk_size(const struct xen_aperture_chunk *chunk)
{
	return (size_t)chunk->nr_slots << XEN_SLOT_SHIFT;
}

static dma_addr_t chunk_last(const struct xen_aperture_chunk *chunk)
{
	return chunk->bus + chunk_size(chunk) - 1;
}

static unsigned int class_bits(unsigned int class)
{
	return XEN_NARROW_BITS + class;
}

/*
 * How many classes, from the narrowest on, a device may use. A limit within a
 * width counts as the width below.
 */
static unsigned int classes_within(u64 limit)
{
	unsigned int bits;

	if (limit >= DMA_BIT_MASK(XEN_WIDEST_BITS))
		return XEN_NR_CLASSES;

	bits = fls64(limit + 1) - 1;
	return bits < XEN_NARROW_BITS ? 0 : bits - XEN_NARROW_BITS + 1;
}

static u64 device_limit(struct device *dev)
{
	return xen_machine_limit(dev, min_not_zero(dma_get_mask(dev),
						   dev->bus_dma_limit));
}

/* The buddy. Callers hold the class's lock. */

static struct xen_aperture_buddy *
buddy_of(const struct xen_aperture_chunk *chunk)
{
	return &chunk->class->buddy[chunk->origin == XEN_CHUNK_GROWN];
}

static void free_list_add(struct xen_aperture_buddy *buddy, u32 mslot,
			  unsigned int order)
{
	struct xen_aperture_slot *s = slot_at(mslot);

	s->state = XEN_SLOT_FREE;
	s->order = order;
	s->prev = XEN_NO_SLOT;
	s->next = buddy->free[order];
	if (s->next != XEN_NO_SLOT)
		slot_at(s->next)->prev = mslot;
	buddy->free[order] = mslot;
	__set_bit(order, &buddy->orders);
}

static void free_list_del(struct xen_aperture_buddy *buddy,
			  struct xen_aperture_slot *s)
{
	s->state = XEN_SLOT_INNER;
	if (s->next != XEN_NO_SLOT)
		slot_at(s->next)->prev = s->prev;
	if (s->prev != XEN_NO_SLOT) {
		slot_at(s->prev)->next = s->next;
		return;
	}

	buddy->free[s->order] = s->next;
	if (s->next == XEN_NO_SLOT)
		__clear_bit(s->order, &buddy->orders);
}

/* Frees an aligned block and joins it with its neighbours of the same size. */
static void free_block(struct xen_aperture_chunk *chunk, u32 mslot,
		       unsigned int order)
{
	struct xen_aperture_buddy *buddy = buddy_of(chunk);

	for (; order < XEN_SLOT_ORDERS - 1; order++) {
		u32 other = mslot ^ BIT(order);
		struct xen_aperture_slot *s;

		if (other - chunk->first >= chunk->nr_slots)
			break;
		s = &chunk->slot[other - chunk->first];
		/* Whoever has it may change it meanwhile, but never to free. */
		if (READ_ONCE(s->state) != XEN_SLOT_FREE || s->order != order)
			break;

		free_list_del(buddy, s);
		mslot = min(mslot, other);
	}

	free_list_add(buddy, mslot, order);
}

/* Frees any run of slots, as the fewest aligned blocks. */
static void free_slots(struct xen_aperture_chunk *chunk, u32 mslot, u32 nr)
{
	chunk->free += nr;
	chunk->class->free += nr;
	if (chunk->free == chunk->nr_slots)
		chunk->idle_since = jiffies;

	while (nr) {
		unsigned int order = min(__fls(nr), XEN_SLOT_ORDERS - 1UL);

		if (mslot)
			order = min_t(unsigned int, order, __ffs(mslot));

		free_block(chunk, mslot, order);
		mslot += BIT(order);
		nr -= BIT(order);
	}
}

/* Takes @nr slots, aligned to a power of two that is no smaller. */
static u32 take_slots(struct xen_aperture_class *class, u32 nr)
{
	unsigned int order = order_base_2(nr), from;
	struct xen_aperture_buddy *buddy = class->buddy;
	struct xen_aperture_chunk *chunk;
	unsigned long fit;
	u32 mslot;

	fit = buddy->orders >> order;
	if (!fit) {
		buddy++;
		fit = buddy->orders >> order;
		if (!fit)
			return XEN_NO_SLOT;
	}

	from = order + __ffs(fit);
	mslot = buddy->free[from];
	chunk = chunk_at(mslot);
	free_list_del(buddy, slot_at(mslot));
	while (from-- > order)
		free_list_add(buddy, mslot + BIT(from), from);

	chunk->free -= BIT(order);
	class->free -= BIT(order);
	free_slots(chunk, mslot + nr, BIT(order) - nr);

	return mslot;
}

/* Bytes that all chunks together may have. */
static unsigned long aperture_limit(void)
{
	u64 share = (u64)totalram_pages() * PAGE_SIZE / XEN_MAX_SHARE;

	return xen_aperture_max == ULONG_MAX ? min_t(u64, share, SZ_1G) :
					       xen_aperture_max;
}

/*
 * What has just failed is not tried again for a second, for those who want it
 * may come by the thousand.
 */
static bool growth_has_failed(unsigned int classes)
{
	return time_before(jiffies, READ_ONCE(xen_retry_at[classes]));
}

/* At the limit a try costs little, and a release may make room any time. */
static void note_failure(unsigned int classes, int rc)
{
	if (rc != -ENOSPC)
		WRITE_ONCE(xen_retry_at[classes], jiffies + HZ);
}

static bool is_at_limit(void)
{
	return atomic_long_read(&xen_aperture_bytes) +
	       BIT(XEN_APERTURE_GRANULE_SHIFT) > aperture_limit();
}

/*
 * Would less than a share of what these classes have be free without @without
 * slots? The narrowest class is a reserve: only the narrowest devices count it.
 */
static bool is_low(unsigned int classes, unsigned int share, u32 without)
{
	u64 free = 0, total = 0;
	unsigned int i;

	for (i = classes > 1; i < classes; i++) {
		free += READ_ONCE(xen_classes[i].free);
		total += READ_ONCE(xen_classes[i].total);
	}

	return free < without || (free - without) * share < total - without;
}

/* Notes for the worker when what a width can use runs low. */
static void look_for_growth(unsigned int classes)
{
	if (likely(!is_low(classes, XEN_LOW_SHARE, 0)) || is_at_limit() ||
	    growth_has_failed(classes) ||
	    test_and_set_bit(classes, &xen_wanted))
		return;

	schedule_work(&xen_grow_work);
}

/* Per-CPU caches and depot */

static unsigned int bin_of(u32 nr)
{
	if (nr <= XEN_EXACT_BINS)
		return nr - 1;
	if (nr <= XEN_MAX_BIN_SLOTS && is_power_of_2(nr))
		return XEN_EXACT_BINS + ilog2(nr) - ilog2(XEN_EXACT_BINS) - 1;
	return XEN_NO_BIN;
}

/* A block that has been taken; without @slot there was none. */
struct xen_aperture_block {
	struct xen_aperture_chunk *chunk;
	struct xen_aperture_slot *slot;
	u32 mslot;
};

static struct xen_aperture_block block_at(u32 mslot)
{
	struct xen_aperture_chunk *chunk = chunk_at(mslot);

	return (struct xen_aperture_block) {
		.chunk = chunk,
		.slot = &chunk->slot[mslot - chunk->first],
		.mslot = mslot,
	};
}

static void bundle_push(struct xen_aperture_bundle *bundle, u32 mslot,
			struct xen_aperture_slot *s)
{
	WRITE_ONCE(s->state, XEN_SLOT_CACHED);
	s->next = bundle->head;
	bundle->head = mslot;
	bundle->nr++;
}

static inline struct xen_aperture_block
bundle_pop(struct xen_aperture_bundle *bundle)
{
	struct xen_aperture_block block = block_at(bundle->head);

	bundle->head = block.slot->next;
	bundle->nr--;
	return block;
}

/* Returns a bundle's blocks to the buddy; under the class's lock. */
static void bundle_free(struct xen_aperture_bundle *bundle)
{
	while (bundle->nr) {
		struct xen_aperture_block block = bundle_pop(bundle);

		block.slot->state = XEN_SLOT_INNER;
		free_slots(block.chunk, block.mslot,
			   xen_bin_slots[block.slot->bin]);
	}
}

/* The depot's list; under the class's lock. */
static void depot_put(struct xen_aperture_class *class, unsigned int bin,
		      struct xen_aperture_bundle *bundle)
{
	struct xen_aperture_bundle *depot = &class->depot[bin];
	struct xen_aperture_slot *s = slot_at(bundle->head);

	if (depot->nr >= class->depot_max) {
		bundle_free(bundle);
		return;
	}

	s->prev = depot->nr ? depot->head : XEN_NO_SLOT;
	s->size = bundle->nr;
	depot->head = bundle->head;
	depot->nr++;
	bundle->nr = 0;
}

static void depot_get(struct xen_aperture_class *class, unsigned int bin,
		      struct xen_aperture_bundle *bundle)
{
	struct xen_aperture_bundle *depot = &class->depot[bin];
	struct xen_aperture_slot *s = slot_at(depot->head);

	bundle->head = depot->head;
	bundle->nr = s->size;
	depot->head = s->prev;
	depot->nr--;
}

/* Fills a bundle from the buddy as far as it goes; under the class's lock. */
static void bundle_fill(struct xen_aperture_class *class, unsigned int bin,
			struct xen_aperture_bundle *bundle)
{
	u32 nr = xen_bin_slots[bin];

	while (bundle->nr < class->bundle[bin]) {
		u32 mslot = take_slots(class, nr);
		struct xen_aperture_slot *s;

		if (mslot == XEN_NO_SLOT)
			break;
		s = slot_at(mslot);
		s->bin = bin;
		s->dirty = nr << XEN_SLOT_SHIFT;
		bundle_push(bundle, mslot, s);
	}
}

/*
 * Nobody waits for a cache, so an interrupt may come while it is owned. The
 * owner can't be preempted.
 */
static inline bool cache_try_own(struct xen_aperture_cache *cache)
{
	return atomic_cmpxchg_acquire(&cache->owned, 0, 1) == 0;
}

static inline void cache_disown(struct xen_aperture_cache *cache)
{
	atomic_set_release(&cache->owned, 0);
}

/* Gets blocks into an empty @loaded; the caller owns the cache. */
static bool cache_refill(struct xen_aperture_class *class,
			 struct xen_aperture_cache *cache, unsigned int bin)
{
	struct xen_aperture_bundle *loaded = &cache->loaded[bin];
	unsigned long flags;

	if (cache->spare[bin].nr) {
		swap(*loaded, cache->spare[bin]);
		return true;
	}

	raw_spin_lock_irqsave(&class->lock, flags);
	if (class->depot[bin].nr)
		depot_get(class, bin, loaded);
	else
		bundle_fill(class, bin, loaded);
	raw_spin_unlock_irqrestore(&class->lock, flags);

	return loaded->nr;
}

/* Takes a block that the CPU has at hand, or with @refill gets some. */
static __always_inline struct xen_aperture_block
cache_take(unsigned int index, unsigned int bin, bool refill)
{
	struct xen_aperture_block block = {};
	struct xen_aperture_cache *cache;

	preempt_disable();
	cache = &this_cpu_ptr(xen_caches)[index];
	if (likely(cache_try_own(cache))) {
		if (likely(cache->loaded[bin].nr) ||
		    (refill && cache_refill(&xen_classes[index], cache, bin)))
			block = bundle_pop(&cache->loaded[bin]);
		cache_disown(cache);
	}
	preempt_enable();

	return block;
}

/* The loaded bundle is full: makes room for more. The caller owns the cache. */
static void cache_spill(struct xen_aperture_class *class,
			struct xen_aperture_cache *cache, unsigned int bin)
{
	unsigned long flags;

	if (cache->spare[bin].nr) {
		raw_spin_lock_irqsave(&class->lock, flags);
		depot_put(class, bin, &cache->spare[bin]);
		raw_spin_unlock_irqrestore(&class->lock, flags);
	}
	swap(cache->loaded[bin], cache->spare[bin]);
}

/* Keeps a block; @max are in a full bundle. Fails when the cache is owned. */
static __always_inline bool cache_put(struct xen_aperture_chunk *chunk,
				      u32 mslot, struct xen_aperture_slot *s,
				      u32 max)
{
	struct xen_aperture_cache *cache;
	unsigned int bin = s->bin;
	bool owned;

	preempt_disable();
	cache = &this_cpu_ptr(xen_caches)[chunk->index];
	owned = cache_try_own(cache);
	if (likely(owned)) {
		if (unlikely(cache->loaded[bin].nr >= max))
			cache_spill(chunk->class, cache, bin);
		bundle_push(&cache->loaded[bin], mslot, s);
		cache_disown(cache);
	}
	preempt_enable();

	return owned;
}

static bool cache_is_empty(const struct xen_aperture_cache *cache)
{
	unsigned int bin;

	for (bin = 0; bin < XEN_NR_BINS; bin++)
		if (READ_ONCE(cache->loaded[bin].nr) ||
		    READ_ONCE(cache->spare[bin].nr))
			return false;
	return true;
}

/*
 * Returns what a CPU's cache holds. Another CPU that is at it is waited for, but
 * not for ever; this one's may be owned by what has been interrupted. What stays
 * there is little.
 */
static void drain_cache(unsigned int index, int cpu)
{
	struct xen_aperture_cache *cache = &per_cpu(xen_caches, cpu)[index];
	struct xen_aperture_class *class = &xen_classes[index];
	unsigned int tries, bin;
	unsigned long flags;

	if (cache_is_empty(cache))
		return;

	local_irq_save(flags);
	tries = cpu == smp_processor_id() ? 1 : XEN_DRAIN_TRIES;
	while (!cache_try_own(cache)) {
		if (!--tries)
			goto out;
		cpu_relax();
	}
	raw_spin_lock(&class->lock);
	for (bin = 0; bin < XEN_NR_BINS; bin++) {
		bundle_free(&cache->loaded[bin]);
		bundle_free(&cache->spare[bin]);
	}
	raw_spin_unlock(&class->lock);
	cache_disown(cache);
out:
	local_irq_restore(flags);
}

static void drain_depot(struct xen_aperture_class *class)
{
	struct xen_aperture_bundle bundle;
	unsigned long flags;
	unsigned int bin;

	raw_spin_lock_irqsave(&class->lock, flags);
	for (bin = 0; bin < XEN_NR_BINS; bin++)
		while (class->depot[bin].nr) {
			depot_get(class, bin, &bundle);
			bundle_free(&bundle);
		}
	raw_spin_unlock_irqrestore(&class->lock, flags);
}

/* All that is cached of these classes goes back to the buddies, of every CPU. */
static void drain_all(unsigned int classes, unsigned int lowest)
{
	unsigned int i;
	int cpu;

	for (i = lowest; i < classes; i++) {
		if (!READ_ONCE(xen_classes[i].total))
			continue;
		for_each_possible_cpu(cpu)
			drain_cache(i, cpu);
		drain_depot(&xen_classes[i]);
	}
}

/* How much CPUs and depot may keep, after chunks have come or gone. */
static void size_bundles(struct xen_aperture_class *class)
{
	u32 share = class->total / XEN_CACHED_SHARE / num_possible_cpus() /
		    (2 * XEN_NR_BINS);
	unsigned int bin;

	for (bin = 0; bin < XEN_NR_BINS; bin++) {
		u32 nr = xen_bin_slots[bin];
		u32 blocks = min_t(u32, share, XEN_BUNDLE_SLOTS) / nr;

		if (!blocks && nr <= share)
			blocks = 1;
		WRITE_ONCE(class->bundle[bin], blocks);
	}

	class->depot_max = min_t(u32, XEN_DEPOT_BUNDLES,
				 class->total / XEN_DEPOT_SHARE /
				 (XEN_NR_BINS * XEN_BUNDLE_SLOTS));
}

/* Blocks */

static struct xen_aperture_block
alloc_uncached(struct xen_aperture_class *class, u32 nr)
{
	struct xen_aperture_block block = {};
	unsigned long flags;
	u32 mslot;

	raw_spin_lock_irqsave(&class->lock, flags);
	mslot = take_slots(class, nr);
	if (mslot != XEN_NO_SLOT) {
		block = block_at(mslot);
		block.slot->bin = XEN_NO_BIN;
		block.slot->nr = nr;
	}
	raw_spin_unlock_irqrestore(&class->lock, flags);

	return block;
}

/*
 * Takes @nr slots from the widest class that has them: of the @classes that the
 * device may use those from @lowest on.
 */
static struct xen_aperture_block alloc_from(unsigned int classes,
					    unsigned int lowest, u32 nr)
{
	struct xen_aperture_block block = {};
	unsigned int bin = bin_of(nr), i = classes;

	while (i-- > lowest) {
		struct xen_aperture_class *class = &xen_classes[i];

		if (!READ_ONCE(class->total))
			continue;

		if (bin != XEN_NO_BIN && READ_ONCE(class->bundle[bin]))
			block = cache_take(i, bin, true);
		if (!block.slot)
			block = alloc_uncached(class, nr);
		if (block.slot)
			break;
	}

	return block;
}

static void free_mapping(struct xen_aperture_chunk *chunk, u32 mslot,
			 struct xen_aperture_slot *s)
{
	unsigned long flags;

	if (likely(s->bin != XEN_NO_BIN)) {
		u32 max = READ_ONCE(chunk->class->bundle[s->bin]);

		if (likely(max) && likely(cache_put(chunk, mslot, s, max)))
			return;
		s->nr = xen_bin_slots[s->bin];
	}

	raw_spin_lock_irqsave(&chunk->class->lock, flags);
	s->state = XEN_SLOT_INNER;
	free_slots(chunk, mslot, s->nr);
	raw_spin_unlock_irqrestore(&chunk->class->lock, flags);
}

/*
 * The first slot of the mapping that a bus address lies in. Blocks are aligned,
 * so it is that address's slot with some low bits cleared; all slots passed on
 * the way are inner ones of the same mapping, so no lock is needed.
 */
static struct xen_aperture_slot *
find_mapping(const struct xen_aperture_chunk *chunk, dma_addr_t bus)
{
	u32 mslot = bus >> XEN_SLOT_SHIFT;
	struct xen_aperture_slot *s;
	size_t pos;

	for (;;) {
		s = &chunk->slot[mslot - chunk->first];
		if (s->state == XEN_SLOT_MAPPED)
			break;
		if (mslot == chunk->first)
			return NULL;
		mslot &= mslot - 1;
		if (mslot < chunk->first)
			return NULL;
	}

	pos = bus - ((dma_addr_t)mslot << XEN_SLOT_SHIFT);
	if (pos < s->offset || pos - s->offset >= s->size)
		return NULL;

	return s;
}

static u32 mslot_of(const struct xen_aperture_chunk *chunk,
		    const struct xen_aperture_slot *s)
{
	return chunk->first + (s - chunk->slot);
}

/* The mapping that begins at a bus address, and its first slot's number. */
static inline struct xen_aperture_slot *
mapping_at(const struct xen_aperture_chunk *chunk, dma_addr_t bus, u32 *mslot)
{
	struct xen_aperture_slot *s;

	*mslot = bus >> XEN_SLOT_SHIFT;
	s = &chunk->slot[*mslot - chunk->first];
	if (likely(s->state == XEN_SLOT_MAPPED &&
		   s->offset == (bus & (XEN_SLOT_SIZE - 1))))
		return s;

	s = find_mapping(chunk, bus);
	if (!s)
		return NULL;
	*mslot = mslot_of(chunk, s);
	if (bus != ((dma_addr_t)*mslot << XEN_SLOT_SHIFT) + s->offset)
		return NULL;

	return s;
}

static void *vaddr_of(const struct xen_aperture_chunk *chunk, u32 mslot)
{
	return chunk->vaddr + ((size_t)(mslot - chunk->first) << XEN_SLOT_SHIFT);
}

/* Copies */

/* Moves the bytes of a buffer that may lie in high memory. */
static void copy_phys(phys_addr_t phys, void *bounce, size_t size,
		      bool to_bounce)
{
	while (size) {
		struct page *page = pfn_to_page(PFN_DOWN(phys));
		size_t n = size;
		void *buf;

		if (PageHighMem(page)) {
			n = min_t(size_t, n, PAGE_SIZE - offset_in_page(phys));
			buf = kmap_local_page(page) + offset_in_page(phys);
		} else {
			buf = phys_to_virt(phys);
		}

		if (to_bounce)
			memcpy(bounce, buf, n);
		else
			memcpy(buf, bounce, n);

		if (PageHighMem(page))
			kunmap_local(buf);
		phys += n;
		bounce += n;
		size -= n;
	}
}

/* The same for @size bytes of a mapped list, from the @skip-th one on. */
static void copy_list(const struct xen_aperture_slot *s, size_t skip,
		      void *bounce, size_t size, bool to_bounce)
{
	const struct xen_aperture_slot *buffer, *last = s + s->buffers;

	for (buffer = s + 1; buffer <= last && size; buffer++) {
		size_t n;

		if (skip >= buffer->size) {
			skip -= buffer->size;
			continue;
		}

		n = min_t(size_t, buffer->size - skip, size);
		copy_phys(buffer->phys + skip, bounce, n, to_bounce);
		skip = 0;
		bounce += n;
		size -= n;
	}
}

/* A part of a mapping, one buffer or a list, from the @skip-th byte on. */
static void copy_part(const struct xen_aperture_slot *s, size_t skip,
		      void *bounce, size_t size, bool to_bounce)
{
	if (unlikely(s->buffers))
		copy_list(s, skip, bounce, size, to_bounce);
	else
		copy_phys(s->phys + skip, bounce, size, to_bounce);
}

/*
 * Copies the source in, and clears what the device could see of earlier
 * mappings: what lies before it, and behind it up to the end of the block or to
 * where the block is known to be zero.
 */
static void copy_in(struct xen_aperture_slot *s, void *block)
{
	size_t end = s->offset + s->size, dirty;

	if (unlikely(s->offset))
		memset(block, 0, s->offset);

	copy_part(s, 0, block + s->offset, s->size, true);

	if (likely(s->bin != XEN_NO_BIN)) {
		dirty = s->dirty;
		s->dirty = end;
	} else {
		dirty = (size_t)s->nr << XEN_SLOT_SHIFT;
	}
	if (unlikely(dirty > end))
		memset(block + end, 0, dirty - end);
}

/* Growth */

/* The largest block of an idle aperture in these classes. Bytes. */
static size_t largest_block(unsigned int classes, unsigned int lowest)
{
	size_t largest = 0;

	while (classes-- > lowest)
		largest = max(largest, READ_ONCE(xen_classes[classes].largest));
	return largest;
}

/* The limit is on growth: a device's own chunk may go beyond it. */
static bool reserve_bytes(size_t size, enum xen_chunk_origin origin)
{
	if (atomic_long_add_return(size, &xen_aperture_bytes) <=
	    aperture_limit() || origin != XEN_CHUNK_GROWN)
		return true;

	atomic_long_sub(size, &xen_aperture_bytes);
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

static void empty_buddy(struct xen_aperture_buddy *buddy)
{
	unsigned int order;

	buddy->orders = 0;
	for (order = 0; order < XEN_SLOT_ORDERS; order++)
		buddy->free[order] = XEN_NO_SLOT;
}

static int __ref init_table(void)
{
	u64 covered = BIT_ULL(XEN_WIDEST_BITS);
	unsigned long granules;
	unsigned int i;

	if (xen_aperture_table)
		return 0;

	if (!XEN_DMA_EXCHANGES)
		covered = min(covered - 1, xen_required_dma_mask()) + 1;
	granules = covered >> XEN_APERTURE_GRANULE_SHIFT;

	xen_aperture_table = meta_alloc(granules * sizeof(*xen_aperture_table),
					GFP_KERNEL);
	if (!xen_aperture_table)
		return -ENOMEM;

	for (i = 0; i < XEN_NR_CLASSES; i++) {
		struct xen_aperture_class *class = &xen_classes[i];

		raw_spin_lock_init(&class->lock);
		INIT_LIST_HEAD(&class->chunks);
		empty_buddy(&class->buddy[0]);
		empty_buddy(&class->buddy[1]);
	}
	xen_aperture_granules = granules;

	return 0;
}

static void set_table(const struct xen_aperture_chunk *chunk,
		      struct xen_aperture_chunk *value)
{
	dma_addr_t bus;

	for (bus = chunk->bus; bus < chunk->bus + chunk_size(chunk);
	     bus += BIT(XEN_APERTURE_GRANULE_SHIFT))
		WRITE_ONCE(xen_aperture_table[bus >> XEN_APERTURE_GRANULE_SHIFT],
			   value);
}

/* The widest class with chunks; under a class's lock. */
static void set_preferred(void)
{
	unsigned int classes, index = 0;

	raw_spin_lock(&xen_preferred_lock);
	for (classes = 1; classes <= XEN_NR_CLASSES; classes++) {
		if (READ_ONCE(xen_classes[classes - 1].total))
			index = classes - 1;
		WRITE_ONCE(xen_preferred[classes], index);
	}
	raw_spin_unlock(&xen_preferred_lock);
}

/* The class's figures after its list of chunks has changed; under its lock. */
static void class_changed(struct xen_aperture_class *class)
{
	struct xen_aperture_chunk *chunk;
	size_t largest = 0;

	list_for_each_entry(chunk, &class->chunks, list)
		if (chunk->origin != XEN_CHUNK_GROWN)
			largest = max(largest,
				      rounddown_pow_of_two(chunk_size(chunk)));
	WRITE_ONCE(class->largest, largest);
	size_bundles(class);
	set_preferred();
}

static void insert_chunk(struct xen_aperture_chunk *chunk)
{
	struct xen_aperture_class *class = chunk->class;
	struct list_head *below;
	unsigned long flags;

	raw_spin_lock_irqsave(&class->lock, flags);
	list_for_each(below, &class->chunks)
		if (list_entry(below, struct xen_aperture_chunk, list)->bus <
		    chunk->bus)
			break;
	list_add_tail(&chunk->list, below);
	set_table(chunk, chunk);
	WRITE_ONCE(class->total, class->total + chunk->nr_slots);
	free_slots(chunk, chunk->first, chunk->nr_slots);
	class_changed(class);
	raw_spin_unlock_irqrestore(&class->lock, flags);
}

/*
 * Makes a chunk of an extent, aligned to at least a granule on the bus. What a
 * device may see of it is cleared when it is first mapped.
 */
static int add_chunk(const struct xen_aperture_chunk *extent, size_t size,
		     gfp_t gfp)
{
	unsigned int bits = fls64(extent->bus + size - 1);
	u32 nr_slots = size >> XEN_SLOT_SHIFT;
	struct xen_aperture_chunk *chunk;

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
	chunk->class = &xen_classes[chunk->index];
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

/*
 * Adds one chunk of 2^@order pages below @bits, made of pages of the domain.
 * Returns 0, -ENOSPC at the limit, -ENODEV without an aperture, or why there are
 * no pages or extents.
 */
static int grow(unsigned int bits, unsigned int order,
		enum xen_chunk_origin origin, gfp_t gfp)
{
	struct xen_aperture_chunk extent = { .origin = origin };
	size_t size = PAGE_SIZE << order;
	struct page *page;
	phys_addr_t phys;
	int rc;

	/* Without an aperture from early boot (swiotlb=noforce) there is none. */
	if (!xen_aperture_table)
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
		rc = add_chunk(&extent, size, gfp);
	if (!rc)
		return 0;

	if (extent.exchanged)
		xen_give_back_contiguous(phys, order, gfp);
free:
	free_extent(page, order);
unreserve:
	atomic_long_sub(size, &xen_aperture_bytes);
	return rc;
}

/* The same, and less than 2^@order pages where that can't be had. */
static int grow_some(unsigned int bits, unsigned int order,
		     enum xen_chunk_origin origin, gfp_t gfp)
{
	int rc = grow(bits, order, origin, gfp);

	while (rc < 0 && order > XEN_CHUNK_MIN_ORDER)
		rc = grow(bits, --order, origin, gfp);
	return rc;
}

/* A mapping found no room: adds a chunk at once, if that may help. */
static bool grow_now(unsigned int classes, u32 nr)
{
	unsigned int need = get_order((size_t)nr << XEN_SLOT_SHIFT);
	unsigned int order = max_t(unsigned int, need, XEN_GROW_ATOMIC_ORDER);
	int rc;

	if (need > XEN_GROW_ORDER || growth_has_failed(classes))
		return false;
	/* On PREEMPT_RT the page allocator may sleep for its locks. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) && !preemptible())
		return false;

	for (;; order--) {
		rc = grow(class_bits(classes - 1), order, XEN_CHUNK_GROWN,
			  GFP_ATOMIC);
		if (!rc) {
			schedule_delayed_work(&xen_shrink_work,
					      xen_aperture_idle * HZ);
			return true;
		}
		if (order <= max_t(unsigned int, need, XEN_CHUNK_MIN_ORDER))
			break;
	}

	/* That a large one can't be had says nothing of small ones. */
	if (order <= XEN_CHUNK_MIN_ORDER)
		note_failure(classes, rc);
	return false;
}

/* The worker may not wait for I/O, which may wait for room in the aperture. */
#define XEN_GROW_GFP	(GFP_NOIO | __GFP_NORETRY)

static void grow_wanted(void)
{
	unsigned int classes;
	int rc;

	for (classes = 1; classes <= XEN_NR_CLASSES; classes++) {
		if (!test_and_clear_bit(classes, &xen_wanted))
			continue;
		while (is_low(classes, XEN_ENOUGH_SHARE, 0)) {
			rc = grow_some(class_bits(classes - 1), XEN_GROW_ORDER,
				       XEN_CHUNK_GROWN, XEN_GROW_GFP);
			if (rc) {
				note_failure(classes, rc);
				break;
			}
		}
	}
}

static void xen_grow(struct work_struct *work)
{
	grow_wanted();
	schedule_delayed_work(&xen_shrink_work, xen_aperture_idle * HZ);
}

/* Takes an unused chunk out of its class; under the class's lock. */
static void remove_chunk(struct xen_aperture_chunk *chunk)
{
	struct xen_aperture_class *class = chunk->class;
	u32 i = 0;

	while (i < chunk->nr_slots) {
		struct xen_aperture_slot *s = &chunk->slot[i];

		i += BIT(s->order);
		free_list_del(buddy_of(chunk), s);
	}
	list_del(&chunk->list);
	set_table(chunk, NULL);
	chunk->free = 0;
	class->free -= chunk->nr_slots;
	WRITE_ONCE(class->total, class->total - chunk->nr_slots);
	class_changed(class);
}

/*
 * Returns the memory of a removed chunk to the hypervisor and to the kernel, or
 * fails and leaves it as it was.
 */
static int release_chunk(struct xen_aperture_chunk *chunk)
{
	unsigned int order = get_order(chunk_size(chunk));
	int rc;

	if (chunk->exchanged) {
		rc = xen_give_back_contiguous(virt_to_phys(chunk->vaddr), order,
					      XEN_GROW_GFP);
		if (rc < 0)
			return rc;
	}

	free_extent(virt_to_page(chunk->vaddr), order);
	atomic_long_sub(chunk_size(chunk), &xen_aperture_bytes);
	kvfree(chunk->slot);
	kvfree(chunk);
	return 0;
}

/* A chunk that has been unused for long and isn't needed soon; or NULL. */
static struct xen_aperture_chunk *take_idle(unsigned int index, bool *grown)
{
	struct xen_aperture_class *class = &xen_classes[index];
	struct xen_aperture_chunk *chunk, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&class->lock, flags);
	list_for_each_entry(chunk, &class->chunks, list) {
		if (chunk->origin != XEN_CHUNK_GROWN)
			continue;
		*grown = true;
		if (chunk->free == chunk->nr_slots &&
		    time_after_eq(jiffies, chunk->idle_since +
				  xen_aperture_idle * HZ) &&
		    !is_low(XEN_NR_CLASSES, XEN_ENOUGH_SHARE,
			    index ? chunk->nr_slots : 0)) {
			found = chunk;
			remove_chunk(chunk);
			break;
		}
	}
	raw_spin_unlock_irqrestore(&class->lock, flags);

	return found;
}

/* Gives idle chunks back. Returns true when there are more that may go later. */
static bool shrink_idle(void)
{
	struct xen_aperture_chunk *chunk;
	bool grown = false;
	unsigned int i;

	drain_all(XEN_NR_CLASSES, 0);
	for (i = 0; i < XEN_NR_CLASSES; i++) {
		if (!READ_ONCE(xen_classes[i].total))
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

static void xen_shrink(struct work_struct *work)
{
	if (shrink_idle())
		schedule_delayed_work(&xen_shrink_work,
				      max(xen_aperture_idle, 1U) * HZ);
}

/* Messages */

static void report_failure(struct device *dev, size_t size, size_t needed)
{
	u64 mask = device_limit(dev);
	unsigned int classes = classes_within(mask);
	size_t largest = largest_block(classes, 0);
	u32 free = 0, total = 0, i;

	if (!size) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: driver maps 0 bytes\n");
		return;
	}

	if (!largest) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: can't bounce %zu bytes: no aperture below mask %#llx; %s\n",
				    size, mask, XEN_DMA_EXCHANGES ?
				    "check swiotlb= and the memory that dom0_mem= leaves to Xen" :
				    "the domain has no free memory there");
		return;
	}

	if (needed > largest) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: mapping of %zu bytes is too large to bounce: at most %zu bytes below mask %#llx; a driver asks dma_max_mapping_size()\n",
				    size, largest, mask);
		return;
	}

	for (i = 0; i < classes; i++) {
		total += READ_ONCE(xen_classes[i].total);
		free += READ_ONCE(xen_classes[i].free);
	}
	dev_err_ratelimited(dev,
			    "xen_swiotlb: aperture has no room for %zu bytes below mask %#llx: %u of %u slots in use; boot with a larger swiotlb= or swiotlb_xen.max=\n",
			    size, mask, total - min(free, total), total);
}

/* What other files use */

/* From what depot and buddy have, then from what all CPUs keep. */
static struct xen_aperture_block alloc_drained(unsigned int classes,
					       unsigned int lowest, u32 nr)
{
	struct xen_aperture_block block = alloc_from(classes, lowest, nr);

	if (block.slot)
		return block;

	drain_all(classes, lowest);
	return alloc_from(classes, lowest, nr);
}

/*
 * The CPU has no block at hand: takes one from the aperture as it is, from new
 * memory, from the reserve.
 */
static noinline struct xen_aperture_block alloc_slow(unsigned int classes,
						     u32 nr)
{
	unsigned int lowest = classes > 1;
	struct xen_aperture_block block;

	block = alloc_drained(classes, lowest, nr);
	if (!block.slot && grow_now(classes, nr))
		block = alloc_from(classes, lowest, nr);
	if (!block.slot && lowest)
		block = alloc_drained(lowest, 0, nr);
	if (block.slot)
		look_for_growth(classes);

	return block;
}

/* What a mapping needs of the aperture. */
struct xen_aperture_request {
	unsigned int classes;	/* that the device may use, from the narrowest on */
	u32 nr;			/* slots, 0 where nothing can help */
	size_t offset;		/* of the first byte in the first of them */
};

static __always_inline struct xen_aperture_request
request_for(struct device *dev, phys_addr_t phys, size_t size)
{
	size_t align_mask = dma_get_min_align_mask(dev);
	struct xen_aperture_request req = {
		.classes = classes_within(device_limit(dev)),
		.offset = phys & align_mask,
	};

	if (likely(req.classes && size - 1 < SZ_1G))
		req.nr = DIV_ROUND_UP(max(req.offset + size, align_mask + 1),
				      XEN_SLOT_SIZE);
	return req;
}

/* A block that the CPU has at hand; without @slot there is none. */
static __always_inline struct xen_aperture_block
take_at_hand(const struct xen_aperture_request *req)
{
	unsigned int bin = bin_of(req->nr);

	if (unlikely(bin == XEN_NO_BIN))
		return (struct xen_aperture_block) {};
	return cache_take(READ_ONCE(xen_preferred[req->classes]), bin, false);
}

/* Makes a mapping of a block whose buffers are known; returns its bus address. */
static __always_inline dma_addr_t begin_mapping(struct xen_aperture_block block,
						size_t offset, size_t size)
{
	struct xen_aperture_slot *s = block.slot;

	s->size = size;
	s->offset = offset;
	WRITE_ONCE(s->state, XEN_SLOT_MAPPED);
	copy_in(s, vaddr_of(block.chunk, block.mslot));

	return ((dma_addr_t)block.mslot << XEN_SLOT_SHIFT) + offset;
}

/**
 * xen_aperture_map() - bounce a buffer
 * @dev:	device that will use it
 * @phys:	pseudo-physical address of the first byte
 * @size:	bytes
 * @attrs:	DMA_ATTR_NO_WARN is honoured
 *
 * The bytes are copied in for every direction: a device that writes less than
 * it might leaves the caller's bytes as they were.
 *
 * Context: Any.
 * Return: Bus address within the device's mask that keeps the bits of @phys
 * in dma_get_min_align_mask(), or DMA_MAPPING_ERROR.
 */
dma_addr_t xen_aperture_map(struct device *dev, phys_addr_t phys, size_t size,
			    unsigned long attrs)
{
	const struct xen_aperture_request req = request_for(dev, phys, size);
	struct xen_aperture_block block = {};

	if (likely(req.nr)) {
		block = take_at_hand(&req);
		if (unlikely(!block.slot))
			block = alloc_slow(req.classes, req.nr);
	}
	if (unlikely(!block.slot)) {
		if (!(attrs & DMA_ATTR_NO_WARN))
			report_failure(dev, size,
				       max(size, (size_t)req.nr << XEN_SLOT_SHIFT));
		return DMA_MAPPING_ERROR;
	}

	block.slot->phys = phys;
	block.slot->buffers = 0;
	return begin_mapping(block, req.offset, size);
}

/**
 * xen_aperture_map_list() - bounce several buffers in one block
 * @dev:	device that will use them
 * @sg:		entry of a list that names the first, and is not empty
 * @nr:		how many, up to XEN_APERTURE_MAX_BUFFERS; empty entries between
 *		them don't count
 * @size:	bytes of all
 *
 * One block for many is an opportunity: only what is at hand is taken, without a
 * message, and whoever finds none has to map less at a time.
 *
 * Context: Any.
 * Return: See xen_aperture_map(), the bits are those of the first buffer.
 */
dma_addr_t xen_aperture_map_list(struct device *dev, struct scatterlist *sg,
				 unsigned int nr, size_t size)
{
	struct xen_aperture_request req = request_for(dev, sg_phys(sg), size);
	struct xen_aperture_block block;
	struct xen_aperture_slot *buffer;

	if (unlikely(!req.nr))
		return DMA_MAPPING_ERROR;

	/* The first slot's descriptor is the mapping's. */
	req.nr = max(req.nr, nr + 1);
	block = take_at_hand(&req);
	if (!block.slot)
		block = alloc_from(req.classes, req.classes > 1, req.nr);
	if (!block.slot)
		return DMA_MAPPING_ERROR;

	block.slot->buffers = nr;
	for (buffer = block.slot + 1; ; sg = sg_next(sg)) {
		if (unlikely(!sg->length))
			continue;
		buffer->phys = sg_phys(sg);
		buffer->size = sg->length;
		buffer++;
		if (!--nr)
			break;
	}
	look_for_growth(req.classes);
	return begin_mapping(block, req.offset, size);
}

/**
 * xen_aperture_unmap() - end a mapping
 * @dev:	device that used it
 * @chunk:	what xen_aperture_find() says for @bus
 * @bus:	what xen_aperture_map() or xen_aperture_map_list() returned
 * @dir:	what the device may have written is copied back
 * @attrs:	DMA_ATTR_SKIP_CPU_SYNC: nothing is copied back
 *
 * The mapping is what keeps @chunk in place until now.
 *
 * Context: Any.
 */
void xen_aperture_unmap(struct device *dev, struct xen_aperture_chunk *chunk,
			dma_addr_t bus, enum dma_data_direction dir,
			unsigned long attrs)
{
	struct xen_aperture_slot *s;
	u32 mslot;

	s = mapping_at(chunk, bus, &mslot);
	if (unlikely(!s)) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: driver unmaps %pad, where no mapping begins\n",
				    &bus);
		return;
	}

	if (dir != DMA_TO_DEVICE && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		copy_part(s, 0, vaddr_of(chunk, mslot) + s->offset, s->size,
			  false);

	free_mapping(chunk, mslot, s);
}

/**
 * xen_aperture_sync() - copy a part of a mapping
 * @dev:	device that uses it
 * @chunk:	what xen_aperture_find() says for @bus
 * @bus:	first byte, anywhere in the mapping
 * @size:	bytes
 * @for_cpu:	from the aperture to the caller's buffer, else the other way
 *
 * Context: Any.
 */
void xen_aperture_sync(struct device *dev, struct xen_aperture_chunk *chunk,
		       dma_addr_t bus, size_t size, bool for_cpu)
{
	struct xen_aperture_slot *s;
	size_t offset = 0;
	u32 mslot = 0;

	if (!size)
		return;

	s = find_mapping(chunk, bus);
	if (s) {
		mslot = mslot_of(chunk, s);
		offset = bus - ((dma_addr_t)mslot << XEN_SLOT_SHIFT) -
			 s->offset;
	}
	if (unlikely(!s || size > s->size - offset)) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: driver syncs %zu bytes at %pad, not all of them mapped\n",
				    size, &bus);
		return;
	}

	copy_part(s, offset, vaddr_of(chunk, mslot) + s->offset + offset, size,
		  !for_cpu);
}

/**
 * xen_aperture_obtain() - see to it that a device can be bounced for
 * @dev:	device, for messages
 * @limit:	highest bus address that it will use
 *
 * Where no chunk lies within the limit, one is made, to stay. Xen may have none
 * so low: then the device has to be refused.
 *
 * Context: Process, may sleep.
 * Return: 0, or -ENOMEM, with a message.
 */
int xen_aperture_obtain(struct device *dev, u64 limit)
{
	unsigned int classes = classes_within(limit);
	const char *why;
	int rc;

	/* The reserve is the narrowest devices'; others get some of their own. */
	mutex_lock(&xen_obtain_mutex);
	rc = 0;
	if (classes && !largest_block(classes, classes > 1))
		rc = grow_some(class_bits(classes - 1), XEN_GROW_ORDER,
			       XEN_CHUNK_OBTAINED, GFP_KERNEL | __GFP_NORETRY);
	mutex_unlock(&xen_obtain_mutex);

	if (classes && (!rc || largest_block(classes, 0)))
		return 0;

	if (!classes)
		why = "too narrow for Xen to have memory for it";
	else if (rc == -ENODEV)
		why = "there is no aperture, see swiotlb=";
	else if (XEN_DMA_EXCHANGES)
		why = "no memory below it to bounce through, leave Xen some with dom0_mem=";
	else
		why = "the domain has no memory below it to bounce through";
	dev_warn(dev, "xen_swiotlb: mask %#llx is refused: %s\n", limit, why);
	return -ENOMEM;
}

/**
 * xen_aperture_max_mapping() - largest mapping that can be bounced
 * @dev:	device, for its masks
 *
 * Context: Any.
 * Return: Bytes that an idle aperture takes for any alignment of the buffer; 0
 * when the device can't be bounced for at all.
 */
size_t xen_aperture_max_mapping(struct device *dev)
{
	unsigned int classes = classes_within(device_limit(dev));
	size_t largest = largest_block(classes, 0);
	size_t slack = ALIGN(dma_get_min_align_mask(dev), XEN_SLOT_SIZE);

	return largest > slack ?
	       min_t(size_t, largest - slack, XEN_MAX_MAPPING) : 0;
}

/**
 * xen_aperture_show() - list the chunks
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_aperture_show(struct seq_file *s)
{
	unsigned int i = XEN_NR_CLASSES;

	seq_puts(s, "# bus-first bus-last slots used\n");
	while (xen_aperture_table && i--) {
		struct xen_aperture_class *class = &xen_classes[i];
		struct xen_aperture_chunk *chunk;
		unsigned long flags;

		raw_spin_lock_irqsave(&class->lock, flags);
		list_for_each_entry(chunk, &class->chunks, list)
			seq_printf(s, "%#llx %#llx %u %u\n", (u64)chunk->bus,
				   (u64)chunk_last(chunk), chunk->nr_slots,
				   chunk->nr_slots - chunk->free);
		raw_spin_unlock_irqrestore(&class->lock, flags);
	}
}

/* Early boot */

/* On ARM the command line is read before it is known whether Xen is there. */
static bool __init is_addressed(void)
{
	return !XEN_DMA_EXCHANGES || xen_pv_domain();
}

/* A size that swiotlb= gives counts more; the generic code sees to that. */
static int __init set_size(char *arg)
{
	unsigned long size;

	if (!is_addressed() ||
	    !xen_dma_read_size("size", arg, BIT(XEN_APERTURE_GRANULE_SHIFT),
			       SZ_2G, &size))
		return 0;
	if (XEN_DMA_EXCHANGES)
		swiotlb_adjust_size(size);
	else
		xen_setup_size = size;
	return 0;
}
early_param("swiotlb_xen.size", set_size);

static int __init set_max(char *arg)
{
	if (is_addressed())
		xen_dma_read_size("max", arg, 0, SZ_2G, &xen_aperture_max);
	return 0;
}
early_param("swiotlb_xen.max", set_max);

static int __init set_idle(char *arg)
{
	unsigned int idle;

	if (!is_addressed())
		return 0;
	if (!arg || kstrtouint(arg, 10, &idle) || idle > INT_MAX / HZ)
		pr_warn("swiotlb_xen.idle=%s: ignored, it takes seconds\n",
			arg ?: "");
	else
		xen_aperture_idle = idle;
	return 0;
}
early_param("swiotlb_xen.idle", set_idle);

/*
 * Says what the aperture consists of: @done bytes of a buffer of @size. No chunk
 * comes or goes yet, so the lists need no lock.
 */
static void report_aperture(size_t done, size_t size)
{
	size_t wanted = swiotlb_size_or_default();
	struct xen_aperture_chunk *chunk;
	char all[12], largest[12];
	unsigned int chunks = 0, i;
	u64 highest = 0;

	string_get_size(wanted, 1, STRING_UNITS_2, all, sizeof(all));
	if (done < size)
		pr_warn("Xen has no more memory below 4 GiB for the aperture of %s; leave it some with dom0_mem=\n",
			all);
	else if (done < wanted && !slab_is_available())
		pr_warn("the domain has no memory for an aperture of %s; see swiotlb=\n",
			all);

	for (i = 0; i < XEN_NR_CLASSES; i++)
		list_for_each_entry(chunk, &xen_classes[i].chunks, list) {
			chunks++;
			highest = max_t(u64, highest, chunk_last(chunk));
		}
	string_get_size(done, 1, STRING_UNITS_2, all, sizeof(all));
	string_get_size(largest_block(XEN_NR_CLASSES, 0), 1, STRING_UNITS_2,
			largest, sizeof(largest));
	pr_info("aperture %s in %u chunks, largest %s, highest bus address %#llx\n",
		all, chunks, largest, highest);
}

#if XEN_DMA_EXCHANGES
/*
 * Makes chunks of @size bytes at @vaddr, below @address_bits, in the largest
 * extents that Xen has, one after the other. Returns the bytes that are in use.
 */
static size_t __ref add_extents(void *vaddr, size_t size,
				unsigned int address_bits)
{
	unsigned int order = XEN_CHUNK_MAX_ORDER;
	size_t done = 0;

	while (order >= XEN_CHUNK_MIN_ORDER) {
		struct xen_aperture_chunk extent = { .vaddr = vaddr + done };
		phys_addr_t phys = virt_to_phys(extent.vaddr);
		size_t bytes = PAGE_SIZE << order;
		int rc = -ENOMEM;

		if (bytes <= size - done)
			rc = xen_make_contiguous(phys, order, address_bits,
						 GFP_KERNEL, &extent.bus);
		if (rc < 0) {
			order--;
			continue;
		}
		if (add_chunk(&extent, bytes, GFP_KERNEL)) {
			if (!rc)
				xen_give_back_contiguous(phys, order,
							 GFP_KERNEL);
			break;
		}
		done += bytes;
	}

	atomic_long_add(done, &xen_aperture_bytes);
	return done;
}

/* What early boot could not use, from the page after the last chunk on. */
static void *xen_unused __initdata;
static size_t xen_unused_size __initdata;

static int __init free_unused(void)
{
	if (!xen_unused_size)
		return 0;

	kmemleak_free_part_phys(__pa(xen_unused), xen_unused_size);
	free_reserved_area(xen_unused, xen_unused + xen_unused_size, -1,
			   "unused part of the aperture");
	return 0;
}
core_initcall(free_unused);

static void __init keep_unused(void *vaddr, size_t size)
{
	xen_unused = vaddr;
	xen_unused_size = size;
}

/**
 * xen_swiotlb_fixup() - make the aperture from a buffer
 * @buf:	buffer that the generic code has allocated, as swiotlb= says
 * @nslabs:	its size in units of IO_TLB_SIZE bytes
 *
 * A small part comes from the machine's lowest memory, for devices that reach
 * no other, the rest from anywhere below 4 GiB. What Xen has is kept, be it
 * less than asked for; the generic pool over the same buffer serves no device
 * of a PV domain.
 *
 * Context: Early boot, one CPU; 6.1 also from a driver's probe.
 * Return: 0, or -ENOMEM when Xen has no suitable memory at all.
 */
int __ref xen_swiotlb_fixup(void *buf, unsigned long nslabs)
{
	size_t size = nslabs << IO_TLB_SHIFT;
	size_t done = 0;

	if (init_table())
		return -ENOMEM;

	if (size > 4 * XEN_NARROW_SIZE)
		done = add_extents(buf, XEN_NARROW_SIZE, XEN_NARROW_BITS);
	done += add_extents(buf + done, size - done, XEN_WIDEST_BITS);

	if (!done) {
		pr_err_once("Xen has no memory below 4 GiB for an aperture; leave it some with dom0_mem=\n");
		return -ENOMEM;
	}

	report_aperture(done, size);

	if (!slab_is_available())
		keep_unused(buf + done, size - done);
	return 0;
}
#else
/**
 * xen_aperture_setup() - make an aperture of the domain's own memory
 *
 * Where nothing can be exchanged. The lowest memory in the machine is taken, in
 * pieces as large as there are, from one range or from several.
 *
 * Context: Process, may sleep; before any device uses the aperture.
 */
void xen_aperture_setup(void)
{
	u64 share = (u64)totalram_pages() * PAGE_SIZE / XEN_SETUP_SHARE;
	size_t size = xen_setup_size ?:
		      min_t(u64, share, IO_TLB_DEFAULT_SIZE);
	unsigned int order = XEN_CHUNK_MAX_ORDER;
	size_t done = 0;

	if (init_table()) {
		pr_err("no memory for the aperture's table\n");
		return;
	}

	size = max_t(size_t, size, PAGE_SIZE << XEN_CHUNK_MIN_ORDER);
	while (order >= XEN_CHUNK_MIN_ORDER) {
		size_t bytes = PAGE_SIZE << order;

		if (bytes > size - done ||
		    grow(XEN_WIDEST_BITS, order, XEN_CHUNK_BOOT,
			 GFP_KERNEL | __GFP_NORETRY))
			order--;
		else
			done += bytes;
	}
	if (done)
		report_aperture(done, done);
	else
		pr_warn("no memory for an aperture of %zu bytes\n", size);
}
#endif

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* Slots in a depot and in the CPUs' bundles. */
static u64 cached_slots(unsigned int index)
{
	struct xen_aperture_class *class = &xen_classes[index];
	unsigned long flags;
	unsigned int bin;
	u64 slots = 0;
	int cpu;

	raw_spin_lock_irqsave(&class->lock, flags);
	for (bin = 0; bin < XEN_NR_BINS; bin++) {
		u32 left = class->depot[bin].nr, mslot = class->depot[bin].head;
		u32 blocks = 0;

		for (; left; left--, mslot = slot_at(mslot)->prev)
			blocks += slot_at(mslot)->size;

		for_each_possible_cpu(cpu) {
			struct xen_aperture_cache *cache =
				&per_cpu(xen_caches, cpu)[index];

			blocks += READ_ONCE(cache->loaded[bin].nr) +
				  READ_ONCE(cache->spare[bin].nr);
		}
		slots += (u64)blocks * xen_bin_slots[bin];
	}
	raw_spin_unlock_irqrestore(&class->lock, flags);

	return slots;
}

/* Bytes of these classes by their use, give or take what is under way. */
static struct xen_aperture_usage usage_of(unsigned int classes)
{
	struct xen_aperture_usage usage = {};

	while (classes--) {
		struct xen_aperture_class *class = &xen_classes[classes];

		if (!READ_ONCE(class->total))
			continue;
		usage.total += READ_ONCE(class->total);
		usage.free += READ_ONCE(class->free);
		usage.cached += cached_slots(classes);
	}

	usage.total <<= XEN_SLOT_SHIFT;
	usage.free <<= XEN_SLOT_SHIFT;
	usage.cached <<= XEN_SLOT_SHIFT;
	usage.used = usage.total - usage.free - usage.cached;
	return usage;
}

void xen_aperture_usage(struct xen_aperture_usage *usage)
{
	*usage = usage_of(XEN_NR_CLASSES);
}

void xen_aperture_flush_work(void)
{
	cancel_work_sync(&xen_grow_work);
	cancel_delayed_work_sync(&xen_shrink_work);
	grow_wanted();
	shrink_idle();
}

/* A leak that a test has found must not break the next test. */
static void forget_chunk(struct xen_aperture_chunk *chunk)
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

void xen_aperture_destroy(void)
{
	struct xen_aperture_chunk *chunk, *next;
	unsigned int i;

	cancel_work_sync(&xen_grow_work);
	cancel_delayed_work_sync(&xen_shrink_work);
	drain_all(XEN_NR_CLASSES, 0);
	for (i = 0; xen_aperture_table && i < XEN_NR_CLASSES; i++) {
		struct xen_aperture_class *class = &xen_classes[i];

		list_for_each_entry_safe(chunk, next, &class->chunks, list)
			forget_chunk(chunk);
		empty_buddy(&class->buddy[0]);
		empty_buddy(&class->buddy[1]);
		class->total = 0;
		class->free = 0;
		class->largest = 0;
	}
	atomic_long_set(&xen_aperture_bytes, 0);
	xen_aperture_max = ULONG_MAX;
	xen_wanted = 0;
	for (i = 0; i <= XEN_NR_CLASSES; i++)
		xen_retry_at[i] = jiffies;
}
#endif
