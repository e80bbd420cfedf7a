#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Has the device use pages that another domain's arm_offer.sh offers.
#
# The cases are in test_modules/xdt_arm_foreign_dom.c. XDT_OFFER_FROM, or the
# argument, is the number of the other domain; without, there is nothing to do. For a
# device that does not see the caches the hypervisor has to clean all of the pages.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

from=${1:-${XDT_OFFER_FROM:-}}
case $from in
--help)
	echo "usage: arm_foreign_dom.sh [DOMID]"
	echo "DOMID is who offers pages; else XDT_OFFER_FROM."
	exit 0
	;;
'')
	skip_all "no other domain"
	;;
esac

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	ktap_test_result xdt_arm_foreign_dom.none_failed none_failed
	ktap_test_result xdt_arm_foreign_dom.flushed is_flushed "$before"
}

prepare_arm
echo "$from" >/sys/module/xdt_arm/parameters/peer
suite_params=timeout=${XDT_TIMEOUT:-120}
before=$(counter flushed)
more=2
! is_coherent || more=0
run_suite xdt_arm_foreign_dom xdt_arm_foreign_dom "$more"
