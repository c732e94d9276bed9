# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# demo: the story that "make demo" tells
#
# vm: --nic e1000 --mem 1G
# case-deadline: 120

teardown()
{
	monitor set_link nic0 on
	usrpci -q restore --all
	ip address flush dev "$(interface_of 0000:00:01.0)"
}

demo@tells-the-whole-story()
{
	expect_output "Done: taken, driven, and given back" "$USRPCI_SOURCE/contrib/demo/story"
	grep -q "2 pages given back" <<<"$output"
}

# slow
demo@stops-at-the-first-step-that-fails()
{
	monitor set_link nic0 off
	expect_fail 1 "^demo: failed at step 1" "$USRPCI_SOURCE/contrib/demo/story"
}
