#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Steps "picture" and "picture-forced": dom0 draws pictures, one over the other, and asks QEMU for
# what its screen shows.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# draw NUMBER: the kernel draws at its leisure
draw()
{
	ktap_print_msg "shown $1"
	cat "/system/picture-$1" >/dev/fb0 && wait_until 10 "shown $1"
}

ktap_print_header
ktap_set_plan 4
open_screen
result size [ "$(cat /sys/class/graphics/fb0/virtual_size)" = "$(medium size 2)" ]
before=$(bounced)
for number in 1 2; do
	result "picture_$number" draw $number
done
ktap_print_msg "$(($(bounced) - before)) mappings bounced"
result complaints sh -c '! dmesg | grep -e "xen-dma: .*can.t" -e "no room"'
ktap_finished
