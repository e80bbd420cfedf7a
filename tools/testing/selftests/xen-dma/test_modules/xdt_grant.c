// SPDX-License-Identifier: GPL-2.0
/*
 * Grants of one's own pages to oneself, which tell where they are in the machine,
 * and pages that the kernel takes for another domain's.
 *
 * To look at a page, its grant is mapped at a frame outside RAM, in the middle of the
 * space that the device tree gives for the grant table, which begins there; the driver looks
 * at the end. Mapped over a page of RAM it would take the place of that page, which then
 * comes back somewhere else.
 */
#include <linux/err.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/slab.h>

#include <asm/xen/hypercall.h>

#include <xen/interface/event_channel.h>
#include <xen/page.h>
#include <xen/xen.h>

#include "xdt.h"
#include "xdt_grant.h"

/* The least that the space has to have, in pages. */
#define XDT_SPACE	4

/* How much memory is searched for some above an address, in bytes. */
#define XDT_SEARCH	(512UL << 20)

/* An odd stride, in pages, so that neighbours are not granted as neighbours. */
#define XDT_STRIDE	7

static bool iommu;
module_param(iommu, bool, 0444);
MODULE_PARM_DESC(iommu, "devices are behind an IOMMU that the hypervisor has set up: they use guest-physical addresses");

/* The spare frame is one. */
static DEFINE_MUTEX(spare_lock);
static phys_addr_t spare;
static domid_t self;

/* The domain's number, which no interface tells outright: an event channel does. */
static int find_self(void)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = DOMID_SELF,
	};
	struct evtchn_status status = { .dom = DOMID_SELF };
	struct evtchn_close close = { };
	int ret;

	ret = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);
	if (ret)
		return ret;
	status.port = alloc.port;
	close.port = alloc.port;
	ret = HYPERVISOR_event_channel_op(EVTCHNOP_status, &status);
	HYPERVISOR_event_channel_op(EVTCHNOP_close, &close);
	if (ret)
		return ret;
	if (status.status != EVTCHNSTAT_unbound)
		return -ENODEV;
	self = status.u.unbound.dom;
	return 0;
}

static int find_spare(void)
{
	struct device_node *node;
	struct resource res;
	int ret;

	node = of_find_compatible_node(NULL, NULL, "xen,xen");
	if (!node)
		return -ENODEV;
	ret = of_address_to_resource(node, 0, &res);
	of_node_put(node);
	if (ret)
		return ret;
	if (resource_size(&res) < XDT_SPACE * PAGE_SIZE)
		return -ENOSPC;
	spare = res.start + PAGE_ALIGN_DOWN(resource_size(&res) / 2);
	return 0;
}

static int look(grant_ref_t ref, u64 *machine)
{
	struct gnttab_map_grant_ref map = {
		.host_addr = spare,
		.flags = GNTMAP_host_map,
		.ref = ref,
		.dom = self,
	};
	struct gnttab_unmap_grant_ref unmap = { .host_addr = spare };
	int ret;

	ret = HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, &map, 1);
	if (ret)
		return ret;
	if (map.status != GNTST_okay)
		return -ENXIO;
	*machine = map.dev_bus_addr;
	unmap.handle = map.handle;
	ret = HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
	return ret ?: unmap.status == GNTST_okay ? 0 : -EIO;
}

/**
 * xdt_selfgrant() - where a page of ours is in the machine
 * @phys: guest-physical address
 * @machine: its machine address
 *
 * Context: may sleep.
 * Return: 0; -ENXIO when no page of ours is there; -EIO when the hypervisor does
 * not take its mapping down again, else its or the kernel's error.
 */
int xdt_selfgrant(phys_addr_t phys, u64 *machine)
{
	int ref, ret;

	mutex_lock(&spare_lock);
	ref = gnttab_grant_foreign_access(self, pfn_to_gfn(PHYS_PFN(phys)), 0);
	ret = ref;
	if (ref >= 0) {
		ret = look(ref, machine);
		*machine += offset_in_page(phys);
		if (gnttab_end_foreign_access_ref(ref))
			gnttab_free_grant_reference(ref);
		else
			ret = ret ?: -EIO;
	}
	mutex_unlock(&spare_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(xdt_selfgrant);

/**
 * xdt_has_iommu() - whether an IOMMU translates for devices
 *
 * Return: true when scripts say so.
 */
bool xdt_has_iommu(void)
{
	return iommu;
}
EXPORT_SYMBOL_GPL(xdt_has_iommu);

/**
 * xdt_truth() - where a device finds a page of ours
 * @phys: guest-physical address
 * @bus: the address for the device
 *
 * Context: may sleep.
 * Return: as xdt_selfgrant().
 */
int xdt_truth(phys_addr_t phys, u64 *bus)
{
	if (!iommu)
		return xdt_selfgrant(phys, bus);
	*bus = phys;
	return 0;
}
EXPORT_SYMBOL_GPL(xdt_truth);

/**
 * xdt_foreign_map() - map a foreign page
 * @foreign: foreign pages
 * @i: which one; it is not mapped
 *
 * Context: may sleep.
 * Return: 0; -ENXIO when the hypervisor refuses, else the kernel's error.
 */
int xdt_foreign_map(struct xdt_foreign *foreign, unsigned int i)
{
	struct xdt_foreign_page *page = &foreign->page[i];
	struct gnttab_map_grant_ref map = { };
	void *addr = page_address(foreign->pages[i]);
	int ret;

	gnttab_set_map_op(&map, (unsigned long)addr, GNTMAP_host_map,
			  page->ref, foreign->domid);
	ret = gnttab_map_refs(&map, NULL, &foreign->pages[i], 1);
	if (ret)
		return ret;
	if (map.status != GNTST_okay)
		return -ENXIO;
	page->handle = map.handle;
	page->bus = iommu ? page_to_phys(foreign->pages[i]) : map.dev_bus_addr;
	return 0;
}
EXPORT_SYMBOL_GPL(xdt_foreign_map);

/**
 * xdt_foreign_unmap() - take a foreign page away
 * @foreign: foreign pages
 * @i: which one; it is mapped, but not for DMA
 *
 * Context: may sleep.
 * Return: 0; -EIO when the hypervisor refuses, else the kernel's error.
 */
int xdt_foreign_unmap(struct xdt_foreign *foreign, unsigned int i)
{
	struct xdt_foreign_page *page = &foreign->page[i];
	struct gnttab_unmap_grant_ref unmap = { };
	void *addr = page_address(foreign->pages[i]);
	int ret;

	gnttab_set_unmap_op(&unmap, (unsigned long)addr, GNTMAP_host_map,
			    page->handle);
	ret = gnttab_unmap_refs(&unmap, NULL, &foreign->pages[i], 1);
	if (ret)
		return ret;
	if (unmap.status != GNTST_okay)
		return -EIO;
	page->handle = INVALID_GRANT_HANDLE;
	return 0;
}
EXPORT_SYMBOL_GPL(xdt_foreign_unmap);

static bool is_above(struct page *block, unsigned int order, u64 above)
{
	unsigned int i;
	u64 bus;

	for (i = 0; above && i < 1 << order; i++)
		if (xdt_truth(page_to_phys(block + i), &bus) || bus < above)
			return false;
	return true;
}

static struct page *block_above(unsigned int order, u64 above)
{
	struct page *block, *next, *found = NULL;
	LIST_HEAD(others);
	size_t searched;

	for (searched = 0; searched < XDT_SEARCH && !found;
	     searched += PAGE_SIZE << order) {
		block = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY,
				    order);
		if (!block)
			break;
		if (is_above(block, order, above))
			found = block;
		else
			list_add(&block->lru, &others);
	}
	list_for_each_entry_safe(block, next, &others, lru) {
		list_del(&block->lru);
		__free_pages(block, order);
	}
	return found;
}

static struct xdt_foreign *new_foreign(domid_t domid, unsigned int nr)
{
	struct xdt_foreign *foreign;
	unsigned int i;

	foreign = kzalloc_obj(*foreign);
	if (!foreign)
		return NULL;
	foreign->domid = domid;
	foreign->pages = kcalloc(nr, sizeof(*foreign->pages), GFP_KERNEL);
	foreign->page = kcalloc(nr, sizeof(*foreign->page), GFP_KERNEL);
	if (!foreign->pages || !foreign->page ||
	    gnttab_alloc_pages(nr, foreign->pages)) {
		kfree(foreign->pages);
		kfree(foreign->page);
		kfree(foreign);
		return NULL;
	}
	foreign->nr = nr;
	for (i = 0; i < nr; i++)
		foreign->page[i].handle = INVALID_GRANT_HANDLE;
	return foreign;
}

/**
 * xdt_foreign_self() - pages of ours, mapped as foreign ones
 * @nr: how many, a power of two
 * @above: the lowest address at which devices may find them
 *
 * Neighbours among them are not neighbours in the machine.
 *
 * Context: may sleep.
 * Return: the pages; -ENODATA when none is above @above, -ENOMEM, or an error of
 * xdt_foreign_map().
 */
struct xdt_foreign *xdt_foreign_self(unsigned int nr, u64 above)
{
	unsigned int order = get_order(nr * PAGE_SIZE), i;
	struct xdt_foreign *foreign;
	struct page *block;
	int ret = 0, ref;

	block = block_above(order, above);
	if (!block)
		return ERR_PTR(above ? -ENODATA : -ENOMEM);
	foreign = new_foreign(self, nr);
	if (!foreign) {
		__free_pages(block, order);
		return ERR_PTR(-ENOMEM);
	}
	foreign->block = block;
	foreign->order = order;
	for (i = 0; i < nr && !ret; i++) {
		struct page *own = block + i * XDT_STRIDE % nr;

		ref = gnttab_grant_foreign_access(self, xen_page_to_gfn(own),
						  0);
		if (ref < 0) {
			ret = ref;
			break;
		}
		foreign->page[i].own = own;
		foreign->page[i].ref = ref;
		ret = xdt_foreign_map(foreign, i);
	}
	if (ret) {
		xdt_foreign_end(foreign);
		return ERR_PTR(ret);
	}
	return foreign;
}
EXPORT_SYMBOL_GPL(xdt_foreign_self);

/**
 * xdt_foreign_of() - map pages of another domain
 * @domid: the domain
 * @refs: what it has granted
 * @nr: number of @refs
 *
 * Context: may sleep.
 * Return: the pages; -ENOMEM, or an error of xdt_foreign_map().
 */
struct xdt_foreign *xdt_foreign_of(domid_t domid, const grant_ref_t *refs,
				   unsigned int nr)
{
	struct xdt_foreign *foreign = new_foreign(domid, nr);
	unsigned int i;
	int ret;

	if (!foreign)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < nr; i++) {
		foreign->page[i].ref = refs[i];
		ret = xdt_foreign_map(foreign, i);
		if (ret) {
			xdt_foreign_end(foreign);
			return ERR_PTR(ret);
		}
	}
	return foreign;
}
EXPORT_SYMBOL_GPL(xdt_foreign_of);

/**
 * xdt_foreign_end() - take foreign pages away and free all that belongs to them
 * @foreign: the pages, none of which is mapped for DMA any more
 *
 * What the hypervisor does not let go is kept for ever.
 *
 * Context: may sleep.
 * Return: 0; -EIO when something had to be kept.
 */
int xdt_foreign_end(struct xdt_foreign *foreign)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < foreign->nr; i++) {
		struct xdt_foreign_page *page = &foreign->page[i];

		if (page->handle != INVALID_GRANT_HANDLE &&
		    xdt_foreign_unmap(foreign, i))
			ret = -EIO;
		if (!page->own)
			continue;
		if (gnttab_end_foreign_access_ref(page->ref))
			gnttab_free_grant_reference(page->ref);
		else
			ret = -EIO;
	}
	if (!ret) {
		gnttab_free_pages(foreign->nr, foreign->pages);
		if (foreign->block)
			__free_pages(foreign->block, foreign->order);
	}
	kfree(foreign->pages);
	kfree(foreign->page);
	kfree(foreign);
	return ret;
}
EXPORT_SYMBOL_GPL(xdt_foreign_end);

static int __init grant_init(void)
{
	int ret;

	if (!xen_domain())
		return -ENODEV;
	ret = find_spare();
	return ret ?: find_self();
}
module_init(grant_init);

static void __exit grant_exit(void)
{
}
module_exit(grant_exit);

MODULE_DESCRIPTION("DMA tests: where pages are in the machine, and foreign ones");
MODULE_LICENSE("GPL");
