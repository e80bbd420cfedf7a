// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what can't be had: who gets nothing, what is said of it, what it
 * costs others, and that nothing is lost by it.
 */
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/swap.h>

#include "../refused.h"
#include "../region-release.h"
#include "../regions.h"
#include "coherent-fixture.h"

/* What the hypervisor does not allow is asked for once. */
static void xdc_not_allowed(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m;
	int i;

	xen_machine_fail_exchanges(-EPERM);
	for (i = 0; i < 3; i++) {
		xdc_look(&was);
		xdc_get(x->dev, &m, PAGE_SIZE << (8 + i), GFP_KERNEL, 0);
		KUNIT_EXPECT_NULL(test, m.cpu);
		if (i) {
			struct xdc_look now;

			xdc_look(&now);
			KUNIT_EXPECT_EQ_MSG(test, now.machine.make_calls,
					    was.machine.make_calls,
					    "not allowed, order %d", 8 + i);
		}
	}
	xen_machine_fail_exchanges(0);
	if (xdc_take(test, x->dev, &m, PAGE_SIZE << 7, GFP_KERNEL, "allowed"))
		xdc_put(&m);
	xen_coherent_forget_refusal();
}

/* What can't be helped does not cost others what is kept for them. */
static void xdc_hopeless(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *narrow = xdt_device(x, "dma20", DMA_BIT_MASK(20));
	unsigned long kept;
	struct xdc_mem m[4];
	int i;

	narrow->coherent_dma_mask = DMA_BIT_MASK(20);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << 4, GFP_KERNEL,
			      "kept"))
			return;
	xdc_put_all(test, m, ARRAY_SIZE(m));
	kept = xen_regions_kept();
	KUNIT_EXPECT_EQ(test, kept, ARRAY_SIZE(m) << 4);

	xdc_get(narrow, &m[0], PAGE_SIZE, GFP_KERNEL, 0);
	KUNIT_EXPECT_NULL(test, m[0].cpu);
	KUNIT_EXPECT_EQ_MSG(test, xen_regions_kept(), kept, "too narrow");
	/* What might help is given back, but not each time. */
	xdc_get(x->dev, &m[0], SZ_1G, GFP_KERNEL, 0);
	KUNIT_EXPECT_NULL(test, m[0].cpu);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << 4, GFP_KERNEL,
			      "kept again"))
			return;
	xdc_put_all(test, m, ARRAY_SIZE(m));
	xdc_get(x->dev, &m[0], SZ_1G, GFP_KERNEL, 0);
	KUNIT_EXPECT_NULL(test, m[0].cpu);
	KUNIT_EXPECT_EQ_MSG(test, xen_regions_kept(), kept, "too much, again");

	xdc_not_allowed(test);
}

/* Nobody who may wait gets anything, though each of them has the hypervisor asked. */
static void xdc_refused_order(struct kunit *test, unsigned int order)
{
	struct xdt *x = test->priv;
	struct xdc_look was, now;
	struct xdc_mem m;
	int i;

	xdc_look(&was);
	for (i = 0; i < 4; i++) {
		xdc_get(x->dev, &m, PAGE_SIZE << order, GFP_KERNEL, 0);
		KUNIT_EXPECT_NULL(test, m.cpu);
		xen_coherent_forget_refusal();
	}
	if (order <= MAX_PAGE_ORDER) {
		xdc_get_pages(x->dev, &m, PAGE_SIZE << order, GFP_KERNEL);
		KUNIT_EXPECT_NULL(test, m.cpu);
		xen_coherent_forget_refusal();
		i++;
	}
	xdc_look(&now);
	KUNIT_EXPECT_EQ(test, now.usage.failed, was.usage.failed + i);
	KUNIT_EXPECT_EQ(test, now.usage.made, was.usage.made);
	KUNIT_EXPECT_EQ(test, now.machine.made, was.machine.made);
	KUNIT_EXPECT_GE(test, now.machine.make_calls,
			was.machine.make_calls + i);
}

static void xdc_refused(struct kunit *test)
{
	static const int errs[] = { -ENOMEM, -EPERM, -EINVAL, -EFAULT };
	static const unsigned int orders[] = { 0, 1, 5, MAX_PAGE_ORDER,
					       MAX_PAGE_ORDER + 1 };
	struct xdt *x = test->priv;
	unsigned long free = nr_free_pages();
	struct xdc_mem m;
	int e, o, i;

	for (e = 0; e < ARRAY_SIZE(errs); e++) {
		xen_machine_fail_exchanges(errs[e]);
		for (o = 0; o < ARRAY_SIZE(orders); o++)
			xdc_refused_order(test, orders[o]);
		xen_machine_fail_exchanges(0);
	}

	/* A device for which there is nothing at all. */
	x->dev->coherent_dma_mask = DMA_BIT_MASK(20);
	for (i = 0; i < 64; i++) {
		xdc_get(x->dev, &m, PAGE_SIZE << 5, i % 2 ? GFP_ATOMIC :
							   GFP_KERNEL, 0);
		KUNIT_EXPECT_NULL(test, m.cpu);
	}

	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);
	x->dev->coherent_dma_mask = DMA_BIT_MASK(32);
	if (xdc_take(test, x->dev, &m, PAGE_SIZE << 5, GFP_KERNEL, "afterwards"))
		xdc_put(&m);
}

/* Memory that is not kept comes back, a hundred times over. */
static void xdc_no_leak(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned long free = 0, low = xen_machine_low_used();
	struct xdc_mem m;
	int i;

	xdc_set_bound(0);
	for (i = 0; i < 200; i++) {
		/* What CPUs set aside, they have by now. */
		if (i == 100)
			free = nr_free_pages();
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << 6, GFP_KERNEL,
			      "to be freed"))
			return;
		xdc_put(&m);
		if (i % 20)
			continue;
		if (!xdc_take(test, x->dev, &m, XDC_LARGE, GFP_KERNEL,
			      "large, to be freed"))
			return;
		xdc_put(&m);
	}
	xen_coherent_flush_work();
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
}

/*
 * All that is low is in the cache, in pieces too small. Who may sleep has it given
 * back, and made into something else.
 */
static void xdc_again(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was, now;
	struct xdc_mem m[17];
	int i;

	xen_machine_set_low(SZ_64M, SZ_64M + SZ_1M);
	xdc_look(&was);
	for (i = 0; i < 17; i++)
		xdc_get(x->dev, &m[i], SZ_64K, i % 2 ? GFP_KERNEL : GFP_ATOMIC,
			0);
	KUNIT_EXPECT_NULL(test, m[16].cpu);
	for (i = 0; i < 16; i++)
		xdc_good(test, &m[i], m[i].cpu, "all there is");
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m[16], SZ_64K, GFP_KERNEL,
					 0));
	xdc_look(&now);
	KUNIT_EXPECT_EQ(test, now.usage.made, was.usage.made + 16);
	KUNIT_EXPECT_EQ(test, now.usage.failed, was.usage.failed + 2);
	xdc_put_all(test, m, 16);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), SZ_1M / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), 0);

	xdc_look(&was);
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m[0], SZ_512K, GFP_ATOMIC,
					 0));
	xdc_look(&now);
	KUNIT_EXPECT_EQ(test, now.machine.give_calls, was.machine.give_calls);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), SZ_1M / PAGE_SIZE);

	if (xdc_take(test, x->dev, &m[0], SZ_512K, GFP_KERNEL, "made of it"))
		xdc_put(&m[0]);
	xdc_look(&now);
	KUNIT_EXPECT_EQ(test, now.usage.made, was.usage.made + 1);
	KUNIT_EXPECT_EQ(test, now.usage.hits, was.usage.hits);
	KUNIT_EXPECT_EQ(test, now.usage.failed, was.usage.failed + 1);
	KUNIT_EXPECT_GE(test, now.usage.returned, was.usage.returned + 8);
	KUNIT_EXPECT_LE(test, xen_regions_kept(), SZ_1M / PAGE_SIZE);
}

/* All that is low is in the cache, in pieces too large: a part is made of them. */
static void xdc_parts(struct kunit *test)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	struct xdt *x = test->priv;
	struct xdc_mem m[2] = {};
	struct page *page;
	dma_addr_t bus;

	xen_machine_set_low(SZ_64M, SZ_64M + SZ_1M);
	if (!xdc_take(test, x->dev, &m[0], SZ_512K, GFP_KERNEL, "to be kept") ||
	    !xdc_take(test, x->dev, &m[1], SZ_512K, GFP_KERNEL, "to be kept"))
		return;
	xdc_put_all(test, m, 2);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), 0);

	page = xen_coherent_alloc_exact(x->dev, SZ_64K, &bus, gfp);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_LT(test, bus, (u64)SZ_64M + SZ_1M);
	xen_coherent_free_pages(x->dev, SZ_64K, page, bus, DMA_BIDIRECTIONAL);
}

static void xdc_message(struct kunit *test)
{
	const struct dma_map_ops *ops = &xen_swiotlb_dma_ops;
	struct xdt *x = test->priv;
	struct device *dev = xdt_device(x, XDC_NOISY, DMA_BIT_MASK(32));
	dma_addr_t bus;

	xen_machine_fail_exchanges(-ENOMEM);
	xdc_listen();

	KUNIT_EXPECT_NULL(test, ops->alloc(dev, SZ_64K, &bus, GFP_KERNEL, 0));
	KUNIT_EXPECT_EQ(test, xdc_said(), 1);
	KUNIT_EXPECT_NULL(test, ops->alloc(dev, SZ_64K, &bus, GFP_ATOMIC, 0));
	KUNIT_EXPECT_EQ(test, xdc_said(), 1);
	KUNIT_EXPECT_NULL(test, ops->alloc_pages_op(dev, SZ_64K, &bus,
						    DMA_TO_DEVICE, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, xdc_said(), 1);

	KUNIT_EXPECT_NULL(test, ops->alloc(dev, SZ_64K, &bus, GFP_KERNEL,
					   DMA_ATTR_NO_WARN));
	KUNIT_EXPECT_NULL(test, ops->alloc(dev, SZ_64K, &bus,
					   GFP_KERNEL | __GFP_NOWARN, 0));
	KUNIT_EXPECT_NULL(test, ops->alloc_pages_op(dev, SZ_64K, &bus,
						    DMA_TO_DEVICE,
						    GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_EQ(test, xdc_said(), 0);

	xdc_stop_listening();
	xen_machine_fail_exchanges(0);
}

static int xdc_map_list(struct device *dev, u8 *buf, size_t size,
			enum dma_data_direction dir)
{
	struct scatterlist sg[2];
	int nr;

	sg_init_table(sg, 2);
	sg_set_buf(&sg[0], buf, PAGE_SIZE);
	sg_set_buf(&sg[1], buf + PAGE_SIZE, size - PAGE_SIZE);
	nr = xen_swiotlb_dma_ops.map_sg(dev, sg, 2, dir, DMA_ATTR_NO_WARN);
	if (nr > 0)
		xen_swiotlb_dma_ops.unmap_sg(dev, sg, 2, dir, 0);
	return nr;
}

/* What takes the place of coherent memory must not be a copy, as long as there is none. */
static void xdc_substitute(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *other = xdt_device(x, "other", DMA_BIT_MASK(32));
	struct device *wide = xdt_device(x, "wide", DMA_BIT_MASK(32));
	u64 mask = DMA_BIT_MASK(64), *was = wide->dma_mask;
	size_t size = SZ_512K;
	struct xdc_mem m;

	xen_machine_fail_exchanges(-ENOMEM);
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m, size - 1, GFP_KERNEL, 0));
	KUNIT_EXPECT_GT(test, xdc_map_list(x->dev, x->buf, size, DMA_TO_DEVICE), 0);
	KUNIT_EXPECT_GT(test, xdc_map_list(x->dev, x->buf, size - PAGE_SIZE,
					   DMA_BIDIRECTIONAL), 0);
	KUNIT_EXPECT_GT(test, xdc_map_list(other, x->buf, size, DMA_BIDIRECTIONAL), 0);
	KUNIT_EXPECT_EQ(test, xdc_map_list(x->dev, x->buf, size, DMA_BIDIRECTIONAL), -EIO);
	KUNIT_EXPECT_EQ(test, xdc_map_list(x->dev, x->buf, size, DMA_BIDIRECTIONAL), -EIO);
	xen_refusals_age(XEN_REFUSAL_AGE + 1);
	KUNIT_EXPECT_GT(test, xdc_map_list(x->dev, x->buf, size, DMA_BIDIRECTIONAL), 0);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);

	/* An interrupt's failure is not the task's. */
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m, size, GFP_ATOMIC, 0));
	KUNIT_EXPECT_GT(test, xdc_map_list(x->dev, x->buf, size, DMA_BIDIRECTIONAL), 0);

	/* Nor is a part's, which is not mapped. */
	KUNIT_EXPECT_NULL(test, xen_coherent_alloc_exact(x->dev, size, &m.bus,
							 GFP_KERNEL | __GFP_NOWARN));
	KUNIT_EXPECT_GT(test, xdc_map_list(x->dev, x->buf, size, DMA_BIDIRECTIONAL), 0);

	/* In place it is as good, and ends it. (KUnit's devices have one mask for both.) */
	wide->dma_mask = &mask;
	KUNIT_EXPECT_FALSE(test, xdc_get(wide, &m, size, GFP_KERNEL, 0));
	xen_machine_place(x->buf, size >> PAGE_SHIFT, XDT_FRAME);
	KUNIT_EXPECT_GT(test, xdc_map_list(wide, x->buf, size, DMA_BIDIRECTIONAL), 0);
	wide->dma_mask = was;
	KUNIT_EXPECT_GT(test, xdc_map_list(wide, x->buf, size, DMA_BIDIRECTIONAL), 0);
	xen_machine_fail_exchanges(0);
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE(xdc_hopeless),
	KUNIT_CASE(xdc_refused),
	KUNIT_CASE(xdc_substitute),
	KUNIT_CASE(xdc_message),
	KUNIT_CASE(xdc_no_leak),
	KUNIT_CASE(xdc_again),
	KUNIT_CASE(xdc_parts),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-failing",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: what can't be had");
MODULE_LICENSE("GPL");
