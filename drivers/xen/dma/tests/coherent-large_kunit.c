// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of memory that is larger than what the page allocator has in one
 * piece, of memory without a mapping, and of what user space maps or refers to.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/irqflags.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include <asm/xen/page.h>

#include "../params.h"
#include "../region-release.h"
#include "../regions.h"
#include "coherent-fixture.h"

/* More than the page allocator has in one piece. */

/* With nothing kept, freeing leaves all to the work. @cpu: where it was before. */
static void xdc_large_not_kept(struct kunit *test, size_t size, void *cpu)
{
	struct xdt *x = test->priv;
	struct xdc_look was;
	unsigned long flags;
	struct xdc_mem m;

	WRITE_ONCE(xen_coherent_cache, 0);
	xdc_look(&was);
	xdc_take(test, x->dev, &m, size, GFP_KERNEL, "again");
	local_irq_save(flags);
	xdc_put(&m);
	local_irq_restore(flags);
	xen_coherent_flush_work();
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), 0);
	xdc_did(test, &was, 1, 0, 1, "not kept");
	KUNIT_EXPECT_EQ(test, was.usage.used, xdc_used);
	if (is_vmalloc_addr(cpu))
		KUNIT_EXPECT_NULL(test, find_vm_area(cpu));
}

static void xdc_large(struct kunit *test)
{
	const size_t size = XDC_LARGE / 2 + PAGE_SIZE + 1;
	const unsigned long pages = PHYS_PFN(XDC_LARGE);
	struct xdt *x = test->priv;
	struct xdc_look was;
	unsigned long flags;
	struct xdc_mem m;
	void *cpu;

	/* The atomic caller can't have a new one. */
	local_irq_save(flags);
	xdc_get(x->dev, &m, size, GFP_ATOMIC, 0);
	local_irq_restore(flags);
	KUNIT_EXPECT_NULL(test, m.cpu);

	xdc_look(&was);
	if (!xdc_take(test, x->dev, &m, size, GFP_KERNEL, "large"))
		return;
	xdc_did(test, &was, 0, 1, 0, "large");
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	cpu = m.cpu;

	local_irq_save(flags);
	xdc_put(&m);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), pages);

	local_irq_save(flags);
	xdc_get(x->dev, &m, XDC_LARGE, GFP_ATOMIC, 0);
	local_irq_restore(flags);
	if (!xdc_good(test, &m, m.cpu, "a large one that was kept"))
		return;
	xdc_did(test, &was, 1, 0, 0, "kept");
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	xdc_put(&m);

	xdc_large_not_kept(test, size, cpu);
}

/* Pages from everywhere: the page allocator has only single ones at hand. */
static void xdc_scattered(struct kunit *test)
{
	const unsigned long nr = 4 * PHYS_PFN(XDC_LARGE);
	struct xdt *x = test->priv;
	unsigned long i, jumps = 0;
	struct page **pages;
	struct xdc_mem m;
	bool got;

	pages = vcalloc(nr, sizeof(*pages));
	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < nr; i++)
		pages[i] = alloc_page(GFP_KERNEL);
	for (i = 1; i < nr; i += 2)
		if (pages[i])
			__free_page(pages[i]);

	got = xdc_get(x->dev, &m, XDC_LARGE, GFP_KERNEL,
		      DMA_ATTR_ALLOC_SINGLE_PAGES);
	for (i = 0; i < nr; i += 2)
		if (pages[i])
			__free_page(pages[i]);
	vfree(pages);

	if (!xdc_good(test, &m, got, "single pages"))
		return;
	for (i = 1; i < xdc_pages(&m); i++)
		jumps += xdc_pfn(m.cpu + i * PAGE_SIZE) !=
			 xdc_pfn(m.cpu + (i - 1) * PAGE_SIZE) + 1;
	KUNIT_EXPECT_GT(test, jumps, xdc_pages(&m) / 2);
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	xdc_put(&m);

	/* As good as any when it comes to another device, and goes back. */
	if (!xdc_take(test, x->dev, &m, XDC_LARGE, GFP_ATOMIC, "again"))
		return;
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), PHYS_PFN(XDC_LARGE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

/* What is mapped on demand can't be so here. */
static void xdc_mapped_or_not_given(struct kunit *test, size_t size)
{
	struct xdt *x = test->priv;
	unsigned long flags;
	struct xdc_mem m;

	local_irq_save(flags);
	xdc_get(x->dev, &m, size, GFP_ATOMIC, 0);
	local_irq_restore(flags);
	if (m.cpu) {
		xdc_good(test, &m, true, "mapped, or not given");
		xdc_put(&m);
	}
}

/* One size without a mapping, with one, and without again. */
static bool xdc_size_not_mapped(struct kunit *test, size_t size)
{
	const unsigned long attrs = DMA_ATTR_NO_KERNEL_MAPPING;
	unsigned int order = get_order(size);
	struct xdt *x = test->priv;
	struct xdc_look was;
	struct xdc_mem m;

	xdc_look(&was);
	if (!xdc_good(test, &m, xdc_get(x->dev, &m, size, GFP_KERNEL, attrs),
		      "not mapped"))
		return false;
	xdc_did(test, &was, 0, 1, 0, "not mapped");
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	if (order > MAX_PAGE_ORDER)
		KUNIT_EXPECT_EQ(test, page_to_pfn((struct page *)m.cpu),
				xen_machine_pfn(PHYS_PFN(m.bus)));
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), BIT(order));

	xdc_mapped_or_not_given(test, size);
	KUNIT_EXPECT_EQ(test, xen_regions_kept(), BIT(order));

	xdc_look(&was);
	if (!xdc_take(test, x->dev, &m, size, GFP_KERNEL, "mapped later"))
		return false;
	xdc_did(test, &was, 1, 0, 0, "mapped later");
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	xdc_put(&m);

	if (!xdc_good(test, &m, xdc_get(x->dev, &m, size, GFP_ATOMIC, attrs),
		      "not mapped again"))
		return false;
	xdc_did(test, &was, 1, 0, 0, "not mapped again");
	KUNIT_EXPECT_STREQ(test, xdc_list_fault(&m), "fine");
	xdc_put(&m);
	KUNIT_EXPECT_EQ(test, xdc_shrink_all(), BIT(order));
	return true;
}

/* Without a mapping there is a cookie, and whoever has it can have the rest. */
static void xdc_not_mapped(struct kunit *test)
{
	static const size_t sizes[] = {
		PAGE_SIZE, 5 * PAGE_SIZE, XDC_LARGE / 2 + PAGE_SIZE,
		XDC_LARGE * 2,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		if (!xdc_size_not_mapped(test, sizes[i]))
			return;
}

/* User space. */

static int xdc_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct xdc_mem *m = file->private_data;

	return xen_swiotlb_dma_ops.mmap(m->dev, vma, m->cpu, m->bus, m->size,
					m->attrs);
}

static const struct file_operations xdc_file_ops = {
	.mmap = xdc_file_mmap,
};

/* Maps @pages of the memory from page @first on; returns what vm_mmap() does. */
static unsigned long xdc_user_map(struct kunit *test, struct xdc_mem *m,
				  unsigned long first, unsigned long pages)
{
	unsigned long addr;
	struct file *file;

	file = anon_inode_getfile("xdc", &xdc_file_ops, m, O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	addr = vm_mmap(file, 0, PFN_PHYS(pages), PROT_READ | PROT_WRITE,
		       MAP_SHARED, PFN_PHYS(first));
	fput(file);
	return addr;
}

/* The user, who has it from page @first on at @addr, reads all pages and writes to them. */
static void xdc_user_pages(struct kunit *test, struct xdc_mem *m,
			   unsigned long addr, unsigned long first)
{
	struct xdt *x = test->priv;
	unsigned long i;

	for (i = first; i < xdc_pages(m); i++) {
		u8 __user *p = (void __user *)addr + PFN_PHYS(i - first);

		if (copy_from_user(x->scratch, p, PAGE_SIZE) ||
		    xdt_differs(x->scratch, m->key, PFN_PHYS(i),
				PAGE_SIZE) >= 0) {
			KUNIT_FAIL(test, "%zu bytes: user reads other bytes in page %lu",
				   m->size, i);
			break;
		}
		xdt_fill(x->scratch, m->key + 1, PFN_PHYS(i), PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, 0, copy_to_user(p, x->scratch,
						      PAGE_SIZE));
	}
}

static void xdc_user(struct kunit *test, size_t size, unsigned long attrs)
{
	struct xdt *x = test->priv;
	unsigned long pages = PFN_UP(size), first, addr;
	struct page *page;
	struct xdc_mem m;

	if (!xdc_good(test, &m, xdc_get(x->dev, &m, size, GFP_KERNEL, attrs),
		      "for the user"))
		return;

	for (first = 0; first < pages; first = 2 * first + 1) {
		addr = xdc_user_map(test, &m, first, pages - first);
		if (IS_ERR_VALUE(addr)) {
			KUNIT_FAIL(test, "%zu bytes from page %lu: error %ld",
				   size, first, (long)addr);
			break;
		}
		xdc_user_pages(test, &m, addr, first);
		KUNIT_EXPECT_EQ(test, -1,
				xdt_dev_differs(x->scratch,
						m.bus + PFN_PHYS(first),
						m.key + 1, PFN_PHYS(first),
						PFN_PHYS(pages - first)));
		/* Nobody can keep it when it has been freed. */
		KUNIT_EXPECT_LT(test, get_user_pages_fast(addr, 1, FOLL_WRITE,
							  &page), 1);
		vm_munmap(addr, PFN_PHYS(pages - first));
		xdt_dev_fill(m.bus, m.key, 0, PFN_PHYS(pages));
	}

	/* No page beyond the end. */
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(xdc_user_map(test, &m, 0,
							  pages + 1)));
	KUNIT_EXPECT_TRUE(test, IS_ERR_VALUE(xdc_user_map(test, &m, pages,
							  1)));
	xdc_put(&m);
}

static void xdc_mmap(struct kunit *test)
{
	struct xdt *x = test->priv;

	KUNIT_ASSERT_EQ(test, kunit_attach_mm(), 0);
	xdc_user(test, PAGE_SIZE, 0);
	xdc_user(test, 5 * PAGE_SIZE - 7, 0);
	xdc_user(test, PAGE_SIZE << MAX_PAGE_ORDER, 0);
	xdc_user(test, XDC_LARGE / 2 + PAGE_SIZE, 0);
	xdc_user(test, XDC_LARGE / 2 + PAGE_SIZE, DMA_ATTR_NO_KERNEL_MAPPING);
	xdc_user(test, 3 * PAGE_SIZE, DMA_ATTR_NO_KERNEL_MAPPING);
	x->dev->coherent_dma_mask = DMA_BIT_MASK(64);
	xdc_user(test, PAGE_SIZE, 0);
}

/* A page that somebody still has a reference to is nobody else's, and stays. */
static void xdc_referenced(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 1, 5, MAX_PAGE_ORDER,
					       MAX_PAGE_ORDER + 1 };
	struct xdt *x = test->priv;
	unsigned int o, i;

	for (o = 0; o < ARRAY_SIZE(orders); o++) {
		size_t size = PAGE_SIZE << orders[o];
		struct xdc_mem m, other[4];
		unsigned long pfn, mfn;
		struct page *page;

		if (!xdc_take(test, x->dev, &m, size, GFP_KERNEL, "shared"))
			return;
		/* Only large memory has counts of its own in each page. */
		pfn = xdc_pfn(m.cpu + (size > PAGE_SIZE << MAX_PAGE_ORDER ?
				       size / 2 : 0));
		mfn = xen_machine_mfn(pfn);
		page = pfn_to_page(pfn);
		get_page(page);
		xdc_put(&m);

		set_bit(pfn, xdc_live);
		for (i = 0; i < ARRAY_SIZE(other); i++)
			if (!xdc_take(test, x->dev, &other[i], size, GFP_KERNEL,
				      "another's"))
				break;
		while (i--)
			xdc_put(&other[i]);
		xdc_shrink_all();
		KUNIT_EXPECT_EQ_MSG(test, xen_machine_mfn(pfn), mfn,
				    "order %u", orders[o]);
		KUNIT_EXPECT_EQ_MSG(test, page_count(page), 1, "order %u",
				    orders[o]);
		clear_bit(pfn, xdc_live);
		put_page(page);
	}
}

static struct kunit_case xdc_cases[] = {
	KUNIT_CASE(xdc_large),
	KUNIT_CASE(xdc_scattered),
	KUNIT_CASE(xdc_not_mapped),
	KUNIT_CASE(xdc_mmap),
	KUNIT_CASE(xdc_referenced),
	{}
};

static struct kunit_suite xdc_suite = {
	.name = "xen-coherent-large",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdc_init,
	.exit = xdc_exit,
	.test_cases = xdc_cases,
};

kunit_test_suite(xdc_suite);

MODULE_DESCRIPTION("KUnit tests of the coherent memory of Xen's DMA driver: large memory, and user space");
MODULE_LICENSE("GPL");
