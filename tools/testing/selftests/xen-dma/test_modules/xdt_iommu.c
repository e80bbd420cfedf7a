// SPDX-License-Identifier: GPL-2.0
/*
 * A device that an IOMMU of the kernel's own serves, in a PV domain: what it is given are
 * addresses of that IOMMU, which lead to the memory that was mapped, and after that nowhere.
 *
 * The IOMMU is a mock, for a PV domain has no other: it has a table of pages, and nobody
 * looks anything up in it but the tests. The rest is the kernel's: its IOMMU core, and
 * what serves the DMA API by it.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>

#include "xdt.h"

#if IS_ENABLED(CONFIG_IOMMU_DMA) && defined(XDT_HAS_DMA_IOMMU)
#define NAME	"xdt_iommu"
#define NR	3U
#define AT	5U
#define LEN	1000U

/**
 * struct mock_domain - addresses that a device has
 * @domain: for the core
 * @pages: by number of the page on the bus: numbers of pages of memory
 */
struct mock_domain {
	struct iommu_domain domain;
	struct xarray pages;
};

static struct iommu_device mock;
static struct platform_device *device;

static struct mock_domain *of_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

/* Newer kernels tell of the domain that the device had before. */
#ifdef DMA_ATTR_REQUIRE_COHERENT
static int mock_attach(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
#else
static int mock_attach(struct iommu_domain *domain, struct device *dev)
#endif
{
	return 0;
}

static int mock_map(struct iommu_domain *domain, unsigned long iova, phys_addr_t phys,
		    size_t size, size_t count, int prot, gfp_t gfp, size_t *mapped)
{
	unsigned long i, nr = size * count >> PAGE_SHIFT;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = xa_insert(&of_domain(domain)->pages, (iova >> PAGE_SHIFT) + i,
				xa_mk_value(PHYS_PFN(phys) + i), gfp);
		if (ret)
			return ret;
		*mapped += PAGE_SIZE;
	}
	return 0;
}

static size_t mock_unmap(struct iommu_domain *domain, unsigned long iova, size_t size,
			 size_t count, struct iommu_iotlb_gather *gather)
{
	unsigned long i, nr = size * count >> PAGE_SHIFT;

	for (i = 0; i < nr; i++)
		xa_erase(&of_domain(domain)->pages, (iova >> PAGE_SHIFT) + i);
	return size * count;
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	void *entry = xa_load(&of_domain(domain)->pages, iova >> PAGE_SHIFT);

	return entry ? PFN_PHYS(xa_to_value(entry)) + offset_in_page(iova) : 0;
}

static void mock_free(struct iommu_domain *domain)
{
	xa_destroy(&of_domain(domain)->pages);
	kfree(of_domain(domain));
}

static const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev = mock_attach,
	.map_pages = mock_map,
	.unmap_pages = mock_unmap,
	.iova_to_phys = mock_iova_to_phys,
	.free = mock_free,
};

static struct iommu_domain *mock_domain_alloc(struct device *dev)
{
	struct mock_domain *new = kzalloc_obj(*new);

	if (!new)
		return NULL;
	xa_init(&new->pages);
	new->domain.pgsize_bitmap = PAGE_SIZE;
	new->domain.geometry.aperture_end = DMA_BIT_MASK(48);
	new->domain.geometry.force_aperture = true;
	return &new->domain;
}

/* All devices are offered to it. */
static struct iommu_device *mock_probe(struct device *dev)
{
	return device && dev == &device->dev ? &mock : ERR_PTR(-ENODEV);
}

static int mock_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_DMA;
}

static const struct iommu_ops mock_ops = {
	.domain_alloc_paging = mock_domain_alloc,
	.probe_device = mock_probe,
	.device_group = generic_device_group,
	.def_domain_type = mock_domain_type,
	.default_domain_ops = &mock_domain_ops,
	.owner = THIS_MODULE,
};

/* What the device finds at an address. */
static phys_addr_t found(dma_addr_t bus)
{
	return iommu_iova_to_phys(iommu_get_domain_for_dev(&device->dev), bus);
}

static void masks(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 0, dma_set_mask_and_coherent(&device->dev, DMA_BIT_MASK(32)));
	KUNIT_EXPECT_EQ(test, 0, dma_set_mask_and_coherent(&device->dev, DMA_BIT_MASK(64)));
}

static void single(struct kunit *test)
{
	u8 *addr = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	dma_addr_t bus;

	KUNIT_ASSERT_NOT_NULL(test, addr);
	bus = dma_map_single(&device->dev, addr + AT, LEN, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(&device->dev, bus));
	KUNIT_EXPECT_EQ(test, virt_to_phys(addr + AT), found(bus));
	dma_unmap_single(&device->dev, bus, LEN, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, 0, found(bus));
}

/* Every second page of a block, so that they are no neighbours. */
static void list(struct kunit *test)
{
	struct page *block = alloc_pages(GFP_KERNEL, 3);
	struct sg_table table;
	struct scatterlist *sg;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, block);
	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&table, NR, GFP_KERNEL));
	for_each_sgtable_sg(&table, sg, i)
		sg_set_page(sg, block + 2 * i, PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, 0, dma_map_sgtable(&device->dev, &table, DMA_TO_DEVICE, 0));
	KUNIT_EXPECT_EQ(test, 1, table.nents);
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_EQ(test, page_to_phys(block + 2 * i) + AT,
				found(sg_dma_address(table.sgl) + i * PAGE_SIZE + AT));
	dma_unmap_sgtable(&device->dev, &table, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, 0, found(sg_dma_address(table.sgl)));
	sg_free_table(&table);
	__free_pages(block, 3);
}

static void coherent(struct kunit *test)
{
	dma_addr_t bus;
	u8 *addr = dma_alloc_coherent(&device->dev, SZ_64K, &bus, GFP_KERNEL);
	unsigned int at;

	KUNIT_ASSERT_NOT_NULL(test, addr);
	for (at = 0; at < SZ_64K; at += PAGE_SIZE) {
		struct page *page = is_vmalloc_addr(addr) ? vmalloc_to_page(addr + at) :
							    virt_to_page(addr + at);

		KUNIT_EXPECT_EQ(test, page_to_phys(page), found(bus + at));
	}
	dma_free_coherent(&device->dev, SZ_64K, addr, bus);
	KUNIT_EXPECT_EQ(test, 0, found(bus));
}

static void remove_all(void)
{
	platform_device_unregister(device);
	device = NULL;
	iommu_device_unregister(&mock);
	iommu_device_sysfs_remove(&mock);
}

/* The device comes last: whoever serves it has to be there. */
static int iommu_suite_init(struct kunit_suite *suite)
{
	int ret = iommu_device_sysfs_add(&mock, NULL, NULL, NAME);

	if (ret)
		return ret;
	ret = iommu_device_register(&mock, &mock_ops, NULL);
	if (ret)
		goto no_iommu;
	device = platform_device_alloc(NAME, PLATFORM_DEVID_NONE);
	ret = device ? platform_device_add(device) : -ENOMEM;
	if (ret)
		goto no_device;
	if (iommu_get_domain_for_dev(&device->dev))
		return 0;
	remove_all();
	return -ENODEV;

no_device:
	if (device)
		platform_device_put(device);
	device = NULL;
	iommu_device_unregister(&mock);
no_iommu:
	iommu_device_sysfs_remove(&mock);
	return ret;
}

/* The core holds this module for as long as the device is there. */
static void iommu_suite_exit(struct kunit_suite *suite)
{
	if (device)
		remove_all();
}

static struct kunit_case iommu_cases[] = {
	KUNIT_CASE(masks),
	KUNIT_CASE(single),
	KUNIT_CASE(list),
	KUNIT_CASE(coherent),
	{ }
};

static struct kunit_suite iommu_suite = {
	.name = NAME,
	.suite_init = iommu_suite_init,
	.suite_exit = iommu_suite_exit,
	.test_cases = iommu_cases,
};

kunit_test_suite(iommu_suite);
#else
static int __init xdt_iommu_start(void)
{
	return -ENODEV;
}
module_init(xdt_iommu_start);
#endif

MODULE_DESCRIPTION("DMA tests: a device that an IOMMU of the kernel's serves");
MODULE_LICENSE("GPL");
