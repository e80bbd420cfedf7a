/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the DMA driver of Xen domains does: bounced mappings, growth of the aperture,
 * exchanges with the hypervisor, refusals. Addresses are those that the device uses, but
 * for @phys; sizes are in bytes. The fields have types of C alone, which tools know without the
 * kernel's headers. Names are filled up with zeros: tools compare all of an array.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM xen_dma

#if !defined(_TRACE_XEN_DMA_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_XEN_DMA_H

#include <linux/device.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

/* A copy was mapped. */
TRACE_EVENT(xen_dma_map,
	TP_PROTO(const struct device *dev, phys_addr_t phys, dma_addr_t bus,
		 size_t size, const char *why),
	TP_ARGS(dev, phys, bus, size, why),
	TP_STRUCT__entry(
		__array(char, dev, 32)
		__array(char, why, 20)
		__field(unsigned long long, phys)
		__field(unsigned long long, bus)
		__field(unsigned long, size)
	),
	TP_fast_assign(
		strscpy_pad(__entry->dev, dev_name(dev) ?: "-", sizeof(__entry->dev));
		strscpy_pad(__entry->why, why, sizeof(__entry->why));
		__entry->phys = phys;
		__entry->bus = bus;
		__entry->size = size;
	),
	TP_printk("%s %s phys=%#llx bus=%#llx size=%lu", __entry->dev,
		  __entry->why, __entry->phys, __entry->bus, __entry->size)
);

/* Such a mapping has ended. */
TRACE_EVENT(xen_dma_unmap,
	TP_PROTO(const struct device *dev, dma_addr_t bus, size_t size),
	TP_ARGS(dev, bus, size),
	TP_STRUCT__entry(
		__array(char, dev, 32)
		__field(unsigned long long, bus)
		__field(unsigned long, size)
	),
	TP_fast_assign(
		strscpy_pad(__entry->dev, dev_name(dev) ?: "-", sizeof(__entry->dev));
		__entry->bus = bus;
		__entry->size = size;
	),
	TP_printk("%s bus=%#llx size=%lu", __entry->dev, __entry->bus,
		  __entry->size)
);

/* There was no room for a mapping. What the device reaches ends at @last. */
TRACE_EVENT(xen_dma_refuse,
	TP_PROTO(const struct device *dev, size_t size, u64 last),
	TP_ARGS(dev, size, last),
	TP_STRUCT__entry(
		__array(char, dev, 32)
		__field(unsigned long, size)
		__field(unsigned long long, last)
	),
	TP_fast_assign(
		strscpy_pad(__entry->dev, dev_name(dev) ?: "-", sizeof(__entry->dev));
		__entry->size = size;
		__entry->last = last;
	),
	TP_printk("%s size=%lu last=%#llx", __entry->dev, __entry->size,
		  __entry->last)
);

/* A chunk below @last was to be added to the aperture. */
TRACE_EVENT(xen_dma_grow,
	TP_PROTO(u64 last, size_t size, int result),
	TP_ARGS(last, size, result),
	TP_STRUCT__entry(
		__field(unsigned long long, last)
		__field(unsigned long, size)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->last = last;
		__entry->size = size;
		__entry->result = result;
	),
	TP_printk("last=%#llx size=%lu result=%d", __entry->last, __entry->size,
		  __entry->result)
);

#if defined(CONFIG_XEN_PV) || defined(CONFIG_UML)
/*
 * Pages were given for others. @order is that of the larger extents, given or got, of
 * which so many were exchanged. Nanoseconds.
 */
TRACE_EVENT(xen_dma_exchange,
	TP_PROTO(unsigned int order, unsigned int bits, unsigned long done,
		 int result, u64 ns),
	TP_ARGS(order, bits, done, result, ns),
	TP_STRUCT__entry(
		__field(unsigned int, order)
		__field(unsigned int, bits)
		__field(unsigned long, done)
		__field(int, result)
		__field(unsigned long long, ns)
	),
	TP_fast_assign(
		__entry->order = order;
		__entry->bits = bits;
		__entry->done = done;
		__entry->result = result;
		__entry->ns = ns;
	),
	TP_printk("order=%u bits=%u done=%lu result=%d ns=%llu", __entry->order,
		  __entry->bits, __entry->done, __entry->result, __entry->ns)
);
#endif

#endif /* _TRACE_XEN_DMA_H */

#include <trace/define_trace.h>
