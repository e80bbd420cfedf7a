// SPDX-License-Identifier: GPL-2.0
/*
 * Probing where all memory of an ARM domain is, without holding the boot.
 *
 * When the first device is set up, so much is asked as an aperture takes. A worker asks about
 * the rest, a group of pages at a time; in between others get the mutex, and pages may leave.
 * Each time that twice as much is known, everybody gets a larger table. What is not known
 * yet is bounced. Whoever can't do with what is known, and may sleep, learns on by himself:
 *
 *   a mask that no known memory lies below, coherent memory (not in atomic contexts), and a
 *   bus of which it is not clear what it leads to: until there is enough, or all is known;
 *   a domain with memory that the kernel does not map, which can't be bounced: all of it, when
 *   the first device is set up.
 *
 * A mapping may not sleep. If it has to be in place or is too large for the aperture, it fails
 * like one of pages that have moved.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/err.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "arm.h"
#include "arm-learn.h"

/* Calls, each for XEN_ASK_BATCH pages, until others get the mutex: 8 MiB. */
#define XEN_GROUP		16

/* There is a table first when so many pages have been asked about: those of a group. */
#define XEN_FIRST_PAGES		(XEN_GROUP * XEN_ASK_BATCH)

/* As long as there is memory to be asked about; under xen_dma_mutex. */
static struct xen_learning *xen_learning;

/* When so many pages have been asked about, there is a table again. */
static unsigned long xen_next_table;

/* Pages that are not asked about, and those that somebody waited for. */
static unsigned long xen_unasked;
static unsigned long xen_waited;

/* Nanoseconds that asking took, and those of them that somebody waited for. */
static u64 xen_ask_time;
static u64 xen_wait_time;

/* Pages that had been asked about when the last table was published; ULONG_MAX for all. */
static unsigned long xen_asked;

static void learn_work(struct work_struct *work);
static void fill_work(struct work_struct *work);
static DECLARE_WORK(xen_learn_work, learn_work);
static DECLARE_WORK(xen_fill_work, fill_work);

static unsigned long nr_asked(void)
{
	return xen_learning->pages - xen_learning->left;
}

/**
 * xen_learn_asked() - how many pages have been asked about
 *
 * Context: Process; under xen_dma_mutex.
 * Return: Pages of Xen's, as many as there can be when there is no more to be asked.
 */
unsigned long xen_learn_asked(void)
{
	return xen_learning ? nr_asked() : ULONG_MAX;
}

/* There is more for the aperture to be made of. */
static void fill_soon(unsigned long asked)
{
	WRITE_ONCE(xen_asked, asked);
	queue_work(system_freezable_wq, &xen_fill_work);
}

static int publish(void)
{
	struct xen_bus_table table = {};
	int rc = xen_learn_table(xen_learning, &table);

	/* Without memory for a larger table the last one does for a while. */
	if (rc == -ENOMEM && xen_learning->left) {
		xen_next_table = nr_asked() + XEN_FIRST_PAGES;
		return 0;
	}
	xen_next_table = 2 * nr_asked();
	if (table.nr) {
		xen_publish_table(&table);
		fill_soon(nr_asked());
	}
	return rc;
}

static void report(int rc)
{
	if (!xen_dma_table()->nr)
		pr_err("the hypervisor does not tell where memory is: error %d\n",
		       rc ?: -ENODATA);
	else if (rc)
		pr_err("it can't be learned where all memory is: error %d; what is not known is bounced\n",
		       rc);
	else
		pr_info("probed where memory is: %u ranges, in %llu ms, of which a device waited %llu ms\n",
			xen_dma_table()->nr, div_u64(xen_ask_time, NSEC_PER_MSEC),
			div_u64(xen_wait_time, NSEC_PER_MSEC));
}

/* What is known stays, be it all or not. */
static void end_learning(int rc)
{
	struct xen_learning *learning = xen_learning;

	xen_know_part(0);
	report(rc);
	xen_learning = NULL;
	fill_soon(ULONG_MAX);
	xen_asker_end(learning->asker);
	xen_bus_free(&learning->table);
	kfree(learning);
}

/*
 * Asks about a group of pages. After an error what was told before it is used, and there is no
 * more. Nobody may wait here for I/O that waits for a page to be known.
 */
static int learn_group(bool waits)
{
	unsigned long left = xen_learning->left;
	unsigned int noio = memalloc_noio_save();
	u64 begin = local_clock();
	int rc;

	rc = xen_learn_next(xen_learning, XEN_GROUP);
	WRITE_ONCE(xen_unasked, xen_learning->left);
	if (rc && xen_dma_table()->nr)
		publish();
	else if (!rc && (!xen_learning->left || nr_asked() >= xen_next_table))
		rc = publish();
	xen_ask_time += local_clock() - begin;
	if (waits) {
		xen_waited += left - xen_learning->left;
		xen_wait_time += local_clock() - begin;
	}
	if (rc || !xen_learning->left)
		end_learning(rc);
	memalloc_noio_restore(noio);
	return rc;
}

/**
 * xen_learn_on() - ask about more of the memory
 *
 * Until there is a larger table.
 *
 * Context: Process, may sleep; under xen_dma_mutex.
 * Return: Whether there was anything to be asked.
 */
bool xen_learn_on(void)
{
	const struct xen_bus_table *table = xen_dma_table();

	if (!xen_learning)
		return false;

	while (xen_learning && xen_dma_table() == table)
		learn_group(true);
	return true;
}

/**
 * xen_learn_more() - wait until more of the memory is known
 *
 * Whoever has not found what he needs looks whether xen_is_learning() before he looks for it,
 * and comes again if it was so. Pages may leave meanwhile.
 *
 * Context: Process, may sleep.
 */
void xen_learn_more(void)
{
	const struct xen_bus_table *table = NULL;
	bool goes_on;

	do {
		mutex_lock(&xen_dma_mutex);
		table = table ?: xen_dma_table();
		goes_on = xen_learning && xen_dma_table() == table;
		if (goes_on)
			learn_group(true);
		mutex_unlock(&xen_dma_mutex);
	} while (goes_on);
}

/**
 * xen_learn_left() - pages have left the domain
 *
 * Context: Process; under xen_dma_mutex.
 */
void xen_learn_left(void)
{
	if (xen_learning)
		xen_learning->any_left = true;
}

/* A group at a time, so that others get the mutex and the worker's thread. */
static void learn_work(struct work_struct *work)
{
	bool goes_on;

	mutex_lock(&xen_dma_mutex);
	if (xen_learning)
		learn_group(false);
	goes_on = xen_learning;
	mutex_unlock(&xen_dma_mutex);
	if (goes_on)
		queue_work(system_freezable_wq, &xen_learn_work);
}

/* By itself: it may wait for I/O that waits for what the other one learns. */
static void fill_work(struct work_struct *work)
{
	unsigned int noio = memalloc_noio_save();

	xen_aperture_fill(READ_ONCE(xen_asked));
	memalloc_noio_restore(noio);
}

/* Gets ready to ask about all memory, and knows then that there are answers. */
static int begin_learning(void)
{
	struct xen_learning *learning = kzalloc(sizeof(*learning), GFP_KERNEL);
	struct xen_asker *asker = xen_asker_begin();
	int rc = learning ? PTR_ERR_OR_ZERO(asker) : -ENOMEM;

	if (!rc) {
		learning->asker = asker;
		learning->ram = &xen_ram;
		learning->mapped = (virt_to_phys(high_memory - 1) >> XEN_PAGE_SHIFT) + 1;
		rc = xen_learn_begin(learning);
	}
	if (!rc) {
		xen_learning = learning;
		WRITE_ONCE(xen_unasked, learning->left);
		return 0;
	}

	if (!IS_ERR(asker))
		xen_asker_end(asker);
	kfree(learning);
	return rc;
}

/**
 * xen_probe_memory() - ask where the domain's memory is
 *
 * A part of it at least is known then, and a worker asks about the rest.
 *
 * Context: Process, may sleep; under xen_dma_mutex.
 * Return: 0; -ENODATA when Xen tells of no page; else what failed. There is a message.
 */
int xen_probe_memory(void)
{
	u64 begin = local_clock();
	int rc = begin_learning();

	xen_wait_time = local_clock() - begin;
	xen_ask_time = xen_wait_time;
	if (rc) {
		report(rc);
		return rc;
	}

	xen_know_part(xen_arm_last_of_machine());
	xen_next_table = XEN_FIRST_PAGES;
	/* What the kernel does not map it can't bounce. */
	while (xen_learning && (!xen_dma_table()->nr || xen_any_no_map))
		rc = learn_group(true);
	if (!xen_dma_table()->nr)
		return rc ?: -ENODATA;

	xen_source = XEN_DMA_PROBED;
	queue_work(system_freezable_wq, &xen_learn_work);
	return 0;
}

/**
 * xen_learn_show() - tell what is still to be asked
 * @s:	debugfs file
 *
 * Context: Process, may sleep.
 */
void xen_learn_show(struct seq_file *s)
{
	seq_printf(s, "unasked %lu\nwaited %lu\n", READ_ONCE(xen_unasked),
		   READ_ONCE(xen_waited));
}
