/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A machine for the KUnit tests: which frame is behind each page, which low
 * frames the hypervisor has to give, and what a device sees at a bus address.
 * See xen-machine_test.c.
 */
#ifndef __XEN_MACHINE_TEST_H
#define __XEN_MACHINE_TEST_H

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

int xen_machine_peek(dma_addr_t bus, void *buf, size_t len);
int xen_machine_poke(dma_addr_t bus, const void *buf, size_t len);

void xen_machine_set_low(u64 start, u64 end);
unsigned long xen_machine_low_free(unsigned int bits);
void xen_machine_fail_exchanges(int err);
unsigned long xen_machine_exchanges(void);

void *xen_machine_buffer(size_t *size);

#endif /* __XEN_MACHINE_TEST_H */
