// SPDX-License-Identifier: GPL-2.0
/*
 * A domain whose memory is in single pages: buffers that lie across two pages, and all that
 * a device with a narrow mask maps, are bounced through pages that the device reaches.
 */
#include <linux/module.h>

#include "xdt_arm.h"

#define NR	64

/* Buffers of up to a page, each across two pages. */
static struct xdt_part *straddling(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	for (i = 0; i < NR; i++)
		xdt_own(test, &parts[i], xdt_pages(test, 1), 2 * PAGE_SIZE,
			PAGE_SIZE - 31 * (i + 1), 31 * (i + 1) + 30 * i + 1);
	return parts;
}

static void singly(struct kunit *test)
{
	xdt_check_parts(test, straddling(test), NR);
}

static void as_list(struct kunit *test)
{
	struct xdt_part *parts = straddling(test);

	xdt_check_list(test, parts, NR, false);
	xdt_check_list(test, parts, NR, true);
}

/* What a driver is told that it may map. */
static void largest(struct kunit *test)
{
	size_t size = dma_max_mapping_size(xdt_dev(test));
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	KUNIT_ASSERT_GE(test, size, PAGE_SIZE);
	KUNIT_ASSERT_LE(test, size, SZ_2M);
	for (i = 0; i < NR; i++)
		xdt_own(test, &parts[i], xdt_pages(test, get_order(size) + 1),
			2 * size, size - 60 * i - 1, size);
	xdt_check_parts(test, parts, NR);
}

/* Of the pages of some buffers, how many are within a mask? */
static unsigned int within(struct kunit *test, const struct xdt_part *parts, u64 mask)
{
	unsigned int i, nr = 0;

	for (i = 0; i < NR; i++)
		nr += xdt_where(test, parts[i].base) <= mask;
	return nr;
}

/* A mask within which there is memory is taken, and what is mapped is within it. */
static void narrow(struct kunit *test)
{
	struct xdt_part *parts = straddling(test);
	unsigned int bits;

	for (bits = 40; bits >= 30; bits -= 2) {
		u64 mask = DMA_BIT_MASK(bits);
		unsigned int nr = within(test, parts, mask);

		kunit_info(test, "%u bits: %u of %u pages\n", bits, nr, NR);
		if (!dma_set_mask(xdt_dev(test), mask))
			xdt_check_parts(test, parts, NR);
		else
			KUNIT_EXPECT_LT(test, nr, NR / 16);
	}
}

/* Pages that have left and come back elsewhere, before it is known where. */
static void moved(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, XDT_PERMUTED);
	void *addr[XDT_PERMUTED];
	unsigned int i;

	for (i = 0; i < XDT_PERMUTED; i++) {
		addr[i] = xdt_pages(test, 0);
		xdt_own(test, &parts[i], addr[i], PAGE_SIZE, 40 * i, PAGE_SIZE - 60 * i);
	}
	xdt_permute(test, addr, XDT_PERMUTED, 5);
	xdt_check_parts(test, parts, XDT_PERMUTED);
	xdt_check_list(test, parts, XDT_PERMUTED, true);
}

static struct kunit_case small_cases[] = {
	KUNIT_CASE(singly),
	KUNIT_CASE(as_list),
	KUNIT_CASE(largest),
	KUNIT_CASE(narrow),
	KUNIT_CASE(moved),
	{ }
};

static struct kunit_suite small_suite = {
	.name = "xdt_arm_small",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = small_cases,
};

kunit_test_suite(small_suite);

MODULE_DESCRIPTION("DMA tests for ARM: an aperture in small pieces");
MODULE_LICENSE("GPL");
