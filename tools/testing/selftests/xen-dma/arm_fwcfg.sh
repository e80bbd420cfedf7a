#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# QEMU's fw_cfg, a platform device that does DMA, which a domain may be given.
#
# The cases are in test_modules/xdt_arm_fwcfg.c.
cd "$(dirname "$0")" || exit 1
. ./arm_lib.sh

# need_edu: this device is another one
need_edu()
{
	for node in /sys/bus/platform/devices/*fw-cfg* \
		    /sys/bus/platform/devices/*fw_cfg*; do
		[ ! -e "$node" ] || return 0
	done
	skip_all "no fw_cfg device"
}

prepare_arm
run_suite xdt_arm_fwcfg xdt_arm_fwcfg
