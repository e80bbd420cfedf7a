// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory of x86 PV domains.
 *
 * A device and the CPU share this memory for as long as it is allocated, so it
 * can't be bounced: it has to be where the device reaches, and contiguous in the
 * machine. The pool has such memory, and lends a part of it in small pieces. Else pages
 * that suit by chance are used as they are, and are ordinary pages again when they are
 * freed. Others become a region: they are exchanged with the hypervisor for one extent,
 * which is dear, and kept when they are freed.
 *
 *   coherent-pool.c	what the pool lends
 *   coherent-make.c	how regions are made
 *   regions.c		which there are, used or kept
 *   region-release.c	what becomes of those that are freed
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/ratelimit.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>

#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "coherent-make.h"
#include "coherent-pool.h"
#include "coherent.h"
#include "compat.h"
#include "refused.h"
#include "region-release.h"
#include "regions.h"

/* Bytes that are cleared between two chances for others to run. */
#define XEN_CLEAR_STEP		SZ_8M

static atomic_long_t xen_failed;

/* The first page of linear memory, or of what @vaddr is a cookie for, else NULL. */
static struct page *page_of(void *vaddr, unsigned long attrs)
{
	if (attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		return vaddr;

	return likely(!is_vmalloc_addr(vaddr)) ? virt_to_page(vaddr) : NULL;
}

static void report_failure(const struct xen_coherent_request *req)
{
	const char *why;

	switch (req->error) {
	case -ENOMEM:
		why = "Xen has no such piece there; leave it more with dom0_mem= or dma_bits=";
		if (!req->search)
			break;
		dev_err(req->dev,
			"xen-dma: no %zu bytes of coherent memory below mask %#llx: the largest piece that Xen has there is %zu bytes; leave it more with dom0_mem= or dma_bits=\n",
			req->size, req->limit, req->largest);
		return;
	case -EPERM:
		why = "larger than Xen allows, see its option memop-max-order=";
		break;
	case -E2BIG:
		why = "more than can be had in one piece";
		break;
	case -ENOBUFS:
		why = "the domain has too little free memory";
		break;
	case -EWOULDBLOCK:
		why = "too large for a caller that must not sleep";
		break;
	default:
		why = "the hypervisor refused the exchange";
		break;
	}

	dev_err(req->dev,
		"xen-dma: no %zu bytes of coherent memory below mask %#llx: %s (%d)\n",
		req->size, req->limit, why, req->error);
}

/* A region that is kept is to be used: if it can't be, it stays there. */
static bool use_kept(struct xen_coherent_request *req,
		     struct xen_region *region)
{
	if (!region || xen_coherent_use(req, region))
		return region;

	xen_region_untake(region);
	return false;
}

/* The largest order of which the cache has what is wanted. */
static unsigned int last_order(bool linear)
{
	return linear ? MAX_PAGE_ORDER : XEN_NR_ORDERS - 1;
}

static noinline void clear_large(const struct xen_coherent_request *req,
				 size_t size)
{
	size_t done, n;

	for (done = 0; done < size; done += n) {
		if (done && xen_may_sleep(req))
			cond_resched();
		if (req->vaddr) {
			n = min_t(size_t, size - done, XEN_CLEAR_STEP);
			memset(req->vaddr + done, 0, n);
		} else {
			n = PAGE_SIZE;
			clear_page(page_address(req->pages[done >>
							   PAGE_SHIFT]));
		}
	}
}

static inline void clear_memory(const struct xen_coherent_request *req)
{
	size_t size = PAGE_ALIGN(req->size);

	if (likely(req->vaddr && size <= XEN_CLEAR_STEP))
		memset(req->vaddr, 0, size);
	else
		clear_large(req, size);
}

/*
 * What is kept in other sizes, or on its way back, may be what lacks: what is within the
 * width for the hypervisor, anything for the domain.
 */
static bool make_of_others(struct xen_coherent_request *req)
{
	unsigned int width = req->error == -ENOMEM ? req->width : XEN_ANY_WIDTH;
	/* Who takes a part at a time is to have large ones, if the hypervisor can have them. */
	bool goes_on = req->gfp & __GFP_NORETRY && !(req->exact && req->error == -ENOMEM);

	if ((req->error != -ENOMEM && req->error != -ENOBUFS) || goes_on || !xen_may_sleep(req) ||
	    xen_is_hopeless(req->order, req->width) ||
	    !xen_regions_give_back(width))
		return false;
	if (xen_coherent_make(req))
		return true;

	xen_note_hopeless(req->order, req->width);
	return false;
}

/* The hypervisor, and what else there is. */
static bool find_memory(struct xen_coherent_request *req)
{
	bool mapped = !xen_may_sleep(req) &&
		      !(req->attrs & DMA_ATTR_NO_KERNEL_MAPPING);

	unsigned int last = req->exact ? req->order : last_order(req->linear);

	return xen_coherent_make(req) ||
	       use_kept(req, xen_region_take_any(req->order, last, req->limit,
						 mapped)) ||
	       make_of_others(req);
}

/* May the failure be told? */
static bool is_reported(const struct xen_coherent_request *req)
{
	static DEFINE_RATELIMIT_STATE(failures, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return !(req->gfp & __GFP_NOWARN) && !(req->attrs & DMA_ATTR_NO_WARN) &&
	       __ratelimit(&failures);
}

/* There is nothing to be had at once, or @region, which the kernel does not see. */
static bool alloc_in_scope(struct xen_coherent_request *req,
			   struct xen_region *region)
{
	if (use_kept(req, region))
		return true;
	if (!req->width)
		return false;

	req->error = -E2BIG;
	if (req->order < XEN_NR_ORDERS && find_memory(req))
		return true;

	if (is_reported(req)) {
		req->search = req->error == -ENOMEM && xen_may_sleep(req);
		if (req->search && xen_coherent_make(req))
			return true;
		report_failure(req);
	}

	/* It goes on with less, and nothing has failed yet. */
	if (req->exact && req->gfp & __GFP_NORETRY)
		return false;

	atomic_long_inc(&xen_failed);
	/* Who may not sleep may be an interrupt's, of any task. Parts are not mapped. */
	if (xen_may_sleep(req) && !req->exact)
		xen_note_refused(req->dev, req->size);
	return false;
}

/* The same; page tables come as the scope says, not as the flags do. */
static noinline bool alloc_slow(struct xen_coherent_request *req,
				struct xen_region *region)
{
	unsigned int flags;
	bool made;

	if (!xen_may_sleep(req) || (req->gfp & GFP_KERNEL) == GFP_KERNEL)
		return alloc_in_scope(req, region);

	flags = memalloc_noio_save();
	made = alloc_in_scope(req, region);
	memalloc_noio_restore(flags);

	return made;
}

/* Any page will do for a device that reaches far enough. */
static inline bool alloc_plain(struct xen_coherent_request *req)
{
	struct page *page = xen_alloc_block(req->dev, req->gfp, 0);

	if (unlikely(!page))
		return false;

	req->bus = PFN_PHYS((dma_addr_t)xen_pfn_to_mfn(page_to_pfn(page)));
	if (unlikely(fls64(req->bus + PAGE_SIZE - 1) > req->width)) {
		__free_page(page);
		return false;
	}

	req->page = page;
	req->vaddr = page_address(page);
	return true;
}

/* Allocates cleared pages that the device reaches: @req->page or, mapped, vaddr. */
static __always_inline bool alloc_reachable(struct xen_coherent_request *req)
{
	struct device *dev = req->dev;
	struct xen_region *region = NULL;

	req->order = get_order(req->size);
	req->limit = xen_bus_limit(dev, dev->coherent_dma_mask);
	req->width = xen_limit_bits(req->limit);

	if (!req->order && req->width > XEN_LOW_WIDTH && alloc_plain(req)) {
		clear_memory(req);
		return true;
	}

	/* For memory that the kernel sees, and nobody takes references to. */
	if (likely(req->order <= XEN_POOLED_ORDER && !req->linear &&
		   !(req->attrs & DMA_ATTR_NO_KERNEL_MAPPING))) {
		req->vaddr = xen_pooled_alloc(req->limit, req->order, &req->bus);
		if (likely(req->vaddr)) {
			memset(req->vaddr, 0, PAGE_SIZE << req->order);
			return true;
		}
	}

	if (likely(req->order <= last_order(req->linear) && req->width))
		region = xen_region_take(req->order, req->width);
	if (likely(region && (region->vaddr ||
			      req->attrs & DMA_ATTR_NO_KERNEL_MAPPING)))
		xen_coherent_use(req, region);
	else if (!alloc_slow(req, region))
		return false;

	clear_memory(req);
	return true;
}

static void free_reachable(struct device *dev, size_t size, struct page *page,
			   void *vaddr, dma_addr_t bus)
{
	int rc = -ENOENT;

	if (page && !PageXenRemapped(page)) {
		__free_pages(page, get_order(size));
		return;
	}
	if (likely(page && size <= PAGE_SIZE << XEN_POOLED_ORDER))
		rc = xen_pooled_free(page, bus);
	if (rc == -ENOENT)
		rc = xen_region_free(page, vaddr, bus);

	if (unlikely(rc == -ENXIO))
		dev_err_ratelimited(dev,
				    "xen-dma: driver frees coherent memory at %pad, where it has none\n",
				    &bus);
	else if (unlikely(rc))
		dev_err_ratelimited(dev,
				    "xen-dma: driver frees coherent memory at %pad twice\n",
				    &bus);
}

/*
 * Finds the pages of memory, NULL where they follow each other. Returns -ENXIO when
 * there is no such memory: what lies behind it would be somebody else's.
 */
static int find_pages(void *vaddr, dma_addr_t bus, size_t size,
		      unsigned long attrs, struct page ***pages)
{
	struct page *page = page_of(vaddr, attrs);

	*pages = NULL;
	if (page && (!(attrs & DMA_ATTR_NO_KERNEL_MAPPING) ||
		     !PageXenRemapped(page)))
		return 0;

	return xen_region_find(page, vaddr, bus, PFN_UP(size), pages);
}

/**
 * xen_coherent_alloc() - allocate coherent memory
 * @dev:	device that shares it
 * @size:	bytes, of which whole powers of two of pages are used
 * @dma_handle:	where the bus address goes
 * @gfp:	allocation flags
 * @attrs:	DMA_ATTR_NO_KERNEL_MAPPING, DMA_ATTR_ALLOC_SINGLE_PAGES and
 *		DMA_ATTR_NO_WARN are honoured; the memory is always contiguous on
 *		the bus
 *
 * Context: As @gfp says; atomic callers never sleep. They get more than the page
 * allocator's largest block only if the cache has it.
 * Return: Kernel address of cleared memory that lies below the device's
 * coherent mask, aligned to its size on the bus, or with
 * DMA_ATTR_NO_KERNEL_MAPPING its first page; NULL when there is none.
 */
void *xen_coherent_alloc(struct device *dev, size_t size,
			 dma_addr_t *dma_handle, gfp_t gfp,
			 unsigned long attrs)
{
	struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.gfp = gfp,
		.attrs = attrs,
	};

	if (!alloc_reachable(&req))
		return NULL;

	*dma_handle = req.bus;
	return attrs & DMA_ATTR_NO_KERNEL_MAPPING ? req.page : req.vaddr;
}

/**
 * xen_coherent_free() - free what xen_coherent_alloc() gave
 * @dev:	device that shared it
 * @size:	bytes, as allocated
 * @vaddr:	what xen_coherent_alloc() returned
 * @dma_handle:	bus address
 * @attrs:	as allocated
 *
 * Context: Any that dma_free_coherent() allows.
 */
void xen_coherent_free(struct device *dev, size_t size, void *vaddr,
		       dma_addr_t dma_handle, unsigned long attrs)
{
	free_reachable(dev, size, page_of(vaddr, attrs), vaddr, dma_handle);
}

static struct page *alloc_linear(struct xen_coherent_request *req,
				 dma_addr_t *dma_handle)
{
	req->linear = true;
	if (!alloc_reachable(req))
		return NULL;

	*dma_handle = req->bus;
	return req->page;
}

/**
 * xen_coherent_alloc_pages() - allocate pages that need no bouncing
 * @dev:	device that will use them
 * @size:	bytes
 * @dma_handle:	where the bus address goes
 * @dir:	direction; all are the same here
 * @gfp:	allocation flags
 *
 * Such pages may stay mapped for ever, so they must not hold bounce memory. They
 * follow each other for the kernel; beyond the page allocator's largest block that
 * needs CONFIG_CONTIG_ALLOC.
 *
 * Context: As @gfp says.
 * Return: First of the cleared pages, NULL when there are none.
 */
struct page *xen_coherent_alloc_pages(struct device *dev, size_t size,
				      dma_addr_t *dma_handle,
				      enum dma_data_direction dir, gfp_t gfp)
{
	struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.gfp = gfp,
	};

	return alloc_linear(&req, dma_handle);
}

/**
 * xen_coherent_alloc_exact() - allocate a part of something larger
 * @dev:	device that will use it
 * @size:	bytes
 * @dma_handle:	where the bus address goes
 * @gfp:	allocation flags; with __GFP_NORETRY the caller goes on with less, and nobody
 *		is told or counts that he had to
 *
 * As xen_coherent_alloc_pages(), but it is not the beginning of something larger that is kept.
 *
 * Context: As @gfp says.
 * Return: First of the cleared pages, NULL when there are none. For
 * xen_coherent_free_pages().
 */
struct page *xen_coherent_alloc_exact(struct device *dev, size_t size,
				      dma_addr_t *dma_handle, gfp_t gfp)
{
	struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.gfp = gfp,
		.exact = true,
	};

	return alloc_linear(&req, dma_handle);
}

/**
 * xen_coherent_free_pages() - free what xen_coherent_alloc_pages() gave
 * @dev:	device that used them
 * @size:	bytes, as allocated
 * @page:	first page
 * @dma_handle:	bus address
 * @dir:	direction, as allocated
 *
 * Context: Any that dma_free_pages() allows.
 */
void xen_coherent_free_pages(struct device *dev, size_t size,
			     struct page *page, dma_addr_t dma_handle,
			     enum dma_data_direction dir)
{
	free_reachable(dev, size, page, NULL, dma_handle);
}

/*
 * Maps pages that follow each other for user space only. Like all coherent memory it
 * can't be pinned there, for it may belong to another device when it has been freed.
 */
static int map_pages(struct vm_area_struct *vma, struct page **pages,
		     unsigned long nr)
{
	unsigned long left = vma_pages(vma), addr = vma->vm_start, run;
	int ret;

	if (vma->vm_pgoff >= nr || left > nr - vma->vm_pgoff)
		return -ENXIO;

	for (pages += vma->vm_pgoff; left; pages += run, left -= run) {
		unsigned long pfn = page_to_pfn(*pages);

		for (run = 1; run < left; run++)
			if (page_to_pfn(pages[run]) != pfn + run)
				break;
		ret = remap_pfn_range(vma, addr, pfn, PFN_PHYS(run),
				      vma->vm_page_prot);
		if (ret)
			return ret;
		addr += PFN_PHYS(run);
	}

	return 0;
}

/**
 * xen_coherent_mmap() - give coherent memory to user space
 * @dev:	device that shares it
 * @vma:	user mapping
 * @vaddr:	what xen_coherent_alloc() returned
 * @dma_handle:	bus address
 * @size:	bytes, as allocated
 * @attrs:	as allocated
 *
 * Context: Process.
 * Return: 0, -ENXIO when @vma does not lie within the memory or there is no such
 * memory, -EINVAL for a private mapping of many pages, or what the mapping of a
 * page says.
 */
int xen_coherent_mmap(struct device *dev, struct vm_area_struct *vma,
		      void *vaddr, dma_addr_t dma_handle, size_t size,
		      unsigned long attrs)
{
	struct page **pages;
	int ret;

	if (dma_mmap_from_dev_coherent(dev, vma, vaddr, size, &ret))
		return ret;

	ret = find_pages(vaddr, dma_handle, size, attrs, &pages);
	if (ret)
		return ret;
	if (pages) {
		vma->vm_page_prot = dma_pgprot(dev, vma->vm_page_prot, attrs);
		return map_pages(vma, pages, PFN_UP(size));
	}

	if (attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		vaddr = page_address(vaddr);
	return dma_common_mmap(dev, vma, vaddr, dma_handle, size, attrs);
}

/**
 * xen_coherent_get_sgtable() - list the pages of coherent memory
 * @dev:	device that shares it
 * @sgt:	table to be set up
 * @vaddr:	what xen_coherent_alloc() returned
 * @dma_handle:	bus address
 * @size:	bytes, as allocated
 * @attrs:	as allocated
 *
 * Context: Process.
 * Return: 0, -ENXIO when there is no such memory, or -ENOMEM.
 */
int xen_coherent_get_sgtable(struct device *dev, struct sg_table *sgt,
			     void *vaddr, dma_addr_t dma_handle, size_t size,
			     unsigned long attrs)
{
	struct page **pages;
	int ret = find_pages(vaddr, dma_handle, size, attrs, &pages);

	if (ret)
		return ret;
	if (pages)
		return sg_alloc_table_from_pages(sgt, pages, PFN_UP(size), 0,
						 PAGE_ALIGN(size), GFP_KERNEL);

	if (attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		vaddr = page_address(vaddr);
	return dma_common_get_sgtable(dev, sgt, vaddr, dma_handle, size, attrs);
}

/**
 * xen_coherent_usage() - what has become of exchanged memory
 * @usage:	where it goes
 *
 * Context: Any.
 */
void xen_coherent_usage(struct xen_coherent_usage *usage)
{
	xen_regions_usage(usage);
	xen_release_usage(usage);
	usage->pooled = xen_pooled_bytes();
	usage->failed = atomic_long_read(&xen_failed);
}

/**
 * xen_coherent_show() - tell what has become of exchanged memory
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_coherent_show(struct seq_file *s)
{
	struct xen_coherent_usage usage;

	xen_coherent_usage(&usage);
	seq_printf(s, "cached %llu\nused %llu\npooled %llu\n", usage.cached,
		   usage.used, usage.pooled);
	seq_printf(s, "hits %lu\nmade %lu\nreturned %lu\nkept %lu\nfailed %lu\n",
		   usage.hits, usage.made, usage.returned, usage.kept,
		   usage.failed);
}
