#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "bypass": what does not go through the DMA API gives devices pseudo-physical addresses, and
# can't work in a PV domain. Here is what Documentation/core-api/xen-dma/without-dma-api.rst says of it.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# read_floppy [OPTION]: is all of the disk read, and right?
read_floppy()
{
	said insmod /system/floppy.ko "$@" && wait_until 30 '[ -b /dev/fd0 ]' || return 1
	size=$(medium floppy 2)
	sum=$(dd if=/dev/fd0 bs="$size" count=1 iflag=fullblock 2>/tmp/dd | sha256sum | cut -d' ' -f1)
	said rmmod floppy
	ktap_print_msg "floppy $*: $(tail -n 1 /tmp/dd), sum ${sum%"${sum#????????}"}"
	[ "$sum" = "$(medium floppy 3)" ]
}

# draw: is the first picture on the screen in ten seconds?
draw()
{
	cat /system/picture-1 >/dev/fb0 && wait_until 10 'shown 1'
}

# tell_where: has qemu_fw_cfg told QEMU where the kernel's notes are, in ten seconds?
tell_where()
{
	insmod /system/qemu_fw_cfg.ko &
	loading=$!
	wait_until 10 "[ ! -d /proc/$loading/fd ] || ! [ \"\$(ls -A /proc/$loading/fd 2>/dev/null)\" ]"
}

# spins: nobody ends it, and it is at work
spins()
{
	kill -9 "$loading"
	! wait_until 10 "grep -q 'State:.*zombie' /proc/$loading/status" &&
		grep -q 'State:.*running' "/proc/$loading/status" &&
		[ "$(awk '{ print $15 }' "/proc/$loading/stat")" -gt 500 ]
}

ktap_print_header
ktap_set_plan 5
open_screen
# What it writes past the API may hit anything; it comes last of what does.
result floppy_without_dma read_floppy floppy=nodma
result floppy_with_dma eval '! read_floppy'
result screen eval '! draw && [ "$(wc -c </tmp/shown)" -eq "$(wc -c <"/system/picture-1" | awk "{ print \$1 / 4 * 3 + 15 }")" ]'
result fw_cfg eval '! tell_where'
result fw_cfg_spins spins
ktap_finished
