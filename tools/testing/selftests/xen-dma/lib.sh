# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the scripts of this kselftest share: TAP, and running a test module.
#
# A module's cases are KUnit cases, which run while the module is loaded. Their
# results are read from the kernel log, where they are complete on every kernel;
# the files that KUnit has in debugfs cut them short on older ones.

# shellcheck disable=SC2034 # for the scripts that source this file
KSFT_PASS=0
KSFT_FAIL=1
KSFT_SKIP=4

tests=0
failed=0
skipped=0

say()
{
	echo "# $*"
}

# skip_all REASON: nothing here can be tested
skip_all()
{
	echo "1..0 # SKIP $*"
	exit "$KSFT_SKIP"
}

# plan N
plan()
{
	echo "TAP version 13"
	echo "1..$1"
}

# result STATUS NAME [SKIP-REASON]: STATUS is pass, fail or skip
result()
{
	tests=$((tests + 1))
	case $1 in
	pass)
		echo "ok $tests $2"
		;;
	skip)
		skipped=$((skipped + 1))
		echo "ok $tests $2 # SKIP ${3:-}"
		;;
	*)
		failed=$((failed + 1))
		echo "not ok $tests $2"
		;;
	esac
}

# check NAME COMMAND...: a result by the command's exit status
check()
{
	name=$1
	shift
	if "$@"; then
		result pass "$name"
	else
		result fail "$name"
	fi
}

# finish: exit with what the results add up to
finish()
{
	say "Totals: pass:$((tests - failed - skipped)) fail:$failed" \
		"xfail:0 xpass:0 skip:$skipped error:0"
	[ "$failed" -eq 0 ] || exit "$KSFT_FAIL"
	[ "$skipped" -lt "$tests" ] || exit "$KSFT_SKIP"
	exit "$KSFT_PASS"
}

# need_edu: skip everything on a machine without the device
need_edu()
{
	for device in /sys/bus/pci/devices/*; do
		[ -r "$device/device" ] || continue
		[ "$(cat "$device/vendor")" = 0x1234 ] || continue
		[ "$(cat "$device/device")" = 0x11e8 ] || continue
		return 0
	done
	skip_all "no edu device (QEMU: -device edu,dma_mask=0xffffffffffffffff)"
}

# loaded MODULE
loaded()
{
	[ -d "/sys/module/$1" ]
}

# load MODULE
load()
{
	loaded "$1" || insmod "./$1.ko"
}

# unload MODULE...
unload()
{
	for module in "$@"; do
		loaded "$module" || continue
		rmmod "$module" || return 1
	done
}

# log_since MARK: the kernel log from that line on, without time stamps
log_since()
{
	dmesg | sed -e 's/^<[0-9]*>//' -e 's/^\[[^]]*\] //' |
		sed -n "/$1/,\$p"
}

# scatter_memory: have the domain's memory in pieces, where it can be
#
# A domain that has given pages back and got others no longer has memory that is
# in one piece in the machine wherever it is in one piece for the domain. What came
# back last is given out first, so each script that looks for pieces does it anew.
scatter_memory()
{
	balloon=/sys/devices/system/xen_memory/xen_memory0
	[ -w "$balloon/target" ] || return 0

	full=$(cat "$balloon/target_kb")
	small=$((full - 262144))
	echo "${small}K" >"$balloon/target" || return 0
	wait_memory "$balloon" "$small"
	echo "${full}K" >"$balloon/target"
	wait_memory "$balloon" "$full"
}

# wait_memory BALLOON KIB: until the domain has that much, or a minute is over
wait_memory()
{
	left=600
	while [ "$(cat "$1/info/current_kb")" -ne "$2" ] && [ "$left" -gt 0 ]; do
		left=$((left - 1))
		usleep 100000 2>/dev/null || sleep 0.1
	done
	[ "$left" -gt 0 ] || say "the balloon did not get to $2 KiB"
}

# run_suite MODULE SUITE [N]: load a test module, and tell what its cases said
#
# Then more_results, of the script, tells N results of its own.
run_suite()
{
	need_edu
	[ "$(id -u)" -eq 0 ] || skip_all "only root can load modules"
	[ -d /sys/module/kunit ] || skip_all "the kernel has no KUnit"
	# On ARM a grant tells the witness where it is.
	[ ! -e xdt_grant.ko ] || load xdt_grant
	load xdt_edu || skip_all "xdt_edu.ko can't be loaded"
	unload "$1" || skip_all "an earlier $1 can't be unloaded"

	mark="xdt: $2 starts at $(cut -d' ' -f1 /proc/uptime)"
	echo "$mark" >/dev/kmsg
	if ! insmod "./$1.ko"; then
		plan 1
		result fail "$2.load"
		finish
	fi
	log=$(log_since "$mark")
	unload "$1"

	# Two levels: "    ok 1 case" for cases, "ok 1 suite" for the suite.
	count=$(echo "$log" | sed -n 's/^ \{4\}1\.\.\([0-9]*\)$/\1/p' | head -n 1)
	plan $((${count:-1} + ${3:-0}))
	while IFS= read -r line; do
		name=${line#*ok }
		name=${name#* }
		name=${name#- }
		case $line in
		"    ok "*"# SKIP"*)
			result skip "$2.${name%% *}" "${name#*SKIP }"
			;;
		"    ok "*)
			result pass "$2.${name%% *}"
			;;
		"    not ok "*)
			result fail "$2.${name%% *}"
			;;
		*)
			say "$line"
			;;
		esac
	done <<-END
	$log
	END
	if [ "$tests" -ne "${count:-1}" ]; then
		say "$tests results for ${count:-no} cases"
		failed=$((failed + 1))
	fi
	[ "${3:-0}" -eq 0 ] || more_results
	finish
}
