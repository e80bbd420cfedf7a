// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's first chunks, of memory that is found as it becomes known.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/swiotlb.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "arm.h"
#include "params.h"
#include "pool.h"

/* This share of the memory is to begin with. */
#define SETUP_SHARE	32

/* So much of it is waited for where not all memory is known yet. Bytes. */
#define SETUP_FIRST	SZ_4M

/* Bytes that it is to have, and that it has got. */
static size_t wanted;
static size_t done;

static void say_once(void)
{
	static bool said;

	if (said)
		return;
	said = true;
	if (done)
		xen_pool_report(done);
	else
		pr_warn("no memory for an aperture of %zu bytes\n", wanted);
}

/**
 * xen_aperture_fill() - make what is still missing of the aperture
 *
 * Of the lowest memory in the machine that is known, in pieces as large as there are, from
 * one range or from several. When it is complete, or all memory is known, a line says what
 * came of it.
 *
 * Context: Process, may sleep; under xen_dma_mutex.
 */
void xen_aperture_fill(void)
{
	const struct xen_span all = { .last = DMA_BIT_MASK(XEN_WIDEST_BITS) };
	unsigned int order = XEN_CHUNK_MAX_ORDER;

	if (!wanted)
		return;

	while (done < wanted && order >= XEN_CHUNK_MIN_ORDER) {
		size_t bytes = PAGE_SIZE << order;

		if (bytes > wanted - done ||
		    xen_pool_grow(&all, order, XEN_CHUNK_BOOT,
				  GFP_KERNEL | __GFP_NORETRY))
			order--;
		else
			done += bytes;
	}
	if (done == wanted || !xen_is_learning())
		say_once();
}

/**
 * xen_aperture_setup() - make an aperture of the domain's own memory
 *
 * Where nothing can be exchanged. Where not all memory is known yet, a part of it will do,
 * and who asks about memory adds the rest.
 *
 * Context: Process, may sleep; under xen_dma_mutex, before any device uses the aperture.
 */
void xen_aperture_setup(void)
{
	u64 share = (u64)totalram_pages() * PAGE_SIZE / SETUP_SHARE;
	size_t size = xen_pool_size ?:
		      min_t(u64, share, IO_TLB_DEFAULT_SIZE);

	if (xen_pool_init()) {
		pr_err("no memory for the aperture's table\n");
		return;
	}

	wanted = max_t(size_t, round_down(size, PAGE_SIZE << XEN_CHUNK_MIN_ORDER),
		       PAGE_SIZE << XEN_CHUNK_MIN_ORDER);
	do
		xen_aperture_fill();
	while (done < min_t(size_t, wanted, SETUP_FIRST) && xen_learn_on());
}
