// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of how the pool grows and is released: at once and by its worker, up
 * to its limit, and with a hypervisor that refuses.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "exhaust.h"

static void xdt_drain(struct work_struct *work)
{
	drain_local_pages(NULL);
}

/* Pages of the kernel that are free, whoever holds them back. */
static unsigned long xdt_free_pages(void)
{
	rcu_barrier();
	vm_unmap_aliases();
	schedule_on_each_cpu(xdt_drain);
	return global_zone_page_state(NR_FREE_PAGES);
}

/* At the limit there is no more, neither now nor by the worker. */
static void xdt_grown_no_more(struct xdt *x, size_t size, dma_addr_t *bus,
			      unsigned int nr)
{
	dma_addr_t again;

	xen_pool_flush_work();
	KUNIT_EXPECT_EQ(x->test, xdt_total(), xen_pool_max);
	again = xdt_map(x->dev, x->buf, 1, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(x->test, again, DMA_MAPPING_ERROR);
	xdt_unmap(x->dev, bus[nr / 2], size, DMA_TO_DEVICE, 0);
	xdt_fill(x->buf, nr / 2, 0, size);
	bus[nr / 2] = xdt_map(x->dev, x->buf, size, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_NE(x->test, bus[nr / 2], DMA_MAPPING_ERROR);
	xdt_check_contents(x, size, bus, nr);
}

/* What is unused goes, to the @low pages of before, and no address leads there. */
static void xdt_grown_goes(struct xdt *x, size_t size, dma_addr_t *bus,
			   unsigned int nr, unsigned long low)
{
	unsigned long known = xen_pool_max;
	unsigned int j;

	for (j = 0; j < nr; j++) {
		xdt_disclaim(x->live, bus[j], size);
		xdt_unmap(x->dev, bus[j], size, DMA_TO_DEVICE, 0);
	}
	xdt_settle(x);
	KUNIT_EXPECT_EQ_MSG(x->test, xdt_total(), x->size, "%zu bytes", size);
	KUNIT_EXPECT_EQ_MSG(x->test, xen_machine_low_free(32), low,
			    "%zu bytes", size);
	for (j = 0; j < nr; j++)
		known -= xen_pool_find(bus[j]) ? 0 : size;
	KUNIT_EXPECT_EQ_MSG(x->test, known, x->size,
			    "bytes that the table still knows, blocks of %zu bytes",
			    size);
}

static void xdt_grow_atomic(struct kunit *test)
{
	static const size_t sizes[] = { SZ_256K, SZ_2K, SZ_32K, SZ_1M };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned long low, max = x->size + 4 * XDT_CHUNK;
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		xen_pool_max = max;
		xen_pool_idle = 3600;
		low = xen_machine_low_free(32);
		nr = xdt_exhaust_atomic(x, x->dev, sizes[i], bus,
					2 * x->size / XDT_SLOT);
		KUNIT_EXPECT_EQ_MSG(test, nr, max / sizes[i],
				    "mappings of %zu bytes", sizes[i]);
		KUNIT_EXPECT_EQ_MSG(test, xdt_total(), max, "%zu bytes",
				    sizes[i]);
		KUNIT_EXPECT_EQ(test, low - xen_machine_low_free(32),
				(max - x->size) >> PAGE_SHIFT);
		xdt_check_contents(x, sizes[i], bus, nr);
		xdt_grown_no_more(x, sizes[i], bus, nr);

		/* Used until now, so still there. */
		xdt_release(x, x->dev, sizes[i], bus, nr);
		xen_pool_flush_work();
		KUNIT_EXPECT_EQ(test, xdt_total(), max);
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);
		nr = xdt_exhaust(x, x->dev, sizes[i], bus,
				 2 * x->size / XDT_SLOT);
		KUNIT_EXPECT_EQ(test, nr, max / sizes[i]);

		xdt_grown_goes(x, sizes[i], bus, nr, low);
		if (test->status != KUNIT_SUCCESS)
			return;
	}
}

static void xdt_grow_worker(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int half, most, nr = x->size / SZ_256K;

	xen_pool_max = x->size + 8 * XDT_CHUNK;
	xen_pool_idle = 3600;

	/* Half full is not low. */
	half = xdt_exhaust_atomic(x, x->dev, SZ_256K, bus, nr / 2);
	KUNIT_EXPECT_EQ(test, half, nr / 2);
	xen_pool_flush_work();
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);

	/* Less than a sixteenth is, and nobody has to fail for it. */
	most = half + xdt_exhaust(x, x->dev, SZ_256K, bus + half,
				  nr * 15 / 16 - half + 1);
	KUNIT_EXPECT_EQ(test, most, nr * 15 / 16 + 1);
	xen_pool_flush_work();
	KUNIT_EXPECT_GT(test, xdt_total(), x->size);
	KUNIT_EXPECT_LE(test, xdt_total(), xen_pool_max);
	xdt_check_contents(x, SZ_256K, bus, half);

	/* A chunk that is in use stays, and its content. */
	xen_pool_idle = 0;
	nr = xdt_exhaust_atomic(x, x->dev, SZ_256K, bus + most, nr / 4);
	xdt_release(x, x->dev, SZ_256K, bus, most);
	xen_pool_flush_work();
	xen_pool_flush_work();
	xdt_check_contents(x, SZ_256K, bus + most, nr);
	KUNIT_EXPECT_EQ(test, xdt_used(), (u64)nr * SZ_256K);
	xdt_release(x, x->dev, SZ_256K, bus + most, nr);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* Limits between which a chunk does not fit. */
static void xdt_grow_limit(struct kunit *test)
{
	static const unsigned long room[] = { 0, 1, XDT_CHUNK - 1,
					      XDT_CHUNK, XDT_CHUNK + SZ_2M,
					      3 * XDT_CHUNK - 1 };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, round, nr;
	u64 want;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(room); i++) {
			xen_pool_max = x->size + room[i];
			nr = xdt_exhaust_atomic(x, x->dev, SZ_64K, bus,
						2 * x->size / SZ_64K);
			xen_pool_flush_work();
			KUNIT_EXPECT_LE_MSG(test, xdt_total(),
					    xen_pool_max, "room for %lu",
					    room[i]);
			want = x->size + rounddown(room[i], XDT_CHUNK);
			KUNIT_EXPECT_GE_MSG(test, xdt_total(), want,
					    "room for %lu", room[i]);
			KUNIT_EXPECT_EQ(test, nr, xdt_total() / SZ_64K);
			xdt_release(x, x->dev, SZ_64K, bus, nr);
			xdt_settle(x);
			KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
			xen_pool_idle = 3600;
			if (test->status != KUNIT_SUCCESS)
				return;
		}
	}
}

/* Many rounds cost nothing. */
static void xdt_grow_cycles(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned long cycle, cycles = xdt_scaled(24);
	unsigned long low = 0, pages = 0;
	unsigned int nr;

	for (cycle = 0; cycle <= cycles; cycle++) {
		xen_pool_max = x->size + 4 * XDT_CHUNK;
		nr = xdt_exhaust_atomic(x, x->dev, SZ_128K, bus,
					xen_pool_max / SZ_128K);
		KUNIT_EXPECT_EQ_MSG(test, nr, xen_pool_max / SZ_128K,
				    "cycle %lu", cycle);
		xdt_release(x, x->dev, SZ_128K, bus, nr);
		xdt_settle(x);
		KUNIT_EXPECT_EQ_MSG(test, xdt_total(), x->size, "cycle %lu",
				    cycle);
		/* The first fills what the kernel caches. */
		if (cycle == 0) {
			low = xen_machine_low_free(32);
			pages = xdt_free_pages();
		}
		if (test->status != KUNIT_SUCCESS)
			return;
	}
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
	KUNIT_EXPECT_GE_MSG(test, xdt_free_pages() + 128, pages,
			    "pages lost in %lu cycles", cycles);
}

/* The hypervisor has nothing: no chunk is added, and no page lost. */
static void xdt_grow_refused(struct xdt *x, dma_addr_t *bus, int err)
{
	unsigned long pages;
	unsigned int j, nr;

	xen_machine_fail_exchanges(err);
	pages = xdt_free_pages();
	for (j = 0; j < 8; j++) {
		nr = xdt_exhaust_atomic(x, x->dev, SZ_1M, bus,
					2 * x->size / SZ_1M);
		xen_pool_flush_work();
		xdt_release(x, x->dev, SZ_1M, bus, nr);
	}
	KUNIT_EXPECT_EQ(x->test, nr, x->size / SZ_1M);
	KUNIT_EXPECT_EQ(x->test, xdt_total(), x->size);
	KUNIT_EXPECT_EQ(x->test, xdt_used(), 0);
	KUNIT_EXPECT_GE_MSG(x->test, xdt_free_pages() + 512, pages,
			    "pages lost by error %d", err);
}

/* It has some again; who waits a little after a failure may. */
static void xdt_grow_again(struct xdt *x, dma_addr_t *bus)
{
	unsigned int j, nr;

	xen_machine_fail_exchanges(0);
	for (j = 0; j < 50; j++) {
		nr = xdt_exhaust(x, x->dev, SZ_1M, bus, 2 * x->size / SZ_1M);
		xen_pool_flush_work();
		xdt_release(x, x->dev, SZ_1M, bus, nr);
		if (xdt_total() == xen_pool_max)
			break;
		msleep(100);
	}
	KUNIT_EXPECT_EQ(x->test, xdt_total(), xen_pool_max);
}

/* A hypervisor that has nothing, or takes nothing back. */
static void xdt_grow_fails(struct kunit *test)
{
	static const int errs[] = { -ENOMEM, -EBUSY };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned long low = xen_machine_low_free(32), exchanges;
	unsigned long before;
	unsigned int i, nr;

	xen_pool_max = x->size + 4 * XDT_CHUNK;
	xen_pool_idle = 3600;
	exchanges = xen_machine_exchanges();
	before = xdt_free_pages();
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		xdt_grow_refused(x, bus, errs[i]);
		KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
	}
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), exchanges);
	xdt_grow_again(x, bus);

	/* Nothing is lost while it takes nothing back. */
	xen_machine_fail_exchanges(-ENOMEM);
	xen_pool_idle = 0;
	xen_pool_flush_work();
	xen_pool_flush_work();
	nr = xdt_exhaust(x, x->dev, SZ_1M, bus, 2 * x->size / SZ_1M);
	KUNIT_EXPECT_EQ(test, nr, xdt_total() / SZ_1M);
	xdt_release(x, x->dev, SZ_1M, bus, nr);
	xen_machine_fail_exchanges(0);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_GE_MSG(test, xdt_free_pages() + 512, before,
			    "pages lost");
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
}

/* Chunks that may go are nobody's home, so that they get idle. */
static void xdt_grow_home(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), more;
	unsigned int nr;

	xdt_restart(x, SZ_64M, SZ_2G);
	xen_pool_max = x->size + 2 * XDT_CHUNK;
	xen_machine_set_low(SZ_2G, SZ_2G + (u64)SZ_1G);
	nr = xdt_exhaust_atomic(x, x->dev, SZ_1M, bus, x->size / SZ_1M + 1);
	KUNIT_EXPECT_EQ(test, nr, x->size / SZ_1M + 1);
	KUNIT_EXPECT_GE(test, bus[nr - 1], SZ_2G);
	while (nr)
		xdt_release(x, x->dev, SZ_1M, bus + --nr, 1);
	more = xdt_map(x->dev, x->buf, SZ_1M, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_LT(test, more, SZ_2G);
	xdt_unmap(x->dev, more, SZ_1M, DMA_TO_DEVICE, 0);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
}

/* A growth that failed costs the next ones nothing, of whatever size they are. */
static void xdt_grow_tries_once(struct kunit *test)
{
	static const size_t sizes[] = { SZ_2M, SZ_512K, SZ_256K, SZ_4K };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), more;
	struct xen_machine_counts was, now;
	unsigned int i, j, nr;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		xen_pool_max = x->size;
		nr = xdt_exhaust(x, x->dev, sizes[i], bus,
				 x->size / sizes[i] + 1);
		xdt_patience();
		xen_pool_max = x->size + 4 * XDT_CHUNK;
		xen_machine_fail_exchanges(-ENOMEM);
		xen_machine_counts(&was);
		for (j = 0; j < 100; j++) {
			unsigned long flags;

			local_irq_save(flags);
			more = xdt_map(x->dev, x->buf, sizes[i], DMA_TO_DEVICE,
				       DMA_ATTR_NO_WARN);
			local_irq_restore(flags);
			KUNIT_EXPECT_EQ(test, more, DMA_MAPPING_ERROR);
		}
		xen_machine_counts(&now);
		KUNIT_EXPECT_LE_MSG(test, now.make_calls - was.make_calls, 8,
				    "100 mappings of %zu bytes", sizes[i]);

		/* Nor does it keep the worker from trying. */
		xen_machine_fail_exchanges(0);
		xen_pool_flush_work();
		more = xdt_map(x->dev, x->buf, 1, DMA_TO_DEVICE,
			       DMA_ATTR_NO_WARN);
		if (more != DMA_MAPPING_ERROR)
			xdt_unmap(x->dev, more, 1, DMA_TO_DEVICE, 0);
		xdt_release(x, x->dev, sizes[i], bus, nr);
		xdt_settle(x);
	}
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE_SLOW(xdt_grow_atomic),
	KUNIT_CASE(xdt_grow_worker),
	KUNIT_CASE_SLOW(xdt_grow_limit),
	KUNIT_CASE_SLOW(xdt_grow_cycles),
	KUNIT_CASE_SLOW(xdt_grow_fails),
	KUNIT_CASE(xdt_grow_home),
	KUNIT_CASE(xdt_grow_tries_once),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-growth",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: growth");
MODULE_LICENSE("GPL");
