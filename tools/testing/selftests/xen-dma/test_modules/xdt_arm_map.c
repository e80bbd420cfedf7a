// SPDX-License-Identifier: GPL-2.0
/*
 * A domain's own memory, of every run: mapped, it is where it is in the machine,
 * and the device reads and writes it there; coherent memory is in one piece.
 *
 * For pages that have never left the domain; see xdt_arm_moved.c for others.
 */
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_device.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "xdt_arm.h"

#define ORDER	3
#define WHOLE	(PAGE_SIZE << ORDER)

/**
 * struct span - part of a buffer
 * @offset: where it starts
 * @size: bytes
 */
struct span {
	unsigned int offset;
	unsigned int size;
};

static const struct span spans[] = {
	{ 0, 1 }, { 17, 300 }, { 4000, 200 }, { 100, 8000 }, { 4095, 8194 },
	{ 4096, 4096 }, { 2047, 2 }, { 0, WHOLE }, { WHOLE - 1, 1 },
};

static void check_runs(struct kunit *test, unsigned int bits)
{
	struct xdt_part *parts;
	void *found[XDT_MAX_RUNS];
	unsigned int i, n = 0;

	parts = xdt_parts(test, XDT_MAX_RUNS);
	xdt_from_runs(test, 0, found);
	xdt_mask(test, bits);
	for (i = 0; i < XDT_MAX_RUNS; i++) {
		if (!found[i])
			continue;
		xdt_own(test, &parts[n], found[i], PAGE_SIZE, 0, PAGE_SIZE);
		parts[n].machine = xdt_where(test, found[i]);
		if (parts[n].machine + PAGE_SIZE - 1 > DMA_BIT_MASK(bits))
			continue;
		n++;
	}
	KUNIT_ASSERT_NE(test, 0, n);
	xdt_check_parts(test, parts, n);
}

/* A page of each run. */
static void each_run_64(struct kunit *test)
{
	check_runs(test, 64);
}

static void each_run_40(struct kunit *test)
{
	check_runs(test, 40);
}

/* Offsets and sizes, each in pages of its own, in one run after the other. */
static void spans_64(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, ARRAY_SIZE(spans));
	void *found[XDT_MAX_RUNS];
	unsigned int i, run = 0;

	xdt_from_runs(test, ORDER + 4, found);
	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		u8 *base;

		while (!found[run])
			run = (run + 1) % XDT_MAX_RUNS;
		base = found[run] + i * WHOLE;
		xdt_own(test, &parts[i], base, WHOLE, spans[i].offset,
			spans[i].size);
		parts[i].machine = xdt_where(test, base);
		run = (run + 1) % XDT_MAX_RUNS;
	}
	xdt_check_parts(test, parts, ARRAY_SIZE(spans));
}

/* From one run into another: in one piece for the device all the same. */
static void across_runs(struct kunit *test)
{
	struct xdt_part parts[3] = { };
	size_t half;
	u8 *base = xdt_across(test, &half);

	xdt_own(test, &parts[0], base, 2 * half, half - PAGE_SIZE - 5,
		3 * PAGE_SIZE < half ? 2 * PAGE_SIZE + 77 : PAGE_SIZE + 77);
	xdt_check_parts(test, parts, 1);
	xdt_own(test, &parts[0], base, half, half - 100, 100);
	xdt_own(test, &parts[1], base + half, half, 0, 100);
	parts[0].machine = xdt_where(test, base + half - PAGE_SIZE) + PAGE_SIZE -
			   half;
	parts[1].machine = xdt_where(test, base + half);
	xdt_check_parts(test, parts, 2);
}

static void coherent_small(struct kunit *test)
{
	static const size_t sizes[] = {
		PAGE_SIZE, 2 * PAGE_SIZE, 3 * PAGE_SIZE, SZ_32K,
		5 * PAGE_SIZE + 512,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		xdt_check_coherent(test, sizes[i]);
}

/* What is larger than half of any piece of the domain's memory may not be. */
static void coherent_large(struct kunit *test)
{
	static const size_t sizes[] = { SZ_128K, SZ_1M, SZ_4M };
	const struct xdt_run *runs;
	unsigned int i, n = xdt_runs(&runs);
	u64 largest = 0;

	for (i = 0; i < n; i++)
		largest = max_t(u64, largest, runs[i].end - runs[i].start);
	KUNIT_ASSERT_GE(test, largest, 2 * sizes[0]);
	/* Some of it is in use. */
	for (i = 0; i < ARRAY_SIZE(sizes) && 2 * sizes[i] <= largest; i++)
		xdt_check_coherent(test, sizes[i]);
}

/* Many at a time, so that they come from all over. */
static void coherent_many(struct kunit *test)
{
	enum { NR = 64, SIZE = SZ_64K };
	struct device *dev = xdt_dev(test);
	unsigned int i, wrong = 0, none = 0;
	dma_addr_t *bus;
	void **addr;
	size_t at;

	bus = kunit_kcalloc(test, NR, sizeof(*bus), GFP_KERNEL);
	addr = kunit_kcalloc(test, NR, sizeof(*addr), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	for (i = 0; i < NR; i++) {
		addr[i] = dma_alloc_coherent(dev, SIZE, &bus[i],
					     GFP_KERNEL | __GFP_NOWARN);
		none += !addr[i];
		for (at = 0; addr[i] && at < SIZE; at += PAGE_SIZE)
			wrong += xdt_where(test, addr[i] + at) != bus[i] + at;
	}
	for (i = 0; i < NR; i++)
		if (addr[i])
			dma_free_coherent(dev, SIZE, addr[i], bus[i]);
	KUNIT_EXPECT_EQ(test, 0, none);
	KUNIT_EXPECT_EQ(test, 0, wrong);
}

/* A driver that trusts the answer must not be given addresses above it. */
static void required_mask(struct kunit *test)
{
	const struct xdt_run *runs;
	unsigned int i, n = xdt_runs(&runs);
	u64 highest = 0;

	for (i = 0; i < n; i++)
		highest = max(highest, runs[i].end + runs[i].offset - 1);
	KUNIT_EXPECT_GE(test, dma_get_required_mask(xdt_dev(test)), highest);
}

/* Is any of the domain's memory elsewhere in the machine? */
static bool is_displaced(void)
{
	const struct xdt_run *runs;
	unsigned int n = xdt_runs(&runs);

	while (n--)
		if (runs[n].offset)
			return true;
	return false;
}

/* What xen,reg of the device's bus makes of an address; DMA_MAPPING_ERROR where it doesn't. */
static dma_addr_t mmio_where(struct kunit *test, phys_addr_t phys)
{
	dma_addr_t found = DMA_MAPPING_ERROR;
	const __be32 *row;
	int len = 0, i;

	row = of_get_property(xdt_node_of(xdt_dev(test)), "xen,reg", &len);
	for (i = 0; row && i < len / (int)(6 * sizeof(*row)); i++, row += 6) {
		u64 size = of_read_number(row + 2, 2);
		u64 start = of_read_number(row + 4, 2);

		if (phys >= start && phys < start + size)
			found = of_read_number(row, 2) + (phys - start);
	}
	return found;
}

/* A peer's registers: where xen,reg says, and nowhere if nobody does. */
static void mmio(struct kunit *test)
{
	phys_addr_t phys = pci_resource_start(xdt_engine(0), 0);
	size_t size = pci_resource_len(xdt_engine(0), 0);
	struct device *dev = xdt_dev(test);
	dma_addr_t bus, want = phys;
	__le32 id = 0;

	if (is_displaced())
		want = mmio_where(test, phys);
	xdt_mask(test, 64);
	bus = dma_map_resource(dev, phys, size, DMA_BIDIRECTIONAL, 0);
	if (want == DMA_MAPPING_ERROR) {
		KUNIT_EXPECT_NE(test, 0, dma_mapping_error(dev, bus));
		return;
	}
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, bus));
	KUNIT_EXPECT_EQ(test, bus, want);
	KUNIT_EXPECT_EQ(test, 0, xdt_engine_peek(1, bus, &id, sizeof(id)));
	/* The device's own identification register. */
	KUNIT_EXPECT_EQ(test, 0xed, le32_to_cpu(id) & 0xff);
	dma_unmap_resource(dev, bus, size, DMA_BIDIRECTIONAL, 0);
}

/*
 * A device without a node of its own, set up with that of other hardware, as some drivers
 * do for devices that are made of several: it is that hardware.
 */
static void borrowed_node(struct kunit *test)
{
	struct device_node *np =
		of_find_node_with_property(NULL, "xen,dma-unprotected");
	struct platform_device *pdev;
	struct device *dev;
	void *buf = xdt_pages(test, 0);
	dma_addr_t bus;

	of_node_put(np);
	if (np && xdt_has_iommu())
		kunit_skip(test, "an IOMMU has some devices: whose node is it?");

	pdev = platform_device_register_simple("xdt-borrowed", PLATFORM_DEVID_NONE,
					       NULL, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pdev);
	dev = &pdev->dev;
	KUNIT_EXPECT_EQ(test, 0,
			of_dma_configure(dev, xdt_node_of(xdt_dev(test)), true));
	KUNIT_EXPECT_EQ(test, 0, dma_set_mask(dev, DMA_BIT_MASK(64)));
	bus = dma_map_single(dev, buf, PAGE_SIZE, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, bus, xdt_where(test, buf));
	if (!dma_mapping_error(dev, bus))
		dma_unmap_single(dev, bus, PAGE_SIZE, DMA_TO_DEVICE);
	/* As the driver core does for a device that loses its driver. */
	kfree(dev->dma_range_map);
	dev->dma_range_map = NULL;
	platform_device_unregister(pdev);
}

static struct kunit_case map_cases[] = {
	KUNIT_CASE(each_run_64),
	KUNIT_CASE(each_run_40),
	KUNIT_CASE(spans_64),
	KUNIT_CASE(across_runs),
	KUNIT_CASE(coherent_small),
	KUNIT_CASE(coherent_large),
	KUNIT_CASE(coherent_many),
	KUNIT_CASE(required_mask),
	KUNIT_CASE(mmio),
	KUNIT_CASE(borrowed_node),
	{ }
};

static struct kunit_suite map_suite = {
	.name = "xdt_arm_map",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = map_cases,
};

kunit_test_suite(map_suite);

MODULE_DESCRIPTION("DMA tests for ARM: the domain's own memory");
MODULE_LICENSE("GPL");
