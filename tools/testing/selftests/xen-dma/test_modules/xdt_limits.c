// SPDX-License-Identifier: GPL-2.0
/*
 * What the device is told about itself has to be true: which masks can be
 * served, how large a mapping may be, how wide an address it will see.
 *
 * A mask that is accepted is tried; one that is refused must be too narrow for
 * anything. Mappings of the largest size are made and their bytes checked.
 */
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/module.h>

#include "xdt.h"

/* No test needs a larger buffer, whatever the device may map at once. */
#define LARGEST		SZ_32M

/* A driver that trusts the answer must not be given addresses above it. */
static void required_mask(struct kunit *test)
{
	unsigned int i, order = 3, nr = 128;
	dma_addr_t highest = 0;

	xdt_mask(test, 64);
	for (i = 0; i < nr; i++) {
		void *buf = xdt_pages(test, order);
		unsigned int j;

		for (j = 0; j < 1 << order; j++)
			highest = max(highest,
				      xdt_machine(test, buf + j * PAGE_SIZE));
	}
	KUNIT_ASSERT_GT(test, highest, DMA_BIT_MASK(32));
	KUNIT_EXPECT_GE(test, dma_get_required_mask(xdt_dev(test)), highest);
}

/* A mapping of @size bytes, of which the ends and both directions are seen. */
static void check_size(struct kunit *test, u8 *buf, size_t size)
{
	u8 first[64], last[64];
	dma_addr_t bus;

	xdt_fill(buf, size, 1);
	bus = xdt_map(test, buf, size, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, first, sizeof(first)));
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus + size - sizeof(last), last,
					  sizeof(last)));
	KUNIT_EXPECT_EQ(test, sizeof(first),
			xdt_match(first, sizeof(first), 1, 0));
	KUNIT_EXPECT_EQ(test, sizeof(last),
			xdt_match(last, sizeof(last), 1, size - sizeof(last)));
	if (dma_get_mask(xdt_dev(test)) <= DMA_BIT_MASK(32)) {
		/* All of it is in the bounce buffer, and comes back. */
		memset(buf, 0, size);
		xdt_unmap(test, bus);
		KUNIT_EXPECT_EQ(test, size, xdt_match(buf, size, 1, 0));
		bus = xdt_map(test, buf, size, DMA_BIDIRECTIONAL);
	}
	xdt_fill(first, sizeof(first), 2);
	xdt_fill(last, sizeof(last), 3);
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus, first, sizeof(first)));
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus + size - sizeof(last), last,
					  sizeof(last)));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, sizeof(first),
			xdt_match(buf, sizeof(first), 2, 0));
	KUNIT_EXPECT_EQ(test, sizeof(last),
			xdt_match(buf + size - sizeof(last), sizeof(last), 3,
				  0));
	size -= sizeof(first) + sizeof(last);
	KUNIT_EXPECT_EQ(test, size,
			xdt_match(buf + sizeof(first), size, 1,
				  sizeof(first)));
}

static void max_mapping_bounced(struct kunit *test)
{
	size_t size;
	u8 *buf;

	xdt_mask(test, 32);
	size = min_t(size_t, dma_max_mapping_size(xdt_dev(test)), LARGEST);
	kunit_info(test, "%zu bytes at the most\n", size);
	KUNIT_ASSERT_GE(test, size, PAGE_SIZE);
	buf = xdt_large(test, size);
	xdt_mask(test, 64);
	if (!xdt_is_high(test, buf, size))
		kunit_skip(test, "%zu bytes are not all above 4 GiB", size);
	xdt_mask(test, 32);
	check_size(test, buf, size);
}

/* What reaches everything is hardly ever bounced: its limit is that of large pages. */
static void max_mapping_wide(struct kunit *test)
{
	xdt_mask(test, 64);
	KUNIT_EXPECT_GE(test, dma_max_mapping_size(xdt_dev(test)), SZ_2M);
	KUNIT_EXPECT_GE(test, dma_opt_mapping_size(xdt_dev(test)), SZ_2M);
}

static void opt_mapping(struct kunit *test)
{
	size_t opt;

	xdt_mask(test, 32);
	opt = dma_opt_mapping_size(xdt_dev(test));
	KUNIT_EXPECT_NE(test, 0, opt);
	KUNIT_EXPECT_LE(test, opt, dma_max_mapping_size(xdt_dev(test)));
}

static void check_large(struct kunit *test, size_t size)
{
	u8 *buf = xdt_high(test, get_order(size));

	xdt_mask(test, 32);
	check_size(test, buf, size);
}

static void bounce_256k(struct kunit *test)
{
	check_large(test, SZ_256K);
}

static void bounce_512k(struct kunit *test)
{
	check_large(test, SZ_512K);
}

static void bounce_1m(struct kunit *test)
{
	check_large(test, SZ_1M);
}

static void bounce_4m(struct kunit *test)
{
	check_large(test, SZ_4M);
}

static void bounce_16m(struct kunit *test)
{
	u8 *buf = xdt_large(test, SZ_16M);

	xdt_mask(test, 64);
	if (!xdt_is_high(test, buf, SZ_16M))
		kunit_skip(test, "16 MiB are not all above 4 GiB");
	xdt_mask(test, 32);
	check_size(test, buf, SZ_16M);
}

static void scattered_64k(struct kunit *test)
{
	check_size(test, xdt_scattered(test, get_order(SZ_64K)), SZ_64K);
}

static void scattered_1m(struct kunit *test)
{
	check_size(test, xdt_scattered(test, get_order(SZ_1M)), SZ_1M);
}

static void scattered_4m(struct kunit *test)
{
	check_size(test, xdt_scattered(test, get_order(SZ_4M)), SZ_4M);
}

/* Several mappings at once; all are asserted to be within the mask. */
static void use_mask(struct kunit *test)
{
	unsigned int i, nr = 16;
	u8 *buf = xdt_pages(test, 0);

	xdt_fill(buf, PAGE_SIZE, 9);
	for (i = 0; i < nr; i++)
		xdt_map(test, buf + i, 2000 + i, DMA_TO_DEVICE);
	xdt_unmap_all(test);
}

static void mask_wide(struct kunit *test)
{
	static const unsigned int widths[] = { 64, 48, 40, 36, 33, 32 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		xdt_mask(test, widths[i]);
		use_mask(test);
	}
}

static void check_narrow(struct kunit *test, unsigned int bits)
{
	u8 *buf = xdt_high(test, 0), *seen;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, 1000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, PAGE_SIZE, bits);
	xdt_mask(test, bits);
	use_mask(test);
	bus = xdt_bounce(test, buf + 5, 1000, DMA_TO_DEVICE);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, 1000));
	KUNIT_EXPECT_EQ(test, 1000, xdt_match(seen, 1000, bits, 5));
}

static void mask_31(struct kunit *test)
{
	check_narrow(test, 31);
}

static void mask_30(struct kunit *test)
{
	check_narrow(test, 30);
}

static void mask_28(struct kunit *test)
{
	check_narrow(test, 28);
}

static void mask_24(struct kunit *test)
{
	check_narrow(test, 24);
}

/* Nothing at all is that low. */
static void mask_12(struct kunit *test)
{
	KUNIT_EXPECT_NE(test, 0, dma_set_mask(xdt_dev(test),
					      DMA_BIT_MASK(12)));
	KUNIT_EXPECT_NE(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(12)));
}

/* Refused, or it works. */
static void mask_honest(struct kunit *test)
{
	unsigned int bits, accepted = 0;

	for (bits = 13; bits <= 40; bits++) {
		if (dma_set_mask(xdt_dev(test), DMA_BIT_MASK(bits)))
			continue;
		accepted++;
		use_mask(test);
	}
	KUNIT_EXPECT_NE(test, 0, accepted);
}

static bool use_coherent_mask(struct kunit *test, unsigned int bits)
{
	struct device *dev = xdt_dev(test);
	dma_addr_t bus;
	void *addr;

	if (dma_set_coherent_mask(dev, DMA_BIT_MASK(bits)))
		return false;
	addr = dma_alloc_coherent(dev, PAGE_SIZE, &bus,
				  GFP_KERNEL | __GFP_NOWARN);
	KUNIT_EXPECT_NOT_NULL_MSG(test, addr,
				  "%u bits are accepted, but give no memory",
				  bits);
	if (!addr)
		return true;
	KUNIT_EXPECT_LE(test, bus + PAGE_SIZE - 1, DMA_BIT_MASK(bits));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, xdt_count(addr, PAGE_SIZE, 0));
	memset(addr, 1, PAGE_SIZE);
	dma_free_coherent(dev, PAGE_SIZE, addr, bus);
	return true;
}

static void coherent_mask_wide(struct kunit *test)
{
	static const unsigned int widths[] = { 64, 40, 33, 32, 31, 30 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(widths); i++)
		KUNIT_EXPECT_TRUE(test, use_coherent_mask(test, widths[i]));
}

static void coherent_mask_24(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, use_coherent_mask(test, 24));
}

static void coherent_mask_honest(struct kunit *test)
{
	unsigned int bits, accepted = 0;

	for (bits = 13; bits <= 40; bits++)
		accepted += use_coherent_mask(test, bits);
	KUNIT_EXPECT_NE(test, 0, accepted);
}

static struct kunit_case limits_cases[] = {
	KUNIT_CASE(required_mask),
	KUNIT_CASE(max_mapping_bounced),
	KUNIT_CASE(max_mapping_wide),
	KUNIT_CASE(opt_mapping),
	KUNIT_CASE(bounce_256k),
	KUNIT_CASE(bounce_512k),
	KUNIT_CASE(bounce_1m),
	KUNIT_CASE(bounce_4m),
	KUNIT_CASE(bounce_16m),
	KUNIT_CASE(scattered_64k),
	KUNIT_CASE(scattered_1m),
	KUNIT_CASE(scattered_4m),
	KUNIT_CASE(mask_wide),
	KUNIT_CASE(mask_31),
	KUNIT_CASE(mask_30),
	KUNIT_CASE(mask_28),
	KUNIT_CASE(mask_24),
	KUNIT_CASE(mask_12),
	KUNIT_CASE(mask_honest),
	KUNIT_CASE(coherent_mask_wide),
	KUNIT_CASE(coherent_mask_24),
	KUNIT_CASE(coherent_mask_honest),
	{ }
};

static struct kunit_suite limits_suite = {
	.name = "xdt_limits",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = limits_cases,
};

kunit_test_suite(limits_suite);

MODULE_DESCRIPTION("DMA tests: masks and sizes");
MODULE_LICENSE("GPL");
