#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Offers pages to another domain, whose arm_foreign_dom.sh has its device use them.
#
# The case is in test_modules/xdt_arm_offer.c. XDT_OFFER_TO, or the argument, is the
# number of the other domain; without, there is nothing to do. No device is needed.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

to=${1:-${XDT_OFFER_TO:-}}
case $to in
--help)
	echo "usage: arm_offer.sh [DOMID]"
	echo "DOMID is whom pages are offered to; else XDT_OFFER_TO."
	exit 0
	;;
'')
	skip_all "no other domain"
	;;
esac

# need_edu: not for this
need_edu()
{
	:
}

prepare_arm
echo "$to" >/sys/module/xdt_arm/parameters/peer
suite_params=timeout=${XDT_TIMEOUT:-120}
run_suite xdt_arm_offer xdt_arm_offer
