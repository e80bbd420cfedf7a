/* SPDX-License-Identifier: GPL-2.0 */
/* What the administrator wants of single devices, by their names. See by-name.c. */
#ifndef __XEN_DMA_BY_NAME_H
#define __XEN_DMA_BY_NAME_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct device;

/* Lists of names. */
enum xen_name_list {
	XEN_NAMED_BOUNCE,	/* all of their mappings are bounced */
	XEN_NAMED_IN_PLACE,	/* none is */
	XEN_NAME_LISTS,
};

extern struct static_key_false xen_any_named[XEN_NAME_LISTS];

bool xen_find_name(const struct device *dev, enum xen_name_list list);

/**
 * xen_is_named() - is a device in a list?
 * @dev:	device
 * @list:	which
 *
 * Context: Any.
 * Return: Whether it is. As long as the list is empty, that costs no more than a NOP.
 */
static __always_inline bool xen_is_named(const struct device *dev,
					 enum xen_name_list list)
{
	return static_branch_unlikely(&xen_any_named[list]) &&
	       xen_find_name(dev, list);
}

#endif /* __XEN_DMA_BY_NAME_H */
