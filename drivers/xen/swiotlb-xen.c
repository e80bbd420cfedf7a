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
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/pfn.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include <trace/events/swiotlb.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "dma/aperture.h"
#include "dma/coherent.h"
#include "dma/compat.h"
#include "dma/decide.h"
#include "dma/pool.h"

static DEFINE_PER_CPU(unsigned long [XEN_BOUNCE_REASONS], xen_bounces);

/**
 * xen_dma_bounces() - count of mappings bounced for a reason
 * @why:	the reason
 *
 * Context: Any.
 * Return: Mappings since boot, of all CPUs.
 */
unsigned long xen_dma_bounces(enum xen_bounce_reason why)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(xen_bounces, cpu)[why]);

	return sum;
}

/* MMIO is where it is, for the bus too: it is neither translated nor bounced. */
static noinline dma_addr_t xen_map_mmio(struct device *dev, phys_addr_t phys,
					size_t size, unsigned long attrs)
{
	if (xen_dma_capable(dev, phys, size, false, attrs))
		return phys;

	if (!(attrs & DMA_ATTR_NO_WARN))
		dev_err_ratelimited(dev,
				    "xen_swiotlb: MMIO at %pa, %zu bytes, is above mask %#llx\n",
				    &phys, size, dma_get_mask(dev));
	return DMA_MAPPING_ERROR;
}

/**
 * xen_translate() - where a buffer is for the bus, and whether to bounce it
 * @dev:	device
 * @limits:	of xen_limits_of()
 * @phys:	pseudo-physical address
 * @size:	bytes, not 0
 * @dir:	direction
 * @bus:	where the bus address goes
 *
 * Context: Any.
 * Return: Why the buffer must be bounced.
 */
enum xen_bounce_reason
xen_translate(struct device *dev, const struct xen_dma_limits *limits,
	      phys_addr_t phys, size_t size, enum dma_data_direction dir,
	      dma_addr_t *bus)
{
	*bus = xen_bus_of(dev, phys);
	return xen_bounce_why(dev, *limits, phys, *bus, size, dir);
}

/**
 * xen_count_bounce() - count a mapping that was bounced
 * @why:	the reason
 *
 * Context: Any.
 */
void xen_count_bounce(enum xen_bounce_reason why)
{
	this_cpu_inc(xen_bounces[why]);
}

/*
 * Can the device use a bounced buffer where the bus has it? The aperture knows
 * machine addresses only, and a bus may have several windows to them.
 */
static bool bus_leads_there(struct device *dev, dma_addr_t machine,
			    phys_addr_t phys, dma_addr_t bus, size_t size)
{
	const struct xen_dma_limits limits = xen_limits_of(dev);
	dma_addr_t last = bus + size - 1;

	return bus != DMA_MAPPING_ERROR && last >= bus && last <= limits.last &&
	       xen_dma_of(dev, machine + size - 1) == last &&
	       !((phys ^ bus) & limits.align_mask) &&
	       !xen_crosses_boundary(&limits, phys, bus, size);
}

/**
 * xen_map_bounced() - map a copy
 * @dev:	device
 * @phys:	where the source begins
 * @size:	its bytes
 * @sg:		first entry when it is a list, see xen_aperture_map_list(); else
 *		NULL
 * @nr:		its entries that are not empty
 * @attrs:	DMA_ATTR_REQUIRE_COHERENT is refused, DMA_ATTR_NO_WARN honoured
 *
 * Context: Any.
 * Return: See xen_aperture_map().
 */
dma_addr_t xen_map_bounced(struct device *dev, phys_addr_t phys, size_t size,
			   struct scatterlist *sg, unsigned int nr,
			   unsigned long attrs)
{
	dma_addr_t machine, bus;

	if (unlikely(xen_dma_refuses(dev)))
		return DMA_MAPPING_ERROR;

	if (attrs & DMA_ATTR_REQUIRE_COHERENT) {
		if (!(attrs & DMA_ATTR_NO_WARN))
			dev_err_ratelimited(dev,
					    "xen_swiotlb: %zu bytes must be coherent, but would be bounced\n",
					    size);
		return DMA_MAPPING_ERROR;
	}

	if (trace_swiotlb_bounced_enabled())
		trace_swiotlb_bounced(dev, xen_bus_of(dev, phys), size);

	machine = sg ? xen_aperture_map_list(dev, sg, nr, size) :
		       xen_aperture_map(dev, phys, size, attrs);
	if (unlikely(machine == DMA_MAPPING_ERROR))
		return machine;

	bus = xen_dma_of(dev, machine);
	if (!XEN_DMA_EXCHANGES && unlikely(dev->dma_range_map) &&
	    !bus_leads_there(dev, machine, phys, bus, size)) {
		xen_aperture_unmap(dev, machine, DMA_TO_DEVICE, attrs);
		if (!(attrs & DMA_ATTR_NO_WARN))
			dev_err_ratelimited(dev,
					    "xen_swiotlb: the bus's dma-ranges don't lead to the aperture\n");
		return DMA_MAPPING_ERROR;
	}
	return bus;
}

static void xen_swiotlb_unmap_phys(struct device *dev, dma_addr_t bus,
				   size_t size, enum dma_data_direction dir,
				   unsigned long attrs)
{
	if (attrs & DMA_ATTR_MMIO)
		return;

	if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		xen_sync_caches_for_cpu(dev, bus, size, dir);

	bus = xen_machine_of(dev, bus);
	if (xen_pool_find(bus))
		xen_aperture_unmap(dev, bus, dir, attrs);
}

static dma_addr_t xen_swiotlb_map_phys(struct device *dev, phys_addr_t phys,
				       size_t size, enum dma_data_direction dir,
				       unsigned long attrs)
{
	enum xen_bounce_reason why;
	dma_addr_t bus;

	if (attrs & DMA_ATTR_MMIO)
		return xen_map_mmio(dev, phys, size, attrs);

	bus = xen_bus_of(dev, phys);
	why = xen_bounce_why(dev, xen_limits_of(dev), phys, bus, size, dir);
	if (why != XEN_BOUNCE_NONE) {
		bus = xen_map_bounced(dev, phys, size, NULL, 0, attrs);
		if (unlikely(bus == DMA_MAPPING_ERROR))
			return bus;
		xen_count_bounce(why);
	}

	if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC) &&
	    unlikely(xen_sync_caches_for_device(dev, bus, size, dir))) {
		if (why != XEN_BOUNCE_NONE)
			xen_swiotlb_unmap_phys(dev, bus, size, dir, attrs |
					       DMA_ATTR_SKIP_CPU_SYNC);
		return DMA_MAPPING_ERROR;
	}

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

/**
 * xen_swiotlb_sync_single_for_cpu() - the CPU is about to look
 * @dev:	device
 * @bus:	first byte, anywhere in a mapping
 * @size:	bytes
 * @dir:	direction of the mapping
 *
 * Context: Any.
 */
void xen_swiotlb_sync_single_for_cpu(struct device *dev, dma_addr_t bus,
				     size_t size, enum dma_data_direction dir)
{
	if (!dev_is_dma_coherent(dev))
		xen_sync_caches_for_cpu(dev, bus, size, dir);

	bus = xen_machine_of(dev, bus);
	if (dir != DMA_TO_DEVICE && xen_pool_find(bus))
		xen_aperture_sync(dev, bus, size, true);
}

/**
 * xen_swiotlb_sync_single_for_device() - the device is about to look
 * @dev:	device
 * @bus:	first byte, anywhere in a mapping
 * @size:	bytes
 * @dir:	direction of the mapping
 *
 * Context: Any.
 */
void xen_swiotlb_sync_single_for_device(struct device *dev, dma_addr_t bus,
					size_t size,
					enum dma_data_direction dir)
{
	dma_addr_t machine = xen_machine_of(dev, bus);

	if (dir != DMA_FROM_DEVICE && xen_pool_find(machine))
		xen_aperture_sync(dev, machine, size, false);

	if (!dev_is_dma_coherent(dev))
		xen_sync_caches_for_device(dev, bus, size, dir);
}

/*
 * A device that reaches all of the machine needs the aperture only for buffers
 * that are not contiguous. Any other needs some of it below its mask, and gets
 * it made where Xen has such memory.
 */
static int xen_swiotlb_dma_supported(struct device *dev, u64 mask)
{
	u64 limit = xen_machine_limit(dev, min_not_zero(mask, dev->bus_dma_limit));

	if (!mask || xen_dma_refuses(dev))
		return 0;

	return limit >= xen_required_dma_mask() ||
	       !xen_aperture_obtain(dev, limit);
}

static u64 xen_swiotlb_get_required_mask(struct device *dev)
{
	return xen_required_dma_mask();
}

/*
 * Any buffer may have to be bounced, for none is known to be contiguous. Without
 * an aperture there is hope for what lies within a page.
 */
static size_t xen_swiotlb_max_mapping_size(struct device *dev)
{
	return max_t(size_t, xen_aperture_max_mapping(dev), PAGE_SIZE);
}

static size_t xen_swiotlb_opt_mapping_size(void)
{
	return XEN_OPT_MAPPING;
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
	.sync_single_for_cpu	= xen_swiotlb_sync_single_for_cpu,
	.sync_single_for_device	= xen_swiotlb_sync_single_for_device,
	.sync_sg_for_cpu	= xen_swiotlb_sync_sg_for_cpu,
	.sync_sg_for_device	= xen_swiotlb_sync_sg_for_device,
	.dma_supported		= xen_swiotlb_dma_supported,
	.get_required_mask	= xen_swiotlb_get_required_mask,
	.max_mapping_size	= xen_swiotlb_max_mapping_size,
	.opt_mapping_size	= xen_swiotlb_opt_mapping_size,
};
