#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A domain that is not mapped 1:1, and a device of which nobody says that it is unprotected:
# Xen is not asked where memory is, and one line tells what the device was taken for.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
ktap_print_header
ktap_set_plan 2
message="$(edu_device): xen-dma: left to the generic DMA code.* xen,dma-unprotected"
ktap_test_result arm_unsaid.one_line one_line
message='xen-dma: probed'
ktap_test_result arm_unsaid.not_probed [ "$(dmesg | grep -c "$message")" -eq 0 ]
ktap_finished
