# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154
#
# lib_lend.sh: what the suites of "usrpci run" share; sourced by them. They set nic, edu and, for two
# NICs that are connected with each other, wire and peer.
#
# make check-lend is the long run: USRPCI_KILLS says how many kills, and that each moment is tried.

examples=$USRPCI_BUILD/examples
drive=$USRPCI_BUILD/tests/qemu/lend_drive
keep=$USRPCI_BUILD/tests/qemu/lend_keep
stray_dma=$USRPCI_BUILD/tests/qemu/stray_dma

# Up, it would be given a route by the network, and then be in use.
quiet_interface()
{
	local interface
	interface=$(interface_of "$1")
	ip address flush dev "$interface"
	ip link set dev "$interface" down
}

works_with_its_kernel_driver()
{
	address_up "$(interface_of "$1")"
	ping_gateway "$(interface_of "$1")"
	quiet_interface "$1"
}

is_lent()
{
	usrpci ps | grep -q "$1"
}

is_not_lent()
{
	! is_lent "$1"
}

# serving_process_has CAPABILITIES: these, in hexadecimal, and can never get others.
serving_process_has()
{
	local status
	status=/proc/$(pids_of usrpci-serve)/status
	[ "$(grep -cE "^Cap(Prm|Eff|Bnd):.0{8}$1$" "$status")" = 3 ] && grep -q '^NoNewPrivs:.*1' "$status"
}

lend()
{
	usrpci -q run "$@"
}

state()
{
	local device
	for device in "$nic" "$edu" "$wire"; do
		echo "$device $(driver_of "$device") $(<"/sys/bus/pci/devices/$device/driver_override")"
	done
	echo "$(</proc/sys/vm/nr_hugepages)"
	find /run/usrpci -mindepth 1 ! -type d ! -name lock ! -name new 2>/dev/null || true
	grep /run/usrpci /proc/mounts || true
	pids_of usrpci-first || true
}

setup()
{
	state >"$scratch/before"
}

teardown()
{
	expect_same "$(state)" "$(cat "$scratch/before")" "the host afterwards"
}

lend_and_lose_registers()
{
	lend "$nic" -- sh -c "usrpci -q config $nic write 3c.b 55 && usrpci -q config $nic write COMMAND 0
		usrpci -q config $nic write 3c.b 44; : >/tmp/lost; $1"
}

# An older process of the user "nobody", which keeps a file that a program passes on. Sets keeper.
keeper()
{
	rm -f /tmp/lend_keep
	setpriv --reuid nobody --regid nogroup --clear-groups "$keep" keep "$1" &
	keeper=$!
	wait_for 10 test -e /tmp/lend_keep
}

end_keeper()
{
	kill "$keeper"
	wait "$keeper" || true
}

# The memory of the broker whose first device is edu.
memory_is_kept()
{
	[ -n "$(find "/run/usrpci/memory-$edu" -type f)" ] || grep -q "/run/usrpci/memory-$edu" /proc/mounts
}

# keep_file_of_a_killed_brokers HOW: edu was lent, and its node is with the keeper.
keep_file_of_a_killed_brokers()
{
	local broker
	keeper "$1"
	usrpci -q run "$edu" -- sh -c "'$keep' pass /dev/uio0 && sleep 1000" &
	broker=$!
	wait_for 20 is_running sleep
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 10 no_process sleep
}

# Lends edu to a program that has it write to memory; sets broker.
drive_edu()
{
	rm -f /tmp/lend_drive
	usrpci -q run "$edu" -- "$drive" "$edu" &
	broker=$!
	wait_for 20 test -e /tmp/lend_drive
}

# moments FEW ALL: at which of its moments a command is killed here; ALL of them in the long run.
moments()
{
	[ -n "${USRPCI_KILLS:-}" ] && echo "$2" || echo "$1"
}

# kill_program NAME: at a moment between 10 and 100 ms from now; then no DMA may be under way.
kill_program()
{
	sleep "0.0$((RANDOM % 90 + 10))"
	pkill -KILL -x -P "$broker" "$1"
	wait "$broker" || true
	"$stray_dma" 20
}

kill_while_edu_writes()
{
	local i broker
	usrpci -q bind "$edu"
	for i in $(seq "$1"); do
		drive_edu
		kill_program lend_drive || fail "stray DMA after kill $i"
	done
	expect_output "BusMaster-" lspci -vvs "$edu"
	expect_output "equal" usrpci -q run "$edu" -- "$examples/edu_dma" "$edu"
	usrpci -q restore "$edu"
}

# Intel's 8254x have no reset of PCI's: rings that stay set up would be gone on with by the next
# driver. 0x100 is RCTL, 0x400 TCTL; bit 1 enables.
stop_a_nic_without_reset()
{
	local broker
	usrpci -q bind "$nic"
	usrpci -q run "$nic" -- "$examples/ping" -i 0.1 -c 10000 "$nic" >/dev/null &
	broker=$!
	wait_for 20 has_interrupts 3
	kill_program ping
	expect_same "$(($(usrpci bar "$nic" read 0 0x100) & 2))" 0 "the receiver's state"
	expect_same "$(($(usrpci bar "$nic" read 0 0x400) & 2))" 0 "the transmitter's state"
	usrpci -q restore "$nic"
}

# has_interrupts N: more than that came from a lent device.
has_interrupts()
{
	usrpci --json ps | jq -e "any(.lent[]; .irqs > $1)"
}

# The other end floods the NIC with broadcasts, and answers what it sends.
kill_while_nic_receives()
{
	local i broker flood other
	other=$(interface_of "$peer")
	address_up "$other" 10.0.9.2/24
	ping -n -q -b -i 0.002 -I "$other" 10.0.9.255 >/dev/null 2>&1 &
	flood=$!
	usrpci -q bind "$wire"
	for i in $(seq "$1"); do
		usrpci -q run "$wire" -- "$examples/ping" -o 10.0.9.15 -p 10.0.9.2 -f -c 1000000 \
			"$wire" >/dev/null &
		broker=$!
		wait_for 20 pgrep -x -P "$broker" ping
		[ "$i" != 1 ] || wait_for 20 has_interrupts 50
		kill_program ping || fail "stray DMA after kill $i"
	done
	kill "$flood"
	wait "$flood" || true
	usrpci -q restore "$wire"
	quiet_interface "$peer"
}

uptime_ms()
{
	local seconds
	read -r seconds _ </proc/uptime
	echo "${seconds/./}0"
}

# Prints when the other end of a pipe is closed; no process comes before this one.
watch_end()
{
	rm -f /tmp/pipe
	mkfifo -m 666 /tmp/pipe
	chrt -f 1 sh -c 'cat /tmp/pipe; cat /proc/uptime' >"$scratch/uptime" &
	watcher=$!
}

# ended_in_time: within two seconds of the end that was watched.
ended_in_time()
{
	local seconds end
	end=$(uptime_ms)
	wait "$watcher"
	read -r seconds _ <"$scratch/uptime"
	end=$((end - ${seconds/./}0))
	note "$1 ended in $end ms"
	no_process "$2" || fail "some of it is left"
	((end <= 2000)) || fail "the end took $end ms"
}
