#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Real devices: every SATA, IDE, SCSI and NVMe disk is read from end to end.
#
# Twice past the page cache, in blocks of different sizes: the same bytes each
# time. Arguments NAME:SHA256 (KSELFTEST_DISK_READ_SH_ARGS with the stock
# runner) say what they have to be, and that this disk has to be there.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

disks=
for disk in /sys/block/sd* /sys/block/hd* /sys/block/nvme*n*; do
	[ -r "$disk/size" ] || continue
	[ "$(cat "$disk/size")" -gt 0 ] || continue
	[ -e "/dev/${disk##*/}" ] || continue
	disks="$disks ${disk##*/}"
done
for arg in "$@"; do
	case "$disks " in
	*" ${arg%%:*} "*) ;;
	*) disks="$disks ${arg%%:*}" ;;
	esac
done
[ -n "$disks" ] || skip_all "no disk"

# sum DISK BLOCK-SIZE: checksum of all its bytes, none from the page cache
sum()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	dd if="/dev/$1" bs="$2" iflag=direct 2>/dev/null | sha256sum |
		cut -d' ' -f1
}

# expected DISK
expected()
{
	for arg in $args; do
		[ "${arg%%:*}" != "$1" ] || echo "${arg#*:}"
	done
}

args=$*
sums=$#
# shellcheck disable=SC2086 # one word per disk
set -- $disks
ktap_print_header
ktap_set_plan $(($# + sums))
nothing=$(: | sha256sum | cut -d' ' -f1)
for disk in "$@"; do
	first=$(sum "$disk" 1M)
	second=$(sum "$disk" 64K)
	want=$(expected "$disk")
	ktap_print_msg "$disk: $first, then $second, expected ${want:-anything}"
	ktap_test_result "disk_read.twice_$disk" \
		[ "$first" != "$nothing" -a "$first" = "$second" ]
	[ -z "$want" ] ||
		ktap_test_result "disk_read.sum_$disk" [ "$first" = "$want" ]
done
ktap_finished
