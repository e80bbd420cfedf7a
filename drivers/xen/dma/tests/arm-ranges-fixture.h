/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit tests of where a domain's memory is share: tables of ranges,
 * what they must have, and a model. The functions are in arm-ranges-fixture.c.
 */
#ifndef __XEN_DMA_TESTS_ARM_RANGES_FIXTURE_H
#define __XEN_DMA_TESTS_ARM_RANGES_FIXTURE_H

#include <xen/bus-ranges.h>
#include <xen/page.h>

#include "fixture.h"

/* One more than the rows of any listed table: a row without a size ends it. */
#define XBR_ROWS	6

/* Where the machine's addresses end. */
#define XBR_MACHINE_END	BIT_ULL(52)

#define XBR_PAGES(nr)	((u64)(nr) << XEN_PAGE_SHIFT)

/* No page of a model has anything. */
#define XBR_NONE	(-1)

/**
 * struct xbr - what a case works with
 * @table:	a table, empty at first
 * @ram:	a table of memory, empty at first
 * @was:	room for a copy
 * @rnd:	random numbers, by the case's name
 */
struct xbr {
	struct xen_bus_table table;
	struct xen_bus_table ram;
	struct xen_bus_table was;
	struct rnd_state rnd;
};

/* What a model of the domain's first pages has. */
#define XBR_MODEL_PAGES		48
#define XBR_MODEL_FRAMES	64

/**
 * struct xbr_model - every page of a small domain in a small machine
 * @base:	first frame of the machine
 * @frame:	frame of each page, from @base, or XBR_NONE
 * @page:	page at each frame, or XBR_NONE
 */
struct xbr_model {
	u64 base;
	int frame[XBR_MODEL_PAGES];
	int page[XBR_MODEL_FRAMES];
};

int xbr_init(struct kunit *test);
void xbr_exit(struct kunit *test);
const char *xbr_put(struct xen_bus_table *table, u64 start, u64 size, u64 offset);
void xbr_copy(struct xen_bus_table *to, const struct xen_bus_table *from);
void xbr_says(struct kunit *test, const char *wrong, const char *why,
	      const char *what);
unsigned int xbr_nr_rows(const struct xen_bus_range *rows);
void xbr_is(struct kunit *test, const struct xen_bus_table *table,
	    const struct xen_bus_range *rows, unsigned int nr);
void xbr_have(struct kunit *test, struct xen_bus_table *table,
	      const struct xen_bus_range *rows);

u64 xbr_model_offset(const struct xbr_model *m, int page);
unsigned int xbr_model_rows(const struct xbr_model *m,
			    struct xen_bus_range *rows);
bool xbr_model_step(struct kunit *test, struct xbr_model *m,
		    struct xen_bus_table *table);
void xbr_model_start(struct kunit *test, struct xbr_model *m);

#endif /* __XEN_DMA_TESTS_ARM_RANGES_FIXTURE_H */
