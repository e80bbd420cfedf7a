#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The one line in which the driver says at boot what it bounces through.
#
# Size, number of chunks, largest chunk, highest bus address: each of them has
# to be a sensible figure and to agree with the others.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

[ "$(cat /sys/hypervisor/type 2>/dev/null)" = xen ] ||
	skip_all "not in a Xen domain"

# figure PATTERN: what the group of PATTERN is in the line
figure()
{
	echo "$line" | sed -n "s/.*$1.*/\\1/p"
}

# bytes NUMBER UNIT: the number may have one decimal
bytes()
{
	case ${2:-} in
	KiB) unit=1024 ;;
	MiB) unit=1048576 ;;
	GiB) unit=1073741824 ;;
	*) unit=0 ;;
	esac
	tenths=0
	case ${1:-} in
	*.*) tenths=${1#*.} ;;
	esac
	whole=${1:-0}
	echo $((${whole%%.*} * unit + tenths * unit / 10))
}

line=$(dmesg | grep -i 'xen-dma: aperture.*chunk')
[ -z "$line" ] || ktap_print_msg "$line"
size=$(figure 'aperture \([0-9.]* [KMG]iB\)')
chunks=$(figure ' \([0-9]*\) chunk')
largest=$(figure 'largest \([0-9.]* [KMG]iB\)')
highest=$(figure 'highest bus address \(0x[0-9a-f]*\)')

# shellcheck disable=SC2086 # a number and its unit
size=$(bytes $size) largest=$(bytes $largest)
chunks=${chunks:-0} highest=$((${highest:-0}))
# Where memory is exchanged it comes from below 4 GiB; where it is found it lies anywhere.
case $(uname -m) in
aarch64|arm*) end=$((1 << 40)) ;;
*) end=$((1 << 32)) ;;
esac

ktap_print_header
ktap_set_plan 4
ktap_test_result boot_message.one_line [ "$(echo "$line" | grep -c .)" -eq 1 ]
ktap_test_result boot_message.size [ "$size" -ge 1048576 ]
ktap_test_result boot_message.chunks [ "$chunks" -ge 1 -a "$largest" -gt 0 -a \
	"$largest" -le "$size" -a $((largest * chunks)) -ge "$size" ]
ktap_test_result boot_message.highest [ "$largest" -gt 0 -a "$highest" -ge "$largest" -a \
	"$highest" -lt "$end" ]
ktap_finished
