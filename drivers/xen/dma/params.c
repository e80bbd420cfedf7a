// SPDX-License-Identifier: GPL-2.0
/*
 * The boot parameters xen_dma.NAME=, and a look at the generic swiotlb=.
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
#include <linux/sizes.h>
#include <linux/string.h>
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

/**
 * xen_param_size() - read a parameter that is a size
 * @name:	what comes after xen_dma.
 * @arg:	its value, or NULL
 * @min:	bytes at least
 * @max:	bytes at most
 * @size:	where it goes; left alone when it is none, and there is a message
 *
 * Context: Early boot.
 */
void __init xen_param_size(const char *name, char *arg, u64 min, u64 max,
			   unsigned long *size)
{
	char *end = arg;
	u64 value = arg ? memparse(arg, &end) : 0;

	if (!xen_may_be_dma_domain())
		return;
	if (arg && end != arg && !*end && value >= min && value <= max)
		*size = value;
	else
		pr_warn("xen_dma.%s=%s: ignored, it takes a size from %llu to %llu bytes, with K, M or G\n",
			name, arg ?: "", min, max);
}

/* A size that swiotlb= gives counts more; the generic code sees to that. */
static int __init set_size(char *arg)
{
	xen_param_size("size", arg, BIT(XEN_POOL_GRANULE_SHIFT), SZ_2G,
		       &xen_pool_size);
	if (xen_pool_size)
		xen_set_boot_size(xen_pool_size);
	return 0;
}
early_param("xen_dma.size", set_size);

static int __init set_max(char *arg)
{
	xen_param_size("max", arg, 0, SZ_2G, &xen_pool_max);
	return 0;
}
early_param("xen_dma.max", set_max);

static int __init set_idle(char *arg)
{
	unsigned int idle;

	if (!xen_may_be_dma_domain())
		return 0;
	if (!arg || kstrtouint(arg, 10, &idle) || idle > INT_MAX / HZ)
		pr_warn("xen_dma.idle=%s: ignored, it takes seconds\n",
			arg ?: "");
	else
		xen_pool_idle = idle;
	return 0;
}
early_param("xen_dma.idle", set_idle);

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
