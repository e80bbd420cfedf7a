#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Narrow devices: refused truly, or served within the mask.
#
# The cases are in test_modules/xdt_arm_masks.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_masks xdt_arm_masks
