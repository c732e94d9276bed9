# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# common.sh: what suites with and without a rump kernel, and the table, share inside the machine.

counterpart=$USRPCI_BUILD/tests/rump/counterpart

# give_to DEVICE DRIVER
give_to()
{
	local device=/sys/bus/pci/devices/$1
	[ "$(basename "$(readlink "$device/driver")")" != "$2" ] || return 0
	echo "$2" >"$device/driver_override"
	[ ! -e "$device/driver" ] || echo "$1" >"$device/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(basename "$(readlink "$device/driver")")" = "$2" ]
}

# start_peer DEVICE ADDRESS...: the kernel's NIC in a namespace of its own, where no route leads but its wire.
start_peer()
{
	local nic address
	[ ! -e /run/netns/peer ] || return 0
	nic=$(ls "/sys/bus/pci/devices/$1/net")
	shift
	ip netns add peer
	ip link set "$nic" netns peer
	for address; do
		ip -n peer address add "$address" dev "$nic"
	done
	ip -n peer link set "$nic" up
}

on_peer()
{
	ip netns exec peer "$@"
}

# serve WHAT PORT [BYTES]: by the peer. See counterpart.c.
serve()
{
	on_peer setsid "$counterpart" "$@" &
	until on_peer ss -Hltn "sport = :$2" | grep -q .; do
		sleep 0.1
	done
}

# Whatever can make the kernel move pages of processes, does.
pages_move()
{
	local thp=/sys/kernel/mm/transparent_hugepage
	echo always >$thp/enabled
	echo always >$thp/defrag
	echo 0 >$thp/khugepaged/scan_sleep_millisecs
	echo 0 >$thp/khugepaged/alloc_sleep_millisecs
	echo 100000 >$thp/khugepaged/pages_to_scan
}

pages_stay()
{
	echo never >/sys/kernel/mm/transparent_hugepage/enabled
}

# bring_up DEVICE ADDRESS [KERNELS-DRIVER]: the kernel's interface of a device; sets nic.
bring_up()
{
	give_to "$1" "${3:-e1000}"
	wait_for 10 test -d "/sys/bus/pci/devices/$1/net"
	nic=$(ls "/sys/bus/pci/devices/$1/net")
	ip address replace "$2/24" dev "$nic"
	ip link set "$nic" up
}

# start_net [OPTION]...: gives Linux $nic with a driver that is not the kernel's; sets net.
start_net()
{
	# shellcheck disable=SC2154 # driver is the suite's
	usrpci net --driver "$driver" "$@" "$nic" >"$scratch/net" 2>&1 &
	net=$!
}

# begin_net DEVICE ADDRESS [KERNELS-DRIVER]: Linux's interface, of which NetBSD's wm(4) has the card.
begin_net()
{
	unset USRPCI_RUMP
	bring_up "$@"
	start_net --rump wm --restart
	wait_for 60 test -e "/sys/class/net/$nic/tun_flags"
}

# end_net DEVICE ADDRESS
end_net()
{
	local status=0
	kill -INT $net
	wait $net || status=$?
	cat "$scratch/net"
	expect_same $status 0
	expect_same "$(driver_of "$1")" e1000
	ip -br address show dev "$nic" | grep -q "$2"
}

# What the tables share. A measurement is a line of a file of $out.

rate()
{
	sed -n 's/.*, \([0-9.]*\) Mbit.*/\1/p'
}

median()
{
	sort -g "$out/$1" | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

row()
{
	printf '%-36s %-26s %-26s %s\n' "$@"
}
