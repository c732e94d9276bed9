# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# faults: what a command that is killed, or whose calls or allocations fail, leaves behind
#
# A few points of each verb and kind; "make check-faults" tries every one.
#
# vm: --nic e1000 --device edu,dma_mask=0xffffffff --append "hugepages=4" --mem 384M
# case-deadline: 600

setup()
{
	command -v strace >/dev/null || skip "strace is not installed"
}

faults@commands-of-uio-are-done-say-so-or-are-taken-back()
{
	"$USRPCI_SOURCE/tests/faults/machine" uio sample
}
