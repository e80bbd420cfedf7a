/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scatter lists for the KUnit tests, and what becomes of them. The functions are
 * in lists.c and lists-check.c.
 */
#ifndef __XEN_DMA_TESTS_LISTS_H
#define __XEN_DMA_TESTS_LISTS_H

#include <linux/scatterlist.h>

#include "fixture.h"

#define XDT_ARENA_PAGES	64
#define XDT_ARENA_SIZE	(XDT_ARENA_PAGES * PAGE_SIZE)
#define XDT_LIST_MAX	12

/**
 * struct xdt_lists - lists over a small piece of memory
 * @x:		the fixture
 * @arena:	the memory that entries are parts of, page aligned
 * @expect:	what must be in it
 * @frames:	where its pages are
 * @sg:		the list, with one entry to spare
 * @nents:	entries
 * @copy:	the entries as they were before
 * @nsegs:	segments, when mapped
 * @max_seg:	limits of the device
 * @boundary:	...
 * @align:	...
 * @limit:	...
 * @bus:	where each entry is, when mapped
 */
struct xdt_lists {
	struct xdt *x;
	u8 *arena;
	u8 *expect;
	unsigned long frames[XDT_ARENA_PAGES];
	struct scatterlist sg[XDT_LIST_MAX];
	int nents;
	struct { u8 *p; unsigned int len; } copy[XDT_LIST_MAX];
	int nsegs;
	u64 max_seg;
	u64 boundary;
	u64 align;
	u64 limit;
	dma_addr_t bus[XDT_LIST_MAX];
};

/* A case fails by a list, of which all is told. */
#define xdt_list_fail(l, fmt, ...) do {					\
	struct xdt_lists *__l = (l);					\
									\
	KUNIT_FAIL(__l->x->test, fmt, ##__VA_ARGS__);			\
	xdt_list_print(__l);						\
} while (0)

struct xdt_lists *xdt_lists(struct xdt *x);
void xdt_set_limits(struct xdt_lists *l);
void xdt_place_arena(struct xdt_lists *l);
void xdt_any_limits(struct xdt_lists *l);
void xdt_list_begin(struct xdt_lists *l);
void xdt_list_add(struct xdt_lists *l, size_t at, size_t len);
void xdt_list_end(struct xdt_lists *l);
void xdt_any_list(struct xdt_lists *l);
void xdt_list_pages(struct xdt_lists *l, unsigned int nr);
void xdt_frames(struct xdt_lists *l);
void xdt_list_print(struct xdt_lists *l);
bool xdt_list_map(struct xdt_lists *l, enum dma_data_direction dir);
void xdt_list_unmap(struct xdt_lists *l, enum dma_data_direction dir,
		    unsigned long attrs);
u8 *xdt_expected(struct xdt_lists *l, int i);
bool xdt_arena_same(struct xdt_lists *l, const char *when);

/* Of lists-check.c */
bool xdt_check_bytes(struct xdt_lists *l, bool *direct, int *seg_of);
bool xdt_list_check(struct xdt_lists *l);
bool xdt_list_traffic(struct xdt_lists *l, enum dma_data_direction dir);

#endif /* __XEN_DMA_TESTS_LISTS_H */
