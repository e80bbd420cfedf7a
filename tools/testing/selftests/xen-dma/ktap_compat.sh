# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For kernels whose selftests have no ktap_helpers.sh: what of it is used here.
# shellcheck disable=SC2034 # for lib.sh
KSFT_SKIP=4

planned=0
number=0
kept=0

ktap_print_header()
{
	echo "TAP version 13"
}

ktap_print_msg()
{
	echo "# $*"
}

ktap_set_plan()
{
	planned=$1
	echo "1..$planned"
}

ktap_skip_all()
{
	echo "1..0 # SKIP $*"
}

ktap_test_pass()
{
	number=$((number + 1))
	kept=$((kept + 1))
	echo "ok $number $1"
}

ktap_test_skip()
{
	ktap_test_pass "$1 # SKIP"
}

ktap_test_fail()
{
	number=$((number + 1))
	echo "not ok $number $1"
}

ktap_test_result()
{
	description=$1
	shift
	if "$@"; then
		ktap_test_pass "$description"
	else
		ktap_test_fail "$description"
	fi
}

# Zero when all that was planned has passed or was skipped.
ktap_finished()
{
	exit $((kept != planned))
}
