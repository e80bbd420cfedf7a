/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A machine for the KUnit tests: which frame is behind each page, which frames
 * the hypervisor has to give, and what a device sees at a bus address. See
 * machine.c.
 */
#ifndef __XEN_DMA_TESTS_MACHINE_H
#define __XEN_DMA_TESTS_MACHINE_H

#include <linux/sizes.h>
#include <linux/types.h>

#include <asm/page.h>

/* Frames that xen_machine_place() may use: from 8 GiB up to 16 GiB. */
#define XEN_MACHINE_FREE_MFN	(SZ_8G >> PAGE_SHIFT)
#define XEN_MACHINE_END_MFN	(SZ_16G >> PAGE_SHIFT)

void xen_machine_reset(void);

unsigned long xen_machine_mfn(unsigned long pfn);
unsigned long xen_machine_pfn(unsigned long mfn);
void xen_machine_place(void *addr, unsigned long nr_pages,
		       unsigned long first_mfn);

/* Bytes of a line of the cache. */
#define MACHINE_LINE		64

void xen_machine_caches(bool on);

int xen_machine_peek(dma_addr_t bus, void *buf, size_t len);
int xen_machine_poke(dma_addr_t bus, const void *buf, size_t len);

void xen_machine_set_low(u64 start, u64 end);
void xen_machine_set_high(u64 start, u64 end);
void xen_machine_only_low(bool only);
unsigned long xen_machine_low_free(unsigned int bits);
unsigned long xen_machine_low_used(void);

/**
 * struct xen_machine_counts - exchanges since xen_machine_reset()
 * @make_calls:		calls to make a region
 * @made:		those that did
 * @give_calls:		calls to give pages back, of which a region may take many
 * @given:		regions that were given back in full
 * @given_pages:	pages that got other frames by it
 */
struct xen_machine_counts {
	unsigned long make_calls;
	unsigned long made;
	unsigned long give_calls;
	unsigned long given;
	unsigned long given_pages;
};

void xen_machine_fail_exchanges(int err);
void xen_machine_fail_after(unsigned long nr, int err, bool stays);
bool xen_machine_fails_later(void);
void xen_machine_give_part(unsigned int nr);
unsigned long xen_machine_exchanges(void);
void xen_machine_counts(struct xen_machine_counts *counts);
unsigned long xen_machine_faults(void);

void *xen_machine_buffer(size_t *size);

#endif /* __XEN_DMA_TESTS_MACHINE_H */
