// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test of the pool of a domain that was restored: its pages have other
 * frames, so that what nobody uses is made anew, and the rest is given to nobody.
 */
#include <linux/module.h>

#include "exhaust.h"

/* The domain was restored: all of the aperture's pages have other frames. */
static void xdt_move(struct xdt *x)
{
	xen_machine_place(x->area, x->size >> PAGE_SHIFT, XEN_MACHINE_FREE_MFN);
}

/* Is what the device reads and writes the aperture's? */
static void xdt_still_bounces(struct xdt *x, unsigned int max)
{
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int nr = xdt_exhaust_atomic(x, x->dev, SZ_256K, bus, max);

	KUNIT_EXPECT_EQ(x->test, nr, max);
	xdt_check_contents(x, SZ_256K, bus, nr);
	xdt_release(x, x->dev, SZ_256K, bus, nr);
}

/* A part is used: nobody is given that. */
static void xdt_moved_while_used(struct xdt *x)
{
	struct kunit *test = x->test;
	struct xen_pool_chunk *chunk;
	dma_addr_t bus;
	size_t size;

	bus = xdt_map(x->dev, x->buf, SZ_4K, DMA_TO_DEVICE, 0);
	chunk = xen_pool_find(bus);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	size = xen_chunk_size(chunk);
	xdt_move(x);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), size);
	xen_pool_flush_resume();
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size - size);
	KUNIT_EXPECT_PTR_NE(test, xen_pool_find(bus), chunk);
	xdt_still_bounces(x, 32);
}

static void xdt_moved(struct kunit *test)
{
	struct xdt *x = test->priv;

	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);

	/* Nobody uses it: it is made anew when there is time. */
	xdt_move(x);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	KUNIT_EXPECT_EQ(test, xdt_total(), 0);
	xen_pool_flush_resume();
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	xdt_still_bounces(x, 32);

	xdt_moved_while_used(x);

	/* Here Xen has none: a device's own chunk is what remains. */
	xdt_move(x);
	xen_machine_fail_exchanges(-ENOMEM);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	xen_pool_flush_resume();
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xdt_total(), 0);
	KUNIT_EXPECT_EQ(test, 0, xen_aperture_obtain(x->dev, DMA_BIT_MASK(32)));
	xdt_still_bounces(x, 4);

	/* Here it has some, in smaller pieces. */
	xdt_restart(x, SZ_64M, SZ_2G + (u64)SZ_1G);
	xdt_move(x);
	xen_machine_set_low(SZ_64M, SZ_64M + SZ_16M);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	xen_pool_flush_resume();
	KUNIT_EXPECT_EQ(test, xdt_total(), SZ_16M);
	xdt_still_bounces(x, 32);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_moved),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture-moved",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver: a restored domain");
MODULE_LICENSE("GPL");
