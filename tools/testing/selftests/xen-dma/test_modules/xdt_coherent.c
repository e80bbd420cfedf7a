// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory in all its forms: zeroed, aligned, below the mask, in one
 * piece on the bus, seen alike by both sides without any synchronisation, and
 * ordinary memory again once it is freed.
 *
 * Also the memory of dma_alloc_pages() and dma_alloc_noncontiguous(), which a
 * driver synchronises, but which has no business in a bounce buffer for good.
 */
#include <linux/dmapool.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/spinlock.h>

#include "xdt.h"

/* The page allocator's largest order where pages are 4 KiB. */
#define LARGEST_ORDER	10
#define NR_ORDERS	(LARGEST_ORDER + 1)

/* How many page boundaries of an allocation the device crosses. */
#define CROSSINGS	5

/**
 * struct area - an allocation
 * @size: bytes
 * @addr: where it is for the CPU, NULL for none
 * @bus: where it is for the device
 */
struct area {
	size_t size;
	u8 *addr;
	dma_addr_t bus;
};

static void take(struct kunit *test, struct area *area, size_t size, gfp_t gfp)
{
	area->size = size;
	area->addr = dma_alloc_coherent(xdt_dev(test), size, &area->bus,
					gfp | __GFP_NOWARN);
}

static void give(struct kunit *test, struct area *area)
{
	if (area->addr)
		dma_free_coherent(xdt_dev(test), area->size, area->addr,
				  area->bus);
	area->addr = NULL;
}

static bool check_area(struct kunit *test, const struct area *area)
{
	size_t whole = PAGE_SIZE << get_order(area->size);

	KUNIT_EXPECT_NOT_NULL_MSG(test, area->addr, "no %zu bytes", area->size);
	if (!area->addr)
		return false;
	KUNIT_EXPECT_EQ_MSG(test, area->size,
			    xdt_count(area->addr, area->size, 0),
			    "%zu bytes are not zeroed", area->size);
	KUNIT_EXPECT_EQ_MSG(test, 0, area->bus & (whole - 1),
			    "%zu bytes are not aligned", area->size);
	KUNIT_EXPECT_LE_MSG(test, area->bus + area->size - 1,
			    xdt_dev(test)->coherent_dma_mask,
			    "%zu bytes are above the mask", area->size);
	return true;
}

/* A device's write at a place of an area, and what the CPU should see. */
struct mark {
	const u8 *addr;
	u8 bytes[8];
};

/*
 * The device writes at the end and across page boundaries of all areas, by the
 * bus address of each area alone; the CPU finds it there. And the other way.
 */
static void check_seen(struct kunit *test, const struct area *areas,
		       unsigned int nr)
{
	struct xdt_op *ops;
	struct mark *marks;
	unsigned int i, j, n = 0;

	ops = kunit_kcalloc(test, nr * (CROSSINGS + 1), sizeof(*ops),
			    GFP_KERNEL);
	marks = kunit_kcalloc(test, nr * (CROSSINGS + 1), sizeof(*marks),
			      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	KUNIT_ASSERT_NOT_NULL(test, marks);
	for (i = 0; i < nr; i++) {
		size_t pages = areas[i].size / PAGE_SIZE;
		size_t step = max_t(size_t, 1, pages / CROSSINGS);
		size_t page, at;

		if (!areas[i].addr)
			continue;
		for (page = 1; page <= pages; page += step) {
			at = min(page * PAGE_SIZE - 4,
				 areas[i].size - sizeof(marks->bytes));
			if (n == nr * (CROSSINGS + 1))
				break;
			marks[n].addr = areas[i].addr + at;
			ops[n].bus = areas[i].bus + at;
			n++;
		}
	}
	for (j = 0; j < n; j++) {
		ops[j].buf = marks[j].bytes;
		ops[j].len = sizeof(marks[j].bytes);
		ops[j].poke = true;
		xdt_fill(marks[j].bytes, sizeof(marks[j].bytes), j + 1);
	}
	KUNIT_ASSERT_NE(test, 0, n);
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, n));
	for (j = 0; j < n; j++) {
		KUNIT_EXPECT_EQ_MSG(test, sizeof(marks[j].bytes),
				    xdt_match(marks[j].addr,
					      sizeof(marks[j].bytes), j + 1, 0),
				    "written by the device at %pad",
				    &ops[j].bus);
		xdt_fill((u8 *)marks[j].addr, sizeof(marks[j].bytes), j + 2);
		ops[j].poke = false;
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, n));
	for (j = 0; j < n; j++)
		KUNIT_EXPECT_EQ_MSG(test, sizeof(marks[j].bytes),
				    xdt_match(marks[j].bytes,
					      sizeof(marks[j].bytes), j + 2, 0),
				    "read by the device at %pad", &ops[j].bus);
}

static void check_orders(struct kunit *test, unsigned int bits)
{
	struct area areas[NR_ORDERS] = { };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(bits)));
	for (i = 0; i < NR_ORDERS; i++) {
		take(test, &areas[i], PAGE_SIZE << i, GFP_KERNEL);
		check_area(test, &areas[i]);
	}
	check_seen(test, areas, NR_ORDERS);
	for (i = 0; i < NR_ORDERS; i++)
		give(test, &areas[i]);
}

static void orders_32(struct kunit *test)
{
	check_orders(test, 32);
}

static void orders_30(struct kunit *test)
{
	check_orders(test, 30);
}

static void orders_64(struct kunit *test)
{
	check_orders(test, 64);
}

static void odd_sizes(struct kunit *test)
{
	static const size_t sizes[] = {
		8, 100, 4097, 12288, 20480, 65537, 300000, 1200000,
	};
	struct area areas[ARRAY_SIZE(sizes)] = { };
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		take(test, &areas[i], sizes[i], GFP_KERNEL);
		check_area(test, &areas[i]);
	}
	check_seen(test, areas, ARRAY_SIZE(sizes));
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		give(test, &areas[i]);
}

/* Under a spinlock with interrupts off nothing may sleep, and it works. */
static void atomic(struct kunit *test)
{
	unsigned int i, nr_orders = 4, each = 4, nr = nr_orders * each;
	struct area *areas;
	unsigned long flags;
	/* Protects nothing: it is there to be held. */
	spinlock_t lock;

	areas = kunit_kcalloc(test, nr, sizeof(*areas), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, areas);
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	spin_lock_init(&lock);
	for (i = 0; i < nr; i++) {
		spin_lock_irqsave(&lock, flags);
		take(test, &areas[i], PAGE_SIZE << (i % nr_orders), GFP_ATOMIC);
		spin_unlock_irqrestore(&lock, flags);
	}
	for (i = 0; i < nr; i++)
		check_area(test, &areas[i]);
	check_seen(test, areas, nr);
	for (i = 0; i < nr; i++)
		give(test, &areas[i]);
}

/* Many at a time, none of which is part of another. */
static void distinct(struct kunit *test)
{
	unsigned int i, nr = 200, round;
	struct area *areas;

	areas = kunit_kcalloc(test, nr, sizeof(*areas), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, areas);
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	for (round = 0; round < 2; round++) {
		for (i = 0; i < nr; i++) {
			take(test, &areas[i], PAGE_SIZE << i % 5, GFP_KERNEL);
			if (check_area(test, &areas[i]))
				xdt_fill(areas[i].addr, areas[i].size, i);
		}
		for (i = 0; i < nr; i++) {
			KUNIT_EXPECT_EQ(test, areas[i].size,
					xdt_match(areas[i].addr, areas[i].size,
						  i, 0));
			/* The next round must not see this. */
			memset(areas[i].addr, XDT_SECRET, areas[i].size);
		}
		/* Not in the order of allocation, nor the reverse of it. */
		for (i = 0; i < nr; i++)
			give(test, &areas[i * 37 % nr]);
	}
}

/* What was coherent is ordinary memory, no page of which is another one. */
static void freed_memory_works(struct kunit *test)
{
	unsigned int i, nr = 64, order = 4, blocks = 256;
	struct area *areas;
	void **buf;

	areas = kunit_kcalloc(test, nr, sizeof(*areas), GFP_KERNEL);
	buf = kunit_kcalloc(test, blocks, sizeof(*buf), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, areas);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	for (i = 0; i < nr; i++)
		take(test, &areas[i], PAGE_SIZE << order, GFP_KERNEL);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_NOT_NULL(test, areas[i].addr);
		give(test, &areas[i]);
	}
	for (i = 0; i < blocks; i++) {
		buf[i] = xdt_pages(test, order);
		xdt_fill(buf[i], PAGE_SIZE << order, i);
	}
	for (i = 0; i < blocks; i++)
		KUNIT_EXPECT_EQ(test, PAGE_SIZE << order,
				xdt_match(buf[i], PAGE_SIZE << order, i, 0));
}

/* Allocating and freeing leaves as much free memory as there was. */
static void no_leak(struct kunit *test)
{
	unsigned int i, order = 4, rounds = 400;
	struct sysinfo before, after;
	struct area area;
	size_t taken = (size_t)rounds << order;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	si_meminfo(&before);
	for (i = 0; i < rounds; i++) {
		take(test, &area, PAGE_SIZE << order, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, area.addr);
		give(test, &area);
	}
	si_meminfo(&after);
	/* A cache may keep some; a leak would have taken everything. */
	KUNIT_EXPECT_GT(test, after.freeram + taken / 2, before.freeram);
}

/* Of dma_alloc_pages(): as a driver uses it, and what the hardware sees. */
static void check_pages(struct kunit *test, bool sync)
{
	static const unsigned int orders[] = { 0, 1, 3 };
	struct device *dev = xdt_dev(test);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(dev,
							   DMA_BIT_MASK(32)));
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		size_t size = PAGE_SIZE << orders[i];
		struct page *page;
		dma_addr_t bus;
		u8 *addr, *seen;

		seen = kunit_kzalloc(test, size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, seen);
		page = dma_alloc_pages(dev, size, &bus, DMA_BIDIRECTIONAL,
				       GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_LE(test, bus + size - 1, DMA_BIT_MASK(32));
		addr = page_address(page);
		KUNIT_EXPECT_EQ(test, size, xdt_count(addr, size, 0));
		xdt_fill(addr, size, 1);
		if (sync)
			dma_sync_single_for_device(dev, bus, size,
						   DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, size));
		KUNIT_EXPECT_EQ(test, size, xdt_match(seen, size, 1, 0));
		xdt_fill(seen, size, 2);
		KUNIT_EXPECT_EQ(test, 0, xdt_poke(bus, seen, size));
		if (sync)
			dma_sync_single_for_cpu(dev, bus, size,
						DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, size, xdt_match(addr, size, 2, 0));
		dma_free_pages(dev, size, page, bus, DMA_BIDIRECTIONAL);
	}
}

static void pages_synced(struct kunit *test)
{
	check_pages(test, true);
}

static void pages_direct(struct kunit *test)
{
	check_pages(test, false);
}

/* What the device sees of @table, which is mapped at @addr, once that is filled. */
static void check_table_bytes(struct kunit *test, struct sg_table *table,
			      u8 *addr, size_t size, unsigned int seed,
			      bool sync)
{
	u8 *seen = kunit_kzalloc(test, size, GFP_KERNEL);
	struct scatterlist *sg;
	size_t done = 0;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(addr, size, seed);
	if (sync)
		dma_sync_sgtable_for_device(xdt_dev(test), table,
					    DMA_BIDIRECTIONAL);
	for_each_sgtable_dma_sg(table, sg, i) {
		size_t len = min_t(size_t, sg_dma_len(sg), size - done);

		KUNIT_EXPECT_EQ(test, 0, xdt_peek(sg_dma_address(sg),
						  seen + done, len));
		done += len;
	}
	KUNIT_EXPECT_EQ(test, size, done);
	KUNIT_EXPECT_EQ(test, size, xdt_match(seen, size, seed, 0));
}

/*
 * Two patterns, one after the other: the core maps such memory before it clears
 * it, so a bounce slot begins with what an earlier test has left in the pages,
 * and that may be one of them.
 */
static void check_noncontiguous(struct kunit *test, bool sync)
{
	struct device *dev = xdt_dev(test);
	size_t size = 5 * PAGE_SIZE;
	struct sg_table *table;
	u8 *addr;

	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(dev,
							   DMA_BIT_MASK(32)));
	table = dma_alloc_noncontiguous(dev, size, DMA_BIDIRECTIONAL,
					GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, table);
	addr = dma_vmap_noncontiguous(dev, size, table);
	KUNIT_EXPECT_NOT_NULL(test, addr);
	if (addr) {
		check_table_bytes(test, table, addr, size, 1, sync);
		check_table_bytes(test, table, addr, size, 2, sync);
		dma_vunmap_noncontiguous(dev, addr);
	}
	dma_free_noncontiguous(dev, size, table, DMA_BIDIRECTIONAL);
}

static void noncontiguous_synced(struct kunit *test)
{
	check_noncontiguous(test, true);
}

static void noncontiguous_direct(struct kunit *test)
{
	check_noncontiguous(test, false);
}

/* Small blocks, of a size that has a place within its own boundary. */
static void pools(struct kunit *test)
{
	unsigned int i, nr = 300, size = 192, boundary = 1024;
	struct device *dev = xdt_dev(test);
	struct dma_pool *pool;
	struct area *areas;

	areas = kunit_kcalloc(test, nr, sizeof(*areas), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, areas);
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	pool = dma_pool_create("xdt", dev, size, 64, boundary);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	for (i = 0; i < nr; i++) {
		areas[i].addr = dma_pool_zalloc(pool, GFP_KERNEL,
						&areas[i].bus);
		areas[i].size = size;
		KUNIT_EXPECT_NOT_NULL(test, areas[i].addr);
		if (!areas[i].addr)
			continue;
		KUNIT_EXPECT_EQ(test, 0, areas[i].bus % 64);
		KUNIT_EXPECT_EQ(test, areas[i].bus / boundary,
				(areas[i].bus + size - 1) / boundary);
		KUNIT_EXPECT_LE(test, areas[i].bus, DMA_BIT_MASK(32));
		xdt_fill(areas[i].addr, size, i);
	}
	for (i = 0; i < nr; i++) {
		u8 seen[32];

		if (!areas[i].addr)
			continue;
		KUNIT_EXPECT_EQ(test, size,
				xdt_match(areas[i].addr, size, i, 0));
		if (i % 50 == 0) {
			KUNIT_EXPECT_EQ(test, 0, xdt_peek(areas[i].bus, seen,
							  sizeof(seen)));
			KUNIT_EXPECT_EQ(test, sizeof(seen),
					xdt_match(seen, sizeof(seen), i, 0));
		}
		dma_pool_free(pool, areas[i].addr, areas[i].bus);
	}
	dma_pool_destroy(pool);
}

static void managed(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	struct area area = { .size = SZ_16K };

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	area.addr = dmam_alloc_coherent(dev, area.size, &area.bus, GFP_KERNEL);
	if (check_area(test, &area)) {
		check_seen(test, &area, 1);
		dmam_free_coherent(dev, area.size, area.addr, area.bus);
	}
}

/* A list of the pages shows the same memory. */
static void sgtable(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	struct sg_page_iter iter;
	struct sg_table table;
	struct area area;
	size_t done = 0;
	int ret;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	take(test, &area, SZ_32K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area.addr);
	xdt_fill(area.addr, area.size, 1);
	ret = dma_get_sgtable(dev, &table, area.addr, area.bus, area.size);
	KUNIT_EXPECT_EQ(test, 0, ret);
	if (!ret) {
		for_each_sgtable_page(&table, &iter, 0) {
			void *addr = kmap_local_page(sg_page_iter_page(&iter));

			KUNIT_EXPECT_EQ(test, PAGE_SIZE,
					xdt_match(addr, PAGE_SIZE, 1, done));
			kunmap_local(addr);
			done += PAGE_SIZE;
		}
		KUNIT_EXPECT_EQ(test, area.size, done);
		sg_free_table(&table);
	}
	give(test, &area);
}

/* An odd multiple of what there is: an error, and nothing is taken. */
static void too_large(struct kunit *test)
{
	struct area area;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	take(test, &area, 5UL << 30, GFP_KERNEL);
	KUNIT_EXPECT_NULL(test, area.addr);
	give(test, &area);
}

static struct kunit_case coherent_cases[] = {
	KUNIT_CASE(orders_64),
	KUNIT_CASE(orders_32),
	KUNIT_CASE(orders_30),
	KUNIT_CASE(odd_sizes),
	KUNIT_CASE(atomic),
	KUNIT_CASE(distinct),
	KUNIT_CASE(freed_memory_works),
	KUNIT_CASE(no_leak),
	KUNIT_CASE(pages_synced),
	KUNIT_CASE(pages_direct),
	KUNIT_CASE(noncontiguous_synced),
	KUNIT_CASE(noncontiguous_direct),
	KUNIT_CASE(pools),
	KUNIT_CASE(managed),
	KUNIT_CASE(sgtable),
	KUNIT_CASE(too_large),
	{ }
};

static struct kunit_suite coherent_suite = {
	.name = "xdt_coherent",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = coherent_cases,
};

kunit_test_suite(coherent_suite);

MODULE_DESCRIPTION("DMA tests: coherent memory");
MODULE_LICENSE("GPL");
