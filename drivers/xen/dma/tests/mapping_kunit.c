// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the DMA operations: what is used in place and what is bounced,
 * and how scatter lists become segments.
 *
 * Lists are compared with a model that knows nothing of how they are planned:
 * it looks at every byte's address, at every two neighbours, and at what both
 * sides read and write.
 */
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/vmalloc.h>

#include "fixture.h"

/* Single mappings: in place or bounced. */

static bool xdt_bounced(dma_addr_t bus)
{
	return xen_pool_find(bus);
}

/*
 * Map, see whether it is where it must be, and let both sides see each other's
 * bytes.
 */
static void xdt_expect(struct xdt *x, u8 *p, size_t size, bool bounce,
		       const char *what)
{
	dma_addr_t bus;
	ssize_t bad;

	xdt_fill(p, 17, 0, size);
	bus = xdt_map(x->dev, p, size, DMA_BIDIRECTIONAL, 0);
	if (bus == DMA_MAPPING_ERROR) {
		KUNIT_FAIL(x->test, "%s: not mapped", what);
		return;
	}
	if (bounce)
		KUNIT_EXPECT_TRUE_MSG(x->test, xdt_bounced(bus),
				      "%s: not bounced, at %pad", what, &bus);
	else
		KUNIT_EXPECT_EQ_MSG(x->test, bus, xdt_machine(p),
				    "%s: bounced", what);
	bad = xdt_dev_differs(x->scratch, bus, 17, 0, size);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1, "%s: device reads other bytes",
			    what);
	xdt_dev_fill(bus, 99, 0, size);
	xdt_unmap(x->dev, bus, size, DMA_BIDIRECTIONAL, 0);
	bad = xdt_differs(p, 99, 0, size);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1, "%s: CPU reads other bytes",
			    what);
	KUNIT_EXPECT_EQ_MSG(x->test, xdt_used(), 0, "%s: still in use", what);
}

static void xdt_wide(struct xdt *x)
{
	*x->dev->dma_mask = DMA_BIT_MASK(64);
	x->dev->bus_dma_limit = 0;
	dma_set_min_align_mask(x->dev, 0);
	dma_set_seg_boundary(x->dev, ULONG_MAX);
}

#define XDT_FRAME	(XEN_MACHINE_FREE_MFN + SZ_4K)

static void xdt_by_mask(struct kunit *test)
{
	struct xdt *x = test->priv;
	u8 *p = x->buf + 0x123;
	u64 last;

	xdt_wide(x);
	xen_machine_place(x->buf, 2, XDT_FRAME);
	last = xdt_machine(p) + 0x1800 - 1;

	x->dev->bus_dma_limit = last;
	xdt_expect(x, p, 0x1800, false, "last byte at the bus's limit");
	x->dev->bus_dma_limit = last - 1;
	xdt_expect(x, p, 0x1800, true, "last byte beyond the bus's limit");
	x->dev->bus_dma_limit = 0;
	*x->dev->dma_mask = last;
	xdt_expect(x, p, 0x1800, false, "last byte at the mask");
	*x->dev->dma_mask = last - 1;
	xdt_expect(x, p, 0x1800, true, "last byte beyond the mask");

	*x->dev->dma_mask = DMA_BIT_MASK(34);
	xen_machine_place(x->buf, 1, XEN_MACHINE_END_MFN - 1);
	xdt_expect(x, x->buf, PAGE_SIZE, false, "last page in reach");
	*x->dev->dma_mask = DMA_BIT_MASK(33);
	xen_machine_place(x->buf, 1, XEN_MACHINE_FREE_MFN);
	xdt_expect(x, x->buf, 1, true, "first page out of reach");
}

static void xdt_by_contiguity(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int pages, bad;

	xdt_wide(x);
	for (pages = 2; pages <= 16; pages++) {
		xen_machine_place(x->buf, pages, XDT_FRAME);
		xdt_expect(x, x->buf, pages * PAGE_SIZE, false, "contiguous");
		xdt_expect(x, x->buf + PAGE_SIZE - 1, 2, false, "two bytes");

		/* One page elsewhere, at each place. */
		for (bad = 0; bad < pages; bad++) {
			xen_machine_place(x->buf, pages, XDT_FRAME);
			xen_machine_place(x->buf + bad * PAGE_SIZE, 1,
					  XDT_FRAME + 1000);
			xdt_expect(x, x->buf, pages * PAGE_SIZE, true,
				   "one page elsewhere");
			if (bad < pages - 1)
				xdt_expect(x, x->buf + bad * PAGE_SIZE + 4095,
					   2, true, "two bytes, straddling");
			if (bad == pages - 1) {
				xdt_expect(x, x->buf + 1, bad * PAGE_SIZE - 1,
					   false, "ends before it");
				xdt_expect(x, x->buf, bad * PAGE_SIZE + 1,
					   true, "ends in its first byte");
			}
			if (bad == 0) {
				xdt_expect(x, x->buf + PAGE_SIZE,
					   (pages - 1) * PAGE_SIZE, false,
					   "begins behind it");
				xdt_expect(x, x->buf + PAGE_SIZE - 1, 2, true,
					   "begins in its last byte");
			}
			if (test->status != KUNIT_SUCCESS)
				return;
		}
	}

	/* Descending or equal distance two is not contiguous. */
	xen_machine_place(x->buf, 1, XDT_FRAME + 1);
	xen_machine_place(x->buf + PAGE_SIZE, 1, XDT_FRAME);
	xdt_expect(x, x->buf, 2 * PAGE_SIZE, true, "descending");
	xen_machine_place(x->buf + PAGE_SIZE, 1, XDT_FRAME + 3);
	xdt_expect(x, x->buf, 2 * PAGE_SIZE, true, "a hole");
}

/* No limit of the aperture's for what is in one piece. */
static void xdt_large_direct(struct kunit *test)
{
	struct xdt *x = test->priv;

	xdt_wide(x);
	xen_machine_place(x->buf, XDT_BUF_SIZE >> PAGE_SHIFT, XDT_FRAME);
	xdt_expect(x, x->buf, SZ_512K, false, "512 KiB");
	xdt_expect(x, x->buf + 5, XDT_LARGEST + SZ_1M, false, "17 MiB");
	xen_machine_place(x->buf + XDT_LARGEST, 1, XEN_MACHINE_FREE_MFN);
	xdt_expect(x, x->buf, XDT_LARGEST, false, "16 MiB");
}

/*
 * Large pages in extents of their own. Some drivers merge pages that follow each other
 * for the kernel, up to the size that a mapping may have at most: none of that is to be
 * bounced.
 */
static void xdt_merged(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int nr = XDT_LARGEST >> PAGE_SHIFT, i;
	struct sg_table sgt;
	struct page **pages;
	size_t max;

	xdt_wide(x);
	pages = kunit_kmalloc_array(test, nr, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < nr; i++)
		pages[i] = virt_to_page(x->buf + i * PAGE_SIZE);
	for (i = 0; i < nr; i += PTRS_PER_PTE)
		xen_machine_place(x->buf + i * PAGE_SIZE, PTRS_PER_PTE,
				  XDT_FRAME + nr - i);
	max = xen_swiotlb_dma_ops.max_mapping_size(x->dev);
	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table_from_pages_segment(&sgt, pages, nr,
								   0, XDT_LARGEST,
								   max, GFP_KERNEL));
	KUNIT_EXPECT_GT(test, xen_swiotlb_dma_ops.map_sg(x->dev, sgt.sgl,
							 sgt.orig_nents,
							 DMA_TO_DEVICE, 0), 0);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	xen_swiotlb_dma_ops.unmap_sg(x->dev, sgt.sgl, sgt.orig_nents,
				     DMA_TO_DEVICE, 0);
	sg_free_table(&sgt);
}

static void xdt_by_boundary(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned long edge, frame;
	u64 boundary;
	size_t size;

	xdt_wide(x);
	for (boundary = SZ_4K - 1; boundary < SZ_8M;
	     boundary = boundary * 2 + 1) {
		dma_set_seg_boundary(x->dev, boundary);
		size = boundary + 1;
		frame = ALIGN(XDT_FRAME, (2 * size) >> PAGE_SHIFT);
		xen_machine_place(x->buf, (2 * size) >> PAGE_SHIFT, frame);
		edge = size;

		xdt_expect(x, x->buf, size, false, "up to the boundary");
		xdt_expect(x, x->buf + edge, size, false, "from the boundary");
		xdt_expect(x, x->buf + edge - 1, 2, true, "across by a byte");
		xdt_expect(x, x->buf + edge - 100, 100, false, "just before");
		xdt_expect(x, x->buf + edge - 100, 101, true, "just across");
		xdt_expect(x, x->buf + 1, size, true, "across, fits exactly");
		xdt_expect(x, x->buf + 1, size + 1, false,
			   "longer than what lies between boundaries");
		if (test->status != KUNIT_SUCCESS)
			return;
	}
}

/*
 * The bits to keep are those of the address the driver knows; the machine
 * address of the same page has others.
 */
static void xdt_by_alignment(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned long frame, page;

	xdt_wide(x);
	for (page = 0; page < 16; page++) {
		u8 *p = x->buf + page * PAGE_SIZE;

		for (frame = XDT_FRAME; frame < XDT_FRAME + 16; frame++) {
			bool same = frame % 16 == PHYS_PFN(virt_to_phys(p)) % 16;

			xen_machine_place(p, 1, frame);
			dma_set_min_align_mask(x->dev, SZ_64K - 1);
			xdt_expect(x, p + 7, 1000, !same, "64 KiB");
			dma_set_min_align_mask(x->dev, SZ_4K - 1);
			xdt_expect(x, p + 7, 1000, false, "4 KiB");
			if (x->test->status != KUNIT_SUCCESS)
				return;
		}
	}
}

/* Scatter lists. */

#define XDT_ARENA_PAGES	64
#define XDT_ARENA_SIZE	(XDT_ARENA_PAGES * PAGE_SIZE)
#define XDT_LIST_MAX	12

/* The first frame of the arena; around it is room for the others. */
#define XDT_ARENA_FRAMES \
	(XEN_MACHINE_END_MFN - XEN_MACHINE_FREE_MFN - SZ_8K)

/**
 * struct xdt_lists - lists over a small piece of memory
 * @x:		the fixture
 * @arena:	the memory that entries are parts of, page aligned
 * @expect:	what must be in it
 * @frames:	where its pages are
 * @sg:		the list, with one entry to spare
 * @nents:	entries
 * @copy:	the entries as they were before
 * @nsegs:	segments, when mapped
 * @max_seg:	limits of the device
 * @boundary:	...
 * @align:	...
 * @limit:	...
 * @bus:	where each entry is, when mapped
 */
struct xdt_lists {
	struct xdt *x;
	u8 *arena;
	u8 *expect;
	unsigned long frames[XDT_ARENA_PAGES];
	struct scatterlist sg[XDT_LIST_MAX];
	int nents;
	struct { u8 *p; unsigned int len; } copy[XDT_LIST_MAX];
	int nsegs;
	u64 max_seg;
	u64 boundary;
	u64 align;
	u64 limit;
	dma_addr_t bus[XDT_LIST_MAX];
};

static struct xdt_lists *xdt_lists(struct xdt *x)
{
	struct xdt_lists *l;

	l = kunit_kzalloc(x->test, sizeof(*l), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(x->test, l);
	l->expect = kunit_kmalloc(x->test, XDT_ARENA_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(x->test, l->expect);
	l->x = x;
	l->arena = x->buf;
	l->max_seg = UINT_MAX;
	l->boundary = ULONG_MAX;
	l->limit = DMA_BIT_MASK(64);
	xdt_fill(l->arena, 3, 0, XDT_ARENA_SIZE);
	xdt_fill(l->expect, 3, 0, XDT_ARENA_SIZE);
	return l;
}

static void xdt_set_limits(struct xdt_lists *l)
{
	struct device *dev = l->x->dev;

	dma_set_max_seg_size(dev, l->max_seg);
	dma_set_seg_boundary(dev, l->boundary);
	dma_set_min_align_mask(dev, l->align);
	*dev->dma_mask = DMA_BIT_MASK(64);
	dev->bus_dma_limit = l->limit;
}

/* Frames for the arena: runs, ascending mostly, near edges of all sizes. */
static void xdt_place_arena(struct xdt_lists *l)
{
	struct rnd_state *rnd = &l->x->rnd;
	unsigned int page = 0, run, shift;
	unsigned long frame;

	/* So that the second half of it, or so, crosses an edge. */
	shift = xdt_below(rnd, 9);
	frame = XEN_MACHINE_FREE_MFN + SZ_4K - xdt_below(rnd, 8) +
		(xdt_below(rnd, XDT_ARENA_FRAMES >> shift) << shift);
	while (page < XDT_ARENA_PAGES) {
		run = 1 + xdt_below(rnd, xdt_chance(rnd, 30) ? 12 : 3);
		run = min(run, XDT_ARENA_PAGES - page);
		xen_machine_place(l->arena + page * PAGE_SIZE, run, frame);
		page += run;
		switch (xdt_below(rnd, 4)) {
		case 0:
			/* The next run goes before this one. */
			frame -= run + xdt_below(rnd, 3);
			break;
		case 1:
			frame += run + 1 + xdt_below(rnd, 20);
			break;
		default:
			frame += run;
			break;
		}
	}
	for (page = 0; page < XDT_ARENA_PAGES; page++)
		l->frames[page] = xdt_machine(l->arena + page * PAGE_SIZE) >>
				  PAGE_SHIFT;
}

static void xdt_any_limits(struct xdt_lists *l)
{
	static const u64 max_segs[] = { UINT_MAX, SZ_64K, SZ_4K, SZ_4K + 1,
					8191, 512, 10000, SZ_16K };
	static const u64 aligns[] = { 0, 0, 0, 0, 511, 2047, 4095, 65535 };
	struct rnd_state *rnd = &l->x->rnd;

	l->max_seg = max_segs[xdt_below(rnd, ARRAY_SIZE(max_segs))];
	if (xdt_chance(rnd, 10))
		l->max_seg = 1 + xdt_below(rnd, SZ_32K);
	l->boundary = ULONG_MAX;
	if (xdt_chance(rnd, 50))
		l->boundary = (SZ_4K << xdt_below(rnd, 8)) - 1;
	l->align = aligns[xdt_below(rnd, ARRAY_SIZE(aligns))];

	switch (xdt_below(rnd, 4)) {
	case 0:
		l->limit = DMA_BIT_MASK(32);
		break;
	case 1:
		/* Amidst the arena. */
		l->limit = l->frames[xdt_below(rnd, XDT_ARENA_PAGES)] <<
			   PAGE_SHIFT;
		l->limit += xdt_below(rnd, PAGE_SIZE);
		break;
	default:
		l->limit = DMA_BIT_MASK(64);
		break;
	}
	xdt_set_limits(l);
}

static void xdt_list_begin(struct xdt_lists *l)
{
	l->nents = 0;
}

static void xdt_list_add(struct xdt_lists *l, size_t at, size_t len)
{
	l->copy[l->nents].p = l->arena + at;
	l->copy[l->nents].len = len;
	l->nents++;
}

static void xdt_list_end(struct xdt_lists *l)
{
	int i;

	sg_init_table(l->sg, l->nents);
	for (i = 0; i < l->nents; i++)
		sg_set_page(&l->sg[i], virt_to_page(l->copy[i].p),
			    l->copy[i].len, offset_in_page(l->copy[i].p));
}

/* Entries that share no byte, mostly one behind the other. */
static void xdt_any_list(struct xdt_lists *l)
{
	struct rnd_state *rnd = &l->x->rnd;
	unsigned int want = 1 + xdt_below(rnd, XDT_LIST_MAX), i, j, dice;
	bool whole = xdt_chance(rnd, 40);
	size_t at = xdt_below(rnd, 16) * PAGE_SIZE, len;

	xdt_list_begin(l);
	if (!whole)
		at += xdt_below(rnd, PAGE_SIZE);
	while ((unsigned int)l->nents < want) {
		dice = xdt_below(rnd, 100);
		if (whole)
			len = PAGE_SIZE * (1 + (dice < 15));
		else if (dice < 2 && l->nents)
			len = 0;
		else if (dice < 30)
			len = 1 + xdt_below(rnd, 2 * PAGE_SIZE);
		else if (dice < 40)
			len = 2 * PAGE_SIZE - at % PAGE_SIZE;
		else if (dice < 60)
			len = PAGE_SIZE - at % PAGE_SIZE;
		else
			len = 1 + xdt_below(rnd, 1000);
		if (at + len > XDT_ARENA_SIZE)
			break;
		xdt_list_add(l, at, len);
		at += len;
		dice = xdt_below(rnd, 100);
		if (whole && dice < 20)
			at += PAGE_SIZE;
		else if (!whole && dice < 20)
			at = round_up(at, PAGE_SIZE);
		else if (!whole && dice < 25)
			at += xdt_below(rnd, 100);
	}
	if (l->nents > 1 && xdt_chance(rnd, 30)) {
		i = xdt_below(rnd, l->nents);
		j = xdt_below(rnd, l->nents);
		if (l->copy[i].len && l->copy[j].len)
			swap(l->copy[i], l->copy[j]);
	}
	xdt_list_end(l);
}

static void xdt_list_print(struct xdt_lists *l)
{
	struct kunit *test = l->x->test;
	int i;

	kunit_info(test,
		   "max_seg %llu boundary 0x%llx align 0x%llx limit 0x%llx\n",
		   l->max_seg, l->boundary, l->align, l->limit);
	for (i = 0; i < l->nents; i++)
		kunit_info(test, "entry %d: %u bytes, phys 0x%llx, machine 0x%llx\n",
			   i, l->copy[i].len,
			   (u64)virt_to_phys(l->copy[i].p),
			   xdt_machine(l->copy[i].p));
	for (i = 0; i < l->nsegs; i++)
		kunit_info(test, "segment %d: %u bytes at 0x%llx\n", i,
			   sg_dma_len(&l->sg[i]),
			   (u64)sg_dma_address(&l->sg[i]));
}

#define xdt_list_fail(l, fmt, ...) do {					\
	struct xdt_lists *__l = (l);					\
									\
	KUNIT_FAIL(__l->x->test, fmt, ##__VA_ARGS__);			\
	xdt_list_print(__l);						\
} while (0)

/* What the list's entry is in the machine, and whether that can be used. */
enum xdt_verdict { XDT_DIRECT, XDT_BOUNCE, XDT_EITHER };

static enum xdt_verdict xdt_judge(struct xdt_lists *l, int i)
{
	phys_addr_t phys = virt_to_phys(l->copy[i].p);
	u64 machine = xdt_machine(l->copy[i].p);
	unsigned int len = l->copy[i].len, done;

	for (done = 1; done <= (offset_in_page(phys) + len - 1) / PAGE_SIZE;
	     done++) {
		size_t page = (l->copy[i].p - l->arena) / PAGE_SIZE;

		if (l->frames[page + done] != l->frames[page] + done)
			return XDT_BOUNCE;
	}
	if (machine + len - 1 > l->limit)
		return XDT_BOUNCE;
	if ((machine ^ phys) & l->align)
		return XDT_BOUNCE;
	if (!xdt_crosses(machine, len, l->boundary))
		return XDT_DIRECT;
	if (len - 1 > l->boundary)
		return XDT_DIRECT;
	/* Short enough, unless the bits to be kept are in the way. */
	if (!xdt_can_keep_within(l->x->dev, phys, len, l->boundary))
		return XDT_EITHER;
	return XDT_BOUNCE;
}

/*
 * Every byte of every entry is in a segment, in order; each where it must be.
 * Fills l->bus.
 */
static bool xdt_check_bytes(struct xdt_lists *l, bool *direct, int *seg_of)
{
	enum xdt_verdict verdict;
	struct scatterlist *seg = l->sg;
	unsigned int at = 0, len;
	int i, s = 0;
	u64 bus, phys;

	for (i = 0; i < l->nents; i++) {
		len = l->copy[i].len;
		seg_of[i] = -1;
		if (!len)
			continue;
		if (s < l->nsegs && at == sg_dma_len(seg)) {
			at = 0;
			seg++;
			s++;
		}
		if (s >= l->nsegs) {
			xdt_list_fail(l, "entry %d is in no segment", i);
			return false;
		}
		if (at + len > sg_dma_len(seg)) {
			xdt_list_fail(l, "entry %d is cut by the end of segment %d",
				      i, s);
			return false;
		}
		seg_of[i] = s;
		bus = sg_dma_address(seg) + at;
		l->bus[i] = bus;
		at += len;
		phys = virt_to_phys(l->copy[i].p);
		direct[i] = bus == xdt_machine(l->copy[i].p);
		verdict = xdt_judge(l, i);
		if (direct[i] && verdict == XDT_BOUNCE) {
			xdt_list_fail(l, "entry %d must bounce", i);
			return false;
		}
		if (!direct[i] && verdict == XDT_DIRECT) {
			xdt_list_fail(l, "entry %d is bounced without need", i);
			return false;
		}
		if (!direct[i] && (!xen_pool_find(bus) ||
				   !xen_pool_find(bus + len - 1))) {
			xdt_list_fail(l, "entry %d is at 0x%llx", i, bus);
			return false;
		}
		if (bus + len - 1 > l->limit) {
			xdt_list_fail(l, "entry %d is beyond the limit", i);
			return false;
		}
		if ((bus ^ phys) & l->align) {
			xdt_list_fail(l, "entry %d lost its alignment", i);
			return false;
		}
	}
	if (s != l->nsegs - 1 || at != sg_dma_len(seg)) {
		xdt_list_fail(l, "segment %d of %d: %u bytes too many", s,
			      l->nsegs, sg_dma_len(seg) - at);
		return false;
	}
	if (l->nsegs < l->nents && sg_dma_len(&l->sg[l->nsegs])) {
		xdt_list_fail(l, "%d segments, but the next is not empty",
			      l->nsegs);
		return false;
	}
	return true;
}

/* Whether an entry could be the next of a segment. */
static bool xdt_could_follow(struct xdt_lists *l, int s, int first, int i,
			     bool direct)
{
	u64 start = sg_dma_address(&l->sg[s]);
	u64 len = (u64)sg_dma_len(&l->sg[s]) + l->copy[i].len;
	phys_addr_t phys = virt_to_phys(l->copy[i].p);

	if (len > l->max_seg)
		return false;
	if (direct)
		return start + sg_dma_len(&l->sg[s]) ==
			       xdt_machine(l->copy[i].p) &&
		       !xdt_crosses(start, len, l->boundary);
	return !((start + sg_dma_len(&l->sg[s]) - phys) & l->align) &&
	       xdt_can_keep_within(l->x->dev, virt_to_phys(l->copy[first].p),
				   len, l->boundary);
}

/* The limits, and that there are no more segments than need be. */
static bool xdt_check_merging(struct xdt_lists *l, bool *direct, int *seg_of)
{
	int i, s, t, first = -1, previous = -1;
	struct scatterlist *a, *b;

	for (i = 0; i < l->nents; i++) {
		if (seg_of[i] < 0)
			continue;
		if (previous < 0 || seg_of[i] != seg_of[previous]) {
			if (previous >= 0 && direct[i] == direct[previous] &&
			    xdt_could_follow(l, seg_of[previous], first, i,
					     direct[i])) {
				xdt_list_fail(l, "entry %d could be in segment %d",
					      i, seg_of[previous]);
				return false;
			}
			first = i;
			previous = i;
			s = seg_of[i];
			/* Alone, it keeps within the boundary if it can. */
			if (!direct[i] &&
			    xdt_can_keep_within(l->x->dev,
						virt_to_phys(l->copy[i].p),
						l->copy[i].len, l->boundary) &&
			    xdt_crosses(l->bus[i], l->copy[i].len,
					l->boundary)) {
				xdt_list_fail(l, "entry %d crosses", i);
				return false;
			}
			continue;
		}

		/* Not alone. */
		s = seg_of[i];
		if (direct[i] != direct[previous]) {
			xdt_list_fail(l, "segment %d is of both sorts", s);
			return false;
		}
		if (sg_dma_len(&l->sg[s]) > l->max_seg) {
			xdt_list_fail(l, "segment %d is too long", s);
			return false;
		}
		if (xdt_crosses(sg_dma_address(&l->sg[s]),
				sg_dma_len(&l->sg[s]), l->boundary)) {
			xdt_list_fail(l, "segment %d crosses", s);
			return false;
		}
		previous = i;
	}

	for (s = 0; s < l->nsegs; s++) {
		a = &l->sg[s];
		for (t = s + 1; t < l->nsegs; t++) {
			b = &l->sg[t];
			if (sg_dma_address(a) <
			    sg_dma_address(b) + sg_dma_len(b) &&
			    sg_dma_address(b) <
			    sg_dma_address(a) + sg_dma_len(a)) {
				xdt_list_fail(l, "segments %d and %d overlap",
					      s, t);
				return false;
			}
		}
	}
	return true;
}

static bool xdt_list_check(struct xdt_lists *l)
{
	bool direct[XDT_LIST_MAX];
	int seg_of[XDT_LIST_MAX];

	return xdt_check_bytes(l, direct, seg_of) &&
	       xdt_check_merging(l, direct, seg_of);
}

static bool xdt_list_map(struct xdt_lists *l, enum dma_data_direction dir)
{
	l->nsegs = xen_swiotlb_dma_ops.map_sg(l->x->dev, l->sg, l->nents, dir,
					      0);
	if (l->nsegs <= 0 || l->nsegs > l->nents) {
		int got = l->nsegs;

		l->nsegs = 0;
		xdt_list_fail(l, "map_sg: %d", got);
		return false;
	}
	return true;
}

static void xdt_list_unmap(struct xdt_lists *l, enum dma_data_direction dir,
			   unsigned long attrs)
{
	xen_swiotlb_dma_ops.unmap_sg(l->x->dev, l->sg, l->nents, dir, attrs);
}

/*
 * Makes nonsense of all but the segments, and sense again. The dma-buf core does so to
 * lists while they are mapped.
 */
static void xdt_list_scramble(struct xdt_lists *l)
{
	int i;

	for (i = 0; i < l->nents; i++) {
		l->sg[i].page_link ^= ~0xffUL;
		l->sg[i].offset ^= 0x5a5;
		l->sg[i].length ^= 0x3c3;
	}
}

/* Does the device read what the entry has? */
static bool xdt_entry_same(struct xdt_lists *l, int i, const u8 *want)
{
	if (!xen_machine_peek(l->bus[i], l->x->scratch, l->copy[i].len) &&
	    !memcmp(l->x->scratch, want, l->copy[i].len))
		return true;
	xdt_list_fail(l, "entry %d: device reads other bytes", i);
	return false;
}

static u8 *xdt_expected(struct xdt_lists *l, int i)
{
	return l->expect + (l->copy[i].p - l->arena);
}

static bool xdt_arena_same(struct xdt_lists *l, const char *when)
{
	size_t i;

	if (!memcmp(l->arena, l->expect, XDT_ARENA_SIZE))
		return true;
	for (i = 0; l->arena[i] == l->expect[i]; i++)
		;
	xdt_list_fail(l, "%s: byte 0x%zx of the arena, page %zu", when, i,
		      i / PAGE_SIZE);
	return false;
}

/* Both sides of all entries, whole and in parts. */
static bool xdt_list_traffic(struct xdt_lists *l, enum dma_data_direction dir)
{
	struct rnd_state *rnd = &l->x->rnd;
	unsigned long attrs = 0;
	u32 key = xdt_below(rnd, XDT_PERIOD);
	bool scramble = xdt_chance(rnd, 50);
	size_t from, len;
	int i, s;

	if (scramble)
		xdt_list_scramble(l);
	for (i = 0; i < l->nents; i++) {
		if (l->copy[i].len &&
		    !xdt_entry_same(l, i, xdt_expected(l, i)))
			return false;
	}
	for (s = 0; s < l->nsegs; s++) {
		if (xdt_bounced(sg_dma_address(&l->sg[s])) &&
		    !xdt_slack_is_zero(l->x->scratch,
				       sg_dma_address(&l->sg[s]),
				       sg_dma_len(&l->sg[s]))) {
			xdt_list_fail(l, "segment %d: old bytes beside", s);
			return false;
		}
	}

	/* The CPU writes, all of it is handed over. */
	if (dir != DMA_FROM_DEVICE && xdt_chance(rnd, 50)) {
		for (i = 0; i < l->nents; i++) {
			xdt_fill(l->copy[i].p, key + i, 0, l->copy[i].len);
			xdt_fill(xdt_expected(l, i), key + i, 0,
				 l->copy[i].len);
		}
		xen_swiotlb_dma_ops.sync_sg_for_device(l->x->dev, l->sg,
						       l->nents, dir);
		for (i = 0; i < l->nents; i++) {
			if (l->copy[i].len &&
			    !xdt_entry_same(l, i, xdt_expected(l, i)))
				return false;
		}
	}

	/* The device writes to some; the CPU has it after a sync of all. */
	if (dir != DMA_TO_DEVICE && xdt_chance(rnd, 50)) {
		for (i = 0; i < l->nents; i++) {
			if (!l->copy[i].len || xdt_chance(rnd, 30))
				continue;
			from = xdt_below(rnd, l->copy[i].len);
			len = 1 + xdt_below(rnd, l->copy[i].len - from);
			xdt_dev_fill(l->bus[i] + from, key + 31 * i, 0, len);
			xdt_fill(xdt_expected(l, i) + from, key + 31 * i, 0,
				 len);
		}
		xen_swiotlb_dma_ops.sync_sg_for_cpu(l->x->dev, l->sg, l->nents,
						    dir);
		if (!xdt_arena_same(l, "sync_sg_for_cpu"))
			return false;
	}

	/* The device writes all, and the unmapping brings it. */
	if (dir == DMA_TO_DEVICE || xdt_chance(rnd, 10))
		attrs = DMA_ATTR_SKIP_CPU_SYNC;
	for (i = 0; i < l->nents; i++) {
		xdt_dev_fill(l->bus[i], key + 77 * i, 0, l->copy[i].len);
		if (!attrs || !xdt_bounced(l->bus[i]))
			xdt_fill(xdt_expected(l, i), key + 77 * i, 0,
				 l->copy[i].len);
	}
	if (dir == DMA_TO_DEVICE && xdt_chance(rnd, 50))
		attrs = 0;
	xdt_list_unmap(l, dir, attrs);
	if (scramble)
		xdt_list_scramble(l);
	if (!xdt_arena_same(l, "unmap_sg"))
		return false;
	if (xdt_used()) {
		xdt_list_fail(l, "unmap_sg: %llu bytes still in use",
			      xdt_used());
		return false;
	}
	return true;
}

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

static void xdt_list_pages(struct xdt_lists *l, unsigned int nr)
{
	unsigned int i;

	xdt_list_begin(l);
	for (i = 0; i < nr; i++)
		xdt_list_add(l, i * PAGE_SIZE, PAGE_SIZE);
}

static void xdt_frames(struct xdt_lists *l)
{
	unsigned int i;

	for (i = 0; i < XDT_ARENA_PAGES; i++)
		l->frames[i] = xdt_machine(l->arena + i * PAGE_SIZE) >>
			       PAGE_SHIFT;
}

static void xdt_known_lists(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_lists *l = xdt_lists(x);

	xen_machine_place(l->arena, XDT_ARENA_PAGES,
			  ALIGN(XDT_FRAME, XDT_ARENA_PAGES));
	xdt_frames(l);
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

	/* Out of reach, so bounced: the same limits. */
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

	/* Alternately in reach and not. */
	l->boundary = ULONG_MAX;
	xen_machine_place(l->arena + PAGE_SIZE, 1, XEN_MACHINE_END_MFN - 9);
	xen_machine_place(l->arena + 3 * PAGE_SIZE, 1,
			  XEN_MACHINE_END_MFN - 7);
	xdt_frames(l);
	l->limit = SZ_8G + SZ_4G;
	xdt_set_limits(l);
	xdt_list_pages(l, 5);
	xdt_expect_segments(l, 5, "alternately in place and bounced");

	/* One entry may be longer than a segment; none joins it. */
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

	/* Bytes that do not fill slots are one behind the other. */
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

/* 64 pages are one segment, whether bounced or contiguous. */
static void xdt_long_list(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct scatterlist *sg, *s;
	struct sg_table table;
	int i, nr, nsegs, round;
	ssize_t bad;

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

		xdt_fill(x->buf, 5, 0, nr * PAGE_SIZE);
		xdt_wide(x);
		*x->dev->dma_mask = DMA_BIT_MASK(32);
		nsegs = xen_swiotlb_dma_ops.map_sg(x->dev, sg, nr,
						   DMA_BIDIRECTIONAL, 0);
		KUNIT_EXPECT_GT(test, nsegs, 0);
		KUNIT_EXPECT_LE(test, nsegs, DIV_ROUND_UP(nr, 64));
		bad = xdt_segments(x, sg, nsegs, 5, nr * PAGE_SIZE, false);
		KUNIT_EXPECT_EQ(test, bad, -1);
		xdt_segments(x, sg, nsegs, 6, nr * PAGE_SIZE, true);
		xen_swiotlb_dma_ops.unmap_sg(x->dev, sg, nr, DMA_BIDIRECTIONAL,
					     0);
		bad = xdt_differs(x->buf, 6, 0, nr * PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, bad, -1);
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);

		xdt_wide(x);
		xen_machine_place(x->buf, nr, XDT_FRAME);
		KUNIT_EXPECT_EQ(test, 1,
				xen_swiotlb_dma_ops.map_sg(x->dev, sg, nr,
							   DMA_BIDIRECTIONAL,
							   0));
		KUNIT_EXPECT_EQ(test, sg_dma_address(sg), xdt_machine(x->buf));
		KUNIT_EXPECT_EQ(test, sg_dma_len(sg), nr * PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);
		xen_swiotlb_dma_ops.unmap_sg(x->dev, sg, nr, DMA_BIDIRECTIONAL,
					     0);
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

/* Parts of a merged segment, by its bus addresses. */
static void xdt_sync_segments(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_lists *l = xdt_lists(x);
	unsigned long i, lists = xdt_scaled(3000);
	unsigned int step, total, at, from, len, n, done;
	dma_addr_t start;
	int e;
	u8 *dev;

	dev = kunit_kmalloc(test, XDT_ARENA_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	l->limit = DMA_BIT_MASK(32);
	xdt_set_limits(l);
	xdt_frames(l);

	for (i = 0; i < lists; i++) {
		xdt_any_list(l);
		if (!xdt_list_map(l, DMA_BIDIRECTIONAL))
			return;
		if (l->nsegs != 1 || !xdt_list_check(l)) {
			xdt_list_fail(l, "not one good segment");
			xdt_list_unmap(l, DMA_BIDIRECTIONAL, 0);
			return;
		}
		start = sg_dma_address(l->sg);
		total = sg_dma_len(l->sg);
		xen_machine_peek(start, dev, total);

		for (step = 0; step < 6; step++) {
			/* Both sides write everywhere, a part changes hands. */
			xdt_dev_fill(start, i + step, 0, total);
			xdt_fill(dev, i + step, 0, total);
			for (e = 0; e < l->nents; e++) {
				xdt_fill(l->copy[e].p, i + 7 * step + e, 0,
					 l->copy[e].len);
				xdt_fill(xdt_expected(l, e), i + 7 * step + e,
					 0, l->copy[e].len);
			}
			from = xdt_below(&x->rnd, total);
			len = 1 + xdt_below(&x->rnd, total - from);
			if (step & 1)
				xdt_for_cpu(x->dev, start + from, len,
					    DMA_BIDIRECTIONAL);
			else
				xdt_for_device(x->dev, start + from, len,
					       DMA_BIDIRECTIONAL);

			/* Byte by byte, as nobody would do it. */
			for (e = 0, at = 0; e < l->nents; e++) {
				u8 *cpu = xdt_expected(l, e);

				for (n = 0; n < l->copy[e].len; n++, at++) {
					if (at < from || at >= from + len)
						continue;
					if (step & 1)
						cpu[n] = dev[at];
					else
						dev[at] = cpu[n];
				}
			}
			for (done = 0; done < total; done += n) {
				n = min_t(unsigned int, total - done,
					  XDT_PIECE);
				if (xen_machine_peek(start + done, x->scratch,
						     n) ||
				    memcmp(x->scratch, dev + done, n)) {
					xdt_list_fail(l, "sync of [%u,%u), %u: the device's bytes",
						      from, from + len, step);
					break;
				}
			}
			xdt_arena_same(l, "sync of a part");
			if (test->status != KUNIT_SUCCESS)
				break;
		}
		xdt_list_unmap(l, DMA_BIDIRECTIONAL, 0);
		for (e = 0, at = 0; e < l->nents; at += l->copy[e++].len)
			memcpy(xdt_expected(l, e), dev + at, l->copy[e].len);
		if (!xdt_arena_same(l, "unmap_sg") ||
		    test->status != KUNIT_SUCCESS)
			return;
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* A list that does not fit leaves nothing mapped, and no byte changed. */
static void xdt_list_full(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_lists *l = xdt_lists(x);
	unsigned int round, room, nr, max = x->size / SZ_64K;
	bool direct[XDT_LIST_MAX];
	int seg_of[XDT_LIST_MAX];
	dma_addr_t *bus;
	int ret;
	u64 used;

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
		room = round % 2;
		if (room) {
			xdt_unmap(x->dev, bus[0], SZ_64K, DMA_TO_DEVICE, 0);
			bus[0] = xdt_map(x->dev, x->buf, SZ_32K, DMA_TO_DEVICE,
					 0);
			KUNIT_EXPECT_NE(test, bus[0], DMA_MAPPING_ERROR);
		}
		used = xdt_used();
		xdt_list_pages(l, 12);
		xdt_list_end(l);
		ret = xen_swiotlb_dma_ops.map_sg(x->dev, l->sg, l->nents,
						 DMA_BIDIRECTIONAL,
						 DMA_ATTR_NO_WARN);
		KUNIT_EXPECT_LT(test, ret, 0);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), used, "round %u", round);
		xdt_arena_same(l, "list that failed");
		if (room) {
			/*
			 * What there is room for still is, but pages join only
			 * where a block for several is at hand.
			 */
			xdt_list_pages(l, 8);
			xdt_list_end(l);
			if (xdt_list_map(l, DMA_BIDIRECTIONAL)) {
				KUNIT_EXPECT_GE(test, l->nsegs, 2);
				xdt_check_bytes(l, direct, seg_of);
				xdt_list_unmap(l, DMA_BIDIRECTIONAL, 0);
			}
			KUNIT_EXPECT_EQ(test, xdt_used(), used);
			xdt_unmap(x->dev, bus[0], SZ_32K, DMA_TO_DEVICE, 0);
			bus[0] = xdt_map(x->dev, x->buf, SZ_64K, DMA_TO_DEVICE,
					 0);
			KUNIT_EXPECT_NE(test, bus[0], DMA_MAPPING_ERROR);
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

static struct kunit_case xdt_dma_cases[] = {
	KUNIT_CASE(xdt_by_mask),
	KUNIT_CASE(xdt_by_contiguity),
	KUNIT_CASE(xdt_large_direct),
	KUNIT_CASE(xdt_merged),
	KUNIT_CASE(xdt_by_boundary),
	KUNIT_CASE(xdt_by_alignment),
	KUNIT_CASE(xdt_known_lists),
	KUNIT_CASE(xdt_long_list),
	KUNIT_CASE(xdt_small_entries),
	KUNIT_CASE_SLOW(xdt_sync_segments),
	KUNIT_CASE(xdt_list_full),
	KUNIT_CASE(xdt_list_wrong_count),
	KUNIT_CASE_SLOW(xdt_planner),
	{}
};

static struct kunit_suite xdt_dma_suite = {
	.name = "xen-swiotlb",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_dma_cases,
};

kunit_test_suite(xdt_dma_suite);

MODULE_DESCRIPTION("KUnit tests of the operations of Xen's DMA driver");
MODULE_LICENSE("GPL");
