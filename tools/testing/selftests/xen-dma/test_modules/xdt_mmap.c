// SPDX-License-Identifier: GPL-2.0
/*
 * A character device each open file of which can have memory that is shared with
 * a device of 32 address bits, in any form that can be given to user space.
 * mmap() shows it there, and the edu devices read and write it on demand.
 *
 * Nothing is ever synchronised here: what the user program beside it and the
 * device see of each other, they see because it is the same memory.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "xdt.h"
#include "xdt_mmap.h"

/**
 * struct memory - the memory of an open file
 * @lock: held while it is allocated
 * @form: how it was allocated
 * @size: bytes, 0 while there is none
 * @addr: where it is for the CPU, or a cookie; not of all forms
 * @bus: where it is for the device
 * @page: the first page, of XDT_MMAP_PAGES
 * @table: its pages, of XDT_MMAP_SGTABLE
 * @pieces: its pages, of XDT_MMAP_NONCONTIGUOUS
 */
struct memory {
	/* Protects the rest while it is allocated. */
	struct mutex lock;
	enum xdt_mmap_form form;
	size_t size;
	void *addr;
	dma_addr_t bus;
	struct page *page;
	struct sg_table table;
	struct sg_table *pieces;
};

static struct device *dma_dev;

static unsigned long memory_attrs(const struct memory *m)
{
	return m->form == XDT_MMAP_UNMAPPED ? DMA_ATTR_NO_KERNEL_MAPPING : 0;
}

static int memory_alloc(struct memory *m, enum xdt_mmap_form form, size_t size)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
	int ret;

	m->form = form;
	switch (form) {
	case XDT_MMAP_COHERENT:
	case XDT_MMAP_UNMAPPED:
	case XDT_MMAP_SGTABLE:
		m->addr = dma_alloc_attrs(dma_dev, size, &m->bus, gfp,
					  memory_attrs(m));
		if (!m->addr)
			return -ENOMEM;
		if (form != XDT_MMAP_SGTABLE)
			break;
		ret = dma_get_sgtable(dma_dev, &m->table, m->addr, m->bus,
				      size);
		if (ret) {
			dma_free_coherent(dma_dev, size, m->addr, m->bus);
			return ret;
		}
		break;
	case XDT_MMAP_NONCONTIGUOUS:
		m->pieces = dma_alloc_noncontiguous(dma_dev, size,
						    DMA_BIDIRECTIONAL, gfp, 0);
		if (!m->pieces)
			return -ENOMEM;
		break;
	case XDT_MMAP_PAGES:
		m->page = dma_alloc_pages(dma_dev, size, &m->bus,
					  DMA_BIDIRECTIONAL, gfp);
		if (!m->page)
			return -ENOMEM;
		break;
	default:
		return -EINVAL;
	}
	m->size = size;
	return 0;
}

static void memory_free(struct memory *m)
{
	if (!m->size)
		return;
	switch (m->form) {
	case XDT_MMAP_SGTABLE:
		sg_free_table(&m->table);
		fallthrough;
	case XDT_MMAP_COHERENT:
	case XDT_MMAP_UNMAPPED:
		dma_free_attrs(dma_dev, m->size, m->addr, m->bus,
			       memory_attrs(m));
		break;
	case XDT_MMAP_NONCONTIGUOUS:
		dma_free_noncontiguous(dma_dev, m->size, m->pieces,
				       DMA_BIDIRECTIONAL);
		break;
	case XDT_MMAP_PAGES:
		dma_free_pages(dma_dev, m->size, m->page, m->bus,
			       DMA_BIDIRECTIONAL);
		break;
	}
}

/* Where the device finds a place, and how much of it in one piece. */
static int memory_bus(const void *memory, u64 at, size_t len, dma_addr_t *bus)
{
	const struct memory *m = memory;

	if (at > m->size || len > m->size - at)
		return -EINVAL;
	if (m->form != XDT_MMAP_NONCONTIGUOUS) {
		*bus = m->bus + at;
		return len;
	}
	return xdt_find_in_table(m->pieces, at, len, bus);
}

/* Maps the pages of a table one entry after another, as an exporter would. */
static int map_table(struct vm_area_struct *vma, struct sg_table *table)
{
	unsigned long addr = vma->vm_start, skip = vma->vm_pgoff;
	struct scatterlist *sg;
	unsigned int i;
	int ret;

	for_each_sgtable_sg(table, sg, i) {
		unsigned long nr = sg->length >> PAGE_SHIFT;
		unsigned long left = (vma->vm_end - addr) >> PAGE_SHIFT;

		if (skip >= nr) {
			skip -= nr;
			continue;
		}
		nr = min(nr - skip, left);
		ret = remap_pfn_range(vma, addr, page_to_pfn(sg_page(sg)) + skip,
				      nr << PAGE_SHIFT, vma->vm_page_prot);
		if (ret)
			return ret;
		skip = 0;
		addr += nr << PAGE_SHIFT;
		if (addr == vma->vm_end)
			return 0;
	}
	return -ENXIO;
}

/* Whether what is written into each page of the table is in the memory. */
static int check_table(struct memory *m)
{
	struct sg_page_iter iter;
	size_t at = 0;
	u64 *word;

	for_each_sgtable_page(&m->table, &iter, 0) {
		if (at >= m->size)
			return -EIO;
		word = kmap_local_page(sg_page_iter_page(&iter));
		word[0] = at + 1;
		word[PAGE_SIZE / sizeof(*word) - 1] = at + 2;
		kunmap_local(word);
		at += PAGE_SIZE;
	}
	if (at != m->size)
		return -EIO;
	for (at = 0; at < m->size; at += PAGE_SIZE) {
		word = m->addr + at;
		if (word[0] != at + 1 ||
		    word[PAGE_SIZE / sizeof(*word) - 1] != at + 2)
			return -EIO;
		cond_resched();
	}
	return 0;
}

static int xdt_mmap_open(struct inode *inode, struct file *file)
{
	struct memory *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return -ENOMEM;
	mutex_init(&m->lock);
	file->private_data = m;
	return 0;
}

static int xdt_mmap_release(struct inode *inode, struct file *file)
{
	struct memory *m = file->private_data;

	memory_free(m);
	kfree(m);
	return 0;
}

static long xdt_mmap_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	struct memory *m = file->private_data;
	void __user *from = (void __user *)arg;
	struct xdt_mmap_alloc alloc;
	int ret;

	switch (cmd) {
	case XDT_MMAP_ALLOC:
		if (copy_from_user(&alloc, from, sizeof(alloc)))
			return -EFAULT;
		if (!alloc.size || !PAGE_ALIGNED(alloc.size))
			return -EINVAL;
		mutex_lock(&m->lock);
		ret = m->size ? -EBUSY :
				memory_alloc(m, alloc.form, alloc.size);
		mutex_unlock(&m->lock);
		return ret;
	case XDT_MMAP_RUN:
		return xdt_run_for_user(from, memory_bus, m);
	case XDT_MMAP_TABLE:
		if (!m->size || m->form != XDT_MMAP_SGTABLE)
			return -EINVAL;
		return check_table(m);
	}
	return -ENOTTY;
}

static int xdt_mmap_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct memory *m = file->private_data;

	if (!m->size)
		return -ENXIO;
	switch (m->form) {
	case XDT_MMAP_COHERENT:
	case XDT_MMAP_UNMAPPED:
		return dma_mmap_attrs(dma_dev, vma, m->addr, m->bus, m->size,
				      memory_attrs(m));
	case XDT_MMAP_SGTABLE:
		return map_table(vma, &m->table);
	case XDT_MMAP_NONCONTIGUOUS:
		return dma_mmap_noncontiguous(dma_dev, vma, m->size, m->pieces);
	case XDT_MMAP_PAGES:
		return dma_mmap_pages(dma_dev, vma, m->size, m->page);
	}
	return -EINVAL;
}

static const struct file_operations xdt_mmap_fops = {
	.owner = THIS_MODULE,
	.open = xdt_mmap_open,
	.release = xdt_mmap_release,
	.unlocked_ioctl = xdt_mmap_ioctl,
	.mmap = xdt_mmap_mmap,
};

static struct miscdevice xdt_mmap_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xdt_mmap",
	.fops = &xdt_mmap_fops,
	.mode = 0600,
};

static int __init xdt_mmap_init(void)
{
	int ret;

	if (!xdt_engines())
		return -ENODEV;
	dma_dev = &xdt_engine(0)->dev;
	ret = dma_set_mask_and_coherent(dma_dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;
	dma_set_max_seg_size(dma_dev, UINT_MAX);
	return misc_register(&xdt_mmap_misc);
}
module_init(xdt_mmap_init);

static void __exit xdt_mmap_exit(void)
{
	misc_deregister(&xdt_mmap_misc);
	dma_set_mask_and_coherent(dma_dev, DMA_BIT_MASK(64));
}
module_exit(xdt_mmap_exit);

MODULE_DESCRIPTION("DMA tests: memory shared with user space");
MODULE_LICENSE("GPL");
