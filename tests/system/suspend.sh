#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "suspend": dom0 suspends to memory, the clock wakes it, and its disks and its network
# go on. Its memory stays where it was, and so does the aperture.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

drivers="ata_piix ahci nvme"

# sleep_for SECONDS: suspended
sleep_for()
{
	clock=/sys/class/rtc/rtc0
	before=$(cat /sys/power/suspend_stats/success)
	echo 0 >$clock/wakealarm
	echo "+$1" >$clock/wakealarm && echo mem >/sys/power/state || return 1
	[ "$(cat /sys/power/suspend_stats/success)" -eq $((before + 1)) ]
}

# places: where the aperture's chunks are
places()
{
	grep -v '^#' "$driver/aperture" | cut -d' ' -f1 | tr '\n' ' '
}

read_all()
{
	for name in $drivers; do
		read_disk "$name" || return 1
	done
}

# read_over_suspend: reading goes on while dom0 suspends
read_over_suspend()
{
	rm -f /tmp/sums
	for name in $drivers; do
		read_once "$name" 65536 >>/tmp/sums &
	done
	sleep_for 8
	slept=$?
	wait
	for name in $drivers; do
		grep -q "^$(medium "$name" 3)" /tmp/sums || return 1
	done
	return $slept
}

ktap_print_header
ktap_set_plan 9
result read_before read_all
result network_before over_network dom0 eth0 2
was=$(places)
for round in 1 2 3; do
	result "read_while_suspending_$round" read_over_suspend
done
result aperture_stays [ -n "$was" -a "$(places)" = "$was" ]
result read_after read_all
result network_after over_network dom0 eth0 2
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
