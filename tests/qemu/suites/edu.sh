# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# edu: the tutorial's driver on uio_pci_generic
#
# vm: --device edu --device edu,dma_mask=0xffffffff --append hugepages=16

setup()
{
	load_driver uio_pci_generic
	for device in 0000:00:01.0 0000:00:02.0; do
		echo uio_pci_generic >/sys/bus/pci/devices/$device/driver_override
		[ "$(driver_of $device)" = uio_pci_generic ] || echo $device >/sys/bus/pci/drivers_probe
	done
}

edu_dma()
{
	"$USRPCI_BUILD/examples/edu_dma" "$@"
}

interrupts()
{
	awk '/uio_pci_generic/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts
}

edu@computes-interrupts-and-moves-memory-both-ways()
{
	local before
	before=$(interrupts)
	edu_dma 00:02.0 0xffffffff | tee "$scratch/said"
	grep -qx '10! = 3628800' "$scratch/said"
	grep -qx 'interrupt: causes 0x42' "$scratch/said"
	grep -q '^DMA: 4000 bytes to the device and back, .* equal$' "$scratch/said"
	# The factorial, the raised one and the two transfers, as the kernel counted them.
	[ $(($(interrupts) - before)) -ge 4 ]
}

edu@the-guides-program-drives-a-card-as-it-is-written()
{
	command -v cc >/dev/null || skip "the machine has no compiler"
	need_memory_below 0x10000000
	sed -n '/^```c dma.c$/,/^```$/p' "$USRPCI_SOURCE/doc/first-driver.md" | sed '1d;$d' >"$scratch/dma.c"
	cc -Wall -Werror -I"$USRPCI_SOURCE/include" -o "$scratch/dma" "$scratch/dma.c" \
		-L"$USRPCI_BUILD/lib" -lusrpci "-Wl,-rpath,$USRPCI_BUILD/lib"
	expect_output 'came back: first byte, and more' "$scratch/dma" 00:01.0
}

edu@moves-memory-within-the-28-bits-of-the-default-device()
{
	local address
	need_memory_below 0x10000000
	address=$(edu_dma 00:01.0 | sed -n 's/^DMA: .* address 0x\([0-9a-f]*\),.*/\1/p')
	[ $((16#$address)) -lt $((1 << 28)) ]
}

edu@says-so-when-no-memory-is-within-the-devices-reach()
{
	expect_fail 1 'Cannot allocate memory' edu_dma 00:02.0 0xfffff
	grep -qiE 'huge page|no memory below' <<<"$output"
}

edu@moves-memory-wherever-the-kernel-loads-the-program()
{
	echo 2 >/proc/sys/kernel/randomize_va_space
	for _ in 1 2 3 4 5; do
		expect_output 'equal$' edu_dma 00:02.0 0xffffffff
	done
	echo 0 >/proc/sys/kernel/randomize_va_space
}

edu@is-driven-through-libpciaccess-by-polling()
{
	local over
	need_pciaccess edu_dma
	"$over" pciaccess:00:02.0 0xffffffff | tee "$scratch/said"
	grep -qx '0000:00:02.0: edu, through the backend pciaccess' "$scratch/said"
	grep -qx '10! = 3628800' "$scratch/said"
	grep -q '^DMA: 4000 bytes to the device and back, .* equal$' "$scratch/said"
	fails grep interrupt "$scratch/said"
	lspci -s 00:02.0 -vv | grep -q 'BusMaster-'
}

edu@leaves-the-device-without-bus-mastering()
{
	edu_dma 00:02.0 0xffffffff
	lspci -s 00:02.0 -vv | grep -q 'BusMaster-'
}

edu@runs-again-after-a-kill()
{
	local delay
	for delay in 0.1 0.15 0.2; do
		"$USRPCI_BUILD/examples/edu_dma" 00:02.0 0xffffffff &
		sleep $delay # in the middle of a transfer, which takes 0.1 s
		kill -KILL $! && wait $! || true
		lspci -s 00:02.0 -vv | grep -q 'BusMaster-'
		edu_dma 00:02.0 0xffffffff
	done
	grep -x 'HugePages_Free: *16' /proc/meminfo
}
