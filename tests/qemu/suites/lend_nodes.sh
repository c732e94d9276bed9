# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# nodes: devices are lent to programs that open vfio's files by themselves
#
# vm: --iommu --nic e1000 --device edu,dma_mask=0xffffffff --nic e1000@1 --nic e1000@1 --mem 384M --cpus 2
# case-deadline: 300

nic=0000:00:01.0
edu=0000:00:02.0
wire=0000:00:03.0
# shellcheck source=tests/qemu/lib_lend.sh
. "$USRPCI_SOURCE/tests/qemu/lib_lend.sh"

group=/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$edu/iommu_group")")

# Lends edu to a program that opens it by itself; sets broker. The shell is no program of libusrpci, which
# lend_keep looks like.
lend_opener()
{
	rm -f /tmp/lend_open
	usrpci -q run "$@" "$edu" -- sh -c "exec '$keep' open $group $edu" >"$scratch/opener" &
	broker=$!
	wait_for 20 test -e /tmp/lend_open
	grep -q "vendor 0x1234" "$scratch/opener"
}

lend_nodes@lets-a-program-without-rights-open-its-device-and-nobody-else()
{
	local broker user
	lend_opener
	user=$(ps -o uid= -C lend_keep | tail -n 1)
	expect_same "$(stat -c '%u %a' "$group")" "0 600" "the node on the host"
	expect_fail 1 "Permission denied|busy" setpriv --reuid "${user// /}" --regid nogroup --clear-groups \
		"$keep" open "$group" "$edu"
	kill -TERM "$broker"
	wait "$broker" || true
	expect_same "$(driver_of "$edu")" ""
}

# An older process of the same user has had a look at the program's nodes, and keeps them until told to open one. Sets
# broker and keeper.
keep_nodes()
{
	rm -f /tmp/kept /tmp/later
	usrpci -q run -u nobody "$edu" -- sleep 1000 &
	broker=$!
	wait_for 20 is_running sleep
	setpriv --reuid nobody --regid nogroup --clear-groups bash -c "exec 5</proc/$(pids_of sleep)/root/dev/vfio
		: >/tmp/kept; until [ -e /tmp/later ]; do sleep 0.1; done
		exec '$keep' open /proc/self/fd/5/${group##*/} $edu" 2>"$scratch/kept" &
	keeper=$!
	wait_for 20 test -e /tmp/kept
}

# opens_no_kept_node: though the device is with vfio again, and nobody has it.
opens_no_kept_node()
{
	usrpci -q bind "$edu"
	: >/tmp/later
	wait "$keeper" && fail "it was opened"
	grep -q "Permission denied" "$scratch/kept"
	usrpci -q restore "$edu"
	rm /tmp/kept /tmp/later
}

lend_nodes@opens-to-nobody-afterwards()
{
	local broker keeper
	keep_nodes
	kill -TERM "$broker"
	wait "$broker" || true
	opens_no_kept_node
}

lend_nodes@opens-to-nobody-after-a-killed-broker()
{
	local broker keeper
	keep_nodes
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 10 no_process sleep
	usrpci -q restore --all
	opens_no_kept_node
}

lend_nodes@shows-a-program-no-other-nodes()
{
	usrpci -q bind "$nic"
	expect_same "$(lend "$edu" -- sh -c 'cd /dev/vfio && find . -type c | sort | xargs')" \
		"$(printf './%s\n' vfio "${group##*/}" | sort | xargs)"
	expect_fail 2 "Read-only" usrpci -q run "$edu" -- sh -c ': >/dev/vfio/new'
	usrpci -q restore "$nic"
}

lend_nodes@gives-a-device-back-however-often-its-program-is-killed()
{
	local broker
	for _ in $(seq "${USRPCI_KILLS:-2}"); do
		lend_opener
		pkill -KILL -x lend_keep
		wait "$broker" || true
		expect_same "$(driver_of "$edu")" ""
	done
}

lend_nodes@recovers-from-a-broker-that-is-killed()
{
	local broker
	lend_opener
	kill -KILL "$broker"
	wait "$broker" || true
	wait_for 10 no_process lend_keep
	usrpci -q restore --all
	expect_same "$(driver_of "$edu")" ""
}

# slow
lend_nodes@waits-for-who-has-the-device-and-names-it()
{
	local how
	for how in hold unread; do
		keeper $how
		expect_fail 4 "lend_keep. has a device of vfio|unread in a socket" \
			usrpci -q run --nodes "$edu" -- "$keep" own "$group" "$edu"
		expect_same "$(driver_of "$edu")" vfio-pci
		end_keeper
		usrpci -q restore --all
		expect_same "$(driver_of "$edu")" ""
	done
}

lend_nodes@says-and-lets-choose-which-way()
{
	expect_output "true opens the devices by itself" usrpci -v run "$edu" -- true
	expect_output "the broker opens the devices for $examples/edu_dma" \
		usrpci -v run "$edu" -- "$examples/edu_dma" "$edu"
	expect_output "equal" lend --nodes "$edu" -- "$examples/edu_dma" "$edu"
	expect_output "equal" lend "$edu" -- sh -c "'$examples/edu_dma' $edu"
	expect_fail 1 "Permission denied" usrpci -q run --broker "$edu" -- "$keep" open "$group" "$edu"
	expect_fail 1 "only programs of libusrpci can have it" \
		usrpci -q run --nodes --driver uio_pci_generic "$edu" -- true
}

# Of a file with a hole on a full file system, a mapping has nothing there: it is as if its owner had just cut it off.
lend_nodes@looks-at-a-program-that-its-owner-changes()
{
	mkdir /tmp/full
	mount -t tmpfs -o size=64k none /tmp/full
	printf '#!/bin/sh\nexit 7\n' >/tmp/full/program
	truncate -s 1M /tmp/full/program
	chmod 755 /tmp/full/program
	dd if=/dev/zero of=/tmp/full/rest 2>/dev/null || true
	expect_fail 7 "" usrpci -q run "$edu" -- /tmp/full/program
	umount /tmp/full
}

lend_nodes@gives-huge-pages-to-a-program-that-takes-them-by-itself()
{
	# shellcheck disable=SC2016
	expect_output "^2M 4 [0-9]*$" lend --hugepages 4 "$edu" -- sh -c '
		touch /dev/hugepages/file && df --output=size -h /dev/hugepages >/dev/null
		stat -f -c "%S %b" /dev/hugepages | sed "s/2097152/2M/; s/$/ $(id -u)/"'
}

lend_nodes@starts-a-program-that-crashed-again()
{
	rm -f /tmp/tries
	# shellcheck disable=SC2016
	expect_fail 139 "is started again" usrpci -q run --restart=2 "$edu" -- \
		sh -c 'echo x >>/tmp/tries; kill -SEGV $$'
	expect_same "$(wc -l </tmp/tries)" 3
	rm /tmp/tries
	# shellcheck disable=SC2016
	expect_output "^done$" lend --restart "$edu" -- \
		sh -c 'test -e /tmp/tries && echo done && exit; touch /tmp/tries; kill -SEGV $$'
	rm /tmp/tries
	# shellcheck disable=SC2016
	expect_fail 7 "" usrpci -q run --restart "$edu" -- sh -c 'exit 7'
}

lend_nodes@does-not-start-a-program-again-that-was-told-to-end()
{
	local broker status=0
	lend_opener --restart
	kill -TERM "$broker"
	wait "$broker" || status=$?
	expect_same "$status" 143
}

# slow
lend_nodes@tells-the-demos-last-chapter()
{
	expect_output "Ethernet controller: PCI device 8086:100e" "$USRPCI_SOURCE/contrib/demo/lend"
	grep -q "Done: lent to a stranger, and given back" <<<"$output"
	quiet_interface "$nic"
}

lend_nodes@lends-to-dpdk()
{
	local testpmd
	testpmd=$(command -v dpdk-testpmd) || skip "dpdk-testpmd is not installed"
	# It has one thread for frames and one for the statistics, which it prints until nobody reads them.
	# shellcheck disable=SC2016
	expect_output "TX-packets: [1-9]" lend --hugepages 48 "$nic" -- \
		bash -c '"$@" | sed "/TX-packets: [1-9]/q"' testpmd "$testpmd" -a "$nic" --iova-mode=va --no-telemetry \
		-m 64 -- --total-num-mbufs=2048 --stats-period=1 --auto-start --no-lsc-interrupt --forward-mode=txonly \
		--nb-cores=1
	works_with_its_kernel_driver "$nic"
}
