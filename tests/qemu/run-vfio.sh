# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# run-vfio: devices behind an IOMMU are lent to a program and taken back
#
# vm: --iommu --nic e1000 --device edu,dma_mask=0xffffffff --mem 512M
# case-deadline: 300

nic=0000:00:01.0
edu=0000:00:02.0
examples=$USRPCI_BUILD/examples
drive=$USRPCI_BUILD/tests/qemu/lend_drive

# Up, it would be given a route by the network, and then be in use.
quiet_interface()
{
	ip address flush dev "$(interface_of "$nic")"
	ip link set dev "$(interface_of "$nic")" down
}

is_lent()
{
	usrpci ps | grep -q "$1"
}

run-vfio@lends-edu-to-nobody()
{
	expect_output "through the backend vfio" usrpci -q run "$edu" -- "$examples/edu_dma" "$edu"
	expect_same "$(driver_of "$edu")" ""
}

run-vfio@gives-the-program-no-privileges-and-no-other-device()
{
	usrpci -q run "$edu" -- grep CapEff /proc/self/status | grep -q 0000000000000000
	expect_fail 1 "." usrpci -q run "$edu" -- "$examples/ping" -c 1 "$nic"
}

run-vfio@lends-a-nic-whose-driver-works-again-afterwards()
{
	expect_output "lost: 0" usrpci -q run "$nic" -- "$examples/ping" -c 3 -i 0.1 "$nic"
	address_up "$(interface_of "$nic")"
	ping_gateway "$(interface_of "$nic")"
	quiet_interface
}

# USRPCI_KILLS=200 is the long run.
run-vfio@takes-a-device-back-from-a-program-that-is-killed-while-it-writes-to-memory()
{
	local i broker
	usrpci -q bind "$edu"
	for i in $(seq "${USRPCI_KILLS:-4}"); do
		usrpci -q run "$edu" -- "$drive" "$edu" &
		broker=$!
		wait_for 20 test -e /tmp/lend_drive
		sleep "0.0$((RANDOM % 90 + 10))"
		pkill -KILL lend_drive
		wait "$broker" || true
		rm -f /tmp/lend_drive
		"$USRPCI_BUILD/tests/qemu/stray_dma" || fail "stray DMA after kill $i"
	done
	usrpci -q run "$edu" -- "$examples/edu_dma" "$edu"
	usrpci -q restore "$edu"
}

run-vfio@recovers-from-a-broker-that-is-killed()
{
	usrpci -q run "$edu" -- "$drive" "$edu" &
	local broker=$!
	wait_for 20 test -e /tmp/lend_drive
	kill -KILL "$broker"
	wait "$broker" || true
	rm -f /tmp/lend_drive
	wait_for 10 no_driver_program
	usrpci -q restore --all
	expect_same "$(driver_of "$edu")" ""
	expect_same "$(usrpci ps)" ""
}

no_driver_program()
{
	! pgrep lend_drive >/dev/null
}

run-vfio@serves-a-program-that-opens-the-device-again()
{
	usrpci -q run "$edu" -- sh -c "'$examples/edu_dma' $edu && '$examples/edu_dma' $edu"
}
