#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The domain's own memory: direct, from each of its runs, and coherent.
#
# The cases are in test_modules/xdt_arm_map.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_map xdt_arm_map
