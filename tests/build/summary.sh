#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# summary.sh: the last line of make check counts what happened, case by case.
#
. "$(dirname "$0")/tap.sh"

# ran NAME RESULT RETURNCODE STDOUT: a line of meson's log.
ran()
{
	mkdir -p "$scratch/build/meson-logs"
	printf '{"name": "%s", "result": "%s", "returncode": %s, "stdout": "%s"}\n' "$@" \
		>>"$scratch/build/meson-logs/testlog.json"
}

# totals STATUS LINE: summary exits with STATUS after LINE. Empties the log.
totals()
{
	local status=0 output
	output=$("$USRPCI_SOURCE/tests/summary" "$scratch/build") || status=$?
	rm -rf "$scratch/build"
	[ $status = "$1" ] || echo "status $status instead of $1"
	[ "$(tail -n 1 <<<"$output")" = "$2" ] || echo "$output"
}

names_what_was_skipped()
{
	local output
	output=$("$USRPCI_SOURCE/tests/summary" "$scratch/build")
	grep -qxF 'skipped: t: b: no QEMU' <<<"$output" || echo "no word of the skipped case"
}

says_why_the_first_case_failed()
{
	local output
	output=$("$USRPCI_SOURCE/tests/summary" "$scratch/build")
	[ "$(head -n 3 <<<"$output")" = "failed: t: b: # why
    # and where
failed: t: c: # too" ] || echo "$output"
}

ran p:t OK 0 '1..2\nok 1 - a\nok 2 - b\n'
ran p:plain OK 0 ''
check "cases count, and a test without any counts as one" totals 0 "3 passed, 0 failed, 0 skipped"

ran p:t ERROR 1 '1..2\nok 1 - a\nnot ok 2 - b\n'
check "a failed case is one failure" totals 1 "1 passed, 1 failed, 0 skipped"

ran p:t OK 0 '1..2\nok 1 - a\nok 2 - b # SKIP no QEMU\n'
check "a skipped case is named with its reason" names_what_was_skipped
check "a skipped case is neither passed nor failed" totals 0 "1 passed, 0 failed, 1 skipped"

ran p:t ERROR 1 '1..2\nok 1 - a\nnot ok 2 # SKIP b\n'
check "a case that cmocka skips is skipped" totals 0 "1 passed, 0 failed, 1 skipped"

ran p:t SKIP 0 '1..0 # SKIP no compiler\n'
ran p:plain OK 0 ''
check "a test skipped as a whole is one skipped case" totals 0 "1 passed, 0 failed, 1 skipped"

ran p:t ERROR 1 '1..3\nok 1 - a\n'
check "cases that were announced and did not run are a failure" totals 1 "1 passed, 1 failed, 0 skipped"

ran p:t ERROR 1 '1..3\nok 1 - a\n# of a\nnot ok 2 - b\n# why\n# and where\nnot ok 3 - c\n# too\n# much\n'
check "the first failed case says why" says_why_the_first_case_failed
check "failed cases are all counted" totals 1 "1 passed, 2 failed, 0 skipped"

ran p:t ERROR 1 '1..1\nok 1 - a\n'
check "a test that fails though its cases passed is a failure" totals 1 "1 passed, 1 failed, 0 skipped"

ran p:t TIMEOUT null ''
check "a test that timed out is a failure" totals 1 "0 passed, 1 failed, 0 skipped"

check "a run that left no log is a failure" totals 1 "0 passed, 1 failed, 0 skipped"
finish
