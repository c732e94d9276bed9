#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# disk.sh: the example of a disk, on a kernel that is played.
#
. "$USRPCI_SOURCE/tests/build/tap.sh"

disk=$USRPCI_BUILD/tests/rump/standin_disk

pieces_go_to_a_disk_and_come_back()
{
	truncate -s 1M "$scratch/file"
	"$disk" write "$scratch/file" $((1 << 20)) | grep -qx '16 pieces written, 0 bad' || echo "not written"
	"$disk" read "$scratch/file" $((1 << 20)) | grep -qx '16 pieces read, 0 bad' || echo "not read"
	printf x | dd of="$scratch/file" bs=1 seek=70000 conv=notrunc status=none
	! "$disk" read "$scratch/file" $((1 << 20)) | grep -q ' 0 bad' || echo "a wrong byte is not seen"
}

a_server_that_is_told_to_end_shuts_its_kernel_down()
{
	local signal server status
	for signal in TERM INT; do
		: >"$scratch/said"
		"$disk" serve unix:///nowhere >"$scratch/said" &
		server=$!
		for ((i = 0; i < 100; i++)); do
			! grep -q '^serving' "$scratch/said" || break
			sleep 0.1
		done
		sleep 0.1
		kill -$signal $server
		status=0
		wait $server || status=$?
		[ $status = 0 ] || echo "$signal: exit status $status"
		grep -qx 'shut down (0, no arguments)' "$scratch/said" || echo "$signal: no shutdown: $(<"$scratch/said")"
	done
}

check "pieces go to a disk and come back" pieces_go_to_a_disk_and_come_back
check "a server that is told to end shuts its kernel down" a_server_that_is_told_to_end_shuts_its_kernel_down
finish
