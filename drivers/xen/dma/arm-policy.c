// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a device's DMA on ARM.
 *
 * An unprotected device is given an address only when that is known to be right for it. A
 * device that nobody says is unprotected is left to the generic code.
 */
#include "arm-policy.h"

/**
 * xen_dma_policy() - what becomes of a device's DMA
 * @facts:	what is known of the domain and of the device
 *
 * Context: Any.
 * Return: What is to be done.
 */
enum xen_dma_verdict xen_dma_policy(const struct xen_dma_facts *facts)
{
	if (facts->safe)
		return XEN_DMA_GENERIC;
	if (facts->direct)
		return facts->own_iommu ? XEN_DMA_OWN_IOMMU : XEN_DMA_OURS;
	if (facts->translated || !facts->hardware)
		return XEN_DMA_GENERIC;
	if (facts->own_iommu)
		return XEN_DMA_REFUSED;
	if (facts->unprotected)
		return XEN_DMA_SERVED;

	/* Xen insists on an IOMMU for such a dom0. */
	return facts->dom0 ? XEN_DMA_GENERIC : XEN_DMA_GENERIC_UNSAID;
}
