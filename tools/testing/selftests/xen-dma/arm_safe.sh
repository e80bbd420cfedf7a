#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device that an IOMMU translates for, as its mark xen,dma-safe says, or the hypervisor or the
# command line of all: guest-physical addresses, as they are. XDT_TRANSLATED=1 tells that the
# hypervisor says it when it is asked.
#
# The cases are in test_modules/xdt_arm_safe.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
if [ -n "${XDT_TRANSLATED:-}" ] ||
		grep -qw xen_dma_offset=translated /proc/cmdline; then
	suite_params=translated=1
fi
run_suite xdt_arm_safe xdt_arm_safe
