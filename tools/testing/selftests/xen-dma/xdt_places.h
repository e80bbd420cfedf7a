/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What user programs do with memory that the edu devices see too: choose places of it, fill
 * them on one side, and look at them on the other.
 *
 * Small memory is looked at whole; large memory at its ends, around boundaries of pages and
 * of larger blocks, and at random places. The devices are those of a module that takes
 * XDT_MMAP_RUN.
 */
#ifndef XDT_PLACES_H
#define XDT_PLACES_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../kselftest.h"
#include "test_modules/xdt_mmap.h"

#define PAGE		4096UL
#define SMALL		(64UL << 10)

/* The longest transfer of an edu device. */
#define TRANSFER	4095UL

/* Of large memory: a multiple of the number of devices that work at a time. */
#define NR_PLACES	80
#define PLACE		64UL

static struct xdt_mmap_op ops[NR_PLACES];
static unsigned char data[NR_PLACES][TRANSFER];
static unsigned int nr_ops;

/* Another one each time: what memory held before must not pass for it. */
static unsigned int pattern;

/* A byte that depends on all of its position. */
static unsigned char byte(unsigned int seed, uint64_t at)
{
	return (at + ((uint64_t)seed << 32)) * 0x9e3779b97f4a7c15ULL >> 56;
}

static void fill(unsigned char *p, size_t len, unsigned int seed, uint64_t at)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = byte(seed, at + i);
}

static int match(const unsigned char *p, size_t len, unsigned int seed,
		 uint64_t at)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] != byte(seed, at + i)) {
			ksft_print_msg("byte %#llx is %#x, not %#x\n",
				       (unsigned long long)(at + i), p[i],
				       byte(seed, at + i));
			return 0;
		}
	}
	return 1;
}

/* Adds a place that is to be looked at, unless it lies over one that is there. */
static void add_place(size_t at, size_t len)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		if (at < ops[i].at + ops[i].len && ops[i].at < at + len)
			return;
	ops[nr_ops].at = at;
	ops[nr_ops].len = len;
	ops[nr_ops].data = (uintptr_t)data[nr_ops];
	nr_ops++;
}

static void choose_places(size_t size)
{
	size_t at;

	nr_ops = 0;
	if (size <= SMALL) {
		for (at = 0; at < size; at += TRANSFER)
			add_place(at, size - at < TRANSFER ? size - at :
							     TRANSFER);
		return;
	}
	add_place(0, PLACE);
	add_place(size - PLACE, PLACE);
	add_place(size - PAGE - PLACE / 2, PLACE);
	for (at = PAGE; at < size; at *= 2)
		add_place(at - PLACE / 2, PLACE);
	while (nr_ops < NR_PLACES)
		add_place((size_t)rand() % (size - PLACE), PLACE);
}

static int run(int fd, int poke)
{
	struct xdt_mmap_run request = { .ops = (uintptr_t)ops, .nr = nr_ops };
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		ops[i].poke = poke;
	if (!ioctl(fd, XDT_MMAP_RUN, &request))
		return 1;
	ksft_print_msg("the transfers fail: %s\n", strerror(errno));
	return 0;
}

/* Does the device find the pattern in all places? */
static int device_finds(int fd)
{
	unsigned int i;

	if (!run(fd, 0))
		return 0;
	for (i = 0; i < nr_ops; i++)
		if (!match(data[i], ops[i].len, pattern, ops[i].at))
			return 0;
	return 1;
}

/* Has the device write another pattern to all places. */
static int device_writes(int fd)
{
	unsigned int i;

	pattern++;
	for (i = 0; i < nr_ops; i++)
		fill(data[i], ops[i].len, pattern, ops[i].at);
	return run(fd, 1);
}

/* Is the pattern in all places? */
static int user_finds(const unsigned char *memory)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		if (!match(memory + ops[i].at, ops[i].len, pattern, ops[i].at))
			return 0;
	return 1;
}

#endif /* XDT_PLACES_H */
