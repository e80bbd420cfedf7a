// SPDX-License-Identifier: GPL-2.0
/*
 * Free blocks are put together in the machine: what of a block is in pieces is exchanged with the
 * hypervisor for extents that are not. Nobody uses it meanwhile.
 */
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "defrag-gather.h"

/* Addresses of this width are scarce; of that one, not. */
#define LOW_WIDTH	32

/* Pages of one exchange at most: as many as the largest extent has. */
#define MOST_AT_ONCE	BIT(XEN_DEFRAG_MAX_ORDER)

/* For so many no memory is needed. */
#define NEED_NO_LIST	32UL

struct xen_defrag xen_defrag = {
	.lock = __SPIN_LOCK_UNLOCKED(xen_defrag.lock),
};

/**
 * xen_defrag_wanted() - which extents are to be made now
 *
 * Context: Process.
 * Return: log2 of their pages at most, 0 for none.
 */
unsigned int xen_defrag_wanted(void)
{
	unsigned int order;

	spin_lock(&xen_defrag.lock);
	order = xen_defrag_order(&xen_defrag.policy, get_jiffies_64());
	spin_unlock(&xen_defrag.lock);

	return order;
}

/*
 * Low memory is not to be spent for this where there is other, so it goes back. Xen gives it
 * last. Returns how many extents come before the first one that is low.
 */
static unsigned long return_low(phys_addr_t phys, unsigned int order, unsigned long nr)
{
	unsigned long i, first = nr;
	bool all;

	for (i = 0; xen_defrag.low_is_scarce && i < nr; i++, phys += PAGE_SIZE << order) {
		if (fls64(PFN_PHYS((u64)pfn_to_mfn(PFN_DOWN(phys)))) > LOW_WIDTH)
			continue;
		xen_defrag.count.low++;
		first = min(first, i);
		preempt_disable();
		xen_destroy_contiguous_region(phys, order, GFP_NOWAIT, &all);
		preempt_enable();
	}

	return first;
}

/* Does that say that there are no extents, or none for this domain? */
static bool says_none(int rc)
{
	return rc == -ENOMEM || rc == -EPERM || rc == -EACCES || rc == -EOPNOTSUPP;
}

/*
 * Notes how an exchange ended, and how many extents it made. What Xen refuses is as it was:
 * somebody maps a page of it.
 */
static void note(unsigned int order, int rc, unsigned long made)
{
	spin_lock(&xen_defrag.lock);
	xen_defrag.count.exchanged += made << order;
	if (made)
		xen_defrag_made(&xen_defrag.policy, order, made, get_jiffies_64());
	if (says_none(rc)) {
		xen_defrag.count.none++;
		xen_defrag_none(&xen_defrag.policy, order, get_jiffies_64());
	} else if (rc && rc != -ENOBUFS && !made) {
		/* Behind others it is tried once more, at the head. */
		xen_defrag.count.refused++;
	}
	spin_unlock(&xen_defrag.lock);
}

/*
 * Exchanges the pages of so many extents. Returns how many of them are done with; where that
 * is not all of them, the next one can't be had. *@changed tells that pages may hold anything.
 *
 * A domain is saved while all CPUs stand still, at a point where they may be preempted.
 * The pages must have frames there.
 */
static unsigned long exchange(phys_addr_t phys, unsigned int order, unsigned long nr,
			      bool *changed)
{
	unsigned long made, kept;
	int rc;

	preempt_disable();
	rc = xen_create_extents(phys, order, nr, GFP_NOWAIT, &made);
	if (rc == -ENOBUFS)
		rc = xen_create_extents(phys, order, max(NEED_NO_LIST >> order, 1UL),
					GFP_NOWAIT, &made);
	preempt_enable();
	/* Others need it more. */
	if (rc == -ENOBUFS)
		WRITE_ONCE(xen_defrag.memory_short, true);

	*changed |= made;
	kept = return_low(phys, order, made);
	note(order, kept < made ? -ENOMEM : rc, kept);

	return kept;
}

/* How many extents from there on are in pieces, until they have @most pages. */
static unsigned long count_pieces(phys_addr_t phys, phys_addr_t end, unsigned int order,
				  unsigned long most)
{
	size_t size = PAGE_SIZE << order;
	unsigned long nr = 0;

	while (phys < end && nr << order < most && !xen_region_contiguous(phys, size)) {
		phys += size;
		nr++;
	}

	return nr;
}

/**
 * xen_defrag_gather() - put a free block together
 * @page:	its first page, which nobody uses
 * @block:	log2 of its pages
 * @order:	log2 of the pages of the largest extents that may be made
 * @changed:	set when pages may hold anything now; else it stays
 *
 * Context: Process, may sleep. One at a time.
 * Return: @order, or the smaller one that Xen had; 0 for none.
 */
unsigned int xen_defrag_gather(struct page *page, unsigned int block, unsigned int order,
			       bool *changed)
{
	phys_addr_t phys = page_to_phys(page), end = phys + (PAGE_SIZE << block);
	unsigned long most = MOST_AT_ONCE;

	while (phys < end && order && !READ_ONCE(xen_defrag.memory_short)) {
		unsigned int extent = min(block, order);
		unsigned long nr = count_pieces(phys, end, extent, most), made;
		size_t size = PAGE_SIZE << extent;

		if (!nr) {
			phys += size;
			continue;
		}
		made = exchange(phys, extent, nr, changed);
		phys += made * size;
		order = min(order, xen_defrag_wanted());
		cond_resched();
		if (made)
			continue;
		/*
		 * There may be smaller ones. What can't be exchanged stays as it is. It may be no
		 * better with the next ones, and many at a time cost more in vain.
		 */
		most = 1;
		if (order >= extent)
			phys += size;
	}
	xen_defrag.count.looked += PFN_DOWN(phys - page_to_phys(page));

	return order;
}
