# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# netbsd_serve: an interface and a disk of Linux whose drivers are NetBSD's go on while these are killed
#
# The machine's clock counts instructions, so a busy host does not change how often a rump kernel starts between two
# kills. How long: USRPCI_RUMP_KILLS (seconds).
#
# vm: --icount --env RUMP_PREFIX="$RUMP_PREFIX" ${RUMP_MACHINE:-} --append hugepages=32 --deadline 7000
# vm: --nic e1000@1 --nic e1000@1 --disk virtio-blk-pci
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
	export LD_LIBRARY_PATH=$USRPCI_BUILD/rump:$USRPCI_BUILD/lib
	start_peer $peers 10.0.9.1/24
}

begin_disk()
{
	[ "$driver" = uio_pci_generic ] || skip "legacy virtio passes by the IOMMU"
	give_to $disk virtio-pci
	find_plugin
	start_server 00:03.0 --driver "$driver" --rump ld "$@"
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
	note "$killed kills, $(wc -l <"$scratch/sent") connections; $(grep 'frames flow again' "$scratch/net" | tail -n 1)"
	[ $killed -ge $((kills * 2 / 3)) ] || fail "only $killed kills"
	end_net $am82540 10.0.9.2
}

netbsd_serve@a-disk-goes-on-while-its-driver-is-killed-every-second()
{
	local verifier
	begin_disk --restart
	write_and_verify "$block" "$kills" >"$scratch/fio" &
	verifier=$!
	note "$("$USRPCI_BUILD/tests/qemu/reincarnate" "$block" "$kills" 1000)"
	wait $verifier || fail "a block is wrong, or could not be read"
	grep -q 'err= 0' "$scratch/fio"
	fails grep -q 'err= *[1-9]' "$scratch/fio"
	end_disk
}
