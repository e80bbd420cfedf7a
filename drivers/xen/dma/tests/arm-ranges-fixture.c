// SPDX-License-Identifier: GPL-2.0
/*
 * The fixture of the KUnit tests of where a domain's memory is in the machine, and
 * a model of a small domain that knows every page.
 *
 * What can be listed is listed: a case has a table of what goes in and what is to
 * come out. Behind that follow random numbers with a fixed seed, against models
 * that know every page. A reason for refusing is told by a word of it.
 */
#include <linux/string.h>

#include "arm-ranges-fixture.h"

#define XBR_PAGES_END	(XBR_MACHINE_END >> XEN_PAGE_SHIFT)

int xbr_init(struct kunit *test)
{
	struct xbr *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	const char *c;
	u64 mix = 1;

	KUNIT_ASSERT_NOT_NULL(test, x);
	KUNIT_ASSERT_FALSE_MSG(test, xen_any_displaced(), "displaced pages of others");
	for (c = test->name; *c; c++)
		mix = mix * 31 + *c;
	prandom_seed_state(&x->rnd, mix);
	test->priv = x;
	return 0;
}

void xbr_exit(struct kunit *test)
{
	struct xbr *x = test->priv;

	xen_bus_free(&x->table);
	xen_bus_free(&x->ram);
	xen_bus_free(&x->was);
	xa_destroy(&xen_displaced_pages);
	WRITE_ONCE(xen_all_moved, false);
}

/**
 * xbr_put() - add a row to a table, which is sealed before and after
 * @table:	the table; nothing is changed when the row is refused
 * @start:	guest-physical address
 * @size:	bytes
 * @offset:	machine minus guest-physical address
 *
 * Return: NULL, or why it is refused.
 */
const char *xbr_put(struct xen_bus_table *table, u64 start, u64 size, u64 offset)
{
	struct xen_bus_table trial = {};
	const char *wrong;

	xbr_copy(&trial, table);
	wrong = xen_bus_add(&trial, start, size, offset) ?: xen_bus_seal(&trial);
	if (wrong) {
		xen_bus_free(&trial);
		return wrong;
	}
	xen_bus_free(table);
	*table = trial;
	return NULL;
}

/**
 * xbr_copy() - copy a table
 * @to:		what it had is lost
 * @from:	the table
 */
void xbr_copy(struct xen_bus_table *to, const struct xen_bus_table *from)
{
	unsigned int i;

	xen_bus_free(to);
	for (i = 0; i < from->nr; i++)
		xen_bus_add(to, from->range[i].start, from->range[i].size,
			    from->range[i].offset);
	xen_bus_seal(to);
}

/**
 * xbr_says() - is that the reason for refusing?
 * @test:	the running case
 * @wrong:	what was said, NULL for nothing
 * @why:	a word of the reason, "" for whichever, NULL where there is
 *		nothing to say
 * @what:	what was tried
 */
void xbr_says(struct kunit *test, const char *wrong, const char *why,
	      const char *what)
{
	if (!why)
		KUNIT_EXPECT_STREQ_MSG(test, wrong ?: "fine", "fine", "%s",
				       what);
	else if (!wrong || !strstr(wrong, why))
		KUNIT_FAIL(test, "%s: says '%s', not '%s'", what,
			   wrong ?: "fine", *why ? why : "something is wrong");
}

/**
 * xbr_nr_rows() - count listed rows
 * @rows:	they; one without a size ends them
 *
 * Return: How many there are.
 */
unsigned int xbr_nr_rows(const struct xen_bus_range *rows)
{
	unsigned int nr = 0;

	while (rows[nr].size)
		nr++;
	return nr;
}

/**
 * xbr_is() - has a table these rows and no others?
 * @test:	the running case
 * @table:	the table
 * @rows:	what it is to have
 * @nr:		how many
 */
void xbr_is(struct kunit *test, const struct xen_bus_table *table,
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

/**
 * xbr_have() - put rows into a table, which takes them
 * @test:	the running case
 * @table:	the table
 * @rows:	they; one without a size ends them
 */
void xbr_have(struct kunit *test, struct xen_bus_table *table,
	      const struct xen_bus_range *rows)
{
	for (; rows->size; rows++)
		xbr_says(test, xbr_put(table, rows->start, rows->size,
				       rows->offset), NULL, "set-up");
}

static void xbr_model_reset(struct xbr_model *m, u64 base)
{
	m->base = base;
	memset(m->frame, 0xff, sizeof(m->frame));
	memset(m->page, 0xff, sizeof(m->page));
}

/**
 * xbr_model_offset() - how far a page is from its frame
 * @m:		the model
 * @page:	a page that has a frame
 *
 * Return: Bytes.
 */
u64 xbr_model_offset(const struct xbr_model *m, int page)
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

/**
 * xbr_model_rows() - rows of the model, as few as they can be
 * @m:		the model
 * @rows:	filled; room for XBR_MODEL_PAGES
 *
 * Return: How many.
 */
unsigned int xbr_model_rows(const struct xbr_model *m,
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

/**
 * xbr_model_step() - add something to both, and compare what they say to it
 * @test:	the running case
 * @m:		the model
 * @table:	the table
 *
 * Return: Whether it was taken.
 */
bool xbr_model_step(struct kunit *test, struct xbr_model *m,
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
	xbr_says(test, xbr_put(table, XBR_PAGES(page), XBR_PAGES(nr),
			       XBR_PAGES(m->base + frame - page)),
		 why, "random row");
	return !why;
}

/**
 * xbr_model_start() - a machine that begins, or ends, with the model's frames
 * @test:	the running case, whose table is empty then
 * @m:		the model, of which no page has a frame then
 */
void xbr_model_start(struct kunit *test, struct xbr_model *m)
{
	struct xbr *x = test->priv;

	xbr_model_reset(m, xdt_chance(&x->rnd, 50) ? 0 :
			   XBR_PAGES_END - XBR_MODEL_FRAMES);
	xen_bus_free(&x->table);
}
