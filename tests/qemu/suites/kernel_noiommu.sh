# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# vfio where there is no IOMMU, in the kernel that kernel-build makes: physical addresses as under uio,
# message interrupts as under vfio, and only for those who say that they know. 00:01.0 and 00:02.0 are
# edu's, 00:03.0 is an e1000e. All memory is within the 28 bits that edu reaches by default.
#
# vm: --mem 256M --append "hugepages=16 vfio.enable_unsafe_noiommu_mode=1" --device edu
# vm: --device edu --nic e1000e
# case-deadline: 120

cases=$USRPCI_BUILD/tests/qemu/vfio_cases
edu=0000:00:01.0
edu2=0000:00:02.0
e1000e=0000:00:03.0

setup()
{
	local device
	for device in $edu $edu2 $e1000e; do
		[ "$(driver_of "$device")" = vfio-pci ] && continue
		echo vfio-pci >"/sys/bus/pci/devices/$device/driver_override"
		echo "$device" >/sys/bus/pci/drivers_probe
	done
	export USRPCI_NOIOMMU=1
}

noiommu@needs-to-be-asked-for()
{
	USRPCI_NOIOMMU='' expect_fail 1 "USRPCI_NOIOMMU=1" "$cases" open $edu
}

noiommu@says-that-nothing-protects()
{
	expect_output "^unprotected" "$cases" open $edu
	grep -q "by no-IOMMU" <<<"$output"
}

noiommu@dma-both-ways-is-compared()
{
	"$cases" dma-both-ways $edu
}

noiommu@device-addresses-are-physical()
{
	"$cases" addresses-are-physical $edu
}

noiommu@two-devices-share-a-buffer()
{
	"$cases" two-devices-share $edu $edu2
}

noiommu@interrupts-come-over-intx-msi-and-msix()
{
	"$cases" irq-intx $edu
	"$cases" irq-msi $edu
	"$cases" irq-msix $e1000e
}

noiommu@own-memory-cannot-be-mapped()
{
	"$cases" own-memory-refused $edu
}

noiommu@is-refused-to-a-user()
{
	expect_fail 13 "cannot open /dev/vfio/noiommu-" setpriv --reuid 65534 --regid 65534 --clear-groups \
		env USRPCI_NOIOMMU=1 "$cases" open $edu
}

noiommu@a-killed-programs-dma-ends-and-the-device-opens-again()
{
	"$cases" run-dma-forever $edu >"$scratch/out" &
	wait_for 10 grep -q running "$scratch/out"
	kill -9 $!
	wait $! || true
	"$cases" dma-both-ways $edu
}
