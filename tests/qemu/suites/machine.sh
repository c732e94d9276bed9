# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The test machine itself: is it what the other suites take it for?
#
# vm: --nic e1000 --device edu --disk nvme --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0
# vm: --disk virtio-blk-pci,size=16M --disk nvme,size=16M
# vm: --append "hugepages=8"

machine@runs-debians-kernel-over-this-hosts-files()
{
	expect_output '^[0-9]+\.[0-9.]+(-[0-9]+|\+deb[0-9]+)-amd64$' uname -r
	[ -e "$here/suites/machine.sh" ]
	[ "$(id -u)" = 0 ]
}

machine@has-the-devices-that-were-asked-for()
{
	lspci -n | tee "$scratch/devices"
	grep -q '^00:01.0 .*8086:100e' "$scratch/devices"
	grep -q '^00:02.0 .*1234:11e8' "$scratch/devices"
	grep -q '^00:03.0 .*1b36:0010' "$scratch/devices"
	grep -q '^00:05.0 .*1af4:1001' "$scratch/devices"
	grep -q '^01:00.0 .*8086:10d3' "$scratch/devices"
}

machine@loads-the-kernels-own-drivers()
{
	[ "$(driver_of 0000:00:01.0)" = e1000 ]
	[ "$(driver_of 0000:00:03.0)" = nvme ]
	[ "$(driver_of 0000:01:00.0)" = e1000e ]
	[ -z "$(driver_of 0000:00:02.0)" ]
	# The kernel looks at both NVMe disks at once, so either of them may be nvme0n1.
	expect_same "$(lsblk -n -b -o SIZE | sort -n)" $'16777216\n16777216\n67108864'
	expect_same "$(lsblk -n -o NAME | sort)" $'nvme0n1\nnvme1n1\nvda'
}

machine@pings-the-gateway-by-the-kernels-e1000()
{
	local nic
	nic=$(interface_of 0000:00:01.0)
	address_up "$nic"
	ping_gateway "$nic"
	ip address flush dev "$nic"
}

machine@has-the-huge-pages-that-were-asked-for()
{
	grep -x 'HugePages_Total: *8' /proc/meminfo
}

machine@loads-uio-and-vfio()
{
	modprobe uio_pci_generic
	modprobe vfio-pci
	[ -d /sys/bus/pci/drivers/uio_pci_generic ] && [ -d /sys/bus/pci/drivers/vfio-pci ]
}

machine@has-no-iommu-unless-asked()
{
	expect_same "$(ls /sys/kernel/iommu_groups)" ""
}

machine@changes-nothing-on-the-host()
{
	touch "$here/suites/machine.sh" /etc/passwd
	findmnt -n -o FSTYPE / | grep -x overlay
	findmnt -n -o OPTIONS -t 9p / | grep -q . && fail "the host's files are the root itself"
	return 0
}

machine@pulls-a-cable-and-a-device-by-the-monitor()
{
	local nic
	nic=$(interface_of 0000:00:01.0)
	ip link set "$nic" up
	monitor set_link nic0 off
	wait_for 10 grep -qx 0 "/sys/class/net/$nic/carrier"
	monitor set_link nic0 on
	monitor device_del nic1
	wait_for 20 test ! -e /sys/bus/pci/devices/0000:01:00.0
	expect_fail 1 "not found" monitor device_del nonsense
}
