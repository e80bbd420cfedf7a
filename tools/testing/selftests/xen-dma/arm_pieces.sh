#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Memory in small pieces, down to single pages: what the device reaches is not bounced.
#
# The cases are in test_modules/xdt_arm_pieces.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# all_bounces: how many mappings were bounced, for whatever reason
all_bounces()
{
	awk '{ n += $2 } END { print n + 0 }' /sys/kernel/debug/xen-dma/bounces
}

# nobody_bounced: since $before was read; on stock nobody counts
nobody_bounced()
{
	[ -r /sys/kernel/debug/xen-dma/bounces ] || return 1
	ktap_print_msg "$(($(all_bounces) - before)) mappings were bounced"
	[ "$(all_bounces)" -eq "$before" ]
}

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_test_result xdt_arm_pieces.nobody_bounced nobody_bounced
}

prepare_arm
before=$(all_bounces 2>/dev/null || true)
run_suite xdt_arm_pieces xdt_arm_pieces 1
