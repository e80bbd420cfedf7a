// SPDX-License-Identifier: GPL-2.0
/*
 * For tests that want all that the pool has: mappings until nothing is free, and
 * what there is of the pool afterwards.
 */
#include <linux/delay.h>

#include "exhaust.h"

/* The longest time until the pool tries to grow again. */
#define XDT_PATIENCE_MS	1100

/**
 * xdt_exhaust() - map until it fails
 * @x:		the fixture
 * @dev:	the device
 * @size:	bytes of each mapping
 * @bus:	their addresses
 * @max:	how many at most
 *
 * Return: How many there are.
 */
unsigned int xdt_exhaust(struct xdt *x, struct device *dev, size_t size,
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

/**
 * xdt_release() - unmap what is mapped
 * @x:		the fixture
 * @dev:	the device
 * @size:	bytes of each mapping
 * @bus:	their addresses, DMA_MAPPING_ERROR for none; and for each afterwards
 * @nr:		how many
 */
void xdt_release(struct xdt *x, struct device *dev, size_t size,
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

/**
 * xdt_addresses() - room for addresses
 * @x:		the fixture
 *
 * Return: Room for twice as many as the aperture has slots, and one.
 */
dma_addr_t *xdt_addresses(struct xdt *x)
{
	dma_addr_t *bus;

	bus = kunit_kmalloc_array(x->test, 2 * x->size / XDT_SLOT + 1,
				  sizeof(*bus), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(x->test, bus);
	return bus;
}

/**
 * xdt_how_many() - how often something fits into an aperture that is not in use
 * @x:		the fixture
 * @size:	bytes
 * @bus:	room for the addresses
 *
 * Return: How often.
 */
unsigned int xdt_how_many(struct xdt *x, size_t size, dma_addr_t *bus)
{
	unsigned int nr = xdt_exhaust(x, x->dev, size, bus,
				      x->size / XDT_SLOT + 1);

	xdt_release(x, x->dev, size, bus, nr);
	return nr;
}

/**
 * xdt_settle() - let go of chunks that nobody uses
 * @x:		the fixture
 *
 * Context: May sleep.
 */
void xdt_settle(struct xdt *x)
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

/**
 * xdt_patience() - wait until the aperture tries again
 *
 * After an attempt to grow that failed, the aperture may wait before the next,
 * but not for longer than this.
 *
 * Context: May sleep.
 */
void xdt_patience(void)
{
	msleep(XDT_PATIENCE_MS);
}

/**
 * xdt_exhaust_atomic() - as xdt_exhaust(), with interrupts off
 * @x:		the fixture
 * @dev:	the device
 * @size:	bytes of each mapping
 * @bus:	their addresses
 * @max:	how many at most
 *
 * Each mapping has its own bytes, which xdt_check_contents() knows.
 *
 * Return: How many there are.
 */
unsigned int xdt_exhaust_atomic(struct xdt *x, struct device *dev,
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

/**
 * xdt_check_contents() - does each mapping have its own bytes?
 * @x:		the fixture
 * @size:	bytes of each mapping
 * @bus:	the addresses, of xdt_exhaust_atomic()
 * @nr:		how many
 */
void xdt_check_contents(struct xdt *x, size_t size, dma_addr_t *bus,
			unsigned int nr)
{
	ssize_t bad;

	while (nr--) {
		bad = xdt_dev_differs(x->scratch, bus[nr], nr, 0, size);
		KUNIT_EXPECT_EQ_MSG(x->test, bad, -1, "mapping %u at %pad", nr,
				    &bus[nr]);
	}
}
