/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Devices that do not see the CPU's caches, and what they use in place. The caches work on
 * local memory by its physical address; Xen maintains them for what is another domain's.
 * The aperture sees to what is bounced.
 */
#ifndef __XEN_DMA_CACHES_H
#define __XEN_DMA_CACHES_H

#include <linux/dma-map-ops.h>

#include "addr.h"
#include "compat.h"

/**
 * xen_sync_caches_for_device() - what the CPU wrote becomes visible
 * @dev:	device that is not coherent
 * @bus:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * Context: Any.
 * Return: 0, or why Xen did not do it.
 */
static inline int xen_sync_caches_for_device(struct device *dev,
					     dma_addr_t bus, size_t size,
					     enum dma_data_direction dir)
{
	phys_addr_t phys;

	if (!xen_bus_to_phys(dev, bus, &phys))
		return xen_dma_sync_for_device(dev, bus, size, dir);

	if (xen_has_mapping(phys)) {
		arch_sync_dma_for_device(phys, size, dir);
		arch_sync_dma_flush();
	}
	return 0;
}

/**
 * xen_sync_caches_for_cpu() - what the device wrote becomes visible
 * @dev:	device that is not coherent
 * @bus:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * Context: Any.
 */
static inline void xen_sync_caches_for_cpu(struct device *dev, dma_addr_t bus,
					   size_t size,
					   enum dma_data_direction dir)
{
	phys_addr_t phys;

	if (!xen_bus_to_phys(dev, bus, &phys)) {
		xen_dma_sync_for_cpu(dev, bus, size, dir);
		return;
	}

	if (xen_has_mapping(phys)) {
		arch_sync_dma_for_cpu(phys, size, dir);
		arch_sync_dma_flush();
	}
}

#endif /* __XEN_DMA_CACHES_H */
