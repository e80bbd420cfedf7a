// SPDX-License-Identifier: GPL-2.0
/* The driver's tracepoints. */
#define CREATE_TRACE_POINTS
#include <trace/events/xen_dma.h>
