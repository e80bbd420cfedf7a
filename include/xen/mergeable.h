/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that follow each other for the kernel, and whether they do so for devices.
 *
 * Whoever makes one entry of a compound page, a folio, does not ask here. Where the machine
 * has such pages apart, they are still copied.
 */
#ifndef _XEN_MERGEABLE_H
#define _XEN_MERGEABLE_H

#include <linux/mm.h>

#ifdef CONFIG_XEN
#include <xen/page.h>
#include <xen/xen.h>

/* Does the next page begin in the machine where the first one ends? */
static inline bool xen_pages_adjoin(struct page *first, struct page *next)
{
	unsigned long last = page_to_xen_pfn(first) + XEN_PFN_PER_PAGE - 1;

	return !xen_domain() ||
	       pfn_to_bfn(last) + 1 == pfn_to_bfn(page_to_xen_pfn(next));
}
#else
static inline bool xen_pages_adjoin(struct page *first, struct page *next)
{
	return true;
}
#endif

/**
 * xen_pages_mergeable() - may two pages be in one entry of a scatterlist?
 * @first:	a page
 * @next:	another one
 *
 * In a Xen domain, pages that are neighbours for the kernel may lie anywhere in the
 * machine. No device can use them as one piece then; they would have to be copied.
 *
 * Context: Any.
 * Return: Whether @next follows @first, in the machine too as far as is known.
 */
static inline bool xen_pages_mergeable(struct page *first, struct page *next)
{
	return page_to_pfn(next) == page_to_pfn(first) + 1 &&
	       xen_pages_adjoin(first, next);
}

#endif /* _XEN_MERGEABLE_H */
