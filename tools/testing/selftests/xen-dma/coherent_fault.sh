#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# An exchange with the hypervisor that fails at any of its steps.
#
# The driver has three hooks of the kernel's fault injection: one for each of its
# hypercalls, one for each extent of an exchange, one for what Xen says of an exchange
# that it has done. The n-th one fails, for each n
# until none is left to fail; then all of the domain's memory has to be as sound as
# before. xdt_fault.ko allocates, frees and looks.
cd "$(dirname "$0")" || exit 1
. ./coherent_lib.sh

hands=$debugfs/xdt_fault

# More calls than there can be: how many there were is what has gone from it.
many=1000000

# arm HOOK N: the N-th time is to fail
arm()
{
	echo "$2" >"$driver/$1/space"
	echo 1 >"$driver/$1/times"
}

# disarm HOOK: succeeds when the fault was used
disarm()
{
	read -r times <"$driver/$1/times"
	read -r space <"$driver/$1/space"
	echo 0 >"$driver/$1/times"
	[ "$times" -eq 0 ]
}

# wrong WORDS...: one step of a walk has gone wrong
wrong()
{
	ktap_print_msg "$*"
	broken=$((broken + 1))
}

# expect WHEN ANSWER...: one of these
expect()
{
	when=$1
	shift
	for good in "$@"; do
		[ "$answer" != "$good" ] || return 0
	done
	wrong "$when: $answer"
}

# take_new ORDER: memory that was exchanged, not some that suits by chance
take_new()
{
	while :; do
		arm fail_call "$many"
		ask take "$1"
		disarm fail_call
		expect "allocation without a fault" memory
		[ "$answer" = memory ] || return 1
		taken=$((taken + 1))
		[ "$space" -eq "$many" ] || return 0
	done
}

# give_all: what was taken
give_all()
{
	while [ "$taken" -gt 0 ]; do
		ask give
		expect "freeing without a fault" given
		taken=$((taken - 1))
	done
}

# sound WHEN
sound()
{
	ask look
	expect "$1: the domain's memory" sound
}

# step_take ORDER HOOK: an allocation whose step $n is to fail
step_take()
{
	while :; do
		arm "$2" "$n"
		ask take "$1"
		disarm "$2" && used=0 || used=1
		expect "$2 $n" memory nothing
		[ "$answer" = memory ] || break
		taken=$((taken + 1))
		# What suits by chance took no step; another one will.
		if [ "$used" -eq 0 ] || [ "$space" -ne "$n" ] ||
			[ "$taken" -gt 200 ]; then
			break
		fi
	done
	sound "$2 $n"
	give_all
	empty_cache
}

# step_give ORDER HOOK: giving back, whose step $n is to fail
step_give()
{
	used=1
	take_new "$1" || return
	give_all
	arm "$2" "$n"
	empty_cache
	disarm "$2" && used=0
	sound "$2 $n"
}

# walk KIND ORDER HOOK LEAST STRIDE [MOST]: one result
#
# KIND is take or give. There are LEAST steps at least; a walk that ends before that
# has seen no exchange. There are MOST at most, where large memory is to take few. All
# steps fail in turn at first, but not all of those which a large exchange does many times.
walk()
{
	name=xdt_fault.$1_${2}_${3#fail_}
	broken=0
	taken=0
	n=0
	used=0
	while [ -d "$driver/$3" ] && [ "$used" -eq 0 ] && [ "$broken" -lt 10 ]
	do
		n=$((n + 1 + n / $5))
		case $1 in
		take) step_take "$2" "$3" ;;
		give) step_give "$2" "$3" ;;
		esac
	done
	give_all
	[ "$n" -gt "$4" ] || wrong "$name: only $n steps"
	[ "$n" -le "${6:-$n}" ] || wrong "$name: as many as $n steps"
	ktap_print_msg "$name: $n steps"
	ktap_test_result "$name" [ "$broken" -eq 0 ]
}

# walks ORDER STRIDE STRIDE-OF-EXTENTS [MOST]: allocating, with MOST calls, and giving back, with
# all hooks
walks()
{
	walk take "$1" fail_call 3 "$2" "${4:-}"
	walk take "$1" fail_extent 1 "$2"
	walk take "$1" fail_report 1 "$2"
	walk give "$1" fail_call 3 "$2"
	walk give "$1" fail_extent 1 "$3"
	walk give "$1" fail_report 1 "$3"
}

prepare
need_modules xdt_fault
mark="xdt: xdt_fault starts at $(cut -d' ' -f1 /proc/uptime)"
echo "$mark" >/dev/kmsg
ktap_print_header
ktap_set_plan 34
for hook in fail_call fail_extent fail_report; do
	set_fault "$driver/$hook" verbose 0 interval 1 probability 100 times 0
done
# What all of this needs for the first time is no loss.
broken=0
taken=0
[ ! -d "$driver/fail_call" ] || take_new 12
give_all
remember
ask look

# Order 12 is more than the page allocator's largest block.
walks 0 "$many" "$many"
walks 3 "$many" "$many"
walks 6 "$many" "$many"
# Whole tables of PTEs change hands.
walks 10 "$many" 8 16
walks 12 4 2
unload xdt_fault
log=$(log_since "$mark")
check_memory xdt_fault
ktap_finished
