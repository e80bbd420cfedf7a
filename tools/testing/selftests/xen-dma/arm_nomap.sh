#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Memory that the device tree sets aside and the kernel does not map, given to a device that
# does not see the caches: in place, or refused with a line.
#
# The cases are in test_modules/xdt_arm_nomap.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	message='xen-dma: memory at .* can.t be bounced: it is set aside'
	ktap_test_result xdt_arm_nomap.says_why [ "$(dmesg | grep -c "$message")" -ge 1 ]
}

prepare_arm
run_suite xdt_arm_nomap xdt_arm_nomap 1
