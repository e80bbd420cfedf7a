#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device behind an IOMMU that the kernel drives: the generic code has it translate, and
# the IOMMU reports what is past that, and nothing else.
#
# The cases are in test_modules/xdt_arm_iommu.c. XDT_WINDOW=iommu, or the argument
# "iommu", says that there is such an IOMMU.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

case ${1:-${XDT_WINDOW:-}} in
--help)
	echo "usage: arm_iommu.sh [iommu]"
	echo "Without the argument, nor XDT_WINDOW=iommu, it is skipped."
	exit 0
	;;
iommu)
	XDT_WINDOW=iommu
	;;
*)
	skip_all "no IOMMU that the kernel drives"
	;;
esac

# The last case is the one that strays. What the kernel's driver of the SMMU reports:
event='arm-smmu-v3 .*event'

# silent_before: nothing until then
silent_before()
{
	! dmesg | sed '/xdt: stray/,$d' | grep -qE "$event"
}

# reported: something since then
reported()
{
	dmesg | sed -n '/xdt: stray/,$p' | grep -qE "$event"
}

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_test_result xdt_arm_iommu.silent_before silent_before
	ktap_test_result xdt_arm_iommu.reported reported
}

prepare_arm
run_suite xdt_arm_iommu xdt_arm_iommu 2
