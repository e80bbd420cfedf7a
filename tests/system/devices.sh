#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Steps "devices-pc" and "devices-q35": dom0 reads and writes a disk behind each controller, and uses
# each network card, with the drivers that come with Linux; one also under XDP, which takes
# its buffers from elsewhere.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

disks=$(awk '$1 != "net" && $1 != "nics" { print $1 }' /system/media)
nics=$(awk '$1 == "nics" { print $2 }' /system/media)

# read_disk DRIVER
read_disk()
{
	[ "$(read_once "$1" $((1 << 20)))" = "$(medium "$1" 3)" ]
}

# write_disk DRIVER: behind what is read
write_disk()
{
	seek=$(($(medium "$1" 2) >> 20))
	sum=$(sha256sum </tmp/new | cut -d' ' -f1)
	ktap_print_msg "wrote $1 $(((seek + 1) << 20)) $((8 << 20)) $sum"
	dd if=/tmp/new of="/dev/$(part_of "$1")" bs=1M seek=$seek oflag=direct 2>/dev/null
}

# use_nic NUMBER: each has a network of its own
use_nic()
{
	sh -c "$(get_and_send "eth$1" $(($1 + 2)))" | got_and_sent $(($1 + 2))
}

# use_nic_under_xdp NUMBER: the same while a program in its driver counts what comes in
use_nic_under_xdp()
{
	/system/bin/xdp "eth$1" sh -c "$(get_and_send "eth$1" $(($1 + 2)))" >/tmp/under
	packets=$(sed -n 's/^packets //p' /tmp/under)
	ktap_print_msg "under XDP: ${packets:-$(cat /tmp/under)} packets"
	got_and_sent $(($1 + 2)) </tmp/under && [ "$packets" -ge $(($(medium net 2) / 1428)) ]
}

ktap_print_header
ktap_set_plan $(($(echo "$disks" | wc -w) * 2 + nics + 2))
dd if=/dev/urandom of=/tmp/new bs=1M count=8 2>/dev/null
# They come when they are found, USB last.
for name in $disks; do
	wait_until 60 "part_of $name >/dev/null" || ktap_print_msg "no disk of $name"
	result "read_$name" read_disk "$name"
	result "write_$name" write_disk "$name"
done
nic=0
while [ $nic -lt "$nics" ]; do
	driver_of_it=$(basename "$(readlink "/sys/class/net/eth$nic/device/driver")")
	result "network_$driver_of_it" use_nic $nic
	[ "$driver_of_it" != vmxnet3 ] || result "xdp_$driver_of_it" use_nic_under_xdp $nic
	nic=$((nic + 1))
done
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
