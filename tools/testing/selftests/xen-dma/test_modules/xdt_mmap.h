/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What user space asks of the device of xdt_mmap.ko: memory in one of several
 * forms, which mmap() of the same open file then shows, and transfers of the edu
 * devices to and from it. The device of xdt_dmabuf.ko makes the same transfers to and
 * from a dma-buf that it maps.
 */
#ifndef XDT_MMAP_H
#define XDT_MMAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * enum xdt_mmap_form - how memory is allocated and given to user space
 * @XDT_MMAP_COHERENT: dma_alloc_coherent(), dma_mmap_coherent()
 * @XDT_MMAP_UNMAPPED: dma_alloc_attrs(), dma_mmap_attrs(), with
 *	DMA_ATTR_NO_KERNEL_MAPPING
 * @XDT_MMAP_SGTABLE: dma_alloc_coherent(), and the pages of dma_get_sgtable()
 * @XDT_MMAP_NONCONTIGUOUS: dma_alloc_noncontiguous(), dma_mmap_noncontiguous()
 * @XDT_MMAP_PAGES: dma_alloc_pages(), dma_mmap_pages()
 */
enum xdt_mmap_form {
	XDT_MMAP_COHERENT,
	XDT_MMAP_UNMAPPED,
	XDT_MMAP_SGTABLE,
	XDT_MMAP_NONCONTIGUOUS,
	XDT_MMAP_PAGES,
};

/**
 * struct xdt_mmap_alloc - the memory that an open file is to have
 * @size: bytes, whole pages
 * @form: &enum xdt_mmap_form
 * @pad: for the size to be the same everywhere
 */
struct xdt_mmap_alloc {
	__u64 size;
	__u32 form;
	__u32 pad;
};

/**
 * struct xdt_mmap_op - one transfer
 * @at: where in the memory, in bytes
 * @data: address of the bytes in user space: of what the device writes, or of
 *	where what it reads goes
 * @len: bytes, as many as the device can at a time
 * @poke: nonzero when the device writes
 */
struct xdt_mmap_op {
	__u64 at;
	__u64 data;
	__u32 len;
	__u32 poke;
};

/**
 * struct xdt_mmap_run - transfers
 * @ops: address of an array of &struct xdt_mmap_op
 * @nr: how many
 * @pad: for the size to be the same everywhere
 */
struct xdt_mmap_run {
	__u64 ops;
	__u32 nr;
	__u32 pad;
};

/**
 * struct xdt_dmabuf_map - a dma-buf that is mapped for a device as long as the file is open
 * @fd: the dma-buf
 * @dir: &enum dma_data_direction
 */
struct xdt_dmabuf_map {
	__s32 fd;
	__u32 dir;
};

/**
 * struct xdt_dmabuf_peek - what the kernel sees of a dma-buf that it maps for itself
 * @at: where in the buffer, in bytes
 * @data: address in user space of where the bytes go
 * @len: bytes
 * @fd: the dma-buf
 */
struct xdt_dmabuf_peek {
	__u64 at;
	__u64 data;
	__u32 len;
	__s32 fd;
};

#define XDT_MMAP_ALLOC	_IOW('x', 0, struct xdt_mmap_alloc)
#define XDT_MMAP_RUN	_IOW('x', 1, struct xdt_mmap_run)
/* Of XDT_MMAP_SGTABLE: the table's pages are the memory, or else EIO. */
#define XDT_MMAP_TABLE	_IO('x', 2)
#define XDT_DMABUF_MAP	_IOW('x', 3, struct xdt_dmabuf_map)
#define XDT_DMABUF_PEEK	_IOW('x', 4, struct xdt_dmabuf_peek)

#endif /* XDT_MMAP_H */
