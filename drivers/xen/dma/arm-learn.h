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

int xen_learn_memory(struct xen_asker *asker, const struct xen_bus_table *ram,
		     struct xen_bus_table *table);
int xen_learn_returned(struct xen_asker *asker, const struct xen_bus_table *table);

#endif /* __XEN_DMA_ARM_LEARN_H */
