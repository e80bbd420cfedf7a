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

/* Looks at @nr slots of a chunk from a slot on, in an RCU read-side section. */
typedef void (*look_fn)(const struct xen_pool_chunk *chunk, u32 from, u32 nr, void *data);

/* Those chunks that the table has no entry for. */
static void look_at_pieces(look_fn look, void *data)
{
	struct xen_pool_chunk *chunk;
	unsigned long frame = 0;

	do {
		rcu_read_lock();
		chunk = xen_pool_next_piece(&frame);
		if (chunk) {
			look(chunk, chunk->first, chunk->nr_slots, data);
			frame = PFN_DOWN(xen_chunk_last(chunk)) + 1;
		}
		rcu_read_unlock();
		cond_resched();
	} while (chunk);
}

/* Part by part, for there may be many: each slot of each chunk, low addresses first. */
static void look_at_all(look_fn look, void *data)
{
	/* Pairs with the release in xen_pool_init(): there is a table for so many. */
	unsigned long i, granules = smp_load_acquire(&xen_pool_granules);
	const u32 each = BIT(XEN_GRANULE_SLOTS_SHIFT);
	struct xen_pool_chunk *chunk;

	for (i = 0; i < granules; i++) {
		rcu_read_lock();
		chunk = READ_ONCE(xen_pool_table[i]);
		if (chunk)
			look(chunk, i * each, each, data);
		rcu_read_unlock();
		cond_resched();
	}

	if (xen_pool_has_pieces())
		look_at_pieces(look, data);
}

static void count_part(const struct xen_pool_chunk *chunk, u32 from, u32 nr, void *used)
{
	const struct xen_pool_slot *s = &chunk->slot[from - chunk->first];

	for (; nr; nr--, s++)
		count_block(chunk, s, used);
}

/**
 * xen_pool_count_used() - look what all slots are used for
 * @used:	where that goes
 *
 * Context: Process, may sleep.
 */
void xen_pool_count_used(struct xen_pool_used *used)
{
	memset(used, 0, sizeof(*used));
	look_at_all(count_part, used);
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

/* A chunk has a line, however many parts it has. */
static void show_part(const struct xen_pool_chunk *chunk, u32 from, u32 nr, void *s)
{
	/* Mappings come and go meanwhile. */
	u32 free = data_race(chunk->free);

	if (from != chunk->first)
		return;
	seq_printf(s, "%#llx %#llx %u %u\n", (u64)chunk->bus, (u64)xen_chunk_last(chunk),
		   chunk->nr_slots, chunk->nr_slots - free);
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
	seq_puts(s, "# bus-first bus-last slots used\n");
	look_at_all(show_part, s);
}
