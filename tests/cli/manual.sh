#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# manual.sh: help, manual pages and completion speak of the same commands and options.
#
. "$(dirname "$0")/../build/tap.sh"

usrpci=$USRPCI_BUILD/cli/usrpci
# Where shells find it, and nothing else with such a name.
path=$scratch/bin:$PATH
mkdir "$scratch/bin"
ln -s "$usrpci" "$scratch/bin/usrpci"

commands=$("$usrpci" --help | sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p')
"$usrpci" --help | grep -oE -- '--[a-z-]+' | sort -u >"$scratch/common"

# Options of a command's help, without the program's own.
options()
{
	"$usrpci" "$1" --help | grep -oE '^ +(-.,)? +--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u |
		comm -23 - "$scratch/common"
}

options_are_in_the_manual()
{
	local command option
	for command in $commands; do
		for option in $(options "$command"); do
			grep -qF -- "*$option*" "$USRPCI_SOURCE/man/usrpci-$command.8.scd" ||
				echo "usrpci-$command.8 does not know $option"
		done
	done
}

manual_knows_no_other_options()
{
	local command option help
	for command in $commands; do
		help=$("$usrpci" "$command" --help)
		for option in $(sed '/COMMON OPTIONS/,/^$/d; /^# EXAMPLES/,$d' "$USRPCI_SOURCE/man/usrpci-$command.8.scd" |
			grep -oE '^\*.*' | grep -oE -- '--[a-z-]+'); do
			grep -q -- "$option" <<<"$help" ||
				echo "usrpci $command does not know $option of its manual page"
		done
	done
}

commands_are_in_the_manual()
{
	local command
	for command in $commands; do
		grep -q "usrpci-$command\*(8)" "$USRPCI_SOURCE/man/usrpci.8.scd" || echo "usrpci.8 does not know $command"
	done
}

# candidates WORD...: what may stand for the last word.
candidates()
{
	"$usrpci" complete "$@" | cut -f 1
}

options_are_completed()
{
	local command option
	for command in $commands; do
		candidates "$command" -- >"$scratch/offered"
		for option in $(options "$command"); do
			grep -qx -- "$option" "$scratch/offered" || echo "$command: $option is not completed"
		done
	done
}

# completes WANTED WORD...: what is offered for the last word, sorted.
completes()
{
	local wanted=$1 found
	shift
	found=$(candidates "$@" | sort -u | paste -sd ' ')
	[ "$found" = "$wanted" ] || echo "completes to \"$found\", not \"$wanted\""
}

host=$scratch/host
"$USRPCI_SOURCE/tests/fixtures/make-host" "$USRPCI_SOURCE/tests/fixtures/server.host" "$host"

devices_are_completed()
{
	completes "0000:01:00.0" --root "$host" show 0000:01
	completes "eth0 eth1" --root "$host" bind et
	completes "eth0 eth1" --root "$host" run eth1 et
	completes "" --root "$host" config eth1 et
	completes "" --root "$host" ps ""
}

# Of devices, restore can have those alone that were taken.
taken_devices_are_completed()
{
	completes "" --root "$host" restore ""
	mkdir -p "$host/run/usrpci/journal"
	printf 'usrpci-journal 1\nid 8086:10d3\nwhen 1\ndriver e1000e\ndriver_override \nend\n' \
		>"$host/run/usrpci/journal/0000:01:00.0"
	completes "0000:01:00.0 eth1" --root "$host" restore ""
}

arguments_are_completed()
{
	completes "network nvme" list --class n
	completes "--class=network --class=nvme" list --class=n
	completes "addr,name addr,numa_node" list -o addr,n
	completes "+origin" list -o +or
	completes "e1000 e1000e" --root "$host" list -d e1
	completes "none" bind --driver n
	completes "2M" hugepages --size 2
	completes "CAP_MSI CAP_MSIX" config eth1 read cap_ms
	completes "root" run --user roo
	completes "<directory>" --root ""
	completes "<command>" run eth0 -- l
}

# in_bash, in_zsh, in_fish LINE WANTED: what the line becomes, or is offered, when Tab is pressed.
in_bash()
{
	COMP_LINE=$1
	COMP_POINT=${#1}
	COMPREPLY=()
	# shellcheck source=contrib/completion/usrpci
	. "$USRPCI_SOURCE/contrib/completion/usrpci"
	PATH=$path _usrpci
	[ "${COMPREPLY[*]}" = "$2" ] || echo "$1: \"${COMPREPLY[*]}\", not \"$2\""
}

# An interactive zsh on a terminal of its own: Tab, then a key that tells what the line is.
in_zsh()
{
	local found
	rm -f "$scratch/line"
	cat >"$scratch/.zshrc" <<-EOF
		fpath=($USRPCI_SOURCE/contrib/completion \$fpath)
		path=($scratch/bin \$path)
		autoload -Uz compinit
		compinit -u -D
		tell() { print -r -- "\$BUFFER" >$scratch/part; mv $scratch/part $scratch/line; BUFFER=; }
		zle -N tell
		bindkey '^X' tell
	EOF
	# shellcheck disable=SC2016
	ZDOTDIR=$scratch LINE=$1 zsh -f -c '
		zmodload zsh/zpty
		zpty shell zsh -i
		zpty -w -n shell "$LINE"$'"'\\t\\x18'"'
		for i in {1..200}; do
			[[ ! -e $ZDOTDIR/line ]] || break
			sleep 0.1
			zpty -r -t shell text >/dev/null
		done'
	found=$(cat "$scratch/line")
	[ "${found% }" = "$2" ] || echo "$1 becomes \"$found\", not \"$2\""
}

in_fish()
{
	local found
	found=$(PATH=$path HOME=$scratch fish -c "
		source '$USRPCI_SOURCE/contrib/completion/usrpci.fish'
		complete -C '$1'" | cut -f 1 | paste -sd ' ')
	[ "$found" = "$2" ] || echo "$1: \"$found\", not \"$2\""
}

bash_completes()
{
	in_bash "usrpci hugepages re" "release reserve"
	in_bash "usrpci list --class=n" "network nvme"
	in_bash "usrpci --root $host show 0000:01" "01:00.0"
	in_bash "usrpci run eth0 -- usrpc" "usrpci"
	in_bash "usrpci frobnicate " ""
}

zsh_completes()
{
	command -v zsh >/dev/null || skip "zsh is not installed; make check installs it"
	in_zsh "usrpci hugepages res" "usrpci hugepages reserve"
	in_zsh "usrpci list --class=net" "usrpci list --class=network"
	in_zsh "usrpci --root $host show 0000:01" "usrpci --root $host show 0000:01:00.0"
	in_zsh "usrpci run eth0 -- usrpc" "usrpci run eth0 -- usrpci"
}

fish_completes()
{
	command -v fish >/dev/null || skip "fish is not installed; make check installs it"
	in_fish "usrpci hugepages re" "release reserve"
	in_fish "usrpci list --class=n" "--class=network --class=nvme"
	in_fish "usrpci --root $host show 0000:01" "0000:01:00.0"
	in_fish "usrpci run eth0 -- usrpc" "usrpci"
}

check "the manual describes every option of every command" options_are_in_the_manual
check "the manual describes no other options" manual_knows_no_other_options
check "the manual lists every command" commands_are_in_the_manual
check "every option is completed" options_are_completed
check "commands are completed" completes "bar bind" b
check "actions are completed" completes "release reserve" hugepages re
check "arguments of options are completed" arguments_are_completed
check "devices and interfaces are completed" devices_are_completed
check "restore is offered what was taken" taken_devices_are_completed
check "bash completes" bash_completes
check "zsh completes" zsh_completes
check "fish completes" fish_completes
finish
