// SPDX-License-Identifier: GPL-2.0
/*
 * A character device whose memory is coherent memory below 4 GiB: mmap() gives
 * it to user space, read() shows what the device sees there and write() has
 * the device write there.
 *
 * The user program beside it compares the two views. File positions are bytes
 * of the memory.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "xdt.h"

#define MEMORY_SIZE	SZ_64K

static struct device *dma_dev;
static void *memory;
static dma_addr_t memory_bus;

static ssize_t xdt_mmap_read(struct file *file, char __user *to, size_t len,
			     loff_t *pos)
{
	ssize_t ret;
	void *buf;

	if (*pos < 0 || *pos >= MEMORY_SIZE)
		return 0;
	len = min_t(size_t, len, MEMORY_SIZE - *pos);
	buf = kmalloc(len, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	ret = xdt_peek(memory_bus + *pos, buf, len);
	if (!ret && copy_to_user(to, buf, len))
		ret = -EFAULT;
	kfree(buf);
	if (ret)
		return ret;
	*pos += len;
	return len;
}

static ssize_t xdt_mmap_write(struct file *file, const char __user *from,
			      size_t len, loff_t *pos)
{
	ssize_t ret;
	void *buf;

	if (*pos < 0 || *pos >= MEMORY_SIZE)
		return -ENOSPC;
	len = min_t(size_t, len, MEMORY_SIZE - *pos);
	buf = memdup_user(from, len);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	ret = xdt_poke(memory_bus + *pos, buf, len);
	kfree(buf);
	if (ret)
		return ret;
	*pos += len;
	return len;
}

static int xdt_mmap_mmap(struct file *file, struct vm_area_struct *vma)
{
	return dma_mmap_coherent(dma_dev, vma, memory, memory_bus,
				 MEMORY_SIZE);
}

static const struct file_operations xdt_mmap_fops = {
	.owner = THIS_MODULE,
	.read = xdt_mmap_read,
	.write = xdt_mmap_write,
	.mmap = xdt_mmap_mmap,
	.llseek = default_llseek,
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
	ret = dma_set_coherent_mask(dma_dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;
	memory = dma_alloc_coherent(dma_dev, MEMORY_SIZE, &memory_bus,
				    GFP_KERNEL);
	if (!memory)
		return -ENOMEM;
	ret = misc_register(&xdt_mmap_misc);
	if (ret)
		dma_free_coherent(dma_dev, MEMORY_SIZE, memory, memory_bus);
	return ret;
}
module_init(xdt_mmap_init);

static void __exit xdt_mmap_exit(void)
{
	misc_deregister(&xdt_mmap_misc);
	dma_free_coherent(dma_dev, MEMORY_SIZE, memory, memory_bus);
	dma_set_coherent_mask(dma_dev, DMA_BIT_MASK(64));
}
module_exit(xdt_mmap_exit);

MODULE_DESCRIPTION("DMA tests: coherent memory for user space");
MODULE_LICENSE("GPL");
