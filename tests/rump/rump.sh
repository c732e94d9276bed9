# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# rump: the hypercalls, called as a rump kernel's PCI component calls them (kernel_side.c), on edu and e1000
#
# vm: ${RUMP_MACHINE:-} --append "hugepages=32"
# vm: --nic e1000 --device edu,dma_mask=0xffffffff --nic e1000
# vm: --device edu,multifunction=on,addr=4.0 --device edu,addr=4.2 --device e1000,addr=4.7,romfile= --nic virtio-net-pci

# shellcheck source=tests/rump/common.sh
. "$USRPCI_SOURCE/tests/rump/common.sh"
# shellcheck source=tests/qemu/lib_nvme.sh
. "$USRPCI_SOURCE/tests/qemu/lib_nvme.sh"

kernel_side=$USRPCI_BUILD/tests/rump/kernel_side
card=0000:00:01.0
driver=${USRPCI_RUMP_DRIVER:-uio_pci_generic}

# As root may be the only one who can read this tree.
standin()
{
	mkdir -p /run/standin
	chmod a+x /root
	ln -sfn "$USRPCI_BUILD/tests/rump" /run/standin/lib
	export RUMP_PREFIX=/run/standin
}

setup()
{
	local device
	load_driver "$driver"
	for device in 1.0 2.0 3.0 4.0 4.2 4.7; do
		give_to 0000:00:0$device "$driver"
	done
	export USRPCI_RUMP=00:01.0,00:02.0,00:03.0
}

rump@lays-bound-devices-out-in-the-order-of-their-addresses()
{
	unset USRPCI_RUMP
	expect_same "$("$kernel_side" enumerates)" "0.0 100e8086
1.0 11e81234
2.0 100e8086
3.0 11e81234
3.1 11e81234
3.2 100e8086"
}

rump@lays-named-devices-out-in-the-order-of-their-names()
{
	expect_same "$(USRPCI_RUMP=00:02.0,00:01.0 "$kernel_side" enumerates)" "0.0 11e81234
1.0 100e8086"
}

rump@keeps-the-functions-of-a-device-together()
{
	expect_same "$(USRPCI_RUMP=00:04.7,00:01.0,00:04.0 "$kernel_side" enumerates)" "0.0 11e81234
0.1 100e8086
1.0 100e8086"
}

# Whatever functions are given, the rump kernel finds a function 0, and the bit that makes it look further.
rump@shows-one-function-alone-as-a-whole-device()
{
	expect_same "$(USRPCI_RUMP=00:04.7 "$kernel_side" enumerates)" "0.0 100e8086"
}

rump@passes-over-a-device-that-is-named-twice-or-does-not-exist()
{
	expect_same "$(USRPCI_RUMP=00:02.0,00:1f.7,00:02.0 "$kernel_side" enumerates)" "0.0 11e81234"
}

rump@says-once-what-is-wrong-with-a-name()
{
	expect_same "$(USRPCI_RUMP=nonsense,00:02.0 "$kernel_side" enumerates 2>&1 | grep -c nonsense)" 1
}

rump@sizes-and-maps-bars-without-moving-them()
{
	local before
	before=$(lspci -xs 00:02.0)
	"$kernel_side" maps
	expect_same "$(lspci -xs 00:02.0 | sed -n 3p)" "$(sed -n 3p <<<"$before")"
}

rump@leaves-the-status-register-alone()
{
	"$kernel_side" keeps-status-bits
}

rump@allocates-dma-memory-of-any-size-and-alignment()
{
	"$kernel_side" allocates
}

rump@needs-no-more-memory-after-a-thousand-times-down-and-up()
{
	"$kernel_side" goes-down-and-up
}

rump@maps-several-segments-as-one()
{
	"$kernel_side" maps-several-segments
}

rump@translates-kernel-memory-linearly()
{
	"$kernel_side" translates-kernel-memory
}

rump@delivers-interrupts-to-a-kernel-thread()
{
	"$kernel_side" delivers-interrupts
}

rump@tells-when-the-handlers-of-an-interrupt-are-done()
{
	"$kernel_side" tells-when-handlers-are-done
}

rump@keeps-interrupts-when-a-driver-writes-back-that-they-are-masked()
{
	"$kernel_side" keeps-interrupts-enabled
}

rump@leaves-devices-alone-when-a-child-of-the-process-ends()
{
	"$kernel_side" outlives-a-child
}

rump@finds-a-device-at-rest-whose-last-driver-was-killed()
{
	expect_fail 137 "" "$kernel_side" is-killed-while-a-nic-works
	"$kernel_side" finds-a-nic-at-rest
}

rump@moves-data-both-ways()
{
	"$kernel_side" moves-data
}

# Under vfio the end of memory is what may be locked, not the machine's.
rump@goes-on-after-memory-was-exhausted()
{
	expect_output "out of memory" prlimit --memlock=$((64 << 20)) \
		setpriv --bounding-set=-ipc_lock "$kernel_side" survives-exhaustion
	expect_same "$(grep -c "out of memory" <<<"$output")" 1
	[ "$(grep -c "^usrpci-rump: " <<<"$output")" -le 4 ] || fail "the same is said again and again"
	expect_same "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" 32
}

rump@does-not-start-without-memory()
{
	echo 0 >/proc/sys/vm/nr_hugepages
	expect_fail 1 "cannot start without memory" prlimit --memlock=65536 \
		setpriv --bounding-set=-ipc_lock "$kernel_side" enumerates
	echo 32 >/proc/sys/vm/nr_hugepages
}

rump@says-why-it-panics-where-its-messages-go-to-a-file()
{
	local status=0
	"$kernel_side" panics >"$scratch/said" || status=$?
	expect_same "$status" 134
	grep -x "panic: a reason" "$scratch/said"
}

rump@says-which-device-no-driver-takes-and-why()
{
	export USRPCI_RUMP=00:02.0,00:01.0
	expect_output "0000:00:01.0: no driver takes it: those that use its I/O ports cannot, since this" \
		"$kernel_side" has-no-driver
	expect_output "0000:00:02.0: no driver of this rump kernel takes it" "$kernel_side" has-no-driver
	expect_output "0000:00:01.0: no driver takes it without I/O ports" \
		env USRPCI_RUMP_PORTS=0 "$kernel_side" has-no-driver-with-ports
	expect_output "0000:00:01.0: no driver of this rump kernel takes it" \
		"$kernel_side" has-no-driver-with-ports
}

rump@does-port-instructions-for-a-process-without-the-permission()
{
	give_to 0000:00:05.0 "$driver"
	USRPCI_RUMP=00:05.0 setpriv --bounding-set=-sys_rawio --inh-caps=-sys_rawio "$kernel_side" uses-ports
	expect_fail 139 "" "$kernel_side" faults
}

rump@says-once-that-it-was-loaded-after-the-kernel()
{
	expect_output "load libusrpci-rump.so before librump" "$kernel_side" starts-with-other-memory
	expect_same "$(grep -c "before librump" <<<"$output")" 1
}

lent()
{
	usrpci -q run --driver "$driver" --hugepages 4 -u nobody 00:02.0 -- "$kernel_side" enumerates 2>&1
}

rump@takes-the-devices-that-are-lent-to-it-without-their-names()
{
	chmod a+x /root
	unset USRPCI_RUMP
	expect_same "$(lent | grep -E '^[0-9]|root|lent')" "0.0 11e81234"
}

rump@says-that-a-named-device-is-not-lent()
{
	chmod a+x /root
	USRPCI_RUMP=00:01.0 lent >"$scratch/said" || true
	grep -q "0000:00:01.0: .*; only other devices are lent to this program" "$scratch/said"
	expect_same "$(wc -l <"$scratch/said")" 1
}

rump@says-once-that-another-program-has-the-device()
{
	local kernel
	"$kernel_side" holds-a-device >"$scratch/held" 2>&1 &
	kernel=$!
	wait_for 10 grep -qx holding "$scratch/held"
	USRPCI_RUMP=00:02.0 "$kernel_side" enumerates >"$scratch/said" 2>&1 || true
	kill $kernel
	wait $kernel || true
	cat "$scratch/said"
	grep -q "^usrpci-rump: 0000:00:02.0: .*another program" "$scratch/said"
	expect_same "$(wc -l <"$scratch/said")" 1
}

# Under vfio the host waits until the program has ended; under uio the device is gone at once.
rump@says-that-a-device-is-wanted-back()
{
	local kernel host
	"$kernel_side" holds-a-device >"$scratch/said" 2>&1 &
	kernel=$!
	wait_for 10 grep -qx holding "$scratch/said"
	echo 0000:00:02.0 >"/sys/bus/pci/drivers/$driver/unbind" &
	host=$!
	wait_for 20 grep -Eq "0000:00:02.0: (the host wants the device back|interrupts end)" "$scratch/said"
	kill $kernel
	wait $kernel || true
	wait $host
	expect_same "$(driver_of 0000:00:02.0)" ""
}

rump@tells-a-program-that-its-device-is-wanted-back()
{
	local kernel
	"$kernel_side" holds-a-device-until-it-is-told >"$scratch/said" 2>&1 &
	kernel=$!
	wait_for 10 grep -qx holding "$scratch/said"
	echo 0000:00:02.0 >"/sys/bus/pci/drivers/$driver/unbind"
	wait $kernel
	cat "$scratch/said"
	grep -qx told "$scratch/said"
	expect_same "$(driver_of 0000:00:02.0)" ""
}

rump@stops-a-driver-that-hands-out-other-memory()
{
	expect_fail 134 "which is not kernel memory" "$kernel_side" refuses-other-memory
	grep -A 1 "It was called by:" <<<"$output" | grep "kernel_side(driver_that_loads_its_stack+"
}

rump@gives-linux-an-interface-whose-driver-is-in-a-rump-kernel()
{
	local net nic
	bring_up $card 10.3.0.2
	ip link set "$nic" mtu 4000
	standin
	start_net --rump wm --restart
	wait_for 60 test -e "/sys/class/net/$nic/tun_flags"
	wait_for 30 ping -n -q -c 1 -W 1 10.3.0.9
	ping -n -q -c 20 -i 0.01 -W 5 10.3.0.9
	ping -n -q -c 20 -i 0.01 -W 5 -s 3500 10.3.0.9
	pkill -KILL -f "usrpci-rump-net wm $card"
	wait_for 30 grep -q "frames flow again" "$scratch/net"
	ping -n -q -c 3 -i 0.1 -W 5 10.3.0.9
	usrpci ps
	end_net $card 10.3.0.2
}

rump@takes-no-interface-without-a-rump-kernel-or-its-driver()
{
	local net nic status=0
	bring_up $card 10.3.0.2
	RUMP_PREFIX=/nowhere expect_fail 1 "there is no rump kernel: " usrpci net --rump wm "$nic"
	standin
	start_net --rump fxp --restart
	wait $net || status=$?
	cat "$scratch/net"
	expect_same $status 1
	expect_same "$(grep -c "librumpdev_pci_if_fxp.so: cannot open" "$scratch/net")" 1
	expect_same "$(driver_of $card)" e1000
}

# The "disk" is the device that the standin's driver finds; its data is in a file.
rump@serves-a-disk-whose-driver-is-in-a-rump-kernel()
{
	command -v nbdkit >/dev/null || skip "nbdkit is not installed"
	[ -e "$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so" ] || skip "nbdkit's header was not there for the build"
	unset USRPCI_RUMP
	standin
	find_plugin
	mkdir -m 777 /run/disk
	export STANDIN_DISK=/run/disk/file
	export LD_LIBRARY_PATH=$USRPCI_BUILD/rump:$USRPCI_BUILD/lib:$USRPCI_BUILD/drivers
	truncate -s 8M $STANDIN_DISK
	chmod a+rw $STANDIN_DISK
	start_server 00:02.0 --driver "$driver" --rump ld --restart
	expect_same "$(blockdev --getsize64 --getss "$block")" $'8388608\n512'
	"$counterpart" fill "$block" $((4 << 20))
	grep -q "standin: flushed" "$scratch/errors"
	kill -KILL "$(pids_of nvme-driver)"
	echo 3 >/proc/sys/vm/drop_caches
	"$counterpart" compare "$block" $((4 << 20))
	kill -TERM $server
	wait $server
	"$counterpart" compare $STANDIN_DISK $((4 << 20))
}

limit()
{
	LD_PRELOAD=$USRPCI_BUILD/rump/libusrpci-rump.so printenv RUMP_MEMLIMIT || echo none
}

rump@limits-memory-to-what-is-free-unless-told-otherwise()
{
	expect_same "$(limit)" 57344k
	expect_same "$(RUMP_MEMLIMIT=5m limit)" 5m
	echo 0 >/proc/sys/vm/nr_hugepages
	expect_same "$(limit)" none
	echo 32 >/proc/sys/vm/nr_hugepages
}

rump@refuses-a-limit-of-memory-that-the-kernel-cannot-read()
{
	local text
	for text in "" 5M 5mm m -1 100k 99999999999g 0; do
		expect_fail 1 "RUMP_MEMLIMIT=$text is not what a rump kernel can start with" \
			env RUMP_MEMLIMIT="$text" LD_PRELOAD="$USRPCI_BUILD/rump/libusrpci-rump.so" true
	done
	expect_same "$(RUMP_MEMLIMIT=2097152 limit)" 2097152
	expect_same "$(RUMP_MEMLIMIT=1g limit)" 1g
}

rump@leaves-a-device-quiet-when-the-process-ends()
{
	"$kernel_side" moves-data
	expect_output 'BusMaster-' lspci -vs 00:02.0 -v
}
