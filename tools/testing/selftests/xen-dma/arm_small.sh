#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Memory in pieces so small that the aperture is made of such: what is no larger is bounced
# where it has to be.
#
# The cases are in test_modules/xdt_arm_small.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# bounces: of mappings that were bounced, how often for which reason
bounces()
{
	awk '{ print $1 "=" $2 }' /sys/kernel/debug/xen-dma/bounces
}

# were_bounced REASON...: since $before was read
were_bounced()
{
	for reason in "$@"; do
		old=$(echo "$before" | sed -n "s/^$reason=//p")
		new=$(bounces | sed -n "s/^$reason=//p")
		ktap_print_msg "$reason: $((new - old)) mappings were bounced"
		[ "$new" -gt "$old" ] || return 1
	done
}

# said: the line that tells of the pieces, once
said()
{
	message='xen-dma: aperture [0-9.]+ [KM]iB in pieces of [0-9.]+ KiB' one_line
}

# more_results: run_suite's hook
more_results()
{
	ktap_test_result arm_small.were_bounced were_bounced straddle mask moved
	ktap_test_result arm_small.said said
}

prepare_arm
[ -r "$ranges" ] || skip_all "the driver does not show what it knows"
before=$(bounces)
run_suite xdt_arm_small xdt_arm_small 2
