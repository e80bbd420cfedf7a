// SPDX-License-Identifier: GPL-2.0
/*
 * The linear mapping of pages whose frames change.
 *
 * Xen takes a frame only when nothing refers to it. So the pages leave the linear
 * mapping and the P2M, and come back with new frames, or with the old ones. The
 * caller owns the pages, so nobody writes to them meanwhile. But somebody may read: SLUB
 * reads without a lock what was a free object when it began to, and its page may have
 * been freed since. So there is no hole where the pages were: zeros can be read there.
 *
 * PTEs are written by hypercalls, 32 at a time. A block of the page allocator's that
 * has whole tables of PTEs for itself is quicker: Xen lets go of a table that no
 * page-table entry leads to and that is not pinned, and then it is plain memory
 * that the kernel fills. Xen looks at it once when it is used again.
 */
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include <asm/xen/hypercall.h>
#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "mmu_linear.h"

#ifdef CONFIG_XEN_DMA_FAIL_EXCHANGE
struct fault_attr xen_fail_call = FAULT_ATTR_INITIALIZER;

/**
 * xen_call_fails() - is a hypercall to fail, though it would not?
 *
 * Context: Any.
 * Return: Whether a fault is injected.
 */
bool xen_call_fails(void)
{
	return should_fail(&xen_fail_call, 1);
}
#else
bool xen_call_fails(void)
{
	return false;
}
#endif

/*
 * The P2M entry of a page of RAM, which is always a page of the P2M's own that can
 * be written; set_phys_to_machine() is for others too, and takes several times as long.
 */
static void set_p2m(unsigned long pfn, unsigned long mfn)
{
	if (likely(pfn < xen_p2m_size))
		WRITE_ONCE(xen_p2m_addr[pfn], mfn);
	else
		set_phys_to_machine(pfn, mfn);
}

/* What is read where pages have no frame. */
static pte_t pte_of_zeros(void)
{
	unsigned long pfn = PHYS_PFN(__pa_symbol(empty_zero_page));

	return mfn_pte(pfn_to_mfn(pfn), PAGE_KERNEL_RO);
}

/* What page @i gets: a frame of a list, one of a run, or none of its own. */
static pte_t pte_of(const xen_pfn_t *frame, unsigned long first,
		    unsigned long i)
{
	if (frame)
		return mfn_pte(frame[i], PAGE_KERNEL);
	if (first != INVALID_P2M_ENTRY)
		return mfn_pte(first + i, PAGE_KERNEL);
	return pte_of_zeros();
}

/* With @must no fault is injected. */
static int update_mmu(struct mmu_update *update, unsigned int nr, bool must)
{
	if (!must && xen_call_fails())
		return -ENOMEM;

	return HYPERVISOR_mmu_update(update, nr, NULL, DOMID_SELF);
}

/* One PTE, by the address that it maps, which is cheaper than by its own. */
static int write_pte(unsigned long pfn, pte_t pte, unsigned long flush,
		     bool must)
{
	if (!must && xen_call_fails())
		return -ENOMEM;

	return HYPERVISOR_update_va_mapping((unsigned long)__va(PFN_PHYS(pfn)),
					    pte, flush);
}

/* The machine address of the PTE of a linear address, 0 when there is none. */
static phys_addr_t find_pte(unsigned long addr)
{
	unsigned int level;
	pte_t *pte = lookup_address(addr, &level);

	if (WARN_ON_ONCE(!pte || level != PG_LEVEL_4K))
		return 0;
	return virt_to_machine(pte).maddr;
}

/*
 * Points the linear mapping of a chunk at frames: those of @frame, or from @first
 * on when that is NULL, or at zeros when @first is INVALID_P2M_ENTRY. Leaves the TLBs
 * alone. With @must no fault is injected.
 */
static int write_ptes(const struct xen_pages *chunk, const xen_pfn_t *frame,
		      unsigned long first, bool must)
{
	struct mmu_update update[XEN_CHUNK_PAGES];
	unsigned long i, next = 0;
	phys_addr_t slot = 0;

	if (chunk->nr == 1)
		return write_pte(xen_pages_pfn(chunk, 0),
				 pte_of(frame, first, 0), 0, must);

	for (i = 0; i < chunk->nr; i++) {
		unsigned long pfn = xen_pages_pfn(chunk, i);
		unsigned long addr = (unsigned long)__va(PFN_PHYS(pfn));

		/* Neighbours mostly share a table of PTEs. */
		if (addr != next || !pte_index(addr)) {
			slot = find_pte(addr);
			if (!slot)
				return -EFAULT;
		}
		update[i].ptr = slot | MMU_NORMAL_PT_UPDATE;
		update[i].val = pte_val_ma(pte_of(frame, first, i));
		slot += sizeof(pte_t);
		next = addr + PAGE_SIZE;
	}

	return update_mmu(update, chunk->nr, must);
}

/* The last PTE comes last; then no CPU uses a frame of the past. */
static int write_all_ptes(const struct xen_pages *pages, const xen_pfn_t *frame,
			  unsigned long first, gfp_t gfp, bool must)
{
	unsigned long flush = pages->nr == 1 ? UVMF_INVLPG : UVMF_TLB_FLUSH;
	struct xen_pages most = *pages;
	unsigned long from;
	int rc;

	most.nr--;
	for (from = 0; from < most.nr; from += XEN_CHUNK_PAGES) {
		struct xen_pages chunk = xen_pages_chunk(&most, from);

		rc = write_ptes(&chunk, frame ? frame + from : NULL,
				first + from, must);
		if (rc)
			return rc;
		xen_give_way(gfp);
	}

	return write_pte(xen_pages_pfn(pages, most.nr),
			 pte_of(frame, first, most.nr), flush | UVMF_ALL, must);
}

static int set_pmd_entry(const struct xen_taken_table *table, pmd_t entry)
{
	struct mmu_update update = {
		.ptr = virt_to_machine(table->pmd).maddr |
		       MMU_NORMAL_PT_UPDATE,
		.val = pmd_val_ma(entry),
	};

	return update_mmu(&update, 1, true);
}

static int pin_table(unsigned long pfn, unsigned int cmd)
{
	struct mmuext_op op = {
		.cmd = cmd,
		.arg1.mfn = pfn_to_mfn(pfn),
	};

	return HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static int protect_table(unsigned long pfn, pgprot_t prot, unsigned long flush)
{
	return write_pte(pfn, mfn_pte(pfn_to_mfn(pfn), prot), flush | UVMF_ALL, true);
}

static void flush_all_tlbs(void)
{
	struct mmuext_op op = { .cmd = MMUEXT_TLB_FLUSH_ALL };

	WARN_ON_ONCE(HYPERVISOR_mmuext_op(&op, 1, NULL, DOMID_SELF));
}

/* The page of the table of zeros that stands for one that is taken; 0 in early boot. */
static unsigned long placeholder;

/* A domain that was restored has another frame for it. */
static pmd_t placeholder_entry(void)
{
	return placeholder ? __pmd(PFN_PHYS(placeholder) | _KERNPG_TABLE) : __pmd_ma(0);
}

static int __init make_placeholder(void)
{
	unsigned long pfn;
	pte_t *pte;
	int i;

	if (!xen_pv_domain())
		return 0;
	pte = (pte_t *)get_zeroed_page(GFP_KERNEL);
	if (!pte)
		return -ENOMEM;
	for (i = 0; i < PAGE_SIZE / sizeof(*pte); i++)
		pte[i] = pte_of_zeros();

	pfn = PFN_DOWN(__pa(pte));
	if (WARN_ON(protect_table(pfn, PAGE_KERNEL_RO, UVMF_TLB_FLUSH) ||
		    pin_table(pfn, MMUEXT_PIN_L1_TABLE)))
		return -EFAULT;
	placeholder = pfn;
	return 0;
}
early_initcall(make_placeholder);

/* Xen looks at each PTE. With @must no fault is injected. */
static int try_to_hook(const struct xen_taken_table *table, bool must)
{
	if (!must && xen_call_fails())
		return -ENOMEM;

	/* A table that is not pinned serves as well. */
	WARN_ON_ONCE(table->pinned && pin_table(table->pfn, MMUEXT_PIN_L1_TABLE));
	return set_pmd_entry(table, table->entry);
}

/*
 * Puts the table back. What it maps is ours, so what fails is done again. Afterwards
 * no TLB knows what was there before, be it zeros.
 */
static void hook_table(const struct xen_taken_table *table)
{
	if (try_to_hook(table, false))
		WARN_ON_ONCE(try_to_hook(table, true));
	flush_all_tlbs();
}

/* Makes it a table again. */
static void return_table(const struct xen_taken_table *table)
{
	WARN_ON_ONCE(protect_table(table->pfn, PAGE_KERNEL_RO, UVMF_NONE));
	hook_table(table);
}

/*
 * Takes the table of PTEs that maps @addr out of the linear mapping. When Xen still
 * has a reference to it, it can't become writable, and goes back: when another entry
 * leads to it, as to the tables of the kernel's image, or when Xen has not yet finished
 * to drop the one of the linear mapping.
 */
static bool take_table(struct xen_taken_table *table, unsigned long addr)
{
	table->pmd = pmd_off_k(addr);
	table->entry = READ_ONCE(*table->pmd);
	if (!pmd_present(table->entry) || pmd_leaf(table->entry) ||
	    xen_call_fails())
		return false;
	table->pfn = pmd_pfn(table->entry);
	if (set_pmd_entry(table, placeholder_entry()))
		return false;

	/* Those that Xen made are not pinned by themselves. */
	table->pinned = !pin_table(table->pfn, MMUEXT_UNPIN_TABLE);
	if (!xen_call_fails() &&
	    !protect_table(table->pfn, PAGE_KERNEL, UVMF_INVLPG))
		return true;

	hook_table(table);
	return false;
}

/* Takes the tables, where the pages have tables for themselves. */
static bool take_tables(const struct xen_pages *pages, struct xen_taken *taken)
{
	unsigned long addr = (unsigned long)__va(PFN_PHYS(pages->pfn));
	unsigned int nr = pages->nr / PTRS_PER_PTE;

	taken->nr = 0;
	if (pages->page || !IS_ALIGNED(pages->pfn | pages->nr, PTRS_PER_PTE) ||
	    nr > XEN_MAX_TABLES)
		return false;

	while (taken->nr < nr &&
	       take_table(&taken->table[taken->nr], addr + taken->nr * PMD_SIZE))
		taken->nr++;
	if (taken->nr == nr)
		return true;

	while (taken->nr)
		return_table(&taken->table[--taken->nr]);
	return false;
}

static void fill_table(const struct xen_taken_table *table,
		       const xen_pfn_t *frame, unsigned long first)
{
	pte_t *pte = __va(PFN_PHYS(table->pfn));
	unsigned int i;

	for (i = 0; i < PTRS_PER_PTE; i++)
		pte[i] = pte_of(frame, first, i);
}

/**
 * xen_unmap_pages() - take pages out of the linear mapping and the P2M
 * @pages:	the pages
 * @taken:	what xen_map_pages() has to know
 * @gfp:	whether to give way to others now and then
 *
 * Context: Any, when @gfp may not block.
 * Return: 0; else an error, and some of the pages may be gone. xen_map_pages() brings
 * them back in both cases.
 */
int xen_unmap_pages(const struct xen_pages *pages, struct xen_taken *taken,
		    gfp_t gfp)
{
	bool whole = take_tables(pages, taken);
	unsigned long from, i;

	for (from = 0; from < pages->nr; from += XEN_CHUNK_PAGES) {
		struct xen_pages chunk = xen_pages_chunk(pages, from);
		int rc = whole ? 0 : write_ptes(&chunk, NULL, INVALID_P2M_ENTRY,
						false);

		if (rc)
			return rc;
		for (i = 0; i < chunk.nr; i++)
			set_p2m(xen_pages_pfn(&chunk, i), INVALID_P2M_ENTRY);
		xen_give_way(gfp);
	}

	return 0;
}

/**
 * xen_map_pages() - give pages their frames
 * @pages:	the pages
 * @taken:	what xen_unmap_pages() left there
 * @frame:	the frame of each page, or NULL when the frames follow each other
 * @first:	then the first one
 * @gfp:	whether to give way to others now and then
 *
 * Writes P2M and linear mapping. The frames are ours, so what fails is done again.
 * Afterwards no TLB knows what was there before.
 *
 * Context: Any, when @gfp may not block.
 */
void xen_map_pages(const struct xen_pages *pages, const struct xen_taken *taken,
		   const xen_pfn_t *frame, unsigned long first, gfp_t gfp)
{
	unsigned long i;

	for (i = 0; i < pages->nr; i++)
		set_p2m(xen_pages_pfn(pages, i), frame ? frame[i] : first + i);

	for (i = 0; i < taken->nr; i++) {
		fill_table(&taken->table[i],
			   frame ? frame + i * PTRS_PER_PTE : NULL,
			   first + i * PTRS_PER_PTE);
		return_table(&taken->table[i]);
		xen_give_way(gfp);
	}
	if (taken->nr)
		return;

	if (write_all_ptes(pages, frame, first, gfp, false))
		WARN_ON_ONCE(write_all_ptes(pages, frame, first, gfp, true));
}

static int write_m2p(const struct xen_pages *pages, unsigned long first,
		     gfp_t gfp, bool must)
{
	struct mmu_update update[XEN_CHUNK_PAGES];
	unsigned long from, i;
	int rc;

	for (from = 0; from < pages->nr; from += XEN_CHUNK_PAGES) {
		struct xen_pages chunk = xen_pages_chunk(pages, from);

		for (i = 0; i < chunk.nr; i++) {
			update[i].ptr = PFN_PHYS((u64)first + from + i) |
					MMU_MACHPHYS_UPDATE;
			update[i].val = xen_pages_pfn(&chunk, i);
		}
		rc = update_mmu(update, chunk.nr, must);
		if (rc)
			return rc;
		xen_give_way(gfp);
	}

	return 0;
}

/**
 * xen_set_m2p() - tell Xen which page each frame of a run belongs to
 * @pages:	the pages
 * @first:	the first page's frame; the others' follow it
 * @gfp:	whether to give way to others now and then
 *
 * For Xen the pages behind an extent follow each other. This is for those that don't.
 *
 * Context: Any, when @gfp may not block.
 */
void xen_set_m2p(const struct xen_pages *pages, unsigned long first, gfp_t gfp)
{
	if (write_m2p(pages, first, gfp, false))
		WARN_ON_ONCE(write_m2p(pages, first, gfp, true));
}
