#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Scatterlists: all bytes in order, and no segment that the device can't take.
#
# The cases are in test_modules/xdt_sg.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

scatter_memory
run_suite xdt_sg xdt_sg
