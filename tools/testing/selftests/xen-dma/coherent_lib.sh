# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the tests of exchanged memory share: the faults that the driver can be
# given, its counters, and how much memory everybody has.
. ./lib.sh

# prepare: the modules that all of these tests need
prepare()
{
	need_edu
	# The kernel tells of each drop of its caches unless it is told not to.
	echo 4 >/proc/sys/vm/drop_caches
	need_modules xdt_edu xdt_memory
}

# no_faults: of any kind
no_faults()
{
	set_fault "$driver/fail_call" times 0
	set_fault "$driver/fail_extent" times 0
	set_fault "$driver/fail_report" times 0
}

# counter NAME: one of the driver's; 0 when it has none
counter()
{
	n=$(sed -n "s/^$1 //p" "$driver/coherent" 2>/dev/null)
	echo "${n:-0}"
}

# empty_cache: have the shrinkers give back what they can
empty_cache()
{
	echo 2 >/proc/sys/vm/drop_caches
}

# keep_empty: the shrinkers are at work all the time
keep_empty()
{
	while :; do
		empty_cache
		usleep 100000 2>/dev/null || sleep 0.1
	done
}

# aperture_pages: what the driver bounces through
#
# It grows and shrinks on its own, so it counts with what Xen and Linux have left.
aperture_pages()
{
	pages=$(awk '/^0x/ { n += $3 } END { print int(n / 2) }' \
		"$driver/aperture" 2>/dev/null)
	echo "${pages:-0}"
}

# xen_low: pages below 4 GiB that Xen could give
xen_low()
{
	echo $(($(./xdt_xen free 32) + $(aperture_pages)))
}

# linux_free: pages that the kernel could give, those that CPUs keep at hand too
linux_free()
{
	free=$(awk '/^ +count:/ || $1 == "nr_free_pages" { n += $2 }
		END { print n }' /proc/zoneinfo)
	echo $((free + $(aperture_pages)))
}

# at_rest: has the aperture given back all that it had added? What is on its way to Xen nobody has
at_rest()
{
	[ ! -r "$driver/usage" ] ||
		awk '$1 == "chunks-added" { n += $2 } $1 == "chunks-given-back" { n -= $2 }
			END { exit n != 0 }' "$driver/usage"
}

# remember: how much memory everybody has
remember()
{
	wait_until 30 at_rest || ktap_print_msg "the aperture is not at rest"
	empty_cache
	had_pages=$(./xdt_xen pages)
	had_low=$(xen_low)
	had_free=$(linux_free)
}

# have_pages, have_low, have_free: whether they have as much again
have_pages()
{
	have=$(./xdt_xen pages)
	[ "$have" -eq "$had_pages" ]
}

have_low()
{
	empty_cache
	have=$(xen_low)
	[ "$have" -eq "$had_low" ]
}

# But for what the kernel itself may have needed meanwhile.
have_free()
{
	empty_cache
	have=$(linux_free)
	[ $((have + slack)) -ge "$had_free" ]
}

# quiet: the kernel log, since a suite was started, tells no trouble
quiet()
{
	case $log in
	"xdt: "*)
		;;
	*)
		ktap_print_msg "the kernel log does not go back so far"
		return 1
		;;
	esac
	case $log in
	*BUG:*|*WARNING:*|*"Call Trace"*|*"allocation failure"*)
		return 1
		;;
	esac
}

# check_memory SUITE [SLACK]: four results; Linux may miss SLACK pages
check_memory()
{
	slack=${2:-128}
	ktap_test_result "$1.quiet" quiet
	ktap_test_result "$1.domain_pages" wait_until 30 have_pages
	ktap_print_msg "the domain has $have pages, had $had_pages"
	ktap_test_result "$1.xen_low_memory" wait_until 30 have_low
	ktap_print_msg "Xen has $have free pages below 4 GiB, had $had_low"
	ktap_test_result "$1.linux_memory" wait_until 30 have_free
	ktap_print_msg "Linux has $have free pages, had $had_free"
}
