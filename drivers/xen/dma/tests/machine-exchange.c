// SPDX-License-Identifier: GPL-2.0
/*
 * What a domain's arch/x86/xen/mmu.c has, on the model of the machine. Each function is
 * documented there, and does the same here.
 */
#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>

#include "machine-model.h"

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

	if (!IS_ALIGNED(mfn, region->nr) ||
	    mfn + region->nr > machine_frames_below(address_bits) ||
	    !region_contiguous(region))
		return false;

	*dma_handle = PFN_PHYS(mfn);
	return true;
}

static void region_fill(const struct machine_region *region, unsigned long from,
			unsigned long nr, int byte)
{
	unsigned long i;

	for (i = from; i < from + nr; i++)
		memset(__va(PFN_PHYS(region_pfn(region, i))), byte, PAGE_SIZE);
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
	rc = machine_call_error();
	if (rc)
		goto out;

	mfn = machine_take_extent(order,
				  min(machine_frames_below(address_bits),
				      machine_frames_to_give()));
	if (mfn == INVALID_P2M_ENTRY) {
		rc = -ENOMEM;
		goto out;
	}

	for (i = 0; i < region->nr; i++) {
		unsigned long pfn = region_pfn(region, i);
		unsigned long old = xen_p2m_addr[pfn];

		WRITE_ONCE(machine_m2p[old], NO_PFN);
		machine_give_frames(old, 1);
		machine_set_frame(pfn, mfn + i);
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
	end = machine_frames_to_give();
	machine_count.give_calls++;
	rc = machine_call_error();
	for (i = 0; i < chunk->nr && !rc; i++) {
		unsigned long pfn = region_pfn(chunk, i);

		end = i < machine_step ? machine_take_extent(0, end) :
					 INVALID_P2M_ENTRY;
		if (end == INVALID_P2M_ENTRY) {
			rc = -ENOMEM;
			break;
		}
		old[i] = xen_p2m_addr[pfn];
		WRITE_ONCE(machine_m2p[old[i]], NO_PFN);
		machine_set_frame(pfn, end);
		*wider |= fls64(end) > fls64(old[i]);
	}
	/* The hypervisor has these last: they don't come back at once. */
	*done = i;
	while (i--)
		machine_give_frames(old[i], 1);
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
