# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# serve: a disk of ours as a block device of the kernel's
#
# vm: --disk nvme,size=24M --disk nvme,size=24M,logical_block_size=4096,physical_block_size=4096 --append hugepages=16
# vm: --device pcie-root-port,id=rp0 --disk nvme,bus=rp0 --disk virtio-blk-pci,size=24M
# case-deadline: 240

small=0000:00:01.0
large=0000:00:02.0
plugged=0000:01:00.0
virtio=0000:00:04.0
# shellcheck disable=SC2034 # for lib_nvme.sh
driver=uio_pci_generic
# shellcheck source=tests/qemu/lib_nvme.sh
. "$USRPCI_SOURCE/tests/qemu/lib_nvme.sh"

setup()
{
	command -v nbdkit >/dev/null || skip "nbdkit is not installed"
	[ -e "$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so" ] || skip "nbdkit's header was not there for the build"
	find_plugin
}

teardown()
{
	tail -n 20 "$scratch/errors" 2>/dev/null || true
	umount /mnt 2>/dev/null || true
	grep -q 'HugePages_Free: *16' /proc/meminfo
	[ "$(driver_of $small)" = nvme ]
	[ "$(driver_of $large)" = nvme ]
}

serve@makes-a-block-device-until-it-is-interrupted()
{
	head -c 24M /dev/urandom >"$scratch/data"
	start_server "$(name_of $small)"
	expect_same "$(blockdev --getsize64 --getss "$block")" $'25165824\n512' "the size"
	expect_same "$(stat -c %U:%G:%a /proc/"$(pids_of nbdkit)"/stat | cut -d: -f1)" UNKNOWN "nbdkit's user"
	dd if="$scratch/data" of="$block" bs=1M status=none
	expect_output "$small .* nbdkit" usrpci ps
	kill -INT $server
	wait $server
	cmp "$scratch/data" "$(disk_of $small)"
}

serve@has-blocks-of-4096-bytes()
{
	start_server $large
	expect_same "$(blockdev --getss "$block")" 4096 "the size of a block"
	head -c 1M /dev/urandom >"$scratch/data"
	dd if="$scratch/data" of="$block" bs=64k conv=fsync status=none
	cmp -n 1048576 "$scratch/data" "$block"
	kill -TERM $server
	wait $server
	cmp -n 1048576 "$scratch/data" "$(disk_of $large)"
}

serve@serves-a-virtio-disk()
{
	local killed
	wait_for 10 test -e /dev/vda
	start_server vda --restart
	head -c 4M /dev/urandom >"$scratch/data"
	dd if="$scratch/data" of="$block" bs=64k conv=fsync status=none
	killed=$(pids_of nvme-driver)
	kill -KILL "$killed"
	dd if="$scratch/data" of="$block" bs=64k seek=64 conv=fsync status=none
	kill -TERM $server
	wait $server
	[ "$(driver_of $virtio)" = virtio-pci ]
	wait_for 10 test -e /dev/vda
	cat "$scratch/data" "$scratch/data" | cmp -n 8388608 - /dev/vda
}

serve@ends-when-the-device-is-restored()
{
	start_server $small --poll --queues 4
	expect_output 'uio_pci_generic -> nvme' usrpci restore $small
	wait $server
}

serve@goes-on-while-it-is-mounted()
{
	start_server "$(name_of $small)"
	mkfs.ext4 -q "$block"
	mount "$block" /mnt
	date >/mnt/file
	expect_fail 5 'served as nbd0, which is in use' usrpci restore $small
	kill -TERM $server
	wait_for 10 grep -q 'nbd0: warning: it is in use' "$scratch/errors"
	date >>/mnt/file
	umount /mnt
	usrpci -q restore $small
	wait $server
	fsck.ext4 -fn "$(disk_of $small)"
}

# Data is still in the kernel's cache then; nobody answers the requests that come after the end.
serve@ends-although-it-is-told-so-twice-or-its-program-dies-meanwhile()
{
	start_server $small
	dd if=/dev/urandom of="$block" bs=64k count=32 status=none
	kill -INT $server
	kill -TERM $server
	wait $server
	start_server $small
	dd if=/dev/urandom of="$block" bs=64k count=32 status=none
	kill -STOP "$(pids_of nbdkit)"
	kill -INT $server
	sleep 1
	kill -KILL "$(pids_of nbdkit)"
	! wait $server || fail "it succeeds"
	grep -q 'the server of .* has ended' "$scratch/errors"
	expect_same "$(grep -c 'goes on' "$scratch/errors")" 0 "the lines that say that it goes on"
	allow_kernel_log 'nbd0'
}

# QEMU 7.2 never counts one.
unsafe_shutdowns()
{
	take $small
	usrpci nvme $small smart | grep '^Unsafe shutdowns'
	give_back $small
}

# The file system is on the disk before and after; in between its driver dies again and again. USRPCI_KILLS is
# for the long run, whose clock counts instructions (USRPCI_ICOUNT): there the time until a read is complete
# has a limit too.
serve@nobody-sees-that-the-driver-dies()
{
	local kills=${USRPCI_KILLS:-6} before='' took verifier
	[ -z "${USRPCI_KILLS:-}" ] || before=$(unsafe_shutdowns)
	mkfs.ext4 -q "$(disk_of $small)"
	start_server "$(name_of $small)" --restart
	mount "$block" /mnt
	head -c 4M /dev/urandom >/mnt/random
	sha256sum /mnt/random >"$scratch/sums"
	write_and_verify /mnt/verified $((kills / 5 + 3)) >"$scratch/fio" &
	verifier=$!
	took=$("$USRPCI_BUILD/tests/qemu/reincarnate" "$block" "$kills" 150)
	note "$took"
	wait $verifier
	grep -q 'err= 0' "$scratch/fio"
	echo 3 >/proc/sys/vm/drop_caches
	sha256sum -c "$scratch/sums"
	umount /mnt
	kill -TERM $server
	wait $server
	fsck.ext4 -fn "$(disk_of $small)"
	mount "$(disk_of $small)" /mnt
	sha256sum -c "$scratch/sums"
	umount /mnt
	[ -z "${USRPCI_KILLS:-}" ] || expect_same "$(unsafe_shutdowns)" "$before" "the count of unsafe shutdowns"
	[ -z "${USRPCI_ICOUNT:-}" ] || [ "$(sed -n 's/.*median \([0-9]*\).*/\1/p' <<<"$took")" -lt 100 ]
}

serve@nobody-sees-that-the-controller-is-reset()
{
	local i
	start_server "$(name_of $small)"
	write_and_verify "$block" 4 >"$scratch/fio" &
	for i in 1.1 1.2 0.9; do
		sleep $i
		echo 1 >/sys/bus/pci/devices/$small/reset
	done
	wait $!
	grep -q 'err= 0' "$scratch/fio"
	kill -TERM $server
	wait $server
}

# slow
serve@keeps-what-is-written-until-the-disk-is-full()
{
	mkfs.ext4 -q "$(disk_of $large)"
	start_server $large
	mount "$block" /mnt
	head -c 30M /dev/urandom >/mnt/full 2>"$scratch/full" || true
	grep -q 'No space left' "$scratch/full"
	sha256sum /mnt/full >"$scratch/sums"
	umount /mnt
	usrpci -q restore $large
	wait $server
	fsck.ext4 -fn "$(disk_of $large)"
	mount "$(disk_of $large)" /mnt
	sha256sum -c "$scratch/sums"
	umount /mnt
}

serve@ends-when-the-disk-is-pulled-out()
{
	local status=0
	start_server $plugged --restart
	dd if="$block" of=/dev/null bs=64k count=16 iflag=direct status=none
	monitor device_del disk2
	wait_for 20 eval "[ ! -e /sys/bus/pci/devices/$plugged ]"
	wait $server || status=$?
	expect_same $status 1 "the exit status"
	grep -q 'the disk is gone' "$scratch/errors"
	allow_kernel_log 'nbd0'
}

serve@ends-when-its-process-or-the-broker-is-killed()
{
	start_server $small
	kill -KILL $server
	wait $server || true
	wait_for 20 eval "[ \"\$(driver_of $small)\" = nvme ]"
	wait_for 20 no_process nbdkit
	start_server $small
	kill -KILL "$(pgrep -P $server -x usrpci)"
	! wait $server || fail "it succeeds"
	grep -q 'its broker was killed' "$scratch/errors"
	[ "$(driver_of $small)" = nvme ]
	allow_kernel_log 'nbd0: '
}

serve@refuses-what-it-cannot-serve()
{
	expect_fail 1 'it is neither an NVMe nor a virtio disk' usrpci serve 00:1f.0
	expect_fail 1 'no such namespace' usrpci serve $small --namespace 9
	expect_fail 2 '65 is not a number from 1 to 64' usrpci serve $small --queues 65
	mkfs.ext4 -q "$(disk_of $small)"
	mount "$(disk_of $small)" /mnt
	expect_fail 5 "$(name_of $small) is mounted" usrpci serve "$(name_of $small)"
	umount /mnt
	expect_output 'a place for DMA memory' usrpci -n serve "$(name_of $small)"
}
