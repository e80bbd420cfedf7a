// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's slots: binary buddies for each zone.
 *
 * Blocks are aligned in the machine, so a block of 2^n slots crosses no boundary as
 * large as itself, and an alignment is a matter of the order. What a request doesn't
 * need at the end of its block goes back at once. All of this is done under the
 * zone's lock.
 */
#include <linux/jiffies.h>

#include "pool.h"

struct xen_pool_chunk **xen_pool_table __read_mostly;

static struct xen_pool_buddy *buddy_of(const struct xen_pool_chunk *chunk)
{
	return &chunk->zone->buddy[chunk->origin];
}

static void free_list_add(struct xen_pool_buddy *buddy, u32 mslot,
			  unsigned int order)
{
	struct xen_pool_slot *s = xen_slot_at(mslot);

	s->state = XEN_SLOT_FREE;
	s->order = order;
	s->prev = XEN_NO_SLOT;
	s->next = buddy->free[order];
	if (s->next != XEN_NO_SLOT)
		xen_slot_at(s->next)->prev = mslot;
	buddy->free[order] = mslot;
	__set_bit(order, &buddy->orders);
}

static void free_list_del(struct xen_pool_buddy *buddy,
			  struct xen_pool_slot *s)
{
	s->state = XEN_SLOT_INNER;
	if (s->next != XEN_NO_SLOT)
		xen_slot_at(s->next)->prev = s->prev;
	if (s->prev != XEN_NO_SLOT) {
		xen_slot_at(s->prev)->next = s->next;
		return;
	}

	buddy->free[s->order] = s->next;
	if (s->next == XEN_NO_SLOT)
		__clear_bit(s->order, &buddy->orders);
}

/* Frees an aligned block and joins it with its neighbours of the same size. */
static void free_block(struct xen_pool_chunk *chunk, u32 mslot,
		       unsigned int order)
{
	struct xen_pool_buddy *buddy = buddy_of(chunk);

	for (; order < XEN_SLOT_ORDERS - 1; order++) {
		u32 other = mslot ^ BIT(order);
		struct xen_pool_slot *s;

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

/**
 * xen_pool_free_slots() - free a run of slots
 * @chunk:	chunk
 * @mslot:	number of the first one
 * @nr:		how many
 *
 * They become the fewest aligned blocks.
 *
 * Context: Any, under the zone's lock.
 */
void xen_pool_free_slots(struct xen_pool_chunk *chunk, u32 mslot, u32 nr)
{
	chunk->free += nr;
	chunk->zone->free += nr;
	if (unlikely(chunk->origin == XEN_CHUNK_OBTAINED))
		chunk->zone->own_free += nr;
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

/* A free block whose first 2^@order slots lie from @start on and below @end. */
static u32 find_free(const struct xen_pool_buddy *buddy, unsigned int order,
		     u32 start, u32 end)
{
	unsigned long fit = buddy->orders >> order << order;
	unsigned int from;

	for_each_set_bit(from, &fit, XEN_SLOT_ORDERS) {
		u32 mslot = buddy->free[from];

		/* Of devices that reach all of the zone the first one will do. */
		while (mslot != XEN_NO_SLOT &&
		       (mslot + BIT(order) > end ||
			(XEN_BUS_WINDOWS && mslot < start)))
			mslot = xen_slot_at(mslot)->next;
		if (mslot != XEN_NO_SLOT)
			return mslot;
	}

	return XEN_NO_SLOT;
}

/**
 * xen_pool_take_slots() - take slots that follow each other
 * @zone:	zone
 * @nr:		how many
 * @start:	number of the first slot that is not too low
 * @end:	number of the first slot that is too high
 * @origins:	bit n set: from chunks of that &enum xen_chunk_origin
 *
 * Context: Any, under the zone's lock.
 * Return: Number of the first one, aligned to a power of two that is no smaller than
 * @nr; XEN_NO_SLOT when there is no such block.
 */
u32 xen_pool_take_slots(struct xen_pool_zone *zone, u32 nr, u32 start, u32 end,
			unsigned long origins)
{
	unsigned int order = order_base_2(nr), from, origin;
	struct xen_pool_chunk *chunk;
	u32 mslot = XEN_NO_SLOT;

	for_each_set_bit(origin, &origins, XEN_CHUNK_ORIGINS) {
		if (zone->buddy[origin].first >= end)
			continue;
		mslot = find_free(&zone->buddy[origin], order, start, end);
		if (mslot != XEN_NO_SLOT)
			break;
	}
	if (mslot == XEN_NO_SLOT)
		return mslot;

	chunk = xen_chunk_at(mslot);
	from = xen_slot_at(mslot)->order;
	free_list_del(buddy_of(chunk), xen_slot_at(mslot));
	while (from-- > order)
		free_list_add(buddy_of(chunk), mslot + BIT(from), from);

	chunk->free -= BIT(order);
	zone->free -= BIT(order);
	if (unlikely(chunk->origin == XEN_CHUNK_OBTAINED))
		zone->own_free -= BIT(order);
	xen_pool_free_slots(chunk, mslot + nr, BIT(order) - nr);
	zone->peak = max(zone->peak, zone->total - zone->free);

	return mslot;
}

/**
 * xen_pool_forget_free() - take what is free of a chunk out of its buddy
 * @chunk:	chunk
 *
 * Context: Any, under the zone's lock.
 */
void xen_pool_forget_free(struct xen_pool_chunk *chunk)
{
	u32 i = 0;

	while (i < chunk->nr_slots) {
		struct xen_pool_slot *s = &chunk->slot[i];

		if (s->state != XEN_SLOT_FREE) {
			i++;
			continue;
		}
		i += BIT(s->order);
		free_list_del(buddy_of(chunk), s);
	}
	chunk->zone->free -= chunk->free;
	if (chunk->origin == XEN_CHUNK_OBTAINED)
		chunk->zone->own_free -= chunk->free;
	chunk->free = 0;
}

/**
 * xen_pool_init_buddies() - make a zone empty
 * @zone:	zone
 *
 * Context: Any; nobody uses the zone.
 */
void xen_pool_init_buddies(struct xen_pool_zone *zone)
{
	unsigned int i, order;

	for (i = 0; i < ARRAY_SIZE(zone->buddy); i++) {
		zone->buddy[i].first = XEN_NO_SLOT;
		zone->buddy[i].orders = 0;
		for (order = 0; order < XEN_SLOT_ORDERS; order++)
			zone->buddy[i].free[order] = XEN_NO_SLOT;
	}
}
