// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of scatter lists: how they become segments, and what both sides find
 * in these.
 */
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "lists.h"

static void xdt_planner(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = {
		DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE,
	};
	struct xdt *x = test->priv;
	struct xdt_lists *l = xdt_lists(x);
	unsigned long i, lists = xdt_scaled(1000000);
	unsigned long segs = 0, ents = 0;
	enum dma_data_direction dir;

	xdt_dirty(x);
	xdt_fill(l->arena, 3, 0, XDT_ARENA_SIZE);
	for (i = 0; i < lists; i++) {
		if (i % 256 == 0) {
			xdt_place_arena(l);
			cond_resched();
		}
		if (i % 4 == 0)
			xdt_any_limits(l);
		xdt_any_list(l);
		dir = dirs[xdt_below(&x->rnd, ARRAY_SIZE(dirs))];
		if (!xdt_list_map(l, dir))
			break;
		if (!xdt_list_check(l)) {
			xdt_list_unmap(l, dir, 0);
			break;
		}
		ents += l->nents;
		segs += l->nsegs;
		if (i % 16 == 0) {
			if (!xdt_list_traffic(l, dir))
				break;
		} else {
			xdt_list_unmap(l, dir, 0);
		}
	}
	kunit_info(test, "%lu lists, %lu entries, %lu segments\n", i, ents,
		   segs);
	KUNIT_EXPECT_EQ(test, i, lists);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_TRUE(test, xdt_arena_same(l, "at the end"));
}

/* Known lists, so that a failure says what is wrong. */

static void xdt_expect_segments(struct xdt_lists *l, int want,
				const char *what)
{
	struct kunit *test = l->x->test;

	xdt_list_end(l);
	if (!xdt_list_map(l, DMA_BIDIRECTIONAL)) {
		kunit_info(test, "%s\n", what);
		return;
	}
	KUNIT_EXPECT_EQ_MSG(test, l->nsegs, want, "%s", what);
	if (!xdt_list_check(l)) {
		kunit_info(test, "%s\n", what);
		xdt_list_unmap(l, DMA_BIDIRECTIONAL, 0);
		return;
	}
	if (!xdt_list_traffic(l, DMA_BIDIRECTIONAL))
		kunit_info(test, "%s\n", what);
}

/* Pages in one piece. */
static void xdt_known_direct(struct xdt_lists *l)
{
	xdt_set_limits(l);
	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 1, "contiguous pages");
	l->max_seg = 3 * PAGE_SIZE;
	xdt_set_limits(l);
	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 4, "segments of three pages");
	l->max_seg = 3 * PAGE_SIZE - 1;
	xdt_set_limits(l);
	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 6, "segments of less than three pages");
	l->max_seg = UINT_MAX;
	l->boundary = 4 * PAGE_SIZE - 1;
	xdt_set_limits(l);
	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 3, "a boundary each four pages");
}

/* Out of reach, so bounced: the same limits. */
static void xdt_known_bounced(struct xdt_lists *l)
{
	l->limit = DMA_BIT_MASK(32);
	l->boundary = ULONG_MAX;
	xdt_set_limits(l);
	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 1, "bounced pages");
	l->max_seg = 3 * PAGE_SIZE;
	xdt_set_limits(l);
	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 4, "bounced segments of three pages");
	l->max_seg = UINT_MAX;
	l->boundary = 4 * PAGE_SIZE - 1;
	xdt_set_limits(l);
	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 3, "bounced, a boundary each four pages");
}

/* Alternately in reach and not. */
static void xdt_known_alternate(struct xdt_lists *l)
{
	l->boundary = ULONG_MAX;
	xen_machine_place(l->arena + PAGE_SIZE, 1, XEN_MACHINE_END_MFN - 9);
	xen_machine_place(l->arena + 3 * PAGE_SIZE, 1,
			  XEN_MACHINE_END_MFN - 7);
	xdt_frames(l);
	l->limit = SZ_8G + SZ_4G;
	xdt_set_limits(l);
	xdt_list_pages(l, 5);
	xdt_expect_segments(l, 5, "alternately in place and bounced");
}

/* One entry may be longer than a segment; none joins it. */
static void xdt_known_long(struct xdt_lists *l)
{
	l->limit = DMA_BIT_MASK(64);
	l->max_seg = PAGE_SIZE;
	xdt_set_limits(l);
	xdt_list_begin(l);
	xdt_list_add(l, 4 * PAGE_SIZE, 100);
	xdt_list_add(l, 4 * PAGE_SIZE + 100, 3 * PAGE_SIZE);
	xdt_list_add(l, 7 * PAGE_SIZE + 100, 100);
	xdt_expect_segments(l, 3, "a long entry between short ones");
	l->limit = DMA_BIT_MASK(32);
	xdt_set_limits(l);
	xdt_list_begin(l);
	xdt_list_add(l, 4 * PAGE_SIZE, 100);
	xdt_list_add(l, 4 * PAGE_SIZE + 100, 3 * PAGE_SIZE);
	xdt_list_add(l, 7 * PAGE_SIZE + 100, 100);
	xdt_expect_segments(l, 3, "a long entry between short ones, bounced");
}

/* Bytes that do not fill slots are one behind the other. */
static void xdt_known_odd(struct xdt_lists *l)
{
	l->max_seg = UINT_MAX;
	xdt_set_limits(l);
	xdt_list_begin(l);
	xdt_list_add(l, 10, 1);
	xdt_list_add(l, 9 * PAGE_SIZE + 3, 2);
	xdt_list_add(l, 2 * PAGE_SIZE + 9, 4099);
	xdt_list_add(l, 20 * PAGE_SIZE - 1, 7);
	xdt_expect_segments(l, 1, "odd bytes, bounced");
	l->align = 4095;
	xdt_set_limits(l);
	xdt_list_begin(l);
	xdt_list_add(l, 10, 1);
	xdt_list_add(l, 9 * PAGE_SIZE + 11, 2);
	xdt_list_add(l, 2 * PAGE_SIZE + 14, 4099);
	xdt_expect_segments(l, 2, "the third does not keep its bits");
}

static void xdt_known_lists(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_lists *l = xdt_lists(x);

	xen_machine_place(l->arena, XDT_ARENA_PAGES,
			  ALIGN(XDT_FRAME, XDT_ARENA_PAGES));
	xdt_frames(l);

	/* Each has the limits that the one before has left. */
	xdt_known_direct(l);
	xdt_known_bounced(l);
	xdt_known_alternate(l);
	xdt_known_long(l);
	xdt_known_odd(l);
}

/* The segments of a list, as the device reads or writes them. */
static ssize_t xdt_segments(struct xdt *x, struct scatterlist *sg, int nsegs,
			    u32 key, size_t size, bool write)
{
	struct scatterlist *s;
	size_t at = 0;
	ssize_t bad;
	int i;

	for_each_sg(sg, s, nsegs, i) {
		if (write) {
			xdt_dev_fill(sg_dma_address(s), key, at, sg_dma_len(s));
		} else {
			bad = xdt_dev_differs(x->scratch, sg_dma_address(s),
					      key, at, sg_dma_len(s));
			if (bad >= 0)
				return at + bad;
		}
		at += sg_dma_len(s);
	}
	return at == size ? -1 : at;
}

/* The device has at most one segment for 64 pages, which are bounced. */
static void xdt_long_bounced(struct xdt *x, struct scatterlist *sg, int nr)
{
	struct kunit *test = x->test;
	ssize_t bad;
	int nsegs;

	xdt_fill(x->buf, 5, 0, nr * PAGE_SIZE);
	xdt_wide(x);
	*x->dev->dma_mask = DMA_BIT_MASK(32);
	nsegs = xen_swiotlb_dma_ops.map_sg(x->dev, sg, nr, DMA_BIDIRECTIONAL,
					   0);
	KUNIT_EXPECT_GT(test, nsegs, 0);
	KUNIT_EXPECT_LE(test, nsegs, DIV_ROUND_UP(nr, 64));
	bad = xdt_segments(x, sg, nsegs, 5, nr * PAGE_SIZE, false);
	KUNIT_EXPECT_EQ(test, bad, -1);
	xdt_segments(x, sg, nsegs, 6, nr * PAGE_SIZE, true);
	xen_swiotlb_dma_ops.unmap_sg(x->dev, sg, nr, DMA_BIDIRECTIONAL, 0);
	bad = xdt_differs(x->buf, 6, 0, nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, bad, -1);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* Contiguous pages are one segment, however many they are. */
static void xdt_long_direct(struct xdt *x, struct scatterlist *sg, int nr)
{
	struct kunit *test = x->test;

	xdt_wide(x);
	xen_machine_place(x->buf, nr, XDT_FRAME);
	KUNIT_EXPECT_EQ(test, 1,
			xen_swiotlb_dma_ops.map_sg(x->dev, sg, nr,
						   DMA_BIDIRECTIONAL, 0));
	KUNIT_EXPECT_EQ(test, sg_dma_address(sg), xdt_machine(x->buf));
	KUNIT_EXPECT_EQ(test, sg_dma_len(sg), nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	xen_swiotlb_dma_ops.unmap_sg(x->dev, sg, nr, DMA_BIDIRECTIONAL, 0);
}

/* 64 pages are one segment, whether bounced or contiguous. */
static void xdt_long_list(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct scatterlist *sg, *s;
	struct sg_table table;
	int i, nr, round;

	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&table, 1000, GFP_KERNEL));
	for (round = 0; round < 2; round++) {
		/* Chained lists, too. */
		nr = round ? 1000 : 64;
		sg = table.sgl;
		for_each_sg(sg, s, nr, i) {
			sg_set_page(s, virt_to_page(x->buf + i * PAGE_SIZE),
				    PAGE_SIZE, 0);
			if (i == nr - 1)
				sg_mark_end(s);
			else if (i < 999)
				sg_unmark_end(s);
		}
		xdt_long_bounced(x, sg, nr);
		xdt_long_direct(x, sg, nr);
	}
	sg_free_table(&table);
}

/* More entries than a block can remember, though it has room for their bytes. */
static void xdt_small_entries(struct kunit *test)
{
	static const unsigned int sizes[] = { 64, 1500 };
	const unsigned int nr = 700;
	struct xdt *x = test->priv;
	struct sg_table table;
	struct scatterlist *s;
	unsigned int i, size;
	int nsegs, n;

	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&table, nr, GFP_KERNEL));
	xdt_wide(x);
	*x->dev->dma_mask = DMA_BIT_MASK(32);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size = sizes[i];
		for_each_sgtable_sg(&table, s, n)
			sg_set_buf(s, x->buf + n * size, size);
		xdt_fill(x->buf, 5, 0, nr * size);
		nsegs = xen_swiotlb_dma_ops.map_sg(x->dev, table.sgl, nr,
						   DMA_BIDIRECTIONAL, 0);
		KUNIT_EXPECT_GE(test, nsegs,
				DIV_ROUND_UP(nr, XEN_APERTURE_MAX_BUFFERS));
		KUNIT_EXPECT_LE(test, nsegs, nr * 2 /
				XEN_APERTURE_MAX_BUFFERS);
		KUNIT_EXPECT_EQ(test, -1, xdt_segments(x, table.sgl, nsegs, 5,
						       nr * size, false));
		xdt_segments(x, table.sgl, nsegs, 6, nr * size, true);
		xen_swiotlb_dma_ops.unmap_sg(x->dev, table.sgl, nr,
					     DMA_BIDIRECTIONAL, 0);
		KUNIT_EXPECT_EQ(test, -1, xdt_differs(x->buf, 6, 0, nr * size));
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	}
	sg_free_table(&table);
}

/**
 * struct xdt_part - a part of one merged segment that changes hands
 * @start:	bus address of the segment
 * @total:	its bytes
 * @dev:	what the device is to have of it
 * @from:	first byte of the part
 * @len:	bytes of the part
 * @step:	how many parts there were before; odd ones are for the CPU
 */
struct xdt_part {
	dma_addr_t start;
	unsigned int total;
	u8 *dev;
	unsigned int from;
	unsigned int len;
	unsigned int step;
};

/* Both sides write everywhere. */
static void xdt_part_write(struct xdt_lists *l, struct xdt_part *p,
			   unsigned long key)
{
	int e;

	xdt_dev_fill(p->start, key + p->step, 0, p->total);
	xdt_fill(p->dev, key + p->step, 0, p->total);
	for (e = 0; e < l->nents; e++) {
		xdt_fill(l->copy[e].p, key + 7 * p->step + e, 0,
			 l->copy[e].len);
		xdt_fill(xdt_expected(l, e), key + 7 * p->step + e, 0,
			 l->copy[e].len);
	}
}

/* Byte by byte, as nobody would do it. */
static void xdt_part_expect(struct xdt_lists *l, struct xdt_part *p)
{
	unsigned int at = 0, n;
	int e;

	for (e = 0; e < l->nents; e++) {
		u8 *cpu = xdt_expected(l, e);

		for (n = 0; n < l->copy[e].len; n++, at++) {
			if (at < p->from || at >= p->from + p->len)
				continue;
			if (p->step & 1)
				cpu[n] = p->dev[at];
			else
				p->dev[at] = cpu[n];
		}
	}
}

/* The device has what it is to have. */
static void xdt_part_check(struct xdt_lists *l, struct xdt_part *p)
{
	unsigned int done, n;

	for (done = 0; done < p->total; done += n) {
		n = min_t(unsigned int, p->total - done, XDT_PIECE);
		if (xen_machine_peek(p->start + done, l->x->scratch, n) ||
		    memcmp(l->x->scratch, p->dev + done, n)) {
			xdt_list_fail(l, "sync of [%u,%u), %u: the device's bytes",
				      p->from, p->from + p->len, p->step);
			break;
		}
	}
}

/* A random part changes hands. */
static void xdt_part_sync(struct xdt_lists *l, struct xdt_part *p)
{
	struct xdt *x = l->x;

	p->from = xdt_below(&x->rnd, p->total);
	p->len = 1 + xdt_below(&x->rnd, p->total - p->from);
	if (p->step & 1)
		xdt_for_cpu(x->dev, p->start + p->from, p->len,
			    DMA_BIDIRECTIONAL);
	else
		xdt_for_device(x->dev, p->start + p->from, p->len,
			       DMA_BIDIRECTIONAL);
	xdt_part_expect(l, p);
	xdt_part_check(l, p);
	xdt_arena_same(l, "sync of a part");
}

/* One list, several parts of its segment, and the unmapping. */
static bool xdt_sync_list(struct xdt_lists *l, u8 *dev, unsigned long key)
{
	struct xdt_part p = { .dev = dev };
	struct kunit *test = l->x->test;
	unsigned int at;
	int e;

	xdt_any_list(l);
	if (!xdt_list_map(l, DMA_BIDIRECTIONAL))
		return false;
	if (l->nsegs != 1 || !xdt_list_check(l)) {
		xdt_list_fail(l, "not one good segment");
		xdt_list_unmap(l, DMA_BIDIRECTIONAL, 0);
		return false;
	}
	p.start = sg_dma_address(l->sg);
	p.total = sg_dma_len(l->sg);
	xen_machine_peek(p.start, dev, p.total);

	for (; p.step < 6 && test->status == KUNIT_SUCCESS; p.step++) {
		xdt_part_write(l, &p, key);
		xdt_part_sync(l, &p);
	}
	xdt_list_unmap(l, DMA_BIDIRECTIONAL, 0);
	for (e = 0, at = 0; e < l->nents; at += l->copy[e++].len)
		memcpy(xdt_expected(l, e), dev + at, l->copy[e].len);
	return xdt_arena_same(l, "unmap_sg") && test->status == KUNIT_SUCCESS;
}

/* Parts of a merged segment, by its bus addresses. */
static void xdt_sync_segments(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_lists *l = xdt_lists(x);
	unsigned long i, lists = xdt_scaled(3000);
	u8 *dev;

	dev = kunit_kmalloc(test, XDT_ARENA_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	l->limit = DMA_BIT_MASK(32);
	xdt_set_limits(l);
	xdt_frames(l);

	for (i = 0; i < lists; i++)
		if (!xdt_sync_list(l, dev, i))
			return;
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* In place of a mapping of @was bytes there is one of @now bytes. */
static void xdt_map_instead(struct xdt *x, dma_addr_t *bus, size_t was,
			    size_t now)
{
	xdt_unmap(x->dev, *bus, was, DMA_TO_DEVICE, 0);
	*bus = xdt_map(x->dev, x->buf, now, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_NE(x->test, *bus, DMA_MAPPING_ERROR);
}

/* A list that does not fit leaves all as it was. */
static void xdt_list_refused(struct xdt_lists *l, unsigned int round)
{
	struct kunit *test = l->x->test;
	u64 used = xdt_used();
	int ret;

	xdt_list_pages(l, 12);
	xdt_list_end(l);
	ret = xen_swiotlb_dma_ops.map_sg(l->x->dev, l->sg, l->nents,
					 DMA_BIDIRECTIONAL, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_LT(test, ret, 0);
	KUNIT_EXPECT_EQ_MSG(test, xdt_used(), used, "round %u", round);
	xdt_arena_same(l, "list that failed");
}

/*
 * What there is room for still is, but pages join only where a block for several
 * is at hand.
 */
static void xdt_list_still_fits(struct xdt_lists *l)
{
	struct kunit *test = l->x->test;
	bool direct[XDT_LIST_MAX];
	int seg_of[XDT_LIST_MAX];
	u64 used = xdt_used();

	xdt_list_pages(l, 8);
	xdt_list_end(l);
	if (xdt_list_map(l, DMA_BIDIRECTIONAL)) {
		KUNIT_EXPECT_GE(test, l->nsegs, 2);
		xdt_check_bytes(l, direct, seg_of);
		xdt_list_unmap(l, DMA_BIDIRECTIONAL, 0);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), used);
}

/* A list that does not fit leaves nothing mapped, and no byte changed. */
static void xdt_list_full(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_lists *l = xdt_lists(x);
	unsigned int round, nr, max = x->size / SZ_64K;
	dma_addr_t *bus;

	bus = kunit_kmalloc_array(test, max, sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	l->limit = DMA_BIT_MASK(32);
	l->max_seg = SZ_16K;
	xdt_set_limits(l);
	xdt_frames(l);

	for (nr = 0; nr < max; nr++) {
		bus[nr] = xdt_map(x->dev, x->buf, SZ_64K, DMA_TO_DEVICE,
				  DMA_ATTR_NO_WARN);
		if (bus[nr] == DMA_MAPPING_ERROR)
			break;
	}
	KUNIT_EXPECT_EQ(test, nr, max);

	/* Twelve pages are three blocks; there is room for two, or none. */
	for (round = 0; round < 20; round++) {
		bool room = round % 2;

		if (room)
			xdt_map_instead(x, bus, SZ_64K, SZ_32K);
		xdt_list_refused(l, round);
		if (room) {
			xdt_list_still_fits(l);
			xdt_map_instead(x, bus, SZ_32K, SZ_64K);
		}
	}
	while (nr--)
		xdt_unmap(x->dev, bus[nr], SZ_64K, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);

	xdt_list_pages(l, 12);
	xdt_expect_segments(l, 3, "there is room again");
}

/* A driver is wrong about the length of its list: nothing is walked or mapped. */
static void xdt_list_wrong_count(struct kunit *test)
{
	static const int counts[] = { 5, 4, 0, -1, -5 };
	struct xdt *x = test->priv;
	struct scatterlist sgl[8];
	unsigned int i, j;

	/* Entries behind the end that nobody may touch. */
	sg_init_table(sgl, ARRAY_SIZE(sgl));
	for (i = 0; i < ARRAY_SIZE(sgl); i++)
		sg_set_buf(&sgl[i], x->buf + i * PAGE_SIZE, PAGE_SIZE);
	sg_mark_end(&sgl[2]);

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		for (j = 0; j < ARRAY_SIZE(sgl); j++) {
			sg_dma_address(&sgl[j]) = 1;
			sg_dma_len(&sgl[j]) = 1;
		}
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL,
				    xen_swiotlb_dma_ops.map_sg(x->dev, sgl,
							       counts[i],
							       DMA_TO_DEVICE,
							       0),
				    "%d entries", counts[i]);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), 0, "%d entries",
				    counts[i]);
		for (j = 3; j < ARRAY_SIZE(sgl); j++)
			KUNIT_EXPECT_EQ_MSG(test, sg_dma_len(&sgl[j]), 1,
					    "entry %u, %d entries", j,
					    counts[i]);
	}

	/* Fewer than there are may well be meant, more to unmap may not. */
	KUNIT_ASSERT_EQ(test, 1,
			xen_swiotlb_dma_ops.map_sg(x->dev, sgl, 2,
						   DMA_TO_DEVICE, 0));
	KUNIT_EXPECT_EQ(test, sg_dma_len(&sgl[1]), 0);
	xen_swiotlb_dma_ops.unmap_sg(x->dev, sgl, 0, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_GT(test, xdt_used(), 0);
	xen_swiotlb_dma_ops.unmap_sg(x->dev, sgl, 5, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_known_lists),
	KUNIT_CASE(xdt_long_list),
	KUNIT_CASE(xdt_small_entries),
	KUNIT_CASE_SLOW(xdt_sync_segments),
	KUNIT_CASE(xdt_list_full),
	KUNIT_CASE(xdt_list_wrong_count),
	KUNIT_CASE_SLOW(xdt_planner),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-swiotlb-lists",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the operations of Xen's DMA driver: scatter lists");
MODULE_LICENSE("GPL");
