/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the memory of an ARM domain is: what is known, and who said it.
 */
#ifndef __XEN_DMA_ARM_H
#define __XEN_DMA_ARM_H

#include <linux/mutex.h>
#include <linux/types.h>

#include <xen/bus-ranges.h>

#include <asm/xen/xen-ops.h>

/**
 * enum xen_dma_source - who tells where the domain's memory is
 * @XEN_DMA_UNKNOWN:	nobody
 * @XEN_DMA_DIRECT:	the hypervisor's feature flag: it is mapped 1:1
 * @XEN_DMA_TRANSLATED:	the hypervisor, xen,dma-translated or
 *			xen_dma_offset=translated: an IOMMU of Xen's translates for all
 *			devices
 * @XEN_DMA_ASKED:	the hypervisor, when it was asked
 * @XEN_DMA_MIXED:	likewise; of devices it says that there are some of either kind
 * @XEN_DMA_OFFSET:	xen,dma-offset
 * @XEN_DMA_RANGES:	xen,dma-ranges
 * @XEN_DMA_PARAM:	xen_dma_offset=
 * @XEN_DMA_PROBED:	the hypervisor, page by page
 * @XEN_DMA_BUS:	the dma-ranges of a bus
 * @XEN_DMA_WRONG:	somebody, but not soundly
 */
enum xen_dma_source {
	XEN_DMA_UNKNOWN,
	XEN_DMA_DIRECT,
	XEN_DMA_TRANSLATED,
	XEN_DMA_ASKED,
	XEN_DMA_MIXED,
	XEN_DMA_OFFSET,
	XEN_DMA_RANGES,
	XEN_DMA_PARAM,
	XEN_DMA_PROBED,
	XEN_DMA_BUS,
	XEN_DMA_WRONG,
};

extern enum xen_dma_source xen_source;
extern const char * const xen_source_names[];

/* The domain's memory as the device tree has it, at offset 0. */
extern struct xen_bus_table xen_ram;

/*
 * For whoever changes the source or publishes a table, and for whoever asks Xen where pages
 * are: none leaves the domain meanwhile. The source is settled before the first device is
 * given an address of the machine; what is published after that only adds to the table.
 */
extern struct mutex xen_dma_mutex;

void xen_publish_table(struct xen_bus_table *table);
void xen_know_part(u64 last);

/* Is it mapped 1:1, so that a page that comes back is where it was? */
static inline bool xen_is_direct(void)
{
	return xen_swiotlb_detect();
}

struct device;
struct seq_file;
struct xen_asker;

void xen_learn_registers(void);
bool xen_arm_is_refused(struct device *dev);
bool xen_arm_is_news(struct device *dev, bool refused);
void xen_arm_refuse(struct device *dev);
void xen_arm_reconsider(struct device *dev);
bool xen_ask_at_boot(struct xen_bus_table *table);
struct xen_asker *xen_asker_begin(void);
void xen_asker_end(struct xen_asker *asker);
int xen_probe_memory(void);
bool xen_learn_on(void);
void xen_learn_left(void);
unsigned long xen_learn_asked(void);
bool xen_aperture_fill(unsigned long asked);
void xen_learn_show(struct seq_file *s);
bool xen_verify_memory(void);
void xen_ask_returned(void);

#endif /* __XEN_DMA_ARM_H */
