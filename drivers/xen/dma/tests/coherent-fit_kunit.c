// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of whom the cache serves with what: the widest memory in a device's
 * reach, and when there is nothing else, better memory than needed.
 */
#include <linux/irqflags.h>
#include <linux/module.h>

#include "../regions.h"
#include "coherent-fixture.h"

struct xdc_cached_widths {
	struct device *dev[5];
	struct xdc_mem m[5];
};

static const unsigned int xdc_cached_bits[] = { 24, 28, 30, 32, 34 };

#define XDC_FIT_ORDER	3
#define XDC_FIT_SIZE	(PAGE_SIZE << XDC_FIT_ORDER)

/* One region of each width in the cache, and a device for each. */
static bool xdc_cache_widths(struct kunit *test, struct xdc_cached_widths *c)
{
	int i;

	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	for (i = 0; i < 5; i++) {
		unsigned int bits = xdc_cached_bits[i];

		if (!c->dev[i])
			c->dev[i] = xdc_device(test, i, bits);
		if (!xdc_take(test, c->dev[i], &c->m[i], XDC_FIT_SIZE,
			      GFP_KERNEL, "to be kept"))
			return false;
		KUNIT_EXPECT_EQ(test, bits,
				fls64(c->m[i].bus + XDC_FIT_SIZE - 1));
	}
	for (i = 0; i < 5; i++)
		xdc_put(&c->m[i]);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 5 << XDC_FIT_ORDER);
	return true;
}

/*
 * Device @i takes as long as the cache is meant to serve it: first the widest
 * region in its reach, down to @lowest. Then there is an exchange.
 */
static void xdc_expect_fits(struct kunit *test, struct xdc_cached_widths *c,
			    int i, int lowest)
{
	struct xdc_mem m[5];
	struct xdc_look was;
	int w, n = 0;

	for (w = i; w >= lowest; w--) {
		xdc_look(&was);
		if (!xdc_take(test, c->dev[i], &m[n], XDC_FIT_SIZE, GFP_KERNEL,
			      "one that fits"))
			goto out;
		xdc_did(test, &was, 1, 0, 0, "one that fits");
		KUNIT_EXPECT_EQ_MSG(test, m[n].bus, c->m[w].bus,
				    "%u bits: wants the one of %u bits",
				    xdc_cached_bits[i], xdc_cached_bits[w]);
		n++;
	}

	xdc_look(&was);
	if (!xdc_take(test, c->dev[i], &m[n], XDC_FIT_SIZE, GFP_KERNEL,
		      "none that fits"))
		goto out;
	xdc_did(test, &was, 0, 1, 0, "none that fits");
	n++;
out:
	while (n--)
		xdc_put(&m[n]);
	xdc_shrink_all();
}

static void xdc_best_fit(struct kunit *test)
{
	struct xdc_cached_widths *c;
	int i;

	c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);

	for (i = 0; i < 5; i++) {
		/* 24 bits: 24; up to 32 bits: above 24; others: above 32. */
		static const int lowest[] = { 0, 1, 1, 1, 4 };

		xdt_restart(test->priv, SZ_1M, (u64)SZ_1G + SZ_2G);
		if (!xdc_cache_widths(test, c))
			return;
		xdc_expect_fits(test, c, i, lowest[i]);
	}
}

/* The order is what counts as long as there are exchanges. */
static void xdc_only_its_order(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem large, m;
	struct xdc_look was;
	int order;

	if (!xdc_take(test, x->dev, &large, PAGE_SIZE << 5, GFP_KERNEL,
		      "to be kept"))
		return;
	xdc_put(&large);

	for (order = 4; order >= 0; order--) {
		xdc_look(&was);
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << order, GFP_KERNEL,
			      "a smaller one"))
			return;
		xdc_did(test, &was, 0, 1, 0, "a smaller one");
		xdc_put(&m);
	}
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 63);
}

/* When there is nothing else, better memory than needed will do. */
static void xdc_better_than_none(struct kunit *test)
{
	struct xdc_cached_widths *c;
	struct xdc_mem m[6] = {};
	struct xdc_look was;
	int i;

	c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);
	if (!xdc_cache_widths(test, c))
		return;

	xen_machine_fail_exchanges(-ENOMEM);
	xdc_look(&was);

	/* A narrow device has its own, and no other. */
	for (i = 0; i < 2; i++)
		xdc_get(c->dev[0], &m[i], XDC_FIT_SIZE, GFP_ATOMIC, 0);
	xdc_good(test, &m[0], m[0].cpu, "the narrowest");
	KUNIT_EXPECT_EQ(test, m[0].bus, c->m[0].bus);
	KUNIT_EXPECT_NULL(test, m[1].cpu);
	xdc_put(&m[0]);

	/* A wide one has all. */
	for (i = 0; i < 6; i++)
		xdc_get(c->dev[4], &m[i], XDC_FIT_SIZE, GFP_ATOMIC, 0);
	for (i = 0; i < 5; i++)
		xdc_good(test, &m[i], m[i].cpu, "any");
	KUNIT_EXPECT_NULL(test, m[5].cpu);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_put_all(test, m, 5);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 5 << XDC_FIT_ORDER);

	/* In process context too, before anything goes back. */
	if (xdc_good(test, &m[0], xdc_get(c->dev[2], &m[0], XDC_FIT_SIZE,
					  GFP_KERNEL, 0), "a good one"))
		xdc_put(&m[0]);
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 5 << XDC_FIT_ORDER);

	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 5 << XDC_FIT_ORDER);
	xdc_did(test, &was, 0, 0, 4, "those below 4 GiB go back");
}

/* A limit inside a width: what is of that width, but in reach, will do too. */
static void xdc_odd_is_enough(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m;
	dma_addr_t bus;

	if (!xdc_take(test, x->dev, &m, PAGE_SIZE << 2, GFP_KERNEL,
		      "to be kept"))
		return;
	bus = m.bus;
	KUNIT_EXPECT_GT(test, bus, SZ_2G);
	KUNIT_EXPECT_LT(test, bus, 0xbfffffff);
	xdc_put(&m);

	xen_machine_fail_exchanges(-ENOMEM);
	x->dev->coherent_dma_mask = bus - 1;
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m, PAGE_SIZE << 2,
					 GFP_ATOMIC, 0));
	x->dev->coherent_dma_mask = 0xbfffffff;
	if (xdc_take(test, x->dev, &m, PAGE_SIZE << 2, GFP_ATOMIC,
		     "below 3 GiB")) {
		KUNIT_EXPECT_EQ(test, m.bus, bus);
		xdc_put(&m);
	}
	xen_machine_fail_exchanges(0);
}

static void xdc_larger_than_none(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m[3] = {};
	struct xdc_look was;
	int i;

	for (i = 0; i < 2; i++) {
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << (2 + 3 * i),
			      GFP_KERNEL, "to be kept"))
			return;
	}
	xdc_put_all(test, m, 2);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 4 + 32);

	xen_machine_fail_exchanges(-ENOMEM);
	xdc_look(&was);
	for (i = 0; i < 2; i++)
		xdc_take(test, x->dev, &m[i], PAGE_SIZE << 2, GFP_ATOMIC,
			 "larger if need be");
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m[2], PAGE_SIZE << 6,
					 GFP_ATOMIC, 0));
	xdc_put_all(test, m, 2);
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 4 + 32);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 4 + 32);
}

/* Whoever goes on with less does not get more, and has not failed yet. */
static void xdc_exactly(struct kunit *test)
{
	struct xdt *x = test->priv;
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	struct xdc_mem m[2] = {};
	struct page *page[2];
	struct xdc_look was;
	dma_addr_t bus;

	if (!xdc_take(test, x->dev, &m[0], PAGE_SIZE << 2, GFP_KERNEL, "to be kept") ||
	    !xdc_take(test, x->dev, &m[1], PAGE_SIZE << 5, GFP_KERNEL, "to be kept"))
		return;
	xdc_put_all(test, m, 2);
	xen_machine_fail_exchanges(-EINVAL);
	xdc_look(&was);
	page[0] = xen_coherent_alloc_exact(x->dev, PAGE_SIZE << 2, &bus, gfp);
	page[1] = xen_coherent_alloc_exact(x->dev, PAGE_SIZE << 2, &bus, gfp);
	KUNIT_EXPECT_NOT_NULL(test, page[0]);
	KUNIT_EXPECT_NULL(test, page[1]);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 32);
	if (page[0]) {
		struct xdc_look now;

		xdc_look(&now);
		KUNIT_EXPECT_EQ(test, now.usage.failed, was.usage.failed);
		xen_coherent_free_pages(x->dev, PAGE_SIZE << 2, page[0], bus,
					DMA_BIDIRECTIONAL);
	}
	xen_machine_fail_exchanges(0);
	xdc_shrink_all();
}

/* What a caller who can't wait for a mapping may have is not behind what he may not. */
static void xdc_mapped_first(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem mapped, other, m;
	unsigned long flags;

	if (!xdc_take(test, x->dev, &mapped, XDC_LARGE, GFP_KERNEL, "mapped") ||
	    !xdc_good(test, &other,
		      xdc_get(x->dev, &other, XDC_LARGE, GFP_KERNEL,
			      DMA_ATTR_NO_KERNEL_MAPPING), "not mapped"))
		return;
	xdc_put(&mapped);
	xdc_put(&other);

	local_irq_save(flags);
	xdc_get(x->dev, &m, XDC_LARGE, GFP_ATOMIC, 0);
	local_irq_restore(flags);
	if (xdc_good(test, &m, m.cpu, "mapped already"))
		xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 2 * PHYS_PFN(XDC_LARGE));
}

/* A wide device finds again what it freed, also where Xen has nothing but low memory. */
static void xdc_wide_is_kept(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m;
	int i;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(64);
	xdc_look(&was);
	for (i = 0; i < 20; i++) {
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << 4, GFP_KERNEL,
			      "wide"))
			return;
		xdc_put(&m);
	}
	xdc_did(test, &was, 19, 1, 0, "wide, where all is low");
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE(xdc_best_fit),
	KUNIT_CASE(xdc_only_its_order),
	KUNIT_CASE(xdc_better_than_none),
	KUNIT_CASE(xdc_odd_is_enough),
	KUNIT_CASE(xdc_larger_than_none),
	KUNIT_CASE(xdc_exactly),
	KUNIT_CASE(xdc_mapped_first),
	KUNIT_CASE(xdc_wide_is_kept),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-fit",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: whom the cache serves");
MODULE_LICENSE("GPL");
