// SPDX-License-Identifier: GPL-2.0
/*
 * Asking the hypervisor where the memory of an ARM domain is, by the hypercall that it has
 * for that, where it has it.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/printk.h>

#include <xen/bus-ranges.h>
#include <xen/dma-extents.h>
#include <xen/page.h>

#include <asm/xen/hypercall.h>

#include "arm.h"
#include "arm-extents.h"

static int ask(struct xen_dma_extents *ask)
{
	return HYPERVISOR_memory_op(XENMEM_dma_extents, ask);
}

/**
 * xen_ask_at_boot() - ask where all of the domain's memory is
 * @table:	an empty table, which is filled and sealed
 *
 * An answer that makes no sense counts: somebody has to be told, and nobody else is asked.
 *
 * Context: Boot.
 * Return: Whether there was an answer.
 */
bool __init xen_ask_at_boot(struct xen_bus_table *table)
{
	const char *wrong = NULL;
	unsigned int i;
	u32 flags = 0;
	int rc = xen_ram.nr ? 0 : -ENODATA;

	for (i = 0; !rc && i < xen_ram.nr; i++)
		rc = xen_read_extents(table, &xen_ram.range[i], ask, &flags,
				      &wrong);
	if (!rc && !(flags & XENMEM_DMA_TRANSLATED)) {
		xen_source = flags & XENMEM_DMA_MIXED ? XEN_DMA_MIXED :
							XEN_DMA_ASKED;
		return true;
	}

	xen_bus_free(table);
	if (wrong) {
		pr_err("what the hypervisor answers: %s, DMA is refused\n",
		       wrong);
		xen_source = XEN_DMA_WRONG;
		return true;
	}
	if (!rc) {
		xen_source = XEN_DMA_TRANSLATED;
		return true;
	}
	/* With others it says that it can't, or won't, tell. */
	if (rc == -EFAULT || rc == -EINVAL || rc == -ENOMEM)
		pr_warn("asked where memory is, the hypervisor answers error %d\n",
			rc);
	return false;
}
