#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Nothing is lost in thousands of random allocations, of which some fail half-way.
#
# The cases are in test_modules/xdt_conserve.c; in XDT_SEED is the seed of a run
# that is to be repeated. Afterwards domain, hypervisor and kernel have to have as
# much memory as before.
cd "$(dirname "$0")" || exit 1
. ./coherent_lib.sh

# More faults than there can be; the hooks count down from it.
many=1000000

# insmod MODULE: that of the cases with faults
insmod()
{
	case $1 in
	*xdt_conserve.ko)
		for hook in fail_call fail_extent fail_report; do
			set_fault "$driver/$hook" verbose 0 interval 1 space 0 \
				probability 3 times "$many"
		done
		keep_empty &
		shrinking=$!
		command insmod "$1"
		status=$?
		kill "$shrinking"
		return "$status"
		;;
	*)
		command insmod "$1"
		;;
	esac
}

# hit HOOK: how many faults there were
hit()
{
	times=$many
	[ ! -r "$driver/$1/times" ] || read -r times <"$driver/$1/times"
	echo $((many - times))
}

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	calls=$(hit fail_call)
	extents=$(hit fail_extent)
	no_faults
	ktap_print_msg "$calls calls and $extents extents have failed"
	ktap_test_result xdt_conserve.calls_failed [ "$calls" -gt 0 ]
	ktap_test_result xdt_conserve.extents_failed [ "$extents" -gt 0 ]
	check_memory xdt_conserve
}

prepare
remember
echo "${XDT_SEED:-0}" >/sys/module/xdt_memory/parameters/seed
run_suite xdt_conserve xdt_conserve 6
