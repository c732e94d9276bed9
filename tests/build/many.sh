#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# many.sh: how often the kernel is asked about each of many devices, which is most of what diff costs. The time is
# what "make bench" measures, since it depends on what else a machine does.
#
. "$(dirname "$0")/tap.sh"

most=40

# calls COUNT DRIVER: system calls of a diff on that many functions, all of which would be moved.
calls()
{
	[ -e "$scratch/$1" ] || python3 "$USRPCI_SOURCE/bench/many.py" "$scratch/$1" "$1"
	strace -qq -o "$scratch/trace" "$USRPCI_BUILD/cli/usrpci" --root "$scratch/$1" diff --config "/etc/$2" \
		>"$scratch/changes" || [ $? = 3 ] || cat "$scratch/changes" >&2
	[ "$(grep -c ^echo "$scratch/changes")" = $((3 * $1)) ] || echo "not all $1 differ" >&2
	wc -l <"$scratch/trace"
}

diff_asks_little()
{
	local each
	command -v strace >/dev/null || skip "strace is not installed"
	strace -o /dev/null true 2>/dev/null || skip "strace is not allowed to trace here"
	each=$((($(calls 150 "$1") - $(calls 50 "$1")) / 100))
	[ $each -le $most ] || echo "$each system calls for each device, $most are allowed"
}

check "diff asks at most $most times about a device whose driver is named" diff_asks_little named
check "diff asks at most $most times about a device whose driver follows from it" diff_asks_little auto
finish
