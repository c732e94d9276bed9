# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# rump: the hypercalls, called as a rump kernel's PCI component calls them (kernel_side.c), on edu and e1000
#
# vm: --nic e1000 --device edu,dma_mask=0xffffffff --nic e1000 --append "hugepages=32"

kernel_side=$USRPCI_BUILD/tests/rump/kernel_side

give_to_uio()
{
	local device
	modprobe uio_pci_generic
	for device in 0000:00:01.0 0000:00:02.0 0000:00:03.0; do
		[ "$(driver_of "$device")" != uio_pci_generic ] || continue
		[ -z "$(driver_of "$device")" ] || echo "$device" >"/sys/bus/pci/devices/$device/driver/unbind"
		echo uio_pci_generic >"/sys/bus/pci/devices/$device/driver_override"
		echo "$device" >/sys/bus/pci/drivers_probe
	done
}

setup()
{
	give_to_uio
}

rump@lays-bound-devices-out-in-the-order-of-their-addresses()
{
	expect_same "$("$kernel_side" enumerates)" "0.0 100e8086
1.0 11e81234
2.0 100e8086"
}

rump@lays-named-devices-out-in-the-order-of-their-names()
{
	expect_same "$(USRPCI_RUMP=00:02.0,00:01.0 "$kernel_side" enumerates)" "0.0 11e81234
1.0 100e8086"
}

rump@passes-over-a-device-that-is-named-twice-or-does-not-exist()
{
	expect_same "$(USRPCI_RUMP=00:02.0,00:1f.7,00:02.0 "$kernel_side" enumerates)" "0.0 11e81234"
}

rump@sizes-and-maps-bars-without-moving-them()
{
	local before
	before=$(lspci -xs 00:02.0)
	"$kernel_side" maps
	expect_same "$(lspci -xs 00:02.0 | sed -n 3p)" "$(sed -n 3p <<<"$before")"
}

rump@leaves-the-status-register-alone()
{
	"$kernel_side" keeps-status-bits
}

rump@allocates-dma-memory-of-any-size-and-alignment()
{
	"$kernel_side" allocates
}

rump@maps-several-segments-as-one()
{
	"$kernel_side" maps-several-segments
}

rump@translates-kernel-memory-linearly()
{
	"$kernel_side" translates-kernel-memory
}

rump@delivers-interrupts-to-a-kernel-thread()
{
	"$kernel_side" delivers-interrupts
}

rump@moves-data-both-ways()
{
	"$kernel_side" moves-data
}

rump@goes-on-after-memory-was-exhausted()
{
	expect_output "out of memory" "$kernel_side" survives-exhaustion
	expect_same "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" 32
}

rump@stops-a-driver-that-hands-out-other-memory()
{
	expect_fail 134 "which is not kernel memory" "$kernel_side" refuses-other-memory
}

rump@leaves-a-device-quiet-when-the-process-ends()
{
	"$kernel_side" moves-data
	expect_output 'BusMaster-' lspci -vs 00:02.0 -v
}
