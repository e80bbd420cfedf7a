#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Steps "devices-pc" and "devices-q35": dom0 reads and writes a disk behind each controller, and uses
# each network card, with the drivers that come with Linux; one also under XDP, which takes
# its buffers from elsewhere.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

nics=$(awk '$1 == "nics" { print $2 }' /system/media)

# network_of INTERFACE: its number is the end of the card's address
network_of()
{
	echo $((0x$(sed 's/.*://' "/sys/class/net/$1/address")))
}

# use_nic INTERFACE
use_nic()
{
	over_network dom0 "$1" "$(network_of "$1")"
}

# use_nic_under_xdp INTERFACE: the same while a program in its driver counts what comes in
use_nic_under_xdp()
{
	/system/bin/xdp "$1" sh -c "$(get_and_send "$1" "$(network_of "$1")")" >/tmp/under
	packets=$(sed -n 's/^packets //p' /tmp/under)
	ktap_print_msg "under XDP: ${packets:-$(cat /tmp/under)} packets"
	got_and_sent "$(network_of "$1")" </tmp/under && [ "$packets" -ge $(($(medium net 2) / 1428)) ]
}

ktap_print_header
ktap_set_plan $(($(disks | wc -w) * 2 + nics + 2))
# They come when they are found, USB last.
for name in $(disks); do
	wait_until 60 "part_of $name >/dev/null" || ktap_print_msg "no disk of $name"
	result "read_$name" read_disk "$name"
	result "write_$name" write_disk "$name"
done
# A network card without a driver breaks the plan.
for nic in /sys/class/net/eth*; do
	nic=${nic##*/}
	name=$(basename "$(readlink "/sys/class/net/$nic/device/driver")")
	result "network_$name" use_nic "$nic"
	[ "$name" != vmxnet3 ] || result "xdp_$name" use_nic_under_xdp "$nic"
done
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
