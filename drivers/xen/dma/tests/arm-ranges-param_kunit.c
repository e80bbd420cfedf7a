// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the boot parameter xen_dma_offset=, which tells where a domain's
 * memory is.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "arm-ranges-fixture.h"

/**
 * struct xbr_param_case - a value of the parameter
 * @arg:	it
 * @why:	a word of the reason why it is refused, "" for whichever, or NULL
 * @want:	rows of the table, unless it is refused
 */
struct xbr_param_case {
	const char *arg;
	const char *why;
	struct xen_bus_range want[XBR_ROWS];
};

static const struct xen_bus_range xbr_param_ram[] = {
	{ 0x40000000, 0x10000000, 0 },
	{ 0x200000000, 0x80000000, 0 },
	{}
};

static const struct xbr_param_case xbr_param_cases[] = {
	/* An offset for each range */
	{ "40000000+64K:1000", NULL, { { 0x40000000, 0x10000, 0x1000 } } },
	{ "0x40000000+256M:0x20000000", NULL,
	  { { 0x40000000, 0x10000000, 0x20000000 } } },
	{ "200000000+2G:-100000000", NULL,
	  { { 0x200000000, 0x80000000, -0x100000000ULL } } },
	{ "200000000+2g:ffffffff00000000", NULL,
	  { { 0x200000000, 0x80000000, -0x100000000ULL } } },
	{ "40000000+0x8000:0", NULL, { { 0x40000000, 0x8000, 0 } } },
	{ "0+4k:40000000", NULL, { { 0, 0x1000, 0x40000000 } } },
	{ "40000000+1M:0,40200000+1M:1000000,200000000+0x1000:-0x1000", NULL, {
		{ 0x40000000, 0x100000, 0 },
		{ 0x40200000, 0x100000, 0x1000000 },
		{ 0x200000000, 0x1000, -0x1000ULL },
	} },
	{ "200000000+4K:0,40000000+4K:0", NULL, {
		{ 0x40000000, 0x1000, 0 },
		{ 0x200000000, 0x1000, 0 },
	} },
	{ "40001000+4K:5000,40000000+4K:5000", NULL,
	  { { 0x40000000, 0x2000, 0x5000 } } },

	/* What is well written, and wrong */
	{ "800", "aligned" },
	{ "40000001", "aligned" },
	{ "-1", "aligned" },
	{ "-0x40001000", "overflow" },
	{ "10000000000000", "overflow" },
	{ "40000800+4K:0", "aligned" },
	{ "40000000+6144:0", "aligned" },
	{ "40000000+4K:10", "aligned" },
	{ "40000000+0:0", "empty" },
	{ "40000000+0x0:0", "empty" },
	{ "40000000+1M:-40001000", "overflow" },
	{ "fffffffffffff000+8K:2000", "overflow" },
	{ "40000000+8K:0,40001000+4K:100000", "overlap" },
	{ "40000000+8K:0,50000000+4K:-10000000", "overlap" },
	{ "40000000+8K:0,40000000+8K:0", "overlap" },

	/* More than 64 bits, and what is left of it looks well. */
	{ "10000000000001000", "" },
	{ "0x10000000000001000", "" },
	{ "-10000000000001000", "" },
	{ "10000000040000000+4K:0", "" },
	{ "40000000+4K:10000000000001000", "" },
	{ "40000000+0x10000000000001000:0", "" },
	{ "40000000+18014398509481985K:0", "" },
	{ "40000000+17179869185G:0", "" },

	/* No offset */
	{ "", "empty" },
	{ " ", "" },
	{ "-", "" },
	{ "0x", "" },
	{ "-0x", "" },
	{ "x", "" },
	{ "x1000", "" },
	{ "00x1000", "" },
	{ "0x0x1000", "" },
	{ "--1000", "" },
	{ "0x-1000", "" },
	{ "1000-", "" },
	{ " 1000", "" },
	{ "- 1000", "" },
	{ "1000 ", "" },
	{ "1000\n", "" },
	{ "1000h", "" },
	{ "1000K", "" },
	{ "1M", "" },
	{ "1000.", "" },
	{ "1000,", "" },
	{ ",1000", "" },
	{ "1000,2000", "" },
	{ ":1000", "" },
	{ "40000000:1000", "" },
	{ "off", "" },

	/* No ranges */
	{ "+", "" },
	{ "+1000", "" },
	{ "40000000+", "" },
	{ "40000000+1M", "" },
	{ "40000000+:1000", "" },
	{ "40000000+K:1000", "" },
	{ "40000000+0x:1000", "" },
	{ "40000000+1M:", "" },
	{ "40000000+1M:-", "" },
	{ "40000000+1M:0x", "" },
	{ "40000000+1M:-0x", "" },
	{ "40000000+1M:--1000", "" },
	{ "40000000+1M:x", "" },
	{ "40000000+1M:1000K", "" },
	{ "40000000+1M:+1000", "" },
	{ "40000000+1M::1000", "" },
	{ "40000000+1M:1000:", "" },
	{ "40000000+1M-1000", "" },
	{ "40000000+1M 1000", "" },
	{ "40000000+1MB:1000", "" },
	{ "40000000+1MM:1000", "" },
	{ "40000000+-1M:1000", "" },
	{ "40000000++1M:1000", "" },
	{ "40000000 +1M:1000", "" },
	{ "40000000+ 1M:1000", "" },
	{ "40000000+1M :1000", "" },
	{ "40000000+1M: 1000", "" },
	{ "40000000+1M:1000 ", "" },
	{ " 40000000+1M:1000", "" },
	{ "40000000K+1M:1000", "" },
	{ "+1M:1000", "" },
	{ "-+1M:1000", "" },
	{ "0x+1M:1000", "" },
	{ "zz+1M:1000", "" },
	{ "40000000-1M:1000", "" },
	{ "40000000+1M:1000,", "" },
	{ ",40000000+1M:1000", "" },
	{ "40000000+1M:1000,,200000000+1M:1000", "" },
	{ "40000000+1M:1000;200000000+1M:1000", "" },
	{ "40000000+1M:1000 200000000+1M:1000", "" },
	{ "40000000+1M:1000, 200000000+1M:1000", "" },
	{ "40000000+1M:1000,200000000", "" },
	{ "40000000+1M:1000,200000000+1M", "" },
	{ "40000000+1M:1000,200000000+1M:", "" },
	{ "1000,40000000+1M:1000", "" },
	{ "40000000+1M:1000,2000", "" },
};

static void xbr_param_desc(const struct xbr_param_case *c, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "'%s'",
		 strcmp(c->arg, "1000\n") ? c->arg : "1000\\n");
}

KUNIT_ARRAY_PARAM(xbr_param, xbr_param_cases, xbr_param_desc);

static void xbr_param(struct kunit *test)
{
	const struct xbr_param_case *c = test->param_value;
	struct xbr *x = test->priv;

	xbr_have(test, &x->ram, xbr_param_ram);
	xbr_says(test, xen_bus_read_param(&x->table, c->arg, &x->ram), c->why,
		 c->arg);
	if (!c->why)
		xbr_is(test, &x->table, c->want, xbr_nr_rows(c->want));
}

/* One offset for all memory, in all the ways in which it can be written. */
static void xbr_param_number(struct kunit *test)
{
	static const struct {
		const char *arg;
		u64 offset;
	} numbers[] = {
		{ "40000000", 0x40000000 },
		{ "0x40000000", 0x40000000 },
		{ "a0b000", 0xa0b000 },
		{ "0xA0B000", 0xa0b000 },
		{ "0", 0 },
		{ "0x0", 0 },
		{ "-0", 0 },
		{ "-20000000", -0x20000000ULL },
		{ "-0x20000000", -0x20000000ULL },
		{ "ffffffffe0000000", -0x20000000ULL },
		{ "0xffffffffe0000000", -0x20000000ULL },
		/* 32 bits are no two's complement here. */
		{ "0xe0000000", 0xe0000000 },
	};
	struct xen_bus_range want[ARRAY_SIZE(xbr_param_ram)];
	struct xbr *x = test->priv;
	unsigned int i;

	xbr_have(test, &x->ram, xbr_param_ram);
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		memcpy(want, xbr_param_ram, sizeof(want));
		want[0].offset = numbers[i].offset;
		want[1].offset = numbers[i].offset;

		xen_bus_free(&x->table);
		xbr_says(test, xen_bus_read_param(&x->table, numbers[i].arg,
						  &x->ram),
			 NULL, numbers[i].arg);
		xbr_is(test, &x->table, want, 2);
	}
}

/* Writes a number in one of the ways in which it can be. */
static int xbr_write_hex(struct rnd_state *rnd, char *to, size_t size,
			 u64 value)
{
	bool minus = (s64)value < 0 && xdt_chance(rnd, 70);

	return scnprintf(to, size, "%s%s%llx", minus ? "-" : "",
			 xdt_chance(rnd, 50) ? "0x" : "",
			 minus ? -value : value);
}

static int xbr_write_size(struct rnd_state *rnd, char *to, size_t size,
			  u64 value)
{
	switch (xdt_below(rnd, 3)) {
	case 0:
		return scnprintf(to, size, "%lluK", value / SZ_1K);
	case 1:
		return scnprintf(to, size, "%llu", value);
	default:
		return scnprintf(to, size, "0x%llx", value);
	}
}

/* A table that is written as a parameter, and read again, is the same. */
static void xbr_param_random(struct kunit *test)
{
	unsigned long rounds = xdt_scaled(2000);
	struct xbr *x = test->priv;
	struct xbr_model *m;
	unsigned int i;
	size_t len;
	char *arg;

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	arg = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_NOT_NULL(test, arg);

	while (rounds-- && test->status == KUNIT_SUCCESS) {
		xbr_model_start(test, m);
		for (i = 0; i < 20; i++)
			xbr_model_step(test, m, &x->table);
		xbr_copy(&x->was, &x->table);

		for (i = 0, len = 0, *arg = '\0'; i < x->was.nr; i++) {
			const struct xen_bus_range *range = &x->was.range[i];

			if (i)
				arg[len++] = ',';
			len += xbr_write_hex(&x->rnd, arg + len, SZ_4K - len,
					     range->start);
			arg[len++] = '+';
			len += xbr_write_size(&x->rnd, arg + len, SZ_4K - len,
					      range->size);
			arg[len++] = ':';
			len += xbr_write_hex(&x->rnd, arg + len, SZ_4K - len,
					     range->offset);
		}
		xen_bus_free(&x->table);
		xbr_says(test, xen_bus_read_param(&x->table, arg, &x->ram),
			 x->was.nr ? NULL : "empty", arg);
		xbr_is(test, &x->table, x->was.range, x->was.nr);
	}
}

static struct kunit_case xbr_cases[] = {
	KUNIT_CASE_PARAM(xbr_param, xbr_param_gen_params),
	KUNIT_CASE(xbr_param_number),
	KUNIT_CASE(xbr_param_random),
	{}
};

static struct kunit_suite xbr_suite = {
	.name = "xen-bus-ranges-param",
	.init = xbr_init,
	.exit = xbr_exit,
	.test_cases = xbr_cases,
};

kunit_test_suite(xbr_suite);

MODULE_DESCRIPTION("KUnit tests of where a Xen domain's memory is in the machine: the boot parameter");
MODULE_LICENSE("GPL");
