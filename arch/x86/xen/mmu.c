// SPDX-License-Identifier: GPL-2.0
/*
 * Machine-contiguous memory for x86 PV domains, and the address helpers that
 * PV and PVH kernels share.
 *
 * The pages of a PV domain lie anywhere in the machine. A region, be it
 * contiguous for Linux or not, becomes contiguous for a device by
 * XENMEM_exchange: the hypervisor takes the pages behind the region and gives one
 * extent for them. It takes a page only when nothing refers to it any more, so
 * the region leaves the linear mapping first and comes back with its new frames.
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
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include <xen/interface/memory.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen-ops.h>

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

/*
 * Pages whose PTEs are written by one hypercall, and that are given back by one;
 * between two others may run. Their frames fit the stack.
 */
#define XEN_CHUNK_PAGES	32

/* How often memory is offered to the hypervisor that takes none of it. */
#define XEN_GIVE_BACK_TRIES	8

/**
 * struct xen_region - pages that become one piece of the machine
 * @pages:	each of them, or NULL when they follow each other
 * @pfn:	then the first one
 * @nr:		how many
 */
struct xen_region {
	struct page **pages;
	unsigned long pfn;
	unsigned long nr;
};

static unsigned long xen_region_pfn(const struct xen_region *region,
				    unsigned long i)
{
	return region->pages ? page_to_pfn(region->pages[i]) : region->pfn + i;
}

/* The part of a region from a page on. */
static struct xen_region xen_part(const struct xen_region *region,
				  unsigned long from, unsigned long nr)
{
	return (struct xen_region) {
		.pages = region->pages ? region->pages + from : NULL,
		.pfn = region->pfn + from,
		.nr = nr,
	};
}

/* The same, XEN_CHUNK_PAGES at most. */
static struct xen_region xen_chunk(const struct xen_region *region,
				   unsigned long from)
{
	return xen_part(region, from, min_t(unsigned long, region->nr - from,
					    XEN_CHUNK_PAGES));
}

/*
 * The frames of a region while it changes hands. A list is as long as the
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
struct fault_attr xen_fail_call = FAULT_ATTR_INITIALIZER;
struct fault_attr xen_fail_extent = FAULT_ATTR_INITIALIZER;
struct fault_attr xen_fail_report = FAULT_ATTR_INITIALIZER;

static bool xen_call_fails(void)
{
	return should_fail(&xen_fail_call, 1);
}

static bool xen_extent_fails(void)
{
	return should_fail(&xen_fail_extent, 1);
}

static bool xen_report_fails(void)
{
	return should_fail(&xen_fail_report, 1);
}
#else
static bool xen_call_fails(void)
{
	return false;
}

static bool xen_extent_fails(void)
{
	return false;
}

static bool xen_report_fails(void)
{
	return false;
}
#endif

/*
 * The P2M entry of a page of RAM, which is always a page of the P2M's own that can
 * be written; set_phys_to_machine() is for others too, and several times dearer.
 */
static void xen_set_frame(unsigned long pfn, unsigned long mfn)
{
	if (likely(pfn < xen_p2m_size))
		WRITE_ONCE(xen_p2m_addr[pfn], mfn);
	else
		set_phys_to_machine(pfn, mfn);
}

static void xen_resched(gfp_t gfp)
{
	if (gfpflags_allow_blocking(gfp))
		cond_resched();
}

/* What page @i gets: a frame of a list, one of a run, or none at all. */
static pte_t xen_frame_pte(const xen_pfn_t *frame, unsigned long first,
			   unsigned long i)
{
	if (frame)
		return mfn_pte(frame[i], PAGE_KERNEL);
	if (first != INVALID_P2M_ENTRY)
		return mfn_pte(first + i, PAGE_KERNEL);
	return __pte_ma(0);
}

/* With @must no fault is injected. */
static int xen_mmu_update(struct mmu_update *update, unsigned int nr, bool must)
{
	if (!must && xen_call_fails())
		return -ENOMEM;

	return HYPERVISOR_mmu_update(update, nr, NULL, DOMID_SELF);
}

/*
 * Points the linear mapping of a region at frames: those of @frame, or from @first
 * on when that is NULL, or none when @first is INVALID_P2M_ENTRY. Leaves the TLBs
 * alone. With @must no fault is injected.
 */
static int xen_write_ptes(const struct xen_region *region,
			  const xen_pfn_t *frame, unsigned long first,
			  bool must)
{
	struct mmu_update update[XEN_CHUNK_PAGES];
	unsigned long i, next = 0;
	phys_addr_t slot = 0;
	unsigned int n = 0;
	int rc;

	for (i = 0; i < region->nr; i++) {
		unsigned long pfn = xen_region_pfn(region, i);
		unsigned long addr = (unsigned long)__va(PFN_PHYS(pfn));
		pte_t val = xen_frame_pte(frame, first, i);
		unsigned int level;
		pte_t *pte;

		/* By itself it is cheaper by its address. */
		if (region->nr == 1) {
			if (!must && xen_call_fails())
				return -ENOMEM;
			return HYPERVISOR_update_va_mapping(addr, val, 0);
		}

		/* Neighbours mostly share a page of PTEs. */
		if (addr != next || !pte_index(addr)) {
			pte = lookup_address(addr, &level);
			if (WARN_ON_ONCE(!pte || level != PG_LEVEL_4K))
				return -EFAULT;
			slot = arbitrary_virt_to_machine(pte).maddr;
		}
		next = addr + PAGE_SIZE;

		update[n].ptr = slot | MMU_NORMAL_PT_UPDATE;
		update[n].val = pte_val_ma(val);
		slot += sizeof(*pte);

		if (++n < XEN_CHUNK_PAGES && i + 1 < region->nr)
			continue;
		rc = xen_mmu_update(update, n, must);
		if (rc)
			return rc;
		n = 0;
	}

	return 0;
}

/* Writes a region's last PTE; then no CPU uses a frame of its past. */
static int xen_write_last_pte(const struct xen_region *region, pte_t pte,
			      bool must)
{
	unsigned long pfn = xen_region_pfn(region, region->nr - 1);
	unsigned long flush = region->nr == 1 ? UVMF_INVLPG : UVMF_TLB_FLUSH;

	if (!must && xen_call_fails())
		return -ENOMEM;
	return HYPERVISOR_update_va_mapping((unsigned long)__va(PFN_PHYS(pfn)),
					    pte, flush | UVMF_ALL);
}

static int xen_map_all(const struct xen_region *region, const xen_pfn_t *frame,
		       unsigned long first, gfp_t gfp, bool must)
{
	struct xen_region most = *region;
	unsigned long from;
	int rc;

	most.nr--;
	for (from = 0; from < most.nr; from += XEN_CHUNK_PAGES) {
		struct xen_region chunk = xen_chunk(&most, from);

		rc = xen_write_ptes(&chunk, frame ? frame + from : NULL,
				    first + from, must);
		if (rc)
			return rc;
		xen_resched(gfp);
	}

	return xen_write_last_pte(region, xen_frame_pte(frame, first, most.nr),
				  must);
}

/*
 * For the hypervisor the pages behind an extent follow each other. Where they
 * don't, the M2P has to be told.
 */
static int xen_write_m2p(const struct xen_region *region, unsigned long first,
			 gfp_t gfp, bool must)
{
	struct mmu_update update[XEN_CHUNK_PAGES];
	unsigned int n = 0;
	unsigned long i;
	int rc;

	for (i = 0; i < region->nr; i++) {
		update[n].ptr = PFN_PHYS((u64)first + i) | MMU_MACHPHYS_UPDATE;
		update[n].val = xen_region_pfn(region, i);
		if (++n < XEN_CHUNK_PAGES && i + 1 < region->nr)
			continue;
		rc = xen_mmu_update(update, n, must);
		if (rc)
			return rc;
		n = 0;
		xen_resched(gfp);
	}

	return 0;
}

/*
 * Gives a region its frames: those of @frame, or from @first on when that is
 * NULL. Xen refuses only frames that are not ours, so what fails is done again.
 */
static void xen_map_region(const struct xen_region *region,
			   const xen_pfn_t *frame, unsigned long first,
			   gfp_t gfp)
{
	unsigned long i;

	for (i = 0; i < region->nr; i++)
		xen_set_frame(xen_region_pfn(region, i),
			      frame ? frame[i] : first + i);

	if (xen_map_all(region, frame, first, gfp, false))
		WARN_ON_ONCE(xen_map_all(region, frame, first, gfp, true));
}

/*
 * Takes a region out of the linear mapping and the P2M. When that fails, some of
 * it may be gone; xen_map_region() brings it back.
 */
static int xen_zap_region(const struct xen_region *region, gfp_t gfp)
{
	unsigned long from, i;
	int rc;

	for (from = 0; from < region->nr; from += XEN_CHUNK_PAGES) {
		struct xen_region chunk = xen_chunk(region, from);

		rc = xen_write_ptes(&chunk, NULL, INVALID_P2M_ENTRY, false);
		if (rc)
			return rc;
		for (i = 0; i < chunk.nr; i++)
			xen_set_frame(xen_region_pfn(&chunk, i),
				      INVALID_P2M_ENTRY);
		xen_resched(gfp);
	}

	return 0;
}

/* The frames of a region that is mapped. */
static void xen_read_frames(const struct xen_region *region, xen_pfn_t *frame)
{
	unsigned long i;

	for (i = 0; i < region->nr; i++)
		frame[i] = pfn_to_mfn(xen_region_pfn(region, i));
}

/* The hypervisor may give the frames to another domain as they are. */
static void xen_clear_region(const struct xen_region *region, gfp_t gfp)
{
	unsigned long i;

	if (!region->pages) {
		memset(__va(PFN_PHYS(region->pfn)), 0, region->nr << PAGE_SHIFT);
		return;
	}
	for (i = 0; i < region->nr; i++) {
		clear_page(page_address(region->pages[i]));
		xen_resched(gfp);
	}
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

/*
 * Exchanges extents for a region. Xen does them one by one, each whole or not at all: of
 * the kind of which there are fewer. *@done says how many of these it has done.
 *
 * The last one may be done though Xen says that it failed: it could not map the new
 * frames in the IOMMU, which it does when they are the domain's already. Then it names
 * a frame where it has been told a page, @gained, and the M2P may not be complete.
 */
static int xen_exchange(const struct xen_region *region,
			struct xen_memory_reservation in,
			struct xen_memory_reservation out,
			const xen_pfn_t *gained, unsigned long *done)
{
	unsigned long nr = min(in.nr_extents, out.nr_extents), n = 0;
	struct xen_memory_exchange exchange = { .in = in, .out = out };
	unsigned long in_each = in.nr_extents / nr;
	unsigned long out_each = out.nr_extents / nr;
	int rc;

	*done = 0;
	if (xen_call_fails())
		return -ENOMEM;
	while (n < nr && !xen_extent_fails())
		n++;
	if (!n)
		return -ENOMEM;

	exchange.in.nr_extents = n * in_each;
	exchange.out.nr_extents = n * out_each;
	rc = HYPERVISOR_memory_op(XENMEM_exchange, &exchange);
	*done = exchange.nr_exchanged / in_each;
	if (*done == n && xen_report_fails()) {
		rc = -EINVAL;
		--*done;
	}
	if (rc < 0 && *done < n && gained[*done] != xen_region_pfn(region, *done)) {
		const struct xen_region part =
			xen_part(region, *done, 1UL << out.extent_order);

		WARN_ON_ONCE(xen_write_m2p(&part, gained[*done], GFP_ATOMIC,
					   true));
		++*done;
	}
	if (*done == nr)
		return 0;

	return rc < 0 ? rc : -ENOMEM;
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

/* Does each of a region's frames follow the one before? */
static bool xen_pages_contiguous(const struct xen_region *region)
{
	unsigned long mfn = pfn_to_mfn(xen_region_pfn(region, 0));
	unsigned long i;

	if (!region->pages)
		return xen_region_contiguous(PFN_PHYS(region->pfn),
					     region->nr << PAGE_SHIFT);
	for (i = 1; i < region->nr; i++)
		if (pfn_to_mfn(xen_region_pfn(region, i)) != mfn + i)
			return false;

	return true;
}

/* Is the region already what an exchange would make of it? */
static bool xen_region_suits(const struct xen_region *region,
			     unsigned int address_bits)
{
	phys_addr_t size = (phys_addr_t)region->nr << PAGE_SHIFT;
	phys_addr_t bus = PFN_PHYS(pfn_to_mfn(xen_region_pfn(region, 0)));

	return IS_ALIGNED(bus, size) &&
	       fls64(bus + size - 1) <= address_bits &&
	       xen_pages_contiguous(region);
}

static int xen_make_region(const struct xen_region *region, unsigned int order,
			   unsigned int address_bits, gfp_t gfp,
			   dma_addr_t *dma_handle)
{
	xen_pfn_t extent = xen_region_pfn(region, 0);
	struct xen_frame_list old;
	unsigned long done = 0;
	int rc;

	if (xen_region_suits(region, address_bits)) {
		*dma_handle = PFN_PHYS(pfn_to_mfn(extent));
		return 1;
	}

	rc = xen_frame_list_alloc(&old, region->nr, gfp);
	if (rc)
		return rc;

	xen_clear_region(region, gfp);
	xen_read_frames(region, old.frame);

	rc = xen_zap_region(region, gfp);
	if (!rc)
		rc = xen_exchange(region, xen_extents(old.frame, old.nr, 0, 0),
				  xen_extents(&extent, 1, order, address_bits),
				  &extent, &done);
	if (done) {
		if (region->pages && xen_write_m2p(region, extent, gfp, false))
			WARN_ON_ONCE(xen_write_m2p(region, extent, gfp, true));
		xen_map_region(region, NULL, extent, gfp);
		*dma_handle = PFN_PHYS(extent);
	} else {
		xen_map_region(region, old.frame, 0, gfp);
	}

	xen_frame_list_free(&old);
	return rc;
}

/**
 * xen_make_contiguous() - make a region contiguous in the machine
 * @pstart:		pseudo-physical start, page aligned
 * @order:		log2 of the region's pages
 * @address_bits:	width that a device can address
 * @gfp:		how the list of frames may be allocated, and whether to
 *			give way to others now and then
 * @dma_handle:		where the machine address of the first byte goes
 *
 * A region that suits stays as it is. Else all of it is exchanged, which costs
 * the old content; it is cleared, for the hypervisor may give the frames to
 * another domain as they are. The new content is the caller's to clear.
 *
 * The caller owns all pages, and the linear mapping is the only one they have.
 * Interrupts are not masked. Every 32 pages others may run, but for the
 * hypervisor one extent is one step. (XENMEM_exchange: xen/interface/memory.h.)
 *
 * Context: Any, interrupts on or off, when @gfp may not block.
 * Return: 0 when the region was exchanged, 1 when it suited as it was; then
 * *@dma_handle is aligned to the region's size, and all of the region lies
 * below 1 << @address_bits. Else the region is unchanged but for its content:
 * -ENOBUFS without memory for the list, -ENOMEM without a suitable extent in Xen,
 * -EPERM when @order is above what Xen allows the domain (memop-max-order=), or
 * what else the hypercall says.
 */
int xen_make_contiguous(phys_addr_t pstart, unsigned int order,
			unsigned int address_bits, gfp_t gfp,
			dma_addr_t *dma_handle)
{
	const struct xen_region region = {
		.pfn = PFN_DOWN(pstart),
		.nr = 1UL << order,
	};

	return xen_make_region(&region, order, address_bits, gfp, dma_handle);
}

/**
 * xen_make_pages_contiguous() - make pages from anywhere contiguous
 * @pages:		the pages, in the order that they are to have
 * @order:		log2 of their number
 * @address_bits:	width that a device can address
 * @gfp:		as for xen_make_contiguous()
 * @dma_handle:		where the machine address of the first byte goes
 *
 * Context: As xen_make_contiguous().
 * Return: As xen_make_contiguous().
 */
int xen_make_pages_contiguous(struct page **pages, unsigned int order,
			      unsigned int address_bits, gfp_t gfp,
			      dma_addr_t *dma_handle)
{
	const struct xen_region region = {
		.pages = pages,
		.nr = 1UL << order,
	};

	return xen_make_region(&region, order, address_bits, gfp, dma_handle);
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
 * an error when it is not all of them, and 1 when what came out is no better.
 */
static int xen_give_back_some(const struct xen_region *region,
			      unsigned long *done, gfp_t gfp)
{
	xen_pfn_t old[XEN_CHUNK_PAGES], new[XEN_CHUNK_PAGES];
	unsigned long i;
	int rc;

	*done = 0;
	xen_clear_region(region, gfp);
	xen_read_frames(region, old);
	for (i = 0; i < region->nr; i++)
		new[i] = xen_region_pfn(region, i);

	rc = xen_zap_region(region, gfp);
	if (!rc)
		rc = xen_exchange(region, xen_extents(old, region->nr, 0, 0),
				  xen_extents(new, region->nr, 0, 0), new, done);
	for (i = *done; i < region->nr; i++)
		new[i] = old[i];
	xen_map_region(region, new, 0, gfp);

	return rc ?: !xen_frames_wider(new, old, region->nr);
}

static int xen_give_back_region(const struct xen_region *region, gfp_t gfp)
{
	unsigned int tries = XEN_GIVE_BACK_TRIES;
	unsigned long from = 0, done;

	while (from < region->nr) {
		struct xen_region chunk = xen_chunk(region, from);
		int rc = xen_give_back_some(&chunk, &done, gfp);

		from += done;
		if (rc > 0)
			return 1;
		tries = done ? XEN_GIVE_BACK_TRIES : tries - 1;
		if (!tries)
			return from ? 1 : rc;
		xen_resched(gfp);
	}

	return 0;
}

/**
 * xen_give_back_contiguous() - exchange a contiguous region for any pages
 * @pstart:	pseudo-physical start, page aligned
 * @order:	log2 of the region's pages
 * @gfp:	whether to give way to others now and then
 *
 * Low, contiguous memory is scarce; this returns it to the hypervisor, in steps
 * of at most 32 pages. When none of the frames that come for a step needs a wider
 * address, the hypervisor has no higher memory, and the rest is not exchanged.
 * The content of what is exchanged, or was to be, is cleared.
 *
 * Context: Any, interrupts on or off, when @gfp may not block.
 * Return: 0 when all of it was given back; 1 when a part was, and the pages are no
 * longer contiguous; else what the hypercall says, and the region is as it was.
 * The pages are usable in any case.
 */
int xen_give_back_contiguous(phys_addr_t pstart, unsigned int order, gfp_t gfp)
{
	const struct xen_region region = {
		.pfn = PFN_DOWN(pstart),
		.nr = 1UL << order,
	};

	return xen_give_back_region(&region, gfp);
}

/**
 * xen_give_back_pages() - the same for pages from anywhere
 * @pages:	the pages
 * @order:	log2 of their number
 * @gfp:	whether to give way to others now and then
 *
 * Context: As xen_give_back_contiguous().
 * Return: As xen_give_back_contiguous().
 */
int xen_give_back_pages(struct page **pages, unsigned int order, gfp_t gfp)
{
	const struct xen_region region = {
		.pages = pages,
		.nr = 1UL << order,
	};

	return xen_give_back_region(&region, gfp);
}

/**
 * xen_create_contiguous_region() - make a region contiguous in the machine
 * @pstart:		pseudo-physical start, page aligned
 * @order:		log2 of the region's pages
 * @address_bits:	width that a device can address
 * @dma_handle:		where the machine address of the first byte goes
 *
 * The name that the rest of the kernel knows; see xen_make_contiguous().
 *
 * Context: Any.
 * Return: 0 with *@dma_handle set, or an error of xen_make_contiguous().
 */
int xen_create_contiguous_region(phys_addr_t pstart, unsigned int order,
				 unsigned int address_bits,
				 dma_addr_t *dma_handle)
{
	int rc = xen_make_contiguous(pstart, order, address_bits, GFP_ATOMIC,
				     dma_handle);

	return rc < 0 ? rc : 0;
}

/**
 * xen_destroy_contiguous_region() - undo xen_create_contiguous_region()
 * @pstart:	pseudo-physical start, page aligned
 * @order:	log2 of the region's pages, as it was made
 *
 * The region stays contiguous when Xen has nothing to give for it.
 *
 * Context: Any.
 */
void xen_destroy_contiguous_region(phys_addr_t pstart, unsigned int order)
{
	xen_give_back_contiguous(pstart, order, GFP_ATOMIC);
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
