#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# nvme.sh: measures reads of 4 KiB from an NVMe disk, ours beside the kernel's and QEMU's, in the
# test machine.
#
# usage: bench/nvme.sh BUILD RAW
#
# Boots the machine once with interrupts by vfio, where QEMU's driver works too, and with a clock
# that counts instructions, once with an IOMMU and once without, and appends lines "WHO KEY VALUE" (nanoseconds a read;
# instructions) to RAW. Inside it runs itself. What is not installed is left out.
#
set -euo pipefail

self=$(readlink -f "$0")
disk=0000:00:01.0
socket=/run/bench.nbd
rounds=2
seconds=1

kernels_disk()
{
	local tenths
	for ((tenths = 0; tenths < 300; tenths++)); do
		ls -d /sys/bus/pci/devices/$disk/nvme/nvme*/nvme*n1 >/dev/null 2>&1 && break
		sleep 0.1
	done
	echo "/dev/$(basename "$(ls -d /sys/bus/pci/devices/$disk/nvme/nvme*/nvme*n1)")"
}

# row WHO KEY VALUE: a line of the result, unless it could not be measured.
row()
{
	[ -z "$3" ] || echo "$1 $2 $3"
}

# reads_by FIO-ARGUMENT...: nanoseconds a read.
reads_by()
{
	timeout -k 1 30 fio --name=read --rw=randread --bs=4k --size=64m --norandommap --randrepeat=0 \
		--time_based --runtime=$seconds --output-format=terse --terse-version=3 "$@" 2>/dev/null |
		awk -F ';' '$8 > 0 { printf "%.0f\n", 1e9 / $8 }'
}

kernels_reads()
{
	local depth device ring
	device=$(kernels_disk)
	row psync nvme_irq_1 "$(reads_by --filename="$device" --direct=1 --ioengine=psync)"
	for depth in 1 32; do
		ring=(--filename="$device" --direct=1 --ioengine=io_uring --iodepth="$depth")
		row io_uring nvme_irq_$depth "$(reads_by "${ring[@]}")"
		row io_uring nvme_poll_$depth "$(reads_by "${ring[@]}" --hipri)"
	done
}

our_reads()
{
	local depth how
	for depth in 1 32; do
		for how in irq poll; do
			row usrpci nvme_${how}_$depth \
				"$("$1/bench/bench_nvme" $disk $how $depth $((depth == 1 ? 1500 : 6000)))"
		done
	done
}

# QEMU 7.2's driver waits for ever on a disk that another driver in userspace has had.
fresh()
{
	usrpci -q restore $disk >/dev/null
	kernels_disk >/dev/null
	usrpci -q bind $disk >/dev/null
}

# qemu-io prints "4 KiB, 1 ops; 00.01 sec (679.663 KiB/sec and 169.9158 ops/sec)" for each read.
qemus_reads()
{
	command -v qemu-io >/dev/null ||
		{ echo "bench: without qemu-io, which is not installed" >&2 && return 0; }
	local i commands=()
	for ((i = 0; i < 200; i++)); do
		commands+=(-c "read $((RANDOM % 16384 * 4096)) 4096")
	done
	fresh
	timeout -k 1 30 qemu-io -f raw "${commands[@]}" "nvme://$disk/1" |
		awk '/ops\/sec/ { reads++; time += 1e9 / $(NF - 1) }
			END { if (reads > 100) printf "qemu nvme_irq_1 %.0f\n", time / reads }'
}

# beside WHAT SERVER...: calls WHAT while a server of NBD runs, which makes $socket; its argument is
# the server's process.
beside()
{
	local what=$1 server tenths
	shift
	"$@" >/dev/null &
	server=$!
	for ((tenths = 0; tenths < 300; tenths++)); do
		[ ! -S $socket ] || break
		sleep 0.1
	done
	"$what" $server
	kill $server
	wait $server || true
	rm -f $socket
}

reads_over_nbd()
{
	reads_by --ioengine=nbd --uri="nbd+unix:///?socket=$socket" --iodepth=32
}

# How much of a processor a process uses while nothing is to be done, in thousandths.
idle_share()
{
	local before
	sleep 1
	before=$(awk '{ print $14 + $15 }' "/proc/$1/stat")
	sleep 10
	echo $(($(awk '{ print $14 + $15 }' "/proc/$1/stat") - before))
}

# nbdkit_on BUILD PARAMETER...: sets served, the words of a command that serves the disk.
nbdkit_on()
{
	local build=$1
	shift
	served=(nbdkit -f -U "$socket" "$build/drivers/nbdkit-usrpci-nvme-plugin.so" "$disk" "$@")
	[ -e "${served[4]}" ]
}

# served_reads BUILD KEY: the same fio, over the same protocol, at ours and at QEMU's server.
# Structured replies cost nbdkit a call more.
served_reads()
{
	nbdkit_on "$1" queues=32 --no-sr --threads 32 || return 0
	row usrpci "$2" "$(beside reads_over_nbd "${served[@]}")"
	command -v qemu-storage-daemon >/dev/null || return 0
	fresh
	row qemu "$2" "$(beside reads_over_nbd timeout -k 1 60 qemu-storage-daemon \
		--blockdev "driver=nvme,device=$disk,namespace=1,node-name=d" \
		--nbd-server "addr.type=unix,addr.path=$socket" \
		--export "type=nbd,id=e,node-name=d,name=,writable=on")"
}

reads()
{
	local build=$1 round
	PATH=$build/cli:$PATH
	modprobe vfio-pci
	for ((round = 0; round < rounds; round++)); do
		kernels_reads
		usrpci -q bind $disk >/dev/null
		our_reads "$build"
		qemus_reads
		[ $round -gt 0 ] || ! nbdkit_on "$build" ||
			row usrpci nvme_idle "$(beside idle_share "${served[@]}")"
		served_reads "$build" nvme_nbd
		usrpci -q restore $disk >/dev/null
	done
}

# busy COMMAND...: nanoseconds that it had the processor. Interrupts that come while nobody has it
# are not counted.
busy()
{
	python3 -c 'if True:
		import resource, subprocess, sys
		if subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL):
			sys.exit(f"bench: {sys.argv[1]} has failed")
		usage = resource.getrusage(resource.RUSAGE_CHILDREN)
		print(round((usage.ru_utime + usage.ru_stime) * 1e9))' "$@"
}

# a_read COMMAND...: what one more read costs; their number is put at the end of the last argument.
# Nothing is printed when the command fails.
a_read()
{
	local few many command=("${@:1:$#-1}") last=${*: -1}
	"${command[@]}" "${last}100" >/dev/null &&
		few=$(busy "${command[@]}" "${last}500") &&
		many=$(busy "${command[@]}" "${last}12500") &&
		echo $(((many - few) / 12000))
}

# kernels_read DEPTH: what one costs by io_uring.
kernels_read()
{
	a_read fio --name=read --rw=randread --bs=4k --size=64m --norandommap --direct=1 \
		--ioengine=io_uring --filename="$(kernels_disk)" --io_size=1g --iodepth="$1" --number_ios=
}

# by_interrupt BUILD KEY DRIVER: the kernel's reads, then ours. They vary with where the interrupt
# comes, so several are taken.
by_interrupt()
{
	local round
	PATH=$1/cli:$PATH
	for ((round = 0; round < 5; round++)); do
		row io_uring "$2" "$(kernels_read 1)"
	done
	usrpci -q bind $disk --driver "$3" >/dev/null
	for ((round = 0; round < 5; round++)); do
		row usrpci "$2" "$(a_read "$1/bench/bench_nvme" $disk irq 1 '')"
	done
}

instructions()
{
	local build=$1
	row io_uring nvme_instructions_32 "$(kernels_read 32)"
	by_interrupt "$build" nvme_instructions_1 vfio-pci
	row usrpci nvme_instructions_32 "$("$build/bench/bench_nvme" $disk poll 32 3200 hot)"
	row usrpci nvme_instructions_poll_1 "$("$build/bench/bench_nvme" $disk poll 1 100 hot)"
	served_reads "$build" nvme_nbd_counted
}

case $1 in
--reads)
	reads "$2"
	exit
	;;
--instructions)
	instructions "$2"
	exit
	;;
--instructions-uio)
	by_interrupt "$2" nvme_instructions_uio_1 uio_pci_generic
	exit
	;;
esac
command -v fio >/dev/null ||
	{ echo "bench: without NVMe disks, since fio is not installed" >&2 && exit; }
echo "bench: NVMe disks" >&2
vm=$(dirname "$self")/../tests/qemu/vm
"$vm" --iommu --disk nvme --append "hugepages=16 nvme.poll_queues=1" --deadline 300 \
	-- "$self" --reads "$1" >>"$2"
counting=(--icount --device nvme,serial=1,drive=null --append hugepages=16 --deadline 900
	--qemu "-drive if=none,id=null,format=raw,file=null-co://,file.size=64M,file.read-zeroes=off")
"$vm" --iommu "${counting[@]}" -- "$self" --instructions "$1" >>"$2"
"$vm" "${counting[@]}" -- "$self" --instructions-uio "$1" >>"$2"
