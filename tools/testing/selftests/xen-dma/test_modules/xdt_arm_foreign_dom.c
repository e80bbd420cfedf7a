// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of another domain, which xdt_arm_offer.ko offers there: the device of this
 * one reads what the other domain has written, and writes what that one finds.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/module.h>

#include "xdt_arm.h"
#include "xdt_arm_offer.h"

/* The first references that a kernel gives out, and some more. */
#define FIRST_REF	8
#define LAST_REF	40

static unsigned int timeout = 120;
module_param(timeout, uint, 0444);
MODULE_PARM_DESC(timeout, "for how many seconds the other domain is waited for");

static struct xdt_foreign *first;
static struct xdt_foreign *theirs;
static struct offer *offer;
static unsigned int round;

static bool find_offer(void)
{
	grant_ref_t ref;

	for (ref = FIRST_REF; ref <= LAST_REF; ref++) {
		first = xdt_foreign_of(xdt_peer(), &ref, 1);
		if (IS_ERR(first))
			continue;
		offer = page_address(first->pages[0]);
		if (READ_ONCE(offer->magic) == OFFER_MAGIC) {
			/* Pairs with the other domain's: the references. */
			smp_rmb();
			return true;
		}
		xdt_foreign_end(first);
	}
	first = NULL;
	return false;
}

static int foreign_dom_suite_init(struct kunit_suite *suite)
{
	unsigned long end = jiffies + timeout * HZ;
	int ret;

	while (!find_offer()) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		msleep(100);
	}
	theirs = xdt_foreign_of(xdt_peer(), offer->refs, OFFER_PAGES);
	ret = PTR_ERR_OR_ZERO(theirs);
	if (ret)
		theirs = NULL;
	return ret;
}

static void foreign_dom_suite_exit(struct kunit_suite *suite)
{
	if (theirs)
		xdt_foreign_end(theirs);
	if (!first)
		return;
	WRITE_ONCE(offer->ended, 1);
	xdt_foreign_end(first);
}

/* Asks the other domain what it finds. */
static void ask(struct kunit *test)
{
	unsigned long end = jiffies + timeout * HZ;
	u64 wrong = READ_ONCE(offer->wrong);

	/* Whoever sees the question sees what the device has written. */
	smp_wmb();
	WRITE_ONCE(offer->asked, round + 1);
	while (READ_ONCE(offer->answered) != round + 1 &&
	       time_before(jiffies, end))
		msleep(20);
	KUNIT_ASSERT_EQ(test, round + 1, READ_ONCE(offer->answered));
	/* Pairs with the other domain's: the verdict, the new content. */
	smp_rmb();
	KUNIT_EXPECT_EQ_MSG(test, wrong, READ_ONCE(offer->wrong),
			    "the other domain finds wrong bytes");
	round++;
}

static struct xdt_op *new_ops(struct kunit *test)
{
	struct xdt_op *ops;
	unsigned int i;

	/* Two for each page: one is a byte too short. */
	ops = kunit_kcalloc(test, 2 * OFFER_PAGES, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	for (i = 0; i < 2 * OFFER_PAGES; i++) {
		ops[i].len = PAGE_SIZE / 2;
		ops[i].buf = kunit_kzalloc(test, PAGE_SIZE / 2, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ops[i].buf);
	}
	return ops;
}

/* Reads all pages, then writes them, by the bus addresses in @ops. */
static bool see(struct kunit *test, struct xdt_op *ops)
{
	unsigned int i;
	bool right = true;

	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, 2 * OFFER_PAGES));
	for (i = 0; i < 2 * OFFER_PAGES; i++) {
		size_t at = i % 2 * PAGE_SIZE / 2;
		size_t same = xdt_match(ops[i].buf, PAGE_SIZE / 2,
					OFFER_SEED(round, i / 2), at);

		KUNIT_EXPECT_EQ_MSG(test, PAGE_SIZE / 2, same,
				    "the device, in page %u", i / 2);
		right &= same == PAGE_SIZE / 2;
	}
	return right;
}

static void set(struct kunit *test, struct xdt_op *ops)
{
	unsigned int i;
	size_t j;

	for (i = 0; i < 2 * OFFER_PAGES; i++) {
		u8 *buf = ops[i].buf;

		for (j = 0; j < PAGE_SIZE / 2; j++)
			buf[j] = xdt_byte(OFFER_WRITTEN(round, i / 2),
					  i % 2 * PAGE_SIZE / 2 + j);
		ops[i].poke = true;
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, 2 * OFFER_PAGES));
}

/* How many pages are mapped where they are: what a script may want to know. */
static void tell(struct kunit *test, u64 mask)
{
	unsigned int i, direct = 0;

	for (i = 0; i < OFFER_PAGES; i++)
		direct += theirs->page[i].bus + PAGE_SIZE - 1 <= mask;
	kunit_info(test, "%u pages are beyond the mask\n",
		   OFFER_PAGES - direct);
	kunit_info(test, "xdt: foreign pages mapped: %u\n", direct);
}

static void check_pages(struct kunit *test, unsigned int bits)
{
	u64 mask = DMA_BIT_MASK(bits);
	unsigned int i;
	struct xdt_op *ops;

	/* Without memory of ours to bounce through it is refused. */
	if (!xdt_may_mask(test, bits))
		return;
	ops = new_ops(test);
	for (i = 0; i < OFFER_PAGES; i++) {
		dma_addr_t bus = xdt_map(test, page_address(theirs->pages[i]),
					 PAGE_SIZE, DMA_BIDIRECTIONAL);

		if (theirs->page[i].bus + PAGE_SIZE - 1 <= mask)
			KUNIT_EXPECT_EQ(test, theirs->page[i].bus, bus);
		ops[2 * i].bus = bus;
		ops[2 * i + 1].bus = bus + PAGE_SIZE / 2;
	}
	tell(test, mask);
	if (!see(test, ops))
		return;
	set(test, ops);
	xdt_unmap_all(test);
	ask(test);
}

static void check_list(struct kunit *test, unsigned int bits)
{
	struct scatterlist *sg;
	struct sg_table *table;
	struct xdt_op *ops;
	unsigned int i, n = 0;

	/* Without memory of ours to bounce through it is refused. */
	if (!xdt_may_mask(test, bits))
		return;
	ops = new_ops(test);
	tell(test, DMA_BIT_MASK(bits));
	table = xdt_table(test, OFFER_PAGES);
	for_each_sgtable_sg(table, sg, i)
		sg_set_page(sg, theirs->pages[i], PAGE_SIZE, 0);
	xdt_map_table(test, table, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, OFFER_PAGES * PAGE_SIZE,
			xdt_check_table(test, table));
	for_each_sgtable_dma_sg(table, sg, i) {
		size_t at;

		for (at = 0; at < sg_dma_len(sg); at += PAGE_SIZE / 2)
			ops[n++].bus = sg_dma_address(sg) + at;
	}
	KUNIT_ASSERT_EQ(test, 2 * OFFER_PAGES, n);
	if (!see(test, ops))
		return;
	set(test, ops);
	xdt_unmap_table(test, table);
	ask(test);
}

static void pages_64(struct kunit *test)
{
	check_pages(test, 64);
}

static void pages_40(struct kunit *test)
{
	check_pages(test, 40);
}

static void pages_32(struct kunit *test)
{
	check_pages(test, 32);
}

static void list_64(struct kunit *test)
{
	check_list(test, 64);
}

static void list_40(struct kunit *test)
{
	check_list(test, 40);
}

static void list_32(struct kunit *test)
{
	check_list(test, 32);
}

static struct kunit_case foreign_dom_cases[] = {
	KUNIT_CASE(pages_64),
	KUNIT_CASE(list_64),
	KUNIT_CASE(pages_40),
	KUNIT_CASE(list_40),
	KUNIT_CASE(pages_32),
	KUNIT_CASE(list_32),
	{ }
};

static struct kunit_suite foreign_dom_suite = {
	.name = "xdt_arm_foreign_dom",
	.suite_init = foreign_dom_suite_init,
	.suite_exit = foreign_dom_suite_exit,
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = foreign_dom_cases,
};

kunit_test_suite(foreign_dom_suite);

MODULE_DESCRIPTION("DMA tests for ARM: pages of another domain");
MODULE_LICENSE("GPL");
