# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# net: network cards by libusrpci-net, virtio-net on uio_pci_generic above all, against QEMU's gateway
# and against the kernel's driver
#
# vm: --nic virtio-net-pci --nic virtio-net-pci@1 --nic virtio-net-pci@1 --nic virtio-net-pci,disable-modern=on --nic e1000 --append hugepages=16
# case-deadline: 90

virtio=0000:00:01.0
wired=0000:00:02.0
kernels=0000:00:03.0
legacy=0000:00:04.0
intel=0000:00:05.0

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
	[ "$driver" != virtio-pci ] || wait_for 10 has_interface "$device"
}

# Below the PCI function there may be a virtio device, and below that the interface.
interface_of()
{
	local path
	for path in /sys/bus/pci/devices/"$1"/virtio*/net/* /sys/bus/pci/devices/"$1"/net/*; do
		[ ! -e "$path" ] || basename "$path"
	done
}

has_interface()
{
	[ -e "/sys/class/net/$(interface_of "$1")" ]
}

setup()
{
	modprobe -a uio_pci_generic virtio_net
	give_to uio_pci_generic $virtio
	give_to uio_pci_generic $wired
}

# A case that fails leaves the command behind, which is to put everything back.
teardown()
{
	local left
	for left in $(pgrep -x usrpci); do
		kill -TERM "$left" || true
	done
	wait_for 20 no_usrpci
	grep -q 'HugePages_Free: *16' /proc/meminfo
}

no_usrpci()
{
	! pgrep -x usrpci >/dev/null
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

# Gives the kernel's driver the card back, and its interface a place worth moving. Sets nic.
place()
{
	[ "$1" = $intel ] || give_to virtio-pci "$1"
	nic=$(interface_of "$1")
	ip address flush dev "$nic"
	ip route flush dev "$nic" table 100 2>/dev/null || true
	ip link set dev "$nic" mtu 1400
	address_up "$nic" "${2:-10.0.2.15/24}"
	ip address add fd00:77::1/64 dev "$nic" nodad
	ip address add 10.9.9.1/32 dev "$nic"
	ip route add 10.77.0.0/16 via "${3:-10.0.2.2}" dev "$nic" table 100 metric 7
	ip -6 route add fd00:88::/64 via fd00:77::2 dev "$nic"
}

leave()
{
	ip address flush dev "$nic"
	ip link set dev "$nic" down mtu 1500
	[ "$1" = $intel ] || give_to uio_pci_generic "$1"
}

# What moves, as ip(8) says it; the index differs, and a card's link takes a while to come back.
shown()
{
	cat "/sys/class/net/$nic/address" "/sys/class/net/$nic/mtu"
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
	wait_for 20 pgrep -f net-driver
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

net@an-interface-moves-to-a-tap-and-back()
{
	place $virtio
	shown | tee "$scratch/before"
	begin_net
	shown | diff "$scratch/before" -
	[ "$(cat "/sys/class/net/$nic/owner")" = 0 ]
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

net@an-e1000-moves-too()
{
	place $intel
	shown | tee "$scratch/before"
	begin_net --restart
	ping_gateway "$nic" 10
	kill -KILL "$(pgrep -x usrpci-driver)"
	ping_gateway "$nic" 10
	end_net
	[ "$(driver_of $intel)" = e1000 ]
	shown | diff "$scratch/before" -
	ping_gateway "$nic"
	leave $intel
}

net@the-driver-has-no-privileges()
{
	local driver
	place $virtio
	begin_net --restart
	for driver in $(pgrep -f net-driver); do
		[ "$driver" != $net ] || continue
		grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/"$driver"/status
		grep -q '^Uid:.7[0-9]*' /proc/"$driver"/status
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
	[ "$(interface_of $virtio)" = "$nic" ]
	ping_gateway "$nic"
	leave $virtio
}

net@a-dry-run-shows-the-move()
{
	place $virtio
	usrpci -n net "$nic" | tee "$scratch/said"
	grep -q 'ip tuntap add mode tap' "$scratch/said"
	grep -q "ip address replace 10.0.2.15/24 dev $nic" "$scratch/said"
	[ ! -e "/sys/class/net/$nic/tun_flags" ]
	ping_gateway "$nic"
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

transfer()
{
	python3 "$USRPCI_SOURCE/tests/qemu/programs/transfer.py" "$@"
}

net@connections-live-when-the-driver-is-killed-every-second()
{
	local far sender receiver kills=0
	place $wired 10.1.0.2/24 10.1.0.1
	ip netns add far
	far=$(interface_of $kernels)
	ip link set dev "$far" netns far
	ip -n far address add 10.1.0.1/24 dev "$far"
	ip -n far link set dev "$far" up
	begin_net --restart
	ip netns exec far python3 "$USRPCI_SOURCE/tests/qemu/programs/transfer.py" receive 10.1.0.1 >"$scratch/received" &
	receiver=$!
	sleep 1
	transfer send 10.1.0.1 12 >"$scratch/sent" &
	sender=$!
	while kill -0 $sender 2>/dev/null; do
		sleep 1
		[ $kills -ge 10 ] || kill -KILL "$(pgrep -x usrpci-driver)" || true
		kills=$((kills + 1))
	done
	wait $sender $receiver
	cat "$scratch/sent" "$scratch/received"
	diff "$scratch/sent" "$scratch/received"
	note "$(grep -c 'was ended by signal 9' "$scratch/net") drivers were killed"
	[ "$(grep -c 'was ended by signal 9' "$scratch/net")" -ge 5 ]
	end_net
	ip netns del far
	leave $wired
}
