#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# No memory left that a device can reach: an error, a message, and no loss.
#
# The cases are in test_modules/xdt_lowmem.c. The domain has to have more memory
# than Xen has for the device, so the device may have to be one that reaches less
# than 4 GiB.
cd "$(dirname "$0")" || exit 1
. ./coherent_lib.sh

# reach: the widest addresses for which the domain can take all that Xen has
reach()
{
	bits=32
	most=$(($(linux_free) / 8))
	while [ "$bits" -gt 26 ] && [ "$(./xdt_xen free "$bits")" -gt "$most" ]; do
		bits=$((bits - 1))
	done
	echo "$bits"
}

# more_results: run_suite's hook, behind the module's own results
more_results()
{
	check_memory xdt_lowmem 256
}

prepare
remember
reach >/sys/module/xdt_memory/parameters/low_bits
run_suite xdt_lowmem xdt_lowmem 4
