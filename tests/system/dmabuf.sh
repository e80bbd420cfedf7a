#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Step "dmabuf": the kselftest's part about dma-bufs, under the eyes of an IOMMU.
cd /kselftest && ./run_kselftest.sh -t xen-dma:dmabuf.sh 2>&1 | cat
