// SPDX-License-Identifier: GPL-2.0
/*
 * Single mappings: what the device sees of a buffer and what the CPU sees of
 * what the device did, bounced below a 32-bit mask and direct without one;
 * where a mapping may lie; and that nothing else goes either way.
 *
 * A buffer above 4 GiB in the machine under a 32-bit mask cannot be direct, so
 * these cases prove that they bounce by the address alone.
 */
#include <linux/module.h>
#include <linux/slab.h>

#include "xdt.h"

/* Two pages, so that a span of one page may start anywhere in the first. */
#define BUF_ORDER	1
#define BUF_SIZE	(PAGE_SIZE << BUF_ORDER)

/**
 * struct span - part of a buffer
 * @offset: where it starts
 * @size: bytes
 */
struct span {
	unsigned int offset;
	unsigned int size;
};

static const struct span spans[] = {
	{ 0, 1 }, { 1, 1 }, { 3, 7 }, { 0, 64 }, { 5, 1500 }, { 0, 2048 },
	{ 2047, 2 }, { 2048, 2048 }, { 4095, 1 }, { 4095, 2 }, { 100, 4095 },
	{ 4090, 4094 }, { 0, 4095 }, { 1, 4094 }, { 4000, 200 }, { 511, 3001 },
};

#define NR_SPANS	ARRAY_SIZE(spans)

/**
 * struct try - a mapping of a span, and a look at it
 * @buf: the buffer that the span is part of
 * @machine: where @buf is in the machine
 * @bus: where the mapping is on the bus
 * @seen: what the bus showed, or what is sent to it
 */
struct try {
	u8 *buf;
	dma_addr_t machine;
	dma_addr_t bus;
	u8 *seen;
};

static struct try *map_spans(struct kunit *test, unsigned int bits,
			     enum dma_data_direction dir)
{
	struct try *tries;
	unsigned int i;

	tries = kunit_kcalloc(test, NR_SPANS, sizeof(*tries), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tries);
	for (i = 0; i < NR_SPANS; i++) {
		tries[i].buf = bits == 64 ? xdt_gathered(test, BUF_ORDER) :
					    xdt_high(test, BUF_ORDER);
		tries[i].machine = xdt_machine(test, tries[i].buf);
		tries[i].seen = kunit_kzalloc(test, XDT_XFER_MAX, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, tries[i].seen);
		xdt_fill(tries[i].buf, BUF_SIZE, i);
	}
	xdt_mask(test, bits);
	for (i = 0; i < NR_SPANS; i++)
		tries[i].bus = xdt_map(test, tries[i].buf + spans[i].offset,
				       spans[i].size, dir);
	return tries;
}

static void run_spans(struct kunit *test, struct try *tries, bool poke)
{
	struct xdt_op ops[NR_SPANS] = { };
	unsigned int i;

	for (i = 0; i < NR_SPANS; i++) {
		ops[i].bus = tries[i].bus;
		ops[i].buf = tries[i].seen;
		ops[i].len = spans[i].size;
		ops[i].poke = poke;
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, NR_SPANS));
}

/* The device sees the buffer, and the buffer stays what it was. */
static void check_to_device(struct kunit *test, unsigned int bits)
{
	struct try *tries = map_spans(test, bits, DMA_TO_DEVICE);
	unsigned int i;

	run_spans(test, tries, false);
	for (i = 0; i < NR_SPANS; i++) {
		const struct span *s = &spans[i];

		KUNIT_EXPECT_EQ_MSG(test, s->size,
				    xdt_match(tries[i].seen, s->size, i,
					      s->offset),
				    "%u bytes at %u", s->size, s->offset);
		if (bits == 64)
			KUNIT_EXPECT_EQ(test, tries[i].machine + s->offset,
					tries[i].bus);
		xdt_unmap(test, tries[i].bus);
		KUNIT_EXPECT_EQ(test, BUF_SIZE,
				xdt_match(tries[i].buf, BUF_SIZE, i, 0));
	}
}

/* The CPU sees what the device wrote, and the rest stays what it was. */
static void check_from_device(struct kunit *test, unsigned int bits)
{
	struct try *tries = map_spans(test, bits, DMA_FROM_DEVICE);
	unsigned int i;

	for (i = 0; i < NR_SPANS; i++)
		xdt_fill(tries[i].seen, XDT_XFER_MAX, i + 100);
	run_spans(test, tries, true);
	for (i = 0; i < NR_SPANS; i++) {
		const struct span *s = &spans[i];
		u8 *buf = tries[i].buf;
		size_t end = s->offset + s->size;

		if (bits < 64)
			KUNIT_EXPECT_EQ(test, BUF_SIZE,
					xdt_match(buf, BUF_SIZE, i, 0));
		else
			KUNIT_EXPECT_EQ(test, tries[i].machine + s->offset,
					tries[i].bus);
		xdt_unmap(test, tries[i].bus);
		KUNIT_EXPECT_EQ_MSG(test, s->size,
				    xdt_match(buf + s->offset, s->size,
					      i + 100, 0),
				    "%u bytes at %u", s->size, s->offset);
		KUNIT_EXPECT_EQ_MSG(test, s->offset,
				    xdt_match(buf, s->offset, i, 0),
				    "before %u bytes at %u", s->size,
				    s->offset);
		KUNIT_EXPECT_EQ_MSG(test, BUF_SIZE - end,
				    xdt_match(buf + end, BUF_SIZE - end, i,
					      end),
				    "after %u bytes at %u", s->size,
				    s->offset);
	}
}

static void bounce_to_device(struct kunit *test)
{
	check_to_device(test, 32);
}

static void bounce_from_device(struct kunit *test)
{
	check_from_device(test, 32);
}

static void direct_to_device(struct kunit *test)
{
	check_to_device(test, 64);
}

static void direct_from_device(struct kunit *test)
{
	check_from_device(test, 64);
}

/**
 * struct part - what the device changes of a mapping
 * @map: the mapping
 * @offset: first byte that changes, counted from that of the mapping
 * @size: bytes that change
 */
struct part {
	struct span map;
	unsigned int offset;
	unsigned int size;
};

static const struct part parts[] = {
	{ { 0, 4095 }, 0, 1 }, { { 0, 4095 }, 4094, 1 },
	{ { 33, 3000 }, 1000, 77 }, { { 2040, 3000 }, 7, 2050 },
	{ { 1, 100 }, 50, 3 }, { { 4000, 4000 }, 95, 2 },
	{ { 2049, 4097 }, 2047, 2 }, { { 17, 8000 }, 3333, 4095 },
};

#define NR_PARTS	ARRAY_SIZE(parts)

/* What the device leaves alone keeps the value that the caller gave it. */
static void check_partial(struct kunit *test, enum dma_data_direction dir)
{
	struct xdt_op ops[NR_PARTS] = { };
	u8 *buf[NR_PARTS];
	unsigned int i;

	for (i = 0; i < NR_PARTS; i++) {
		buf[i] = xdt_high(test, BUF_ORDER);
		xdt_fill(buf[i], BUF_SIZE, i);
		ops[i].buf = kunit_kmalloc(test, parts[i].size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ops[i].buf);
		xdt_fill(ops[i].buf, parts[i].size, i + 100);
	}
	xdt_mask(test, 32);
	for (i = 0; i < NR_PARTS; i++) {
		const struct part *p = &parts[i];

		ops[i].bus = xdt_bounce(test, buf[i] + p->map.offset,
					p->map.size, dir) + p->offset;
		ops[i].len = p->size;
		ops[i].poke = true;
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, NR_PARTS));
	for (i = 0; i < NR_PARTS; i++) {
		const struct part *p = &parts[i];
		size_t start = p->map.offset + p->offset;
		size_t end = start + p->size;

		xdt_unmap(test, ops[i].bus - p->offset);
		KUNIT_EXPECT_EQ_MSG(test, start,
				    xdt_match(buf[i], start, i, 0),
				    "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, p->size,
				    xdt_match(buf[i] + start, p->size,
					      i + 100, 0),
				    "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, BUF_SIZE - end,
				    xdt_match(buf[i] + end, BUF_SIZE - end, i,
					      end),
				    "part %u", i);
	}
}

static void partial_from_device(struct kunit *test)
{
	check_partial(test, DMA_FROM_DEVICE);
}

static void partial_bidirectional(struct kunit *test)
{
	check_partial(test, DMA_BIDIRECTIONAL);
}

/* Bytes of an earlier mapping are not where a later one lies, or beside it. */
static void check_stale(struct kunit *test, enum dma_data_direction dir,
			unsigned long attrs, bool beside)
{
	struct xdt_op *ops;
	u8 *buf[NR_SPANS];
	unsigned int i;
	size_t n, old = 0;

	ops = kunit_kcalloc(test, NR_SPANS, sizeof(*ops), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ops);
	for (i = 0; i < NR_SPANS; i++) {
		buf[i] = xdt_high(test, BUF_ORDER);
		xdt_fill(buf[i], BUF_SIZE, i);
	}
	xdt_mask(test, 32);
	xdt_poison(test);
	for (i = 0; i < NR_SPANS; i++) {
		const struct span *s = &spans[i];
		dma_addr_t bus, from, to;

		bus = xdt_try_map(test, buf[i] + s->offset, s->size, dir,
				  attrs);
		KUNIT_ASSERT_NE(test, bus, DMA_MAPPING_ERROR);
		KUNIT_EXPECT_TRUE(test, xdt_was_poisoned(test, bus, s->size));
		from = bus;
		to = bus + s->size;
		if (beside) {
			/* One transfer each: the slots that it starts in. */
			from = round_down(bus, XDT_SLOT);
			to = min_t(dma_addr_t, round_up(to, XDT_SLOT),
				   from + XDT_XFER_MAX);
		}
		ops[i].bus = from;
		ops[i].len = to - from;
		ops[i].buf = kunit_kzalloc(test, to - from, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ops[i].buf);
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, NR_SPANS));
	for (i = 0; i < NR_SPANS; i++) {
		n = xdt_count(ops[i].buf, ops[i].len, XDT_SECRET);
		if (n)
			kunit_info(test, "%zu old bytes with %u bytes at %u\n",
				   n, spans[i].size, spans[i].offset);
		old += n;
	}
	KUNIT_EXPECT_EQ_MSG(test, 0, old, "direction %d", dir);
	xdt_unmap_all(test);
}

static void stale_from_device(struct kunit *test)
{
	check_stale(test, DMA_FROM_DEVICE, 0, false);
}

static void stale_skip_cpu_sync(struct kunit *test)
{
	check_stale(test, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, false);
	check_stale(test, DMA_FROM_DEVICE, DMA_ATTR_SKIP_CPU_SYNC, false);
}

static void stale_beside(struct kunit *test)
{
	check_stale(test, DMA_TO_DEVICE, 0, true);
	check_stale(test, DMA_FROM_DEVICE, 0, true);
	check_stale(test, DMA_BIDIRECTIONAL, 0, true);
}

/* A buffer that the caller has synced itself is not copied back. */
static void unmap_skip_cpu_sync(struct kunit *test)
{
	u8 *buf = xdt_high(test, 0), *seen;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, 1000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, PAGE_SIZE, 1);
	xdt_fill(seen, 1000, 2);
	xdt_mask(test, 32);
	bus = xdt_bounce(test, buf + 9, 1000, DMA_FROM_DEVICE);
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus, seen, 1000));
	xdt_unmap_attrs(test, bus, DMA_ATTR_SKIP_CPU_SYNC);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, xdt_match(buf, PAGE_SIZE, 1, 0));
}

/* Small objects that share a cache line with others. */
static void kmalloc_small(struct kunit *test)
{
	static const struct span objects[] = {
		{ 0, 1 }, { 3, 5 }, { 1, 31 }, { 7, 100 }, { 13, 500 },
	};
	struct xdt_op ops[ARRAY_SIZE(objects)] = { };
	u8 *buf[ARRAY_SIZE(objects)];
	unsigned int i;
	size_t whole = 600;

	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		buf[i] = kunit_kmalloc(test, whole, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, buf[i]);
		ops[i].buf = kunit_kmalloc(test, objects[i].size, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, ops[i].buf);
		xdt_fill(buf[i], whole, i);
		xdt_fill(ops[i].buf, objects[i].size, i + 100);
	}
	xdt_mask(test, 32);
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		ops[i].bus = xdt_map(test, buf[i] + objects[i].offset,
				     objects[i].size, DMA_FROM_DEVICE);
		ops[i].len = objects[i].size;
		ops[i].poke = true;
	}
	KUNIT_ASSERT_EQ(test, 0, xdt_run(ops, ARRAY_SIZE(objects)));
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		size_t start = objects[i].offset;
		size_t size = objects[i].size;

		xdt_unmap(test, ops[i].bus);
		KUNIT_EXPECT_EQ(test, start, xdt_match(buf[i], start, i, 0));
		KUNIT_EXPECT_EQ(test, size,
				xdt_match(buf[i] + start, size, i + 100, 0));
		start += size;
		KUNIT_EXPECT_EQ(test, whole - start,
				xdt_match(buf[i] + start, whole - start, i,
					  start));
	}
}

/* Ten pages and some bytes, from an odd offset: all of it, both ways. */
static void bounce_many_pages(struct kunit *test)
{
	size_t offset = 1357, size = 10 * PAGE_SIZE + 246;
	size_t whole = PAGE_SIZE << 4;
	u8 *buf = xdt_high(test, 4), *seen;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, whole, 1);
	xdt_mask(test, 32);
	bus = xdt_bounce(test, buf + offset, size, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, size));
	KUNIT_EXPECT_EQ(test, size, xdt_match(seen, size, 1, offset));
	xdt_fill(seen, size, 2);
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus, seen, size));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, offset, xdt_match(buf, offset, 1, 0));
	KUNIT_EXPECT_EQ(test, size, xdt_match(buf + offset, size, 2, 0));
	offset += size;
	KUNIT_EXPECT_EQ(test, whole - offset,
			xdt_match(buf + offset, whole - offset, 1, offset));
}

/* In one piece in the machine: no reason to bounce. */
static void direct_many_pages(struct kunit *test)
{
	size_t offset = 1357, size = 10 * PAGE_SIZE + 246;
	u8 *buf = xdt_gathered(test, 4), *seen;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, PAGE_SIZE << 4, 1);
	bus = xdt_map(test, buf + offset, size, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, bus, xdt_machine(test, buf) + offset);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, size));
	KUNIT_EXPECT_EQ(test, size, xdt_match(seen, size, 1, offset));
}

/* Not in one piece: the device sees it in one piece all the same. */
static void straddling_pages(struct kunit *test)
{
	size_t size = PAGE_SIZE << 4;
	u8 *buf = xdt_scattered(test, 4), *seen;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, size, 1);
	bus = xdt_map(test, buf, size, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_NE(test, bus, xdt_machine(test, buf));
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, size));
	KUNIT_EXPECT_EQ(test, size, xdt_match(seen, size, 1, 0));
	xdt_fill(seen, size, 2);
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus, seen, size));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, size, xdt_match(buf, size, 2, 0));
}

/* Every direct mapping of several pages is in one piece in the machine. */
static void direct_is_contiguous(struct kunit *test)
{
	unsigned int i, direct = 0, order = 5, nr = 64;

	xdt_mask(test, 64);
	for (i = 0; i < nr; i++) {
		void *buf = i ? xdt_pages(test, order) :
				xdt_gathered(test, order);
		size_t offset = i * 61 % PAGE_SIZE;
		size_t size = (PAGE_SIZE << order) - 2 * offset;
		dma_addr_t bus;

		bus = xdt_map(test, buf + offset, size, DMA_TO_DEVICE);
		if (bus == xdt_machine(test, buf + offset)) {
			direct++;
			KUNIT_EXPECT_TRUE(test,
					  xdt_is_contiguous(test, buf + offset,
							    size));
		}
		xdt_unmap(test, bus);
	}
	KUNIT_EXPECT_NE_MSG(test, 0, direct, "nothing was direct");
}

/* The low bits of the address are those of the buffer. */
static void check_align(struct kunit *test, unsigned int mask)
{
	unsigned int order = get_order(2 * (mask + 1)), i;
	size_t whole = PAGE_SIZE << order;
	u8 *buf = xdt_high(test, order);

	xdt_mask(test, 32);
	dma_set_min_align_mask(xdt_dev(test), mask);
	for (i = 0; i < NR_SPANS; i++) {
		/* An odd stride, so that all of the mask's bits are tried. */
		size_t offset = (spans[i].offset + i * (mask / 5)) &
				(mask | (PAGE_SIZE - 1));
		size_t size = min_t(size_t, spans[i].size, whole - offset);
		phys_addr_t phys = virt_to_phys(buf + offset);
		dma_addr_t bus;

		bus = xdt_bounce(test, buf + offset, size, DMA_TO_DEVICE);
		KUNIT_EXPECT_EQ_MSG(test, bus & mask, phys & mask,
				    "%zu bytes at %zu", size, offset);
	}
}

static void align_511(struct kunit *test)
{
	check_align(test, 511);
}

static void align_4095(struct kunit *test)
{
	check_align(test, 4095);
}

static void align_65535(struct kunit *test)
{
	check_align(test, 65535);
}

/* An aligned mapping is one that the data goes through, too. */
static void align_data(struct kunit *test)
{
	size_t offset = 1234, size = 5 * PAGE_SIZE + 77;
	size_t whole = PAGE_SIZE << 3;
	u8 *buf = xdt_high(test, 3), *seen;
	dma_addr_t bus;

	seen = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	xdt_fill(buf, whole, 1);
	xdt_mask(test, 32);
	dma_set_min_align_mask(xdt_dev(test), 4095);
	bus = xdt_bounce(test, buf + offset, size, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, 0, xdt_peek(bus, seen, size));
	KUNIT_EXPECT_EQ(test, size, xdt_match(seen, size, 1, offset));
	xdt_fill(seen, size, 2);
	KUNIT_ASSERT_EQ(test, 0, xdt_poke(bus, seen, size));
	dma_sync_single_range_for_cpu(xdt_dev(test), bus, 3000, 5000,
				      DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, 3000, xdt_match(buf + offset, 3000, 1, offset));
	KUNIT_EXPECT_EQ(test, 5000,
			xdt_match(buf + offset + 3000, 5000, 2, 3000));
	xdt_unmap(test, bus);
	KUNIT_EXPECT_EQ(test, offset, xdt_match(buf, offset, 1, 0));
	KUNIT_EXPECT_EQ(test, size, xdt_match(buf + offset, size, 2, 0));
	offset += size;
	KUNIT_EXPECT_EQ(test, whole - offset,
			xdt_match(buf + offset, whole - offset, 1, offset));
}

/* A device's registers: their own address, and a peer can read them. */
static void map_resource(struct kunit *test)
{
	struct device *dev = xdt_dev(test);
	phys_addr_t phys = pci_resource_start(xdt_engine(0), 0);
	size_t size = pci_resource_len(xdt_engine(0), 0);
	dma_addr_t bus;
	__le32 id = 0;

	xdt_mask(test, 32);
	bus = dma_map_resource(dev, phys, size, DMA_BIDIRECTIONAL, 0);
	KUNIT_ASSERT_FALSE(test, dma_mapping_error(dev, bus));
	if (!device_iommu_mapped(dev))
		KUNIT_EXPECT_EQ(test, bus, phys);
	if (xdt_engines() > 1 && !device_iommu_mapped(dev)) {
		KUNIT_EXPECT_EQ(test, 0,
				xdt_engine_peek(1, bus, &id, sizeof(id)));
		/* The device's own identification register. */
		KUNIT_EXPECT_EQ(test, 0xed, le32_to_cpu(id) & 0xff);
	}
	dma_unmap_resource(dev, bus, size, DMA_BIDIRECTIONAL, 0);
}

static struct kunit_case map_cases[] = {
	KUNIT_CASE(bounce_to_device),
	KUNIT_CASE(bounce_from_device),
	KUNIT_CASE(direct_to_device),
	KUNIT_CASE(direct_from_device),
	KUNIT_CASE(partial_from_device),
	KUNIT_CASE(partial_bidirectional),
	KUNIT_CASE(stale_from_device),
	KUNIT_CASE(stale_skip_cpu_sync),
	KUNIT_CASE(stale_beside),
	KUNIT_CASE(unmap_skip_cpu_sync),
	KUNIT_CASE(kmalloc_small),
	KUNIT_CASE(bounce_many_pages),
	KUNIT_CASE(direct_many_pages),
	KUNIT_CASE(straddling_pages),
	KUNIT_CASE(direct_is_contiguous),
	KUNIT_CASE(align_511),
	KUNIT_CASE(align_4095),
	KUNIT_CASE(align_65535),
	KUNIT_CASE(align_data),
	KUNIT_CASE(map_resource),
	{ }
};

static struct kunit_suite map_suite = {
	.name = "xdt_map",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = map_cases,
};

kunit_test_suite(map_suite);

MODULE_DESCRIPTION("DMA tests: single mappings");
MODULE_LICENSE("GPL");
