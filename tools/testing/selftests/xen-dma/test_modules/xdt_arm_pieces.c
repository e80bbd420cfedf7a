// SPDX-License-Identifier: GPL-2.0
/*
 * A domain whose memory is in small pieces, down to single pages: each page is mapped
 * where it is, whatever its neighbours are, and so is a list of them. No mapping here
 * needs to be bounced; the script counts those that were.
 *
 * For pages that have never left the domain.
 */
#include <linux/module.h>

#include "xdt_arm.h"

#define NR		64
#define ORDER		3
#define BLOCKS		512
#define COHERENT	24

/* Pages from all over, each of them where a grant says. */
static struct xdt_part *single_pages(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	for (i = 0; i < NR; i++) {
		xdt_own(test, &parts[i], xdt_pages(test, 0), PAGE_SIZE, 30 * i,
			PAGE_SIZE - 60 * i);
		parts[i].machine = xdt_where(test, parts[i].base);
	}
	return parts;
}

static void singly(struct kunit *test)
{
	xdt_check_parts(test, single_pages(test), NR);
}

static void as_list(struct kunit *test)
{
	struct xdt_part *parts = single_pages(test);

	xdt_check_list(test, parts, NR, false);
	xdt_check_list(test, parts, NR, true);
}

static bool in_one_piece(struct kunit *test, u8 *addr, size_t size)
{
	u64 machine = xdt_where(test, addr);
	size_t at;

	for (at = PAGE_SIZE; at < size; at += PAGE_SIZE)
		if (xdt_where(test, addr + at) != machine + at)
			return false;
	return true;
}

/* A large part of memory, every page, and each two that are one piece of the machine. */
static void all_over(struct kunit *test)
{
	unsigned int i, k, wrong = 0, pairs = 0;

	for (i = 0; i < BLOCKS; i++) {
		u8 *block = xdt_pages(test, ORDER);

		for (k = 0; k < 1 << ORDER; k++) {
			u8 *page = block + k * PAGE_SIZE;
			bool pair = k && in_one_piece(test, page - PAGE_SIZE,
						      2 * PAGE_SIZE);
			dma_addr_t bus = xdt_map(test, page, PAGE_SIZE,
						 DMA_TO_DEVICE);

			wrong += bus != xdt_where(test, page);
			xdt_unmap(test, bus);
			if (!pair)
				continue;
			bus = xdt_map(test, page - PAGE_SIZE, 2 * PAGE_SIZE,
				      DMA_TO_DEVICE);
			wrong += bus != xdt_where(test, page - PAGE_SIZE);
			xdt_unmap(test, bus);
			pairs++;
		}
	}
	kunit_info(test, "%u pages, %u pairs\n", BLOCKS << ORDER, pairs);
	KUNIT_EXPECT_EQ(test, 0, wrong);
}

static void coherent(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < COHERENT; i++)
		xdt_check_coherent(test, PAGE_SIZE);
}

static struct kunit_case pieces_cases[] = {
	KUNIT_CASE(singly),
	KUNIT_CASE(as_list),
	KUNIT_CASE(all_over),
	KUNIT_CASE(coherent),
	{ }
};

static struct kunit_suite pieces_suite = {
	.name = "xdt_arm_pieces",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = pieces_cases,
};

kunit_test_suite(pieces_suite);

MODULE_DESCRIPTION("DMA tests for ARM: memory in small pieces");
MODULE_LICENSE("GPL");
