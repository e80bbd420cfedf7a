/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit tests of coherent memory share: memory that devices have, what
 * is wrong with it, and what has been counted. The functions are in
 * coherent-fixture.c; the machine and the devices are those of fixture.h.
 */
#ifndef __XEN_DMA_TESTS_COHERENT_FIXTURE_H
#define __XEN_DMA_TESTS_COHERENT_FIXTURE_H

#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/vmalloc.h>

#include "../coherent.h"
#include "fixture.h"

/* Enough for whatever a case leaves there. */
#define XDC_CACHE	SZ_256M

/* What the hypervisor has above the pages, when it has something there. */
#define XDC_HIGH_START	SZ_8G
#define XDC_HIGH_END	((u64)SZ_8G + SZ_1G)

/* Larger than any block of the page allocator. */
#define XDC_LARGE	(PAGE_SIZE << (MAX_PAGE_ORDER + 1))

/* Free pages that CPUs may have set aside; what leaks is to be more. */
#define XDC_TOLERANCE	4096

/* The device about which messages are counted. */
#define XDC_NOISY	"noisy-device"

/**
 * struct xdc_mem - memory that a device has
 * @dev:	the device
 * @size:	bytes that it asked for
 * @attrs:	and how
 * @is_page:	whether it is of dma_alloc_pages()
 * @cpu:	address, page or cookie; NULL for none
 * @bus:	bus address
 * @key:	pattern that both sides last left in it
 */
struct xdc_mem {
	struct device *dev;
	size_t size;
	unsigned long attrs;
	bool is_page;
	void *cpu;
	dma_addr_t bus;
	u32 key;
};

/**
 * struct xdc_look - what the driver and the machine have counted
 * @usage:	the driver
 * @machine:	the machine
 */
struct xdc_look {
	struct xen_coherent_usage usage;
	struct xen_machine_counts machine;
};

/* Before the case: the cache's bound, and bytes that were in use. */
extern unsigned long xdc_bound;
extern u64 xdc_used;

/* Pages that live, each in one allocation. */
extern unsigned long *xdc_live;

void xdc_look(struct xdc_look *look);
void xdc_did(struct kunit *test, struct xdc_look *was,
	     unsigned long hits, unsigned long made,
	     unsigned long returned, const char *what);
u64 xdc_cached(void);
u64 xdc_pooled(void);

void xdc_set_bound(unsigned long bytes);
unsigned long xdc_shrink(unsigned long nr);
unsigned long xdc_shrink_all(void);

bool xdc_get(struct device *dev, struct xdc_mem *m, size_t size,
	     gfp_t gfp, unsigned long attrs);
bool xdc_get_pages(struct device *dev, struct xdc_mem *m, size_t size,
		   gfp_t gfp);
void xdc_no_longer(const struct xdc_mem *m);
void xdc_free(struct xdc_mem *m);
void xdc_put(struct xdc_mem *m);

const char *xdc_fault(const struct xdc_mem *m, u8 *scratch);
const char *xdc_use(struct xdc_mem *m, u32 key, u8 *scratch);
const char *xdc_lost(const struct xdc_mem *m, u8 *scratch);
const char *xdc_list_fault(const struct xdc_mem *m);

bool xdc_good(struct kunit *test, struct xdc_mem *m, bool got,
	      const char *what);
bool xdc_take(struct kunit *test, struct device *dev, struct xdc_mem *m,
	      size_t size, gfp_t gfp, const char *what);
void xdc_put_all(struct kunit *test, struct xdc_mem *m, unsigned int nr);

struct device *xdc_device(struct kunit *test, unsigned int nr,
			  unsigned int bits);
int xdc_init(struct kunit *test);
void xdc_exit(struct kunit *test);

void xdc_listen(void);
int xdc_said(void);
void xdc_stop_listening(void);

static inline unsigned long xdc_pages(const struct xdc_mem *m)
{
	return PFN_UP(m->size);
}

static inline unsigned long xdc_pfn(const void *cpu)
{
	return is_vmalloc_addr(cpu) ? vmalloc_to_pfn(cpu) :
				      PHYS_PFN(__pa(cpu));
}

static inline u64 xdc_limit(struct device *dev)
{
	return min_not_zero(dev->coherent_dma_mask, dev->bus_dma_limit);
}

#endif /* __XEN_DMA_TESTS_COHERENT_FIXTURE_H */
