/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The aperture: memory of the pool through which the driver bounces what a device
 * can't reach. See aperture.c.
 *
 * A mapping is known by its machine address alone, as in the DMA API; xen_pool_find()
 * says whether an address lies in the pool.
 */
#ifndef __XEN_DMA_APERTURE_H
#define __XEN_DMA_APERTURE_H

#include <linux/dma-direction.h>
#include <linux/sizes.h>
#include <linux/swiotlb.h>
#include <linux/types.h>

#include "decide.h"

struct device;
struct scatterlist;

/* Bytes of the largest blocks that CPUs keep; larger ones cost more, or run out. */
#define XEN_APERTURE_COMMON		SZ_256K

/*
 * Buffers that may be bounced in one such block, which needs a slot for each and one
 * more.
 */
#define XEN_APERTURE_MAX_BUFFERS	((XEN_APERTURE_COMMON >> IO_TLB_SHIFT) - 1)

dma_addr_t xen_aperture_map(struct device *dev, phys_addr_t phys, size_t size,
			    enum xen_bounce_reason why, unsigned long attrs);
dma_addr_t xen_aperture_map_list(struct device *dev, struct scatterlist *sg,
				 unsigned int nr, size_t size,
				 enum xen_bounce_reason why);
void xen_aperture_unmap(struct device *dev, dma_addr_t bus,
			enum dma_data_direction dir, unsigned long attrs);
void xen_aperture_sync(struct device *dev, dma_addr_t bus, size_t size,
		       bool for_cpu);

int xen_aperture_obtain(struct device *dev, u64 limit);
size_t xen_aperture_largest(struct device *dev);
size_t xen_aperture_fair_share(struct device *dev);

#endif /* __XEN_DMA_APERTURE_H */
