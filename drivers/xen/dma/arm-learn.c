// SPDX-License-Identifier: GPL-2.0
/*
 * Making a table of what the hypervisor tells of each page of an ARM domain, in steps, and
 * learning anew of pages that have come back. Who asks the hypervisor is behind a function.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/sched.h>

#include <xen/page.h>

#include "arm-learn.h"

/* Pages all over the memory of which one at least has to be told, and the calls for them. */
#define XEN_SAMPLE_BATCHES	16
#define XEN_SAMPLES		(XEN_SAMPLE_BATCHES * XEN_ASK_BATCH)

/*
 * Puts a page into the table; what Xen does not tell of may be anywhere. One that has come
 * back keeps its note, for the table may come to nothing yet; it is asked about again. But
 * when others have left since they were put there, it may have the frame of one of them.
 */
static void learn_page(struct xen_learning *learning, unsigned long pfn, u64 machine)
{
	unsigned long was = xen_displaced(pfn);
	bool returned = was == XEN_MOVED && !learning->any_left && xen_has_returned(pfn);
	u64 phys = (u64)pfn << XEN_PAGE_SHIFT;

	/* What is on its way out, or another domain's. */
	if (!returned && was != XEN_IN_PLACE)
		return;

	if (machine == XEN_NOWHERE ||
	    xen_bus_add(&learning->table, phys, XEN_PAGE_SIZE, machine - phys))
		xen_note_moved(pfn, GFP_KERNEL);
}

/* The frame of the @nr-th page of memory; how many follow it in its piece goes to @run. */
static unsigned long page_at(const struct xen_bus_table *ram, unsigned long nr,
			     unsigned long *run)
{
	const struct xen_bus_range *range = ram->range;

	while (nr >= range->size >> XEN_PAGE_SHIFT)
		nr -= range++->size >> XEN_PAGE_SHIFT;

	*run = (range->size >> XEN_PAGE_SHIFT) - nr;
	return (range->start >> XEN_PAGE_SHIFT) + nr;
}

/*
 * Asks about every so many pages, from the @first sample on. Of those that it is told of and
 * that the kernel maps, the one that is lowest in the machine is where to begin.
 */
static int ask_samples(struct xen_learning *learning, unsigned int first)
{
	unsigned long step = max(learning->pages / XEN_SAMPLES, 1UL);
	unsigned long at = first * step, run;
	struct xen_asker *asker = learning->asker;
	u64 lowest = XEN_NOWHERE;
	unsigned int nr = 0, i;
	bool told = false;
	int rc;

	for (; at < learning->pages && nr < XEN_ASK_BATCH; nr++) {
		asker->pfn[nr] = page_at(learning->ram, at, &run);
		at += step * XEN_SAMPLE_BATCHES;
	}
	rc = nr ? asker->ask(asker, nr) : 0;
	if (rc)
		return rc;

	for (i = 0; i < nr; i++) {
		told |= asker->machine[i] != XEN_NOWHERE;
		if (asker->machine[i] < lowest && asker->pfn[i] < learning->mapped) {
			lowest = asker->machine[i];
			learning->next = (first + i * XEN_SAMPLE_BATCHES) * step;
		}
	}
	return told ? 0 : -ENODATA;
}

/**
 * xen_learn_begin() - find out whether the hypervisor tells of pages, and where to begin
 * @learning:	who asks, and the memory; the rest is zero
 *
 * Of pages all over the memory some are asked about. Where Xen maps no grants at all, it
 * tells of none, and nothing is to be taken for moved. Mostly the first call answers. The
 * lowest memory in the machine is worth most, so that is asked about first.
 *
 * Context: Process, may sleep; no page leaves the domain meanwhile.
 * Return: 0; -ENODATA when Xen tells of none of them; else what failed.
 */
int xen_learn_begin(struct xen_learning *learning)
{
	unsigned int i;
	int rc = -ENODATA;

	for (i = 0; i < learning->ram->nr; i++)
		learning->pages += learning->ram->range[i].size >> XEN_PAGE_SHIFT;
	for (i = 0; rc == -ENODATA && i < XEN_SAMPLE_BATCHES; i++) {
		rc = ask_samples(learning, i);
		cond_resched();
	}
	learning->left = rc ? 0 : learning->pages;
	return rc;
}

/**
 * xen_learn_next() - ask about the next pages
 * @learning:	after xen_learn_begin()
 * @batches:	how often to ask, for XEN_ASK_BATCH pages at most
 *
 * What is told goes into the table; @learning->left counts the pages that are not asked
 * about.
 *
 * Context: Process, may sleep; no page leaves the domain meanwhile.
 * Return: 0, or what failed. Then all that was told before is in the table.
 */
int xen_learn_next(struct xen_learning *learning, unsigned int batches)
{
	struct xen_asker *asker = learning->asker;

	for (; batches && learning->left; batches--) {
		unsigned long run, pfn = page_at(learning->ram, learning->next, &run);
		unsigned int nr = min3(run, learning->left, XEN_ASK_BATCH + 0UL), i;
		int rc;

		for (i = 0; i < nr; i++)
			asker->pfn[i] = pfn + i;
		rc = asker->ask(asker, nr);
		if (rc)
			return rc;
		for (i = 0; i < nr; i++)
			learn_page(learning, pfn + i, asker->machine[i]);
		learning->left -= nr;
		learning->next += nr;
		if (learning->next == learning->pages)
			learning->next = 0;
		cond_resched();
	}

	return 0;
}

/**
 * xen_learn_table() - what has been told so far
 * @learning:	after xen_learn_next()
 * @table:	an empty table, which is filled and sealed
 *
 * When nothing is left to be asked, @learning has no table any more.
 *
 * Context: Process, may sleep.
 * Return: 0; -EINVAL when what was told can't be; -ENOMEM. Then @table is empty.
 */
int xen_learn_table(struct xen_learning *learning, struct xen_bus_table *table)
{
	const char *wrong;

	if (!learning->left) {
		*table = learning->table;
		learning->table = (struct xen_bus_table) {};
	} else if (!xen_bus_copy(table, &learning->table)) {
		return -ENOMEM;
	}

	wrong = xen_bus_seal(table);
	if (wrong)
		return wrong == xen_bus_no_memory ? -ENOMEM : -EINVAL;
	return 0;
}

/* A frame that can be noted. On 32 bits one may lie beyond that, and counts as not told. */
static unsigned long frame_of(u64 machine)
{
	u64 frame = machine >> XEN_PAGE_SHIFT;

	return machine == XEN_NOWHERE || frame >= XEN_MOVED ? XEN_MOVED : frame;
}

/**
 * xen_learn_returned() - ask for pages that have come back
 * @asker:	who asks
 * @table:	where the domain's memory is
 *
 * Context: Process, may sleep; no page leaves the domain meanwhile.
 * Return: How many pages of XEN_ASK_BATCH at most were asked for, or an error.
 */
int xen_learn_returned(struct xen_asker *asker, const struct xen_bus_table *table)
{
	unsigned long pfn = xen_returned_next(0);
	unsigned int nr = 0, i;
	int rc;

	while (pfn != XEN_IN_PLACE && nr < XEN_ASK_BATCH) {
		asker->pfn[nr++] = pfn;
		pfn = xen_returned_next(pfn + 1);
	}
	rc = nr ? asker->ask(asker, nr) : 0;
	if (rc)
		return rc;

	for (i = 0; i < nr; i++) {
		u64 phys = (u64)asker->pfn[i] << XEN_PAGE_SHIFT;
		u64 machine = asker->machine[i];
		const struct xen_bus_range *range = xen_bus_find(table, phys);

		if (machine != XEN_NOWHERE && range && phys + range->offset == machine)
			xen_displaced_del(asker->pfn[i]);
		else
			xen_note_told(asker->pfn[i], frame_of(machine));
	}
	return nr;
}
