# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# common.sh: sourced by the demos; each step is told, then shown, and the first that fails ends them.
#
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${USRPCI_BUILD:=$root/build}"
PATH=$USRPCI_BUILD/cli:$PATH:/usr/sbin:/sbin
card=0000:00:01.0
export gateway=10.0.2.2
number=0
if [ -t 1 ]; then
	bold=$'\e[1m' plain=$'\e[0m'
else
	bold='' plain=''
fi

step()
{
	number=$((number + 1))
	printf '\n%s%d. %s%s\n' "$bold" "$number" "$1" "$plain"
	shift
	[ $# = 0 ] || printf '   %s\n' "$@"
}

fail()
{
	echo "demo: failed at step $number: $*" >&2
	exit 1
}

# expect STATUS COMMAND...: shows a command and what it says, indented.
expect()
{
	local want=$1 status=0
	shift
	printf '\n   %s$ %s%s\n' "$bold" "$*" "$plain"
	"$@" 2>&1 | sed 's/^/   /' || status=${PIPESTATUS[0]}
	[ "$status" = "$want" ] || fail "exit status $status instead of $want: $*"
}

show()
{
	expect 0 "$@"
}

driver_is()
{
	[ "$(basename "$(readlink "/sys/bus/pci/devices/$card/driver")")" = "$1" ] ||
		fail "$card is not with $1"
}

# The kernel's interface of the card, up and with an address.
interface_up()
{
	nic=$(ls "/sys/bus/pci/devices/$card/net")
	ip link set "$nic" up
	ip address add 10.0.2.15/24 dev "$nic"
	for _ in {1..100}; do
		[ "$(cat "/sys/class/net/$nic/carrier")" = 0 ] || return 0
		sleep 0.1
	done
	fail "$nic has no link"
}

[ "$(id -u)" = 0 ] || fail "only root may take devices: run \"make demo\""
[ -d "/sys/bus/pci/devices/$card" ] || fail "there is no $card here: run \"make demo\""
