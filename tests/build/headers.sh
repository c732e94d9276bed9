#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# headers.sh: each public header can be included alone, and twice, by C11 and by C++ programs.
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

# The barriers of other processors are instructions, which their assemblers know.
assembles_for()
{
	compiler=$1-linux-gnu-gcc
	command -v "$compiler" >/dev/null || skip "$compiler is not installed"
	echo '#include <stdio.h>' | "$compiler" -E -x c -o "$scratch/headers" - 2>/dev/null ||
		skip "the headers of a libc for $1 are not installed"
	printf '#include <usrpci/mmio.h>\nvoid test(void) { usrpci_dma_wmb(); usrpci_dma_rmb(); usrpci_dma_mb(); }\n' |
		"$compiler" -x c -std=c11 -O2 -Wall -Wextra -Werror -c -I "$USRPCI_SOURCE/include" -o "$scratch/object" -
}

for processor in aarch64 riscv64 powerpc64le s390x; do
	check "the barriers assemble for $processor" assembles_for $processor
done
for path in "$USRPCI_SOURCE"/include/usrpci/*.h; do
	header=${path##*/}
	check "$header compiles alone as C11" compiles_as_c "$header"
	check "$header compiles alone as C++" compiles_as_cxx "$header"
done
finish
