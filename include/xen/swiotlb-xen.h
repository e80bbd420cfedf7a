/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DMA of Xen domains that own hardware: what the architecture provides and
 * what the rest of the kernel uses.
 *
 * drivers/xen/swiotlb-xen.c implements the operations; the addresses come from
 * arch/x86/xen/mmu.c or arch/arm/xen/mm.c. Each function is documented there.
 */
#ifndef __LINUX_SWIOTLB_XEN_H
#define __LINUX_SWIOTLB_XEN_H

#include <linux/swiotlb.h>
#include <linux/types.h>

#include <asm/xen/swiotlb-xen.h>

struct device;
struct page;

/* ARM: cache maintenance of memory that another domain owns. */
void xen_dma_sync_for_cpu(struct device *dev, dma_addr_t handle,
			  size_t size, enum dma_data_direction dir);
void xen_dma_sync_for_device(struct device *dev, dma_addr_t handle,
			     size_t size, enum dma_data_direction dir);

/* x86 PV: contiguous memory by exchange with the hypervisor. */
int xen_make_contiguous(phys_addr_t pstart, unsigned int order,
			unsigned int address_bits, gfp_t gfp,
			dma_addr_t *dma_handle);
int xen_make_pages_contiguous(struct page **pages, unsigned int order,
			      unsigned int address_bits, gfp_t gfp,
			      dma_addr_t *dma_handle);
int xen_give_back_contiguous(phys_addr_t pstart, unsigned int order, gfp_t gfp);
int xen_give_back_pages(struct page **pages, unsigned int order, gfp_t gfp);

#ifdef CONFIG_XEN_DMA_FAIL_EXCHANGE
/* Faults of these hypercalls, and of single extents in an exchange. */
extern struct fault_attr xen_fail_call;
extern struct fault_attr xen_fail_extent;
#endif

bool xen_region_contiguous(phys_addr_t phys, size_t size);
u64 xen_required_dma_mask(void);

extern const struct dma_map_ops xen_swiotlb_dma_ops;

#endif /* __LINUX_SWIOTLB_XEN_H */
