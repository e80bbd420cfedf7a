/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decision: a device's limits, and why it can't use a buffer where it is. It is the
 * same for single buffers and for lists.
 */
#ifndef __XEN_DMA_DECIDE_H
#define __XEN_DMA_DECIDE_H

#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/pfn.h>

#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "by-name.h"
#include "compat.h"

/**
 * enum xen_bounce_reason - why a device can't use a buffer where it is
 * @XEN_BOUNCE_NONE:		it can
 * @XEN_BOUNCE_MASK:		beyond the device's mask, or where its bus does not lead
 * @XEN_BOUNCE_STRADDLE:	not contiguous in the machine
 * @XEN_BOUNCE_ALIGN:		address bits of dma_get_min_align_mask() differ
 * @XEN_BOUNCE_BOUNDARY:	crosses dma_get_seg_boundary() in the machine
 * @XEN_BOUNCE_FORCED:		swiotlb=force, xen_dma.bounce=, or the device's own pool
 * @XEN_BOUNCE_KMALLOC:		shares cache lines, device not coherent
 * @XEN_BOUNCE_FOREIGN:		foreign page, device not coherent
 * @XEN_BOUNCE_MOVED:		may be anywhere in the machine
 * @XEN_BOUNCE_REASONS:		how many there are
 */
enum xen_bounce_reason {
	XEN_BOUNCE_NONE,
	XEN_BOUNCE_MASK,
	XEN_BOUNCE_STRADDLE,
	XEN_BOUNCE_ALIGN,
	XEN_BOUNCE_BOUNDARY,
	XEN_BOUNCE_FORCED,
	XEN_BOUNCE_KMALLOC,
	XEN_BOUNCE_FOREIGN,
	XEN_BOUNCE_MOVED,
	XEN_BOUNCE_REASONS,
};

/*
 * Has the device a restricted pool, through which all has to go that it uses? It gets that
 * only after its operations.
 */
static inline bool xen_has_own_pool(struct device *dev)
{
	return !XEN_ALL_KNOWN && is_swiotlb_for_alloc(dev);
}

/*
 * Is there no hardware behind a device? Xen's grant device has mappings made to learn what
 * frames it is to grant, udmabuf's to have caches maintained. Both are on no bus, and have all
 * address bits. A copy is wrong for them: a guest would be granted the aperture, and the
 * owner's memory overwritten with what was copied from it earlier.
 */
static inline bool xen_has_no_hardware(struct device *dev)
{
	return !dev->bus && dma_get_mask(dev) == DMA_BIT_MASK(64);
}

/**
 * struct xen_dma_limits - what a device asks of the addresses it is given
 * @last:		the highest one it can use
 * @boundary:		what a mapping may not cross, a mask
 * @align_mask:		address bits that have to be those of the buffer
 * @force:		nothing is to be used in place
 * @plain:		of a piece of a page only the last byte's address matters
 */
struct xen_dma_limits {
	u64 last;
	u64 boundary;
	u64 align_mask;
	bool force;
	bool plain;
};

/**
 * xen_limits_of() - what a device asks of the addresses it is given
 * @dev:	device, with a DMA mask
 *
 * Context: Any.
 * Return: The limits, as they are now.
 */
static inline struct xen_dma_limits xen_limits_of(struct device *dev)
{
	struct xen_dma_limits limits = {
		.last = xen_bus_limit(dev, *dev->dma_mask),
		.boundary = dma_get_seg_boundary(dev),
		.align_mask = dma_get_min_align_mask(dev),
		.force = (is_swiotlb_force_bounce(dev) ||
			  xen_is_named(dev, XEN_NAMED_BOUNCE)) &&
			 !xen_has_no_hardware(dev),
	};

	limits.plain = XEN_ALL_KNOWN && !limits.force && !dev->dma_range_map &&
		       dev_is_dma_coherent(dev) &&
		       limits.align_mask < PAGE_SIZE &&
		       !(~limits.boundary & ~PAGE_MASK);
	return limits;
}

/*
 * Does a mapping cross the device's boundary, and would bouncing help? What is
 * longer than the boundary, with the address bits that have to stay, crosses one
 * anywhere.
 */
static inline bool xen_crosses_boundary(const struct xen_dma_limits *limits,
					phys_addr_t phys, dma_addr_t bus,
					size_t size)
{
	u64 offset = phys & limits->align_mask & limits->boundary;

	return ((bus ^ (bus + size - 1)) & ~limits->boundary) &&
	       offset + size - 1 <= limits->boundary;
}

/**
 * xen_bounce_why() - why a device can't use a buffer where it is
 * @dev:	device
 * @limits:	of xen_limits_of()
 * @phys:	pseudo-physical address
 * @bus:	of xen_phys_to_bus()
 * @size:	bytes, not 0
 * @dir:	direction
 *
 * The rare reasons come last, for most mappings have none.
 *
 * Context: Any.
 * Return: The reason.
 */
static __always_inline enum xen_bounce_reason
xen_bounce_why(struct device *dev, const struct xen_dma_limits limits,
	       phys_addr_t phys, dma_addr_t bus, size_t size,
	       enum dma_data_direction dir)
{
	dma_addr_t last = bus + size - 1;

	if (!XEN_ALL_KNOWN && unlikely(bus == DMA_MAPPING_ERROR))
		return xen_is_lost(phys) ? XEN_BOUNCE_MOVED : XEN_BOUNCE_MASK;
	/* What has no bus address lies beyond each mask of less than 64 bits. */
	if (unlikely(last > limits.last || last < bus))
		return XEN_BOUNCE_MASK;
	if (xen_offset_in_page(phys) + size > XEN_PAGE_SIZE &&
	    !xen_is_contiguous(dev, phys, size)) {
		if (likely(!limits.force))
			xen_note_straddle(xen_offset_in_page(phys) + size);
		return XEN_BOUNCE_STRADDLE;
	}
	if (unlikely((phys ^ bus) & limits.align_mask))
		return XEN_BOUNCE_ALIGN;
	if (unlikely(xen_crosses_boundary(&limits, phys, bus, size)))
		return XEN_BOUNCE_BOUNDARY;
	if (unlikely(limits.force))
		return XEN_BOUNCE_FORCED;
	if (dma_kmalloc_needs_bounce(dev, size, dir))
		return XEN_BOUNCE_KMALLOC;
	if (xen_arch_need_swiotlb(dev, phys, bus))
		return XEN_BOUNCE_FOREIGN;

	return XEN_BOUNCE_NONE;
}

/**
 * xen_look_at_page() - the same for a piece of a page
 * @last:	highest address that the device can use; its limits have to be plain
 * @pfn:	the page
 * @offset:	bytes from its beginning on
 * @size:	bytes, not 0, none of them behind the page's end
 * @bus:	where the bus address goes
 *
 * Nearly all entries of nearly all lists are such.
 *
 * Context: Any.
 * Return: XEN_BOUNCE_NONE or XEN_BOUNCE_MASK.
 */
static __always_inline enum xen_bounce_reason
xen_look_at_page(u64 last, unsigned long pfn, unsigned int offset, size_t size,
		 dma_addr_t *bus)
{
	*bus = PFN_PHYS((phys_addr_t)xen_pfn_to_mfn(pfn)) + offset;
	return *bus + size - 1 <= last ? XEN_BOUNCE_NONE : XEN_BOUNCE_MASK;
}

#endif /* __XEN_DMA_DECIDE_H */
