// SPDX-License-Identifier: GPL-2.0
/*
 * Exchanges with the hypervisor: how many of which order, how many of them failed, and how
 * long they took. Those of order 0 mostly give memory back. An exchange runs to its end whatever
 * else there is to do, so a long one is what somebody who looks for a delay wants to see.
 */
#include <linux/atomic.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/seq_file.h>
#include <linux/time64.h>

#include <trace/events/xen_dma.h>
#include <xen/swiotlb-xen.h>

#include "exchange-stats.h"

/* Larger ones than Xen allows count with the largest. */
#define NR_ORDERS	19

static struct {
	atomic_long_t calls;
	atomic_long_t failed;
	atomic64_t ns;
	atomic64_t longest;
} exchanges[NR_ORDERS];

/**
 * xen_note_exchange() - note an exchange
 * @order:	log2 of the pages of the larger extents, of those given and those got
 * @bits:	width of the addresses that were wanted
 * @done:	extents of that order that were exchanged
 * @result:	0, or an error
 * @ns:		how long it took, nanoseconds; a clock that jumps may make it anything
 *
 * Context: Any, also early in boot.
 */
void xen_note_exchange(unsigned int order, unsigned int bits, unsigned long done,
		       int result, s64 ns)
{
	unsigned int i = min(order, NR_ORDERS - 1U);
	s64 longest = atomic64_read(&exchanges[i].longest);

	ns = max(ns, 0LL);
	trace_xen_dma_exchange(order, bits, done, result, ns);
	atomic_long_inc(&exchanges[i].calls);
	if (result)
		atomic_long_inc(&exchanges[i].failed);
	atomic64_add(ns, &exchanges[i].ns);
	while (ns > longest &&
	       !atomic64_try_cmpxchg(&exchanges[i].longest, &longest, ns))
		;
}

/**
 * xen_exchanges_show() - list the orders of which there were exchanges
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_exchanges_show(struct seq_file *s)
{
	unsigned int i;

	seq_puts(s, "# order calls failed microseconds longest\n");
	for (i = 0; i < NR_ORDERS; i++)
		if (atomic_long_read(&exchanges[i].calls))
			seq_printf(s, "%u %ld %ld %llu %llu\n", i,
				   atomic_long_read(&exchanges[i].calls),
				   atomic_long_read(&exchanges[i].failed),
				   div_u64(atomic64_read(&exchanges[i].ns),
					   NSEC_PER_USEC),
				   div_u64(atomic64_read(&exchanges[i].longest),
					   NSEC_PER_USEC));
}
