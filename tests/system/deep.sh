#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "deep": eight SCSI disks with 64 requests each under way, small ones and as large as they
# come, all of them bounced: together more than the aperture has room for. The disks are slow, so
# that requests pile up.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

depth=64

# all_deep: has each disk been seen with that many requests? What is done at this moment is not
# under way any more, so they need not be so at the same time; the most of all is in /tmp/most
all_deep()
{
	for disk in $all; do
		awk -v disk="$disk" '{ print disk, $1 + $2 }' "/sys/block/$disk/inflight"
	done >>/tmp/seen
	awk -v disks="$(echo "$all" | wc -w)" -v depth=$depth '
		{ n += $2; if ($2 >= depth) deep[$1] = 1 }
		NR % disks == 0 { if (n > most) most = n; n = 0 }
		END { print most >"/tmp/most"; for (disk in deep) seen++; exit seen < disks }' /tmp/seen
}

# all_requests: that all disks have done
all_requests()
{
	for disk in $all; do
		requests "$disk"
	done | awk '{ n += $1 } END { print n }'
}

# set_up DISK NAME VALUE: something of its queue, and it is so
set_up()
{
	echo "$3" >"/sys/block/$1/$2" && [ "$(cat "/sys/block/$1/$2")" = "$3" ]
}

# set_depth
set_depth()
{
	for disk in $all; do
		set_up "$disk" device/queue_depth $depth || return 1
	done
}

# read_all WHAT: all disks at once, each in one buffer; sums in /tmp/WHAT-NAME
read_all()
{
	readers=
	for name in $(disks); do
		read_once "$name" $((16 << 20)) >"/tmp/$1-$name" &
		readers="$readers $!"
	done
}

# wait_for_readers
wait_for_readers()
{
	for reader in $readers; do
		wait "$reader"
	done
}

# is_right WHAT NAME
is_right()
{
	[ "$(cat "/tmp/$1-$2")" = "$(medium "$2" 3)" ]
}

ktap_print_header
ktap_set_plan $((2 * $(disks | wc -w) + 5))
all=$(for name in $(disks); do disk_of "$name"; done)
result eight [ "$(echo "$all" | wc -w)" = 8 ]
result depth set_depth
before=$(bounced)
work=$(all_requests)
for what in small large; do
	for disk in $all; do
		kib=64
		[ $what = small ] || kib=$(cat "/sys/block/$disk/queue/max_hw_sectors_kb")
		set_up "$disk" queue/max_sectors_kb "$kib"
	done
	ktap_print_msg "$what: requests of $kib KiB"
	read_all $what
	# Large ones wait for room.
	[ $what = large ] || {
		result all_under_way wait_until 60 all_deep
		ktap_print_msg "up to $(cat /tmp/most) requests under way at once"
	}
	wait_for_readers
	for name in $(disks); do
		result "${what}_$name" is_right $what "$name"
	done
done
work=$(($(all_requests) - work))
before=$(($(bounced) - before))
ktap_print_msg "$work requests, $before mappings bounced; $(tail -n 1 "$driver/aperture")"
result bounced [ "$work" -gt 0 -a "$before" -ge "$work" ]
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room"'
ktap_finished
