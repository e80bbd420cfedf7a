#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "nvme": a controller that takes requests of any size.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# All that is read of a disk goes into one buffer.
large=$((24 << 20))

# kib_of DISK NAME: of its queue's
kib_of()
{
	cat "/sys/block/$1/queue/$2"
}

# read_large NAME: as few requests as the disk takes. What its hardware takes is more than the block
# layer's default.
read_large()
{
	disk=$(disk_of "$1")
	kib_of "$disk" max_hw_sectors_kb >"/sys/block/$disk/queue/max_sectors_kb"
	before=$(requests "$disk")
	sum=$(read_once "$1" $large)
	before=$(($(requests "$disk") - before))
	ktap_print_msg "$1: $(kib_of "$disk" max_hw_sectors_kb) KiB at most," \
		"$(($(medium "$1" 2) / before >> 10)) KiB on average"
	[ "$sum" = "$(medium "$1" 3)" ]
}

ktap_print_header
ktap_set_plan 5
# The controllers of other steps take 512 KiB.
result limit [ "$(kib_of "$(disk_of nvme)" max_hw_sectors_kb)" -gt 512 ]
result read read_disk nvme
result read_large read_large nvme
result write write_disk nvme
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
