// SPDX-License-Identifier: GPL-2.0
/*
 * Scatterlists of a domain whose memory is in several runs: entries from all of
 * them, entries that cross from one into another, and foreign pages among them.
 *
 * Half of the lists are taken down by a copy, which has the addresses alone in
 * common with the list that was mapped.
 */
#include <linux/module.h>

#include "xdt_arm.h"

#define NR_FOREIGN	8

/* Two entries of each run, of different sizes. */
static unsigned int from_runs(struct kunit *test, struct xdt_part **parts)
{
	void *found[XDT_MAX_RUNS];
	unsigned int i, n = 0;

	*parts = xdt_parts(test, 2 * XDT_MAX_RUNS + NR_FOREIGN);
	xdt_from_runs(test, 2, found);
	for (i = 0; i < XDT_MAX_RUNS; i++) {
		if (!found[i])
			continue;
		xdt_own(test, &(*parts)[n++], found[i], PAGE_SIZE, 100 + i,
			3000 - 100 * i % 2000);
		xdt_own(test, &(*parts)[n++], found[i] + 2 * PAGE_SIZE,
			2 * PAGE_SIZE, 500, PAGE_SIZE + 200 + i);
	}
	return n;
}

/* Where they are in the machine is where they are on the bus. */
static void expect_direct(struct kunit *test, struct xdt_part *parts,
			  unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		parts[i].machine = xdt_where(test, parts[i].base);
}

static void each_run(struct kunit *test)
{
	struct xdt_part *parts;
	unsigned int n = from_runs(test, &parts);

	expect_direct(test, parts, n);
	xdt_check_list(test, parts, n, false);
	xdt_check_list(test, parts, n, true);
}

static void each_run_40(struct kunit *test)
{
	struct xdt_part *parts;
	unsigned int n = from_runs(test, &parts);

	xdt_mask(test, 40);
	xdt_check_list(test, parts, n, true);
}

static void each_run_32(struct kunit *test)
{
	struct xdt_part *parts;
	unsigned int n = from_runs(test, &parts);

	if (!xdt_may_mask(test, 32))
		return;
	xdt_check_list(test, parts, n, false);
	xdt_check_list(test, parts, n, true);
}

/* One entry, two runs; and the same among others. */
static void across_runs(struct kunit *test)
{
	struct xdt_part parts[3] = { };
	size_t half;
	u8 *base = xdt_across(test, &half);
	u8 *beside = xdt_pages(test, 1);

	xdt_own(test, &parts[0], base, 2 * half, half - 1000, 3000);
	xdt_check_list(test, parts, 1, false);
	xdt_check_list(test, parts, 1, true);
	parts[1] = parts[0];
	xdt_own(test, &parts[0], beside, PAGE_SIZE, 0, PAGE_SIZE);
	xdt_own(test, &parts[2], beside + PAGE_SIZE, PAGE_SIZE, 7, 99);
	xdt_check_list(test, parts, 3, false);
}

/* Entries that are neighbours for the CPU on either side of a crossing. */
static void beside_crossing(struct kunit *test)
{
	struct xdt_part parts[2] = { };
	size_t half;
	u8 *base = xdt_across(test, &half);

	xdt_own(test, &parts[0], base + half - PAGE_SIZE, PAGE_SIZE, 0,
		PAGE_SIZE);
	xdt_own(test, &parts[1], base + half, PAGE_SIZE, 0, PAGE_SIZE);
	expect_direct(test, parts, 2);
	xdt_check_list(test, parts, 2, false);
	xdt_check_list(test, parts, 2, true);
}

static void check_mixed(struct kunit *test, unsigned int bits, bool direct)
{
	struct xdt_foreign *foreign = xdt_foreign(test, NR_FOREIGN, 0);
	struct xdt_part *parts;
	unsigned int i, n = from_runs(test, &parts);

	if (direct)
		expect_direct(test, parts, n);
	/* One of ours, one of theirs. */
	for (i = 0; i < NR_FOREIGN; i++) {
		unsigned int at = min(n, 2 * i);

		memmove(&parts[at + 1], &parts[at], (n - at) * sizeof(*parts));
		xdt_theirs(&parts[at], foreign, i, 50 * i,
			   PAGE_SIZE - 77 * i);
		if (direct)
			parts[at].machine = foreign->page[i].bus;
		n++;
	}
	if (!xdt_may_mask(test, bits))
		return;
	xdt_check_list(test, parts, n, false);
	xdt_check_list(test, parts, n, true);
}

static void mixed(struct kunit *test)
{
	check_mixed(test, 64, true);
}

static void mixed_40(struct kunit *test)
{
	check_mixed(test, 40, false);
}

static void mixed_32(struct kunit *test)
{
	check_mixed(test, 32, false);
}

/* A long list, of which the device sees all. */
static void many(struct kunit *test)
{
	enum { NR = 160 };
	struct xdt_part *parts;
	void *found[XDT_MAX_RUNS];
	unsigned int i, run = 0;

	parts = xdt_parts(test, NR);
	xdt_from_runs(test, 8, found);
	for (i = 0; i < NR; i++) {
		while (!found[run])
			run = (run + 1) % XDT_MAX_RUNS;
		xdt_own(test, &parts[i], found[run] + i * PAGE_SIZE, PAGE_SIZE,
			i * 3, 500 + i * 7);
		parts[i].machine = xdt_where(test, parts[i].base);
		run = (run + 1) % XDT_MAX_RUNS;
	}
	xdt_check_list(test, parts, NR, true);
}

static struct kunit_case sg_cases[] = {
	KUNIT_CASE(each_run),
	KUNIT_CASE(each_run_40),
	KUNIT_CASE(each_run_32),
	KUNIT_CASE(across_runs),
	KUNIT_CASE(beside_crossing),
	KUNIT_CASE(many),
	KUNIT_CASE(mixed),
	KUNIT_CASE(mixed_40),
	KUNIT_CASE(mixed_32),
	{ }
};

static struct kunit_suite sg_suite = {
	.name = "xdt_arm_sg",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = sg_cases,
};

kunit_test_suite(sg_suite);

MODULE_DESCRIPTION("DMA tests for ARM: scatterlists");
MODULE_LICENSE("GPL");
