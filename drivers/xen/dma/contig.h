/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Contiguous memory: a block of the page allocator's, or pages from anywhere, that are
 * one piece of the machine. The contract has two implementations. Where memory is
 * exchanged (x86 PV, arch/x86/xen/mmu.c), what does not suit is made contiguous. Where it
 * is found (ARM), a block suits or it doesn't.
 */
#ifndef __XEN_DMA_CONTIG_H
#define __XEN_DMA_CONTIG_H

#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/swiotlb.h>
#include <linux/types.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"

#if XEN_DMA_EXCHANGES
/* The width of the addresses that memory is made contiguous for. */
#define XEN_CONTIG_BITS		32

/* What to say where there is no aperture, or where none can be made. */
#define XEN_NO_APERTURE_HINT	"check swiotlb= and the memory that dom0_mem= leaves to Xen"
#define XEN_NO_MEMORY_HINT	"no memory below it to bounce through, leave Xen some with dom0_mem="

/* Where contiguous memory ends at most. */
static inline u64 xen_contig_end(void)
{
	return BIT_ULL(XEN_CONTIG_BITS);
}

/* The generic code allocates what the pool is made of in early boot. */
static inline void xen_set_boot_size(unsigned long size)
{
	swiotlb_adjust_size(size);
}

/* The addresses that memory is made for, of those that a device reaches. */
static inline struct xen_span xen_span_for_growth(u64 first, u64 limit)
{
	unsigned int width = min(xen_limit_bits(limit), XEN_CONTIG_BITS + 0U);

	return (struct xen_span) { .last = BIT_ULL(width) - 1 };
}

/* Pages that can be made contiguous within @span, or are already; or NULL. */
static inline struct page *xen_alloc_extent(const struct xen_span *span,
					    unsigned int order, gfp_t gfp)
{
	return alloc_pages(gfp | __GFP_NOWARN, order);
}

static inline void xen_free_extent(struct page *page, unsigned int order)
{
	__free_pages(page, order);
}

/* What is too small can be exchanged for what is not. */
static inline unsigned int xen_find_pieces(unsigned int order,
					   const struct xen_span *span,
					   unsigned int nr, struct list_head *pieces)
{
	return 0;
}

/**
 * xen_make_contiguous() - see to it that memory is contiguous in the machine
 * @phys:	where a block begins, for the domain
 * @pages:	each page when there is more than one block, else NULL
 * @order:	log2 of the pages
 * @width:	of the last bus address at most, in bits
 * @gfp:	as for xen_create_contiguous_region()
 * @bus:	where the bus address of the first byte goes, when there is no error
 * @exchanged:	where it goes whether that took an exchange, and the content with it
 *
 * Context: As xen_create_contiguous_region().
 * Return: 0, or an error of xen_create_contiguous_region().
 */
static inline int xen_make_contiguous(phys_addr_t phys, struct page **pages,
				      unsigned int order, unsigned int width,
				      gfp_t gfp, dma_addr_t *bus,
				      bool *exchanged)
{
	int rc;

	*exchanged = false;
	if (pages ? xen_pages_suit(pages, order, width, bus) :
		    xen_region_suits(phys, order, width, bus))
		return 0;

	rc = pages ? xen_create_contiguous_pages(pages, order, width, gfp, bus) :
		     xen_create_contiguous_region(phys, order, width, gfp, bus);
	*exchanged = !rc;
	return rc;
}

/**
 * xen_give_back() - exchange what was exchanged for any memory
 * @phys:	where a block begins, for the domain
 * @pages:	each page when there is more than one block, else NULL
 * @order:	log2 of the pages
 * @gfp:	as for xen_destroy_contiguous_region()
 * @all:	where it goes whether all of it was exchanged, for higher memory
 *
 * Context: As xen_destroy_contiguous_region().
 * Return: As xen_destroy_contiguous_region().
 */
static inline int xen_give_back(phys_addr_t phys, struct page **pages,
				unsigned int order, gfp_t gfp, bool *all)
{
	if (pages)
		return xen_destroy_contiguous_pages(pages, order, gfp, all);

	return xen_destroy_contiguous_region(phys, order, gfp, all);
}
#else
/* So many slots have numbers. */
#define XEN_CONTIG_BITS		43
#define XEN_NO_APERTURE_HINT	"the domain has no free memory there"
#define XEN_NO_MEMORY_HINT	"the domain has no memory below it to bounce through"

static inline u64 xen_contig_end(void)
{
	/* The last number of a slot stands for none. */
	return min(BIT_ULL(XEN_CONTIG_BITS) - SZ_2M,
		   ALIGN(xen_arm_highest() + 1, SZ_2M));
}

static inline void xen_set_boot_size(unsigned long size)
{
}

static inline struct xen_span xen_span_for_growth(u64 first, u64 limit)
{
	return (struct xen_span) {
		.first = first,
		.last = min(limit, BIT_ULL(XEN_CONTIG_BITS) - 1),
	};
}

static inline struct page *xen_alloc_extent(const struct xen_span *span,
					    unsigned int order, gfp_t gfp)
{
	return xen_alloc_reachable(order, span, gfp);
}

static inline void xen_free_extent(struct page *page, unsigned int order)
{
	xen_free_reachable(page, order);
}

/* Up to @nr blocks that need not be as large as chunks mostly are; how many there are. */
static inline unsigned int xen_find_pieces(unsigned int order,
					   const struct xen_span *span,
					   unsigned int nr, struct list_head *pieces)
{
	return xen_alloc_pieces(order, span, nr, pieces);
}

static inline int xen_make_contiguous(phys_addr_t phys, struct page **pages,
				      unsigned int order, unsigned int width,
				      gfp_t gfp, dma_addr_t *bus,
				      bool *exchanged)
{
	*exchanged = false;
	/* It was found where it is to be. */
	return xen_region_suits(phys, order, XEN_CONTIG_BITS, bus) ? 0 : -ENOMEM;
}

static inline int xen_give_back(phys_addr_t phys, struct page **pages,
				unsigned int order, gfp_t gfp, bool *all)
{
	*all = true;
	return 0;
}
#endif

/**
 * xen_free_memory() - free a block, or pages, and their list
 * @page:	the first page
 * @pages:	each page when there is more than one block, else NULL
 * @order:	log2 of the pages
 *
 * Context: Process, when there is a list.
 */
static inline void xen_free_memory(struct page *page, struct page **pages,
				   unsigned int order)
{
	unsigned long nr = 1UL << order;

	if (!pages) {
		__free_pages(page, order);
		return;
	}
	while (nr)
		__free_page(pages[--nr]);
	kvfree(pages);
}

#endif /* __XEN_DMA_CONTIG_H */
