# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# vfio: devices behind an IOMMU. Most cases run twice: as root, and as a user without privileges
# who was given the group's node.
#
# The devices: 00:01.0 and 00:02.0 are edu's, the first with all addresses, the second with 28 bits
# of them; 01:00.0 an e1000e; 02:01.0 an edu and 02:02.0 an e1000 on one old bus, hence in one group;
# 00:05.0 an e1000; 03:00.0 a random number generator that can report errors.
#
# QEMU offers e1000e's reset by power state, which does nothing, so it is to be reset by the bus; and a
# root port of the first speed, since a faster one's link stays down after that.
#
# vm: --iommu --mem 1G --append "hugepages=32"
# vm: --device edu,dma_mask=0xffffffff --device edu
# vm: --device pcie-root-port,id=rp0,chassis=1,x-speed=2_5 --nic e1000e,bus=rp0
# vm: --device pcie-pci-bridge,id=old --device edu,bus=old,addr=1 --nic e1000,bus=old,addr=2
# vm: --nic e1000
# vm: --device pcie-root-port,id=rp1,chassis=2 --device virtio-rng-pci,bus=rp1,id=rng0,aer=on
# case-deadline: 120

cases=$USRPCI_BUILD/tests/qemu/vfio_cases
edu=0000:00:01.0
edu28=0000:00:02.0
e1000e=0000:01:00.0
shared_edu=0000:02:01.0
shared_e1000=0000:02:02.0
e1000=0000:00:05.0
port=0000:00:06.0
rng=0000:03:00.0
user=65534

setup()
{
	load_driver vfio-pci
	local device
	echo bus >/sys/bus/pci/devices/$e1000e/reset_method
	for device in $edu $edu28 $e1000e $shared_edu $e1000 $rng; do
		bind "$device" vfio-pci
	done
}

bind()
{
	[ "$(driver_of "$1")" != "$2" ] || return 0
	echo "$2" >"/sys/bus/pci/devices/$1/driver_override"
	[ -z "$(driver_of "$1")" ] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = "$2" ]
}

node_of()
{
	echo "/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")")"
}

# as_user COMMAND...: without any privilege but the nodes of the devices; $memlock as is usual.
as_user()
{
	local device
	for device in $edu $edu28 $e1000e $e1000; do
		chown $user "$(node_of "$device")"
	done
	prlimit "--memlock=${memlock:-8388608}" \
		setpriv --reuid $user --regid $user --clear-groups --inh-caps=-all "$@"
}

# both CASE DEVICE...: as root, then as a user; the kernel has nothing to complain about.
both()
{
	"$cases" "$@"
	as_user "$cases" "$@"
}

vfio@dma-both-ways-is-compared()
{
	both dma-both-ways $edu28
}

vfio@dma-works-without-huge-pages()
{
	local pages
	pages=$(cat /proc/sys/vm/nr_hugepages)
	echo 0 >/proc/sys/vm/nr_hugepages
	both dma-both-ways $edu28
	echo "$pages" >/proc/sys/vm/nr_hugepages
}

vfio@dma-takes-huge-pages-where-there-are-some()
{
	[ "$(awk '/HugePages_Free/ { print $2 }' /proc/meminfo)" = 32 ]
	"$cases" run-dma-forever $edu28 >"$scratch/out" &
	wait_for 10 grep -q running "$scratch/out"
	[ "$(awk '/HugePages_Free/ { print $2 }' /proc/meminfo)" = 31 ]
	kill -9 $!
}

vfio@dma-of-memory-that-the-program-has()
{
	both dma-of-own-memory $edu
}

vfio@unmapped-dma-faults-and-touches-no-memory()
{
	both dma-to-unmapped $edu
	expect_kernel_log 'DMAR:.*[Ff]ault'
}

vfio@dma-to-a-physical-address-faults-and-touches-no-memory()
{
	"$cases" dma-to-physical $edu
	expect_kernel_log 'DMAR:.*[Ff]ault'
}

vfio@addresses-stay-below-a-limit-of-32-bits()
{
	"$cases" below-4g $edu
	memlock=unlimited as_user "$cases" below-4g $edu
}

vfio@intx-is-delivered-masked-and-unmasked()
{
	both irq-intx $edu
}

vfio@msi-is-delivered()
{
	both irq-msi $edu
}

vfio@four-msix-vectors-are-told-apart()
{
	both irq-msix $e1000e
}

vfio@a-masked-msix-vector-stays-pending()
{
	both irq-msix-mask $e1000e
}

# Between 10 and 110 interrupts lie 100 reads and no other system call.
vfio@an-interrupt-costs-one-read-and-no-other-call()
{
	local n
	for n in 10 110; do
		strace -f -c -U calls,name -o "$scratch/$n" "$cases" irq-loop $edu $n
		awk '$1 ~ /^[0-9]+$/ && $2 != "total" { print $2, $1 }' "$scratch/$n" | sort >"$scratch/$n.calls"
	done
	join "$scratch/10.calls" "$scratch/110.calls" |
		awk '$2 != $3 { print $1, $3 - $2 }' | tee "$scratch/difference"
	expect_same "$(cat "$scratch/difference")" "read 100"
	expect_same "$(cut -d ' ' -f 1 "$scratch/110.calls")" "$(cut -d ' ' -f 1 "$scratch/10.calls")"
}

vfio@closing-with-an-interrupt-pending-is-harmless()
{
	both irq-pending-at-close $edu
}

vfio@the-msix-table-is-out-of-the-programs-reach()
{
	both bar-msix-table $e1000e
}

vfio@ports-are-reached-through-the-region()
{
	both bar-io $e1000e
}

vfio@two-devices-share-a-buffer()
{
	both two-devices-share $edu $edu28
}

vfio@two-contexts-in-one-process-are-apart()
{
	both two-contexts $edu $edu28
}

vfio@memory-outlives-its-devices()
{
	both memory-outlives-devices $edu
}

# slow
vfio@the-limit-of-65535-mappings-is-reached-and-reported()
{
	local output
	output=$("$cases" limit-of-mappings $edu 2>&1)
	echo "$output"
	grep -q '^65534 mappings of own memory' <<<"$output" # and one of the heap
	grep -q 'all 65535 mappings of the container are in use' <<<"$output"
}

vfio@the-limit-of-locked-memory-is-reported-with-its-cure()
{
	local output
	output=$(as_user "$cases" limit-of-locked-memory $edu 2>&1)
	echo "$output"
	grep -q '67108864 more bytes cannot be pinned: 2097152 bytes are pinned, and RLIMIT_MEMLOCK is 8388608' <<<"$output"
	grep -q "prlimit --pid [0-9]* --memlock=69206016:69206016; or LimitMEMLOCK=69206016" <<<"$output"
}

vfio@the-line-that-was-advised-raises-the-limit()
{
	memlock=1048576 as_user "$cases" dma-both-ways $edu28 && fail "1 MiB was enough"
	memlock=4194304:4194304 as_user "$cases" dma-both-ways $edu28
}

vfio@a-killed-programs-dma-ends-and-the-device-opens-again()
{
	local i
	for i in 1 2 3; do
		"$cases" run-dma-forever $edu28 >"$scratch/out" &
		wait_for 10 grep -q running "$scratch/out"
		sleep 0.$i
		kill -9 $!
		wait $! || true
		"$cases" dma-both-ways $edu28
	done
}

vfio@a-group-with-a-stranger-is-refused-by-name()
{
	[ "$(node_of $shared_edu)" = "$(node_of $shared_e1000)" ]
	bind $shared_e1000 e1000
	expect_fail 16 "$shared_e1000 \(e1000\)" "$cases" open $shared_edu
	bind $shared_e1000 vfio-pci
	"$cases" two-devices-share $shared_edu $edu
}

vfio@devices-of-one-group-open-in-one-context()
{
	bind $shared_e1000 vfio-pci
	expect_output protected "$cases" open $shared_edu $shared_e1000
}

vfio@a-device-opens-once()
{
	expect_fail 16 "open in this context already" "$cases" open $edu $edu
}

vfio@a-group-open-elsewhere-is-refused()
{
	HOLD=1 "$cases" open $edu >"$scratch/out" &
	wait_for 10 grep -q protected "$scratch/out"
	expect_fail 16 "is open in another program" "$cases" open $edu
	kill $!
	wait $! || true
	"$cases" open $edu
}

vfio@a-user-without-the-node-is-told-how-to-get-it()
{
	chown root "$(node_of $edu)"
	expect_fail 13 "usrpci bind $edu --user" setpriv --reuid $user --regid $user --clear-groups "$cases" open $edu
}

vfio@the-function-is-reset()
{
	both reset-function $e1000e
}

vfio@the-bus-is-reset-with-a-list-of-what-goes-along()
{
	expect_output "the bus reset also resets $e1000e" "$cases" reset-bus $e1000e
	as_user "$cases" reset-bus $e1000e
}

vfio@a-bus-that-cannot-be-reset-is-refused()
{
	both no-bus-reset $edu
}

# QEMU reports errors only where SERR# is enabled too, in the device and in the port.
vfio@an-uncorrectable-error-is-an-event()
{
	"$cases" event-error $rng >"$scratch/out" &
	wait_for 10 grep -q waiting "$scratch/out"
	setpci -s $port BRIDGE_CONTROL=2:2
	setpci -s $rng COMMAND=100:100
	monitor pcie_aer_inject_error rng0 COMP_ABORT
	wait $!
	expect_kernel_log "$rng: PCIe Bus Error: severity=Uncorrect"
}

vfio@an-unplug-is-an-event-and-waits-for-the-program()
{
	"$cases" event-request $e1000e >"$scratch/out" &
	wait_for 10 grep -q waiting "$scratch/out"
	monitor device_del nic0
	wait $!
	wait_for 20 test ! -e /sys/bus/pci/devices/$e1000e
}
