# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# An Arm machine with an SMMUv3: devices with and without a driver of the kernel go to vfio-pci by themselves.
#
# vm: --iommu --device edu --nic e1000e --mem 512M
# vm: --device pcie-pci-bridge,id=old --device edu,bus=old,addr=1 --device edu,bus=old,addr=2
# case-deadline: 90

edu=0000:00:01.0
nic=0000:00:02.0
bridge=0000:00:03.0
old_edu=0000:01:01.0
beside=0000:01:02.0

teardown()
{
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
}

arm64_vfio@a-card-that-never-had-a-driver-goes-to-vfio()
{
	[ ! -e /sys/bus/pci/devices/$edu/iommu_group ] # else the kernel is later than 6.15, and this shows nothing
	expect_fail 3 'usrpci bind tries vfio-pci first' usrpci check $edu
	usrpci bind $edu
	[ "$(driver_of $edu)" = vfio-pci ]
	expect_output 'equal$' "$USRPCI_BUILD/examples/edu_dma" $edu
	usrpci restore $edu
	[ -z "$(driver_of $edu)" ]
}

arm64_vfio@uio-is-warned-of()
{
	expect_output 'its DMA will fault under uio_pci_generic' usrpci bind $edu --driver uio_pci_generic
}

arm64_vfio@a-nic-is-driven-by-msix-and-given-back()
{
	usrpci bind $nic
	[ "$(driver_of $nic)" = vfio-pci ]
	expect_output '^10000 requests sent, 10000 replies, lost: 0, ' \
		"$USRPCI_BUILD/examples/ping" --flood --count 10000 $nic
	usrpci restore $nic
	[ "$(driver_of $nic)" = e1000e ]
}

# shpchp has the bridge, and so its group; the kernel says of the second, "stream 256 already in tree".
arm64_vfio@one-function-behind-an-old-bridge-is-driven-and-no-second()
{
	usrpci bind $old_edu
	expect_fail 1 "echo $bridge > /sys/bus/pci/drivers/shpchp/unbind" "$USRPCI_BUILD/examples/edu_dma" $old_edu
	echo $bridge >/sys/bus/pci/drivers/shpchp/unbind
	expect_output 'equal$' "$USRPCI_BUILD/examples/edu_dma" $old_edu
	expect_fail 1 "the kernel cannot put it there beside $old_edu" usrpci bind $beside
	[ -z "$(driver_of $beside)" ]
}
