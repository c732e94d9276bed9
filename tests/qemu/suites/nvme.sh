# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# nvme: our driver on uio_pci_generic, by INTx and by polling, against the kernel's driver
#
# vm: --disk nvme,size=16M --disk nvme,size=16M,logical_block_size=4096,physical_block_size=4096 --append hugepages=16
# vm: --device pcie-root-port,id=rp0 --disk nvme,bus=rp0
# case-deadline: 240

small=0000:00:01.0
large=0000:00:02.0
plugged=0000:01:00.0
driver=uio_pci_generic
# shellcheck source=tests/qemu/lib_nvme.sh
. "$USRPCI_SOURCE/tests/qemu/lib_nvme.sh"

teardown()
{
	grep -q 'HugePages_Free: *16' /proc/meminfo
}

nvme@says-what-the-disk-is()
{
	take $small
	take $large
	expect_output 'serial disk0, .* backend uio, 1 interrupts' "$nvme" $small info
	expect_output '^namespace 1: 4096 blocks of 4096 bytes' "$nvme" $large info
	expect_fail 1 'No such file' "$nvme" -n 2 $small info
	give_back $small
	give_back $large
}

nvme@writes-what-the-kernel-reads-and-reads-what-it-writes()
{
	exchange_with_the_kernel $small
}

# slow
nvme@does-so-by-polling()
{
	exchange_with_the_kernel $small -p
}

nvme@does-so-with-blocks-of-4096-bytes()
{
	exchange_with_the_kernel $large
}

nvme@drives-two-disks-at-once()
{
	local first
	take $small
	take $large
	"$nvme" -t 3 $small bench >"$scratch/first" &
	first=$!
	expect_output 'reads, ' "$nvme" -t 1 $large bench
	wait $first
	grep -q '^[1-9][0-9]* reads' "$scratch/first"
	give_back $small
	give_back $large
}

nvme@runs-again-after-a-kill()
{
	kill_while_it_reads $small
}

nvme@is-lent-to-a-program-without-privileges()
{
	lend_to_nobody $small
}

nvme@ends-with-an-error-when-the-disk-is-pulled-out()
{
	pull_out $plugged disk2
}

# QEMU 7.2 counts no unsafe shutdowns, so its trace says what the controller is told. The trace is
# written, behind what is there, when the log is another one.
nvme@is-told-of-a-shutdown-by-whoever-gives-it-back-when-the-program-is-killed()
{
	local trace=$USRPCI_BUILD/meson-logs/trace-nvme.log before i broker
	before=$(cat "$trace" 2>/dev/null | grep -c shutdown_set) || true
	take $small
	monitor logfile "$trace"
	monitor trace-event pci_nvme_mmio_shutdown_set on
	for i in 2 7; do
		usrpci -q run $small -- "$nvme" -t 60 $small bench >/dev/null &
		broker=$!
		wait_for 20 pgrep -x -P $broker nvme
		sleep "1.$i"
		pkill -KILL -x -P $broker nvme
		wait $broker || true
	done
	monitor trace-event pci_nvme_mmio_shutdown_set off
	monitor logfile "$trace.end"
	echo 3 >/proc/sys/vm/drop_caches # what was read of the file before is kept else
	[ -e "$trace" ] || skip "QEMU cannot write $trace"
	expect_same "$(grep -c shutdown_set "$trace")" $((before + 2)) "the count of shutdowns"
	give_back $small
}

nvme@formats-a-disk-that-is-nobodys()
{
	head -c 65536 /dev/urandom >"$scratch/data"
	take $small
	"$nvme" $small write <"$scratch/data"
	expect_fail 1 'force' usrpci nvme $small format 1
	"$nvme" $small read >"$scratch/back"
	cmp -n 65536 "$scratch/back" "$scratch/data"
	usrpci nvme $small format 1 --force
	"$nvme" $small read >"$scratch/back"
	! cmp -n 65536 "$scratch/back" "$scratch/data" || fail "what was written is still there"
	expect_output '^namespace 1: .* blocks of 512 bytes' "$nvme" $small info
	give_back $small
}

# slow
nvme@does-what-the-document-says()
{
	command -v nbdkit >/dev/null || skip "nbdkit is not installed"
	"$USRPCI_SOURCE/tests/nbdkit/doc.sh" --root 00:01.0 | tee "$scratch/said"
	grep -q '^Unsafe shutdowns' "$scratch/said"
	[ "$(grep -cx 16777216 "$scratch/said")" = 2 ]
	[ "$(driver_of $small)" = nvme ]
}
