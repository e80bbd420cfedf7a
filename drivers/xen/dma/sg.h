/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scatter lists; see sg.c.
 */
#ifndef __XEN_DMA_SG_H
#define __XEN_DMA_SG_H

#include <linux/dma-direction.h>

struct device;
struct scatterlist;

int xen_swiotlb_map_sg(struct device *dev, struct scatterlist *sgl, int nents,
		       enum dma_data_direction dir, unsigned long attrs);
void xen_swiotlb_unmap_sg(struct device *dev, struct scatterlist *sgl,
			  int nents, enum dma_data_direction dir,
			  unsigned long attrs);
void xen_swiotlb_sync_sg_for_cpu(struct device *dev, struct scatterlist *sgl,
				 int nents, enum dma_data_direction dir);
void xen_swiotlb_sync_sg_for_device(struct device *dev,
				    struct scatterlist *sgl, int nents,
				    enum dma_data_direction dir);

#endif /* __XEN_DMA_SG_H */
