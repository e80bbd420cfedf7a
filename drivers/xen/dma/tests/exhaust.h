/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests that want all that the pool has. The functions are in exhaust.c.
 */
#ifndef __XEN_DMA_TESTS_EXHAUST_H
#define __XEN_DMA_TESTS_EXHAUST_H

#include "fixture.h"

/* Bytes by which the pool grows. */
#define XDT_CHUNK	SZ_4M

unsigned int xdt_exhaust(struct xdt *x, struct device *dev, size_t size,
			 dma_addr_t *bus, unsigned int max);
unsigned int xdt_exhaust_atomic(struct xdt *x, struct device *dev,
				size_t size, dma_addr_t *bus,
				unsigned int max);
void xdt_release(struct xdt *x, struct device *dev, size_t size,
		 dma_addr_t *bus, unsigned int nr);
dma_addr_t *xdt_addresses(struct xdt *x);
unsigned int xdt_how_many(struct xdt *x, size_t size, dma_addr_t *bus);
void xdt_check_contents(struct xdt *x, size_t size, dma_addr_t *bus,
			unsigned int nr);
void xdt_settle(struct xdt *x);
void xdt_patience(void);

#endif /* __XEN_DMA_TESTS_EXHAUST_H */
