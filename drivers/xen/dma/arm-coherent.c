// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory and contiguous memory where a domain can't exchange any: ARM.
 *
 * The domain's memory is contiguous in the machine but for the borders of a few
 * ranges and for pages that may have moved. So the generic allocator serves, with
 * the device's map (see arm-ranges.c), and what it finds is looked at: memory
 * that does not suit is held while it looks on, then freed. Where many pages have
 * moved it finds none, for those that were freed last come first, nor where a zone of
 * the kernel's has more than what the device reaches; then a reserve serves. For the
 * reserve, and for the aperture, which wants the lowest memory in the machine, the
 * page allocator is asked for particular pages.
 */
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/genalloc.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <xen/bus-ranges.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "addr.h"
#include "compat.h"
#include "coherent.h"
#include "decide.h"

/* How many unsuitable blocks are held, where it may not sleep and where it may. */
#define XEN_TRIES_ATOMIC	16
#define XEN_TRIES		64

/* What the reserve grows by, at least. Bytes. */
#define XEN_RESERVE_STEP	SZ_2M

/* How many places are tried for contiguous pages, for it takes long. */
#define XEN_PLACES		256

static atomic_long_t xen_unsuited;
static atomic_long_t xen_reserved;
static atomic_long_t xen_failed;

/*
 * The reserve: memory as the kernel maps it, and mapped anew for devices that do not
 * see the caches. What is once in it stays.
 */
static struct gen_pool *xen_cached_pool __ro_after_init;
static struct gen_pool *xen_uncached_pool __ro_after_init;

/**
 * struct xen_coherent_try - memory that the generic allocator has found
 * @cpu:	kernel address or cookie, or with @is_page a struct page; NULL for
 *		none
 * @bus:	bus address
 */
struct xen_coherent_try {
	void *cpu;
	dma_addr_t bus;
};

/**
 * struct xen_coherent_request - what is wanted
 * @dev:	device that shares the memory
 * @size:	bytes
 * @gfp:	allocation flags
 * @attrs:	of the allocation
 * @dir:	direction, for @is_page
 * @is_page:	pages are wanted rather than memory with a kernel mapping
 */
struct xen_coherent_request {
	struct device *dev;
	size_t size;
	gfp_t gfp;
	unsigned long attrs;
	enum dma_data_direction dir;
	bool is_page;
};

static struct xen_coherent_try find_memory(const struct xen_coherent_request *req)
{
	struct xen_coherent_try found = {};

	if (req->is_page)
		found.cpu = dma_direct_alloc_pages(req->dev, req->size,
						   &found.bus, req->dir,
						   req->gfp);
	else
		found.cpu = dma_direct_alloc(req->dev, req->size, &found.bus,
					     req->gfp, req->attrs);
	return found;
}

static void put_memory(const struct xen_coherent_request *req,
		       const struct xen_coherent_try *found)
{
	if (req->is_page)
		dma_direct_free_pages(req->dev, req->size, found->cpu,
				      found->bus, req->dir);
	else
		dma_direct_free(req->dev, req->size, found->cpu, found->bus,
				req->attrs);
}

static u64 reach_of(struct device *dev)
{
	return xen_bus_limit(dev, dev->coherent_dma_mask);
}

/*
 * Does the device reach it, is it in one piece, and has none of it ever left the
 * domain? (The generic code does not look on every architecture.)
 */
static bool suits(const struct xen_coherent_request *req,
		  const struct xen_coherent_try *found)
{
	phys_addr_t phys = dma_to_phys(req->dev, found->bus);
	u64 last = found->bus + PAGE_ALIGN(req->size) - 1;
	unsigned long first = XEN_PFN_DOWN(phys);

	if (found->bus == DMA_MAPPING_ERROR || last < found->bus ||
	    last > reach_of(req->dev))
		return false;

	if (xen_any_displaced() &&
	    xen_displaced_next(first, first + XEN_PFN_UP(req->size) - 1) !=
	    XEN_IN_PLACE)
		return false;

	return xen_is_contiguous(req->dev, phys, PAGE_ALIGN(req->size));
}

/* Looks on, and keeps what does not suit until it is done. */
static struct xen_coherent_try search(const struct xen_coherent_request *req,
				      struct xen_coherent_try first)
{
	bool sleeps = gfpflags_allow_blocking(req->gfp);
	struct xen_coherent_try few[XEN_TRIES_ATOMIC], *held = NULL;
	unsigned int max = XEN_TRIES, nr = 0;

	if (sleeps)
		held = kvmalloc_array(max, sizeof(*held),
				      GFP_KERNEL | __GFP_NOWARN);
	if (!held) {
		held = few;
		max = XEN_TRIES_ATOMIC;
	}

	while (first.cpu && !suits(req, &first)) {
		held[nr++] = first;
		first.cpu = NULL;
		if (nr < max)
			first = find_memory(req);
		if (sleeps)
			cond_resched();
	}

	atomic_long_add(nr, &xen_unsuited);
	while (nr)
		put_memory(req, &held[--nr]);
	if (held != few)
		kvfree(held);

	return first;
}

/* The reserve that a request may be served from, NULL for none. */
static struct gen_pool *pool_for(const struct xen_coherent_request *req)
{
	if (req->is_page || dev_is_dma_coherent(req->dev))
		return xen_cached_pool;
	/* There the kernel's own mapping would have to be cleaned by hand. */
	if (IS_ENABLED(CONFIG_ARM))
		return NULL;

	return req->attrs & DMA_ATTR_NO_KERNEL_MAPPING ? NULL :
							 xen_uncached_pool;
}

static bool grow_pool(struct gen_pool *pool,
		      const struct xen_coherent_request *req)
{
	unsigned int order = get_order(max_t(size_t, req->size,
					     XEN_RESERVE_STEP)), i;
	u64 limit = reach_of(req->dev);
	size_t size = PAGE_SIZE << order;
	struct page *page = NULL;
	struct xen_span span;
	void *vaddr;

	for (i = 0; !page && xen_span_of(req->dev, limit, i, &span); i++)
		page = xen_alloc_reachable(order, &span, req->gfp);
	if (!page)
		return false;

	vaddr = page_address(page);
	if (pool == xen_uncached_pool) {
		arch_dma_prep_coherent(page, size);
		vaddr = dma_common_contiguous_remap(page, size,
						    dma_pgprot(req->dev,
							       PAGE_KERNEL, 0),
						    __builtin_return_address(0));
	}
	if (!vaddr || gen_pool_add_virt(pool, (unsigned long)vaddr,
					page_to_phys(page), size,
					NUMA_NO_NODE)) {
		if (vaddr && pool == xen_uncached_pool)
			dma_common_free_remap(vaddr, size);
		xen_free_reachable(page, order);
		return false;
	}

	atomic_long_add(size, &xen_reserved);
	return true;
}

/*
 * Finds room in a chunk of the reserve, if the device that @data is reaches all of the
 * chunk. Others have been made for devices that reach other memory.
 */
static unsigned long fit_reachable(unsigned long *map, unsigned long size,
				   unsigned long start, unsigned int nr,
				   void *data, struct gen_pool *pool,
				   unsigned long start_addr)
{
	phys_addr_t phys = gen_pool_virt_to_phys(pool, start_addr);
	dma_addr_t bus = phys_to_dma(data, phys), last;
	size_t bytes = size << PAGE_SHIFT;

	last = phys_to_dma(data, phys + bytes - 1);
	if (bus == DMA_MAPPING_ERROR || last != bus + bytes - 1 ||
	    last > reach_of(data))
		return size;

	return gen_pool_first_fit_order_align(map, size, start, nr, NULL, pool,
					      start_addr);
}

/* Takes memory of the reserve that suits; holds what does not until it is done. */
static struct xen_coherent_try
take_pooled(struct gen_pool *pool, const struct xen_coherent_request *req)
{
	size_t size = PAGE_ALIGN(req->size);
	unsigned long held[XEN_TRIES_ATOMIC], vaddr = 0;
	struct xen_coherent_try found = {};
	unsigned int nr = 0;

	while (nr < ARRAY_SIZE(held) &&
	       (vaddr = gen_pool_alloc_algo(pool, size, fit_reachable,
					    req->dev))) {
		found.bus = phys_to_dma(req->dev,
					gen_pool_virt_to_phys(pool, vaddr));
		if (suits(req, &found)) {
			found.cpu = memset((void *)vaddr, 0, size);
			break;
		}
		held[nr++] = vaddr;
	}
	while (nr)
		gen_pool_free(pool, held[--nr], size);

	return found;
}

static struct xen_coherent_try take_reserved(const struct xen_coherent_request *req)
{
	struct gen_pool *pool = pool_for(req);
	struct xen_coherent_try found = {};

	if (!pool)
		return found;

	found = take_pooled(pool, req);
	if (!found.cpu && gfpflags_allow_blocking(req->gfp) &&
	    grow_pool(pool, req))
		found = take_pooled(pool, req);
	if (found.cpu && (req->is_page ||
			  req->attrs & DMA_ATTR_NO_KERNEL_MAPPING))
		found.cpu = virt_to_page(found.cpu);

	return found;
}

/* Gives memory back that came from the reserve; false for other. */
static bool free_reserved(void *vaddr, size_t size)
{
	struct gen_pool *pool = is_vmalloc_addr(vaddr) ? xen_uncached_pool :
							 xen_cached_pool;

	size = PAGE_ALIGN(size);
	if (likely(!atomic_long_read(&xen_reserved)) || !pool ||
	    !gen_pool_has_addr(pool, (unsigned long)vaddr, size))
		return false;

	gen_pool_free(pool, (unsigned long)vaddr, size);
	return true;
}

/* Before any device has a driver. */
static int __init xen_coherent_init(void)
{
	if (!xen_domain())
		return 0;

	xen_cached_pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	xen_uncached_pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	return 0;
}
core_initcall(xen_coherent_init);

static struct xen_coherent_try take_memory(const struct xen_coherent_request *req)
{
	struct xen_coherent_try found = {};

	if (!xen_dma_refuses(req->dev)) {
		found = find_memory(req);
		if (found.cpu && unlikely(!suits(req, &found)))
			found = search(req, found);
		if (unlikely(!found.cpu) && !xen_has_own_pool(req->dev))
			found = take_reserved(req);
	}
	if (!found.cpu)
		atomic_long_inc(&xen_failed);

	return found;
}

/**
 * xen_coherent_alloc() - allocate memory that a device and the CPU share
 * @dev:	device
 * @size:	bytes
 * @dma_handle:	where the bus address goes
 * @gfp:	allocation flags
 * @attrs:	DMA_ATTR_*
 *
 * Context: As @gfp says.
 * Return: Kernel address, or what DMA_ATTR_NO_KERNEL_MAPPING asks for; NULL when
 * there is no suitable memory.
 */
void *xen_coherent_alloc(struct device *dev, size_t size,
			 dma_addr_t *dma_handle, gfp_t gfp,
			 unsigned long attrs)
{
	const struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.gfp = gfp,
		.attrs = attrs,
	};
	struct xen_coherent_try found = take_memory(&req);

	*dma_handle = found.bus;
	return found.cpu;
}

/**
 * xen_coherent_free() - free what xen_coherent_alloc() returned
 * @dev:	device
 * @size:	bytes, as allocated
 * @vaddr:	what was returned
 * @dma_handle:	bus address
 * @attrs:	as allocated
 *
 * Context: As dma_free_coherent().
 */
void xen_coherent_free(struct device *dev, size_t size, void *vaddr,
		       dma_addr_t dma_handle, unsigned long attrs)
{
	void *addr = !dev_is_dma_coherent(dev) ||
		     !(attrs & DMA_ATTR_NO_KERNEL_MAPPING) ?
		     vaddr : page_address(vaddr);

	if (!free_reserved(addr, size))
		dma_direct_free(dev, size, vaddr, dma_handle, attrs);
}

/**
 * xen_coherent_alloc_pages() - allocate pages that a device reaches
 * @dev:	device
 * @size:	bytes
 * @dma_handle:	where the bus address goes
 * @dir:	direction
 * @gfp:	allocation flags
 *
 * Context: As @gfp says.
 * Return: The first page, NULL when there are no suitable ones.
 */
struct page *xen_coherent_alloc_pages(struct device *dev, size_t size,
				      dma_addr_t *dma_handle,
				      enum dma_data_direction dir, gfp_t gfp)
{
	const struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.gfp = gfp,
		.dir = dir,
		.is_page = true,
	};
	struct xen_coherent_try found = take_memory(&req);

	*dma_handle = found.bus;
	return found.cpu;
}

/**
 * xen_coherent_free_pages() - free what xen_coherent_alloc_pages() returned
 * @dev:	device
 * @size:	bytes, as allocated
 * @page:	the first page
 * @dma_handle:	bus address
 * @dir:	direction
 *
 * Context: As dma_free_pages().
 */
void xen_coherent_free_pages(struct device *dev, size_t size,
			     struct page *page, dma_addr_t dma_handle,
			     enum dma_data_direction dir)
{
	if (!free_reserved(page_address(page), size))
		dma_direct_free_pages(dev, size, page, dma_handle, dir);
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
 * Return: 0, -ENXIO when @vma does not lie within the memory, or what the mapping
 * says.
 */
int xen_coherent_mmap(struct device *dev, struct vm_area_struct *vma,
		      void *vaddr, dma_addr_t dma_handle, size_t size,
		      unsigned long attrs)
{
	unsigned long pfn = PHYS_PFN(dma_to_phys(dev, dma_handle));
	unsigned long pages = PFN_UP(size);
	int ret;

	vma->vm_page_prot = dma_pgprot(dev, vma->vm_page_prot, attrs);
	if (dma_mmap_from_dev_coherent(dev, vma, vaddr, size, &ret))
		return ret;
	if (vma->vm_pgoff >= pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -ENXIO;

	return remap_pfn_range(vma, vma->vm_start, pfn + vma->vm_pgoff,
			       vma_pages(vma) << PAGE_SHIFT, vma->vm_page_prot);
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
 * Return: 0 or -ENOMEM.
 */
int xen_coherent_get_sgtable(struct device *dev, struct sg_table *sgt,
			     void *vaddr, dma_addr_t dma_handle, size_t size,
			     unsigned long attrs)
{
	phys_addr_t phys = dma_to_phys(dev, dma_handle);
	int rc = sg_alloc_table(sgt, 1, GFP_KERNEL);

	if (!rc)
		sg_set_page(sgt->sgl, pfn_to_page(PHYS_PFN(phys)),
			    PAGE_ALIGN(size), 0);
	return rc;
}

/**
 * xen_coherent_show() - tell how the search for memory went
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_coherent_show(struct seq_file *s)
{
	seq_printf(s, "unsuited %ld\nreserved %ld\nfailed %ld\n",
		   atomic_long_read(&xen_unsuited),
		   atomic_long_read(&xen_reserved),
		   atomic_long_read(&xen_failed));
}

/* Contiguous memory */

static bool is_within(struct page *page, unsigned int order,
		      const struct xen_span *span)
{
	u64 size = (u64)PAGE_SIZE << order;
	dma_addr_t machine;

	return xen_region_suits(page_to_phys(page), order, 63, &machine) &&
	       machine >= span->first && machine + size - 1 <= span->last;
}

/* A block from any zone, which may happen to suit. */
static struct page *any_block(unsigned int order, const struct xen_span *span,
			      gfp_t gfp)
{
	static const gfp_t zones[] = {
		0,
		IS_ENABLED(CONFIG_ZONE_DMA32) ? __GFP_DMA32 : 0,
		IS_ENABLED(CONFIG_ZONE_DMA) ? __GFP_DMA : 0,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(zones); i++) {
		struct page *page;

		if (i && !zones[i])
			continue;
		page = alloc_pages((gfp & ~__GFP_COMP) | zones[i] | __GFP_NOWARN |
				   __GFP_NORETRY, order);
		if (!page)
			continue;
		if (is_within(page, order, span)) {
			split_page(page, order);
			return page;
		}
		__free_pages(page, order);
	}

	return NULL;
}

/* Takes the lowest pages of a range, @nr of them, that others can leave. */
static struct page *lowest_of(const struct xen_bus_range *range,
			      unsigned int order, const struct xen_span *span,
			      gfp_t gfp, unsigned int *places)
{
	u64 size = (u64)PAGE_SIZE << order;
	u64 first = range->start + range->offset;
	u64 highest = min(first + (range->size - 1), span->last);
	u64 machine = ALIGN(max(first, span->first), size);

	for (; machine + size - 1 <= highest && *places;
	     machine += size, --*places) {
		unsigned long pfn = PHYS_PFN(machine - range->offset);
		unsigned long last = pfn + (1UL << order) - 1;

		if (!pfn_valid(pfn) || !pfn_valid(last) ||
		    PageHighMem(pfn_to_page(last)) ||
		    page_zone(pfn_to_page(pfn)) != page_zone(pfn_to_page(last)))
			continue;
		if (!is_within(pfn_to_page(pfn), order, span))
			continue;
		if (!xen_alloc_contig_range(pfn, 1UL << order,
					    (gfp & GFP_KERNEL) | __GFP_NOWARN))
			return pfn_to_page(pfn);
	}

	return NULL;
}

/* The range that follows in the machine behind @machine, or NULL. */
static const struct xen_bus_range *next_range(u64 machine)
{
	const struct xen_bus_table *table = xen_dma_table();
	const struct xen_bus_range *next = NULL;
	unsigned int i;

	for (i = 0; i < table->nr; i++) {
		const struct xen_bus_range *range = &table->range[i];
		u64 start = range->start + range->offset;

		if (start >= machine &&
		    (!next || start < next->start + next->offset))
			next = range;
	}

	return next;
}

static struct page *lowest_block(unsigned int order, const struct xen_span *span,
				 gfp_t gfp)
{
	const struct xen_bus_range *range;
	unsigned int places = XEN_PLACES;
	struct page *page;
	u64 machine = 0;

	while ((range = next_range(machine)) && places) {
		page = lowest_of(range, order, span, gfp, &places);
		if (page)
			return page;
		machine = range->start + range->offset + range->size;
	}

	return NULL;
}

/**
 * xen_alloc_reachable() - allocate pages that are contiguous in the machine
 * @order:	log2 of the pages
 * @span:	where they may be in the machine
 * @gfp:	allocation flags
 *
 * They are aligned to their size in the machine, and have never left the domain.
 *
 * Context: As @gfp says. Where it may not sleep it takes luck.
 * Return: The first page, NULL when there are none.
 */
struct page *xen_alloc_reachable(unsigned int order, const struct xen_span *span,
				 gfp_t gfp)
{
	struct page *page = NULL;

	if (gfpflags_allow_blocking(gfp))
		page = lowest_block(order, span, gfp);
	if (!page && order <= MAX_PAGE_ORDER)
		page = any_block(order, span, gfp);

	return page;
}

/**
 * xen_free_reachable() - free what xen_alloc_reachable() returned
 * @page:	the first page
 * @order:	log2 of the pages
 *
 * Context: Any.
 */
void xen_free_reachable(struct page *page, unsigned int order)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++)
		__free_page(page + i);
}
