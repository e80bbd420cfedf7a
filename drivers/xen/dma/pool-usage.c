// SPDX-License-Identifier: GPL-2.0
/*
 * What the pool's slots are used for, and by whom.
 *
 * Nobody keeps count of that while mappings come and go: whoever wants to know looks at all
 * descriptors, without a lock. What changes meanwhile may be missed, or counted twice.
 */
#include <linux/atomic.h>
#include <linux/minmax.h>
#include <linux/pfn.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "pool.h"

atomic_long_t xen_pool_events[XEN_NR_POOL_EVENTS];

/* The slots of a block that is not free, by its first one's descriptor. */
static u32 block_slots(const struct xen_pool_chunk *chunk,
		       const struct xen_pool_slot *s)
{
	/* The owner may be changing it; who counts looks at the state once more. */
	unsigned int bin = data_race(s->bin);
	u32 nr = data_race(s->nr);	/* likewise */

	return bin < XEN_NR_BINS ? xen_pool_bin_slots[bin] : min(nr, chunk->nr_slots);
}

static void count_block(const struct xen_pool_chunk *chunk,
			const struct xen_pool_slot *s, struct xen_pool_used *used)
{
	u8 state = READ_ONCE(s->state);
	u8 owner = data_race(s->owner);		/* see block_slots() */
	u32 nr;

	if (state == XEN_SLOT_INNER || state == XEN_SLOT_FREE)
		return;

	/* What is no longer the same is not counted. */
	nr = block_slots(chunk, s);
	if (READ_ONCE(s->state) != state)
		return;
	if (state == XEN_SLOT_MAPPED) {
		used->mapped += nr;
		used->held[owner % XEN_NR_OWNERS] += nr;
	} else if (state == XEN_SLOT_COHERENT) {
		used->coherent += nr;
	} else {
		used->kept += nr;
	}
}

static void count_part(const struct xen_pool_chunk *chunk, u32 from, u32 nr,
		       struct xen_pool_used *used)
{
	const struct xen_pool_slot *s = &chunk->slot[from - chunk->first];

	for (; nr; nr--, s++)
		count_block(chunk, s, used);
}

/* There may be many, so each is looked at by itself. */
static void count_pieces(struct xen_pool_used *used)
{
	struct xen_pool_chunk *chunk;
	unsigned long frame = 0;

	do {
		rcu_read_lock();
		chunk = xen_pool_next_piece(&frame);
		if (chunk) {
			count_part(chunk, chunk->first, chunk->nr_slots, used);
			frame = PFN_DOWN(xen_chunk_last(chunk)) + 1;
		}
		rcu_read_unlock();
		cond_resched();
	} while (chunk);
}

/* Of the pool's table; none before there is one. */
static unsigned long nr_granules(void)
{
	/* Pairs with the release in xen_pool_init(): the table is there. */
	return smp_load_acquire(&xen_pool_granules);
}

/**
 * xen_pool_count_used() - look what all slots are used for
 * @used:	where that goes
 *
 * Context: Process, may sleep.
 */
void xen_pool_count_used(struct xen_pool_used *used)
{
	const u32 each = BIT(XEN_GRANULE_SLOTS_SHIFT);
	unsigned long i, granules = nr_granules();
	struct xen_pool_chunk *chunk;

	memset(used, 0, sizeof(*used));
	for (i = 0; i < granules; i++) {
		rcu_read_lock();
		chunk = READ_ONCE(xen_pool_table[i]);
		if (chunk)
			count_part(chunk, i * each, each, used);
		rcu_read_unlock();
		cond_resched();
	}

	if (xen_pool_has_pieces())
		count_pieces(used);
}

/**
 * xen_pool_show_usage() - say what slots are used for, and how chunks came and went
 * @s:	debugfs file
 *
 * Context: Process, may sleep.
 */
void xen_pool_show_usage(struct seq_file *s)
{
	u32 total = 0, free = 0, peak = 0;
	struct xen_pool_used used;
	unsigned int i;

	for (i = 0; i < XEN_NR_ZONES; i++) {
		total += READ_ONCE(xen_pool_zones[i].total);
		free += READ_ONCE(xen_pool_zones[i].free);
		peak += READ_ONCE(xen_pool_zones[i].peak);
	}
	xen_pool_count_used(&used);
	seq_printf(s, "slots %u\nfree %u\npeak %u\n", total, free, peak);
	seq_printf(s, "mapped %u\ncoherent %u\nkept %u\n", used.mapped,
		   used.coherent, used.kept);
	seq_printf(s, "chunks-added %ld\nchunks-not-added %ld\nchunks-given-back %ld\n",
		   atomic_long_read(&xen_pool_events[XEN_POOL_CHUNK_ADDED]),
		   atomic_long_read(&xen_pool_events[XEN_POOL_CHUNK_NOT_ADDED]),
		   atomic_long_read(&xen_pool_events[XEN_POOL_CHUNK_GIVEN_BACK]));
}

static void show_chunk(struct seq_file *s, const struct xen_pool_chunk *chunk)
{
	/* Mappings come and go meanwhile. */
	u32 free = data_race(chunk->free);

	seq_printf(s, "%#llx %#llx %u %u\n", (u64)chunk->bus, (u64)xen_chunk_last(chunk),
		   chunk->nr_slots, chunk->nr_slots - free);
}

/* Those that may lie anywhere. */
static void show_pieces(struct seq_file *s)
{
	struct xen_pool_chunk *chunk;
	unsigned long frame = 0;

	do {
		rcu_read_lock();
		chunk = xen_pool_next_piece(&frame);
		if (chunk) {
			show_chunk(s, chunk);
			frame = PFN_DOWN(xen_chunk_last(chunk)) + 1;
		}
		rcu_read_unlock();
		cond_resched();
	} while (chunk);
}

/**
 * xen_pool_show_chunks() - list the chunks
 * @s:	debugfs file
 *
 * Mappings go on meanwhile: there may be a thousand chunks to print.
 *
 * Context: Process, may sleep.
 */
void xen_pool_show_chunks(struct seq_file *s)
{
	unsigned long i, granules = nr_granules();
	struct xen_pool_chunk *chunk;

	seq_puts(s, "# bus-first bus-last slots used\n");
	for (i = 0; i < granules; i++) {
		rcu_read_lock();
		chunk = READ_ONCE(xen_pool_table[i]);
		/* A chunk has many granules. */
		if (chunk && chunk->first == i << XEN_GRANULE_SLOTS_SHIFT)
			show_chunk(s, chunk);
		rcu_read_unlock();
		cond_resched();
	}
	if (xen_pool_has_pieces())
		show_pieces(s);
}
