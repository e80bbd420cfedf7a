// SPDX-License-Identifier: GPL-2.0
/*
 * Asking the hypervisor where each page of an ARM domain is: the answer to mapping a
 * grant of one's own holds the machine address.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <xen/bus-ranges.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/interface/event_channel.h>
#include <xen/page.h>

#include <asm/xen/hypercall.h>

#include "arm.h"

/* Pages whose grants are mapped by one hypercall. */
#define XEN_PROBE_BATCH		128

/* As many pages in a row at another offset are taken for a range. */
#define XEN_PROBE_RUN		64

/**
 * struct xen_probe - asking the hypervisor where pages are
 * @domid:	our own
 * @window:	guest-physical frame at which grants are mapped, outside all memory
 * @answers:	pages of which Xen told
 * @refs:	grant references
 * @map:	hypercall's arguments
 * @unmap:	likewise
 */
struct xen_probe {
	domid_t domid;
	unsigned long window;
	unsigned long answers;
	int refs[XEN_PROBE_BATCH];
	struct gnttab_map_grant_ref map[XEN_PROBE_BATCH];
	struct gnttab_unmap_grant_ref unmap[XEN_PROBE_BATCH];
};

/* Xen tells a domain who may take the other end of an event channel of its own. */
static int own_domid(domid_t *domid)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = DOMID_SELF,
	};
	struct evtchn_status status = { .dom = DOMID_SELF };
	struct evtchn_close close;
	int rc = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);

	if (rc)
		return rc;

	status.port = alloc.port;
	rc = HYPERVISOR_event_channel_op(EVTCHNOP_status, &status);
	close.port = alloc.port;
	HYPERVISOR_event_channel_op(EVTCHNOP_close, &close);
	if (rc)
		return rc;
	if (status.status != EVTCHNSTAT_unbound)
		return -ENODEV;

	*domid = status.u.unbound.dom;
	return 0;
}

/*
 * The end of the space that the hypervisor's node has for grants; the kernel maps
 * the grant table at its beginning. In the place of a page of the domain's own, a
 * grant would make that one move.
 */
static int find_window(unsigned long *window)
{
	struct device_node *np = of_find_compatible_node(NULL, NULL, "xen,xen");
	struct resource res;
	int rc = np ? of_address_to_resource(np, 0, &res) : -ENODEV;

	of_node_put(np);
	if (rc)
		return rc;
	if (resource_size(&res) < (u64)XEN_PAGE_SIZE *
	    (gnttab_max_grant_frames() + XEN_PROBE_BATCH))
		return -ENXIO;

	*window = XEN_PFN_DOWN(res.end + 1) - XEN_PROBE_BATCH;
	return 0;
}

static void end_grants(struct xen_probe *probe, unsigned int nr)
{
	/* A reference that is still in use must not be used for another page. */
	while (nr--)
		if (gnttab_end_foreign_access_ref(probe->refs[nr]))
			gnttab_free_grant_reference(probe->refs[nr]);
}

static void unmap_grants(struct xen_probe *probe, unsigned int nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++) {
		const struct gnttab_map_grant_ref *map = &probe->map[i];

		if (map->status == GNTST_okay)
			gnttab_set_unmap_op(&probe->unmap[n++], map->host_addr,
					    GNTMAP_host_map, map->handle);
	}
	if (n && HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref,
					   probe->unmap, n))
		pr_warn_once("grants of probed pages can't be unmapped\n");
}

/* Asks where @nr pages are; the answers are in @probe->map. */
static int probe_pages(struct xen_probe *probe, unsigned long pfn,
		       unsigned int nr)
{
	unsigned int i;
	int rc;

	for (i = 0; i < nr; i++) {
		u64 at = (u64)(probe->window + i) << XEN_PAGE_SHIFT;

		rc = gnttab_grant_foreign_access(probe->domid, pfn + i, true);
		if (rc < 0) {
			end_grants(probe, i);
			return rc;
		}
		probe->refs[i] = rc;
		gnttab_set_map_op(&probe->map[i], at,
				  GNTMAP_host_map | GNTMAP_readonly, rc,
				  probe->domid);
		probe->map[i].status = GNTST_general_error;
	}

	rc = HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, probe->map, nr);
	if (!rc)
		unmap_grants(probe, nr);
	end_grants(probe, nr);
	return rc;
}

/**
 * struct xen_runs - making ranges of what pages say
 * @run:	the range that is being made; without a size there is none
 * @next:	pages in a row that are at another offset
 */
struct xen_runs {
	struct xen_bus_range run;
	struct xen_bus_range next;
};

/* A range that has no place in the table is made of pages that are elsewhere. */
static void end_run(struct xen_runs *runs)
{
	const struct xen_bus_range *run = &runs->run;
	u64 phys;

	if (run->size &&
	    xen_bus_add(&xen_table, run->start, run->size, run->offset))
		for (phys = run->start; phys < run->start + run->size;
		     phys += XEN_PAGE_SIZE)
			xen_note_moved(XEN_PFN_DOWN(phys), GFP_KERNEL);
	runs->run.size = 0;
}

/*
 * A page is at @machine, or with @known unset anywhere. One that is not where the
 * range says has moved, until there are so many in a row that they are a range.
 */
static void add_page(struct xen_runs *runs, u64 phys, bool known, u64 machine)
{
	struct xen_bus_range *run = &runs->run, *next = &runs->next;
	u64 offset = machine - phys;

	if (known && run->size && offset == run->offset) {
		run->size = phys + XEN_PAGE_SIZE - run->start;
		next->size = 0;
		return;
	}

	xen_note_moved(XEN_PFN_DOWN(phys), GFP_KERNEL);
	if (!known) {
		next->size = 0;
		return;
	}
	if (!next->size || offset != next->offset) {
		next->start = phys;
		next->size = 0;
		next->offset = offset;
	}
	next->size += XEN_PAGE_SIZE;
	if (next->size < XEN_PROBE_RUN * XEN_PAGE_SIZE)
		return;

	end_run(runs);
	*run = *next;
	next->size = 0;
	for (phys = run->start; phys < run->start + run->size;
	     phys += XEN_PAGE_SIZE)
		xen_displaced_del(XEN_PFN_DOWN(phys));
}

/*
 * Does the hypervisor tell of any page? Where it maps no grants at all, it does not, and
 * nothing is to be taken for moved. Mostly the first pages answer.
 */
static int look_for_answer(struct xen_probe *probe)
{
	unsigned int i, k;

	for (i = 0; i < xen_ram.nr; i++) {
		unsigned long pfn = XEN_PFN_DOWN(xen_ram.range[i].start);
		unsigned long end = pfn + XEN_PFN_DOWN(xen_ram.range[i].size);

		while (pfn < end) {
			unsigned int nr = min_t(unsigned long, XEN_PROBE_BATCH,
						end - pfn);
			int rc = probe_pages(probe, pfn, nr);

			if (rc)
				return rc;
			for (k = 0; k < nr; k++)
				if (probe->map[k].status == GNTST_okay)
					return 0;
			pfn += nr;
			cond_resched();
		}
	}

	return -ENODATA;
}

static int probe_range(struct xen_probe *probe, const struct xen_bus_range *ram)
{
	unsigned long pfn = XEN_PFN_DOWN(ram->start);
	unsigned long end = XEN_PFN_DOWN(ram->start + ram->size);
	struct xen_runs runs = {};

	while (pfn < end) {
		unsigned int nr = min_t(unsigned long, XEN_PROBE_BATCH,
					end - pfn), i;
		int rc = probe_pages(probe, pfn, nr);

		if (rc)
			return rc;
		for (i = 0; i < nr; i++, pfn++)
			add_page(&runs, (u64)pfn << XEN_PAGE_SHIFT,
				 probe->map[i].status == GNTST_okay,
				 probe->map[i].dev_bus_addr);
		cond_resched();
	}

	end_run(&runs);
	return 0;
}

/* Gets ready to ask, or says why it can't. */
static struct xen_probe *begin_probe(void)
{
	struct xen_probe *probe = kzalloc(sizeof(*probe), GFP_KERNEL);
	int rc;

	if (!probe)
		return ERR_PTR(-ENOMEM);

	rc = own_domid(&probe->domid) ?: find_window(&probe->window);
	if (!rc)
		return probe;

	kfree(probe);
	return ERR_PTR(rc);
}

/* Is a page where the table says, or has it moved, or does Xen not tell? */
static bool is_there(struct xen_probe *probe, u64 phys, u64 offset)
{
	const struct gnttab_map_grant_ref *map = &probe->map[0];

	if (xen_displaced(XEN_PFN_DOWN(phys)) != XEN_IN_PLACE ||
	    probe_pages(probe, XEN_PFN_DOWN(phys), 1) ||
	    map->status != GNTST_okay)
		return true;
	probe->answers++;
	if (map->dev_bus_addr == phys + offset)
		return true;

	pr_err("memory at %#llx is at %#llx in the machine, and not at %#llx as %s says: DMA is refused\n",
	       phys, (u64)map->dev_bus_addr, phys + offset,
	       xen_source_names[xen_source]);
	return false;
}

/**
 * xen_verify_memory() - ask whether the table is right
 *
 * About the first and the last page of each range. Where Xen does not answer, the table
 * is believed; with no answer at all there is a message.
 *
 * Context: Process, may sleep; under xen_dma_mutex.
 * Return: False when Xen says otherwise; there is a message then.
 */
bool xen_verify_memory(void)
{
	struct xen_probe *probe = begin_probe();
	unsigned long answers = 0;
	bool right = true;
	unsigned int i;

	if (IS_ERR(probe))
		goto out;

	for (i = 0; right && i < xen_table.nr; i++) {
		const struct xen_bus_range *range = &xen_table.range[i];
		u64 last = range->start + range->size - XEN_PAGE_SIZE;

		right = is_there(probe, range->start, range->offset) &&
			is_there(probe, last, range->offset);
	}
	answers = probe->answers;
	kfree(probe);
out:
	if (!answers)
		pr_warn("what %s says of memory could not be verified\n",
			xen_source_names[xen_source]);
	return right;
}

/**
 * xen_probe_memory() - ask for every page of the domain's memory
 *
 * Context: Process, may sleep; under xen_dma_mutex.
 * Return: 0; -ENODATA when Xen tells of no page; else what failed. There is a message.
 */
int xen_probe_memory(void)
{
	struct xen_probe *probe = begin_probe();
	int rc = PTR_ERR_OR_ZERO(probe);
	unsigned int i;

	if (!rc) {
		rc = look_for_answer(probe);
		for (i = 0; !rc && i < xen_ram.nr; i++)
			rc = probe_range(probe, &xen_ram.range[i]);
		kfree(probe);
	}
	if (rc) {
		xen_table.nr = 0;
		pr_err("the hypervisor does not tell where memory is: error %d\n",
		       rc);
		return rc;
	}

	xen_source = XEN_DMA_PROBED;
	pr_info("probed where memory is: %u ranges\n", xen_table.nr);
	return 0;
}
