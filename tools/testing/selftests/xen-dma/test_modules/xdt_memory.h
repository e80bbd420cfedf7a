/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of exchanged memory share: allocations that can be told from
 * each other by what they hold, and a look at all of a PV domain's memory, whose
 * three tables, P2M, M2P and page tables, have to agree about every page.
 */
#ifndef XDT_MEMORY_H
#define XDT_MEMORY_H

#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/types.h>

/* How many areas the device looks at in one go. */
#define XDT_MAX_SEEN	16U

/* Set by scripts: see the parameters of xdt_memory.ko. */
extern unsigned int xdt_low_bits;
extern unsigned int xdt_seed;

/**
 * struct xdt_area - an allocation of coherent memory
 * @size: bytes, whole pages
 * @addr: where it is for the CPU, NULL for none
 * @bus: where it is for the device
 */
struct xdt_area {
	size_t size;
	void *addr;
	dma_addr_t bus;
};

bool xdt_take(struct device *dev, struct xdt_area *area, size_t size,
	      gfp_t gfp);
void xdt_give(struct device *dev, struct xdt_area *area);
bool xdt_area_lies(const struct xdt_area *area);
const char *xdt_area_flaw(struct device *dev, const struct xdt_area *area);

/* Content; no page holds what another page or another seed has. */
void xdt_stamp(void *addr, size_t size, u64 seed);
size_t xdt_stamped(const void *addr, size_t size, u64 seed);
bool xdt_device_sees(const struct xdt_area *areas, unsigned int nr);

/**
 * struct xdt_domain - what a look at the domain's memory has found
 * @mapped: pages about which all tables agree
 * @absent: pages of RAM that have no frame
 * @wrong: pages about which the tables disagree
 * @pfn: the first of these
 * @p2m: what the P2M says of it
 * @pte: its page table entry
 * @m2p: which page the M2P has for the frame of @p2m
 * @owned: pages that the domain has, says the hypervisor
 */
struct xdt_domain {
	unsigned long mapped;
	unsigned long absent;
	unsigned long wrong;
	unsigned long pfn;
	unsigned long p2m;
	unsigned long pte;
	unsigned long m2p;
	long owned;
};

void xdt_look(struct xdt_domain *domain);
bool xdt_is_sound(struct xdt_domain *now, const struct xdt_domain *before);
void xdt_say_sound(struct xdt_domain *first, char *answer, size_t size);

/**
 * struct xdt_hands - a file in debugfs through which a script has a module do something
 * @obey: does what a line says; whether it knew what that is
 * @answer: what the script reads back
 * @file: the file
 */
struct xdt_hands {
	bool (*obey)(const char *line);
	char answer[160];
	struct dentry *file;
};

int xdt_start_hands(struct xdt_hands *hands, const char *name);
void xdt_stop_hands(struct xdt_hands *hands);

#define xdt_say(hands, ...)	snprintf((hands)->answer, sizeof((hands)->answer), __VA_ARGS__)

#endif /* XDT_MEMORY_H */
