// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: contiguous memory that came from the hypervisor, used or kept.
 *
 * A region that is freed is kept, by its order and by the width of its addresses,
 * and the next allocation of that order gets it for the price of clearing it. Low
 * memory is scarce, so a device gets no better memory than it needs as long as there
 * is any other.
 *
 * What is taken out of the cache, but not to be used, is nobody's: it is in no table.
 */
#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/hashtable.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include <asm/xen/page.h>

#include <xen/xen.h>

#include "addr.h"
#include "coherent.h"
#include "regions.h"

/* Memory within this width is even more scarce than low memory. */
#define XEN_NARROW_WIDTH	24

/* Regions are found by their bus addresses; log2 of the table's lists. */
#define XEN_REGION_HASH_BITS	12

/* After the hypervisor had only low memory to give: seconds until the next try. */
#define XEN_LOW_SECONDS		10

/*
 * All regions, be they in use or cached. A page has no room to point to its region:
 * drivers write to page->private of what they allocate here.
 */
static DEFINE_HASHTABLE(xen_regions, XEN_REGION_HASH_BITS);

/*
 * The cache: a list for each order and width, which lists are not empty, all
 * regions by age. The lock is for the table too; nothing is done under it that
 * takes long.
 */
static DEFINE_RAW_SPINLOCK(xen_cache_lock);
static struct hlist_head xen_cache[XEN_NR_ORDERS][XEN_ANY_WIDTH];
static u64 xen_cache_widths[XEN_NR_ORDERS];
static LIST_HEAD(xen_cache_age);
static unsigned long xen_cache_pages;

/* Under the lock too. */
static unsigned long xen_used_pages;
static unsigned long xen_hits;
static unsigned long xen_made;

/* Until when the hypervisor is taken to have low memory only. */
static unsigned long xen_low_until = INITIAL_JIFFIES;

static struct kmem_cache *xen_region_slab;

/* The region at a bus address, NULL for none. */
static struct xen_region *find_region(dma_addr_t bus)
{
	struct xen_region *region;

	lockdep_assert_held(&xen_cache_lock);

	hash_for_each_possible(xen_regions, region, hash, PFN_DOWN(bus))
		if (region->bus == bus)
			return region;
	return NULL;
}

/* Is that the region, by its first page or else by where the kernel sees it? */
static bool region_is(const struct xen_region *region,
		      const struct page *page, const void *vaddr)
{
	return page ? region->page == page : region->vaddr == vaddr;
}

static void cache_add(struct xen_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hlist_add_head(&region->bucket,
		       &xen_cache[region->order][region->width - 1]);
	WRITE_ONCE(xen_cache_widths[region->order],
		   xen_cache_widths[region->order] | BIT_ULL(region->width - 1));
	list_add_tail(&region->age, &xen_cache_age);
	WRITE_ONCE(xen_cache_pages, xen_cache_pages + xen_region_pages(region));
}

static void cache_del(struct xen_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hlist_del_init(&region->bucket);
	if (hlist_empty(&xen_cache[region->order][region->width - 1]))
		WRITE_ONCE(xen_cache_widths[region->order],
			   xen_cache_widths[region->order] &
			   ~BIT_ULL(region->width - 1));
	list_del(&region->age);
	WRITE_ONCE(xen_cache_pages, xen_cache_pages - xen_region_pages(region));
}

/* Takes a region out, to be nobody's. */
static void cache_forget(struct xen_region *region)
{
	cache_del(region);
	hash_del(&region->hash);
}

/* Takes a region out, to be used. */
static void cache_use(struct xen_region *region)
{
	cache_del(region);
	xen_used_pages += xen_region_pages(region);
	xen_hits++;
}

/* From which width on memory is not better than a device needs, and can get. */
static unsigned int lowest_width(unsigned int width)
{
	if (width > XEN_LOW_WIDTH &&
	    !time_before(jiffies, READ_ONCE(xen_low_until)))
		return XEN_LOW_WIDTH + 1;
	if (width > XEN_NARROW_WIDTH)
		return XEN_NARROW_WIDTH + 1;
	return 1;
}

/**
 * xen_region_take() - take a region that is kept
 * @order:	log2 of its pages
 * @width:	of addresses that the device reaches, in bits
 *
 * Of what is no better than the device needs the widest, and of these the one that
 * was freed last. It may not be mapped.
 *
 * Context: Any.
 * Return: The region, NULL for none.
 */
struct xen_region *xen_region_take(unsigned int order, unsigned int width)
{
	struct xen_region *region = NULL;
	unsigned long flags;
	u64 fit;

	if (!READ_ONCE(xen_cache_widths[order]))
		return NULL;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	fit = xen_cache_widths[order] &
	      GENMASK_ULL(width - 1, lowest_width(width) - 1);
	if (fit) {
		region = hlist_entry(xen_cache[order][fls64(fit) - 1].first,
				     struct xen_region, bucket);
		cache_use(region);
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

static struct xen_region *
first_within(const struct hlist_head *bucket, u64 limit, bool mapped)
{
	struct xen_region *region;

	hlist_for_each_entry(region, bucket, bucket)
		if (region->bus + (PAGE_SIZE << region->order) - 1 <= limit &&
		    (!mapped || region->vaddr))
			return region;
	return NULL;
}

/**
 * xen_region_take_any() - take better or more memory than is needed
 * @order:	log2 of its pages at least
 * @last_order:	the same at most
 * @limit:	highest bus address
 * @mapped:	the kernel has to see it already
 *
 * Context: Any.
 * Return: The region, NULL for none.
 */
struct xen_region *xen_region_take_any(unsigned int order,
				       unsigned int last_order, u64 limit,
				       bool mapped)
{
	struct xen_region *region = NULL;
	unsigned int width;
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	for (; order <= last_order && !region; order++)
		for (width = fls64(limit); width && !region; width--)
			region = first_within(&xen_cache[order][width - 1],
					      limit, mapped);
	if (region)
		cache_use(region);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/* Keeps a region that was used. */
static void cache_put(struct xen_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	region->kept_since = jiffies;
	cache_add(region);
	xen_used_pages -= xen_region_pages(region);
}

/**
 * xen_region_put() - keep a region that is used
 * @region:	region
 * @unused:	it could not be used after all
 *
 * Context: Any.
 */
void xen_region_put(struct xen_region *region, bool unused)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	cache_put(region);
	xen_hits -= unused;
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
}

/**
 * xen_region_take_oldest() - take the oldest region that is kept out of the cache
 * @limit:	pages that may stay
 *
 * It is nobody's then.
 *
 * Context: Any.
 * Return: The region, NULL when there are no more than @limit pages.
 */
struct xen_region *xen_region_take_oldest(unsigned long limit)
{
	struct xen_region *region = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	if (xen_cache_pages > limit) {
		region = list_first_entry(&xen_cache_age,
					  struct xen_region, age);
		cache_forget(region);
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/**
 * xen_region_take_within() - take any region within a width out of the cache
 * @width:	of the addresses, in bits
 *
 * It is nobody's then.
 *
 * Context: Any.
 * Return: The region, NULL for none.
 */
struct xen_region *xen_region_take_within(unsigned int width)
{
	struct xen_region *region = NULL;
	unsigned long flags;
	unsigned int order;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	for (order = 0; order < XEN_NR_ORDERS && !region; order++) {
		u64 fit = xen_cache_widths[order] & GENMASK_ULL(width - 1, 0);

		if (fit)
			region = hlist_entry(xen_cache[order][fls64(fit) - 1].first,
					     struct xen_region, bucket);
	}
	if (region)
		cache_forget(region);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/**
 * xen_region_take_aged() - take what has been kept for long out of the cache
 * @age:	jiffies
 *
 * It is nobody's then.
 *
 * Context: Any.
 * Return: The oldest region, NULL for none.
 */
struct xen_region *xen_region_take_aged(unsigned long age)
{
	struct xen_region *region;
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region = list_first_entry_or_null(&xen_cache_age,
					  struct xen_region, age);
	if (region && time_after_eq(jiffies, region->kept_since + age))
		cache_forget(region);
	else
		region = NULL;
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/* Are the region's frames not those that it was made of? */
static bool has_moved(const struct xen_region *region)
{
	unsigned long mfn = PFN_DOWN(region->bus), i;

	for (i = 0; i < xen_region_pages(region); i++) {
		struct page *page = region->pages ? region->pages[i] :
						    region->page + i;

		if (xen_pfn_to_mfn(page_to_pfn(page)) != mfn + i)
			return true;
	}
	return false;
}

/**
 * xen_region_take_moved() - take a region out of the cache that has other frames now
 *
 * It is nobody's then.
 *
 * Context: Any.
 * Return: The region, NULL for none.
 */
struct xen_region *xen_region_take_moved(void)
{
	struct xen_region *region, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	list_for_each_entry(region, &xen_cache_age, age) {
		if (!has_moved(region))
			continue;
		cache_forget(region);
		found = region;
		break;
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return found;
}

/**
 * xen_regions_mark_moved() - mark what is used and has other frames now
 *
 * It will not be kept when it is freed.
 *
 * Context: Any.
 * Return: Pages of these regions.
 */
unsigned long xen_regions_mark_moved(void)
{
	struct xen_region *region;
	unsigned long pages = 0, flags;
	unsigned int i;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	hash_for_each(xen_regions, i, region, hash) {
		if (!hlist_unhashed(&region->bucket) || !has_moved(region))
			continue;
		region->moved = true;
		region->exchanged = false;
		pages += xen_region_pages(region);
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return pages;
}

/**
 * xen_region_return() - keep a region that is nobody's
 * @region:	region
 *
 * Context: Any.
 */
void xen_region_return(struct xen_region *region)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	hash_add(xen_regions, &region->hash, PFN_DOWN(region->bus));
	region->kept_since = jiffies;
	cache_add(region);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
}

/* A region that is in use comes into being. */
static void region_add(struct xen_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hash_add(xen_regions, &region->hash, PFN_DOWN(region->bus));
	xen_used_pages += xen_region_pages(region);
}

/* It goes, for nobody can use it. */
static void region_del(struct xen_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hash_del(&region->hash);
	xen_used_pages -= xen_region_pages(region);
}

/**
 * xen_region_add() - note a region that is used
 * @made:	what it is like; its width is reckoned
 * @gfp:	how to allocate the note
 *
 * Context: As @gfp says.
 * Return: The region, NULL without memory.
 */
struct xen_region *xen_region_add(const struct xen_region *made, gfp_t gfp)
{
	struct xen_region *region;
	unsigned long flags;

	region = kmem_cache_alloc(xen_region_slab,
				  (gfp & ~(GFP_ZONEMASK | __GFP_ZERO)) |
				  __GFP_NOWARN);
	if (!region)
		return NULL;

	*region = *made;
	INIT_HLIST_NODE(&region->bucket);
	region->width = fls64(region->bus + (PAGE_SIZE << region->order) - 1);
	SetPageXenRemapped(region->page);
	if (region->exchanged && region->wanted > XEN_LOW_WIDTH &&
	    region->width <= XEN_LOW_WIDTH)
		WRITE_ONCE(xen_low_until, jiffies + XEN_LOW_SECONDS * HZ);
	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region_add(region);
	xen_made += region->exchanged;
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/**
 * xen_region_del() - a region that is used becomes nobody's
 * @region:	region
 *
 * Context: Any.
 */
void xen_region_del(struct xen_region *region)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region_del(region);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
}

/**
 * xen_region_discard() - free the note of a region that is nobody's
 * @region:	region
 *
 * Its memory is the caller's.
 *
 * Context: Any.
 */
void xen_region_discard(struct xen_region *region)
{
	kmem_cache_free(xen_region_slab, region);
}

/*
 * The driver names a region by a bus address that it does not have: looks for it by
 * the rest. Under the lock.
 */
static noinline struct xen_region *
search_region(const struct page *page, const void *vaddr)
{
	struct xen_region *region;
	unsigned int i;

	hash_for_each(xen_regions, i, region, hash)
		if (region_is(region, page, vaddr))
			break;
	return region;
}

/**
 * xen_region_end_use() - a region is freed
 * @page:	the first page, or NULL
 * @vaddr:	where the kernel sees it, looked at without @page
 * @bus:	bus address
 * @limit:	pages that are kept at most
 * @left:	where a region goes that was not kept; it is nobody's
 *
 * One block that nobody has a reference to is kept; to look at many takes long.
 *
 * Context: Any.
 * Return: 0; -EALREADY when it is free; -ENXIO when it does not lie at @bus, or
 * there is none. It is freed if it lies elsewhere.
 */
int xen_region_end_use(const struct page *page, const void *vaddr,
		       dma_addr_t bus, unsigned long limit,
		       struct xen_region **left)
{
	struct xen_region *region;
	unsigned long flags;
	int rc = 0;

	*left = NULL;
	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region = find_region(bus);
	if (unlikely(!region || !region_is(region, page, vaddr))) {
		region = search_region(page, vaddr);
		rc = -ENXIO;
	}
	if (unlikely(region && !hlist_unhashed(&region->bucket))) {
		region = NULL;
		rc = rc ?: -EALREADY;
	}
	if (likely(region && !region->pages && !region->moved &&
		   page_ref_count(region->page) == 1 &&
		   xen_region_pages(region) <= limit)) {
		cache_put(region);
	} else if (region) {
		region_del(region);
		*left = region;
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return rc;
}

/**
 * xen_region_find() - find the pages of a region
 * @page:	as for xen_region_free()
 * @vaddr:	as for xen_region_free()
 * @bus:	bus address
 * @nr:		pages that it has at least
 * @pages:	where they go, NULL when they are one block
 *
 * Context: Any.
 * Return: 0, or -ENXIO when there is no such region.
 */
int xen_region_find(const struct page *page, const void *vaddr, dma_addr_t bus,
		    unsigned long nr, struct page ***pages)
{
	struct xen_region *region;
	unsigned long flags;
	int ret = -ENXIO;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region = find_region(bus);
	if (region && region_is(region, page, vaddr) &&
	    nr <= xen_region_pages(region)) {
		*pages = region->pages;
		ret = 0;
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return ret;
}

/**
 * xen_regions_kept() - how much is kept
 *
 * Context: Any.
 * Return: Pages.
 */
unsigned long xen_regions_kept(void)
{
	return READ_ONCE(xen_cache_pages);
}

/**
 * xen_regions_usage() - what there is, and has been
 * @usage:	where it goes: @cached, @used, @hits, @made
 *
 * Context: Any.
 */
void xen_regions_usage(struct xen_coherent_usage *usage)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	usage->cached = (u64)xen_cache_pages << PAGE_SHIFT;
	usage->used = (u64)xen_used_pages << PAGE_SHIFT;
	usage->hits = xen_hits;
	usage->made = xen_made;
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
}

/* Before any device has a driver. */
static int __init xen_regions_init(void)
{
	if (xen_pv_domain() || IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST))
		xen_region_slab = KMEM_CACHE(xen_region, SLAB_PANIC);
	return 0;
}
core_initcall(xen_regions_init);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
void xen_regions_forget_low(void)
{
	WRITE_ONCE(xen_low_until, jiffies);
}
#endif
