// SPDX-License-Identifier: GPL-2.0
/*
 * What debugfs shows on ARM only: "ranges" is the translation, "caches" counts the pages
 * that Xen has done cache maintenance on.
 */
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/seq_file.h>

#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "arm.h"

static int ranges_show(struct seq_file *s, void *unused)
{
	xen_arm_show_ranges(s);
	xen_learn_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ranges);

static int caches_show(struct seq_file *s, void *unused)
{
	xen_arm_show_caches(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(caches);

/**
 * xen_addr_debugfs() - show what is known of where memory is
 * @dir:	debugfs directory
 *
 * Context: Process.
 */
void __init xen_addr_debugfs(struct dentry *dir)
{
	debugfs_create_file("ranges", 0400, dir, NULL, &ranges_fops);
	debugfs_create_file("caches", 0400, dir, NULL, &caches_fops);
}
