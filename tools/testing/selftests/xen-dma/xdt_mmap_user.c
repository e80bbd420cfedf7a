// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory as user space sees it through mmap(), beside what the device
 * sees of it through read() and write() on the device of xdt_mmap.ko.
 *
 * Usage: xdt_mmap_user DEVICE. Prints TAP, and exits as a kselftest does.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../kselftest.h"

#define MEMORY_SIZE	(64 * 1024)
#define PAGE		4096

static unsigned char byte(unsigned int seed, size_t i)
{
	return i * 7 + (i >> 8) * 13 + seed;
}

static void fill(unsigned char *p, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = byte(seed, i);
}

static int match(const unsigned char *p, size_t len,
		 unsigned int seed, size_t first)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] != byte(seed, first + i)) {
			ksft_print_msg("byte %zu is %#x, not %#x\n", i, p[i],
				       byte(seed, first + i));
			return 0;
		}
	}
	return 1;
}

static unsigned char *map(int fd, size_t len, off_t offset)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       offset);

	return p == MAP_FAILED ? NULL : p;
}

int main(int argc, char **argv)
{
	static unsigned char buf[MEMORY_SIZE];
	unsigned char *whole, *part;
	int fd;

	ksft_print_header();
	if (argc != 2)
		ksft_exit_fail_msg("usage: xdt_mmap_user DEVICE\n");
	fd = open(argv[1], O_RDWR);
	if (fd < 0)
		ksft_exit_fail_msg("%s can't be opened\n", argv[1]);
	ksft_set_plan(5);

	whole = map(fd, MEMORY_SIZE, 0);
	ksft_test_result(!!whole, "xdt_mmap.whole\n");
	if (!whole)
		ksft_exit_fail_msg("nothing is mapped\n");

	fill(whole, MEMORY_SIZE, 1);
	ksft_test_result(pread(fd, buf, MEMORY_SIZE, 0) == MEMORY_SIZE &&
			 match(buf, MEMORY_SIZE, 1, 0),
			 "xdt_mmap.user_to_device\n");

	fill(buf, MEMORY_SIZE, 2);
	ksft_test_result(pwrite(fd, buf, MEMORY_SIZE, 0) == MEMORY_SIZE &&
			 match(whole, MEMORY_SIZE, 2, 0),
			 "xdt_mmap.device_to_user\n");

	part = map(fd, 3 * PAGE, 5 * PAGE);
	ksft_test_result(part && match(part, 3 * PAGE, 2, 5 * PAGE),
			 "xdt_mmap.from_the_middle\n");

	ksft_test_result(!map(fd, 2 * MEMORY_SIZE, 0) &&
			 !map(fd, 2 * PAGE, MEMORY_SIZE - PAGE) &&
			 !map(fd, PAGE, MEMORY_SIZE),
			 "xdt_mmap.too_much\n");

	ksft_finished();
}
