#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "balloon": xl takes memory from dom0 and gives it back, while all disks are read.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# set_while_reading MIB
set_while_reading()
{
	set_memory "$1" && a_round_each
}

ktap_print_header
ktap_set_plan 11
full=$(($(cat $balloon/info/current_kb) >> 10))
memory=$(free_pages)
read_all_on
result at_work a_round_each
for round in 1 2 3; do
	result "down_$round" set_while_reading $((full / 2))
	result "up_$round" set_while_reading "$full"
done
: >/tmp/stop
wait
for name in $(disks); do
	result "data_$name" all_right "$name"
done
ktap_print_msg "Xen had $memory and has $(free_pages)"
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
