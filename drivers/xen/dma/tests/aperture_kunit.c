// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the aperture: blocks, what is in them and beside them, what a
 * device can reach, growth and release; and the fixture of all tests of the
 * driver.
 *
 * The tests look at the aperture from both sides only, through the DMA
 * operations and through the eyes of the device. Long ones are random: the log
 * has the seed, and xen_aperture_test.seed= gives it again.
 * xen_aperture_test.scale= makes them longer or shorter, in percent.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "fixture.h"

static unsigned long seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Random tests begin with this number (0: any)");

static unsigned int scale = 100;
module_param(scale, uint, 0444);
MODULE_PARM_DESC(scale, "How long the long tests are, in percent");

/* Fixture. */

#define XDT_BLOCK_ORDER	MAX_PAGE_ORDER
#define XDT_BLOCK	(PAGE_SIZE << XDT_BLOCK_ORDER)
#define XDT_BUF_BLOCKS	DIV_ROUND_UP(XDT_BUF_SIZE, XDT_BLOCK)
#define XDT_TRY_BLOCKS	(8 * XDT_BUF_BLOCKS)

static u8 *xdt_buf;
static u8 *xdt_pattern;

static int xdt_compare_addresses(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a;
	unsigned long y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/*
 * Neighbours among the page allocator's largest blocks: the longest mapping is
 * longer than any of them, and vmalloc() memory can't be mapped.
 */
static u8 *xdt_alloc_buf(void)
{
	unsigned long *block, first = 0;
	unsigned int i, nr, run = 0;

	block = kcalloc(XDT_TRY_BLOCKS, sizeof(*block), GFP_KERNEL);
	if (!block)
		return NULL;

	for (nr = 0; nr < XDT_TRY_BLOCKS; nr++) {
		block[nr] = __get_free_pages(GFP_KERNEL | __GFP_NOWARN,
					     XDT_BLOCK_ORDER);
		if (!block[nr])
			break;
	}
	sort(block, nr, sizeof(*block), xdt_compare_addresses, NULL);

	for (i = 0; i < nr && run < XDT_BUF_BLOCKS; i++) {
		if (run && block[i] == first + run * XDT_BLOCK) {
			run++;
		} else {
			first = block[i];
			run = 1;
		}
	}
	if (run < XDT_BUF_BLOCKS)
		first = 0;

	for (i = 0; i < nr; i++) {
		if (!first || block[i] < first ||
		    block[i] >= first + XDT_BUF_BLOCKS * XDT_BLOCK)
			free_pages(block[i], XDT_BLOCK_ORDER);
	}
	kfree(block);
	return (u8 *)first;
}

int xdt_suite_init(struct kunit_suite *suite)
{
	struct rnd_state rnd;

	if (!seed)
		seed = get_random_u32();
	kunit_info(suite, "seed %lu, scale %u %%\n", seed, scale);

	xdt_pattern = vmalloc(XDT_PERIOD + XDT_PIECE);
	xdt_buf = xdt_alloc_buf();
	if (!xdt_pattern || !xdt_buf)
		return -ENOMEM;

	prandom_seed_state(&rnd, 1);
	prandom_bytes_state(&rnd, xdt_pattern, XDT_PERIOD);
	memcpy(xdt_pattern + XDT_PERIOD, xdt_pattern, XDT_PIECE);
	return 0;
}

void xdt_suite_exit(struct kunit_suite *suite)
{
	unsigned int i;

	for (i = 0; xdt_buf && i < XDT_BUF_BLOCKS; i++)
		free_pages((unsigned long)xdt_buf + i * XDT_BLOCK,
			   XDT_BLOCK_ORDER);
	vfree(xdt_pattern);
	xdt_buf = NULL;
	xdt_pattern = NULL;
}

/* Build the machine and the aperture, without room to grow. */
static int xdt_start(struct xdt *x)
{
	xen_pool_max = x->size;
	bitmap_zero(x->live, SZ_4G / XDT_SLOT);
	return xen_swiotlb_fixup(x->area, x->size / XDT_SLOT);
}

/**
 * xdt_device() - another device
 * @x:		the fixture
 * @name:	its name
 * @mask:	its DMA mask
 *
 * Return: The device, without limits but for the mask.
 */
struct device *xdt_device(struct xdt *x, const char *name, u64 mask)
{
	struct device_dma_parameters *parms;
	struct device *dev;

	parms = kunit_kzalloc(x->test, sizeof(*parms), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(x->test, parms);
	dev = kunit_device_register(x->test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(x->test, dev);

	dev->dma_parms = parms;
	dma_set_max_seg_size(dev, UINT_MAX);
	dma_set_seg_boundary(dev, ULONG_MAX);
	*dev->dma_mask = mask;
	dev->coherent_dma_mask = mask;
	return dev;
}

int xdt_init(struct kunit *test)
{
	struct xdt *x;
	const char *c;
	u64 mix = seed;

	x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, x);
	x->test = test;
	x->max = xen_pool_max;
	x->idle = xen_pool_idle;
	x->buf = xdt_buf;

	for (c = test->name; *c; c++)
		mix = mix * 31 + *c;
	prandom_seed_state(&x->rnd, mix);

	x->scratch = vmalloc(XDT_PIECE);
	x->live = vzalloc(BITS_TO_LONGS(SZ_4G / XDT_SLOT) * sizeof(long));
	if (!x->scratch || !x->live)
		goto no_memory;

	xen_machine_reset();
	x->area = xen_machine_buffer(&x->size);
	if (!x->area || xdt_start(x))
		goto no_memory;

	test->priv = x;
	x->dev = xdt_device(x, "dma", DMA_BIT_MASK(32));
	return 0;

no_memory:
	vfree(x->scratch);
	vfree(x->live);
	return -ENOMEM;
}

void xdt_exit(struct kunit *test)
{
	struct xdt *x = test->priv;

	if (!x)
		return;

	xen_machine_fail_exchanges(0);
	xen_pool_destroy();
	xen_pool_max = x->max;
	xen_pool_idle = x->idle;
	vfree(x->scratch);
	vfree(x->live);
}

/**
 * xdt_restart() - begin again where the hypervisor has other memory to give
 * @x:		the fixture
 * @low_start:	first low address that is free
 * @low_end:	first that is not
 */
void xdt_restart(struct xdt *x, u64 low_start, u64 low_end)
{
	xen_pool_destroy();
	xen_machine_reset();
	xen_machine_set_low(low_start, low_end);
	KUNIT_ASSERT_EQ(x->test, xdt_start(x), 0);
}

/**
 * xdt_scaled() - how often to repeat
 * @count:	how often by default
 *
 * Return: As often as the parameter scale wants, at least once.
 */
unsigned long xdt_scaled(unsigned long count)
{
	return max(count * scale / 100, 1UL);
}

/**
 * xdt_fill() - write a pattern
 * @to:		where
 * @key:	which pattern
 * @at:		where in the pattern, bytes
 * @len:	bytes
 */
void xdt_fill(void *to, u32 key, size_t at, size_t len)
{
	size_t done, piece;

	for (done = 0; done < len; done += piece) {
		piece = min(len - done, XDT_PIECE);
		memcpy(to + done,
		       xdt_pattern + (key + at + done) % XDT_PERIOD, piece);
	}
}

/* The first byte in which @len bytes differ from others, -1 if none. */
static ssize_t xdt_first_difference(const u8 *a, const u8 *b, size_t len)
{
	size_t i;

	if (!memcmp(a, b, len))
		return -1;
	for (i = 0; i < len && a[i] == b[i]; i++)
		;
	return i;
}

/**
 * xdt_differs() - compare with a pattern
 * @buf:	what to compare
 * @key:	which pattern
 * @at:		where in the pattern, bytes
 * @len:	bytes
 *
 * Return: The index of the first byte that differs, -1 if none.
 */
ssize_t xdt_differs(const void *buf, u32 key, size_t at, size_t len)
{
	size_t done, piece;
	ssize_t bad;

	for (done = 0; done < len; done += piece) {
		piece = min(len - done, XDT_PIECE);
		bad = xdt_first_difference(buf + done, xdt_pattern +
					   (key + at + done) % XDT_PERIOD,
					   piece);
		if (bad >= 0)
			return done + bad;
	}
	return -1;
}

/**
 * xdt_dev_fill() - a device writes a pattern
 * @bus:	to which bus address
 * @key:	which pattern
 * @at:		where in the pattern, bytes
 * @len:	bytes
 *
 * Return: 0, or -EFAULT where nothing is at the address.
 */
int xdt_dev_fill(dma_addr_t bus, u32 key, size_t at, size_t len)
{
	size_t done, piece;
	int err;

	for (done = 0; done < len; done += piece) {
		piece = min(len - done, XDT_PIECE);
		err = xen_machine_poke(bus + done, xdt_pattern +
				       (key + at + done) % XDT_PERIOD, piece);
		if (err)
			return err;
	}
	return 0;
}

/**
 * xdt_dev_differs() - compare what a device reads with a pattern
 * @scratch:	XDT_PIECE bytes to read into
 * @bus:	bus address
 * @key:	which pattern
 * @at:		where in the pattern, bytes
 * @len:	bytes
 *
 * Return: The index of the first byte that differs, -1 if none.
 */
ssize_t xdt_dev_differs(u8 *scratch, dma_addr_t bus, u32 key, size_t at,
			size_t len)
{
	size_t done, piece;
	ssize_t bad;

	for (done = 0; done < len; done += piece) {
		piece = min(len - done, XDT_PIECE);
		if (xen_machine_peek(bus + done, scratch, piece))
			return done;
		bad = xdt_differs(scratch, key, at + done, piece);
		if (bad >= 0)
			return done + bad;
	}
	return -1;
}

/**
 * xdt_slack_is_zero() - what a device reads beside a mapping
 * @scratch:	XDT_PIECE bytes to read into
 * @bus:	where the mapping begins
 * @size:	bytes
 *
 * Return: Whether the rest of its first and of its last slot are zero.
 */
bool xdt_slack_is_zero(u8 *scratch, dma_addr_t bus, size_t size)
{
	size_t before = bus % XDT_SLOT;
	size_t after = -(bus + size) % XDT_SLOT;

	if (xen_machine_peek(bus - before, scratch, before) ||
	    memchr_inv(scratch, 0, before))
		return false;
	return !xen_machine_peek(bus + size, scratch, after) &&
	       !memchr_inv(scratch, 0, after);
}

/**
 * xdt_claim() - note which slots a new mapping has
 * @live:	one bit per slot below 4 GiB
 * @bus:	where the mapping begins
 * @size:	bytes
 *
 * Return: Whether no other mapping has any of them.
 */
bool xdt_claim(unsigned long *live, dma_addr_t bus, size_t size)
{
	unsigned long slot;
	bool alone = true;

	for (slot = bus / XDT_SLOT; slot <= (bus + size - 1) / XDT_SLOT; slot++)
		alone &= !test_and_set_bit(slot, live);
	return alone;
}

/**
 * xdt_disclaim() - a mapping's slots are about to be free
 * @live:	one bit per slot below 4 GiB
 * @bus:	where the mapping begins
 * @size:	bytes
 */
void xdt_disclaim(unsigned long *live, dma_addr_t bus, size_t size)
{
	unsigned long slot;

	for (slot = bus / XDT_SLOT; slot <= (bus + size - 1) / XDT_SLOT; slot++)
		clear_bit(slot, live);
}

/* Slots of a zone that CPUs and the depot keep. */
static u64 xdt_kept(unsigned int index)
{
	struct xen_pool_zone *zone = &xen_pool_zones[index];
	unsigned long flags;
	unsigned int bin;
	u64 slots = 0;
	int nr;

	raw_spin_lock_irqsave(&zone->lock, flags);
	slots = zone->stored;
	for_each_possible_cpu(nr) {
		struct xen_pool_cpu *cpu = &per_cpu(xen_pool_cpus, nr)[index];

		for (bin = 0; bin < XEN_NR_BINS; bin++)
			slots += (u64)xen_pool_bin_slots[bin] *
				 (READ_ONCE(cpu->loaded[bin].nr) +
				  READ_ONCE(cpu->spare[bin].nr));
	}
	raw_spin_unlock_irqrestore(&zone->lock, flags);

	return slots;
}

/* Bytes in mappings, in whole blocks, give or take what is under way. */
u64 xdt_used(void)
{
	u64 used = 0;
	unsigned int i;

	for (i = 0; i < XEN_NR_ZONES; i++)
		if (READ_ONCE(xen_pool_zones[i].total))
			used += READ_ONCE(xen_pool_zones[i].total) -
				READ_ONCE(xen_pool_zones[i].free) - xdt_kept(i);
	return used << XEN_SLOT_SHIFT;
}

/* Bytes of the pool. */
u64 xdt_total(void)
{
	u64 total = 0;
	unsigned int i;

	for (i = 0; i < XEN_NR_ZONES; i++)
		total += READ_ONCE(xen_pool_zones[i].total);
	return total << XEN_SLOT_SHIFT;
}

/**
 * xdt_dirty() - leave secrets in the whole aperture
 * @x:	the fixture
 *
 * Maps non-zero bytes until nothing is free, then unmaps all of it.
 */
void xdt_dirty(struct xdt *x)
{
	unsigned int nr = 0, max = x->size / SZ_64K;
	dma_addr_t *bus;

	bus = vmalloc_array(max, sizeof(*bus));
	KUNIT_ASSERT_NOT_NULL(x->test, bus);
	memset(x->buf, 0xa5, SZ_64K);

	while (nr < max) {
		bus[nr] = xdt_map(x->dev, x->buf, SZ_64K, DMA_TO_DEVICE,
				  DMA_ATTR_NO_WARN);
		if (bus[nr] == DMA_MAPPING_ERROR)
			break;
		nr++;
	}
	while (nr)
		xdt_unmap(x->dev, bus[--nr], SZ_64K, DMA_TO_DEVICE, 0);
	vfree(bus);
}

/* Sizes, and what is in and beside a mapping. */

enum xdt_write { XDT_WRITE_ALL, XDT_WRITE_PART, XDT_WRITE_SKIP_SYNC };

/*
 * One mapping's life: the device must see the buffer's bytes and zeroes beside
 * them; the buffer must have the device's bytes afterwards if it is to, and
 * keep all others.
 */
static bool xdt_one_life(struct xdt *x, size_t at, size_t size,
			 enum dma_data_direction dir, enum xdt_write write)
{
	u32 mine = prandom_u32_state(&x->rnd) % XDT_PERIOD;
	u32 its = (mine + 1 + xdt_below(&x->rnd, XDT_PERIOD - 1)) % XDT_PERIOD;
	u8 *guard = x->buf + at - XDT_GUARD, *buf = x->buf + at;
	size_t from = 0, to = size, secret = round_up(size, XDT_SLOT);
	unsigned long attrs = 0;
	ssize_t bad;
	dma_addr_t bus;

	/* Whoever had these slots before left something in all of them. */
	memset(x->buf, 0x5a, secret);
	bus = xdt_map(x->dev, x->buf, secret, DMA_TO_DEVICE, 0);
	if (bus == DMA_MAPPING_ERROR) {
		KUNIT_FAIL(x->test, "%zu bytes: nothing free", secret);
		return false;
	}
	xdt_unmap(x->dev, bus, secret, DMA_TO_DEVICE, 0);

	xdt_fill(guard, mine, 0, size + 2 * XDT_GUARD);
	bus = xdt_map(x->dev, buf, size, dir, 0);
	if (bus == DMA_MAPPING_ERROR) {
		KUNIT_FAIL(x->test, "%zu bytes, direction %d: nothing free",
			   size, dir);
		return false;
	}

	KUNIT_EXPECT_LE_MSG(x->test, bus + size - 1, DMA_BIT_MASK(32),
			    "%zu bytes, direction %d: beyond the mask", size,
			    dir);
	KUNIT_EXPECT_TRUE_MSG(x->test, xen_pool_find(bus) &&
			      xen_pool_find(bus + size - 1),
			      "%zu bytes at %pad: not in the aperture", size,
			      &bus);
	bad = xdt_dev_differs(x->scratch, bus, mine, XDT_GUARD, size);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d: device reads other bytes",
			    size, dir);
	KUNIT_EXPECT_TRUE_MSG(x->test, xdt_slack_is_zero(x->scratch, bus, size),
			      "%zu bytes, direction %d: device reads old bytes beside",
			      size, dir);

	if (write == XDT_WRITE_PART) {
		from = xdt_below(&x->rnd, size);
		to = from + 1 + xdt_below(&x->rnd, size - from);
	} else if (write == XDT_WRITE_SKIP_SYNC) {
		attrs = DMA_ATTR_SKIP_CPU_SYNC;
	}
	KUNIT_EXPECT_EQ(x->test, 0,
			xdt_dev_fill(bus + from, its, from, to - from));
	xdt_unmap(x->dev, bus, size, dir, attrs);

	/* The device's bytes are in [from, to), if it was to write any. */
	if (dir == DMA_TO_DEVICE || attrs)
		from = to;
	bad = xdt_differs(guard, mine, 0, XDT_GUARD + from);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d, written [%zu,%zu): lost before",
			    size, dir, from, to);
	bad = xdt_differs(buf + from, its, from, to - from);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d, written [%zu,%zu): lost within",
			    size, dir, from, to);
	bad = xdt_differs(buf + to, mine, XDT_GUARD + to,
			  size - to + XDT_GUARD);
	KUNIT_EXPECT_EQ_MSG(x->test, bad, -1,
			    "%zu bytes, direction %d, written [%zu,%zu): lost behind",
			    size, dir, from, to);
	KUNIT_EXPECT_EQ_MSG(x->test, xdt_used(), 0, "%zu bytes: still in use",
			    size);
	return !READ_ONCE(x->test->status);
}

static const enum dma_data_direction xdt_directions[] = {
	DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE,
};

static void xdt_all_lives(struct xdt *x, size_t size)
{
	unsigned int d, w;
	size_t at;

	for (d = 0; d < ARRAY_SIZE(xdt_directions); d++) {
		for (w = XDT_WRITE_ALL; w <= XDT_WRITE_SKIP_SYNC; w++) {
			/* Large ones take long, so each only one way. */
			if (size > SZ_1M && w != (size + d) % 3)
				continue;
			at = XDT_GUARD + xdt_below(&x->rnd, SZ_64K);
			if (!xdt_one_life(x, at, size, xdt_directions[d], w))
				return;
		}
	}
}

static void xdt_sizes(struct kunit *test)
{
	struct xdt *x = test->priv;
	size_t size;
	int around;

	xdt_dirty(x);
	for (size = 1; size <= XDT_LARGEST; size *= 2) {
		for (around = -1; around <= 1; around++) {
			if (size + around && size + around <= XDT_LARGEST)
				xdt_all_lives(x, size + around);
		}
		xdt_all_lives(x, min_t(size_t, size + xdt_below(&x->rnd, size),
				       XDT_LARGEST));
		if (test->status != KUNIT_SUCCESS)
			return;
		cond_resched();
	}
}

/* Each number of slots for which there may be a cache, and those beside. */
static void xdt_slots(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int slots;

	xdt_dirty(x);
	for (slots = 1; slots <= 132; slots++) {
		xdt_all_lives(x, slots * XDT_SLOT - 1);
		xdt_all_lives(x, slots * XDT_SLOT);
		xdt_all_lives(x, slots * XDT_SLOT -
			      xdt_below(&x->rnd, XDT_SLOT));
		if (test->status != KUNIT_SUCCESS)
			return;
	}
}

static void xdt_zero_length(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t bus, one;
	unsigned int d;

	xdt_fill(x->buf, 1, 0, SZ_4K);
	one = xdt_map(x->dev, x->buf, SZ_4K, DMA_BIDIRECTIONAL, 0);
	KUNIT_ASSERT_NE(test, one, DMA_MAPPING_ERROR);
	KUNIT_EXPECT_EQ(test, xdt_used(), SZ_4K);

	for (d = 0; d < ARRAY_SIZE(xdt_directions); d++) {
		bus = xdt_map(x->dev, x->buf, 0, xdt_directions[d], 0);
		KUNIT_EXPECT_EQ_MSG(test, bus, DMA_MAPPING_ERROR,
				    "direction %d", xdt_directions[d]);
		xdt_for_cpu(x->dev, one, 0, xdt_directions[d]);
		xdt_for_device(x->dev, one, 0, xdt_directions[d]);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), SZ_4K);
	KUNIT_EXPECT_EQ(test, -1,
			xdt_dev_differs(x->scratch, one, 1, 0, SZ_4K));
	xdt_unmap(x->dev, one, SZ_4K, DMA_BIDIRECTIONAL, 0);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_differs(x->buf, 1, 0, SZ_4K), -1);
}

/* Alignment, boundaries, the largest size. */

struct xdt_align_case {
	unsigned int mask;
};

static const struct xdt_align_case xdt_align_cases[] = {
	{ 0 }, { 511 }, { 2047 }, { 4095 }, { 65535 },
};

static void xdt_align_desc(const struct xdt_align_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "min_align_mask 0x%x", c->mask);
}

KUNIT_ARRAY_PARAM(xdt_align, xdt_align_cases, xdt_align_desc);

static void xdt_check_place(struct xdt *x, const u8 *p, size_t size,
			    u64 boundary)
{
	u64 mask = dma_get_min_align_mask(x->dev);
	phys_addr_t phys = virt_to_phys((void *)p);
	u64 natural = roundup_pow_of_two(size);
	dma_addr_t bus;

	bus = xdt_map(x->dev, p, size, DMA_TO_DEVICE, 0);
	if (bus == DMA_MAPPING_ERROR) {
		/* The bits that must be kept take room, too. */
		KUNIT_EXPECT_GT_MSG(x->test, size,
				    xen_aperture_largest(x->dev),
				    "mask 0x%llx, offset 0x%llx, boundary 0x%llx",
				    mask, phys & mask, boundary);
		return;
	}

	KUNIT_EXPECT_EQ_MSG(x->test, (bus ^ phys) & mask, 0,
			    "%zu bytes at %pad for %pap, mask 0x%llx", size,
			    &bus, &phys, mask);
	if (xdt_can_keep_within(x->dev, phys, size, boundary))
		KUNIT_EXPECT_FALSE_MSG(x->test,
				       xdt_crosses(bus, size, boundary),
				       "%zu bytes at %pad, mask 0x%llx, cross 0x%llx",
				       size, &bus, mask, boundary);
	if (!mask)
		KUNIT_EXPECT_FALSE_MSG(x->test,
				       xdt_crosses(bus, size, natural - 1),
				       "%zu bytes at %pad", size, &bus);
	KUNIT_EXPECT_TRUE_MSG(x->test,
			      xdt_slack_is_zero(x->scratch, bus, size),
			      "%zu bytes at %pad, mask 0x%llx: old bytes beside",
			      size, &bus, mask);
	xdt_unmap(x->dev, bus, size, DMA_TO_DEVICE, 0);
}

static void xdt_alignment(struct kunit *test)
{
	static const u32 offsets[] = { 0, 1, 511, 512, 2047, 2048, 4095, 4096,
				       6145, 65535 };
	static const size_t sizes[] = { 1, 64, 512, 513, 2048, 2049, 4095,
					4096, 4097, 6144, 10000, SZ_16K,
					SZ_32K + 1, SZ_64K, SZ_128K, SZ_256K };
	const struct xdt_align_case *c = test->param_value;
	struct xdt *x = test->priv;
	size_t odd_size[32];
	dma_addr_t odd[32];
	unsigned int i, j;
	u64 boundary;

	dma_set_min_align_mask(x->dev, c->mask);
	xdt_dirty(x);

	/* Leave holes of all sorts, else every block begins anywhere nice. */
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		odd_size[i] = 1 + xdt_below(&x->rnd, 40 * XDT_SLOT);
		odd[i] = xdt_map(x->dev, x->buf, odd_size[i], DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE(test, odd[i], DMA_MAPPING_ERROR);
	}
	for (i = 0; i < ARRAY_SIZE(odd); i += 2)
		xdt_unmap(x->dev, odd[i], odd_size[i], DMA_TO_DEVICE, 0);

	for (boundary = SZ_4K - 1; boundary <= SZ_4G - 1;
	     boundary = boundary * 2 + 1) {
		dma_set_seg_boundary(x->dev, boundary);
		for (i = 0; i < ARRAY_SIZE(offsets); i++) {
			for (j = 0; j < ARRAY_SIZE(sizes); j++)
				xdt_check_place(x, x->buf + offsets[i],
						sizes[j], boundary);
			xdt_check_place(x, x->buf + xdt_below(&x->rnd, SZ_64K),
					xdt_any_size(&x->rnd, SZ_1M), boundary);
			if (test->status != KUNIT_SUCCESS)
				goto out;
		}
		xdt_check_place(x, x->buf, SZ_4M, boundary);
		xdt_check_place(x, x->buf + 4095, SZ_2M, boundary);
		xdt_check_place(x, x->buf, XDT_LARGEST, boundary);
	}
out:
	for (i = 1; i < ARRAY_SIZE(odd); i += 2)
		xdt_unmap(x->dev, odd[i], odd_size[i], DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* What an idle aperture takes it takes for any alignment. */
static void xdt_largest(struct kunit *test)
{
	const struct xdt_align_case *c = test->param_value;
	struct xdt *x = test->priv;
	size_t max = xen_aperture_largest(x->dev);
	dma_addr_t bus;
	size_t at;

	KUNIT_EXPECT_EQ(test, max, XDT_LARGEST);

	dma_set_min_align_mask(x->dev, c->mask);
	max = xen_aperture_largest(x->dev);
	KUNIT_EXPECT_LE(test, max, XDT_LARGEST);
	KUNIT_EXPECT_GE(test, max, XDT_LARGEST - round_up(c->mask, XDT_SLOT));

	for (at = 0; at <= c->mask; at = at * 2 + 1) {
		bus = xdt_map(x->dev, x->buf + at, max, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE_MSG(test, bus, DMA_MAPPING_ERROR,
				    "%zu bytes at %zu", max, at);
		if (bus != DMA_MAPPING_ERROR)
			xdt_unmap(x->dev, bus, max, DMA_TO_DEVICE, 0);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* Exhaustion and fragmentation. */

/*
 * Map @size bytes until it fails.
 *
 * Return: How many there are, their addresses in @bus.
 */
static unsigned int xdt_exhaust(struct xdt *x, struct device *dev, size_t size,
				dma_addr_t *bus, unsigned int max)
{
	u64 mask = *dev->dma_mask;
	unsigned int nr;

	for (nr = 0; nr < max; nr++) {
		bus[nr] = xdt_map(dev, x->buf, size, DMA_TO_DEVICE,
				  DMA_ATTR_NO_WARN);
		if (bus[nr] == DMA_MAPPING_ERROR)
			break;
		if (bus[nr] + size - 1 > mask ||
		    !xdt_claim(x->live, bus[nr], size)) {
			KUNIT_FAIL(x->test, "%pad: had before or out of reach",
				   &bus[nr]);
			return nr;
		}
	}
	return nr;
}

static void xdt_release(struct xdt *x, struct device *dev, size_t size,
			dma_addr_t *bus, unsigned int nr)
{
	while (nr--) {
		if (bus[nr] == DMA_MAPPING_ERROR)
			continue;
		xdt_disclaim(x->live, bus[nr], size);
		xdt_unmap(dev, bus[nr], size, DMA_TO_DEVICE, 0);
		bus[nr] = DMA_MAPPING_ERROR;
	}
}

static dma_addr_t *xdt_addresses(struct xdt *x)
{
	dma_addr_t *bus;

	bus = kunit_kmalloc_array(x->test, 2 * x->size / XDT_SLOT + 1,
				  sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(x->test, bus);
	return bus;
}

/*
 * What dma_max_mapping_size() promises can be had as often as four disks of 32 bits want
 * it, each with 32 commands at a time.
 */
static void xdt_promise(struct kunit *test)
{
	struct xdt *x = test->priv;
	size_t max = xen_swiotlb_dma_ops.max_mapping_size(x->dev);
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int nr;

	KUNIT_EXPECT_GE(test, max, SZ_256K);
	KUNIT_EXPECT_TRUE(test, is_power_of_2(max));
	nr = xdt_exhaust(x, x->dev, max, bus, 4 * 32);
	KUNIT_EXPECT_EQ(test, nr, 4 * 32);
	xdt_release(x, x->dev, max, bus, nr);

	/* A larger aperture has room for more. */
	*x->dev->dma_mask = DMA_BIT_MASK(24);
	KUNIT_EXPECT_EQ(test, xen_swiotlb_dma_ops.max_mapping_size(x->dev),
			SZ_256K);
	*x->dev->dma_mask = DMA_BIT_MASK(64);
	KUNIT_EXPECT_EQ(test, xen_swiotlb_dma_ops.max_mapping_size(x->dev),
			SZ_2M);
	*x->dev->dma_mask = DMA_BIT_MASK(16);
	KUNIT_EXPECT_EQ(test, xen_swiotlb_dma_ops.max_mapping_size(x->dev),
			PAGE_SIZE);
}

/* How often @size fits into an aperture that is not in use. */
static unsigned int xdt_how_many(struct xdt *x, size_t size, dma_addr_t *bus)
{
	unsigned int nr = xdt_exhaust(x, x->dev, size, bus,
				      x->size / XDT_SLOT + 1);

	xdt_release(x, x->dev, size, bus, nr);
	return nr;
}

static void xdt_exhaustion(struct kunit *test)
{
	static const size_t sizes[] = { SZ_2K, SZ_4K, SZ_8K, SZ_16K, SZ_64K,
					SZ_256K, SZ_2K };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, j, nr, largest, victim;
	u64 total = xdt_total();
	dma_addr_t extra;

	KUNIT_EXPECT_EQ(test, total, x->size);
	largest = xdt_how_many(x, XDT_LARGEST, bus);
	KUNIT_EXPECT_GE(test, largest, 1);

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		nr = xdt_exhaust(x, x->dev, sizes[i], bus, total / XDT_SLOT + 1);
		KUNIT_EXPECT_EQ_MSG(test, nr, total / sizes[i],
				    "mappings of %zu bytes", sizes[i]);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), nr * sizes[i],
				    "after mappings of %zu bytes", sizes[i]);

		/* Each that goes makes room for one, and for one only. */
		for (j = 0; nr && j < 100; j++) {
			victim = xdt_below(&x->rnd, nr);
			xdt_unmap(x->dev, bus[victim], sizes[i], DMA_TO_DEVICE,
				  0);
			bus[victim] = xdt_map(x->dev, x->buf, sizes[i],
					      DMA_TO_DEVICE, 0);
			KUNIT_EXPECT_NE(test, bus[victim], DMA_MAPPING_ERROR);
			extra = xdt_map(x->dev, x->buf, 1, DMA_TO_DEVICE,
					DMA_ATTR_NO_WARN);
			KUNIT_EXPECT_EQ(test, extra, DMA_MAPPING_ERROR);
		}
		xdt_release(x, x->dev, sizes[i], bus, nr);
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);
		KUNIT_EXPECT_EQ_MSG(test, xdt_how_many(x, XDT_LARGEST, bus),
				    largest, "after mappings of %zu bytes",
				    sizes[i]);
		if (test->status != KUNIT_SUCCESS)
			return;
	}
	KUNIT_EXPECT_EQ(test, xdt_total(), total);
}

/* What a block of three slots leaves of four is there for others. */
static void xdt_tails(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int odd, small;

	odd = xdt_exhaust(x, x->dev, 3 * XDT_SLOT, bus, x->size / XDT_SLOT);
	small = xdt_exhaust(x, x->dev, XDT_SLOT, bus + odd,
			    x->size / XDT_SLOT + 1 - odd);
	KUNIT_EXPECT_GE(test, odd, x->size / XDT_SLOT / 4);
	KUNIT_EXPECT_EQ(test, 3 * odd + small, x->size / XDT_SLOT);
	KUNIT_EXPECT_EQ(test, xdt_used(), x->size);

	xdt_release(x, x->dev, 3 * XDT_SLOT, bus, odd);
	xdt_release(x, x->dev, XDT_SLOT, bus + odd, small);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

static void xdt_checkerboard(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, nr, largest, half = 0;
	dma_addr_t large;

	largest = xdt_how_many(x, XDT_LARGEST, bus);
	nr = xdt_exhaust(x, x->dev, XDT_SLOT, bus, x->size / XDT_SLOT + 1);
	for (i = 0; i < nr; i++) {
		if (!(bus[i] & XDT_SLOT))
			continue;
		xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
		half++;
	}
	KUNIT_EXPECT_EQ(test, half, nr / 2);
	KUNIT_EXPECT_EQ(test, xdt_used(), (u64)(nr - half) * XDT_SLOT);

	large = xdt_map(x->dev, x->buf, XDT_SLOT + 1, DMA_TO_DEVICE,
			DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(test, large, DMA_MAPPING_ERROR);

	/* All the white fields are there. */
	for (i = 0; i < nr; i++) {
		if (bus[i] == DMA_MAPPING_ERROR)
			half -= xdt_exhaust(x, x->dev, XDT_SLOT, bus + i, 1);
	}
	KUNIT_EXPECT_EQ(test, half, 0);

	xdt_release(x, x->dev, XDT_SLOT, bus, nr);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_how_many(x, XDT_LARGEST, bus), largest);
}

static void xdt_nearly_full(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned long step, steps = xdt_scaled(50000);
	unsigned int i, nr, largest, gone;

	largest = xdt_how_many(x, XDT_LARGEST, bus);
	nr = xdt_exhaust(x, x->dev, XDT_SLOT, bus, x->size / XDT_SLOT + 1);
	for (gone = 0; gone < nr / 20; ) {
		i = xdt_below(&x->rnd, nr);
		if (bus[i] == DMA_MAPPING_ERROR)
			continue;
		xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
		gone++;
	}

	for (step = 0; step < steps && test->status == KUNIT_SUCCESS; step++) {
		i = xdt_below(&x->rnd, nr);
		if (bus[i] != DMA_MAPPING_ERROR) {
			xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
			gone++;
		}
		if (xdt_exhaust(x, x->dev, XDT_SLOT, bus + i, 1) != 1)
			KUNIT_FAIL(test, "step %lu: full, but %u of %u free",
				   step, gone, nr);
		else
			gone--;
		/* Keep one in twenty free, at changing places. */
		while (gone < nr / 20) {
			i = xdt_below(&x->rnd, nr);
			if (bus[i] == DMA_MAPPING_ERROR)
				continue;
			xdt_release(x, x->dev, XDT_SLOT, bus + i, 1);
			gone++;
		}
	}

	xdt_release(x, x->dev, XDT_SLOT, bus, nr);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_how_many(x, XDT_LARGEST, bus), largest);
}

/* Mistakes of a driver. */

/* Two neighbours in the aperture; what is done to one must not hurt the other. */
struct xdt_pair {
	dma_addr_t bus[2];
	u8 *buf[2];
	size_t size;
};

static void xdt_pair_map(struct xdt *x, struct xdt_pair *p, size_t size)
{
	unsigned int i;

	p->size = size;
	for (i = 0; i < 2; i++) {
		p->buf[i] = x->buf + i * SZ_1M;
		xdt_fill(p->buf[i], i, 0, SZ_256K);
		p->bus[i] = xdt_map(x->dev, p->buf[i], size, DMA_BIDIRECTIONAL,
				    0);
		KUNIT_ASSERT_NE(x->test, p->bus[i], DMA_MAPPING_ERROR);
		KUNIT_ASSERT_TRUE(x->test, xdt_claim(x->live, p->bus[i], size));
		KUNIT_ASSERT_EQ(x->test, 0,
				xdt_dev_fill(p->bus[i], 1000 + i, 0, size));
	}
}

static void xdt_pair_check(struct xdt *x, struct xdt_pair *p, int i)
{
	xdt_disclaim(x->live, p->bus[i], p->size);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_dev_differs(x->scratch, p->bus[i], 1000 + i, 0,
					    p->size),
			    "mapping %d of %zu bytes: device's bytes", i,
			    p->size);
	xdt_unmap(x->dev, p->bus[i], p->size, DMA_BIDIRECTIONAL, 0);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_differs(p->buf[i], 1000 + i, 0, p->size),
			    "mapping %d of %zu bytes: not copied back", i,
			    p->size);
	KUNIT_EXPECT_EQ_MSG(x->test, -1,
			    xdt_differs(p->buf[i] + p->size, i, p->size,
					SZ_256K - p->size),
			    "mapping %d of %zu bytes: copied too much", i,
			    p->size);
}

static const size_t xdt_mistake_sizes[] = {
	2 * XDT_SLOT, 4 * XDT_SLOT, 5 * XDT_SLOT, 16 * XDT_SLOT, 100 * XDT_SLOT,
};

static void xdt_double_unmap(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct xdt_pair p;
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(xdt_mistake_sizes); i++) {
		xdt_pair_map(x, &p, xdt_mistake_sizes[i]);
		xdt_pair_check(x, &p, 0);
		xdt_unmap(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL, 0);
		xdt_unmap(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL, 0);
		KUNIT_EXPECT_EQ_MSG(test, -1,
				    xdt_differs(p.buf[0], 1000, 0, p.size),
				    "%zu bytes: copied again", p.size);

		/* The block must not be there twice now. */
		nr = xdt_exhaust(x, x->dev, p.size, bus, 1000);
		xdt_release(x, x->dev, p.size, bus, nr);
		xdt_pair_check(x, &p, 1);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), 0, "%zu bytes", p.size);
	}
	nr = xdt_how_many(x, XDT_SLOT, bus);
	KUNIT_EXPECT_EQ(test, nr, x->size / XDT_SLOT);
}

static void xdt_unmap_middle(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct xdt_pair p;
	unsigned int i, nr;
	size_t at;
	u64 used;

	for (i = 0; i < ARRAY_SIZE(xdt_mistake_sizes); i++) {
		xdt_pair_map(x, &p, xdt_mistake_sizes[i]);
		used = xdt_used();
		for (at = XDT_SLOT; at < p.size; at += XDT_SLOT) {
			xdt_unmap(x->dev, p.bus[0] + at, p.size - at,
				  DMA_BIDIRECTIONAL, 0);
			xdt_unmap(x->dev, p.bus[0] + at + 7, 1,
				  DMA_BIDIRECTIONAL, 0);
		}
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), used, "%zu bytes",
				    p.size);
		nr = xdt_exhaust(x, x->dev, XDT_SLOT, bus, 2000);
		xdt_release(x, x->dev, XDT_SLOT, bus, nr);
		xdt_pair_check(x, &p, 0);
		xdt_pair_check(x, &p, 1);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), 0, "%zu bytes", p.size);
	}
	nr = xdt_how_many(x, XDT_SLOT, bus);
	KUNIT_EXPECT_EQ(test, nr, x->size / XDT_SLOT);
}

/* Beyond a mapping's end, over its neighbours, in nobody's slots. */
static void xdt_sync_outside(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xdt_pair p;
	unsigned int i;
	ssize_t bad;

	for (i = 0; i < ARRAY_SIZE(xdt_mistake_sizes); i++) {
		xdt_pair_map(x, &p, xdt_mistake_sizes[i] - 100);
		xdt_for_cpu(x->dev, p.bus[0], p.size + 1, DMA_BIDIRECTIONAL);
		xdt_for_cpu(x->dev, p.bus[0], p.size + 4 * XDT_SLOT,
			    DMA_BIDIRECTIONAL);
		xdt_for_cpu(x->dev, p.bus[0] + p.size - 1, XDT_SLOT,
			    DMA_BIDIRECTIONAL);
		xdt_for_cpu(x->dev, p.bus[0] + p.size, 64, DMA_BIDIRECTIONAL);
		bad = xdt_differs(p.buf[0] + p.size, 0, p.size,
				  SZ_256K - p.size);
		KUNIT_EXPECT_EQ_MSG(test, bad, -1, "%zu bytes: copied too much",
				    p.size);

		/* Towards the device; it must not see what is behind. */
		xdt_fill(p.buf[0], 1000, 0, p.size);
		xdt_for_device(x->dev, p.bus[0], p.size + 1, DMA_BIDIRECTIONAL);
		xdt_for_device(x->dev, p.bus[0] + p.size - 1, 4 * XDT_SLOT,
			       DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_TRUE_MSG(test,
				      xdt_slack_is_zero(x->scratch, p.bus[0],
							p.size),
				      "%zu bytes: copied too much to the device",
				      p.size);
		xdt_pair_check(x, &p, 0);

		/* It is nobody's now. */
		xdt_for_cpu(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL);
		xdt_for_device(x->dev, p.bus[0], p.size, DMA_BIDIRECTIONAL);
		xdt_pair_check(x, &p, 1);
		KUNIT_EXPECT_EQ_MSG(test, xdt_used(), 0, "%zu bytes", p.size);
	}
}

/* Random parts of one mapping, the bytes of both sides known at all times. */
static void xdt_sync_part(struct xdt *x, size_t size,
			  enum dma_data_direction dir, u8 *cpu, u8 *dev)
{
	u8 *buf = x->buf + XDT_GUARD + xdt_below(&x->rnd, SZ_4K);
	size_t from, len, all = size + 2 * XDT_GUARD;
	unsigned int step;
	dma_addr_t bus;

	xdt_fill(buf - XDT_GUARD, size, 0, all);
	xdt_fill(cpu, size, 0, all);
	bus = xdt_map(x->dev, buf, size, dir, 0);
	KUNIT_ASSERT_NE(x->test, bus, DMA_MAPPING_ERROR);
	memcpy(dev, cpu + XDT_GUARD, size);

	for (step = 0; step < 24; step++) {
		/* What both sides write, all over. */
		if (dir != DMA_FROM_DEVICE) {
			xdt_fill(buf, step * 7, 0, size);
			xdt_fill(cpu + XDT_GUARD, step * 7, 0, size);
		}
		xdt_dev_fill(bus, step * 7 + 3, 0, size);
		xdt_fill(dev, step * 7 + 3, 0, size);

		from = xdt_below(&x->rnd, size);
		len = 1 + xdt_below(&x->rnd, size - from);
		if (xdt_chance(&x->rnd, 30))
			len = min_t(size_t, len, 1 + xdt_below(&x->rnd, 70));
		if (dir == DMA_FROM_DEVICE || xdt_chance(&x->rnd, 50)) {
			xdt_for_cpu(x->dev, bus + from, len, dir);
			if (dir != DMA_TO_DEVICE)
				memcpy(cpu + XDT_GUARD + from, dev + from, len);
		} else {
			xdt_for_device(x->dev, bus + from, len, dir);
			memcpy(dev + from, cpu + XDT_GUARD + from, len);
		}

		KUNIT_EXPECT_EQ(x->test, 0,
				xen_machine_peek(bus, x->scratch, size));
		KUNIT_EXPECT_MEMEQ_MSG(x->test, buf - XDT_GUARD, cpu, all,
				       "%zu bytes, direction %d, [%zu,%zu): the buffer's bytes",
				       size, dir, from, from + len);
		KUNIT_EXPECT_MEMEQ_MSG(x->test, x->scratch, dev, size,
				       "%zu bytes, direction %d, [%zu,%zu): the device's bytes",
				       size, dir, from, from + len);
		if (x->test->status != KUNIT_SUCCESS)
			break;
	}
	xdt_unmap(x->dev, bus, size, dir, 0);
}

static void xdt_sync_parts(struct kunit *test)
{
	static const size_t sizes[] = { 1, 2, 63, 64, 1500, 2047, 2048, 2049,
					4096, 6000, 9000, 16384, 65000 };
	struct xdt *x = test->priv;
	unsigned int i, d, mask;
	u8 *cpu, *dev;

	cpu = kunit_kmalloc(test, XDT_PIECE + 2 * XDT_GUARD, GFP_KERNEL);
	dev = kunit_kmalloc(test, XDT_PIECE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cpu);
	KUNIT_ASSERT_NOT_NULL(test, dev);

	for (mask = 0; mask < ARRAY_SIZE(xdt_align_cases); mask++) {
		dma_set_min_align_mask(x->dev, xdt_align_cases[mask].mask);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			for (d = 0; d < ARRAY_SIZE(xdt_directions); d++)
				xdt_sync_part(x, sizes[i], xdt_directions[d],
					      cpu, dev);
			if (test->status != KUNIT_SUCCESS)
				return;
		}
	}
}

/* Random steps beside a model. */

static const unsigned int xdt_bits[] = { 24, 28, 30, 31, 32, 64 };

#define XDT_MODEL_LIVE	256

/*
 * One mapping of the model. @cpu and @its are what the buffer, guards included,
 * and the device's view of it must contain.
 */
struct xdt_model {
	struct device *dev;
	u8 *buf;
	u8 *cpu;
	u8 *its;
	unsigned int order;
	size_t size;
	dma_addr_t bus;
	enum dma_data_direction dir;
	bool direct;
};

static void xdt_model_free(struct xdt_model *m)
{
	if (m->buf)
		free_pages((unsigned long)(m->buf) & PAGE_MASK, m->order);
	kvfree(m->cpu);
	kvfree(m->its);
	memset(m, 0, sizeof(*m));
}

static size_t xdt_model_size(struct rnd_state *rnd)
{
	unsigned int dice = xdt_below(rnd, 1000);

	if (dice < 700)
		return xdt_any_size(rnd, SZ_4K);
	if (dice < 930)
		return xdt_any_size(rnd, SZ_32K);
	if (dice < 997)
		return xdt_any_size(rnd, SZ_256K);
	return xdt_any_size(rnd, SZ_2M);
}

/* @roomy: from this many bits on, there must always be something free. */
static bool xdt_model_map(struct xdt *x, struct device **devs,
			  struct xdt_model *m, unsigned int roomy)
{
	unsigned int slack = xdt_below(&x->rnd, PAGE_SIZE - XDT_GUARD);
	unsigned long page;
	struct kunit *test = x->test;
	u32 key = xdt_below(&x->rnd, XDT_PERIOD);
	u64 mask, kept;
	size_t all;

	if (xdt_chance(&x->rnd, 30))
		slack = 0;
	m->dev = devs[xdt_below(&x->rnd, ARRAY_SIZE(xdt_bits))];
	m->dir = xdt_directions[xdt_below(&x->rnd, 3)];
	m->size = xdt_model_size(&x->rnd);
	all = m->size + 2 * XDT_GUARD;
	m->order = get_order(slack + all);
	page = __get_free_pages(GFP_KERNEL, m->order);
	m->cpu = kvmalloc(all, GFP_KERNEL);
	m->its = kvmalloc(m->size, GFP_KERNEL);
	if (!page || !m->cpu || !m->its) {
		free_pages(page, page ? m->order : 0);
		xdt_model_free(m);
		return true;
	}
	m->buf = (u8 *)page + slack + XDT_GUARD;
	xdt_fill(m->buf - XDT_GUARD, key, 0, all);
	xdt_fill(m->cpu, key, 0, all);
	memcpy(m->its, m->cpu + XDT_GUARD, m->size);

	m->bus = xdt_map(m->dev, m->buf, m->size, m->dir, DMA_ATTR_NO_WARN);
	if (m->bus == DMA_MAPPING_ERROR) {
		if (*m->dev->dma_mask >= DMA_BIT_MASK(roomy))
			KUNIT_FAIL(test, "%zu bytes, mask 0x%llx: nothing free",
				   m->size, *m->dev->dma_mask);
		xdt_model_free(m);
		return true;
	}

	mask = *m->dev->dma_mask;
	kept = dma_get_min_align_mask(m->dev);
	m->direct = m->bus == xdt_machine(m->buf);
	if (m->bus + m->size - 1 > mask)
		KUNIT_FAIL(test, "%pad, %zu bytes: mask 0x%llx", &m->bus,
			   m->size, mask);
	else if ((m->bus ^ virt_to_phys(m->buf)) & kept)
		KUNIT_FAIL(test, "%pad: bits 0x%llx not kept", &m->bus, kept);
	else if (!m->direct && !xen_pool_find(m->bus))
		KUNIT_FAIL(test, "%pad: neither direct nor bounced", &m->bus);
	else if (!m->direct && !xdt_claim(x->live, m->bus, m->size))
		KUNIT_FAIL(test, "%pad, %zu bytes: overlaps", &m->bus,
			   m->size);
	else if (!m->direct &&
		 !xdt_slack_is_zero(x->scratch, m->bus, m->size))
		KUNIT_FAIL(test, "%pad, %zu bytes: old bytes beside", &m->bus,
			   m->size);
	return test->status == KUNIT_SUCCESS;
}

/* Compare the model with both sides. */
static bool xdt_model_check(struct xdt *x, struct xdt_model *m)
{
	size_t done, piece;

	if (memcmp(m->buf - XDT_GUARD, m->cpu, m->size + 2 * XDT_GUARD)) {
		KUNIT_FAIL(x->test, "%pad, %zu bytes, direction %d: buffer",
			   &m->bus, m->size, m->dir);
		return false;
	}
	for (done = 0; done < m->size; done += piece) {
		piece = min(m->size - done, XDT_PIECE);
		if (xen_machine_peek(m->bus + done, x->scratch, piece) ||
		    memcmp(x->scratch, m->its + done, piece)) {
			KUNIT_FAIL(x->test,
				   "%pad, %zu bytes, direction %d: device",
				   &m->bus, m->size, m->dir);
			return false;
		}
	}
	return true;
}

/* One side writes, or a part is synced. */
static void xdt_model_touch(struct xdt *x, struct xdt_model *m)
{
	size_t from = xdt_below(&x->rnd, m->size);
	size_t len = 1 + xdt_below(&x->rnd, m->size - from);
	u32 key = xdt_below(&x->rnd, XDT_PERIOD);

	switch (xdt_below(&x->rnd, 4)) {
	case 0:
		/* Not the CPU's to write. */
		if (m->dir == DMA_FROM_DEVICE)
			return;
		xdt_fill(m->buf + from, key, 0, len);
		xdt_fill(m->cpu + XDT_GUARD + from, key, 0, len);
		if (m->direct)
			xdt_fill(m->its + from, key, 0, len);
		break;
	case 1:
		if (m->dir == DMA_TO_DEVICE)
			return;
		xdt_dev_fill(m->bus + from, key, 0, len);
		xdt_fill(m->its + from, key, 0, len);
		if (m->direct)
			xdt_fill(m->cpu + XDT_GUARD + from, key, 0, len);
		break;
	case 2:
		xdt_for_cpu(m->dev, m->bus + from, len, m->dir);
		if (m->dir != DMA_TO_DEVICE)
			memcpy(m->cpu + XDT_GUARD + from, m->its + from, len);
		break;
	case 3:
		/* Without a sync for the CPU before, what it does is open. */
		if (m->dir == DMA_FROM_DEVICE)
			return;
		xdt_for_device(m->dev, m->bus + from, len, m->dir);
		memcpy(m->its + from, m->cpu + XDT_GUARD + from, len);
		break;
	}
}

static bool xdt_model_unmap(struct xdt *x, struct xdt_model *m)
{
	unsigned long attrs = 0;
	bool good = true;

	if (xdt_chance(&x->rnd, 10))
		attrs = DMA_ATTR_SKIP_CPU_SYNC;
	if (!m->direct)
		xdt_disclaim(x->live, m->bus, m->size);
	xdt_unmap(m->dev, m->bus, m->size, m->dir, attrs);

	if (m->dir != DMA_TO_DEVICE && !attrs)
		memcpy(m->cpu + XDT_GUARD, m->its, m->size);
	if (memcmp(m->buf - XDT_GUARD, m->cpu, m->size + 2 * XDT_GUARD)) {
		KUNIT_FAIL(x->test,
			   "%pad, %zu bytes, direction %d: after the unmapping",
			   &m->bus, m->size, m->dir);
		good = false;
	}
	xdt_model_free(m);
	return good;
}

static void xdt_model_run(struct kunit *test, unsigned long steps,
			  unsigned int roomy, bool grow)
{
	struct device *devs[ARRAY_SIZE(xdt_bits)];
	struct xdt_model *models, *m;
	struct xdt *x = test->priv;
	unsigned long step;
	unsigned int i;
	bool good = true;
	char name[16];

	kunit_info(test, "seed %lu\n", seed);
	for (i = 0; i < ARRAY_SIZE(xdt_bits); i++) {
		snprintf(name, sizeof(name), "dma%u", xdt_bits[i]);
		devs[i] = xdt_device(x, name, DMA_BIT_MASK(xdt_bits[i]));
		dma_set_min_align_mask(devs[i], xdt_align_cases[i % 5].mask);
	}
	models = kunit_kcalloc(test, XDT_MODEL_LIVE, sizeof(*models),
			       GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, models);

	for (step = 0; step < steps && good; step++) {
		m = &models[xdt_below(&x->rnd, XDT_MODEL_LIVE)];
		if (!m->buf) {
			good = xdt_model_map(x, devs, m, roomy);
			continue;
		}
		switch (xdt_below(&x->rnd, 8)) {
		case 0 ... 1:
			good = xdt_model_unmap(x, m);
			break;
		case 2:
			good = xdt_model_check(x, m);
			break;
		default:
			xdt_model_touch(x, m);
			break;
		}
		if (step % 64 == 0)
			cond_resched();
		if (grow && step % 2048 == 0)
			xen_pool_flush_work();
	}
	if (!good)
		kunit_info(test, "step %lu, seed %lu\n", step, seed);

	for (i = 0; i < XDT_MODEL_LIVE; i++) {
		if (models[i].buf && good)
			good = xdt_model_check(x, &models[i]);
		if (models[i].buf)
			good &= xdt_model_unmap(x, &models[i]);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* As at boot: devices below 32 bits have little. */
static void xdt_model_usual(struct kunit *test)
{
	xdt_model_run(test, xdt_scaled(100000), 32, false);
}

/* All memory within reach of 28 bits. */
static void xdt_model_low(struct kunit *test)
{
	xdt_restart(test->priv, SZ_1M, SZ_256M);
	xdt_model_run(test, xdt_scaled(100000), 28, false);
}

/* Chunks come and go meanwhile. */
static void xdt_model_growing(struct kunit *test)
{
	struct xdt *x = test->priv;

	xen_pool_max = x->size + SZ_32M;
	xen_pool_idle = 0;
	xdt_model_run(test, xdt_scaled(100000), 28, true);
}

/* Widths. */

/* Wide devices do not take what only narrow ones depend on. */
static void xdt_reserve(struct kunit *test)
{
	static const size_t sizes[] = { 1, SZ_2K, SZ_8K, SZ_64K, SZ_256K,
					SZ_1M };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), narrow;
	struct device *dev24 = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	unsigned int i, j, nr;
	bool low;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		nr = xdt_exhaust(x, x->dev, sizes[i], bus,
				 x->size / XDT_SLOT + 1);
		low = false;
		for (j = 0; j < nr; j++) {
			if (bus[j] < SZ_16M) {
				low = true;
			} else if (low) {
				KUNIT_FAIL(test,
					   "%zu bytes at %pad: low memory taken before",
					   sizes[i], &bus[j]);
				break;
			}
		}
		KUNIT_EXPECT_TRUE_MSG(test, low, "%zu bytes", sizes[i]);
		xdt_release(x, x->dev, sizes[i], bus, nr);

		/* Three quarters in use: the narrow device has room. */
		nr = xdt_exhaust(x, x->dev, sizes[i], bus, nr * 3 / 4);
		narrow = xdt_map(dev24, x->buf, SZ_1M, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE(test, narrow, DMA_MAPPING_ERROR);
		KUNIT_EXPECT_LE(test, narrow, SZ_16M - SZ_1M);
		if (narrow != DMA_MAPPING_ERROR)
			xdt_unmap(dev24, narrow, SZ_1M, DMA_TO_DEVICE, 0);
		xdt_release(x, x->dev, sizes[i], bus, nr);
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* A block that a wide device gave back may be too high for the next. */
static void xdt_width(struct kunit *test)
{
	static const size_t sizes[] = { 1, SZ_2K, 3 * SZ_2K, SZ_16K, SZ_32K,
					SZ_256K, SZ_512K };
	struct xdt *x = test->priv;
	struct device *devs[ARRAY_SIZE(xdt_bits)];
	unsigned int i, j, round;
	dma_addr_t bus;
	char name[16];

	for (i = 0; i < ARRAY_SIZE(xdt_bits); i++) {
		snprintf(name, sizeof(name), "dma%u", xdt_bits[i]);
		devs[i] = xdt_device(x, name, DMA_BIT_MASK(xdt_bits[i]));
	}
	for (round = 0; round < 3; round++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			/* Widest first. */
			for (i = ARRAY_SIZE(xdt_bits) - 1; i < -1U; i--) {
				bus = xdt_map(devs[i], x->buf + 2000, sizes[j],
					      DMA_TO_DEVICE, 0);
				KUNIT_EXPECT_NE_MSG(test, bus,
						    DMA_MAPPING_ERROR,
						    "%zu bytes, %u bits",
						    sizes[j], xdt_bits[i]);
				if (bus == DMA_MAPPING_ERROR)
					continue;
				KUNIT_EXPECT_LE_MSG(test, bus + sizes[j] - 1,
						    *devs[i]->dma_mask,
						    "%zu bytes", sizes[j]);
				xdt_unmap(devs[i], bus, sizes[j],
					  DMA_TO_DEVICE, 0);
			}
		}
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* A limit of the bus counts like one of the device. */
static void xdt_bus_limit(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int bits, round;
	dma_addr_t bus;

	*x->dev->dma_mask = DMA_BIT_MASK(64);
	for (round = 0; round < 2; round++) {
		for (bits = 24; bits <= 32; bits++) {
			x->dev->bus_dma_limit = DMA_BIT_MASK(bits);
			bus = xdt_map(x->dev, x->buf, SZ_8K, DMA_TO_DEVICE, 0);
			KUNIT_EXPECT_NE_MSG(test, bus, DMA_MAPPING_ERROR,
					    "%u bits", bits);
			if (bus == DMA_MAPPING_ERROR)
				continue;
			KUNIT_EXPECT_LE(test, bus + SZ_8K - 1,
					DMA_BIT_MASK(bits));
			xdt_unmap(x->dev, bus, SZ_8K, DMA_TO_DEVICE, 0);
		}
	}
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/*
 * Whether a device is served is known when it sets its mask: then the mappings
 * succeed, or they are never tried.
 */
static void xdt_truth(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int bits;
	dma_addr_t bus;
	int supported;

	/* Nothing below 1 MiB, some below 16 MiB, the rest high. */
	for (bits = 16; bits <= 64; bits++) {
		supported = xen_swiotlb_dma_ops.dma_supported(x->dev,
							      DMA_BIT_MASK(bits));
		if (bits <= 20)
			KUNIT_EXPECT_EQ_MSG(test, supported, 0, "%u bits",
					    bits);
		if (bits >= 24)
			KUNIT_EXPECT_NE_MSG(test, supported, 0, "%u bits",
					    bits);
		if (!supported)
			continue;
		*x->dev->dma_mask = DMA_BIT_MASK(bits);
		bus = xdt_map(x->dev, x->buf + 100, SZ_4K, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE_MSG(test, bus, DMA_MAPPING_ERROR, "%u bits",
				    bits);
		if (bus == DMA_MAPPING_ERROR)
			continue;
		KUNIT_EXPECT_LE_MSG(test, bus + SZ_4K - 1, DMA_BIT_MASK(bits),
				    "%u bits", bits);
		xdt_unmap(x->dev, bus, SZ_4K, DMA_TO_DEVICE, 0);
	}
}

/* Memory for narrow devices, where the aperture at boot has none. */
static void xdt_obtain(struct kunit *test)
{
	static const unsigned int bits[] = { 31, 30, 28 };
	unsigned long free, exchanges, total;
	struct xdt *x = test->priv;
	struct device *dev;
	dma_addr_t bus;
	unsigned int i;
	char name[16];
	u64 mask;

	/* Nothing below 16 MiB; the aperture takes the highest. */
	xdt_restart(x, SZ_64M, SZ_2G + SZ_1G);
	xen_pool_max = x->size + SZ_32M;

	exchanges = xen_machine_exchanges();
	dev = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			xen_aperture_obtain(dev, DMA_BIT_MASK(24)));
	KUNIT_EXPECT_EQ(test, 0,
			xen_swiotlb_dma_ops.dma_supported(dev,
							  DMA_BIT_MASK(24)));
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), exchanges);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	bus = xdt_map(dev, x->buf, 1, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	KUNIT_EXPECT_EQ(test, bus, DMA_MAPPING_ERROR);

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		mask = DMA_BIT_MASK(bits[i]);
		snprintf(name, sizeof(name), "dma%u", bits[i]);
		dev = xdt_device(x, name, mask);
		free = xen_machine_low_free(bits[i]);
		KUNIT_EXPECT_EQ(test, xen_aperture_obtain(dev, mask), 0);
		KUNIT_EXPECT_LT_MSG(test, xen_machine_low_free(bits[i]), free,
				    "%u bits", bits[i]);
		KUNIT_EXPECT_LE(test, xdt_total(), xen_pool_max);

		/* There is one now. */
		free = xen_machine_low_free(bits[i]);
		KUNIT_EXPECT_EQ(test, xen_aperture_obtain(dev, mask), 0);
		KUNIT_EXPECT_EQ_MSG(test, xen_machine_low_free(bits[i]), free,
				    "%u bits", bits[i]);

		total = xdt_total();
		bus = xdt_map(dev, x->buf, SZ_1M, DMA_TO_DEVICE, 0);
		KUNIT_EXPECT_NE(test, bus, DMA_MAPPING_ERROR);
		if (bus == DMA_MAPPING_ERROR)
			continue;
		KUNIT_EXPECT_LE_MSG(test, bus + SZ_1M - 1, mask, "%u bits",
				    bits[i]);
		/* Its own chunk serves it, so none is added. */
		KUNIT_EXPECT_EQ(test, xdt_total(), total);
		xdt_unmap(dev, bus, SZ_1M, DMA_TO_DEVICE, 0);
	}
}

/* Growth and release. */

#define XDT_CHUNK	SZ_4M
#define XDT_PATIENCE_MS	1100

static void xdt_drain(struct work_struct *work)
{
	drain_local_pages(NULL);
}

/* Pages of the kernel that are free, whoever holds them back. */
static unsigned long xdt_free_pages(void)
{
	rcu_barrier();
	vm_unmap_aliases();
	schedule_on_each_cpu(xdt_drain);
	return global_zone_page_state(NR_FREE_PAGES);
}

/* Let go of chunks that nobody uses. */
static void xdt_settle(struct xdt *x)
{
	unsigned int i;

	xen_pool_idle = 0;
	for (i = 0; i < 20; i++) {
		xen_pool_flush_work();
		if (xdt_total() <= x->size)
			return;
		msleep(50);
	}
}

/*
 * After an attempt to grow that failed, the aperture may wait before the next,
 * but not for longer than this.
 */
static void xdt_patience(void)
{
	msleep(XDT_PATIENCE_MS);
}

/* As xdt_exhaust(), with interrupts off. Each mapping has its own bytes. */
static unsigned int xdt_exhaust_atomic(struct xdt *x, struct device *dev,
				       size_t size, dma_addr_t *bus,
				       unsigned int max)
{
	unsigned long flags;
	unsigned int nr;

	for (nr = 0; nr < max; nr++) {
		xdt_fill(x->buf, nr, 0, size);
		local_irq_save(flags);
		bus[nr] = xdt_map(dev, x->buf, size, DMA_TO_DEVICE,
				  DMA_ATTR_NO_WARN);
		local_irq_restore(flags);
		if (bus[nr] == DMA_MAPPING_ERROR)
			break;
		if (bus[nr] + size - 1 > *dev->dma_mask ||
		    !xdt_claim(x->live, bus[nr], size)) {
			KUNIT_FAIL(x->test, "%pad: had before or out of reach",
				   &bus[nr]);
			return nr;
		}
	}
	return nr;
}

static void xdt_check_contents(struct xdt *x, size_t size, dma_addr_t *bus,
			       unsigned int nr)
{
	ssize_t bad;

	while (nr--) {
		bad = xdt_dev_differs(x->scratch, bus[nr], nr, 0, size);
		KUNIT_EXPECT_EQ_MSG(x->test, bad, -1, "mapping %u at %pad", nr,
				    &bus[nr]);
	}
}

static void xdt_grow_atomic(struct kunit *test)
{
	static const size_t sizes[] = { SZ_256K, SZ_2K, SZ_32K, SZ_1M };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), again;
	unsigned long low, max = x->size + 4 * XDT_CHUNK;
	unsigned int i, j, nr;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		xen_pool_max = max;
		xen_pool_idle = 3600;
		low = xen_machine_low_free(32);
		nr = xdt_exhaust_atomic(x, x->dev, sizes[i], bus,
					2 * x->size / XDT_SLOT);
		KUNIT_EXPECT_EQ_MSG(test, nr, max / sizes[i],
				    "mappings of %zu bytes", sizes[i]);
		KUNIT_EXPECT_EQ_MSG(test, xdt_total(), max, "%zu bytes",
				    sizes[i]);
		KUNIT_EXPECT_EQ(test, low - xen_machine_low_free(32),
				(max - x->size) >> PAGE_SHIFT);
		xdt_check_contents(x, sizes[i], bus, nr);

		/* No more, neither now nor by the worker. */
		xen_pool_flush_work();
		KUNIT_EXPECT_EQ(test, xdt_total(), max);
		again = xdt_map(x->dev, x->buf, 1, DMA_TO_DEVICE,
				DMA_ATTR_NO_WARN);
		KUNIT_EXPECT_EQ(test, again, DMA_MAPPING_ERROR);
		xdt_unmap(x->dev, bus[nr / 2], sizes[i], DMA_TO_DEVICE, 0);
		xdt_fill(x->buf, nr / 2, 0, sizes[i]);
		bus[nr / 2] = xdt_map(x->dev, x->buf, sizes[i], DMA_TO_DEVICE,
				      0);
		KUNIT_EXPECT_NE(test, bus[nr / 2], DMA_MAPPING_ERROR);
		xdt_check_contents(x, sizes[i], bus, nr);

		/* Used until now, so still there. */
		xdt_release(x, x->dev, sizes[i], bus, nr);
		xen_pool_flush_work();
		KUNIT_EXPECT_EQ(test, xdt_total(), max);
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);
		nr = xdt_exhaust(x, x->dev, sizes[i], bus,
				 2 * x->size / XDT_SLOT);
		KUNIT_EXPECT_EQ(test, nr, max / sizes[i]);

		/* Unused, so gone, and no address leads there. */
		for (j = 0; j < nr; j++) {
			xdt_disclaim(x->live, bus[j], sizes[i]);
			xdt_unmap(x->dev, bus[j], sizes[i], DMA_TO_DEVICE, 0);
		}
		xdt_settle(x);
		KUNIT_EXPECT_EQ_MSG(test, xdt_total(), x->size, "%zu bytes",
				    sizes[i]);
		KUNIT_EXPECT_EQ_MSG(test, xen_machine_low_free(32), low,
				    "%zu bytes", sizes[i]);
		for (j = 0; j < nr; j++)
			max -= xen_pool_find(bus[j]) ? 0 : sizes[i];
		KUNIT_EXPECT_EQ_MSG(test, max, x->size,
				    "bytes that the table still knows, blocks of %zu bytes",
				    sizes[i]);
		max = x->size + 4 * XDT_CHUNK;
		if (test->status != KUNIT_SUCCESS)
			return;
	}
}

static void xdt_grow_worker(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int half, most, nr = x->size / SZ_256K;

	xen_pool_max = x->size + 8 * XDT_CHUNK;
	xen_pool_idle = 3600;

	/* Half full is not low. */
	half = xdt_exhaust_atomic(x, x->dev, SZ_256K, bus, nr / 2);
	KUNIT_EXPECT_EQ(test, half, nr / 2);
	xen_pool_flush_work();
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);

	/* Less than a sixteenth is, and nobody has to fail for it. */
	most = half + xdt_exhaust(x, x->dev, SZ_256K, bus + half,
				  nr * 15 / 16 - half + 1);
	KUNIT_EXPECT_EQ(test, most, nr * 15 / 16 + 1);
	xen_pool_flush_work();
	KUNIT_EXPECT_GT(test, xdt_total(), x->size);
	KUNIT_EXPECT_LE(test, xdt_total(), xen_pool_max);
	xdt_check_contents(x, SZ_256K, bus, half);

	/* A chunk that is in use stays, and its content. */
	xen_pool_idle = 0;
	nr = xdt_exhaust_atomic(x, x->dev, SZ_256K, bus + most, nr / 4);
	xdt_release(x, x->dev, SZ_256K, bus, most);
	xen_pool_flush_work();
	xen_pool_flush_work();
	xdt_check_contents(x, SZ_256K, bus + most, nr);
	KUNIT_EXPECT_EQ(test, xdt_used(), (u64)nr * SZ_256K);
	xdt_release(x, x->dev, SZ_256K, bus + most, nr);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
}

/* Limits between which a chunk does not fit. */
static void xdt_grow_limit(struct kunit *test)
{
	static const unsigned long room[] = { 0, 1, XDT_CHUNK - 1,
					      XDT_CHUNK, XDT_CHUNK + SZ_2M,
					      3 * XDT_CHUNK - 1 };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, round, nr;
	u64 want;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(room); i++) {
			xen_pool_max = x->size + room[i];
			nr = xdt_exhaust_atomic(x, x->dev, SZ_64K, bus,
						2 * x->size / SZ_64K);
			xen_pool_flush_work();
			KUNIT_EXPECT_LE_MSG(test, xdt_total(),
					    xen_pool_max, "room for %lu",
					    room[i]);
			want = x->size + rounddown(room[i], XDT_CHUNK);
			KUNIT_EXPECT_GE_MSG(test, xdt_total(), want,
					    "room for %lu", room[i]);
			KUNIT_EXPECT_EQ(test, nr, xdt_total() / SZ_64K);
			xdt_release(x, x->dev, SZ_64K, bus, nr);
			xdt_settle(x);
			KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
			xen_pool_idle = 3600;
			if (test->status != KUNIT_SUCCESS)
				return;
		}
	}
}

/* Many rounds cost nothing. */
static void xdt_grow_cycles(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned long cycle, cycles = xdt_scaled(24);
	unsigned long low = 0, pages = 0;
	unsigned int nr;

	for (cycle = 0; cycle <= cycles; cycle++) {
		xen_pool_max = x->size + 4 * XDT_CHUNK;
		nr = xdt_exhaust_atomic(x, x->dev, SZ_128K, bus,
					xen_pool_max / SZ_128K);
		KUNIT_EXPECT_EQ_MSG(test, nr, xen_pool_max / SZ_128K,
				    "cycle %lu", cycle);
		xdt_release(x, x->dev, SZ_128K, bus, nr);
		xdt_settle(x);
		KUNIT_EXPECT_EQ_MSG(test, xdt_total(), x->size, "cycle %lu",
				    cycle);
		/* The first fills what the kernel caches. */
		if (cycle == 0) {
			low = xen_machine_low_free(32);
			pages = xdt_free_pages();
		}
		if (test->status != KUNIT_SUCCESS)
			return;
	}
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
	KUNIT_EXPECT_GE_MSG(test, xdt_free_pages() + 128, pages,
			    "pages lost in %lu cycles", cycles);
}

/* A hypervisor that has nothing, or takes nothing back. */
static void xdt_grow_fails(struct kunit *test)
{
	static const int errs[] = { -ENOMEM, -EBUSY };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	unsigned long low = xen_machine_low_free(32), exchanges;
	unsigned long before, pages;
	unsigned int i, j, nr;

	xen_pool_max = x->size + 4 * XDT_CHUNK;
	xen_pool_idle = 3600;
	exchanges = xen_machine_exchanges();
	before = xdt_free_pages();
	for (i = 0; i < ARRAY_SIZE(errs); i++) {
		xen_machine_fail_exchanges(errs[i]);
		pages = xdt_free_pages();
		for (j = 0; j < 8; j++) {
			nr = xdt_exhaust_atomic(x, x->dev, SZ_1M, bus,
						2 * x->size / SZ_1M);
			xen_pool_flush_work();
			xdt_release(x, x->dev, SZ_1M, bus, nr);
		}
		KUNIT_EXPECT_EQ(test, nr, x->size / SZ_1M);
		KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
		KUNIT_EXPECT_EQ(test, xdt_used(), 0);
		KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
		KUNIT_EXPECT_GE_MSG(test, xdt_free_pages() + 512, pages,
				    "pages lost by error %d", errs[i]);
	}
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), exchanges);

	/* It has some again; who waits a little after a failure may. */
	xen_machine_fail_exchanges(0);
	for (j = 0; j < 50; j++) {
		nr = xdt_exhaust(x, x->dev, SZ_1M, bus, 2 * x->size / SZ_1M);
		xen_pool_flush_work();
		xdt_release(x, x->dev, SZ_1M, bus, nr);
		if (xdt_total() == xen_pool_max)
			break;
		msleep(100);
	}
	KUNIT_EXPECT_EQ(test, xdt_total(), xen_pool_max);

	/* Nothing is lost while it takes nothing back. */
	xen_machine_fail_exchanges(-ENOMEM);
	xen_pool_idle = 0;
	xen_pool_flush_work();
	xen_pool_flush_work();
	nr = xdt_exhaust(x, x->dev, SZ_1M, bus, 2 * x->size / SZ_1M);
	KUNIT_EXPECT_EQ(test, nr, xdt_total() / SZ_1M);
	xdt_release(x, x->dev, SZ_1M, bus, nr);
	xen_machine_fail_exchanges(0);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_GE_MSG(test, xdt_free_pages() + 512, before,
			    "pages lost");
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
}

/* A narrow device's chunks come from where it reaches. */
static void xdt_grow_narrow(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct device *dev = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	unsigned long low = xen_machine_low_free(24);
	unsigned int before, nr;

	before = xdt_exhaust(x, dev, SZ_64K, bus, 1000);
	xdt_release(x, dev, SZ_64K, bus, before);
	KUNIT_EXPECT_GE(test, before, SZ_1M / SZ_64K);

	xdt_patience();
	xen_pool_max = x->size + XDT_CHUNK;
	nr = xdt_exhaust_atomic(x, dev, SZ_64K, bus, 1000);
	KUNIT_EXPECT_EQ(test, nr, before + XDT_CHUNK / SZ_64K);
	KUNIT_EXPECT_EQ(test, low - xen_machine_low_free(24),
			XDT_CHUNK >> PAGE_SHIFT);
	xdt_check_contents(x, SZ_64K, bus, nr);
	xdt_release(x, dev, SZ_64K, bus, nr);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), low);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
}

/* A hypervisor that has the lowest memory only keeps it for narrow devices. */
static void xdt_grow_spares_lowest(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x);
	struct device *dev = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	unsigned long low;
	unsigned int nr;

	xen_machine_set_low(0, SZ_16M);
	low = xen_machine_low_free(24);
	xen_pool_max = x->size + 2 * XDT_CHUNK;
	nr = xdt_exhaust_atomic(x, x->dev, SZ_64K, bus, 2 * x->size / SZ_64K);
	xen_pool_flush_work();
	KUNIT_EXPECT_EQ(test, nr, x->size / SZ_64K);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), low);
	xdt_release(x, x->dev, SZ_64K, bus, nr);

	/* Who needs it gets it, and what has just failed for others is no bar. */
	nr = xdt_exhaust_atomic(x, dev, SZ_64K, bus, 1000);
	KUNIT_EXPECT_GT(test, xdt_total(), x->size);
	KUNIT_EXPECT_LT(test, xen_machine_low_free(24), low);
	xdt_release(x, dev, SZ_64K, bus, nr);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), low);
}

/* What was made for narrow devices is theirs while there is anything else. */
static void xdt_spares_narrow(struct xdt *x, struct device *dev,
			      dma_addr_t *bus)
{
	struct kunit *test = x->test;
	dma_addr_t *narrow;
	unsigned int nr, few;

	xen_pool_max = x->size + 2 * XDT_CHUNK;
	KUNIT_ASSERT_EQ(test, 0, xen_aperture_obtain(dev, DMA_BIT_MASK(30)));
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size + XDT_CHUNK);

	nr = xdt_exhaust_atomic(x, x->dev, SZ_64K, bus,
				(x->size + XDT_CHUNK) / SZ_64K);
	KUNIT_EXPECT_EQ(test, nr, (x->size + XDT_CHUNK) / SZ_64K);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size + 2 * XDT_CHUNK);
	narrow = bus + nr;
	few = xdt_exhaust(x, dev, SZ_64K, narrow, 1000);
	KUNIT_EXPECT_EQ(test, few, XDT_CHUNK / SZ_64K);
	xdt_release(x, dev, SZ_64K, narrow, few);

	/* For want of anything else it is better than nothing. */
	few = xdt_exhaust(x, x->dev, SZ_64K, narrow, 1000);
	KUNIT_EXPECT_EQ(test, few, XDT_CHUNK / SZ_64K);
	xdt_release(x, x->dev, SZ_64K, narrow, few);
	xdt_release(x, x->dev, SZ_64K, bus, nr);
}

/* Whether the aperture lies in the zone of what is made for narrow devices or not. */
static void xdt_grow_spares_narrow(struct kunit *test)
{
	static const u64 low_ends[] = { SZ_2G + (u64)SZ_1G, SZ_2G };
	struct xdt *x = test->priv;
	struct device *dev = xdt_device(x, "dma30", DMA_BIT_MASK(30));
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(low_ends); i++) {
		xdt_restart(x, SZ_64M, low_ends[i]);
		xdt_spares_narrow(x, dev, bus);
	}
}

/* Does the worker add a chunk for a mapping that has failed? Not if it was too early. */
static bool xdt_wakes(struct xdt *x, struct device *dev)
{
	u64 total = xdt_total();
	unsigned long flags;
	dma_addr_t bus;

	xdt_patience();
	xen_machine_fail_exchanges(-ENOMEM);
	local_irq_save(flags);
	bus = xdt_map(dev, x->buf, SZ_64K, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
	xen_machine_fail_exchanges(0);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(x->test, bus, DMA_MAPPING_ERROR);
	xen_pool_flush_work();

	return xdt_total() > total;
}

/* Who finds no room at all wakes the worker, be it narrow or wide. */
static void xdt_grow_wakes(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct device *narrow = xdt_device(x, "dma30", DMA_BIT_MASK(30));
	struct device *devs[] = { x->dev, narrow };
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int i, nr, tries;

	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		xdt_restart(x, SZ_64M, SZ_2G + (u64)SZ_1G);
		xen_pool_max = x->size + 4 * XDT_CHUNK;
		KUNIT_ASSERT_EQ(test, 0,
				xen_aperture_obtain(narrow, DMA_BIT_MASK(30)));
		xen_machine_fail_exchanges(-ENOMEM);
		nr = xdt_exhaust_atomic(x, devs[i], SZ_64K, bus, 2000);
		xen_pool_flush_work();
		for (tries = 5; tries && !xdt_wakes(x, devs[i]); tries--)
			;
		KUNIT_EXPECT_NE_MSG(test, tries, 0, "device %u", i);
		xdt_release(x, devs[i], SZ_64K, bus, nr);
	}
}

/* The domain was restored: all of the aperture's pages have other frames. */
static void xdt_move(struct xdt *x)
{
	xen_machine_place(x->area, x->size >> PAGE_SHIFT, XEN_MACHINE_FREE_MFN);
}

/* Is what the device reads and writes the aperture's? */
static void xdt_still_bounces(struct xdt *x, unsigned int max)
{
	dma_addr_t *bus = xdt_addresses(x);
	unsigned int nr = xdt_exhaust_atomic(x, x->dev, SZ_256K, bus, max);

	KUNIT_EXPECT_EQ(x->test, nr, max);
	xdt_check_contents(x, SZ_256K, bus, nr);
	xdt_release(x, x->dev, SZ_256K, bus, nr);
}

static void xdt_moved(struct kunit *test)
{
	struct xdt *x = test->priv;
	struct xen_pool_chunk *chunk;
	dma_addr_t bus;
	size_t size;

	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);

	/* Nobody uses it: it is made anew when there is time. */
	xdt_move(x);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	KUNIT_EXPECT_EQ(test, xdt_total(), 0);
	xen_pool_flush_resume();
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	xdt_still_bounces(x, 32);

	/* A part is used: nobody is given that. */
	bus = xdt_map(x->dev, x->buf, SZ_4K, DMA_TO_DEVICE, 0);
	chunk = xen_pool_find(bus);
	KUNIT_ASSERT_NOT_NULL(test, chunk);
	size = xen_chunk_size(chunk);
	xdt_move(x);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), size);
	xen_pool_flush_resume();
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size - size);
	KUNIT_EXPECT_PTR_NE(test, xen_pool_find(bus), chunk);
	xdt_still_bounces(x, 32);

	/* Here Xen has none: a device's own chunk is what remains. */
	xdt_move(x);
	xen_machine_fail_exchanges(-ENOMEM);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	xen_pool_flush_resume();
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, xdt_total(), 0);
	KUNIT_EXPECT_EQ(test, 0, xen_aperture_obtain(x->dev, DMA_BIT_MASK(32)));
	xdt_still_bounces(x, 4);

	/* Here it has some, in smaller pieces. */
	xdt_restart(x, SZ_64M, SZ_2G + (u64)SZ_1G);
	xdt_move(x);
	xen_machine_set_low(SZ_64M, SZ_64M + SZ_16M);
	KUNIT_EXPECT_EQ(test, xen_pool_revise(), 0);
	xen_pool_flush_resume();
	KUNIT_EXPECT_EQ(test, xdt_total(), SZ_16M);
	xdt_still_bounces(x, 32);
}

/* Chunks that may go are nobody's home, so that they get idle. */
static void xdt_grow_home(struct kunit *test)
{
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), more;
	unsigned int nr;

	xdt_restart(x, SZ_64M, SZ_2G);
	xen_pool_max = x->size + 2 * XDT_CHUNK;
	xen_machine_set_low(SZ_2G, SZ_2G + (u64)SZ_1G);
	nr = xdt_exhaust_atomic(x, x->dev, SZ_1M, bus, x->size / SZ_1M + 1);
	KUNIT_EXPECT_EQ(test, nr, x->size / SZ_1M + 1);
	KUNIT_EXPECT_GE(test, bus[nr - 1], SZ_2G);
	while (nr)
		xdt_release(x, x->dev, SZ_1M, bus + --nr, 1);
	more = xdt_map(x->dev, x->buf, SZ_1M, DMA_TO_DEVICE, 0);
	KUNIT_EXPECT_LT(test, more, SZ_2G);
	xdt_unmap(x->dev, more, SZ_1M, DMA_TO_DEVICE, 0);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
}

/* A growth that failed costs the next ones nothing, of whatever size they are. */
static void xdt_grow_tries_once(struct kunit *test)
{
	static const size_t sizes[] = { SZ_2M, SZ_512K, SZ_256K, SZ_4K };
	struct xdt *x = test->priv;
	dma_addr_t *bus = xdt_addresses(x), more;
	struct xen_machine_counts was, now;
	unsigned int i, j, nr;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		xen_pool_max = x->size;
		nr = xdt_exhaust(x, x->dev, sizes[i], bus,
				 x->size / sizes[i] + 1);
		xdt_patience();
		xen_pool_max = x->size + 4 * XDT_CHUNK;
		xen_machine_fail_exchanges(-ENOMEM);
		xen_machine_counts(&was);
		for (j = 0; j < 100; j++) {
			unsigned long flags;

			local_irq_save(flags);
			more = xdt_map(x->dev, x->buf, sizes[i], DMA_TO_DEVICE,
				       DMA_ATTR_NO_WARN);
			local_irq_restore(flags);
			KUNIT_EXPECT_EQ(test, more, DMA_MAPPING_ERROR);
		}
		xen_machine_counts(&now);
		KUNIT_EXPECT_LE_MSG(test, now.make_calls - was.make_calls, 8,
				    "100 mappings of %zu bytes", sizes[i]);

		/* Nor does it keep the worker from trying. */
		xen_machine_fail_exchanges(0);
		xen_pool_flush_work();
		more = xdt_map(x->dev, x->buf, 1, DMA_TO_DEVICE,
			       DMA_ATTR_NO_WARN);
		if (more != DMA_MAPPING_ERROR)
			xdt_unmap(x->dev, more, 1, DMA_TO_DEVICE, 0);
		xdt_release(x, x->dev, sizes[i], bus, nr);
		xdt_settle(x);
	}
}

/* What CPUs may keep has a bound, whatever they use, and all of it comes back. */
static void xdt_lending(struct kunit *test)
{
	const struct xen_pool_reach all = xen_pool_reach(U64_MAX);
	struct xdt *x = test->priv;
	unsigned int slots, i, round;
	dma_addr_t bus;

	for (round = 0; round < 3; round++) {
		/* In a small one there is not enough for each size. */
		if (round == 2) {
			x->size = SZ_8M;
			xdt_restart(x, SZ_1M, SZ_2G);
		}
		for (slots = 1; slots <= XEN_MAX_BIN_SLOTS; slots++) {
			bus = xdt_map(x->dev, x->buf, slots * XDT_SLOT,
				      DMA_TO_DEVICE, 0);
			KUNIT_EXPECT_NE(test, bus, DMA_MAPPING_ERROR);
			xdt_unmap(x->dev, bus, slots * XDT_SLOT, DMA_TO_DEVICE,
				  0);
			for (i = 0; i < XEN_NR_ZONES; i++)
				KUNIT_EXPECT_LE(test, xen_pool_zones[i].lent,
						xen_pool_zones[i].total / 4);
		}
		xen_pool_drain(&all, true);
		for (i = 0; i < XEN_NR_ZONES; i++) {
			KUNIT_EXPECT_EQ(test, xen_pool_zones[i].lent, 0);
			KUNIT_EXPECT_EQ(test, xen_pool_zones[i].stored, 0);
			KUNIT_EXPECT_EQ(test, xen_pool_zones[i].free,
					xen_pool_zones[i].total);
		}
	}
}

/* Whether some CPU was denied room for some size. */
static bool xdt_denied(void)
{
	unsigned int cpu, i;

	for_each_possible_cpu(cpu)
		for (i = 0; i < XEN_NR_ZONES; i++)
			if (per_cpu(xen_pool_cpus, cpu)[i].denied)
				return true;
	return false;
}

/* Who is denied room gets it later, though the CPUs have just been emptied. */
static void xdt_rebalance(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned int round, slots;
	dma_addr_t bus;

	x->size = SZ_8M;
	xdt_restart(x, SZ_1M, SZ_2G);
	for (round = 0; round < 3; round++) {
		for (slots = 1; slots <= XEN_MAX_BIN_SLOTS; slots++) {
			bus = xdt_map(x->dev, x->buf, slots * XDT_SLOT,
				      DMA_TO_DEVICE, 0);
			xdt_unmap(x->dev, bus, slots * XDT_SLOT, DMA_TO_DEVICE,
				  0);
		}
		/* The first time the worker may have been at it already. */
		if (round)
			KUNIT_EXPECT_TRUE(test, xdt_denied());
		xen_pool_flush_rebalance();
		if (round)
			KUNIT_EXPECT_FALSE(test, xdt_denied());
	}
}

/*
 * A CPU that maps and unmaps takes no lock, up to 256 KiB: all of them are held while
 * it does so.
 */
static void xdt_no_lock(struct kunit *test)
{
	static const size_t sizes[] = { 64, SZ_4K, 5 * SZ_4K, 9 * SZ_4K, SZ_64K,
					25 * SZ_4K, SZ_256K };
	struct xdt *x = test->priv;
	unsigned int i, j, failed = 0;
	unsigned long flags;
	dma_addr_t bus;

	local_irq_save(flags);
	for (j = 0; j < 20; j++) {
		/* What each size needs it has after the first time. */
		for (i = 0; j == 1 && i < XEN_NR_ZONES; i++)
			raw_spin_lock_nested(&xen_pool_zones[i].lock, i);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			bus = xdt_map(x->dev, x->buf, sizes[i], DMA_TO_DEVICE,
				      DMA_ATTR_NO_WARN);
			failed += bus == DMA_MAPPING_ERROR;
			if (bus != DMA_MAPPING_ERROR)
				xdt_unmap(x->dev, bus, sizes[i], DMA_TO_DEVICE,
					  0);
		}
	}
	for (i = 0; i < XEN_NR_ZONES; i++)
		raw_spin_unlock(&xen_pool_zones[i].lock);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, failed, 0);
}

/* Concurrency. */

#define XDT_HOT_SLOTS	64
#define XDT_HOT_THREADS	4

/* A mapping, from when it is made until some thread takes and checks it. */
struct xdt_hot {
	struct device *dev;
	u8 *buf;
	unsigned int order;
	size_t size;
	dma_addr_t bus;
	u32 key;
};

/**
 * struct xdt_stress - what the threads share
 * @x:		the fixture
 * @dev:	devices of several widths
 * @slot:	mappings for whoever comes
 * @failures:	how many
 * @full:	mappings that could not be made
 * @why:	what failed first
 */
struct xdt_stress {
	struct xdt *x;
	struct device *dev[3];
	struct xdt_hot *slot[XDT_HOT_SLOTS];
	atomic_t failures;
	atomic_t full;
	const char *why;
};

struct xdt_hot_thread {
	struct xdt_stress *stress;
	struct task_struct *task;
	struct completion done;
	struct rnd_state rnd;
	unsigned long steps;
	u8 *scratch;
};

static void xdt_hot_fail(struct xdt_stress *s, const char *why)
{
	if (atomic_inc_return(&s->failures) == 1)
		s->why = why;
}

static struct xdt_hot *xdt_hot_map(struct xdt_hot_thread *t)
{
	struct xdt_stress *s = t->stress;
	struct xdt_hot *h = kzalloc(sizeof(*h), GFP_KERNEL);
	unsigned long flags;

	if (!h)
		return NULL;
	h->dev = s->dev[xdt_below(&t->rnd, ARRAY_SIZE(s->dev))];
	h->size = xdt_any_size(&t->rnd, xdt_chance(&t->rnd, 5) ? SZ_512K :
								 SZ_8K);
	h->order = get_order(h->size + 2 * XDT_GUARD);
	h->buf = (u8 *)__get_free_pages(GFP_KERNEL, h->order);
	if (!h->buf)
		goto free;
	h->buf += XDT_GUARD;
	h->key = xdt_below(&t->rnd, XDT_PERIOD);
	xdt_fill(h->buf - XDT_GUARD, h->key, 0, h->size + 2 * XDT_GUARD);

	if (xdt_chance(&t->rnd, 30)) {
		local_irq_save(flags);
		h->bus = xdt_map(h->dev, h->buf, h->size, DMA_BIDIRECTIONAL,
				 DMA_ATTR_NO_WARN);
		local_irq_restore(flags);
	} else {
		h->bus = xdt_map(h->dev, h->buf, h->size, DMA_BIDIRECTIONAL,
				 DMA_ATTR_NO_WARN);
	}
	if (h->bus == DMA_MAPPING_ERROR) {
		atomic_inc(&s->full);
		free_pages((unsigned long)h->buf & PAGE_MASK, h->order);
		goto free;
	}

	if (h->bus + h->size - 1 > *h->dev->dma_mask)
		xdt_hot_fail(s, "beyond the mask");
	else if (!xdt_claim(s->x->live, h->bus, h->size))
		xdt_hot_fail(s, "slots given out twice");
	if (xdt_dev_differs(t->scratch, h->bus, h->key, XDT_GUARD, h->size) >= 0)
		xdt_hot_fail(s, "device reads other bytes");
	if (!xdt_slack_is_zero(t->scratch, h->bus, h->size))
		xdt_hot_fail(s, "device reads old bytes beside");
	xdt_dev_fill(h->bus, h->key + 1, XDT_GUARD, h->size);
	return h;

free:
	kfree(h);
	return NULL;
}

static void xdt_hot_unmap(struct xdt_hot_thread *t, struct xdt_hot *h)
{
	struct xdt_stress *s = t->stress;
	size_t from = xdt_below(&t->rnd, h->size);
	size_t len = 1 + xdt_below(&t->rnd, h->size - from);

	if (xdt_chance(&t->rnd, 30)) {
		xdt_for_cpu(h->dev, h->bus + from, len, DMA_BIDIRECTIONAL);
		if (xdt_differs(h->buf + from, h->key + 1, XDT_GUARD + from,
				len) >= 0)
			xdt_hot_fail(s, "sync brings other bytes");
		xdt_for_device(h->dev, h->bus + from, len, DMA_BIDIRECTIONAL);
	}
	if (xdt_dev_differs(t->scratch, h->bus, h->key + 1, XDT_GUARD,
			    h->size) >= 0)
		xdt_hot_fail(s, "device's bytes changed");

	xdt_disclaim(s->x->live, h->bus, h->size);
	xdt_unmap(h->dev, h->bus, h->size, DMA_BIDIRECTIONAL, 0);
	if (xdt_differs(h->buf, h->key + 1, XDT_GUARD, h->size) >= 0)
		xdt_hot_fail(s, "unmapping brings other bytes");
	if (xdt_differs(h->buf - XDT_GUARD, h->key, 0, XDT_GUARD) >= 0 ||
	    xdt_differs(h->buf + h->size, h->key, XDT_GUARD + h->size,
			XDT_GUARD) >= 0)
		xdt_hot_fail(s, "unmapping copies too much");
	free_pages((unsigned long)h->buf & PAGE_MASK, h->order);
	kfree(h);
}

static int xdt_hot_thread(void *data)
{
	struct xdt_hot_thread *t = data;
	struct xdt_stress *s = t->stress;
	struct xdt_hot **slot, *h;
	unsigned long step;

	for (step = 0; step < t->steps && !atomic_read(&s->failures); step++) {
		slot = &s->slot[xdt_below(&t->rnd, XDT_HOT_SLOTS)];
		h = xchg(slot, NULL);
		if (h)
			xdt_hot_unmap(t, h);
		if (!h || xdt_chance(&t->rnd, 50)) {
			h = xchg(slot, xdt_hot_map(t));
			if (h)
				xdt_hot_unmap(t, h);
		}
		cond_resched();
	}
	complete(&t->done);
	return 0;
}

static void xdt_hot_start(struct xdt_hot_thread *t, unsigned int i)
{
	unsigned int cpu = cpumask_first(cpu_online_mask);

	if (i % 2)
		cpu = cpumask_last(cpu_online_mask);
	init_completion(&t->done);
	t->task = kthread_create(xdt_hot_thread, t, "xdt/%u", i);
	if (IS_ERR(t->task)) {
		xdt_hot_fail(t->stress, "no thread");
		complete(&t->done);
		return;
	}
	kthread_bind(t->task, cpu);
	wake_up_process(t->task);
}

/* Take all there is for a moment, so that it must grow, and let it shrink. */
static void xdt_hot_squeeze(struct xdt *x, struct xdt_hot_thread *threads)
{
	unsigned int nr, max = x->size / SZ_1M;
	dma_addr_t *bus = xdt_addresses(x);

	while (!completion_done(&threads[0].done)) {
		for (nr = 0; nr < max; nr++) {
			bus[nr] = xdt_map(x->dev, x->buf, SZ_1M, DMA_TO_DEVICE,
					  DMA_ATTR_NO_WARN |
					  DMA_ATTR_SKIP_CPU_SYNC);
			if (bus[nr] == DMA_MAPPING_ERROR)
				break;
		}
		while (nr--)
			xdt_unmap(x->dev, bus[nr], SZ_1M, DMA_TO_DEVICE, 0);
		xen_pool_flush_work();
		msleep(20);
	}
}

static void xdt_stress_run(struct kunit *test, bool grow)
{
	struct xdt *x = test->priv;
	unsigned long low = xen_machine_low_free(32);
	struct xdt_hot_thread *threads, *t;
	struct xdt_stress *s;
	unsigned int i;

	kunit_info(test, "seed %lu\n", seed);
	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	threads = kunit_kcalloc(test, XDT_HOT_THREADS, sizeof(*threads),
				GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_ASSERT_NOT_NULL(test, threads);
	s->x = x;
	s->dev[0] = x->dev;
	s->dev[1] = xdt_device(x, "dma24", DMA_BIT_MASK(24));
	s->dev[2] = xdt_device(x, "dma30", DMA_BIT_MASK(30));
	if (grow) {
		xen_pool_max = x->size + 8 * XDT_CHUNK;
		xen_pool_idle = 0;
	}

	for (i = 0; i < XDT_HOT_THREADS; i++) {
		t = &threads[i];
		t->stress = s;
		t->steps = xdt_scaled(60000);
		t->scratch = kunit_kmalloc(test, XDT_PIECE, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, t->scratch);
		prandom_seed_state(&t->rnd, seed + i);
	}
	for (i = 0; i < XDT_HOT_THREADS; i++)
		xdt_hot_start(&threads[i], i);
	if (grow)
		xdt_hot_squeeze(x, threads);
	for (i = 0; i < XDT_HOT_THREADS; i++)
		wait_for_completion(&threads[i].done);

	for (i = 0; i < XDT_HOT_SLOTS; i++) {
		if (s->slot[i])
			xdt_hot_unmap(&threads[0], s->slot[i]);
	}
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&s->failures), 0, "%s", s->why);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	xdt_settle(x);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
}

static void xdt_stress(struct kunit *test)
{
	xdt_stress_run(test, false);
}

static void xdt_stress_growing(struct kunit *test)
{
	xdt_stress_run(test, true);
}

/**
 * struct xdt_drained - a thread that maps while others empty its CPU's cache
 * @x:		the fixture
 * @done:	it has ended
 * @scratch:	for what the device sees
 * @steps:	how often it maps
 * @bad:	how often something was wrong
 */
struct xdt_drained {
	struct xdt *x;
	struct completion done;
	u8 *scratch;
	unsigned long steps;
	unsigned long bad;
};

static int xdt_drained_thread(void *data)
{
	struct xdt_drained *t = data;
	struct device *dev = t->x->dev;
	dma_addr_t bus, last = DMA_MAPPING_ERROR;
	unsigned long step;
	u8 *buf = t->x->buf;

	for (step = 0; step < t->steps; step++) {
		xdt_fill(buf, step, 0, SZ_64);
		bus = xdt_map(dev, buf, SZ_64, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
		if (bus == DMA_MAPPING_ERROR || bus == last ||
		    xdt_dev_differs(t->scratch, bus, step, 0, SZ_64) >= 0)
			t->bad++;
		if (last != DMA_MAPPING_ERROR)
			xdt_unmap(dev, last, SZ_64, DMA_TO_DEVICE, 0);
		last = bus;
		cond_resched();
	}
	if (last != DMA_MAPPING_ERROR)
		xdt_unmap(dev, last, SZ_64, DMA_TO_DEVICE, 0);
	complete(&t->done);
	return 0;
}

/* Mappings that find no room empty the caches of CPUs that are at work. */
static void xdt_stress_draining(struct kunit *test)
{
	struct xdt *x = test->priv;
	unsigned long drained = 0;
	struct task_struct *task;
	struct xdt_drained *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->x = x;
	t->steps = xdt_scaled(400000);
	t->scratch = kunit_kmalloc(test, XDT_PIECE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->scratch);
	init_completion(&t->done);

	task = kthread_create(xdt_drained_thread, t, "xdt/drained");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_bind(task, cpumask_first(cpu_online_mask));
	wake_up_process(task);
	for (; !completion_done(&t->done); drained++) {
		if (xdt_map(x->dev, x->buf, SZ_1G, DMA_TO_DEVICE,
			    DMA_ATTR_NO_WARN) != DMA_MAPPING_ERROR)
			break;
		cond_resched();
	}
	wait_for_completion(&t->done);

	KUNIT_EXPECT_EQ(test, t->bad, 0);
	KUNIT_EXPECT_GT(test, drained, 100);
	KUNIT_EXPECT_EQ(test, xdt_used(), 0);
	KUNIT_EXPECT_EQ(test, xdt_total(), x->size);
}

static struct kunit_case xdt_cases[] = {
	KUNIT_CASE_SLOW(xdt_sizes),
	KUNIT_CASE_SLOW(xdt_slots),
	KUNIT_CASE(xdt_zero_length),
	KUNIT_CASE_PARAM(xdt_alignment, xdt_align_gen_params),
	KUNIT_CASE_PARAM(xdt_largest, xdt_align_gen_params),
	KUNIT_CASE(xdt_promise),
	KUNIT_CASE(xdt_exhaustion),
	KUNIT_CASE(xdt_tails),
	KUNIT_CASE(xdt_checkerboard),
	KUNIT_CASE_SLOW(xdt_nearly_full),
	KUNIT_CASE(xdt_lending),
	KUNIT_CASE(xdt_rebalance),
	KUNIT_CASE(xdt_no_lock),
	KUNIT_CASE(xdt_double_unmap),
	KUNIT_CASE(xdt_unmap_middle),
	KUNIT_CASE(xdt_sync_outside),
	KUNIT_CASE(xdt_sync_parts),
	KUNIT_CASE_SLOW(xdt_model_usual),
	KUNIT_CASE_SLOW(xdt_model_low),
	KUNIT_CASE(xdt_reserve),
	KUNIT_CASE(xdt_width),
	KUNIT_CASE(xdt_bus_limit),
	KUNIT_CASE(xdt_truth),
	KUNIT_CASE_SLOW(xdt_stress),
	KUNIT_CASE_SLOW(xdt_stress_draining),
	{}
};

static struct kunit_suite xdt_suite = {
	.name = "xen-aperture",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_cases,
};

static struct kunit_case xdt_growth_cases[] = {
	KUNIT_CASE(xdt_obtain),
	KUNIT_CASE_SLOW(xdt_grow_atomic),
	KUNIT_CASE(xdt_grow_worker),
	KUNIT_CASE_SLOW(xdt_grow_limit),
	KUNIT_CASE_SLOW(xdt_grow_cycles),
	KUNIT_CASE_SLOW(xdt_grow_fails),
	KUNIT_CASE(xdt_grow_narrow),
	KUNIT_CASE(xdt_grow_spares_lowest),
	KUNIT_CASE(xdt_grow_spares_narrow),
	KUNIT_CASE(xdt_moved),
	KUNIT_CASE(xdt_grow_home),
	KUNIT_CASE_SLOW(xdt_grow_wakes),
	KUNIT_CASE(xdt_grow_tries_once),
	KUNIT_CASE_SLOW(xdt_model_growing),
	KUNIT_CASE_SLOW(xdt_stress_growing),
	{}
};

static struct kunit_suite xdt_growth_suite = {
	.name = "xen-aperture-growth",
	.suite_init = xdt_suite_init,
	.suite_exit = xdt_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = xdt_growth_cases,
};

kunit_test_suites(&xdt_suite, &xdt_growth_suite);

MODULE_DESCRIPTION("KUnit tests of the aperture of Xen's DMA driver");
MODULE_LICENSE("GPL");
