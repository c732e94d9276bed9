# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What usrpci check finds on a real host: each thing that is missing, and that its cure mends it.
#
# case-deadline: 120
#
# vm: --nic e1000 --device edu

nic=0000:00:01.0

teardown()
{
	[ ! -e /run/usrpci/journal ] || usrpci -q restore --all
	usrpci -q hugepages release
}

# The command that the check offers for a finding.
cure_of()
{
	usrpci check "${@:2}" --json >"$scratch/check" || true
	jq -r --arg topic "$1" '.findings[] | select(.topic == $topic and .state == "missing").cure' "$scratch/check"
}

check@huge-pages-are-missing-and-the-cure-mends-it()
{
	expect_fail 3 'none of 0 huge pages is free' usrpci check
	eval "$(cure_of hugepages)"
	expect_output 'huge pages are free' usrpci check
	expect_output '^ready' usrpci check
}

check@a-device-is-made-ready-by-its-cures()
{
	local eth
	eth=$(interface_of $nic)
	ip address add 192.0.2.1/24 dev "$eth"
	expect_fail 3 "$eth carries 192.0.2.1/24" usrpci check $nic
	eval "$(cure_of use $nic)"
	eval "$(cure_of hugepages)"
	eval "$(cure_of driver $nic)"
	expect_output '^ready' usrpci check $nic
	[ "$(driver_of $nic)" = uio_pci_generic ]
}

# cured ADDR PATTERN: the check finds this use, and its cure ends it.
cured()
{
	expect_fail 3 "$2" usrpci check "$1"
	eval "$(cure_of use "$1")"
	usrpci check "$1" >"$scratch/after" || true
	grep -q "nobody uses $1" "$scratch/after" || fail "the cure did not help: $(cat "$scratch/after")"
}

check@the-cure-of-each-use-ends-it()
{
	local eth
	eth=$(interface_of $nic)
	ip link set "$eth" up
	ip route add 198.51.100.0/24 dev "$eth" table 4711
	cured $nic "$eth carries the route to 198.51.100.0/24"
	if ip link add link "$eth" name macvlan7 type macvlan; then
		cured $nic "$eth is part of macvlan7"
	fi
	if ip link add br7 type bridge; then
		ip link set "$eth" master br7
		cured $nic "$eth is part of br7"
		ip link delete br7
	fi
	sleep 100 8</sys/bus/pci/devices/$nic/resource0 &
	cured $nic 'resource0 open'
}

# In a mount namespace of its own, as a container has it.
check@a-read-only-sys-is-told-and-its-cure-mends-it()
{
	unshare -m bash -ec "$(declare -f cure_of)
		scratch=$scratch PATH=$USRPCI_BUILD/cli:\$PATH
		mount -o remount,ro,bind /sys
		usrpci check || true
		usrpci hugepages reserve 4 || true
		eval \"\$(cure_of sysfs)\"
		echo 'after the cure'
		usrpci check || true
		usrpci hugepages reserve 4" >"$scratch/log" 2>&1
	sed '/after the cure/,$d' "$scratch/log" >"$scratch/before"
	grep -q 'missing  sysfs       /sys is mounted read-only' "$scratch/before"
	grep -q 'hint: /sys is mounted read-only, as in a container: run on the host itself' "$scratch/before"
	sed '1,/after the cure/d' "$scratch/log" >"$scratch/after"
	cat "$scratch/after"
	! grep -q read-only "$scratch/after"
}

check@tells-that-nothing-translates()
{
	expect_fail 3 'no IOMMU' usrpci check
	expect_fail 3 'vfio-pci is available|vfio-pci is loaded' usrpci check
}

check@an-ordinary-user-learns-what-he-may-not()
{
	expect_fail 3 'without CAP_SYS_ADMIN' setpriv --reuid nobody --clear-groups \
		--bounding-set -all --inh-caps -all "$(command -v usrpci)" check
	expect_fail 3 'little for DMA memory' bash -c \
		"ulimit -l 64; exec setpriv --reuid nobody --clear-groups $(command -v usrpci) check"
}

check@changes-nothing()
{
	local before
	before=$(find /run/usrpci; cat /proc/modules; cat /proc/sys/vm/nr_hugepages)
	usrpci check $nic || true
	expect_same "$(find /run/usrpci; cat /proc/modules; cat /proc/sys/vm/nr_hugepages)" "$before"
}

# The database is made when udev is configured, which the packages of Arm's root never were.
check@lists-the-names-that-lspci-knows()
{
	[ -e /etc/udev/hwdb.bin ] || [ -e /lib/udev/hwdb.bin ] || skip "there is no database of names"
	usrpci list --no-headings -o ADDR,NAME >"$scratch/ours"
	grep "^$nic" "$scratch/ours" | grep -q '82540EM Gigabit Ethernet Controller'
	[ "$(wc -l <"$scratch/ours")" = "$(lspci | wc -l)" ]
}

check@list-is-fast()
{
	local start stop
	usrpci list >/dev/null
	start=$EPOCHREALTIME
	usrpci list >/dev/null
	stop=$EPOCHREALTIME
	note "list took $(((${stop/./} - ${start/./}) / 1000)) ms"
	[ $(((${stop/./} - ${start/./}) / 1000)) -lt 2000 ]
}
