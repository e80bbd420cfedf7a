// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's fw_cfg, a device of the platform that does DMA: it is given a descriptor,
 * by its bus address, and writes what it was asked for. What it says byte by byte
 * through its registers tells what it should have written.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include <kunit/test.h>

#define FW_DATA		0x00
#define FW_SELECTOR	0x08
#define FW_DMA		0x10

#define FW_SIGNATURE	0x00
#define FW_ID		0x01
#define FW_DIRECTORY	0x19

#define FW_ID_DMA	BIT(1)

#define FW_ERROR	BIT(0)
#define FW_READ		BIT(1)
#define FW_SELECT	BIT(3)

/* Of the largest item that is read: a count and one entry. */
#define FW_ENTRY	(4 + 64)

/* The emulated device is done at once. */
#define FW_TIMEOUT	(HZ / 5)

/**
 * struct fw_dma - what the device is to do
 * @control: what; the device clears it when it has done it
 * @length: bytes
 * @address: where they go, on the bus
 */
struct fw_dma {
	__be32 control;
	__be32 length;
	__be64 address;
};

static struct device *dev;
static void __iomem *regs;

static void read_slowly(u16 key, void *buf, size_t len)
{
	u8 *p = buf;

	iowrite16be(key, regs + FW_SELECTOR);
	while (len--)
		*p++ = readb(regs + FW_DATA);
}

static void start(dma_addr_t desc)
{
	iowrite32be(upper_32_bits(desc), regs + FW_DMA);
	iowrite32be(lower_32_bits(desc), regs + FW_DMA + 4);
}

static void describe(struct fw_dma *desc, u16 key, dma_addr_t bus, size_t len)
{
	desc->length = cpu_to_be32(len);
	desc->address = cpu_to_be64(bus);
	desc->control = cpu_to_be32(key << 16 | FW_SELECT | FW_READ);
}

/* The device clears the descriptor, wherever that is for it. */
static int wait(struct fw_dma *desc)
{
	unsigned long end = jiffies + FW_TIMEOUT;
	u32 control;

	while ((control = be32_to_cpu(READ_ONCE(desc->control))) & ~FW_ERROR) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		usleep_range(100, 200);
	}
	/* The data is there before the descriptor is cleared. */
	dma_rmb();
	return control & FW_ERROR ? -EIO : 0;
}

static int fwcfg_init(struct kunit *test)
{
	u8 id[4];

	if (!dev)
		kunit_skip(test, "no fw_cfg device");
	read_slowly(FW_ID, id, sizeof(id));
	if (!(id[0] & FW_ID_DMA))
		kunit_skip(test, "a fw_cfg device without DMA");
	return dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
}

/* Descriptor and data in coherent memory. */
static void coherent(struct kunit *test)
{
	struct fw_dma *desc;
	dma_addr_t bus;
	int ret;

	desc = dma_alloc_coherent(dev, PAGE_SIZE, &bus, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, desc);
	describe(desc, FW_SIGNATURE, bus + 64, 4);
	start(bus);
	ret = wait(desc);
	KUNIT_EXPECT_EQ(test, 0, ret);
	KUNIT_EXPECT_EQ(test, 0, memcmp((u8 *)desc + 64, "QEMU", 4));
	dma_free_coherent(dev, PAGE_SIZE, desc, bus);
}

/* Data in a mapped buffer, at some offset in two pages. */
static int read_mapped(u16 key, void *buf, size_t len)
{
	struct fw_dma *desc;
	dma_addr_t at, bus;
	int ret;

	desc = dma_alloc_coherent(dev, sizeof(*desc), &at, GFP_KERNEL);
	if (!desc)
		return -ENOMEM;
	bus = dma_map_single(dev, buf, len, DMA_FROM_DEVICE);
	ret = dma_mapping_error(dev, bus);
	if (!ret) {
		describe(desc, key, bus, len);
		start(at);
		ret = wait(desc);
		dma_unmap_single(dev, bus, len, DMA_FROM_DEVICE);
	}
	dma_free_coherent(dev, sizeof(*desc), desc, at);
	return ret;
}

static void mapped(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, 64, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	KUNIT_EXPECT_EQ(test, 0, read_mapped(FW_SIGNATURE, buf, 4));
	KUNIT_EXPECT_EQ(test, 0, memcmp(buf, "QEMU", 4));
}

static void check_pages(struct kunit *test, unsigned int bits)
{
	static const unsigned int offsets[] = { 0, 1, 100, 4090, 4095, 4096 };
	u8 expected[FW_ENTRY], *buf;
	unsigned int i, order = 1;

	KUNIT_ASSERT_EQ(test, 0, dma_set_mask(dev, DMA_BIT_MASK(bits)));
	read_slowly(FW_DIRECTORY, expected, sizeof(expected));
	buf = (u8 *)__get_free_pages(GFP_KERNEL, order);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		u8 *at = buf + offsets[i];

		memset(buf, 0x5a, PAGE_SIZE << order);
		KUNIT_EXPECT_EQ(test, 0, read_mapped(FW_DIRECTORY, at,
						     FW_ENTRY));
		KUNIT_EXPECT_EQ_MSG(test, 0, memcmp(at, expected, FW_ENTRY),
				    "at %u", offsets[i]);
		KUNIT_EXPECT_EQ(test, 0x5a, at[FW_ENTRY]);
		if (i)
			KUNIT_EXPECT_EQ(test, 0x5a, at[-1]);
	}
	free_pages((unsigned long)buf, order);
}

static void pages_64(struct kunit *test)
{
	check_pages(test, 64);
}

static void pages_40(struct kunit *test)
{
	check_pages(test, 40);
}

/* The descriptor is mapped, too: the device reads and writes it. */
static void mapped_descriptor(struct kunit *test)
{
	struct fw_dma *desc = kunit_kzalloc(test, 256, GFP_KERNEL);
	u8 *data = kunit_kzalloc(test, 256, GFP_KERNEL);
	dma_addr_t at, bus;
	unsigned long end = jiffies + FW_TIMEOUT;
	u32 control;

	KUNIT_ASSERT_NOT_NULL(test, desc);
	KUNIT_ASSERT_NOT_NULL(test, data);
	bus = dma_map_single(dev, data, 4, DMA_FROM_DEVICE);
	KUNIT_ASSERT_EQ(test, 0, dma_mapping_error(dev, bus));
	describe(desc, FW_SIGNATURE, bus, 4);
	at = dma_map_single(dev, desc, sizeof(*desc), DMA_BIDIRECTIONAL);
	if (!dma_mapping_error(dev, at)) {
		start(at);
		do {
			usleep_range(100, 200);
			dma_sync_single_for_cpu(dev, at, sizeof(*desc),
						DMA_BIDIRECTIONAL);
			control = be32_to_cpu(READ_ONCE(desc->control));
		} while (control & ~FW_ERROR && time_before(jiffies, end));
		dma_unmap_single(dev, at, sizeof(*desc), DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, 0, control);
	} else {
		KUNIT_FAIL(test, "the descriptor can't be mapped");
	}
	dma_unmap_single(dev, bus, 4, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, 0, memcmp(data, "QEMU", 4));
}

static int fwcfg_probe(struct platform_device *pdev)
{
	if (dev)
		return -EBUSY;
	regs = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(regs))
		return PTR_ERR(regs);
	dev = &pdev->dev;
	return 0;
}

static const struct of_device_id fwcfg_ids[] = {
	{ .compatible = "test,fw-cfg" },
	{ .compatible = "qemu,fw-cfg-mmio" },
	{ }
};
MODULE_DEVICE_TABLE(of, fwcfg_ids);

static struct platform_driver fwcfg_driver = {
	.probe = fwcfg_probe,
	.driver = {
		.name = "xdt_arm_fwcfg",
		.of_match_table = fwcfg_ids,
		.suppress_bind_attrs = true,
	},
};

/*
 * Linux 6.1 runs the cases before it initializes the module, and before the module is in
 * sysfs, where a driver would have a link to its owner.
 */
static int fwcfg_suite_init(struct kunit_suite *suite)
{
	fwcfg_driver.driver.bus = &platform_bus_type;
	return driver_register(&fwcfg_driver.driver);
}

static void fwcfg_suite_exit(struct kunit_suite *suite)
{
	driver_unregister(&fwcfg_driver.driver);
	dev = NULL;
}

static struct kunit_case fwcfg_cases[] = {
	KUNIT_CASE(coherent),
	KUNIT_CASE(mapped),
	KUNIT_CASE(mapped_descriptor),
	KUNIT_CASE(pages_64),
	KUNIT_CASE(pages_40),
	{ }
};

static struct kunit_suite fwcfg_suite = {
	.name = "xdt_arm_fwcfg",
	.suite_init = fwcfg_suite_init,
	.suite_exit = fwcfg_suite_exit,
	.init = fwcfg_init,
	.test_cases = fwcfg_cases,
};

kunit_test_suite(fwcfg_suite);

MODULE_DESCRIPTION("DMA tests for ARM: QEMU's fw_cfg");
MODULE_LICENSE("GPL");
