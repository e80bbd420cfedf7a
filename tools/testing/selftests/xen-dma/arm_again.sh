#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device that is set up more than once: what was refused may be let through later, and the
# other way.
#
# The cases are in test_modules/xdt_arm_again.c. To be run where DMA is refused.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_again xdt_arm_again
