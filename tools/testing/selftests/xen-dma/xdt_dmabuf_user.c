// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of the system's dma-buf heap that are mapped for a device of 32 address bits, for each
 * direction, small and large: between DMA_BUF_SYNC_START and DMA_BUF_SYNC_END the CPU finds
 * what the device wrote, and after that the device finds what the CPU wrote. What nobody
 * has written stays.
 *
 * Usage: xdt_dmabuf_user DEVICE [SEED]. Prints TAP, and exits as a kselftest does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>

#include "xdt_places.h"

#define HEAP	"/dev/dma_heap/system"

/* Of the kernel's, which has them for itself alone. */
enum dma_data_direction {
	DMA_BIDIRECTIONAL,
	DMA_TO_DEVICE,
	DMA_FROM_DEVICE,
};

static const struct {
	const char *name;
	enum dma_data_direction dir;
	/* What the CPU does with the buffer meanwhile. */
	unsigned int access;
} ways[] = {
	{ "both_ways", DMA_BIDIRECTIONAL, DMA_BUF_SYNC_RW },
	{ "to_device", DMA_TO_DEVICE, DMA_BUF_SYNC_WRITE },
	{ "from_device", DMA_FROM_DEVICE, DMA_BUF_SYNC_READ },
};

/* The heap takes blocks of 1 MiB, 64 KiB and a page. */
static const struct {
	const char *name;
	size_t size;
} sizes[] = {
	{ "4k", PAGE },
	{ "68k", 17 * PAGE },
	{ "1m", 1UL << 20 },
	{ "6m", (6UL << 20) + 3 * PAGE },
};

/* How often it was looked whether the device's writing needs a copy, and how often it did. */
static unsigned int looks, copies;

static int synchronise(int buf, unsigned int flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	if (!ioctl(buf, DMA_BUF_IOCTL_SYNC, &sync))
		return 1;
	ksft_print_msg("DMA_BUF_IOCTL_SYNC: %s\n", strerror(errno));
	return 0;
}

static int allocate(int heap, size_t size)
{
	struct dma_heap_allocation_data alloc = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};

	if (!ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &alloc))
		return alloc.fd;
	ksft_print_msg("no %zu bytes: %s\n", size, strerror(errno));
	return -1;
}

static int map_for_device(int fd, int buf, enum dma_data_direction dir)
{
	struct xdt_dmabuf_map map = { .fd = buf, .dir = dir };

	if (!ioctl(fd, XDT_DMABUF_MAP, &map))
		return 1;
	ksft_print_msg("it can't be mapped: %s\n", strerror(errno));
	return 0;
}

/* Outside of the places there is what there was before. */
static int rest_is(const unsigned char *memory, size_t size, unsigned int before)
{
	unsigned char *copy = malloc(size);
	unsigned int i;
	int ok;

	if (!copy)
		return 0;
	memcpy(copy, memory, size);
	for (i = 0; i < nr_ops; i++)
		fill(copy + ops[i].at, ops[i].len, before, ops[i].at);
	ok = match(copy, size, before, 0);
	free(copy);
	return ok;
}

static int user_to_device(int fd, int buf, unsigned char *memory, size_t size,
			  unsigned int access)
{
	if (!synchronise(buf, DMA_BUF_SYNC_START | access))
		return 0;
	fill(memory, size, ++pattern, 0);
	return synchronise(buf, DMA_BUF_SYNC_END | access) && device_finds(fd);
}

static int device_to_user(int fd, int buf, const unsigned char *memory,
			  size_t size, unsigned int access)
{
	unsigned int before = pattern;

	if (!device_writes(fd))
		return 0;
	looks++;
	copies += !!memcmp(memory + ops[0].at, data[0], ops[0].len);
	return synchronise(buf, DMA_BUF_SYNC_START | access) &&
	       user_finds(memory) && rest_is(memory, size, before) &&
	       synchronise(buf, DMA_BUF_SYNC_END | access);
}

/* What the device wrote last the exporter copies when the mapping ends, if not before. */
static int unmapped(int fd, const unsigned char *memory)
{
	int written = device_writes(fd);

	return !close(fd) && written && user_finds(memory);
}

static int check_directions(int fd, int buf, unsigned char *memory, size_t size,
			    unsigned int way)
{
	enum dma_data_direction dir = ways[way].dir;
	unsigned int access = ways[way].access;

	/* Twice, so that what one way has left is in the other one's way. */
	return (dir == DMA_FROM_DEVICE ||
		(user_to_device(fd, buf, memory, size, access) &&
		 user_to_device(fd, buf, memory, size, access))) &&
	       (dir == DMA_TO_DEVICE ||
		(device_to_user(fd, buf, memory, size, access) &&
		 user_finds(memory)));
}

static void check(const char *device, int heap, unsigned int size_nr,
		  unsigned int way)
{
	size_t size = sizes[size_nr].size;
	int fd = open(device, O_RDWR), buf = allocate(heap, size), ok = 0;
	unsigned char *memory;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buf, 0);
	if (memory == MAP_FAILED || fd < 0)
		ksft_exit_fail_msg("there is no memory, or no device: %s\n",
				   strerror(errno));
	choose_places(size);
	fill(memory, size, ++pattern, 0);
	if (map_for_device(fd, buf, ways[way].dir))
		ok = check_directions(fd, buf, memory, size, way);
	ksft_test_result(ok, "xdt_dmabuf.%s_%s\n", ways[way].name,
			 sizes[size_nr].name);
	if (ways[way].dir == DMA_TO_DEVICE)
		close(fd);
	else
		ksft_test_result(unmapped(fd, memory), "xdt_dmabuf.%s_unmapped_%s\n",
				 ways[way].name, sizes[size_nr].name);
	munmap(memory, size);
	close(buf);
}

int main(int argc, char **argv)
{
	unsigned int way, size, seed = time(NULL);
	int heap = open(HEAP, O_RDWR);

	ksft_print_header();
	if (argc != 2 && argc != 3)
		ksft_exit_fail_msg("usage: xdt_dmabuf_user DEVICE [SEED]\n");
	if (heap < 0)
		ksft_exit_fail_msg("%s: %s\n", HEAP, strerror(errno));
	if (argc == 3)
		seed = strtoul(argv[2], NULL, 0);
	ksft_set_plan(ARRAY_SIZE(sizes) * 5 + 1);
	ksft_print_msg("seed %u\n", seed);
	srand(seed);
	pattern = seed;

	for (size = 0; size < ARRAY_SIZE(sizes); size++)
		for (way = 0; way < ARRAY_SIZE(ways); way++)
			check(argv[1], heap, size, way);
	/* Memory in reach of the device would prove nothing. */
	ksft_print_msg("%u of %u buffers bounced\n", copies, looks);
	ksft_test_result(2 * copies > looks, "xdt_dmabuf.bounced\n");
	ksft_finished();
}
