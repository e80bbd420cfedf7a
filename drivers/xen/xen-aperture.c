// SPDX-License-Identifier: GPL-2.0
/*
 * The aperture: low, machine-contiguous memory to bounce DMA through.
 *
 * It consists of chunks, each one extent of the machine, found through a table
 * indexed by bus address. A chunk is divided into slots of IO_TLB_SIZE bytes,
 * which a binary buddy hands out. Buddies are reckoned in machine addresses, so
 * a block of 2^n slots is aligned to its size on the bus: it crosses no boundary
 * as large as itself, and an alignment is a matter of the order. What a request
 * doesn't need at the end of its block goes back at once.
 *
 * A slot has a descriptor. In the first one of a free block it links the free
 * list, in the first one of a mapping it says what is bounced. No byte of an
 * earlier mapping is ever in the slots of a mapping: the copy in covers its own
 * part, whatever the direction, and the rest is cleared.
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/bitops.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/kmemleak.h>
#include <linux/log2.h>
#include <linux/memblock.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string_helpers.h>
#include <linux/swiotlb.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "xen-aperture.h"

#define XEN_SLOT_SHIFT		IO_TLB_SHIFT
#define XEN_SLOT_SIZE		BIT(XEN_SLOT_SHIFT)

/* 1 GiB, the largest extent that Xen gives to a control domain by default. */
#define XEN_CHUNK_MAX_ORDER	18
#define XEN_CHUNK_MIN_ORDER	(XEN_APERTURE_GRANULE_SHIFT - PAGE_SHIFT)
#define XEN_SLOT_ORDERS		(XEN_CHUNK_MAX_ORDER + PAGE_SHIFT - \
				 XEN_SLOT_SHIFT + 1)
#define XEN_MAX_CHUNKS		512

/* What an idle aperture promises for one mapping; a chunk may hold several. */
#define XEN_MAX_MAPPING		SZ_16M

/* The lowest memory is taken for devices that can't use any other. */
#define XEN_NARROW_BITS		24
#define XEN_NARROW_SIZE		SZ_4M

#define XEN_NO_SLOT		U32_MAX

enum xen_slot_state {
	XEN_SLOT_INNER,		/* not the first of anything */
	XEN_SLOT_FREE,		/* first of a free block */
	XEN_SLOT_USED,		/* first of a mapping */
};

/**
 * struct xen_aperture_slot - what a slot is used for
 * @next:	free block: next of this order, or XEN_NO_SLOT
 * @prev:	free block: previous of this order, or XEN_NO_SLOT
 * @phys:	mapping: pseudo-physical address of the caller's buffer
 * @size:	mapping: its bytes
 * @offset:	mapping: bytes from the first slot to the first mapped byte
 * @order:	free block: log2 of its slots
 * @state:	which of these holds
 */
struct xen_aperture_slot {
	union {
		struct {
			u32 next;
			u32 prev;
		};
		phys_addr_t phys;
	};
	u32 size;
	u32 offset;
	u8 order;
	u8 state;
};

/**
 * struct xen_aperture_chunk - one machine-contiguous extent
 * @lock:	protects the free lists and @used
 * @bus:	bus address of the first byte
 * @vaddr:	where the kernel sees it
 * @nr_slots:	slots
 * @used:	slots in mappings
 * @orders:	bit n set: @free[n] is not empty
 * @free:	first free block of each order, or XEN_NO_SLOT
 * @slot:	descriptors
 */
struct xen_aperture_chunk {
	spinlock_t lock;	/* free lists, @used */
	dma_addr_t bus;
	void *vaddr;
	u32 nr_slots;
	u32 used;
	unsigned long orders;
	u32 free[XEN_SLOT_ORDERS];
	struct xen_aperture_slot *slot;
};

/* Set up once, before a device uses the aperture. */
struct xen_aperture_chunk **xen_aperture_table __read_mostly;
unsigned long xen_aperture_granules __read_mostly;

/* From the highest bus address down: low memory is kept for those in need. */
static struct xen_aperture_chunk *xen_chunks[XEN_MAX_CHUNKS] __read_mostly;
static unsigned int xen_nr_chunks __read_mostly;

static size_t chunk_size(const struct xen_aperture_chunk *chunk)
{
	return (size_t)chunk->nr_slots << XEN_SLOT_SHIFT;
}

static dma_addr_t chunk_last(const struct xen_aperture_chunk *chunk)
{
	return chunk->bus + chunk_size(chunk) - 1;
}

/* Slot numbers count from the chunk's start, machine slots from bus address 0. */
static u64 machine_slot(const struct xen_aperture_chunk *chunk, u32 slot)
{
	return (chunk->bus >> XEN_SLOT_SHIFT) + slot;
}

static void free_list_add(struct xen_aperture_chunk *chunk, u32 slot,
			  unsigned int order)
{
	struct xen_aperture_slot *s = &chunk->slot[slot];

	s->state = XEN_SLOT_FREE;
	s->order = order;
	s->prev = XEN_NO_SLOT;
	s->next = chunk->free[order];
	if (s->next != XEN_NO_SLOT)
		chunk->slot[s->next].prev = slot;
	chunk->free[order] = slot;
	__set_bit(order, &chunk->orders);
}

static void free_list_del(struct xen_aperture_chunk *chunk, u32 slot)
{
	struct xen_aperture_slot *s = &chunk->slot[slot];

	s->state = XEN_SLOT_INNER;
	if (s->next != XEN_NO_SLOT)
		chunk->slot[s->next].prev = s->prev;
	if (s->prev != XEN_NO_SLOT) {
		chunk->slot[s->prev].next = s->next;
		return;
	}

	chunk->free[s->order] = s->next;
	if (s->next == XEN_NO_SLOT)
		__clear_bit(s->order, &chunk->orders);
}

/* Frees an aligned block and joins it with its buddies as far as they are free. */
static void free_block(struct xen_aperture_chunk *chunk, u32 slot,
		       unsigned int order)
{
	for (; order < XEN_SLOT_ORDERS - 1; order++) {
		u64 mslot = machine_slot(chunk, slot) ^ BIT_ULL(order);
		u64 buddy = mslot - machine_slot(chunk, 0);

		if (buddy >= chunk->nr_slots ||
		    chunk->slot[buddy].state != XEN_SLOT_FREE ||
		    chunk->slot[buddy].order != order)
			break;

		free_list_del(chunk, buddy);
		slot = min_t(u32, slot, buddy);
	}

	free_list_add(chunk, slot, order);
}

/* Frees any run of slots, as the fewest aligned blocks. */
static void free_slots(struct xen_aperture_chunk *chunk, u32 slot, u32 nr)
{
	while (nr) {
		u64 mslot = machine_slot(chunk, slot);
		unsigned int order = min(__fls(nr), XEN_SLOT_ORDERS - 1UL);

		if (mslot)
			order = min_t(unsigned int, order, __ffs64(mslot));

		free_block(chunk, slot, order);
		slot += BIT(order);
		nr -= BIT(order);
	}
}

/*
 * Takes @nr slots aligned to 2^@order slots on the bus, 2^@order >= @nr.
 * Returns the first or XEN_NO_SLOT.
 */
static u32 alloc_slots(struct xen_aperture_chunk *chunk, u32 nr,
		       unsigned int order)
{
	unsigned long fit = chunk->orders & ~(BIT(order) - 1);
	unsigned int from;
	u32 slot;

	if (!fit)
		return XEN_NO_SLOT;

	from = __ffs(fit);
	slot = chunk->free[from];
	free_list_del(chunk, slot);
	while (from-- > order)
		free_list_add(chunk, slot + BIT(from), from);

	chunk->slot[slot].state = XEN_SLOT_USED;
	chunk->used += nr;
	free_slots(chunk, slot + nr, BIT(order) - nr);

	return slot;
}

/* Moves the bytes of a buffer that may lie in high memory. */
static void copy_phys(phys_addr_t phys, void *bounce, size_t size,
		      bool to_bounce)
{
	while (size) {
		struct page *page = pfn_to_page(PFN_DOWN(phys));
		size_t n = size;
		void *buf;

		if (PageHighMem(page)) {
			n = min_t(size_t, n, PAGE_SIZE - offset_in_page(phys));
			buf = kmap_local_page(page) + offset_in_page(phys);
		} else {
			buf = phys_to_virt(phys);
		}

		if (to_bounce)
			memcpy(bounce, buf, n);
		else
			memcpy(buf, bounce, n);

		if (PageHighMem(page))
			kunmap_local(buf);
		phys += n;
		bounce += n;
		size -= n;
	}
}

static u32 slots_of(const struct xen_aperture_slot *s)
{
	return DIV_ROUND_UP(s->offset + s->size, XEN_SLOT_SIZE);
}

/*
 * The first slot of the mapping that a bus address lies in. Blocks are aligned,
 * so it is that address's slot with some low bits cleared; all slots passed on
 * the way are inner ones of the same mapping, so no lock is needed.
 */
static struct xen_aperture_slot *mapping_of(struct xen_aperture_chunk *chunk,
					    dma_addr_t bus, size_t *offset)
{
	u64 mslot = bus >> XEN_SLOT_SHIFT;
	u64 first = machine_slot(chunk, 0);
	struct xen_aperture_slot *s;
	size_t pos;

	while (chunk->slot[mslot - first].state != XEN_SLOT_USED) {
		if (mslot == first)
			return NULL;
		mslot &= mslot - 1;
		if (mslot < first)
			return NULL;
	}

	s = &chunk->slot[mslot - first];
	pos = bus - (mslot << XEN_SLOT_SHIFT);
	if (pos < s->offset || pos - s->offset >= s->size)
		return NULL;

	*offset = pos - s->offset;
	return s;
}

static void *bounce_of(struct xen_aperture_chunk *chunk,
		       const struct xen_aperture_slot *s)
{
	return chunk->vaddr + ((s - chunk->slot) << XEN_SLOT_SHIFT) + s->offset;
}

static u64 device_limit(struct device *dev)
{
	return min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
}

/* The largest block of an idle aperture at or below @mask. Bytes. */
static size_t largest_block(u64 mask)
{
	size_t largest = 0;
	unsigned int i;

	for (i = 0; i < xen_nr_chunks; i++)
		if (chunk_last(xen_chunks[i]) <= mask)
			largest = max(largest,
				      rounddown_pow_of_two(chunk_size(xen_chunks[i])));

	return largest;
}

static void report_failure(struct device *dev, size_t size, size_t needed)
{
	u64 mask = device_limit(dev);
	size_t largest = largest_block(mask);
	u64 used = 0, total = 0;
	unsigned int i;

	if (!largest) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: can't bounce %zu bytes: no aperture below mask %#llx; check swiotlb= and the memory that dom0_mem= leaves to Xen\n",
				    size, mask);
		return;
	}

	if (needed > largest) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: mapping of %zu bytes is too large to bounce: at most %zu bytes below mask %#llx; a driver asks dma_max_mapping_size()\n",
				    size, largest, mask);
		return;
	}

	for (i = 0; i < xen_nr_chunks; i++) {
		if (chunk_last(xen_chunks[i]) > mask)
			continue;
		total += xen_chunks[i]->nr_slots;
		used += READ_ONCE(xen_chunks[i]->used);
	}
	dev_err_ratelimited(dev,
			    "xen_swiotlb: aperture has no room for %zu bytes below mask %#llx: %llu of %llu slots in use; boot with a larger swiotlb=\n",
			    size, mask, used, total);
}

/**
 * xen_aperture_map() - bounce a buffer
 * @dev:	device that will use it
 * @phys:	pseudo-physical address of the buffer
 * @size:	bytes
 * @attrs:	DMA_ATTR_NO_WARN is honoured
 *
 * The buffer is copied in for every direction: a device that writes less than
 * it might leaves the caller's bytes as they were.
 *
 * Context: Any.
 * Return: Bus address within the device's mask that keeps the bits of @phys
 * in dma_get_min_align_mask(), or DMA_MAPPING_ERROR.
 */
dma_addr_t xen_aperture_map(struct device *dev, phys_addr_t phys, size_t size,
			    unsigned long attrs)
{
	u64 limit = device_limit(dev);
	size_t align_mask = dma_get_min_align_mask(dev);
	size_t offset = phys & align_mask;
	size_t needed = max(offset + size, align_mask + 1);
	struct xen_aperture_chunk *chunk;
	struct xen_aperture_slot *s;
	unsigned int order, i;
	unsigned long flags;
	u32 nr, slot;
	void *block;

	if (!size || needed < size || needed > SZ_1G)
		goto fail;

	nr = DIV_ROUND_UP(offset + size, XEN_SLOT_SIZE);
	order = order_base_2(DIV_ROUND_UP(needed, XEN_SLOT_SIZE));

	for (i = 0; i < xen_nr_chunks; i++) {
		chunk = xen_chunks[i];
		if (chunk_last(chunk) > limit)
			continue;

		spin_lock_irqsave(&chunk->lock, flags);
		slot = alloc_slots(chunk, nr, order);
		spin_unlock_irqrestore(&chunk->lock, flags);
		if (slot != XEN_NO_SLOT)
			goto found;
	}

fail:
	if (!(attrs & DMA_ATTR_NO_WARN))
		report_failure(dev, size, needed);
	return DMA_MAPPING_ERROR;

found:
	s = &chunk->slot[slot];
	s->phys = phys;
	s->size = size;
	s->offset = offset;

	block = bounce_of(chunk, s) - offset;
	memset(block, 0, offset);
	copy_phys(phys, block + offset, size, true);
	memset(block + offset + size, 0,
	       ((size_t)nr << XEN_SLOT_SHIFT) - offset - size);

	return chunk->bus + ((dma_addr_t)slot << XEN_SLOT_SHIFT) + offset;
}

/**
 * xen_aperture_unmap() - end a mapping
 * @dev:	device that used it
 * @chunk:	what xen_aperture_find() says for @bus
 * @bus:	what xen_aperture_map() returned
 * @dir:	what the device may have written is copied back
 * @attrs:	DMA_ATTR_SKIP_CPU_SYNC: nothing is copied back
 *
 * Context: Any.
 */
void xen_aperture_unmap(struct device *dev, struct xen_aperture_chunk *chunk,
			dma_addr_t bus, enum dma_data_direction dir,
			unsigned long attrs)
{
	struct xen_aperture_slot *s;
	unsigned long flags;
	size_t offset;
	u32 nr;

	s = mapping_of(chunk, bus, &offset);
	if (!s || offset) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: driver unmaps %pad, where no mapping begins\n",
				    &bus);
		return;
	}

	if (dir != DMA_TO_DEVICE && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		copy_phys(s->phys, bounce_of(chunk, s), s->size, false);

	nr = slots_of(s);
	spin_lock_irqsave(&chunk->lock, flags);
	s->state = XEN_SLOT_INNER;
	chunk->used -= nr;
	free_slots(chunk, s - chunk->slot, nr);
	spin_unlock_irqrestore(&chunk->lock, flags);
}

/**
 * xen_aperture_sync() - copy a part of a mapping
 * @dev:	device that uses it
 * @chunk:	what xen_aperture_find() says for @bus
 * @bus:	first byte, anywhere in the mapping
 * @size:	bytes
 * @for_cpu:	from the aperture to the caller's buffer, else the other way
 *
 * Context: Any.
 */
void xen_aperture_sync(struct device *dev, struct xen_aperture_chunk *chunk,
		       dma_addr_t bus, size_t size, bool for_cpu)
{
	struct xen_aperture_slot *s;
	size_t offset;

	if (!size)
		return;

	s = mapping_of(chunk, bus, &offset);
	if (!s || size > s->size - offset) {
		dev_err_ratelimited(dev,
				    "xen_swiotlb: driver syncs %zu bytes at %pad, not all of them mapped\n",
				    size, &bus);
		return;
	}

	copy_phys(s->phys + offset, bounce_of(chunk, s) + offset, size,
		  !for_cpu);
}

/**
 * xen_aperture_reaches() - is there memory to bounce through below a mask?
 * @mask:	highest bus address of the device
 *
 * Context: Any.
 * Return: True when at least one chunk lies within the mask.
 */
bool xen_aperture_reaches(u64 mask)
{
	return largest_block(mask);
}

/**
 * xen_aperture_max_mapping() - largest mapping that can be bounced
 * @dev:	device, for its masks
 *
 * Context: Any.
 * Return: Bytes that an idle aperture takes for any alignment of the buffer; 0
 * when the device can't be bounced for at all.
 */
size_t xen_aperture_max_mapping(struct device *dev)
{
	size_t largest = min_t(size_t, largest_block(device_limit(dev)),
			       XEN_MAX_MAPPING);
	size_t slack = ALIGN(dma_get_min_align_mask(dev), XEN_SLOT_SIZE);

	return largest > slack ? largest - slack : 0;
}

/**
 * xen_aperture_show() - list the chunks
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_aperture_show(struct seq_file *s)
{
	unsigned int i;

	seq_puts(s, "# bus-first bus-last slots used\n");
	for (i = 0; i < xen_nr_chunks; i++) {
		struct xen_aperture_chunk *chunk = xen_chunks[i];

		seq_printf(s, "%#llx %#llx %u %u\n", (u64)chunk->bus,
			   (u64)chunk_last(chunk), chunk->nr_slots,
			   READ_ONCE(chunk->used));
	}
}

/* Set up in early boot, before the slab; 6.1 can also do it much later. */
static void * __ref boot_alloc(size_t size)
{
	if (slab_is_available())
		return kvzalloc(size, GFP_KERNEL);
	return memblock_alloc(size, SMP_CACHE_BYTES);
}

static void __ref boot_free(void *p, size_t size)
{
	if (slab_is_available())
		kvfree(p);
	else if (p)
		memblock_free(p, size);
}

static int __ref init_table(void)
{
	unsigned long granules = BIT(32 - XEN_APERTURE_GRANULE_SHIFT);

	if (xen_aperture_table)
		return 0;

	xen_aperture_table = boot_alloc(granules * sizeof(*xen_aperture_table));
	if (!xen_aperture_table)
		return -ENOMEM;
	xen_aperture_granules = granules;

	return 0;
}

/* Adds an extent, aligned to at least a granule on the bus. */
static int __ref add_chunk(void *vaddr, dma_addr_t bus, size_t size)
{
	u32 nr_slots = size >> XEN_SLOT_SHIFT;
	struct xen_aperture_chunk *chunk;
	unsigned int i;
	size_t pos;

	if (xen_nr_chunks == XEN_MAX_CHUNKS || init_table())
		return -ENOMEM;

	chunk = boot_alloc(sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	chunk->slot = boot_alloc(array_size(nr_slots, sizeof(*chunk->slot)));
	if (!chunk->slot) {
		boot_free(chunk, sizeof(*chunk));
		return -ENOMEM;
	}

	memset(vaddr, 0, size);
	spin_lock_init(&chunk->lock);
	chunk->vaddr = vaddr;
	chunk->bus = bus;
	chunk->nr_slots = nr_slots;
	for (i = 0; i < XEN_SLOT_ORDERS; i++)
		chunk->free[i] = XEN_NO_SLOT;
	free_slots(chunk, 0, nr_slots);

	for (i = xen_nr_chunks++; i && xen_chunks[i - 1]->bus < bus; i--)
		xen_chunks[i] = xen_chunks[i - 1];
	xen_chunks[i] = chunk;
	for (pos = 0; pos < size; pos += BIT(XEN_APERTURE_GRANULE_SHIFT))
		xen_aperture_table[(bus + pos) >> XEN_APERTURE_GRANULE_SHIFT] =
			chunk;

	return 0;
}

/*
 * Makes chunks of @size bytes at @vaddr, below @address_bits, in the largest
 * extents that Xen has, one after the other. Returns the bytes that are in use.
 */
static size_t __ref add_extents(void *vaddr, size_t size,
				unsigned int address_bits)
{
	unsigned int order = XEN_CHUNK_MAX_ORDER;
	size_t done = 0;
	dma_addr_t bus;

	while (order >= XEN_CHUNK_MIN_ORDER) {
		size_t extent = PAGE_SIZE << order;

		if (extent > size - done ||
		    xen_make_contiguous(virt_to_phys(vaddr + done), order,
					address_bits, GFP_KERNEL, &bus) < 0) {
			order--;
			continue;
		}
		if (add_chunk(vaddr + done, bus, extent)) {
			xen_give_back_contiguous(virt_to_phys(vaddr + done),
						 order, GFP_KERNEL);
			break;
		}
		done += extent;
	}

	return done;
}

/* What early boot could not use, from the page after the last chunk on. */
static void *xen_unused __initdata;
static size_t xen_unused_size __initdata;

static int __init free_unused(void)
{
	if (!xen_unused_size)
		return 0;

	kmemleak_free_part_phys(__pa(xen_unused), xen_unused_size);
	free_reserved_area(xen_unused, xen_unused + xen_unused_size, -1,
			   "unused part of the aperture");
	return 0;
}
core_initcall(free_unused);

static void __init keep_unused(void *vaddr, size_t size)
{
	xen_unused = vaddr;
	xen_unused_size = size;
}

/* Says what the aperture consists of: @done bytes of a buffer of @size. */
static void report_aperture(size_t done, size_t size)
{
	size_t wanted = swiotlb_size_or_default();
	char all[12], largest[12];

	string_get_size(wanted, 1, STRING_UNITS_2, all, sizeof(all));
	if (done < size)
		pr_warn("Xen has no more memory below 4 GiB for the aperture of %s; leave it some with dom0_mem=\n",
			all);
	else if (done < wanted && !slab_is_available())
		pr_warn("the domain has no memory for an aperture of %s; see swiotlb=\n",
			all);

	string_get_size(done, 1, STRING_UNITS_2, all, sizeof(all));
	string_get_size(largest_block(U64_MAX), 1, STRING_UNITS_2, largest,
			sizeof(largest));
	pr_info("aperture %s in %u chunks, largest %s, highest bus address %#llx\n",
		all, xen_nr_chunks, largest, (u64)chunk_last(xen_chunks[0]));
}

/**
 * xen_swiotlb_fixup() - make the aperture from a buffer
 * @buf:	buffer that the generic code has allocated, as swiotlb= says
 * @nslabs:	its size in units of IO_TLB_SIZE bytes
 *
 * A small part comes from the machine's lowest memory, for devices that reach
 * no other, the rest from anywhere below 4 GiB. What Xen has is kept, be it
 * less than asked for; the generic pool over the same buffer serves no device
 * of a PV domain.
 *
 * Context: Early boot, one CPU; 6.1 also from a driver's probe.
 * Return: 0, or -ENOMEM when Xen has no suitable memory at all.
 */
int __ref xen_swiotlb_fixup(void *buf, unsigned long nslabs)
{
	size_t size = nslabs << IO_TLB_SHIFT;
	size_t done = 0;

	if (size > 4 * XEN_NARROW_SIZE)
		done = add_extents(buf, XEN_NARROW_SIZE, XEN_NARROW_BITS);
	done += add_extents(buf + done, size - done, 32);

	if (!done) {
		pr_err_once("Xen has no memory below 4 GiB for an aperture; leave it some with dom0_mem=\n");
		return -ENOMEM;
	}

	report_aperture(done, size);

	if (!slab_is_available())
		keep_unused(buf + done, size - done);
	return 0;
}
