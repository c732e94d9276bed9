# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# common.sh: what the runs of fuzz targets share; sourced by them. They are in the build directory, and
# have set here, the directory of this file.

sources=$here

# In memory if possible: some targets make files.
scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The longest input, bytes: what a target reads, or enough calls to get anywhere.
length_of()
{
	case $1 in
	caps) echo 4096 ;;
	sysfs | notes | host | declare) echo 1024 ;;
	*) echo 256 ;;
	esac
}

has_clang()
{
	ninja -t query "tests/fuzz/fuzz_$1" >/dev/null 2>&1
}

# The tests of one build may run at once, ninja may not.
build()
{
	flock .fuzz.lock ninja "tests/fuzz/fuzz_$1"
}

# Neither which inputs are rare is counted (entropic), nor how often each of them passes a branch, because
# both would take half of the time. Nobody else adds to the directory (reload), and nobody reads the
# names of functions that are reached (print_funcs), for which the symbols of all are read.
#
# fuzz NAME DIRECTORY OPTION...: new inputs go to the directory, and what breaks the target here.
fuzz()
{
	local name=$1 directory=$2 kept=()
	shift 2
	mkdir -p "$directory"
	[ ! -d "$sources/corpus/$name" ] || kept=("$sources/corpus/$name")
	TMPDIR=$scratch "tests/fuzz/fuzz_$name" -max_len="$(length_of "$name")" -timeout=10 \
		-entropic=0 -use_counters=0 -reload=0 -print_funcs=0 -print_final_stats=1 \
		-artifact_prefix="crash-$name-" "$@" "$directory" "${kept[@]}"
}
