# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# boot: a machine starts with files in /etc/usrpci, by systemd and udev as Debian has them.
#
# 00:01.0 is declared by its address, 00:02.0 by its MAC address, 00:04.0 by its serial number; in the place of
# 00:03.0 another card is declared. networkd gives the cards an address as soon as it sees them.
#
# vm: --boot ". $USRPCI_SOURCE/tests/qemu/suites/boot.sh; write_disk"
# vm: --nic e1000 --nic e1000,mac=52:54:00:aa:bb:02 --nic e1000@1 --disk nvme
# vm: --device pcie-root-port,id=rp0 --nic e1000e@1,bus=rp0
# case-deadline: 300

by_address=0000:00:01.0
by_mac=0000:00:02.0
another=0000:00:03.0
by_serial=0000:00:04.0
hotplug=0000:01:00.0

# What stands on the disk of the machine before it starts.
write_disk()
{
	contrib=$USRPCI_SOURCE/contrib
	mkdir -p /etc/usrpci /etc/systemd/network /run/systemd/system/usrpci-vm.target.wants \
		/run/systemd/system/sysinit.target.wants /run/udev/rules.d
	install -m 755 "$USRPCI_BUILD/cli/usrpci" /usr/sbin/usrpci
	cat >/etc/usrpci/50-test.conf <<-END
		[Match]
		Address=$by_address
		Id=8086:100e
		[Device]
		Driver=auto
		[Match]
		MACAddress=52:54:00:aa:bb:02
		[Device]
		Driver=auto
		[Match]
		Address=$another
		Id=8086:10d3
		[Device]
		Driver=auto
		[Match]
		Serial=disk0
		[Device]
		Driver=auto
		[Match]
		Address=$hotplug
		Id=8086:10d3
		[Device]
		Driver=auto
		[HugePages]
		Count=4
	END
	cat >/etc/systemd/network/10-test.network <<-END
		[Match]
		Path=pci-$by_address pci-$by_mac pci-$another
		[Network]
		Address=10.0.2.15/24
		LinkLocalAddressing=no
	END
	cat >/run/systemd/system/at-network-pre.service <<-END
		[Unit]
		DefaultDependencies=no
		After=network-pre.target
		Before=systemd-networkd.service
		[Service]
		Type=oneshot
		ExecStart=/bin/sh -c 'readlink /sys/bus/pci/devices/$by_address/driver /sys/bus/pci/devices/$by_mac/driver >/run/at-network-pre'
	END
	cp "$contrib"/systemd/usrpci.service "$contrib"/systemd/usrpci@.service /run/systemd/system/
	cp "$contrib"/udev/*.rules /run/udev/rules.d/
	ln -s ../usrpci.service /run/systemd/system/sysinit.target.wants/
	ln -s ../at-network-pre.service /run/systemd/system/usrpci-vm.target.wants/
	ln -s /lib/systemd/system/systemd-networkd.service /run/systemd/system/usrpci-vm.target.wants/
}

# What is shown when a case fails.
teardown()
{
	journalctl -b -o short-monotonic | grep -i usrpci | tail -n 30
}

driver_is()
{
	[ "$(driver_of "$1")" = "$2" ]
}

has_address()
{
	ip -br address show dev "$(interface_of "$1")" | grep -q 10.0.2.15
}

property()
{
	systemctl show --value -p "$1" usrpci.service
}

# slow
boot@devices-are-bound-before-the-network-and-another-one-in-a-slot-stays()
{
	wait_for 60 has_address $another
	expect_same "$(xargs -n 1 basename </run/at-network-pre | uniq -c | xargs)" "2 uio_pci_generic"
	for device in $by_address $by_mac $by_serial; do
		wait_for 30 driver_is $device uio_pci_generic
	done
	driver_is $another e1000
	[ "$(cat /proc/sys/vm/nr_hugepages)" -ge 4 ]
	journalctl -u usrpci.service >"$scratch/journal"
	expect_output "$another: another device than /etc/usrpci/50-test.conf:10 means" cat "$scratch/journal"
	note "usrpci took $((($(property ExecMainExitTimestampMonotonic) -
		$(property ExecMainStartTimestampMonotonic)) / 1000)) ms of the boot, and its unit" \
		"$(($(property CPUUsageNSec) / 1000000)) ms of a processor"
	usrpci -q restore --all
}

# slow
boot@a-card-that-is-plugged-in-later-is-bound()
{
	monitor device_del nic3
	wait_for 20 test ! -e /sys/bus/pci/devices/$hotplug
	monitor device_add e1000e,bus=rp0,netdev=net3
	wait_for 30 driver_is $hotplug uio_pci_generic
	wait_for 10 test -e /dev/uio-by-pci/$hotplug
}
