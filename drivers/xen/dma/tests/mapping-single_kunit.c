// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of single mappings: what is used in place, what is bounced.
 */
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/swiotlb.h>

#include "fixture.h"

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

/* Of @pages in one piece, page @bad is elsewhere. */
static void xdt_one_elsewhere(struct xdt *x, unsigned int pages,
			      unsigned int bad)
{
	xen_machine_place(x->buf, pages, XDT_FRAME);
	xen_machine_place(x->buf + bad * PAGE_SIZE, 1, XDT_FRAME + 1000);
	xdt_expect(x, x->buf, pages * PAGE_SIZE, true, "one page elsewhere");
	if (bad < pages - 1)
		xdt_expect(x, x->buf + bad * PAGE_SIZE + 4095, 2, true,
			   "two bytes, straddling");
	if (bad == pages - 1) {
		xdt_expect(x, x->buf + 1, bad * PAGE_SIZE - 1, false,
			   "ends before it");
		xdt_expect(x, x->buf, bad * PAGE_SIZE + 1, true,
			   "ends in its first byte");
	}
	if (bad == 0) {
		xdt_expect(x, x->buf + PAGE_SIZE, (pages - 1) * PAGE_SIZE,
			   false, "begins behind it");
		xdt_expect(x, x->buf + PAGE_SIZE - 1, 2, true,
			   "begins in its last byte");
	}
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

		for (bad = 0; bad < pages; bad++) {
			xdt_one_elsewhere(x, pages, bad);
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

/*
 * Who has no hardware wants to know where memory is, not a copy: in place, whatever all others
 * have to do, or not at all.
 */
static void xdt_no_hardware(struct kunit *test)
{
	struct xdt *x = test->priv;
	const struct bus_type *bus = x->dev->bus;
	struct io_tlb_mem mem = { .force_bounce = true };
	struct io_tlb_mem *was = x->dev->dma_io_tlb_mem;
	struct scatterlist sg;

	xdt_wide(x);
	xen_machine_place(x->buf, 1, XDT_FRAME);
	xen_machine_place(x->buf + PAGE_SIZE, 1, XDT_FRAME + 3);
	sg_init_one(&sg, x->buf, 2 * PAGE_SIZE);

	x->dev->dma_io_tlb_mem = &mem;
	xdt_expect(x, x->buf, PAGE_SIZE, true, "forced");
	x->dev->bus = NULL;
	xdt_expect(x, x->buf, PAGE_SIZE, false, "forced, but without hardware");
	KUNIT_EXPECT_EQ(test, xdt_map(x->dev, x->buf, 2 * PAGE_SIZE, DMA_BIDIRECTIONAL, 0),
			DMA_MAPPING_ERROR);
	KUNIT_EXPECT_EQ(test, xen_swiotlb_dma_ops.map_sg(x->dev, &sg, 1, DMA_BIDIRECTIONAL, 0),
			-EIO);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);

	*x->dev->dma_mask = DMA_BIT_MASK(63);
	xdt_expect(x, x->buf, 2 * PAGE_SIZE, true, "on no bus, but with a mask of its own");
	x->dev->bus = bus;
	x->dev->dma_io_tlb_mem = was;
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_by_mask),
	KUNIT_CASE(xdt_by_contiguity),
	KUNIT_CASE(xdt_large_direct),
	KUNIT_CASE(xdt_merged),
	KUNIT_CASE(xdt_by_boundary),
	KUNIT_CASE(xdt_by_alignment),
	KUNIT_CASE(xdt_no_hardware),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-swiotlb-single",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the operations of Xen's DMA driver: single mappings");
MODULE_LICENSE("GPL");
