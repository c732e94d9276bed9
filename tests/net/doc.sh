#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# doc.sh: runs doc/net.md: its blocks "sh" in one shell; a block "c NAME" becomes a file.
#
# usage: doc.sh; or doc.sh --root INTERFACE GATEWAY: the blocks "sh root", in the test machine
#
. "$(dirname "$0")/../build/tap.sh"

PATH=$USRPCI_BUILD/cli:$PATH
export LD_LIBRARY_PATH=$USRPCI_BUILD/lib:$USRPCI_BUILD/drivers

# blocks KIND: the lines of the blocks that begin with ```KIND.
blocks()
{
	awk -v begin="\`\`\`$1" '$0 == begin { inside = 1; next } /^```$/ { inside = 0 } inside' \
		"$USRPCI_SOURCE/doc/net.md"
}

# What is not installed stands in the build directory.
as_it_is_here()
{
	sed "s|^build/|$USRPCI_BUILD/|" |
		sed "s|\$(pkg-config --cflags --libs libusrpci-net)|-I$USRPCI_SOURCE/include -L$USRPCI_BUILD/lib -L$USRPCI_BUILD/drivers -lusrpci-net -lusrpci|"
}

if [ "${1:-}" = --root ]; then
	blocks 'sh root' | as_it_is_here | sed "s|eth1|$2|g; s|192.168.1.1|$3|g" >"$scratch/commands"
	bash -eux "$scratch/commands"
	exit
fi
command -v qemu-system-x86_64 >/dev/null || { echo "1..0 # SKIP QEMU is not installed; make check installs it" && exit; }

runs()
{
	cd "$scratch" || exit
	blocks 'c echo.c' >echo.c
	blocks sh | as_it_is_here >commands
	timeout 100 bash -eu commands >said 2>&1 || { cat said && echo "status $?"; }
	for pattern in 'virtio-net on qemu:virtio-net-pci, interrupts' '82540EM on qemu:e1000, polling' 'virtio-net, MTU 1500'; do
		grep -q -- "$pattern" said || echo "nothing it prints matches '$pattern'"
	done
	[ "$(grep -c 'requests sent, 3 replies, lost: 0' said)" = 2 ] || cat said
}

check "doc/net.md does what it says" runs
finish
