// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of a dma-buf heap that are mapped for a device of 32 address bits, for each
 * direction, small and large: between DMA_BUF_SYNC_START and DMA_BUF_SYNC_END the CPU finds
 * what the device wrote, and after that the device finds what the CPU wrote. What nobody
 * has written stays. The system's heap has memory that is out of reach for that device, the
 * driver's own heap has not.
 *
 * Usage: xdt_dmabuf_user DEVICE PCI-DEVICE [SEED], where the second is the name of what is behind
 * the first. Prints TAP, and exits as a kselftest does.
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

#define PARAMETERS	"/sys/module/xen_dma/parameters/"
#define DEBUGFS		"/sys/kernel/debug/xen-dma/"

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

/* Heaps take blocks of 1 MiB, 64 KiB and a page. */
static const struct {
	const char *name;
	size_t size;
} sizes[] = {
	{ "4k", PAGE },
	{ "68k", 17 * PAGE },
	{ "1m", 1UL << 20 },
	{ "6m", (6UL << 20) + 3 * PAGE },
};

/* They differ in whether most of their buffers bounce; which may be forced. */
static const struct heap {
	const char *path;
	const char *prefix;
	int bounces;
	int forced;
} heaps[] = {
	{ "/dev/dma_heap/system", "", 1, 0 },
	{ "/dev/dma_heap/xen-dma32", "low_", 0, 0 },
	{ "/dev/dma_heap/xen-dma32", "low_forced_", 1, 1 },
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

static int allocate_for(int heap, size_t size, unsigned int flags)
{
	struct dma_heap_allocation_data alloc = {
		.len = size,
		.fd_flags = flags | O_CLOEXEC,
	};
	int err;

	if (!ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &alloc))
		return alloc.fd;
	err = errno;
	ksft_print_msg("no %zu bytes: %s\n", size, strerror(err));
	return -err;
}

static int allocate(int heap, size_t size)
{
	return allocate_for(heap, size, O_RDWR);
}

/* A buffer, and where the CPU sees it. */
struct buffer {
	unsigned char *memory;
	size_t size;
	int fd;
};

static struct buffer get_buffer(int heap, size_t size)
{
	struct buffer buf = { .size = size, .fd = allocate(heap, size) };

	buf.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buf.fd, 0);
	if (buf.memory == MAP_FAILED)
		ksft_exit_fail_msg("%zu bytes can't be mapped: %s\n", size, strerror(errno));
	return buf;
}

static void put_buffer(const struct buffer *buf)
{
	munmap(buf->memory, buf->size);
	close(buf->fd);
}

static int open_device(const char *device)
{
	int fd = open(device, O_RDWR);

	if (fd < 0)
		ksft_exit_fail_msg("%s: %s\n", device, strerror(errno));
	return fd;
}

static int map_for_device(int fd, const struct buffer *buf, enum dma_data_direction dir)
{
	struct xdt_dmabuf_map map = { .fd = buf->fd, .dir = dir };

	if (!ioctl(fd, XDT_DMABUF_MAP, &map))
		return 1;
	ksft_print_msg("it can't be mapped: %s\n", strerror(errno));
	return 0;
}

/* Outside of the places there is what there was before. */
static int rest_is(const struct buffer *buf, unsigned int before)
{
	unsigned char *copy = malloc(buf->size);
	unsigned int i;
	int ok;

	if (!copy)
		return 0;
	memcpy(copy, buf->memory, buf->size);
	for (i = 0; i < nr_ops; i++)
		fill(copy + ops[i].at, ops[i].len, before, ops[i].at);
	ok = match(copy, buf->size, before, 0);
	free(copy);
	return ok;
}

static int user_to_device(int fd, const struct buffer *buf, unsigned int access)
{
	if (!synchronise(buf->fd, DMA_BUF_SYNC_START | access))
		return 0;
	fill(buf->memory, buf->size, ++pattern, 0);
	return synchronise(buf->fd, DMA_BUF_SYNC_END | access) && device_finds(fd);
}

static int device_to_user(int fd, const struct buffer *buf, unsigned int access)
{
	unsigned int before = pattern;

	if (!device_writes(fd))
		return 0;
	looks++;
	copies += !!memcmp(buf->memory + ops[0].at, data[0], ops[0].len);
	return synchronise(buf->fd, DMA_BUF_SYNC_START | access) &&
	       user_finds(buf->memory) && rest_is(buf, before) &&
	       synchronise(buf->fd, DMA_BUF_SYNC_END | access);
}

/* What the device wrote last the exporter copies when the mapping ends, if not before. */
static int unmapped(int fd, const struct buffer *buf)
{
	int written = device_writes(fd);

	return !close(fd) && written && user_finds(buf->memory);
}

static int check_directions(int fd, const struct buffer *buf, unsigned int way)
{
	enum dma_data_direction dir = ways[way].dir;
	unsigned int access = ways[way].access;

	/* Twice, so that what one way has left is in the other one's way. */
	return (dir == DMA_FROM_DEVICE ||
		(user_to_device(fd, buf, access) && user_to_device(fd, buf, access))) &&
	       (dir == DMA_TO_DEVICE ||
		(device_to_user(fd, buf, access) && user_finds(buf->memory)));
}

static int is_zero(const unsigned char *memory, size_t size)
{
	return !memory[0] && !memcmp(memory, memory + 1, size - 1);
}

/* Part of it that is mapped once more is the same memory. */
static int same_memory(const struct buffer *buf)
{
	size_t at = (buf->size / 2) & ~(PAGE - 1), size = buf->size - at, i;
	unsigned char *part;
	int ok = 1;

	part = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, buf->fd, at);
	if (part == MAP_FAILED)
		return 0;
	for (i = 0; i < size; i += PAGE / 2) {
		part[i] = ++pattern;
		ok &= buf->memory[at + i] == part[i];
	}
	munmap(part, size);
	return ok;
}

/* Is it what the kernel sees? */
static int kernel_sees(int fd, const struct buffer *buf)
{
	struct xdt_dmabuf_peek peek = { .len = PAGE, .fd = buf->fd };
	unsigned char page[PAGE];

	peek.data = (uintptr_t)page;
	for (peek.at = 0; peek.at < buf->size; peek.at += PAGE)
		if (ioctl(fd, XDT_DMABUF_PEEK, &peek) || memcmp(buf->memory + peek.at, page, PAGE))
			return 0;
	return ioctl(fd, XDT_DMABUF_PEEK, &peek) && errno == EINVAL;
}

/* Its memory, without devices. */
static void check_memory(const char *device, int heap, const char *prefix, unsigned int size_nr)
{
	struct buffer buf = get_buffer(heap, sizes[size_nr].size);
	const char *name = sizes[size_nr].name;
	int fd = open_device(device);

	ksft_test_result(is_zero(buf.memory, buf.size), "xdt_dmabuf.%szeroed_%s\n", prefix, name);
	fill(buf.memory, buf.size, ++pattern, 0);
	ksft_test_result(same_memory(&buf), "xdt_dmabuf.%ssame_%s\n", prefix, name);
	ksft_test_result(kernel_sees(fd, &buf), "xdt_dmabuf.%skernel_sees_%s\n", prefix, name);
	put_buffer(&buf);
	close(fd);
}

static void check(const char *device, int heap, const char *prefix, unsigned int size_nr,
		  unsigned int way)
{
	struct buffer buf = get_buffer(heap, sizes[size_nr].size);
	const char *name = sizes[size_nr].name;
	int fd = open_device(device), ok = 0;

	choose_places(buf.size);
	fill(buf.memory, buf.size, ++pattern, 0);
	if (map_for_device(fd, &buf, ways[way].dir))
		ok = check_directions(fd, &buf, way);
	ksft_test_result(ok, "xdt_dmabuf.%s%s_%s\n", prefix, ways[way].name, name);
	if (ways[way].dir == DMA_TO_DEVICE)
		close(fd);
	else
		ksft_test_result(unmapped(fd, &buf), "xdt_dmabuf.%s%s_unmapped_%s\n", prefix,
				 ways[way].name, name);
	put_buffer(&buf);
}

/* Two devices have the buffer, and each finds what the CPU wrote; so does one that is left. */
static int serves_two(const char *device, int heap)
{
	int fds[2] = { open_device(device), open_device(device) }, ok;
	struct buffer buf = get_buffer(heap, 17 * PAGE);
	unsigned int access = DMA_BUF_SYNC_WRITE;

	choose_places(buf.size);
	ok = map_for_device(fds[0], &buf, DMA_TO_DEVICE) &&
	     map_for_device(fds[1], &buf, DMA_TO_DEVICE) &&
	     user_to_device(fds[0], &buf, access) && device_finds(fds[1]);
	close(fds[0]);
	ok = ok && user_to_device(fds[1], &buf, access);
	close(fds[1]);
	put_buffer(&buf);
	return ok;
}

static int write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), ok;

	ok = fd >= 0 && dprintf(fd, "%s\n", value) > 0;
	if (!ok)
		ksft_print_msg("%s: %s\n", path, strerror(errno));
	close(fd);
	return ok;
}

/* What is changed here, and what it was before. */
static struct setting {
	const char *path;
	char before[256];
} settings[] = {
	{ .path = PARAMETERS "bounce" },
	{ .path = PARAMETERS "heap" },
	{ .path = DEBUGFS "fail_extent/probability" },
	{ .path = DEBUGFS "fail_extent/times" },
	{ .path = DEBUGFS "fail_extent/verbose" },
};

static void read_settings(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		FILE *file = fopen(settings[i].path, "r");

		if (!file || !fgets(settings[i].before, sizeof(settings[i].before), file))
			ksft_exit_fail_msg("%s can't be read\n", settings[i].path);
		settings[i].before[strcspn(settings[i].before, "\n")] = 0;
		fclose(file);
	}
}

static void restore_settings(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		write_file(settings[i].path, settings[i].before);
}

static int set_limit(const char *bytes)
{
	return write_file(PARAMETERS "heap", bytes);
}

/* Of 8 MiB there are two buffers of 4, not three; what is closed can be had again. */
static int is_limited(int heap)
{
	size_t size = 4UL << 20;
	int first = allocate(heap, size), second = allocate(heap, size), ok;

	ok = first >= 0 && second >= 0 && allocate(heap, size) == -ENOMEM;
	close(first);
	first = allocate(heap, size);
	ok = ok && first >= 0 && allocate(heap, PAGE) == -ENOMEM;
	close(first);
	close(second);
	return ok;
}

/* A figure of the driver's; -1 where it has none of that name. */
static long long figure(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	long long value, found = -1;
	char word[64];

	while (file && fscanf(file, "%63s %lld", word, &value) == 2)
		if (!strcmp(word, name))
			found = value;
	if (file)
		fclose(file);
	return found;
}

/* Whoever may only read has the same memory. */
static int is_for_readers(int heap)
{
	int buf = allocate_for(heap, 17 * PAGE, O_RDONLY), ok;
	unsigned char *memory = mmap(NULL, 17 * PAGE, PROT_READ, MAP_SHARED, buf, 0);

	ok = memory != MAP_FAILED && is_zero(memory, 17 * PAGE);
	if (memory != MAP_FAILED)
		munmap(memory, 17 * PAGE);
	close(buf);
	return ok;
}

/* A copy of one's own would be of no use to a device. */
static int is_shared_only(int heap)
{
	int buf = allocate(heap, PAGE), ok;

	ok = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, buf, 0) == MAP_FAILED &&
	     errno == EINVAL;
	close(buf);
	return ok;
}

/* So many of a hundred extents fail from now on, and as many in all as @times says. */
static void fail_extents(const char *times, const char *probability)
{
	write_file(DEBUGFS "fail_extent/times", times);
	write_file(DEBUGFS "fail_extent/probability", probability);
}

/*
 * While half of all extents can't be had, buffers consist of smaller pieces, or there are none; and
 * when they are freed, all of their memory is.
 */
static int survives_faults(int heap)
{
	long long used = figure(DEBUGFS "coherent", "used"), failed = 0, had = 0;
	size_t size = (5UL << 20) + 17 * PAGE;
	int bufs[8], i, ok = 1;

	fail_extents("-1", "50");
	for (i = 0; i < 8; i++) {
		unsigned char *memory;

		bufs[i] = allocate(heap, size);
		failed += bufs[i] < 0;
		if (bufs[i] < 0)
			continue;
		had++;
		memory = mmap(NULL, size, PROT_READ, MAP_SHARED, bufs[i], 0);
		ok &= memory != MAP_FAILED && is_zero(memory, size);
		munmap(memory, size);
	}
	write_file(DEBUGFS "fail_extent/probability", "0");
	for (i = 0; i < 8; i++)
		close(bufs[i]);
	ksft_print_msg("with half of all extents failing %lld buffers were had, %lld not\n", had,
		       failed);
	return ok && had && used >= 0 && figure(DEBUGFS "coherent", "used") == used;
}

/* How many extents are still to fail. */
static int to_fail(void)
{
	FILE *file = fopen(DEBUGFS "fail_extent/times", "r");
	int times = -1;

	if (file) {
		if (fscanf(file, "%d", &times) != 1)
			times = -1;
		fclose(file);
	}
	return times;
}

/*
 * An extent that can't be had costs nobody a buffer: it goes on with smaller pieces. What was
 * kept of earlier buffers is given back first, so that each needs extents.
 */
static int goes_on_smaller(int heap)
{
	int bufs[4], i, failed = 0, had = 0;

	for (i = 0; i < 4; i++) {
		write_file("/proc/sys/vm/drop_caches", "2");
		fail_extents("1", "100");
		bufs[i] = allocate(heap, 5UL << 20);
		had += bufs[i] >= 0;
		failed += !to_fail();
	}
	write_file(DEBUGFS "fail_extent/probability", "0");
	for (i = 0; i < 4; i++)
		close(bufs[i]);
	ksft_print_msg("of 4 buffers %d lacked an extent, and %d were had\n", failed, had);
	return failed && had == 4;
}

static int can_be_had(int heap)
{
	int buf = allocate(heap, PAGE);

	close(buf);
	return buf >= 0;
}

static void check_heap(const char *device, const char *pci, const struct heap *heap)
{
	int fd = open(heap->path, O_RDWR);
	unsigned int way, size;

	looks = 0;
	copies = 0;
	if (fd < 0)
		ksft_exit_fail_msg("%s: %s\n", heap->path, strerror(errno));
	if (heap->forced && !write_file(PARAMETERS "bounce", pci))
		ksft_exit_fail_msg("bouncing can't be forced\n");
	for (size = 0; size < ARRAY_SIZE(sizes); size++) {
		check_memory(device, fd, heap->prefix, size);
		for (way = 0; way < ARRAY_SIZE(ways); way++)
			check(device, fd, heap->prefix, size, way);
	}
	/* Memory in reach of the device would prove nothing. */
	ksft_print_msg("%s: %u of %u buffers bounced\n", heap->path, copies, looks);
	ksft_test_result(heap->bounces ? 2 * copies > looks : looks && !copies, "xdt_dmabuf.%s%s\n",
			 heap->prefix, heap->bounces ? "bounced" : "in_place");
	ksft_test_result(serves_two(device, fd), "xdt_dmabuf.%stwo_devices\n", heap->prefix);
	if (heap->forced && !write_file(PARAMETERS "bounce", ""))
		ksft_exit_fail_msg("bouncing stays forced\n");
	close(fd);
}

/* Of our own heap, what it has to do with Xen. */
static void check_low(const struct heap *heap)
{
	int fd = open(heap->path, O_RDWR);

	ksft_test_result(is_for_readers(fd), "xdt_dmabuf.low_readers\n");
	ksft_test_result(is_shared_only(fd), "xdt_dmabuf.low_shared_only\n");
	ksft_test_result(survives_faults(fd), "xdt_dmabuf.low_faults\n");
	ksft_test_result(goes_on_smaller(fd), "xdt_dmabuf.low_smaller\n");
	ksft_test_result(set_limit("8M") && is_limited(fd), "xdt_dmabuf.low_limit\n");
	ksft_test_result(set_limit("0") && allocate(fd, PAGE) == -ENOMEM,
			 "xdt_dmabuf.low_none\n");
	ksft_test_result(set_limit("default") && can_be_had(fd), "xdt_dmabuf.low_again\n");
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned int seed = time(NULL), nr = ARRAY_SIZE(heaps), i;

	ksft_print_header();
	if (argc != 3 && argc != 4)
		ksft_exit_fail_msg("usage: xdt_dmabuf_user DEVICE PCI-DEVICE [SEED]\n");
	if (argc == 4)
		seed = strtoul(argv[3], NULL, 0);
	/* A kernel without our heap has no such parameter. */
	if (access(PARAMETERS "heap", F_OK))
		nr = 1;
	ksft_set_plan(nr * (ARRAY_SIZE(sizes) * 8 + 2) + (nr > 1 ? 7 : 0));
	ksft_print_msg("seed %u\n", seed);
	srand(seed);
	pattern = seed;

	if (nr > 1) {
		read_settings();
		atexit(restore_settings);
		write_file(DEBUGFS "fail_extent/verbose", "0");
	}
	for (i = 0; i < nr; i++)
		check_heap(argv[1], argv[2], &heaps[i]);
	if (nr > 1)
		check_low(&heaps[1]);
	ksft_finished();
}
