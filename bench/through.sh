#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# through.sh: TCP, pings and idling through "usrpci net", beside the kernel's own driver of the same
# card and DPDK's testpmd, which forwards between its drivers of the card and of a TAP.
#
# usage: through.sh BUILD KEY NEAR FAR
#
# Runs in the test machine. NEAR is the card, FAR one on the same wire, which the kernel drives in a
# network namespace of its own. Prints lines "WHO net_KEY_WHAT VALUE", with KEY_plain for what
# passes without vhost-net.
#
set -euo pipefail

build=$1 key=$2 near=$3 far=$4
transfer=$(dirname "$(readlink -f "$0")")/../tests/qemu/programs/transfer.py
rounds=2 seconds=2
PATH=$build/cli:$PATH

interface_of()
{
	basename "$(find -L "/sys/bus/pci/devices/$1" -maxdepth 3 -path '*/net/*' -prune \
		-print -quit 2>/dev/null)"
}

# The time in which all processors were busy, in hundredths of a second.
busy()
{
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

# tcp WHO DIRECTION: nanoseconds for each KiB, of the clock and of the processors.
tcp()
{
	local who=$1 direction=$2 bytes start before
	local -a there=(ip netns exec far) here=(env) address=10.1.0.1
	[ "$direction" = send ] || { there=(env) here=(ip netns exec far) address=10.1.0.2; }
	"${there[@]}" "$transfer" receive $address unchecked >/dev/null &
	sleep 1
	before=$(busy) start=${EPOCHREALTIME/./}
	bytes=$("${here[@]}" "$transfer" send $address $seconds unchecked | cut -d ' ' -f 1)
	wait $!
	echo "$who net_${key}_$direction $(((${EPOCHREALTIME/./} - start) * 1024000 / bytes))"
	echo "$who net_${key}_${direction}_busy $((($(busy) - before) * 10240000 / (bytes / 1000)))"
}

# The median and the quickest of many round trips, in nanoseconds. While nothing runs, the clock follows the
# host's: on a busy host only the quickest counts little but instructions.
pings()
{
	ping -n -c 800 -i 0.005 10.1.0.1 | sed -n 's/.* time=\([0-9.]*\) ms$/\1/p' | sort -n |
		awk -v who="$1" -v key="net_${key}_ping" '{ times[NR] = $1 * 1000000 } END {
			printf "%s %s %d\n", who, key, times[int((NR + 1) / 2)]
			printf "%s %s_quickest %d\n", who, key, times[1]
		}'
}

measure()
{
	local round tries
	for ((tries = 0; tries < 60; tries++)); do
		ping -n -q -c 1 -W 1 10.1.0.1 >/dev/null && break
	done
	for ((round = 0; round < rounds; round++)); do
		tcp "$1" send
		tcp "$1" receive
		pings "$1"
	done
}

switches()
{
	cat /proc/"$1"/task/*/status | awk '/ctxt_switches/ { sum += $2 } END { print sum }'
}

# Wake-ups, and thousandths of a percent of a processor, while nothing happens.
idle()
{
	local driver before ticks
	driver=$(pgrep -f 'net-driver' | tail -n 1)
	sleep 3
	before=$(switches "$driver") ticks=$(awk '{ print $14 + $15 }' "/proc/$driver/stat")
	sleep 20
	echo "usrpci net_${key}_wakeups $(($(switches "$driver") - before))"
	echo "usrpci net_${key}_idle $((($(awk '{ print $14 + $15 }' "/proc/$driver/stat") - ticks) * 50))"
}

# Sets net, the process, and waits until frames can flow.
serve()
{
	local tenths
	usrpci -q net "$near_name" &
	net=$!
	for ((tenths = 0; tenths < 300; tenths++)); do
		[ "$(cat "/sys/class/net/$near_name/carrier" 2>/dev/null)" != 1 ] ||
			[ ! -e "/sys/class/net/$near_name/tun_flags" ] || break
		sleep 0.1
	done
}

end()
{
	kill -TERM $net
	wait $net
}

# Sets net, the process, and waits for dpdk0, the TAP, as long as testpmd runs. testpmd polls, here on the
# only processor, which it shares with both ends.
forward()
{
	local seconds
	modprobe tun
	usrpci -q bind --force "$near"
	dpdk-testpmd --lcores 0@0,1@0 -m 32 --no-telemetry -a "$near" --vdev net_tap0,iface=dpdk0 -- \
		--forward-mode=io --total-num-mbufs=4096 --stats-period 3600 </dev/null >/run/testpmd 2>&1 &
	net=$!
	for ((seconds = 0; seconds < 120; seconds++)); do
		[ ! -e /sys/class/net/dpdk0 ] || return 0
		kill -0 $net 2>/dev/null || break
		sleep 1
	done
	echo "bench: without TCP by dpdk-testpmd on $key, which made no TAP: $(tail -n 1 /run/testpmd)" >&2
	return 1
}

by_testpmd()
{
	if ! command -v dpdk-testpmd >/dev/null; then
		echo "bench: without dpdk-testpmd, which is not installed" >&2
		return 0
	fi
	if forward; then
		ip address add 10.1.0.2/24 dev dpdk0
		ip link set dev dpdk0 up
		(measure dpdk) || echo "bench: dpdk-testpmd's figures on $key are not all there" >&2
	fi
	kill -TERM $net 2>/dev/null || true
	wait $net || true
	usrpci -q restore "$near"
}

no_vhost=/etc/modprobe.d/no-vhost.conf
mkdir -p /etc/modprobe.d
near_name=$(interface_of "$near") far_name=$(interface_of "$far")
ip netns add far
ip link set dev "$far_name" netns far
ip netns exec far sysctl -q net.ipv6.conf.all.disable_ipv6=1
sysctl -q net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip -n far address add 10.1.0.1/24 dev "$far_name"
ip -n far link set dev "$far_name" up
ip address add 10.1.0.2/24 dev "$near_name"
ip link set dev "$near_name" up
measure kernel
serve
measure usrpci
idle
end
echo 'install vhost_net /bin/false' >"$no_vhost"
modprobe -r vhost_net
key=${key}_plain
serve
measure usrpci
end
rm "$no_vhost"
ip address del 10.1.0.2/24 dev "$near_name" # or the next frames leave by this one
key=${key%_plain}
by_testpmd
ip netns del far
