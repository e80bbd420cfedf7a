// SPDX-License-Identifier: GPL-2.0
/*
 * Hands for coherent_fault.sh: it arms a fault, has something allocated or freed,
 * and asks whether all of the domain's memory is sound. And for figures.sh, which looks
 * at what the driver tells while something is mapped.
 *
 * A line is written to the file xdt_fault in debugfs, and the answer read back:
 *
 *   take ORDER	allocate and fill; "memory", "nothing", or "wrong: WHY"
 *   give	check and free what was taken last; "given", or "wrong: WHY"
 *   look	at all pages; "sound" as long as the domain has as much memory as at
 *		the first look, or "wrong: WHY"
 *
 *   find	ten pages and a block of 64 KiB, each in one piece above 4 GiB; "found",
 *		or "wrong: WHY"
 *   map	what was found, for 32 bits; "mapped DEVICE", or "wrong: WHY"
 *   unmap	all of it; "unmapped"
 *
 * What has been taken lies below 4 GiB. Unloading frees it.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "xdt.h"
#include "xdt_memory.h"

/* How many areas may be taken at a time. */
#define MANY_AREAS	256

static struct xdt_area areas[MANY_AREAS];
static unsigned int nr_areas;
static struct xdt_domain first;
static struct xdt_hands hands;

static struct device *dma_dev(void)
{
	return &xdt_engine(0)->dev;
}

#define say(...)	xdt_say(&hands, __VA_ARGS__)

static void take(unsigned int order)
{
	struct xdt_area *area = &areas[nr_areas];
	const char *flaw;

	if (nr_areas == MANY_AREAS) {
		say("wrong: too much is taken already\n");
		return;
	}
	if (!xdt_take(dma_dev(), area, PAGE_SIZE << order, GFP_KERNEL)) {
		say("nothing\n");
		return;
	}
	nr_areas++;
	flaw = xdt_area_flaw(dma_dev(), area);
	xdt_stamp(area->addr, area->size, nr_areas);
	if (flaw)
		say("wrong: memory of order %u is %s\n", order, flaw);
	else
		say("memory\n");
}

static void give(void)
{
	struct xdt_area *area;
	size_t same;

	if (!nr_areas) {
		say("wrong: nothing is taken\n");
		return;
	}
	area = &areas[nr_areas - 1];
	same = xdt_stamped(area->addr, area->size, nr_areas);
	if (same != area->size)
		say("wrong: byte %zu of %zu has changed\n", same, area->size);
	else
		say("given\n");
	xdt_give(dma_dev(), area);
	nr_areas--;
}

/* Each page that the hypervisor says is the domain's is where it was. */
static void look(void)
{
	xdt_say_sound(&first, hands.answer, sizeof(hands.answer));
}

#define NR_BLOCKS	11

/* What is mapped to be counted: the first one has 64 KiB, the others a page. */
static struct block {
	void *addr;
	unsigned int order;
	dma_addr_t bus;
} blocks[NR_BLOCKS];
static unsigned int nr_found, nr_mapped;

static bool is_high(void *addr, size_t size)
{
	dma_addr_t bus;

	if (dma_set_mask(dma_dev(), DMA_BIT_MASK(64)))
		return false;
	bus = dma_map_single(dma_dev(), addr, size, DMA_TO_DEVICE);
	if (dma_mapping_error(dma_dev(), bus))
		return false;
	dma_unmap_single(dma_dev(), bus, size, DMA_TO_DEVICE);
	return bus > DMA_BIT_MASK(32);
}

/*
 * What is not high, or not in one piece, is held meanwhile, not to be found again. That may be
 * much: what scripts before this one have scattered the page allocator gives out first.
 */
static void *get_high_pages(unsigned int order)
{
	struct page *page, *next;
	void *found = NULL;
	LIST_HEAD(others);
	long left = si_mem_available() / 4 * 3;

	for (; left > 0 && !found; left -= 1L << order) {
		page = alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN, order);
		if (!page)
			break;
		if (is_high(page_address(page), PAGE_SIZE << order))
			found = page_address(page);
		else
			list_add(&page->lru, &others);
	}
	list_for_each_entry_safe(page, next, &others, lru)
		__free_pages(page, order);
	return found;
}

static void find_all(void)
{
	while (nr_found < NR_BLOCKS) {
		struct block *block = &blocks[nr_found];

		block->order = nr_found ? 0 : 4;
		block->addr = get_high_pages(block->order);
		if (!block->addr)
			break;
		nr_found++;
	}
	if (nr_found == NR_BLOCKS)
		say("found\n");
	else
		say("wrong: only %u could be found\n", nr_found);
}

static void map_all(void)
{
	int ret = dma_set_mask(dma_dev(), DMA_BIT_MASK(32));

	while (!ret && nr_mapped < nr_found) {
		struct block *block = &blocks[nr_mapped];

		block->bus = dma_map_single(dma_dev(), block->addr, PAGE_SIZE << block->order,
					    DMA_TO_DEVICE);
		if (dma_mapping_error(dma_dev(), block->bus))
			break;
		nr_mapped++;
	}
	if (nr_mapped == NR_BLOCKS)
		say("mapped %s\n", dev_name(dma_dev()));
	else
		say("wrong: only %u could be mapped\n", nr_mapped);
}

static void unmap_all(void)
{
	while (nr_mapped) {
		struct block *block = &blocks[--nr_mapped];

		dma_unmap_single(dma_dev(), block->bus, PAGE_SIZE << block->order, DMA_TO_DEVICE);
	}
	dma_set_mask(dma_dev(), DMA_BIT_MASK(64));
	say("unmapped\n");
}

static void lose_all(void)
{
	while (nr_found--)
		free_pages((unsigned long)blocks[nr_found].addr, blocks[nr_found].order);
}

static bool obey(const char *line)
{
	unsigned int order;

	if (sscanf(line, "take %u", &order) == 1)
		take(order);
	else if (sysfs_streq(line, "give"))
		give();
	else if (sysfs_streq(line, "look"))
		look();
	else if (sysfs_streq(line, "find"))
		find_all();
	else if (sysfs_streq(line, "map"))
		map_all();
	else if (sysfs_streq(line, "unmap"))
		unmap_all();
	else
		return false;
	return true;
}

static int __init xdt_fault_init(void)
{
	int ret;

	if (!xdt_engines())
		return -ENODEV;
	ret = dma_set_coherent_mask(dma_dev(), DMA_BIT_MASK(32));
	if (ret)
		return ret;
	hands.obey = obey;
	return xdt_start_hands(&hands, "xdt_fault");
}
module_init(xdt_fault_init);

static void __exit xdt_fault_exit(void)
{
	xdt_stop_hands(&hands);
	while (nr_areas)
		give();
	unmap_all();
	lose_all();
	dma_set_coherent_mask(dma_dev(), DMA_BIT_MASK(64));
}
module_exit(xdt_fault_exit);

MODULE_DESCRIPTION("DMA tests: memory exchange that fails");
MODULE_LICENSE("GPL");
