# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lib.sh: runs a suite's cases inside the test machine; and the helpers that cases use.
#
# usage (inside): bash lib.sh SUITE CASE...
#
# A case is a function named subject@what-it-shows. It runs under "set -eu" with its own deadline
# ("# case-deadline: SECONDS" in the suite, else 60; USRPCI_CASE_DEADLINE sets another, for long
# runs), fails when a command fails, and fails too when the kernel has something to complain about.
# setup() and teardown(), if there, surround each case.

# --- helpers for cases -----------------------------------------------------------------------

# fail REASON: ends the case, which has failed.
fail()
{
	echo "$*" >&2
	exit 1
}

# skip REASON: ends the case, which cannot run here.
skip()
{
	echo "$*" >"$scratch/skip"
	exit 0
}

# need_memory_below ADDRESS: skips the case where the machine's memory begins higher, as Arm's does.
need_memory_below()
{
	local first
	first=$(sed -n 's/^ *\([0-9a-f]*\)-.*System RAM$/\1/p' /proc/iomem | head -n 1)
	[ $((16#$first)) -lt $(($1)) ] || skip "the machine's memory begins at 0x$first"
}

# need_pciaccess PROGRAM: sets "over" to the path of a program that has the backend over libpciaccess.
need_pciaccess()
{
	over=$USRPCI_BUILD/tests/qemu/pciaccess_$1
	[ -x "$over" ] || skip "libpciaccess-dev was not installed when this was built"
}

# Prints a line for the reader of the results, such as a time that was measured.
note()
{
	echo "# $*" >&4
}

# expect_fail STATUS PATTERN COMMAND...: COMMAND exits with STATUS and prints something that matches.
expect_fail()
{
	local want=$1 pattern=$2 status=0
	shift 2
	output=$("$@" 2>&1) || status=$?
	echo "$output"
	[ "$status" = "$want" ] || fail "status $status instead of $want: $*"
	grep -Eq -- "$pattern" <<<"$output" || fail "nothing in the output matches '$pattern': $*"
}

# expect_output PATTERN COMMAND...: COMMAND succeeds and prints something that matches.
expect_output()
{
	expect_fail 0 "$@"
}

# fails COMMAND...: COMMAND does not succeed. After "! COMMAND" a case would go on, whatever its status ("set -e").
fails()
{
	! "$@" || fail "it succeeds: $*"
}

# expect_same OURS THEIRS [WHAT]: two texts are equal, the second being the oracle's.
expect_same()
{
	[ "$1" = "$2" ] && return
	diff -u --label expected <(echo "$2") --label ours <(echo "$1") || fail "${3:-output} differs"
}

# wait_for SECONDS COMMAND...: repeats COMMAND until it succeeds; fails if it never does.
wait_for()
{
	local deadline=$((SECONDS + 3 * $1)) # the host may have other work
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -le $deadline ] || fail "still not so after the deadline: $*"
		read -r -t 0.1 -u 6 || true # as sleep does, but no program is started
	done
}

# pids_of NAME: prints the processes of this name. pgrep would load libraries for a quarter of a second.
pids_of()
{
	grep -lsx "$1" /proc/[0-9]*/comm | cut -d / -f 3
}

is_running()
{
	grep -qsx "$1" /proc/[0-9]*/comm
}

no_process()
{
	! is_running "$1"
}

# Prints the kernel's messages since the case began.
kernel_log()
{
	busybox dmesg | sed "0,/$log_marker\$/d"
}

# add_partition DISK: one partition of 32 MiB, made by a table of the disk's own. Debian 13 has no addpart.
add_partition()
{
	printf '\0\0\0\0\x83\0\0\0\0\x08\0\0\0\0\x01\0' |
		dd of="/dev/$1" bs=1 seek=446 conv=notrunc status=none
	printf '\x55\xaa' | dd of="/dev/$1" bs=1 seek=510 conv=notrunc status=none
	partx -a "/dev/$1"
}

# All of the log is read: who writes to a pipe that is closed fails.
kernel_said()
{
	kernel_log >"$scratch/kernel-log"
	grep -Eq "$1" "$scratch/kernel-log"
}

# allow_kernel_log PATTERN: such a message is not forbidden from now on.
allow_kernel_log()
{
	echo "$1" >>"$scratch/expected-log"
}

# expect_kernel_log PATTERN [SECONDS]: waits for such a message, which is allowed from now on.
expect_kernel_log()
{
	allow_kernel_log "$1"
	wait_for "${2:-5}" kernel_said "$1"
}

# monitor COMMAND...: give QEMU's monitor a command, such as device_del nic0 or set_link nic0 off.
monitor()
{
	"$here/monitor" "$@"
}

# Prints the driver that holds a device now, nothing if none does.
driver_of()
{
	(
		cd -P "/sys/bus/pci/devices/$1/driver" 2>/dev/null || exit 0
		echo "${PWD##*/}"
	)
}

# load_driver NAME: modprobe is slow to start, and setup() often has nothing for it to do.
load_driver()
{
	[ -e "/sys/bus/pci/drivers/$1" ] || modprobe "$1"
}

# Prints the network interface of a PCI device.
interface_of()
{
	local path missing=1
	for path in "/sys/bus/pci/devices/$1/net/"*; do
		[ ! -e "$path" ] || { echo "${path##*/}" && missing=0; }
	done
	return $missing
}

has_carrier()
{
	local carrier=''
	read -r carrier <"/sys/class/net/$1/carrier" && [ "$carrier" = 1 ]
}

# address_up INTERFACE [ADDRESS/BITS]: bring it up with an address and wait for its link.
address_up()
{
	ip link set "$1" up
	ip address add "${2:-10.0.2.15/24}" dev "$1"
	wait_for 10 has_carrier "$1"
}

ping_gateway()
{
	ping -n -q -c "${2:-3}" -i 0.2 -W 2 -I "$1" 10.0.2.2
}

# --- the runner ------------------------------------------------------------------------------

forbidden_log='DMAR:.*([Ff]ault|ERROR)|BUG|WARNING|Oops|general protection|Call Trace|blocked for more than|soft lockup|stuck for'

# Neither this nor any caller may stand in a condition (if, ||): set -e would not hold then.
run_case()
{
	exec 5>"$scratch/trace"
	BASH_XTRACEFD=5
	set -euo pipefail -x
	if declare -F teardown >/dev/null; then
		trap '[ $? = 0 ] || set +x; teardown' EXIT # the last command of a trace is the one that failed
	fi
	if declare -F setup >/dev/null; then
		setup
	fi
	"$1"
}

# Prints the kernel's complaints since the case began, without those that the case expected. The kernel's messages are
# away then, since to read all of the machine's would take longer than many a case.
complaints()
{
	busybox dmesg -c | awk -v marker="$log_marker" -v forbidden="$forbidden_log" -v list="$scratch/expected-log" '
		BEGIN { while ((getline line <list) > 0) expected[line] }
		index($0, marker) { begun = 1 }
		begun && $0 ~ forbidden {
			for (pattern in expected) if ($0 ~ pattern) next
			print
		}'
}

diagnose()
{
	{
		echo "$1"
		tail -n 60 "$scratch/output"
		echo "the last commands:"
		tail -n 12 "$scratch/trace"
	} 2>/dev/null | sed 's/^/#   /'
}

# wait_for_case NUMBER SECONDS: sets status; fails when it did not end in time.
wait_for_case()
{
	local number
	while read -r -t "$2" -u 7 number status; do
		[ "$number" != "$1" ] || return 0
	done
	return 1
}

# Runs a case as a process group, so that none of its processes outlives it.
execute_case()
{
	local number=$1 case=$2
	(
		(run_case "$case") >"$scratch/output" 2>&1 </dev/null
		echo "$number $?" >&7
	) &
	if ! wait_for_case "$number" "$case_deadline"; then
		kill -TERM -- -$!
		wait_for_case "$number" 5
		status=124
	fi
	kill -KILL -- -$!
	wait $!
} 2>/dev/null

judge_case()
{
	local number=$1 case=$2 status problem='' complaint
	scratch=/run/case-$number
	log_marker="usrpci-test: $number $case"
	mkdir "$scratch"
	: >"$scratch/expected-log"
	echo "$log_marker" >/dev/kmsg
	execute_case "$number" "$case"
	[ "$status" = 0 ] || problem="exit status $status"
	[ "$status" != 124 ] || problem="not done after $case_deadline seconds"
	complaint=$(complaints)
	[ -z "$complaint" ] || problem="the kernel complained: $complaint"
	if [ -n "$problem" ]; then
		echo "not ok $number - $case"
		diagnose "$problem"
		failed=1
	elif [ -e "$scratch/skip" ]; then
		echo "ok $number - $case # SKIP $(<"$scratch/skip")"
	else
		echo "ok $number - $case"
	fi
}

run_suite()
{
	local number=0 failed=0 case
	case_deadline=${USRPCI_CASE_DEADLINE:-$(sed -n 's/^# case-deadline: //p' "$1")}
	: "${case_deadline:=60}"
	# shellcheck source=/dev/null
	. "$1"
	shift
	for case in "$@"; do
		number=$((number + 1))
		judge_case $number "$case"
	done
	return $failed
}

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
PATH=$USRPCI_BUILD/cli:$PATH
set -m
mkfifo /run/ended-cases /run/never
exec 4>&1 6<>/run/never 7<>/run/ended-cases
run_suite "$@"
