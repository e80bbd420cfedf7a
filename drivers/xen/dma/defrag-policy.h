/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Free memory is put together in the machine: which extents, and when. See defrag-policy.c.
 */
#ifndef __XEN_DMA_DEFRAG_POLICY_H
#define __XEN_DMA_DEFRAG_POLICY_H

#include <linux/types.h>

/* The largest extents that are made, log2 of their pages, and those that come first. */
#define XEN_DEFRAG_MAX_ORDER	9U
#define XEN_DEFRAG_FIRST_ORDER	3U
#define XEN_DEFRAG_ORDERS	(XEN_DEFRAG_MAX_ORDER + 1)

/**
 * struct xen_defrag_policy - what is known of demand and supply
 * @max_order:	log2 of the pages of the largest extents that may be made; 0 for none
 * @large_max:	pages of extents beyond XEN_DEFRAG_FIRST_ORDER that may be made in an hour
 * @fruitless:	rounds in a row that found nothing to do
 * @lately:	buffers of each order that straddled, fewer with each round that is past
 * @none_until:	of each order: when Xen may be asked again for one, in jiffies that don't
 *		wrap around
 * @none_for:	of each order: for how long it was not asked the last time, in seconds
 * @hour:	when the hour began that @large is counted in, in such jiffies
 * @large:	pages of extents beyond XEN_DEFRAG_FIRST_ORDER that were made in it
 */
struct xen_defrag_policy {
	unsigned int max_order;
	unsigned long large_max;
	unsigned int fruitless;
	unsigned long lately[XEN_DEFRAG_ORDERS];
	u64 none_until[XEN_DEFRAG_ORDERS];
	unsigned int none_for[XEN_DEFRAG_ORDERS];
	u64 hour;
	unsigned long large;
};

void xen_defrag_demand(struct xen_defrag_policy *policy,
		       const unsigned long *straddled);
unsigned int xen_defrag_order(const struct xen_defrag_policy *policy, u64 now);
void xen_defrag_none(struct xen_defrag_policy *policy, unsigned int order, u64 now);
void xen_defrag_made(struct xen_defrag_policy *policy, unsigned int order,
		     unsigned long nr, u64 now);
void xen_defrag_passed(struct xen_defrag_policy *policy, bool found);
unsigned int xen_defrag_pause(const struct xen_defrag_policy *policy);

#endif /* __XEN_DMA_DEFRAG_POLICY_H */
