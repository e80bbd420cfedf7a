#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Pages that have left the domain and come back elsewhere. To be run last.
#
# The cases are in test_modules/xdt_arm_moved.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_moved xdt_arm_moved
