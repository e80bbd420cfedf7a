/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Learning where the pages of an ARM domain are, from whoever can be asked.
 */
#ifndef __XEN_DMA_ARM_LEARN_H
#define __XEN_DMA_ARM_LEARN_H

#include <linux/types.h>

#include <xen/bus-ranges.h>

/* Pages that are asked about at a time. */
#define XEN_ASK_BATCH		128

/* The answer for a page of which nothing is told. */
#define XEN_NOWHERE		U64_MAX

/**
 * struct xen_asker - who can be asked where pages are
 * @ask:	asks about the first @nr of @pfn and answers in @machine; 0, or an error,
 *		and then there is no answer. May sleep.
 * @pfn:	frames for the domain, in Xen's pages
 * @machine:	machine addresses, or XEN_NOWHERE
 */
struct xen_asker {
	int (*ask)(struct xen_asker *asker, unsigned int nr);
	unsigned long pfn[XEN_ASK_BATCH];
	u64 machine[XEN_ASK_BATCH];
};

/**
 * struct xen_learning - asking for all of the domain's memory, step by step
 * @asker:	who asks
 * @ram:	the memory
 * @mapped:	pages from that one on are not mapped by the kernel (highmem)
 * @table:	what was told, not sealed
 * @pages:	of the memory
 * @left:	of these, how many are not asked about yet
 * @next:	which of the pages is the next, counted from the lowest; behind the last one
 *		follows the first
 * @any_left:	pages have left the domain since it began
 */
struct xen_learning {
	struct xen_asker *asker;
	const struct xen_bus_table *ram;
	unsigned long mapped;
	struct xen_bus_table table;
	unsigned long pages;
	unsigned long left;
	unsigned long next;
	bool any_left;
};

int xen_learn_begin(struct xen_learning *learning);
int xen_learn_next(struct xen_learning *learning, unsigned int batches);
int xen_learn_table(struct xen_learning *learning, struct xen_bus_table *table);
int xen_learn_returned(struct xen_asker *asker, const struct xen_bus_table *table);

#endif /* __XEN_DMA_ARM_LEARN_H */
