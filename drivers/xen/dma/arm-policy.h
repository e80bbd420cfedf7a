/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of a device's DMA on ARM, by what is known of the domain and of the
 * device. The table is in Documentation/admin-guide/xen-dma/arm.rst.
 */
#ifndef __XEN_DMA_ARM_POLICY_H
#define __XEN_DMA_ARM_POLICY_H

#include <linux/types.h>

/**
 * enum xen_dma_verdict - what becomes of a device's DMA
 * @XEN_DMA_GENERIC:		the generic code does it, with the domain's own addresses
 * @XEN_DMA_GENERIC_UNSAID:	the same, and a line tells what the device is taken for
 * @XEN_DMA_OWN_IOMMU:		the same, through an IOMMU that the kernel drives
 * @XEN_DMA_OURS:		this driver does it; the domain is mapped 1:1
 * @XEN_DMA_SERVED:		this driver does it where memory is known, else it is refused
 * @XEN_DMA_REFUSED:		an IOMMU that the kernel drives leads to wrong addresses
 */
enum xen_dma_verdict {
	XEN_DMA_GENERIC,
	XEN_DMA_GENERIC_UNSAID,
	XEN_DMA_OWN_IOMMU,
	XEN_DMA_OURS,
	XEN_DMA_SERVED,
	XEN_DMA_REFUSED,
};

/**
 * struct xen_dma_facts - what is known of a domain and of a device
 * @direct:		the domain is mapped 1:1
 * @dom0:		it is the initial domain
 * @translated:		an IOMMU of Xen's is said to translate for all devices
 * @safe:		it is said to translate for the device
 * @hardware:		the device is hardware, not Xen's or another domain's work
 * @own_iommu:		an IOMMU that the kernel drives translates for it
 * @unprotected:	no IOMMU of Xen's is said to translate for it
 */
struct xen_dma_facts {
	bool direct;
	bool dom0;
	bool translated;
	bool safe;
	bool hardware;
	bool own_iommu;
	bool unprotected;
};

enum xen_dma_verdict xen_dma_policy(const struct xen_dma_facts *facts);

#endif /* __XEN_DMA_ARM_POLICY_H */
