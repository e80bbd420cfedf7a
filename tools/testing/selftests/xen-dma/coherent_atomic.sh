#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Coherent memory that is allocated in interrupts.
#
# The cases are in test_modules/xdt_atomic.c. The driver's counters have to say
# that there were exchanges first, when it had nothing, and none the second time.
cd "$(dirname "$0")" || exit 1
. ./coherent_lib.sh

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_print_msg "exchanged: $made and $(counter made), kept: $hits and $(counter hits)"
	ktap_test_result xdt_atomic.from_xen [ "$(counter made)" -gt "$made" ]
	ktap_test_result xdt_atomic.from_cache [ "$(counter hits)" -gt "$hits" ]
	ktap_test_result xdt_atomic.quiet quiet
}

prepare
empty_cache
made=$(counter made)
hits=$(counter hits)
run_suite xdt_atomic xdt_atomic 3
