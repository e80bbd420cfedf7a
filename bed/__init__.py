# SPDX-License-Identifier: GPL-2.0
"""The bed on which the driver is built, booted and measured.

One command with sub-commands (scripts/bed --help), each a module of its own, used by
the Makefile and by the tests alike. What is made lies in one cache outside the
checkout, so that a second checkout starts warm and `make distclean` finds all of it.
Messages go to the standard error; the standard output is kept for results.
"""
