#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "serve": a storage domain and a network domain, each with a device, serve another
# guest, which has neither. Between them is Xen's toolstack in the driver domains (xl devd).
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

ahci=$(pci_of 0x8086:0x2922 | grep -v :1f.2)
nic=$(pci_of 0x8086:0x100e)

# begin_serving GUEST: what xl needs to be there
begin_serving()
{
	in_guest "$1" 60 "mkdir -p /run/xen /var/lock /var/log/xen /var/lib/xen;
		export PATH=/usr/sbin:/usr/bin:\$(echo /usr/lib/xen-*/bin):\$PATH;
		xl devd -p /run/devd.pid && cat /run/devd.pid" >/tmp/said && return 0
	ktap_print_msg "$(cat /tmp/said)"
	return 1
}

network_domain()
{
	create nets 'memory = 512' "pci = [ \"${nic#0000:}\" ]" &&
		in_guest nets 60 'brctl addbr br0 && brctl addif br0 eth0 &&
			ifconfig eth0 0.0.0.0 up && ifconfig br0 up' && begin_serving nets
}

storage_domain()
{
	create stor 'memory = 512' "pci = [ \"${ahci#0000:}\" ]" && begin_serving stor
}

# bounced_in GUEST: mappings that were
bounced_in()
{
	in_guest "$1" 20 "awk '{ n += \$2 } END { print \"bounced\", n }' $driver/bounces" | sed -n 's/^bounced //p'
}

# Card and controller go on after their domains.
destroy_all()
{
	destroy user && judge off && destroy nets && destroy stor
}

ktap_print_header
ktap_set_plan 9
result devices give_devices "$ahci" "$nic"
memory=$(free_pages)
result storage_domain storage_domain
result network_domain network_domain
result guest create user 'disk = [ "phy:/dev/sda1,xvda,w,backend=stor" ]' \
	'vif = [ "backend=nets,bridge=br0,script=vif-bridge" ]'
result read read_disk_in user ahci /dev/xvda
result written write_disk_in user ahci /dev/xvda
result network over_network user eth0 2
ktap_print_msg "bounced in the storage domain $(bounced_in stor), in the network domain $(bounced_in nets)"
result destroyed destroy_all
# shellcheck disable=SC2086	# words are wanted
result memory memory_is $memory
ktap_finished
