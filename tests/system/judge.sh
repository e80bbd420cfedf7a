#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "judge": the kselftest under the eyes of an IOMMU, which has nothing to report.
cd /kselftest || exit 1
for name in map sync sg limits growth exhaust coherent mmap parallel coherent_balloon coherent_exhaust \
	coherent_fault coherent_conserve; do
	set -- "$@" -t "xen-dma:$name.sh"
done
./run_kselftest.sh "$@" 2>&1 | cat
