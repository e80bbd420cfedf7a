#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# DMA past the API, at addresses that the device has no business at: an IOMMU of the
# hypervisor's stops it, and data goes on to arrive where it should.
#
# The cases are in test_modules/xdt_stray.c. Coherent memory goes back to the hypervisor
# when it is freed where none is kept (xen_dma.coherent_cache=0). That the hypervisor reports
# each stray, and nothing else, is for whoever reads its console to see. Without an IOMMU they
# would hit other domains' memory: XDT_STRAY=1 says that there is one.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

[ "${XDT_STRAY:-}" = 1 ] || skip_all "nobody says that an IOMMU stops strays"
run_suite xdt_stray xdt_stray
