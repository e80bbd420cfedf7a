// SPDX-License-Identifier: GPL-2.0
/*
 * A model of caches that a device does not see, as unkind as a real one can be: what the
 * CPU writes stays in its cache until it is cleaned, and what a line has that is thrown
 * away is lost.
 *
 * A page's own bytes are what the CPU sees. What the device sees of it, the memory, is
 * beside it, with a copy of how each line was when both were the same last, which tells
 * whether the CPU has written to it since then. The maintenance is that of 32-bit ARM: a
 * line of which only a part is to be thrown away is cleaned first.
 */
#include <linux/dma-map-ops.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/xarray.h>

#include "machine-model.h"

/**
 * struct cached_page - a page, as others see it
 * @memory:	what is in the memory
 * @clean:	the bytes of each line when it was the same in cache and memory last
 */
struct cached_page {
	u8 memory[PAGE_SIZE];
	u8 clean[PAGE_SIZE];
};

static DEFINE_XARRAY_FLAGS(cached_pages, XA_FLAGS_LOCK_IRQ);
static bool caches_on;

/**
 * xen_machine_caches() - have caches, or none
 * @on:	from now on
 *
 * Memory begins with bytes that nobody has written, and the CPU's in its cache.
 *
 * Context: Process; no device is at work.
 */
void xen_machine_caches(bool on)
{
	struct cached_page *page;
	unsigned long pfn;

	caches_on = on;
	xa_for_each(&cached_pages, pfn, page) {
		xa_erase_irq(&cached_pages, pfn);
		kfree(page);
	}
}

static u8 *cpu_side(phys_addr_t phys)
{
	return phys_to_virt(round_down(phys, PAGE_SIZE));
}

/* A page that is in the caches only: nothing of it has reached memory. */
static struct cached_page *cached_only(phys_addr_t phys)
{
	struct cached_page *page = kmalloc(sizeof(*page), GFP_ATOMIC | __GFP_NOFAIL);
	unsigned long i;

	memset(page->memory, MACHINE_GARBAGE, PAGE_SIZE);
	for (i = 0; i < PAGE_SIZE; i++)
		page->clean[i] = ~cpu_side(phys)[i];
	return page;
}

/* The page that an address is in, noted when it is first looked at. */
static struct cached_page *page_of(phys_addr_t phys)
{
	struct cached_page *page = xa_load(&cached_pages, PHYS_PFN(phys));
	unsigned long flags;

	if (page)
		return page;

	page = cached_only(phys);
	xa_lock_irqsave(&cached_pages, flags);
	__xa_store(&cached_pages, PHYS_PFN(phys), page, GFP_ATOMIC | __GFP_NOFAIL);
	xa_unlock_irqrestore(&cached_pages, flags);
	return page;
}

/* Writes a line to the memory, or reads it from there. */
static void move_line(struct cached_page *page, u8 *cpu, size_t at, bool clean)
{
	if (clean)
		memcpy(page->memory + at, cpu + at, MACHINE_LINE);
	else
		memcpy(cpu + at, page->memory + at, MACHINE_LINE);
	memcpy(page->clean + at, cpu + at, MACHINE_LINE);
}

static bool is_dirty(const struct cached_page *page, const u8 *cpu, size_t at)
{
	return memcmp(page->clean + at, cpu + at, MACHINE_LINE);
}

/* Cleans lines, or throws them away; what has not been written to needs no cleaning. */
static void maintain(phys_addr_t phys, size_t size, bool clean)
{
	phys_addr_t end = phys + size, line = round_down(phys, MACHINE_LINE);

	if (!caches_on)
		return;
	for (; line < end; line += MACHINE_LINE) {
		struct cached_page *page = page_of(line);
		bool part = line < phys || line + MACHINE_LINE > end;
		size_t at = offset_in_page(line);
		u8 *cpu = cpu_side(line);

		if ((clean || part) && is_dirty(page, cpu, at))
			move_line(page, cpu, at, true);
		if (!clean)
			move_line(page, cpu, at, false);
	}
}

void arch_sync_dma_for_device(phys_addr_t phys, size_t size,
			      enum dma_data_direction dir)
{
	maintain(phys, size, dir != DMA_FROM_DEVICE);
}

void arch_sync_dma_for_cpu(phys_addr_t phys, size_t size,
			   enum dma_data_direction dir)
{
	if (dir != DMA_TO_DEVICE)
		maintain(phys, size, false);
}

/**
 * machine_memory() - where a device finds a byte
 * @vaddr:	where the CPU has it
 *
 * Context: Any.
 * Return: The same without caches, else a byte of the memory.
 */
void *machine_memory(void *vaddr)
{
	if (!caches_on)
		return vaddr;
	return page_of(virt_to_phys(vaddr))->memory + offset_in_page(vaddr);
}
