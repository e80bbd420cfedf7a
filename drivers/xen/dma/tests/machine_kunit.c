// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that show the model of the machine to be what it says.
 */
#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/mm.h>

#include <asm/xen/page.h>

#include <xen/swiotlb-xen.h>

#include "machine-model.h"

/* Memory of a case's own. */
#define CASE_ORDER	8
#define CASE_PAGES	BIT(CASE_ORDER)
#define CASE_SIZE	(PAGE_SIZE << CASE_ORDER)

static int machine_case_init(struct kunit *test)
{
	void *buf = (void *)__get_free_pages(GFP_KERNEL, CASE_ORDER);

	if (!buf)
		return -ENOMEM;
	test->priv = buf;
	xen_machine_reset();

	return 0;
}

static void machine_case_exit(struct kunit *test)
{
	free_pages((unsigned long)test->priv, CASE_ORDER);
	xen_machine_reset();
}

static unsigned long mfn_of(const void *addr)
{
	return xen_machine_mfn(PHYS_PFN(__pa(addr)));
}

static void machine_default(struct kunit *test)
{
	unsigned long outside = 0, contiguous = 0, pfn;

	KUNIT_ASSERT_GT(test, xen_p2m_size, CASE_PAGES);
	for (pfn = 0; pfn < xen_p2m_size; pfn++) {
		unsigned long mfn = xen_machine_mfn(pfn);

		outside += mfn < HOME_MFN || mfn >= HOME_MFN + HOME_FRAMES;
		contiguous += pfn && mfn == xen_machine_mfn(pfn - 1) + 1;
	}

	KUNIT_EXPECT_EQ(test, outside, 0);
	KUNIT_EXPECT_EQ(test, contiguous, 0);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_mfn(xen_p2m_size), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, xen_machine_pfn(0), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, xen_machine_pfn(XEN_MACHINE_END_MFN), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(20), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(24), SZ_1M * 15 / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(64),
			((u64)SZ_1M * 15 + SZ_1G * 3UL - SZ_64M) / PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, xen_required_dma_mask(), DMA_BIT_MASK(34));
}

static void machine_place(struct kunit *test)
{
	unsigned long first = XEN_MACHINE_FREE_MFN + 5;
	void *buf = test->priv;
	void *half = buf + CASE_SIZE / 2;

	xen_machine_place(buf, CASE_PAGES, first);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), first);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	/* One page on: each page takes the frame of the one before it. */
	xen_machine_place(buf, CASE_PAGES, first - 1);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), first - 1);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	/* The second half gets the frames of the first, which gets others. */
	xen_machine_place(half, CASE_PAGES / 2, first - 1);
	KUNIT_EXPECT_EQ(test, mfn_of(half), first - 1);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), first - 1 + CASE_PAGES / 2);
	KUNIT_EXPECT_FALSE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	/* The end of the range is in it. */
	xen_machine_place(buf, CASE_PAGES, XEN_MACHINE_END_MFN - CASE_PAGES);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

/* For devices of so many bits; and the other way. */
static int create(void *addr, unsigned int order, unsigned int bits,
		  dma_addr_t *bus)
{
	return xen_create_contiguous_region(__pa(addr), order, bits, GFP_KERNEL,
					    bus);
}

static int destroy(void *addr, unsigned int order, bool *all)
{
	return xen_destroy_contiguous_region(__pa(addr), order, GFP_KERNEL,
					     all);
}

/* There and back again, for devices of so many bits. */
static void exchange_one(struct kunit *test, unsigned int order,
			 unsigned int bits)
{
	u64 top = min(DMA_BIT_MASK(bits), LOW_WIDE_END - 1ULL);
	unsigned long low = xen_machine_low_free(32);
	size_t size = PAGE_SIZE << order;
	void *buf = test->priv;
	dma_addr_t bus, again;
	bool all;

	memset(buf, 0, CASE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, create(buf, order, bits, &bus));
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(bus, size));
	KUNIT_EXPECT_LE(test, bus + size - 1, top);
	KUNIT_EXPECT_EQ(test, PHYS_PFN(bus), mfn_of(buf));
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), size));
	KUNIT_EXPECT_NULL(test, memchr_inv(buf, MACHINE_GARBAGE, size));
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low - BIT(order));

	KUNIT_EXPECT_TRUE(test, xen_region_suits(__pa(buf), order, bits,
						 &again));
	KUNIT_EXPECT_EQ(test, again, bus);

	KUNIT_EXPECT_EQ(test, 0, destroy(buf, order, &all));
	KUNIT_EXPECT_TRUE(test, all);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
	KUNIT_EXPECT_GE(test, mfn_of(buf), HOME_MFN);
	KUNIT_EXPECT_TRUE(test, !order ||
			  !xen_region_contiguous(__pa(buf), size));
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), 2);
}

static void machine_exchange(struct kunit *test)
{
	static const unsigned int widths[] = { 24, 28, 30, 32 };
	void *buf = test->priv;
	dma_addr_t bus;
	int i, order;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		for (order = CASE_ORDER; order >= 0; order--) {
			xen_machine_reset();
			exchange_one(test, order, widths[i]);
		}
		KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
	}

	/* The highest that fits, and below that when it is taken. */
	xen_machine_reset();
	for (i = 1; i <= 3; i++) {
		void *part = buf + (i - 1) * CASE_SIZE / 4;

		KUNIT_EXPECT_EQ(test, 0, create(part, CASE_ORDER - 2, 30, &bus));
		KUNIT_EXPECT_EQ(test, bus, SZ_1G - i * CASE_SIZE / 4);
	}
}

static void machine_refusal(struct kunit *test)
{
	unsigned long low, mfn;
	bool all;
	void *buf = test->priv;
	dma_addr_t bus = 1;

	/* Nothing aligned: fifteen pages and sixteen, but no block of 16. */
	xen_machine_set_low(PAGE_SIZE, SZ_128K - PAGE_SIZE);
	low = xen_machine_low_free(32);
	mfn = mfn_of(buf);
	KUNIT_EXPECT_EQ(test, low, 30);
	KUNIT_EXPECT_EQ(test, -ENOMEM, create(buf, 4, 32, &bus));
	KUNIT_EXPECT_EQ(test, bus, 1);
	KUNIT_EXPECT_EQ(test, mfn_of(buf), mfn);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);

	KUNIT_ASSERT_EQ(test, 0, create(buf, 3, 32, &bus));
	KUNIT_EXPECT_EQ(test, bus, SZ_64K);
	mfn = mfn_of(buf);

	xen_machine_fail_exchanges(-EPERM);
	KUNIT_EXPECT_EQ(test, -EPERM, destroy(buf, 3, &all));
	KUNIT_EXPECT_EQ(test, mfn_of(buf), mfn);
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), SZ_32K));
	KUNIT_EXPECT_EQ(test, -EPERM, create(buf + SZ_64K, 1, 32, &bus));
	KUNIT_EXPECT_TRUE(test, xen_region_suits(__pa(buf), 3, 32, &bus));
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), 1);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low - 8);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf, 3, &all));
	KUNIT_EXPECT_TRUE(test, all);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);
	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(), 2);
}

/* There is nothing higher: one step, and what came is no better. */
static void giving_low(struct kunit *test, unsigned long low)
{
	struct xen_machine_counts c;
	void *buf = test->priv;
	dma_addr_t bus;
	bool all;

	xen_machine_counts(&c);
	KUNIT_EXPECT_EQ(test, c.given, 0);
	KUNIT_EXPECT_EQ(test, c.give_calls, 5);
	KUNIT_EXPECT_EQ(test, c.given_pages, 131);
	xen_machine_only_low(true);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf + 192 * PAGE_SIZE, 6, &all));
	KUNIT_EXPECT_FALSE(test, all);
	xen_machine_counts(&c);
	KUNIT_EXPECT_EQ(test, c.give_calls, 6);
	KUNIT_EXPECT_EQ(test, c.given_pages, 195);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low);

	/* For a narrow region that is an improvement. */
	KUNIT_ASSERT_EQ(test, 0, create(buf, 7, 28, &bus));
	KUNIT_EXPECT_EQ(test, 0, destroy(buf, 7, &all));
	KUNIT_EXPECT_TRUE(test, all);
	KUNIT_EXPECT_LT(test, mfn_of(buf), HOME_MFN);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

/* What is given back goes in steps, and each may end early, or do no good. */
static void machine_giving(struct kunit *test)
{
	void *buf = test->priv;
	unsigned long low;
	dma_addr_t bus;
	bool all;

	KUNIT_ASSERT_EQ(test, 0, create(buf, CASE_ORDER, 32, &bus));
	low = xen_machine_low_free(32);

	/* The first step fails, and the region stays. */
	xen_machine_fail_after(0, -EBUSY, false);
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(buf, CASE_ORDER, &all));
	KUNIT_EXPECT_FALSE(test, xen_machine_fails_later());
	KUNIT_EXPECT_TRUE(test, xen_region_contiguous(__pa(buf), CASE_SIZE));
	KUNIT_EXPECT_EQ(test, mfn_of(buf), PHYS_PFN(bus));

	/* The third fails, and two are done; then each does three pages. */
	xen_machine_fail_after(2, -EBUSY, false);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf, CASE_ORDER, &all));
	KUNIT_EXPECT_FALSE(test, all);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low + 128);
	KUNIT_EXPECT_GE(test, mfn_of(buf + 127 * PAGE_SIZE), HOME_MFN);
	KUNIT_EXPECT_EQ(test, mfn_of(buf + 128 * PAGE_SIZE),
			PHYS_PFN(bus) + 128);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), 128);
	xen_machine_give_part(3);
	KUNIT_EXPECT_EQ(test, 0, destroy(buf + 128 * PAGE_SIZE, 7, &all));
	KUNIT_EXPECT_FALSE(test, all);
	KUNIT_EXPECT_EQ(test, xen_machine_low_free(32), low + 131);
	xen_machine_give_part(64);

	giving_low(test, low + 131);
}

static int create_pages(struct page **pages, unsigned int bits, dma_addr_t *bus)
{
	return xen_create_contiguous_pages(pages, CASE_ORDER - 1, bits,
					   GFP_KERNEL, bus);
}

static int destroy_pages(struct page **pages, bool *all)
{
	return xen_destroy_contiguous_pages(pages, CASE_ORDER - 1, GFP_KERNEL,
					    all);
}

/* From the second call on nothing works. */
static void pages_refused(struct kunit *test, struct page **pages)
{
	struct xen_machine_counts c;
	dma_addr_t bus;
	bool all;
	int i;

	xen_machine_fail_after(1, -EPERM, true);
	KUNIT_EXPECT_EQ(test, 0, create_pages(pages, 24, &bus));
	KUNIT_EXPECT_TRUE(test, xen_machine_fails_later());
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, -EPERM, destroy_pages(pages, &all));
	xen_machine_fail_exchanges(0);
	KUNIT_EXPECT_EQ(test, 0, destroy_pages(pages, &all));
	KUNIT_EXPECT_TRUE(test, all);
	xen_machine_counts(&c);
	KUNIT_EXPECT_EQ(test, c.make_calls, 2);
	KUNIT_EXPECT_EQ(test, c.made, 2);
	KUNIT_EXPECT_EQ(test, c.give_calls, 4);
	KUNIT_EXPECT_EQ(test, c.given, 1);
	KUNIT_EXPECT_EQ(test, xen_machine_low_used(), 0);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

static void machine_pages(struct kunit *test)
{
	struct page *pages[CASE_PAGES / 2];
	void *buf = test->priv;
	dma_addr_t bus, again;
	int i, wrong = 0;

	/* Every other page, the last first. */
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = virt_to_page(buf + CASE_SIZE -
					(2 * i + 1) * PAGE_SIZE);

	xen_machine_set_high(SZ_8G, SZ_8G + SZ_4M);
	KUNIT_ASSERT_EQ(test, 0, create_pages(pages, 34, &bus));
	KUNIT_EXPECT_EQ(test, bus, SZ_8G + SZ_4M - CASE_SIZE / 2);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		wrong += xen_machine_mfn(page_to_pfn(pages[i])) !=
			 PHYS_PFN(bus) + i;
		wrong += xen_machine_pfn(PHYS_PFN(bus) + i) !=
			 page_to_pfn(pages[i]);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_TRUE(test, xen_pages_suit(pages, CASE_ORDER - 1, 34, &again));
	KUNIT_EXPECT_EQ(test, again, bus);
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);

	pages_refused(test, pages);
}

static void machine_device(struct kunit *test)
{
	u8 *buf = test->priv;
	u8 seen[16];
	dma_addr_t bus;
	int i;

	for (i = 0; i < 2 * PAGE_SIZE; i++)
		buf[i] = i * 7 + (i >> PAGE_SHIFT);

	/* Contiguous pages: across the border, both ways. */
	xen_machine_place(buf, 2, XEN_MACHINE_FREE_MFN);
	bus = PFN_PHYS(XEN_MACHINE_FREE_MFN) + PAGE_SIZE - 8;
	KUNIT_EXPECT_EQ(test, 0, xen_machine_peek(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_MEMEQ(test, seen, buf + PAGE_SIZE - 8, sizeof(seen));

	memset(seen, 0x5a, sizeof(seen));
	KUNIT_EXPECT_EQ(test, 0, xen_machine_poke(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_MEMEQ(test, seen, buf + PAGE_SIZE - 8, sizeof(seen));
	KUNIT_EXPECT_NE(test, buf[PAGE_SIZE - 9], 0x5a);
	KUNIT_EXPECT_NE(test, buf[PAGE_SIZE + 8], 0x5a);

	/* The second page moves on, with its bytes; there is nothing behind. */
	xen_machine_place(buf + PAGE_SIZE, 1, XEN_MACHINE_END_MFN - 1);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			xen_machine_peek(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			xen_machine_poke(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_EQ(test, 0, xen_machine_peek(bus, seen, 8));
	KUNIT_EXPECT_EQ(test, -EFAULT, xen_machine_peek(0, seen, 1));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			xen_machine_peek(DMA_MAPPING_ERROR, seen, 1));

	bus = PFN_PHYS(XEN_MACHINE_END_MFN - 1) + 9;
	KUNIT_EXPECT_EQ(test, 0, xen_machine_peek(bus, seen, sizeof(seen)));
	KUNIT_EXPECT_MEMEQ(test, seen, buf + PAGE_SIZE + 9, sizeof(seen));
}

static void machine_large_buffer(struct kunit *test)
{
	size_t size, size_again;
	u8 *buf = xen_machine_buffer(&size);
	size_t i;

	KUNIT_ASSERT_NOT_NULL_MSG(test, buf,
				  "boot with xen_machine_buffer=64M");
	KUNIT_EXPECT_EQ(test, size, SZ_64M);
	KUNIT_EXPECT_PTR_EQ(test, buf, (u8 *)xen_machine_buffer(&size_again));
	KUNIT_EXPECT_EQ(test, size_again, size);

	for (i = 0; i < size; i += PAGE_SIZE)
		buf[i] = i >> PAGE_SHIFT;
	for (i = 0; i < size; i += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, buf[i], (u8)(i >> PAGE_SHIFT));
	KUNIT_EXPECT_EQ(test, mfn_of(buf + size - 1),
			xen_machine_mfn(PHYS_PFN(__pa(buf)) +
					PHYS_PFN(size - 1)));
}

/* Exchanges of one region, over and over, beside those of another CPU. */
struct machine_racer {
	phys_addr_t pstart;
	unsigned int failed;
	struct completion done;
};

#define RACE_ROUNDS	2000
#define RACE_ORDER	(CASE_ORDER - 1)

static int machine_race_thread(void *arg)
{
	struct machine_racer *racer = arg;
	unsigned long flags;
	dma_addr_t bus;
	bool all;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		unsigned int order = i % (RACE_ORDER + 1);

		local_irq_save(flags);
		if (xen_create_contiguous_region(racer->pstart, order, 32,
						 GFP_ATOMIC, &bus) ||
		    xen_machine_pfn(PHYS_PFN(bus)) != PHYS_PFN(racer->pstart) ||
		    xen_destroy_contiguous_region(racer->pstart, order,
						  GFP_ATOMIC, &all) ||
		    !all)
			racer->failed++;
		local_irq_restore(flags);
	}
	complete(&racer->done);

	return 0;
}

static void machine_race(struct kunit *test)
{
	struct machine_racer racers[2];
	struct task_struct *task;
	int i;

	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].pstart = __pa(test->priv) + i * CASE_SIZE / 2;
		racers[i].failed = 0;
		init_completion(&racers[i].done);
		task = kthread_run(machine_race_thread, &racers[i],
				   "xen-machine/%d", i);
		if (IS_ERR(task)) {
			racers[i].failed = UINT_MAX;
			complete(&racers[i].done);
		}
	}
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		wait_for_completion(&racers[i].done);
		KUNIT_EXPECT_EQ(test, racers[i].failed, 0);
	}

	KUNIT_EXPECT_EQ(test, xen_machine_exchanges(),
			2UL * RACE_ROUNDS * ARRAY_SIZE(racers));
	KUNIT_EXPECT_EQ(test, xen_machine_faults(), 0);
}

static struct kunit_case machine_cases[] = {
	KUNIT_CASE(machine_default),
	KUNIT_CASE(machine_place),
	KUNIT_CASE(machine_exchange),
	KUNIT_CASE(machine_refusal),
	KUNIT_CASE(machine_giving),
	KUNIT_CASE(machine_pages),
	KUNIT_CASE(machine_device),
	KUNIT_CASE(machine_large_buffer),
	KUNIT_CASE(machine_race),
	{}
};

static struct kunit_suite machine_suite = {
	.name = "xen-machine",
	.init = machine_case_init,
	.exit = machine_case_exit,
	.test_cases = machine_cases,
};

kunit_test_suite(machine_suite);
