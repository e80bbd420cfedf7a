/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small coherent memory that the pool lends; see coherent-pool.c.
 */
#ifndef __XEN_DMA_COHERENT_POOL_H
#define __XEN_DMA_COHERENT_POOL_H

#include <linux/types.h>

struct page;

/* The largest piece, log2 of its pages: 256 KiB. */
#define XEN_POOLED_ORDER	6

void *xen_pooled_alloc(u64 limit, unsigned int order, dma_addr_t *bus);
int xen_pooled_free(struct page *page, dma_addr_t bus);
u64 xen_pooled_bytes(void);
void xen_pooled_trim(void);
unsigned long xen_pooled_revise(void);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
void xen_pooled_forget(void);
#endif

#endif /* __XEN_DMA_COHERENT_POOL_H */
