// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing left to bounce to: that is an error and nothing else, it is over as
 * soon as something is unmapped, and the kernel log says what happened.
 *
 * The log is read through the kernel's own dump interface, from where it was
 * before the mapping that fails.
 */
#include <linux/kmsg_dump.h>
#include <linux/module.h>
#include <linux/string.h>

#include "xdt.h"

/* Never enough to fill 32 bits of bus addresses: a leak ends a test. */
#define MANY_MAPPINGS	SZ_2M

static unsigned int fill_up(struct kunit *test, void *buf, size_t size,
			    unsigned long attrs)
{
	unsigned int n = 0;

	while (n < MANY_MAPPINGS &&
	       xdt_try_map(test, buf, size, DMA_TO_DEVICE, attrs) !=
	       DMA_MAPPING_ERROR) {
		n++;
		cond_resched();
	}
	KUNIT_ASSERT_LT(test, n, MANY_MAPPINGS);
	return n;
}

/* Full, empty, and as much room as before; three times. */
static void check_refill(struct kunit *test, size_t size)
{
	u8 *buf = xdt_high(test, get_order(size));
	unsigned int round, first = 0, n;

	xdt_fill(buf, size, 1);
	xdt_mask(test, 32);
	for (round = 0; round < 3; round++) {
		n = fill_up(test, buf, size, DMA_ATTR_NO_WARN);
		xdt_unmap_all(test);
		if (!round)
			first = n;
		KUNIT_EXPECT_GE_MSG(test, n, first, "round %u", round);
	}
	KUNIT_EXPECT_GT(test, first, 16);
	KUNIT_EXPECT_EQ(test, size, xdt_match(buf, size, 1, 0));
}

static void refill_2k(struct kunit *test)
{
	check_refill(test, SZ_2K);
}

static void refill_4k(struct kunit *test)
{
	check_refill(test, SZ_4K);
}

static void refill_odd(struct kunit *test)
{
	check_refill(test, 12345);
}

static void refill_256k(struct kunit *test)
{
	check_refill(test, SZ_256K);
}

/* Small mappings must not leave the room in pieces that large ones can't use. */
static void refill_mixed(struct kunit *test)
{
	u8 *buf = xdt_high(test, get_order(SZ_256K));
	unsigned int before, after;

	xdt_fill(buf, SZ_256K, 1);
	xdt_mask(test, 32);
	before = fill_up(test, buf, SZ_256K, DMA_ATTR_NO_WARN);
	xdt_unmap_all(test);
	fill_up(test, buf, 30000, DMA_ATTR_NO_WARN);
	fill_up(test, buf, 3000, DMA_ATTR_NO_WARN);
	fill_up(test, buf, 300, DMA_ATTR_NO_WARN);
	xdt_unmap_all(test);
	after = fill_up(test, buf, SZ_256K, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_GE(test, after, before);
}

/* One is unmapped, so one can be mapped, and holds what it should. */
static void one_in_one_out(struct kunit *test)
{
	u8 *buf = xdt_high(test, 1), *seen;
	unsigned int round;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, SZ_2K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, SZ_8K, 1);
	xdt_mask(test, 32);
	bus = xdt_bounce(test, buf, SZ_2K, DMA_TO_DEVICE);
	fill_up(test, buf, SZ_2K, DMA_ATTR_NO_WARN);
	for (round = 0; round < 3; round++) {
		xdt_unmap(test, bus);
		bus = xdt_bounce(test, buf + round, SZ_2K, DMA_TO_DEVICE);
		KUNIT_EXPECT_EQ(test, DMA_MAPPING_ERROR,
				xdt_try_map(test, buf, SZ_2K, DMA_TO_DEVICE,
					    DMA_ATTR_NO_WARN));
		KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, SZ_2K));
		KUNIT_EXPECT_EQ(test, SZ_2K,
				xdt_match(seen, SZ_2K, 1, round));
	}
}

/* A list that does not fit leaves nothing behind. */
static void refill_sg(struct kunit *test)
{
	unsigned int nents = 32, tables = 0, i, first = 0, round, n;
	u8 *buf = xdt_high(test, get_order(SZ_64K));
	struct sg_table *table = NULL, **all;
	struct scatterlist *sg;

	all = kunit_kcalloc(test, 4096, sizeof(*all), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, all);
	xdt_mask(test, 32);
	for (round = 0; round < 3; round++) {
		int ret = 0;

		for (n = 0; n < 4096; n++) {
			if (n == tables) {
				all[tables++] = xdt_table(test, nents);
				for_each_sgtable_sg(all[n], sg, i)
					sg_set_buf(sg, buf, SZ_32K + 100 * i);
			}
			table = all[n];
			ret = xdt_try_map_table(test, table, DMA_TO_DEVICE,
						DMA_ATTR_NO_WARN);
			if (ret)
				break;
		}
		KUNIT_ASSERT_LT(test, n, 4096);
		KUNIT_EXPECT_TRUE(test, ret == -EIO || ret == -ENOMEM);
		if (!round)
			first = n;
		KUNIT_EXPECT_GE(test, n, first);
		KUNIT_EXPECT_GT(test, n, 4);
		while (n--)
			xdt_unmap_table(test, all[n]);
	}
}

/* The kernel log */

static void log_start(struct kmsg_dump_iter *iter)
{
	kmsg_dump_rewind(iter);
	iter->cur_seq = iter->next_seq;
}

/* How many new lines of the log hold both words. */
static unsigned int log_lines(struct kmsg_dump_iter iter, const char *word,
			      const char *other)
{
	unsigned int n = 0;
	char line[512];
	size_t len;

	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = 0;
		n += strstr(line, word) && strstr(line, other);
	}
	return n;
}

#define FULL_SIZE	SZ_8K

static void provoke_full(struct kunit *test, struct kmsg_dump_iter *iter,
			 unsigned long attrs)
{
	u8 *buf = xdt_high(test, get_order(FULL_SIZE));

	xdt_mask(test, 32);
	fill_up(test, buf, FULL_SIZE, DMA_ATTR_NO_WARN);
	log_start(iter);
	KUNIT_EXPECT_EQ(test, DMA_MAPPING_ERROR,
			xdt_try_map(test, buf, FULL_SIZE, DMA_TO_DEVICE,
				    attrs));
}

static void message_none(struct kunit *test)
{
	const char *name = dev_name(xdt_dev(test));
	struct kmsg_dump_iter iter;

	provoke_full(test, &iter, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(test, 0, log_lines(iter, name, ""));
}

/* Who, and how much. */
static void message_full(struct kunit *test)
{
	const char *name = dev_name(xdt_dev(test));
	struct kmsg_dump_iter iter;
	char size[16];

	snprintf(size, sizeof(size), "%u", FULL_SIZE);
	provoke_full(test, &iter, 0);
	KUNIT_EXPECT_EQ(test, 1, log_lines(iter, name, size));
}

/* And what the device can reach. */
static void message_mask(struct kunit *test)
{
	const char *name = dev_name(xdt_dev(test));
	struct kmsg_dump_iter iter;

	provoke_full(test, &iter, 0);
	KUNIT_EXPECT_EQ(test, 1, log_lines(iter, name, "mask"));
}

/*
 * What is only too large does not find the buffer full. The size that the
 * device is told may be on the safe side: the first one that fails is meant.
 */
static void message_too_large(struct kunit *test)
{
	const char *name = dev_name(xdt_dev(test));
	struct kmsg_dump_iter iter;
	dma_addr_t bus = 0;
	char text[24];
	size_t size;

	xdt_mask(test, 32);
	size = dma_max_mapping_size(xdt_dev(test));
	KUNIT_ASSERT_LT(test, size, SZ_512M);
	for (size += PAGE_SIZE; bus != DMA_MAPPING_ERROR; size *= 2) {
		u8 *buf = xdt_large(test, size);

		xdt_mask(test, 64);
		KUNIT_ASSERT_TRUE(test, xdt_is_high(test, buf, PAGE_SIZE));
		xdt_mask(test, 32);
		log_start(&iter);
		bus = xdt_try_map(test, buf, size, DMA_TO_DEVICE, 0);
		snprintf(text, sizeof(text), "%zu", size);
		if (bus != DMA_MAPPING_ERROR)
			kunit_info(test, "%zu bytes can be mapped\n", size);
		xdt_unmap_all(test);
	}
	KUNIT_EXPECT_EQ(test, 1, log_lines(iter, name, text));
	KUNIT_EXPECT_EQ(test, 0, log_lines(iter, name, "full"));
}

static struct kunit_case exhaust_cases[] = {
	KUNIT_CASE(refill_2k),
	KUNIT_CASE(refill_4k),
	KUNIT_CASE(refill_odd),
	KUNIT_CASE(refill_256k),
	KUNIT_CASE(refill_mixed),
	KUNIT_CASE(one_in_one_out),
	KUNIT_CASE(refill_sg),
	KUNIT_CASE(message_none),
	KUNIT_CASE(message_full),
	KUNIT_CASE(message_mask),
	KUNIT_CASE(message_too_large),
	{ }
};

static struct kunit_suite exhaust_suite = {
	.name = "xdt_exhaust",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = exhaust_cases,
};

kunit_test_suite(exhaust_suite);

MODULE_DESCRIPTION("DMA tests: nothing left");
MODULE_LICENSE("GPL");
