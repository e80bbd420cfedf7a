// SPDX-License-Identifier: GPL-2.0
/*
 * What the demo shows of DMA from inside the kernel, with QEMU's edu device.
 *
 * Loading it says where the domain's pages lie in the machine, sends a buffer
 * above 4 GiB to the device and back through mappings below, and, as a control,
 * gives the device the address that the kernel itself calls physical. Its lines
 * in the log start with "demo:". Only the public DMA API is used.
 */
#define pr_fmt(fmt) "demo: " fmt

#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_DMA_START	BIT(0)
#define EDU_DMA_TO_RAM	BIT(1)
#define EDU_BUFFER	0x40000

/* Bytes: less than the device's buffer, which QEMU 7.2 can't fill. */
#define XFER		4000

/* Pages looked at for where memory lies. */
#define SAMPLES		4096

#define TIMEOUT_MS	10000

static void __iomem *regs;

static int edu_move(dma_addr_t bus, bool to_ram)
{
	ktime_t end = ktime_add_ms(ktime_get(), TIMEOUT_MS);

	writeq(to_ram ? EDU_BUFFER : bus, regs + EDU_DMA_SRC);
	writeq(to_ram ? bus : EDU_BUFFER, regs + EDU_DMA_DST);
	writeq(XFER, regs + EDU_DMA_COUNT);
	writeq(EDU_DMA_START | (to_ram ? EDU_DMA_TO_RAM : 0),
	       regs + EDU_DMA_CMD);
	while (readq(regs + EDU_DMA_CMD) & EDU_DMA_START) {
		if (ktime_after(ktime_get(), end))
			return -ETIMEDOUT;
		usleep_range(500, 1000);
	}

	return 0;
}

/* A device with 64 bits is given a page's own place: its machine address. */
static dma_addr_t machine_address(struct device *dev, struct page *page)
{
	dma_addr_t bus;

	if (dma_set_mask(dev, DMA_BIT_MASK(64)))
		return DMA_MAPPING_ERROR;
	bus = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, bus))
		return DMA_MAPPING_ERROR;
	dma_unmap_page(dev, bus, PAGE_SIZE, DMA_TO_DEVICE);

	return bus;
}

static int show_memory(struct device *dev)
{
	dma_addr_t lowest = DMA_MAPPING_ERROR, highest = 0;
	unsigned int below = 0, above = 0, i;
	struct page **page;
	int ret = 0;

	page = kvcalloc(SAMPLES, sizeof(*page), GFP_KERNEL);
	if (!page)
		return -ENOMEM;

	for (i = 0; i < SAMPLES; i++) {
		dma_addr_t bus;

		page[i] = alloc_page(GFP_KERNEL);
		if (!page[i]) {
			ret = -ENOMEM;
			break;
		}
		bus = machine_address(dev, page[i]);
		if (bus == DMA_MAPPING_ERROR) {
			ret = -EIO;
			break;
		}
		lowest = min(lowest, bus);
		highest = max(highest, bus);
		if (bus < SZ_4G)
			below++;
		else
			above++;
	}
	if (!ret)
		pr_info("of %u pages %u lie above 4 GiB and %u below, from %#llx to %#llx\n",
			SAMPLES, above, below, (u64)lowest, (u64)highest);

	for (i = 0; i < SAMPLES && page[i]; i++)
		__free_page(page[i]);
	kvfree(page);
	return ret;
}

/* Moves one page's bytes through a mapping; @bus tells where that was. */
static int through_mapping(struct device *dev, struct page *page, bool to_ram,
			   dma_addr_t *bus)
{
	enum dma_data_direction dir = to_ram ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
	int ret;

	*bus = dma_map_page(dev, page, 0, XFER, dir);
	if (dma_mapping_error(dev, *bus))
		return -EIO;
	ret = edu_move(*bus, to_ram);
	dma_unmap_page(dev, *bus, XFER, dir);

	return ret;
}

static int show_round_trip(struct device *dev, struct page *out,
			   struct page *back)
{
	dma_addr_t machine = machine_address(dev, out);
	dma_addr_t bus_out, bus_back;
	int ret;

	ret = dma_set_mask(dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;

	get_random_bytes(page_address(out), XFER);
	memset(page_address(back), 0, XFER);
	ret = through_mapping(dev, out, false, &bus_out);
	if (!ret)
		ret = through_mapping(dev, back, true, &bus_back);
	if (ret)
		return ret;

	pr_info("round trip: buffer at %#llx in the machine, mapped at %#llx and back at %#llx: %s\n",
		(u64)machine, (u64)bus_out, (u64)bus_back,
		machine >= SZ_4G && bus_out < SZ_4G && bus_back < SZ_4G &&
		!memcmp(page_address(out), page_address(back), XFER) ?
		"the same bytes" : "FAILED");
	return 0;
}

/* The device reads only, so whoever owns that memory takes no harm. */
static int show_control(struct device *dev, struct page *out, struct page *back)
{
	phys_addr_t phys = page_to_phys(out);
	dma_addr_t bus;
	int ret;

	get_random_bytes(page_address(out), XFER);
	memset(page_address(back), 0, XFER);
	ret = edu_move(phys, false);
	if (!ret)
		ret = through_mapping(dev, back, true, &bus);
	if (ret)
		return ret;

	pr_info("control: given %pa, which the kernel calls physical, the device %s\n",
		&phys, memcmp(page_address(out), page_address(back), XFER) ?
		"does not see the buffer" : "FAILED to miss the buffer");
	return 0;
}

static int demo_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct device *dev = &pdev->dev;
	struct page *out, *back;
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	regs = pcim_iomap(pdev, 0, 0);
	out = alloc_page(GFP_KERNEL);
	back = alloc_page(GFP_KERNEL);
	ret = -ENOMEM;
	if (!regs || !out || !back)
		goto free;
	pci_set_master(pdev);

	ret = show_memory(dev);
	if (!ret)
		ret = show_round_trip(dev, out, back);
	if (!ret)
		ret = show_control(dev, out, back);
	if (ret)
		pr_err("FAILED with error %d\n", ret);
free:
	if (back)
		__free_page(back);
	if (out)
		__free_page(out);
	return ret;
}

static void demo_remove(struct pci_dev *pdev)
{
}

static const struct pci_device_id demo_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, demo_ids);

static struct pci_driver demo_driver = {
	.name = "xen_dma_demo",
	.id_table = demo_ids,
	.probe = demo_probe,
	.remove = demo_remove,
};
module_pci_driver(demo_driver);

MODULE_DESCRIPTION("What the xen-dma demo shows with the edu device");
MODULE_LICENSE("GPL");
