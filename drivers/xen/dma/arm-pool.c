// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's first chunks, of memory that is found as it becomes known: where it
 * is in small pieces, of such.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/swiotlb.h>

#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "arm.h"
#include "params.h"
#include "pool.h"

/* This share of the memory is to begin with. */
#define SETUP_SHARE	32

/* So much of it is waited for where not all memory is known yet. Bytes. */
#define SETUP_FIRST	SZ_4M

/*
 * A device waits for no more than so much memory to be known. If none of that is in pieces as
 * large as chunks mostly are, the aperture begins with this much in smaller ones. Bytes.
 */
#define LOOK_FOR_LARGE	SZ_64M
#define FIRST_PIECES	SZ_1M

/* With less than that no device begins, as long as more may become known. Bytes. */
#define LEAST		SZ_512K

/* Bytes that it is to have, and that it has got. */
static size_t wanted;
static size_t done;

/*
 * One at a time. Taking particular pages may wait for I/O that waits for a page to be known,
 * so this is not xen_dma_mutex.
 */
static DEFINE_MUTEX(fill_mutex);

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

/* Chunks as large as there are. */
static void add_large(const struct xen_span *span)
{
	unsigned int order = XEN_CHUNK_MAX_ORDER;

	while (done < wanted && order >= XEN_CHUNK_MIN_ORDER) {
		size_t bytes = PAGE_SIZE << order;

		if (bytes > wanted - done ||
		    xen_pool_grow(span, order, XEN_CHUNK_BOOT,
				  GFP_KERNEL | __GFP_NORETRY))
			order--;
		else
			done += bytes;
	}
}

/**
 * xen_aperture_fill() - make what is still missing of the aperture
 * @asked:	about so many pages, of Xen's, it has been asked where they are
 *
 * Of the lowest memory in the machine that is known, in pieces as large as there are, from
 * one range or from several. When it is complete, or all memory is known, a line says what
 * came of it.
 *
 * Context: Process, may sleep; after xen_aperture_setup(). Under xen_dma_mutex only when
 * no device is at work yet.
 * Return: Whether a device need not wait for more.
 */
bool xen_aperture_fill(unsigned long asked)
{
	const struct xen_span all = { .last = DMA_BIT_MASK(XEN_WIDEST_BITS) };
	size_t first = min_t(size_t, wanted, SETUP_FIRST);
	size_t least = min_t(size_t, first, LEAST);
	bool large = asked >= LOOK_FOR_LARGE >> XEN_PAGE_SHIFT;
	bool enough;

	if (!wanted)
		return true;

	mutex_lock(&fill_mutex);
	add_large(&all);
	/* They cost each look-up, so they are for who has nothing else. */
	if ((!done || xen_pool_has_pieces()) && done < first && !xen_is_learning())
		done += xen_pool_add_pieces(&all, first - done, XEN_CHUNK_BOOT);
	else if (done < least && large)
		done += xen_pool_add_pieces(&all, FIRST_PIECES, XEN_CHUNK_BOOT);
	if (done == wanted || !xen_is_learning())
		say_once();
	enough = done >= (large ? least : first);
	mutex_unlock(&fill_mutex);

	return enough;
}

/**
 * xen_aperture_setup() - get ready to make an aperture of the domain's own memory
 *
 * Where nothing can be exchanged. xen_aperture_fill() makes it, as memory becomes known.
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
}
