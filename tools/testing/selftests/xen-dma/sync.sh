#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Synchronisation of parts of mappings and of scatterlists.
#
# The cases are in test_modules/xdt_sync.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

run_suite xdt_sync xdt_sync
