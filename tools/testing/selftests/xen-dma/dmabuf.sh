#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A buffer of a dma-buf heap, shared by user space and a device, with synchronisation between:
# of the system's heap, and of the driver's own heap of low memory, which needs no copies.
#
# xdt_dmabuf_user does the looking, on the character device of xdt_dmabuf.ko.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

need_edu
[ -c /dev/dma_heap/system ] || skip_all "no heap of dma-bufs (CONFIG_DMABUF_HEAPS_SYSTEM, devtmpfs)"
need_modules xdt_edu xdt_dmabuf
./xdt_dmabuf_user /dev/xdt_dmabuf "$(basename "$device")"
status=$?
unload xdt_dmabuf
exit "$status"
