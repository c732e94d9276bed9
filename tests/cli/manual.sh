#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# manual.sh: help, manual pages and completion speak of the same commands and options.
#
. "$(dirname "$0")/../build/tap.sh"

usrpci=$USRPCI_BUILD/cli/usrpci

commands()
{
	"$usrpci" --help | sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# Options of a command's help, without the program's own.
options()
{
	comm -23 <("$usrpci" "$1" --help | grep -oE '^ +(-.,)? +--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u) \
		<("$usrpci" --help | grep -oE -- '--[a-z-]+' | grep -vx -- --help | sort -u | { cat; echo --help; } | sort -u)
}

options_are_in_the_manual()
{
	local command option
	for command in $(commands); do
		for option in $(options "$command"); do
			grep -qF -- "*$option*" "$USRPCI_SOURCE/man/usrpci-$command.8.scd" ||
				echo "usrpci-$command.8 does not know $option"
		done
	done
}

manual_knows_no_other_options()
{
	local command option
	for command in $(commands); do
		for option in $(sed '/COMMON OPTIONS/,/^$/d; /^# EXAMPLES/,$d' "$USRPCI_SOURCE/man/usrpci-$command.8.scd" |
			grep -oE '^\*.*' | grep -oE -- '--[a-z-]+'); do
			"$usrpci" "$command" --help | grep -q -- "$option" ||
				echo "usrpci $command does not know $option of its manual page"
		done
	done
}

commands_are_in_the_manual()
{
	local command
	for command in $(commands); do
		grep -q "usrpci-$command\*(8)" "$USRPCI_SOURCE/man/usrpci.8.scd" || echo "usrpci.8 does not know $command"
	done
}

options_are_completed()
{
	local command option
	# shellcheck source=contrib/completion/usrpci
	. "$USRPCI_SOURCE/contrib/completion/usrpci"
	for command in $(commands); do
		for option in $(options "$command"); do
			COMP_WORDS=("$usrpci" "$command" "--")
			COMP_CWORD=2
			COMPREPLY=()
			_usrpci
			[[ " ${COMPREPLY[*]} " == *" $option "* ]] || echo "$command: $option is not completed"
		done
	done
}

# completes WANTED WORD...: what completion offers for the last word.
completes()
{
	local wanted=$1
	shift
	# shellcheck source=contrib/completion/usrpci
	. "$USRPCI_SOURCE/contrib/completion/usrpci"
	COMP_WORDS=("$usrpci" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_usrpci
	[ "${COMPREPLY[*]}" = "$wanted" ] || echo "completes to \"${COMPREPLY[*]}\", not \"$wanted\""
}

devices_are_completed()
{
	"$USRPCI_SOURCE/tests/fixtures/make-host" "$USRPCI_SOURCE/tests/fixtures/server.host" "$scratch/host"
	completes "0000:01:00.0" --root "$scratch/host" show 0000:01
	completes "eth0 eth1" --root "$scratch/host" bind et
}

check "the manual describes every option of every command" options_are_in_the_manual
check "the manual describes no other options" manual_knows_no_other_options
check "the manual lists every command" commands_are_in_the_manual
check "every option is completed" options_are_completed
check "commands are completed" completes "bind" bi
check "actions are completed" completes "reserve release" hugepages re
check "classes are completed" completes "network nvme" list --class n
check "devices and interfaces are completed" devices_are_completed
finish
