# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the steps share. They run in a PV dom0 with Xen's toolstack, make guests and tell
# them what to do, and print results in KTAP. /system holds the guests' kernel and
# initial file system, and the file media: a line "NAME BYTES SHA256" for each disk.

# shellcheck source=bed/toolstack-start.sh
. /usr/sbin/toolstack-start
# shellcheck source=tools/testing/selftests/xen-dma/lib.sh
cd /kselftest/xen-dma && . ./lib.sh

balloon=/sys/devices/system/xen_memory/xen_memory0
# The step's name: its results begin with it.
step=$(sed -n '/^# Steps* "/{s/[^"]*"\([a-z]*\).*/\1/p;q}' "$0")
mkdir -p /tmp/orders /etc/xen/scripts
cp /system/hotplug/* /etc/xen/scripts/

# said COMMAND...: run a tool that prints only when something is wrong
said()
{
	"$@" >/tmp/said 2>&1 && return 0
	ktap_print_msg "failed: $*: $(tail -n 3 /tmp/said | tr '\n' ' ')"
	return 1
}

# create NAME [LINE]...: a PV guest with these lines in its configuration, until it takes
# orders; $guest_append is for its kernel
create()
{
	guest=$1
	shift
	{
		printf '%s\n' "name = \"$guest\"" 'type = "pv"' 'kernel = "/system/kernel"' \
			'ramdisk = "/system/initrd"' 'on_crash = "preserve"' \
			"extra = \"console=hvc0 loglevel=4 panic=-1 ${guest_append:-}\""
		for line in 'memory = 256' 'vcpus = 1' "$@"; do
			echo "$line"
		done
	} >"/tmp/$guest.cfg"
	rm -f "$toolstack_consoles/guest-$guest.log"
	echo 0 >"/tmp/orders/$guest"
	said xl create "/tmp/$guest.cfg" || {
		sed 's/^/# /' "/tmp/$guest.cfg"
		return 1
	}
	wait_until 180 "grep -qs '^guest: ready' '$toolstack_consoles/guest-$guest.log'" && return 0
	ktap_print_msg "$guest does not come up: $(tail -n 5 "$toolstack_consoles/guest-$guest.log")"
	return 1
}

# order NAME CODE: tell a guest to run that, and don't wait; lines become one
order()
{
	number=$(($(cat "/tmp/orders/$1") + 1))
	tty=$(xenstore-read "/local/domain/$(xl domid "$1")/console/tty") || return 1
	echo "$number" >"/tmp/orders/$1"
	echo "$number $(echo "$2" | tr '\n\t' '  ')" >"$tty"
}

# answer NAME SECONDS: wait for the end of its last order; prints what it said, returns its status
answer()
{
	console=$toolstack_consoles/guest-$1.log
	number=$(cat "/tmp/orders/$1")
	wait_until "$2" "grep -qs '^guest: end $number ' '$console'" || {
		ktap_print_msg "$1 does not end in $2 s: $(tail -n 5 "$console")"
		return 124
	}
	tr -d '\r' <"$console" |
		sed -n "/^guest: begin $number\$/,/^guest: end $number /p" | sed '1d;$d'
	return "$(sed -n "s/^guest: end $number \([0-9]*\).*/\1/p" "$console")"
}

# in_guest NAME SECONDS CODE
in_guest()
{
	order "$1" "$3" && answer "$1" "$2"
}

# until_device DEVICE: shell code that waits for a disk, for half a minute
until_device()
{
	echo "n=0; until [ -b $1 ] || [ \$n -gt 300 ]; do n=\$((n + 1)); usleep 100000; done"
}

# in_domain NAME SECONDS CODE: in dom0 too
in_domain()
{
	if [ "$1" = dom0 ]; then sh -c "$3"; else in_guest "$@"; fi
}

# destroy NAME: at once, and until Xen has forgotten it
destroy()
{
	domid=$(xl domid "$1") && said xl destroy "$1" && wait_until 60 "! xl list $domid >/dev/null 2>&1"
}

# judge WORD: off, when a domain is to end whose devices are at work: nobody stops them, and
# what they read and write is not theirs any more; on, when their next owner has them in hand
judge()
{
	echo "<0>system: judge $1" >/dev/kmsg
}

# disks: their names
disks()
{
	sed -n 's/^disks //p' /system/media
}

# names_of BLOCK: what a disk may be called: its serial number, the drivers it is behind, nearest first
names_of()
{
	sed 's/ *$//' "$1/device/serial" 2>/dev/null
	tail -c +5 "$1/device/vpd_pg80" 2>/dev/null
	echo
	behind=$(readlink -f "$1/device")
	while [ -n "$behind" ]; do
		[ ! -e "$behind/driver" ] || basename "$(readlink "$behind/driver")"
		behind=${behind%/*}
	done
}

# Written once: steps read several disks at a time.
disks | tr ' ' '\n' >/tmp/disks

# disk_of NAME: the disk that the host calls so
disk_of()
{
	for block in /sys/block/sd* /sys/block/nvme*n* /sys/block/mmcblk?; do
		[ -e "$block" ] || continue
		[ "$(names_of "$block" | grep -m 1 -Fx -f /tmp/disks)" = "$1" ] || continue
		basename "$block"
		return 0
	done
	return 1
}

# part_of NAME: that disk's partition
part_of()
{
	disk=$(disk_of "$1") || return 1
	case $disk in *[0-9]) echo "${disk}p1" ;; *) echo "${disk}1" ;; esac
}

# read_once NAME BLOCK: the sum of what the host knows of its disk, past the page cache; what dd
# said of it is in /tmp/dd-NAME
read_once()
{
	{
		dd if="/dev/$(part_of "$1")" bs="$2" count=$(($(medium "$1" 2) / $2)) iflag=direct,fullblock \
			2>"/tmp/dd-$1" || cp "/tmp/dd-$1" "/tmp/dd-failed-$1"
	} | sha256sum | cut -d' ' -f1
}

# read_on NAME: over and over until /tmp/stop is there; a line for each round
read_on()
{
	while [ ! -e /tmp/stop ]; do
		read_once "$1" $((4 << 20)) >>"/tmp/rounds-$1"
	done
}

rounds()
{
	wc -l <"/tmp/rounds-$1"
}

# a_round_each: every disk was read whole since now
a_round_each()
{
	for name in $(disks); do
		# One may have been under way.
		old=$(($(rounds "$name") + 2))
		wait_until 120 "[ \$(rounds $name) -ge $old ]" || return 1
	done
}

# read_all_on: all disks
read_all_on()
{
	for name in $(disks); do
		: >"/tmp/rounds-$name"
		read_on "$name" &
	done
}

# all_right NAME: was each round?
all_right()
{
	[ -n "$(medium "$1" 3)" ] || return 1
	wrong=$(grep -vc "$(medium "$1" 3)" "/tmp/rounds-$1")
	ktap_print_msg "$1: $(rounds "$1") rounds, $wrong wrong, $(cat "/tmp/dd-failed-$1" 2>/dev/null)"
	[ "$wrong" -eq 0 ] && [ "$(rounds "$1")" -gt 0 ]
}

# bridge_over NAME INTERFACE
bridge_over()
{
	brctl addbr "$1" && brctl addif "$1" "$2" && ifconfig "$2" 0.0.0.0 up && ifconfig "$1" up
}

# get_and_send INTERFACE NETWORK: shell code that gets over a network what the host has, and
# sends it back; for a domain with an address in 10.0.NETWORK.0
get_and_send()
{
	cat <<-END
		ifconfig $1 10.0.$2.20 netmask 255.255.255.0 up;
		for try in 1 2 3 4 5 6 7 8 9 10; do
			tftp -g -b 1428 -l /tmp/got -r sent 10.0.$2.2 && break; sleep 1;
		done;
		echo sum \$(sha256sum </tmp/got);
		nc -w 10 10.0.$2.100 8000 </tmp/got && echo away
	END
}

# got_and_sent NETWORK: is what that has printed right? The host looks at what was sent
got_and_sent()
{
	cat >/tmp/got_and_sent
	sum=$(sed -n 's/^sum \([0-9a-f]*\).*/\1/p' /tmp/got_and_sent)
	ktap_print_msg "sent $1 $sum"
	[ "$sum" = "$(medium net 3)" ] && grep -q '^away' /tmp/got_and_sent
}

# over_network DOMAIN INTERFACE NETWORK: a domain gets what the host has, and sends it back
over_network()
{
	in_domain "$1" 120 "$(get_and_send "$2" "$3")" | got_and_sent "$3"
}

# read_disk_in GUEST DRIVER DEVICE: has it what the host knows?
read_disk_in()
{
	in_guest "$1" 300 "echo sum \$(dd if=$3 bs=1M count=$(($(medium "$2" 2) >> 20)) iflag=direct | sha256sum)" |
		grep -q "^sum $(medium "$2" 3)"
}

# write_and_sum DEVICE SEEK MIB FLAG: shell code that writes random bytes
write_and_sum()
{
	cat <<-END
		dd if=/dev/urandom of=/tmp/new bs=1M count=$3 2>/dev/null;
		dd if=/tmp/new of=$1 bs=1M seek=$2 $4 2>/dev/null && echo sum \$(sha256sum </tmp/new)
	END
}

# wrote_sum NAME SEEK MIB: has that printed a sum? The host looks at what is on the disk
wrote_sum()
{
	sum=$(sed -n 's/^sum \([0-9a-f]*\).*/\1/p')
	ktap_print_msg "wrote $1 $((($2 + 1) << 20)) $(($3 << 20)) $sum"
	[ ${#sum} -eq 64 ]
}

# behind_read NAME: where what is read of a disk ends, in MiB
behind_read()
{
	echo $(($(medium "$1" 2) >> 20))
}

# write_disk_in GUEST NAME DEVICE: behind what is read
write_disk_in()
{
	in_guest "$1" 300 "$(write_and_sum "$3" "$(behind_read "$2")" 8 oflag=direct)" |
		wrote_sum "$2" "$(behind_read "$2")" 8
}

# read_disk NAME: of dom0's, is it what the host knows?
read_disk()
{
	[ "$(read_once "$1" $((1 << 20)))" = "$(medium "$1" 3)" ]
}

# write_disk NAME: of dom0's, behind what is read
write_disk()
{
	sh -c "$(write_and_sum "/dev/$(part_of "$1")" "$(behind_read "$1")" 8 oflag=direct)" |
		wrote_sum "$1" "$(behind_read "$1")" 8
}

# aperture_of GUEST: KiB of what the driver said at boot, once
aperture_of()
{
	in_guest "$1" 20 'dmesg | sed -n "s/.*xen-dma: aperture \([0-9.]*\) \([KMG]\)iB.*/\1 \2/p"' >/tmp/said
	[ "$(wc -l </tmp/said)" = 1 ] || return 1
	awk '{ print int($1 * ($2 == "K" ? 1 : $2 == "M" ? 1024 : 1048576)) }' /tmp/said
}

# give_devices BDF...: they can be given to domains from now on
give_devices()
{
	for bdf in "$@"; do
		said xl pci-assignable-add "$bdf" || return 1
	done
}

# set_memory MIB [SECONDS]: xl gives dom0 that much, or takes the rest
set_memory()
{
	said xl mem-set 0 "$1" && wait_until "${2:-120}" "[ \$(cat $balloon/info/current_kb) -eq $(($1 << 10)) ]"
}

# scatter_all: every second page of nearly all free memory is another one, which comes from elsewhere,
# and nobody can have the rest. Needs an edu device
scatter_all()
{
	hands=/sys/kernel/debug/xdt_defrag
	need_modules xdt_edu xdt_memory xdt_defrag
	echo 3 >/proc/sys/vm/drop_caches
	# CMA's is for others.
	free=$(awk '/^MemFree/ { n += $2 } /^CmaFree/ { n -= $2 } END { print int(n / 1024) }' /proc/meminfo)
	ask comb $((free - 24))
	[ "$answer" = combed ] || return 1
	full=$(($(cat $balloon/info/current_kb) >> 10))
	set_memory $((full - (free - 96) / 2)) || return 1
	ask skew
	set_memory "$full" || return 1
	ask uncomb
	ask keep 3
	ktap_print_msg "$answer of 1000 blocks of 32 KiB are in one piece"
	ask whole 3
	[ "$answer" -lt 20 ]
}

# memory_is PAGES...: has Xen that much free, by width?
memory_is()
{
	wait_until 60 "[ \"\$(free_pages)\" = '$* ' ]" && return 0
	ktap_print_msg "Xen had $*, and has $(free_pages)"
	return 1
}

# pci_of VENDOR:DEVICE: where such devices are
pci_of()
{
	for device in /sys/bus/pci/devices/*; do
		[ "$(cat "$device/vendor"):$(cat "$device/device")" != "$1" ] || basename "$device"
	done
}

# medium NAME FIELD: what the host knows of a disk: 2 its bytes, 3 its sum
medium()
{
	awk -v name="$1" -v field="$2" '$1 == name { print $field }' /system/media
}

# open_screen: nobody draws but the step; file 3 is QEMU's monitor
open_screen()
{
	for console in /sys/class/vtconsole/vtcon*; do
		grep -q dummy "$console/name" || echo 0 >"$console/bind"
	done
	ifconfig eth0 10.0.9.20 netmask 255.255.255.0 up
	mkfifo /tmp/monitor
	nc 10.0.9.100 4444 </tmp/monitor >/dev/null &
	exec 3>/tmp/monitor
}

# shown NUMBER: does the screen show that picture? The dump goes to the host's files
shown()
{
	echo "screendump $(medium dumps 2)/shown-$1" >&3
	tftp -g -b 1428 -l /tmp/shown -r "shown-$1" 10.0.9.2 2>/dev/null &&
		[ "$(tail -c "$(medium "picture-$1" 2)" /tmp/shown | sha256sum | cut -d' ' -f1)" = \
			"$(medium "picture-$1" 3)" ]
}

# bounced: how many mappings were, for whatever reason
bounced()
{
	awk '{ n += $2 } END { print n + 0 }' "$driver/bounces"
}

# requests DISK: that it has done
requests()
{
	awk '{ print $1 + $5 }' "/sys/block/$1/stat"
}

# free_pages: what Xen has free, by address width. Above 32 bits it keeps a page now and then for
# its own bookkeeping of dom0, until it has enough of them.
free_pages()
{
	for bits in 24 28 30 31 32; do
		/kselftest/xen-dma/xdt_xen free $bits
	done | tr '\n' ' '
}

all_free_pages()
{
	/kselftest/xen-dma/xdt_xen free 64
}

# result NAME COMMAND...: of this step. (The kernel's own helper takes words apart.)
result()
{
	title=$step.$1
	shift
	if "$@"; then
		ktap_test_pass "$title"
	else
		ktap_test_fail "$title"
	fi
}
