# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What others build on: JSON, exit statuses, waiting, events, as callers in other languages see them.
#
# vm: --nic e1000 --device edu --append "hugepages=8"
# vm: --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0
# vm: --device nvme-subsys,id=s0 --device pcie-root-port,id=rp1,chassis=1
# vm: --device nvme,id=vfs,serial=vfs,bus=rp1,subsys=s0,sriov_max_vfs=3,max_ioqpairs=8,msix_qsize=9,sriov_vq_flexible=6,sriov_vi_flexible=3
# vm: --qemu "-blockdev null-co,node-name=vfs,size=67108864,read-zeroes=on" --device nvme-ns,drive=vfs,bus=vfs
# vm: --nic e1000@1 --nic e1000@1
# case-deadline: 180

nic=0000:00:01.0
edu=0000:00:02.0
hotplug=0000:01:00.0
nvme=0000:02:00.0
wired=0000:00:05.0
wire_end=0000:00:06.0

teardown()
{
	usrpci -q restore --all
}

# as_the_schema_has_it FILE...: what usrpci --json printed has all keys that its schema asks for, and no others. An
# interpreter of schemas takes minutes in here.
as_the_schema_has_it()
{
	jq -n -e --slurpfile schema "$USRPCI_SOURCE/doc/usrpci.schema.json" '
		def fits($what): (keys - ($what.properties | keys)) + (($what.required // []) - keys) == [];
		$schema[0] as $all | $all["$defs"] as $defs | all(inputs; fits($all) and
		([.devices[]? | fits($defs.device)] + [.lent[]? | fits($defs.loan)] +
		[.messages[]? | fits($defs.message)] | all))' "$@" >/dev/null || fail "$(cat "$@")"
}

fleet@json-of-real-changes-is-as-the-schema-has-it()
{
	usrpci -j bind "$nic" "$edu" >"$scratch/bind"
	usrpci -j list --output-all >"$scratch/list"
	usrpci -j restore --all >"$scratch/restore"
	usrpci -j run "$edu" -- sh -c 'echo the program says this' >"$scratch/program" 2>"$scratch/run"
	expect_same "$(cat "$scratch/program")" "the program says this"
	expect_same "$(jq -c '[.program_status, .result]' "$scratch/run")" '[0,"done"]'
	usrpci -q run "$edu" -- sleep 60 &
	wait_for 30 test -e /run/usrpci/lent/$edu
	usrpci -j ps >"$scratch/ps"
	kill $!
	wait $! || true
	as_the_schema_has_it "$scratch"/{bind,list,restore,run,ps}
}

fleet@a-verb-can-be-called-again()
{
	usrpci -j bind "$nic" >"$scratch/1"
	usrpci -j bind "$nic" >"$scratch/2"
	usrpci -j restore "$nic" >"$scratch/3"
	usrpci -j restore "$nic" >"$scratch/4"
	expect_same "$(jq -r .result "$scratch"/{1,2,3,4} | paste -sd ' ')" "changed unchanged changed unchanged"
	expect_fail 6 . usrpci restore --exit-code "$nic"
	usrpci -q bind --exit-code "$nic"
	expect_fail 6 'has it already' usrpci bind --exit-code "$nic"
}

fleet@waits-until-a-device-is-let-go()
{
	local sleeper
	usrpci -q bind "$edu"
	wait_for 5 test -e /dev/uio0
	sleep 100 8</dev/uio0 &
	sleeper=$!
	expect_fail 5 'sleep. has /dev/uio0 open' usrpci -q restore --wait 1 "$edu"
	usrpci restore --wait 60 "$edu" >"$scratch/out" 2>&1 &
	wait_for 20 grep -q 'waits up to 60 s: .*sleep. has /dev/uio0 open' "$scratch/out"
	kill $sleeper
	wait $!
	[ -z "$(driver_of $edu)" ]
}

# slow
fleet@callers-in-python-and-go-take-devices-and-give-them-back()
{
	local caller
	for caller in "/usr/bin/python3 $USRPCI_SOURCE/examples/lend.py" "$USRPCI_BUILD/examples/lend"; do
		[ -e "${caller##* }" ] || skip "${caller##* } was not built: gccgo is not installed"
		$caller "$nic" >"$scratch/out"
		expect_same "$(cat "$scratch/out")" \
			"$nic: e1000 -> uio_pci_generic (changed)
given back: changed"
		[ "$(driver_of $nic)" = e1000 ]
		ip address add 10.9.9.9/24 dev "$(interface_of $nic)"
		expect_fail 1 'in-use.*carries 10.9.9.9/24' env PATIENCE=1 $caller "$nic"
		ip address flush dev "$(interface_of $nic)"
	done
}

# An empty container: nothing but the command, and what the kernel mounts.
static@moves-devices-from-an-empty-root()
{
	local place root=$scratch/empty watcher
	mkdir "$root" "$root"/{sys,proc,dev,run}
	cp "$USRPCI_BUILD/cli/usrpci-static" "$root/usrpci"
	for place in sys proc dev run; do
		mount --rbind /$place "$root/$place"
	done
	modprobe uio_pci_generic
	chroot "$root" /usrpci -j monitor >"$scratch/events" &
	watcher=$!
	wait_for 20 grep -q '"listening"' "$scratch/events"
	ip address add 10.9.9.9/24 dev "$(interface_of $nic)"
	expect_fail 5 "carries 10.9.9.9/24" chroot "$root" /usrpci bind $nic
	ip address flush dev "$(interface_of $nic)"
	expect_output "e1000 -> uio_pci_generic" chroot "$root" /usrpci bind $nic
	expect_output "uio_pci_generic -> e1000" chroot "$root" /usrpci restore $nic
	wait_for 20 grep -q '"bound".*"e1000"' "$scratch/events"
	kill $watcher
	umount -R "$root"/{sys,proc,dev,run}
}

# The kernel's own events, of a real unplugging and of a driver that changes.
monitor@tells-what-comes-goes-and-changes-its-driver()
{
	local watcher
	usrpci -j monitor --present $hotplug >"$scratch/events" &
	watcher=$!
	usrpci monitor >"$scratch/lines" &
	wait_for 20 grep -q '"listening"' "$scratch/events"
	wait_for 20 grep -q 'listening' "$scratch/lines"
	usrpci -q bind $nic $hotplug
	usrpci -q restore $hotplug
	monitor device_del nic1
	wait_for 20 grep -q '"removed"' "$scratch/events"
	monitor device_add "e1000e,bus=rp0,netdev=net1"
	wait_for 20 grep -q '"added"' "$scratch/events"
	wait_for 20 sh -c "tail -n 1 '$scratch/events' | grep -q bound"
	kill $watcher $!
	expect_same "$(jq -r '"\(.event) \(.addr) \(.was) \(.driver)"' "$scratch/events")" \
		"present $hotplug null e1000e
listening null null null
unbound $hotplug e1000e null
bound $hotplug null uio_pci_generic
unbound $hotplug uio_pci_generic null
bound $hotplug null e1000e
unbound $hotplug e1000e null
removed $hotplug null null
added $hotplug null null
bound $hotplug null e1000e"
	as_the_schema_has_it "$scratch/events"
	grep -q "$nic  unbound  8086:100e  e1000" "$scratch/lines"
	! grep -q $nic "$scratch/events"
}

number_of_functions()
{
	cat /sys/bus/pci/devices/$nvme/sriov_numvfs
}

vfs@functions-come-and-go-and-restore-takes-them-back()
{
	expect_output "0 of 3 virtual functions" usrpci vfs $nvme
	usrpci -j vfs $nvme 2 --no-driver >"$scratch/2"
	expect_same "$(number_of_functions)" 2
	expect_same "$(jq -c '[.result, .vfs, .vfs_most, (.devices | map(.addr, .driver))]' "$scratch/2")" \
		'["changed",2,3,["0000:02:00.1",null,"0000:02:00.2",null]]'
	as_the_schema_has_it "$scratch/2"
	expect_same "$(cat /sys/bus/pci/devices/$nvme/sriov_drivers_autoprobe)" 1
	expect_fail 6 "2 of 3" usrpci vfs $nvme 2 --exit-code
	usrpci -q bind 0000:02:00.1 --driver uio_pci_generic --force
	expect_fail 5 "has 2 virtual functions" usrpci bind $nvme
	usrpci -q restore 0000:02:00.1
	expect_fail 2 "at most" usrpci vfs $nvme 4
	usrpci -q restore $nvme
	expect_same "$(number_of_functions) $(driver_of $nvme)" "0 nvme"
	[ ! -e /run/usrpci/journal/$nvme ]
}

vfs@none-goes-that-is-in-use()
{
	local sleeper
	usrpci -q vfs $nvme 1 --no-driver
	usrpci -q bind 0000:02:00.1 --driver uio_pci_generic --force
	wait_for 5 test -e /dev/uio0
	sleep 100 8</dev/uio0 &
	sleeper=$!
	expect_fail 5 "sleep. has /dev/uio0 open" usrpci vfs $nvme 0
	expect_fail 5 "sleep. has /dev/uio0 open" usrpci restore $nvme
	expect_same "$(number_of_functions)" 1
	kill $sleeper
	wait $sleeper || true
	usrpci -q restore 0000:02:00.1
	usrpci -q vfs $nvme 0
	expect_same "$(number_of_functions)" 0
	expect_fail 1 "no SR-IOV" usrpci vfs $nic 1
}

# bring_online CONTROLLER: the first virtual function gets a vector and queues, as "nvme virt-mgmt" gives them.
bring_online()
{
	python3 - "$1" <<-'END'
		import fcntl, os, struct, sys
		device = os.open(sys.argv[1], os.O_RDWR)
		VECTORS, QUEUES, ASSIGN, ONLINE = 1, 0, 8, 9
		for resource, action, count in (VECTORS, ASSIGN, 1), (QUEUES, ASSIGN, 2), (QUEUES, ONLINE, 0):
		    command = struct.pack('<B39x8I', 0x1c, 1 << 16 | resource << 8 | action, count, *[0] * 6)
		    if fcntl.ioctl(device, 0xc0484e41, bytearray(command)):
		        sys.exit(f'no virtualization management: {action}')
	END
}

vfs@a-disk-of-a-function-that-goes-can-get-no-user-in-the-last-moment()
{
	local function=/sys/bus/pci/devices/0000:02:00.1
	usrpci -q vfs $nvme 1 --no-driver
	bring_online "/dev/$(ls /sys/bus/pci/devices/$nvme/nvme)"
	echo 0000:02:00.1 >/sys/bus/pci/drivers/nvme/bind
	wait_for 10 has_disk $function
	cat >"$scratch/use" <<-END
		#!/usr/bin/python3
		import os, glob
		for disk in glob.glob("/dev/nvme?n1"):
		    os.close(os.open(disk, os.O_RDONLY | os.O_EXCL))
	END
	chmod +x "$scratch/use"
	"$scratch/use"
	BEFORE_UNBIND="$scratch/use 2>$scratch/refused" LD_PRELOAD=$USRPCI_BUILD/tests/qemu/before_unbind.so \
		usrpci -q vfs $nvme 0
	grep -q "Device or resource busy" "$scratch/refused"
	expect_same "$(number_of_functions)" 0
	"$scratch/use"
}

has_disk()
{
	ls -d "$1"/nvme/nvme*/nvme*n* >/dev/null 2>&1
}

apply@makes-the-host-what-its-files-say-and-once-is-enough()
{
	mkdir -p /etc/usrpci
	cat >/etc/usrpci/50-test.conf <<-EOF
		[Match]
		MACAddress=$(cat /sys/class/net/"$(interface_of $nic)"/address)
		[Device]
		Driver=auto
		[Match]
		Address=$nvme
		Id=1b36:0010
		[Device]
		VirtualFunctions=1
		[HugePages]
		Count=12
	EOF
	expect_fail 3 "driver_override" usrpci diff
	usrpci -q apply
	expect_same "$(driver_of $nic) $(number_of_functions)" "uio_pci_generic 1"
	[ "$(cat /proc/sys/vm/nr_hugepages)" -ge 12 ]
	usrpci diff
	expect_fail 6 "as its files say" usrpci apply --exit-code
	usrpci capture >"$scratch/captured"
	mv "$scratch/captured" /etc/usrpci/50-test.conf
	usrpci diff
	usrpci -q restore --all
	expect_fail 3 . usrpci diff --device $nic
	usrpci -q apply --device $nic
	expect_same "$(driver_of $nic) $(number_of_functions)" "uio_pci_generic 0"
	rm /etc/usrpci/50-test.conf
}

# The shell of somebody who is far away: it comes over the interface that changes.
remote_shell_begins()
{
	near=$(interface_of $wired)
	ip netns add far
	ip link set "$(interface_of $wire_end)" netns far
	far=$(ip netns exec far ls /sys/class/net | grep -v lo)
	ip netns exec far ip link set "$far" up
	ip netns exec far ip address add 10.7.7.2/24 dev "$far"
	ip link set "$near" mtu 1400 up
	ip address add 10.7.7.1/24 dev "$near"
	ip address add fd07::1/64 dev "$near" nodad
	ip route add 10.8.0.0/16 via 10.7.7.2 metric 77
	ip route add default via 10.7.7.2 table 99
	serve_shells
}

serve_shells()
{
	busybox nc -ll -p 77 -e sh &
	server=$!
}

# far_away COMMAND: what the shell there prints; the connection is not waited for any longer than 3 s.
far_away()
{
	ip netns exec far timeout 3 bash -c 'exec 9<>/dev/tcp/10.7.7.1/77 && printf "%s\nexit\n" "$1" >&9 && cat <&9' - "$1"
}

place_of_interface()
{
	# Its link comes later.
	ip -br address show dev "$near" scope global | sed -E 's/ +(UP|DOWN|UNKNOWN) +/ /'
	cat /sys/class/net/"$near"/mtu /sys/class/net/"$near"/address
	ip route show table all dev "$near" | sed 's/ linkdown//; /proto kernel/d'
}

confirm@functions-that-are-refused-leave-nothing-to-confirm()
{
	mkdir -p /etc/usrpci
	usrpci -q bind $nvme
	printf '[Match]\nAddress=%s\n[Device]\nVirtualFunctions=2\n' $nvme >/etc/usrpci/50-test.conf
	expect_fail 1 "cannot have 2 virtual functions" usrpci -q apply --confirm 60
	rm /etc/usrpci/50-test.conf
	expect_output "nothing waits" usrpci confirm
	usrpci -q restore $nvme
}

confirm@what-nobody-confirms-goes-back-with-the-addresses-of-the-remote-shell()
{
	remote_shell_begins
	mkdir -p /etc/usrpci
	printf '[Match]\nAddress=%s\n[Device]\nDriver=uio_pci_generic\n[HugePages]\nCount=11\n' $wired >/etc/usrpci/9.conf
	wait_for 20 far_away "true"
	place_of_interface >"$scratch/before"
	pages=$(cat /proc/sys/vm/nr_hugepages)
	expect_fail 5 "carries 10.7.7.1" usrpci -n apply
	usrpci monitor $wired >"$scratch/events" &
	wait_for 20 grep -q listening "$scratch/events"
	far_away "usrpci --quiet apply --force --confirm 5" || true
	kill -9 $server
	wait_for 20 grep -q ' bound .* uio_pci_generic' "$scratch/events"
	wait_for 20 test ! -e /run/usrpci/unconfirmed
	wait_for 10 grep -q ' bound .* e1000' "$scratch/events"
	expect_same "$(place_of_interface)" "$(cat "$scratch/before")"
	expect_same "$(cat /proc/sys/vm/nr_hugepages)" "$pages"
	serve_shells
	wait_for 20 far_away "true"
	expect_fail 1 "too late: the changes went back" usrpci confirm
	expect_output "nothing waits" usrpci confirm

	# Once more, and it is confirmed.
	usrpci -q apply --force --confirm 60
	expect_output "confirmed: 1 device" usrpci confirm
	expect_fail 6 "nothing waits" usrpci --exit-code confirm
	wait_for 5 no_process usrpci-confirm
	[ -z "$(find /run/usrpci -name 'unconfirmed*')" ]
	expect_same "$(driver_of $wired)" uio_pci_generic
	rm /etc/usrpci/9.conf
	kill $server
}

kill_watcher()
{
	pkill -KILL -x usrpci-confirm
	wait_for 5 no_process usrpci-confirm
}

# The watcher is killed, and its time is over.
time_is_over()
{
	kill_watcher
	sed -i 's/^seconds .*/seconds 0/' /run/usrpci/unconfirmed
}

confirm@a-killed-watcher-and-a-program-in-the-way-are-no-end()
{
	local sleeper
	usrpci -q bind $edu --confirm 600
	expect_fail 1 "still wait for confirmation" usrpci bind $nic --confirm 600
	[ "$(driver_of $nic)" = e1000 ]
	kill_watcher
	usrpci -q bind $nic
	[ "$(driver_of $edu)" = uio_pci_generic ]
	time_is_over # of the watcher that this bind has started
	expect_output "nobody confirmed" usrpci -q bind $nic
	[ -z "$(driver_of $edu)" ]

	# A device that was usrpci's before stays so; one that a program has open is waited for.
	usrpci -q bind $edu $nic --confirm 600
	wait_for 5 test -e /dev/uio1
	sleep 100 8</dev/uio1 9</dev/uio0 &
	sleeper=$!
	time_is_over
	usrpci -q restore $wired
	[ "$(driver_of $edu)" = uio_pci_generic ]
	[ -e /run/usrpci/unconfirmed ]
	kill $sleeper
	wait_for 10 test ! -e /run/usrpci/unconfirmed
	[ -z "$(driver_of $edu)" ]
	[ "$(driver_of $nic)" = uio_pci_generic ]
}
