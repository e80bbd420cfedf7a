#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "net": a guest on the networks of dom0's cards, through the network backend and a
# bridge each. What comes in and what goes out lies in granted pages. Then two guests on two
# more cards, between which there are jumbo frames, and dom0 itself with as much as TCP puts
# into a packet.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# Cards by driver, in the order of the networks 10.0.2.0, 10.0.3.0 ...
cards="e1000 8139cp"

# interface_of ADDRESS: by the end of its hardware address
interface_of()
{
	for nic in /sys/class/net/eth*; do
		grep -q ":$1\$" "$nic/address" && basename "$nic" && return
	done
}

# jumbo_guest NAME BRIDGE ADDRESS
jumbo_guest()
{
	ifconfig "$(interface_of "$2")" mtu 9000 && bridge_over "$1" "$(interface_of "$2")" &&
		create "$1" "vif = [ \"bridge=$1,script=vif-bridge\" ]" &&
		ifconfig "vif$(xl domid "$1").0" mtu 9000 &&
		said in_guest "$1" 20 "ifconfig eth0 10.0.9.$3 netmask 255.255.255.0 mtu 9000 up"
}

# send_jumbo FROM TO ADDRESS: random bytes through a connection. The receiver ends it if its own
# input ends.
send_jumbo()
{
	order "$2" "[ -e /tmp/held ] || mkfifo /tmp/held;
		nc -l -p 7000 <>/tmp/held >/tmp/got; echo sum \$(sha256sum </tmp/got)"
	sum=$(in_domain "$1" 120 "dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null;
		echo sum \$(sha256sum </tmp/data);
		for try in 1 2 3 4 5 6 7 8 9 10; do nc 10.0.9.$3 7000 </tmp/data && break; sleep 1; done" |
		sed -n 's/^sum \([0-9a-f]*\).*/\1/p')
	[ ${#sum} -eq 64 ] && answer "$2" 120 | grep -q "^sum $sum"
}

# large_frames ADDRESS: has that card received mostly frames larger than the usual ones?
large_frames()
{
	stats=/sys/class/net/$(interface_of "$1")/statistics
	ktap_print_msg "received $(cat "$stats/rx_bytes") bytes in $(cat "$stats/rx_packets") frames"
	[ $(($(cat "$stats/rx_bytes") / $(cat "$stats/rx_packets"))) -gt 1600 ]
}

ktap_print_header
ktap_set_plan 14
vifs=
network=2
for card in $cards; do
	bridge_over "br$network" "$(interface_of "00:0$network")"
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

before=$(bounced)
result left_guest jumbo_guest left 01:01 1
result right_guest jumbo_guest right 01:02 2
ifconfig left 10.0.9.3 netmask 255.255.255.0
result jumbo_to_the_right send_jumbo left right 2
result jumbo_to_the_left send_jumbo right left 1
result jumbo_from_dom0 send_jumbo dom0 right 2
result large_frames_to_the_left large_frames 01:01
result large_frames_to_the_right large_frames 01:02
result jumbo_bounced [ $(($(bounced) - before)) -gt $((3 * 900)) ]
result left_destroyed destroy left
result right_destroyed destroy right
ktap_finished
