// SPDX-License-Identifier: GPL-2.0
/*
 * Where the memory of an ARM domain is, for the domain and for a device.
 *
 * A device has a map from guest-physical to bus addresses, in the form that the
 * generic DMA code has for dma-ranges; it may be empty, and then DMA is refused.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

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
	[XEN_DMA_OFFSET]	= "xen,dma-offset",
	[XEN_DMA_RANGES]	= "xen,dma-ranges",
	[XEN_DMA_PARAM]		= "xen_dma_offset",
	[XEN_DMA_PROBED]	= "probed",
	[XEN_DMA_BUS]		= "dma-ranges",
	[XEN_DMA_WRONG]		= "wrong",
};

enum xen_dma_source xen_source __read_mostly;
struct xen_bus_table xen_ram;
struct xen_bus_table xen_table;
/* For whoever changes the two above. */
DEFINE_MUTEX(xen_dma_mutex);

/**
 * pfn_to_bfn() - where a page is in the machine
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * The block layer asks, to join what is in one piece.
 *
 * Context: Any.
 * Return: Its frame in the machine, INVALID_P2M_ENTRY where it may be anywhere, and
 * @pfn where nothing is known.
 */
unsigned long pfn_to_bfn(unsigned long pfn)
{
	const struct xen_bus_range *range;

	if (unlikely(xen_any_displaced())) {
		unsigned long mfn = xen_displaced(pfn);

		if (mfn != XEN_IN_PLACE)
			return mfn == XEN_MOVED ? INVALID_P2M_ENTRY : mfn;
	}

	range = xen_bus_find(&xen_table, (u64)pfn << XEN_PAGE_SHIFT);
	return range ? (((u64)pfn << XEN_PAGE_SHIFT) + range->offset) >>
		       XEN_PAGE_SHIFT : pfn;
}
EXPORT_SYMBOL_GPL(pfn_to_bfn);

/**
 * xen_dma_table() - where the domain's memory is
 *
 * Context: Any.
 * Return: The table, empty where nothing is known.
 */
const struct xen_bus_table *xen_dma_table(void)
{
	return &xen_table;
}

/* What the bus makes of machine addresses, NULL for nothing. */
static const struct bus_dma_region *hardware_map(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	if (map && !xen_is_direct())
		map = xen_bus_hardware_map(map);
	return map && map->size ? map : NULL;
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
	const struct bus_dma_region *map = hardware_map(dev);

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
	const struct bus_dma_region *map = hardware_map(dev);

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
	static const struct bus_dma_region plain[] = { { .size = U64_MAX }, {} };

	return xen_window_span(hardware_map(dev) ?: plain, &xen_table, limit, nr,
			       span);
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
	const struct bus_dma_region *map = hardware_map(dev);

	return map ? xen_window_last(map, highest) : highest;
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
	unsigned long mfn = xen_displaced(XEN_PFN_DOWN(phys));

	if (mfn == XEN_IN_PLACE)
		return phys_to_dma(dev, phys);
	if (mfn == XEN_MOVED || xen_arm_refuses(dev))
		return DMA_MAPPING_ERROR;
	return xen_arm_machine_to_bus(dev, ((dma_addr_t)mfn << XEN_PAGE_SHIFT) |
				  xen_offset_in_page(phys));
}

/**
 * xen_arm_is_lost() - does nobody know where in the machine a page is?
 * @phys:	guest-physical address
 *
 * Context: Any.
 * Return: Whether it is so.
 */
bool xen_arm_is_lost(phys_addr_t phys)
{
	unsigned long mfn = xen_displaced(XEN_PFN_DOWN(phys));

	return mfn == XEN_MOVED ||
	       (mfn == XEN_IN_PLACE && !xen_bus_find(&xen_table, phys));
}

/* Is memory of which no page is displaced in one piece? */
static bool map_is_contiguous(struct device *dev, phys_addr_t phys, size_t size)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	if (!map)
		return true;
	for (; map->size; map++)
		if (phys >= map->cpu_start && phys - map->cpu_start < map->size)
			return size <= map->size - (phys - map->cpu_start);
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
	unsigned long pfn = XEN_PFN_DOWN(phys), mfn;
	unsigned long last = XEN_PFN_DOWN(phys + size - 1);

	if (likely(!xen_any_displaced()) ||
	    xen_displaced_next(pfn, last) == XEN_IN_PLACE)
		return map_is_contiguous(dev, phys, size);

	mfn = xen_displaced(pfn);
	if (mfn == XEN_IN_PLACE || mfn == XEN_MOVED)
		return false;
	while (pfn++ < last)
		if (xen_displaced(pfn) != ++mfn)
			return false;

	return xen_arm_phys_to_bus(dev, phys + size - 1) ==
	       xen_arm_phys_to_bus(dev, phys) + size - 1;
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
	*phys = dma_to_phys(dev, dma);
	return xen_bus_find(&xen_ram, *phys) &&
	       (likely(!xen_any_displaced()) ||
		xen_displaced(XEN_PFN_DOWN(*phys)) == XEN_IN_PLACE);
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
	const struct xen_bus_range *range = xen_bus_find(&xen_table, pstart);
	unsigned long pfn = XEN_PFN_DOWN(pstart);
	u64 size = (u64)PAGE_SIZE << order, machine;

	if (!range || pstart - range->start + size > range->size)
		return false;

	machine = pstart + range->offset;
	if (!IS_ALIGNED(machine, size) || (machine + size - 1) >> address_bits)
		return false;
	if (xen_any_displaced() &&
	    xen_displaced_next(pfn, pfn + XEN_PFN_DOWN(size) - 1) != XEN_IN_PLACE)
		return false;

	*dma_handle = machine;
	return true;
}

/**
 * xen_arm_is_refused() - xen_arm_refuses() without a message
 * @dev:	device
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool xen_arm_is_refused(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	return unlikely(map && !map->size) && !xen_is_direct();
}

/**
 * xen_arm_refuses() - is DMA of a device refused?
 * @dev:	device
 *
 * The first time that it is asked for, there is a message.
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool xen_arm_refuses(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	if (likely(!xen_arm_is_refused(dev)))
		return false;

	if (!xen_bus_is_made(map) ||
	    test_and_set_bit(0, (unsigned long *)&map[1].cpu_start))
		return true;
	if (xen_table.nr)
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
	unsigned long pfn, all = 0, moved = 0;
	unsigned int i;
	void *entry;

	mutex_lock(&xen_dma_mutex);
	seq_printf(s, "# source %s\n# start size offset\n",
		   xen_source_names[xen_source]);
	for (i = 0; i < xen_table.nr; i++)
		seq_printf(s, "%#llx %#llx %#llx\n", xen_table.range[i].start,
			   xen_table.range[i].size, xen_table.range[i].offset);
	mutex_unlock(&xen_dma_mutex);

	xa_for_each(&xen_displaced_pages, pfn, entry) {
		all++;
		moved += xa_to_value(entry) == XEN_MOVED;
	}
	seq_printf(s, "foreign %lu\nmoved %lu\n", all - moved, moved);
}
