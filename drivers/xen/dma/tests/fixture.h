/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit tests of the DMA driver share: a machine with an aperture, a
 * device, a large buffer, patterns that tell any two bytes' places apart, and
 * random numbers that can be had again. The functions are in fixture.c; the
 * machine itself is machine_kunit.c.
 *
 * The tests call the driver's dma_map_ops directly, and play the device with
 * xen_machine_peek() and xen_machine_poke().
 */
#ifndef __XEN_DMA_TESTS_FIXTURE_H
#define __XEN_DMA_TESTS_FIXTURE_H

#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include <xen/swiotlb-xen.h>

#include "../aperture.h"
#include "../params.h"
#include "../pool.h"
#include "machine.h"

/* What the aperture hands out, and the largest block that it must have. */
#define XDT_SLOT	SZ_2K
#define XDT_LARGEST	SZ_16M

/* Room for the largest mapping at any offset, with bytes to guard around. */
#define XDT_BUF_SIZE	(XDT_LARGEST + SZ_4M)
#define XDT_GUARD	64

/* Patterns repeat after a prime number of bytes, so not with any slot or page. */
#define XDT_PERIOD	65521
#define XDT_PIECE	SZ_64K

/* A frame that is out of reach of 32 bits, with room for others around it. */
#define XDT_FRAME	(XEN_MACHINE_FREE_MFN + SZ_4K)

/**
 * struct xdt - a machine with an aperture, and who uses it
 * @test:	the running case
 * @dev:	a device; 32-bit mask, no other limits
 * @mask:	its mask
 * @parms:	its other limits
 * @rnd:	random numbers, by the case's name and the seed
 * @buf:	XDT_BUF_SIZE bytes in one piece, for the kernel; nowhere
 *		contiguous in the machine
 * @scratch:	XDT_PIECE bytes, for what a device reads
 * @area:	memory that the aperture is made from
 * @size:	bytes of @area
 * @live:	one bit per slot below 4 GiB: in a mapping that lives
 * @max:	xen_pool_max before the case
 * @idle:	xen_pool_idle before the case
 */
struct xdt {
	struct kunit *test;
	struct device *dev;
	u64 mask;
	struct device_dma_parameters parms;
	struct rnd_state rnd;
	u8 *buf;
	u8 *scratch;
	void *area;
	size_t size;
	unsigned long *live;
	unsigned long max;
	unsigned int idle;
};

/* The sorts of devices: bits to keep of an address, widths, directions. */
struct xdt_align_case {
	unsigned int mask;
};

extern const struct xdt_align_case xdt_align_cases[5];
extern const unsigned int xdt_bits[6];
extern const enum dma_data_direction xdt_directions[3];

int xdt_suite_init(struct kunit_suite *suite);
void xdt_suite_exit(struct kunit_suite *suite);
int xdt_init(struct kunit *test);
void xdt_exit(struct kunit *test);
void xdt_restart(struct xdt *x, u64 low_start, u64 low_end);
struct device *xdt_device(struct xdt *x, const char *name, u64 mask);
unsigned long xdt_scaled(unsigned long count);
unsigned long xdt_seed(void);

void xdt_fill(void *to, u32 key, size_t at, size_t len);
ssize_t xdt_differs(const void *buf, u32 key, size_t at, size_t len);
int xdt_dev_fill(dma_addr_t bus, u32 key, size_t at, size_t len);
ssize_t xdt_dev_differs(u8 *scratch, dma_addr_t bus, u32 key, size_t at,
			size_t len);
bool xdt_slack_is_zero(u8 *scratch, dma_addr_t bus, size_t size);
bool xdt_claim(unsigned long *live, dma_addr_t bus, size_t size);
void xdt_disclaim(unsigned long *live, dma_addr_t bus, size_t size);
u64 xdt_used(void);
u64 xdt_total(void);
void xdt_dirty(struct xdt *x);

/* A random number below @below. */
static inline u32 xdt_below(struct rnd_state *rnd, u32 below)
{
	return ((u64)prandom_u32_state(rnd) * below) >> 32;
}

static inline bool xdt_chance(struct rnd_state *rnd, unsigned int percent)
{
	return xdt_below(rnd, 100) < percent;
}

/* Any number of bytes up to @max, each order of magnitude as often. */
static inline size_t xdt_any_size(struct rnd_state *rnd, size_t max)
{
	unsigned int bits = xdt_below(rnd, ilog2(max) + 1);
	size_t size = (1UL << bits) + xdt_below(rnd, 1U << bits);

	return min(size, max);
}

static inline dma_addr_t xdt_map(struct device *dev, const void *p, size_t size,
				 enum dma_data_direction dir,
				 unsigned long attrs)
{
	return xen_swiotlb_dma_ops.map_phys(dev, virt_to_phys((void *)p), size,
					    dir, attrs);
}

static inline void xdt_unmap(struct device *dev, dma_addr_t bus, size_t size,
			     enum dma_data_direction dir, unsigned long attrs)
{
	xen_swiotlb_dma_ops.unmap_phys(dev, bus, size, dir, attrs);
}

static inline void xdt_for_cpu(struct device *dev, dma_addr_t bus, size_t size,
			       enum dma_data_direction dir)
{
	xen_swiotlb_dma_ops.sync_single_for_cpu(dev, bus, size, dir);
}

static inline void xdt_for_device(struct device *dev, dma_addr_t bus,
				  size_t size, enum dma_data_direction dir)
{
	xen_swiotlb_dma_ops.sync_single_for_device(dev, bus, size, dir);
}

/* Where the machine has the byte at @p. */
static inline u64 xdt_machine(const void *p)
{
	phys_addr_t phys = virt_to_phys((void *)p);

	return ((u64)xen_machine_mfn(PHYS_PFN(phys)) << PAGE_SHIFT) +
	       offset_in_page(phys);
}

/*
 * Whether @size bytes can lie on one side of each boundary, when their address
 * keeps the bits of the device's alignment mask.
 */
static inline bool xdt_can_keep_within(struct device *dev, phys_addr_t phys,
				       u64 size, u64 boundary)
{
	return (phys & dma_get_min_align_mask(dev) & boundary) + size - 1 <=
	       boundary;
}

static inline bool xdt_crosses(u64 start, u64 size, u64 boundary)
{
	return (start & ~boundary) != ((start + size - 1) & ~boundary);
}

static inline bool xdt_bounced(dma_addr_t bus)
{
	return xen_pool_find(bus);
}

/* The device reaches all, and has no limits. */
static inline void xdt_wide(struct xdt *x)
{
	*x->dev->dma_mask = DMA_BIT_MASK(64);
	x->dev->bus_dma_limit = 0;
	dma_set_min_align_mask(x->dev, 0);
	dma_set_seg_boundary(x->dev, ULONG_MAX);
}

#endif /* __XEN_DMA_TESTS_FIXTURE_H */
