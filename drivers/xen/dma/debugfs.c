// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's figures in debugfs, under xen-dma/.
 *
 * "bounces" counts mappings by the reason they were bounced for, "devices" does so for
 * each device and tells what it holds. "aperture" lists the chunks with their bus
 * addresses and use, "usage" sums up what slots are used for. "coherent" tells what has
 * become of exchanged memory, "exchanges" how long that took. On ARM "ranges" is the
 * translation, and "caches" counts the pages that Xen has done cache maintenance on.
 * "defrag" tells what has become of free memory that was in pieces (defrag.c).
 * "fail_call" and "fail_extent" make exchanges fail, "fail_report" only says so.
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/seq_file.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "aperture.h"
#include "coherent.h"
#include "defrag.h"
#include "exchange-stats.h"
#include "pool.h"
#include "stats.h"

static int bounces_show(struct seq_file *s, void *unused)
{
	struct xen_bounce_counts sum;
	enum xen_bounce_reason why;

	xen_bounces_of_all(&sum);
	for (why = XEN_BOUNCE_NONE + 1; why < XEN_BOUNCE_REASONS; why++)
		seq_printf(s, "%s %llu\n", xen_bounce_names[why],
			   sum.by[why].mappings);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(bounces);

static int devices_show(struct seq_file *s, void *unused)
{
	xen_stats_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(devices);

static int aperture_show(struct seq_file *s, void *unused)
{
	xen_pool_show_chunks(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(aperture);

static int usage_show(struct seq_file *s, void *unused)
{
	xen_pool_show_usage(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(usage);

static int coherent_show(struct seq_file *s, void *unused)
{
	xen_coherent_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(coherent);

#ifdef CONFIG_XEN_PV
static int exchanges_show(struct seq_file *s, void *unused)
{
	xen_exchanges_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(exchanges);

static void __init create_exchanges(struct dentry *dir)
{
	debugfs_create_file("exchanges", 0400, dir, NULL, &exchanges_fops);
}
#else
static void __init create_exchanges(struct dentry *dir)
{
}
#endif

#ifdef CONFIG_XEN_DMA_DEFRAG
static int defrag_show(struct seq_file *s, void *unused)
{
	xen_defrag_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(defrag);

static void __init create_defrag(struct dentry *dir)
{
	debugfs_create_file("defrag", 0400, dir, NULL, &defrag_fops);
}
#else
static void __init create_defrag(struct dentry *dir)
{
}
#endif

#ifdef CONFIG_XEN_DMA_FAIL_EXCHANGE
static void __init create_faults(struct dentry *dir)
{
	fault_create_debugfs_attr("fail_call", dir, &xen_fail_call);
	fault_create_debugfs_attr("fail_extent", dir, &xen_fail_extent);
	fault_create_debugfs_attr("fail_report", dir, &xen_fail_report);
}
#else
static void __init create_faults(struct dentry *dir)
{
}
#endif

static int __init xen_dma_debugfs_init(void)
{
	struct dentry *dir;

	if (!xen_dma_domain())
		return 0;

	dir = debugfs_create_dir("xen-dma", NULL);
	debugfs_create_file("bounces", 0400, dir, NULL, &bounces_fops);
	debugfs_create_file("devices", 0400, dir, NULL, &devices_fops);
	debugfs_create_file("aperture", 0400, dir, NULL, &aperture_fops);
	debugfs_create_file("usage", 0400, dir, NULL, &usage_fops);
	debugfs_create_file("coherent", 0400, dir, NULL, &coherent_fops);
	create_exchanges(dir);
	create_defrag(dir);
	xen_addr_debugfs(dir);
	create_faults(dir);

	return 0;
}
late_initcall(xen_dma_debugfs_init);
