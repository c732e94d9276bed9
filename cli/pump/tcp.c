// SPDX-License-Identifier: BSD-2-Clause
/*
 * Checksums and lengths of TCP/IP. A processor spends most of its time for a frame in sum_add(),
 * so words of 64 bits are added; RFC 1071 says why the result is the same.
 */

#include <string.h>

#include "pump/tcp.h"

uint64_t sum_add(uint64_t sum, const uint8_t *bytes, size_t size)
{
	uint64_t word = 0, carries = 0;

#pragma GCC unroll 8
	for (; size >= sizeof(word); size -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		carries += __builtin_add_overflow(sum, word, &sum);
	}
	word = 0;
	memcpy(&word, bytes, size);
	return sum_both(sum_both(sum, carries), word);
}

uint64_t sum_add_pseudo_header(uint64_t sum, const uint8_t *ip, bool is_ipv6, unsigned int length)
{
	uint8_t rest[4] = {0, TCP, (uint8_t)(length >> 8), (uint8_t)length};

	sum = is_ipv6 ? sum_add(sum, ip + 8, 32) : sum_add(sum, ip + 12, 8);
	return sum_add(sum, rest, sizeof(rest));
}

uint16_t sum_fold(uint64_t sum)
{
	uint16_t folded;
	uint8_t bytes[2];

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)sum;
	memcpy(bytes, &folded, sizeof(bytes));
	return get16(bytes);
}

void ip_resize(uint8_t *ip, bool is_ipv6, unsigned int size)
{
	if (is_ipv6) {
		put16(ip + 4, size - IPV6_SIZE);
		return;
	}
	put16(ip + 2, size);
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~sum_fold(sum_add(0, ip, (ip[0] & 15) * 4u)));
}
