// SPDX-License-Identifier: GPL-2.0
/*
 * What only the hypervisor knows: how many pages the domain has, how much memory is free that
 * a device with so many address bits reaches, how long a domain has been at work, and how much
 * memory it may have.
 *
 * Usage: xdt_xen pages | xdt_xen free BITS | xdt_xen time DOMID | xdt_xen allowed DOMID |
 * xdt_xen allow DOMID KIB. Prints one number, of pages, nanoseconds or KiB; the last one sets what
 * a domain may have. It asks through privcmd, so all but the first is for the domain that
 * controls the machine. Xen's headers are not needed; the layouts are of its public interface.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/types.h>

#define MEMORY_OP		12
#define CURRENT_RESERVATION	3
#define DOMID_SELF		0x7ff0

#define SYSCTL			35
#define SYSCTL_DOMAINS		6
#define SYSCTL_AVAILHEAP	9
#define DOMCTL			36
#define DOMCTL_MAX_MEM		11
/* Each release of Xen takes but one version of these interfaces. */
#define FIRST_VERSION		0x10
#define LAST_VERSION		0x20

#define PAGE			4096

struct hypercall {
	__u64 op;
	__u64 arg[5];
};

#define IOCTL_HYPERCALL	_IOC(_IOC_NONE, 'P', 0, sizeof(struct hypercall))

struct availheap {
	__u32 min_bitwidth;
	__u32 max_bitwidth;
	__s32 node;
	__u32 pad;
	__u64 avail_bytes;
};

struct domains {
	__u16 first;
	__u16 pad;
	__u32 max;
	__u64 buffer;
	__u32 nr;
};

/* As it begins: of all releases from 4.12 on. */
struct domain {
	__u16 domid;
	__u16 pad;
	__u32 flags;
	__u64 pages[5];
	__u64 shared_info;
	__u64 nanoseconds;
};

struct max_mem {
	__u16 domid;
	__u16 pad[3];
	__u64 kib;
};

/* Both interfaces begin like this. */
struct ctl {
	__u32 cmd;
	__u32 interface_version;
	union {
		struct availheap availheap;
		struct domains domains;
		struct max_mem max_mem;
		unsigned char pad[128];
	} u;
};

static int privcmd;

static long hypercall(__u64 op, __u64 first, void *second)
{
	struct hypercall call = {
		.op = op,
		.arg = { first, (unsigned long)second },
	};

	return ioctl(privcmd, IOCTL_HYPERCALL, &call);
}

/* Xen reads and writes this page, so it has to be there all the time. */
static void *shared_page(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED |
			  MAP_POPULATE, -1, 0);

	if (page == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return page;
}

static long domain_pages(void *page)
{
	__u16 *domid = page;

	*domid = DOMID_SELF;
	return hypercall(MEMORY_OP, CURRENT_RESERVATION, domid);
}

/* @ctl is what is asked; each version of the interface is tried. */
static int ask_xen(void *page, __u64 op, const struct ctl *ctl)
{
	__u32 version;
	long ret = -1;

	for (version = FIRST_VERSION; version <= LAST_VERSION; version++) {
		struct ctl *asked = page;

		*asked = *ctl;
		asked->interface_version = version;
		ret = hypercall(op, (unsigned long)asked, NULL);
		if (ret >= 0)
			return 0;
		if (errno != EACCES)
			break;
	}
	return -1;
}

static long free_pages(void *page, unsigned int bits)
{
	struct ctl ctl = {
		.cmd = SYSCTL_AVAILHEAP,
		.u.availheap = { .max_bitwidth = bits, .node = -1 },
	};

	if (ask_xen(page, SYSCTL, &ctl))
		return -1;
	return ((struct ctl *)page)->u.availheap.avail_bytes / PAGE;
}

/* What Xen knows of a domain, or NULL. */
static const struct domain *domain_info(void *page, unsigned int domid)
{
	struct domain *domain = page + PAGE / 2;
	struct ctl ctl = {
		.cmd = SYSCTL_DOMAINS,
		.u.domains = { .first = domid, .max = 1,
			       .buffer = (unsigned long)domain },
	};

	if (ask_xen(page, SYSCTL, &ctl))
		return NULL;
	if (!((struct ctl *)page)->u.domains.nr || domain->domid != domid) {
		errno = ESRCH;
		return NULL;
	}
	return domain;
}

static long domain_time(void *page, unsigned int domid)
{
	const struct domain *domain = domain_info(page, domid);

	return domain ? (long)domain->nanoseconds : -1;
}

/* KiB that it may have. */
static long allowed(void *page, unsigned int domid)
{
	const struct domain *domain = domain_info(page, domid);

	return domain ? (long)domain->pages[1] * (PAGE / 1024) : -1;
}

static long allow(void *page, unsigned int domid, unsigned long kib)
{
	struct ctl ctl = {
		.cmd = DOMCTL_MAX_MEM,
		.u.max_mem = { .domid = domid, .kib = kib },
	};

	return ask_xen(page, DOMCTL, &ctl);
}

int main(int argc, char **argv)
{
	void *page = shared_page();
	long number;

	privcmd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (privcmd < 0)
		privcmd = open("/proc/xen/privcmd", O_RDWR | O_CLOEXEC);
	if (privcmd < 0) {
		perror("privcmd");
		return 1;
	}

	if (argc == 2 && !strcmp(argv[1], "pages")) {
		number = domain_pages(page);
	} else if (argc == 3 && !strcmp(argv[1], "free")) {
		number = free_pages(page, atoi(argv[2]));
	} else if (argc == 3 && !strcmp(argv[1], "time")) {
		number = domain_time(page, atoi(argv[2]));
	} else if (argc == 3 && !strcmp(argv[1], "allowed")) {
		number = allowed(page, atoi(argv[2]));
	} else if (argc == 4 && !strcmp(argv[1], "allow")) {
		number = allow(page, atoi(argv[2]), strtoul(argv[3], NULL, 10));
	} else {
		fprintf(stderr,
			"usage: xdt_xen pages | free BITS | time|allowed DOMID | allow DOMID KIB\n");
		return 1;
	}
	if (number < 0) {
		perror("hypercall");
		return 1;
	}
	printf("%ld\n", number);
	return 0;
}
