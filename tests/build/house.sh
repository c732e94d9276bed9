#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# house.sh: the rules of the house that a program can check. See HACKING.md.
#
# Each rule is a function that prints the offenders below a directory. Each is tried first on a small
# tree that breaks it: a rule that finds nothing there would find nothing anywhere.
#
. "$(dirname "$0")/tap.sh"

layers="util lib host cli drivers examples rump bench"

# The C files below some directories of a tree.
sources()
{
	local dir
	for dir in "$@"; do
		[ ! -d "$dir" ] || find "$dir" -name '*.[ch]' | sort
	done
}

# The text of the files below directories without comments and empty lines, each line with its file's name before it.
code_of()
{
	sources "$@" | xargs -r awk '
		FNR == 1 { inside = 0 }
		{
			rest = $0
			code = ""
			while (rest != "") {
				if (inside) {
					end = index(rest, "*/")
					rest = end ? substr(rest, end + 2) : ""
					inside = !end
				} else if (match(rest, /"([^"\\]|\\.)*"|\047([^\047\\]|\\.)+\047|\/[*]|\/\//)) {
					what = substr(rest, RSTART, 2)
					inside = what == "/*"
					code = code substr(rest, 1, RSTART - 1 + (inside || what == "//" ? 0 : RLENGTH))
					rest = what == "//" ? "" : substr(rest, RSTART + RLENGTH)
				} else {
					code = code rest
					rest = ""
				}
			}
			if (code ~ /[^[:space:]]/) print FILENAME ": " code
		}'
}

# may_include LAYER OWNER: whether a file of LAYER may include a private header of OWNER.
may_include()
{
	case $1:$2 in
	util:util | lib:lib | lib:util | host:host | host:util | cli:cli | cli:util) ;;
	drivers:drivers | examples:examples | examples:drivers | rump:rump) ;;
	bench:bench | bench:drivers) ;;
	*) return 1 ;;
	esac
}

# may_use_host LAYER: whether it may include the preparation library's public header.
may_use_host()
{
	[[ " host cli bench " == *" $1 "* ]]
}

# The layer that has a private header: the includer's own if it can.
owner_of()
{
	local header=$1 own=$2 layer
	for layer in $own $layers; do
		if [ -d "$layer" ] && [ -n "$(find "$layer" -path "*/$header")" ]; then
			echo "$layer"
			return
		fi
	done
	echo nobody
}

arrows_point_down()
{
	local layer file header owner
	local -A owners
	cd "$1" || return
	for layer in $layers; do
		sources "$layer" | xargs -r grep -HoE '^#[[:space:]]*include[[:space:]]*("[^"]+"|<usrpci/host\.h>)' |
			sed 's/:[^"<]*/ /; s/"//g' | sort -u | while read -r file header; do
			if [ "$header" = "<usrpci/host.h>" ]; then
				may_use_host "$layer" || echo "$file: $header is for tools that prepare the host"
				continue
			fi
			[ -n "${owners[$layer:$header]:-}" ] || owners[$layer:$header]=$(owner_of "$header" "$layer")
			owner=${owners[$layer:$header]}
			may_include "$layer" "$owner" || echo "$file: $header belongs to $owner"
		done
	done
}

# may_reach FOLDER HEADER: whether a file of a folder of lib/ may include a header by that path.
may_reach()
{
	local to=${2%/*}
	[ "$1:$2" != dma:backend.h ] || return 1 # backends are above memory
	[[ $2 == */* ]] || return 0            # the core's
	case $1:$to in
	"$to:$to" | vfio:dma | qemu:dma | fault:dma) ;;
	# The core starts each backend, and failure injection stands before any of them.
	lib:dma | lib:vfio | lib:qemu) ;;
	lib:fault | dma:fault) [ "$2" = fault/fault.h ] ;;
	lib:trace | dma:trace) [ "$2" = trace/trace.h ] ;;
	*) return 1 ;;
	esac
}

library_folders_keep_apart()
{
	local file header folder
	cd "$1" || return
	sources lib | xargs -r grep -HoE '^#[[:space:]]*include[[:space:]]*"[^"]+"' | sed 's/:[^"]*/ /; s/"//g' |
		while read -r file header; do
			folder=$(basename "$(dirname "$file")")
			may_reach "$folder" "$header" || echo "$file: $header is not for $folder/"
		done
}

private_headers_are_named_by_their_path()
{
	local file header layer
	cd "$1" || return
	sources lib host | xargs -r grep -HoE '^#[[:space:]]*include[[:space:]]*"[^"]+"' | sed 's/:[^"]*/ /; s/"//g' |
		while read -r file header; do
			layer=${file%%/*}
			[ -e "$layer/$header" ] || [ -e "util/$header" ] || echo "$file: there is no $layer/$header"
		done
}

# The names that tables of operations are given, by their initialisers or later ("ops.grow = ...").
# Functions of these files that are members of a table, are set as one, or are threads.
reached_by_pointer()
{
	local file name
	grep -oHE '\.[a-z0-9_]+ = &?[a-z][a-z0-9_]*[,; }]|pthread_create\([^,]*, [^,]*, [a-z][a-z0-9_]*,' "$@" |
		sed -nE 's/^([^:]*):.*[ &]([a-z0-9_]+)[,; }]$/\1 \2/p' | sort -u | while read -r file name; do
		defined_in "$name" "$file" >/dev/null && echo "$name"
	done | sort -u
}

defined_in()
{
	grep -lE "^(static )?[a-z].*[ *]$1\(.*[^;]$" "${@:2}"
}

functions_behind_pointers_have_one_name()
{
	local name found files
	cd "$1" || return
	mapfile -t files < <(sources lib host | grep '\.c$')
	reached_by_pointer "${files[@]}" | while read -r name; do
		found=$(defined_in "$name" "${files[@]}")
		[ "$(grep -c . <<<"$found")" -le 1 ] || echo "$name: $(tr '\n' ' ' <<<"$found")"
	done
}

no_folder_is_a_heap()
{
	local folder
	cd "$1" || return
	# shellcheck disable=SC2086
	for folder in $(sources $layers tests include | xargs -r -n 1 dirname | sort -u); do
		set -- "$folder"/*.[ch]
		[ $# -le 30 ] || echo "$folder: $# C files"
	done
}

# message.c opens standard error once more.
one_place_writes_to_the_host()
{
	cd "$1" || return
	code_of host cli | grep -vE '^(host/(apply|state|lend/files|lend/nodes|lend/spare)|cli/message)\.c:' |
		grep -E 'O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|\b(creat|truncate|mkstemp|freopen|system)\(|\b(rename|unlink|symlink|mkdir)(at)?\(|\b(rmdir|remove|chmod|chown|mknod|umount2?)\(|fopen\(.*"([wa]|r[be]*\+)[be]*"'
}

# What changes the host without a file that is written: these files alone. place.c, netlink.c, loop.c and end.c ask,
# run.c puts the terminal back as it was, cmd_list.c asks for its width, tap.c has a TAP of its own, vhost.c its rings.
one_place_calls_the_kernel()
{
	cd "$1" || return
	code_of host cli |
		grep -vE '^(host/(apply|serve/block|lend/(nodes|child|end|run)|net/place|guard/(netlink|loop))|cli/(pump/(tap|vhost)|commands/cmd_list))\.c:' |
		grep -E '\b(ioctl|mount|move_mount|pivot_root|mnl_socket_send[a-z]*)\(|\bAF_NETLINK\b'
}

# A function that a .c file declares by hand could be any layer's. inline.c has the bodies of the public headers'
# functions, and plugin.c the one that nbdkit's macro defines.
functions_are_declared_in_headers()
{
	cd "$1" || return
	# shellcheck disable=SC2086
	code_of $layers | grep -vE '^([^:]*\.h|lib/inline\.c|drivers/nbdkit/plugin\.c):' | awk '
		/^[^ ]*: [[:space:]]+extern / { print }
		/^[^ ]*: [a-z]/ { text = ""; open = 1; file = $1 }
		open { sub(/^[^ ]*: /, ""); text = text " " $0 }
		open && /[;{=]/ {
			if (text ~ /^ [^={]*\)[^={]*;$/ && text !~ /^ (static|typedef) / && text !~ /^ [a-z0-9_]+: /) print file text
			open = 0
		}'
}

library_is_silent_and_never_exits()
{
	cd "$1" || return
	code_of lib util | grep -E '\b(v?f?printf|f?puts|putc|putchar|perror|v?errx?|v?warnx?|exit|abort|assert)\(' |
		grep -vE '_Static_assert\('
}

functions_are_short()
{
	cd "$1" || return
	# shellcheck disable=SC2086
	sources $layers tests | grep '\.c$' | xargs -r awk '
		FNR == 1 { start = 0 }
		/^{/ { start = FNR }
		/^}/ && start {
			lines = FNR - start - 1
			if (lines > (FILENAME ~ /^tests/ ? 70 : 45)) print FILENAME ":" start ": " lines " lines"
			start = 0
		}'
}

# In a comment the compiler does not mind them.
merges_are_complete()
{
	cd "$1" || return
	# shellcheck disable=SC2086
	grep -rnE '^[ *#]*(<<<<<<<|>>>>>>>) ' --include='*.[chs]' --include='*.sh' --include='*.scd' --include='*.md' \
		--include='*.txt' --include=meson.build -- $layers include tests doc man ./*.md 2>/dev/null || true
}

build_files_fit()
{
	cd "$1" || return
	find . -name meson.build -not -path './build*' -print0 | xargs -0 -r awk 'length > 100 { print FILENAME ":" FNR }'
}

# clang-format sees to the rest; texts are one line each, so that they can be looked for.
comments_fit()
{
	cd "$1" || return
	find . -name '*.[ch]' -not -path './build*' -exec expand -t 8 {} \; -exec echo END {} \; | awk '
		$1 == "END" { for (i = 1; i <= n; i++) print $2 ":" long[i]; n = line = 0; next }
		{ line++ }
		length > 100 && !/"/ { long[++n] = line }'
}

files_say_what_they_are()
{
	cd "$1" || return
	# shellcheck disable=SC2086
	sources $layers tests | grep '\.c$' | xargs -r awk '
		FNR == 1 && $0 != "// SPDX-License-Identifier: BSD-2-Clause" { print FILENAME ": no SPDX line" }
		FNR == 2 && !/^\/\*/ { print FILENAME ": does not say what it does" }
		FNR == 3 { nextfile }'
}

long_comments_begin_on_their_own_line()
{
	cd "$1" || return
	# shellcheck disable=SC2086
	sources $layers include tests |
		xargs -r grep -HnE '(^|[;,{)])[[:space:]]*/\*\*?[[:space:]]+[^[:space:]]' | grep -vF '*/'
}

nothing_is_left_to_do()
{
	cd "$1" || return
	# shellcheck disable=SC2086
	find $layers include tests man doc -type f -not -name house.sh -not -name summary -print0 2>/dev/null |
		xargs -0 -r grep -IHnwE 'TODO|FIXME|XXX'
}

every_header_has_a_man_page()
{
	local header
	cd "$1" || return
	[ -e man/usrpci_host.3.scd ] || skip "the last page, usrpci_host(3), is not written yet"
	for header in include/usrpci/*.h; do
		header=$(basename "$header" .h)
		[ "$header" = usrpci ] || compgen -G "man/usrpci_$header.3*" >/dev/null ||
			echo "include/usrpci/$header.h: no man/usrpci_$header.3.scd"
	done
}

every_command_has_a_man_page()
{
	local command
	cd "$1" || return
	compgen -G "man/usrpci-*" >/dev/null || skip "no command has a page yet"
	compgen -G 'cli/commands/cmd_*.c' >/dev/null || skip "there is no cli/commands/cmd_*.c"
	sources cli | sed -n 's|.*/cmd_\(.*\)\.c$|\1|p' | while read -r command; do
		compgen -G "man/usrpci-$command.[18]*" >/dev/null ||
			echo "cli/commands/cmd_$command.c: no man/usrpci-$command.8.scd"
	done
}

# The text that a macro stands for, in quotes.
macro()
{
	sources lib util host cli rump drivers | xargs grep -ohE "#define $1 +\"[A-Z_]+\"" | grep -o '".*"'
}

# A line for each variable that is read: file, function, name.
variables_read()
{
	local file call name
	sources lib util host cli rump drivers | grep -v /examples/ | xargs -r grep -oHE '\b(secure_)?getenv\([^)]*\)' |
		tr ':()' '   ' | sort -u | while read -r file call name; do
			[[ $name == \"* ]] || name=$(macro "$name" || echo "$name")
			echo "$file $call ${name//\"/}"
		done
}

# The row of a variable; "`USRPCI_QEMU`, `_ARGS`" is one of two.
row_of()
{
	grep -E '^\| `[A-Z_]+`' HACKING.md | grep -E "\`$1\`|\`${1%_*}\`.*\`_${1##*_}\`"
}

# "check" may ask for what it only reports.
environment_variables_are_listed()
{
	local file call name row
	cd "$1" || return
	variables_read | while read -r file call name; do
		row=$(row_of "$name") || { echo "HACKING.md: $name of $file is not in the table" && continue; }
		case $(cut -d '|' -f 4 <<<"$row"):$call:$file in
		" yes"*:secure_getenv:* | " yes"*:getenv:host/check/* | " no"*:getenv:*) ;;
		*) echo "$file: $call($name) is not what the table of HACKING.md says" ;;
		esac
	done
}

folders_are_in_the_plan()
{
	local folder
	cd "$1" || return
	for folder in */; do
		[[ $folder == @(build|obj-)* ]] || grep -qE "^\|.*\`$folder" HACKING.md || echo "HACKING.md: $folder is not in the table"
	done
}

# --- trees that break a rule: path and content in pairs ---------------------------------------

tree()
{
	rm -rf "$scratch/tree"
	while [ $# -gt 0 ]; do
		mkdir -p "$scratch/tree/$(dirname "$1")"
		printf '%b' "$2" >"$scratch/tree/$1"
		shift 2
	done
}

# catches RULE COUNT: it finds that many offenders in the tree.
catches()
{
	local found
	found=$("$1" "$scratch/tree") || true
	[ "$(grep -c . <<<"$found")" = "$2" ] || echo "$1 found in a tree with $2 offenders: $found"
}

holds()
{
	"$1" "$USRPCI_SOURCE" || true
}

# rule TITLE FUNCTION COUNT (PATH CONTENT)...: COUNT offenders are in the tree of the rest.
rule()
{
	local rule=$1 function=$2 count=$3
	shift 3
	tree "$@"
	check "a breach is found: $rule" catches "$function" "$count"
	check "$rule" holds "$function"
}

rule "include arrows only point down" arrows_point_down 5 \
	util/log.h '' lib/ctx.h '' host/apply.h '' drivers/e1000/e1000.h '' \
	lib/a.c '#include "ctx.h"\n#include "log.h"\n#include "apply.h"\n' \
	host/a.c '#include "ctx.h"\n#include <usrpci/host.h>\n' \
	drivers/e1000/a.c '#include "e1000.h"\n#include <usrpci/dma.h>\n#include <usrpci/host.h>\n' \
	examples/a.c '#include "../lib/ctx.h"\n' util/a.c '#include "ctx.h"\n'
rule "the folders of the library keep apart" library_folders_keep_apart 5 \
	lib/ctx.c '#include "fault/fault.h"\n#include "vfio/vfio.h"\n' \
	lib/dma/b.c '#include "backend.h"\n#include "fault/inside.h"\n' \
	lib/dma/a.c '#include "dma/heap.h"\n#include "fault/fault.h"\n#include "vfio/vfio.h"\n' \
	lib/vfio/a.c '#include "backend.h"\n#include "dma/domain.h"\n#include "qemu/qemu.h"\n' \
	lib/qemu/a.c '#include "qemu/qemu.h"\n#include "fault/fault.h"\n'
rule "private headers are named by their path" private_headers_are_named_by_their_path 1 \
	lib/dma/heap.h '' util/log.h '' lib/dma/a.c '#include "dma/heap.h"\n#include "heap.h"\n#include "log.h"\n'
rule "functions behind pointers have one name" functions_behind_pointers_have_one_name 2 \
	lib/a.c 'static int grow(void)\n{\n}\nstatic int help(void)\n{\n}\nstruct ops a = {\n\t.grow = grow,\n};\n' \
	host/b.c 'static int grow(void)\n{\n}\nstatic int help(void)\n{\n}\nstatic void *run(void *a)\n{\n\tpthread_create(&t, NULL, run, a);\n}\n' \
	lib/c.c 'static void run(void)\n{\n}\n'
mapfile -t heap < <(for number in {1..31}; do printf '%s\n\n' "lib/$number.c"; done)
rule "no folder has more than 30 C files" no_folder_is_a_heap 1 "${heap[@]}" host/a.c ''
rule "one place writes to the host" one_place_writes_to_the_host 3 \
	host/apply.c 'open(path, O_WRONLY);\n' \
	host/bind.c '/* O_WRONLY */\nopen(path, O_WRONLY);\nfopen(path, "re");\nfopen("/sys/a", "we");\n' \
	cli/main.c 'unlink(path);\n'
rule "one place calls what changes the host" one_place_calls_the_kernel 3 \
	host/apply.c 'ioctl(fd, SIOCSIFNAME, &a);\n' cli/main.c '/* mount() */\nmounts(a);\nmnl_socket_sendto(a, b, c);\n' \
	host/net/net.c '\tif (ioctl(fd, TUNSETIFF, &a))\n' host/bind.c 'return mount(a, b, c, d, e);\n'
rule "functions are declared in headers" functions_are_declared_in_headers 3 \
	lib/a.h 'int host_bind(void);\n' lib/a.c 'int host_bind(int a,\n\t      int b);\nstatic int c(void);\nint d(void)\n{\nend:\n\te();\n}\n' \
	lib/b.c 'extern int host_bind(void);\nint a[] = {f(1)};\ntypedef int g(void);\n' lib/c.c 'void a(void)\n{\n\textern int b(void);\n}\n'
rule "the library prints nothing and never exits" library_is_silent_and_never_exits 3 \
	lib/a.c '/* exit() */\nsnprintf(a, b, c);\n_exit(1);\nexit(1);\n_Static_assert(1, "");\nassert(x);\n' \
	util/a.c 'fprintf(stderr, "x");\n'
rule "no function is longer than 45 lines, and none of a test than 70" functions_are_short 2 \
	lib/a.c "int f(void)\n{\n$(yes 'a;\n' | head -n 46 | tr -d '\n')}\nint g(void)\n{\n}\n" \
	tests/a.c "// x\nint f(void)\n{\n$(yes 'a;\n' | head -n 71 | tr -d '\n')}\n" \
	tests/b.c "// x\nint f(void)\n{\n$(yes 'a;\n' | head -n 70 | tr -d '\n')}\n"
rule "merges are complete" merges_are_complete 2 \
	lib/a.h '/*\n<<<<<<< HEAD\n * a\n=======\n * b\n>>>>>>> b\n */\n' lib/a.c 'a <<= 1;\n'
rule "build files fit 100 columns" build_files_fit 1 \
	lib/meson.build "# $(yes x | head -n 99 | tr -d '\n')\n# $(yes x | head -n 98 | tr -d '\n')\n"
rule "lines without a text fit 100 columns" comments_fit 1 \
	lib/a.c "/* $(yes x | head -n 95 | tr -d '\n') */\n/* $(yes x | head -n 94 | tr -d '\n') */\nf(\"$(yes x | head -n 99 | tr -d '\n')\");\n"
rule "each C file opens with its license and what it does" files_say_what_they_are 2 \
	lib/a.c '/* a */\nint x;\n' lib/b.c '// SPDX-License-Identifier: BSD-2-Clause\n/*\n * b\n */\n'
rule "a comment of several lines begins on a line of its own" long_comments_begin_on_their_own_line 2 \
	lib/a.c '/* one\n * two */\nint a; /* three\n * four */\n/* five */\n/*\n * six\n */\nf("/* "); /* seven */\n'
rule "nothing is left to do" nothing_is_left_to_do 1 lib/a.c "/* TO""DO: all */\n"
rule "each public header has a man page" every_header_has_a_man_page 1 \
	include/usrpci/dma.h '' include/usrpci/host.h '' man/usrpci_host.3.scd ''
rule "each command has a man page" every_command_has_a_man_page 1 \
	cli/commands/cmd_bind.c '' cli/commands/cmd_list.c '' man/usrpci-bind.1.scd ''
rule "each environment variable is in the table of HACKING.md, and read as it says" environment_variables_are_listed 5 \
	HACKING.md '| `USRPCI_A`, `_B` | a | no | b |\n| `USRPCI_D` | a | yes; check reports it | b |\n' \
	lib/a.h '#define NAME "USRPCI_D"\n#define OTHER "USRPCI_E"\n' host/check/a.c 'getenv("USRPCI_D");\n' \
	lib/a.c 'getenv("USRPCI_A");\nsecure_getenv("USRPCI_A_B");\ngetenv("USRPCI_C");\ngetenv(NAME);\nsecure_getenv(NAME);\n' \
	lib/b.c 'getenv(OTHER);\ngetenv(argument);\n'
rule "each folder is in the table of HACKING.md" folders_are_in_the_plan 1 \
	HACKING.md '| `lib/dma/` | |\n| `doc/`, `man/` | |\nnew/\n' lib/a.c '' doc/a.md '' man/a.scd '' build-asan/a '' new/a ''
finish
