# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the tests share: TAP on the standard output. Sourced, never run.
#
# A test is a command that succeeds; what it prints is shown, as comments, when it
# does not.

# shellcheck disable=SC2034	# used by those who source this
top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
tap_count=0
tap_failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

echo 'TAP version 13'

# check NAME COMMAND [ARG]...: passes when COMMAND succeeds.
check() {
	tap_name=$1
	shift
	tap_count=$((tap_count + 1))
	if "$@" >"$work/said" 2>&1 </dev/null; then
		echo "ok $tap_count - $tap_name"
	else
		tap_failed=1
		echo "not ok $tap_count - $tap_name"
		sed 's/^/# /' "$work/said"
	fi
}

# finish: the plan, and the exit status.
finish() {
	echo "1..$tap_count"
	exit "$tap_failed"
}
