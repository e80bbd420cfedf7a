#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Single mappings: what crosses the bus, in either direction, and what must not.
#
# The cases are in test_modules/xdt_map.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

scatter_memory
run_suite xdt_map xdt_map
