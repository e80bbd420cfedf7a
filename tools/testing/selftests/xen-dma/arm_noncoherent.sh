#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device that does not see the caches: no neighbour's byte is lost, and nothing
# that the hypervisor was asked for has failed.
#
# The cases are in test_modules/xdt_arm_noncoherent.c. Pages of ours that are mapped
# as foreign ones are still ours by their address, so whether foreign pages are cleaned
# is for arm_foreign_dom.sh to see.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_test_result xdt_arm_noncoherent.none_failed none_failed
}

prepare_arm
! is_coherent || skip_all "the device is coherent"
run_suite xdt_arm_noncoherent xdt_arm_noncoherent 1
