#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2154	# the variables that /.boot/settings sets
#
# The first process of a domain that bed/boot.py boots: prepares the system, runs
# the script, tells how it ended.
#
# The settings are arch, domain (its name), word (how its reports begin), nonce (the
# random word in them), way (how the script's output leaves) and stay (y: live on).
/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=dumb
mkdir -p /sbin /usr/bin /usr/sbin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
chmod 1777 /tmp
mount -t debugfs debugfs /sys/kernel/debug
[ ! -d /proc/xen ] || mount -t xenfs xenfs /proc/xen
# shellcheck source=/dev/null
. /.boot/settings
hostname "$domain"
exec </dev/null >/dev/console 2>&1

# Through the kernel's log, at the level that is always shown, a line comes
# whole; twice, should the hypervisor talk in the middle of one. It must not overtake
# what the script printed, which stty waits for.
report() {
	sync
	[ "$arch" = x86 ] || stty -F /dev/console opost
	for _ in 1 2; do
		echo "<0>$word $nonce $1 end" >/dev/kmsg
	done
	while [ -n "$stay" ]; do
		sleep 3600
	done
	# QEMU ends at that too, and a machine that has slept does not power off.
	[ "$arch" != x86 ] || reboot -f
	poweroff -f
}

# Each line of the script's with its number and length, for others may talk in the
# middle of it; to be told once more at the end.
say() {
	number=0 last=
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in
		*"$nonce end") last=y line=${line%"$nonce end"}; [ -n "$line" ] || break ;;
		esac
		number=$((number + 1))
		echo "say $nonce $number ${#line} $line" >>/.boot/said
		echo "say $nonce $number ${#line} $line"
		[ -z "$last" ] || break
	done
}

cd /root || report 'exit 1'
for module in /.boot/modules/*; do
	[ -e "$module" ] || continue
	insmod "$module" || report "module ${module#*-}"
done
status=0
if [ -e /.boot/script ]; then
	case $(head -c 2 /.boot/script) in
	'#!')	set -- /.boot/script ;;
	*)	set -- sh /.boot/script ;;
	esac
	case $way in
	console)
		"$@"
		status=$? ;;
	serial)
		stty -F /dev/ttyS1 raw
		"$@" >/dev/ttyS1 2>&1
		status=$? ;;
	lines)
		# The end is a word too: what the script leaves running may hold the pipe.
		: >/.boot/said
		mkfifo /.boot/pipe
		say </.boot/pipe &
		exec 3>/.boot/pipe
		"$@" >&3 2>&1 3>&-
		status=$?
		echo "$nonce end" >&3
		wait $!
		cat /.boot/said ;;
	esac
fi
report "exit $status"
