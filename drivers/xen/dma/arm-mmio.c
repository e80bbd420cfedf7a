// SPDX-License-Identifier: GPL-2.0
/*
 * Where devices' registers are in the machine, for another device that is to reach them.
 *
 * A domain that is not mapped 1:1 may have them at addresses of its own. The property
 * xen,reg tells where they are, as whoever assigned the device wrote it into the partial
 * device tree; not every hypervisor and toolstack leaves it there.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/dma-mapping.h>
#include <linux/init.h>
#include <linux/of.h>
#include <linux/printk.h>

#include <xen/bus-ranges.h>
#include <xen/swiotlb-xen.h>

#include "arm.h"

static struct xen_bus_table xen_registers;

/**
 * xen_learn_registers() - read where registers are
 *
 * Context: Boot.
 */
void __init xen_learn_registers(void)
{
	struct device_node *np;
	const char *wrong;

	for_each_node_with_property(np, "xen,reg") {
		struct xen_bus_table regs = {};
		unsigned int i;
		int len;
		const __be32 *prop = of_get_property(np, "xen,reg", &len);

		wrong = xen_bus_read_regs(&regs, prop, len, of_n_addr_cells(np),
					  of_n_size_cells(np));
		for (i = 0; !wrong && i < regs.nr; i++)
			wrong = xen_bus_add(&xen_registers, regs.range[i].start,
					    regs.range[i].size,
					    regs.range[i].offset);
		if (wrong)
			pr_err("%pOF: xen,reg: %s, ignored\n", np, wrong);
		xen_bus_free(&regs);
	}

	wrong = xen_bus_seal(&xen_registers);
	if (wrong)
		pr_err("xen,reg of several devices: %s, ignored\n", wrong);
}

/**
 * xen_arm_mmio_to_bus() - what a device uses for another one's registers
 * @dev:	device
 * @phys:	guest-physical address of the registers
 * @size:	bytes
 *
 * Context: Any.
 * Return: The bus address, DMA_MAPPING_ERROR where it is not known.
 */
dma_addr_t xen_arm_mmio_to_bus(struct device *dev, phys_addr_t phys, size_t size)
{
	const struct xen_bus_range *range;

	if (xen_arm_refuses(dev))
		return DMA_MAPPING_ERROR;
	if (xen_is_direct())
		return phys;

	range = xen_bus_find(&xen_registers, phys);
	if (!range || phys - range->start + size > range->size)
		return DMA_MAPPING_ERROR;
	return xen_arm_machine_to_bus(dev, phys + range->offset);
}
