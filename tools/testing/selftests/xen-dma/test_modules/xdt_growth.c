// SPDX-License-Identifier: GPL-2.0
/*
 * More is bounced at a time than early boot made room for: the aperture grows,
 * at once where nobody may sleep, and what is mapped stays where it is. What
 * becomes of the room afterwards is growth.sh's to see.
 */
#include <linux/irqflags.h>
#include <linux/module.h>

#include "xdt.h"

/* More than the default aperture, less than the default limit. */
#define GROWTH_BYTES	(96 * SZ_1M)
#define GROWTH_SIZE	SZ_64K
#define GROWTH_MAPPINGS	(GROWTH_BYTES / GROWTH_SIZE)

/* How many of the mappings are looked at through the bus. */
#define GROWTH_LOOKS	32

/* Maps the same bytes again and again; returns how often it went. */
static unsigned int map_many(struct kunit *test, u8 *buf, dma_addr_t *bus,
			     bool atomic)
{
	unsigned int i;

	for (i = 0; i < GROWTH_MAPPINGS; i++) {
		unsigned long flags;

		if (atomic)
			local_irq_save(flags);
		bus[i] = dma_map_single_attrs(xdt_dev(test), buf, GROWTH_SIZE,
					      DMA_BIDIRECTIONAL,
					      DMA_ATTR_NO_WARN);
		if (atomic)
			local_irq_restore(flags);
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
				 DMA_BIDIRECTIONAL);
}

static void check_growth(struct kunit *test, bool atomic)
{
	unsigned int i, nr, len = SZ_2K;
	dma_addr_t *bus;
	u8 *buf, *seen;

	bus = kunit_kcalloc(test, GROWTH_MAPPINGS, sizeof(*bus), GFP_KERNEL);
	seen = kunit_kmalloc(test, len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	buf = xdt_high(test, get_order(GROWTH_SIZE));
	xdt_fill(buf, GROWTH_SIZE, 1);
	xdt_mask(test, 32);

	nr = map_many(test, buf, bus, atomic);
	KUNIT_EXPECT_EQ(test, GROWTH_MAPPINGS, nr);

	/* None of the first mappings has lost its bytes to the last ones. */
	memset(buf, 0, GROWTH_SIZE);
	for (i = 0; i < GROWTH_LOOKS; i++) {
		dma_addr_t at = bus[i * (nr - 1) / (GROWTH_LOOKS - 1)] +
				GROWTH_SIZE - len;

		KUNIT_EXPECT_LE(test, at + len - 1, DMA_BIT_MASK(32));
		KUNIT_ASSERT_EQ(test, 0, xdt_peek(at, seen, len));
		KUNIT_EXPECT_EQ(test, len, xdt_match(seen, len, 1,
						     GROWTH_SIZE - len));
	}
	unmap_many(test, bus, nr);
	KUNIT_EXPECT_EQ(test, GROWTH_SIZE, xdt_match(buf, GROWTH_SIZE, 1, 0));
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
