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

#include <linux/dma-direction.h>
#include <linux/mm.h>
#include <linux/swiotlb.h>
#include <linux/types.h>

#ifdef CONFIG_XEN
#include <xen/interface/xen.h>
#endif

#include <asm/xen/swiotlb-xen.h>

struct device;
struct page;

/**
 * struct xen_span - addresses of the machine that a device reaches
 * @first:	the lowest
 * @last:	the highest
 */
struct xen_span {
	u64 first;
	u64 last;
};

/* Contiguous memory. */
bool xen_region_suits(phys_addr_t pstart, unsigned int order,
		      unsigned int address_bits, dma_addr_t *dma_handle);
u64 xen_required_dma_mask(void);

/* ARM: contiguous memory is found. */
struct page *xen_alloc_reachable(unsigned int order, const struct xen_span *span,
				 gfp_t gfp);
void xen_free_reachable(struct page *page, unsigned int order);
unsigned int xen_alloc_pieces(unsigned int order, const struct xen_span *span,
			      unsigned int nr, struct list_head *pieces);

/* Cache maintenance of memory that another domain owns. */
int xen_dma_sync_for_cpu(struct device *dev, dma_addr_t handle, size_t size,
			 enum dma_data_direction dir);
int xen_dma_sync_for_device(struct device *dev, dma_addr_t handle, size_t size,
			    enum dma_data_direction dir);

/* x86: contiguous memory is made by exchange. */
bool xen_pages_suit(struct page **pages, unsigned int order,
		    unsigned int address_bits, dma_addr_t *dma_handle);
int xen_create_contiguous_region(phys_addr_t pstart, unsigned int order,
				 unsigned int address_bits, gfp_t gfp,
				 dma_addr_t *dma_handle);
int xen_create_contiguous_pages(struct page **pages, unsigned int order,
				unsigned int address_bits, gfp_t gfp,
				dma_addr_t *dma_handle);
int xen_create_extents(phys_addr_t pstart, unsigned int order, unsigned long nr,
		       gfp_t gfp, unsigned long *made);
int xen_destroy_contiguous_region(phys_addr_t pstart, unsigned int order,
				  gfp_t gfp, bool *all);
int xen_destroy_contiguous_pages(struct page **pages, unsigned int order,
				 gfp_t gfp, bool *all);
bool xen_region_contiguous(phys_addr_t phys, size_t size);
void xen_note_exchange(unsigned int order, unsigned int bits, unsigned long done,
		       int result, s64 ns);

/* ARM: where memory is. */
void xen_aperture_setup(void);
void xen_learn_at_boot(void);
bool xen_arm_refuses(struct device *dev);
dma_addr_t xen_arm_in_place(phys_addr_t phys);
dma_addr_t xen_arm_phys_to_bus(struct device *dev, phys_addr_t phys);
dma_addr_t xen_arm_machine_to_bus(struct device *dev, dma_addr_t machine);
dma_addr_t xen_arm_bus_to_machine(struct device *dev, dma_addr_t dma);
dma_addr_t xen_arm_mmio_to_bus(struct device *dev, phys_addr_t phys,
			       size_t size);
bool xen_arm_span(struct device *dev, u64 limit, unsigned int nr,
		  struct xen_span *span);
u64 xen_arm_last_bus(struct device *dev, u64 highest);
u64 xen_arm_required_mask(struct device *dev);
u64 xen_arm_last_of_machine(void);
bool xen_arm_is_lost(phys_addr_t phys);
bool xen_arm_is_contiguous(struct device *dev, phys_addr_t phys, size_t size);
bool xen_arm_bus_to_phys(struct device *dev, dma_addr_t dma, phys_addr_t *phys);

void xen_dma_forget_foreign(unsigned long pfn);

struct seq_file;
void xen_arm_show_ranges(struct seq_file *s);
void xen_arm_show_caches(struct seq_file *s);

/**
 * xen_coherent_page() - a page of coherent memory
 * @vaddr:	what dma_alloc_coherent() returned
 * @i:		which of its pages
 *
 * The bus address does not tell: it is one of the machine.
 *
 * Context: Any.
 * Return: The page.
 */
static inline struct page *xen_coherent_page(void *vaddr, unsigned long i)
{
	vaddr += i << PAGE_SHIFT;
	return is_vmalloc_addr(vaddr) ? vmalloc_to_page(vaddr) :
					virt_to_page(vaddr);
}

/* x86: memory that comes is in pieces, and is put together. */
#ifdef CONFIG_XEN_DMA_DEFRAG
void xen_dma_memory_came(void);
#else
static inline void xen_dma_memory_came(void)
{
}
#endif

/* Pages are about to be given back to the hypervisor, or have been given by it. */
#if defined(CONFIG_XEN) && (defined(CONFIG_ARM) || defined(CONFIG_ARM64))
void xen_dma_pages_leave(void);
int xen_dma_pages_left(const xen_pfn_t *frames, int nr);
int xen_dma_pages_return(const xen_pfn_t *frames, int nr);
#elif defined(CONFIG_XEN)
static inline void xen_dma_pages_leave(void)
{
}

static inline int xen_dma_pages_left(const xen_pfn_t *frames, int nr)
{
	return nr;
}

static inline int xen_dma_pages_return(const xen_pfn_t *frames, int nr)
{
	if (nr > 0)
		xen_dma_memory_came();
	return nr;
}
#endif

#ifdef CONFIG_XEN_DMA_FAIL_EXCHANGE
/*
 * Faults of these hypercalls, of single extents in an exchange, and of what is said of
 * one that was done.
 */
extern struct fault_attr xen_fail_call;
extern struct fault_attr xen_fail_extent;
extern struct fault_attr xen_fail_report;
#endif

extern const struct dma_map_ops xen_swiotlb_dma_ops;

#endif /* __LINUX_SWIOTLB_XEN_H */
