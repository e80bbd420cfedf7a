// SPDX-License-Identifier: GPL-2.0
/*
 * The fixture of the KUnit tests of the driver: a machine with an aperture, a
 * device, a large buffer, and patterns for what both sides write.
 *
 * The tests look at the driver from both sides only, through the DMA operations
 * and through the eyes of the device. Long ones are random: the log has the seed,
 * and xen_dma_tests.seed= gives it again. xen_dma_tests.scale= makes them
 * longer or shorter, in percent.
 */
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include "fixture.h"

/* Not by the name of this file. */
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "xen_dma_tests."

static unsigned long seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Random tests begin with this number (0: any)");

static unsigned int scale = 100;
module_param(scale, uint, 0444);
MODULE_PARM_DESC(scale, "How long the long tests are, in percent");

const enum dma_data_direction xdt_directions[3] = {
	DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE,
};

const struct xdt_align_case xdt_align_cases[5] = {
	{ 0 }, { 511 }, { 2047 }, { 4095 }, { 65535 },
};

const unsigned int xdt_bits[6] = { 24, 28, 30, 31, 32, 64 };

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
 * xdt_seed() - what random tests begin with
 *
 * Return: The parameter seed, or what was chosen in its place.
 */
unsigned long xdt_seed(void)
{
	return seed;
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
