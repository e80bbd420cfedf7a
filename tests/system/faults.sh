#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "faults": the n-th exchange or allocation fails, for each n until none is left to fail:
# while a driver domain starts, while drivers bind to their devices, while dom0's memory
# goes and comes. Data is right each time, and Xen gets all its memory back.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

ahci=$(pci_of 0x8086:0x2922 | grep -v :1f.2)
nvme=$(pci_of 0x1b36:0x0010)

# after N: the next one of a walk; all at first, then not each
after()
{
	echo $(($1 + 1 + $1 / 2))
}

# is_used GUEST HOOK: was the fault that it was booted with?
is_used()
{
	[ "$(in_guest "$1" 20 "cat $driver/$2/times")" = 0 ]
}

# one_start GUEST: it comes up, says what it could get, and its disk is read
one_start()
{
	create "$1" 'memory = 512' "pci = [ \"${ahci#0000:}\" ]" || return 1
	judge on
	aperture_of "$1" >/dev/null && read_disk_in "$1" ahci /dev/sda1
}

# starts HOOK: of a driver domain in which the n-th one fails
starts()
{
	n=1
	while :; do
		name="start-${1#fail_}-$n"
		guest_append="xen_dma.$1=1,100,$n,1"
		one_start "$name" || {
			ktap_print_msg "the $n-th $1"
			return 1
		}
		is_used "$name" "$1" && more=y || more=
		judge off
		destroy "$name" || return 1
		guest_append=
		[ -n "$more" ] || break
		n=$(after "$n")
	done
	ktap_print_msg "$1: up to the $n-th"
	[ "$n" -gt 1 ]
}

# code_of_binding DRIVER BDF DEVICE N: shell code for a guest: the N-th allocation or exchange
# of binding fails; then the disk is there, if need be at the second try
code_of_binding()
{
	cat <<-END
		cd /sys/bus/pci/drivers/$1;
		[ ! -e $2 ] || echo $2 >unbind;
		sh -c 'echo $4 >/proc/self/fail-nth; echo $2 >bind; read left </proc/self/fail-nth; echo left \$left';
		echo 0 >/proc/self/fail-nth;
		[ -e $2 ] || echo $2 >bind;
		$(until_device "$3");
		echo sum \$(dd if=$3 bs=1M count=4 iflag=direct | sha256sum)
	END
}

# first_bytes GUEST DEVICE: their sum before all faults
first_bytes()
{
	in_guest "$1" 60 "echo sum \$(dd if=$2 bs=1M count=4 iflag=direct | sha256sum)" | sed -n 's/^sum \([0-9a-f]*\).*/\1/p'
}

# binds DRIVER BDF DEVICE: in the guest "owner"
binds()
{
	want=$(first_bytes owner "$3")
	n=1
	while :; do
		in_guest owner 120 "$(code_of_binding "$1" "$2" "$3" "$n")" >/tmp/bound
		grep -q "^sum $want" /tmp/bound || {
			ktap_print_msg "$1, the $n-th: $(tr '\n' ' ' </tmp/bound)"
			return 1
		}
		grep -q '^left 0' /tmp/bound || break
		n=$(after "$n")
	done
	ktap_print_msg "$1: up to the $n-th"
	[ "$n" -gt 1 ]
}

# pci_in GUEST VENDOR:DEVICE: where it is there
pci_in()
{
	in_guest "$1" 20 "for d in /sys/bus/pci/devices/*; do
		[ \$(cat \$d/vendor):\$(cat \$d/device) != $2 ] || echo at \${d##*/}; done" | sed -n 's/^at //p'
}

# fail_often MIB: dom0 gets that much memory, while allocations of its balloon fail
fail_often()
{
	for hook in failslab fail_page_alloc; do
		set_fault "$debugfs/$hook" task-filter 1 ignore-gfp-wait 0 verbose 0 interval 1 \
			probability 20 times 3 || return 1
	done
	set_fault "$debugfs/fail_page_alloc" ignore-gfp-highmem 0 min-order 0 || return 1
	pid=$(grep -lx xen-balloon /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3)
	echo 1 >"/proc/$pid/make-it-fail" || return 1
	set_memory "$1" 180
	there=$?
	echo 0 >"/proc/$pid/make-it-fail"
	survived=$((survived + 3 - $(cat /sys/kernel/debug/fail_page_alloc/times)))
	return $there
}

# balloon_under_faults: away and back, and faults there were
balloon_under_faults()
{
	full=$(($(cat $balloon/info/current_kb) >> 10))
	survived=0
	fail_often $((full / 2)) && fail_often "$full" || return 1
	ktap_print_msg "$survived allocations failed"
	[ "$survived" -gt 0 ]
}

ktap_print_header
ktap_set_plan 11
result devices give_devices "$ahci" "$nvme"
memory=$(free_pages)
for hook in fail_call fail_extent fail_report; do
	result "start_$hook" starts $hook
done
# shellcheck disable=SC2086	# words are wanted
result memory_after_starts memory_is $memory
result domain create owner 'memory = 512' "pci = [ \"${ahci#0000:}\", \"${nvme#0000:}\" ]"
judge on
result bind_ahci binds ahci "$(pci_in owner 0x8086:0x2922)" /dev/sda1
result bind_nvme binds nvme "$(pci_in owner 0x1b36:0x0010)" /dev/nvme0n1p1
judge off
result destroyed destroy owner
# shellcheck disable=SC2086
result memory memory_is $memory
result balloon balloon_under_faults
ktap_finished
