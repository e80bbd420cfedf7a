// SPDX-License-Identifier: GPL-2.0
/*
 * Which devices of an ARM domain the driver is for, and what their buses make of addresses.
 *
 * All that concerns hardware which no IOMMU of Xen's protects. In a domain that is
 * not 1:1 that is what is passed through to it and said to be unprotected. Devices
 * behind an IOMMU are left to the generic operations. But what an IOMMU that the kernel
 * itself drives translates to are the domain's own addresses, right in the machine only
 * where they are 1:1.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/acpi.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/init.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <xen/bus-ranges.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include <asm/xen/xen-ops.h>

#include "arm.h"
#include "arm-policy.h"
#include "compat.h"
#include "windows.h"

/* The boot parameter. "on" says that no IOMMU translates for any device. */
static bool xen_may_probe __read_mostly = true;
static bool xen_all_unprotected __ro_after_init;

static int __init set_probe(char *arg)
{
	bool on;

	if (!arg || kstrtobool(arg, &on)) {
		pr_warn("xen_dma_probe=%s: ignored, it takes on or off\n",
			arg ?: "");
		return 0;
	}
	xen_may_probe = on;
	xen_all_unprotected = on;
	return 0;
}
early_param("xen_dma_probe", set_probe);

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

/* Does an IOMMU of Xen's translate? (The second name is what was first suggested.) */
static bool is_safe(struct device_node *np)
{
	return has_flag(np, "xen,dma-safe") || has_flag(np, "xen-dma-safe");
}

/*
 * Is the device hardware, or the hypervisor's and other domains' work? What is
 * passed through to a domain is in a node of this name; the rest uses the domain's
 * own addresses, or grants. (Of the properties that the host's administrator gave
 * the node, the domain does not get to see xen,force-assign-without-iommu.) A device
 * that has no node, nor any above it, was set up with another's, and which is not to be
 * seen here: it counts as hardware, and as unprotected where any is.
 */
static bool is_hardware(struct device_node *np)
{
	bool found = xen_initial_domain() || (!np && acpi_disabled);

	of_node_get(np);
	while (np && !found) {
		found = of_node_name_eq(np, "passthrough");
		np = of_get_next_parent(np);
	}
	of_node_put(np);
	return found;
}

/* Is anything said to be unprotected? */
static bool any_unprotected(void)
{
	struct device_node *np = of_find_node_with_property(NULL,
							    "xen,dma-unprotected");

	of_node_put(np);
	return np;
}

/*
 * Does anybody say that no IOMMU of Xen's translates for the device? Who publishes where
 * memory is says it of all hardware. What was learned of memory since then says nothing.
 */
static bool is_unprotected(struct device_node *np)
{
	switch (xen_source) {
	case XEN_DMA_ASKED:
	case XEN_DMA_OFFSET:
	case XEN_DMA_RANGES:
	case XEN_DMA_PARAM:
	case XEN_DMA_WRONG:
		return true;
	default:
		return !xen_initial_domain() &&
		       (xen_all_unprotected ||
			(np ? has_flag(np, "xen,dma-unprotected") :
			      any_unprotected()));
	}
}

/* On an unmodified Xen an IOMMU translates for most devices. Says so once for each. */
static void say_unsaid(struct device *dev)
{
	if (xen_arm_is_news(dev, false))
		dev_info(dev, "xen-dma: left to the generic DMA code, as an IOMMU of Xen's is taken to translate for it; where none does, it or its bus needs xen,dma-unprotected\n");
}

/*
 * Takes a bus's dma-ranges for what the hypervisor does not tell. That a bus leads to
 * the same addresses is what hardware says, not who knows where the domain is.
 */
static void adopt_bus_map(const struct bus_dma_region *map)
{
	struct xen_bus_table table = {};
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
				wrong = xen_bus_add(&table, start,
						    end - start,
						    map->dma_start -
						    map->cpu_start);
		}
	}
	if (!wrong)
		wrong = xen_bus_seal(&table);
	if (!wrong && xen_bus_check(&xen_ram, &table))
		wrong = "there is memory that no range leads to";
	if (wrong) {
		pr_err("dma-ranges of the bus: %s\n", wrong);
		xen_bus_free(&table);
		return;
	}

	xen_publish_table(&table);
	xen_source = XEN_DMA_BUS;
}

/* Has a window, on the side of the machine, any of these addresses? */
static bool overlaps(const struct bus_dma_region *window, u64 start, u64 size)
{
	return xen_overlaps(start, size, window->cpu_start, window->size);
}

/*
 * Does a bus's dma-ranges say what the table says, of all memory that is in both? Then it
 * was made to help a domain whose kernel knows no better, and does not come on top of the
 * table.
 */
static bool repeats_table(const struct bus_dma_region *map)
{
	const struct xen_bus_table *table = xen_dma_table();
	bool repeats = false;
	unsigned int i;

	for (; map->size; map++)
		for (i = 0; i < table->nr; i++) {
			const struct xen_bus_range *range = &table->range[i];

			if (!overlaps(map, range->start, range->size))
				continue;
			if (map->dma_start - map->cpu_start != range->offset)
				return false;
			/* At the same addresses both say the same. */
			repeats |= range->offset != 0;
		}

	return repeats;
}

static void setup_aperture(void)
{
	static bool done;

	if (done)
		return;

	done = true;
	xen_aperture_setup();
	while (!xen_aperture_fill(xen_learn_asked()) && xen_learn_on())
		;
}

static void set_same(struct device *dev)
{
	struct bus_dma_region *map = kcalloc(2, sizeof(*map),
					     GFP_KERNEL | __GFP_NOFAIL);

	xen_set_region(map, 0, 0, U64_MAX);
	kfree(dev->dma_range_map);
	dev->dma_range_map = map;
}

/*
 * May a bus's dma-ranges still turn out to say what the table says, when more is known? A
 * bus of hardware mostly contradicts the first part of the table.
 */
static bool may_repeat_table(const struct bus_dma_region *map)
{
	const struct xen_bus_table *table = xen_dma_table();
	bool any_memory = false;
	unsigned int i;

	for (; map->size; map++) {
		for (i = 0; i < table->nr; i++)
			if (overlaps(map, table->range[i].start, table->range[i].size) &&
			    map->dma_start - map->cpu_start != table->range[i].offset)
				return false;
		for (i = 0; i < xen_ram.nr; i++)
			any_memory |= overlaps(map, xen_ram.range[i].start,
					       xen_ram.range[i].size);
	}

	return any_memory;
}

/* Does a bus lead to any of the domain's memory? */
static bool leads_to_memory(const struct bus_dma_region *map)
{
	const struct xen_bus_table *table = xen_dma_table();
	unsigned int i;

	for (; map->size; map++)
		for (i = 0; i < table->nr; i++)
			if (overlaps(map, table->range[i].start +
				     table->range[i].offset, table->range[i].size))
				return true;

	return false;
}

/*
 * Leaves in the device's map what its bus makes of machine addresses, or refuses its
 * DMA. An empty map was copied from a device's that was refused.
 */
static void set_map(struct device *dev)
{
	const struct bus_dma_region *hw = dev->dma_range_map;
	bool same, repeats;

	if (hw && !hw->size)
		return;

	same = hw && xen_window_is_same(hw);
	/* What is not known yet may tell; when all is known, there is no more of it. */
	while (hw && !same && may_repeat_table(hw) && xen_learn_on())
		;
	while (hw && !leads_to_memory(hw) && !repeats_table(hw) && xen_learn_on())
		;
	repeats = hw && !same && repeats_table(hw);
	/* What one bus says holds for that bus. */
	if (!xen_dma_table()->nr ||
	    (xen_source == XEN_DMA_BUS && !same && !repeats) ||
	    (hw && !repeats && !leads_to_memory(hw))) {
		xen_arm_refuse(dev);
		return;
	}

	if (repeats)
		set_same(dev);
	setup_aperture();
	xen_ask_returned();
}

/*
 * Finds out where the memory is, when the first device needs it. Xen is asked again only
 * when there was no memory, or no grant, to ask with.
 */
static void learn(struct device *dev)
{
	const struct bus_dma_region *map = dev->dma_range_map;

	if (xen_source != XEN_DMA_UNKNOWN)
		return;
	if (xen_may_probe) {
		int rc = xen_probe_memory();

		xen_may_probe = rc == -ENOMEM || rc == -ENOSPC;
	}
	if (xen_source == XEN_DMA_UNKNOWN && map && map->size)
		adopt_bus_map(map);
}

/* Did the hypervisor itself tell, and of each page? */
static bool is_first_hand(void)
{
	return xen_source == XEN_DMA_ASKED || xen_source == XEN_DMA_MIXED ||
	       xen_source == XEN_DMA_PROBED;
}

/*
 * What was told is verified once, before the first device is given an address. Another
 * bus may know better than one that was wrong.
 */
static void verify(void)
{
	struct xen_bus_table nothing = {};
	static bool done;

	if (done || !xen_dma_table()->nr)
		return;
	if (is_first_hand() || xen_verify_memory()) {
		done = true;
		return;
	}

	xen_source = xen_source == XEN_DMA_BUS ? XEN_DMA_UNKNOWN : XEN_DMA_WRONG;
	xen_publish_table(&nothing);
}

/* The device gets addresses of the machine, or none. */
static void serve(struct device *dev)
{
	learn(dev);
	verify();
	set_map(dev);
	dev->dma_ops = &xen_swiotlb_dma_ops;
}

/* Does an IOMMU that the kernel drives translate? One that lets all through does not. */
static bool is_translated_by_us(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && domain->type != IOMMU_DOMAIN_IDENTITY;
}

/* The operations may be ours since a time when less was known. */
static void leave_to_others(struct device *dev)
{
	if (dev->dma_ops == &xen_swiotlb_dma_ops)
		dev->dma_ops = NULL;
}

/*
 * The IOMMU makes a device's addresses ones of the domain's, which in a 1:1 domain are the
 * machine's but for pages of others.
 */
static void leave_to_iommu(struct device *dev)
{
	leave_to_others(dev);
	if (xen_arm_is_news(dev, false))
		dev_info(dev, "xen-dma: left to the IOMMU that this kernel drives, which does not lead to other domains' pages; a backend needs iommu.passthrough=1\n");
}

/* What is wrong for the machine must not be used. That is said here, and not again. */
static void refuse_own_iommu(struct device *dev)
{
	xen_arm_refuse(dev);
	xen_bypass_dma_iommu(dev);
	dev->dma_ops = &xen_swiotlb_dma_ops;
	if (xen_arm_is_news(dev, true))
		dev_err(dev, "xen-dma: DMA refused: the IOMMU that this kernel drives leads to addresses of the domain, not of the machine; if one of Xen's translates these, the device or its bus needs xen,dma-safe\n");
}

static void use_ours(struct device *dev)
{
	setup_aperture();
	dev->dma_ops = &xen_swiotlb_dma_ops;
}

static void act(struct device *dev, enum xen_dma_verdict verdict)
{
	switch (verdict) {
	case XEN_DMA_GENERIC:
		leave_to_others(dev);
		break;
	case XEN_DMA_GENERIC_UNSAID:
		leave_to_others(dev);
		say_unsaid(dev);
		break;
	case XEN_DMA_OWN_IOMMU:
		leave_to_iommu(dev);
		break;
	case XEN_DMA_OURS:
		use_ours(dev);
		break;
	case XEN_DMA_SERVED:
		serve(dev);
		break;
	case XEN_DMA_REFUSED:
		refuse_own_iommu(dev);
		break;
	}
}

/* Is there an IOMMU of the kernel's of which nobody knows yet whether it translates? */
static bool is_undecided(struct device *dev)
{
	return device_iommu_mapped(dev) ? !iommu_get_domain_for_dev(dev) :
					  !!dev_iommu_fwspec_get(dev);
}

static struct xen_dma_facts facts_of(struct device *dev)
{
	struct device_node *np = node_of(dev);
	bool unprotected = is_unprotected(np);

	return (struct xen_dma_facts) {
		.direct = xen_is_direct(),
		.dom0 = xen_initial_domain(),
		.translated = xen_source == XEN_DMA_TRANSLATED,
		.safe = is_safe(np),
		.hardware = is_hardware(np),
		.own_iommu = is_translated_by_us(dev) ||
			     (is_undecided(dev) && unprotected),
		.unprotected = unprotected,
	};
}

/**
 * xen_setup_dma_ops() - set up a device's DMA
 * @dev:	device, with what its bus's dma-ranges say in its map
 *
 * As xen_dma_policy() has it.
 *
 * Context: Process, may sleep.
 */
void xen_setup_dma_ops(struct device *dev)
{
	struct xen_dma_facts facts;
	unsigned int noio;

	/* That is known when the device gets its driver, or it is taken for the worst. */
	if (!xen_domain() ||
	    (!xen_is_direct() && !dev->driver && is_undecided(dev)))
		return;

	mutex_lock(&xen_dma_mutex);
	/* A disk's driver may wait for the mutex, and others for the disk. */
	noio = memalloc_noio_save();
	xen_arm_reconsider(dev);
	facts = facts_of(dev);
	if (facts.dom0 && !facts.direct && xen_all_unprotected)
		pr_warn_once("xen_dma_probe=on: ignored, dom0 is never probed\n");
	act(dev, xen_dma_policy(&facts));
	memalloc_noio_restore(noio);
	mutex_unlock(&xen_dma_mutex);
}
