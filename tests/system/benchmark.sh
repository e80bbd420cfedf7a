#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "benchmark": what the kernel brings to try its DMA API: dma_map_benchmark on a device
# whose mappings are all bounced, with masks down to 24 bits, and dmapool_test. What they
# measure is shown, not judged: they have to end well, with a result.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

edu=$(pci_of 0x1234:0x11e8)
driver_of_it=/sys/bus/pci/drivers/dma_map_benchmark

bind_benchmark()
{
	echo dma_map_benchmark >"/sys/bus/pci/devices/$edu/driver_override" &&
		echo "$edu" >$driver_of_it/bind && [ -e /sys/kernel/debug/dma_map_benchmark ]
}

unbind_benchmark()
{
	echo "$edu" >$driver_of_it/unbind && [ ! -e /sys/kernel/debug/dma_map_benchmark ]
}

# measure BITS DIRECTION THREADS PAGES
measure()
{
	before=$(bounced)
	/system/bin/dma_map_benchmark -s 1 -b "$1" -d "$2" -t "$3" -g "$4" >/tmp/measured 2>&1
	status=$?
	before=$(($(bounced) - before))
	ktap_print_msg "$(sed 's/^average //' /tmp/measured | tr '\n' ' '): $before bounced"
	[ $status = 0 ] && [ $before -gt 0 ] && grep -q '^average map latency(us):[0-9.]*[1-9]' /tmp/measured
}

# pools: the test runs while it is loaded; a line for each size that it is through with
pools()
{
	said insmod /system/dmapool_test.ko || return 1
	dmesg | sed -n 's/.*\(dmapool test: \)/\1/p' >/tmp/pools
	sed 's/^/# /' /tmp/pools
	said rmmod dmapool_test && [ "$(grep -c 'size:[0-9]* *align:[0-9]* *blocks:[0-9]* *time:[0-9]' /tmp/pools)" -ge 6 ]
}

ktap_print_header
ktap_set_plan 40
result bind bind_benchmark
for bits in 32 30 24; do
	for direction in 0 1 2; do
		for threads in 1 2; do
			for pages in 1 16; do
				result "mask_${bits}_direction_${direction}_threads_${threads}_pages_$pages" \
					measure $bits $direction $threads $pages
			done
		done
	done
done
result unbind unbind_benchmark
result pools pools
result complaints sh -c '! dmesg | grep -e "dma_map_single failed" -e "no room" -e "dmapool.* failed"'
ktap_finished
