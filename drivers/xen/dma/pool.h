/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool: low, machine-contiguous memory that is handed out in blocks.
 *
 * It consists of chunks, each one extent of the machine, found through a table
 * indexed by machine address. Where the domain's memory is in pieces that are smaller than
 * what an entry of the table stands for, chunks are as small as pages, and each page has an
 * entry in an xarray. A chunk is divided into slots of IO_TLB_SIZE bytes,
 * numbered by their machine address. Zones are parts of the machine that devices of
 * the common widths reach.
 *
 *   pool-slots.c	binary buddies hand out a zone's slots
 *   pool-chunks.c	chunks, the table that finds them, and their zones
 *   pool-cpu.c		each CPU keeps magazines of blocks of common sizes
 *   pool-grow.c	chunks come when room runs low, and go when they are idle
 *   pool-failures.c	what could not grow is not tried again at once
 *   pool-boot.c	the first chunks
 *   pool-pieces.c	chunks that are too small for the table
 *   pool-resume.c	chunks whose domain has moved
 *   pool-usage.c	what all slots are used for
 *
 * A slot has a descriptor. In the first one of a free block it links a list; while
 * a block is used it is its user's, but for the fields that say how large it is.
 */
#ifndef __XEN_DMA_POOL_H
#define __XEN_DMA_POOL_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/dma-mapping.h>
#include <linux/jump_label.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/swiotlb.h>
#include <linux/types.h>

#include <xen/swiotlb-xen.h>

#include "contig.h"

/*
 * Chunks are at least this large, and aligned to it, so that one entry of the
 * table per granule names the chunk. Bytes. Where memory is exchanged it comes from
 * below 4 GiB; where it is found it may lie higher, and the table is that much larger.
 */
#define XEN_POOL_GRANULE_SHIFT	(XEN_CONTIG_BITS > 32 ? 21 : 18)

/*
 * Where memory is found, chunks may be smaller, down to a page, if need be: so many of them
 * at most, for they are in lists that are walked under a lock. (The tests under UML have
 * them too.)
 */
#define XEN_POOL_PIECES		(!IS_ENABLED(CONFIG_XEN_PV))
#define XEN_MAX_PIECES		1024U

#define XEN_SLOT_SHIFT		IO_TLB_SHIFT
#define XEN_SLOT_SIZE		BIT(XEN_SLOT_SHIFT)
#define XEN_GRANULE_SLOTS_SHIFT	(XEN_POOL_GRANULE_SHIFT - XEN_SLOT_SHIFT)
#define XEN_NO_SLOT		U32_MAX

/* 1 GiB, the largest extent that Xen gives to a control domain by default. */
#define XEN_CHUNK_MAX_ORDER	18
#define XEN_CHUNK_MIN_ORDER	(XEN_POOL_GRANULE_SHIFT - PAGE_SHIFT)
#define XEN_SLOT_ORDERS		(XEN_CHUNK_MAX_ORDER + PAGE_SHIFT - \
				 XEN_SLOT_SHIFT + 1)

/*
 * Zones by the width of their addresses, in bits: a reserve for devices that can use
 * nothing else, what devices of less than 32 bits reach at best, the rest below 4 GiB
 * and, where memory is found, what lies higher.
 */
#define XEN_RESERVE_BITS	24
#define XEN_RESERVE_SIZE	SZ_4M
#define XEN_WIDEST_BITS		XEN_CONTIG_BITS
#define XEN_NR_ZONES		(XEN_CONTIG_BITS > 32 ? 4 : 3)

/*
 * Sizes that CPUs keep blocks of, in slots: each up to 16 KiB, for packets and
 * pages, then four for each doubling up to 256 KiB, for disks. A block is at most a
 * quarter larger than what it is used for.
 */
#define XEN_EXACT_BINS		8
#define XEN_NR_BINS		(XEN_EXACT_BINS + 4 * 4)
#define XEN_MAX_BIN_SLOTS	128
#define XEN_NO_BIN		U8_MAX

extern const u8 xen_pool_bin_slots[XEN_NR_BINS];

enum xen_slot_state {
	XEN_SLOT_INNER,		/* not the first of anything */
	XEN_SLOT_FREE,		/* first of a free block */
	XEN_SLOT_CACHED,	/* first of a block in a magazine */
	XEN_SLOT_MAPPED,	/* first of a mapping */
	XEN_SLOT_COHERENT,	/* first of an arena of coherent memory */
};

/**
 * struct xen_pool_slot - what a slot is used for
 * @next:	free, cached: next in the list, or XEN_NO_SLOT
 * @prev:	free: previous in the list; cached, first of a magazine in the
 *		depot: the next magazine; or XEN_NO_SLOT
 * @phys:	mapping of one buffer, or a buffer of a list: its pseudo-physical
 *		address
 * @size:	mapping, or a buffer of a list: its bytes; cached, first of a
 *		magazine: its blocks
 * @offset:	mapping: bytes from the first slot to the first mapped byte
 * @dirty:	cached, or used with a @bin: bytes from the first slot on that may
 *		not be zero
 * @nr:		used without a @bin: its slots
 * @order:	free: log2 of its slots
 * @owner:	mapping: whose it is, see stats.h
 * @state:	which of these holds, &enum xen_slot_state
 * @bin:	cached, used: index of its size, or XEN_NO_BIN
 * @buffers:	mapping of a list: how many buffers, each in one of the following
 *		slots' descriptors; 0 for one buffer
 */
struct xen_pool_slot {
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
	union {
		u8 order;
		u8 owner;
	};
	u8 state;
	u8 bin;
	u8 buffers;
};

/* The generic driver's descriptor has as many. */
static_assert(sizeof(struct xen_pool_slot) <= 24);

/* An owner is a number below. */
#define XEN_NR_OWNERS		64

enum xen_chunk_origin {
	XEN_CHUNK_BOOT,		/* of early boot */
	XEN_CHUNK_GROWN,	/* added because room ran low, and may go again */
	XEN_CHUNK_OBTAINED,	/* made for devices of some width, and stays */
	XEN_CHUNK_ORIGINS,
};

struct seq_file;
struct xen_pool_zone;

/**
 * struct xen_pool_chunk - one machine-contiguous extent
 * @slot:	descriptors
 * @vaddr:	where the kernel sees it
 * @zone:	where it belongs
 * @bus:	machine address of the first byte
 * @first:	number of the first slot
 * @nr_slots:	slots
 * @index:	the zone's
 * @origin:	where its pages come from, &enum xen_chunk_origin
 * @exchanged:	its frames came from the hypervisor
 * @list:	in its zone, from the highest machine address down
 * @idle_since:	when the last block came back, in jiffies
 * @free:	slots in the buddy
 *
 * From @list on it changes, under the zone's lock, in a cache line of its own.
 */
struct xen_pool_chunk {
	struct xen_pool_slot *slot;
	void *vaddr;
	struct xen_pool_zone *zone;
	dma_addr_t bus;
	u32 first;
	u32 nr_slots;
	u8 index;
	u8 origin;
	bool exchanged;
	struct list_head list ____cacheline_aligned_in_smp;
	unsigned long idle_since;
	u32 free;
};

/**
 * struct xen_pool_buddy - free blocks of chunks of one origin
 * @first:	number of the lowest slot of these chunks
 * @orders:	bit n set: @free[n] is not empty
 * @free:	first free block of each order, or XEN_NO_SLOT
 */
struct xen_pool_buddy {
	u32 first;
	unsigned long orders;
	u32 free[XEN_SLOT_ORDERS];
};

/**
 * struct xen_magazine - a list of blocks of one size
 * @head:	the first, when there is any
 * @nr:		how many
 */
struct xen_magazine {
	u32 head;
	u32 nr;
};

/**
 * struct xen_pool_cpu - what one CPU keeps of one zone
 * @owned:	somebody is at it: the CPU, or another one that empties it
 * @denied:	bit n set: there was no room to be lent for that size
 * @max:	blocks in a full magazine of each size, 0 for a size that the CPU
 *		has not used since it was emptied
 * @loaded:	the magazine in use, of each size
 * @spare:	a full or empty one, so that a CPU which maps and unmaps around
 *		the end of a magazine doesn't turn to the depot each time
 */
struct xen_pool_cpu {
	atomic_t owned;
	u32 denied;
	u8 max[XEN_NR_BINS];
	struct xen_magazine loaded[XEN_NR_BINS];
	struct xen_magazine spare[XEN_NR_BINS];
};

/**
 * struct xen_pool_zone - chunks in a part of the machine
 * @total:	slots
 * @lock:	protects what follows, and @total; may be taken by the owner of a
 *		&struct xen_pool_cpu
 * @free:	slots in the buddies
 * @own_total:	slots of chunks that were made for devices of some width
 * @own_free:	of these, those in the buddy
 * @first:	number of the lowest slot
 * @peak:	slots that were not in the buddies, at most
 * @lent:	slots that CPUs may keep in their magazines
 * @stored:	slots in the depot
 * @rank:	how good a home it is: 2 with a chunk of early boot, 1 with any
 * @buddy:	free blocks, by &enum xen_chunk_origin of their chunks
 * @depot:	full magazines of each size, linked by their first blocks
 * @chunks:	the chunks
 */
struct xen_pool_zone {
	u32 total;
	raw_spinlock_t lock ____cacheline_aligned_in_smp;	/* see above */
	u32 free;
	u32 own_total;
	u32 own_free;
	u32 first;
	u32 peak;
	u32 lent;
	u32 stored;
	u8 rank;
	struct xen_pool_buddy buddy[XEN_CHUNK_ORIGINS];
	struct xen_magazine depot[XEN_NR_BINS];
	struct list_head chunks;
};

/**
 * struct xen_pool_used - what slots are used for
 * @held:	slots in mappings, by &xen_pool_slot.owner
 * @mapped:	slots in mappings
 * @coherent:	slots of coherent memory
 * @kept:	slots in blocks that CPUs or a depot keep
 */
struct xen_pool_used {
	u32 held[XEN_NR_OWNERS];
	u32 mapped;
	u32 coherent;
	u32 kept;
};

/* A block that has been taken; without @slot there was none. */
struct xen_pool_block {
	struct xen_pool_chunk *chunk;
	struct xen_pool_slot *slot;
	u32 mslot;
};

/**
 * struct xen_pool_reach - what of the pool a device may use
 * @first:	lowest machine address
 * @limit:	highest machine address
 * @start:	number of the first slot
 * @end:	number of the first slot beyond @limit
 * @zones:	so many zones, from the reserve on, hold addresses up to @limit
 * @home:	the zone to try first
 * @narrow:	@first or @limit leave some out of these zones
 */
struct xen_pool_reach {
	u64 first;
	u64 limit;
	u32 start;
	u32 end;
	u8 zones;
	u8 home;
	bool narrow;
};

/**
 * enum xen_pool_effort - what may be done for a block
 * @XEN_POOL_TRY:	take what is at hand
 * @XEN_POOL_DRAIN:	empty the magazines of all CPUs
 * @XEN_POOL_GROW:	add a chunk
 * @XEN_POOL_RESERVE:	take what was made for narrower devices
 *
 * Each includes those before it.
 */
enum xen_pool_effort {
	XEN_POOL_TRY,
	XEN_POOL_DRAIN,
	XEN_POOL_GROW,
	XEN_POOL_RESERVE,
};

/* One entry per granule; allocated before the first device is used. */
extern struct xen_pool_chunk **xen_pool_table;
extern unsigned long xen_pool_granules;

/* The highest address that the table covers. */
extern u64 xen_pool_last;

extern struct xen_pool_zone xen_pool_zones[XEN_NR_ZONES];

/* Bytes in chunks of early boot. */
extern unsigned long xen_pool_boot_bytes;

/* The width of the addresses of each zone. */
extern const u8 xen_zone_bits[];

DECLARE_PER_CPU(struct xen_pool_cpu [XEN_NR_ZONES], xen_pool_cpus);

/* By the number of zones that a device may use: the one to try first. */
extern u8 xen_pool_home[XEN_NR_ZONES + 1];

/* Has the pool ever had a chunk that is smaller than a granule? */
DECLARE_STATIC_KEY_FALSE(xen_pool_in_pieces);

/* pool-pieces.c */
void xen_pool_allow_pieces(void);
int xen_pool_note_piece(struct xen_pool_chunk *chunk, gfp_t gfp);
void xen_pool_forget_piece(const struct xen_pool_chunk *chunk);
struct xen_pool_chunk *xen_pool_find_piece(u64 machine);
struct xen_pool_chunk *xen_pool_next_piece(unsigned long *frame);

/* pool-slots.c; callers hold the zone's lock. */
void xen_pool_free_slots(struct xen_pool_chunk *chunk, u32 mslot, u32 nr);
u32 xen_pool_take_slots(struct xen_pool_zone *zone, u32 nr, u32 start, u32 end,
			unsigned long origins);
void xen_pool_forget_free(struct xen_pool_chunk *chunk);
void xen_pool_init_buddies(struct xen_pool_zone *zone);

/* pool-chunks.c */
int xen_pool_init(void);
int xen_pool_add_chunk(const struct xen_pool_chunk *extent, size_t size,
		       gfp_t gfp);
void xen_pool_insert_chunk(struct xen_pool_chunk *chunk);
void xen_pool_remove_chunk(struct xen_pool_chunk *chunk);
void xen_pool_locate_chunk(struct xen_pool_chunk *chunk);
struct xen_pool_reach xen_pool_reach_within(u64 limit);
size_t xen_pool_largest(const struct xen_pool_reach *reach, bool reserve);
u64 xen_pool_bytes(const struct xen_pool_reach *reach);

/* pool-cpu.c */
bool xen_pool_cpu_make_room(struct xen_pool_zone *zone,
			    struct xen_pool_cpu *cpu, unsigned int bin);
struct xen_pool_block xen_pool_take(const struct xen_pool_reach *reach,
				    u32 nr, bool reserve);
void xen_pool_free(struct xen_pool_chunk *chunk, u32 mslot,
		   struct xen_pool_slot *s);
void xen_pool_drain(const struct xen_pool_reach *reach, bool reserve);

/* pool-grow.c */
int xen_pool_grow(const struct xen_span *span, unsigned int order,
		  enum xen_chunk_origin origin, gfp_t gfp);
int xen_pool_add_pages(struct page *page, unsigned int order, unsigned int bits,
		       enum xen_chunk_origin origin, gfp_t gfp);
size_t xen_pool_add_pieces(const struct xen_span *span, size_t size,
			   enum xen_chunk_origin origin);
struct xen_pool_block xen_pool_get(const struct xen_pool_reach *reach, u32 nr,
				   enum xen_pool_effort effort);
int xen_pool_obtain(const struct xen_pool_reach *reach);
void xen_pool_lose_chunk(struct xen_pool_chunk *chunk, bool used);

/* pool-failures.c */
bool xen_pool_has_failed(bool atomic, const struct xen_span *span,
			 unsigned int order, u64 now);
void xen_pool_note_failure(bool atomic, const struct xen_span *span,
			   unsigned int order, u64 now);

/* pool-usage.c */
enum xen_pool_event {
	XEN_POOL_CHUNK_ADDED,
	XEN_POOL_CHUNK_NOT_ADDED,
	XEN_POOL_CHUNK_GIVEN_BACK,
	XEN_NR_POOL_EVENTS,
};

extern atomic_long_t xen_pool_events[XEN_NR_POOL_EVENTS];

void xen_pool_count_used(struct xen_pool_used *used);
void xen_pool_show_usage(struct seq_file *s);
void xen_pool_show_chunks(struct seq_file *s);

/* pool-boot.c */
void xen_pool_report(size_t size);
size_t xen_pool_add_extents(void *vaddr, size_t size, unsigned int address_bits);

/* pool-resume.c */
size_t xen_pool_revise(void);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
void xen_pool_flush_resume(void);
#endif
void xen_pool_count(long bytes);

/* Nearly all pools have none, and then the question costs no more than a NOP. */
static __always_inline bool xen_pool_has_pieces(void)
{
	return XEN_POOL_PIECES && static_branch_unlikely(&xen_pool_in_pieces);
}

static inline struct xen_pool_chunk *xen_chunk_at(u32 mslot)
{
	struct xen_pool_chunk *chunk =
		READ_ONCE(xen_pool_table[mslot >> XEN_GRANULE_SLOTS_SHIFT]);

	if (unlikely(!chunk) && xen_pool_has_pieces())
		return xen_pool_find_piece((u64)mslot << XEN_SLOT_SHIFT);
	return chunk;
}

/* The descriptor of a slot that is in the pool. */
static inline struct xen_pool_slot *xen_slot_at(u32 mslot)
{
	struct xen_pool_chunk *chunk = xen_chunk_at(mslot);

	return &chunk->slot[mslot - chunk->first];
}

static inline struct xen_pool_block xen_block_at(u32 mslot)
{
	struct xen_pool_chunk *chunk = xen_chunk_at(mslot);

	return (struct xen_pool_block) {
		.chunk = chunk,
		.slot = &chunk->slot[mslot - chunk->first],
		.mslot = mslot,
	};
}

static inline size_t xen_chunk_size(const struct xen_pool_chunk *chunk)
{
	return (size_t)chunk->nr_slots << XEN_SLOT_SHIFT;
}

/* Is it too small for the table? */
static inline bool xen_chunk_is_piece(const struct xen_pool_chunk *chunk)
{
	return XEN_POOL_PIECES && chunk->nr_slots < BIT(XEN_GRANULE_SLOTS_SHIFT);
}

static inline dma_addr_t xen_chunk_last(const struct xen_pool_chunk *chunk)
{
	return chunk->bus + xen_chunk_size(chunk) - 1;
}

static inline void *xen_slot_vaddr(const struct xen_pool_chunk *chunk, u32 mslot)
{
	return chunk->vaddr + ((size_t)(mslot - chunk->first) << XEN_SLOT_SHIFT);
}

/**
 * xen_pool_find() - the chunk that a machine address lies in
 * @machine:	machine address
 *
 * Context: Any.
 * Return: The chunk, NULL for an address outside the pool.
 */
static inline struct xen_pool_chunk *xen_pool_find(dma_addr_t machine)
{
	u64 granule = machine >> XEN_POOL_GRANULE_SHIFT;
	struct xen_pool_chunk *chunk;

	if (granule >= xen_pool_granules)
		return NULL;
	chunk = READ_ONCE(xen_pool_table[granule]);
	if (!chunk && xen_pool_has_pieces())
		return xen_pool_find_piece(machine);
	return chunk;
}

/**
 * xen_pool_reach() - what of the pool a device may use
 * @limit:	highest machine address that it reaches
 *
 * Context: Any.
 * Return: The reach, as the pool is now; without zones for a device that is too
 * narrow for any.
 */
static __always_inline struct xen_pool_reach xen_pool_reach(u64 limit)
{
	if (unlikely(limit < xen_pool_last))
		return xen_pool_reach_within(limit);

	return (struct xen_pool_reach) {
		.limit = limit,
		.end = XEN_NO_SLOT,
		.zones = XEN_NR_ZONES,
		.home = READ_ONCE(xen_pool_home[XEN_NR_ZONES]),
	};
}

/**
 * xen_pool_reach_span() - the same for what need not begin at 0
 * @span:	machine addresses that the device reaches
 *
 * Context: Any.
 * Return: See xen_pool_reach().
 */
static __always_inline struct xen_pool_reach
xen_pool_reach_span(const struct xen_span *span)
{
	struct xen_pool_reach reach = xen_pool_reach(span->last);

	if (XEN_BUS_WINDOWS && unlikely(span->first)) {
		reach.first = span->first;
		reach.start = min_t(u64, XEN_NO_SLOT,
				    ((span->first - 1) >> XEN_SLOT_SHIFT) + 1);
		reach.narrow = true;
	}
	return reach;
}

/* The size that so many slots, from 1 to XEN_MAX_BIN_SLOTS, are kept in. */
static __always_inline unsigned int xen_pool_bin(u32 nr)
{
	unsigned int shift;

	if (likely(nr <= XEN_EXACT_BINS))
		return nr - 1;

	/* Four steps from one power of two to the next. */
	shift = fls(nr - 1) - 3;
	return 4 * shift + ((nr - 1) >> shift);
}

/*
 * Nobody waits for a CPU's magazines, so an interrupt may come while they are owned.
 * The owner can't be preempted.
 */
static inline bool xen_pool_try_own(struct xen_pool_cpu *cpu)
{
	return atomic_cmpxchg_acquire(&cpu->owned, 0, 1) == 0;
}

static inline void xen_pool_disown(struct xen_pool_cpu *cpu)
{
	atomic_set_release(&cpu->owned, 0);
}

/*
 * The last to come is the first to go, for its memory is in the CPU's caches. The
 * kernel's check of mappings forgets one only after it has ended here. So that the
 * next one does not have the same slot meanwhile, with that check a block comes last.
 */
static inline void xen_magazine_push(struct xen_magazine *magazine, u32 mslot,
				     struct xen_pool_slot *s)
{
	WRITE_ONCE(s->state, XEN_SLOT_CACHED);
	if (IS_ENABLED(CONFIG_DMA_API_DEBUG)) {
		u32 *place = &magazine->head, i;

		for (i = 0; i < magazine->nr; i++)
			place = &xen_slot_at(*place)->next;
		*place = mslot;
	} else {
		s->next = magazine->head;
		magazine->head = mslot;
	}
	magazine->nr++;
}

static inline struct xen_pool_block
xen_magazine_pop(struct xen_magazine *magazine)
{
	struct xen_pool_block block = xen_block_at(magazine->head);

	magazine->head = block.slot->next;
	magazine->nr--;
	return block;
}

/**
 * xen_pool_take_quickly() - take a block that the CPU has at hand
 * @limit:	highest machine address that the device reaches, from 0 on
 * @nr:		slots
 * @block:	where the block goes
 *
 * Most devices reach 32 bits at least, and mostly there is one.
 *
 * Context: Any.
 * Return: Whether there is one for such a device; else xen_pool_get() knows more.
 */
static __always_inline bool xen_pool_take_quickly(u64 limit, u32 nr,
						  struct xen_pool_block *block)
{
	struct xen_pool_cpu *cpu;
	unsigned int bin, zones;
	bool taken = false;

	if (unlikely(limit < DMA_BIT_MASK(32) || nr > XEN_MAX_BIN_SLOTS))
		return false;

	zones = limit < xen_pool_last ? 3 : XEN_NR_ZONES;
	bin = xen_pool_bin(nr);
	preempt_disable();
	cpu = &this_cpu_ptr(xen_pool_cpus)[READ_ONCE(xen_pool_home[zones])];
	if (likely(xen_pool_try_own(cpu))) {
		taken = cpu->loaded[bin].nr;
		if (likely(taken))
			*block = xen_magazine_pop(&cpu->loaded[bin]);
		xen_pool_disown(cpu);
	}
	preempt_enable();

	return taken;
}

/* Keeps a block of a common size, if the CPU may. */
static __always_inline bool xen_pool_cpu_put(struct xen_pool_chunk *chunk,
					     u32 mslot, struct xen_pool_slot *s)
{
	unsigned int bin = s->bin;
	struct xen_pool_cpu *cpu;
	bool kept;

	preempt_disable();
	cpu = &this_cpu_ptr(xen_pool_cpus)[chunk->index];
	kept = xen_pool_try_own(cpu);
	if (likely(kept)) {
		if (unlikely(cpu->loaded[bin].nr >= cpu->max[bin]))
			kept = xen_pool_cpu_make_room(chunk->zone, cpu, bin);
		if (likely(kept))
			xen_magazine_push(&cpu->loaded[bin], mslot, s);
		xen_pool_disown(cpu);
	}
	preempt_enable();

	return kept;
}

/**
 * xen_pool_put() - put a block back
 * @chunk:	where it is
 * @mslot:	number of its first slot
 * @s:		that slot's descriptor
 *
 * Context: Any.
 */
static __always_inline void xen_pool_put(struct xen_pool_chunk *chunk, u32 mslot,
					 struct xen_pool_slot *s)
{
	if (unlikely(s->bin == XEN_NO_BIN || !xen_pool_cpu_put(chunk, mslot, s)))
		xen_pool_free(chunk, mslot, s);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
void xen_pool_flush_work(void);
void xen_pool_destroy(void);
void xen_pool_forbid_pieces(void);
void xen_pool_forget_failures(void);
void xen_pool_cancel_rebalance(void);
void xen_pool_flush_rebalance(void);
#endif

#endif /* __XEN_DMA_POOL_H */
