#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# queues.sh: usrpci net on a virtio-net of two queues behind an IOMMU, in the test machine
#
# The card's other end is a TAP device of this machine, in a network namespace of the test's own, since
# QEMU's other networks have one queue. Prints TAP.
#
set -euo pipefail

self=$(readlink -f "$0")
source=${USRPCI_SOURCE:-$(dirname "$self")/../..}
build=${USRPCI_BUILD:-$source/build}
transfer=$source/tests/qemu/programs/transfer.py
card=0000:00:01.0

skip()
{
	echo "1..0 # SKIP $1"
	exit 0
}

# Prints how many interrupts each vector of the card has had, that of the configuration first.
interrupts()
{
	awk '/vfio-msix/ { sum = 0; for (i = 2; i <= 3; i++) sum += $i; print sum }' /proc/interrupts
}

# What the test machine does; it prints what was sent and received.
inside()
{
	local name net tenths status=0 port
	PATH=$build/cli:$PATH
	name=$(basename /sys/bus/pci/devices/$card/virtio*/net/*)
	ip address add 10.1.0.2/24 dev "$name"
	ip link set dev "$name" up
	usrpci -q net "$name" &
	net=$!
	for ((tenths = 0; tenths < 300; tenths++)); do
		ping -n -q -c 1 -W 1 -I "$name" 10.1.0.1 >/dev/null 2>&1 &&
			[ -e "/sys/class/net/$name/tun_flags" ] && break
		sleep 0.1
	done
	echo "driver $(basename "$(readlink /sys/bus/pci/devices/$card/driver)")"
	echo "pings $(ping -n -q -c 1000 -i 0.002 10.1.0.1 | sed -n 's/.* \([0-9]*\) received.*/\1/p')"
	echo "sent $("$transfer" send 10.1.0.1 2)"
	echo "received $("$transfer" receive 10.1.0.2)"
	# Each refused connection is a flow of its own; their answers are spread.
	for ((port = 5000; port < 5064; port++)); do
		(: <"/dev/tcp/10.1.0.1/$port") 2>/dev/null || true
	done
	interrupts | sed 's/^/vector /'
	kill -TERM $net
	wait $net || status=$?
	echo "ended $status $(basename "$(readlink /sys/bus/pci/devices/$card/driver)")"
	ping -n -q -c 3 -W 5 10.1.0.1 >/dev/null && echo "kernel's"
}

# The other end: takes what is sent, then sends until it is heard.
far_end()
{
	"$transfer" receive 10.1.0.1 >"$scratch/far-received"
	until "$transfer" send 10.1.0.2 2 >"$scratch/far-sent" 2>/dev/null; do
		sleep 0.2
	done
}

number=0
report()
{
	number=$((number + 1))
	if "${@:2}"; then
		echo "ok $number - $1"
	else
		echo "not ok $number - $1"
		failed=yes
	fi
}

said()
{
	sed -n "s/^$1 //p" "$scratch/said"
}

both_received()
{
	[ "$(said vector | awk 'NR > 1 && $1 > 0' | wc -l)" = 2 ]
}

outside()
{
	local failed=no far
	scratch=$(mktemp -d)
	ip tuntap add wire0 mode tap multi_queue vnet_hdr
	ip address add 10.1.0.1/24 dev wire0
	ip link set wire0 up
	far_end &
	far=$!
	"$source/tests/qemu/vm" --iommu --cpus 2 --append hugepages=16 --deadline 240 \
		--qemu "-netdev tap,id=wire,ifname=wire0,queues=2,script=no,downscript=no" \
		--device "virtio-net-pci,netdev=wire,mq=on,vectors=6,iommu_platform=on,disable-legacy=on,romfile=" \
		-- "$self" --inside >"$scratch/said" || true
	kill $far 2>/dev/null || true
	sed 's/^/# /' "$scratch/said"
	echo 1..7
	report 'the card is driven by vfio' [ "$(said driver)" = vfio-pci ]
	report 'no ping of 1000 is lost' [ "$(said pings)" = 1000 ]
	report 'what is sent arrives' [ "$(said sent)" = "$(cat "$scratch/far-received")" ]
	report 'what is received was sent' [ "$(said received)" = "$(cat "$scratch/far-sent")" ]
	report 'both queues have vectors of their own, which interrupt' both_received
	report 'the card goes back' [ "$(said ended)" = '0 virtio-pci' ]
	report "the kernel's driver works again" grep -qx "kernel's" "$scratch/said"
	rm -rf "$scratch"
	[ $failed = no ]
}

case ${1:-} in
--inside) inside ;;
--outside) outside ;;
*)
	if ! unshare -n true 2>/dev/null || ! [ -w /dev/net/tun ]; then
		skip 'no network namespace with TAP devices can be had here'
	fi
	exec unshare -n "$self" --outside
	;;
esac
