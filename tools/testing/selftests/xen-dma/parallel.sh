#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Mappings and coherent memory on all CPUs at once.
#
# The cases are in test_modules/xdt_parallel.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

run_suite xdt_parallel xdt_parallel
