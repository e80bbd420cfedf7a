// SPDX-License-Identifier: GPL-2.0
/*
 * Free memory is put together in the machine: which extents, and when.
 *
 * Extents of 8 pages serve what is mapped most, the fragments of packets, and the hypervisor
 * has them where its memory is in pieces. Larger ones are made only for those who lately
 * straddled often, not where the hypervisor had none, and in an hour no more than the
 * domain could have had when it was built. Whoever is bounced for memory that is used, and
 * so can't be put together, would have the worker look in vain: it looks ever more seldom.
 */
#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/typecheck.h>

#include "defrag-policy.h"

/* So many buffers of an order that straddle make it worth larger extents. */
#define XEN_DEFRAG_OFTEN	16

/* Seconds for which Xen is not asked for what it does not have: at first, at most. */
#define XEN_NONE_FIRST		10U
#define XEN_NONE_LAST		3600U

/* Milliseconds from demand to a round, and how often they double: to half an hour. */
#define XEN_DEFRAG_PAUSE	1000
#define XEN_DEFRAG_DOUBLE	11U

#define XEN_DEFRAG_HOUR		((u64)3600 * HZ)

/**
 * xen_defrag_demand() - note who straddled
 * @policy:	policy
 * @straddled:	how many buffers of each order, beside those that were noted; the first is
 *		not looked at, as nothing helps them
 *
 * Context: One caller at a time, as all functions here.
 */
void xen_defrag_demand(struct xen_defrag_policy *policy,
		       const unsigned long *straddled)
{
	unsigned int i;

	for (i = 1; i < XEN_DEFRAG_ORDERS; i++)
		policy->lately[i] += straddled[i];
}

static bool may_have(const struct xen_defrag_policy *policy, unsigned int order,
		     u64 now)
{
	return !time_before64(now, policy->none_until[order]);
}

/* Have others of the host been deprived of enough large extents? */
static bool large_spent(const struct xen_defrag_policy *policy, u64 now)
{
	return policy->large >= policy->large_max &&
	       time_before64(now, policy->hour + XEN_DEFRAG_HOUR);
}

/**
 * xen_defrag_order() - how large the extents are to be
 * @policy:	policy
 * @now:	the time, in jiffies
 *
 * Return: log2 of their pages; 0 for none.
 */
unsigned int xen_defrag_order(const struct xen_defrag_policy *policy, u64 now)
{
	unsigned int order = XEN_DEFRAG_MAX_ORDER;

	while (order > XEN_DEFRAG_FIRST_ORDER &&
	       policy->lately[order] < XEN_DEFRAG_OFTEN)
		order--;
	if (large_spent(policy, now))
		order = min(order, XEN_DEFRAG_FIRST_ORDER);
	order = min(order, policy->max_order);
	while (order && !may_have(policy, order, now))
		order--;

	return order;
}

/**
 * xen_defrag_none() - note that Xen has no extent, or gives the domain none
 * @policy:	policy
 * @order:	log2 of its pages
 * @now:	the time, in jiffies
 *
 * Then there is no larger one either. Xen is not asked for such for a while, which
 * doubles from one time to the next.
 */
void xen_defrag_none(struct xen_defrag_policy *policy, unsigned int order, u64 now)
{
	for (; order < XEN_DEFRAG_ORDERS; order++) {
		unsigned int *seconds = &policy->none_for[order];

		if (!may_have(policy, order, now))
			continue;
		*seconds = clamp(2 * *seconds, XEN_NONE_FIRST, XEN_NONE_LAST);
		policy->none_until[order] = now + (u64)*seconds * HZ;
	}
}

/**
 * xen_defrag_made() - note that Xen has had extents
 * @policy:	policy
 * @order:	log2 of the pages of each
 * @nr:		how many
 * @now:	the time, in jiffies
 */
void xen_defrag_made(struct xen_defrag_policy *policy, unsigned int order,
		     unsigned long nr, u64 now)
{
	policy->none_for[order] = 0;
	if (order <= XEN_DEFRAG_FIRST_ORDER)
		return;
	if (!time_before64(now, policy->hour + XEN_DEFRAG_HOUR)) {
		policy->hour = now;
		policy->large = 0;
	}
	policy->large += nr << order;
}

/**
 * xen_defrag_passed() - note that a round is over
 * @policy:	policy
 * @found:	was there anything that could be done?
 */
void xen_defrag_passed(struct xen_defrag_policy *policy, bool found)
{
	unsigned int fruitless = min(policy->fruitless + 1, XEN_DEFRAG_DOUBLE), i;

	WRITE_ONCE(policy->fruitless, found ? 0 : fruitless);
	for (i = 0; i < XEN_DEFRAG_ORDERS; i++)
		policy->lately[i] /= 2;
}

/**
 * xen_defrag_pause() - how long to wait, from the next one that straddles to a round
 * @policy:	policy
 *
 * Context: Any.
 * Return: Milliseconds.
 */
unsigned int xen_defrag_pause(const struct xen_defrag_policy *policy)
{
	return XEN_DEFRAG_PAUSE << READ_ONCE(policy->fruitless);
}
