// SPDX-License-Identifier: GPL-2.0
/*
 * The fixture of the KUnit tests of coherent memory.
 *
 * The tests look at the memory from both sides, as the CPU and as the device,
 * and at the calls that the hypervisor gets: what the cache serves costs none.
 */
#include <linux/bitmap.h>
#include <linux/console.h>
#include <linux/err.h>
#include <linux/scatterlist.h>
#include <linux/shrinker.h>
#include <linux/string.h>

#include <asm/xen/page.h>

#include "../coherent-pool.h"
#include "../region-release.h"
#include "../regions.h"
#include "coherent-fixture.h"

unsigned long xdc_bound;
u64 xdc_used;
unsigned long *xdc_live;

/**
 * xdc_look() - see what has been counted
 * @look:	filled
 */
void xdc_look(struct xdc_look *look)
{
	xen_coherent_usage(&look->usage);
	xen_machine_counts(&look->machine);
}

/**
 * xdc_did() - compare with what an earlier look has seen, and look anew
 * @test:	the running case
 * @was:	the earlier look, and the new one
 * @hits:	how many allocations the cache is to have served
 * @made:	exchanges for memory, also those that failed
 * @returned:	regions given back
 * @what:	what happened meanwhile
 */
void xdc_did(struct kunit *test, struct xdc_look *was,
	     unsigned long hits, unsigned long made,
	     unsigned long returned, const char *what)
{
	struct xdc_look now;

	xdc_look(&now);
	KUNIT_EXPECT_EQ_MSG(test, now.usage.hits - was->usage.hits, hits,
			    "%s: served by the cache", what);
	KUNIT_EXPECT_EQ_MSG(test, now.usage.made - was->usage.made, made,
			    "%s: counted as made", what);
	KUNIT_EXPECT_EQ_MSG(test, now.machine.make_calls -
			    was->machine.make_calls, made,
			    "%s: exchanged, or tried to", what);
	KUNIT_EXPECT_EQ_MSG(test, now.usage.returned - was->usage.returned,
			    returned, "%s: counted as given back", what);
	KUNIT_EXPECT_EQ_MSG(test, now.machine.given - was->machine.given,
			    returned, "%s: given back", what);
	*was = now;
}

/**
 * xdc_cached() - what the cache has
 *
 * Return: Bytes.
 */
u64 xdc_cached(void)
{
	struct xen_coherent_usage usage;

	xen_coherent_usage(&usage);
	return usage.cached;
}

/**
 * xdc_pooled() - what is allocated from the pool
 *
 * Return: Bytes.
 */
u64 xdc_pooled(void)
{
	struct xen_coherent_usage usage;

	xen_coherent_usage(&usage);
	return usage.pooled;
}

/**
 * xdc_set_bound() - bound the cache, and wait until it keeps to that
 * @bytes:	how much it may have
 *
 * Context: May sleep.
 */
void xdc_set_bound(unsigned long bytes)
{
	WRITE_ONCE(xen_coherent_cache, bytes);
	xen_coherent_flush_work();
}

/**
 * xdc_shrink() - play the shrinker
 * @nr:		pages to be freed
 *
 * Nothing to do is SHRINK_STOP or nothing done.
 *
 * Return: Pages that are free.
 */
unsigned long xdc_shrink(unsigned long nr)
{
	unsigned long done = xen_coherent_shrink(nr);

	return done == SHRINK_STOP ? 0 : done;
}

/**
 * xdc_shrink_all() - empty the cache
 *
 * Context: May sleep.
 * Return: Pages that are free.
 */
unsigned long xdc_shrink_all(void)
{
	xen_coherent_flush_work();
	return xdc_shrink(xen_regions_kept());
}

/**
 * xdc_get() - allocate
 * @dev:	the device
 * @m:		what it has then
 * @size:	bytes
 * @gfp:	whether to sleep
 * @attrs:	attributes
 *
 * Return: Whether there is any.
 */
bool xdc_get(struct device *dev, struct xdc_mem *m, size_t size,
	     gfp_t gfp, unsigned long attrs)
{
	*m = (struct xdc_mem) {
		.dev = dev,
		.size = size,
		.attrs = attrs,
	};
	m->cpu = xen_swiotlb_dma_ops.alloc(dev, size, &m->bus, gfp,
					   attrs | DMA_ATTR_NO_WARN);
	return m->cpu;
}

/**
 * xdc_get_pages() - allocate as dma_alloc_pages() does
 * @dev:	the device
 * @m:		what it has then
 * @size:	bytes
 * @gfp:	whether to sleep
 *
 * Return: Whether there are any.
 */
bool xdc_get_pages(struct device *dev, struct xdc_mem *m, size_t size,
		   gfp_t gfp)
{
	*m = (struct xdc_mem) {
		.dev = dev,
		.size = size,
		.is_page = true,
	};
	m->cpu = xen_swiotlb_dma_ops.alloc_pages_op(dev, size, &m->bus,
						    DMA_BIDIRECTIONAL,
						    gfp | __GFP_NOWARN);
	return m->cpu;
}

/**
 * xdc_no_longer() - its pages may be anybody's again
 * @m:		the memory
 */
void xdc_no_longer(const struct xdc_mem *m)
{
	unsigned long i;

	for (i = 0; i < xdc_pages(m); i++) {
		unsigned long pfn = xen_machine_pfn(PHYS_PFN(m->bus) + i);

		if (pfn < xen_p2m_size)
			clear_bit(pfn, xdc_live);
	}
}

/**
 * xdc_free() - free what xdc_no_longer() has been told of
 * @m:		the memory
 */
void xdc_free(struct xdc_mem *m)
{
	if (m->is_page)
		xen_swiotlb_dma_ops.free_pages(m->dev, m->size, m->cpu, m->bus,
					       DMA_BIDIRECTIONAL);
	else
		xen_swiotlb_dma_ops.free(m->dev, m->size, m->cpu, m->bus,
					 m->attrs);
	m->cpu = NULL;
}

/**
 * xdc_put() - free
 * @m:		the memory
 */
void xdc_put(struct xdc_mem *m)
{
	xdc_no_longer(m);
	xdc_free(m);
}

/* Where the CPU has the memory, if anywhere. */
static void *xdc_cpu(const struct xdc_mem *m)
{
	if (m->is_page)
		return page_address(m->cpu);
	return m->attrs & DMA_ATTR_NO_KERNEL_MAPPING ? NULL : m->cpu;
}

/**
 * xdc_fault() - what is wrong with memory that was just allocated?
 * @m:		the memory
 * @scratch:	XDT_PIECE bytes to read into
 *
 * All pages of it may come to be seen, so all of their bytes must be zero.
 *
 * Return: What, NULL for nothing.
 */
const char *xdc_fault(const struct xdc_mem *m, u8 *scratch)
{
	size_t bytes = PAGE_ALIGN(m->size), done, piece;
	void *cpu = xdc_cpu(m);
	unsigned long i;

	if (!IS_ALIGNED(m->bus, roundup_pow_of_two(bytes)))
		return "not aligned";
	if (m->bus + bytes - 1 > xdc_limit(m->dev))
		return "beyond what the device can address";

	for (i = 0; i < xdc_pages(m); i++) {
		unsigned long mfn = PHYS_PFN(m->bus) + i;
		unsigned long pfn = xen_machine_pfn(mfn);

		if (pfn == ULONG_MAX || xen_machine_mfn(pfn) != mfn)
			return "no memory for the device";
		if (cpu && xdc_pfn(cpu + i * PAGE_SIZE) != pfn)
			return "other memory for the device than for the CPU";
		if (test_and_set_bit(pfn, xdc_live))
			return "memory given out twice";
	}

	for (done = 0; done < bytes; done += piece) {
		piece = min_t(size_t, bytes - done, XDT_PIECE);
		xen_machine_peek(m->bus + done, scratch, piece);
		if (memchr_inv(scratch, 0, piece))
			return "not zero";
	}

	return NULL;
}

/**
 * xdc_use() - both sides write and read
 * @m:		the memory
 * @key:	a pattern
 * @scratch:	XDT_PIECE bytes to read into
 *
 * What stays is the device's, in all of the pages.
 *
 * Return: What is wrong, NULL for nothing.
 */
const char *xdc_use(struct xdc_mem *m, u32 key, u8 *scratch)
{
	size_t bytes = PAGE_ALIGN(m->size);
	void *cpu = xdc_cpu(m);

	if (cpu) {
		xdt_fill(cpu, key + 1, 0, m->size);
		if (xdt_dev_differs(scratch, m->bus, key + 1, 0, m->size) >= 0)
			return "the device reads other bytes";
	}
	m->key = key;
	if (xdt_dev_fill(m->bus, key, 0, bytes))
		return "the device can't write";
	if (cpu && xdt_differs(cpu, key, 0, bytes) >= 0)
		return "the CPU reads other bytes";

	return NULL;
}

/**
 * xdc_lost() - has anybody else written there?
 * @m:		the memory, after xdc_use()
 * @scratch:	XDT_PIECE bytes to read into
 *
 * Return: What is wrong, NULL for nothing.
 */
const char *xdc_lost(const struct xdc_mem *m, u8 *scratch)
{
	size_t bytes = PAGE_ALIGN(m->size);
	void *cpu = xdc_cpu(m);

	if (xdt_dev_differs(scratch, m->bus, m->key, 0, bytes) >= 0)
		return "the device's bytes changed";
	if (cpu && xdt_differs(cpu, m->key, 0, bytes) >= 0)
		return "the CPU's bytes changed";
	return NULL;
}

/**
 * xdc_good() - after an allocation: look at the memory and use it
 * @test:	the running case
 * @m:		the memory
 * @got:	whether there is any
 * @what:	what it is
 *
 * Return: Whether all is well.
 */
bool xdc_good(struct kunit *test, struct xdc_mem *m, bool got,
	      const char *what)
{
	struct xdt *x = test->priv;
	const char *why = "refused";

	if (got)
		why = xdc_fault(m, x->scratch);
	if (!why)
		why = xdc_use(m, xdt_below(&x->rnd, XDT_PERIOD), x->scratch);
	if (why)
		KUNIT_FAIL(test, "%s: %zu bytes at %pad, mask %#llx: %s", what,
			   m->size, &m->bus, xdc_limit(m->dev), why);
	return !why;
}

/**
 * xdc_take() - allocate memory, look at it and use it
 * @test:	the running case
 * @dev:	the device
 * @m:		what it has then
 * @size:	bytes
 * @gfp:	whether to sleep
 * @what:	what it is
 *
 * Return: Whether all is well.
 */
bool xdc_take(struct kunit *test, struct device *dev, struct xdc_mem *m,
	      size_t size, gfp_t gfp, const char *what)
{
	return xdc_good(test, m, xdc_get(dev, m, size, gfp, 0), what);
}

/**
 * xdc_list_fault() - does a list of the memory name its pages, in the order of the bus?
 * @m:		the memory
 *
 * Return: What is wrong, or "fine".
 */
const char *xdc_list_fault(const struct xdc_mem *m)
{
	struct sg_page_iter iter;
	const char *why = "fine";
	struct sg_table sgt;
	unsigned long n = 0;

	if (xen_swiotlb_dma_ops.get_sgtable(m->dev, &sgt, m->cpu, m->bus,
					    m->size, m->attrs))
		return "no list";

	for_each_sgtable_page(&sgt, &iter, 0) {
		unsigned long pfn = page_to_pfn(sg_page_iter_page(&iter));

		if (n < xdc_pages(m) &&
		    xen_machine_mfn(pfn) != PHYS_PFN(m->bus) + n)
			why = "the list has other pages";
		n++;
	}
	sg_free_table(&sgt);
	if (n != xdc_pages(m))
		why = "the list is not as long as the memory";

	return why;
}

/**
 * xdc_put_all() - free all of an array, and say whether each had kept its bytes
 * @test:	the running case
 * @m:		the array; who has no memory is passed over
 * @nr:		how many
 */
void xdc_put_all(struct kunit *test, struct xdc_mem *m, unsigned int nr)
{
	struct xdt *x = test->priv;
	const char *why;

	for (; nr; m++, nr--) {
		if (!m->cpu)
			continue;
		why = xdc_lost(m, x->scratch);
		if (why)
			KUNIT_FAIL(test, "%zu bytes at %pad: %s", m->size,
				   &m->bus, why);
		xdc_put(m);
	}
}

/**
 * xdc_device() - one more device
 * @test:	the running case
 * @nr:		a number; no two have the same name
 * @bits:	how many it can address
 *
 * Return: The device.
 */
struct device *xdc_device(struct kunit *test, unsigned int nr,
			  unsigned int bits)
{
	char *name = kunit_kzalloc(test, 32, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, name);
	snprintf(name, 32, "xdc-%u-%u", nr, bits);
	return xdt_device(test->priv, name, DMA_BIT_MASK(bits));
}

static void xdc_empty(void)
{
	xdc_set_bound(0);
	xdc_shrink_all();
}

int xdc_init(struct kunit *test)
{
	struct xen_coherent_usage usage;
	int rc;

	xdc_bound = xen_coherent_cache;
	/* Most cases are about what is exchanged. */
	xen_coherent_pooled = 0;
	xdc_empty();
	rc = xdt_init(test);
	if (rc)
		return rc;

	xdc_live = bitmap_zalloc(xen_p2m_size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, xdc_live);
	xdc_set_bound(XDC_CACHE);
	xen_coherent_usage(&usage);
	xdc_used = usage.used;
	return 0;
}

/* Whatever a case did, nothing is left of it. */
void xdc_exit(struct kunit *test)
{
	struct xen_coherent_usage usage;

	xen_machine_fail_exchanges(0);
	xen_coherent_forget_refusal();
	xdc_empty();
	xen_coherent_usage(&usage);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	KUNIT_EXPECT_EQ(test, usage.cached, 0);
	KUNIT_EXPECT_EQ(test, usage.used, xdc_used);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(xdc_live, xen_p2m_size));

	bitmap_free(xdc_live);
	WRITE_ONCE(xen_coherent_cache, xdc_bound);
	xen_coherent_pooled = ULONG_MAX;
	xen_pooled_forget();
	xdt_exit(test);
}

/* Messages about a device. */
static atomic_t xdc_messages;

static void xdc_console_write(struct console *con, const char *s,
			      unsigned int count)
{
	if (strnstr(s, XDC_NOISY, count) && strnstr(s, "xen-dma", count))
		atomic_inc(&xdc_messages);
}

static struct console xdc_console = {
	.name = "xdc",
	.write = xdc_console_write,
	.flags = CON_ENABLED,
	.index = -1,
};

/**
 * xdc_said() - what has been said of the noisy device since the last time?
 *
 * Who may be printing does so before it lets go of the lock.
 *
 * Context: May sleep.
 * Return: How many messages.
 */
int xdc_said(void)
{
	console_lock();
	console_unlock();
	return atomic_xchg(&xdc_messages, 0);
}

/**
 * xdc_listen() - count messages about the noisy device, until xdc_stop_listening()
 *
 * Context: May sleep.
 */
void xdc_listen(void)
{
	/* Unregistering has cleared these. */
	xdc_console.index = -1;
	xdc_console.flags = CON_ENABLED;
	register_console(&xdc_console);
	xdc_said();
}

/**
 * xdc_stop_listening() - no longer count messages
 *
 * Context: May sleep.
 */
void xdc_stop_listening(void)
{
	unregister_console(&xdc_console);
}
