// SPDX-License-Identifier: GPL-2.0
/*
 * A device whose DMA is set up more than once: what an earlier pass decided does not bind a
 * later one, and what the bus's dma-ranges say is not lost in between.
 *
 * For a domain that is not mapped 1:1 and where that device's DMA is refused. Passes differ in
 * whether the bus is marked as safe. The device is none, so it does nothing.
 */
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "xdt_arm.h"

/* What dma-ranges of the bus make of guest-physical addresses; none of a machine's here. */
#define WINDOW_BUS	0x200000000ULL
#define WINDOW_START	0x40000000ULL
#define WINDOW_SIZE	0x40000000ULL

static const __be32 ranges[] = {
	cpu_to_be32(WINDOW_BUS >> 32), cpu_to_be32(WINDOW_BUS & U32_MAX),
	cpu_to_be32(WINDOW_START >> 32), cpu_to_be32(WINDOW_START & U32_MAX),
	cpu_to_be32(WINDOW_SIZE >> 32), cpu_to_be32(WINDOW_SIZE & U32_MAX),
};

/* The device's node, and the one above it. */
static struct device_node *nodes[2];
static struct property *added[ARRAY_SIZE(nodes)];
static struct platform_device *pdev;

/* A node keeps what is removed from it, so that is never freed. */
static void add_property(struct kunit *test, unsigned int i, char *name,
			 const void *value, int length)
{
	struct property *prop = kzalloc(sizeof(*prop), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, prop);
	prop->name = name;
	prop->value = (void *)value;
	prop->length = length;
	if (length) {
		prop->value = kmemdup(value, length, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, prop->value);
	}
	KUNIT_ASSERT_EQ(test, 0, of_add_property(nodes[i], prop));
	added[i] = prop;
}

static void remove_property(unsigned int i)
{
	if (added[i])
		of_remove_property(nodes[i], added[i]);
	added[i] = NULL;
}

static int again_init(struct kunit *test)
{
	if (!xdt_engines())
		return -ENODEV;
	nodes[0] = xdt_node_of(&xdt_engine(0)->dev);
	nodes[1] = nodes[0]->parent;
	pdev = platform_device_register_simple("xdt-again", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	pdev->dev.of_node = of_node_get(nodes[0]);
	return 0;
}

static void again_exit(struct kunit *test)
{
	remove_property(0);
	remove_property(1);
	if (IS_ERR_OR_NULL(pdev))
		return;
	/* As the driver core does for a device that loses its driver. */
	kfree(pdev->dev.dma_range_map);
	pdev->dev.dma_range_map = NULL;
	platform_device_unregister(pdev);
}

/* One more pass; where a page is mapped then, DMA_MAPPING_ERROR where it is refused. */
static dma_addr_t set_up(struct kunit *test, void *buf)
{
	struct device *dev = &pdev->dev;
	dma_addr_t dma;

	KUNIT_EXPECT_EQ(test, 0, of_dma_configure(dev, nodes[0], true));
	dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64));
	dma = dma_map_single(dev, buf, PAGE_SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, dma))
		return DMA_MAPPING_ERROR;
	dma_unmap_single(dev, dma, PAGE_SIZE, DMA_TO_DEVICE);
	return dma;
}

static void check(struct kunit *test, u64 offset)
{
	void *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_EXPECT_EQ(test, DMA_MAPPING_ERROR, set_up(test, buf));
	KUNIT_EXPECT_EQ(test, DMA_MAPPING_ERROR, set_up(test, buf));
	add_property(test, 0, "xen,dma-safe", NULL, 0);
	KUNIT_EXPECT_EQ(test, virt_to_phys(buf) + offset, set_up(test, buf));
	KUNIT_EXPECT_EQ(test, virt_to_phys(buf) + offset, set_up(test, buf));
	remove_property(0);
	KUNIT_EXPECT_EQ(test, DMA_MAPPING_ERROR, set_up(test, buf));
}

static void without_ranges(struct kunit *test)
{
	check(test, 0);
}

static void with_ranges(struct kunit *test)
{
	KUNIT_ASSERT_FALSE(test, of_property_present(nodes[1], "dma-ranges"));
	add_property(test, 1, "dma-ranges", ranges, sizeof(ranges));
	check(test, WINDOW_BUS - WINDOW_START);
}

static struct kunit_case again_cases[] = {
	KUNIT_CASE(without_ranges),
	KUNIT_CASE(with_ranges),
	{ }
};

static struct kunit_suite again_suite = {
	.name = "xdt_arm_again",
	.init = again_init,
	.exit = again_exit,
	.test_cases = again_cases,
};

kunit_test_suite(again_suite);

MODULE_DESCRIPTION("DMA tests for ARM: a device that is set up again");
MODULE_LICENSE("GPL");
