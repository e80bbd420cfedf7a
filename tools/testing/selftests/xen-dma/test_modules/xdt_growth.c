// SPDX-License-Identifier: GPL-2.0
/*
 * More is bounced at a time than early boot made room for: the aperture grows,
 * at once where nobody may sleep, and what is mapped stays where it is. What
 * becomes of the room afterwards is growth.sh's to see.
 */
#include <linux/module.h>
#include <linux/spinlock.h>

#include "xdt.h"

/* More than the default aperture, less than the default limit. */
#define GROWTH_BYTES	(96 * SZ_1M)
#define GROWTH_SIZE	SZ_64K
#define GROWTH_MAPPINGS	(GROWTH_BYTES / GROWTH_SIZE)

/*
 * That many of the mappings have pages of their own, for the device to read and
 * write, and are looked at through the bus. The others share theirs, and are read.
 */
#define GROWTH_OWN	32
#define GROWTH_STEP	(GROWTH_MAPPINGS / GROWTH_OWN)

/* A driver maps under a lock of its own; on PREEMPT_RT that can be preempted. */
static DEFINE_SPINLOCK(growth_lock);

static bool is_own(unsigned int i)
{
	return i % GROWTH_STEP == 0;
}

static enum dma_data_direction direction(unsigned int i)
{
	return is_own(i) ? DMA_BIDIRECTIONAL : DMA_TO_DEVICE;
}

static dma_addr_t map_one(struct kunit *test, u8 *buf, unsigned int i)
{
	return dma_map_single_attrs(xdt_dev(test), buf, GROWTH_SIZE,
				    direction(i), DMA_ATTR_NO_WARN);
}

/* Maps many times; returns how often it went. */
static unsigned int map_many(struct kunit *test, u8 **own, u8 *shared,
			     dma_addr_t *bus, bool atomic)
{
	unsigned int i;

	for (i = 0; i < GROWTH_MAPPINGS; i++) {
		u8 *buf = is_own(i) ? own[i / GROWTH_STEP] : shared;
		unsigned long flags;

		if (atomic) {
			spin_lock_irqsave(&growth_lock, flags);
			bus[i] = map_one(test, buf, i);
			spin_unlock_irqrestore(&growth_lock, flags);
		} else {
			bus[i] = map_one(test, buf, i);
		}
		if (dma_mapping_error(xdt_dev(test), bus[i]))
			break;
		cond_resched();
	}
	return i;
}

static void unmap_many(struct kunit *test, const dma_addr_t *bus,
		       unsigned int nr)
{
	while (nr--)
		dma_unmap_single(xdt_dev(test), bus[nr], GROWTH_SIZE,
				 direction(nr));
}

static void check_growth(struct kunit *test, bool atomic)
{
	unsigned int i, nr, len = SZ_2K;
	u8 *own[GROWTH_OWN], *shared, *seen;
	dma_addr_t *bus;

	bus = kunit_kcalloc(test, GROWTH_MAPPINGS, sizeof(*bus), GFP_KERNEL);
	seen = kunit_kmalloc(test, len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	shared = xdt_high(test, get_order(GROWTH_SIZE));
	for (i = 0; i < GROWTH_OWN; i++) {
		own[i] = xdt_high(test, get_order(GROWTH_SIZE));
		xdt_fill(own[i], GROWTH_SIZE, i);
	}
	xdt_mask(test, 32);

	nr = map_many(test, own, shared, bus, atomic);
	KUNIT_EXPECT_EQ(test, GROWTH_MAPPINGS, nr);

	/* None of the first mappings has lost its bytes to the last ones. */
	for (i = 0; i * GROWTH_STEP < nr; i++) {
		dma_addr_t at = bus[i * GROWTH_STEP] + GROWTH_SIZE - len;

		memset(own[i], 0, GROWTH_SIZE);
		KUNIT_EXPECT_LE(test, at + len - 1, DMA_BIT_MASK(32));
		KUNIT_ASSERT_EQ(test, 0, xdt_peek(at, seen, len));
		KUNIT_EXPECT_EQ(test, len, xdt_match(seen, len, i,
						     GROWTH_SIZE - len));
	}
	unmap_many(test, bus, nr);
	for (i = 0; i * GROWTH_STEP < nr; i++)
		KUNIT_EXPECT_EQ(test, GROWTH_SIZE,
				xdt_match(own[i], GROWTH_SIZE, i, 0));
}

static void process(struct kunit *test)
{
	check_growth(test, false);
}

static void atomic(struct kunit *test)
{
	check_growth(test, true);
}

static struct kunit_case growth_cases[] = {
	KUNIT_CASE(atomic),
	KUNIT_CASE(process),
	{ }
};

static struct kunit_suite growth_suite = {
	.name = "xdt_growth",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = growth_cases,
};

kunit_test_suite(growth_suite);

MODULE_DESCRIPTION("DMA tests: an aperture that grows");
MODULE_LICENSE("GPL");
