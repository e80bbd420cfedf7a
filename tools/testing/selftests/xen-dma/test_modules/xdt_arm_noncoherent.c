// SPDX-License-Identifier: GPL-2.0
/*
 * A device that does not see the caches: buffers that share lines with others,
 * which must not lose a byte, of our own memory and of foreign pages.
 *
 * An emulated machine has no caches, so that the bytes are right proves only that
 * nothing else goes wrong on the way that such a device's buffers take.
 */
#include <linux/dma-map-ops.h>
#include <linux/module.h>

#include "xdt_arm.h"

#define NR	16

static void need_noncoherent(struct kunit *test)
{
	if (dev_is_dma_coherent(xdt_dev(test)))
		kunit_skip(test, "the device is coherent");
}

static size_t odd_offset(unsigned int i)
{
	return 61 * i + i % 3;
}

static size_t odd_size(unsigned int i)
{
	return i % 4 ? 1 + 37 * i : 2048 + 11 * i;
}

static void local(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	unsigned int i;

	need_noncoherent(test);
	for (i = 0; i < NR; i++)
		xdt_own(test, &parts[i], xdt_pages(test, 0), PAGE_SIZE,
			odd_offset(i), odd_size(i));
	xdt_check_parts(test, parts, NR);
	xdt_check_list(test, parts, NR, true);
}

/* What the CPU writes beside a buffer while the device has it stays. */
static void neighbours(struct kunit *test)
{
	enum { FIRST = 70, LEN = 100 };
	u8 *buf = xdt_pages(test, 0), seen[LEN];
	unsigned int i;
	dma_addr_t bus;

	need_noncoherent(test);
	xdt_fill(buf, PAGE_SIZE, 1);
	bus = xdt_map(test, buf + FIRST, LEN, DMA_FROM_DEVICE);
	for (i = 0; i < FIRST; i++)
		buf[i] = xdt_byte(2, i);
	for (i = FIRST + LEN; i < 256; i++)
		buf[i] = xdt_byte(2, i);
	xdt_fill(seen, LEN, 3);
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus, seen, LEN));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, FIRST, xdt_match(buf, FIRST, 2, 0));
	KUNIT_EXPECT_EQ(test, LEN, xdt_match(buf + FIRST, LEN, 3, 0));
	KUNIT_EXPECT_EQ(test, 256 - FIRST - LEN,
			xdt_match(buf + FIRST + LEN, 256 - FIRST - LEN, 2,
				  FIRST + LEN));
}

static void coherent(struct kunit *test)
{
	need_noncoherent(test);
	xdt_check_coherent(test, PAGE_SIZE);
	xdt_check_coherent(test, 5 * PAGE_SIZE);
	xdt_check_coherent(test, SZ_1M);
}

static void granted(struct kunit *test)
{
	struct xdt_part *parts = xdt_parts(test, NR);
	struct xdt_foreign *pages;
	unsigned int i;

	need_noncoherent(test);
	pages = xdt_foreign(test, NR, 0);
	for (i = 0; i < NR; i++)
		xdt_theirs(&parts[i], pages, i, odd_offset(i), odd_size(i));
	xdt_check_parts(test, parts, NR);
	xdt_check_list(test, parts, NR, false);
}

static struct kunit_case noncoherent_cases[] = {
	KUNIT_CASE(local),
	KUNIT_CASE(neighbours),
	KUNIT_CASE(coherent),
	KUNIT_CASE(granted),
	{ }
};

static struct kunit_suite noncoherent_suite = {
	.name = "xdt_arm_noncoherent",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = noncoherent_cases,
};

kunit_test_suite(noncoherent_suite);

MODULE_DESCRIPTION("DMA tests for ARM: a device that is not coherent");
MODULE_LICENSE("GPL");
