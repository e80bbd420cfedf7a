// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters xen_dma.NAME=, and a look at the generic swiotlb=. They are read early in boot.
 * Some can be changed later, below /sys/module/xen_dma/parameters.
 *
 * What is not understood is ignored, with a line that says what would be.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/ctype.h>
#include <linux/fault-inject.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/moduleparam.h>
#include <linux/notifier.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/swiotlb.h>

#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include "addr.h"
#include "compat.h"
#include "contig.h"
#include "params.h"
#include "pool.h"

unsigned long xen_pool_max = ULONG_MAX;
unsigned int xen_pool_idle = 60;
unsigned long xen_pool_size;

BLOCKING_NOTIFIER_HEAD(xen_limits_chain);

/* A size of decimal or hexadecimal digits, maybe with a unit; false for anything else. */
static bool read_size(const char *arg, u64 *size)
{
	static const char units[] = "KMG";
	size_t len = strcspn(arg, "KMGkmg\n");
	unsigned int shift = 0;
	char number[24];
	u64 value;

	if (!isdigit(*arg) || len >= sizeof(number))
		return false;
	memcpy(number, arg, len);
	number[len] = 0;
	if (kstrtou64(number, 0, &value))
		return false;

	arg += len;
	if (isalpha(*arg))
		shift = 10 * (strchr(units, toupper(*arg++)) - units + 1);
	if (*arg == '\n')
		arg++;
	return !*arg && !check_shl_overflow(value, shift, size);
}

/**
 * xen_set_size() - read a parameter that is a size
 * @param:	the parameter, whose value is left alone when @arg is no size for it
 * @arg:	a size, maybe with a newline behind it; or NULL
 *
 * Context: Any, also early in boot.
 * Return: 0; -EINVAL, with a message; -ENODEV in a domain that is not concerned.
 */
int xen_set_size(const struct xen_size_param *param, const char *arg)
{
	u64 value;

	if (!xen_may_be_dma_domain())
		return -ENODEV;
	if (arg && read_size(arg, &value) && value >= param->min &&
	    value <= param->max) {
		WRITE_ONCE(*param->value, value);
		return 0;
	}
	pr_warn("xen_dma.%s=%.*s: ignored, it takes a size from %llu to %llu bytes, with K, M or G\n",
		param->name, arg ? (int)strcspn(arg, "\n") : 0, arg ?: "", param->min, param->max);
	return -EINVAL;
}

/* While the kernel boots they have been read already. */
static int set_size_param(const char *arg, const struct kernel_param *kp)
{
	const struct xen_size_param *param = kp->arg;
	int rc = 0;

	if (system_state < SYSTEM_RUNNING)
		return 0;
	if (sysfs_streq(arg, "default"))
		WRITE_ONCE(*param->value, ULONG_MAX);
	else
		rc = xen_set_size(param, arg);
	if (!rc)
		blocking_notifier_call_chain(&xen_limits_chain, 0, NULL);
	return rc;
}

static int get_size_param(char *buffer, const struct kernel_param *kp)
{
	const struct xen_size_param *param = kp->arg;
	unsigned long value = READ_ONCE(*param->value);

	return value == ULONG_MAX ? sysfs_emit(buffer, "default\n") :
				    sysfs_emit(buffer, "%lu\n", value);
}

const struct kernel_param_ops xen_size_param_ops = {
	.set = set_size_param,
	.get = get_size_param,
};

static struct xen_size_param size_param = {
	.name = "size",
	.value = &xen_pool_size,
	.min = BIT(XEN_POOL_GRANULE_SHIFT),
	.max = SZ_2G,
};

/* A size that swiotlb= gives counts more; the generic code sees to that. */
static int __init set_size(char *arg)
{
	xen_set_size(&size_param, arg);
	if (xen_pool_size)
		xen_set_boot_size(xen_pool_size);
	return 0;
}
early_param("xen_dma.size", set_size);

XEN_SIZE_PARAM(max, 0, SZ_2G, xen_pool_max);

static int read_idle(const char *arg)
{
	unsigned int idle;

	if (!xen_may_be_dma_domain())
		return -ENODEV;
	if (!arg || kstrtouint(arg, 10, &idle) || idle > INT_MAX / HZ) {
		pr_warn("xen_dma.idle=%.*s: ignored, it takes seconds\n",
			arg ? (int)strcspn(arg, "\n") : 0, arg ?: "");
		return -EINVAL;
	}
	WRITE_ONCE(xen_pool_idle, idle);
	return 0;
}

static int __init set_idle(char *arg)
{
	read_idle(arg);
	return 0;
}
early_param("xen_dma.idle", set_idle);

static int set_idle_param(const char *arg, const struct kernel_param *kp)
{
	int rc;

	if (system_state < SYSTEM_RUNNING)
		return 0;
	rc = read_idle(arg);
	if (!rc)
		blocking_notifier_call_chain(&xen_limits_chain, 0, NULL);
	return rc;
}

static const struct kernel_param_ops idle_ops = {
	.set = set_idle_param,
	.get = param_get_uint,
};
module_param_cb(idle, &idle_ops, &xen_pool_idle, 0644);

/* Passes over a number and the comma behind it. */
static const char * __init skip_number(const char *s)
{
	if (isdigit(*s))
		s += strspn(s, "0123456789abcdefxABCDEFX");
	if (*s == ',')
		s++;

	return s;
}

/*
 * The generic code parses swiotlb= and passes over what it does not
 * understand; the administrator should know.
 */
static int __init check_swiotlb(char *arg)
{
	static const char * const words[] = { XEN_SWIOTLB_WORDS };
	const char *rest;
	int i;

	if (!xen_pv_domain() || !arg)
		return 0;

	rest = skip_number(skip_number(arg));
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(rest, words[i]))
			return 0;

	pr_warn("swiotlb=%s: ignored from '%s' on; it takes <slabs>[,<areas>][,force|noforce]\n",
		arg, rest);
	return 0;
}
early_param("swiotlb", check_swiotlb);

#ifdef CONFIG_XEN_DMA_FAIL_EXCHANGE
/* For tests of the boot: interval, probability, space and times, as for fail_page_alloc=. */
static int __init set_fault(struct fault_attr *attr, char *arg)
{
	return arg && setup_fault_attr(attr, arg) ? 0 : -EINVAL;
}

static int __init set_fail_call(char *arg)
{
	return set_fault(&xen_fail_call, arg);
}
early_param("xen_dma.fail_call", set_fail_call);

static int __init set_fail_extent(char *arg)
{
	return set_fault(&xen_fail_extent, arg);
}
early_param("xen_dma.fail_extent", set_fail_extent);

static int __init set_fail_report(char *arg)
{
	return set_fault(&xen_fail_report, arg);
}
early_param("xen_dma.fail_report", set_fail_report);
#endif
