// SPDX-License-Identifier: GPL-2.0
/*
 * What the administrator wants of single devices, to find out what is wrong with one of them:
 * xen_dma.bounce= and xen_dma.in_place=, each with names of devices.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "addr.h"
#include "by-name.h"
#include "params.h"

/* Names with commas between them. */
#define NAMES_SIZE	256
#define NAME_CHARS	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:.-_@,"

DEFINE_STATIC_KEY_ARRAY_FALSE(xen_any_named, XEN_NAME_LISTS);

/* Under the lock, which is taken only when there are some. */
static char names[XEN_NAME_LISTS][NAMES_SIZE];
static DEFINE_RAW_SPINLOCK(names_lock);

static bool contains(const char *list, const char *name)
{
	size_t len = strlen(name);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && !memcmp(list, name, n))
			return true;
		list += n;
		if (*list)
			list++;
	}
	return false;
}

/**
 * xen_find_name() - look for a device in a list
 * @dev:	device
 * @list:	which
 *
 * Context: Any.
 * Return: Whether its name is there.
 */
bool xen_find_name(const struct device *dev, enum xen_name_list list)
{
	const char *name = dev_name(dev);
	unsigned long flags;
	bool found;

	/* Nobody has registered it. */
	if (!name)
		return false;
	raw_spin_lock_irqsave(&names_lock, flags);
	found = contains(names[list], name);
	raw_spin_unlock_irqrestore(&names_lock, flags);
	return found;
}

static enum xen_name_list list_of(const struct kernel_param *kp)
{
	return (char (*)[NAMES_SIZE])kp->arg - names;
}

/* Names, and a newline if need be. One setter at a time, with interrupts off in early boot. */
static int set_names(const char *arg, const struct kernel_param *kp)
{
	enum xen_name_list list = list_of(kp);
	size_t len = strspn(arg, NAME_CHARS);
	unsigned long flags;

	if (!xen_may_be_dma_domain())
		return -ENODEV;
	if (len >= NAMES_SIZE || (arg[len] && strcmp(arg + len, "\n"))) {
		pr_warn("xen_dma.%s=%.*s: ignored, it takes names of devices with commas between them, %u characters at most\n",
			list == XEN_NAMED_BOUNCE ? "bounce" : "in_place",
			(int)strcspn(arg, "\n"), arg, NAMES_SIZE - 1);
		/* While the kernel boots that line is enough. */
		return system_state < SYSTEM_RUNNING ? 0 : -EINVAL;
	}

	raw_spin_lock_irqsave(&names_lock, flags);
	memcpy(names[list], arg, len);
	names[list][len] = 0;
	raw_spin_unlock_irqrestore(&names_lock, flags);
	if (len)
		static_branch_enable(&xen_any_named[list]);
	else
		static_branch_disable(&xen_any_named[list]);
	return 0;
}

static int get_names(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", names[list_of(kp)]);
}

static const struct kernel_param_ops names_ops = {
	.set = set_names,
	.get = get_names,
};
module_param_cb(bounce, &names_ops, names[XEN_NAMED_BOUNCE], 0644);
module_param_cb(in_place, &names_ops, names[XEN_NAMED_IN_PLACE], 0644);
