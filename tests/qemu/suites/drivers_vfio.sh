# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The reference drivers on vfio-pci, behind an IOMMU, which lets no access pass that it was not told of.
#
# vm: --iommu --device edu --nic e1000 --nic e1000e --nic virtio-net-pci,iommu_platform=on,disable-legacy=on
# vm: --nic virtio-net-pci --append hugepages=8
# case-deadline: 240

edu=0000:00:01.0
am82540=0000:00:02.0
am82574=0000:00:03.0
virtio=0000:00:04.0
around=0000:00:05.0 # it goes around the IOMMU
ping=$USRPCI_BUILD/examples/ping

setup()
{
	load_driver vfio-pci
	for device in $edu $am82540 $am82574 $virtio $around; do
		[ "$(driver_of $device)" != vfio-pci ] || continue
		echo vfio-pci >/sys/bus/pci/devices/$device/driver_override
		[ -z "$(driver_of $device)" ] || echo $device >/sys/bus/pci/devices/$device/driver/unbind
		echo $device >/sys/bus/pci/drivers_probe
	done
}

teardown()
{
	grep -q 'HugePages_Free: *8' /proc/meminfo
}

ten_thousand()
{
	"$ping" --flood --count 10000 "$@" | tee "$scratch/said"
	grep -q '^10000 requests sent, 10000 replies, lost: 0, ' "$scratch/said"
}

drivers_vfio@edu-interrupts-by-msi-and-stays-within-28-bits()
{
	"$USRPCI_BUILD/examples/edu_dma" $edu | tee "$scratch/said"
	grep -q 'backend vfio' "$scratch/said"
	grep -q '^interrupt: causes 0x42' "$scratch/said"
	grep -q '^DMA: .* equal$' "$scratch/said"
}

drivers_vfio@edu-moves-memory-wherever-the-kernel-loads-the-program()
{
	echo 2 >/proc/sys/kernel/randomize_va_space
	for _ in 1 2 3 4 5; do
		expect_output 'equal$' "$USRPCI_BUILD/examples/edu_dma" $edu
	done
	echo 0 >/proc/sys/kernel/randomize_va_space
}

drivers_vfio@an-82540em-pings-by-intx-and-by-polling()
{
	ten_thousand $am82540
	grep -q 'interrupts: [1-9]' "$scratch/said"
	ten_thousand --poll $am82540
}

drivers_vfio@an-82574l-pings-by-each-kind-of-interrupt()
{
	for kind in intx msi msix; do
		ten_thousand --irq $kind $am82574
		grep -q 'interrupts: [1-9]' "$scratch/said"
	done
}

drivers_vfio@virtio-pings-by-each-kind-of-interrupt-and-by-polling()
{
	for kind in intx msix; do
		ten_thousand --irq $kind $virtio
		grep -q 'interrupts: [1-9]' "$scratch/said"
	done
	ten_thousand --poll $virtio
}

drivers_vfio@virtio-that-goes-around-the-iommu-is-refused()
{
	expect_fail 1 'VIRTIO_F_ACCESS_PLATFORM is missing' "$ping" --count 1 $around
}

drivers_vfio@msi-is-not-to-be-had-where-the-card-has-none()
{
	expect_fail 1 'no MSI interrupt' "$ping" --irq msi $am82540
}

drivers_vfio@runs-again-after-a-kill()
{
	for _ in 1 2 3; do
		"$ping" --flood --count 100000000 $am82574 &
		sleep 1
		kill -KILL $!
		wait $! || true
		"$ping" --flood --count 1000 $am82574
	done
}
