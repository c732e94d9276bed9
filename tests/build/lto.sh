#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# lto.sh: a static library that link-time optimization was chosen for is linked by a linker that has no plugin for it.
#
. "$(dirname "$0")/tap.sh"

builds_with_lto()
{
	meson setup --werror -Db_lto=true -Dhost=false -Dtests=disabled -Doptimization=1 "$scratch/lto" \
		"$USRPCI_SOURCE" >"$scratch/log" 2>&1 || { tail -n 20 "$scratch/log" && return 1; }
	ninja -C "$scratch/lto" lib/libusrpci.a drivers/libedu.a >"$scratch/log" 2>&1 || tail -n 20 "$scratch/log"
}

links_without_the_plugin()
{
	gcc -std=gnu11 -fno-lto -fno-use-linker-plugin -I"$USRPCI_SOURCE/include" -I"$USRPCI_SOURCE/drivers" \
		-o "$scratch/edu_dma" "$USRPCI_SOURCE/examples/edu_dma.c" \
		"$scratch/lto/drivers/libedu.a" "$scratch/lto/lib/libusrpci.a"
}

drives_edu()
{
	command -v qemu-system-x86_64 >/dev/null || skip "QEMU is not installed; make check installs it"
	"$scratch/edu_dma" qemu:edu >"$scratch/said" 2>&1 || cat "$scratch/said"
}

check "lto@builds-without-a-warning" builds_with_lto
check "lto@is-linked-without-the-plugin" links_without_the_plugin
check "lto@drives-edu" drives_edu
finish
