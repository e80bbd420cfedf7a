// SPDX-License-Identifier: GPL-2.0
/*
 * Where the memory of a domain is in the machine, on ARM.
 *
 * Xen maps a domain in extents, from one that is all of its memory to single pages. A
 * table of ranges, each with its offset, translates: it is filled, then sealed, which
 * sorts it both ways, and from then on it does not change, so that a look-up takes no
 * lock. It is filled from the device tree, from the command line or by asking Xen, and
 * whatever is not sound is refused as a whole, with a reason, since a wrong entry sends
 * a device into somebody else's memory.
 */
#include <linux/bits.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/of.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>

#include "compat.h"

/* What a table has room for at first, as an unsigned int. */
#define XEN_FIRST_ROOM		16U

static u64 last_of(const struct xen_bus_range *range)
{
	return range->start + range->size - 1;
}

static u64 machine_of(const struct xen_bus_range *range)
{
	return range->start + range->offset;
}

static bool follows(const struct xen_bus_range *range, u64 start, u64 offset)
{
	return offset == range->offset && start == last_of(range) + 1;
}

/* What is wrong when there is no memory. */
const char * const xen_bus_no_memory = "there is no memory for so many ranges";

/* Makes room for @room ranges; those that there are stay. */
static bool resize(struct xen_bus_table *table, unsigned int room)
{
	struct xen_bus_range *range = kvmalloc_array(room, sizeof(*range),
						     GFP_KERNEL);

	if (!range)
		return false;
	if (table->nr)
		memcpy(range, table->range, table->nr * sizeof(*range));
	kvfree(table->range);
	table->range = range;
	table->room = room;
	return true;
}

/**
 * xen_bus_add() - add a range to a table that is being filled
 * @table:	the table
 * @start:	guest-physical address
 * @size:	bytes
 * @offset:	machine minus guest-physical address, modulo 2^64
 *
 * Best by ascending addresses; what follows the last one in both becomes a part of it.
 *
 * Context: Process, may sleep; nobody else looks at @table.
 * Return: NULL, or what is wrong with the range, and then nothing is changed.
 */
const char *xen_bus_add(struct xen_bus_table *table, u64 start, u64 size,
			u64 offset)
{
	u64 machine = start + offset;

	if (!size)
		return "a range is empty";
	if ((start | size | offset) & ~XEN_PAGE_MASK)
		return "a range is not aligned to pages";
	if (start + size - 1 < start || start + size - 1 > PHYS_ADDR_MAX ||
	    machine >= BIT_ULL(XEN_MACHINE_BITS) ||
	    size > BIT_ULL(XEN_MACHINE_BITS) - machine)
		return "a range overflows";

	if (table->nr && follows(&table->range[table->nr - 1], start, offset)) {
		table->range[table->nr - 1].size += size;
		return NULL;
	}
	if (table->nr == table->room &&
	    !resize(table, max(XEN_FIRST_ROOM, 2 * table->room)))
		return xen_bus_no_memory;

	table->range[table->nr++] = (struct xen_bus_range) { start, size, offset };
	return NULL;
}

static int compare_starts(const void *a, const void *b)
{
	const struct xen_bus_range *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

static int compare_machine(const void *a, const void *b, const void *ranges)
{
	const struct xen_bus_range *range = ranges;
	u64 one = machine_of(&range[*(const u32 *)a]);
	u64 other = machine_of(&range[*(const u32 *)b]);

	return (one > other) - (one < other);
}

/* Brings ranges into order, and joins neighbours; false when some overlap. */
static bool sort_ranges(struct xen_bus_table *table)
{
	struct xen_bus_range *range = table->range;
	unsigned int i, n = 0;

	for (i = 1; i < table->nr && range[i - 1].start <= range[i].start; i++)
		;
	if (i < table->nr)
		sort(range, table->nr, sizeof(*range), compare_starts, NULL);

	for (i = 0; i < table->nr; i++) {
		if (n && xen_overlaps(range[n - 1].start, range[n - 1].size,
				      range[i].start, range[i].size))
			return false;
		if (n && follows(&range[n - 1], range[i].start, range[i].offset))
			range[n - 1].size += range[i].size;
		else
			range[n++] = range[i];
	}
	table->nr = n;
	return true;
}

/* The same in the machine, where nothing is moved. */
static bool sort_machine(struct xen_bus_table *table)
{
	const struct xen_bus_range *range = table->range;
	bool ascending = true;
	unsigned int i;

	for (i = 0; i < table->nr; i++) {
		table->by_machine[i] = i;
		ascending = ascending && (!i || machine_of(&range[i - 1]) <
						machine_of(&range[i]));
	}
	if (!ascending)
		sort_r(table->by_machine, table->nr, sizeof(u32),
		       compare_machine, NULL, range);

	for (i = 1; i < table->nr; i++) {
		const struct xen_bus_range *below = &range[table->by_machine[i - 1]];
		const struct xen_bus_range *above = &range[table->by_machine[i]];

		if (xen_overlaps(machine_of(below), below->size,
				 machine_of(above), above->size))
			return false;
	}
	return true;
}

/**
 * xen_bus_seal() - end the filling of a table
 * @table:	the table; it must not be added to any more
 *
 * It may be sealed again.
 *
 * Context: Process, may sleep; nobody else looks at @table.
 * Return: NULL, or what is wrong with the ranges together, and then there are none.
 */
const char *xen_bus_seal(struct xen_bus_table *table)
{
	const char *wrong = NULL;

	if (!table->nr)
		return NULL;

	kvfree(table->by_machine);
	table->by_machine = NULL;
	if (!sort_ranges(table)) {
		wrong = "ranges overlap";
	} else {
		table->by_machine = kvmalloc_array(table->nr, sizeof(u32),
						   GFP_KERNEL);
		if (!table->by_machine)
			wrong = xen_bus_no_memory;
		else if (!sort_machine(table))
			wrong = "ranges overlap";
	}
	if (wrong)
		xen_bus_free(table);
	else if (table->room > table->nr)
		resize(table, table->nr);
	return wrong;
}

/**
 * xen_bus_copy() - copy a table
 * @to:		an empty table, which is not sealed then
 * @from:	the table, sealed or not
 *
 * Context: Process, may sleep; nobody else looks at @to.
 * Return: Whether there was memory for it.
 */
bool xen_bus_copy(struct xen_bus_table *to, const struct xen_bus_table *from)
{
	if (!from->nr)
		return true;
	if (!resize(to, from->nr))
		return false;

	memcpy(to->range, from->range, from->nr * sizeof(*to->range));
	to->nr = from->nr;
	return true;
}

/**
 * xen_bus_free() - empty a table
 * @table:	the table
 *
 * Context: Process, may sleep; nobody else looks at @table.
 */
void xen_bus_free(struct xen_bus_table *table)
{
	kvfree(table->range);
	kvfree(table->by_machine);
	*table = (struct xen_bus_table) {};
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
	if (wrong) {
		xen_bus_free(table);
		return wrong;
	}
	return xen_bus_seal(table);
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

/**
 * struct xen_row_cells - how a row of two addresses and a size lies in a property
 * @addr:	cells of an address; the first one is the machine's
 * @size:	cells of the size
 * @start_at:	where the guest-physical address begins
 * @size_at:	where the size begins
 */
struct xen_row_cells {
	int addr;
	int size;
	int start_at;
	int size_at;
};

/* Can such rows be read? */
static const char *check_rows(int len, const struct xen_row_cells *cells)
{
	if (!len)
		return "is empty";
	if (cells->addr < 1 || cells->addr > 2 || cells->size < 1 ||
	    cells->size > 2)
		return "has addresses or sizes that are neither one cell nor two";
	if (len % ((2 * cells->addr + cells->size) * (int)sizeof(__be32)))
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

static const char *read_rows(struct xen_bus_table *table, const __be32 *prop,
			     int len, const struct xen_row_cells *cells)
{
	const char *wrong = check_rows(len, cells);
	int row = 2 * cells->addr + cells->size;

	for (; !wrong && len; len -= row * sizeof(*prop), prop += row)
		wrong = add_row(table,
				of_read_number(prop + cells->start_at, cells->addr),
				of_read_number(prop + cells->size_at, cells->size),
				of_read_number(prop, cells->addr));
	return wrong ?: xen_bus_seal(table);
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
	const struct xen_row_cells cells = {
		.addr = addr_cells,
		.size = size_cells,
		.start_at = addr_cells,
		.size_at = 2 * addr_cells,
	};

	return read_rows(table, prop, len, &cells);
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
	const struct xen_row_cells cells = {
		.addr = addr_cells,
		.size = size_cells,
		.start_at = addr_cells + size_cells,
		.size_at = addr_cells,
	};

	return read_rows(table, prop, len, &cells);
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
			return xen_bus_seal(table);
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

/* How many ranges begin at or below a machine address. */
static unsigned int count_below(const struct xen_bus_table *table, u64 machine)
{
	unsigned int low = 0, high = table->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (machine < machine_of(&table->range[table->by_machine[mid]]))
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/**
 * xen_bus_find_machine() - the range that an address of the machine belongs to
 * @table:	the table, sealed
 * @machine:	machine address
 *
 * Context: Any.
 * Return: The range, NULL when the address is in none.
 */
const struct xen_bus_range *
xen_bus_find_machine(const struct xen_bus_table *table, u64 machine)
{
	unsigned int low = count_below(table, machine);
	const struct xen_bus_range *range;

	if (!low)
		return NULL;

	range = &table->range[table->by_machine[low - 1]];
	return machine - machine_of(range) < range->size ? range : NULL;
}

/**
 * xen_bus_lowest() - the lowest machine address
 * @table:	the table, sealed
 *
 * Context: Any.
 * Return: That of the first byte, all ones for an empty table.
 */
u64 xen_bus_lowest(const struct xen_bus_table *table)
{
	return table->nr ? machine_of(&table->range[table->by_machine[0]]) : U64_MAX;
}

/**
 * xen_bus_next() - the next byte of memory in the machine
 * @table:	the table, sealed
 * @machine:	machine address; where the next byte goes at or behind it
 *
 * Context: Any.
 * Return: Whether there is one.
 */
bool xen_bus_next(const struct xen_bus_table *table, u64 *machine)
{
	unsigned int low = count_below(table, *machine);
	const struct xen_bus_range *range;

	if (low) {
		range = &table->range[table->by_machine[low - 1]];
		if (*machine - machine_of(range) < range->size)
			return true;
	}
	if (low == table->nr)
		return false;

	*machine = machine_of(&table->range[table->by_machine[low]]);
	return true;
}

/**
 * xen_bus_highest() - the highest machine address
 * @table:	the table, sealed
 *
 * Context: Any.
 * Return: That of the last byte, 0 for an empty table.
 */
u64 xen_bus_highest(const struct xen_bus_table *table)
{
	const struct xen_bus_range *range;

	if (!table->nr)
		return 0;

	range = &table->range[table->by_machine[table->nr - 1]];
	return last_of(range) + range->offset;
}
