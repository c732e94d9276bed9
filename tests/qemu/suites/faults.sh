# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# faults: what a command that is killed, or whose calls or allocations fail, leaves behind
#
# Two points; more are tried on a host made of files, and "make check-faults" tries every one.
#
# vm: --nic e1000 --device edu,dma_mask=0xffffffff --append "hugepages=4" --mem 384M
# case-deadline: 600

# slow
faults@commands-of-uio-that-are-killed-are-taken-back()
{
	"$USRPCI_SOURCE/tests/faults/machine" uio sample
}
