# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The test machine with an IOMMU.
#
# vm: --iommu --nic e1000 --device edu

iommu@puts-each-device-into-a-group()
{
	local device
	for device in 0000:00:01.0 0000:00:02.0; do
		[ -e /sys/bus/pci/devices/$device/iommu_group ] || fail "$device: in no group"
	done
	[ -n "$(ls /sys/class/iommu)" ]
}

iommu@lets-vfio-take-a-device()
{
	modprobe vfio-pci
	echo vfio-pci >/sys/bus/pci/devices/0000:00:02.0/driver_override
	echo 0000:00:02.0 >/sys/bus/pci/drivers_probe
	[ "$(driver_of 0000:00:02.0)" = vfio-pci ]
	[ -c "/dev/vfio/$(basename "$(readlink /sys/bus/pci/devices/0000:00:02.0/iommu_group)")" ]
}

iommu@translates-for-the-kernels-e1000()
{
	local nic
	nic=$(interface_of 0000:00:01.0)
	address_up "$nic"
	ping_gateway "$nic"
}
