# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# arm64_units: the unit tests that know the size of a page, by the kernel of an Arm machine, which has sizes of its own.
#
# vm: --mem 1G --append hugepages=0
# case-deadline: 900

arm64_units@pass()
{
	local name failed=''
	note "pages of $(getconf PAGESIZE) bytes"
	usrpci hugepages reserve 24 --size 2M
	for name in bar cap config device dma drv_e1000 drv_edu hugepage hugepages iova irq pagemap pool uio vfio; do
		"$USRPCI_BUILD/tests/unit/test_$name" >"$scratch/said" 2>&1 && continue
		failed+=" $name"
		grep -Ev '^ok|OK \]|RUN ' "$scratch/said"
	done
	usrpci hugepages release
	[ -z "$failed" ] || fail "failed:$failed"
}
