// SPDX-License-Identifier: GPL-2.0
/*
 * The witness and the fixture of the DMA test modules. Each "edu" device of
 * QEMU moves bytes between the bus and a 4 KiB buffer of its own; a coherent
 * page that lies wherever the page allocator put it is the window through which
 * a test sees that buffer. A look at memory is two transfers.
 *
 * On ARM the driver under test has no part in it: the window is a page whose place
 * in the machine a grant has told, so that the witness is there also where the
 * driver refuses, or gives wrong addresses. Where an IOMMU that the kernel drives
 * decides on addresses, the window is said to be its work; where it stops all else, and
 * no device is to do anything, there need not be a witness.
 *
 * A transfer takes edu 100 ms, so several devices work side by side where the
 * machine has them: the first one is the device under test, the others repeat
 * its bus addresses, which is right as long as no IOMMU stands between.
 */
#include <linux/delay.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include "xdt.h"
#include "xdt_grant.h"

#define EDU_ID		0x00
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_DMA_START	BIT(0)
#define EDU_DMA_TO_RAM	BIT(1)
#define EDU_BUFFER	0x40000

#define XDT_MAX_ENGINES	16
#define XDT_TIMEOUT	(10 * HZ)

/* Of how many transfers user space may ask at a time. */
#define XDT_MAX_ASKED	1024

/* How many blocks of 4 MiB are tried in search of neighbours. */
#define XDT_TRIES	256

/*
 * What of the available memory is tried in search of some with a wanted property. What the
 * balloon has scattered is mostly given out first.
 */
#define XDT_SEARCH(available)	((available) / 4 * 3)

/**
 * struct xdt_engine - one edu device
 * @pdev: its PCI device
 * @regs: its registers
 * @window: the page through which its buffer is seen
 * @window_bus: bus address of @window
 */
struct xdt_engine {
	struct pci_dev *pdev;
	void __iomem *regs;
	void *window;
	dma_addr_t window_bus;
};

/**
 * struct xdt_block - pages that belong to a test case
 * @list: in &struct xdt's @blocks
 * @addr: where they are
 * @order: how many
 */
struct xdt_block {
	struct list_head list;
	void *addr;
	unsigned int order;
};

/**
 * struct xdt_mapping - a mapping that belongs to a test case
 * @list: in &struct xdt's @maps, later @was
 * @bus: its bus address
 * @size: bytes
 * @dir: direction
 */
struct xdt_mapping {
	struct list_head list;
	dma_addr_t bus;
	size_t size;
	enum dma_data_direction dir;
};

/**
 * struct xdt_sg - a scatterlist that belongs to a test case
 * @list: in &struct xdt's @tables
 * @table: the scatterlist
 * @dir: direction
 * @mapped: whether it is mapped
 */
struct xdt_sg {
	struct list_head list;
	struct sg_table table;
	enum dma_data_direction dir;
	bool mapped;
};

static struct xdt_engine engines[XDT_MAX_ENGINES];
static unsigned int nr_engines;
static DEFINE_MUTEX(engines_lock);

/* The bus */

static void xdt_start(struct xdt_engine *e, dma_addr_t bus, size_t len,
		      bool to_ram)
{
	writeq(to_ram ? EDU_BUFFER : bus, e->regs + EDU_DMA_SRC);
	writeq(to_ram ? bus : EDU_BUFFER, e->regs + EDU_DMA_DST);
	writeq(len, e->regs + EDU_DMA_COUNT);
	writeq(EDU_DMA_START | (to_ram ? EDU_DMA_TO_RAM : 0),
	       e->regs + EDU_DMA_CMD);
}

static int xdt_wait(struct xdt_engine *e)
{
	unsigned long end = jiffies + XDT_TIMEOUT;

	while (readq(e->regs + EDU_DMA_CMD) & EDU_DMA_START) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		usleep_range(500, 1000);
	}
	return 0;
}

static int xdt_batch(struct xdt_engine *first, const struct xdt_op *ops,
		     unsigned int nr)
{
	unsigned int phase, i;
	int ret = 0, err;

	for (i = 0; i < nr; i++) {
		if (!ops[i].len || ops[i].len > XDT_XFER_MAX)
			return -EINVAL;
		if (ops[i].poke)
			memcpy(first[i].window, ops[i].buf, ops[i].len);
	}
	for (phase = 0; phase < 2; phase++) {
		for (i = 0; i < nr; i++) {
			struct xdt_engine *e = &first[i];
			bool memory = (phase == 1) == ops[i].poke;

			xdt_start(e, memory ? ops[i].bus : e->window_bus,
				  ops[i].len, phase == 1);
		}
		for (i = 0; i < nr; i++) {
			err = xdt_wait(&first[i]);
			if (err)
				ret = err;
		}
		if (ret)
			return ret;
	}
	for (i = 0; i < nr; i++)
		if (!ops[i].poke)
			memcpy(ops[i].buf, first[i].window, ops[i].len);
	return 0;
}

/**
 * xdt_engines() - how many edu devices there are
 *
 * Return: the number.
 */
unsigned int xdt_engines(void)
{
	return nr_engines;
}
EXPORT_SYMBOL_GPL(xdt_engines);

/**
 * xdt_engine() - PCI device of an engine
 * @i: which, less than xdt_engines()
 *
 * Return: the device.
 */
struct pci_dev *xdt_engine(unsigned int i)
{
	return engines[i].pdev;
}
EXPORT_SYMBOL_GPL(xdt_engine);

/**
 * xdt_engine_peek() - let one particular engine read from the bus
 * @i: which, less than xdt_engines()
 * @bus: bus address
 * @buf: where the bytes go
 * @len: bytes, XDT_XFER_MAX at most
 *
 * Context: may sleep.
 * Return: 0, -EINVAL for a wrong @len, -ETIMEDOUT for a device that hangs.
 */
int xdt_engine_peek(unsigned int i, dma_addr_t bus, void *buf, size_t len)
{
	struct xdt_op op = { .bus = bus, .buf = buf, .len = len };
	int ret;

	mutex_lock(&engines_lock);
	ret = xdt_batch(&engines[i], &op, 1);
	mutex_unlock(&engines_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(xdt_engine_peek);

/**
 * xdt_run() - read and write memory through the bus
 * @ops: what to do; neighbours may be done at the same time
 * @nr: number of @ops
 *
 * Context: may sleep.
 * Return: 0, -EINVAL for a wrong length, -ETIMEDOUT for a device that hangs.
 */
int xdt_run(const struct xdt_op *ops, unsigned int nr)
{
	unsigned int width, n;
	int ret = 0;

	mutex_lock(&engines_lock);
	width = device_iommu_mapped(&engines[0].pdev->dev) ? 1 : nr_engines;
	for (; nr && !ret; ops += n, nr -= n) {
		n = min(nr, width);
		ret = xdt_batch(engines, ops, n);
	}
	mutex_unlock(&engines_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(xdt_run);

/**
 * xdt_find_in_table() - where a place of a mapped table is on the bus
 * @table: the table
 * @at: the place, in bytes
 * @len: bytes from there on, an int's worth at most
 * @bus: where the bus address goes
 *
 * Return: how many of the bytes are in one piece, or -EINVAL when there are none.
 */
int xdt_find_in_table(const struct sg_table *table, u64 at, size_t len,
		      dma_addr_t *bus)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(table, sg, i) {
		if (at < sg_dma_len(sg)) {
			*bus = sg_dma_address(sg) + at;
			return min_t(size_t, len, sg_dma_len(sg) - at);
		}
		at -= sg_dma_len(sg);
	}
	return -EINVAL;
}
EXPORT_SYMBOL_GPL(xdt_find_in_table);

/* The pieces in which the bytes of a transfer lie on the bus; how many, or an error. */
static int xdt_split(struct xdt_op *ops, unsigned int room,
		     const struct xdt_mmap_op *asked, u8 *buf,
		     int (*find)(const void *memory, u64 at, size_t len,
				 dma_addr_t *bus),
		     const void *memory)
{
	unsigned int nr = 0, done;
	int len;

	if (!asked->len || asked->len > XDT_XFER_MAX)
		return -EINVAL;
	for (done = 0; done < asked->len; done += len) {
		if (nr == room)
			return -EINVAL;
		len = find(memory, asked->at + done, asked->len - done,
			   &ops[nr].bus);
		if (len <= 0)
			return len ?: -EINVAL;
		ops[nr].buf = buf + done;
		ops[nr].len = len;
		ops[nr].poke = asked->poke;
		nr++;
	}
	return nr;
}

/* Returns how many, or an error; the caller frees them. */
static int xdt_get_asked(const struct xdt_mmap_run __user *from,
			 struct xdt_mmap_op **asked)
{
	struct xdt_mmap_run request;

	if (copy_from_user(&request, from, sizeof(request)))
		return -EFAULT;
	if (!request.nr || request.nr > XDT_MAX_ASKED)
		return -EINVAL;
	*asked = memdup_user(u64_to_user_ptr(request.ops),
			     request.nr * sizeof(**asked));
	return PTR_ERR_OR_ZERO(*asked) ?: request.nr;
}

/**
 * xdt_run_for_user() - transfers that user space asks for
 * @from: what it asks for
 * @find: says where a place of the memory is on the bus; returns how many of its
 *	bytes are there in one piece, or an error
 * @memory: for @find
 *
 * Context: may sleep; no two pieces of memory that a transfer lies in are less than a
 * page.
 * Return: 0, -EINVAL for what is not in the memory, -EFAULT, -ENOMEM, or -ETIMEDOUT for
 * a device that hangs.
 */
int xdt_run_for_user(const struct xdt_mmap_run __user *from,
		     int (*find)(const void *memory, u64 at, size_t len,
				 dma_addr_t *bus),
		     const void *memory)
{
	struct xdt_mmap_op *asked;
	struct xdt_op *ops = NULL;
	int i, nr, nr_ops = 0;
	u8 *data = NULL;
	int ret = -ENOMEM;

	nr = xdt_get_asked(from, &asked);
	if (nr < 0)
		return nr;
	/* Pieces of pages, so none is in more than two. */
	ops = kcalloc(2 * nr, sizeof(*ops), GFP_KERNEL);
	data = kvmalloc_array(nr, XDT_XFER_MAX, GFP_KERNEL);
	if (!ops || !data)
		goto out;
	for (i = 0; i < nr; i++) {
		ret = xdt_split(ops + nr_ops, 2 * nr - nr_ops, &asked[i],
				data + i * XDT_XFER_MAX, find, memory);
		if (ret < 0)
			goto out;
		nr_ops += ret;
		ret = -EFAULT;
		if (asked[i].poke &&
		    copy_from_user(data + i * XDT_XFER_MAX,
				   u64_to_user_ptr(asked[i].data),
				   asked[i].len))
			goto out;
	}
	ret = xdt_run(ops, nr_ops);
	for (i = 0; i < nr && !ret; i++)
		if (!asked[i].poke &&
		    copy_to_user(u64_to_user_ptr(asked[i].data),
				 data + i * XDT_XFER_MAX, asked[i].len))
			ret = -EFAULT;
out:
	kvfree(data);
	kfree(ops);
	kfree(asked);
	return ret;
}
EXPORT_SYMBOL_GPL(xdt_run_for_user);

static int xdt_move(dma_addr_t bus, void *buf, size_t len, bool poke)
{
	unsigned int i, nr = DIV_ROUND_UP(len, XDT_XFER_MAX);
	struct xdt_op *ops;
	int ret;

	ops = kcalloc(nr, sizeof(*ops), GFP_KERNEL);
	if (!ops)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		size_t done = (size_t)i * XDT_XFER_MAX;

		ops[i].bus = bus + done;
		ops[i].buf = buf + done;
		ops[i].len = min_t(size_t, len - done, XDT_XFER_MAX);
		ops[i].poke = poke;
	}
	ret = xdt_run(ops, nr);
	kfree(ops);
	return ret;
}

/**
 * xdt_peek() - read memory through the bus
 * @bus: bus address
 * @buf: where the bytes go
 * @len: bytes, any number
 *
 * Context: may sleep.
 * Return: 0, -ENOMEM, or -ETIMEDOUT for a device that hangs.
 */
int xdt_peek(dma_addr_t bus, void *buf, size_t len)
{
	return xdt_move(bus, buf, len, false);
}
EXPORT_SYMBOL_GPL(xdt_peek);

/**
 * xdt_poke() - write memory through the bus
 * @bus: bus address
 * @buf: the bytes
 * @len: bytes, any number
 *
 * Context: may sleep.
 * Return: 0, -ENOMEM, or -ETIMEDOUT for a device that hangs.
 */
int xdt_poke(dma_addr_t bus, void *buf, size_t len)
{
	return xdt_move(bus, buf, len, true);
}
EXPORT_SYMBOL_GPL(xdt_poke);

/* Patterns */

/**
 * xdt_byte() - one byte of a pattern
 * @seed: which pattern
 * @i: which byte
 *
 * Return: the byte, never XDT_SECRET.
 */
u8 xdt_byte(unsigned int seed, size_t i)
{
	u8 byte = ((i * 2654435761u) >> 13) + i + seed * 37;

	return byte == XDT_SECRET ? ~XDT_SECRET & 0xff : byte;
}
EXPORT_SYMBOL_GPL(xdt_byte);

/**
 * xdt_fill() - fill memory with a pattern
 * @buf: the memory
 * @len: bytes
 * @seed: which pattern
 */
void xdt_fill(void *buf, size_t len, unsigned int seed)
{
	u8 *p = buf;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = xdt_byte(seed, i);
}
EXPORT_SYMBOL_GPL(xdt_fill);

/**
 * xdt_match() - compare memory with a pattern
 * @buf: the memory
 * @len: bytes
 * @seed: which pattern
 * @first: which byte of the pattern @buf starts with
 *
 * Return: index of the first byte that differs, @len when none does.
 */
size_t xdt_match(const void *buf, size_t len, unsigned int seed, size_t first)
{
	const u8 *p = buf;
	size_t i;

	for (i = 0; i < len && p[i] == xdt_byte(seed, first + i); i++)
		;
	return i;
}
EXPORT_SYMBOL_GPL(xdt_match);

/**
 * xdt_same() - compare memory
 * @a: the one
 * @b: the other
 * @len: bytes
 *
 * Return: index of the first byte that differs, @len when none does.
 */
size_t xdt_same(const void *a, const void *b, size_t len)
{
	const u8 *p = a, *q = b;
	size_t i;

	for (i = 0; i < len && p[i] == q[i]; i++)
		;
	return i;
}
EXPORT_SYMBOL_GPL(xdt_same);

/**
 * xdt_count() - count a byte
 * @buf: where
 * @len: bytes
 * @byte: the one that is counted
 *
 * Return: how often it is there.
 */
size_t xdt_count(const void *buf, size_t len, u8 byte)
{
	const u8 *p = buf;
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += p[i] == byte;
	return n;
}
EXPORT_SYMBOL_GPL(xdt_count);

/* Memory */

static struct xdt_block *xdt_add_block(struct kunit *test, unsigned int order)
{
	struct xdt *x = test->priv;
	struct xdt_block *block;

	block = kzalloc_obj(*block);
	if (!block)
		return NULL;
	block->addr = (void *)__get_free_pages(GFP_KERNEL | __GFP_NOWARN,
					       order);
	if (!block->addr) {
		kfree(block);
		return NULL;
	}
	block->order = order;
	list_add(&block->list, &x->blocks);
	return block;
}

static void xdt_drop_block(struct xdt_block *block)
{
	list_del(&block->list);
	free_pages((unsigned long)block->addr, block->order);
	kfree(block);
}

/**
 * xdt_pages() - allocate pages for a test case
 * @test: the test, which fails and ends when there are none
 * @order: how many
 *
 * Return: their address.
 */
void *xdt_pages(struct kunit *test, unsigned int order)
{
	struct xdt_block *block = xdt_add_block(test, order);

	KUNIT_ASSERT_NOT_NULL(test, block);
	return block->addr;
}
EXPORT_SYMBOL_GPL(xdt_pages);

/**
 * xdt_free() - free what a function here has allocated
 * @test: the test
 * @addr: what that function returned
 */
void xdt_free(struct kunit *test, void *addr)
{
	struct xdt *x = test->priv;
	struct xdt_block *block;

	list_for_each_entry(block, &x->blocks, list) {
		if (block->addr == addr) {
			xdt_drop_block(block);
			return;
		}
	}
	KUNIT_FAIL(test, "%p was not allocated here", addr);
}
EXPORT_SYMBOL_GPL(xdt_free);

/**
 * xdt_machine() - where memory is in the machine
 * @test: the test; the device's mask must reach all memory
 * @addr: the memory
 *
 * Return: the address.
 */
dma_addr_t xdt_machine(struct kunit *test, void *addr)
{
	struct device *dev = xdt_dev(test);
	dma_addr_t bus;

	bus = dma_map_single(dev, addr, 1, DMA_TO_DEVICE);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, bus));
	dma_unmap_single(dev, bus, 1, DMA_TO_DEVICE);
	return bus;
}
EXPORT_SYMBOL_GPL(xdt_machine);

/**
 * xdt_is_contiguous() - whether memory is in one piece in the machine
 * @test: the test; the device's mask must reach all memory
 * @addr: the memory
 * @size: bytes
 *
 * Return: true when it is.
 */
bool xdt_is_contiguous(struct kunit *test, void *addr, size_t size)
{
	void *page = (void *)((unsigned long)addr & PAGE_MASK);
	dma_addr_t next = xdt_machine(test, page);

	for (; page < addr + size; page += PAGE_SIZE, next += PAGE_SIZE)
		if (xdt_machine(test, page) != next)
			return false;
	return true;
}
EXPORT_SYMBOL_GPL(xdt_is_contiguous);

/**
 * xdt_is_high() - whether all of some memory is above 4 GiB in the machine
 * @test: the test; the device's mask must reach all memory
 * @addr: the memory
 * @size: bytes
 *
 * Return: true when it is.
 */
bool xdt_is_high(struct kunit *test, void *addr, size_t size)
{
	void *page = (void *)((unsigned long)addr & PAGE_MASK);

	for (; page < addr + size; page += PAGE_SIZE)
		if (xdt_machine(test, page) <= DMA_BIT_MASK(32))
			return false;
	return true;
}
EXPORT_SYMBOL_GPL(xdt_is_high);

enum xdt_want { XDT_HIGH, XDT_SCATTERED, XDT_GATHERED };

static bool xdt_suits(struct kunit *test, void *addr, size_t size,
		      enum xdt_want want)
{
	switch (want) {
	case XDT_SCATTERED:
		if (xdt_is_contiguous(test, addr, size))
			return false;
		break;
	case XDT_GATHERED:
		if (!xdt_is_contiguous(test, addr, size))
			return false;
		break;
	case XDT_HIGH:
		break;
	}
	return xdt_is_high(test, addr, size);
}

/*
 * Looks for 2^@order pages in blocks of 2^@whole, and keeps the one block that
 * has them.
 */
static void *xdt_search(struct kunit *test, unsigned int order,
			unsigned int whole, enum xdt_want want)
{
	size_t size = PAGE_SIZE << order, at;
	struct xdt_block *block, *next;
	void *found = NULL;
	LIST_HEAD(others);
	long left = XDT_SEARCH(si_mem_available());

	xdt_mask(test, 64);
	for (; left > 0 && !found; left -= 1L << whole) {
		block = xdt_add_block(test, whole);
		if (!block)
			break;
		for (at = 0; at < PAGE_SIZE << whole && !found; at += size)
			if (xdt_suits(test, block->addr + at, size, want))
				found = block->addr + at;
		if (!found)
			list_move(&block->list, &others);
	}
	list_for_each_entry_safe(block, next, &others, list)
		xdt_drop_block(block);
	return found;
}

/**
 * xdt_high() - allocate pages above 4 GiB in the machine
 * @test: the test, which is skipped when there are none
 * @order: how many
 *
 * Context: leaves the device with a 64-bit mask.
 * Return: their address.
 */
void *xdt_high(struct kunit *test, unsigned int order)
{
	void *addr = xdt_search(test, order, order, XDT_HIGH);

	if (!addr)
		kunit_skip(test, "no memory of order %u above 4 GiB", order);
	return addr;
}
EXPORT_SYMBOL_GPL(xdt_high);

/**
 * xdt_scattered() - allocate high pages that are not in one piece
 * @test: the test, which is skipped when there are none
 * @order: how many
 *
 * Context: leaves the device with a 64-bit mask. Not for xdt_free().
 * Return: their address; adjacent for the CPU, not so in the machine.
 */
void *xdt_scattered(struct kunit *test, unsigned int order)
{
	unsigned int whole = max(order, get_order(SZ_4M));
	void *addr = xdt_search(test, order, whole, XDT_SCATTERED);

	if (!addr)
		kunit_skip(test, "all memory of order %u is contiguous", order);
	return addr;
}
EXPORT_SYMBOL_GPL(xdt_scattered);

/**
 * xdt_gathered() - allocate high pages that are in one piece
 * @test: the test, which is skipped when there are none
 * @order: how many
 *
 * Context: leaves the device with a 64-bit mask.
 * Return: their address; adjacent for the CPU and in the machine.
 */
void *xdt_gathered(struct kunit *test, unsigned int order)
{
	void *addr = xdt_search(test, order, order, XDT_GATHERED);

	if (!addr)
		kunit_skip(test, "no memory of order %u is contiguous", order);
	return addr;
}
EXPORT_SYMBOL_GPL(xdt_gathered);

static int xdt_by_addr(const void *a, const void *b)
{
	const struct xdt_block *p = *(const struct xdt_block **)a;
	const struct xdt_block *q = *(const struct xdt_block **)b;

	return p->addr < q->addr ? -1 : p->addr > q->addr;
}

/**
 * xdt_large() - memory larger than the page allocator's largest order
 * @test: the test, which is skipped when there is none
 * @size: bytes
 *
 * Blocks of 4 MiB are taken until enough of them happen to be neighbours.
 *
 * Return: address of the memory, adjacent for the CPU.
 */
void *xdt_large(struct kunit *test, size_t size)
{
	unsigned int order = get_order(SZ_4M);
	unsigned int want = DIV_ROUND_UP(size, SZ_4M);
	unsigned int n, i, run = 1, start = 0;
	struct xdt_block **tried;
	void *addr = NULL;

	tried = kunit_kcalloc(test, XDT_TRIES, sizeof(*tried), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tried);

	for (n = 0; n < XDT_TRIES; n++) {
		tried[n] = xdt_add_block(test, order);
		if (!tried[n])
			break;
	}
	sort(tried, n, sizeof(*tried), xdt_by_addr, NULL);
	for (i = 0; i < n && run < want; i++) {
		bool next = i && tried[i]->addr == tried[i - 1]->addr + SZ_4M;

		run = next ? run + 1 : 1;
		start = i + 1 - run;
	}
	if (n && run >= want)
		addr = tried[start]->addr;
	for (i = 0; i < n; i++)
		if (!addr || i < start || i >= start + want)
			xdt_drop_block(tried[i]);
	if (!addr)
		kunit_skip(test, "no %zu bytes in one piece", size);
	return addr;
}
EXPORT_SYMBOL_GPL(xdt_large);

/* Mappings */

/**
 * xdt_mask() - set the device's streaming mask
 * @test: the test, which fails and ends when the mask is refused
 * @bits: width
 */
void xdt_mask(struct kunit *test, unsigned int bits)
{
	KUNIT_ASSERT_EQ_MSG(test, 0, dma_set_mask(xdt_dev(test),
						  DMA_BIT_MASK(bits)),
			    "a mask of %u bits is refused", bits);
}
EXPORT_SYMBOL_GPL(xdt_mask);

/**
 * xdt_try_map() - map memory, or not
 * @test: the test
 * @addr: the memory
 * @size: bytes
 * @dir: direction
 * @attrs: DMA_ATTR_*
 *
 * Return: the bus address, or DMA_MAPPING_ERROR.
 */
dma_addr_t xdt_try_map(struct kunit *test, void *addr, size_t size,
		       enum dma_data_direction dir, unsigned long attrs)
{
	struct xdt *x = test->priv;
	struct xdt_mapping *map;
	dma_addr_t bus;

	map = kzalloc_obj(*map);
	KUNIT_ASSERT_NOT_NULL(test, map);
	bus = dma_map_single_attrs(x->dev, addr, size, dir, attrs);
	if (dma_mapping_error(x->dev, bus)) {
		kfree(map);
		return DMA_MAPPING_ERROR;
	}
	map->bus = bus;
	map->size = size;
	map->dir = dir;
	list_add(&map->list, &x->maps);
	return bus;
}
EXPORT_SYMBOL_GPL(xdt_try_map);

/**
 * xdt_map() - map memory
 * @test: the test, which fails and ends when that can't be done
 * @addr: the memory
 * @size: bytes
 * @dir: direction
 *
 * Return: the bus address.
 */
dma_addr_t xdt_map(struct kunit *test, void *addr, size_t size,
		   enum dma_data_direction dir)
{
	struct device *dev = xdt_dev(test);
	dma_addr_t bus = xdt_try_map(test, addr, size, dir, 0);

	KUNIT_ASSERT_NE_MSG(test, bus, DMA_MAPPING_ERROR,
			    "mapping %zu bytes failed", size);
	KUNIT_ASSERT_LE_MSG(test, bus + size - 1, dma_get_mask(dev),
			    "%zu bytes mapped above the mask", size);
	return bus;
}
EXPORT_SYMBOL_GPL(xdt_map);

/**
 * xdt_bounce() - map memory that lies above the device's mask
 * @test: the test, which fails and ends when that can't be done
 * @addr: the memory, above 4 GiB in the machine
 * @size: bytes
 * @dir: direction
 *
 * Return: the bus address, which is below 4 GiB: not that of the memory.
 */
dma_addr_t xdt_bounce(struct kunit *test, void *addr, size_t size,
		      enum dma_data_direction dir)
{
	KUNIT_ASSERT_LE(test, dma_get_mask(xdt_dev(test)), DMA_BIT_MASK(32));
	return xdt_map(test, addr, size, dir);
}
EXPORT_SYMBOL_GPL(xdt_bounce);

static void xdt_unmap_one(struct xdt *x, struct xdt_mapping *map,
			  unsigned long attrs)
{
	dma_unmap_single_attrs(x->dev, map->bus, map->size, map->dir, attrs);
	list_del(&map->list);
}

/**
 * xdt_unmap_attrs() - take down a mapping
 * @test: the test
 * @bus: its bus address
 * @attrs: DMA_ATTR_*
 */
void xdt_unmap_attrs(struct kunit *test, dma_addr_t bus, unsigned long attrs)
{
	struct xdt *x = test->priv;
	struct xdt_mapping *map;

	list_for_each_entry(map, &x->maps, list) {
		if (map->bus == bus) {
			xdt_unmap_one(x, map, attrs);
			kfree(map);
			return;
		}
	}
	KUNIT_FAIL(test, "%pad was not mapped here", &bus);
}
EXPORT_SYMBOL_GPL(xdt_unmap_attrs);

/**
 * xdt_unmap() - take down a mapping
 * @test: the test
 * @bus: its bus address
 */
void xdt_unmap(struct kunit *test, dma_addr_t bus)
{
	xdt_unmap_attrs(test, bus, 0);
}
EXPORT_SYMBOL_GPL(xdt_unmap);

static void xdt_unmap_to(struct xdt *x, struct list_head *was)
{
	struct xdt_mapping *map, *next;

	list_for_each_entry_safe(map, next, &x->maps, list) {
		xdt_unmap_one(x, map, 0);
		if (was)
			list_add(&map->list, was);
		else
			kfree(map);
	}
}

/**
 * xdt_unmap_all() - take down all mappings of a test case
 * @test: the test
 */
void xdt_unmap_all(struct kunit *test)
{
	xdt_unmap_to(test->priv, NULL);
}
EXPORT_SYMBOL_GPL(xdt_unmap_all);

/**
 * xdt_poison() - leave XDT_SECRET wherever memory can be bounced to
 * @test: the test; the device's mask must not reach memory above 4 GiB
 *
 * Maps secrets until nothing is left, in smaller and smaller pieces, and takes
 * everything down. Mappings that the test has already are taken down too.
 */
void xdt_poison(struct kunit *test)
{
	struct xdt *x = test->priv;
	u64 mask = dma_get_mask(x->dev);
	size_t size;
	void *secret;

	secret = xdt_high(test, get_order(SZ_256K));
	KUNIT_ASSERT_EQ(test, 0, dma_set_mask(x->dev, mask));
	memset(secret, XDT_SECRET, SZ_256K);
	for (size = SZ_256K; size >= XDT_SLOT; size /= 2)
		while (xdt_try_map(test, secret, size, DMA_TO_DEVICE,
				   DMA_ATTR_NO_WARN) != DMA_MAPPING_ERROR)
			cond_resched();
	xdt_unmap_to(x, &x->was);
	xdt_free(test, secret);
}
EXPORT_SYMBOL_GPL(xdt_poison);

/**
 * xdt_was_poisoned() - whether a mapping lies where a secret was
 * @test: the test
 * @bus: its bus address
 * @size: its size in bytes
 *
 * Return: true when it does.
 */
bool xdt_was_poisoned(struct kunit *test, dma_addr_t bus, size_t size)
{
	struct xdt *x = test->priv;
	struct xdt_mapping *map;

	list_for_each_entry(map, &x->was, list)
		if (bus < map->bus + map->size && map->bus < bus + size)
			return true;
	return false;
}
EXPORT_SYMBOL_GPL(xdt_was_poisoned);

/* Scatterlists */

/**
 * xdt_table() - allocate a scatterlist for a test case
 * @test: the test, which fails and ends when there is no memory
 * @nents: number of entries, to be set by the caller
 *
 * Return: the scatterlist.
 */
struct sg_table *xdt_table(struct kunit *test, unsigned int nents)
{
	struct xdt *x = test->priv;
	struct xdt_sg *sg;

	sg = kunit_kzalloc(test, sizeof(*sg), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, sg);
	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&sg->table, nents, GFP_KERNEL));
	list_add(&sg->list, &x->tables);
	return &sg->table;
}
EXPORT_SYMBOL_GPL(xdt_table);

/**
 * xdt_table_from_pages() - have the kernel make a scatterlist of pages
 * @test: the test, which fails and ends when there is no memory
 * @pages: the pages
 * @nr: how many
 *
 * Return: the scatterlist, with entries as long as the device's segments may be.
 */
struct sg_table *xdt_table_from_pages(struct kunit *test, struct page **pages,
				      unsigned int nr)
{
	struct xdt *x = test->priv;
	struct xdt_sg *sg;

	sg = kunit_kzalloc(test, sizeof(*sg), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, sg);
	KUNIT_ASSERT_EQ(test, 0,
			sg_alloc_table_from_pages_segment(&sg->table, pages, nr, 0,
							  (size_t)nr << PAGE_SHIFT,
							  dma_get_max_seg_size(x->dev),
							  GFP_KERNEL));
	list_add(&sg->list, &x->tables);
	return &sg->table;
}
EXPORT_SYMBOL_GPL(xdt_table_from_pages);

/**
 * xdt_try_map_table() - map a scatterlist, or not
 * @test: the test
 * @table: from xdt_table()
 * @dir: direction
 * @attrs: DMA_ATTR_*
 *
 * Return: what dma_map_sgtable() returns.
 */
int xdt_try_map_table(struct kunit *test, struct sg_table *table,
		      enum dma_data_direction dir, unsigned long attrs)
{
	struct xdt_sg *sg = container_of(table, struct xdt_sg, table);
	int ret = dma_map_sgtable(xdt_dev(test), table, dir, attrs);

	sg->dir = dir;
	sg->mapped = !ret;
	return ret;
}
EXPORT_SYMBOL_GPL(xdt_try_map_table);

/**
 * xdt_map_table() - map a scatterlist
 * @test: the test, which fails and ends when that can't be done
 * @table: from xdt_table()
 * @dir: direction
 */
void xdt_map_table(struct kunit *test, struct sg_table *table,
		   enum dma_data_direction dir)
{
	KUNIT_ASSERT_EQ(test, 0, xdt_try_map_table(test, table, dir, 0));
}
EXPORT_SYMBOL_GPL(xdt_map_table);

/**
 * xdt_unmap_table() - take down the mapping of a scatterlist
 * @test: the test
 * @table: from xdt_table(), mapped
 */
void xdt_unmap_table(struct kunit *test, struct sg_table *table)
{
	struct xdt_sg *sg = container_of(table, struct xdt_sg, table);

	KUNIT_ASSERT_TRUE(test, sg->mapped);
	dma_unmap_sgtable(xdt_dev(test), table, sg->dir, 0);
	sg->mapped = false;
}
EXPORT_SYMBOL_GPL(xdt_unmap_table);

/**
 * xdt_check_table() - whether the segments are ones that the device can take
 * @test: the test, which fails when they are not
 * @table: from xdt_table(), mapped
 *
 * Return: bytes in all segments together.
 */
size_t xdt_check_table(struct kunit *test, struct sg_table *table)
{
	struct device *dev = xdt_dev(test);
	u64 boundary = dma_get_seg_boundary(dev);
	struct scatterlist *sg;
	size_t total = 0;
	unsigned int i;

	KUNIT_EXPECT_LE(test, table->nents, table->orig_nents);
	for_each_sgtable_dma_sg(table, sg, i) {
		u64 first = sg_dma_address(sg);
		u64 last = first + sg_dma_len(sg) - 1;

		KUNIT_EXPECT_NE(test, 0, sg_dma_len(sg));
		KUNIT_EXPECT_LE(test, last, dma_get_mask(dev));
		KUNIT_EXPECT_LE(test, sg_dma_len(sg),
				dma_get_max_seg_size(dev));
		KUNIT_EXPECT_EQ_MSG(test, first & ~boundary, last & ~boundary,
				    "segment of %u bytes at %llx",
				    sg_dma_len(sg), first);
		total += sg_dma_len(sg);
	}
	return total;
}
EXPORT_SYMBOL_GPL(xdt_check_table);

/* The fixture */

static void xdt_defaults(struct device *dev)
{
	dma_set_max_seg_size(dev, SZ_64K);
	dma_set_seg_boundary(dev, DMA_BIT_MASK(32));
	dma_set_min_align_mask(dev, 0);
}

/**
 * xdt_init() - a suite's init: gives each test case its fixture
 * @test: the test
 *
 * Return: 0, -ENODEV without an edu device, -ENOMEM, -EIO for a device that
 * may not use 64 bits.
 */
int xdt_init(struct kunit *test)
{
	struct xdt *x;

	if (!nr_engines)
		return -ENODEV;
	x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	if (!x)
		return -ENOMEM;
	x->dev = &engines[0].pdev->dev;
	INIT_LIST_HEAD(&x->blocks);
	INIT_LIST_HEAD(&x->maps);
	INIT_LIST_HEAD(&x->was);
	INIT_LIST_HEAD(&x->tables);
	test->priv = x;
	xdt_defaults(x->dev);
	return dma_set_mask_and_coherent(x->dev, DMA_BIT_MASK(64));
}
EXPORT_SYMBOL_GPL(xdt_init);

/**
 * xdt_exit() - a suite's exit: undoes what a test case has left
 * @test: the test
 */
void xdt_exit(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_mapping *map, *next_map;
	struct xdt_block *block, *next_block;
	struct xdt_sg *sg;

	if (!x)
		return;
	list_for_each_entry(sg, &x->tables, list) {
		if (sg->mapped)
			dma_unmap_sgtable(x->dev, &sg->table, sg->dir, 0);
		sg_free_table(&sg->table);
	}
	INIT_LIST_HEAD(&x->tables);
	xdt_unmap_to(x, &x->was);
	list_for_each_entry_safe(map, next_map, &x->was, list)
		kfree(map);
	INIT_LIST_HEAD(&x->was);
	list_for_each_entry_safe(block, next_block, &x->blocks, list)
		xdt_drop_block(block);
	xdt_defaults(x->dev);
}
EXPORT_SYMBOL_GPL(xdt_exit);

/* The device */

/* Every engine moves bytes from its window to its buffer and back, all at a time. */
static int xdt_self_test(void)
{
	struct xdt_op ops[XDT_MAX_ENGINES] = { };
	unsigned int i;
	int ret;
	u8 *buf;

	buf = kcalloc(XDT_MAX_ENGINES, XDT_XFER_MAX, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	for (i = 0; i < nr_engines; i++) {
		ops[i].bus = engines[i].window_bus;
		ops[i].buf = buf + i * XDT_XFER_MAX;
		ops[i].len = XDT_XFER_MAX;
		ops[i].poke = true;
		xdt_fill(ops[i].buf, XDT_XFER_MAX, i);
	}
	ret = xdt_batch(engines, ops, nr_engines);
	memset(buf, 0, XDT_MAX_ENGINES * XDT_XFER_MAX);
	for (i = 0; i < nr_engines; i++)
		ops[i].poke = false;
	if (!ret)
		ret = xdt_batch(engines, ops, nr_engines);
	for (i = 0; i < nr_engines && !ret; i++) {
		if (xdt_match(ops[i].buf, XDT_XFER_MAX, i, 0) == XDT_XFER_MAX)
			continue;
		pci_err(engines[i].pdev, "sees no memory at %pad: start QEMU with -device edu,dma_mask=0xffffffffffffffff\n",
			&engines[i].window_bus);
		ret = -EIO;
	}
	kfree(buf);
	return ret;
}

static int xdt_coherent_window(struct xdt_engine *e)
{
	struct device *dev = &e->pdev->dev;
	int ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));

	if (ret)
		return ret;
	e->window = dmam_alloc_coherent(dev, PAGE_SIZE, &e->window_bus,
					GFP_KERNEL);
	return e->window ? 0 : -ENOMEM;
}

#ifdef CONFIG_X86
static bool xdt_is_blind(void)
{
	return false;
}

static int xdt_open_window(struct xdt_engine *e)
{
	return xdt_coherent_window(e);
}

static void xdt_close_window(struct pci_dev *pdev)
{
	/* The window is given back under the mask that it was taken under. */
	dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
}
#else
static char *window = "grant";
module_param(window, charp, 0444);
MODULE_PARM_DESC(window, "what tells where a window is: grant (the default), iommu (the DMA API), or none");

static bool xdt_is_blind(void)
{
	return !strcmp(window, "none");
}

static int xdt_open_window(struct xdt_engine *e)
{
	u64 bus;
	int ret;

	if (xdt_is_blind())
		return 0;
	if (!strcmp(window, "iommu"))
		return xdt_coherent_window(e);
	e->window = (void *)devm_get_free_pages(&e->pdev->dev, GFP_KERNEL, 0);
	if (!e->window)
		return -ENOMEM;
	ret = xdt_truth(virt_to_phys(e->window), &bus);
	e->window_bus = bus;
	return ret;
}

static void xdt_close_window(struct pci_dev *pdev)
{
}
#endif

static int xdt_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct xdt_engine *e = &engines[nr_engines];
	int ret;

	if (nr_engines == XDT_MAX_ENGINES)
		return -ENOSPC;
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	e->pdev = pdev;
	e->regs = pcim_iomap(pdev, 0, 0);
	if (!e->regs)
		return -ENOMEM;
	pci_set_master(pdev);
	ret = xdt_open_window(e);
	if (ret)
		return ret;
	nr_engines++;
	return 0;
}

static void xdt_remove(struct pci_dev *pdev)
{
	xdt_close_window(pdev);
}

static const struct pci_device_id xdt_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, xdt_ids);

static struct pci_driver xdt_driver = {
	.name = "xdt_edu",
	.id_table = xdt_ids,
	.probe = xdt_probe,
	.remove = xdt_remove,
	.driver.suppress_bind_attrs = true,
};

static int __init xdt_edu_init(void)
{
	int ret = pci_register_driver(&xdt_driver);

	/* Tests have no witness then, and fail. */
	if (!ret && !xdt_is_blind() && xdt_self_test())
		nr_engines = 0;
	return ret;
}
module_init(xdt_edu_init);

static void __exit xdt_edu_exit(void)
{
	pci_unregister_driver(&xdt_driver);
}
module_exit(xdt_edu_exit);

MODULE_DESCRIPTION("Witness and fixture of the DMA tests");
MODULE_LICENSE("GPL");
