/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the driver tell each other about mappings. See
 * swiotlb-xen.c.
 */
#ifndef __SWIOTLB_XEN_H
#define __SWIOTLB_XEN_H

/**
 * enum xen_bounce_reason - why a device can't use a buffer where it is
 * @XEN_BOUNCE_NONE:		it can
 * @XEN_BOUNCE_MASK:		beyond the device's mask
 * @XEN_BOUNCE_STRADDLE:	not contiguous in the machine
 * @XEN_BOUNCE_ALIGN:		address bits of dma_get_min_align_mask() differ
 * @XEN_BOUNCE_BOUNDARY:	crosses dma_get_seg_boundary() in the machine
 * @XEN_BOUNCE_FORCED:		swiotlb=force, or the device's own pool
 * @XEN_BOUNCE_KMALLOC:		shares cache lines, device not coherent
 * @XEN_BOUNCE_FOREIGN:		foreign page, device not coherent
 * @XEN_BOUNCE_REASONS:		how many there are
 */
enum xen_bounce_reason {
	XEN_BOUNCE_NONE,
	XEN_BOUNCE_MASK,
	XEN_BOUNCE_STRADDLE,
	XEN_BOUNCE_ALIGN,
	XEN_BOUNCE_BOUNDARY,
	XEN_BOUNCE_FORCED,
	XEN_BOUNCE_KMALLOC,
	XEN_BOUNCE_FOREIGN,
	XEN_BOUNCE_REASONS,
};

unsigned long xen_dma_bounces(enum xen_bounce_reason why);

#endif /* __SWIOTLB_XEN_H */
