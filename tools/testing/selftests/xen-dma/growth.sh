#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# An aperture that grows with what is mapped, and shrinks when it is idle.
#
# The cases are in test_modules/xdt_growth.c. Afterwards the chunks that were
# added have to go, and the memory has to come back: not as soon as it was when they
# came, which is in an hour, but as soon as it is then.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

aperture=$driver/aperture
idle=/sys/module/xen_dma/parameters/idle

# slots: of all chunks
slots()
{
	awk '/^0x/ { n += $3 } END { print n + 0 }' "$aperture" 2>/dev/null
}

# free_kib: what the kernel could still give
free_kib()
{
	sed -n 's/^MemFree: *\([0-9]*\).*/\1/p' /proc/meminfo
}

# released: within three times the time after which a chunk may go
released()
{
	[ -r "$aperture" ] || return 1
	echo "$seconds" >$idle
	wait_until $((3 * seconds)) "[ \$(slots) -le $boot_slots ]"
	ktap_print_msg "slots: $boot_slots before, $grown_slots grown, $(slots) now;" \
		"free: $before KiB before, $(free_kib) now"
	[ "$grown_slots" -gt "$boot_slots" ] &&
		[ "$(slots)" -le "$boot_slots" ] &&
		[ $(($(free_kib) + 16384)) -ge "$before" ]
}

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	grown_slots=$(slots)
	ktap_test_result xdt_growth.released released
}

boot_slots=$(slots)
seconds=${XDT_IDLE:-$(cat $idle 2>/dev/null || echo 60)}
[ ! -w $idle ] || echo 3600 >$idle
before=$(free_kib)
run_suite xdt_growth xdt_growth 1
