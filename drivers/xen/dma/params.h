/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the administrator has set: xen_dma.NAME= on the command line. See
 * Documentation/admin-guide/xen-dma/parameters.rst.
 */
#ifndef __XEN_DMA_PARAMS_H
#define __XEN_DMA_PARAMS_H

#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/types.h>

/* Bytes that growth stops at, ULONG_MAX for a share of the memory (max). */
extern unsigned long xen_pool_max;

/* Seconds after which an unused chunk that was added goes back (idle). */
extern unsigned int xen_pool_idle;

/* Called when one of these was changed at run time, after which somebody may have waited enough. */
extern struct blocking_notifier_head xen_limits_chain;

/* Bytes to begin with where memory is found, 0 for a share of it (size). */
extern unsigned long xen_pool_size;

/* Bytes of the cache of coherent memory, ULONG_MAX for a share (coherent_cache). */
extern unsigned long xen_coherent_cache;

/* Bytes of the pool that may be coherent memory, ULONG_MAX for a share (coherent_pooled). */
extern unsigned long xen_coherent_pooled;

/**
 * struct xen_size_param - a parameter that is a size
 * @name:	what comes after xen_dma.
 * @value:	bytes; ULONG_MAX until somebody sets it
 * @min:	bytes at least
 * @max:	bytes at most
 */
struct xen_size_param {
	const char *name;
	unsigned long *value;
	u64 min;
	u64 max;
};

/* Not by the name of a file. */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "xen_dma."

/* Such a parameter, of early boot and for later. */
#define XEN_SIZE_PARAM(_name, _min, _max, _value)			\
static struct xen_size_param xen_param_##_name = {			\
	.name = #_name,							\
	.value = &(_value),						\
	.min = (_min),							\
	.max = (_max),							\
};									\
									\
static int __init xen_early_##_name(char *arg)				\
{									\
	xen_set_size(&xen_param_##_name, arg);				\
	return 0;							\
}									\
early_param("xen_dma." #_name, xen_early_##_name);			\
module_param_cb(_name, &xen_size_param_ops, &xen_param_##_name, 0644)

extern const struct kernel_param_ops xen_size_param_ops;

int xen_set_size(const struct xen_size_param *param, const char *arg);

#endif /* __XEN_DMA_PARAMS_H */
