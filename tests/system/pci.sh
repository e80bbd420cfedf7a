#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "pci": driver domains. One has edu devices, two disk controllers and a network card,
# and runs the kselftest; then others come and go, in the middle of DMA too. Xen must have
# all its memory again each time.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# How often a domain is destroyed in the middle of DMA.
times=${XDT_TIMES:-20}

# Not map, which has a device reach another one's registers: Xen's IOMMU lets none.
scripts="sync sg limits parallel"

# config_of LINE...: of a domain with all the devices
owned=
for device in 0x1234:0x11e8 0x8086:0x2922 0x1b36:0x0010 0x8086:0x100e; do
	for bdf in $(pci_of "$device"); do
		# The chipset's own controller stays with dom0.
		[ "$bdf" = 0000:00:1f.2 ] || owned="$owned\"${bdf#0000:}\", "
	done
done

# aperture_line GUEST: what the driver said at boot, once
aperture_line()
{
	in_guest "$1" 20 'dmesg | grep -c "xen-dma: aperture "' >/tmp/said
	[ "$(cat /tmp/said)" = 1 ]
}

over_network()
{
	in_guest "$1" 120 "$(get_and_send eth0 2)" | got_and_sent 2
}

# one_life NUMBER: made, put to work, and destroyed while it works
one_life()
{
	create "life-$1" 'memory = 512' "pci = [ $owned ]" || return 1
	judge on
	order "life-$1" "for disk in sda nvme0n1; do
		(while dd if=/dev/\$disk of=/dev/null bs=1M iflag=direct 2>/dev/null; do echo read; done) & done; wait"
	wait_until 120 "grep -q '^read' $toolstack_consoles/guest-life-$1.log" || return 1
	judge off
	destroy "life-$1"
}

# lives FROM TO
lives()
{
	life=$1
	while [ "$life" -le "$2" ]; do
		one_life "$life" || return 1
		life=$((life + 1))
	done
}

# all_memory_is PAGES: has Xen that much free in all?
all_memory_is()
{
	wait_until 60 "[ \$(all_free_pages) = $1 ]" && return 0
	ktap_print_msg "Xen had $1 pages, and has $(all_free_pages)"
	return 1
}

ktap_print_header
ktap_set_plan 14
# shellcheck disable=SC2046	# words are wanted
result devices give_devices $(echo "$owned" | tr -d '",')
memory=$(free_pages)
result domain create owner 'memory = 512' 'vcpus = 2' "pci = [ $owned ]"
result aperture aperture_line owner
result ahci_read read_disk_in owner ahci /dev/sda1
result nvme_read read_disk_in owner nvme /dev/nvme0n1p1
result ahci_written write_disk_in owner ahci /dev/sda1
result nvme_written write_disk_in owner nvme /dev/nvme0n1p1
result network over_network owner
# shellcheck disable=SC2086,SC2046	# words are wanted
in_guest owner 900 "cd /kselftest && ./run_kselftest.sh $(printf -- '-t xen-dma:%s.sh ' $scripts) | cat"
judge off
result destroyed destroy owner
# shellcheck disable=SC2086
result memory_after_domain memory_is $memory
# By then Xen has all that it wants for its bookkeeping.
result first_lives lives 1 $((times / 4))
all=$(all_free_pages)
result more_lives lives $((times / 4 + 1)) "$times"
# shellcheck disable=SC2086
result memory_after_lives memory_is $memory
result all_memory_after_lives all_memory_is "$all"
ktap_finished
