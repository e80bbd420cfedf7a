// SPDX-License-Identifier: GPL-2.0
/*
 * Foreign pages: the device finds them at the address that their grant has told,
 * whatever the offset of the domain's own memory, directly or bounced; unmapped,
 * they are forgotten.
 *
 * They are pages of ours that were granted to ourselves, so that the CPU has a view
 * of their bytes that does not go through the mapping under test.
 */
#include <linux/module.h>
#include <linux/random.h>

#include <xen/balloon.h>

#include "xdt_arm.h"

#define NR		16
#define MANY		256
/* Of many, so many are looked at by the device. */
#define LOOKS		16

/* A foreign page's parts: as many as there are pages. */
static void cut(struct xdt_part *parts, struct xdt_foreign *foreign,
		bool direct)
{
	unsigned int i;

	for (i = 0; i < NR; i++) {
		size_t offset = i % 4 ? 100 * i + i : 0;
		size_t size = i % 3 ? 1 + 160 * i : PAGE_SIZE - offset;

		xdt_theirs(&parts[i], foreign, i, offset, size);
		if (direct)
			parts[i].machine = foreign->page[i].bus;
	}
}

static void check_direct(struct kunit *test, unsigned int bits, bool list)
{
	struct xdt_foreign *foreign = xdt_foreign(test, NR, 0);
	struct xdt_part *parts = xdt_parts(test, NR);

	cut(parts, foreign, true);
	xdt_mask(test, bits);
	if (list) {
		xdt_check_list(test, parts, NR, false);
		xdt_check_list(test, parts, NR, true);
	} else {
		xdt_check_parts(test, parts, NR);
	}
}

static void direct_64(struct kunit *test)
{
	check_direct(test, 64, false);
}

static void direct_40(struct kunit *test)
{
	check_direct(test, 40, false);
}

static void direct_list_64(struct kunit *test)
{
	check_direct(test, 64, true);
}

static void direct_list_40(struct kunit *test)
{
	check_direct(test, 40, true);
}

/* Beyond a mask within which there is memory to bounce through. */
static struct xdt_foreign *bounced(struct kunit *test)
{
	static const unsigned int widths[] = { 32, 31, 33, 34, 35, 36, 37 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		u64 mask = DMA_BIT_MASK(widths[i]);

		if (!xdt_ram_within(mask) || !xdt_ram_beyond(mask))
			continue;
		kunit_info(test, "a mask of %u bits\n", widths[i]);
		xdt_mask(test, widths[i]);
		return xdt_foreign(test, NR, mask + 1);
	}
	kunit_skip(test, "no mask has memory within and beyond it");
	return NULL;
}

static void bounced_pages(struct kunit *test)
{
	struct xdt_foreign *foreign = bounced(test);
	struct xdt_part *parts = xdt_parts(test, NR);

	cut(parts, foreign, false);
	xdt_check_parts(test, parts, NR);
}

static void bounced_list(struct kunit *test)
{
	struct xdt_foreign *foreign = bounced(test);
	struct xdt_part *parts = xdt_parts(test, NR);

	cut(parts, foreign, false);
	xdt_check_list(test, parts, NR, false);
	xdt_check_list(test, parts, NR, true);
}

/* Part of a mapping is synchronised, by its bus address alone. */
static void check_sync(struct kunit *test, struct xdt_foreign *foreign,
		       unsigned int i)
{
	enum { FIRST = 1000, LEN = 700 };
	struct device *dev = xdt_dev(test);
	u8 *own = page_address(foreign->page[i].own);
	u8 *page = page_address(foreign->pages[i]), *seen;
	dma_addr_t bus;

	seen = kunit_kzalloc(test, LEN, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(own, PAGE_SIZE, 1);
	bus = xdt_map(test, page, PAGE_SIZE, DMA_BIDIRECTIONAL);

	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus + FIRST, seen, LEN));
	KUNIT_ASSERT_EQ(test, LEN, xdt_match(seen, LEN, 1, FIRST));
	xdt_fill(seen, LEN, 2);
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus + FIRST, seen, LEN));
	dma_sync_single_range_for_cpu(dev, bus, FIRST, LEN, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, LEN, xdt_match(own + FIRST, LEN, 2, 0));
	KUNIT_EXPECT_EQ(test, FIRST, xdt_match(own, FIRST, 1, 0));

	xdt_fill(page + FIRST, LEN, 3);
	dma_sync_single_range_for_device(dev, bus, FIRST, LEN,
					 DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus + FIRST, seen, LEN));
	KUNIT_EXPECT_EQ(test, LEN, xdt_match(seen, LEN, 3, 0));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, LEN, xdt_match(own + FIRST, LEN, 3, 0));
	KUNIT_EXPECT_EQ(test, FIRST, xdt_match(own, FIRST, 1, 0));
}

/* Several, for stock's driver now and then is right about one. */
static void direct_sync(struct kunit *test)
{
	struct xdt_foreign *foreign = xdt_foreign(test, NR, 0);
	unsigned int i;

	for (i = 0; i < NR; i++)
		check_sync(test, foreign, i);
}

static void bounced_sync(struct kunit *test)
{
	check_sync(test, bounced(test), 0);
}

static void shuffle(unsigned int *order, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		order[i] = i;
	for (i = nr - 1; i; i--) {
		unsigned int other = get_random_u32() % (i + 1);

		swap(order[i], order[other]);
	}
}

/* Mapped in any order, unmapped in another one, grants and DMA alike. */
static void many(struct kunit *test)
{
	struct xdt_foreign *foreign = xdt_foreign(test, MANY, 0);
	struct device *dev = xdt_dev(test);
	struct xdt_op ops[LOOKS] = { };
	unsigned int *order, i, n, elsewhere = 0, kept = 0;
	dma_addr_t *bus;
	bool right = true;

	order = kunit_kcalloc(test, MANY, sizeof(*order), GFP_KERNEL);
	bus = kunit_kcalloc(test, MANY, sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, order);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	shuffle(order, MANY);
	for (i = 0; i < MANY; i++) {
		n = order[i];
		xdt_fill(page_address(foreign->page[n].own), PAGE_SIZE, n);
		bus[n] = xdt_map(test, page_address(foreign->pages[n]),
				 PAGE_SIZE, DMA_BIDIRECTIONAL);
		elsewhere += bus[n] != foreign->page[n].bus;
	}
	KUNIT_EXPECT_EQ(test, 0, elsewhere);
	for (i = 0; i < LOOKS; i++) {
		ops[i].bus = bus[order[i * MANY / LOOKS]] + 8;
		ops[i].len = 256;
		ops[i].buf = kunit_kzalloc(test, 256, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ops[i].buf);
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, LOOKS));
	for (i = 0; i < LOOKS; i++) {
		n = order[i * MANY / LOOKS];
		if (xdt_match(ops[i].buf, 256, n, 8) != 256)
			right = false;
		xdt_fill(ops[i].buf, 256, n + 1000);
		ops[i].poke = true;
	}
	KUNIT_EXPECT_TRUE(test, right);
	if (right)
		KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, LOOKS));
	for (i = 0; right && i < LOOKS; i++) {
		u8 *own;

		n = order[i * MANY / LOOKS];
		own = page_address(foreign->page[n].own);
		dma_sync_single_for_cpu(dev, bus[n], PAGE_SIZE,
					DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, 8, xdt_match(own, 8, n, 0));
		KUNIT_EXPECT_EQ(test, 256, xdt_match(own + 8, 256, n + 1000,
						     0));
	}
	shuffle(order, MANY);
	for (i = 0; i < MANY; i++) {
		xdt_unmap(test, bus[order[i]]);
		kept += xdt_foreign_unmap(foreign, order[i]) != 0;
	}
	KUNIT_EXPECT_EQ(test, 0, kept);
}

/* Two foreign pages that are neighbours for the CPU alone. */
static void straddling(struct kunit *test)
{
	struct xdt_foreign *foreign = xdt_foreign(test, MANY, 0);
	u8 seen[2][16], *first = NULL, *own[2] = { };
	struct xdt_op ops[2] = { };
	unsigned int i, j;
	dma_addr_t bus;

	for (i = 0; i < MANY && !first; i++) {
		for (j = 0; j < MANY && !first; j++) {
			if (page_to_pfn(foreign->pages[j]) !=
			    page_to_pfn(foreign->pages[i]) + 1 ||
			    foreign->page[j].bus ==
			    foreign->page[i].bus + PAGE_SIZE)
				continue;
			first = page_address(foreign->pages[i]);
			own[0] = page_address(foreign->page[i].own);
			own[1] = page_address(foreign->page[j].own);
		}
	}
	if (!first)
		kunit_skip(test, "no two foreign pages are neighbours");
	if (xdt_has_iommu())
		kunit_skip(test, "they are neighbours for the IOMMU too");
	xdt_fill(own[0], PAGE_SIZE, 1);
	xdt_fill(own[1], PAGE_SIZE, 2);
	bus = xdt_map(test, first, 2 * PAGE_SIZE, DMA_BIDIRECTIONAL);
	for (i = 0; i < 2; i++) {
		ops[i].bus = bus + PAGE_SIZE - 16 + i * 16;
		ops[i].len = 16;
		ops[i].buf = seen[i];
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, 2));
	KUNIT_ASSERT_EQ(test, 16, xdt_match(seen[0], 16, 1, PAGE_SIZE - 16));
	KUNIT_ASSERT_EQ(test, 16, xdt_match(seen[1], 16, 2, 0));
	for (i = 0; i < 2; i++) {
		xdt_fill(seen[i], 16, 3 + i);
		ops[i].poke = true;
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, 2));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, 16, xdt_match(own[0] + PAGE_SIZE - 16, 16, 3, 0));
	KUNIT_EXPECT_EQ(test, 16, xdt_match(own[1], 16, 4, 0));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE - 16,
			xdt_match(own[1] + 16, PAGE_SIZE - 16, 2, 16));
}

/* Where one foreign page was, there is another one: the old address is gone. */
static void another_there(struct kunit *test)
{
	struct xdt_foreign *foreign = xdt_foreign(test, 2, 0);
	struct xdt_part part = { };
	dma_addr_t bus;

	bus = xdt_map(test, page_address(foreign->pages[0]), PAGE_SIZE,
		      DMA_TO_DEVICE);
	xdt_unmap(test, bus);
	KUNIT_ASSERT_EQ(test, 0, xdt_foreign_unmap(foreign, 0));
	KUNIT_ASSERT_EQ(test, 0, xdt_foreign_unmap(foreign, 1));
	swap(foreign->page[0], foreign->page[1]);
	KUNIT_ASSERT_EQ(test, 0, xdt_foreign_map(foreign, 0));
	xdt_theirs(&part, foreign, 0, 0, PAGE_SIZE);
	part.machine = foreign->page[0].bus;
	xdt_check_parts(test, &part, 1);
	xdt_check_list(test, &part, 1, false);
}

/* Where a foreign page was, there is a page of ours again. */
static void own_there(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	struct xdt_foreign *foreign;
	phys_addr_t phys[NR];
	unsigned int i, n = 0;
	unsigned long before;

	KUNIT_ASSERT_TRUE(test, xdt_settled());
	before = balloon_stats.current_pages;
	foreign = xdt_foreign(test, NR, 0);
	if (balloon_stats.current_pages == before)
		kunit_skip(test, "grants are not mapped over memory of ours");
	for (i = 0; i < NR; i++) {
		dma_addr_t bus;

		phys[i] = page_to_phys(foreign->pages[i]);
		bus = xdt_map(test, page_address(foreign->pages[i]), PAGE_SIZE,
			      DMA_TO_DEVICE);
		xdt_unmap(test, bus);
	}
	xdt_end_foreign(test, foreign);
	KUNIT_ASSERT_TRUE(test, xdt_settled());
	for (i = 0; i < NR; i++) {
		void *addr = xdt_at(test, phys[i]);

		if (addr)
			xdt_own(test, &parts[n++], addr, PAGE_SIZE, 0,
				PAGE_SIZE);
	}
	kunit_info(test, "%u of %u pages found again\n", n, NR);
	if (!n)
		kunit_skip(test, "none of the pages is free");
	xdt_check_parts(test, parts, n);
	xdt_check_list(test, parts, n, false);
}

static struct kunit_case foreign_cases[] = {
	KUNIT_CASE(direct_64),
	KUNIT_CASE(direct_40),
	KUNIT_CASE(direct_list_64),
	KUNIT_CASE(direct_list_40),
	KUNIT_CASE(direct_sync),
	KUNIT_CASE(bounced_pages),
	KUNIT_CASE(bounced_list),
	KUNIT_CASE(bounced_sync),
	KUNIT_CASE(many),
	KUNIT_CASE(straddling),
	KUNIT_CASE(another_there),
	KUNIT_CASE(own_there),
	{ }
};

static struct kunit_suite foreign_suite = {
	.name = "xdt_arm_foreign",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = foreign_cases,
};

kunit_test_suite(foreign_suite);

MODULE_DESCRIPTION("DMA tests for ARM: foreign pages");
MODULE_LICENSE("GPL");
