#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Memory for grants that devices reach: what is given back to Xen is what was allocated.
#
# The cases are in test_modules/xdt_arm_grant_dma.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_grant_dma xdt_arm_grant_dma
