# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Huge pages in a real kernel: what is missing is added, what was added goes back.
#
# case-deadline: 90
#
# vm: --mem 1G --numa 2

pool=/sys/kernel/mm/hugepages/hugepages-2048kB
nodes=/sys/devices/system/node

total()
{
	cat $pool/nr_hugepages
}

on_node()
{
	cat "$nodes/node$1/hugepages/hugepages-2048kB/nr_hugepages"
}

# Where the kernel's default is another size, usrpci asks for one.
size=()
grep -q '^Hugepagesize: *2048 kB' /proc/meminfo || size=(--size 2M)

reserve()
{
	usrpci hugepages reserve "$@" "${size[@]}"
}

setup()
{
	echo 5 >$pool/nr_hugepages
	[ "$(total)" = 5 ]
}

teardown()
{
	usrpci -q hugepages release
	echo 0 >$pool/nr_hugepages
}

hugepages@release-leaves-the-count-as-found()
{
	reserve 16
	[ "$(total)" = 16 ]
	[ "$(cat $pool/free_hugepages)" = 16 ]
	reserve 20
	[ "$(total)" = 20 ]
	usrpci hugepages release
	[ "$(total)" = 5 ]
	[ ! -e /run/usrpci/hugepages ]
}

hugepages@enough-is-left-alone()
{
	reserve 4
	[ "$(total)" = 5 ]
	usrpci hugepages release
	[ "$(total)" = 5 ]
}

hugepages@agrees-with-the-kernel()
{
	reserve 12
	expect_same "$(usrpci hugepages --json | python3 -c '
import json, sys
pools = [p for p in json.load(sys.stdin)["hugepages"] if p["page_size"] == 2097152]
print(sum(p["total"] for p in pools), sum(p["free"] for p in pools), sum(p["ours"] for p in pools))')" \
		"$(total) $(cat $pool/free_hugepages) 7"
}

hugepages@a-node-is-grown-alone()
{
	local before
	[ -e $nodes/node1 ] || skip "the machine has one node"
	before=$(on_node 0)
	reserve 9 --node 1
	[ "$(on_node 0)" = "$before" ]
	[ "$(on_node 1)" -ge 9 ]
	usrpci hugepages release --node 0
	[ "$(on_node 1)" -ge 9 ]
	usrpci hugepages release
	[ "$(total)" = 5 ]
}

hugepages@more-than-there-is-memory-is-refused-and-nothing-reserved()
{
	expect_fail 1 'memory is short' reserve 100000
	[ "$(total)" = 5 ]
	[ ! -e /run/usrpci/hugepages ]
}

hugepages@a-number-of-the-default-size-is-of-2-mib-or-a-size-is-asked-for()
{
	if [ ${#size[@]} = 0 ]; then
		usrpci hugepages reserve 6
		[ "$(total)" = 6 ]
	else
		expect_fail 2 'a size is needed' usrpci hugepages reserve 6
		[ "$(total)" = 5 ]
	fi
}

hugepages@a-gigabyte-that-is-not-in-one-piece-is-explained()
{
	expect_fail 1 'memory is (short|fragmented)' usrpci hugepages reserve 1 --size 1G
	[ "$(cat /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages)" = 0 ]
}

# A program that holds pages keeps them; they go when it ends. It holds all: which node's pages a few
# would be from is the kernel's to choose.
hugepages@pages-in-use-stay-and-go-later()
{
	reserve 8
	python3 -c '
import mmap, time
held = mmap.mmap(-1, 8 << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 21 << 26 | 0x40000)
for page in range(8):
    held[page << 21] = 1
open("'"$scratch"'/held", "w").close()
time.sleep(1000)' &
	wait_for 20 test -e "$scratch/held"
	expect_output 'still in use' usrpci hugepages release
	[ "$(total)" = 8 ]
	kill $!
	wait $! || true
	wait_for 5 grep -qx 8 $pool/free_hugepages
	usrpci hugepages release
	[ "$(total)" = 5 ]
}

# Pages that are mapped but not yet touched are free by the kernel's count, and yet promised.
hugepages@promised-pages-do-not-count-as-free()
{
	python3 -c '
import mmap, time
held = mmap.mmap(-1, 3 << 21, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 21 << 26 | 0x40000)
open("'"$scratch"'/held", "w").close()
time.sleep(1000)' &
	wait_for 20 test -e "$scratch/held"
	[ "$(cat $pool/resv_hugepages)" = 3 ]
	reserve 5
	[ "$(total)" = 8 ]
	kill $!
	wait $! || true
	wait_for 5 grep -qx 0 $pool/resv_hugepages
	usrpci hugepages release
	[ "$(total)" = 5 ]
}

hugepages@a-dry-run-is-a-script-that-does-the-same()
{
	reserve 16 --dry-run | tee "$scratch/script"
	[ "$(total)" = 5 ]
	sh -e "$scratch/script"
	[ "$(total)" = 16 ]
}

hugepages@a-size-that-is-not-there-is-refused()
{
	expect_fail 2 'no huge pages of 4096 KiB' usrpci hugepages reserve 1 --size 4M
	expect_fail 2 'on node 7' reserve 1 --node 7
}

hugepages@an-ordinary-user-is-refused()
{
	expect_fail 1 'ermission denied' setpriv --reuid nobody --clear-groups \
		"$(command -v usrpci)" hugepages reserve 16 "${size[@]}"
	[ "$(total)" = 5 ]
}
