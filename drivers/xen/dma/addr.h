/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where memory is. There are three kinds of address:
 *
 *   phys	what the domain calls physical
 *   machine	where it is in the machine; the pool deals in these
 *   bus	what a device puts on its bus, for which the device's dma_range_map
 *		may have windows of its own
 *
 * This contract has two implementations. Where memory is exchanged (x86 PV), the P2M
 * has the frame of each page. Where it is found (ARM), a table has ranges at constant
 * offsets, and pages that have moved are noted one by one; see arch/arm/xen/mm.c.
 *
 *   xen_pfn_to_mfn	of a page
 *   xen_phys_to_bus	DMA_MAPPING_ERROR where it is not known
 *   xen_mmio_to_bus	of a device's registers; DMA_MAPPING_ERROR where it is not known
 *   xen_machine_to_bus	DMA_MAPPING_ERROR where the device's bus does not lead there
 *   xen_bus_to_machine	the other way
 *   xen_span_of		a run of machine addresses that a device reaches which can use
 *			bus addresses up to a limit, by its number; false for no more
 *   xen_required_mask	what a device needs to reach all memory that its bus leads to
 *   xen_is_lost		does nobody know where in the machine a page is?
 *   xen_is_contiguous	is a buffer of several pages in one piece for the bus?
 *   xen_bus_to_phys	is a bus address the domain's own memory, and where is that?
 *   xen_has_mapping	does the kernel map it? Memory that the device tree sets aside as
 *			no-map has pages, but no address and no lines in the caches
 *   xen_is_learning	is there memory of which it is not known yet where it is? What has
 *			failed for that is worth another try
 *   xen_learn_more	waits until more is known; sleeps
 *   xen_dma_refuses	is there no address that a device may be given?
 *   xen_bus_has_windows	has the device's bus windows of its own?
 *   xen_dma_domain	is this a domain that all of this is for?
 *   xen_may_be_dma_domain	the same when the command line is read, where ARM does not
 *			know it yet
 *   xen_addr_debugfs	shows in debugfs what is known
 *
 * And beside it, where memory can be put together:
 *
 *   xen_note_straddle	counts a buffer of so many bytes that is in pieces
 */
#ifndef __XEN_DMA_ADDR_H
#define __XEN_DMA_ADDR_H

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pfn.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

/* Can the domain exchange memory with the hypervisor? (UML has a model of it.) */
#if defined(CONFIG_XEN_PV) || defined(CONFIG_UML)
#define XEN_DMA_EXCHANGES	1
#else
#define XEN_DMA_EXCHANGES	0
#endif

struct dentry;

#if XEN_DMA_EXCHANGES
/* Each page has a known frame. */
#define XEN_ALL_KNOWN	1

/* What a device reaches begins with the machine's first byte. */
#define XEN_BUS_WINDOWS	0

/* The frame of a page. Nearly all are the domain's own, and noted as they are. */
static __always_inline unsigned long xen_pfn_to_mfn(unsigned long pfn)
{
	if (likely(pfn < xen_p2m_size)) {
		unsigned long mfn = READ_ONCE(xen_p2m_addr[pfn]);

		if (likely(!(mfn & (FOREIGN_FRAME_BIT | IDENTITY_FRAME_BIT))))
			return mfn;
	}

	return pfn_to_mfn(pfn);
}

static __always_inline dma_addr_t xen_phys_to_bus(struct device *dev,
						  phys_addr_t phys)
{
	phys_addr_t bus = PFN_PHYS((phys_addr_t)xen_pfn_to_mfn(PFN_DOWN(phys)));

	return phys_to_dma(dev, bus | offset_in_page(phys));
}

static inline dma_addr_t xen_mmio_to_bus(struct device *dev, phys_addr_t phys,
					 size_t size)
{
	return phys;
}

static inline dma_addr_t xen_machine_to_bus(struct device *dev,
					    dma_addr_t machine)
{
	return machine;
}

static inline dma_addr_t xen_bus_to_machine(struct device *dev, dma_addr_t bus)
{
	return bus;
}

static __always_inline bool xen_span_of(struct device *dev, u64 limit,
					unsigned int nr, struct xen_span *span)
{
	*span = (struct xen_span) { .last = limit };
	return !nr;
}

static inline u64 xen_required_mask(struct device *dev)
{
	return xen_required_dma_mask();
}

static inline bool xen_is_lost(phys_addr_t phys)
{
	return false;
}

static inline bool xen_is_contiguous(struct device *dev, phys_addr_t phys,
				     size_t size)
{
	return xen_region_contiguous(phys, size);
}

/* Does memory of the kernel's lie in one piece from a machine address on? */
static inline bool xen_lies_at(const void *vaddr, size_t size, dma_addr_t machine)
{
	phys_addr_t phys = virt_to_phys((void *)vaddr);

	return xen_pfn_to_mfn(PFN_DOWN(phys)) == PFN_DOWN(machine) &&
	       xen_region_contiguous(phys, size);
}

static inline bool xen_bus_to_phys(struct device *dev, dma_addr_t bus,
				   phys_addr_t *phys)
{
	phys_addr_t machine = dma_to_phys(dev, bus);

	*phys = PFN_PHYS((phys_addr_t)bfn_to_pfn(PFN_DOWN(machine))) +
		offset_in_page(machine);
	return pfn_valid(PHYS_PFN(*phys));
}

static inline bool xen_has_mapping(phys_addr_t phys)
{
	return true;
}

static inline bool xen_is_learning(void)
{
	return false;
}

static inline void xen_learn_more(void)
{
}

static inline bool xen_dma_refuses(struct device *dev)
{
	return false;
}

static inline bool xen_bus_has_windows(const struct device *dev)
{
	return false;
}

static inline bool xen_dma_domain(void)
{
	return xen_pv_domain();
}

static inline bool xen_may_be_dma_domain(void)
{
	return xen_pv_domain();
}

static inline void xen_addr_debugfs(struct dentry *dir)
{
}
#else
#define XEN_ALL_KNOWN	0
#define XEN_BUS_WINDOWS	1

static inline unsigned long xen_pfn_to_mfn(unsigned long pfn)
{
	return pfn_to_bfn(pfn);
}

static __always_inline dma_addr_t xen_phys_to_bus(struct device *dev,
						  phys_addr_t phys)
{
	if (unlikely(xen_must_look_up()))
		return xen_arm_phys_to_bus(dev, phys);

	return phys_to_dma(dev, phys);
}

static inline dma_addr_t xen_mmio_to_bus(struct device *dev, phys_addr_t phys,
					 size_t size)
{
	return xen_arm_mmio_to_bus(dev, phys, size);
}

static inline dma_addr_t xen_machine_to_bus(struct device *dev,
					    dma_addr_t machine)
{
	return likely(!dev->dma_range_map) ? machine :
					     xen_arm_machine_to_bus(dev, machine);
}

static inline dma_addr_t xen_bus_to_machine(struct device *dev, dma_addr_t bus)
{
	return likely(!dev->dma_range_map) ? bus :
					     xen_arm_bus_to_machine(dev, bus);
}

static __always_inline bool xen_span_of(struct device *dev, u64 limit,
					unsigned int nr, struct xen_span *span)
{
	if (unlikely(dev->dma_range_map || xen_needs_table))
		return xen_arm_span(dev, limit, nr, span);

	*span = (struct xen_span) { .last = limit };
	return !nr;
}

static inline u64 xen_required_mask(struct device *dev)
{
	return likely(!dev->dma_range_map) ? xen_required_dma_mask() :
					     xen_arm_required_mask(dev);
}

static inline bool xen_is_lost(phys_addr_t phys)
{
	return xen_arm_is_lost(phys);
}

static inline bool xen_is_contiguous(struct device *dev, phys_addr_t phys,
				     size_t size)
{
	return xen_arm_is_contiguous(dev, phys, size);
}

static inline bool xen_bus_to_phys(struct device *dev, dma_addr_t bus,
				   phys_addr_t *phys)
{
	return xen_arm_bus_to_phys(dev, bus, phys);
}

/* Whether there is any memory that it does not map: mostly there is none. */
extern bool xen_any_no_map;

static inline bool xen_has_mapping(phys_addr_t phys)
{
	return likely(!xen_any_no_map) || !memblock_is_memory(phys) ||
	       memblock_is_map_memory(phys);
}

static inline bool xen_is_learning(void)
{
	return READ_ONCE(xen_part_known);
}

void xen_learn_more(void);

static inline bool xen_dma_refuses(struct device *dev)
{
	return xen_arm_refuses(dev);
}

static inline bool xen_bus_has_windows(const struct device *dev)
{
	return dev->dma_range_map;
}

static inline bool xen_dma_domain(void)
{
	return xen_domain();
}

static inline bool xen_may_be_dma_domain(void)
{
	return true;
}

#ifdef CONFIG_XEN_DMA_DEBUGFS
void xen_addr_debugfs(struct dentry *dir);
#endif
#endif

/* The highest address that a device uses whose mask is @mask. */
static inline u64 xen_bus_limit(const struct device *dev, u64 mask)
{
	return likely(!dev->bus_dma_limit) ? mask :
					     min_not_zero(mask, dev->bus_dma_limit);
}

/* The width of addresses that are all within a limit, whatever its shape. */
static inline unsigned int xen_limit_bits(u64 limit)
{
	return limit == U64_MAX ? 64 : fls64(limit + 1) - 1;
}

#if defined(CONFIG_XEN_DMA_DEFRAG) || defined(CONFIG_UML)
void xen_note_straddle(size_t size);
#else
static inline void xen_note_straddle(size_t size)
{
}
#endif

#endif /* __XEN_DMA_ADDR_H */
