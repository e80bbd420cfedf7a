// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's figures in debugfs, under xen-dma/.
 *
 * "bounces" counts mappings by the reason they were bounced for, "aperture"
 * lists the chunks with their bus addresses and use, "coherent" tells what has
 * become of exchanged memory. On ARM "ranges" is the translation, and "caches"
 * counts the pages that Xen has done cache maintenance on. "fail_call" and
 * "fail_extent" make exchanges fail, "fail_report" only says so.
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/seq_file.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "aperture.h"
#include "bounce.h"
#include "coherent.h"

static const char * const xen_bounce_names[XEN_BOUNCE_REASONS] = {
	[XEN_BOUNCE_MASK]	= "mask",
	[XEN_BOUNCE_STRADDLE]	= "straddle",
	[XEN_BOUNCE_ALIGN]	= "align",
	[XEN_BOUNCE_BOUNDARY]	= "boundary",
	[XEN_BOUNCE_FORCED]	= "forced",
	[XEN_BOUNCE_KMALLOC]	= "kmalloc-align",
	[XEN_BOUNCE_FOREIGN]	= "foreign-noncoherent",
	[XEN_BOUNCE_MOVED]	= "moved",
};

static int bounces_show(struct seq_file *s, void *unused)
{
	enum xen_bounce_reason why;

	for (why = XEN_BOUNCE_NONE + 1; why < XEN_BOUNCE_REASONS; why++)
		seq_printf(s, "%s %lu\n", xen_bounce_names[why],
			   xen_dma_bounces(why));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(bounces);

static int aperture_show(struct seq_file *s, void *unused)
{
	xen_aperture_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(aperture);

static int coherent_show(struct seq_file *s, void *unused)
{
	xen_coherent_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(coherent);

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
	debugfs_create_file("aperture", 0400, dir, NULL, &aperture_fops);
	debugfs_create_file("coherent", 0400, dir, NULL, &coherent_fops);
	xen_addr_debugfs(dir);
	create_faults(dir);

	return 0;
}
late_initcall(xen_dma_debugfs_init);
