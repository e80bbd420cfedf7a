// SPDX-License-Identifier: GPL-2.0
/*
 * DMA operations of Xen domains that own hardware.
 *
 * The guest's idea of a physical address is not what a device must put on the
 * bus. Each mapping is translated, and one function says why, if at all, the
 * device can't use the memory where it is. Without a reason the translated
 * address is the answer; else the aperture (dma/aperture.c) takes a copy. Lists
 * are planned as a whole (dma/sg.c).
 *
 * An unmap or sync has the bus address only. Whether that lies in the aperture
 * comes from a table, without asking whose frame it is: the hypervisor's M2P
 * knows nothing of use about another domain's page. Coherent memory is never
 * bounced (dma/coherent.c).
 */
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/mm.h>

#include <xen/swiotlb-xen.h>

#include "dma/aperture.h"
#include "dma/bounce.h"
#include "dma/caches.h"
#include "dma/coherent.h"
#include "dma/compat.h"
#include "dma/decide.h"
#include "dma/sg.h"

/* What memory is mostly made of that is in one piece; bytes. */
#define LARGE_PAGE	SZ_2M

/* MMIO is never bounced: either the device reaches it, or it doesn't. */
static noinline dma_addr_t xen_map_mmio(struct device *dev, phys_addr_t phys,
					size_t size, unsigned long attrs)
{
	dma_addr_t bus = xen_mmio_to_bus(dev, phys, size);

	if (bus != DMA_MAPPING_ERROR &&
	    xen_dma_capable(dev, bus, size, false, attrs))
		return bus;

	if (attrs & DMA_ATTR_NO_WARN)
		return DMA_MAPPING_ERROR;
	if (bus == DMA_MAPPING_ERROR)
		dev_err_ratelimited(dev,
				    "xen-dma: nobody says where MMIO at %pa, %zu bytes, is in the machine\n",
				    &phys, size);
	else
		dev_err_ratelimited(dev,
				    "xen-dma: MMIO at %pa, %zu bytes, is above mask %#llx\n",
				    &phys, size, dma_get_mask(dev));
	return DMA_MAPPING_ERROR;
}

static void xen_swiotlb_unmap_phys(struct device *dev, dma_addr_t bus,
				   size_t size, enum dma_data_direction dir,
				   unsigned long attrs)
{
	if (attrs & DMA_ATTR_MMIO)
		return;

	xen_unmap(dev, bus, size, dir, attrs);
}

static dma_addr_t xen_swiotlb_map_phys(struct device *dev, phys_addr_t phys,
				       size_t size, enum dma_data_direction dir,
				       unsigned long attrs)
{
	enum xen_bounce_reason why;
	dma_addr_t bus;

	if (attrs & DMA_ATTR_MMIO)
		return xen_map_mmio(dev, phys, size, attrs);

	bus = xen_phys_to_bus(dev, phys);
	why = xen_bounce_why(dev, xen_limits_of(dev), phys, bus, size, dir);
	if (why != XEN_BOUNCE_NONE)
		return xen_map_bounced(dev, phys, size, why, attrs);

	if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC) &&
	    unlikely(xen_sync_caches_for_device(dev, bus, size, dir)))
		return DMA_MAPPING_ERROR;

	return bus;
}

#if XEN_DMA_OPS_TAKE_PAGE
static dma_addr_t xen_swiotlb_map_page(struct device *dev, struct page *page,
				       unsigned long offset, size_t size,
				       enum dma_data_direction dir,
				       unsigned long attrs)
{
	return xen_swiotlb_map_phys(dev, page_to_phys(page) + offset, size, dir,
				    attrs);
}

static dma_addr_t xen_swiotlb_map_resource(struct device *dev, phys_addr_t phys,
					   size_t size,
					   enum dma_data_direction dir,
					   unsigned long attrs)
{
	return xen_map_mmio(dev, phys, size, attrs);
}
#endif

/* With bus addresses up to a limit, does a device reach all of the machine? */
static bool reaches_machine(struct device *dev, u64 limit)
{
	struct xen_span span;

	return xen_span_of(dev, limit, 0, &span) && !span.first &&
	       span.last >= xen_required_dma_mask();
}

/*
 * A device that reaches all of the machine needs the aperture only for buffers
 * that are not contiguous. Any other needs some of it below its mask, and gets
 * it made where Xen has such memory.
 */
static int xen_swiotlb_dma_supported(struct device *dev, u64 mask)
{
	u64 limit = xen_bus_limit(dev, mask);

	if (!mask || xen_dma_refuses(dev))
		return 0;
	if (xen_has_own_pool(dev))
		return dma_direct_supported(dev, mask);

	return reaches_machine(dev, limit) || !xen_aperture_obtain(dev, limit);
}

static u64 xen_swiotlb_get_required_mask(struct device *dev)
{
	return xen_required_mask(dev);
}

/*
 * For some drivers this is the size of a request, for others that of a segment, for which
 * they merge pages that follow each other for the kernel. So a device that reaches
 * everything is told the size of large pages, which mostly are in one piece; what has
 * no such limit it may map all the same. For any other device all requests are bounced,
 * and many of them at a time have to find room. Without an aperture there is hope for
 * what lies within a page.
 */
static size_t xen_swiotlb_max_mapping_size(struct device *dev)
{
	size_t size = min_t(size_t, xen_aperture_largest(dev), LARGE_PAGE);

	if (xen_has_own_pool(dev))
		return swiotlb_max_mapping_size(dev);
	if (!reaches_machine(dev, xen_bus_limit(dev, dma_get_mask(dev))) ||
	    is_swiotlb_force_bounce(dev) || xen_is_named(dev, XEN_NAMED_BOUNCE))
		size = min(size, xen_aperture_fair_share(dev));
	return max_t(size_t, size, PAGE_SIZE);
}

const struct dma_map_ops xen_swiotlb_dma_ops = {
	.alloc			= xen_coherent_alloc,
	.free			= xen_coherent_free,
	.alloc_pages_op		= xen_coherent_alloc_pages,
	.free_pages		= xen_coherent_free_pages,
	.mmap			= xen_coherent_mmap,
	.get_sgtable		= xen_coherent_get_sgtable,
#if XEN_DMA_OPS_TAKE_PAGE
	.map_page		= xen_swiotlb_map_page,
	.unmap_page		= xen_swiotlb_unmap_phys,
	.map_resource		= xen_swiotlb_map_resource,
#else
	.map_phys		= xen_swiotlb_map_phys,
	.unmap_phys		= xen_swiotlb_unmap_phys,
#endif
	.map_sg			= xen_swiotlb_map_sg,
	.unmap_sg		= xen_swiotlb_unmap_sg,
	.sync_single_for_cpu	= xen_sync_for_cpu,
	.sync_single_for_device	= xen_sync_for_device,
	.sync_sg_for_cpu	= xen_swiotlb_sync_sg_for_cpu,
	.sync_sg_for_device	= xen_swiotlb_sync_sg_for_device,
	.dma_supported		= xen_swiotlb_dma_supported,
	.get_required_mask	= xen_swiotlb_get_required_mask,
	.max_mapping_size	= xen_swiotlb_max_mapping_size,
};
