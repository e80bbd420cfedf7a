# SPDX-License-Identifier: GPL-2.0
#
# The front door. Each target is a script in scripts/, which can be run alone and
# tells more with --help; the variables below reach them through the environment.

KVER ?= 6.12
ARCH ?= x86
FLAVOUR ?= test
STOCK ?=
KSRC ?=
V ?= 0
export KVER ARCH FLAVOUR STOCK KSRC V

# The scripts pass their own -j on; what this make was given is not for them.
MAKEFLAGS =
unexport MAKEFLAGS MAKELEVEL MFLAGS

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@echo 'Targets:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 20
	@echo 'Variables (defaults in brackets):'
	@echo '  KVER=V            kernel series: 6.12, 7.3 or 6.1 [$(KVER)]'
	@echo '  ARCH=A            x86, arm64, arm, or um for the kernel of make kunit [$(ARCH)]'
	@echo '  FLAVOUR=F         test or debug [$(FLAVOUR)]'
	@echo '  STOCK=1           the same kernel without our driver'
	@echo '  KSRC=DIR          a kernel tree of your own (copied, never changed)'
	@echo '  V=1               show the tools at work'

.PHONY: demo
demo: ## real disks, a network and edu do DMA through the driver, in a dom0 under Xen
	@scripts/demo

.PHONY: check
check: ## static checks, and all tests in a dom0 under Xen
	@scripts/check

.PHONY: check-arm
check-arm: ## the part of make check that is about ARM
	@scripts/check arm

.PHONY: kunit
kunit: ## the unit tests, in a User Mode Linux kernel (FLAVOUR)
	@scripts/kunit

.PHONY: bench
bench: ## what mappings cost, beside the stock driver and the generic allocator
	@scripts/bench

.PHONY: mutants
mutants: ## do the unit tests notice deliberate faults?
	@scripts/mutants

.PHONY: kernel
kernel: ## build one kernel (KVER, ARCH, FLAVOUR, STOCK, KSRC)
	@scripts/build

.PHONY: print-builddir
print-builddir: ## where that kernel lies, to build a module against (make -s)
	@scripts/build --print-builddir

.PHONY: clean
clean: ## delete the builds and logs; sources and compiler results stay
	@scripts/clean

.PHONY: distclean
distclean: ## delete the whole cache
	@scripts/clean --all
