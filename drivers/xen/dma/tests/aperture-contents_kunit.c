// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what is in a mapping and beside it: buffers of all sizes, written
 * by both sides, and parts of them that change hands.
 */
#include <linux/module.h>

#include "fixture.h"

enum xdt_write { XDT_WRITE_ALL, XDT_WRITE_PART, XDT_WRITE_SKIP_SYNC };

/**
 * struct xdt_life - one mapping's life
 * @buf:	the buffer, with XDT_GUARD bytes around it
 * @size:	its bytes
 * @dir:	direction
 * @mine:	pattern of the buffer and its guards
 * @its:	pattern of the device
 * @from:	first byte that is to have the device's bytes afterwards
 * @to:		first byte behind that has not
 */
struct xdt_life {
	u8 *buf;
	size_t size;
	enum dma_data_direction dir;
	u32 mine;
	u32 its;
	size_t from;
	size_t to;
};

/* Whoever had these slots before left something in all of them. */
static bool xdt_leave_secrets(struct xdt *x, size_t size)
{
	dma_addr_t bus;

	memset(x->buf, 0x5a, size);
	bus = xdt_map(x->dev, x->buf, size, DMA_TO_DEVICE, 0);
	if (bus == DMA_MAPPING_ERROR) {
		KUNIT_FAIL(x->test, "%zu bytes: nothing free", size);
		return false;
	}
	xdt_unmap(x->dev, bus, size, DMA_TO_DEVICE, 0);
	return true;
}

/* The device must see the buffer's bytes and zeroes beside them. */
static void xdt_check_device_side(struct xdt *x, const struct xdt_life *l,
				  dma_addr_t bus)
{
	ssize_t bad;

	KUNIT_EXPECT_LE_MSG(x->test, bus + l->size - 1, DMA_BIT_MASK(32),
			    "%zu bytes, direction %d: beyond the mask", l->size,
			    l->dir);
	KUNIT_EXPECT_TRUE_MSG(x->test, xen_pool_find(bus) &&
			      xen_pool_find(bus + l->size - 1),
			      "%zu bytes at %pad: not in the aperture", l->size,
			      &bus);
	bad = xdt_dev_differs(x->scratch, bus, l->mine, XDT_GUARD, l->size);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d: device reads other bytes",
			    l->size, l->dir);
	KUNIT_EXPECT_TRUE_MSG(x->test,
			      xdt_slack_is_zero(x->scratch, bus, l->size),
			      "%zu bytes, direction %d: device reads old bytes beside",
			      l->size, l->dir);
}

/* The buffer must have the device's bytes if it is to, and keep all others. */
static void xdt_check_cpu_side(struct xdt *x, const struct xdt_life *l)
{
	ssize_t bad;

	bad = xdt_differs(l->buf - XDT_GUARD, l->mine, 0, XDT_GUARD + l->from);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d, written [%zu,%zu): lost before",
			    l->size, l->dir, l->from, l->to);
	bad = xdt_differs(l->buf + l->from, l->its, l->from, l->to - l->from);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d, written [%zu,%zu): lost within",
			    l->size, l->dir, l->from, l->to);
	bad = xdt_differs(l->buf + l->to, l->mine, XDT_GUARD + l->to,
			  l->size - l->to + XDT_GUARD);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d, written [%zu,%zu): lost behind",
			    l->size, l->dir, l->from, l->to);
}

/* One mapping's life, beginning at byte @at of the large buffer. */
static bool xdt_one_life(struct xdt *x, size_t at, size_t size,
			 enum dma_data_direction dir, enum xdt_write write)
{
	u32 mine = prandom_u32_state(&x->rnd) % XDT_PERIOD;
	u32 its = (mine + 1 + xdt_below(&x->rnd, XDT_PERIOD - 1)) % XDT_PERIOD;
	struct xdt_life l = { x->buf + at, size, dir, mine, its, 0, size };
	unsigned long attrs = 0;
	dma_addr_t bus;

	if (!xdt_leave_secrets(x, round_up(size, XDT_SLOT)))
		return false;

	xdt_fill(l.buf - XDT_GUARD, mine, 0, size + 2 * XDT_GUARD);
	bus = xdt_map(x->dev, l.buf, size, dir, 0);
	if (bus == DMA_MAPPING_ERROR) {
		KUNIT_FAIL(x->test, "%zu bytes, direction %d: nothing free",
			   size, dir);
		return false;
	}
	xdt_check_device_side(x, &l, bus);

	if (write == XDT_WRITE_PART) {
		l.from = xdt_below(&x->rnd, size);
		l.to = l.from + 1 + xdt_below(&x->rnd, size - l.from);
	} else if (write == XDT_WRITE_SKIP_SYNC) {
		attrs = DMA_ATTR_SKIP_CPU_SYNC;
	}
	KUNIT_EXPECT_EQ(x->test, 0, xdt_dev_fill(bus + l.from, its, l.from,
						 l.to - l.from));
	xdt_unmap(x->dev, bus, size, dir, attrs);

	/* The device's bytes are in [from, to), if it was to write any. */
	if (dir == DMA_TO_DEVICE || attrs)
		l.from = l.to;
	xdt_check_cpu_side(x, &l);
	KUNIT_EXPECT_EQ_MSG(x->test, xdt_used(), 0, "%zu bytes: still in use",
			    size);
	return !READ_ONCE(x->test->status);
}

static void xdt_all_lives(struct xdt *x, size_t size)
{
	unsigned int d, w;
	size_t at;

	for (d = 0; d < ARRAY_SIZE(xdt_directions); d++) {
		for (w = XDT_WRITE_ALL; w <= XDT_WRITE_SKIP_SYNC; w++) {
			/* Large ones take long, so each only one way. */
			if (size > SZ_1M && w != (size + d) % 3)
				continue;
			at = XDT_GUARD + xdt_below(&x->rnd, SZ_64K);
			if (!xdt_one_life(x, at, size, xdt_directions[d], w))
				return;
		}
	}
}

static void xdt_sizes(struct kunit *test)
{
	struct xdt *x = test->priv;
	size_t size;
	int around;

	xdt_dirty(x);
	for (size = 1; size <= XDT_LARGEST; size *= 2) {
		for (around = -1; around <= 1; around++) {
			if (size + around && size + around <= XDT_LARGEST)
				xdt_all_lives(x, size + around);
		}
		xdt_all_lives(x, min_t(size_t, size + xdt_below(&x->rnd, size),
				       XDT_LARGEST));
		if (test->status != KUNIT_SUCCESS)
			return;
		cond_resched();
	}
}

/* Each number of slots for which there may be a cache, and those beside. */
static void xdt_slots(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int slots;

	xdt_dirty(x);
	for (slots = 1; slots <= 132; slots++) {
		xdt_all_lives(x, slots * XDT_SLOT - 1);
		xdt_all_lives(x, slots * XDT_SLOT);
		xdt_all_lives(x, slots * XDT_SLOT -
			      xdt_below(&x->rnd, XDT_SLOT));
		if (test->status != KUNIT_SUCCESS)
			return;
	}
}

static void xdt_zero_length(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t bus, one;
	unsigned int d;

	xdt_fill(x->buf, 1, 0, SZ_4K);
	one = xdt_map(x->dev, x->buf, SZ_4K, DMA_BIDIRECTIONAL, 0);
	KUNIT_ASSERT_NE(test, one, DMA_MAPPING_ERROR);
	KUNIT_EXPECT_EQ(test, xdt_used(), SZ_4K);

	for (d = 0; d < ARRAY_SIZE(xdt_directions); d++) {
		bus = xdt_map(x->dev, x->buf, 0, xdt_directions[d], 0);
		KUNIT_EXPECT_EQ_MSG(test, bus, DMA_MAPPING_ERROR,
				    "direction %d", xdt_directions[d]);
		xdt_for_cpu(x->dev, one, 0, xdt_directions[d]);
		xdt_for_device(x->dev, one, 0, xdt_directions[d]);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), SZ_4K);
	KUNIT_EXPECT_EQ(test, -1,
			xdt_dev_differs(x->scratch, one, 1, 0, SZ_4K));
	xdt_unmap(x->dev, one, SZ_4K, DMA_BIDIRECTIONAL, 0);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_differs(x->buf, 1, 0, SZ_4K), -1);
}

/* Both sides write, all over. @cpu and @dev are what they must have then. */
static void xdt_both_write(u8 *buf, dma_addr_t bus, size_t size,
			   enum dma_data_direction dir, u32 key, u8 *cpu,
			   u8 *dev)
{
	if (dir != DMA_FROM_DEVICE) {
		xdt_fill(buf, key, 0, size);
		xdt_fill(cpu, key, 0, size);
	}
	xdt_dev_fill(bus, key + 3, 0, size);
	xdt_fill(dev, key + 3, 0, size);
}

/* Random parts of one mapping, the bytes of both sides known at all times. */
static void xdt_sync_part(struct xdt *x, size_t size,
			  enum dma_data_direction dir, u8 *cpu, u8 *dev)
{
	u8 *buf = x->buf + XDT_GUARD + xdt_below(&x->rnd, SZ_4K);
	size_t from, len, all = size + 2 * XDT_GUARD;
	unsigned int step;
	dma_addr_t bus;

	xdt_fill(buf - XDT_GUARD, size, 0, all);
	xdt_fill(cpu, size, 0, all);
	bus = xdt_map(x->dev, buf, size, dir, 0);
	KUNIT_ASSERT_NE(x->test, bus, DMA_MAPPING_ERROR);
	memcpy(dev, cpu + XDT_GUARD, size);

	for (step = 0; step < 24; step++) {
		xdt_both_write(buf, bus, size, dir, step * 7, cpu + XDT_GUARD,
			       dev);
		from = xdt_below(&x->rnd, size);
		len = 1 + xdt_below(&x->rnd, size - from);
		if (xdt_chance(&x->rnd, 30))
			len = min_t(size_t, len, 1 + xdt_below(&x->rnd, 70));
		if (dir == DMA_FROM_DEVICE || xdt_chance(&x->rnd, 50)) {
			xdt_for_cpu(x->dev, bus + from, len, dir);
			if (dir != DMA_TO_DEVICE)
				memcpy(cpu + XDT_GUARD + from, dev + from, len);
		} else {
			xdt_for_device(x->dev, bus + from, len, dir);
			memcpy(dev + from, cpu + XDT_GUARD + from, len);
		}

		KUNIT_EXPECT_EQ(x->test, 0,
				xen_machine_peek(bus, x->scratch, size));
		KUNIT_EXPECT_MEMEQ_MSG(x->test, buf - XDT_GUARD, cpu, all,
				       "%zu bytes, direction %d, [%zu,%zu): the buffer's bytes",
				       size, dir, from, from + len);
		KUNIT_EXPECT_MEMEQ_MSG(x->test, x->scratch, dev, size,
				       "%zu bytes, direction %d, [%zu,%zu): the device's bytes",
				       size, dir, from, from + len);
		if (x->test->status != KUNIT_SUCCESS)
			break;
	}
	xdt_unmap(x->dev, bus, size, dir, 0);
}

static void xdt_sync_parts(struct kunit *test)
{
	static const size_t sizes[] = { 1, 2, 63, 64, 1500, 2047, 2048, 2049,
					4096, 6000, 9000, 16384, 65000 };
	struct xdt *x = test->priv;
	unsigned int i, d, mask;
	u8 *cpu, *dev;

	cpu = kunit_kmalloc(test, XDT_PIECE + 2 * XDT_GUARD, GFP_KERNEL);
	dev = kunit_kmalloc(test, XDT_PIECE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cpu);
	KUNIT_ASSERT_NOT_NULL(test, dev);

	for (mask = 0; mask < ARRAY_SIZE(xdt_align_cases); mask++) {
		dma_set_min_align_mask(x->dev, xdt_align_cases[mask].mask);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			for (d = 0; d < ARRAY_SIZE(xdt_directions); d++)
				xdt_sync_part(x, sizes[i], xdt_directions[d],
					      cpu, dev);
			if (test->status != KUNIT_SUCCESS)
				return;
		}
	}
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE_SLOW(xdt_sizes),
	KUNIT_CASE_SLOW(xdt_slots),
	KUNIT_CASE(xdt_zero_length),
	KUNIT_CASE(xdt_sync_parts),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-contents",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: contents");
MODULE_LICENSE("GPL");
