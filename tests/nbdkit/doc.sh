#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# doc.sh: runs doc/nvme.md: its blocks "sh" in one shell; a block "c NAME" becomes a file.
#
# usage: doc.sh; or doc.sh --root ADDRESS: the blocks "sh root", in the test machine, for a disk at ADDRESS
#
. "$(dirname "$0")/../build/tap.sh"

plugin=$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so
PATH=$USRPCI_BUILD/cli:$PATH
export LD_LIBRARY_PATH=$USRPCI_BUILD/lib:$USRPCI_BUILD/drivers

# blocks KIND: the lines of the blocks that begin with ```KIND.
blocks()
{
	awk -v begin="\`\`\`$1" '$0 == begin { inside = 1; next } /^```$/ { inside = 0 } inside' \
		"$USRPCI_SOURCE/doc/nvme.md"
}

# What is not installed stands in the build directory.
as_it_is_here()
{
	sed "s|usrpci-nvme \"|$plugin \"|; s|usrpci-nvme 03:00.0|$plugin 03:00.0|" |
		sed "s|\$(pkg-config --cflags --libs libusrpci-nvme)|-I$USRPCI_SOURCE/include -L$USRPCI_BUILD/lib -L$USRPCI_BUILD/drivers -lusrpci-nvme -lusrpci|"
}

# usrpci serve runs nbdkit, as a user that can look into few directories.
wrap_nbdkit()
{
	mkdir "$scratch/bin"
	printf '#!/bin/bash\nexec %s "${@/#usrpci-nvme/%s}"\n' "$(command -v nbdkit)" "$plugin" >"$scratch/bin/nbdkit"
	chmod 755 "$scratch" "$scratch/bin" "$scratch/bin/nbdkit"
	PATH=$scratch/bin:$PATH
}

if [ "${1:-}" = --root ]; then
	wrap_nbdkit
	blocks 'sh root' | as_it_is_here | sed "s|03:00.0|$2|g" >"$scratch/commands"
	bash -eux "$scratch/commands"
	exit
fi
for tool in nbdkit nbdinfo nbdcopy fio qemu-system-x86_64; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed; make check installs it" && exit; }
done
[ -e "$plugin" ] || { echo "1..0 # SKIP nbdkit's header was not there when the build was set up" && exit; }

runs()
{
	cd "$scratch" || exit
	blocks 'c first.c' >first.c
	blocks sh | as_it_is_here >commands
	timeout 200 bash -eu commands >said 2>&1 || { cat said && echo "status $?"; }
	for pattern in 'Model  *QEMU NVMe Ctrl' 'can_multi_conn: true' 'err= 0' '16384 4096 no' 'first byte: '; do
		grep -q -- "$pattern" said || echo "nothing it prints matches '$pattern'"
	done
}

check "doc/nvme.md does what it says" runs
finish
