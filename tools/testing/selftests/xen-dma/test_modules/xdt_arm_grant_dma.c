// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for grants that devices reach, as display backends take it: the pages that are
 * given back to Xen are those that were allocated, wherever they are for the device.
 *
 * What comes with Linux takes the bus address for the kernel's. Where the two differ its
 * kernel dies of this.
 */
#include <linux/module.h>
#include <linux/vmalloc.h>

#include <xen/grant_table.h>

#include "xdt_arm.h"

static void dma_pages(struct kunit *test)
{
#ifdef CONFIG_XEN_GRANT_DMA_ALLOC
	enum { PAGES = 4 };
	struct page *pages[PAGES] = { };
	xen_pfn_t frames[PAGES];
	struct gnttab_dma_alloc_args args = {
		.dev = xdt_dev(test),
		.coherent = true,
		.nr_pages = PAGES,
		.pages = pages,
		.frames = frames,
	};
	unsigned int i;

	xdt_mask(test, 64);
	KUNIT_ASSERT_EQ(test, 0, gnttab_dma_alloc_pages(&args));
	for (i = 0; i < PAGES; i++) {
		void *at = args.vaddr + i * PAGE_SIZE;

		KUNIT_EXPECT_PTR_EQ(test, pages[i], is_vmalloc_addr(at) ?
				    vmalloc_to_page(at) : virt_to_page(at));
	}
	KUNIT_EXPECT_EQ(test, 0, gnttab_dma_free_pages(&args));
#else
	kunit_skip(test, "the kernel has no CONFIG_XEN_GRANT_DMA_ALLOC");
#endif
}

static struct kunit_case grant_dma_cases[] = {
	KUNIT_CASE(dma_pages),
	{ }
};

static struct kunit_suite grant_dma_suite = {
	.name = "xdt_arm_grant_dma",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = grant_dma_cases,
};

kunit_test_suite(grant_dma_suite);

MODULE_DESCRIPTION("DMA tests for ARM: memory for grants that devices reach");
MODULE_LICENSE("GPL");
