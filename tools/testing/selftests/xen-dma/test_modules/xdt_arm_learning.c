// SPDX-License-Identifier: GPL-2.0
/*
 * A device that is at work before the driver knows where all of the domain's memory is: its
 * data is right all the same, what it is given is within its mask, and a mask is refused
 * only where the domain has no memory below it.
 */
#include <linux/module.h>

#include "xdt_arm.h"

/* So many blocks of 4 MiB. */
#define NR		96
#define ORDER		10

/* Of each block so many pages are mapped. */
#define EACH		8
#define MANY		(NR * EACH)

/*
 * The last of two thirds of the memory, for what the page allocator gives first is known
 * first.
 */
static void some_blocks(struct kunit *test, u8 **block)
{
	unsigned int nr = max(totalram_pages() * 2 / 3 >> ORDER, NR + 0UL), i;

	for (i = 0; i < nr; i++)
		block[i % NR] = xdt_pages(test, ORDER);
}

/* Pages of these: in place, or bounced. */
static struct xdt_part *some_pages(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	u8 *block[NR];
	unsigned int i;

	some_blocks(test, block);
	for (i = 0; i < NR; i++)
		xdt_own(test, &parts[i], block[i], PAGE_SIZE, 20 * i, PAGE_SIZE - 40 * i);
	return parts;
}

static void singly(struct kunit *test)
{
	xdt_check_parts(test, some_pages(test), NR);
}

static void as_list(struct kunit *test)
{
	struct xdt_part *parts = some_pages(test);

	xdt_check_list(test, parts, NR, false);
	xdt_check_list(test, parts, NR, true);
}

/* A mapping outlives what the driver learns meanwhile. */
static void kept(struct kunit *test)
{
	struct { u8 *page; dma_addr_t bus; } *of;
	unsigned int i, wrong = 0;
	u8 *block[NR];

	of = kunit_kcalloc(test, MANY, sizeof(*of), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, of);
	some_blocks(test, block);
	for (i = 0; i < MANY; i++) {
		of[i].page = block[i / EACH] + i % EACH * PAGE_SIZE;
		xdt_fill(of[i].page, PAGE_SIZE, i);
		of[i].bus = xdt_map(test, of[i].page, PAGE_SIZE, DMA_BIDIRECTIONAL);
	}
	for (i = 0; i < MANY; i += 16) {
		u8 byte = ~xdt_byte(i, 100);

		KUNIT_ASSERT_EQ(test, 0, xdt_poke(of[i].bus + 100, &byte, 1));
	}
	for (i = 0; i < MANY; i++) {
		u8 byte = i % 16 ? xdt_byte(i, 100) : ~xdt_byte(i, 100);

		xdt_unmap(test, of[i].bus);
		wrong += of[i].page[100] != byte;
		wrong += xdt_match(of[i].page, 100, i, 0) != 100;
	}
	KUNIT_EXPECT_EQ(test, 0, wrong);
}

static void coherent(struct kunit *test)
{
	xdt_check_coherent(test, PAGE_SIZE);
	xdt_check_coherent(test, 3 * PAGE_SIZE);
	xdt_check_coherent(test, SZ_64K);
}

static void masks(struct kunit *test)
{
	struct xdt_part *parts = some_pages(test);
	unsigned int bits;

	for (bits = 36; bits >= 30; bits -= 2)
		if (xdt_may_mask(test, bits))
			xdt_check_parts(test, parts, NR);
}

static struct kunit_case learning_cases[] = {
	KUNIT_CASE(singly),
	KUNIT_CASE(as_list),
	KUNIT_CASE(kept),
	KUNIT_CASE(coherent),
	KUNIT_CASE(masks),
	{ }
};

static struct kunit_suite learning_suite = {
	.name = "xdt_arm_learning",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = learning_cases,
};

kunit_test_suite(learning_suite);

MODULE_DESCRIPTION("DMA tests for ARM: a device at work while the driver learns where memory is");
MODULE_LICENSE("GPL");
