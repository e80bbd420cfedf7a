// SPDX-License-Identifier: GPL-2.0
/*
 * A model of the machine, for KUnit tests under User Mode Linux.
 *
 * It stands for arch/x86/xen/mmu.c and the hypervisor behind it. Two tables say
 * which frame is behind each page (the P2M) and which page each frame is behind
 * (the M2P), a bitmap says which frames the hypervisor has to give. Every frame
 * is in one place: no two pages have the same, none is both used and free.
 *
 * Frames have no content of their own. What a device finds at a bus address is
 * the page that the M2P names, so with a wrong address it gets the wrong bytes,
 * or none. One lock covers all changes; look-ups take none, as on a machine.
 *
 * The hypervisor can be told to refuse: all exchanges, those from a certain one
 * on, that one only, or a part of each. All of it is counted.
 */
#define pr_fmt(fmt) "xen_machine: " fmt

#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/xen/page.h>

#include "machine-model.h"

unsigned long *xen_p2m_addr;
unsigned long xen_p2m_size;

u32 *machine_m2p;
unsigned long *machine_free;
static unsigned long machine_nr_free;
struct xen_machine_counts machine_count;
DEFINE_SPINLOCK(machine_lock);

/*
 * How exchanges fail: with machine_error all of them, from machine_countdown
 * calls on the one call, or all that follow too. A step of giving back does no
 * more than machine_step pages. With machine_only_low nothing comes from above
 * 4 GiB.
 */
static int machine_error;
static unsigned long machine_countdown;
static int machine_countdown_error;
static bool machine_countdown_stays;
unsigned int machine_step;
static bool machine_only_low;

static void *machine_buffer;
static size_t machine_buffer_size;

void machine_set_frame(unsigned long pfn, unsigned long mfn)
{
	WRITE_ONCE(xen_p2m_addr[pfn], mfn);
	WRITE_ONCE(machine_m2p[mfn], pfn);
}

/* The hypervisor gets @nr frames. */
void machine_give_frames(unsigned long mfn, unsigned long nr)
{
	bitmap_set(machine_free, mfn, nr);
	machine_nr_free += nr;
}

/* The hypervisor gives @nr frames, all of them free. */
static void take_frames(unsigned long mfn, unsigned long nr)
{
	bitmap_clear(machine_free, mfn, nr);
	machine_nr_free -= nr;
}

unsigned long machine_frames_below(unsigned int address_bits)
{
	if (address_bits < PAGE_SHIFT)
		return 0;
	if (address_bits >= ilog2(SZ_16G))
		return XEN_MACHINE_END_MFN;

	return BIT(address_bits - PAGE_SHIFT);
}

/* Where what the hypervisor gives ends. */
unsigned long machine_frames_to_give(void)
{
	return machine_only_low ? LOW_FRAMES : XEN_MACHINE_END_MFN;
}

/*
 * Takes the highest free extent below frame @end that is aligned to its size.
 * Returns its first frame, or INVALID_P2M_ENTRY.
 */
unsigned long machine_take_extent(unsigned int order, unsigned long end)
{
	unsigned long nr = BIT(order);

	while (end) {
		unsigned long last = find_last_bit(machine_free, end);
		unsigned long first = ALIGN_DOWN(last, nr);

		if (last >= end)
			break;
		if (first + nr <= end &&
		    find_next_zero_bit(machine_free, first + nr, first) >=
		    first + nr) {
			take_frames(first, nr);
			return first;
		}
		end = first;
	}

	return INVALID_P2M_ENTRY;
}

static bool allocate_tables(void)
{
	unsigned long nr = max_pfn;

	if (xen_p2m_addr)
		return true;
	if (WARN_ON_ONCE(nr > HOME_FRAMES))
		return false;

	machine_m2p = vmalloc_array(XEN_MACHINE_END_MFN, sizeof(*machine_m2p));
	machine_free = vmalloc_array(BITS_TO_LONGS(XEN_MACHINE_END_MFN),
				     sizeof(*machine_free));
	xen_p2m_addr = vmalloc_array(nr, sizeof(*xen_p2m_addr));
	if (machine_m2p && machine_free && xen_p2m_addr) {
		xen_p2m_size = nr;
		return true;
	}

	vfree(machine_m2p);
	vfree(machine_free);
	vfree(xen_p2m_addr);
	xen_p2m_addr = NULL;
	return false;
}

/**
 * xen_machine_reset() - bring the machine to its default state
 *
 * Each page has a frame from 4 GiB up to 8 GiB, neighbours never contiguous ones.
 * The hypervisor has 1 MiB to 16 MiB and 64 MiB to 3 GiB to give, and what pages
 * give it. Exchanges work, and none is counted. The pages' content stays.
 *
 * Context: Process, and nobody does DMA.
 */
void xen_machine_reset(void)
{
	unsigned long flags, pfn;

	if (WARN_ON_ONCE(!allocate_tables()))
		return;

	spin_lock_irqsave(&machine_lock, flags);
	memset32(machine_m2p, NO_PFN, XEN_MACHINE_END_MFN);
	for (pfn = 0; pfn < xen_p2m_size; pfn++)
		machine_set_frame(pfn, HOME_MFN + pfn * HOME_STRIDE % HOME_FRAMES);

	bitmap_zero(machine_free, XEN_MACHINE_END_MFN);
	machine_nr_free = 0;
	machine_give_frames(PFN_UP(LOW_NARROW_START),
			    PFN_DOWN(LOW_NARROW_END - LOW_NARROW_START));
	machine_give_frames(PFN_UP(LOW_WIDE_START),
			    PFN_DOWN(LOW_WIDE_END - LOW_WIDE_START));

	memset(&machine_count, 0, sizeof(machine_count));
	machine_error = 0;
	machine_countdown = 0;
	machine_step = CHUNK_PAGES;
	machine_only_low = false;
	spin_unlock_irqrestore(&machine_lock, flags);
}

/**
 * xen_machine_mfn() - frame behind a page
 * @pfn:	page
 *
 * Context: Any.
 * Return: The frame, ULONG_MAX when @pfn is no RAM.
 */
unsigned long xen_machine_mfn(unsigned long pfn)
{
	return pfn < xen_p2m_size ? READ_ONCE(xen_p2m_addr[pfn]) : ULONG_MAX;
}

/**
 * xen_machine_pfn() - page that a frame is behind
 * @mfn:	frame
 *
 * Context: Any.
 * Return: The page, ULONG_MAX when the frame is behind none.
 */
unsigned long xen_machine_pfn(unsigned long mfn)
{
	u32 pfn = NO_PFN;

	if (xen_p2m_size && mfn < XEN_MACHINE_END_MFN)
		pfn = READ_ONCE(machine_m2p[mfn]);

	return pfn == NO_PFN ? ULONG_MAX : pfn;
}

/* Gives a page a certain frame, and who has that one the page's own. */
static void place_page(unsigned long pfn, unsigned long mfn)
{
	unsigned long old = xen_p2m_addr[pfn];
	u32 owner = machine_m2p[mfn];

	if (old == mfn)
		return;

	if (owner != NO_PFN) {
		machine_set_frame(owner, old);
	} else {
		if (test_bit(mfn, machine_free))
			take_frames(mfn, 1);
		WRITE_ONCE(machine_m2p[old], NO_PFN);
		machine_give_frames(old, 1);
	}
	machine_set_frame(pfn, mfn);
}

/**
 * xen_machine_place() - choose the frames of some pages
 * @addr:	linear address of the first page
 * @nr_pages:	pages
 * @first_mfn:	frame of the first; the others get those that follow
 *
 * The frames are from XEN_MACHINE_FREE_MFN up to XEN_MACHINE_END_MFN. A page
 * that has one of them gets another instead. Content stays with the pages.
 *
 * Context: Any, and nobody does DMA on these pages.
 */
void xen_machine_place(void *addr, unsigned long nr_pages,
		       unsigned long first_mfn)
{
	unsigned long pfn = PHYS_PFN(__pa(addr));
	unsigned long flags, i;

	if (WARN_ON_ONCE(pfn >= xen_p2m_size || nr_pages > xen_p2m_size - pfn ||
			 first_mfn < XEN_MACHINE_FREE_MFN ||
			 first_mfn > XEN_MACHINE_END_MFN ||
			 nr_pages > XEN_MACHINE_END_MFN - first_mfn))
		return;

	spin_lock_irqsave(&machine_lock, flags);
	for (i = 0; i < nr_pages; i++)
		place_page(pfn + i, first_mfn + i);
	spin_unlock_irqrestore(&machine_lock, flags);
}

/* Where a bus address leads to; *@len is cut at the end of the page. */
static void *memory_at(dma_addr_t bus, size_t *len)
{
	unsigned long pfn = xen_machine_pfn(PHYS_PFN(bus));

	*len = min_t(size_t, *len, PAGE_SIZE - offset_in_page(bus));

	return pfn == ULONG_MAX ? NULL :
				  machine_memory(__va(PFN_PHYS(pfn)) +
						 offset_in_page(bus));
}

/**
 * xen_machine_peek() - read as a device
 * @bus:	bus address
 * @buf:	where the bytes go
 * @len:	how many
 *
 * Context: Any.
 * Return: 0, or -EFAULT when it comes to a frame that no page has.
 */
int xen_machine_peek(dma_addr_t bus, void *buf, size_t len)
{
	while (len) {
		size_t n = len;
		void *memory = memory_at(bus, &n);

		if (!memory)
			return -EFAULT;
		memcpy(buf, memory, n);
		bus += n;
		buf += n;
		len -= n;
	}

	return 0;
}

/**
 * xen_machine_poke() - write as a device
 * @bus:	bus address
 * @buf:	the bytes
 * @len:	how many
 *
 * Context: Any.
 * Return: 0, or -EFAULT when it comes to a frame that no page has; what
 * precedes that is written.
 */
int xen_machine_poke(dma_addr_t bus, const void *buf, size_t len)
{
	while (len) {
		size_t n = len;
		void *memory = memory_at(bus, &n);

		if (!memory)
			return -EFAULT;
		memcpy(memory, buf, n);
		bus += n;
		buf += n;
		len -= n;
	}

	return 0;
}

/* Of the frames from @from up to @to, lets the hypervisor have @start to @end. */
static void set_free(unsigned long from, unsigned long to, unsigned long start,
		     unsigned long end)
{
	unsigned long flags, mfn;

	if (WARN_ON_ONCE(start < from || start > end || end > to))
		return;

	spin_lock_irqsave(&machine_lock, flags);
	for (mfn = from; mfn < to; mfn++) {
		if (test_bit(mfn, machine_free))
			take_frames(mfn, 1);
		if (mfn >= start && mfn < end && machine_m2p[mfn] == NO_PFN)
			machine_give_frames(mfn, 1);
	}
	spin_unlock_irqrestore(&machine_lock, flags);
}

/**
 * xen_machine_set_low() - choose the hypervisor's free memory below 4 GiB
 * @start:	first byte, page aligned
 * @end:	behind the last one, page aligned, at most 4 GiB
 *
 * What pages have of it stays theirs; what they give back later is free,
 * wherever it is.
 *
 * Context: Any.
 */
void xen_machine_set_low(u64 start, u64 end)
{
	WARN_ON_ONCE(!IS_ALIGNED(start | end, PAGE_SIZE));
	set_free(0, LOW_FRAMES, PHYS_PFN(start), PHYS_PFN(end));
}

/**
 * xen_machine_set_high() - choose the hypervisor's free memory above all pages
 * @start:	first byte, page aligned, at least 8 GiB
 * @end:	behind the last one, page aligned, at most 16 GiB
 *
 * Context: As xen_machine_set_low().
 */
void xen_machine_set_high(u64 start, u64 end)
{
	WARN_ON_ONCE(!IS_ALIGNED(start | end, PAGE_SIZE));
	set_free(XEN_MACHINE_FREE_MFN, XEN_MACHINE_END_MFN, PHYS_PFN(start),
		 PHYS_PFN(end));
}

/**
 * xen_machine_only_low() - let others have the memory above 4 GiB
 * @only:	whether the hypervisor gives nothing from there from now on
 *
 * Context: Any.
 */
void xen_machine_only_low(bool only)
{
	WRITE_ONCE(machine_only_low, only);
}

/**
 * xen_machine_low_free() - the hypervisor's free memory below a limit
 * @bits:	width of an address
 *
 * Context: Any.
 * Return: Free pages below 1 << @bits and below 4 GiB.
 */
unsigned long xen_machine_low_free(unsigned int bits)
{
	unsigned long end = min_t(unsigned long, machine_frames_below(bits), LOW_FRAMES);
	unsigned long flags, nr;

	spin_lock_irqsave(&machine_lock, flags);
	nr = bitmap_weight(machine_free, end);
	spin_unlock_irqrestore(&machine_lock, flags);

	return nr;
}

/**
 * xen_machine_low_used() - pages below 4 GiB
 *
 * Context: Any.
 * Return: Pages of RAM that have a frame below 4 GiB.
 */
unsigned long xen_machine_low_used(void)
{
	unsigned long nr = 0, mfn;

	for (mfn = 0; mfn < LOW_FRAMES; mfn++)
		nr += xen_machine_pfn(mfn) != ULONG_MAX;

	return nr;
}

/**
 * xen_machine_fail_exchanges() - let the hypervisor refuse
 * @err:	what exchanges return from now on; 0: they work
 *
 * Context: Any.
 */
void xen_machine_fail_exchanges(int err)
{
	unsigned long flags;

	spin_lock_irqsave(&machine_lock, flags);
	machine_error = err;
	machine_countdown = 0;
	spin_unlock_irqrestore(&machine_lock, flags);
}

/**
 * xen_machine_fail_after() - let the hypervisor refuse later
 * @nr:		calls that are not affected; giving back takes one for 64 pages
 * @err:	what the next one returns
 * @stays:	whether the others behind it do too
 *
 * Context: Any.
 */
void xen_machine_fail_after(unsigned long nr, int err, bool stays)
{
	unsigned long flags;

	spin_lock_irqsave(&machine_lock, flags);
	machine_error = 0;
	machine_countdown = nr + 1;
	machine_countdown_error = err;
	machine_countdown_stays = stays;
	spin_unlock_irqrestore(&machine_lock, flags);
}

/**
 * xen_machine_fails_later() - is the call of xen_machine_fail_after() to come?
 *
 * Context: Any.
 * Return: False once it has failed.
 */
bool xen_machine_fails_later(void)
{
	return READ_ONCE(machine_countdown);
}

/**
 * xen_machine_give_part() - let each step of giving back end early
 * @nr:		pages that it takes, 1 to 64; with 64 it is whole
 *
 * Context: Any.
 */
void xen_machine_give_part(unsigned int nr)
{
	WARN_ON_ONCE(!nr || nr > CHUNK_PAGES);
	WRITE_ONCE(machine_step, nr);
}

/**
 * xen_machine_exchanges() - count exchanges, of both directions
 *
 * Context: Any.
 * Return: Those that succeeded in full since xen_machine_reset().
 */
unsigned long xen_machine_exchanges(void)
{
	return READ_ONCE(machine_count.made) + READ_ONCE(machine_count.given);
}

/**
 * xen_machine_counts() - count exchanges by direction and outcome
 * @counts:	where the figures go; since xen_machine_reset()
 *
 * Context: Any.
 */
void xen_machine_counts(struct xen_machine_counts *counts)
{
	unsigned long flags;

	spin_lock_irqsave(&machine_lock, flags);
	*counts = machine_count;
	spin_unlock_irqrestore(&machine_lock, flags);
}

/**
 * xen_machine_faults() - is the machine what it must be?
 *
 * Looks at everything, which takes some milliseconds.
 *
 * Context: Any, and nothing is exchanged meanwhile.
 * Return: Pages that are out of step with the M2P, and frames with the bitmap.
 */
unsigned long xen_machine_faults(void)
{
	unsigned long faults = 0, used = 0, pfn, mfn;

	for (pfn = 0; pfn < xen_p2m_size; pfn++)
		faults += xen_machine_pfn(xen_machine_mfn(pfn)) != pfn;

	for (mfn = 0; mfn < XEN_MACHINE_END_MFN; mfn++) {
		bool is_used = xen_machine_pfn(mfn) != ULONG_MAX;

		used += is_used;
		faults += is_used && test_bit(mfn, machine_free);
	}
	faults += used != xen_p2m_size;
	faults += bitmap_weight(machine_free, XEN_MACHINE_END_MFN) !=
		  machine_nr_free;

	return faults;
}

/* Before the page allocator takes over; it has no block this large. */
static int __init reserve_buffer(char *arg)
{
	size_t size = PAGE_ALIGN(memparse(arg ?: "", NULL));

	if (size)
		machine_buffer = memblock_alloc_raw(size, SZ_4M);
	if (!machine_buffer) {
		pr_err("xen_machine_buffer=%s: no such memory\n", arg ?: "");
		return 0;
	}
	machine_buffer_size = size;

	return 0;
}
early_param("xen_machine_buffer", reserve_buffer);

/**
 * xen_machine_buffer() - linear memory larger than the page allocator's blocks
 * @size:	where its bytes go
 *
 * It is reserved at boot, by xen_machine_buffer= on the command line, aligned
 * to 4 MiB. Each caller gets the same.
 *
 * Context: Any.
 * Return: The address; NULL, and no bytes, when none is reserved.
 */
void *xen_machine_buffer(size_t *size)
{
	*size = machine_buffer_size;
	return machine_buffer;
}

/* What a call of the hypervisor comes to. */
int machine_call_error(void)
{
	if (!machine_countdown || --machine_countdown)
		return machine_error;

	if (machine_countdown_stays)
		machine_error = machine_countdown_error;
	return machine_countdown_error;
}
