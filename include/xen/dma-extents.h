/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hypercall by which a domain on ARM asks where in the machine its memory is, a
 * suboperation of XENMEM that only a hypervisor with our patches knows. Its public header,
 * memory.h, is where this comes from.
 */
#ifndef __XEN_DMA_EXTENTS_H__
#define __XEN_DMA_EXTENTS_H__

#include <linux/bits.h>
#include <linux/types.h>

#define XENMEM_dma_extents	29

/* All devices are behind an IOMMU; some are, and it is not told which. */
#define XENMEM_DMA_TRANSLATED	BIT(0)
#define XENMEM_DMA_MIXED	BIT(1)

/**
 * struct xen_dma_extent - memory that is in one piece in the machine
 * @gfn:	first frame for the domain, in Xen's pages like all here
 * @mfn:	first frame in the machine
 * @nr_frames:	how many
 */
struct xen_dma_extent {
	u64 gfn;
	u64 mfn;
	u64 nr_frames;
};

/**
 * struct xen_dma_extents - the hypercall's argument
 * @first_gfn:	the first frame to tell of; then the first that was not told of
 * @last_gfn:	the last frame to tell of
 * @nr_extents:	how many extents there is room for; then how many there are
 * @flags:	0; then XENMEM_DMA_*
 * @extents:	address of an array of struct xen_dma_extent
 */
struct xen_dma_extents {
	u64 first_gfn;
	u64 last_gfn;
	u32 nr_extents;
	u32 flags;
	u64 extents;
};

#endif /* __XEN_DMA_EXTENTS_H__ */
