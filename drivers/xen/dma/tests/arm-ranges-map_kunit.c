// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of looking up where a domain's memory is, and of the maps of devices
 * that are made of it.
 */
#include <linux/dma-direct.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../compat.h"
#include "arm-ranges-fixture.h"

/* Looking up */

static const struct xen_bus_range xbr_find_rows[] = {
	{ 0, 0x1000, 0x10000000 },
	{ 0x40000000, 0x10000000, 0x10000000 },
	{ 0x50000000, 0x1000, 0x20000000 },
	{ 0x100000000, 0x200000000, -0x40000000ULL },
	{}
};

static void xbr_find(struct kunit *test)
{
	static const struct {
		u64 phys;
		int row;
	} looks[] = {
		{ 0, 0 }, { 0xfff, 0 }, { 0x1000, XBR_NONE },
		{ 0x3fffffff, XBR_NONE }, { 0x40000000, 1 },
		{ 0x48000001, 1 }, { 0x4fffffff, 1 }, { 0x50000000, 2 },
		{ 0x50000fff, 2 }, { 0x50001000, XBR_NONE },
		{ 0xffffffff, XBR_NONE }, { 0x100000000, 3 },
		{ 0x1ffffffff, 3 }, { 0x2ffffffff, 3 },
		{ 0x300000000, XBR_NONE }, { U64_MAX, XBR_NONE },
		{ BIT_ULL(63), XBR_NONE },
	};
	struct xbr *x = test->priv;
	unsigned int i;

	KUNIT_EXPECT_NULL(test, xen_bus_find(&x->table, 0));
	KUNIT_EXPECT_NULL(test, xen_bus_find(&x->table, U64_MAX));

	xbr_have(test, &x->table, xbr_find_rows);
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		KUNIT_EXPECT_PTR_EQ_MSG(test,
					xen_bus_find(&x->table, looks[i].phys),
					looks[i].row == XBR_NONE ? NULL :
					&x->table.range[looks[i].row],
					"%#llx", looks[i].phys);
}

static void xbr_highest(struct kunit *test)
{
	static const struct {
		struct xen_bus_range row;
		u64 highest;
	} steps[] = {
		{ { 0x40000000, 0x1000, -0x40000000ULL }, 0xfff },
		/* A lower guest-physical address, a higher machine address. */
		{ { 0x20000000, 0x10000, 0x60000000 }, 0x8000ffff },
		{ { 0x100000000, 0x1000, -0x90000000ULL }, 0x8000ffff },
		{ { 0x200000000, 0x7ffe0000, -0x17fff0000ULL }, 0xfffeffff },
		{ { 0x10000000, 0x1000, XBR_MACHINE_END - 0x10001000 },
		  XBR_MACHINE_END - 1 },
	};
	struct xbr *x = test->priv;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, xen_bus_highest(&x->table), 0);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		xbr_says(test, xen_bus_add(&x->table, steps[i].row.start,
					   steps[i].row.size,
					   steps[i].row.offset),
			 NULL, "set-up");
		KUNIT_EXPECT_EQ(test, xen_bus_highest(&x->table),
				steps[i].highest);
	}
}

/* The maps of devices */

/* What a bus makes of addresses, or is to be made of them. */
struct xbr_window {
	u64 phys;
	u64 dma;
	u64 size;
};

/**
 * struct xbr_map_case - a table behind a bus
 * @desc:	what is special
 * @rows:	the table
 * @hw:		the bus, which begins with machine addresses
 * @want:	what the map has to be, in any order
 */
struct xbr_map_case {
	const char *desc;
	struct xen_bus_range rows[XBR_ROWS];
	struct xbr_window hw[XBR_ROWS];
	struct xbr_window want[XBR_ROWS];
};

#define XBR_MAP_ROW	{ { 0x40000000, 0x10000000, 0x20000000 } }

/* Machine addresses from 0x60000000 on, and from 0x90000000 on. */
#define XBR_MAP_ROWS { \
	{ 0x40000000, 0x10000000, 0x20000000 }, \
	{ 0x50000000, 0x10000000, 0x40000000 }, \
}

static const struct xbr_map_case xbr_map_cases[] = {
	{
		.desc = "exactly the range",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x60000000, 0x1000000, 0x10000000 } },
		.want = { { 0x40000000, 0x1000000, 0x10000000 } },
	}, {
		.desc = "larger than the range",
		.rows = XBR_MAP_ROW,
		.hw = { { 0, 0x100000000, 0x100000000 } },
		.want = { { 0x40000000, 0x160000000, 0x10000000 } },
	}, {
		.desc = "the range's beginning",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x50000000, 0, 0x10001000 } },
		.want = { { 0x40000000, 0x10000000, 0x1000 } },
	}, {
		.desc = "the range's end",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x6ffff000, 0, 0x10000000 } },
		.want = { { 0x4ffff000, 0, 0x1000 } },
	}, {
		.desc = "the range's middle",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x68000000, 0x80000000, 0x1000 } },
		.want = { { 0x48000000, 0x80000000, 0x1000 } },
	}, {
		.desc = "windows with odd borders",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x68000010, 0x80000020, 0x30 } },
		.want = { { 0x48000010, 0x80000020, 0x30 } },
	}, {
		.desc = "up to the range",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x50000000, 0, 0x10000000 } },
	}, {
		.desc = "from the range's end",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x70000000, 0, 0x10000000 } },
	}, {
		.desc = "where the domain has the range",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x40000000, 0, 0x10000000 } },
	}, {
		.desc = "no range",
		.hw = { { 0x40000000, 0, 0x10000000 } },
	}, {
		.desc = "one range, several windows",
		.rows = XBR_MAP_ROW,
		.hw = {
			{ 0x50000000, 0x30000000, 0x11000000 },
			{ 0x61000000, 0x10000000, 0x01000000 },
			{ 0x63000000, 0x20000000, 0x20000000 },
			{ 0x10000000, 0x00000000, 0x01000000 },
		},
		.want = {
			{ 0x40000000, 0x40000000, 0x01000000 },
			{ 0x41000000, 0x10000000, 0x01000000 },
			{ 0x43000000, 0x20000000, 0x0d000000 },
		},
	}, {
		.desc = "several ranges, one window",
		.rows = XBR_MAP_ROWS,
		.hw = { { 0x64000000, 0, 0x30000000 } },
		.want = {
			{ 0x44000000, 0x00000000, 0x0c000000 },
			{ 0x50000000, 0x2c000000, 0x04000000 },
		},
	}, {
		.desc = "several ranges, several windows",
		.rows = XBR_MAP_ROWS,
		.hw = {
			{ 0x90000000, 0x00000000, 0x08000000 },
			{ 0x68000000, 0x10000000, 0x10000000 },
			{ 0x60000000, 0x80000000, 0x04000000 },
			{ 0x98000000, 0x20000000, 0x08000000 },
		},
		.want = {
			{ 0x40000000, 0x80000000, 0x04000000 },
			{ 0x48000000, 0x10000000, 0x08000000 },
			{ 0x50000000, 0x00000000, 0x08000000 },
			{ 0x58000000, 0x20000000, 0x08000000 },
		},
	}, {
		.desc = "downwards",
		.rows = { { 0x80000000, 0x1000, -0x80000000ULL } },
		.hw = { { 0, 0xc0000000, 0x40000000 } },
		.want = { { 0x80000000, 0xc0000000, 0x1000 } },
	}, {
		.desc = "the last page of the machine",
		.rows = { { 0x40000000, 0x1000,
			    XBR_MACHINE_END - 0x40001000 } },
		.hw = { { XBR_MACHINE_END - 0x2000, 0, 0x2000 } },
		.want = { { 0x40000000, 0x1000, 0x1000 } },
	}, {
		.desc = "a window up to the end of 64 bits",
		.rows = XBR_MAP_ROW,
		.hw = { { 0x50000000, 0x40000000, -0x50000000ULL } },
		.want = { { 0x40000000, 0x50000000, 0x10000000 } },
	},
};

static void xbr_map_desc(const struct xbr_map_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xbr_map, xbr_map_cases, xbr_map_desc);

static unsigned int xbr_map_len(const struct bus_dma_region *map)
{
	unsigned int nr = 0;

	while (map[nr].size)
		nr++;
	return nr;
}

static bool xbr_map_has(const struct bus_dma_region *map,
			const struct xbr_window *w)
{
	for (; map->size; map++)
		if (map->cpu_start == w->phys && map->dma_start == w->dma &&
		    map->size == w->size)
			return true;
	return false;
}

/* A map is to be @want, in any order, and so is what is behind it, in this one. */
static void xbr_map_is(struct kunit *test, const struct bus_dma_region *map,
		       const struct xbr_window *want,
		       const struct xbr_window *hw)
{
	const struct bus_dma_region *behind = xen_bus_hardware_map(map);
	unsigned int i;

	for (i = 0; want[i].size; i++)
		KUNIT_EXPECT_TRUE_MSG(test, xbr_map_has(map, &want[i]),
				      "no %#llx bytes from %#llx to %#llx",
				      want[i].size, want[i].phys, want[i].dma);
	KUNIT_EXPECT_EQ(test, xbr_map_len(map), i);

	for (i = 0; hw[i].size; i++) {
		KUNIT_EXPECT_EQ(test, behind[i].cpu_start, hw[i].phys);
		KUNIT_EXPECT_EQ(test, behind[i].dma_start, hw[i].dma);
		KUNIT_EXPECT_EQ(test, behind[i].size, hw[i].size);
		if (behind[i].size != hw[i].size)
			return;
	}
	KUNIT_EXPECT_EQ(test, behind[i].size, 0);
}

static void xbr_map(struct kunit *test)
{
	const struct xbr_map_case *c = test->param_value;
	struct bus_dma_region hw[XBR_ROWS] = {};
	struct xbr *x = test->priv;
	struct bus_dma_region *map;
	unsigned int i;

	xbr_have(test, &x->table, c->rows);
	for (i = 0; c->hw[i].size; i++)
		xen_set_region(&hw[i], c->hw[i].phys, c->hw[i].dma,
			       c->hw[i].size);
	map = xen_bus_device_map(&x->table, hw);
	KUNIT_ASSERT_NOT_NULL(test, map);
	/* What is behind the map is a copy. */
	memset(hw, 0xff, sizeof(hw));
	xbr_map_is(test, map, c->want, c->hw);
	kfree(map);
}

/* Of a bus that changes nothing the map is the table. */
static void xbr_map_plain(struct kunit *test)
{
	static const struct xbr_window want[] = {
		{ 0, 0x10000000, 0x1000 },
		{ 0x40000000, 0x50000000, 0x10000000 },
		{ 0x50000000, 0x70000000, 0x1000 },
		{ 0x100000000, 0xc0000000, 0x200000000 },
		{}
	};
	static const struct xbr_window none[] = { {} };
	struct bus_dma_region empty = {};
	struct xbr *x = test->priv;
	struct bus_dma_region *map;

	map = xen_bus_device_map(&x->table, NULL);
	xbr_map_is(test, map, none, none);
	kfree(map);

	xbr_have(test, &x->table, xbr_find_rows);
	map = xen_bus_device_map(&x->table, NULL);
	xbr_map_is(test, map, want, none);
	kfree(map);

	/* Without an entry it changes nothing either. */
	map = xen_bus_device_map(&x->table, &empty);
	xbr_map_is(test, map, want, none);
	kfree(map);
}

/* A full table behind many windows: there is room for all that meet. */
static void xbr_map_many(struct kunit *test)
{
	struct bus_dma_region *map, *hw;
	struct xbr *x = test->priv;
	unsigned int i, len;

	hw = kunit_kcalloc(test, XEN_BUS_RANGES + 1, sizeof(*hw), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, hw);
	for (i = 0; i < XEN_BUS_RANGES; i++) {
		xbr_says(test, xen_bus_add(&x->table, XBR_PAGES(4 * i),
					   XBR_PAGES(2), 0), NULL, "set-up");
		/* The end of one range and the beginning of the next. */
		xen_set_region(&hw[i], XBR_PAGES(4 * i + 1),
			       XBR_PAGES(1000 + 8 * i), XBR_PAGES(4));
	}

	map = xen_bus_device_map(&x->table, hw);
	len = xbr_map_len(map);
	KUNIT_EXPECT_EQ(test, len, 2 * XEN_BUS_RANGES - 1);
	for (i = 0; i < len; i++)
		KUNIT_EXPECT_EQ(test, map[i].size, XBR_PAGES(1));
	KUNIT_EXPECT_EQ(test, xbr_map_len(xen_bus_hardware_map(map)),
			XEN_BUS_RANGES);
	KUNIT_EXPECT_MEMEQ(test, xen_bus_hardware_map(map), hw,
			   (XEN_BUS_RANGES + 1) * sizeof(*hw));
	kfree(map);
}

#define XBR_MAP_WINDOWS	12
#define XBR_MAP_BUS	0x100000

/*
 * Cuts the machine into windows, each with a place of its own on the bus. Each
 * frame's address there goes to @bus.
 */
static void xbr_random_windows(struct xbr *x, struct xbr_model *m,
			       struct bus_dma_region *hw, u64 *bus)
{
	unsigned int nr = 0, shift = xdt_below(&x->rnd, XBR_MAP_WINDOWS);
	int frame = 0, len, i;

	memset(hw, 0, (XBR_MAP_WINDOWS + 1) * sizeof(*hw));
	for (i = 0; i < XBR_MODEL_FRAMES; i++)
		bus[i] = DMA_MAPPING_ERROR;

	while (nr < XBR_MAP_WINDOWS && frame < XBR_MODEL_FRAMES) {
		if (xdt_chance(&x->rnd, 30))
			frame += 1 + xdt_below(&x->rnd, 4);
		len = min_t(int, 1 + xdt_below(&x->rnd, 16),
			    XBR_MODEL_FRAMES - frame);
		if (len <= 0)
			break;
		/* In another order than in the machine. */
		i = (nr * 5 + shift) % XBR_MAP_WINDOWS;
		xen_set_region(&hw[nr++], XBR_PAGES(m->base + frame),
			       XBR_PAGES(XBR_MAP_BUS + 32 * i),
			       XBR_PAGES(len));
		for (; len--; frame++)
			bus[frame] = hw[nr - 1].dma_start +
				     XBR_PAGES(m->base + frame) -
				     hw[nr - 1].cpu_start;
	}
}

/* What each page is for the device; returns how many it can be given. */
static unsigned int xbr_map_pages(struct kunit *test, struct device *dev,
				  const struct xbr_model *m, const u64 *bus)
{
	struct xbr *x = test->priv;
	unsigned int mapped = 0, i;

	for (i = 0; i < XBR_MODEL_PAGES; i++) {
		u64 in = xdt_below(&x->rnd, XEN_PAGE_SIZE);
		u64 phys = XBR_PAGES(i) + in, want;

		want = m->frame[i] == XBR_NONE ? DMA_MAPPING_ERROR :
		       bus[m->frame[i]];
		if (want != DMA_MAPPING_ERROR)
			want += in;
		KUNIT_EXPECT_EQ(test, phys_to_dma(dev, phys), want);
		if (want == DMA_MAPPING_ERROR)
			continue;
		mapped++;
		KUNIT_EXPECT_EQ(test, dma_to_phys(dev, want), phys);
	}
	KUNIT_EXPECT_EQ(test, phys_to_dma(dev, XBR_PAGES(XBR_MODEL_PAGES)),
			DMA_MAPPING_ERROR);
	return mapped;
}

/* Which page is at each of the device's addresses. */
static void xbr_map_frames(struct kunit *test, struct device *dev,
			   const struct xbr_model *m, const u64 *bus)
{
	unsigned int i;

	for (i = 0; i < XBR_MODEL_FRAMES; i++)
		if (bus[i] != DMA_MAPPING_ERROR)
			KUNIT_EXPECT_EQ(test, dma_to_phys(dev, bus[i]),
					m->page[i] == XBR_NONE ?
					(phys_addr_t)-1 :
					XBR_PAGES(m->page[i]));
}

/* What the generic code makes of a device's map is what the table says. */
static void xbr_map_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(1000), mapped = 0, unmapped = 0;
	struct bus_dma_region *hw;
	struct xbr *x = test->priv;
	struct xbr_model *m;
	struct device *dev;
	unsigned int i, nr;
	u64 *bus;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	hw = kunit_kcalloc(test, XBR_MAP_WINDOWS + 1, sizeof(*hw), GFP_KERNEL);
	bus = kunit_kcalloc(test, XBR_MODEL_FRAMES, sizeof(*bus), GFP_KERNEL);
	dev = kunit_device_register(test, "xbr");
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_NOT_NULL(test, hw);
	KUNIT_ASSERT_NOT_NULL(test, bus);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		bool plain = xdt_chance(&x->rnd, 30);

		xbr_model_start(test, m);
		for (i = 0; i < 20; i++)
			xbr_model_step(test, m, &x->table);
		xbr_random_windows(x, m, hw, bus);
		for (i = 0; plain && i < XBR_MODEL_FRAMES; i++)
			bus[i] = XBR_PAGES(m->base + i);

		/* Freed with the device, as any driver's device has it. */
		kfree(dev->dma_range_map);
		dev->dma_range_map = xen_bus_device_map(&x->table,
							plain ? NULL : hw);
		nr = xbr_map_pages(test, dev, m, bus);
		mapped += nr;
		unmapped += XBR_MODEL_PAGES - nr;
		xbr_map_frames(test, dev, m, bus);
	}
	KUNIT_EXPECT_GT(test, mapped, unmapped / 20);
	KUNIT_EXPECT_GT(test, unmapped, mapped / 20);
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE(xbr_find),
	KUNIT_CASE(xbr_highest),
	KUNIT_CASE_PARAM(xbr_map, xbr_map_gen_params),
	KUNIT_CASE(xbr_map_plain),
	KUNIT_CASE(xbr_map_many),
	KUNIT_CASE(xbr_map_random),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges-map",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suite(xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: maps");
MODULE_LICENSE("GPL");
