#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device that an IOMMU translates for, as its mark xen,dma-safe says, or the hypervisor or the
# command line of all: guest-physical addresses, as they are.
#
# The cases are in test_modules/xdt_arm_safe.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
! grep -qw xen_dma_offset=translated /proc/cmdline || suite_params=translated=1
run_suite xdt_arm_safe xdt_arm_safe
