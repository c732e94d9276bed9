# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Devices in use are refused, by name, whatever uses them; and nothing changes.
#
# case-deadline: 60
#
# vm: --nic e1000 --nic virtio-net-pci --disk nvme --disk virtio-blk-pci

nic=0000:00:01.0
virtio=0000:00:02.0
nvme=0000:00:03.0
vda=0000:00:04.0

setup()
{
	eth=$(interface_of $nic)
	virtio_eth=$(first_of /sys/bus/pci/devices/$virtio/virtio*/net/*)
	disk=$(first_of /sys/bus/pci/devices/$nvme/nvme/nvme*/nvme*n*)
	virtio_disk=$(first_of /sys/bus/pci/devices/$vda/virtio*/block/*)
}

# The name of the first file of a list.
first_of()
{
	basename "$1"
}

# No more commands than there is something to undo: each costs a while in this machine.
teardown()
{
	local name
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
	for name in vlan7 macvlan7 br7 bond7; do
		[ ! -e /sys/class/net/$name ] || ip link delete $name
	done
	[ ! -e /run/netns/usrpci ] || ip netns delete usrpci
	ip address flush dev "$(interface_of $nic)"
	ip link set "$(interface_of $nic)" down
	umount -q /mnt || true
	swapoff -a
	[ ! -e /dev/dm-0 ] || dmsetup remove_all
}

# refused ADDR DRIVER PATTERN: bind is refused with this reason and the device stays with its driver.
refused()
{
	expect_fail 1 "in use: $3" usrpci bind "$1"
	[ "$(driver_of "$1")" = "$2" ]
	[ -z "$(ls /run/usrpci/journal 2>/dev/null)" ]
}

guard@a-nic-with-an-address()
{
	ip address add 192.0.2.1/24 dev "$eth"
	refused $nic e1000 "$eth carries 192.0.2.1/24"
	expect_fail 3 "ip address flush dev $eth" usrpci check $nic
}

guard@a-virtio-nic-with-an-address()
{
	ip address add 192.0.2.1/24 dev "$virtio_eth"
	refused $virtio virtio-pci "$virtio_eth carries 192.0.2.1/24"
	ip address flush dev "$virtio_eth"
}

guard@a-nic-with-nothing-but-an-ipv6-address()
{
	ip link set "$eth" up
	ip -6 address add 2001:db8::7/64 dev "$eth" nodad
	refused $nic e1000 "$eth carries 2001:db8::7/64"
}

guard@a-nic-that-is-up-with-a-link-local-address-alone-is-free()
{
	echo 0 >"/proc/sys/net/ipv6/conf/$eth/accept_ra"
	ip link set "$eth" up
	wait_for 10 bash -c "ip -6 address show dev $eth | grep -q fe80"
	usrpci bind $nic
	[ "$(driver_of $nic)" = uio_pci_generic ]
}

guard@a-nic-with-a-route-of-another-table()
{
	ip link set "$eth" up
	ip route add 198.51.100.0/24 dev "$eth" table 4711
	refused $nic e1000 "$eth carries the route to 198.51.100.0/24"
}

guard@a-nic-in-a-multipath-route()
{
	ip link set "$eth" up
	ip link set "$virtio_eth" up
	ip route add 198.51.100.0/24 nexthop dev "$eth" nexthop dev "$virtio_eth"
	refused $nic e1000 "$eth carries the route to 198.51.100.0/24"
	ip link set "$virtio_eth" down
}

guard@a-nic-under-a-bridge-with-an-address()
{
	ip link add br7 type bridge || skip "the kernel has no bridges"
	ip link set "$eth" master br7
	refused $nic e1000 "$eth is part of br7"
	ip address add 192.0.2.1/24 dev br7
	refused $nic e1000 "br7 carries 192.0.2.1/24"
}

guard@a-nic-in-a-bond-under-a-vlan()
{
	modprobe bonding max_bonds=0 || skip "the kernel has no bonds"
	ip link add bond7 type bond
	ip link set "$eth" down
	ip link set "$eth" master bond7
	ip link add link bond7 name vlan7 type vlan id 7 || skip "the kernel has no VLANs"
	ip address add 2001:db8::9/64 dev vlan7 nodad
	refused $nic e1000 "bond7 is part of vlan7"
	refused $nic e1000 "vlan7 carries 2001:db8::9/64"
}

guard@a-nic-under-a-macvlan()
{
	ip link add link "$eth" name macvlan7 type macvlan || skip "the kernel has no macvlan"
	refused $nic e1000 "$eth is part of macvlan7"
}

guard@a-nic-in-a-containers-network-namespace()
{
	ip netns add usrpci
	ip link set "$eth" netns usrpci
	refused $nic e1000 "$nic has an interface in another network namespace"
	ip -n usrpci link set "$eth" netns 1
	usrpci bind $nic
}

guard@a-mounted-disk()
{
	mkfs.ext2 -q "/dev/$disk"
	mount "/dev/$disk" /mnt
	refused $nvme nvme "$disk is mounted on /mnt"
	umount /mnt
	usrpci bind $nvme
	usrpci restore $nvme
	wait_for 10 test -b "/dev/$disk"
}

guard@a-mounted-partition-of-a-virtio-disk()
{
	add_partition "$virtio_disk"
	wait_for 5 test -b "/dev/${virtio_disk}1"
	mkfs.ext2 -q "/dev/${virtio_disk}1"
	mount "/dev/${virtio_disk}1" /mnt
	refused $vda virtio-pci "${virtio_disk}1 is mounted on /mnt"
	umount /mnt
	partx -d "/dev/$virtio_disk"
}

# What only another mount namespace has mounted is found by the kernel's refusal of O_EXCL.
guard@a-disk-that-a-container-has-mounted()
{
	mkfs.ext2 -q "/dev/$disk"
	mkfifo "$scratch/end"
	unshare -m --propagation private bash -c \
		"mount /dev/$disk /mnt && echo mounted >$scratch/mounted && read -r _ <$scratch/end" &
	wait_for 10 test -s "$scratch/mounted"
	! grep -q "/dev/$disk" /proc/self/mountinfo
	refused $nvme nvme "$disk is held"
	echo >"$scratch/end"
	wait
}

# The test machine's own root comes from there.
guard@the-files-of-the-virtual-machines-host()
{
	local device
	device=$(readlink -f /sys/bus/virtio/drivers/9pnet_virtio/virtio* | sed -n '1s|.*/\(0000:[^/]*\)/.*|\1|p')
	refused "$device" virtio-pci "$device carries the file system"
}

guard@swap-space()
{
	mkswap -q "/dev/$disk"
	swapon "/dev/$disk"
	refused $nvme nvme "$disk is swap space"
}

guard@a-disk-that-device-mapper-holds()
{
	echo "0 2048 linear /dev/$disk 0" | dmsetup create usrpci-test
	refused $nvme nvme "$disk is held by dm-[0-9]+ \(usrpci-test\)"
	mkfs.ext2 -q /dev/dm-0 1024
	mount /dev/dm-0 /mnt
	refused $nvme nvme "dm-[0-9]+ is mounted on /mnt"
	umount /mnt
}

guard@a-disk-that-a-program-has-open()
{
	sleep 100 8<"/dev/$disk" &
	refused $nvme nvme "pid $! \(sleep\) has /dev/$disk open"
	kill $!
}

guard@a-nic-whose-registers-a-program-has-open()
{
	sleep 100 8</sys/bus/pci/devices/$nic/resource0 &
	refused $nic e1000 "pid $! \(sleep\) has /sys/devices/.*/resource0 open"
	kill $!
}

guard@force-takes-it-nevertheless-and-restore-works()
{
	ip address add 192.0.2.1/24 dev "$eth"
	usrpci bind --force $nic
	[ "$(driver_of $nic)" = uio_pci_generic ]
	usrpci restore $nic
	[ "$(driver_of $nic)" = e1000 ]
}

# The device was given back by hand meanwhile, and is in use: restore must not take it again.
guard@restore-does-not-take-a-device-that-is-in-use-again()
{
	usrpci bind $nic --driver none
	echo e1000 >/sys/bus/pci/devices/$nic/driver_override
	echo $nic >/sys/bus/pci/drivers_probe
	ip address add 192.0.2.1/24 dev "$(interface_of $nic)"
	usrpci restore $nic
	ip -br address show | grep -q 192.0.2.1
}

guard@show-says-who-uses-a-device()
{
	ip address add 192.0.2.1/24 dev "$eth"
	expect_output "$eth carries 192.0.2.1/24" usrpci show $nic
}

guard@without-proc-everything-counts-as-in-use()
{
	unshare -m bash -c "
		mount -t tmpfs none /proc
		LD_LIBRARY_PATH=$USRPCI_BUILD/lib:$USRPCI_BUILD/host usrpci bind $nic 2>$scratch/log" && fail "it was not refused"
	cat "$scratch/log"
	grep -q '/proc is not mounted: open files cannot be seen' "$scratch/log"
	[ "$(driver_of $nic)" = e1000 ]
}
