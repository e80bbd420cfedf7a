#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Steps "picture" and "picture-forced": dom0 draws pictures, one over the other, and asks QEMU for
# what its screen shows.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# shown NUMBER: does the screen show that picture? The dump goes to the host's files, where it is
# looked at once more.
shown()
{
	echo "screendump $(medium dumps 2)/shown-$1" >&3
	tftp -g -b 1428 -l /tmp/shown -r "shown-$1" 10.0.9.2 2>/dev/null &&
		[ "$(tail -c "$(medium "picture-$1" 2)" /tmp/shown | sha256sum | cut -d' ' -f1)" = \
			"$(medium "picture-$1" 3)" ]
}

# draw NUMBER: the kernel draws at its leisure
draw()
{
	ktap_print_msg "shown $1"
	cat "/system/picture-$1" >/dev/fb0 && wait_until 10 "shown $1"
}

ktap_print_header
ktap_set_plan 4
# Nobody else draws.
for console in /sys/class/vtconsole/vtcon*; do
	grep -q dummy "$console/name" || echo 0 >"$console/bind"
done
ifconfig eth0 10.0.9.20 netmask 255.255.255.0 up
# QEMU's monitor
mkfifo /tmp/monitor
nc 10.0.9.100 4444 </tmp/monitor >/dev/null &
exec 3>/tmp/monitor
result size [ "$(cat /sys/class/graphics/fb0/virtual_size)" = "$(medium size 2)" ]
before=$(bounced)
for number in 1 2; do
	result "picture_$number" draw $number
done
ktap_print_msg "$(($(bounced) - before)) mappings bounced"
result complaints sh -c '! dmesg | grep -e "xen-dma: .*can.t" -e "no room"'
ktap_finished
