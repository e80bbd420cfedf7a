// SPDX-License-Identifier: GPL-2.0
/*
 * Narrow devices: a mask is refused only where the domain has no memory within
 * it; where it is accepted, all that is mapped is within it, and the data is right.
 */
#include <linux/dma-map-ops.h>
#include <linux/module.h>

#include "xdt_arm.h"

#define ORDER	3
#define WHOLE	(PAGE_SIZE << ORDER)

/* From each run: in place within the mask, bounced beyond. */
static void check_streaming(struct kunit *test, unsigned int bits)
{
	struct xdt_part *parts;
	void *found[XDT_MAX_RUNS];
	unsigned int i, n = 0;

	parts = xdt_parts(test, 2 * XDT_MAX_RUNS);
	xdt_from_runs(test, ORDER + 1, found);
	if (!xdt_may_mask(test, bits))
		return;
	for (i = 0; i < XDT_MAX_RUNS; i++) {
		struct xdt_part *part = &parts[n];
		u64 machine;

		if (!found[i])
			continue;
		machine = xdt_where(test, found[i]);
		xdt_own(test, &part[0], found[i], PAGE_SIZE, 33, 3000);
		xdt_own(test, &part[1], found[i] + WHOLE, WHOLE, 4000,
			WHOLE - 5000);
		if (machine + 2 * WHOLE - 1 <= DMA_BIT_MASK(bits)) {
			part[0].machine = machine;
			part[1].machine = machine + WHOLE;
		}
		n += 2;
	}
	xdt_check_parts(test, parts, n);
	xdt_check_list(test, parts, n, true);
}

static void check_coherent(struct kunit *test, unsigned int bits)
{
	struct device *dev = xdt_dev(test);

	if (dma_set_coherent_mask(dev, DMA_BIT_MASK(bits))) {
		KUNIT_EXPECT_FALSE(test, xdt_ram_within(DMA_BIT_MASK(bits)));
		return;
	}
	xdt_check_coherent(test, PAGE_SIZE);
	xdt_check_coherent(test, 3 * PAGE_SIZE);
	xdt_check_coherent(test, SZ_64K);
}

static void streaming_40(struct kunit *test)
{
	check_streaming(test, 40);
}

static void streaming_32(struct kunit *test)
{
	check_streaming(test, 32);
}

static void streaming_31(struct kunit *test)
{
	check_streaming(test, 31);
}

static void streaming_30(struct kunit *test)
{
	check_streaming(test, 30);
}

static void coherent_40(struct kunit *test)
{
	check_coherent(test, 40);
}

static void coherent_32(struct kunit *test)
{
	check_coherent(test, 32);
}

static void coherent_31(struct kunit *test)
{
	check_coherent(test, 31);
}

static void coherent_30(struct kunit *test)
{
	check_coherent(test, 30);
}

/* What any mask allows is within it. */
static void honest(struct kunit *test)
{
	unsigned int bits, accepted = 0;
	u8 *buf = xdt_pages(test, 1);
	dma_addr_t bus;

	for (bits = 28; bits <= 48; bits++) {
		if (dma_set_mask(xdt_dev(test), DMA_BIT_MASK(bits)))
			continue;
		accepted++;
		bus = xdt_map(test, buf + bits, PAGE_SIZE, DMA_TO_DEVICE);
		xdt_unmap(test, bus);
		KUNIT_EXPECT_TRUE_MSG(test, xdt_ram_within(DMA_BIT_MASK(bits)),
				      "%u bits are accepted", bits);
	}
	KUNIT_EXPECT_NE(test, 0, accepted);
}

/*
 * A device says itself that an IOMMU of the kernel's serves it, whatever operations the
 * domain has for devices. Older kernels have nothing that says so; Kbuild tells.
 */
#if defined(CONFIG_IOMMU_DMA) && defined(XDT_HAS_DMA_IOMMU)
static void let_iommu_serve(struct device *dev)
{
	/* The flag's setter is as old as this attribute. */
#ifdef DMA_ATTR_REQUIRE_COHERENT
	dev_set_dma_iommu(dev);
#else
	dev->dma_iommu = true;
#endif
}

static void iommu_served(struct kunit *test)
{
	struct device *dev = root_device_register("xdt-iommu");
	u64 mask = 0;

	KUNIT_ASSERT_FALSE(test, IS_ERR(dev));
	dev->dma_mask = &mask;
	set_dma_ops(dev, get_dma_ops(xdt_dev(test)));
	let_iommu_serve(dev);
	KUNIT_EXPECT_NULL(test, get_dma_ops(dev));
	KUNIT_EXPECT_EQ(test, 0, dma_set_mask(dev, DMA_BIT_MASK(40)));
	KUNIT_EXPECT_EQ(test, DMA_BIT_MASK(40), mask);
	dev->dma_mask = NULL;
	root_device_unregister(dev);
}
#endif

static struct kunit_case masks_cases[] = {
	KUNIT_CASE(streaming_40),
	KUNIT_CASE(streaming_32),
	KUNIT_CASE(streaming_31),
	KUNIT_CASE(streaming_30),
	KUNIT_CASE(coherent_40),
	KUNIT_CASE(coherent_32),
	KUNIT_CASE(coherent_31),
	KUNIT_CASE(coherent_30),
	KUNIT_CASE(honest),
#if defined(CONFIG_IOMMU_DMA) && defined(XDT_HAS_DMA_IOMMU)
	KUNIT_CASE(iommu_served),
#endif
	{ }
};

static struct kunit_suite masks_suite = {
	.name = "xdt_arm_masks",
	.init = xdt_arm_init,
	.exit = xdt_arm_exit,
	.test_cases = masks_cases,
};

kunit_test_suite(masks_suite);

MODULE_DESCRIPTION("DMA tests for ARM: masks");
MODULE_LICENSE("GPL");
