/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent memory of x86 PV domains: the operations behind
 * dma_alloc_coherent() and dma_alloc_pages(). See xen-coherent.c.
 */
#ifndef __XEN_COHERENT_H
#define __XEN_COHERENT_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct device;
struct page;

void *xen_coherent_alloc(struct device *dev, size_t size,
			 dma_addr_t *dma_handle, gfp_t gfp,
			 unsigned long attrs);
void xen_coherent_free(struct device *dev, size_t size, void *vaddr,
		       dma_addr_t dma_handle, unsigned long attrs);
struct page *xen_coherent_alloc_pages(struct device *dev, size_t size,
				      dma_addr_t *dma_handle,
				      enum dma_data_direction dir, gfp_t gfp);
void xen_coherent_free_pages(struct device *dev, size_t size,
			     struct page *page, dma_addr_t dma_handle,
			     enum dma_data_direction dir);

#endif /* __XEN_COHERENT_H */
