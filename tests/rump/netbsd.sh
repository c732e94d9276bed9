# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# NetBSD's own drivers over our hypercalls: wm(4), vioif(4), ld(4), while the kernel moves pages as hard as it can
#
# Two NICs share a wire with a third one, which is the kernel's and lives in a namespace of its own;
# the others have QEMU's gateway. Legacy virtio needs ports, and passes by the IOMMU. How much is
# done: USRPCI_RUMP_PINGS, USRPCI_RUMP_BYTES and USRPCI_RUMP_SOAK (seconds).
#
# vm: --env RUMP_PREFIX="$RUMP_PREFIX" ${RUMP_MACHINE:-} --append hugepages=32 --deadline 3500
# vm: --nic e1000@1 --nic e1000e@1 --nic e1000@1 --disk virtio-blk-pci --nic virtio-net-pci --nic e1000
# vm: --device usb-ehci,id=ehci --disk usb-storage,bus=ehci.0
# case-deadline: 1000

# shellcheck source=tests/rump/common.sh
. "$USRPCI_SOURCE/tests/rump/common.sh"

am82540=0000:00:01.0
am82574=0000:00:02.0
kernels=0000:00:03.0
disk=0000:00:04.0
virtio_net=0000:00:05.0
behind_gateway=0000:00:06.0
driver=${USRPCI_RUMP_DRIVER:-uio_pci_generic}
programs=$USRPCI_BUILD/tests/rump/netbsd
pings=${USRPCI_RUMP_PINGS:-5000}
bytes=${USRPCI_RUMP_BYTES:-$((64 << 20))}
soak=${USRPCI_RUMP_SOAK:-20}
huge_pages=/sys/kernel/mm/hugepages/hugepages-2048kB

# shellcheck source=tests/qemu/lib_nvme.sh
. "$USRPCI_SOURCE/tests/qemu/lib_nvme.sh"

setup()
{
	modprobe uio_pci_generic
	[ "$driver" != vfio-pci ] || modprobe vfio-pci
	export LD_LIBRARY_PATH=$USRPCI_BUILD/rump:$USRPCI_BUILD/lib:$RUMP_PREFIX/lib
	for device in $am82540 $am82574 $behind_gateway; do
		give_to $device "$driver"
	done
	start_peer $kernels 10.0.9.1/24 10.0.8.1/24
	pages_move
}

# A case leaves nothing behind it: the next finds every huge page free.
teardown()
{
	grep -qx 32 $huge_pages/free_hugepages
}

# Starts one of the programs; what it says goes to $scratch/said.
start()
{
	"$programs/$1" "${@:2}" >"$scratch/said" 2>"$scratch/errors" &
	kernel=$!
}

# Starts one whose pages another process has moved all the time.
start_with_moving_pages()
{
	start "$@"
	"$counterpart" collapse $kernel >"$scratch/moved" &
	mover=$!
}

# It has ended well, and that pages are moved in this machine was seen all the time.
finish()
{
	local status=0 rounds controls
	wait "$kernel" || status=$?
	[ -z "${mover:-}" ] || wait "$mover"
	cat "$scratch/said" "$scratch/errors"
	note "$(tail -n 1 "$scratch/said")${mover:+; $(<"$scratch/moved")}"
	[ $status = 0 ] || fail "exit status $status"
	[ -n "${mover:-}" ] || return 0
	read -r rounds controls < <(sed 's/ rounds.* in / /' "$scratch/moved")
	[ "$rounds" -gt 0 ] && [ $((2 * controls)) -gt "$rounds" ] || fail "pages were not moved"
}

pings_without_loss()
{
	start_with_moving_pages "$@"
	finish
	grep -q " sent, 0 lost, " "$scratch/said"
}

netbsd@pings-by-82540em-while-its-pages-are-moved-and-loses-nothing()
{
	export USRPCI_RUMP=00:01.0
	pings_without_loss wm wm0 10.0.9.2/24 ping 10.0.9.1 "$pings"
}

netbsd@pings-by-82574l-while-its-pages-are-moved-and-loses-nothing()
{
	export USRPCI_RUMP=00:02.0
	pings_without_loss wm wm0 10.0.8.2/24 ping 10.0.8.1 "$pings"
}

netbsd@drives-two-nics-at-once-while-their-pages-are-moved()
{
	export USRPCI_RUMP=00:02.0,00:06.0
	pings_without_loss wm wm0 10.0.8.2/24 wm1 10.0.2.15/24 ping 10.0.8.1,10.0.2.2 "$pings"
}

netbsd@gets-its-address-by-dhcp()
{
	export USRPCI_RUMP=00:06.0
	pings_without_loss wm wm0 dhcp ping 10.0.2.2 100
}

tcp_is_compared()
{
	local own=$1 peer=$2
	serve echo 7001
	serve sink 7002
	serve source 7003 "$bytes"
	start_with_moving_pages wm wm0 "$own/24" echo "$peer" 7001 "$bytes" 32768
	finish
	start_with_moving_pages wm wm0 "$own/24" send "$peer" 7002 "$bytes"
	finish
	start_with_moving_pages wm wm0 "$own/24" receive "$peer" 7003 "$bytes"
	finish
}

netbsd@tcp-by-82540em-is-compared-byte-by-byte-both-ways()
{
	export USRPCI_RUMP=00:01.0
	tcp_is_compared 10.0.9.2 10.0.9.1
}

netbsd@tcp-by-82574l-is-compared-byte-by-byte-both-ways()
{
	export USRPCI_RUMP=00:02.0
	tcp_is_compared 10.0.8.2 10.0.8.1
}

memory()
{
	awk '/^VmRSS/ { resident = $2 } /^HugetlbPages/ { huge = $2 } END { print resident, huge }' "/proc/$kernel/status"
}

# TCP one way and back, compared, the kernel's pings meanwhile, and no more memory at the end than at the start.
netbsd@keeps-going-for-a-long-time-without-loss-or-growth()
{
	local before after
	export USRPCI_RUMP=00:01.0
	serve echo 7001
	start_with_moving_pages wm wm0 10.0.9.2/24 echo 10.0.9.1 7001 "${soak}s" 32768
	wait_for 30 on_peer ping -c 1 -W 1 10.0.9.2
	sleep $((soak / 5))
	before=$(memory)
	on_peer ping -q -i 0.2 -W 5 -c $((soak * 5 / 2)) 10.0.9.2 | tee "$scratch/pinged"
	after=$(memory)
	finish
	note "$soak s; resident and huge pages, KiB: $before, later $after; $(grep loss "$scratch/pinged")"
	grep -q ' 0% packet loss' "$scratch/pinged"
	[ "${before#* }" = "${after#* }" ]
	[ $((${after% *} - ${before% *})) -le 512 ]
}

netbsd@lives-in-two-huge-pages()
{
	local taken
	export USRPCI_RUMP=00:01.0
	pages_stay
	start wm wm0 10.0.9.2/24 ping 10.0.9.1 200 20
	wait_for 30 on_peer ping -c 1 -W 1 10.0.9.2
	taken=$((32 - $(<$huge_pages/free_hugepages)))
	grep -E 'VmHWM|VmRSS|HugetlbPages' /proc/$kernel/status | tee "$scratch/memory"
	finish
	note "$taken huge pages, $(awk '/VmHWM/ { print $2 }' "$scratch/memory") KiB beside them"
	[ $taken -le 2 ]
	[ "$(awk '/VmHWM/ { print $2 }' "$scratch/memory")" -le 10240 ]
}

netbsd@a-killed-kernel-can-be-started-again()
{
	export USRPCI_RUMP=00:01.0
	start wm wm0 10.0.9.2/24 ping 10.0.9.1 100000
	wait_for 30 on_peer ping -c 1 -W 1 10.0.9.2
	kill -KILL $kernel
	wait $kernel || true
	start wm wm0 10.0.9.2/24 ping 10.0.9.1 20
	finish
	grep -q "20 sent, 0 lost, " "$scratch/said"
}

# lend ARG...: wm in the hands of a user without rights.
lend()
{
	usrpci -q run --driver "$driver" --hugepages 8 00:01.0 -- "$programs/wm" wm0 10.0.9.2/24 "$@"
}

netbsd@a-killed-kernel-that-was-lent-its-device-can-be-started-again()
{
	local status=0
	unset USRPCI_RUMP
	chmod a+x /root
	lend ping 10.0.9.1 100000 >"$scratch/killed" 2>&1 &
	kernel=$!
	wait_for 30 on_peer ping -c 1 -W 1 10.0.9.2
	pkill -KILL -x wm
	wait $kernel || status=$?
	expect_same $status 137
	expect_output "20 sent, 0 lost, " lend ping 10.0.9.1 20
}

# Under vfio memory need not be huge pages; what a process may lock is the limit then.
netbsd@a-kernel-without-memory-says-what-to-do()
{
	export USRPCI_RUMP=00:01.0 RUMP_MEMLIMIT=1g
	echo 1 >$huge_pages/nr_hugepages
	expect_fail 124 "out of memory: the kernel waits until some is freed; give it more huge pages" \
		timeout 60 prlimit --memlock=2097152 setpriv --bounding-set=-ipc_lock \
		"$programs/wm" wm0 10.0.9.2/24 ping 10.0.9.1 20
	echo 32 >$huge_pages/nr_hugepages
}

netbsd@makes-do-with-the-huge-pages-that-are-free()
{
	export USRPCI_RUMP=00:01.0
	echo 3 >$huge_pages/nr_hugepages
	serve echo 7001
	start wm wm0 10.0.9.2/24 echo 10.0.9.1 7001 $((4 << 20)) 32768
	finish
	echo 32 >$huge_pages/nr_hugepages
}

# start_rump_server LIBRARY...: the rump kernel's own program, which loads the drivers at run time.
start_rump_server()
{
	"$RUMP_PREFIX/bin/rump_server" -s "${@/#/-l}" -lrumpvfs -lrumpdev -lrumpnet -lrumpnet_net -lrumpdev_pci \
		-lrumpdev_miiphy -lrumpdev_pci_if_wm "unix://$scratch/socket" >"$scratch/said" 2>"$scratch/errors" &
	kernel=$!
	wait_for 60 test -S "$scratch/socket"
}

stop_rump_server()
{
	kill $kernel
	wait $kernel || true
	cat "$scratch/said" "$scratch/errors"
}

netbsd@takes-the-place-of-built-in-hypercalls-by-preloading()
{
	export USRPCI_RUMP=00:01.0 RUMP_VERBOSE=1 USRPCI_RUMP_PORTS=0
	LD_PRELOAD=libusrpci-rump.so start_rump_server
	grep '^HugetlbPages:.*[1-9]' /proc/$kernel/status
	stop_rump_server
	grep -q '^wm0: Ethernet address' "$scratch/said"
	[ ! -s "$scratch/errors" ]
}

netbsd@says-so-and-attaches-nothing-when-loaded-after-the-kernel()
{
	export USRPCI_RUMP=00:01.0 RUMP_VERBOSE=1
	start_rump_server usrpci-rump
	stop_rump_server
	grep -q "load libusrpci-rump.so before librump" "$scratch/errors"
	! grep -q '^wm0: Ethernet address' "$scratch/said"
}

need_ports()
{
	[ "$driver" = uio_pci_generic ] || skip "legacy virtio passes by the IOMMU"
	export USRPCI_RUMP=$1 USRPCI_RUMP_PORTS=1
}

netbsd@pings-by-virtio-with-an-address-by-dhcp()
{
	need_ports 00:05.0
	give_to $virtio_net uio_pci_generic
	pings_without_loss vioif vioif0 dhcp ping 10.0.2.2 "$pings"
}

give_disk()
{
	need_ports 00:04.0
	if [ "$(driver_of $disk)" = virtio-pci ]; then
		"$counterpart" fill /dev/vda $((8 << 20))
	fi
	give_to $disk uio_pci_generic
}

netbsd@a-disk-is-read-into-an-applications-scattered-pages()
{
	give_disk
	start_with_moving_pages disk read /dev/rld0d $((8 << 20))
	finish
	grep -q '^128 pieces read, 0 bad$' "$scratch/said"
}

netbsd@a-disk-is-written-from-an-applications-scattered-pages()
{
	need_ports 00:04.0
	give_to $disk virtio-pci
	dd if=/dev/zero of=/dev/vda bs=1M count=8 conv=fsync
	give_to $disk uio_pci_generic
	start_with_moving_pages disk write /dev/rld0d $((8 << 20))
	finish
	give_to $disk virtio-pci
	"$counterpart" compare /dev/vda $((8 << 20))
}

netbsd@a-disk-is-read-by-a-remote-client-over-a-socket-of-its-own()
{
	local socket=$scratch/disk.sock
	give_disk
	start disk serve "unix://$socket"
	wait_for 60 test -S "$socket"
	expect_same "$(stat -c %a "$socket")" 700
	RUMP_SERVER=unix://$socket timeout 100 "$programs/disk_client" read /dev/rld0d $((8 << 20)) |
		tee "$scratch/read"
	grep -q '^128 pieces read, 0 bad$' "$scratch/read"
	kill $kernel || fail "the server ended before its client"
	wait $kernel
}

netbsd@drives-an-interface-of-linux()
{
	local net nic
	begin_net $am82540 10.0.9.2
	wait_for 60 ping -n -q -c 1 -W 1 10.0.9.1
	ping -n -q -c 100 -i 0.01 -W 5 10.0.9.1 | tee "$scratch/pinged"
	note "$(tail -n 1 "$scratch/pinged")"
	grep -q ' 0% packet loss' "$scratch/pinged"
	serve sink 7002
	serve source 7003 "$bytes"
	"$counterpart" send 10.0.9.1:7002 "$bytes" | tee "$scratch/sent"
	"$counterpart" receive 10.0.9.1:7003 "$bytes" | tee "$scratch/received"
	note "$(cat "$scratch/sent" "$scratch/received")"
	end_net $am82540 10.0.9.2
}

# Frames and blocks, all of them compared, at once; legacy virtio's under uio alone.
netbsd@an-interface-and-a-disk-of-linux-work-for-a-long-time()
{
	local net nic end server='' sent=0
	begin_net $am82540 10.0.9.2
	wait_for 60 ping -n -q -c 1 -W 1 10.0.9.1
	serve sink 7004
	serve source 7005 $((1 << 20))
	if [ "$driver" = uio_pci_generic ]; then
		give_to $disk virtio-pci
		find_plugin
		start_server 00:04.0 --driver "$driver" --rump ld --restart
		write_and_verify "$block" "$soak" >"$scratch/fio" &
		verifier=$!
	fi
	end=$((SECONDS + soak))
	while [ $SECONDS -lt $end ]; do
		"$counterpart" send 10.0.9.1:7004 $((1 << 20)) >>"$scratch/sent"
		"$counterpart" receive 10.0.9.1:7005 $((1 << 20)) >>"$scratch/received"
		sent=$((sent + 1))
	done
	if [ -n "$server" ]; then
		wait $verifier || fail "a block is wrong, or could not be read"
		grep -q 'err= 0' "$scratch/fio"
		fails grep -q 'err= *[1-9]' "$scratch/fio"
		note "$(grep -c 'err= 0' "$scratch/fio") times 4 MiB of a disk written and read again"
		kill -TERM "$server"
		wait "$server"
		cat "$scratch/errors"
		fails grep 'the next one follows' "$scratch/errors"
	fi
	note "$soak s, $sent MiB each way"
	fails grep 'the next one follows' "$scratch/net"
	end_net $am82540 10.0.9.2
}

# What was written before the driver's death is there after it.
netbsd@drives-a-disk-of-linux-without-any-privilege()
{
	[ "$driver" = uio_pci_generic ] || skip "legacy virtio passes by the IOMMU"
	unset USRPCI_RUMP
	give_to $disk virtio-pci
	find_plugin
	start_server 00:04.0 --driver "$driver" --rump ld --restart
	"$counterpart" fill "$block" $((8 << 20))
	blockdev --flushbufs "$block"
	dd if="$block" of=/dev/null bs=64k count=128 iflag=direct 2>&1 | tee "$scratch/read"
	note "$(tail -n 1 "$scratch/read")"
	kill -KILL "$(pids_of nvme-driver)"
	"$counterpart" compare "$block" $((8 << 20))
	kill -TERM $server
	wait $server
	cat "$scratch/errors"
	wait_for 10 test -e /dev/vda
	"$counterpart" compare /dev/vda $((8 << 20))
}

# This NetBSD's own build of its USB component has no DMA (NUSB_DMA), and its kernel ends with these words.
netbsd@drives-a-disk-behind-usb()
{
	[ -e "$RUMP_PREFIX/lib/librumpdev_umass.so" ] || skip "this rump kernel has no librumpdev_umass"
	unset USRPCI_RUMP
	find_plugin
	start_server 00:07.0 --driver "$driver" --rump umass || {
		! grep -q 'ub_usedma == false' "$scratch/said" "$scratch/errors" || skip "built without NUSB_DMA"
		fail "it does not start"
	}
	expect_same "$(blockdev --getsize64 "$block")" $((64 << 20))
	"$counterpart" fill "$block" $((4 << 20))
	blockdev --flushbufs "$block"
	echo 3 >/proc/sys/vm/drop_caches
	"$counterpart" compare "$block" $((4 << 20))
	kill -TERM $server
	wait $server
	cat "$scratch/errors"
}
