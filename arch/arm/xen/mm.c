// SPDX-License-Identifier: GPL-2.0
/*
 * ARM's entry points for the DMA of Xen domains: cache maintenance of other domains'
 * pages, and finding out at boot where the domain's memory is.
 *
 * A domain is mapped 1:1, or at offsets that only the hypervisor knows. The first
 * source that tells them is used: the hypervisor's feature flag for 1:1, its answer to a
 * hypercall (drivers/xen/dma/arm-asked.c), its node in the device tree, the command line
 * (arm-published.c), and where none of them tells, probing (arm-probe.c). A source that
 * contradicts itself is not passed over for the next one: DMA is refused then, as it is
 * where nobody tells.
 */
#define pr_fmt(fmt) "xen-dma: " fmt

#include <linux/cache.h>
#include <linux/dma-map-ops.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include <xen/bus-ranges.h>
#include <xen/grant_table.h>
#include <xen/interface/memory.h>
#include <xen/page.h>
#include <xen/swiotlb-xen.h>
#include <xen/xen.h>

#include <asm/cacheflush.h>
#include <asm/xen/hypercall.h>

/**
 * xen_arm_last_of_machine() - where the machine's memory ends
 *
 * Context: Any.
 * Return: The last byte's address, all ones when Xen does not tell.
 */
u64 xen_arm_last_of_machine(void)
{
	long max_mfn = HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL);

	return max_mfn > 0 ? ((u64)max_mfn << XEN_PAGE_SHIFT) + XEN_PAGE_SIZE - 1 :
			     U64_MAX;
}

/**
 * xen_required_dma_mask() - what a device needs to reach all of the machine
 *
 * From XENMEM_maximum_ram_page, since any page may be granted to this domain.
 *
 * Context: Any.
 * Return: The mask, all ones when Xen does not tell.
 */
u64 xen_required_dma_mask(void)
{
	return DMA_BIT_MASK(fls64(xen_arm_last_of_machine()));
}

/**
 * xen_arm_required_mask() - what a device needs to reach all that its bus leads to
 * @dev:	device whose bus has windows to the machine
 *
 * Context: Any.
 * Return: The mask, of bus addresses; that of the machine's where no window leads to
 * memory.
 */
u64 xen_arm_required_mask(struct device *dev)
{
	u64 last = xen_arm_last_of_machine();

	return DMA_BIT_MASK(fls64(xen_arm_last_bus(dev, last) ?: last));
}

/* Pieces that one hypercall is given. */
#define XEN_FLUSH_BATCH		16

/* Does the hypervisor have the call? */
static bool xen_has_cache_flush __ro_after_init;

static atomic_long_t xen_flushed;
static atomic_long_t xen_flush_failed;

/**
 * struct xen_flushes - pieces of pages whose cache lines are maintained
 * @op:		hypercall's arguments
 * @nr:		how many
 */
struct xen_flushes {
	struct gnttab_cache_flush op[XEN_FLUSH_BATCH];
	unsigned int nr;
};

static int run_flushes(struct xen_flushes *flushes)
{
	unsigned int nr = flushes->nr;

	flushes->nr = 0;
	return nr ? HYPERVISOR_grant_table_op(GNTTABOP_cache_flush,
					      flushes->op, nr) : 0;
}

static int add_flush(struct xen_flushes *flushes, u64 machine,
		     unsigned int length, u32 op)
{
	struct gnttab_cache_flush *flush = &flushes->op[flushes->nr++];

	flush->a.dev_bus_addr = machine - xen_offset_in_page(machine);
	flush->offset = xen_offset_in_page(machine);
	flush->length = length;
	flush->op = op;
	return flushes->nr == XEN_FLUSH_BATCH ? run_flushes(flushes) : 0;
}

/*
 * A piece of one page. A line of which a part is the caller's may hold what
 * somebody else has just written: it is not invalidated before it is cleaned.
 */
static int add_piece(struct xen_flushes *flushes, u64 machine,
		     unsigned int length, u32 op)
{
	unsigned int line = dma_get_cache_alignment();
	u64 end = machine + length;
	int rc = 0;

	if (op != GNTTAB_CACHE_INVAL)
		return add_flush(flushes, machine, length, op);

	if (machine & (line - 1)) {
		u64 next = min_t(u64, end, ALIGN(machine, line));

		rc = add_flush(flushes, machine, next - machine,
			       GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL);
		machine = next;
	}
	if (!rc && round_down(end, line) > machine) {
		rc = add_flush(flushes, machine,
			       round_down(end, line) - machine, op);
		machine = round_down(end, line);
	}
	if (!rc && machine < end)
		rc = add_flush(flushes, machine, end - machine,
			       GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL);
	return rc;
}

static int maintain_caches(struct device *dev, dma_addr_t dma, size_t size,
			   u32 op)
{
	u64 machine = xen_arm_bus_to_machine(dev, dma);
	long pages = XEN_PFN_UP(xen_offset_in_page(machine) + size);
	struct xen_flushes flushes = {};
	int rc = 0;

	while (size && !rc) {
		unsigned int length = min_t(size_t, size, XEN_PAGE_SIZE -
					    xen_offset_in_page(machine));

		rc = add_piece(&flushes, machine, length, op);
		machine += length;
		size -= length;
	}
	if (!rc)
		rc = run_flushes(&flushes);

	if (likely(!rc)) {
		atomic_long_add(pages, &xen_flushed);
		return 0;
	}
	atomic_long_add(pages, &xen_flush_failed);
	dev_err_ratelimited(dev,
			    "xen-dma: caches of another domain's page at %pad: error %d of Xen\n",
			    &dma, rc);
	return rc < 0 ? rc : -EIO;
}

/**
 * xen_dma_sync_for_cpu() - another domain's memory that the device wrote
 * @dev:	device that is not coherent
 * @handle:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * Context: Any.
 * Return: 0, or why the hypervisor did not do it; there is a message then.
 */
int xen_dma_sync_for_cpu(struct device *dev, dma_addr_t handle, size_t size,
			 enum dma_data_direction dir)
{
	if (dir == DMA_TO_DEVICE)
		return 0;

	return maintain_caches(dev, handle, size, GNTTAB_CACHE_INVAL);
}

/**
 * xen_dma_sync_for_device() - another domain's memory that the CPU wrote
 * @dev:	device that is not coherent
 * @handle:	bus address
 * @size:	bytes
 * @dir:	direction
 *
 * Context: Any.
 * Return: 0, or why the hypervisor did not do it; there is a message then.
 */
int xen_dma_sync_for_device(struct device *dev, dma_addr_t handle, size_t size,
			    enum dma_data_direction dir)
{
	return maintain_caches(dev, handle, size, dir == DMA_FROM_DEVICE ?
			       GNTTAB_CACHE_CLEAN | GNTTAB_CACHE_INVAL :
			       GNTTAB_CACHE_CLEAN);
}

/**
 * xen_arch_need_swiotlb() - must a buffer be bounced for the caches' sake?
 * @dev:	device
 * @phys:	guest-physical address
 * @dev_addr:	bus address
 *
 * Context: Any.
 * Return: Whether it is another domain's, of which the device does not see the
 * caches, and the hypervisor can't help.
 */
bool xen_arch_need_swiotlb(struct device *dev, phys_addr_t phys,
			   dma_addr_t dev_addr)
{
	return !dev_is_dma_coherent(dev) && !xen_has_cache_flush &&
	       xen_any_displaced() &&
	       xen_displaced(XEN_PFN_DOWN(phys)) != XEN_IN_PLACE;
}

/**
 * xen_arm_show_caches() - tell how much cache maintenance Xen has done
 * @s:	debugfs file
 *
 * Context: Process.
 */
void xen_arm_show_caches(struct seq_file *s)
{
	seq_printf(s, "flushed %ld\nfailed %ld\n",
		   atomic_long_read(&xen_flushed),
		   atomic_long_read(&xen_flush_failed));
}

/* Where Xen has the call, it accepts one for no bytes at all. */
static bool __init has_cache_flush(void)
{
	struct gnttab_cache_flush flush = {};

	return !HYPERVISOR_grant_table_op(GNTTABOP_cache_flush, &flush, 1);
}

static int __init xen_mm_init(void)
{
	if (!xen_domain())
		return 0;

	xen_has_cache_flush = has_cache_flush();
	xen_learn_at_boot();
	return 0;
}
arch_initcall(xen_mm_init);
