// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of coherent memory with several threads at once, while the cache is
 * emptied and bounded.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "../params.h"
#include "../region-release.h"
#include "coherent-fixture.h"

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

/* The cache is emptied, bounded, or left alone for a while. */
static void xdc_race_disturb(struct xdt *x)
{
	/* With none the others would find nothing for as long as we have to wait. */
	static const unsigned long bounds[] = {
		SZ_64K, SZ_256K, SZ_1M, SZ_4M, SZ_64M,
	};

	switch (xdt_below(&x->rnd, 8)) {
	case 0 ... 2:
		xdc_shrink(1 + xdt_below(&x->rnd, 100));
		break;
	case 3 ... 4:
		WRITE_ONCE(xen_coherent_cache,
			   bounds[xdt_below(&x->rnd, ARRAY_SIZE(bounds))]);
		break;
	case 5 ... 6:
		xen_coherent_flush_work();
		break;
	default:
		schedule_timeout_uninterruptible(1);
		break;
	}
	cond_resched();
}

/* The cache is taken from, filled, emptied and bounded, all at once. */
static void xdc_race(struct kunit *test)
{
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
	while (!completion_done(&r[0].done))
		xdc_race_disturb(x);

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
	KUNIT_CASE_SLOW(xdc_race),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-race",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: a race");
MODULE_LICENSE("GPL");
