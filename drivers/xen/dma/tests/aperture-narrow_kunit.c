// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of chunks for narrow devices: they get what they reach, and others
 * leave it to them while there is anything else.
 */
#include <linux/irqflags.h>
#include <linux/module.h>

#include "exhaust.h"

/* Where the hypervisor has nothing either, nothing is tried. */
static void xdt_obtain_none(struct xdt *x)
{
	unsigned long exchanges = xen_machine_exchanges();
	struct device *dev = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	struct kunit *test = x->test;
	dma_addr_t bus;

	KUNIT_EXPECT_EQ(test, -ENOMEM,
			xen_aperture_obtain(dev, DMA_BIT_MASK(24)));
	KUNIT_EXPECT_EQ(test, 0,
			xen_swiotlb_dma_ops.dma_supported(dev,
							  DMA_BIT_MASK(24)));
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), exchanges);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	bus = xdt_map(dev, x->buf, 1, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(test, bus, DMA_MAPPING_ERROR);
}

/* Once there is a chunk for devices of @bits, no second one is added. */
static void xdt_obtain_once(struct xdt *x, unsigned int bits)
{
	u64 mask = DMA_BIT_MASK(bits);
	struct kunit *test = x->test;
	unsigned long free, total;
	struct device *dev;
	dma_addr_t bus;
	char name[16];

	snprintf(name, sizeof(name), "dma%u", bits);
	dev = xdt_device(x, name, mask);
	free = xen_machine_low_free(bits);
	KUNIT_EXPECT_EQ(test, xen_aperture_obtain(dev, mask), 0);
	KUNIT_EXPECT_LT_MSG(test, xen_machine_low_free(bits), free, "%u bits",
			    bits);
	KUNIT_EXPECT_LE(test, xdt_total(), xen_pool_max);

	/* There is one now. */
	free = xen_machine_low_free(bits);
	KUNIT_EXPECT_EQ(test, xen_aperture_obtain(dev, mask), 0);
	KUNIT_EXPECT_EQ_MSG(test, xen_machine_low_free(bits), free, "%u bits",
			    bits);

	total = xdt_total();
	bus = xdt_map(dev, x->buf, SZ_1M, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_NE(test, bus, DMA_MAPPING_ERROR);
	if (bus == DMA_MAPPING_ERROR)
		return;
	KUNIT_EXPECT_LE_MSG(test, bus + SZ_1M - 1, mask, "%u bits", bits);
	/* Its own chunk serves it, so none is added. */
	KUNIT_EXPECT_EQ(test, xdt_total(), total);
	xdt_unmap(dev, bus, SZ_1M, DMA_TO_DEVICE, 0);
}

/* Memory for narrow devices, where the aperture at boot has none. */
static void xdt_obtain(struct kunit *test)
{
	static const unsigned int bits[] = { 31, 30, 28 };
	struct xdt *x = test->priv;
	unsigned int i;

	/* Nothing below 16 MiB; the aperture takes the highest. */
	xdt_restart(x, SZ_64M, SZ_2G + SZ_1G);
	xen_pool_max = x->size + SZ_32M;

	xdt_obtain_none(x);
	for (i = 0; i < ARRAY_SIZE(bits); i++)
		xdt_obtain_once(x, bits[i]);
}

/* A narrow device's chunks come from where it reaches. */
static void xdt_grow_narrow(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct device *dev = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	unsigned long low = xen_machine_low_free(24);
	unsigned int before, nr;

	before = xdt_exhaust(x, dev, SZ_64K, bus, 1000);
	xdt_release(x, dev, SZ_64K, bus, before);
	KUNIT_EXPECT_GE(test, before, SZ_1M / SZ_64K);

	xdt_patience();
	xen_pool_max = x->size + XDT_CHUNK;
	nr = xdt_exhaust_atomic(x, dev, SZ_64K, bus, 1000);
	KUNIT_EXPECT_EQ(test, nr, before + XDT_CHUNK / SZ_64K);
	KUNIT_EXPECT_EQ(test, low - xen_machine_low_free(24),
			XDT_CHUNK >> PAGE_SHIFT);
	xdt_check_contents(x, SZ_64K, bus, nr);
	xdt_release(x, dev, SZ_64K, bus, nr);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), low);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
}

/* A hypervisor that has the lowest memory only keeps it for narrow devices. */
static void xdt_grow_spares_lowest(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct device *dev = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	unsigned long low;
	unsigned int nr;

	xen_machine_set_low(0, SZ_16M);
	low = xen_machine_low_free(24);
	xen_pool_max = x->size + 2 * XDT_CHUNK;
	nr = xdt_exhaust_atomic(x, x->dev, SZ_64K, bus, 2 * x->size / SZ_64K);
	xen_pool_flush_work();
	KUNIT_EXPECT_EQ(test, nr, x->size / SZ_64K);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), low);
	xdt_release(x, x->dev, SZ_64K, bus, nr);

	/* Who needs it gets it, and what has just failed for others is no bar. */
	nr = xdt_exhaust_atomic(x, dev, SZ_64K, bus, 1000);
	KUNIT_EXPECT_GT(test, xdt_total(), x->size);
	KUNIT_EXPECT_LT(test, xen_machine_low_free(24), low);
	xdt_release(x, dev, SZ_64K, bus, nr);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), low);
}

/* What was made for narrow devices is theirs while there is anything else. */
static void xdt_spares_narrow(struct xdt *x, struct device *dev,
			      dma_addr_t *bus)
{
	struct kunit *test = x->test;
	dma_addr_t *narrow;
	unsigned int nr, few;

	xen_pool_max = x->size + 2 * XDT_CHUNK;
	KUNIT_ASSERT_EQ(test, 0, xen_aperture_obtain(dev, DMA_BIT_MASK(30)));
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size + XDT_CHUNK);

	nr = xdt_exhaust_atomic(x, x->dev, SZ_64K, bus,
				(x->size + XDT_CHUNK) / SZ_64K);
	KUNIT_EXPECT_EQ(test, nr, (x->size + XDT_CHUNK) / SZ_64K);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size + 2 * XDT_CHUNK);
	narrow = bus + nr;
	few = xdt_exhaust(x, dev, SZ_64K, narrow, 1000);
	KUNIT_EXPECT_EQ(test, few, XDT_CHUNK / SZ_64K);
	xdt_release(x, dev, SZ_64K, narrow, few);

	/* For want of anything else it is better than nothing. */
	few = xdt_exhaust(x, x->dev, SZ_64K, narrow, 1000);
	KUNIT_EXPECT_EQ(test, few, XDT_CHUNK / SZ_64K);
	xdt_release(x, x->dev, SZ_64K, narrow, few);
	xdt_release(x, x->dev, SZ_64K, bus, nr);
}

/* Whether the aperture lies in the zone of what is made for narrow devices or not. */
static void xdt_grow_spares_narrow(struct kunit *test)
{
	static const u64 low_ends[] = { SZ_2G + (u64)SZ_1G, SZ_2G };
	struct xdt *x = test->priv;
	struct device *dev = xdt_device(x, "dma30", DMA_BIT_MASK(30));
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(low_ends); i++) {
		xdt_restart(x, SZ_64M, low_ends[i]);
		xdt_spares_narrow(x, dev, bus);
	}
}

/* Does the worker add a chunk for a mapping that has failed? Not if it was too early. */
static bool xdt_wakes(struct xdt *x, struct device *dev)
{
	u64 total = xdt_total();
	unsigned long flags;
	dma_addr_t bus;

	xdt_patience();
	xen_machine_fail_exchanges(-ENOMEM);
	local_irq_save(flags);
	bus = xdt_map(dev, x->buf, SZ_64K, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	xen_machine_fail_exchanges(0);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(x->test, bus, DMA_MAPPING_ERROR);
	xen_pool_flush_work();

	return xdt_total() > total;
}

/* Who finds no room at all wakes the worker, be it narrow or wide. */
static void xdt_grow_wakes(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *narrow = xdt_device(x, "dma30", DMA_BIT_MASK(30));
	struct device *devs[] = { x->dev, narrow };
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, nr, tries;

	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		xdt_restart(x, SZ_64M, SZ_2G + (u64)SZ_1G);
		xen_pool_max = x->size + 4 * XDT_CHUNK;
		KUNIT_ASSERT_EQ(test, 0,
				xen_aperture_obtain(narrow, DMA_BIT_MASK(30)));
		xen_machine_fail_exchanges(-ENOMEM);
		nr = xdt_exhaust_atomic(x, devs[i], SZ_64K, bus, 2000);
		xen_pool_flush_work();
		for (tries = 5; tries && !xdt_wakes(x, devs[i]); tries--)
			;
		KUNIT_EXPECT_NE_MSG(test, tries, 0, "device %u", i);
		xdt_release(x, devs[i], SZ_64K, bus, nr);
	}
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_obtain),
	KUNIT_CASE(xdt_grow_narrow),
	KUNIT_CASE(xdt_grow_spares_lowest),
	KUNIT_CASE(xdt_grow_spares_narrow),
	KUNIT_CASE_SLOW(xdt_grow_wakes),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-narrow",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: narrow devices");
MODULE_LICENSE("GPL");
