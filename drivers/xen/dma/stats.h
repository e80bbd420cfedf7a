/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was bounced for each device: how often, how many bytes, and why. See stats.c.
 */
#ifndef __XEN_DMA_STATS_H
#define __XEN_DMA_STATS_H

#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "decide.h"
#include "pool.h"

struct device;
struct seq_file;

/* So many devices have figures of their own; the first place is of all others. */
#define XEN_MAX_STATS		XEN_NR_OWNERS

/**
 * struct xen_bounce_count - what was bounced for one reason
 * @mappings:	how often: once for a mapping, or a part of a list
 * @bytes:	bytes of these
 */
struct xen_bounce_count {
	u64 mappings;
	u64 bytes;
};

/* The same for all reasons, which come one after the other. */
struct xen_bounce_counts {
	struct xen_bounce_count by[XEN_BOUNCE_REASONS];
};

/**
 * struct xen_device_stats - figures of a device
 * @dev:	the device; NULL when it has been removed, has got another driver, or there was none
 * @counts:	of each CPU
 * @id:		what a slot's descriptor names its owner by
 * @name:	of the device; empty when there was none
 * @driver:	of the device, when it was first seen
 */
struct xen_device_stats {
	const struct device *dev;
	struct xen_bounce_counts __percpu *counts;
	u8 id;
	char name[31];
	char driver[16];
} ____cacheline_aligned_in_smp;

extern const char * const xen_bounce_names[XEN_BOUNCE_REASONS];

DECLARE_PER_CPU(struct xen_device_stats *, xen_last_stats);

struct xen_device_stats *xen_find_stats(const struct device *dev);
void xen_bounces_of_all(struct xen_bounce_counts *sum);
void xen_stats_show(struct seq_file *s);
void xen_stats_name_holder(void);

/**
 * xen_stats_of() - the figures of a device
 * @dev:	device that a mapping is made for
 *
 * A CPU mostly works for one device at a time. Who is preempted here may look at
 * another CPU's last one; what counts is that it is the device's.
 *
 * Context: Any.
 * Return: Its figures, or those of all that have none of their own.
 */
static __always_inline struct xen_device_stats *
xen_stats_of(const struct device *dev)
{
	struct xen_device_stats *stats = this_cpu_read(xen_last_stats);

	if (likely(READ_ONCE(stats->dev) == dev))
		return stats;
	return xen_find_stats(dev);
}

/**
 * xen_count_bounce() - count what was bounced
 * @stats:	of xen_stats_of()
 * @why:	the reason
 * @size:	bytes
 *
 * Context: Any.
 */
static __always_inline void xen_count_bounce(struct xen_device_stats *stats,
					     enum xen_bounce_reason why,
					     size_t size)
{
	struct xen_bounce_count __percpu *count = &stats->counts->by[why];

	this_cpu_inc(count->mappings);
	this_cpu_add(count->bytes, size);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
int xen_stats_reset(void);
void xen_stats_forget(const struct device *dev);
void xen_stats_bind(const struct device *dev);
void xen_stats_flush(void);
#endif

#endif /* __XEN_DMA_STATS_H */
