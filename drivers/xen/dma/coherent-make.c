// SPDX-License-Identifier: GPL-2.0
/*
 * Making coherent memory: pages are exchanged with the hypervisor for one extent.
 *
 * A block of the page allocator's that suits as it is remains one. What is larger than
 * its largest block is made of pages from anywhere and mapped anew for the kernel; for
 * the bus it is one extent all the same.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "coherent-make.h"
#include "coherent.h"
#include "compat.h"
#include "contig.h"
#include "region-release.h"
#include "regions.h"

/* For how long what the hypervisor refused is not tried again. */
#define XEN_REFUSED_SECONDS	10

/* The smallest order that the hypervisor refuses on principle, and until when. */
static unsigned long xen_refused_until = INITIAL_JIFFIES;
static unsigned int xen_refused_order;

/* Was it refused lately? */
static bool is_refused(unsigned int order)
{
	return order >= READ_ONCE(xen_refused_order) &&
	       time_before(jiffies, READ_ONCE(xen_refused_until));
}

/* Its option memop-max-order says it; a single page has other reasons. */
static void note_refused(unsigned int order)
{
	if (!order)
		return;
	WRITE_ONCE(xen_refused_order, order);
	WRITE_ONCE(xen_refused_until, jiffies + XEN_REFUSED_SECONDS * HZ);
}

/*
 * The largest extent that the hypervisor has within a width, for the
 * administrator to know. It does not tell a domain, so one is taken and given back.
 */
static size_t largest_extent(struct page *page, struct page **pages,
			     unsigned int order, unsigned int width, gfp_t gfp)
{
	phys_addr_t phys = page_to_phys(page);
	bool exchanged, all;
	dma_addr_t bus;

	while (order--) {
		if (xen_make_contiguous(phys, pages, order, width, gfp, &bus,
					&exchanged))
			continue;
		if (exchanged)
			xen_give_back(phys, pages, order, gfp, &all);
		return PAGE_SIZE << order;
	}

	return 0;
}

/*
 * Makes memory contiguous, where it is not, and a region, where it has to be one:
 * *@region is NULL for a block that suits as it is. Fails with @req->error.
 */
static bool make_contiguous(struct xen_coherent_request *req,
			    struct page *page, struct page **pages,
			    struct xen_region **region)
{
	struct xen_region made = {
		.page = page,
		.pages = pages,
		.order = req->order,
		.wanted = req->width,
	};
	phys_addr_t phys = page_to_phys(page);
	bool all;
	int rc;

	*region = NULL;
	rc = xen_make_contiguous(phys, pages, req->order, req->width, req->gfp,
				 &req->bus, &made.exchanged);
	if (rc == -EPERM)
		note_refused(req->order);
	if (rc == -ENOMEM && req->search)
		req->largest = largest_extent(page, pages, req->order,
					      req->width, req->gfp);
	if (rc) {
		req->error = rc;
		return false;
	}
	if (!made.exchanged && !pages)
		return true;

	made.bus = req->bus;
	made.linear = req->linear || !pages;
	made.vaddr = made.linear ? page_address(page) : NULL;
	*region = xen_region_add(&made, req->gfp);
	if (*region)
		return true;

	req->error = -ENOBUFS;
	if (made.exchanged)
		xen_give_back(phys, pages, req->order, req->gfp, &all);
	return false;
}

/* It does not suit as it is, and its order was refused lately. */
static bool is_in_vain(struct xen_coherent_request *req, struct page *page)
{
	if (!is_refused(req->order) ||
	    xen_region_suits(page_to_phys(page), req->order, req->width, &req->bus))
		return false;

	req->error = -EPERM;
	return true;
}

/*
 * One block of the page allocator's, be it a region afterwards or not. Where its order was refused
 * lately, a look is enough.
 */
static bool make_block(struct xen_coherent_request *req)
{
	bool refused = is_refused(req->order);
	gfp_t gfp = req->gfp | (refused ? __GFP_NORETRY : 0);
	struct page *page = xen_alloc_block(req->dev, gfp, req->order);
	struct xen_region *region;

	if (!page) {
		req->error = refused ? -EPERM : -ENOBUFS;
		return false;
	}
	if (is_in_vain(req, page) || !make_contiguous(req, page, NULL, &region)) {
		__free_pages(page, req->order);
		return false;
	}

	req->page = page;
	req->pages = NULL;
	req->vaddr = page_address(page);
	return true;
}

/* Fills @pages with pages from anywhere, in blocks as large as there are. */
static bool fill_page_array(struct xen_coherent_request *req,
			    struct page **pages, unsigned long nr)
{
	gfp_t gfp = req->gfp & ~(__GFP_RETRY_MAYFAIL | __GFP_NOFAIL);
	gfp_t try = gfp & __GFP_NORETRY ?: __GFP_RETRY_MAYFAIL;
	unsigned int order = req->attrs & DMA_ATTR_ALLOC_SINGLE_PAGES ?
			     0 : MAX_PAGE_ORDER;
	unsigned long done = 0, i;

	while (done < nr) {
		/* It had better fail than have the kernel kill for it. */
		struct page *page = xen_alloc_block(req->dev, gfp |
						(order ? __GFP_NORETRY : try),
						order);

		if (!page && !order)
			break;
		if (!page) {
			order--;
			continue;
		}
		split_page(page, order);
		for (i = 0; i < 1UL << order; i++)
			pages[done++] = page + i;
		cond_resched();
	}
	if (done == nr)
		return true;

	while (done)
		__free_page(pages[--done]);
	return false;
}

/* The same with pages that follow each other for the kernel. */
static bool fill_contiguous(struct xen_coherent_request *req,
			    struct page **pages, unsigned long nr)
{
	struct page *page = xen_alloc_contig_pages(nr, GFP_KERNEL | __GFP_NOWARN,
						   dev_to_node(req->dev));
	unsigned long i;

	for (i = 0; page && i < nr; i++)
		pages[i] = page + i;
	return page;
}

static struct page **alloc_page_array(struct xen_coherent_request *req)
{
	unsigned long nr = 1UL << req->order;
	struct page **pages;

	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL | __GFP_NOWARN);
	if (!pages)
		return NULL;
	if (req->linear ? fill_contiguous(req, pages, nr) :
			  fill_page_array(req, pages, nr))
		return pages;

	kvfree(pages);
	return NULL;
}

/* Sees to it that the kernel sees the memory, if it is to. */
static bool map_region(const struct xen_coherent_request *req,
		       struct xen_region *region)
{
	if (region->vaddr || (req->attrs & DMA_ATTR_NO_KERNEL_MAPPING))
		return true;
	if (!xen_may_sleep(req))
		return false;

	region->vaddr = vmap(region->pages, xen_region_pages(region), VM_MAP,
			     PAGE_KERNEL);
	return region->vaddr;
}

/**
 * xen_coherent_use() - answer a request with a region
 * @req:	request
 * @region:	region, NULL for none
 *
 * It is mapped if need be; if that fails it stays with the caller.
 *
 * Context: As the request says.
 * Return: Whether the request has been answered.
 */
bool xen_coherent_use(struct xen_coherent_request *req,
		      struct xen_region *region)
{
	if (!region || !map_region(req, region))
		return false;

	req->page = region->page;
	req->pages = region->linear ? NULL : region->pages;
	req->vaddr = region->vaddr;
	req->bus = region->bus;
	return true;
}

/* More than one block of the page allocator's. */
static bool make_large(struct xen_coherent_request *req)
{
	struct xen_region *region;
	struct page **pages;

	req->error = -EWOULDBLOCK;
	if (!xen_may_sleep(req))
		return false;
	req->error = -ENOBUFS;
	if (1UL << req->order > totalram_pages())
		return false;
	pages = alloc_page_array(req);
	if (!pages)
		return false;

	if (!make_contiguous(req, pages[0], pages, &region)) {
		xen_free_memory(NULL, pages, req->order);
		return false;
	}
	if (!xen_coherent_use(req, region)) {
		req->error = -ENOBUFS;
		xen_region_remove(region);
		return false;
	}

	return true;
}

/**
 * xen_coherent_make() - make memory that answers a request
 * @req:	request
 *
 * Context: As the request says.
 * Return: Whether the request has been answered; else @req->error says why not.
 */
bool xen_coherent_make(struct xen_coherent_request *req)
{
	if (req->order <= MAX_PAGE_ORDER)
		return make_block(req);

	/* It does not suit as it is, and would cost much to find out. */
	req->error = -EPERM;
	return !is_refused(req->order) && make_large(req);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
void xen_coherent_forget_refusal(void)
{
	WRITE_ONCE(xen_refused_until, jiffies);
	xen_release_forget();
	xen_regions_forget_low();
}
#endif
