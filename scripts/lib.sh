# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the scripts share: messages, the cache's directories, packages, locks,
# and long work shown by stage. Sourced, never run.
#
# Everything a script makes lies in one cache, so that a second checkout starts
# warm and `make distclean` finds all of it. Messages go to the standard error,
# the standard output is kept for results.

prog=${0##*/}
# shellcheck disable=SC2034	# used by those who source this
top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

note() {
	printf '%s: %s\n' "$prog" "$*" >&2
}

# die MESSAGE: one line, then out with $die_status (a script may set its own).
die() {
	note "$*"
	exit "${die_status:-1}"
}

# A caught signal runs the EXIT trap too, which cleans up and ends the ticker.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

case ${XDG_CACHE_HOME:-} in
/*)	cache=$XDG_CACHE_HOME/xen-dma ;;
*)	cache=${HOME:?is not set, so there is no place for the cache}/.cache/xen-dma ;;
esac
case $cache in
*[[:space:]:]*)
	die "the cache's path may hold neither blanks nor colons (the kernel's build refuses them): $cache" ;;
esac

# Kernel series that the scripts know; the first one is the default.
# shellcheck disable=SC2034	# used by those who source this
known_kvers='6.12 7.3 6.1'

# has_word WORD LIST: is WORD one of LIST's, which blanks part?
has_word() {
	case " $2 " in
	*" $1 "*) [ -n "$1" ] ;;
	*)	return 1 ;;
	esac
}

# need_value OPTION COUNT: refuse an option that came last and lacks its value.
need_value() {
	[ "$2" -ge 2 ] || die "$1 needs a value (see --help)"
}

# make_dirs DIR...: in the cache, with a clear word when that can't be.
make_dirs() {
	for make_dirs_one in "$@"; do
		mkdir -p "$make_dirs_one" 2>/dev/null || die "cannot make $make_dirs_one (no permission, or the disk is full)"
	done
}

# lock NAME: hold the cache's lock NAME until this script ends.
lock() {
	make_dirs "$cache/lock"
	exec 9>"$cache/lock/$1"
	flock -n 9 || {
		note "waiting for another run that holds $cache/lock/$1"
		flock 9
	}
}

# span SECONDS: the same for people.
span() {
	if [ "$1" -ge 60 ]; then
		printf '%d min %d s' $(($1 / 60)) $(($1 % 60))
	else
		printf '%d s' "$1"
	fi
}

# The ticker tells how long a stage has run: each second on a terminal, in a log
# once in a while. It holds neither the lock nor the output of who started it,
# and takes its sleep along when it is stopped.
ticker() {
	if [ -t 2 ]; then ticker_step=1; else ticker_step=30; fi
	ticker_sleep=
	trap '[ -z "$ticker_sleep" ] || kill "$ticker_sleep" 2>/dev/null; exit 0' TERM
	trap - EXIT
	while kill -0 $$ 2>/dev/null; do
		sleep "$ticker_step" >/dev/null 2>&1 &
		ticker_sleep=$!
		wait "$ticker_sleep"
		ticker_span=$(span $(($(date +%s) - stage_start)))
		if [ -t 2 ]; then
			printf '\r    %s ' "$ticker_span" >&2
		else
			printf '    %s: %s so far\n' "$stage_name" "$ticker_span" >&2
		fi
	done
}

stop_ticker() {
	[ -n "${ticker_pid:-}" ] || return 0
	kill "$ticker_pid" 2>/dev/null || :
	wait "$ticker_pid" 2>/dev/null || :
	ticker_pid=
	[ ! -t 2 ] || printf '\r' >&2
}

trap stop_ticker EXIT

# try_stage NAME LOG COMMAND [ARG]...: run COMMAND with its output in LOG (and
# on the terminal too with V=1). Returns what COMMAND returned.
try_stage() {
	stage_name=$1 stage_log=$2
	shift 2
	stage_start=$(date +%s)
	printf '==> %s (log: %s)\n' "$stage_name" "$stage_log" >&2
	make_dirs "${stage_log%/*}"
	stage_status=0
	if [ "${V:-0}" != 0 ]; then
		{ "$@" 2>&1 9>&- && echo 0 >"$stage_log.status" || echo $? >"$stage_log.status"; } |
			tee "$stage_log" >&2
		read -r stage_status <"$stage_log.status"
		rm -f "$stage_log.status"
	else
		ticker 9>&- &
		ticker_pid=$!
		"$@" >"$stage_log" 2>&1 </dev/null || stage_status=$?
		stop_ticker
	fi
	stage_end='done in'
	[ "$stage_status" -eq 0 ] || stage_end='failed after'
	printf '    %s %s\n' "$stage_end" "$(span $(($(date +%s) - stage_start)))" >&2
	return "$stage_status"
}

# disk_full LOG: a full disk, told by LOG or so full that LOG could not tell.
disk_full() {
	grep -q 'No space left on device\|not have enough free space' "$1" 2>/dev/null ||
		df -Pk "$cache" | awk 'NR == 2 { exit !($4 < 64) }'
}

# stage_failed: name the stage, its log's last lines, and end.
stage_failed() {
	if disk_full "$stage_log"; then
		die "stage '$stage_name' failed: no space left on the disk of $cache (log: $stage_log)"
	fi
	tail -n 20 "$stage_log" >&2
	die "stage '$stage_name' failed after $(span $(($(date +%s) - stage_start))) (log: $stage_log)"
}

# stage: as try_stage, but a failure ends the script.
stage() {
	try_stage "$@" || stage_failed
}

# no_network LOG: does apt's output tell that the mirror was out of reach?
no_network() {
	grep -Eq 'Temporary failure (in name resolution|resolving)|Could not (resolve|connect)|Unable to connect|Cannot initiate the connection|Network is unreachable|Connection timed out|Connection refused' "$1"
}

# need_packages PACKAGE...: install those Debian packages that are missing.
need_packages() {
	command -v dpkg-query >/dev/null ||
		die "this is no Debian system; install by hand what these packages hold: $*"
	packages_missing=
	for packages_one in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$packages_one" 2>/dev/null)" = installed ] ||
			packages_missing="$packages_missing $packages_one"
	done
	[ -n "$packages_missing" ] || return 0
	packages_root=
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			die "needs these packages, and neither root nor sudo is here to install them:$packages_missing"
		sudo -n true 2>/dev/null || [ -t 0 ] ||
			die "needs these packages, and sudo asks for a password:$packages_missing"
		packages_root=sudo
		[ ! -t 0 ] || sudo true || die "sudo refused; these packages are missing:$packages_missing"
	fi
	# Known lists may name files that the mirror has dropped: then, and when
	# there are no lists, bring them up to date and try once more.
	packages_log=$cache/log/packages.log
	# shellcheck disable=SC2086	# a list of words
	if ! apt-get install --simulate --no-install-recommends $packages_missing >/dev/null 2>&1 ||
	   ! try_stage "install$packages_missing" "$packages_log" install_packages $packages_missing; then
		try_stage 'update the package lists' "$packages_log" $packages_root apt-get -o DPkg::Lock::Timeout=600 update || :
		stage_lists=$stage_status
		if no_network "$packages_log"; then
			die "no network: the package mirror is out of reach, and these packages are missing:$packages_missing (log: $packages_log)"
		fi
		[ "$stage_lists" -eq 0 ] || stage_failed
		stage "install$packages_missing" "$packages_log" install_packages $packages_missing
	fi
}

install_packages() {
	$packages_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 \
		install --yes --no-install-recommends "$@"
}

# User Mode Linux: a directory to run in, the kernel in it, and the end of both.
uml_dir=
uml_pid=

# MiB of the machine. It is a file, best kept in memory too, mapped executable.
uml_memory=1024

# make_uml_dir: sets uml_dir.
make_uml_dir() {
	for make_uml_dir_in in /dev/shm "${TMPDIR:-/tmp}" /tmp; do
		make_uml_dir_free=$(df -Pm "$make_uml_dir_in" 2>/dev/null | awk 'NR == 2 { print $4 }')
		[ "${make_uml_dir_free:-0}" -ge $((uml_memory + 128)) ] || continue
		uml_dir=$(mktemp -d "$make_uml_dir_in/xen-dma-uml.XXXXXXXX" 2>/dev/null) || continue
		if cp "$(command -v env)" "$uml_dir/env" && "$uml_dir/env" true 2>/dev/null; then
			return
		fi
		rm -rf "$uml_dir"
		uml_dir=
	done
	die "found no directory to run in: /dev/shm or ${TMPDIR:-/tmp} with $((uml_memory + 128)) MiB free, not mounted noexec"
}

# run_uml LINUX SECONDS [ARG]...: in the background, so that a signal to the script
# ends it.
run_uml() {
	run_uml_linux=$1
	run_uml_timeout=$2
	shift 2
	(cd "$uml_dir" && TMPDIR=$uml_dir exec timeout -k 10 "$run_uml_timeout" "$run_uml_linux" seccomp=on ncpus=2 \
		mem="${uml_memory}M" con=null con0=fd:0,fd:1 uml_dir="$uml_dir" xen_machine_buffer=64M "$@" </dev/null) &
	uml_pid=$!
	run_uml_status=0
	wait "$uml_pid" || run_uml_status=$?
	uml_pid=
	return "$run_uml_status"
}

# end_uml: for the trap of a script that runs one.
end_uml() {
	if [ -n "$uml_pid" ]; then
		kill "$uml_pid" 2>/dev/null || :
		wait "$uml_pid" 2>/dev/null || :
	fi
	[ -z "$uml_dir" ] || rm -rf "$uml_dir"
}
