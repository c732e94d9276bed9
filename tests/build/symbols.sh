#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# symbols.sh: what the shared libraries export is what their symbol files and the headers say.
#
. "$(dirname "$0")/tap.sh"

exported()
{
	nm -D --defined-only --format=posix "$1" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort
}

listed()
{
	sed -n '/global:/,/local:/s/^[[:space:]]*\([A-Za-z0-9_]*\);$/\1/p' "$1" | sort
}

# The functions that a header declares, those that are inline included.
declared()
{
	for header in "$@"; do
		echo "#include <usrpci/$header>"
	done >"$scratch/all.c"
	gcc -std=gnu11 -I "$USRPCI_SOURCE/include" -fsyntax-only -aux-info "$scratch/aux" "$scratch/all.c"
	# A library of one header includes others, whose functions are not its own.
	case $* in
	*' '*) files='[a-z]*' ;;
	*) files=${1%.h} ;;
	esac
	sed -n 's|^/\* [^ ]*include/usrpci/'"$files"'\.h:[0-9]*:N[COF] \*/ extern [^(]*[ *]\(usrpci_[a-z0-9_]*\) (.*|\1|p' \
		"$scratch/aux" | sort -u
}

# Prints what is in one list and not in the other; nothing if they are equal.
compare()
{
	diff "$1" "$2" | sed -n "s/^</only in $3:/p; s/^>/only in $4:/p"
}

library=''
need_library()
{
	[ -e "$1" ] || skip "$1 is not built"
	library=$1
}

exports_what_its_symbol_file_lists()
{
	need_library "$1"
	exported "$library" | grep -v '^LIBUSRPCI' >"$scratch/exported" || true
	listed "$2" >"$scratch/listed"
	[ -s "$scratch/listed" ] || echo "$2: lists nothing"
	compare "$scratch/exported" "$scratch/listed" "the library" "the symbol file"
}

exports_what_its_headers_declare()
{
	symbols=$1
	[ -e "$symbols" ] || skip "$symbols does not exist"
	shift
	listed "$symbols" >"$scratch/listed"
	declared "$@" >"$scratch/declared"
	compare "$scratch/declared" "$scratch/listed" "the headers" "the symbol file"
}

# Nothing global and writable: two contexts, or two users of the library, must not meet.
has_no_writable_globals()
{
	need_library "$1"
	if nm "$library" | grep -q '__asan_init'; then
		skip "a sanitizer's own variables are in it"
	fi
	objdump -t "$library" | awk '
		$NF ~ /^(completed\.0|__dso_handle|__TMC_END__)$/ { next } # start-up code
		$3 == "O" && ($4 == ".data" || $4 == ".bss") { print $NF ": writable" }'
}

# Who calls whom among the object files of a folder of lib/, "caller called" a line.
calls_within()
{
	for object in "$USRPCI_BUILD"/lib/libusrpci.so.*.p/"$1"_*.o; do
		name=${object##*/"$1"_}
		nm --format=posix "$object" | sed "s/$/ ${name%.c.o}/"
	done | awk '
		$2 ~ /^[TDR]$/ { home[$1] = $NF }
		$2 == "U" { uses[$NF, $1] }
		END { for (use in uses) { split(use, pair, SUBSEP); if (pair[2] in home) print pair[1], home[pair[2]] } }'
}

# A backend of one process, one lock and one connection is understood from below: see lib/qemu/qemu.h.
files_call_only_what_is_below_them()
{
	need_library "$lib"
	calls_within "$1" >"$scratch/calls"
	[ "$(wc -l <"$scratch/calls")" -gt 10 ] || echo "only $(wc -l <"$scratch/calls") calls were found"
	tsort "$scratch/calls" 2>&1 >/dev/null | sed 's/^tsort: //'
}

lib_headers=$(cd "$USRPCI_SOURCE/include/usrpci" && ls ./*.h | sed 's|^./||' | grep -vE '^(host|nic|nvme|rump|vblk)\.h$')
lib=$USRPCI_BUILD/lib/libusrpci.so
host=$USRPCI_BUILD/host/libusrpci-host.so
nvme=$USRPCI_BUILD/drivers/libusrpci-nvme.so
net=$USRPCI_BUILD/drivers/libusrpci-net.so
vblk=$USRPCI_BUILD/drivers/libusrpci-vblk.so
check "libusrpci.so exports what libusrpci.sym lists" \
	exports_what_its_symbol_file_lists "$lib" "$USRPCI_SOURCE/lib/libusrpci.sym"
# shellcheck disable=SC2086
check "libusrpci.sym lists what the public headers declare" \
	exports_what_its_headers_declare "$USRPCI_SOURCE/lib/libusrpci.sym" $lib_headers
check "libusrpci.so has no writable globals" has_no_writable_globals "$lib"
check "libusrpci-host.so exports what libusrpci-host.sym lists" \
	exports_what_its_symbol_file_lists "$host" "$USRPCI_SOURCE/host/libusrpci-host.sym"
check "libusrpci-host.sym lists what host.h declares" \
	exports_what_its_headers_declare "$USRPCI_SOURCE/host/libusrpci-host.sym" host.h
check "libusrpci-host.so has no writable globals" has_no_writable_globals "$host"
check "libusrpci-nvme.so exports what libusrpci-nvme.sym lists" \
	exports_what_its_symbol_file_lists "$nvme" "$USRPCI_SOURCE/drivers/nvme/libusrpci-nvme.sym"
check "libusrpci-nvme.sym lists what nvme.h declares" \
	exports_what_its_headers_declare "$USRPCI_SOURCE/drivers/nvme/libusrpci-nvme.sym" nvme.h
check "libusrpci-nvme.so has no writable globals" has_no_writable_globals "$nvme"
check "libusrpci-net.so exports what libusrpci-net.sym lists" \
	exports_what_its_symbol_file_lists "$net" "$USRPCI_SOURCE/drivers/net/libusrpci-net.sym"
check "libusrpci-net.sym lists what nic.h declares" \
	exports_what_its_headers_declare "$USRPCI_SOURCE/drivers/net/libusrpci-net.sym" nic.h
check "libusrpci-net.so has no writable globals" has_no_writable_globals "$net"
check "libusrpci-vblk.so exports what libusrpci-vblk.sym lists" \
	exports_what_its_symbol_file_lists "$vblk" "$USRPCI_SOURCE/drivers/virtio/libusrpci-vblk.sym"
check "libusrpci-vblk.sym lists what vblk.h declares" \
	exports_what_its_headers_declare "$USRPCI_SOURCE/drivers/virtio/libusrpci-vblk.sym" vblk.h
check "libusrpci-vblk.so has no writable globals" has_no_writable_globals "$vblk"
check "the files of lib/qemu call only what is below them" files_call_only_what_is_below_them qemu
finish
