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
 * Nothing is exchanged while the domain is saved: tasks are frozen, and so are most workers;
 * the shrinker does nothing. Free page reporting may go on (6.12); what it exchanges, it does
 * with preemption off, and the domain is saved where all CPUs may be preempted.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/init.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/sizes.h>

#include <xen/xen-ops.h>
#include <xen/xen.h>

#include "coherent-pool.h"
#include "defrag.h"
#include "pool.h"
#include "region-release.h"

/* CPUs but the first have no timers yet, so this neither sleeps nor waits. */
static int revise(struct notifier_block *nb, unsigned long action, void *data)
{
	unsigned long pages = xen_regions_revise() + xen_pooled_revise();
	size_t lost = xen_pool_revise();

	xen_defrag_moved();
	if (pages)
		pr_warn("coherent memory of %lu pages is used, but the domain has moved\n",
			pages);
	if (lost)
		pr_warn("the domain has moved, and %zu KiB of the aperture are lost: they are used\n",
			lost / SZ_1K);
	return NOTIFY_OK;
}

static struct notifier_block revise_nb = {
	.notifier_call = revise,
};

static int __init xen_dma_resume_init(void)
{
	if (xen_pv_domain())
		xen_resume_notifier_register(&revise_nb);
	return 0;
}
core_initcall(xen_dma_resume_init);
