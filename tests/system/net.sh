#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "net": a guest on the networks of dom0's cards, through the network backend and a
# bridge each. What comes in and what goes out lies in granted pages.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# Cards by driver, in the order of the networks 10.0.2.0, 10.0.3.0 ...
cards="e1000 8139cp"

# interface_of DRIVER
interface_of()
{
	for nic in /sys/class/net/eth*; do
		[ "$(basename "$(readlink "$nic/device/driver")")" != "$1" ] || basename "$nic"
	done
}

ktap_print_header
ktap_set_plan 4
vifs=
network=2
for card in $cards; do
	brctl addbr "br$network"
	brctl addif "br$network" "$(interface_of "$card")"
	ifconfig "$(interface_of "$card")" 0.0.0.0 up
	ifconfig "br$network" up
	vifs="$vifs\"bridge=br$network,script=vif-bridge\", "
	network=$((network + 1))
done
result guest create net "vif = [ $vifs ]"
network=2
for card in $cards; do
	result "both_ways_$card" over_network net "eth$((network - 2))" $network
	network=$((network + 1))
done
result destroyed destroy net
ktap_finished
