// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of reading what the hypervisor tells of where a domain's memory is. The
 * hypervisor is a list of answers, or a model that tells of a random part at a time.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "../arm-extents.h"
#include "arm-ranges-fixture.h"

/* Pages that are asked for, and the first of them. */
#define XAE_FIRST	0x40000
#define XAE_PAGES	0x100

#define XAE_ANSWERS	3
#define XAE_EXTENTS	3

/**
 * struct xae_answer - one answer
 * @next:	pages behind the first that was asked for, where to go on
 * @nr:		how many extents it says there are
 * @extent:	they; gfn is counted from the first that was asked for
 * @flags:	what it says of devices
 * @rc:		the hypervisor's error
 */
struct xae_answer {
	int next;
	u32 nr;
	struct xen_dma_extent extent[XAE_EXTENTS];
	u32 flags;
	int rc;
};

/**
 * struct xae_case - answers, and what comes of them
 * @desc:	what is special
 * @answer:	they, one behind the other
 * @rc:		the result
 * @why:	a word of the reason why they are refused, or NULL
 * @rows:	what is in the table then, counted from the first page
 * @flags:	what is known of devices then
 */
struct xae_case {
	const char *desc;
	struct xae_answer answer[XAE_ANSWERS];
	int rc;
	const char *why;
	struct xen_bus_range rows[XBR_ROWS];
	u32 flags;
};

static const struct xae_case xae_cases[] = {
	{ "one extent",
	  { { 0x100, 1, { { 0, 0x80000, 0x100 } } } },
	  0, NULL, { { 0, 0x100, 0x80000 } } },
	{ "nothing at all", { { 0x100, 0 } } },
	{ "two extents",
	  { { 0x100, 2, { { 0, 0x80000, 0x80 }, { 0x80, 0x20000, 0x80 } } } },
	  0, NULL, { { 0, 0x80, 0x80000 }, { 0x80, 0x80, 0x20000 } } },
	{ "two answers",
	  { { 0x40, 1, { { 0, 0x80000, 0x40 } } },
	    { 0x100, 1, { { 0x40, 0x20000, 0xc0 } } } },
	  0, NULL, { { 0, 0x40, 0x80000 }, { 0x40, 0xc0, 0x20000 } } },
	{ "two answers that are joined",
	  { { 0x40, 1, { { 0, 0x80000, 0x40 } } },
	    { 0x100, 1, { { 0x40, 0x80040, 0xc0 } } } },
	  0, NULL, { { 0, 0x100, 0x80000 } } },
	{ "an answer without extents",
	  { { 0x40, 0 }, { 0x100, 1, { { 0x50, 0x80000, 0xb0 } } } },
	  0, NULL, { { 0x50, 0xb0, 0x80000 } } },
	{ "one page at a time",
	  { { 1, 1, { { 0, 0x80000, 1 } } },
	    { 0xff, 1, { { 2, 0x80002, 0xfd } } },
	    { 0x100, 1, { { 0xff, 1, 1 } } } },
	  0, NULL, { { 0, 1, 0x80000 }, { 2, 0xfd, 0x80002 },
		     { 0xff, 1, 1 } } },
	{ "the lowest and the highest of the machine",
	  { { 0x100, 2, { { 0, 0, 0x10 },
			  { 0x10, BIT_ULL(40) - 0xf0, 0xf0 } } } },
	  0, NULL, { { 0, 0x10, 0 }, { 0x10, 0xf0, BIT_ULL(40) - 0xf0 } } },
	{ "all devices are translated for",
	  { { 0x100, 0, .flags = XENMEM_DMA_TRANSLATED } },
	  .flags = XENMEM_DMA_TRANSLATED },
	{ "devices of either kind, and it is said once",
	  { { 0x40, 1, { { 0, 0x80000, 0x40 } }, XENMEM_DMA_MIXED },
	    { 0x100, 0 } },
	  0, NULL, { { 0, 0x40, 0x80000 } }, XENMEM_DMA_MIXED },
	{ "an error", { { .rc = -EPERM } }, -EPERM },
	{ "an error later",
	  { { 0x40, 1, { { 0, 0x80000, 0x40 } } }, { .rc = -EFAULT } },
	  -EFAULT, NULL, { { 0, 0x40, 0x80000 } } },
	{ "no frame further", { { 0, 0 } }, -EPROTO, "go on" },
	{ "a frame back", { { -1, 0 } }, -EPROTO, "go on" },
	{ "beyond what was asked", { { 0x101, 0 } }, -EPROTO, "go on" },
	{ "more extents than there is room for", { { 0x100, 33 } }, -EPROTO,
	  "room" },
	{ "an empty extent", { { 0x100, 1, { { 0, 0x80000, 0 } } } }, -EPROTO,
	  "empty" },
	{ "an extent twice",
	  { { 0x100, 2, { { 0, 0x80000, 0x40 }, { 0, 0x80000, 0x40 } } } },
	  -EPROTO, "overlap", { { 0, 0x40, 0x80000 } } },
	{ "not in order",
	  { { 0x100, 2, { { 0x40, 0x80000, 0x40 }, { 0, 0x20000, 0x40 } } } },
	  -EPROTO, "order", { { 0x40, 0x40, 0x80000 } } },
	{ "overlapping in the machine",
	  { { 0x100, 2, { { 0, 0x80000, 0x40 }, { 0x40, 0x8003f, 0x40 } } } },
	  -EPROTO, "overlap" },
	{ "before what was asked",
	  { { 0x100, 1, { { -1, 0x80000, 0x40 } } } }, -EPROTO, "order" },
	{ "an extent beyond what was asked",
	  { { 0x100, 1, { { 0x100, 0x80000, 1 } } } }, -EPROTO, "outside" },
	{ "an extent that ends beyond it",
	  { { 0x100, 1, { { 0, 0x80000, 0x101 } } } }, -EPROTO, "outside" },
	{ "an extent that ends where the next answer begins",
	  { { 0x40, 1, { { 0, 0x80000, 0x41 } } } }, -EPROTO, "outside" },
	{ "an endless extent",
	  { { 0x100, 1, { { 1, 0x80000, -1 } } } }, -EPROTO, "outside" },
	{ "beyond the machine",
	  { { 0x100, 1, { { 0, BIT_ULL(40) - 1, 2 } } } }, -EPROTO,
	  "overflow" },
	{ "a frame that wraps",
	  { { 0x100, 1, { { 0, BIT_ULL(52) + 0x80000, 1 } } } }, -EPROTO,
	  "overflow" },
};

static void xae_desc(const struct xae_case *c, char *desc)
{
	strscpy(desc, c->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xae_listed, xae_cases, xae_desc);

/* What the next call is answered, and where the answers end. */
static const struct xae_answer *xae_next, *xae_end;

static int xae_list(struct xen_dma_extents *ask)
{
	struct xen_dma_extent *extents = (void *)(uintptr_t)ask->extents;
	const struct xae_answer *answer = xae_next++;
	unsigned int i;

	if (answer == xae_end)
		return -EIO;
	if (answer->rc)
		return answer->rc;

	for (i = 0; i < min_t(u32, answer->nr, XAE_EXTENTS); i++) {
		extents[i] = answer->extent[i];
		extents[i].gfn += XAE_FIRST;
	}
	ask->first_gfn = XAE_FIRST + answer->next;
	ask->nr_extents = answer->nr;
	ask->flags = answer->flags;
	return 0;
}

static const struct xen_bus_range xae_ram = {
	XBR_PAGES(XAE_FIRST), XBR_PAGES(XAE_PAGES),
};

static void xae_listed(struct kunit *test)
{
	const struct xae_case *c = test->param_value;
	struct xen_bus_range rows[XBR_ROWS];
	unsigned int nr = xbr_nr_rows(c->rows), i;
	struct xbr *x = test->priv;
	const char *wrong = NULL;
	u32 flags = 0;

	for (i = 0; i < nr; i++) {
		u64 gfn = XAE_FIRST + c->rows[i].start;

		rows[i] = (struct xen_bus_range) {
			XBR_PAGES(gfn), XBR_PAGES(c->rows[i].size),
			XBR_PAGES(c->rows[i].offset - gfn),
		};
	}

	xae_next = c->answer;
	xae_end = c->answer + XAE_ANSWERS;
	KUNIT_EXPECT_EQ(test, c->rc, xen_read_extents(&x->table, &xae_ram,
						      xae_list, &flags,
						      &wrong));
	xbr_says(test, wrong, c->why, c->desc);
	xbr_is(test, &x->table, rows, nr);
	KUNIT_EXPECT_EQ(test, c->flags, flags);
}

/* A hypervisor that knows every page, and tells of some of them at a time */

static struct kunit *xae_test;
static const struct xbr_model *xae_model;

static int xae_some(struct xen_dma_extents *ask)
{
	struct xen_dma_extent *extents = (void *)(uintptr_t)ask->extents;
	const struct xbr_model *m = xae_model;
	struct xbr *x = xae_test->priv;
	unsigned int nr = 0;
	int page = ask->first_gfn;
	int end = page + 1 + xdt_below(&x->rnd, ask->last_gfn - page + 1);

	for (; page < end; page++) {
		if (m->frame[page] == XBR_NONE)
			continue;
		if (nr && extents[nr - 1].gfn + extents[nr - 1].nr_frames ==
			  page && m->frame[page - 1] + 1 == m->frame[page]) {
			extents[nr - 1].nr_frames++;
			continue;
		}
		if (nr == ask->nr_extents)
			break;
		extents[nr++] = (struct xen_dma_extent) {
			page, m->base + m->frame[page], 1,
		};
	}
	ask->first_gfn = page;
	ask->nr_extents = nr;
	return 0;
}

static void xae_random(struct kunit *test)
{
	static const struct xen_bus_range ram = {
		0, XBR_PAGES(XBR_MODEL_PAGES),
	};
	unsigned long rounds = xdt_scaled(2000);
	struct xbr *x = test->priv;
	struct xbr_model *m;
	int i;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	xae_test = test;
	xae_model = m;

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		const char *wrong = NULL;
		u32 flags = 0;

		xbr_model_start(test, m);
		for (i = 0; i < 20; i++)
			xbr_model_step(test, m, &x->table);
		xbr_copy(&x->was, &x->table);
		xen_bus_free(&x->table);
		KUNIT_EXPECT_EQ(test, 0, xen_read_extents(&x->table, &ram,
							  xae_some, &flags,
							  &wrong));
		xbr_says(test, wrong, NULL, "random extents");
		xbr_is(test, &x->table, x->was.range, x->was.nr);
	}
}

static struct kunit_case xae_all[] = {
	KUNIT_CASE_PARAM(xae_listed, xae_listed_gen_params),
	KUNIT_CASE(xae_random),
	{}
};

static struct kunit_suite xae_suite = {
	.name = "xen-dma-extents",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xae_all,
};

kunit_test_suite(xae_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: the hypervisor's answers");
MODULE_LICENSE("GPL");
