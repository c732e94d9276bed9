# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# memory: a program that takes all of the machine's memory ends, its broker does not, and the device is
# back; the machine's clock counts instructions, so that nothing depends on what else its host does
#
# vm: --icount --device edu,dma_mask=0xffffffff --append "hugepages=4" --mem 384M
# case-deadline: 300

edu=0000:00:01.0 nic=$edu wire=$edu
# shellcheck source=tests/qemu/lib_lend.sh
. "$USRPCI_SOURCE/tests/qemu/lib_lend.sh"

# Of a process's memory only what is written to is there.
takes='import os, time
pipe = os.open("/tmp/pipe", os.O_WRONLY)
def take():
    taken = []
    while True:
        taken.append(b"x" * (1 << 20))
'

# Every page of a file comes from the machine's host by a message. Without a limit the kernel gives up such
# pages again and again, for minutes on a busy host, before it ends anybody.
keep_working_set()
{
	echo y >/sys/kernel/mm/lru_gen/enabled
	echo 1000 >/sys/kernel/mm/lru_gen/min_ttl_ms
}

# The kernel shows who asked for memory when there was none, but no more than ten of them in five seconds.
memory_was_short()
{
	allow_kernel_log "Call Trace"
	expect_kernel_log "Out of memory: Killed process [0-9]+ \\(python3\\)"
}

# takes_all PROGRAM: the kernel ends it, and nothing else of the machine.
takes_all()
{
	local watcher status=0
	keep_working_set
	watch_end
	(echo 1000 >/proc/self/oom_score_adj && usrpci -q run "$edu" -- python3 -c "$takes$1") || status=$?
	expect_same "$status" 137 "the exit status"
	ended_in_time "a program that took all memory" python3
	memory_was_short
}

lend_memory@ends-with-a-program-that-takes-all-memory()
{
	takes_all 'take()'
}

# slow
lend_memory@ends-with-many-processes-that-take-all-memory()
{
	takes_all 'for _ in range(15):
    if os.fork() == 0:
        break
take()'
}

# What files in memory take is not the memory of a process that could be ended.
lend_memory@ends-with-a-program-that-fills-files-too()
{
	takes_all 'with open("/dev/shm/full", "wb", buffering=0) as file:
    try:
        while True:
            file.write(b"x" * (1 << 20))
    except OSError:
        take()'
	rm /dev/shm/full
}

# slow
lend_memory@gives-back-when-it-is-told-to-where-no-memory-is-left()
{
	local broker watcher
	keep_working_set
	watch_end
	(echo 1000 >/proc/self/oom_score_adj && exec "$USRPCI_BUILD/cli/usrpci" -q run "$edu" -- python3 -c "${takes}try:
    os.setsid()
    while os.fork(): os.wait()
finally: take()") &
	broker=$!
	wait_for 20 is_running python3
	sleep 2
	kill -TERM "$broker"
	wait "$broker" || true
	ended_in_time "a program that took memory again and again" python3
	memory_was_short
}
