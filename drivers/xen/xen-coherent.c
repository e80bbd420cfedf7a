// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory of x86 PV domains.
 *
 * A device and the CPU share this memory for as long as it is allocated, so it
 * can't be bounced: it has to be where the device reaches, and contiguous in the
 * machine. Pages that are so by chance are used as they are. Others are
 * exchanged with the hypervisor, and exchanged back when they are freed, for
 * low memory is scarce; a page flag remembers which.
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/bitops.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>

#include <xen/swiotlb-xen.h>

#include "swiotlb-xen-compat.h"
#include "xen-coherent.h"

static void report_failure(struct device *dev, size_t size, u64 mask, int err)
{
	const char *why;

	switch (err) {
	case -EPERM:
		why = "larger than Xen allows, see its option memop-max-order=";
		break;
	case -ENOMEM:
		why = "no such memory in Xen, leave it some with dom0_mem=";
		break;
	case -E2BIG:
		why = "larger than the page allocator's largest block";
		break;
	default:
		why = "the hypervisor refused the exchange";
		break;
	}

	dev_err_ratelimited(dev,
			    "xen_swiotlb: no %zu bytes of coherent memory below mask %#llx: %s (%d)\n",
			    size, mask, why, err);
}

/* The width of addresses that are all within a mask, whatever its shape. */
static unsigned int mask_bits(u64 mask)
{
	return mask == U64_MAX ? 64 : fls64(mask + 1) - 1;
}

/* Allocates cleared pages that @dev reaches; the first of 2^get_order(@size). */
static struct page *alloc_reachable(struct device *dev, size_t size,
				    dma_addr_t *dma_handle, gfp_t gfp,
				    unsigned long attrs)
{
	u64 mask = min_not_zero(dev->coherent_dma_mask, dev->bus_dma_limit);
	unsigned int order = get_order(size);
	unsigned int bits = mask_bits(mask);
	struct page *page;
	int rc;

	if (attrs & DMA_ATTR_NO_WARN)
		gfp |= __GFP_NOWARN;
	if (order > MAX_PAGE_ORDER) {
		if (!(gfp & __GFP_NOWARN))
			report_failure(dev, size, mask, -E2BIG);
		return NULL;
	}
	if (!bits)
		return NULL;

	/* The page flag below is not for compound pages, nor is exchanging them. */
	gfp &= ~(__GFP_ZERO | __GFP_COMP);
	page = alloc_pages_node(dev_to_node(dev), gfp, order);
	if (!page)
		return NULL;

	rc = xen_make_contiguous(page_to_phys(page), order, bits, gfp,
				 dma_handle);
	if (rc < 0) {
		if (!(gfp & __GFP_NOWARN))
			report_failure(dev, size, mask, rc);
		__free_pages(page, order);
		return NULL;
	}
	if (!rc)
		SetPageXenRemapped(page);

	memset(page_address(page), 0, PAGE_SIZE << order);
	return page;
}

static void free_reachable(struct page *page, size_t size)
{
	unsigned int order = get_order(size);

	/* A region that Xen does not take back is ordinary memory all the same. */
	if (TestClearPageXenRemapped(page))
		xen_give_back_contiguous(page_to_phys(page), order, GFP_ATOMIC);
	__free_pages(page, order);
}

/**
 * xen_coherent_alloc() - allocate coherent memory
 * @dev:	device that shares it
 * @size:	bytes, of which whole powers of two of pages are used
 * @dma_handle:	where the bus address goes
 * @gfp:	allocation flags
 * @attrs:	DMA_ATTR_NO_WARN is honoured; the memory is always contiguous and
 *		mapped, so the attributes that allow less change nothing
 *
 * Context: As @gfp says; atomic callers never sleep.
 * Return: Kernel address of cleared memory that lies below the device's
 * coherent mask, aligned to its size on the bus; NULL when there is none.
 */
void *xen_coherent_alloc(struct device *dev, size_t size,
			 dma_addr_t *dma_handle, gfp_t gfp,
			 unsigned long attrs)
{
	struct page *page = alloc_reachable(dev, size, dma_handle, gfp, attrs);

	return page ? page_address(page) : NULL;
}

/**
 * xen_coherent_free() - free what xen_coherent_alloc() gave
 * @dev:	device that shared it
 * @size:	bytes, as allocated
 * @vaddr:	kernel address
 * @dma_handle:	bus address
 * @attrs:	as allocated
 *
 * Context: Any that dma_free_coherent() allows.
 */
void xen_coherent_free(struct device *dev, size_t size, void *vaddr,
		       dma_addr_t dma_handle, unsigned long attrs)
{
	free_reachable(virt_to_page(vaddr), size);
}

/**
 * xen_coherent_alloc_pages() - allocate pages that need no bouncing
 * @dev:	device that will use them
 * @size:	bytes
 * @dma_handle:	where the bus address goes
 * @dir:	direction; all are the same here
 * @gfp:	allocation flags
 *
 * Such pages may stay mapped for ever, so they must not hold bounce memory.
 *
 * Context: As @gfp says.
 * Return: First of the cleared pages, NULL when there are none.
 */
struct page *xen_coherent_alloc_pages(struct device *dev, size_t size,
				      dma_addr_t *dma_handle,
				      enum dma_data_direction dir, gfp_t gfp)
{
	return alloc_reachable(dev, size, dma_handle, gfp, 0);
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
	free_reachable(page, size);
}
