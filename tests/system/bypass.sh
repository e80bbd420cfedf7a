#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "bypass": what does not go through the DMA API gives devices pseudo-physical addresses, and
# can't work in a PV domain. Here is what Documentation/core-api/xen-dma/without-dma-api.rst says of it.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# reads_other: the floppy disk is read to its end without an error, and what is read is not what is on it
reads_other()
{
	said insmod /system/floppy.ko && wait_until 30 '[ -b /dev/fd0 ]' || return 1
	dd if=/dev/fd0 of=/tmp/read bs="$(medium floppy 2)" count=1 iflag=fullblock 2>/tmp/dd
	said rmmod floppy
	ktap_print_msg "floppy: $(tail -n 1 /tmp/dd)"
	[ "$(wc -c </tmp/read)" -eq "$(medium floppy 2)" ] &&
		[ "$(sha256sum </tmp/read | cut -d' ' -f1)" != "$(medium floppy 3)" ]
}

# shows_other: ten seconds after a picture was drawn, the screen is seen, and shows something else
shows_other()
{
	cat /system/picture-1 >/dev/fb0
	! wait_until 10 'shown 1' && [ "$(wc -c </tmp/shown)" -gt "$(medium picture-1 2)" ]
}

ktap_print_header
ktap_set_plan 2
open_screen
result screen shows_other
result floppy reads_other
ktap_finished
