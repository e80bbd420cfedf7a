#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs in a guest of tests/system: takes orders from its console, a line each, a number and
# shell code; says when it begins and how it ended.

dmesg -n 1
stty -F /dev/console -echo
echo "guest: ready"
while IFS= read -r line; do
	number=${line%% *}
	echo "guest: begin $number"
	(eval "${line#* }") 2>&1 </dev/null
	echo "guest: end $number $?"
done </dev/console
