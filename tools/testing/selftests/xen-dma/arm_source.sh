#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Who told where the domain's memory is: XDT_SOURCE or the argument, as the driver shows it
# in debugfs; and the kernel has not complained of what it was told.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

want=${1:-${XDT_SOURCE:-}}
case $want in
--help)
	echo "usage: arm_source.sh [SOURCE]"
	echo "SOURCE is the one that is expected; else XDT_SOURCE is."
	exit 0
	;;
'')
	skip_all "no source is expected"
	;;
esac

prepare_arm
found=$(sed -n 's/^# source //p' /sys/kernel/debug/xen-dma/ranges)
ktap_print_msg "the source is '$found', and should be '$want'"
ktap_print_header
ktap_set_plan 2
ktap_test_result arm_source.source [ "$found" = "$want" ]
message='xen-dma:.*(DMA is refused|could not be verified|error)'
ktap_test_result arm_source.no_complaint \
	[ "$(dmesg | grep -cE -e "$message")" -eq 0 ]
ktap_finished
