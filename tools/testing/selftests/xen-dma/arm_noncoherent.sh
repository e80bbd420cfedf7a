#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device that does not see the caches: no neighbour's byte is lost, and foreign
# pages are cleaned by the hypervisor.
#
# The cases are in test_modules/xdt_arm_noncoherent.c, which tells how many foreign
# pages it has mapped. The driver's counters have to have risen with that.

# check() calls the functions by name.
# shellcheck disable=SC2317

cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

caches=/sys/kernel/debug/xen-dma/caches

# counter NAME: one of the driver's; 0 when it has none
counter()
{
	n=$(sed -n "s/^$1 //p" "$caches" 2>/dev/null)
	echo "${n:-0}"
}

# is_flushed: each page once when it was mapped, perhaps again when it was unmapped
is_flushed()
{
	say "$mapped foreign pages were mapped, $flushed cleaned"
	[ "$mapped" -gt 0 ] && [ "$flushed" -ge "$mapped" ] &&
		[ "$flushed" -le $((2 * mapped)) ]
}

# none_failed: and the counter is there
none_failed()
{
	[ -r "$caches" ] && [ "$(counter failed)" -eq 0 ]
}

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	flushed=$(($(counter flushed) - before))
	case $log in
	*"granted # SKIP"*)
		result skip xdt_arm_noncoherent.flushed "the device is coherent"
		result skip xdt_arm_noncoherent.none_failed \
			"the device is coherent"
		return
		;;
	esac
	mapped=$(echo "$log" |
		sed -n 's/.*xdt: foreign pages mapped: \([0-9]*\).*/\1/p')
	mapped=${mapped:-0}
	check xdt_arm_noncoherent.flushed is_flushed
	check xdt_arm_noncoherent.none_failed none_failed
}

prepare_arm
before=$(counter flushed)
run_suite xdt_arm_noncoherent xdt_arm_noncoherent 2
