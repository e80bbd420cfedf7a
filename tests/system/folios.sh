#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "folios": a file is read through the page cache, in folios as large as XFS has them, from a disk
# that reaches all memory. On fresh memory, on memory that is scattered, and when it has been
# put together again; then nothing may be copied, and a MiB cost what it did at first. A
# nanosecond is an instruction in this step.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

events=/sys/kernel/tracing/events
mib=$(($(medium file 2) >> 20))

# mounted: the file, with reads ahead as large as they come
mounted()
{
	mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
	mkdir -p /mnt
	said mount -t xfs -o ro /dev/nvme0n1 /mnt && echo 4096 >/sys/block/nvme0n1/queue/read_ahead_kb &&
		echo 16384 >/sys/kernel/tracing/buffer_size_kb
}

# traced EVENT...: from now on, and nothing else
traced()
{
	echo 0 >/sys/kernel/tracing/events/enable
	echo >/sys/kernel/tracing/trace
	for event in "$@"; do
		echo 1 >"$events/$event/enable"
	done
}

# copied: bytes, for the disk; stock's driver has but an event
copied()
{
	if [ -r "$driver/devices" ]; then
		awk '$2 == "nvme" { for (i = 8; i <= NF; i += 3) n += $i } END { print n + 0 }' "$driver/devices"
	else
		awk '/swiotlb_bounced/ { sub(/.*size=/, ""); n += $1 } END { print n + 0 }' /sys/kernel/tracing/trace
	fi
}

# read_fixed NAME: the file, with io_uring, past the page cache; is it right, and $copied bytes of it were
read_fixed()
{
	if [ -r "$driver/devices" ]; then traced; else traced swiotlb/swiotlb_bounced; fi
	before=$(copied)
	/system/bin/fixed /mnt/data 2 2>/tmp/said | sha256sum >/tmp/fixed
	copied=$(($(copied) - before))
	ktap_print_msg "$1: $((copied >> 10)) of $((2 * mib << 10)) KiB copied $(cat /tmp/said)"
	[ "$(cut -d' ' -f1 /tmp/fixed)" = "$(medium file 3)" ]
}

# read_file NAME: $copied bytes of it were, and a MiB cost $cost
read_file()
{
	echo 3 >/proc/sys/vm/drop_caches
	if [ -r "$driver/devices" ]; then traced; else traced swiotlb/swiotlb_bounced; fi
	before=$(copied)
	cost=$(/kselftest/xen-dma/xdt_xen time 0)
	dd if=/mnt/data of=/dev/null bs=1M 2>/dev/null
	cost=$((($(/kselftest/xen-dma/xdt_xen time 0) - cost) / mib))
	copied=$(($(copied) - before))
	ktap_print_msg "$1: $((copied >> 10)) of $((mib << 10)) KiB copied, $cost instructions for a MiB"
}

# cheapest NAME: of several times, for there is always something else; $copied is that of all
cheapest()
{
	least=
	sum=0
	for time in first second third fourth; do
		read_file "$1, $time"
		[ -n "$least" ] && [ "$least" -lt "$cost" ] || least=$cost
		sum=$((sum + copied))
	done
	copied=$sum
}

# orders: how many folios of each size there were
orders()
{
	echo 3 >/proc/sys/vm/drop_caches
	traced filemap/mm_filemap_add_to_page_cache
	dd if=/mnt/data of=/dev/null bs=1M 2>/dev/null
	sed -n 's/.*order=\([0-9]*\).*/order \1/p' /sys/kernel/tracing/trace | sort | uniq -c | tr -s ' \n' ' '
}

# is_right: what is read is what the host knows
is_right()
{
	[ "$(sha256sum </mnt/data | cut -d' ' -f1)" = "$(medium file 3)" ]
}

# settle: read until nothing is copied in four reads, three minutes at most. What is read is free in
# between; what somebody used meanwhile may come later
settle()
{
	for round in 1 2 3 4 5 6 7 8 9 10 11 12; do
		[ ! -r "$driver/defrag" ] || wait_until 60 idle
		cheapest "round $round"
		[ "$copied" -gt 0 ] || return 0
		echo 3 >/proc/sys/vm/drop_caches
		sleep 15
	done
	return 1
}

ktap_print_header
ktap_set_plan 10
result mounted mounted
ktap_print_msg "folios: $(orders)"
read_file warm
cheapest fresh
fresh=$least
result scattered scatter_all
ktap_print_msg "folios: $(orders)"
read_file scattered
result copied [ "$copied" -gt 0 ]
result right_copies is_right
# A task's fixed buffers are single pages: a PV domain has no huge ones.
result fixed_right read_fixed 'fixed buffers, scattered'
result fixed_in_place [ "$copied" -eq 0 ]
result none_copied settle
[ ! -r "$driver/defrag" ] || sed 's/^/# /' "$driver/defrag"
result as_cheap [ $((least * 100)) -le $((fresh * 102)) ]
result right is_right
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
