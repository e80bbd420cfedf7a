// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's magazines: blocks of common sizes that a CPU has at hand.
 *
 * Such blocks don't go back to the buddy: each CPU keeps some, in two magazines a
 * size, and exchanges whole magazines with a depot per zone. So a block is usually
 * taken and put back without a lock that CPUs share, without masking interrupts and
 * without a search, however large or full the pool is. A CPU's magazines have an owner
 * instead: an interrupt that finds them owned goes to the buddy.
 *
 * A CPU may keep blocks of a size once it has used the size: it is then lent room for
 * two magazines, a share of what the zone has left to lend. So what CPUs keep depends
 * on what they use, not on how many CPUs or sizes there might be. When the room gets
 * short, a worker empties all CPUs, and those that are at work begin anew.
 */
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/workqueue.h>

#include "pool.h"

const u8 xen_pool_bin_slots[XEN_NR_BINS] = {
	1, 2, 3, 4, 5, 6, 7, 8,
	10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128,
};

/* A full magazine has so many slots, or one block: its transfer is to be rare. */
#define MAGAZINE_SLOTS		32

/*
 * Shares of a zone: what CPUs may keep in all, what the depot may store for CPUs that
 * take what others put back, and of what is left to lend what one CPU gets for a size.
 */
#define LENT_SHARE		4
#define STORED_SHARE		8
#define SIZE_SHARE		8

/* How often another CPU's magazines are tried before they are left alone. */
#define DRAIN_TRIES		1000

DEFINE_PER_CPU(struct xen_pool_cpu [XEN_NR_ZONES], xen_pool_cpus);

static void rebalance(struct work_struct *work);
static DECLARE_DELAYED_WORK(rebalance_work, rebalance);

/* How long the CPUs are left alone at most, when they have just been emptied. */
#define REBALANCE_MAX		(60 * HZ)

/*
 * Where room got short, as bits. The rest is the worker's: when it has emptied the CPUs,
 * in jiffies that don't wrap around, and for how long it leaves them alone.
 */
static unsigned long short_zones;
static u64 rebalanced_at;
static unsigned long rebalance_pause;

/* Returns a magazine's blocks to the buddy; under the zone's lock. */
static void magazine_free(struct xen_magazine *magazine)
{
	while (magazine->nr) {
		struct xen_pool_block block = xen_magazine_pop(magazine);

		block.slot->state = XEN_SLOT_INNER;
		xen_pool_free_slots(block.chunk, block.mslot,
				    xen_pool_bin_slots[block.slot->bin]);
	}
}

/*
 * Fills a magazine from the buddy as far as it goes, but not with what was made for
 * devices of some width. Under the zone's lock.
 */
static void magazine_fill(struct xen_pool_zone *zone, unsigned int bin,
			  struct xen_magazine *magazine, unsigned int max)
{
	u32 nr = xen_pool_bin_slots[bin];

	while (magazine->nr < max) {
		u32 mslot = xen_pool_take_slots(zone, nr, 0, XEN_NO_SLOT,
						BIT(XEN_CHUNK_BOOT) |
						BIT(XEN_CHUNK_GROWN));
		struct xen_pool_slot *s;

		if (mslot == XEN_NO_SLOT)
			break;
		s = xen_slot_at(mslot);
		s->bin = bin;
		s->dirty = nr << XEN_SLOT_SHIFT;
		xen_magazine_push(magazine, mslot, s);
	}
}

/* Stores a magazine in the depot, if there is room; under the zone's lock. */
static void depot_put(struct xen_pool_zone *zone, unsigned int bin,
		      struct xen_magazine *magazine)
{
	u32 slots = magazine->nr * xen_pool_bin_slots[bin];
	struct xen_magazine *depot = &zone->depot[bin];
	struct xen_pool_slot *s;

	if (zone->stored + slots > zone->total / STORED_SHARE) {
		magazine_free(magazine);
		return;
	}

	s = xen_slot_at(magazine->head);
	s->prev = depot->nr ? depot->head : XEN_NO_SLOT;
	s->size = magazine->nr;
	depot->head = magazine->head;
	depot->nr++;
	zone->stored += slots;
	magazine->nr = 0;
}

static void depot_get(struct xen_pool_zone *zone, unsigned int bin,
		      struct xen_magazine *magazine)
{
	struct xen_magazine *depot = &zone->depot[bin];
	struct xen_pool_slot *s = xen_slot_at(depot->head);

	magazine->head = depot->head;
	magazine->nr = s->size;
	depot->head = s->prev;
	depot->nr--;
	zone->stored -= magazine->nr * xen_pool_bin_slots[bin];
}

static u32 lent_for(unsigned int max, unsigned int bin)
{
	return 2 * max * xen_pool_bin_slots[bin];
}

/*
 * Lends a CPU that begins to use a size room for its magazines. Where there is little
 * left, a magazine is smaller, or none at all. Returns whether others should give back
 * what they do not use. Under the zone's lock.
 */
static bool lend(struct xen_pool_zone *zone, struct xen_pool_cpu *cpu,
		 unsigned int bin)
{
	unsigned int want = max(MAGAZINE_SLOTS / xen_pool_bin_slots[bin], 1);
	u32 all = zone->total / LENT_SHARE, left = all - min(zone->lent, all);
	unsigned int max = want;

	while (max && lent_for(max, bin) > left / SIZE_SHARE)
		max /= 2;
	zone->lent += lent_for(max, bin);
	WRITE_ONCE(cpu->max[bin], max);
	if (!max)
		cpu->denied |= BIT(bin);

	/* Had nobody else some, it would have been all. */
	return max < want && lent_for(want, bin) <= all / SIZE_SHARE;
}

/* Room got short in a zone: the CPUs are emptied, but less and less often. */
static void begin_rebalance(unsigned int index)
{
	u64 at = READ_ONCE(rebalanced_at) + READ_ONCE(rebalance_pause);
	u64 now = get_jiffies_64();

	set_bit(index, &short_zones);
	/* Frozen like the workers that change chunks. */
	queue_delayed_work(system_freezable_wq, &rebalance_work,
			   at > now ? min_t(u64, at - now, REBALANCE_MAX) : 0);
}

/* Gets blocks into an empty loaded magazine. The caller owns the CPU's magazines. */
static bool refill(struct xen_pool_cpu *cpu, unsigned int bin, unsigned int index)
{
	struct xen_pool_zone *zone = &xen_pool_zones[index];
	struct xen_magazine *loaded = &cpu->loaded[bin];
	bool is_short = false;
	unsigned long flags;

	if (cpu->spare[bin].nr) {
		swap(*loaded, cpu->spare[bin]);
		return true;
	}
	if (cpu->denied & BIT(bin) ||
	    (!READ_ONCE(zone->depot[bin].nr) &&
	     READ_ONCE(zone->free) < xen_pool_bin_slots[bin]))
		return false;

	raw_spin_lock_irqsave(&zone->lock, flags);
	if (!cpu->max[bin])
		is_short = lend(zone, cpu, bin);
	if (zone->depot[bin].nr &&
	    xen_slot_at(zone->depot[bin].head)->size <= cpu->max[bin])
		depot_get(zone, bin, loaded);
	else
		magazine_fill(zone, bin, loaded, cpu->max[bin]);
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	if (is_short)
		begin_rebalance(index);
	return loaded->nr;
}

/**
 * xen_pool_cpu_make_room() - the loaded magazine is full: make room for more
 * @zone:	zone
 * @cpu:	the CPU's magazines, which the caller owns
 * @bin:	index of the size
 *
 * Context: Any.
 * Return: Whether there is some; else the CPU may keep none.
 */
bool xen_pool_cpu_make_room(struct xen_pool_zone *zone,
			    struct xen_pool_cpu *cpu, unsigned int bin)
{
	bool is_short = false;
	unsigned long flags;

	if (cpu->denied & BIT(bin))
		return false;
	if (cpu->max[bin] && !cpu->spare[bin].nr) {
		swap(cpu->loaded[bin], cpu->spare[bin]);
		return true;
	}

	raw_spin_lock_irqsave(&zone->lock, flags);
	if (!cpu->max[bin]) {
		is_short = lend(zone, cpu, bin);
	} else {
		depot_put(zone, bin, &cpu->spare[bin]);
		swap(cpu->loaded[bin], cpu->spare[bin]);
	}
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	if (is_short)
		begin_rebalance(zone - xen_pool_zones);
	return cpu->max[bin];
}

static bool has_nothing(const struct xen_pool_cpu *cpu)
{
	unsigned int bin;

	for (bin = 0; bin < XEN_NR_BINS; bin++)
		if (READ_ONCE(cpu->max[bin]))
			return false;
	return !READ_ONCE(cpu->denied);
}

/*
 * Returns what a CPU keeps, and what it was lent. Another CPU that is at it is waited
 * for, but not for ever; this one's may be owned by what has been interrupted. What
 * stays there is little.
 */
static void drain_cpu(unsigned int index, int nr)
{
	struct xen_pool_cpu *cpu = &per_cpu(xen_pool_cpus, nr)[index];
	struct xen_pool_zone *zone = &xen_pool_zones[index];
	unsigned int tries, bin;
	unsigned long flags;

	if (has_nothing(cpu))
		return;

	local_irq_save(flags);
	tries = nr == smp_processor_id() ? 1 : DRAIN_TRIES;
	while (!xen_pool_try_own(cpu)) {
		if (!--tries)
			goto out;
		cpu_relax();
	}
	raw_spin_lock(&zone->lock);
	for (bin = 0; bin < XEN_NR_BINS; bin++) {
		magazine_free(&cpu->loaded[bin]);
		magazine_free(&cpu->spare[bin]);
		zone->lent -= lent_for(cpu->max[bin], bin);
		WRITE_ONCE(cpu->max[bin], 0);
	}
	cpu->denied = 0;
	raw_spin_unlock(&zone->lock);
	xen_pool_disown(cpu);
out:
	local_irq_restore(flags);
}

/* A magazine at a time, for there may be many. */
static void drain_depot(struct xen_pool_zone *zone)
{
	struct xen_magazine magazine;
	unsigned int bin = 0;
	unsigned long flags;

	while (bin < XEN_NR_BINS) {
		raw_spin_lock_irqsave(&zone->lock, flags);
		if (zone->depot[bin].nr) {
			depot_get(zone, bin, &magazine);
			magazine_free(&magazine);
		} else {
			bin++;
		}
		raw_spin_unlock_irqrestore(&zone->lock, flags);
	}
}

static void drain_zone(unsigned int index)
{
	int cpu;

	if (!READ_ONCE(xen_pool_zones[index].total))
		return;

	for_each_possible_cpu(cpu)
		drain_cpu(index, cpu);
	drain_depot(&xen_pool_zones[index]);
}

/**
 * xen_pool_drain() - return what CPUs and depots keep to the buddies
 * @reach:	of the zones that hold some of this
 * @reserve:	of the reserve as well, for a device that reaches more
 *
 * Context: Any.
 */
void xen_pool_drain(const struct xen_pool_reach *reach, bool reserve)
{
	unsigned int i;

	for (i = reach->zones > 1 && !reserve; i < reach->zones; i++)
		drain_zone(i);
}

/* CPUs that are no longer at work may have what others could use. */
static void rebalance(struct work_struct *work)
{
	u64 now = get_jiffies_64();
	unsigned int i;

	if (now > rebalanced_at + 2 * rebalance_pause)
		WRITE_ONCE(rebalance_pause, HZ);
	else
		WRITE_ONCE(rebalance_pause,
			   min(2 * rebalance_pause, REBALANCE_MAX));
	WRITE_ONCE(rebalanced_at, now);

	for (i = 0; i < XEN_NR_ZONES; i++)
		if (test_and_clear_bit(i, &short_zones))
			drain_zone(i);
}

/* From the CPU's magazines of a zone, which are filled if need be. */
static struct xen_pool_block take_kept(unsigned int index, unsigned int bin)
{
	struct xen_pool_block block = {};
	struct xen_pool_cpu *cpu;

	preempt_disable();
	cpu = &this_cpu_ptr(xen_pool_cpus)[index];
	if (xen_pool_try_own(cpu)) {
		if (cpu->loaded[bin].nr || refill(cpu, bin, index))
			block = xen_magazine_pop(&cpu->loaded[bin]);
		xen_pool_disown(cpu);
	}
	preempt_enable();

	return block;
}

/*
 * From the buddy; the block is as large as was asked for. What was made for devices of
 * some width is left to devices that do not reach everything, unless @reserve.
 */
static struct xen_pool_block take_exactly(const struct xen_pool_reach *reach,
					  unsigned int index, u32 nr,
					  bool reserve)
{
	unsigned long flags, origins = BIT(XEN_CHUNK_BOOT) | BIT(XEN_CHUNK_GROWN);
	struct xen_pool_zone *zone = &xen_pool_zones[index];
	struct xen_pool_block block = {};
	u32 mslot;

	if (READ_ONCE(zone->free) < nr || READ_ONCE(zone->first) >= reach->end)
		return block;
	if (reserve || reach->end != XEN_NO_SLOT ||
	    (XEN_BUS_WINDOWS && reach->start))
		origins |= BIT(XEN_CHUNK_OBTAINED);

	raw_spin_lock_irqsave(&zone->lock, flags);
	mslot = xen_pool_take_slots(zone, nr, reach->start, reach->end, origins);
	if (mslot != XEN_NO_SLOT) {
		block = xen_block_at(mslot);
		block.slot->bin = XEN_NO_BIN;
		block.slot->nr = nr;
	}
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	return block;
}

/**
 * xen_pool_take() - take a block that is there
 * @reach:	what the device may use, some of the pool at least
 * @nr:		slots
 * @reserve:	the reserve as well, and what was made for narrower devices
 *
 * The home zone is tried first, where the chunks are that stay; others only help
 * out, so that chunks which may go become idle.
 *
 * Context: Any.
 * Return: A block, without @slot when there is none.
 */
struct xen_pool_block xen_pool_take(const struct xen_pool_reach *reach,
				    u32 nr, bool reserve)
{
	unsigned int lowest = reach->zones > 1 && !reserve, i = reach->zones;
	struct xen_pool_block block = {};

	/* What is kept may be out of the reach of a narrow device. */
	if (!reach->narrow && nr <= XEN_MAX_BIN_SLOTS)
		block = take_kept(reach->home, xen_pool_bin(nr));
	if (!block.slot)
		block = take_exactly(reach, reach->home, nr, reserve);
	while (!block.slot && i-- > lowest)
		if (i != reach->home)
			block = take_exactly(reach, i, nr, reserve);

	return block;
}

/**
 * xen_pool_free() - put a block back that the CPU does not keep
 * @chunk:	where it is
 * @mslot:	number of its first slot
 * @s:		that slot's descriptor
 *
 * Context: Any.
 */
void xen_pool_free(struct xen_pool_chunk *chunk, u32 mslot,
		   struct xen_pool_slot *s)
{
	u32 nr = s->bin == XEN_NO_BIN ? s->nr : xen_pool_bin_slots[s->bin];
	unsigned long flags;

	raw_spin_lock_irqsave(&chunk->zone->lock, flags);
	s->state = XEN_SLOT_INNER;
	xen_pool_free_slots(chunk, mslot, nr);
	raw_spin_unlock_irqrestore(&chunk->zone->lock, flags);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* For the tests: nobody is at work any more. */
void xen_pool_cancel_rebalance(void)
{
	cancel_delayed_work_sync(&rebalance_work);
	short_zones = 0;
	rebalanced_at = 0;
	rebalance_pause = 0;
}

/* For the tests: the CPUs are emptied now, if they are to be at all. */
void xen_pool_flush_rebalance(void)
{
	flush_delayed_work(&rebalance_work);
}
#endif
