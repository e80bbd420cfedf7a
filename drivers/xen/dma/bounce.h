/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is bounced, by its bus address: map a copy; unmap it; synchronise it. See bounce.c.
 */
#ifndef __XEN_DMA_BOUNCE_H
#define __XEN_DMA_BOUNCE_H

#include <linux/dma-direction.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "aperture.h"
#include "caches.h"
#include "decide.h"
#include "pool.h"

struct device;
struct scatterlist;

dma_addr_t xen_map_bounced(struct device *dev, phys_addr_t phys, size_t size,
			   enum xen_bounce_reason why, unsigned long attrs);
dma_addr_t xen_map_list_bounced(struct device *dev, struct scatterlist *sg,
				unsigned int nr, size_t size,
				enum xen_bounce_reason why, unsigned long attrs);
void xen_sync_for_cpu(struct device *dev, dma_addr_t bus, size_t size,
		      enum dma_data_direction dir);
void xen_sync_for_device(struct device *dev, dma_addr_t bus, size_t size,
			 enum dma_data_direction dir);

void xen_unmap_own_pool(struct device *dev, dma_addr_t bus, size_t size,
			enum dma_data_direction dir, unsigned long attrs);

/* Ends a mapping; what was not bounced has caches at most. */
static __always_inline void xen_unmap(struct device *dev, dma_addr_t bus,
				      size_t size, enum dma_data_direction dir,
				      unsigned long attrs)
{
	dma_addr_t machine = xen_bus_to_machine(dev, bus);

	if (xen_pool_find(machine))
		xen_aperture_unmap(dev, machine, dir, attrs);
	else if (unlikely(xen_has_own_pool(dev)))
		xen_unmap_own_pool(dev, bus, size, dir, attrs);
	else if (!dev_is_dma_coherent(dev) && !(attrs & DMA_ATTR_SKIP_CPU_SYNC))
		xen_sync_caches_for_cpu(dev, bus, size, dir);
}

#endif /* __XEN_DMA_BOUNCE_H */
