#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device that is too narrow for all that is known, while the driver still asks where memory
# is: it waits until all is known, and is refused only then. To be run first, in a domain
# that is large enough.
#
# The case is in test_modules/xdt_arm_narrow.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# asked_for_it: not all was known, and the device waited for the rest
asked_for_it()
{
	ktap_print_msg "$left pages were not asked about, $((waited - before)) were waited for"
	[ "$left" -gt 0 ] && [ "$waited" -gt "$before" ] && all_asked
}

# more_results: run_suite's hook
more_results()
{
	waited=$(figure_of waited)
	ktap_test_result arm_narrow.asked_for_it asked_for_it
}

load_arm
[ -r "$ranges" ] || skip_all "the driver does not show what it knows"
left=$(figure_of unasked)
before=$(figure_of waited)
run_suite xdt_arm_narrow xdt_arm_narrow 1
