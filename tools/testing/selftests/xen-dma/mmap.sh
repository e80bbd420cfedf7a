#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Memory that user space shares with a device: each sees what the other writes.
#
# xdt_mmap_user does the looking, on the character device of xdt_mmap.ko.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

need_edu
[ "$(id -u)" -eq 0 ] || skip_all "only root can load modules"
load xdt_edu || skip_all "xdt_edu.ko can't be loaded"
load xdt_mmap || skip_all "xdt_mmap.ko can't be loaded"

# Without udev or devtmpfs nobody has made the node.
node=/dev/xdt_mmap
if [ ! -c "$node" ]; then
	node=/tmp/xdt_mmap
	rm -f "$node"
	IFS=: read -r major minor </sys/class/misc/xdt_mmap/dev
	mknod "$node" c "$major" "$minor"
fi
./xdt_mmap_user "$node"
status=$?
unload xdt_mmap
exit "$status"
