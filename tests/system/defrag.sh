#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "defrag": free memory is put together while CMA takes some of it and gives it back, while dom0
# gets more memory than it was booted with, and loses it, and while its disks are read.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

area=$(ls -d /sys/kernel/debug/cma/*)
pages=$(cat "$area/count")

# cma NAME PAGES: alloc or free so many of the area; free those first that came last
cma()
{
	echo "$2" 2>/dev/null >"$area/$1"
}

# cma_used PAGES: is that what is taken of it?
cma_used()
{
	[ "$(cat "$area/used")" -eq "$1" ]
}

# use_cma: take a quarter of it and give it back until /tmp/stop is there; a line for each time
use_cma()
{
	while [ ! -e /tmp/stop ]; do
		if cma alloc $((pages / 4)); then
			cma free $((pages / 4))
			echo had
		else
			echo refused
		fi
		usleep 100000
	done
}

# answers WORD: so often did it say that
answers()
{
	grep -c "^$1" /tmp/cma
}

# in_pieces: most blocks are copied
in_pieces()
{
	map_blocks 9 && [ "$total" -gt 1000 ] && [ $((2 * small)) -gt "$total" ]
}

# settle: within five minutes nothing is copied
settle()
{
	settle_blocks 300 9 none_copied && [ "$total" -gt 1000 ]
}

# all_of_cma: it can be had, and goes back
all_of_cma()
{
	wait_until 60 "cma alloc $pages" && cma_used "$pages" && cma free "$pages" && cma_used 0
}

ktap_print_header
ktap_set_plan 17
full=$(($(cat $balloon/info/current_kb) >> 10))
result area [ "$pages" -eq 16384 ]
# The worker may be at it before all is done.
scatter_all || :
ask hold
result held [ "$answer" = held ]
read_all_on
use_cma >/tmp/cma &
result in_pieces in_pieces
result working wait_until 120 working
result settled settle

# New memory comes from Xen in single pages.
had=$(told exchanged)
result more set_memory $((2 * full))
result settled_more settle
result exchanged_more [ "$(told exchanged)" -gt "$had" ]
result less set_memory "$full"
result settled_less settle

result disks_read a_round_each
: >/tmp/stop
wait
ktap_print_msg "CMA: $(answers had) times had, $(answers refused) times refused"
result cma_had [ "$(answers had)" -gt 20 ]
result all_of_cma all_of_cma
for name in $(disks); do
	result "data_$name" all_right "$name"
done
result sound is_sound
sed 's/^/# /' "$driver/defrag"
result complaints sh -c '! dmesg | grep -e "I/O error" -e "no room" -e "BUG:" -e "Bad page"'
ktap_finished
