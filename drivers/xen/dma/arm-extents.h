/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading what the hypervisor tells of where an ARM domain's memory is.
 */
#ifndef __XEN_DMA_ARM_EXTENTS_H
#define __XEN_DMA_ARM_EXTENTS_H

#include <linux/types.h>

#include <xen/bus-ranges.h>
#include <xen/dma-extents.h>

/**
 * typedef xen_ask_fn - ask the hypervisor once
 * @ask:	the hypercall's argument
 *
 * Return: 0, or the hypervisor's error.
 */
typedef int (*xen_ask_fn)(struct xen_dma_extents *ask);

int xen_read_extents(struct xen_bus_table *table,
		     const struct xen_bus_range *ram, xen_ask_fn ask,
		     u32 *flags, const char **wrong);

#endif /* __XEN_DMA_ARM_EXTENTS_H */
