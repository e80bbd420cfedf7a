/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For asm/xen/page.h under User Mode Linux: the tables of machine_kunit.c,
 * by the names and at the cost that they have in a PV domain.
 */
#ifndef __XEN_DMA_UML_PAGE_H
#define __XEN_DMA_UML_PAGE_H

#include <linux/compiler.h>
#include <linux/bits.h>
#include <linux/types.h>

struct device;

#define INVALID_P2M_ENTRY	(~0UL)
#define FOREIGN_FRAME_BIT	BIT(63)
#define IDENTITY_FRAME_BIT	BIT(62)

extern unsigned long *xen_p2m_addr;
extern unsigned long xen_p2m_size;

unsigned long xen_machine_pfn(unsigned long mfn);

/* What is no RAM is where it is, for the bus too. */
static inline unsigned long pfn_to_mfn(unsigned long pfn)
{
	if (likely(pfn < xen_p2m_size))
		return READ_ONCE(xen_p2m_addr[pfn]);

	return pfn;
}

static inline unsigned long pfn_to_bfn(unsigned long pfn)
{
	return pfn_to_mfn(pfn);
}

static inline unsigned long pfn_to_gfn(unsigned long pfn)
{
	return pfn_to_mfn(pfn);
}

static inline unsigned long mfn_to_pfn(unsigned long mfn)
{
	return xen_machine_pfn(mfn);
}

static inline unsigned long bfn_to_pfn(unsigned long bfn)
{
	return mfn_to_pfn(bfn);
}

static inline unsigned long bfn_to_local_pfn(unsigned long bfn)
{
	return mfn_to_pfn(bfn);
}

static inline bool xen_arch_need_swiotlb(struct device *dev, phys_addr_t phys,
					 dma_addr_t dev_addr)
{
	return false;
}

#endif /* __XEN_DMA_UML_PAGE_H */
