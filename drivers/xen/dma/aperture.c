// SPDX-License-Identifier: GPL-2.0
/*
 * The aperture: what is bounced.
 *
 * A mapping is a block of the pool. The descriptor of its first slot says what is
 * bounced: one buffer, or as many as descriptors behind it name. So nothing of a
 * caller's list is needed after it was mapped, for others may have changed it by then.
 *
 * No byte of an earlier mapping is ever in the slots of a mapping: the copy in covers
 * its own part, whatever the direction, and the rest is cleared. (What a device writes
 * behind what it was given is not looked for. Only an IOMMU could keep it from that.)
 *
 * For a device that does not see the CPU's caches, a block is cleaned as a whole when it is
 * mapped, even if the driver wants to do that itself, part by part: it knows of nothing
 * but its own bytes, and for what the device is to write it would throw the copy away.
 */
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/string.h>

#include <trace/events/xen_dma.h>

#include "addr.h"
#include "aperture.h"
#include "compat.h"
#include "contig.h"
#include "pool.h"
#include "stats.h"

/* What an idle aperture takes in one mapping; a chunk may hold several. */
#define MAX_MAPPING	SZ_16M

/* A device that is always bounced for should be content with one of so many parts. */
#define FAIR_SHARE	256

/*
 * The first slot of the mapping, or coherent memory, that a bus address lies in. Blocks
 * are aligned, so it is that address's slot with some low bits cleared; all slots passed on
 * the way are inner ones of the same mapping, so no lock is needed.
 */
static struct xen_pool_slot *
find_mapping(const struct xen_pool_chunk *chunk, dma_addr_t bus)
{
	u32 mslot = bus >> XEN_SLOT_SHIFT;
	struct xen_pool_slot *s;
	size_t pos;

	for (;;) {
		s = &chunk->slot[mslot - chunk->first];
		if (s->state == XEN_SLOT_MAPPED || s->state == XEN_SLOT_COHERENT)
			break;
		if (mslot == chunk->first)
			return NULL;
		mslot &= mslot - 1;
		if (mslot < chunk->first)
			return NULL;
	}

	pos = bus - ((dma_addr_t)mslot << XEN_SLOT_SHIFT);
	if (pos < s->offset || pos - s->offset >= s->size)
		return NULL;

	return s;
}

static u32 mslot_of(const struct xen_pool_chunk *chunk,
		    const struct xen_pool_slot *s)
{
	return chunk->first + (s - chunk->slot);
}

/* The mapping that begins at a bus address, and its first slot's number. */
static inline struct xen_pool_slot *
mapping_at(const struct xen_pool_chunk *chunk, dma_addr_t bus, u32 *mslot)
{
	struct xen_pool_slot *s;

	*mslot = bus >> XEN_SLOT_SHIFT;
	s = &chunk->slot[*mslot - chunk->first];
	if (likely(s->state == XEN_SLOT_MAPPED &&
		   s->offset == (bus & (XEN_SLOT_SIZE - 1))))
		return s;

	s = find_mapping(chunk, bus);
	if (!s || s->state != XEN_SLOT_MAPPED)
		return NULL;
	*mslot = mslot_of(chunk, s);
	if (bus != ((dma_addr_t)*mslot << XEN_SLOT_SHIFT) + s->offset)
		return NULL;

	return s;
}

static __always_inline void copy_bytes(void *bounce, void *buf, size_t size,
				       bool to_bounce)
{
	if (to_bounce)
		memcpy(bounce, buf, size);
	else
		memcpy(buf, bounce, size);
}

/* Moves the bytes of a buffer of which any page may lie in high memory. */
static noinline void copy_high(phys_addr_t phys, void *bounce, size_t size,
			       bool to_bounce)
{
	while (size) {
		struct page *page = pfn_to_page(PFN_DOWN(phys));
		size_t n = size;
		void *buf;

		/* High memory lies above all other. */
		if (PageHighMem(pfn_to_page(PFN_DOWN(phys + size - 1)))) {
			n = min_t(size_t, n, PAGE_SIZE - offset_in_page(phys));
			buf = kmap_local_page(page) + offset_in_page(phys);
			copy_bytes(bounce, buf, n, to_bounce);
			kunmap_local(buf);
		} else {
			copy_bytes(bounce, phys_to_virt(phys), n, to_bounce);
		}

		phys += n;
		bounce += n;
		size -= n;
	}
}

static __always_inline void copy_phys(phys_addr_t phys, void *bounce,
				      size_t size, bool to_bounce)
{
	if (IS_ENABLED(CONFIG_HIGHMEM))
		copy_high(phys, bounce, size, to_bounce);
	else
		copy_bytes(bounce, phys_to_virt(phys), size, to_bounce);
}

/* The same for @size bytes of a mapped list, from the @skip-th one on. */
static void copy_list(const struct xen_pool_slot *s, size_t skip,
		      void *bounce, size_t size, bool to_bounce)
{
	const struct xen_pool_slot *buffer, *last = s + s->buffers;

	for (buffer = s + 1; buffer <= last && size; buffer++) {
		size_t n;

		if (skip >= buffer->size) {
			skip -= buffer->size;
			continue;
		}

		n = min_t(size_t, buffer->size - skip, size);
		copy_phys(buffer->phys + skip, bounce, n, to_bounce);
		skip = 0;
		bounce += n;
		size -= n;
	}
}

/* A part of a mapping, one buffer or a list, from the @skip-th byte on. */
static __always_inline void copy_part(const struct xen_pool_slot *s, size_t skip,
				      void *bounce, size_t size, bool to_bounce)
{
	if (unlikely(s->buffers))
		copy_list(s, skip, bounce, size, to_bounce);
	else
		copy_phys(s->phys + skip, bounce, size, to_bounce);
}

/*
 * Clears what the device could see of earlier mappings: what lies before the source,
 * and behind it up to the end of the block or to where that is known to be zero.
 */
static __always_inline void clear_around(struct xen_pool_slot *s, void *block,
					 size_t offset, size_t size)
{
	size_t end = offset + size, dirty;

	if (unlikely(offset))
		memset(block, 0, offset);

	if (likely(s->bin != XEN_NO_BIN)) {
		dirty = s->dirty;
		s->dirty = end;
	} else {
		dirty = (size_t)s->nr << XEN_SLOT_SHIFT;
	}
	if (unlikely(dirty > end))
		memset(block + end, 0, dirty - end);
}

/* A run of machine addresses that the device reaches; false for no more. */
static __always_inline bool span_of(struct device *dev, unsigned int nr,
				    struct xen_span *span)
{
	return xen_span_of(dev, xen_bus_limit(dev, dma_get_mask(dev)), nr, span);
}

/* So many zones, from the reserve on, hold what the device reaches. */
static unsigned int zones_of(struct device *dev)
{
	unsigned int zones = 0, i;
	struct xen_span span;

	for (i = 0; span_of(dev, i, &span); i++) {
		const struct xen_pool_reach reach = xen_pool_reach_span(&span);

		zones = max_t(unsigned int, zones, reach.zones);
	}
	return zones;
}

/* The largest block for the device in an idle pool, of the run that has it. */
static size_t largest_of(struct device *dev)
{
	size_t largest = 0;
	struct xen_span span;
	unsigned int i;

	for (i = 0; span_of(dev, i, &span); i++) {
		const struct xen_pool_reach reach = xen_pool_reach_span(&span);

		largest = max(largest, xen_pool_largest(&reach, true));
	}
	return largest;
}

static void report_failure(struct device *dev, size_t size, size_t needed)
{
	u64 mask = xen_bus_limit(dev, dma_get_mask(dev));
	unsigned int zones = zones_of(dev), i;
	size_t largest = largest_of(dev);
	u32 free = 0, total = 0;

	if (!size) {
		dev_err_ratelimited(dev,
				    "xen-dma: driver maps 0 bytes\n");
		return;
	}

	if (!largest) {
		dev_err_ratelimited(dev,
				    "xen-dma: can't bounce %zu bytes: no aperture below mask %#llx; %s\n",
				    size, mask, XEN_NO_APERTURE_HINT);
		return;
	}

	if (needed > largest) {
		dev_err_ratelimited(dev,
				    "xen-dma: mapping of %zu bytes is too large to bounce: at most %zu bytes below mask %#llx; a driver asks dma_max_mapping_size()\n",
				    size, largest, mask);
		return;
	}

	for (i = 0; i < zones; i++) {
		total += READ_ONCE(xen_pool_zones[i].total);
		free += READ_ONCE(xen_pool_zones[i].free);
	}
	dev_err_ratelimited(dev,
			    "xen-dma: aperture has no room for %zu bytes below mask %#llx: %u of %u slots in use; boot with a larger swiotlb= or xen_dma.max=\n",
			    size, mask, total - min(free, total), total);
	xen_stats_name_holder();
}

/* What the CPU has written is there for whoever does not see its caches. */
static noinline void clean_caches(void *bounce, size_t size)
{
	arch_sync_dma_for_device(virt_to_phys(bounce), size, DMA_BIDIRECTIONAL);
	arch_sync_dma_flush();
}

/* The same for all of a block. */
static noinline void clean_block(const struct xen_pool_block *block)
{
	const struct xen_pool_slot *s = block->slot;
	u32 nr = s->bin != XEN_NO_BIN ? xen_pool_bin_slots[s->bin] : s->nr;

	clean_caches(xen_slot_vaddr(block->chunk, block->mslot),
		     (size_t)nr << XEN_SLOT_SHIFT);
}

/* The CPU sees what such a device has written. */
static noinline void forget_caches(void *bounce, size_t size)
{
	arch_sync_dma_for_cpu(virt_to_phys(bounce), size, DMA_BIDIRECTIONAL);
	arch_sync_dma_flush();
}

/* The slots of a mapping, of at most 1 GiB and its alignment. */
static __always_inline u32 slots_for(size_t offset, size_t size,
				     size_t align_mask)
{
	return DIV_ROUND_UP(max(offset + size, align_mask + 1), XEN_SLOT_SIZE);
}

/* Makes a mapping of a block, all but its content; returns where that goes. */
static __always_inline void *begin_mapping(struct device *dev,
					   const struct xen_pool_block *block,
					   size_t offset, size_t size,
					   unsigned int buffers,
					   enum xen_bounce_reason why)
{
	void *vaddr = xen_slot_vaddr(block->chunk, block->mslot);
	struct xen_device_stats *stats = xen_stats_of(dev);
	struct xen_pool_slot *s = block->slot;

	xen_count_bounce(stats, why, size);
	s->owner = stats->id;
	s->buffers = buffers;
	s->size = size;
	s->offset = offset;
	WRITE_ONCE(s->state, XEN_SLOT_MAPPED);
	clear_around(s, vaddr, offset, size);
	return vaddr + offset;
}

static __always_inline dma_addr_t map_one(struct device *dev,
					  const struct xen_pool_block *block,
					  phys_addr_t phys, size_t offset,
					  size_t size,
					  enum xen_bounce_reason why)
{
	dma_addr_t bus = ((dma_addr_t)block->mslot << XEN_SLOT_SHIFT) + offset;
	void *bounce = begin_mapping(dev, block, offset, size, 0, why);

	block->slot->phys = phys;
	copy_phys(phys, bounce, size, true);
	if (!dev_is_dma_coherent(dev))
		clean_block(block);
	return bus;
}

/* From the first run that has one. When all memory is known, there are other runs. */
static struct xen_pool_block get_block(struct device *dev, u32 nr,
				       enum xen_pool_effort effort)
{
	struct xen_pool_block block = {};
	struct xen_span span;
	bool was_learning;
	unsigned int i;

	do {
		was_learning = xen_is_learning();
		for (i = 0; !block.slot && span_of(dev, i, &span); i++) {
			const struct xen_pool_reach reach = xen_pool_reach_span(&span);

			if (reach.zones)
				block = xen_pool_get(&reach, nr, effort);
		}
	} while (!block.slot && was_learning && !xen_is_learning());

	return block;
}

/* A block that the CPU has at hand, if there is one. */
static __always_inline bool take_quickly(struct device *dev, u32 nr,
					 struct xen_pool_block *block)
{
	struct xen_span span;

	return span_of(dev, 0, &span) && likely(!span.first) &&
	       xen_pool_take_quickly(span.last, nr, block);
}

/* The CPU has no block at hand. */
static noinline dma_addr_t map_slowly(struct device *dev, phys_addr_t phys,
				      size_t size, enum xen_bounce_reason why,
				      unsigned long attrs)
{
	size_t align_mask = dma_get_min_align_mask(dev), offset = phys & align_mask;
	struct xen_pool_block block = {};
	u32 nr = 0;

	if (size - 1 < SZ_1G)
		nr = slots_for(offset, size, align_mask);
	if (nr)
		block = get_block(dev, nr, XEN_POOL_RESERVE);
	if (block.slot)
		return map_one(dev, &block, phys, offset, size, why);

	trace_xen_dma_refuse(dev, size, xen_bus_limit(dev, dma_get_mask(dev)));
	if (!(attrs & DMA_ATTR_NO_WARN))
		report_failure(dev, size, max(size, (size_t)nr << XEN_SLOT_SHIFT));
	return DMA_MAPPING_ERROR;
}

/**
 * xen_aperture_map() - bounce a buffer
 * @dev:	device that will use it
 * @phys:	pseudo-physical address of the first byte
 * @size:	bytes
 * @why:	the reason, to be counted
 * @attrs:	DMA_ATTR_NO_WARN is honoured
 *
 * The bytes are copied in for every direction: a device that writes less than
 * it might leaves the caller's bytes as they were.
 *
 * Context: Any.
 * Return: Machine address within the device's mask that keeps the bits of @phys
 * in dma_get_min_align_mask(), or DMA_MAPPING_ERROR.
 */
dma_addr_t xen_aperture_map(struct device *dev, phys_addr_t phys, size_t size,
			    enum xen_bounce_reason why, unsigned long attrs)
{
	size_t align_mask = dma_get_min_align_mask(dev), offset = phys & align_mask;
	/* It is looked at only when it was filled in. */
	struct xen_pool_block block __uninitialized;

	if (likely(size - 1 < SZ_1G) &&
	    likely(take_quickly(dev, slots_for(offset, size, align_mask),
				&block)))
		return map_one(dev, &block, phys, offset, size, why);
	return map_slowly(dev, phys, size, why, attrs);
}

/* Copies buffers, and notes what they are; the entries that are empty don't count. */
static void bounce_list(struct xen_pool_slot *buffer, struct scatterlist *sg,
			unsigned int nr, void *bounce)
{
	for (;; sg = sg_next(sg)) {
		unsigned int size = sg->length;
		phys_addr_t phys = sg_phys(sg);

		if (unlikely(!size))
			continue;
		buffer->phys = phys;
		buffer->size = size;
		copy_phys(phys, bounce, size, true);
		if (!--nr)
			break;
		buffer++;
		bounce += size;
	}
}

/**
 * xen_aperture_map_list() - bounce several buffers in one block
 * @dev:	device that will use them
 * @sg:		entry of a list that names the first, and is not empty
 * @nr:		how many, up to XEN_APERTURE_MAX_BUFFERS; empty entries between
 *		them don't count
 * @size:	bytes of all
 * @why:	the reason, to be counted
 *
 * One block for many is an opportunity: only what is at hand is taken, without a
 * message, and whoever finds none has to map less at a time.
 *
 * Context: Any.
 * Return: See xen_aperture_map(), the bits are those of the first buffer.
 */
dma_addr_t xen_aperture_map_list(struct device *dev, struct scatterlist *sg,
				 unsigned int nr, size_t size,
				 enum xen_bounce_reason why)
{
	size_t align_mask = dma_get_min_align_mask(dev);
	size_t offset = sg_phys(sg) & align_mask;
	struct xen_pool_block block;
	u32 slots;

	/* The first slot's descriptor is the mapping's. */
	slots = max(slots_for(offset, size, align_mask), nr + 1);
	if (!take_quickly(dev, slots, &block)) {
		block = get_block(dev, slots, XEN_POOL_TRY);
		if (!block.slot)
			return DMA_MAPPING_ERROR;
	}

	bounce_list(block.slot + 1, sg, nr,
		    begin_mapping(dev, &block, offset, size, nr, why));
	if (!dev_is_dma_coherent(dev))
		clean_block(&block);
	return ((dma_addr_t)block.mslot << XEN_SLOT_SHIFT) + offset;
}

/* Coherent memory may have been mapped where it is, for another device. */
static noinline void report_wrong_unmap(struct device *dev,
					const struct xen_pool_chunk *chunk,
					dma_addr_t bus)
{
	const struct xen_pool_slot *s = chunk ? find_mapping(chunk, bus) : NULL;

	if (s && s->state == XEN_SLOT_COHERENT)
		return;
	dev_err_ratelimited(dev,
			    "xen-dma: driver unmaps %pad, where no mapping begins\n",
			    &bus);
}

/**
 * xen_aperture_unmap() - end a mapping
 * @dev:	device that used it
 * @bus:	what xen_aperture_map() or xen_aperture_map_list() returned
 * @dir:	what the device may have written is copied back
 * @attrs:	DMA_ATTR_SKIP_CPU_SYNC: nothing is copied back
 *
 * Context: Any.
 */
void xen_aperture_unmap(struct device *dev, dma_addr_t bus,
			enum dma_data_direction dir, unsigned long attrs)
{
	struct xen_pool_chunk *chunk;
	struct xen_pool_slot *s = NULL;
	u32 mslot;

	/* A mapping keeps its chunk; a driver that is wrong may have none. */
	rcu_read_lock();
	chunk = xen_pool_find(bus);
	if (likely(chunk))
		s = mapping_at(chunk, bus, &mslot);
	if (likely(s)) {
		if (dir != DMA_TO_DEVICE && !(attrs & DMA_ATTR_SKIP_CPU_SYNC)) {
			void *bounce = xen_slot_vaddr(chunk, mslot) + s->offset;

			if (!dev_is_dma_coherent(dev))
				forget_caches(bounce, s->size);
			copy_part(s, 0, bounce, s->size, false);
		}
		if (trace_xen_dma_unmap_enabled())
			trace_xen_dma_unmap(dev, xen_machine_to_bus(dev, bus), s->size);
		xen_pool_put(chunk, mslot, s);
	} else {
		report_wrong_unmap(dev, chunk, bus);
	}
	rcu_read_unlock();
}

/*
 * What a line has beside the part that goes to the device is read anew, for the device may
 * have written it.
 */
static __always_inline void sync_part(struct device *dev,
				      const struct xen_pool_slot *s, size_t skip,
				      void *bounce, size_t size, bool for_cpu)
{
	bool coherent = dev_is_dma_coherent(dev);

	if (!coherent)
		forget_caches(bounce, size);
	copy_part(s, skip, bounce, size, !for_cpu);
	if (!coherent && !for_cpu)
		clean_caches(bounce, size);
}

/**
 * xen_aperture_sync() - copy a part of a mapping, and see to the caches
 * @dev:	device that uses it
 * @bus:	first byte, anywhere in the mapping
 * @size:	bytes
 * @for_cpu:	from the aperture to the caller's buffer, else the other way
 *
 * Context: Any.
 */
void xen_aperture_sync(struct device *dev, dma_addr_t bus, size_t size,
		       bool for_cpu)
{
	struct xen_pool_chunk *chunk;
	struct xen_pool_slot *s = NULL;
	size_t offset = 0;
	u32 mslot = 0;

	if (!size)
		return;

	rcu_read_lock();
	chunk = xen_pool_find(bus);
	if (likely(chunk))
		s = find_mapping(chunk, bus);
	if (unlikely(s && s->state == XEN_SLOT_COHERENT))
		goto out;
	if (likely(s)) {
		mslot = mslot_of(chunk, s);
		offset = bus - ((dma_addr_t)mslot << XEN_SLOT_SHIFT) -
			 s->offset;
	}
	if (likely(s))
		sync_part(dev, s, offset,
			  xen_slot_vaddr(chunk, mslot) + s->offset + offset,
			  min(size, s->size - offset), for_cpu);
	if (unlikely(!s || size > s->size - offset))
		dev_err_ratelimited(dev,
				    "xen-dma: driver syncs %zu bytes at %pad, not all of them mapped\n",
				    size, &bus);
out:
	rcu_read_unlock();
}

/* Sees to it that there is a chunk in one of the runs that a device reaches. */
static int obtain_chunk(struct device *dev, u64 limit)
{
	struct xen_span span;
	int rc = -ENXIO;
	unsigned int i;

	for (i = 0; rc && xen_span_of(dev, limit, i, &span); i++) {
		const struct xen_pool_reach reach = xen_pool_reach_span(&span);

		rc = reach.zones ? xen_pool_obtain(&reach) : -ERANGE;
	}
	return rc;
}

/**
 * xen_aperture_obtain() - see to it that a device can be bounced for
 * @dev:	device, for messages
 * @limit:	highest bus address that it will use
 *
 * Where no chunk lies within the device's reach, one is made, to stay. Xen may have
 * none so low: then the device has to be refused. On ARM it may take until all memory is
 * known.
 *
 * Context: Process, may sleep.
 * Return: 0, or -ENOMEM, with a message.
 */
int xen_aperture_obtain(struct device *dev, u64 limit)
{
	const char *why;
	bool again;
	int rc;

	do {
		again = xen_is_learning();
		rc = obtain_chunk(dev, limit);
		if (!rc)
			return 0;
		if (again)
			xen_learn_more();
	} while (again);

	if (rc == -ENXIO)
		why = "the bus leads to none of the domain's memory below it";
	else if (rc == -ERANGE)
		why = "too narrow for Xen to have memory for it";
	else if (rc == -ENODEV)
		why = "there is no aperture, see swiotlb=";
	else
		why = XEN_NO_MEMORY_HINT;
	dev_warn(dev, "xen-dma: mask %#llx is refused: %s\n", limit, why);
	return -ENOMEM;
}

/**
 * xen_aperture_largest() - largest mapping that can be bounced
 * @dev:	device, for its masks
 *
 * Context: Any.
 * Return: Bytes that an idle aperture takes for any alignment of the buffer; 0
 * when the device can't be bounced for at all.
 */
size_t xen_aperture_largest(struct device *dev)
{
	size_t largest = largest_of(dev);
	size_t slack = ALIGN(dma_get_min_align_mask(dev), XEN_SLOT_SIZE);

	return largest > slack ?
	       min_t(size_t, largest - slack, MAX_MAPPING) : 0;
}

/**
 * xen_aperture_fair_share() - how large the mappings of one device should be
 * @dev:	device, for its masks
 *
 * Of so many bytes a busy aperture takes a few hundred mappings: as many as some disks
 * make at a time.
 *
 * Context: Any.
 * Return: Bytes, a power of two.
 */
size_t xen_aperture_fair_share(struct device *dev)
{
	u64 share = XEN_APERTURE_COMMON;
	struct xen_span span;
	unsigned int i;

	for (i = 0; span_of(dev, i, &span); i++) {
		const struct xen_pool_reach reach = xen_pool_reach_span(&span);

		share = max(share, xen_pool_bytes(&reach) / FAIR_SHARE);
	}
	return rounddown_pow_of_two(share);
}
