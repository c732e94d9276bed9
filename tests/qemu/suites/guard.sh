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
	echo "${1##*/}"
}

# No more commands than there is something to undo: each costs a while in this machine.
teardown()
{
	local name
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
	for name in vlan7 macvlan7 br7 bond7 gre7 vxlan7; do
		[ ! -e /sys/class/net/$name ] || ip link delete $name
	done
	[ ! -e /run/netns/usrpci ] || ip netns delete usrpci
	eth=$(interface_of $nic)
	printf '%s\n' "address flush dev $eth" "link set $eth down" | ip -batch -
	[[ $(</proc/mounts) != *" /mnt "* ]] || umount -q /mnt || true
	[[ $(</proc/swaps) != *$'\n'* ]] || swapoff -a
	[ ! -e /dev/dm-0 ] || dmsetup remove_all
}

# refused ADDR DRIVER PATTERN: bind is refused with this reason and the device stays with its driver.
refused()
{
	expect_fail 5 "in use: $3" usrpci bind "$1"
	[ "$(driver_of "$1")" = "$2" ]
	[ -z "$(ls /run/usrpci/journal 2>/dev/null)" ]
}

# in_namespaces OPTIONS COMMANDS: what they say in a container of this kind, to $scratch/log.
in_namespaces()
{
	local -a options
	read -r -a options <<<"$1"
	unshare "${options[@]}" bash -c "
		PATH=$USRPCI_BUILD/cli:\$PATH
		$2" >"$scratch/log" 2>&1 || true
	cat "$scratch/log"
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

guard@a-nic-in-a-route-by-the-number-of-its-nexthop()
{
	sysctl -wq net.ipv4.nexthop_compat_mode=0
	ip link set "$eth" up
	wait_for 10 grep -qx 1 "/sys/class/net/$eth/carrier"
	ip nexthop add id 7 dev "$eth"
	ip route add 198.51.100.0/24 nhid 7
	refused $nic e1000 "$eth carries the route to nexthop 7"
	ip link set dev "$eth" down
	expect_fail 3 "nobody uses $nic" usrpci check $nic
	sysctl -wq net.ipv4.nexthop_compat_mode=1
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
	refused $nic e1000 "$nic has an interface in another network namespace: $eth in /run/netns/usrpci"
	expect_fail 3 "cure: ip -n usrpci link set $eth netns 1" usrpci check $nic
	ip -n usrpci link set "$eth" netns 1
	usrpci bind $nic
}

guard@a-virtio-nic-in-a-containers-network-namespace()
{
	ip netns add usrpci
	ip link set "$virtio_eth" netns usrpci
	refused $virtio virtio-pci "$virtio has an interface in another network namespace: $virtio_eth in /run/netns/usrpci"
	ip -n usrpci link set "$virtio_eth" netns 1
}

# Its upper interface leaves no trace in this namespace.
guard@a-nic-whose-macvlan-is-in-a-container()
{
	ip netns add usrpci
	ip link add link "$eth" name macvlan7 type macvlan || skip "the kernel has no macvlan"
	ip link set macvlan7 netns usrpci
	refused $nic e1000 "$eth carries frames of macvlan7 in another network namespace"
	ip netns delete usrpci
	wait_for 10 usrpci -q bind $nic
}

guard@a-nic-that-a-packet-socket-listens-to()
{
	ip link set "$eth" up
	python3 -c "
import socket, time
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88a4))
listener.bind(('$eth', 0x88a4))
open('$scratch/listens', 'w').write('yes')
time.sleep(100)" &
	wait_for 20 test -s "$scratch/listens"
	refused $nic e1000 "$eth carries frames of a packet socket"
	kill $!
}

# They go on with the other interfaces, or do without.
guard@listeners-that-do-not-hold-a-nic-are-noted()
{
	ip link set dev "$eth" promisc on
	expect_fail 3 "note +use +$eth is in promiscuous mode" usrpci check $nic
	ip link set dev "$eth" promisc off
	python3 -c "
import socket, time
listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
open('$scratch/listens', 'w').write('yes')
time.sleep(100)" &
	wait_for 20 test -s "$scratch/listens"
	expect_fail 3 "note +use +a packet socket takes frames of all interfaces, $eth too" usrpci check $nic
	kill $!
	grep -q "nobody uses $nic" <<<"$output"
	! grep -q promiscuous <<<"$output"
}

# As a client of DHCP has it, without an address.
guard@a-nic-that-a-socket-is-bound-to()
{
	local type
	echo 0 >"/proc/sys/net/ipv6/conf/$eth/accept_ra"
	ip link set "$eth" up
	for type in "AF_INET, socket.SOCK_DGRAM" "AF_INET6, socket.SOCK_STREAM" "AF_INET, socket.SOCK_RAW, 89"; do
		rm -f "$scratch/listens"
		python3 -c "
import socket, time
bound = socket.socket(socket.$type)
bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'$eth')
bound.bind(('', 6868))
if bound.type == socket.SOCK_STREAM: bound.listen()
open('$scratch/listens', 'w').write('yes')
time.sleep(100)" &
		wait_for 20 test -s "$scratch/listens"
		refused $nic e1000 "$eth carries frames of a socket that is bound to it"
		fails grep diag /proc/modules # a look loads nothing
		kill $!
		wait $! || true
	done
	expect_fail 3 "nobody uses $nic" usrpci check $nic
}

# The kernel's own is in no process, and may be bound as well. With the modules sock_diag shows all.
guard@a-socket-that-no-process-has-may-be-bound()
{
	local unseen="it cannot be seen whether a socket is bound to its interface"
	ip link add vxlan7 type vxlan id 7 dstport 4789 || skip "the kernel has no VXLAN"
	ip link set vxlan7 up
	expect_fail 3 "nobody uses $nic" usrpci check $nic # nothing goes through what is down
	echo 0 >/proc/sys/net/ipv6/conf/$eth/accept_ra # an address would be a use of its own
	ip link set $eth up
	expect_fail 3 "$unseen" usrpci check $nic
	refused $nic e1000 "$unseen"
	expect_fail 3 "$unseen" setpriv --reuid nobody --clear-groups --inh-caps -all "$(command -v usrpci)" check $nic
	fails grep diag /proc/modules
	modprobe -a tcp_diag udp_diag raw_diag
	expect_fail 3 "nobody uses $nic" usrpci check $nic
	python3 -c "
import socket, time
bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'$eth')
bound.bind(('', 6868))
open('$scratch/listens', 'w').write('yes')
time.sleep(100)" &
	wait_for 20 test -s "$scratch/listens"
	refused $nic e1000 "$eth carries frames of a socket that is bound to it"
	ss -tuwanp | grep "%$eth" | grep "pid=$!,"
	kill $!
}

# sysfs does not show it above the interface.
guard@a-nic-that-a-tunnel-sends-through()
{
	ip link add gre7 type gretap remote 192.0.2.77 dev "$eth" || skip "the kernel has no GRE"
	refused $nic e1000 "$eth is part of gre7"
	ip address add 198.51.100.1/24 dev gre7
	refused $nic e1000 "gre7 carries 198.51.100.1/24"
	expect_fail 3 "ip link delete gre7" usrpci check $nic
	ip link delete gre7
	expect_fail 3 "nobody uses $nic" usrpci check $nic
}

# attach_xdp INTERFACE: a program that lets all frames pass, by bpf(2) and rtnetlink(7).
attach_xdp()
{
	python3 - "$1" <<-'END'
		import ctypes, platform, socket, struct, sys

		BPF_PROG_LOAD, PROG_TYPE_XDP, RTM_SETLINK, IFLA_XDP = 5, 6, 19, 43
		pass_all = struct.pack('<BBhi', 0xb7, 0, 0, 2) + struct.pack('<BBhi', 0x95, 0, 0, 0)
		code, license = ctypes.create_string_buffer(pass_all), ctypes.create_string_buffer(b'GPL')
		load = struct.pack('<IIQQ', PROG_TYPE_XDP, 2, ctypes.addressof(code), ctypes.addressof(license))
		load = ctypes.create_string_buffer(load.ljust(128, b'\0'))
		number = {'x86_64': 321, 'aarch64': 280}[platform.machine()]
		program = ctypes.CDLL(None).syscall(number, BPF_PROG_LOAD, load, 128)
		attributes = struct.pack('=HHi', 8, 1, program) + struct.pack('=HHI', 8, 3, 2)
		nested = struct.pack('=HH', 4 + len(attributes), IFLA_XDP | 0x8000) + attributes
		interface = struct.pack('=BxHiII', 0, 0, socket.if_nametoindex(sys.argv[1]), 0, 0)
		body = interface + nested
		route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
		route.send(struct.pack('=IHHII', 16 + len(body), RTM_SETLINK, 5, 1, 0) + body)
		sys.exit(struct.unpack_from('=i', route.recv(4096), 16)[0] != 0)
	END
}

guard@a-nic-with-an-xdp-program()
{
	attach_xdp "$eth" || skip "the kernel takes no XDP program"
	refused $nic e1000 "$eth carries frames of an XDP program"
	expect_fail 3 "ip link set dev $eth xdpgeneric off" usrpci check $nic
	expect_fail 5 "$eth carries frames of an XDP program" usrpci net "$eth"
	ip link set dev "$eth" xdpgeneric off
	expect_fail 3 "nobody uses $nic" usrpci check $nic
}

# Its socket is the kernel's own, and bound to no interface; it ends with the module.
guard@a-nic-that-soft-roce-uses()
{
	command -v rdma && modprobe rdma_rxe || skip "the kernel has no Soft RoCE"
	rdma link add rxe7 type rxe netdev "$eth"
	refused $nic e1000 "$eth carries frames of the RDMA device rxe7"
	expect_fail 3 "cure: rdma link delete rxe7" usrpci check $nic
	rdma link delete rxe7
	expect_fail 3 "nobody uses $nic" usrpci check $nic
	modprobe -r rdma_rxe
}

guard@a-nic-whose-frames-tc-sends-elsewhere()
{
	tc qdisc add dev "$eth" clsact
	refused $nic e1000 "$eth carries frames of filters of tc \(clsact\)"
	expect_fail 3 "tc qdisc del dev $eth clsact" usrpci check $nic
	tc qdisc del dev "$eth" clsact
	expect_fail 3 "nobody uses $nic" usrpci check $nic
}

# The address is on another interface, and sysfs does not show that it sends through this one.
guard@a-nic-that-is-a-part-of-teql0()
{
	modprobe sch_teql || skip "the kernel has no teql"
	tc qdisc add dev "$eth" root teql0
	ip address add 192.0.2.1/24 dev teql0
	ip link set teql0 up
	refused $nic e1000 "$eth is part of teql0"
	expect_fail 3 "teql0 carries 192.0.2.1/24" usrpci check $nic
	expect_fail 3 "cure: tc qdisc del dev $eth root" usrpci check $nic
	tc qdisc del dev "$eth" root
	expect_fail 3 "nobody uses $nic" usrpci check $nic
	modprobe -r sch_teql
}

guard@a-nic-that-tc-sends-frames-of-another-to()
{
	tc qdisc add dev "$virtio_eth" clsact
	tc filter add dev "$virtio_eth" ingress matchall action mirred egress redirect dev "$eth" ||
		{ tc qdisc del dev "$virtio_eth" clsact; skip "the kernel has no such filter"; }
	refused $nic e1000 "$eth carries frames of an action of tc \(mirred\)"
	tc -s actions list action mirred | grep "device $eth"
	tc filter del dev "$virtio_eth" ingress
	expect_fail 3 "nobody uses $nic" usrpci check $nic
	tc qdisc del dev "$virtio_eth" clsact
}

# sysfs still shows the host's interfaces to it, but netlink another network.
guard@a-program-in-a-network-namespace-of-its-own-does-not-guess()
{
	ip address add 192.0.2.1/24 dev "$eth"
	in_namespaces -n "usrpci bind $nic"
	grep -q "in use: $eth is in another network namespace than this program" "$scratch/log"
	[ "$(driver_of $nic)" = e1000 ]
}

# Its /proc shows its own processes alone, its /dev no disk, and its mounts none of the host's; its
# network is another.
guard@a-container-does-not-guess-who-uses-a-disk()
{
	mkfs.ext2 -q "/dev/$disk"
	mount "/dev/$disk" /mnt
	in_namespaces "-m -p -n -f --mount-proc" "umount /mnt
		mount -t tmpfs none /dev
		mknod /dev/null c 1 3
		usrpci check $nvme
		usrpci bind $nvme"
	fails grep -q 'nobody uses' "$scratch/log"
	grep -q "in use: it is unknown whether $disk is held" "$scratch/log"
	grep -q 'in use: the files that other programs have open cannot be seen' "$scratch/log"
	[ "$(driver_of $nvme)" = nvme ]
	umount /mnt
}

guard@an-ordinary-user-is-not-told-that-nobody-uses-a-disk()
{
	sleep 100 8<"/dev/$disk" &
	setpriv --reuid nobody --clear-groups --bounding-set -all --inh-caps -all \
		"$(command -v usrpci)" check $nvme >"$scratch/log" || true
	kill $!
	cat "$scratch/log"
	fails grep -q 'nobody uses' "$scratch/log"
	grep -q 'the files that other programs have open cannot be seen' "$scratch/log"
}

guard@a-disk-below-a-loop-device()
{
	modprobe loop max_loop=1 || skip "the kernel has no loop devices"
	wait_for 5 test -b /dev/loop0
	losetup /dev/loop0 "/dev/$disk"
	refused $nvme nvme "$disk is exported by loop0"
	expect_fail 3 "losetup -d /dev/loop0" usrpci check $nvme
	losetup -d /dev/loop0
	usrpci bind $nvme
	usrpci restore $nvme
	wait_for 10 test -b "/dev/$disk"
}

# The cures are in the order in which they can be followed, and name who keeps a file system busy.
guard@a-file-system-on-a-loop-device-on-a-disk()
{
	modprobe loop max_loop=1 || skip "the kernel has no loop devices"
	wait_for 5 test -b /dev/loop0
	losetup /dev/loop0 "/dev/$disk"
	mkfs.ext2 -q /dev/loop0
	mount /dev/loop0 /mnt
	(cd /mnt && exec sleep 100) &
	wait_for 10 test "/proc/$!/cwd" -ef /mnt
	refused $nvme nvme "loop0 is mounted on /mnt"
	refused $nvme nvme "$disk is exported by loop0"
	expect_fail 3 "cure: umount /mnt # once sleep \(pid $!\) ends, which has files on it" usrpci check $nvme
	fails umount /mnt
	kill $!
	wait $! || true
	expect_fail 3 "cure: umount /mnt$" usrpci check $nvme
	sed -n 's/.*cure: //p' <<<"$output" | grep -E '^(umount|losetup)' >"$scratch/cures"
	[ "$(wc -l <"$scratch/cures")" = 2 ]
	bash -e "$scratch/cures"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
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

# while_bind COMMAND ADDR: a bind, whose driver's module is loaded by COMMAND and then modprobe(8): what was
# free when usrpci looked first is in use then.
while_bind()
{
	modprobe -r vfio_pci uio_pci_generic || true
	printf 'install uio_pci_generic %s; modprobe --ignore-install uio_pci_generic\n' \
		"$1" >/etc/modprobe.d/guard.conf
	usrpci bind "$2" >"$scratch/log" 2>&1 || status=$?
	rm /etc/modprobe.d/guard.conf
	cat "$scratch/log"
}

# before_unbind COMMAND ADDR [restore]: a bind, or that, and COMMAND runs when all looks are done and the driver is to let go.
before_unbind()
{
	BEFORE_UNBIND=$1 LD_PRELOAD=$USRPCI_BUILD/tests/qemu/before_unbind.so \
		usrpci "${3:-bind}" "$2" >"$scratch/log" 2>&1 || status=$?
	cat "$scratch/log"
}

guard@a-disk-that-is-mounted-while-the-module-loads()
{
	local status=0
	mkfs.ext2 -q "/dev/$disk"
	while_bind "mount /dev/$disk /mnt" $nvme
	grep -q "in use: $disk is mounted on /mnt" "$scratch/log"
	[ $status = 5 ]
	[ "$(driver_of $nvme)" = nvme ]
	touch /mnt/file
	umount /mnt
	usrpci bind $nvme
	usrpci restore $nvme
	wait_for 10 test -b "/dev/$disk"
}

# The kernel refuses the mount then, and the bind goes on.
guard@a-disk-that-is-to-be-mounted-when-its-driver-lets-go()
{
	local status=0
	mkfs.ext2 -q "/dev/$disk"
	before_unbind "mount /dev/$disk /mnt; echo \$? >$scratch/mount" $nvme
	[ $status = 0 ]
	[ "$(cat "$scratch/mount")" != 0 ]
	[ "$(driver_of $nvme)" = uio_pci_generic ]
	fails grep " /mnt " /proc/mounts
	usrpci restore $nvme
	wait_for 10 test -b "/dev/$disk"
}

# The kernel keeps no loop device away; it is told, and the disk goes back.
guard@a-disk-that-gets-a-loop-device-when-its-driver-lets-go()
{
	local status=0
	modprobe loop max_loop=1 || skip "the kernel has no loop devices"
	wait_for 5 test -b /dev/loop0
	before_unbind "losetup /dev/loop0 /dev/$disk" $nvme
	losetup -d /dev/loop0
	[ $status = 5 ]
	grep -q "in use: $disk is exported by loop0 since a moment ago; it is given back to nvme, without that" "$scratch/log"
	[ "$(driver_of $nvme)" = nvme ]
	# The dead disk had the name until now.
	usrpci bind $nvme
	usrpci restore $nvme
	wait_for 10 test -b "/dev/$disk"
}

guard@a-partition-that-is-to-be-mounted-when-its-driver-lets-go()
{
	local status=0
	add_partition "$virtio_disk"
	wait_for 5 test -b "/dev/${virtio_disk}1"
	mkfs.ext2 -q "/dev/${virtio_disk}1"
	before_unbind "mount /dev/${virtio_disk}1 /mnt; echo \$? >$scratch/mount" $vda
	[ $status = 0 ]
	[ "$(cat "$scratch/mount")" != 0 ]
	fails grep " /mnt " /proc/mounts
	usrpci restore $vda
	wait_for 10 test -b "/dev/${virtio_disk}1"
	partx -d "/dev/$virtio_disk"
	dd if=/dev/zero of="/dev/$virtio_disk" bs=512 count=1
}

# Nobody can keep an address away; the loss is told, and the interface is there again.
guard@a-nic-that-gets-an-address-when-its-driver-lets-go()
{
	local status=0
	while_bind "ip address add 192.0.2.1/24 dev $eth" $nic
	[ $status = 5 ]
	grep -q "in use: $eth carries 192.0.2.1/24" "$scratch/log"
	[ "$(driver_of $nic)" = e1000 ]
	ip address flush dev "$eth"
	status=0
	before_unbind "ip address add 192.0.2.1/24 dev $eth" $nic
	[ $status = 5 ]
	grep -q "in use: $eth carries 192.0.2.1/24 since a moment ago; it is given back to e1000, without that" "$scratch/log"
	[ "$(driver_of $nic)" = e1000 ]
	[ -z "$(ls /run/usrpci/journal)" ]
	ip address add 192.0.2.1/24 dev "$(interface_of $nic)"
}

guard@a-nic-that-goes-to-a-container-when-its-driver-lets-go()
{
	local status=0
	ip netns add usrpci
	before_unbind "ip link set $eth netns usrpci" $nic
	[ $status = 5 ]
	grep -q "in use: $eth is in another network namespace since a moment ago" "$scratch/log"
	[ "$(driver_of $nic)" = e1000 ]
}

# The interfaces of a card's virtual functions go with as much news.
guard@a-nic-whose-driver-lets-go-while-many-interfaces-go()
{
	local status=0 i
	modprobe dummy numdummies=0
	for i in {0..63}; do
		echo "link add usrpci$i type dummy"
	done >"$scratch/interfaces"
	sed 's/add\(.*\) type.*/del\1/' "$scratch/interfaces" >"$scratch/gone"
	before_unbind "ip -batch $scratch/interfaces; ip -batch $scratch/gone" $nic
	[ $status = 0 ]
	usrpci restore $nic
}

# So much comes to another interface that the kernel drops the news of this one.
# Many to a message: ip(8) would wait for an answer about each.
add_routes()
{
	python3 - "$1" <<-'END'
		import socket, struct, sys

		index, netlink = socket.if_nametoindex(sys.argv[1]), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)

		def route(number):
		    target = struct.pack('>QQ', 0xfd00007700000000, number)
		    body = struct.pack('=8BI', socket.AF_INET6, 128, 0, 0, 254, 4, 0, 1, 0)
		    body += struct.pack('=HH16sHHI', 20, 1, target, 8, 4, index)
		    return struct.pack('=IHHII', 16 + len(body), 24, 0x401, number, 0) + body

		for first in range(0, 16384, 256):
		    netlink.send(b''.join(route(number) for number in range(first, first + 256)))
	END
}

guard@a-nic-whose-address-cannot-be-heard()
{
	local status=0
	ip link add br7 type bridge
	ip link set br7 up
	add_routes br7
	# The kernel tells of each route that goes.
	before_unbind "ip link del br7; ip address add 192.0.2.1/24 dev $eth" $nic
	[ $status = 5 ]
	grep -q "in use: what came to $eth cannot be heard" "$scratch/log"
	[ "$(driver_of $nic)" = e1000 ]
}

# A restore to another driver than the kernel's takes the disk from that, as a bind does.
guard@a-disk-that-is-to-be-mounted-when-it-is-restored()
{
	local status=0
	mkfs.ext2 -q "/dev/$disk"
	load_driver uio_pci_generic
	echo uio_pci_generic >/sys/bus/pci/devices/$nvme/driver_override
	echo $nvme >/sys/bus/pci/devices/$nvme/driver/unbind
	echo $nvme >/sys/bus/pci/drivers_probe
	usrpci bind $nvme --driver nvme
	wait_for 10 test -b "/dev/$disk"
	before_unbind "mount /dev/$disk /mnt; echo \$? >$scratch/mount" $nvme restore
	[ $status = 0 ]
	[ "$(cat "$scratch/mount")" != 0 ]
	[ "$(driver_of $nvme)" = uio_pci_generic ]
	echo >/sys/bus/pci/devices/$nvme/driver_override
	echo $nvme >/sys/bus/pci/devices/$nvme/driver/unbind
	echo $nvme >/sys/bus/pci/drivers_probe
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
	fails grep -q "/dev/$disk" /proc/self/mountinfo
	refused $nvme nvme "$disk is held"
	expect_fail 3 "cure: nsenter -t $! -m umount -A /dev/$disk # or end bash" usrpci check $nvme
	nsenter -t $! -m umount -A "/dev/$disk"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
	echo >"$scratch/end"
	wait
}

# The partition has the number, and the whole disk is what the kernel refuses to open.
guard@a-partition-with-files-that-is-unmounted-lazily()
{
	add_partition "$disk"
	wait_for 5 test -b "/dev/${disk}p1"
	mkfs.ext2 -q "/dev/${disk}p1"
	mount "/dev/${disk}p1" /mnt
	echo text >/mnt/file
	sleep 100 8</mnt/file &
	umount -l /mnt
	refused $nvme nvme "$disk is held"
	expect_fail 3 "cure: kill $! # or end sleep, which has files on ${disk}p1" usrpci check $nvme
	kill $!
	wait $! || true
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
	partx -d "/dev/$disk"
}

guard@a-loop-device-on-a-file-of-a-partition-that-is-unmounted-lazily()
{
	add_partition "$disk"
	wait_for 5 test -b "/dev/${disk}p1"
	mkfs.ext2 -q "/dev/${disk}p1"
	mount "/dev/${disk}p1" /mnt
	modprobe loop max_loop=1 || skip "the kernel has no loop devices"
	dd if=/dev/zero of=/mnt/image bs=1k count=64 status=none
	wait_for 5 test -b /dev/loop0
	losetup /dev/loop0 /mnt/image
	umount -l /mnt
	refused $nvme nvme "a file on ${disk}p1 is exported by loop0"
	losetup -d /dev/loop0
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
	partx -d "/dev/$disk"
}

# As with ZFS, no process is seen with it.
guard@a-partition-that-nobody-is-seen-to-hold()
{
	add_partition "$disk"
	wait_for 5 test -b "/dev/${disk}p1"
	mkfs.ext2 -q "/dev/${disk}p1"
	mount "/dev/${disk}p1" /mnt
	mkdir /mnt/one /mnt/two "$scratch/both"
	mount -t overlay -o lowerdir=/mnt/one:/mnt/two none "$scratch/both" || skip "the kernel has no overlays"
	umount -l /mnt
	expect_fail 3 "cure: .*grep -E \" \($(cat /sys/class/block/$disk/dev)\|$(cat "/sys/class/block/${disk}p1/dev")\) \"" usrpci check $nvme
	umount "$scratch/both"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
	partx -d "/dev/$disk"
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

# Nobody is in the namespace, and no process shows what is mounted there.
guard@a-mount-in-a-namespace-that-only-a-file-keeps()
{
	mkfs.ext2 -q "/dev/$disk"
	mkdir /run/kept
	mount --bind /run/kept /run/kept
	mount --make-private /run/kept
	touch "/run/kept/a file"
	unshare --mount="/run/kept/a file" mount "/dev/$disk" /mnt
	refused $nvme nvme "$disk is held"
	expect_fail 3 "cure: nsenter --mount='/run/kept/a file' umount -A /dev/$disk #" usrpci check $nvme
	sed -n 's/.*cure: nsenter/nsenter/p' <<<"$output" | bash -e
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
	umount "/run/kept/a file" /run/kept
}

# Neither has a process, and umount fails while they are there; the cures are in their order.
guard@a-swap-file-and-a-loop-device-keep-a-mount-busy()
{
	modprobe loop max_loop=1 || skip "the kernel has no loop devices"
	wait_for 5 test -b /dev/loop0
	mkfs.ext2 -q "/dev/$disk"
	mount "/dev/$disk" /mnt
	dd if=/dev/zero of=/mnt/swap bs=64k count=16
	chmod 600 /mnt/swap
	mkswap -q /mnt/swap
	swapon /mnt/swap
	truncate -s 1M /mnt/image
	losetup /dev/loop0 /mnt/image
	refused $nvme nvme "$disk has the swap file /mnt/swap"
	refused $nvme nvme "a file on $disk is exported by loop0"
	expect_fail 3 "cure: umount /mnt$" usrpci check $nvme
	fails umount /mnt
	sed -n 's/.*cure: //p' <<<"$output" | grep -E '^(swapoff|losetup|umount)' >"$scratch/cures"
	[ "$(wc -l <"$scratch/cures")" = 3 ]
	bash -e "$scratch/cures"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
}

guard@a-disk-that-device-mapper-holds()
{
	echo "0 2048 linear /dev/$disk 0" | dmsetup create usrpci-test
	refused $nvme nvme "$disk is held by dm-[0-9]+ \(usrpci-test\)"
	mkfs.ext2 -q /dev/dm-0 1024
	mount /dev/dm-0 /mnt
	refused $nvme nvme "dm-[0-9]+ is mounted on /mnt"
	expect_fail 3 "cure: umount /mnt$" usrpci check $nvme
	sed -n 's/.*cure: //p' <<<"$output" | grep -E '^(umount|dmsetup)' >"$scratch/cures"
	bash -e "$scratch/cures"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
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

# As in a copy of a system that somebody works in.
guard@a-proc-that-is-not-the-kernels-shows-nothing()
{
	unshare -m bash -c "
		mount -t tmpfs none /proc
		mkdir -p /proc/self/fd /proc/1/fd
		LD_LIBRARY_PATH=$USRPCI_BUILD/lib:$USRPCI_BUILD/host usrpci bind $nic 2>$scratch/log" && fail "it was not refused"
	cat "$scratch/log"
	grep -q '/proc is not mounted: open files cannot be seen' "$scratch/log"
	[ "$(driver_of $nic)" = e1000 ]
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

# The path is one of a chroot, or leads nowhere any more.
guard@a-disk-below-a-loop-device-by-another-path()
{
	local file
	modprobe loop max_loop=1 || skip "the kernel has no loop devices"
	wait_for 5 test -b /dev/loop0
	for file in "$scratch/disk" /dev/gone7; do
		mknod "$file" b "$(cut -d: -f1 "/sys/class/block/$disk/dev")" "$(cut -d: -f2 "/sys/class/block/$disk/dev")"
		losetup /dev/loop0 "$file"
		[ "$file" != /dev/gone7 ] || rm "$file"
		refused $nvme nvme "$disk is exported by loop0"
		losetup -d /dev/loop0
	done
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
}

guard@a-disk-that-a-target-of-fileio-has()
{
	local store=/sys/kernel/config/target/core/fileio_0/store7
	modprobe -a target_core_mod target_core_file || skip "the kernel has no SCSI targets"
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	mkdir -p "$store"
	echo "fd_dev_name=/dev/$disk,fd_dev_size=1048576" >"$store/control"
	echo 1 >"$store/enable"
	refused $nvme nvme "$disk is exported by the SCSI target store7"
	rmdir "$store" "${store%/*}"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
}

# The path is a name of udev's, which leads to the disk and is not its own.
guard@a-disk-that-nvmet-exports-by-another-name()
{
	local space=/sys/kernel/config/nvmet/subsystems/nqn.usrpci/namespaces/1
	modprobe nvmet || skip "the kernel has no nvmet"
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	mkdir -p /dev/disk/by-id "${space%/*/*}"
	mkdir "$space"
	ln -sf "../../$disk" /dev/disk/by-id/nvme-usrpci
	echo -n /dev/disk/by-id/nvme-usrpci >"$space/device_path"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
	echo 1 >"$space/enable"
	refused $nvme nvme "$disk is exported by nvmet, namespace 1"
	expect_fail 3 "echo 0 > $space/enable" usrpci check $nvme
	echo 0 >"$space/enable"
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
	rmdir "$space" "${space%/*/*}"
	modprobe -r nvmet
}

guard@a-nic-that-netconsole-sends-through()
{
	ip link set "$eth" up
	modprobe netconsole "netconsole=6665@10.0.2.15/$eth,6666@10.0.2.2/52:55:0a:00:02:02" ||
		skip "the kernel has no netconsole"
	refused $nic e1000 "it cannot be seen whether netconsole sends through its interface"
	modprobe -r netconsole
	! usrpci check $nic | grep netconsole
}

guard@a-nic-that-a-socket-of-xdp-only-sends-by()
{
	ip link set "$eth" up
	python3 -c "
import ctypes, mmap, socket, struct, time
ring = socket.socket(44, socket.SOCK_RAW)
memory = mmap.mmap(-1, 1 << 16)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
ring.setsockopt(283, 4, struct.pack('QQIII4x', address, 1 << 16, 4096, 0, 0))
for option in 5, 6, 3: ring.setsockopt(283, option, struct.pack('I', 8))
where = struct.pack('HHIII', 44, 2, socket.if_nametoindex('$eth'), 0, 0)
assert not ctypes.CDLL(None).bind(ring.fileno(), where, len(where))
open('$scratch/bound', 'w').write('yes')
time.sleep(100)" &
	wait_for 20 test -s "$scratch/bound"
	refused $nic e1000 "it cannot be seen whether an AF_XDP socket of process $! is bound to its interface"
	! modprobe xdp_diag || refused $nic e1000 "$eth carries frames of an AF_XDP socket"
	kill $! # the cure where the kernel has no xdp_diag
	wait $! || true
	! usrpci check $nic | grep AF_XDP
}

# Namespaces that no process is in: a mount keeps one, wherever it stands; a thread alone is in another.
guard@a-nic-whose-macvlan-is-where-no-process-is()
{
	local uses="$eth carries frames of macvlan7 in another network namespace"
	touch "$scratch/a namespace"
	unshare --net="$scratch/a namespace" true
	ip link add link "$eth" name macvlan7 type macvlan || skip "the kernel has no macvlan"
	ip link set macvlan7 netns "$scratch/a namespace"
	refused $nic e1000 "$uses"
	umount "$scratch/a namespace"
	wait_for 20 bash -c "! usrpci check $nic | grep -q macvlan7"
	ip link add link "$eth" name macvlan7 type macvlan
	python3 -c "
import ctypes, threading, time
def leave():
    ctypes.CDLL(None).unshare(0x40000000)
    open('$scratch/thread', 'w').write(str(threading.get_native_id()))
    time.sleep(100)
threading.Thread(target=leave).start()" &
	wait_for 20 test -s "$scratch/thread"
	ip link set macvlan7 netns "/proc/$(<"$scratch/thread")/ns/net" ||
		ip link set macvlan7 netns "$(<"$scratch/thread")"
	refused $nic e1000 "$uses"
	kill $!
}

guard@a-vxlan-in-another-namespace()
{
	ip netns add usrpci
	ip link add vxlan7 type vxlan id 7 dev "$eth" dstport 4789 group 239.1.1.1 || skip "the kernel has no VXLAN"
	ip link set vxlan7 netns usrpci
	refused $nic e1000 "$eth carries frames of vxlan7 in another network namespace"
	ip netns delete usrpci
}
