/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels that the driver is laid over: 6.1, 6.12 and
 * 7.3. The driver is written for the newest; here older ones get its names.
 *
 * No other file looks at the kernel version.
 */
#ifndef __XEN_DMA_COMPAT_H
#define __XEN_DMA_COMPAT_H

#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/gfp.h>
#include <linux/mmzone.h>
#include <linux/numa.h>
#include <linux/shrinker.h>
#include <linux/topology.h>
#include <linux/version.h>
#include <linux/workqueue.h>

/* hex_to_bin(), which older kernels have in linux/kernel.h. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#include <linux/kernel.h>
#else
#include <linux/hex.h>
#endif

/* The operations take a struct page and MMIO has operations of its own. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define XEN_DMA_OPS_TAKE_PAGE	1
#else
#define XEN_DMA_OPS_TAKE_PAGE	0
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define alloc_pages_op		alloc_pages
#endif

/* What swiotlb= may end with, after the numbers. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define XEN_SWIOTLB_WORDS	"", "force", "noforce"
#else
#define XEN_SWIOTLB_WORDS	"", "force", "noforce", "track_hiwater", \
				"force,track_hiwater", "noforce,track_hiwater"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
#define system_dfl_wq		system_unbound_wq
#endif

/* The types of flags that a dma-buf heap is given. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#define XEN_HEAP_FD_FLAGS	unsigned long
#define XEN_HEAP_FLAGS		unsigned long
#else
#define XEN_HEAP_FD_FLAGS	u32
#define XEN_HEAP_FLAGS		u64
#endif

#ifndef MAX_PAGE_ORDER
#define MAX_PAGE_ORDER		(MAX_ORDER - 1)
#endif

#ifndef DMA_ATTR_MMIO
#define DMA_ATTR_MMIO		0UL
#endif

#ifndef DMA_ATTR_REQUIRE_COHERENT
#define DMA_ATTR_REQUIRE_COHERENT	0UL
#endif

static inline bool xen_dma_capable(struct device *dev, dma_addr_t addr,
				   size_t size, bool is_ram,
				   unsigned long attrs)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	return dma_capable(dev, addr, size, is_ram);
#else
	return dma_capable(dev, addr, size, is_ram, attrs);
#endif
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
/* Before this kernel every kmalloc() buffer is aligned for DMA. */
static inline bool dma_kmalloc_needs_bounce(struct device *dev, size_t size,
					    enum dma_data_direction dir)
{
	return false;
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
/* Before this kernel the architecture's functions wait by themselves. */
static inline void arch_sync_dma_flush(void)
{
}
#endif

/* Consecutive pages beyond the page allocator's blocks; NULL for none. */
static inline struct page *xen_alloc_contig_pages(unsigned long nr, gfp_t gfp,
						  int nid)
{
#ifdef CONFIG_CONTIG_ALLOC
	return alloc_contig_pages(nr, gfp,
				  nid == NUMA_NO_NODE ? numa_mem_id() : nid,
				  NULL);
#else
	return NULL;
#endif
}

/* These very pages, wherever others can be moved away from; 0 or an error. */
static inline int xen_alloc_contig_range(unsigned long pfn, unsigned long nr,
					 gfp_t gfp)
{
#ifndef CONFIG_CONTIG_ALLOC
	return -EOPNOTSUPP;
#elif LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	return alloc_contig_range(pfn, pfn + nr, MIGRATE_MOVABLE, gfp);
#else
	return alloc_contig_range(pfn, pfn + nr, ACR_FLAGS_NONE, gfp);
#endif
}

/* Memory for whoever must not sleep, mapped for devices that do not see the caches. */
static inline struct page *
xen_alloc_from_pool(struct device *dev, size_t size, void **cpu, gfp_t gfp,
		    bool (*fits)(struct device *dev, phys_addr_t phys,
				 size_t size))
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	return dma_alloc_from_pool(dev, size, cpu, gfp, fits);
#else
	return dma_alloc_from_pool(dev, size, cpu, gfp, 0, fits);
#endif
}

static inline void xen_set_region(struct bus_dma_region *region,
				  phys_addr_t phys, dma_addr_t dma, u64 size)
{
	region->cpu_start = phys;
	region->dma_start = dma;
	region->size = size;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
	region->offset = phys - dma;
#endif
}

/* The device's operations are asked, whatever IOMMU the kernel drives for it. */
static inline void xen_bypass_dma_iommu(struct device *dev)
{
#if !defined(CONFIG_IOMMU_DMA) || LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	/* There the IOMMU has operations too, which ours take the place of. */
#elif LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	dev->dma_iommu = false;
#else
	dev_clear_dma_iommu(dev);
#endif
}

/* Returns 0 or -ENOMEM. */
static inline int
xen_register_shrinker(unsigned long (*count)(struct shrinker *shrinker,
					     struct shrink_control *sc),
		      unsigned long (*scan)(struct shrinker *shrinker,
					    struct shrink_control *sc),
		      const char *name)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	static struct shrinker shrinker = { .seeks = DEFAULT_SEEKS };

	shrinker.count_objects = count;
	shrinker.scan_objects = scan;
	return register_shrinker(&shrinker, "%s", name);
#else
	struct shrinker *shrinker = shrinker_alloc(0, "%s", name);

	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return 0;
#endif
}

#endif /* __XEN_DMA_COMPAT_H */
