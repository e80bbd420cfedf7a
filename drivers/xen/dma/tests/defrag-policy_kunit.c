// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how free memory is put together: which extents are made, when nothing is
 * tried any more, and who wakes the worker.
 */
#include <kunit/test.h>

#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/string.h>

#include "../addr.h"
#include "../defrag-policy.h"
#include "../defrag.h"

/* The time at which all of it happens, beyond what 32 bits hold. */
#define XDF_NOW		(5ULL << 32)

#define XDF_MAX		XEN_DEFRAG_MAX_ORDER
#define XDF_FIRST	XEN_DEFRAG_FIRST_ORDER

/* Pages of large extents in an hour; enough for the tests of other things. */
#define XDF_LARGE	4096UL

static const struct xen_defrag_policy xdf_auto = {
	.max_order = XDF_MAX,
	.large_max = XDF_LARGE,
};

static void xdf_straddle(struct xen_defrag_policy *policy, unsigned int order,
			 unsigned long nr)
{
	unsigned long straddled[XEN_DEFRAG_ORDERS] = { };

	straddled[order] = nr;
	xen_defrag_demand(policy, straddled);
}

/* Whoever straddles, small extents come first; large ones only for those who do so often. */
static void xdf_demand(struct kunit *test)
{
	unsigned int order;

	for (order = 1; order <= XDF_MAX; order++) {
		struct xen_defrag_policy policy = xdf_auto;

		xdf_straddle(&policy, order, 1);
		KUNIT_EXPECT_EQ(test, XDF_FIRST, xen_defrag_order(&policy, XDF_NOW));
		xdf_straddle(&policy, order, 10000);
		KUNIT_EXPECT_EQ(test, max(order, XDF_FIRST),
				xen_defrag_order(&policy, XDF_NOW));
	}
}

/* Never more than the administrator allows. */
static void xdf_bounded(struct kunit *test)
{
	struct xen_defrag_policy policy = { .large_max = XDF_LARGE };

	for (; policy.max_order <= XDF_MAX; policy.max_order++) {
		unsigned int most = min(policy.max_order, XDF_FIRST);

		KUNIT_EXPECT_EQ(test, most, xen_defrag_order(&policy, XDF_NOW));
	}
	xdf_straddle(&policy, XDF_MAX, 10000);
	for (policy.max_order = 0; policy.max_order <= XDF_MAX; policy.max_order++)
		KUNIT_EXPECT_EQ(test, policy.max_order,
				xen_defrag_order(&policy, XDF_NOW));
}

/* What straddled in the past is forgotten, and until a pass is over it is not. */
static void xdf_forgotten(struct kunit *test)
{
	struct xen_defrag_policy policy = xdf_auto;
	unsigned int passes = 0;

	xdf_straddle(&policy, 6, 1000);
	xdf_straddle(&policy, 5, 100000);
	KUNIT_EXPECT_EQ(test, 6, xen_defrag_order(&policy, XDF_NOW));
	xdf_straddle(&policy, 5, 0);
	KUNIT_EXPECT_EQ(test, 6, xen_defrag_order(&policy, XDF_NOW));
	while (xen_defrag_order(&policy, XDF_NOW) > XDF_FIRST && passes < 100) {
		xen_defrag_passed(&policy, true);
		passes++;
	}
	KUNIT_EXPECT_GT(test, passes, 6);
	KUNIT_EXPECT_LT(test, passes, 20);
}

/* Xen has none: no larger ones either, smaller ones at once, and others in a while. */
static void xdf_none(struct kunit *test)
{
	struct xen_defrag_policy policy = xdf_auto;
	unsigned int order;
	u64 now = XDF_NOW;

	xdf_straddle(&policy, XDF_MAX, 10000);
	for (order = XDF_MAX; order; order--) {
		KUNIT_EXPECT_EQ(test, order, xen_defrag_order(&policy, now));
		xen_defrag_none(&policy, order, now);
	}
	KUNIT_EXPECT_EQ(test, 0, xen_defrag_order(&policy, now));
	KUNIT_EXPECT_EQ(test, XDF_MAX, xen_defrag_order(&policy, now + 10 * HZ));

	xen_defrag_none(&policy, 4, now + 10 * HZ);
	KUNIT_EXPECT_EQ(test, 3, xen_defrag_order(&policy, now + 10 * HZ));
	KUNIT_EXPECT_EQ(test, 3, xen_defrag_order(&policy, now + 29 * HZ));
	KUNIT_EXPECT_EQ(test, XDF_MAX, xen_defrag_order(&policy, now + 30 * HZ));
}

/* How long is an order that Xen never has left alone? */
static u64 xdf_none_for(struct xen_defrag_policy *policy, u64 now)
{
	u64 until = now;

	xen_defrag_none(policy, XDF_FIRST, now);
	while (xen_defrag_order(policy, until) != XDF_FIRST &&
	       until - now < 10000 * HZ)
		until += HZ;
	return until - now;
}

/* It takes ever longer, an hour at most; once there was one, it begins anew. */
static void xdf_longer(struct kunit *test)
{
	struct xen_defrag_policy policy = xdf_auto;
	u64 now = XDF_NOW, first = 10 * HZ, expected = first;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		u64 time = xdf_none_for(&policy, now);

		KUNIT_EXPECT_EQ(test, min(expected, 3600ULL * HZ), time);
		now += time;
		expected = 2 * expected;
	}
	xen_defrag_made(&policy, XDF_FIRST, 1, now);
	KUNIT_EXPECT_EQ(test, first, xdf_none_for(&policy, now));
}

/* So much of the host's large extents in an hour, and small ones all the same. */
static void xdf_spent(struct kunit *test)
{
	struct xen_defrag_policy policy = xdf_auto;
	u64 now = XDF_NOW, hour = 3600ULL * HZ;
	unsigned int made;

	xdf_straddle(&policy, XDF_MAX, 10000);
	for (made = 0; made < XDF_LARGE; made++)
		xen_defrag_made(&policy, XDF_FIRST, 1, now);
	for (made = 0; made < XDF_LARGE >> XDF_MAX; made += 2) {
		KUNIT_EXPECT_EQ(test, XDF_MAX, xen_defrag_order(&policy, now));
		xen_defrag_made(&policy, XDF_MAX, 2, now + made);
	}
	KUNIT_EXPECT_EQ(test, XDF_FIRST, xen_defrag_order(&policy, now + hour - 1));
	for (made = 0; made < 1000; made++)
		xen_defrag_made(&policy, XDF_FIRST, 1, now + hour - 1);
	KUNIT_EXPECT_EQ(test, XDF_MAX, xen_defrag_order(&policy, now + hour));
	xen_defrag_made(&policy, XDF_MAX, 1, now + hour);
	KUNIT_EXPECT_EQ(test, XDF_MAX, xen_defrag_order(&policy, now + hour));

	/* What the administrator allows stays the limit. */
	policy.max_order = 2;
	policy.large = 2 * XDF_LARGE;
	KUNIT_EXPECT_EQ(test, 2, xen_defrag_order(&policy, now + hour));
}

/* Who finds nothing waits longer, about half an hour at most; who does, a second. */
static void xdf_pause(struct kunit *test)
{
	struct xen_defrag_policy policy = xdf_auto;
	unsigned int i, expected = 1000;

	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, expected, xen_defrag_pause(&policy));
		xen_defrag_passed(&policy, false);
		expected = min(2 * expected, 2048000U);
	}
	xen_defrag_passed(&policy, true);
	KUNIT_EXPECT_EQ(test, 1000, xen_defrag_pause(&policy));
}

static unsigned int xdf_woken;

static void xdf_wake(void)
{
	xdf_woken++;
}

/* Each is counted by its size; only the first one wakes, until the worker asks for it. */
static void xdf_wakes(struct kunit *test)
{
	unsigned long before[XEN_DEFRAG_ORDERS];
	unsigned int order;

	for (order = 0; order <= XDF_MAX; order++)
		before[order] = xen_straddled(order);
	xdf_woken = 0;
	xen_note_straddle(2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, xdf_woken);
	xen_defrag_call(xdf_wake);
	xen_note_straddle(PAGE_SIZE + 1);
	xen_note_straddle(8 * PAGE_SIZE);
	xen_note_straddle(8 * PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, 1, xdf_woken);
	xen_defrag_rearm();
	xen_note_straddle(PAGE_SIZE << XDF_MAX);
	xen_note_straddle(PAGE_SIZE << (XDF_MAX + 5));
	KUNIT_EXPECT_EQ(test, 2, xdf_woken);
	/* Nothing helps who is too large. */
	xen_defrag_rearm();
	xen_note_straddle((PAGE_SIZE << XDF_MAX) + 1);
	KUNIT_EXPECT_EQ(test, 2, xdf_woken);
	xen_defrag_call(NULL);
	xen_defrag_rearm();
	xen_note_straddle(2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 2, xdf_woken);

	for (order = 0; order <= XDF_MAX; order++) {
		unsigned long expected = order == 1 ? 3 : order == 0 ? 2 :
					 order == 3 || order == 4 || order == XDF_MAX ? 1 : 0;

		KUNIT_EXPECT_EQ_MSG(test, expected, xen_straddled(order) - before[order],
				    "order %u", order);
	}
}

static struct kunit_case xdf_cases[] = {
	KUNIT_CASE(xdf_demand),
	KUNIT_CASE(xdf_bounded),
	KUNIT_CASE(xdf_forgotten),
	KUNIT_CASE(xdf_none),
	KUNIT_CASE(xdf_longer),
	KUNIT_CASE(xdf_spent),
	KUNIT_CASE(xdf_pause),
	KUNIT_CASE(xdf_wakes),
	{}
};

static struct kunit_suite xdf_suite = {
	.name = "xen-defrag-policy",
	.test_cases = xdf_cases,
};

kunit_test_suite(xdf_suite);

MODULE_DESCRIPTION("KUnit tests of Xen's DMA driver: free memory that is put together");
MODULE_LICENSE("GPL");
