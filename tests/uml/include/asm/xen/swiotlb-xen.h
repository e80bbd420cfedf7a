/* SPDX-License-Identifier: GPL-2.0 */
/* For asm/xen/swiotlb-xen.h under User Mode Linux. */
#ifndef __XEN_DMA_UML_SWIOTLB_XEN_H
#define __XEN_DMA_UML_SWIOTLB_XEN_H

int xen_swiotlb_fixup(void *buf, unsigned long nslabs);

#endif /* __XEN_DMA_UML_SWIOTLB_XEN_H */
