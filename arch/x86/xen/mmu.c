// SPDX-License-Identifier: GPL-2.0
/*
 * Machine-contiguous memory for x86 PV domains, and the address helpers that
 * PV and PVH kernels share.
 *
 * The pages of a PV domain lie anywhere in the machine. A region that is
 * contiguous for Linux becomes contiguous for a device by XENMEM_exchange: the
 * hypervisor takes the pages behind the region and gives one extent for them.
 * It takes a page only when nothing refers to it any more, so the region leaves
 * the linear mapping first and comes back with its new frames.
 *
 * Nothing here is shared between two callers: each owns the region that it
 * passes and has a frame list of its own, so there is no lock. Any step may
 * fail; the region then has the frames, PTEs and P2M entries it had before.
 */
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pfn.h>
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

/* PTEs written by one hypercall; bounds the stack and the time in Xen. */
#define XEN_PTE_BATCH	32

/* Frames listed on the stack: what small coherent allocations need. */
#define XEN_STACK_FRAMES	8

/*
 * The frames of one region while it changes hands. A list is as long as the
 * region, so a large one comes from vmalloc, and before there is a slab from
 * memblock.
 */
struct xen_frame_list {
	xen_pfn_t *frame;
	unsigned long nr;
	bool early;
	xen_pfn_t on_stack[XEN_STACK_FRAMES];
};

static int __ref xen_frame_list_alloc(struct xen_frame_list *list,
				      unsigned long nr, gfp_t gfp)
{
	size_t bytes = nr * sizeof(*list->frame);

	list->nr = nr;
	list->early = !slab_is_available();

	if (nr <= XEN_STACK_FRAMES)
		list->frame = list->on_stack;
	else if (list->early)
		list->frame = memblock_alloc(bytes, SMP_CACHE_BYTES);
	else if (gfpflags_allow_blocking(gfp))
		list->frame = kvmalloc(bytes, (gfp & GFP_KERNEL) | __GFP_NOWARN);
	else
		list->frame = kmalloc(bytes, GFP_ATOMIC | __GFP_NOWARN);

	return list->frame ? 0 : -ENOMEM;
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

/*
 * Points @nr pages of the linear mapping from @vaddr on at frames: those of
 * @frame, or from @first on when @frame is NULL, or none when that is
 * INVALID_P2M_ENTRY too. Leaves the TLBs alone.
 */
static int xen_write_linear_ptes(unsigned long vaddr, unsigned long nr,
				 const xen_pfn_t *frame, unsigned long first)
{
	struct mmu_update update[XEN_PTE_BATCH];
	unsigned long done = 0;

	while (done < nr) {
		unsigned long addr = vaddr + (done << PAGE_SHIFT);
		unsigned long left = PTRS_PER_PTE - pte_index(addr);
		unsigned int level, i, n;
		phys_addr_t slot;
		pte_t *pte;
		int rc;

		/* One batch stays within one page of PTEs. */
		n = min3(nr - done, left, (unsigned long)XEN_PTE_BATCH);

		pte = lookup_address(addr, &level);
		if (WARN_ON_ONCE(!pte || level != PG_LEVEL_4K))
			return -EFAULT;
		slot = arbitrary_virt_to_machine(pte).maddr;

		for (i = 0; i < n; i++) {
			unsigned long mfn = frame ? frame[done + i] : first;
			pte_t val = __pte_ma(0);

			if (!frame && first != INVALID_P2M_ENTRY)
				mfn += done + i;
			if (mfn != INVALID_P2M_ENTRY)
				val = mfn_pte(mfn, PAGE_KERNEL);

			update[i].ptr = (slot + i * sizeof(*pte)) |
					MMU_NORMAL_PT_UPDATE;
			update[i].val = pte_val_ma(val);
		}

		rc = HYPERVISOR_mmu_update(update, n, NULL, DOMID_SELF);
		if (rc)
			return rc;
		done += n;
	}

	return 0;
}

/* No CPU may use a frame of the region's past, once it has a new one. */
static void xen_flush_region_tlb(unsigned long vaddr, unsigned long nr)
{
	struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_ALL };

	if (nr == 1) {
		op.cmd = MMUEXT_INVLPG_ALL;
		op.arg1.linear_addr = vaddr;
	}

	WARN_ON_ONCE(HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF));
}

/* Gives the region its frames (see xen_write_linear_ptes() for the two). */
static void xen_remap_region(unsigned long pfn, unsigned long nr,
			     const xen_pfn_t *frame, unsigned long first)
{
	unsigned long vaddr = (unsigned long)__va(PFN_PHYS(pfn));
	unsigned long i;

	for (i = 0; i < nr; i++)
		set_phys_to_machine(pfn + i, frame ? frame[i] : first + i);

	/* Xen refuses only frames that are not ours. */
	WARN_ON_ONCE(xen_write_linear_ptes(vaddr, nr, frame, first));
	xen_flush_region_tlb(vaddr, nr);
}

/* Takes the region out of the linear mapping and the P2M. */
static int xen_zap_region(unsigned long pfn, unsigned long nr)
{
	unsigned long vaddr = (unsigned long)__va(PFN_PHYS(pfn));
	unsigned long i;
	int rc;

	rc = xen_write_linear_ptes(vaddr, nr, NULL, INVALID_P2M_ENTRY);
	if (rc)
		return rc;

	for (i = 0; i < nr; i++)
		set_phys_to_machine(pfn + i, INVALID_P2M_ENTRY);

	return 0;
}

/* The frames of a region that is mapped. */
static void xen_read_frames(unsigned long pfn, struct xen_frame_list *list)
{
	unsigned long i;

	for (i = 0; i < list->nr; i++)
		list->frame[i] = pfn_to_mfn(pfn + i);
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
 * One side of every exchange here is a single extent, so Xen does all of it or
 * nothing.
 */
static int xen_exchange(struct xen_memory_reservation in,
			struct xen_memory_reservation out)
{
	struct xen_memory_exchange exchange = { .in = in, .out = out };
	int rc;

	rc = HYPERVISOR_memory_op(XENMEM_exchange, &exchange);
	if (exchange.nr_exchanged == in.nr_extents)
		return 0;
	WARN_ON_ONCE(exchange.nr_exchanged);

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

/* Is the region already what an exchange would make of it? */
static bool xen_region_suits(phys_addr_t pstart, unsigned int order,
			     unsigned int address_bits)
{
	phys_addr_t size = PAGE_SIZE << order;
	phys_addr_t bus = PFN_PHYS(pfn_to_mfn(PFN_DOWN(pstart)));

	return IS_ALIGNED(bus, size) &&
	       fls64(bus + size - 1) <= address_bits &&
	       xen_region_contiguous(pstart, size);
}

/**
 * xen_make_contiguous() - make a region contiguous in the machine
 * @pstart:		pseudo-physical start, page aligned
 * @order:		log2 of the region's pages
 * @address_bits:	width that a device can address
 * @gfp:		how the list of frames may be allocated
 * @dma_handle:		where the machine address of the first byte goes
 *
 * A region that suits stays as it is. Else all of it is exchanged, which costs
 * the old content; it is cleared, for the hypervisor may give the frames to
 * another domain as they are. The new content is the caller's to clear.
 *
 * The caller owns all pages, and the linear mapping is the only one they have.
 * (XENMEM_exchange: xen/interface/memory.h.)
 *
 * Context: Any, interrupts on or off, when @gfp may not block.
 * Return: 0 when the region was exchanged, 1 when it suited as it was; then
 * *@dma_handle is aligned to the region's size, and all of the region lies
 * below 1 << @address_bits. Else the region is unchanged but for its content:
 * -ENOMEM without memory for the list or without a suitable extent in Xen,
 * -EPERM when @order is above what Xen allows the domain (memop-max-order=), or
 * what else the hypercall says.
 */
int xen_make_contiguous(phys_addr_t pstart, unsigned int order,
			unsigned int address_bits, gfp_t gfp,
			dma_addr_t *dma_handle)
{
	unsigned long pfn = PFN_DOWN(pstart);
	struct xen_frame_list old;
	xen_pfn_t extent = pfn;
	int rc;

	if (xen_region_suits(pstart, order, address_bits)) {
		*dma_handle = PFN_PHYS(pfn_to_mfn(pfn));
		return 1;
	}

	rc = xen_frame_list_alloc(&old, 1UL << order, gfp);
	if (rc)
		return rc;

	memset(__va(pstart), 0, PAGE_SIZE << order);
	xen_read_frames(pfn, &old);

	rc = xen_zap_region(pfn, old.nr);
	if (!rc)
		rc = xen_exchange(xen_extents(old.frame, old.nr, 0, 0),
				  xen_extents(&extent, 1, order, address_bits));
	if (rc) {
		xen_remap_region(pfn, old.nr, old.frame, 0);
	} else {
		xen_remap_region(pfn, old.nr, NULL, extent);
		*dma_handle = PFN_PHYS(extent);
	}

	xen_frame_list_free(&old);
	return rc;
}

/**
 * xen_give_back_contiguous() - exchange a contiguous region for any pages
 * @pstart:	pseudo-physical start, page aligned
 * @order:	log2 of the region's pages, as it was made
 * @gfp:	how the list of frames may be allocated
 *
 * Low, contiguous memory is scarce; this returns it to the hypervisor. All
 * content is cleared first.
 *
 * Context: Any, interrupts on or off, when @gfp may not block.
 * Return: 0; else the region is still contiguous and as usable as before:
 * -ENOMEM without memory for the list or in Xen, or what the hypercall says.
 */
int xen_give_back_contiguous(phys_addr_t pstart, unsigned int order, gfp_t gfp)
{
	unsigned long pfn = PFN_DOWN(pstart);
	struct xen_frame_list new;
	xen_pfn_t extent = pfn_to_mfn(pfn);
	unsigned long first = extent;
	unsigned long i;
	int rc;

	rc = xen_frame_list_alloc(&new, 1UL << order, gfp);
	if (rc)
		return rc;

	memset(__va(pstart), 0, PAGE_SIZE << order);
	for (i = 0; i < new.nr; i++)
		new.frame[i] = pfn + i;

	rc = xen_zap_region(pfn, new.nr);
	if (!rc)
		rc = xen_exchange(xen_extents(&extent, 1, order, 0),
				  xen_extents(new.frame, new.nr, 0, 0));
	if (rc)
		xen_remap_region(pfn, new.nr, NULL, first);
	else
		xen_remap_region(pfn, new.nr, new.frame, 0);

	xen_frame_list_free(&new);
	return rc;
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
