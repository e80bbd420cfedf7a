// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of coherent memory by random steps: a long life, beside a model that
 * is too simple to be wrong.
 */
#include <linux/irqflags.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/string.h>

#include "../regions.h"
#include "../region-release.h"
#include "coherent-fixture.h"

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

/* How wide what fits is at most, 0 for nothing that fits. */
static unsigned int xdc_model_widest(const struct xdc_model *m,
				     const struct xdc_mem *mem)
{
	unsigned int widest = 0, i;

	for (i = 0; i < m->nr_kept; i++)
		if (xdc_fits(&m->kept[i], mem->dev, mem->size))
			widest = max(widest, xdc_region_width(&m->kept[i]));
	return widest;
}

/* Is there anything that will do? */
static bool xdc_model_will_do(const struct xdc_model *m,
			      const struct xdc_mem *mem)
{
	const struct xdc_kept *k;
	bool will_do = false;
	unsigned int i;

	for (i = 0; i < m->nr_kept; i++) {
		k = &m->kept[i];
		/* A large one may consist of pages from anywhere. */
		will_do |= xdc_will_do(k, mem->dev, mem->size) &&
			   xdc_region_width(k) <= xdc_device_bits(mem->dev) &&
			   (!mem->is_page || k->bytes < XDC_LARGE);
	}
	return will_do;
}

static void xdc_model_alloc(struct xdc_model *m, unsigned int n, gfp_t gfp,
			    size_t size)
{
	struct xdt *x = m->test->priv;
	struct xdc_mem *mem = &m->live[n];
	struct xdc_look was, now;
	unsigned int widest, i;
	bool got;

	xdc_look(&was);
	if (xdt_chance(&x->rnd, 20) && size <= SZ_512K)
		got = xdc_get_pages(x->dev, mem, PAGE_ALIGN(size), gfp);
	else
		got = xdc_get(x->dev, mem, size, gfp, 0);
	xdc_look(&now);

	widest = xdc_model_widest(m, mem);
	m->region[n].bytes = 0;
	if (!got) {
		if (!m->failing || xdc_model_will_do(m, mem))
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

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE_SLOW(xdc_model),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-model",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: a model");
MODULE_LICENSE("GPL");
