// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that have left the domain and come back at other addresses of the machine,
 * as they do through the balloon and where grants are mapped over them: whatever the
 * domain's offset says of them, the device sees their bytes and no other's.
 *
 * Which pages have moved is told by grants. A domain whose memory is mapped 1:1 gets
 * back what it gave: there, none must have moved. To be run last: what has moved does
 * not move back.
 *
 * The driver may ask the hypervisor too, soon after the pages have come back. Then they
 * are mapped where they are.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/swap.h>

#include <xen/balloon.h>
#include <xen/features.h>

#include "xdt_arm.h"

#define NR		16
#define TRIES		8
#define ORDER		3
#define GRANTS		256
#define BALLOON_PAGES	(SZ_16M / PAGE_SIZE)
#define SHRINK_TIMEOUT	(60 * HZ)

static bool expected(phys_addr_t phys, u64 *machine)
{
	const struct xdt_run *runs;
	unsigned int i, n = xdt_runs(&runs);

	for (i = 0; i < n; i++) {
		if (phys >= runs[i].start && phys < runs[i].end) {
			*machine = phys + runs[i].offset;
			return true;
		}
	}
	return false;
}

/* Whether a page is elsewhere than its run; behind an IOMMU, than itself. */
static bool has_moved(struct page *page)
{
	phys_addr_t phys = page_to_phys(page);
	u64 machine, was;

	if (!expected(phys, &was) || xdt_selfgrant(phys, &machine))
		return false;
	return machine != was;
}

/* Mapped singly and as a list, in place or not. */
static void check_pages(struct kunit *test, void **addr, unsigned int nr)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	KUNIT_ASSERT_LE(test, nr, NR);
	for (i = 0; i < nr; i++)
		xdt_own(test, &parts[i], addr[i], PAGE_SIZE, 40 * i,
			PAGE_SIZE - 100 * i);
	xdt_check_parts(test, parts, nr);
	xdt_check_list(test, parts, nr, true);
}

/* Of a domain in very many pieces not all runs are known: where a page is, is asked before. */
static void look_where(struct kunit *test, void **addr, u64 *was, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!expected(virt_to_phys(addr[i]), &was[i]))
			KUNIT_ASSERT_EQ(test, 0, xdt_selfgrant(virt_to_phys(addr[i]),
							       &was[i]));
}

static unsigned int count_moved(void **addr, const u64 *was, unsigned int nr)
{
	unsigned int i, n = 0;
	u64 machine;

	for (i = 0; i < nr; i++)
		n += !xdt_selfgrant(virt_to_phys(addr[i]), &machine) &&
		     machine != was[i];
	return n;
}

/*
 * Has some of the pages move, or none, where that can't be. What the hypervisor
 * gives back in what order is for it to decide, so others take part, and it is tried
 * more than once.
 */
static void move(struct kunit *test, void **addr, unsigned int nr)
{
	unsigned int i, n, moved = 0;
	void *all[2 * NR];
	u64 was[NR];

	KUNIT_ASSERT_LE(test, nr, NR);
	look_where(test, addr, was, nr);
	for (i = 0; i < NR; i++)
		all[i] = xdt_pages(test, 0);
	for (i = 0; i < nr; i++)
		all[NR + i] = addr[i];
	n = NR + nr;
	for (i = 0; i < TRIES && !moved; i++) {
		xdt_permute(test, all, n, 3 * i);
		moved = count_moved(addr, was, nr);
	}
	kunit_info(test, "%u of %u pages have moved\n", moved, nr);
	if (xen_feature(XENFEAT_direct_mapped))
		KUNIT_ASSERT_EQ(test, 0, moved);
	else
		KUNIT_ASSERT_NE(test, 0, moved);
}

static void exchanged(struct kunit *test)
{
	void *addr[NR];
	unsigned int i;

	for (i = 0; i < NR; i++)
		addr[i] = xdt_pages(test, 0);
	move(test, addr, NR);
	check_pages(test, addr, NR);
}

/* Some pages of a larger piece have moved, the others have not. */
static void exchanged_within(struct kunit *test)
{
	struct xdt_part part = { };
	u8 *base = xdt_pages(test, ORDER);
	void *addr[2] = { base + 2 * PAGE_SIZE, base + 5 * PAGE_SIZE };

	move(test, addr, ARRAY_SIZE(addr));
	xdt_own(test, &part, base, PAGE_SIZE << ORDER, 700,
		(PAGE_SIZE << ORDER) - 1000);
	xdt_check_parts(test, &part, 1);
	xdt_check_list(test, &part, 1, false);
	xdt_check_list(test, &part, 1, true);
}

/*
 * They are right at once, mostly by a copy, and before long without one; and when they
 * leave again, they are right again.
 */
static void known_again(struct kunit *test)
{
	unsigned int i, round;
	void *addr[NR];

	for (i = 0; i < NR; i++)
		addr[i] = xdt_pages(test, 0);
	for (round = 0; round < 2; round++) {
		move(test, addr, NR);
		check_pages(test, addr, NR);
		KUNIT_EXPECT_TRUE(test, xdt_wait_in_place(test, addr, NR));
		check_pages(test, addr, NR);
	}
}

/* Looked at before and after. */
static void exchanged_again(struct kunit *test)
{
	void *addr[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(addr); i++)
		addr[i] = xdt_pages(test, 0);
	check_pages(test, addr, ARRAY_SIZE(addr));
	move(test, addr, ARRAY_SIZE(addr));
	check_pages(test, addr, ARRAY_SIZE(addr));
}

/* Allocates pages that have moved, out of up to half of the memory; or any pages. */
static unsigned int find_moved(struct kunit *test, void **addr)
{
	unsigned long left = si_mem_available() / 2;
	struct page *page, *next;
	unsigned int n = 0;
	LIST_HEAD(others);

	while (n < NR && left--) {
		page = alloc_page(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY);
		if (!page)
			break;
		list_add(&page->lru, &others);
		if (has_moved(page) || xen_feature(XENFEAT_direct_mapped)) {
			list_del(&page->lru);
			addr[n++] = page_address(page);
		}
		cond_resched();
	}
	list_for_each_entry_safe(page, next, &others, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
	return n;
}

static void check_moved(struct kunit *test)
{
	unsigned int i, n;
	void *addr[NR];

	n = find_moved(test, addr);
	kunit_info(test, "%u pages\n", n);
	if (n)
		check_pages(test, addr, n);
	for (i = 0; i < n; i++)
		free_page((unsigned long)addr[i]);
	KUNIT_ASSERT_NE(test, 0, n);
}

static void ballooned(struct kunit *test)
{
	unsigned long full, end = jiffies + SHRINK_TIMEOUT;

	KUNIT_ASSERT_TRUE(test, xdt_settled());
	full = balloon_stats.current_pages;
	KUNIT_ASSERT_GT(test, full, 2 * BALLOON_PAGES);
	balloon_set_new_target(full - BALLOON_PAGES);
	while (READ_ONCE(balloon_stats.current_pages) > full - BALLOON_PAGES &&
	       time_before(jiffies, end))
		msleep(20);
	KUNIT_EXPECT_EQ(test, full - BALLOON_PAGES,
			balloon_stats.current_pages);
	balloon_set_new_target(full);
	KUNIT_ASSERT_TRUE(test, xdt_settled());
	check_moved(test);
}

/* Pages over which grants could be mapped, and which are given back. */
static void grant_pages(struct kunit *test)
{
	struct page **pages;
	unsigned long full;
	bool ours;

	KUNIT_ASSERT_TRUE(test, xdt_settled());
	full = balloon_stats.current_pages;
	pages = kunit_kcalloc(test, GRANTS, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_EQ(test, 0, gnttab_alloc_pages(GRANTS, pages));
	ours = balloon_stats.current_pages != full;
	gnttab_free_pages(GRANTS, pages);
	if (!ours)
		kunit_skip(test, "grants are not mapped over memory of ours");
	KUNIT_ASSERT_TRUE(test, xdt_settled());
	check_moved(test);
}

/* Coherent memory does not consist of what has moved, or is right all the same. */
static void coherent(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		xdt_check_coherent(test, PAGE_SIZE << (i % 4));
	xdt_check_coherent(test, SZ_1M);
}

static struct kunit_case moved_cases[] = {
	KUNIT_CASE(exchanged),
	KUNIT_CASE(exchanged_within),
	KUNIT_CASE(exchanged_again),
	KUNIT_CASE(known_again),
	KUNIT_CASE(ballooned),
	KUNIT_CASE(grant_pages),
	KUNIT_CASE(coherent),
	{ }
};

static struct kunit_suite moved_suite = {
	.name = "xdt_arm_moved",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = moved_cases,
};

kunit_test_suite(moved_suite);

MODULE_DESCRIPTION("DMA tests for ARM: pages that have moved");
MODULE_LICENSE("GPL");
