/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXAMPLES_NET_H
#define EXAMPLES_NET_H

/*
 * As much of ARP (RFC 826), IPv4 (RFC 791) and ICMP echo (RFC 792) as a ping needs. IPv4 addresses
 * are in network byte order.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_host {
	uint8_t mac[6];
	uint32_t ip;
};

#define NET_ECHO_HEADERS 42 /* bytes of an echo frame before its data */

/* Write a frame and return its size. An ARP request has a peer of which ip alone is known. */
size_t net_arp_request(void *frame, const struct net_host *own, uint32_t ip);
size_t net_arp_reply(void *frame, const struct net_host *own, const struct net_host *peer);
size_t net_echo_request(void *frame, const struct net_host *own, const struct net_host *peer,
			uint16_t id, uint16_t sequence, size_t data_size);

enum net_kind {
	NET_OTHER,
	NET_ARP_REQUEST, /* asks for own->ip; peer is who asks */
	NET_ARP_REPLY,   /* from peer */
	NET_ECHO_REPLY,  /* from peer to own->ip, checksums and data are right */
};

/* Says what a frame from outside is, which may be anything. */
enum net_kind net_parse(const void *frame, size_t size, const struct net_host *own,
			struct net_host *peer, uint16_t *id, uint16_t *sequence);

#endif
