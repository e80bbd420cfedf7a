// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory that is allocated in an interrupt, where nobody may sleep:
 * first while the driver has nothing at hand, then again while it has what was
 * freed. It is looked at, and freed, where there is time. On PREEMPT_RT nobody gets
 * memory in an interrupt: there it is a thread that allocates.
 *
 * Whether the hypervisor had a part in it is coherent_atomic.sh's to see.
 */
#include <linux/dma-mapping.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/preempt.h>

#include "xdt.h"
#include "xdt_memory.h"

#define NR_ORDERS	6
#define NR_INTERRUPTS	16

/**
 * struct interrupt - one, and what it allocates
 * @work: has it raised
 * @dev: the device
 * @areas: what it has allocated
 * @hard: it was an interrupt, and its CPU took no other; or else its thread
 */
struct interrupt {
	struct irq_work work;
	struct device *dev;
	struct xdt_area areas[NR_ORDERS];
	bool hard;
};

static void allocate(struct irq_work *work)
{
	struct interrupt *irq = container_of(work, struct interrupt, work);
	unsigned int order;

	irq->hard = IS_ENABLED(CONFIG_PREEMPT_RT) ||
		    (in_hardirq() && irqs_disabled());
	for (order = 0; order < NR_ORDERS; order++)
		xdt_take(irq->dev, &irq->areas[order], PAGE_SIZE << order,
			 GFP_ATOMIC);
}

static void check_areas(struct kunit *test, struct interrupt *irq)
{
	unsigned int order;

	KUNIT_EXPECT_TRUE(test, irq->hard);
	for (order = 0; order < NR_ORDERS; order++) {
		struct xdt_area *area = &irq->areas[order];
		const char *flaw;

		KUNIT_EXPECT_NOT_NULL_MSG(test, area->addr, "order %u", order);
		if (!area->addr)
			continue;
		flaw = xdt_area_flaw(irq->dev, area);
		KUNIT_EXPECT_NULL_MSG(test, flaw, "order %u: %s", order, flaw);
	}
}

static void check_interrupts(struct kunit *test, unsigned int bits)
{
	struct interrupt *irqs;
	unsigned int i;

	irqs = kunit_kcalloc(test, NR_INTERRUPTS, sizeof(*irqs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, irqs);
	KUNIT_ASSERT_EQ(test, 0, dma_set_coherent_mask(xdt_dev(test),
						       DMA_BIT_MASK(bits)));
	for (i = 0; i < NR_INTERRUPTS; i++) {
		irqs[i].work = IRQ_WORK_INIT(allocate);
		irqs[i].dev = xdt_dev(test);
		KUNIT_EXPECT_TRUE(test, irq_work_queue(&irqs[i].work));
		irq_work_sync(&irqs[i].work);
	}
	for (i = 0; i < NR_INTERRUPTS; i++)
		check_areas(test, &irqs[i]);

	/* None of them shares a byte with another. */
	for (i = 0; i < NR_INTERRUPTS * NR_ORDERS; i++) {
		struct xdt_area *area = &irqs[i / NR_ORDERS].areas[i % NR_ORDERS];

		if (area->addr)
			xdt_stamp(area->addr, area->size, i);
	}
	KUNIT_EXPECT_TRUE(test, xdt_device_sees(irqs[0].areas, NR_ORDERS));
	for (i = 0; i < NR_INTERRUPTS * NR_ORDERS; i++) {
		struct xdt_area *area = &irqs[i / NR_ORDERS].areas[i % NR_ORDERS];

		if (area->addr)
			KUNIT_EXPECT_EQ(test, area->size,
					xdt_stamped(area->addr, area->size, i));
		xdt_give(xdt_dev(test), area);
	}
}

static void exchanged(struct kunit *test)
{
	check_interrupts(test, 32);
}

static void kept(struct kunit *test)
{
	check_interrupts(test, 32);
}

static struct kunit_case atomic_cases[] = {
	KUNIT_CASE(exchanged),
	KUNIT_CASE(kept),
	{ }
};

static struct kunit_suite atomic_suite = {
	.name = "xdt_atomic",
	.init = xdt_init,
	.exit = xdt_exit,
	.test_cases = atomic_cases,
};

kunit_test_suite(atomic_suite);

MODULE_DESCRIPTION("DMA tests: coherent memory in interrupts");
MODULE_LICENSE("GPL");
