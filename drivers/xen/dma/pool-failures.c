// SPDX-License-Identifier: GPL-2.0
/*
 * Growth that has failed: it is not tried again for a second, for those who want it may come
 * by the thousand.
 *
 * What was wanted is told by its addresses in the machine. Where they begin at 0 it goes by
 * their width; of other windows a few are remembered, and a new one takes the place of another.
 * Nobody takes a lock: who reads while another writes tries once too often, or waits for a
 * second that was over.
 */
#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/string.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "contig.h"
#include "pool.h"

/* How many windows are remembered, as a power of two. */
#define XEN_WINDOWS_SHIFT	4

/**
 * struct xen_pool_failure - growth that has failed
 * @span:	where it was to be
 * @until:	when it may be tried again, in jiffies; they don't wrap around
 * @order:	the smallest chunk that could not be had, log2 of its pages
 */
struct xen_pool_failure {
	struct xen_span span;
	u64 until;
	unsigned int order;
};

/* By the width, then the windows; of the worker and of those who could not wait for it. */
static struct xen_pool_failure
failures[2][XEN_WIDEST_BITS + 1 + BIT(XEN_WINDOWS_SHIFT)];

static struct xen_pool_failure *failure_of(bool atomic, const struct xen_span *span)
{
	if (likely(!span->first))
		return &failures[atomic][xen_limit_bits(span->last)];

	return &failures[atomic][XEN_WIDEST_BITS + 1 +
				 hash_64(span->first ^ rol64(span->last, 32),
					 XEN_WINDOWS_SHIFT)];
}

/**
 * xen_pool_has_failed() - has growth just failed?
 * @atomic:	of those who can't wait, rather than of the worker
 * @span:	where it is to be in the machine
 * @order:	log2 of its pages
 * @now:	the time, in jiffies
 *
 * That a large chunk can't be had says nothing of small ones, nor what can't be had at once
 * of what the worker gets.
 *
 * Context: Any.
 * Return: Whether it has.
 */
bool xen_pool_has_failed(bool atomic, const struct xen_span *span,
			 unsigned int order, u64 now)
{
	const struct xen_pool_failure *failure = failure_of(atomic, span);

	return READ_ONCE(failure->span.first) == span->first &&
	       (!span->first || READ_ONCE(failure->span.last) == span->last) &&
	       order >= READ_ONCE(failure->order) &&
	       time_before64(now, READ_ONCE(failure->until));
}

/**
 * xen_pool_note_failure() - note that growth has failed
 * @atomic:	of those who can't wait, rather than of the worker
 * @span:	where it was to be in the machine
 * @order:	log2 of the smallest chunk's pages
 * @now:	the time, in jiffies
 *
 * Context: Any.
 */
void xen_pool_note_failure(bool atomic, const struct xen_span *span,
			   unsigned int order, u64 now)
{
	struct xen_pool_failure *failure = failure_of(atomic, span);

	WRITE_ONCE(failure->span.first, span->first);
	WRITE_ONCE(failure->span.last, span->last);
	WRITE_ONCE(failure->order, order);
	WRITE_ONCE(failure->until, now + HZ);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
void xen_pool_forget_failures(void)
{
	memset(failures, 0, sizeof(failures));
}
#endif
