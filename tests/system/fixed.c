// SPDX-License-Identifier: GPL-2.0
/*
 * Reads a file past the page cache into io_uring's fixed buffers, which the kernel pins once, and
 * writes it to standard output.
 *
 * fixed FILE [PASSES]
 *	Several buffers are filled at a time. All passes read into the same buffers; only what the
 *	last one has read is written.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <liburing.h>

#define BUFFERS	16
#define SIZE	1048576UL
#define BLOCK	4096UL

static struct iovec buffers[BUFFERS];
static struct io_uring ring;

static void put(const char *data, size_t left)
{
	ssize_t n;

	for (; left; data += n, left -= n) {
		n = write(STDOUT_FILENO, data, left);
		if (n < 0)
			err(1, "write");
	}
}

/* Reads as many buffers as there are, from an offset on; returns bytes. */
static size_t read_batch(int fd, off_t from, off_t end)
{
	unsigned int i, nr = 0;
	size_t sum = 0;

	for (; nr < BUFFERS && from < end; nr++, from += SIZE) {
		size_t size = end - from < (off_t)SIZE ? (size_t)(end - from) : SIZE;
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		/* Whole blocks, also where the file ends in the middle of one. */
		io_uring_prep_read_fixed(sqe, fd, buffers[nr].iov_base,
					 (size + BLOCK - 1) & ~(BLOCK - 1), from, nr);
		io_uring_sqe_set_data64(sqe, size);
		sum += size;
	}
	if (io_uring_submit_and_wait(&ring, nr) != (int)nr)
		errx(1, "not all requests were taken");
	for (i = 0; i < nr; i++) {
		struct io_uring_cqe *cqe;
		int rc = io_uring_wait_cqe(&ring, &cqe);

		if (rc || cqe->res < 0)
			errx(1, "read: %s", strerror(rc ? -rc : -cqe->res));
		if ((__u64)cqe->res != cqe->user_data)
			errx(1, "read: %d bytes of %llu", cqe->res, cqe->user_data);
		io_uring_cqe_seen(&ring, cqe);
	}
	return sum;
}

static void read_file(int fd, off_t end, int write_it)
{
	size_t got, i;
	off_t at;

	for (at = 0; at < end; at += got) {
		got = read_batch(fd, at, end);
		for (i = 0; write_it && i * SIZE < got; i++)
			put(buffers[i].iov_base, got - i * SIZE < SIZE ? got - i * SIZE : SIZE);
	}
}

int main(int argc, char **argv)
{
	int passes = argc > 2 ? atoi(argv[2]) : 1, fd, rc;
	struct stat st;
	unsigned int i;

	if (argc < 2)
		errx(1, "usage: fixed FILE [PASSES]");
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", argv[1]);
	for (i = 0; i < BUFFERS; i++) {
		buffers[i].iov_len = SIZE;
		if (posix_memalign(&buffers[i].iov_base, SIZE, SIZE))
			errx(1, "no memory");
	}
	rc = io_uring_queue_init(BUFFERS, &ring, 0);
	if (!rc)
		rc = io_uring_register_buffers(&ring, buffers, BUFFERS);
	if (rc)
		errx(1, "io_uring: %s", strerror(-rc));
	while (passes-- > 0)
		read_file(fd, st.st_size, !passes);
	return 0;
}
