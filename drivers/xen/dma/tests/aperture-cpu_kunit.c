// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what each CPU keeps of the pool: it has a bound, all of it comes
 * back, and what is kept costs no lock.
 */
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "fixture.h"

/* What CPUs may keep has a bound, whatever they use, and all of it comes back. */
static void xdt_lending(struct kunit *test)
{
	const struct xen_pool_reach all = xen_pool_reach(U64_MAX);
	struct xdt *x = test->priv;
	unsigned int slots, i, round;
	dma_addr_t bus;

	for (round = 0; round < 3; round++) {
		/* In a small one there is not enough for each size. */
		if (round == 2) {
			x->size = SZ_8M;
			xdt_restart(x, SZ_1M, SZ_2G);
		}
		for (slots = 1; slots <= XEN_MAX_BIN_SLOTS; slots++) {
			bus = xdt_map(x->dev, x->buf, slots * XDT_SLOT,
				      DMA_TO_DEVICE, 0);
			KUNIT_EXPECT_NE(test, bus, DMA_MAPPING_ERROR);
			xdt_unmap(x->dev, bus, slots * XDT_SLOT, DMA_TO_DEVICE,
				  0);
			for (i = 0; i < XEN_NR_ZONES; i++)
				KUNIT_EXPECT_LE(test, xen_pool_zones[i].lent,
						xen_pool_zones[i].total / 4);
		}
		xen_pool_drain(&all, true);
		for (i = 0; i < XEN_NR_ZONES; i++) {
			KUNIT_EXPECT_EQ(test, xen_pool_zones[i].lent, 0);
			KUNIT_EXPECT_EQ(test, xen_pool_zones[i].stored, 0);
			KUNIT_EXPECT_EQ(test, xen_pool_zones[i].free,
					xen_pool_zones[i].total);
		}
	}
}

/* Whether some CPU was denied room for some size. */
static bool xdt_denied(void)
{
	unsigned int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < XEN_NR_ZONES; i++)
			if (per_cpu(xen_pool_cpus, cpu)[i].denied)
				return true;
	return false;
}

/* Who is denied room gets it later, though the CPUs have just been emptied. */
static void xdt_rebalance(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int round, slots;
	dma_addr_t bus;

	x->size = SZ_8M;
	xdt_restart(x, SZ_1M, SZ_2G);
	for (round = 0; round < 3; round++) {
		for (slots = 1; slots <= XEN_MAX_BIN_SLOTS; slots++) {
			bus = xdt_map(x->dev, x->buf, slots * XDT_SLOT,
				      DMA_TO_DEVICE, 0);
			xdt_unmap(x->dev, bus, slots * XDT_SLOT, DMA_TO_DEVICE,
				  0);
		}
		/* The first time the worker may have been at it already. */
		if (round)
			KUNIT_EXPECT_TRUE(test, xdt_denied());
		xen_pool_flush_rebalance();
		if (round)
			KUNIT_EXPECT_FALSE(test, xdt_denied());
	}
}

/*
 * A CPU that maps and unmaps takes no lock, up to 256 KiB: all of them are held while
 * it does so.
 */
static void xdt_no_lock(struct kunit *test)
{
	static const size_t sizes[] = { 64, SZ_4K, 5 * SZ_4K, 9 * SZ_4K, SZ_64K,
					25 * SZ_4K, SZ_256K };
	struct xdt *x = test->priv;
	unsigned int i, j, failed = 0;
	unsigned long flags;
	dma_addr_t bus;

	local_irq_save(flags);
	for (j = 0; j < 20; j++) {
		/* What each size needs it has after the first time. */
		for (i = 0; j == 1 && i < XEN_NR_ZONES; i++)
			raw_spin_lock_nested(&xen_pool_zones[i].lock, i);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			bus = xdt_map(x->dev, x->buf, sizes[i], DMA_TO_DEVICE,
				      DMA_ATTR_NO_WARN);
			failed += bus == DMA_MAPPING_ERROR;
			if (bus != DMA_MAPPING_ERROR)
				xdt_unmap(x->dev, bus, sizes[i], DMA_TO_DEVICE,
					  0);
		}
	}
	for (i = 0; i < XEN_NR_ZONES; i++)
		raw_spin_unlock(&xen_pool_zones[i].lock);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, failed, 0);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_lending),
	KUNIT_CASE(xdt_rebalance),
	KUNIT_CASE(xdt_no_lock),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-cpu",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: CPUs");
MODULE_LICENSE("GPL");
