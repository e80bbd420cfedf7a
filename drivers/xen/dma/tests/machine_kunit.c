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

#include <kunit/test.h>

#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>

#include "machine.h"

/* What is in a page behind which the frame has changed. */
#define MACHINE_GARBAGE	0xa5

#define LOW_FRAMES	(SZ_4G >> PAGE_SHIFT)

/*
 * By default the pages have frames from 4 GiB up to 8 GiB: neighbours lie this
 * far apart, modulo their number. An odd number, so that no frame comes twice.
 */
#define HOME_MFN	(SZ_4G >> PAGE_SHIFT)
#define HOME_FRAMES	(SZ_4G >> PAGE_SHIFT)
#define HOME_STRIDE	0x9e379UL

/* What the hypervisor has by default; between these is nobody's. */
#define LOW_NARROW_START	SZ_1M
#define LOW_NARROW_END		SZ_16M
#define LOW_WIDE_START		SZ_64M
#define LOW_WIDE_END		(SZ_1G + (u64)SZ_2G)

/* Pages that one call gives back, as in arch/x86/xen/mmu.c. */
#define CHUNK_PAGES	64

#define NO_PFN		U32_MAX

unsigned long *xen_p2m_addr;
unsigned long xen_p2m_size;

static u32 *machine_m2p;
static unsigned long *machine_free;
static unsigned long machine_nr_free;
static struct xen_machine_counts machine_count;
static DEFINE_SPINLOCK(machine_lock);

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
static unsigned int machine_step;
static bool machine_only_low;

static void *machine_buffer;
static size_t machine_buffer_size;

static void set_frame(unsigned long pfn, unsigned long mfn)
{
	WRITE_ONCE(xen_p2m_addr[pfn], mfn);
	WRITE_ONCE(machine_m2p[mfn], pfn);
}

/* The hypervisor gets @nr frames. */
static void give_frames(unsigned long mfn, unsigned long nr)
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

static unsigned long frames_below(unsigned int address_bits)
{
	if (address_bits < PAGE_SHIFT)
		return 0;
	if (address_bits >= ilog2(SZ_16G))
		return XEN_MACHINE_END_MFN;

	return BIT(address_bits - PAGE_SHIFT);
}

/* Where what the hypervisor gives ends. */
static unsigned long frames_to_give(void)
{
	return machine_only_low ? LOW_FRAMES : XEN_MACHINE_END_MFN;
}

/*
 * Takes the highest free extent below frame @end that is aligned to its size.
 * Returns its first frame, or INVALID_P2M_ENTRY.
 */
static unsigned long take_extent(unsigned int order, unsigned long end)
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
		set_frame(pfn, HOME_MFN + pfn * HOME_STRIDE % HOME_FRAMES);

	bitmap_zero(machine_free, XEN_MACHINE_END_MFN);
	machine_nr_free = 0;
	give_frames(PFN_UP(LOW_NARROW_START),
		    PFN_DOWN(LOW_NARROW_END - LOW_NARROW_START));
	give_frames(PFN_UP(LOW_WIDE_START),
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
		set_frame(owner, old);
	} else {
		if (test_bit(mfn, machine_free))
			take_frames(mfn, 1);
		WRITE_ONCE(machine_m2p[old], NO_PFN);
		give_frames(old, 1);
	}
	set_frame(pfn, mfn);
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
				  __va(PFN_PHYS(pfn)) + offset_in_page(bus);
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
			give_frames(mfn, 1);
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
	unsigned long end = min_t(unsigned long, frames_below(bits), LOW_FRAMES);
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

/*
 * What a domain's arch/x86/xen/mmu.c has. Each function is documented there, and
 * does the same here.
 */

bool xen_region_contiguous(phys_addr_t phys, size_t size)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long nr = PFN_UP(offset_in_page(phys) + size);
	unsigned long mfn = pfn_to_mfn(pfn);
	unsigned long i;

	for (i = 1; i < nr; i++)
		if (pfn_to_mfn(pfn + i) != mfn + i)
			return false;

	return true;
}

u64 xen_required_dma_mask(void)
{
	return DMA_BIT_MASK(fls64(PFN_PHYS((u64)XEN_MACHINE_END_MFN) - 1));
}

/* Pages that follow each other from @pfn on, or those of a list. */
struct machine_region {
	struct page **pages;
	unsigned long pfn;
	unsigned long nr;
};

static unsigned long region_pfn(const struct machine_region *region,
				unsigned long i)
{
	return region->pages ? page_to_pfn(region->pages[i]) : region->pfn + i;
}

static struct machine_region block(phys_addr_t pstart, unsigned int order)
{
	WARN_ON_ONCE(!IS_ALIGNED(pstart, PAGE_SIZE));
	return (struct machine_region) {
		.pfn = PHYS_PFN(pstart),
		.nr = BIT(order),
	};
}

static struct machine_region page_list(struct page **pages, unsigned int order)
{
	return (struct machine_region) { .pages = pages, .nr = BIT(order) };
}

/* Who may not sleep must not ask for what may. */
static bool region_is_ram(const struct machine_region *region, gfp_t gfp)
{
	unsigned long i;

	might_alloc(gfp);
	if (WARN_ON_ONCE(irqs_disabled() && gfpflags_allow_blocking(gfp)))
		return false;

	for (i = 0; i < region->nr; i++)
		if (WARN_ON_ONCE(region_pfn(region, i) >= xen_p2m_size))
			return false;

	return true;
}

static bool region_contiguous(const struct machine_region *region)
{
	unsigned long mfn = pfn_to_mfn(region_pfn(region, 0));
	unsigned long i;

	for (i = 1; i < region->nr; i++)
		if (pfn_to_mfn(region_pfn(region, i)) != mfn + i)
			return false;

	return true;
}

static bool region_suits(const struct machine_region *region,
			 unsigned int address_bits, dma_addr_t *dma_handle)
{
	unsigned long mfn = pfn_to_mfn(region_pfn(region, 0));

	*dma_handle = PFN_PHYS(mfn);
	return IS_ALIGNED(mfn, region->nr) &&
	       mfn + region->nr <= frames_below(address_bits) &&
	       region_contiguous(region);
}

static void region_fill(const struct machine_region *region, unsigned long from,
			unsigned long nr, int byte)
{
	unsigned long i;

	for (i = from; i < from + nr; i++)
		memset(__va(PFN_PHYS(region_pfn(region, i))), byte, PAGE_SIZE);
}

/* What a call of the hypervisor comes to. */
static int call_error(void)
{
	if (!machine_countdown || --machine_countdown)
		return machine_error;

	if (machine_countdown_stays)
		machine_error = machine_countdown_error;
	return machine_countdown_error;
}

static int make_region(const struct machine_region *region,
		       unsigned int address_bits, gfp_t gfp,
		       dma_addr_t *dma_handle)
{
	unsigned int order = ilog2(region->nr);
	unsigned long flags, mfn, i;
	int rc;

	if (!region_is_ram(region, gfp))
		return -EINVAL;

	spin_lock_irqsave(&machine_lock, flags);
	machine_count.make_calls++;
	rc = call_error();
	if (rc)
		goto out;

	mfn = take_extent(order, min(frames_below(address_bits),
				     frames_to_give()));
	if (mfn == INVALID_P2M_ENTRY) {
		rc = -ENOMEM;
		goto out;
	}

	for (i = 0; i < region->nr; i++) {
		unsigned long pfn = region_pfn(region, i);
		unsigned long old = xen_p2m_addr[pfn];

		WRITE_ONCE(machine_m2p[old], NO_PFN);
		give_frames(old, 1);
		set_frame(pfn, mfn + i);
	}
	machine_count.made++;
	*dma_handle = PFN_PHYS(mfn);
out:
	spin_unlock_irqrestore(&machine_lock, flags);

	/* A frame brings along whatever somebody has left in it. */
	if (!rc)
		region_fill(region, 0, region->nr, MACHINE_GARBAGE);
	return rc;
}

bool xen_region_suits(phys_addr_t pstart, unsigned int order,
		      unsigned int address_bits, dma_addr_t *dma_handle)
{
	const struct machine_region region = block(pstart, order);

	return region_suits(&region, address_bits, dma_handle);
}

bool xen_pages_suit(struct page **pages, unsigned int order,
		    unsigned int address_bits, dma_addr_t *dma_handle)
{
	const struct machine_region region = page_list(pages, order);

	return region_suits(&region, address_bits, dma_handle);
}

int xen_create_contiguous_region(phys_addr_t pstart, unsigned int order,
				 unsigned int address_bits, gfp_t gfp,
				 dma_addr_t *dma_handle)
{
	const struct machine_region region = block(pstart, order);

	return make_region(&region, address_bits, gfp, dma_handle);
}

int xen_create_contiguous_pages(struct page **pages, unsigned int order,
				unsigned int address_bits, gfp_t gfp,
				dma_addr_t *dma_handle)
{
	const struct machine_region region = page_list(pages, order);

	return make_region(&region, address_bits, gfp, dma_handle);
}

/*
 * One step of giving back, at most CHUNK_PAGES. The frames come from the highest
 * down, so neighbours are not contiguous. *@wider says whether any page's
 * address got longer. Returns 0 or an error, and in *@done how many pages have
 * changed; these lead in any case.
 */
static int give_back_chunk(const struct machine_region *chunk,
			   unsigned long *done, bool *wider)
{
	unsigned long old[CHUNK_PAGES];
	unsigned long flags, end, i;
	int rc;

	*wider = false;

	spin_lock_irqsave(&machine_lock, flags);
	end = frames_to_give();
	machine_count.give_calls++;
	rc = call_error();
	for (i = 0; i < chunk->nr && !rc; i++) {
		unsigned long pfn = region_pfn(chunk, i);

		end = i < machine_step ? take_extent(0, end) :
					 INVALID_P2M_ENTRY;
		if (end == INVALID_P2M_ENTRY) {
			rc = -ENOMEM;
			break;
		}
		old[i] = xen_p2m_addr[pfn];
		WRITE_ONCE(machine_m2p[old[i]], NO_PFN);
		set_frame(pfn, end);
		*wider |= fls64(end) > fls64(old[i]);
	}
	/* The hypervisor has these last: they don't come back at once. */
	*done = i;
	while (i--)
		give_frames(old[i], 1);
	machine_count.given_pages += *done;
	spin_unlock_irqrestore(&machine_lock, flags);

	region_fill(chunk, 0, *done, MACHINE_GARBAGE);
	return rc;
}

static int give_back_region(const struct machine_region *region, gfp_t gfp,
			    bool *all)
{
	unsigned long from, flags;
	int rc;

	*all = false;
	if (!region_is_ram(region, gfp) ||
	    WARN_ON_ONCE(!region_contiguous(region)))
		return -EINVAL;

	for (from = 0; from < region->nr; from += CHUNK_PAGES) {
		const struct machine_region chunk = {
			.pages = region->pages ? region->pages + from : NULL,
			.pfn = region->pfn + from,
			.nr = min_t(unsigned long, region->nr - from,
				    CHUNK_PAGES),
		};
		unsigned long done;
		bool wider;

		rc = give_back_chunk(&chunk, &done, &wider);
		if (!from && !done)
			return rc;
		if (rc || !wider)
			return 0;
	}

	spin_lock_irqsave(&machine_lock, flags);
	machine_count.given++;
	spin_unlock_irqrestore(&machine_lock, flags);
	*all = true;
	return 0;
}

int xen_destroy_contiguous_region(phys_addr_t pstart, unsigned int order,
				  gfp_t gfp, bool *all)
{
	const struct machine_region region = block(pstart, order);

	return give_back_region(&region, gfp, all);
}

int xen_destroy_contiguous_pages(struct page **pages, unsigned int order,
				 gfp_t gfp, bool *all)
{
	const struct machine_region region = page_list(pages, order);

	return give_back_region(&region, gfp, all);
}

/* ARM's, which a coherent device never calls. */
int xen_dma_sync_for_cpu(struct device *dev, dma_addr_t handle, size_t size,
			 enum dma_data_direction dir)
{
	return 0;
}

int xen_dma_sync_for_device(struct device *dev, dma_addr_t handle, size_t size,
			    enum dma_data_direction dir)
{
	return 0;
}

/* Cases that show the model to be what it says. */

/* Memory of a case's own. */
#define CASE_ORDER	8
#define CASE_PAGES	BIT(CASE_ORDER)
#define CASE_SIZE	(PAGE_SIZE << CASE_ORDER)

static int machine_case_init(struct kunit *test)
{
	void *buf = (void *)__get_free_pages(GFP_KERNEL, CASE_ORDER);

	if (!buf)
		return -ENOMEM;
	test->priv = buf;
	xen_machine_reset();

	return 0;
}

static void machine_case_exit(struct kunit *test)
{
	free_pages((unsigned long)test->priv, CASE_ORDER);
	xen_machine_reset();
}

static unsigned long mfn_of(const void *addr)
{
	return xen_machine_mfn(PHYS_PFN(__pa(addr)));
}

static void machine_default(struct kunit *test)
{
	unsigned long outside = 0, contiguous = 0, pfn;

	KUNIT_ASSERT_GT(test, xen_p2m_size, CASE_PAGES);
	for (pfn = 0; pfn < xen_p2m_size; pfn++) {
		unsigned long mfn = xen_machine_mfn(pfn);

		outside += mfn < HOME_MFN || mfn >= HOME_MFN + HOME_FRAMES;
		contiguous += pfn && mfn == xen_machine_mfn(pfn - 1) + 1;
	}

	KUNIT_EXPECT_EQ(test, outside, 0);
	KUNIT_EXPECT_EQ(test, contiguous, 0);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_mfn(xen_p2m_size), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, xen_machine_pfn(0), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, xen_machine_pfn(XEN_MACHINE_END_MFN), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(20), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), SZ_1M * 15 / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(64),
			((u64)SZ_1M * 15 + SZ_1G * 3UL - SZ_64M) / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xen_required_dma_mask(), DMA_BIT_MASK(34));
}

static void machine_place(struct kunit *test)
{
	unsigned long first = XEN_MACHINE_FREE_MFN + 5;
	void *buf = test->priv;
	void *half = buf + CASE_SIZE / 2;

	xen_machine_place(buf, CASE_PAGES, first);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), first);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	/* One page on: each page takes the frame of the one before it. */
	xen_machine_place(buf, CASE_PAGES, first - 1);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), first - 1);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	/* The second half gets the frames of the first, which gets others. */
	xen_machine_place(half, CASE_PAGES / 2, first - 1);
	KUNIT_EXPECT_EQ(test, mfn_of(half), first - 1);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), first - 1 + CASE_PAGES / 2);
	KUNIT_EXPECT_FALSE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	/* The end of the range is in it. */
	xen_machine_place(buf, CASE_PAGES, XEN_MACHINE_END_MFN - CASE_PAGES);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

/* For devices of so many bits; and the other way. */
static int create(void *addr, unsigned int order, unsigned int bits,
		  dma_addr_t *bus)
{
	return xen_create_contiguous_region(__pa(addr), order, bits, GFP_KERNEL,
					    bus);
}

static int destroy(void *addr, unsigned int order, bool *all)
{
	return xen_destroy_contiguous_region(__pa(addr), order, GFP_KERNEL,
					     all);
}

static void machine_exchange(struct kunit *test)
{
	static const unsigned int widths[] = { 24, 28, 30, 32 };
	unsigned long low = xen_machine_low_free(32);
	void *buf = test->priv;
	unsigned long nr = 0;
	dma_addr_t bus, again;
	int i, order;
	bool all;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		for (order = CASE_ORDER; order >= 0; order--) {
			size_t size = PAGE_SIZE << order;
			u64 top = min(DMA_BIT_MASK(widths[i]),
				      LOW_WIDE_END - 1ULL);

			xen_machine_reset();
			nr = 0;
			memset(buf, 0, CASE_SIZE);
			KUNIT_ASSERT_EQ(test, 0, create(buf, order, widths[i], &bus));
			nr++;
			KUNIT_EXPECT_TRUE(test, IS_ALIGNED(bus, size));
			KUNIT_EXPECT_LE(test, bus + size - 1, top);
			KUNIT_EXPECT_EQ(test, PHYS_PFN(bus), mfn_of(buf));
			KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf),
								      size));
			KUNIT_EXPECT_NULL(test, memchr_inv(buf,
							   MACHINE_GARBAGE,
							   size));
			KUNIT_EXPECT_EQ(test, xen_machine_low_free(32),
					low - BIT(order));

			KUNIT_EXPECT_TRUE(test, xen_region_suits(
						__pa(buf), order,
						widths[i], &again));
			KUNIT_EXPECT_EQ(test, again, bus);

			KUNIT_EXPECT_EQ(test, 0, destroy(buf, order, &all));
	KUNIT_EXPECT_TRUE(test, all);
			nr++;
			KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
			KUNIT_EXPECT_GE(test, mfn_of(buf), HOME_MFN);
			KUNIT_EXPECT_TRUE(test, !order ||
					  !xen_region_contiguous(__pa(buf),
								 size));
			KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), nr);
		}
		KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	}

	/* The highest that fits, and below that when it is taken. */
	xen_machine_reset();
	for (i = 1; i <= 3; i++) {
		void *part = buf + (i - 1) * CASE_SIZE / 4;

		KUNIT_EXPECT_EQ(test, 0, create(part, CASE_ORDER - 2, 30, &bus));
		KUNIT_EXPECT_EQ(test, bus, SZ_1G - i * CASE_SIZE / 4);
	}
}

static void machine_refusal(struct kunit *test)
{
	unsigned long low, mfn;
	bool all;
	void *buf = test->priv;
	dma_addr_t bus = 1;

	/* Nothing aligned: fifteen pages and sixteen, but no block of 16. */
	xen_machine_set_low(PAGE_SIZE, SZ_128K - PAGE_SIZE);
	low = xen_machine_low_free(32);
	mfn = mfn_of(buf);
	KUNIT_EXPECT_EQ(test, low, 30);
	KUNIT_EXPECT_EQ(test, -ENOMEM, create(buf, 4, 32, &bus));
	KUNIT_EXPECT_EQ(test, bus, 1);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), mfn);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);

	KUNIT_ASSERT_EQ(test, 0, create(buf, 3, 32, &bus));
	KUNIT_EXPECT_EQ(test, bus, SZ_64K);
	mfn = mfn_of(buf);

	xen_machine_fail_exchanges(-EPERM);
	KUNIT_EXPECT_EQ(test, -EPERM, destroy(buf, 3, &all));
	KUNIT_EXPECT_EQ(test, mfn_of(buf), mfn);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), SZ_32K));
	KUNIT_EXPECT_EQ(test, -EPERM, create(buf + SZ_64K, 1, 32, &bus));
	KUNIT_EXPECT_TRUE(test, xen_region_suits(__pa(buf), 3, 32, &bus));
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), 1);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low - 8);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf, 3, &all));
	KUNIT_EXPECT_TRUE(test, all);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), 2);
}

/* What is given back goes in steps, and each may end early, or do no good. */
static void machine_giving(struct kunit *test)
{
	struct xen_machine_counts c;
	void *buf = test->priv;
	unsigned long low;
	dma_addr_t bus;
	bool all;

	KUNIT_ASSERT_EQ(test, 0, create(buf, CASE_ORDER, 32, &bus));
	low = xen_machine_low_free(32);

	/* The first step fails, and the region stays. */
	xen_machine_fail_after(0, -EBUSY, false);
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(buf, CASE_ORDER, &all));
	KUNIT_EXPECT_FALSE(test, xen_machine_fails_later());
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, mfn_of(buf), PHYS_PFN(bus));

	/* The third fails, and two are done; then each does three pages. */
	xen_machine_fail_after(2, -EBUSY, false);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf, CASE_ORDER, &all));
	KUNIT_EXPECT_FALSE(test, all);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low + 128);
	KUNIT_EXPECT_GE(test, mfn_of(buf + 127 * PAGE_SIZE), HOME_MFN);
	KUNIT_EXPECT_EQ(test, mfn_of(buf + 128 * PAGE_SIZE),
			PHYS_PFN(bus) + 128);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), 128);
	xen_machine_give_part(3);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf + 128 * PAGE_SIZE, 7, &all));
	KUNIT_EXPECT_FALSE(test, all);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low + 131);
	xen_machine_give_part(64);

	/* There is nothing higher: one step, and what came is no better. */
	xen_machine_counts(&c);
	KUNIT_EXPECT_EQ(test, c.given, 0);
	KUNIT_EXPECT_EQ(test, c.give_calls, 5);
	KUNIT_EXPECT_EQ(test, c.given_pages, 131);
	xen_machine_only_low(true);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf + 192 * PAGE_SIZE, 6, &all));
	KUNIT_EXPECT_FALSE(test, all);
	xen_machine_counts(&c);
	KUNIT_EXPECT_EQ(test, c.give_calls, 6);
	KUNIT_EXPECT_EQ(test, c.given_pages, 195);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low + 131);

	/* For a narrow region that is an improvement. */
	KUNIT_ASSERT_EQ(test, 0, create(buf, 7, 28, &bus));
	KUNIT_EXPECT_EQ(test, 0, destroy(buf, 7, &all));
	KUNIT_EXPECT_TRUE(test, all);
	KUNIT_EXPECT_LT(test, mfn_of(buf), HOME_MFN);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

static int create_pages(struct page **pages, unsigned int bits, dma_addr_t *bus)
{
	return xen_create_contiguous_pages(pages, CASE_ORDER - 1, bits,
					   GFP_KERNEL, bus);
}

static int destroy_pages(struct page **pages, bool *all)
{
	return xen_destroy_contiguous_pages(pages, CASE_ORDER - 1, GFP_KERNEL,
					    all);
}

static void machine_pages(struct kunit *test)
{
	struct page *pages[CASE_PAGES / 2];
	struct xen_machine_counts c;
	void *buf = test->priv;
	dma_addr_t bus, again;
	int i, wrong = 0;
	bool all;

	/* Every other page, the last first. */
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = virt_to_page(buf + CASE_SIZE -
					(2 * i + 1) * PAGE_SIZE);

	xen_machine_set_high(SZ_8G, SZ_8G + SZ_4M);
	KUNIT_ASSERT_EQ(test, 0, create_pages(pages, 34, &bus));
	KUNIT_EXPECT_EQ(test, bus, SZ_8G + SZ_4M - CASE_SIZE / 2);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		wrong += xen_machine_mfn(page_to_pfn(pages[i])) !=
			 PHYS_PFN(bus) + i;
		wrong += xen_machine_pfn(PHYS_PFN(bus) + i) !=
			 page_to_pfn(pages[i]);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_TRUE(test, xen_pages_suit(pages, CASE_ORDER - 1, 34, &again));
	KUNIT_EXPECT_EQ(test, again, bus);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	/* From the second call on nothing works. */
	xen_machine_fail_after(1, -EPERM, true);
	KUNIT_EXPECT_EQ(test, 0, create_pages(pages, 24, &bus));
	KUNIT_EXPECT_TRUE(test, xen_machine_fails_later());
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, -EPERM, destroy_pages(pages, &all));
	}
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, 0, destroy_pages(pages, &all));
	KUNIT_EXPECT_TRUE(test, all);
	xen_machine_counts(&c);
	KUNIT_EXPECT_EQ(test, c.make_calls, 2);
	KUNIT_EXPECT_EQ(test, c.made, 2);
	KUNIT_EXPECT_EQ(test, c.give_calls, 4);
	KUNIT_EXPECT_EQ(test, c.given, 1);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

static void machine_device(struct kunit *test)
{
	u8 *buf = test->priv;
	u8 seen[16];
	dma_addr_t bus;
	int i;

	for (i = 0; i < 2 * PAGE_SIZE; i++)
		buf[i] = i * 7 + (i >> PAGE_SHIFT);

	/* Contiguous pages: across the border, both ways. */
	xen_machine_place(buf, 2, XEN_MACHINE_FREE_MFN);
	bus = PFN_PHYS(XEN_MACHINE_FREE_MFN) + PAGE_SIZE - 8;
	KUNIT_EXPECT_EQ(test, 0, xen_machine_peek(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_MEMEQ(test, seen, buf + PAGE_SIZE - 8, sizeof(seen));

	memset(seen, 0x5a, sizeof(seen));
	KUNIT_EXPECT_EQ(test, 0, xen_machine_poke(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_MEMEQ(test, seen, buf + PAGE_SIZE - 8, sizeof(seen));
	KUNIT_EXPECT_NE(test, buf[PAGE_SIZE - 9], 0x5a);
	KUNIT_EXPECT_NE(test, buf[PAGE_SIZE + 8], 0x5a);

	/* The second page moves on, with its bytes; there is nothing behind. */
	xen_machine_place(buf + PAGE_SIZE, 1, XEN_MACHINE_END_MFN - 1);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			xen_machine_peek(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			xen_machine_poke(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_EQ(test, 0, xen_machine_peek(bus, seen, 8));
	KUNIT_EXPECT_EQ(test, -EFAULT, xen_machine_peek(0, seen, 1));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			xen_machine_peek(DMA_MAPPING_ERROR, seen, 1));

	bus = PFN_PHYS(XEN_MACHINE_END_MFN - 1) + 9;
	KUNIT_EXPECT_EQ(test, 0, xen_machine_peek(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_MEMEQ(test, seen, buf + PAGE_SIZE + 9, sizeof(seen));
}

static void machine_large_buffer(struct kunit *test)
{
	size_t size, size_again;
	u8 *buf = xen_machine_buffer(&size);
	size_t i;

	KUNIT_ASSERT_NOT_NULL_MSG(test, buf,
				  "boot with xen_machine_buffer=64M");
	KUNIT_EXPECT_EQ(test, size, SZ_64M);
	KUNIT_EXPECT_PTR_EQ(test, buf, (u8 *)xen_machine_buffer(&size_again));
	KUNIT_EXPECT_EQ(test, size_again, size);

	for (i = 0; i < size; i += PAGE_SIZE)
		buf[i] = i >> PAGE_SHIFT;
	for (i = 0; i < size; i += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, buf[i], (u8)(i >> PAGE_SHIFT));
	KUNIT_EXPECT_EQ(test, mfn_of(buf + size - 1),
			xen_machine_mfn(PHYS_PFN(__pa(buf)) +
					PHYS_PFN(size - 1)));
}

/* Exchanges of one region, over and over, beside those of another CPU. */
struct machine_racer {
	phys_addr_t pstart;
	unsigned int failed;
	struct completion done;
};

#define RACE_ROUNDS	2000
#define RACE_ORDER	(CASE_ORDER - 1)

static int machine_race_thread(void *arg)
{
	struct machine_racer *racer = arg;
	unsigned long flags;
	dma_addr_t bus;
	bool all;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		unsigned int order = i % (RACE_ORDER + 1);

		local_irq_save(flags);
		if (xen_create_contiguous_region(racer->pstart, order, 32,
						 GFP_ATOMIC, &bus) ||
		    xen_machine_pfn(PHYS_PFN(bus)) != PHYS_PFN(racer->pstart) ||
		    xen_destroy_contiguous_region(racer->pstart, order,
						  GFP_ATOMIC, &all) ||
		    !all)
			racer->failed++;
		local_irq_restore(flags);
	}
	complete(&racer->done);

	return 0;
}

static void machine_race(struct kunit *test)
{
	struct machine_racer racers[2];
	struct task_struct *task;
	int i;

	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].pstart = __pa(test->priv) + i * CASE_SIZE / 2;
		racers[i].failed = 0;
		init_completion(&racers[i].done);
		task = kthread_run(machine_race_thread, &racers[i],
				   "xen-machine/%d", i);
		if (IS_ERR(task)) {
			racers[i].failed = UINT_MAX;
			complete(&racers[i].done);
		}
	}
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		wait_for_completion(&racers[i].done);
		KUNIT_EXPECT_EQ(test, racers[i].failed, 0);
	}

	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(),
			2UL * RACE_ROUNDS * ARRAY_SIZE(racers));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

static struct kunit_case machine_cases[] = {
	KUNIT_CASE(machine_default),
	KUNIT_CASE(machine_place),
	KUNIT_CASE(machine_exchange),
	KUNIT_CASE(machine_refusal),
	KUNIT_CASE(machine_giving),
	KUNIT_CASE(machine_pages),
	KUNIT_CASE(machine_device),
	KUNIT_CASE(machine_large_buffer),
	KUNIT_CASE(machine_race),
	{}
};

static struct kunit_suite machine_suite = {
	.name = "xen-machine",
	.init = machine_case_init,
	.exit = machine_case_exit,
	.test_cases = machine_cases,
};

kunit_test_suite(machine_suite);
