#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "hotplug": xl gives dom0 more memory than it was booted with; a disk is read into a
# buffer that is larger than what there was before.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# read_at_once DRIVER: all of it, into one buffer
read_at_once()
{
	[ "$(read_once "$1" "$(medium "$1" 2)")" = "$(medium "$1" 3)" ] && return 0
	ktap_print_msg "$(grep -e MemTotal -e MemFree /proc/meminfo | tr '\n' ' '), $(cat "/tmp/dd-$1")"
	return 1
}

ktap_print_header
ktap_set_plan 5
boot=$(($(cat $balloon/info/current_kb) >> 10))
ktap_print_msg "booted with $boot MiB, disks have $(($(medium ahci 2) >> 20))"
result larger_than_boot [ $(($(medium ahci 2) >> 20)) -gt "$boot" ]
result up set_memory $((3 * boot))
result read_ahci read_at_once ahci
result read_nvme read_at_once nvme
result down_again set_memory "$boot"
ktap_finished
