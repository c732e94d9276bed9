# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# vfio by a device's own node and iommufd, in the kernel that kernel-build makes. 00:01.0 and 00:02.0 are
# edu's, 01:00.0 is an e1000e; 02:01.0 is an edu that shares its group with 02:02.0, of virtio-pci;
# 00:05.0 is an NVMe disk.
#
# vm: --iommu --append "hugepages=16" --device edu,dma_mask=0xffffffff --device edu
# vm: --device pcie-root-port,id=rp0,chassis=1,x-speed=2_5 --nic e1000e,bus=rp0
# vm: --device pcie-pci-bridge,id=old --device edu,bus=old,addr=1 --device virtio-rng-pci,bus=old,addr=2 --disk nvme
# case-deadline: 120

cases=$USRPCI_BUILD/tests/qemu/vfio_cases
nvme=$USRPCI_BUILD/examples/nvme
edu=0000:00:01.0
edu28=0000:00:02.0
e1000e=0000:01:00.0
shared=0000:02:01.0
stranger=0000:02:02.0
disk=0000:00:05.0
user=65534

setup()
{
	local device
	for device in $edu $edu28 $e1000e $shared $disk; do
		[ "$(driver_of "$device")" = vfio-pci ] && continue
		echo bus >"/sys/bus/pci/devices/$device/reset_method" || true
		echo vfio-pci >"/sys/bus/pci/devices/$device/driver_override"
		echo "$device" >/sys/bus/pci/drivers_probe
	done
}

group_of()
{
	echo "/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")")"
}

node_of()
{
	echo "/dev/vfio/devices/$(ls "/sys/bus/pci/devices/$1/vfio-dev")"
}

as_user()
{
	prlimit "--memlock=${memlock:-8388608}" \
		setpriv --reuid $user --regid $user --clear-groups --inh-caps=-all "$@"
}

# by_node CASE DEVICE...: as root and as a user who has the nodes and not the groups.
by_node()
{
	local device
	chown $user /dev/iommu
	for device in $edu $edu28 $e1000e; do
		chown $user "$(node_of "$device")"
		chown root "$(group_of "$device")"
	done
	expect_output "by iommufd" "$cases" "$@"
	expect_output "by iommufd" as_user "$cases" "$@"
}

iommufd@is-chosen-where-the-kernel-has-it()
{
	expect_output "by iommufd" "$cases" open $edu
}

iommufd@a-user-with-the-group-alone-goes-by-the-group()
{
	chown root /dev/iommu
	chown $user "$(group_of $edu28)"
	expect_output "by type 1" as_user "$cases" dma-both-ways $edu28
}

iommufd@dma-both-ways-is-compared()
{
	by_node dma-both-ways $edu28
}

iommufd@dma-of-memory-that-the-program-has()
{
	by_node dma-of-own-memory $edu
}

iommufd@unmapped-dma-faults-and-touches-no-memory()
{
	by_node dma-to-unmapped $edu
	expect_kernel_log 'DMAR:.*[Ff]ault'
}

iommufd@intx-is-delivered-masked-and-unmasked()
{
	by_node irq-intx $edu
}

iommufd@msi-is-delivered()
{
	by_node irq-msi $edu
}

iommufd@four-msix-vectors-are-told-apart()
{
	by_node irq-msix $e1000e
}

iommufd@a-masked-msix-vector-stays-pending()
{
	by_node irq-msix-mask $e1000e
}

iommufd@the-msix-table-is-out-of-the-programs-reach()
{
	by_node bar-msix-table $e1000e
}

iommufd@two-devices-share-a-buffer()
{
	by_node two-devices-share $edu $edu28
}

iommufd@two-contexts-in-one-process-are-apart()
{
	by_node two-contexts $edu $edu28
}

iommufd@memory-outlives-its-devices()
{
	by_node memory-outlives-devices $edu
}

iommufd@the-limit-of-locked-memory-is-reported-with-its-cure()
{
	by_node open $edu
	expect_output "RLIMIT_MEMLOCK is 8388608" as_user "$cases" limit-of-locked-memory $edu
	grep -q "prlimit --pid [0-9]* --memlock=" <<<"$output"
}

iommufd@a-node-open-elsewhere-is-refused()
{
	HOLD=1 "$cases" open $edu >"$scratch/out" &
	wait_for 10 grep -q protected "$scratch/out"
	expect_fail 16 "is open in another program" "$cases" open $edu
	kill $!
	wait $! || true
	"$cases" open $edu
}

iommufd@a-group-with-a-stranger-is-refused-by-name()
{
	[ "$(group_of $shared)" = "$(group_of $stranger)" ]
	[ "$(driver_of $stranger)" = virtio-pci ]
	expect_fail 16 "$stranger \(virtio-pci\)" "$cases" open $shared
	echo $stranger >/sys/bus/pci/devices/$stranger/driver/unbind
	"$cases" open $shared
}

iommufd@a-killed-programs-dma-ends-and-the-device-opens-again()
{
	"$cases" run-dma-forever $edu28 >"$scratch/out" &
	wait_for 10 grep -q running "$scratch/out"
	kill -9 $!
	wait $! || true
	"$cases" dma-both-ways $edu28
}

iommufd@the-function-is-reset()
{
	by_node reset-function $e1000e
}

iommufd@the-bus-is-reset-with-a-list-of-what-goes-along()
{
	by_node reset-bus $e1000e
	grep -q "the bus reset also resets $e1000e" <<<"$output"
}

# The user has the node and not the group, so that iommufd is the only way.
iommufd@an-nvme-disk-is-driven-by-its-node()
{
	local memlock=67108864 how
	chown $user /dev/iommu "$(node_of $disk)"
	chown root "$(group_of $disk)"
	expect_output 'backend vfio, 9 interrupts' as_user "$nvme" $disk info
	for how in -d8 -p; do
		head -c 9000448 /dev/urandom >"$scratch/data"
		as_user "$nvme" $how $disk write <"$scratch/data"
		as_user "$nvme" $how $disk read | cmp -n 9000448 - "$scratch/data"
	done
}
