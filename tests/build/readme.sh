#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# readme.sh: what README.md shows is so.
#
. "$(dirname "$0")/tap.sh"

readme=$USRPCI_SOURCE/README.md
program=$scratch/first

sed -n '/^```c$/,/^```$/p' "$readme" | sed '1d;$d' >"$program.c"

has_25_lines()
{
	[ "$(wc -l <"$program.c")" = 25 ] || echo "it has $(wc -l <"$program.c")"
}

compiles()
{
	cc -std=c11 -Wall -Wextra -Werror -I"$USRPCI_SOURCE/include" "$program.c" -o "$program" \
		-L"$USRPCI_BUILD/lib" -lusrpci
}

runs()
{
	command -v qemu-system-x86_64 >/dev/null || skip "QEMU is not installed; make check installs it"
	[ -x "$program" ] || echo "it does not compile"
	LD_LIBRARY_PATH=$USRPCI_BUILD/lib "$program" >"$scratch/said" 2>&1 || echo "exit status $?"
	grep -qx '1 interrupt' "$scratch/said" || cat "$scratch/said"
}

links_lead_somewhere()
{
	local file link
	for file in README.md HACKING.md CONTRIBUTING.md SECURITY.md NEWS.md doc/*.md; do
		[ -f "$file" ] || continue
		grep -oE '\]\([^)#]+' "$file" | cut -c3- | grep -v : | while read -r link; do
			[ -e "$(dirname "$file")/$link" ] || echo "$file: $link is not there"
		done
	done
}

commands_are_known()
{
	local command
	grep -oE '^ +usrpci (-n )?[a-z]+' "$readme" | awk '{ print $NF }' | sort -u | while read -r command; do
		"$USRPCI_BUILD/cli/usrpci" "$command" --help >/dev/null || echo "usrpci $command"
	done
}

cd "$USRPCI_SOURCE" || exit
check "the program of the README has 25 lines" has_25_lines
check "the program of the README compiles" compiles
check "the program of the README runs" runs
check "the commands of the README are known" commands_are_known
check "links between documents lead somewhere" links_lead_somewhere
finish
