#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Starts Xen's toolstack in a dom0 that is little more than busybox: source this
# at the top of a script (bed/toolstack.py puts it at /usr/sbin), then use xl.
#
# The order matters. xenstored needs xenfs, from which it learns where the kernel
# keeps the ring and the event channel it shares with it. xen-init-dom0 talks to
# xenstored and blocks until it answers, so its end is the sign that the store is
# up; it writes what xl expects to find of domain 0. xenconsoled then watches
# the store for new domains and keeps each one's console in a file. Nothing else has
# to run for HVM and PVH guests: xl starts a device model per guest by itself.

# Where the consoles of guests go: $toolstack_consoles/guest-NAME.log
toolstack_consoles=/var/log/xen/console

toolstack_failed() {
	echo "toolstack: $*" >&2
	exit 1
}

for toolstack_dir in /usr/lib/xen-*/bin; do
	PATH=$toolstack_dir:$PATH
done
PATH=/usr/sbin:/usr/bin:/sbin:$PATH
export PATH

grep -qs control_d /proc/xen/capabilities || toolstack_failed 'this is no dom0, or xenfs is not mounted on /proc/xen'
mkdir -p /run /var/lib/xen /var/lock $toolstack_consoles
[ -e /var/run ] || ln -s /run /var/run
mkdir -p /run/xen /run/xenstored /var/lib/xenstored

xenstored --pid-file /run/xenstored.pid || toolstack_failed 'xenstored does not start'
timeout 60 xen-init-dom0 >/dev/null || toolstack_failed 'xenstored does not answer xen-init-dom0'
xenconsoled --log=guest --log-dir=$toolstack_consoles --pid-file=/run/xenconsoled.pid ||
	toolstack_failed 'xenconsoled does not start'
