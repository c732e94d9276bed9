# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# netbsd_serve: an interface and a disk of Linux whose drivers are NetBSD's go on while these are killed, and end when their
# device is pulled out
#
# The machine's clock counts instructions, so a busy host does not change how often a rump kernel starts between two
# kills. How long: USRPCI_RUMP_KILLS (seconds).
#
# vm: --icount --env RUMP_PREFIX="$RUMP_PREFIX" ${RUMP_MACHINE:-} --append hugepages=32 --deadline 7000
# vm: --nic e1000@1 --nic e1000@1 --disk virtio-blk-pci
# vm: --device pcie-root-port,id=rp0 --nic e1000,bus=rp0
# vm: --device pcie-root-port,id=rp1,chassis=1 --disk virtio-blk-pci,bus=rp1,disable-legacy=off
# case-deadline: 3000

# shellcheck source=tests/rump/common.sh
. "$USRPCI_SOURCE/tests/rump/common.sh"
# shellcheck source=tests/qemu/lib_nvme.sh
. "$USRPCI_SOURCE/tests/qemu/lib_nvme.sh"

am82540=0000:00:01.0
peers=0000:00:02.0
disk=0000:00:03.0
driver=${USRPCI_RUMP_DRIVER:-uio_pci_generic}
kills=${USRPCI_RUMP_KILLS:-60}

setup()
{
	load_driver "$driver"
	echo 32 >/proc/sys/vm/nr_hugepages
	export LD_LIBRARY_PATH=$USRPCI_BUILD/rump:$USRPCI_BUILD/lib
	start_peer $peers 10.0.9.1/24
}

# begin_disk DEVICE [OPTION]...
begin_disk()
{
	[ "$driver" = uio_pci_generic ] || skip "legacy virtio passes by the IOMMU"
	give_to "$1" virtio-pci
	find_plugin
	start_server "$1" --driver "$driver" --rump ld "${@:2}"
}

end_disk()
{
	kill -TERM "$server"
	wait "$server"
	cat "$scratch/errors"
}

# Linux would give up asking for the peer's address after three seconds.
keep_peers_address()
{
	wait_for 60 ping -n -q -c 1 -W 1 10.0.9.1
	ip neighbour replace 10.0.9.1 dev "$nic" nud permanent \
		lladdr "$(ip neighbour show 10.0.9.1 | sed 's/.*lladdr \([^ ]*\).*/\1/')"
}

# send_for SECONDS PORT: one connection after the other.
send_for()
{
	local end=$((SECONDS + $1))
	while [ $SECONDS -lt $end ]; do
		"$counterpart" send "10.0.9.1:$2" $((1 << 20)) || return
	done
}

netbsd_serve@an-interface-goes-on-while-its-driver-is-killed-every-second()
{
	local net nic sender killed=0 end
	begin_net $am82540 10.0.9.2
	keep_peers_address
	serve sink 7012
	send_for "$kills" 7012 >"$scratch/sent" &
	sender=$!
	end=$((SECONDS + kills))
	while [ $SECONDS -lt $end ]; do
		sleep 1
		! pkill -KILL -f "usrpci-rump-net wm $am82540" || killed=$((killed + 1))
	done
	wait $sender || fail "a connection was lost"
	wait_for 60 ping -n -q -c 1 -W 1 10.0.9.1
	note "wm(4), killed $killed times in $kills s: 0 of $(wc -l <"$scratch/sent") connections lost, $(
		grep 'frames flow again' "$scratch/net" | tail -n 1)"
	[ $killed -ge $((kills * 2 / 3)) ] || fail "only $killed kills"
	end_net $am82540 10.0.9.2
}

netbsd_serve@a-disk-goes-on-while-its-driver-is-killed-every-second()
{
	local verifier
	begin_disk $disk --restart
	write_and_verify "$block" "$kills" >"$scratch/fio" &
	verifier=$!
	"$USRPCI_BUILD/tests/qemu/reincarnate" "$block" "$kills" 1000 >"$scratch/killed"
	wait $verifier || fail "a block is wrong, or could not be read"
	grep -q 'err= 0' "$scratch/fio"
	fails grep -q 'err= *[1-9]' "$scratch/fio"
	note "ld(4), killed every second for $kills s: $(grep -c 'err= 0' "$scratch/fio") times 4 MiB verified, 0 errors, $(
		<"$scratch/killed")"
	end_disk
}

# behind PORT: the device in this slot.
behind()
{
	basename "$(ls -d "/sys/bus/pci/devices/0000:00:$1.0/"0000:*)"
}

netbsd_serve@a-card-that-is-pulled-out-ends-its-interface()
{
	local net nic device status=0
	device=$(behind 04)
	begin_net "$device" 10.0.2.77
	wait_for 60 ping -n -q -c 1 -W 1 10.0.2.2
	monitor device_del nic2
	wait $net || status=$?
	cat "$scratch/net"
	expect_same $status 1 "the exit status"
	grep -q "$nic: the card is gone" "$scratch/net"
	fails grep -q 'the next one follows' "$scratch/net"
	[ ! -e "/sys/class/net/$nic" ]
	[ ! -e "/sys/bus/pci/devices/$device" ]
}

netbsd_serve@a-disk-that-is-pulled-out-ends-its-server()
{
	local device status=0
	device=$(behind 05)
	begin_disk "$device" --restart
	dd if="$block" of=/dev/null bs=64k count=16 iflag=direct status=none
	monitor device_del disk1
	wait_for 60 eval "[ ! -e /sys/bus/pci/devices/$device ]"
	wait $server || status=$?
	cat "$scratch/errors"
	expect_same $status 1 "the exit status"
	grep -q 'the disk is gone' "$scratch/errors"
	allow_kernel_log 'nbd0'
}

# What NetBSD's kernel cannot get, it does without: frames are sent later, or again.
netbsd_serve@an-interface-makes-do-with-two-huge-pages()
{
	local net nic
	echo 2 >/proc/sys/vm/nr_hugepages
	begin_net $am82540 10.0.9.2
	wait_for 60 ping -n -q -c 1 -W 1 10.0.9.1
	serve sink 7013
	serve source 7014 $((4 << 20))
	"$counterpart" send 10.0.9.1:7013 $((4 << 20))
	"$counterpart" receive 10.0.9.1:7014 $((4 << 20))
	end_net $am82540 10.0.9.2
}

netbsd_serve@a-disk-makes-do-with-two-huge-pages()
{
	echo 2 >/proc/sys/vm/nr_hugepages
	begin_disk $disk
	"$counterpart" fill "$block" $((4 << 20))
	"$counterpart" compare "$block" $((4 << 20))
	end_disk
}
