#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# DMA past the API, at addresses that the device has no business at: an IOMMU of the
# hypervisor's stops it, and data goes on to arrive where it should.
#
# The cases are in test_modules/xdt_arm_stray.c. That the hypervisor reports each of
# them, and nothing else, is for whoever reads its console to see. Without an IOMMU the
# strays would hit other domains' memory: XDT_STRAY=1, or the argument "stray", says that
# there is one.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

case ${1:-${XDT_STRAY:-}} in
--help)
	echo "usage: arm_stray.sh [stray]"
	echo "Without the argument, nor XDT_STRAY=1, it is skipped."
	exit 0
	;;
stray|1)
	;;
*)
	skip_all "nobody says that an IOMMU stops strays"
	;;
esac

prepare_arm
run_suite xdt_arm_stray xdt_arm_stray
