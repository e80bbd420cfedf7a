// SPDX-License-Identifier: GPL-2.0
/*
 * Who is bounced for being in pieces, by size; and the call that wakes the worker which
 * may do something about that (defrag.c).
 *
 * This costs nothing to those who are not in pieces. The worker is woken once; then the next
 * one who straddles wakes it after it has asked for it again.
 */
#include <linux/compiler.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/percpu.h>

#include "addr.h"
#include "defrag-policy.h"
#include "defrag.h"

/* The first one is for those that are larger than any extent: a single page is never in pieces. */
static DEFINE_PER_CPU(unsigned long [XEN_DEFRAG_ORDERS], straddled);

/* What is called, and whether the next one is to call it. */
static void (*wake)(void);
static bool armed;

/**
 * xen_note_straddle() - a device can't use a buffer in place, for it is in pieces
 * @size:	bytes, from the beginning of the first page on
 *
 * Context: Any.
 */
void xen_note_straddle(size_t size)
{
	unsigned int order = get_order(size);
	void (*call)(void);

	if (order > XEN_DEFRAG_MAX_ORDER)
		order = 0;
	this_cpu_inc(straddled[order]);
	if (!order || likely(!READ_ONCE(armed)))
		return;
	WRITE_ONCE(armed, false);
	call = READ_ONCE(wake);
	if (call)
		call();
}

/**
 * xen_straddled() - how many buffers were in pieces
 * @order:	log2 of their pages, rounded up; 0 for those that no extent is large enough for
 *
 * Context: Any.
 * Return: Since boot, of all CPUs.
 */
unsigned long xen_straddled(unsigned int order)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(straddled, cpu)[order]);

	return sum;
}

/**
 * xen_defrag_call() - what the next buffer that is in pieces is to call
 * @call:	called in any context, by more than one at a time if need be; NULL for
 *		nothing
 *
 * Context: Any.
 */
void xen_defrag_call(void (*call)(void))
{
	WRITE_ONCE(wake, call);
	WRITE_ONCE(armed, !!call);
}

/**
 * xen_defrag_rearm() - have the next one call again
 *
 * Context: Any.
 */
void xen_defrag_rearm(void)
{
	WRITE_ONCE(armed, !!READ_ONCE(wake));
}
