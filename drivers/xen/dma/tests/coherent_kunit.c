// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of coherent memory: what a device is given, what is kept of it and
 * for whom, when it goes back to the hypervisor, and what happens when that
 * refuses.
 *
 * The tests look at the memory from both sides, as the CPU and as the device,
 * and at the calls that the hypervisor gets: what the cache serves costs none.
 * The fixture, the seed and the scale of long tests are those of
 * aperture_kunit.c.
 */
#include <linux/anon_inodes.h>
#include <linux/bitmap.h>
#include <linux/console.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mman.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/shrinker.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/xen/page.h>

#include "../coherent-pool.h"
#include "../coherent.h"
#include "../params.h"
#include "../region-release.h"
#include "../regions.h"
#include "fixture.h"

/* Enough for whatever a case leaves there. */
#define XDC_CACHE	SZ_256M

/* What the hypervisor has above the pages, when it has something there. */
#define XDC_HIGH_START	SZ_8G
#define XDC_HIGH_END	((u64)SZ_8G + SZ_1G)

/* Larger than any block of the page allocator. */
#define XDC_LARGE	(PAGE_SIZE << (MAX_PAGE_ORDER + 1))

/* Free pages that CPUs may have set aside; what leaks is to be more. */
#define XDC_TOLERANCE	4096

/* Of the pool one of so many parts may be coherent memory. */
#define XDC_SHARE	8

/**
 * struct xdc_mem - memory that a device has
 * @dev:	the device
 * @size:	bytes that it asked for
 * @attrs:	and how
 * @is_page:	whether it is of dma_alloc_pages()
 * @cpu:	address, page or cookie; NULL for none
 * @bus:	bus address
 * @key:	pattern that both sides last left in it
 */
struct xdc_mem {
	struct device *dev;
	size_t size;
	unsigned long attrs;
	bool is_page;
	void *cpu;
	dma_addr_t bus;
	u32 key;
};

/* What the driver and the machine have counted. */
struct xdc_look {
	struct xen_coherent_usage usage;
	struct xen_machine_counts machine;
};

/* Pages that live, each in one allocation. */
static unsigned long *xdc_live;
static unsigned long xdc_bound;
static u64 xdc_used;

static void xdc_look(struct xdc_look *look)
{
	xen_coherent_usage(&look->usage);
	xen_machine_counts(&look->machine);
}

/* Compares with what an earlier look has seen, and looks anew. */
static void xdc_did(struct kunit *test, struct xdc_look *was,
		    unsigned long hits, unsigned long made,
		    unsigned long returned, const char *what)
{
	struct xdc_look now;

	xdc_look(&now);
	KUNIT_EXPECT_EQ_MSG(test, now.usage.hits - was->usage.hits, hits,
			    "%s: served by the cache", what);
	KUNIT_EXPECT_EQ_MSG(test, now.usage.made - was->usage.made, made,
			    "%s: counted as made", what);
	KUNIT_EXPECT_EQ_MSG(test, now.machine.make_calls -
			    was->machine.make_calls, made,
			    "%s: exchanged, or tried to", what);
	KUNIT_EXPECT_EQ_MSG(test, now.usage.returned - was->usage.returned,
			    returned, "%s: counted as given back", what);
	KUNIT_EXPECT_EQ_MSG(test, now.machine.given - was->machine.given,
			    returned, "%s: given back", what);
	*was = now;
}

static u64 xdc_cached(void)
{
	struct xen_coherent_usage usage;

	xen_coherent_usage(&usage);
	return usage.cached;
}

static void xdc_set_bound(unsigned long bytes)
{
	WRITE_ONCE(xen_coherent_cache, bytes);
	xen_coherent_flush_work();
}

/* Nothing to do is SHRINK_STOP or nothing done. */
static unsigned long xdc_shrink(unsigned long nr)
{
	unsigned long done = xen_coherent_shrink(nr);

	return done == SHRINK_STOP ? 0 : done;
}

static unsigned long xdc_shrink_all(void)
{
	xen_coherent_flush_work();
	return xdc_shrink(xen_regions_kept());
}

static bool xdc_get(struct device *dev, struct xdc_mem *m, size_t size,
		    gfp_t gfp, unsigned long attrs)
{
	*m = (struct xdc_mem) {
		.dev = dev,
		.size = size,
		.attrs = attrs,
	};
	m->cpu = xen_swiotlb_dma_ops.alloc(dev, size, &m->bus, gfp,
					   attrs | DMA_ATTR_NO_WARN);
	return m->cpu;
}

static bool xdc_get_pages(struct device *dev, struct xdc_mem *m, size_t size,
			  gfp_t gfp)
{
	*m = (struct xdc_mem) {
		.dev = dev,
		.size = size,
		.is_page = true,
	};
	m->cpu = xen_swiotlb_dma_ops.alloc_pages_op(dev, size, &m->bus,
						    DMA_BIDIRECTIONAL,
						    gfp | __GFP_NOWARN);
	return m->cpu;
}

static unsigned long xdc_pages(const struct xdc_mem *m)
{
	return PFN_UP(m->size);
}

/* Its pages may be anybody's again. */
static void xdc_no_longer(const struct xdc_mem *m)
{
	unsigned long i;

	for (i = 0; i < xdc_pages(m); i++) {
		unsigned long pfn = xen_machine_pfn(PHYS_PFN(m->bus) + i);

		if (pfn < xen_p2m_size)
			clear_bit(pfn, xdc_live);
	}
}

static void xdc_free(struct xdc_mem *m)
{
	if (m->is_page)
		xen_swiotlb_dma_ops.free_pages(m->dev, m->size, m->cpu, m->bus,
					       DMA_BIDIRECTIONAL);
	else
		xen_swiotlb_dma_ops.free(m->dev, m->size, m->cpu, m->bus,
					 m->attrs);
	m->cpu = NULL;
}

static void xdc_put(struct xdc_mem *m)
{
	xdc_no_longer(m);
	xdc_free(m);
}

/* Where the CPU has the memory, if anywhere. */
static void *xdc_cpu(const struct xdc_mem *m)
{
	if (m->is_page)
		return page_address(m->cpu);
	return m->attrs & DMA_ATTR_NO_KERNEL_MAPPING ? NULL : m->cpu;
}

static unsigned long xdc_pfn(const void *cpu)
{
	return is_vmalloc_addr(cpu) ? vmalloc_to_pfn(cpu) :
				      PHYS_PFN(__pa(cpu));
}

static u64 xdc_limit(struct device *dev)
{
	return min_not_zero(dev->coherent_dma_mask, dev->bus_dma_limit);
}

/*
 * What is wrong with memory that was just allocated, NULL for nothing. All pages
 * of it may come to be seen, so all of their bytes must be zero.
 */
static const char *xdc_fault(const struct xdc_mem *m, u8 *scratch)
{
	size_t bytes = PAGE_ALIGN(m->size), done, piece;
	void *cpu = xdc_cpu(m);
	unsigned long i;

	if (!IS_ALIGNED(m->bus, roundup_pow_of_two(bytes)))
		return "not aligned";
	if (m->bus + bytes - 1 > xdc_limit(m->dev))
		return "beyond what the device can address";

	for (i = 0; i < xdc_pages(m); i++) {
		unsigned long mfn = PHYS_PFN(m->bus) + i;
		unsigned long pfn = xen_machine_pfn(mfn);

		if (pfn == ULONG_MAX || xen_machine_mfn(pfn) != mfn)
			return "no memory for the device";
		if (cpu && xdc_pfn(cpu + i * PAGE_SIZE) != pfn)
			return "other memory for the device than for the CPU";
		if (test_and_set_bit(pfn, xdc_live))
			return "memory given out twice";
	}

	for (done = 0; done < bytes; done += piece) {
		piece = min_t(size_t, bytes - done, XDT_PIECE);
		xen_machine_peek(m->bus + done, scratch, piece);
		if (memchr_inv(scratch, 0, piece))
			return "not zero";
	}

	return NULL;
}

/* Both sides write and read. What stays is the device's, in all of the pages. */
static const char *xdc_use(struct xdc_mem *m, u32 key, u8 *scratch)
{
	size_t bytes = PAGE_ALIGN(m->size);
	void *cpu = xdc_cpu(m);

	if (cpu) {
		xdt_fill(cpu, key + 1, 0, m->size);
		if (xdt_dev_differs(scratch, m->bus, key + 1, 0, m->size) >= 0)
			return "the device reads other bytes";
	}
	m->key = key;
	if (xdt_dev_fill(m->bus, key, 0, bytes))
		return "the device can't write";
	if (cpu && xdt_differs(cpu, key, 0, bytes) >= 0)
		return "the CPU reads other bytes";

	return NULL;
}

/* Nobody else has written there. */
static const char *xdc_lost(const struct xdc_mem *m, u8 *scratch)
{
	size_t bytes = PAGE_ALIGN(m->size);
	void *cpu = xdc_cpu(m);

	if (xdt_dev_differs(scratch, m->bus, m->key, 0, bytes) >= 0)
		return "the device's bytes changed";
	if (cpu && xdt_differs(cpu, m->key, 0, bytes) >= 0)
		return "the CPU's bytes changed";
	return NULL;
}

/* After an allocation: looks at the memory and uses it. */
static bool xdc_good(struct kunit *test, struct xdc_mem *m, bool got,
		     const char *what)
{
	struct xdt *x = test->priv;
	const char *why = "refused";

	if (got)
		why = xdc_fault(m, x->scratch);
	if (!why)
		why = xdc_use(m, xdt_below(&x->rnd, XDT_PERIOD), x->scratch);
	if (why)
		KUNIT_FAIL(test, "%s: %zu bytes at %pad, mask %#llx: %s", what,
			   m->size, &m->bus, xdc_limit(m->dev), why);
	return !why;
}

static bool xdc_take(struct kunit *test, struct device *dev, struct xdc_mem *m,
		     size_t size, gfp_t gfp, const char *what)
{
	return xdc_good(test, m, xdc_get(dev, m, size, gfp, 0), what);
}

/* Does a list of the memory name each of its pages, in the order of the bus? */
static const char *xdc_list_fault(const struct xdc_mem *m)
{
	struct sg_page_iter iter;
	const char *why = "fine";
	struct sg_table sgt;
	unsigned long n = 0;

	if (xen_swiotlb_dma_ops.get_sgtable(m->dev, &sgt, m->cpu, m->bus,
					    m->size, m->attrs))
		return "no list";

	for_each_sgtable_page(&sgt, &iter, 0) {
		unsigned long pfn = page_to_pfn(sg_page_iter_page(&iter));

		if (n < xdc_pages(m) &&
		    xen_machine_mfn(pfn) != PHYS_PFN(m->bus) + n)
			why = "the list has other pages";
		n++;
	}
	sg_free_table(&sgt);
	if (n != xdc_pages(m))
		why = "the list is not as long as the memory";

	return why;
}

/* Puts all of an array, and says whether each had kept its bytes. */
static void xdc_put_all(struct kunit *test, struct xdc_mem *m, unsigned int nr)
{
	struct xdt *x = test->priv;
	const char *why;

	for (; nr; m++, nr--) {
		if (!m->cpu)
			continue;
		why = xdc_lost(m, x->scratch);
		if (why)
			KUNIT_FAIL(test, "%zu bytes at %pad: %s", m->size,
				   &m->bus, why);
		xdc_put(m);
	}
}

static bool xdc_among(const struct xdc_mem *m, const struct xdc_mem *others,
		      unsigned int nr)
{
	while (nr--)
		if (others[nr].bus == m->bus)
			return true;
	return false;
}

/* One more device; no two have the same name. */
static struct device *xdc_device(struct kunit *test, unsigned int nr,
				 unsigned int bits)
{
	char *name = kunit_kzalloc(test, 32, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, name);
	snprintf(name, 32, "xdc-%u-%u", nr, bits);
	return xdt_device(test->priv, name, DMA_BIT_MASK(bits));
}

static void xdc_empty(void)
{
	xdc_set_bound(0);
	xdc_shrink_all();
}

static int xdc_init(struct kunit *test)
{
	struct xen_coherent_usage usage;
	int rc;

	xdc_bound = xen_coherent_cache;
	/* Most cases are about what is exchanged. */
	xen_coherent_pooled = 0;
	xdc_empty();
	rc = xdt_init(test);
	if (rc)
		return rc;

	xdc_live = bitmap_zalloc(xen_p2m_size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, xdc_live);
	xdc_set_bound(XDC_CACHE);
	xen_coherent_usage(&usage);
	xdc_used = usage.used;
	return 0;
}

/* Whatever a case did, nothing is left of it. */
static void xdc_exit(struct kunit *test)
{
	struct xen_coherent_usage usage;

	xen_machine_fail_exchanges(0);
	xen_coherent_forget_refusal();
	xdc_empty();
	xen_coherent_usage(&usage);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, usage.cached, 0);
	KUNIT_EXPECT_EQ(test, usage.used, xdc_used);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(xdc_live, xen_p2m_size));

	bitmap_free(xdc_live);
	WRITE_ONCE(xen_coherent_cache, xdc_bound);
	xen_coherent_pooled = ULONG_MAX;
	xen_pooled_forget();
	xdt_exit(test);
}

/* The hypervisor refuses in every test of this suite. */
static int xdc_refusing_init(struct kunit *test)
{
	xen_coherent_forget_refusal();
	return xdc_init(test);
}

/* What devices are given. */

static const struct xdc_width {
	u64 mask;
	unsigned int max_order;
} xdc_widths[] = {
	{ DMA_BIT_MASK(24), MAX_PAGE_ORDER },
	{ DMA_BIT_MASK(28), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(30), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(31), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(32), MAX_PAGE_ORDER + 3 },
	{ DMA_BIT_MASK(36), MAX_PAGE_ORDER + 1 },
	{ DMA_BIT_MASK(64), MAX_PAGE_ORDER + 3 },
};

static void xdc_width_desc(const struct xdc_width *w, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u bits", fls64(w->mask));
}

KUNIT_ARRAY_PARAM(xdc_widths, xdc_widths, xdc_width_desc);

/*
 * One size: the first time it takes an exchange, then the cache serves it. A page
 * for a device that reaches everything is any page.
 */
static void xdc_one_size(struct kunit *test, struct device *dev, size_t size,
			 bool first)
{
	unsigned long kept = xen_regions_kept();
	unsigned int order = get_order(size);
	bool any_page = !order && dev->coherent_dma_mask > DMA_BIT_MASK(32);
	struct xdc_look was;
	struct xdc_mem m;

	xdc_look(&was);
	if (!xdc_take(test, dev, &m, size, GFP_KERNEL, "a size"))
		return;
	xdc_did(test, &was, !first && !any_page, first && !any_page, 0,
		first ? "the first time" : "again");
	if (!any_page)
		KUNIT_EXPECT_EQ(test, was.usage.used,
				xdc_used + (PAGE_SIZE << order));
	if (!first)
		kept -= any_page ? 0 : BIT(order);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), kept);

	xdc_put(&m);
	xen_coherent_flush_work();
	xdc_did(test, &was, 0, 0, 0, "freeing");
	KUNIT_EXPECT_EQ(test, was.machine.give_calls, 0);
	if (!any_page)
		kept += BIT(order);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), kept);
	KUNIT_EXPECT_EQ(test, xdc_cached(), PFN_PHYS((u64)kept));
	KUNIT_EXPECT_EQ(test, was.usage.used, xdc_used);
}

static void xdc_orders(struct kunit *test)
{
	const struct xdc_width *w = test->param_value;
	struct xdt *x = test->priv;
	unsigned int order;

	x->dev->coherent_dma_mask = w->mask;
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);

	for (order = 0; order <= w->max_order; order++) {
		size_t size = PAGE_SIZE << order;

		xdc_one_size(test, x->dev, size, true);
		xdc_one_size(test, x->dev, size / 2 + 1, false);
		if (order <= MAX_PAGE_ORDER)
			xdc_one_size(test, x->dev, size - 1, false);
		if (test->status != KUNIT_SUCCESS)
			return;
	}
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(),
			BIT(order) - 1 - (w->mask > DMA_BIT_MASK(32)));
}

static const struct xdc_limit_case {
	u64 mask;
	u64 bus;
} xdc_limits[] = {
	{ 0xbfffffff, 0 },
	{ DMA_BIT_MASK(32), 0xbfffffff },
	{ DMA_BIT_MASK(64), 0xbfffffff },
	{ DMA_BIT_MASK(64), 0x9fffffff },
	{ 0x5fffffff, DMA_BIT_MASK(32) },
	{ 0x02ffffff, 0 },
	{ 0xfffffffe, 0 },
	{ DMA_BIT_MASK(64), 0x1bfffffff },
	{ 0x27fffffff, 0 },
	{ DMA_BIT_MASK(28), 0xbfffffff },
};

static void xdc_limit_desc(const struct xdc_limit_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "mask %#llx, bus %#llx", c->mask,
		 c->bus);
}

KUNIT_ARRAY_PARAM(xdc_limits, xdc_limits, xdc_limit_desc);

/* Limits that are no width: neither exchanges nor the cache go beyond. */
static void xdc_odd_limits(struct kunit *test)
{
	const struct xdc_limit_case *c = test->param_value;
	static const unsigned int orders[] = { 0, 1, 3, 3, 6, 3 };
	struct xdt *x = test->priv;
	struct device *dev32 = xdc_device(test, 0, 32);
	struct device *dev64 = xdc_device(test, 1, 64);
	struct xdc_mem other[8], m[ARRAY_SIZE(orders)] = {};
	struct xdc_look was;
	int i;

	xen_machine_set_low(SZ_1M, SZ_4G);
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);

	/* The cache has what is mostly out of reach. */
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		if (!xdc_take(test, i % 2 ? dev64 : dev32, &other[i],
			      PAGE_SIZE << 3, GFP_KERNEL, "others"))
			return;
	}
	KUNIT_EXPECT_GT(test, other[0].bus, (u64)SZ_1G + SZ_2G);
	KUNIT_EXPECT_GE(test, other[1].bus, SZ_8G);
	xdc_put_all(test, other, ARRAY_SIZE(other));

	x->dev->coherent_dma_mask = c->mask;
	x->dev->bus_dma_limit = c->bus;
	xdc_look(&was);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		xdc_take(test, x->dev, &m[i], PAGE_SIZE << orders[i],
			 GFP_KERNEL, "an odd limit");

	/* In the cache nothing is below 3 GiB, so these are all new. */
	if (xdc_limit(x->dev) < DMA_BIT_MASK(32) - 1) {
		xdc_did(test, &was, 0, ARRAY_SIZE(m), 0, "an odd limit");
		KUNIT_EXPECT_EQ(test, xen_regions_kept(),
				ARRAY_SIZE(other) << 3);
	}
	xdc_put_all(test, m, ARRAY_SIZE(m));

	/* The same once more, now from the cache. */
	xdc_look(&was);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		xdc_take(test, x->dev, &m[i], PAGE_SIZE << orders[i],
			 GFP_KERNEL, "an odd limit again");
	if (xdc_limit(x->dev) < DMA_BIT_MASK(32))
		xdc_did(test, &was, ARRAY_SIZE(m), 0, 0, "again");
	xdc_put_all(test, m, ARRAY_SIZE(m));
}

/*
 * A page allocator's block that happens to suit is taken as it is, and is not
 * kept. Which block comes is not up to the test.
 */
static void xdc_suits(struct kunit *test)
{
	const unsigned int order = 3, nr = 8;
	struct xdt *x = test->priv;
	struct xdc_look was;
	unsigned int suited = 0, i;
	struct xdc_mem m;
	void *block;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(34);
	for (i = 0; i < nr; i++) {
		block = (void *)__get_free_pages(GFP_KERNEL, order);
		KUNIT_ASSERT_NOT_NULL(test, block);
		xen_machine_place(block, BIT(order), XEN_MACHINE_FREE_MFN);
		memset(block, 0xa5, PAGE_SIZE << order);
		free_pages((unsigned long)block, order);

		xdc_look(&was);
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << order, GFP_KERNEL,
			      "contiguous as it is"))
			return;
		if (m.cpu == block) {
			suited++;
			xdc_did(test, &was, 0, 0, 0, "contiguous as it is");
			xdc_put(&m);
			KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
		} else {
			xdc_put(&m);
			xdc_shrink_all();
		}
	}
	if (!suited)
		kunit_skip(test, "the page allocator had other blocks");
}

/* Several sizes live side by side. */
static void xdc_together(struct kunit *test)
{
	static const unsigned int bits[] = { 24, 28, 30, 31, 32, 36, 64 };
	const unsigned int nr = 7 * ARRAY_SIZE(bits);
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem *m;
	unsigned int i, round;
	u64 used = 0;

	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	m = kunit_kcalloc(test, nr, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);

	for (round = 0; round < 3; round++) {
		xdc_look(&was);
		used = 0;
		for (i = 0; i < nr; i++) {
			unsigned int order = 1 + i % 7;

			x->dev->coherent_dma_mask =
				DMA_BIT_MASK(bits[i / 7]);
			if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << order,
				      GFP_KERNEL, "side by side"))
				break;
			used += PAGE_SIZE << order;
		}
		if (round)
			xdc_did(test, &was, nr, 0, 0, "all of it again");
		else
			xdc_did(test, &was, 0, nr, 0, "all of it");
		KUNIT_EXPECT_EQ(test, was.usage.used, xdc_used + used);
		xdc_put_all(test, m, nr);
		KUNIT_EXPECT_EQ(test, xdc_cached(), used);
	}
}

/* What comes from dma_alloc_pages() is contiguous for the CPU too. */
static void xdc_page_ops(struct kunit *test)
{
	static const unsigned int bits[] = { 24, 32, 64 };
	struct xdt *x = test->priv;
	unsigned int i, order;
	struct xdc_look was;
	struct xdc_mem m;
	bool got;

	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		x->dev->coherent_dma_mask = DMA_BIT_MASK(bits[i]);
		for (order = 1; order <= MAX_PAGE_ORDER; order++) {
			xdc_look(&was);
			got = xdc_get_pages(x->dev, &m, PAGE_SIZE << order,
					    GFP_KERNEL);
			if (!xdc_good(test, &m, got, "pages"))
				return;
			xdc_did(test, &was, 0, 1, 0, "pages");
			xdc_put(&m);
			KUNIT_EXPECT_EQ(test, xen_regions_kept(),
					BIT(order));

			/* Either kind of memory can be the other later. */
			if (!xdc_take(test, x->dev, &m, PAGE_SIZE << order,
				      GFP_KERNEL, "no longer pages"))
				return;
			xdc_put(&m);
			got = xdc_get_pages(x->dev, &m, PAGE_SIZE << order,
					    GFP_ATOMIC);
			if (!xdc_good(test, &m, got, "pages again"))
				return;
			xdc_did(test, &was, 2, 0, 0, "pages again");
			xdc_put(&m);
			KUNIT_EXPECT_EQ(test, xdc_shrink_all(), BIT(order));
		}
	}

	/* A page for whoever reaches all is any page. */
	xdc_look(&was);
	got = xdc_get_pages(x->dev, &m, PAGE_SIZE, GFP_KERNEL);
	if (!xdc_good(test, &m, got, "any page"))
		return;
	xdc_put(&m);
	xdc_did(test, &was, 0, 0, 0, "any page");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);

	/* Pages from anywhere are no such memory, however they are kept. */
	x->dev->coherent_dma_mask = DMA_BIT_MASK(32);
	if (!xdc_take(test, x->dev, &m, XDC_LARGE, GFP_KERNEL, "a large one"))
		return;
	xdc_put(&m);
	if (xdc_get_pages(x->dev, &m, XDC_LARGE, GFP_KERNEL)) {
		xdc_good(test, &m, true, "large pages");
		xdc_put(&m);
	}
	xen_machine_fail_exchanges(-ENOMEM);
	if (xdc_get_pages(x->dev, &m, PAGE_SIZE << 3, GFP_ATOMIC)) {
		xdc_good(test, &m, true, "pages of a large one");
		xdc_put(&m);
	}
	xen_machine_fail_exchanges(0);
}

/* Whom the cache serves. */

struct xdc_cached_widths {
	struct device *dev[5];
	struct xdc_mem m[5];
};

static const unsigned int xdc_cached_bits[] = { 24, 28, 30, 32, 34 };

#define XDC_FIT_ORDER	3
#define XDC_FIT_SIZE	(PAGE_SIZE << XDC_FIT_ORDER)

/* One region of each width in the cache, and a device for each. */
static bool xdc_cache_widths(struct kunit *test, struct xdc_cached_widths *c)
{
	int i;

	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	for (i = 0; i < 5; i++) {
		unsigned int bits = xdc_cached_bits[i];

		if (!c->dev[i])
			c->dev[i] = xdc_device(test, i, bits);
		if (!xdc_take(test, c->dev[i], &c->m[i], XDC_FIT_SIZE,
			      GFP_KERNEL, "to be kept"))
			return false;
		KUNIT_EXPECT_EQ(test, bits,
				fls64(c->m[i].bus + XDC_FIT_SIZE - 1));
	}
	for (i = 0; i < 5; i++)
		xdc_put(&c->m[i]);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 5 << XDC_FIT_ORDER);
	return true;
}

/*
 * Device @i takes as long as the cache is meant to serve it: first the widest
 * region in its reach, down to @lowest. Then there is an exchange.
 */
static void xdc_expect_fits(struct kunit *test, struct xdc_cached_widths *c,
			    int i, int lowest)
{
	struct xdc_mem m[5];
	struct xdc_look was;
	int w, n = 0;

	for (w = i; w >= lowest; w--) {
		xdc_look(&was);
		if (!xdc_take(test, c->dev[i], &m[n], XDC_FIT_SIZE, GFP_KERNEL,
			      "one that fits"))
			goto out;
		xdc_did(test, &was, 1, 0, 0, "one that fits");
		KUNIT_EXPECT_EQ_MSG(test, m[n].bus, c->m[w].bus,
				    "%u bits: wants the one of %u bits",
				    xdc_cached_bits[i], xdc_cached_bits[w]);
		n++;
	}

	xdc_look(&was);
	if (!xdc_take(test, c->dev[i], &m[n], XDC_FIT_SIZE, GFP_KERNEL,
		      "none that fits"))
		goto out;
	xdc_did(test, &was, 0, 1, 0, "none that fits");
	n++;
out:
	while (n--)
		xdc_put(&m[n]);
	xdc_shrink_all();
}

static void xdc_best_fit(struct kunit *test)
{
	struct xdc_cached_widths *c;
	int i;

	c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);

	for (i = 0; i < 5; i++) {
		/* 24 bits: 24; up to 32 bits: above 24; others: above 32. */
		static const int lowest[] = { 0, 1, 1, 1, 4 };

		xdt_restart(test->priv, SZ_1M, (u64)SZ_1G + SZ_2G);
		if (!xdc_cache_widths(test, c))
			return;
		xdc_expect_fits(test, c, i, lowest[i]);
	}
}

/* The order is what counts as long as there are exchanges. */
static void xdc_only_its_order(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem large, m;
	struct xdc_look was;
	int order;

	if (!xdc_take(test, x->dev, &large, PAGE_SIZE << 5, GFP_KERNEL,
		      "to be kept"))
		return;
	xdc_put(&large);

	for (order = 4; order >= 0; order--) {
		xdc_look(&was);
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << order, GFP_KERNEL,
			      "a smaller one"))
			return;
		xdc_did(test, &was, 0, 1, 0, "a smaller one");
		xdc_put(&m);
	}
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 63);
}

/* When there is nothing else, better memory than needed will do. */
static void xdc_better_than_none(struct kunit *test)
{
	struct xdc_cached_widths *c;
	struct xdc_mem m[6] = {};
	struct xdc_look was;
	int i;

	c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, c);
	if (!xdc_cache_widths(test, c))
		return;

	xen_machine_fail_exchanges(-ENOMEM);
	xdc_look(&was);

	/* A narrow device has its own, and no other. */
	for (i = 0; i < 2; i++)
		xdc_get(c->dev[0], &m[i], XDC_FIT_SIZE, GFP_ATOMIC, 0);
	xdc_good(test, &m[0], m[0].cpu, "the narrowest");
	KUNIT_EXPECT_EQ(test, m[0].bus, c->m[0].bus);
	KUNIT_EXPECT_NULL(test, m[1].cpu);
	xdc_put(&m[0]);

	/* A wide one has all. */
	for (i = 0; i < 6; i++)
		xdc_get(c->dev[4], &m[i], XDC_FIT_SIZE, GFP_ATOMIC, 0);
	for (i = 0; i < 5; i++)
		xdc_good(test, &m[i], m[i].cpu, "any");
	KUNIT_EXPECT_NULL(test, m[5].cpu);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_put_all(test, m, 5);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 5 << XDC_FIT_ORDER);

	/* In process context too, before anything goes back. */
	if (xdc_good(test, &m[0], xdc_get(c->dev[2], &m[0], XDC_FIT_SIZE,
					  GFP_KERNEL, 0), "a good one"))
		xdc_put(&m[0]);
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 5 << XDC_FIT_ORDER);

	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 5 << XDC_FIT_ORDER);
	xdc_did(test, &was, 0, 0, 4, "those below 4 GiB go back");
}

/* A limit inside a width: what is of that width, but in reach, will do too. */
static void xdc_odd_is_enough(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m;
	dma_addr_t bus;

	if (!xdc_take(test, x->dev, &m, PAGE_SIZE << 2, GFP_KERNEL,
		      "to be kept"))
		return;
	bus = m.bus;
	KUNIT_EXPECT_GT(test, bus, SZ_2G);
	KUNIT_EXPECT_LT(test, bus, 0xbfffffff);
	xdc_put(&m);

	xen_machine_fail_exchanges(-ENOMEM);
	x->dev->coherent_dma_mask = bus - 1;
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m, PAGE_SIZE << 2,
					 GFP_ATOMIC, 0));
	x->dev->coherent_dma_mask = 0xbfffffff;
	if (xdc_take(test, x->dev, &m, PAGE_SIZE << 2, GFP_ATOMIC,
		     "below 3 GiB")) {
		KUNIT_EXPECT_EQ(test, m.bus, bus);
		xdc_put(&m);
	}
	xen_machine_fail_exchanges(0);
}

static void xdc_larger_than_none(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m[3] = {};
	struct xdc_look was;
	int i;

	for (i = 0; i < 2; i++) {
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << (2 + 3 * i),
			      GFP_KERNEL, "to be kept"))
			return;
	}
	xdc_put_all(test, m, 2);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 4 + 32);

	xen_machine_fail_exchanges(-ENOMEM);
	xdc_look(&was);
	for (i = 0; i < 2; i++)
		xdc_take(test, x->dev, &m[i], PAGE_SIZE << 2, GFP_ATOMIC,
			 "larger if need be");
	KUNIT_EXPECT_FALSE(test, xdc_get(x->dev, &m[2], PAGE_SIZE << 6,
					 GFP_ATOMIC, 0));
	xdc_put_all(test, m, 2);
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 4 + 32);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 4 + 32);
}

/* How much is kept. */

#define XDC_BOUND_ORDER	4
#define XDC_BOUND_SIZE	(PAGE_SIZE << XDC_BOUND_ORDER)

static void xdc_bounded(struct kunit *test)
{
	struct xdc_mem m[5], again[3];
	struct xdt *x = test->priv;
	unsigned long low = xen_machine_low_used();
	struct xdc_look was;
	int i;

	for (i = 0; i < 5; i++) {
		if (!xdc_take(test, x->dev, &m[i], XDC_BOUND_SIZE, GFP_KERNEL,
			      "to be freed"))
			return;
	}
	xdc_set_bound(3 * XDC_BOUND_SIZE);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_look(&was);
	for (i = 0; i < 3; i++)
		xdc_put(&m[i]);
	xen_coherent_flush_work();
	xdc_did(test, &was, 0, 0, 0, "up to the bound");
	KUNIT_EXPECT_EQ(test, xdc_cached(), 3 * XDC_BOUND_SIZE);

	/* The oldest two go. */
	xdc_put(&m[3]);
	xdc_put(&m[4]);
	xen_coherent_flush_work();
	xdc_did(test, &was, 0, 0, 2, "over the bound");
	KUNIT_EXPECT_EQ(test, xdc_cached(), 3 * XDC_BOUND_SIZE);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(),
			low + (3 << XDC_BOUND_ORDER));
	for (i = 0; i < 3; i++) {
		xdc_take(test, x->dev, &again[i], XDC_BOUND_SIZE, GFP_KERNEL,
			 "kept");
		KUNIT_EXPECT_TRUE(test, xdc_among(&again[i], &m[2], 3));
	}
	xdc_did(test, &was, 3, 0, 0, "kept");

	/* Age is counted from the last time that it was freed. */
	xdc_put(&again[2]);
	xdc_put(&again[0]);
	xdc_put(&again[1]);
	xdc_set_bound(2 * XDC_BOUND_SIZE - 1);
	xdc_did(test, &was, 0, 0, 2, "a lower bound");
	KUNIT_EXPECT_EQ(test, xdc_cached(), XDC_BOUND_SIZE);
	xdc_take(test, x->dev, &m[0], XDC_BOUND_SIZE, GFP_KERNEL, "the newest");
	KUNIT_EXPECT_EQ(test, m[0].bus, again[1].bus);
	xdc_did(test, &was, 1, 0, 0, "the newest");

	/* Nothing is kept, but once there is a bound again, it is. */
	xdc_set_bound(0);
	xdc_put(&m[0]);
	xen_coherent_flush_work();
	xdc_did(test, &was, 0, 0, 1, "no bound");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low);
	xdc_take(test, x->dev, &m[0], XDC_BOUND_SIZE, GFP_KERNEL, "anew");
	xdc_did(test, &was, 0, 1, 0, "anew");
	xdc_set_bound(XDC_BOUND_SIZE);
	xdc_put(&m[0]);
	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xdc_cached(), XDC_BOUND_SIZE);

	/* All of that comes by itself, sooner or later. */
	xdc_take(test, x->dev, &m[0], XDC_BOUND_SIZE, GFP_KERNEL, "one");
	xdc_take(test, x->dev, &m[1], XDC_BOUND_SIZE, GFP_KERNEL, "another");
	xdc_put(&m[0]);
	xdc_put(&m[1]);
	for (i = 0; i < 10 * HZ && xdc_cached() > XDC_BOUND_SIZE; i++)
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_EQ(test, xdc_cached(), XDC_BOUND_SIZE);

	/* What alone is larger than the bound doesn't stay. */
	xdc_take(test, x->dev, &m[0], 2 * XDC_BOUND_SIZE, GFP_KERNEL, "large");
	xdc_put(&m[0]);
	xen_coherent_flush_work();
	KUNIT_EXPECT_LE(test, xdc_cached(), XDC_BOUND_SIZE);
}

static void xdc_shrinker(struct kunit *test)
{
	unsigned long low = xen_machine_low_used();
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m[4];
	int i;

	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xdc_shrink(1), 0);
	KUNIT_EXPECT_EQ(test, xdc_shrink(ULONG_MAX), 0);

	for (i = 0; i < 4; i++) {
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << (3 + i),
			      GFP_KERNEL, "to be kept"))
			return;
	}
	/* From 32 pages up, then 8 and 16. */
	for (i = 0; i < 4; i++)
		xdc_put(&m[(i + 2) % 4]);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 120);
	xdc_look(&was);

	KUNIT_EXPECT_EQ(test, xdc_shrink(1), 32);
	xdc_did(test, &was, 0, 0, 1, "one page");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 88);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low + 88);

	KUNIT_EXPECT_EQ(test, xdc_shrink(64), 64);
	xdc_did(test, &was, 0, 0, 1, "as much as the oldest");
	KUNIT_EXPECT_EQ(test, xdc_shrink(9), 24);
	xdc_did(test, &was, 0, 0, 2, "a page more than the oldest");
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xdc_cached(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low);
	KUNIT_EXPECT_EQ(test, xdc_shrink(1), 0);
	xdc_did(test, &was, 0, 0, 0, "nothing");
	KUNIT_EXPECT_EQ(test, was.usage.kept, 0);
}

/* Without any setting there is a bound, but one that is worth having. */
static void xdc_default_bound(struct kunit *test)
{
	const size_t size = PAGE_SIZE << MAX_PAGE_ORDER;
	const unsigned int nr = PFN_PHYS(totalram_pages()) / 8 / size + 1;
	struct xdt *x = test->priv;
	struct xdc_mem *m;
	unsigned int i;

	m = kunit_kcalloc(test, nr, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	xdc_set_bound(xdc_bound);
	for (i = 0; i < nr; i++)
		xdc_get(x->dev, &m[i], size, GFP_KERNEL, 0);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_NOT_NULL(test, m[i].cpu);
		if (m[i].cpu)
			xdc_put(&m[i]);
	}
	xen_coherent_flush_work();
	KUNIT_EXPECT_GE(test, xdc_cached(), 2 * size);
	KUNIT_EXPECT_LT(test, xdc_cached(), nr * size);
}

/* Who lacks memory gets that of the cache. */
static void xdc_pressure(struct kunit *test)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN;
	const unsigned int nr = 64;
	struct xdt *x = test->priv;
	struct page *page, *next;
	unsigned long kept;
	struct xdc_mem *m;
	LIST_HEAD(pages);
	unsigned int i;

	m = kunit_kcalloc(test, nr, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	for (i = 0; i < nr; i++) {
		if (!xdc_take(test, x->dev, &m[i], SZ_256K, GFP_KERNEL,
			      "to be kept"))
			return;
	}
	xdc_put_all(test, m, nr);
	kept = xen_regions_kept();
	KUNIT_EXPECT_EQ(test, kept, SZ_16M / PAGE_SIZE);

	while (xen_regions_kept() == kept) {
		page = alloc_page(gfp);
		if (!page)
			break;
		list_add(&page->lru, &pages);
	}
	KUNIT_EXPECT_LT(test, xen_regions_kept(), kept);
	list_for_each_entry_safe(page, next, &pages, lru)
		__free_page(page);
}

/*
 * The hypervisor has no use for what lies above 4 GiB: that only goes to the page
 * allocator. Who comes next may find it as it is.
 */
static void xdc_high_goes(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m[8];
	unsigned long free;
	int i;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(64);
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	free = nr_free_pages();
	for (i = 0; i < ARRAY_SIZE(m); i++) {
		if (!xdc_take(test, x->dev, &m[i], PAGE_SIZE << MAX_PAGE_ORDER,
			      GFP_KERNEL, "above 4 GiB"))
			return;
		KUNIT_EXPECT_GE(test, m[i].bus, SZ_4G);
	}
	xdc_put_all(test, m, ARRAY_SIZE(m));

	xdc_look(&was);
	for (i = ARRAY_SIZE(m); i--; ) {
		KUNIT_EXPECT_EQ(test, xdc_shrink(1), BIT(MAX_PAGE_ORDER));
		KUNIT_EXPECT_EQ(test, xen_regions_kept(),
				i << MAX_PAGE_ORDER);
	}
	xdc_did(test, &was, 0, 0, 0, "above 4 GiB");
	KUNIT_EXPECT_EQ(test, was.machine.give_calls, 0);
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);
}

/* Where nothing may sleep. */

#define XDC_ATOMIC_ORDERS	7

static void xdc_atomic(struct kunit *test)
{
	const struct xdc_width *w = test->param_value;
	bool wide = w->mask > DMA_BIT_MASK(32);
	struct xdc_mem m[XDC_ATOMIC_ORDERS];
	struct xdt *x = test->priv;
	struct xdc_look was, freed;
	unsigned long flags;
	int i, round;

	x->dev->coherent_dma_mask = w->mask;
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);

	for (round = 0; round < 3; round++) {
		xdc_look(&was);
		local_irq_save(flags);
		for (i = 0; i < XDC_ATOMIC_ORDERS; i++)
			xdc_get(x->dev, &m[i], PAGE_SIZE << i, GFP_ATOMIC, 0);
		local_irq_restore(flags);

		for (i = 0; i < XDC_ATOMIC_ORDERS; i++)
			xdc_good(test, &m[i], m[i].cpu, "interrupts off");
		xdc_did(test, &was, round ? XDC_ATOMIC_ORDERS - wide : 0,
			round ? 0 : XDC_ATOMIC_ORDERS - wide, 0,
			"interrupts off");

		/* The last time all is to go, but not at once. */
		if (round == 2)
			WRITE_ONCE(xen_coherent_cache, 0);
		local_irq_save(flags);
		xdc_look(&was);
		for (i = 0; i < XDC_ATOMIC_ORDERS; i++)
			if (m[i].cpu)
				xdc_put(&m[i]);
		if (round == 2)
			xdc_look(&freed);
		local_irq_restore(flags);
		if (round < 2)
			xdc_did(test, &was, 0, 0, 0, "freed, interrupts off");
	}

	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_did(test, &was, 0, 0, wide ? 0 : XDC_ATOMIC_ORDERS, "the work");
}

/* There is nothing to wait for, and nothing to give back and try again. */
static void xdc_atomic_refused(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was, now;
	struct xdc_mem m;
	unsigned long flags;
	int order;

	xen_machine_fail_exchanges(-ENOMEM);
	for (order = 0; order <= MAX_PAGE_ORDER + 1; order++) {
		xdc_look(&was);
		local_irq_save(flags);
		xdc_get(x->dev, &m, PAGE_SIZE << order, GFP_ATOMIC, 0);
		local_irq_restore(flags);
		xdc_look(&now);
		KUNIT_EXPECT_NULL(test, m.cpu);
		KUNIT_EXPECT_EQ(test, now.usage.failed, was.usage.failed + 1);
		KUNIT_EXPECT_EQ(test, now.usage.used, xdc_used);
	}
	xen_machine_fail_exchanges(0);
}

/* More than the page allocator has in one piece. */

static void xdc_large(struct kunit *test)
{
	const size_t size = XDC_LARGE / 2 + PAGE_SIZE + 1;
	const unsigned long pages = PHYS_PFN(XDC_LARGE);
	struct xdt *x = test->priv;
	struct xdc_look was;
	unsigned long flags;
	struct xdc_mem m;
	void *cpu;

	/* The atomic caller can't have a new one. */
	local_irq_save(flags);
	xdc_get(x->dev, &m, size, GFP_ATOMIC, 0);
	local_irq_restore(flags);
	KUNIT_EXPECT_NULL(test, m.cpu);

	xdc_look(&was);
	if (!xdc_take(test, x->dev, &m, size, GFP_KERNEL, "large"))
		return;
	xdc_did(test, &was, 0, 1, 0, "large");
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	cpu = m.cpu;

	local_irq_save(flags);
	xdc_put(&m);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), pages);

	local_irq_save(flags);
	xdc_get(x->dev, &m, XDC_LARGE, GFP_ATOMIC, 0);
	local_irq_restore(flags);
	if (!xdc_good(test, &m, m.cpu, "a large one that was kept"))
		return;
	xdc_did(test, &was, 1, 0, 0, "kept");
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	xdc_put(&m);

	/* With nothing kept, freeing leaves all to the work. */
	WRITE_ONCE(xen_coherent_cache, 0);
	xdc_look(&was);
	xdc_take(test, x->dev, &m, size, GFP_KERNEL, "again");
	local_irq_save(flags);
	xdc_put(&m);
	local_irq_restore(flags);
	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_did(test, &was, 1, 0, 1, "not kept");
	KUNIT_EXPECT_EQ(test, was.usage.used, xdc_used);
	if (is_vmalloc_addr(cpu))
		KUNIT_EXPECT_NULL(test, find_vm_area(cpu));
}

/* Pages from everywhere: the page allocator has only single ones at hand. */
static void xdc_scattered(struct kunit *test)
{
	const unsigned long nr = 4 * PHYS_PFN(XDC_LARGE);
	struct xdt *x = test->priv;
	unsigned long i, jumps = 0;
	struct page **pages;
	struct xdc_mem m;
	bool got;

	pages = vcalloc(nr, sizeof(*pages));
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < nr; i++)
		pages[i] = alloc_page(GFP_KERNEL);
	for (i = 1; i < nr; i += 2)
		if (pages[i])
			__free_page(pages[i]);

	got = xdc_get(x->dev, &m, XDC_LARGE, GFP_KERNEL,
		      DMA_ATTR_ALLOC_SINGLE_PAGES);
	for (i = 0; i < nr; i += 2)
		if (pages[i])
			__free_page(pages[i]);
	vfree(pages);

	if (!xdc_good(test, &m, got, "single pages"))
		return;
	for (i = 1; i < xdc_pages(&m); i++)
		jumps += xdc_pfn(m.cpu + i * PAGE_SIZE) !=
			 xdc_pfn(m.cpu + (i - 1) * PAGE_SIZE) + 1;
	KUNIT_EXPECT_GT(test, jumps, xdc_pages(&m) / 2);
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	xdc_put(&m);

	/* As good as any when it comes to another device, and goes back. */
	if (!xdc_take(test, x->dev, &m, XDC_LARGE, GFP_ATOMIC, "again"))
		return;
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), PHYS_PFN(XDC_LARGE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

/* Without a mapping there is a cookie, and whoever has it can have the rest. */
static void xdc_not_mapped(struct kunit *test)
{
	static const size_t sizes[] = {
		PAGE_SIZE, 5 * PAGE_SIZE, XDC_LARGE / 2 + PAGE_SIZE,
		XDC_LARGE * 2,
	};
	const unsigned long attrs = DMA_ATTR_NO_KERNEL_MAPPING;
	struct xdt *x = test->priv;
	struct xdc_look was;
	unsigned long flags;
	struct xdc_mem m;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned int order = get_order(sizes[i]);

		xdc_look(&was);
		if (!xdc_good(test, &m, xdc_get(x->dev, &m, sizes[i],
						GFP_KERNEL, attrs),
			      "not mapped"))
			return;
		xdc_did(test, &was, 0, 1, 0, "not mapped");
		KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
		if (order > MAX_PAGE_ORDER)
			KUNIT_EXPECT_EQ(test, page_to_pfn((struct page *)m.cpu),
					xen_machine_pfn(PHYS_PFN(m.bus)));
		xdc_put(&m);
		KUNIT_EXPECT_EQ(test, xen_regions_kept(), BIT(order));

		/* What is mapped on demand can't be so here. */
		local_irq_save(flags);
		xdc_get(x->dev, &m, sizes[i], GFP_ATOMIC, 0);
		local_irq_restore(flags);
		if (m.cpu) {
			xdc_good(test, &m, true, "mapped, or not given");
			xdc_put(&m);
		}
		KUNIT_EXPECT_EQ(test, xen_regions_kept(), BIT(order));

		xdc_look(&was);
		if (!xdc_take(test, x->dev, &m, sizes[i], GFP_KERNEL,
			      "mapped later"))
			return;
		xdc_did(test, &was, 1, 0, 0, "mapped later");
		KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
		xdc_put(&m);

		if (!xdc_good(test, &m, xdc_get(x->dev, &m, sizes[i],
						GFP_ATOMIC, attrs),
			      "not mapped again"))
			return;
		xdc_did(test, &was, 1, 0, 0, "not mapped again");
		KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
		xdc_put(&m);
		KUNIT_EXPECT_EQ(test, xdc_shrink_all(), BIT(order));
	}
}

/* User space. */

static int xdc_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct xdc_mem *m = file->private_data;

	return xen_swiotlb_dma_ops.mmap(m->dev, vma, m->cpu, m->bus, m->size,
					m->attrs);
}

static const struct file_operations xdc_file_ops = {
	.mmap = xdc_file_mmap,
};

/* Maps @pages of the memory from page @first on; returns what vm_mmap() does. */
static unsigned long xdc_user_map(struct kunit *test, struct xdc_mem *m,
				  unsigned long first, unsigned long pages)
{
	unsigned long addr;
	struct file *file;

	file = anon_inode_getfile("xdc", &xdc_file_ops, m, O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	addr = vm_mmap(file, 0, PFN_PHYS(pages), PROT_READ | PROT_WRITE,
		       MAP_SHARED, PFN_PHYS(first));
	fput(file);
	return addr;
}

static void xdc_user(struct kunit *test, size_t size, unsigned long attrs)
{
	struct xdt *x = test->priv;
	unsigned long pages = PFN_UP(size), first, i, addr;
	struct page *page;
	struct xdc_mem m;

	if (!xdc_good(test, &m, xdc_get(x->dev, &m, size, GFP_KERNEL, attrs),
		      "for the user"))
		return;

	for (first = 0; first < pages; first = 2 * first + 1) {
		addr = xdc_user_map(test, &m, first, pages - first);
		if (IS_ERR_VALUE(addr)) {
			KUNIT_FAIL(test, "%zu bytes from page %lu: error %ld",
				   size, first, (long)addr);
			break;
		}
		for (i = first; i < pages; i++) {
			u8 __user *p = (void __user *)addr +
				       PFN_PHYS(i - first);

			if (copy_from_user(x->scratch, p, PAGE_SIZE) ||
			    xdt_differs(x->scratch, m.key, PFN_PHYS(i),
					PAGE_SIZE) >= 0) {
				KUNIT_FAIL(test, "%zu bytes: user reads other bytes in page %lu",
					   size, i);
				break;
			}
			xdt_fill(x->scratch, m.key + 1, PFN_PHYS(i), PAGE_SIZE);
			KUNIT_EXPECT_EQ(test, 0, copy_to_user(p, x->scratch,
							      PAGE_SIZE));
		}
		KUNIT_EXPECT_EQ(test, -1,
				xdt_dev_differs(x->scratch,
						m.bus + PFN_PHYS(first),
						m.key + 1, PFN_PHYS(first),
						PFN_PHYS(pages - first)));
		/* Nobody can keep it when it has been freed. */
		KUNIT_EXPECT_LT(test, get_user_pages_fast(addr, 1, FOLL_WRITE,
							  &page), 1);
		vm_munmap(addr, PFN_PHYS(pages - first));
		xdt_dev_fill(m.bus, m.key, 0, PFN_PHYS(pages));
	}

	/* No page beyond the end. */
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(xdc_user_map(test, &m, 0,
							  pages + 1)));
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(xdc_user_map(test, &m, pages,
							  1)));
	xdc_put(&m);
}

static void xdc_mmap(struct kunit *test)
{
	struct xdt *x = test->priv;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	xdc_user(test, PAGE_SIZE, 0);
	xdc_user(test, 5 * PAGE_SIZE - 7, 0);
	xdc_user(test, PAGE_SIZE << MAX_PAGE_ORDER, 0);
	xdc_user(test, XDC_LARGE / 2 + PAGE_SIZE, 0);
	xdc_user(test, XDC_LARGE / 2 + PAGE_SIZE, DMA_ATTR_NO_KERNEL_MAPPING);
	xdc_user(test, 3 * PAGE_SIZE, DMA_ATTR_NO_KERNEL_MAPPING);
	x->dev->coherent_dma_mask = DMA_BIT_MASK(64);
	xdc_user(test, PAGE_SIZE, 0);
}

/* A page that somebody still has a reference to is nobody else's, and stays. */
static void xdc_referenced(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 1, 5, MAX_PAGE_ORDER,
					       MAX_PAGE_ORDER + 1 };
	struct xdt *x = test->priv;
	unsigned int o, i;

	for (o = 0; o < ARRAY_SIZE(orders); o++) {
		size_t size = PAGE_SIZE << orders[o];
		struct xdc_mem m, other[4];
		unsigned long pfn, mfn;
		struct page *page;

		if (!xdc_take(test, x->dev, &m, size, GFP_KERNEL, "shared"))
			return;
		/* Only large memory has counts of its own in each page. */
		pfn = xdc_pfn(m.cpu + (size > PAGE_SIZE << MAX_PAGE_ORDER ?
				       size / 2 : 0));
		mfn = xen_machine_mfn(pfn);
		page = pfn_to_page(pfn);
		get_page(page);
		xdc_put(&m);

		set_bit(pfn, xdc_live);
		for (i = 0; i < ARRAY_SIZE(other); i++)
			if (!xdc_take(test, x->dev, &other[i], size, GFP_KERNEL,
				      "another's"))
				break;
		while (i--)
			xdc_put(&other[i]);
		xdc_shrink_all();
		KUNIT_EXPECT_EQ_MSG(test, xen_machine_mfn(pfn), mfn,
				    "order %u", orders[o]);
		KUNIT_EXPECT_EQ_MSG(test, page_count(page), 1, "order %u",
				    orders[o]);
		clear_bit(pfn, xdc_live);
		put_page(page);
	}
}

/* What a caller who can't wait for a mapping may have is not behind what he may not. */
static void xdc_mapped_first(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem mapped, other, m;
	unsigned long flags;

	if (!xdc_take(test, x->dev, &mapped, XDC_LARGE, GFP_KERNEL, "mapped") ||
	    !xdc_good(test, &other,
		      xdc_get(x->dev, &other, XDC_LARGE, GFP_KERNEL,
			      DMA_ATTR_NO_KERNEL_MAPPING), "not mapped"))
		return;
	xdc_put(&mapped);
	xdc_put(&other);

	local_irq_save(flags);
	xdc_get(x->dev, &m, XDC_LARGE, GFP_ATOMIC, 0);
	local_irq_restore(flags);
	if (xdc_good(test, &m, m.cpu, "mapped already"))
		xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 2 * PHYS_PFN(XDC_LARGE));
}

/* A wide device finds again what it freed, also where Xen has nothing but low memory. */
static void xdc_wide_is_kept(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m;
	int i;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(64);
	xdc_look(&was);
	for (i = 0; i < 20; i++) {
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << 4, GFP_KERNEL,
			      "wide"))
			return;
		xdc_put(&m);
	}
	xdc_did(test, &was, 19, 1, 0, "wide, where all is low");
}

/* What nobody uses goes, what is used stays. */
static void xdc_ages(struct kunit *test)
{
	unsigned int idle = xen_pool_idle;
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m;

	xen_pool_idle = 3600;
	if (!xdc_take(test, x->dev, &m, SZ_1M, GFP_KERNEL, "aged"))
		return;
	xdc_put(&m);
	xdc_look(&was);
	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_1M);
	xdc_did(test, &was, 0, 0, 0, "not aged");

	/* Lost to all would be what the hypervisor has nothing better for. */
	xen_pool_idle = 0;
	xen_machine_fail_exchanges(-ENOMEM);
	xen_coherent_flush_work();
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_1M);
	xdc_did(test, &was, 0, 0, 0, "aged, but refused");
	xen_coherent_forget_refusal();

	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xdc_cached(), 0);
	xdc_did(test, &was, 0, 0, 1, "aged");
	xen_pool_idle = idle;
}

/* Of what goes back in part nothing is kept: its pages are no longer contiguous. */
static void xdc_ages_in_part(struct kunit *test)
{
	unsigned int idle = xen_pool_idle, i;
	struct xdt *x = test->priv;
	struct xdc_mem m;

	xen_pool_idle = 0;
	for (i = 0; i < 2; i++) {
		if (!xdc_take(test, x->dev, &m, SZ_256K, GFP_KERNEL, "new"))
			break;
		xdc_put(&m);
		if (i)
			xen_machine_give_part(3);
		else
			xen_machine_only_low(true);
		xen_coherent_flush_work();
		xen_machine_give_part(64);
		xen_machine_only_low(false);
		KUNIT_EXPECT_EQ_MSG(test, xdc_cached(), 0, "round %u", i);
		xen_coherent_forget_refusal();
		if (!xdc_take(test, x->dev, &m, SZ_256K, GFP_KERNEL, "again"))
			break;
		xdc_put(&m);
		xen_coherent_flush_work();
	}
	xen_pool_idle = idle;
}

static u64 xdc_pooled(void)
{
	struct xen_coherent_usage usage;

	xen_coherent_usage(&usage);
	return usage.pooled;
}

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

/* What somebody has a reference to is nobody else's, for good. */
static void xdc_small_referenced(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m, other;
	struct page *page;
	unsigned int i;

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

/* The domain was restored: nobody is given an address from before. */
static void xdc_moved(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_mem m[3];
	struct xdc_look was;
	unsigned int i;
	void *kept;

	for (i = 0; i < ARRAY_SIZE(m); i++)
		if (!xdc_take(test, x->dev, &m[i], SZ_256K, GFP_KERNEL, "new"))
			return;
	kept = m[0].cpu;
	xdc_put(&m[0]);
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xen_regions_revise(), 0);
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_256K);

	/* One is kept, one used, and one has its frames still. */
	xdc_no_longer(&m[1]);
	xen_machine_place(kept, SZ_256K >> PAGE_SHIFT, XEN_MACHINE_FREE_MFN);
	xen_machine_place(m[1].cpu, SZ_256K >> PAGE_SHIFT,
			  XEN_MACHINE_FREE_MFN + 1000);
	KUNIT_EXPECT_EQ(test, xen_regions_revise(), SZ_256K >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, xdc_cached(), 0);
	xdc_free(&m[1]);
	xdc_put(&m[2]);
	KUNIT_EXPECT_EQ(test, xdc_cached(), SZ_256K);
	/* What was exchanged for them is no longer theirs. */
	xdc_did(test, &was, 0, 0, 0, "moved");
	xdc_take(test, x->dev, &m[0], SZ_256K, GFP_KERNEL, "kept");
	xdc_take(test, x->dev, &m[1], SZ_256K, GFP_KERNEL, "new again");
	xdc_put_all(test, m, 2);
}

/* What can't be helped does not cost others what is kept for them. */
static void xdc_hopeless(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *narrow = xdt_device(x, "dma20", DMA_BIT_MASK(20));
	unsigned long kept;
	struct xdc_mem m[4];
	struct xdc_look was;
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

	/* What the hypervisor does not allow is asked for once. */
	xen_machine_fail_exchanges(-EPERM);
	for (i = 0; i < 3; i++) {
		xdc_look(&was);
		xdc_get(x->dev, &m[0], PAGE_SIZE << (8 + i), GFP_KERNEL, 0);
		KUNIT_EXPECT_NULL(test, m[0].cpu);
		if (i) {
			struct xdc_look now;

			xdc_look(&now);
			KUNIT_EXPECT_EQ_MSG(test, now.machine.make_calls,
					    was.machine.make_calls,
					    "not allowed, order %d", 8 + i);
		}
	}
	xen_machine_fail_exchanges(0);
	if (xdc_take(test, x->dev, &m[0], PAGE_SIZE << 7, GFP_KERNEL, "allowed"))
		xdc_put(&m[0]);
	xen_coherent_forget_refusal();
}

/* When the hypervisor refuses. */

static void xdc_refused(struct kunit *test)
{
	static const int errs[] = { -ENOMEM, -EPERM, -EINVAL, -EFAULT };
	static const unsigned int orders[] = { 0, 1, 5, MAX_PAGE_ORDER,
					       MAX_PAGE_ORDER + 1 };
	struct xdt *x = test->priv;
	unsigned long free = nr_free_pages();
	struct xdc_look was, now;
	struct xdc_mem m;
	int e, o, i;

	for (e = 0; e < ARRAY_SIZE(errs); e++) {
		xen_machine_fail_exchanges(errs[e]);
		for (o = 0; o < ARRAY_SIZE(orders); o++) {
			xdc_look(&was);
			for (i = 0; i < 4; i++) {
				xdc_get(x->dev, &m, PAGE_SIZE << orders[o],
					GFP_KERNEL, 0);
				KUNIT_EXPECT_NULL(test, m.cpu);
				xen_coherent_forget_refusal();
			}
			if (orders[o] <= MAX_PAGE_ORDER) {
				xdc_get_pages(x->dev, &m,
					      PAGE_SIZE << orders[o],
					      GFP_KERNEL);
				KUNIT_EXPECT_NULL(test, m.cpu);
				xen_coherent_forget_refusal();
				i++;
			}
			xdc_look(&now);
			KUNIT_EXPECT_EQ(test, now.usage.failed,
					was.usage.failed + i);
			KUNIT_EXPECT_EQ(test, now.usage.made, was.usage.made);
			KUNIT_EXPECT_EQ(test, now.machine.made,
					was.machine.made);
			KUNIT_EXPECT_GE(test, now.machine.make_calls,
					was.machine.make_calls + i);
		}
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

/* Messages about a device. */
static atomic_t xdc_messages;

#define XDC_NOISY	"noisy-device"

static void xdc_console_write(struct console *con, const char *s,
			      unsigned int count)
{
	if (strnstr(s, XDC_NOISY, count) && strnstr(s, "xen_swiotlb", count))
		atomic_inc(&xdc_messages);
}

static struct console xdc_console = {
	.name = "xdc",
	.write = xdc_console_write,
	.flags = CON_ENABLED,
	.index = -1,
};

/* Who may be printing does so before it lets go of the lock. */
static int xdc_said(void)
{
	console_lock();
	console_unlock();
	return atomic_xchg(&xdc_messages, 0);
}

/* Until it is unregistered; that forgets how it was. */
static void xdc_listen(void)
{
	xdc_console.index = -1;
	xdc_console.flags = CON_ENABLED;
	register_console(&xdc_console);
	xdc_said();
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

	unregister_console(&xdc_console);
	xen_machine_fail_exchanges(0);
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
	unregister_console(&xdc_console);
	sg_free_table(&sgt);
	xdc_put_all(test, &m, 1);
}

/* All of the machine as it was, and the hypervisor is thought able again. */
static void xdc_begin_again(struct kunit *test)
{
	struct xdt *x = test->priv;

	xdt_restart(x, SZ_1M, (u64)SZ_1G + SZ_2G);
	xen_coherent_forget_refusal();
}

/* One region in the cache, of a device with @bits. */
static bool xdc_keep(struct kunit *test, unsigned int bits, unsigned int order)
{
	struct xdt *x = test->priv;
	struct xdc_mem m;

	x->dev->coherent_dma_mask = DMA_BIT_MASK(bits);
	if (!xdc_take(test, x->dev, &m, PAGE_SIZE << order, GFP_KERNEL,
		      "to be kept"))
		return false;
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), BIT(order));
	return true;
}

/*
 * The hypervisor has only low memory. One call shows it; the pages are freed
 * whatever their frames, and for a while it isn't asked again.
 */
static void xdc_no_better(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdc_look was, now;
	unsigned long low;
	struct xdc_mem m;
	int round;

	for (round = 0; round < 2; round++) {
		xdc_begin_again(test);
		low = xen_machine_low_used();
		if (!xdc_take(test, x->dev, &m, PAGE_SIZE << 7, GFP_KERNEL,
			      "for later") || !xdc_keep(test, 32, 8))
			return;
		xen_machine_only_low(true);
		xdc_look(&was);
		KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 256);
		xdc_look(&now);
		KUNIT_EXPECT_EQ(test, now.machine.give_calls,
				was.machine.give_calls + 1);
		KUNIT_EXPECT_EQ(test, now.usage.kept, was.usage.kept + 1);
		KUNIT_EXPECT_EQ(test, now.usage.returned, was.usage.returned);
		KUNIT_EXPECT_EQ(test, now.usage.cached, 0);

		xdc_put(&m);
		KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 128);
		KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
		KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low + 384);
		xdc_look(&was);
		KUNIT_EXPECT_EQ(test, now.machine.give_calls,
				was.machine.give_calls);
		KUNIT_EXPECT_EQ(test, now.usage.returned, was.usage.returned);
	}

	/* What is narrow can still be traded for what is wide. */
	xdc_begin_again(test);
	xen_machine_only_low(true);
	if (!xdc_keep(test, 28, 8))
		return;
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 256);
	xdc_did(test, &was, 0, 0, 1, "from 28 bits to 32");

	/* And when there is high memory again, all is as before. */
	xen_machine_only_low(false);
	if (!xdc_keep(test, 32, 8))
		return;
	low = xen_machine_low_used();
	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), 256);
	xdc_did(test, &was, 0, 0, 1, "high memory again");
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low - 256);
}

enum xdc_refusal { XDC_FIRST_STEP, XDC_THIRD_STEP, XDC_PART, XDC_ALWAYS };

/* A part goes back, or none, and the rest is memory like any other. */
static void xdc_given_in_part(struct kunit *test, enum xdc_refusal refusal,
			      unsigned int order, unsigned long expect)
{
	unsigned long low, free;
	struct xdc_look was, now;

	xdc_begin_again(test);
	free = nr_free_pages();
	if (!xdc_keep(test, 32, order))
		return;
	low = xen_machine_low_used();

	switch (refusal) {
	case XDC_FIRST_STEP:
		xen_machine_fail_after(0, -ENOMEM, false);
		break;
	case XDC_THIRD_STEP:
		xen_machine_fail_after(2, -EPERM, false);
		break;
	case XDC_PART:
		xen_machine_give_part(3);
		break;
	case XDC_ALWAYS:
		xen_machine_fail_exchanges(-EINVAL);
		break;
	}

	xdc_look(&was);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), BIT(order));
	xdc_look(&now);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), low - expect);
	KUNIT_EXPECT_EQ(test, now.usage.kept, was.usage.kept + 1);
	KUNIT_EXPECT_EQ(test, now.usage.returned, was.usage.returned);
	KUNIT_EXPECT_EQ(test, now.usage.cached, 0);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);

	xen_machine_fail_exchanges(0);
	xen_machine_give_part(64);
}

static void xdc_giving_fails(struct kunit *test)
{
	static const unsigned int orders[] = { 8, MAX_PAGE_ORDER + 1 };
	int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		xdc_given_in_part(test, XDC_FIRST_STEP, orders[i], 0);
		xdc_given_in_part(test, XDC_THIRD_STEP, orders[i], 128);
		xdc_given_in_part(test, XDC_PART, orders[i], 3);
		xdc_given_in_part(test, XDC_ALWAYS, orders[i], 0);
	}
}

/* Memory of several kinds lives and dies, whatever of it can be had. */
static void xdc_a_life(struct kunit *test, bool large)
{
	static const struct {
		unsigned int bits;
		unsigned int order;
		gfp_t gfp;
	} kinds[] = {
		{ 32, 0, GFP_KERNEL },
		{ 24, 3, GFP_ATOMIC },
		{ 30, 7, GFP_KERNEL },
		{ 34, 2, GFP_KERNEL },
		{ 28, 2, GFP_KERNEL },
		{ 32, MAX_PAGE_ORDER + 1, GFP_KERNEL },
	};
	const int nr = ARRAY_SIZE(kinds) - !large;
	struct xdc_mem m[ARRAY_SIZE(kinds)] = {};
	struct xdt *x = test->priv;
	int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < nr; i++) {
			x->dev->coherent_dma_mask = DMA_BIT_MASK(kinds[i].bits);
			if (xdc_get(x->dev, &m[i], PAGE_SIZE << kinds[i].order,
				    kinds[i].gfp, 0))
				xdc_good(test, &m[i], true, "a life");
		}
		xdc_put_all(test, m, nr);
		if (!round)
			xdc_shrink(xen_regions_kept() / 2);
	}
	xdc_shrink_all();
}

/* Each call of the hypervisor fails once, alone or with all that follow. */
static void xdc_each_call(struct kunit *test, bool stays, bool large,
			  unsigned long first, unsigned long step)
{
	struct xen_coherent_usage usage;
	unsigned long free, n;
	bool failed = true;

	free = nr_free_pages();
	for (n = first; failed && test->status == KUNIT_SUCCESS; n += step) {
		xdc_begin_again(test);
		xen_machine_fail_after(n, n % 2 ? -ENOMEM : -EPERM, stays);
		xdc_a_life(test, large);
		failed = !xen_machine_fails_later();
		xen_machine_fail_exchanges(0);

		xen_coherent_usage(&usage);
		KUNIT_EXPECT_EQ_MSG(test, usage.used, xdc_used, "call %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, usage.cached, 0, "call %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, xen_regions_kept(), 0, "call %lu",
				    n);
		KUNIT_EXPECT_EQ_MSG(test, xen_machine_faults(), 0, "call %lu",
				    n);
	}
	KUNIT_EXPECT_GT(test, n, first + 8 * step);
	KUNIT_EXPECT_GT(test, nr_free_pages() + XDC_TOLERANCE, free);
}

static void xdc_nth_call(struct kunit *test)
{
	xdc_each_call(test, false, false, 0, 1);
	xdc_each_call(test, true, false, 0, 1);
}

static void xdc_nth_call_large(struct kunit *test)
{
	struct xdt *x = test->priv;

	xdc_each_call(test, false, true, xdt_below(&x->rnd, 5), 5);
}

/* A long life, beside a model that is too simple to be wrong. */

#define XDC_MODEL_LIVE	24
#define XDC_MODEL_KEPT	1024

struct xdc_kept {
	dma_addr_t bus;
	u64 bytes;
};

/**
 * struct xdc_model - what must be where
 * @test:	the running case
 * @live:	memory that is allocated
 * @region:	the exchanged region behind each, no bytes when there is none
 * @kept:	regions in the cache, the oldest first
 * @nr_kept:	how many
 * @bound:	bytes that the cache may keep
 * @failing:	whether exchanges fail
 * @hits:	allocations from the cache
 * @made:	allocations by exchange
 */
struct xdc_model {
	struct kunit *test;
	struct xdc_mem live[XDC_MODEL_LIVE];
	struct xdc_kept region[XDC_MODEL_LIVE];
	struct xdc_kept kept[XDC_MODEL_KEPT];
	unsigned int nr_kept;
	u64 bound;
	bool failing;
	unsigned long hits;
	unsigned long made;
};

static u64 xdc_kept_bytes(const struct xdc_model *m)
{
	u64 sum = 0;
	unsigned int i;

	for (i = 0; i < m->nr_kept; i++)
		sum += m->kept[i].bytes;
	return sum;
}

static void xdc_forget(struct xdc_model *m, unsigned int i)
{
	m->nr_kept--;
	memmove(&m->kept[i], &m->kept[i + 1],
		(m->nr_kept - i) * sizeof(m->kept[0]));
}

static unsigned int xdc_region_width(const struct xdc_kept *k)
{
	return fls64(k->bus + k->bytes - 1);
}

/* In reach, and large enough: what will do when nothing else is to be had. */
static bool xdc_will_do(const struct xdc_kept *k, struct device *dev, size_t size)
{
	return k->bus + k->bytes - 1 <= xdc_limit(dev) &&
	       k->bytes >= PAGE_SIZE << get_order(size);
}

/* The widest region that a device with an odd limit has to be given. */
static unsigned int xdc_device_bits(struct device *dev)
{
	u64 limit = xdc_limit(dev);

	return limit == U64_MAX ? 64 : ilog2(limit + 1);
}

/* And what is as it should be. */
static bool xdc_fits(const struct xdc_kept *k, struct device *dev, size_t size)
{
	unsigned int bits = xdc_device_bits(dev);
	unsigned int lowest = bits > 32 ? 33 : bits > 24 ? 25 : 0;
	unsigned int width = xdc_region_width(k);

	return k->bytes == PAGE_SIZE << get_order(size) && width <= bits &&
	       width >= lowest;
}

static void xdc_model_wrong(struct xdc_model *m, const struct xdc_mem *mem,
			    const char *why)
{
	KUNIT_FAIL(m->test, "%zu bytes at %pad, mask %#llx, %u kept: %s",
		   mem->size, &mem->bus, xdc_limit(mem->dev), m->nr_kept, why);
}

/* Is what the cache has served what it should? Returns which it was. */
static unsigned int xdc_model_hit(struct xdc_model *m,
				  const struct xdc_mem *mem, unsigned int widest)
{
	const struct xdc_kept *k;
	unsigned int i;

	for (i = 0; i < m->nr_kept && m->kept[i].bus != mem->bus; i++)
		;
	if (i == m->nr_kept) {
		xdc_model_wrong(m, mem, "was never kept");
		return i;
	}

	k = &m->kept[i];
	if (widest) {
		if (!xdc_fits(k, mem->dev, mem->size))
			xdc_model_wrong(m, mem, "another one fits better");
		else if (xdc_region_width(k) != widest)
			xdc_model_wrong(m, mem, "there is a wider one");
	} else if (!m->failing) {
		xdc_model_wrong(m, mem, "an exchange would have done");
	} else if (!xdc_will_do(k, mem->dev, mem->size)) {
		xdc_model_wrong(m, mem, "will not do");
	}
	return i;
}

static void xdc_model_alloc(struct xdc_model *m, unsigned int n, gfp_t gfp,
			    size_t size)
{
	struct xdt *x = m->test->priv;
	struct xdc_mem *mem = &m->live[n];
	unsigned int widest = 0, i;
	bool will_do = false, got;
	struct xdc_look was, now;
	struct xdc_kept *k;

	if (xdt_chance(&x->rnd, 20) && size <= SZ_512K) {
		xdc_look(&was);
		got = xdc_get_pages(x->dev, mem, PAGE_ALIGN(size), gfp);
	} else {
		xdc_look(&was);
		got = xdc_get(x->dev, mem, size, gfp, 0);
	}
	xdc_look(&now);

	for (i = 0; i < m->nr_kept; i++) {
		k = &m->kept[i];
		if (xdc_fits(k, x->dev, size))
			widest = max(widest, xdc_region_width(k));
		/* A large one may consist of pages from anywhere. */
		will_do |= xdc_will_do(k, x->dev, size) &&
			   xdc_region_width(k) <= xdc_device_bits(x->dev) &&
			   (!mem->is_page || k->bytes < XDC_LARGE);
	}

	m->region[n].bytes = 0;
	if (!got) {
		if (!m->failing || will_do)
			xdc_model_wrong(m, mem, "refused");
		return;
	}
	xdc_good(m->test, mem, true, "random");

	if (now.usage.hits != was.usage.hits) {
		m->hits++;
		i = xdc_model_hit(m, mem, widest);
		if (i == m->nr_kept)
			return;
		m->region[n] = m->kept[i];
		xdc_forget(m, i);
		if (now.usage.made != was.usage.made)
			xdc_model_wrong(m, mem, "made and kept");
		if (widest &&
		    now.machine.make_calls != was.machine.make_calls)
			xdc_model_wrong(m, mem, "an exchange for nothing");
	} else if (now.usage.made != was.usage.made) {
		m->made++;
		m->region[n].bus = mem->bus;
		m->region[n].bytes = PAGE_SIZE << get_order(size);
		if (widest)
			xdc_model_wrong(m, mem, "made, but there was one");
	}
}

static void xdc_model_trim(struct xdc_model *m)
{
	xen_coherent_flush_work();
	while (xdc_kept_bytes(m) > m->bound)
		xdc_forget(m, 0);
}

static void xdc_model_free(struct xdc_model *m, unsigned int n)
{
	struct xdt *x = m->test->priv;
	struct xdc_mem *mem = &m->live[n];
	const char *why = xdc_lost(mem, x->scratch);
	struct xdc_look was, now;
	unsigned long flags = 0;
	bool off = xdt_chance(&x->rnd, 40);

	if (why)
		xdc_model_wrong(m, mem, why);

	if (off)
		local_irq_save(flags);
	xdc_look(&was);
	xdc_put(mem);
	xdc_look(&now);
	if (off)
		local_irq_restore(flags);
	if (now.machine.make_calls != was.machine.make_calls)
		xdc_model_wrong(m, mem, "freeing takes an exchange");

	/* A large one that needed no exchange may be kept for its mapping. */
	if (!m->region[n].bytes && mem->size > XDC_LARGE / 2 &&
	    now.usage.cached != was.usage.cached) {
		m->region[n].bus = mem->bus;
		m->region[n].bytes = PAGE_SIZE << get_order(mem->size);
	}
	if (m->region[n].bytes)
		m->kept[m->nr_kept++] = m->region[n];
	xdc_model_trim(m);
}

static void xdc_model_shrink(struct xdc_model *m)
{
	struct xdt *x = m->test->priv;
	unsigned long nr = 1 + xdt_below(&x->rnd, 200);
	unsigned long expect = 0;

	while (m->nr_kept && expect < nr) {
		expect += PHYS_PFN(m->kept[0].bytes);
		xdc_forget(m, 0);
	}
	KUNIT_EXPECT_EQ(m->test, xdc_shrink(nr), expect);
}

static void xdc_model_step(struct xdc_model *m)
{
	static const u64 masks[] = {
		DMA_BIT_MASK(24), DMA_BIT_MASK(28), DMA_BIT_MASK(30),
		DMA_BIT_MASK(31), DMA_BIT_MASK(32), 0xbfffffff,
		DMA_BIT_MASK(34), DMA_BIT_MASK(64),
	};
	struct xdt *x = m->test->priv;
	unsigned int n = xdt_below(&x->rnd, XDC_MODEL_LIVE);
	struct xdc_mem *mem = &m->live[n];
	gfp_t gfp = xdt_chance(&x->rnd, 50) ? GFP_KERNEL : GFP_ATOMIC;
	size_t size;
	u64 mask;

	if (!m->failing && xdt_chance(&x->rnd, 3)) {
		xdc_model_shrink(m);
	} else if (!m->failing && xdt_chance(&x->rnd, 2)) {
		/* From half a region of the largest usual size to all. */
		m->bound = SZ_8M << xdt_below(&x->rnd, 4);
		xdc_set_bound(m->bound);
		xdc_model_trim(m);
	} else if (mem->cpu) {
		xdc_model_free(m, n);
	} else {
		mask = masks[xdt_below(&x->rnd, ARRAY_SIZE(masks))];
		size = xdt_any_size(&x->rnd, mask == DMA_BIT_MASK(24) ? SZ_64K :
								SZ_512K);
		if (!m->failing && xdt_chance(&x->rnd, 1) &&
		    mask > DMA_BIT_MASK(24)) {
			size = XDC_LARGE - xdt_below(&x->rnd, SZ_4M);
			gfp = GFP_KERNEL;
		}
		/* Who may sleep would have all of it given back. */
		if (m->failing)
			gfp = GFP_ATOMIC;
		x->dev = m->live[n].dev;
		x->dev->coherent_dma_mask = mask;
		xdc_model_alloc(m, n, gfp, size);
	}

	KUNIT_EXPECT_EQ(m->test, xdc_cached(), xdc_kept_bytes(m));
	KUNIT_EXPECT_EQ(m->test, xen_regions_kept(),
			PHYS_PFN(xdc_kept_bytes(m)));
}

static void xdc_model(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned long steps = xdt_scaled(6000), step;
	struct device *dev = x->dev;
	struct xdc_model *m;
	unsigned int n;

	m = vzalloc(sizeof(*m));
	KUNIT_ASSERT_NOT_NULL(test, m);
	m->test = test;
	m->bound = XDC_CACHE;
	for (n = 0; n < XDC_MODEL_LIVE; n++)
		m->live[n].dev = xdc_device(test, n, 32);
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);

	for (step = 0; step < steps && test->status == KUNIT_SUCCESS; step++) {
		if (step % 512 == 400) {
			/* Nothing goes back now, for it would not be taken. */
			m->failing = true;
			m->bound = XDC_CACHE;
			xdc_set_bound(m->bound);
			xen_machine_fail_exchanges(-ENOMEM);
		} else if (step % 512 == 0) {
			m->failing = false;
			xen_machine_fail_exchanges(0);
		}
		xdc_model_step(m);
		cond_resched();
	}
	xen_machine_fail_exchanges(0);
	kunit_info(test, "%lu steps, %lu served by the cache, %lu made", step,
		   m->hits, m->made);
	KUNIT_EXPECT_GT(test, m->hits, step / 10);
	KUNIT_EXPECT_GT(test, m->made, step / 100);

	xdc_put_all(test, m->live, XDC_MODEL_LIVE);
	x->dev = dev;
	vfree(m);
}

/* Several at once. */

#define XDC_RACERS	2
#define XDC_RACE_LIVE	12

struct xdc_racer {
	struct device *dev[5];
	struct xdc_mem mem[XDC_RACE_LIVE];
	struct rnd_state rnd;
	struct completion done;
	struct task_struct *task;
	unsigned long steps;
	unsigned long got;
	unsigned long refused;
	const char *why;
	u8 *scratch;
};

static void xdc_race_put(struct xdc_racer *r, struct xdc_mem *m)
{
	const char *why = xdc_lost(m, r->scratch);
	unsigned long flags;

	if (why)
		r->why = why;
	if (xdt_chance(&r->rnd, 30)) {
		local_irq_save(flags);
		xdc_put(m);
		local_irq_restore(flags);
	} else {
		xdc_put(m);
	}
}

static void xdc_race_get(struct xdc_racer *r, struct xdc_mem *m)
{
	struct device *dev = r->dev[xdt_below(&r->rnd, ARRAY_SIZE(r->dev))];
	size_t size = xdt_any_size(&r->rnd, SZ_128K);
	const char *why = NULL;
	unsigned long flags;
	bool got;

	if (xdt_chance(&r->rnd, 30)) {
		local_irq_save(flags);
		got = xdc_get(dev, m, size, GFP_ATOMIC, 0);
		local_irq_restore(flags);
	} else if (xdt_chance(&r->rnd, 20)) {
		got = xdc_get_pages(dev, m, PAGE_ALIGN(size), GFP_KERNEL);
	} else {
		got = xdc_get(dev, m, size, GFP_KERNEL, 0);
	}
	if (!got) {
		r->refused++;
		return;
	}

	r->got++;
	why = xdc_fault(m, r->scratch);
	if (!why)
		why = xdc_use(m, xdt_below(&r->rnd, XDT_PERIOD), r->scratch);
	if (why)
		r->why = why;
}

static int xdc_race_thread(void *data)
{
	struct xdc_racer *r = data;
	struct xdc_mem *m;
	int i;

	for (; r->steps && !r->why; r->steps--) {
		m = &r->mem[xdt_below(&r->rnd, XDC_RACE_LIVE)];
		if (m->cpu)
			xdc_race_put(r, m);
		else
			xdc_race_get(r, m);
		cond_resched();
	}
	for (i = 0; i < XDC_RACE_LIVE; i++)
		if (r->mem[i].cpu)
			xdc_race_put(r, &r->mem[i]);
	complete(&r->done);

	return 0;
}

static void xdc_race_start(struct kunit *test, struct xdc_racer *r, int nr)
{
	static const unsigned int bits[] = { 24, 28, 32, 34, 64 };
	struct xdt *x = test->priv;
	int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++)
		r->dev[i] = xdc_device(test, nr, bits[i]);
	r->scratch = kunit_kmalloc(test, XDT_PIECE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r->scratch);
	r->steps = xdt_scaled(15000);
	prandom_seed_state(&r->rnd, prandom_u32_state(&x->rnd));
	init_completion(&r->done);

	r->task = kthread_create(xdc_race_thread, r, "xdc/%d", nr);
	if (IS_ERR(r->task)) {
		r->why = "no thread";
		complete(&r->done);
		return;
	}
	kthread_bind(r->task, nr % 2 ? cpumask_last(cpu_online_mask) :
				       cpumask_first(cpu_online_mask));
}

/* The cache is taken from, filled, emptied and bounded, all at once. */
static void xdc_race(struct kunit *test)
{
	/* With none the others would find nothing for as long as we have to wait. */
	static const unsigned long bounds[] = {
		SZ_64K, SZ_256K, SZ_1M, SZ_4M, SZ_64M,
	};
	struct xdt *x = test->priv;
	struct xdc_look was, now;
	struct xdc_racer *r;
	unsigned long i;

	r = kunit_kcalloc(test, XDC_RACERS, sizeof(*r), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, r);
	xen_machine_set_high(XDC_HIGH_START, XDC_HIGH_END);
	for (i = 0; i < XDC_RACERS; i++)
		xdc_race_start(test, &r[i], i);

	xdc_look(&was);
	for (i = 0; i < XDC_RACERS; i++)
		if (!IS_ERR(r[i].task))
			wake_up_process(r[i].task);
	for (i = 0; !completion_done(&r[0].done); i++) {
		switch (xdt_below(&x->rnd, 8)) {
		case 0 ... 2:
			xdc_shrink(1 + xdt_below(&x->rnd, 100));
			break;
		case 3 ... 4:
			WRITE_ONCE(xen_coherent_cache,
				   bounds[xdt_below(&x->rnd,
						    ARRAY_SIZE(bounds))]);
			break;
		case 5 ... 6:
			xen_coherent_flush_work();
			break;
		default:
			/* Leave the cache alone for a while. */
			schedule_timeout_uninterruptible(1);
			break;
		}
		cond_resched();
	}

	for (i = 0; i < XDC_RACERS; i++) {
		wait_for_completion(&r[i].done);
		KUNIT_EXPECT_STREQ(test, r[i].why ?: "fine", "fine");
		KUNIT_EXPECT_LE(test, r[i].refused, r[i].got / 20);
	}
	xdc_look(&now);
	kunit_info(test, "%lu served by the cache, %lu made, %lu given back",
		   now.usage.hits - was.usage.hits,
		   now.usage.made - was.usage.made,
		   now.usage.returned - was.usage.returned);
	KUNIT_EXPECT_GT(test, now.usage.hits, was.usage.hits);
	KUNIT_EXPECT_GT(test, now.usage.made, was.usage.made);
	KUNIT_EXPECT_GT(test, now.usage.returned, was.usage.returned);
	KUNIT_EXPECT_EQ(test, now.usage.used, xdc_used);
	KUNIT_EXPECT_EQ(test, now.usage.made - was.usage.made,
			now.machine.made - was.machine.made);

	/* A last freeing leaves nothing over the bound. */
	xdc_set_bound(SZ_64K);
	KUNIT_EXPECT_LE(test, xdc_cached(), SZ_64K);
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE_PARAM(xdc_orders, xdc_widths_gen_params),
	KUNIT_CASE_PARAM(xdc_odd_limits, xdc_limits_gen_params),
	KUNIT_CASE(xdc_suits),
	KUNIT_CASE(xdc_together),
	KUNIT_CASE(xdc_page_ops),
	KUNIT_CASE(xdc_best_fit),
	KUNIT_CASE(xdc_only_its_order),
	KUNIT_CASE(xdc_better_than_none),
	KUNIT_CASE(xdc_odd_is_enough),
	KUNIT_CASE(xdc_larger_than_none),
	KUNIT_CASE(xdc_bounded),
	KUNIT_CASE(xdc_shrinker),
	KUNIT_CASE(xdc_default_bound),
	KUNIT_CASE(xdc_pressure),
	KUNIT_CASE(xdc_high_goes),
	KUNIT_CASE_PARAM(xdc_atomic, xdc_widths_gen_params),
	KUNIT_CASE(xdc_atomic_refused),
	KUNIT_CASE(xdc_large),
	KUNIT_CASE(xdc_scattered),
	KUNIT_CASE(xdc_not_mapped),
	KUNIT_CASE(xdc_mmap),
	KUNIT_CASE(xdc_referenced),
	KUNIT_CASE(xdc_mapped_first),
	KUNIT_CASE(xdc_wide_is_kept),
	KUNIT_CASE(xdc_ages),
	KUNIT_CASE(xdc_ages_in_part),
	KUNIT_CASE(xdc_moved),
	KUNIT_CASE(xdc_small),
	KUNIT_CASE(xdc_share),
	KUNIT_CASE(xdc_small_mixed),
	KUNIT_CASE(xdc_small_is_cleared),
	KUNIT_CASE(xdc_small_wrong),
	KUNIT_CASE(xdc_small_referenced),
	KUNIT_CASE(xdc_small_shared),
	KUNIT_CASE(xdc_small_moved),
	KUNIT_CASE(xdc_hopeless),
	KUNIT_CASE(xdc_refused),
	KUNIT_CASE(xdc_message),
	KUNIT_CASE(xdc_no_leak),
	KUNIT_CASE(xdc_again),
	KUNIT_CASE_SLOW(xdc_model),
	KUNIT_CASE_SLOW(xdc_race),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

static struct kunit_case xdc_refusing_cases[] = {
	KUNIT_CASE(xdc_no_better),
	KUNIT_CASE_SLOW(xdc_giving_fails),
	KUNIT_CASE_SLOW(xdc_nth_call),
	KUNIT_CASE_SLOW(xdc_nth_call_large),
	{}
};

static struct kunit_suite xdc_refusing_suite = {
	.name = "xen-coherent-refusing",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_refusing_init,
	.exit = xdc_exit,
	.test_cases = xdc_refusing_cases,
};

kunit_test_suites(&xdc_suite, &xdc_refusing_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver");
MODULE_LICENSE("GPL");
