# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# netbsd_readme: the commands of rump/README.md, as they are written, in the machine that they speak of
#
# It has eth1, whose card is at 03:00.0, and a disk at 04:00.0. What is missing is sudo's password.
#
# vm: --env RUMP_PREFIX="$RUMP_PREFIX" ${RUMP_MACHINE:-} --deadline 3500
# vm: --device pcie-root-port,id=rp1,chassis=1 --nic e1000,bus=rp1 --device pcie-root-port,id=rp2,chassis=2
# vm: --device pcie-root-port,id=rp3,chassis=3 --nic e1000,bus=rp3 --device pcie-root-port,id=rp4,chassis=4
# vm: --disk virtio-blk-pci,bus=rp4,disable-legacy=off
# case-deadline: 1100

# shellcheck source=tests/rump/common.sh
. "$USRPCI_SOURCE/tests/rump/common.sh"

card=0000:03:00.0
disk=0000:04:00.0

# As sudo does, it hands no variable on. make would set the build up again, which takes a quarter of an hour in this machine.
setup()
{
	mkdir -p /run/bin
	cat >/run/bin/sudo <<-END
	#!/bin/sh
	exec env -i PATH="\$PATH" "\$@"
	END
	cat >/run/bin/make <<-END
	#!/bin/sh
	[ "\$*" = install ] && exec meson install -C "$USRPCI_BUILD" --no-rebuild --quiet
	END
	chmod 755 /run/bin/sudo /run/bin/make
	PATH=/run/bin:${PATH#"$USRPCI_BUILD/cli:"}
	cd "$USRPCI_SOURCE" || exit
	wait_for 20 test -e /sys/bus/pci/devices/$card/net/eth1
}

# block_of NUMBER SECTION: this block of commands there.
block_of()
{
	awk -v number="$1" -v heading="## $2" '
		$0 == heading { inside = 1; next }
		/^## / { inside = 0 }
		inside && /^    / { if (!in_block) block++; in_block = 1; if (block == number) print; next }
		{ in_block = 0 }' rump/README.md
}

# run COMMAND-LINE...: by a shell of its own, as a user's; sets shell.
run()
{
	printf '%s\n' "$@" >"$scratch/commands"
	cat "$scratch/commands"
	setsid bash -e "$scratch/commands" >"$scratch/said" 2>&1 &
	shell=$!
}

first="Linux uses a card that NetBSD drives"

install_usrpci()
{
	block_of 1 "$first" | grep -v ' net ' >"$scratch/install"
	cat "$scratch/install"
	[ "$(wc -l <"$scratch/install")" = 2 ]
	bash -e "$scratch/install"
}

# end SIGNAL: of the command that runs until it is told to end.
end()
{
	local status=0
	kill "$1" "$(pgrep -ox usrpci)"
	wait $shell || status=$?
	cat "$scratch/said"
	expect_same $status 0 "the exit status"
}

netbsd_readme@linux-uses-a-card-that-netbsd-drives()
{
	local shell
	ip address add 10.0.2.77/24 dev eth1
	ip link set eth1 up
	run "$(block_of 1 "$first")"
	wait_for 300 eval "[ -e /sys/class/net/eth1/tun_flags ] || ! kill -0 $shell"
	wait_for 60 ping -n -q -c 1 -W 1 10.0.2.2
	pgrep -f "usrpci-rump-net wm $card"
	ip -br address show dev eth1 | grep 10.0.2.77
	end -INT
	expect_same "$(driver_of $card)" e1000
	ip address flush dev eth1
	ip link set eth1 down
}

netbsd_readme@linux-uses-a-disk-that-netbsd-drives()
{
	local shell block
	[ "${USRPCI_RUMP_DRIVER:-}" != vfio-pci ] || skip "legacy virtio passes by the IOMMU"
	command -v nbdkit || skip "nbdkit is not installed"
	"$counterpart" fill /dev/vda $((4 << 20))
	install_usrpci
	run "$(block_of 2 "$first")"
	wait_for 60 eval "grep -q ' is /dev' $scratch/said || ! kill -0 $shell"
	block=$(sed -n 's/.* is //p' "$scratch/said")
	"$counterpart" compare "$block" $((4 << 20))
	end -TERM
	expect_same "$(driver_of $disk)" virtio-pci
}

netbsd_readme@a-program-has-netbsds-driver-in-it()
{
	local shell status=0
	install_usrpci
	run "$(block_of 1 "From a device to a driver of your own program")"
	wait $shell || status=$?
	cat "$scratch/said"
	expect_same $status 0 "the exit status"
	grep -q "4 sent, 0 lost, " "$scratch/said"
}
