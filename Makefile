# SPDX-License-Identifier: GPL-2.0
#
# The front door. Each target is a command of scripts/bed, which can be run alone and
# tells more with --help; the variables below reach it through the environment.

KVER ?= 6.12
ARCH ?= x86
FLAVOUR ?= test
STOCK ?=
KSRC ?=
DIR ?=
CONFIG ?=
LSMOD ?=
STEPS ?=
MINUTES ?=
V ?= 0
export KVER ARCH FLAVOUR STOCK KSRC DIR CONFIG LSMOD STEPS MINUTES V

# The bed passes its own -j on; what this make was given is not for it.
MAKEFLAGS =
unexport MAKEFLAGS MAKELEVEL MFLAGS

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 20
	@echo 'Variables (defaults in brackets):'
	@echo '  KVER=V            kernel series: 6.12, 7.3 or 6.1 [$(KVER)]'
	@echo '  ARCH=A            x86, arm64, arm, or um for the kernel of make kunit [$(ARCH)]'
	@echo '  FLAVOUR=F         test, debug and others (scripts/bed build --help) [$(FLAVOUR)]'
	@echo '  STOCK=1           the same kernel without our driver'
	@echo '  KSRC=DIR          a kernel tree of your own (copied, never changed)'
	@echo '  V=1               show the tools at work'

.PHONY: demo
demo: ## real disks, a network and edu do DMA through the driver, in a dom0 under Xen
	@scripts/bed demo

.PHONY: system
system: ## the driver in a whole system: guests, driver domains, an IOMMU (STEPS=blk,net)
	@scripts/bed system

.PHONY: soak
soak: ## everything at once, while exchanges fail (MINUTES, 5 unless told)
	@scripts/bed system soak

.PHONY: check
check: ## what a change has to pass: all kinds of tests, on Linux 6.12
	@scripts/bed check

.PHONY: check-all
check-all: ## every kernel version, flavour and kind of domain
	@scripts/bed check --all

check-%: ## one stage of make check: check-arm, check-kunit ... (scripts/bed check --help)
	@scripts/bed check $*

.PHONY: kunit
kunit: ## the unit tests, in a User Mode Linux kernel (FLAVOUR)
	@scripts/bed kunit

.PHONY: bench
bench: ## what mappings cost, beside the stock driver and the generic allocator
	@scripts/bed bench

.PHONY: compare
compare: ## stock and ours side by side: defects, costs, limits; a table and a chart
	@scripts/bed compare

.PHONY: cost
cost: ## what a guest's disks and network cost, beside stock
	@scripts/bed cost

.PHONY: mutants
mutants: ## do the tests notice deliberate faults?
	@scripts/bed mutants

.PHONY: patch
patch: ## the driver as a patch series for git am (KVER); DIR=: into files, with a cover letter
	@scripts/bed series

.PHONY: deb
deb: ## Debian packages of a kernel with the driver (CONFIG=FILE or debian; KVER, DIR, LSMOD=FILE)
	@scripts/bed deb

.PHONY: kernel
kernel: ## build one kernel (KVER, ARCH, FLAVOUR, STOCK, KSRC)
	@scripts/bed build

.PHONY: print-builddir
print-builddir: ## where that kernel lies, to build a module against (make -s)
	@scripts/bed build --print-builddir

.PHONY: clean
clean: ## delete the builds and logs; sources and compiler results stay
	@scripts/bed clean

.PHONY: distclean
distclean: ## delete the whole cache
	@scripts/bed clean --all
