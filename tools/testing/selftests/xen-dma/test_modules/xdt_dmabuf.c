// SPDX-License-Identifier: GPL-2.0
/*
 * A character device each open file of which can have a dma-buf that is mapped for a
 * device of 32 address bits. The edu devices read and write it on demand.
 *
 * Nothing is ever synchronised here: that is for the user program beside it, which asks
 * the exporter. In a kernel without dma-bufs the module does not load.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "xdt.h"

#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
/**
 * struct buffer - the dma-buf of an open file
 * @lock: held while it is mapped
 * @attach: what it is attached by
 * @table: its pages, NULL while it is not mapped
 * @dir: for which direction
 */
struct buffer {
	/* Protects the rest while it is mapped. */
	struct mutex lock;
	struct dma_buf_attachment *attach;
	struct sg_table *table;
	enum dma_data_direction dir;
};

static struct device *dma_dev;

static int buffer_map(struct buffer *b, int fd, enum dma_data_direction dir)
{
	struct dma_buf *buf;
	struct sg_table *table;
	int ret;

	if (!valid_dma_direction(dir) || dir == DMA_NONE)
		return -EINVAL;
	buf = dma_buf_get(fd);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	b->attach = dma_buf_attach(buf, dma_dev);
	if (IS_ERR(b->attach)) {
		ret = PTR_ERR(b->attach);
		goto put;
	}
	/* Older kernels have no functions that take this lock by themselves. */
	dma_resv_lock(buf->resv, NULL);
	table = dma_buf_map_attachment(b->attach, dir);
	dma_resv_unlock(buf->resv);
	if (IS_ERR(table)) {
		ret = PTR_ERR(table);
		goto detach;
	}
	b->dir = dir;
	b->table = table;
	return 0;

detach:
	dma_buf_detach(buf, b->attach);
put:
	dma_buf_put(buf);
	return ret;
}

static void buffer_unmap(struct buffer *b)
{
	struct dma_buf *buf;

	if (!b->table)
		return;
	buf = b->attach->dmabuf;
	dma_resv_lock(buf->resv, NULL);
	dma_buf_unmap_attachment(b->attach, b->table, b->dir);
	dma_resv_unlock(buf->resv);
	dma_buf_detach(buf, b->attach);
	dma_buf_put(buf);
}

static int buffer_peek(const struct xdt_dmabuf_peek *peek)
{
	struct dma_buf *buf = dma_buf_get(peek->fd);
	struct iosys_map map;
	int ret;

	if (IS_ERR(buf))
		return PTR_ERR(buf);
	if (peek->at > buf->size || peek->len > buf->size - peek->at) {
		ret = -EINVAL;
		goto put;
	}
	dma_resv_lock(buf->resv, NULL);
	ret = dma_buf_vmap(buf, &map);
	dma_resv_unlock(buf->resv);
	if (ret)
		goto put;
	if (copy_to_user(u64_to_user_ptr(peek->data), map.vaddr + peek->at, peek->len))
		ret = -EFAULT;
	dma_resv_lock(buf->resv, NULL);
	dma_buf_vunmap(buf, &map);
	dma_resv_unlock(buf->resv);
put:
	dma_buf_put(buf);
	return ret;
}

static int buffer_bus(const void *memory, u64 at, size_t len, dma_addr_t *bus)
{
	const struct buffer *b = memory;

	return xdt_find_in_table(b->table, at, len, bus);
}

static int xdt_dmabuf_open(struct inode *inode, struct file *file)
{
	struct buffer *b = kzalloc_obj(*b);

	if (!b)
		return -ENOMEM;
	mutex_init(&b->lock);
	file->private_data = b;
	return 0;
}

static int xdt_dmabuf_release(struct inode *inode, struct file *file)
{
	struct buffer *b = file->private_data;

	buffer_unmap(b);
	kfree(b);
	return 0;
}

static long xdt_dmabuf_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	struct buffer *b = file->private_data;
	void __user *from = (void __user *)arg;
	struct xdt_dmabuf_peek peek;
	struct xdt_dmabuf_map map;
	int ret;

	switch (cmd) {
	case XDT_DMABUF_MAP:
		if (copy_from_user(&map, from, sizeof(map)))
			return -EFAULT;
		mutex_lock(&b->lock);
		ret = b->table ? -EBUSY : buffer_map(b, map.fd, map.dir);
		mutex_unlock(&b->lock);
		return ret;
	case XDT_DMABUF_PEEK:
		if (copy_from_user(&peek, from, sizeof(peek)))
			return -EFAULT;
		return buffer_peek(&peek);
	case XDT_MMAP_RUN:
		mutex_lock(&b->lock);
		ret = b->table ? xdt_run_for_user(from, buffer_bus, b) :
				 -EINVAL;
		mutex_unlock(&b->lock);
		return ret;
	}
	return -ENOTTY;
}

static const struct file_operations xdt_dmabuf_fops = {
	.owner = THIS_MODULE,
	.open = xdt_dmabuf_open,
	.release = xdt_dmabuf_release,
	.unlocked_ioctl = xdt_dmabuf_ioctl,
};

static struct miscdevice xdt_dmabuf_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xdt_dmabuf",
	.fops = &xdt_dmabuf_fops,
	.mode = 0600,
};

static int __init xdt_dmabuf_start(void)
{
	int ret;

	if (!xdt_engines())
		return -ENODEV;
	dma_dev = &xdt_engine(0)->dev;
	ret = dma_set_mask_and_coherent(dma_dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;
	dma_set_max_seg_size(dma_dev, UINT_MAX);
	return misc_register(&xdt_dmabuf_misc);
}

static void __exit xdt_dmabuf_end(void)
{
	misc_deregister(&xdt_dmabuf_misc);
	dma_set_mask_and_coherent(dma_dev, DMA_BIT_MASK(64));
}
#else
static int __init xdt_dmabuf_start(void)
{
	return -ENODEV;
}

static void __exit xdt_dmabuf_end(void)
{
}
#endif

module_init(xdt_dmabuf_start);
module_exit(xdt_dmabuf_end);

/* MODULE_IMPORT_NS() wants a string in newer kernels, a word in older ones. */
MODULE_INFO(import_ns, "DMA_BUF");
MODULE_DESCRIPTION("DMA tests: buffers of an exporter");
MODULE_LICENSE("GPL");
