// SPDX-License-Identifier: GPL-2.0
/*
 * Scatter lists: as few segments for the device as its limits allow.
 *
 * A list is planned entry by entry. Entries that the device can use in place
 * join when they follow each other in the machine; entries that must be bounced
 * join in one block of the aperture, where they follow each other whatever they
 * did before. The segments go into the first entries' DMA fields, in the order of
 * the list, and cover all bytes of it; a length of 0 ends them. What lies behind a
 * segment that is bounced the aperture remembers.
 */
#include <linux/minmax.h>
#include <linux/scatterlist.h>
#include <linux/swiotlb.h>

#include "addr.h"
#include "aperture.h"
#include "bounce.h"
#include "caches.h"
#include "compat.h"
#include "decide.h"
#include "refused.h"
#include "sg.h"

/**
 * struct xen_sg_segment - entries that become one segment
 * @first:	the first of them
 * @entries:	how many, empty ones left out
 * @bus:	where the first one begins for the bus
 * @size:	bytes of all
 * @why:	why they are bounced, for the first one's reason
 */
struct xen_sg_segment {
	struct scatterlist *first;
	unsigned int entries;
	dma_addr_t bus;
	size_t size;
	enum xen_bounce_reason why;
};

/**
 * struct xen_sg_plan - a list on its way to the device
 * @dev:	device
 * @attrs:	of the mapping
 * @max_size:	bytes of a segment of several entries
 * @max_bounced:	the same where they are bounced; fits between boundaries
 * @in_place:	nothing may be bounced, see refused.c
 * @limits:	the device's
 * @out:	the entry that a segment goes to; who puts one moves it on, if
 *		more are to come
 * @nr:		segments so far
 */
struct xen_sg_plan {
	struct device *dev;
	unsigned long attrs;
	size_t max_size;
	size_t max_bounced;
	bool in_place;
	struct xen_dma_limits limits;
	struct scatterlist *out;
	int nr;
};

/* sg_next(), but inline, and for entries that are known not to be the last. */
static inline struct scatterlist *next_entry(struct scatterlist *sg)
{
	sg++;
	if (unlikely(sg_is_chain(sg))) {
		/* A branch is less than to have both at hand each time. */
		OPTIMIZER_HIDE_VAR(sg);
		sg = sg_chain_ptr(sg);
	}
	return sg;
}

static inline void put_segment(struct xen_sg_plan *plan, dma_addr_t bus,
			       size_t size)
{
	sg_dma_address(plan->out) = bus;
	sg_dma_len(plan->out) = size;
	plan->nr++;
}

/* Does an entry keep its address bits at the end of a bounced segment? */
static noinline bool keeps_bits(const struct xen_sg_plan *plan,
				const struct xen_sg_segment *seg,
				const struct scatterlist *sg)
{
	u64 align_mask = plan->limits.align_mask, first = sg_phys(seg->first);
	u64 offset = first & align_mask & plan->limits.boundary;

	return !(((first + seg->size) ^ sg_phys((struct scatterlist *)sg)) &
		 align_mask) &&
	       offset + seg->size + sg->length - 1 <= plan->limits.boundary;
}

/* Can a bounced entry become the end of a bounced segment? */
static __always_inline bool joins_bounced(const struct xen_sg_plan *plan,
					  const struct xen_sg_segment *seg,
					  const struct scatterlist *sg)
{
	return seg->why != XEN_BOUNCE_NONE &&
	       seg->size + sg->length <= plan->max_bounced &&
	       seg->entries < XEN_APERTURE_MAX_BUFFERS &&
	       (likely(!plan->limits.align_mask) || keeps_bits(plan, seg, sg));
}

/*
 * May a segment's caches be maintained as if it were one buffer? Neighbours on the bus
 * need not be neighbours for the CPU, nor belong to the same domain.
 */
static bool is_one_buffer(const struct xen_sg_plan *plan,
			  const struct xen_sg_segment *seg, phys_addr_t phys)
{
	return dev_is_dma_coherent(plan->dev) ||
	       (!xen_any_displaced() && phys == sg_phys(seg->first) + seg->size);
}

/* The same for entries that the device can use in place. */
static bool joins_direct(const struct xen_sg_plan *plan,
			 const struct xen_sg_segment *seg, dma_addr_t bus,
			 struct scatterlist *sg, size_t size)
{
	if (bus != seg->bus + seg->size || seg->why != XEN_BOUNCE_NONE ||
	    !is_one_buffer(plan, seg, sg_phys(sg)))
		return false;

	size += seg->size;
	return size <= plan->max_size &&
	       !((seg->bus ^ (seg->bus + size - 1)) & ~plan->limits.boundary);
}

/* The last of @n entries that have bytes, from @sg on; adds up these. */
static struct scatterlist *last_entry(struct scatterlist *sg, unsigned int n,
				      size_t *size)
{
	for (*size = 0; ; sg = next_entry(sg)) {
		*size += sg->length;
		if (sg->length && !--n)
			return sg;
	}
}

/* A copy of @n entries that have bytes; where it is of several, there may be a way without. */
static dma_addr_t map_entries(const struct xen_sg_plan *plan,
			      struct scatterlist *first, unsigned int n,
			      size_t size, enum xen_bounce_reason why)
{
	if (n == 1)
		return xen_map_bounced(plan->dev, sg_phys(first), size, why,
				       plan->attrs);
	return xen_map_list_bounced(plan->dev, first, n, size, why,
				    plan->attrs | DMA_ATTR_NO_WARN);
}

/* There is no block for all of a segment's entries: in as few as there is room for. */
static noinline int put_in_parts(struct xen_sg_plan *plan,
				 const struct xen_sg_segment *seg)
{
	unsigned int left = seg->entries, n = (left + 1) / 2;
	struct scatterlist *first = seg->first, *last;
	dma_addr_t bus;
	size_t size;

	for (;;) {
		while (!first->length)
			first = next_entry(first);
		last = last_entry(first, n, &size);
		bus = map_entries(plan, first, n, size, seg->why);
		if (bus == DMA_MAPPING_ERROR) {
			if (n == 1)
				return -EIO;
			n /= 2;
			continue;
		}

		put_segment(plan, bus, size);
		left -= n;
		if (!left)
			return 0;
		plan->out = next_entry(plan->out);
		first = next_entry(last);
		n = min(n, left);
	}
}

static noinline int refuse_copy(const struct xen_sg_plan *plan)
{
	if (!(plan->attrs & DMA_ATTR_NO_WARN))
		dev_err_ratelimited(plan->dev,
				    "xen-dma: pages in place of coherent memory can't be bounced\n");
	return -EIO;
}

/* Bounces the entries of a segment, in one block if there is one. */
static int put_bounced(struct xen_sg_plan *plan,
		       const struct xen_sg_segment *seg)
{
	dma_addr_t bus;

	if (unlikely(plan->in_place))
		return refuse_copy(plan);
	bus = map_entries(plan, seg->first, seg->entries, seg->size, seg->why);
	if (unlikely(bus == DMA_MAPPING_ERROR))
		return seg->entries == 1 ? -EIO : put_in_parts(plan, seg);

	put_segment(plan, bus, seg->size);
	return 0;
}

static inline int put_entries(struct xen_sg_plan *plan,
			      const struct xen_sg_segment *seg)
{
	if (unlikely(seg->why != XEN_BOUNCE_NONE))
		return put_bounced(plan, seg);

	put_segment(plan, seg->bus, seg->size);
	return 0;
}

/* Says why an entry must be bounced, and sets where it is for the bus. */
static noinline enum xen_bounce_reason
look_at_any(const struct xen_sg_plan *plan, struct scatterlist *sg,
	    enum dma_data_direction dir, dma_addr_t *bus)
{
	*bus = xen_phys_to_bus(plan->dev, sg_phys(sg));
	return xen_bounce_why(plan->dev, plan->limits, sg_phys(sg), *bus,
			      sg->length, dir);
}

static __always_inline enum xen_bounce_reason
look_at(const struct xen_sg_plan *plan, struct scatterlist *sg,
	enum dma_data_direction dir, dma_addr_t *bus)
{
	if (likely(plan->limits.plain && (u64)sg->offset + sg->length <= PAGE_SIZE))
		return xen_look_at_page(plan->limits.last,
					page_to_pfn(sg_page(sg)), sg->offset,
					sg->length, bus);

	return look_at_any(plan, sg, dir, bus);
}

/* Begins a segment with the first entry that has bytes, of @nents from @sg on. */
static int begin_list(struct xen_sg_plan *plan, struct xen_sg_segment *seg,
		      struct scatterlist *sg, int nents,
		      enum dma_data_direction dir)
{
	for (; nents > 0; nents--, sg = next_entry(sg)) {
		if (sg->length) {
			seg->first = sg;
			seg->entries = 1;
			seg->size = sg->length;
			seg->why = look_at_any(plan, sg, dir, &seg->bus);
			return nents;
		}
		if (sg_is_last(sg))
			break;
	}

	return 0;
}

/*
 * Goes on from entry @sg, the last of a segment that is used in place, as long as entries
 * are plain and in reach, and so are all of most lists. Returns the last of these;
 * *@nents counts it and those behind it.
 */
static struct scatterlist *plan_in_reach(struct xen_sg_plan *plan,
					 struct xen_sg_segment *seg,
					 struct scatterlist *sg, int *nents)
{
	const u64 last = plan->limits.last, beyond = ~plan->limits.boundary;
	struct scatterlist *out = plan->out;
	dma_addr_t start = seg->bus;
	size_t size = seg->size;
	int left = *nents, nr = plan->nr;

	for (; left > 1 && likely(!sg_is_last(sg)); left--) {
		struct scatterlist *next = next_entry(sg);
		unsigned int len = next->length;
		dma_addr_t bus;

		if (unlikely(!len || (u64)next->offset + len > PAGE_SIZE ||
			     xen_look_at_page(last, page_to_pfn(sg_page(next)),
					      next->offset, len, &bus)))
			break;
		sg = next;
		if (bus == start + size && size + len <= plan->max_size &&
		    !((start ^ (bus + len - 1)) & beyond)) {
			size += len;
			continue;
		}

		sg_dma_address(out) = start;
		sg_dma_len(out) = size;
		out = next_entry(out);
		nr++;
		start = bus;
		size = len;
	}

	plan->out = out;
	plan->nr = nr;
	seg->first = sg;
	seg->bus = start;
	seg->size = size;
	*nents = left;
	return sg;
}

/* The same for a segment that is bounced, as long as entries are plain and join it. */
static struct scatterlist *plan_beyond(struct xen_sg_plan *plan,
				       struct xen_sg_segment *seg,
				       struct scatterlist *sg, int *nents)
{
	unsigned int room = XEN_APERTURE_MAX_BUFFERS - seg->entries, joined = 0;
	size_t size = seg->size;
	int left = *nents;

	for (; left > 1 && joined < room && likely(!sg_is_last(sg)); left--) {
		struct scatterlist *next = next_entry(sg);
		unsigned int len = next->length;
		dma_addr_t bus;

		if (unlikely(!len || (u64)next->offset + len > PAGE_SIZE ||
			     size + len > plan->max_bounced ||
			     !xen_look_at_page(plan->limits.last,
					       page_to_pfn(sg_page(next)),
					       next->offset, len, &bus)))
			break;
		sg = next;
		size += len;
		joined++;
	}

	seg->entries += joined;
	seg->size = size;
	*nents = left;
	return sg;
}

/* Takes an entry that can't join: the segment before it is done, it begins another. */
static int plan_next(struct xen_sg_plan *plan, struct xen_sg_segment *seg,
		     const struct xen_sg_segment *next)
{
	int rc = put_entries(plan, seg);

	if (unlikely(rc))
		return rc;
	plan->out = next_entry(plan->out);
	*seg = *next;
	return 0;
}

static int plan_list(struct xen_sg_plan *plan, struct scatterlist *sg,
		     int nents, enum dma_data_direction dir)
{
	struct xen_sg_segment seg = {}, next = { .entries = 1 };
	int rc;

	nents = begin_list(plan, &seg, sg, nents, dir);
	if (!nents)
		return -EINVAL;

	for (sg = seg.first; ; ) {
		if (plan->limits.plain && seg.why == XEN_BOUNCE_NONE)
			sg = plan_in_reach(plan, &seg, sg, &nents);
		else if (plan->limits.plain && !plan->limits.align_mask)
			sg = plan_beyond(plan, &seg, sg, &nents);
		if (!--nents)
			break;

		/* Never walk past the end, whatever the driver says of it. */
		if (unlikely(sg_is_last(sg)))
			return -EINVAL;
		sg = next_entry(sg);
		if (unlikely(!sg->length))
			continue;

		next.first = sg;
		next.size = sg->length;
		next.why = look_at(plan, sg, dir, &next.bus);
		if (next.why == XEN_BOUNCE_NONE ?
		    joins_direct(plan, &seg, next.bus, sg, next.size) :
		    joins_bounced(plan, &seg, sg)) {
			seg.entries++;
			seg.size += next.size;
			continue;
		}

		rc = plan_next(plan, &seg, &next);
		if (unlikely(rc))
			return rc;
	}

	return put_entries(plan, &seg);
}

/* Does something to each segment of a list. Inline, so it is no indirect call. */
static __always_inline void
each_segment(struct device *dev, struct scatterlist *sgl, int nents,
	     enum dma_data_direction dir,
	     void (*sync)(struct device *dev, dma_addr_t bus, size_t size,
			  enum dma_data_direction dir))
{
	struct scatterlist *sg;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		sync(dev, sg_dma_address(sg), sg_dma_len(sg), dir);
	}
}

/* What the CPU wrote becomes visible, but for copies; fails as soon as Xen doesn't do it. */
static int clean_segments(struct device *dev, struct scatterlist *sgl,
			  int nents, enum dma_data_direction dir)
{
	struct scatterlist *sg;
	dma_addr_t bus;
	int i, rc;

	for_each_sg(sgl, sg, nents, i) {
		if (!sg_dma_len(sg))
			break;
		bus = sg_dma_address(sg);
		if (xen_pool_find(xen_bus_to_machine(dev, bus)))
			continue;
		rc = xen_sync_caches_for_device(dev, bus, sg_dma_len(sg), dir);
		if (rc)
			return rc;
	}

	return 0;
}

/**
 * xen_swiotlb_map_sg() - map a list
 * @dev:	device
 * @sgl:	the list; nothing but its segments is looked at later
 * @nents:	its entries
 * @dir:	direction
 * @attrs:	DMA_ATTR_*
 *
 * Context: Any.
 * Return: The number of segments; -EINVAL for a list without a byte or with fewer
 * than @nents entries, -EIO when some part can't be mapped, and then nothing is.
 */
int xen_swiotlb_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
		       enum dma_data_direction dir, unsigned long attrs)
{
	struct xen_sg_plan plan = {
		.dev = dev,
		.attrs = attrs,
		.max_size = dma_get_max_seg_size(dev),
		.in_place = xen_is_substitute(dev, sgl, nents, dir),
		.limits = xen_limits_of(dev),
		.out = sgl,
	};
	int rc;

	/* Lists of MMIO go to the devices as they are, not through here. */
	if (WARN_ON_ONCE(attrs & DMA_ATTR_MMIO))
		return -EINVAL;

	plan.max_bounced = min_t(size_t, plan.max_size, XEN_APERTURE_COMMON);
	if (plan.max_bounced > plan.limits.boundary)
		plan.max_bounced = plan.limits.boundary + 1;
	rc = plan_list(&plan, sgl, nents, dir);
	if (rc) {
		if (nents <= 0)
			return rc;
		sg_dma_len(plan.out) = 0;
		/* No device has written yet: there is nothing to copy. */
		xen_swiotlb_unmap_sg(dev, sgl, nents, dir,
				     attrs | DMA_ATTR_SKIP_CPU_SYNC);
		return rc;
	}

	if (unlikely(plan.in_place))
		xen_forget_refused(dev);
	if (plan.nr < nents)
		sg_dma_len(next_entry(plan.out)) = 0;
	if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC) &&
	    unlikely(clean_segments(dev, sgl, nents, dir))) {
		xen_swiotlb_unmap_sg(dev, sgl, nents, dir,
				     attrs | DMA_ATTR_SKIP_CPU_SYNC);
		return -EIO;
	}

	return plan.nr;
}

/**
 * xen_swiotlb_unmap_sg() - end the mapping of a list
 * @dev:	device
 * @sgl:	the list, or a copy of it, of which only the segments are looked at
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
	struct scatterlist *sg;

	if (nents <= 0)
		return;

	for (sg = sgl; sg_dma_len(sg); sg = next_entry(sg)) {
		xen_unmap(dev, sg_dma_address(sg), sg_dma_len(sg), dir, attrs);
		if (!--nents || sg_is_last(sg))
			break;
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
	each_segment(dev, sgl, nents, dir, xen_sync_for_cpu);
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
	each_segment(dev, sgl, nents, dir, xen_sync_for_device);
}
