# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# nvme: our driver on vfio-pci, behind an IOMMU, each queue with an interrupt of its own
#
# vm: --iommu --disk nvme,size=16M --disk nvme,size=16M,msix_qsize=1
# vm: --device pcie-root-port,id=rp0 --disk nvme,bus=rp0 --append hugepages=16
# case-deadline: 240

disk=0000:00:01.0
one_vector=0000:00:02.0
plugged=0000:01:00.0
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

# slow
nvme_vfio@is-served-while-its-driver-dies()
{
	command -v nbdkit >/dev/null || skip "nbdkit is not installed"
	[ -e "$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so" ] || skip "nbdkit's header was not there for the build"
	find_plugin
	start_server $disk --restart
	[ "$(driver_of $disk)" = vfio-pci ]
	write_and_verify "$block" 3 >"$scratch/fio" &
	note "$("$USRPCI_BUILD/tests/qemu/reincarnate" "$block" 3 500 2>/dev/null)"
	wait $!
	grep -q 'err= 0' "$scratch/fio"
	usrpci -q restore $disk
	wait $server
	[ "$(driver_of $disk)" = nvme ]
}

nvme_vfio@ends-with-an-error-when-the-disk-is-pulled-out()
{
	[ "$(uname -m)" = x86_64 ] ||
		skip "an Arm kernel loses the event while vfio holds a group with the root port in it"
	pull_out $plugged disk2
}
