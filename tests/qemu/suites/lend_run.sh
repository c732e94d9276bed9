# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# run: devices are lent to a program and taken back, whatever happens to it
#
# vm: --nic e1000 --device edu,dma_mask=0xffffffff --device pcie-root-port,id=rp0 --nic e1000e,bus=rp0
# vm: --nic e1000@1 --nic e1000@1 --append "hugepages=4" --mem 384M
# case-deadline: 300

nic=0000:00:01.0
edu=0000:00:02.0
wire=0000:00:04.0
peer=0000:00:05.0
hot=0000:01:00.0
# shellcheck source=tests/qemu/lib_lend.sh
. "$USRPCI_SOURCE/tests/qemu/lib_lend.sh"

lend_run@lends-edu-to-a-program-without-rights()
{
	expect_output "equal" lend "$edu" -- "$examples/edu_dma" "$edu"
}

lend_run@lends-a-nic-whose-driver-works-again-afterwards()
{
	expect_output "lost: 0" lend "$nic" -- "$examples/ping" -c 3 -i 0.1 "$nic"
	works_with_its_kernel_driver "$nic"
}

lend_run@gives-the-program-no-privileges()
{
	local user groups
	# shellcheck disable=SC2016
	lend "$edu" -- sh -c 'cat /proc/self/status; id -u; id -G' >"$scratch/status"
	grep -q '^CapEff:.*0000000000000000' "$scratch/status"
	grep -q '^CapBnd:.*0000000000000000' "$scratch/status"
	grep -q '^NoNewPrivs:.*1' "$scratch/status"
	read -r user groups < <(tail -n 2 "$scratch/status" | xargs)
	((user >= 1879048192 && user <= 2147483645))
	expect_same "$groups" "$user"
}

lend_run@runs-as-the-user-that-is-named()
{
	expect_same "$(lend -u daemon "$edu" -- id -un)" daemon
	expect_fail 1 "no such user" usrpci -q run -u no-such-user "$edu" -- id
	expect_fail 1 "does not run as root" usrpci -q run -u root "$edu" -- id
}

lend_run@refuses-a-user-of-roots-group()
{
	echo "rootgroup:x:4242:0::/:/bin/sh" >>/etc/passwd
	expect_fail 1 "nor in its group" usrpci -q run -u rootgroup "$edu" -- id
	sed -i '/^rootgroup:/d' /etc/passwd
}

lend_run@leaves-descriptors-of-root-behind()
{
	exec 7</etc/shadow
	expect_fail 2 "[Bb]ad file descriptor" usrpci -q run "$edu" -- sh -c 'cat <&7'
	exec 7<&-
	! grep -q root: <<<"$output"
}

# Sets keys: a program that says whether there is a certain key, has one made, or as many as there may be.
write_keys()
{
	keys=$scratch/keys.py
	cat >"$scratch/keys.py" <<-'EOF'
		import ctypes, os, sys, time
		libc = ctypes.CDLL(None, use_errno=True)
		SESSION, ADD_KEY, KEYCTL, JOIN, SEARCH = -3, 248, 250, 1, 10
		if sys.argv[1] == "fill":
		    assert libc.syscall(KEYCTL, JOIN, None) > 0
		    while libc.syscall(ADD_KEY, b"user", b"%d" % time.monotonic_ns(), b"x" * 99, 99, SESSION) > 0:
		        pass
		    open(sys.argv[2], "w").close()
		    time.sleep(1000)
		if sys.argv[1] == "have":
		    assert libc.syscall(KEYCTL, JOIN, None) > 0
		    assert libc.syscall(ADD_KEY, b"user", b"secret", b"hunter2", 7, SESSION) > 0
		    os.execvp(sys.argv[2], sys.argv[2:])
		print("key:", libc.syscall(KEYCTL, SEARCH, SESSION, b"user", b"secret", 0))
	EOF
	chmod 644 "$scratch/keys.py"
	chmod 755 "$scratch"
}

# The number of a session keyring and of a key in it: root's, then what the program has of them.
lend_run@leaves-keys-of-root-behind()
{
	write_keys
	expect_output "key: [1-9]" python3 "$scratch/keys.py" have python3 "$scratch/keys.py" look
	expect_output "key: -1" python3 "$scratch/keys.py" have \
		usrpci -q run "$edu" -- python3 "$scratch/keys.py" look
}

lend_run@needs-none-of-the-keys-that-a-user-may-have()
{
	write_keys
	setpriv --reuid daemon --regid daemon --clear-groups python3 "$keys" fill "/tmp/full" &
	wait_for 20 test -e /tmp/full
	lend -u daemon "$edu" -- true
	kill %1
	rm /tmp/full
}

lend_run@works-whatever-others-lock()
{
	local locked=0
	usrpci -q bind "$edu"
	setpriv --reuid nobody --regid nogroup --clear-groups \
		flock "/sys/bus/pci/devices/$edu/config" sleep 60 &
	sleep 0.5
	expect_output "equal" "$examples/edu_dma" "$edu"
	expect_output "equal" lend "$edu" -- "$examples/edu_dma" "$edu"
	kill %1
	setpriv --reuid nobody --regid nogroup --clear-groups flock -n /run/usrpci/lock true || locked=$?
	[ $locked != 0 ] || fail "everybody can lock /run/usrpci/lock"
	expect_same "$(lend "$edu" -- find /run/usrpci -type f -path '*brokers*' -readable)" "" "what others can lock"
	usrpci -q restore "$edu"
}

# What /proc says of a process is its user's, who can keep others waiting for it.
lend_run@works-whatever-others-lease()
{
	local time keeper
	time=$(</proc/sys/fs/lease-break-time)
	echo 100000 >/proc/sys/fs/lease-break-time
	rm -f /tmp/lend_keep
	setpriv --reuid nobody --regid nogroup --clear-groups "$keep" lease &
	keeper=$!
	wait_for 20 test -e /tmp/lend_keep
	timeout -s KILL 200 usrpci -q run "$edu" -- true
	timeout -s KILL 200 usrpci -q bind "$nic"
	timeout -s KILL 200 usrpci -q restore --all
	end_keeper
	echo "$time" >/proc/sys/fs/lease-break-time
}

lend_run@does-not-give-the-program-other-devices()
{
	local files="/dev/uio0 /sys/bus/pci/devices/$nic/resource0 /sys/bus/pci/devices/$nic/config"
	local writable="for file in $files; do test -w \$file && echo \$file; done; exit 0"
	usrpci -q bind "$nic"
	expect_same "$(sh -c "$writable" | xargs)" "$files" "what root can write to"
	expect_same "$(lend "$edu" -- sh -c "$writable")" "" "what the program can write to"
	expect_fail 1 "the broker does not open it|Permission denied" usrpci -q run "$edu" -- "$examples/ping" -c 1 "$nic"
	usrpci -q restore "$nic"
}

lend_run@hands-on-the-exit-status()
{
	expect_fail 7 "" usrpci -q run "$edu" -- sh -c 'exit 7'
	expect_fail 137 "" usrpci -q run "$edu" -- sh -c 'kill -9 $$'
	expect_fail 127 "No such file" usrpci -q run "$edu" -- /no/such/program
	expect_fail 126 "Permission denied" usrpci -q run "$edu" -- /etc/passwd
	expect_fail 7 "" python3 -c 'import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp("usrpci", ["usrpci", *sys.argv[1:]])' -q run "$edu" -- sh -c 'exit 7'
}

# Each time it has DMA memory, and none of what it had before.
lend_run@starts-a-program-that-crashed-again()
{
	rm -f /tmp/crashed
	lend --restart=1 "$edu" -- sh -c \
		"'$examples/edu_dma' $edu && { test -e /tmp/crashed || { : >/tmp/crashed; kill -SEGV \$\$; }; }" \
		>"$scratch/said"
	expect_same "$(grep -c equal "$scratch/said")" 2
}

lend_run@hands-on-signals()
{
	usrpci -q run "$edu" -- sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done' \
		>"$scratch/program" &
	local broker=$! status=0
	wait_for 20 grep -q ready "$scratch/program"
	kill -TERM "$broker"
	wait "$broker" || status=$?
	expect_same "$status" 9
}

lend_run@shows-who-has-what()
{
	usrpci -q run "$edu" "$nic" -- sleep 30 &
	local broker=$!
	wait_for 20 is_lent "$nic"
	usrpci ps | tee "$scratch/ps"
	grep -q "^$edu .*lent *sleep" "$scratch/ps"
	usrpci --json ps | jq -e . >/dev/null
	expect_fail 5 "it is lent to sleep" usrpci bind "$edu" --driver none
	expect_fail 3 "missing +use +it is lent to sleep" usrpci check "$edu"
	expect_fail 3 "cure: end pid [0-9]+ .sleep.; usrpci ps" usrpci check "$edu"
	expect_output "it is lent to sleep" usrpci show "$edu"
	kill -TERM "$broker"
	wait "$broker" || true
}

lend_run@lends-a-device-to-one-program-at-a-time()
{
	usrpci -q run "$edu" -- sleep 30 &
	local broker=$!
	wait_for 20 is_lent "$edu"
	expect_fail 5 "it is lent to sleep" usrpci -q run "$edu" -- true
	expect_fail 5 "it is lent to sleep" usrpci -q run "$nic" "$edu" -- true
	expect_same "$(driver_of "$nic")" e1000
	is_lent "$edu"
	kill -TERM "$broker"
	wait "$broker" || true
}

lend_run@shows-in-a-dry-run-what-it-would-change()
{
	expect_output "uio_pci_generic > .*$nic/driver_override" usrpci --dry-run run "$nic" -- false
}

lend_run@gives-a-device-back-whose-driver-cannot-lend-it()
{
	expect_fail 1 "can be lent with" usrpci -q run --driver "" "$nic" -- true
	expect_fail 1 "can be lent with" usrpci -q run --driver pci-stub "$nic" -- true
}

lend_run@leaves-huge-pages-that-were-reserved-before()
{
	local before
	before=$(cat /proc/sys/vm/nr_hugepages)
	usrpci -q hugepages reserve 6
	usrpci -q run --hugepages 8 "$edu" -- true
	expect_same "$(cat /proc/sys/vm/nr_hugepages)" 6
	usrpci -q hugepages release
	expect_same "$(cat /proc/sys/vm/nr_hugepages)" "$before"
}

lend_run@takes-the-name-of-an-interface()
{
	lend "$(interface_of "$nic")" -- test -e "/sys/bus/pci/devices/$nic/uio"
	expect_same "$(driver_of "$nic")" e1000
}

lend_run@refuses-a-device-that-another-program-drives()
{
	usrpci -q bind "$edu"
	sleep 1000 3</dev/uio0 &
	local other=$!
	wait_for 5 test /dev/uio0 -ef "/proc/$other/fd/3"
	expect_fail 5 "$other \(sleep\) has /dev/uio0 open" usrpci -q run "$edu" -- true
	lend --force "$edu" -- true
	kill "$other"
	wait "$other" || true
	expect_same "$(driver_of "$edu")" uio_pci_generic
	usrpci -q restore "$edu"
}

lend_run@refuses-a-device-whose-note-is-damaged()
{
	mkdir -p /run/usrpci/lent
	echo nonsense >"/run/usrpci/lent/$edu"
	expect_fail 1 "/run/usrpci/lent/$edu is damaged" usrpci -q run "$edu" -- true
	expect_same "$(cat "/run/usrpci/lent/$edu")" nonsense
	rm "/run/usrpci/lent/$edu"
}

lend_run@survives-hostile-messages()
{
	lend "$edu" -- "$USRPCI_BUILD/tests/qemu/lend_hostile" "${USRPCI_HOSTILE_SECONDS:-2}"
}

lend_run@does-not-spin-when-half-of-its-socket-is-closed()
{
	rm -f /tmp/closed
	usrpci -q run "$edu" -- python3 -c 'import os, socket, time
socket.socket(fileno=int(os.environ["USRPCI_BROKER"])).shutdown(socket.SHUT_WR)
open("/tmp/closed", "w").close()
time.sleep(1000)' &
	wait_for 20 test -e /tmp/closed
	wait_for 10 no_process usrpci-serve
	kill -TERM $!
	wait $! || true
}

lend_run@survives-a-program-that-cuts-the-file-of-its-memory()
{
	expect_output "the broker lives" lend "$edu" -- \
		"$USRPCI_BUILD/tests/qemu/lend_file" cut
	expect_output "is not used again" usrpci run "$edu" -- \
		"$USRPCI_BUILD/tests/qemu/lend_file" cut
}

lend_run@does-not-lend-a-page-again-that-the-program-exchanged()
{
	expect_output "the exchange is noticed" lend "$edu" -- \
		"$USRPCI_BUILD/tests/qemu/lend_file" exchange
}

lend_run@works-where-no-hugetlbfs-is-mounted()
{
	umount /dev/hugepages
	expect_output "equal" lend "$edu" -- "$examples/edu_dma" "$edu"
	mount -t hugetlbfs none /dev/hugepages
}

# The page stays allocated, so that the file gets no other where only one may be lent.
lend_run@keeps-a-page-that-the-program-punches-out()
{
	expect_output "the page is kept" lend --hugepages 1 "$edu" -- "$USRPCI_BUILD/tests/qemu/lend_file" punch
}

lend_run@works-with-few-descriptors()
{
	(
		ulimit -n 12
		expect_output "^12$" usrpci -q run "$edu" -- bash -c "ulimit -n"
		expect_output "equal" usrpci -q run "$edu" -- "$examples/edu_dma" "$edu"
		expect_fail 1 "only 12 files, and 64" setpriv --bounding-set=-sys_resource usrpci run "$edu" -- true
	)
}

# The list of a process's children is longer than what is read of it at once, so that a number is
# cut: 31369 to 313.
# slow
lend_run@ends-a-thousand-processes-and-no-other()
{
	local strangers=()
	echo 299 >/proc/sys/kernel/ns_last_pid
	for _ in $(seq 40); do
		sleep 1000 &
		strangers+=($!)
	done
	echo 30000 >/proc/sys/kernel/ns_last_pid
	lend "$edu" -- sh -c 'seq 800 | while read -r _; do (sleep 1000 &); done'
	[ "$(jobs -r | wc -l)" = 40 ]
	kill "${strangers[@]}"
}

lend_run@filters-the-brokers-system-calls()
{
	usrpci -q run "$edu" -- sleep 1000 &
	wait_for 20 is_running usrpci-serve
	wait_for 5 grep -q '^Seccomp:.*2' "/proc/$(pids_of usrpci-serve)/status"
	kill -TERM $!
	wait $! || true
}

lend_run@leaves-who-answers-the-program-no-capabilities()
{
	usrpci -q run "$edu" -- sleep 1000 &
	wait_for 20 serving_process_has 00000000
	kill -TERM $!
	wait $! || true
}

lend_run@keeps-the-program-from-typing-on-the-terminal()
{
	local type="import fcntl; fcntl.ioctl(0, 0x5412, b'x')"
	expect_fail 1 "not permitted" script -qec "usrpci -q run $edu -- python3 -c \"$type\"" /dev/null
}

# By a line discipline that neither reads nor writes, by a lock, by a stop that no key undoes, and as the foreground of the
# terminal, which ends with the program.
lend_run@keeps-the-program-from-closing-the-terminal-to-others()
{
	local discipline="fcntl.ioctl(0, 0x5423, b'\\x1b\\0\\0\\0')" lock="fcntl.ioctl(0, 0x540c)"
	local stop="import termios; termios.tcflow(0, termios.TCOOFF)" close
	local take="import os, signal; signal.signal(signal.SIGTTOU, signal.SIG_IGN); os.setpgid(0, 0); os.tcsetpgrp(0, os.getpid())"
	for close in "$discipline" "$lock"; do
		expect_output "still there" timeout 60 script -qec \
			"usrpci -q run $edu -- python3 -c \"import fcntl; $close\" || echo still there" /dev/null
	done
	expect_output "still there" timeout 60 script -qec \
		"usrpci -q run $edu -- python3 -c \"$stop\"; echo still there" /dev/null
	expect_output " echo " timeout 60 script -qec "usrpci -q run $edu -- stty raw -echo; stty -a" /dev/null
	echo "there too" | expect_output "read there too" timeout 60 script -qec \
		"usrpci -q run $edu -- python3 -c \"$take\"; read -r line; echo read \$line" /dev/null
}

# A virtual console has requests of its own: its picture off, its keyboard off, another console.
lend_run@keeps-the-program-from-switching-a-console-off()
{
	local request
	for request in "0x4b3a, 1" "0x4b45, 4" "0x5606, 2"; do
		expect_fail 1 "not permitted" setsid --ctty --wait \
			usrpci -q run "$edu" -- python3 -c "import fcntl; fcntl.ioctl(0, $request)" </dev/tty5
	done
}

# No filter holds an older process that the program passes the terminal on to: this one makes the requests that are its
# arguments. Sets pass, the command whose program does that.
let_another_process_close_the_terminal()
{
	local program="/tmp/terminal.py"
	cat >"$program" <<-'EOF'
		import fcntl, socket, sys
		peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		if sys.argv[1] == "pass":
		    peer.connect("\0terminal")
		    socket.send_fds(peer, [b"x"], [0])
		    peer.recv(1)
		    sys.exit()
		peer.bind("\0terminal")
		peer.listen()
		open("/tmp/listens", "w").close()
		peer = peer.accept()[0]
		terminal = socket.recv_fds(peer, 1, 1)[1][0]
		for request in sys.argv[2:]:
		    fcntl.ioctl(terminal, *eval(request))
		peer.send(b"x")
	EOF
	rm -f /tmp/listens
	setpriv --reuid nobody --regid nogroup --clear-groups python3 "$program" close "$@" &
	wait_for 20 test -e /tmp/listens
	pass="usrpci -q run $edu -- python3 $program pass"
}

lend_run@opens-a-terminal-again-that-another-process-has-closed-for-the-program()
{
	local pass
	let_another_process_close_the_terminal "[0x540c]" '[0x5423, b"\x1b\0\0\0"]'
	expect_output "exclusive 0" timeout 60 script -qec "$pass
		python3 -c 'import fcntl; print(\"exclusive\", fcntl.ioctl(0, 0x80045440, b\"    \")[0])'" /dev/null
	wait
}

# A serial line has a break, which only its registers show, and lines of a modem: ready to send is one.
lend_run@leaves-a-serial-line-as-it-was()
{
	local pass look="/tmp/look.py" before
	cat >"$look" <<-'EOF'
		import os
		port = os.open("/dev/port", os.O_RDONLY)
		print("break", os.pread(port, 1, 0x3fb)[0] >> 6 & 1, "ready", os.pread(port, 1, 0x3fc)[0] >> 1 & 1)
	EOF
	expect_fail 1 "not permitted" setsid --ctty --wait \
		usrpci -q run "$edu" -- python3 -c "import fcntl; fcntl.ioctl(0, 0x5427)" </dev/ttyS0
	before=$(setsid --ctty --wait python3 "$look" </dev/ttyS0)
	[[ $before == "break 0 "* ]]
	let_another_process_close_the_terminal "[0x5427]" "[0x54$((${before: -1} ? 17 : 16)), b'\\4\\0\\0\\0']"
	expect_output "$before" setsid --ctty --wait timeout --foreground 60 sh -c "$pass; python3 $look" </dev/ttyS0
	wait
}

lend_run@leaves-the-standard-streams-as-they-were()
{
	mkfifo "$scratch/stream"
	exec 8<>"$scratch/stream"
	lend "$edu" -- python3 -c 'import os; [os.set_blocking(fd, False) for fd in (0, 1, 2)]' <&8 >&8 2>&8
	expect_same "$(python3 -c 'import os; print(os.get_blocking(8))')" True
}

# As a shell does it, which sees whether usrpci is stopped: a process of the program takes the terminal, and another
# one reads from it, whose whole group the kernel then sends SIGTTIN.
lend_run@is-not-stopped-by-the-program-with-the-terminals-help()
{
	cat >"$scratch/program" <<-'EOF'
		import os, signal, time
		signal.signal(signal.SIGTTOU, signal.SIG_IGN)
		if os.fork() == 0:
		    os.setpgid(0, 0)
		    os.tcsetpgrp(0, os.getpid())
		    time.sleep(1000)
		while os.tcgetpgrp(0) == os.getpgrp():
		    time.sleep(0.01)
		signal.signal(signal.SIGTTIN, lambda *_: None)
		reader = os.fork()
		if reader == 0:
		    signal.signal(signal.SIGTTIN, lambda *_: os._exit(0))
		    os.read(0, 1)
		os.waitpid(reader, 0)
	EOF
	cat >"$scratch/shell" <<-'EOF'
		import os, pty, signal, sys
		shell, terminal = pty.fork()
		if shell:
		    print(os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]))
		    sys.exit()
		usrpci = os.fork()
		if usrpci == 0:
		    os.setpgid(0, 0)
		    os.execvp("usrpci", ["usrpci", "-q", "run", *sys.argv[1:]])
		signal.signal(signal.SIGTTOU, signal.SIG_IGN)
		while os.getpgid(usrpci) != usrpci:
		    pass
		os.tcsetpgrp(0, usrpci)
		stopped = os.WIFSTOPPED(os.waitpid(usrpci, os.WUNTRACED)[1])
		if stopped:
		    os.killpg(usrpci, signal.SIGCONT)
		    os.kill(usrpci, signal.SIGTERM)
		    os.waitpid(usrpci, 0)
		os._exit(stopped)
	EOF
	expect_output "^0$" python3 "$scratch/shell" "$edu" -- python3 -c "$(cat "$scratch/program")"
}

# The trace of what is written to the host goes to the terminal that the program shares.
lend_run@gives-back-though-the-program-has-stopped-the-terminal()
{
	cat >"$scratch/terminal" <<-'EOF'
		import os, pty, sys
		child, terminal = pty.fork()
		if child == 0:
		    os.execvp("usrpci", ["usrpci", "-v", "run", *sys.argv[1:]])
		print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
	EOF
	expect_output "^0$" timeout 60 python3 "$scratch/terminal" "$edu" -- \
		python3 -c 'import termios; termios.tcflow(2, termios.TCOOFF)'
}

# ... or to a pipe that it has filled.
lend_run@gives-back-though-nobody-reads-what-it-says()
{
	mkfifo "$scratch/said"
	sh -c 'sleep 1000' <"$scratch/said" &
	local reader=$!
	timeout 60 usrpci -v run "$edu" -- timeout 2 yes 2>"$scratch/said" >&2 || [ $? = 124 ]
	expect_same "$(driver_of "$edu")" ""
	kill "$reader"
	wait "$reader" || true
}

# Processes of the program may be smaller than the broker, which the kernel would then end first.
lend_run@is-not-what-the-kernel-ends-where-memory-is-short()
{
	echo 7 >/proc/self/oom_score_adj
	usrpci -q run "$edu" -- sh -c 'cat /proc/self/oom_score_adj >/tmp/score; sleep 1000' &
	local broker=$!
	wait_for 20 test -s /tmp/score
	wait_for 20 is_running usrpci-serve
	expect_same "$(cat "/proc/$broker/oom_score_adj" "/proc/$(pids_of usrpci-serve)/oom_score_adj" \
		"/proc/$(pids_of usrpci-first)/oom_score_adj" /tmp/score | xargs)" "-1000 -1000 -1000 7"
	kill -TERM "$broker"
	wait "$broker" || true
	rm /tmp/score
}

# The address of message interrupts is a write to any address, by a device that is the kernel's again.
lend_run@keeps-registers-that-are-the-kernels()
{
	local msi
	expect_fail 1 "register 0x10 of its configuration space is not lent" \
		usrpci -q run "$nic" -- usrpci -q config "$nic" write 10 0
	msi=$(setpci -s "$hot" CAP_MSI+4.l)
	expect_fail 1 "is not lent" usrpci -q run "$hot" -- sh -c \
		"usrpci -q config $hot write CAP_MSI+4.l 12345000"
	expect_same "$(setpci -s "$hot" CAP_MSI+4.l)" "$msi"
}

# Prints all 4096 bytes, but for the half of the command register that has INTx masked at the end.
all_registers()
{
	lspci -xxxxs "$1" | sed 's/^\(00: .. .. .. .. ..\) ../\1 --/'
}

lend_run@leaves-all-registers-as-they-were()
{
	local before
	usrpci -q bind --driver "" "$hot"
	before=$(all_registers "$hot")
	printf '%s\n' "open $hot" "config-write 4 0x108 0x12345" "config-write 4 0xd8 0xfee00000" \
		"config-write 2 0xcc 0x103" "config-write 2 0xe8 0x5ebf" "config-write 1 0x0c 8" |
		expect_output "EPERM|EACCES|ok" lend "$hot" -- "$USRPCI_BUILD/tests/qemu/probe"
	expect_same "$(all_registers "$hot")" "$before" "configuration space"
	usrpci -q restore "$hot"
}

lend_run@puts-power-and-express-registers-back()
{
	local before
	before=$(setpci -s "$hot" CAP_PM+4.w CAP_EXP+8.w CAP_EXP+10.w CAP_EXP+28.w)
	lend "$hot" -- sh -c "for write in 'CAP_PM+4.w 103' 'CAP_EXP+8.w 5ebf' 'CAP_EXP+10.w 1c3'; do
		usrpci -q config $hot write \$write || exit; done"
	expect_same "$(setpci -s "$hot" CAP_PM+4.w CAP_EXP+8.w CAP_EXP+10.w CAP_EXP+28.w)" "$before"
	expect_same "$(driver_of "$hot")" e1000e
}

lend_run@resets-a-device-for-the-program()
{
	printf '%s\n' "open $hot" "reset function" | expect_output "^ok" lend "$hot" -- "$USRPCI_BUILD/tests/qemu/probe"
}

# The settings are those of receive descriptors, of which a next driver may know one form alone.
lend_run@a-driver-finds-no-settings-of-the-one-before()
{
	expect_output "^0x00000000$" lend "$hot" -- \
		sh -c "usrpci -q bar $hot write 0 5008 8000 && usrpci -q bar $hot read 0 5008"
}

lend_run@gives-out-nothing-that-writes-to-configuration-space()
{
	keeper hold
	expect_output passed lend "$nic" -- "$keep" pass "/sys/bus/pci/devices/$nic/config"
	expect_same "$(driver_of "$nic")" e1000
	end_keeper
}

lend_run@puts-configuration-space-back()
{
	lspci -xs "$nic" >"$scratch/config"
	lend_and_lose_registers ""
	expect_same "$(lspci -xs "$nic")" "$(cat "$scratch/config")"
	works_with_its_kernel_driver "$nic"
}

# How fast that is tells lend_storm.sh, whose clock does not depend on what else this host does.
lend_run@ends-a-fork-storm()
{
	lend "$edu" -- "$USRPCI_BUILD/tests/qemu/lend_storm" 96
	no_process lend_storm || fail "some of it is left"
}

lend_run@hides-other-processes-from-the-program()
{
	sleep 1000 &
	expect_same "$(lend "$edu" -- sh -c 'echo /proc/[0-9]*')" "/proc/1 /proc/2" "what it sees"
	expect_fail 1 "No such process" usrpci -q run "$edu" -- sh -c "kill -0 $!"
	kill $!
}

lend_run@gives-each-program-a-user-of-its-own()
{
	usrpci -q run "$edu" -- sh -c 'id -u >/tmp/user; sleep 1000' &
	wait_for 20 test -s /tmp/user
	lend "$nic" -- id -u >"$scratch/user"
	[ "$(cat /tmp/user)" != "$(cat "$scratch/user")" ]
	rm /tmp/user
	kill -TERM $!
	wait $! || true
}

# A file with the set-user-ID bit, which an earlier program has left, makes anybody its user.
lend_run@gives-no-program-the-user-of-an-earlier-one()
{
	local i user users=""
	for i in 1 2 3; do
		echo 2000 >/proc/sys/kernel/ns_last_pid # so that the processes' numbers are the same
		user=$(lend "$edu" -- id -u)
		[[ " $users " != *" $user "* ]] || fail "the user $user came twice"
		users+=" $user"
	done
}

# One below what ends the program.
lend_run@limits-priority()
{
	(ulimit -r 99 && expect_output "^98$" lend "$edu" -- bash -c "ulimit -H -r")
	(ulimit -r 5 && expect_output "^5$" lend "$edu" -- bash -c "ulimit -H -r")
}

lend_run@limits-processes()
{
	(ulimit -u 100000 && expect_output "^2048$" lend "$edu" -- bash -c "ulimit -H -u")
	(ulimit -u 100 && expect_output "^100$" lend "$edu" -- bash -c "ulimit -H -u")
}

# What System V's calls make outlives processes, and would keep memory.
lend_run@leaves-no-shared-memory-behind()
{
	expect_output "^1$" lend "$edu" -- sh -c 'ipcmk -M 4096 >&2 && ipcmk -Q >&2 && ipcmk -S 1 >&2
		grep -vc key /proc/sysvipc/shm' 2>&1
	expect_same "$(cat /proc/sysvipc/{shm,msg,sem} | grep -v key)" ""
}

lend_run@leaves-no-message-queues-behind()
{
	mkdir -p /dev/mqueue
	mount -t mqueue none /dev/mqueue
	lend "$edu" -- sh -c ': >/dev/mqueue/left && ls /dev/mqueue' | grep -x left
	expect_same "$(ls /dev/mqueue)" ""
	umount /dev/mqueue
}

lend_run@limits-locked-memory()
{
	expect_output "^$(($(sed -n 's/MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 4))$" \
		lend "$edu" -- bash -c "ulimit -H -l"
	expect_output "^10240$" lend --memlock 10 "$edu" -- bash -c "ulimit -H -l"
}

lend_run@lends-no-more-huge-pages-than-it-says()
{
	echo 20 >/proc/sys/vm/nr_hugepages
	expect_output "pages: 2$" lend --hugepages 2 "$edu" -- "$USRPCI_BUILD/tests/qemu/lend_file" grow
	expect_output "pages: 8$" lend "$edu" -- "$USRPCI_BUILD/tests/qemu/lend_file" grow
	echo 4 >/proc/sys/vm/nr_hugepages
}
