#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# promises.sh: each line of SECURITY.md's chapter about hostile programs names the tests that show it,
# as `suite@case`, and they exist.
#
. "$(dirname "$0")/tap.sh"

document=$USRPCI_SOURCE/SECURITY.md

# The items of the chapter, each in one line.
items()
{
	sed -n '/^## What a hostile program can do/,/^## /p' "$1" | awk '
		/^- / { if (item) print item; item = $0; next }
		/^  / { item = item " " $0; next }
		item { print item; item = "" }'
}

# What needs no test is what nobody prevents: such lines name none, and these are all of them.
tests_are_named()
{
	items "$1" | grep -v '@' | grep -v -e 'break what the device can break' -e 'read and write all memory' |
		sed 's/^/no test shows: /'
}

tests_exist()
{
	local test suite
	grep -oE '`[a-z0-9_]+@[a-z0-9-]+`' "$1" | tr -d '`' | sort -u | while read -r test; do
		suite=$USRPCI_SOURCE/tests/qemu/suites/${test%@*}.sh
		grep -qx "$test()" "$suite" 2>/dev/null || echo "there is no test $test"
	done
}

# breach CHECK LINE: the check says something about a document with this line.
breach()
{
	awk -v line="- $2" '{ print } /^Whatever the driver:/ { print line }' "$document" >"$scratch/document"
	[ -n "$($1 "$scratch/document")" ] || echo "it is not found"
}

check "a breach is found: a promise without a test" breach tests_are_named "It cannot do this."
check "each line about hostile programs names its tests" tests_are_named "$document"
check "a breach is found: a test that is not there" breach tests_exist 'It cannot (`lend_run@no-such-case`).'
check "each test that SECURITY.md names exists" tests_exist "$document"
finish
