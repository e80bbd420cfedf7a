// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's first chunks, of memory that is found.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/swiotlb.h>

#include <xen/swiotlb-xen.h>

#include "params.h"
#include "pool.h"

/* This share of the memory is to begin with. */
#define SETUP_SHARE	32

/**
 * xen_aperture_setup() - make an aperture of the domain's own memory
 *
 * Where nothing can be exchanged. The lowest memory in the machine is taken, in
 * pieces as large as there are, from one range or from several.
 *
 * Context: Process, may sleep; before any device uses the aperture.
 */
void xen_aperture_setup(void)
{
	u64 share = (u64)totalram_pages() * PAGE_SIZE / SETUP_SHARE;
	size_t size = xen_pool_size ?:
		      min_t(u64, share, IO_TLB_DEFAULT_SIZE);
	const struct xen_span all = { .last = DMA_BIT_MASK(XEN_WIDEST_BITS) };
	unsigned int order = XEN_CHUNK_MAX_ORDER;
	size_t done = 0;

	if (xen_pool_init()) {
		pr_err("no memory for the aperture's table\n");
		return;
	}

	size = max_t(size_t, size, PAGE_SIZE << XEN_CHUNK_MIN_ORDER);
	while (order >= XEN_CHUNK_MIN_ORDER) {
		size_t bytes = PAGE_SIZE << order;

		if (bytes > size - done ||
		    xen_pool_grow(&all, order, XEN_CHUNK_BOOT,
				  GFP_KERNEL | __GFP_NORETRY))
			order--;
		else
			done += bytes;
	}
	if (done)
		xen_pool_report(done);
	else
		pr_warn("no memory for an aperture of %zu bytes\n", size);
}
