// SPDX-License-Identifier: GPL-2.0
/*
 * A bus that sees the machine through windows: dma-ranges of the host bridge's node.
 *
 * What they say is read here anew, cell by cell. Each address that a device is given
 * is followed through them into the machine, where grants say that the domain's pages
 * are, and there the CPU does what a device would: it looks, and it writes. So a bus
 * whose addresses the real machine does not translate will do.
 */
#include <linux/cache.h>
#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/of.h>

#include <asm/xen/hypercall.h>

#include <xen/interface/memory.h>

#include "xdt_arm.h"

#define XDW_MAX		8U

/* What is mapped of each kind of memory, as an order. */
#define XDW_ORDER	4
#define XDW_SIZE	(PAGE_SIZE << XDW_ORDER)

/* Whole cache lines, lest devices that don't see the caches are bounced for. */
#define XDW_LARGE	(40 * ARCH_DMA_MINALIGN)
#define XDW_SMALL	ARCH_DMA_MINALIGN

/* With so much of the domain's memory within reach a mask has to be taken. */
#define XDW_ENOUGH	SZ_64M

/* Mappings at a time, several times what the aperture begins with. */
#define XDW_MANY	256U

#define XDW_GROWTH_TIMEOUT	(20 * HZ)

/**
 * struct xdw_window - a row of dma-ranges
 * @bus: first address, for a device
 * @machine: where that is
 * @size: bytes
 */
struct xdw_window {
	u64 bus;
	u64 machine;
	u64 size;
};

static struct xdw_window windows[XDW_MAX];
static unsigned int nr_windows;

static const unsigned int widths[] = { 28, 30, 31, 32, 33, 35, 36, 40, 64 };

/* Memory from each part that the kernel divides it into. */
static const gfp_t kinds[] = {
	GFP_KERNEL, GFP_KERNEL | GFP_DMA32, GFP_KERNEL | GFP_DMA
};

static struct page *memory[ARRAY_SIZE(kinds)];

/* What the tree says */

/* An address of PCI has three cells, of which the first one has flags. */
static void read_windows(struct device_node *bridge)
{
	int len = 0, above = of_n_addr_cells(bridge);
	const __be32 *cell = of_get_property(bridge, "dma-ranges", &len);

	nr_windows = 0;
	for (len /= sizeof(*cell); len >= 5 + above && nr_windows < XDW_MAX;
	     len -= 5 + above, cell += 5 + above) {
		struct xdw_window *window = &windows[nr_windows++];

		window->bus = of_read_number(cell + 1, 2);
		window->machine = of_read_number(cell + 3, above);
		window->size = of_read_number(cell + 3 + above, 2);
	}
}

/* The last address that a device of that width can use. */
static u64 last_usable(unsigned int width)
{
	u64 last = 0;
	unsigned int i;

	for (i = 0; i < nr_windows; i++)
		last = max(last, windows[i].bus + windows[i].size - 1);
	return min(last, DMA_BIT_MASK(width));
}

/* How much of the domain's memory a device of that width reaches. */
static u64 within_reach(unsigned int width)
{
	u64 last = last_usable(width), sum = 0;
	const struct xdt_run *runs;
	unsigned int nr = xdt_runs(&runs), i, j;

	for (i = 0; i < nr_windows; i++) {
		u64 start = windows[i].machine, end = start;

		if (windows[i].bus <= last)
			end += min(windows[i].size, last - windows[i].bus + 1);
		for (j = 0; j < nr; j++) {
			u64 from = max(start, runs[j].start + runs[j].offset);
			u64 to = min(end, runs[j].end + runs[j].offset);

			sum += from < to ? to - from : 0;
		}
	}
	return sum;
}

/* Where the bus has memory, if the device can use it there. */
static dma_addr_t on_bus(u64 machine, size_t size, unsigned int width)
{
	unsigned int i;

	for (i = 0; i < nr_windows; i++) {
		u64 at = machine - windows[i].machine;

		if (machine >= windows[i].machine && at < windows[i].size &&
		    size <= windows[i].size - at &&
		    windows[i].bus + at + size - 1 <= last_usable(width))
			return windows[i].bus + at;
	}
	return DMA_MAPPING_ERROR;
}

/* What a device finds at a bus address, NULL for nothing of the domain's. */
static u8 *behind(struct kunit *test, dma_addr_t bus, size_t size)
{
	const struct xdt_run *runs;
	unsigned int nr = xdt_runs(&runs), i, j;

	for (i = 0; i < nr_windows; i++) {
		u64 machine = bus - windows[i].bus + windows[i].machine;

		if (bus < windows[i].bus ||
		    bus - windows[i].bus >= windows[i].size ||
		    size > windows[i].size - (bus - windows[i].bus))
			continue;
		for (j = 0; j < nr; j++) {
			phys_addr_t phys = machine - runs[j].offset;
			u8 *addr = phys_to_virt(phys);

			if (phys < runs[j].start || phys + size > runs[j].end)
				continue;
			return xdt_where(test, addr) == machine ? addr : NULL;
		}
	}
	return NULL;
}

/* Does the machine's own bus have the same addresses? */
static bool is_true(dma_addr_t bus)
{
	unsigned int i;

	for (i = 0; i < nr_windows; i++)
		if (bus - windows[i].bus < windows[i].size)
			return windows[i].bus == windows[i].machine;
	return false;
}

/* Masks */

/* Does the device get a mask of that width? */
static bool has_mask(struct kunit *test, unsigned int width)
{
	return !dma_set_mask_and_coherent(xdt_dev(test), DMA_BIT_MASK(width));
}

/* It has to where there is memory within reach, and must not where there is none. */
static void masks(struct kunit *test)
{
	unsigned int i, taken = 0, refused = 0;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		u64 reach = within_reach(widths[i]);
		bool has = has_mask(test, widths[i]);

		if (!reach)
			KUNIT_EXPECT_FALSE_MSG(test, has, "%u bits", widths[i]);
		else if (reach >= XDW_ENOUGH)
			KUNIT_EXPECT_TRUE_MSG(test, has, "%u bits", widths[i]);
		taken += has;
		refused += !has;
	}
	KUNIT_EXPECT_NE(test, 0, taken);
	kunit_info(test, "xdt: refused: %u\n", refused);
}

static void required_mask(struct kunit *test)
{
	long frames = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);
	u64 end = (u64)(frames + 1) << XEN_PAGE_SHIFT, highest = 0;
	unsigned int i;

	KUNIT_ASSERT_GT(test, frames, 0);
	for (i = 0; i < nr_windows; i++)
		if (windows[i].machine < end)
			highest = max(highest, windows[i].bus - 1 +
				      min(windows[i].size,
					  end - windows[i].machine));
	KUNIT_EXPECT_EQ(test, dma_get_required_mask(xdt_dev(test)),
			DMA_BIT_MASK(fls64(highest)));
}

/* Mappings */

/* The device reads what is there, and writes; @behind is where. */
static void check_data(struct kunit *test, u8 *buf, u8 *behind, size_t size,
		       dma_addr_t bus, unsigned int seed)
{
	u8 *seen = kunit_kzalloc(test, XDT_XFER_MAX, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, seen);
	KUNIT_EXPECT_EQ(test, size, xdt_match(behind, size, seed, 0));
	if (is_true(bus)) {
		size_t len = min_t(size_t, size, XDT_XFER_MAX);

		KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, len));
		KUNIT_EXPECT_EQ(test, len, xdt_match(seen, len, seed, 0));
		xdt_fill(seen, len, seed + 1);
		xdt_fill(behind, size, seed + 1);
		memset(behind, 0, len);
		KUNIT_EXPECT_EQ(test, 0, xdt_poke(bus, seen, len));
	} else {
		xdt_fill(behind, size, seed + 1);
	}
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, size, xdt_match(buf, size, seed + 1, 0));
}

/* Returns whether it was bounced. */
static bool check_mapping(struct kunit *test, u8 *buf, size_t size,
			  unsigned int width, unsigned int seed)
{
	dma_addr_t want = on_bus(xdt_where(test, buf), size, width), bus;
	u8 *there;

	xdt_fill(buf, size, seed);
	bus = xdt_map(test, buf, size, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_LE(test, bus + size - 1, last_usable(width));
	there = behind(test, bus, size);
	KUNIT_EXPECT_NOT_NULL_MSG(test, there, "%u bits: %pad leads nowhere",
				  width, &bus);
	if (want != DMA_MAPPING_ERROR)
		KUNIT_EXPECT_EQ_MSG(test, want, bus, "%u bits", width);
	else
		KUNIT_EXPECT_PTR_NE_MSG(test, there, buf, "%u bits", width);
	if (there)
		check_data(test, buf, there, size, bus, seed);
	else
		xdt_unmap(test, bus);
	return want == DMA_MAPPING_ERROR;
}

/* Single mappings of each kind of memory, for each width. */
static unsigned int check_kinds(struct kunit *test, bool bounced)
{
	unsigned int i, j, found = 0;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		if (!has_mask(test, widths[i]))
			continue;
		for (j = 0; j < ARRAY_SIZE(memory); j++) {
			u8 *buf = page_address(memory[j]) + XDW_SMALL * j;
			u64 machine = xdt_where(test, buf);
			bool is_beyond = on_bus(machine, XDW_LARGE, widths[i]) ==
					 DMA_MAPPING_ERROR;

			if (is_beyond != bounced)
				continue;
			check_mapping(test, buf, XDW_LARGE, widths[i], i + j);
			check_mapping(test, buf, XDW_SMALL, widths[i], i + j);
			found++;
		}
	}
	return found;
}

static void in_place(struct kunit *test)
{
	KUNIT_EXPECT_NE(test, 0, check_kinds(test, false));
}

static void bounced(struct kunit *test)
{
	if (!check_kinds(test, true))
		kunit_skip(test, "all memory is within reach");
}

/* All kinds of memory in one list; each segment is followed. */
static void check_list(struct kunit *test, unsigned int width)
{
	unsigned int nr = 2 * ARRAY_SIZE(memory), i;
	struct sg_table *table = xdt_table(test, nr);
	struct scatterlist *sg;
	size_t pos = 0;

	for_each_sgtable_sg(table, sg, i) {
		u8 *buf = page_address(memory[i / 2]) + (i % 2) * 2 * PAGE_SIZE;
		size_t j, size = 1000 + 700 * i;

		for (j = 0; j < size; j++)
			buf[j] = xdt_byte(width, pos + j);
		sg_set_buf(sg, buf, size);
		pos += size;
	}
	xdt_map_table(test, table, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, pos, xdt_check_table(test, table));
	pos = 0;
	for_each_sgtable_dma_sg(table, sg, i) {
		dma_addr_t bus = sg_dma_address(sg);
		size_t size = sg_dma_len(sg);
		u8 *there = behind(test, bus, size);

		KUNIT_EXPECT_LE(test, bus + size - 1, last_usable(width));
		KUNIT_EXPECT_NOT_NULL_MSG(test, there, "%u bits: %pad leads nowhere",
					  width, &bus);
		if (there)
			KUNIT_EXPECT_EQ(test, size,
					xdt_match(there, size, width, pos));
		pos += size;
	}
	xdt_unmap_table(test, table);
}

static void lists(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(widths); i++)
		if (has_mask(test, widths[i]))
			check_list(test, widths[i]);
}

/* The first kind of memory that a device of that width can't use in place. */
static u8 *beyond(struct kunit *test, unsigned int width)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(memory); i++) {
		u8 *buf = page_address(memory[i]);

		if (on_bus(xdt_where(test, buf), XDW_SIZE, width) ==
		    DMA_MAPPING_ERROR)
			return buf;
	}
	return NULL;
}

/* What is said to fit does, and a large buffer is in one piece on the bus. */
static void largest(struct kunit *test)
{
	unsigned int i, found = 0;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		size_t size;
		u8 *buf;

		if (!has_mask(test, widths[i]))
			continue;
		size = dma_max_mapping_size(xdt_dev(test));
		KUNIT_EXPECT_GE_MSG(test, size, SZ_256K, "%u bits", widths[i]);
		buf = beyond(test, widths[i]);
		if (!buf)
			continue;
		check_mapping(test, buf, min_t(size_t, size, XDW_SIZE), widths[i], i);
		found++;
	}
	if (!found)
		kunit_skip(test, "all memory is within reach");
}

/* The aperture grows while it is waited for, where the device reaches it. */
static dma_addr_t map_patiently(struct kunit *test, u8 *buf)
{
	unsigned long end = jiffies + XDW_GROWTH_TIMEOUT;
	dma_addr_t bus;

	do {
		bus = xdt_try_map(test, buf, XDW_SIZE, DMA_TO_DEVICE,
				  DMA_ATTR_NO_WARN);
		if (bus != DMA_MAPPING_ERROR)
			return bus;
		msleep(20);
	} while (time_before(jiffies, end));
	return DMA_MAPPING_ERROR;
}

static void check_growth(struct kunit *test, u8 *buf, unsigned int width)
{
	unsigned int i, astray = 0;

	xdt_fill(buf, XDW_SIZE, width);
	for (i = 0; i < XDW_MANY; i++) {
		dma_addr_t bus = map_patiently(test, buf);
		u8 *there;

		KUNIT_ASSERT_NE_MSG(test, bus, DMA_MAPPING_ERROR,
				    "%u bits, mapping %u", width, i);
		there = behind(test, bus, XDW_SIZE);
		astray += !there || bus + XDW_SIZE - 1 > last_usable(width) ||
			  memcmp(there, buf, XDW_SIZE);
		cond_resched();
	}
	KUNIT_EXPECT_EQ_MSG(test, 0, astray, "%u bits", width);
	xdt_unmap_all(test);
}

static void growth(struct kunit *test)
{
	unsigned int i, found = 0;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		u8 *buf;

		if (within_reach(widths[i]) < XDW_ENOUGH ||
		    !has_mask(test, widths[i]))
			continue;
		buf = beyond(test, widths[i]);
		if (!buf)
			continue;
		check_growth(test, buf, widths[i]);
		found++;
	}
	if (!found)
		kunit_skip(test, "all memory is within reach");
}

/* Coherent memory */

static void check_coherent(struct kunit *test, size_t size, unsigned int width)
{
	struct device *dev = xdt_dev(test);
	size_t at, wrong = 0;
	dma_addr_t bus;
	u8 *addr;

	addr = dma_alloc_coherent(dev, size, &bus, GFP_KERNEL | __GFP_NOWARN);
	KUNIT_EXPECT_NOT_NULL_MSG(test, addr, "%u bits: no %zu bytes", width, size);
	if (!addr)
		return;
	KUNIT_EXPECT_LE(test, bus + size - 1, last_usable(width));
	KUNIT_EXPECT_EQ(test, size, xdt_count(addr, size, 0));
	for (at = 0; at < size; at += PAGE_SIZE)
		wrong += on_bus(xdt_where(test, addr + at), PAGE_SIZE, width) !=
			 bus + at;
	KUNIT_EXPECT_EQ_MSG(test, 0, wrong, "%u bits: pages of %zu bytes at %pad",
			    width, size, &bus);
	dma_free_coherent(dev, size, addr, bus);
}

static void coherent(struct kunit *test)
{
	static const size_t sizes[] = {
		SZ_4K, SZ_4K * 3, SZ_64K, SZ_1M, SZ_4M
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		if (!has_mask(test, widths[i]))
			continue;
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			check_coherent(test, sizes[j], widths[i]);
			cond_resched();
		}
	}
}

/* Many at a time, and what one width has left another one does not stumble over. */
static void coherent_many(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	dma_addr_t bus[64];
	void *addr[64];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		unsigned int wrong = 0, n = 0;

		if (!has_mask(test, widths[i]))
			continue;
		for (; n < ARRAY_SIZE(addr); n++) {
			addr[n] = dma_alloc_coherent(dev, PAGE_SIZE, &bus[n],
						     GFP_KERNEL | __GFP_NOWARN);
			if (!addr[n])
				break;
			wrong += on_bus(xdt_where(test, addr[n]), PAGE_SIZE,
					widths[i]) != bus[n];
		}
		for (j = 0; j < n; j++)
			dma_free_coherent(dev, PAGE_SIZE, addr[j], bus[j]);
		KUNIT_EXPECT_EQ_MSG(test, n, ARRAY_SIZE(addr), "%u bits", widths[i]);
		KUNIT_EXPECT_EQ_MSG(test, 0, wrong, "%u bits", widths[i]);
	}
}

static void pages(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		struct page *page;
		dma_addr_t bus;

		if (!has_mask(test, widths[i]))
			continue;
		page = dma_alloc_pages(dev, SZ_64K, &bus, DMA_TO_DEVICE,
				       GFP_KERNEL | __GFP_NOWARN);
		KUNIT_EXPECT_NOT_NULL_MSG(test, page, "%u bits", widths[i]);
		if (!page)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, bus,
				    on_bus(xdt_where(test, page_address(page)),
					   SZ_64K, widths[i]),
				    "%u bits", widths[i]);
		dma_free_pages(dev, SZ_64K, page, bus, DMA_TO_DEVICE);
	}
}

/* The fixture */

static void windows_exit(struct kunit *test)
{
	unsigned int i;

	xdt_arm_exit(test);
	for (i = 0; i < ARRAY_SIZE(memory); i++)
		if (memory[i])
			__free_pages(memory[i], XDW_ORDER);
}

static int windows_init(struct kunit *test)
{
	struct device_node *bridge;
	unsigned int i;
	int rc = xdt_arm_init(test);

	if (rc)
		return rc;
	bridge = xdt_node_of(xdt_dev(test));
	KUNIT_ASSERT_NOT_NULL(test, bridge);
	read_windows(bridge);
	if (!nr_windows)
		kunit_skip(test, "the bus has no dma-ranges");
	for (i = 0; i < ARRAY_SIZE(memory); i++) {
		memory[i] = alloc_pages(kinds[i], XDW_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, memory[i]);
		kunit_info(test, "memory at %#llx\n",
			   xdt_where(test, page_address(memory[i])));
	}
	return 0;
}

static struct kunit_case windows_cases[] = {
	KUNIT_CASE(masks),
	KUNIT_CASE(required_mask),
	KUNIT_CASE(in_place),
	KUNIT_CASE(bounced),
	KUNIT_CASE(lists),
	KUNIT_CASE(coherent),
	KUNIT_CASE(coherent_many),
	KUNIT_CASE(pages),
	KUNIT_CASE(largest),
	KUNIT_CASE(growth),
	{ }
};

static struct kunit_suite windows_suite = {
	.name = "xdt_arm_windows",
	.init = windows_init,
	.exit = windows_exit,
	.test_cases = windows_cases,
};

kunit_test_suite(windows_suite);

MODULE_DESCRIPTION("DMA tests for ARM: a bus with windows");
MODULE_LICENSE("GPL");
