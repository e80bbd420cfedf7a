/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For linux/of.h under User Mode Linux, which has no device tree: what reads a
 * property's cells, for tests that make properties.
 */
#ifndef __XEN_DMA_UML_OF_H
#define __XEN_DMA_UML_OF_H

#include_next <linux/of.h>

#ifndef CONFIG_OF
/* A number of @cells cells, the highest first; of more than two the last two. */
static inline u64 of_read_number(const __be32 *cell, int cells)
{
	u64 number = 0;

	while (cells-- > 0)
		number = number << 32 | be32_to_cpup(cell++);
	return number;
}
#endif

#endif /* __XEN_DMA_UML_OF_H */
