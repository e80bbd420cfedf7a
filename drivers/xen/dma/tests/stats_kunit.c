// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the figures that each device has: what was bounced, what it holds, and
 * what becomes of them when it is removed.
 */
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "../by-name.h"
#include "../stats.h"
#include "fixture.h"

#define XDT_TEXT	SZ_16K

/* The file as somebody would read it. */
static char *xdt_shown(struct kunit *test)
{
	struct seq_file s = { .size = XDT_TEXT };

	s.buf = kunit_kzalloc(test, XDT_TEXT, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s.buf);
	mutex_init(&s.lock);
	xen_stats_show(&s);
	KUNIT_ASSERT_LT(test, s.count, s.size);
	s.buf[s.count] = 0;
	return s.buf;
}

/* Is there a line of that device with these figures, whatever its place is? */
static bool xdt_has_line(const char *shown, const char *name, const char *driver,
			 const char *figures)
{
	char start[96];
	size_t len;

	snprintf(start, sizeof(start), "\n%s %s ", name, driver);
	while ((shown = strstr(shown, start))) {
		shown += strlen(start);
		shown += strcspn(shown, " ") + 1;
		len = strcspn(shown, "\n");
		if (len == strlen(figures) && !memcmp(shown, figures, len))
			return true;
	}
	return false;
}

static void xdt_expect_line(struct kunit *test, const char *name,
			    const char *driver, const char *figures)
{
	char *shown = xdt_shown(test);

	KUNIT_EXPECT_TRUE_MSG(test, xdt_has_line(shown, name, driver, figures),
			      "no '%s %s %s' in\n%s", name, driver, figures, shown);
}

static void xdt_expect_device(struct kunit *test, struct device *dev,
			      const char *figures)
{
	xdt_expect_line(test, dev_name(dev), dev_driver_string(dev), figures);
}

static void xdt_expect_none(struct kunit *test, const char *text)
{
	char *shown = xdt_shown(test);

	KUNIT_EXPECT_NULL_MSG(test, strstr(shown, text), "'%s' in\n%s", text,
			      shown);
}

/* Two pages, so it straddles for a device that reaches all, and is too high for others. */
static dma_addr_t xdt_hold(struct xdt *x, struct device *dev, size_t size)
{
	dma_addr_t bus;

	xen_machine_place(x->buf, 1, XDT_FRAME);
	xen_machine_place(x->buf + PAGE_SIZE, 1, XDT_FRAME + 7);
	bus = xdt_map(dev, x->buf, size, DMA_BIDIRECTIONAL, 0);
	KUNIT_ASSERT_NE(x->test, bus, DMA_MAPPING_ERROR);
	return bus;
}

static void xdt_by_device(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *wide = xdt_device(x, "wide", DMA_BIT_MASK(64));
	struct xen_bounce_counts sum;
	dma_addr_t bus[3];

	bus[0] = xdt_hold(x, x->dev, 100);
	bus[1] = xdt_hold(x, wide, PAGE_SIZE + 1);
	bus[2] = xdt_hold(x, x->dev, PAGE_SIZE);
	xdt_expect_device(test, x->dev, "present 3 mask 2 4196");
	xdt_expect_device(test, wide, "present 3 straddle 1 4097");
	xdt_expect_line(test, "others", "-", "present 0");

	xdt_unmap(x->dev, bus[2], PAGE_SIZE, DMA_BIDIRECTIONAL, 0);
	xdt_unmap(wide, bus[1], PAGE_SIZE + 1, DMA_BIDIRECTIONAL, 0);
	xdt_expect_device(test, x->dev, "present 1 mask 2 4196");
	xdt_expect_device(test, wide, "present 0 straddle 1 4097");
	xdt_unmap(x->dev, bus[0], 100, DMA_BIDIRECTIONAL, 0);

	xen_bounces_of_all(&sum);
	KUNIT_EXPECT_EQ(test, sum.by[XEN_BOUNCE_MASK].mappings, 2);
	KUNIT_EXPECT_EQ(test, sum.by[XEN_BOUNCE_MASK].bytes, 4196);
	KUNIT_EXPECT_EQ(test, sum.by[XEN_BOUNCE_STRADDLE].mappings, 1);
}

/* What is used in place, or not mapped, has no figures. */
static void xdt_not_bounced(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *wide = xdt_device(x, "wide", DMA_BIT_MASK(64));
	dma_addr_t bus = xdt_hold(x, wide, PAGE_SIZE);

	xdt_unmap(wide, bus, PAGE_SIZE, DMA_BIDIRECTIONAL, 0);
	KUNIT_EXPECT_EQ(test, xdt_map(x->dev, x->buf, XDT_LARGEST * 4, DMA_TO_DEVICE,
				      DMA_ATTR_NO_WARN), DMA_MAPPING_ERROR);
	xdt_expect_none(test, dev_name(wide));
	xdt_expect_none(test, dev_name(x->dev));
}

/* A list in one block counts once, with all of its bytes; a large block has many slots. */
static void xdt_lists_and_large(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct scatterlist sg[3];
	dma_addr_t bus;

	xen_machine_place(x->buf, SZ_1M >> PAGE_SHIFT, XDT_FRAME);
	sg_init_table(sg, ARRAY_SIZE(sg));
	sg_set_buf(&sg[0], x->buf, 1000);
	sg_set_buf(&sg[1], x->buf + SZ_64K, 1000);
	sg_set_buf(&sg[2], x->buf + SZ_128K, 1000);
	KUNIT_ASSERT_EQ(test, xen_swiotlb_dma_ops.map_sg(x->dev, sg, 3, DMA_TO_DEVICE, 0), 1);
	xdt_expect_device(test, x->dev, "present 4 mask 1 3000");
	xen_swiotlb_dma_ops.unmap_sg(x->dev, sg, 3, DMA_TO_DEVICE, 0);

	bus = xdt_map(x->dev, x->buf, SZ_1M, DMA_TO_DEVICE, 0);
	KUNIT_ASSERT_NE(test, bus, DMA_MAPPING_ERROR);
	xdt_expect_device(test, x->dev, "present 512 mask 2 1051576");
	xdt_unmap(x->dev, bus, SZ_1M, DMA_TO_DEVICE, 0);
}

/* A device that is removed is named as long as something is mapped for it. */
static void xdt_removed(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *dev[XEN_MAX_STATS];
	struct xen_bounce_counts sum;
	dma_addr_t leak, bus;
	char name[16];
	unsigned int i;

	leak = xdt_hold(x, x->dev, 100);
	xen_stats_forget(x->dev);
	xdt_expect_device(test, x->dev, "removed 1 mask 1 100");

	/* Another one at the same address. */
	bus = xdt_hold(x, x->dev, 200);
	xdt_unmap(x->dev, bus, 200, DMA_BIDIRECTIONAL, 0);
	xdt_expect_device(test, x->dev, "removed 1 mask 1 100");
	xdt_expect_device(test, x->dev, "present 0 mask 1 200");
	xen_stats_forget(x->dev);

	/* Places run short: only that one's is given to another device. */
	for (i = 0; i < ARRAY_SIZE(dev); i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		dev[i] = xdt_device(x, name, DMA_BIT_MASK(32));
		xdt_unmap(dev[i], xdt_hold(x, dev[i], 1), 1, DMA_BIDIRECTIONAL, 0);
		xen_stats_flush();
	}
	xdt_expect_device(test, x->dev, "removed 1 mask 1 100");
	/* The last two found none. */
	xdt_expect_line(test, "others", "-", "present 0 mask 2 2");
	xdt_expect_line(test, "forgotten", "-", "removed 0 mask 1 200");
	xen_bounces_of_all(&sum);
	KUNIT_EXPECT_EQ(test, sum.by[XEN_BOUNCE_MASK].mappings, 2 + ARRAY_SIZE(dev));
	KUNIT_EXPECT_EQ(test, sum.by[XEN_BOUNCE_MASK].bytes, 300 + ARRAY_SIZE(dev));

	xdt_unmap(x->dev, leak, 100, DMA_BIDIRECTIONAL, 0);
	xdt_expect_device(test, x->dev, "removed 0 mask 1 100");
	/* Its place is looked at again, though no other device goes. */
	xen_stats_flush();
	xdt_expect_line(test, "forgotten", "-", "removed 0 mask 2 300");
}

/* What a driver has left mapped is not the next driver's. */
static void xdt_other_driver(struct kunit *test)
{
	static struct device_driver next = { .name = "next" };
	struct xdt *x = test->priv;
	struct device_driver *first = x->dev->driver;
	char name[16];
	dma_addr_t leak, bus;

	strscpy(name, dev_driver_string(x->dev), sizeof(name));
	leak = xdt_hold(x, x->dev, 100);
	xen_stats_bind(x->dev);
	bus = xdt_hold(x, x->dev, 200);
	xdt_expect_line(test, dev_name(x->dev), name, "present 2 mask 2 300");
	xdt_unmap(x->dev, bus, 200, DMA_BIDIRECTIONAL, 0);

	x->dev->driver = &next;
	xen_stats_bind(x->dev);
	bus = xdt_hold(x, x->dev, 400);
	xdt_expect_line(test, dev_name(x->dev), name, "removed 1 mask 2 300");
	xdt_expect_line(test, dev_name(x->dev), "next", "present 1 mask 1 400");
	xdt_unmap(x->dev, bus, 400, DMA_BIDIRECTIONAL, 0);
	x->dev->driver = first;
	xdt_unmap(x->dev, leak, 100, DMA_BIDIRECTIONAL, 0);
}

/* Each mapping is for another device than the one before. */
static void xdt_by_turns(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *other = xdt_device(x, "other", DMA_BIT_MASK(32));
	unsigned int i;

	for (i = 0; i < 2000; i++) {
		struct device *dev = i % 2 ? other : x->dev;

		xdt_unmap(dev, xdt_hold(x, dev, 64), 64, DMA_BIDIRECTIONAL, 0);
	}
	xdt_expect_device(test, x->dev, "present 0 mask 1000 64000");
	xdt_expect_device(test, other, "present 0 mask 1000 64000");
}

/* A device that nobody has registered. */
static void xdt_nameless(struct kunit *test)
{
	struct device *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	KUNIT_ASSERT_NULL(test, dev_name(dev));
	xen_count_bounce(xen_find_stats(dev), XEN_BOUNCE_MASK, 100);
	xdt_expect_line(test, "-", "-", "present 0 mask 1 100");
	KUNIT_EXPECT_FALSE(test, xen_find_name(dev, XEN_NAMED_BOUNCE));
	xen_stats_forget(dev);
}

static int xdt_stats_init(struct kunit *test)
{
	int rc = xen_stats_reset();

	return rc ?: xdt_init(test);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE(xdt_by_device),
	KUNIT_CASE(xdt_not_bounced),
	KUNIT_CASE(xdt_lists_and_large),
	KUNIT_CASE(xdt_removed),
	KUNIT_CASE(xdt_other_driver),
	KUNIT_CASE(xdt_by_turns),
	KUNIT_CASE(xdt_nameless),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-dma-stats",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_stats_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

kunit_test_suite(xdt_suite);

MODULE_DESCRIPTION("KUnit tests of the figures of Xen's DMA driver");
MODULE_LICENSE("GPL");
