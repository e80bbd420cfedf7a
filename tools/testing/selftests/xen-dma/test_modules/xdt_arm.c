// SPDX-License-Identifier: GPL-2.0
/*
 * What the test modules for ARM share. The domain's memory is looked at once, when
 * this module is loaded, at every 2 MiB; where two looks differ, the page is found
 * at which one run ends and another one begins.
 *
 * A check maps buffers for the device to read and compares, then for the device to
 * write and compares; also what is beside them, which has to stay as it was. Test
 * cases run one at a time, so what they hold is kept here.
 */
#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <xen/balloon.h>
#include <xen/mem-reservation.h>

#include "xdt_arm.h"

#define XDT_STEP	SZ_2M

/* In what blocks memory is searched, as orders; not so small that others starve. */
#define XDT_LARGE	9
#define XDT_SMALL	4

#define XDT_BALLOON_TIMEOUT	(60 * HZ)
#define XDT_ASK_TIMEOUT		(60 * HZ)

/* How much of coherent memory's ends is looked at, in bytes. */
#define XDT_END		512

/* A search leaves the others so many pages. */
#define XDT_LEFT	((long)(SZ_16M / PAGE_SIZE))

/**
 * struct arm_block - memory that belongs to the test case
 * @list: in blocks
 * @page: the memory
 * @order: its size
 */
struct arm_block {
	struct list_head list;
	struct page *page;
	unsigned int order;
};

static struct xdt_run runs[XDT_MAX_RUNS];
static unsigned int nr_runs;
static LIST_HEAD(blocks);
static LIST_HEAD(foreigns);

/* Runs */

static bool offset_of(phys_addr_t phys, u64 *offset)
{
	u64 bus;

	if (xdt_truth(phys, &bus))
		return false;
	*offset = bus - phys;
	return true;
}

static bool is_in(phys_addr_t phys, u64 offset)
{
	u64 here;

	return offset_of(phys, &here) && here == offset;
}

/* First page from @phys on that does not have @offset, which @last has not. */
static phys_addr_t find_end(phys_addr_t phys, phys_addr_t last, u64 offset)
{
	while (last - phys > PAGE_SIZE) {
		phys_addr_t mid = phys + round_down((last - phys) / 2,
						    PAGE_SIZE);

		if (is_in(mid, offset))
			phys = mid;
		else
			last = mid;
	}
	return last;
}

static void add_run(phys_addr_t start, u64 offset)
{
	runs[nr_runs].start = start;
	runs[nr_runs].end = start + PAGE_SIZE;
	runs[nr_runs].offset = offset;
	nr_runs++;
}

/*
 * A single page that has another offset than those around it makes no run, and a domain
 * that consists of such has none. Of a domain in very many pieces the first will do.
 */
static void scan(phys_addr_t start, phys_addr_t end)
{
	struct xdt_run *run = NULL;
	phys_addr_t phys, last = start;
	u64 offset;

	for (phys = start; phys < end; last = phys, phys += XDT_STEP) {
		if (!offset_of(phys, &offset))
			continue;
		if (run && offset == run->offset)
			continue;
		if (!is_in(phys + PAGE_SIZE, offset))
			continue;
		if (run)
			run->end = find_end(last, phys, run->offset);
		if (nr_runs == XDT_MAX_RUNS)
			return;
		add_run(run ? run->end : start, offset);
		run = &runs[nr_runs - 1];
	}
	if (run)
		run->end = end;
}

static void find_runs(void)
{
	struct device_node *node = NULL;
	struct resource res;
	unsigned int i;

	while ((node = of_find_node_by_type(node, "memory")))
		for (i = 0; !of_address_to_resource(node, i, &res); i++)
			scan(res.start, res.start + resource_size(&res));
	for (i = 0; i < nr_runs; i++)
		pr_info("xdt: run %pa-%pa offset %#llx\n", &runs[i].start,
			&runs[i].end, runs[i].offset);
}

/**
 * xdt_runs() - the runs of the domain's memory
 * @found: the runs
 *
 * Return: how many there are.
 */
unsigned int xdt_runs(const struct xdt_run **found)
{
	*found = runs;
	return nr_runs;
}
EXPORT_SYMBOL_GPL(xdt_runs);

/**
 * xdt_ram_within() - whether some of the domain's memory is within a mask
 * @mask: the mask
 *
 * Return: true when there are 2 MiB or more of it.
 */
bool xdt_ram_within(u64 mask)
{
	unsigned int i;

	for (i = 0; i < nr_runs; i++) {
		u64 last = runs[i].start + runs[i].offset - 1;

		last += min_t(u64, runs[i].end - runs[i].start, XDT_STEP);
		if (last <= mask)
			return true;
	}
	return false;
}
EXPORT_SYMBOL_GPL(xdt_ram_within);

/**
 * xdt_ram_beyond() - whether some of the domain's memory is beyond a mask
 * @mask: the mask
 *
 * Return: true when there are 2 MiB or more of it.
 */
bool xdt_ram_beyond(u64 mask)
{
	unsigned int i;

	for (i = 0; i < nr_runs; i++)
		if (runs[i].end + runs[i].offset > mask + XDT_STEP)
			return true;
	return false;
}
EXPORT_SYMBOL_GPL(xdt_ram_beyond);

/**
 * xdt_may_mask() - set the device's streaming mask, if it may have that
 * @test: the test, which fails when it may not, but there is such memory
 * @bits: width
 *
 * Return: true when it may.
 */
bool xdt_may_mask(struct kunit *test, unsigned int bits)
{
	u64 mask = DMA_BIT_MASK(bits);

	if (!dma_set_mask(xdt_dev(test), mask))
		return true;
	KUNIT_EXPECT_FALSE_MSG(test, xdt_ram_within(mask),
			       "%u bits are refused, but there is such memory",
			       bits);
	kunit_info(test, "%u bits are refused\n", bits);
	return false;
}
EXPORT_SYMBOL_GPL(xdt_may_mask);

/* Memory */

/**
 * xdt_where() - where a device finds memory
 * @test: the test, which fails and ends when that can't be found out
 * @addr: the memory, in the linear mapping or the vmalloc area
 *
 * Return: its bus address.
 */
u64 xdt_where(struct kunit *test, const void *addr)
{
	struct page *page = is_vmalloc_addr(addr) ? vmalloc_to_page(addr) :
						    virt_to_page(addr);
	u64 bus;

	KUNIT_ASSERT_EQ(test, 0, xdt_truth(page_to_phys(page), &bus));
	return bus + offset_in_page(addr);
}
EXPORT_SYMBOL_GPL(xdt_where);

static struct arm_block *add_block(unsigned int order, struct list_head *list)
{
	struct arm_block *block;

	if (si_mem_available() < XDT_LEFT)
		return NULL;
	block = kzalloc_obj(*block);
	if (!block)
		return NULL;
	block->page = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY,
				  order);
	if (!block->page) {
		kfree(block);
		return NULL;
	}
	block->order = order;
	list_add(&block->list, list);
	return block;
}

static void drop_blocks(struct list_head *list)
{
	struct arm_block *block, *next;

	list_for_each_entry_safe(block, next, list, list) {
		list_del(&block->list);
		__free_pages(block->page, block->order);
		kfree(block);
	}
}

static bool is_all_in(phys_addr_t phys, size_t size, u64 offset)
{
	size_t at;

	for (at = 0; at < size; at += PAGE_SIZE)
		if (!is_in(phys + at, offset))
			return false;
	return true;
}

/* The run that @size bytes are in, of those from which there is none @found. */
static int run_of(phys_addr_t start, size_t size, void **found)
{
	unsigned int i;

	for (i = 0; i < nr_runs; i++)
		if (!found[i] && start >= runs[i].start &&
		    start + size <= runs[i].end &&
		    is_all_in(start, size, runs[i].offset))
			return i;
	return -1;
}

static unsigned int search_runs(unsigned int order, size_t size, void **found,
				unsigned int n)
{
	struct arm_block *block;
	LIST_HEAD(others);
	int i;

	while (n < nr_runs) {
		block = add_block(order, &others);
		if (!block)
			break;
		i = run_of(page_to_phys(block->page), size, found);
		if (i < 0)
			continue;
		list_move(&block->list, &blocks);
		found[i] = page_address(block->page);
		n++;
	}
	drop_blocks(&others);
	return n;
}

/**
 * xdt_from_runs() - allocate memory from each run
 * @test: the test, which fails and ends without memory from two, if there are two
 * @order: how many pages of each
 * @found: XDT_MAX_RUNS addresses; NULL where none of the run's memory is free
 *
 * Return: from how many there is some.
 */
unsigned int xdt_from_runs(struct kunit *test, unsigned int order, void **found)
{
	size_t size = PAGE_SIZE << order;
	unsigned int i, n;

	memset(found, 0, XDT_MAX_RUNS * sizeof(*found));
	n = search_runs(max_t(unsigned int, order, XDT_LARGE), size, found, 0);
	n = search_runs(max_t(unsigned int, order, XDT_SMALL), size, found, n);
	for (i = 0; i < nr_runs; i++)
		if (!found[i])
			kunit_info(test, "nothing free in the run at %pa\n",
				   &runs[i].start);
	KUNIT_ASSERT_NE(test, 0, n);
	KUNIT_ASSERT_GE(test, n, min(nr_runs, 2U));
	return n;
}
EXPORT_SYMBOL_GPL(xdt_from_runs);

/* Allocates the blocks of 2^@order pages at @phys, or none. */
static void *take(const phys_addr_t *phys, unsigned int nr, unsigned int order)
{
	struct arm_block *block;
	unsigned int i, n = 0;
	LIST_HEAD(others);
	LIST_HEAD(kept);

	while (n < nr) {
		cond_resched();
		block = add_block(order, &others);
		if (!block)
			break;
		for (i = 0; i < nr; i++) {
			if (page_to_phys(block->page) == phys[i]) {
				list_move(&block->list, &kept);
				n++;
			}
		}
	}
	drop_blocks(&others);
	if (n < nr) {
		drop_blocks(&kept);
		return NULL;
	}
	list_splice(&kept, &blocks);
	return phys_to_virt(phys[0]);
}

/**
 * xdt_across() - allocate memory that crosses from one run into another
 * @test: the test, which is skipped when there is but one, and fails and ends when
 * there is no free memory at any crossing
 * @half: how much of it is in each run, in bytes
 *
 * Return: address of the memory.
 */
void *xdt_across(struct kunit *test, size_t *half)
{
	unsigned int i, crossings = 0;

	for (i = 0; i + 1 < nr_runs; i++) {
		phys_addr_t edge = runs[i].end;
		unsigned int order = min_t(unsigned int, XDT_SMALL,
					   __ffs(PHYS_PFN(edge)));
		phys_addr_t phys[2];
		void *addr;

		if (edge != runs[i + 1].start)
			continue;
		crossings++;
		*half = PAGE_SIZE << order;
		phys[0] = edge - *half;
		phys[1] = edge;
		addr = take(phys, 2, order);
		if (addr)
			return addr;
	}
	if (!crossings)
		kunit_skip(test, "all memory is in one run");
	KUNIT_ASSERT_EQ_MSG(test, 0, crossings,
			    "no free memory at any of the crossings");
	return NULL;
}
EXPORT_SYMBOL_GPL(xdt_across);

/**
 * xdt_at() - allocate a particular page
 * @test: the test
 * @phys: its guest-physical address
 *
 * Return: its address, NULL when it is not free.
 */
void *xdt_at(struct kunit *test, phys_addr_t phys)
{
	return take(&phys, 1, 0);
}
EXPORT_SYMBOL_GPL(xdt_at);

/**
 * xdt_permute() - send pages out and have memory back in their places, in another order
 * @test: the test, which fails and ends when the hypervisor does not do it
 * @addr: their addresses; what they held is lost
 * @nr: number of @addr, XDT_PERMUTED at most
 * @shift: which order
 *
 * Context: may sleep.
 */
void xdt_permute(struct kunit *test, void **addr, unsigned int nr, unsigned int shift)
{
	xen_pfn_t frames[XDT_PERMUTED];
	unsigned int i;

	KUNIT_ASSERT_LE(test, nr, ARRAY_SIZE(frames));
	for (i = 0; i < nr; i++)
		frames[i] = xen_page_to_gfn(virt_to_page(addr[i]));
	KUNIT_ASSERT_EQ(test, nr, xenmem_reservation_decrease(nr, frames));
	for (i = 0; i < nr; i++) {
		void *other = addr[nr - 1 - (i + shift) % nr];

		frames[i] = xen_page_to_gfn(virt_to_page(other));
	}
	KUNIT_ASSERT_EQ(test, nr, xenmem_reservation_increase(nr, frames));
}
EXPORT_SYMBOL_GPL(xdt_permute);

static bool all_in_place(struct kunit *test, void **addr, unsigned int nr)
{
	unsigned int i;
	bool in_place = true;

	for (i = 0; i < nr && in_place; i++) {
		dma_addr_t bus = xdt_map(test, addr[i], PAGE_SIZE, DMA_TO_DEVICE);

		in_place = bus == xdt_where(test, addr[i]);
		xdt_unmap(test, bus);
	}
	return in_place;
}

/**
 * xdt_wait_in_place() - wait until pages that have come back are mapped where a grant says
 * @test: the test
 * @addr: their addresses
 * @nr: number of @addr
 *
 * Context: may sleep.
 * Return: true when each of them is.
 */
bool xdt_wait_in_place(struct kunit *test, void **addr, unsigned int nr)
{
	unsigned long end = jiffies + XDT_ASK_TIMEOUT;

	while (!all_in_place(test, addr, nr)) {
		if (time_after(jiffies, end))
			return false;
		msleep(20);
	}
	return true;
}
EXPORT_SYMBOL_GPL(xdt_wait_in_place);

static bool wait_pages(unsigned long pages)
{
	unsigned long end = jiffies + HZ;

	while (READ_ONCE(balloon_stats.current_pages) < pages &&
	       time_before(jiffies, end))
		msleep(20);
	return READ_ONCE(balloon_stats.current_pages) >= pages;
}

/**
 * xdt_settled() - wait until the domain has back what it has given to the balloon
 *
 * Pages over which grants were mapped lie there until somebody wants another number
 * of pages than before, so that is done here.
 *
 * Context: may sleep.
 * Return: true when it has.
 */
bool xdt_settled(void)
{
	unsigned long end = jiffies + XDT_BALLOON_TIMEOUT;
	unsigned long full = balloon_stats.target_pages;

	while (!wait_pages(full)) {
		if (time_after(jiffies, end))
			return false;
		balloon_set_new_target(full - 1);
		wait_pages(full - 1);
		balloon_set_new_target(full);
	}
	return true;
}
EXPORT_SYMBOL_GPL(xdt_settled);

/**
 * xdt_add_foreign() - have foreign pages taken away when the test case ends
 * @foreign: the pages
 */
void xdt_add_foreign(struct xdt_foreign *foreign)
{
	list_add(&foreign->list, &foreigns);
}
EXPORT_SYMBOL_GPL(xdt_add_foreign);

/**
 * xdt_foreign() - foreign pages for a test case
 * @test: the test, which fails and ends when there are none, but is skipped when
 * the domain has none above @above
 * @nr: how many, a power of two
 * @above: the lowest address at which devices may find them
 *
 * Return: the pages.
 */
struct xdt_foreign *xdt_foreign(struct kunit *test, unsigned int nr, u64 above)
{
	struct xdt_foreign *foreign = xdt_foreign_self(nr, above);

	if (PTR_ERR_OR_ZERO(foreign) == -ENODATA)
		kunit_skip(test, "no page is above %#llx", above);
	KUNIT_ASSERT_EQ_MSG(test, 0, PTR_ERR_OR_ZERO(foreign),
			    "%u pages can't be mapped as foreign", nr);
	xdt_add_foreign(foreign);
	return foreign;
}
EXPORT_SYMBOL_GPL(xdt_foreign);

/**
 * xdt_end_foreign() - take foreign pages of a test case away
 * @test: the test, which fails when the hypervisor keeps some
 * @foreign: the pages
 */
void xdt_end_foreign(struct kunit *test, struct xdt_foreign *foreign)
{
	list_del(&foreign->list);
	KUNIT_EXPECT_EQ(test, 0, xdt_foreign_end(foreign));
}
EXPORT_SYMBOL_GPL(xdt_end_foreign);

/* Data */

/**
 * xdt_parts() - allocate parts for a test case
 * @test: the test, which fails and ends when there is no memory
 * @nr: how many
 *
 * Return: the parts, to be filled in.
 */
struct xdt_part *xdt_parts(struct kunit *test, unsigned int nr)
{
	struct xdt_part *parts;

	parts = kunit_kcalloc(test, nr, sizeof(*parts), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, parts);
	return parts;
}
EXPORT_SYMBOL_GPL(xdt_parts);

/**
 * xdt_own() - have a buffer of ours mapped
 * @test: the test
 * @part: what is filled in; it may lie anywhere on the bus
 * @base: the buffer
 * @whole: its size in bytes
 * @offset: where the part starts, in bytes
 * @size: its size in bytes
 */
void xdt_own(struct kunit *test, struct xdt_part *part, void *base,
	     size_t whole, size_t offset, size_t size)
{
	KUNIT_ASSERT_LE(test, offset + size, whole);
	KUNIT_ASSERT_NE(test, 0, size);
	part->base = base;
	part->mapped = base;
	part->whole = whole;
	part->offset = offset;
	part->size = size;
	part->machine = XDT_ANYWHERE;
}
EXPORT_SYMBOL_GPL(xdt_own);

/**
 * xdt_theirs() - have a foreign page mapped
 * @part: what is filled in; it may lie anywhere on the bus
 * @foreign: foreign pages
 * @i: which of them
 * @offset: where the part starts, in bytes
 * @size: its size in bytes
 */
void xdt_theirs(struct xdt_part *part, struct xdt_foreign *foreign,
		unsigned int i, size_t offset, size_t size)
{
	struct page *own = foreign->page[i].own;

	part->mapped = page_address(foreign->pages[i]);
	part->base = own ? page_address(own) : part->mapped;
	part->whole = PAGE_SIZE;
	part->offset = offset;
	part->size = size;
	part->machine = XDT_ANYWHERE;
}
EXPORT_SYMBOL_GPL(xdt_theirs);

static void fill_from(u8 *buf, size_t len, unsigned int seed, size_t first)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = xdt_byte(seed, first + i);
}

/* What is beside a part has a pattern of its own. */
static void fill_part(struct xdt_part *part, unsigned int seed, size_t first,
		      unsigned int beside)
{
	xdt_fill(part->base, part->whole, beside);
	fill_from(part->base + part->offset, part->size, seed, first);
}

static void check_part(struct kunit *test, struct xdt_part *part,
		       unsigned int i, unsigned int seed, size_t first,
		       unsigned int beside)
{
	size_t end = part->offset + part->size;
	u8 *base = part->base;

	KUNIT_EXPECT_EQ_MSG(test, part->size,
			    xdt_match(base + part->offset, part->size, seed,
				      first),
			    "part %u, %zu bytes at %zu", i, part->size,
			    part->offset);
	KUNIT_EXPECT_EQ_MSG(test, part->offset,
			    xdt_match(base, part->offset, beside, 0),
			    "before part %u", i);
	KUNIT_EXPECT_EQ_MSG(test, part->whole - end,
			    xdt_match(base + end, part->whole - end, beside,
				      end),
			    "after part %u", i);
}

/**
 * struct stretch - what one after the other is on the bus
 * @bus: bus address
 * @size: bytes
 * @seed: which pattern it has
 * @first: which byte of the pattern it starts with
 */
struct stretch {
	dma_addr_t bus;
	size_t size;
	unsigned int seed;
	size_t first;
};

/* Has the device write, or read and compare. */
static bool run_stretches(struct kunit *test, const struct stretch *s,
			  unsigned int nr, bool poke)
{
	unsigned int i, n = 0, max = 0, wrong = 0;
	const struct stretch *first = NULL;
	struct xdt_op *ops;
	size_t at, len;

	for (i = 0; i < nr; i++)
		max += DIV_ROUND_UP(s[i].size, XDT_XFER_MAX);
	ops = kunit_kcalloc(test, max, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	for (i = 0; i < nr; i++) {
		for (at = 0; at < s[i].size; at += len, n++) {
			len = min_t(size_t, s[i].size - at, XDT_XFER_MAX);
			ops[n].bus = s[i].bus + at;
			ops[n].len = len;
			ops[n].poke = poke;
			ops[n].buf = kunit_kzalloc(test, len, GFP_KERNEL);
			KUNIT_ASSERT_NOT_NULL(test, ops[n].buf);
			if (poke)
				fill_from(ops[n].buf, len, s[i].seed,
					  s[i].first + at);
		}
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, n));
	for (i = 0, n = 0; !poke && i < nr; i++) {
		for (at = 0; at < s[i].size; at += len, n++) {
			size_t same = xdt_match(ops[n].buf, ops[n].len,
						s[i].seed, s[i].first + at);

			len = ops[n].len;
			if (same == len)
				continue;
			wrong++;
			first = first ?: &s[i];
		}
	}
	KUNIT_EXPECT_EQ_MSG(test, 0, wrong,
			    "of %u looks through the bus, the first at %pad",
			    n, first ? &first->bus : NULL);
	return !wrong;
}

/* What may share a cache line with others is bounced if the device can't see it. */
static bool may_bounce(struct device *dev, size_t size,
		       enum dma_data_direction dir)
{
	return !dev_is_dma_coherent(dev) && dir != DMA_TO_DEVICE &&
	       !IS_ALIGNED(size, dma_get_cache_alignment());
}

static bool is_elsewhere(struct kunit *test, const struct xdt_part *part,
			 enum dma_data_direction dir)
{
	return part->machine != XDT_ANYWHERE &&
	       part->machine + part->offset != part->bus &&
	       !may_bounce(xdt_dev(test), part->size, dir);
}

static bool map_parts(struct kunit *test, struct xdt_part *parts,
		      unsigned int nr, bool poke)
{
	unsigned int seed = poke ? 100 : 0, i, elsewhere = 0;
	struct stretch *s;
	bool right;

	s = kunit_kcalloc(test, nr, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	for (i = 0; i < nr; i++) {
		enum dma_data_direction dir = DMA_TO_DEVICE;
		struct xdt_part *part = &parts[i];

		if (poke)
			dir = i % 2 ? DMA_FROM_DEVICE : DMA_BIDIRECTIONAL;
		fill_part(part, i, 0, i + 1);
		part->bus = xdt_map(test, part->mapped + part->offset,
				    part->size, dir);
		elsewhere += is_elsewhere(test, part, dir);
		s[i].bus = part->bus;
		s[i].size = part->size;
		s[i].seed = seed + i;
	}
	KUNIT_EXPECT_EQ_MSG(test, 0, elsewhere, "of %u mappings", nr);
	right = run_stretches(test, s, nr, poke);
	for (i = 0; i < nr; i++) {
		xdt_unmap(test, parts[i].bus);
		check_part(test, &parts[i], i, seed + i, 0, i + 1);
	}
	return right;
}

/**
 * xdt_check_parts() - let the device read and write buffers, mapped singly
 * @test: the test, which fails for every byte that is wrong
 * @parts: the buffers, no two of which share a mapping's bus address
 * @nr: number of @parts
 *
 * What it reads tells whether it may write: elsewhere is others' memory.
 *
 * Context: may sleep.
 */
void xdt_check_parts(struct kunit *test, struct xdt_part *parts,
		     unsigned int nr)
{
	if (map_parts(test, parts, nr, false))
		map_parts(test, parts, nr, true);
}
EXPORT_SYMBOL_GPL(xdt_check_parts);

/* The segment that a byte of a list is in, and where. */
static dma_addr_t bus_of(struct sg_table *table, size_t pos)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(table, sg, i) {
		if (pos < sg_dma_len(sg))
			return sg_dma_address(sg) + pos;
		pos -= sg_dma_len(sg);
	}
	return DMA_MAPPING_ERROR;
}

static void check_where(struct kunit *test, struct sg_table *table,
			struct xdt_part *parts, unsigned int nr,
			enum dma_data_direction dir)
{
	unsigned int i, elsewhere = 0;
	size_t pos = 0;

	for (i = 0; i < nr; i++) {
		parts[i].bus = bus_of(table, pos);
		elsewhere += is_elsewhere(test, &parts[i], dir);
		pos += parts[i].size;
	}
	KUNIT_EXPECT_EQ_MSG(test, 0, elsewhere, "of %u entries", nr);
	KUNIT_EXPECT_EQ(test, pos, xdt_check_table(test, table));
}

/* Takes a mapping down by a list that is equal, but another one. */
static void unmap_copy(struct kunit *test, struct sg_table *table,
		       enum dma_data_direction dir)
{
	struct scatterlist *from, *to;
	struct sg_table copy;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&copy, table->orig_nents,
						GFP_KERNEL));
	to = copy.sgl;
	for_each_sgtable_sg(table, from, i) {
		sg_set_page(to, sg_page(from), from->length, from->offset);
		sg_dma_address(to) = sg_dma_address(from);
		sg_dma_len(to) = sg_dma_len(from);
		to = sg_next(to);
	}
	dma_unmap_sgtable(xdt_dev(test), &copy, dir, 0);
	sg_free_table(&copy);
}

static bool map_list(struct kunit *test, struct xdt_part *parts,
		     unsigned int nr, bool poke, bool copied)
{
	enum dma_data_direction dir = DMA_TO_DEVICE;
	unsigned int seed = poke ? 200 : 50, i;
	struct sg_table *table;
	struct scatterlist *sg;
	struct stretch *s;
	size_t pos = 0;
	bool right;

	if (poke)
		dir = copied ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
	table = xdt_table(test, nr);
	s = kunit_kcalloc(test, nr, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	for_each_sgtable_sg(table, sg, i) {
		fill_part(&parts[i], 50, pos, i);
		sg_set_buf(sg, parts[i].mapped + parts[i].offset,
			   parts[i].size);
		pos += parts[i].size;
	}
	if (copied)
		KUNIT_ASSERT_EQ(test, 0, dma_map_sgtable(xdt_dev(test), table,
							 dir, 0));
	else
		xdt_map_table(test, table, dir);
	check_where(test, table, parts, nr, dir);
	pos = 0;
	for_each_sgtable_dma_sg(table, sg, i) {
		s[i].bus = sg_dma_address(sg);
		s[i].size = sg_dma_len(sg);
		s[i].seed = seed;
		s[i].first = pos;
		pos += s[i].size;
	}
	right = run_stretches(test, s, table->nents, poke);
	if (copied)
		unmap_copy(test, table, dir);
	else
		xdt_unmap_table(test, table);
	for (i = 0, pos = 0; i < nr; i++) {
		check_part(test, &parts[i], i, seed, pos, i);
		pos += parts[i].size;
	}
	return right;
}

/**
 * xdt_check_list() - let the device read and write buffers, mapped as one list
 * @test: the test, which fails for every byte that is wrong
 * @parts: the buffers
 * @nr: number of @parts
 * @copied: unmap by a copy of the list
 *
 * Context: may sleep.
 */
void xdt_check_list(struct kunit *test, struct xdt_part *parts,
		    unsigned int nr, bool copied)
{
	if (map_list(test, parts, nr, false, copied))
		map_list(test, parts, nr, true, copied);
}
EXPORT_SYMBOL_GPL(xdt_check_list);

/* The ends of coherent memory, through the bus and by the CPU. */
static void check_ends(struct kunit *test, u8 *addr, dma_addr_t bus,
		       size_t size)
{
	size_t len = min_t(size_t, size / 2, XDT_END);
	struct stretch s[2] = {
		{ .bus = bus, .size = len, .seed = 0 },
		{ .bus = bus + size - len, .size = len, .seed = 1 },
	};

	fill_from(addr, len, 0, 0);
	fill_from(addr + size - len, len, 1, 0);
	if (!run_stretches(test, s, 2, false))
		return;
	s[0].seed = 2;
	s[1].seed = 3;
	run_stretches(test, s, 2, true);
	KUNIT_EXPECT_EQ(test, len, xdt_match(addr, len, 2, 0));
	KUNIT_EXPECT_EQ(test, len, xdt_match(addr + size - len, len, 3, 0));
}

/**
 * xdt_check_coherent() - allocate coherent memory, and let the device use it
 * @test: the test, which fails when there is none, or it is not where its bus
 * address says
 * @size: bytes
 *
 * Context: may sleep.
 */
void xdt_check_coherent(struct kunit *test, size_t size)
{
	struct device *dev = xdt_dev(test);
	size_t at, wrong = 0;
	dma_addr_t bus;
	u8 *addr;

	addr = dma_alloc_coherent(dev, size, &bus, GFP_KERNEL | __GFP_NOWARN);
	KUNIT_EXPECT_NOT_NULL_MSG(test, addr, "no %zu bytes", size);
	if (!addr)
		return;
	KUNIT_EXPECT_LE(test, bus + size - 1, dev->coherent_dma_mask);
	KUNIT_EXPECT_EQ_MSG(test, size, xdt_count(addr, size, 0),
			    "%zu bytes are not all zero", size);
	for (at = 0; at < size; at += PAGE_SIZE)
		wrong += xdt_where(test, addr + at) != bus + at;
	KUNIT_EXPECT_EQ_MSG(test, 0, wrong, "pages of %zu bytes at %pad", size,
			    &bus);
	if (!wrong)
		check_ends(test, addr, bus, size);
	dma_free_coherent(dev, size, addr, bus);
}
EXPORT_SYMBOL_GPL(xdt_check_coherent);

/* The fixture */

/**
 * xdt_arm_init() - a suite's init: gives each test case its fixture
 * @test: the test
 *
 * Return: as xdt_init().
 */
int xdt_arm_init(struct kunit *test)
{
	return xdt_init(test);
}
EXPORT_SYMBOL_GPL(xdt_arm_init);

/**
 * xdt_arm_exit() - a suite's exit: undoes what a test case has left
 * @test: the test
 */
void xdt_arm_exit(struct kunit *test)
{
	struct xdt_foreign *foreign, *next;

	/* Mappings go first. */
	xdt_exit(test);
	list_for_each_entry_safe(foreign, next, &foreigns, list)
		xdt_end_foreign(test, foreign);
	drop_blocks(&blocks);
}
EXPORT_SYMBOL_GPL(xdt_arm_exit);

/*
 * Here and not in the modules of the cases: Linux 6.1 runs these before it reads a module's
 * parameters.
 */
static unsigned int peer;
module_param(peer, uint, 0644);
MODULE_PARM_DESC(peer, "the other domain, for tests that take two");

/**
 * xdt_peer() - the other domain, for tests that take two
 *
 * Return: its number.
 */
unsigned int xdt_peer(void)
{
	return READ_ONCE(peer);
}
EXPORT_SYMBOL_GPL(xdt_peer);

/**
 * xdt_node_of() - a device's node, or that of the bridge above it
 * @dev: device; a PCI device has no node of its own
 *
 * Return: the node, which is not held; NULL where there is none.
 */
struct device_node *xdt_node_of(struct device *dev)
{
	while (dev && !dev->of_node)
		dev = dev->parent;
	return dev ? dev->of_node : NULL;
}
EXPORT_SYMBOL_GPL(xdt_node_of);

static int __init arm_init(void)
{
	find_runs();
	return 0;
}
module_init(arm_init);

static void __exit arm_exit(void)
{
}
module_exit(arm_exit);

MODULE_DESCRIPTION("DMA tests: what the tests for ARM share");
MODULE_LICENSE("GPL");
