// SPDX-License-Identifier: GPL-2.0
/*
 * What only the hypervisor knows: how many pages the domain has, how much memory is free that
 * a device with so many address bits reaches, and how long a domain has been at work.
 *
 * Usage: xdt_xen pages | xdt_xen free BITS | xdt_xen time DOMID. Prints one number, of pages
 * or nanoseconds. It asks through privcmd, so only the domain that controls the machine learns
 * the last two. Xen's headers are not needed; the layouts are of its public interface.
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
/* Each release of Xen takes but one version of this interface. */
#define SYSCTL_FIRST		0x12
#define SYSCTL_LAST		0x20

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

struct sysctl {
	__u32 cmd;
	__u32 interface_version;
	union {
		struct availheap availheap;
		struct domains domains;
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
static int ask_sysctl(void *page, const struct sysctl *ctl)
{
	__u32 version;
	long ret = -1;

	for (version = SYSCTL_FIRST; version <= SYSCTL_LAST; version++) {
		struct sysctl *asked = page;

		*asked = *ctl;
		asked->interface_version = version;
		ret = hypercall(SYSCTL, (unsigned long)asked, NULL);
		if (ret >= 0)
			return 0;
		if (errno != EACCES)
			break;
	}
	return -1;
}

static long free_pages(void *page, unsigned int bits)
{
	struct sysctl ctl = {
		.cmd = SYSCTL_AVAILHEAP,
		.u.availheap = { .max_bitwidth = bits, .node = -1 },
	};

	if (ask_sysctl(page, &ctl))
		return -1;
	return ((struct sysctl *)page)->u.availheap.avail_bytes / PAGE;
}

static long domain_time(void *page, unsigned int domid)
{
	struct domain *domain = page + PAGE / 2;
	struct sysctl ctl = {
		.cmd = SYSCTL_DOMAINS,
		.u.domains = { .first = domid, .max = 1,
			       .buffer = (unsigned long)domain },
	};

	if (ask_sysctl(page, &ctl))
		return -1;
	if (!((struct sysctl *)page)->u.domains.nr || domain->domid != domid) {
		errno = ESRCH;
		return -1;
	}
	return domain->nanoseconds;
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
	} else {
		fprintf(stderr, "usage: xdt_xen pages | free BITS | time DOMID\n");
		return 1;
	}
	if (number < 0) {
		perror("hypercall");
		return 1;
	}
	printf("%ld\n", number);
	return 0;
}
