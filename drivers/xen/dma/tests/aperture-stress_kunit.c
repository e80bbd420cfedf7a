// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the aperture with several threads at once: each mapping is made
 * by one, and checked and unmapped by whoever takes it.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "exhaust.h"

#define XDT_HOT_SLOTS	64
#define XDT_HOT_THREADS	4

/* A mapping, from when it is made until some thread takes and checks it. */
struct xdt_hot {
	struct device *dev;
	u8 *buf;
	unsigned int order;
	size_t size;
	dma_addr_t bus;
	u32 key;
};

/**
 * struct xdt_stress - what the threads share
 * @x:		the fixture
 * @dev:	devices of several widths
 * @slot:	mappings for whoever comes
 * @failures:	how many
 * @full:	mappings that could not be made
 * @why:	what failed first
 */
struct xdt_stress {
	struct xdt *x;
	struct device *dev[3];
	struct xdt_hot *slot[XDT_HOT_SLOTS];
	atomic_t failures;
	atomic_t full;
	const char *why;
};

struct xdt_hot_thread {
	struct xdt_stress *stress;
	struct task_struct *task;
	struct completion done;
	struct rnd_state rnd;
	unsigned long steps;
	u8 *scratch;
};

static void xdt_hot_fail(struct xdt_stress *s, const char *why)
{
	if (atomic_inc_return(&s->failures) == 1)
		s->why = why;
}

/* A new mapping is its own, and has its bytes; then the device writes. */
static void xdt_hot_look(struct xdt_hot_thread *t, struct xdt_hot *h)
{
	struct xdt_stress *s = t->stress;

	if (h->bus + h->size - 1 > *h->dev->dma_mask)
		xdt_hot_fail(s, "beyond the mask");
	else if (!xdt_claim(s->x->live, h->bus, h->size))
		xdt_hot_fail(s, "slots given out twice");
	if (xdt_dev_differs(t->scratch, h->bus, h->key, XDT_GUARD, h->size) >= 0)
		xdt_hot_fail(s, "device reads other bytes");
	if (!xdt_slack_is_zero(t->scratch, h->bus, h->size))
		xdt_hot_fail(s, "device reads old bytes beside");
	xdt_dev_fill(h->bus, h->key + 1, XDT_GUARD, h->size);
}

static struct xdt_hot *xdt_hot_map(struct xdt_hot_thread *t)
{
	struct xdt_stress *s = t->stress;
	struct xdt_hot *h = kzalloc(sizeof(*h), GFP_KERNEL);
	unsigned long flags;

	if (!h)
		return NULL;
	h->dev = s->dev[xdt_below(&t->rnd, ARRAY_SIZE(s->dev))];
	h->size = xdt_any_size(&t->rnd, xdt_chance(&t->rnd, 5) ? SZ_512K :
								 SZ_8K);
	h->order = get_order(h->size + 2 * XDT_GUARD);
	h->buf = (u8 *)__get_free_pages(GFP_KERNEL, h->order);
	if (!h->buf)
		goto free;
	h->buf += XDT_GUARD;
	h->key = xdt_below(&t->rnd, XDT_PERIOD);
	xdt_fill(h->buf - XDT_GUARD, h->key, 0, h->size + 2 * XDT_GUARD);

	if (xdt_chance(&t->rnd, 30)) {
		local_irq_save(flags);
		h->bus = xdt_map(h->dev, h->buf, h->size, DMA_BIDIRECTIONAL,
				 DMA_ATTR_NO_WARN);
		local_irq_restore(flags);
	} else {
		h->bus = xdt_map(h->dev, h->buf, h->size, DMA_BIDIRECTIONAL,
				 DMA_ATTR_NO_WARN);
	}
	if (h->bus == DMA_MAPPING_ERROR) {
		atomic_inc(&s->full);
		free_pages((unsigned long)h->buf & PAGE_MASK, h->order);
		goto free;
	}

	xdt_hot_look(t, h);
	return h;

free:
	kfree(h);
	return NULL;
}

static void xdt_hot_unmap(struct xdt_hot_thread *t, struct xdt_hot *h)
{
	struct xdt_stress *s = t->stress;
	size_t from = xdt_below(&t->rnd, h->size);
	size_t len = 1 + xdt_below(&t->rnd, h->size - from);

	if (xdt_chance(&t->rnd, 30)) {
		xdt_for_cpu(h->dev, h->bus + from, len, DMA_BIDIRECTIONAL);
		if (xdt_differs(h->buf + from, h->key + 1, XDT_GUARD + from,
				len) >= 0)
			xdt_hot_fail(s, "sync brings other bytes");
		xdt_for_device(h->dev, h->bus + from, len, DMA_BIDIRECTIONAL);
	}
	if (xdt_dev_differs(t->scratch, h->bus, h->key + 1, XDT_GUARD,
			    h->size) >= 0)
		xdt_hot_fail(s, "device's bytes changed");

	xdt_disclaim(s->x->live, h->bus, h->size);
	xdt_unmap(h->dev, h->bus, h->size, DMA_BIDIRECTIONAL, 0);
	if (xdt_differs(h->buf, h->key + 1, XDT_GUARD, h->size) >= 0)
		xdt_hot_fail(s, "unmapping brings other bytes");
	if (xdt_differs(h->buf - XDT_GUARD, h->key, 0, XDT_GUARD) >= 0 ||
	    xdt_differs(h->buf + h->size, h->key, XDT_GUARD + h->size,
			XDT_GUARD) >= 0)
		xdt_hot_fail(s, "unmapping copies too much");
	free_pages((unsigned long)h->buf & PAGE_MASK, h->order);
	kfree(h);
}

static int xdt_hot_thread(void *data)
{
	struct xdt_hot_thread *t = data;
	struct xdt_stress *s = t->stress;
	struct xdt_hot **slot, *h;
	unsigned long step;

	for (step = 0; step < t->steps && !atomic_read(&s->failures); step++) {
		slot = &s->slot[xdt_below(&t->rnd, XDT_HOT_SLOTS)];
		h = xchg(slot, NULL);
		if (h)
			xdt_hot_unmap(t, h);
		if (!h || xdt_chance(&t->rnd, 50)) {
			h = xchg(slot, xdt_hot_map(t));
			if (h)
				xdt_hot_unmap(t, h);
		}
		cond_resched();
	}
	complete(&t->done);
	return 0;
}

static void xdt_hot_init(struct kunit *test, struct xdt_stress *s,
			 struct xdt_hot_thread *t, unsigned long seed)
{
	t->stress = s;
	t->steps = xdt_scaled(60000);
	t->scratch = kunit_kmalloc(test, XDT_PIECE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->scratch);
	prandom_seed_state(&t->rnd, seed);
}

static void xdt_hot_start(struct xdt_hot_thread *t, unsigned int i)
{
	unsigned int cpu = cpumask_first(cpu_online_mask);

	if (i % 2)
		cpu = cpumask_last(cpu_online_mask);
	init_completion(&t->done);
	t->task = kthread_create(xdt_hot_thread, t, "xdt/%u", i);
	if (IS_ERR(t->task)) {
		xdt_hot_fail(t->stress, "no thread");
		complete(&t->done);
		return;
	}
	kthread_bind(t->task, cpu);
	wake_up_process(t->task);
}

/* Take all there is for a moment, so that it must grow, and let it shrink. */
static void xdt_hot_squeeze(struct xdt *x, struct xdt_hot_thread *threads)
{
	unsigned int nr, max = x->size / SZ_1M;
	dma_addr_t *bus = xdt_addresses(x);

	while (!completion_done(&threads[0].done)) {
		for (nr = 0; nr < max; nr++) {
			bus[nr] = xdt_map(x->dev, x->buf, SZ_1M, DMA_TO_DEVICE,
					  DMA_ATTR_NO_WARN |
					  DMA_ATTR_SKIP_CPU_SYNC);
			if (bus[nr] == DMA_MAPPING_ERROR)
				break;
		}
		while (nr--)
			xdt_unmap(x->dev, bus[nr], SZ_1M, DMA_TO_DEVICE, 0);
		xen_pool_flush_work();
		msleep(20);
	}
}

static void xdt_stress_run(struct kunit *test, bool grow)
{
	struct xdt *x = test->priv;
	unsigned long low = xen_machine_low_free(32);
	struct xdt_hot_thread *threads;
	struct xdt_stress *s;
	unsigned int i;

	kunit_info(test, "seed %lu\n", xdt_seed());
	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	threads = kunit_kcalloc(test, XDT_HOT_THREADS, sizeof(*threads),
				GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_ASSERT_NOT_NULL(test, threads);
	s->x = x;
	s->dev[0] = x->dev;
	s->dev[1] = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	s->dev[2] = xdt_device(x, "dma30", DMA_BIT_MASK(30));
	if (grow) {
		xen_pool_max = x->size + 8 * XDT_CHUNK;
		xen_pool_idle = 0;
	}

	for (i = 0; i < XDT_HOT_THREADS; i++)
		xdt_hot_init(test, s, &threads[i], xdt_seed() + i);
	for (i = 0; i < XDT_HOT_THREADS; i++)
		xdt_hot_start(&threads[i], i);
	if (grow)
		xdt_hot_squeeze(x, threads);
	for (i = 0; i < XDT_HOT_THREADS; i++)
		wait_for_completion(&threads[i].done);

	for (i = 0; i < XDT_HOT_SLOTS; i++) {
		if (s->slot[i])
			xdt_hot_unmap(&threads[0], s->slot[i]);
	}
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&s->failures), 0, "%s", s->why);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
}

static void xdt_stress(struct kunit *test)
{
	xdt_stress_run(test, false);
}

static void xdt_stress_growing(struct kunit *test)
{
	xdt_stress_run(test, true);
}

/**
 * struct xdt_drained - a thread that maps while others empty its CPU's cache
 * @x:		the fixture
 * @done:	it has ended
 * @scratch:	for what the device sees
 * @steps:	how often it maps
 * @bad:	how often something was wrong
 */
struct xdt_drained {
	struct xdt *x;
	struct completion done;
	u8 *scratch;
	unsigned long steps;
	unsigned long bad;
};

static int xdt_drained_thread(void *data)
{
	struct xdt_drained *t = data;
	struct device *dev = t->x->dev;
	dma_addr_t bus, last = DMA_MAPPING_ERROR;
	unsigned long step;
	u8 *buf = t->x->buf;

	for (step = 0; step < t->steps; step++) {
		xdt_fill(buf, step, 0, SZ_64);
		bus = xdt_map(dev, buf, SZ_64, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
		if (bus == DMA_MAPPING_ERROR || bus == last ||
		    xdt_dev_differs(t->scratch, bus, step, 0, SZ_64) >= 0)
			t->bad++;
		if (last != DMA_MAPPING_ERROR)
			xdt_unmap(dev, last, SZ_64, DMA_TO_DEVICE, 0);
		last = bus;
		cond_resched();
	}
	if (last != DMA_MAPPING_ERROR)
		xdt_unmap(dev, last, SZ_64, DMA_TO_DEVICE, 0);
	complete(&t->done);
	return 0;
}

/* Mappings that find no room empty the caches of CPUs that are at work. */
static void xdt_stress_draining(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned long drained = 0;
	struct task_struct *task;
	struct xdt_drained *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->x = x;
	t->steps = xdt_scaled(400000);
	t->scratch = kunit_kmalloc(test, XDT_PIECE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->scratch);
	init_completion(&t->done);

	task = kthread_create(xdt_drained_thread, t, "xdt/drained");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_bind(task, cpumask_first(cpu_online_mask));
	wake_up_process(task);
	for (; !completion_done(&t->done); drained++) {
		if (xdt_map(x->dev, x->buf, SZ_1G, DMA_TO_DEVICE,
			    DMA_ATTR_NO_WARN) != DMA_MAPPING_ERROR)
			break;
		cond_resched();
	}
	wait_for_completion(&t->done);

	KUNIT_EXPECT_EQ(test, t->bad, 0);
	KUNIT_EXPECT_GT(test, drained, 100);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE_SLOW(xdt_stress),
	KUNIT_CASE_SLOW(xdt_stress_growing),
	KUNIT_CASE_SLOW(xdt_stress_draining),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-stress",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: concurrency");
MODULE_LICENSE("GPL");
