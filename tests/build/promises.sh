#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# promises.sh: each promise of SECURITY.md names the tests that show it, and they exist. A promise is a row of
# a table, an item of a list, or a paragraph, in any chapter but those about what is not promised. A test is a
# `suite@case` of the virtual machine, or a file below tests/.
#
# usage: promises.sh [--table]: prints promises and tests side by side instead
#
. "$(dirname "$0")/tap.sh"

document=$USRPCI_SOURCE/SECURITY.md

# Each promise in one line. What ends with a colon only leads to what follows.
promises()
{
	awk '
		function end() { if (item && item !~ /:$/) print item; item = "" }
		/^## / { end(); skipped = /not promised|Reporting/; inside = 1; next }
		!inside || skipped { next }
		/^$/ || /^\|---/ || /^\| \|/ { end(); next }
		/^(- |[0-9]+\. |\| )/ { end(); item = $0; next }
		{ item = item (item ? " " : "") $0; sub(/  +/, " ", item) }
		END { end() }' "$1"
}

# What needs no test is what nobody prevents: such lines name none, and these are all of them.
tests_are_named()
{
	promises "$1" | grep -vE '`([a-z0-9_]+@[a-z0-9-]+|tests/[a-z0-9_/.]+)`' |
		grep -v -e 'break what the device can break' -e 'read and write all memory' \
			-e 'take free huge pages' |
		sed 's/^/no test shows: /'
}

tests_exist()
{
	local test
	grep -oE '`[a-z0-9_]+@[a-z0-9-]+`' "$1" | tr -d '`' | sort -u | while read -r test; do
		grep -qx "$test()" "$USRPCI_SOURCE/tests/qemu/suites/${test%@*}.sh" 2>/dev/null ||
			echo "there is no test $test"
	done
	grep -oE '`tests/[a-z0-9_/.]+[a-z]`' "$1" | tr -d '`' | sort -u | while read -r test; do
		[ -f "$USRPCI_SOURCE/$test" ] || echo "there is no file $test"
	done
}

# A suite, or a program of tests, that nobody runs shows nothing.
tests_are_run()
{
	local suite path folder name
	grep -oE '`[a-z0-9_]+@' "$1" | tr -d '`@' | sort -u | while read -r suite; do
		grep -qx "  '$suite'," "$USRPCI_SOURCE/tests/qemu/meson.build" || echo "$suite is not run by make check"
	done
	grep -oE '`tests/(unit|fuzz)/[a-z0-9_/]+\.c`' "$1" | tr -d '`' | sort -u | while read -r path; do
		folder=$(cut -d/ -f1,2 <<<"$path") name=$(basename "$path" .c)
		grep -qE "^  '${name#*_}'[,:]" "$USRPCI_SOURCE/$folder/meson.build" || echo "$path is not run by make check"
	done
}

table()
{
	echo "| promise | shown by |"
	echo "|---|---|"
	promises "$document" | while read -r promise; do
		tests=$(grep -oE '`([a-z0-9_]+@[a-z0-9-]+|tests/[a-z0-9_/.]+)`' <<<"$promise" | paste -sd' ')
		sed -E 's/`([a-z0-9_]+@[a-z0-9-]+|tests\/[a-z0-9_\/.]+)`(, )?//g; s/ ?\( *\)//g; s/^(- |[0-9]+\. |\| )//
			s/ *\|[ |]*$//; s/\|/\//g' <<<"$promise" | sed "s#^#| #; s#\$# | ${tests:-nobody prevents it} |#"
	done
}

# breach CHECK LINE: the check says something about a document with this line.
breach()
{
	awk -v line="- $2" '{ print } /^Whatever the driver:/ { print line }' "$document" >"$scratch/document"
	[ -n "$($1 "$scratch/document")" ] || echo "it is not found"
}

# breach_of_table LINE: the same for a row of the table of promises.
breach_of_table()
{
	awk -v line="$1" '{ print } /^\|---/ { print line }' "$document" >"$scratch/document"
	[ -n "$(tests_are_named "$scratch/document")" ] || echo "it is not found"
}

if [ "${1:-}" = --table ]; then
	table
	exit
fi
check "a breach is found: a promise without a test" breach tests_are_named "It cannot do this."
check "a breach is found: a promise in a table without a test" breach_of_table "| It is so | yes | no | |"
check "each promise of SECURITY.md names its tests" tests_are_named "$document"
check "a breach is found: a test that is not there" breach tests_exist 'It cannot (`lend_run@no-such-case`).'
check "each test that SECURITY.md names exists" tests_exist "$document"
check "a breach is found: a suite that is not run" breach tests_are_run 'It cannot (`no_suite@case`).'
check "a breach is found: a program of tests that is not run" breach tests_are_run 'It cannot (`tests/unit/test_no_such.c`).'
check "each suite and program that SECURITY.md names is run" tests_are_run "$document"
finish
