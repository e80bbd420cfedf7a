#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "soak": everything at once, for as many minutes as /system/minutes says: disks are read in
# dom0 and by a guest, whose disks come and go; driver domains are made and destroyed; dom0's memory
# goes and comes; the kselftest maps, and coherent memory is allocated and freed. All the while
# one exchange in ten fails.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

drivers="ata_piix ahci nvme"
own=$(pci_of 0x1b36:0x0010 | tail -n 1)
hands=/sys/kernel/debug/xdt_fault
mkdir -p /tmp/soak

# is_time: still
is_time()
{
	[ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ]
}

# done_one WHO BYTES STATUS: a line for each operation
done_one()
{
	echo "$2 $3" >>"/tmp/soak/$1"
}

# random FROM TO
random()
{
	echo $(($1 + $(od -An -N2 -tu2 /dev/urandom) % ($2 - $1 + 1)))
}

# is_sum SUM DRIVER
is_sum()
{
	[ "$1" = "$(medium "$2" 3)" ]
}

read_disks()
{
	is_sum "$(read_once "$1" $((1 << $(random 12 22))))" "$1"
	done_one "disk-$1" "$(medium "$1" 2)" $?
}

# The guest's disk is another one each time.
read_in_guest()
{
	name=$(echo "$drivers" | cut -d' ' -f"$(random 1 3)")
	said xl block-attach user "phy:/dev/$(part_of "$name"),xvdb,r" &&
		in_guest user 60 "$(until_device /dev/xvdb)" &&
		read_disk_in user "$name" /dev/xvdb
	status=$?
	said xl block-detach user xvdb || status=1
	done_one guest "$(medium "$name" 2)" $status
}

one_domain()
{
	create "life-$1" 'memory = 256' "pci = [ \"${own#0000:}\" ]" &&
		in_guest "life-$1" 60 'dd if=/dev/nvme0n1 bs=1M count=8 iflag=direct of=/dev/null'
	status=$?
	destroy "life-$1" || status=1
	done_one domain $((8 << 20)) $status
}

balloon_once()
{
	target=$(random $((full / 2)) "$full")
	set_memory "$target"
	done_one memory $((target << 20)) $?
}

# What can't be allocated under faults is one thing; wrong data is another.
coherent_once()
{
	order=$(random 0 10)
	ask take "$order"
	[ "$answer" != memory ] || ask give
	[ "$answer" = given ] || [ "$answer" = nothing ]
	done_one coherent $((4096 << order)) $?
}

kselftest_once()
{
	(cd /kselftest && ./run_kselftest.sh -t "xen-dma:$1.sh") >"/tmp/soak.$1" 2>&1
	! grep -q '^# *not ok\|^not ok' "/tmp/soak.$1"
	done_one "kselftest-$1" 0 $?
}

# work COMMAND...: over and over, with the round's number
work()
{
	round=0
	while is_time; do
		round=$((round + 1))
		"$@" $round
	done
}

fail_one_in_ten()
{
	for hook in fail_call fail_extent; do
		set_fault "$driver/$hook" verbose 0 interval 1 probability 10 times 1000000 || return 1
	done
}

faults()
{
	n=0
	for hook in fail_call fail_extent; do
		n=$((n + 1000000 - $(cat "$driver/$hook/times")))
		echo 0 >"$driver/$hook/times"
	done
	echo $n
}

# tell: what was done, by kind and in all; fails where something went wrong, or where one did nothing
tell()
{
	wrong=0
	for file in /tmp/soak/*; do
		awk -v name="$(basename "$file")" '{ n++; bytes += $1; bad += $2 != 0 }
			END { printf "# %s: %d operations, %d MiB, %d errors\n", name, n, bytes / 1048576, bad; exit bad != 0 }' \
			"$file" || wrong=1
	done
	cat /tmp/soak/* | awk -v faults="$1" '{ n++; bytes += $1; bad += $2 != 0 } END {
		printf "# soak: %d operations, %d MiB, %d faults survived, %d errors\n", n, bytes / 1048576, faults, bad }'
	[ "$wrong" -eq 0 ]
}

ktap_print_header
ktap_set_plan 8
full=$(($(cat $balloon/info/current_kb) >> 10))
result devices give_devices "$own"
memory=$(free_pages)
result guest create user
need_modules xdt_edu xdt_memory xdt_fault
ask look
fail_one_in_ten
end=$(($(cut -d. -f1 /proc/uptime) + 60 * $(cat /system/minutes)))
for name in $drivers; do
	work read_disks "$name" &
done
work read_in_guest &
work one_domain &
work balloon_once &
work coherent_once &
work kselftest_once sync &
wait
survived=$(faults)
result all_right tell "$survived"
result faults_there_were [ "$survived" -gt 0 ]
result memory_back set_memory "$full"
result sound is_sound
rmmod xdt_fault
result destroyed destroy user
ktap_print_msg "Xen had $memory and has $(free_pages)"
result complaints sh -c '! dmesg | grep -e "I/O error" -e BUG: -e WARNING:'
ktap_finished
