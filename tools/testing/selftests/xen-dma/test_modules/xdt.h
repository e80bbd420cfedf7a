/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the DMA test modules share: QEMU's "edu" devices as an independent
 * witness of what is on the bus, and a KUnit fixture that undoes every mapping
 * and every allocation of a test case, also of one that was aborted.
 *
 * Only the public DMA API is used. The address that a page has on the bus when
 * its device can reach all memory is taken for its machine address.
 */
#ifndef XDT_H
#define XDT_H

#include <kunit/test.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "xdt_mmap.h"

/* Older kernels do not have it. */
#ifndef kzalloc_obj
#define kzalloc_obj(obj)	kzalloc(sizeof(obj), GFP_KERNEL)
#endif

/* The longest transfer that QEMU 7.2's edu survives, and is used for. */
#define XDT_XFER_MAX	4095U

/* The granule in which a bounce buffer is handed out, in bytes. */
#define XDT_SLOT	2048U

/* What must never be seen again; no test fills its own data with it. */
#define XDT_SECRET	0xa5

/**
 * struct xdt_op - one look at, or change of, memory through the bus
 * @bus: bus address
 * @buf: copied from (@poke) or to
 * @len: bytes, XDT_XFER_MAX at most
 * @poke: true to write @buf to @bus, false to read from @bus into @buf
 */
struct xdt_op {
	dma_addr_t bus;
	void *buf;
	size_t len;
	bool poke;
};

/**
 * struct xdt - fixture of a test case, in kunit's @priv
 * @dev: the device that memory is mapped for
 * @blocks: pages that xdt_exit() frees
 * @maps: mappings that xdt_exit() takes down
 * @was: mappings that xdt_poison() has made and taken down
 * @tables: scatterlists that xdt_exit() takes down and frees
 */
struct xdt {
	struct device *dev;
	struct list_head blocks;
	struct list_head maps;
	struct list_head was;
	struct list_head tables;
};

int xdt_init(struct kunit *test);
void xdt_exit(struct kunit *test);

static inline struct device *xdt_dev(struct kunit *test)
{
	return ((struct xdt *)test->priv)->dev;
}

/* The bus */
unsigned int xdt_engines(void);
struct pci_dev *xdt_engine(unsigned int i);
int xdt_engine_peek(unsigned int i, dma_addr_t bus, void *buf, size_t len);
int xdt_run(const struct xdt_op *ops, unsigned int nr);
int xdt_find_in_table(const struct sg_table *table, u64 at, size_t len,
		      dma_addr_t *bus);
int xdt_run_for_user(const struct xdt_mmap_run __user *from,
		     int (*find)(const void *memory, u64 at, size_t len,
				 dma_addr_t *bus),
		     const void *memory);
int xdt_peek(dma_addr_t bus, void *buf, size_t len);
int xdt_poke(dma_addr_t bus, void *buf, size_t len);

/* Memory */
void *xdt_pages(struct kunit *test, unsigned int order);
void *xdt_high(struct kunit *test, unsigned int order);
void *xdt_large(struct kunit *test, size_t size);
void *xdt_scattered(struct kunit *test, unsigned int order);
void *xdt_gathered(struct kunit *test, unsigned int order);
void xdt_free(struct kunit *test, void *addr);
dma_addr_t xdt_machine(struct kunit *test, void *addr);
bool xdt_is_contiguous(struct kunit *test, void *addr, size_t size);
bool xdt_is_high(struct kunit *test, void *addr, size_t size);

/* Mappings */
void xdt_mask(struct kunit *test, unsigned int bits);
dma_addr_t xdt_try_map(struct kunit *test, void *addr, size_t size,
		       enum dma_data_direction dir, unsigned long attrs);
dma_addr_t xdt_map(struct kunit *test, void *addr, size_t size,
		   enum dma_data_direction dir);
dma_addr_t xdt_bounce(struct kunit *test, void *addr, size_t size,
		      enum dma_data_direction dir);
void xdt_unmap_attrs(struct kunit *test, dma_addr_t bus, unsigned long attrs);
void xdt_unmap(struct kunit *test, dma_addr_t bus);
void xdt_unmap_all(struct kunit *test);
void xdt_poison(struct kunit *test);
bool xdt_was_poisoned(struct kunit *test, dma_addr_t bus, size_t size);

/* Scatterlists */
struct sg_table *xdt_table(struct kunit *test, unsigned int nents);
struct sg_table *xdt_table_from_pages(struct kunit *test, struct page **pages,
				      unsigned int nr);
int xdt_try_map_table(struct kunit *test, struct sg_table *table,
		      enum dma_data_direction dir, unsigned long attrs);
void xdt_map_table(struct kunit *test, struct sg_table *table,
		   enum dma_data_direction dir);
void xdt_unmap_table(struct kunit *test, struct sg_table *table);
size_t xdt_check_table(struct kunit *test, struct sg_table *table);

/* Patterns */
u8 xdt_byte(unsigned int seed, size_t i);
void xdt_fill(void *buf, size_t len, unsigned int seed);
size_t xdt_match(const void *buf, size_t len, unsigned int seed, size_t first);
size_t xdt_same(const void *a, const void *b, size_t len);
size_t xdt_count(const void *buf, size_t len, u8 byte);

#endif /* XDT_H */
