// SPDX-License-Identifier: GPL-2.0
/*
 * Synchronisation of bounced mappings: a range goes across, in the direction
 * that was asked for, and nothing beside it.
 *
 * Each range is tried on a mapping of its own; the mappings are several slots
 * long, start at odd offsets and are looked at whole.
 */
#include <linux/module.h>

#include "xdt.h"

#define BUF_ORDER	2
#define BUF_SIZE	(PAGE_SIZE << BUF_ORDER)
#define MAP_OFFSET	291
/* Three transfers long. */
#define MAP_SIZE	(3 * XDT_XFER_MAX)

static const struct {
	unsigned int offset;
	unsigned int size;
} ranges[] = {
	{ 0, 1 }, { 0, MAP_SIZE }, { 1, 2046 }, { 2047, 2 }, { 2048, 2048 },
	{ 3805, 1 }, { 3700, 300 }, { 5000, 5000 }, { MAP_SIZE - 1, 1 },
	{ 4096, 4096 },
};

#define NR_RANGES	ARRAY_SIZE(ranges)

/**
 * struct try - a mapping for one range
 * @buf: the whole buffer
 * @mapped: the part of it that is mapped
 * @bus: where that is on the bus
 * @seen: what the bus shows, or is given
 */
struct try {
	u8 *buf;
	u8 *mapped;
	dma_addr_t bus;
	u8 *seen;
};

static struct try *map_all(struct kunit *test, enum dma_data_direction dir)
{
	struct try *tries;
	unsigned int i;

	tries = kunit_kcalloc(test, NR_RANGES, sizeof(*tries), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tries);
	for (i = 0; i < NR_RANGES; i++) {
		tries[i].buf = xdt_high(test, BUF_ORDER);
		tries[i].mapped = tries[i].buf + MAP_OFFSET;
		tries[i].seen = kunit_kzalloc(test, MAP_SIZE, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, tries[i].seen);
		xdt_fill(tries[i].buf, BUF_SIZE, 1);
	}
	xdt_mask(test, 32);
	for (i = 0; i < NR_RANGES; i++)
		tries[i].bus = xdt_bounce(test, tries[i].mapped, MAP_SIZE, dir);
	return tries;
}

static void run_all(struct kunit *test, struct try *tries, bool poke)
{
	unsigned int per = MAP_SIZE / XDT_XFER_MAX, i;
	struct xdt_op *ops;

	ops = kunit_kcalloc(test, NR_RANGES * per, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	for (i = 0; i < NR_RANGES * per; i++) {
		size_t done = i % per * XDT_XFER_MAX;

		ops[i].bus = tries[i / per].bus + done;
		ops[i].buf = tries[i / per].seen + done;
		ops[i].len = XDT_XFER_MAX;
		ops[i].poke = poke;
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, NR_RANGES * per));
}

/* Whether @buf is pattern @in inside a range of a mapping, @out outside it. */
static void check_range(struct kunit *test, const u8 *buf, unsigned int i,
			unsigned int in, size_t in_first, unsigned int out,
			size_t out_first)
{
	size_t start = ranges[i].offset, size = ranges[i].size;
	size_t end = start + size;

	KUNIT_EXPECT_EQ_MSG(test, start, xdt_match(buf, start, out, out_first),
			    "before %zu bytes at %zu", size, start);
	KUNIT_EXPECT_EQ_MSG(test, size,
			    xdt_match(buf + start, size, in, in_first + start),
			    "%zu bytes at %zu", size, start);
	KUNIT_EXPECT_EQ_MSG(test, MAP_SIZE - end,
			    xdt_match(buf + end, MAP_SIZE - end, out,
				      out_first + end),
			    "after %zu bytes at %zu", size, start);
}

/* What the CPU wrote goes to the device, in the range. */
static void range_for_device(struct kunit *test)
{
	struct try *tries = map_all(test, DMA_BIDIRECTIONAL);
	unsigned int i;

	for (i = 0; i < NR_RANGES; i++) {
		xdt_fill(tries[i].mapped, MAP_SIZE, 2);
		dma_sync_single_range_for_device(xdt_dev(test), tries[i].bus,
						 ranges[i].offset,
						 ranges[i].size,
						 DMA_BIDIRECTIONAL);
	}
	run_all(test, tries, false);
	for (i = 0; i < NR_RANGES; i++)
		check_range(test, tries[i].seen, i, 2, 0, 1, MAP_OFFSET);
}

/* What the device wrote goes to the CPU, in the range. */
static void range_for_cpu(struct kunit *test)
{
	struct try *tries = map_all(test, DMA_FROM_DEVICE);
	unsigned int i;

	for (i = 0; i < NR_RANGES; i++)
		xdt_fill(tries[i].seen, MAP_SIZE, 2);
	run_all(test, tries, true);
	for (i = 0; i < NR_RANGES; i++) {
		size_t end = MAP_OFFSET + MAP_SIZE;

		dma_sync_single_range_for_cpu(xdt_dev(test), tries[i].bus,
					      ranges[i].offset, ranges[i].size,
					      DMA_FROM_DEVICE);
		check_range(test, tries[i].mapped, i, 2, 0, 1, MAP_OFFSET);
		xdt_unmap(test, tries[i].bus);
		KUNIT_EXPECT_EQ(test, MAP_SIZE,
				xdt_match(tries[i].mapped, MAP_SIZE, 2, 0));
		KUNIT_EXPECT_EQ(test, MAP_OFFSET,
				xdt_match(tries[i].buf, MAP_OFFSET, 1, 0));
		KUNIT_EXPECT_EQ(test, BUF_SIZE - end,
				xdt_match(tries[i].buf + end, BUF_SIZE - end,
					  1, end));
	}
}

/* A device that only reads has nothing for the CPU. */
static void to_device_for_cpu(struct kunit *test)
{
	u8 *buf = xdt_high(test, 0), *seen;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, 3000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, PAGE_SIZE, 1);
	xdt_mask(test, 32);
	bus = xdt_bounce(test, buf + 100, 3000, DMA_TO_DEVICE);
	dma_sync_single_for_cpu(xdt_dev(test), bus, 3000, DMA_TO_DEVICE);
	xdt_fill(buf + 100, 3000, 2);
	dma_sync_single_for_cpu(xdt_dev(test), bus, 3000, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, 3000, xdt_match(buf + 100, 3000, 2, 0));
	dma_sync_single_for_device(xdt_dev(test), bus, 3000, DMA_TO_DEVICE);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, 3000));
	KUNIT_EXPECT_EQ(test, 3000, xdt_match(seen, 3000, 2, 0));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, 3000, xdt_match(buf + 100, 3000, 2, 0));
}

/* To and fro several times, as a ring of descriptors would. */
static void ping_pong(struct kunit *test)
{
	size_t size = 2500;
	u8 *buf = xdt_high(test, 0), *seen;
	unsigned int round;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf + 3, size, 0);
	xdt_mask(test, 32);
	bus = xdt_bounce(test, buf + 3, size, DMA_BIDIRECTIONAL);
	for (round = 1; round <= 6; round += 2) {
		dma_sync_single_for_cpu(xdt_dev(test), bus, size,
					DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, size,
				xdt_match(buf + 3, size, round - 1, 0));
		xdt_fill(buf + 3, size, round);
		dma_sync_single_for_device(xdt_dev(test), bus, size,
					   DMA_BIDIRECTIONAL);
		KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, size));
		KUNIT_EXPECT_EQ(test, size, xdt_match(seen, size, round, 0));
		xdt_fill(seen, size, round + 1);
		KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus, seen, size));
	}
}

#define SG_NENTS	8

static struct sg_table *sg_map(struct kunit *test, u8 **buf,
			       enum dma_data_direction dir)
{
	struct sg_table *table;
	struct scatterlist *sg;
	unsigned int i;

	for (i = 0; i < SG_NENTS; i++) {
		buf[i] = xdt_high(test, 0);
		xdt_fill(buf[i], PAGE_SIZE, i);
	}
	xdt_mask(test, 32);
	table = xdt_table(test, SG_NENTS);
	for_each_sgtable_sg(table, sg, i)
		sg_set_buf(sg, buf[i] + 10 * i, 1000 + 300 * i);
	xdt_map_table(test, table, dir);
	return table;
}

static size_t sg_move(struct kunit *test, struct sg_table *table, u8 *data,
		      bool poke)
{
	struct xdt_op ops[SG_NENTS * 2] = { };
	struct scatterlist *sg;
	unsigned int i, n = 0;
	size_t done = 0;

	for_each_sgtable_dma_sg(table, sg, i) {
		size_t len, part;

		for (part = 0; part < sg_dma_len(sg); part += len, n++) {
			len = min_t(size_t, sg_dma_len(sg) - part,
				    XDT_XFER_MAX);
			KUNIT_ASSERT_LT(test, n, ARRAY_SIZE(ops));
			ops[n].bus = sg_dma_address(sg) + part;
			ops[n].buf = data + done;
			ops[n].len = len;
			ops[n].poke = poke;
			done += len;
		}
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, n));
	return done;
}

/* Lists: what the CPU wrote, then what the device wrote. */
static void sg_both_ways(struct kunit *test)
{
	size_t total = 0, done = 0;
	u8 *buf[SG_NENTS], *data;
	struct scatterlist *sg;
	struct sg_table *table;
	unsigned int i;

	data = kunit_kzalloc(test, SG_NENTS * PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, data);
	table = sg_map(test, buf, DMA_BIDIRECTIONAL);
	for_each_sgtable_sg(table, sg, i) {
		xdt_fill(sg_virt(sg), sg->length, i + 50);
		total += sg->length;
	}
	dma_sync_sgtable_for_device(xdt_dev(test), table, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, total, sg_move(test, table, data, false));
	for_each_sgtable_sg(table, sg, i) {
		KUNIT_EXPECT_EQ(test, sg->length,
				xdt_match(data + done, sg->length, i + 50, 0));
		done += sg->length;
	}
	xdt_fill(data, total, 99);
	KUNIT_EXPECT_EQ(test, total, sg_move(test, table, data, true));
	dma_sync_sgtable_for_cpu(xdt_dev(test), table, DMA_BIDIRECTIONAL);
	for (done = 0, i = 0, sg = table->sgl; i < SG_NENTS;
	     done += sg->length, i++, sg = sg_next(sg)) {
		size_t end = sg->offset + sg->length;

		KUNIT_EXPECT_EQ(test, sg->length,
				xdt_match(sg_virt(sg), sg->length, 99, done));
		KUNIT_EXPECT_EQ(test, sg->offset,
				xdt_match(buf[i], sg->offset, i, 0));
		KUNIT_EXPECT_EQ(test, PAGE_SIZE - end,
				xdt_match(buf[i] + end, PAGE_SIZE - end, i,
					  end));
	}
}

static struct kunit_case sync_cases[] = {
	KUNIT_CASE(range_for_device),
	KUNIT_CASE(range_for_cpu),
	KUNIT_CASE(to_device_for_cpu),
	KUNIT_CASE(ping_pong),
	KUNIT_CASE(sg_both_ways),
	{ }
};

static struct kunit_suite sync_suite = {
	.name = "xdt_sync",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = sync_cases,
};

kunit_test_suite(sync_suite);

MODULE_DESCRIPTION("DMA tests: synchronisation");
MODULE_LICENSE("GPL");
