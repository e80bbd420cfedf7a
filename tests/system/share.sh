#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "share": dom0 grants a guest the pages of dma-bufs: of a memfd, through udmabuf, and of
# the system heap. The guest sees what dom0 writes into them later, and the other way round;
# or nothing is granted. Bounce buffers are nobody's to see.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# shared KIND PAGES [refused]: that word allows it to be refused
shared()
{
	/system/bin/share give "$(xl domid user)" "$2" "$1" </tmp/held >/tmp/shared 2>&1 &
	exec 3>/tmp/held
	wait_until 30 "grep -q -e '^shared .' -e '^refused' /tmp/shared"
	refs=$(sed -n 's/^shared //p' /tmp/shared)
	taken=0
	if [ -n "$refs" ]; then
		in_guest user 60 "/system/bin/share take 0 $refs" >/tmp/taken || taken=1
	fi
	exec 3>&-
	wait $! || taken=1
	ktap_print_msg "$1 of $2 pages: $(sed 's/^shared.*/shared/' /tmp/shared | tr '\n' ' '), $(cat /tmp/taken)"
	[ $taken = 0 ] && { [ -n "$refs" ] || [ "${3:-}" = refused ]; }
}

# shared_in_pieces: buffers some of whose pages follow each other for dom0, but not in the machine
shared_in_pieces()
{
	refusals=0
	for try in 1 2 3 4 5 6 7 8; do
		: >/tmp/taken
		shared heap 256 refused || return 1
		[ -n "$refs" ] || refusals=$((refusals + 1))
	done
	ktap_print_msg "$refusals of $try refused"
	[ $refusals -gt 0 ]
}

mark="xdt: share starts at $(cut -d' ' -f1 /proc/uptime)"
echo "$mark" >/dev/kmsg
ktap_print_header
ktap_set_plan 14
mkfifo /tmp/held
result guest create user
for kind in memfd heap; do
	: >/tmp/taken
	result "${kind}_page" shared $kind 1
	# Chance may have it that these are not in one piece, but not each time.
	several=
	for pages in 17 64 128; do
		: >/tmp/taken
		result "${kind}_$pages" shared $kind $pages refused
		several=$several$refs
	done
	result "${kind}_several" [ -n "$several" ]
done
scatter_memory
result in_pieces shared_in_pieces
result destroyed destroy user
log_since "$mark" >/tmp/log
result complaints sh -c '[ -s /tmp/log ] && ! grep -e "deferring g" -e WARNING /tmp/log'
ktap_finished
