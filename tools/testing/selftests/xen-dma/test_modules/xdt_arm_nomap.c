// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is set aside as no-map: it has pages, but the kernel has no mapping of it, so
 * its caches can't be seen to, and need not be. A device that reaches it uses it in place;
 * there is nothing that the CPU could bounce.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>

#include "xdt_arm.h"

static struct resource region;

static int nomap_init(struct kunit *test)
{
	struct device_node *node = of_find_node_with_property(NULL, "no-map");
	int rc = node ? of_address_to_resource(node, 0, &region) : -ENODEV;

	of_node_put(node);
	if (rc)
		kunit_skip(test, "no memory is set aside");
	return xdt_arm_init(test);
}

static struct page *nomap_page(struct kunit *test)
{
	KUNIT_ASSERT_TRUE(test, pfn_valid(PHYS_PFN(region.start)));
	return pfn_to_page(PHYS_PFN(region.start));
}

static void in_place(struct kunit *test)
{
	struct page *page = nomap_page(test);
	struct device *dev = xdt_dev(test);
	unsigned int i;

	xdt_mask(test, 64);
	for (i = 0; i < 3; i++) {
		static const enum dma_data_direction dirs[] = {
			DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL,
		};
		dma_addr_t bus = dma_map_page(dev, page, 0, PAGE_SIZE, dirs[i]);

		KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, bus));
		KUNIT_EXPECT_EQ(test, bus, region.start);
		dma_sync_single_for_cpu(dev, bus, 100, dirs[i]);
		dma_sync_single_for_device(dev, bus, 100, dirs[i]);
		dma_unmap_page(dev, bus, PAGE_SIZE, dirs[i]);
	}
}

static void data(struct kunit *test)
{
	void __iomem *mapped = ioremap_wc(region.start, PAGE_SIZE);
	struct device *dev = xdt_dev(test);
	u8 bytes[64];
	dma_addr_t bus;

	KUNIT_ASSERT_TRUE(test, !!mapped);
	xdt_mask(test, 64);
	bus = dma_map_page(dev, nomap_page(test), 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_FALSE(test, dma_mapping_error(dev, bus));
	xdt_fill(bytes, sizeof(bytes), 3);
	KUNIT_EXPECT_EQ(test, 0, xdt_poke(bus, bytes, sizeof(bytes)));
	memcpy_fromio(bytes, mapped, sizeof(bytes));
	KUNIT_EXPECT_EQ(test, sizeof(bytes), xdt_match(bytes, sizeof(bytes), 3, 0));
	dma_unmap_page(dev, bus, PAGE_SIZE, DMA_BIDIRECTIONAL);
	iounmap(mapped);
}

static void list(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	struct scatterlist sg[2];

	xdt_mask(test, 64);
	sg_init_table(sg, 2);
	sg_set_page(&sg[0], nomap_page(test), 100, 0);
	sg_set_page(&sg[1], nomap_page(test) + 2, 200, 300);
	KUNIT_ASSERT_EQ(test, 2, dma_map_sg(dev, sg, 2, DMA_FROM_DEVICE));
	KUNIT_EXPECT_EQ(test, sg_dma_address(&sg[0]), region.start);
	KUNIT_EXPECT_EQ(test, sg_dma_address(&sg[1]),
			region.start + 2 * PAGE_SIZE + 300);
	dma_unmap_sg(dev, sg, 2, DMA_FROM_DEVICE);
}

/* What the device can't use where it is: an error, singly and in lists. */
static void not_in_place(struct kunit *test)
{
	struct page *own = virt_to_page(xdt_pages(test, 0));
	struct device *dev = xdt_dev(test);
	struct scatterlist sg[2];
	dma_addr_t bus;

	xdt_mask(test, 64);
	dma_set_seg_boundary(dev, 2047);
	bus = dma_map_page(dev, nomap_page(test), 2000, 100, DMA_TO_DEVICE);
	KUNIT_EXPECT_NE(test, 0, dma_mapping_error(dev, bus));
	sg_init_table(sg, 1);
	sg_set_page(sg, nomap_page(test), 100, 2000);
	KUNIT_EXPECT_EQ(test, 0, dma_map_sg(dev, sg, 1, DMA_TO_DEVICE));
	sg_init_table(sg, 2);
	sg_set_page(&sg[0], own, 100, 2000);
	sg_set_page(&sg[1], nomap_page(test), 100, 2000);
	KUNIT_EXPECT_EQ(test, 0, dma_map_sg(dev, sg, 2, DMA_TO_DEVICE));
}

static struct kunit_case nomap_cases[] = {
	KUNIT_CASE(in_place),
	KUNIT_CASE(data),
	KUNIT_CASE(list),
	KUNIT_CASE(not_in_place),
	{ }
};

static struct kunit_suite nomap_suite = {
	.name = "xdt_arm_nomap",
	.init = nomap_init,
	.exit = xdt_arm_exit,
	.test_cases = nomap_cases,
};

kunit_test_suite(nomap_suite);

MODULE_DESCRIPTION("DMA tests for ARM: memory that is not mapped");
MODULE_LICENSE("GPL");
