// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of tables for all of a domain's memory, at one offset, and of tables
 * that tell of memory only.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "arm-ranges-fixture.h"

/* All memory at one offset */

/**
 * struct xbr_fill_case - an offset for all memory
 * @desc:	what is special
 * @ram:	the memory; offsets that differ keep neighbours apart
 * @offset:	the offset
 * @why:	a word of the reason why it is refused, or NULL
 * @want:	rows of the table, unless it is refused
 */
struct xbr_fill_case {
	const char *desc;
	struct xen_bus_range ram[XBR_ROWS];
	u64 offset;
	const char *why;
	struct xen_bus_range want[XBR_ROWS];
};

#define XBR_RAM { \
	{ 0x40000000, 0x10000000, 0 }, \
	{ 0x200000000, 0x80000000, 0 }, \
}

static const struct xbr_fill_case xbr_fill_cases[] = {
	{
		.desc = "upwards",
		.ram = XBR_RAM,
		.offset = 0x800000,
		.want = {
			{ 0x40000000, 0x10000000, 0x800000 },
			{ 0x200000000, 0x80000000, 0x800000 },
		},
	}, {
		.desc = "downwards",
		.ram = XBR_RAM,
		.offset = -0x20000000ULL,
		.want = {
			{ 0x40000000, 0x10000000, -0x20000000ULL },
			{ 0x200000000, 0x80000000, -0x20000000ULL },
		},
	}, {
		.desc = "nowhere else",
		.ram = XBR_RAM,
		.want = XBR_RAM,
	}, {
		.desc = "neighbours become one",
		.ram = {
			{ 0x40000000, 0x10000000, 0 },
			{ 0x50000000, 0x1000, 0x1000 },
		},
		.offset = 0x1000000,
		.want = { { 0x40000000, 0x10001000, 0x1000000 } },
	}, {
		.desc = "no memory",
		.offset = 0x800000,
	}, {
		.desc = "down to 0",
		.ram = XBR_RAM,
		.offset = -0x40000000ULL,
		.want = {
			{ 0x40000000, 0x10000000, -0x40000000ULL },
			{ 0x200000000, 0x80000000, -0x40000000ULL },
		},
	}, {
		.desc = "below 0",
		.ram = XBR_RAM,
		.offset = -0x40001000ULL,
		.why = "overflow",
	}, {
		.desc = "up to the end",
		.ram = XBR_RAM,
		.offset = XBR_MACHINE_END - 0x280000000,
		.want = {
			{ 0x40000000, 0x10000000,
			  XBR_MACHINE_END - 0x280000000 },
			{ 0x200000000, 0x80000000,
			  XBR_MACHINE_END - 0x280000000 },
		},
	}, {
		.desc = "over the end",
		.ram = XBR_RAM,
		.offset = XBR_MACHINE_END - 0x27ffff000,
		.why = "overflow",
	}, {
		.desc = "not aligned",
		.ram = XBR_RAM,
		.offset = 0x800800,
		.why = "aligned",
	},
};

static void xbr_fill_desc(const struct xbr_fill_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xbr_fill, xbr_fill_cases, xbr_fill_desc);

static void xbr_fill(struct kunit *test)
{
	const struct xbr_fill_case *c = test->param_value;
	struct xbr *x = test->priv;

	xbr_have(test, &x->ram, c->ram);
	xbr_says(test, xen_bus_fill(&x->table, &x->ram, c->offset), c->why,
		 c->desc);
	if (!c->why)
		xbr_is(test, &x->table, c->want, xbr_nr_rows(c->want));
}

/* Memory only */

/**
 * struct xbr_check_case - a table that tells of memory, or not
 * @desc:	what is special
 * @rows:	the table
 * @bad:	whether a range lies outside
 */
struct xbr_check_case {
	const char *desc;
	struct xen_bus_range rows[XBR_ROWS];
	bool bad;
};

/* Two rows that are one piece, a gap, another row. */
static const struct xen_bus_range xbr_check_ram[] = {
	{ 0x40000000, 0x10000000, 0 },
	{ 0x50000000, 0x10000000, 0x10000000 },
	{ 0x80000000, 0x1000, 0x10000000 },
	{}
};

static const struct xbr_check_case xbr_check_cases[] = {
	{ "nothing", {}, false },
	{ "one row exactly", { { 0x40000000, 0x10000000, 0 } }, false },
	{ "the last row exactly", { { 0x80000000, 0x1000, 0 } }, false },
	{ "inside", { { 0x48000000, 0x1000, 0 } }, false },
	{ "across rows in one piece", { { 0x4ffff000, 0x2000, 0 } }, false },
	{ "two rows exactly", { { 0x40000000, 0x20000000, 0 } }, false },
	{ "all", {
		{ 0x40000000, 0x20000000, 0x1000 },
		{ 0x80000000, 0x1000, 0 },
	}, false },
	{ "a page too early", { { 0x3ffff000, 0x1000, 0 } }, true },
	{ "begins a page too early", { { 0x3ffff000, 0x2000, 0 } }, true },
	{ "a page too late", { { 0x60000000, 0x1000, 0 } }, true },
	{ "ends a page too late", { { 0x5ffff000, 0x2000, 0 } }, true },
	{ "two rows and a page", { { 0x40000000, 0x20001000, 0 } }, true },
	{ "in the gap", { { 0x70000000, 0x1000, 0 } }, true },
	{ "across the gap", { { 0x5ffff000, 0x20002000, 0 } }, true },
	{ "behind all", { { 0x80001000, 0x1000, 0 } }, true },
	{ "around all", { { 0, 0x100000000, 0 } }, true },
	{ "the second of two", {
		{ 0x40000000, 0x1000, 0 },
		{ 0x70000000, 0x1000, 0x1000 },
	}, true },
	{ "the first of two", {
		{ 0x30000000, 0x1000, 0x1000 },
		{ 0x40000000, 0x1000, 0 },
	}, true },
};

static void xbr_check_desc(const struct xbr_check_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xbr_check, xbr_check_cases, xbr_check_desc);

static void xbr_check(struct kunit *test)
{
	const struct xbr_check_case *c = test->param_value;
	struct xbr *x = test->priv;

	xbr_have(test, &x->ram, xbr_check_ram);
	xbr_have(test, &x->table, c->rows);
	xbr_says(test, xen_bus_check(&x->table, &x->ram),
		 c->bad ? "outside" : NULL, c->desc);
}

/* Without memory nothing is in it. */
static void xbr_check_no_ram(struct kunit *test)
{
	struct xbr *x = test->priv;

	xbr_says(test, xen_bus_check(&x->table, &x->ram), NULL, "no row");
	xbr_says(test, xbr_put(&x->table, 0, 0x1000, 0), NULL, "set-up");
	xbr_says(test, xen_bus_check(&x->table, &x->ram), "outside", "a row");
}

static void xbr_check_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(3000), inside = 0, outside = 0;
	struct xbr *x = test->priv;
	struct xbr_model *m, *ram;
	unsigned int i;
	bool bad;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	ram = kunit_kzalloc(test, sizeof(*ram), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_NOT_NULL(test, ram);

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		xbr_model_start(test, ram);
		xbr_model_start(test, m);
		xen_bus_free(&x->ram);
		for (i = 0; i < 40; i++)
			xbr_model_step(test, ram, &x->ram);
		for (i = 0; i < 2; i++)
			xbr_model_step(test, m, &x->table);

		for (i = 0, bad = false; i < XBR_MODEL_PAGES; i++)
			bad |= m->frame[i] != XBR_NONE &&
			       ram->frame[i] == XBR_NONE;
		xbr_says(test, xen_bus_check(&x->table, &x->ram),
			 bad ? "outside" : NULL, "random tables");
		if (bad)
			outside++;
		else
			inside++;
	}
	KUNIT_EXPECT_GT(test, inside, outside / 20);
	KUNIT_EXPECT_GT(test, outside, inside / 20);
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE_PARAM(xbr_fill, xbr_fill_gen_params),
	KUNIT_CASE_PARAM(xbr_check, xbr_check_gen_params),
	KUNIT_CASE(xbr_check_no_ram),
	KUNIT_CASE(xbr_check_random),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges-memory",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suite(xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: its memory");
MODULE_LICENSE("GPL");
