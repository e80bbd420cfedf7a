/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the model of the machine share; tests look at machine.h.
 */
#ifndef __XEN_MACHINE_MODEL_H
#define __XEN_MACHINE_MODEL_H

#include <linux/pfn.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>

#include "machine.h"

/* What is in a page behind which the frame has changed. */
#define MACHINE_GARBAGE	0xa5

#define LOW_FRAMES	(SZ_4G >> PAGE_SHIFT)

/*
 * By default the pages have frames from 4 GiB up to 8 GiB: neighbours lie this
 * far apart, modulo their number. An odd number, so that no frame comes twice.
 */
#define HOME_MFN	(SZ_4G >> PAGE_SHIFT)
#define HOME_FRAMES	(SZ_4G >> PAGE_SHIFT)
#define HOME_STRIDE	0x9e379UL

/* What the hypervisor has by default; between these is nobody's. */
#define LOW_NARROW_START	SZ_1M
#define LOW_NARROW_END		SZ_16M
#define LOW_WIDE_START		SZ_64M
#define LOW_WIDE_END		(SZ_1G + (u64)SZ_2G)

/* Pages that one call gives back, as in arch/x86/xen/mmu.c. */
#define CHUNK_PAGES	64

#define NO_PFN		U32_MAX

/* The page that a frame is behind, and the frames that the hypervisor has. */
extern u32 *machine_m2p;
extern unsigned long *machine_free;

/* For all changes. The functions below are called under it. */
extern spinlock_t machine_lock;

/* What has been exchanged, and how many pages a step gives back at most. */
extern struct xen_machine_counts machine_count;
extern unsigned int machine_step;

void machine_set_frame(unsigned long pfn, unsigned long mfn);
void machine_give_frames(unsigned long mfn, unsigned long nr);
unsigned long machine_take_extent(unsigned int order, unsigned long end);
unsigned long machine_frames_below(unsigned int address_bits);
unsigned long machine_frames_to_give(void);
int machine_call_error(void);
void *machine_memory(void *vaddr);

#endif /* __XEN_MACHINE_MODEL_H */
