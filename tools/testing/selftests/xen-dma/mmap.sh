#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Memory that user space shares with a device: each sees what the other writes.
#
# xdt_mmap_user does the looking, on the character device of xdt_mmap.ko.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

need_edu
need_modules xdt_edu xdt_mmap

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
