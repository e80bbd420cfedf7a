#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Parameters that change while the kernel runs.
#
# The cases are in test_modules/xdt_named.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

run_suite xdt_named xdt_named
