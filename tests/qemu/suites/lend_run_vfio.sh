# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# run-vfio: devices behind an IOMMU are lent to a program and taken back
#
# vm: --iommu --nic e1000 --device edu,dma_mask=0xffffffff --nic e1000@1 --nic e1000@1 --mem 384M
# vm: --device pcie-root-port,id=rp0 --nic virtio-net-pci,bus=rp0,iommu_platform=on,disable-legacy=on
# case-deadline: 300

nic=0000:00:01.0
edu=0000:00:02.0
wire=0000:00:03.0
peer=0000:00:04.0
# shellcheck source=tests/qemu/lib_lend.sh
. "$USRPCI_SOURCE/tests/qemu/lib_lend.sh"

lend_run_vfio@lends-edu-to-a-program-without-rights()
{
	local before
	before=$(lspci -xxxs "$edu")
	expect_output "through the backend vfio" usrpci -q run "$edu" -- "$examples/edu_dma" "$edu"
	expect_same "$(driver_of "$edu")" ""
	expect_same "$(lspci -xxxs "$edu")" "$before" "configuration space"
}

lend_run_vfio@gives-the-program-no-privileges-and-no-other-device()
{
	usrpci -q run "$edu" -- grep CapEff /proc/self/status | grep -q 0000000000000000
	usrpci -q bind "$nic"
	expect_fail 1 "the broker does not open it|Permission denied" usrpci -q run "$edu" -- "$examples/ping" -c 1 "$nic"
	usrpci -q restore "$nic"
}

lend_run_vfio@lends-a-nic-whose-driver-works-again-afterwards()
{
	expect_output "lost: 0" usrpci -q run "$nic" -- "$examples/ping" -c 3 -i 0.1 "$nic"
	works_with_its_kernel_driver "$nic"
}

lend_run_vfio@takes-a-device-back-from-a-program-that-is-killed-while-it-writes-to-memory()
{
	kill_while_edu_writes "${USRPCI_KILLS:-1}"
}

# slow
lend_run_vfio@takes-a-nic-back-from-a-program-that-is-killed-while-it-receives()
{
	kill_while_nic_receives "${USRPCI_KILLS:-2}"
	expect_output "lost: 0" usrpci -q run "$nic" -- "$examples/ping" -c 3 -i 0.1 "$nic"
	works_with_its_kernel_driver "$nic"
}

lend_run_vfio@stops-a-nic-that-has-no-reset-of-pcis()
{
	stop_a_nic_without_reset
}

# The cause is the link's. A line left asserted would be disabled for all devices that share it.
lend_run_vfio@silences-a-nic-whose-program-was-killed-with-an-interrupt-pending()
{
	local ims=0xd0 ics=0xc8 link=4
	{
		printf '%s\n' "open $nic" "map 0" "enable intx 1" "write 0 4 $ims $link" "write 0 4 $ics $link"
		sleep 1
		pkill -KILL -x probe
	} | expect_fail 137 ok usrpci -q run "$nic" -- "$USRPCI_BUILD/tests/qemu/probe"
	expect_output "lost: 0" usrpci -q run "$nic" -- "$examples/ping" -c 3 -i 0.1 --irq intx "$nic"
}

lend_run_vfio@recovers-from-a-broker-that-is-killed()
{
	local broker
	drive_edu
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 10 no_process lend_drive
	usrpci -q restore --all
	expect_same "$(driver_of "$edu")" ""
	expect_same "$(usrpci ps)" ""
}

lend_run_vfio@serves-a-program-that-opens-the-device-again()
{
	usrpci -q run "$edu" -- sh -c "'$examples/edu_dma' $edu && '$examples/edu_dma' $edu"
}

# A node that was bound for a user is that user's, so that opening it takes a capability.
lend_run_vfio@leaves-who-answers-the-program-no-capabilities()
{
	usrpci -q run "$edu" -- sleep 1000 &
	wait_for 20 serving_process_has 00000000
	kill -TERM $!
	wait $! || true
	usrpci -q bind --user daemon "$edu"
	usrpci -q run "$edu" -- sh -c "'$examples/edu_dma' $edu && sleep 1000" >"$scratch/said" &
	wait_for 20 grep -q equal "$scratch/said"
	serving_process_has 00000002
	kill -TERM $!
	wait $! || true
	usrpci -q restore "$edu"
}

lend_run_vfio@lends-two-devices-to-two-programs()
{
	rm -f /tmp/lend_drive
	expect_output "lost: 0" usrpci -q run "$nic" "$edu" -- sh -c \
		"'$drive' $edu & until test -e /tmp/lend_drive; do sleep 0.1; done
		'$examples/ping' -c 3 -i 0.1 $nic; kill \$!"
}

group=/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$edu/iommu_group")")

# left_behind WHAT HOW PASSED...: the device stays until the keeper is gone.
left_behind()
{
	local what=$1 how=$2
	shift 2
	keeper "$how"
	expect_fail 4 "$what" usrpci -q run "$edu" -- "$keep" pass "$@"
	expect_same "$(driver_of "$edu")" vfio-pci
	usrpci -q run "$nic" -- true || true
	end_keeper
	usrpci -q restore --all
	expect_same "$(driver_of "$edu")" ""
}

# A device's own descriptor keeps the group open when nothing else does; in a socket /proc does not show it.
# slow
lend_run_vfio@keeps-a-device-whose-descriptor-was-passed-on()
{
	left_behind "lend_keep. has a device of vfio's open" hold "$group" "$edu"
	left_behind "lend_keep. has a device of vfio's registered with an io_uring" ring "$group" "$edu"
	left_behind "keeps the group [0-9]* open" unread "$group" "$edu"
}

lend_run_vfio@keeps-a-device-whose-registers-are-mapped()
{
	left_behind "lend_keep. has a device of vfio's mapped" map "$group" "$edu"
}

# By the group, others could open the device again; its memory's addresses lead to nothing when the device is back.
lend_run_vfio@keeps-a-device-whose-group-was-passed-on-but-none-whose-container-was()
{
	left_behind "lend_keep. has $group open" hold "$group"
	keeper hold
	usrpci -q run "$edu" -- "$keep" pass "$group" container
	expect_same "$(driver_of "$edu")" ""
	expect_output "equal" usrpci -q run "$edu" -- "$examples/edu_dma" "$edu"
	end_keeper
}

# The kernel waits until the card is closed, and says so to the driver.
lend_run_vfio@an-interface-is-served-until-its-card-is-pulled-out()
{
	local card=0000:01:00.0 interface net status=0
	[ -e /sys/bus/virtio/drivers/virtio_net ] || modprobe virtio_net
	wait_for 10 compgen -G "/sys/bus/pci/devices/$card/virtio*/net/*"
	interface=$(basename /sys/bus/pci/devices/$card/virtio*/net/*)
	address_up "$interface"
	usrpci net --restart "$interface" >"$scratch/net" 2>&1 &
	net=$!
	wait_for 20 is_running usrpci-driver
	wait_for 20 ping_gateway "$interface"
	expect_same "$(driver_of $card)" vfio-pci "the driver"
	kill -KILL "$(pids_of usrpci-driver)"
	wait_for 20 ping_gateway "$interface"
	monitor device_del nic3
	wait $net || status=$?
	cat "$scratch/net"
	expect_same $status 1 "the exit status"
	grep -q 'the kernel wants the card back' "$scratch/net"
	wait_for 20 test ! -e /sys/bus/pci/devices/$card
	[ ! -e "/sys/class/net/$interface" ]
	is_not_lent $card
}
