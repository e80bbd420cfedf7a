// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the aperture by random steps, beside a model that knows every
 * byte of every mapping.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "fixture.h"

#define XDT_MODEL_LIVE	256

/*
 * One mapping of the model. @cpu and @its are what the buffer, guards included,
 * and the device's view of it must contain.
 */
struct xdt_model {
	struct device *dev;
	u8 *buf;
	u8 *cpu;
	u8 *its;
	unsigned int order;
	size_t size;
	dma_addr_t bus;
	enum dma_data_direction dir;
	bool direct;
};

static void xdt_model_free(struct xdt_model *m)
{
	if (m->buf)
		free_pages((unsigned long)(m->buf) & PAGE_MASK, m->order);
	kvfree(m->cpu);
	kvfree(m->its);
	memset(m, 0, sizeof(*m));
}

static size_t xdt_model_size(struct rnd_state *rnd)
{
	unsigned int dice = xdt_below(rnd, 1000);

	if (dice < 700)
		return xdt_any_size(rnd, SZ_4K);
	if (dice < 930)
		return xdt_any_size(rnd, SZ_32K);
	if (dice < 997)
		return xdt_any_size(rnd, SZ_256K);
	return xdt_any_size(rnd, SZ_2M);
}

/* A device and a buffer with a random pattern; false when there is no memory. */
static bool xdt_model_alloc(struct xdt *x, struct device **devs,
			    struct xdt_model *m)
{
	unsigned int slack = xdt_below(&x->rnd, PAGE_SIZE - XDT_GUARD);
	u32 key = xdt_below(&x->rnd, XDT_PERIOD);
	unsigned long page;
	size_t all;

	if (xdt_chance(&x->rnd, 30))
		slack = 0;
	m->dev = devs[xdt_below(&x->rnd, ARRAY_SIZE(xdt_bits))];
	m->dir = xdt_directions[xdt_below(&x->rnd, 3)];
	m->size = xdt_model_size(&x->rnd);
	all = m->size + 2 * XDT_GUARD;
	m->order = get_order(slack + all);
	page = __get_free_pages(GFP_KERNEL, m->order);
	m->cpu = kvmalloc(all, GFP_KERNEL);
	m->its = kvmalloc(m->size, GFP_KERNEL);
	if (!page || !m->cpu || !m->its) {
		free_pages(page, page ? m->order : 0);
		xdt_model_free(m);
		return false;
	}
	m->buf = (u8 *)page + slack + XDT_GUARD;
	xdt_fill(m->buf - XDT_GUARD, key, 0, all);
	xdt_fill(m->cpu, key, 0, all);
	memcpy(m->its, m->cpu + XDT_GUARD, m->size);
	return true;
}

/* Is a new mapping where it may be? */
static bool xdt_model_placed(struct xdt *x, struct xdt_model *m)
{
	u64 mask = *m->dev->dma_mask, kept = dma_get_min_align_mask(m->dev);
	struct kunit *test = x->test;

	m->direct = m->bus == xdt_machine(m->buf);
	if (m->bus + m->size - 1 > mask)
		KUNIT_FAIL(test, "%pad, %zu bytes: mask 0x%llx", &m->bus,
			   m->size, mask);
	else if ((m->bus ^ virt_to_phys(m->buf)) & kept)
		KUNIT_FAIL(test, "%pad: bits 0x%llx not kept", &m->bus, kept);
	else if (!m->direct && !xen_pool_find(m->bus))
		KUNIT_FAIL(test, "%pad: neither direct nor bounced", &m->bus);
	else if (!m->direct && !xdt_claim(x->live, m->bus, m->size))
		KUNIT_FAIL(test, "%pad, %zu bytes: overlaps", &m->bus,
			   m->size);
	else if (!m->direct &&
		 !xdt_slack_is_zero(x->scratch, m->bus, m->size))
		KUNIT_FAIL(test, "%pad, %zu bytes: old bytes beside", &m->bus,
			   m->size);
	return test->status == KUNIT_SUCCESS;
}

/* @roomy: from this many bits on, there must always be something free. */
static bool xdt_model_map(struct xdt *x, struct device **devs,
			  struct xdt_model *m, unsigned int roomy)
{
	if (!xdt_model_alloc(x, devs, m))
		return true;
	m->bus = xdt_map(m->dev, m->buf, m->size, m->dir, DMA_ATTR_NO_WARN);
	if (m->bus == DMA_MAPPING_ERROR) {
		if (*m->dev->dma_mask >= DMA_BIT_MASK(roomy))
			KUNIT_FAIL(x->test,
				   "%zu bytes, mask 0x%llx: nothing free",
				   m->size, *m->dev->dma_mask);
		xdt_model_free(m);
		return true;
	}
	return xdt_model_placed(x, m);
}

/* Compare the model with both sides. */
static bool xdt_model_check(struct xdt *x, struct xdt_model *m)
{
	size_t done, piece;

	if (memcmp(m->buf - XDT_GUARD, m->cpu, m->size + 2 * XDT_GUARD)) {
		KUNIT_FAIL(x->test, "%pad, %zu bytes, direction %d: buffer",
			   &m->bus, m->size, m->dir);
		return false;
	}
	for (done = 0; done < m->size; done += piece) {
		piece = min(m->size - done, XDT_PIECE);
		if (xen_machine_peek(m->bus + done, x->scratch, piece) ||
		    memcmp(x->scratch, m->its + done, piece)) {
			KUNIT_FAIL(x->test,
				   "%pad, %zu bytes, direction %d: device",
				   &m->bus, m->size, m->dir);
			return false;
		}
	}
	return true;
}

/* One side writes, or a part is synced. */
static void xdt_model_touch(struct xdt *x, struct xdt_model *m)
{
	size_t from = xdt_below(&x->rnd, m->size);
	size_t len = 1 + xdt_below(&x->rnd, m->size - from);
	u32 key = xdt_below(&x->rnd, XDT_PERIOD);

	switch (xdt_below(&x->rnd, 4)) {
	case 0:
		/* Not the CPU's to write. */
		if (m->dir == DMA_FROM_DEVICE)
			return;
		xdt_fill(m->buf + from, key, 0, len);
		xdt_fill(m->cpu + XDT_GUARD + from, key, 0, len);
		if (m->direct)
			xdt_fill(m->its + from, key, 0, len);
		break;
	case 1:
		if (m->dir == DMA_TO_DEVICE)
			return;
		xdt_dev_fill(m->bus + from, key, 0, len);
		xdt_fill(m->its + from, key, 0, len);
		if (m->direct)
			xdt_fill(m->cpu + XDT_GUARD + from, key, 0, len);
		break;
	case 2:
		xdt_for_cpu(m->dev, m->bus + from, len, m->dir);
		if (m->dir != DMA_TO_DEVICE)
			memcpy(m->cpu + XDT_GUARD + from, m->its + from, len);
		break;
	case 3:
		/* Without a sync for the CPU before, what it does is open. */
		if (m->dir == DMA_FROM_DEVICE)
			return;
		xdt_for_device(m->dev, m->bus + from, len, m->dir);
		memcpy(m->its + from, m->cpu + XDT_GUARD + from, len);
		break;
	}
}

static bool xdt_model_unmap(struct xdt *x, struct xdt_model *m)
{
	unsigned long attrs = 0;
	bool good = true;

	if (xdt_chance(&x->rnd, 10))
		attrs = DMA_ATTR_SKIP_CPU_SYNC;
	if (!m->direct)
		xdt_disclaim(x->live, m->bus, m->size);
	xdt_unmap(m->dev, m->bus, m->size, m->dir, attrs);

	if (m->dir != DMA_TO_DEVICE && !attrs)
		memcpy(m->cpu + XDT_GUARD, m->its, m->size);
	if (memcmp(m->buf - XDT_GUARD, m->cpu, m->size + 2 * XDT_GUARD)) {
		KUNIT_FAIL(x->test,
			   "%pad, %zu bytes, direction %d: after the unmapping",
			   &m->bus, m->size, m->dir);
		good = false;
	}
	xdt_model_free(m);
	return good;
}

/* A device of each width, with bits to keep of an address. */
static void xdt_model_devices(struct xdt *x, struct device **devs)
{
	unsigned int i;
	char name[16];

	for (i = 0; i < ARRAY_SIZE(xdt_bits); i++) {
		snprintf(name, sizeof(name), "dma%u", xdt_bits[i]);
		devs[i] = xdt_device(x, name, DMA_BIT_MASK(xdt_bits[i]));
		dma_set_min_align_mask(devs[i], xdt_align_cases[i % 5].mask);
	}
}

/* Something happens to a mapping. */
static bool xdt_model_step(struct xdt *x, struct xdt_model *m)
{
	switch (xdt_below(&x->rnd, 8)) {
	case 0 ... 1:
		return xdt_model_unmap(x, m);
	case 2:
		return xdt_model_check(x, m);
	default:
		xdt_model_touch(x, m);
		return true;
	}
}

static void xdt_model_run(struct kunit *test, unsigned long steps,
			  unsigned int roomy, bool grow)
{
	struct device *devs[ARRAY_SIZE(xdt_bits)];
	struct xdt_model *models, *m;
	struct xdt *x = test->priv;
	unsigned long step;
	unsigned int i;
	bool good = true;

	kunit_info(test, "seed %lu\n", xdt_seed());
	xdt_model_devices(x, devs);
	models = kunit_kcalloc(test, XDT_MODEL_LIVE, sizeof(*models),
			       GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, models);

	for (step = 0; step < steps && good; step++) {
		m = &models[xdt_below(&x->rnd, XDT_MODEL_LIVE)];
		if (!m->buf) {
			good = xdt_model_map(x, devs, m, roomy);
			continue;
		}
		good = xdt_model_step(x, m);
		if (step % 64 == 0)
			cond_resched();
		if (grow && step % 2048 == 0)
			xen_pool_flush_work();
	}
	if (!good)
		kunit_info(test, "step %lu, seed %lu\n", step, xdt_seed());

	for (i = 0; i < XDT_MODEL_LIVE; i++) {
		if (models[i].buf && good)
			good = xdt_model_check(x, &models[i]);
		if (models[i].buf)
			good &= xdt_model_unmap(x, &models[i]);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* As at boot: devices below 32 bits have little. */
static void xdt_model_usual(struct kunit *test)
{
	xdt_model_run(test, xdt_scaled(100000), 32, false);
}

/* All memory within reach of 28 bits. */
static void xdt_model_low(struct kunit *test)
{
	xdt_restart(test->priv, SZ_1M, SZ_256M);
	xdt_model_run(test, xdt_scaled(100000), 28, false);
}

/* Chunks come and go meanwhile. */
static void xdt_model_growing(struct kunit *test)
{
	struct xdt *x = test->priv;

	xen_pool_max = x->size + SZ_32M;
	xen_pool_idle = 0;
	xdt_model_run(test, xdt_scaled(100000), 28, true);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE_SLOW(xdt_model_usual),
	KUNIT_CASE_SLOW(xdt_model_low),
	KUNIT_CASE_SLOW(xdt_model_growing),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-model",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: a model");
MODULE_LICENSE("GPL");
