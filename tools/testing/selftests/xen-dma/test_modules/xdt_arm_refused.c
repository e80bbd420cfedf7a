// SPDX-License-Identifier: GPL-2.0
/*
 * A domain of which nobody says where its memory is: all that would have a device
 * use an address is refused, however often it is tried.
 *
 * The device is told nothing and does nothing. The script counts the messages.
 */
#include <linux/module.h>

#include "xdt.h"

#define TRIES	100

static struct device *dev;
static void *buf;

static int refused_init(struct kunit *test)
{
	if (!xdt_engines())
		return -ENODEV;
	dev = &xdt_engine(0)->dev;
	buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	return buf ? 0 : -ENOMEM;
}

static void set_mask(struct kunit *test)
{
	static const unsigned int widths[] = { 64, 40, 32, 30 };
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		u64 mask = DMA_BIT_MASK(widths[i % ARRAY_SIZE(widths)]);

		KUNIT_ASSERT_NE(test, 0, dma_set_mask(dev, mask));
		KUNIT_ASSERT_NE(test, 0, dma_set_coherent_mask(dev, mask));
	}
}

static void map(struct kunit *test)
{
	unsigned int i;
	dma_addr_t bus;

	for (i = 0; i < TRIES; i++) {
		bus = dma_map_single(dev, buf, 1 + i, DMA_TO_DEVICE);
		KUNIT_EXPECT_NE(test, 0, dma_mapping_error(dev, bus));
		if (dma_mapping_error(dev, bus))
			continue;
		dma_unmap_single(dev, bus, 1 + i, DMA_TO_DEVICE);
		break;
	}
}

static void map_list(struct kunit *test)
{
	struct scatterlist sg[2];
	unsigned int i;
	int n;

	for (i = 0; i < TRIES; i++) {
		sg_init_table(sg, 2);
		sg_set_buf(&sg[0], buf, 100);
		sg_set_buf(&sg[1], buf + 1000, 100);
		n = dma_map_sg(dev, sg, 2, DMA_FROM_DEVICE);
		KUNIT_EXPECT_EQ(test, 0, n);
		if (!n)
			continue;
		dma_unmap_sg(dev, sg, 2, DMA_FROM_DEVICE);
		break;
	}
}

static void coherent(struct kunit *test)
{
	unsigned int i;
	dma_addr_t bus;
	void *addr;

	for (i = 0; i < TRIES; i++) {
		addr = dma_alloc_coherent(dev, PAGE_SIZE << (i % 4), &bus,
					  GFP_KERNEL | __GFP_NOWARN);
		KUNIT_EXPECT_NULL(test, addr);
		if (!addr)
			continue;
		dma_free_coherent(dev, PAGE_SIZE << (i % 4), addr, bus);
		break;
	}
}

static void pages(struct kunit *test)
{
	dma_addr_t bus;
	struct page *page;

	page = dma_alloc_pages(dev, PAGE_SIZE, &bus, DMA_TO_DEVICE,
			       GFP_KERNEL | __GFP_NOWARN);
	KUNIT_EXPECT_NULL(test, page);
	if (page)
		dma_free_pages(dev, PAGE_SIZE, page, bus, DMA_TO_DEVICE);
}

/* Not the registers of a peer either. */
static void mmio(struct kunit *test)
{
	phys_addr_t phys = pci_resource_start(xdt_engine(0), 0);
	dma_addr_t bus = dma_map_resource(dev, phys, PAGE_SIZE,
					  DMA_BIDIRECTIONAL, 0);

	KUNIT_EXPECT_NE(test, 0, dma_mapping_error(dev, bus));
}

static struct kunit_case refused_cases[] = {
	KUNIT_CASE(set_mask),
	KUNIT_CASE(map),
	KUNIT_CASE(map_list),
	KUNIT_CASE(coherent),
	KUNIT_CASE(pages),
	KUNIT_CASE(mmio),
	{ }
};

static struct kunit_suite refused_suite = {
	.name = "xdt_arm_refused",
	.init = refused_init,
	.test_cases = refused_cases,
};

kunit_test_suite(refused_suite);

MODULE_DESCRIPTION("DMA tests for ARM: nothing known, all refused");
MODULE_LICENSE("GPL");
