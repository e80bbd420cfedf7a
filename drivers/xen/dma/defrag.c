// SPDX-License-Identifier: GPL-2.0
/*
 * Free memory is put together in the machine, before anybody maps it.
 *
 * A domain that was built of single pages, or has been given pages by the balloon, has
 * buffers whose pages follow each other for the kernel only. Each mapping of such a one
 * is bounced, for all devices. So free blocks that are in pieces are exchanged for extents
 * that are not. They hold nothing, and nobody uses them.
 *
 * Which blocks are free, the kernel's free page reporting tells (mm/page_reporting.c), as
 * it does to balloons: it takes up to 32 at a time out of the page allocator's lists, comes
 * by every other second with a sixteenth of what is free, and puts a mark on what it has
 * shown, so that it comes once until it is used. It leaves the lowest watermark. Below
 * the next one little is done at a time. It is asked as long as somebody is bounced for being in
 * pieces, and as it finds something.
 *
 * Two promises of the page allocator's about free memory are kept: that it is zeroed
 * (init_on_free=), or holds a pattern (page_poison=). Where it is not even mapped
 * (debug_pagealloc=) nothing is done.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/oom.h>
#include <linux/page_reporting.h>
#include <linux/percpu.h>
#include <linux/pfn.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/isolation.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>
#include <xen/xenbus.h>

#include "addr.h"
#include "compat.h"
#include "defrag-gather.h"
#include "defrag.h"

/* Seconds of a round, after which somebody must have straddled, and something been done. */
#define ROUND		60

/* Seconds after which CPUs lose again what they keep at hand. */
#define DRAIN		10

/* Rounds for which nobody may straddle. */
#define QUIET_ROUNDS	2

/* In early boot: how many places of the memory are looked at, and for how long work is done. */
#define BOOT_LOOKS	1024
#define BOOT_MS		2000

/* Seconds from the end of the initial file system to a look at what it was in. */
#define AFTER_BOOT	11

/* What free page reporting has shown at least; the smallest that can be in pieces. */
#define REPORT_ORDER	1

/* Pages that are exchanged at a time where others soon need memory. */
#define FEW_PAGES	1024

/* What was shown before was put together to extents of that order. Under the policy's lock. */
static unsigned int shown_order;

/*
 * Held while blocks are out of the page allocator's lists; how many pages they have, until
 * somebody has waited for them.
 */
static DEFINE_MUTEX(batch_lock);
static unsigned long batch_pages;

/* The worker's: what had straddled, and been exchanged, when the round began; rounds without. */
static unsigned long seen[XEN_DEFRAG_ORDERS];
static unsigned long exchanged_before;
static unsigned int quiet;

/* The domain has other frames than those it was shown with. */
static bool moved;

/* Somebody has straddled since boot; the balloon has given memory, which the worker is to know. */
static bool demanded;
static bool came;

static bool enabled;
static bool reporting;

/* Had the memory been in pieces when there were no drivers yet? */
static bool was_built_of_pieces __initdata;

static void defrag_worker(struct work_struct *work);
static DECLARE_DELAYED_WORK(defrag_work, defrag_worker);

static void wake_worker(struct irq_work *work);
static DEFINE_IRQ_WORK(wake_work, wake_worker);

static void drain_all(struct work_struct *work);
static DECLARE_DELAYED_WORK(drain_work, drain_all);
static DEFINE_PER_CPU(struct work_struct, drain_cpu);

static int __init set_defrag(char *arg)
{
	unsigned int order;

	if (!xen_may_be_dma_domain())
		return 0;
	if (arg && !strcmp(arg, "off"))
		xen_defrag.policy.max_order = 0;
	else if (arg && !strcmp(arg, "auto"))
		xen_defrag.policy.max_order = XEN_DEFRAG_MAX_ORDER;
	else if (arg && !kstrtouint(arg, 10, &order) && order &&
		 order <= XEN_DEFRAG_MAX_ORDER)
		xen_defrag.policy.max_order = order;
	else
		pr_warn("xen_dma.defrag=%s: ignored, it takes off, auto, or an order from 1 to %u\n",
			arg ?: "", XEN_DEFRAG_MAX_ORDER);
	return 0;
}
early_param("xen_dma.defrag", set_defrag);

/* The page allocator promises something of free pages, and theirs are new. */
static void keep_promises(struct page *page, unsigned int order)
{
	unsigned int i;

	kernel_poison_pages(page, 1 << order);
	if (want_init_on_free())
		for (i = 0; i < 1 << order; i++)
			clear_highpage_kasan_tagged(page + i);
}

static unsigned long pages_of(struct scatterlist *sgl, unsigned int nents)
{
	struct scatterlist *sg;
	unsigned long pages = 0;
	unsigned int i;

	for_each_sg(sgl, sg, nents, i)
		pages += PFN_DOWN(sg->length);
	return pages;
}

/* Would others soon have to reclaim memory? All blocks are of one zone. */
static bool is_tight(struct page *page)
{
	struct zone *zone = page_zone(page);

	return zone_page_state(zone, NR_FREE_PAGES) < low_wmark_pages(zone);
}

/*
 * Puts blocks together, as many as may be, and returns the order of extents that Xen had. Has
 * *@done say whether it were all.
 */
static unsigned int gather_all(struct scatterlist *sgl, unsigned int nents, bool *done)
{
	unsigned long most = is_tight(sg_page(sgl)) ? FEW_PAGES : ULONG_MAX;
	unsigned long before = xen_defrag.count.exchanged;
	unsigned int order = xen_defrag_wanted(), i;
	struct scatterlist *sg;

	for_each_sg(sgl, sg, nents, i) {
		unsigned int block = get_order(sg->length);
		bool changed = false;

		if (!order || xen_defrag.count.exchanged - before >= most)
			break;
		order = xen_defrag_gather(sg_page(sg), block, order, &changed);
		if (changed)
			keep_promises(sg_page(sg), block);
	}
	*done = i == nents && order && !READ_ONCE(xen_defrag.memory_short);

	return order;
}

/* Free page reporting shows free blocks. With an error it stops, and shows them again some day. */
static int report(struct page_reporting_dev_info *info, struct scatterlist *sgl,
		  unsigned int nents)
{
	u64 start = ktime_get_ns();
	unsigned int order;
	bool done;

	mutex_lock(&batch_lock);
	WRITE_ONCE(xen_defrag.memory_short, false);
	WRITE_ONCE(batch_pages, pages_of(sgl, nents));
	order = gather_all(sgl, nents, &done);
	spin_lock(&xen_defrag.lock);
	shown_order = min(shown_order, order);
	spin_unlock(&xen_defrag.lock);
	xen_defrag.count.ns += ktime_get_ns() - start;
	mutex_unlock(&batch_lock);

	return done ? 0 : -EAGAIN;
}

static struct page_reporting_dev_info info = {
	.report = report,
	.order = REPORT_ORDER,
};

/*
 * Whoever runs out of memory waits for what is held, before anybody is killed, and for a
 * moment in which it gets to the page allocator. Once for each batch, be it over already.
 */
static int give_back_soon(struct notifier_block *nb, unsigned long unused, void *freed)
{
	unsigned long pages = xchg(&batch_pages, 0);

	if (!pages)
		return NOTIFY_OK;
	WRITE_ONCE(xen_defrag.memory_short, true);
	mutex_lock(&batch_lock);
	xen_defrag.count.waited++;
	mutex_unlock(&batch_lock);
	schedule_timeout_uninterruptible(1);
	*(unsigned long *)freed += pages;
	return NOTIFY_OK;
}

static struct notifier_block oom_nb = {
	.notifier_call = give_back_soon,
};

static void forget_block(struct zone *zone, unsigned long pfn)
{
	unsigned long end = min(pfn + pageblock_nr_pages, zone_end_pfn(zone));

	spin_lock_irq(&zone->lock);
	while (pfn < end) {
		struct page *page = pfn_to_online_page(pfn);

		if (page && page_zone(page) == zone && PageBuddy(page)) {
			__ClearPageReported(page);
			pfn += 1UL << page_private(page);
		} else {
			pfn++;
		}
	}
	spin_unlock_irq(&zone->lock);
}

/*
 * What was shown is to be shown again: it may be put together better. The page allocator's lists
 * may be long, so this goes by where memory is.
 */
static void forget_shown(void)
{
	unsigned long pfn;
	struct zone *zone;

	for_each_populated_zone(zone)
		for (pfn = zone->zone_start_pfn; pfn < zone_end_pfn(zone);
		     pfn = ALIGN(pfn + 1, pageblock_nr_pages)) {
			forget_block(zone, pfn);
			cond_resched();
		}
}

/* Returns whether anybody straddled since the last time. */
static bool note_demand(void)
{
	unsigned long fresh[XEN_DEFRAG_ORDERS] = { };
	bool any = false;
	unsigned int i;

	for (i = 1; i < XEN_DEFRAG_ORDERS; i++) {
		unsigned long sum = xen_straddled(i);

		fresh[i] = sum - seen[i];
		seen[i] = sum;
		any |= fresh[i];
	}
	spin_lock(&xen_defrag.lock);
	xen_defrag_demand(&xen_defrag.policy, fresh);
	spin_unlock(&xen_defrag.lock);

	return any;
}

static void end_round(bool found)
{
	spin_lock(&xen_defrag.lock);
	xen_defrag_passed(&xen_defrag.policy, found);
	spin_unlock(&xen_defrag.lock);
}

/* A round with extents of that order. */
static void begin_round(unsigned int order)
{
	bool again = xchg(&moved, false);

	spin_lock(&xen_defrag.lock);
	again |= order > shown_order;
	shown_order = order;
	xen_defrag.policy.large_max = totalram_pages();
	spin_unlock(&xen_defrag.lock);
	exchanged_before = READ_ONCE(xen_defrag.count.exchanged);
	/* At first nothing has been shown. */
	if (xen_defrag.count.rounds++ && again)
		forget_shown();
	mod_delayed_work(system_dfl_wq, &defrag_work, ROUND * HZ);
}

/* Its CPU may be gone. */
static void drain(struct work_struct *work)
{
	migrate_disable();
	drain_local_pages(NULL);
	migrate_enable();
}

/*
 * What CPUs keep at hand is in no list that anything is shown of, and is what whoever allocates
 * gets first. Nobody waits for it: a CPU may be busy for ever. Isolated ones are left alone.
 */
static void drain_all(struct work_struct *work)
{
	unsigned int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu)
		if (!cpu_is_isolated(cpu))
			schedule_work_on(cpu, per_cpu_ptr(&drain_cpu, cpu));
	cpus_read_unlock();
	if (READ_ONCE(reporting))
		queue_delayed_work(system_dfl_wq, &drain_work, DRAIN * HZ);
}

static bool start_reporting(void)
{
	int rc = page_reporting_register(&info);

	if (rc)
		pr_warn_once("free memory is not put together, somebody else is shown it: %d\n",
			     rc);
	WRITE_ONCE(reporting, !rc);
	if (!rc)
		mod_delayed_work(system_dfl_wq, &drain_work, 0);
	return !rc;
}

/*
 * Begins when somebody straddles, and looks at each round's end whether to go on. It is not
 * frozen: it waits for whom it tells to end, who may be, and exchanges nothing itself.
 */
static void defrag_worker(struct work_struct *work)
{
	bool fresh = xchg(&came, false);
	bool found = fresh || READ_ONCE(xen_defrag.count.exchanged) != exchanged_before;
	bool wanted = note_demand();
	unsigned int order = xen_defrag_wanted();

	if (!reporting) {
		quiet = 0;
		if (fresh)
			end_round(true);
		found = order && start_reporting();
	} else {
		quiet = wanted ? 0 : quiet + 1;
		end_round(found);
	}
	if (found && order && quiet < QUIET_ROUNDS) {
		begin_round(order);
		return;
	}
	/* What comes from now on calls for the next look. */
	if (xchg(&reporting, false))
		page_reporting_unregister(&info);
	else
		end_round(false);
	xen_defrag_rearm();
	/* Of what came while it was at work nobody was told. */
	if (READ_ONCE(came))
		irq_work_queue(&wake_work);
}

/*
 * The worker is not called where somebody maps: he may hold any lock. Memory that comes is worth a
 * look however long there was nothing to do; what comes before that look does not put it off.
 */
static void wake_worker(struct irq_work *work)
{
	if (READ_ONCE(came))
		mod_delayed_work(system_dfl_wq, &defrag_work, HZ);
	else
		queue_delayed_work(system_dfl_wq, &defrag_work,
				   msecs_to_jiffies(xen_defrag_pause(&xen_defrag.policy)));
}

static void wake_soon(void)
{
	WRITE_ONCE(demanded, true);
	irq_work_queue(&wake_work);
}

/**
 * xen_dma_memory_came() - the domain was given pages, which are in pieces
 *
 * That is nothing to a domain in which nobody ever straddled.
 *
 * Context: Any.
 */
void xen_dma_memory_came(void)
{
	if (READ_ONCE(demanded) && !xchg(&came, true) && !READ_ONCE(reporting))
		irq_work_queue(&wake_work);
}

/**
 * xen_defrag_moved() - the domain has other frames
 *
 * Context: Any.
 */
void xen_defrag_moved(void)
{
	WRITE_ONCE(moved, true);
}

/* Was the domain built of small pieces? */
static bool __init built_of_pieces(void)
{
	unsigned long step = max(1UL << XEN_DEFRAG_FIRST_ORDER, max_pfn / BOOT_LOOKS);
	unsigned long pfn, mfn, looks = 0, pieces = 0;

	step = round_up(step, 1UL << XEN_DEFRAG_FIRST_ORDER);
	for (pfn = step; pfn < max_pfn; pfn += step) {
		mfn = pfn_valid(pfn) ? __pfn_to_mfn(pfn) : INVALID_P2M_ENTRY;
		/* Neither memory that is absent, nor registers. */
		if (mfn & (FOREIGN_FRAME_BIT | IDENTITY_FRAME_BIT))
			continue;
		looks++;
		pieces += !xen_region_contiguous(PFN_PHYS(pfn),
						 PAGE_SIZE << XEN_DEFRAG_FIRST_ORDER);
	}
	return pieces > looks / 8;
}

/* Does little more remain of its zone than the lowest watermark? */
static bool __init is_nearly_all(struct page *page)
{
	struct zone *zone = page_zone(page);

	return 2 * zone_page_state(zone, NR_FREE_PAGES) <
	       min_wmark_pages(zone) + low_wmark_pages(zone);
}

/*
 * All that is free but a little, while nobody else needs memory yet. It is held until the end,
 * or the page allocator would give the same blocks again. Freeing keeps its promises, whatever
 * changed.
 */
static void __init put_together_at_boot(void)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE & ~__GFP_RECLAIM;
	unsigned int block = MAX_PAGE_ORDER, order = XEN_DEFRAG_FIRST_ORDER;
	u64 start = ktime_get_ns(), end = start + (u64)BOOT_MS * NSEC_PER_MSEC, took;
	struct page *page, *next;
	bool changed = false;
	LIST_HEAD(held);

	order = min(order, xen_defrag.policy.max_order);
	while (block >= order && order && ktime_get_ns() < end && !xen_defrag.memory_short) {
		page = alloc_pages(gfp | __GFP_NOWARN | __GFP_NORETRY, block);
		if (!page) {
			block--;
			continue;
		}
		if (is_nearly_all(page)) {
			__free_pages(page, block--);
			continue;
		}
		set_page_private(page, block);
		list_add(&page->lru, &held);
		order = xen_defrag_gather(page, block, order, &changed);
	}
	list_for_each_entry_safe(page, next, &held, lru) {
		list_del(&page->lru);
		block = page_private(page);
		set_page_private(page, 0);
		__free_pages(page, block);
	}
	took = ktime_get_ns() - start;
	xen_defrag.count.ns += took;
	pr_info("the domain was built of small pieces: %lu pages are put together in %llu ms\n",
		xen_defrag.count.exchanged, took / NSEC_PER_MSEC);
}

/*
 * What the initial file system was in has been freed, and nobody has looked at it. Whoever is
 * at work sees it. Then Xen may be asked again for what it did not have when the domain booted.
 */
static void look_after_boot(struct work_struct *work)
{
	wait_for_initramfs();
	if (!READ_ONCE(reporting))
		queue_delayed_work(system_dfl_wq, &defrag_work, AFTER_BOOT * HZ);
}

static DECLARE_WORK(after_boot, look_after_boot);

static int __init xen_defrag_late_init(void)
{
	if (READ_ONCE(enabled) && was_built_of_pieces)
		queue_work(system_dfl_wq, &after_boot);
	return 0;
}
late_initcall(xen_defrag_late_init);

/* Before there are drivers. A domain without devices would only take from others. */
static int __init xen_defrag_init(void)
{
	unsigned int cpu;

	if (!xen_pv_domain() || !xen_defrag.policy.max_order)
		return 0;
	if (debug_pagealloc_enabled_static()) {
		pr_info("free memory is not put together, with debug_pagealloc=on\n");
		return 0;
	}

	xen_defrag.low_is_scarce = xen_required_dma_mask() > DMA_BIT_MASK(32);
	if ((xen_initial_domain() || xenbus_exists(XBT_NIL, "device", "pci")) &&
	    built_of_pieces()) {
		was_built_of_pieces = true;
		put_together_at_boot();
	}
	for_each_possible_cpu(cpu)
		INIT_WORK(per_cpu_ptr(&drain_cpu, cpu), drain);
	register_oom_notifier(&oom_nb);
	WRITE_ONCE(enabled, true);
	xen_defrag_call(wake_soon);
	return 0;
}
fs_initcall(xen_defrag_init);

static void show_state(struct seq_file *s)
{
	if (!enabled)
		seq_puts(s, "state off\n");
	else if (READ_ONCE(reporting))
		seq_puts(s, "state working\n");
	else if (work_busy(&defrag_work.work))
		seq_puts(s, "state waiting\n");
	else
		seq_puts(s, "state idle\n");
}

/**
 * xen_defrag_show() - tell what was done
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_defrag_show(struct seq_file *s)
{
	unsigned int i;

	show_state(s);
	for (i = 1; i < XEN_DEFRAG_ORDERS; i++)
		seq_printf(s, "straddled-%u %lu\n", i, xen_straddled(i));
	seq_printf(s, "straddled-larger %lu\n", xen_straddled(0));
	seq_printf(s, "rounds %lu\n", READ_ONCE(xen_defrag.count.rounds));
	seq_printf(s, "looked %lu\n", READ_ONCE(xen_defrag.count.looked));
	seq_printf(s, "exchanged %lu\n", READ_ONCE(xen_defrag.count.exchanged));
	seq_printf(s, "none %lu\n", READ_ONCE(xen_defrag.count.none));
	seq_printf(s, "low %lu\n", READ_ONCE(xen_defrag.count.low));
	seq_printf(s, "refused %lu\n", READ_ONCE(xen_defrag.count.refused));
	seq_printf(s, "waited %lu\n", READ_ONCE(xen_defrag.count.waited));
	seq_printf(s, "microseconds %llu\n", READ_ONCE(xen_defrag.count.ns) / NSEC_PER_USEC);
}
