// SPDX-License-Identifier: GPL-2.0
/*
 * Where the memory of a domain is in the machine, on ARM.
 *
 * Xen maps a domain in few extents, so a short table of ranges, each with its
 * offset, translates. It is read from the device tree or the command line, and
 * whatever is not sound is refused as a whole, with a reason, since a wrong entry
 * sends a device into somebody else's memory. For a device the table is composed
 * with the bus's dma-ranges into the map that the generic DMA code translates by.
 *
 * Some pages are elsewhere: those of other domains that a grant maps, each at a
 * frame of its own, and those that have been given back to the hypervisor at some
 * time, of which nothing is known any more. They are displaced, and kept by their frame
 * number; a look-up takes no lock.
 */
#include <linux/bits.h>
#include <linux/ctype.h>
#include <linux/dma-direct.h>
#include <linux/hex.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/of.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>

#include "compat.h"

/* No machine address has more bits on any ARM processor. */
#define XEN_MACHINE_BITS	52

static u64 last_of(const struct xen_bus_range *range)
{
	return range->start + range->size - 1;
}

static bool overlaps(u64 a, u64 b, u64 a_size, u64 b_size)
{
	return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

/* Joins a range with the next one where they are in one piece. */
static void join_next(struct xen_bus_table *table, unsigned int i)
{
	struct xen_bus_range *range = &table->range[i];

	if (i + 1 >= table->nr || range->offset != range[1].offset ||
	    last_of(range) + 1 != range[1].start)
		return;

	range->size += range[1].size;
	table->nr--;
	memmove(range + 1, range + 2, (table->nr - i - 1) * sizeof(*range));
}

/**
 * xen_bus_add() - add a range
 * @table:	the table
 * @start:	guest-physical address
 * @size:	bytes
 * @offset:	machine minus guest-physical address, modulo 2^64
 *
 * Context: Any; the caller sees to it that nobody else changes or reads @table.
 * Return: NULL, or what is wrong with the range, and then nothing is changed.
 */
const char *xen_bus_add(struct xen_bus_table *table, u64 start, u64 size,
			u64 offset)
{
	u64 machine = start + offset;
	unsigned int i, at = table->nr;

	if (!size)
		return "a range is empty";
	if ((start | size | offset) & ~XEN_PAGE_MASK)
		return "a range is not aligned to pages";
	if (start + size - 1 < start || start + size - 1 > PHYS_ADDR_MAX ||
	    machine >= BIT_ULL(XEN_MACHINE_BITS) ||
	    size > BIT_ULL(XEN_MACHINE_BITS) - machine)
		return "a range overflows";

	for (i = 0; i < table->nr; i++) {
		const struct xen_bus_range *range = &table->range[i];

		if (overlaps(start, range->start, size, range->size) ||
		    overlaps(machine, range->start + range->offset, size,
			     range->size))
			return "ranges overlap";
		if (start < range->start)
			at = min(at, i);
	}
	if (table->nr == XEN_BUS_RANGES)
		return "there are too many ranges";

	memmove(&table->range[at + 1], &table->range[at],
		(table->nr - at) * sizeof(table->range[0]));
	table->range[at] = (struct xen_bus_range) { start, size, offset };
	table->nr++;
	join_next(table, at);
	if (at)
		join_next(table, at - 1);

	return NULL;
}

/**
 * xen_bus_fill() - have all memory at one offset
 * @table:	an empty table
 * @ram:	the memory
 * @offset:	machine minus guest-physical address, modulo 2^64
 *
 * Context: As xen_bus_add().
 * Return: NULL, or what is wrong with the offset.
 */
const char *xen_bus_fill(struct xen_bus_table *table,
			 const struct xen_bus_table *ram, u64 offset)
{
	const char *wrong = NULL;
	unsigned int i;

	for (i = 0; i < ram->nr && !wrong; i++)
		wrong = xen_bus_add(table, ram->range[i].start,
				    ram->range[i].size, offset);
	return wrong;
}

/**
 * xen_bus_check() - does a table tell of memory only?
 * @table:	the table
 * @ram:	the memory
 *
 * Context: Any.
 * Return: NULL, or what is wrong.
 */
const char *xen_bus_check(const struct xen_bus_table *table,
			  const struct xen_bus_table *ram)
{
	unsigned int i;

	for (i = 0; i < table->nr; i++) {
		u64 start = table->range[i].start, end = last_of(&table->range[i]);

		while (start <= end) {
			const struct xen_bus_range *in = xen_bus_find(ram, start);

			if (!in)
				return "a range lies outside the memory";
			start = last_of(in) + 1;
			if (!start)
				break;
		}
	}

	return NULL;
}

/**
 * xen_bus_read_offset() - read the property xen,dma-offset
 * @prop:	its value
 * @len:	its length in bytes
 * @offset:	where the offset goes
 *
 * Context: Any.
 * Return: NULL, or what is wrong with it.
 */
const char *xen_bus_read_offset(const __be32 *prop, int len, u64 *offset)
{
	if (len != 2 * sizeof(*prop))
		return "does not have two cells";

	*offset = of_read_number(prop, 2);
	if (*offset & ~XEN_PAGE_MASK)
		return "is not aligned to pages";

	return NULL;
}

/* Can rows of two addresses and a size be read? */
static const char *check_rows(int len, int addr_cells, int size_cells)
{
	if (!len)
		return "is empty";
	if (addr_cells < 1 || addr_cells > 2 || size_cells < 1 ||
	    size_cells > 2)
		return "has addresses or sizes that are neither one cell nor two";
	if (len % ((2 * addr_cells + size_cells) * (int)sizeof(__be32)))
		return "does not consist of whole rows";
	return NULL;
}

/* The offset wraps; what it leads to must not. */
static const char *add_row(struct xen_bus_table *table, u64 start, u64 size,
			   u64 machine)
{
	if (machine >= BIT_ULL(XEN_MACHINE_BITS))
		return "a range overflows";
	return xen_bus_add(table, start, size, machine - start);
}

/**
 * xen_bus_read_rows() - read the property xen,dma-ranges
 * @table:	an empty table
 * @prop:	its value: rows of bus address, guest-physical address, size
 * @len:	its length in bytes
 * @addr_cells:	cells of an address
 * @size_cells:	cells of a size
 *
 * Context: As xen_bus_add().
 * Return: NULL, or what is wrong with it.
 */
const char *xen_bus_read_rows(struct xen_bus_table *table, const __be32 *prop,
			      int len, int addr_cells, int size_cells)
{
	const char *wrong = check_rows(len, addr_cells, size_cells);
	int row = 2 * addr_cells + size_cells;

	for (; !wrong && len; len -= row * sizeof(*prop), prop += row)
		wrong = add_row(table,
				of_read_number(prop + addr_cells, addr_cells),
				of_read_number(prop + 2 * addr_cells, size_cells),
				of_read_number(prop, addr_cells));
	return wrong;
}

/**
 * xen_bus_read_regs() - read the property xen,reg
 * @table:	a table of registers
 * @prop:	its value: rows of machine address, size, guest-physical address
 * @len:	its length in bytes
 * @addr_cells:	cells of an address
 * @size_cells:	cells of a size
 *
 * Context: As xen_bus_add().
 * Return: NULL, or what is wrong with it.
 */
const char *xen_bus_read_regs(struct xen_bus_table *table, const __be32 *prop,
			      int len, int addr_cells, int size_cells)
{
	const char *wrong = check_rows(len, addr_cells, size_cells);
	int row = 2 * addr_cells + size_cells;

	for (; !wrong && len; len -= row * sizeof(*prop), prop += row)
		wrong = add_row(table,
				of_read_number(prop + addr_cells + size_cells,
					       addr_cells),
				of_read_number(prop + addr_cells, size_cells),
				of_read_number(prop, addr_cells));
	return wrong;
}

/*
 * Reads a hexadecimal number of up to 64 bits, with 0x or not, perhaps with a sign.
 */
static bool read_hex(const char **arg, u64 *value)
{
	bool negative = **arg == '-';
	const char *s = *arg + negative, *begin;
	u64 sum = 0;

	if (s[0] == '0' && (s[1] | 0x20) == 'x')
		s += 2;
	for (begin = s; hex_to_bin(*s) >= 0; s++) {
		if (sum >> 60)
			return false;
		sum = sum << 4 | hex_to_bin(*s);
	}
	*value = negative ? -sum : sum;
	*arg = s;
	return s != begin;
}

/* The same for a decimal number or one with 0x, and a suffix of K, M or G. */
static bool read_size(const char **arg, u64 *value)
{
	const char *s = *arg;
	u64 sum = 0;
	int shift;

	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		if (!read_hex(&s, &sum))
			return false;
	} else {
		if (!isdigit(*s))
			return false;
		for (; isdigit(*s); s++)
			if (check_mul_overflow(sum, 10ULL, &sum) ||
			    check_add_overflow(sum, (u64)(*s - '0'), &sum))
				return false;
	}

	shift = (*s | 0x20) == 'k' ? 10 : (*s | 0x20) == 'm' ? 20 :
		(*s | 0x20) == 'g' ? 30 : 0;
	*arg = s + !!shift;
	*value = sum << shift;
	return *value >> shift == sum;
}

/**
 * xen_bus_read_param() - read the boot parameter xen_dma_offset=
 * @table:	an empty table
 * @arg:	its value: an offset for all memory, or <start>+<size>:<offset> for
 *		each range, separated by commas; the size may have a suffix
 * @ram:	the memory
 *
 * Context: As xen_bus_add().
 * Return: NULL, or what is wrong with it.
 */
const char *xen_bus_read_param(struct xen_bus_table *table, const char *arg,
			       const struct xen_bus_table *ram)
{
	u64 start, size, offset;
	const char *wrong;

	if (!*arg)
		return "is empty";
	if (!strchr(arg, '+')) {
		if (!read_hex(&arg, &offset) || *arg)
			return "takes a hexadecimal number";
		return xen_bus_fill(table, ram, offset);
	}

	for (;; arg++) {
		if (!read_hex(&arg, &start) || *arg++ != '+' ||
		    !read_size(&arg, &size) || *arg++ != ':' ||
		    !read_hex(&arg, &offset))
			break;
		wrong = xen_bus_add(table, start, size, offset);
		if (wrong)
			return wrong;
		if (!*arg)
			return NULL;
		if (*arg != ',')
			break;
	}

	return "takes <start>+<size>:<offset>, separated by commas";
}

/**
 * xen_bus_find() - the range of an address
 * @table:	the table
 * @phys:	guest-physical address
 *
 * Context: Any.
 * Return: The range, NULL when the address is in none.
 */
const struct xen_bus_range *xen_bus_find(const struct xen_bus_table *table,
					 u64 phys)
{
	unsigned int low = 0, high = table->nr;

	/* The last range that begins at or before the address. */
	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (phys < table->range[mid].start)
			high = mid;
		else
			low = mid + 1;
	}
	if (!low || phys - table->range[low - 1].start >=
		    table->range[low - 1].size)
		return NULL;

	return &table->range[low - 1];
}

/**
 * xen_bus_highest() - the highest machine address
 * @table:	the table
 *
 * Context: Any.
 * Return: That of the last byte, 0 for an empty table.
 */
u64 xen_bus_highest(const struct xen_bus_table *table)
{
	u64 highest = 0;
	unsigned int i;

	for (i = 0; i < table->nr; i++)
		highest = max(highest, last_of(&table->range[i]) +
			      table->range[i].offset);
	return highest;
}

/* The maps of devices */

static unsigned int nr_regions(const struct bus_dma_region *map)
{
	unsigned int nr = 0;

	while (map && map[nr].size)
		nr++;
	return nr;
}

/* Puts into @out what a range and a window of the hardware have in common. */
static bool intersect(const struct xen_bus_range *range,
		      const struct bus_dma_region *window,
		      struct bus_dma_region *out)
{
	u64 machine = range->start + range->offset;
	u64 first = max_t(u64, machine, window->cpu_start);
	u64 last = min(machine + (range->size - 1),
		       window->cpu_start + (window->size - 1));

	if (first > last)
		return false;

	xen_set_region(out, first - range->offset,
		       first - window->cpu_start + window->dma_start,
		       last - first + 1);
	return true;
}

/**
 * xen_bus_device_map() - what a device's map has to be
 * @table:	the table
 * @hw:		what the bus's dma-ranges make of machine addresses, NULL for the
 *		same addresses
 *
 * The map ends with an entry without a size, as the generic code has it. That entry
 * holds the map's own address, by which it is known again; a copy of the map is not it.
 * Behind it follows a copy of @hw with an end of its own, see xen_bus_hardware_map().
 *
 * Context: Process, may sleep.
 * Return: The map, to be freed by kfree() as the driver core does.
 */
struct bus_dma_region *
xen_bus_device_map(const struct xen_bus_table *table,
		   const struct bus_dma_region *hw)
{
	unsigned int nr_hw = nr_regions(hw), i, j, n = 0;
	struct bus_dma_region *map;

	/* The end of an empty map has something behind it too. */
	map = kcalloc(table->nr * max(nr_hw, 1U) + nr_hw + 2, sizeof(*map),
		      GFP_KERNEL | __GFP_NOFAIL);
	for (i = 0; i < table->nr; i++) {
		const struct xen_bus_range *range = &table->range[i];

		for (j = 0; j < nr_hw; j++)
			n += intersect(range, &hw[j], &map[n]);
		if (!nr_hw)
			xen_set_region(&map[n++], range->start,
				       range->start + range->offset,
				       range->size);
	}
	map[n].cpu_start = (uintptr_t)map;
	if (nr_hw)
		memcpy(&map[n + 1], hw, nr_hw * sizeof(*map));

	return map;
}

/**
 * xen_bus_is_made() - is a map made by xen_bus_device_map()?
 * @map:	the map
 *
 * Context: Any.
 * Return: Whether it is, rather than a bus's own or a copy.
 */
bool xen_bus_is_made(const struct bus_dma_region *map)
{
	return map[nr_regions(map)].cpu_start == (phys_addr_t)(uintptr_t)map;
}

/**
 * xen_bus_hardware_map() - what a device's map was made of
 * @map:	what xen_bus_device_map() returned
 *
 * Context: Any.
 * Return: The bus's translation of machine addresses; without an entry they are
 * the same. NULL for a map that was not made here.
 */
const struct bus_dma_region *
xen_bus_hardware_map(const struct bus_dma_region *map)
{
	return xen_bus_is_made(map) ? map + nr_regions(map) + 1 : NULL;
}

/* Displaced pages */

DEFINE_XARRAY_FLAGS(xen_displaced_pages, XA_FLAGS_LOCK_IRQ);

/* A page that has moved could not be noted: from then on every page may be one. */
bool xen_all_moved;

/**
 * xen_displaced_add() - note that a page is elsewhere
 * @pfn:	its frame for the domain, in Xen's pages
 * @mfn:	its frame in the machine, or XEN_MOVED
 * @gfp:	GFP_NOWAIT, or what may sleep
 *
 * Context: As @gfp says.
 * Return: 0, or -ENOMEM, and then nothing is changed.
 */
int xen_displaced_add(unsigned long pfn, unsigned long mfn, gfp_t gfp)
{
	void *value = xa_mk_value(mfn);
	unsigned long flags;
	void *old;

	if (gfpflags_allow_blocking(gfp))
		return xa_err(xa_store_irq(&xen_displaced_pages, pfn, value, gfp));

	xa_lock_irqsave(&xen_displaced_pages, flags);
	old = __xa_store(&xen_displaced_pages, pfn, value, gfp);
	xa_unlock_irqrestore(&xen_displaced_pages, flags);
	return xa_err(old);
}

/**
 * xen_displaced_del() - note that a page is where the ranges say, or gone
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * Context: Any.
 */
void xen_displaced_del(unsigned long pfn)
{
	unsigned long flags;

	xa_lock_irqsave(&xen_displaced_pages, flags);
	__xa_erase(&xen_displaced_pages, pfn);
	xa_unlock_irqrestore(&xen_displaced_pages, flags);
}

/**
 * xen_displaced_next() - find a displaced page
 * @first:	the first frame to look at, in Xen's pages
 * @last:	the last one
 *
 * Context: Any.
 * Return: The first one's frame, XEN_IN_PLACE when there is none.
 */
unsigned long xen_displaced_next(unsigned long first, unsigned long last)
{
	if (READ_ONCE(xen_all_moved))
		return first;
	return xa_find(&xen_displaced_pages, &first, last, XA_PRESENT) ?
	       first : XEN_IN_PLACE;
}

/**
 * xen_displaced() - where is a page?
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * Context: Any.
 * Return: Its frame in the machine, XEN_MOVED for one that may be anywhere,
 * XEN_IN_PLACE for one that is where the ranges say.
 */
unsigned long xen_displaced(unsigned long pfn)
{
	void *value = xa_load(&xen_displaced_pages, pfn);

	if (xa_is_value(value))
		return xa_to_value(value);
	return READ_ONCE(xen_all_moved) ? XEN_MOVED : XEN_IN_PLACE;
}
