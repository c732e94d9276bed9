# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# An Arm machine without an IOMMU: preparing a device, uio, and memory that begins above 1 GiB.
#
# vm: --nic e1000 --device edu --mem 512M
# case-deadline: 90

nic=0000:00:01.0
edu=0000:00:02.0

teardown()
{
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
	usrpci -q hugepages release
}

arm64@a-nic-in-use-is-refused-by-name()
{
	address_up "$(interface_of $nic)"
	expect_fail 5 "in use: .* 10.0.2.15" usrpci bind $nic
	[ "$(driver_of $nic)" = e1000 ]
	ip address flush dev "$(interface_of $nic)"
	ip link set "$(interface_of $nic)" down
}

arm64@a-nic-is-driven-over-uio-and-given-back()
{
	usrpci hugepages reserve 8 --size 2M
	usrpci bind $nic
	[ "$(driver_of $nic)" = uio_pci_generic ]
	expect_output '^10000 requests sent, 10000 replies, lost: 0, ' \
		"$USRPCI_BUILD/examples/ping" --flood --count 10000 $nic
	usrpci restore $nic
	[ "$(driver_of $nic)" = e1000 ]
	usrpci hugepages release
	grep -q 'HugePages_Total: *0$' /proc/meminfo
}

arm64@a-device-that-reaches-no-memory-is-told-so()
{
	usrpci hugepages reserve 2 --size 2M
	usrpci bind $edu
	[ "$(driver_of $edu)" = uio_pci_generic ]
	expect_fail 1 'the machine has no memory below 0x40000000' "$USRPCI_BUILD/examples/edu_dma" $edu
}

arm64@check-names-cures-of-this-machine()
{
	expect_fail 3 'no IOMMU' usrpci check $edu
	! grep -E 'intel_iommu|amd64' <<<"$output"
}
