#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Steps "sound" and "sound-forced": dom0 plays tones; the host has a recording. When no exchange
# succeeds, the card gets other memory, and the tone is heard all the same; where all DMA is bounced
# there is none for it, and the writer has an error.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# More hypercalls than there can be: what has gone from it were some that failed.
many=1000000

# play HERTZ: the tone that the host made. All of it has room in the card's memory, so no gap comes
# of a domain that has to wait.
play()
{
	echo "cat 4 16384" >/proc/asound/card0/pcm0p/oss
	cat "/system/tone-$1" >/dev/dsp
}

# play_well HERTZ: the host listens for it
play_well()
{
	play "$1" && ktap_print_msg "played $1"
}

# is_forced: all DMA is bounced. Then the card's memory may come from where bounces have theirs
is_forced()
{
	grep -q swiotlb=force /proc/cmdline
}

# play_without HERTZ: the same, or there is an error, where there may be one
play_without()
{
	play_well "$1" && return 0
	ktap_print_msg "the writer has an error"
	is_forced
}

# faults TIMES: of each exchange that will be tried, and nothing is kept that would do
faults()
{
	echo 2 >/proc/sys/vm/drop_caches
	set_fault "$driver/fail_call" probability 100 interval 1 verbose 0 space 0 times "$1"
}

# faults_used: has there been one?
faults_used()
{
	left=$(cat "$driver/fail_call/times")
	ktap_print_msg "$((many - left)) hypercalls failed"
	[ "$left" -lt $many ]
}

ktap_print_header
ktap_set_plan 5
result scattered scatter_all
# First, for what an exchange has made is in one piece for who comes next.
faults $many
result plays_without play_without 150
result faults faults_used
faults 0
result plays play_well 100
result plays_again play_well 200
ktap_finished
