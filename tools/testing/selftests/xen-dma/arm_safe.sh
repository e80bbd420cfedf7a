#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A device marked xen-dma-safe: guest-physical addresses, as they are.
#
# The cases are in test_modules/xdt_arm_safe.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

prepare_arm
run_suite xdt_arm_safe xdt_arm_safe
