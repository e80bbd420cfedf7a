// SPDX-License-Identifier: GPL-2.0
/*
 * What DMA mappings cost, counted in instructions, and how large they can be.
 *
 * On a machine whose clock counts instructions (scripts/boot --icount) the time
 * that N pairs of map and unmap take, loop included, says what one pair costs.
 * Only the public DMA API is used, so that one source measures any driver behind
 * it. The device is QEMU's edu; it is never told to transfer anything.
 *
 * Results are lines of the log: "row", then fields separated by tabs: name, figure
 * (of a pair, where nothing else is said), memcpy of as many bytes, their
 * difference, segments, remarks. What a row lacks is "-". The last line is "end"
 * with the number of rows that are wrong.
 */
#define pr_fmt(fmt) "xen_dma_bench: " fmt

#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

/* Bytes: what buffers are cut from is looked for in blocks of this size. */
#define BLOCK		SZ_4M
#define BLOCKS_TRIED	400

/* Bytes: one block more than the largest mapping that is tried. */
#define RUN_MAX		(SZ_64M + BLOCK)
#define TRY_MAX		SZ_64M

/*
 * Rounds of a measurement, after one to warm up: at least, and at most, until
 * the two shortest agree within AGREE percent. An interrupt makes a round longer,
 * never shorter, so the shortest one counts.
 */
#define ROUNDS_MIN	3
#define ROUNDS_MAX	12
#define AGREE		2

#define SG_ENTRIES	64
#define SG_LEN		SZ_4K
#define CONTIGUOUS	SZ_512K

#define NOT_SAID	(-1)

/* Allocations that each need an exchange. */
#define FIRSTS		3

/* Nanoseconds, which are instructions, from one wanted interrupt to the next. */
#define HELD_PERIOD	(20 * NSEC_PER_USEC)

/* A batch of mappings that exist at the same time. */
#define BATCH		64

/* Bytes: the aperture is filled with sizes from SLOT on, doubled up to LAST. */
#define SLOT		SZ_2K
#define LAST		SZ_64K
#define FILL_MAX	(SZ_256M / SLOT)

/* Percent of what can be mapped. */
#define LEFT_FREE	5

/**
 * struct work - what a round does
 * @buf: the buffer
 * @size: its bytes
 * @order: of coherent memory, in pages
 * @sg: the list
 * @segments: how many segments the list became
 * @nr: pairs in a round
 * @failed: a mapping was refused
 * @uneven: rounds of one of its measurements do not agree
 */
struct work {
	void *buf;
	size_t size;
	unsigned int order;
	struct scatterlist *sg;
	int segments;
	unsigned int nr;
	bool failed;
	bool uneven;
};

/**
 * struct row - a line of results
 * @name: by which bed/figures.toml knows it
 * @figure: instructions of a pair, or what the name says
 * @memcpy: instructions of copying as many bytes
 * @copies: how many such copies a pair holds
 * @segments: of a list
 * @remark: more, or NULL
 */
struct row {
	const char *name;
	s64 figure;
	s64 memcpy;
	unsigned int copies;
	int segments;
	const char *remark;
};

/**
 * struct filled - one of the mappings that fill the aperture
 * @bus: its address, DMA_MAPPING_ERROR when it has gone
 * @size: its bytes
 */
struct filled {
	dma_addr_t bus;
	u32 size;
};

static struct device *dev;
static unsigned int wrong;

/* Measure coherent memory alone. */
static bool only_coherent;
module_param(only_coherent, bool, 0);

/* Pages that are neighbours for the CPU; where each is in the machine. */
static u8 *run;
static size_t run_size;
static dma_addr_t *machine;

static void *copy_dst;
static struct filled *filled;
static unsigned int nr_filled;

static void put_field(char *buf, size_t size, s64 value)
{
	if (value == NOT_SAID)
		scnprintf(buf, size, "-");
	else
		scnprintf(buf, size, "%lld", value);
}

static void put_row(const struct row *row)
{
	char figure[24], copy[24], overhead[24], segments[24];

	put_field(figure, sizeof(figure), row->figure);
	put_field(copy, sizeof(copy), row->memcpy);
	/* An overhead may well be below zero, so it goes without put_field(). */
	if (row->memcpy == NOT_SAID || row->figure == NOT_SAID)
		scnprintf(overhead, sizeof(overhead), "-");
	else
		scnprintf(overhead, sizeof(overhead), "%lld",
			  row->figure - row->memcpy * row->copies);
	put_field(segments, sizeof(segments), row->segments);
	pr_info("row\t%s\t%s\t%s\t%s\t%s\t%s\n", row->name, figure, copy,
		overhead, segments, row->remark ?: "-");
}

static void put_figure(const char *name, s64 figure, const char *remark)
{
	const struct row row = {
		.name = name,
		.figure = figure,
		.memcpy = NOT_SAID,
		.segments = NOT_SAID,
		.remark = remark,
	};

	put_row(&row);
}

/* A row that can't be what it says it is. */
static void put_wrong(const char *name, const char *remark)
{
	wrong++;
	put_figure(name, NOT_SAID, remark);
}

static int use_mask(unsigned int bits)
{
	return dma_set_mask(dev, DMA_BIT_MASK(bits));
}

static dma_addr_t map(void *buf, size_t size)
{
	return dma_map_page_attrs(dev, virt_to_page(buf), offset_in_page(buf),
				  size, DMA_TO_DEVICE, DMA_ATTR_NO_WARN);
}

static void unmap(dma_addr_t bus, size_t size)
{
	dma_unmap_page(dev, bus, size, DMA_TO_DEVICE);
}

/* The run's place in the machine at an offset in bytes. */
static dma_addr_t place(size_t offset)
{
	return machine[offset >> PAGE_SHIFT] + offset_in_page(offset);
}

static u64 round_map(struct work *w)
{
	struct page *page = virt_to_page(w->buf);
	unsigned long offset = offset_in_page(w->buf);
	struct device *d = dev;
	size_t size = w->size;
	unsigned int nr = w->nr, i;
	u64 start = ktime_get_ns();

	for (i = 0; i < nr; i++) {
		dma_addr_t bus = dma_map_page_attrs(d, page, offset, size,
						    DMA_TO_DEVICE,
						    DMA_ATTR_NO_WARN);

		if (dma_mapping_error(d, bus)) {
			w->failed = true;
			break;
		}
		dma_unmap_page(d, bus, size, DMA_TO_DEVICE);
	}
	return ktime_get_ns() - start;
}

/* Of @nr mappings BATCH at a time exist: no two of them can share memory. */
static u64 round_batch(struct work *w)
{
	static dma_addr_t bus[BATCH];
	unsigned int nr = w->nr, i, j, got;
	u64 start = ktime_get_ns();

	for (i = 0; i < nr && !w->failed; i += BATCH) {
		for (got = 0; got < BATCH; got++) {
			bus[got] = map(w->buf, w->size);
			if (dma_mapping_error(dev, bus[got])) {
				w->failed = true;
				break;
			}
		}
		for (j = 0; j < got; j++)
			unmap(bus[j], w->size);
	}
	return ktime_get_ns() - start;
}

static u64 round_copy(struct work *w)
{
	size_t size = w->size;
	unsigned int nr = w->nr, i;
	u64 start;

	/* A driver knows no size in advance: neither may the compiler here. */
	OPTIMIZER_HIDE_VAR(size);
	start = ktime_get_ns();
	for (i = 0; i < nr; i++) {
		memcpy(copy_dst, w->buf, size);
		/* Each copy counts, so none may be dropped. */
		barrier();
	}
	return ktime_get_ns() - start;
}

static u64 round_sg(struct work *w)
{
	struct device *d = dev;
	unsigned int nr = w->nr, i;
	u64 start = ktime_get_ns();

	for (i = 0; i < nr; i++) {
		int segments = dma_map_sg_attrs(d, w->sg, SG_ENTRIES,
						DMA_TO_DEVICE,
						DMA_ATTR_NO_WARN);

		if (segments <= 0) {
			w->failed = true;
			break;
		}
		w->segments = segments;
		dma_unmap_sg(d, w->sg, SG_ENTRIES, DMA_TO_DEVICE);
	}
	return ktime_get_ns() - start;
}

static u64 round_coherent(struct work *w)
{
	struct device *d = dev;
	size_t size = PAGE_SIZE << w->order;
	unsigned int nr = w->nr, i;
	u64 start = ktime_get_ns();

	for (i = 0; i < nr; i++) {
		dma_addr_t bus;
		void *addr = dma_alloc_coherent(d, size, &bus,
						GFP_KERNEL | __GFP_NOWARN);

		if (!addr) {
			w->failed = true;
			break;
		}
		dma_free_coherent(d, size, addr, bus);
	}
	return ktime_get_ns() - start;
}

/* The shortest round's instructions per pair. */
static s64 measure(u64 (*round)(struct work *w), struct work *w)
{
	u64 best = U64_MAX, second = U64_MAX;
	bool agree = false;
	unsigned int i;

	w->failed = false;
	round(w);
	for (i = 0; i < ROUNDS_MAX && !w->failed; i++) {
		u64 time = round(w);

		if (time < best) {
			second = best;
			best = time;
		} else {
			second = min(second, time);
		}
		agree = (second - best) * 100 <= best * AGREE;
		if (i + 1 >= ROUNDS_MIN && agree)
			break;
		cond_resched();
	}
	if (w->failed)
		return NOT_SAID;
	w->uneven |= !agree;
	return div_u64(best + w->nr / 2, w->nr);
}

/* Pairs in a round: fewer of what takes long, so that a round meets no tick. */
static unsigned int pairs(size_t size)
{
	return clamp_t(size_t, SZ_1M / size, 2, 200);
}

/* Is the buffer at @offset of the run bounced, or mapped where it is? */
static bool is_bounced(size_t offset, size_t size, dma_addr_t bus)
{
	return bus != place(offset) && bus + size <= SZ_4G;
}

static const char *uneven(const struct work *w)
{
	return w->uneven ? "rounds differ by more than 2 %" : NULL;
}

static void measure_map(const char *name, size_t offset, size_t size,
			bool bounced)
{
	struct work w = { .buf = run + offset, .size = size };
	struct row row = {
		.name = name,
		.memcpy = NOT_SAID,
		.copies = 1,
		.segments = NOT_SAID,
	};
	dma_addr_t bus = map(w.buf, size);

	if (dma_mapping_error(dev, bus)) {
		put_figure(name, NOT_SAID, "refused");
		return;
	}
	unmap(bus, size);
	if (is_bounced(offset, size, bus) != bounced) {
		put_wrong(name, bounced ? "not bounced" : "not direct");
		return;
	}

	w.nr = pairs(size);
	if (bounced)
		row.memcpy = measure(round_copy, &w);
	row.figure = measure(round_map, &w);
	row.remark = w.failed ? "refused" : uneven(&w);
	put_row(&row);
}

static void bounces(void)
{
	static const struct {
		const char *name;
		size_t size;
	} sizes[] = {
		{ "bounce-64", 64 }, { "bounce-1500", 1500 },
		{ "bounce-4K", SZ_4K }, { "bounce-64K", SZ_64K },
		{ "bounce-256K", SZ_256K }, { "bounce-1M", SZ_1M },
		{ "bounce-16M", SZ_16M },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i].size > run_size)
			put_figure(sizes[i].name, NOT_SAID, "no such buffer");
		else
			measure_map(sizes[i].name, 0, sizes[i].size, true);
	}
}

/*
 * The longest part of the run that is in one piece in the machine and does not
 * cross the boundary that every PCI device has.
 */
static size_t longest_piece(size_t *offset)
{
	size_t start = 0, pos, longest = 0;

	for (pos = PAGE_SIZE; pos <= run_size; pos += PAGE_SIZE) {
		if (pos < run_size &&
		    place(pos) == place(pos - PAGE_SIZE) + PAGE_SIZE &&
		    (place(pos) & (SZ_4G - 1)))
			continue;
		if (pos - start > longest) {
			longest = pos - start;
			*offset = start;
		}
		start = pos;
	}
	return longest;
}

static void measure_sg(const char *name, struct scatterlist *sg, bool bounced)
{
	struct work w = { .sg = sg, .nr = 20 };
	struct work copy = {
		.buf = run,
		.size = SG_LEN,
		.nr = pairs(SG_LEN),
	};
	struct row row = {
		.name = name,
		.memcpy = NOT_SAID,
		.copies = SG_ENTRIES,
	};
	struct scatterlist *s;
	char *why = NULL;
	int nents, i;

	nents = dma_map_sg_attrs(dev, sg, SG_ENTRIES, DMA_TO_DEVICE,
				 DMA_ATTR_NO_WARN);
	if (nents <= 0) {
		put_figure(name, NOT_SAID, "refused");
		return;
	}
	for_each_sg(sg, s, nents, i) {
		if ((sg_dma_address(s) < SZ_4G) != bounced)
			why = bounced ? "not bounced" : "not direct";
	}
	dma_unmap_sg(dev, sg, SG_ENTRIES, DMA_TO_DEVICE);
	if (why) {
		put_wrong(name, why);
		return;
	}

	if (bounced)
		row.memcpy = measure(round_copy, &copy);
	row.figure = measure(round_sg, &w);
	row.segments = w.segments;
	row.remark = w.failed ? "refused" : uneven(&w);
	put_row(&row);
}

/* A list of pages, each so many bytes of the run behind the one before. */
static void set_list(struct scatterlist *sg, size_t offset, size_t step)
{
	unsigned int i;

	sg_init_table(sg, SG_ENTRIES);
	for (i = 0; i < SG_ENTRIES; i++)
		sg_set_buf(&sg[i], run + offset + i * step, SG_LEN);
}

static bool no_neighbours(size_t offset, size_t step)
{
	unsigned int i;

	for (i = 1; i < SG_ENTRIES; i++)
		if (place(offset + i * step) ==
		    place(offset + (i - 1) * step) + SG_LEN)
			return false;
	return true;
}

static void lists(void)
{
	struct scatterlist *sg;
	size_t offset, piece;

	sg = kcalloc(SG_ENTRIES, sizeof(*sg), GFP_KERNEL);
	if (!sg) {
		put_wrong("sg", "no memory");
		return;
	}

	piece = longest_piece(&offset);
	if (no_neighbours(0, 2 * PAGE_SIZE)) {
		set_list(sg, 0, 2 * PAGE_SIZE);
		use_mask(32);
		measure_sg("sg-bounced", sg, true);
		dma_set_max_seg_size(dev, SZ_64K);
		measure_sg("sg-bounced-64K", sg, true);
		dma_set_max_seg_size(dev, UINT_MAX);
		use_mask(64);
		measure_sg("sg-direct-scattered", sg, false);
	} else {
		put_wrong("sg-direct-scattered", "no scattered pages");
	}

	if (piece >= SG_ENTRIES * SG_LEN) {
		set_list(sg, offset, SG_LEN);
		use_mask(64);
		measure_sg("sg-direct-neighbours", sg, false);
	} else {
		put_wrong("sg-direct-neighbours", "no contiguous pages");
	}
	kfree(sg);
}

static void directs(void)
{
	size_t offset, piece, max;
	dma_addr_t bus;

	use_mask(64);
	measure_map("direct-64", 0, 64, false);

	piece = longest_piece(&offset);
	if (piece >= CONTIGUOUS)
		measure_map("direct-512K", offset, CONTIGUOUS, false);
	else
		put_wrong("direct-512K", "no contiguous buffer");

	/* KiB; one page more than what any mapping is sure to get. */
	max = dma_max_mapping_size(dev);
	if (piece <= max) {
		put_figure("direct-beyond-max", NOT_SAID,
			   "no contiguous buffer that large");
		return;
	}
	bus = map(run + offset, max + PAGE_SIZE);
	if (dma_mapping_error(dev, bus)) {
		put_wrong("direct-beyond-max", "refused");
		return;
	}
	if (bus == place(offset))
		put_figure("direct-beyond-max", (max + PAGE_SIZE) / SZ_1K,
			   NULL);
	else
		put_wrong("direct-beyond-max", "not direct");
	unmap(bus, max + PAGE_SIZE);
}

/* KiB that may be mapped, and KiB that can be mapped by bouncing. */
static void limits(void)
{
	static const struct {
		const char *name;
		unsigned int bits;
	} masks[] = {
		{ "max-mapping-24", 24 }, { "max-mapping-28", 28 },
		{ "max-mapping-30", 30 }, { "max-mapping-32", 32 },
		{ "max-mapping-64", 64 },
	};
	size_t size, largest = 0;
	unsigned int i;

	use_mask(32);
	for (size = SZ_256K; size <= min_t(size_t, run_size, TRY_MAX);
	     size *= 2) {
		dma_addr_t bus = map(run, size);

		if (dma_mapping_error(dev, bus))
			continue;
		unmap(bus, size);
		if (!is_bounced(0, size, bus)) {
			put_wrong("largest-bounced", "not bounced");
			return;
		}
		largest = size;
	}
	put_figure("largest-bounced", largest / SZ_1K,
		   largest * 2 > run_size ? "no larger buffer" : NULL);

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		if (use_mask(masks[i].bits))
			put_figure(masks[i].name, NOT_SAID, "mask refused");
		else
			put_figure(masks[i].name,
				   min_t(size_t, dma_max_mapping_size(dev),
					 S64_MAX) / SZ_1K, NULL);
	}
}

/* Maps until no slot is left; returns the bytes. */
static size_t fill(size_t first, size_t last)
{
	size_t size = first, total = 0;

	for (nr_filled = 0; nr_filled < FILL_MAX; ) {
		struct filled *f = &filled[nr_filled];

		f->bus = map(run, size);
		if (dma_mapping_error(dev, f->bus)) {
			if (size == first)
				break;
			/* From here on only what is smaller fits. */
			size /= 2;
			last = size;
			continue;
		}
		f->size = size;
		total += size;
		nr_filled++;
		size = size < last ? size * 2 : first;
		if (nr_filled % 1024 == 0)
			cond_resched();
	}
	return total;
}

static void release(struct filled *f)
{
	if (f->bus == DMA_MAPPING_ERROR)
		return;
	unmap(f->bus, f->size);
	f->bus = DMA_MAPPING_ERROR;
}

static void release_all(void)
{
	unsigned int i;

	for (i = 0; i < nr_filled; i++)
		release(&filled[i]);
	nr_filled = 0;
}

/* Releases so many bytes, spread over all mappings and sizes. */
static void release_some(size_t bytes)
{
	const unsigned int stride = 19;
	unsigned int first, i;
	size_t freed = 0;

	for (first = 0; first < stride; first++) {
		for (i = first; i < nr_filled; i += stride) {
			if (freed >= bytes)
				return;
			freed += filled[i].size;
			release(&filled[i]);
		}
	}
}

static int by_bus(const void *a, const void *b)
{
	const struct filled *x = a, *y = b;

	return x->bus < y->bus ? -1 : x->bus > y->bus;
}

static void measure_state(const char *name, const char *batch_name)
{
	struct work w = { .buf = run, .size = 64, .nr = 200 };
	struct work batch = { .buf = run, .size = 64, .nr = 4 * BATCH };
	s64 figure = measure(round_map, &w);

	if (w.failed)
		put_wrong(name, "refused");
	else
		put_figure(name, figure, uneven(&w));
	figure = measure(round_batch, &batch);
	if (batch.failed)
		put_wrong(batch_name, "refused");
	else
		put_figure(batch_name, figure, uneven(&batch));
}

/* What the aperture's state does to a small mapping. */
static void fills(void)
{
	unsigned int i;
	size_t total;

	use_mask(32);
	measure_state("empty", "empty-batch");

	total = fill(SLOT, LAST);
	put_figure("fill-KiB", total / SZ_1K,
		   nr_filled == FILL_MAX ? "not full yet" : NULL);
	release_some(total / 100 * LEFT_FREE);
	measure_state("full-95", "full-95-batch");
	release_all();

	fill(SLOT, SLOT);
	sort(filled, nr_filled, sizeof(*filled), by_bus, NULL);
	for (i = 0; i < nr_filled; i += 2)
		release(&filled[i]);
	measure_state("checkerboard", "checkerboard-batch");
	release_all();

	measure_state("empty-again", "empty-again-batch");
}

static u64 round_clear(struct work *w)
{
	size_t size = PAGE_SIZE << w->order;
	unsigned int nr = w->nr, i;
	u64 start;

	OPTIMIZER_HIDE_VAR(size);
	start = ktime_get_ns();
	for (i = 0; i < nr; i++) {
		memset(copy_dst, 0, size);
		/* Each one counts, so none may be dropped. */
		barrier();
	}
	return ktime_get_ns() - start;
}

/* A pair in the steady state; its clearing is told apart. */
static void measure_coherent(const char *name, unsigned int order,
			     unsigned int nr)
{
	struct work w = { .order = order, .nr = nr };
	struct row row = {
		.name = name,
		.copies = 1,
		.segments = NOT_SAID,
	};

	row.memcpy = measure(round_clear, &w);
	row.figure = measure(round_coherent, &w);
	row.remark = w.failed ? "refused" : uneven(&w);
	put_row(&row);
}

/*
 * The longest time that no interrupt came, while a timer asks for one all the
 * time: masked by the kernel, or the hypervisor did not come back.
 */
static ktime_t held_last;
static u64 held_longest;

static enum hrtimer_restart held_tick(struct hrtimer *timer)
{
	ktime_t now = ktime_get();

	held_longest = max_t(u64, held_longest, ktime_sub(now, held_last));
	held_last = now;
	hrtimer_forward_now(timer, HELD_PERIOD);
	return HRTIMER_RESTART;
}

static void held_begin(struct hrtimer *timer)
{
#ifdef HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, held_tick, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL_HARD);
#else
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	timer->function = held_tick;
#endif
	held_longest = 0;
	held_last = ktime_get();
	hrtimer_start(timer, HELD_PERIOD, HRTIMER_MODE_REL_HARD);
}

static u64 held_end(struct hrtimer *timer)
{
	hrtimer_cancel(timer);
	/* What is still pending comes before this, if anything is. */
	return max_t(u64, held_longest, ktime_sub(ktime_get(), held_last));
}

/**
 * struct first - an allocation for which nothing of its kind has been freed
 * @addr: the memory
 * @bus: its address
 */
struct first {
	void *addr;
	dma_addr_t bus;
};

/* One of them: what it takes, or how long it holds interrupts off. */
static s64 measure_one_first(struct first *first, size_t size, bool held)
{
	struct hrtimer timer;
	u64 start, time;

	if (held)
		held_begin(&timer);
	start = ktime_get_ns();
	first->addr = dma_alloc_coherent(dev, size, &first->bus,
					 GFP_KERNEL | __GFP_NOWARN);
	time = ktime_get_ns() - start;
	if (held)
		time = held_end(&timer);
	return first->addr ? time : NOT_SAID;
}

/*
 * First allocations of an order, none freed before the last: the cheapest, or the
 * one that held interrupts off for the shortest time. What it takes to clear the memory
 * that is handed out is told apart.
 */
static void measure_first(struct first *first, const char *name,
			  unsigned int order, bool held)
{
	struct work w = { .order = order, .nr = 1 };
	size_t size = PAGE_SIZE << order;
	struct row row = {
		.name = name,
		.figure = S64_MAX,
		.memcpy = NOT_SAID,
		.copies = 1,
		.segments = NOT_SAID,
	};
	unsigned int i;

	if (held && hrtimer_resolution > HELD_PERIOD) {
		put_wrong(name, "no timer of that resolution");
		return;
	}
	for (i = 0; i < FIRSTS; i++) {
		s64 time = measure_one_first(&first[i], size, held);

		row.figure = min(row.figure, time);
	}
	if (row.figure == NOT_SAID)
		row.remark = "refused";
	else if (!held)
		row.memcpy = measure(round_clear, &w);
	put_row(&row);
}

/* Both for an order, or with a NULL for a name one of them. */
static void measure_firsts(const char *first_name, const char *held_name,
			   unsigned int order)
{
	struct first first[2 * FIRSTS] = { };
	unsigned int i;

	if (first_name)
		measure_first(first, first_name, order, false);
	if (held_name)
		measure_first(first + FIRSTS, held_name, order, true);
	for (i = 0; i < ARRAY_SIZE(first); i++)
		if (first[i].addr)
			dma_free_coherent(dev, PAGE_SIZE << order,
					  first[i].addr, first[i].bus);
}

static void coherents(void)
{
	if (dma_set_coherent_mask(dev, DMA_BIT_MASK(32))) {
		put_wrong("coherent-0", "mask refused");
		return;
	}
	measure_firsts("first-0", NULL, 0);
	measure_firsts("first-3", NULL, 3);
	measure_firsts("first-6", "held-6", 6);
	measure_firsts(NULL, "held-7", 7);
	measure_firsts("first-9", "held-9", 9);
	measure_firsts(NULL, "held-10", 10);

	measure_coherent("coherent-0", 0, 20);
	measure_coherent("coherent-3", 3, 10);
	measure_coherent("coherent-5", 5, 3);
	measure_coherent("coherent-9", 9, 2);
	measure_coherent("coherent-11", 11, 1);

	/* Where any page will do. */
	if (!dma_set_coherent_mask(dev, DMA_BIT_MASK(64)))
		measure_coherent("coherent-0-64", 0, 20);
}

static int by_address(const void *a, const void *b)
{
	const u8 *x = *(u8 * const *)a, *y = *(u8 * const *)b;

	return x < y ? -1 : x > y;
}

/* Finds the longest run of blocks up to RUN_MAX; the others go back. */
static int find_run(void)
{
	unsigned int nr, i, start = 0, best = 0, best_len = 0;
	u8 **block;

	block = kcalloc(BLOCKS_TRIED, sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	for (nr = 0; nr < BLOCKS_TRIED; nr++) {
		block[nr] = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_NOWARN |
						   __GFP_NORETRY,
						   get_order(BLOCK));
		if (!block[nr])
			break;
	}
	sort(block, nr, sizeof(*block), by_address, NULL);
	for (i = 0; i < nr; i++) {
		if (i && block[i] != block[i - 1] + BLOCK)
			start = i;
		if (i + 1 - start > best_len) {
			best = start;
			best_len = i + 1 - start;
		}
	}
	best_len = min_t(unsigned int, best_len, RUN_MAX / BLOCK);
	for (i = 0; i < nr; i++)
		if (i < best || i >= best + best_len)
			free_pages((unsigned long)block[i], get_order(BLOCK));
	if (best_len) {
		run = block[best];
		run_size = (size_t)best_len * BLOCK;
	}
	kfree(block);
	return best_len ? 0 : -ENOMEM;
}

/* With 64 bits, a page is given where it is. */
static int find_places(void)
{
	unsigned int low = 0;
	size_t pos;
	int ret;

	ret = use_mask(64);
	if (ret)
		return ret;
	for (pos = 0; pos < run_size; pos += PAGE_SIZE) {
		dma_addr_t bus = map(run + pos, PAGE_SIZE);

		if (dma_mapping_error(dev, bus))
			return -EIO;
		unmap(bus, PAGE_SIZE);
		machine[pos >> PAGE_SHIFT] = bus;
		if (bus < SZ_4G)
			low++;
	}
	put_figure("buffer-KiB", run_size / SZ_1K, NULL);
	put_figure("buffer-contiguous-KiB", longest_piece(&pos) / SZ_1K, NULL);
	/* What lies low is not bounced, and nothing of it would be measured. */
	if (low) {
		put_wrong("buffer-low-pages", "not all above 4 GiB");
		return -EIO;
	}
	return 0;
}

static void free_run(void)
{
	size_t pos;

	for (pos = 0; pos < run_size; pos += BLOCK)
		free_pages((unsigned long)run + pos, get_order(BLOCK));
	run_size = 0;
}

static int get_memory(void)
{
	int ret = find_run();

	if (ret)
		return ret;
	machine = kvcalloc(run_size >> PAGE_SHIFT, sizeof(*machine),
			   GFP_KERNEL);
	filled = vzalloc(FILL_MAX * sizeof(*filled));
	copy_dst = vzalloc(SZ_16M);
	if (!machine || !filled || !copy_dst)
		return -ENOMEM;
	memset(run, 0x5a, run_size);
	return find_places();
}

static void put_memory(void)
{
	vfree(copy_dst);
	vfree(filled);
	kvfree(machine);
	free_run();
}

static int bench_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	dev = &pdev->dev;
	/* Else a list's segments would end at 64 KiB, for any driver. */
	dma_set_max_seg_size(dev, UINT_MAX);

	ret = get_memory();
	if (!ret && !only_coherent) {
		/* What needs a fresh boot comes first. */
		limits();
		use_mask(32);
		bounces();
		lists();
		directs();
		fills();
	}
	if (!ret)
		coherents();
	put_memory();
	if (ret)
		return ret;
	pr_info("end\t%u\n", wrong);
	return 0;
}

static const struct pci_device_id bench_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, bench_ids);

static struct pci_driver bench_driver = {
	.name = "xen_dma_bench",
	.id_table = bench_ids,
	.probe = bench_probe,
};
module_pci_driver(bench_driver);

MODULE_DESCRIPTION("Costs of DMA mappings, in instructions");
MODULE_LICENSE("GPL");
