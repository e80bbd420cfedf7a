/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the test modules for ARM share: the runs of constant offset that the
 * domain's memory has in the machine, memory from each of them, and checks that
 * a device and the CPU see the same bytes, mapped singly or in a list.
 */
#ifndef XDT_ARM_H
#define XDT_ARM_H

#include "xdt.h"
#include "xdt_grant.h"

/* No test bed has so many. */
#define XDT_MAX_RUNS	64U

/* So many pages leave at a time at most. */
#define XDT_PERMUTED	64U

/* A part that may be mapped anywhere. */
#define XDT_ANYWHERE	DMA_MAPPING_ERROR

/**
 * struct xdt_run - memory that is in one piece in the machine
 * @start: guest-physical address
 * @end: guest-physical address behind it
 * @offset: bus address minus guest-physical address
 */
struct xdt_run {
	phys_addr_t start;
	phys_addr_t end;
	u64 offset;
};

/**
 * struct xdt_part - part of a buffer that is mapped
 * @base: the buffer, as the CPU sees it
 * @mapped: the buffer, as it is mapped; a foreign page has two addresses
 * @whole: size of the buffer in bytes
 * @offset: where the part starts, in bytes
 * @size: its size in bytes
 * @machine: the bus address that @base must have, or XDT_ANYWHERE
 * @bus: where the part was mapped last
 */
struct xdt_part {
	u8 *base;
	u8 *mapped;
	size_t whole;
	size_t offset;
	size_t size;
	dma_addr_t machine;
	dma_addr_t bus;
};

int xdt_arm_init(struct kunit *test);
void xdt_arm_exit(struct kunit *test);
struct device_node *xdt_node_of(struct device *dev);
unsigned int xdt_peer(void);

/* Memory */
unsigned int xdt_runs(const struct xdt_run **runs);
bool xdt_ram_within(u64 mask);
bool xdt_ram_beyond(u64 mask);
bool xdt_may_mask(struct kunit *test, unsigned int bits);
u64 xdt_where(struct kunit *test, const void *addr);
unsigned int xdt_from_runs(struct kunit *test, unsigned int order,
			   void **blocks);
void *xdt_across(struct kunit *test, size_t *half);
void *xdt_at(struct kunit *test, phys_addr_t phys);
void xdt_permute(struct kunit *test, void **addr, unsigned int nr, unsigned int shift);
bool xdt_wait_in_place(struct kunit *test, void **addr, unsigned int nr);
bool xdt_settled(void);
struct xdt_foreign *xdt_foreign(struct kunit *test, unsigned int nr, u64 above);
void xdt_add_foreign(struct xdt_foreign *foreign);
void xdt_end_foreign(struct kunit *test, struct xdt_foreign *foreign);

/* Data */
struct xdt_part *xdt_parts(struct kunit *test, unsigned int nr);
void xdt_own(struct kunit *test, struct xdt_part *part, void *base,
	     size_t whole, size_t offset, size_t size);
void xdt_theirs(struct xdt_part *part, struct xdt_foreign *foreign,
		unsigned int i, size_t offset, size_t size);
void xdt_check_parts(struct kunit *test, struct xdt_part *parts,
		     unsigned int nr);
void xdt_check_list(struct kunit *test, struct xdt_part *parts,
		    unsigned int nr, bool copied);
void xdt_check_coherent(struct kunit *test, size_t size);

#endif /* XDT_ARM_H */
