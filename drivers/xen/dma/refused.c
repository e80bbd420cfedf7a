// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory that was refused, and what a driver uses in its place.
 *
 * Sound cards on x86 that get no coherent memory are given ordinary pages, which are mapped
 * in both directions once, and are never synchronised. Used in place they are as good. If they
 * were bounced, the card would play what was in them when they were mapped, which is silence,
 * and nobody would have an error. So where a task has been refused coherent memory, and then
 * maps a list of as many bytes in both directions for the same device, that list is used in
 * place or not at all. A list that would have been synchronised fails with it: that is an
 * error which can be seen.
 */
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "refused.h"

/* The list follows at once, so there are as many as tasks that fail at the same time. */
#define XEN_REFUSALS	8

/**
 * struct xen_refusal - coherent memory that was refused
 * @dev:	to whom; it may be gone
 * @task:	who asked; likewise
 * @size:	bytes, of whole pages; 0 when there is nothing to remember
 */
struct xen_refusal {
	const struct device *dev;
	const struct task_struct *task;
	size_t size;
};

static DEFINE_RAW_SPINLOCK(refused_lock);	/* for all of these */
static struct xen_refusal refused[XEN_REFUSALS];
static unsigned int next_refused;
unsigned int xen_nr_refused;

/**
 * xen_note_refused() - remember coherent memory that was refused
 * @dev:	device
 * @size:	bytes
 *
 * The oldest is forgotten for it.
 *
 * Context: Any.
 */
void xen_note_refused(struct device *dev, size_t size)
{
	struct xen_refusal *r;
	unsigned long flags;

	raw_spin_lock_irqsave(&refused_lock, flags);
	r = &refused[next_refused++ % XEN_REFUSALS];
	if (!r->size)
		WRITE_ONCE(xen_nr_refused, xen_nr_refused + 1);
	r->dev = dev;
	r->task = current;
	r->size = PAGE_ALIGN(size);
	raw_spin_unlock_irqrestore(&refused_lock, flags);
}

/* Bytes of a list, which may be shorter than its driver says. */
static size_t size_of_list(struct scatterlist *sg, int nents)
{
	size_t size = 0;

	for (; nents > 0; nents--, sg = sg_next(sg)) {
		size += sg->length;
		if (sg_is_last(sg))
			break;
	}
	return size;
}

/**
 * xen_forget_refused() - was that much coherent memory refused?
 * @dev:	device
 * @sgl:	list
 * @nents:	its entries
 *
 * One refusal counts for one list.
 *
 * Context: Any.
 * Return: Whether the task has been refused coherent memory of the list's size for the device.
 */
bool xen_forget_refused(struct device *dev, struct scatterlist *sgl, int nents)
{
	size_t size = size_of_list(sgl, nents);
	bool found = false;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&refused_lock, flags);
	for (i = 0; i < XEN_REFUSALS && !found; i++) {
		found = refused[i].size && refused[i].size == size &&
			refused[i].dev == dev && refused[i].task == current;
		if (found) {
			refused[i].size = 0;
			WRITE_ONCE(xen_nr_refused, xen_nr_refused - 1);
		}
	}
	raw_spin_unlock_irqrestore(&refused_lock, flags);

	return found;
}
