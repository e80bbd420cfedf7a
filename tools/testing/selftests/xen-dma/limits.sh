#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Masks and sizes: what the device is told about itself is true.
#
# The cases are in test_modules/xdt_limits.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

scatter_memory
run_suite xdt_limits xdt_limits
