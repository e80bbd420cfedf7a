#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A bus that sees the machine through windows (dma-ranges): each address leads through
# them to the right memory; a mask that none leads below is refused, in one line.
#
# The cases are in test_modules/xdt_arm_windows.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# one_line_each: each refused mask has a line that says why, and there is no other
# complaint of a bus that leads nowhere
one_line_each()
{
	refused=$(echo "$log" | sed -n 's/.*xdt: refused: //p')
	why="the bus leads to none of the domain.s memory below it"
	lines=$(echo "$log" | sed '/^ *\(not \)\{0,1\}ok 1 masks/q' | grep -c \
		"xdt_edu.*xen-dma: mask 0x[0-9a-f]* is refused: $why")
	ktap_print_msg "$refused masks were refused, in $lines lines"
	[ -n "$refused" ] && [ "$lines" -eq "$refused" ]
}

# bounces REASON: how many mappings were bounced for it, since boot
bounces()
{
	sed -n "s/^$1 //p" /sys/kernel/debug/xen-dma/bounces 2>/dev/null
}

# none_moved: memory that no window leads to has not moved
none_moved()
{
	[ -n "$moved" ] && [ "$(bounces moved)" = "$moved" ]
}

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_test_result xdt_arm_windows.one_line_each one_line_each
	ktap_test_result xdt_arm_windows.none_moved none_moved
}

prepare_arm
moved=$(bounces moved)
run_suite xdt_arm_windows xdt_arm_windows 2
