/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Regions: contiguous memory that came from the hypervisor, used or kept. See
 * regions.c.
 */
#ifndef __XEN_DMA_REGIONS_H
#define __XEN_DMA_REGIONS_H

#include <linux/list.h>
#include <linux/llist.h>
#include <linux/types.h>

struct page;
struct xen_coherent_usage;

/* 4 GiB at most; what Xen gives a domain in one extent is less by default. */
#define XEN_NR_ORDERS		21

/* Memory within this width is scarce. */
#define XEN_LOW_WIDTH		32
#define XEN_ANY_WIDTH		64

/**
 * struct xen_region - exchanged, contiguous memory
 * @hash:	in the table of all
 * @bucket:	cached: in the list of its order and width
 * @age:	cached: in the list of all, the oldest first
 * @doomed:	nobody's: in the list of those to be dissolved
 * @pages:	each page when there is more than one block of the page allocator's,
 *		else NULL
 * @page:	the first page
 * @vaddr:	where the kernel sees it, NULL for nowhere
 * @bus:	bus address of the first byte
 * @kept_since:	cached: when it was freed, in jiffies
 * @order:	log2 of its pages
 * @width:	of the last byte's bus address, in bits
 * @wanted:	the width that it was made for
 * @exchanged:	its frames came from the hypervisor
 * @linear:	its pages follow each other for the kernel
 * @moved:	the domain has moved: @bus is only its name
 */
struct xen_region {
	struct hlist_node hash;
	struct hlist_node bucket;
	union {
		struct list_head age;
		struct llist_node doomed;
	};
	struct page **pages;
	struct page *page;
	void *vaddr;
	dma_addr_t bus;
	unsigned long kept_since;
	u8 order;
	u8 width;
	u8 wanted;
	bool exchanged;
	bool linear;
	bool moved;
};

static inline unsigned long xen_region_pages(const struct xen_region *region)
{
	return 1UL << region->order;
}

struct xen_region *xen_region_add(const struct xen_region *made, gfp_t gfp);
void xen_region_del(struct xen_region *region);
void xen_region_discard(struct xen_region *region);

struct xen_region *xen_region_take(unsigned int order, unsigned int width);
struct xen_region *xen_region_take_any(unsigned int order,
				       unsigned int last_order, u64 limit,
				       bool mapped);
void xen_region_put(struct xen_region *region, bool unused);
int xen_region_end_use(const struct page *page, const void *vaddr,
		       dma_addr_t bus, unsigned long limit,
		       struct xen_region **left);
int xen_region_find(const struct page *page, const void *vaddr, dma_addr_t bus,
		    unsigned long nr, struct page ***pages);

struct xen_region *xen_region_take_oldest(unsigned long limit);
struct xen_region *xen_region_take_within(unsigned int width);
struct xen_region *xen_region_take_aged(unsigned long age);
struct xen_region *xen_region_take_moved(void);
void xen_region_return(struct xen_region *region);

unsigned long xen_regions_mark_moved(void);
unsigned long xen_regions_kept(void);
void xen_regions_usage(struct xen_coherent_usage *usage);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* For the tests: the hypervisor may have high memory again. */
void xen_regions_forget_low(void);
#endif

#endif /* __XEN_DMA_REGIONS_H */
