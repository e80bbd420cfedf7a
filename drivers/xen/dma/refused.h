/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent memory that was refused, and what a driver uses in its place; see refused.c.
 */
#ifndef __XEN_DMA_REFUSED_H
#define __XEN_DMA_REFUSED_H

#include <linux/compiler.h>
#include <linux/dma-direction.h>
#include <linux/types.h>

struct device;
struct scatterlist;

extern unsigned int xen_nr_refused;

void xen_note_refused(struct device *dev, size_t size);
bool xen_forget_refused(struct device *dev, struct scatterlist *sgl, int nents);

/* Are these pages meant as coherent memory, so that nobody will synchronise them? */
static inline bool xen_is_substitute(struct device *dev,
				     struct scatterlist *sgl, int nents,
				     enum dma_data_direction dir)
{
	return dir == DMA_BIDIRECTIONAL &&
	       unlikely(READ_ONCE(xen_nr_refused)) &&
	       xen_forget_refused(dev, sgl, nents);
}

#endif /* __XEN_DMA_REFUSED_H */
