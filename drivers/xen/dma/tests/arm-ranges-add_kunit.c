// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of adding a range to the table of where a domain's memory is.
 */
#include <linux/minmax.h>
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

/* A row is taken as it should be, or refused. */
static void xbr_add(struct kunit *test)
{
	const struct xbr_add_case *c = test->param_value;
	struct xbr *x = test->priv;
	const char *wrong;

	xbr_have(test, &x->table, c->have);
	wrong = xbr_put(&x->table, c->row.start, c->row.size, c->row.offset);
	xbr_says(test, wrong, c->why, c->desc);
	if (!c->why)
		xbr_is(test, &x->table, c->want, xbr_nr_rows(c->want));
}

/* What is refused leaves a table that is being filled as it was. */
static void xbr_add_refused(struct kunit *test)
{
	struct xbr *x = test->priv;

	xbr_says(test, xen_bus_add(&x->table, 0, XBR_PAGES(2), XBR_PAGES(7)), NULL,
		 "first");
	xbr_says(test, xen_bus_add(&x->table, XBR_PAGES(2), 0, XBR_PAGES(7)),
		 "empty", "no bytes");
	xbr_says(test, xen_bus_add(&x->table, XBR_PAGES(2), 1, XBR_PAGES(7)),
		 "aligned", "a byte");
	KUNIT_EXPECT_EQ(test, x->table.nr, 1);
	KUNIT_EXPECT_EQ(test, x->table.range[0].size, XBR_PAGES(2));
}

/* Ranges that overlap leave no table at all. */
static void xbr_seal_refused(struct kunit *test)
{
	struct xbr *x = test->priv;

	xen_bus_add(&x->table, 0, XBR_PAGES(2), XBR_PAGES(7));
	xen_bus_add(&x->table, XBR_PAGES(1), XBR_PAGES(2), XBR_PAGES(70));
	xbr_says(test, xen_bus_seal(&x->table), "overlap", "overlap");
	KUNIT_EXPECT_EQ(test, x->table.nr, 0);
	KUNIT_EXPECT_NULL(test, x->table.range);

	xen_bus_add(&x->table, 0, XBR_PAGES(2), XBR_PAGES(7));
	xen_bus_add(&x->table, XBR_PAGES(4), XBR_PAGES(2), XBR_PAGES(4));
	xbr_says(test, xen_bus_seal(&x->table), "overlap", "overlap in the machine");
	KUNIT_EXPECT_EQ(test, x->table.nr, 0);
	KUNIT_EXPECT_NULL(test, x->table.by_machine);
}

/* Whatever becomes of the last page of all, it is not there twice. */
static void xbr_add_last_page(struct kunit *test)
{
	struct xbr *x = test->priv;
	unsigned int i, found = 0;

	xbr_put(&x->table, -0x1000ULL, 0x1000, 0x2000);
	xbr_put(&x->table, -0x1000ULL, 0x1000, 0x4000);
	xbr_put(&x->table, -0x3000ULL, 0x3000, 0x10000);
	for (i = 0; i < x->table.nr; i++)
		found += -0x1000ULL - x->table.range[i].start <
			 x->table.range[i].size;
	KUNIT_EXPECT_LE(test, found, 1);
}

/* As many as 256 MiB in single pages are. */
#define XBR_MANY	65536

/* Puts numbers into an order by chance. */
static void xbr_shuffle(struct xbr *x, u32 *number, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		number[i] = i;
	while (nr > 1) {
		i = xdt_below(&x->rnd, nr--);
		swap(number[i], number[nr]);
	}
}

/* Every other frame, so that no two pages are neighbours in the machine. */
static u64 xbr_many_machine(const u32 *frame, unsigned int page)
{
	return XBR_PAGES(2ULL * frame[page] + 100);
}

static void xbr_look_at_many(struct kunit *test, const u32 *frame)
{
	struct xbr *x = test->priv;
	unsigned int page, wrong = 0;

	for (page = 0; page < XBR_MANY; page++) {
		u64 phys = XBR_PAGES(page) + 17;
		u64 machine = xbr_many_machine(frame, page) + 17;
		const struct xen_bus_range *range = xen_bus_find(&x->table, phys);

		wrong += !range || phys + range->offset != machine;
		wrong += xen_bus_find_machine(&x->table, machine) != range;
		wrong += !!xen_bus_find_machine(&x->table, machine + XEN_PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, xen_bus_highest(&x->table),
			XBR_PAGES(2ULL * XBR_MANY + 99) - 1);
}

/* Single pages, added in order, and in none. */
static void xbr_add_many(struct kunit *test)
{
	struct xbr *x = test->priv;
	u32 *frame, *order;
	unsigned int i;

	frame = kunit_kcalloc(test, XBR_MANY, sizeof(*frame), GFP_KERNEL);
	order = kunit_kcalloc(test, XBR_MANY, sizeof(*order), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, frame);
	KUNIT_ASSERT_NOT_NULL(test, order);
	xbr_shuffle(x, frame, XBR_MANY);
	for (i = 0; i < XBR_MANY; i++)
		xen_bus_add(&x->table, XBR_PAGES(i), XBR_PAGES(1),
			    xbr_many_machine(frame, i) - XBR_PAGES(i));
	xbr_says(test, xen_bus_seal(&x->table), NULL, "in order");
	xbr_look_at_many(test, frame);

	xen_bus_free(&x->table);
	xbr_shuffle(x, order, XBR_MANY);
	for (i = 0; i < XBR_MANY; i++)
		xen_bus_add(&x->table, XBR_PAGES(order[i]), XBR_PAGES(1),
			    xbr_many_machine(frame, order[i]) - XBR_PAGES(order[i]));
	xbr_says(test, xen_bus_seal(&x->table), NULL, "in no order");
	xbr_look_at_many(test, frame);
}

/* What is at each of the machine's frames is what the model has there. */
static void xbr_machine_is(struct kunit *test, const struct xbr_model *m,
			   const struct xen_bus_table *table)
{
	unsigned int frame;

	for (frame = 0; frame < XBR_MODEL_FRAMES; frame++) {
		u64 machine = XBR_PAGES(m->base + frame);
		const struct xen_bus_range *range =
			xen_bus_find_machine(table, machine);

		KUNIT_EXPECT_EQ(test, !range, m->page[frame] == XBR_NONE);
		if (range && m->page[frame] != XBR_NONE)
			KUNIT_EXPECT_EQ(test, machine - range->offset,
					XBR_PAGES(m->page[frame]));
	}
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
		xbr_machine_is(test, m, &x->table);
	}
	KUNIT_EXPECT_GT(test, taken, refused / 20);
	KUNIT_EXPECT_GT(test, refused, taken / 20);
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE_PARAM(xbr_add, xbr_add_gen_params),
	KUNIT_CASE(xbr_add_refused),
	KUNIT_CASE(xbr_seal_refused),
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
