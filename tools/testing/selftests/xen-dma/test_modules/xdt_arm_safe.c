// SPDX-License-Identifier: GPL-2.0
/*
 * A device that is marked as safe, for the hypervisor has an IOMMU translate for
 * it: it is given guest-physical addresses, with no offset and without bouncing.
 *
 * No data is moved, for the test bed may have no such IOMMU.
 */
#include <linux/module.h>
#include <linux/of.h>

#include "xdt_arm.h"

static bool translated;
module_param(translated, bool, 0444);
MODULE_PARM_DESC(translated,
		 "it is said, but not in the device tree, that an IOMMU translates for all devices");

/* Has the device, or what is above it, the property? */
static bool has_flag(struct device *dev, const char *name)
{
	struct device_node *node;
	bool found = false;

	for (node = of_node_get(xdt_node_of(dev)); node && !found;
	     node = of_get_next_parent(node))
		found = of_property_present(node, name);
	of_node_put(node);
	return found;
}

/* Does the hypervisor's node have the property? */
static bool is_published(const char *name)
{
	struct device_node *np = of_find_compatible_node(NULL, NULL, "xen,xen");
	bool found = of_property_present(np, name);

	of_node_put(np);
	return found;
}

/* Is an IOMMU taken to translate: is that said, or nothing at all? */
static bool is_translated(struct device *dev)
{
	return has_flag(dev, "xen,dma-safe") || translated ||
	       is_published("xen,dma-translated") ||
	       (!has_flag(dev, "xen,dma-unprotected") &&
		!is_published("xen,dma-offset") &&
		!is_published("xen,dma-ranges") && !xen_initial_domain());
}

static int safe_init(struct kunit *test)
{
	if (xdt_engines() && !is_translated(&xdt_engine(0)->dev))
		kunit_skip(test, "no IOMMU is taken to translate for the device");
	return xdt_arm_init(test);
}

static void single(struct kunit *test)
{
	void *found[XDT_MAX_RUNS];
	unsigned int i;

	xdt_from_runs(test, 0, found);
	for (i = 0; i < XDT_MAX_RUNS; i++)
		if (found[i])
			KUNIT_EXPECT_EQ(test, virt_to_phys(found[i]) + 5,
					xdt_map(test, found[i] + 5, 1000,
						DMA_TO_DEVICE));
}

static void list(struct kunit *test)
{
	struct sg_table *table = xdt_table(test, 3);
	u8 *buf = xdt_pages(test, 2);
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(table, sg, i)
		sg_set_buf(sg, buf + i * PAGE_SIZE + 3, 100);
	xdt_map_table(test, table, DMA_FROM_DEVICE);
	KUNIT_ASSERT_EQ(test, 3, table->nents);
	for_each_sgtable_dma_sg(table, sg, i)
		KUNIT_EXPECT_EQ(test, virt_to_phys(buf + i * PAGE_SIZE + 3),
				sg_dma_address(sg));
}

static void coherent(struct kunit *test)
{
	static const size_t sizes[] = { PAGE_SIZE, SZ_64K, SZ_1M };
	struct device *dev = xdt_dev(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		dma_addr_t bus;
		void *addr;

		addr = dma_alloc_coherent(dev, sizes[i], &bus, GFP_KERNEL);
		KUNIT_EXPECT_NOT_NULL(test, addr);
		if (!addr)
			continue;
		KUNIT_EXPECT_EQ(test, bus, is_vmalloc_addr(addr) ?
				page_to_phys(vmalloc_to_page(addr)) :
				virt_to_phys(addr));
		dma_free_coherent(dev, sizes[i], addr, bus);
	}
}

/* The IOMMU has them where they are mapped. */
static void foreign(struct kunit *test)
{
	struct xdt_foreign *pages = xdt_foreign(test, 4, 0);
	unsigned int i;

	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, page_to_phys(pages->pages[i]),
				xdt_map(test, page_address(pages->pages[i]),
					PAGE_SIZE, DMA_TO_DEVICE));
}

static struct kunit_case safe_cases[] = {
	KUNIT_CASE(single),
	KUNIT_CASE(list),
	KUNIT_CASE(coherent),
	KUNIT_CASE(foreign),
	{ }
};

static struct kunit_suite safe_suite = {
	.name = "xdt_arm_safe",
	.init = safe_init,
	.exit = xdt_arm_exit,
	.test_cases = safe_cases,
};

kunit_test_suite(safe_suite);

MODULE_DESCRIPTION("DMA tests for ARM: a device that an IOMMU translates for");
MODULE_LICENSE("GPL");
