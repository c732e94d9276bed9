#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# lint.sh: what clang-format, clang-tidy, cppcheck and shellcheck have to say, and what shellcheck does not see.
#
. "$(dirname "$0")/tap.sh"

cd "$USRPCI_SOURCE" || exit
dirs=$(ls -d util lib host cli drivers examples rump tests bench include 2>/dev/null || true)

need()
{
	command -v "$1" >/dev/null || skip "$1 is not installed; make lint installs it"
}

# Other versions format in another way and find other things, so those of Debian 12 decide.
need_version()
{
	need "$1"
	version=$("$1" --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
	[ "$version" = "$2" ] || skip "$1 is version $version, and $2 decides"
}

is_formatted()
{
	need_version clang-format 14.0
	# shellcheck disable=SC2086
	find $dirs -name '*.[ch]' -print0 | xargs -0 -r clang-format --dry-run -Werror
}

# The files that the build compiles, as it names them: others have no options to be read with. Not
# the tests: that an assertion ends a test is more than the analyser knows.
compiled_files()
{
	sed -n 's/^ *"file": "\(.*\.c\)",*$/\1/p' compile_commands.json | grep -v '/tests/' | sort -u
}

satisfies_clang_tidy()
{
	need_version clang-tidy 14.0
	cd "$USRPCI_BUILD" || exit
	compiled_files | xargs -r -P "$(nproc)" -n 8 clang-tidy -p . --quiet \
		--extra-arg=-Wno-unknown-warning-option 2>"$scratch/tidy" ||
		grep -v 'warnings* generated' "$scratch/tidy"
}

satisfies_cppcheck()
{
	need_version cppcheck 2.10
	cppcheck --project="$USRPCI_BUILD/compile_commands.json" -j "$(nproc)" --quiet --std=c11 \
		--enable=warning,performance,portability --inline-suppr --suppress=missingInclude \
		--cppcheck-build-dir="$scratch" --error-exitcode=1 2>&1
}

satisfies_shellcheck()
{
	need shellcheck
	git ls-files >"$scratch/files" 2>/dev/null || skip "this is no git checkout"
	while read -r file; do
		if [ -f "$file" ] && head -n 3 "$file" | grep -qE '^#!.*sh$|shellcheck shell='; then
			echo "$file"
		fi
	done <"$scratch/files" | xargs -r shellcheck --external-sources --severity=warning
}

# "set -e" does not hold for what "!" stands before, so it tells only as the last command of a function.
fails_where_it_must_not_succeed()
{
	git ls-files 'tests/*.sh' >"$scratch/files" 2>/dev/null || skip "this is no git checkout"
	xargs -r awk <"$scratch/files" '
		FNR == 1 { line = "" }
		line && !/^\t*["})]/ { print place ": " line; found = 1 }
		{ line = /^\t+! / && !/\|\|/ ? $0 : ""; place = FILENAME ":" FNR }
		END { exit found }'
}

check "C files are formatted as .clang-format says" is_formatted
check "clang-tidy finds nothing" satisfies_clang_tidy
check "cppcheck finds nothing" satisfies_cppcheck
check "shellcheck finds nothing" satisfies_shellcheck
check "a test fails where a command succeeds that must not" fails_where_it_must_not_succeed
finish
