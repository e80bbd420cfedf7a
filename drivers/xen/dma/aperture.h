/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The aperture: low, machine-contiguous memory through which the driver
 * bounces what a device can't reach. See aperture.c.
 *
 * A mapping is known by its bus address alone, as in the DMA API; a look-up of
 * that address says whether it lies in the aperture, and in which chunk.
 */
#ifndef __XEN_DMA_APERTURE_H
#define __XEN_DMA_APERTURE_H

#include <linux/compiler.h>
#include <linux/dma-direction.h>
#include <linux/sizes.h>
#include <linux/swiotlb.h>
#include <linux/types.h>

#include <xen/swiotlb-xen.h>

struct device;
struct scatterlist;
struct seq_file;
struct xen_aperture_chunk;

/*
 * Chunks are at least this large, and aligned to it, so that one entry of the
 * look-up table per granule names the chunk. Bytes. Where memory is exchanged it
 * comes from below 4 GiB; where it is found it may lie higher, and the table is
 * that much larger.
 */
#define XEN_APERTURE_GRANULE_SHIFT	(XEN_DMA_EXCHANGES ? 18 : 21)

extern struct xen_aperture_chunk **xen_aperture_table;
extern unsigned long xen_aperture_granules;

/**
 * xen_aperture_find() - the chunk that a bus address lies in
 * @bus:	bus address
 *
 * Context: Any.
 * Return: The chunk, NULL for an address outside the aperture.
 */
static inline struct xen_aperture_chunk *xen_aperture_find(dma_addr_t bus)
{
	u64 granule = bus >> XEN_APERTURE_GRANULE_SHIFT;

	if (granule >= xen_aperture_granules)
		return NULL;
	return READ_ONCE(xen_aperture_table[granule]);
}

/*
 * Buffers that may be bounced in one block, which needs a slot for each and one
 * more; as large as the largest blocks that CPUs keep.
 */
#define XEN_APERTURE_MAX_BUFFERS	((SZ_256K >> IO_TLB_SHIFT) - 1)

dma_addr_t xen_aperture_map(struct device *dev, phys_addr_t phys, size_t size,
			    unsigned long attrs);
dma_addr_t xen_aperture_map_list(struct device *dev, struct scatterlist *sg,
				 unsigned int nr, size_t size);
void xen_aperture_unmap(struct device *dev, struct xen_aperture_chunk *chunk,
			dma_addr_t bus, enum dma_data_direction dir,
			unsigned long attrs);
void xen_aperture_sync(struct device *dev, struct xen_aperture_chunk *chunk,
		       dma_addr_t bus, size_t size, bool for_cpu);

int xen_aperture_obtain(struct device *dev, u64 limit);
size_t xen_aperture_max_mapping(struct device *dev);
void xen_aperture_show(struct seq_file *s);

/**
 * struct xen_aperture_usage - what the aperture's bytes are used for
 * @total:	in all chunks
 * @used:	in mappings, whole slots
 * @cached:	in blocks that CPUs and depots keep
 * @free:	in the buddies
 */
struct xen_aperture_usage {
	u64 total;
	u64 used;
	u64 cached;
	u64 free;
};

/* swiotlb_xen.max= in bytes, swiotlb_xen.idle= in seconds; read at any time. */
extern unsigned long xen_aperture_max;
extern unsigned int xen_aperture_idle;

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* For the tests: look at, hurry and forget the aperture. */
void xen_aperture_usage(struct xen_aperture_usage *usage);
void xen_aperture_flush_work(void);
void xen_aperture_destroy(void);
#endif

#endif /* __XEN_DMA_APERTURE_H */
