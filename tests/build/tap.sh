# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# tap.sh: sourced by the scripts beside it. One call of check, one line of TAP.
#
set -eu

: "${USRPCI_SOURCE:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${USRPCI_BUILD:=$USRPCI_SOURCE/build}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cases=0 failures=0

# skip REASON, called from a check: it cannot be made here.
skip()
{
	echo "$*" >"$scratch/skip"
	exit 0
}

# check TITLE COMMAND...: passes when COMMAND succeeds and prints nothing.
check()
{
	title=$1
	shift
	cases=$((cases + 1))
	rm -f "$scratch/skip"
	status=0
	("$@") >"$scratch/output" 2>&1 || status=$?
	if [ -e "$scratch/skip" ]; then
		echo "ok $cases - $title # SKIP $(cat "$scratch/skip")"
	elif [ $status = 0 ] && [ ! -s "$scratch/output" ]; then
		echo "ok $cases - $title"
	else
		failures=$((failures + 1))
		echo "not ok $cases - $title"
		head -n 60 "$scratch/output" | sed 's/^/#   /'
	fi
}

finish()
{
	echo "1..$cases"
	[ $failures = 0 ]
}
