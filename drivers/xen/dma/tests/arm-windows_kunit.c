// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of buses that see the machine through windows: translation both ways, and
 * what runs of the machine a device reaches. First the buses of known machines, then
 * random ones, against every page of a small domain.
 */
#include <linux/dma-direct.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <xen/swiotlb-xen.h>

#include "../compat.h"
#include "../windows.h"
#include "arm-ranges-fixture.h"

#define XBW_GIB(nr)	((u64)(nr) << 30)
#define XBW_WINDOWS	4
#define XBW_ALL		{ 0, U64_MAX }

/* What the bus has, where that is in the machine, how much; without a size it ends. */
struct xbw_window {
	u64 bus;
	u64 machine;
	u64 size;
};

/**
 * struct xbw_case - a device of some width behind windows
 * @desc:	what is special
 * @rows:	where the domain's memory is
 * @windows:	the bus
 * @limit:	the highest bus address that the device can use
 * @want:	runs that it reaches
 * @nr:		how many
 */
struct xbw_case {
	const char *desc;
	struct xen_bus_range rows[XBR_ROWS];
	struct xbw_window windows[XBW_WINDOWS];
	u64 limit;
	struct xen_span want[XBW_WINDOWS];
	unsigned int nr;
};

/* Memory from 1 GiB on, of 4 GiB. */
#define XBW_RAM		{ { XBW_GIB(1), XBW_GIB(4), 0 } }

static const struct xbw_case xbw_cases[] = {
	{
		.desc = "all memory at 16 GiB on the bus, 36 bits",
		.rows = XBW_RAM,
		.windows = { { XBW_GIB(16), 0, XBW_GIB(8) } },
		.limit = DMA_BIT_MASK(36),
		.want = { XBW_ALL },
		.nr = 1,
	}, {
		.desc = "the same, 32 bits",
		.rows = XBW_RAM,
		.windows = { { XBW_GIB(16), 0, XBW_GIB(8) } },
		.limit = DMA_BIT_MASK(32),
	}, {
		.desc = "the same, up to the window, not to memory",
		.rows = XBW_RAM,
		.windows = { { XBW_GIB(16), 0, XBW_GIB(8) } },
		.limit = XBW_GIB(17) - 1,
	}, {
		.desc = "the same, a byte of memory",
		.rows = XBW_RAM,
		.windows = { { XBW_GIB(16), 0, XBW_GIB(8) } },
		.limit = XBW_GIB(17),
		.want = { { 0, XBW_GIB(1) } },
		.nr = 1,
	}, {
		.desc = "3 GiB of 4",
		.rows = XBW_RAM,
		.windows = { { 0, 0, XBW_GIB(3) } },
		.limit = U64_MAX,
		.want = { { 0, XBW_GIB(3) - 1 } },
		.nr = 1,
	}, {
		.desc = "3 GiB on the bus leads to 0",
		.rows = { { 0, XBW_GIB(4), 0 } },
		.windows = { { XBW_GIB(3), 0, XBW_GIB(1) } },
		.limit = DMA_BIT_MASK(32),
		.want = { { 0, XBW_GIB(1) - 1 } },
		.nr = 1,
	}, {
		.desc = "high memory only",
		.rows = { { XBW_GIB(1), XBW_GIB(1), 0 }, { XBW_GIB(32), XBW_GIB(1), 0 } },
		.windows = { { XBW_GIB(32), XBW_GIB(32), XBW_GIB(4) } },
		.limit = DMA_BIT_MASK(36),
		.want = { { XBW_GIB(32), U64_MAX } },
		.nr = 1,
	}, {
		.desc = "the middle, not where the domain has it",
		.rows = { { 0, XBW_GIB(4), XBW_GIB(8) } },
		.windows = { { 0, XBW_GIB(9), XBW_GIB(2) } },
		.limit = DMA_BIT_MASK(30),
		.want = { { XBW_GIB(9), XBW_GIB(10) - 1 } },
		.nr = 1,
	}, {
		.desc = "two of three windows, one without memory",
		.rows = { { 0, XBW_GIB(4), 0 } },
		.windows = {
			{ XBW_GIB(2), XBW_GIB(2), XBW_GIB(1) },
			{ 0, XBW_GIB(8), XBW_GIB(1) },
			{ XBW_GIB(1), 0, XBW_GIB(1) },
		},
		.limit = DMA_BIT_MASK(32),
		.want = { { XBW_GIB(2), XBW_GIB(3) - 1 }, { 0, XBW_GIB(1) - 1 } },
		.nr = 2,
	}, {
		.desc = "windows that share all memory",
		.rows = XBW_RAM,
		.windows = {
			{ XBW_GIB(5), XBW_GIB(3), XBW_GIB(4) },
			{ 0, 0, XBW_GIB(2) },
			{ XBW_GIB(2), XBW_GIB(2), XBW_GIB(2) },
		},
		.limit = DMA_BIT_MASK(40),
		.want = { XBW_ALL },
		.nr = 1,
	}, {
		.desc = "up to the end of 64 bits",
		.rows = XBW_RAM,
		.windows = { { 0, 0, U64_MAX } },
		.limit = U64_MAX,
		.want = { XBW_ALL },
		.nr = 1,
	},
};

static void xbw_desc(const struct xbw_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xbw, xbw_cases, xbw_desc);

static void xbw_spans(struct kunit *test)
{
	const struct xbw_case *c = test->param_value;
	struct bus_dma_region map[XBW_WINDOWS] = {};
	struct xbr *x = test->priv;
	struct xen_span span;
	unsigned int i;

	xbr_have(test, &x->table, c->rows);
	for (i = 0; c->windows[i].size; i++)
		xen_set_region(&map[i], c->windows[i].machine, c->windows[i].bus,
			       c->windows[i].size);
	for (i = 0; i < c->nr; i++) {
		KUNIT_ASSERT_TRUE_MSG(test, xen_window_span(map, &x->table, c->limit,
							    i, &span), "run %u", i);
		KUNIT_EXPECT_EQ_MSG(test, span.first, c->want[i].first, "run %u", i);
		KUNIT_EXPECT_EQ_MSG(test, span.last, c->want[i].last, "run %u", i);
	}
	KUNIT_EXPECT_FALSE(test, xen_window_span(map, &x->table, c->limit, i, &span));
}

/* Addresses, where two windows lead to the same memory and one has a gap behind it. */
static void xbw_translate(struct kunit *test)
{
	static const struct {
		u64 machine;
		u64 limit;
		u64 bus;
	} looks[] = {
		{ XBW_GIB(1), U64_MAX, XBW_GIB(16) },
		{ XBW_GIB(2) + 5, U64_MAX, XBW_GIB(17) + 5 },
		{ XBW_GIB(3) - 1, U64_MAX, XBW_GIB(18) - 1 },
		{ XBW_GIB(3), U64_MAX, DMA_MAPPING_ERROR },
		{ XBW_GIB(1) - 1, U64_MAX, DMA_MAPPING_ERROR },
		/* The first window is too high for it, the second one is not. */
		{ XBW_GIB(1), DMA_BIT_MASK(32), XBW_GIB(3) },
		{ XBW_GIB(2) - 1, DMA_BIT_MASK(32), XBW_GIB(4) - 1 },
		{ XBW_GIB(2), DMA_BIT_MASK(32), XBW_GIB(17) },
		{ XBW_GIB(1), DMA_BIT_MASK(30), XBW_GIB(16) },
	};
	struct bus_dma_region map[3] = {};
	unsigned int i;

	xen_set_region(&map[0], XBW_GIB(1), XBW_GIB(16), XBW_GIB(2));
	xen_set_region(&map[1], XBW_GIB(1), XBW_GIB(3), XBW_GIB(1));
	for (i = 0; i < ARRAY_SIZE(looks); i++) {
		u64 bus = xen_window_to_bus(map, looks[i].machine, looks[i].limit);

		KUNIT_EXPECT_EQ_MSG(test, bus, looks[i].bus, "look %u", i);
		if (bus != DMA_MAPPING_ERROR)
			KUNIT_EXPECT_EQ(test, xen_window_to_machine(map, bus),
					looks[i].machine);
	}
	KUNIT_EXPECT_EQ(test, xen_window_to_machine(map, XBW_GIB(4)),
			(u64)DMA_MAPPING_ERROR);
	KUNIT_EXPECT_EQ(test, xen_window_to_machine(map, XBW_GIB(16) - 1),
			(u64)DMA_MAPPING_ERROR);
}

/* The last bus address with memory, of a machine whose memory ends somewhere. */
static void xbw_last(struct kunit *test)
{
	static const u64 looks[][2] = {
		/* Memory's end, bus */
		{ XBW_GIB(1) - 1, 0 },
		{ XBW_GIB(1), XBW_GIB(16) },
		{ XBW_GIB(2) - 1, XBW_GIB(17) - 1 },
		{ XBW_GIB(3) - 1, XBW_GIB(18) - 1 },
		{ XBW_GIB(64) - 1, XBW_GIB(18) - 1 },
		{ XBW_GIB(64) + 7, XBW_GIB(18) - 1 },
		{ U64_MAX, XBW_GIB(18) - 1 },
	};
	struct bus_dma_region map[3] = {};
	unsigned int i;

	xen_set_region(&map[0], XBW_GIB(1), XBW_GIB(16), XBW_GIB(2));
	xen_set_region(&map[1], XBW_GIB(64), 0, XBW_GIB(1));
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		KUNIT_EXPECT_EQ_MSG(test, xen_window_last(map, looks[i][0]),
				    looks[i][1], "look %u", i);
}

/* Some windows, which may share memory; each has a place of its own on the bus. */
static void xbw_random_windows(struct xbr *x, const struct xbr_model *m,
			       struct bus_dma_region *map)
{
	unsigned int nr = xdt_below(&x->rnd, XBW_WINDOWS), i;

	memset(map, 0, XBW_WINDOWS * sizeof(*map));
	for (i = 0; i < nr; i++) {
		u32 frame = xdt_below(&x->rnd, XBR_MODEL_FRAMES);
		u32 len = 1 + xdt_below(&x->rnd, XBR_MODEL_FRAMES - frame);

		xen_set_region(&map[i], XBR_PAGES(m->base + frame),
			       XBR_PAGES(XBR_MODEL_FRAMES * (i * 3 % XBW_WINDOWS)),
			       XBR_PAGES(len));
	}
}

/* In how many runs an address is, of those that a device reaches. */
static unsigned int xbw_runs_with(struct xbr *x, const struct bus_dma_region *map,
				  u64 limit, u64 machine)
{
	unsigned int i, nr = 0;
	struct xen_span span;

	for (i = 0; xen_window_span(map, &x->table, limit, i, &span); i++)
		nr += machine >= span.first && machine <= span.last;
	return nr;
}

/* A page is in a run if, and only if, there is an address for it. */
static void xbw_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(1000), in = 0, out = 0;
	struct bus_dma_region map[XBW_WINDOWS];
	struct xbr *x = test->priv;
	struct xbr_model *m;
	unsigned int i;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	while (rounds-- && test->status == KUNIT_SUCCESS) {
		u64 limit = XBR_PAGES(1 + xdt_below(&x->rnd, 4 * XBR_MODEL_FRAMES)) - 1;

		xbr_model_start(test, m);
		for (i = 0; i < 20; i++)
			xbr_model_step(test, m, &x->table);
		xbw_random_windows(x, m, map);
		for (i = 0; i < XBR_MODEL_FRAMES; i++) {
			u64 machine = XBR_PAGES(m->base + i) +
				      xdt_below(&x->rnd, XEN_PAGE_SIZE);
			bool reached = xen_window_to_bus(map, machine, limit) <= limit;

			if (m->page[i] == XBR_NONE)
				continue;
			KUNIT_EXPECT_EQ(test, reached,
					!!xbw_runs_with(x, map, limit, machine));
			in += reached;
			out += !reached;
		}
	}
	KUNIT_EXPECT_GT(test, in, out / 20);
	KUNIT_EXPECT_GT(test, out, in / 20);
}

static struct kunit_case xbw_kunit_cases[] = {
	KUNIT_CASE_PARAM(xbw_spans, xbw_gen_params),
	KUNIT_CASE(xbw_translate),
	KUNIT_CASE(xbw_last),
	KUNIT_CASE(xbw_random),
	{}
};

static struct kunit_suite xbw_suite = {
	.name = "xen-bus-windows",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbw_kunit_cases,
};

kunit_test_suite(xbw_suite);

MODULE_DESCRIPTION("KUnit tests of buses that see the machine through windows");
MODULE_LICENSE("GPL");
