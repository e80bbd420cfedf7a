// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that user space shares with a device: mapped with mmap() from the device
 * of xdt_mmap.ko, in every form in which a driver can give it, small and large.
 * What is written through the mapping, the edu devices must find; what they
 * write must be in the mapping, with no call between that could copy it there.
 *
 * Usage: xdt_mmap_user DEVICE [SEED]. Prints TAP, and exits as a kselftest does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../kselftest.h"
#include "test_modules/xdt_mmap.h"
#include "xdt_places.h"

#define LARGE		(256UL << 20)

#define COUNTERS	"/sys/kernel/debug/xen-dma/coherent"

struct form {
	const char *prefix;
	enum xdt_mmap_form id;
	size_t size;
	/* It is the driver, not the test module, that refuses what is too much. */
	int refuses;
};

static const struct form forms[] = {
	{ "", XDT_MMAP_COHERENT, SMALL, 1 },
	{ "unmapped_", XDT_MMAP_UNMAPPED, SMALL, 1 },
	{ "sgtable_", XDT_MMAP_SGTABLE, SMALL, 0 },
	{ "noncontiguous_", XDT_MMAP_NONCONTIGUOUS, SMALL, 1 },
	{ "pages_", XDT_MMAP_PAGES, SMALL, 1 },
	{ "large_coherent_", XDT_MMAP_COHERENT, LARGE, 1 },
	{ "large_unmapped_", XDT_MMAP_UNMAPPED, LARGE, 1 },
	{ "large_sgtable_", XDT_MMAP_SGTABLE, LARGE, 0 },
	{ "large_noncontiguous_", XDT_MMAP_NONCONTIGUOUS, LARGE, 1 },
	{ "large_pages_", XDT_MMAP_PAGES, LARGE, 1 },
};

/* Of each form, see check_form(). */
#define NR_RESULTS	7

/* What is kept for the next who wants as much. */
static const struct {
	const char *name;
	size_t size;
} kept[] = {
	{ "64k", 64UL << 10 },
	{ "8m", 8UL << 20 },
};

static void result(int ok, const struct form *form, const char *name)
{
	ksft_test_result(ok, "xdt_mmap.%s%s\n", form->prefix, name);
}

static unsigned char *map(int fd, size_t len, off_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       offset);

	return p == MAP_FAILED ? NULL : p;
}

static int user_to_device(int fd, unsigned char *memory)
{
	unsigned int i;

	pattern++;
	for (i = 0; i < nr_ops; i++)
		fill(memory + ops[i].at, ops[i].len, pattern, ops[i].at);
	return device_finds(fd);
}

static int device_to_user(int fd, const unsigned char *memory)
{
	return device_writes(fd) && user_finds(memory);
}

static int is_zero(const unsigned char *memory, size_t size)
{
	const uint64_t *p = (const uint64_t *)memory;
	size_t i;

	for (i = 0; i < size / sizeof(*p); i++) {
		if (p[i]) {
			ksft_print_msg("byte %#zx is not zeroed\n",
				       i * sizeof(*p));
			return 0;
		}
	}
	return 1;
}

/* Another mapping, from some page on: each of its pages is the right one. */
static int from_the_middle(int fd, unsigned char *memory, size_t size)
{
	size_t from = size / 2 - 3 * PAGE, len = size / 2 - 2 * PAGE, at;
	unsigned char *part = map(fd, len, from);
	uint64_t page;
	int ok = 1;

	if (!part)
		return 0;
	for (at = 0; at < size; at += PAGE) {
		page = at / PAGE + 1;
		memcpy(memory + at + 8, &page, sizeof(page));
	}
	for (at = 0; at < len && ok; at += PAGE) {
		memcpy(&page, part + at + 8, sizeof(page));
		ok = page == (from + at) / PAGE + 1;
		if (!ok)
			ksft_print_msg("page %zu is page %llu\n",
				       (from + at) / PAGE,
				       (unsigned long long)page - 1);
	}
	munmap(part, len);
	return ok;
}

static int too_much(int fd, size_t size)
{
	return !map(fd, 2 * size, 0) && !map(fd, 2 * PAGE, size - PAGE) &&
	       !map(fd, PAGE, size);
}

/* Nobody can take a reference that would outlive the memory. */
static int not_pinned(unsigned char *memory, size_t size)
{
	struct iovec part = { memory + size / 2, PAGE };
	int ends[2], refused;

	if (pipe(ends))
		return 0;
	refused = vmsplice(ends[1], &part, 1, SPLICE_F_NONBLOCK) < 0 &&
		  errno == EFAULT;
	close(ends[0]);
	close(ends[1]);
	return refused;
}

static int allocate(int fd, enum xdt_mmap_form form, size_t size)
{
	struct xdt_mmap_alloc alloc = { .size = size, .form = form };

	if (!ioctl(fd, XDT_MMAP_ALLOC, &alloc))
		return 1;
	ksft_print_msg("no %zu bytes: %s\n", size, strerror(errno));
	return 0;
}

static int open_device(const char *device)
{
	int fd = open(device, O_RDWR);

	if (fd < 0)
		ksft_exit_fail_msg("%s can't be opened: %s\n", device,
				   strerror(errno));
	return fd;
}

static void check_form(const char *device, const struct form *form)
{
	unsigned char *memory = NULL;
	int fd = open_device(device);

	choose_places(form->size);
	if (allocate(fd, form->id, form->size))
		memory = map(fd, form->size, 0);
	result(!!memory, form, "whole");
	result(memory && is_zero(memory, form->size), form, "zeroed");
	result(memory && user_to_device(fd, memory), form, "user_to_device");
	result(memory && device_to_user(fd, memory), form, "device_to_user");
	result(memory && from_the_middle(fd, memory, form->size), form,
	       "from_the_middle");
	result(memory && not_pinned(memory, form->size), form, "not_pinned");
	if (form->refuses)
		result(memory && too_much(fd, form->size), form, "too_much");
	else
		result(memory && !ioctl(fd, XDT_MMAP_TABLE), form,
		       "same_memory");
	if (memory)
		munmap(memory, form->size);
	close(fd);
}

/* A counter of the driver, or -1. */
static long counter(const char *name)
{
	FILE *file = fopen(COUNTERS, "r");
	long value, found = -1;
	char word[32];

	if (!file) {
		ksft_print_msg("there is no %s\n", COUNTERS);
		return -1;
	}
	while (fscanf(file, "%31s %ld", word, &value) == 2)
		if (!strcmp(word, name))
			found = value;
	fclose(file);
	return found;
}

/* What was given back is given again, without another exchange. */
static int is_kept(const char *device, size_t size)
{
	long made = -1, hits = -1;
	unsigned int round;
	int fd, ok;

	for (round = 0; round < 3; round++) {
		fd = open_device(device);
		ok = allocate(fd, XDT_MMAP_COHERENT, size);
		close(fd);
		if (!ok)
			return 0;
		if (!round) {
			made = counter("made");
			hits = counter("hits");
		}
	}
	return made >= 0 && hits >= 0 && counter("made") == made &&
	       counter("hits") == hits + 2;
}

int main(int argc, char **argv)
{
	unsigned int i, seed = time(NULL);

	ksft_print_header();
	if (argc != 2 && argc != 3)
		ksft_exit_fail_msg("usage: xdt_mmap_user DEVICE [SEED]\n");
	if (argc == 3)
		seed = strtoul(argv[2], NULL, 0);
	ksft_set_plan(ARRAY_SIZE(forms) * NR_RESULTS + ARRAY_SIZE(kept));
	ksft_print_msg("seed %u\n", seed);
	srand(seed);
	pattern = seed;

	for (i = 0; i < ARRAY_SIZE(forms); i++)
		check_form(argv[1], &forms[i]);
	for (i = 0; i < ARRAY_SIZE(kept); i++)
		ksft_test_result(is_kept(argv[1], kept[i].size),
				 "xdt_mmap.kept_%s\n", kept[i].name);

	ksft_finished();
}
