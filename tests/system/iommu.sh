#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "iommu": the kselftest's part about a device that an IOMMU of the kernel's own serves.
cd /kselftest && ./run_kselftest.sh -t xen-dma:iommu.sh 2>&1 | cat
