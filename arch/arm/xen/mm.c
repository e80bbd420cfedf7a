// SPDX-License-Identifier: GPL-2.0
/*
 * DMA of Xen domains on ARM: where the domain's memory is for the bus, which
 * devices that concerns, and cache maintenance of other domains' pages.
 *
 * A domain is mapped 1:1, or at offsets that only the hypervisor knows. The first
 * source that tells them is used: the hypervisor's feature flag for 1:1, its node in
 * the device tree, the command line, and where none of them tells, asking the
 * hypervisor for each page by granting it to ourselves, for the answer to mapping a
 * grant holds the machine address. A source that contradicts itself is not passed
 * over for the next one: DMA is refused then, as it is where nobody tells.
 *
 * All that concerns hardware which no IOMMU of Xen's protects. In a domain that is
 * not 1:1 that is what is passed through to it, unless it is marked xen-dma-safe.
 *
 * A device gets a map from guest-physical to bus addresses, in the form that the
 * generic DMA code has for dma-ranges. Devices behind an IOMMU, or that have a
 * restricted pool to bounce through, are left to the generic operations.
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/cache.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <xen/bus-ranges.h>
#include <xen/events.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/interface/event_channel.h>
#include <xen/interface/memory.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen-ops.h>
#include <xen/xen.h>

#include <asm/cacheflush.h>
#include <asm/xen/hypercall.h>
#include <asm/xen/xen-ops.h>

/**
 * enum xen_dma_source - who tells where the domain's memory is
 * @XEN_DMA_UNKNOWN:	nobody
 * @XEN_DMA_DIRECT:	the hypervisor's feature flag: it is mapped 1:1
 * @XEN_DMA_IOMMU:	dma-offset or xen_dma_offset= is 0: devices use the domain's
 *			own addresses
 * @XEN_DMA_OFFSET:	dma-offset
 * @XEN_DMA_RANGES:	xen,dma-ranges
 * @XEN_DMA_PARAM:	xen_dma_offset=
 * @XEN_DMA_PROBED:	the hypervisor, page by page
 * @XEN_DMA_BUS:	the dma-ranges of a bus
 * @XEN_DMA_WRONG:	somebody, but not soundly
 */
enum xen_dma_source {
	XEN_DMA_UNKNOWN,
	XEN_DMA_DIRECT,
	XEN_DMA_IOMMU,
	XEN_DMA_OFFSET,
	XEN_DMA_RANGES,
	XEN_DMA_PARAM,
	XEN_DMA_PROBED,
	XEN_DMA_BUS,
	XEN_DMA_WRONG,
};

static const char * const xen_source_names[] = {
	[XEN_DMA_UNKNOWN]	= "unknown",
	[XEN_DMA_DIRECT]	= "direct",
	[XEN_DMA_IOMMU]		= "iommu",
	[XEN_DMA_OFFSET]	= "dma-offset",
	[XEN_DMA_RANGES]	= "xen,dma-ranges",
	[XEN_DMA_PARAM]		= "xen_dma_offset",
	[XEN_DMA_PROBED]	= "probed",
	[XEN_DMA_BUS]		= "dma-ranges",
	[XEN_DMA_WRONG]		= "wrong",
};

static enum xen_dma_source xen_source __read_mostly;

/* The domain's memory as the device tree has it, at offset 0, and where it is. */
static struct xen_bus_table xen_ram;
static struct xen_bus_table xen_table;

/* For whoever changes the two above, which is over before a device is used. */
static DEFINE_MUTEX(xen_dma_mutex);

/* The boot parameters. */
static char xen_offset_param[256] __initdata;
static bool xen_has_offset_param __initdata;
static bool xen_may_probe __ro_after_init = true;

static int __init set_offset(char *arg)
{
	xen_has_offset_param = true;
	if (arg && strscpy(xen_offset_param, arg,
			   sizeof(xen_offset_param)) < 0)
		*xen_offset_param = '\0';
	return 0;
}
early_param("xen_dma_offset", set_offset);

static int __init set_probe(char *arg)
{
	if (!arg || kstrtobool(arg, &xen_may_probe))
		pr_warn("xen_dma_probe=%s: ignored, it takes on or off\n",
			arg ?: "");
	return 0;
}
early_param("xen_dma_probe", set_probe);

/* What is published */

static void __init add_memory(u64 start, u64 size)
{
	u64 end = round_down(start + size, XEN_PAGE_SIZE);

	start = round_up(start, XEN_PAGE_SIZE);
	if (start < end && xen_bus_add(&xen_ram, start, end - start, 0))
		pr_warn("memory at %#llx is not known to DMA\n", start);
}

/*
 * The memory that the hypervisor gave to the domain: as the device tree has it,
 * for what the kernel was told not to use is a part of it too.
 */
static void __init read_memory(void)
{
	struct device_node *np;
	phys_addr_t start, end;
	struct resource res;
	u64 i;

	for_each_node_by_type(np, "memory") {
		int k;

		for (k = 0; !of_address_to_resource(np, k, &res); k++)
			add_memory(res.start, resource_size(&res));
	}
	if (!xen_ram.nr)
		for_each_mem_range(i, &start, &end)
			add_memory(start, end - start);
}

/* Both properties may be there, if they agree. */
static const char * __init read_node(struct device_node *np,
				     const char **property)
{
	const __be32 *offset_prop, *rows_prop;
	int offset_len, rows_len;
	const char *wrong;
	unsigned int i;
	u64 offset = 0;

	offset_prop = of_get_property(np, "dma-offset", &offset_len);
	rows_prop = of_get_property(np, "xen,dma-ranges", &rows_len);

	if (offset_prop) {
		*property = "dma-offset";
		wrong = xen_bus_read_offset(offset_prop, offset_len, &offset);
		if (wrong)
			return wrong;
		xen_source = offset ? XEN_DMA_OFFSET : XEN_DMA_IOMMU;
	}
	if (rows_prop) {
		*property = "xen,dma-ranges";
		wrong = xen_bus_read_rows(&xen_table, rows_prop, rows_len,
					  of_n_addr_cells(np),
					  of_n_size_cells(np)) ?:
			xen_bus_check(&xen_table, &xen_ram);
		if (wrong)
			return wrong;
		for (i = 0; offset_prop && i < xen_table.nr; i++)
			if (xen_table.range[i].offset != offset)
				return "contradicts dma-offset";
		if (!offset_prop)
			xen_source = XEN_DMA_RANGES;
		return NULL;
	}

	return xen_source == XEN_DMA_OFFSET ?
	       xen_bus_fill(&xen_table, &xen_ram, offset) : NULL;
}

static const char * __init read_param(void)
{
	const char *wrong = xen_bus_read_param(&xen_table, xen_offset_param,
					       &xen_ram) ?:
			    xen_bus_check(&xen_table, &xen_ram);

	if (wrong)
		return wrong;

	xen_source = XEN_DMA_PARAM;
	if (xen_table.nr && !strchr(xen_offset_param, '+') &&
	    !xen_table.range[0].offset)
		xen_source = XEN_DMA_IOMMU;
	return NULL;
}

static void __init read_published(void)
{
	struct device_node *np = of_find_compatible_node(NULL, NULL, "xen,xen");
	const char *property, *wrong = NULL;

	if (np) {
		wrong = read_node(np, &property);
		if (wrong)
			pr_err("%pOF: %s: %s, DMA is refused\n", np, property,
			       wrong);
		of_node_put(np);
	}
	if (!wrong && xen_has_offset_param) {
		if (xen_source != XEN_DMA_UNKNOWN) {
			pr_warn("xen_dma_offset=%s: ignored, the hypervisor publishes %s\n",
				xen_offset_param, xen_source_names[xen_source]);
			return;
		}
		wrong = read_param();
		if (wrong)
			pr_err("xen_dma_offset=%s: %s, DMA is refused\n",
			       xen_offset_param, wrong);
	}
	if (wrong) {
		xen_table.nr = 0;
		xen_source = XEN_DMA_WRONG;
	}
}

/* Probing */

/* Pages whose grants are mapped by one hypercall. */
#define XEN_PROBE_BATCH		128

/* As many pages in a row at another offset are taken for a range. */
#define XEN_PROBE_RUN		64

/**
 * struct xen_probe - asking the hypervisor where pages are
 * @domid:	our own
 * @window:	guest-physical frame at which grants are mapped, outside all memory
 * @refs:	grant references
 * @map:	hypercall's arguments
 * @unmap:	likewise
 */
struct xen_probe {
	domid_t domid;
	unsigned long window;
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
		return -ENOSPC;

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

/* What can't be noted must not be used at all. */
static void add_stray(unsigned long pfn, gfp_t gfp)
{
	if (xen_stray_add(pfn, XEN_MOVED, gfp) &&
	    !xchg(&xen_all_moved, true))
		pr_warn("no memory to note which pages have moved: all DMA is bounced from now on\n");
}

/* A range that has no place in the table is made of pages that are elsewhere. */
static void end_run(struct xen_runs *runs)
{
	const struct xen_bus_range *run = &runs->run;
	u64 phys;

	if (run->size &&
	    xen_bus_add(&xen_table, run->start, run->size, run->offset))
		for (phys = run->start; phys < run->start + run->size;
		     phys += XEN_PAGE_SIZE)
			add_stray(XEN_PFN_DOWN(phys), GFP_KERNEL);
	runs->run.size = 0;
}

/*
 * A page is at @machine, or with @known unset anywhere. One that is not where the
 * range says is a stray, until there are so many in a row that they are a range.
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

	add_stray(XEN_PFN_DOWN(phys), GFP_KERNEL);
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
		xen_stray_del(XEN_PFN_DOWN(phys));
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

/* Asks for every page of the domain's memory. */
static void probe_memory(void)
{
	struct xen_probe *probe = kzalloc(sizeof(*probe), GFP_KERNEL);
	unsigned int i;
	int rc = -ENOMEM;

	if (!probe)
		goto out;

	rc = own_domid(&probe->domid);
	if (!rc)
		rc = find_window(&probe->window);
	for (i = 0; !rc && i < xen_ram.nr; i++)
		rc = probe_range(probe, &xen_ram.range[i]);
	kfree(probe);
out:
	if (rc) {
		xen_table.nr = 0;
		pr_err("the hypervisor does not tell where memory is: error %d\n",
		       rc);
		return;
	}

	xen_source = XEN_DMA_PROBED;
	pr_info("probed where memory is: %u ranges; for devices behind an IOMMU of Xen's see xen-dma-safe, or boot with xen_dma_offset=0\n",
		xen_table.nr);
}

/* Pages that come and go */

/* Is it mapped 1:1, so that a page that comes back is where it was? */
static bool is_direct(void)
{
	return xen_swiotlb_detect();
}

/**
 * xen_dma_pages_leave() - pages are about to be given back to the hypervisor
 * @frames:	each one's first frame, in Xen's pages
 * @nr:		how many pages of the kernel's
 *
 * Others may come in their place, and then nobody tells where they are.
 *
 * Context: Process, may sleep.
 */
void xen_dma_pages_leave(const xen_pfn_t *frames, int nr)
{
	int i, k;

	if (is_direct())
		return;

	/* Probing must not take them for what it has just seen in place. */
	mutex_lock(&xen_dma_mutex);
	for (i = 0; i < nr; i++)
		for (k = 0; k < XEN_PFN_PER_PAGE; k++)
			add_stray(frames[i] + k, GFP_NOIO | __GFP_NOWARN);
	mutex_unlock(&xen_dma_mutex);
}

/**
 * xen_dma_forget_foreign() - a page of another domain is no longer mapped
 * @pfn:	its frame for this domain, in Xen's pages
 *
 * Memory of the domain's own comes to its place, but who knows which.
 *
 * Context: Any.
 */
void xen_dma_forget_foreign(unsigned long pfn)
{
	unsigned long mfn = xen_stray(pfn);

	if (mfn == XEN_NO_STRAY || mfn == XEN_MOVED)
		return;
	if (!is_direct() && xen_bus_find(&xen_ram, (u64)pfn << XEN_PAGE_SHIFT))
		add_stray(pfn, GFP_NOWAIT);
	else
		xen_stray_del(pfn);
}

/**
 * pfn_to_bfn() - where a page is in the machine
 * @pfn:	its frame for the domain, in Xen's pages
 *
 * The block layer asks, to join what is in one piece.
 *
 * Context: Any.
 * Return: Its frame in the machine, INVALID_P2M_ENTRY where it may be anywhere, and
 * @pfn where nothing is known.
 */
unsigned long pfn_to_bfn(unsigned long pfn)
{
	const struct xen_bus_range *range;

	if (unlikely(xen_any_strays())) {
		unsigned long mfn = xen_stray(pfn);

		if (mfn != XEN_NO_STRAY)
			return mfn == XEN_MOVED ? INVALID_P2M_ENTRY : mfn;
	}

	range = xen_bus_find(&xen_table, (u64)pfn << XEN_PAGE_SHIFT);
	return range ? (((u64)pfn << XEN_PAGE_SHIFT) + range->offset) >>
		       XEN_PAGE_SHIFT : pfn;
}
EXPORT_SYMBOL_GPL(pfn_to_bfn);

/* Translation for a device */

/**
 * xen_dma_table() - where the domain's memory is
 *
 * Context: Any.
 * Return: The table, empty where nothing is known.
 */
const struct xen_bus_table *xen_dma_table(void)
{
	return &xen_table;
}

/* What the bus makes of machine addresses, NULL for nothing. */
static const struct bus_dma_region *hardware_map(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	if (map && !is_direct())
		map = xen_bus_hardware_map(map);
	return map && map->size ? map : NULL;
}

/**
 * xen_arm_machine_to_bus() - what a device uses for a machine address
 * @dev:	device
 * @machine:	machine address
 *
 * Context: Any.
 * Return: The bus address, DMA_MAPPING_ERROR where the bus does not lead there.
 */
dma_addr_t xen_arm_machine_to_bus(struct device *dev, dma_addr_t machine)
{
	const struct bus_dma_region *map = hardware_map(dev);

	if (!map)
		return machine;
	for (; map->size; map++)
		if (machine >= map->cpu_start &&
		    machine - map->cpu_start < map->size)
			return machine - map->cpu_start + map->dma_start;
	return DMA_MAPPING_ERROR;
}

/**
 * xen_arm_bus_to_machine() - what a device's bus address leads to
 * @dev:	device
 * @dma:	bus address
 *
 * Context: Any.
 * Return: The machine address, DMA_MAPPING_ERROR for nowhere.
 */
dma_addr_t xen_arm_bus_to_machine(struct device *dev, dma_addr_t dma)
{
	const struct bus_dma_region *map = hardware_map(dev);

	if (!map)
		return dma;
	for (; map->size; map++)
		if (dma >= map->dma_start && dma - map->dma_start < map->size)
			return dma - map->dma_start + map->cpu_start;
	return DMA_MAPPING_ERROR;
}

/**
 * xen_arm_limit_to_machine() - the highest machine address that a device reaches
 * @dev:	device
 * @limit:	the highest bus address that it can use
 *
 * A bus that ends where the domain's memory does is no limit to what the domain can
 * offer.
 *
 * Context: Any.
 * Return: The machine address, all ones when it reaches all of the domain's memory, 0
 * for none at all.
 */
u64 xen_arm_limit_to_machine(struct device *dev, u64 limit)
{
	const struct bus_dma_region *map = hardware_map(dev);
	u64 highest = map ? 0 : limit;

	for (; map && map->size; map++)
		if (map->dma_start <= limit)
			highest = max(highest, map->cpu_start +
				      min_t(u64, map->size - 1,
					    limit - map->dma_start));

	return highest >= xen_bus_highest(&xen_table) ? U64_MAX : highest;
}

/**
 * xen_arm_phys_to_bus() - where a buffer is for the bus, that may be elsewhere
 * @dev:	device
 * @phys:	guest-physical address
 *
 * Context: Any.
 * Return: The bus address, DMA_MAPPING_ERROR where it is not known.
 */
dma_addr_t xen_arm_phys_to_bus(struct device *dev, phys_addr_t phys)
{
	unsigned long mfn = xen_stray(XEN_PFN_DOWN(phys));

	if (mfn == XEN_NO_STRAY)
		return phys_to_dma(dev, phys);
	if (mfn == XEN_MOVED || xen_arm_refuses(dev))
		return DMA_MAPPING_ERROR;
	return xen_arm_machine_to_bus(dev, ((dma_addr_t)mfn << XEN_PAGE_SHIFT) |
				  xen_offset_in_page(phys));
}

/* Is memory that holds no stray in one piece? */
static bool map_is_contiguous(struct device *dev, phys_addr_t phys, size_t size)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	if (!map)
		return true;
	for (; map->size; map++)
		if (phys >= map->cpu_start && phys - map->cpu_start < map->size)
			return size <= map->size - (phys - map->cpu_start);
	return false;
}

/**
 * xen_arm_is_contiguous() - is a buffer of several pages in one piece for the bus?
 * @dev:	device
 * @phys:	guest-physical address
 * @size:	bytes
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool xen_arm_is_contiguous(struct device *dev, phys_addr_t phys, size_t size)
{
	unsigned long pfn = XEN_PFN_DOWN(phys), mfn;
	unsigned long last = XEN_PFN_DOWN(phys + size - 1);

	if (likely(!xen_any_strays()) ||
	    xen_stray_next(pfn, last) == XEN_NO_STRAY)
		return map_is_contiguous(dev, phys, size);

	mfn = xen_stray(pfn);
	if (mfn == XEN_NO_STRAY || mfn == XEN_MOVED)
		return false;
	while (pfn++ < last)
		if (xen_stray(pfn) != ++mfn)
			return false;

	return xen_arm_phys_to_bus(dev, phys + size - 1) ==
	       xen_arm_phys_to_bus(dev, phys) + size - 1;
}

/**
 * xen_arm_bus_to_phys() - what a bus address says of the domain's own memory
 * @dev:	device
 * @dma:	bus address
 * @phys:	where the guest-physical address goes
 *
 * Frames that the domain has given back may be another domain's since then.
 *
 * Context: Any.
 * Return: Whether it is the domain's.
 */
bool xen_arm_bus_to_phys(struct device *dev, dma_addr_t dma, phys_addr_t *phys)
{
	*phys = dma_to_phys(dev, dma);
	return xen_bus_find(&xen_ram, *phys) &&
	       (likely(!xen_any_strays()) ||
		xen_stray(XEN_PFN_DOWN(*phys)) == XEN_NO_STRAY);
}

/**
 * xen_region_suits() - is memory contiguous in the machine?
 * @pstart:		guest-physical address
 * @order:		log2 of its pages
 * @address_bits:	width of the machine addresses that are wanted
 * @dma_handle:		where the machine address goes, if so
 *
 * Context: Any.
 * Return: Whether it is, below @address_bits and aligned to its size.
 */
bool xen_region_suits(phys_addr_t pstart, unsigned int order,
		      unsigned int address_bits, dma_addr_t *dma_handle)
{
	const struct xen_bus_range *range = xen_bus_find(&xen_table, pstart);
	unsigned long pfn = XEN_PFN_DOWN(pstart);
	u64 size = (u64)PAGE_SIZE << order, machine;

	if (!range || pstart - range->start + size > range->size)
		return false;

	machine = pstart + range->offset;
	if (!IS_ALIGNED(machine, size) || (machine + size - 1) >> address_bits)
		return false;
	if (xen_any_strays() &&
	    xen_stray_next(pfn, pfn + XEN_PFN_DOWN(size) - 1) != XEN_NO_STRAY)
		return false;

	*dma_handle = machine;
	return true;
}

/**
 * xen_required_dma_mask() - what a device needs to reach all of the machine
 *
 * From XENMEM_maximum_ram_page, since any page may be granted to this domain.
 *
 * Context: Any.
 * Return: The mask, all ones when Xen does not tell.
 */
u64 xen_required_dma_mask(void)
{
	long max_mfn = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);

	if (max_mfn <= 0)
		return DMA_BIT_MASK(64);

	return DMA_BIT_MASK(fls64((u64)max_mfn << XEN_PAGE_SHIFT));
}

/* Cache maintenance */

/* Pieces that one hypercall is given. */
#define XEN_FLUSH_BATCH		16

/* Does the hypervisor have the call? */
static bool xen_has_cache_flush __ro_after_init;

static atomic_long_t xen_flushed;
static atomic_long_t xen_flush_failed;

/**
 * struct xen_flushes - pieces of pages whose cache lines are maintained
 * @op:		hypercall's arguments
 * @nr:		how many
 */
struct xen_flushes {
	struct gnttab_cache_flush op[XEN_FLUSH_BATCH];
	unsigned int nr;
};

static int run_flushes(struct xen_flushes *flushes)
{
	unsigned int nr = flushes->nr;

	flushes->nr = 0;
	return nr ? HYPERVISOR_grant_table_op(GNTTABOP_cache_flush,
					      flushes->op, nr) : 0;
}

static int add_flush(struct xen_flushes *flushes, u64 machine,
		     unsigned int length, u32 op)
{
	struct gnttab_cache_flush *flush = &flushes->op[flushes->nr++];

	flush->a.dev_bus_addr = machine - xen_offset_in_page(machine);
	flush->offset = xen_offset_in_page(machine);
	flush->length = length;
	flush->op = op;
	return flushes->nr == XEN_FLUSH_BATCH ? run_flushes(flushes) : 0;
}

/*
 * A piece of one page. A line of which a part is the caller's may hold what
 * somebody else has just written: it is not invalidated before it is cleaned.
 */
static int add_piece(struct xen_flushes *flushes, u64 machine,
		     unsigned int length, u32 op)
{
	unsigned int line = dma_get_cache_alignment();
	u64 end = machine + length;
	int rc = 0;

	if (op != GNTTAB_CACHE_INVAL)
		return add_flush(flushes, machine, length, op);

	if (machine & (line - 1)) {
		u64 next = min_t(u64, end, ALIGN(machine, line));

		rc = add_flush(flushes, machine, next - machine,
			       GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL);
		machine = next;
	}
	if (!rc && round_down(end, line) > machine) {
		rc = add_flush(flushes, machine,
			       round_down(end, line) - machine, op);
		machine = round_down(end, line);
	}
	if (!rc && machine < end)
		rc = add_flush(flushes, machine, end - machine,
			       GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL);
	return rc;
}

static int maintain_caches(struct device *dev, dma_addr_t dma, size_t size,
			   u32 op)
{
	u64 machine = xen_arm_bus_to_machine(dev, dma);
	long pages = XEN_PFN_UP(xen_offset_in_page(machine) + size);
	struct xen_flushes flushes = {};
	int rc = 0;

	while (size && !rc) {
		unsigned int length = min_t(size_t, size, XEN_PAGE_SIZE -
					    xen_offset_in_page(machine));

		rc = add_piece(&flushes, machine, length, op);
		machine += length;
		size -= length;
	}
	if (!rc)
		rc = run_flushes(&flushes);

	if (likely(!rc)) {
		atomic_long_add(pages, &xen_flushed);
		return 0;
	}
	atomic_long_add(pages, &xen_flush_failed);
	dev_err_ratelimited(dev,
			    "xen_swiotlb: caches of another domain's page at %pad: error %d of Xen\n",
			    &dma, rc);
	return rc < 0 ? rc : -EIO;
}

/**
 * xen_dma_sync_for_cpu() - another domain's memory that the device wrote
 * @dev:	device that is not coherent
 * @handle:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * Context: Any.
 * Return: 0, or why the hypervisor did not do it; there is a message then.
 */
int xen_dma_sync_for_cpu(struct device *dev, dma_addr_t handle, size_t size,
			 enum dma_data_direction dir)
{
	if (dir == DMA_TO_DEVICE)
		return 0;

	return maintain_caches(dev, handle, size, GNTTAB_CACHE_INVAL);
}

/**
 * xen_dma_sync_for_device() - another domain's memory that the CPU wrote
 * @dev:	device that is not coherent
 * @handle:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * Context: Any.
 * Return: 0, or why the hypervisor did not do it; there is a message then.
 */
int xen_dma_sync_for_device(struct device *dev, dma_addr_t handle, size_t size,
			    enum dma_data_direction dir)
{
	return maintain_caches(dev, handle, size, dir == DMA_FROM_DEVICE ?
			       GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL :
			       GNTTAB_CACHE_CLEAN);
}

/**
 * xen_arch_need_swiotlb() - must a buffer be bounced for the caches' sake?
 * @dev:	device
 * @phys:	guest-physical address
 * @dev_addr:	bus address
 *
 * Context: Any.
 * Return: Whether it is another domain's, of which the device does not see the
 * caches, and the hypervisor can't help.
 */
bool xen_arch_need_swiotlb(struct device *dev, phys_addr_t phys,
			   dma_addr_t dev_addr)
{
	return !dev_is_dma_coherent(dev) && !xen_has_cache_flush &&
	       xen_any_strays() &&
	       xen_stray(XEN_PFN_DOWN(phys)) != XEN_NO_STRAY;
}

/* Devices */

/*
 * A device's node, or that of the bridge above it, for a device that was found by
 * probing a bus.
 */
static struct device_node *node_of(struct device *dev)
{
	while (dev && !dev->of_node)
		dev = dev->parent;
	return dev ? dev->of_node : NULL;
}

/* Does the node or one that it is in have the property? */
static bool has_flag(struct device_node *np, const char *name)
{
	bool found = false;

	of_node_get(np);
	while (np && !found) {
		found = of_property_read_bool(np, name);
		np = of_get_next_parent(np);
	}
	of_node_put(np);
	return found;
}

static bool names_pool(struct device_node *np)
{
	bool found = false;
	int i;

	for (i = 0; !found; i++) {
		struct device_node *pool =
			of_parse_phandle(np, "memory-region", i);

		if (!pool)
			break;
		found = of_device_is_compatible(pool, "restricted-dma-pool") &&
			of_device_is_available(pool);
		of_node_put(pool);
	}

	return found;
}

/* Its own, or that of the bridge which its DMA is set up by. */
static bool has_restricted_pool(struct device *dev)
{
	bool found = false;

	for (; IS_ENABLED(CONFIG_DMA_RESTRICTED_POOL) && dev && !found;
	     dev = dev->parent)
		found = dev->of_node && names_pool(dev->of_node);
	return found;
}

/*
 * Is the device hardware, or the hypervisor's and other domains' work? What is
 * passed through to a domain is in a node of this name; the rest uses the domain's
 * own addresses, or grants. (Of the properties that the host's administrator gave
 * the node, the domain does not get to see xen,force-assign-without-iommu.)
 */
static bool is_hardware(struct device_node *np)
{
	bool found = xen_initial_domain();

	of_node_get(np);
	while (np && !found) {
		found = of_node_name_eq(np, "passthrough");
		np = of_get_next_parent(np);
	}
	of_node_put(np);
	return found;
}

/*
 * Takes a bus's dma-ranges for what the hypervisor does not tell. That a bus leads to
 * the same addresses is what hardware says, not who knows where the domain is.
 */
static void adopt_bus_map(const struct bus_dma_region *map)
{
	const char *wrong = NULL;
	unsigned int i;

	for (; map->size && !wrong; map++) {
		if (map->dma_start == map->cpu_start)
			wrong = "a range leads to the same addresses";
		for (i = 0; i < xen_ram.nr && !wrong; i++) {
			u64 start = xen_ram.range[i].start;
			u64 end = start + xen_ram.range[i].size;

			start = max_t(u64, start, map->cpu_start);
			end = min(end, map->cpu_start + map->size);
			if (start < end)
				wrong = xen_bus_add(&xen_table, start,
						    end - start,
						    map->dma_start -
						    map->cpu_start);
		}
	}
	if (!wrong && xen_bus_check(&xen_ram, &xen_table))
		wrong = "there is memory that no range leads to";
	if (wrong) {
		pr_err("dma-ranges of the bus: %s\n", wrong);
		xen_table.nr = 0;
		return;
	}

	xen_source = XEN_DMA_BUS;
}

/*
 * Does a bus's dma-ranges say of any memory what the table says? Then it was made to
 * help a domain whose kernel knows no better, and does not come on top of the table.
 */
static bool repeats_table(const struct bus_dma_region *map)
{
	unsigned int i;

	for (; map->size; map++)
		for (i = 0; i < xen_table.nr; i++) {
			const struct xen_bus_range *range = &xen_table.range[i];

			if (range->start < map->cpu_start + map->size &&
			    map->cpu_start < range->start + range->size &&
			    map->dma_start - map->cpu_start == range->offset)
				return true;
		}

	return false;
}

/* An empty map; the entry behind its end notes whether that has been said. */
static void refuse(struct device *dev)
{
	static const struct xen_bus_table nothing;

	kfree(dev->dma_range_map);
	dev->dma_range_map = xen_bus_device_map(&nothing, NULL);
}

static bool xen_dma_is_refused(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	return unlikely(map && !map->size) && !is_direct();
}

/**
 * xen_arm_refuses() - is DMA of a device refused?
 * @dev:	device
 *
 * The first time that it is asked for, there is a message.
 *
 * Context: Any.
 * Return: Whether it is.
 */
bool xen_arm_refuses(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	if (likely(!xen_dma_is_refused(dev)))
		return false;

	if (!xen_bus_is_made(map) ||
	    test_and_set_bit(0, (unsigned long *)&map[1].cpu_start))
		return true;
	if (xen_table.nr)
		dev_err(dev, "xen_swiotlb: DMA refused: the bus's dma-ranges lead to none of this domain's memory\n");
	else if (xen_source == XEN_DMA_WRONG)
		dev_err(dev, "xen_swiotlb: DMA refused: what says where this domain's memory is for the bus is wrong, see above\n");
	else
		dev_err(dev, "xen_swiotlb: DMA refused: nobody says where this domain's memory is for the bus; publish dma-offset, or boot with xen_dma_offset= or without xen_dma_probe=off\n");
	return true;
}

static void setup_aperture(void)
{
	static bool done;

	if (!done)
		xen_aperture_setup();
	done = true;
}

/*
 * Gives the device the map from guest-physical to bus addresses, or an empty one. It may
 * have been set up before.
 */
static void set_map(struct device *dev)
{
	const struct bus_dma_region *hw = dev->dma_range_map;
	bool repeats = hw && repeats_table(hw);

	if (hw && xen_bus_is_made(hw))
		return;

	/* What one bus says holds for that bus. */
	if (!xen_table.nr || (xen_source == XEN_DMA_BUS && !repeats)) {
		refuse(dev);
		return;
	}

	dev->dma_range_map = xen_bus_device_map(&xen_table,
						repeats ? NULL : hw);
	kfree(hw);
	if (dev->dma_range_map->size)
		setup_aperture();
	else
		refuse(dev);
}

/* Finds out where the memory is, when the first device needs it. */
static void learn(struct device *dev)
{
	if (xen_source != XEN_DMA_UNKNOWN)
		return;
	if (xen_may_probe)
		probe_memory();
	if (xen_source == XEN_DMA_UNKNOWN && dev->dma_range_map)
		adopt_bus_map(dev->dma_range_map);
}

/**
 * xen_setup_dma_ops() - set up a device's DMA
 * @dev:	device, with what its bus's dma-ranges say in its map
 *
 * Leaves alone what is behind an IOMMU, be it Xen's (xen-dma-safe) or the
 * kernel's, and what bounces through a pool of its own.
 *
 * Context: Process, may sleep.
 */
void xen_setup_dma_ops(struct device *dev)
{
	struct device_node *np = node_of(dev);

	if (!xen_domain() || has_flag(np, "xen-dma-safe"))
		return;

	mutex_lock(&xen_dma_mutex);
	if (is_direct()) {
		if (!has_restricted_pool(dev)) {
			setup_aperture();
			dev->dma_ops = &xen_swiotlb_dma_ops;
		}
	} else if (xen_source != XEN_DMA_IOMMU && is_hardware(np) &&
		   !device_iommu_mapped(dev) && !dev_iommu_fwspec_get(dev)) {
		learn(dev);
		set_map(dev);
		if (xen_dma_is_refused(dev) || !has_restricted_pool(dev))
			dev->dma_ops = &xen_swiotlb_dma_ops;
	}
	mutex_unlock(&xen_dma_mutex);
}

/**
 * xen_arm_show_ranges() - list what is known of memory
 * @s:	debugfs file
 *
 * Context: Process, may sleep.
 */
void xen_arm_show_ranges(struct seq_file *s)
{
	unsigned long pfn, strays = 0;
	unsigned int i;
	void *entry;

	mutex_lock(&xen_dma_mutex);
	seq_printf(s, "# source %s\n# start size offset\n",
		   xen_source_names[xen_source]);
	for (i = 0; i < xen_table.nr; i++)
		seq_printf(s, "%#llx %#llx %#llx\n", xen_table.range[i].start,
			   xen_table.range[i].size, xen_table.range[i].offset);
	mutex_unlock(&xen_dma_mutex);

	xa_for_each(&xen_strays, pfn, entry)
		strays++;
	seq_printf(s, "strays %lu\n", strays);
}

/**
 * xen_arm_show_caches() - tell how much cache maintenance Xen has done
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_arm_show_caches(struct seq_file *s)
{
	seq_printf(s, "flushed %ld\nfailed %ld\n",
		   atomic_long_read(&xen_flushed),
		   atomic_long_read(&xen_flush_failed));
}

/* An operation on no bytes succeeds where there are any. */
static bool __init has_cache_flush(void)
{
	struct gnttab_cache_flush flush = {};

	return !HYPERVISOR_grant_table_op(GNTTABOP_cache_flush, &flush, 1);
}

static int __init xen_mm_init(void)
{
	if (!xen_domain())
		return 0;

	xen_has_cache_flush = has_cache_flush();
	read_memory();
	if (is_direct()) {
		xen_source = XEN_DMA_DIRECT;
		xen_table = xen_ram;
		if (xen_has_offset_param)
			pr_warn("xen_dma_offset=%s: ignored, the domain is mapped 1:1\n",
				xen_offset_param);
		return 0;
	}

	/* Xen put a page of its own in the place of this one. */
	add_stray(XEN_PFN_DOWN(virt_to_phys(HYPERVISOR_shared_info)),
		  GFP_KERNEL);
	read_published();
	return 0;
}
arch_initcall(xen_mm_init);
