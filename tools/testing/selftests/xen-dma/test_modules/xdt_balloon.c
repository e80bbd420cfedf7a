// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory of a domain that gives memory to the hypervisor by its balloon,
 * and gets it back: regions in use stay where they are and keep what they hold,
 * those that the driver keeps for later can be used, and there are new ones.
 *
 * The cases are steps of one course of events, for the balloon takes its time:
 * regions are made, the balloon grows, a look, the balloon shrinks, another one.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/jiffies.h>
#include <linux/module.h>

#include <xen/balloon.h>

#include "xdt.h"
#include "xdt_memory.h"

#define NR_ORDERS	11
/* Larger than the page allocator's largest block. */
#define LARGE_ORDER	12

#define BALLOON_PAGES	(256 * SZ_1M / PAGE_SIZE)
#define BALLOON_TIMEOUT	(120 * HZ)

static struct xdt_area held[NR_ORDERS];
static struct xdt_area large;
static unsigned long full;

static bool hold(struct kunit *test, struct xdt_area *area, unsigned int order)
{
	const char *flaw;

	KUNIT_EXPECT_TRUE_MSG(test, xdt_take(xdt_dev(test), area,
					     PAGE_SIZE << order, GFP_KERNEL),
			      "no memory of order %u", order);
	if (!area->addr)
		return false;
	flaw = xdt_area_flaw(xdt_dev(test), area);
	KUNIT_EXPECT_NULL_MSG(test, flaw, "order %u: %s", order, flaw);
	xdt_stamp(area->addr, area->size, order);
	return true;
}

/* The CPU and the device see what was written, where it was written. */
static void check_held(struct kunit *test, struct xdt_area *area,
		       unsigned int order)
{
	KUNIT_EXPECT_NOT_NULL_MSG(test, area->addr, "order %u", order);
	if (!area->addr)
		return;
	KUNIT_EXPECT_EQ_MSG(test, area->size,
			    xdt_stamped(area->addr, area->size, order),
			    "order %u", order);
	KUNIT_EXPECT_TRUE_MSG(test, xdt_area_lies(area), "order %u", order);
}

static void check_all_held(struct kunit *test)
{
	unsigned int order;

	for (order = 0; order < NR_ORDERS; order++)
		check_held(test, &held[order], order);
	KUNIT_EXPECT_TRUE(test, xdt_device_sees(held, NR_ORDERS));
}

/* Allocates and frees one of each order, all at a time. */
static void check_more(struct kunit *test)
{
	struct xdt_area areas[NR_ORDERS] = { };
	unsigned int order;

	for (order = 0; order < NR_ORDERS; order++)
		hold(test, &areas[order], order);
	for (order = 0; order < NR_ORDERS; order++) {
		KUNIT_EXPECT_EQ(test, areas[order].size,
				xdt_stamped(areas[order].addr,
					    areas[order].size, order));
		xdt_give(xdt_dev(test), &areas[order]);
	}
}

static void check_large(struct kunit *test, struct xdt_area *area)
{
	check_held(test, area, LARGE_ORDER);
	KUNIT_EXPECT_TRUE(test, xdt_device_sees(area, 1));
}

static void check_more_large(struct kunit *test)
{
	struct xdt_area area;

	if (hold(test, &area, LARGE_ORDER))
		check_large(test, &area);
	xdt_give(xdt_dev(test), &area);
}

static void balloon_to(struct kunit *test, unsigned long pages)
{
	unsigned long end = jiffies + BALLOON_TIMEOUT;

	balloon_set_new_target(pages);
	while (READ_ONCE(balloon_stats.current_pages) != pages &&
	       time_before(jiffies, end))
		msleep(20);
	KUNIT_EXPECT_EQ(test, pages, balloon_stats.current_pages);
}

static void set_mask(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
}

/* Some to keep, and as many that are free when the balloon comes. */
static void make(struct kunit *test)
{
	unsigned int order;

	set_mask(test);
	for (order = 0; order < NR_ORDERS; order++)
		hold(test, &held[order], order);
	check_more(test);
}

static void make_large(struct kunit *test)
{
	set_mask(test);
	if (hold(test, &large, LARGE_ORDER))
		check_more_large(test);
}

static void grows(struct kunit *test)
{
	full = balloon_stats.current_pages;
	KUNIT_ASSERT_GT(test, full, 2 * BALLOON_PAGES);
	balloon_to(test, full - BALLOON_PAGES);
}

static void held_small(struct kunit *test)
{
	check_all_held(test);
}

static void held_large(struct kunit *test)
{
	check_large(test, &large);
}

static void more_small(struct kunit *test)
{
	set_mask(test);
	check_more(test);
}

static void more_large(struct kunit *test)
{
	set_mask(test);
	check_more_large(test);
}

static void sound(struct kunit *test)
{
	struct xdt_domain domain;

	KUNIT_EXPECT_TRUE_MSG(test, xdt_is_sound(&domain, NULL),
			      "%lu pages are wrong, first %#lx: P2M %#lx PTE %#lx M2P %#lx",
			      domain.wrong, domain.pfn, domain.p2m, domain.pte,
			      domain.m2p);
}

static void shrinks(struct kunit *test)
{
	KUNIT_ASSERT_NE(test, 0, full);
	balloon_to(test, full);
}

static void held_small_again(struct kunit *test)
{
	unsigned int order;

	check_all_held(test);
	for (order = 0; order < NR_ORDERS; order++)
		xdt_give(xdt_dev(test), &held[order]);
}

static void held_large_again(struct kunit *test)
{
	check_large(test, &large);
	xdt_give(xdt_dev(test), &large);
}

static struct kunit_case balloon_cases[] = {
	KUNIT_CASE(make),
	KUNIT_CASE(make_large),
	KUNIT_CASE(grows),
	KUNIT_CASE(held_small),
	KUNIT_CASE(held_large),
	KUNIT_CASE(more_small),
	KUNIT_CASE(more_large),
	KUNIT_CASE(sound),
	KUNIT_CASE(shrinks),
	KUNIT_CASE(held_small_again),
	KUNIT_CASE(held_large_again),
	{ }
};

static struct kunit_suite balloon_suite = {
	.name = "xdt_balloon",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = balloon_cases,
};

kunit_test_suite(balloon_suite);

MODULE_DESCRIPTION("DMA tests: coherent memory and the balloon");
MODULE_LICENSE("GPL");
