// SPDX-License-Identifier: GPL-2.0
/*
 * A device behind an IOMMU that the kernel drives, which the generic code has to
 * serve: its driver may set masks, what it is given are addresses of the IOMMU's, which
 * makes one piece of several, and data arrives. What was unmapped is stopped.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "xdt.h"

#define NR	3U
#define LEN	1000U
#define STRAY	16U

/* Both ways. */
static void check_data(struct kunit *test, void *addr, dma_addr_t bus,
		       size_t len, unsigned int seed)
{
	u8 *seen = kunit_kzalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(addr, len, seed);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, len));
	KUNIT_EXPECT_EQ(test, len, xdt_match(seen, len, seed, 0));
	xdt_fill(seen, len, seed + 1);
	KUNIT_EXPECT_EQ(test, 0, xdt_poke(bus, seen, len));
	KUNIT_EXPECT_EQ(test, len, xdt_match(addr, len, seed + 1, 0));
}

static void masks(struct kunit *test)
{
	struct device *dev = xdt_dev(test);

	KUNIT_EXPECT_EQ(test, 0, dma_set_mask_and_coherent(dev, DMA_BIT_MASK(32)));
	KUNIT_EXPECT_EQ(test, 0, dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64)));
}

static void single(struct kunit *test)
{
	u8 *addr = xdt_pages(test, 0);
	dma_addr_t bus = xdt_map(test, addr + 5, LEN, DMA_BIDIRECTIONAL);

	KUNIT_EXPECT_NE(test, bus, virt_to_phys(addr + 5));
	check_data(test, addr + 5, bus, LEN, 1);
}

static void list(struct kunit *test)
{
	struct sg_table *table = xdt_table(test, NR);
	u8 *buf = xdt_pages(test, 3);
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(table, sg, i)
		sg_set_buf(sg, buf + 2 * i * PAGE_SIZE, PAGE_SIZE);
	xdt_map_table(test, table, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, NR * PAGE_SIZE, xdt_check_table(test, table));
	KUNIT_ASSERT_EQ(test, 1, table->nents);
	for (i = 0; i < NR; i++)
		check_data(test, buf + 2 * i * PAGE_SIZE,
			   sg_dma_address(table->sgl) + i * PAGE_SIZE,
			   LEN, 2 * i);
}

static void coherent(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	dma_addr_t bus;
	void *addr;

	addr = dma_alloc_coherent(dev, SZ_64K, &bus, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	check_data(test, addr + SZ_64K - LEN, bus + SZ_64K - LEN, LEN, 7);
	dma_free_coherent(dev, SZ_64K, addr, bus);
}

/* To be the last one, for its report is told from others by when it comes. */
static void unmapped(struct kunit *test)
{
	void *addr = xdt_pages(test, 0);
	dma_addr_t bus = xdt_map(test, addr, PAGE_SIZE, DMA_BIDIRECTIONAL);
	u8 seen[STRAY];

	check_data(test, addr, bus, STRAY, 9);
	xdt_unmap(test, bus);
	pr_info("xdt: stray read of %u bytes at %pad\n", STRAY, &bus);
	memset(seen, XDT_SECRET, STRAY);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, STRAY));
	KUNIT_EXPECT_NULL(test, memchr_inv(seen, 0, STRAY));
}

static struct kunit_case iommu_cases[] = {
	KUNIT_CASE(masks),
	KUNIT_CASE(single),
	KUNIT_CASE(list),
	KUNIT_CASE(coherent),
	KUNIT_CASE(unmapped),
	{ }
};

static struct kunit_suite iommu_suite = {
	.name = "xdt_arm_iommu",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = iommu_cases,
};

kunit_test_suite(iommu_suite);

MODULE_DESCRIPTION("DMA tests for ARM: an IOMMU that the kernel drives");
MODULE_LICENSE("GPL");
