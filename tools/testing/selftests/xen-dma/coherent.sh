#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Coherent memory in all its forms.
#
# The cases are in test_modules/xdt_coherent.c.
cd "$(dirname "$0")" || exit 1
. ./lib.sh

run_suite xdt_coherent xdt_coherent
