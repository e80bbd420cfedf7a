// SPDX-License-Identifier: GPL-2.0
/*
 * The domain whose pages are foreign for another one: grants them, and looks at
 * what the other domain's device has written into them. It needs no device.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/module.h>

#include <xen/grant_table.h>
#include <xen/page.h>

#include "xdt_arm.h"
#include "xdt_arm_offer.h"

static unsigned int timeout = 120;
module_param(timeout, uint, 0444);
MODULE_PARM_DESC(timeout, "for how many seconds the other domain may be silent");

static struct offer *offer;
static u8 *pages;

static void fill(unsigned int round)
{
	unsigned int i;

	for (i = 0; i < OFFER_PAGES; i++)
		xdt_fill(pages + i * PAGE_SIZE, PAGE_SIZE,
			 OFFER_SEED(round, i));
}

static u64 count_wrong(unsigned int round)
{
	unsigned int i;
	u64 wrong = 0;
	size_t j;

	for (i = 0; i < OFFER_PAGES; i++)
		for (j = 0; j < PAGE_SIZE; j++)
			wrong += pages[i * PAGE_SIZE + j] !=
				 xdt_byte(OFFER_WRITTEN(round, i), j);
	return wrong;
}

/* A reference and what it stands for, given back at the end. */
static int grant(void *addr)
{
	return gnttab_grant_foreign_access(xdt_peer(), virt_to_gfn(addr), 0);
}

static int offer_suite_init(struct kunit_suite *suite)
{
	unsigned int order = get_order(OFFER_PAGES * PAGE_SIZE), i;
	int ref;

	offer = (struct offer *)get_zeroed_page(GFP_KERNEL);
	pages = (u8 *)__get_free_pages(GFP_KERNEL, order);
	if (!offer || !pages)
		return -ENOMEM;
	/* The other domain looks for it among the first references. */
	ref = grant(offer);
	if (ref < 0)
		return ref;
	pr_info("xdt: offered by reference %d\n", ref);
	fill(0);
	for (i = 0; i < OFFER_PAGES; i++) {
		ref = grant(pages + i * PAGE_SIZE);
		if (ref < 0)
			return ref;
		offer->refs[i] = ref;
	}
	/* Whoever sees the magic number sees the references. */
	smp_wmb();
	WRITE_ONCE(offer->magic, OFFER_MAGIC);
	return 0;
}

/* Waits until the other domain has asked once more, or says that it has ended. */
static bool is_asked(unsigned int answered)
{
	unsigned long end = jiffies + timeout * HZ;

	while (READ_ONCE(offer->asked) == answered &&
	       !READ_ONCE(offer->ended) && time_before(jiffies, end))
		msleep(20);
	/* Pairs with the other domain's barrier: what was written before. */
	smp_rmb();
	return READ_ONCE(offer->asked) != answered;
}

static void offered(struct kunit *test)
{
	unsigned int round = 0;

	while (is_asked(round)) {
		u64 wrong = count_wrong(round);

		KUNIT_EXPECT_EQ_MSG(test, 0, wrong, "round %u", round);
		offer->wrong += wrong;
		round++;
		fill(round);
		/* Whoever sees the answer sees the new content. */
		smp_wmb();
		WRITE_ONCE(offer->answered, round);
	}
	KUNIT_EXPECT_NE_MSG(test, 0, round, "nobody has asked");
	KUNIT_EXPECT_TRUE_MSG(test, READ_ONCE(offer->ended),
			      "the other domain has fallen silent");
}

static struct kunit_case offer_cases[] = {
	KUNIT_CASE(offered),
	{ }
};

/* The pages stay granted: the other domain may still be about to let go. */
static struct kunit_suite offer_suite = {
	.name = "xdt_arm_offer",
	.suite_init = offer_suite_init,
	.test_cases = offer_cases,
};

kunit_test_suite(offer_suite);

MODULE_DESCRIPTION("DMA tests for ARM: pages for another domain's device");
MODULE_LICENSE("GPL");
