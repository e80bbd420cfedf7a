#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Nothing left to bounce to: an error, a message, and no loss.
#
# The cases are in test_modules/xdt_exhaust.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

run_suite xdt_exhaust xdt_exhaust
