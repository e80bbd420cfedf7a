// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what is remembered of growth that has failed: for how long, and of whom.
 */
#include <kunit/test.h>

#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "../pool.h"

/* More windows than are remembered. */
#define XPF_WINDOWS	64

/* The time at which all of it happens, beyond what 32 bits hold. */
#define XPF_NOW		(5ULL << 32)

static const struct xen_span xpf_low = { 0, DMA_BIT_MASK(32) };
static const struct xen_span xpf_lower = { 0, DMA_BIT_MASK(30) };
static const struct xen_span xpf_window = { SZ_1G, 2ULL * SZ_1G - 1 };
static const struct xen_span xpf_longer = { SZ_1G, 3ULL * SZ_1G - 1 };
static const struct xen_span xpf_elsewhere = { 2ULL * SZ_1G, 3ULL * SZ_1G - 1 };

static int xpf_init(struct kunit *test)
{
	xen_pool_forget_failures();
	return 0;
}

static void xpf_exit(struct kunit *test)
{
	xen_pool_forget_failures();
}

static bool xpf_failed(const struct xen_span *span)
{
	return xen_pool_has_failed(false, span, 3, XPF_NOW);
}

/* For a second, and not before it was noted. */
static void xpf_second(struct kunit *test)
{
	static const struct xen_span *spans[] = { &xpf_low, &xpf_window };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		const struct xen_span *span = spans[i];

		KUNIT_EXPECT_FALSE(test, xpf_failed(span));
		xen_pool_note_failure(false, span, 3, XPF_NOW);
		KUNIT_EXPECT_TRUE(test, xpf_failed(span));
		KUNIT_EXPECT_TRUE(test, xen_pool_has_failed(false, span, 3,
							    XPF_NOW + HZ - 1));
		KUNIT_EXPECT_FALSE(test, xen_pool_has_failed(false, span, 3,
							     XPF_NOW + HZ));
	}
}

/* What is smaller may be had, and what the worker gets. */
static void xpf_others(struct kunit *test)
{
	static const struct xen_span *spans[] = { &xpf_low, &xpf_window };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		xen_pool_note_failure(true, spans[i], 3, XPF_NOW);
		KUNIT_EXPECT_TRUE(test, xen_pool_has_failed(true, spans[i], 3, XPF_NOW));
		KUNIT_EXPECT_TRUE(test, xen_pool_has_failed(true, spans[i], 9, XPF_NOW));
		KUNIT_EXPECT_FALSE(test, xen_pool_has_failed(true, spans[i], 2, XPF_NOW));
		KUNIT_EXPECT_FALSE(test, xpf_failed(spans[i]));
	}
}

/* One bus's failure is not another's. */
static void xpf_spans(struct kunit *test)
{
	static const struct xen_span *spans[] = {
		&xpf_low, &xpf_lower, &xpf_window, &xpf_longer, &xpf_elsewhere,
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(spans); i++) {
		xen_pool_forget_failures();
		xen_pool_note_failure(false, spans[i], 0, XPF_NOW);
		for (j = 0; j < ARRAY_SIZE(spans); j++)
			KUNIT_EXPECT_EQ_MSG(test, xpf_failed(spans[j]), i == j,
					    "of %u for %u", i, j);
	}
}

/* One of many windows that begin, or end, at the same address. */
static struct xen_span xpf_window_of(bool same_first, unsigned int i)
{
	return (struct xen_span) {
		.first = (same_first ? 1 : i) * (u64)SZ_1G,
		.last = (same_first ? i + 1 : XPF_WINDOWS + 1) * (u64)SZ_1G - 1,
	};
}

/* However many there are: the last one that failed is known, and none that did not. */
static void xpf_many(struct kunit *test)
{
	unsigned int kind, i, j;

	for (kind = 0; kind < 2; kind++) {
		xen_pool_forget_failures();
		for (i = 1; i <= XPF_WINDOWS; i++) {
			const struct xen_span span = xpf_window_of(kind, i);

			xen_pool_note_failure(false, &span, 0, XPF_NOW);
			KUNIT_EXPECT_TRUE_MSG(test, xpf_failed(&span), "%u", i);
			for (j = i + 1; j <= XPF_WINDOWS; j++) {
				const struct xen_span next = xpf_window_of(kind, j);

				KUNIT_EXPECT_FALSE_MSG(test, xpf_failed(&next),
						       "%u, %u", i, j);
			}
		}
		KUNIT_EXPECT_FALSE(test, xpf_failed(&xpf_low));
	}
}

static struct kunit_case xpf_cases[] = {
	KUNIT_CASE(xpf_second),
	KUNIT_CASE(xpf_others),
	KUNIT_CASE(xpf_spans),
	KUNIT_CASE(xpf_many),
	{}
};

static struct kunit_suite xpf_suite = {
	.name = "xen-pool-failures",
	.init = xpf_init,
	.exit = xpf_exit,
	.test_cases = xpf_cases,
};

kunit_test_suite(xpf_suite);

MODULE_DESCRIPTION("KUnit tests of Xen's DMA driver: growth that has failed");
MODULE_LICENSE("GPL");
