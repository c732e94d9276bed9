/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Sockets as NetBSD's kernel knows them: programs that are built with the host's headers, yet call
 * a rump kernel in their own process, hand it these.
 */

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#define NETBSD_AF_INET     2
#define NETBSD_SOCK_STREAM 1
#define NETBSD_SOCK_RAW    3
#define NETBSD_SOL_SOCKET  0xffff
#define NETBSD_SO_RCVTIMEO 0x100c

struct netbsd_sockaddr_in {
	uint8_t length;
	uint8_t family;
	uint16_t port;
	uint32_t address;
	uint8_t zero[8];
};

struct netbsd_timeval {
	int64_t seconds;
	int32_t microseconds;
};

static inline struct netbsd_sockaddr_in netbsd_address(const char *text, uint16_t port)
{
	struct netbsd_sockaddr_in in = {
		.length = sizeof(in),
		.family = NETBSD_AF_INET,
		.port = htons(port),
	};

	inet_pton(AF_INET, text, &in.address);
	return in;
}
