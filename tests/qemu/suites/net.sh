# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# net: network cards by libusrpci-net, virtio-net on uio_pci_generic above all, against QEMU's gateway
# and against the kernel's driver
#
# vm: --nic virtio-net-pci --nic virtio-net-pci@1 --nic virtio-net-pci@1 --nic virtio-net-pci,disable-modern=on --append hugepages=16
# case-deadline: 90

virtio=0000:00:01.0
wired=0000:00:02.0
kernels=0000:00:03.0
legacy=0000:00:04.0

# A program in the background is named by this, so that $! is its own process.
ping=$USRPCI_BUILD/examples/ping

give_to()
{
	local driver=$1 device=$2
	[ "$(driver_of "$device")" != "$driver" ] || return 0
	echo "$driver" >"/sys/bus/pci/devices/$device/driver_override"
	[ -z "$(driver_of "$device")" ] || echo "$device" >"/sys/bus/pci/devices/$device/driver/unbind"
	echo "$device" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$device")" = "$driver" ]
}

setup()
{
	modprobe uio_pci_generic
	give_to uio_pci_generic $virtio
	give_to uio_pci_generic $wired
}

teardown()
{
	grep -q 'HugePages_Free: *16' /proc/meminfo
}

# Ten thousand echo requests, none of which is lost; PATTERN is of the first line.
ten_thousand()
{
	local pattern=$1
	shift
	"$ping" --flood --count 10000 "$@" | tee "$scratch/said"
	grep -q "$pattern" "$scratch/said"
	grep -q '^10000 requests sent, 10000 replies, lost: 0, ' "$scratch/said"
}

net@virtio-pings-10000-times-by-interrupt()
{
	ten_thousand 'virtio-net on .* interrupts, memory: 1 x 2048 KiB$' $virtio
	grep -q 'interrupts: [1-9]' "$scratch/said"
}

net@virtio-pings-10000-times-by-polling()
{
	ten_thousand 'virtio-net .* polling' --poll $virtio
}

net@virtio-sends-frames-of-every-size()
{
	for size in 0 1 17 18 19 1471 1472; do
		"$ping" --count 50 --interval 0 --size $size $virtio
	done
}

net@virtio-speaks-with-the-kernels-driver()
{
	local nic
	nic=$(interface_of $kernels)
	address_up "$nic" 10.1.0.1/24
	"$ping" --own 10.1.0.2 --peer 10.1.0.1 --flood --count 2000 $wired | tee "$scratch/said"
	grep -q 'lost: 0' "$scratch/said"
	ip neighbour show dev "$nic" | grep -q '^10.1.0.2 lladdr'
	ip address flush dev "$nic"
	ip link set dev "$nic" down
}

net@virtio-says-when-there-is-no-link()
{
	monitor set_link nic0 off
	expect_fail 1 'no link' "$ping" --count 1 $virtio
	monitor set_link nic0 on
	"$ping" --count 1 $virtio
}

net@virtio-without-a-modern-face-is-refused()
{
	give_to uio_pci_generic $legacy
	expect_fail 1 'VIRTIO_F_VERSION_1 is missing' "$ping" --count 1 $legacy
}

net@virtio-runs-again-after-a-kill()
{
	for _ in 1 2 3; do
		"$ping" --flood --count 100000000 $virtio &
		sleep 1
		kill -KILL $!
		wait $! || true
		"$ping" --flood --count 1000 $virtio
	done
}

net@virtio-is-given-back-to-the-kernels-driver()
{
	local nic
	"$ping" --count 2 --interval 0.1 $virtio
	give_to virtio-pci $virtio
	nic=$(interface_of $virtio)
	address_up "$nic"
	ping_gateway "$nic"
	ip address flush dev "$nic"
	ip link set "$nic" down
}

net@a-lent-virtio-is-driven-without-privileges()
{
	local nic
	give_to virtio-pci $virtio
	nic=$(interface_of $virtio)
	ip link set dev "$nic" down
	echo 0 >/proc/sys/vm/nr_hugepages
	usrpci run $virtio -- "$ping" --flood --count 10000 $virtio | tee "$scratch/said"
	grep -q '^10000 requests sent, 10000 replies, lost: 0, ' "$scratch/said"
	[ "$(driver_of $virtio)" = virtio-pci ]
	echo 16 >/proc/sys/vm/nr_hugepages
}
