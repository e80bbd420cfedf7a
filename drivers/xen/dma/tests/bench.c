// SPDX-License-Identifier: GPL-2.0
/*
 * How long a bounced mapping takes, beside the generic allocator of
 * kernel/dma/swiotlb.c: both in one kernel and one run, on one CPU and on two.
 *
 * It runs natively under User Mode Linux, with the tests' machine behind the
 * aperture, when the boot parameter xen_dma_bench is given. Other work disturbs a
 * round and makes it longer, never shorter; so the two take turns in many short
 * rounds, and of each the shortest counts. Results are lines of the log: whose,
 * then "row", name, figure, memcpy of as many bytes, separated by tabs; at last "end".
 */
#define pr_fmt(fmt) "xen_dma_bench: " fmt

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include <xen/swiotlb-xen.h>

#include "../aperture.h"
#include "../pool.h"
#include "machine.h"

#define ROUNDS		300
#define CPUS		2

/* Bytes: the generic pool, if there is none yet; it may come out smaller. */
#define GENERIC_POOL	SZ_64M

static bool wanted;
core_param(xen_dma_bench, wanted, bool, 0);

/**
 * struct size - a buffer's size
 * @bytes:	bytes
 * @nr:		pairs in a round
 */
struct size {
	size_t bytes;
	unsigned int nr;
};

static const struct size sizes[] = {
	{ 64, 2000 }, { SZ_4K, 1000 }, { 5 * SZ_4K, 300 }, { 9 * SZ_4K, 200 },
	{ SZ_64K, 100 },
};

static struct device *dev;
static u64 mask = DMA_BIT_MASK(32);

/* Of each CPU: what is mapped, and where memcpy() puts it. */
static void *from[CPUS];
static void *to[CPUS];

static bool copy_pairs(unsigned int cpu, size_t size, unsigned int nr)
{
	while (nr--) {
		memcpy(to[cpu], from[cpu], size);
		/* Each copy counts, so none may be dropped. */
		barrier();
	}
	return true;
}

static bool generic_pairs(unsigned int cpu, size_t size, unsigned int nr)
{
	phys_addr_t phys = virt_to_phys(from[cpu]);

	while (nr--) {
		unsigned long attrs = DMA_ATTR_NO_WARN;
		phys_addr_t slot;

		slot = swiotlb_tbl_map_single(dev, phys, size, 0, DMA_TO_DEVICE,
					      &attrs);
		if (slot == (phys_addr_t)DMA_MAPPING_ERROR)
			return false;
		swiotlb_tbl_unmap_single(dev, slot, size, DMA_TO_DEVICE, attrs);
	}
	return true;
}

static bool our_pairs(unsigned int cpu, size_t size, unsigned int nr)
{
	phys_addr_t phys = virt_to_phys(from[cpu]);

	while (nr--) {
		dma_addr_t bus = xen_aperture_map(dev, phys, size,
						  XEN_BOUNCE_MASK,
						  DMA_ATTR_NO_WARN);

		if (bus == DMA_MAPPING_ERROR)
			return false;
		xen_aperture_unmap(dev, bus, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	}
	return true;
}

/*
 * With more than one CPU, masking interrupts is a system call under User Mode
 * Linux, and on bare hardware next to nothing: worth knowing of either side.
 */
static bool irq_pairs(unsigned int cpu, size_t size, unsigned int nr)
{
	unsigned long flags;

	while (nr--) {
		local_irq_save(flags);
		local_irq_restore(flags);
	}
	return true;
}

typedef bool (*pairs_fn)(unsigned int cpu, size_t size, unsigned int nr);

enum side { SIDE_GENERIC, SIDE_OURS, SIDE_COPY, SIDE_IRQ, SIDES };

static const char * const side_names[] = { "generic", "ours" };
static const pairs_fn side_pairs[] = {
	generic_pairs, our_pairs, copy_pairs, irq_pairs,
};

/*
 * The round that is run now. The CPUs meet at @ready before they start, so that
 * neither has begun while the other is still being woken. The second one is told
 * to @go, says when it is @done with a round, and when it has @gone for good.
 */
static struct {
	pairs_fn pairs;
	const struct size *size;
	atomic_t ready;
	u64 start[CPUS];
	u64 end[CPUS];
	bool failed[CPUS];
	bool over;
	struct completion go;
	struct completion done;
	struct completion gone;
} turn;

static void run_turn(unsigned int cpu, unsigned int cpus)
{
	atomic_inc(&turn.ready);
	while (atomic_read(&turn.ready) < cpus)
		cpu_relax();
	turn.start[cpu] = ktime_get_ns();
	turn.failed[cpu] = !turn.pairs(cpu, turn.size->bytes, turn.size->nr);
	turn.end[cpu] = ktime_get_ns();
}

static int second_cpu(void *unused)
{
	for (;;) {
		wait_for_completion(&turn.go);
		if (turn.over)
			break;
		run_turn(1, CPUS);
		complete(&turn.done);
	}
	complete(&turn.gone);
	return 0;
}

/* Nanoseconds from the first one's start to the last one's end; 0: failed. */
static u64 time_round(enum side side, const struct size *size,
		      unsigned int cpus)
{
	turn.pairs = side_pairs[side];
	turn.size = size;
	atomic_set(&turn.ready, 0);
	if (cpus == 1) {
		run_turn(0, 1);
		return turn.failed[0] ? 0 : turn.end[0] - turn.start[0];
	}

	complete(&turn.go);
	run_turn(0, CPUS);
	wait_for_completion(&turn.done);
	if (turn.failed[0] || turn.failed[1])
		return 0;
	return max(turn.end[0], turn.end[1]) -
	       min(turn.start[0], turn.start[1]);
}

/* @num / @den with three decimals. */
static void put_row(enum side side, const char *name, const struct size *size,
		    u64 num, u64 den, u64 copy)
{
	u64 value = div64_u64(num * 1000 + den / 2, den);
	u64 copied = div_u64(copy * 1000 + size->nr / 2, size->nr);

	pr_info("%s\trow\t%s-%zu\t%llu.%03llu\t%llu.%03llu\n",
		side_names[side], name, size->bytes, value / 1000, value % 1000,
		copied / 1000, copied % 1000);
}

static bool measure(const struct size *size, unsigned int max_cpus)
{
	u64 best[SIDES][CPUS + 1];
	unsigned int i, cpus;
	enum side side;

	memset(best, 0xff, sizeof(best));
	for (i = 0; i < ROUNDS; i++) {
		for (side = 0; side < SIDES; side++) {
			for (cpus = 1; cpus <= max_cpus; cpus++) {
				u64 time = time_round(side, size, cpus);

				if (!time) {
					pr_err("%zu bytes refused\n",
					       size->bytes);
					return false;
				}
				best[side][cpus] = min(best[side][cpus], time);
			}
		}
		cond_resched();
	}

	for (side = SIDE_GENERIC; side <= SIDE_OURS; side++) {
		put_row(side, "pair", size, best[side][1], size->nr,
			best[SIDE_COPY][1]);
		put_row(side, "irq", size, best[SIDE_IRQ][1], size->nr,
			best[SIDE_COPY][1]);
		/* Pairs per second together, in proportion to one CPU's. */
		if (max_cpus == CPUS)
			put_row(side, "scaling", size, CPUS * best[side][1],
				best[side][CPUS], best[SIDE_COPY][1]);
	}
	put_row(SIDE_OURS, "ratio", size, best[SIDE_OURS][1],
		best[SIDE_GENERIC][1], best[SIDE_COPY][1]);
	return true;
}

static int first_cpu(void *unused)
{
	unsigned int max_cpus = cpu_online(1) ? CPUS : 1;
	bool good = true;
	unsigned int i;

	for (i = 0; good && i < ARRAY_SIZE(sizes); i++)
		good = measure(&sizes[i], max_cpus);
	if (good)
		pr_info("end\t0\n");
	turn.over = true;
	complete(&turn.go);
	return 0;
}

static int start_on(unsigned int cpu, int (*fn)(void *unused))
{
	struct task_struct *task;

	task = kthread_create_on_cpu(fn, NULL, cpu, "xen_dma_bench/%u");
	if (IS_ERR(task))
		return PTR_ERR(task);
	wake_up_process(task);
	return 0;
}

/* Without a second CPU its thread waits on the first, and is only told to end. */
static int run_all(void)
{
	int ret;

	init_completion(&turn.go);
	init_completion(&turn.done);
	init_completion(&turn.gone);
	ret = start_on(cpu_online(1) ? 1 : 0, second_cpu);
	if (ret)
		return ret;
	ret = start_on(0, first_cpu);
	if (ret) {
		turn.over = true;
		complete(&turn.go);
	}
	wait_for_completion(&turn.gone);
	return ret;
}

static int make_aperture(void)
{
	size_t size;
	void *buf = xen_machine_buffer(&size);

	if (!buf)
		return -ENOMEM;
	xen_machine_reset();
	return xen_swiotlb_fixup(buf, size >> IO_TLB_SHIFT);
}

static int make_buffers(void)
{
	unsigned int order = get_order(SZ_64K), i;

	for (i = 0; i < CPUS; i++) {
		from[i] = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
						   order);
		to[i] = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
						 order);
		if (!from[i] || !to[i])
			return -ENOMEM;
	}
	return 0;
}

static void free_buffers(void)
{
	unsigned int order = get_order(SZ_64K), i;

	for (i = 0; i < CPUS; i++) {
		free_pages((unsigned long)from[i], order);
		free_pages((unsigned long)to[i], order);
	}
}

static int __init bench_init(void)
{
	int ret;

	if (!wanted)
		return 0;

	/* Its initialisation gives the device the generic pool, too. */
	dev = root_device_register("xen_dma_bench");
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	dev->dma_mask = &mask;
	dev->coherent_dma_mask = mask;

	ret = swiotlb_init_late(GENERIC_POOL, GFP_KERNEL, NULL);
	if (!ret)
		ret = make_buffers();
	if (!ret)
		ret = make_aperture();
	if (!ret) {
		ret = run_all();
		xen_pool_destroy();
	}
	if (ret)
		pr_err("could not run (%d)\n", ret);
	free_buffers();
	root_device_unregister(dev);
	return ret;
}
late_initcall(bench_init);
