# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# vfio from an operator's side: the command gives devices behind an IOMMU to a user, and the same
# programs as under uio drive them, unchanged.
#
# 00:01.0 is an edu, 00:02.0 an e1000, 00:03.0 an e1000e; 01:01.0 and 01:02.0 are an edu and an e1000 on
# one old bus, hence in one group.
#
# vm: --iommu --append "hugepages=16" --device edu --nic e1000 --nic e1000e
# vm: --device pcie-pci-bridge,id=old --device edu,bus=old,addr=1 --nic e1000,bus=old,addr=2
# vm: --device nvme-subsys,id=s0 --device pcie-root-port,id=rp1,chassis=1
# vm: --device nvme,serial=vfs,bus=rp1,subsys=s0,sriov_max_vfs=1,max_ioqpairs=4,msix_qsize=5,sriov_vq_flexible=2,sriov_vi_flexible=1
# case-deadline: 120

edu=0000:00:01.0
e1000=0000:00:02.0
e1000e=0000:00:03.0
shared_edu=0000:01:01.0
shared_e1000=0000:01:02.0
isa=0000:00:1f.0
sata=0000:00:1f.2
nvme=0000:02:00.0
user=nobody

teardown()
{
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all || true
}

node_of()
{
	echo "/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")")"
}

as_user()
{
	prlimit --memlock=8388608 setpriv --reuid $user --regid nogroup --clear-groups --inh-caps=-all "$@"
}

edu_dma()
{
	as_user "$USRPCI_BUILD/examples/edu_dma" "$@"
}

ping_as_user()
{
	as_user "$USRPCI_BUILD/examples/ping" "$@"
}

iommu@translates-for-the-kernels-e1000()
{
	local nic
	[ -n "$(ls /sys/class/iommu)" ]
	[ "$(node_of $edu)" != "$(node_of $e1000)" ]
	nic=$(interface_of $e1000)
	address_up "$nic"
	ping_gateway "$nic"
	ip address flush dev "$nic"
	ip link set "$nic" down
}

vfio_host@bind-gives-the-groups-node-to-a-user()
{
	usrpci bind $edu --user $user --group nogroup
	[ "$(driver_of $edu)" = vfio-pci ]
	expect_same "$(stat -c %U:%G "$(node_of $edu)")" nobody:nogroup
	usrpci restore $edu
	[ -z "$(driver_of $edu)" ]
}

vfio_host@edu-runs-as-a-user-unchanged()
{
	usrpci bind $edu --user $user
	edu_dma $edu | tee "$scratch/said"
	grep -qx '10! = 3628800' "$scratch/said"
	grep -q '^DMA: 4000 bytes to the device and back, .* equal$' "$scratch/said"
}

vfio_host@e1000-pings-as-a-user-over-intx()
{
	usrpci bind $e1000 --user $user
	ping_as_user --irq intx --flood --count 1000 $e1000 | tee "$scratch/said"
	grep -q '^1000 requests sent, 1000 replies, lost: 0' "$scratch/said"
}

vfio_host@e1000e-pings-as-a-user-over-msi-and-msix()
{
	local irq
	usrpci bind $e1000e --user $user
	for irq in msi msix; do
		ping_as_user --irq $irq --flood --count 1000 $e1000e | tee "$scratch/said"
		grep -q '^1000 requests sent, 1000 replies, lost: 0' "$scratch/said"
	done
}

vfio_host@bind-chooses-vfio-where-an-iommu-translates()
{
	usrpci bind $edu
	[ "$(driver_of $edu)" = vfio-pci ]
}

vfio_host@bind-refuses-a-group-with-a-stranger-by-name()
{
	[ "$(node_of $shared_edu)" = "$(node_of $shared_e1000)" ]
	expect_fail 5 "$shared_e1000.*belongs to e1000" usrpci bind $shared_edu --driver vfio-pci
	[ -z "$(driver_of $shared_edu)" ]
}

vfio_host@bind-takes-a-whole-group-along-but-no-bridge()
{
	usrpci bind $shared_edu --whole-group --user $user
	[ "$(driver_of $shared_edu)" = vfio-pci ] && [ "$(driver_of $shared_e1000)" = vfio-pci ]
	edu_dma $shared_edu
	usrpci restore $shared_edu
	usrpci restore $shared_e1000
	[ "$(driver_of $shared_e1000)" = e1000 ]
}

vfio_host@lend-refuses-a-group-with-a-device-that-is-not-lent()
{
	usrpci -q bind --force --driver vfio-pci $shared_e1000
	expect_fail 5 "could also open $shared_e1000 of the same IOMMU group, which vfio-pci holds" \
		usrpci -q run --driver vfio-pci $shared_edu -- true
	[ -z "$(driver_of $shared_edu)" ]
	usrpci -q run --driver vfio-pci $shared_edu $shared_e1000 -- true
	usrpci -q restore --all
	[ "$(driver_of $shared_e1000)" = e1000 ]
}

vfio_host@an-isa-bridge-of-the-group-lets-go-and-comes-back()
{
	modprobe lpc_ich || skip "the kernel has no lpc_ich"
	[ "$(driver_of $isa)" = lpc_ich ] || skip "lpc_ich does not take this bridge"
	expect_fail 5 "$isa of the same IOMMU group [0-9]+ belongs to lpc_ich" usrpci bind $sata
	usrpci bind --whole-group $sata
	[ -z "$(driver_of $isa)" ] && [ "$(driver_of $sata)" = vfio-pci ]
	usrpci restore --all
	[ "$(driver_of $isa)" = lpc_ich ]
}

vfio_host@show-lists-the-group()
{
	local group
	group=$(basename "$(node_of $shared_edu)")
	expect_output "IOMMU group +$group:.*$shared_e1000|IOMMU group +$group:.*01:02.0" usrpci show $shared_edu
}

vfio_host@check-steers-from-uio-with-a-translating-iommu-to-vfio()
{
	modprobe uio_pci_generic
	usrpci bind $edu --driver uio_pci_generic --force
	[ "$(driver_of $edu)" = uio_pci_generic ]
	expect_fail 3 vfio-pci usrpci check $edu
	"$USRPCI_BUILD/examples/edu_dma" $edu && fail "DMA to physical addresses passed the IOMMU"
	expect_kernel_log 'DMAR:.*[Ff]ault'
}

vfio_host@check-finds-a-device-on-vfio-ready()
{
	usrpci bind $edu
	usrpci check $edu
}

vfio_host@msi-asked-of-uio-names-vfio()
{
	modprobe uio_pci_generic
	usrpci bind $e1000e --driver uio_pci_generic --force
	expect_fail 1 vfio "$USRPCI_BUILD/examples/ping" --irq msi --count 1 $e1000e
}

# A descriptor of the device alone shows in no process as the group's file, yet the kernel would wait
# for it in the unbind without an end.
vfio_host@a-device-that-a-program-keeps-is-not-waited-for()
{
	local keeper
	usrpci bind $edu
	python3 - "$(node_of $edu)" $edu "$scratch/ready" <<-'END' &
		import fcntl, os, struct, sys, time
		container = os.open("/dev/vfio/vfio", os.O_RDWR)
		group = os.open(sys.argv[1], os.O_RDWR)
		fcntl.ioctl(group, 0x3b68, struct.pack("i", container))
		fcntl.ioctl(container, 0x3b66, 1)
		device = fcntl.ioctl(group, 0x3b6a, sys.argv[2].encode() + b"\0")
		os.close(group)
		os.close(container)
		open(sys.argv[3], "w").close()
		time.sleep(100)
	END
	keeper=$!
	wait_for 10 test -e "$scratch/ready"
	expect_fail 5 'in use: ' timeout 20 usrpci restore $edu
	[ "$(driver_of $edu)" = vfio-pci ]
	usrpci -q bind $e1000
	usrpci -q restore $e1000
	kill $keeper
	wait $keeper || true
	usrpci restore $edu
	[ -z "$(driver_of $edu)" ]
}

# Whoever has the physical function could read what its virtual functions do.
vfio_host@a-virtual-function-is-opened-with-the-token-of-its-physical-function()
{
	local function=0000:02:00.1 token=14d63f20-8445-11ea-8900-1f9ce7d5650d owner
	local probe=$USRPCI_BUILD/tests/qemu/probe
	modprobe vfio-pci
	echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
	usrpci bind $nvme
	mkfifo "$scratch/words"
	USRPCI_VF_TOKEN=$token "$probe" <"$scratch/words" >"$scratch/owner" &
	owner=$!
	exec 7>"$scratch/words"
	echo "open $nvme" >&7
	wait_for 10 grep -q ok "$scratch/owner"
	echo 1 >/sys/bus/pci/devices/$nvme/sriov_numvfs
	usrpci bind $function
	expect_output 'only with the token that the program of 0000:02:00.0 gave' "$probe" <<<"open $function"
	expect_output '^ok' env USRPCI_VF_TOKEN=$token "$probe" <<<"open $function"
	expect_output '^ok' usrpci -q run --vf-token $token $function -- "$probe" <<<"open $function"
	exec 7>&-
	kill $owner
	wait $owner || true
	echo 0 >/sys/bus/pci/devices/$nvme/sriov_numvfs
	usrpci restore $nvme
	[ "$(driver_of $nvme)" = nvme ]
}

# vfio-pci lets a device sleep that no program has open; its registers read as ones then.
vfio_host@registers-of-a-device-that-sleeps-are-not-taken-for-values()
{
	local state=/sys/bus/pci/devices/$e1000e/power_state
	usrpci bind --driver vfio-pci $e1000e
	wait_for 10 grep -q D3hot $state || skip "vfio-pci does not let it sleep: $(<$state)"
	expect_fail 1 "it sleeps \\(D3hot\\)" usrpci bar $e1000e read 0 8
	expect_fail 1 "it sleeps \\(D3hot\\)" usrpci bar $e1000e write 0 0 1
	expect_output "Ethernet controller" usrpci list $e1000e
	grep -q D3hot $state
	echo on >/sys/bus/pci/devices/$e1000e/power/control # the cure
	[ "$(usrpci bar $e1000e read 0 8)" != ffffffff ]
	echo auto >/sys/bus/pci/devices/$e1000e/power/control
}
