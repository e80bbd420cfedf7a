// SPDX-License-Identifier: GPL-2.0
/*
 * DMA past the API in a PV domain, at addresses that an IOMMU of the hypervisor's has to
 * stop: memory of nobody, a page that the balloon gave back, and coherent memory whose
 * frames went back to the hypervisor.
 *
 * Each is said before, in words that whoever reads the hypervisor's console looks for there.
 * Around each of them, data arrives where it should.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>

#include <xen/mem-reservation.h>
#include <xen/page.h>

#include <asm/xen/hypercall.h>

#include <xen/interface/memory.h>

#include "xdt.h"

#define LEN	16U

/* Larger than what the driver keeps in its pool. */
#define COHERENT_SIZE	SZ_16M

static void stray_read(struct kunit *test, u64 bus)
{
	u8 seen[LEN];

	pr_info("xdt: stray read of %u bytes at %#llx\n", LEN, bus);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, LEN));
}

/* A page of ours reaches the device before and after. */
static void check_own(struct kunit *test, void *addr)
{
	u8 seen[LEN];

	xdt_fill(addr, LEN, 7);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(xdt_machine(test, addr), seen, LEN));
	KUNIT_EXPECT_EQ(test, LEN, xdt_match(seen, LEN, 7, 0));
}

static void beyond_memory(struct kunit *test)
{
	long last = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);
	void *addr = xdt_pages(test, 0);

	KUNIT_ASSERT_GT(test, last, 0);
	check_own(test, addr);
	stray_read(test, ((u64)last + 1) << PAGE_SHIFT);
	check_own(test, addr);
}

/* The device sees a page, until that has gone. */
static void given_back_page(struct kunit *test)
{
	void *addr = xdt_pages(test, 0), *gone = xdt_pages(test, 0);
	struct page *page = virt_to_page(gone);
	u64 bus = xdt_machine(test, gone);
	xen_pfn_t frame = xen_page_to_gfn(page);

	check_own(test, gone);
	check_own(test, addr);
	xenmem_reservation_va_mapping_reset(1, &page);
	KUNIT_ASSERT_EQ(test, 1, xenmem_reservation_decrease(1, &frame));
	stray_read(test, bus);
	frame = page_to_pfn(page);
	KUNIT_ASSERT_EQ(test, 1, xenmem_reservation_increase(1, &frame));
	xenmem_reservation_va_mapping_update(1, &page, &frame);
	check_own(test, addr);
	check_own(test, gone);
}

static void given_back_coherent(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	void *addr = xdt_pages(test, 0), *area;
	dma_addr_t bus;
	u8 seen[LEN];

	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(dev, DMA_BIT_MASK(32)));
	area = dma_alloc_coherent(dev, COHERENT_SIZE, &bus, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, area);
	xdt_fill(area, LEN, 9);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, LEN));
	KUNIT_EXPECT_EQ(test, LEN, xdt_match(seen, LEN, 9, 0));
	check_own(test, addr);
	dma_free_coherent(dev, COHERENT_SIZE, area, bus);
	stray_read(test, bus);
	check_own(test, addr);
}

static struct kunit_case stray_cases[] = {
	KUNIT_CASE(beyond_memory),
	KUNIT_CASE(given_back_page),
	KUNIT_CASE(given_back_coherent),
	{ }
};

static struct kunit_suite stray_suite = {
	.name = "xdt_stray",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = stray_cases,
};

kunit_test_suite(stray_suite);

MODULE_DESCRIPTION("DMA tests for x86: what an IOMMU has to stop");
MODULE_LICENSE("GPL");
