// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what becomes of a device's DMA on ARM: each row of the documentation's
 * table, and what has to hold for all that can be known of a device.
 */
#include <kunit/test.h>

#include <linux/module.h>
#include <linux/string.h>

#include "../arm-policy.h"

#define XPT_FACTS	7

/**
 * struct xpt_row - a row of the table
 * @desc:	the device
 * @facts:	what is known
 * @want:	what becomes of it
 */
struct xpt_row {
	const char *desc;
	struct xen_dma_facts facts;
	enum xen_dma_verdict want;
};

static const struct xpt_row xpt_rows[] = {
	{ "1:1", { .direct = true, .dom0 = true, .hardware = true },
	  XEN_DMA_OURS },
	{ "1:1, driver domain", { .direct = true, .hardware = true },
	  XEN_DMA_OURS },
	{ "1:1, said to be unprotected",
	  { .direct = true, .hardware = true, .unprotected = true },
	  XEN_DMA_OURS },
	{ "1:1, marked as safe",
	  { .direct = true, .dom0 = true, .hardware = true, .safe = true },
	  XEN_DMA_GENERIC },
	{ "1:1, an IOMMU of the kernel's",
	  { .direct = true, .dom0 = true, .hardware = true, .own_iommu = true },
	  XEN_DMA_OWN_IOMMU },
	{ "nothing is said", { .hardware = true }, XEN_DMA_GENERIC_UNSAID },
	{ "said to be unprotected",
	  { .hardware = true, .unprotected = true }, XEN_DMA_SERVED },
	{ "said to be unprotected, and safe",
	  { .hardware = true, .unprotected = true, .safe = true },
	  XEN_DMA_GENERIC },
	{ "all translated", { .hardware = true, .translated = true },
	  XEN_DMA_GENERIC },
	{ "all translated, marked as unprotected",
	  { .hardware = true, .translated = true, .unprotected = true },
	  XEN_DMA_GENERIC },
	{ "no hardware", { .unprotected = true }, XEN_DMA_GENERIC },
	{ "an IOMMU of the kernel's",
	  { .hardware = true, .own_iommu = true }, XEN_DMA_REFUSED },
	{ "an IOMMU of the kernel's, unprotected",
	  { .hardware = true, .own_iommu = true, .unprotected = true },
	  XEN_DMA_REFUSED },
	{ "an IOMMU of the kernel's, and one of Xen's",
	  { .hardware = true, .own_iommu = true, .translated = true },
	  XEN_DMA_GENERIC },
	{ "dom0, not 1:1", { .dom0 = true, .hardware = true }, XEN_DMA_GENERIC },
	{ "dom0, not 1:1, an offset is given",
	  { .dom0 = true, .hardware = true, .unprotected = true },
	  XEN_DMA_SERVED },
};

static void xpt_desc(const struct xpt_row *row, char *desc)
{
	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(xpt, xpt_rows, xpt_desc);

static void xpt_row(struct kunit *test)
{
	const struct xpt_row *row = test->param_value;

	KUNIT_EXPECT_EQ(test, xen_dma_policy(&row->facts), row->want);
}

static struct xen_dma_facts xpt_facts(unsigned int bits)
{
	return (struct xen_dma_facts) {
		.direct = bits & BIT(0),
		.dom0 = bits & BIT(1),
		.translated = bits & BIT(2),
		.safe = bits & BIT(3),
		.hardware = bits & BIT(4),
		.own_iommu = bits & BIT(5),
		.unprotected = bits & BIT(6),
	};
}

/*
 * Whatever else is known: who is said to be unprotected in a domain that is not 1:1 never
 * gets the domain's own addresses, unless somebody says that Xen's IOMMU translates; and
 * what nobody says anything of never gets any but those.
 */
static void xpt_all(struct kunit *test)
{
	unsigned int bits;

	for (bits = 0; bits < BIT(XPT_FACTS); bits++) {
		const struct xen_dma_facts f = xpt_facts(bits);
		enum xen_dma_verdict verdict = xen_dma_policy(&f);
		bool denied = verdict == XEN_DMA_SERVED ||
			      verdict == XEN_DMA_REFUSED;

		if (f.hardware && f.unprotected && !f.direct && !f.safe &&
		    !f.translated)
			KUNIT_EXPECT_TRUE_MSG(test, denied, "facts %#x", bits);
		if (f.safe || (!f.direct && (f.translated || !f.hardware)))
			KUNIT_EXPECT_EQ_MSG(test, verdict, XEN_DMA_GENERIC,
					    "facts %#x", bits);
		if (!f.unprotected && !f.own_iommu)
			KUNIT_EXPECT_FALSE_MSG(test, denied, "facts %#x", bits);
		if (!f.direct)
			KUNIT_EXPECT_NE_MSG(test, verdict, XEN_DMA_OURS,
					    "facts %#x", bits);
		/* One device gets no other answer for what is known of all. */
		if (verdict == XEN_DMA_GENERIC_UNSAID)
			KUNIT_EXPECT_FALSE_MSG(test, f.dom0 || f.unprotected,
					       "facts %#x", bits);
	}
}

static struct kunit_case xpt_cases[] = {
	KUNIT_CASE_PARAM(xpt_row, xpt_gen_params),
	KUNIT_CASE(xpt_all),
	{}
};

static struct kunit_suite xpt_suite = {
	.name = "xen-arm-policy",
	.test_cases = xpt_cases,
};

kunit_test_suite(xpt_suite);

MODULE_DESCRIPTION("KUnit tests of Xen's DMA driver: what becomes of a device on ARM");
MODULE_LICENSE("GPL");
