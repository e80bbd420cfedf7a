// SPDX-License-Identifier: GPL-2.0
/*
 * Machine-contiguous memory for x86 PV domains, and the address helpers that
 * PV and PVH kernels share.
 *
 * The pages of a PV domain lie anywhere in the machine. A region, be it
 * contiguous for Linux or not, becomes contiguous for a device by
 * XENMEM_exchange: the hypervisor takes the pages behind the region and gives one
 * extent for them. It takes a page only when nothing refers to it any more, so
 * the region leaves the linear mapping first and comes back with its new frames
 * (mmu_linear.c). Nothing is cleared for it: it scrubs what it takes, for such a page
 * has no owner when it is freed (free_domheap_pages() in Xen's common/page_alloc.c).
 *
 * Nothing here is shared between two callers: each owns the region that it
 * passes and has a frame list of its own, so there is no lock. Any step may
 * fail; then each page has a frame all the same, PTE and P2M entry agree, and the
 * caller gets the error. CONFIG_XEN_DMA_FAIL_EXCHANGE makes the steps fail.
 */
#include <linux/dma-mapping.h>
#include <linux/fault-inject.h>
#include <linux/gfp.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>

#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include <xen/interface/memory.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen-ops.h>

#include "mmu_linear.h"

/* The frame that the page tables have for an address, be it linear or not. */
static unsigned long mapped_mfn(unsigned long addr)
{
	unsigned int level;
	pte_t *pte = lookup_address(addr, &level);

	return WARN_ON_ONCE(!pte) ? INVALID_P2M_ENTRY : pte_mfn(*pte);
}

/**
 * arbitrary_virt_to_mfn() - machine frame behind any kernel address
 * @vaddr:	mapped kernel virtual address: linear, vmalloc, fixmap
 *
 * Context: Any.
 * Return: The machine frame number; INVALID_P2M_ENTRY, and a warning, when
 * nothing is mapped at @vaddr. The hypervisor refuses that frame.
 */
unsigned long arbitrary_virt_to_mfn(void *vaddr)
{
	/* The P2M is quicker than a walk, and it knows linear addresses. */
	return virt_addr_valid(vaddr) ? virt_to_mfn(vaddr) :
					mapped_mfn((unsigned long)vaddr);
}

/**
 * arbitrary_virt_to_machine() - machine address behind any kernel address
 * @vaddr:	mapped kernel virtual address
 *
 * Context: Any.
 * Return: The machine address, see arbitrary_virt_to_mfn().
 */
xmaddr_t arbitrary_virt_to_machine(void *vaddr)
{
	return XMADDR(PFN_PHYS((u64)arbitrary_virt_to_mfn(vaddr)) |
		      offset_in_page(vaddr));
}
EXPORT_SYMBOL_GPL(arbitrary_virt_to_machine);

/**
 * xen_unmap_domain_gfn_range() - undo xen_remap_domain_gfn_range()
 * @vma:	the user mapping
 * @nr:		number of frames
 * @pages:	what holds the frames' place in a translated domain, else NULL
 *
 * A PV domain mapped the frames by PTEs, which go with @vma.
 *
 * Context: Process.
 * Return: 0, -EINVAL when a PV domain passes @pages, or what
 * xen_xlate_unmap_gfn_range() says.
 */
int xen_unmap_domain_gfn_range(struct vm_area_struct *vma, int nr,
			       struct page **pages)
{
	if (xen_feature(XENFEAT_auto_translated_physmap))
		return xen_xlate_unmap_gfn_range(vma, nr, pages);

	return pages ? -EINVAL : 0;
}
EXPORT_SYMBOL_GPL(xen_unmap_domain_gfn_range);

#ifdef CONFIG_XEN_PV

/* How often memory is offered to the hypervisor that takes none of it. */
#define XEN_GIVE_BACK_TRIES	8

/*
 * The frames of pages while they change hands. A list is as long as the
 * region, so a large one comes from vmalloc, and before there is a slab from
 * memblock.
 */
struct xen_frame_list {
	xen_pfn_t *frame;
	unsigned long nr;
	bool early;
	xen_pfn_t on_stack[XEN_CHUNK_PAGES];
};

static int __ref xen_frame_list_alloc(struct xen_frame_list *list,
				      unsigned long nr, gfp_t gfp)
{
	size_t bytes = nr * sizeof(*list->frame);

	list->nr = nr;
	list->early = !slab_is_available();

	if (nr <= XEN_CHUNK_PAGES)
		list->frame = list->on_stack;
	else if (list->early)
		list->frame = memblock_alloc(bytes, SMP_CACHE_BYTES);
	else if (gfpflags_allow_blocking(gfp))
		list->frame = kvmalloc(bytes, (gfp & GFP_KERNEL) | __GFP_NOWARN);
	else
		list->frame = kmalloc(bytes, GFP_ATOMIC | __GFP_NOWARN);

	return list->frame ? 0 : -ENOBUFS;
}

static void __ref xen_frame_list_free(struct xen_frame_list *list)
{
	if (list->frame == list->on_stack)
		return;
	if (list->early)
		memblock_free(list->frame, list->nr * sizeof(*list->frame));
	else
		kvfree(list->frame);
}

#ifdef CONFIG_XEN_DMA_FAIL_EXCHANGE
struct fault_attr xen_fail_extent = FAULT_ATTR_INITIALIZER;
struct fault_attr xen_fail_report = FAULT_ATTR_INITIALIZER;

static bool xen_extent_fails(void)
{
	return should_fail(&xen_fail_extent, 1);
}

static bool xen_report_fails(void)
{
	return should_fail(&xen_fail_report, 1);
}
#else
static bool xen_extent_fails(void)
{
	return false;
}

static bool xen_report_fails(void)
{
	return false;
}
#endif

/* The frames of pages that are mapped. */
static void xen_read_frames(const struct xen_pages *pages, xen_pfn_t *frame)
{
	unsigned long i;

	for (i = 0; i < pages->nr; i++)
		frame[i] = pfn_to_mfn(xen_pages_pfn(pages, i));
}

static struct xen_memory_reservation
xen_extents(xen_pfn_t *frame, unsigned long nr, unsigned int order,
	    unsigned int address_bits)
{
	struct xen_memory_reservation res = {
		.nr_extents = nr,
		.extent_order = order,
		.address_bits = address_bits,
		.domid = DOMID_SELF,
	};

	set_xen_guest_handle(res.extent_start, frame);
	return res;
}

/* How many extents of so many Xen is asked to exchange: all, but for injected faults. */
static unsigned long xen_extents_to_try(unsigned long nr)
{
	unsigned long n = 0;

	if (xen_call_fails())
		return 0;
	while (n < nr && !xen_extent_fails())
		n++;
	return n;
}

/*
 * Exchanges extents for pages. Xen does them one by one, each whole or not at all: of
 * the kind of which there are fewer. *@done says how many of these it has done.
 *
 * The last one may be done though Xen says that it failed: it could not map the new
 * frames in the IOMMU, which it does when they are the domain's already. Then it names
 * a frame where it has been told a page, @gained, and the M2P may not be complete.
 */
static int xen_try_exchange(const struct xen_pages *pages,
			    struct xen_memory_reservation in,
			    struct xen_memory_reservation out,
			    const xen_pfn_t *gained, unsigned long *done)
{
	unsigned long nr = min(in.nr_extents, out.nr_extents);
	unsigned long n = xen_extents_to_try(nr);
	struct xen_memory_exchange exchange = { .in = in, .out = out };
	unsigned long in_each = in.nr_extents / nr, at;
	int rc;

	*done = 0;
	if (!n)
		return -ENOMEM;

	exchange.in.nr_extents = n * in_each;
	exchange.out.nr_extents = n * (out.nr_extents / nr);
	rc = HYPERVISOR_memory_op(XENMEM_exchange, &exchange);
	*done = exchange.nr_exchanged / in_each;
	if (*done == n && xen_report_fails()) {
		rc = -EINVAL;
		--*done;
	}
	at = *done << out.extent_order;
	if (rc < 0 && *done < n && gained[*done] != xen_pages_pfn(pages, at)) {
		const struct xen_pages part =
			xen_pages_part(pages, at, 1UL << out.extent_order);

		xen_set_m2p(&part, gained[*done], GFP_ATOMIC);
		++*done;
	}
	if (*done == nr)
		return 0;

	return rc < 0 ? rc : -ENOMEM;
}

/* The same, and it is noted. */
static int xen_exchange(const struct xen_pages *pages,
			struct xen_memory_reservation in,
			struct xen_memory_reservation out,
			const xen_pfn_t *gained, unsigned long *done)
{
	unsigned int order = max(in.extent_order, out.extent_order);
	u64 start = local_clock();
	int rc = xen_try_exchange(pages, in, out, gained, done);

	xen_note_exchange(order, out.address_bits, *done, rc,
			  local_clock() - start);
	return rc;
}

/* Not 0 when not each of so many frames follows the one before, from @mfn on. */
static __always_inline unsigned long xen_gap4(const unsigned long *frame,
					      unsigned long mfn)
{
	return (frame[0] ^ mfn) | (frame[1] ^ (mfn + 1)) |
	       (frame[2] ^ (mfn + 2)) | (frame[3] ^ (mfn + 3));
}

static __always_inline unsigned long xen_gap16(const unsigned long *frame,
					       unsigned long mfn)
{
	return xen_gap4(frame, mfn) | xen_gap4(frame + 4, mfn + 4) |
	       xen_gap4(frame + 8, mfn + 8) | xen_gap4(frame + 12, mfn + 12);
}

/*
 * Does each of @nr frames follow the one before? 32 at a time, for large
 * buffers are looked at each time they are mapped.
 */
static bool xen_frames_follow(const unsigned long *frame, unsigned long nr)
{
	unsigned long mfn = *frame;

	for (; nr >= 32; nr -= 32, frame += 32, mfn += 32)
		if (xen_gap16(frame, mfn) | xen_gap16(frame + 16, mfn + 16))
			return false;
	for (; nr; nr--)
		if (*frame++ != mfn++)
			return false;

	return true;
}

/**
 * xen_region_contiguous() - is memory contiguous in the machine?
 * @phys:	pseudo-physical start
 * @size:	bytes
 *
 * Context: Any.
 * Return: True when the frames behind the range follow each other.
 */
bool xen_region_contiguous(phys_addr_t phys, size_t size)
{
	unsigned long pfn = PFN_DOWN(phys);
	unsigned long nr = PFN_UP(offset_in_page(phys) + size);
	unsigned long i, mfn;

	if (pfn + nr <= xen_p2m_size) {
		if (xen_frames_follow(xen_p2m_addr + pfn, nr))
			return true;
		if (xen_p2m_addr[pfn] != INVALID_P2M_ENTRY)
			return false;
	}

	/* What is not RAM may have no entry of its own in the array. */
	mfn = pfn_to_mfn(pfn);
	for (i = 1; i < nr; i++)
		if (pfn_to_mfn(pfn + i) != mfn + i)
			return false;

	return true;
}

/* Does each page's frame follow the one before? */
static bool xen_pages_contiguous(const struct xen_pages *pages)
{
	unsigned long mfn = pfn_to_mfn(xen_pages_pfn(pages, 0));
	unsigned long i;

	if (!pages->page)
		return xen_region_contiguous(PFN_PHYS(pages->pfn),
					     pages->nr << PAGE_SHIFT);
	for (i = 1; i < pages->nr; i++)
		if (pfn_to_mfn(xen_pages_pfn(pages, i)) != mfn + i)
			return false;

	return true;
}

/* A region that is contiguous for Linux. */
static struct xen_pages xen_pages_from(phys_addr_t pstart, unsigned int order)
{
	return (struct xen_pages) {
		.pfn = PFN_DOWN(pstart),
		.nr = 1UL << order,
	};
}

/* Pages from anywhere. */
static struct xen_pages xen_pages_listed(struct page **pages, unsigned int order)
{
	return (struct xen_pages) { .page = pages, .nr = 1UL << order };
}

/* Are the pages what an exchange would make of them? */
static bool xen_suits(const struct xen_pages *pages, unsigned int address_bits,
		      dma_addr_t *dma_handle)
{
	phys_addr_t size = (phys_addr_t)pages->nr << PAGE_SHIFT;
	phys_addr_t bus = PFN_PHYS(pfn_to_mfn(xen_pages_pfn(pages, 0)));

	if (!IS_ALIGNED(bus, size) || fls64(bus + size - 1) > address_bits ||
	    !xen_pages_contiguous(pages))
		return false;

	*dma_handle = bus;
	return true;
}

/**
 * xen_region_suits() - is a region what a device needs, as it is?
 * @pstart:		pseudo-physical start, page aligned
 * @order:		log2 of the region's pages
 * @address_bits:	width that a device can address
 * @dma_handle:		where the machine address of the first byte goes, if so
 *
 * Context: Any.
 * Return: True when the region is contiguous in the machine, aligned there to its
 * size, and below 1 << @address_bits.
 */
bool xen_region_suits(phys_addr_t pstart, unsigned int order,
		      unsigned int address_bits, dma_addr_t *dma_handle)
{
	const struct xen_pages pages = xen_pages_from(pstart, order);

	return xen_suits(&pages, address_bits, dma_handle);
}

/**
 * xen_pages_suit() - are pages from anywhere what a device needs, as they are?
 * @pages:		the pages
 * @order:		log2 of their number
 * @address_bits:	width that a device can address
 * @dma_handle:		where the machine address of the first byte goes
 *
 * Context: Any.
 * Return: As xen_region_suits().
 */
bool xen_pages_suit(struct page **pages, unsigned int order,
		    unsigned int address_bits, dma_addr_t *dma_handle)
{
	const struct xen_pages list = xen_pages_listed(pages, order);

	return xen_suits(&list, address_bits, dma_handle);
}

static int xen_create(const struct xen_pages *pages, unsigned int order,
		      unsigned int address_bits, gfp_t gfp,
		      dma_addr_t *dma_handle)
{
	xen_pfn_t extent = xen_pages_pfn(pages, 0);
	struct xen_frame_list old;
	struct xen_taken taken;
	unsigned long done = 0;
	int rc;

	rc = xen_frame_list_alloc(&old, pages->nr, gfp);
	if (rc)
		return rc;

	xen_read_frames(pages, old.frame);
	rc = xen_unmap_pages(pages, &taken, gfp);
	if (!rc)
		rc = xen_exchange(pages, xen_extents(old.frame, old.nr, 0, 0),
				  xen_extents(&extent, 1, order, address_bits),
				  &extent, &done);
	if (done) {
		if (pages->page)
			xen_set_m2p(pages, extent, gfp);
		xen_map_pages(pages, &taken, NULL, extent, gfp);
		*dma_handle = PFN_PHYS(extent);
	} else {
		xen_map_pages(pages, &taken, old.frame, 0, gfp);
	}

	xen_frame_list_free(&old);
	return rc;
}

/**
 * xen_create_contiguous_region() - make a region contiguous in the machine
 * @pstart:		pseudo-physical start, page aligned
 * @order:		log2 of the region's pages
 * @address_bits:	width that a device can address
 * @gfp:		how the list of frames may be allocated, and whether to
 *			give way to others now and then
 * @dma_handle:		where the machine address of the first byte goes
 *
 * All of the region is exchanged, which costs its content. What comes holds
 * nothing in particular.
 *
 * The caller owns all pages, and the linear mapping is the only one they have.
 * Interrupts are not masked. Now and then others may run, but for the
 * hypervisor one extent is one step. (XENMEM_exchange: xen/interface/memory.h.)
 *
 * Context: Any, interrupts on or off, when @gfp may not block.
 * Return: 0; then *@dma_handle is aligned to the region's size, and all of the
 * region lies below 1 << @address_bits. Else the region is unchanged:
 * -ENOBUFS without memory for the list, -ENOMEM without a suitable extent in Xen,
 * -EPERM when @order is above what Xen allows the domain (memop-max-order=), or
 * what else the hypercall says.
 */
int xen_create_contiguous_region(phys_addr_t pstart, unsigned int order,
				 unsigned int address_bits, gfp_t gfp,
				 dma_addr_t *dma_handle)
{
	const struct xen_pages pages = xen_pages_from(pstart, order);

	return xen_create(&pages, order, address_bits, gfp, dma_handle);
}

/**
 * xen_create_contiguous_pages() - make pages from anywhere contiguous
 * @pages:		the pages, in the order that they are to have
 * @order:		log2 of their number
 * @address_bits:	width that a device can address
 * @gfp:		as for xen_create_contiguous_region()
 * @dma_handle:		where the machine address of the first byte goes
 *
 * Context: As xen_create_contiguous_region().
 * Return: As xen_create_contiguous_region().
 */
int xen_create_contiguous_pages(struct page **pages, unsigned int order,
				unsigned int address_bits, gfp_t gfp,
				dma_addr_t *dma_handle)
{
	const struct xen_pages list = xen_pages_listed(pages, order);

	return xen_create(&list, order, address_bits, gfp, dma_handle);
}

/**
 * xen_create_extents() - make each part of a region contiguous in the machine
 * @pstart:		pseudo-physical start, aligned to the size of a part
 * @order:		log2 of a part's pages
 * @nr:			number of parts
 * @gfp:		as for xen_create_contiguous_region()
 * @made:		where it goes how many were made, from the first on
 *
 * They lie anywhere in the machine, and cost their content, as there. For many this is
 * cheaper than one after the other.
 *
 * Context: As xen_create_contiguous_region().
 * Return: 0 when @made is @nr, else an error of xen_create_contiguous_region(). The next
 * part is as it was, as are those behind it. It need not be the one that failed: see
 * xen_try_exchange().
 */
int xen_create_extents(phys_addr_t pstart, unsigned int order, unsigned long nr,
		       gfp_t gfp, unsigned long *made)
{
	const struct xen_pages pages = { .pfn = PFN_DOWN(pstart), .nr = nr << order };
	struct xen_frame_list frames, extents;
	struct xen_taken taken;
	unsigned long i;
	int rc;

	*made = 0;
	rc = xen_frame_list_alloc(&frames, pages.nr, gfp);
	if (rc)
		return rc;
	rc = xen_frame_list_alloc(&extents, nr, gfp);
	if (rc)
		goto out;

	for (i = 0; i < nr; i++)
		extents.frame[i] = xen_pages_pfn(&pages, i << order);
	xen_read_frames(&pages, frames.frame);
	rc = xen_unmap_pages(&pages, &taken, gfp);
	if (!rc)
		rc = xen_exchange(&pages, xen_extents(frames.frame, frames.nr, 0, 0),
				  xen_extents(extents.frame, nr, order, 0),
				  extents.frame, made);
	for (i = 0; i < *made << order; i++)
		frames.frame[i] = extents.frame[i >> order] + (i & ((1UL << order) - 1));
	xen_map_pages(&pages, &taken, frames.frame, 0, gfp);

	xen_frame_list_free(&extents);
out:
	xen_frame_list_free(&frames);
	return rc;
}

/* Did any page get a frame that needs a wider address? */
static bool xen_frames_wider(const xen_pfn_t *new, const xen_pfn_t *old,
			     unsigned long nr)
{
	while (nr--)
		if (fls64(new[nr]) > fls64(old[nr]))
			return true;

	return false;
}

/*
 * Exchanges pages for any others, as far as it goes: *@done says how many. Returns
 * an error when it is not all of them. *@better is false when all were exchanged, for
 * nothing higher.
 */
static int xen_destroy_chunk(const struct xen_pages *pages, gfp_t gfp,
			     unsigned long *done, bool *better)
{
	xen_pfn_t old[XEN_CHUNK_PAGES], new[XEN_CHUNK_PAGES];
	struct xen_taken taken;
	unsigned long i;
	int rc;

	*done = 0;
	xen_read_frames(pages, old);
	for (i = 0; i < pages->nr; i++)
		new[i] = xen_pages_pfn(pages, i);

	rc = xen_unmap_pages(pages, &taken, gfp);
	if (!rc)
		rc = xen_exchange(pages, xen_extents(old, pages->nr, 0, 0),
				  xen_extents(new, pages->nr, 0, 0), new, done);
	for (i = *done; i < pages->nr; i++)
		new[i] = old[i];
	xen_map_pages(pages, &taken, new, 0, gfp);

	*better = rc || xen_frames_wider(new, old, pages->nr);
	return rc;
}

static int xen_destroy(const struct xen_pages *pages, gfp_t gfp, bool *all)
{
	unsigned int tries = XEN_GIVE_BACK_TRIES;
	unsigned long from = 0, done;

	*all = false;
	while (from < pages->nr) {
		struct xen_pages chunk = xen_pages_chunk(pages, from);
		bool better;
		int rc = xen_destroy_chunk(&chunk, gfp, &done, &better);

		from += done;
		if (!better)
			return 0;
		tries = done ? XEN_GIVE_BACK_TRIES : tries - 1;
		if (!tries)
			return from ? 0 : rc;
		xen_give_way(gfp);
	}

	*all = true;
	return 0;
}

/**
 * xen_destroy_contiguous_region() - exchange a contiguous region for any pages
 * @pstart:	pseudo-physical start, page aligned
 * @order:	log2 of the region's pages
 * @gfp:	whether to give way to others now and then
 * @all:	where it goes whether all of it was exchanged, for higher memory
 *
 * Low, contiguous memory is scarce; this returns it to the hypervisor, in steps
 * of at most 32 pages. When none of the frames that come for a step needs a wider
 * address, the hypervisor has no higher memory, and the rest is not exchanged.
 * The content of what is exchanged is lost.
 *
 * Context: Any, interrupts on or off, when @gfp may not block.
 * Return: 0 when the region, or a part of it, was exchanged; then it is no longer
 * contiguous. Else what the hypercall says, and it is as it was. The pages are
 * usable in any case.
 */
int xen_destroy_contiguous_region(phys_addr_t pstart, unsigned int order,
				  gfp_t gfp, bool *all)
{
	const struct xen_pages pages = xen_pages_from(pstart, order);

	return xen_destroy(&pages, gfp, all);
}

/**
 * xen_destroy_contiguous_pages() - the same for pages from anywhere
 * @pages:	the pages
 * @order:	log2 of their number
 * @gfp:	whether to give way to others now and then
 * @all:	where it goes whether all of them were exchanged, for higher memory
 *
 * Context: As xen_destroy_contiguous_region().
 * Return: As xen_destroy_contiguous_region().
 */
int xen_destroy_contiguous_pages(struct page **pages, unsigned int order,
				 gfp_t gfp, bool *all)
{
	const struct xen_pages list = xen_pages_listed(pages, order);

	return xen_destroy(&list, gfp, all);
}

/**
 * xen_required_dma_mask() - what a device needs to reach all of the machine
 *
 * From XENMEM_maximum_ram_page, since any frame may come to this domain.
 *
 * Context: Any.
 * Return: The mask, all ones when Xen does not tell.
 */
u64 xen_required_dma_mask(void)
{
	long max_mfn = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);

	if (max_mfn <= 0)
		return DMA_BIT_MASK(64);

	return DMA_BIT_MASK(fls64(PFN_PHYS(max_mfn)));
}

#endif /* CONFIG_XEN_PV */
