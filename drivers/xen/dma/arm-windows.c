// SPDX-License-Identifier: GPL-2.0
/*
 * Buses that see the machine through windows: the arithmetic of it.
 *
 * A map is what the device tree's dma-ranges make of machine addresses. Its windows may
 * begin anywhere on either side, leave gaps, and lead where another one leads. A device
 * whose mask ends within a window reaches the part of it that lies below.
 */
#include <linux/dma-direct.h>
#include <linux/limits.h>
#include <linux/minmax.h>

#include <xen/bus-ranges.h>
#include <xen/swiotlb-xen.h>

#include "windows.h"

/**
 * xen_window_to_bus() - what a device uses for a machine address
 * @map:	the windows
 * @machine:	machine address
 * @limit:	the highest bus address that the device can use
 *
 * Context: Any.
 * Return: The bus address, within @limit if a window has one there;
 * DMA_MAPPING_ERROR where none leads there.
 */
dma_addr_t xen_window_to_bus(const struct bus_dma_region *map, u64 machine,
			     u64 limit)
{
	dma_addr_t found = DMA_MAPPING_ERROR;

	for (; map->size; map++) {
		u64 offset = machine - map->cpu_start;

		if (machine < map->cpu_start || offset >= map->size)
			continue;
		if (map->dma_start + offset <= limit)
			return map->dma_start + offset;
		if (found == DMA_MAPPING_ERROR)
			found = map->dma_start + offset;
	}

	return found;
}

/**
 * xen_window_to_machine() - what a device's bus address leads to
 * @map:	the windows
 * @bus:	bus address
 *
 * Context: Any.
 * Return: The machine address, DMA_MAPPING_ERROR for nowhere.
 */
u64 xen_window_to_machine(const struct bus_dma_region *map, dma_addr_t bus)
{
	for (; map->size; map++)
		if (bus >= map->dma_start && bus - map->dma_start < map->size)
			return bus - map->dma_start + map->cpu_start;
	return DMA_MAPPING_ERROR;
}

/* What a device reaches through a window; false for nothing. */
static bool look_through(const struct bus_dma_region *window, u64 limit,
			 struct xen_span *span)
{
	if (window->dma_start > limit)
		return false;

	span->first = window->cpu_start;
	span->last = window->cpu_start +
		     min_t(u64, window->size - 1, limit - window->dma_start);
	return true;
}

/* Finds the last address behind @at that windows lead to without a gap; none for @at. */
static bool leads_on(const struct bus_dma_region *map, u64 limit, u64 at, u64 *last)
{
	struct xen_span span;
	bool found = false;

	for (; map->size; map++)
		if (look_through(map, limit, &span) && at >= span.first &&
		    at <= span.last && (!found || span.last > *last)) {
			*last = span.last;
			found = true;
		}
	return found;
}

static bool reaches_everything(const struct bus_dma_region *map,
			       const struct xen_bus_table *table, u64 limit)
{
	u64 at = 0, last;

	while (xen_bus_next(table, &at)) {
		if (!leads_on(map, limit, at, &last))
			return false;
		if (last == U64_MAX)
			break;
		at = last + 1;
	}

	return true;
}

/*
 * Ends that have no memory beyond them are none, so that a device which reaches what
 * there is up to a limit is like any other. False for a span that has no memory at all.
 */
static bool widen(const struct xen_bus_table *table, struct xen_span *span)
{
	u64 at = span->first;
	bool within = xen_bus_next(table, &at) && at <= span->last;

	if (xen_bus_lowest(table) >= span->first)
		span->first = 0;
	if (xen_bus_highest(table) <= span->last)
		span->last = U64_MAX;

	return within;
}

/**
 * xen_window_span() - a run of machine addresses that a device reaches
 * @map:	the windows
 * @table:	where the domain's memory is
 * @limit:	the highest bus address that the device can use
 * @nr:		which of the runs, from 0 on
 * @span:	where the run goes; one from 0 to all ones has all of the memory
 *
 * A run is in one piece on the bus, and holds some of the domain's memory. What it has
 * none of may be in the run though no window leads there.
 *
 * Context: Any.
 * Return: Whether there is such a run.
 */
bool xen_window_span(const struct bus_dma_region *map,
		     const struct xen_bus_table *table, u64 limit,
		     unsigned int nr, struct xen_span *span)
{
	if (reaches_everything(map, table, limit)) {
		span->first = 0;
		span->last = U64_MAX;
		return !nr;
	}

	for (; map->size; map++)
		if (look_through(map, limit, span) && widen(table, span) && !nr--)
			return true;
	return false;
}

/**
 * xen_window_last() - the highest bus address that leads to memory
 * @map:	the windows
 * @highest:	the machine's highest address of memory
 *
 * Context: Any.
 * Return: The bus address, 0 where no window leads to memory.
 */
u64 xen_window_last(const struct bus_dma_region *map, u64 highest)
{
	u64 last = 0;

	for (; map->size; map++)
		if (map->cpu_start <= highest)
			last = max(last, map->dma_start +
				   min_t(u64, map->size - 1,
					 highest - map->cpu_start));
	return last;
}
