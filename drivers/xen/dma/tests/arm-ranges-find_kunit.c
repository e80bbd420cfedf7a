// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of looking up where a domain's memory is.
 */
#include <linux/module.h>

#include "arm-ranges-fixture.h"

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
		xbr_says(test, xbr_put(&x->table, steps[i].row.start,
				       steps[i].row.size, steps[i].row.offset),
			 NULL, "set-up");
		KUNIT_EXPECT_EQ(test, xen_bus_highest(&x->table),
				steps[i].highest);
	}
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE(xbr_find),
	KUNIT_CASE(xbr_highest),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges-find",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suite(xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: finding");
MODULE_LICENSE("GPL");
