#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Memory that is scattered in the machine is put together when somebody is bounced for it.
#
# The balloon scatters the domain's memory, xdt_defrag.ko maps blocks of all sizes
# for a device that reaches all memory, and the driver's worker is waited for until
# it says that it has nothing to do. Then no block may be copied any more, and nothing
# else may have changed; with faults in between, too, and while the balloon, the shrinkers and
# whoever runs out of memory are at work. Extents of 32 KiB must not cost the host
# its large ones.
#
# XDT_ORDER is that of the extents that may be made.
cd "$(dirname "$0")" || exit 1
. ./coherent_lib.sh

hands=$debugfs/xdt_defrag

# is_done: is nothing copied that can be helped?
is_done()
{
	none_copied && large_done
}

# has_large: Xen's extents of 2 MiB, as many as dom0 could get if it might; in $answer
has_large()
{
	allowed=$(./xdt_xen allowed 0)
	./xdt_xen allow 0 $((1 << 40)) >/dev/null
	ask large
	./xdt_xen allow 0 "$allowed" >/dev/null
	case $answer in
	wrong*)
		ktap_print_msg "$answer"
		wrong=1
		answer=0
		;;
	esac
}

# large_left: small ones have cost Xen a fiftieth of its large ones at most; it has some, and
# all are counted
large_left()
{
	[ "$there" -gt 100 ] && [ "$there" -lt 4096 ] &&
		{ [ "$order" -gt 3 ] || [ "$left" -ge $((there - there / 50)) ]; }
}

# larger_calls: exchanges for extents that are larger than may be made. Those of 2 MiB and more may
# be the aperture's.
larger_calls()
{
	awk -v order="$order" '$1 > order && $1 < 9 { n += $2 } END { print n + 0 }' \
		"$driver/exchanges"
}

# large_done: nothing large is copied
large_done()
{
	[ "$order" -lt 9 ] || [ "$large" -eq 0 ]
}

# run_out: somebody wants all memory there is, and is killed for it
run_out()
{
	sh -c 'echo 1000 >/proc/self/oom_score_adj; exec tail /dev/zero' 2>/dev/null
}

# run_out_while_working
run_out_while_working()
{
	scatter_memory
	map_blocks $last
	wait_until 120 working && ! run_out
}

# under_load: everybody who takes memory, and who gives it back, while it is put together
under_load()
{
	had=$(told exchanged)
	keep_empty &
	shrinking=$!
	run_out_while_working && run_out_while_working
	kill $shrinking
	wait_until 300 idle
	ktap_print_msg "exchanged meanwhile: $(($(told exchanged) - had))"
}

# is_whole: nearly each free block of 32 KiB is in one piece. All are looked at, those that nobody
# was bounced for, too; that shows them to the worker anew, so it is the last look
is_whole()
{
	ask whole 3
	ktap_print_msg "$answer of 1000 blocks of 32 KiB are in one piece"
	[ "$answer" -ge 990 ]
}

# killed: how many ran out of memory
killed()
{
	log_since "$mark" | grep -c '^Out of memory: Killed process [0-9]* (tail)'
}

prepare
[ -r "$driver/defrag" ] || skip_all "the driver has no such worker"
need_modules xdt_defrag
order=${XDT_ORDER:-9}
# Orders up to 4 are small ones, if extents may be as large.
last=$((order < 4 ? order : 4))
wrong=0
total=0
mark="xdt: xdt_defrag starts at $(cut -d' ' -f1 /proc/uptime)"
echo "$mark" >/dev/kmsg
ktap_print_header
ktap_set_plan $((21 + (order < 8)))

ask hold
ktap_test_result xdt_defrag.hold [ "$answer" = held ]
ask look
wait_until 300 idle || :
remember
had=$(told exchanged)
larger=$(larger_calls)
scatter_kib=$((1 << 20))
scatter_memory
scatter_kib=
has_large
there=$answer
map_blocks $last
scattered=${small:-0}
settle_blocks 300 $last is_done
has_large
left=$answer
ktap_print_msg "Xen had $there extents of 2 MiB, and has $left"
ktap_test_result xdt_defrag.scattered [ "$scattered" -gt 0 -a "$total" -gt 1000 ]
ktap_test_result xdt_defrag.exchanged [ "$(told exchanged)" -gt "$had" ]
ktap_test_result xdt_defrag.small [ "${small:-1}" -eq 0 ]
ktap_test_result xdt_defrag.large large_done
ktap_test_result xdt_defrag.large_left large_left
ktap_test_result xdt_defrag.device_sees [ "$wrong" -eq 0 ]
ktap_test_result xdt_defrag.sound is_sound

under_load
ktap_test_result xdt_defrag.under_load [ "$(told exchanged)" -gt "$had" ]
ktap_test_result xdt_defrag.ran_out [ "$(killed)" -ge 2 ]
ktap_test_result xdt_defrag.waited [ "$(told waited)" -gt 0 ]
ktap_test_result xdt_defrag.whole is_whole
ktap_test_result xdt_defrag.sound_after_load is_sound
ktap_test_result xdt_defrag.device_sees_after_load [ "$wrong" -eq 0 ]

# Any step may fail, and memory is sound all the same.
for hook in fail_call fail_extent fail_report; do
	set_fault "$driver/$hook" verbose 0 interval 1 space 0 probability 20 times 1000000
done
had=$(told none)
scatter_memory
map_blocks $last
wait_until 120 "[ \"\$(told none)\" -gt $had ]" || :
wait_until 300 idle || :
no_faults
ktap_test_result xdt_defrag.failed [ "$(told none)" -gt "$had" ]
ktap_test_result xdt_defrag.sound_after_faults is_sound
ktap_test_result xdt_defrag.device_sees_after_faults [ "$wrong" -eq 0 ]

if [ "$order" -lt 8 ]; then
	larger=$(($(larger_calls) - larger))
	ktap_print_msg "exchanges for extents larger than allowed: $larger"
	ktap_test_result xdt_defrag.order [ "$larger" -eq 0 ]
fi

# That somebody ran out of memory is told at length.
log=$(log_since "$mark" | sed -e '/invoked oom-killer/,/^Mem-Info:/d' \
	-e '/^tail: page allocation failure/,/^Mem-Info:/d')
sed 's/^/# /' "$driver/defrag"
# Where kmemleak takes down each allocation, some slabs of that stay.
slack=128
[ ! -e "$debugfs/kmemleak" ] || slack=512
check_memory xdt_defrag "$slack"
unload xdt_defrag
ktap_finished
