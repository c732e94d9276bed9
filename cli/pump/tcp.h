/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_TCP_H
#define USRPCI_CLI_TCP_H

/*
 * What merge.c and cut.c know of TCP (RFC 9293) over IPv4 (RFC 791) and IPv6 (RFC 8200), and the
 * checksum of all three (RFC 1071).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPV4_SIZE 20
#define IPV6_SIZE 40
#define TCP_SIZE  20
#define TCP       6
#define IP_MAX    65535 /* of what IPv4's length counts */

#define IPV4_CHECKSUM 10

/* Offsets in the header of TCP. */
enum {
	TCP_SEQUENCE = 4,
	TCP_ACKNOWLEDGED = 8,
	TCP_LENGTH = 12,
	TCP_FLAGS = 13,
	TCP_WINDOW = 14,
	TCP_CHECKSUM = 16
};

enum { TCP_FIN = 0x01, TCP_PUSH = 0x08, TCP_ACK = 0x10, TCP_CWR = 0x80 };

static inline uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline uint32_t get32(const uint8_t *bytes)
{
	return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

static inline void put16(uint8_t *bytes, unsigned int value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static inline void put32(uint8_t *bytes, uint32_t value)
{
	put16(bytes, value >> 16);
	put16(bytes + 2, value);
}

/* Returns the sum of two sums: in one's complement, a carry is added at the other end. */
static inline uint64_t sum_both(uint64_t one, uint64_t other)
{
	return __builtin_add_overflow(one, other, &one) ? one + 1 : one;
}

/* Adds bytes to a sum; all but the last ones of a sum are an even number. */
uint64_t sum_add(uint64_t sum, const uint8_t *bytes, size_t size);

/* Adds the pseudo header of a segment of so many bytes, its header included. */
uint64_t sum_add_pseudo_header(uint64_t sum, const uint8_t *ip, bool is_ipv6, unsigned int length);

/* Returns the sum of one's complement of 16 bits, in the order of bytes that get16() returns. */
uint16_t sum_fold(uint64_t sum);

/* Writes a length into IP's header, its own bytes included. */
void ip_resize(uint8_t *ip, bool is_ipv6, unsigned int size);

#endif
