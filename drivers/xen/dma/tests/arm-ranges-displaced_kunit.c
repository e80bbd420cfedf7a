// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pages that are elsewhere than the table of ranges says.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "arm-ranges-fixture.h"

/* Neighbours, the borders of the tree's nodes and of its heights, far away. */
static const unsigned long xbr_pfns[] = {
	0, 1, 2, 62, 63, 64, 65, 4095, 4096, 4097, BIT(18) - 1, BIT(18),
	BIT(20) + 5, BIT(30), LONG_MAX, ULONG_MAX - 1,
};

static void xbr_displaced(struct kunit *test)
{
	unsigned int i, j;

	KUNIT_EXPECT_FALSE(test, xen_any_displaced());
	for (i = 0; i < ARRAY_SIZE(xbr_pfns); i++)
		KUNIT_EXPECT_EQ(test, xen_displaced(xbr_pfns[i]), XEN_IN_PLACE);
	KUNIT_EXPECT_EQ(test, xen_displaced_next(0, ULONG_MAX), XEN_IN_PLACE);

	/* One in three has moved; frame 0 and the last one are frames too. */
	for (i = 0; i < ARRAY_SIZE(xbr_pfns); i++) {
		KUNIT_EXPECT_EQ(test, xen_displaced_add(xbr_pfns[i], i % 3 == 1 ?
						    XEN_MOVED : i,
						    i % 2 ? GFP_NOWAIT :
							    GFP_KERNEL), 0);
		KUNIT_EXPECT_TRUE(test, xen_any_displaced());
		for (j = 0; j < ARRAY_SIZE(xbr_pfns); j++)
			KUNIT_EXPECT_EQ(test, xen_displaced(xbr_pfns[j]),
					j > i ? XEN_IN_PLACE :
					j % 3 == 1 ? XEN_MOVED : j);
	}

	/* Where there was another. */
	KUNIT_EXPECT_EQ(test, xen_displaced_add(64, XEN_MOVED - 1, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_displaced(64), XEN_MOVED - 1);
	KUNIT_EXPECT_EQ(test, xen_displaced_add(64, XEN_MOVED, GFP_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, xen_displaced(64), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_displaced_add(64, 0, GFP_NOWAIT), 0);
	KUNIT_EXPECT_EQ(test, xen_displaced(64), 0);

	/* What is none can be deleted. */
	xen_displaced_del(3);
	xen_displaced_del(BIT(40));
	for (i = 0; i < ARRAY_SIZE(xbr_pfns); i++) {
		KUNIT_EXPECT_TRUE(test, xen_any_displaced());
		xen_displaced_del(xbr_pfns[i]);
		for (j = 0; j < ARRAY_SIZE(xbr_pfns); j++)
			KUNIT_EXPECT_EQ(test, xen_displaced(xbr_pfns[j]) ==
					XEN_IN_PLACE, j <= i);
	}
	KUNIT_EXPECT_FALSE(test, xen_any_displaced());
	xen_displaced_del(xbr_pfns[0]);
	KUNIT_EXPECT_FALSE(test, xen_any_displaced());
}

static void xbr_displaced_next(struct kunit *test)
{
	static const struct {
		unsigned long first;
		unsigned long last;
		unsigned long want;
	} looks[] = {
		{ 0, 99, XEN_IN_PLACE }, { 0, 100, 100 }, { 0, ULONG_MAX, 100 },
		{ 100, 100, 100 }, { 100, 101, 100 }, { 101, 101, 101 },
		{ 101, ULONG_MAX, 101 }, { 102, 102, XEN_IN_PLACE },
		{ 102, BIT(24) - 1, XEN_IN_PLACE }, { 102, BIT(24), BIT(24) },
		{ BIT(24), BIT(24), BIT(24) },
		{ BIT(24) + 1, ULONG_MAX, XEN_IN_PLACE },
		{ ULONG_MAX, ULONG_MAX, XEN_IN_PLACE },
	};
	unsigned int i;

	KUNIT_EXPECT_EQ(test, xen_displaced_add(100, 5, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_displaced_add(101, XEN_MOVED, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_displaced_add(BIT(24), 0, GFP_KERNEL), 0);
	for (i = 0; i < ARRAY_SIZE(looks); i++)
		KUNIT_EXPECT_EQ_MSG(test, xen_displaced_next(looks[i].first,
							     looks[i].last),
				    looks[i].want, "from %#lx to %#lx",
				    looks[i].first, looks[i].last);
}

/* When one could not be noted each may have moved, but for those that are known. */
static void xbr_displaced_all_moved(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, xen_displaced_add(100, 5, GFP_KERNEL), 0);
	WRITE_ONCE(xen_all_moved, true);
	KUNIT_EXPECT_TRUE(test, xen_any_displaced());
	KUNIT_EXPECT_EQ(test, xen_displaced(100), 5);
	KUNIT_EXPECT_EQ(test, xen_displaced(0), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_displaced(101), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_displaced_next(7, 7), 7);
	KUNIT_EXPECT_EQ(test, xen_displaced_next(7, 200), 7);

	xen_displaced_del(100);
	KUNIT_EXPECT_EQ(test, xen_displaced(100), XEN_MOVED);
	KUNIT_EXPECT_TRUE(test, xen_any_displaced());
	WRITE_ONCE(xen_all_moved, false);
	KUNIT_EXPECT_FALSE(test, xen_any_displaced());
	KUNIT_EXPECT_EQ(test, xen_displaced(100), XEN_IN_PLACE);
	KUNIT_EXPECT_EQ(test, xen_displaced_next(7, 200), XEN_IN_PLACE);
}

/* Interrupts that are off stay off, and those that are on stay on. */
static void xbr_displaced_irqs(struct kunit *test)
{
	bool off[4], on[4];
	unsigned long flags;

	local_irq_save(flags);
	xen_displaced_add(100, 5, GFP_NOWAIT);
	off[0] = irqs_disabled();
	xen_displaced_add(100, 6, GFP_NOWAIT);
	off[1] = irqs_disabled();
	xen_displaced_del(100);
	off[2] = irqs_disabled();
	xen_displaced_del(100);
	off[3] = irqs_disabled();
	local_irq_restore(flags);

	xen_displaced_add(100, 5, GFP_NOWAIT);
	on[0] = irqs_disabled();
	xen_displaced_add(100, 5, GFP_KERNEL);
	on[1] = irqs_disabled();
	xen_displaced_del(100);
	on[2] = irqs_disabled();
	xen_displaced_add(100, 5, GFP_KERNEL);
	on[3] = irqs_disabled();

	KUNIT_EXPECT_TRUE(test, off[0] && off[1] && off[2] && off[3]);
	KUNIT_EXPECT_FALSE(test, on[0] || on[1] || on[2] || on[3]);
	KUNIT_EXPECT_EQ(test, xen_displaced(100), 5);
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

/* Without memory a page is not noted, which is said, and the others are. */
static void xbr_displaced_no_memory(struct kunit *test)
{
	unsigned long i, nr, wrong = 0, refused;
	LIST_HEAD(pages);
	int err = 0;

	/* The kernel's messages want memory too: none before it is freed. */
	xbr_take_memory(&pages);
	for (nr = 0; nr < SZ_1M && !err; nr++)
		err = xen_displaced_add(XBR_FAR(nr), nr, GFP_NOWAIT | __GFP_NOWARN);
	refused = XBR_FAR(--nr);
	for (i = 0; i < nr; i++)
		wrong += xen_displaced(XBR_FAR(i)) != i;
	i = xen_displaced(refused);
	xbr_free_memory(&pages);

	kunit_info(test, "%lu displaced pages", nr);
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, i, XEN_IN_PLACE);
	KUNIT_EXPECT_EQ(test, xen_displaced_next(refused, ULONG_MAX),
			XEN_IN_PLACE);

	KUNIT_EXPECT_EQ(test, xen_displaced_add(refused, 7, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, xen_displaced(refused), 7);
}

#define XBR_DISPLACED	256

/*
 * Frames in ascending order. Half are neighbours; the others are pairs, of which
 * each is alone in its node of the tree, which comes and goes with it.
 */
static unsigned long xbr_displaced_pfn(unsigned int i)
{
	if (i < XBR_DISPLACED / 2)
		return 60 + i;
	return (unsigned long)(i / 2) << 13 | i % 2;
}

/* The next one from page @i up to page @last is the model's. */
static void xbr_displaced_next_is(struct kunit *test, const unsigned long *model,
				  unsigned int i, unsigned int last)
{
	unsigned int found;

	for (found = i; found <= last && model[found] == XEN_IN_PLACE; found++)
		;
	KUNIT_EXPECT_EQ(test, xen_displaced_next(xbr_displaced_pfn(i),
						 xbr_displaced_pfn(last)),
			found <= last ? xbr_displaced_pfn(found) : XEN_IN_PLACE);
}

static void xbr_displaced_random(struct kunit *test)
{
	unsigned long steps = xdt_scaled(100000), *model;
	struct xbr *x = test->priv;
	unsigned int i, last;

	model = kunit_kcalloc(test, XBR_DISPLACED, sizeof(*model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, model);
	for (i = 0; i < XBR_DISPLACED; i++)
		model[i] = XEN_IN_PLACE;

	while (steps-- && test->status == KUNIT_SUCCESS) {
		i = xdt_below(&x->rnd, XBR_DISPLACED);
		switch (xdt_below(&x->rnd, 8)) {
		case 0 ... 1:
			model[i] = xdt_chance(&x->rnd, 30) ? XEN_MOVED :
				   prandom_u32_state(&x->rnd);
			KUNIT_EXPECT_EQ(test,
					xen_displaced_add(xbr_displaced_pfn(i),
							  model[i],
						      xdt_chance(&x->rnd, 50) ?
						      GFP_KERNEL : GFP_NOWAIT),
					0);
			break;
		case 2 ... 4:
			model[i] = XEN_IN_PLACE;
			xen_displaced_del(xbr_displaced_pfn(i));
			break;
		case 5:
			last = min(i + xdt_below(&x->rnd, 10),
				   XBR_DISPLACED - 1U);
			xbr_displaced_next_is(test, model, i, last);
			break;
		default:
			KUNIT_EXPECT_EQ(test, xen_displaced(xbr_displaced_pfn(i)),
					model[i]);
			break;
		}
		cond_resched();
	}
	for (i = 0; i < XBR_DISPLACED; i++)
		KUNIT_EXPECT_EQ(test, xen_displaced(xbr_displaced_pfn(i)), model[i]);
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
	u32 noted[XBR_DISPLACED];
	unsigned long last[XBR_DISPLACED];
};

static int xbr_race_write(void *data)
{
	struct xbr_racer *r = data;
	struct xbr_race *race = r->race;
	unsigned long step, flags, pfn;
	unsigned int i;
	int err = 0;

	for (step = 0; step < race->steps && !r->why; step++) {
		i = 4 * xdt_below(&r->rnd, XBR_DISPLACED / 4) + r->nr;
		pfn = xbr_displaced_pfn(i);
		if (xdt_chance(&r->rnd, 50)) {
			race->last[i] = XEN_IN_PLACE;
			xen_displaced_del(pfn);
			continue;
		}

		WRITE_ONCE(race->noted[i], race->noted[i] + 1);
		/* Who sees the frame sees this; pairs with xbr_race_look(). */
		smp_wmb();
		race->last[i] = xdt_chance(&r->rnd, 20) ? XEN_MOVED :
				XBR_RACE_MFN(i, race->noted[i]);
		if (xdt_chance(&r->rnd, 75)) {
			local_irq_save(flags);
			err = xen_displaced_add(pfn, race->last[i], GFP_NOWAIT);
			local_irq_restore(flags);
		} else {
			err = xen_displaced_add(pfn, race->last[i], GFP_KERNEL);
		}
		if (err)
			r->why = "a page was not noted";
		if (xen_displaced(pfn) != race->last[i])
			r->why = "what was noted is not there";
		cond_resched();
	}
	complete(&r->done);

	return 0;
}

static const char *xbr_race_look(struct xbr_racer *r, unsigned int i)
{
	unsigned long mfn = xen_displaced(xbr_displaced_pfn(i));

	switch (i % 4) {
	case XBR_STAYS:
		return mfn == XBR_RACE_MFN(i, 0) ? NULL :
		       "one that nobody touches is another";
	case XBR_NEVER:
		return mfn == XEN_IN_PLACE ? NULL :
		       "one that nobody noted is there";
	}

	if (mfn == XEN_IN_PLACE)
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
	unsigned long pfn = xen_displaced_next(xbr_displaced_pfn(first),
					       xbr_displaced_pfn(last));
	unsigned int i;

	for (i = first; i <= last; i++) {
		if (pfn == xbr_displaced_pfn(i))
			return i % 4 == XBR_NEVER ?
			       "found one that nobody noted" : NULL;
		if (i % 4 == XBR_STAYS)
			return "did not find one that nobody touches";
	}

	return pfn == XEN_IN_PLACE ? NULL : "found one that is elsewhere";
}

static int xbr_race_read(void *data)
{
	struct xbr_racer *r = data;
	unsigned int i, last;

	while (!READ_ONCE(r->race->stop) && !r->why) {
		i = xdt_below(&r->rnd, XBR_DISPLACED);
		last = min(i + xdt_below(&r->rnd, 6), XBR_DISPLACED - 1U);
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

static void xbr_displaced_race(struct kunit *test)
{
	struct xbr *x = test->priv;
	struct xbr_race *race;
	unsigned int i;

	race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, race);
	race->steps = xdt_scaled(300000);
	for (i = 0; i < XBR_DISPLACED; i++) {
		race->last[i] = XEN_IN_PLACE;
		if (i % 4 == XBR_STAYS) {
			race->last[i] = XBR_RACE_MFN(i, 0);
			KUNIT_ASSERT_EQ(test, xen_displaced_add(xbr_displaced_pfn(i),
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
	for (i = 0; i < XBR_DISPLACED; i++)
		KUNIT_EXPECT_EQ(test, xen_displaced(xbr_displaced_pfn(i)),
				race->last[i]);
	for (i = 0; i < XBR_DISPLACED; i++)
		xen_displaced_del(xbr_displaced_pfn(i));
	KUNIT_EXPECT_FALSE(test, xen_any_displaced());
}

/* Of a page that has moved Xen is asked once it has returned, and once only. */
static void xbr_displaced_returned(struct kunit *test)
{
	unsigned long moved, own;

	xen_note_returned(7);
	KUNIT_EXPECT_EQ(test, xen_returned_next(0), XEN_IN_PLACE);

	xen_displaced_add(6, 60, GFP_KERNEL);
	xen_note_moved(7, GFP_KERNEL);
	xen_note_moved(8, GFP_NOWAIT);
	xen_note_moved(9, GFP_KERNEL);
	xen_note_returned(6);
	xen_note_returned(8);
	xen_note_returned(9);
	KUNIT_EXPECT_EQ(test, xen_returned_next(0), 8);
	KUNIT_EXPECT_EQ(test, xen_returned_next(9), 9);
	KUNIT_EXPECT_TRUE(test, xen_has_returned(8));
	KUNIT_EXPECT_FALSE(test, xen_has_returned(7));

	xen_note_told(8, 80);
	xen_note_told(9, XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_returned_next(0), XEN_IN_PLACE);
	KUNIT_EXPECT_EQ(test, xen_displaced(8), 80);
	KUNIT_EXPECT_EQ(test, xen_displaced(9), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_displaced_count(&moved, &own), 1);
	KUNIT_EXPECT_EQ(test, moved, 2);
	KUNIT_EXPECT_EQ(test, own, 1);

	/* It leaves again: what was told is of no use, and none that comes late either. */
	xen_note_returned(9);
	xen_note_moved(8, GFP_KERNEL);
	xen_note_moved(9, GFP_NOWAIT);
	xen_note_told(8, 81);
	xen_note_told(9, 90);
	KUNIT_EXPECT_EQ(test, xen_displaced(8), XEN_MOVED);
	KUNIT_EXPECT_EQ(test, xen_displaced(9), XEN_MOVED);
	xen_displaced_count(&moved, &own);
	KUNIT_EXPECT_EQ(test, moved, 3);
	KUNIT_EXPECT_EQ(test, own, 0);
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE(xbr_displaced),
	KUNIT_CASE(xbr_displaced_next),
	KUNIT_CASE(xbr_displaced_all_moved),
	KUNIT_CASE(xbr_displaced_irqs),
	KUNIT_CASE(xbr_displaced_returned),
	KUNIT_CASE_SLOW(xbr_displaced_no_memory),
	KUNIT_CASE(xbr_displaced_random),
	KUNIT_CASE_SLOW(xbr_displaced_race),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges-displaced",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suite(xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: displaced pages");
MODULE_LICENSE("GPL");
