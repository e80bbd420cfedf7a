// SPDX-License-Identifier: GPL-2.0
/*
 * Making a table of what the hypervisor tells of each page of an ARM domain, and learning
 * anew of pages that have come back. Who asks the hypervisor is behind a function.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/sched.h>

#include <xen/page.h>

#include "arm-learn.h"

static int ask_range(struct xen_asker *asker, unsigned long pfn, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		asker->pfn[i] = pfn + i;
	return asker->ask(asker, nr);
}

/*
 * Puts a page into the table; what Xen does not tell of may be anywhere. One that has come
 * back keeps its note, for the table may come to nothing yet; it is asked about again.
 */
static void learn_page(struct xen_bus_table *table, unsigned long pfn, u64 machine)
{
	unsigned long was = xen_displaced(pfn);
	bool returned = was == XEN_MOVED && xen_has_returned(pfn);
	u64 phys = (u64)pfn << XEN_PAGE_SHIFT;

	/* What is on its way out, or another domain's. */
	if (!returned && was != XEN_IN_PLACE)
		return;

	if (machine == XEN_NOWHERE ||
	    xen_bus_add(table, phys, XEN_PAGE_SIZE, machine - phys))
		xen_note_moved(pfn, GFP_KERNEL);
}

/*
 * Does the hypervisor tell of any page? Where it maps no grants at all, it does not, and
 * nothing is to be taken for moved. Mostly the first pages answer.
 */
static int look_for_answer(struct xen_asker *asker, const struct xen_bus_table *ram)
{
	unsigned int i, k;

	for (i = 0; i < ram->nr; i++) {
		unsigned long pfn = ram->range[i].start >> XEN_PAGE_SHIFT;
		unsigned long end = pfn + (ram->range[i].size >> XEN_PAGE_SHIFT);

		while (pfn < end) {
			unsigned int nr = min_t(unsigned long, XEN_ASK_BATCH,
						end - pfn);
			int rc = ask_range(asker, pfn, nr);

			if (rc)
				return rc;
			for (k = 0; k < nr; k++)
				if (asker->machine[k] != XEN_NOWHERE)
					return 0;
			pfn += nr;
			cond_resched();
		}
	}

	return -ENODATA;
}

static int learn_range(struct xen_asker *asker, const struct xen_bus_range *ram,
		       struct xen_bus_table *table)
{
	unsigned long pfn = ram->start >> XEN_PAGE_SHIFT;
	unsigned long end = pfn + (ram->size >> XEN_PAGE_SHIFT);

	while (pfn < end) {
		unsigned int nr = min_t(unsigned long, XEN_ASK_BATCH, end - pfn), i;
		int rc = ask_range(asker, pfn, nr);

		if (rc)
			return rc;
		for (i = 0; i < nr; i++)
			learn_page(table, pfn + i, asker->machine[i]);
		pfn += nr;
		cond_resched();
	}

	return 0;
}

/**
 * xen_learn_memory() - ask for every page of the domain's memory
 * @asker:	who asks
 * @ram:	the memory
 * @table:	an empty table, which is filled and sealed
 *
 * Context: Process, may sleep; no page leaves the domain meanwhile.
 * Return: 0; -ENODATA when Xen tells of no page, -EINVAL when what it tells can't be;
 * else what failed. @table is empty then.
 */
int xen_learn_memory(struct xen_asker *asker, const struct xen_bus_table *ram,
		     struct xen_bus_table *table)
{
	int rc = look_for_answer(asker, ram);
	unsigned int i;

	for (i = 0; !rc && i < ram->nr; i++)
		rc = learn_range(asker, &ram->range[i], table);
	if (!rc && xen_bus_seal(table))
		rc = -EINVAL;
	if (rc)
		xen_bus_free(table);
	return rc;
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

		if (machine == XEN_NOWHERE)
			xen_note_told(asker->pfn[i], XEN_MOVED);
		else if (range && phys + range->offset == machine)
			xen_displaced_del(asker->pfn[i]);
		else
			xen_note_told(asker->pfn[i], machine >> XEN_PAGE_SHIFT);
	}
	return nr;
}
