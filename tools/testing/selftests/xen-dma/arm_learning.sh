#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A driver that asks the hypervisor where memory is, while a device is at work already. To be
# run first, in a domain that is large enough for that to take a while.
#
# The cases are in test_modules/xdt_arm_learning.c. Pages leave the domain meanwhile, and come
# back, some of them when all is known. XDT_EARLY=1 says that the domain is so large that not
# all can be known when the first cases run.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# moved: mappings that were bounced since nobody knew where the page is
moved()
{
	sed -n 's/^moved //p' /sys/kernel/debug/xen-dma/bounces
}

# was_bounced: the cases ran before all was known
was_bounced()
{
	ktap_print_msg "$left pages were not asked about"
	ktap_print_msg "$(($(moved) - before)) mappings were bounced"
	[ "$left" -gt 0 ] && [ "$(moved)" -gt "$before" ]
}

# told_of: the line that says it, once
told_of()
{
	message='xen-dma: probed where memory is: [0-9]+ ranges' one_line
}

# waits_for_little: of what there is, the device had not waited for a quarter
waits_for_little()
{
	pages=0
	while read -r start size _; do
		case $start in
		0x*) pages=$((pages + size / 4096)) ;;
		esac
	done <"$ranges"
	ktap_print_msg "a device waited for $waited of $pages pages"
	[ "$waited" -gt 0 ] && [ $((4 * waited)) -lt "$pages" ]
}

# none_lost: of all pages it is known where they are, but for one: in its place the kernel has
# a page of the hypervisor's
none_lost()
{
	all_asked && [ "$(figure_of moved)" -le 1 ]
}

# all_back: what has left is there again, and where it is has been asked
all_back()
{
	echo "${full}K" >"$balloon/target"
	wait_memory "$balloon" "$full"
	ktap_print_msg "$(figure_of told) pages have come back elsewhere"
	wait_until 300 none_lost && [ "$(figure_of told)" -gt 0 ]
}

# more_results: run_suite's hook
more_results()
{
	[ -z "${XDT_EARLY:-}" ] || ktap_test_result arm_learning.was_bounced was_bounced
	ktap_test_result arm_learning.all_asked wait_until 300 all_asked
	ktap_test_result arm_learning.told_of told_of
	ktap_test_result arm_learning.waits_for_little waits_for_little
	ktap_test_result arm_learning.all_back all_back
}

load_arm
[ -r "$ranges" ] || skip_all "the driver does not show what it knows"
balloon=/sys/devices/system/xen_memory/xen_memory0
full=$(cat "$balloon/target_kb")
before=$(moved)
waited=$(figure_of waited)
# Away and back while the driver asks: others have their frames then.
[ -z "${XDT_EARLY:-}" ] || for part in 16384 0; do
	echo "$((full - part))K" >"$balloon/target"
	wait_memory "$balloon" $((full - part))
done
echo "$((full - 65536))K" >"$balloon/target"
left=$(figure_of unasked)
run_suite xdt_arm_learning xdt_arm_learning $((4 + ${XDT_EARLY:-0}))
