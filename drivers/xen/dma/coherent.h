/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent memory of x86 PV domains: the operations behind
 * dma_alloc_coherent() and dma_alloc_pages(), and the cache that they share. See
 * coherent.c.
 */
#ifndef __XEN_DMA_COHERENT_H
#define __XEN_DMA_COHERENT_H

#include <linux/dma-direction.h>
#include <linux/types.h>

struct device;
struct page;
struct seq_file;
struct sg_table;
struct vm_area_struct;

void *xen_coherent_alloc(struct device *dev, size_t size,
			 dma_addr_t *dma_handle, gfp_t gfp,
			 unsigned long attrs);
void xen_coherent_free(struct device *dev, size_t size, void *vaddr,
		       dma_addr_t dma_handle, unsigned long attrs);
struct page *xen_coherent_alloc_pages(struct device *dev, size_t size,
				      dma_addr_t *dma_handle,
				      enum dma_data_direction dir, gfp_t gfp);
struct page *xen_coherent_alloc_exact(struct device *dev, size_t size,
				      dma_addr_t *dma_handle, gfp_t gfp);
void xen_coherent_free_pages(struct device *dev, size_t size,
			     struct page *page, dma_addr_t dma_handle,
			     enum dma_data_direction dir);
int xen_coherent_mmap(struct device *dev, struct vm_area_struct *vma,
		      void *vaddr, dma_addr_t dma_handle, size_t size,
		      unsigned long attrs);
int xen_coherent_get_sgtable(struct device *dev, struct sg_table *sgt,
			     void *vaddr, dma_addr_t dma_handle, size_t size,
			     unsigned long attrs);
void xen_coherent_show(struct seq_file *s);

/**
 * struct xen_coherent_usage - what has become of exchanged memory
 * @cached:	bytes that are kept
 * @used:	bytes that are allocated
 * @pooled:	bytes that are allocated, and are the pool's
 * @hits:	allocations that the cache served
 * @made:	regions that were exchanged
 * @returned:	regions that were given back to the hypervisor
 * @kept:	regions whose low frames it did not want, or got in part only
 * @failed:	allocations that failed
 */
struct xen_coherent_usage {
	u64 cached;
	u64 used;
	u64 pooled;
	unsigned long hits;
	unsigned long made;
	unsigned long returned;
	unsigned long kept;
	unsigned long failed;
};

void xen_coherent_usage(struct xen_coherent_usage *usage);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/*
 * For the tests: what a shrinker does with @nr pages of the cache, the work that waits
 * for its turn, at once; and memory is offered to a hypervisor again that would not
 * have it.
 */
unsigned long xen_coherent_shrink(unsigned long nr);
void xen_coherent_flush_work(void);
void xen_coherent_forget_refusal(void);
#endif

#endif /* __XEN_DMA_COHERENT_H */
