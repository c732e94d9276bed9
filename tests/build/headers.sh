#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# headers.sh: each public header can be included alone, and twice, by C11 and by C++ programs; other processors'
# barriers are instructions, and 32 bits are refused.
#
. "$(dirname "$0")/tap.sh"

include_twice()
{
	printf '#include <usrpci/%s>\n#include <usrpci/%s>\n' "$1" "$1"
}

compiles_as_c()
{
	include_twice "$1" | gcc -x c -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
		-I "$USRPCI_SOURCE/include" -
}

compiles_as_cxx()
{
	command -v g++ >/dev/null || skip "g++ is not installed"
	include_twice "$1" | g++ -x c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
		-I "$USRPCI_SOURCE/include" -
}

# clang compiles for every processor; what the headers want of a libc that is not here stands in for it.
clang_for()
{
	command -v clang >/dev/null || skip "clang is not installed"
	clang --target="$1" -fsyntax-only -x c /dev/null 2>/dev/null || skip "this clang does not know $1"
	printf 'extern struct file *stderr;\nint fprintf(struct file *, const char *, ...);\n' >"$scratch/stdio.h"
	clang --target="$1" -ffreestanding -isystem "$scratch" -x c -std=c11 -O2 -Wall -Wextra -Werror -c \
		-I "$USRPCI_SOURCE/include" -o "$scratch/object" -
}

# The barriers of other processors are instructions, which their assemblers know.
assembles_for()
{
	{
		echo '#include <usrpci/mmio.h>'
		echo 'void test(void) { usrpci_dma_wmb(); usrpci_dma_rmb(); usrpci_dma_mb(); usrpci_wc_flush(); }'
	} | clang_for "$1-linux-gnu"
}

# refused OUTPUT WORD: it says once, in the words of both places, why.
refused()
{
	[ "$(grep -c "$2.*usrpci needs 64 bits: it places DMA memory where" "$1")" = 1 ] || cat "$1"
}

is_refused_by_its_headers()
{
	! echo '#include <usrpci/ctx.h>' | clang_for "$1" 2>"$scratch/said" || echo "it compiles"
	refused "$scratch/said" "error: "
}

is_refused_at_configuration()
{
	clang_for "$1" </dev/null || exit
	cat >"$scratch/cross.ini" <<-END
		[binaries]
		c = ['clang', '--target=$1']
		ar = 'ar'
		[properties]
		skip_sanity_check = true
		[built-in options]
		c_args = ['-ffreestanding', '-isystem', '$scratch']
		[host_machine]
		system = 'linux'
		cpu_family = 'x86'
		cpu = 'i686'
		endian = 'little'
	END
	! meson setup --cross-file "$scratch/cross.ini" "$scratch/build" "$USRPCI_SOURCE" >"$scratch/said" 2>&1 ||
		echo "it is configured"
	refused "$scratch/said" "ERROR: .*"
}

for processor in aarch64 riscv64 powerpc64 powerpc64le loongarch64 s390x; do
	check "the barriers assemble for $processor" assembles_for $processor
done
for target in i386-linux-gnu arm-linux-gnueabihf; do
	check "${target%%-*} is refused by <usrpci/ctx.h>" is_refused_by_its_headers $target
done
check "i386 is refused at configuration" is_refused_at_configuration i386-linux-gnu
for path in "$USRPCI_SOURCE"/include/usrpci/*.h; do
	header=${path##*/}
	check "$header compiles alone as C11" compiles_as_c "$header"
	check "$header compiles alone as C++" compiles_as_cxx "$header"
done
finish
