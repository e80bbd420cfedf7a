// SPDX-License-Identifier: GPL-2.0
/*
 * Where the memory of an ARM domain is, for the domain and for a device.
 *
 * The domain's table leads from guest-physical to machine addresses, however many pieces
 * its memory is in. What the device's bus makes of these is in the device's
 * dma_range_map, as the device tree has it: a few windows, or none. Where that map is
 * empty, DMA is refused.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/xarray.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "arm.h"
#include "windows.h"

const char * const xen_source_names[] = {
	[XEN_DMA_UNKNOWN]	= "unknown",
	[XEN_DMA_DIRECT]	= "direct",
	[XEN_DMA_TRANSLATED]	= "translated",
	[XEN_DMA_ASKED]		= "hypercall",
	[XEN_DMA_MIXED]		= "hypercall-mixed",
	[XEN_DMA_OFFSET]	= "xen,dma-offset",
	[XEN_DMA_RANGES]	= "xen,dma-ranges",
	[XEN_DMA_PARAM]		= "xen_dma_offset",
	[XEN_DMA_PROBED]	= "probed",
	[XEN_DMA_BUS]		= "dma-ranges",
	[XEN_DMA_WRONG]		= "wrong",
};

enum xen_dma_source xen_source __read_mostly;
struct xen_bus_table xen_ram;

/* For whoever changes the two above, and the table. */
DEFINE_MUTEX(xen_dma_mutex);

static const struct xen_bus_table xen_no_table;
static const struct xen_bus_table *xen_table __read_mostly = &xen_no_table;

bool xen_needs_table __read_mostly;

bool xen_part_known __read_mostly;

/* All of the machine, where the memory may be as long as only a part is known. */
static struct xen_bus_range xen_machine;
static u32 xen_machine_index;
static const struct xen_bus_table xen_anywhere = {
	.nr = 1,
	.room = 1,
	.range = &xen_machine,
	.by_machine = &xen_machine_index,
};

/**
 * struct xen_published - a table that everybody looks at
 * @table:	the table
 * @rcu:	for when nobody does any more
 */
struct xen_published {
	struct xen_bus_table table;
	struct rcu_head rcu;
};

/**
 * pfn_to_bfn() - where a page is in the machine
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * The block layer asks, to join what is in one piece.
 *
 * Context: Any.
 * Return: Its frame in the machine, INVALID_P2M_ENTRY where it may be anywhere, and
 * @pfn where nothing is known of any page.
 */
unsigned long pfn_to_bfn(unsigned long pfn)
{
	dma_addr_t machine;

	if (unlikely(xen_any_displaced())) {
		unsigned long mfn = xen_displaced(pfn);

		if (mfn != XEN_IN_PLACE)
			return mfn == XEN_MOVED ? INVALID_P2M_ENTRY : mfn;
	}
	if (!xen_needs_table)
		return pfn;

	machine = xen_arm_in_place((phys_addr_t)pfn << XEN_PAGE_SHIFT);
	if (machine != DMA_MAPPING_ERROR)
		return machine >> XEN_PAGE_SHIFT;
	return xen_is_learning() ? INVALID_P2M_ENTRY : pfn;
}
EXPORT_SYMBOL_GPL(pfn_to_bfn);

/**
 * xen_dma_table() - where the domain's memory is
 *
 * What it says of an address, each later one says too, once a device has an address.
 *
 * Context: Any, under xen_dma_mutex or rcu_read_lock().
 * Return: The table, empty where nothing is known.
 */
const struct xen_bus_table *xen_dma_table(void)
{
	/* Pairs with xen_publish_table(). */
	return READ_ONCE(xen_table);
}

/**
 * xen_dma_find() - the range of an address, as it is now
 * @phys:	guest-physical address
 * @range:	where a copy of it goes, for the table may be replaced any time
 *
 * Context: Any.
 * Return: Whether the address is in one.
 */
bool xen_dma_find(u64 phys, struct xen_bus_range *range)
{
	const struct xen_bus_range *found;

	rcu_read_lock();
	found = xen_bus_find(xen_dma_table(), phys);
	if (found)
		*range = *found;
	rcu_read_unlock();
	return found;
}

static void free_published(struct rcu_head *rcu)
{
	struct xen_published *old = container_of(rcu, struct xen_published, rcu);

	xen_bus_free(&old->table);
	kfree(old);
}

/**
 * xen_publish_table() - have everybody look at another table
 * @table:	the table, sealed; it is empty then
 *
 * Once a device has an address, it must say of each address what the last one says.
 *
 * Context: Process, may sleep; under xen_dma_mutex.
 */
void xen_publish_table(struct xen_bus_table *table)
{
	const struct xen_bus_table *old = xen_table, *new = &xen_no_table;

	if (table->nr) {
		struct xen_published *copy = kzalloc(sizeof(*copy),
						     GFP_KERNEL | __GFP_NOFAIL);

		copy->table = *table;
		*table = (struct xen_bus_table) {};
		new = &copy->table;
	}
	/* Who sees the pointer sees the ranges; pairs with xen_dma_table(). */
	smp_store_release(&xen_table, new);
	if (old != &xen_no_table)
		call_rcu(&container_of((struct xen_bus_table *)old,
				       struct xen_published, table)->rcu, free_published);
}

/**
 * xen_know_part() - say whether the table is of a part of the memory, and will grow
 * @last:	the machine's last address of memory, 0 when there is nothing more to come
 *
 * Meanwhile the rest may be anywhere in the machine. What is true of that stays true when
 * all is known, so that nobody has to take back what he has said of a device.
 *
 * Context: Process; under xen_dma_mutex. Before the first table, and after the last.
 */
void xen_know_part(u64 last)
{
	if (last)
		xen_machine.size = min(last, DMA_BIT_MASK(XEN_MACHINE_BITS)) + 1;
	/* Who sees that all is known sees all of it; pairs with reach_table(). */
	smp_store_release(&xen_part_known, last != 0);
}

/* Where the memory may be, for what a device reaches of it; under rcu_read_lock(). */
static const struct xen_bus_table *reach_table(void)
{
	/* Pairs with xen_know_part(). */
	return smp_load_acquire(&xen_part_known) ? &xen_anywhere : xen_dma_table();
}

/**
 * xen_arm_highest() - the highest machine address that memory may have
 *
 * Context: Any.
 * Return: The address, 0 where nothing is known.
 */
u64 xen_arm_highest(void)
{
	u64 highest;

	rcu_read_lock();
	highest = xen_bus_highest(reach_table());
	rcu_read_unlock();
	return highest;
}

/**
 * xen_arm_machine_to_bus() - what a device uses for a machine address
 * @dev:	device
 * @machine:	machine address
 *
 * Context: Any.
 * Return: The bus address, DMA_MAPPING_ERROR where the bus does not lead there.
 */
dma_addr_t xen_arm_machine_to_bus(struct device *dev, dma_addr_t machine)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	return map ? xen_window_to_bus(map, machine,
				       xen_bus_limit(dev, dma_get_mask(dev))) :
		     machine;
}

/**
 * xen_arm_bus_to_machine() - what a device's bus address leads to
 * @dev:	device
 * @dma:	bus address
 *
 * Context: Any.
 * Return: The machine address, DMA_MAPPING_ERROR for nowhere.
 */
dma_addr_t xen_arm_bus_to_machine(struct device *dev, dma_addr_t dma)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	return map ? xen_window_to_machine(map, dma) : dma;
}

/**
 * xen_arm_span() - a run of machine addresses that a device reaches
 * @dev:	device
 * @limit:	the highest bus address that it can use
 * @nr:		which of the runs, from 0 on
 * @span:	where the run goes; one from 0 to all ones has all of the memory
 *
 * Context: Any.
 * Return: Whether there is such a run.
 */
bool xen_arm_span(struct device *dev, u64 limit, unsigned int nr,
		  struct xen_span *span)
{
	const struct xen_bus_table *table;
	bool found;

	rcu_read_lock();
	table = reach_table();
	if (dev->dma_range_map) {
		found = xen_window_span(dev->dma_range_map, table, limit, nr, span);
	} else {
		span->first = 0;
		span->last = limit >= xen_bus_highest(table) ? U64_MAX : limit;
		found = !nr && xen_bus_lowest(table) <= limit;
	}
	rcu_read_unlock();
	return found;
}

/**
 * xen_arm_last_bus() - the highest bus address that leads to memory
 * @dev:	device
 * @highest:	the machine's highest address of memory
 *
 * Context: Any.
 * Return: The bus address, 0 where the bus leads to no memory.
 */
u64 xen_arm_last_bus(struct device *dev, u64 highest)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	return map ? xen_window_last(map, highest) : highest;
}

/**
 * xen_arm_in_place() - where memory is in the machine that has never left the domain
 * @phys:	guest-physical address
 *
 * Context: Any.
 * Return: The machine address, DMA_MAPPING_ERROR where the table has none.
 */
dma_addr_t xen_arm_in_place(phys_addr_t phys)
{
	struct xen_bus_range range;

	if (!xen_needs_table)
		return phys;

	return xen_dma_find(phys, &range) ? phys + range.offset : DMA_MAPPING_ERROR;
}

/*
 * Where memory is in the machine, DMA_MAPPING_ERROR for anywhere. What is mapped 1:1
 * need not be RAM.
 */
static dma_addr_t phys_to_machine(phys_addr_t phys)
{
	if (unlikely(xen_any_displaced())) {
		unsigned long mfn = xen_displaced(XEN_PFN_DOWN(phys));

		if (mfn == XEN_MOVED)
			return DMA_MAPPING_ERROR;
		if (mfn != XEN_IN_PLACE)
			return ((dma_addr_t)mfn << XEN_PAGE_SHIFT) |
			       xen_offset_in_page(phys);
	}
	return xen_arm_in_place(phys);
}

/**
 * xen_arm_phys_to_bus() - where a buffer is for the bus, that may be elsewhere
 * @dev:	device
 * @phys:	guest-physical address
 *
 * Context: Any.
 * Return: The bus address, DMA_MAPPING_ERROR where it is not known.
 */
dma_addr_t xen_arm_phys_to_bus(struct device *dev, phys_addr_t phys)
{
	dma_addr_t machine = phys_to_machine(phys);

	return !dev->dma_range_map || machine == DMA_MAPPING_ERROR ? machine :
	       xen_arm_machine_to_bus(dev, machine);
}

/**
 * xen_arm_is_lost() - does nobody know where in the machine a page is?
 * @phys:	guest-physical address
 *
 * Or not yet.
 *
 * Context: Any.
 * Return: Whether it is so.
 */
bool xen_arm_is_lost(phys_addr_t phys)
{
	unsigned long mfn = xen_displaced(XEN_PFN_DOWN(phys));
	struct xen_bus_range range;

	return mfn == XEN_MOVED ||
	       (mfn == XEN_IN_PLACE && !xen_dma_find(phys, &range));
}

/* Is memory in one piece in the machine, of which no page is displaced? */
static bool is_in_one_range(phys_addr_t phys, size_t size)
{
	struct xen_bus_range range;

	if (!xen_needs_table)
		return true;

	return xen_dma_find(phys, &range) &&
	       size <= range.size - (phys - range.start);
}

/*
 * The same page by page. The caches are maintained by Xen for what is displaced, and for
 * a buffer as a whole.
 */
static bool pages_follow(struct device *dev, phys_addr_t phys, size_t size)
{
	unsigned long pfn = XEN_PFN_DOWN(phys);
	unsigned long last = XEN_PFN_DOWN(phys + size - 1);
	bool in_place = xen_displaced(pfn) == XEN_IN_PLACE;
	dma_addr_t machine = phys_to_machine((phys_addr_t)pfn << XEN_PAGE_SHIFT);

	if (machine == DMA_MAPPING_ERROR)
		return false;
	while (pfn++ < last) {
		machine += XEN_PAGE_SIZE;
		if (phys_to_machine((phys_addr_t)pfn << XEN_PAGE_SHIFT) != machine)
			return false;
		if (!dev_is_dma_coherent(dev) &&
		    (xen_displaced(pfn) == XEN_IN_PLACE) != in_place)
			return false;
	}
	return true;
}

/* Do all of these machine addresses lie in one window of a bus that has some? */
static bool is_in_one_window(struct device *dev, dma_addr_t machine, size_t size)
{
	const struct bus_dma_region *map = dev->dma_range_map;
	dma_addr_t bus;

	/* Of windows that lead to the same, the one that the device is given. */
	bus = xen_arm_machine_to_bus(dev, machine);
	for (; map->size; map++)
		if (machine >= map->cpu_start &&
		    machine - map->cpu_start < map->size &&
		    machine - map->cpu_start + map->dma_start == bus)
			return size <= map->size - (machine - map->cpu_start);
	return false;
}

/**
 * xen_arm_is_contiguous() - is a buffer of several pages in one piece for the bus?
 * @dev:	device
 * @phys:	guest-physical address
 * @size:	bytes
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool xen_arm_is_contiguous(struct device *dev, phys_addr_t phys, size_t size)
{
	bool one;

	if (likely(!xen_any_displaced()) ||
	    xen_displaced_next(XEN_PFN_DOWN(phys), XEN_PFN_DOWN(phys + size - 1)) ==
	    XEN_IN_PLACE)
		one = is_in_one_range(phys, size);
	else
		one = pages_follow(dev, phys, size);

	return one && (likely(!dev->dma_range_map) ||
		       is_in_one_window(dev, phys_to_machine(phys), size));
}

/**
 * xen_arm_bus_to_phys() - what a bus address says of the domain's own memory
 * @dev:	device
 * @dma:	bus address
 * @phys:	where the guest-physical address goes
 *
 * Frames that the domain has given back may be another domain's since then.
 *
 * Context: Any.
 * Return: Whether it is the domain's.
 */
bool xen_arm_bus_to_phys(struct device *dev, dma_addr_t dma, phys_addr_t *phys)
{
	dma_addr_t machine = xen_arm_bus_to_machine(dev, dma);
	const struct xen_bus_range *range;

	rcu_read_lock();
	range = xen_bus_find_machine(xen_dma_table(), machine);
	if (range)
		*phys = machine - range->offset;
	rcu_read_unlock();
	if (!range)
		return false;

	return likely(!xen_any_displaced()) ||
	       xen_displaced(XEN_PFN_DOWN(*phys)) == XEN_IN_PLACE;
}

/**
 * xen_region_suits() - is memory contiguous in the machine?
 * @pstart:		guest-physical address
 * @order:		log2 of its pages
 * @address_bits:	width of the machine addresses that are wanted
 * @dma_handle:		where the machine address goes, if so
 *
 * Context: Any.
 * Return: Whether it is, below @address_bits and aligned to its size.
 */
bool xen_region_suits(phys_addr_t pstart, unsigned int order,
		      unsigned int address_bits, dma_addr_t *dma_handle)
{
	unsigned long pfn = XEN_PFN_DOWN(pstart);
	u64 size = (u64)PAGE_SIZE << order, machine;
	struct xen_bus_range range;

	if (!xen_dma_find(pstart, &range) ||
	    pstart - range.start + size > range.size)
		return false;

	machine = pstart + range.offset;
	if (!IS_ALIGNED(machine, size) || (machine + size - 1) >> address_bits)
		return false;
	if (xen_any_displaced() &&
	    xen_displaced_next(pfn, pfn + XEN_PFN_DOWN(size) - 1) != XEN_IN_PLACE)
		return false;

	*dma_handle = machine;
	return true;
}

/**
 * xen_arm_is_news() - is that what was said last of a device?
 * @dev:	device
 * @refused:	that its DMA is refused; or that it is left to others
 *
 * Context: Any.
 * Return: Whether it has to be said.
 */
bool xen_arm_is_news(struct device *dev, bool refused)
{
	static DEFINE_XARRAY_FLAGS(said, XA_FLAGS_LOCK_IRQ);
	void *now = xa_mk_value(refused), *was;
	unsigned long flags;

	xa_lock_irqsave(&said, flags);
	was = __xa_store(&said, (unsigned long)dev, now, GFP_NOWAIT | __GFP_NOWARN);
	xa_unlock_irqrestore(&said, flags);
	return was != now;
}

static size_t count_windows(const struct bus_dma_region *map)
{
	size_t nr = 0;

	while (map && map[nr].size)
		nr++;
	return nr;
}

/* Is it a map that xen_arm_refuse() made? A copy has no windows behind its end. */
static bool is_refusal(const struct bus_dma_region *map)
{
	return map && !map->size && map->cpu_start == virt_to_phys(map);
}

static struct bus_dma_region *make_refusal(const struct bus_dma_region *hw)
{
	size_t nr = count_windows(hw);
	struct bus_dma_region *map = kcalloc(nr + 2, sizeof(*map),
					     GFP_KERNEL | __GFP_NOFAIL);

	map->cpu_start = virt_to_phys(map);
	if (nr)
		memcpy(map + 1, hw, nr * sizeof(*map));
	return map;
}

/**
 * xen_arm_refuse() - refuse a device's DMA
 * @dev:	device, with our operations
 *
 * An empty map leads nowhere. What the bus says is kept behind its end, for
 * xen_arm_reconsider(). A map that is empty already stays.
 *
 * Context: Process, may sleep.
 */
void xen_arm_refuse(struct device *dev)
{
	const struct bus_dma_region *hw = dev->dma_range_map;

	if (xen_arm_is_refused(dev))
		return;

	dev->dma_range_map = make_refusal(hw);
	kfree(hw);
}

/**
 * xen_arm_reconsider() - forget that a device's DMA was refused
 * @dev:	device that is set up again
 *
 * Its map is what the bus says then. From Linux 7.3 on nobody else reads that a second time.
 * For a map that was copied from a refused device's nobody knows it: that stays empty.
 *
 * Context: Process, may sleep.
 */
void xen_arm_reconsider(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;
	size_t nr;

	if (!is_refusal(map))
		return;

	nr = count_windows(map + 1);
	dev->dma_range_map = nr ? kmemdup(map + 1, (nr + 1) * sizeof(*map),
					  GFP_KERNEL | __GFP_NOFAIL) : NULL;
	kfree(map);
}

/**
 * xen_arm_is_refused() - xen_arm_refuses() without a message
 * @dev:	device
 *
 * An empty map is xen_arm_refuse()'s, or a copy of it: of_dma_get_range() makes none.
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool xen_arm_is_refused(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	return unlikely(map && !map->size);
}

/**
 * xen_arm_refuses() - is DMA of a device refused?
 * @dev:	device, with our operations
 *
 * The first time that it is asked for, there is a message.
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool xen_arm_refuses(struct device *dev)
{
	/* The generic code, which bounces there, can't translate. */
	if (unlikely(xen_needs_table && is_swiotlb_for_alloc(dev))) {
		dev_err_ratelimited(dev,
				    "xen-dma: DMA refused: a restricted pool is of no use where the domain is not mapped 1:1\n");
		return true;
	}
	if (likely(!xen_arm_is_refused(dev)))
		return false;

	if (!xen_arm_is_news(dev, true))
		return true;
	if (READ_ONCE(xen_table) != &xen_no_table)
		dev_err(dev, "xen-dma: DMA refused: the bus's dma-ranges lead to none of this domain's memory\n");
	else if (xen_source == XEN_DMA_WRONG)
		dev_err(dev, "xen-dma: DMA refused: what says where this domain's memory is for the bus is wrong, see above\n");
	else
		dev_err(dev, "xen-dma: DMA refused: nobody says where this domain's memory is for the bus; publish xen,dma-offset, or boot with xen_dma_offset= or without xen_dma_probe=off\n");
	return true;
}

/**
 * xen_arm_show_ranges() - list what is known of memory
 * @s:	debugfs file
 *
 * Context: Process, may sleep.
 */
void xen_arm_show_ranges(struct seq_file *s)
{
	unsigned long foreign, moved, own;
	const struct xen_bus_table *table;
	unsigned int i;

	mutex_lock(&xen_dma_mutex);
	seq_printf(s, "# source %s\n# start size offset\n",
		   xen_source_names[xen_source]);
	table = xen_dma_table();
	for (i = 0; i < table->nr; i++)
		seq_printf(s, "%#llx %#llx %#llx\n", table->range[i].start,
			   table->range[i].size, table->range[i].offset);
	mutex_unlock(&xen_dma_mutex);

	foreign = xen_displaced_count(&moved, &own);
	seq_printf(s, "foreign %lu\nmoved %lu\ntold %lu\n", foreign,
		   moved, own);
}
