/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of regions that are freed; see region-release.c.
 */
#ifndef __XEN_DMA_REGION_RELEASE_H
#define __XEN_DMA_REGION_RELEASE_H

#include <linux/types.h>

struct page;
struct xen_coherent_usage;
struct xen_region;

int xen_region_free(const struct page *page, const void *vaddr, dma_addr_t bus);
void xen_region_remove(struct xen_region *region);
void xen_region_untake(struct xen_region *region);
bool xen_regions_give_back(unsigned int width);
unsigned long xen_regions_revise(void);

void xen_note_hopeless(unsigned int order, unsigned int width);
bool xen_is_hopeless(unsigned int order, unsigned int width);
void xen_release_usage(struct xen_coherent_usage *usage);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* For the tests: the hypervisor may take memory again. */
void xen_release_forget(void);
#endif

#endif /* __XEN_DMA_REGION_RELEASE_H */
