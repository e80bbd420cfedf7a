/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is wanted of coherent memory, and how it is made. See coherent-make.c.
 */
#ifndef __XEN_DMA_COHERENT_MAKE_H
#define __XEN_DMA_COHERENT_MAKE_H

#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/types.h>

#include "regions.h"

/**
 * struct xen_coherent_request - what is wanted, and what there is
 * @dev:	device that shares the memory
 * @size:	bytes
 * @order:	log2 of the pages
 * @limit:	highest bus address that the device reaches
 * @width:	of addresses that are all below @limit, in bits
 * @gfp:	allocation flags
 * @attrs:	of the allocation
 * @linear:	the pages have to follow each other for the kernel
 * @exact:	memory that has more pages will not do
 * @page:	the first page of the memory, NULL for none
 * @pages:	each page of it, NULL when they follow each other
 * @vaddr:	where the kernel sees it, NULL for nowhere
 * @bus:	its bus address
 * @error:	why it failed
 * @largest:	what the hypervisor has instead; bytes, 0 for unknown
 * @search:	look for @largest when the hypervisor has too little
 */
struct xen_coherent_request {
	struct device *dev;
	size_t size;
	unsigned int order;
	u64 limit;
	unsigned int width;
	gfp_t gfp;
	unsigned long attrs;
	bool linear;
	bool exact;
	struct page *page;
	struct page **pages;
	void *vaddr;
	dma_addr_t bus;
	int error;
	size_t largest;
	bool search;
};

static inline bool xen_may_sleep(const struct xen_coherent_request *req)
{
	return gfpflags_allow_blocking(req->gfp);
}

/* A page flag marks regions, and it is not for compound pages. */
static inline struct page *xen_alloc_block(struct device *dev, gfp_t gfp,
					   unsigned int order)
{
	return alloc_pages_node(dev_to_node(dev),
				(gfp & ~(__GFP_ZERO | __GFP_COMP)) |
				__GFP_NOWARN, order);
}

bool xen_coherent_make(struct xen_coherent_request *req);
bool xen_coherent_use(struct xen_coherent_request *req,
		      struct xen_region *region);

#endif /* __XEN_DMA_COHERENT_MAKE_H */
