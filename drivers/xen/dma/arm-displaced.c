// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of an ARM domain that are elsewhere than the table of ranges says: those of other
 * domains that a grant maps, each at a frame of its own, and those that have been given
 * back to the hypervisor at some time. Of these nothing is known, until they have come
 * back and the hypervisor has been asked. They are kept by their frame number; a look-up
 * takes no lock.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/printk.h>
#include <linux/xarray.h>

#include <xen/bus-ranges.h>

DEFINE_XARRAY_FLAGS(xen_displaced_pages, XA_FLAGS_LOCK_IRQ);

/* A page that has moved could not be noted: from then on every page may be one. */
bool xen_all_moved;

/* Moved, but there is memory in its place again, of which Xen has not been asked. */
#define XEN_RETURNED		XA_MARK_0

/* The domain's own, at a frame that Xen has told. */
#define XEN_OWN			XA_MARK_1

/* Under the lock, but that goes if @gfp may block. */
static int store(unsigned long pfn, unsigned long mfn, gfp_t gfp)
{
	int rc = xa_err(__xa_store(&xen_displaced_pages, pfn, xa_mk_value(mfn),
				   gfp));

	if (!rc) {
		__xa_clear_mark(&xen_displaced_pages, pfn, XEN_RETURNED);
		__xa_clear_mark(&xen_displaced_pages, pfn, XEN_OWN);
	}
	return rc;
}

/**
 * xen_displaced_add() - note that a page is elsewhere
 * @pfn:	its frame for the domain, in Xen's pages
 * @mfn:	its frame in the machine, or XEN_MOVED
 * @gfp:	GFP_NOWAIT, or what may sleep
 *
 * Context: As @gfp says.
 * Return: 0, or -ENOMEM, and then nothing is changed.
 */
int xen_displaced_add(unsigned long pfn, unsigned long mfn, gfp_t gfp)
{
	unsigned long flags;
	int rc;

	if (gfpflags_allow_blocking(gfp)) {
		xa_lock_irq(&xen_displaced_pages);
		rc = store(pfn, mfn, gfp);
		xa_unlock_irq(&xen_displaced_pages);
		return rc;
	}

	xa_lock_irqsave(&xen_displaced_pages, flags);
	rc = store(pfn, mfn, gfp);
	xa_unlock_irqrestore(&xen_displaced_pages, flags);
	return rc;
}

/**
 * xen_displaced_del() - note that a page is where the ranges say, or gone
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * Context: Any.
 */
void xen_displaced_del(unsigned long pfn)
{
	unsigned long flags;

	xa_lock_irqsave(&xen_displaced_pages, flags);
	__xa_erase(&xen_displaced_pages, pfn);
	xa_unlock_irqrestore(&xen_displaced_pages, flags);
}

/**
 * xen_displaced_next() - find a displaced page
 * @first:	the first frame to look at, in Xen's pages
 * @last:	the last one
 *
 * Context: Any.
 * Return: The first one's frame, XEN_IN_PLACE when there is none.
 */
unsigned long xen_displaced_next(unsigned long first, unsigned long last)
{
	if (READ_ONCE(xen_all_moved))
		return first;
	return xa_find(&xen_displaced_pages, &first, last, XA_PRESENT) ?
	       first : XEN_IN_PLACE;
}

/**
 * xen_displaced() - where is a page?
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * Context: Any.
 * Return: Its frame in the machine, XEN_MOVED for one that may be anywhere,
 * XEN_IN_PLACE for one that is where the ranges say.
 */
unsigned long xen_displaced(unsigned long pfn)
{
	void *value = xa_load(&xen_displaced_pages, pfn);

	if (xa_is_value(value))
		return xa_to_value(value);
	return READ_ONCE(xen_all_moved) ? XEN_MOVED : XEN_IN_PLACE;
}

/**
 * xen_note_moved() - note that a page may be anywhere
 * @pfn:	its frame for the domain, in Xen's pages
 * @gfp:	for the note
 *
 * What can't be noted must not be used at all.
 *
 * Context: Any, when @gfp may not block.
 */
void xen_note_moved(unsigned long pfn, gfp_t gfp)
{
	if (xen_displaced_add(pfn, XEN_MOVED, gfp) &&
	    !xchg(&xen_all_moved, true))
		pr_warn("no memory to note which pages have moved: all DMA is bounced from now on\n");
}

/**
 * xen_note_returned() - note that there is memory in a moved page's place again
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * Context: Any.
 */
void xen_note_returned(unsigned long pfn)
{
	unsigned long flags;

	xa_lock_irqsave(&xen_displaced_pages, flags);
	if (xa_load(&xen_displaced_pages, pfn) == xa_mk_value(XEN_MOVED))
		__xa_set_mark(&xen_displaced_pages, pfn, XEN_RETURNED);
	xa_unlock_irqrestore(&xen_displaced_pages, flags);
}

/**
 * xen_note_told() - note what Xen has told of a page that has returned
 * @pfn:	its frame for the domain, in Xen's pages
 * @mfn:	its frame in the machine, or XEN_MOVED when Xen did not tell
 *
 * What is noted otherwise by now stays. Xen is not asked again before the page returns
 * again.
 *
 * Context: Any.
 */
void xen_note_told(unsigned long pfn, unsigned long mfn)
{
	unsigned long flags;

	xa_lock_irqsave(&xen_displaced_pages, flags);
	/* In the place of a note there is always room for one. */
	if (xa_get_mark(&xen_displaced_pages, pfn, XEN_RETURNED) &&
	    !store(pfn, mfn, GFP_NOWAIT) && mfn != XEN_MOVED)
		__xa_set_mark(&xen_displaced_pages, pfn, XEN_OWN);
	xa_unlock_irqrestore(&xen_displaced_pages, flags);
}

/**
 * xen_has_returned() - has a page returned, of which Xen has not been asked?
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * Context: Any.
 * Return: Whether it has.
 */
bool xen_has_returned(unsigned long pfn)
{
	return xa_get_mark(&xen_displaced_pages, pfn, XEN_RETURNED);
}

/**
 * xen_returned_next() - find a page that has returned, of which Xen has not been asked
 * @first:	the first frame to look at, in Xen's pages
 *
 * Context: Any.
 * Return: The first one's frame, XEN_IN_PLACE when there is none.
 */
unsigned long xen_returned_next(unsigned long first)
{
	return xa_find(&xen_displaced_pages, &first, ULONG_MAX, XEN_RETURNED) ?
	       first : XEN_IN_PLACE;
}

/**
 * xen_displaced_count() - count displaced pages
 * @moved:	where the number of those goes that may be anywhere
 * @own:	where the number of those goes that are the domain's, where Xen told
 *
 * Context: Process.
 * Return: The number of all others, which are other domains'.
 */
unsigned long xen_displaced_count(unsigned long *moved, unsigned long *own)
{
	unsigned long pfn, all = 0;
	void *entry;

	*moved = 0;
	*own = 0;
	xa_for_each(&xen_displaced_pages, pfn, entry) {
		all++;
		*moved += xa_to_value(entry) == XEN_MOVED;
		*own += xa_get_mark(&xen_displaced_pages, pfn, XEN_OWN);
	}
	return all - *moved - *own;
}
