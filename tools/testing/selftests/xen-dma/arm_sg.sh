#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Scatterlists: entries from several runs, across them, foreign ones among them.
#
# The cases are in test_modules/xdt_arm_sg.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_sg xdt_arm_sg
