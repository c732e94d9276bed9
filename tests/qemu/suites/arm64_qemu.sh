# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# arm64_qemu: devices that QEMU emulates for one program, where its pages may be larger than those of x86. An emulated
# emulator is slow, so the clock counts instructions: the library's deadlines come as late as on a quiet host.
#
# vm: --mem 1G --append hugepages=0 --icount=1
# case-deadline: 900

setup()
{
	command -v qemu-system-x86_64 >/dev/null || skip "this root has no QEMU: remove it, and it is made anew"
}

arm64_qemu@edu-moves-memory-and-interrupts-by-msi()
{
	note "pages of $(getconf PAGESIZE) bytes"
	"$USRPCI_BUILD/examples/edu_dma" qemu:edu | tee "$scratch/said"
	grep -q '^interrupt: causes 0x42' "$scratch/said"
	grep -q '^DMA: .* equal$' "$scratch/said"
}

arm64_qemu@a-nic-is-driven-by-each-kind-of-interrupt()
{
	for kind in intx msi msix; do
		expect_output '^20 requests sent, 20 replies, lost: 0, ' "$USRPCI_BUILD/examples/ping" --count 20 \
			--interval 0 --timeout 30 --irq $kind "qemu:e1000e,netdev=n0 -netdev user,id=n0"
		grep 'interrupts: [1-9]' <<<"$output"
	done
}
