# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# run-vfio-group: lending a device whose IOMMU group has another
#
# vm: --iommu --device pcie-pci-bridge,id=br0 --nic e1000,bus=br0,addr=1 --device edu,bus=br0,addr=2 --mem 384M

nic=0000:01:01.0
edu=0000:01:02.0

lend_run_vfio_group@refuses-a-group-with-a-device-that-is-not-lent()
{
	usrpci -q bind --force --driver vfio-pci "$nic"
	expect_fail 5 "could also open $nic of the same IOMMU group, which vfio-pci holds" usrpci -q run --driver vfio-pci "$edu" -- true
	expect_same "$(driver_of "$edu")" ""
	usrpci -q run --driver vfio-pci "$edu" "$nic" -- true
	usrpci -q restore --all
	expect_same "$(driver_of "$nic")" e1000
}
