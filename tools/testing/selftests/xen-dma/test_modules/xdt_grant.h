/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Grants, for the DMA tests of a domain on ARM: where a page of the domain really
 * is in the machine, and pages that are foreign to the kernel.
 *
 * The driver under test is never asked. A domain that grants a page to itself and
 * maps the grant is told its machine address; and a page mapped that way by the
 * kernel's own functions is foreign to it like that of any other domain.
 */
#ifndef XDT_GRANT_H
#define XDT_GRANT_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/types.h>

#include <xen/grant_table.h>

/**
 * struct xdt_foreign_page - a foreign page
 * @own: the page of ours that was granted, NULL when it is another domain's
 * @ref: grant reference
 * @handle: of the mapping; INVALID_GRANT_HANDLE when it is not mapped
 * @bus: the address at which a device finds it
 */
struct xdt_foreign_page {
	struct page *own;
	grant_ref_t ref;
	grant_handle_t handle;
	u64 bus;
};

/**
 * struct xdt_foreign - foreign pages
 * @list: for whoever holds them
 * @nr: how many
 * @domid: who has granted them
 * @pages: where they are mapped
 * @page: what is mapped there
 * @block: memory of ours that was granted, NULL for none
 * @order: size of @block
 */
struct xdt_foreign {
	struct list_head list;
	unsigned int nr;
	domid_t domid;
	struct page **pages;
	struct xdt_foreign_page *page;
	struct page *block;
	unsigned int order;
};

int xdt_selfgrant(phys_addr_t phys, u64 *machine);
int xdt_truth(phys_addr_t phys, u64 *bus);
bool xdt_has_iommu(void);

struct xdt_foreign *xdt_foreign_self(unsigned int nr, u64 above);
struct xdt_foreign *xdt_foreign_of(domid_t domid, const grant_ref_t *refs,
				   unsigned int nr);
int xdt_foreign_map(struct xdt_foreign *foreign, unsigned int i);
int xdt_foreign_unmap(struct xdt_foreign *foreign, unsigned int i);
int xdt_foreign_end(struct xdt_foreign *foreign);

#endif /* XDT_GRANT_H */
