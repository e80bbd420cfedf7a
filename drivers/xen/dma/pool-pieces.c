// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's chunks that are smaller than what an entry of its table stands for: blocks of a
 * domain whose memory is in small pieces, down to single pages.
 *
 * Each of their pages has an entry in an xarray. Who finds nothing in the table looks there,
 * once there has been such a chunk; a look-up takes no lock.
 */
#include <linux/mm.h>
#include <linux/xarray.h>

#include "pool.h"

/* By the page's number in the machine. */
static DEFINE_XARRAY_FLAGS(pieces, XA_FLAGS_LOCK_IRQ);

DEFINE_STATIC_KEY_FALSE(xen_pool_in_pieces);

/**
 * xen_pool_allow_pieces() - have chunks that are smaller than a granule
 *
 * Context: Process, may sleep.
 */
void xen_pool_allow_pieces(void)
{
	static_branch_enable(&xen_pool_in_pieces);
}

static void erase(const struct xen_pool_chunk *chunk, size_t size)
{
	unsigned long first = chunk->bus >> PAGE_SHIFT, i;
	unsigned long flags;

	xa_lock_irqsave(&pieces, flags);
	for (i = 0; i < size >> PAGE_SHIFT; i++)
		__xa_erase(&pieces, first + i);
	xa_unlock_irqrestore(&pieces, flags);
}

/**
 * xen_pool_note_piece() - have a small chunk be found
 * @chunk:	chunk, in no zone
 * @gfp:	how to allocate what that takes
 *
 * Context: As @gfp says.
 * Return: 0; -ENOMEM; -ERANGE unless xen_pool_allow_pieces() was called.
 */
int xen_pool_note_piece(struct xen_pool_chunk *chunk, gfp_t gfp)
{
	unsigned long first = chunk->bus >> PAGE_SHIFT, i;

	if (!xen_pool_has_pieces())
		return -ERANGE;

	for (i = 0; i < xen_chunk_size(chunk) >> PAGE_SHIFT; i++) {
		int rc = xa_err(xa_store_irq(&pieces, first + i, chunk, gfp));

		if (rc) {
			erase(chunk, i << PAGE_SHIFT);
			return rc;
		}
	}
	return 0;
}

/**
 * xen_pool_forget_piece() - a small chunk is not to be found any more
 * @chunk:	chunk, in no zone
 *
 * Who has found it may be looking at it until an RCU grace period is over.
 *
 * Context: Any.
 */
void xen_pool_forget_piece(const struct xen_pool_chunk *chunk)
{
	erase(chunk, xen_chunk_size(chunk));
}

/**
 * xen_pool_find_piece() - the small chunk that a machine address lies in
 * @machine:	machine address
 *
 * Context: Any.
 * Return: The chunk, NULL for none.
 */
struct xen_pool_chunk *xen_pool_find_piece(u64 machine)
{
	return xa_load(&pieces, machine >> PAGE_SHIFT);
}

/**
 * xen_pool_next_piece() - the small chunk with the next page
 * @frame:	number of the first page in question; that of the page found goes here
 *
 * A chunk is found once for each of its pages.
 *
 * Context: Any, in an RCU read-side section.
 * Return: The chunk, NULL for none.
 */
struct xen_pool_chunk *xen_pool_next_piece(unsigned long *frame)
{
	return xa_find(&pieces, frame, ULONG_MAX, XA_PRESENT);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* For the tests: there are none any more. */
void xen_pool_forbid_pieces(void)
{
	static_branch_disable(&xen_pool_in_pieces);
}
#endif
