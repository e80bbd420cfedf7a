# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the tests for ARM share: the modules that all of them need, and counting
# lines of the kernel log.
#
# Which of them fit a domain is for whoever boots it to choose: they judge what the
# driver does by where grants say that memory is, and skip what the domain lacks.
# XDT_IOMMU=1 tells them that the hypervisor has an IOMMU translate for the PCI devices;
# XDT_WINDOW=iommu that the kernel does, XDT_WINDOW=none that no device is to do anything.
. ./lib.sh

ranges=/sys/kernel/debug/xen-dma/ranges

# figure_of NAME: what $ranges tells of it; 0 where there is no such line
figure_of()
{
	n=$(sed -n "s/^$1 //p" "$ranges" 2>/dev/null)
	echo "${n:-0}"
}

# all_asked: the driver has asked the hypervisor about all memory, or will not ask any more
all_asked()
{
	[ "$(figure_of unasked)" -eq 0 ]
}

# prepare_arm: the modules that all of these tests need, and a driver that knows all it can
prepare_arm()
{
	load_arm
	wait_until 300 all_asked ||
		ktap_print_msg "$(figure_of unasked) pages are not asked about"
}

# load_arm: the modules alone
load_arm()
{
	case $(uname -m) in
	aarch64|arm*) ;;
	*) skip_all "not an ARM machine" ;;
	esac
	[ "$(cat /sys/hypervisor/type 2>/dev/null)" = xen ] ||
		skip_all "not in a Xen domain"
	[ -d /sys/module/kunit ] || skip_all "the kernel has no KUnit"
	if ! loaded xdt_grant; then
		insmod ./xdt_grant.ko ${XDT_IOMMU:+iommu=1} ||
			skip_all "xdt_grant.ko can't be loaded"
	fi
	if ! loaded xdt_edu; then
		insmod ./xdt_edu.ko ${XDT_WINDOW:+window="$XDT_WINDOW"} ||
			skip_all "xdt_edu.ko can't be loaded"
	fi
	need_modules xdt_arm
}

# one_line: exactly one line of the kernel log matches $message, an extended regular
# expression; but for those that repeat the command line, which may hold it itself
one_line()
{
	n=$(dmesg | grep -v 'command line' | grep -cE -e "${message:?}")
	ktap_print_msg "$n lines match $message"
	[ "$n" -eq 1 ]
}

# edu_device: the name of the device that the modules map memory for
edu_device()
{
	for device in /sys/bus/pci/drivers/xdt_edu/*:*; do
		[ -e "$device" ] || continue
		echo "${device##*/}"
		return
	done
}

# is_coherent: does the device see the caches? Its host bridge's node says it, or one
# above that.
is_coherent()
{
	path=$(readlink -f "/sys/bus/pci/devices/$(edu_device)")
	while [ -n "$path" ] && [ ! -e "$path/of_node" ]; do
		path=${path%/*}
	done
	node=$(readlink -f "$path/of_node")
	while [ -n "$node" ]; do
		[ ! -e "$node/dma-coherent" ] || return 0
		node=${node%/*}
	done
	return 1
}

caches=/sys/kernel/debug/xen-dma/caches

# counter NAME: one of the driver's counters of cache maintenance; 0 for none
counter()
{
	n=$(sed -n "s/^$1 //p" "$caches" 2>/dev/null)
	echo "${n:-0}"
}

# count_mapped: how many foreign pages the suite's cases say they have mapped
count_mapped()
{
	echo "$log" | awk '/xdt: foreign pages mapped: / { n += $NF }
		END { print n + 0 }'
}

# is_flushed BEFORE: each page once when it was mapped, perhaps when it was unmapped
is_flushed()
{
	mapped=$(count_mapped)
	flushed=$(($(counter flushed) - $1))
	ktap_print_msg "$mapped foreign pages were mapped, $flushed cleaned"
	[ "$mapped" -gt 0 ] && [ "$flushed" -ge "$mapped" ] &&
		[ "$flushed" -le $((2 * mapped)) ]
}

# none_failed: and the counter is there
none_failed()
{
	[ -r "$caches" ] && [ "$(counter failed)" -eq 0 ]
}
