#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device that an IOMMU of the kernel's own serves: it does without the driver.
#
# The cases are in test_modules/xdt_iommu.c, which is that IOMMU too.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

[ -d /sys/class/iommu ] || skip_all "the kernel has no IOMMU support"
run_suite xdt_iommu xdt_iommu
