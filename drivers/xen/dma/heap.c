// SPDX-License-Identifier: GPL-2.0
/*
 * A dma-buf heap of low memory: /dev/dma_heap/xen-dma32.
 *
 * Buffers that devices share are mapped once and used for long. Other heaps allocate
 * without knowing of any device, and most of a domain's memory is above 4 GiB in the machine.
 * A device of 32 address bits then has a copy of each buffer, which is copied again at each
 * synchronisation. Buffers of this heap lie below 4 GiB, so such a device uses them in place.
 *
 * The memory is what dma_alloc_pages() gives to a device of that width. The hypervisor has
 * little of it, and others need it too. So all buffers together have no more than
 * xen_dma.heap= allows.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/align.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/platform_device.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "coherent.h"
#include "compat.h"
#include "params.h"

#define HEAP_NAME	"xen-dma32"
#define HEAP_DEFAULT	SZ_64M

/**
 * struct heap_piece - memory that is in one piece
 * @list:	in &heap_buffer.pieces
 * @page:	first page
 * @bus:	address for the heap's device
 * @size:	bytes
 */
struct heap_piece {
	struct list_head list;
	struct page *page;
	dma_addr_t bus;
	size_t size;
};

/**
 * struct heap_buffer - what a dma-buf of the heap consists of
 * @lock:	protects @users, and each user's direction
 * @users:	&struct heap_user: devices that are attached
 * @pieces:	&struct heap_piece
 * @nr:		how many pieces there are
 * @size:	bytes
 */
struct heap_buffer {
	/* Protects @users, and each user's direction. */
	struct mutex lock;
	struct list_head users;
	struct list_head pieces;
	unsigned int nr;
	size_t size;
};

/**
 * struct heap_user - a device that is attached to a buffer
 * @list:	in &heap_buffer.users
 * @dev:	the device
 * @table:	the buffer's pieces, at its own bus addresses
 * @dir:	what it does with them, while it has mapped them; else DMA_NONE
 */
struct heap_user {
	struct list_head list;
	struct device *dev;
	struct sg_table table;
	enum dma_data_direction dir;
};

/* How large pieces are. Once a size can't be had, a buffer goes on with smaller ones. */
static const size_t piece_sizes[] = { SZ_1M, SZ_256K, SZ_64K, SZ_16K, PAGE_SIZE };

static struct platform_device *heap_device;
static unsigned long heap_max = ULONG_MAX;

static DEFINE_MUTEX(used_lock);
static unsigned long heap_used;

XEN_SIZE_PARAM(heap, 0, SZ_2G, heap_max);

static unsigned long heap_limit(void)
{
	unsigned long max = READ_ONCE(heap_max);

	return max == ULONG_MAX ? HEAP_DEFAULT : max;
}

static int make_table(struct sg_table *table, const struct heap_buffer *buffer)
{
	int rc = sg_alloc_table(table, buffer->nr, GFP_KERNEL);
	struct scatterlist *sg = table->sgl;
	struct heap_piece *piece;

	if (rc)
		return rc;
	list_for_each_entry(piece, &buffer->pieces, list) {
		sg_set_page(sg, piece->page, piece->size, 0);
		sg = sg_next(sg);
	}

	return 0;
}

static int heap_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attachment)
{
	struct heap_buffer *buffer = dmabuf->priv;
	struct heap_user *user = kzalloc(sizeof(*user), GFP_KERNEL);
	int rc;

	if (!user)
		return -ENOMEM;
	rc = make_table(&user->table, buffer);
	if (rc) {
		kfree(user);
		return rc;
	}
	user->dev = attachment->dev;
	user->dir = DMA_NONE;
	attachment->priv = user;
	mutex_lock(&buffer->lock);
	list_add(&user->list, &buffer->users);
	mutex_unlock(&buffer->lock);

	return 0;
}

static void heap_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attachment)
{
	struct heap_buffer *buffer = dmabuf->priv;
	struct heap_user *user = attachment->priv;

	mutex_lock(&buffer->lock);
	list_del(&user->list);
	mutex_unlock(&buffer->lock);
	sg_free_table(&user->table);
	kfree(user);
}

static struct sg_table *heap_map(struct dma_buf_attachment *attachment,
				 enum dma_data_direction dir)
{
	struct heap_buffer *buffer = attachment->dmabuf->priv;
	struct heap_user *user = attachment->priv;
	int rc;

	mutex_lock(&buffer->lock);
	rc = user->dir == DMA_NONE ? dma_map_sgtable(user->dev, &user->table, dir, 0) : -EBUSY;
	if (!rc)
		user->dir = dir;
	mutex_unlock(&buffer->lock);

	return rc ? ERR_PTR(rc) : &user->table;
}

static void heap_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
		       enum dma_data_direction dir)
{
	struct heap_buffer *buffer = attachment->dmabuf->priv;
	struct heap_user *user = attachment->priv;

	mutex_lock(&buffer->lock);
	user->dir = DMA_NONE;
	dma_unmap_sgtable(user->dev, table, dir, 0);
	mutex_unlock(&buffer->lock);
}

/* What has to be copied all the same: a device may be narrower, or forced to bounce. */
static void sync_users(struct heap_buffer *buffer,
		       void (*sync)(struct device *dev, struct sg_table *table,
				    enum dma_data_direction dir))
{
	struct heap_user *user;

	mutex_lock(&buffer->lock);
	list_for_each_entry(user, &buffer->users, list)
		if (user->dir != DMA_NONE)
			sync(user->dev, &user->table, user->dir);
	mutex_unlock(&buffer->lock);
}

static int heap_begin_access(struct dma_buf *dmabuf, enum dma_data_direction unused)
{
	sync_users(dmabuf->priv, dma_sync_sgtable_for_cpu);

	return 0;
}

static int heap_end_access(struct dma_buf *dmabuf, enum dma_data_direction unused)
{
	sync_users(dmabuf->priv, dma_sync_sgtable_for_device);

	return 0;
}

/* The caller has seen to it that what is mapped lies within the buffer. */
static int heap_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct heap_buffer *buffer = dmabuf->priv;
	unsigned long at = vma->vm_start, skip = vma->vm_pgoff << PAGE_SHIFT;
	struct heap_piece *piece;

	/* A private copy would be of no use to a device. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	list_for_each_entry(piece, &buffer->pieces, list) {
		unsigned long size;
		int rc;

		if (skip >= piece->size) {
			skip -= piece->size;
			continue;
		}
		if (at == vma->vm_end)
			break;
		size = min(piece->size - skip, vma->vm_end - at);
		rc = remap_pfn_range(vma, at, page_to_pfn(piece->page) + PFN_DOWN(skip), size,
				     vma->vm_page_prot);
		if (rc)
			return rc;
		at += size;
		skip = 0;
	}

	return 0;
}

static int heap_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct heap_buffer *buffer = dmabuf->priv;
	unsigned long nr = PFN_DOWN(buffer->size), made = 0, i;
	struct page **pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL);
	struct heap_piece *piece;
	void *vaddr;

	if (!pages)
		return -ENOMEM;
	list_for_each_entry(piece, &buffer->pieces, list)
		for (i = 0; i < PFN_DOWN(piece->size); i++)
			pages[made++] = piece->page + i;
	vaddr = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	if (!vaddr)
		return -ENOMEM;
	iosys_map_set_vaddr(map, vaddr);

	return 0;
}

static void heap_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	vunmap(map->vaddr);
	iosys_map_clear(map);
}

static void free_pieces(struct heap_buffer *buffer)
{
	struct heap_piece *piece, *next;

	list_for_each_entry_safe(piece, next, &buffer->pieces, list) {
		xen_coherent_free_pages(&heap_device->dev, piece->size, piece->page, piece->bus,
					DMA_BIDIRECTIONAL);
		kfree(piece);
		cond_resched();
	}
}

/* Adds a piece, which is cleared. Where a smaller one would do, nothing is said. */
static int add_piece(struct heap_buffer *buffer, size_t size)
{
	gfp_t gfp = size > PAGE_SIZE ? __GFP_NORETRY | __GFP_NOWARN : 0;
	struct heap_piece *piece = kmalloc(sizeof(*piece), GFP_KERNEL);

	if (!piece)
		return -ENOMEM;
	piece->size = size;
	piece->page = xen_coherent_alloc_exact(&heap_device->dev, size, &piece->bus,
					       GFP_KERNEL | gfp);
	if (!piece->page) {
		kfree(piece);
		return -ENOMEM;
	}
	list_add_tail(&piece->list, &buffer->pieces);
	buffer->nr++;

	return 0;
}

static int add_pieces(struct heap_buffer *buffer)
{
	size_t left = buffer->size;
	unsigned int i = 0;

	while (left) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (piece_sizes[i] <= left && !add_piece(buffer, piece_sizes[i]))
			left -= piece_sizes[i];
		else if (++i == ARRAY_SIZE(piece_sizes))
			return -ENOMEM;
		cond_resched();
	}

	return 0;
}

/* Returns whether the heap may have so much more. */
static bool account(size_t size)
{
	unsigned long limit = heap_limit();
	bool fits;

	mutex_lock(&used_lock);
	fits = heap_used <= limit && size <= limit - heap_used;
	if (fits)
		heap_used += size;
	mutex_unlock(&used_lock);
	if (!fits)
		pr_warn_ratelimited("no buffer of %zu bytes in the heap of low memory: xen_dma.heap= allows %lu for all\n",
				    size, limit);

	return fits;
}

static void unaccount(size_t size)
{
	mutex_lock(&used_lock);
	heap_used -= size;
	mutex_unlock(&used_lock);
}

static void free_buffer(struct heap_buffer *buffer)
{
	free_pieces(buffer);
	unaccount(buffer->size);
	mutex_destroy(&buffer->lock);
	kfree(buffer);
}

static struct heap_buffer *make_buffer(size_t size)
{
	struct heap_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);
	int rc;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	if (!account(size)) {
		kfree(buffer);
		return ERR_PTR(-ENOMEM);
	}
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->users);
	INIT_LIST_HEAD(&buffer->pieces);
	buffer->size = size;
	rc = add_pieces(buffer);
	if (rc) {
		free_buffer(buffer);
		return ERR_PTR(rc);
	}

	return buffer;
}

static void heap_release(struct dma_buf *dmabuf)
{
	free_buffer(dmabuf->priv);
}

static const struct dma_buf_ops buffer_ops = {
	.attach = heap_attach,
	.detach = heap_detach,
	.map_dma_buf = heap_map,
	.unmap_dma_buf = heap_unmap,
	.begin_cpu_access = heap_begin_access,
	.end_cpu_access = heap_end_access,
	.mmap = heap_mmap,
	.vmap = heap_vmap,
	.vunmap = heap_vunmap,
	.release = heap_release,
};

static struct dma_buf *heap_allocate(struct dma_heap *heap, unsigned long len,
				     XEN_HEAP_FD_FLAGS fd_flags, XEN_HEAP_FLAGS heap_flags)
{
	struct heap_buffer *buffer = make_buffer(PAGE_ALIGN(len));
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	if (IS_ERR(buffer))
		return ERR_CAST(buffer);
	info.exp_name = HEAP_NAME;
	info.ops = &buffer_ops;
	info.size = buffer->size;
	info.flags = fd_flags;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		free_buffer(buffer);

	return dmabuf;
}

static const struct dma_heap_ops heap_ops = {
	.allocate = heap_allocate,
};

/* Where all memory is low anyhow, and in a domain without this driver, nobody needs it. */
static int __init xen_heap_init(void)
{
	struct dma_heap_export_info info = {
		.name = HEAP_NAME,
		.ops = &heap_ops,
	};
	struct dma_heap *heap;

	if (!xen_pv_domain() || !heap_limit() || xen_required_dma_mask() <= DMA_BIT_MASK(32))
		return 0;

	/* It has 32 address bits, as platform devices have. */
	heap_device = platform_device_register_simple("xen-dma-heap", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(heap_device))
		return PTR_ERR(heap_device);
	if (get_dma_ops(&heap_device->dev) != &xen_swiotlb_dma_ops) {
		platform_device_unregister(heap_device);
		return 0;
	}
	heap = dma_heap_add(&info);
	if (!IS_ERR(heap))
		return 0;
	platform_device_unregister(heap_device);
	return PTR_ERR(heap);
}
device_initcall(xen_heap_init);
