// SPDX-License-Identifier: GPL-2.0
/*
 * Scatterlists: however many segments come out of the entries that go in, the
 * device sees their bytes in order, and no segment is one that it can't take.
 *
 * The bytes of a list are one pattern from end to end. Segments are read
 * through the bus with the returned count, addresses and lengths alone.
 */
#include <linux/module.h>

#include "xdt.h"

/* More than fit into one page of entries, so that the list is chained. */
#define MANY		(SG_MAX_SINGLE_ALLOC + 20)

/* What has to be used in place; older kernels can't say it. */
#ifdef DMA_ATTR_REQUIRE_COHERENT
#define XDT_REQUIRE_COHERENT	DMA_ATTR_REQUIRE_COHERENT
#else
#define XDT_REQUIRE_COHERENT	0
#endif

/* How many segments of a long list the device looks at. */
#define LOOKS		40

static void set_pattern(struct sg_table *table, unsigned int seed)
{
	struct scatterlist *sg;
	size_t pos = 0, j;
	unsigned int i;

	for_each_sgtable_sg(table, sg, i) {
		u8 *p = sg_virt(sg);

		for (j = 0; j < sg->length; j++)
			p[j] = xdt_byte(seed, pos++);
	}
}

static size_t match_pattern(struct kunit *test, struct sg_table *table,
			    unsigned int seed)
{
	struct scatterlist *sg;
	size_t pos = 0;
	unsigned int i;

	for_each_sgtable_sg(table, sg, i) {
		KUNIT_EXPECT_EQ_MSG(test, sg->length,
				    xdt_match(sg_virt(sg), sg->length, seed,
					      pos),
				    "entry %u", i);
		pos += sg->length;
	}
	return pos;
}

/* Moves the first bytes of about LOOKS segments, or all with @every. */
static void move(struct kunit *test, struct sg_table *table, bool poke,
		 unsigned int seed, bool every)
{
	unsigned int step = every ? 1 : DIV_ROUND_UP(table->nents, LOOKS);
	unsigned int i, n = 0, max = 0;
	struct scatterlist *sg;
	struct xdt_op *ops;
	size_t *first;
	size_t pos = 0;

	for_each_sgtable_dma_sg(table, sg, i)
		max += DIV_ROUND_UP(sg_dma_len(sg), XDT_XFER_MAX);
	ops = kunit_kcalloc(test, max, sizeof(*ops), GFP_KERNEL);
	first = kunit_kcalloc(test, max, sizeof(*first), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	KUNIT_ASSERT_NOT_NULL(test, first);
	for_each_sgtable_dma_sg(table, sg, i) {
		size_t part, len, end = every ? sg_dma_len(sg) : 1;
		size_t j;

		for (part = 0; i % step == 0 && part < end; part += len, n++) {
			u8 *buf;

			len = min_t(size_t, sg_dma_len(sg) - part,
				    XDT_XFER_MAX);
			buf = kunit_kzalloc(test, len, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, buf);
			for (j = 0; poke && j < len; j++)
				buf[j] = xdt_byte(seed, pos + part + j);
			ops[n].bus = sg_dma_address(sg) + part;
			ops[n].buf = buf;
			ops[n].len = len;
			ops[n].poke = poke;
			first[n] = pos + part;
		}
		pos += sg_dma_len(sg);
	}
	KUNIT_ASSERT_NE(test, 0, n);
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, n));
	for (i = 0; !poke && i < n; i++)
		KUNIT_EXPECT_EQ_MSG(test, ops[i].len,
				    xdt_match(ops[i].buf, ops[i].len, seed,
					      first[i]),
				    "byte %zu of the list", first[i]);
}

static size_t length(struct sg_table *table)
{
	struct scatterlist *sg;
	size_t total = 0;
	unsigned int i;

	for_each_sgtable_sg(table, sg, i)
		total += sg->length;
	return total;
}

/* Entries of all lengths and offsets, each in a page of its own. */
static struct sg_table *many(struct kunit *test, unsigned int nents)
{
	struct sg_table *table = xdt_table(test, nents);
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(table, sg, i) {
		unsigned int offset = i * 379 % 2000;
		unsigned int len = 1 + i * 523 % 2096;

		sg_set_buf(sg, xdt_high(test, 0) + offset, len);
	}
	set_pattern(table, 1);
	return table;
}

static void check_many(struct kunit *test, unsigned int bits)
{
	struct sg_table *table = many(test, MANY);
	struct scatterlist *sg;
	unsigned int i;

	xdt_mask(test, bits);
	xdt_map_table(test, table, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	move(test, table, false, 1, false);
	if (bits < 64) {
		/* What is in the bounce buffers is the list, all of it. */
		for_each_sgtable_sg(table, sg, i)
			memset(sg_virt(sg), 0, sg->length);
		xdt_unmap_table(test, table);
		KUNIT_EXPECT_EQ(test, length(table),
				match_pattern(test, table, 1));
	}
}

static void many_bounced(struct kunit *test)
{
	check_many(test, 32);
}

static void many_direct(struct kunit *test)
{
	check_many(test, 64);
}

/* The device writes the list; what surrounds the entries stays. */
static void from_device(struct kunit *test)
{
	unsigned int nents = 16, i;
	struct sg_table *table = many(test, nents);
	struct scatterlist *sg;

	for_each_sgtable_sg(table, sg, i)
		xdt_fill(sg_virt(sg) - sg->offset, PAGE_SIZE, i);
	xdt_mask(test, 32);
	xdt_map_table(test, table, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	move(test, table, true, 7, true);
	xdt_unmap_table(test, table);
	KUNIT_EXPECT_EQ(test, length(table), match_pattern(test, table, 7));
	for_each_sgtable_sg(table, sg, i) {
		size_t end = sg->offset + sg->length;
		u8 *page = sg_virt(sg) - sg->offset;

		KUNIT_EXPECT_EQ(test, sg->offset,
				xdt_match(page, sg->offset, i, 0));
		KUNIT_EXPECT_EQ(test, PAGE_SIZE - end,
				xdt_match(page + end, PAGE_SIZE - end, i, end));
	}
}

/* A list of one entry, several pages long. */
static void single_entry(struct kunit *test)
{
	struct sg_table *table = xdt_table(test, 1);

	sg_set_buf(table->sgl, xdt_high(test, 2) + 77, 3 * PAGE_SIZE);
	set_pattern(table, 3);
	xdt_mask(test, 32);
	xdt_map_table(test, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	move(test, table, false, 3, true);
}

/* Neighbours in the machine, cut into entries of @len bytes. */
static struct sg_table *neighbours(struct kunit *test, unsigned int order,
				   unsigned int len)
{
	unsigned int nents = (PAGE_SIZE << order) / len, i;
	struct sg_table *table = xdt_table(test, nents);
	u8 *buf = xdt_gathered(test, order);
	struct scatterlist *sg;

	for_each_sgtable_sg(table, sg, i)
		sg_set_buf(sg, buf + (size_t)i * len, len);
	set_pattern(table, 5);
	return table;
}

static void check_limits(struct kunit *test, unsigned int bits,
			 unsigned int len, u64 boundary, unsigned int max_seg)
{
	struct sg_table *table = neighbours(test, 5, len);

	dma_set_seg_boundary(xdt_dev(test), boundary);
	dma_set_max_seg_size(xdt_dev(test), max_seg);
	xdt_mask(test, bits);
	xdt_map_table(test, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	move(test, table, false, 5, true);
}

static void max_seg_bounced(struct kunit *test)
{
	check_limits(test, 32, 4096, DMA_BIT_MASK(32), 8192);
}

static void max_seg_direct(struct kunit *test)
{
	check_limits(test, 64, 4096, DMA_BIT_MASK(32), 8192);
}

static void boundary_4k_bounced(struct kunit *test)
{
	check_limits(test, 32, 4096, SZ_4K - 1, SZ_4K);
}

static void boundary_64k_bounced(struct kunit *test)
{
	check_limits(test, 32, 16384, SZ_64K - 1, SZ_64K);
}

static void boundary_64k_direct(struct kunit *test)
{
	/* Entries of a page, none of which crosses the boundary by itself. */
	check_limits(test, 64, 4096, SZ_64K - 1, SZ_64K);
}

/* Entries at odd offsets and of odd lengths, which need not start a slot. */
static void check_odd(struct kunit *test, u64 boundary)
{
	unsigned int nents = 24, i;
	struct sg_table *table = xdt_table(test, nents);
	struct scatterlist *sg;

	for_each_sgtable_sg(table, sg, i) {
		unsigned int len = min_t(u64, boundary + 1, 1 + i * 1021);

		sg_set_buf(sg, xdt_high(test, 3) + i * 331 % PAGE_SIZE, len);
	}
	set_pattern(table, 6);
	dma_set_seg_boundary(xdt_dev(test), boundary);
	xdt_mask(test, 32);
	xdt_map_table(test, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	move(test, table, false, 6, false);
}

static void boundary_4k_odd(struct kunit *test)
{
	check_odd(test, SZ_4K - 1);
}

static void boundary_64k_odd(struct kunit *test)
{
	check_odd(test, SZ_64K - 1);
}

/*
 * The device reaches all of this entry and it is in one piece, but across a
 * boundary in the machine. Where it lies for the CPU does not matter.
 */
static void boundary_crossed_direct(struct kunit *test)
{
	struct sg_table *table = xdt_table(test, 1);
	dma_addr_t machine, edge;
	unsigned int order = 5;
	u8 *buf;

	buf = xdt_gathered(test, order);
	machine = xdt_machine(test, buf);
	edge = round_up(machine + 1, SZ_64K);
	KUNIT_ASSERT_LT(test, edge + PAGE_SIZE,
			machine + (PAGE_SIZE << order));
	sg_set_buf(table->sgl, buf + (edge - machine) - 1000, 3000);
	set_pattern(table, 8);
	dma_set_seg_boundary(xdt_dev(test), SZ_64K - 1);
	xdt_map_table(test, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	move(test, table, false, 8, true);
}

/* An alignment mask holds for each entry of a list. */
static void align(struct kunit *test)
{
	struct sg_table *table = many(test, 16);
	struct scatterlist *sg;
	unsigned int i;

	dma_set_min_align_mask(xdt_dev(test), SZ_4K - 1);
	xdt_mask(test, 32);
	xdt_map_table(test, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	/* No two of these entries fit together, so none can be merged. */
	KUNIT_ASSERT_EQ(test, table->nents, table->orig_nents);
	for_each_sgtable_dma_sg(table, sg, i)
		KUNIT_EXPECT_EQ(test, sg_dma_address(sg) & (SZ_4K - 1),
				sg->offset);
	move(test, table, false, 1, true);
}

/* Pages from all over the machine: one segment, when all are bounced. */
static void merged_bounced(struct kunit *test)
{
	struct sg_table *table = xdt_table(test, 64);
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_sg(table, sg, i)
		sg_set_buf(sg, xdt_high(test, 0), PAGE_SIZE);
	set_pattern(table, 9);
	dma_set_max_seg_size(xdt_dev(test), SZ_1M);
	xdt_mask(test, 32);
	xdt_map_table(test, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	KUNIT_EXPECT_EQ(test, 1, table->nents);
	move(test, table, false, 9, true);
}

/* Neighbours in the machine: one segment, where they are. */
static void merged_direct(struct kunit *test)
{
	struct sg_table *table = neighbours(test, 5, PAGE_SIZE);

	dma_set_max_seg_size(xdt_dev(test), SZ_1M);
	dma_set_seg_boundary(xdt_dev(test), ULONG_MAX);
	xdt_map_table(test, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, length(table), xdt_check_table(test, table));
	KUNIT_EXPECT_EQ(test, 1, table->nents);
	move(test, table, false, 5, true);
}

/* A part of a segment that several entries share is synchronised, no more. */
static void merged_sync(struct kunit *test)
{
	unsigned int nents = 8, len = 3000, first = 2500, last = 6500, i, j;
	struct sg_table *table = xdt_table(test, nents);
	struct scatterlist *sg;
	size_t pos = 0;

	for_each_sgtable_sg(table, sg, i)
		sg_set_buf(sg, xdt_high(test, 0) + 100 * i, len);
	set_pattern(table, 1);
	xdt_mask(test, 32);
	xdt_map_table(test, table, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, 1, table->nents);
	move(test, table, true, 2, true);
	dma_sync_single_for_cpu(xdt_dev(test),
				sg_dma_address(table->sgl) + first,
				last - first, DMA_BIDIRECTIONAL);
	for_each_sgtable_sg(table, sg, i) {
		u8 *p = sg_virt(sg);

		for (j = 0; j < len; j++, pos++) {
			bool synced = pos >= first && pos < last;

			if (p[j] != xdt_byte(synced ? 2 : 1, pos))
				break;
		}
		KUNIT_EXPECT_EQ_MSG(test, len, j, "entry %u", i);
	}
	xdt_unmap_table(test, table);
	KUNIT_EXPECT_EQ(test, length(table), match_pattern(test, table, 2));
}

/* Makes nonsense of what points to the pages, and sense again. */
static void scramble(struct sg_table *table)
{
	struct scatterlist *sg = table->sgl;
	unsigned int i;

	for (i = 0; i < table->orig_nents; i++, sg++)
		sg->page_link ^= ~0xffUL;
}

/*
 * While a list is mapped, others may change what points to its pages, as the
 * dma-buf core does to find importers that look there.
 */
static void changed_while_mapped(struct kunit *test)
{
	struct sg_table *table = many(test, 16);

	xdt_mask(test, 32);
	xdt_map_table(test, table, DMA_BIDIRECTIONAL);
	scramble(table);
	move(test, table, false, 1, true);
	move(test, table, true, 2, true);
	dma_sync_sgtable_for_cpu(xdt_dev(test), table, DMA_BIDIRECTIONAL);
	scramble(table);
	KUNIT_EXPECT_EQ(test, length(table), match_pattern(test, table, 2));
	set_pattern(table, 3);
	scramble(table);
	dma_sync_sgtable_for_device(xdt_dev(test), table, DMA_BIDIRECTIONAL);
	move(test, table, false, 3, true);
	move(test, table, true, 4, true);
	xdt_unmap_table(test, table);
	scramble(table);
	KUNIT_EXPECT_EQ(test, length(table), match_pattern(test, table, 4));
}

/* A buffer of SCATTERED pages that are neighbours for the kernel only. */
#define SCATTERED_ORDER	6
#define SCATTERED	BIT(SCATTERED_ORDER)

/* Does the device see each page where it lies, and is there no copy? */
static void expect_in_place(struct kunit *test, struct scatterlist *sgl,
			    unsigned int nents, const dma_addr_t *machine)
{
	struct scatterlist *sg;
	unsigned int i, page = 0;
	size_t at;

	for_each_sg(sgl, sg, nents, i)
		for (at = 0; at < sg_dma_len(sg); at += PAGE_SIZE, page++)
			KUNIT_EXPECT_EQ_MSG(test, machine[page],
					    sg_dma_address(sg) + at, "page %u", page);
	KUNIT_EXPECT_EQ(test, SCATTERED, page);
}

/* Scattered pages, and where in the machine each is. */
static u8 *scattered_pages(struct kunit *test, struct page **pages,
			   dma_addr_t *machine)
{
	u8 *buf = xdt_scattered(test, SCATTERED_ORDER);
	unsigned int i;

	for (i = 0; i < SCATTERED; i++) {
		pages[i] = virt_to_page(buf + i * PAGE_SIZE);
		machine[i] = xdt_machine(test, buf + i * PAGE_SIZE);
	}
	dma_set_max_seg_size(xdt_dev(test), SZ_1M);
	dma_set_seg_boundary(xdt_dev(test), ULONG_MAX);
	return buf;
}

/*
 * The kernel makes one entry of neighbours, as GPU and RDMA drivers let it. The device
 * reaches all of them, so it has to find them where they are: many such drivers never
 * synchronise a copy, and some say so.
 */
static void from_pages(struct kunit *test)
{
	dma_addr_t *machine = kunit_kcalloc(test, SCATTERED, sizeof(*machine),
					    GFP_KERNEL);
	struct page *pages[SCATTERED];
	struct sg_table *table;

	KUNIT_ASSERT_NOT_NULL(test, machine);
	scattered_pages(test, pages, machine);
	table = xdt_table_from_pages(test, pages, SCATTERED);
	set_pattern(table, 4);
	KUNIT_ASSERT_EQ(test, 0, xdt_try_map_table(test, table, DMA_TO_DEVICE,
						   XDT_REQUIRE_COHERENT));
	expect_in_place(test, table->sgl, table->nents, machine);
	move(test, table, false, 4, true);
}

/* The same in two steps, the second of which begins where the machine has a gap. */
static void appended_pages(struct kunit *test)
{
	dma_addr_t *machine = kunit_kcalloc(test, SCATTERED, sizeof(*machine),
					    GFP_KERNEL);
	struct sg_append_table table = { };
	struct page *pages[SCATTERED];
	unsigned int nr = 1;

	KUNIT_ASSERT_NOT_NULL(test, machine);
	scattered_pages(test, pages, machine);
	while (machine[nr] == machine[nr - 1] + PAGE_SIZE)
		nr++;
	KUNIT_EXPECT_EQ(test, 0,
			sg_alloc_append_table_from_pages(&table, pages, nr, 0,
							 nr << PAGE_SHIFT, SZ_1M,
							 SCATTERED - nr, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0,
			sg_alloc_append_table_from_pages(&table, pages + nr,
							 SCATTERED - nr, 0,
							 (SCATTERED - nr) << PAGE_SHIFT,
							 SZ_1M, 0, GFP_KERNEL));
	if (!dma_map_sgtable(xdt_dev(test), &table.sgt, DMA_TO_DEVICE, 0)) {
		expect_in_place(test, table.sgt.sgl, table.sgt.nents, machine);
		dma_unmap_sgtable(xdt_dev(test), &table.sgt, DMA_TO_DEVICE, 0);
	} else {
		KUNIT_FAIL(test, "the table can't be mapped");
	}
	sg_free_append_table(&table);
}

static struct kunit_case sg_cases[] = {
	KUNIT_CASE(many_bounced),
	KUNIT_CASE(many_direct),
	KUNIT_CASE(from_device),
	KUNIT_CASE(single_entry),
	KUNIT_CASE(max_seg_bounced),
	KUNIT_CASE(max_seg_direct),
	KUNIT_CASE(boundary_4k_bounced),
	KUNIT_CASE(boundary_64k_bounced),
	KUNIT_CASE(boundary_64k_direct),
	KUNIT_CASE(boundary_4k_odd),
	KUNIT_CASE(boundary_64k_odd),
	KUNIT_CASE(boundary_crossed_direct),
	KUNIT_CASE(align),
	KUNIT_CASE(merged_bounced),
	KUNIT_CASE(merged_direct),
	KUNIT_CASE(merged_sync),
	KUNIT_CASE(changed_while_mapped),
	KUNIT_CASE(from_pages),
	KUNIT_CASE(appended_pages),
	{ }
};

static struct kunit_suite sg_suite = {
	.name = "xdt_sg",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = sg_cases,
};

kunit_test_suite(sg_suite);

MODULE_DESCRIPTION("DMA tests: scatterlists");
MODULE_LICENSE("GPL");
