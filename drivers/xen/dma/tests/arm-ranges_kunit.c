// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of where a domain's memory is in the machine: the table of ranges,
 * what it is read from, the maps of devices that are made of it, and the pages
 * that are elsewhere.
 *
 * What can be listed is listed: a case has a table of what goes in and what is to
 * come out. Behind that follow random numbers with a fixed seed, against models
 * that know every page. A reason for refusing is told by a word of it.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/dma-direct.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <xen/bus-ranges.h>
#include <xen/page.h>

#include "../compat.h"
#include "fixture.h"

/* One more than the rows of any listed table: a row without a size ends it. */
#define XBR_ROWS	6

/* Where the machine's addresses end. */
#define XBR_MACHINE_END	BIT_ULL(52)

#define XBR_PAGES_END	(XBR_MACHINE_END >> XEN_PAGE_SHIFT)

#define XBR_PAGES(nr)	((u64)(nr) << XEN_PAGE_SHIFT)

/* No page of a model has anything. */
#define XBR_NONE	(-1)

/**
 * struct xbr - what a case works with
 * @table:	a table, empty at first
 * @ram:	a table of memory, empty at first
 * @was:	room for a copy
 * @rnd:	random numbers, by the case's name
 */
struct xbr {
	struct xen_bus_table table;
	struct xen_bus_table ram;
	struct xen_bus_table was;
	struct rnd_state rnd;
};

static int xbr_init(struct kunit *test)
{
	struct xbr *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	const char *c;
	u64 mix = 1;

	KUNIT_ASSERT_NOT_NULL(test, x);
	KUNIT_ASSERT_FALSE_MSG(test, xen_any_strays(), "strays of others");
	for (c = test->name; *c; c++)
		mix = mix * 31 + *c;
	prandom_seed_state(&x->rnd, mix);
	test->priv = x;
	return 0;
}

static void xbr_exit(struct kunit *test)
{
	xa_destroy(&xen_strays);
	WRITE_ONCE(xen_all_moved, false);
}

/* @why is a word of the reason, NULL where there is nothing to say. */
static void xbr_says(struct kunit *test, const char *wrong, const char *why,
		     const char *what)
{
	if (!why)
		KUNIT_EXPECT_STREQ_MSG(test, wrong ?: "fine", "fine", "%s",
				       what);
	else if (!wrong || !strstr(wrong, why))
		KUNIT_FAIL(test, "%s: says '%s', not '%s'", what,
			   wrong ?: "fine", *why ? why : "something is wrong");
}

static unsigned int xbr_nr_rows(const struct xen_bus_range *rows)
{
	unsigned int nr = 0;

	while (rows[nr].size)
		nr++;
	return nr;
}

static void xbr_is(struct kunit *test, const struct xen_bus_table *table,
		   const struct xen_bus_range *rows, unsigned int nr)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, table->nr, nr);
	for (i = 0; i < min(nr, table->nr); i++) {
		KUNIT_EXPECT_EQ_MSG(test, table->range[i].start, rows[i].start,
				    "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, table->range[i].size, rows[i].size,
				    "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, table->range[i].offset,
				    rows[i].offset, "row %u", i);
	}
}

/* Puts @rows into a table, which takes them. */
static void xbr_have(struct kunit *test, struct xen_bus_table *table,
		     const struct xen_bus_range *rows)
{
	for (; rows->size; rows++)
		xbr_says(test, xen_bus_add(table, rows->start, rows->size,
					   rows->offset), NULL, "set-up");
}

/* Adding */

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

/* What a model of the domain's first pages has. */
#define XBR_MODEL_PAGES		48
#define XBR_MODEL_FRAMES	64

/**
 * struct xbr_model - every page of a small domain in a small machine
 * @base:	first frame of the machine
 * @frame:	frame of each page, from @base, or XBR_NONE
 * @page:	page at each frame, or XBR_NONE
 */
struct xbr_model {
	u64 base;
	int frame[XBR_MODEL_PAGES];
	int page[XBR_MODEL_FRAMES];
};

static void xbr_model_reset(struct xbr_model *m, u64 base)
{
	m->base = base;
	memset(m->frame, 0xff, sizeof(m->frame));
	memset(m->page, 0xff, sizeof(m->page));
}

static u64 xbr_model_offset(const struct xbr_model *m, int page)
{
	return XBR_PAGES(m->base + m->frame[page] - page);
}

static const char *xbr_model_add(struct xbr_model *m, int page, int nr,
				 int frame)
{
	int i;

	if (frame < 0 || frame + nr > XBR_MODEL_FRAMES)
		return "overflow";
	for (i = 0; i < nr; i++)
		if (m->frame[page + i] != XBR_NONE ||
		    m->page[frame + i] != XBR_NONE)
			return "overlap";
	for (i = 0; i < nr; i++) {
		m->frame[page + i] = frame + i;
		m->page[frame + i] = page + i;
	}

	return NULL;
}

/* Rows of the model, as few as they can be. */
static unsigned int xbr_model_rows(const struct xbr_model *m,
				   struct xen_bus_range *rows)
{
	unsigned int nr = 0;
	int page;

	for (page = 0; page < XBR_MODEL_PAGES; page++) {
		if (m->frame[page] == XBR_NONE)
			continue;
		if (page && m->frame[page - 1] != XBR_NONE &&
		    m->frame[page - 1] + 1 == m->frame[page]) {
			rows[nr - 1].size += XBR_PAGES(1);
			continue;
		}
		rows[nr++] = (struct xen_bus_range) {
			XBR_PAGES(page), XBR_PAGES(1),
			xbr_model_offset(m, page),
		};
	}

	return nr;
}

/* Adds something to both, and compares what they say to it. */
static bool xbr_model_step(struct kunit *test, struct xbr_model *m,
			   struct xen_bus_table *table)
{
	struct xbr *x = test->priv;
	int page = xdt_below(&x->rnd, XBR_MODEL_PAGES);
	int nr = min_t(int, 1 + xdt_below(&x->rnd, 8), XBR_MODEL_PAGES - page);
	int frame = xdt_below(&x->rnd, XBR_MODEL_FRAMES);
	const char *why;

	/* At one end the machine's addresses end with the model, or begin. */
	if (!m->base)
		frame -= 2;
	/* Often at the offset of the page before. */
	if (page && m->frame[page - 1] != XBR_NONE && xdt_chance(&x->rnd, 40))
		frame = m->frame[page - 1] + 1;
	/* At the other end it does not know what is there. */
	if (!m->base) {
		frame = min(frame, XBR_MODEL_FRAMES - 1);
		nr = min(nr, XBR_MODEL_FRAMES - frame);
	}

	why = xbr_model_add(m, page, nr, frame);
	xbr_says(test, xen_bus_add(table, XBR_PAGES(page), XBR_PAGES(nr),
				   XBR_PAGES(m->base + frame - page)),
		 why, "random row");
	return !why;
}

/* A machine that begins, or ends, with the model's frames. */
static void xbr_model_start(struct kunit *test, struct xbr_model *m)
{
	struct xbr *x = test->priv;

	xbr_model_reset(m, xdt_chance(&x->rnd, 50) ? 0 :
			   XBR_PAGES_END - XBR_MODEL_FRAMES);
	x->table.nr = 0;
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
	xbr_says(test, xen_bus_add(&x->table, 0, 0x1000, 0), NULL, "set-up");
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
		x->ram.nr = 0;
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

/* The property dma-offset */

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
	{ "one cell", { 0x00800000 }, 4, NULL, 0x00800000 },
	{ "one cell, 0", { 0 }, 4, NULL, 0 },
	{ "one cell, a page", { 0x1000 }, 4, NULL, 0x1000 },
	{ "one cell, largest", { 0x7ffff000 }, 4, NULL, 0x7ffff000 },
	{ "one cell, negative", { 0xff800000 }, 4, NULL, -0x800000ULL },
	{ "one cell, minus a page", { 0xfffff000 }, 4, NULL, -0x1000ULL },
	{ "one cell, smallest", { 0x80000000 }, 4, NULL, -0x80000000ULL },
	{ "one cell, and more behind", { 0x1000, 0x2000 }, 4, NULL, 0x1000 },
	{ "two cells", { 0x1, 0x20000000 }, 8, NULL, 0x120000000 },
	{ "two cells, 0", { 0, 0 }, 8, NULL, 0 },
	{ "two cells, bit 31", { 0, 0x80000000 }, 8, NULL, 0x80000000 },
	{ "two cells, only the higher", { 0x10, 0 }, 8, NULL, 0x1000000000 },
	{ "two cells, negative", { 0xffffffff, 0xff800000 }, 8, NULL,
	  -0x800000ULL },
	{ "two cells, minus 4 GiB", { 0xffffffff, 0 }, 8, NULL,
	  -0x100000000ULL },
	{ "empty", { 0x1000 }, 0, "empty", 0 },
	{ "three cells", { 0, 0, 0x1000 }, 12, "cell", 0 },
	{ "four cells", { 0, 0, 0, 0x1000 }, 16, "cell", 0 },
	{ "a byte", { 0 }, 1, "cell", 0 },
	{ "three bytes", { 0 }, 3, "cell", 0 },
	{ "five bytes", { 0, 0 }, 5, "cell", 0 },
	{ "seven bytes", { 0, 0 }, 7, "cell", 0 },
	{ "nine bytes", { 0, 0, 0 }, 9, "cell", 0 },
	{ "one cell, not aligned", { 0x00800800 }, 4, "aligned", 0 },
	{ "one cell, 1", { 1 }, 4, "aligned", 0 },
	{ "one cell, -1", { 0xffffffff }, 4, "aligned", 0 },
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

/* As many rows as a table has, and one more. */
static void xbr_rows_many(struct kunit *test)
{
	struct xbr *x = test->priv;
	__be32 *prop, *cell;
	unsigned int i;
	int len;

	prop = kunit_kcalloc(test, 3 * (XEN_BUS_RANGES + 1), sizeof(*prop),
			     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, prop);
	for (i = 0, cell = prop; i <= XEN_BUS_RANGES; i++) {
		*cell++ = cpu_to_be32(0x80000000 + XBR_PAGES(2 * i));
		*cell++ = cpu_to_be32(0x40000000 + XBR_PAGES(2 * i));
		*cell++ = cpu_to_be32(XEN_PAGE_SIZE);
	}
	len = (cell - prop) * sizeof(*prop);

	xbr_says(test, xen_bus_read_rows(&x->table, prop, len, 1, 1), "many",
		 "one too many");
	x->table.nr = 0;
	len -= 3 * sizeof(*prop);
	xbr_says(test, xen_bus_read_rows(&x->table, prop, len, 1, 1), NULL,
		 "as many as can be");
	KUNIT_EXPECT_EQ(test, x->table.nr, XEN_BUS_RANGES);
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
	prop = kunit_kcalloc(test, 6 * XEN_BUS_RANGES, sizeof(*prop),
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
		memcpy(&x->was, &x->table, sizeof(x->was));

		for (i = 0, cell = prop; i < x->was.nr; i++) {
			const struct xen_bus_range *range =
				&x->was.range[back ? x->was.nr - 1 - i : i];

			xbr_write_cells(&cell, range->start + range->offset,
					addr_cells);
			xbr_write_cells(&cell, range->start, addr_cells);
			xbr_write_cells(&cell, range->size, size_cells);
		}
		memset(&x->table, 0, sizeof(x->table));
		xbr_says(test, xen_bus_read_rows(&x->table, prop,
						 (u8 *)cell - (u8 *)prop,
						 addr_cells, size_cells),
			 x->was.nr ? NULL : "empty", "random rows");
		xbr_is(test, &x->table, x->was.range, x->was.nr);
	}
}

/* The boot parameter xen_dma_offset= */

/**
 * struct xbr_param_case - a value of the parameter
 * @arg:	it
 * @why:	a word of the reason why it is refused, "" for whichever, or NULL
 * @want:	rows of the table, unless it is refused
 */
struct xbr_param_case {
	const char *arg;
	const char *why;
	struct xen_bus_range want[XBR_ROWS];
};

static const struct xen_bus_range xbr_param_ram[] = {
	{ 0x40000000, 0x10000000, 0 },
	{ 0x200000000, 0x80000000, 0 },
	{}
};

static const struct xbr_param_case xbr_param_cases[] = {
	/* An offset for each range */
	{ "40000000+64K:1000", NULL, { { 0x40000000, 0x10000, 0x1000 } } },
	{ "0x40000000+256M:0x20000000", NULL,
	  { { 0x40000000, 0x10000000, 0x20000000 } } },
	{ "200000000+2G:-100000000", NULL,
	  { { 0x200000000, 0x80000000, -0x100000000ULL } } },
	{ "200000000+2g:ffffffff00000000", NULL,
	  { { 0x200000000, 0x80000000, -0x100000000ULL } } },
	{ "40000000+0x8000:0", NULL, { { 0x40000000, 0x8000, 0 } } },
	{ "0+4k:40000000", NULL, { { 0, 0x1000, 0x40000000 } } },
	{ "40000000+1M:0,40200000+1M:1000000,200000000+0x1000:-0x1000", NULL, {
		{ 0x40000000, 0x100000, 0 },
		{ 0x40200000, 0x100000, 0x1000000 },
		{ 0x200000000, 0x1000, -0x1000ULL },
	} },
	{ "200000000+4K:0,40000000+4K:0", NULL, {
		{ 0x40000000, 0x1000, 0 },
		{ 0x200000000, 0x1000, 0 },
	} },
	{ "40001000+4K:5000,40000000+4K:5000", NULL,
	  { { 0x40000000, 0x2000, 0x5000 } } },

	/* What is well written, and wrong */
	{ "800", "aligned" },
	{ "40000001", "aligned" },
	{ "-1", "aligned" },
	{ "-0x40001000", "overflow" },
	{ "10000000000000", "overflow" },
	{ "40000800+4K:0", "aligned" },
	{ "40000000+6144:0", "aligned" },
	{ "40000000+4K:10", "aligned" },
	{ "40000000+0:0", "empty" },
	{ "40000000+0x0:0", "empty" },
	{ "40000000+1M:-40001000", "overflow" },
	{ "fffffffffffff000+8K:2000", "overflow" },
	{ "40000000+8K:0,40001000+4K:100000", "overlap" },
	{ "40000000+8K:0,50000000+4K:-10000000", "overlap" },
	{ "40000000+8K:0,40000000+8K:0", "overlap" },

	/* More than 64 bits, and what is left of it looks well. */
	{ "10000000000001000", "" },
	{ "0x10000000000001000", "" },
	{ "-10000000000001000", "" },
	{ "10000000040000000+4K:0", "" },
	{ "40000000+4K:10000000000001000", "" },
	{ "40000000+0x10000000000001000:0", "" },
	{ "40000000+18014398509481985K:0", "" },
	{ "40000000+17179869185G:0", "" },

	/* No offset */
	{ "", "empty" },
	{ " ", "" },
	{ "-", "" },
	{ "0x", "" },
	{ "-0x", "" },
	{ "x", "" },
	{ "x1000", "" },
	{ "00x1000", "" },
	{ "0x0x1000", "" },
	{ "--1000", "" },
	{ "0x-1000", "" },
	{ "1000-", "" },
	{ " 1000", "" },
	{ "- 1000", "" },
	{ "1000 ", "" },
	{ "1000\n", "" },
	{ "1000h", "" },
	{ "1000K", "" },
	{ "1M", "" },
	{ "1000.", "" },
	{ "1000,", "" },
	{ ",1000", "" },
	{ "1000,2000", "" },
	{ ":1000", "" },
	{ "40000000:1000", "" },
	{ "off", "" },

	/* No ranges */
	{ "+", "" },
	{ "+1000", "" },
	{ "40000000+", "" },
	{ "40000000+1M", "" },
	{ "40000000+:1000", "" },
	{ "40000000+K:1000", "" },
	{ "40000000+0x:1000", "" },
	{ "40000000+1M:", "" },
	{ "40000000+1M:-", "" },
	{ "40000000+1M:0x", "" },
	{ "40000000+1M:-0x", "" },
	{ "40000000+1M:--1000", "" },
	{ "40000000+1M:x", "" },
	{ "40000000+1M:1000K", "" },
	{ "40000000+1M:+1000", "" },
	{ "40000000+1M::1000", "" },
	{ "40000000+1M:1000:", "" },
	{ "40000000+1M-1000", "" },
	{ "40000000+1M 1000", "" },
	{ "40000000+1MB:1000", "" },
	{ "40000000+1MM:1000", "" },
	{ "40000000+-1M:1000", "" },
	{ "40000000++1M:1000", "" },
	{ "40000000 +1M:1000", "" },
	{ "40000000+ 1M:1000", "" },
	{ "40000000+1M :1000", "" },
	{ "40000000+1M: 1000", "" },
	{ "40000000+1M:1000 ", "" },
	{ " 40000000+1M:1000", "" },
	{ "40000000K+1M:1000", "" },
	{ "+1M:1000", "" },
	{ "-+1M:1000", "" },
	{ "0x+1M:1000", "" },
	{ "zz+1M:1000", "" },
	{ "40000000-1M:1000", "" },
	{ "40000000+1M:1000,", "" },
	{ ",40000000+1M:1000", "" },
	{ "40000000+1M:1000,,200000000+1M:1000", "" },
	{ "40000000+1M:1000;200000000+1M:1000", "" },
	{ "40000000+1M:1000 200000000+1M:1000", "" },
	{ "40000000+1M:1000, 200000000+1M:1000", "" },
	{ "40000000+1M:1000,200000000", "" },
	{ "40000000+1M:1000,200000000+1M", "" },
	{ "40000000+1M:1000,200000000+1M:", "" },
	{ "1000,40000000+1M:1000", "" },
	{ "40000000+1M:1000,2000", "" },
};

static void xbr_param_desc(const struct xbr_param_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "'%s'",
		 strcmp(c->arg, "1000\n") ? c->arg : "1000\\n");
}

KUNIT_ARRAY_PARAM(xbr_param, xbr_param_cases, xbr_param_desc);

static void xbr_param(struct kunit *test)
{
	const struct xbr_param_case *c = test->param_value;
	struct xbr *x = test->priv;

	xbr_have(test, &x->ram, xbr_param_ram);
	xbr_says(test, xen_bus_read_param(&x->table, c->arg, &x->ram), c->why,
		 c->arg);
	if (!c->why)
		xbr_is(test, &x->table, c->want, xbr_nr_rows(c->want));
}

/* One offset for all memory, in all the ways in which it can be written. */
static void xbr_param_number(struct kunit *test)
{
	static const struct {
		const char *arg;
		u64 offset;
	} numbers[] = {
		{ "40000000", 0x40000000 },
		{ "0x40000000", 0x40000000 },
		{ "a0b000", 0xa0b000 },
		{ "0xA0B000", 0xa0b000 },
		{ "0", 0 },
		{ "0x0", 0 },
		{ "-0", 0 },
		{ "-20000000", -0x20000000ULL },
		{ "-0x20000000", -0x20000000ULL },
		{ "ffffffffe0000000", -0x20000000ULL },
		{ "0xffffffffe0000000", -0x20000000ULL },
		/* 32 bits are no two's complement here. */
		{ "0xe0000000", 0xe0000000 },
	};
	struct xen_bus_range want[ARRAY_SIZE(xbr_param_ram)];
	struct xbr *x = test->priv;
	unsigned int i;

	xbr_have(test, &x->ram, xbr_param_ram);
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		memcpy(want, xbr_param_ram, sizeof(want));
		want[0].offset = numbers[i].offset;
		want[1].offset = numbers[i].offset;

		x->table.nr = 0;
		xbr_says(test, xen_bus_read_param(&x->table, numbers[i].arg,
						  &x->ram),
			 NULL, numbers[i].arg);
		xbr_is(test, &x->table, want, 2);
	}
}

/* Writes a number in one of the ways in which it can be. */
static int xbr_write_hex(struct rnd_state *rnd, char *to, size_t size,
			 u64 value)
{
	bool minus = (s64)value < 0 && xdt_chance(rnd, 70);

	return scnprintf(to, size, "%s%s%llx", minus ? "-" : "",
			 xdt_chance(rnd, 50) ? "0x" : "",
			 minus ? -value : value);
}

static int xbr_write_size(struct rnd_state *rnd, char *to, size_t size,
			  u64 value)
{
	switch (xdt_below(rnd, 3)) {
	case 0:
		return scnprintf(to, size, "%lluK", value / SZ_1K);
	case 1:
		return scnprintf(to, size, "%llu", value);
	default:
		return scnprintf(to, size, "0x%llx", value);
	}
}

/* A table that is written as a parameter, and read again, is the same. */
static void xbr_param_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(2000);
	struct xbr *x = test->priv;
	struct xbr_model *m;
	unsigned int i;
	size_t len;
	char *arg;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	arg = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_NOT_NULL(test, arg);

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		xbr_model_start(test, m);
		for (i = 0; i < 20; i++)
			xbr_model_step(test, m, &x->table);
		memcpy(&x->was, &x->table, sizeof(x->was));

		for (i = 0, len = 0, *arg = '\0'; i < x->was.nr; i++) {
			const struct xen_bus_range *range = &x->was.range[i];

			if (i)
				arg[len++] = ',';
			len += xbr_write_hex(&x->rnd, arg + len, SZ_4K - len,
					     range->start);
			arg[len++] = '+';
			len += xbr_write_size(&x->rnd, arg + len, SZ_4K - len,
					      range->size);
			arg[len++] = ':';
			len += xbr_write_hex(&x->rnd, arg + len, SZ_4K - len,
					     range->offset);
		}
		memset(&x->table, 0, sizeof(x->table));
		xbr_says(test, xen_bus_read_param(&x->table, arg, &x->ram),
			 x->was.nr ? NULL : "empty", arg);
		xbr_is(test, &x->table, x->was.range, x->was.nr);
	}
}

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

/* What the generic code makes of a device's map is what the table says. */
static void xbr_map_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(1000), mapped = 0, unmapped = 0;
	struct bus_dma_region *hw;
	struct xbr *x = test->priv;
	struct xbr_model *m;
	struct device *dev;
	unsigned int i;
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
		for (i = 0; i < XBR_MODEL_PAGES; i++) {
			u64 in = xdt_below(&x->rnd, XEN_PAGE_SIZE);
			u64 phys = XBR_PAGES(i) + in, want;

			want = m->frame[i] == XBR_NONE ? DMA_MAPPING_ERROR :
			       bus[m->frame[i]];
			if (want != DMA_MAPPING_ERROR)
				want += in;
			KUNIT_EXPECT_EQ(test, phys_to_dma(dev, phys), want);
			if (want == DMA_MAPPING_ERROR) {
				unmapped++;
				continue;
			}
			mapped++;
			KUNIT_EXPECT_EQ(test, dma_to_phys(dev, want), phys);
		}
		for (i = 0; i < XBR_MODEL_FRAMES; i++)
			if (bus[i] != DMA_MAPPING_ERROR)
				KUNIT_EXPECT_EQ(test, dma_to_phys(dev, bus[i]),
						m->page[i] == XBR_NONE ?
						(phys_addr_t)-1 :
						XBR_PAGES(m->page[i]));
		KUNIT_EXPECT_EQ(test, phys_to_dma(dev,
						  XBR_PAGES(XBR_MODEL_PAGES)),
				DMA_MAPPING_ERROR);
	}
	KUNIT_EXPECT_GT(test, mapped, unmapped / 20);
	KUNIT_EXPECT_GT(test, unmapped, mapped / 20);
}

/* Strays */

/* Neighbours, the borders of the tree's nodes and of its heights, far away. */
static const unsigned long xbr_pfns[] = {
	0, 1, 2, 62, 63, 64, 65, 4095, 4096, 4097, BIT(18) - 1, BIT(18),
	BIT(20) + 5, BIT(30), LONG_MAX, ULONG_MAX - 1,
};

static void xbr_stray(struct kunit *test)
{
	unsigned int i, j;

	KUNIT_EXPECT_FALSE(test, xen_any_strays());
	for (i = 0; i < ARRAY_SIZE(xbr_pfns); i++)
		KUNIT_EXPECT_EQ(test, xen_stray(xbr_pfns[i]), XEN_NO_STRAY);
	KUNIT_EXPECT_EQ(test, xen_stray_next(0, ULONG_MAX), XEN_NO_STRAY);

	/* One in three has moved; frame 0 and the last one are frames too. */
	for (i = 0; i < ARRAY_SIZE(xbr_pfns); i++) {
		KUNIT_EXPECT_EQ(test, xen_stray_add(xbr_pfns[i], i % 3 == 1 ?
						    XEN_MOVED : i,
						    i % 2 ? GFP_NOWAIT :
							    GFP_KERNEL), 0);
		KUNIT_EXPECT_TRUE(test, xen_any_strays());
		for (j = 0; j < ARRAY_SIZE(xbr_pfns); j++)
			KUNIT_EXPECT_EQ(test, xen_stray(xbr_pfns[j]),
					j > i ? XEN_NO_STRAY :
					j % 3 == 1 ? XEN_MOVED : j);
	}

	/* Where there was another. */
	KUNIT_EXPECT_EQ(test, xen_stray_add(64, XEN_MOVED - 1, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_stray(64), XEN_MOVED - 1);
	KUNIT_EXPECT_EQ(test, xen_stray_add(64, XEN_MOVED, GFP_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, xen_stray(64), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_stray_add(64, 0, GFP_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, xen_stray(64), 0);

	/* What is none can be deleted. */
	xen_stray_del(3);
	xen_stray_del(BIT(40));
	for (i = 0; i < ARRAY_SIZE(xbr_pfns); i++) {
		KUNIT_EXPECT_TRUE(test, xen_any_strays());
		xen_stray_del(xbr_pfns[i]);
		for (j = 0; j < ARRAY_SIZE(xbr_pfns); j++)
			KUNIT_EXPECT_EQ(test, xen_stray(xbr_pfns[j]) ==
					XEN_NO_STRAY, j <= i);
	}
	KUNIT_EXPECT_FALSE(test, xen_any_strays());
	xen_stray_del(xbr_pfns[0]);
	KUNIT_EXPECT_FALSE(test, xen_any_strays());
}

static void xbr_stray_next(struct kunit *test)
{
	static const struct {
		unsigned long first;
		unsigned long last;
		unsigned long want;
	} looks[] = {
		{ 0, 99, XEN_NO_STRAY }, { 0, 100, 100 }, { 0, ULONG_MAX, 100 },
		{ 100, 100, 100 }, { 100, 101, 100 }, { 101, 101, 101 },
		{ 101, ULONG_MAX, 101 }, { 102, 102, XEN_NO_STRAY },
		{ 102, BIT(24) - 1, XEN_NO_STRAY }, { 102, BIT(24), BIT(24) },
		{ BIT(24), BIT(24), BIT(24) },
		{ BIT(24) + 1, ULONG_MAX, XEN_NO_STRAY },
		{ ULONG_MAX, ULONG_MAX, XEN_NO_STRAY },
	};
	unsigned int i;

	KUNIT_EXPECT_EQ(test, xen_stray_add(100, 5, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_stray_add(101, XEN_MOVED, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_stray_add(BIT(24), 0, GFP_KERNEL), 0);
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		KUNIT_EXPECT_EQ_MSG(test, xen_stray_next(looks[i].first,
							 looks[i].last),
				    looks[i].want, "from %#lx to %#lx",
				    looks[i].first, looks[i].last);
}

/* When one could not be noted each may have moved, but for those that are known. */
static void xbr_stray_all_moved(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, xen_stray_add(100, 5, GFP_KERNEL), 0);
	WRITE_ONCE(xen_all_moved, true);
	KUNIT_EXPECT_TRUE(test, xen_any_strays());
	KUNIT_EXPECT_EQ(test, xen_stray(100), 5);
	KUNIT_EXPECT_EQ(test, xen_stray(0), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_stray(101), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_stray_next(7, 7), 7);
	KUNIT_EXPECT_EQ(test, xen_stray_next(7, 200), 7);

	xen_stray_del(100);
	KUNIT_EXPECT_EQ(test, xen_stray(100), XEN_MOVED);
	KUNIT_EXPECT_TRUE(test, xen_any_strays());
	WRITE_ONCE(xen_all_moved, false);
	KUNIT_EXPECT_FALSE(test, xen_any_strays());
	KUNIT_EXPECT_EQ(test, xen_stray(100), XEN_NO_STRAY);
	KUNIT_EXPECT_EQ(test, xen_stray_next(7, 200), XEN_NO_STRAY);
}

/* Interrupts that are off stay off, and those that are on stay on. */
static void xbr_stray_irqs(struct kunit *test)
{
	bool off[4], on[4];
	unsigned long flags;

	local_irq_save(flags);
	xen_stray_add(100, 5, GFP_NOWAIT);
	off[0] = irqs_disabled();
	xen_stray_add(100, 6, GFP_NOWAIT);
	off[1] = irqs_disabled();
	xen_stray_del(100);
	off[2] = irqs_disabled();
	xen_stray_del(100);
	off[3] = irqs_disabled();
	local_irq_restore(flags);

	xen_stray_add(100, 5, GFP_NOWAIT);
	on[0] = irqs_disabled();
	xen_stray_add(100, 5, GFP_KERNEL);
	on[1] = irqs_disabled();
	xen_stray_del(100);
	on[2] = irqs_disabled();
	xen_stray_add(100, 5, GFP_KERNEL);
	on[3] = irqs_disabled();

	KUNIT_EXPECT_TRUE(test, off[0] && off[1] && off[2] && off[3]);
	KUNIT_EXPECT_FALSE(test, on[0] || on[1] || on[2] || on[3]);
	KUNIT_EXPECT_EQ(test, xen_stray(100), 5);
}

/* Takes all memory that can be had without waiting. */
static void xbr_take_memory(struct list_head *pages)
{
	struct page *page;
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--) {
		while ((page = alloc_pages(GFP_NOWAIT | __GFP_NOWARN, order))) {
			set_page_private(page, order);
			list_add(&page->lru, pages);
		}
	}
}

static void xbr_free_memory(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		unsigned int order = page_private(page);

		list_del(&page->lru);
		set_page_private(page, 0);
		__free_pages(page, order);
	}
}

#define XBR_FAR(i)	((unsigned long)((i) + 1) << 24)

/* Without memory a stray is not noted, which is said, and the others are. */
static void xbr_stray_no_memory(struct kunit *test)
{
	unsigned long i, nr, wrong = 0, refused;
	LIST_HEAD(pages);
	int err = 0;

	/* The kernel's messages want memory too: none before it is freed. */
	xbr_take_memory(&pages);
	for (nr = 0; nr < SZ_1M && !err; nr++)
		err = xen_stray_add(XBR_FAR(nr), nr, GFP_NOWAIT | __GFP_NOWARN);
	refused = XBR_FAR(--nr);
	for (i = 0; i < nr; i++)
		wrong += xen_stray(XBR_FAR(i)) != i;
	i = xen_stray(refused);
	xbr_free_memory(&pages);

	kunit_info(test, "%lu strays", nr);
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, i, XEN_NO_STRAY);
	KUNIT_EXPECT_EQ(test, xen_stray_next(refused, ULONG_MAX),
			XEN_NO_STRAY);

	KUNIT_EXPECT_EQ(test, xen_stray_add(refused, 7, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_stray(refused), 7);
}

#define XBR_STRAYS	256

/*
 * Frames in ascending order. Half are neighbours; the others are pairs, of which
 * each is alone in its node of the tree, which comes and goes with it.
 */
static unsigned long xbr_stray_pfn(unsigned int i)
{
	if (i < XBR_STRAYS / 2)
		return 60 + i;
	return (unsigned long)(i / 2) << 13 | i % 2;
}

static void xbr_stray_random(struct kunit *test)
{
	unsigned long steps = xdt_scaled(100000), *model;
	struct xbr *x = test->priv;
	unsigned int i, last, found;

	model = kunit_kcalloc(test, XBR_STRAYS, sizeof(*model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model);
	for (i = 0; i < XBR_STRAYS; i++)
		model[i] = XEN_NO_STRAY;

	while (steps-- && test->status == KUNIT_SUCCESS) {
		i = xdt_below(&x->rnd, XBR_STRAYS);
		switch (xdt_below(&x->rnd, 8)) {
		case 0 ... 1:
			model[i] = xdt_chance(&x->rnd, 30) ? XEN_MOVED :
				   prandom_u32_state(&x->rnd);
			KUNIT_EXPECT_EQ(test,
					xen_stray_add(xbr_stray_pfn(i),
						      model[i],
						      xdt_chance(&x->rnd, 50) ?
						      GFP_KERNEL : GFP_NOWAIT),
					0);
			break;
		case 2 ... 4:
			model[i] = XEN_NO_STRAY;
			xen_stray_del(xbr_stray_pfn(i));
			break;
		case 5:
			last = min(i + xdt_below(&x->rnd, 10),
				   XBR_STRAYS - 1U);
			for (found = i; found <= last &&
			     model[found] == XEN_NO_STRAY; found++)
				;
			KUNIT_EXPECT_EQ(test,
					xen_stray_next(xbr_stray_pfn(i),
						       xbr_stray_pfn(last)),
					found <= last ? xbr_stray_pfn(found) :
							XEN_NO_STRAY);
			break;
		default:
			KUNIT_EXPECT_EQ(test, xen_stray(xbr_stray_pfn(i)),
					model[i]);
			break;
		}
		cond_resched();
	}
	for (i = 0; i < XBR_STRAYS; i++)
		KUNIT_EXPECT_EQ(test, xen_stray(xbr_stray_pfn(i)), model[i]);
}

/* Several at once: some note and delete, each its own, others look. */

#define XBR_WRITERS	2
#define XBR_READERS	2
#define XBR_RACERS	(XBR_WRITERS + XBR_READERS)

/* What a page is in the race, by its index modulo 4. */
#define XBR_STAYS	2
#define XBR_NEVER	3

/* A frame tells of which page it is, and how often that has been noted. */
#define XBR_RACE_MFN(i, times)	((unsigned long)(i) << 32 | (times))

struct xbr_racer {
	struct rnd_state rnd;
	struct completion done;
	struct task_struct *task;
	struct xbr_race *race;
	unsigned int nr;
	unsigned long seen;
	const char *why;
};

/**
 * struct xbr_race - what those in the race share
 * @racer:	they; the first ones write
 * @steps:	how much each of these does
 * @stop:	set when the others may stop
 * @noted:	how often each page has been noted, at most
 * @last:	what each page is at last, by its writer
 */
struct xbr_race {
	struct xbr_racer racer[XBR_RACERS];
	unsigned long steps;
	bool stop;
	u32 noted[XBR_STRAYS];
	unsigned long last[XBR_STRAYS];
};

static int xbr_race_write(void *data)
{
	struct xbr_racer *r = data;
	struct xbr_race *race = r->race;
	unsigned long step, flags, pfn;
	unsigned int i;
	int err = 0;

	for (step = 0; step < race->steps && !r->why; step++) {
		i = 4 * xdt_below(&r->rnd, XBR_STRAYS / 4) + r->nr;
		pfn = xbr_stray_pfn(i);
		if (xdt_chance(&r->rnd, 50)) {
			race->last[i] = XEN_NO_STRAY;
			xen_stray_del(pfn);
			continue;
		}

		WRITE_ONCE(race->noted[i], race->noted[i] + 1);
		/* Who sees the frame sees this; pairs with xbr_race_look(). */
		smp_wmb();
		race->last[i] = xdt_chance(&r->rnd, 20) ? XEN_MOVED :
				XBR_RACE_MFN(i, race->noted[i]);
		if (xdt_chance(&r->rnd, 75)) {
			local_irq_save(flags);
			err = xen_stray_add(pfn, race->last[i], GFP_NOWAIT);
			local_irq_restore(flags);
		} else {
			err = xen_stray_add(pfn, race->last[i], GFP_KERNEL);
		}
		if (err)
			r->why = "a stray was not noted";
		if (xen_stray(pfn) != race->last[i])
			r->why = "what was noted is not there";
		cond_resched();
	}
	complete(&r->done);

	return 0;
}

static const char *xbr_race_look(struct xbr_racer *r, unsigned int i)
{
	unsigned long mfn = xen_stray(xbr_stray_pfn(i));

	switch (i % 4) {
	case XBR_STAYS:
		return mfn == XBR_RACE_MFN(i, 0) ? NULL :
		       "one that nobody touches is another";
	case XBR_NEVER:
		return mfn == XEN_NO_STRAY ? NULL :
		       "one that nobody noted is there";
	}

	if (mfn == XEN_NO_STRAY)
		return NULL;
	r->seen++;
	if (mfn == XEN_MOVED)
		return NULL;
	if (mfn >> 32 != i)
		return "a frame of another page";
	/* Pairs with the barrier in xbr_race_write(). */
	smp_rmb();
	if ((u32)mfn - 1 >= READ_ONCE(r->race->noted[i]))
		return "a frame that was never noted";
	return NULL;
}

static const char *xbr_race_next(struct xbr_racer *r, unsigned int first,
				 unsigned int last)
{
	unsigned long pfn = xen_stray_next(xbr_stray_pfn(first),
					   xbr_stray_pfn(last));
	unsigned int i;

	for (i = first; i <= last; i++) {
		if (pfn == xbr_stray_pfn(i))
			return i % 4 == XBR_NEVER ?
			       "found one that nobody noted" : NULL;
		if (i % 4 == XBR_STAYS)
			return "did not find one that nobody touches";
	}

	return pfn == XEN_NO_STRAY ? NULL : "found one that is elsewhere";
}

static int xbr_race_read(void *data)
{
	struct xbr_racer *r = data;
	unsigned int i, last;

	while (!READ_ONCE(r->race->stop) && !r->why) {
		i = xdt_below(&r->rnd, XBR_STRAYS);
		last = min(i + xdt_below(&r->rnd, 6), XBR_STRAYS - 1U);
		r->why = xbr_race_look(r, i) ?: xbr_race_next(r, i, last);
		cond_resched();
	}
	complete(&r->done);

	return 0;
}

static void xbr_race_start(struct xbr_race *race, unsigned int nr, u32 seed)
{
	struct xbr_racer *r = &race->racer[nr];

	r->race = race;
	r->nr = nr;
	prandom_seed_state(&r->rnd, seed);
	init_completion(&r->done);
	r->task = kthread_create(nr < XBR_WRITERS ? xbr_race_write :
				 xbr_race_read, r, "xbr/%u", nr);
	if (IS_ERR(r->task)) {
		r->why = "no thread";
		complete(&r->done);
		return;
	}
	kthread_bind(r->task, nr % 2 ? cpumask_last(cpu_online_mask) :
				       cpumask_first(cpu_online_mask));
}

static void xbr_stray_race(struct kunit *test)
{
	struct xbr *x = test->priv;
	struct xbr_race *race;
	unsigned int i;

	race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race);
	race->steps = xdt_scaled(300000);
	for (i = 0; i < XBR_STRAYS; i++) {
		race->last[i] = XEN_NO_STRAY;
		if (i % 4 == XBR_STAYS) {
			race->last[i] = XBR_RACE_MFN(i, 0);
			KUNIT_ASSERT_EQ(test, xen_stray_add(xbr_stray_pfn(i),
							    race->last[i],
							    GFP_KERNEL), 0);
		}
	}

	for (i = 0; i < XBR_RACERS; i++)
		xbr_race_start(race, i, prandom_u32_state(&x->rnd));
	for (i = 0; i < XBR_RACERS; i++)
		if (!IS_ERR(race->racer[i].task))
			wake_up_process(race->racer[i].task);
	for (i = 0; i < XBR_RACERS; i++) {
		if (i == XBR_WRITERS)
			WRITE_ONCE(race->stop, true);
		wait_for_completion(&race->racer[i].done);
	}

	for (i = 0; i < XBR_RACERS; i++) {
		KUNIT_EXPECT_STREQ(test, race->racer[i].why ?: "fine", "fine");
		if (i >= XBR_WRITERS)
			KUNIT_EXPECT_GT(test, race->racer[i].seen, 0);
	}
	for (i = 0; i < XBR_STRAYS; i++)
		KUNIT_EXPECT_EQ(test, xen_stray(xbr_stray_pfn(i)),
				race->last[i]);
	for (i = 0; i < XBR_STRAYS; i++)
		xen_stray_del(xbr_stray_pfn(i));
	KUNIT_EXPECT_FALSE(test, xen_any_strays());
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE_PARAM(xbr_add, xbr_add_gen_params),
	KUNIT_CASE(xbr_add_last_page),
	KUNIT_CASE(xbr_add_many),
	KUNIT_CASE(xbr_add_random),
	KUNIT_CASE_PARAM(xbr_fill, xbr_fill_gen_params),
	KUNIT_CASE_PARAM(xbr_check, xbr_check_gen_params),
	KUNIT_CASE(xbr_check_no_ram),
	KUNIT_CASE(xbr_check_random),
	KUNIT_CASE_PARAM(xbr_offset, xbr_offset_gen_params),
	KUNIT_CASE_PARAM(xbr_rows, xbr_rows_gen_params),
	KUNIT_CASE(xbr_rows_many),
	KUNIT_CASE(xbr_rows_random),
	KUNIT_CASE_PARAM(xbr_param, xbr_param_gen_params),
	KUNIT_CASE(xbr_param_number),
	KUNIT_CASE(xbr_param_random),
	KUNIT_CASE(xbr_find),
	KUNIT_CASE(xbr_highest),
	KUNIT_CASE_PARAM(xbr_map, xbr_map_gen_params),
	KUNIT_CASE(xbr_map_plain),
	KUNIT_CASE(xbr_map_many),
	KUNIT_CASE(xbr_map_random),
	KUNIT_CASE(xbr_stray),
	KUNIT_CASE(xbr_stray_next),
	KUNIT_CASE(xbr_stray_all_moved),
	KUNIT_CASE(xbr_stray_irqs),
	KUNIT_CASE_SLOW(xbr_stray_no_memory),
	KUNIT_CASE(xbr_stray_random),
	KUNIT_CASE_SLOW(xbr_stray_race),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suites(&xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine");
MODULE_LICENSE("GPL");
