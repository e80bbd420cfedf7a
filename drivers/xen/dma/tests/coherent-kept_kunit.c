// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how much the cache keeps and for how long: its bound, who lacks
 * memory, what nobody uses, and what is of no use after the domain was restored.
 */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/swap.h>

#include <asm/xen/page.h>

#include "../params.h"
#include "../region-release.h"
#include "../regions.h"
#include "coherent-fixture.h"

#define XDC_BOUND_ORDER	4
#define XDC_BOUND_SIZE	(PAGE_SIZE << XDC_BOUND_ORDER)

static bool xdc_among(const struct xdc_mem *m, const struct xdc_mem *others,
		      unsigned int nr)
{
	while (nr--)
		if (others[nr].bus == m->bus)
			return true;
	return false;
}

/* Age is counted from the last time that it was freed. Leaves the newest in use. */
static void xdc_bound_by_age(struct kunit *test, struct xdc_mem *again,
			     struct xdc_mem *newest, struct xdc_look *was)
{
	struct xdt *x = test->priv;

	xdc_put(&again[2]);
	xdc_put(&again[0]);
	xdc_put(&again[1]);
	xdc_set_bound(2 * XDC_BOUND_SIZE - 1);
	xdc_did(test, was, 0, 0, 2, "a lower bound");
	KUNIT_EXPECT_EQ(test, xdc_cached(), XDC_BOUND_SIZE);
	xdc_take(test, x->dev, newest, XDC_BOUND_SIZE, GFP_KERNEL,
		 "the newest");
	KUNIT_EXPECT_EQ(test, newest->bus, again[1].bus);
	xdc_did(test, was, 1, 0, 0, "the newest");
}

/* Nothing is kept, but once there is a bound again, it is. */
static void xdc_bound_none(struct kunit *test, struct xdc_mem *m,
			   struct xdc_look *was, unsigned long low)
{
	struct xdt *x = test->priv;

	xdc_set_bound(0);
	xdc_put(m);
	xen_coherent_flush_work();
	xdc_did(test, was, 0, 0, 1, "no bound");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low);
	xdc_take(test, x->dev, m, XDC_BOUND_SIZE, GFP_KERNEL, "anew");
	xdc_did(test, was, 0, 1, 0, "anew");
	xdc_set_bound(XDC_BOUND_SIZE);
	xdc_put(m);
	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xdc_cached(), XDC_BOUND_SIZE);
}

/* All of that comes by itself, sooner or later. */
static void xdc_bound_by_itself(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m[2];
	int i;

	xdc_take(test, x->dev, &m[0], XDC_BOUND_SIZE, GFP_KERNEL, "one");
	xdc_take(test, x->dev, &m[1], XDC_BOUND_SIZE, GFP_KERNEL, "another");
	xdc_put(&m[0]);
	xdc_put(&m[1]);
	for (i = 0; i < 10 * HZ && xdc_cached() > XDC_BOUND_SIZE; i++)
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_EQ(test, xdc_cached(), XDC_BOUND_SIZE);
}

/* What alone is larger than the bound doesn't stay. */
static void xdc_bound_too_low(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m;

	xdc_take(test, x->dev, &m, 2 * XDC_BOUND_SIZE, GFP_KERNEL, "large");
	xdc_put(&m);
	xen_coherent_flush_work();
	KUNIT_EXPECT_LE(test, xdc_cached(), XDC_BOUND_SIZE);
}

static void xdc_bounded(struct kunit *test)
{
	struct xdc_mem m[5], again[3];
	struct xdt *x = test->priv;
	unsigned long low = xen_machine_low_used();
	struct xdc_look was;
	int i;

	for (i = 0; i < 5; i++) {
		if (!xdc_take(test, x->dev, &m[i], XDC_BOUND_SIZE, GFP_KERNEL,
			      "to be freed"))
			return;
	}
	xdc_set_bound(3 * XDC_BOUND_SIZE);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_look(&was);
	for (i = 0; i < 3; i++)
		xdc_put(&m[i]);
	xen_coherent_flush_work();
	xdc_did(test, &was, 0, 0, 0, "up to the bound");
	KUNIT_EXPECT_EQ(test, xdc_cached(), 3 * XDC_BOUND_SIZE);

	/* The oldest two go. */
	xdc_put(&m[3]);
	xdc_put(&m[4]);
	xen_coherent_flush_work();
	xdc_did(test, &was, 0, 0, 2, "over the bound");
	KUNIT_EXPECT_EQ(test, xdc_cached(), 3 * XDC_BOUND_SIZE);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(),
			low + (3 << XDC_BOUND_ORDER));
	for (i = 0; i < 3; i++) {
		xdc_take(test, x->dev, &again[i], XDC_BOUND_SIZE, GFP_KERNEL,
			 "kept");
		KUNIT_EXPECT_TRUE(test, xdc_among(&again[i], &m[2], 3));
	}
	xdc_did(test, &was, 3, 0, 0, "kept");

	xdc_bound_by_age(test, again, &m[0], &was);
	xdc_bound_none(test, &m[0], &was, low);
	xdc_bound_by_itself(test);
	xdc_bound_too_low(test);
}

static void xdc_shrinker(struct kunit *test)
{
	unsigned long low = xen_machine_low_used();
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m[4];
	int i;

	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xdc_shrink(1), 0);
	KUNIT_EXPECT_EQ(test, xdc_shrink(ULONG_MAX), 0);

	for (i = 0; i < 4; i++) {
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << (3 + i),
			      GFP_KERNEL, "to be kept"))
			return;
	}
	/* From 32 pages up, then 8 and 16. */
	for (i = 0; i < 4; i++)
		xdc_put(&m[(i + 2) % 4]);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 120);
	xdc_look(&was);

	KUNIT_EXPECT_EQ(test, xdc_shrink(1), 32);
	xdc_did(test, &was, 0, 0, 1, "one page");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 88);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low + 88);

	KUNIT_EXPECT_EQ(test, xdc_shrink(64), 64);
	xdc_did(test, &was, 0, 0, 1, "as much as the oldest");
	KUNIT_EXPECT_EQ(test, xdc_shrink(9), 24);
	xdc_did(test, &was, 0, 0, 2, "a page more than the oldest");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xdc_cached(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low);
	KUNIT_EXPECT_EQ(test, xdc_shrink(1), 0);
	xdc_did(test, &was, 0, 0, 0, "nothing");
	KUNIT_EXPECT_EQ(test, was.usage.kept, 0);
}

/* Without any setting there is a bound, but one that is worth having. */
static void xdc_default_bound(struct kunit *test)
{
	const size_t size = PAGE_SIZE << MAX_PAGE_ORDER;
	const unsigned int nr = PFN_PHYS(totalram_pages()) / 8 / size + 1;
	struct xdt *x = test->priv;
	struct xdc_mem *m;
	unsigned int i;

	m = kunit_kcalloc(test, nr, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	xdc_set_bound(xdc_bound);
	for (i = 0; i < nr; i++)
		xdc_get(x->dev, &m[i], size, GFP_KERNEL, 0);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_NOT_NULL(test, m[i].cpu);
		if (m[i].cpu)
			xdc_put(&m[i]);
	}
	xen_coherent_flush_work();
	KUNIT_EXPECT_GE(test, xdc_cached(), 2 * size);
	KUNIT_EXPECT_LT(test, xdc_cached(), nr * size);
}

/* Who lacks memory gets that of the cache. */
static void xdc_pressure(struct kunit *test)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	const unsigned int nr = 64;
	struct xdt *x = test->priv;
	struct page *page, *next;
	unsigned long kept;
	struct xdc_mem *m;
	LIST_HEAD(pages);
	unsigned int i;

	m = kunit_kcalloc(test, nr, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	for (i = 0; i < nr; i++) {
		if (!xdc_take(test, x->dev, &m[i], SZ_256K, GFP_KERNEL,
			      "to be kept"))
			return;
	}
	xdc_put_all(test, m, nr);
	kept = xen_regions_kept();
	KUNIT_EXPECT_EQ(test, kept, SZ_16M / PAGE_SIZE);

	while (xen_regions_kept() == kept) {
		page = alloc_page(gfp);
		if (!page)
			break;
		list_add(&page->lru, &pages);
	}
	KUNIT_EXPECT_LT(test, xen_regions_kept(), kept);
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
}

/*
 * The hypervisor has no use for what lies above 4 GiB: that only goes to the page
 * allocator. Who comes next may find it as it is.
 */
static void xdc_high_goes(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m[8];
	unsigned long free;
	int i;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(64);
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	free = nr_free_pages();
	for (i = 0; i < ARRAY_SIZE(m); i++) {
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << MAX_PAGE_ORDER,
			      GFP_KERNEL, "above 4 GiB"))
			return;
		KUNIT_EXPECT_GE(test, m[i].bus, SZ_4G);
	}
	xdc_put_all(test, m, ARRAY_SIZE(m));

	xdc_look(&was);
	for (i = ARRAY_SIZE(m); i--; ) {
		KUNIT_EXPECT_EQ(test, xdc_shrink(1), BIT(MAX_PAGE_ORDER));
		KUNIT_EXPECT_EQ(test, xen_regions_kept(),
				i << MAX_PAGE_ORDER);
	}
	xdc_did(test, &was, 0, 0, 0, "above 4 GiB");
	KUNIT_EXPECT_EQ(test, was.machine.give_calls, 0);
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);
}

/* What nobody uses goes, what is used stays. */
static void xdc_ages(struct kunit *test)
{
	unsigned int idle = xen_pool_idle;
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m;

	xen_pool_idle = 3600;
	if (!xdc_take(test, x->dev, &m, SZ_1M, GFP_KERNEL, "aged"))
		return;
	xdc_put(&m);
	xdc_look(&was);
	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_1M);
	xdc_did(test, &was, 0, 0, 0, "not aged");

	/* Lost to all would be what the hypervisor has nothing better for. */
	xen_pool_idle = 0;
	xen_machine_fail_exchanges(-ENOMEM);
	xen_coherent_flush_work();
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_1M);
	xdc_did(test, &was, 0, 0, 0, "aged, but refused");
	xen_coherent_forget_refusal();

	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xdc_cached(), 0);
	xdc_did(test, &was, 0, 0, 1, "aged");
	xen_pool_idle = idle;
}

/* Of what goes back in part nothing is kept: its pages are no longer contiguous. */
static void xdc_ages_in_part(struct kunit *test)
{
	unsigned int idle = xen_pool_idle, i;
	struct xdt *x = test->priv;
	struct xdc_mem m;

	xen_pool_idle = 0;
	for (i = 0; i < 2; i++) {
		if (!xdc_take(test, x->dev, &m, SZ_256K, GFP_KERNEL, "new"))
			break;
		xdc_put(&m);
		if (i)
			xen_machine_give_part(3);
		else
			xen_machine_only_low(true);
		xen_coherent_flush_work();
		xen_machine_give_part(64);
		xen_machine_only_low(false);
		KUNIT_EXPECT_EQ_MSG(test, xdc_cached(), 0, "round %u", i);
		xen_coherent_forget_refusal();
		if (!xdc_take(test, x->dev, &m, SZ_256K, GFP_KERNEL, "again"))
			break;
		xdc_put(&m);
		xen_coherent_flush_work();
	}
	xen_pool_idle = idle;
}

/* The domain was restored: nobody is given an address from before. */
static void xdc_moved(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m[3];
	struct xdc_look was;
	unsigned int i;
	void *kept;

	for (i = 0; i < ARRAY_SIZE(m); i++)
		if (!xdc_take(test, x->dev, &m[i], SZ_256K, GFP_KERNEL, "new"))
			return;
	kept = m[0].cpu;
	xdc_put(&m[0]);
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xen_regions_revise(), 0);
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_256K);

	/* One is kept, one used, and one has its frames still. */
	xdc_no_longer(&m[1]);
	xen_machine_place(kept, SZ_256K >> PAGE_SHIFT, XEN_MACHINE_FREE_MFN);
	xen_machine_place(m[1].cpu, SZ_256K >> PAGE_SHIFT,
			  XEN_MACHINE_FREE_MFN + 1000);
	KUNIT_EXPECT_EQ(test, xen_regions_revise(), SZ_256K >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, xdc_cached(), 0);
	xdc_free(&m[1]);
	xdc_put(&m[2]);
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_256K);
	/* What was exchanged for them is no longer theirs. */
	xdc_did(test, &was, 0, 0, 0, "moved");
	xdc_take(test, x->dev, &m[0], SZ_256K, GFP_KERNEL, "kept");
	xdc_take(test, x->dev, &m[1], SZ_256K, GFP_KERNEL, "new again");
	xdc_put_all(test, m, 2);
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE(xdc_bounded),
	KUNIT_CASE(xdc_shrinker),
	KUNIT_CASE(xdc_default_bound),
	KUNIT_CASE(xdc_pressure),
	KUNIT_CASE(xdc_high_goes),
	KUNIT_CASE(xdc_ages),
	KUNIT_CASE(xdc_ages_in_part),
	KUNIT_CASE(xdc_moved),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-kept",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: what is kept");
MODULE_LICENSE("GPL");
