// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing is lost: thousands of random allocations and frees, of which
 * coherent_conserve.sh has a part fail half-way, leave every byte of every
 * region as it was written, those of pages that have nothing to do with it, and
 * the domain's memory as a whole. What the hypervisor and the kernel have
 * afterwards is the script's to compare. And who reads what was free when it was
 * taken for an exchange gets something, as SLUB needs it.
 *
 * The sequence depends on xdt_seed alone, and on which faults hit.
 */
#include <linux/cpumask.h>
#include <linux/dma-mapping.h>
#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "xdt.h"
#include "xdt_memory.h"

/* Regions that may be alive at a time; others that are not touched. */
#define MANY_LIVE	96
#define MANY_OTHERS	4096

/* Allocations that are tried. */
#define ROUNDS		10000

/* Allocations between two looks through the bus. */
#define LOOK_EVERY	1250

#define OTHERS_SEED	BIT_ULL(32)

/**
 * struct live - a region
 * @area: where it is
 * @bits: width of the mask that it was allocated with
 * @stamp: what it holds
 */
struct live {
	struct xdt_area area;
	unsigned int bits;
	unsigned int stamp;
};

static struct live live[MANY_LIVE];
static struct page *others[MANY_OTHERS];
static struct xdt_domain before;

/* Pages of which half are alone, a quarter in pairs, and so on. */
static unsigned int random_order(struct rnd_state *rnd)
{
	return min(10UL, __ffs(prandom_u32_state(rnd) | BIT(31)));
}

static unsigned int random_bits(struct rnd_state *rnd)
{
	unsigned int percent = prandom_u32_state(rnd) % 100;

	if (percent < 2)
		return 24;
	if (percent < 20)
		return 28;
	if (percent < 40)
		return 30;
	return percent < 80 ? 32 : 64;
}

static void set_bits(struct kunit *test, unsigned int bits)
{
	KUNIT_EXPECT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(bits)));
}

/* Some drivers can't serve the narrowest mask, which is not the matter here. */
static unsigned int narrowest(struct kunit *test)
{
	return dma_set_coherent_mask(xdt_dev(test), DMA_BIT_MASK(24)) ? 28 : 24;
}

static bool take(struct kunit *test, struct live *l, unsigned int order,
		 gfp_t gfp)
{
	const char *flaw;

	set_bits(test, l->bits);
	if (!xdt_take(xdt_dev(test), &l->area, PAGE_SIZE << order, gfp))
		return false;
	flaw = xdt_area_flaw(xdt_dev(test), &l->area);
	KUNIT_EXPECT_NULL_MSG(test, flaw, "order %u, %u bits: %s", order,
			      l->bits, flaw);
	xdt_stamp(l->area.addr, l->area.size, l->stamp);
	return true;
}

static void give(struct kunit *test, struct live *l)
{
	KUNIT_EXPECT_EQ(test, l->area.size,
			xdt_stamped(l->area.addr, l->area.size, l->stamp));
	set_bits(test, l->bits);
	xdt_give(xdt_dev(test), &l->area);
}

static void look_through_bus(struct kunit *test, struct rnd_state *rnd)
{
	unsigned int i = prandom_u32_state(rnd) % MANY_LIVE, n;
	struct xdt_area areas[XDT_MAX_SEEN];

	for (n = 0; n < XDT_MAX_SEEN; n++)
		areas[n] = live[(i + n) % MANY_LIVE].area;
	KUNIT_EXPECT_TRUE(test, xdt_device_sees(areas, XDT_MAX_SEEN));
}

static void regions(struct kunit *test)
{
	unsigned int lowest = narrowest(test), tried = 0, got = 0, i;
	u32 seed = xdt_seed ?: get_random_u32() | 1;
	struct rnd_state rnd;

	kunit_info(test, "seed %u\n", seed);
	prandom_seed_state(&rnd, seed);

	while (tried < ROUNDS) {
		struct live *l = &live[prandom_u32_state(&rnd) % MANY_LIVE];
		unsigned int order = random_order(&rnd);
		unsigned int bits = max(random_bits(&rnd), lowest);
		bool atomic = prandom_u32_state(&rnd) % 4 == 0;

		cond_resched();
		if (l->area.addr) {
			give(test, l);
			continue;
		}
		l->bits = bits;
		l->stamp = ++tried;
		got += take(test, l, order, atomic ? GFP_ATOMIC : GFP_KERNEL);
		if (tried % LOOK_EVERY == 0)
			look_through_bus(test, &rnd);
	}
	for (i = 0; i < MANY_LIVE; i++)
		if (live[i].area.addr)
			give(test, &live[i]);
	set_bits(test, 64);

	kunit_info(test, "%u of %u allocations\n", got, tried);
	KUNIT_EXPECT_GT(test, got, tried / 4);
}

/* Orders that are exchanged while somebody reads: single PTEs, and whole tables of them. */
#define LAST_READ	10
#define MANY_READ	8

/**
 * struct reader - who reads memory that is not his
 * @block: where it begins, and in the lowest bits its order; 0 for none
 * @reads: words that were read
 * @faults: words that could not be
 */
struct reader {
	unsigned long block;
	unsigned long reads;
	unsigned long faults;
};

static int read_over_and_over(void *arg)
{
	struct reader *r = arg;
	size_t at = 0;
	u64 word;

	while (!kthread_should_stop()) {
		unsigned long block = READ_ONCE(r->block);

		cond_resched();
		if (!block)
			continue;
		at = (at + PAGE_SIZE) % (PAGE_SIZE << (block % PAGE_SIZE));
		if (copy_from_kernel_nofault(&word, (void *)(block & PAGE_MASK) + at,
					     sizeof(word)))
			r->faults++;
		else
			r->reads++;
	}
	return 0;
}

/* A block is freed and taken for coherent memory while it is read; returns whether it was it. */
static bool take_read_block(struct kunit *test, struct reader *r, struct xdt_area *area,
			    unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL, order);
	const void *base;

	KUNIT_ASSERT_NOT_NULL(test, page);
	base = page_address(page);
	__free_pages(page, order);
	WRITE_ONCE(r->block, (unsigned long)base + order);
	xdt_take(xdt_dev(test), area, PAGE_SIZE << order, GFP_KERNEL);
	WRITE_ONCE(r->block, 0);
	return area->addr == base;
}

static void read_meanwhile(struct kunit *test)
{
	struct xdt_area areas[MANY_READ] = { };
	unsigned int order, i, same = 0;
	struct reader reader = { };
	struct task_struct *task;

	KUNIT_ASSERT_GT_MSG(test, num_online_cpus(), 1, "one CPU only");
	set_bits(test, 32);
	task = kthread_run(read_over_and_over, &reader, "xdt/reader");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (order = 0; order <= LAST_READ; order++) {
		for (i = 0; i < MANY_READ; i++)
			same += take_read_block(test, &reader, &areas[i], order);
		for (i = 0; i < MANY_READ; i++)
			if (areas[i].addr)
				xdt_give(xdt_dev(test), &areas[i]);
	}
	kthread_stop(task);
	set_bits(test, 64);

	kunit_info(test, "%u blocks, %lu words\n", same, reader.reads);
	KUNIT_EXPECT_GT(test, same, LAST_READ);
	KUNIT_EXPECT_GT(test, reader.reads, 0);
	KUNIT_EXPECT_EQ(test, 0, reader.faults);
}

/* Pages that nobody exchanges hold what they held. */
static void bystanders(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < MANY_OTHERS; i++)
		KUNIT_EXPECT_EQ(test, PAGE_SIZE,
				xdt_stamped(page_address(others[i]), PAGE_SIZE,
					    OTHERS_SEED + i));
}

/* The tables agree, and about as many pages as before. */
static void domain(struct kunit *test)
{
	struct xdt_domain after;

	KUNIT_EXPECT_TRUE_MSG(test, xdt_is_sound(&after, &before),
			      "%lu pages are wrong, first %#lx: P2M %#lx PTE %#lx M2P %#lx",
			      after.wrong, after.pfn, after.p2m, after.pte,
			      after.m2p);
	KUNIT_EXPECT_EQ(test, before.mapped, after.mapped);
	KUNIT_EXPECT_EQ(test, before.owned, after.owned);
}

static struct kunit_case conserve_cases[] = {
	KUNIT_CASE(regions),
	KUNIT_CASE(read_meanwhile),
	KUNIT_CASE(bystanders),
	KUNIT_CASE(domain),
	{ }
};

static int conserve_suite_init(struct kunit_suite *suite)
{
	unsigned int i;

	for (i = 0; i < MANY_OTHERS; i++) {
		others[i] = alloc_page(GFP_KERNEL);
		if (!others[i])
			return -ENOMEM;
		xdt_stamp(page_address(others[i]), PAGE_SIZE, OTHERS_SEED + i);
	}
	return xdt_is_sound(&before, NULL) ? 0 : -EIO;
}

static void conserve_suite_exit(struct kunit_suite *suite)
{
	unsigned int i;

	for (i = 0; i < MANY_OTHERS && others[i]; i++)
		__free_page(others[i]);
}

static struct kunit_suite conserve_suite = {
	.name = "xdt_conserve",
	.suite_init = conserve_suite_init,
	.suite_exit = conserve_suite_exit,
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = conserve_cases,
};

kunit_test_suite(conserve_suite);

MODULE_DESCRIPTION("DMA tests: nothing is lost");
MODULE_LICENSE("GPL");
