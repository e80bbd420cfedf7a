// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory of x86 PV domains.
 *
 * A device and the CPU share this memory for as long as it is allocated, so it
 * can't be bounced: it has to be where the device reaches, and contiguous in the
 * machine. Pages that are so by chance are used as they are, and are ordinary
 * pages again when they are freed. Others become a region: they are exchanged with
 * the hypervisor for one extent, which is dear. What is larger than the page
 * allocator's largest block is made of pages from anywhere and mapped anew for
 * the kernel; for the bus it is one extent all the same.
 *
 * A region that is freed is kept, by its order and by the width of its addresses,
 * and the next allocation of that order gets it for the price of clearing it. The
 * cache is bounded. What exceeds the bound is given back by a worker, the oldest
 * first, and so is what nobody has used for long; under memory pressure a shrinker
 * gives back all of it. So freeing neither sleeps nor calls the hypervisor. Low memory
 * is scarce, so a device gets no better memory than it needs as long as there is any
 * other.
 *
 * Pages that somebody still has a reference to are neither kept nor exchanged again:
 * they go to the page allocator, which waits for the last reference.
 */
#define pr_fmt(fmt) "xen_swiotlb: " fmt

#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/hashtable.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/ratelimit.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/shrinker.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "addr.h"
#include "compat.h"
#include "coherent.h"
#include "params.h"

/* 4 GiB at most; what Xen gives a domain in one extent is less by default. */
#define XEN_NR_ORDERS		21

/* Memory within these widths is scarce; that within the first even more so. */
#define XEN_NARROW_WIDTH	24
#define XEN_LOW_WIDTH		32
#define XEN_ANY_WIDTH		64

/* The default bound is this share of the domain's memory. */
#define XEN_CACHE_SHARE		32

/* After the hypervisor had nothing better to give: seconds without a new try. */
#define XEN_KEEP_SECONDS	10

/* Bytes that are cleared between two chances for others to run. */
#define XEN_CLEAR_STEP		SZ_8M

/* Regions are found by their bus addresses; log2 of the table's lists. */
#define XEN_REGION_HASH_BITS	12

/**
 * struct xen_coherent_region - exchanged, contiguous memory
 * @hash:	in the table of all
 * @bucket:	cached: in the list of its order and width
 * @age:	cached: in the list of all, the oldest first
 * @pages:	each page when there is more than one block of the page allocator's,
 *		else NULL
 * @page:	the first page
 * @vaddr:	where the kernel sees it, NULL for nowhere
 * @bus:	bus address of the first byte
 * @kept_since:	cached: when it was freed, in jiffies
 * @order:	log2 of its pages
 * @width:	of the last byte's bus address, in bits
 * @exchanged:	its frames came from the hypervisor
 * @linear:	its pages follow each other for the kernel
 */
struct xen_coherent_region {
	struct hlist_node hash;
	struct hlist_node bucket;
	struct list_head age;
	struct page **pages;
	struct page *page;
	void *vaddr;
	dma_addr_t bus;
	unsigned long kept_since;
	u8 order;
	u8 width;
	bool exchanged;
	bool linear;
};

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

/* Regions that wait for the worker to dissolve them; under the same lock. */
static LIST_HEAD(xen_doomed);

/* Under the lock too, but for the counters of what takes long. */
static unsigned long xen_used_pages;
static unsigned long xen_hits;
static atomic_long_t xen_made;
static atomic_long_t xen_returned;
static atomic_long_t xen_kept;
static atomic_long_t xen_failed;

/* Until when it is not worth giving back memory of this width and above. */
static unsigned long xen_keep_until = INITIAL_JIFFIES;
static unsigned int xen_keep_width;

/* Until when the hypervisor is taken to have low memory only. */
static unsigned long xen_low_until = INITIAL_JIFFIES;

/*
 * Until when giving back what is kept is taken not to help, for so many pages, or more,
 * within this width.
 */
static unsigned long xen_hopeless_until = INITIAL_JIFFIES;
static unsigned int xen_hopeless_order;
static unsigned int xen_hopeless_width;

/* The smallest order that the hypervisor refuses on principle, and until when. */
static unsigned long xen_refused_until = INITIAL_JIFFIES;
static unsigned int xen_refused_order;

static struct kmem_cache *xen_region_slab;

/* It takes long, and needs no memory. */
static struct workqueue_struct *xen_trim_wq;
static void xen_trim(struct work_struct *work);
static DECLARE_WORK(xen_trim_work, xen_trim);
static void xen_age_out(struct work_struct *work);
static DECLARE_DELAYED_WORK(xen_age_work, xen_age_out);

static unsigned long region_pages(const struct xen_coherent_region *region)
{
	return 1UL << region->order;
}

/* The region at a bus address, NULL for none. */
static struct xen_coherent_region *find_region(dma_addr_t bus)
{
	struct xen_coherent_region *region;

	lockdep_assert_held(&xen_cache_lock);

	hash_for_each_possible(xen_regions, region, hash, PFN_DOWN(bus))
		if (region->bus == bus)
			return region;
	return NULL;
}

/* The first page of linear memory, or of what @vaddr is a cookie for, else NULL. */
static struct page *page_of(void *vaddr, unsigned long attrs)
{
	if (attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		return vaddr;

	return likely(!is_vmalloc_addr(vaddr)) ? virt_to_page(vaddr) : NULL;
}

/* Is that the region, by its first page or else by where the kernel sees it? */
static bool region_is(const struct xen_coherent_region *region,
		      const struct page *page, const void *vaddr)
{
	return page ? region->page == page : region->vaddr == vaddr;
}

/* Pages that the cache may hold. */
static unsigned long cache_limit(void)
{
	return xen_coherent_cache == ULONG_MAX ?
	       totalram_pages() / XEN_CACHE_SHARE :
	       xen_coherent_cache >> PAGE_SHIFT;
}

/* How long it may hold what nobody uses; jiffies. */
static unsigned long age_limit(void)
{
	return max(READ_ONCE(xen_pool_idle), 1U) * HZ;
}

/* The cache. */

static void cache_add(struct xen_coherent_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hlist_add_head(&region->bucket,
		       &xen_cache[region->order][region->width - 1]);
	WRITE_ONCE(xen_cache_widths[region->order],
		   xen_cache_widths[region->order] | BIT_ULL(region->width - 1));
	list_add_tail(&region->age, &xen_cache_age);
	WRITE_ONCE(xen_cache_pages, xen_cache_pages + region_pages(region));
}

static void cache_del(struct xen_coherent_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hlist_del_init(&region->bucket);
	if (hlist_empty(&xen_cache[region->order][region->width - 1]))
		WRITE_ONCE(xen_cache_widths[region->order],
			   xen_cache_widths[region->order] &
			   ~BIT_ULL(region->width - 1));
	list_del(&region->age);
	WRITE_ONCE(xen_cache_pages, xen_cache_pages - region_pages(region));
}

/* Takes a region out, to be used. */
static void cache_use(struct xen_coherent_region *region)
{
	cache_del(region);
	xen_used_pages += region_pages(region);
	xen_hits++;
}

/*
 * Takes a region whose width is from @lowest to @highest: the widest, and of these
 * the one that was freed last.
 */
static struct xen_coherent_region *
cache_take(unsigned int order, unsigned int lowest, unsigned int highest)
{
	u64 fit = GENMASK_ULL(highest - 1, lowest - 1);
	struct xen_coherent_region *region = NULL;
	unsigned long flags;

	if (!READ_ONCE(xen_cache_widths[order]))
		return NULL;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	fit &= xen_cache_widths[order];
	if (fit) {
		region = hlist_entry(xen_cache[order][fls64(fit) - 1].first,
				     struct xen_coherent_region, bucket);
		cache_use(region);
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

static struct xen_coherent_region *
first_within(const struct hlist_head *bucket, u64 limit, bool mapped)
{
	struct xen_coherent_region *region;

	hlist_for_each_entry(region, bucket, bucket)
		if (region->bus + (PAGE_SIZE << region->order) - 1 <= limit &&
		    (!mapped || region->vaddr))
			return region;
	return NULL;
}

/*
 * Takes any region whose last bus address is at most @limit: better or more memory
 * than needed, up to @last_order. With @mapped the kernel has to see it already.
 */
static struct xen_coherent_region *
cache_take_any(unsigned int order, unsigned int last_order, u64 limit,
	       bool mapped)
{
	struct xen_coherent_region *region = NULL;
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

/* Keeps a region that is freed. */
static void cache_put(struct xen_coherent_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	region->kept_since = jiffies;
	cache_add(region);
	xen_used_pages -= region_pages(region);
	queue_delayed_work(xen_trim_wq, &xen_age_work, age_limit());
	if (xen_cache_pages > cache_limit())
		queue_work(xen_trim_wq, &xen_trim_work);
}

/* Takes the oldest region out while there are more than @limit pages. */
static struct xen_coherent_region *cache_take_oldest(unsigned long limit)
{
	struct xen_coherent_region *region = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	if (xen_cache_pages > limit) {
		region = list_first_entry(&xen_cache_age,
					  struct xen_coherent_region, age);
		cache_del(region);
		hash_del(&region->hash);
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/* Takes a region out whose addresses are within a width. */
static struct xen_coherent_region *cache_take_within(unsigned int width)
{
	struct xen_coherent_region *region = NULL;
	unsigned long flags;
	unsigned int order;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	for (order = 0; order < XEN_NR_ORDERS && !region; order++) {
		u64 fit = xen_cache_widths[order] & GENMASK_ULL(width - 1, 0);

		if (fit)
			region = hlist_entry(xen_cache[order][fls64(fit) - 1].first,
					     struct xen_coherent_region, bucket);
	}
	if (region) {
		cache_del(region);
		hash_del(&region->hash);
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/* Takes the oldest region out if it has been kept for so long, in jiffies. */
static struct xen_coherent_region *cache_take_aged(unsigned long age)
{
	struct xen_coherent_region *region;
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region = list_first_entry_or_null(&xen_cache_age,
					  struct xen_coherent_region, age);
	if (region && time_after_eq(jiffies, region->kept_since + age)) {
		cache_del(region);
		hash_del(&region->hash);
	} else {
		region = NULL;
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return region;
}

/* Puts a region back that has been taken out to be dissolved. */
static void cache_return(struct xen_coherent_region *region)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	hash_add(xen_regions, &region->hash, PFN_DOWN(region->bus));
	region->kept_since = jiffies;
	cache_add(region);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
}

/* A region that is in use comes into being. */
static void region_add(struct xen_coherent_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hash_add(xen_regions, &region->hash, PFN_DOWN(region->bus));
	xen_used_pages += region_pages(region);
}

/* It goes, for nobody can use it. */
static void region_del(struct xen_coherent_region *region)
{
	lockdep_assert_held(&xen_cache_lock);

	hash_del(&region->hash);
	xen_used_pages -= region_pages(region);
}

/* Pages and frames. */

static int exchange(struct page *page, struct page **pages, unsigned int order,
		    unsigned int width, gfp_t gfp, dma_addr_t *bus)
{
	if (pages)
		return xen_make_pages_contiguous(pages, order, width, gfp, bus);

	return xen_make_contiguous(page_to_phys(page), order, width, gfp, bus);
}

static int give_back(struct page *page, struct page **pages,
		     unsigned int order, gfp_t gfp)
{
	if (pages)
		return xen_give_back_pages(pages, order, gfp);

	return xen_give_back_contiguous(page_to_phys(page), order, gfp);
}

static void free_page_array(struct page **pages, unsigned long nr)
{
	while (nr)
		__free_page(pages[--nr]);
	kvfree(pages);
}

static void free_memory(struct page *page, struct page **pages,
			unsigned int order)
{
	if (pages)
		free_page_array(pages, 1UL << order);
	else
		__free_pages(page, order);
}

/* What the hypervisor would not give better memory for is kept for a while. */
static bool keeps_memory(unsigned int width)
{
	return width >= READ_ONCE(xen_keep_width) &&
	       time_before(jiffies, READ_ONCE(xen_keep_until));
}

/* Has somebody else a reference? A block counts them in its first page. */
static bool is_referenced(const struct xen_coherent_region *region)
{
	unsigned long nr = region->pages ? region_pages(region) : 0, i;

	if (!nr)
		return page_ref_count(region->page) != 1;
	for (i = 0; i < nr; i++)
		if (page_ref_count(region->pages[i]) != 1)
			return true;
	return false;
}

static void unmap_region(struct xen_coherent_region *region)
{
	if (region->linear)
		return;
	vunmap(region->vaddr);
	region->vaddr = NULL;
}

/* The hypervisor wants low memory back; what lies higher can as well stay. */
static bool is_wanted_back(const struct xen_coherent_region *region)
{
	return region->exchanged && region->width <= XEN_LOW_WIDTH;
}

/*
 * Exchanges a region that nobody can find any more for memory from anywhere, unless
 * somebody has a reference to it. Who waits for this may be short of memory.
 */
static bool return_region(struct xen_coherent_region *region)
{
	if (keeps_memory(region->width) || is_referenced(region))
		return false;

	unmap_region(region);
	if (give_back(region->page, region->pages, region->order, GFP_NOIO)) {
		WRITE_ONCE(xen_keep_width, region->width);
		WRITE_ONCE(xen_keep_until, jiffies + XEN_KEEP_SECONDS * HZ);
		return false;
	}

	region->exchanged = false;
	WRITE_ONCE(xen_hopeless_until, jiffies);
	atomic_long_inc(&xen_returned);
	return true;
}

/* Gives such a region back, to the hypervisor what it wants, and to the kernel. */
static void dissolve_region(struct xen_coherent_region *region)
{
	if (is_wanted_back(region) && !return_region(region))
		atomic_long_inc(&xen_kept);

	unmap_region(region);
	ClearPageXenRemapped(region->page);
	free_memory(region->page, region->pages, region->order);
	kmem_cache_free(xen_region_slab, region);
}

/* Releases the oldest regions down to @limit pages. Returns the pages. */
static unsigned long trim_to(unsigned long limit)
{
	struct xen_coherent_region *region;
	unsigned long freed = 0;

	while ((region = cache_take_oldest(limit))) {
		freed += region_pages(region);
		dissolve_region(region);
		cond_resched();
	}

	return freed;
}

static void release_doomed(void)
{
	struct xen_coherent_region *region, *next;
	unsigned long flags;
	LIST_HEAD(doomed);

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	list_splice_init(&xen_doomed, &doomed);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	list_for_each_entry_safe(region, next, &doomed, age)
		dissolve_region(region);
}

static void xen_trim(struct work_struct *work)
{
	release_doomed();
	trim_to(cache_limit());
}

/*
 * What nobody has used for long goes, so that others find low memory. What Xen does not
 * take stays, for it would be lost to them, and so does the rest for now.
 */
static void age_out(unsigned long age)
{
	struct xen_coherent_region *region;

	while ((region = cache_take_aged(age))) {
		if (is_wanted_back(region) && !return_region(region)) {
			cache_return(region);
			break;
		}
		dissolve_region(region);
		cond_resched();
	}
}

static void xen_age_out(struct work_struct *work)
{
	age_out(age_limit());
	if (READ_ONCE(xen_cache_pages))
		queue_delayed_work(xen_trim_wq, &xen_age_work, age_limit());
}

/* Gives back all within a width, and waits for what others give back. */
static bool reclaim_regions(unsigned int width)
{
	struct xen_coherent_region *region;
	bool any = false;

	while ((region = cache_take_within(width))) {
		dissolve_region(region);
		any = true;
		cond_resched();
	}

	any |= flush_work(&xen_trim_work);
	any |= flush_work(&xen_age_work.work);
	return any;
}

/* Frees a region that is in use; what is not to be kept the worker dissolves. */
static void free_region(struct xen_coherent_region *region, bool keep)
{
	lockdep_assert_held(&xen_cache_lock);

	if (likely(keep && region_pages(region) <= cache_limit())) {
		cache_put(region);
		return;
	}

	region_del(region);
	WRITE_ONCE(xen_hopeless_until, jiffies);
	list_add_tail(&region->age, &xen_doomed);
	queue_work(xen_trim_wq, &xen_trim_work);
}

/* The same for many pages: to look at each takes long, so nobody finds it meanwhile. */
static void free_large(struct xen_coherent_region *region)
{
	bool keep = !region->linear && !is_referenced(region);
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region_add(region);
	free_region(region, keep);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
}

/* Shrinking under memory pressure. */

static unsigned long count_pages(void)
{
	return READ_ONCE(xen_cache_pages);
}

static unsigned long shrink_pages(unsigned long nr)
{
	unsigned long pages = count_pages();

	return trim_to(pages > nr ? pages - nr : 0);
}

static unsigned long xen_shrinker_count(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	return count_pages() ?: SHRINK_EMPTY;
}

static unsigned long xen_shrinker_scan(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	unsigned long freed = shrink_pages(sc->nr_to_scan);

	/* A region may be many times as much as was asked for. */
	sc->nr_scanned = max(freed, sc->nr_to_scan);
	return freed ?: SHRINK_STOP;
}

/* Before any device has a driver. */
static int __init xen_coherent_init(void)
{
	if (!xen_pv_domain() && !IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST))
		return 0;

	xen_region_slab = KMEM_CACHE(xen_coherent_region, SLAB_PANIC);
	xen_trim_wq = alloc_workqueue("xen-coherent",
				      WQ_UNBOUND | WQ_MEM_RECLAIM, 0) ?:
		      system_long_wq;
	return xen_register_shrinker(xen_shrinker_count, xen_shrinker_scan,
				     "xen-coherent");
}
core_initcall(xen_coherent_init);

/* Making regions. */

/**
 * struct xen_coherent_request - what is wanted, and what there is
 * @dev:	device that shares the memory
 * @size:	bytes
 * @order:	log2 of the pages
 * @limit:	highest bus address that the device reaches
 * @width:	of addresses that are all below @limit, in bits
 * @gfp:	allocation flags
 * @attrs:	of the allocation
 * @linear:	the pages have to follow each other for the kernel
 * @page:	the first page of the memory, NULL for none
 * @pages:	each page of it, NULL when they follow each other
 * @vaddr:	where the kernel sees it, NULL for nowhere
 * @bus:	its bus address
 * @error:	why it failed
 * @largest:	what the hypervisor has instead; bytes, 0 for unknown
 * @search:	look for @largest when the hypervisor has too little
 */
struct xen_coherent_request {
	struct device *dev;
	size_t size;
	unsigned int order;
	u64 limit;
	unsigned int width;
	gfp_t gfp;
	unsigned long attrs;
	bool linear;
	struct page *page;
	struct page **pages;
	void *vaddr;
	dma_addr_t bus;
	int error;
	size_t largest;
	bool search;
};

static bool may_sleep(const struct xen_coherent_request *req)
{
	return gfpflags_allow_blocking(req->gfp);
}

/*
 * The largest extent that the hypervisor has within a width, for the
 * administrator to know. It does not tell a domain, so one is taken and given back.
 */
static size_t largest_extent(struct page *page, struct page **pages,
			     unsigned int order, unsigned int width, gfp_t gfp)
{
	dma_addr_t bus;

	while (order--) {
		int rc = exchange(page, pages, order, width, gfp, &bus);

		if (!rc)
			give_back(page, pages, order, gfp);
		if (rc >= 0)
			return PAGE_SIZE << order;
	}

	return 0;
}

/* Answers a request with a region. */
static bool set_region(struct xen_coherent_request *req,
		       const struct xen_coherent_region *region)
{
	req->page = region->page;
	req->pages = region->linear ? NULL : region->pages;
	req->vaddr = region->vaddr;
	req->bus = region->bus;
	return true;
}

/* Makes a region of contiguous memory; frames that were exchanged are noted. */
static struct xen_coherent_region *
make_region(struct xen_coherent_request *req, struct page *page,
	    struct page **pages, dma_addr_t bus, bool exchanged)
{
	struct xen_coherent_region *region;
	unsigned long flags;

	region = kmem_cache_alloc(xen_region_slab,
				  (req->gfp & ~(GFP_ZONEMASK | __GFP_ZERO)) |
				  __GFP_NOWARN);
	if (!region) {
		req->error = -ENOBUFS;
		return NULL;
	}

	INIT_HLIST_NODE(&region->bucket);
	region->pages = pages;
	region->page = page;
	region->bus = bus;
	region->order = req->order;
	region->width = fls64(bus + (PAGE_SIZE << req->order) - 1);
	region->exchanged = exchanged;
	region->linear = req->linear || !pages;
	region->vaddr = region->linear ? page_address(page) : NULL;
	SetPageXenRemapped(page);
	if (exchanged && req->width > XEN_LOW_WIDTH &&
	    region->width <= XEN_LOW_WIDTH)
		WRITE_ONCE(xen_low_until, jiffies + XEN_KEEP_SECONDS * HZ);
	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region_add(region);
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
	if (exchanged)
		atomic_long_inc(&xen_made);

	return region;
}

/*
 * Makes memory contiguous, where it is not, and a region, where it has to be one:
 * *@region is NULL for a block that suits as it is. Fails with @req->error.
 */
static bool make_contiguous(struct xen_coherent_request *req,
			    struct page *page, struct page **pages,
			    struct xen_coherent_region **region)
{
	int rc = exchange(page, pages, req->order, req->width, req->gfp,
			  &req->bus);

	*region = NULL;
	/* Its option memop-max-order says it; a single page has other reasons. */
	if (rc == -EPERM && req->order) {
		WRITE_ONCE(xen_refused_order, req->order);
		WRITE_ONCE(xen_refused_until, jiffies + XEN_KEEP_SECONDS * HZ);
	}
	if (rc == -ENOMEM && req->search)
		req->largest = largest_extent(page, pages, req->order,
					      req->width, req->gfp);
	if (rc < 0) {
		req->error = rc;
		return false;
	}
	if (rc && !pages)
		return true;

	*region = make_region(req, page, pages, req->bus, !rc);
	if (!*region && !rc)
		give_back(page, pages, req->order, req->gfp);
	return *region;
}

/* A page flag marks regions, and it is not for compound pages. */
static inline struct page *alloc_block(struct device *dev, gfp_t gfp,
				       unsigned int order)
{
	return alloc_pages_node(dev_to_node(dev),
				(gfp & ~(__GFP_ZERO | __GFP_COMP)) |
				__GFP_NOWARN, order);
}

/* One block of the page allocator's, be it a region afterwards or not. */
static bool make_block(struct xen_coherent_request *req)
{
	struct page *page = alloc_block(req->dev, req->gfp, req->order);
	struct xen_coherent_region *region;

	if (!page) {
		req->error = -ENOBUFS;
		return false;
	}
	if (!make_contiguous(req, page, NULL, &region)) {
		__free_pages(page, req->order);
		return false;
	}

	req->page = page;
	req->pages = NULL;
	req->vaddr = page_address(page);
	return true;
}

/* Fills @pages with pages from anywhere, in blocks as large as there are. */
static bool fill_page_array(struct xen_coherent_request *req,
			    struct page **pages, unsigned long nr)
{
	gfp_t gfp = req->gfp & ~(__GFP_RETRY_MAYFAIL | __GFP_NOFAIL);
	gfp_t try = gfp & __GFP_NORETRY ?: __GFP_RETRY_MAYFAIL;
	unsigned int order = req->attrs & DMA_ATTR_ALLOC_SINGLE_PAGES ?
			     0 : MAX_PAGE_ORDER;
	unsigned long done = 0, i;

	while (done < nr) {
		/* It had better fail than have the kernel kill for it. */
		struct page *page = alloc_block(req->dev, gfp |
						(order ? __GFP_NORETRY : try),
						order);

		if (!page && !order)
			break;
		if (!page) {
			order--;
			continue;
		}
		split_page(page, order);
		for (i = 0; i < 1UL << order; i++)
			pages[done++] = page + i;
		cond_resched();
	}
	if (done == nr)
		return true;

	while (done)
		__free_page(pages[--done]);
	return false;
}

/* The same with pages that follow each other for the kernel. */
static bool fill_contiguous(struct xen_coherent_request *req,
			    struct page **pages, unsigned long nr)
{
	struct page *page = xen_alloc_contig_pages(nr, GFP_KERNEL | __GFP_NOWARN,
						   dev_to_node(req->dev));
	unsigned long i;

	for (i = 0; page && i < nr; i++)
		pages[i] = page + i;
	return page;
}

static struct page **alloc_page_array(struct xen_coherent_request *req)
{
	unsigned long nr = 1UL << req->order;
	struct page **pages;

	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL | __GFP_NOWARN);
	if (!pages)
		return NULL;
	if (req->linear ? fill_contiguous(req, pages, nr) :
			  fill_page_array(req, pages, nr))
		return pages;

	kvfree(pages);
	return NULL;
}

/* Sees to it that the kernel sees the memory, if it is to. */
static bool map_region(const struct xen_coherent_request *req,
		       struct xen_coherent_region *region)
{
	if (region->vaddr || (req->attrs & DMA_ATTR_NO_KERNEL_MAPPING))
		return true;
	if (!may_sleep(req))
		return false;

	region->vaddr = vmap(region->pages, region_pages(region), VM_MAP,
			     PAGE_KERNEL);
	return region->vaddr;
}

/* More than one block of the page allocator's. */
static bool make_large(struct xen_coherent_request *req)
{
	struct xen_coherent_region *region;
	struct page **pages;
	unsigned long flags;

	req->error = -EWOULDBLOCK;
	if (!may_sleep(req))
		return false;
	req->error = -ENOBUFS;
	if (1UL << req->order > totalram_pages())
		return false;
	pages = alloc_page_array(req);
	if (!pages)
		return false;

	if (!make_contiguous(req, pages[0], pages, &region)) {
		free_page_array(pages, 1UL << req->order);
		return false;
	}
	if (!map_region(req, region)) {
		req->error = -ENOBUFS;
		raw_spin_lock_irqsave(&xen_cache_lock, flags);
		region_del(region);
		raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
		dissolve_region(region);
		return false;
	}

	return set_region(req, region);
}

static bool make_memory(struct xen_coherent_request *req)
{
	req->error = -EPERM;
	if (req->order >= READ_ONCE(xen_refused_order) &&
	    time_before(jiffies, READ_ONCE(xen_refused_until)))
		return false;

	return req->order > MAX_PAGE_ORDER ? make_large(req) : make_block(req);
}

/* Allocations. */

static void report_failure(const struct xen_coherent_request *req)
{
	const char *why;

	switch (req->error) {
	case -ENOMEM:
		why = "Xen has no such piece there; leave it more with dom0_mem= or dma_bits=";
		if (!req->search)
			break;
		dev_err(req->dev,
			"xen_swiotlb: no %zu bytes of coherent memory below mask %#llx: the largest piece that Xen has there is %zu bytes; leave it more with dom0_mem= or dma_bits=\n",
			req->size, req->limit, req->largest);
		return;
	case -EPERM:
		why = "larger than Xen allows, see its option memop-max-order=";
		break;
	case -E2BIG:
		why = "more than can be had in one piece";
		break;
	case -ENOBUFS:
		why = "the domain has too little free memory";
		break;
	case -EWOULDBLOCK:
		why = "too large for a caller that must not sleep";
		break;
	default:
		why = "the hypervisor refused the exchange";
		break;
	}

	dev_err(req->dev,
		"xen_swiotlb: no %zu bytes of coherent memory below mask %#llx: %s (%d)\n",
		req->size, req->limit, why, req->error);
}

/* From which width on cached memory is not better than a device needs, and can get. */
static unsigned int lowest_width(unsigned int width)
{
	if (width > XEN_LOW_WIDTH &&
	    !time_before(jiffies, READ_ONCE(xen_low_until)))
		return XEN_LOW_WIDTH + 1;
	if (width > XEN_NARROW_WIDTH)
		return XEN_NARROW_WIDTH + 1;
	return 1;
}

/* A cached region that is to be used: mapped if need be, else it stays there. */
static bool use_region(struct xen_coherent_request *req,
		       struct xen_coherent_region *region)
{
	unsigned long flags;

	if (!region)
		return false;
	if (map_region(req, region))
		return set_region(req, region);

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	cache_put(region);
	xen_hits--;
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);
	return false;
}

/* The largest order of which the cache has what is wanted. */
static unsigned int last_order(bool linear)
{
	return linear ? MAX_PAGE_ORDER : XEN_NR_ORDERS - 1;
}

static noinline void clear_large(const struct xen_coherent_request *req,
				 size_t size)
{
	size_t done, n;

	for (done = 0; done < size; done += n) {
		if (done && may_sleep(req))
			cond_resched();
		if (req->vaddr) {
			n = min_t(size_t, size - done, XEN_CLEAR_STEP);
			memset(req->vaddr + done, 0, n);
		} else {
			n = PAGE_SIZE;
			clear_page(page_address(req->pages[done >>
							   PAGE_SHIFT]));
		}
	}
}

static inline void clear_memory(const struct xen_coherent_request *req)
{
	size_t size = PAGE_ALIGN(req->size);

	if (likely(req->vaddr && size <= XEN_CLEAR_STEP))
		memset(req->vaddr, 0, size);
	else
		clear_large(req, size);
}

/* Has it been in vain, not long ago, to give back what is kept? */
static bool is_hopeless(const struct xen_coherent_request *req)
{
	return time_before(jiffies, READ_ONCE(xen_hopeless_until)) &&
	       req->order >= READ_ONCE(xen_hopeless_order) &&
	       req->width <= READ_ONCE(xen_hopeless_width);
}

/*
 * What is kept in other sizes, or on its way back, may be what lacks: what is within the
 * width for the hypervisor, anything for the domain.
 */
static bool make_of_others(struct xen_coherent_request *req)
{
	unsigned int width = req->error == -ENOMEM ? req->width : XEN_ANY_WIDTH;

	if ((req->error != -ENOMEM && req->error != -ENOBUFS) ||
	    !may_sleep(req) || req->gfp & __GFP_NORETRY || is_hopeless(req) ||
	    !reclaim_regions(width))
		return false;
	if (make_memory(req))
		return true;

	WRITE_ONCE(xen_hopeless_order, req->order);
	WRITE_ONCE(xen_hopeless_width, req->width);
	WRITE_ONCE(xen_hopeless_until, jiffies + XEN_KEEP_SECONDS * HZ);
	return false;
}

/* The hypervisor, and what else there is. */
static bool find_memory(struct xen_coherent_request *req)
{
	bool mapped = !may_sleep(req) &&
		      !(req->attrs & DMA_ATTR_NO_KERNEL_MAPPING);

	return make_memory(req) ||
	       use_region(req, cache_take_any(req->order,
					      last_order(req->linear),
					      req->limit, mapped)) ||
	       make_of_others(req);
}

/* May the failure be told? */
static bool is_reported(const struct xen_coherent_request *req)
{
	static DEFINE_RATELIMIT_STATE(failures, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return !(req->gfp & __GFP_NOWARN) && !(req->attrs & DMA_ATTR_NO_WARN) &&
	       __ratelimit(&failures);
}

/* There is nothing to be had at once, or @region, which the kernel does not see. */
static bool alloc_in_scope(struct xen_coherent_request *req,
			   struct xen_coherent_region *region)
{
	if (use_region(req, region))
		return true;
	if (!req->width)
		return false;

	req->error = -E2BIG;
	if (req->order < XEN_NR_ORDERS && find_memory(req))
		return true;

	if (is_reported(req)) {
		req->search = req->error == -ENOMEM && may_sleep(req);
		if (req->search && make_memory(req))
			return true;
		report_failure(req);
	}

	atomic_long_inc(&xen_failed);
	return false;
}

/* The same; page tables come as the scope says, not as the flags do. */
static noinline bool alloc_slow(struct xen_coherent_request *req,
				struct xen_coherent_region *region)
{
	unsigned int flags;
	bool made;

	if (!may_sleep(req) || (req->gfp & GFP_KERNEL) == GFP_KERNEL)
		return alloc_in_scope(req, region);

	flags = memalloc_noio_save();
	made = alloc_in_scope(req, region);
	memalloc_noio_restore(flags);

	return made;
}

/* Any page will do for a device that reaches far enough. */
static inline bool alloc_plain(struct xen_coherent_request *req)
{
	struct page *page = alloc_block(req->dev, req->gfp, 0);

	if (unlikely(!page))
		return false;

	req->bus = PFN_PHYS((dma_addr_t)xen_pfn_to_mfn(page_to_pfn(page)));
	if (unlikely(fls64(req->bus + PAGE_SIZE - 1) > req->width)) {
		__free_page(page);
		return false;
	}

	req->page = page;
	req->vaddr = page_address(page);
	return true;
}

/* Allocates cleared pages that the device reaches: @req->page or, mapped, vaddr. */
static __always_inline bool alloc_reachable(struct xen_coherent_request *req)
{
	struct device *dev = req->dev;
	struct xen_coherent_region *region = NULL;

	req->order = get_order(req->size);
	req->limit = xen_bus_limit(dev, dev->coherent_dma_mask);
	req->width = xen_limit_bits(req->limit);

	if (!req->order && req->width > XEN_LOW_WIDTH && alloc_plain(req)) {
		clear_memory(req);
		return true;
	}

	if (likely(req->order <= last_order(req->linear) && req->width))
		region = cache_take(req->order, lowest_width(req->width),
				    req->width);
	if (likely(region && (region->vaddr ||
			      req->attrs & DMA_ATTR_NO_KERNEL_MAPPING)))
		set_region(req, region);
	else if (!alloc_slow(req, region))
		return false;

	clear_memory(req);
	return true;
}

/*
 * The driver names a region by a bus address that it does not have: looks for it by
 * the rest. Under the lock.
 */
static noinline struct xen_coherent_region *
search_region(const struct page *page, const void *vaddr)
{
	struct xen_coherent_region *region;
	unsigned int i;

	hash_for_each(xen_regions, i, region, hash)
		if (region_is(region, page, vaddr))
			break;
	return region;
}

static void free_reachable(struct device *dev, size_t size, struct page *page,
			   void *vaddr, dma_addr_t bus)
{
	struct xen_coherent_region *region;
	bool is_wrong, is_free, is_large;
	unsigned long flags;

	if (page && !PageXenRemapped(page)) {
		__free_pages(page, get_order(size));
		return;
	}

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region = find_region(bus);
	is_wrong = !region || !region_is(region, page, vaddr);
	if (unlikely(is_wrong))
		region = search_region(page, vaddr);
	is_free = region && !hlist_unhashed(&region->bucket);
	is_large = region && !is_free && region->pages;
	if (unlikely(is_large))
		region_del(region);
	else if (likely(region && !is_free))
		free_region(region, !is_referenced(region));
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	if (unlikely(is_large))
		free_large(region);
	if (unlikely(is_wrong))
		dev_err_ratelimited(dev,
				    "xen_swiotlb: driver frees coherent memory at %pad, where it has none\n",
				    &bus);
	else if (unlikely(is_free))
		dev_err_ratelimited(dev,
				    "xen_swiotlb: driver frees coherent memory at %pad twice\n",
				    &bus);
}

/*
 * Finds the pages of memory, NULL where they follow each other. Returns -ENXIO when
 * there is no such memory: what lies behind it would be somebody else's.
 */
static int find_pages(void *vaddr, dma_addr_t bus, size_t size,
		      unsigned long attrs, struct page ***pages)
{
	struct page *page = page_of(vaddr, attrs);
	struct xen_coherent_region *region;
	unsigned long flags;
	int ret = -ENXIO;

	*pages = NULL;
	if (page && (!(attrs & DMA_ATTR_NO_KERNEL_MAPPING) ||
		     !PageXenRemapped(page)))
		return 0;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	region = find_region(bus);
	if (region && region_is(region, page, vaddr) &&
	    PFN_UP(size) <= region_pages(region)) {
		*pages = region->pages;
		ret = 0;
	}
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	return ret;
}

/**
 * xen_coherent_alloc() - allocate coherent memory
 * @dev:	device that shares it
 * @size:	bytes, of which whole powers of two of pages are used
 * @dma_handle:	where the bus address goes
 * @gfp:	allocation flags
 * @attrs:	DMA_ATTR_NO_KERNEL_MAPPING, DMA_ATTR_ALLOC_SINGLE_PAGES and
 *		DMA_ATTR_NO_WARN are honoured; the memory is always contiguous on
 *		the bus
 *
 * Context: As @gfp says; atomic callers never sleep. They get more than the page
 * allocator's largest block only if the cache has it.
 * Return: Kernel address of cleared memory that lies below the device's
 * coherent mask, aligned to its size on the bus, or with
 * DMA_ATTR_NO_KERNEL_MAPPING its first page; NULL when there is none.
 */
void *xen_coherent_alloc(struct device *dev, size_t size,
			 dma_addr_t *dma_handle, gfp_t gfp,
			 unsigned long attrs)
{
	struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.gfp = gfp,
		.attrs = attrs,
	};

	if (!alloc_reachable(&req))
		return NULL;

	*dma_handle = req.bus;
	return attrs & DMA_ATTR_NO_KERNEL_MAPPING ? req.page : req.vaddr;
}

/**
 * xen_coherent_free() - free what xen_coherent_alloc() gave
 * @dev:	device that shared it
 * @size:	bytes, as allocated
 * @vaddr:	what xen_coherent_alloc() returned
 * @dma_handle:	bus address
 * @attrs:	as allocated
 *
 * Context: Any that dma_free_coherent() allows.
 */
void xen_coherent_free(struct device *dev, size_t size, void *vaddr,
		       dma_addr_t dma_handle, unsigned long attrs)
{
	free_reachable(dev, size, page_of(vaddr, attrs), vaddr, dma_handle);
}

/**
 * xen_coherent_alloc_pages() - allocate pages that need no bouncing
 * @dev:	device that will use them
 * @size:	bytes
 * @dma_handle:	where the bus address goes
 * @dir:	direction; all are the same here
 * @gfp:	allocation flags
 *
 * Such pages may stay mapped for ever, so they must not hold bounce memory. They
 * follow each other for the kernel; beyond the page allocator's largest block that
 * needs CONFIG_CONTIG_ALLOC.
 *
 * Context: As @gfp says.
 * Return: First of the cleared pages, NULL when there are none.
 */
struct page *xen_coherent_alloc_pages(struct device *dev, size_t size,
				      dma_addr_t *dma_handle,
				      enum dma_data_direction dir, gfp_t gfp)
{
	struct xen_coherent_request req = {
		.dev = dev,
		.size = size,
		.gfp = gfp,
		.linear = true,
	};

	if (!alloc_reachable(&req))
		return NULL;

	*dma_handle = req.bus;
	return req.page;
}

/**
 * xen_coherent_free_pages() - free what xen_coherent_alloc_pages() gave
 * @dev:	device that used them
 * @size:	bytes, as allocated
 * @page:	first page
 * @dma_handle:	bus address
 * @dir:	direction, as allocated
 *
 * Context: Any that dma_free_pages() allows.
 */
void xen_coherent_free_pages(struct device *dev, size_t size,
			     struct page *page, dma_addr_t dma_handle,
			     enum dma_data_direction dir)
{
	free_reachable(dev, size, page, NULL, dma_handle);
}

/*
 * Maps pages that follow each other for user space only. Like all coherent memory it
 * can't be pinned there, for it may belong to another device when it has been freed.
 */
static int map_pages(struct vm_area_struct *vma, struct page **pages,
		     unsigned long nr)
{
	unsigned long left = vma_pages(vma), addr = vma->vm_start, run;
	int ret;

	if (vma->vm_pgoff >= nr || left > nr - vma->vm_pgoff)
		return -ENXIO;

	for (pages += vma->vm_pgoff; left; pages += run, left -= run) {
		unsigned long pfn = page_to_pfn(*pages);

		for (run = 1; run < left; run++)
			if (page_to_pfn(pages[run]) != pfn + run)
				break;
		ret = remap_pfn_range(vma, addr, pfn, PFN_PHYS(run),
				      vma->vm_page_prot);
		if (ret)
			return ret;
		addr += PFN_PHYS(run);
	}

	return 0;
}

/**
 * xen_coherent_mmap() - give coherent memory to user space
 * @dev:	device that shares it
 * @vma:	user mapping
 * @vaddr:	what xen_coherent_alloc() returned
 * @dma_handle:	bus address
 * @size:	bytes, as allocated
 * @attrs:	as allocated
 *
 * Context: Process.
 * Return: 0, -ENXIO when @vma does not lie within the memory or there is no such
 * memory, -EINVAL for a private mapping of many pages, or what the mapping of a
 * page says.
 */
int xen_coherent_mmap(struct device *dev, struct vm_area_struct *vma,
		      void *vaddr, dma_addr_t dma_handle, size_t size,
		      unsigned long attrs)
{
	struct page **pages;
	int ret;

	if (dma_mmap_from_dev_coherent(dev, vma, vaddr, size, &ret))
		return ret;

	ret = find_pages(vaddr, dma_handle, size, attrs, &pages);
	if (ret)
		return ret;
	if (pages) {
		vma->vm_page_prot = dma_pgprot(dev, vma->vm_page_prot, attrs);
		return map_pages(vma, pages, PFN_UP(size));
	}

	if (attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		vaddr = page_address(vaddr);
	return dma_common_mmap(dev, vma, vaddr, dma_handle, size, attrs);
}

/**
 * xen_coherent_get_sgtable() - list the pages of coherent memory
 * @dev:	device that shares it
 * @sgt:	table to be set up
 * @vaddr:	what xen_coherent_alloc() returned
 * @dma_handle:	bus address
 * @size:	bytes, as allocated
 * @attrs:	as allocated
 *
 * Context: Process.
 * Return: 0, -ENXIO when there is no such memory, or -ENOMEM.
 */
int xen_coherent_get_sgtable(struct device *dev, struct sg_table *sgt,
			     void *vaddr, dma_addr_t dma_handle, size_t size,
			     unsigned long attrs)
{
	struct page **pages;
	int ret = find_pages(vaddr, dma_handle, size, attrs, &pages);

	if (ret)
		return ret;
	if (pages)
		return sg_alloc_table_from_pages(sgt, pages, PFN_UP(size), 0,
						 PAGE_ALIGN(size), GFP_KERNEL);

	if (attrs & DMA_ATTR_NO_KERNEL_MAPPING)
		vaddr = page_address(vaddr);
	return dma_common_get_sgtable(dev, sgt, vaddr, dma_handle, size, attrs);
}

/**
 * xen_coherent_usage() - what has become of exchanged memory
 * @usage:	where it goes
 *
 * Context: Any.
 */
void xen_coherent_usage(struct xen_coherent_usage *usage)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&xen_cache_lock, flags);
	usage->cached = (u64)xen_cache_pages << PAGE_SHIFT;
	usage->used = (u64)xen_used_pages << PAGE_SHIFT;
	usage->hits = xen_hits;
	raw_spin_unlock_irqrestore(&xen_cache_lock, flags);

	usage->made = atomic_long_read(&xen_made);
	usage->returned = atomic_long_read(&xen_returned);
	usage->kept = atomic_long_read(&xen_kept);
	usage->failed = atomic_long_read(&xen_failed);
}

/**
 * xen_coherent_show() - tell what has become of exchanged memory
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_coherent_show(struct seq_file *s)
{
	struct xen_coherent_usage usage;

	xen_coherent_usage(&usage);
	seq_printf(s, "cached %llu\nused %llu\n", usage.cached, usage.used);
	seq_printf(s, "hits %lu\nmade %lu\nreturned %lu\nkept %lu\nfailed %lu\n",
		   usage.hits, usage.made, usage.returned, usage.kept,
		   usage.failed);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
unsigned long xen_coherent_count(void)
{
	return count_pages();
}

unsigned long xen_coherent_shrink(unsigned long nr)
{
	return shrink_pages(nr);
}

void xen_coherent_flush_work(void)
{
	cancel_work_sync(&xen_trim_work);
	cancel_delayed_work_sync(&xen_age_work);
	xen_trim(&xen_trim_work);
	age_out(xen_pool_idle * HZ);
}

void xen_coherent_forget_refusal(void)
{
	WRITE_ONCE(xen_keep_until, jiffies);
	WRITE_ONCE(xen_low_until, jiffies);
	WRITE_ONCE(xen_hopeless_until, jiffies);
	WRITE_ONCE(xen_refused_until, jiffies);
}
#endif
