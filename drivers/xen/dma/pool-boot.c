// SPDX-License-Identifier: GPL-2.0
/*
 * The pool's first chunks: made of a buffer that the generic code has allocated, by
 * exchange, or of memory that is found. One line tells the administrator what came of it.
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>
#include <linux/swiotlb.h>

#include <xen/swiotlb-xen.h>

#include "contig.h"
#include "params.h"
#include "pool.h"

/*
 * Says what the aperture consists of: @done bytes of a buffer of @size. No chunk
 * comes or goes yet, so the lists need no lock.
 */
static void report_aperture(size_t done, size_t size)
{
	size_t wanted = swiotlb_size_or_default();
	const struct xen_pool_reach reach = xen_pool_reach(U64_MAX);
	struct xen_pool_chunk *chunk;
	char all[12], largest[12];
	unsigned int chunks = 0, i;
	u64 highest = 0;

	string_get_size(wanted, 1, STRING_UNITS_2, all, sizeof(all));
	if (done < size)
		pr_warn("Xen has no more memory below 4 GiB for the aperture of %s; leave it some with dom0_mem=\n",
			all);
	else if (done < wanted && !slab_is_available())
		pr_warn("the domain has no memory for an aperture of %s; see swiotlb=\n",
			all);

	for (i = 0; i < XEN_NR_ZONES; i++)
		list_for_each_entry(chunk, &xen_pool_zones[i].chunks, list) {
			chunks++;
			highest = max_t(u64, highest, xen_chunk_last(chunk));
		}
	string_get_size(done, 1, STRING_UNITS_2, all, sizeof(all));
	string_get_size(xen_pool_largest(&reach, true), 1, STRING_UNITS_2,
			largest, sizeof(largest));
	pr_info("aperture %s in %u chunks, largest %s, highest bus address %#llx\n",
		all, chunks, largest, highest);
}

#if XEN_DMA_EXCHANGES
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
		struct page *page = virt_to_page(extent.vaddr);
		size_t bytes = PAGE_SIZE << order;
		bool exchanged, all;

		if (bytes > size - done ||
		    xen_make_contiguous(page, NULL, order, address_bits,
					GFP_KERNEL, &extent.bus, &exchanged)) {
			order--;
			continue;
		}
		if (xen_pool_add_chunk(&extent, bytes, GFP_KERNEL)) {
			if (exchanged)
				xen_give_back(page, NULL, order, GFP_KERNEL,
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

	report_aperture(done, size);

	if (!slab_is_available())
		keep_unused(buf + done, size - done);
	return 0;
}
#else
/* Where memory is found, this share of it is to begin with. */
#define SETUP_SHARE	32

/**
 * xen_aperture_setup() - make an aperture of the domain's own memory
 *
 * Where nothing can be exchanged. The lowest memory in the machine is taken, in
 * pieces as large as there are, from one range or from several.
 *
 * Context: Process, may sleep; before any device uses the aperture.
 */
void xen_aperture_setup(void)
{
	u64 share = (u64)totalram_pages() * PAGE_SIZE / SETUP_SHARE;
	size_t size = xen_pool_size ?:
		      min_t(u64, share, IO_TLB_DEFAULT_SIZE);
	unsigned int order = XEN_CHUNK_MAX_ORDER;
	size_t done = 0;

	if (xen_pool_init()) {
		pr_err("no memory for the aperture's table\n");
		return;
	}

	size = max_t(size_t, size, PAGE_SIZE << XEN_CHUNK_MIN_ORDER);
	while (order >= XEN_CHUNK_MIN_ORDER) {
		size_t bytes = PAGE_SIZE << order;

		if (bytes > size - done ||
		    xen_pool_grow(XEN_WIDEST_BITS, order, XEN_CHUNK_BOOT,
				  GFP_KERNEL | __GFP_NORETRY))
			order--;
		else
			done += bytes;
	}
	if (done)
		report_aperture(done, done);
	else
		pr_warn("no memory for an aperture of %zu bytes\n", size);
}
#endif
