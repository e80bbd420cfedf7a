// SPDX-License-Identifier: GPL-2.0
/*
 * Scatter lists for the KUnit tests: parts of a small arena of memory, whose pages
 * lie in the machine as they like.
 */
#include <linux/scatterlist.h>

#include "lists.h"

/* The first frame of the arena; around it is room for the others. */
#define XDT_ARENA_FRAMES \
	(XEN_MACHINE_END_MFN - XEN_MACHINE_FREE_MFN - SZ_8K)

/**
 * xdt_lists() - an arena, and no list yet
 * @x:		the fixture
 *
 * Return: It; the device has no limits then.
 */
struct xdt_lists *xdt_lists(struct xdt *x)
{
	struct xdt_lists *l;

	l = kunit_kzalloc(x->test, sizeof(*l), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(x->test, l);
	l->expect = kunit_kmalloc(x->test, XDT_ARENA_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(x->test, l->expect);
	l->x = x;
	l->arena = x->buf;
	l->max_seg = UINT_MAX;
	l->boundary = ULONG_MAX;
	l->limit = DMA_BIT_MASK(64);
	xdt_fill(l->arena, 3, 0, XDT_ARENA_SIZE);
	xdt_fill(l->expect, 3, 0, XDT_ARENA_SIZE);
	return l;
}

/**
 * xdt_set_limits() - the device gets the limits of the list
 * @l:		the list
 */
void xdt_set_limits(struct xdt_lists *l)
{
	struct device *dev = l->x->dev;

	dma_set_max_seg_size(dev, l->max_seg);
	dma_set_seg_boundary(dev, l->boundary);
	dma_set_min_align_mask(dev, l->align);
	*dev->dma_mask = DMA_BIT_MASK(64);
	dev->bus_dma_limit = l->limit;
}

/**
 * xdt_place_arena() - frames for the arena
 * @l:		the list
 *
 * Runs, ascending mostly, near edges of all sizes.
 */
void xdt_place_arena(struct xdt_lists *l)
{
	struct rnd_state *rnd = &l->x->rnd;
	unsigned int page = 0, run, shift;
	unsigned long frame;

	/* So that the second half of it, or so, crosses an edge. */
	shift = xdt_below(rnd, 9);
	frame = XEN_MACHINE_FREE_MFN + SZ_4K - xdt_below(rnd, 8) +
		(xdt_below(rnd, XDT_ARENA_FRAMES >> shift) << shift);
	while (page < XDT_ARENA_PAGES) {
		run = 1 + xdt_below(rnd, xdt_chance(rnd, 30) ? 12 : 3);
		run = min(run, XDT_ARENA_PAGES - page);
		xen_machine_place(l->arena + page * PAGE_SIZE, run, frame);
		page += run;
		switch (xdt_below(rnd, 4)) {
		case 0:
			/* The next run goes before this one. */
			frame -= run + xdt_below(rnd, 3);
			break;
		case 1:
			frame += run + 1 + xdt_below(rnd, 20);
			break;
		default:
			frame += run;
			break;
		}
	}
	for (page = 0; page < XDT_ARENA_PAGES; page++)
		l->frames[page] = xdt_machine(l->arena + page * PAGE_SIZE) >>
				  PAGE_SHIFT;
}

/**
 * xdt_any_limits() - random limits for the device
 * @l:		the list
 */
void xdt_any_limits(struct xdt_lists *l)
{
	static const u64 max_segs[] = { UINT_MAX, SZ_64K, SZ_4K, SZ_4K + 1,
					8191, 512, 10000, SZ_16K };
	static const u64 aligns[] = { 0, 0, 0, 0, 511, 2047, 4095, 65535 };
	struct rnd_state *rnd = &l->x->rnd;

	l->max_seg = max_segs[xdt_below(rnd, ARRAY_SIZE(max_segs))];
	if (xdt_chance(rnd, 10))
		l->max_seg = 1 + xdt_below(rnd, SZ_32K);
	l->boundary = ULONG_MAX;
	if (xdt_chance(rnd, 50))
		l->boundary = (SZ_4K << xdt_below(rnd, 8)) - 1;
	l->align = aligns[xdt_below(rnd, ARRAY_SIZE(aligns))];

	switch (xdt_below(rnd, 4)) {
	case 0:
		l->limit = DMA_BIT_MASK(32);
		break;
	case 1:
		/* Amidst the arena. */
		l->limit = l->frames[xdt_below(rnd, XDT_ARENA_PAGES)] <<
			   PAGE_SHIFT;
		l->limit += xdt_below(rnd, PAGE_SIZE);
		break;
	default:
		l->limit = DMA_BIT_MASK(64);
		break;
	}
	xdt_set_limits(l);
}

/**
 * xdt_list_begin() - no entries
 * @l:		the list
 */
void xdt_list_begin(struct xdt_lists *l)
{
	l->nents = 0;
}

/**
 * xdt_list_add() - one more entry
 * @l:		the list
 * @at:		where it begins in the arena, bytes
 * @len:	bytes
 */
void xdt_list_add(struct xdt_lists *l, size_t at, size_t len)
{
	l->copy[l->nents].p = l->arena + at;
	l->copy[l->nents].len = len;
	l->nents++;
}

/**
 * xdt_list_end() - make the scatter list
 * @l:		the list
 */
void xdt_list_end(struct xdt_lists *l)
{
	int i;

	sg_init_table(l->sg, l->nents);
	for (i = 0; i < l->nents; i++)
		sg_set_page(&l->sg[i], virt_to_page(l->copy[i].p),
			    l->copy[i].len, offset_in_page(l->copy[i].p));
}

/**
 * xdt_any_list() - a random list
 * @l:		the list
 *
 * Entries that share no byte, mostly one behind the other.
 */
void xdt_any_list(struct xdt_lists *l)
{
	struct rnd_state *rnd = &l->x->rnd;
	unsigned int want = 1 + xdt_below(rnd, XDT_LIST_MAX), i, j, dice;
	bool whole = xdt_chance(rnd, 40);
	size_t at = xdt_below(rnd, 16) * PAGE_SIZE, len;

	xdt_list_begin(l);
	if (!whole)
		at += xdt_below(rnd, PAGE_SIZE);
	while ((unsigned int)l->nents < want) {
		dice = xdt_below(rnd, 100);
		if (whole)
			len = PAGE_SIZE * (1 + (dice < 15));
		else if (dice < 2 && l->nents)
			len = 0;
		else if (dice < 30)
			len = 1 + xdt_below(rnd, 2 * PAGE_SIZE);
		else if (dice < 40)
			len = 2 * PAGE_SIZE - at % PAGE_SIZE;
		else if (dice < 60)
			len = PAGE_SIZE - at % PAGE_SIZE;
		else
			len = 1 + xdt_below(rnd, 1000);
		if (at + len > XDT_ARENA_SIZE)
			break;
		xdt_list_add(l, at, len);
		at += len;
		dice = xdt_below(rnd, 100);
		if (whole && dice < 20)
			at += PAGE_SIZE;
		else if (!whole && dice < 20)
			at = round_up(at, PAGE_SIZE);
		else if (!whole && dice < 25)
			at += xdt_below(rnd, 100);
	}
	if (l->nents > 1 && xdt_chance(rnd, 30)) {
		i = xdt_below(rnd, l->nents);
		j = xdt_below(rnd, l->nents);
		if (l->copy[i].len && l->copy[j].len)
			swap(l->copy[i], l->copy[j]);
	}
	xdt_list_end(l);
}

/**
 * xdt_list_print() - tell all of a list
 * @l:		the list
 */
void xdt_list_print(struct xdt_lists *l)
{
	struct kunit *test = l->x->test;
	int i;

	kunit_info(test,
		   "max_seg %llu boundary 0x%llx align 0x%llx limit 0x%llx\n",
		   l->max_seg, l->boundary, l->align, l->limit);
	for (i = 0; i < l->nents; i++)
		kunit_info(test, "entry %d: %u bytes, phys 0x%llx, machine 0x%llx\n",
			   i, l->copy[i].len,
			   (u64)virt_to_phys(l->copy[i].p),
			   xdt_machine(l->copy[i].p));
	for (i = 0; i < l->nsegs; i++)
		kunit_info(test, "segment %d: %u bytes at 0x%llx\n", i,
			   sg_dma_len(&l->sg[i]),
			   (u64)sg_dma_address(&l->sg[i]));
}

/**
 * xdt_list_map() - map
 * @l:		the list
 * @dir:	direction
 *
 * Return: Whether there are segments.
 */
bool xdt_list_map(struct xdt_lists *l, enum dma_data_direction dir)
{
	l->nsegs = xen_swiotlb_dma_ops.map_sg(l->x->dev, l->sg, l->nents, dir,
					      0);
	if (l->nsegs <= 0 || l->nsegs > l->nents) {
		int got = l->nsegs;

		l->nsegs = 0;
		xdt_list_fail(l, "map_sg: %d", got);
		return false;
	}
	return true;
}

/**
 * xdt_list_unmap() - unmap
 * @l:		the list
 * @dir:	direction
 * @attrs:	attributes
 */
void xdt_list_unmap(struct xdt_lists *l, enum dma_data_direction dir,
		    unsigned long attrs)
{
	xen_swiotlb_dma_ops.unmap_sg(l->x->dev, l->sg, l->nents, dir, attrs);
}

/**
 * xdt_expected() - what must be in an entry
 * @l:		the list
 * @i:		the entry
 *
 * Return: Its bytes.
 */
u8 *xdt_expected(struct xdt_lists *l, int i)
{
	return l->expect + (l->copy[i].p - l->arena);
}

/**
 * xdt_arena_same() - is in the arena what must be there?
 * @l:		the list
 * @when:	after what
 *
 * Return: Whether it is.
 */
bool xdt_arena_same(struct xdt_lists *l, const char *when)
{
	size_t i;

	if (!memcmp(l->arena, l->expect, XDT_ARENA_SIZE))
		return true;
	for (i = 0; l->arena[i] == l->expect[i]; i++)
		;
	xdt_list_fail(l, "%s: byte 0x%zx of the arena, page %zu", when, i,
		      i / PAGE_SIZE);
	return false;
}

/**
 * xdt_list_pages() - the first pages of the arena are entries
 * @l:		the list
 * @nr:		how many
 */
void xdt_list_pages(struct xdt_lists *l, unsigned int nr)
{
	unsigned int i;

	xdt_list_begin(l);
	for (i = 0; i < nr; i++)
		xdt_list_add(l, i * PAGE_SIZE, PAGE_SIZE);
}

/**
 * xdt_frames() - note where the arena's pages are
 * @l:		the list
 */
void xdt_frames(struct xdt_lists *l)
{
	unsigned int i;

	for (i = 0; i < XDT_ARENA_PAGES; i++)
		l->frames[i] = xdt_machine(l->arena + i * PAGE_SIZE) >>
			       PAGE_SHIFT;
}
