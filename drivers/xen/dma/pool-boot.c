// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's first chunks, made by exchange of a buffer that the generic code has
 * allocated.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>
#include <linux/swiotlb.h>

#include <xen/swiotlb-xen.h>

#include "contig.h"
#include "pool.h"

/* Says what is missing: @done bytes of a buffer of @size are in use. */
static void report_missing(size_t done, size_t size)
{
	size_t wanted = swiotlb_size_or_default();
	char all[12];

	string_get_size(wanted, 1, STRING_UNITS_2, all, sizeof(all));
	if (done < size)
		pr_warn("Xen has no more memory below 4 GiB for the aperture of %s; leave it some with dom0_mem=\n",
			all);
	else if (done < wanted && !slab_is_available())
		pr_warn("the domain has no memory for an aperture of %s; see swiotlb=\n",
			all);
}

/**
 * xen_pool_add_extents() - make chunks of memory of early boot
 * @vaddr:		where it is
 * @size:		its bytes
 * @address_bits:	width of the chunks' addresses
 *
 * In the largest extents that Xen has, one after the other.
 *
 * Context: Early boot, or process.
 * Return: The bytes that are in use, from @vaddr on.
 */
size_t __ref xen_pool_add_extents(void *vaddr, size_t size,
				  unsigned int address_bits)
{
	unsigned int order = XEN_CHUNK_MAX_ORDER;
	size_t done = 0;

	while (order >= XEN_CHUNK_MIN_ORDER) {
		struct xen_pool_chunk extent = { .vaddr = vaddr + done };
		phys_addr_t phys = virt_to_phys(extent.vaddr);
		size_t bytes = PAGE_SIZE << order;
		bool exchanged, all;

		if (bytes > size - done ||
		    xen_make_contiguous(phys, NULL, order, address_bits,
					GFP_KERNEL, &extent.bus, &exchanged)) {
			order--;
			continue;
		}
		if (xen_pool_add_chunk(&extent, bytes, GFP_KERNEL)) {
			if (exchanged)
				xen_give_back(phys, NULL, order, GFP_KERNEL,
					      &all);
			break;
		}
		done += bytes;
	}

	xen_pool_count(done);
	return done;
}

/* What early boot could not use, from the page after the last chunk on. */
static void *xen_unused __initdata;
static size_t xen_unused_size __initdata;

static int __init free_unused(void)
{
	if (!xen_unused_size)
		return 0;

	kmemleak_free_part_phys(__pa(xen_unused), xen_unused_size);
	free_reserved_area(xen_unused, xen_unused + xen_unused_size, -1,
			   "unused part of the aperture");
	return 0;
}
core_initcall(free_unused);

static void __init keep_unused(void *vaddr, size_t size)
{
	xen_unused = vaddr;
	xen_unused_size = size;
}

/**
 * xen_swiotlb_fixup() - make the aperture from a buffer
 * @buf:	buffer that the generic code has allocated, as swiotlb= says
 * @nslabs:	its size in units of IO_TLB_SIZE bytes
 *
 * A small part comes from the machine's lowest memory, for devices that reach
 * no other, the rest from anywhere below 4 GiB. What Xen has is kept, be it
 * less than asked for; the generic pool over the same buffer serves no device
 * of a PV domain.
 *
 * Context: Early boot, one CPU; 6.1 also from a driver's probe.
 * Return: 0, or -ENOMEM when Xen has no suitable memory at all.
 */
int __ref xen_swiotlb_fixup(void *buf, unsigned long nslabs)
{
	size_t size = nslabs << IO_TLB_SHIFT;
	size_t done = 0;

	if (xen_pool_init())
		return -ENOMEM;

	if (size > 4 * XEN_RESERVE_SIZE)
		done = xen_pool_add_extents(buf, XEN_RESERVE_SIZE, XEN_RESERVE_BITS);
	done += xen_pool_add_extents(buf + done, size - done, XEN_WIDEST_BITS);

	if (!done) {
		pr_err_once("Xen has no memory below 4 GiB for an aperture; leave it some with dom0_mem=\n");
		return -ENOMEM;
	}

	report_missing(done, size);
	xen_pool_report(done);

	if (!slab_is_available())
		keep_unused(buf + done, size - done);
	return 0;
}
