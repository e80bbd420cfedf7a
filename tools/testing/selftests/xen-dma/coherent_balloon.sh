#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Coherent memory of a domain whose balloon grows and shrinks.
#
# The cases are in test_modules/xdt_balloon.c.
cd "$(dirname "$0")" || exit 1
. ./coherent_lib.sh

prepare
run_suite xdt_balloon xdt_balloon
