// SPDX-License-Identifier: GPL-2.0
/*
 * A mask that no memory lies below, as no machine has any below 256 MiB here: it is refused,
 * and the mask before it stays good. The script looks at what was asked meanwhile.
 */
#include <linux/module.h>

#include "xdt_arm.h"

#define TOO_FEW		28

static void refused(struct kunit *test)
{
	u8 *page = xdt_pages(test, 0);
	dma_addr_t bus;

	KUNIT_ASSERT_EQ(test, 0, dma_set_mask(xdt_dev(test), DMA_BIT_MASK(48)));
	KUNIT_ASSERT_FALSE(test, xdt_ram_within(DMA_BIT_MASK(TOO_FEW)));
	KUNIT_EXPECT_NE(test, 0, dma_set_mask(xdt_dev(test), DMA_BIT_MASK(TOO_FEW)));

	bus = xdt_map(test, page, PAGE_SIZE, DMA_TO_DEVICE);
	KUNIT_EXPECT_GT(test, bus, DMA_BIT_MASK(TOO_FEW));
	xdt_unmap(test, bus);
}

static struct kunit_case narrow_cases[] = {
	KUNIT_CASE(refused),
	{ }
};

static struct kunit_suite narrow_suite = {
	.name = "xdt_arm_narrow",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = narrow_cases,
};

kunit_test_suite(narrow_suite);

MODULE_DESCRIPTION("DMA tests for ARM: a narrow device while the driver learns where memory is");
MODULE_LICENSE("GPL");
