#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# role.sh: contrib's Ansible role and example on a host made of files, twice: the second time it changes nothing. On a real kernel,
# where it takes many minutes, tests/qemu/suites/others.sh has it.
#
. "$(dirname "$0")/../build/tap.sh"

host=$scratch/host
pages=$host/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages

"$USRPCI_SOURCE/tests/fixtures/make-host" "$USRPCI_SOURCE/tests/fixtures/server.host" "$host"
mkdir -p "$host/etc/usrpci" "$scratch/bin" "$scratch/etc"
printf '#!/bin/sh\nexec "%s" --root "%s" "$@"\n' "$USRPCI_BUILD/cli/usrpci" "$host" >"$scratch/bin/usrpci"
chmod +x "$scratch/bin/usrpci"
cat >"$scratch/variables.json" <<-END
	{
		"ansible_become": false,
		"ansible_python_interpreter": "/usr/bin/python3",
		"usrpci_confirm": 600,
		"usrpci_files": {"50-test": "[HugePages]\nCount=7\n"}
	}
END

# It writes below /etc/usrpci, in the place of which it has that of the host.
play()
{
	command -v ansible-playbook >/dev/null || skip "ansible-core is not installed"
	[ "$(id -u)" = 0 ] || skip "root alone can put another directory in the place of /etc/usrpci"
	# What is mounted here is gone with these commands, and nobody else has seen it.
	PATH=$scratch/bin:$PATH HOME=$scratch ANSIBLE_ROLES_PATH=$USRPCI_SOURCE/contrib/ansible/roles \
		unshare --mount --propagation private sh -ec '
		mount -t tmpfs none "$1/etc"
		mkdir "$1/etc/above" "$1/etc/work"
		mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc/above,workdir=$1/etc/work" none /etc
		mkdir -p /etc/usrpci
		mount --bind "$1/host/etc/usrpci" /etc/usrpci
		exec ansible-playbook -i localhost, -c local -e "@$1/variables.json" "$2"' - \
		"$scratch" "$USRPCI_SOURCE/contrib/ansible/playbook.yml" >"$scratch/said" 2>&1 || cat "$scratch/said"
	grep -Eq "changed=$1 .*failed=0" "$scratch/said" || cat "$scratch/said"
	[ "$(cat "$pages")" = 7 ] || echo "there are $(cat "$pages") huge pages"
	[ ! -e "$host/run/usrpci/unconfirmed" ] || echo "it is not confirmed"
}

check "the role makes a host what its files say, and confirms it" play '[1-9]'
check "once more, it changes nothing" play 0
finish
