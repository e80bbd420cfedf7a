/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Contiguous memory is made by exchange with the hypervisor, of one block of the
 * page allocator's or of pages from anywhere.
 */
#ifndef __XEN_DMA_CONTIG_H
#define __XEN_DMA_CONTIG_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/types.h>

#include <xen/swiotlb-xen.h>

/**
 * xen_make_memory_contiguous() - make a block, or pages, contiguous in the machine
 * @page:	the first page
 * @pages:	each page when there is more than one block, else NULL
 * @order:	log2 of the pages
 * @width:	of the last bus address at most, in bits
 * @gfp:	as for xen_make_contiguous()
 * @bus:	where the bus address of the first byte goes
 *
 * Context: As xen_make_contiguous().
 * Return: As xen_make_contiguous().
 */
static inline int xen_make_memory_contiguous(struct page *page,
					     struct page **pages,
					     unsigned int order,
					     unsigned int width, gfp_t gfp,
					     dma_addr_t *bus)
{
	if (pages)
		return xen_make_pages_contiguous(pages, order, width, gfp, bus);

	return xen_make_contiguous(page_to_phys(page), order, width, gfp, bus);
}

/**
 * xen_give_back_memory() - undo xen_make_memory_contiguous()
 * @page:	the first page
 * @pages:	each page when there is more than one block, else NULL
 * @order:	log2 of the pages
 * @gfp:	as for xen_give_back_contiguous()
 *
 * Context: As xen_give_back_contiguous().
 * Return: As xen_give_back_contiguous().
 */
static inline int xen_give_back_memory(struct page *page, struct page **pages,
				       unsigned int order, gfp_t gfp)
{
	if (pages)
		return xen_give_back_pages(pages, order, gfp);

	return xen_give_back_contiguous(page_to_phys(page), order, gfp);
}

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
