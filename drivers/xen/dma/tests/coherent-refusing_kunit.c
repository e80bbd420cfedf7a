// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of a hypervisor that refuses: memory that it does not take back, or
 * in part, and each of its calls failing in turn.
 */
#include <linux/module.h>
#include <linux/swap.h>

#include "../region-release.h"
#include "../regions.h"
#include "coherent-fixture.h"

/* The hypervisor refuses in every test of this suite. */
static int xdc_refusing_init(struct kunit *test)
{
	xen_coherent_forget_refusal();
	return xdc_init(test);
}

/* All of the machine as it was, and the hypervisor is thought able again. */
static void xdc_begin_again(struct kunit *test)
{
	struct xdt *x = test->priv;

	xdt_restart(x, SZ_1M, (u64)SZ_1G + SZ_2G);
	xen_coherent_forget_refusal();
}

/* One region in the cache, of a device with @bits. */
static bool xdc_keep(struct kunit *test, unsigned int bits, unsigned int order)
{
	struct xdt *x = test->priv;
	struct xdc_mem m;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(bits);
	if (!xdc_take(test, x->dev, &m, PAGE_SIZE << order, GFP_KERNEL,
		      "to be kept"))
		return false;
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), BIT(order));
	return true;
}

/* One call shows it; the pages are freed whatever their frames. */
static bool xdc_only_low(struct kunit *test)
{
	unsigned long low = xen_machine_low_used();
	struct xdt *x = test->priv;
	struct xdc_look was, now;
	struct xdc_mem m;

	if (!xdc_take(test, x->dev, &m, PAGE_SIZE << 7, GFP_KERNEL,
		      "for later") || !xdc_keep(test, 32, 8))
		return false;
	xen_machine_only_low(true);
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 256);
	xdc_look(&now);
	KUNIT_EXPECT_EQ(test, now.machine.give_calls,
			was.machine.give_calls + 1);
	KUNIT_EXPECT_EQ(test, now.usage.kept, was.usage.kept + 1);
	KUNIT_EXPECT_EQ(test, now.usage.returned, was.usage.returned);
	KUNIT_EXPECT_EQ(test, now.usage.cached, 0);

	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 128);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low + 384);
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, now.machine.give_calls, was.machine.give_calls);
	KUNIT_EXPECT_EQ(test, now.usage.returned, was.usage.returned);
	return true;
}

/* The hypervisor has only low memory; for a while it isn't asked again. */
static void xdc_no_better(struct kunit *test)
{
	struct xdc_look was;
	unsigned long low;
	int round;

	for (round = 0; round < 2; round++) {
		xdc_begin_again(test);
		if (!xdc_only_low(test))
			return;
	}

	/* What is narrow can still be traded for what is wide. */
	xdc_begin_again(test);
	xen_machine_only_low(true);
	if (!xdc_keep(test, 28, 8))
		return;
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 256);
	xdc_did(test, &was, 0, 0, 1, "from 28 bits to 32");

	/* And when there is high memory again, all is as before. */
	xen_machine_only_low(false);
	if (!xdc_keep(test, 32, 8))
		return;
	low = xen_machine_low_used();
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 256);
	xdc_did(test, &was, 0, 0, 1, "high memory again");
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low - 256);
}

enum xdc_refusal { XDC_FIRST_STEP, XDC_THIRD_STEP, XDC_PART, XDC_ALWAYS };

/* A part goes back, or none, and the rest is memory like any other. */
static void xdc_given_in_part(struct kunit *test, enum xdc_refusal refusal,
			      unsigned int order, unsigned long expect)
{
	unsigned long low, free;
	struct xdc_look was, now;

	xdc_begin_again(test);
	free = nr_free_pages();
	if (!xdc_keep(test, 32, order))
		return;
	low = xen_machine_low_used();

	switch (refusal) {
	case XDC_FIRST_STEP:
		xen_machine_fail_after(0, -ENOMEM, false);
		break;
	case XDC_THIRD_STEP:
		xen_machine_fail_after(2, -EPERM, false);
		break;
	case XDC_PART:
		xen_machine_give_part(3);
		break;
	case XDC_ALWAYS:
		xen_machine_fail_exchanges(-EINVAL);
		break;
	}

	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), BIT(order));
	xdc_look(&now);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low - expect);
	KUNIT_EXPECT_EQ(test, now.usage.kept, was.usage.kept + 1);
	KUNIT_EXPECT_EQ(test, now.usage.returned, was.usage.returned);
	KUNIT_EXPECT_EQ(test, now.usage.cached, 0);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);

	xen_machine_fail_exchanges(0);
	xen_machine_give_part(64);
}

static void xdc_giving_fails(struct kunit *test)
{
	static const unsigned int orders[] = { 8, MAX_PAGE_ORDER + 1 };
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		xdc_given_in_part(test, XDC_FIRST_STEP, orders[i], 0);
		xdc_given_in_part(test, XDC_THIRD_STEP, orders[i], 128);
		xdc_given_in_part(test, XDC_PART, orders[i], 3);
		xdc_given_in_part(test, XDC_ALWAYS, orders[i], 0);
	}
}

/* Memory of several kinds lives and dies, whatever of it can be had. */
static void xdc_a_life(struct kunit *test, bool large)
{
	static const struct {
		unsigned int bits;
		unsigned int order;
		gfp_t gfp;
	} kinds[] = {
		{ 32, 0, GFP_KERNEL },
		{ 24, 3, GFP_ATOMIC },
		{ 30, 7, GFP_KERNEL },
		{ 34, 2, GFP_KERNEL },
		{ 28, 2, GFP_KERNEL },
		{ 32, MAX_PAGE_ORDER + 1, GFP_KERNEL },
	};
	const int nr = ARRAY_SIZE(kinds) - !large;
	struct xdc_mem m[ARRAY_SIZE(kinds)] = {};
	struct xdt *x = test->priv;
	int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < nr; i++) {
			x->dev->coherent_dma_mask = DMA_BIT_MASK(kinds[i].bits);
			if (xdc_get(x->dev, &m[i], PAGE_SIZE << kinds[i].order,
				    kinds[i].gfp, 0))
				xdc_good(test, &m[i], true, "a life");
		}
		xdc_put_all(test, m, nr);
		if (!round)
			xdc_shrink(xen_regions_kept() / 2);
	}
	xdc_shrink_all();
}

/* Each call of the hypervisor fails once, alone or with all that follow. */
static void xdc_each_call(struct kunit *test, bool stays, bool large,
			  unsigned long first, unsigned long step)
{
	struct xen_coherent_usage usage;
	unsigned long free, n;
	bool failed = true;

	free = nr_free_pages();
	for (n = first; failed && test->status == KUNIT_SUCCESS; n += step) {
		xdc_begin_again(test);
		xen_machine_fail_after(n, n % 2 ? -ENOMEM : -EPERM, stays);
		xdc_a_life(test, large);
		failed = !xen_machine_fails_later();
		xen_machine_fail_exchanges(0);

		xen_coherent_usage(&usage);
		KUNIT_EXPECT_EQ_MSG(test, usage.used, xdc_used, "call %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, usage.cached, 0, "call %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, xen_regions_kept(), 0, "call %lu",
				    n);
		KUNIT_EXPECT_EQ_MSG(test, xen_machine_faults(), 0, "call %lu",
				    n);
	}
	KUNIT_EXPECT_GT(test, n, first + 8 * step);
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);
}

static void xdc_nth_call(struct kunit *test)
{
	xdc_each_call(test, false, false, 0, 1);
	xdc_each_call(test, true, false, 0, 1);
}

static void xdc_nth_call_large(struct kunit *test)
{
	struct xdt *x = test->priv;

	xdc_each_call(test, false, true, xdt_below(&x->rnd, 5), 5);
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE(xdc_no_better),
	KUNIT_CASE_SLOW(xdc_giving_fails),
	KUNIT_CASE_SLOW(xdc_nth_call),
	KUNIT_CASE_SLOW(xdc_nth_call_large),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-refusing",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_refusing_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: refusals");
MODULE_LICENSE("GPL");
