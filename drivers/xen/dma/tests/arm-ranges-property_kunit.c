// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the device tree's properties that tell where a domain's memory is.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "arm-ranges-fixture.h"

/* The property xen,dma-offset */

/**
 * struct xbr_offset_case - a value of the property
 * @desc:	what is special
 * @cells:	its cells
 * @len:	its length in bytes
 * @why:	a word of the reason why it is refused, or NULL
 * @want:	the offset
 */
struct xbr_offset_case {
	const char *desc;
	u32 cells[4];
	int len;
	const char *why;
	u64 want;
};

static const struct xbr_offset_case xbr_offset_cases[] = {
	{ "one cell", { 0x00800000 }, 4, "cells", 0 },
	{ "one cell, 0", { 0 }, 4, "cells", 0 },
	{ "one cell, and more behind", { 0x1000, 0x2000 }, 4, "cells", 0 },
	{ "two cells", { 0x1, 0x20000000 }, 8, NULL, 0x120000000 },
	{ "two cells, 0", { 0, 0 }, 8, NULL, 0 },
	{ "two cells, bit 31", { 0, 0x80000000 }, 8, NULL, 0x80000000 },
	{ "two cells, only the higher", { 0x10, 0 }, 8, NULL, 0x1000000000 },
	{ "two cells, negative", { 0xffffffff, 0xff800000 }, 8, NULL,
	  -0x800000ULL },
	{ "two cells, minus 4 GiB", { 0xffffffff, 0 }, 8, NULL,
	  -0x100000000ULL },
	{ "empty", { 0x1000 }, 0, "cells", 0 },
	{ "three cells", { 0, 0, 0x1000 }, 12, "cells", 0 },
	{ "four cells", { 0, 0, 0, 0x1000 }, 16, "cells", 0 },
	{ "a byte", { 0 }, 1, "cells", 0 },
	{ "three bytes", { 0 }, 3, "cells", 0 },
	{ "five bytes", { 0, 0 }, 5, "cells", 0 },
	{ "seven bytes", { 0, 0 }, 7, "cells", 0 },
	{ "nine bytes", { 0, 0, 0 }, 9, "cells", 0 },
	{ "two cells, 1", { 0, 1 }, 8, "aligned", 0 },
	{ "two cells, -1", { 0xffffffff, 0xffffffff }, 8, "aligned", 0 },
	{ "two cells, not aligned", { 1, 0x20000001 }, 8, "aligned", 0 },
};

static void xbr_offset_desc(const struct xbr_offset_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xbr_offset, xbr_offset_cases, xbr_offset_desc);

static void xbr_offset(struct kunit *test)
{
	const struct xbr_offset_case *c = test->param_value;
	__be32 prop[ARRAY_SIZE(c->cells)];
	u64 offset = 0x5a5a5000;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(prop); i++)
		prop[i] = cpu_to_be32(c->cells[i]);
	xbr_says(test, xen_bus_read_offset(prop, c->len, &offset), c->why,
		 c->desc);
	if (!c->why)
		KUNIT_EXPECT_EQ(test, offset, c->want);
}

/* The property xen,dma-ranges */

#define XBR_CELLS	20

/**
 * struct xbr_rows_case - a value of the property
 * @desc:	what is special
 * @addr_cells:	cells of an address
 * @size_cells:	cells of a size
 * @len:	length in bytes, -1 for all of @cells
 * @nr:		how many cells there are
 * @cells:	they
 * @why:	a word of the reason why it is refused, or NULL
 * @want:	rows of the table, unless it is refused
 */
struct xbr_rows_case {
	const char *desc;
	int addr_cells;
	int size_cells;
	int len;
	int nr;
	u32 cells[XBR_CELLS];
	const char *why;
	struct xen_bus_range want[XBR_ROWS];
};

#define XBR_PROP(...) \
	.nr = sizeof((u32 []) { __VA_ARGS__ }) / sizeof(u32), \
	.cells = { __VA_ARGS__ }

static const struct xbr_rows_case xbr_rows_cases[] = {
	{
		"two and two cells", 2, 2, -1,
		XBR_PROP(1, 0x20000000, 0, 0x40000000, 0, 0x10000000,
			 2, 0x80000000, 4, 0x00000000, 1, 0x00000000),
		.want = {
			{ 0x40000000, 0x10000000, 0xe0000000 },
			{ 0x400000000, 0x100000000, -0x180000000ULL },
		},
	}, {
		"one and one cell", 1, 1, -1,
		XBR_PROP(0x60000000, 0x40000000, 0x10000000),
		.want = { { 0x40000000, 0x10000000, 0x20000000 } },
	}, {
		"two and one cell", 2, 1, -1,
		XBR_PROP(1, 0, 0, 0x40000000, 0x80000000,
			 2, 0, 0, 0xc0000000, 0x00001000),
		.want = {
			{ 0x40000000, 0x80000000, 0xc0000000 },
			{ 0xc0000000, 0x1000, 0x140000000 },
		},
	}, {
		"one and two cells", 1, 2, -1,
		XBR_PROP(0x40000000, 0x80000000, 0, 0x10000000,
			 0x10000000, 0x40000000, 0, 0x08000000),
		.want = {
			{ 0x40000000, 0x08000000, -0x30000000ULL },
			{ 0x80000000, 0x10000000, -0x40000000ULL },
		},
	}, {
		"one cell, a downward offset", 1, 1, -1,
		XBR_PROP(0x00000000, 0xf0000000, 0x10000000),
		.want = { { 0xf0000000, 0x10000000, -0xf0000000ULL } },
	}, {
		"one cell, an upward offset", 1, 1, -1,
		XBR_PROP(0xf0000000, 0x00000000, 0x10000000),
		.want = { { 0, 0x10000000, 0xf0000000 } },
	}, {
		"a size beyond 4 GiB", 1, 2, -1,
		XBR_PROP(0x40000000, 0x40000000, 1, 0x00001000),
		.want = { { 0x40000000, 0x100001000, 0 } },
	}, {
		"backwards, to become one", 1, 1, -1,
		XBR_PROP(0x62000000, 0x42000000, 0x01000000,
			 0x61000000, 0x41000000, 0x01000000,
			 0x60000000, 0x40000000, 0x01000000),
		.want = { { 0x40000000, 0x03000000, 0x20000000 } },
	}, {
		"the last machine page", 2, 1, -1,
		XBR_PROP(0x000fffff, 0xfffff000, 0, 0x40000000, 0x1000),
		.want = { { 0x40000000, 0x1000,
			    XBR_MACHINE_END - 0x40001000 } },
	}, {
		"empty", 2, 2, 0, XBR_PROP(0), "empty",
	}, {
		"a cell is missing", 2, 2, -1,
		XBR_PROP(1, 0x20000000, 0, 0x40000000, 0), "row",
	}, {
		"a cell too many", 2, 2, -1,
		XBR_PROP(1, 0x20000000, 0, 0x40000000, 0, 0x10000000, 0),
		"row",
	}, {
		"a row and a half", 2, 2, -1,
		XBR_PROP(1, 0x20000000, 0, 0x40000000, 0, 0x10000000,
			 2, 0x20000000, 0), "row",
	}, {
		"a byte is missing", 1, 1, 11,
		XBR_PROP(0x60000000, 0x40000000, 0x10000000), "row",
	}, {
		"a byte too many", 1, 1, 13,
		XBR_PROP(0x60000000, 0x40000000, 0x10000000, 0), "row",
	}, {
		"a byte", 1, 1, 1, XBR_PROP(0), "row",
	}, {
		"no cell for an address", 0, 1, -1, XBR_PROP(0x1000), "cell",
	}, {
		"no cell for a size", 1, 0, -1,
		XBR_PROP(0x60000000, 0x40000000), "cell",
	}, {
		"no cell for anything", 0, 0, -1, XBR_PROP(0x1000), "cell",
	}, {
		"three cells for an address", 3, 1, -1,
		XBR_PROP(0, 1, 0x20000000, 0, 0, 0x40000000, 0x1000), "cell",
	}, {
		"three cells for a size", 1, 3, -1,
		XBR_PROP(0x60000000, 0x40000000, 0, 0, 0x1000), "cell",
	}, {
		"bus address not aligned", 1, 1, -1,
		XBR_PROP(0x60000800, 0x40000000, 0x10000000), "aligned",
	}, {
		"guest-physical address not aligned", 1, 1, -1,
		XBR_PROP(0x60000000, 0x40000800, 0x10000000), "aligned",
	}, {
		"neither address aligned", 1, 1, -1,
		XBR_PROP(0x60000800, 0x40000800, 0x10000000), "aligned",
	}, {
		"size not aligned", 1, 1, -1,
		XBR_PROP(0x60000000, 0x40000000, 0x10000004), "aligned",
	}, {
		"a row without a size", 1, 1, -1,
		XBR_PROP(0x60000000, 0x40000000, 0x10000000,
			 0x70000000, 0x60000000, 0), "empty",
	}, {
		"overlap", 1, 1, -1,
		XBR_PROP(0x60000000, 0x40000000, 0x10000000,
			 0x80000000, 0x4ffff000, 0x10000000), "overlap",
	}, {
		"overlap on the bus", 1, 1, -1,
		XBR_PROP(0x60000000, 0x40000000, 0x10000000,
			 0x6ffff000, 0x80000000, 0x10000000), "overlap",
	}, {
		"the same row twice", 1, 1, -1,
		XBR_PROP(0x60000000, 0x40000000, 0x10000000,
			 0x60000000, 0x40000000, 0x10000000), "overlap",
	}, {
		"over the end of the domain's addresses", 2, 2, -1,
		XBR_PROP(0, 0, 0xffffffff, 0xfffff000, 0, 0x2000), "overflow",
	}, {
		"over the end of the bus", 2, 2, -1,
		XBR_PROP(0x000fffff, 0xfffff000, 0, 0x40000000, 0, 0x2000),
		"overflow",
	}, {
		"behind the end of the bus", 2, 2, -1,
		XBR_PROP(0x00100000, 0, 0, 0x40000000, 0, 0x1000), "overflow",
	}, {
		"at the end of 64 bits on the bus", 2, 2, -1,
		XBR_PROP(0xffffffff, 0xfffff000, 0, 0x40000000, 0, 0x1000),
		"overflow",
	}, {
		"around on the bus", 2, 2, -1,
		XBR_PROP(0xffffffff, 0xfffff000, 0, 0x40000000, 0, 0x2000),
		"overflow",
	}, {
		"a size of nearly 64 bits", 2, 2, -1,
		XBR_PROP(0, 0x1000, 0, 0x1000, 0xffffffff, 0xfffff000),
		"overflow",
	},
};

static void xbr_rows_desc(const struct xbr_rows_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xbr_rows, xbr_rows_cases, xbr_rows_desc);

static void xbr_rows(struct kunit *test)
{
	const struct xbr_rows_case *c = test->param_value;
	struct xbr *x = test->priv;
	__be32 prop[XBR_CELLS] = {};
	unsigned int i;

	for (i = 0; i < XBR_CELLS; i++)
		prop[i] = cpu_to_be32(c->cells[i]);
	xbr_says(test, xen_bus_read_rows(&x->table, prop, c->len < 0 ?
					 c->nr * (int)sizeof(*prop) : c->len,
					 c->addr_cells, c->size_cells),
		 c->why, c->desc);
	if (!c->why)
		xbr_is(test, &x->table, c->want, xbr_nr_rows(c->want));
}

/* The same rows in the order of xen,reg, with the same outcome. */
static void xbr_regs(struct kunit *test)
{
	const struct xbr_rows_case *c = test->param_value;
	int a = c->addr_cells, s = c->size_cells, row = 2 * a + s, i;
	__be32 prop[XBR_CELLS + 8] = {};
	struct xbr *x = test->priv;

	for (i = 0; i < XBR_CELLS; i++) {
		int at = row ? i % row : 0, to = i;

		if (at >= a && at < 2 * a)
			to += s;
		else if (at >= 2 * a)
			to -= a;
		prop[to] = cpu_to_be32(c->cells[i]);
	}
	xbr_says(test, xen_bus_read_regs(&x->table, prop, c->len < 0 ?
					 c->nr * (int)sizeof(*prop) : c->len,
					 a, s),
		 c->why, c->desc);
	if (!c->why)
		xbr_is(test, &x->table, c->want, xbr_nr_rows(c->want));
}

#define XBR_ROWS_MANY	5000

/* More rows than fit into a page, from above. */
static void xbr_rows_many(struct kunit *test)
{
	struct xbr *x = test->priv;
	__be32 *prop, *cell;
	unsigned int i;

	prop = kunit_kcalloc(test, 3 * XBR_ROWS_MANY, sizeof(*prop), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, prop);
	for (i = XBR_ROWS_MANY, cell = prop; i--; ) {
		*cell++ = cpu_to_be32(0x80000000 + XBR_PAGES(2 * i));
		*cell++ = cpu_to_be32(0x40000000 + XBR_PAGES(2 * i));
		*cell++ = cpu_to_be32(XEN_PAGE_SIZE);
	}

	xbr_says(test, xen_bus_read_rows(&x->table, prop, (u8 *)cell - (u8 *)prop, 1,
					 1), NULL, "many");
	KUNIT_EXPECT_EQ(test, x->table.nr, XBR_ROWS_MANY);
	for (i = 0; i < x->table.nr; i++)
		KUNIT_EXPECT_EQ(test, x->table.range[i].start,
				0x40000000 + XBR_PAGES(2 * i));
}

/* A table whose rows are written, and read again, is the same. */
static void xbr_write_cells(__be32 **cell, u64 value, int nr)
{
	if (nr == 2)
		*(*cell)++ = cpu_to_be32(value >> 32);
	*(*cell)++ = cpu_to_be32(value);
}

static void xbr_rows_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(2000);
	struct xbr *x = test->priv;
	__be32 *prop, *cell;
	struct xbr_model *m;
	unsigned int i;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	prop = kunit_kcalloc(test, 6 * XBR_MODEL_PAGES, sizeof(*prop),
			     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_NOT_NULL(test, prop);

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		int size_cells = 1 + xdt_below(&x->rnd, 2);
		bool back = xdt_chance(&x->rnd, 50);
		int addr_cells;

		xbr_model_start(test, m);
		addr_cells = m->base ? 2 : 1 + xdt_below(&x->rnd, 2);
		for (i = 0; i < 20; i++)
			xbr_model_step(test, m, &x->table);
		xbr_copy(&x->was, &x->table);

		for (i = 0, cell = prop; i < x->was.nr; i++) {
			const struct xen_bus_range *range =
				&x->was.range[back ? x->was.nr - 1 - i : i];

			xbr_write_cells(&cell, range->start + range->offset,
					addr_cells);
			xbr_write_cells(&cell, range->start, addr_cells);
			xbr_write_cells(&cell, range->size, size_cells);
		}
		xen_bus_free(&x->table);
		xbr_says(test, xen_bus_read_rows(&x->table, prop,
						 (u8 *)cell - (u8 *)prop,
						 addr_cells, size_cells),
			 x->was.nr ? NULL : "empty", "random rows");
		xbr_is(test, &x->table, x->was.range, x->was.nr);
	}
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE_PARAM(xbr_offset, xbr_offset_gen_params),
	KUNIT_CASE_PARAM(xbr_rows, xbr_rows_gen_params),
	KUNIT_CASE_PARAM(xbr_regs, xbr_rows_gen_params),
	KUNIT_CASE(xbr_rows_many),
	KUNIT_CASE(xbr_rows_random),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges-property",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suite(xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: properties");
MODULE_LICENSE("GPL");
