// SPDX-License-Identifier: GPL-2.0
/*
 * Small coherent memory that the pool lends, so that nobody has to wait for an exchange.
 *
 * It comes in pieces of arenas, each one block of the pool, of the size that CPUs keep at
 * most. So pieces that stay for long lie together, and no more of the pool than the
 * arenas is kept from others. Arenas are made in chunks of early boot only: their pages
 * stay, each with a reference of its own.
 */
#include <linux/bits.h>
#include <linux/bitops.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include <asm/xen/page.h>

#include "addr.h"
#include "coherent-pool.h"
#include "params.h"
#include "pool.h"

#define ARENA_PAGES	BIT(XEN_POOLED_ORDER)
#define ARENA_SLOTS	((u32)(PAGE_SIZE >> XEN_SLOT_SHIFT) << XEN_POOLED_ORDER)
#define ARENA_SIZE	(PAGE_SIZE << XEN_POOLED_ORDER)

static_assert(BITS_PER_TYPE(u64) == ARENA_PAGES);
static_assert(ARENA_SLOTS <= XEN_MAX_BIN_SLOTS);

/*
 * By default arenas are at most one of so many parts of the pool, and half of that when
 * they are made for devices that do not depend on low memory.
 */
#define ARENA_SHARE	8

/**
 * struct xen_arena - a block of the pool that is coherent memory
 * @list:	in the list of all
 * @block:	the block; its slot's descriptor leads here
 * @vaddr:	where the kernel sees it
 * @bus:	bus address of the first byte
 * @used:	bit n: page n is used
 * @kept:	of these, those that somebody had a reference to when they were freed
 * @max_order:	log2 of the pages of the largest piece that is aligned for the kernel
 * @orders:	for a page at which a piece begins: log2 of its pages, and 1; else 0
 */
struct xen_arena {
	struct list_head list;
	struct xen_pool_block block;
	void *vaddr;
	dma_addr_t bus;
	u64 used;
	u64 kept;
	u8 max_order;
	u8 orders[ARENA_PAGES];
};

/* All of them, of which few are unused. And those that are lost. */
static LIST_HEAD(arenas);
static LIST_HEAD(lost);
static DEFINE_RAW_SPINLOCK(arena_lock);
static unsigned int nr_arenas;
static unsigned int nr_unused;
static unsigned int nr_kept;	/* arenas that have such pages */

unsigned long xen_coherent_pooled __read_mostly = ULONG_MAX;

XEN_SIZE_PARAM(coherent_pooled, 0, SZ_1G, xen_coherent_pooled);

static bool may_add_arena(u64 limit)
{
	u64 max = READ_ONCE(xen_coherent_pooled);

	if (max == ULONG_MAX)
		max = READ_ONCE(xen_pool_boot_bytes) / ARENA_SHARE;
	if (limit > DMA_BIT_MASK(32))
		max /= 2;

	return (u64)(READ_ONCE(nr_arenas) + 1) * ARENA_SIZE <= max;
}

/* Nobody takes a reference to memory that is being freed, but somebody may have one. */
static __always_inline int references(const struct page *page)
{
	/* A count that is just changing is as good before as after. */
	return data_race(page->_refcount.counter);
}

static __always_inline int references4(const struct page *page)
{
	return references(page) + references(page + 1) + references(page + 2) +
	       references(page + 3);
}

/* Has nobody but the pool a reference? */
static bool is_unreferenced(const struct page *page, unsigned int order)
{
	const struct page *end = page + (1U << order);
	int sum = 0;

	for (; page + 16 <= end; page += 16)
		sum += references4(page) + references4(page + 4) +
		       references4(page + 8) + references4(page + 12);
	for (; page < end; page++)
		sum += references(page);
	return sum == 1 << order;
}

static unsigned int orders_of(const struct xen_pool_block *block)
{
	unsigned long vaddr = (unsigned long)xen_slot_vaddr(block->chunk, block->mslot);

	return min_t(unsigned int, __ffs(vaddr) - PAGE_SHIFT, XEN_POOLED_ORDER);
}

/*
 * Of early boot's memory, each page of which has a reference (with 6.1 there may be a
 * block of the page allocator's), and aligned for the kernel like a piece has to be.
 */
static bool is_fit(const struct xen_pool_block *block, unsigned int order)
{
	return block->chunk->origin == XEN_CHUNK_BOOT &&
	       order <= orders_of(block) &&
	       is_unreferenced(virt_to_page(xen_slot_vaddr(block->chunk, block->mslot)),
			       XEN_POOLED_ORDER);
}

/* A block that any device of 32 bits reaches. */
static struct xen_pool_block take_block(u64 limit, unsigned int order)
{
	struct xen_pool_block block = {};

	if (!xen_pool_take_quickly(limit, ARENA_SLOTS, &block)) {
		const struct xen_pool_reach all = xen_pool_reach(limit);

		block = xen_pool_get(&all, ARENA_SLOTS, XEN_POOL_TRY);
	}
	if (block.slot && !is_fit(&block, order)) {
		xen_pool_put(block.chunk, block.mslot, block.slot);
		block.slot = NULL;
	}
	return block;
}

static struct xen_arena *make_arena(u64 limit, unsigned int order)
{
	size_t bytes = sizeof(struct xen_arena);
	struct xen_arena *arena;

	if (!may_add_arena(limit))
		return NULL;
	arena = kzalloc(bytes, GFP_NOWAIT | __GFP_NOWARN);
	if (!arena)
		return NULL;
	arena->block = take_block(limit, order);
	if (!arena->block.slot) {
		kfree(arena);
		return NULL;
	}

	arena->vaddr = xen_slot_vaddr(arena->block.chunk, arena->block.mslot);
	arena->bus = (dma_addr_t)arena->block.mslot << XEN_SLOT_SHIFT;
	arena->max_order = orders_of(&arena->block);
	arena->block.slot->phys = (unsigned long)arena;
	arena->block.slot->size = ARENA_SIZE;
	arena->block.slot->offset = 0;
	arena->block.slot->buffers = 0;
	WRITE_ONCE(arena->block.slot->state, XEN_SLOT_COHERENT);
	return arena;
}

static void free_arena(struct xen_arena *arena)
{
	struct xen_pool_block *block = &arena->block;

	if (block->slot->bin != XEN_NO_BIN)
		block->slot->dirty = ARENA_SIZE;
	xen_pool_put(block->chunk, block->mslot, block->slot);
	kfree(arena);
}

/* The pages at which so many follow that are free, aligned to their number. */
static u64 room_in(const struct xen_arena *arena, unsigned int order)
{
	static const u64 aligned[XEN_POOLED_ORDER + 1] = {
		~0ULL, 0x5555555555555555, 0x1111111111111111,
		0x0101010101010101, 0x0001000100010001, 0x0000000100000001, 1,
	};
	u64 room = ~arena->used;

	if (unlikely(order > arena->max_order))
		return 0;
	if (order > 0)
		room &= room >> 1;
	if (order > 1)
		room &= room >> 2;
	if (order > 2)
		room &= room >> 4;
	if (order > 3)
		room &= room >> 8;
	if (order > 4)
		room &= room >> 16;
	if (order > 5)
		room &= room >> 32;
	return room & aligned[order];
}

static u64 pages_of(unsigned int at, unsigned int order)
{
	static const u64 first[XEN_POOLED_ORDER + 1] = {
		0x1, 0x3, 0xf, 0xff, 0xffff, 0xffffffff, ~0ULL,
	};

	return first[order] << at;
}

/* Takes a piece where there is room; under the lock. */
static unsigned int take_piece(struct xen_arena *arena, u64 room,
			       unsigned int order)
{
	unsigned int at = __ffs64(room);

	nr_unused -= !arena->used;
	arena->used |= pages_of(at, order);
	arena->orders[at] = order + 1;
	return at;
}

/* An arena that has room, NULL when none has; under the lock. */
static __always_inline struct xen_arena *find_arena(unsigned int order, u64 *room)
{
	struct xen_arena *arena;

	list_for_each_entry(arena, &arenas, list) {
		*room = room_in(arena, order);
		if (*room)
			return arena;
	}
	return NULL;
}

/* Frees the pages that nobody has a reference to any more; under the lock. */
static noinline void free_kept_pages(void)
{
	struct xen_arena *arena;
	unsigned int i;

	list_for_each_entry(arena, &arenas, list) {
		if (!arena->kept)
			continue;
		for (i = 0; i < ARENA_PAGES; i++)
			if (arena->kept & BIT_ULL(i) &&
			    is_unreferenced(virt_to_page(arena->vaddr +
							 i * PAGE_SIZE), 0)) {
				arena->kept &= ~BIT_ULL(i);
				arena->used &= ~BIT_ULL(i);
			}
		nr_kept -= !arena->kept;
		nr_unused += !arena->used;
	}
}

/**
 * xen_pooled_alloc() - take a piece of an arena
 * @limit:	highest bus address that the device reaches
 * @order:	log2 of its pages, XEN_POOLED_ORDER at most
 * @bus:	where its bus address goes
 *
 * Devices that do not reach 32 bits get none, for they have less to be bounced through.
 * What is in it is the caller's to clear.
 *
 * Context: Any; not atomic with PREEMPT_RT.
 * Return: Where the kernel sees it, NULL when the pool has none to spare.
 */
void *xen_pooled_alloc(u64 limit, unsigned int order, dma_addr_t *bus)
{
	struct xen_arena *arena;
	bool many_unused = false;
	unsigned long flags;
	unsigned int at;
	struct page *page;
	u64 room = 0;

	if (limit < DMA_BIT_MASK(32) || !READ_ONCE(xen_coherent_pooled))
		return NULL;

	raw_spin_lock_irqsave(&arena_lock, flags);
	arena = find_arena(order, &room);
	if (unlikely(!arena && nr_kept)) {
		free_kept_pages();
		arena = find_arena(order, &room);
		many_unused = nr_unused > 1;
	}
	if (!arena) {
		raw_spin_unlock_irqrestore(&arena_lock, flags);
		arena = make_arena(limit, order);
		if (!arena)
			return NULL;
		room = room_in(arena, order);
		raw_spin_lock_irqsave(&arena_lock, flags);
		list_add(&arena->list, &arenas);
		nr_arenas++;
		nr_unused++;
	}
	at = take_piece(arena, room, order);
	raw_spin_unlock_irqrestore(&arena_lock, flags);
	if (unlikely(many_unused))
		xen_pooled_trim();

	*bus = arena->bus + at * PAGE_SIZE;
	page = virt_to_page(arena->vaddr + at * PAGE_SIZE);
	/* Once marked it stays so: if it is freed twice it is not the kernel's. */
	if (unlikely(!PageXenRemapped(page)))
		SetPageXenRemapped(page);
	return arena->vaddr + at * PAGE_SIZE;
}

/* The arena that a page lies in, NULL for none. */
static struct xen_arena *arena_of(dma_addr_t bus)
{
	u32 mslot = round_down((u32)(bus >> XEN_SLOT_SHIFT), ARENA_SLOTS);
	struct xen_arena *arena = NULL;
	struct xen_pool_chunk *chunk;
	struct xen_pool_slot *s;

	rcu_read_lock();
	chunk = xen_pool_find(bus);
	if (chunk && mslot >= chunk->first) {
		s = &chunk->slot[mslot - chunk->first];
		if (s->state == XEN_SLOT_COHERENT)
			arena = (struct xen_arena *)(unsigned long)s->phys;
	}
	rcu_read_unlock();

	return arena;
}

/* Frees a piece, and the arena when that is unused and not the only one. */
static int free_piece(struct xen_arena *arena, unsigned int at, struct page *page)
{
	struct xen_arena *unused = NULL;
	int rc = -EALREADY;
	unsigned int order;
	unsigned long flags;

	raw_spin_lock_irqsave(&arena_lock, flags);
	if (likely(arena->orders[at])) {
		rc = 0;
		order = arena->orders[at] - 1;
		arena->orders[at] = 0;
		/* What somebody has a reference to is nobody else's. */
		if (likely(is_unreferenced(page, order))) {
			arena->used &= ~pages_of(at, order);
		} else {
			nr_kept += !arena->kept;
			arena->kept |= pages_of(at, order);
		}
		if (!arena->used && nr_unused) {
			list_del(&arena->list);
			nr_arenas--;
			unused = arena;
		} else {
			nr_unused += !arena->used;
		}
	}
	raw_spin_unlock_irqrestore(&arena_lock, flags);

	if (unlikely(unused))
		free_arena(unused);
	return rc;
}

static bool is_lost(const struct page *page)
{
	const struct xen_arena *arena;
	unsigned long flags;
	bool found = false;

	if (likely(list_empty(&lost)))
		return false;

	raw_spin_lock_irqsave(&arena_lock, flags);
	list_for_each_entry(arena, &lost, list)
		found |= page >= virt_to_page(arena->vaddr) &&
			 page < virt_to_page(arena->vaddr) + ARENA_PAGES;
	raw_spin_unlock_irqrestore(&arena_lock, flags);

	return found;
}

/**
 * xen_pooled_free() - put a piece back, whatever its bus address is said to be
 * @page:	its first page
 * @bus:	bus address
 *
 * Context: Any.
 * Return: 0; -ENOENT when it is no such piece, -EALREADY when it is free, -ENXIO when
 * it has been freed but does not lie at @bus.
 */
int xen_pooled_free(struct page *page, dma_addr_t bus)
{
	dma_addr_t where = PFN_PHYS((dma_addr_t)xen_pfn_to_mfn(page_to_pfn(page)));
	struct xen_arena *arena = arena_of(where);
	int rc;

	if (!arena)
		return is_lost(page) ? 0 : -ENOENT;

	rc = free_piece(arena, PFN_DOWN(where - arena->bus), page);
	return !rc && unlikely(where != bus) ? -ENXIO : rc;
}

/**
 * xen_pooled_bytes() - what is lent
 *
 * Context: Any.
 * Return: Bytes.
 */
u64 xen_pooled_bytes(void)
{
	const struct xen_arena *arena;
	u64 pages = 0;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&arena_lock, flags);
	list_for_each_entry(arena, &arenas, list)
		for (i = 0; i < ARENA_PAGES; i++)
			if (arena->orders[i])
				pages += BIT(arena->orders[i] - 1);
	raw_spin_unlock_irqrestore(&arena_lock, flags);

	return pages << PAGE_SHIFT;
}

/**
 * xen_pooled_trim() - give back what is not used at all
 *
 * Context: Any.
 */
void xen_pooled_trim(void)
{
	struct xen_arena *arena, *next;
	unsigned long flags;
	LIST_HEAD(unused);

	raw_spin_lock_irqsave(&arena_lock, flags);
	if (nr_kept)
		free_kept_pages();
	list_for_each_entry_safe(arena, next, &arenas, list)
		if (!arena->used) {
			list_move(&arena->list, &unused);
			nr_arenas--;
			nr_unused--;
		}
	raw_spin_unlock_irqrestore(&arena_lock, flags);

	list_for_each_entry_safe(arena, next, &unused, list)
		free_arena(arena);
}

/**
 * xen_pooled_revise() - the domain may have moved: lend no arena that has other frames
 *
 * Context: Any; no device is at work.
 * Return: Pages that are lent and are not where they were.
 */
unsigned long xen_pooled_revise(void)
{
	struct xen_arena *arena, *next;
	unsigned long pages = 0, flags;

	xen_pooled_trim();
	raw_spin_lock_irqsave(&arena_lock, flags);
	list_for_each_entry_safe(arena, next, &arenas, list) {
		if (xen_lies_at(arena->vaddr, ARENA_SIZE, arena->bus))
			continue;
		/* With its chunk. Whoever has some of it may still free that. */
		list_move(&arena->list, &lost);
		nr_arenas--;
		nr_kept -= !!arena->kept;
		pages += hweight64(arena->used);
	}
	raw_spin_unlock_irqrestore(&arena_lock, flags);

	return pages;
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* Whatever a case did, there are no arenas. */
void xen_pooled_forget(void)
{
	struct xen_arena *arena, *next;

	list_for_each_entry_safe(arena, next, &arenas, list) {
		list_del(&arena->list);
		free_arena(arena);
	}
	list_for_each_entry_safe(arena, next, &lost, list) {
		list_del(&arena->list);
		kfree(arena);
	}
	nr_arenas = 0;
	nr_unused = 0;
	nr_kept = 0;
}
#endif
