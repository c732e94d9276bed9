# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What others build on: JSON, exit statuses, waiting, events, as callers in other languages see them.
#
# vm: --nic e1000 --device edu --append "hugepages=8"
# vm: --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0
# case-deadline: 90

nic=0000:00:01.0
edu=0000:00:02.0
hotplug=0000:01:00.0

teardown()
{
	usrpci -q restore --all
}

# as_the_schema_has_it FILE...: what usrpci --json printed has all keys that its schema asks for, and no others. An
# interpreter of schemas takes minutes in here.
as_the_schema_has_it()
{
	local file
	for file; do
		jq -e --slurpfile schema "$USRPCI_SOURCE/doc/usrpci.schema.json" '
			def fits($what): (keys - ($what.properties | keys)) + (($what.required // []) - keys) == [];
			$schema[0] as $all | $all["$defs"] as $defs | fits($all) and
			([.devices[]? | fits($defs.device)] + [.lent[]? | fits($defs.loan)] +
			[.messages[]? | fits($defs.message)] | all)' "$file" >/dev/null || fail "$(cat "$file")"
	done
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
