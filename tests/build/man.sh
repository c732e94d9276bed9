#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# man.sh: pages name every function of their header, are well-formed, and have examples that compile.
#
. "$(dirname "$0")/tap.sh"

# The page and the header of a subject that has both.
subjects()
{
	for page in "$USRPCI_SOURCE"/man/usrpci_*.3.scd; do
		subject=$(basename "$page" .3.scd)
		[ ! -e "$USRPCI_SOURCE/include/usrpci/${subject#usrpci_}.h" ] || echo "${subject#usrpci_}"
	done
}

functions()
{
	"$USRPCI_SOURCE/man/functions-of" "$1"
}

names_every_function()
{
	[ -n "$(functions "$1")" ] || echo "no function found in $1"
	for name in $(functions "$1"); do
		grep -q "$name" "$2" || echo "$2 lacks $name"
	done
}

is_well_formed()
{
	command -v scdoc >/dev/null || skip "scdoc is not installed"
	scdoc <"$1" >"$scratch/page"
	! command -v man >/dev/null || LC_ALL=C.UTF-8 man --warnings -l "$scratch/page" >"$scratch/text"
}

has_an_example_that_compiles()
{
	sed -n '/^# EXAMPLE/,/^# [^E]/p' "$1" | sed -n '/^```$/,/^```$/p' | grep -v '^```$' >"$scratch/example.c"
	[ -s "$scratch/example.c" ] || echo "no example"
	gcc -std=c11 -Wall -Wextra -Wmissing-prototypes -Werror -I"$USRPCI_SOURCE/include" \
		-c "$scratch/example.c" -o "$scratch/example.o"
}

for subject in $(subjects); do
	page=$USRPCI_SOURCE/man/usrpci_$subject.3.scd
	check "usrpci_$subject(3) names every function of its header" \
		names_every_function "$USRPCI_SOURCE/include/usrpci/$subject.h" "$page"
	check "usrpci_$subject(3) is well-formed" is_well_formed "$page"
	check "usrpci_$subject(3) has an example that compiles" has_an_example_that_compiles "$page"
done
finish
