// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of where a mapping lies: the alignment and the boundaries that a
 * device asks for, the largest size, and how far it reaches.
 */
#include <linux/module.h>

#include "exhaust.h"

/* Alignment, boundaries, the largest size. */

static void xdt_align_desc(const struct xdt_align_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "min_align_mask 0x%x", c->mask);
}

KUNIT_ARRAY_PARAM(xdt_align, xdt_align_cases, xdt_align_desc);

static void xdt_check_place(struct xdt *x, const u8 *p, size_t size,
			    u64 boundary)
{
	u64 mask = dma_get_min_align_mask(x->dev);
	phys_addr_t phys = virt_to_phys((void *)p);
	u64 natural = roundup_pow_of_two(size);
	dma_addr_t bus;

	bus = xdt_map(x->dev, p, size, DMA_TO_DEVICE, 0);
	if (bus == DMA_MAPPING_ERROR) {
		/* The bits that must be kept take room, too. */
		KUNIT_EXPECT_GT_MSG(x->test, size,
				    xen_aperture_largest(x->dev),
				    "mask 0x%llx, offset 0x%llx, boundary 0x%llx",
				    mask, phys & mask, boundary);
		return;
	}

	KUNIT_EXPECT_EQ_MSG(x->test, (bus ^ phys) & mask, 0,
			    "%zu bytes at %pad for %pap, mask 0x%llx", size,
			    &bus, &phys, mask);
	if (xdt_can_keep_within(x->dev, phys, size, boundary))
		KUNIT_EXPECT_FALSE_MSG(x->test,
				       xdt_crosses(bus, size, boundary),
				       "%zu bytes at %pad, mask 0x%llx, cross 0x%llx",
				       size, &bus, mask, boundary);
	if (!mask)
		KUNIT_EXPECT_FALSE_MSG(x->test,
				       xdt_crosses(bus, size, natural - 1),
				       "%zu bytes at %pad", size, &bus);
	KUNIT_EXPECT_TRUE_MSG(x->test,
			      xdt_slack_is_zero(x->scratch, bus, size),
			      "%zu bytes at %pad, mask 0x%llx: old bytes beside",
			      size, &bus, mask);
	xdt_unmap(x->dev, bus, size, DMA_TO_DEVICE, 0);
}

/* Mappings of all sorts, of which every other one is gone again. */
struct xdt_holes {
	dma_addr_t bus[32];
	size_t size[32];
};

/* Leave holes of all sorts, else every block begins anywhere nice. */
static void xdt_make_holes(struct xdt *x, struct xdt_holes *h)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(h->bus); i++) {
		h->size[i] = 1 + xdt_below(&x->rnd, 40 * XDT_SLOT);
		h->bus[i] = xdt_map(x->dev, x->buf, h->size[i], DMA_TO_DEVICE,
				    0);
		KUNIT_EXPECT_NE(x->test, h->bus[i], DMA_MAPPING_ERROR);
	}
	for (i = 0; i < ARRAY_SIZE(h->bus); i += 2)
		xdt_unmap(x->dev, h->bus[i], h->size[i], DMA_TO_DEVICE, 0);
}

/* Unmap what is between the holes. */
static void xdt_end_holes(struct xdt *x, struct xdt_holes *h)
{
	unsigned int i;

	for (i = 1; i < ARRAY_SIZE(h->bus); i += 2)
		xdt_unmap(x->dev, h->bus[i], h->size[i], DMA_TO_DEVICE, 0);
}

static void xdt_alignment(struct kunit *test)
{
	static const u32 offsets[] = { 0, 1, 511, 512, 2047, 2048, 4095, 4096,
				       6145, 65535 };
	static const size_t sizes[] = { 1, 64, 512, 513, 2048, 2049, 4095,
					4096, 4097, 6144, 10000, SZ_16K,
					SZ_32K + 1, SZ_64K, SZ_128K, SZ_256K };
	const struct xdt_align_case *c = test->param_value;
	struct xdt *x = test->priv;
	struct xdt_holes holes;
	unsigned int i, j;
	u64 boundary;

	dma_set_min_align_mask(x->dev, c->mask);
	xdt_dirty(x);
	xdt_make_holes(x, &holes);

	for (boundary = SZ_4K - 1; boundary <= SZ_4G - 1;
	     boundary = boundary * 2 + 1) {
		dma_set_seg_boundary(x->dev, boundary);
		for (i = 0; i < ARRAY_SIZE(offsets); i++) {
			for (j = 0; j < ARRAY_SIZE(sizes); j++)
				xdt_check_place(x, x->buf + offsets[i],
						sizes[j], boundary);
			xdt_check_place(x, x->buf + xdt_below(&x->rnd, SZ_64K),
					xdt_any_size(&x->rnd, SZ_1M), boundary);
			if (test->status != KUNIT_SUCCESS)
				goto out;
		}
		xdt_check_place(x, x->buf, SZ_4M, boundary);
		xdt_check_place(x, x->buf + 4095, SZ_2M, boundary);
		xdt_check_place(x, x->buf, XDT_LARGEST, boundary);
	}
out:
	xdt_end_holes(x, &holes);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* What an idle aperture takes it takes for any alignment. */
static void xdt_largest(struct kunit *test)
{
	const struct xdt_align_case *c = test->param_value;
	struct xdt *x = test->priv;
	size_t max = xen_aperture_largest(x->dev);
	dma_addr_t bus;
	size_t at;

	KUNIT_EXPECT_EQ(test, max, XDT_LARGEST);

	dma_set_min_align_mask(x->dev, c->mask);
	max = xen_aperture_largest(x->dev);
	KUNIT_EXPECT_LE(test, max, XDT_LARGEST);
	KUNIT_EXPECT_GE(test, max, XDT_LARGEST - round_up(c->mask, XDT_SLOT));

	for (at = 0; at <= c->mask; at = at * 2 + 1) {
		bus = xdt_map(x->dev, x->buf + at, max, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE_MSG(test, bus, DMA_MAPPING_ERROR,
				    "%zu bytes at %zu", max, at);
		if (bus != DMA_MAPPING_ERROR)
			xdt_unmap(x->dev, bus, max, DMA_TO_DEVICE, 0);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* Widths. */

/* Wide devices do not take what only narrow ones depend on. */
static void xdt_reserve(struct kunit *test)
{
	static const size_t sizes[] = { 1, SZ_2K, SZ_8K, SZ_64K, SZ_256K,
					SZ_1M };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), narrow;
	struct device *dev24 = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	unsigned int i, j, nr;
	bool low;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		nr = xdt_exhaust(x, x->dev, sizes[i], bus,
				 x->size / XDT_SLOT + 1);
		low = false;
		for (j = 0; j < nr; j++) {
			if (bus[j] < SZ_16M) {
				low = true;
			} else if (low) {
				KUNIT_FAIL(test,
					   "%zu bytes at %pad: low memory taken before",
					   sizes[i], &bus[j]);
				break;
			}
		}
		KUNIT_EXPECT_TRUE_MSG(test, low, "%zu bytes", sizes[i]);
		xdt_release(x, x->dev, sizes[i], bus, nr);

		/* Three quarters in use: the narrow device has room. */
		nr = xdt_exhaust(x, x->dev, sizes[i], bus, nr * 3 / 4);
		narrow = xdt_map(dev24, x->buf, SZ_1M, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE(test, narrow, DMA_MAPPING_ERROR);
		KUNIT_EXPECT_LE(test, narrow, SZ_16M - SZ_1M);
		if (narrow != DMA_MAPPING_ERROR)
			xdt_unmap(dev24, narrow, SZ_1M, DMA_TO_DEVICE, 0);
		xdt_release(x, x->dev, sizes[i], bus, nr);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* A block that a wide device gave back may be too high for the next. */
static void xdt_width(struct kunit *test)
{
	static const size_t sizes[] = { 1, SZ_2K, 3 * SZ_2K, SZ_16K, SZ_32K,
					SZ_256K, SZ_512K };
	struct xdt *x = test->priv;
	struct device *devs[ARRAY_SIZE(xdt_bits)];
	unsigned int i, j, round;
	dma_addr_t bus;
	char name[16];

	for (i = 0; i < ARRAY_SIZE(xdt_bits); i++) {
		snprintf(name, sizeof(name), "dma%u", xdt_bits[i]);
		devs[i] = xdt_device(x, name, DMA_BIT_MASK(xdt_bits[i]));
	}
	for (round = 0; round < 3; round++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			/* Widest first. */
			for (i = ARRAY_SIZE(xdt_bits) - 1; i < -1U; i--) {
				bus = xdt_map(devs[i], x->buf + 2000, sizes[j],
					      DMA_TO_DEVICE, 0);
				KUNIT_EXPECT_NE_MSG(test, bus,
						    DMA_MAPPING_ERROR,
						    "%zu bytes, %u bits",
						    sizes[j], xdt_bits[i]);
				if (bus == DMA_MAPPING_ERROR)
					continue;
				KUNIT_EXPECT_LE_MSG(test, bus + sizes[j] - 1,
						    *devs[i]->dma_mask,
						    "%zu bytes", sizes[j]);
				xdt_unmap(devs[i], bus, sizes[j],
					  DMA_TO_DEVICE, 0);
			}
		}
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* A limit of the bus counts like one of the device. */
static void xdt_bus_limit(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int bits, round;
	dma_addr_t bus;

	*x->dev->dma_mask = DMA_BIT_MASK(64);
	for (round = 0; round < 2; round++) {
		for (bits = 24; bits <= 32; bits++) {
			x->dev->bus_dma_limit = DMA_BIT_MASK(bits);
			bus = xdt_map(x->dev, x->buf, SZ_8K, DMA_TO_DEVICE, 0);
			KUNIT_EXPECT_NE_MSG(test, bus, DMA_MAPPING_ERROR,
					    "%u bits", bits);
			if (bus == DMA_MAPPING_ERROR)
				continue;
			KUNIT_EXPECT_LE(test, bus + SZ_8K - 1,
					DMA_BIT_MASK(bits));
			xdt_unmap(x->dev, bus, SZ_8K, DMA_TO_DEVICE, 0);
		}
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/*
 * Whether a device is served is known when it sets its mask: then the mappings
 * succeed, or they are never tried.
 */
static void xdt_truth(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int bits;
	dma_addr_t bus;
	int supported;

	/* Nothing below 1 MiB, some below 16 MiB, the rest high. */
	for (bits = 16; bits <= 64; bits++) {
		supported = xen_swiotlb_dma_ops.dma_supported(x->dev,
							      DMA_BIT_MASK(bits));
		if (bits <= 20)
			KUNIT_EXPECT_EQ_MSG(test, supported, 0, "%u bits",
					    bits);
		if (bits >= 24)
			KUNIT_EXPECT_NE_MSG(test, supported, 0, "%u bits",
					    bits);
		if (!supported)
			continue;
		*x->dev->dma_mask = DMA_BIT_MASK(bits);
		bus = xdt_map(x->dev, x->buf + 100, SZ_4K, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE_MSG(test, bus, DMA_MAPPING_ERROR, "%u bits",
				    bits);
		if (bus == DMA_MAPPING_ERROR)
			continue;
		KUNIT_EXPECT_LE_MSG(test, bus + SZ_4K - 1, DMA_BIT_MASK(bits),
				    "%u bits", bits);
		xdt_unmap(x->dev, bus, SZ_4K, DMA_TO_DEVICE, 0);
	}
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE_PARAM(xdt_alignment, xdt_align_gen_params),
	KUNIT_CASE_PARAM(xdt_largest, xdt_align_gen_params),
	KUNIT_CASE(xdt_reserve),
	KUNIT_CASE(xdt_width),
	KUNIT_CASE(xdt_bus_limit),
	KUNIT_CASE(xdt_truth),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-place",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: places");
MODULE_LICENSE("GPL");
