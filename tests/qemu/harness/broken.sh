# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Cases that fail in every way a case can, each named for what the harness must say of it.
#
# vm: --deadline 200
# case-deadline: 8

teardown()
{
	echo "torn down"
}

passes@when-all-is-well()
{
	true
}

fails@at-the-first-command-that-does()
{
	false | true
	echo "not reached"
}

fails@when-the-kernel-complains()
{
	echo "BUG: not a real one" >/dev/kmsg
}

passes@when-the-complaint-was-expected()
{
	echo "DMAR: [DMA Write] Fault" >/dev/kmsg
	expect_kernel_log 'DMAR: .*Fault'
}

fails@when-an-expected-complaint-does-not-come()
{
	expect_kernel_log 'DMAR: .*Fault' 1
}

fails@at-its-deadline()
{
	sleep 100
}

passes@with-nothing-left-of-other-cases()
{
	expect_fail 1 '^$' pidof sleep
	sleep 100 &
}

fails@when-the-status-is-another-one()
{
	expect_fail 2 '^$' false
}

fails@when-output-differs-from-the-oracles()
{
	expect_same ours theirs
}

skips@with-a-reason()
{
	skip "there is one"
}

# slow
fails@when-it-is-slow()
{
	false
}

fails@when-the-machine-dies()
{
	echo c >/proc/sysrq-trigger
}

fails@when-the-machine-is-dead()
{
	true
}
