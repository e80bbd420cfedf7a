/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What arm and arm64 call when a device's DMA is set up, in a kernel that may run
 * under Xen. See arch/arm/xen/mm.c.
 */
#ifndef _ASM_ARM_XEN_OPS_H
#define _ASM_ARM_XEN_OPS_H

#include <linux/device.h>
#include <linux/kconfig.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen-ops.h>

/* Has the device the driver's operations? The next bus that sets it up may set its map. */
static inline bool xen_has_dma_ops(const struct device *dev)
{
	return IS_ENABLED(CONFIG_SWIOTLB_XEN) &&
	       dev->dma_ops == &xen_swiotlb_dma_ops;
}

#ifdef CONFIG_XEN
void xen_setup_dma_ops(struct device *dev);
#else
static inline void xen_setup_dma_ops(struct device *dev)
{
}
#endif

#endif /* _ASM_ARM_XEN_OPS_H */
