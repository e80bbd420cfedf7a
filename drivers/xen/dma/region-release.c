// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of regions that are freed.
 *
 * They are kept, up to a bound. What exceeds it is given back by a worker, the oldest
 * first, and so is what nobody has used for long; under memory pressure a shrinker
 * gives back all of it. So freeing neither sleeps nor calls the hypervisor.
 *
 * Pages that somebody still has a reference to are neither kept nor exchanged again:
 * they go to the page allocator, which waits for the last reference.
 */
#include <linux/freezer.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/llist.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <xen/xen.h>

#include "coherent.h"
#include "compat.h"
#include "contig.h"
#include "params.h"
#include "region-release.h"
#include "regions.h"

/* The default bound is this share of the domain's memory. */
#define XEN_CACHE_SHARE		32

/* After the hypervisor had nothing better to give: seconds without a new try. */
#define XEN_KEEP_SECONDS	10

/* Regions that wait for the worker to dissolve them. */
static LLIST_HEAD(xen_doomed);

static atomic_long_t xen_returned;
static atomic_long_t xen_kept;

/* Until when it is not worth giving back memory of this width and above. */
static unsigned long xen_keep_until = INITIAL_JIFFIES;
static unsigned int xen_keep_width;

/*
 * Until when giving back what is kept is taken not to help, for so many pages, or more,
 * within this width.
 */
static unsigned long xen_hopeless_until = INITIAL_JIFFIES;
static unsigned int xen_hopeless_order;
static unsigned int xen_hopeless_width;

/* It takes long, and needs no memory. */
static struct workqueue_struct *xen_trim_wq;
static void xen_trim(struct work_struct *work);
static DECLARE_WORK(xen_trim_work, xen_trim);
static void xen_age_out(struct work_struct *work);
static DECLARE_DELAYED_WORK(xen_age_work, xen_age_out);

unsigned long xen_coherent_cache = ULONG_MAX;

XEN_SIZE_PARAM(coherent_cache, 0, ULONG_MAX - 1, xen_coherent_cache);

/* Pages that the cache may hold. */
static unsigned long cache_limit(void)
{
	unsigned long cache = READ_ONCE(xen_coherent_cache);

	return cache == ULONG_MAX ? totalram_pages() / XEN_CACHE_SHARE :
				    cache >> PAGE_SHIFT;
}

/* How long it may hold what nobody uses; jiffies. */
static unsigned long age_limit(void)
{
	return max(READ_ONCE(xen_pool_idle), 1U) * HZ;
}

/* What the hypervisor would not give better memory for is kept for a while. */
static bool keeps_memory(unsigned int width)
{
	return width >= READ_ONCE(xen_keep_width) &&
	       time_before(jiffies, READ_ONCE(xen_keep_until));
}

/* Has somebody else a reference? A block counts them in its first page. */
static bool is_referenced(const struct xen_region *region)
{
	unsigned long nr = region->pages ? xen_region_pages(region) : 0, i;

	if (!nr)
		return page_ref_count(region->page) != 1;
	for (i = 0; i < nr; i++)
		if (page_ref_count(region->pages[i]) != 1)
			return true;
	return false;
}

static void unmap_region(struct xen_region *region)
{
	if (region->linear)
		return;
	vunmap(region->vaddr);
	region->vaddr = NULL;
}

/* The hypervisor wants low memory back; what lies higher can as well stay. */
static bool is_wanted_back(const struct xen_region *region)
{
	return region->exchanged && region->width <= XEN_LOW_WIDTH;
}

/*
 * Exchanges a region that is nobody's for memory from anywhere, unless somebody has a
 * reference to it. Who waits for this may be short of memory. Returns 0 when the region
 * is no longer contiguous, else an error.
 */
static int return_region(struct xen_region *region)
{
	bool all;
	int rc;

	if (keeps_memory(region->width) || is_referenced(region))
		return -EBUSY;

	unmap_region(region);
	rc = xen_give_back(page_to_phys(region->page), region->pages,
			   region->order, GFP_NOIO, &all);
	if (rc || !all) {
		WRITE_ONCE(xen_keep_width, region->width);
		WRITE_ONCE(xen_keep_until, jiffies + XEN_KEEP_SECONDS * HZ);
	}
	if (rc)
		return rc;

	region->exchanged = false;
	WRITE_ONCE(xen_hopeless_until, jiffies);
	atomic_long_inc(all ? &xen_returned : &xen_kept);
	return 0;
}

/* Gives such a region back, to the hypervisor what it wants, and to the kernel. */
static void dissolve_region(struct xen_region *region)
{
	if (is_wanted_back(region) && return_region(region))
		atomic_long_inc(&xen_kept);

	unmap_region(region);
	ClearPageXenRemapped(region->page);
	xen_free_memory(region->page, region->pages, region->order);
	xen_region_discard(region);
}

/**
 * xen_region_remove() - give up a region that is used and has not been handed out
 * @region:	region
 *
 * Context: Process, may sleep.
 */
void xen_region_remove(struct xen_region *region)
{
	xen_region_del(region);
	dissolve_region(region);
}

/* Releases the oldest regions down to @limit pages. Returns the pages. */
static unsigned long trim_to(unsigned long limit)
{
	struct xen_region *region;
	unsigned long freed = 0;

	while ((region = xen_region_take_oldest(limit))) {
		freed += xen_region_pages(region);
		dissolve_region(region);
		cond_resched();
	}

	return freed;
}

static void release_doomed(void)
{
	struct xen_region *region, *next;

	llist_for_each_entry_safe(region, next, llist_del_all(&xen_doomed),
				  doomed) {
		dissolve_region(region);
		cond_resched();
	}
}

static void xen_trim(struct work_struct *work)
{
	release_doomed();
	trim_to(cache_limit());
}

/*
 * What nobody has used for long goes, so that others find low memory. What Xen takes
 * nothing of stays, for it would be lost to them, and so does the rest for now.
 */
static void age_out(unsigned long age)
{
	struct xen_region *region;

	while ((region = xen_region_take_aged(age))) {
		if (is_wanted_back(region) && return_region(region) &&
		    !is_referenced(region)) {
			xen_region_return(region);
			break;
		}
		dissolve_region(region);
		cond_resched();
	}
}

static void xen_age_out(struct work_struct *work)
{
	age_out(age_limit());
	if (xen_regions_kept())
		queue_delayed_work(xen_trim_wq, &xen_age_work, age_limit());
}

/**
 * xen_regions_give_back() - give back all that is kept within a width
 * @width:	of the addresses, in bits
 *
 * What waits for the worker is given back, too: it may be frozen. What it is at is
 * waited for.
 *
 * Context: Process, may sleep.
 * Return: Whether there was any.
 */
bool xen_regions_give_back(unsigned int width)
{
	struct xen_region *region;
	bool any = false;

	while ((region = xen_region_take_within(width))) {
		dissolve_region(region);
		any = true;
		cond_resched();
	}

	any |= work_busy(&xen_trim_work);
	any |= work_busy(&xen_age_work.work) & WORK_BUSY_RUNNING;
	cancel_work_sync(&xen_trim_work);
	cancel_delayed_work_sync(&xen_age_work);
	xen_trim(&xen_trim_work);
	xen_age_out(&xen_age_work.work);
	return any;
}

/**
 * xen_regions_revise() - the domain may have moved: forget what is no longer true
 *
 * Context: Any. No device is at work.
 * Return: Pages of regions that are used, and are not where they were.
 */
unsigned long xen_regions_revise(void)
{
	struct xen_region *region;

	while ((region = xen_region_take_moved())) {
		region->exchanged = false;
		llist_add(&region->doomed, &xen_doomed);
		queue_work(xen_trim_wq, &xen_trim_work);
	}
	return xen_regions_mark_moved();
}

/* There is more to keep, for a while, and up to @limit pages. */
static void begin_ageing(unsigned long limit)
{
	if (unlikely(!delayed_work_pending(&xen_age_work)))
		queue_delayed_work(xen_trim_wq, &xen_age_work, age_limit());
	if (xen_regions_kept() > limit)
		queue_work(xen_trim_wq, &xen_trim_work);
}

/* Many pages that nobody has a reference to are kept, too. */
static bool is_worth_keeping(const struct xen_region *region)
{
	return region->pages && !region->linear && !region->moved &&
	       xen_region_pages(region) <= cache_limit() &&
	       !is_referenced(region);
}

/**
 * xen_region_free() - free a region
 * @page:	the first page, or NULL
 * @vaddr:	where the kernel sees it, looked at without @page
 * @bus:	bus address
 *
 * What is not kept the worker dissolves.
 *
 * Context: Any.
 * Return: As xen_region_end_use().
 */
int xen_region_free(const struct page *page, const void *vaddr, dma_addr_t bus)
{
	unsigned long limit = cache_limit();
	struct xen_region *left;
	int rc = xen_region_end_use(page, vaddr, bus, limit, &left);

	if (unlikely(left && !is_worth_keeping(left))) {
		WRITE_ONCE(xen_hopeless_until, jiffies);
		llist_add(&left->doomed, &xen_doomed);
		queue_work(xen_trim_wq, &xen_trim_work);
		return rc;
	}

	if (unlikely(left))
		xen_region_return(left);
	begin_ageing(limit);
	return rc;
}

/**
 * xen_region_untake() - put a region back that can't be used after all
 * @region:	region
 *
 * Context: Any.
 */
void xen_region_untake(struct xen_region *region)
{
	xen_region_put(region, true);
	begin_ageing(cache_limit());
}

/**
 * xen_note_hopeless() - giving back what is kept has been in vain
 * @order:	for how many pages
 * @width:	within which width
 *
 * Context: Any.
 */
void xen_note_hopeless(unsigned int order, unsigned int width)
{
	WRITE_ONCE(xen_hopeless_order, order);
	WRITE_ONCE(xen_hopeless_width, width);
	WRITE_ONCE(xen_hopeless_until, jiffies + XEN_KEEP_SECONDS * HZ);
}

/**
 * xen_is_hopeless() - has it been in vain, not long ago, for as much or less?
 * @order:	log2 of the pages
 * @width:	within which width
 *
 * Context: Any.
 * Return: Whether it has.
 */
bool xen_is_hopeless(unsigned int order, unsigned int width)
{
	return time_before(jiffies, READ_ONCE(xen_hopeless_until)) &&
	       order >= READ_ONCE(xen_hopeless_order) &&
	       width <= READ_ONCE(xen_hopeless_width);
}

/**
 * xen_release_usage() - what has become of regions that were kept
 * @usage:	where it goes: @returned, @kept
 *
 * Context: Any.
 */
void xen_release_usage(struct xen_coherent_usage *usage)
{
	usage->returned = atomic_long_read(&xen_returned);
	usage->kept = atomic_long_read(&xen_kept);
}

static unsigned long shrink_pages(unsigned long nr)
{
	unsigned long pages = xen_regions_kept();

	return trim_to(pages > nr ? pages - nr : 0);
}

static unsigned long xen_shrinker_count(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	return xen_regions_kept() ?: SHRINK_EMPTY;
}

/* Is the domain about to be saved? Then nothing is to be exchanged any more. */
static bool is_freezing(void)
{
#ifdef CONFIG_FREEZER
	return READ_ONCE(pm_freezing);
#else
	return false;
#endif
}

static unsigned long xen_shrinker_scan(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	unsigned long freed = is_freezing() ? 0 : shrink_pages(sc->nr_to_scan);

	/* A region may be many times as much as was asked for. */
	sc->nr_scanned = max(freed, sc->nr_to_scan);
	return freed ?: SHRINK_STOP;
}

static int trim_soon(struct notifier_block *nb, unsigned long event, void *data)
{
	if (xen_regions_kept()) {
		queue_work(xen_trim_wq, &xen_trim_work);
		mod_delayed_work(xen_trim_wq, &xen_age_work, 0);
	}
	return NOTIFY_OK;
}

static struct notifier_block limits_nb = { .notifier_call = trim_soon };

/* Before any device has a driver. */
static int __init xen_release_init(void)
{
	if (!xen_pv_domain() && !IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST))
		return 0;

	xen_trim_wq = alloc_workqueue("xen-coherent",
				      WQ_UNBOUND | WQ_MEM_RECLAIM |
				      WQ_FREEZABLE, 0) ?:
		      system_freezable_wq;
	blocking_notifier_chain_register(&xen_limits_chain, &limits_nb);
	return xen_register_shrinker(xen_shrinker_count, xen_shrinker_scan,
				     "xen-coherent");
}
core_initcall(xen_release_init);

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
unsigned long xen_coherent_shrink(unsigned long nr)
{
	return shrink_pages(nr);
}

void xen_coherent_flush_work(void)
{
	cancel_work_sync(&xen_trim_work);
	cancel_delayed_work_sync(&xen_age_work);
	xen_trim(&xen_trim_work);
	age_out(READ_ONCE(xen_pool_idle) * HZ);
}

void xen_release_forget(void)
{
	WRITE_ONCE(xen_keep_until, jiffies);
	WRITE_ONCE(xen_hopeless_until, jiffies);
}
#endif
