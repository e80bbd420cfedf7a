// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what devices are given: memory of all sizes, within all limits,
 * as pages too, and where nothing may sleep.
 */
#include <linux/irqflags.h>
#include <linux/module.h>

#include "../params.h"
#include "../region-release.h"
#include "../regions.h"
#include "coherent-fixture.h"

static const struct xdc_width {
	u64 mask;
	unsigned int max_order;
} xdc_widths[] = {
	{ DMA_BIT_MASK(24), MAX_PAGE_ORDER },
	{ DMA_BIT_MASK(28), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(30), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(31), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(32), MAX_PAGE_ORDER + 3 },
	{ DMA_BIT_MASK(36), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(64), MAX_PAGE_ORDER + 3 },
};

static void xdc_width_desc(const struct xdc_width *w, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u bits", fls64(w->mask));
}

KUNIT_ARRAY_PARAM(xdc_widths, xdc_widths, xdc_width_desc);

/*
 * One size: the first time it takes an exchange, then the cache serves it. A page
 * for a device that reaches everything is any page.
 */
static void xdc_one_size(struct kunit *test, struct device *dev, size_t size,
			 bool first)
{
	unsigned long kept = xen_regions_kept();
	unsigned int order = get_order(size);
	bool any_page = !order && dev->coherent_dma_mask > DMA_BIT_MASK(32);
	struct xdc_look was;
	struct xdc_mem m;

	xdc_look(&was);
	if (!xdc_take(test, dev, &m, size, GFP_KERNEL, "a size"))
		return;
	xdc_did(test, &was, !first && !any_page, first && !any_page, 0,
		first ? "the first time" : "again");
	if (!any_page)
		KUNIT_EXPECT_EQ(test, was.usage.used,
				xdc_used + (PAGE_SIZE << order));
	if (!first)
		kept -= any_page ? 0 : BIT(order);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), kept);

	xdc_put(&m);
	xen_coherent_flush_work();
	xdc_did(test, &was, 0, 0, 0, "freeing");
	KUNIT_EXPECT_EQ(test, was.machine.give_calls, 0);
	if (!any_page)
		kept += BIT(order);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), kept);
	KUNIT_EXPECT_EQ(test, xdc_cached(), PFN_PHYS((u64)kept));
	KUNIT_EXPECT_EQ(test, was.usage.used, xdc_used);
}

static void xdc_orders(struct kunit *test)
{
	const struct xdc_width *w = test->param_value;
	struct xdt *x = test->priv;
	unsigned int order;

	x->dev->coherent_dma_mask = w->mask;
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);

	for (order = 0; order <= w->max_order; order++) {
		size_t size = PAGE_SIZE << order;

		xdc_one_size(test, x->dev, size, true);
		xdc_one_size(test, x->dev, size / 2 + 1, false);
		if (order <= MAX_PAGE_ORDER)
			xdc_one_size(test, x->dev, size - 1, false);
		if (test->status != KUNIT_SUCCESS)
			return;
	}
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(),
			BIT(order) - 1 - (w->mask > DMA_BIT_MASK(32)));
}

static const struct xdc_limit_case {
	u64 mask;
	u64 bus;
} xdc_limits[] = {
	{ 0xbfffffff, 0 },
	{ DMA_BIT_MASK(32), 0xbfffffff },
	{ DMA_BIT_MASK(64), 0xbfffffff },
	{ DMA_BIT_MASK(64), 0x9fffffff },
	{ 0x5fffffff, DMA_BIT_MASK(32) },
	{ 0x02ffffff, 0 },
	{ 0xfffffffe, 0 },
	{ DMA_BIT_MASK(64), 0x1bfffffff },
	{ 0x27fffffff, 0 },
	{ DMA_BIT_MASK(28), 0xbfffffff },
};

static void xdc_limit_desc(const struct xdc_limit_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "mask %#llx, bus %#llx", c->mask,
		 c->bus);
}

KUNIT_ARRAY_PARAM(xdc_limits, xdc_limits, xdc_limit_desc);

#define XDC_HIGHER	8

/* The cache has XDC_HIGHER regions of eight pages, from 3 GiB on and from 8 GiB on. */
static bool xdc_keep_higher(struct kunit *test)
{
	struct device *dev32 = xdc_device(test, 0, 32);
	struct device *dev64 = xdc_device(test, 1, 64);
	struct xdc_mem m[XDC_HIGHER];
	int i;

	for (i = 0; i < ARRAY_SIZE(m); i++) {
		if (!xdc_take(test, i % 2 ? dev64 : dev32, &m[i],
			      PAGE_SIZE << 3, GFP_KERNEL, "others"))
			return false;
	}
	KUNIT_EXPECT_GT(test, m[0].bus, (u64)SZ_1G + SZ_2G);
	KUNIT_EXPECT_GE(test, m[1].bus, SZ_8G);
	xdc_put_all(test, m, ARRAY_SIZE(m));
	return true;
}

/* Limits that are no width: neither exchanges nor the cache go beyond. */
static void xdc_odd_limits(struct kunit *test)
{
	const struct xdc_limit_case *c = test->param_value;
	static const unsigned int orders[] = { 0, 1, 3, 3, 6, 3 };
	struct xdt *x = test->priv;
	struct xdc_mem m[ARRAY_SIZE(orders)] = {};
	struct xdc_look was;
	int i;

	xen_machine_set_low(SZ_1M, SZ_4G);
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);

	/* The cache has what is mostly out of reach. */
	if (!xdc_keep_higher(test))
		return;

	x->dev->coherent_dma_mask = c->mask;
	x->dev->bus_dma_limit = c->bus;
	xdc_look(&was);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		xdc_take(test, x->dev, &m[i], PAGE_SIZE << orders[i],
			 GFP_KERNEL, "an odd limit");

	/* In the cache nothing is below 3 GiB, so these are all new. */
	if (xdc_limit(x->dev) < DMA_BIT_MASK(32) - 1) {
		xdc_did(test, &was, 0, ARRAY_SIZE(m), 0, "an odd limit");
		KUNIT_EXPECT_EQ(test, xen_regions_kept(), XDC_HIGHER << 3);
	}
	xdc_put_all(test, m, ARRAY_SIZE(m));

	/* The same once more, now from the cache. */
	xdc_look(&was);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		xdc_take(test, x->dev, &m[i], PAGE_SIZE << orders[i],
			 GFP_KERNEL, "an odd limit again");
	if (xdc_limit(x->dev) < DMA_BIT_MASK(32))
		xdc_did(test, &was, ARRAY_SIZE(m), 0, 0, "again");
	xdc_put_all(test, m, ARRAY_SIZE(m));
}

/*
 * A page allocator's block that happens to suit is taken as it is, and is not
 * kept. Which block comes is not up to the test.
 */
static void xdc_take_what_suits(struct kunit *test)
{
	const unsigned int order = 3, nr = 8;
	struct xdt *x = test->priv;
	struct xdc_look was;
	unsigned int suited = 0, i;
	struct xdc_mem m;
	void *block;

	for (i = 0; i < nr; i++) {
		block = (void *)__get_free_pages(GFP_KERNEL, order);
		KUNIT_ASSERT_NOT_NULL(test, block);
		xen_machine_place(block, BIT(order), XEN_MACHINE_FREE_MFN);
		memset(block, 0xa5, PAGE_SIZE << order);
		free_pages((unsigned long)block, order);

		xdc_look(&was);
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << order, GFP_KERNEL,
			      "contiguous as it is"))
			return;
		if (m.cpu == block) {
			suited++;
			xdc_did(test, &was, 0, 0, 0, "contiguous as it is");
			xdc_put(&m);
			KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
		} else {
			xdc_put(&m);
			xdc_shrink_all();
		}
	}
	if (!suited)
		kunit_skip(test, "the page allocator had other blocks");
}

static void xdc_suits(struct kunit *test)
{
	struct xdt *x = test->priv;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(34);
	xdc_take_what_suits(test);
}

/* That needs nobody's leave. */
static void xdc_suits_unasked(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(32);
	xen_machine_fail_exchanges(-EPERM);
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m, PAGE_SIZE << 3, GFP_KERNEL, 0));
	x->dev->coherent_dma_mask = DMA_BIT_MASK(34);
	xdc_take_what_suits(test);
	xen_machine_fail_exchanges(0);
	xen_coherent_forget_refusal();
}

/* Several sizes live side by side. */
static void xdc_together(struct kunit *test)
{
	static const unsigned int bits[] = { 24, 28, 30, 31, 32, 36, 64 };
	const unsigned int nr = 7 * ARRAY_SIZE(bits);
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem *m;
	unsigned int i, round;
	u64 used = 0;

	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	m = kunit_kcalloc(test, nr, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);

	for (round = 0; round < 3; round++) {
		xdc_look(&was);
		used = 0;
		for (i = 0; i < nr; i++) {
			unsigned int order = 1 + i % 7;

			x->dev->coherent_dma_mask =
				DMA_BIT_MASK(bits[i / 7]);
			if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << order,
				      GFP_KERNEL, "side by side"))
				break;
			used += PAGE_SIZE << order;
		}
		if (round)
			xdc_did(test, &was, nr, 0, 0, "all of it again");
		else
			xdc_did(test, &was, 0, nr, 0, "all of it");
		KUNIT_EXPECT_EQ(test, was.usage.used, xdc_used + used);
		xdc_put_all(test, m, nr);
		KUNIT_EXPECT_EQ(test, xdc_cached(), used);
	}
}

/* One size of pages; either kind of memory can be the other later. */
static bool xdc_pages_of(struct kunit *test, unsigned int order)
{
	struct xdt *x = test->priv;
	size_t size = PAGE_SIZE << order;
	struct xdc_look was;
	struct xdc_mem m;
	bool got;

	xdc_look(&was);
	got = xdc_get_pages(x->dev, &m, size, GFP_KERNEL);
	if (!xdc_good(test, &m, got, "pages"))
		return false;
	xdc_did(test, &was, 0, 1, 0, "pages");
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), BIT(order));

	if (!xdc_take(test, x->dev, &m, size, GFP_KERNEL, "no longer pages"))
		return false;
	xdc_put(&m);
	got = xdc_get_pages(x->dev, &m, size, GFP_ATOMIC);
	if (!xdc_good(test, &m, got, "pages again"))
		return false;
	xdc_did(test, &was, 2, 0, 0, "pages again");
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), BIT(order));
	return true;
}

/* Pages from anywhere are no such memory, however they are kept. */
static void xdc_pages_of_large(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(32);
	if (!xdc_take(test, x->dev, &m, XDC_LARGE, GFP_KERNEL, "a large one"))
		return;
	xdc_put(&m);
	if (xdc_get_pages(x->dev, &m, XDC_LARGE, GFP_KERNEL)) {
		xdc_good(test, &m, true, "large pages");
		xdc_put(&m);
	}
	xen_machine_fail_exchanges(-ENOMEM);
	if (xdc_get_pages(x->dev, &m, PAGE_SIZE << 3, GFP_ATOMIC)) {
		xdc_good(test, &m, true, "pages of a large one");
		xdc_put(&m);
	}
	xen_machine_fail_exchanges(0);
}

/* What comes from dma_alloc_pages() is contiguous for the CPU too. */
static void xdc_page_ops(struct kunit *test)
{
	static const unsigned int bits[] = { 24, 32, 64 };
	struct xdt *x = test->priv;
	unsigned int i, order;
	struct xdc_look was;
	struct xdc_mem m;
	bool got;

	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		x->dev->coherent_dma_mask = DMA_BIT_MASK(bits[i]);
		for (order = 1; order <= MAX_PAGE_ORDER; order++)
			if (!xdc_pages_of(test, order))
				return;
	}

	/* A page for whoever reaches all is any page. */
	xdc_look(&was);
	got = xdc_get_pages(x->dev, &m, PAGE_SIZE, GFP_KERNEL);
	if (!xdc_good(test, &m, got, "any page"))
		return;
	xdc_put(&m);
	xdc_did(test, &was, 0, 0, 0, "any page");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);

	xdc_pages_of_large(test);
}

/* Where nothing may sleep. */

#define XDC_ATOMIC_ORDERS	7

static void xdc_atomic(struct kunit *test)
{
	const struct xdc_width *w = test->param_value;
	bool wide = w->mask > DMA_BIT_MASK(32);
	struct xdc_mem m[XDC_ATOMIC_ORDERS];
	struct xdt *x = test->priv;
	struct xdc_look was, freed;
	unsigned long flags;
	int i, round;

	x->dev->coherent_dma_mask = w->mask;
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);

	for (round = 0; round < 3; round++) {
		xdc_look(&was);
		local_irq_save(flags);
		for (i = 0; i < XDC_ATOMIC_ORDERS; i++)
			xdc_get(x->dev, &m[i], PAGE_SIZE << i, GFP_ATOMIC, 0);
		local_irq_restore(flags);

		for (i = 0; i < XDC_ATOMIC_ORDERS; i++)
			xdc_good(test, &m[i], m[i].cpu, "interrupts off");
		xdc_did(test, &was, round ? XDC_ATOMIC_ORDERS - wide : 0,
			round ? 0 : XDC_ATOMIC_ORDERS - wide, 0,
			"interrupts off");

		/* The last time all is to go, but not at once. */
		if (round == 2)
			WRITE_ONCE(xen_coherent_cache, 0);
		local_irq_save(flags);
		xdc_look(&was);
		for (i = 0; i < XDC_ATOMIC_ORDERS; i++)
			if (m[i].cpu)
				xdc_put(&m[i]);
		if (round == 2)
			xdc_look(&freed);
		local_irq_restore(flags);
		if (round < 2)
			xdc_did(test, &was, 0, 0, 0, "freed, interrupts off");
	}

	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_did(test, &was, 0, 0, wide ? 0 : XDC_ATOMIC_ORDERS, "the work");
}

/* There is nothing to wait for, and nothing to give back and try again. */
static void xdc_atomic_refused(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was, now;
	struct xdc_mem m;
	unsigned long flags;
	int order;

	xen_machine_fail_exchanges(-ENOMEM);
	for (order = 0; order <= MAX_PAGE_ORDER + 1; order++) {
		xdc_look(&was);
		local_irq_save(flags);
		xdc_get(x->dev, &m, PAGE_SIZE << order, GFP_ATOMIC, 0);
		local_irq_restore(flags);
		xdc_look(&now);
		KUNIT_EXPECT_NULL(test, m.cpu);
		KUNIT_EXPECT_EQ(test, now.usage.failed, was.usage.failed + 1);
		KUNIT_EXPECT_EQ(test, now.usage.used, xdc_used);
	}
	xen_machine_fail_exchanges(0);
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE_PARAM(xdc_orders, xdc_widths_gen_params),
	KUNIT_CASE_PARAM(xdc_odd_limits, xdc_limits_gen_params),
	KUNIT_CASE(xdc_suits),
	KUNIT_CASE(xdc_suits_unasked),
	KUNIT_CASE(xdc_together),
	KUNIT_CASE(xdc_page_ops),
	KUNIT_CASE_PARAM(xdc_atomic, xdc_widths_gen_params),
	KUNIT_CASE(xdc_atomic_refused),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-given",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: what devices are given");
MODULE_LICENSE("GPL");
