# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# end: what was lent is taken back, whatever happens to the program, to the broker, or to the device
#
# vm: --nic e1000 --device edu,dma_mask=0xffffffff --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0
# vm: --nic e1000@1 --nic e1000@1 --append "hugepages=4" --mem 384M
# case-deadline: 300

nic=0000:00:01.0
edu=0000:00:02.0
wire=0000:00:04.0
peer=0000:00:05.0
# shellcheck source=tests/qemu/lib_lend.sh
. "$USRPCI_SOURCE/tests/qemu/lib_lend.sh"

# slow
lend_end@gives-back-late-rather-than-never()
{
	local run
	rm -f /tmp/go
	usrpci run "$edu" -- sh -c 'until test -e /tmp/go; do sleep 0.1; done' >"$scratch/said" 2>&1 &
	run=$!
	wait_for 20 is_lent "$edu"
	exec 8>/run/usrpci/lock
	flock 8
	touch /tmp/go
	wait_for 60 grep -q "waiting for .* which has been changing this host" "$scratch/said" # after 10
	exec 8>&-
	wait "$run"
}

lend_end@gives-everything-back-when-it-is-interrupted-before-the-program-runs()
{
	local i broker
	for i in $(moments "08 25" "00 02 05 08 12 18 25 35 50"); do
		usrpci -q run "$nic" "$edu" -- sleep 30 &
		broker=$!
		sleep "0.$i"
		kill -INT "$broker" || true
		sleep 0.3
		kill -TERM "$broker" || true
		wait "$broker" || true
		wait_for 10 test "$(driver_of "$nic")" = e1000
		expect_same "$(state)" "$(cat "$scratch/before")" "the host after $i"
	done
}

lend_end@leaves-a-note-whenever-it-is-killed()
{
	local i broker
	for i in $(moments "11 40" "02 05 08 11 14 17 20 25 30 40 60"); do
		usrpci -q run "$edu" -- sleep 30 &
		broker=$!
		sleep "0.$i"
		kill -KILL "$broker"
		wait "$broker" || true
		wait_for 10 no_process sleep
		usrpci -q restore --all
		# Pages that came before the note could say so are usrpci's, but nobody's.
		[ "$(state)" = "$(cat "$scratch/before")" ] || usrpci -q hugepages release
		expect_same "$(state)" "$(cat "$scratch/before")" "the host after $i"
	done
}

lend_end@gives-everything-back-when-its-terminal-is-closed()
{
	expect_output "^129$" python3 -c '
import os, pty, sys, time
broker, terminal = pty.fork()
if broker == 0:
    os.execvp("usrpci", ["usrpci", "-q", "run", sys.argv[1], "--", "sleep", "1000"])
while not os.system("pgrep -x sleep >/dev/null") == 0:
    time.sleep(0.1)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(broker, 0)[1]))' "$edu"
	no_process sleep
}

lend_end@ends-what-the-program-leaves-behind()
{
	lend "$edu" -- sh -c 'setsid sleep 1000 & setsid sh -c "sleep 1001 & sleep 1002" & exit 0'
	expect_same "$(pgrep -f '^sleep 100[012]$')" ""
}

lend_end@takes-a-device-back-from-a-program-that-is-killed-while-it-writes-to-memory()
{
	kill_while_edu_writes "${USRPCI_KILLS:-1}"
}

lend_end@takes-a-nic-back-from-a-program-that-is-killed-while-it-receives()
{
	kill_while_nic_receives "${USRPCI_KILLS:-1}"
	lend "$nic" -- "$examples/ping" -c 3 -i 0.1 "$nic"
	works_with_its_kernel_driver "$nic"
}

# slow
lend_end@stops-a-nic-that-has-no-reset-of-pcis()
{
	stop_a_nic_without_reset
}

lend_end@recovers-from-a-broker-that-is-killed()
{
	local broker
	drive_edu
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 10 no_process lend_drive
	expect_output "abandoned" usrpci ps
	memory_is_kept
	usrpci restore --all
	expect_output "BusMaster-" lspci -vvs "$edu"
}

# What a broker that is killed leaves, with the device handed back to its driver by other means.
lose_broker_and_give_back_by_hand()
{
	local device=/sys/bus/pci/devices/$nic
	usrpci -q run "$nic" -- sleep 1000 &
	wait_for 20 is_lent "$nic"
	kill -KILL $!
	wait $! || true
	wait_for 10 no_process sleep
	echo >"$device/driver_override"
	echo "$nic" >"$device/driver/unbind"
	echo "$nic" >/sys/bus/pci/drivers/e1000/bind
	wait_for 10 interface_of "$nic"
}

lend_end@leaves-a-device-alone-that-its-kernel-driver-has-again()
{
	lose_broker_and_give_back_by_hand
	address_up "$(interface_of "$nic")"
	lspci -xxx -s "$nic" >"$scratch/config"
	usrpci -q -n bind "$edu"
	expect_same "$(lspci -xxx -s "$nic")" "$(cat "$scratch/config")" "its configuration space"
	expect_output "the kernel driver e1000 has it again" usrpci bind "$edu"
	expect_same "$(lspci -xxx -s "$nic")" "$(cat "$scratch/config")" "its configuration space"
	ping_gateway "$(interface_of "$nic")"
	quiet_interface "$nic"
	usrpci -q restore --all
}

lend_end@stops-nothing-in-a-dry-run()
{
	local broker
	drive_edu
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 10 no_process lend_drive
	usrpci config "$edu" write COMMAND 0x6
	usrpci -q -n bind "$nic"
	expect_output "BusMaster+" lspci -vvs "$edu"
	usrpci -q restore --all
	expect_output "BusMaster-" lspci -vvs "$edu"
}

# A recovery that is killed at its N-th write, and then another one, leave what the administrator has.
lend_end@recovers-huge-pages-once()
{
	local broker pages write
	pages=$(cat /proc/sys/vm/nr_hugepages)
	for write in $(moments 4 "2 3 4 5 6"); do
		drive_edu
		kill -KILL "$broker"
		wait "$broker" || true
		wait_for 10 no_process lend_drive
		strace -qq -o /dev/null -e trace=write -e "inject=write:signal=KILL:when=$write" \
			usrpci -q restore --all || true
		usrpci -q restore --all
		(($(cat /proc/sys/vm/nr_hugepages) >= pages)) || fail "killed at write $write"
		usrpci -q hugepages release
		expect_same "$(cat /proc/sys/vm/nr_hugepages)" "$pages" "after a kill at write $write"
	done
}

# As above, for a broker that is killed at its N-th write; most of these are near its end.
lend_end@gives-huge-pages-back-once-when-the-broker-is-killed-at-its-end()
{
	local base write kept
	base=$(cat /proc/sys/vm/nr_hugepages)
	usrpci -q hugepages reserve $((base + 2))
	kept=$(cat /proc/sys/vm/nr_hugepages)
	for write in $(moments "13 20" "$(seq -s " " 6 24)"); do
		strace -qq -o /dev/null -e trace=write -e "inject=write:signal=KILL:when=$write" \
			usrpci -q run --hugepages $((kept + 2)) "$edu" -- true || true
		wait_for 10 no_process lend_drive
		usrpci -q restore --all
		(($(cat /proc/sys/vm/nr_hugepages) >= kept)) || fail "pages of others are gone: write $write"
		[ "$(cat /proc/sys/vm/nr_hugepages)" != $kept ] || continue
		usrpci -q hugepages release
		expect_same "$(cat /proc/sys/vm/nr_hugepages)" "$base" "after a kill at write $write"
		usrpci -q hugepages reserve $((base + 2))
	done
	usrpci -q hugepages release
	expect_same "$(cat /proc/sys/vm/nr_hugepages)" "$base" "when all is given back"
}

lend_end@recovers-when-both-are-killed-and-the-next-run-cleans-up()
{
	local broker
	drive_edu
	kill -KILL "$broker"
	pkill -KILL lend_drive || true
	wait "$broker" || true
	lend "$edu" -- "$examples/edu_dma" "$edu"
}

lend_end@survives-a-program-that-stops-and-is-killed()
{
	local broker
	drive_edu
	pkill -STOP lend_drive
	sleep 0.3
	pkill -KILL lend_drive
	wait "$broker" || true
}

# slow
lend_end@goes-on-with-other-devices-while-one-that-was-left-is-held()
{
	keep_file_of_a_killed_brokers hold
	expect_output "\(lend_keep\) has /dev/uio0 open" lend "$nic" -- true
	expect_fail 5 "a run that has ended had it, and it is not cleaned up yet" usrpci -q run "$edu" -- true
	memory_is_kept
	end_keeper
	usrpci -q restore --all
}

# slow
lend_end@puts-configuration-space-back-after-a-killed-broker()
{
	local broker
	rm -f /tmp/lost
	lend_and_lose_registers "exec sleep 1000" &
	wait_for 20 test -e /tmp/lost
	broker=$(pids_of usrpci)
	kill -KILL "$broker"
	wait_for 20 no_process sleep
	usrpci -q restore --all
	works_with_its_kernel_driver "$nic"
}

lend_end@keeps-memory-of-a-killed-broker-while-its-device-is-held()
{
	keep_file_of_a_killed_brokers hold
	expect_fail 5 "lend_keep. has /dev/uio0 open" usrpci -q restore --all
	memory_is_kept
	end_keeper
	usrpci -q restore --all
}

lend_end@gives-back-when-the-process-that-answers-is-killed()
{
	local broker status=0
	usrpci run "$nic" "$edu" -- sleep 1000 2>"$scratch/said" >/dev/null &
	broker=$!
	wait_for 20 is_running usrpci-serve
	pkill -KILL -x usrpci-serve
	wait "$broker" || status=$?
	expect_same "$status" 1
	grep -q "was killed, so the program is ended" "$scratch/said"
	works_with_its_kernel_driver "$nic"
}

# Where a hugetlbfs is mounted at a name that a note could not have, recovery finds the memory all the same.
lend_end@recovers-memory-whatever-the-names-of-mounts()
{
	local broker
	umount /dev/hugepages
	mkdir -p "/tmp/huge pages"
	mount -t hugetlbfs none "/tmp/huge pages"
	drive_edu
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 10 no_process lend_drive
	usrpci -q restore --all
	umount "/tmp/huge pages"
	mount -t hugetlbfs none /dev/hugepages
}

# traced BEFORE-END NAME COMMAND...: somebody traces "tail" as the program's user, and does not let go of it; then
# the process of this name is killed, with which the program ends. The device is not kept until END_MS.
traced()
{
	local broker tracer status=0 begin
	rm -f /tmp/lend_keep
	usrpci -q run --user nobody "$edu" -- "${@:3}" &
	broker=$!
	wait_for 20 is_running tail
	setpriv --reuid nobody --regid nogroup --clear-groups "$keep" trace tail "$1" &
	tracer=$!
	wait_for 10 test -e /tmp/lend_keep
	begin=$SECONDS
	pkill -KILL -x -P "$broker" "$2"
	wait "$broker" || status=$?
	expect_same "$status" 137 "the status"
	((SECONDS - begin < 25)) || fail "it took $((SECONDS - begin)) s"
	expect_same "$(driver_of "$edu")" ""
	kill -KILL "$tracer"
	wait "$tracer" || true
	wait_for 10 no_process usrpci-first
}

lend_end@gives-a-device-back-while-a-tracer-keeps-a-process()
{
	traced 0 tail tail -f /dev/null
	traced 0 sh sh -c 'tail -f /dev/null & wait'
	traced 1 sh sh -c 'tail -f /dev/null & wait'
}

lend_end@ends-the-program-with-a-killed-broker()
{
	usrpci -q run "$edu" -- sh -c 'setsid sleep 1000 & setsid sh -c "sleep 1001 & sleep 1002" & wait' &
	local broker=$!
	wait_for 20 pgrep -f '^sleep 1002'
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 20 no_process sleep
	usrpci -q restore --all
}

lend_end@ends-a-fork-storm-with-a-killed-broker()
{
	rm -f /tmp/storm
	usrpci -q run "$edu" -- sh -c ": >/tmp/storm; exec '$USRPCI_BUILD/tests/qemu/lend_storm' 96 1000" &
	wait_for 20 test -e /tmp/storm
	sleep 1
	kill -KILL $!
	wait $! || true
	wait_for 20 no_process lend_storm
	usrpci -q restore --all
}

# serve_files HOW: as another process of the program's user. Who closes its file waits for it in the kernel. Sets server.
serve_files()
{
	modprobe fuse
	chmod 666 /dev/fuse
	rm -f /tmp/lend_fuse
	setpriv --reuid nobody --regid nogroup --clear-groups "$USRPCI_BUILD/tests/qemu/lend_fuse" "$1" &
	server=$!
	wait_for 10 test -e /tmp/lend_fuse
}

lend_end@answers-though-a-file-that-it-is-sent-cannot-be-closed()
{
	local server broker
	serve_files serve
	rm -f /tmp/answered
	lend -u nobody "$edu" -- sh -c "'$USRPCI_BUILD/tests/qemu/lend_fuse' send & sleep 2
		'$examples/edu_dma' $edu && : >/tmp/answered" &
	broker=$!
	wait_for 20 test -e /tmp/answered
	kill -KILL "$server"
	wait "$broker"
}

# It may have the registers mapped.
# slow
lend_end@keeps-a-device-while-a-process-hides-what-it-has-mapped()
{
	local server broker status=0 hidden="lend_fuse. has something that cannot be seen mapped"
	usrpci -q run "$edu" -- sleep 1000 2>"$scratch/said" &
	broker=$!
	wait_for 20 is_running sleep
	serve_files map
	kill -TERM "$broker"
	wait "$broker" || status=$?
	expect_same "$status" 4
	grep -q "$hidden" "$scratch/said"
	expect_fail 5 "$hidden" timeout -s KILL 100 usrpci -q restore --all
	expect_fail 5 "files that pid [0-9]* has mapped cannot be seen" timeout -s KILL 100 usrpci -q bind "$nic"
	kill -KILL "$server"
	wait "$server" || true
	usrpci -q restore --all
}

# left_behind WHAT HOW COMMAND...: the device and its memory stay until the keeper is gone.
left_behind()
{
	local what=$1 how=$2
	shift 2
	keeper "$how"
	expect_fail 4 "$what" usrpci -q run "$@"
	memory_is_kept
	[ -e "/run/usrpci/lent/$edu" ]
	expect_same "$(driver_of "$edu")" uio_pci_generic
	expect_fail 5 "$what" usrpci -q restore --all
	end_keeper
	usrpci -q restore --all
	expect_same "$(driver_of "$edu")" ""
}

lend_end@keeps-a-device-whose-node-was-passed-on()
{
	left_behind "lend_keep. has /dev/uio0 open" hold \
		"$edu" -- "$keep" pass /dev/uio0
}

# slow
lend_end@keeps-a-device-that-a-thread-has-alone()
{
	left_behind "lend_keep. has /dev/uio0 open" thread "$edu" -- "$keep" pass /dev/uio0
}

# slow
lend_end@keeps-a-device-whose-registers-were-passed-on()
{
	left_behind "lend_keep. has .*/resource0 open" hold \
		"$edu" -- "$keep" pass "/sys/bus/pci/devices/$edu/resource0"
}

lend_end@keeps-a-device-whose-registers-are-mapped()
{
	left_behind "lend_keep. has .*/resource0 mapped" map \
		"$edu" -- "$keep" pass "/sys/bus/pci/devices/$edu/resource0"
}

# Of a ring that is not open any more nobody can say what is registered with it.
lend_end@keeps-a-device-whose-files-an-io-uring-has-alone()
{
	left_behind "lend_keep. has .*/resource0 registered with an io_uring" ring \
		"$edu" -- "$keep" pass "/sys/bus/pci/devices/$edu/resource0"
	left_behind "lend_keep. has an io_uring whose files cannot be seen mapped" closed-ring \
		"$edu" -- "$keep" pass /dev/uio0
}

# A request that waits keeps the file as well, but nobody can do anything with it.
lend_end@gives-a-device-back-that-a-request-waits-for()
{
	keeper aio
	usrpci -q run "$edu" -- "$keep" pass /dev/uio0
	expect_same "$(driver_of "$edu")" ""
	expect_output "equal" usrpci -q run "$edu" -- "$examples/edu_dma" "$edu"
	end_keeper
}

# The device is back, because its memory alone does not reach it.
lend_end@keeps-memory-that-was-passed-on()
{
	local how
	for how in $(moments "map pipe" "hold map pipe unread"); do
		keeper "$how"
		expect_fail 4 "a process has some of the DMA memory still" \
			usrpci -q run "$edu" "$nic" -- "$keep" pass page
		expect_same "$(driver_of "$nic")" e1000
		memory_is_kept
		expect_fail 5 "DMA memory still" usrpci -q restore --all
		end_keeper
		usrpci -q restore --all
	done
}

lend_end@takes-a-living-broker-for-living-in-another-namespace()
{
	usrpci -q run "$edu" -- sleep 1000 &
	local broker=$!
	wait_for 20 is_lent "$edu"
	expect_fail 5 "it is lent to sleep" unshare -pf --mount-proc usrpci -q restore --all
	expect_fail 5 "it is lent to sleep" usrpci -q bind --force --driver "" "$edu"
	is_lent "$edu"
	expect_same "$(driver_of "$edu")" uio_pci_generic
	kill -TERM "$broker"
	wait "$broker" || true
}

lend_end@gives-back-when-its-notes-were-removed()
{
	usrpci -q run "$nic" -- sh -c 'touch /tmp/ready; sleep 1000' &
	wait_for 20 test -e /tmp/ready
	rm -r /run/usrpci/lent /run/usrpci/journal /run/usrpci/brokers
	kill -TERM $!
	wait $! || true
	rm /tmp/ready
	expect_same "$(driver_of "$nic")" e1000
}

# The last: the device does not come back.
lend_end@survives-a-device-that-is-unplugged()
{
	usrpci -q run 01:00.0 -- sleep 1000 &
	local broker=$!
	wait_for 20 is_lent 0000:01:00.0
	"$here/monitor" device_del nic1
	sleep 2
	kill -TERM "$broker"
	wait "$broker" || true
	wait_for 20 is_not_lent 0000:01:00.0
	[ ! -e /run/usrpci/journal/0000:01:00.0 ]
}
