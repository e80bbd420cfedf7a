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
scripts="sync sg limits exhaust parallel"

# The chipset's own controller stays with dom0.
owned=
for device in 0x1234:0x11e8 0x8086:0x2922 0x1b36:0x0010 0x8086:0x100e; do
	for bdf in $(pci_of "$device"); do
		[ "$bdf" = 0000:00:1f.2 ] || owned="$owned\"${bdf#0000:}\", "
	done
done

# has_aperture GUEST KIB
has_aperture()
{
	[ "$(aperture_of "$1")" -eq "$2" ]
}

# has_interrupts GUEST KIND: some of that kind came
has_interrupts()
{
	in_guest "$1" 20 'cat /proc/interrupts' >/tmp/said
	grep -e "$2" /tmp/said | awk '{ n += $2 + $3 } END { exit n == 0 }' && return 0
	ktap_print_msg "$(grep pirq /tmp/said | tr '\n' ';')"
	return 1
}

# coherent_up_to GUEST ORDER: one block of that size, and none of the next one, which Xen gives no such domain
coherent_up_to()
{
	in_guest "$1" 120 "cd /kselftest/xen-dma; hands=/sys/kernel/debug/xdt_fault;
		for module in xdt_edu xdt_memory xdt_fault; do [ -e /sys/module/\$module ] || insmod \$module.ko; done;
		echo take $2 >\$hands; cat \$hands; echo give >\$hands; cat \$hands; echo take $(($2 + 1)) >\$hands;
		cat \$hands; rmmod xdt_fault xdt_memory" | tr '\n' ' ' >/tmp/said
	grep -q '^memory given nothing' /tmp/said && return 0
	ktap_print_msg "$(cat /tmp/said)"
	return 1
}

# sized: an aperture of what the command line says, where nothing is said of an IOMMU
sized()
{
	guest_append="$2"
	create "sized-$1" "pci = [ ${owned%%,*} ]" && has_aperture "sized-$1" "$3"
	status=$?
	guest_append=
	destroy "sized-$1" && return $status
}

# short_works: a domain has all of its aperture, though Xen has less than that left, for it gives
# memory in exchange; and its disk is read
short_works()
{
	create short 'memory = 512' "pci = [ $owned ]" || return 1
	judge on
	left=$(xl info free_memory)
	ktap_print_msg "$left MiB are left"
	[ "$left" -lt 64 ] && has_aperture short 65536 && read_disk_in short ahci /dev/sda1
}

# starts_short: that
starts_short()
{
	# It is built, and never runs.
	printf '%s\n' 'name = "other"' 'type = "pv"' 'kernel = "/system/kernel"' \
		"memory = $(($(xl info free_memory) - 512 - 40))" >/tmp/other.cfg
	said xl create -p /tmp/other.cfg || return 1
	short_works
	status=$?
	judge off
	for domain in short other; do
		! xl domid "$domain" >/dev/null 2>&1 || destroy "$domain" || status=1
	done
	return $status
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
ktap_set_plan 20
# shellcheck disable=SC2046	# words are wanted
result devices give_devices $(echo "$owned" | tr -d '",')
memory=$(free_pages)
result domain create owner 'memory = 512' 'vcpus = 2' "pci = [ $owned ]"
result aperture has_aperture owner 65536
result ahci_read read_disk_in owner ahci /dev/sda1
result nvme_read read_disk_in owner nvme /dev/nvme0n1p1
result ahci_written write_disk_in owner ahci /dev/sda1
result nvme_written write_disk_in owner nvme /dev/nvme0n1p1
result network over_network owner eth0 2
# shellcheck disable=SC2086,SC2046	# words are wanted
in_guest owner 900 "cd /kselftest && ./run_kselftest.sh $(printf -- '-t xen-dma:%s.sh ' $scripts) | cat"
result coherent coherent_up_to owner 12
result msi has_interrupts owner 'pirq.*-pcifront-msi'
result intx has_interrupts owner 'pirq.*eth0'
judge off
result destroyed destroy owner
# shellcheck disable=SC2086
result memory_after_domain memory_is $memory
result size_in_slabs sized slabs swiotlb=8192 16384
result size_in_bytes sized bytes xen_dma.size=32M 32768
result short_memory starts_short
# By then Xen has all that it wants for its bookkeeping.
result first_lives lives 1 $((times / 4))
all=$(all_free_pages)
result more_lives lives $((times / 4 + 1)) "$times"
# shellcheck disable=SC2086
result memory_after_lives memory_is $memory
result all_memory_after_lives all_memory_is "$all"
ktap_finished
