#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What debugfs and the tracepoints tell of a device is what was mapped for it.
#
# test_modules/xdt_fault.c maps and allocates.
cd "$(dirname "$0")" || exit 1
. ./coherent_lib.sh

traces=/sys/kernel/tracing
events=$traces/events/xen_dma
hands=$debugfs/xdt_fault

trace_on()
{
	[ -e "$traces/trace" ] || mount -t tracefs none "$traces" || return 1
	[ -w "$events/enable" ] && : >"$traces/trace" && echo 1 >"$events/enable"
}

trace_off()
{
	[ ! -w "$events/enable" ] || echo 0 >"$events/enable"
}

# traced EVENT WORDS: how many there were, with these words
traced()
{
	grep "xen_dma_$1: " "$traces/trace" | grep -c -e "$2"
}

# figures: the device's slots, and its mappings and bytes because of the mask
figures()
{
	awk -v name="$device" '$1 == name && $4 == "present" {
			for (i = 6; i < NF; i += 3) if ($i == "mask") {
				mappings = $(i + 1); bytes = $(i + 2)
			}
			print $5, mappings + 0, bytes + 0; found = 1
		}
		END { if (!found) print 0, 0, 0 }' "$driver/devices"
}

# counted: ten pages and 64 KiB, while they are mapped and afterwards
counted()
{
	[ -r "$driver/devices" ] || return 1
	echo map >"$hands"
	device=$(sed -n 's/^mapped //p' "$hands")
	[ -n "$device" ] || { ktap_print_msg "$(cat "$hands")"; return 1; }
	held=$(figures)
	echo unmap >"$hands"
	after=$(figures)
	echo map >"$hands"
	again=$(figures)
	echo unmap >"$hands"
	ktap_print_msg "$device: $held; $after; $again"
	# shellcheck disable=SC2086	# words are wanted
	set -- $held $after $again
	[ "$1" -eq 52 ] && [ "$4" -eq 0 ] && [ "$7" -eq 52 ] &&
		[ "$5" -eq "$2" ] && [ "$6" -eq "$3" ] &&
		[ $(($8 - $5)) -eq 11 ] && [ $(($9 - $6)) -eq 106496 ]
}

# each_ended: as often as that
each_ended()
{
	[ -n "${device:-}" ] || return 1
	ktap_print_msg "$(traced map "$device mask") mapped, $(traced unmap "$device") ended"
	[ "$(traced map "$device mask")" -eq 22 ] &&
		[ "$(traced unmap "$device")" -eq "$(traced map "$device")" ]
}

# sums_agree: of the reasons, over all devices, with what is told of all
sums_agree()
{
	awk 'FNR == 1 { file++ }
		file == 1 { for (i = 6; i < NF; i += 3) sum[$i] += $(i + 1) }
		file == 2 && sum[$1] != $2 + 0 { print "# " $1 ": " sum[$1] + 0 " " $2; bad = 1 }
		END { exit bad || file != 2 }' "$driver/devices" "$driver/bounces"
}

# slots_agree: nothing is lost of the aperture's slots
slots_agree()
{
	awk '{ n[$1] = $2 }
		END {
			used = n["mapped"] + n["coherent"] + n["kept"]
			exit !(n["slots"] > 0 && n["free"] + used == n["slots"])
		}' "$driver/usage"
}

# exchanged: memory for a device, which Xen gives in one piece; it is counted and traced
exchanged()
{
	# None that was kept will do.
	empty_cache
	calls=$(awk '$1 == 11 { print $2 }' "$driver/exchanges")
	echo take 11 >"$hands"
	grep -q '^memory' "$hands" || return 1
	echo give >"$hands"
	[ "$(awk '$1 == 11 { print $2 }' "$driver/exchanges")" -gt "${calls:-0}" ] &&
		[ "$(traced exchange 'order=11 .* done=1 result=0')" -gt 0 ]
}

prepare
need_modules xdt_fault
ktap_print_header
ktap_set_plan 5
# The search maps much, if memory is in pieces: it would fill the trace.
echo find >"$hands"
ktap_print_msg "$(cat "$hands")"
trap trace_off EXIT
trace_on || true
ktap_test_result xdt_figures.device counted
ktap_test_result xdt_figures.traced each_ended
ktap_test_result xdt_figures.sums wait_until 5 sums_agree
ktap_test_result xdt_figures.slots wait_until 5 slots_agree
ktap_test_result xdt_figures.exchanges exchanged
unload xdt_fault
ktap_finished
