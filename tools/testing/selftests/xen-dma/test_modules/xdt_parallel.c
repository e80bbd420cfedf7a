// SPDX-License-Identifier: GPL-2.0
/*
 * All CPUs at once. A thread's bounce buffer holds its own bytes until it is
 * unmapped, whatever the other threads do and whatever an interrupt does.
 *
 * The buffer is overwritten while it is mapped in both directions, so what
 * comes back at the end is what was in the bounce buffer.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "xdt.h"

#define ROUNDS		2000
#define LIVE		8
#define MAX_SIZE	SZ_16K

/**
 * struct worker - a thread
 * @dev: the device that it maps for
 * @id: number of the thread
 * @buf: LIVE buffers of MAX_SIZE above 4 GiB
 * @irqs_off: whether it maps and unmaps with interrupts off
 * @wrong: how many mappings came back with other bytes
 * @failed: how many were refused
 * @above: how many were above the mask
 * @done: completed at its end
 */
struct worker {
	struct device *dev;
	unsigned int id;
	u8 *buf[LIVE];
	bool irqs_off;
	unsigned int wrong;
	unsigned int failed;
	unsigned int above;
	struct completion done;
};

/**
 * struct live - a mapping of a thread
 * @bus: its bus address
 * @size: bytes, 0 for none
 * @offset: where in the buffer
 * @seed: the pattern
 */
struct live {
	dma_addr_t bus;
	size_t size;
	size_t offset;
	unsigned int seed;
};

static void end_one(struct worker *w, struct live *l, u8 *buf)
{
	unsigned long flags = 0;

	if (!l->size)
		return;
	if (w->irqs_off)
		local_irq_save(flags);
	dma_unmap_single(w->dev, l->bus, l->size, DMA_BIDIRECTIONAL);
	if (w->irqs_off)
		local_irq_restore(flags);
	if (xdt_match(buf + l->offset, l->size, l->seed, 0) != l->size)
		w->wrong++;
	l->size = 0;
}

static void begin_one(struct worker *w, struct live *l, u8 *buf,
		      struct rnd_state *rnd, unsigned int seed)
{
	unsigned long flags = 0;

	l->offset = prandom_u32_state(rnd) % 600;
	l->size = 1 + prandom_u32_state(rnd) %
		  (seed % 8 ? 3000 : MAX_SIZE - 600);
	l->seed = seed;
	xdt_fill(buf + l->offset, l->size, seed);
	if (w->irqs_off)
		local_irq_save(flags);
	l->bus = dma_map_single(w->dev, buf + l->offset, l->size,
				DMA_BIDIRECTIONAL);
	if (w->irqs_off)
		local_irq_restore(flags);
	if (dma_mapping_error(w->dev, l->bus)) {
		w->failed++;
		l->size = 0;
		return;
	}
	w->above += l->bus + l->size - 1 > DMA_BIT_MASK(32);
	memset(buf + l->offset, 0x11, l->size);
	if (seed % 4 == 0) {
		size_t from = l->size / 3, len = from;

		/* A third comes back early; it is only read. */
		dma_sync_single_range_for_cpu(w->dev, l->bus, from, len,
					      DMA_BIDIRECTIONAL);
		if (xdt_match(buf + l->offset + from, len, seed, from) != len)
			w->wrong++;
	}
}

static int work(void *arg)
{
	struct live live[LIVE] = { };
	struct worker *w = arg;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, w->id + 1);
	for (i = 0; i < ROUNDS; i++) {
		unsigned int slot = prandom_u32_state(&rnd) % LIVE;

		end_one(w, &live[slot], w->buf[slot]);
		begin_one(w, &live[slot], w->buf[slot], &rnd,
			  i * 16 + w->id);
		cond_resched();
	}
	for (i = 0; i < LIVE; i++)
		end_one(w, &live[i], w->buf[i]);
	complete(&w->done);
	return 0;
}

static struct worker *workers(struct kunit *test, unsigned int nr,
			      bool irqs_off)
{
	struct worker *all;
	unsigned int i, j;

	all = kunit_kcalloc(test, nr, sizeof(*all), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, all);
	for (i = 0; i < nr; i++) {
		all[i].dev = xdt_dev(test);
		all[i].id = i;
		all[i].irqs_off = irqs_off;
		init_completion(&all[i].done);
		for (j = 0; j < LIVE; j++)
			all[i].buf[j] = xdt_high(test, get_order(MAX_SIZE));
	}
	xdt_mask(test, 32);
	return all;
}

static void start(struct kunit *test, struct worker *w, unsigned int cpu,
		  int (*fn)(void *))
{
	struct task_struct *task;

	task = kthread_create(fn, w, "xdt/%u", w->id);
	if (IS_ERR(task)) {
		KUNIT_FAIL(test, "no thread");
		complete(&w->done);
		return;
	}
	kthread_bind(task, cpu);
	wake_up_process(task);
}

static void finish(struct kunit *test, struct worker *all, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		wait_for_completion(&all[i].done);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ_MSG(test, 0, all[i].wrong, "thread %u", i);
		KUNIT_EXPECT_EQ_MSG(test, 0, all[i].failed, "thread %u", i);
		KUNIT_EXPECT_EQ_MSG(test, 0, all[i].above, "thread %u", i);
	}
}

static void check_threads(struct kunit *test, bool irqs_off)
{
	unsigned int cpu, i = 0, nr = 2 * num_online_cpus();
	struct worker *all = workers(test, nr, irqs_off);

	for_each_online_cpu(cpu) {
		/* Two on each CPU, which preempt one another. */
		if (i + 2 > nr)
			break;
		start(test, &all[i++], cpu, work);
		start(test, &all[i++], cpu, work);
	}
	finish(test, all, i);
}

static void threads(struct kunit *test)
{
	KUNIT_ASSERT_GT_MSG(test, num_online_cpus(), 1, "one CPU only");
	check_threads(test, false);
}

static void threads_irqs_off(struct kunit *test)
{
	check_threads(test, true);
}

/* In the interrupt of another CPU, while threads run there. */
static void from_interrupt(void *arg)
{
	struct worker *w = arg;
	u8 *buf = w->buf[0];
	size_t size = 700;
	dma_addr_t bus;

	xdt_fill(buf, size, 5);
	bus = dma_map_single(w->dev, buf, size, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(w->dev, bus)) {
		w->failed++;
		return;
	}
	memset(buf, 0x11, size);
	dma_unmap_single(w->dev, bus, size, DMA_BIDIRECTIONAL);
	if (xdt_match(buf, size, 5, 0) != size)
		w->wrong++;
}

static void interrupts(struct kunit *test)
{
	unsigned int cpu, i = 0, n, nr = num_online_cpus(), busy = 0;
	struct worker *all = workers(test, 2 * nr, false);

	for_each_online_cpu(cpu)
		if (i < nr)
			start(test, &all[i++], cpu, work);
	nr = i;
	for (n = 0; n < ROUNDS / 8; n++) {
		i = nr;
		for_each_online_cpu(cpu) {
			if (i == 2 * nr)
				break;
			smp_call_function_single(cpu, from_interrupt, &all[i++],
						 1);
		}
		busy += !completion_done(&all[0].done);
		cond_resched();
	}
	for (i = nr; i < 2 * nr; i++)
		complete(&all[i].done);
	finish(test, all, 2 * nr);
	KUNIT_EXPECT_NE_MSG(test, 0, busy, "nothing ran side by side");
}

/* Coherent memory is taken and given on all CPUs, while others map. */
static int take_and_give(void *arg)
{
	struct worker *w = arg;
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, w->id + 1);
	for (i = 0; i < ROUNDS / 10; i++) {
		size_t size = PAGE_SIZE << prandom_u32_state(&rnd) % 5;
		dma_addr_t bus;
		u8 *addr;

		addr = dma_alloc_coherent(w->dev, size, &bus, GFP_KERNEL);
		if (!addr) {
			w->failed++;
			continue;
		}
		w->wrong += xdt_count(addr, size, 0) != size;
		w->above += bus + size - 1 > DMA_BIT_MASK(32);
		xdt_fill(addr, size, i + w->id);
		cond_resched();
		w->wrong += xdt_match(addr, size, i + w->id, 0) != size;
		dma_free_coherent(w->dev, size, addr, bus);
	}
	complete(&w->done);
	return 0;
}

static void coherent(struct kunit *test)
{
	unsigned int cpu, i = 0, nr = 2 * num_online_cpus();
	struct worker *all = workers(test, nr, false);

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	for_each_online_cpu(cpu) {
		if (i + 2 > nr)
			break;
		start(test, &all[i++], cpu, take_and_give);
		start(test, &all[i++], cpu, work);
	}
	finish(test, all, i);
}

static struct kunit_case parallel_cases[] = {
	KUNIT_CASE(threads),
	KUNIT_CASE(threads_irqs_off),
	KUNIT_CASE(interrupts),
	KUNIT_CASE(coherent),
	{ }
};

static struct kunit_suite parallel_suite = {
	.name = "xdt_parallel",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = parallel_cases,
};

kunit_test_suite(parallel_suite);

MODULE_DESCRIPTION("DMA tests: all CPUs at once");
MODULE_LICENSE("GPL");
