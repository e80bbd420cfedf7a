/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is bounced, by its bus address: map a copy, and count why; unmap it; synchronise
 * it. See bounce.c.
 */
#ifndef __XEN_DMA_BOUNCE_H
#define __XEN_DMA_BOUNCE_H

#include <linux/dma-direction.h>
#include <linux/percpu.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "aperture.h"
#include "caches.h"
#include "decide.h"
#include "pool.h"

struct device;
struct scatterlist;

DECLARE_PER_CPU(unsigned long [XEN_BOUNCE_REASONS], xen_bounces);

/* Counts a block that was bounced through: one for a mapping, or a part of a list. */
static inline void xen_count_bounce(enum xen_bounce_reason why)
{
	this_cpu_inc(xen_bounces[why]);
}

unsigned long xen_dma_bounces(enum xen_bounce_reason why);

dma_addr_t xen_map_bounced(struct device *dev, phys_addr_t phys, size_t size,
			   struct scatterlist *sg, unsigned int nr,
			   unsigned long attrs);
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
