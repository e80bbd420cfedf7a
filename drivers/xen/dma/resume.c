// SPDX-License-Identifier: GPL-2.0
/*
 * A domain that was saved and restored, or migrated, has other frames behind its pages.
 *
 * It had no device meanwhile, for the toolstack refuses to save one that has. But one may
 * be attached later, and must not be given an address from before. So chunks of the pool
 * and regions of coherent memory are compared with the frames that they have now. A
 * domain that was only suspended, as dom0 is by S3, still has its frames, and nothing
 * happens.
 *
 * Nothing is exchanged while the domain is saved: tasks are frozen, and so are the workers.
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/init.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/sizes.h>

#include <xen/xen-ops.h>
#include <xen/xen.h>

#include "pool.h"
#include "region-release.h"

static int resume(struct notifier_block *nb, unsigned long action, void *data)
{
	unsigned long moved = xen_regions_revise();
	size_t lost = xen_pool_revise();

	if (moved)
		pr_info("coherent memory of %lu pages is used, but the domain has moved\n",
			moved);
	if (lost)
		pr_warn("the domain has moved, and %zu KiB of the aperture are lost: Xen has no such memory here, or it was used\n",
			lost / SZ_1K);
	return NOTIFY_OK;
}

static struct notifier_block resume_nb = {
	.notifier_call = resume,
};

static int __init xen_dma_resume_init(void)
{
	if (xen_pv_domain())
		xen_resume_notifier_register(&resume_nb);
	return 0;
}
core_initcall(xen_dma_resume_init);
