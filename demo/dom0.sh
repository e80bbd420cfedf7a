#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The demo's part in dom0: uses each device, checks what it did, reports.
#
# Runs under busybox. Prints the report for people, and lines "digest DISK SUM"
# that the host checks the disks against. Ends non-zero when anything is wrong.
set -u

failed=0
wrong() {
	echo "    FAILED: $*"
	failed=1
}

# driver_of BLOCKDEV: the PCI driver under it.
driver_of() {
	basename "$(readlink "$(readlink -f "/sys/block/$1/device" | sed 's,/\(ata\|nvme\).*,,')/driver")"
}

log_lines() {
	dmesg | sed -e 's/^<[0-9]*>//' -e 's/^\[[^]]*\] *//' | sed -n "s/^$1//p"
}

echo "Memory"
# The device's module is loaded after the log is marked: its lines are new ones.
insmod /demo/xen_dma_demo.ko || wrong "the module did not load"
log_lines 'demo: ' >/tmp/edu
sed -n 's/^of /    dom0: of /p' /tmp/edu
log_lines 'xen-dma: ' | sed 's/^/    /'
grep -q '^of [0-9]* pages [1-9]' /tmp/edu || wrong "no page of dom0 lies above 4 GiB: nothing would be shown"

echo "Disks"
disks=0
for block in /sys/block/*; do
	name=${block##*/}
	case $name in
	sd*)	part=${name}1 ;;
	nvme*)	part=${name}p1 ;;
	*)	continue ;;
	esac
	driver=$(driver_of "$name")
	disks=$((disks + 1))
	if [ ! -b "/dev/$part" ]; then
		wrong "$driver: the partition scan of $name found nothing"
		continue
	fi
	mkdir -p "/mnt/$driver"
	if ! mount -t ext4 "/dev/$part" "/mnt/$driver"; then
		wrong "$driver: $part can't be mounted"
		continue
	fi
	files=$(wc -l <"/mnt/$driver/SHA256SUMS")
	if (cd "/mnt/$driver" && sha256sum -c SHA256SUMS >/tmp/sums 2>&1); then
		read_back="$files files read, all checksums right"
	else
		read_back=
		wrong "$driver: $(grep -c FAILED /tmp/sums) of $files checksums are wrong"
	fi

	dd if=/dev/urandom of=/tmp/new bs=64k count=128 2>/dev/null
	digest=$(sha256sum </tmp/new | cut -d ' ' -f 1)
	cp /tmp/new "/mnt/$driver/written" || wrong "$driver: writing failed"
	umount "/mnt/$driver" || wrong "$driver: the file system stays busy"
	echo 3 >/proc/sys/vm/drop_caches
	mount -t ext4 "/dev/$part" "/mnt/$driver" || wrong "$driver: $part can't be mounted again"
	again=$(sha256sum <"/mnt/$driver/written" | cut -d ' ' -f 1)
	umount "/mnt/$driver"
	[ "$digest" = "$again" ] || wrong "$driver: what was written reads back otherwise"
	echo "digest $driver $digest"
	[ -z "$read_back" ] ||
		echo "    $driver: partition $part found and mounted; $read_back; 8 MiB written and read back"
done
[ "$disks" -eq 3 ] || wrong "$disks disks instead of 3"

echo "Network"
nic=/sys/class/net/eth0
if [ ! -e "$nic" ]; then
	wrong "no network card"
else
	driver=$(basename "$(readlink -f "$nic/device/driver")")
	ifconfig "${nic##*/}" 10.0.2.15 netmask 255.255.255.0 up
	# The link may come up a little after the interface.
	tries=0
	until tftp -g -b 1428 -l /tmp/got -r net.bin 10.0.2.2 2>/tmp/tftp; do
		tries=$((tries + 1))
		[ "$tries" -lt 10 ] || break
	done
	got=$(sha256sum </tmp/got | cut -d ' ' -f 1)
	if [ "$got" = "$(cat /demo/net.sum)" ]; then
		echo "    $driver: $(wc -c </tmp/got) bytes received, checksum right"
	else
		wrong "$driver: what was received has another checksum: $(cat /tmp/tftp)"
	fi
	if nc -w 10 10.0.2.100 8000 </tmp/got; then
		echo "    $driver: the same sent back to the host"
	else
		wrong "$driver: sending failed"
	fi
fi

echo "The edu device, 32 bits wide"
sed -n -e 's/^round trip: /    round trip: /p' -e 's/^control: /    control: /p' /tmp/edu
[ "$(grep -c -e '^round trip: .*: the same bytes$' -e '^control: .* does not see the buffer$' /tmp/edu)" -eq 2 ] ||
	wrong "the edu device: $(grep FAILED /tmp/edu)"

echo "Mappings bounced, by reason"
sed 's/^/    /' /sys/kernel/debug/xen-dma/bounces || wrong "no counters in debugfs"
[ "$(sed -n 's/^mask //p' /sys/kernel/debug/xen-dma/bounces)" -gt 0 ] ||
	wrong "nothing was bounced: nothing was shown"

exit "$failed"
