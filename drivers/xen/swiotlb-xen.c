// SPDX-License-Identifier: GPL-2.0
/*
 * DMA operations of Xen domains that own hardware.
 *
 * The guest's idea of a physical address is not what a device must put on the
 * bus. Each mapping is translated, and one function says why, if at all, the
 * device can't use the memory where it is. Without a reason the translated
 * address is the answer; else the aperture (xen-aperture.c) takes a copy.
 *
 * An unmap or sync has the bus address only. Whether that lies in the aperture
 * comes from a table, without asking whose frame it is: the hypervisor's M2P
 * knows nothing of use about another domain's page. Coherent memory is never
 * bounced (xen-coherent.c).
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/percpu.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/swiotlb.h>

#include <asm/dma-mapping.h>
#include <asm/xen/page.h>

#include <trace/events/swiotlb.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "swiotlb-xen-compat.h"
#include "swiotlb-xen.h"
#include "xen-aperture.h"
#include "xen-coherent.h"

#ifndef CONFIG_XEN_PV
#error "this driver serves x86 PV domains only; build other kernels from a tree without it"
#endif

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

static dma_addr_t bus_of(struct device *dev, phys_addr_t phys)
{
	phys_addr_t bus = PFN_PHYS((phys_addr_t)pfn_to_bfn(PFN_DOWN(phys)));

	return phys_to_dma(dev, bus | offset_in_page(phys));
}

static phys_addr_t local_phys_of(struct device *dev, dma_addr_t dma)
{
	phys_addr_t bus = dma_to_phys(dev, dma);

	return PFN_PHYS((phys_addr_t)bfn_to_pfn(PFN_DOWN(bus))) +
	       offset_in_page(bus);
}

/* Is what lies at a bus address a page of this domain? For cache maintenance. */
static bool is_local(struct device *dev, dma_addr_t dma)
{
	return pfn_valid(PFN_DOWN(dma_to_phys(dev, dma)));
}

static bool within_page(phys_addr_t phys, size_t size)
{
	return offset_in_page(phys) + size <= PAGE_SIZE;
}

/*
 * A mapping that crosses the device's boundary, though bounced, with the address
 * bits that have to stay, it would lie on one side.
 */
static bool crosses_boundary(struct device *dev, phys_addr_t phys,
			     dma_addr_t bus, size_t size)
{
	u64 boundary = dma_get_seg_boundary(dev);
	u64 offset = phys & dma_get_min_align_mask(dev);

	return ((bus ^ (bus + size - 1)) & ~boundary) &&
	       offset + size - 1 <= boundary;
}

/* Address bits that the driver relies on have changed in translation. */
static bool loses_alignment(struct device *dev, phys_addr_t phys,
			    dma_addr_t bus)
{
	return (phys ^ bus) & dma_get_min_align_mask(dev);
}

/*
 * Says why @dev can't use a buffer in place, by its bus address @bus. The rare
 * reasons come last, for most mappings have none.
 */
static enum xen_bounce_reason
xen_bounce_why(struct device *dev, phys_addr_t phys, dma_addr_t bus,
	       size_t size, enum dma_data_direction dir, unsigned long attrs)
{
	if (!xen_dma_capable(dev, bus, size, true, attrs))
		return XEN_BOUNCE_MASK;
	if (!within_page(phys, size) && !xen_region_contiguous(phys, size))
		return XEN_BOUNCE_STRADDLE;
	if (loses_alignment(dev, phys, bus))
		return XEN_BOUNCE_ALIGN;
	if (crosses_boundary(dev, phys, bus, size))
		return XEN_BOUNCE_BOUNDARY;
	if (is_swiotlb_force_bounce(dev))
		return XEN_BOUNCE_FORCED;
	if (dma_kmalloc_needs_bounce(dev, size, dir))
		return XEN_BOUNCE_KMALLOC;
	if (xen_arch_need_swiotlb(dev, phys, bus))
		return XEN_BOUNCE_FOREIGN;

	return XEN_BOUNCE_NONE;
}

/*
 * Cache maintenance for a device that is not coherent. The caches work on local
 * memory by its physical address; Xen does it for what is not local.
 */
static void sync_caches_for_device(struct device *dev, dma_addr_t bus,
				   size_t size, enum dma_data_direction dir)
{
	if (is_local(dev, bus)) {
		arch_sync_dma_for_device(local_phys_of(dev, bus), size, dir);
		arch_sync_dma_flush();
	} else {
		xen_dma_sync_for_device(dev, bus, size, dir);
	}
}

static void sync_caches_for_cpu(struct device *dev, dma_addr_t bus,
				size_t size, enum dma_data_direction dir)
{
	if (is_local(dev, bus)) {
		arch_sync_dma_for_cpu(local_phys_of(dev, bus), size, dir);
		arch_sync_dma_flush();
	} else {
		xen_dma_sync_for_cpu(dev, bus, size, dir);
	}
}

/* MMIO is where it is, for the bus too: it is neither translated nor bounced. */
static dma_addr_t xen_map_mmio(struct device *dev, phys_addr_t phys,
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

static dma_addr_t xen_map_bounced(struct device *dev, phys_addr_t phys,
				  dma_addr_t bus, size_t size,
				  enum xen_bounce_reason why,
				  unsigned long attrs)
{
	if (attrs & DMA_ATTR_REQUIRE_COHERENT) {
		if (!(attrs & DMA_ATTR_NO_WARN))
			dev_err_ratelimited(dev,
					    "xen_swiotlb: %zu bytes must be coherent, but would be bounced\n",
					    size);
		return DMA_MAPPING_ERROR;
	}

	trace_swiotlb_bounced(dev, bus, size);
	bus = xen_aperture_map(dev, phys, size, attrs);
	if (bus != DMA_MAPPING_ERROR)
		this_cpu_inc(xen_bounces[why]);

	return bus;
}

static dma_addr_t xen_swiotlb_map_phys(struct device *dev, phys_addr_t phys,
				       size_t size, enum dma_data_direction dir,
				       unsigned long attrs)
{
	enum xen_bounce_reason why;
	dma_addr_t bus;

	if (attrs & DMA_ATTR_MMIO)
		return xen_map_mmio(dev, phys, size, attrs);

	bus = bus_of(dev, phys);
	why = xen_bounce_why(dev, phys, bus, size, dir, attrs);
	if (unlikely(why != XEN_BOUNCE_NONE)) {
		bus = xen_map_bounced(dev, phys, bus, size, why, attrs);
		if (bus == DMA_MAPPING_ERROR)
			return bus;
	}

	if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		sync_caches_for_device(dev, bus, size, dir);

	return bus;
}

static void xen_swiotlb_unmap_phys(struct device *dev, dma_addr_t bus,
				   size_t size, enum dma_data_direction dir,
				   unsigned long attrs)
{
	struct xen_aperture_chunk *chunk;

	if (attrs & DMA_ATTR_MMIO)
		return;

	if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		sync_caches_for_cpu(dev, bus, size, dir);

	chunk = xen_aperture_find(bus);
	if (chunk)
		xen_aperture_unmap(dev, chunk, bus, dir, attrs);
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

static void xen_swiotlb_sync_single_for_cpu(struct device *dev, dma_addr_t bus,
					    size_t size,
					    enum dma_data_direction dir)
{
	struct xen_aperture_chunk *chunk;

	if (!dev_is_dma_coherent(dev))
		sync_caches_for_cpu(dev, bus, size, dir);

	chunk = xen_aperture_find(bus);
	if (chunk && dir != DMA_TO_DEVICE)
		xen_aperture_sync(dev, chunk, bus, size, true);
}

static void xen_swiotlb_sync_single_for_device(struct device *dev,
					       dma_addr_t bus, size_t size,
					       enum dma_data_direction dir)
{
	struct xen_aperture_chunk *chunk = xen_aperture_find(bus);

	if (chunk && dir != DMA_FROM_DEVICE)
		xen_aperture_sync(dev, chunk, bus, size, false);

	if (!dev_is_dma_coherent(dev))
		sync_caches_for_device(dev, bus, size, dir);
}

static void xen_swiotlb_unmap_sg(struct device *dev, struct scatterlist *sgl,
				 int nents, enum dma_data_direction dir,
				 unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i)
		xen_swiotlb_unmap_phys(dev, sg_dma_address(sg), sg_dma_len(sg),
				       dir, attrs);
}

static int xen_swiotlb_map_sg(struct device *dev, struct scatterlist *sgl,
			      int nents, enum dma_data_direction dir,
			      unsigned long attrs)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		dma_addr_t bus = xen_swiotlb_map_phys(dev, sg_phys(sg),
						      sg->length, dir, attrs);

		if (bus == DMA_MAPPING_ERROR) {
			/* No device has written yet: there is nothing to copy. */
			attrs |= DMA_ATTR_SKIP_CPU_SYNC;
			xen_swiotlb_unmap_sg(dev, sgl, i, dir, attrs);
			return -EIO;
		}
		sg_dma_address(sg) = bus;
		sg_dma_len(sg) = sg->length;
	}

	return nents;
}

static void xen_swiotlb_sync_sg_for_cpu(struct device *dev,
					struct scatterlist *sgl, int nents,
					enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i)
		xen_swiotlb_sync_single_for_cpu(dev, sg_dma_address(sg),
						sg_dma_len(sg), dir);
}

static void xen_swiotlb_sync_sg_for_device(struct device *dev,
					   struct scatterlist *sgl, int nents,
					   enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i)
		xen_swiotlb_sync_single_for_device(dev, sg_dma_address(sg),
						   sg_dma_len(sg), dir);
}

/*
 * A device that reaches all of the machine needs the aperture only for buffers
 * that are not contiguous. Any other needs some of it below its mask.
 */
static int xen_swiotlb_dma_supported(struct device *dev, u64 mask)
{
	u64 limit = min_not_zero(mask, dev->bus_dma_limit);

	return limit >= xen_required_dma_mask() || xen_aperture_reaches(limit);
}

static u64 xen_swiotlb_get_required_mask(struct device *dev)
{
	return xen_required_dma_mask();
}

/*
 * Any buffer may have to be bounced, for none is known to be contiguous. Without
 * an aperture a single page is what can be mapped for certain.
 */
static size_t xen_swiotlb_max_mapping_size(struct device *dev)
{
	return max_t(size_t, xen_aperture_max_mapping(dev), PAGE_SIZE);
}

/* Blocks up to this size are found while larger ones may have run out. Bytes. */
#define XEN_OPT_MAPPING		SZ_256K

static size_t xen_swiotlb_opt_mapping_size(void)
{
	return XEN_OPT_MAPPING;
}

const struct dma_map_ops xen_swiotlb_dma_ops = {
	.alloc			= xen_coherent_alloc,
	.free			= xen_coherent_free,
	.alloc_pages_op		= xen_coherent_alloc_pages,
	.free_pages		= xen_coherent_free_pages,
	.mmap			= dma_common_mmap,
	.get_sgtable		= dma_common_get_sgtable,
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

/* Passes over a number and the comma behind it. */
static const char * __init skip_number(const char *s)
{
	if (isdigit(*s))
		s += strspn(s, "0123456789abcdefxABCDEFX");
	if (*s == ',')
		s++;

	return s;
}

/*
 * The generic code parses swiotlb= and passes over what it does not
 * understand; the administrator should know.
 */
static int __init xen_check_swiotlb_param(char *arg)
{
	static const char * const words[] = { XEN_SWIOTLB_WORDS };
	const char *rest;
	int i;

	if (!xen_pv_domain() || !arg)
		return 0;

	rest = skip_number(skip_number(arg));
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(rest, words[i]))
			return 0;

	pr_warn("swiotlb=%s: ignored from '%s' on; it takes <slabs>[,<areas>][,force|noforce]\n",
		arg, rest);
	return 0;
}
early_param("swiotlb", xen_check_swiotlb_param);
