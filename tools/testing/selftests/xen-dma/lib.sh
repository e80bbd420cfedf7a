# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the scripts of this kselftest share: running a test module, and looking at the
# kernel log. Results are printed by the kernel's own ktap_helpers.sh.
#
# A module's cases are KUnit cases, which run while the module is loaded. Their
# results are read from the kernel log, where they are complete on every kernel;
# the files that KUnit has in debugfs cut them short on older ones.
if [ -r ../kselftest/ktap_helpers.sh ]; then
	# shellcheck source=/dev/null
	. ../kselftest/ktap_helpers.sh
else
	. ./ktap_compat.sh
fi

# Where the driver tells what it does.
debugfs=/sys/kernel/debug
driver=$debugfs/xen-dma

# set_fault DIRECTORY FILE VALUE...: the fault injection framework's files, if there are any
set_fault()
{
	fault=$1
	shift
	while [ $# -gt 0 ]; do
		[ -w "$fault/$1" ] || return 1
		echo "$2" >"$fault/$1"
		shift 2
	done
}

# skip_all REASON: nothing here can be tested
skip_all()
{
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
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

# need_modules MODULE...: load them, or skip everything
need_modules()
{
	[ "$(id -u)" -eq 0 ] || skip_all "only root can load modules"
	for module in "$@"; do
		loaded "$module" || insmod "./$module.ko" ||
			skip_all "$module.ko can't be loaded"
	done
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

# scatter_memory: have the domain's memory in pieces, where it can be; $scatter_kib, or 256 MiB
#
# A domain that has given pages back and got others no longer has memory that is
# in one piece in the machine wherever it is in one piece for the domain. What came
# back last is given out first, so each script that looks for pieces does it anew.
scatter_memory()
{
	balloon=/sys/devices/system/xen_memory/xen_memory0
	[ -w "$balloon/target" ] || return 0

	full=$(cat "$balloon/target_kb")
	small=$((full - ${scatter_kib:-262144}))
	echo "${small}K" >"$balloon/target" || return 0
	wait_memory "$balloon" "$small"
	echo "${full}K" >"$balloon/target"
	wait_memory "$balloon" "$full"
}

# ask WORDS...: of the module whose file in debugfs is $hands; its answer is in $answer
# shellcheck disable=SC2034,SC2154 # both are of the script
ask()
{
	echo "$*" >"$hands"
	read -r answer <"$hands"
}

# is_sound: is what xdt_defrag or xdt_fault holds as it was, and each page the domain's?
is_sound()
{
	ask look
	[ "$answer" = sound ] || ktap_print_msg "$answer"
	[ "$answer" = sound ]
}

# map_blocks ORDER: xdt_defrag maps blocks of all sizes; of $total up to that order $small were
# copied, and $large larger ones. If the device saw something else it fails, and $wrong is 1.
# shellcheck disable=SC2034 # they are for the script
map_blocks()
{
	ask map "$1"
	exchanged=$(told exchanged)
	ktap_print_msg "copied up to order $1, larger, of all: $answer; exchanged: $exchanged"
	case $answer in
	[0-9]*) ;;
	*)
		wrong=1
		return 1
		;;
	esac
	# shellcheck disable=SC2086 # three words
	set -- $answer
	small=$1
	large=$2
	total=$3
}

# none_copied: no block up to that order was
none_copied()
{
	[ "$small" -eq 0 ]
}

# settle_blocks SECONDS ORDER CONDITION: map them every ten seconds until that shell code succeeds
settle_blocks()
{
	since=$(cut -d. -f1 /proc/uptime)
	while map_blocks "$2"; do
		took=$(($(cut -d. -f1 /proc/uptime) - since))
		if eval "$3"; then
			ktap_print_msg "settled after $took s"
			return 0
		fi
		[ "$took" -lt "$1" ] || return 1
		sleep 10
	done
	return 1
}

# told NAME: what the worker says that puts free memory together
told()
{
	sed -n "s/^$1 //p" "$driver/defrag"
}

# idle: has it nothing to do?
idle()
{
	[ "$(told state)" = idle ]
}

# working: is it at it?
working()
{
	[ "$(told state)" = working ]
}

# wait_until SECONDS CONDITION: until that shell code succeeds; fails when the time is over
wait_until()
{
	left=$((10 * $1))
	until eval "$2"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		usleep 100000 2>/dev/null || sleep 0.1
	done
}

# wait_memory BALLOON KIB: until the domain has that much, or a minute is over
wait_memory()
{
	wait_until 60 "[ \$(cat $1/info/current_kb) -eq $2 ]" ||
		ktap_print_msg "the balloon did not get to $2 KiB"
}

# run_suite MODULE SUITE [N]: load a test module, and tell what its cases said
#
# Then more_results, of the script, tells N results of its own. $suite_params are for the
# module.
run_suite()
{
	need_edu
	[ -d /sys/module/kunit ] || skip_all "the kernel has no KUnit"
	# On ARM a grant tells the witness where it is.
	[ ! -e xdt_grant.ko ] || need_modules xdt_grant
	need_modules xdt_edu
	unload "$1" || skip_all "an earlier $1 can't be unloaded"

	mark="xdt: $2 starts at $(cut -d' ' -f1 /proc/uptime)"
	echo "$mark" >/dev/kmsg
	ktap_print_header
	# shellcheck disable=SC2086 # several words
	if ! insmod "./$1.ko" ${suite_params:-}; then
		ktap_set_plan 1
		ktap_test_fail "$2.load"
		ktap_finished
	fi
	log=$(log_since "$mark")
	unload "$1"

	# Two levels: "    ok 1 case" for cases, "ok 1 suite" for the suite. A case without
	# a result breaks the plan, which ktap_finished takes for a failure.
	count=$(echo "$log" | sed -n 's/^ \{4\}1\.\.\([0-9]*\)$/\1/p' | head -n 1)
	ktap_set_plan $((${count:-1} + ${3:-0}))
	while IFS= read -r line; do
		name=${line#*ok }
		name=${name#* }
		name=${name#- }
		case $line in
		"    ok "*"# SKIP"*)
			ktap_print_msg "skipped: ${name#*SKIP }"
			ktap_test_skip "$2.${name%% *}"
			;;
		"    ok "*)
			ktap_test_pass "$2.${name%% *}"
			;;
		"    not ok "*)
			ktap_test_fail "$2.${name%% *}"
			;;
		*)
			echo "# $line"
			;;
		esac
	done <<-END
	$log
	END
	[ "${3:-0}" -eq 0 ] || more_results
	ktap_finished
}
