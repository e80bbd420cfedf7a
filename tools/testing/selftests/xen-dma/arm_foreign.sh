#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Foreign pages, direct and bounced, many at once, and forgotten when they go.
#
# The cases are in test_modules/xdt_arm_foreign.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_foreign xdt_arm_foreign
