/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the memory of a domain is in the machine, on ARM: ranges at constant
 * offsets, and the pages that are elsewhere. See drivers/xen/dma/arm-ranges.c.
 */
#ifndef __XEN_BUS_RANGES_H
#define __XEN_BUS_RANGES_H

#include <linux/types.h>
#include <linux/xarray.h>

/* No machine address has more bits on any ARM processor. */
#define XEN_MACHINE_BITS	52

/**
 * struct xen_bus_range - guest-physical memory that is in one piece in the machine
 * @start:	guest-physical address of the first byte
 * @size:	bytes
 * @offset:	machine minus guest-physical address, modulo 2^64
 */
struct xen_bus_range {
	u64 start;
	u64 size;
	u64 offset;
};

/**
 * struct xen_bus_table - ranges, by their guest-physical addresses
 * @nr:		how many
 * @room:	for how many there is memory
 * @range:	the ranges; neighbours at the same offset are one
 * @by_machine:	which of them is at the lowest machine address, and so on
 */
struct xen_bus_table {
	unsigned int nr;
	unsigned int room;
	struct xen_bus_range *range;
	u32 *by_machine;
};

/**
 * xen_overlaps() - have two runs of addresses some in common?
 * @start:	first address of the one
 * @size:	its bytes
 * @other:	first address of the other
 * @bytes:	its bytes
 *
 * Neither runs past the last address.
 *
 * Context: Any.
 * Return: Whether they have.
 */
static inline bool xen_overlaps(u64 start, u64 size, u64 other, u64 bytes)
{
	return other - start < size || start - other < bytes;
}

extern const char * const xen_bus_no_memory;

const char *xen_bus_add(struct xen_bus_table *table, u64 start, u64 size,
			u64 offset);
const char *xen_bus_seal(struct xen_bus_table *table);
bool xen_bus_copy(struct xen_bus_table *to, const struct xen_bus_table *from);
void xen_bus_free(struct xen_bus_table *table);
const char *xen_bus_fill(struct xen_bus_table *table,
			 const struct xen_bus_table *ram, u64 offset);
const char *xen_bus_check(const struct xen_bus_table *table,
			  const struct xen_bus_table *ram);
const char *xen_bus_read_offset(const __be32 *prop, int len, u64 *offset);
const char *xen_bus_read_rows(struct xen_bus_table *table, const __be32 *prop,
			      int len, int addr_cells, int size_cells);
const char *xen_bus_read_regs(struct xen_bus_table *table, const __be32 *prop,
			      int len, int addr_cells, int size_cells);
const char *xen_bus_read_param(struct xen_bus_table *table, const char *arg,
			       const struct xen_bus_table *ram);
const struct xen_bus_range *xen_bus_find(const struct xen_bus_table *table,
					 u64 phys);
const struct xen_bus_range *
xen_bus_find_machine(const struct xen_bus_table *table, u64 machine);
u64 xen_bus_lowest(const struct xen_bus_table *table);
bool xen_bus_next(const struct xen_bus_table *table, u64 *machine);
u64 xen_bus_highest(const struct xen_bus_table *table);

/* The domain's table, empty where nothing is known. */
const struct xen_bus_table *xen_dma_table(void);
bool xen_dma_find(u64 phys, struct xen_bus_range *range);
u64 xen_arm_highest(void);

/* Is the table of a part of the memory only, and will it grow? */
extern bool xen_part_known;

/* Is that what devices need? Of what is mapped 1:1 nothing is looked up. */
extern bool xen_needs_table;

/* What xen_displaced() says of a page that is none, or of one that may be anywhere. */
#define XEN_IN_PLACE		ULONG_MAX
#define XEN_MOVED		((unsigned long)LONG_MAX)

extern struct xarray xen_displaced_pages;
extern bool xen_all_moved;

int xen_displaced_add(unsigned long pfn, unsigned long mfn, gfp_t gfp);
void xen_displaced_del(unsigned long pfn);
unsigned long xen_displaced_next(unsigned long first, unsigned long last);
unsigned long xen_displaced(unsigned long pfn);
void xen_note_moved(unsigned long pfn, gfp_t gfp);
void xen_note_returned(unsigned long pfn);
void xen_note_told(unsigned long pfn, unsigned long mfn);
bool xen_has_returned(unsigned long pfn);
unsigned long xen_returned_next(unsigned long first);
unsigned long xen_displaced_count(unsigned long *moved, unsigned long *own);

/**
 * xen_any_displaced() - is any page elsewhere than the ranges say?
 *
 * Context: Any.
 * Return: Whether xen_displaced() has to be asked.
 */
static inline bool xen_any_displaced(void)
{
	return !xa_empty(&xen_displaced_pages) || READ_ONCE(xen_all_moved);
}

/**
 * xen_must_look_up() - may a page's address in the machine be another than the domain's?
 *
 * Where the domain is mapped 1:1 nothing moves, so that foreign pages are all there is.
 *
 * Context: Any.
 * Return: Whether it has to be looked up.
 */
static inline bool xen_must_look_up(void)
{
	return !xa_empty(&xen_displaced_pages) || xen_needs_table;
}

#endif /* __XEN_BUS_RANGES_H */
