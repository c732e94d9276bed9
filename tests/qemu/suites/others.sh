# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# others: programs of others that call usrpci or get devices from it: Ansible, podman, Slurm, QEMU, DPDK in the machine.
#
# make check-others runs it: most of them take long where a processor is emulated.
#
# vm: --iommu --device edu,dma_mask=0xffffffff --nic e1000 --mem 1G --cpus 2 --deadline 5400
# case-deadline: 1800

edu=0000:00:01.0
nic=0000:00:02.0

teardown()
{
	usrpci -q restore --all || true
}

group_of()
{
	basename "$(readlink "/sys/bus/pci/devices/$1/iommu_group")"
}

ansible@the-role-prepares-a-host-and-once-is-enough()
{
	command -v ansible-playbook || skip "ansible-core is not installed"
	cat >"$scratch/play.yml" <<-END
		- hosts: all
		  gather_facts: false
		  roles:
		    - role: usrpci
		      vars:
		        usrpci_confirm: 600
		        usrpci_files:
		          50-test: |
		            [Match]
		            Address=$edu
		            Id=1234:11e8
		            [Device]
		            Driver=vfio-pci
	END
	export ANSIBLE_ROLES_PATH=$USRPCI_SOURCE/contrib/ansible/roles HOME=/root ANSIBLE_LOCAL_TEMP=/tmp/ansible \
		ANSIBLE_REMOTE_TEMP=/tmp/ansible-remote ANSIBLE_PIPELINING=1
	ansible-playbook -i localhost, -c local "$scratch/play.yml" | tee "$scratch/first"
	grep -Eq 'changed=[1-9].*failed=0' "$scratch/first"
	expect_same "$(driver_of $edu)" vfio-pci
	[ ! -e /run/usrpci/unconfirmed ]
	expect_output 'changed=0.*failed=0' ansible-playbook -i localhost, -c local "$scratch/play.yml"
	rm /etc/usrpci/50-test.conf
}

# The container's user is nobody, who gets the group's file and no other device.
podman@a-container-without-rights-opens-the-device()
{
	local root=$scratch/root
	command -v podman || skip "podman is not installed"
	usrpci -q bind $edu --user 65534
	mkdir -p /etc/cdi "$root"/{bin,dev,proc,sys,tmp}
	usrpci export cdi $edu >/etc/cdi/usrpci.json
	cp /bin/busybox "$root/bin"
	ln -s busybox "$root/bin/sh"
	podman --root /tmp/podman --runroot /run/podman --storage-driver vfs --cgroup-manager cgroupfs run --rm \
		--network none --user 65534 --cap-drop all --device usrpci.org/pci=$edu --rootfs "$root" \
		/bin/busybox sh -c "busybox find /dev/vfio -type c; busybox id -u; exec 3<>/dev/vfio/$(group_of $edu) && echo opened" \
		>"$scratch/said" 2>"$scratch/errors" || { cat "$scratch/errors" && fail "podman: $?"; }
	expect_same "$(sort "$scratch/said")" "$(printf '%s\n' "/dev/vfio/$(group_of $edu)" /dev/vfio/vfio 65534 opened | sort)"
	rm /etc/cdi/usrpci.json
}

slurm@its-own-parser-reads-what-is-exported()
{
	command -v slurmd || skip "slurmd is not installed"
	usrpci -q bind $edu
	usrpci export slurm $edu >"$scratch/gres.conf"
	cat >"$scratch/slurm.conf" <<-END
		ClusterName=test
		SlurmctldHost=localhost
		AuthType=auth/none
		GresTypes=pci
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SlurmdSpoolDir=$scratch
		StateSaveLocation=$scratch
		NodeName=localhost Gres=pci:1234_11e8:1 CPUs=1
		PartitionName=all Nodes=localhost
	END
	echo CgroupPlugin=cgroup/v1 >"$scratch/cgroup.conf" # the other one wants systemd
	expect_output "Gres Name=pci Type=1234_11e8 Count=1 .*File=/dev/vfio/$(group_of $edu)" \
		slurmd -D -vv -G -N localhost -f "$scratch/slurm.conf"
}

has_device()
{
	find "/proc/$1/fd" -lname 'anon_inode:\[vfio-device\]' | grep -q .
}

# Firmware alone is enough to see that the guest has the device; a whole guest would take hours here.
qemu@a-machine-in-the-machine-gets-the-device-and-is-killed-ten-times()
{
	local i qemu runner
	usrpci -q run --user nobody $edu -- timeout 300 qemu-system-x86_64 -M q35 -accel tcg -m 64 -nodefaults \
		-display none -device vfio-pci,host=$edu -chardev file,id=bios,path=/tmp/bios \
		-device isa-debugcon,iobase=0x402,chardev=bios &
	runner=$!
	wait_for 200 grep -q "Found . PCI devices" /tmp/bios
	pkill -KILL -x qemu-system-x86
	wait $runner || true
	[ -z "$(driver_of $edu)" ]
	for ((i = 0; i < 10; i++)); do
		usrpci -q run --user nobody $edu -- qemu-system-x86_64 -M q35 -accel tcg -m 64 -nodefaults \
			-display none -S -device vfio-pci,host=$edu &
		runner=$!
		wait_for 60 pgrep -x qemu-system-x86
		qemu=$(pgrep -x qemu-system-x86)
		wait_for 60 has_device "$qemu"
		expect_same "$(ps -o user= -p "$qemu")" nobody
		expect_fail 2 "denied|busy" setpriv --reuid daemon --clear-groups sh -c ": <>/dev/vfio/$(group_of $edu)"
		kill -KILL "$qemu"
		wait $runner || true
		[ -z "$(driver_of $edu)" ]
	done
	nothing_is_left
}

nothing_is_left()
{
	expect_same "$(cat /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts)" N
	[ -z "$(ls /run/usrpci/lent)" ]
}

dpdk@testpmd-gets-a-card-and-is-killed-ten-times()
{
	local i runner testpmd pages
	testpmd=$(command -v dpdk-testpmd) || skip "dpdk-testpmd is not installed"
	pages=$(cat /proc/sys/vm/nr_hugepages)
	for ((i = 0; i < 10; i++)); do
		usrpci -q run --user nobody --hugepages 48 $nic -- "$testpmd" -a $nic --iova-mode=va --no-telemetry -m 64 -- \
			--total-num-mbufs=2048 --stats-period=1 --auto-start --no-lsc-interrupt --forward-mode=txonly \
			--nb-cores=1 >"$scratch/said" 2>&1 &
		runner=$!
		wait_for 60 grep -q "TX-packets: [1-9]" "$scratch/said"
		expect_same "$(ps -o user= -C dpdk-testpmd | sort -u)" nobody
		expect_fail 2 "denied|busy" setpriv --reuid daemon --clear-groups sh -c ": <>/dev/vfio/$(group_of $nic)"
		pkill -KILL -x dpdk-testpmd
		wait $runner || true
		expect_same "$(driver_of $nic) $(cat /proc/sys/vm/nr_hugepages)" "e1000 $pages"
	done
	nothing_is_left
}
