#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "bypass": a screen whose pictures do not go through the DMA API is given pseudo-physical addresses, and shows
# other memory. Documentation/core-api/xen-dma/without-dma-api.rst says so.
# shellcheck source=tests/system/lib.sh
. /system/lib.sh

# shows_other: ten seconds after a picture was drawn, the screen is seen, and shows something else
shows_other()
{
	cat /system/picture-1 >/dev/fb0
	! wait_until 10 'shown 1' && [ "$(wc -c </tmp/shown)" -gt "$(medium picture-1 2)" ]
}

ktap_print_header
ktap_set_plan 1
open_screen
result screen shows_other
ktap_finished
