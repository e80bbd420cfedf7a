// SPDX-License-Identifier: GPL-2.0
/*
 * A device that may use nothing but a restricted-dma-pool: whatever is mapped or
 * allocated for it lies in the pool, where that is in the machine.
 */
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>

#include <xen/features.h>

#include "xdt_arm.h"

#define NR	8

static struct resource pool;

static int find_pool(void)
{
	struct device_node *node;
	int ret;

	node = of_find_compatible_node(NULL, NULL, "restricted-dma-pool");
	if (!node)
		return -ENODEV;
	ret = of_address_to_resource(node, 0, &pool);
	of_node_put(node);
	return ret;
}

static int restricted_init(struct kunit *test)
{
	if (find_pool())
		kunit_skip(test, "no restricted-dma-pool");
	return xdt_arm_init(test);
}

/* Memory that the device tree sets aside is not the domain's to grant. */
static u64 where(phys_addr_t phys)
{
	u64 machine;

	if (!xdt_truth(phys, &machine))
		return machine;
	return xen_feature(XENFEAT_direct_mapped) ? phys : XDT_ANYWHERE;
}

/* The whole of it is in one page of the pool after the other. */
static bool is_inside(dma_addr_t bus, size_t size)
{
	phys_addr_t phys = pool.start, end = pool.start + resource_size(&pool);
	dma_addr_t page = round_down(bus, PAGE_SIZE);

	for (; phys < end; phys += PAGE_SIZE) {
		if (where(phys) != page)
			continue;
		page += PAGE_SIZE;
		if (page >= bus + size)
			return true;
	}
	return false;
}

static void check_mapping(struct kunit *test, void *addr, size_t size)
{
	dma_addr_t bus = xdt_map(test, addr, size, DMA_TO_DEVICE);

	KUNIT_EXPECT_TRUE_MSG(test, is_inside(bus, size), "%pad", &bus);
	xdt_unmap(test, bus);
}

static void own(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	for (i = 0; i < NR; i++)
		xdt_own(test, &parts[i], xdt_pages(test, 1), 2 * PAGE_SIZE,
			400 * i, 1 + 700 * i);
	check_mapping(test, parts[0].base + 77, 6000);
	xdt_check_parts(test, parts, NR);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_TRUE(test, is_inside(parts[i].bus,
						  parts[i].size));
}

static void list(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	for (i = 0; i < NR; i++)
		xdt_own(test, &parts[i], xdt_pages(test, 0), PAGE_SIZE, 100 * i,
			1 + 300 * i);
	xdt_check_list(test, parts, NR, false);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_TRUE(test, is_inside(parts[i].bus,
						  parts[i].size));
	xdt_check_list(test, parts, NR, true);
}

static void foreign(struct kunit *test)
{
	struct xdt_foreign *pages = xdt_foreign(test, NR, 0);
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	for (i = 0; i < NR; i++)
		xdt_theirs(&parts[i], pages, i, 10 * i, PAGE_SIZE - 200 * i);
	check_mapping(test, parts[0].mapped, PAGE_SIZE);
	xdt_check_parts(test, parts, NR);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_TRUE(test, is_inside(parts[i].bus,
						  parts[i].size));
}

static void coherent(struct kunit *test)
{
	static const size_t sizes[] = { PAGE_SIZE, SZ_32K };
	struct device *dev = xdt_dev(test);
	unsigned int i;
	u8 seen[64];

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		dma_addr_t bus;
		void *addr;

		addr = dma_alloc_coherent(dev, sizes[i], &bus, GFP_KERNEL);
		KUNIT_EXPECT_NOT_NULL(test, addr);
		if (!addr)
			continue;
		KUNIT_EXPECT_TRUE(test, is_inside(bus, sizes[i]));
		xdt_fill(addr, sizeof(seen), i);
		KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, sizeof(seen)));
		KUNIT_EXPECT_EQ(test, sizeof(seen),
				xdt_match(seen, sizeof(seen), i, 0));
		dma_free_coherent(dev, sizes[i], addr, bus);
	}
}

static struct kunit_case restricted_cases[] = {
	KUNIT_CASE(own),
	KUNIT_CASE(list),
	KUNIT_CASE(foreign),
	KUNIT_CASE(coherent),
	{ }
};

static struct kunit_suite restricted_suite = {
	.name = "xdt_arm_restricted",
	.init = restricted_init,
	.exit = xdt_arm_exit,
	.test_cases = restricted_cases,
};

kunit_test_suite(restricted_suite);

MODULE_DESCRIPTION("DMA tests for ARM: a device with a pool of its own");
MODULE_LICENSE("GPL");
