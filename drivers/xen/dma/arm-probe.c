// SPDX-License-Identifier: GPL-2.0
/*
 * Asking the hypervisor where each page of an ARM domain is: the answer to mapping a
 * grant of one's own holds the machine address.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <xen/bus-ranges.h>
#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/interface/event_channel.h>
#include <xen/page.h>

#include <asm/xen/hypercall.h>

#include "arm.h"
#include "arm-learn.h"

/* How long pages that come back are waited for, to ask about many at a time. */
#define XEN_ASK_DELAY		HZ

/**
 * struct xen_probe - asking the hypervisor where pages are
 * @asker:	what it is for others
 * @domid:	our own
 * @window:	guest-physical frame at which grants are mapped, outside all memory
 * @refs:	grant references
 * @nr_refs:	how many of them there are
 * @map:	hypercall's arguments
 * @unmap:	likewise
 */
struct xen_probe {
	struct xen_asker asker;
	domid_t domid;
	unsigned long window;
	grant_ref_t refs[XEN_ASK_BATCH];
	unsigned int nr_refs;
	struct gnttab_map_grant_ref map[XEN_ASK_BATCH];
	struct gnttab_unmap_grant_ref unmap[XEN_ASK_BATCH];
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
	    (gnttab_max_grant_frames() + XEN_ASK_BATCH))
		return -ENXIO;

	*window = XEN_PFN_DOWN(res.end + 1) - XEN_ASK_BATCH;
	return 0;
}

static void unmap_grants(struct xen_probe *probe, unsigned int nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++) {
		const struct gnttab_map_grant_ref *map = &probe->map[i];

		if (map->status == GNTST_okay)
			probe->unmap[n++] = (struct gnttab_unmap_grant_ref) {
				.host_addr = map->host_addr,
				.handle = map->handle,
			};
	}
	if (n && HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref,
					   probe->unmap, n))
		pr_warn_once("grants of probed pages can't be unmapped\n");
}

/* A reference that Xen still uses must not be used for another page. */
static int end_grants(struct xen_probe *probe, unsigned int nr)
{
	while (nr--)
		if (!gnttab_end_foreign_access_ref(probe->refs[nr]))
			probe->refs[nr] = probe->refs[--probe->nr_refs];
	return probe->nr_refs == XEN_ASK_BATCH ? 0 : -EBUSY;
}

/*
 * Grants the pages to ourselves, maps the grants, and looks where Xen has mapped them. The
 * kernel's helpers for the arguments want addresses of the linear map; the window has none.
 */
static int ask_xen(struct xen_asker *asker, unsigned int nr)
{
	struct xen_probe *probe = container_of(asker, struct xen_probe, asker);
	unsigned int i;
	int rc;

	if (nr > probe->nr_refs)
		return -EBUSY;

	for (i = 0; i < nr; i++) {
		gnttab_grant_foreign_access_ref(probe->refs[i], probe->domid,
						asker->pfn[i], true);
		probe->map[i] = (struct gnttab_map_grant_ref) {
			.host_addr = (u64)(probe->window + i) << XEN_PAGE_SHIFT,
			.flags = GNTMAP_host_map | GNTMAP_readonly,
			.ref = probe->refs[i],
			.dom = probe->domid,
			.status = GNTST_general_error,
		};
	}

	rc = HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, probe->map, nr);
	if (!rc)
		unmap_grants(probe, nr);
	for (i = 0; !rc && i < nr; i++)
		asker->machine[i] = probe->map[i].status == GNTST_okay ?
				    probe->map[i].dev_bus_addr : XEN_NOWHERE;
	return end_grants(probe, nr) ?: rc;
}

/**
 * xen_asker_end() - have done with asking
 * @asker:	of xen_asker_begin()
 *
 * Context: Process.
 */
void xen_asker_end(struct xen_asker *asker)
{
	struct xen_probe *probe = container_of(asker, struct xen_probe, asker);

	while (probe->nr_refs)
		gnttab_free_grant_reference(probe->refs[--probe->nr_refs]);
	kfree(probe);
}

static int take_references(struct xen_probe *probe)
{
	grant_ref_t head;
	int rc = gnttab_alloc_grant_references(XEN_ASK_BATCH, &head);

	if (rc)
		return rc;
	for (; probe->nr_refs < XEN_ASK_BATCH; probe->nr_refs++)
		probe->refs[probe->nr_refs] = gnttab_claim_grant_reference(&head);
	return 0;
}

/**
 * xen_asker_begin() - get ready to ask the hypervisor where pages are
 *
 * Until xen_asker_end() it holds grant references. One asks at a time.
 *
 * Context: Process, may sleep.
 * Return: Who asks, under xen_dma_mutex; or -ENOMEM, -ENOSPC without grant references,
 * else why Xen can't be asked.
 */
struct xen_asker *xen_asker_begin(void)
{
	struct xen_probe *probe = kzalloc(sizeof(*probe), GFP_KERNEL);
	int rc;

	if (!probe)
		return ERR_PTR(-ENOMEM);

	probe->asker.ask = ask_xen;
	rc = own_domid(&probe->domid) ?: find_window(&probe->window) ?:
	     take_references(probe);
	if (!rc)
		return &probe->asker;

	kfree(probe);
	return ERR_PTR(rc);
}

/*
 * Are the first and the last page of ranges where the table says? A page that has moved,
 * or of which Xen does not tell, says nothing of it.
 */
static bool verify_ranges(struct xen_asker *asker,
			  const struct xen_bus_range *range, unsigned int nr,
			  unsigned long *answers)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++) {
		asker->pfn[n++] = XEN_PFN_DOWN(range[i].start);
		asker->pfn[n++] = XEN_PFN_DOWN(range[i].start + range[i].size - 1);
	}
	if (asker->ask(asker, n))
		return true;

	for (i = 0; i < n; i++) {
		u64 phys = (u64)asker->pfn[i] << XEN_PAGE_SHIFT;
		u64 machine = asker->machine[i], offset = range[i / 2].offset;

		if (xen_displaced(asker->pfn[i]) != XEN_IN_PLACE ||
		    machine == XEN_NOWHERE)
			continue;
		++*answers;
		if (machine == phys + offset)
			continue;
		pr_err("memory at %#llx is at %#llx in the machine, and not at %#llx as %s says: DMA is refused\n",
		       phys, machine, phys + offset,
		       xen_source_names[xen_source]);
		return false;
	}

	return true;
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
	const struct xen_bus_table *table = xen_dma_table();
	struct xen_asker *asker = xen_asker_begin();
	unsigned long answers = 0;
	bool right = true;
	unsigned int i;

	for (i = 0; !IS_ERR(asker) && right && i < table->nr;
	     i += XEN_ASK_BATCH / 2) {
		right = verify_ranges(asker, &table->range[i],
				      min(table->nr - i, XEN_ASK_BATCH / 2U),
				      &answers);
		cond_resched();
	}
	if (!IS_ERR(asker))
		xen_asker_end(asker);
	if (!answers)
		pr_warn("what %s says of memory could not be verified\n",
			xen_source_names[xen_source]);
	return right;
}

/* Asks about pages that have come back, a batch at a time, so that others can leave. */
static void ask_returned(struct work_struct *work)
{
	struct xen_asker *asker = xen_asker_begin();
	int nr = IS_ERR(asker) ? 0 : 1;

	while (nr > 0) {
		mutex_lock(&xen_dma_mutex);
		nr = xen_learn_returned(asker, xen_dma_table());
		mutex_unlock(&xen_dma_mutex);
		cond_resched();
	}
	if (!IS_ERR(asker))
		xen_asker_end(asker);
}

static DECLARE_DELAYED_WORK(xen_ask_work, ask_returned);

/**
 * xen_ask_returned() - ask soon where pages are that have come back
 *
 * Where no device needs it, nobody is asked.
 *
 * Context: Process; under xen_dma_mutex.
 */
void xen_ask_returned(void)
{
	if (xen_dma_table()->nr && xen_returned_next(0) != XEN_IN_PLACE)
		queue_delayed_work(system_freezable_wq, &xen_ask_work,
				   XEN_ASK_DELAY);
}
