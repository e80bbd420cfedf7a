#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device with a restricted-dma-pool: nothing lies outside of it.
#
# The cases are in test_modules/xdt_arm_restricted.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_restricted xdt_arm_restricted
