// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of learning where a domain's pages are, from a hypervisor that is a table
 * of frames: everything from one piece to single pages, pages that it does not tell of,
 * pages that leave and come back.
 */
#include <linux/module.h>

#include "../arm-learn.h"
#include "arm-ranges-fixture.h"

#define XBL_PAGES	1000
#define XBL_FRAMES	4000

/**
 * struct xbl - a hypervisor
 * @asker:	who asks it
 * @mfn:	frame of each page, or XBR_NONE when it does not tell
 * @used:	frames that pages have, or have had
 * @asked:	how often each page was asked about
 * @calls:	how many calls succeed
 */
struct xbl {
	struct xen_asker asker;
	int mfn[XBL_PAGES];
	bool used[XBL_FRAMES];
	unsigned int asked[XBL_PAGES];
	unsigned int calls;
};

static int xbl_ask(struct xen_asker *asker, unsigned int nr)
{
	struct xbl *b = container_of(asker, struct xbl, asker);
	unsigned int i;

	if (!b->calls--)
		return -EIO;
	for (i = 0; i < nr; i++) {
		unsigned long pfn = asker->pfn[i];

		asker->machine[i] = XEN_NOWHERE;
		if (pfn >= XBL_PAGES)
			continue;
		b->asked[pfn]++;
		if (b->mfn[pfn] != XBR_NONE)
			asker->machine[i] = XBR_PAGES(b->mfn[pfn]);
	}
	return 0;
}

/* A hypervisor that knows nothing, and two pieces of memory with a gap. */
static struct xbl *xbl_begin(struct kunit *test)
{
	struct xbl *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);
	struct xbr *x = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, b);
	memset(b->mfn, 0xff, sizeof(b->mfn));
	b->asker.ask = xbl_ask;
	b->calls = UINT_MAX;
	xen_bus_free(&x->table);
	xen_bus_free(&x->ram);
	xbr_put(&x->ram, 0, XBR_PAGES(700), 0);
	xbr_put(&x->ram, XBR_PAGES(800), XBR_PAGES(200), 0);
	return b;
}

static bool xbl_is_ram(unsigned int pfn)
{
	return pfn < 700 || (pfn >= 800 && pfn < XBL_PAGES);
}

/* Gives a page a frame that none has or has had. */
static void xbl_give(struct xbr *x, struct xbl *b, unsigned int pfn)
{
	unsigned int mfn;

	do
		mfn = xdt_below(&x->rnd, XBL_FRAMES);
	while (b->used[mfn]);
	b->used[mfn] = true;
	b->mfn[pfn] = mfn;
}

/* Gives all memory frames: in pieces of up to @most pages, each somewhere. */
static void xbl_give_all(struct xbr *x, struct xbl *b, unsigned int most)
{
	unsigned int pfn, left = 0;

	for (pfn = 0; pfn < XBL_PAGES; pfn++) {
		int next = pfn ? b->mfn[pfn - 1] + 1 : 0;

		if (!xbl_is_ram(pfn))
			continue;
		if (left && next > 0 && next < XBL_FRAMES && !b->used[next]) {
			b->used[next] = true;
			b->mfn[pfn] = next;
			left--;
			continue;
		}
		xbl_give(x, b, pfn);
		left = xdt_below(&x->rnd, most);
	}
}

static struct xen_learning xbl_learning(struct xbr *x, struct xbl *b)
{
	return (struct xen_learning) {
		.asker = &b->asker, .ram = &x->ram, .mapped = ULONG_MAX,
	};
}

/* All of it; an error leaves no table. */
static int xbl_learn(struct xbr *x, struct xbl *b)
{
	struct xen_learning learning = xbl_learning(x, b);
	int rc = xen_learn_begin(&learning);

	while (!rc && learning.left)
		rc = xen_learn_next(&learning, 3);
	if (!rc)
		rc = xen_learn_table(&learning, &x->table);
	xen_bus_free(&learning.table);
	return rc;
}

/* Where the driver takes a page to be; XEN_MOVED for anywhere. */
static unsigned long xbl_where(struct xbr *x, unsigned int pfn)
{
	const struct xen_bus_range *range;
	unsigned long mfn = xen_displaced(pfn);

	if (mfn != XEN_IN_PLACE)
		return mfn;
	range = xen_bus_find(&x->table, XBR_PAGES(pfn));
	return range ? (XBR_PAGES(pfn) + range->offset) >> XEN_PAGE_SHIFT : XEN_MOVED;
}

/* The fewest ranges that all pages have of which the hypervisor tells. */
static unsigned int xbl_nr_ranges(const struct xbl *b)
{
	unsigned int pfn, nr = 0;

	for (pfn = 0; pfn < XBL_PAGES; pfn++)
		nr += b->mfn[pfn] != XBR_NONE &&
		      (!pfn || b->mfn[pfn - 1] == XBR_NONE ||
		       b->mfn[pfn - 1] + 1 != b->mfn[pfn]);
	return nr;
}

/* Whatever the size of the pieces, all of it is known and nothing is noted as moved. */
static void xbl_all(struct kunit *test)
{
	static const unsigned int most[] = { 1, 2, 3, 63, 64, 128, 129, XBL_PAGES };
	struct xbr *x = test->priv;
	unsigned int i, pfn;

	for (i = 0; i < ARRAY_SIZE(most); i++) {
		struct xbl *b = xbl_begin(test);

		xbl_give_all(x, b, most[i]);
		KUNIT_EXPECT_EQ(test, xbl_learn(x, b), 0);
		KUNIT_EXPECT_FALSE(test, xen_any_displaced());
		KUNIT_EXPECT_EQ(test, x->table.nr, xbl_nr_ranges(b));
		for (pfn = 0; pfn < XBL_PAGES; pfn++)
			KUNIT_EXPECT_EQ_MSG(test, xbl_where(x, pfn),
					    b->mfn[pfn] == XBR_NONE ? XEN_MOVED :
					    b->mfn[pfn], "page %u of pieces of %u",
					    pfn, most[i]);
	}
}

/* Pages that it does not tell of may be anywhere, and only these. */
static void xbl_gaps(struct kunit *test)
{
	struct xbl *b = xbl_begin(test);
	struct xbr *x = test->priv;
	unsigned int pfn;

	xbl_give_all(x, b, 20);
	for (pfn = 0; pfn < XBL_PAGES; pfn++)
		if (xdt_chance(&x->rnd, 20))
			b->mfn[pfn] = XBR_NONE;
	KUNIT_EXPECT_EQ(test, xbl_learn(x, b), 0);
	for (pfn = 0; pfn < XBL_PAGES; pfn++) {
		KUNIT_EXPECT_EQ(test, xbl_where(x, pfn), b->mfn[pfn] == XBR_NONE ?
				XEN_MOVED : b->mfn[pfn]);
		KUNIT_EXPECT_EQ(test, xen_displaced(pfn) == XEN_MOVED,
				xbl_is_ram(pfn) && b->mfn[pfn] == XBR_NONE);
	}
}

/* What is noted already: another domain's, on its way out, back again. */
static void xbl_noted(struct kunit *test)
{
	struct xbl *b = xbl_begin(test);
	struct xbr *x = test->priv;

	xbl_give_all(x, b, 20);
	xen_displaced_add(10, 3999, GFP_KERNEL);
	xen_note_moved(20, GFP_KERNEL);
	xen_note_moved(30, GFP_KERNEL);
	xen_note_returned(30);
	xen_note_moved(40, GFP_KERNEL);
	xen_note_returned(40);
	b->mfn[40] = XBR_NONE;
	KUNIT_EXPECT_EQ(test, xbl_learn(x, b), 0);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 10), 3999);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 20), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 40), XEN_MOVED);
	KUNIT_EXPECT_FALSE(test, xen_has_returned(40));

	/* The table might have come to nothing, so the note stays until it is there. */
	KUNIT_EXPECT_EQ(test, xbl_where(x, 30), XEN_MOVED);
	KUNIT_EXPECT_TRUE(test, xen_has_returned(30));
	KUNIT_EXPECT_EQ(test, xen_learn_returned(&b->asker, &x->table), 1);
	KUNIT_EXPECT_EQ(test, xen_displaced(30), XEN_IN_PLACE);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 30), b->mfn[30]);
}

/* Who tells nothing is not believed, and what fails leaves nothing. */
static void xbl_failing(struct kunit *test)
{
	struct xbr *x = test->priv;
	struct xbl *b = xbl_begin(test);
	unsigned int calls;

	KUNIT_EXPECT_EQ(test, xbl_learn(x, b), -ENODATA);
	KUNIT_EXPECT_FALSE(test, xen_any_displaced());

	for (calls = 0; calls < 8; calls++) {
		b = xbl_begin(test);
		xbl_give_all(x, b, 1);
		b->calls = calls;
		KUNIT_EXPECT_EQ(test, xbl_learn(x, b), -EIO);
		KUNIT_EXPECT_EQ(test, x->table.nr, 0);
		KUNIT_EXPECT_FALSE(test, xen_any_displaced());
	}

	/* A page that has come back stays noted, for others may believe another source. */
	b = xbl_begin(test);
	xbl_give_all(x, b, 1);
	xen_note_moved(30, GFP_KERNEL);
	xen_note_returned(30);
	b->calls = 7;
	KUNIT_EXPECT_EQ(test, xbl_learn(x, b), -EIO);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 30), XEN_MOVED);
	xen_displaced_del(30);

	/* Two pages at one frame. */
	b = xbl_begin(test);
	xbl_give_all(x, b, 1);
	b->mfn[900] = b->mfn[5];
	KUNIT_EXPECT_EQ(test, xbl_learn(x, b), -EINVAL);
	KUNIT_EXPECT_EQ(test, x->table.nr, 0);
}

/* Asks about all that has returned, which takes as few calls as it can. */
static void xbl_ask_returned(struct kunit *test, struct xbl *b, unsigned int returned)
{
	struct xbr *x = test->priv;
	int nr;

	b->calls = DIV_ROUND_UP(returned, XEN_ASK_BATCH);
	do {
		nr = xen_learn_returned(&b->asker, &x->table);
		KUNIT_EXPECT_GE(test, nr, 0);
	} while (nr > 0);
	KUNIT_EXPECT_EQ(test, b->calls, 0);
	KUNIT_EXPECT_EQ(test, xen_returned_next(0), XEN_IN_PLACE);
}

/* Has pages leave, and most of them come back, some at their own frames; how many. */
static unsigned int xbl_shuffle(struct kunit *test, struct xbl *b)
{
	unsigned int pfn, returned = 0;
	struct xbr *x = test->priv;

	memset(b->used, 0, sizeof(b->used));
	for (pfn = 0; pfn < XBL_PAGES; pfn++)
		if (b->mfn[pfn] != XBR_NONE)
			b->used[b->mfn[pfn]] = true;

	for (pfn = 0; pfn < XBL_PAGES; pfn++) {
		if (!xbl_is_ram(pfn) || xdt_chance(&x->rnd, 60))
			continue;
		xen_note_moved(pfn, GFP_KERNEL);
		if (xdt_chance(&x->rnd, 20)) {
			b->mfn[pfn] = XBR_NONE;
			continue;
		}
		if (b->mfn[pfn] == XBR_NONE || xdt_chance(&x->rnd, 70))
			xbl_give(x, b, pfn);
		xen_note_returned(pfn);
		returned++;
		KUNIT_EXPECT_EQ(test, xbl_where(x, pfn), XEN_MOVED);
	}
	return returned;
}

/*
 * Pages leave, and may come back at other frames, or at their own. The driver never
 * takes a page to be where it is not, and knows of each that it was told of.
 */
static void xbl_returned(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(30);
	struct xbl *b = xbl_begin(test);
	struct xbr *x = test->priv;
	unsigned int pfn;

	xbl_give_all(x, b, 40);
	KUNIT_ASSERT_EQ(test, xbl_learn(x, b), 0);
	while (rounds-- && test->status == KUNIT_SUCCESS) {
		xbl_ask_returned(test, b, xbl_shuffle(test, b));
		for (pfn = 0; pfn < XBL_PAGES; pfn++)
			KUNIT_EXPECT_EQ(test, xbl_where(x, pfn),
					b->mfn[pfn] == XBR_NONE ? XEN_MOVED :
					b->mfn[pfn]);
	}
}

/* A call that fails loses nothing: it can be asked again. */
static void xbl_returned_failing(struct kunit *test)
{
	struct xbl *b = xbl_begin(test);
	struct xbr *x = test->priv;

	xbl_give_all(x, b, 40);
	KUNIT_ASSERT_EQ(test, xbl_learn(x, b), 0);
	xen_note_moved(3, GFP_KERNEL);
	xen_note_returned(3);
	b->calls = 0;
	KUNIT_EXPECT_EQ(test, xen_learn_returned(&b->asker, &x->table), -EIO);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 3), XEN_MOVED);
	KUNIT_EXPECT_TRUE(test, xen_has_returned(3));
	xbl_ask_returned(test, b, 1);
	/* It is where it was before. */
	KUNIT_EXPECT_FALSE(test, xen_any_displaced());
}

/* What has been told so far is what everybody looks at. */
static void xbl_publish(struct kunit *test, struct xen_learning *learning)
{
	struct xbr *x = test->priv;

	xen_bus_free(&x->table);
	KUNIT_EXPECT_EQ(test, xen_learn_table(learning, &x->table), 0);
}

/* No page is taken to be where it is not; with @all, each that Xen tells of is known. */
static void xbl_check(struct kunit *test, const struct xbl *b, bool all)
{
	struct xbr *x = test->priv;
	unsigned int pfn;

	for (pfn = 0; pfn < XBL_PAGES; pfn++) {
		unsigned long at = xbl_where(x, pfn);

		if (at == XEN_MOVED && (!all || b->mfn[pfn] == XBR_NONE))
			continue;
		KUNIT_EXPECT_EQ_MSG(test, at, b->mfn[pfn], "page %u", pfn);
	}
}

/* How many pages are known. */
static unsigned int xbl_nr_known(struct kunit *test)
{
	struct xbr *x = test->priv;
	unsigned int pfn, nr = 0;

	for (pfn = 0; pfn < XBL_PAGES; pfn++)
		nr += xbl_where(x, pfn) != XEN_MOVED;
	return nr;
}

/* Step by step: more and more is known, and of each page it is asked once. */
static void xbl_steps(struct kunit *test)
{
	struct xbl *b = xbl_begin(test);
	struct xbr *x = test->priv;
	struct xen_learning learning = xbl_learning(x, b);
	unsigned int pfn, known = 0;

	xbl_give_all(x, b, 40);
	KUNIT_ASSERT_EQ(test, xen_learn_begin(&learning), 0);
	KUNIT_EXPECT_EQ(test, learning.left, 900);
	memset(b->asked, 0, sizeof(b->asked));
	while (learning.left && test->status == KUNIT_SUCCESS) {
		unsigned long left = learning.left;

		KUNIT_EXPECT_EQ(test, xen_learn_next(&learning, 1), 0);
		KUNIT_EXPECT_GT(test, left, learning.left);
		KUNIT_EXPECT_LE(test, left - learning.left, XEN_ASK_BATCH);
		xbl_publish(test, &learning);
		KUNIT_EXPECT_EQ(test, xbl_nr_known(test), known + left - learning.left);
		known = xbl_nr_known(test);
		xbl_check(test, b, false);
	}
	xbl_check(test, b, true);
	KUNIT_EXPECT_EQ(test, x->table.nr, xbl_nr_ranges(b));
	for (pfn = 0; pfn < XBL_PAGES; pfn++)
		KUNIT_EXPECT_EQ(test, b->asked[pfn], xbl_is_ram(pfn));
	KUNIT_EXPECT_FALSE(test, xen_any_displaced());
}

/* The lowest of the pages that are tried is the first. */
static void xbl_lowest(struct kunit *test)
{
	struct xbl *b = xbl_begin(test);
	struct xbr *x = test->priv;
	struct xen_learning learning = xbl_learning(x, b);
	unsigned int pfn;

	for (pfn = 0; pfn < XBL_PAGES; pfn++)
		if (xbl_is_ram(pfn))
			b->mfn[pfn] = 2000 + pfn;
	b->mfn[480] = 5;
	KUNIT_EXPECT_EQ(test, xen_learn_begin(&learning), 0);
	KUNIT_EXPECT_EQ(test, xen_learn_next(&learning, 1), 0);
	xbl_publish(test, &learning);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 480), 5);
	KUNIT_EXPECT_EQ(test, xbl_where(x, 479), XEN_MOVED);
	xen_bus_free(&learning.table);
}

/* But not one that the kernel does not map; and where it maps none of them, the first. */
static void xbl_lowest_mapped(struct kunit *test)
{
	static const struct { unsigned int mapped, first; } rows[] = {
		{ 300, 160 }, { 480, 160 }, { 481, 480 }, { 0, 0 },
	};
	struct xbr *x = test->priv;
	unsigned int i, pfn;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct xbl *b = xbl_begin(test);
		struct xen_learning learning = xbl_learning(x, b);

		for (pfn = 0; pfn < XBL_PAGES; pfn++)
			if (xbl_is_ram(pfn))
				b->mfn[pfn] = 2000 + pfn;
		b->mfn[480] = 5;
		b->mfn[160] = 6;
		learning.mapped = rows[i].mapped;
		KUNIT_EXPECT_EQ(test, xen_learn_begin(&learning), 0);
		KUNIT_EXPECT_EQ(test, learning.next, rows[i].first);
	}
}

/* Only one page answers, wherever it is. */
static void xbl_one_answer(struct kunit *test)
{
	struct xbr *x = test->priv;
	unsigned int pfn;

	for (pfn = 0; pfn < XBL_PAGES; pfn += 33) {
		struct xbl *b = xbl_begin(test);

		if (!xbl_is_ram(pfn))
			continue;
		b->mfn[pfn] = 77;
		KUNIT_EXPECT_EQ(test, xbl_learn(x, b), 0);
		KUNIT_EXPECT_EQ(test, xbl_where(x, pfn), 77);
		KUNIT_EXPECT_EQ(test, xbl_nr_known(test), 1);
		xa_destroy(&xen_displaced_pages);
	}
}

/*
 * Pages leave and come back between the steps, before and after they are asked about, and
 * those that are back are asked about too. Another domain's page is mapped for a while.
 */
static void xbl_steps_shuffled(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(20);
	struct xbr *x = test->priv;

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		struct xbl *b = xbl_begin(test);
		struct xen_learning learning = xbl_learning(x, b);
		unsigned int theirs = 100 + xdt_below(&x->rnd, 500);

		xbl_give_all(x, b, 40);
		KUNIT_ASSERT_EQ(test, xen_learn_begin(&learning), 0);
		while (learning.left) {
			unsigned int returned = xbl_shuffle(test, b);

			learning.any_left = true;
			if (xdt_chance(&x->rnd, 50))
				xbl_ask_returned(test, b, returned);
			b->calls = UINT_MAX;
			xen_note_moved(theirs, GFP_KERNEL);
			b->mfn[theirs] = XBR_NONE;
			xen_displaced_add(theirs, XBL_FRAMES, GFP_KERNEL);
			KUNIT_EXPECT_EQ(test, xen_learn_next(&learning, 1), 0);
			KUNIT_EXPECT_EQ(test, xbl_where(x, theirs), XBL_FRAMES);
			xen_note_moved(theirs, GFP_KERNEL);
			if (!learning.left || xdt_chance(&x->rnd, 50))
				xbl_publish(test, &learning);
			xbl_check(test, b, false);
			while (xen_learn_returned(&b->asker, &x->table) > 0)
				;
		}
		xbl_check(test, b, true);
		xa_destroy(&xen_displaced_pages);
	}
}

/* What was told before an error stays, and only that. */
static void xbl_steps_failing(struct kunit *test)
{
	struct xbr *x = test->priv;
	unsigned int calls;

	for (calls = 0; calls < 8; calls++) {
		struct xbl *b = xbl_begin(test);
		struct xen_learning learning = xbl_learning(x, b);
		unsigned long known;

		xbl_give_all(x, b, 40);
		KUNIT_ASSERT_EQ(test, xen_learn_begin(&learning), 0);
		b->calls = calls;
		KUNIT_EXPECT_EQ(test, xen_learn_next(&learning, UINT_MAX), -EIO);
		known = learning.pages - learning.left;
		KUNIT_EXPECT_EQ(test, !known, !calls);
		xbl_publish(test, &learning);
		KUNIT_EXPECT_EQ(test, xbl_nr_known(test), known);
		xbl_check(test, b, false);
		KUNIT_EXPECT_FALSE(test, xen_any_displaced());
		xen_bus_free(&learning.table);
	}
}

static struct kunit_case xbl_cases[] = {
	KUNIT_CASE(xbl_all),
	KUNIT_CASE(xbl_steps),
	KUNIT_CASE(xbl_lowest),
	KUNIT_CASE(xbl_lowest_mapped),
	KUNIT_CASE(xbl_one_answer),
	KUNIT_CASE(xbl_steps_shuffled),
	KUNIT_CASE(xbl_steps_failing),
	KUNIT_CASE(xbl_gaps),
	KUNIT_CASE(xbl_noted),
	KUNIT_CASE(xbl_failing),
	KUNIT_CASE(xbl_returned),
	KUNIT_CASE(xbl_returned_failing),
	{}
};

static struct kunit_suite xbl_suite = {
	.name = "xen-bus-learn",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbl_cases,
};

kunit_test_suite(xbl_suite);

MODULE_DESCRIPTION("KUnit tests of learning where a Xen domain's pages are in the machine");
MODULE_LICENSE("GPL");
