/* SPDX-License-Identifier: GPL-2.0 */
/* Exchanges with the hypervisor: how many, and how long they took. See exchange-stats.c. */
#ifndef __XEN_DMA_EXCHANGE_STATS_H
#define __XEN_DMA_EXCHANGE_STATS_H

struct seq_file;

void xen_exchanges_show(struct seq_file *s);

#endif /* __XEN_DMA_EXCHANGE_STATS_H */
