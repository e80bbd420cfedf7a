// SPDX-License-Identifier: GPL-2.0
/*
 * Frames of other domains, on ARM: what a grant maps is displaced for the range
 * table (drivers/xen/dma/arm-ranges.c), and its frame in the machine is noted
 * while it is mapped.
 *
 * The names come from x86 PV, where they stand for the table of all of a domain's
 * memory; here only what is foreign is ever set.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/printk.h>
#include <linux/types.h>

#include <xen/bus-ranges.h>
#include <xen/grant_table.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include <asm/xen/hypercall.h>

/**
 * __pfn_to_mfn() - frame of a foreign page
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * Context: Any.
 * Return: Its frame in the machine; INVALID_P2M_ENTRY for what is not foreign.
 */
unsigned long __pfn_to_mfn(unsigned long pfn)
{
	unsigned long mfn = xen_displaced(pfn);

	return mfn == XEN_IN_PLACE || mfn == XEN_MOVED ? INVALID_P2M_ENTRY : mfn;
}
EXPORT_SYMBOL_GPL(__pfn_to_mfn);

/**
 * __set_phys_to_machine_multi() - note that pages are foreign, or no longer so
 * @pfn:	the first one's frame for the domain, in Xen's pages
 * @mfn:	its frame in the machine, or INVALID_P2M_ENTRY
 * @nr_pages:	how many, one after the other in both
 *
 * Where the domain's own memory was before, it may be anywhere after.
 *
 * Context: Any.
 * Return: false without memory, and then nothing is changed.
 */
bool __set_phys_to_machine_multi(unsigned long pfn, unsigned long mfn,
				 unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++) {
		if (mfn == INVALID_P2M_ENTRY)
			xen_dma_forget_foreign(pfn + i);
		else if (xen_displaced_add(pfn + i, mfn + i,
					   GFP_NOWAIT | __GFP_NOWARN))
			break;
	}
	if (i == nr_pages)
		return true;

	while (i--)
		xen_dma_forget_foreign(pfn + i);
	return false;
}
EXPORT_SYMBOL_GPL(__set_phys_to_machine_multi);

/**
 * __set_phys_to_machine() - the same for one page
 * @pfn:	its frame for the domain, in Xen's pages
 * @mfn:	its frame in the machine, or INVALID_P2M_ENTRY
 *
 * Context: Any.
 * Return: false without memory.
 */
bool __set_phys_to_machine(unsigned long pfn, unsigned long mfn)
{
	return __set_phys_to_machine_multi(pfn, mfn, 1);
}
EXPORT_SYMBOL_GPL(__set_phys_to_machine);

/* A mapping that can't be noted must not stay: a device would miss the page. */
static void drop_mapping(struct gnttab_map_grant_ref *map)
{
	struct gnttab_unmap_grant_ref unmap = {
		.host_addr = map->host_addr,
		.handle = map->handle,
		.dev_bus_addr = map->flags & GNTMAP_device_map ?
				map->dev_bus_addr : 0,
	};
	int rc = HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1);

	if (rc || unmap.status != GNTST_okay)
		pr_err_ratelimited("xen: no memory to note the grant at %#llx, and it can't be unmapped: %d, status %d\n",
				   (u64)map->host_addr, rc, unmap.status);
	map->status = GNTST_general_error;
	map->handle = INVALID_GRANT_HANDLE;
}

/**
 * set_foreign_p2m_mapping() - note what grants have mapped
 * @map_ops:	what the hypervisor has answered
 * @kmap_ops:	unused on ARM
 * @pages:	unused: the frames are in @map_ops
 * @count:	how many
 *
 * An entry that can't be noted is unmapped and gets the status of an error.
 *
 * Context: Any.
 * Return: 0.
 */
int set_foreign_p2m_mapping(struct gnttab_map_grant_ref *map_ops,
			    struct gnttab_map_grant_ref *kmap_ops,
			    struct page **pages, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!map_ops[i].status &&
		    !set_phys_to_machine(XEN_PFN_DOWN(map_ops[i].host_addr),
					 XEN_PFN_DOWN(map_ops[i].dev_bus_addr)))
			drop_mapping(&map_ops[i]);

	return 0;
}

/**
 * clear_foreign_p2m_mapping() - forget what grants had mapped
 * @unmap_ops:	what has been unmapped
 * @kunmap_ops:	unused on ARM
 * @pages:	unused
 * @count:	how many
 *
 * Context: Any.
 * Return: 0.
 */
int clear_foreign_p2m_mapping(struct gnttab_unmap_grant_ref *unmap_ops,
			      struct gnttab_unmap_grant_ref *kunmap_ops,
			      struct page **pages, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		set_phys_to_machine(XEN_PFN_DOWN(unmap_ops[i].host_addr),
				    INVALID_P2M_ENTRY);

	return 0;
}
