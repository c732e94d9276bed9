#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# harness.sh: does the harness say of each broken case what it must? And of a machine that hangs?
#
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/build/tap.sh
. "$here/../../build/tap.sh"

USRPCI_CASES=quick "$here/../run" "$here/broken.sh" >"$scratch/tap" 2>"$scratch/stderr" && suite_status=0 || suite_status=$?
if grep -q '# SKIP' "$scratch/tap" && ! grep -q '^not ok' "$scratch/tap"; then
	echo "1..0 # SKIP $(sed -n 's/.*# SKIP //p' "$scratch/tap" | head -n 1)"
	exit 0
fi

# says WORD NAME: the line that WORD asks for is there for the case.
says()
{
	local line
	line=$(grep -E "^(not )?ok [0-9]+ - $2" "$scratch/tap")
	case $1:$line in
	"passes:ok "*"- $2" | "fails:not ok "*"- $2" | "skips:ok "*"- $2 # SKIP there is one") ;;
	*) echo "$line" && sed -n "/ - $2/,/ok [0-9]/p" "$scratch/tap" ;;
	esac
}

tells()
{
	grep -Eq -- "$1" "$scratch/tap" "$scratch/stderr" || echo "nowhere: $1"
}

is_left_out()
{
	! grep "$1" "$scratch/tap"
}

is_failure()
{
	[ "$suite_status" = 1 ] || echo "status $suite_status"
}

ends_a_machine_that_hangs()
{
	status=0
	"$here/../vm" --deadline 6 -- sleep 100 2>"$scratch/hung" || status=$?
	[ $status = 124 ] || echo "status $status instead of 124"
	grep -q 'still running after 6 seconds' "$scratch/hung" || cat "$scratch/hung"
}

# The first QEMU is none.
starts_a_machine_once_more()
{
	local name=qemu-system-x86_64
	mkdir "$scratch/bin"
	printf '#!/bin/sh\n[ -e %s ] && exec %s "$@"\n: >%s\nexec sleep 100\n' "$scratch/tried" \
		"$(command -v $name)" "$scratch/tried" >"$scratch/bin/$name"
	chmod +x "$scratch/bin/$name"
	PATH=$scratch/bin:$PATH "$here/../vm" --start 2 -- echo here >"$scratch/out" 2>"$scratch/err" || cat "$scratch/err"
	echo here | cmp - "$scratch/out"
	grep -q 'had not started after 2 seconds, and is started once more' "$scratch/err" || cat "$scratch/err"
}

hands_on_what_the_command_did()
{
	status=0
	seq 1 2000 | "$here/../vm" --stdin --env WORD='a  b' --user nobody -- \
		bash -c 'cat; echo "$WORD $(id -un)" >&2; exit 42' \
		>"$scratch/out" 2>"$scratch/err" || status=$?
	[ $status = 42 ] || echo "status $status instead of 42"
	seq 1 2000 | cmp - "$scratch/out"
	echo 'a  b nobody' | cmp - "$scratch/err"
}

refuses_what_it_does_not_know()
{
	local bad
	for bad in --nonsense "--mem" "--share /nonexistent true" "--device nonsense true"; do
		status=0
		# shellcheck disable=SC2086
		"$here/../vm" $bad >/dev/null 2>"$scratch/err" || status=$?
		[ $status = 125 ] && [ -s "$scratch/err" ] || echo "$bad: status $status"
	done
}

# The kernel that is here, with the modules that are needed packed as Ubuntu packs them: libkmod asks for the size, which
# zstd writes for a file, and not for a pipe.
pack_with_zstd()
{
	local release modules path
	release=$(cat "$1/release") modules=lib/modules/$(cat "$1/release")
	mkdir -p "$2/$modules"
	cp "$1/release" "$2/release"
	ln -s "$1/vmlinux" "$2/vmlinux"
	cp "$1/$modules"/modules.{order,builtin,builtin.modinfo} "$2/$modules"
	for module in virtio_pci virtio_console 9pnet_virtio 9p overlay uio_pci_generic; do
		modprobe -d "$1" -S "$release" --show-depends $module
	done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r path; do
		case $path in
		*.xz) xz -dc "$path" ;;
		*) cat "$path" ;;
		esac >"$2/$modules/$(basename "${path%.xz}")"
	done
	zstd -q --rm "$2/$modules"/*.ko
	depmod -b "$2" "$release"
}

takes_modules_that_zstd_has_packed()
{
	local kernel
	kernel=$("$here/../kernel-fetch")
	PATH=$PATH:/usr/sbin:/sbin pack_with_zstd "$kernel" "$scratch/linux"
	USRPCI_KERNEL=$scratch/linux "$here/../vm" --device edu -- \
		sh -c '"$USRPCI_BUILD/cli/usrpci" -q bind 00:01.0 && readlink /sys/bus/pci/devices/0000:00:01.0/driver' \
		>"$scratch/out" 2>"$scratch/err" || cat "$scratch/err"
	grep -q '/uio_pci_generic$' "$scratch/out" || cat "$scratch/out"
}

for name in $(sed -n 's/^\([a-z]*@[a-z-]*\)()$/\1/p' "$here/broken.sh"); do
	[ "$name" != fails@when-it-is-slow ] || continue
	check "a case ${name/@/ }" says "${name%@*}" "$name"
done
check "a case that is slow is left out of the quick ones" is_left_out fails@when-it-is-slow
check "a failed case makes the suite fail" is_failure
check "a failed case shows its last commands" tells '^#   \+ echo .BUG: not a real one'
check "a case is torn down when it failed" tells '^#   torn down'
check "a machine that died shows its console" tells 'vm:.*sysrq'
check "a machine that hangs is ended at its deadline" ends_a_machine_that_hangs
check "a machine that does not start is started once more" starts_a_machine_once_more
check "a command's input, output, user, environment and status pass through" hands_on_what_the_command_did
check "modules that zstd has packed are loaded, by the machine and by usrpci" takes_modules_that_zstd_has_packed
check "an option, value or device that is not known is refused" refuses_what_it_does_not_know
finish
