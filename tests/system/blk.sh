#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "blk": a guest reads and writes partitions of dom0's disks, through the block
# backend. Its pages are granted and lie anywhere: those that the disk can't reach are bounced.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# Drivers; the first one's device has 32 address bits.
drivers="ata_piix ahci nvme"
letter_of()
{
	case $1 in ata_piix) echo a ;; ahci) echo b ;; nvme) echo c ;; esac
}

# of_guest NAME WORD CODE: what it prints behind that word
of_guest()
{
	in_guest "$1" 300 "$3" | sed -n "s/^$2 //p"
}

# read_and_write PERSISTENT DRIVER
read_and_write()
{
	guest=blk-$1
	dev=/dev/xvd$(letter_of "$2")
	want=$(medium "$2" 3)
	before=$(bounced)
	work=$(requests "$(disk_of "$2")")
	bytes=$(medium "$2" 2)
	read="bs=1M count=$((bytes >> 20))"
	direct=$(of_guest "$guest" sum "echo sum \$(dd if=$dev $read iflag=direct 2>/dev/null | sha256sum)")
	buffered=$(of_guest "$guest" sum "echo 3 >/proc/sys/vm/drop_caches;
		echo sum \$(dd if=$dev $read 2>/dev/null | sha256sum)" | tr '\n' ' ')
	result "read_direct_$2_persistent_$1" [ "${direct%% *}" = "$want" ]
	result "read_buffered_$2_persistent_$1" [ "${buffered%% *}" = "$want" ]
	# Behind what is read, and each time elsewhere.
	seek=$(((bytes >> 20) + 8 * $1))
	for flag in oflag=direct conv=fsync; do
		in_guest "$guest" 300 "$(write_and_sum "$dev" "$seek" 4 $flag)" >/tmp/said
		result "write_${flag#*=}_$2_persistent_$1" wrote_sum "$2" "$seek" 4 </tmp/said
		seek=$((seek + 4))
	done
	work=$(($(requests "$(disk_of "$2")") - work))
	before=$(($(bounced) - before))
	ktap_print_msg "$2: $work requests, $before mappings bounced"
	[ "$2" != ata_piix ] ||
		result "bounced_$2_persistent_$1" [ "$work" -gt 0 -a "$before" -ge "$work" ]
}

ktap_print_header
ktap_set_plan 32
memory=$(free_pages)
for persistent in 1 0; do
	echo "$persistent" >/sys/module/xen_blkback/parameters/feature_persistent
	disks=
	for name in $drivers; do
		disks="$disks\"phy:/dev/$(part_of "$name"),xvd$(letter_of "$name"),w\", "
	done
	result "guest_persistent_$persistent" create "blk-$persistent" "disk = [ $disks ]"
	for name in $drivers; do
		read_and_write "$persistent" "$name"
	done
	result "destroyed_persistent_$persistent" destroy "blk-$persistent"
	# shellcheck disable=SC2086	# words are wanted
	result "memory_persistent_$persistent" memory_is $memory
done
ktap_finished
