// SPDX-License-Identifier: GPL-2.0
/*
 * Scatter lists: as few segments for the device as its limits allow.
 *
 * A list is planned entry by entry. Entries that the device can use in place
 * join when they follow each other in the machine; entries that must be bounced
 * join in one block of the aperture, where they follow each other whatever they
 * did before. The segments go into the first entries' DMA fields, in the order of
 * the list, and cover all bytes of it; so what lies behind a segment is found
 * again by counting bytes, and a length of 0 ends the segments.
 */
#include <linux/minmax.h>
#include <linux/scatterlist.h>
#include <linux/swiotlb.h>

#include "swiotlb-xen.h"
#include "xen-aperture.h"

/**
 * struct xen_sg_segment - entries that become one segment
 * @first:	the first of them
 * @entries:	how many, empty ones left out
 * @phys:	where the first one begins
 * @bus:	the same for the bus
 * @size:	bytes of all
 * @why:	why they are bounced, for the first one's reason
 */
struct xen_sg_segment {
	struct scatterlist *first;
	unsigned int entries;
	phys_addr_t phys;
	dma_addr_t bus;
	size_t size;
	enum xen_bounce_reason why;
};

/**
 * struct xen_sg_plan - a list on its way to the device
 * @dev:	device
 * @attrs:	of the mapping
 * @max_size:	bytes of a segment of several entries
 * @boundary:	what it may not cross, a mask
 * @align_mask:	address bits that each entry keeps when bounced
 * @out:	the entry that the next segment goes to
 * @nr:		segments so far
 */
struct xen_sg_plan {
	struct device *dev;
	unsigned long attrs;
	size_t max_size;
	u64 boundary;
	u64 align_mask;
	struct scatterlist *out;
	int nr;
};

static void put_segment(struct xen_sg_plan *plan, dma_addr_t bus, size_t size)
{
	sg_dma_address(plan->out) = bus;
	sg_dma_len(plan->out) = size;
	plan->out = sg_next(plan->out);
	plan->nr++;
}

/* Can an entry become the end of a segment? */
static bool joins(const struct xen_sg_plan *plan,
		  const struct xen_sg_segment *seg,
		  const struct xen_sg_segment *entry)
{
	size_t size = seg->size + entry->size;

	if (size > plan->max_size)
		return false;

	if (seg->why == XEN_BOUNCE_NONE)
		return entry->why == XEN_BOUNCE_NONE &&
		       entry->bus == seg->bus + seg->size &&
		       !((seg->bus ^ (seg->bus + size - 1)) & ~plan->boundary);

	return entry->why != XEN_BOUNCE_NONE && size <= XEN_OPT_MAPPING &&
	       (seg->phys & plan->align_mask) + size - 1 <= plan->boundary &&
	       !(((seg->phys + seg->size) ^ entry->phys) & plan->align_mask);
}

/* The next @n entries that have bytes, as one source; moves @sg behind them. */
static struct xen_aperture_source take_entries(struct scatterlist **sg,
					       unsigned int n)
{
	struct xen_aperture_source src = {};

	for (; n; *sg = sg_next(*sg)) {
		if (!(*sg)->length)
			continue;
		if (!src.size) {
			src.phys = sg_phys(*sg);
			src.sg = n > 1 ? *sg : NULL;
		}
		src.size += (*sg)->length;
		n--;
	}

	return src;
}

/*
 * Bounces the entries of a segment in one block, or in as few as there is room
 * for.
 */
static int put_bounced(struct xen_sg_plan *plan,
		       const struct xen_sg_segment *seg)
{
	unsigned int left = seg->entries, n = left;
	struct scatterlist *sg = seg->first;

	while (left) {
		struct scatterlist *next = sg;
		struct xen_aperture_source src = take_entries(&next, n);
		dma_addr_t bus;

		bus = xen_map_bounced(plan->dev, seg->bus, &src, seg->why,
				      plan->attrs |
				      (n > 1 ? DMA_ATTR_NO_WARN : 0));
		if (bus != DMA_MAPPING_ERROR) {
			put_segment(plan, bus, src.size);
			left -= n;
			n = min(n, left);
			sg = next;
		} else if (n > 1) {
			n /= 2;
		} else {
			return -EIO;
		}
	}

	return 0;
}

static int put_entries(struct xen_sg_plan *plan,
		       const struct xen_sg_segment *seg)
{
	if (seg->why != XEN_BOUNCE_NONE)
		return put_bounced(plan, seg);

	put_segment(plan, seg->bus, seg->size);
	return 0;
}

static int plan_list(struct xen_sg_plan *plan, struct scatterlist *sgl,
		     int nents, enum dma_data_direction dir)
{
	struct xen_sg_segment seg = {};
	struct scatterlist *sg;
	int i, rc;

	for_each_sg(sgl, sg, nents, i) {
		struct xen_sg_segment entry = {
			.first = sg,
			.entries = 1,
			.size = sg->length,
		};

		if (!entry.size)
			continue;

		entry.phys = sg_phys(sg);
		entry.bus = xen_bus_of(plan->dev, entry.phys);
		entry.why = xen_bounce_why(plan->dev, entry.phys, entry.bus,
					   entry.size, dir, plan->attrs);
		if (seg.entries && joins(plan, &seg, &entry)) {
			seg.entries++;
			seg.size += entry.size;
			continue;
		}

		if (seg.entries) {
			rc = put_entries(plan, &seg);
			if (rc)
				return rc;
		}
		seg = entry;
	}

	return seg.entries ? put_entries(plan, &seg) : -EINVAL;
}

static void sync_list_for_device(struct device *dev, struct scatterlist *sgl,
				 int nr, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nr, i)
		xen_sync_caches_for_device(dev, sg_dma_address(sg),
					   sg_dma_len(sg), dir);
}

/**
 * xen_swiotlb_map_sg() - map a list
 * @dev:	device
 * @sgl:	the list; it must live as long as its mapping
 * @nents:	its entries
 * @dir:	direction
 * @attrs:	DMA_ATTR_*
 *
 * Context: Any.
 * Return: The number of segments; -EINVAL for a list without a byte, -EIO when
 * some part can't be mapped, and then nothing is.
 */
int xen_swiotlb_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
		       enum dma_data_direction dir, unsigned long attrs)
{
	struct xen_sg_plan plan = {
		.dev = dev,
		.attrs = attrs,
		.max_size = dma_get_max_seg_size(dev),
		.boundary = dma_get_seg_boundary(dev),
		.align_mask = dma_get_min_align_mask(dev),
		.out = sgl,
	};
	int rc;

	/* Lists of MMIO go to the devices as they are, not through here. */
	if (WARN_ON_ONCE(attrs & DMA_ATTR_MMIO))
		return -EINVAL;

	rc = plan_list(&plan, sgl, nents, dir);
	if (plan.nr < nents)
		sg_dma_len(plan.out) = 0;
	if (rc) {
		/* No device has written yet: there is nothing to copy. */
		xen_swiotlb_unmap_sg(dev, sgl, nents, dir,
				     attrs | DMA_ATTR_SKIP_CPU_SYNC);
		return rc;
	}

	if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		sync_list_for_device(dev, sgl, plan.nr, dir);

	return plan.nr;
}

/* Passes over the entries that @size bytes lie in. */
static struct scatterlist *skip_entries(struct scatterlist *sg, size_t size)
{
	for (; sg && size; sg = sg_next(sg))
		size -= min_t(size_t, size, sg->length);
	return sg;
}

/**
 * xen_swiotlb_unmap_sg() - end the mapping of a list
 * @dev:	device
 * @sgl:	the list, or a copy of it
 * @nents:	its entries, as they were mapped
 * @dir:	direction
 * @attrs:	DMA_ATTR_*
 *
 * Context: Any.
 */
void xen_swiotlb_unmap_sg(struct device *dev, struct scatterlist *sgl,
			  int nents, enum dma_data_direction dir,
			  unsigned long attrs)
{
	bool sync = !dev_is_dma_coherent(dev) &&
		    !(attrs & DMA_ATTR_SKIP_CPU_SYNC);
	struct scatterlist *sg, *first = sgl;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		dma_addr_t bus = sg_dma_address(sg);
		size_t size = sg_dma_len(sg);
		struct xen_aperture_chunk *chunk;

		if (!size)
			break;
		if (sync)
			xen_sync_caches_for_cpu(dev, bus, size, dir);
		chunk = xen_aperture_find(bus);
		if (chunk)
			xen_aperture_unmap(dev, chunk, bus, first, dir, attrs);
		first = skip_entries(first, size);
	}
}

/**
 * xen_swiotlb_sync_sg_for_cpu() - the CPU is about to look at a list
 * @dev:	device
 * @sgl:	the list
 * @nents:	its entries
 * @dir:	direction of the mapping
 *
 * Segments are copied as a whole, for there are drivers that give the number of
 * segments rather than that of entries.
 *
 * Context: Any.
 */
void xen_swiotlb_sync_sg_for_cpu(struct device *dev, struct scatterlist *sgl,
				 int nents, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		xen_swiotlb_sync_single_for_cpu(dev, sg_dma_address(sg),
						sg_dma_len(sg), dir);
	}
}

/**
 * xen_swiotlb_sync_sg_for_device() - the device is about to look at a list
 * @dev:	device
 * @sgl:	the list
 * @nents:	its entries
 * @dir:	direction of the mapping
 *
 * Context: Any.
 */
void xen_swiotlb_sync_sg_for_device(struct device *dev,
				    struct scatterlist *sgl, int nents,
				    enum dma_data_direction dir)
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		xen_swiotlb_sync_single_for_device(dev, sg_dma_address(sg),
						   sg_dma_len(sg), dir);
	}
}
