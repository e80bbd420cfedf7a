// SPDX-License-Identifier: GPL-2.0
/*
 * DMA past the API, at addresses that an IOMMU of the hypervisor's has to stop: memory
 * of nobody or of others, the other one of the two addresses that a page of ours has, and
 * a page that was given back.
 *
 * Each is said before, in words that whoever reads the hypervisor's console looks for
 * there (bed/smmu.py). They are short: the hypervisor tells of each 4 bytes. What is
 * stopped reads as zeroes. Around each of them, data arrives where it should.
 */
#include <linux/module.h>
#include <linux/string.h>

#include <xen/features.h>
#include <xen/mem-reservation.h>

#include "xdt_arm.h"

#define LEN	16U

static void stray_read(struct kunit *test, u64 bus)
{
	u8 seen[LEN];

	memset(seen, XDT_SECRET, LEN);
	pr_info("xdt: stray read of %u bytes at %#llx\n", LEN, bus);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, LEN));
	KUNIT_EXPECT_NULL(test, memchr_inv(seen, 0, LEN));
}

static void stray_write(struct kunit *test, u64 bus)
{
	u8 secret[LEN];

	memset(secret, XDT_SECRET, LEN);
	pr_info("xdt: stray write of %u bytes at %#llx\n", LEN, bus);
	KUNIT_EXPECT_EQ(test, 0, xdt_poke(bus, secret, LEN));
}

/* A page of ours; before and after @stray the device reaches it, in place or not. */
static void around(struct kunit *test,
		   void (*stray)(struct kunit *test, void *addr))
{
	struct xdt_part *part = xdt_parts(test, 1);
	void *addr = xdt_pages(test, 0);

	xdt_own(test, part, addr, PAGE_SIZE, 0, LEN);
	xdt_check_parts(test, part, 1);
	stray(test, addr);
	xdt_check_parts(test, part, 1);
}

static bool is_in_a_run(u64 bus)
{
	const struct xdt_run *runs;
	unsigned int i, n = xdt_runs(&runs);

	for (i = 0; i < n; i++)
		if (bus >= runs[i].start + runs[i].offset &&
		    bus < runs[i].end + runs[i].offset)
			return true;
	return false;
}

/* Right behind memory of ours. */
static void stray_behind(struct kunit *test, void *addr)
{
	const struct xdt_run *runs;
	unsigned int i, n = xdt_runs(&runs);
	u64 bus = 0;

	for (i = 0; i < n; i++) {
		bus = runs[i].end + runs[i].offset;
		if (!is_in_a_run(bus))
			break;
	}
	KUNIT_ASSERT_LT(test, i, n);
	stray_read(test, bus);
}

static void not_ours(struct kunit *test)
{
	around(test, stray_behind);
}

/* What translates for nobody else has the page at its other address. */
static void stray_elsewhere(struct kunit *test, void *addr)
{
	u64 bus = virt_to_phys(addr);

	if (xdt_has_iommu())
		KUNIT_ASSERT_EQ(test, 0, xdt_selfgrant(bus, &bus));
	KUNIT_ASSERT_NE(test, bus, xdt_where(test, addr));
	stray_read(test, bus);
	xdt_fill(addr, LEN, 5);
	stray_write(test, bus);
	KUNIT_EXPECT_EQ(test, LEN, xdt_match(addr, LEN, 5, 0));
}

static void other_address(struct kunit *test)
{
	if (xen_feature(XENFEAT_direct_mapped))
		kunit_skip(test, "a page has one address only");
	around(test, stray_elsewhere);
}

/* The device sees the page, until that has gone. */
static void goes(struct kunit *test, void *gone)
{
	xen_pfn_t frame = xen_page_to_gfn(virt_to_page(gone));
	u64 bus = xdt_where(test, gone);
	u8 seen[LEN];

	xdt_fill(gone, LEN, 3);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, LEN));
	KUNIT_ASSERT_EQ(test, LEN, xdt_match(seen, LEN, 3, 0));
	KUNIT_ASSERT_EQ(test, 1, xenmem_reservation_decrease(1, &frame));
	stray_read(test, bus);
	frame = xen_page_to_gfn(virt_to_page(gone));
	KUNIT_ASSERT_EQ(test, 1, xenmem_reservation_increase(1, &frame));
}

static void stray_after(struct kunit *test, void *addr)
{
	goes(test, xdt_pages(test, 0));
}

/* Of a page that comes back the driver asks the hypervisor: that must leave nothing behind. */
static void stray_after_asking(struct kunit *test, void *addr)
{
	void *gone = xdt_pages(test, 0);

	goes(test, gone);
	KUNIT_ASSERT_TRUE(test, xdt_wait_in_place(test, &gone, 1));
	goes(test, gone);
}

static void given_back(struct kunit *test)
{
	if (xen_feature(XENFEAT_direct_mapped))
		kunit_skip(test, "the hypervisor keeps the page for the domain");
	around(test, stray_after);
}

static void given_back_again(struct kunit *test)
{
	if (xen_feature(XENFEAT_direct_mapped))
		kunit_skip(test, "the hypervisor keeps the page for the domain");
	around(test, stray_after_asking);
}

static struct kunit_case stray_cases[] = {
	KUNIT_CASE(not_ours),
	KUNIT_CASE(other_address),
	KUNIT_CASE(given_back),
	KUNIT_CASE(given_back_again),
	{ }
};

static struct kunit_suite stray_suite = {
	.name = "xdt_arm_stray",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = stray_cases,
};

kunit_test_suite(stray_suite);

MODULE_DESCRIPTION("DMA tests for ARM: what an IOMMU has to stop");
MODULE_LICENSE("GPL");
