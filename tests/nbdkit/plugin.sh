#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# plugin.sh: the nbdkit plugin on QEMU's NVMe controller, by any user, with libnbd's and fio's tools.
#
# shellcheck disable=SC2016 # nbdkit's shell expands what is quoted
. "$(dirname "$0")/../build/tap.sh"

plugin=$USRPCI_BUILD/drivers/nbdkit-usrpci-nvme-plugin.so
for tool in nbdkit nbdinfo nbdcopy qemu-system-x86_64; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed; make check installs it" && exit; }
done
[ -e "$plugin" ] || { echo "1..0 # SKIP nbdkit's header was not there when the build was set up" && exit; }

truncate -s 32M "$scratch/small" "$scratch/large" "$scratch/readonly"
drives="-drive if=none,id=d1,format=raw,discard=unmap,file=$scratch/small"
drives+=" -drive if=none,id=d2,format=raw,discard=unmap,file=$scratch/large"
drives+=" -device nvme-ns,bus=slot0,nsid=1,drive=d1"
drives+=" -device nvme-ns,bus=slot0,nsid=2,drive=d2,logical_block_size=4096,physical_block_size=4096"
device="qemu:nvme,serial=1 $drives"

# serve SHELL PARAMETER...: runs a line of shell with $uri, as nbdkit --run does.
serve()
{
	local shell=$1
	shift
	timeout 120 nbdkit -U - -P "$scratch/pid" "$plugin" "$device" "$@" --run "set -e; $shell" 2>&1
}

# Prints what is amiss: the command's words where it fails, or that a pattern is not in them.
says()
{
	local pattern=$1 text status=0
	shift
	text=$("$@") || status=$?
	[ $status = 0 ] || echo "status $status"
	grep -Eq -- "$pattern" <<<"$text" || echo "nothing matches '$pattern'"
	[ $status = 0 ] && grep -Eq -- "$pattern" <<<"$text" || echo "$text"
}

fails()
{
	local pattern=$1 text
	shift
	text=$("$@") && echo "it succeeds"
	grep -Eq -- "$pattern" <<<"$text" || echo "nothing matches '$pattern': $text"
}

# The library and the plugin do not both say it.
is_refused_once()
{
	serve true >"$scratch/refused" && echo "it is not refused"
	[ "$(grep -c 'error: ' "$scratch/refused")" = 1 ] || cat "$scratch/refused"
}

offers_what_the_disk_can()
{
	local line
	serve 'nbdinfo "$uri"' >"$scratch/info" || cat "$scratch/info"
	for line in 'export-size: 33554432' 'is_read_only: false' 'can_fast_zero: true' 'can_flush: true' \
		'can_fua: true' 'can_multi_conn: true' 'can_trim: true' 'can_zero: true' 'block_size_minimum: 512'; do
		grep -q "$line" "$scratch/info" || echo "no $line"
	done
}

# What is deallocated cannot be asked for.
reports_all_as_data()
{
	says '^ *0 +33554432 +0 +(data|allocated)$' serve 'nbdinfo --map "$uri"'
}

# copy_there_and_back PARAMETER...: of $scratch/data, to the disk that the file in $file is behind.
copy_there_and_back()
{
	DATA=$scratch/data BACK=$scratch/back serve \
		'nbdcopy --flush "$DATA" "$uri"; nbdcopy "$uri" "$BACK"; cmp "$DATA" "$BACK"' "$@" || echo "it failed"
	cmp "$scratch/data" "$scratch/$file"
}

keeps_what_is_written()
{
	head -c 33554432 /dev/urandom >"$scratch/data"
	copy_there_and_back "$@"
}

# Holes are copied as commands that zero, over the random bytes of before.
zeroes_what_was_there()
{
	truncate -s 8M "$scratch/data"
	truncate -s 32M "$scratch/data"
	copy_there_and_back
}

verifies()
{
	command -v fio >/dev/null || skip "fio is not installed"
	says 'err= 0' serve "cd $scratch"'; fio --name=v --ioengine=nbd --uri="$uri" --rw=randrw --bs=4k \
		--size=8m --iodepth=16 --verify=crc32c --verify_fatal=1 --do_verify=1' "$@"
}

# Writes a program that kills drivers: nbdkit's child keeps one, which is its own child.
write_killer()
{
	cat >"$scratch/kill-drivers" <<-END
	#!/bin/bash
	keeper=\$(pgrep -P "\$(<$scratch/pid)" -x nvme-keeper)
	for ((i = 0; i < \$1; i++)); do
		sleep "0.\$((RANDOM % 9 + 1))"
		driver=\$(pgrep -P "\$keeper" -x nvme-driver) && kill -KILL "\$driver" && echo "\$driver"
	done >$scratch/killed
	END
	chmod +x "$scratch/kill-drivers"
}

verifies_while_drivers_die()
{
	command -v fio >/dev/null || skip "fio is not installed"
	write_killer
	says 'err= 0' serve "cd $scratch"'; nbdinfo --size "$uri"; ./kill-drivers 6 & fio --name=v --ioengine=nbd \
		--uri="$uri" --rw=randrw --bs=4k --size=16m --iodepth=16 --verify=crc32c --verify_fatal=1 \
		--time_based --runtime=5; wait' restart=on
	[ "$(wc -l <"$scratch/killed")" -ge 3 ] || echo "too few drivers were killed: $(<"$scratch/killed")"
}

fails_without_a_driver()
{
	fails 'qemu:nvme: its driver does not start again: its keeper has ended' serve "pid=$scratch/pid;"' nbdinfo --size "$uri"; keeper=$(pgrep -P $(cat $pid) -x nvme-keeper)
		driver=$(pgrep -P $keeper); kill -STOP $keeper; kill -KILL $driver; kill -KILL $keeper; nbdcopy "$uri" /dev/null' restart=on
}

trims()
{
	command -v fio >/dev/null || skip "fio is not installed"
	says 'err= 0' serve 'fio --name=t --ioengine=nbd --uri="$uri" --rw=randtrim --bs=64k --size=8m'
}

check "it offers what the disk can" offers_what_the_disk_can
check "all of the disk is reported as data" reports_all_as_data
file=small
check "it keeps what is written" keeps_what_is_written
check "it zeroes what was there" zeroes_what_was_there
check "it does so by polling" keeps_what_is_written poll=on
file=large
check "it does so in blocks of 4096 bytes" keeps_what_is_written namespace=2
check "fio verifies what it wrote" verifies
check "fio verifies what it wrote while drivers are killed" verifies_while_drivers_die
check "requests fail when there is no driver any more" fails_without_a_driver
check "a driver of its own process keeps what is written" keeps_what_is_written namespace=2 restart=on
check "fio trims" trims
check "a namespace that is not there is refused" fails 'error: qemu:nvme: it has no such namespace: 9' serve true namespace=9
check "no queue at all is refused" fails 'queues=0: it must be 1 to 64' serve true queues=0 restart=on
check "a word that is no parameter is refused" fails 'no such parameter' serve true nonsense=9
virtio="-drive if=none,id=v1,format=raw,discard=unmap,file=$scratch/virtio"
truncate -s 32M "$scratch/virtio"
device="qemu:virtio-blk-pci,drive=v1,num-queues=4 $virtio"
file=virtio
check "a virtio disk keeps what is written" keeps_what_is_written
check "it zeroes what was there on virtio too" zeroes_what_was_there
check "fio verifies what it wrote on virtio" verifies
check "fio verifies it while drivers of virtio are killed" verifies_while_drivers_die
check "fio trims on virtio" trims
check "a virtio disk has one namespace" fails 'no such namespace' serve true namespace=2
device="qemu:virtio-blk-pci,drive=v1,packed=on,event_idx=off,discard=off,write-zeroes=off,logical_block_size=4096,physical_block_size=4096 $virtio"
check "a virtio disk with blocks of 4096 bytes keeps it too" keeps_what_is_written poll=on
device=qemu:edu
check "a device that is no disk is refused" fails 'qemu:edu: it is neither an NVMe nor a virtio disk .class 00ff00.$' serve true
device=qemu:nvme
check "a device that cannot be opened is refused with one message" is_refused_once
device="qemu:nvme,serial=1 -drive if=none,id=d4,format=raw,readonly=on,file=$scratch/readonly -device nvme-ns,bus=slot0,drive=d4"
check "writes to a disk that takes none fail, and reads go on" \
	says 'ENDED' serve 'nbdinfo --size "$uri"; if nbdcopy '"$scratch/data"' "$uri"; then exit 1; fi; nbdcopy "$uri" null:; echo ENDED'
device="qemu:nvme,serial=1 -drive if=none,id=d3,format=raw,file=$scratch/readonly -device nvme-ns,bus=slot0,drive=d3,ms=8"
check "metadata is refused" fails 'its namespace has metadata' serve true
finish
