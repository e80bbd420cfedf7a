/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the driver tell each other about mappings: the translation
 * and the decision whether to bounce, which are the same for single buffers
 * (swiotlb-xen.c) and lists (sg.c).
 */
#ifndef __XEN_DMA_DECIDE_H
#define __XEN_DMA_DECIDE_H

#include <linux/dma-map-ops.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/sizes.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include "compat.h"

struct scatterlist;

/* Up to this CPUs may keep blocks; larger ones are dearer, or run out. Bytes. */
#define XEN_OPT_MAPPING		SZ_256K

/**
 * enum xen_bounce_reason - why a device can't use a buffer where it is
 * @XEN_BOUNCE_NONE:		it can
 * @XEN_BOUNCE_MASK:		beyond the device's mask
 * @XEN_BOUNCE_STRADDLE:	not contiguous in the machine
 * @XEN_BOUNCE_ALIGN:		address bits of dma_get_min_align_mask() differ
 * @XEN_BOUNCE_BOUNDARY:	crosses dma_get_seg_boundary() in the machine
 * @XEN_BOUNCE_FORCED:		swiotlb=force, or the device's own pool
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

unsigned long xen_dma_bounces(enum xen_bounce_reason why);

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

dma_addr_t xen_map_bounced(struct device *dev, phys_addr_t phys, size_t size,
			   struct scatterlist *sg, unsigned int nr,
			   unsigned long attrs);
void xen_count_bounce(enum xen_bounce_reason why);
enum xen_bounce_reason
xen_translate(struct device *dev, const struct xen_dma_limits *limits,
	      phys_addr_t phys, size_t size, enum dma_data_direction dir,
	      dma_addr_t *bus);

void xen_swiotlb_sync_single_for_cpu(struct device *dev, dma_addr_t bus,
				     size_t size, enum dma_data_direction dir);
void xen_swiotlb_sync_single_for_device(struct device *dev, dma_addr_t bus,
					size_t size,
					enum dma_data_direction dir);
int xen_swiotlb_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
		       enum dma_data_direction dir, unsigned long attrs);
void xen_swiotlb_unmap_sg(struct device *dev, struct scatterlist *sgl,
			  int nents, enum dma_data_direction dir,
			  unsigned long attrs);
void xen_swiotlb_sync_sg_for_cpu(struct device *dev, struct scatterlist *sgl,
				 int nents, enum dma_data_direction dir);
void xen_swiotlb_sync_sg_for_device(struct device *dev,
				    struct scatterlist *sgl, int nents,
				    enum dma_data_direction dir);

/*
 * The translation, for memory that is exchanged and for memory that is found (see
 * arch/arm/xen/mm.c). Machine addresses are what the aperture deals in; a bus may
 * have its own for them, which the device's dma_range_map holds.
 *
 *   xen_bus_of		where a buffer is for the bus; on ARM DMA_MAPPING_ERROR
 *			where that is not known
 *   xen_dma_of		what a device uses for a machine address,
 *			DMA_MAPPING_ERROR where its bus does not lead there
 *   xen_machine_of	the machine address behind a bus address
 *   xen_machine_limit	the highest machine address that a device reaches which can
 *			use bus addresses up to a limit
 *   xen_is_contiguous	is a buffer of several pages in one piece for the bus?
 *   xen_local_phys	is a bus address the domain's own memory, and where is that?
 */
#if XEN_DMA_EXCHANGES
static __always_inline dma_addr_t xen_bus_of(struct device *dev, phys_addr_t phys)
{
	phys_addr_t bus = PFN_PHYS((phys_addr_t)pfn_to_bfn(PFN_DOWN(phys)));

	return phys_to_dma(dev, bus | offset_in_page(phys));
}

static inline dma_addr_t xen_dma_of(struct device *dev, dma_addr_t machine)
{
	return machine;
}

static inline dma_addr_t xen_machine_of(struct device *dev, dma_addr_t dma)
{
	return dma;
}

static inline bool xen_is_contiguous(struct device *dev, phys_addr_t phys,
				     size_t size)
{
	return xen_region_contiguous(phys, size);
}

static inline bool xen_local_phys(struct device *dev, dma_addr_t dma,
				  phys_addr_t *phys)
{
	phys_addr_t bus = dma_to_phys(dev, dma);

	*phys = PFN_PHYS((phys_addr_t)bfn_to_pfn(PFN_DOWN(bus))) +
		offset_in_page(bus);
	return pfn_valid(PFN_DOWN(bus));
}

static inline u64 xen_machine_limit(struct device *dev, u64 limit)
{
	return limit;
}

static inline bool xen_dma_refuses(struct device *dev)
{
	return false;
}
#else
static __always_inline dma_addr_t xen_bus_of(struct device *dev, phys_addr_t phys)
{
	if (unlikely(xen_any_strays()))
		return xen_dma_of_stray(dev, phys);

	return phys_to_dma(dev, phys);
}

static inline dma_addr_t xen_dma_of(struct device *dev, dma_addr_t machine)
{
	return likely(!dev->dma_range_map) ? machine :
					     xen_machine_to_dma(dev, machine);
}

static inline dma_addr_t xen_machine_of(struct device *dev, dma_addr_t dma)
{
	return likely(!dev->dma_range_map) ? dma : xen_dma_to_machine(dev, dma);
}

static inline bool xen_is_contiguous(struct device *dev, phys_addr_t phys,
				     size_t size)
{
	return xen_dma_contiguous(dev, phys, size);
}

static inline bool xen_local_phys(struct device *dev, dma_addr_t dma,
				  phys_addr_t *phys)
{
	return xen_dma_local(dev, dma, phys);
}

static inline u64 xen_machine_limit(struct device *dev, u64 limit)
{
	return likely(!dev->dma_range_map) ? limit :
					     xen_dma_machine_limit(dev, limit);
}
#endif

/**
 * xen_sync_caches_for_device() - what the CPU wrote becomes visible
 * @dev:	device that is not coherent
 * @bus:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * The caches work on local memory by its physical address; Xen does it for what
 * is another domain's.
 *
 * Context: Any.
 * Return: 0, or why Xen did not do it.
 */
static inline int xen_sync_caches_for_device(struct device *dev,
					     dma_addr_t bus, size_t size,
					     enum dma_data_direction dir)
{
	phys_addr_t phys;

	if (!xen_local_phys(dev, bus, &phys))
		return xen_dma_sync_for_device(dev, bus, size, dir);

	arch_sync_dma_for_device(phys, size, dir);
	arch_sync_dma_flush();
	return 0;
}

/**
 * xen_sync_caches_for_cpu() - what the device wrote becomes visible
 * @dev:	device that is not coherent
 * @bus:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * Context: Any.
 */
static inline void xen_sync_caches_for_cpu(struct device *dev, dma_addr_t bus,
					   size_t size,
					   enum dma_data_direction dir)
{
	phys_addr_t phys;

	if (!xen_local_phys(dev, bus, &phys)) {
		xen_dma_sync_for_cpu(dev, bus, size, dir);
		return;
	}

	arch_sync_dma_for_cpu(phys, size, dir);
	arch_sync_dma_flush();
}

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
		.last = min_not_zero(*dev->dma_mask, dev->bus_dma_limit),
		.boundary = dma_get_seg_boundary(dev),
		.align_mask = dma_get_min_align_mask(dev),
		.force = is_swiotlb_force_bounce(dev),
	};

	limits.plain = XEN_DMA_EXCHANGES && !limits.force && !dev->dma_range_map &&
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
 * @bus:	of xen_bus_of()
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

	if (!XEN_DMA_EXCHANGES && unlikely(bus == DMA_MAPPING_ERROR))
		return XEN_BOUNCE_MOVED;
	/* What has no bus address lies at the very end, or wraps around. */
	if (unlikely(last > limits.last || last < bus))
		return XEN_BOUNCE_MASK;
	if (xen_offset_in_page(phys) + size > XEN_PAGE_SIZE &&
	    !xen_is_contiguous(dev, phys, size))
		return XEN_BOUNCE_STRADDLE;
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

#endif /* __XEN_DMA_DECIDE_H */
