# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lib_nvme.sh: what the suites of the NVMe driver share; sourced by them.

nvme=$USRPCI_BUILD/examples/nvme

# The block device of a controller that the kernel drives.
disk_of()
{
	wait_for 20 eval "ls -d /sys/bus/pci/devices/$1/nvme/nvme*/nvme*n1"
	echo "/dev/$(basename "$(ls -d /sys/bus/pci/devices/"$1"/nvme/nvme*/nvme*n1)")"
}

# Its name, which differs from boot to boot where there are two: the kernel looks at both at once.
name_of()
{
	basename "$(disk_of "$1")"
}

take()
{
	[ "$(driver_of "$1")" = "$driver" ] || usrpci -q bind "$1" --driver "$driver"
}

give_back()
{
	usrpci -q restore "$1"
	[ "$(driver_of "$1")" = nvme ]
}

# The same bytes through our driver and through the kernel's, in both directions.
exchange_with_the_kernel()
{
	local device=$1 disk
	shift
	head -c 9000448 /dev/urandom >"$scratch/ours"
	head -c "$(blockdev --getsize64 "$(disk_of "$device")")" /dev/urandom >"$scratch/kernels"
	take "$device"
	"$nvme" "$@" "$device" write <"$scratch/ours"
	give_back "$device"
	disk=$(disk_of "$device")
	cmp -n 9000448 "$scratch/ours" "$disk"
	dd if="$scratch/kernels" of="$disk" bs=1M oflag=direct status=none
	take "$device"
	"$nvme" "$@" "$device" read | cmp - "$scratch/kernels"
	give_back "$device"
}

# The program is killed while reads are under way; the next one, and the kernel's, find the disk well.
kill_while_it_reads()
{
	local i
	take "$1"
	for i in 2 7; do
		"$nvme" -t 60 "$1" bench >/dev/null &
		sleep "1.$i"
		kill -KILL $!
		wait $! || true
		expect_output 'reads, ' "$nvme" -t 1 "$1" bench
	done
	give_back "$1"
	dd if="$(disk_of "$1")" of=/dev/null bs=1M status=none
}

pull_out()
{
	local status=0
	usrpci -q bind "$1" --driver "$driver"
	"$nvme" -t 60 "$1" bench >"$scratch/said" 2>&1 &
	sleep 2
	monitor device_del "$2"
	wait $! || status=$?
	cat "$scratch/said"
	[ $status = 1 ]
	grep -q -e 'No such device' -e 'the device is gone' "$scratch/said"
}

lend_to_nobody()
{
	head -c 5000192 /dev/urandom >"$scratch/data"
	usrpci -q run "$1" -- "$nvme" "$1" write <"$scratch/data"
	usrpci -q run "$1" -- "$nvme" "$1" read >"$scratch/back"
	cmp -n 5000192 "$scratch/back" "$scratch/data"
	cmp -n 5000192 "$scratch/data" "$(disk_of "$1")"
}

# nbdkit finds the plugin that is not installed.
find_plugin()
{
	mkdir -p /run/plugin
	cat >/run/plugin/nbdkit <<-END
	#!/bin/bash
	exec $(command -v nbdkit) "\${@/#usrpci-nvme/$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so}"
	END
	chmod 755 /run/plugin /run/plugin/nbdkit
	PATH=/run/plugin:$PATH
}

# start_server ARGUMENT...: usrpci serve in the background; sets server, its process, and block, the device.
start_server()
{
	: >"$scratch/said"
	usrpci serve "$@" >"$scratch/said" 2>"$scratch/errors" &
	server=$!
	wait_for 20 eval "grep -q ' is /dev/nbd' $scratch/said || ! kill -0 $server"
	kill -0 $server || { cat "$scratch/errors" && return 1; }
	# shellcheck disable=SC2034 # for the suites
	block=$(sed -n 's/.* is //p' "$scratch/said")
}

# write_and_verify FILE SECONDS: random blocks, each read again with its checksum. fio 3.33 expects the wrong data when it
# goes through a file more than once (its change 1522 mends that), so it is started for each time.
write_and_verify()
{
	local end=$((SECONDS + $2))
	while [ $SECONDS -lt $end ]; do
		fio --name=verified --filename="$1" --rw=randrw --bs=4k --size=4m --iodepth=8 --ioengine=libaio --direct=1 \
			--verify=crc32c --verify_fatal=1 --randrepeat=0 || return
	done
}
