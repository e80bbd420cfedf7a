/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the administrator has set: xen_dma.NAME= on the command line. See
 * Documentation/admin-guide/xen-dma/parameters.rst.
 */
#ifndef __XEN_DMA_PARAMS_H
#define __XEN_DMA_PARAMS_H

#include <linux/types.h>

/* Bytes that growth stops at, ULONG_MAX for a share of the memory (max). */
extern unsigned long xen_pool_max;

/* Seconds after which an unused chunk that was added goes back (idle). */
extern unsigned int xen_pool_idle;

/* Bytes to begin with where memory is found, 0 for a share of it (size). */
extern unsigned long xen_pool_size;

/* Bytes of the cache of coherent memory, ULONG_MAX for a share (coherent_cache). */
extern unsigned long xen_coherent_cache;

/* Bytes of the pool that may be coherent memory, ULONG_MAX for a share (coherent_pooled). */
extern unsigned long xen_coherent_pooled;

void xen_param_size(const char *name, char *arg, u64 min, u64 max,
		    unsigned long *size);

#endif /* __XEN_DMA_PARAMS_H */
