#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A domain of which nobody says where its memory is: all DMA is refused, and the
# kernel says so once for the device.
#
# The cases are in test_modules/xdt_arm_refused.c. To be run where that is so:
# XDT_BED=refused, or the argument "refused", says it.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

case ${1:-${XDT_BED:-}} in
--help)
	echo "usage: arm_refused.sh [refused]"
	echo "Without the argument, nor XDT_BED=refused, it is skipped."
	exit 0
	;;
refused)
	;;
*)
	skip_all "this bed's devices are served"
	;;
esac

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_test_result xdt_arm_refused.one_message one_line
}

prepare_arm
message="$(edu_device).*DMA refused"
run_suite xdt_arm_refused xdt_arm_refused 1
