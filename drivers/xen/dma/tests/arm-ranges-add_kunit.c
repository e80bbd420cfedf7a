// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of adding a range to the table of where a domain's memory is.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "arm-ranges-fixture.h"

/**
 * struct xbr_add_case - a row for a table that has some
 * @desc:	what is special
 * @have:	rows of the table
 * @row:	the new one
 * @why:	a word of the reason why it is refused, or NULL
 * @want:	rows of the table then, unless it is refused
 */
struct xbr_add_case {
	const char *desc;
	struct xen_bus_range have[XBR_ROWS];
	struct xen_bus_range row;
	const char *why;
	struct xen_bus_range want[XBR_ROWS];
};

/* Two rows with a gap of two pages on both sides. */
#define XBR_TWO_ROWS { \
	{ 0x40010000, 0x10000, 0x10000000 }, \
	{ 0x40022000, 0x10000, 0x10000000 }, \
}

static const struct xbr_add_case xbr_add_cases[] = {
	{
		.desc = "first",
		.row = { 0x40000000, 0x10000000, 0x800000 },
		.want = { { 0x40000000, 0x10000000, 0x800000 } },
	}, {
		.desc = "one page",
		.row = { 0x40000000, 0x1000, 0 },
		.want = { { 0x40000000, 0x1000, 0 } },
	}, {
		.desc = "from address 0",
		.row = { 0, 0x2000, 0x40000000 },
		.want = { { 0, 0x2000, 0x40000000 } },
	}, {
		.desc = "to machine address 0",
		.row = { 0x40000000, 0x2000, -0x40000000ULL },
		.want = { { 0x40000000, 0x2000, -0x40000000ULL } },
	}, {
		.desc = "before others",
		.have = XBR_TWO_ROWS,
		.row = { 0x40000000, 0x1000, 0 },
		.want = {
			{ 0x40000000, 0x1000, 0 },
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40022000, 0x10000, 0x10000000 },
		},
	}, {
		.desc = "between others",
		.have = XBR_TWO_ROWS,
		.row = { 0x40020000, 0x1000, 0 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40020000, 0x1000, 0 },
			{ 0x40022000, 0x10000, 0x10000000 },
		},
	}, {
		.desc = "behind others",
		.have = XBR_TWO_ROWS,
		.row = { 0x50000000, 0x1000, 0 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40022000, 0x10000, 0x10000000 },
			{ 0x50000000, 0x1000, 0 },
		},
	}, {
		.desc = "joins the next",
		.have = XBR_TWO_ROWS,
		.row = { 0x4000f000, 0x1000, 0x10000000 },
		.want = {
			{ 0x4000f000, 0x11000, 0x10000000 },
			{ 0x40022000, 0x10000, 0x10000000 },
		},
	}, {
		.desc = "joins the one before",
		.have = XBR_TWO_ROWS,
		.row = { 0x40032000, 0x1000, 0x10000000 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40022000, 0x11000, 0x10000000 },
		},
	}, {
		.desc = "joins both",
		.have = {
			{ 0x40000000, 0x1000, 0 },
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40022000, 0x10000, 0x10000000 },
			{ 0x50000000, 0x1000, 0 },
		},
		.row = { 0x40020000, 0x2000, 0x10000000 },
		.want = {
			{ 0x40000000, 0x1000, 0 },
			{ 0x40010000, 0x22000, 0x10000000 },
			{ 0x50000000, 0x1000, 0 },
		},
	}, {
		.desc = "leaves a page between",
		.have = XBR_TWO_ROWS,
		.row = { 0x40021000, 0x1000, 0x20000000 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40021000, 0x1000, 0x20000000 },
			{ 0x40022000, 0x10000, 0x10000000 },
		},
	}, {
		.desc = "at a page's distance at the same offset",
		.have = { { 0x40010000, 0x10000, 0x10000000 } },
		.row = { 0x40021000, 0x1000, 0x10000000 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40021000, 0x1000, 0x10000000 },
		},
	}, {
		.desc = "neighbours at other offsets",
		.have = XBR_TWO_ROWS,
		.row = { 0x40020000, 0x2000, 0x20000000 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40020000, 0x2000, 0x20000000 },
			{ 0x40022000, 0x10000, 0x10000000 },
		},
	}, {
		.desc = "neighbours in the machine, the other way round",
		.have = { { 0x40010000, 0x10000, 0x10000000 } },
		.row = { 0x40020000, 0x10000, 0x10000000 - 0x20000 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x40020000, 0x10000, 0x10000000 - 0x20000 },
		},
	}, {
		.desc = "in somebody else's machine address",
		.have = { { 0x40000000, 0x1000, 0x10000000 } },
		.row = { 0x50000000, 0x1000, 0x10000000 },
		.want = {
			{ 0x40000000, 0x1000, 0x10000000 },
			{ 0x50000000, 0x1000, 0x10000000 },
		},
	}, {
		.desc = "twice",
		.have = XBR_TWO_ROWS,
		.row = { 0x40010000, 0x10000, 0x10000000 },
		.why = "overlap",
	}, {
		.desc = "twice, elsewhere",
		.have = XBR_TWO_ROWS,
		.row = { 0x40010000, 0x10000, 0x50000000 },
		.why = "overlap",
	}, {
		.desc = "over a first page",
		.have = XBR_TWO_ROWS,
		.row = { 0x4000f000, 0x2000, 0x50000000 },
		.why = "overlap",
	}, {
		.desc = "over a last page",
		.have = XBR_TWO_ROWS,
		.row = { 0x40031000, 0x2000, 0x50000000 },
		.why = "overlap",
	}, {
		.desc = "inside",
		.have = XBR_TWO_ROWS,
		.row = { 0x40014000, 0x1000, 0x50000000 },
		.why = "overlap",
	}, {
		.desc = "around",
		.have = XBR_TWO_ROWS,
		.row = { 0x40000000, 0x100000, 0x50000000 },
		.why = "overlap",
	}, {
		.desc = "over a first machine page",
		.have = { { 0x40010000, 0x10000, 0x10000000 } },
		.row = { 0x5000f000, 0x2000, 0 },
		.why = "overlap",
	}, {
		.desc = "up to a first machine page",
		.have = { { 0x40010000, 0x10000, 0x10000000 } },
		.row = { 0x5000e000, 0x2000, 0 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x5000e000, 0x2000, 0 },
		},
	}, {
		.desc = "over a last machine page",
		.have = { { 0x40010000, 0x10000, 0x10000000 } },
		.row = { 0x5001f000, 0x2000, 0 },
		.why = "overlap",
	}, {
		.desc = "behind a last machine page",
		.have = { { 0x40010000, 0x10000, 0x10000000 } },
		.row = { 0x50020000, 0x2000, 0 },
		.want = {
			{ 0x40010000, 0x10000, 0x10000000 },
			{ 0x50020000, 0x2000, 0 },
		},
	}, {
		.desc = "around in the machine",
		.have = { { 0x40010000, 0x10000, 0x10000000 } },
		.row = { 0x80000000, 0x100000, -0x30000000ULL },
		.why = "overlap",
	}, {
		.desc = "inside in the machine, the second row",
		.have = XBR_TWO_ROWS,
		.row = { 0x30028000, 0x1000, 0x20000000 },
		.why = "overlap",
	}, {
		.desc = "start not aligned",
		.have = XBR_TWO_ROWS,
		.row = { 0x80000800, 0x1000, 0 },
		.why = "aligned",
	}, {
		.desc = "size not aligned",
		.have = XBR_TWO_ROWS,
		.row = { 0x80000000, 0x1001, 0 },
		.why = "aligned",
	}, {
		.desc = "size less than a page",
		.have = XBR_TWO_ROWS,
		.row = { 0x80000000, 0xfff, 0 },
		.why = "aligned",
	}, {
		.desc = "offset not aligned",
		.have = XBR_TWO_ROWS,
		.row = { 0x80000000, 0x1000, 0x80 },
		.why = "aligned",
	}, {
		.desc = "start and offset not aligned, but together",
		.have = XBR_TWO_ROWS,
		.row = { 0x80000800, 0x1000, 0x800 },
		.why = "aligned",
	}, {
		.desc = "empty",
		.have = XBR_TWO_ROWS,
		.row = { 0x80000000, 0, 0 },
		.why = "empty",
	}, {
		.desc = "empty, in a row",
		.have = XBR_TWO_ROWS,
		.row = { 0x40011000, 0, 0x10000000 },
		.why = "empty",
	}, {
		.desc = "over the end of the domain's addresses",
		.row = { -0x2000ULL, 0x3000, 0x80000000 },
		.why = "overflow",
	}, {
		.desc = "all but once around",
		.row = { 0x40000000, -0x1000ULL, 0 },
		.why = "overflow",
	}, {
		.desc = "up to the end of the machine's addresses",
		.row = { 0x40000000, 0x10000,
			 XBR_MACHINE_END - 0x40010000 },
		.want = { { 0x40000000, 0x10000,
			    XBR_MACHINE_END - 0x40010000 } },
	}, {
		.desc = "over the end of the machine's addresses",
		.row = { 0x40000000, 0x10000,
			 XBR_MACHINE_END - 0x4000f000 },
		.why = "overflow",
	}, {
		.desc = "behind the end of the machine's addresses",
		.row = { 0x40000000, 0x1000, XBR_MACHINE_END - 0x40000000 },
		.why = "overflow",
	}, {
		.desc = "below machine address 0",
		.row = { 0x40000000, 0x1000, -0x40001000ULL },
		.why = "overflow",
	}, {
		.desc = "across machine address 0",
		.row = { 0x40000000, 0x2000, -0x40001000ULL },
		.why = "overflow",
	},
};

static void xbr_add_desc(const struct xbr_add_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xbr_add, xbr_add_cases, xbr_add_desc);

/* A row is taken as it should be, or refused, and then nothing is changed. */
static void xbr_add(struct kunit *test)
{
	const struct xbr_add_case *c = test->param_value;
	struct xbr *x = test->priv;
	const char *wrong;

	xbr_have(test, &x->table, c->have);
	memcpy(&x->was, &x->table, sizeof(x->was));
	wrong = xen_bus_add(&x->table, c->row.start, c->row.size,
			    c->row.offset);
	xbr_says(test, wrong, c->why, c->desc);

	if (c->why)
		KUNIT_EXPECT_MEMEQ(test, &x->table, &x->was, sizeof(x->was));
	else
		xbr_is(test, &x->table, c->want, xbr_nr_rows(c->want));
}

/* Whatever becomes of the last page of all, it is not there twice. */
static void xbr_add_last_page(struct kunit *test)
{
	struct xbr *x = test->priv;
	unsigned int i, found = 0;

	xen_bus_add(&x->table, -0x1000ULL, 0x1000, 0x2000);
	xen_bus_add(&x->table, -0x1000ULL, 0x1000, 0x4000);
	xen_bus_add(&x->table, -0x3000ULL, 0x3000, 0x10000);
	for (i = 0; i < x->table.nr; i++)
		found += -0x1000ULL - x->table.range[i].start <
			 x->table.range[i].size;
	KUNIT_EXPECT_LE(test, found, 1);
}

/* A full table takes no more, wherever it would go, and stays what it is. */
static void xbr_add_many(struct kunit *test)
{
	static const u64 starts[] = { 0, XBR_PAGES(11), XBR_PAGES(1000) };
	struct xbr *x = test->priv;
	unsigned int i;

	/* Every other one, first from below, then from above. */
	for (i = 0; i < XEN_BUS_RANGES; i++) {
		unsigned int at = i < XEN_BUS_RANGES / 2 ? i :
				  3 * XEN_BUS_RANGES / 2 - 1 - i;

		KUNIT_EXPECT_EQ(test, x->table.nr, i);
		xbr_says(test, xen_bus_add(&x->table, XBR_PAGES(2 * at + 2),
					   XBR_PAGES(1), 0), NULL, "not full");
	}
	KUNIT_EXPECT_EQ(test, x->table.nr, XEN_BUS_RANGES);
	for (i = 0; i < XEN_BUS_RANGES; i++) {
		KUNIT_EXPECT_EQ(test, x->table.range[i].start,
				XBR_PAGES(2 * i + 2));
		KUNIT_EXPECT_EQ(test, x->table.range[i].size, XBR_PAGES(1));
	}

	memcpy(&x->was, &x->table, sizeof(x->was));
	for (i = 0; i < ARRAY_SIZE(starts); i++)
		xbr_says(test, xen_bus_add(&x->table, starts[i], XBR_PAGES(1),
					   XBR_PAGES(5000)), "many", "full");
	KUNIT_EXPECT_MEMEQ(test, &x->table, &x->was, sizeof(x->was));
}

static void xbr_add_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(500), taken = 0, refused = 0;
	struct xen_bus_range *rows;
	struct xbr *x = test->priv;
	struct xbr_model *m;
	unsigned int step;
	int page;

	rows = kunit_kcalloc(test, XBR_MODEL_PAGES, sizeof(*rows), GFP_KERNEL);
	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, rows);
	KUNIT_ASSERT_NOT_NULL(test, m);

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		xbr_model_start(test, m);
		for (step = 0; step < 60; step++) {
			if (xbr_model_step(test, m, &x->table))
				taken++;
			else
				refused++;
			xbr_is(test, &x->table, rows, xbr_model_rows(m, rows));
		}
		for (page = 0; page < XBR_MODEL_PAGES; page++) {
			const struct xen_bus_range *range;
			u64 in = xdt_below(&x->rnd, XEN_PAGE_SIZE);

			range = xen_bus_find(&x->table, XBR_PAGES(page) + in);
			KUNIT_EXPECT_EQ(test, !range,
					m->frame[page] == XBR_NONE);
			if (range && m->frame[page] != XBR_NONE)
				KUNIT_EXPECT_EQ(test, range->offset,
						xbr_model_offset(m, page));
		}
	}
	KUNIT_EXPECT_GT(test, taken, refused / 20);
	KUNIT_EXPECT_GT(test, refused, taken / 20);
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE_PARAM(xbr_add, xbr_add_gen_params),
	KUNIT_CASE(xbr_add_last_page),
	KUNIT_CASE(xbr_add_many),
	KUNIT_CASE(xbr_add_random),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges-add",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suite(xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: adding");
MODULE_LICENSE("GPL");
