# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# nvme: our driver on vfio-pci, behind an IOMMU, each queue with an interrupt of its own
#
# vm: --iommu --disk nvme,size=16M --disk nvme,size=16M,msix_qsize=1
# vm: --device pcie-root-port,id=rp0 --disk nvme,bus=rp0 --append hugepages=16
# vm: --device pcie-root-port,id=rp1,chassis=2 --disk virtio-blk-pci,bus=rp1,size=24M,iommu_platform=on,disable-legacy=on
# case-deadline: 240

disk=0000:00:01.0
one_vector=0000:00:02.0
plugged=0000:01:00.0
virtio=0000:02:00.0
driver=vfio-pci
# shellcheck source=tests/qemu/lib_nvme.sh
. "$USRPCI_SOURCE/tests/qemu/lib_nvme.sh"

nvme_vfio@has-an-interrupt-for-each-queue()
{
	take $disk
	expect_output 'backend vfio, 9 interrupts' "$nvme" $disk info
	give_back $disk
}

nvme_vfio@writes-what-the-kernel-reads-and-reads-what-it-writes()
{
	exchange_with_the_kernel $disk
}

nvme_vfio@does-so-with-one-interrupt-for-all()
{
	exchange_with_the_kernel $one_vector
}

# slow
nvme_vfio@does-so-by-polling()
{
	exchange_with_the_kernel $disk -p
}

# vfio-pci sends a device to sleep when nobody has it open.
nvme_vfio@wakes-a-controller-that-sleeps()
{
	local state=/sys/bus/pci/devices/$disk/power_state
	head -c 5000192 /dev/urandom >"$scratch/data"
	take $disk
	wait_for 10 grep -q D3hot $state
	"$nvme" $disk write <"$scratch/data"
	wait_for 10 grep -q D3hot $state
	"$nvme" $disk read >"$scratch/back"
	cmp -n 5000192 "$scratch/back" "$scratch/data"
	give_back $disk
	grep -q D0 $state
	cmp -n 5000192 "$scratch/data" "$(disk_of $disk)"
}

nvme_vfio@runs-again-after-a-kill()
{
	kill_while_it_reads $disk
}

nvme_vfio@is-lent-to-a-program-without-privileges()
{
	lend_to_nobody $disk
}

# count_resets: how often the kernel has reset a function since the first call.
count_resets()
{
	local tracing=/sys/kernel/tracing
	[ -e $tracing/trace ] || mount -t tracefs none $tracing
	[ "$(cat $tracing/current_tracer)" = function ] || {
		echo pcie_flr >$tracing/set_ftrace_filter
		echo function >$tracing/current_tracer
	}
	grep -c 'pcie_flr' $tracing/trace || true
}

# The kernel resets a device that it opens first and closes last, and each takes it 100 ms. USRPCI_KILLS is for
# the long run, whose clock counts instructions.
kill_while_it_is_served()
{
	local kills=${USRPCI_KILLS:-3} before took verifier
	needs_plugin
	count_resets >/dev/null
	start_server "$1" --restart
	[ "$(driver_of "$1")" = vfio-pci ]
	before=$(count_resets)
	[ "$before" -gt 0 ]
	write_and_verify "$block" $((kills / 5 + 2)) >"$scratch/fio" &
	verifier=$!
	took=$("$USRPCI_BUILD/tests/qemu/reincarnate" "$block" "$kills" 150)
	note "$took"
	wait $verifier
	grep -q 'err= 0' "$scratch/fio"
	expect_same "$(count_resets)" "$before" "the count of resets"
	usrpci -q restore "$1"
	wait $server
	[ "$(driver_of "$1")" = "$2" ]
	[ -z "${USRPCI_ICOUNT:-}" ] || [ "$(sed -n 's/.*median \([0-9]*\).*/\1/p' <<<"$took")" -lt 100 ]
}

needs_plugin()
{
	command -v nbdkit >/dev/null || skip "nbdkit is not installed"
	[ -e "$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so" ] || skip "nbdkit's header was not there for the build"
	find_plugin
}

nvme_vfio@is-served-while-its-driver-dies-and-the-kernel-resets-it-no-more()
{
	kill_while_it_is_served $disk nvme
}

nvme_vfio@so-is-a-virtio-disk()
{
	kill_while_it_is_served $virtio virtio-pci
}

spares()
{
	[ "$(pids_of nvme-spare | wc -l)" = "$1" ]
}

# A driver that is stopped has done nothing when it is killed.
nvme_vfio@is-opened-and-reset-again-when-a-second-driver-in-a-row-does-nothing()
{
	local before spare
	needs_plugin
	count_resets >/dev/null
	start_server $disk --restart
	head -c 1M /dev/urandom >"$scratch/data"
	dd if="$scratch/data" of="$block" bs=64k oflag=direct status=none
	wait_for 20 spares 1
	before=$(count_resets)
	spare=$(pids_of nvme-spare)
	kill -STOP "$spare"
	kill -KILL "$(pids_of nvme-driver)"
	dd if="$block" of="$scratch/back" bs=64k count=16 iflag=direct status=none &
	wait_for 20 spares 2
	expect_same "$(count_resets)" "$before" "the count of resets"
	kill -KILL "$spare"
	wait $!
	cmp "$scratch/data" "$scratch/back"
	[ "$(count_resets)" -gt "$before" ]
	usrpci -q restore $disk
	wait $server
	[ "$(driver_of $disk)" = nvme ]
	cmp -n 1048576 "$scratch/data" "$(disk_of $disk)"
}

nvme_vfio@ends-with-an-error-when-the-disk-is-pulled-out()
{
	[ "$(uname -m)" = x86_64 ] ||
		skip "an Arm kernel loses the event while vfio holds a group with the root port in it"
	pull_out $plugged disk2
}
