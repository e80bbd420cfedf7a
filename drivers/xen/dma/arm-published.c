// SPDX-License-Identifier: GPL-2.0
/*
 * What the device tree and the command line say of where the memory of an ARM domain is.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/init.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/string.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>

#include "addr.h"
#include "arm.h"

/* The boot parameter. */
static char xen_offset_param[256] __initdata;
static bool xen_has_offset_param __initdata;

static int __init set_offset(char *arg)
{
	xen_has_offset_param = true;
	if (arg && strscpy(xen_offset_param, arg,
			   sizeof(xen_offset_param)) < 0)
		*xen_offset_param = '\0';
	return 0;
}
early_param("xen_dma_offset", set_offset);

/* What is said, until all of it is read. */
static struct xen_bus_table xen_published __initdata;

static void __init add_memory(u64 start, u64 size)
{
	u64 end = round_down(start + size, XEN_PAGE_SIZE);

	start = round_up(start, XEN_PAGE_SIZE);
	if (start < end && xen_bus_add(&xen_ram, start, end - start, 0))
		pr_warn("memory at %#llx is not known to DMA\n", start);
}

bool xen_any_no_map __ro_after_init;

static void __init look_for_no_map(void)
{
	struct memblock_region *region;

	for_each_mem_region(region)
		xen_any_no_map |= memblock_is_nomap(region);
}

/*
 * The memory that the hypervisor gave to the domain: as the device tree has it,
 * for what the kernel was told not to use is a part of it too.
 */
static void __init read_memory(void)
{
	struct device_node *np;
	phys_addr_t start, end;
	const char *wrong;
	struct resource res;
	u64 i;

	for_each_node_by_type(np, "memory") {
		int k;

		for (k = 0; !of_address_to_resource(np, k, &res); k++)
			add_memory(res.start, resource_size(&res));
	}
	wrong = xen_bus_seal(&xen_ram);
	if (wrong)
		pr_warn("memory of the device tree: %s\n", wrong);
	if (xen_ram.nr)
		return;

	for_each_mem_range(i, &start, &end)
		add_memory(start, end - start);
	xen_bus_seal(&xen_ram);
}

/* Before it had a vendor's prefix it was suggested without one. */
static const __be32 * __init get_offset(struct device_node *np,
					const char **property, int *len)
{
	const __be32 *prop;

	*property = "xen,dma-offset";
	prop = of_get_property(np, *property, len);
	if (prop)
		return prop;

	*property = "dma-offset";
	return of_get_property(np, *property, len);
}

static const char * __init read_rows(struct device_node *np,
				     const __be32 *prop, int len)
{
	return xen_bus_read_rows(&xen_published, prop, len, of_n_addr_cells(np),
				 of_n_size_cells(np)) ?:
	       xen_bus_check(&xen_published, &xen_ram);
}

/*
 * Offset and ranges may both be there, if they agree. Beside the word that an IOMMU
 * translates for all devices there is nothing to say.
 */
static const char * __init read_node(struct device_node *np,
				     const char **property)
{
	const __be32 *offset_prop, *rows_prop;
	int offset_len, rows_len;
	const char *wrong;
	unsigned int i;
	u64 offset;

	offset_prop = get_offset(np, property, &offset_len);
	rows_prop = of_get_property(np, "xen,dma-ranges", &rows_len);

	if (of_property_read_bool(np, "xen,dma-translated")) {
		*property = "xen,dma-translated";
		xen_source = XEN_DMA_TRANSLATED;
		return offset_prop || rows_prop ?
		       "contradicts what is said of offsets" : NULL;
	}
	if (offset_prop) {
		wrong = xen_bus_read_offset(offset_prop, offset_len, &offset);
		if (wrong)
			return wrong;
		xen_source = XEN_DMA_OFFSET;
	}
	if (!rows_prop)
		return offset_prop ?
		       xen_bus_fill(&xen_published, &xen_ram, offset) : NULL;

	*property = "xen,dma-ranges";
	wrong = read_rows(np, rows_prop, rows_len);
	if (wrong)
		return wrong;
	for (i = 0; offset_prop && i < xen_published.nr; i++)
		if (xen_published.range[i].offset != offset)
			return "contradicts xen,dma-offset";
	if (!offset_prop)
		xen_source = XEN_DMA_RANGES;
	return NULL;
}

static const char * __init read_param(void)
{
	const char *wrong;

	if (!strcmp(xen_offset_param, "translated")) {
		xen_source = XEN_DMA_TRANSLATED;
		return NULL;
	}

	wrong = xen_bus_read_param(&xen_published, xen_offset_param, &xen_ram) ?:
		xen_bus_check(&xen_published, &xen_ram);
	if (!wrong)
		xen_source = XEN_DMA_PARAM;
	return wrong;
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
		xen_bus_free(&xen_published);
		xen_source = XEN_DMA_WRONG;
	}
}

/**
 * xen_learn_at_boot() - what is known of where the memory is, before anybody is asked
 *
 * Context: Boot.
 */
void __init xen_learn_at_boot(void)
{
	look_for_no_map();
	read_memory();
	if (xen_is_direct()) {
		xen_source = XEN_DMA_DIRECT;
		xen_bus_fill(&xen_published, &xen_ram, 0);
		xen_publish_table(&xen_published);
		if (xen_has_offset_param)
			pr_warn("xen_dma_offset=%s: ignored, the domain is mapped 1:1\n",
				xen_offset_param);
		return;
	}

	xen_needs_table = true;
	/* Xen put a page of its own in the place of this one. */
	xen_note_moved(XEN_PFN_DOWN(virt_to_phys(HYPERVISOR_shared_info)),
		       GFP_KERNEL);
	xen_learn_registers();
	if (!xen_ask_at_boot(&xen_published))
		read_published();
	else if (xen_has_offset_param)
		pr_warn("xen_dma_offset=%s: ignored, the hypervisor tells where memory is\n",
			xen_offset_param);
	xen_publish_table(&xen_published);
}
