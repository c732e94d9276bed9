# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# e1000: our driver on uio_pci_generic, against QEMU's gateway and against the kernel's driver
#
# vm: --nic e1000 --nic e1000-82545em --nic e1000e --append hugepages=16
# vm: --nic e1000@1 --nic e1000@1 --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0 --device edu
# case-deadline: 90

# The user network of the first three is one each, the two cards after them share a wire.
am82540=0000:00:01.0
am82545=0000:00:02.0
am82574=0000:00:03.0
wired=0000:00:04.0
kernels=0000:00:05.0
plugged=0000:01:00.0
edu=0000:00:07.0

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
	load_driver uio_pci_generic
	give_to uio_pci_generic $am82540
	give_to uio_pci_generic $am82545
	give_to uio_pci_generic $am82574
	give_to uio_pci_generic $wired
}

teardown()
{
	grep -q 'HugePages_Free: *16' /proc/meminfo
}

# A program in the background is named by this, so that $! is its own process.
ping=$USRPCI_BUILD/examples/ping

ours()
{
	"$ping" "$@"
}

# loses_none COUNT PATTERN ARGUMENT...: of so many echo requests; PATTERN is of the first line.
loses_none()
{
	local count=$1 pattern=$2
	shift 2
	ours --flood --count "$count" "$@" | tee "$scratch/said"
	grep -q "$pattern" "$scratch/said"
	grep -q "^$count requests sent, $count replies, lost: 0, " "$scratch/said"
}

e1000@pings-10000-times-by-interrupt()
{
	loses_none 10000 '82540EM .* interrupts' $am82540
	grep -q 'interrupts: [1-9]' "$scratch/said"
}

e1000@pings-10000-times-by-polling()
{
	loses_none 10000 '82540EM .* polling' --poll $am82540
	grep -q 'interrupts: 0$' "$scratch/said"
}

e1000@pings-through-libpciaccess()
{
	local over
	need_pciaccess ping
	"$over" --flood --count 1000 --poll pciaccess:$am82540 | tee "$scratch/said"
	grep -q '82540EM .* polling' "$scratch/said"
	grep -q '^1000 requests sent, 1000 replies, lost: 0, ' "$scratch/said"
	lspci -s $am82540 -vv | grep -q 'BusMaster-'
}

e1000@drives-an-82545em-both-ways()
{
	loses_none 2000 '82545EM .* interrupts' $am82545
	loses_none 2000 '82545EM .* polling' --poll $am82545
}

e1000@drives-an-82574l-both-ways()
{
	loses_none 2000 '82574L .* interrupts' $am82574
	loses_none 2000 '82574L .* polling' --poll $am82574
}

# end_ping PID: its last request may still be under way.
end_ping()
{
	kill -TERM "$1"
	wait "$1" || true
	cat "$scratch/said"
	grep -q 'lost: [01],' "$scratch/said"
}

e1000@holds-one-huge-page()
{
	"$ping" --count 10000 --interval 0.5 $am82540 >"$scratch/said" &
	wait_for 10 grep -q 'memory: 1 x 2048 KiB$' "$scratch/said"
	grep -x 'HugePages_Free: *15' /proc/meminfo
	end_ping $!
}

e1000@sends-frames-of-every-size()
{
	for size in 0 1 17 18 19 1471 1472; do
		ours --count 50 --interval 0 --size $size $am82540
	done
}

knows_neighbour()
{
	ip neighbour show "$2" dev "$1" | grep 'lladdr'
}

e1000@speaks-with-the-kernels-driver-and-answers-its-arp()
{
	local nic
	nic=$(interface_of $kernels)
	address_up "$nic" 10.1.0.1/24
	"$ping" --own 10.1.0.2 --peer 10.1.0.1 --count 10000 --interval 0.1 --timeout 20 $wired >"$scratch/said" &
	wait_for 10 grep -q icmp_seq=3 "$scratch/said"
	# So that it must ask who that is. A flush looks again, and would drop the answer that waits until it knows.
	ip neighbour del 10.1.0.2 dev "$nic"
	wait_for 10 knows_neighbour "$nic" 10.1.0.2
	end_ping $!
}

e1000@says-when-there-is-no-link()
{
	monitor set_link nic0 off
	expect_fail 1 'no link' ours --count 1 $am82540
	monitor set_link nic0 on
	ours --count 1 $am82540
}

# slow
e1000@counts-what-nobody-answers-as-lost()
{
	expect_fail 1 'No route to host' ours --peer 10.0.2.99 --count 1 --timeout 2 $am82540
	expect_fail 1 'lost: [1-9]' lose_some
}

# The cable is pulled after the first replies, and the program told to end a while later.
lose_some()
{
	local status=0
	"$ping" --count 1000 --interval 0.2 --timeout 1 $am82540 >"$scratch/said" &
	wait_for 10 grep -q icmp_seq=2 "$scratch/said"
	monitor set_link nic0 off
	sleep 2
	kill -TERM $!
	wait $! || status=$?
	monitor set_link nic0 on
	cat "$scratch/said"
	return $status
}

e1000@runs-again-after-a-kill()
{
	for _ in 1 2 3; do
		"$ping" --flood --count 100000000 $am82540 &
		sleep 1
		kill -KILL $!
		wait $! || true
		lspci -s $am82540 -vv | grep -q 'BusMaster-'
		ours --flood --count 1000 $am82540
	done
}

e1000@is-given-back-to-the-kernels-driver()
{
	local nic
	ours --count 2 --interval 0.1 $am82540
	give_to e1000 $am82540
	nic=$(interface_of $am82540)
	address_up "$nic"
	ping_gateway "$nic"
	ip address flush dev "$nic"
	ip link set "$nic" down
	give_to uio_pci_generic $am82540
	ours --count 2 --interval 0.1 $am82540
}

e1000@ends-with-an-error-when-the-card-is-pulled-out()
{
	local status=0
	give_to uio_pci_generic $plugged
	"$ping" --flood --poll --count 100000000 --timeout 1 $plugged >"$scratch/said" 2>&1 &
	wait_for 10 grep -q PING "$scratch/said"
	monitor device_del nic5
	wait_for 30 test ! -e /sys/bus/pci/devices/$plugged
	wait $! || status=$?
	cat "$scratch/said"
	[ $status = 1 ]
	grep -q 'No such device' "$scratch/said"
}

e1000@refuses-what-is-no-e1000()
{
	give_to uio_pci_generic $edu
	expect_fail 1 'not supported' ours $edu
	expect_fail 2 usage ours
	expect_fail 2 usage ours --count none $am82540
}
