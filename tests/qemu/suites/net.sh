# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# net: network cards by libusrpci-net, virtio-net on uio_pci_generic above all, against QEMU's gateway
# and against the kernel's driver
#
# vm: --nic virtio-net-pci --nic virtio-net-pci@1 --nic virtio-net-pci@1 --nic virtio-net-pci,disable-modern=on --nic e1000 --append hugepages=16
# vm: --device pcie-root-port,id=rp0 --nic virtio-net-pci,bus=rp0 --disk virtio-blk-pci --nic e1000e@1
# case-deadline: 180

virtio=0000:00:01.0
wired=0000:00:02.0
kernels=0000:00:03.0
legacy=0000:00:04.0
intel=0000:00:05.0
pluggable=0000:01:00.0
disk=0000:00:07.0
express=0000:00:08.0

# A program in the background is named by this, so that $! is its own process.
ping=$USRPCI_BUILD/examples/ping

# Where this exists, the kernel does not load vhost_net.
no_vhost=/etc/modprobe.d/no-vhost.conf

give_to()
{
	local driver=$1 device=$2
	[ "$(driver_of "$device")" != "$driver" ] || return 0
	echo "$driver" >"/sys/bus/pci/devices/$device/driver_override"
	[ -z "$(driver_of "$device")" ] || echo "$device" >"/sys/bus/pci/devices/$device/driver/unbind"
	echo "$device" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$device")" = "$driver" ]
	[ "$driver" != virtio-pci ] || wait_for 10 has_interface "$device"
}

# Below the PCI function there may be a virtio device, and below that the interface.
interface_of()
{
	local path
	for path in /sys/bus/pci/devices/"$1"/virtio*/net/* /sys/bus/pci/devices/"$1"/net/*; do
		[ ! -e "$path" ] || echo "${path##*/}"
	done
}

has_interface()
{
	local name
	name=$(interface_of "$1")
	[ -n "$name" ] && [ -e "/sys/class/net/$name" ]
}

setup()
{
	load_driver uio_pci_generic
	[ -e /sys/bus/virtio/drivers/virtio_net ] || modprobe virtio_net
	give_to uio_pci_generic $virtio
	give_to uio_pci_generic $wired
}

# A case that fails leaves the command behind, which is to put everything back.
teardown()
{
	local left
	for left in $(pids_of usrpci); do
		kill -TERM "$left" || true
	done
	wait_for 20 no_process usrpci
	[ ! -e /run/netns/far ] || ip netns del far
	rm -f "$no_vhost"
	ip route flush table 100 2>/dev/null || true
	echo 16 >/proc/sys/vm/nr_hugepages
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

# slow
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
	usrpci run $virtio -- "$ping" --flood --count 2000 $virtio | tee "$scratch/said"
	grep -q '^2000 requests sent, 2000 replies, lost: 0, ' "$scratch/said"
	[ "$(driver_of $virtio)" = virtio-pci ]
	echo 16 >/proc/sys/vm/nr_hugepages
}

# Gives the kernel's driver the card back, and its interface a place worth moving. Sets nic.
place()
{
	[ "$1" = $intel ] || [ "$1" = $express ] || give_to virtio-pci "$1"
	nic=$(interface_of "$1")
	ip address flush dev "$nic"
	ip route flush dev "$nic" table 100 2>/dev/null || true
	ip link set dev "$nic" mtu 1400
	address_up "$nic" "${2:-10.0.2.15/24}"
	ip address add fd00:77::1/64 dev "$nic" nodad
	ip address add 10.9.9.1/32 dev "$nic"
	ip route add 10.77.0.0/16 via "${3:-10.0.2.2}" dev "$nic" table 100 metric 7
	ip -6 route add fd00:88::/64 via fd00:77::2 dev "$nic"
	echo 2 >"/proc/sys/net/ipv4/conf/$nic/rp_filter"
	echo 0 >"/proc/sys/net/ipv6/conf/$nic/accept_ra"
}

leave()
{
	ip address flush dev "$nic"
	ip link set dev "$nic" down mtu 1500
	[ "$1" = $intel ] || [ "$1" = $express ] || give_to uio_pci_generic "$1"
}

# What moves, as ip(8) says it; the index differs, and a card's link takes a while to come back.
shown()
{
	cat "/sys/class/net/$nic/address" "/sys/class/net/$nic/mtu"
	grep . "/proc/sys/net/ipv4/conf/$nic/rp_filter" "/proc/sys/net/ipv6/conf/$nic/accept_ra"
	ip -o address show dev "$nic" scope global | sed 's/^[0-9]*: //; s/valid_lft.*//'
	ip route show table all dev "$nic" | grep -v 'proto ra\|proto kernel\|^local\|^broadcast\|table local' |
		sed 's/ linkdown//' | sort
	ip -6 route show table all dev "$nic" | grep -v 'proto ra\|proto kernel\|^fe80\|^multicast\|table local' |
		sed 's/ linkdown//' | sort
}

# begin_net OPTION...: sets net, the process, and waits until frames can flow.
begin_net()
{
	echo 0 >/proc/sys/vm/nr_hugepages
	usrpci net "$@" "$nic" >"$scratch/net" 2>&1 &
	net=$!
	wait_for 20 test -e "/sys/class/net/$nic/tun_flags"
	wait_for 20 grep -qx 1 "/sys/class/net/$nic/carrier"
	wait_for 20 is_running usrpci-driver
}

end_net()
{
	local status=0
	kill -TERM "$net"
	wait "$net" || status=$?
	cat "$scratch/net"
	echo 16 >/proc/sys/vm/nr_hugepages
	[ $status = 0 ]
}

# Prints a line when it has the queues of the TAP that a process has open, and keeps them.
keep_queues()
{
	python3 - "$1" <<-'EOF' >"$scratch/kept" &
		import ctypes, os, sys, time
		pid = int(sys.argv[1])
		process = os.pidfd_open(pid)
		for fd in os.listdir(f"/proc/{pid}/fd"):
		    if os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/net/tun":
		        assert ctypes.CDLL(None).syscall(438, process, int(fd), 0) >= 0
		        print("kept", flush=True)
		time.sleep(1000)
	EOF
	keeper=$!
	wait_for 20 test -s "$scratch/kept"
}

# A driver can hand them on to a process that does not end with it.
net@comes-back-though-somebody-keeps-the-queues-of-its-tap()
{
	local keeper
	place $virtio
	shown >"$scratch/before"
	begin_net
	keep_queues "$(pids_of usrpci-driver)"
	end_net || fail "the status is not 0"
	wait_for 10 has_interface $virtio
	shown | diff "$scratch/before" -
	kill "$keeper"
	leave $virtio
}

# The first of the moments is before the card leaves its place, the last one before its driver can hear a signal.
net@ends-as-asked-however-early-the-signal-comes()
{
	local moment
	place $virtio
	shown >"$scratch/before"
	for moment in 0 0.2 0.5 1; do
		usrpci net "$nic" &
		net=$!
		wait_for 20 test -e "/run/usrpci/net/$virtio"
		sleep $moment
		end_net || fail "after $moment s the status is not 0"
		expect_same "$(driver_of $virtio)" virtio-pci "the driver"
		wait_for 10 has_interface $virtio
		shown | diff "$scratch/before" -
		[ ! -e "/run/usrpci/net/$virtio" ]
	done
	leave $virtio
}

net@an-interface-moves-to-a-tap-and-back()
{
	place $virtio
	shown | tee "$scratch/before"
	begin_net
	shown | diff "$scratch/before" -
	[ "$(cat "/sys/class/net/$nic/owner")" = 0 ]
	wait_for 5 grep -qx up "/sys/class/net/$nic/operstate"
	usrpci list | grep -q "^$virtio .* $nic "
	ping_gateway "$nic" 10
	usrpci ps | grep "^$virtio.* $nic  *[1-9][0-9]* *[1-9][0-9]*  *[1-9]"
	[ "$(usrpci -j ps | jq .lent[0].tx_frames)" -ge 10 ]
	ip address add 10.9.9.2/32 dev "$nic"
	shown >"$scratch/later"
	end_net
	[ "$(driver_of $virtio)" = virtio-pci ]
	[ "$(interface_of $virtio)" = "$nic" ]
	shown | diff "$scratch/later" -
	ping_gateway "$nic"
	leave $virtio
}

# Receives bytes. How many segments a frame has depends on how fast they came.
receive()
{
	local statistics=/sys/class/net/$nic/statistics bytes frames
	bytes=$(<"$statistics/rx_bytes") frames=$(<"$statistics/rx_packets")
	transfer_to NEAR 1
	bytes=$(($(<"$statistics/rx_bytes") - bytes)) frames=$(($(<"$statistics/rx_packets") - frames))
	note "a received frame has $((bytes / frames)) bytes"
}

# The kernel's thread that copies frames has the driver's number in its name.
# has_vhost PID: whether vhost-net has a thread for this process. It is a process of its own before Linux 6.4.
has_vhost()
{
	grep -qsx "vhost-$1" /proc/[0-9]*/task/*/comm
}

net@vhost-net-moves-the-frames()
{
	local killed
	place $wired 10.1.0.2/24 10.1.0.1
	far_end
	begin_net --restart
	ping -n -q -c 3 -i 0.1 -W 5 10.1.0.1
	has_vhost "$(pids_of usrpci-driver)"
	transfer_to FAR 1
	receive
	killed=$(pids_of usrpci-driver)
	kill -KILL "$killed"
	ping -n -q -c 3 -i 0.1 -W 5 10.1.0.1
	fails has_vhost "$killed"
	has_vhost "$(pids_of usrpci-driver)"
	end_net
	fails has_vhost '[0-9]*'
	end_far
	leave $wired
}

# slow
net@without-vhost-net-frames-pass-through-the-driver()
{
	mkdir -p /etc/modprobe.d
	modprobe -r vhost_net
	echo 'install vhost_net /bin/false' >"$no_vhost"
	place $wired 10.1.0.2/24 10.1.0.1
	far_end
	begin_net --restart
	grep -A 1 '/dev/vhost-net: .*costs the driver a system call' "$scratch/net"
	fails has_vhost '[0-9]*'
	ping -n -q -c 3 -i 0.1 -W 5 10.1.0.1
	transfer_to FAR 1
	receive
	end_net
	end_far
	leave $wired
}

net@a-tap-that-is-deleted-ends-it()
{
	local status=0
	place $virtio
	shown >"$scratch/before"
	begin_net --restart
	ip link del "$nic"
	wait $net || status=$?
	cat "$scratch/net"
	[ $status = 1 ]
	grep -q 'its TAP device was deleted' "$scratch/net"
	shown | diff "$scratch/before" -
	ping_gateway "$nic"
	echo 16 >/proc/sys/vm/nr_hugepages
	leave $virtio
}

net@an-e1000-moves-too()
{
	place $intel
	shown | tee "$scratch/before"
	begin_net --restart
	ping_gateway "$nic"
	# The next driver cannot send that, and serves nevertheless.
	ip link set dev "$nic" mtu 4000
	kill -KILL "$(pids_of usrpci-driver)"
	ping_gateway "$nic" 5
	grep -q "the interface's MTU is 4000, .* longer ones are lost: lower it to 1500" "$scratch/net"
	ip link set dev "$nic" mtu 1400
	end_net
	[ "$(driver_of $intel)" = e1000 ]
	shown | diff "$scratch/before" -
	ping_gateway "$nic"
	leave $intel
}

net@an-mtu-that-the-driver-cannot-carry-is-refused()
{
	local index
	place $intel
	ip link set dev "$nic" mtu 4000
	index=$(cat "/sys/class/net/$nic/ifindex")
	expect_fail 1 'its MTU is 4000, .* can carry 1504 at most' usrpci net --restart "$nic"
	expect_same "$(cat "/sys/class/net/$nic/ifindex")" "$index" "the interface's number"
	leave $intel
}

two_are_lent()
{
	[ "$(usrpci -j ps | jq '.lent | length')" = 2 ]
}

# slow
net@two-cards-are-served-at-once()
{
	local first second
	place $virtio
	first=$nic nic=fifteen-letters
	ip link set dev "$first" down
	ip link set dev "$first" name $nic
	ip link set dev $nic up
	begin_net --restart
	second=$(interface_of $intel)
	address_up "$second" 10.0.2.16/24
	usrpci net --restart "$second" >"$scratch/second" 2>&1 &
	wait_for 20 two_are_lent
	wait_for 20 ping_gateway "$second"
	ping_gateway $nic
	kill -TERM $!
	wait $!
	end_net
	[ "$(interface_of $virtio)" = $nic ]
	ip address flush dev "$second"
	ip link set dev "$second" down
	leave $virtio
}

net@the-driver-has-no-privileges()
{
	local driver
	place $virtio
	begin_net --restart
	for driver in $(pgrep -f net-driver); do
		[ "$driver" != $net ] || continue
		grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/"$driver"/status
		awk '$1 == "Uid:" { exit $2 < 1879048192 }' /proc/"$driver"/status
		grep -q '^CapEff:.0*$' /proc/"$driver"/status
		grep -q '^NoNewPrivs:.1$' /proc/"$driver"/status
	done
	end_net
	leave $virtio
}

net@what-stands-on-an-interface-is-named()
{
	place $virtio
	ip link add br0 type bridge
	ip link set dev "$nic" master br0
	expect_fail 5 'br0' usrpci net "$nic"
	ip link del br0
	ip link add link "$nic" name vlan7 type vlan id 7
	expect_fail 5 'vlan7' usrpci net "$nic"
	ip link del vlan7
	modprobe bonding max_bonds=0
	ip link add bond7 type bond
	ip link set dev "$nic" down
	ip link set dev "$nic" master bond7
	expect_fail 5 'bond7' usrpci net "$nic"
	ip link del bond7
	modprobe team
	ip link add team7 type team
	ip link set dev "$nic" down
	ip link set dev "$nic" master team7
	expect_fail 5 'team7' usrpci net "$nic"
	ip link del team7
	ip link set dev "$nic" up
	wait_for 10 has_carrier "$nic"
	tc qdisc add dev "$nic" clsact
	tc filter add dev "$nic" ingress matchall action drop
	expect_fail 5 'filters of tc' usrpci net "$nic"
	tc qdisc del dev "$nic" clsact
	ip nexthop add id 7 via 10.0.2.2 dev "$nic"
	expect_fail 5 'nexthop object 7' usrpci net "$nic"
	ip nexthop del id 7
	[ "$(interface_of $virtio)" = "$nic" ]
	ping_gateway "$nic"
	leave $virtio
}

# switch ACTION INTERFACE: "add" makes Open vSwitch's datapath with one port, "del" ends it (<linux/openvswitch.h>, genetlink).
switch()
{
	python3 - "$1" "$2" <<-'END'
		import socket, struct, sys

		def attribute(number, data):
		    return struct.pack('=HH', 4 + len(data), number) + data + bytes(-len(data) % 4)

		def ask(family, command, version, body):
		    header = struct.pack('=IHHII', 20 + len(body), family, 5, 1, 0)
		    netlink.send(header + struct.pack('=BBH', command, version, 0) + body)
		    answer = netlink.recv(8192)
		    if struct.unpack_from('=H', answer, 4)[0] == 2 and struct.unpack_from('=i', answer, 16)[0]:
		        sys.exit(f'{family}: error {struct.unpack_from("=i", answer, 16)[0]}')
		    return answer

		def family(name):
		    answer, at = ask(16, 3, 1, attribute(2, name + b'\0')), 20
		    netlink.recv(8192)
		    while True:
		        size, number = struct.unpack_from('=HH', answer, at)
		        if number == 1:
		            return struct.unpack_from('=H', answer, at + 4)[0]
		        at += (size + 3) & ~3

		netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
		action, interface = sys.argv[1:]
		nobody = attribute(5, struct.pack('=I', 0))
		datapath = attribute(1, b'ovs-system\0')
		if action == 'del':
		    ask(family(b'ovs_datapath'), 2, 2, struct.pack('=I', 0) + datapath)
		    sys.exit()
		ask(family(b'ovs_datapath'), 1, 2, struct.pack('=I', 0) + datapath + attribute(2, struct.pack('=I', 0)))
		port = attribute(2, struct.pack('=I', 1)) + attribute(3, interface.encode() + b'\0') + nobody
		ask(family(b'ovs_vport'), 1, 1, struct.pack('=I', socket.if_nametoindex('ovs-system')) + port)
	END
}

net@a-port-of-open-vswitch-is-refused()
{
	modprobe openvswitch || skip "the kernel has no Open vSwitch"
	place $virtio
	switch add "$nic"
	expect_fail 5 "ovs-vsctl del-port $nic" usrpci net "$nic"
	switch del "$nic"
	ping_gateway "$nic"
	leave $virtio
}

net@a-card-is-served-once()
{
	place $virtio
	begin_net
	expect_fail 5 "$nic: process $net, usrpci net, serves it already" usrpci net "$nic"
	expect_fail 5 'serves it already' usrpci net $virtio
	ping_gateway "$nic"
	end_net
	leave $virtio
}

net@what-can-be-refused-is-refused-before-anything-moves()
{
	local watcher old
	place $virtio
	ip -o monitor link >"$scratch/moves" &
	watcher=$!
	expect_fail 1 'nosuch: no such user' usrpci net --user nosuch "$nic"
	for driver in nosuch e1000 pci-stub virtio-pci; do
		expect_fail 1 "can be lent with .* not with $driver" usrpci net --driver $driver "$nic"
	done
	expect_fail 1 'no IOMMU translates for it' usrpci net --driver vfio-pci "$nic"
	expect_fail 1 'there is no rump kernel' env RUMP_PREFIX=/nowhere usrpci net --rump wm "$nic"
	expect_fail 1 'librump' usrpci net --rump wm "$nic"
	mkdir -m 700 "$scratch/closed"
	cp "$USRPCI_BUILD/cli/usrpci" "$scratch/closed"
	expect_fail 1 'cannot be run as [0-9]*: Permission denied' "$scratch/closed/usrpci" net "$nic"
	kill $watcher
	cat "$scratch/moves"
	[ ! -s "$scratch/moves" ]
	leave $virtio
	give_to virtio-pci $legacy
	old=$(interface_of $legacy)
	expect_fail 1 'VIRTIO_F_VERSION_1 is missing' usrpci net "$old"
	[ ! -e "/sys/class/net/$old/tun_flags" ]
}

net@few-descriptors-are-too-few()
{
	place $virtio
	shown >"$scratch/before"
	(
		ulimit -n 20
		expect_fail 1 "only 20 files, and 64" setpriv --bounding-set=-sys_resource usrpci net "$nic"
	)
	(
		ulimit -n 40
		begin_net --restart
		ping_gateway "$nic"
		end_net
	)
	shown | diff "$scratch/before" -
	leave $virtio
}

net@restore-ends-the-service-of-an-interface()
{
	place $virtio
	shown >"$scratch/before"
	begin_net --restart
	usrpci restore "$nic"
	[ "$(driver_of $virtio)" = virtio-pci ]
	wait "$net"
	shown | diff "$scratch/before" -
	ping_gateway "$nic"
	expect_fail 1 'lo: it does not belong to a PCI device' usrpci restore lo
	echo 16 >/proc/sys/vm/nr_hugepages
	leave $virtio
}

# slow
net@processes-that-are-stopped-end-nevertheless()
{
	place $virtio
	shown >"$scratch/before"
	begin_net --restart
	kill -STOP "$(awk '{ print $4 }' "/proc/$(pids_of usrpci-driver)/stat")"
	end_net
	grep -q 'has not ended 5000 ms after the signal: it is killed' "$scratch/net"
	shown | diff "$scratch/before" -
	begin_net --restart
	kill -STOP "$(pids_of usrpci-serve)"
	end_net
	shown | diff "$scratch/before" -
	begin_net --restart
	kill -STOP "$net"
	usrpci restore $virtio
	wait "$net"
	shown | diff "$scratch/before" -
	ping_gateway "$nic"
	echo 16 >/proc/sys/vm/nr_hugepages
	leave $virtio
}

net@a-tap-of-another-is-left-alone()
{
	local another
	modprobe tun
	place $virtio
	shown >"$scratch/before"
	another=usrpci$(<"/sys/class/net/$nic/ifindex")
	ip tuntap add mode tap "$another"
	expect_fail 5 "$another: an interface of this name is in the way" timeout 20 usrpci net "$nic"
	ip link del "$another"
	shown | diff "$scratch/before" -
	ping_gateway "$nic"
	leave $virtio
}

net@a-tap-that-cannot-be-made-is-said-with-its-cure()
{
	modprobe tun
	place $virtio
	shown >"$scratch/before"
	mv /dev/net/tun "$scratch/tun"
	expect_fail 1 'mknod /dev/net/tun c 10 200' timeout 20 usrpci net "$nic"
	touch /dev/net/tun
	expect_fail 1 'rm -r /dev/net/tun; mknod' timeout 20 usrpci net "$nic"
	rm -r /dev/net/tun
	mknod /dev/net/tun c 10 200
	shown | diff "$scratch/before" -
	begin_net
	ping_gateway "$nic"
	end_net
	leave $virtio
}

# The TAP is the only way out, as in a session over it.
net@changes-that-wait-for-confirmation-go-back-beside-it()
{
	local other
	place $virtio
	ip route replace default via 10.0.2.2 dev "$nic"
	other=$(driver_of $kernels)
	begin_net --restart
	expect_fail 5 "$virtio: it is lent" usrpci bind --confirm 2 --force $virtio
	usrpci bind --confirm 2 $kernels
	[ "$(driver_of $kernels)" = uio_pci_generic ]
	ping_gateway "$nic"
	wait_for 20 has_interface $kernels
	[ "$(driver_of $kernels)" = "$other" ]
	usrpci bind --confirm 5 $kernels
	usrpci confirm
	ping_gateway "$nic"
	usrpci restore $kernels
	ip route show default | grep -q "via 10.0.2.2 dev $nic"
	end_net
	ip route show default | grep -q "via 10.0.2.2 dev $nic"
	ping_gateway "$nic"
	leave $virtio
}

# Other programs may do with the TAP what they did with the interface.
net@what-is-changed-on-the-tap-is-changed-on-the-interface()
{
	local old
	place $virtio
	begin_net
	old=$nic
	ip link set dev "$nic" down
	ip link set dev "$nic" name other7 address 02:00:00:00:00:77 mtu 1300
	nic=other7
	ip link set dev $nic up
	ip route add 10.78.0.0/16 via 10.0.2.2 dev $nic
	ip -6 address add fd00:79::1/64 dev $nic nodad
	ip -6 route add fd00:80::/64 via fd00:79::2 dev $nic
	ping_gateway $nic 3
	usrpci ps | grep "^$virtio.* $nic  *[1-9][0-9]* *[1-9][0-9]*  *[1-9]"
	shown >"$scratch/later"
	end_net
	[ "$(interface_of $virtio)" = $nic ]
	shown | diff "$scratch/later" -
	ping_gateway $nic
	ip link set dev $nic down
	ip link set dev $nic name "$old"
	nic=$old
	leave $virtio
}

net@what-is-put-on-the-tap-is-named-at-the-end()
{
	place $virtio
	begin_net
	ip -4 address flush dev "$nic"
	ip link add link "$nic" name vlan7 type vlan id 7
	ip link add br7 type bridge
	ip link set dev "$nic" master br7
	address_up br7 10.0.2.15/24
	ping_gateway br7 3
	end_net
	grep -A 1 "is part of br7, and the interface that comes back is not" "$scratch/net" |
		grep -q "ip link set dev $nic master br7"
	grep -q 'vlan7 stands on it and goes with it' "$scratch/net"
	ip link set dev "$nic" master br7
	ping_gateway br7
	ip link del br7
	leave $virtio
}

# slow
net@a-tap-that-moved-to-another-namespace-serves-there()
{
	place $virtio
	shown >"$scratch/before"
	begin_net --restart
	ip netns add far
	ip link set dev "$nic" netns far
	ip -n far address add 10.0.2.15/24 dev "$nic"
	ip -n far link set dev "$nic" up
	ip netns exec far ping -n -q -c 3 -W 5 10.0.2.2
	kill -KILL "$(pids_of usrpci-driver)"
	ip netns exec far ping -n -q -c 3 -W 5 10.0.2.2
	end_net
	grep -q 'it is gone: the interface gets the addresses that it had before' "$scratch/net"
	fails ip -n far link show dev "$nic"
	shown | diff "$scratch/before" -
	ping_gateway "$nic"
	ip netns del far
	leave $virtio
}

# slow
net@ctrl-c-twice-gives-back-once()
{
	local status=0 pid
	place $virtio
	shown >"$scratch/before"
	echo 0 >/proc/sys/vm/nr_hugepages
	env --default-signal=INT usrpci net --restart "$nic" >"$scratch/net" 2>&1 &
	net=$!
	wait_for 20 is_running usrpci-driver
	wait_for 20 ping_gateway "$nic"
	for _ in 1 2 3; do
		for pid in "$net" $(pids_of usrpci-driver); do
			kill -INT "$pid" || true
		done
		sleep 0.2
	done
	wait "$net" || status=$?
	cat "$scratch/net"
	[ $status = 0 ]
	shown | diff "$scratch/before" -
	[ "$(driver_of $virtio)" = virtio-pci ]
	ping_gateway "$nic"
	echo 16 >/proc/sys/vm/nr_hugepages
	leave $virtio
}

net@a-dry-run-shows-the-move()
{
	place $virtio
	usrpci -n net "$nic" 2>"$scratch/warnings" | tee "$scratch/said"
	[ ! -s "$scratch/warnings" ]
	grep -q 'ip tuntap add mode tap' "$scratch/said"
	grep -q "ip address replace 10.0.2.15/24 dev $nic" "$scratch/said"
	grep -q "ip route replace 10.77.0.0/16 via 10.0.2.2 dev $nic table 100 metric 7" "$scratch/said"
	[ ! -e "/sys/class/net/$nic/tun_flags" ]
	ping_gateway "$nic"
	leave $virtio
}

# A note that is damaged is told by each recovery, and by who looks whether the card is served already.
net@recovers-once()
{
	local said
	place $virtio
	mkdir -p /run/usrpci/lent
	echo nonsense >/run/usrpci/lent/$wired
	said=$(usrpci -n net "$nic" 2>&1 >/dev/null || true)
	rm /run/usrpci/lent/$wired
	expect_same "$(grep -c "is damaged" <<<"$said")" 2
	leave $virtio
}

net@the-carrier-follows-the-link()
{
	place $virtio
	begin_net
	monitor set_link nic0 off
	wait_for 10 grep -qx 0 "/sys/class/net/$nic/carrier"
	monitor set_link nic0 on
	wait_for 10 grep -qx 1 "/sys/class/net/$nic/carrier"
	ping_gateway "$nic"
	end_net
	leave $virtio
}

# slow
net@the-document-does-what-it-says()
{
	place $virtio
	echo 0 >/proc/sys/vm/nr_hugepages
	"$USRPCI_SOURCE/tests/net/doc.sh" --root "$nic" 10.0.2.2 2>&1 | tee "$scratch/said"
	[ "$(grep -c '3 received, 0% packet loss' "$scratch/said")" = 2 ]
	[ "$(driver_of $virtio)" = virtio-pci ]
	echo 16 >/proc/sys/vm/nr_hugepages
	leave $virtio
}

transfer=$USRPCI_SOURCE/tests/qemu/programs/transfer.py

# Puts the kernel's card, which is on the same wire, in a network of its own. Sets far, its name.
far_end()
{
	ip netns add far
	far=$(interface_of $kernels)
	ip link set dev "$far" netns far
	ip -n far address add 10.1.0.1/24 dev "$far"
	ip -n far link set dev "$far" up
}

end_far()
{
	ip netns del far
	wait_for 10 has_interface $kernels
}

# transfer_to FAR|NEAR SECONDS: sends bytes to one end, and compares what both have seen.
transfer_to()
{
	local there=(ip netns exec far) here=(env) address=10.1.0.1 receiver
	[ "$1" = FAR ] || there=(env) here=(ip netns exec far) address=10.1.0.2
	"${there[@]}" "$transfer" receive $address >"$scratch/received" &
	receiver=$!
	sleep 1
	"${here[@]}" "$transfer" send $address "$2" >"$scratch/sent"
	wait $receiver
	cat "$scratch/sent" "$scratch/received"
	diff "$scratch/sent" "$scratch/received"
}

net@users-of-the-interface-do-not-notice-that-it-is-a-tap()
{
	place $wired 10.1.0.2/24 10.1.0.1
	far_end
	begin_net
	ip link set dev "$nic" mtu 9000
	ip -n far link set dev "$far" mtu 9000
	ping -n -q -c 3 -i 0.1 -W 5 -M "do" -s 8972 10.1.0.1
	ip link add link "$nic" name vlan7 type vlan id 7
	ip address add 10.7.0.2/24 dev vlan7
	ip link set vlan7 up
	ip -n far link add link "$far" name vlan7 type vlan id 7
	ip -n far address add 10.7.0.1/24 dev vlan7
	ip -n far link set vlan7 up
	ping -n -q -c 3 -i 0.1 -W 5 10.7.0.1
	# Its own MAC address is one that the card was not told of.
	ip link add link "$nic" name other0 type macvlan mode bridge
	ip address add 10.8.0.2/24 dev other0
	ip link set other0 up
	ip -n far address add 10.8.0.1/24 dev "$far"
	ping -n -q -c 3 -i 0.1 -W 5 10.8.0.1
	ip link del other0
	ip link del vlan7
	transfer_to FAR 1
	transfer_to NEAR 1
	end_net
	end_far
	leave $wired
}

# slow
net@a-lease-is-renewed-after-a-kill()
{
	local client
	place $virtio
	begin_net --restart
	echo "#!/bin/sh
echo \"\$1 \$ip\" >>$scratch/lease" >"$scratch/script"
	chmod 755 "$scratch/script"
	busybox udhcpc -f -n -i "$nic" -s "$scratch/script" &
	client=$!
	wait_for 20 grep -q '^bound 10.0.2.15' "$scratch/lease"
	kill -KILL "$(pids_of usrpci-driver)"
	kill -USR1 $client
	wait_for 20 grep -q '^renew 10.0.2.15' "$scratch/lease"
	kill -TERM $client
	wait $client || true
	end_net
	leave $virtio
}

net@a-card-that-is-pulled-out-ends-it()
{
	local status restart
	for restart in --restart ""; do
		wait_for 10 has_interface $pluggable
		nic=$(interface_of $pluggable) status=0
		address_up "$nic" 10.3.0.1/24
		begin_net $restart
		monitor device_del nic5
		wait $net || status=$?
		cat "$scratch/net"
		[ $status = 1 ]
		grep -q "$nic: the card is gone" "$scratch/net"
		fails grep -q 'the next one follows' "$scratch/net"
		[ ! -e "/sys/class/net/$nic" ]
		expect_same "$(usrpci ps | grep $pluggable)" ""
		monitor device_add virtio-net-pci,id=nic5,netdev=net5,bus=rp0
	done
	echo 16 >/proc/sys/vm/nr_hugepages
}

# attach_xdp INTERFACE: a program that lets every frame pass (bpf(2); IFLA_XDP of rtnetlink(7)).
attach_xdp()
{
	python3 - "$1" <<-'END'
		import ctypes, os, socket, struct, sys

		code = struct.pack('=BBhi', 0xb7, 0, 0, 2) + struct.pack('=BBhi', 0x95, 0, 0, 0)
		text, license = ctypes.create_string_buffer(code), ctypes.create_string_buffer(b'GPL')
		about = struct.pack('=IIQQ96x', 6, 2, ctypes.addressof(text), ctypes.addressof(license))
		program = ctypes.CDLL(None).syscall(321, 5, ctypes.create_string_buffer(about), len(about))
		xdp = struct.pack('=HHiHHI', 8, 1, program, 8, 3, 2)
		body = struct.pack('=BxHiII', 0, 0, socket.if_nametoindex(sys.argv[1]), 0, 0)
		body += struct.pack('=HH', 4 + len(xdp), 0x8000 | 43) + xdp
		netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
		netlink.send(struct.pack('=IHHII', 16 + len(body), 16, 5, 1, 0) + body)
		error = struct.unpack_from('=i', netlink.recv(4096), 16)[0]
		sys.exit(error and os.strerror(-error))
	END
}

net@an-xdp-program-is-named()
{
	place $virtio
	attach_xdp "$nic"
	expect_fail 5 "XDP program" usrpci net "$nic"
	expect_fail 5 "hint: ip link set dev $nic xdpgeneric off" usrpci net "$nic"
	ip link set dev "$nic" xdpgeneric off
	begin_net
	attach_xdp "$nic"
	ping_gateway "$nic"
	end_net
	leave $virtio
}

# slow: the terminal sends the signal to the command and to all its processes.
net@ctrl-c-at-a-terminal-gives-back()
{
	place $virtio
	shown >"$scratch/before"
	echo 0 >/proc/sys/vm/nr_hugepages
	python3 - "$nic" <<-'END' | tee "$scratch/said"
		import os, pty, sys, time
		pid, terminal = pty.fork()
		if pid == 0:
		    os.execlp('usrpci', 'usrpci', 'net', '--restart', sys.argv[1])
		said = b''
		while not os.path.exists(f'/sys/class/net/{sys.argv[1]}/tun_flags') or \
		        os.system('pgrep -x usrpci-driver >/dev/null'):
		    time.sleep(0.1)
		os.write(terminal, b'\x03')
		try:
		    while chunk := os.read(terminal, 4096):
		        said += chunk
		except OSError:
		    pass
		print(said.decode())
		print('status', os.waitpid(pid, 0)[1])
	END
	grep -qx 'status 0' "$scratch/said"
	shown | diff "$scratch/before" -
	[ "$(driver_of $virtio)" = virtio-pci ]
	ping_gateway "$nic"
	echo 16 >/proc/sys/vm/nr_hugepages
	leave $virtio
}

net@a-virtio-disk-keeps-what-is-written()
{
	local plugin=$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so kernels
	[ -e "$plugin" ] || skip "nbdkit's header was not there when the build was set up"
	head -c 4M /dev/urandom >"$scratch/data"
	usrpci -q bind $disk
	nbdkit -U - "$plugin" device=$disk --run "nbdcopy --flush $scratch/data \"\$uri\""
	usrpci -q restore $disk
	[ "$(driver_of $disk)" = virtio-pci ]
	wait_for 10 compgen -G "/sys/bus/pci/devices/$disk/virtio*/block/*"
	kernels=/dev/$(basename /sys/bus/pci/devices/$disk/virtio*/block/*)
	head -c 4M "$kernels" | cmp - "$scratch/data"
}

net@what-a-killed-command-leaves-is-put-back()
{
	place $virtio
	begin_net --restart
	kill -KILL "$net"
	wait "$net" || true
	wait_for 10 no_process usrpci-driver
	[ -e "/sys/class/net/$nic/tun_flags" ]
	usrpci ps 2>&1 | tee "$scratch/said"
	grep -q "^$virtio .* abandoned .* $nic " "$scratch/said"
	grep -q "usrpci net $nic serves it again; usrpci restore --all gives it back" "$scratch/said"
	usrpci list | grep -q "^$virtio .* $nic "
	ip address add 10.9.9.2/32 dev "$nic"
	shown >"$scratch/later"
	usrpci restore --all
	[ "$(driver_of $virtio)" = virtio-pci ]
	[ "$(interface_of $virtio)" = "$nic" ]
	shown | diff "$scratch/later" -
	ping_gateway "$nic"
	[ -z "$(ls /run/usrpci/places)" ]
	echo 16 >/proc/sys/vm/nr_hugepages
	leave $virtio
}

net@what-a-killed-command-leaves-is-served-again()
{
	place $virtio
	shown >"$scratch/before"
	begin_net --restart
	kill -KILL "$net"
	wait "$net" || true
	wait_for 10 no_process usrpci-driver
	begin_net --restart
	ping_gateway "$nic"
	end_net
	shown | diff "$scratch/before" -
	leave $virtio
}

# Kills the driver once a second for that many seconds, while bytes are sent. USRPCI_KILLS is for the
# long run, which also compares with what is sent when nobody kills.
kill_every_second()
{
	local sender kills=0 seconds=${USRPCI_KILLS:-5} undisturbed=0 sent
	place "$1" 10.1.0.2/24 10.1.0.1
	far_end
	begin_net --restart
	if [ -n "${USRPCI_KILLS:-}" ]; then
		transfer_to FAR 20
		undisturbed=$(($(cut -d ' ' -f 1 "$scratch/sent") / 20))
	fi
	transfer_to FAR $((seconds + 2)) &
	sender=$!
	for ((; kills < seconds; kills++)); do
		sleep 1
		kill -KILL "$(pids_of usrpci-driver)" || true
	done
	wait $sender
	note "$(grep -c 'was ended by signal 9' "$scratch/net") drivers were killed"
	sed -n 's/.*frames flow again after \([0-9]*\) ms/\1/p' "$scratch/net" | sort -n >"$scratch/pauses"
	note "frames flowed again after $(sed -n "$((($(wc -l <"$scratch/pauses") + 1) / 2))p" "$scratch/pauses") ms, at most $(tail -n 1 "$scratch/pauses") ms"
	[ "$(grep -c 'was ended by signal 9' "$scratch/net")" -ge $((seconds / 2)) ]
	if [ $undisturbed != 0 ]; then
		sent=$(($(cut -d ' ' -f 1 "$scratch/sent") / (seconds + 2)))
		note "$((sent / 1000)) kB/s were sent, and $((undisturbed / 1000)) kB/s without kills"
		[ $((100 * sent)) -ge $((75 * undisturbed)) ]
		[ "$(tail -n 1 "$scratch/pauses")" -le 150 ]
	fi
	end_net
	end_far
	leave "$1"
}

net@connections-live-when-the-driver-is-killed-every-second()
{
	kill_every_second $wired
}

# slow
net@connections-over-an-82574l-live-when-its-driver-is-killed-every-second()
{
	kill_every_second $express
}
