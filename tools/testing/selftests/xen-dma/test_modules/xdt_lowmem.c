// SPDX-License-Identifier: GPL-2.0
/*
 * No memory left that a device can reach: an allocation fails, the kernel log says
 * why and what helps, and the memory is there again once it is freed.
 *
 * The cases follow each other: low memory is taken piece by piece until there is
 * no more, then it is looked at what an allocation that fails has to say. What the
 * hypervisor has afterwards is coherent_exhaust.sh's to see.
 */
#include <linux/dma-mapping.h>
#include <linux/kmsg_dump.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "xdt.h"
#include "xdt_memory.h"

/* Bytes of the first pieces, and of the last. */
#define FIRST_SIZE	SZ_64M
#define LAST_SIZE	SZ_256K

/* Enough for 4 GiB, were all of it there, in pieces that every driver has. */
#define MANY_AREAS	4096

static struct xdt_area *areas;
static unsigned int nr_areas;
static char message[512];
static unsigned int messages;

/* Bytes that are asked for when there are but half as many. */
static size_t wanted;

static void set_mask(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(xdt_low_bits)));
}

static bool take(struct kunit *test, size_t size)
{
	if (nr_areas == MANY_AREAS ||
	    !xdt_take(xdt_dev(test), &areas[nr_areas], size, GFP_KERNEL))
		return false;
	xdt_stamp(areas[nr_areas].addr, size, nr_areas);
	nr_areas++;
	return true;
}

/* What is to be had is had. */
static void until_null(struct kunit *test)
{
	size_t size, bytes = 0;

	set_mask(test);
	for (size = FIRST_SIZE; size >= LAST_SIZE; size /= 2) {
		while (take(test, size)) {
			bytes += size;
			cond_resched();
		}
	}
	kunit_info(test, "%zu bytes below %u bits\n", bytes,
		   xdt_low_bits);
	KUNIT_EXPECT_GT(test, nr_areas, 0);
	KUNIT_EXPECT_LT(test, nr_areas, MANY_AREAS);
}

/* One piece is free again: twice as much fails, and the log says so once. */
static void one_message(struct kunit *test)
{
	const char *name = dev_name(xdt_dev(test));
	struct kmsg_dump_iter iter;
	char line[512], size[32];
	struct xdt_area *last;
	dma_addr_t bus;
	void *addr;
	size_t len;

	KUNIT_ASSERT_NE(test, 0, nr_areas);
	set_mask(test);
	last = &areas[--nr_areas];
	wanted = 2 * last->size;
	xdt_give(xdt_dev(test), last);

	kmsg_dump_rewind(&iter);
	iter.cur_seq = iter.next_seq;
	addr = dma_alloc_coherent(xdt_dev(test), wanted, &bus, GFP_KERNEL);
	KUNIT_EXPECT_NULL(test, addr);
	if (addr)
		dma_free_coherent(xdt_dev(test), wanted, addr, bus);

	snprintf(size, sizeof(size), "no %zu bytes ", wanted);
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = 0;
		if (!strstr(line, name))
			continue;
		messages++;
		if (strstr(line, "xen-dma:") && strstr(line, size))
			strscpy(message, line, sizeof(message));
	}
	KUNIT_EXPECT_EQ(test, 1, messages);
	KUNIT_EXPECT_NE(test, 0, message[0]);
}

static void says_mask(struct kunit *test)
{
	char mask[32];

	snprintf(mask, sizeof(mask), "mask %#llx", DMA_BIT_MASK(xdt_low_bits));
	KUNIT_EXPECT_NOT_NULL(test, strstr(message, mask));
}

static void says_what_helps(struct kunit *test)
{
	KUNIT_EXPECT_NOT_NULL(test, strstr(message, "dom0_mem="));
	KUNIT_EXPECT_NOT_NULL(test, strstr(message, "dma_bits="));
}

/* The largest piece that Xen had is what was freed, and can be had. */
static void says_largest(struct kunit *test)
{
	char *p = strstr(message, "largest piece");
	const char *digits = "0123456789";
	unsigned long largest;

	KUNIT_ASSERT_NOT_NULL(test, p);
	p += strcspn(p, digits);
	p[strspn(p, digits)] = 0;
	KUNIT_ASSERT_EQ(test, 0, kstrtoul(p, 10, &largest));
	KUNIT_EXPECT_EQ(test, wanted / 2, largest);
	set_mask(test);
	KUNIT_EXPECT_TRUE(test, take(test, largest));
}

/* All of it is as it was written, and can be freed. */
static void freed(struct kunit *test)
{
	set_mask(test);
	while (nr_areas) {
		struct xdt_area *area = &areas[--nr_areas];

		KUNIT_EXPECT_EQ(test, area->size,
				xdt_stamped(area->addr, area->size, nr_areas));
		xdt_give(xdt_dev(test), area);
		cond_resched();
	}
	KUNIT_EXPECT_TRUE(test, take(test, LAST_SIZE));
	if (nr_areas)
		xdt_give(xdt_dev(test), &areas[--nr_areas]);
}

static struct kunit_case lowmem_cases[] = {
	KUNIT_CASE(until_null),
	KUNIT_CASE(one_message),
	KUNIT_CASE(says_mask),
	KUNIT_CASE(says_what_helps),
	KUNIT_CASE(says_largest),
	KUNIT_CASE(freed),
	{ }
};

static int lowmem_suite_init(struct kunit_suite *suite)
{
	areas = vcalloc(MANY_AREAS, sizeof(*areas));
	return areas ? 0 : -ENOMEM;
}

static void lowmem_suite_exit(struct kunit_suite *suite)
{
	vfree(areas);
}

static struct kunit_suite lowmem_suite = {
	.name = "xdt_lowmem",
	.suite_init = lowmem_suite_init,
	.suite_exit = lowmem_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = lowmem_cases,
};

kunit_test_suite(lowmem_suite);

MODULE_DESCRIPTION("DMA tests: no low memory left");
MODULE_LICENSE("GPL");
