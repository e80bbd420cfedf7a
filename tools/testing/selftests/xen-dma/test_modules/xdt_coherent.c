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
#include <linux/kmsg_dump.h>
#include <linux/module.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "xdt.h"

/* The page allocator's largest order where pages are 4 KiB. */
#define LARGEST_ORDER	10
#define NR_ORDERS	(LARGEST_ORDER + 1)

/* More than that order. */
#define LARGE		SZ_8M

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

static void take_attrs(struct kunit *test, struct area *area, size_t size,
		       gfp_t gfp, unsigned long attrs)
{
	area->size = size;
	area->addr = dma_alloc_attrs(xdt_dev(test), size, &area->bus,
				     gfp | __GFP_NOWARN, attrs);
}

static void take(struct kunit *test, struct area *area, size_t size, gfp_t gfp)
{
	take_attrs(test, area, size, gfp, 0);
}

static void give_attrs(struct kunit *test, struct area *area,
		       unsigned long attrs)
{
	if (area->addr)
		dma_free_attrs(xdt_dev(test), area->size, area->addr, area->bus,
			       attrs);
	area->addr = NULL;
}

static void give(struct kunit *test, struct area *area)
{
	give_attrs(test, area, 0);
}

/* Where it is on the bus; also of memory that the CPU does not see. */
static bool check_bus(struct kunit *test, const struct area *area)
{
	size_t whole = PAGE_SIZE << get_order(area->size);

	KUNIT_EXPECT_NOT_NULL_MSG(test, area->addr, "no %zu bytes", area->size);
	if (!area->addr)
		return false;
	KUNIT_EXPECT_EQ_MSG(test, 0, area->bus & (whole - 1),
			    "%zu bytes are not aligned", area->size);
	KUNIT_EXPECT_LE_MSG(test, area->bus + area->size - 1,
			    xdt_dev(test)->coherent_dma_mask,
			    "%zu bytes are above the mask", area->size);
	return true;
}

static bool check_area(struct kunit *test, const struct area *area)
{
	if (!check_bus(test, area))
		return false;
	KUNIT_EXPECT_NULL_MSG(test, memchr_inv(area->addr, 0, area->size),
			      "%zu bytes are not zeroed", area->size);
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

/* Several sizes at a time. */
static void check_sizes(struct kunit *test, unsigned int bits,
			const size_t *sizes, unsigned int nr)
{
	struct area *areas;
	unsigned int i;

	areas = kunit_kcalloc(test, nr, sizeof(*areas), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, areas);
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(bits)));
	for (i = 0; i < nr; i++) {
		take(test, &areas[i], sizes[i], GFP_KERNEL);
		check_area(test, &areas[i]);
	}
	check_seen(test, areas, nr);
	for (i = 0; i < nr; i++)
		give(test, &areas[i]);
}

static void odd_sizes(struct kunit *test)
{
	static const size_t sizes[] = {
		8, 100, 4097, 12288, 20480, 65537, 300000, 1200000,
	};

	check_sizes(test, 32, sizes, ARRAY_SIZE(sizes));
}

/* Above what the page allocator has in one block. */

static const size_t large_sizes[] = { SZ_8M, SZ_32M };

static void large_32(struct kunit *test)
{
	check_sizes(test, 32, large_sizes, ARRAY_SIZE(large_sizes));
}

static void large_64(struct kunit *test)
{
	check_sizes(test, 64, large_sizes, ARRAY_SIZE(large_sizes));
}

static void large_odd_sizes(struct kunit *test)
{
	static const size_t sizes[] = {
		5 * SZ_1M + PAGE_SIZE, 48 * SZ_1M, 9 * SZ_1M - 5,
	};

	check_sizes(test, 32, sizes, ARRAY_SIZE(sizes));
}

static const size_t huge_size = SZ_256M;

static void huge_32(struct kunit *test)
{
	check_sizes(test, 32, &huge_size, 1);
}

static void huge_64(struct kunit *test)
{
	check_sizes(test, 64, &huge_size, 1);
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

/* Attributes that ask for more, or for less, than there is without them. */

static void check_attrs(struct kunit *test, size_t size, unsigned long attrs)
{
	struct area area;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(32)));
	take_attrs(test, &area, size, GFP_KERNEL, attrs);
	if (check_area(test, &area))
		check_seen(test, &area, 1);
	give_attrs(test, &area, attrs);
}

static void force_contiguous(struct kunit *test)
{
	check_attrs(test, SZ_64K, DMA_ATTR_FORCE_CONTIGUOUS);
}

static void force_contiguous_large(struct kunit *test)
{
	check_attrs(test, LARGE, DMA_ATTR_FORCE_CONTIGUOUS);
}

static void single_pages(struct kunit *test)
{
	check_attrs(test, SZ_64K, DMA_ATTR_ALLOC_SINGLE_PAGES);
}

static void single_pages_large(struct kunit *test)
{
	check_attrs(test, LARGE, DMA_ATTR_ALLOC_SINGLE_PAGES);
}

/*
 * What comes back is no address, only good for the other calls with the same
 * attribute: the pages of the table are the memory, in the order of the bus.
 */
static void check_unmapped(struct kunit *test, size_t size)
{
	unsigned long attrs = DMA_ATTR_NO_KERNEL_MAPPING;
	struct device *dev = xdt_dev(test);
	struct sg_page_iter iter;
	struct sg_table table;
	struct area area;
	size_t done = 0;
	u64 seen[2] = { };
	int ret;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	take_attrs(test, &area, size, GFP_KERNEL, attrs);
	if (!check_bus(test, &area))
		return;
	ret = dma_get_sgtable_attrs(dev, &table, area.addr, area.bus, size,
				    attrs);
	KUNIT_EXPECT_EQ(test, 0, ret);
	if (!ret) {
		for_each_sgtable_page(&table, &iter, 0) {
			u64 *word = kmap_local_page(sg_page_iter_page(&iter));

			if (memchr_inv(word, 0, PAGE_SIZE))
				KUNIT_FAIL(test, "page %lu is not zeroed",
					   done / PAGE_SIZE);
			*word = done + 1;
			kunmap_local(word);
			done += PAGE_SIZE;
		}
		KUNIT_EXPECT_EQ(test, size, done);
		KUNIT_EXPECT_EQ(test, 0, xdt_peek(area.bus, &seen[0],
						  sizeof(seen[0])));
		KUNIT_EXPECT_EQ(test, 0, xdt_peek(area.bus + size - PAGE_SIZE,
						  &seen[1], sizeof(seen[1])));
		KUNIT_EXPECT_EQ(test, 1, seen[0]);
		KUNIT_EXPECT_EQ(test, size - PAGE_SIZE + 1, seen[1]);
		sg_free_table(&table);
	}
	give_attrs(test, &area, attrs);
}

static void no_kernel_mapping(struct kunit *test)
{
	check_unmapped(test, SZ_64K);
}

static void no_kernel_mapping_large(struct kunit *test)
{
	check_unmapped(test, LARGE);
}

/* New lines of the kernel log that hold both words. */
static unsigned int log_lines(struct kmsg_dump_iter iter, const char *word,
			      const char *other)
{
	unsigned int n = 0;
	char line[512];
	size_t len;

	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = 0;
		n += strstr(line, word) && strstr(line, other);
	}
	return n;
}

/* What can't be had below 4 GiB. The log is read from where it is now. */
static void fail(struct kunit *test, struct kmsg_dump_iter *iter, gfp_t gfp,
		 unsigned long attrs)
{
	struct device *dev = xdt_dev(test);
	size_t size = 5UL << 30;
	dma_addr_t bus;
	void *addr;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	kmsg_dump_rewind(iter);
	iter->cur_seq = iter->next_seq;
	addr = dma_alloc_attrs(dev, size, &bus, gfp, attrs);
	KUNIT_EXPECT_NULL(test, addr);
	if (addr)
		dma_free_attrs(dev, size, addr, bus, attrs);
}

static void no_warn(struct kunit *test)
{
	const char *name = dev_name(xdt_dev(test));
	struct kmsg_dump_iter iter;

	fail(test, &iter, GFP_KERNEL, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(test, 0, log_lines(iter, name, ""));
	KUNIT_EXPECT_EQ(test, 0, log_lines(iter, "WARNING", ""));
	fail(test, &iter, GFP_KERNEL | __GFP_NOWARN, 0);
	KUNIT_EXPECT_EQ(test, 0, log_lines(iter, name, ""));
	KUNIT_EXPECT_EQ(test, 0, log_lines(iter, "WARNING", ""));
}

static void warn(struct kunit *test)
{
	const char *name = dev_name(xdt_dev(test));
	struct kmsg_dump_iter iter;

	fail(test, &iter, GFP_KERNEL, 0);
	KUNIT_EXPECT_EQ(test, 1, log_lines(iter, name, ""));
	KUNIT_EXPECT_EQ(test, 1, log_lines(iter, name, "5368709120"));
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

/*
 * More than the page allocator has in one block: in one piece for the CPU too, as
 * the first page stands for all of them.
 */
static void pages_large(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	struct area area = { .size = LARGE };
	struct page *page;

	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(dev,
							   DMA_BIT_MASK(32)));
	page = dma_alloc_pages(dev, area.size, &area.bus, DMA_BIDIRECTIONAL,
			       GFP_KERNEL | __GFP_NOWARN);
	KUNIT_ASSERT_NOT_NULL(test, page);
	area.addr = page_address(page);
	if (check_area(test, &area))
		check_seen(test, &area, 1);
	dma_free_pages(dev, area.size, page, area.bus, DMA_BIDIRECTIONAL);
}

static void noncontiguous_large(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	struct area area = { .size = LARGE };
	struct sg_table *table;

	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(dev,
							   DMA_BIT_MASK(32)));
	/* It comes as one segment. */
	dma_set_max_seg_size(dev, UINT_MAX);
	table = dma_alloc_noncontiguous(dev, area.size, DMA_BIDIRECTIONAL,
					GFP_KERNEL | __GFP_NOWARN, 0);
	KUNIT_ASSERT_NOT_NULL(test, table);
	/* Without an IOMMU it is in one piece after all. */
	KUNIT_EXPECT_EQ(test, 1, table->nents);
	KUNIT_EXPECT_EQ(test, area.size, sg_dma_len(table->sgl));
	area.bus = sg_dma_address(table->sgl);
	area.addr = dma_vmap_noncontiguous(dev, area.size, table);
	if (check_area(test, &area))
		check_seen(test, &area, 1);
	if (area.addr)
		dma_vunmap_noncontiguous(dev, area.addr);
	dma_free_noncontiguous(dev, area.size, table, DMA_BIDIRECTIONAL);
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

/* Blocks each of which is an allocation of its own. */
static void check_pool(struct kunit *test, size_t size)
{
	struct device *dev = xdt_dev(test);
	struct area areas[3] = { };
	struct dma_pool *pool;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	pool = dma_pool_create("xdt", dev, size, size, 0);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		areas[i].size = size;
		areas[i].addr = dma_pool_zalloc(pool, GFP_KERNEL | __GFP_NOWARN,
						&areas[i].bus);
		check_area(test, &areas[i]);
	}
	check_seen(test, areas, ARRAY_SIZE(areas));
	for (i = 0; i < ARRAY_SIZE(areas); i++)
		if (areas[i].addr)
			dma_pool_free(pool, areas[i].addr, areas[i].bus);
	dma_pool_destroy(pool);
}

static void pool_64k(struct kunit *test)
{
	check_pool(test, SZ_64K);
}

static void pool_large(struct kunit *test)
{
	check_pool(test, LARGE);
}

static void managed_pool(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	struct area area = { .size = SZ_64K };
	struct dma_pool *pool;

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	pool = dmam_pool_create("xdt", dev, area.size, area.size, 0);
	KUNIT_ASSERT_NOT_NULL(test, pool);
	area.addr = dma_pool_zalloc(pool, GFP_KERNEL, &area.bus);
	if (check_area(test, &area)) {
		check_seen(test, &area, 1);
		dma_pool_free(pool, area.addr, area.bus);
	}
	dmam_pool_destroy(pool);
}

static void managed_large(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	struct area area = { .size = LARGE };

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	area.addr = dmam_alloc_attrs(dev, area.size, &area.bus,
				     GFP_KERNEL | __GFP_NOWARN, 0);
	if (check_area(test, &area)) {
		check_seen(test, &area, 1);
		dmam_free_coherent(dev, area.size, area.addr, area.bus);
	}
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

/*
 * A list of the pages shows the same memory, and mapping it for the device finds
 * that it is where it was.
 */
static void check_sgtable(struct kunit *test, size_t size)
{
	struct device *dev = xdt_dev(test);
	struct sg_page_iter iter;
	struct sg_table table;
	struct area area;
	size_t done = 0;
	int ret;

	KUNIT_ASSERT_EQ(test, 0, dma_set_mask_and_coherent(dev,
							   DMA_BIT_MASK(32)));
	dma_set_max_seg_size(dev, UINT_MAX);
	take(test, &area, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area.addr);
	xdt_fill(area.addr, area.size, 1);
	ret = dma_get_sgtable(dev, &table, area.addr, area.bus, area.size);
	KUNIT_EXPECT_EQ(test, 0, ret);
	if (ret)
		goto out;
	for_each_sgtable_page(&table, &iter, 0) {
		void *addr = kmap_local_page(sg_page_iter_page(&iter));

		KUNIT_EXPECT_EQ(test, PAGE_SIZE,
				xdt_match(addr, PAGE_SIZE, 1, done));
		kunmap_local(addr);
		done += PAGE_SIZE;
	}
	KUNIT_EXPECT_EQ(test, area.size, done);
	/* What is coherent needs no sync, as an exporter of such a list says. */
	ret = dma_map_sgtable(dev, &table, DMA_BIDIRECTIONAL,
			      DMA_ATTR_SKIP_CPU_SYNC);
	KUNIT_EXPECT_EQ(test, 0, ret);
	if (!ret) {
		KUNIT_EXPECT_EQ(test, 1, table.nents);
		KUNIT_EXPECT_EQ(test, area.bus, sg_dma_address(table.sgl));
		KUNIT_EXPECT_EQ(test, area.size, sg_dma_len(table.sgl));
		dma_unmap_sgtable(dev, &table, DMA_BIDIRECTIONAL,
				  DMA_ATTR_SKIP_CPU_SYNC);
	}
	sg_free_table(&table);
out:
	give(test, &area);
}

static void sgtable(struct kunit *test)
{
	check_sgtable(test, SZ_32K);
}

static void sgtable_large(struct kunit *test)
{
	check_sgtable(test, LARGE);
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
	KUNIT_CASE(large_64),
	KUNIT_CASE(large_32),
	KUNIT_CASE(large_odd_sizes),
	KUNIT_CASE(huge_64),
	KUNIT_CASE(huge_32),
	KUNIT_CASE(atomic),
	KUNIT_CASE(distinct),
	KUNIT_CASE(freed_memory_works),
	KUNIT_CASE(no_leak),
	KUNIT_CASE(force_contiguous),
	KUNIT_CASE(force_contiguous_large),
	KUNIT_CASE(single_pages),
	KUNIT_CASE(single_pages_large),
	KUNIT_CASE(no_kernel_mapping),
	KUNIT_CASE(no_kernel_mapping_large),
	KUNIT_CASE(no_warn),
	KUNIT_CASE(warn),
	KUNIT_CASE(pages_synced),
	KUNIT_CASE(pages_direct),
	KUNIT_CASE(pages_large),
	KUNIT_CASE(noncontiguous_synced),
	KUNIT_CASE(noncontiguous_direct),
	KUNIT_CASE(noncontiguous_large),
	KUNIT_CASE(pools),
	KUNIT_CASE(pool_64k),
	KUNIT_CASE(pool_large),
	KUNIT_CASE(managed),
	KUNIT_CASE(managed_large),
	KUNIT_CASE(managed_pool),
	KUNIT_CASE(sgtable),
	KUNIT_CASE(sgtable_large),
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
