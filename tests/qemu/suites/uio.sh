# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Devices under uio_pci_generic in a real kernel, with lspci and setpci as oracles.
#
# vm: --no-drivers --nic e1000 --device edu --nic rtl8139 --nic rtl8139
# vm: --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0
# vm: --device pcie-root-port,id=rp1,chassis=1 --nic e1000e,bus=rp1 --device secondary-vga

e1000=0000:00:01.0
edu=0000:00:02.0
rtl8139=0000:00:03.0
port=0000:00:05.0
vga=0000:00:07.0
hotplug=0000:01:00.0
hotplug2=0000:02:00.0
probe=$USRPCI_BUILD/tests/qemu/probe

setup()
{
	load_driver uio_pci_generic
}

teardown()
{
	local device
	[ -z "${probe_pid:-}" ] || kill -KILL "$probe_pid" 2>/dev/null || true
	for device in /sys/bus/pci/drivers/uio_pci_generic/0000:*; do
		[ ! -e "$device" ] || echo "${device##*/}" >/sys/bus/pci/drivers/uio_pci_generic/unbind
	done
}

give_to_uio()
{
	echo uio_pci_generic >"/sys/bus/pci/devices/$1/driver_override"
	echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = uio_pci_generic ]
}

# Starts a probe that tell() and ask() talk to; what the library reports goes to $scratch/log.
start_probe()
{
	mkfifo "$scratch/questions" "$scratch/answers" 2>/dev/null || true
	"$probe" <"$scratch/questions" >"$scratch/answers" 2>>"$scratch/log" 8<&- 9>&- &
	probe_pid=$!
	exec 9>"$scratch/questions" 8<"$scratch/answers"
}

ask()
{
	local answer
	echo "$*" >&9
	read -r -t 20 answer <&8 || fail "no answer to: $*"
	echo "$answer"
}

# tell COMMAND: it succeeds.
tell()
{
	expect_answer ok "$@"
}

expect_answer()
{
	local want=$1
	shift
	expect_same "$(ask "$@")" "$want" "$*"
}

stop_probe()
{
	exec 9>&- 8<&-
	wait "$probe_pid"
	probe_pid=
}

use()
{
	give_to_uio "$1"
	start_probe
	tell open "$1"
}

# The value of a register as setpci has it.
oracle()
{
	echo "0x$(setpci -s "$1" "$2" | sed 's/^0*\(.\)/\1/')"
}

uio@registers-of-edu-are-read-and-written()
{
	use $edu
	expect_answer uio backend
	tell map 0
	expect_answer 0x10000ed read 0 4 0
	tell write 0 4 4 0x12345678
	expect_answer 0xedcba987 read 0 4 4
	expect_answer 0xedcba987 peek 0 4
	tell write 0 4 8 5
	wait_for 5 eval '[ "$(ask read 0 4 0x20)" = 0x0 ]'
	expect_answer 0x78 read 0 4 8
	stop_probe
}

uio@opening-changes-nothing-and-closing-stops-the-device()
{
	give_to_uio $edu
	setpci -s $edu COMMAND=100:507
	start_probe
	tell open $edu
	expect_same "$(oracle $edu COMMAND)" 0x100
	tell map 0
	tell master on
	expect_same "$(oracle $edu COMMAND)" 0x106
	tell close
	expect_same "$(oracle $edu COMMAND)" 0x102
	stop_probe
}

uio@interrupts-are-waited-for-unmasked-and-counted()
{
	use $edu
	tell map 0
	tell enable intx 1
	expect_answer "error ETIMEDOUT" wait intx 0 0
	for value in 1 2 4 8 16; do
		tell write 0 4 0x60 $value
		expect_answer 0x1 wait intx 0 2000
		expect_answer "error ETIMEDOUT" wait intx 0 10
		expect_answer "0x$(printf %x $value)" read 0 4 0x24
		tell write 0 4 0x64 $value
		tell unmask intx 0
	done
	stop_probe
}

uio@an-interrupt-that-is-not-silenced-comes-again()
{
	use $edu
	tell map 0
	tell enable intx 1
	tell write 0 4 0x60 1
	expect_answer 0x1 wait intx 0 2000
	tell unmask intx 0
	expect_answer 0x1 wait intx 0 2000
	tell write 0 4 0x64 1
	tell unmask intx 0
	expect_answer "error ETIMEDOUT" wait intx 0 50
	stop_probe
}

uio@interrupts-of-an-earlier-program-are-not-taken()
{
	use $edu
	tell map 0
	tell enable intx 1
	tell write 0 4 0x60 1
	stop_probe
	start_probe
	tell open $edu
	tell map 0
	tell write 0 4 0x64 1
	tell enable intx 1
	expect_answer "error ETIMEDOUT" wait intx 0 50
	tell write 0 4 0x60 2
	expect_answer 0x1 wait intx 0 2000
	tell write 0 4 0x64 2
	stop_probe
}

uio@message-interrupts-are-refused-with-the-cure()
{
	use $edu
	expect_answer "error EOPNOTSUPP" enable msi 1
	grep -q "hint: .*usrpci bind $edu --driver vfio-pci" "$scratch/log"
	stop_probe
}

uio@configuration-space-is-what-lspci-and-setpci-see()
{
	local register width
	give_to_uio $hotplug
	start_probe
	tell open $hotplug
	expect_answer 0x1000 size
	expect_same "$(ask config-dump)" \
		"$(lspci -xxxx -s $hotplug | sed -n 's/^[0-9a-f]*: //p' | tr '\n' ' ' | sed 's/ $//')"
	for register in 0.w 2.w 8.l 2c.l 3d.b 100.l; do
		width=$(tr -d '0-9a-f.' <<<"${register#*.}" | tr bwl 124)
		case $register in *.b) width=1 ;; *.w) width=2 ;; *) width=4 ;; esac
		expect_same "$(ask config-read $width 0x${register%.*})" \
			"$(oracle $hotplug "${register%.*}.${register#*.}")" "$register"
	done
	stop_probe
}

uio@capabilities-are-those-that-lspci-lists()
{
	local device
	start_probe
	for device in $hotplug $e1000 $edu 0000:00:05.0; do
		tell inspect $device
		expect_same "$(ask caps | xargs)" \
			"$(lspci -vv -s $device | sed -n 's/.*Capabilities: \(\[[0-9a-f]*\).*/\1]/p' | xargs)" \
			"capabilities of $device"
		tell close
	done
	stop_probe
}

uio@a-write-to-configuration-space-is-seen-by-setpci()
{
	use $edu
	tell config-write 1 0x3c 0x5a
	expect_same "$(oracle $edu 3c.b)" 0x5a
	expect_answer "error ERANGE" config-read 4 0x100
	expect_answer "error EINVAL" config-read 4 0x2
	stop_probe
}

# An RTL8139 has the same registers in ports and in memory; those of its multicast filter, from 8 on,
# keep what is written.
uio@ports-lead-to-the-same-registers-as-memory()
{
	use $rtl8139
	tell map 0
	tell map 1
	tell write 0 4 8 0x44332211
	expect_answer 0x44332211 read 1 4 8
	tell write 0 1 9 0xaa
	tell write 0 2 10 0xccbb
	expect_answer 0xccbbaa11 read 1 4 8
	tell write 1 4 8 0x88776655
	expect_answer 0x55 read 0 1 8
	expect_answer 0x8877 read 0 2 10
	expect_answer 0x88776655 peek 0 8
	expect_answer "error EINVAL" read 0 8 8
	stop_probe
}

# The kernel's list of memory types has the mapping for as long as it is there.
uio@stores-are-combined-where-they-are-asked-to-be()
{
	local list=/sys/kernel/debug/x86/pat_memtype_list
	mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
	use $vga
	expect_answer 0x1 map-wc 0
	[ ! -e $list ] || grep -q write-combining $list
	tell write 0 4 0 0x12345678
	expect_answer 0x12345678 read 0 4 0
	tell unmap 0
	[ ! -e $list ] || ! grep -q write-combining $list
	expect_answer 0x0 map-wc 2
	stop_probe
}

uio@libpciaccess-leads-to-the-same-registers()
{
	local over probe
	need_pciaccess probe
	probe=$over
	give_to_uio $rtl8139
	start_probe
	tell open pciaccess:$rtl8139
	expect_answer pciaccess backend
	expect_answer 0x100 size
	tell map 0
	tell map 1
	tell write 0 4 8 0x44332211
	expect_answer 0x44332211 read 1 4 8
	tell write 0 1 9 0xaa
	tell write 1 2 10 0xccbb
	expect_answer 0xccbbaa11 read 0 4 8
	expect_answer 0xaa read 0 1 9
	tell config-write 1 0x3c 0x5a
	expect_same "$(oracle $rtl8139 3c.b)" 0x5a
	expect_answer "error EOPNOTSUPP" enable intx 1
	tell close
	tell inspect pciaccess:$hotplug
	expect_answer 0x1000 size
	expect_same "$(ask config-dump)" \
		"$(lspci -xxxx -s $hotplug | sed -n 's/^[0-9a-f]*: //p' | tr '\n' ' ' | sed 's/ $//')"
	stop_probe
}

uio@libpciaccess-takes-no-device-of-another()
{
	local over
	need_pciaccess probe
	use $edu
	expect_same "$(echo "open pciaccess:$edu" | "$over" 2>&1 | tail -n 1)" "error EBUSY"
	stop_probe
	expect_same "$(echo "open pciaccess:$edu" | "$over" 2>&1)" ok
	output=$(echo "open pciaccess:$port" | "$over" 2>&1)
	grep -q "the kernel's driver pcieport holds it" <<<"$output"
}

# SeaBIOS gives every BAR a page of its own; Linux, asked to place them anew, does not.
uio@bars-smaller-than-a-page-are-found-in-it()
{
	local device starts=''
	for device in $rtl8139 0000:00:04.0; do
		setpci -s $device COMMAND=0 BASE_ADDRESS_0=0 BASE_ADDRESS_1=0
		echo 1 >/sys/bus/pci/devices/$device/remove
	done
	echo 1 >/sys/bus/pci/rescan
	for device in $rtl8139 0000:00:04.0; do
		starts+=" $(sed -n '2s/^0x[0-9a-f]*\([0-9a-f]\{3\}\) .*/\1/p' /sys/bus/pci/devices/$device/resource)"
		use $device
		tell map 1
		expect_same "$(for byte in 0 1 2 3 4 5; do ask read 1 1 $byte; done | xargs)" \
			"0x52 0x54 0x0 0x12 0x34 0x$((57 + (${device:9:1} - 3)))"
		stop_probe
	done
	note "BARs begin at$starts of their pages"
	[ "$starts" != " 000 000" ] || fail "both begin with their page: this shows nothing"
}

uio@a-second-opener-is-refused()
{
	use $edu
	tell master on
	output=$(echo "open $edu" | "$probe" 2>&1)
	echo "$output"
	grep -qx "error EBUSY" <<<"$output"
	grep -q "another program has /dev/uio0 open" <<<"$output"
	[ $((0x$(setpci -s $edu COMMAND) & 4)) = 4 ] || fail "bus mastering of the first was switched off"
	tell close
	output=$(echo "open $edu" | "$probe" 2>&1)
	grep -qx ok <<<"$output"
	stop_probe
}

uio@a-killed-program-leaves-a-stopped-device()
{
	use $edu
	tell master on
	kill -KILL "$probe_pid"
	wait "$probe_pid" || true
	probe_pid=
	wait_for 5 eval "[ \$(( 0x\$(setpci -s $edu COMMAND) & 4 )) = 0 ]"
	use $edu
	stop_probe
}

uio@a-device-that-is-not-userspaces-is-refused()
{
	start_probe
	expect_answer "error EBUSY" open $port
	grep -q "$port: the kernel's driver pcieport holds it" "$scratch/log"
	expect_answer "error ENXIO" open 0000:00:04.0
	grep -q "hint: usrpci bind 0000:00:04.0" "$scratch/log"
	stop_probe
}

uio@an-unprivileged-user-sees-the-header()
{
	printf 'inspect %s\nsize\nconfig-read 2 0\ncaps\nconfig-write 1 0x3c 1\n' $hotplug |
		setpriv --reuid=65534 --regid=65534 --clear-groups "$probe" >"$scratch/seen"
	expect_same "$(cat "$scratch/seen")" "ok
0x40
0x8086
error EACCES
error EACCES"
}

uio@an-unplugged-device-ends-every-call()
{
	use $hotplug
	tell map 0
	tell enable intx 1
	echo "wait intx 0 20000" >&9 # a poll, then a read
	sleep 0.3
	monitor device_del nic3
	read -r -t 25 answer <&8
	expect_same "$answer" "error ENODEV"
	wait_for 10 test ! -e /sys/bus/pci/devices/$hotplug
	expect_answer "error ENODEV" config-read 4 0
	expect_answer "error ENODEV" config-write 2 4 0
	expect_answer "error ENODEV" unmask intx 0
	expect_answer "error ENODEV" master on
	ask peek 0 8
	tell unmap 0
	tell close
	expect_answer "error ENODEV" open $hotplug
	stop_probe
	grep -q "$hotplug: the device is gone" "$scratch/log"
}

uio@a-wait-without-limit-ends-with-an-unplug()
{
	use $hotplug2
	tell enable intx 1
	echo "wait intx 0 -1" >&9 # a read at once
	sleep 0.3
	monitor device_del nic4
	read -r -t 25 answer <&8
	expect_same "$answer" "error ENODEV"
	stop_probe
}

# The last case: what is locked stays locked until the machine ends.
uio@lockdown-is-named-with-the-way-round()
{
	give_to_uio $edu
	mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security
	echo integrity >/sys/kernel/security/lockdown || skip "this kernel has no lockdown"
	setpci -s $edu COMMAND=0:2 || true
	start_probe
	tell open $edu
	expect_answer "error EPERM" map 0
	expect_answer "error EPERM" enable intx 1
	grep -q "lockdown forbids it; vfio-pci works: usrpci bind $edu " "$scratch/log"
	stop_probe
}
