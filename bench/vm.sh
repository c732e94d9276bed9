#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# vm.sh: measures what needs devices, and the commands beside those of others, in the test machine.
#
# usage: bench/vm.sh BUILD RAW
#
# Boots the machine without an IOMMU, with one, with two processors, and with a clock that counts
# instructions, and appends lines "WHO KEY VALUE" (nanoseconds; pages; instructions) to RAW. Inside each
# it runs itself: "vm.sh --inside BUILD" and the like. Tools that are not installed are left out.
#
set -euo pipefail

self=$(readlink -f "$0")
nic=0000:00:01.0
virtio=0000:00:02.0

# clock WHO KEY ROUNDS [AFTER] COMMAND...: how long a command takes; AFTER, a function, undoes it.
clock()
{
	local who=$1 key=$2 rounds=$3 after=$4 start end round
	shift 4
	if ! command -v "$1" >/dev/null; then
		echo "bench: without $1, which is not installed" >&2
		return 0
	fi
	for ((round = 0; round < rounds; round++)); do
		start=${EPOCHREALTIME/./}
		"$@" >/dev/null
		end=${EPOCHREALTIME/./}
		echo "$who $key $(((end - start) * 1000))"
		"$after"
	done
}

give_back()
{
	echo >"/sys/bus/pci/devices/$nic/driver_override"
	echo "$nic" >"/sys/bus/pci/devices/$nic/driver/unbind"
	echo "$nic" >/sys/bus/pci/drivers/e1000/bind
}

# lent COMMAND...: what lending costs. A program that prints figures runs directly and inside
# "usrpci run" by turns; the shortest of each figure count. Prints "usrpci lent_KEY_ratio R" for each.
lent()
{
	local round
	for ((round = 0; round < 9; round++)); do
		"$@" | sed 's/^/direct /'
		usrpci -q run --user nobody --hugepages 16 "$nic" -- "$@" | sed 's/^/lent /'
	done | awk '
		!(($1, $2) in least) || $3 < least[$1, $2] { least[$1, $2] = $3 }
		{ keys[$2] }
		END { for (key in keys) printf "usrpci lent_%s_ratio %.4f\n", key,
			least["lent", key] / least["direct", key] }'
}

# Measures from the command to the program's first instruction; the device goes back to the kernel.
clock_run()
{
	local round start
	for ((round = 0; round < 5; round++)); do
		start=${EPOCHREALTIME/./}
		echo "usrpci run $(($(usrpci -q run "$nic" -- "$1/bench/bench_now") - start * 1000))"
	done
}

# built PROGRAM...: says which program of bench/ is missing in $build, and fails then.
built()
{
	local program
	for program; do
		[ -x "$build/bench/$program" ] && continue
		echo "bench: $build/bench/$program is not built: meson compile -C $build bench" >&2
		return 1
	done
}

inside()
{
	local build=$1
	PATH=$build/cli:$PATH
	# Each runs once before, so that none is measured while it reads its files over 9p.
	for tool in "usrpci list" lspci "driverctl list-devices" "dpdk-devbind.py --help"; do
		$tool >/dev/null 2>&1 || true
	done
	# What is written to lies in memory, as what is read often does elsewhere: a run looks in these for
	# users, and to open and close a file over 9p takes some milliseconds each time.
	touch /etc/passwd /etc/group /etc/nsswitch.conf
	modprobe uio_pci_generic
	clock usrpci list 9 : usrpci list
	clock lspci list 5 : lspci
	clock driverctl list 2 : driverctl list-devices
	clock dpdk-devbind list 1 : dpdk-devbind.py --status
	clock dpdk-devbind bind 1 give_back dpdk-devbind.py --bind=uio_pci_generic "$nic"
	clock usrpci bind 5 give_back usrpci -q bind "$nic"
	built bench_now bench_usrpci bench_e1000_pages
	clock_run "$build"
	usrpci -q bind "$nic" >/dev/null
	for ((round = 0; round < 5; round++)); do
		"$build/bench/bench_usrpci" / "$nic" ready | sed 's/^/usrpci vm_/'
	done
	"$build/bench/bench_e1000_pages" "$nic" | sed 's/^/usrpci /'
	lent "$build/bench/bench_usrpci" / "$nic"
}

behind_iommu()
{
	local build=$1 group
	built bench_vfio_map
	"$build/cli/usrpci" -q bind 00:01.0 00:02.0 >/dev/null
	group=$(basename "$(readlink /sys/bus/pci/devices/0000:00:02.0/iommu_group)")
	for ((round = 0; round < 5; round++)); do
		"$build/bench/bench_vfio_map" 00:01.0 "$group"
	done
}

# dpdk-testpmd prints how many packets a second it sends each time it is asked.
testpmd()
{
	local name=$1 device=$2
	{
		sleep 6
		for ((round = 0; round < 7; round++)); do
			echo show port stats 0
			sleep 1
		done
		echo quit
	} | dpdk-testpmd -l 0,1 -m 64 --no-telemetry -a "$device" -- -i --auto-start --forward-mode=txonly \
		--txpkts=60 --total-num-mbufs=2048 2>/dev/null |
		awk -v name="$name" '/Tx-pps:/ && $2 > 0 { printf "dpdk %s %.1f\n", name, 1e9 / $2 }'
}

# The e1000's frames reach no network: with one behind the card, its host would be measured. virtio's
# wait for somebody who takes them, which here drops them.
frames()
{
	local build=$1
	built bench_txonly
	"$build/cli/usrpci" -q bind "$nic" "$virtio" >/dev/null
	for ((round = 0; round < 7; round++)); do
		"$build/bench/bench_txonly" e1000_txonly "$nic" | sed 's/^/usrpci /'
		"$build/bench/bench_txonly" virtio_txonly "$virtio" | sed 's/^/usrpci /'
	done
	if command -v dpdk-testpmd >/dev/null; then
		testpmd e1000_txonly "$nic"
		testpmd virtio_txonly "$virtio"
	else
		echo "bench: without dpdk-testpmd, which is not installed" >&2
	fi
	PATH=$build/cli:$PATH lent "$build/bench/bench_txonly" e1000_txonly "$nic"
}

# pair MODE BUILD DEVICE DEVICE: two cards on a wire, by usrpci and by DPDK.
pair()
{
	local mode=$1 build=$2 near=$3 far=$4
	"$build/bench/bench_pair" "$mode" "$near" "$far" | sed 's/^/usrpci /'
	[ ! -x "$build/bench/bench_dpdk_pair" ] ||
		"$build/bench/bench_dpdk_pair" "$mode" "$near" "$far" 2>/dev/null | sed 's/^/dpdk /'
}

# In a machine whose clock counts instructions.
instructions()
{
	local build=$1
	built bench_vblk bench_pair
	modprobe uio_pci_generic
	"$build/cli/usrpci" -q bind --force 00:01.0 00:02.0 00:03.0 >/dev/null
	"$build/bench/bench_vblk" 0000:00:03.0 | sed 's/^/usrpci /'
	pair count "$build" 0000:00:01.0 0000:00:02.0
}

# Frames between two cards, as many as possible.
rate()
{
	local build=$1
	built bench_pair
	"$build/cli/usrpci" -q bind 0000:00:01.0 0000:00:02.0 >/dev/null
	pair rate "$build" 0000:00:01.0 0000:00:02.0
}

# Connections through a card whose driver is a process, in a machine whose clock counts instructions.
through()
{
	local build=$1
	"$(dirname "$self")/through.sh" "$build" virtio 0000:00:01.0 0000:00:02.0
	"$(dirname "$self")/through.sh" "$build" e1000 0000:00:03.0 0000:00:04.0
}

# machine PART OPTION...: boots a machine with these options, in which PART is measured. The other parts
# are measured even if one fails.
machine()
{
	local part=$1
	shift
	"$(dirname "$self")/../tests/qemu/vm" "$@" --deadline 1800 -- "$self" "--$part" "$build" || failed=1
}

machines()
{
	local build=$1 failed=0 wire=(--nic virtio-net-pci@1 --nic virtio-net-pci@1)
	echo "bench: in the test machine" >&2
	machine inside --nic e1000 --append hugepages=16
	machine behind-iommu --iommu --device edu --device edu --append hugepages=16
	machine frames --nic e1000@1 --nic virtio-net-pci --cpus 2 --append hugepages=64
	machine instructions --icount "${wire[@]}" --disk virtio-blk-pci --append hugepages=64
	machine rate "${wire[@]}" --cpus 2 --append hugepages=64
	machine through --icount=2 "${wire[@]}" --nic e1000@2 --nic virtio-net-pci@2 --append hugepages=32
	return $failed
}

case $1 in
--inside) inside "$2" ;;
--behind-iommu) behind_iommu "$2" ;;
--frames) frames "$2" ;;
--instructions) instructions "$2" ;;
--rate) rate "$2" ;;
--through) through "$2" ;;
*) machines "$1" >>"$2" ;;
esac
