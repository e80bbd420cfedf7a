#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Real devices, as deep as they go: disks that are read all at once.
#
# Each disk has requests as large as it takes (max_hw_sectors_kb), and as many as it
# has slots for; more readers than that see to it. What is read has to be right, and
# no command may fail, for a disk that finds no room to bounce is to wait for it.
# Arguments NAME:SHA256 (KSELFTEST_DISK_DEPTH_SH_ARGS with the stock runner) say
# which disks, and what is on them, be it in another order: the kernel looks for disks
# side by side.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

readers=8
[ $# -gt 0 ] || skip_all "no disk"

# many_readers DISK: read it all, several times at once
many_readers()
{
	i=0
	while [ $((i += 1)) -le $readers ]; do
		dd if="/dev/$1" of=/dev/null bs=16M iflag=direct 2>/dev/null &
	done
}

# is_expected SHA256 NAME:SHA256...
is_expected()
{
	sum=$1
	shift
	for arg in "$@"; do
		[ "$sum" != "${arg#*:}" ] || return 0
	done
	return 1
}

ktap_print_header
ktap_set_plan $(($# + 2))
work=$(mktemp -d)
dmesg >"$work/before"
for arg in "$@"; do
	disk=${arg%%:*}
	queue=/sys/block/$disk/queue
	cat "$queue/max_hw_sectors_kb" >"$queue/max_sectors_kb"
	ktap_print_msg "$disk: requests of $(cat "$queue/max_sectors_kb") KiB," \
		"$(cat "/sys/block/$disk/device/queue_depth") at a time"
done
for arg in "$@"; do
	many_readers "${arg%%:*}"
done
for arg in "$@"; do
	disk=${arg%%:*}
	dd if="/dev/$disk" bs=16M iflag=direct 2>/dev/null | sha256sum |
		cut -d' ' -f1 >"$work/$disk" &
done
wait
for arg in "$@"; do
	disk=${arg%%:*}
	ktap_print_msg "$disk: $(cat "$work/$disk")"
	ktap_test_result "disk_depth.sum_$disk" \
		is_expected "$(cat "$work/$disk")" "$@"
done
ktap_test_result disk_depth.all_disks \
	[ "$(cat "$work"/sd* | sort -u | wc -l)" = $# ]
errors=$(dmesg | tail -n +$(($(wc -l <"$work/before") + 1)) |
	grep -c -e 'I/O error' -e 'failed command' -e 'no room')
ktap_print_msg "$errors complaints"
ktap_test_result disk_depth.no_error [ "$errors" = 0 ]
rm -rf "$work"
ktap_finished
