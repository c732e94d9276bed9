# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Devices whose users are only seen by the files that they have open, whatever the files are called:
# disks with several paths, SCSI, a watchdog, sound; and a CAN card, whose listeners only the kernel
# knows.
#
# case-deadline: 60
#
# vm: --device nvme-subsys,id=s --device nvme,id=n0,serial=s,subsys=s
# vm: --device nvme,id=n1,serial=s,subsys=s --disk nvme-ns,bus=n0
# vm: --disk virtio-scsi-pci --device i6300esb --device intel-hda --device hda-duplex,audiodev=silent
# vm: --device kvaser_pci,canbus=can --qemu "-object can-bus,id=can"

nvme=0000:00:01.0
path=0000:00:02.0
scsi=0000:00:03.0
watchdog=0000:00:04.0
sound=0000:00:05.0
can=0000:00:06.0

# The disk is called after whichever of its two controllers was ready first.
find_disk()
{
	disk=$(basename "$(ls -d /sys/class/block/nvme?n1)")
	[ -b "/dev/$disk" ]
}

setup()
{
	wait_for 20 find_disk
}

teardown()
{
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
	umount -q /mnt || true
	[ ! -e "/dev/${disk}p1" ] || partx -d "/dev/$disk"
}

# refused ADDR PATTERN: bind is refused with this reason, and the device stays with its driver.
refused()
{
	local driver
	driver=$(driver_of "$1")
	expect_fail 5 "in use: $2" usrpci bind --driver none "$1"
	[ "$(driver_of "$1")" = "$driver" ]
}

# What is open under a name that nobody else knows, as in a container's /dev.
open_as_another_name()
{
	local kind=$1 file=$2
	mknod "$scratch/node" "$kind" "$(stat -c '0x%t' "$file")" "$(stat -c '0x%T' "$file")"
}

# Who registers a file with an io_uring has a /dev of its own, whose server answers nothing.
guard@asks-no-server-of-files()
{
	local server
	modprobe fuse
	rm -f /tmp/lend_fuse
	"$USRPCI_BUILD/tests/qemu/lend_fuse" hide /dev &
	server=$!
	wait_for 10 test -e /tmp/lend_fuse
	timeout -s KILL 30 usrpci -q -n bind --driver none "$sound"
	kill -KILL "$server"
}

guard@a-mounted-partition-of-a-disk-with-several-paths()
{
	compgen -G "/sys/class/block/nvme*c*n1" >/dev/null || skip "the kernel has no NVMe multipath"
	add_partition "$disk"
	wait_for 5 test -b "/dev/${disk}p1"
	mkfs.ext2 -q "/dev/${disk}p1"
	mount "/dev/${disk}p1" /mnt
	refused $nvme "${disk}p1 is mounted on /mnt"
	refused $path "${disk}p1 is mounted on /mnt"
	expect_output "$disk" usrpci list -o if --no-headings $nvme
	expect_fail 1 "it has 2 paths: $nvme, $path" usrpci show "$disk"
	expect_fail 3 "cure: umount /mnt$" usrpci check $nvme
	umount /mnt
	expect_fail 3 "nobody uses $nvme" usrpci check $nvme
}

guard@a-disk-that-is-open-under-another-name()
{
	open_as_another_name b "/dev/$disk"
	sleep 100 8<"$scratch/node" &
	refused $nvme "pid $! \(sleep\) has $scratch/node open"
	kill $!
}

guard@the-generic-file-of-a-scsi-disk()
{
	modprobe sg || skip "the kernel has no sg"
	wait_for 5 test -c /dev/sg0
	sleep 100 8</dev/sg0 &
	refused $scsi "pid $! \(sleep\) has /dev/sg0 open"
	kill $!
}

guard@a-watchdog-that-somebody-feeds()
{
	[ -c /dev/watchdog0 ] || skip "the kernel has no such watchdog"
	sleep 100 8>/dev/watchdog0 &
	refused $watchdog "pid $! \(sleep\) has /dev/watchdog0 open"
	kill $!
	wait || true
	expect_kernel_log 'watchdog did not stop' 5
	# It would reset the machine half a minute later; this is the sign that stops it.
	printf V >/dev/watchdog0
	expect_same "$(cat /sys/class/watchdog/watchdog0/state)" inactive
}

guard@a-sound-card-that-plays()
{
	wait_for 10 test -c /dev/snd/controlC0 || skip "the kernel has no such sound card"
	sleep 100 8</dev/snd/controlC0 &
	refused $sound "pid $! \(sleep\) has /dev/snd/controlC0 open"
	kill $!
}

# hold PROGRAM: what PROGRAM holds is held until the process $holder is killed.
hold()
{
	rm -f "$scratch/held"
	python3 -c "import ctypes, mmap, os, threading, time
def held():
    open('$scratch/held', 'w')
    time.sleep(100)
$1" &
	holder=$!
	wait_for 30 test -e "$scratch/held"
}

guard@registers-that-are-mapped-by-a-file-that-is-closed()
{
	usrpci bind --driver none $sound # the kernel does not let a driver's registers be mapped
	hold "file = os.open('/sys/bus/pci/devices/$sound/resource0', os.O_RDWR)
libc = ctypes.CDLL(None)
libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, file, 0)
os.close(file)
held()"
	expect_fail 5 "in use: pid $holder \(python3\) has .*$sound/resource0 open" \
		usrpci bind --driver uio_pci_generic $sound
	kill $holder
}

guard@a-file-of-a-thread-that-shares-no-files()
{
	hold "def run():
    ctypes.CDLL(None).unshare(0x400)
    os.open('/dev/$disk', os.O_RDONLY)
    held()
threading.Thread(target=run).start()"
	refused $nvme "pid $holder \(python3\) has /dev/$disk open"
	kill $holder
}

guard@a-can-card-that-a-program-listens-to()
{
	modprobe -a kvaser_pci can_raw || skip "the kernel has no such card"
	wait_for 10 test -e "/sys/bus/pci/devices/$can/net/can0"
	ip link set can0 up type can bitrate 125000
	expect_fail 3 "nobody uses $can" usrpci check $can
	hold "import socket
listener = socket.socket(socket.AF_CAN, socket.SOCK_RAW, 1)
listener.bind(('can0',))
held()"
	refused $can "can0 carries frames of the CAN listener \"raw\""
	kill $holder
	ip link set can0 down
}

guard@a-process-whose-name-would-be-a-command()
{
	hold "open('/proc/self/comm', 'w').write('a' + chr(10) + 'reboot')
file = os.open('/dev/$disk', os.O_RDONLY)
held()"
	refused $nvme "pid $holder \(a\?reboot\) has /dev/$disk open"
	expect_fail 3 "cure: kill $holder # or end a\?reboot as" usrpci check $nvme
	kill $holder
}
