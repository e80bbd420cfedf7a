#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "pieces": Xen has no extent of 2 MiB left, so a driver domain is built of single pages. What is
# free when its first driver is there is put together, and then what its initial file system
# was in. A nanosecond is an instruction in this step.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

edu=$(pci_of 0x1234:0x11e8 | tail -n 1)
hands=/sys/kernel/debug/xdt_defrag

# shredded: of all extents of 2 MiB that Xen has dom0 takes one half, which it may
shredded()
{
	/kselftest/xen-dma/xdt_xen allow 0 $((1 << 40)) >/dev/null
	need_modules xdt_edu xdt_memory xdt_defrag
	ask shred
	ktap_print_msg "$answer; Xen has $(($(all_free_pages) >> 8)) MiB"
	[ "$answer" = shredded ]
}

# domain NAME WORD: a driver domain whose xen_dma.defrag= is that; $whole of a thousand blocks that can be
# had are in one piece, which took $taken ms at boot
domain()
{
	guest_append="xen_dma.defrag=$2"
	create "$1" 'memory = 512' "pci = [ \"${edu#0000:}\" ]" || return 1
	guest_append=
	in_guest "$1" 60 "cd /kselftest/xen-dma; for module in xdt_edu xdt_memory xdt_defrag; do
		insmod \$module.ko; done" || return 1
	in_guest "$1" 300 'until grep -q -e "^state idle" -e "^state off" /sys/kernel/debug/xen-dma/defrag; do
		sleep 1; done' || return 1
	whole=$(in_guest "$1" 60 "echo whole 3 >$hands; cat $hands") || return 1
	in_guest "$1" 20 'dmesg | grep -e "small pieces"' >/tmp/said
	taken=$(sed -n 's/.*put together in \([0-9]*\) ms.*/\1/p' /tmp/said)
	ktap_print_msg "$1: $whole of 1000 blocks of 32 KiB are in one piece; $(cat /tmp/said)"
	ktap_print_msg "exchanges: $(in_guest "$1" 20 'tail -n +2 /sys/kernel/debug/xen-dma/exchanges' | tr '\n' ' ')"
}

# in_pieces: where nobody does anything
in_pieces()
{
	domain bare off && [ "$whole" -lt 500 ]
}

put_together()
{
	domain driver auto && [ "$whole" -ge 990 ]
}

ktap_print_header
ktap_set_plan 7
result devices give_devices "$edu"
result shredded shredded
result in_pieces in_pieces
result destroyed destroy bare
result put_together put_together
# Three quarters of a milliard of instructions. Two thirds of that are Xen's, which tells the IOMMU of
# each page by itself: in a dom0 that none watches, a page costs a fifth.
result cheap [ "${taken:-1000}" -le 750 ]
result driver_destroyed destroy driver
ktap_finished
