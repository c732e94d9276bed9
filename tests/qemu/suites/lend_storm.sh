# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# storm: programs that start processes without end are ended at once; the machine's clock counts
# instructions, so that nothing depends on what else its host does
#
# make check-lend runs it: an instruction takes as long as the clock says. 2048 processes of Python's need 4 GiB.
#
# vm: --icount --device edu,dma_mask=0xffffffff --mem 6G
# case-deadline: 1200

edu=0000:00:01.0 nic=$edu wire=$edu
# shellcheck source=tests/qemu/lib_lend.sh
. "$USRPCI_SOURCE/tests/qemu/lib_lend.sh"

lend_storm@ends-in-two-seconds()
{
	local watcher
	watch_end
	lend "$edu" -- "$USRPCI_BUILD/tests/qemu/lend_storm" 96 1 /tmp/pipe
	ended_in_time "a storm" lend_storm
}

# Others have work to do as well.
lend_storm@ends-in-two-seconds-on-a-busy-machine()
{
	local watcher others=()
	for _ in $(seq 19); do
		(while :; do :; done) &
		others+=($!)
	done
	watch_end
	lend "$edu" -- "$USRPCI_BUILD/tests/qemu/lend_storm" 96 1 /tmp/pipe
	ended_in_time "a storm beside 19 busy processes" lend_storm
	kill "${others[@]}"
}

lend_storm@ends-in-two-seconds-however-large-its-processes()
{
	local watcher
	cat >"$scratch/program" <<-'EOF'
		import os, time
		for _ in range(96):
		    if os.fork() == 0:
		        while os.fork() == 0:
		            os.setsid()
		        os._exit(0)
		pipe = os.open("/tmp/pipe", os.O_WRONLY)
		time.sleep(1)
	EOF
	watch_end
	lend "$edu" -- python3 -c "$(cat "$scratch/program")"
	ended_in_time "a storm of Python's" python3
}

# doubling SIGNAL COMMAND...: as many processes as are allowed, and then a signal for the broker: with SIGTERM the
# program ends first. Nothing of this shell runs before all has ended.
doubling()
{
	local signal=$1 broker user=1234567 said
	shift
	usrpci -q run -u $user "$edu" -- "$@" &
	broker=$!
	said=$("$USRPCI_BUILD/tests/qemu/lend_gone" "$signal" "$broker" $user 2048)
	note "$said"
	wait "$broker" || true
	said=${said% ms}
	((${said##* } <= 2000)) || fail "$said ms"
	usrpci -q restore --all
}

lend_storm@ends-in-two-seconds-when-its-processes-double()
{
	doubling 15 "$USRPCI_BUILD/tests/qemu/lend_storm" 0 1000
}

lend_storm@ends-in-two-seconds-when-its-processes-are-the-brokers-children()
{
	doubling 15 "$USRPCI_BUILD/tests/qemu/lend_storm" -1 1000
}

lend_storm@ends-in-two-seconds-with-a-killed-broker-when-its-processes-double()
{
	doubling 9 "$USRPCI_BUILD/tests/qemu/lend_storm" 0 1000
}

python_that_doubles='import os, time
if os.fork() == 0:
    while True:
        try:
            os.fork()
        except OSError:
            pass
time.sleep(1000)'

lend_storm@ends-in-two-seconds-when-large-processes-double()
{
	doubling 15 python3 -c "$python_that_doubles"
}

lend_storm@ends-in-two-seconds-with-a-killed-broker-when-large-processes-double()
{
	doubling 9 python3 -c "$python_that_doubles"
}

lend_storm@ends-in-two-seconds-with-a-killed-broker()
{
	local broker begin end
	rm -f /tmp/storm
	usrpci -q run "$edu" -- sh -c ": >/tmp/storm; exec '$USRPCI_BUILD/tests/qemu/lend_storm' 96 1000" &
	broker=$!
	wait_for 20 test -e /tmp/storm
	sleep 1
	begin=$(uptime_ms)
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 20 no_process lend_storm
	end=$(($(uptime_ms) - begin))
	note "a storm ended with its broker in $end ms"
	((end <= 2000)) || fail "the end took $end ms"
	usrpci -q restore --all
}

# Where the caller's limits allow the program a priority; nothing of it comes before what ends it.
lend_storm@ends-in-two-seconds-whatever-its-priority()
{
	local watcher
	watch_end
	(ulimit -r 99 && lend "$edu" -- chrt -f 98 "$USRPCI_BUILD/tests/qemu/lend_storm" 96 1 /tmp/pipe)
	ended_in_time "a storm of real-time processes" lend_storm
}
