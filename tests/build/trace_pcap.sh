#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# trace_pcap.sh: contrib/trace-to-pcap makes packets of events; tshark reads them, where it is installed.
#
. "$(dirname "$0")/tap.sh"

convert="$USRPCI_SOURCE/contrib/trace-to-pcap"

makes_a_packet_of_each_event()
{
	printf '%s\n' '12.000345 qemu:edu open qemu' '12.500000 qemu:edu bar0 read32 0000 010000ed' >"$scratch/trace"
	"$convert" <"$scratch/trace" >"$scratch/pcap" || return
	# A header of 24 bytes; each packet has 16 before 16 of tags and the text.
	[ "$(stat -c %s "$scratch/pcap")" = $((24 + 2 * 32 + 18 + 34)) ] || stat -c '%s bytes' "$scratch/pcap"
	[ "$(od -An -tu4 -j24 -N8 "$scratch/pcap" | xargs)" = "12 345" ] || echo "the time of the first is wrong"
	grep -aq 'qemu:edu bar0 read32 0000 010000ed' "$scratch/pcap" || echo "the text is missing"
}

is_read_by_tshark()
{
	command -v tshark >/dev/null || skip "tshark is not installed"
	[ "$(tshark -r "$scratch/pcap" 2>/dev/null | grep -c 'qemu:edu')" = 2 ] || tshark -r "$scratch/pcap"
}

refuses_what_is_no_trace()
{
	"$convert" <<<'hello' >/dev/null 2>"$scratch/said" && echo "it succeeds"
	grep -q 'line 1 is no event: hello' "$scratch/said" || cat "$scratch/said"
}

check "an event becomes a packet with its time" makes_a_packet_of_each_event
check "tshark reads it" is_read_by_tshark
check "a line that is no event is refused" refuses_what_is_no_trace
finish
