// SPDX-License-Identifier: GPL-2.0
/*
 * What a scatter list must become: a model that knows nothing of how lists are
 * planned. It looks at every byte's address, at every two neighbours, and at what
 * both sides read and write.
 */
#include <linux/scatterlist.h>

#include "lists.h"

/* What the list's entry is in the machine, and whether that can be used. */
enum xdt_verdict { XDT_DIRECT, XDT_BOUNCE, XDT_EITHER };

static enum xdt_verdict xdt_judge(struct xdt_lists *l, int i)
{
	phys_addr_t phys = virt_to_phys(l->copy[i].p);
	u64 machine = xdt_machine(l->copy[i].p);
	unsigned int len = l->copy[i].len, done;

	for (done = 1; done <= (offset_in_page(phys) + len - 1) / PAGE_SIZE;
	     done++) {
		size_t page = (l->copy[i].p - l->arena) / PAGE_SIZE;

		if (l->frames[page + done] != l->frames[page] + done)
			return XDT_BOUNCE;
	}
	if (machine + len - 1 > l->limit)
		return XDT_BOUNCE;
	if ((machine ^ phys) & l->align)
		return XDT_BOUNCE;
	if (!xdt_crosses(machine, len, l->boundary))
		return XDT_DIRECT;
	if (len - 1 > l->boundary)
		return XDT_DIRECT;
	/* Short enough, unless the bits to be kept are in the way. */
	if (!xdt_can_keep_within(l->x->dev, phys, len, l->boundary))
		return XDT_EITHER;
	return XDT_BOUNCE;
}

/* An entry's address is what it must be. */
static bool xdt_check_entry(struct xdt_lists *l, int i, bool direct)
{
	phys_addr_t phys = virt_to_phys(l->copy[i].p);
	enum xdt_verdict verdict = xdt_judge(l, i);
	unsigned int len = l->copy[i].len;
	u64 bus = l->bus[i];

	if (direct && verdict == XDT_BOUNCE)
		xdt_list_fail(l, "entry %d must bounce", i);
	else if (!direct && verdict == XDT_DIRECT)
		xdt_list_fail(l, "entry %d is bounced without need", i);
	else if (!direct &&
		 (!xen_pool_find(bus) || !xen_pool_find(bus + len - 1)))
		xdt_list_fail(l, "entry %d is at 0x%llx", i, bus);
	else if (bus + len - 1 > l->limit)
		xdt_list_fail(l, "entry %d is beyond the limit", i);
	else if ((bus ^ phys) & l->align)
		xdt_list_fail(l, "entry %d lost its alignment", i);
	else
		return true;
	return false;
}

/**
 * xdt_check_bytes() - is every byte of every entry in a segment, in order?
 * @l:		the list, of which @bus is filled
 * @direct:	filled: whether each entry is used in place
 * @seg_of:	filled: in which segment each is, -1 for an entry without bytes
 *
 * Return: Whether it is, and each is where it must be.
 */
bool xdt_check_bytes(struct xdt_lists *l, bool *direct, int *seg_of)
{
	struct scatterlist *seg = l->sg;
	unsigned int at = 0, len;
	int i, s = 0;

	for (i = 0; i < l->nents; i++) {
		len = l->copy[i].len;
		seg_of[i] = -1;
		if (!len)
			continue;
		if (s < l->nsegs && at == sg_dma_len(seg)) {
			at = 0;
			seg++;
			s++;
		}
		if (s >= l->nsegs) {
			xdt_list_fail(l, "entry %d is in no segment", i);
			return false;
		}
		if (at + len > sg_dma_len(seg)) {
			xdt_list_fail(l, "entry %d is cut by the end of segment %d",
				      i, s);
			return false;
		}
		seg_of[i] = s;
		l->bus[i] = sg_dma_address(seg) + at;
		at += len;
		direct[i] = l->bus[i] == xdt_machine(l->copy[i].p);
		if (!xdt_check_entry(l, i, direct[i]))
			return false;
	}
	if (s != l->nsegs - 1 || at != sg_dma_len(seg)) {
		xdt_list_fail(l, "segment %d of %d: %u bytes too many", s,
			      l->nsegs, sg_dma_len(seg) - at);
		return false;
	}
	if (l->nsegs < l->nents && sg_dma_len(&l->sg[l->nsegs])) {
		xdt_list_fail(l, "%d segments, but the next is not empty",
			      l->nsegs);
		return false;
	}
	return true;
}

/* Whether an entry could be the next of a segment. */
static bool xdt_could_follow(struct xdt_lists *l, int s, int first, int i,
			     bool direct)
{
	u64 start = sg_dma_address(&l->sg[s]);
	u64 len = (u64)sg_dma_len(&l->sg[s]) + l->copy[i].len;
	phys_addr_t phys = virt_to_phys(l->copy[i].p);

	if (len > l->max_seg)
		return false;
	if (direct)
		return start + sg_dma_len(&l->sg[s]) ==
			       xdt_machine(l->copy[i].p) &&
		       !xdt_crosses(start, len, l->boundary);
	return !((start + sg_dma_len(&l->sg[s]) - phys) & l->align) &&
	       xdt_can_keep_within(l->x->dev, virt_to_phys(l->copy[first].p),
				   len, l->boundary);
}

/* Alone, an entry that is bounced keeps within the boundary if it can. */
static bool xdt_check_alone(struct xdt_lists *l, int i)
{
	if (xdt_can_keep_within(l->x->dev, virt_to_phys(l->copy[i].p),
				l->copy[i].len, l->boundary) &&
	    xdt_crosses(l->bus[i], l->copy[i].len, l->boundary)) {
		xdt_list_fail(l, "entry %d crosses", i);
		return false;
	}
	return true;
}

/* A segment of several entries keeps to the limits. */
static bool xdt_check_joined(struct xdt_lists *l, int s)
{
	u64 start = sg_dma_address(&l->sg[s]);
	unsigned int len = sg_dma_len(&l->sg[s]);

	if (len > l->max_seg) {
		xdt_list_fail(l, "segment %d is too long", s);
		return false;
	}
	if (xdt_crosses(start, len, l->boundary)) {
		xdt_list_fail(l, "segment %d crosses", s);
		return false;
	}
	return true;
}

/* No byte is in two segments. */
static bool xdt_check_overlap(struct xdt_lists *l)
{
	struct scatterlist *a, *b;
	int s, t;

	for (s = 0; s < l->nsegs; s++) {
		a = &l->sg[s];
		for (t = s + 1; t < l->nsegs; t++) {
			b = &l->sg[t];
			if (sg_dma_address(a) <
			    sg_dma_address(b) + sg_dma_len(b) &&
			    sg_dma_address(b) <
			    sg_dma_address(a) + sg_dma_len(a)) {
				xdt_list_fail(l, "segments %d and %d overlap",
					      s, t);
				return false;
			}
		}
	}
	return true;
}

/* The limits, and that there are no more segments than need be. */
static bool xdt_check_merging(struct xdt_lists *l, bool *direct, int *seg_of)
{
	int i, s, first = -1, previous = -1;

	for (i = 0; i < l->nents; i++) {
		if (seg_of[i] < 0)
			continue;
		if (previous < 0 || seg_of[i] != seg_of[previous]) {
			if (previous >= 0 && direct[i] == direct[previous] &&
			    xdt_could_follow(l, seg_of[previous], first, i,
					     direct[i])) {
				xdt_list_fail(l, "entry %d could be in segment %d",
					      i, seg_of[previous]);
				return false;
			}
			first = i;
			previous = i;
			if (!direct[i] && !xdt_check_alone(l, i))
				return false;
			continue;
		}

		/* Not alone. */
		s = seg_of[i];
		if (direct[i] != direct[previous]) {
			xdt_list_fail(l, "segment %d is of both sorts", s);
			return false;
		}
		if (!xdt_check_joined(l, s))
			return false;
		previous = i;
	}

	return xdt_check_overlap(l);
}

/**
 * xdt_list_check() - is a list mapped as it must be?
 * @l:		the list
 *
 * Return: Whether it is, to as few segments as can be.
 */
bool xdt_list_check(struct xdt_lists *l)
{
	bool direct[XDT_LIST_MAX];
	int seg_of[XDT_LIST_MAX];

	return xdt_check_bytes(l, direct, seg_of) &&
	       xdt_check_merging(l, direct, seg_of);
}

/*
 * Makes nonsense of all but the segments, and sense again. The dma-buf core does so to
 * lists while they are mapped.
 */
static void xdt_list_scramble(struct xdt_lists *l)
{
	int i;

	for (i = 0; i < l->nents; i++) {
		l->sg[i].page_link ^= ~0xffUL;
		l->sg[i].offset ^= 0x5a5;
		l->sg[i].length ^= 0x3c3;
	}
}

/* Does the device read what the entry has? */
static bool xdt_entry_same(struct xdt_lists *l, int i, const u8 *want)
{
	if (!xen_machine_peek(l->bus[i], l->x->scratch, l->copy[i].len) &&
	    !memcmp(l->x->scratch, want, l->copy[i].len))
		return true;
	xdt_list_fail(l, "entry %d: device reads other bytes", i);
	return false;
}

/* Does the device read what all entries have? */
static bool xdt_entries_same(struct xdt_lists *l)
{
	int i;

	for (i = 0; i < l->nents; i++) {
		if (l->copy[i].len &&
		    !xdt_entry_same(l, i, xdt_expected(l, i)))
			return false;
	}
	return true;
}

/* No byte of others is in a slot that a segment begins or ends in. */
static bool xdt_nothing_beside(struct xdt_lists *l)
{
	int s;

	for (s = 0; s < l->nsegs; s++) {
		if (xdt_bounced(sg_dma_address(&l->sg[s])) &&
		    !xdt_slack_is_zero(l->x->scratch,
				       sg_dma_address(&l->sg[s]),
				       sg_dma_len(&l->sg[s]))) {
			xdt_list_fail(l, "segment %d: old bytes beside", s);
			return false;
		}
	}
	return true;
}

/* The CPU writes, all of it is handed over. */
static bool xdt_to_device(struct xdt_lists *l, enum dma_data_direction dir,
			  u32 key)
{
	int i;

	for (i = 0; i < l->nents; i++) {
		xdt_fill(l->copy[i].p, key + i, 0, l->copy[i].len);
		xdt_fill(xdt_expected(l, i), key + i, 0, l->copy[i].len);
	}
	xen_swiotlb_dma_ops.sync_sg_for_device(l->x->dev, l->sg, l->nents,
					       dir);
	return xdt_entries_same(l);
}

/* The device writes to some; the CPU has it after a sync of all. */
static bool xdt_from_device(struct xdt_lists *l, enum dma_data_direction dir,
			    u32 key)
{
	struct rnd_state *rnd = &l->x->rnd;
	size_t from, len;
	int i;

	for (i = 0; i < l->nents; i++) {
		if (!l->copy[i].len || xdt_chance(rnd, 30))
			continue;
		from = xdt_below(rnd, l->copy[i].len);
		len = 1 + xdt_below(rnd, l->copy[i].len - from);
		xdt_dev_fill(l->bus[i] + from, key + 31 * i, 0, len);
		xdt_fill(xdt_expected(l, i) + from, key + 31 * i, 0, len);
	}
	xen_swiotlb_dma_ops.sync_sg_for_cpu(l->x->dev, l->sg, l->nents, dir);
	return xdt_arena_same(l, "sync_sg_for_cpu");
}

/* The device writes all, and the unmapping brings it, unless it is not to. */
static void xdt_unmap_written(struct xdt_lists *l, enum dma_data_direction dir,
			      u32 key)
{
	struct rnd_state *rnd = &l->x->rnd;
	unsigned long attrs = 0;
	int i;

	if (dir == DMA_TO_DEVICE || xdt_chance(rnd, 10))
		attrs = DMA_ATTR_SKIP_CPU_SYNC;
	for (i = 0; i < l->nents; i++) {
		xdt_dev_fill(l->bus[i], key + 77 * i, 0, l->copy[i].len);
		if (!attrs || !xdt_bounced(l->bus[i]))
			xdt_fill(xdt_expected(l, i), key + 77 * i, 0,
				 l->copy[i].len);
	}
	if (dir == DMA_TO_DEVICE && xdt_chance(rnd, 50))
		attrs = 0;
	xdt_list_unmap(l, dir, attrs);
}

/**
 * xdt_list_traffic() - both sides of all entries, whole and in parts; then unmap
 * @l:		the list, after xdt_list_check()
 * @dir:	direction
 *
 * Return: Whether each had what it was to have.
 */
bool xdt_list_traffic(struct xdt_lists *l, enum dma_data_direction dir)
{
	struct rnd_state *rnd = &l->x->rnd;
	u32 key = xdt_below(rnd, XDT_PERIOD);
	bool scramble = xdt_chance(rnd, 50);

	if (scramble)
		xdt_list_scramble(l);
	if (!xdt_entries_same(l) || !xdt_nothing_beside(l))
		return false;
	if (dir != DMA_FROM_DEVICE && xdt_chance(rnd, 50) &&
	    !xdt_to_device(l, dir, key))
		return false;
	if (dir != DMA_TO_DEVICE && xdt_chance(rnd, 50) &&
	    !xdt_from_device(l, dir, key))
		return false;

	xdt_unmap_written(l, dir, key);
	if (scramble)
		xdt_list_scramble(l);
	if (!xdt_arena_same(l, "unmap_sg"))
		return false;
	if (xdt_used()) {
		xdt_list_fail(l, "unmap_sg: %llu bytes still in use",
			      xdt_used());
		return false;
	}
	return true;
}
