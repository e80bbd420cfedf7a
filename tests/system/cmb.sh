#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "cmb": an NVMe controller with memory of its own, in which the driver has its queues: what
# the device reads there does not go over the bus.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# is_used: has the driver taken some of that memory?
is_used()
{
	for place in /sys/bus/pci/devices/*/p2pmem; do
		ktap_print_msg "$place: $(cat "$place/available") of $(cat "$place/size") bytes are free"
		[ "$(cat "$place/available")" -lt "$(cat "$place/size")" ] && return 0
	done
	return 1
}

ktap_print_header
ktap_set_plan 5
result memory [ -n "$(cat /sys/class/nvme/nvme0/cmbsz)" ]
result queues is_used
result read read_disk nvme
result write write_disk nvme
result complaints sh -c '! dmesg | grep -e "I/O error" -e BUG: -e WARNING:'
ktap_finished
