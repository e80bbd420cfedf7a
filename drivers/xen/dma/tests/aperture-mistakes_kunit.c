// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of a driver's mistakes: what is unmapped twice or in the middle, or
 * synchronised where nothing is mapped, does no harm to others.
 */
#include <linux/module.h>

#include "exhaust.h"

/* Two neighbours in the aperture; what is done to one must not hurt the other. */
struct xdt_pair {
	dma_addr_t bus[2];
	u8 *buf[2];
	size_t size;
};

static void xdt_pair_map(struct xdt *x, struct xdt_pair *p, size_t size)
{
	unsigned int i;

	p->size = size;
	for (i = 0; i < 2; i++) {
		p->buf[i] = x->buf + i * SZ_1M;
		xdt_fill(p->buf[i], i, 0, SZ_256K);
		p->bus[i] = xdt_map(x->dev, p->buf[i], size, DMA_BIDIRECTIONAL,
				    0);
		KUNIT_ASSERT_NE(x->test, p->bus[i], DMA_MAPPING_ERROR);
		KUNIT_ASSERT_TRUE(x->test, xdt_claim(x->live, p->bus[i], size));
		KUNIT_ASSERT_EQ(x->test, 0,
				xdt_dev_fill(p->bus[i], 1000 + i, 0, size));
	}
}

static void xdt_pair_check(struct xdt *x, struct xdt_pair *p, int i)
{
	xdt_disclaim(x->live, p->bus[i], p->size);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_dev_differs(x->scratch, p->bus[i], 1000 + i, 0,
					    p->size),
			    "mapping %d of %zu bytes: device's bytes", i,
			    p->size);
	xdt_unmap(x->dev, p->bus[i], p->size, DMA_BIDIRECTIONAL, 0);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_differs(p->buf[i], 1000 + i, 0, p->size),
			    "mapping %d of %zu bytes: not copied back", i,
			    p->size);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_differs(p->buf[i] + p->size, i, p->size,
					SZ_256K - p->size),
			    "mapping %d of %zu bytes: copied too much", i,
			    p->size);
}

static const size_t xdt_mistake_sizes[] = {
	2 * XDT_SLOT, 4 * XDT_SLOT, 5 * XDT_SLOT, 16 * XDT_SLOT, 100 * XDT_SLOT,
};

static void xdt_double_unmap(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct xdt_pair p;
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(xdt_mistake_sizes); i++) {
		xdt_pair_map(x, &p, xdt_mistake_sizes[i]);
		xdt_pair_check(x, &p, 0);
		xdt_unmap(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL, 0);
		xdt_unmap(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL, 0);
		KUNIT_EXPECT_EQ_MSG(test, -1,
				    xdt_differs(p.buf[0], 1000, 0, p.size),
				    "%zu bytes: copied again", p.size);

		/* The block must not be there twice now. */
		nr = xdt_exhaust(x, x->dev, p.size, bus, 1000);
		xdt_release(x, x->dev, p.size, bus, nr);
		xdt_pair_check(x, &p, 1);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), 0, "%zu bytes", p.size);
	}
	nr = xdt_how_many(x, XDT_SLOT, bus);
	KUNIT_EXPECT_EQ(test, nr, x->size / XDT_SLOT);
}

static void xdt_unmap_middle(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct xdt_pair p;
	unsigned int i, nr;
	size_t at;
	u64 used;

	for (i = 0; i < ARRAY_SIZE(xdt_mistake_sizes); i++) {
		xdt_pair_map(x, &p, xdt_mistake_sizes[i]);
		used = xdt_used();
		for (at = XDT_SLOT; at < p.size; at += XDT_SLOT) {
			xdt_unmap(x->dev, p.bus[0] + at, p.size - at,
				  DMA_BIDIRECTIONAL, 0);
			xdt_unmap(x->dev, p.bus[0] + at + 7, 1,
				  DMA_BIDIRECTIONAL, 0);
		}
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), used, "%zu bytes",
				    p.size);
		nr = xdt_exhaust(x, x->dev, XDT_SLOT, bus, 2000);
		xdt_release(x, x->dev, XDT_SLOT, bus, nr);
		xdt_pair_check(x, &p, 0);
		xdt_pair_check(x, &p, 1);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), 0, "%zu bytes", p.size);
	}
	nr = xdt_how_many(x, XDT_SLOT, bus);
	KUNIT_EXPECT_EQ(test, nr, x->size / XDT_SLOT);
}

/* Beyond a mapping's end, over its neighbours, in nobody's slots. */
static void xdt_sync_outside(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_pair p;
	unsigned int i;
	ssize_t bad;

	for (i = 0; i < ARRAY_SIZE(xdt_mistake_sizes); i++) {
		xdt_pair_map(x, &p, xdt_mistake_sizes[i] - 100);
		xdt_for_cpu(x->dev, p.bus[0], p.size + 1, DMA_BIDIRECTIONAL);
		xdt_for_cpu(x->dev, p.bus[0], p.size + 4 * XDT_SLOT,
			    DMA_BIDIRECTIONAL);
		xdt_for_cpu(x->dev, p.bus[0] + p.size - 1, XDT_SLOT,
			    DMA_BIDIRECTIONAL);
		xdt_for_cpu(x->dev, p.bus[0] + p.size, 64, DMA_BIDIRECTIONAL);
		bad = xdt_differs(p.buf[0] + p.size, 0, p.size,
				  SZ_256K - p.size);
		KUNIT_EXPECT_EQ_MSG(test, bad, -1, "%zu bytes: copied too much",
				    p.size);

		/* Towards the device; it must not see what is behind. */
		xdt_fill(p.buf[0], 1000, 0, p.size);
		xdt_for_device(x->dev, p.bus[0], p.size + 1, DMA_BIDIRECTIONAL);
		xdt_for_device(x->dev, p.bus[0] + p.size - 1, 4 * XDT_SLOT,
			       DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_TRUE_MSG(test,
				      xdt_slack_is_zero(x->scratch, p.bus[0],
							p.size),
				      "%zu bytes: copied too much to the device",
				      p.size);
		xdt_pair_check(x, &p, 0);

		/* It is nobody's now. */
		xdt_for_cpu(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL);
		xdt_for_device(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL);
		xdt_pair_check(x, &p, 1);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), 0, "%zu bytes", p.size);
	}
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_double_unmap),
	KUNIT_CASE(xdt_unmap_middle),
	KUNIT_CASE(xdt_sync_outside),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-mistakes",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: mistakes");
MODULE_LICENSE("GPL");
