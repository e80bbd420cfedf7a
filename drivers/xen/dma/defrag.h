/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Free memory is put together in the machine; see defrag.c. Who asks for it is counted in
 * defrag-demand.c.
 */
#ifndef __XEN_DMA_DEFRAG_H
#define __XEN_DMA_DEFRAG_H

#include <linux/types.h>

struct seq_file;

void xen_defrag_call(void (*call)(void));
void xen_defrag_rearm(void);
unsigned long xen_straddled(unsigned int order);

#ifdef CONFIG_XEN_DMA_DEFRAG
void xen_defrag_moved(void);
void xen_defrag_show(struct seq_file *s);
#else
static inline void xen_defrag_moved(void)
{
}
#endif

#endif /* __XEN_DMA_DEFRAG_H */
