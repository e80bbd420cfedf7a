// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of a device that does not see the CPU's caches: what it reads and writes, in
 * place and bounced, where nothing comes to memory that is not cleaned and whatever is not
 * clean can be lost.
 */
#include <linux/module.h>

#include "fixture.h"

/* What a driver's parts are made of, so that each line belongs to one side. */
#define XDT_LINE	MACHINE_LINE

static int xdt_caches_init(struct kunit *test)
{
	int rc = xdt_init(test);
	struct xdt *x = test->priv;

	if (rc)
		return rc;
	xen_machine_caches(true);
	dev_assign_dma_coherent(x->dev, false);
	return 0;
}

static void xdt_caches_exit(struct kunit *test)
{
	xen_machine_caches(false);
	xdt_exit(test);
}

/* An earlier mapping that leaves its bytes in the slots, in the memory too. */
static void xdt_leave_old(struct xdt *x, size_t size, u8 byte)
{
	dma_addr_t bus;

	memset(x->buf, byte, size);
	bus = xdt_map(x->dev, x->buf, size, DMA_TO_DEVICE, 0);
	KUNIT_ASSERT_NE(x->test, bus, DMA_MAPPING_ERROR);
	xdt_unmap(x->dev, bus, size, DMA_TO_DEVICE, 0);
}

/* A device must see the buffer's bytes, and zeroes beside a copy of them. */
static void xdt_caches_device_side(struct xdt *x, dma_addr_t bus, size_t size,
				   enum dma_data_direction dir)
{
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_dev_differs(x->scratch, bus, size, XDT_GUARD, size),
			    "%zu bytes, direction %d: device reads other bytes",
			    size, dir);
	if (xdt_bounced(bus))
		KUNIT_EXPECT_TRUE_MSG(x->test,
				      xdt_slack_is_zero(x->scratch, bus, size),
				      "%zu bytes, direction %d: device reads old bytes beside",
				      size, dir);
}

/* The buffer must have the device's bytes in [from, to), and keep all others. */
static void xdt_caches_cpu_side(struct xdt *x, const u8 *buf, size_t size,
				size_t from, size_t to)
{
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_differs(buf - XDT_GUARD, size, 0, XDT_GUARD + from),
			    "%zu bytes: lost before", size);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_differs(buf + from, size + 7, from, to - from),
			    "%zu bytes: CPU does not see what came", size);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_differs(buf + to, size, XDT_GUARD + to,
					size - to + XDT_GUARD),
			    "%zu bytes: lost behind", size);
}

/*
 * Some of the mapping is written by the device; the rest of the buffer, and what lies
 * beside it, keeps its bytes. (In place, what is to come from the device may be lost
 * when it is mapped, so it writes all of that.)
 */
static void xdt_caches_life(struct xdt *x, size_t size,
			    enum dma_data_direction dir, bool in_place)
{
	u8 *buf = x->buf + XDT_GUARD + xdt_below(&x->rnd, SZ_4K);
	size_t from = xdt_below(&x->rnd, size);
	size_t to = from + 1 + xdt_below(&x->rnd, size - from);
	bool lost = in_place && dir == DMA_FROM_DEVICE;
	dma_addr_t bus;

	if (lost) {
		from = 0;
		to = size;
	}
	if (!in_place)
		xdt_leave_old(x, round_up(size, XDT_SLOT), 0x5a);
	xdt_fill(buf - XDT_GUARD, size, 0, size + 2 * XDT_GUARD);
	bus = xdt_map(x->dev, buf, size, dir, 0);
	KUNIT_ASSERT_NE(x->test, bus, DMA_MAPPING_ERROR);
	KUNIT_ASSERT_EQ(x->test, xdt_bounced(bus), !in_place);
	if (!lost)
		xdt_caches_device_side(x, bus, size, dir);

	if (dir == DMA_TO_DEVICE)
		to = from;
	else
		xdt_dev_fill(bus + from, size + 7, from, to - from);
	xdt_unmap(x->dev, bus, size, dir, 0);
	xdt_caches_cpu_side(x, buf, size, from, to);
}

static void xdt_caches_lives(struct xdt *x, size_t max, bool in_place)
{
	unsigned int i, d;

	for (i = 0; i < xdt_scaled(200); i++)
		for (d = 0; d < ARRAY_SIZE(xdt_directions); d++) {
			xdt_caches_life(x, xdt_any_size(&x->rnd, max),
					xdt_directions[d], in_place);
			if (x->test->status != KUNIT_SUCCESS)
				return;
		}
}

static void xdt_caches_bounced(struct kunit *test)
{
	xdt_caches_lives(test->priv, XDT_PIECE, false);
}

static void xdt_caches_in_place(struct kunit *test)
{
	struct xdt *x = test->priv;

	xdt_wide(x);
	xen_machine_place(x->buf, XDT_BUF_SIZE >> PAGE_SHIFT, XDT_FRAME);
	xdt_caches_lives(x, XDT_PIECE, true);
}

/*
 * A driver that hands a buffer over by itself, as network drivers do, and a device that
 * writes less than it might. What it leaves is the buffer's, and not an earlier one's.
 */
static void xdt_caches_handed_over(struct kunit *test)
{
	static const size_t sizes[] = { 64, 2048, 4096, 9000, SZ_64K };
	struct xdt *x = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i], wrote = size / 2 + 3;
		dma_addr_t bus;

		xdt_leave_old(x, round_up(size, XDT_SLOT), 0x5a);
		xdt_fill(x->buf, 1, 0, size);
		bus = xdt_map(x->dev, x->buf, size, DMA_FROM_DEVICE,
			      DMA_ATTR_SKIP_CPU_SYNC);
		KUNIT_ASSERT_NE(test, bus, DMA_MAPPING_ERROR);
		xdt_for_device(x->dev, bus, size, DMA_FROM_DEVICE);
		xdt_dev_fill(bus, 2, 0, wrote);
		xdt_for_cpu(x->dev, bus, size, DMA_FROM_DEVICE);
		KUNIT_EXPECT_EQ_MSG(test, -1, xdt_differs(x->buf, 2, 0, wrote),
				    "%zu bytes: not what the device wrote", size);
		KUNIT_EXPECT_EQ_MSG(test, -1,
				    xdt_differs(x->buf + wrote, 1, wrote,
						size - wrote),
				    "%zu bytes: not what was there", size);
		KUNIT_EXPECT_TRUE_MSG(test,
				      xdt_slack_is_zero(x->scratch, bus, size),
				      "%zu bytes: device reads old bytes beside",
				      size);
		xdt_unmap(x->dev, bus, size, DMA_FROM_DEVICE,
			  DMA_ATTR_SKIP_CPU_SYNC);
	}
}

/* Whole lines of a mapping change hands; the bytes of both sides are known at all times. */
static void xdt_caches_parts_of(struct xdt *x, u8 *cpu, u8 *dev, bool in_place)
{
	size_t size = XDT_PIECE, from, len;
	unsigned int step;
	dma_addr_t bus;

	xdt_fill(x->buf, 5, 0, size);
	bus = xdt_map(x->dev, x->buf, size, DMA_BIDIRECTIONAL, 0);
	KUNIT_ASSERT_NE(x->test, bus, DMA_MAPPING_ERROR);
	KUNIT_ASSERT_EQ(x->test, xdt_bounced(bus), !in_place);
	memcpy(cpu, x->buf, size);
	memcpy(dev, x->buf, size);

	for (step = 0; step < xdt_scaled(300); step++) {
		from = round_down(xdt_below(&x->rnd, size), XDT_LINE);
		len = xdt_any_size(&x->rnd, size - from);
		len = round_up(len, XDT_LINE);
		if (xdt_chance(&x->rnd, 50)) {
			xdt_dev_fill(bus + from, step, from, len);
			xdt_for_cpu(x->dev, bus + from, len, DMA_BIDIRECTIONAL);
			xdt_fill(dev + from, step, from, len);
			memcpy(cpu + from, dev + from, len);
		} else {
			xdt_fill(x->buf + from, step, from, len);
			xdt_for_device(x->dev, bus + from, len,
				       DMA_BIDIRECTIONAL);
			xdt_fill(cpu + from, step, from, len);
			memcpy(dev + from, cpu + from, len);
		}
		KUNIT_EXPECT_EQ(x->test, 0,
				xen_machine_peek(bus, x->scratch, size));
		KUNIT_EXPECT_MEMEQ_MSG(x->test, x->buf, cpu, size,
				       "step %u: the buffer's bytes", step);
		KUNIT_EXPECT_MEMEQ_MSG(x->test, x->scratch, dev, size,
				       "step %u: the device's bytes", step);
		if (x->test->status != KUNIT_SUCCESS)
			break;
	}
	xdt_unmap(x->dev, bus, size, DMA_BIDIRECTIONAL, 0);
}

static void xdt_caches_parts(struct kunit *test)
{
	struct xdt *x = test->priv;
	u8 *both = kunit_kmalloc(test, 2 * XDT_PIECE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, both);
	xdt_caches_parts_of(x, both, both + XDT_PIECE, false);
	xdt_wide(x);
	xen_machine_place(x->buf, XDT_BUF_SIZE >> PAGE_SHIFT, XDT_FRAME);
	xdt_caches_parts_of(x, both, both + XDT_PIECE, true);
}

/* Entries that share a block, of which the device writes one byte in three. */
static void xdt_caches_list(struct kunit *test)
{
	enum { NR = 12, EACH = 3000 };
	struct xdt *x = test->priv;
	struct scatterlist sg[NR], *s;
	int n, i;

	xdt_leave_old(x, SZ_64K, 0x5a);
	sg_init_table(sg, NR);
	for_each_sg(sg, s, NR, i) {
		xdt_fill(x->buf + i * SZ_4K, i, 0, EACH);
		sg_set_buf(s, x->buf + i * SZ_4K, EACH);
	}
	n = xen_swiotlb_dma_ops.map_sg(x->dev, sg, NR, DMA_FROM_DEVICE,
				       DMA_ATTR_SKIP_CPU_SYNC);
	KUNIT_ASSERT_EQ(test, n, 1);
	xen_swiotlb_dma_ops.sync_sg_for_device(x->dev, sg, n, DMA_FROM_DEVICE);
	for (i = 0; i < NR; i++)
		xdt_dev_fill(sg_dma_address(sg) + i * EACH, i + 100, 0, EACH / 3);
	xen_swiotlb_dma_ops.unmap_sg(x->dev, sg, NR, DMA_FROM_DEVICE, 0);
	for (i = 0; i < NR; i++) {
		u8 *buf = x->buf + i * SZ_4K;

		KUNIT_EXPECT_EQ(test, -1, xdt_differs(buf, i + 100, 0, EACH / 3));
		KUNIT_EXPECT_EQ(test, -1, xdt_differs(buf + EACH / 3, i, EACH / 3,
						      EACH - EACH / 3));
	}
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_caches_bounced),
	KUNIT_CASE(xdt_caches_in_place),
	KUNIT_CASE(xdt_caches_handed_over),
	KUNIT_CASE(xdt_caches_parts),
	KUNIT_CASE(xdt_caches_list),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-caches",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_caches_init,
	.exit = xdt_caches_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: caches");
MODULE_LICENSE("GPL");
