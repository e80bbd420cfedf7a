#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device tree or a boot parameter that is wrong: one line says what and where,
# and DMA is refused; the kernel has come up all the same, or this would not run.
#
# The cases are in test_modules/xdt_arm_refused.c. The expected line is given as an
# extended regular expression, by XDT_MESSAGE or as the argument.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

message=${1:-${XDT_MESSAGE:-}}
case $message in
--help)
	echo "usage: arm_messages.sh [REGEX]"
	echo "REGEX is of the one line; else XDT_MESSAGE is."
	exit 0
	;;
'')
	skip_all "no message is expected"
	;;
esac

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_test_result xdt_arm_messages.one_line one_line
}

prepare_arm
run_suite xdt_arm_refused xdt_arm_refused 1
