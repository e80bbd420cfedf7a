// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of an aperture that consists of single pages: what fits in a page is bounced,
 * and what does not is refused.
 */
#include <linux/module.h>

#include "exhaust.h"

#define XPP_PAGES	200

/* The pool is made of single pages, of which each is alone in the machine, and can't grow. */
static void xpp_begin(struct xdt *x)
{
	struct kunit *test = x->test;
	unsigned int i;

	xen_pool_destroy();
	xen_machine_reset();
	xen_pool_max = XPP_PAGES * PAGE_SIZE;
	xen_pool_allow_pieces();
	for (i = 0; i < XPP_PAGES; i++) {
		struct page *page = alloc_page(GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_ASSERT_EQ(test, xen_pool_add_pages(page, 0, 32, XEN_CHUNK_GROWN,
							 GFP_KERNEL), 0);
	}
	KUNIT_ASSERT_EQ(test, xdt_total(), XPP_PAGES * PAGE_SIZE);
}

/* Not before it is allowed: the look-up would not find them. */
static void xpp_forbidden(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);
	struct xdt *x = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, page);
	xen_pool_max = x->size + PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, xen_pool_add_pages(page, 0, 32, XEN_CHUNK_GROWN,
						 GFP_KERNEL), -ERANGE);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	__free_page(page);
}

/* All sizes up to a page at any offset; both sides see what the other one wrote. */
static void xpp_contents(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(2000);
	struct xdt *x = test->priv;

	xpp_begin(x);
	while (rounds-- && test->status == KUNIT_SUCCESS) {
		size_t size = xdt_any_size(&x->rnd, PAGE_SIZE);
		u8 *buf = x->buf + xdt_below(&x->rnd, SZ_1M);
		dma_addr_t bus;

		xdt_fill(buf, rounds, 0, size);
		bus = xdt_map(x->dev, buf, size, DMA_BIDIRECTIONAL, 0);
		KUNIT_ASSERT_NE(test, bus, DMA_MAPPING_ERROR);
		KUNIT_EXPECT_TRUE(test, xdt_bounced(bus));
		KUNIT_EXPECT_LE(test, bus + size - 1, DMA_BIT_MASK(32));
		KUNIT_EXPECT_EQ(test, bus >> PAGE_SHIFT, (bus + size - 1) >> PAGE_SHIFT);
		KUNIT_EXPECT_EQ(test, xdt_dev_differs(x->scratch, bus, rounds, 0, size), -1);
		KUNIT_EXPECT_EQ(test, xdt_dev_fill(bus, rounds + 1, 0, size), 0);
		xdt_unmap(x->dev, bus, size, DMA_BIDIRECTIONAL, 0);
		KUNIT_EXPECT_EQ(test, xdt_differs(buf, rounds + 1, 0, size), -1);
	}
	KUNIT_EXPECT_EQ(test, xdt_total(), XPP_PAGES * PAGE_SIZE);
}

/* What drivers are told is true, and more than that fails. */
static void xpp_largest(struct kunit *test)
{
	struct xdt *x = test->priv;
	size_t largest;
	dma_addr_t bus;

	xpp_begin(x);
	largest = xen_swiotlb_dma_ops.max_mapping_size(x->dev);
	KUNIT_EXPECT_EQ(test, largest, PAGE_SIZE);
	bus = xdt_map(x->dev, x->buf + 5, largest, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_NE(test, bus, DMA_MAPPING_ERROR);
	xdt_unmap(x->dev, bus, largest, DMA_TO_DEVICE, 0);
	bus = xdt_map(x->dev, x->buf, largest + 1, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(test, bus, DMA_MAPPING_ERROR);

	/* A device that keeps the address within a page maps what lies in one. */
	dma_set_min_align_mask(x->dev, PAGE_SIZE - 1);
	bus = xdt_map(x->dev, x->buf + 100, PAGE_SIZE - 100, DMA_TO_DEVICE, 0);
	KUNIT_ASSERT_NE(test, bus, DMA_MAPPING_ERROR);
	KUNIT_EXPECT_EQ(test, offset_in_page(bus), 100);
	xdt_unmap(x->dev, bus, PAGE_SIZE - 100, DMA_TO_DEVICE, 0);
}

/* All of it is used, and all of it comes back. */
static void xpp_exhausted(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int round, nr;

	xpp_begin(x);
	for (round = 0; round < 3; round++) {
		nr = xdt_exhaust_atomic(x, x->dev, PAGE_SIZE, bus, XPP_PAGES + 1);
		KUNIT_EXPECT_EQ(test, nr, XPP_PAGES);
		xdt_check_contents(x, PAGE_SIZE, bus, nr);
		xdt_release(x, x->dev, PAGE_SIZE, bus, nr);
		nr = xdt_exhaust_atomic(x, x->dev, XDT_SLOT, bus, 2 * XPP_PAGES + 1);
		KUNIT_EXPECT_EQ(test, nr, 2 * XPP_PAGES);
		xdt_check_contents(x, XDT_SLOT, bus, nr);
		xdt_release(x, x->dev, XDT_SLOT, bus, nr);
	}
}

/* Only what is in the pool is found; of pages that have gone, nothing is. */
static void xpp_found(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), *was;
	unsigned int nr, i, k;

	xpp_begin(x);
	was = kunit_kcalloc(test, XPP_PAGES + 1, sizeof(*was), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, was);
	nr = xdt_exhaust(x, x->dev, PAGE_SIZE, bus, XPP_PAGES + 1);
	for (i = 0; i < nr; i++) {
		dma_addr_t next = bus[i] + PAGE_SIZE;

		KUNIT_EXPECT_EQ(test, xen_pool_find(bus[i])->bus, bus[i]);
		KUNIT_EXPECT_EQ(test, xen_pool_find(next - 1)->bus, bus[i]);
		for (k = 0; k < nr && bus[k] != next; k++)
			;
		KUNIT_EXPECT_EQ(test, !!xen_pool_find(next), k < nr);
	}
	memcpy(was, bus, nr * sizeof(*was));
	xdt_release(x, x->dev, PAGE_SIZE, bus, nr);

	/* None of it is to stay. */
	xen_pool_idle = 0;
	xen_pool_max = 0;
	xen_pool_flush_work();
	KUNIT_EXPECT_EQ(test, xdt_total(), 0);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_NULL(test, xen_pool_find(was[i]));
}

static struct kunit_case xpp_cases[] = {
	KUNIT_CASE(xpp_forbidden),
	KUNIT_CASE(xpp_contents),
	KUNIT_CASE(xpp_largest),
	KUNIT_CASE(xpp_exhausted),
	KUNIT_CASE(xpp_found),
	{}
};

static struct kunit_suite xpp_suite = {
	.name = "xen-aperture-pieces",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xpp_cases,
};

kunit_test_suite(xpp_suite);

MODULE_DESCRIPTION("KUnit tests of an aperture of single pages");
MODULE_LICENSE("GPL");
