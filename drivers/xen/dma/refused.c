// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory that was refused, and what a driver uses in its place.
 *
 * Sound cards on x86 that get no coherent memory are given ordinary pages, which are mapped
 * in both directions once, and are never synchronised. Used in place they are as good. If they
 * were bounced, the card would play what was in them when they were mapped, which is silence,
 * and nobody would have an error. So where a task has been refused coherent memory, and soon
 * after that maps a list of as many bytes in both directions for the same device, that list is
 * used in place or not at all. A list that would have been synchronised fails with it:
 * that is an error which can be seen.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>

#include "refused.h"

/* The list follows soon, so there are as many as tasks that fail at the same time. */
#define XEN_REFUSALS	8

/**
 * struct xen_refusal - coherent memory that a task was refused last for a device
 * @dev:	for which; it may be gone
 * @task:	who asked; likewise
 * @size:	bytes, of whole pages; 0 when there is nothing to remember
 * @since:	when, in jiffies
 */
struct xen_refusal {
	const struct device *dev;
	const struct task_struct *task;
	size_t size;
	unsigned long since;
};

static DEFINE_RAW_SPINLOCK(refused_lock);	/* for all of these */
static struct xen_refusal refused[XEN_REFUSALS];
bool xen_any_refused;

static bool is_over(const struct xen_refusal *r)
{
	return !r->size || time_after(jiffies, r->since + XEN_REFUSAL_AGE);
}

/* What the task was refused for the device, or NULL. Under the lock. */
static struct xen_refusal *refusal_of(const struct device *dev)
{
	struct xen_refusal *r;

	for (r = refused; r < refused + XEN_REFUSALS; r++)
		if (!is_over(r) && r->dev == dev && r->task == current)
			return r;
	return NULL;
}

/* What may be forgotten first. Under the lock. */
static struct xen_refusal *first_to_forget(void)
{
	struct xen_refusal *r, *first = refused;

	for (r = refused; r < refused + XEN_REFUSALS; r++) {
		if (is_over(r))
			return r;
		if (time_before(r->since, first->since))
			first = r;
	}
	return first;
}

/* Forget what is over; is anything left? Under the lock. */
static bool forget_old(void)
{
	struct xen_refusal *r;
	bool left = false;

	for (r = refused; r < refused + XEN_REFUSALS; r++) {
		if (is_over(r))
			r->size = 0;
		else
			left = true;
	}
	return left;
}

/**
 * xen_note_refused() - remember coherent memory that was refused
 * @dev:	device
 * @size:	bytes
 *
 * Context: Process.
 */
void xen_note_refused(struct device *dev, size_t size)
{
	struct xen_refusal *r;
	unsigned long flags;

	raw_spin_lock_irqsave(&refused_lock, flags);
	r = refusal_of(dev) ?: first_to_forget();
	r->dev = dev;
	r->task = current;
	r->size = PAGE_ALIGN(size);
	r->since = jiffies;
	WRITE_ONCE(xen_any_refused, true);
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
 * xen_was_refused() - was that much coherent memory refused just now?
 * @dev:	device
 * @sgl:	list
 * @nents:	its entries
 *
 * Context: Any.
 * Return: Whether the task has been refused coherent memory of the list's size for the device.
 */
bool xen_was_refused(struct device *dev, struct scatterlist *sgl, int nents)
{
	const struct xen_refusal *r;
	unsigned long flags;
	size_t size;

	raw_spin_lock_irqsave(&refused_lock, flags);
	r = refusal_of(dev);
	size = r ? r->size : 0;
	WRITE_ONCE(xen_any_refused, forget_old());
	raw_spin_unlock_irqrestore(&refused_lock, flags);

	return size && size_of_list(sgl, nents) == size;
}

/**
 * xen_forget_refused() - the task has got something as good for a device
 * @dev:	device
 *
 * Context: Any.
 */
void xen_forget_refused(struct device *dev)
{
	struct xen_refusal *r;
	unsigned long flags;

	raw_spin_lock_irqsave(&refused_lock, flags);
	r = refusal_of(dev);
	if (r)
		r->size = 0;
	raw_spin_unlock_irqrestore(&refused_lock, flags);
}

#if IS_ENABLED(CONFIG_XEN_DMA_KUNIT_TEST)
/* For the tests: so much time has passed, in jiffies. */
void xen_refusals_age(unsigned long by)
{
	struct xen_refusal *r;

	for (r = refused; r < refused + XEN_REFUSALS; r++)
		r->since -= by;
}
#endif
