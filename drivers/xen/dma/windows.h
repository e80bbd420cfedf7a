/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buses that see the machine through windows, as a device tree's dma-ranges say. What
 * a device reaches is then not all below a limit, but runs of machine addresses.
 */
#ifndef __XEN_DMA_WINDOWS_H
#define __XEN_DMA_WINDOWS_H

#include <linux/dma-direct.h>
#include <linux/limits.h>
#include <linux/types.h>

struct xen_bus_table;
struct xen_span;

dma_addr_t xen_window_to_bus(const struct bus_dma_region *map, u64 machine,
			     u64 limit);
u64 xen_window_to_machine(const struct bus_dma_region *map, dma_addr_t bus);
bool xen_window_span(const struct bus_dma_region *map,
		     const struct xen_bus_table *table, u64 limit,
		     unsigned int nr, struct xen_span *span);
u64 xen_window_last(const struct bus_dma_region *map, u64 highest);

/* Does a bus lead to machine addresses as they are, which is said in one window? */
static inline bool xen_window_is_same(const struct bus_dma_region *map)
{
	return !map->cpu_start && !map->dma_start && map->size == U64_MAX;
}

#endif /* __XEN_DMA_WINDOWS_H */
