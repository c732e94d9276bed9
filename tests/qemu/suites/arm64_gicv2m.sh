# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# An Arm machine with an SMMUv3 whose interrupt controller cannot tell which device interrupts: vfio wants consent.
#
# vm: --iommu --gic 2 --nic e1000e --mem 512M
# case-deadline: 90

nic=0000:00:01.0

teardown()
{
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
}

arm64_gicv2m@check-tells-before-vfio-refuses-and-its-cure-cures()
{
	local cure
	usrpci bind $nic
	[ "$(driver_of $nic)" = vfio-pci ]
	expect_fail 3 "forge each other's interrupts" usrpci check $nic
	cure=$(sed -n 's/^.*\(modprobe vfio_iommu_type1 && echo Y > [^ ]*\).*$/\1/p' <<<"$output")
	expect_fail 1 'allow_unsafe_interrupts' "$USRPCI_BUILD/examples/ping" --flood --count 10 $nic
	eval "$cure"
	expect_output '^10000 requests sent, 10000 replies, lost: 0, ' \
		"$USRPCI_BUILD/examples/ping" --flood --count 10000 $nic
	! usrpci check $nic | grep forge
}
