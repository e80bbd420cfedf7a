/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of a PV domain whose frames change: how they leave the linear mapping, and
 * how they come back with other frames. The P2M changes with it, and the M2P where
 * Xen can't know the order of the pages.
 */
#ifndef _XEN_MMU_LINEAR_H
#define _XEN_MMU_LINEAR_H

#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include <xen/interface/xen.h>

/* Pages that one hypercall deals with at most. Their frames fit the stack. */
#define XEN_CHUNK_PAGES	32

/*
 * Tables of PTEs that the largest block of the page allocator has for itself. A larger
 * one has its PTEs written one by one.
 */
#define XEN_MAX_TABLES	2

/**
 * struct xen_pages - pages that get other frames
 * @page:	each of them, or NULL when they follow each other
 * @pfn:	then the first one
 * @nr:		how many
 */
struct xen_pages {
	struct page **page;
	unsigned long pfn;
	unsigned long nr;
};

static inline unsigned long xen_pages_pfn(const struct xen_pages *pages,
					  unsigned long i)
{
	return pages->page ? page_to_pfn(pages->page[i]) : pages->pfn + i;
}

/* Some of the pages, from one on. */
static inline struct xen_pages xen_pages_part(const struct xen_pages *pages,
					      unsigned long from,
					      unsigned long nr)
{
	return (struct xen_pages) {
		.page = pages->page ? pages->page + from : NULL,
		.pfn = pages->pfn + from,
		.nr = nr,
	};
}

/* The same, XEN_CHUNK_PAGES at most. */
static inline struct xen_pages xen_pages_chunk(const struct xen_pages *pages,
					       unsigned long from)
{
	return xen_pages_part(pages, from, min_t(unsigned long, XEN_CHUNK_PAGES,
						 pages->nr - from));
}

/**
 * struct xen_taken - tables that were taken out of the linear mapping as a whole
 * @table:	each of them
 * @nr:		how many; 0 when the PTEs were cleared one by one
 */
struct xen_taken {
	struct xen_taken_table {
		pmd_t *pmd;	/* where it was */
		pmd_t entry;	/* what was there */
		unsigned long pfn;	/* the table's own page */
		bool pinned;
	} table[XEN_MAX_TABLES];
	unsigned int nr;
};

/* Lets others run where the caller may sleep. */
static inline void xen_give_way(gfp_t gfp)
{
	if (gfpflags_allow_blocking(gfp))
		cond_resched();
}

bool xen_call_fails(void);
int xen_unmap_pages(const struct xen_pages *pages, struct xen_taken *taken,
		    gfp_t gfp);
void xen_map_pages(const struct xen_pages *pages, const struct xen_taken *taken,
		   const xen_pfn_t *frame, unsigned long first, gfp_t gfp);
void xen_set_m2p(const struct xen_pages *pages, unsigned long first, gfp_t gfp);

#endif /* _XEN_MMU_LINEAR_H */
