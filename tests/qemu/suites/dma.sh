# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# DMA memory without an IOMMU in a real kernel: page sizes, nodes, low memory, control groups.
#
# Node 0 is below 2 GiB, node 1 above 4 GiB; half of the huge pages are in each.
#
# vm: --no-drivers --device edu --device edu --mem 4G --numa 2
# vm: --append "hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=64"
# case-deadline: 240

edu=0000:00:01.0
holder=0000:00:02.0
small=/sys/kernel/mm/hugepages/hugepages-2048kB
large=/sys/kernel/mm/hugepages/hugepages-1048576kB
mib=1048576

setup()
{
	local device
	load_driver uio_pci_generic
	for device in $edu $holder; do
		echo uio_pci_generic >"/sys/bus/pci/devices/$device/driver_override"
		echo "$device" >/sys/bus/pci/drivers_probe
	done
	small_free=$(<$small/free_hugepages)
	large_free=$(<$large/free_hugepages)
}

# Whatever a case did, no huge page stays behind.
teardown()
{
	exec 9>&-
	wait
	echo $edu >/sys/bus/pci/drivers/uio_pci_generic/unbind
	echo $holder >/sys/bus/pci/drivers/uio_pci_generic/unbind
	[ "$(<$small/free_hugepages)" = "$small_free" ] && [ "$(<$large/free_hugepages)" = "$large_free" ]
}

cases()
{
	"$USRPCI_BUILD/tests/qemu/dma_cases" $edu "$@"
}

# An emulated Arm machine has no 1 GiB in one piece where the kernel could take it.
need_large_page()
{
	[ "$large_free" -gt 0 ] || skip "the kernel found no page of 1 GiB when it started"
}

# hold ARGUMENT...: as cases, in the background until fd 9 is closed; $output is its first line.
hold()
{
	mkfifo "$scratch/end"
	"$USRPCI_BUILD/tests/qemu/dma_cases" $holder "$@" hold=1 <"$scratch/end" >"$scratch/held" &
	exec 9>"$scratch/end"
	wait_for 120 test -s "$scratch/held"
	read -r output <"$scratch/held"
}

dma@unit-tests-of-huge-pages-pass()
{
	CMOCKA_MESSAGE_OUTPUT=TAP "$USRPCI_BUILD/tests/unit/test_dma" | tee "$scratch/tap"
	! grep -E '^not ok|SKIP' "$scratch/tap"
}

dma@small-blocks-share-one-page-of-2-mib()
{
	expect_output "^0x[0-9a-f]* [01] 1$" cases size=4096 align=4096 count=512
	expect_same "$(sort -u <<<"$output" | wc -l)" 512
}

# slow
dma@large-blocks-come-from-a-page-of-1-gib()
{
	need_large_page
	hold size=$((600 * mib))
	expect_same "${output#* }" "${output:(-3):1} 1"
	expect_same "$(<$large/free_hugepages)" 0
	expect_same "$(<$small/free_hugepages)" "$small_free"
}

dma@a-page-of-1-gib-helps-out-when-small-ones-are-gone()
{
	need_large_page
	expect_output "^0x[0-9a-f]* [01] 65$" cases size=$((2 * mib)) count=65
}

dma@large-blocks-of-small-pages-are-contiguous()
{
	expect_output "^0x[0-9a-f]* [01] 8$" cases page=$((2 * mib)) size=$((16 * mib))
	expect_output "^0x[0-9a-f]* [01] 9$" cases page=$((2 * mib)) size=$((16 * mib + 1))
}

dma@memory-comes-from-the-node-that-was-asked()
{
	local node
	for node in 0 1; do
		expect_output "^0x[0-9a-f]* $node 20$" cases page=$((2 * mib)) size=$((2 * mib)) \
			node=$((node + 1)) count=20
	done
	expect_fail 1 "error ENOMEM" cases page=$((2 * mib)) size=$((2 * mib)) node=2 count=64
	grep -q "node 1: 0 of [0-9]* free" <<<"$output"
	grep -q "usrpci hugepages reserve 1 --node 1" <<<"$output"
}

dma@a-node-that-is-not-there-is-an-error()
{
	expect_fail 1 "there is no NUMA node 8" cases size=4096 node=9
}

dma@devices-of-32-bits-get-low-memory()
{
	expect_output "^0x[0-9a-f]* 0 1$" cases page=$((2 * mib)) size=4096 limit=0xffffffff
	((${output%% *} + 4095 <= 0xffffffff))
}

dma@without-low-memory-the-message-says-so()
{
	hold page=$((2 * mib)) size=$((2 * mib)) node=1 count=$((small_free / 2))
	expect_fail 1 "low memory is used up first" cases page=$((2 * mib)) size=4096 limit=0xffffffff
	grep -q "error ENOMEM" <<<"$output"
	grep -q "up to 0xffffffff" <<<"$output"
	expect_output "^0x[0-9a-f]* 1 1$" cases page=$((2 * mib)) size=4096
	((${output%% *} > 0xffffffff))
	expect_same "$(<$small/free_hugepages)" $((small_free / 2))
}

# Runs a command in a control group that may have so many bytes in huge pages of 2 MiB.
in_group()
{
	local limit=$1 groups=$scratch/cgroup
	shift
	mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
	groups=/sys/fs/cgroup
	echo +hugetlb >$groups/cgroup.subtree_control
	mkdir -p $groups/jail
	echo "$limit" >$groups/jail/hugetlb.2MB.max
	(echo $BASHPID >$groups/jail/cgroup.procs && exec "$@")
}

dma@a-control-groups-limit-is-an-error-and-no-signal()
{
	expect_fail 1 "error ENOMEM" in_group $((4 * mib)) \
		"$USRPCI_BUILD/tests/qemu/dma_cases" $edu page=$((2 * mib)) size=$((2 * mib)) count=3
	grep -q "the limit of the control group (hugetlb) leaves 0 bytes" <<<"$output"
	expect_same "$(grep -c ^0x <<<"$output")" 2
}
