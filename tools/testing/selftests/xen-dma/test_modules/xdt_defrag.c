// SPDX-License-Identifier: GPL-2.0
/*
 * Hands for defrag.sh: it scatters the domain's memory, and asks how many buffers
 * are bounced for a device that reaches all of it. And for those who make domains of a host's
 * last pieces.
 *
 * A line is written to the file xdt_defrag in debugfs, and the answer read back:
 *
 *   hold	take pages that have nothing to do with it, and stamp them; "held"
 *   map ORDER	take blocks of orders 1 to 9, all at a time, and map each; three numbers: how
 *		many up to that order were copied, how many larger ones, and how
 *		many of all there were. The device has to see some of them as the CPU
 *		does, else "wrong: WHY"
 *   large	how many extents of 2 MiB Xen could give; a number
 *   look	at what is held, and at all pages of the domain; "sound", or "wrong: WHY"
 *   whole ORDER	how many of a thousand blocks of that order are in one piece, of all
 *		that can be had; a number
 *   keep ORDER	the same, and those that are in one piece are kept, until "uncomb"
 *   comb MIB	take so much memory, and free every second page of it; "combed". What the
 *		balloon takes and brings lies between these pages then
 *   uncomb	free the others; "free"
 *   skew		one page that Xen has is the domain's, and nobody uses it, so that what the
 *		balloon brings back is not what it took; "skewed"
 *   shred	all extents of 2 MiB that Xen has: the domain takes half of each; "shredded"
 *
 * Unloading frees what is held, but for what was taken of Xen's extents.
 */
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include <xen/interface/memory.h>

#include "xdt.h"
#include "xdt_memory.h"

#define LAST_ORDER	9
#define LAST_SMALL	4
#define MANY_SMALL	256U
#define MANY_LARGE	64U
#define MANY_HELD	4096
#define MANY_EXTENTS	4096

/* So many of each order does the device look at, this much of each. */
#define SAMPLES		4
#define SEEN		8

static struct page *held[MANY_HELD];
static struct page *blocks[LAST_ORDER + 1][MANY_SMALL];
static struct xdt_domain first;
static struct xdt_hands hands;

static struct device *dma_dev(void)
{
	return &xdt_engine(0)->dev;
}

#define say(...)	xdt_say(&hands, __VA_ARGS__)

static unsigned int many(unsigned int order)
{
	return order <= LAST_SMALL ? MANY_SMALL : MANY_LARGE;
}

static void hold(void)
{
	unsigned int i;

	for (i = 0; i < MANY_HELD; i++) {
		if (!held[i])
			held[i] = alloc_page(GFP_KERNEL);
		if (!held[i]) {
			say("wrong: no memory\n");
			return;
		}
		xdt_stamp(page_address(held[i]), PAGE_SIZE, i);
	}
	say("held\n");
}

/* The device reads the block's last bytes and writes the first ones. */
static bool device_sees(dma_addr_t bus, void *block, size_t size, u64 word)
{
	u64 *last = block + size - SEEN, seen = 0;

	return !xdt_peek(bus + size - SEEN, &seen, SEEN) && seen == *last &&
	       !xdt_poke(bus, &word, SEEN);
}

/* Maps a block; returns whether it was copied, and tells what is wrong. */
static bool map_block(struct page *page, unsigned int order, bool sample)
{
	dma_addr_t machine = PFN_PHYS((dma_addr_t)pfn_to_mfn(page_to_pfn(page)));
	u64 *block = page_address(page), word = 0x1234567890abcdefULL + page_to_pfn(page);
	size_t size = PAGE_SIZE << order;
	bool good = true;
	dma_addr_t bus;

	block[0] = 0;
	block[size / SEEN - 1] = ~word;
	bus = dma_map_page_attrs(dma_dev(), page, 0, size, DMA_BIDIRECTIONAL,
				 DMA_ATTR_NO_WARN);
	if (dma_mapping_error(dma_dev(), bus))
		return true;
	if (sample)
		good = device_sees(bus, block, size, word);
	dma_unmap_page(dma_dev(), bus, size, DMA_BIDIRECTIONAL);
	if (sample && (!good || block[0] != word))
		say("wrong: the device does not see a block of order %u\n", order);
	return bus != machine;
}

static void map_blocks(unsigned int small)
{
	unsigned int copied[2] = { }, total = 0, order, i;

	*hands.answer = 0;
	for (order = 1; order <= LAST_ORDER; order++)
		for (i = 0; i < many(order); i++)
			blocks[order][i] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);
	for (order = 1; order <= LAST_ORDER; order++)
		for (i = 0; i < many(order); i++) {
			if (!blocks[order][i])
				continue;
			total++;
			copied[order > small] +=
				map_block(blocks[order][i], order,
					  i % (many(order) / SAMPLES) == 0);
			cond_resched();
		}
	for (order = 1; order <= LAST_ORDER; order++)
		for (i = 0; i < many(order); i++)
			if (blocks[order][i])
				__free_pages(blocks[order][i], order);
	if (!*hands.answer)
		say("%u %u %u\n", copied[0], copied[1], total);
}

static LIST_HEAD(combed);

static void uncomb(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &combed, lru) {
		list_del(&page->lru);
		__free_page(page);
		cond_resched();
	}
	say("free\n");
}

/* Pages come in the order of their numbers, nearly all of them. */
static void comb(unsigned int mib)
{
	unsigned long nr = (unsigned long)mib << (20 - PAGE_SHIFT);
	struct page *page, *next;
	bool odd = false;

	while (nr--) {
		page = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
		if (!page) {
			uncomb();
			say("wrong: no memory\n");
			return;
		}
		list_add(&page->lru, &combed);
		cond_resched();
	}
	list_for_each_entry_safe(page, next, &combed, lru) {
		odd = !odd;
		if (odd)
			continue;
		list_del(&page->lru);
		__free_page(page);
		cond_resched();
	}
	say("combed\n");
}

static long one_extent(unsigned int op, xen_pfn_t frame, unsigned int order)
{
	struct xen_memory_reservation res = {
		.nr_extents = 1,
		.extent_order = order,
		.domid = DOMID_SELF,
	};

	set_xen_guest_handle(res.extent_start, &frame);
	return HYPERVISOR_memory_op(op, &res) == 1 ? frame : -1;
}

static void skew(void)
{
	if (one_extent(XENMEM_increase_reservation, 0, 0) < 0)
		say("wrong: Xen gives no page\n");
	else
		say("skewed\n");
}

/* Takes all extents of 2 MiB that Xen has; of each, what lies @from there goes back, of @order. */
static void swap_extents(xen_pfn_t from, unsigned int order, unsigned int *taken,
			 unsigned int *lost)
{
	static long frames[MANY_EXTENTS];
	unsigned int i;

	*taken = 0;
	*lost = 0;
	while (*taken < MANY_EXTENTS) {
		frames[*taken] = one_extent(XENMEM_increase_reservation, 0, LAST_ORDER);
		if (frames[*taken] < 0)
			break;
		++*taken;
		cond_resched();
	}
	for (i = 0; i < *taken; i++) {
		*lost += one_extent(XENMEM_decrease_reservation, frames[i] + from, order) < 0;
		cond_resched();
	}
}

/* All of them are taken, and none is used. */
static void count_extents(void)
{
	unsigned int taken, lost;

	swap_extents(0, LAST_ORDER, &taken, &lost);
	if (lost)
		say("wrong: %u extents do not go back\n", lost);
	else
		say("%u\n", taken);
}

static void shred(void)
{
	unsigned int taken, lost;

	swap_extents(1 << (LAST_ORDER - 1), LAST_ORDER - 1, &taken, &lost);
	if (lost || !taken)
		say("wrong: %u of %u extents do not go back\n", lost, taken);
	else
		say("shredded\n");
}

static bool is_whole(unsigned long pfn, unsigned long nr)
{
	unsigned long i;

	for (i = 1; i < nr; i++)
		if (xen_p2m_addr[pfn + i] != xen_p2m_addr[pfn] + i)
			return false;
	return true;
}

static void keep_block(struct page *page, unsigned int order)
{
	unsigned int i;

	split_page(page, order);
	for (i = 0; i < 1U << order; i++)
		list_add(&page[i].lru, &combed);
}

static void tell_whole(unsigned int order, bool keep)
{
	unsigned long all = 0, whole = 0;
	struct page *page, *next;
	LIST_HEAD(taken);

	while ((page = alloc_pages(GFP_NOWAIT | __GFP_NOWARN, order))) {
		bool is_one = is_whole(page_to_pfn(page), 1UL << order);

		if (is_one && keep)
			keep_block(page, order);
		else
			list_add(&page->lru, &taken);
		whole += is_one;
		all++;
		cond_resched();
	}
	list_for_each_entry_safe(page, next, &taken, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
	}
	say("%lu\n", all ? whole * 1000 / all : 0);
}

static void look(void)
{
	unsigned int i;

	for (i = 0; i < MANY_HELD && held[i]; i++)
		if (xdt_stamped(page_address(held[i]), PAGE_SIZE, i) != PAGE_SIZE) {
			say("wrong: page %u of those that are held has changed\n", i);
			return;
		}
	xdt_say_sound(&first, hands.answer, sizeof(hands.answer));
}

static bool obey(const char *line)
{
	unsigned int number;

	if (sysfs_streq(line, "hold"))
		hold();
	else if (sscanf(line, "map %u", &number) == 1)
		map_blocks(number);
	else if (sscanf(line, "whole %u", &number) == 1 && number <= LAST_ORDER)
		tell_whole(number, false);
	else if (sscanf(line, "keep %u", &number) == 1 && number <= LAST_ORDER)
		tell_whole(number, true);
	else if (sscanf(line, "comb %u", &number) == 1)
		comb(number);
	else if (sysfs_streq(line, "uncomb"))
		uncomb();
	else if (sysfs_streq(line, "skew"))
		skew();
	else if (sysfs_streq(line, "shred"))
		shred();
	else if (sysfs_streq(line, "large"))
		count_extents();
	else if (sysfs_streq(line, "look"))
		look();
	else
		return false;
	return true;
}

static int __init xdt_defrag_init(void)
{
	int ret;

	if (!xdt_engines())
		return -ENODEV;
	ret = dma_set_mask(dma_dev(), DMA_BIT_MASK(64));
	if (ret)
		return ret;
	hands.obey = obey;
	return xdt_start_hands(&hands, "xdt_defrag");
}
module_init(xdt_defrag_init);

static void __exit xdt_defrag_exit(void)
{
	unsigned int i;

	xdt_stop_hands(&hands);
	uncomb();
	for (i = 0; i < MANY_HELD && held[i]; i++)
		__free_page(held[i]);
}
module_exit(xdt_defrag_exit);

MODULE_DESCRIPTION("DMA tests: free memory that is put together");
MODULE_LICENSE("GPL");
