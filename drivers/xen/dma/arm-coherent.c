// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory where a domain can't exchange any: ARM.
 *
 * Memory of the page allocator's, or of CMA, is in one piece in the machine but for the
 * borders of ranges and for pages that may have moved. What is found is looked at: memory
 * that does not suit is held while it looks on, then freed. Where many pages have moved
 * it finds none, for those that were freed last come first, nor where the domain is in
 * small pieces, nor where a zone of the kernel's has more than what the device reaches;
 * then a reserve serves.
 *
 * Of a domain that is mapped 1:1 the generic allocator gives memory, for there the
 * device's map says what it expects. Elsewhere that map is for machine addresses, which
 * it knows nothing of.
 */
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/genalloc.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <xen/bus-ranges.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "addr.h"
#include "compat.h"
#include "coherent.h"
#include "decide.h"
#include "windows.h"

/* How many unsuitable blocks are held, where it may not sleep and where it may. */
#define XEN_TRIES_ATOMIC	16
#define XEN_TRIES		64

/* What the reserve grows by, at least. Bytes. */
#define XEN_RESERVE_STEP	SZ_2M

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
 * @phys:	guest-physical address
 */
struct xen_coherent_try {
	void *cpu;
	dma_addr_t bus;
	phys_addr_t phys;
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

static u64 reach_of(struct device *dev)
{
	return xen_bus_limit(dev, dev->coherent_dma_mask);
}

/*
 * Where memory is for the device that has never left the domain, within the mask for
 * coherent memory if the bus leads there more than once.
 */
static dma_addr_t bus_of(struct device *dev, phys_addr_t phys)
{
	const struct bus_dma_region *map = dev->dma_range_map;
	dma_addr_t machine = xen_arm_in_place(phys);

	return !map || machine == DMA_MAPPING_ERROR ? machine :
	       xen_window_to_bus(map, machine, reach_of(dev));
}

/*
 * Does the device reach it, is it in one piece, and has none of it ever left the
 * domain? (The generic code does not look on every architecture.)
 */
static bool is_reached(struct device *dev, phys_addr_t phys, size_t size)
{
	dma_addr_t bus = bus_of(dev, phys);
	unsigned long first = XEN_PFN_DOWN(phys);
	u64 last = bus + size - 1;

	if (bus == DMA_MAPPING_ERROR || last < bus || last > reach_of(dev))
		return false;
	if (xen_any_displaced() &&
	    xen_displaced_next(first, first + XEN_PFN_UP(size) - 1) != XEN_IN_PLACE)
		return false;

	return xen_is_contiguous(dev, phys, size);
}

static bool suits(const struct xen_coherent_request *req,
		  const struct xen_coherent_try *found)
{
	return is_reached(req->dev, found->phys, PAGE_ALIGN(req->size));
}

/* Of memory that was found suitable, so it is where the table says. */
static phys_addr_t phys_of(struct device *dev, dma_addr_t bus)
{
	phys_addr_t phys = 0;

	if (!xen_needs_table)
		return dma_to_phys(dev, bus);

	xen_bus_to_phys(dev, bus, &phys);
	return phys;
}

static struct xen_coherent_try find_generic(const struct xen_coherent_request *req)
{
	struct xen_coherent_try found = {};

	if (req->is_page)
		found.cpu = dma_direct_alloc_pages(req->dev, req->size,
						   &found.bus, req->dir,
						   req->gfp);
	else
		found.cpu = dma_direct_alloc(req->dev, req->size, &found.bus,
					     req->gfp, req->attrs);
	if (found.cpu)
		found.phys = dma_to_phys(req->dev, found.bus);
	return found;
}

static void put_generic(const struct xen_coherent_request *req,
			const struct xen_coherent_try *found)
{
	if (req->is_page)
		dma_direct_free_pages(req->dev, req->size, found->cpu,
				      found->bus, req->dir);
	else
		dma_direct_free(req->dev, req->size, found->cpu, found->bus,
				req->attrs);
}

/* Must the CPU see it in another way than the rest of memory? */
static bool is_uncached(const struct xen_coherent_request *req)
{
	return !req->is_page && !dev_is_dma_coherent(req->dev);
}

/*
 * On 32 bits the architecture allocates what is uncached, and without windows of a bus
 * it takes guest-physical addresses for the device's.
 */
static struct xen_coherent_try find_by_arch(const struct xen_coherent_request *req)
{
	const struct bus_dma_region *map = req->dev->dma_range_map;
	struct xen_coherent_try found = {};

	if (!map || xen_window_is_same(map))
		found = find_generic(req);
	if (found.cpu)
		found.bus = bus_of(req->dev, found.phys);
	return found;
}

/* Makes pages what was asked for; they are freed when that can't be. */
static void *prepare_pages(const struct xen_coherent_request *req, struct page *page)
{
	size_t size = PAGE_ALIGN(req->size);
	void *cpu;

	if (!is_uncached(req)) {
		memset(page_address(page), 0, size);
		return req->is_page ||
		       req->attrs & DMA_ATTR_NO_KERNEL_MAPPING ?
		       (void *)page : page_address(page);
	}

	arch_dma_prep_coherent(page, size);
	if (req->attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		return page;

	cpu = dma_common_contiguous_remap(page, size,
					  dma_pgprot(req->dev, PAGE_KERNEL,
						     req->attrs),
					  __builtin_return_address(0));
	if (cpu)
		memset(cpu, 0, size);
	else
		dma_free_contiguous(req->dev, page, size);
	return cpu;
}

static struct xen_coherent_try find_pages(const struct xen_coherent_request *req)
{
	struct xen_coherent_try found = {};
	size_t size = PAGE_ALIGN(req->size);
	gfp_t gfp = (req->gfp & ~(__GFP_COMP | __GFP_ZERO | __GFP_HIGHMEM)) |
		    __GFP_NOWARN;
	struct page *page = NULL;

	if (is_uncached(req) && !gfpflags_allow_blocking(gfp) &&
	    !(req->attrs & DMA_ATTR_NO_KERNEL_MAPPING)) {
		if (IS_ENABLED(CONFIG_DMA_COHERENT_POOL))
			page = xen_alloc_from_pool(req->dev, size, &found.cpu,
						   gfp, is_reached);
	} else {
		if (!IS_ENABLED(CONFIG_HIGHMEM))
			page = dma_alloc_contiguous(req->dev, size, gfp);
		if (!page)
			page = alloc_pages_node(dev_to_node(req->dev), gfp,
						get_order(size));
		if (page)
			found.cpu = prepare_pages(req, page);
	}
	if (found.cpu) {
		found.phys = page_to_phys(page);
		found.bus = bus_of(req->dev, found.phys);
	}
	return found;
}

static void put_found_pages(const struct xen_coherent_request *req, void *cpu)
{
	size_t size = PAGE_ALIGN(req->size);
	struct page *page = cpu;

	if (req->is_page || req->attrs & DMA_ATTR_NO_KERNEL_MAPPING) {
		dma_free_contiguous(req->dev, page, size);
		return;
	}
	if (!is_uncached(req)) {
		dma_free_contiguous(req->dev, virt_to_page(cpu), size);
		return;
	}
	if (IS_ENABLED(CONFIG_DMA_COHERENT_POOL) &&
	    dma_free_from_pool(req->dev, cpu, size))
		return;

	page = vmalloc_to_page(cpu);
	dma_common_free_remap(cpu, size);
	dma_free_contiguous(req->dev, page, size);
}

static struct xen_coherent_try find_memory(const struct xen_coherent_request *req)
{
	if (!xen_needs_table)
		return find_generic(req);
	if (IS_ENABLED(CONFIG_ARM) && is_uncached(req))
		return find_by_arch(req);
	return find_pages(req);
}

static void put_memory(const struct xen_coherent_request *req,
		       const struct xen_coherent_try *found)
{
	struct xen_coherent_try generic = *found;

	if (xen_needs_table && !(IS_ENABLED(CONFIG_ARM) && is_uncached(req))) {
		put_found_pages(req, found->cpu);
		return;
	}
	if (xen_needs_table)
		generic.bus = found->phys;
	put_generic(req, &generic);
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

static struct page *alloc_reached(const struct xen_coherent_request *req,
				  unsigned int order)
{
	struct page *page = NULL;
	struct xen_span span;
	unsigned int i;

	for (i = 0; !page &&
	     xen_span_of(req->dev, reach_of(req->dev), i, &span); i++)
		page = xen_alloc_reachable(order, &span, req->gfp);
	return page;
}

static bool grow_pool(struct gen_pool *pool,
		      const struct xen_coherent_request *req)
{
	unsigned int order = get_order(max_t(size_t, req->size,
					     XEN_RESERVE_STEP));
	struct page *page = alloc_reached(req, order);
	size_t size;
	void *vaddr;

	if (!page) {
		/* Where the domain is in small pieces. */
		order = get_order(req->size);
		page = alloc_reached(req, order);
	}
	if (!page)
		return false;

	size = PAGE_SIZE << order;
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
	dma_addr_t bus = bus_of(data, phys), last;
	size_t bytes = size << PAGE_SHIFT;

	last = bus_of(data, phys + bytes - 1);
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
		found.phys = gen_pool_virt_to_phys(pool, vaddr);
		found.bus = bus_of(req->dev, found.phys);
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

static struct xen_coherent_try take_known(const struct xen_coherent_request *req)
{
	struct xen_coherent_try found = find_memory(req);

	if (found.cpu && unlikely(!suits(req, &found)))
		found = search(req, found);
	if (unlikely(!found.cpu) && !xen_has_own_pool(req->dev))
		found = take_reserved(req);
	return found;
}

/* Where what is known of memory does not do, it waits for more to be known, if it may. */
static struct xen_coherent_try take_memory(const struct xen_coherent_request *req)
{
	bool waits = (req->gfp & GFP_KERNEL) == GFP_KERNEL, again = true;
	struct xen_coherent_try found = {};

	while (again && !found.cpu && !xen_dma_refuses(req->dev)) {
		again = xen_is_learning() && waits;
		found = take_known(req);
		if (!found.cpu && again)
			xen_learn_more();
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
	const struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.attrs = attrs,
	};
	struct xen_coherent_try found = {
		.cpu = vaddr,
		.bus = dma_handle,
		.phys = phys_of(dev, dma_handle),
	};

	if (!free_reserved(addr, size))
		put_memory(&req, &found);
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
	const struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.dir = dir,
		.is_page = true,
	};
	struct xen_coherent_try found = { .cpu = page, .bus = dma_handle };

	if (!free_reserved(page_address(page), size))
		put_memory(&req, &found);
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
	unsigned long pfn = PHYS_PFN(phys_of(dev, dma_handle));
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
	phys_addr_t phys = phys_of(dev, dma_handle);
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
