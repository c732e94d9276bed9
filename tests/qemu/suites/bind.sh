# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Bind and restore in a real kernel, with lspci and driverctl as oracles.
#
# case-deadline: 90
#
# vm: --nic e1000 --device edu --nic e1000 --device intel-hda --disk nvme
# vm: --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0

nic=0000:00:01.0
edu=0000:00:02.0
twin=0000:00:03.0
sound=0000:00:04.0
nvme=0000:00:05.0
hotplug=0000:01:00.0

teardown()
{
	usrpci -q restore --all || true
}

# The driver as lspci tells it.
lspci_driver()
{
	lspci -k -s "$1" | sed -n 's/.*Kernel driver in use: //p'
}

override_of()
{
	cat "/sys/bus/pci/devices/$1/driver_override"
}

# What there is to know about a device's binding, to compare before with after.
state_of()
{
	echo "driver $(driver_of "$1"), override $(override_of "$1")"
}

journal_is_empty()
{
	[ -z "$(ls /run/usrpci/journal 2>/dev/null)" ]
}

bind@takes-a-nic-from-its-driver-and-restore-gives-it-back()
{
	local before
	before=$(state_of $nic)
	usrpci bind 00:01.0
	expect_same "$(lspci_driver $nic)" uio_pci_generic "driver seen by lspci"
	[ -e /sys/bus/pci/devices/$nic/uio/uio0 ]
	[ ! -e /sys/bus/pci/devices/$nic/net ]
	usrpci restore 00:01.0
	expect_same "$(state_of $nic)" "$before"
	expect_same "$(lspci_driver $nic)" e1000 "driver seen by lspci"
	journal_is_empty
}

# Only the address counts, as it did not with new_id.
bind@leaves-another-device-with-the-same-id-alone()
{
	usrpci bind 00:01.0
	[ "$(driver_of $twin)" = e1000 ]
	echo $twin >/sys/bus/pci/drivers/e1000/unbind
	echo $twin >/sys/bus/pci/drivers_probe
	[ "$(driver_of $twin)" = e1000 ]
}

bind@a-nic-works-again-after-restore()
{
	usrpci bind 00:01.0
	usrpci restore 00:01.0
	address_up "$(interface_of $nic)"
	ping_gateway "$(interface_of $nic)"
	ip address flush dev "$(interface_of $nic)"
	ip link set "$(interface_of $nic)" down
}

bind@takes-a-device-without-a-driver-and-restores-none()
{
	local before command
	# With the first driver, Arm's kernel writes where the interrupt goes.
	usrpci bind 00:02.0
	usrpci restore 00:02.0
	for command in 0000 0103 0503; do
		setpci -s $edu COMMAND=$command
		before=$(lspci -xxxs $edu)
		usrpci bind 00:02.0
		expect_same "$(lspci_driver $edu)" uio_pci_generic "driver seen by lspci"
		setpci -s $edu COMMAND=0007
		usrpci restore 00:02.0
		[ -z "$(driver_of $edu)" ]
		[ "$(override_of $edu)" = "(null)" ]
		expect_same "$(lspci -xxxs $edu)" "$before" "configuration space"
	done
}

bind@a-rescan-does-not-hand-a-taken-device-elsewhere()
{
	usrpci bind 00:01.0
	echo $nic >/sys/bus/pci/drivers/uio_pci_generic/unbind
	echo $nic >/sys/bus/pci/drivers_probe
	[ "$(driver_of $nic)" = uio_pci_generic ]
}

bind@to-none-keeps-drivers-away()
{
	usrpci bind 00:01.0 --driver none
	echo $nic >/sys/bus/pci/drivers_probe
	[ -z "$(driver_of $nic)" ]
	usrpci restore 00:01.0
	[ "$(driver_of $nic)" = e1000 ]
}

bind@twice-is-once()
{
	usrpci bind 00:01.0
	expect_output 'has it already' usrpci bind 00:01.0
	usrpci restore 00:01.0
	[ "$(driver_of $nic)" = e1000 ]
}

bind@restore-agrees-with-driverctl()
{
	command -v driverctl >/dev/null || skip "driverctl is not installed"
	usrpci bind 00:01.0
	driverctl list-devices >"$scratch/list"
	grep -qxF "$nic uio_pci_generic [*]" "$scratch/list"
	usrpci restore 00:01.0
	driverctl list-devices >"$scratch/list"
	grep -qxF "$nic e1000" "$scratch/list"
}

# The override that driverctl made is the admin's, and comes back.
bind@restores-the-override-of-another-tool()
{
	command -v driverctl >/dev/null || skip "driverctl is not installed"
	modprobe pci-stub
	driverctl --nosave set-override $nic pci-stub
	usrpci bind 00:01.0
	[ "$(driver_of $nic)" = uio_pci_generic ]
	usrpci restore 00:01.0
	[ "$(driver_of $nic)" = pci-stub ]
	[ "$(override_of $nic)" = pci-stub ]
	driverctl --nosave unset-override $nic
	[ "$(driver_of $nic)" = e1000 ]
}

bind@a-dry-run-is-a-script-that-does-the-same()
{
	local before
	before=$(state_of $nic)
	usrpci bind --dry-run 00:01.0 | tee "$scratch/script"
	expect_same "$(state_of $nic)" "$before"
	sh -e "$scratch/script"
	[ "$(driver_of $nic)" = uio_pci_generic ]
	printf 'e1000\n' >/sys/bus/pci/devices/$nic/driver_override
	echo $nic >/sys/bus/pci/drivers/uio_pci_generic/unbind
	echo $nic >/sys/bus/pci/drivers_probe
	printf '\n' >/sys/bus/pci/devices/$nic/driver_override
	expect_same "$(state_of $nic)" "$before"
}

bind@loads-the-module()
{
	modprobe -r uio_pci_generic
	expect_output '^modprobe uio_pci_generic' usrpci bind --dry-run 00:01.0
	[ ! -e /sys/module/uio_pci_generic ]
	usrpci bind 00:01.0
	[ "$(driver_of $nic)" = uio_pci_generic ]
}

bind@a-driver-that-refuses-leaves-the-device-where-it-was()
{
	local before
	before=$(state_of $nic)
	expect_fail 1 'virtio-pci did not take it' usrpci bind 00:01.0 --driver virtio-pci
	expect_same "$(state_of $nic)" "$before"
	journal_is_empty
}

bind@an-unknown-driver-changes-nothing()
{
	local before
	before=$(state_of $nic)
	expect_fail 1 'nonsense: no such driver' usrpci bind 00:01.0 --driver nonsense
	expect_same "$(state_of $nic)" "$before"
	journal_is_empty
}

bind@a-module-that-is-forbidden-is-told()
{
	modprobe -r uio_pci_generic
	echo 'install uio_pci_generic /bin/false' >/etc/modprobe.d/usrpci-test.conf
	expect_fail 1 'forbidden on this host' usrpci bind 00:01.0
	expect_output 'uio_pci_generic must not be loaded' bash -c 'usrpci check || [ $? = 3 ]'
	rm /etc/modprobe.d/usrpci-test.conf
	[ "$(driver_of $nic)" = e1000 ]
	usrpci bind 00:01.0
}

bind@vfio-without-an-iommu-is-refused()
{
	expect_fail 1 'no IOMMU translates for it' usrpci bind 00:01.0 --driver vfio_pci
	[ "$(driver_of $nic)" = e1000 ]
}

bind@a-bridge-is-refused-even-by-force()
{
	expect_fail 1 'bridge' usrpci bind --force 00:00.0 --driver uio_pci_generic
	# A PC's bridge to ISA.
	[ ! -e /sys/bus/pci/devices/0000:00:1f.0 ] ||
		expect_fail 1 'bridge' usrpci bind --force 00:1f.0 --driver uio_pci_generic
}

bind@an-ordinary-user-is-refused-and-nothing-changes()
{
	expect_fail 1 'ermission denied' setpriv --reuid nobody --clear-groups "$(command -v usrpci)" \
		bind 00:01.0
	[ "$(driver_of $nic)" = e1000 ]
}

bind@a-read-only-sysfs-is-told()
{
	unshare -m bash -c "
		mount -o remount,ro,bind /sys
		! usrpci bind 00:02.0 2>$scratch/log
	"
	cat "$scratch/log"
	grep -q 'read-only' "$scratch/log"
	[ -z "$(driver_of $edu)" ]
	journal_is_empty
}

bind@a-read-only-run-is-told()
{
	mkdir -p /run/usrpci
	mount -t tmpfs -o ro none /run/usrpci
	expect_fail 1 'hint: mount -o remount,rw /run' usrpci bind "$nic"
	umount /run/usrpci
	[ "$(driver_of $nic)" = e1000 ]
}

bind@a-tool-at-work-is-waited-for()
{
	local start=$SECONDS
	mkdir -p /run/usrpci
	flock /run/usrpci/lock sleep 3 &
	sleep 0.5
	usrpci bind 00:01.0
	[ $((SECONDS - start)) -ge 2 ]
	[ "$(driver_of $nic)" = uio_pci_generic ]
}

# slow
bind@a-tool-that-never-ends-is-named()
{
	mkdir -p /run/usrpci
	exec 8>>/run/usrpci/lock
	flock 8
	echo $$ >/run/usrpci/lock
	expect_fail 5 "bash \(pid $$\) has been changing this host" usrpci bind 00:01.0 8>&-
	exec 8>&-
	[ "$(driver_of $nic)" = e1000 ]
}

bind@two-at-once-both-come-through()
{
	usrpci bind 00:01.0 &
	usrpci bind 00:03.0
	wait $!
	[ "$(driver_of $nic)" = uio_pci_generic ]
	[ "$(driver_of $twin)" = uio_pci_generic ]
	usrpci restore --all &
	usrpci restore --all
	wait $!
	[ "$(driver_of $nic)" = e1000 ]
	[ "$(driver_of $twin)" = e1000 ]
}

bind@an-open-device-is-refused-with-its-process()
{
	usrpci bind 00:02.0
	wait_for 5 test -e /dev/uio0
	sleep 100 8</dev/uio0 &
	expect_fail 5 "pid $! \(sleep\) has /dev/uio0 open" usrpci restore 00:02.0
	[ "$(driver_of $edu)" = uio_pci_generic ]
	kill $!
	wait $! || true
	usrpci restore 00:02.0
}

bind@a-damaged-record-is-reported-and-the-others-restored()
{
	usrpci bind 00:01.0
	usrpci bind 00:02.0
	echo rubbish >/run/usrpci/journal/$nic
	expect_fail 1 'is damaged' usrpci restore 00:01.0
	usrpci restore 00:02.0
	[ -z "$(driver_of $edu)" ]
	cat >/run/usrpci/journal/$nic <<-END
		usrpci-journal 1
		id 8086:100e
		driver e1000
		driver_override
		end
	END
	usrpci restore 00:01.0
	[ "$(driver_of $nic)" = e1000 ]
}

bind@a-device-that-was-unplugged-is-forgotten()
{
	usrpci bind 01:00.0
	monitor device_del nic2
	wait_for 20 test ! -e /sys/bus/pci/devices/$hotplug
	expect_output 'it is gone' usrpci restore 01:00.0
	[ ! -e /run/usrpci/journal/$hotplug ]
	expect_fail 1 'no record of one' usrpci restore 01:00.0
}

is_put_back_by_restore()
{
	[ -e "/run/usrpci/journal/$nic" ]
	usrpci restore 00:01.0
	[ "$(driver_of $nic)" = e1000 ]
	[ "$(override_of $nic)" = "(null)" ]
	[ -z "$(ls /run/usrpci/moving 2>/dev/null)" ]
}

# Processes of its own read driver_override, unbind and probe: they go on without it.
bind@a-killed-bind-is-put-back-by-restore()
{
	local at
	strace -o /dev/null -e inject=write:signal=KILL -P "/sys/bus/pci/devices/$nic/driver_override" \
		usrpci bind 00:01.0 && fail "it was not killed"
	is_put_back_by_restore
	for at in 2 3; do
		strace -o /dev/null -e inject=sendmsg:signal=KILL:when=$at usrpci bind 00:01.0 &&
			fail "it was not killed"
		is_put_back_by_restore
	done
}

bind@a-process-that-is-killed-on-its-errand-leads-to-a-rollback()
{
	local before
	before=$(state_of $nic)
	strace -f -o /dev/null -e inject=write:signal=KILL:when=1 \
		-P "/sys/bus/pci/devices/$nic/driver/unbind" usrpci bind 00:01.0 &&
		fail "it was not killed"
	expect_same "$(state_of $nic)" "$before"
	journal_is_empty
}

# The driver of nvme sets its device up after its probe has returned.
bind@a-disk-is-there-when-restore-returns()
{
	local disk
	disk=$(basename "$(echo /sys/bus/pci/devices/$nvme/nvme/nvme*/nvme*n1)")
	[ -b "/dev/$disk" ]
	for _ in 1 2 3 4 5; do
		usrpci -q bind $nvme
		[ ! -e /sys/bus/pci/devices/$nvme/nvme ]
		usrpci -q restore $nvme
		[ -b "/dev/$disk" ]
		dd if="/dev/$disk" of=/dev/null bs=4096 count=1 2>/dev/null
	done
}

# Two disks without a subsystem that say they are one: nvme takes the second, and lets go of it.
bind@a-driver-that-lets-go-again-keeps-the-record()
{
	[ ! -e /sys/bus/pci/devices/$hotplug ] || monitor device_del nic2
	wait_for 20 test ! -e /sys/bus/pci/devices/$hotplug
	usrpci -q bind $nvme
	monitor device_add nvme,id=double,bus=rp0,serial=disk0
	wait_for 20 test -e /sys/bus/pci/devices/$hotplug/nvme
	wait_for 20 grep -q live /sys/bus/pci/devices/$hotplug/nvme/nvme*/state
	expect_fail 1 'nvme (took it and released it again|did not take it)' usrpci restore $nvme
	[ -z "$(driver_of $nvme)" ]
	[ -e /run/usrpci/journal/$nvme ]
	monitor device_del double
	wait_for 20 test ! -e /sys/bus/pci/devices/$hotplug
	usrpci restore $nvme
	[ "$(driver_of $nvme)" = nvme ]
	journal_is_empty
}

bind@an-interface-comes-back-under-its-name-and-up()
{
	local eth
	eth=$(interface_of $nic)
	ip link set "$eth" down
	ip link set "$eth" name lan0
	ip link set lan0 up
	usrpci bind --force 00:01.0
	usrpci restore 00:01.0
	expect_same "$(interface_of $nic)" lan0
	ip link show lan0 | grep -q 'UP'
	usrpci bind --force 00:01.0
	journal_is_empty && fail "there is no record"
	usrpci restore -a
	ip link set lan0 down
	ip link set lan0 name "$eth"
}

# The settings of a card that an administrator has given to it, and whether it was up.
bind@an-interface-comes-back-with-its-mac-address-and-its-mtu()
{
	local eth mac before state
	eth=$(interface_of $nic)
	mac=$(cat "/sys/class/net/$eth/address")
	for state in up down; do
		ip link set "$eth" address 52:54:00:aa:bb:cc mtu 1400 "$state"
		before=$(ip -o link show "$eth" | grep -o "mtu [0-9]*\|ether [0-9a-f:]*\|[<,]UP[,>]")
		usrpci bind 00:01.0
		expect_output "ip link set $eth address 52:54:00:aa:bb:cc mtu 1400" usrpci -n restore "$eth"
		usrpci restore "$eth"
		expect_same "$(ip -o link show "$eth" | grep -o "mtu [0-9]*\|ether [0-9a-f:]*\|[<,]UP[,>]")" \
			"$before"
	done
	ip link set "$eth" address "$mac" mtu 1500
}

bind@the-script-of-a-dry-run-says-how-it-is-undone()
{
	local before eth script
	eth=$(interface_of $nic)
	ip link set "$eth" mtu 1400 up
	before="$(state_of $nic) $(cat "/sys/class/net/$eth/mtu")"
	script=$(usrpci -n bind "$eth")
	sh -e <<<"$script"
	[ "$(driver_of $nic)" = uio_pci_generic ]
	sed -n 's/^#   //p' <<<"$script" >"$scratch/undo"
	sh -e "$scratch/undo"
	expect_same "$(state_of $nic) $(cat "/sys/class/net/$eth/mtu")" "$before"
	ip link show "$eth" | grep -q '[<,]UP[,>]'
	ip link set "$eth" mtu 1500 down
}

# The kernel has chosen its driver anew by then: what was before a rescan means nothing.
bind@a-record-is-not-of-a-device-that-was-found-anew()
{
	usrpci bind 00:01.0
	echo 1 >/sys/bus/pci/devices/$nic/remove
	echo 1 >/sys/bus/pci/rescan
	wait_for 10 test -e /sys/bus/pci/devices/$nic/driver
	expect_output 'plugged in anew' usrpci restore 00:01.0
	[ "$(driver_of $nic)" = e1000 ]
	journal_is_empty
}

# The sound driver waits in its unbind for the last program that has a node of its card open.
bind@an-unbind-that-does-not-return-holds-up-nothing-else()
{
	local keeper start=$SECONDS
	modprobe snd-hda-intel
	wait_for 10 test -e /dev/snd/controlC0
	sleep 1000 8</dev/snd/controlC0 &
	keeper=$!
	expect_fail 4 "has not answered yet \(take $sound from snd_hda_intel\)" \
		usrpci bind --force $sound
	[ $((SECONDS - start)) -lt 40 ]
	[ -e /run/usrpci/journal/$sound ]
	usrpci bind 00:01.0
	usrpci restore 00:01.0
	expect_fail 5 'process [0-9]+ waits' timeout 30 usrpci restore $sound
	kill $keeper
	wait $keeper || true
	wait_for 20 test ! -e /sys/bus/pci/devices/$sound/driver
	usrpci restore $sound
	[ "$(driver_of $sound)" = snd_hda_intel ]
	[ "$(override_of $sound)" = "(null)" ]
	[ ! -e /run/usrpci/moving/$sound ]
	modprobe -r snd-hda-intel
}

bind@that-cannot-tell-what-it-did-says-that-it-was-done()
{
	expect_fail 1 'hint: what was to be changed is changed' bash -c 'usrpci bind 00:01.0 >/dev/full'
	[ "$(driver_of $nic)" = uio_pci_generic ]
}

# About a tenth of that on a machine that does nothing else.
bind@is-fast()
{
	local start stop
	modprobe uio_pci_generic
	start=$EPOCHREALTIME
	usrpci -q bind 00:01.0
	stop=$EPOCHREALTIME
	note "bind took $(((${stop/./} - ${start/./}) / 1000)) ms"
	[ $(((${stop/./} - ${start/./}) / 1000)) -lt 3000 ]
}
