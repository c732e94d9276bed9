# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# NetBSD's own drivers over our hypercalls: wm(4) on two NICs, while the kernel moves pages as hard as it can
#
# The first NIC shares a wire with the last one, which is the kernel's and lives in a namespace of its
# own; the second has QEMU's gateway. The disk speaks legacy virtio: by ports, and past the IOMMU.
# More pings and bytes by USRPCI_RUMP_PINGS and USRPCI_RUMP_BYTES.
#
# vm: --env RUMP_PREFIX="$RUMP_PREFIX" ${RUMP_MACHINE:-} --append hugepages=32 --deadline 1700
# vm: --nic e1000@1 --nic e1000e --nic e1000@1 --disk virtio-blk-pci
# case-deadline: 500

am82540=0000:00:01.0
am82574=0000:00:02.0
kernels=0000:00:03.0
disk=0000:00:04.0
driver=${USRPCI_RUMP_DRIVER:-uio_pci_generic}
programs=$USRPCI_BUILD/tests/rump/netbsd
counterpart=$USRPCI_BUILD/tests/rump/counterpart
pings=${USRPCI_RUMP_PINGS:-300}
bytes=${USRPCI_RUMP_BYTES:-$((4 << 20))}

give_to()
{
	[ "$(driver_of "$1")" != "$2" ] || return 0
	echo "$2" >"/sys/bus/pci/devices/$1/driver_override"
	[ -z "$(driver_of "$1")" ] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = "$2" ]
}

# The kernel's NIC as 10.0.9.1 where no route leads but the wire, with servers.
start_peer()
{
	local nic
	[ ! -e /run/netns/peer ] || return 0
	nic=$(interface_of $kernels)
	ip netns add peer
	ip link set "$nic" netns peer
	ip -n peer address add 10.0.9.1/24 dev "$nic"
	ip -n peer link set "$nic" up
}

serve()
{
	setsid ip netns exec peer "$counterpart" "$@" 2>>"$scratch/server" &
	sleep 0.3
}

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

setup()
{
	modprobe uio_pci_generic
	[ "$driver" != vfio-pci ] || modprobe vfio-pci
	export LD_LIBRARY_PATH=$USRPCI_BUILD/rump:$USRPCI_BUILD/lib:$RUMP_PREFIX/lib
	give_to $am82540 "$driver"
	give_to $am82574 "$driver"
	start_peer
	pages_move
}

# A case leaves nothing behind it: the next finds every huge page free.
teardown()
{
	grep -q 'HugePages_Free: *32' /proc/meminfo
}

wm()
{
	timeout 400 "$programs/wm" "$@" | tee -a "$scratch/said"
}

# Runs wm while another process has its pages moved; something must have been moved.
wm_with_moving_pages()
{
	local pid status=0
	"$programs/wm" "$@" >"$scratch/said" 2>"$scratch/errors" &
	pid=$!
	"$counterpart" collapse $pid >"$scratch/moved" &
	wait $pid || status=$?
	wait $!
	cat "$scratch/said" "$scratch/errors" "$scratch/moved"
	note "$(tail -n 1 "$scratch/said"); $(<"$scratch/moved")"
	[ $status = 0 ] || fail "wm: exit status $status"
}

netbsd@pings-by-82540em-while-its-pages-are-moved-and-loses-nothing()
{
	export USRPCI_RUMP=00:01.0
	wm_with_moving_pages wm0 10.0.9.2/24 ping 10.0.9.1 "$pings"
	grep -q " sent, 0 lost, " "$scratch/said"
}

netbsd@pings-by-82574l-and-loses-nothing()
{
	export USRPCI_RUMP=00:02.0
	wm wm0 10.0.2.15/24 ping 10.0.2.2 "$pings"
	grep -q " sent, 0 lost, " "$scratch/said"
}

netbsd@drives-two-nics-at-once()
{
	export USRPCI_RUMP=00:02.0,00:01.0
	wm_with_moving_pages wm0 10.0.2.15/24 wm1 10.0.9.2/24 ping 10.0.2.2,10.0.9.1 "$pings"
	grep -q " sent, 0 lost, " "$scratch/said"
}

netbsd@tcp-echo-is-compared-byte-by-byte()
{
	export USRPCI_RUMP=00:01.0
	serve echo 7001
	wm wm0 10.0.9.2/24 echo 10.0.9.1 7001 "$bytes" 32768
	note "$(tail -n 1 "$scratch/said")"
}

netbsd@tcp-bulk-is-compared-byte-by-byte-both-ways()
{
	export USRPCI_RUMP=00:01.0
	serve sink 7002
	serve source 7003 "$bytes"
	wm wm0 10.0.9.2/24 send 10.0.9.1 7002 "$bytes"
	note "$(tail -n 1 "$scratch/said")"
	wm wm0 10.0.9.2/24 receive 10.0.9.1 7003 "$bytes"
	note "$(tail -n 1 "$scratch/said")"
	[ ! -s "$scratch/server" ] || fail "$(<"$scratch/server")"
}

netbsd@lives-in-two-huge-pages()
{
	local taken
	export USRPCI_RUMP=00:01.0
	pages_stay
	"$programs/wm" wm0 10.0.9.2/24 ping 10.0.9.1 200 20 >"$scratch/said" &
	sleep 6
	grep -E 'VmHWM|VmRSS|HugetlbPages' /proc/$!/status | tee "$scratch/memory"
	taken=$((32 - $(awk '/HugePages_Free/ { print $2 }' /proc/meminfo)))
	wait $!
	note "$taken huge pages, $(awk '/VmHWM/ { print $2 }' "$scratch/memory") KiB beside them"
	[ $taken -le 2 ]
	[ "$(awk '/VmHWM/ { print $2 }' "$scratch/memory")" -le 10240 ]
}

netbsd@a-killed-kernel-can-be-started-again()
{
	export USRPCI_RUMP=00:01.0
	"$programs/wm" wm0 10.0.9.2/24 ping 10.0.9.1 100000 >/dev/null &
	sleep 6
	kill -KILL $!
	wait $! || true
	wm wm0 10.0.9.2/24 ping 10.0.9.1 20
	grep -q "20 sent, 0 lost, " "$scratch/said"
}

need_ports()
{
	[ "$driver" = uio_pci_generic ] || skip "legacy virtio passes by the IOMMU"
	export USRPCI_RUMP=00:04.0 USRPCI_RUMP_PORTS=1
	if [ "$(driver_of $disk)" = virtio-pci ]; then
		"$counterpart" fill /dev/vda $((8 << 20))
	fi
	give_to $disk uio_pci_generic
}

netbsd@a-disk-is-read-into-an-applications-scattered-pages()
{
	need_ports
	timeout 100 "$programs/disk" local /dev/rld0d $((8 << 20)) | tee "$scratch/said"
	grep -q '^128 pieces read, 0 bad$' "$scratch/said"
}

netbsd@a-disk-is-read-by-a-remote-client-over-a-socket-of-its-own()
{
	local socket=$scratch/disk.sock server
	need_ports
	"$programs/disk" serve "unix://$socket" &
	server=$!
	wait_for 60 test -S "$socket"
	expect_same "$(stat -c %a "$socket")" 700
	RUMP_SERVER=unix://$socket timeout 100 "$programs/disk_client" remote /dev/rld0d $((8 << 20)) |
		tee "$scratch/said"
	grep -q '^128 pieces read, 0 bad$' "$scratch/said"
	kill $server || fail "the server ended before its client"
	wait $server || true
}
