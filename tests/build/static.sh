#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# static.sh: the static command is small, needs nothing, and says what the other one says.
#
. "$(dirname "$0")/tap.sh"

most=2000000
dynamic=$USRPCI_BUILD/cli/usrpci
host=$scratch/host
static=$host/usrpci

"$USRPCI_SOURCE/tests/fixtures/make-host" "$USRPCI_SOURCE/tests/fixtures/server.host" "$host"
strip -o "$static" "$USRPCI_BUILD/cli/usrpci-static"

is_small()
{
	[ "$(stat -c %s "$static")" -le $most ] || stat -c "%s bytes" "$static"
	! ldd "$static" 2>/dev/null || echo "it needs libraries"
}

# The option that hides the warnings of glibc hides what is missing too: such a call would go to address 0.
has_all_functions()
{
	local link
	link=$(ninja -C "$USRPCI_BUILD" -t commands cli/usrpci-static | tail -n 1)
	link=${link//-Wl,--no-warnings/}
	(cd "$USRPCI_BUILD" && eval "${link/-o cli\/usrpci-static/-o $scratch/linked}") >"$scratch/said" 2>&1 ||
		grep 'undefined reference' "$scratch/said" || cat "$scratch/said"
}

# There is nothing below the root but the command, then also a /sys and a /proc.
runs_in_an_empty_root()
{
	local enter="chroot"
	[ "$(id -u)" = 0 ] || enter="unshare -r chroot"
	$enter "$host" /usrpci --version >"$scratch/said" 2>&1 || skip "chroot: $(cat "$scratch/said")"
	mkdir "$scratch/empty"
	cp "$static" "$scratch/empty"
	$enter "$scratch/empty" /usrpci --version | grep -q '^usrpci [0-9]' || echo "no version"
	$enter "$scratch/empty" /usrpci help bind | grep -q -- --driver || echo "no help"
	$enter "$host" /usrpci list -o ADDR,ID,DRIVER,IF >"$scratch/list" || echo "exit status $?"
	"$dynamic" --root "$host" list -o ADDR,ID,DRIVER,IF | diff - "$scratch/list"
}

# Names of devices and classes are left out: the static command has no database of them.
agrees_with_the_other()
{
	local words status
	while read -r -a words; do
		for command in dynamic static; do
			status=0
			"${!command}" --root "$host" "${words[@]}" >"$scratch/$command" 2>&1 || status=$?
			echo "status $status" >>"$scratch/$command"
		done
		diff -u --label "${words[*]}" "$scratch/dynamic" --label static "$scratch/static" || true
	done <<-END
		list -o ADDR,ID,DRIVER,IF,NODE,GROUP
		-j list -o ADDR,DRIVER --tree
		-n bind eth1
		bind eth0
		bind nvme0n1
		-j bind eth0
		check eth1
		hugepages
		vfs 03:00.0
		bar eth1
		-j bar eth1
		-n restore --all
	END
}

check "the static command has at most 2 MB and needs no library" is_small
check "it runs in an empty root directory" runs_in_an_empty_root
check "all functions that it calls are there" has_all_functions
check "it agrees with the other command" agrees_with_the_other
finish
