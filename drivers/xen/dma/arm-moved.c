// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of an ARM domain that come and go: what is not where the table says is noted.
 */
#include <linux/mm.h>
#include <linux/mutex.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include "arm.h"

/**
 * xen_dma_pages_leave() - pages are about to be given back to the hypervisor
 *
 * Who asks Xen where pages are holds the same mutex while it does, so no page is noted at
 * the frame that it is just leaving.
 *
 * Context: Process, may sleep; until xen_dma_pages_left().
 */
void xen_dma_pages_leave(void)
{
	mutex_lock(&xen_dma_mutex);
}

/**
 * xen_dma_pages_left() - pages have been given back to the hypervisor
 * @frames:	each one's first frame, in Xen's pages
 * @nr:		how many pages of the kernel's, or an error
 *
 * Others may come in their place, and then nobody tells where they are. What the
 * hypervisor has not taken is where it was.
 *
 * Context: Process, may sleep; after xen_dma_pages_leave().
 * Return: @nr.
 */
int xen_dma_pages_left(const xen_pfn_t *frames, int nr)
{
	int i, k;

	for (i = 0; i < nr && !xen_is_direct(); i++)
		for (k = 0; k < XEN_PFN_PER_PAGE; k++)
			xen_note_moved(frames[i] + k, GFP_NOIO | __GFP_NOWARN);
	if (nr > 0)
		xen_learn_left();
	mutex_unlock(&xen_dma_mutex);
	return nr;
}

/**
 * xen_dma_pages_return() - the hypervisor has given memory for pages that had left
 * @frames:	each one's first frame, in Xen's pages
 * @nr:		how many pages of the kernel's, or an error
 *
 * Xen is asked soon which memory that is.
 *
 * Context: Process, may sleep.
 * Return: @nr.
 */
int xen_dma_pages_return(const xen_pfn_t *frames, int nr)
{
	int i, k;

	if (xen_is_direct() || nr <= 0)
		return nr;

	mutex_lock(&xen_dma_mutex);
	for (i = 0; i < nr; i++)
		for (k = 0; k < XEN_PFN_PER_PAGE; k++)
			xen_note_returned(frames[i] + k);
	xen_ask_returned();
	mutex_unlock(&xen_dma_mutex);
	return nr;
}

/**
 * xen_dma_forget_foreign() - a page of another domain is no longer mapped
 * @pfn:	its frame for this domain, in Xen's pages
 *
 * Memory of the domain's own comes to its place, but who knows which.
 *
 * Context: Any.
 */
void xen_dma_forget_foreign(unsigned long pfn)
{
	unsigned long mfn = xen_displaced(pfn);

	if (mfn == XEN_IN_PLACE || mfn == XEN_MOVED)
		return;
	if (!xen_is_direct() && xen_bus_find(&xen_ram, (u64)pfn << XEN_PAGE_SHIFT))
		xen_note_moved(pfn, GFP_NOWAIT);
	else
		xen_displaced_del(pfn);
}
