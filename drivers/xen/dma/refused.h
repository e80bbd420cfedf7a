/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent memory that was refused, and what a driver uses in its place; see refused.c.
 */
#ifndef __XEN_DMA_REFUSED_H
#define __XEN_DMA_REFUSED_H

#include <linux/compiler.h>
#include <linux/dma-direction.h>
#include <linux/jiffies.h>
#include <linux/types.h>

struct device;
struct scatterlist;

/* How long it is remembered, in jiffies. */
#define XEN_REFUSAL_AGE	(5 * HZ)

/* Has anybody been refused anything lately? */
extern bool xen_any_refused;

void xen_note_refused(struct device *dev, size_t size);
bool xen_was_refused(struct device *dev, struct scatterlist *sgl, int nents);
void xen_forget_refused(struct device *dev);

/* Are these pages meant as coherent memory, so that nobody will synchronise them? */
static inline bool xen_is_substitute(struct device *dev,
				     struct scatterlist *sgl, int nents,
				     enum dma_data_direction dir)
{
	return dir == DMA_BIDIRECTIONAL &&
	       unlikely(READ_ONCE(xen_any_refused)) &&
	       xen_was_refused(dev, sgl, nents);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
void xen_refusals_age(unsigned long by);
#endif

#endif /* __XEN_DMA_REFUSED_H */
