// SPDX-License-Identifier: GPL-2.0
/*
 * Bounced mappings, by their bus addresses.
 *
 * The aperture deals in machine addresses. Where a device's bus has addresses of its
 * own for these, it may not lead to the aperture at all.
 */
#include <linux/scatterlist.h>

#include <trace/events/swiotlb.h>
#include <trace/events/xen_dma.h>

#include "addr.h"
#include "aperture.h"
#include "bounce.h"
#include "by-name.h"
#include "caches.h"
#include "compat.h"
#include "decide.h"
#include "pool.h"
#include "stats.h"

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
	       xen_machine_to_bus(dev, machine + size - 1) == last &&
	       !((phys ^ bus) & limits.align_mask) &&
	       !xen_crosses_boundary(&limits, phys, bus, size);
}

/* Can the CPU copy all of it? What is not mapped lies in regions of whole pages. */
static bool can_copy(phys_addr_t phys, size_t size, struct scatterlist *sg,
		     unsigned int nr)
{
	if (!sg)
		return xen_has_mapping(phys) && xen_has_mapping(phys + size - 1);

	for (; nr; sg = sg_next(sg)) {
		if (!sg->length)
			continue;
		if (!xen_has_mapping(sg_phys(sg)))
			return false;
		nr--;
	}
	return true;
}

static __always_inline dma_addr_t map_in_aperture(struct device *dev,
						  phys_addr_t phys, size_t size,
						  struct scatterlist *sg,
						  unsigned int nr,
						  enum xen_bounce_reason why,
						  unsigned long attrs)
{
	return sg ? xen_aperture_map_list(dev, sg, nr, size, why) :
		    xen_aperture_map(dev, phys, size, why, attrs);
}

/* The generic code copies, and traces by itself. */
static dma_addr_t map_own_pool(struct device *dev, phys_addr_t phys, size_t size,
			       unsigned long attrs)
{
	dma_addr_t bus = swiotlb_map(dev, phys, size, DMA_BIDIRECTIONAL, attrs);

	if (bus != DMA_MAPPING_ERROR)
		xen_count_bounce(xen_stats_of(dev), XEN_BOUNCE_FORCED, size);
	return bus;
}

/* What speaks against a copy, whatever room there is; NULL for nothing. */
static const char *reason_to_refuse(struct device *dev, unsigned long attrs)
{
	if (xen_has_no_hardware(dev))
		return "they are not contiguous in the machine; single pages can be shared";
	if (attrs & DMA_ATTR_REQUIRE_COHERENT)
		return "they must be coherent, but would be bounced";
	if (xen_is_named(dev, XEN_NAMED_IN_PLACE))
		return "they would be bounced, which xen_dma.in_place= forbids";
	return NULL;
}

/* Somebody looks on, or more is asked for than a copy at a machine address. */
static noinline dma_addr_t map_with_care(struct device *dev, phys_addr_t phys,
					 size_t size, struct scatterlist *sg,
					 unsigned int nr,
					 enum xen_bounce_reason why,
					 unsigned long attrs)
{
	const char *refusal = reason_to_refuse(dev, attrs);
	dma_addr_t machine, bus;

	if (xen_dma_refuses(dev))
		return DMA_MAPPING_ERROR;
	if (refusal) {
		if (!(attrs & DMA_ATTR_NO_WARN))
			dev_err_ratelimited(dev, "xen-dma: can't map %zu bytes: %s\n",
					    size, refusal);
		return DMA_MAPPING_ERROR;
	}
	if (xen_has_own_pool(dev))
		return sg ? DMA_MAPPING_ERROR : map_own_pool(dev, phys, size, attrs);

	trace_swiotlb_bounced(dev, xen_phys_to_bus(dev, phys), size);
	machine = map_in_aperture(dev, phys, size, sg, nr, why, attrs);
	if (machine == DMA_MAPPING_ERROR)
		return machine;

	bus = xen_machine_to_bus(dev, machine);
	trace_xen_dma_map(dev, phys, bus, size, xen_bounce_names[why]);
	if (!xen_bus_has_windows(dev) ||
	    bus_leads_there(dev, machine, phys, bus, size))
		return bus;

	xen_aperture_unmap(dev, machine, DMA_TO_DEVICE, attrs);
	if (!(attrs & DMA_ATTR_NO_WARN))
		dev_err_ratelimited(dev,
				    "xen-dma: the bus's dma-ranges don't lead to the aperture\n");
	return DMA_MAPPING_ERROR;
}

/* There is nothing that the CPU could copy. */
static noinline dma_addr_t refuse_unmapped(struct device *dev, phys_addr_t phys,
					   unsigned long attrs)
{
	if (!(attrs & DMA_ATTR_NO_WARN))
		dev_err_ratelimited(dev,
				    "xen-dma: memory at %pa can't be bounced: it is set aside, and the kernel does not map it\n",
				    &phys);
	return DMA_MAPPING_ERROR;
}

static __always_inline dma_addr_t map_bounced(struct device *dev,
					      phys_addr_t phys, size_t size,
					      struct scatterlist *sg,
					      unsigned int nr,
					      enum xen_bounce_reason why,
					      unsigned long attrs)
{
	if (!XEN_ALL_KNOWN && unlikely(!can_copy(phys, size, sg, nr)))
		return refuse_unmapped(dev, phys, attrs);

	if (unlikely(trace_swiotlb_bounced_enabled() ||
		     trace_xen_dma_map_enabled() ||
		     static_branch_unlikely(&xen_any_named[XEN_NAMED_IN_PLACE]) ||
		     attrs & DMA_ATTR_REQUIRE_COHERENT ||
		     xen_has_no_hardware(dev) || xen_bus_has_windows(dev) || xen_has_own_pool(dev)))
		return map_with_care(dev, phys, size, sg, nr, why, attrs);

	return map_in_aperture(dev, phys, size, sg, nr, why, attrs);
}

/**
 * xen_map_bounced() - map a copy of a buffer
 * @dev:	device
 * @phys:	where the source begins
 * @size:	its bytes
 * @why:	why it can't be used in place
 * @attrs:	DMA_ATTR_REQUIRE_COHERENT is refused, DMA_ATTR_NO_WARN honoured
 *
 * Context: Any.
 * Return: Bus address, see xen_aperture_map(), or DMA_MAPPING_ERROR, always so for a
 * device without hardware.
 */
dma_addr_t xen_map_bounced(struct device *dev, phys_addr_t phys, size_t size,
			   enum xen_bounce_reason why, unsigned long attrs)
{
	return map_bounced(dev, phys, size, NULL, 0, why, attrs);
}

/**
 * xen_map_list_bounced() - map a copy of several buffers
 * @dev:	device
 * @sg:		first entry of a list, see xen_aperture_map_list()
 * @nr:		its entries that are not empty
 * @size:	bytes of all
 * @why:	why the first one can't be used in place
 * @attrs:	see xen_map_bounced()
 *
 * Context: Any.
 * Return: See xen_map_bounced().
 */
dma_addr_t xen_map_list_bounced(struct device *dev, struct scatterlist *sg,
				unsigned int nr, size_t size,
				enum xen_bounce_reason why, unsigned long attrs)
{
	return map_bounced(dev, sg_phys(sg), size, sg, nr, why, attrs);
}

/* The generic code copies; the caches, outside in, are seen to around that. */
static noinline void sync_own_pool(struct device *dev, dma_addr_t bus,
				   size_t size, enum dma_data_direction dir,
				   bool for_cpu)
{
	phys_addr_t phys = dma_to_phys(dev, bus);

	if (for_cpu) {
		if (!dev_is_dma_coherent(dev))
			arch_sync_dma_for_cpu(phys, size, dir);
		arch_sync_dma_flush();
		swiotlb_sync_single_for_cpu(dev, phys, size, dir);
		return;
	}
	swiotlb_sync_single_for_device(dev, phys, size, dir);
	if (!dev_is_dma_coherent(dev))
		arch_sync_dma_for_device(phys, size, dir);
	arch_sync_dma_flush();
}

/**
 * xen_unmap_own_pool() - end a mapping in a device's restricted pool
 * @dev:	device
 * @bus:	bus address
 * @size:	bytes
 * @dir:	direction
 * @attrs:	DMA_ATTR_SKIP_CPU_SYNC: nothing is copied back
 *
 * Context: Any.
 */
void xen_unmap_own_pool(struct device *dev, dma_addr_t bus, size_t size,
			enum dma_data_direction dir, unsigned long attrs)
{
	if (!(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		sync_own_pool(dev, bus, size, dir, true);
	swiotlb_tbl_unmap_single(dev, dma_to_phys(dev, bus), size, dir,
				 attrs | DMA_ATTR_SKIP_CPU_SYNC);
}

/**
 * xen_sync_for_cpu() - the CPU is about to look
 * @dev:	device
 * @bus:	first byte, anywhere in a mapping
 * @size:	bytes
 * @dir:	direction of the mapping
 *
 * Context: Any.
 */
void xen_sync_for_cpu(struct device *dev, dma_addr_t bus, size_t size,
		      enum dma_data_direction dir)
{
	dma_addr_t machine = xen_bus_to_machine(dev, bus);

	if (xen_pool_find(machine)) {
		if (dir != DMA_TO_DEVICE)
			xen_aperture_sync(dev, machine, size, true);
	} else if (unlikely(xen_has_own_pool(dev))) {
		sync_own_pool(dev, bus, size, dir, true);
	} else if (!dev_is_dma_coherent(dev)) {
		xen_sync_caches_for_cpu(dev, bus, size, dir);
	}
}

/**
 * xen_sync_for_device() - the device is about to look
 * @dev:	device
 * @bus:	first byte, anywhere in a mapping
 * @size:	bytes
 * @dir:	direction of the mapping
 *
 * Context: Any.
 */
void xen_sync_for_device(struct device *dev, dma_addr_t bus, size_t size,
			 enum dma_data_direction dir)
{
	dma_addr_t machine = xen_bus_to_machine(dev, bus);

	if (xen_pool_find(machine)) {
		if (dir != DMA_FROM_DEVICE)
			xen_aperture_sync(dev, machine, size, false);
	} else if (unlikely(xen_has_own_pool(dev))) {
		sync_own_pool(dev, bus, size, dir, false);
	} else if (!dev_is_dma_coherent(dev)) {
		xen_sync_caches_for_device(dev, bus, size, dir);
	}
}
