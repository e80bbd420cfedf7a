// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of small pieces, which come from the pool of the aperture: what it
 * can spare, what is never seen of it, and drivers that are wrong about it.
 */
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/string.h>

#include "../coherent-pool.h"
#include "coherent-fixture.h"

/* Of the pool one of so many parts may be coherent memory. */
#define XDC_SHARE	8

/* Small pieces are the pool's: nothing is exchanged, and nobody waits for it. */
static void xdc_small(struct kunit *test)
{
	static const unsigned int bits[] = { 32, 64 };
	struct xdt *x = test->priv;
	unsigned int order, i;
	unsigned long flags;
	struct xdc_look was;
	struct xdc_mem m;
	bool got;

	xen_coherent_pooled = ULONG_MAX;
	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		x->dev->coherent_dma_mask = DMA_BIT_MASK(bits[i]);
		for (order = bits[i] > 32; order <= 6; order++) {
			xdc_look(&was);
			local_irq_save(flags);
			got = xdc_get(x->dev, &m, PAGE_SIZE << order,
				      GFP_ATOMIC, 0);
			local_irq_restore(flags);
			KUNIT_EXPECT_EQ(test, xdc_pooled(), PAGE_SIZE << order);
			if (!xdc_good(test, &m, got, "a piece of the pool"))
				return;
			xdc_put(&m);
			KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);
			xdc_did(test, &was, 0, 0, 0, "a piece of the pool");
		}
	}
	/* One block stays, for the next. */
	KUNIT_EXPECT_EQ(test, xdt_used(), SZ_256K);
	xen_pooled_trim();
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* What is more than the pool can spare is exchanged, and so is what it must not have. */
static void xdc_share(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int max = x->size / SZ_256K, i, nr, wide;
	struct xdc_mem *m;

	m = kunit_kcalloc(test, max, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	xen_coherent_pooled = ULONG_MAX;
	for (wide = 0; wide < 2; wide++) {
		if (wide)
			x->dev->coherent_dma_mask = DMA_BIT_MASK(64);
		for (nr = 0; nr < max / 4; nr++)
			if (!xdc_take(test, x->dev, &m[nr], SZ_256K, GFP_KERNEL,
				      "many"))
				break;
		KUNIT_EXPECT_LE(test, xdc_pooled(), x->size / (XDC_SHARE << wide));
		KUNIT_EXPECT_GE(test, xdc_pooled(),
				x->size / (XDC_SHARE << wide) - SZ_1M);
		xdc_put_all(test, m, nr);
		KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);
	}

	/* The reserve is for bouncing; and pages may be referred to. */
	x->dev->coherent_dma_mask = DMA_BIT_MASK(24);
	for (i = 0; i < 3; i++) {
		if (i)
			x->dev->coherent_dma_mask = DMA_BIT_MASK(32);
		if (i == 1)
			xdc_get_pages(x->dev, m, SZ_64K, GFP_KERNEL);
		else
			xdc_get(x->dev, m, SZ_64K, GFP_KERNEL,
				i ? DMA_ATTR_NO_KERNEL_MAPPING : 0);
		KUNIT_EXPECT_NOT_NULL(test, m->cpu);
		KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);
		xdc_put(m);
	}
}

/* Pieces of all sizes come and go; none has a byte of another one. */
static void xdc_small_mixed(struct kunit *test)
{
	struct xdt *x = test->priv;
	const unsigned int nr = 48;
	unsigned int round, i;
	struct xdc_mem *m;

	m = kunit_kcalloc(test, nr, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	xen_coherent_pooled = ULONG_MAX;
	for (round = 0; round < 2000; round++) {
		i = xdt_below(&x->rnd, nr);
		if (m[i].cpu)
			xdc_put_all(test, &m[i], 1);
		else if (!xdc_take(test, x->dev, &m[i],
				   PAGE_SIZE << xdt_below(&x->rnd, 5),
				   GFP_KERNEL, "one of many"))
			break;
	}
	for (i = 0; i < nr; i++)
		if (m[i].cpu)
			xdc_put_all(test, &m[i], 1);
	KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);
}

/* What was coherent memory is not shown to a device that it is bounced for next. */
static void xdc_small_is_cleared(struct kunit *test)
{
	struct xdt *x = test->priv;
	size_t size = SZ_256K - SZ_1K;
	struct xdc_mem m;
	dma_addr_t bus;

	xen_coherent_pooled = ULONG_MAX;
	if (!xdc_take(test, x->dev, &m, SZ_256K, GFP_KERNEL, "a piece"))
		return;
	xdc_put(&m);
	xen_pooled_trim();
	bus = xdt_map(x->dev, x->buf, size, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, bus, m.bus);
	KUNIT_EXPECT_EQ(test, 0, xen_machine_peek(bus + size, x->scratch, SZ_1K));
	KUNIT_EXPECT_NULL(test, memchr_inv(x->scratch, 0, SZ_1K));
	xdt_unmap(x->dev, bus, size, DMA_TO_DEVICE, 0);
}

/* A driver that is wrong about a piece of the pool does no harm. */
static void xdc_small_wrong(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m, again, stays;

	xen_coherent_pooled = ULONG_MAX;
	if (!xdc_take(test, x->dev, &stays, SZ_16K, GFP_KERNEL, "stays") ||
	    !xdc_take(test, x->dev, &m, SZ_16K, GFP_KERNEL, "twice"))
		return;
	again = m;
	xdc_put(&m);
	xdc_free(&again);
	KUNIT_EXPECT_EQ(test, xdc_pooled(), SZ_16K);

	if (!xdc_take(test, x->dev, &m, SZ_16K, GFP_KERNEL, "elsewhere"))
		return;
	again = m;
	again.bus += SZ_1M;
	xdc_no_longer(&m);
	xdc_free(&again);
	KUNIT_EXPECT_EQ(test, xdc_pooled(), SZ_16K);
	xdc_put_all(test, &stays, 1);
	KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);
}

/* What somebody has a reference to is nobody else's, until the last one is gone. */
static void xdc_small_referenced(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m, other, all[SZ_256K / SZ_16K];
	unsigned int i, again = 0;
	struct page *page;

	xen_coherent_pooled = ULONG_MAX;
	if (!xdc_take(test, x->dev, &m, SZ_16K, GFP_KERNEL, "referenced"))
		return;
	page = virt_to_page(m.cpu) + 2;
	get_page(page);
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);
	for (i = 0; i < 32; i++) {
		if (!xdc_take(test, x->dev, &other, SZ_16K, GFP_KERNEL, "other"))
			break;
		KUNIT_EXPECT_NE(test, other.bus, m.bus);
		xdc_put(&other);
	}
	put_page(page);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);

	/* When there is no other room, it is used again. */
	for (i = 0; i < SZ_256K / SZ_16K; i++)
		if (!xdc_take(test, x->dev, &all[i], SZ_16K, GFP_KERNEL, "all"))
			return;
	for (i = 0; i < SZ_256K / SZ_16K; i++)
		again += all[i].bus == m.bus;
	KUNIT_EXPECT_EQ(test, again, 1);
	KUNIT_EXPECT_EQ(test, xdt_used(), SZ_256K);
	xdc_put_all(test, all, SZ_256K / SZ_16K);
	KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);

	/* Nobody needs the room, and all of it goes back. */
	if (!xdc_take(test, x->dev, &m, SZ_16K, GFP_KERNEL, "once more"))
		return;
	page = virt_to_page(m.cpu);
	get_page(page);
	xdc_put(&m);
	put_page(page);
	xen_pooled_trim();
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* The domain was restored: what is lent is lent no more, and no piece of the rest is. */
static void xdc_small_moved(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m, other;

	xen_coherent_pooled = ULONG_MAX;
	if (!xdc_take(test, x->dev, &m, SZ_16K, GFP_KERNEL, "moves"))
		return;
	xdc_no_longer(&m);
	xen_machine_place(x->area, x->size >> PAGE_SHIFT, XEN_MACHINE_FREE_MFN);
	KUNIT_EXPECT_EQ(test, xen_pooled_revise(), 4);
	KUNIT_EXPECT_GT(test, xen_pool_revise(), 0);
	xen_pool_flush_resume();
	KUNIT_EXPECT_EQ(test, xdc_pooled(), 0);
	if (!xdc_take(test, x->dev, &other, SZ_16K, GFP_KERNEL, "anew"))
		return;
	xdc_put_all(test, &other, 1);
	xdc_free(&m);
}

/* A list of a piece is mapped where it is, for another device, and is not bounced. */
static void xdc_small_shared(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *other = xdt_device(x, XDC_NOISY, DMA_BIT_MASK(32));
	struct sg_table sgt;
	struct xdc_mem m;

	xen_coherent_pooled = ULONG_MAX;
	if (!xdc_take(test, x->dev, &m, SZ_64K, GFP_KERNEL, "shared"))
		return;
	KUNIT_ASSERT_EQ(test, 0, xen_swiotlb_dma_ops.get_sgtable(x->dev, &sgt, m.cpu,
								 m.bus, m.size, 0));
	KUNIT_EXPECT_EQ(test, 1, xen_swiotlb_dma_ops.map_sg(other, sgt.sgl,
							    sgt.orig_nents,
							    DMA_BIDIRECTIONAL, 0));
	KUNIT_EXPECT_EQ(test, sg_dma_address(sgt.sgl), m.bus);
	xdc_listen();
	xen_swiotlb_dma_ops.sync_sg_for_cpu(other, sgt.sgl, sgt.orig_nents,
					    DMA_BIDIRECTIONAL);
	xen_swiotlb_dma_ops.sync_sg_for_device(other, sgt.sgl, sgt.orig_nents,
					       DMA_BIDIRECTIONAL);
	xen_swiotlb_dma_ops.unmap_sg(other, sgt.sgl, sgt.orig_nents,
				     DMA_BIDIRECTIONAL, 0);
	KUNIT_EXPECT_EQ(test, xdc_said(), 0);
	xdc_stop_listening();
	sg_free_table(&sgt);
	xdc_put_all(test, &m, 1);
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE(xdc_small),
	KUNIT_CASE(xdc_share),
	KUNIT_CASE(xdc_small_mixed),
	KUNIT_CASE(xdc_small_is_cleared),
	KUNIT_CASE(xdc_small_wrong),
	KUNIT_CASE(xdc_small_referenced),
	KUNIT_CASE(xdc_small_shared),
	KUNIT_CASE(xdc_small_moved),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-small",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: small pieces");
MODULE_LICENSE("GPL");
