#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# kernel_fetch: kernels are found and unpacked as Debian and as Ubuntu pack them.
#
# A few bytes stand for a kernel, and for apt two programs that make packages of them.
#
. "$(dirname "$0")/tap.sh"

# number VALUE: as four bytes of a file, the lowest first.
number()
{
	printf "\\$(printf %03o $(($1 % 256)))\\$(printf %03o $(($1 / 256)))\\0\\0"
}

# write_bzimage PACKER FILE: a setup of two sectors and a kernel, see Documentation/arch/x86/boot.rst.
write_bzimage()
{
	printf '\177ELF a kernel' | $1 >"$scratch/packed"
	{
		head -c 497 /dev/zero
		printf '\001'
		head -c 86 /dev/zero
		number 0
		number "$(wc -c <"$scratch/packed")"
		head -c 432 /dev/zero
		cat "$scratch/packed"
	} >"$2"
}

# write_package NAME: with the files that are in tree.
write_package()
{
	mkdir -p tree/DEBIAN
	printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n' "$1" >tree/DEBIAN/control
	dpkg-deb --build tree "$1.deb" >/dev/null
	rm -rf tree
}

# write_apt META IMAGE: an apt that knows one package without files, and downloads the packages that are here.
write_apt()
{
	mkdir bin
	printf '#!/bin/sh\n[ "$2" = %s ] && printf "%s\\n  Depends: %s\\n"\n' "$1" "$1" "$2" >bin/apt-cache
	printf '#!/bin/sh\n[ "$1" = update ] && exit\nshift 2\nfor name; do cp "%s/$name.deb" . || exit; done\n' "$PWD" >bin/apt-get
	chmod +x bin/*
}

begin()
{
	mkdir "$scratch/$1"
	cd "$scratch/$1" || exit
	PATH=$PATH:/usr/sbin:/sbin
	for tool in dpkg-deb depmod xz zstd; do
		command -v $tool >/dev/null || skip "$tool is not installed"
	done
}

# unpacks RELEASE: what stands where it should not is printed.
unpacks()
{
	said=$(PATH=$PWD/bin:$PATH USRPCI_KERNEL='' USRPCI_CACHE=$PWD/cache "$USRPCI_SOURCE/tests/qemu/kernel-fetch" 2>log)
	[ "$said" = "$PWD/cache/linux-$1" ] || { echo "it prints \"$said\"" && cat log && return; }
	printf '\177ELF a kernel' | cmp - "$said/vmlinux"
	[ "$(cat "$said/release")" = "$1" ] || cat "$said/release"
	ls "$said/lib/modules/$1/modules.dep" "$said/lib/modules/$1/kernel/a.ko" >/dev/null
}

debian()
{
	begin debian
	mkdir -p tree/boot tree/lib/modules/6.1.0-9-amd64/kernel
	write_bzimage xz tree/boot/vmlinuz-6.1.0-9-amd64
	: >tree/lib/modules/6.1.0-9-amd64/kernel/a.ko
	write_package linux-image-6.1.0-9-amd64
	write_apt linux-image-amd64 linux-image-6.1.0-9-amd64
	unpacks 6.1.0-9-amd64
}

ubuntu()
{
	begin ubuntu
	mkdir -p tree/boot
	write_bzimage "zstd -q" tree/boot/vmlinuz-6.8.0-9-generic
	write_package linux-image-6.8.0-9-generic
	mkdir -p tree/usr/lib/modules/6.8.0-9-generic/kernel
	: >tree/usr/lib/modules/6.8.0-9-generic/kernel/a.ko
	write_package linux-modules-6.8.0-9-generic
	mkdir -p tree/usr/lib/modules/6.8.0-9-generic/kernel
	: >tree/usr/lib/modules/6.8.0-9-generic/kernel/b.ko
	write_package linux-modules-extra-6.8.0-9-generic
	write_apt linux-image-generic linux-image-6.8.0-9-generic
	unpacks 6.8.0-9-generic
}

check "kernel_fetch@debians-kernel-is-one-package" debian
check "kernel_fetch@ubuntus-modules-are-in-packages-of-their-own" ubuntu
finish
