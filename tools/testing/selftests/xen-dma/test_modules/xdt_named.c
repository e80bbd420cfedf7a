// SPDX-License-Identifier: GPL-2.0
/*
 * What the administrator wants of a single device, set while the kernel runs: all of its
 * mappings are bounced, or none is. Nonsense is refused and changes nothing.
 */
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/module.h>
#include <linux/path.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "xdt.h"

#define PARAMETERS	"/sys/module/xen_dma/parameters/"

/* Of who loads the module. Newer kernels give their own threads an empty one. */
static struct path root;

static ssize_t set(struct kunit *test, const char *path, const char *value)
{
	struct file *file = file_open_root(&root, path, O_WRONLY, 0);
	loff_t pos = 0;
	ssize_t rc;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "no %s", path);
	rc = kernel_write(file, value, strlen(value), &pos);
	filp_close(file, NULL);
	return rc < 0 ? rc : 0;
}

static void get(struct kunit *test, const char *path, char *value, size_t size)
{
	struct file *file = file_open_root(&root, path, O_RDONLY, 0);
	loff_t pos = 0;
	ssize_t n;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "no %s", path);
	n = kernel_read(file, value, size - 1, &pos);
	filp_close(file, NULL);
	KUNIT_ASSERT_GT(test, n, 0);
	value[n] = 0;
	strim(value);
}

/* Where a mapping is, and whether both sides see each other's bytes. */
static bool is_in_place(struct kunit *test, u8 *page)
{
	u8 seen[64];
	dma_addr_t bus;
	bool in_place;

	xdt_fill(page, PAGE_SIZE, 5);
	bus = xdt_map(test, page, PAGE_SIZE, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_EQ(test, sizeof(seen), xdt_match(seen, sizeof(seen), 5, 0));
	/* The device sees what the CPU writes now only where nothing was copied. */
	xdt_fill(page, PAGE_SIZE, 6);
	KUNIT_EXPECT_EQ(test, 0, xdt_peek(bus, seen, sizeof(seen)));
	in_place = xdt_match(seen, sizeof(seen), 6, 0) == sizeof(seen);
	xdt_unmap(test, bus);
	return in_place;
}

static void bounce(struct kunit *test)
{
	u8 *page = xdt_high(test, 0);
	char names[128];

	xdt_mask(test, 64);
	KUNIT_EXPECT_TRUE(test, is_in_place(test, page));
	snprintf(names, sizeof(names), "0000:ff:1f.7,%s", dev_name(xdt_dev(test)));
	KUNIT_EXPECT_EQ(test, 0, set(test, PARAMETERS "bounce", names));
	KUNIT_EXPECT_FALSE(test, is_in_place(test, page));
	/* Another name that begins with it is another device's. */
	strcat(names, "0");
	KUNIT_EXPECT_EQ(test, 0, set(test, PARAMETERS "bounce", names));
	KUNIT_EXPECT_TRUE(test, is_in_place(test, page));
	KUNIT_EXPECT_EQ(test, 0, set(test, PARAMETERS "bounce", "\n"));
	KUNIT_EXPECT_TRUE(test, is_in_place(test, page));
}

static void in_place(struct kunit *test)
{
	u8 *page = xdt_high(test, 0);

	xdt_mask(test, 32);
	KUNIT_EXPECT_FALSE(test, is_in_place(test, page));
	KUNIT_EXPECT_EQ(test, 0, set(test, PARAMETERS "in_place", dev_name(xdt_dev(test))));
	KUNIT_EXPECT_EQ(test, DMA_MAPPING_ERROR,
			xdt_try_map(test, page, PAGE_SIZE, DMA_TO_DEVICE, DMA_ATTR_NO_WARN));
	xdt_mask(test, 64);
	KUNIT_EXPECT_TRUE(test, is_in_place(test, page));
	KUNIT_EXPECT_EQ(test, 0, set(test, PARAMETERS "in_place", "\n"));
	xdt_mask(test, 32);
	KUNIT_EXPECT_FALSE(test, is_in_place(test, page));
}

static void nonsense(struct kunit *test)
{
	static const char * const wrong[][2] = {
		{ PARAMETERS "bounce", "two words" },
		{ PARAMETERS "in_place", "nvme;ahci" },
		{ PARAMETERS "max", "lots" },
		{ PARAMETERS "max", "4G" },
		{ PARAMETERS "max", "64M64M" },
		{ PARAMETERS "max", "M" },
		{ PARAMETERS "max", "+64M" },
		{ PARAMETERS "max", "64M\n\n" },
		/* 1 GiB more than there are addresses. */
		{ PARAMETERS "max", "17179869185G" },
		{ PARAMETERS "idle", "-1" },
		{ PARAMETERS "idle", "1s" },
		{ PARAMETERS "coherent_pooled", "all" },
		{ PARAMETERS "coherent_cache", "-" },
		{ PARAMETERS "coherent_cache", "K" },
		{ PARAMETERS "coherent_cache", "17179869184G" },
		{ PARAMETERS "coherent_cache", "99999999999999999999999" },
	};
	char was[64], is[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		get(test, wrong[i][0], was, sizeof(was));
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, set(test, wrong[i][0], wrong[i][1]), "%s",
				    wrong[i][1]);
		get(test, wrong[i][0], is, sizeof(is));
		KUNIT_EXPECT_STREQ(test, was, is);
	}
}

static void sizes(struct kunit *test)
{
	char was[64], is[64];

	get(test, PARAMETERS "coherent_cache", was, sizeof(was));
	KUNIT_EXPECT_EQ(test, 0, set(test, PARAMETERS "coherent_cache", "48M\n"));
	get(test, PARAMETERS "coherent_cache", is, sizeof(is));
	KUNIT_EXPECT_STREQ(test, is, "50331648");
	KUNIT_EXPECT_EQ(test, 0, set(test, PARAMETERS "coherent_cache", was));
	get(test, PARAMETERS "coherent_cache", is, sizeof(is));
	KUNIT_EXPECT_STREQ(test, was, is);
}

static int named_suite_init(struct kunit_suite *suite)
{
	get_fs_root(current->fs, &root);
	return 0;
}

static void named_suite_exit(struct kunit_suite *suite)
{
	path_put(&root);
}

/* Whatever a case left behind. */
static void named_exit(struct kunit *test)
{
	if (test->status == KUNIT_FAILURE) {
		set(test, PARAMETERS "bounce", "\n");
		set(test, PARAMETERS "in_place", "\n");
	}
	xdt_exit(test);
}

static struct kunit_case named_cases[] = {
	KUNIT_CASE(bounce),
	KUNIT_CASE(in_place),
	KUNIT_CASE(nonsense),
	KUNIT_CASE(sizes),
	{ }
};

static struct kunit_suite named_suite = {
	.name = "xdt_named",
	.suite_init = named_suite_init,
	.suite_exit = named_suite_exit,
	.init = xdt_init,
	.exit = named_exit,
	.test_cases = named_cases,
};

kunit_test_suite(named_suite);

MODULE_DESCRIPTION("DMA tests: parameters that change while the kernel runs");
MODULE_LICENSE("GPL");
