# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The command on a real kernel, with lspci, setpci and driverctl as oracles.
#
# vm: --nic e1000 --device edu --disk nvme --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0
# vm: --disk virtio-blk-pci,size=16M --append "hugepages=8"

nic=0000:00:01.0
edu=0000:00:02.0
disk=0000:00:03.0
port_disk=0000:00:05.0
other_nic=0000:01:00.0

teardown()
{
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
	ip address flush dev "$(interface_of $nic)"
}

# fastest ROUNDS COMMAND...: milliseconds of each, the best of as many rounds, in turn, so that what
# else this machine does meets them all.
fastest()
{
	local rounds=$1 round start took command
	local -A best
	shift
	for ((round = 0; round < rounds; round++)); do
		for command in "$@"; do
			start=${EPOCHREALTIME/./}
			$command >/dev/null
			took=$(((${EPOCHREALTIME/./} - start) / 1000))
			[ "$took" -ge "${best[$command]:-99999}" ] || best[$command]=$took
		done
	done
	for command in "$@"; do
		echo "${best[$command]}"
	done
}

list@shows-the-devices-ids-and-drivers-that-lspci-shows()
{
	expect_same "$(usrpci list -o addr,id,driver --no-headings | sed 's/ *$//')" \
		"$(lspci -Dnk | awk '
			/^[0-9a-f]/ { if (line) print line; line = $1 " " $3 }
			/driver in use/ { line = line " " $NF }
			END { print line }')"
}

list@shows-the-drivers-that-driverctl-shows()
{
	command -v driverctl >/dev/null || skip "driverctl is not installed"
	expect_same "$(usrpci list -o addr,driver --no-headings | awk '{ print $1, $2 ? $2 : "(none)" }')" \
		"$(driverctl -v list-devices | awk '{ print $1, $2 }')"
}

list@shows-interfaces-and-disks()
{
	expect_same "$(usrpci list -o if --no-headings $nic $disk $other_nic)" \
		"$(interface_of $nic; echo nvme0n1; interface_of $other_nic)"
}

list@is-faster-than-lspci()
{
	local -a took
	mapfile -t took < <(fastest 10 "usrpci list" "lspci -nnk" /bin/true)
	note "usrpci list: ${took[0]} ms, lspci -nnk: ${took[1]} ms, an empty program: ${took[2]} ms"
	[ "${took[0]}" -lt "${took[1]}" ]
}

show@sees-less-without-root-and-says-so()
{
	expect_output 'cannot be read without root' setpriv --reuid 65534 --clear-groups usrpci show $nic
	expect_output '82574L' usrpci show $other_nic
	expect_output 'MSI-X \(5\)' usrpci show $other_nic
}

config@reads-what-setpci-reads()
{
	local register
	for register in VENDOR_ID DEVICE_ID STATUS REVISION CLASS_DEVICE BASE_ADDRESS_0 INTERRUPT_PIN \
		CAP_MSI+2.w CAP_MSIX+4.l CAP_EXP+c.l CAP_PM+4.w ECAP_AER+8.l 3d.b 2c.l; do
		expect_same "$(usrpci config $other_nic read $register)" \
			"0x$(setpci -s $other_nic $register)" $register
	done
}

config@dumps-what-lspci-dumps()
{
	expect_same "$(usrpci config $other_nic dump | grep '^[0-9a-f]*: ')" \
		"$(lspci -xxxx -s $other_nic | grep '^[0-9a-f]*: ')"
}

config@writes-what-setpci-reads()
{
	usrpci config $edu write COMMAND 400:400
	expect_same "$(setpci -s $edu COMMAND | cut -c2)" 5
	usrpci config $edu write COMMAND 0:400
	expect_same "$(setpci -s $edu COMMAND | cut -c2)" 1
	usrpci config $edu write INTERRUPT_LINE 5
	expect_same "$(setpci -s $edu INTERRUPT_LINE)" 05
}

config@prints-a-dry-run-that-does-the-same()
{
	usrpci -n config $edu write INTERRUPT_LINE 7 | sh
	expect_same "$(usrpci config $edu read INTERRUPT_LINE)" 0x07
}

bar@lets-a-device-compute()
{
	expect_same "$(usrpci bar $edu read 0 0)" 0x010000ed
	usrpci bar $edu write 0 8 5
	expect_same "$(usrpci bar $edu read 0 8)" 0x00000078
	usrpci bar $edu write 0 4 0f0f0f0f
	expect_output '^000000: 010000ed f0f0f0f0 00000078' usrpci bar $edu dump 0 0 c
}

# A legacy virtio disk without a driver: its capacity in sectors (Virtio 1.1, 4.1.4.8 and 5.2.4).
bar@reads-ports()
{
	usrpci -q bind $port_disk
	expect_same "$(usrpci bar $port_disk read 0 14)" 0x00008000
	expect_same "$(usrpci bar $port_disk read 0 14.w)" 0x8000
}

bind@takes-all-devices-or-none()
{
	ip address add 10.9.9.9/24 dev "$(interface_of $nic)"
	expect_fail 5 'carries 10.9.9.9/24' usrpci bind $other_nic $nic
	expect_same "$(driver_of $other_nic) $(driver_of $nic)" "e1000e e1000"
	expect_output 'nothing to restore' usrpci restore $other_nic
}

bind@goes-back-to-the-driver-of-before-the-call()
{
	usrpci -q bind $edu
	ip address add 10.9.9.9/24 dev "$(interface_of $nic)"
	expect_fail 5 'carries 10.9.9.9/24' usrpci -q bind $edu $nic --driver pci-stub
	expect_same "$(driver_of $edu)" uio_pci_generic
	usrpci -q restore $edu
	expect_same "$(driver_of $edu)" ""
}

bind@tells-programs-what-it-did()
{
	expect_same "$(usrpci -q bind $nic $edu --json | jq -c .devices[])" \
		"{\"addr\":\"$nic\",\"was\":\"e1000\",\"driver\":\"uio_pci_generic\"}
{\"addr\":\"$edu\",\"was\":null,\"driver\":\"uio_pci_generic\"}"
	expect_same "$(usrpci list -o addr,origin --no-headings $nic $edu)" "$nic e1000
$edu none"
	expect_same "$(usrpci -q restore --all --json | jq -c .devices[])" \
		"{\"addr\":\"$nic\",\"was\":\"uio_pci_generic\",\"driver\":\"e1000\"}
{\"addr\":\"$edu\",\"was\":\"uio_pci_generic\",\"driver\":null}"
}

bind@prints-a-dry-run-that-does-the-same()
{
	usrpci -n bind $nic | sed 's/^echo > /echo "" > /' >"$scratch/script"
	expect_same "$(driver_of $nic)" e1000
	sh -e "$scratch/script"
	expect_same "$(driver_of $nic)" uio_pci_generic
	echo >/sys/bus/pci/devices/$nic/driver_override
	echo $nic >/sys/bus/pci/drivers/uio_pci_generic/unbind
	echo $nic >/sys/bus/pci/drivers_probe
	expect_same "$(driver_of $nic)" e1000
}

bind_and_restore()
{
	usrpci -q bind $edu
	usrpci -q restore $edu
}

# An empty program shows how busy this machine is.
bind@and-restore-are-done-in-600-ms()
{
	local -a took
	mapfile -t took < <(fastest 6 bind_and_restore /bin/true)
	note "usrpci bind and restore: ${took[0]} ms, an empty program: ${took[1]} ms"
	[ "${took[0]}" -le 600 ] || [ "${took[0]}" -le $((12 * took[1])) ]
}

check@is-ready-once-all-is-done()
{
	expect_fail 3 "missing.*$edu has no driver" usrpci check $edu
	usrpci -q bind $edu
	expect_output '^ready$' usrpci check $edu
}
