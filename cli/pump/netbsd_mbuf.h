/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef USRPCI_CLI_NETBSD_MBUF_H
#define USRPCI_CLI_NETBSD_MBUF_H

#include <stdint.h>

/* Where NetBSD's struct mbuf begins, on 64-bit machines (sys/sys/mbuf.h). */
struct netbsd_mbuf {
	struct netbsd_mbuf *next, *next_packet;
	uint8_t *data;
	void *owner;
	int size, flags;
	uint64_t physical;
	short type;

	/* Only of the first one of a packet. */
	void *from, *tags;
	int packet_size, offloads;
	uint32_t checksum;    /* bytes of IP's header << 16 | offset of the sum behind it */
	unsigned int segment; /* bytes of data that each frame is to have */
};

/* Offloads of a packet. */
#define NETBSD_TSO4 0x100
#define NETBSD_TSO6 0x200

#endif
