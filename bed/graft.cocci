// SPDX-License-Identifier: GPL-2.0
//
// What leaves arch/x86/xen/mmu_pv.c: the memory exchange, its state, and the
// call that prepares it at boot. arch/x86/xen/mmu.c of this repository takes
// its place, under the same entry points. And what drivers/xen/mem-reservation.c
// gains: calls that tell which pages leave and come back. And that lib/scatterlist.c asks
// whether pages are one piece of the machine, before 6.12 in three places.
//
// bed/graft.py reads the sets in braces as the list of names that must be there before
// and be gone after.

@function@
identifier fn = {
	alloc_discontig_frames,
	xen_create_contiguous_region,
	xen_destroy_contiguous_region,
	xen_exchange_memory,
	xen_remap_exchanged_ptes,
	xen_zap_pfn_range
};
@@
- fn(...) { ... }

@call@
@@
- if (alloc_discontig_frames(...)) BUG();

@lock@
declarer name DEFINE_SPINLOCK;
identifier lock = {
	xen_reservation_lock
};
@@
- static DEFINE_SPINLOCK(lock);

@state@
identifier var = {
	discontig_frames,
	discontig_frames_dyn,
	discontig_frames_early,
	discontig_frames_order
};
type T;
expression E;
@@
(
- static T var;
|
- static T var = E;
)

@macro@
identifier mac = {
	MIN_CONTIG_ORDER,
	VOID_PTE
};
expression E;
@@
- #define mac E

@leave@
identifier count, frames;
symbol XENMEM_decrease_reservation;
expression E;
@@
 int xenmem_reservation_decrease(int count, xen_pfn_t *frames)
 {
 ...
+ xen_dma_pages_leave();
-return HYPERVISOR_memory_op(XENMEM_decrease_reservation, E);
+return xen_dma_pages_left(frames, HYPERVISOR_memory_op(XENMEM_decrease_reservation, E));
 }

@comes@
identifier count, frames;
symbol XENMEM_populate_physmap;
expression E;
@@
 int xenmem_reservation_increase(int count, xen_pfn_t *frames)
 {
 ...
-return HYPERVISOR_memory_op(XENMEM_populate_physmap, E);
+return xen_dma_pages_return(frames, HYPERVISOR_memory_op(XENMEM_populate_physmap, E));
 }

@depends on leave@
@@
 #include <xen/mem-reservation.h>
+#include <xen/swiotlb-xen.h>

@mergeable@
identifier a, b;
symbol true;
typedef bool;
@@
 bool pages_are_mergeable(struct page *a, struct page *b)
 {
 ...
-return true;
+return xen_pages_mergeable(b, a);
 }

@follows depends on !mergeable@
expression A, B;
@@
-page_to_pfn(A) != page_to_pfn(B) + 1
+!xen_pages_mergeable(B, A)

@appended depends on follows@
expression A;
identifier next;
@@
-page_to_pfn(A) == next
+xen_pages_mergeable(pfn_to_page(next - 1), A)
