#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "cost": what a guest's disk and network cost dom0 and the guest, Xen's work for them
# included. Where a nanosecond is an instruction (scripts/bed cost), it is counted in those. Rows
# are for bed/cost.py.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

bytes=$((16 << 20))

# at_work: of dom0 and the guest
at_work()
{
	echo $(($(/kselftest/xen-dma/xdt_xen time 0) + $(/kselftest/xen-dma/xdt_xen time "$(xl domid cost)")))
}

# bounced_by_any: mappings, as the driver counts them; stock does not
bounced_by_any()
{
	[ -r "$driver/bounces" ] && bounced || echo 0
}

# row NAME UNITS COMMAND...: what one unit costs
row()
{
	name=$1
	units=$2
	shift 2
	work=$(at_work)
	copied=$(bounced_by_any)
	"$@" || return 1
	work=$(($(at_work) - work))
	copied=$(($(bounced_by_any) - copied))
	printf 'row\t%s\t%s\n' "$name" $((work / units))
	printf 'row\t%s-bounces\t%s\n' "$name" "$copied"
}

# read_blocks DEVICE BLOCK
read_blocks()
{
	in_guest cost 600 "dd if=$1 of=/dev/null bs=$2 count=$((bytes / $2)) iflag=direct" >/dev/null
}

# write_blocks DEVICE BLOCK: behind what the host knows
write_blocks()
{
	in_guest cost 600 "dd if=/dev/zero of=$1 bs=$2 count=$((bytes / $2)) seek=$(($(medium ahci 2) / $2)) oflag=direct" \
		>/dev/null
}

# a_disk DRIVER DEVICE: what is needed for the first time does not count
a_disk()
{
	read_blocks "$2" 262144 && write_blocks "$2" 262144 &&
		row "read-$1" $((bytes >> 20)) read_blocks "$2" 262144 &&
		row "read-4K-$1" $((bytes >> 20)) read_blocks "$2" 4096 &&
		row "write-$1" $((bytes >> 20)) write_blocks "$2" 262144
}

# packets: that the card has sent and received
packets()
{
	cat /sys/class/net/eth0/statistics/[rt]x_packets | awk '{ n += $1 } END { print n }'
}

# a_network: how many packets there are is known afterwards
a_network()
{
	over_network cost eth0 2 || return 1
	count=$(packets)
	row network 1 over_network cost eth0 2 >/tmp/row || return 1
	count=$(($(packets) - count))
	grep -v '^row' /tmp/row
	awk -v packets=$count '$2 == "network" { $3 = int($3 / packets) } /^row/ { print $1 "\t" $2 "\t" $3 }' /tmp/row
}

ktap_print_header
ktap_set_plan 5
bridge_over br0 eth0
result guest create cost "disk = [ \"phy:/dev/$(part_of ata_piix),xvda,w\", \"phy:/dev/$(part_of ahci),xvdb,w\",
	\"phy:/dev/$(part_of nvme),xvdc,w\" ]" 'vif = [ "bridge=br0,script=vif-bridge" ]'
result ata_piix a_disk ata_piix /dev/xvda
result ahci a_disk ahci /dev/xvdb
result nvme a_disk nvme /dev/xvdc
result network a_network
ktap_finished
