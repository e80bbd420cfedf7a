// SPDX-License-Identifier: GPL-2.0
/*
 * A dma-buf that is shared with another domain: both have to see the same memory.
 *
 * share give DOMID PAGES memfd|heap
 *	makes a dma-buf of a memfd or from the system heap, grants it to that domain, and only
 *	then writes what the other one is to find. Prints "shared REF...", or "refused: WHY"
 *	when no page was granted. When its input ends, what the other domain has written
 *	must be there: it prints "right", and ends with status 0.
 * share take DOMID REF...
 *	maps what that domain has granted, compares it, and writes what is to be found there.
 *
 * If what was granted is a copy, as a bounce buffer is, neither finds it.
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
#include <unistd.h>

#include <linux/dma-heap.h>
#include <linux/types.h>
#include <linux/udmabuf.h>

/* Of Xen's headers, which need not be there. */
#define grant_ref_t	__u32
#define domid_t		__u16
#include <xen/gntdev.h>

#define PAGE		4096UL
#define WORDS		(PAGE / sizeof(__u64))

#define GNTDEV		"/dev/xen/gntdev"
#define UDMABUF		"/dev/udmabuf"
#define HEAP		"/dev/dma_heap/system"

/* What lies there before it is shared, and what each side writes later. */
enum pattern {
	BEFORE = 1,
	GIVEN,
	TAKEN,
};

static void fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_node(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail(name);
	return fd;
}

static __u64 word(enum pattern pattern, size_t at)
{
	return (at + 1 + ((__u64)pattern << 32)) * 0x9e3779b97f4a7c15ULL;
}

static void fill(__u64 *memory, size_t pages, enum pattern pattern)
{
	size_t i;

	for (i = 0; i < pages * WORDS; i++)
		memory[i] = word(pattern, i);
}

/* Pages in which something is wrong; the first one is told. */
static size_t count_wrong(const __u64 *memory, size_t pages,
			  enum pattern pattern)
{
	size_t page, i, wrong = 0;

	for (page = 0; page < pages; page++) {
		for (i = page * WORDS; i < (page + 1) * WORDS; i++)
			if (memory[i] != word(pattern, i))
				break;
		if (i == (page + 1) * WORDS)
			continue;
		if (!wrong++)
			printf("page %zu has %s\n", page,
			       memory[i] == word(BEFORE, i) ?
					"what was there before it was shared" :
					"something else");
	}
	return wrong;
}

static void *zeroed(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		fail("calloc");
	return memory;
}

static void *map_fd(int fd, size_t pages, __u64 offset)
{
	void *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, offset);

	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

/* A memfd, mapped, and a dma-buf of its pages. */
static int make_of_memfd(size_t pages, __u64 **memory)
{
	struct udmabuf_create create = { .size = pages * PAGE };
	int fd;

	create.memfd = memfd_create("share", MFD_ALLOW_SEALING);
	if ((int)create.memfd < 0 || ftruncate(create.memfd, pages * PAGE) ||
	    fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		fail("memfd");
	*memory = map_fd(create.memfd, pages, 0);
	fd = ioctl(open_node(UDMABUF), UDMABUF_CREATE, &create);
	if (fd < 0)
		fail("UDMABUF_CREATE");
	return fd;
}

static int make_from_heap(size_t pages, __u64 **memory)
{
	struct dma_heap_allocation_data alloc = {
		.len = pages * PAGE,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};

	if (ioctl(open_node(HEAP), DMA_HEAP_IOCTL_ALLOC, &alloc))
		fail("DMA_HEAP_IOCTL_ALLOC");
	*memory = map_fd(alloc.fd, pages, 0);
	return alloc.fd;
}

static int give(unsigned int domid, size_t pages, const char *kind)
{
	struct ioctl_gntdev_dmabuf_imp_release release = {};
	struct ioctl_gntdev_dmabuf_imp_to_refs *grant;
	int gntdev = open_node(GNTDEV);
	__u64 *memory;
	size_t i, wrong;

	grant = zeroed(sizeof(*grant) + pages * sizeof(grant->refs[0]));
	grant->fd = strcmp(kind, "heap") ? make_of_memfd(pages, &memory) :
					   make_from_heap(pages, &memory);
	grant->count = pages;
	grant->domid = domid;
	fill(memory, pages, BEFORE);
	if (ioctl(gntdev, IOCTL_GNTDEV_DMABUF_IMP_TO_REFS, grant)) {
		printf("refused: %s\n", strerror(errno));
		return 0;
	}
	fill(memory, pages, GIVEN);
	printf("shared");
	for (i = 0; i < pages; i++)
		printf(" %u", grant->refs[i]);
	printf("\n");
	fflush(stdout);

	while (getchar() != EOF)
		;
	wrong = count_wrong(memory, pages, TAKEN);
	release.fd = grant->fd;
	if (ioctl(gntdev, IOCTL_GNTDEV_DMABUF_IMP_RELEASE, &release))
		fail("IOCTL_GNTDEV_DMABUF_IMP_RELEASE");
	printf("%s\n", wrong ? "wrong" : "right");
	return !!wrong;
}

static int take(unsigned int domid, size_t pages, char **refs)
{
	struct ioctl_gntdev_map_grant_ref *grant;
	int gntdev = open_node(GNTDEV);
	__u64 *memory;
	size_t i, wrong;

	grant = zeroed(sizeof(*grant) + pages * sizeof(grant->refs[0]));
	grant->count = pages;
	for (i = 0; i < pages; i++) {
		grant->refs[i].domid = domid;
		grant->refs[i].ref = strtoul(refs[i], NULL, 0);
	}
	if (ioctl(gntdev, IOCTL_GNTDEV_MAP_GRANT_REF, grant))
		fail("IOCTL_GNTDEV_MAP_GRANT_REF");
	memory = map_fd(gntdev, pages, grant->index);
	wrong = count_wrong(memory, pages, GIVEN);
	fill(memory, pages, TAKEN);
	if (munmap(memory, pages * PAGE))
		fail("munmap");
	printf("%zu of %zu pages wrong\n", wrong, pages);
	return !!wrong;
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "give"))
		return give(atoi(argv[2]), atoi(argv[3]), argv[4]);
	if (argc > 3 && !strcmp(argv[1], "take"))
		return take(atoi(argv[2]), argc - 3, argv + 3);
	printf("usage: share give DOMID PAGES memfd|heap | share take DOMID REF...\n");
	return 2;
}
