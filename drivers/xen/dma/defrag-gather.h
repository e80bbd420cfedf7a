/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Free blocks are put together in the machine. See defrag-gather.c; who has them is defrag.c.
 */
#ifndef __XEN_DMA_DEFRAG_GATHER_H
#define __XEN_DMA_DEFRAG_GATHER_H

#include <linux/spinlock.h>
#include <linux/types.h>

#include "defrag-policy.h"

struct page;

/**
 * struct xen_defrag_counters - what was done since boot
 * @rounds:	rounds of free page reporting
 * @looked:	pages that were looked at
 * @exchanged:	pages that were exchanged, and stay so
 * @none:	how often Xen had no extent
 * @low:	how often it had only one that is scarce
 * @refused:	regions that it did not take
 * @waited:	how often somebody ran out of memory, and waited for what was held
 * @ns:		nanoseconds that all this took
 */
struct xen_defrag_counters {
	unsigned long rounds;
	unsigned long looked;
	unsigned long exchanged;
	unsigned long none;
	unsigned long low;
	unsigned long refused;
	unsigned long waited;
	u64 ns;
};

/**
 * struct xen_defrag - what is known, and what was done
 * @lock:		protects @policy, and @count.exchanged, none and refused
 * @policy:		which extents to ask for
 * @count:		what was done
 * @memory_short:	others need memory: what is held is to go back soon
 * @low_is_scarce:	there is memory beyond what the narrower devices reach
 */
struct xen_defrag {
	/* Protects @policy, and some of @count. */
	spinlock_t lock;
	struct xen_defrag_policy policy;
	struct xen_defrag_counters count;
	bool memory_short;
	bool low_is_scarce;
};

extern struct xen_defrag xen_defrag;

unsigned int xen_defrag_wanted(void);
unsigned int xen_defrag_gather(struct page *page, unsigned int block, unsigned int order,
			       bool *changed);

#endif /* __XEN_DMA_DEFRAG_GATHER_H */
