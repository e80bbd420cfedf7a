// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of an aperture that is full, or nearly so, or in pieces: what it
 * promises can be had, and whatever is free can be had again.
 */
#include <linux/module.h>

#include "exhaust.h"

/*
 * What dma_max_mapping_size() promises can be had as often as four disks of 32 bits want
 * it, each with 32 commands at a time.
 */
static void xdt_promise(struct kunit *test)
{
	struct xdt *x = test->priv;
	size_t max = xen_swiotlb_dma_ops.max_mapping_size(x->dev);
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int nr;

	KUNIT_EXPECT_GE(test, max, SZ_256K);
	KUNIT_EXPECT_TRUE(test, is_power_of_2(max));
	nr = xdt_exhaust(x, x->dev, max, bus, 4 * 32);
	KUNIT_EXPECT_EQ(test, nr, 4 * 32);
	xdt_release(x, x->dev, max, bus, nr);

	/* A larger aperture has room for more. */
	*x->dev->dma_mask = DMA_BIT_MASK(24);
	KUNIT_EXPECT_EQ(test, xen_swiotlb_dma_ops.max_mapping_size(x->dev),
			SZ_256K);
	*x->dev->dma_mask = DMA_BIT_MASK(64);
	KUNIT_EXPECT_EQ(test, xen_swiotlb_dma_ops.max_mapping_size(x->dev),
			SZ_2M);
	*x->dev->dma_mask = DMA_BIT_MASK(16);
	KUNIT_EXPECT_EQ(test, xen_swiotlb_dma_ops.max_mapping_size(x->dev),
			PAGE_SIZE);
}

static void xdt_exhaustion(struct kunit *test)
{
	static const size_t sizes[] = { SZ_2K, SZ_4K, SZ_8K, SZ_16K, SZ_64K,
					SZ_256K, SZ_2K };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, j, nr, largest, victim;
	u64 total = xdt_total();
	dma_addr_t extra;

	KUNIT_EXPECT_EQ(test, total, x->size);
	largest = xdt_how_many(x, XDT_LARGEST, bus);
	KUNIT_EXPECT_GE(test, largest, 1);

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		nr = xdt_exhaust(x, x->dev, sizes[i], bus, total / XDT_SLOT + 1);
		KUNIT_EXPECT_EQ_MSG(test, nr, total / sizes[i],
				    "mappings of %zu bytes", sizes[i]);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), nr * sizes[i],
				    "after mappings of %zu bytes", sizes[i]);

		/* Each that goes makes room for one, and for one only. */
		for (j = 0; nr && j < 100; j++) {
			victim = xdt_below(&x->rnd, nr);
			xdt_unmap(x->dev, bus[victim], sizes[i], DMA_TO_DEVICE,
				  0);
			bus[victim] = xdt_map(x->dev, x->buf, sizes[i],
					      DMA_TO_DEVICE, 0);
			KUNIT_EXPECT_NE(test, bus[victim], DMA_MAPPING_ERROR);
			extra = xdt_map(x->dev, x->buf, 1, DMA_TO_DEVICE,
					DMA_ATTR_NO_WARN);
			KUNIT_EXPECT_EQ(test, extra, DMA_MAPPING_ERROR);
		}
		xdt_release(x, x->dev, sizes[i], bus, nr);
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);
		KUNIT_EXPECT_EQ_MSG(test, xdt_how_many(x, XDT_LARGEST, bus),
				    largest, "after mappings of %zu bytes",
				    sizes[i]);
		if (test->status != KUNIT_SUCCESS)
			return;
	}
	KUNIT_EXPECT_EQ(test, xdt_total(), total);
}

/* What a block of three slots leaves of four is there for others. */
static void xdt_tails(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int odd, small;

	odd = xdt_exhaust(x, x->dev, 3 * XDT_SLOT, bus, x->size / XDT_SLOT);
	small = xdt_exhaust(x, x->dev, XDT_SLOT, bus + odd,
			    x->size / XDT_SLOT + 1 - odd);
	KUNIT_EXPECT_GE(test, odd, x->size / XDT_SLOT / 4);
	KUNIT_EXPECT_EQ(test, 3 * odd + small, x->size / XDT_SLOT);
	KUNIT_EXPECT_EQ(test, xdt_used(), x->size);

	xdt_release(x, x->dev, 3 * XDT_SLOT, bus, odd);
	xdt_release(x, x->dev, XDT_SLOT, bus + odd, small);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

static void xdt_checkerboard(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, nr, largest, half = 0;
	dma_addr_t large;

	largest = xdt_how_many(x, XDT_LARGEST, bus);
	nr = xdt_exhaust(x, x->dev, XDT_SLOT, bus, x->size / XDT_SLOT + 1);
	for (i = 0; i < nr; i++) {
		if (!(bus[i] & XDT_SLOT))
			continue;
		xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
		half++;
	}
	KUNIT_EXPECT_EQ(test, half, nr / 2);
	KUNIT_EXPECT_EQ(test, xdt_used(), (u64)(nr - half) * XDT_SLOT);

	large = xdt_map(x->dev, x->buf, XDT_SLOT + 1, DMA_TO_DEVICE,
			DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(test, large, DMA_MAPPING_ERROR);

	/* All the white fields are there. */
	for (i = 0; i < nr; i++) {
		if (bus[i] == DMA_MAPPING_ERROR)
			half -= xdt_exhaust(x, x->dev, XDT_SLOT, bus + i, 1);
	}
	KUNIT_EXPECT_EQ(test, half, 0);

	xdt_release(x, x->dev, XDT_SLOT, bus, nr);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_how_many(x, XDT_LARGEST, bus), largest);
}

static void xdt_nearly_full(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned long step, steps = xdt_scaled(50000);
	unsigned int i, nr, largest, gone;

	largest = xdt_how_many(x, XDT_LARGEST, bus);
	nr = xdt_exhaust(x, x->dev, XDT_SLOT, bus, x->size / XDT_SLOT + 1);
	for (gone = 0; gone < nr / 20; ) {
		i = xdt_below(&x->rnd, nr);
		if (bus[i] == DMA_MAPPING_ERROR)
			continue;
		xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
		gone++;
	}

	for (step = 0; step < steps && test->status == KUNIT_SUCCESS; step++) {
		i = xdt_below(&x->rnd, nr);
		if (bus[i] != DMA_MAPPING_ERROR) {
			xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
			gone++;
		}
		if (xdt_exhaust(x, x->dev, XDT_SLOT, bus + i, 1) != 1)
			KUNIT_FAIL(test, "step %lu: full, but %u of %u free",
				   step, gone, nr);
		else
			gone--;
		/* Keep one in twenty free, at changing places. */
		while (gone < nr / 20) {
			i = xdt_below(&x->rnd, nr);
			if (bus[i] == DMA_MAPPING_ERROR)
				continue;
			xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
			gone++;
		}
	}

	xdt_release(x, x->dev, XDT_SLOT, bus, nr);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_how_many(x, XDT_LARGEST, bus), largest);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_promise),
	KUNIT_CASE(xdt_exhaustion),
	KUNIT_CASE(xdt_tails),
	KUNIT_CASE(xdt_checkerboard),
	KUNIT_CASE_SLOW(xdt_nearly_full),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-full",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: exhaustion");
MODULE_LICENSE("GPL");
