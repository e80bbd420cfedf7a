#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "balloon": xl takes memory from dom0 and gives it back, while all disks are read.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

drivers="ata_piix ahci nvme"

# read_on DRIVER: over and over until /tmp/stop is there; a line for each round
read_on()
{
	while [ ! -e /tmp/stop ]; do
		read_once "$1" $((4 << 20)) >>"/tmp/rounds-$1"
	done
}

rounds()
{
	wc -l <"/tmp/rounds-$1"
}

# a_round_each: every disk was read whole since now
a_round_each()
{
	for name in $drivers; do
		# One may have been under way.
		old=$(($(rounds "$name") + 2))
		wait_until 120 "[ \$(rounds $name) -ge $old ]" || return 1
	done
}

# set_while_reading MIB
set_while_reading()
{
	set_memory "$1" && a_round_each
}

all_right()
{
	wrong=$(grep -vc "$(medium "$1" 3)" "/tmp/rounds-$1")
	ktap_print_msg "$1: $(rounds "$1") rounds, $wrong wrong, $(cat "/tmp/dd-failed-$1" 2>/dev/null)"
	[ "$wrong" -eq 0 ]
}

ktap_print_header
ktap_set_plan 11
full=$(($(cat $balloon/info/current_kb) >> 10))
memory=$(free_pages)
for name in $drivers; do
	: >"/tmp/rounds-$name"
	read_on "$name" &
done
result at_work a_round_each
for round in 1 2 3; do
	result "down_$round" set_while_reading $((full / 2))
	result "up_$round" set_while_reading "$full"
done
: >/tmp/stop
wait
for name in $drivers; do
	result "data_$name" all_right "$name"
done
ktap_print_msg "Xen had $memory and has $(free_pages)"
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
