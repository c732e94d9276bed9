// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames of ARP and ICMP echo over Ethernet. Fragments and IP options are left out.
 */

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "net.h"

struct arp_frame {
	struct ether_header ether;
	struct ether_arp arp;
} __attribute__((packed));

struct echo_frame {
	struct ether_header ether;
	struct iphdr ip;
	struct icmphdr icmp;
	uint8_t data[];
} __attribute__((packed));

_Static_assert(sizeof(struct echo_frame) == NET_ECHO_HEADERS, "no padding");

/* RFC 1071 */
static uint16_t checksum(const void *bytes, size_t size)
{
	const uint8_t *byte = bytes;
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? byte[i] : byte[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static uint8_t data_byte(uint16_t sequence, size_t i)
{
	return (uint8_t)(sequence + i * 3);
}

static size_t arp(void *frame, uint16_t op, const struct net_host *own, const struct net_host *peer)
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct arp_frame *out = frame;

	memcpy(out->ether.ether_dhost, op == ARPOP_REQUEST ? broadcast : peer->mac, 6);
	memcpy(out->ether.ether_shost, own->mac, 6);
	out->ether.ether_type = htons(ETHERTYPE_ARP);
	out->arp.arp_hrd = htons(ARPHRD_ETHER);
	out->arp.arp_pro = htons(ETHERTYPE_IP);
	out->arp.arp_hln = 6;
	out->arp.arp_pln = 4;
	out->arp.arp_op = htons(op);
	memcpy(out->arp.arp_sha, own->mac, 6);
	memcpy(out->arp.arp_spa, &own->ip, 4);
	memcpy(out->arp.arp_tha, peer->mac, 6);
	memcpy(out->arp.arp_tpa, &peer->ip, 4);
	return sizeof(*out);
}

size_t net_arp_request(void *frame, const struct net_host *own, uint32_t ip)
{
	struct net_host peer = {.ip = ip};

	return arp(frame, ARPOP_REQUEST, own, &peer);
}

size_t net_arp_reply(void *frame, const struct net_host *own, const struct net_host *peer)
{
	return arp(frame, ARPOP_REPLY, own, peer);
}

size_t net_echo_request(void *frame, const struct net_host *own, const struct net_host *peer,
			uint16_t id, uint16_t sequence, size_t data_size)
{
	struct echo_frame *out = frame;
	size_t icmp_size = sizeof(out->icmp) + data_size;

	memset(out, 0, sizeof(*out));
	memcpy(out->ether.ether_dhost, peer->mac, 6);
	memcpy(out->ether.ether_shost, own->mac, 6);
	out->ether.ether_type = htons(ETHERTYPE_IP);
	out->ip.version = 4;
	out->ip.ihl = sizeof(out->ip) / 4;
	out->ip.tot_len = htons((uint16_t)(sizeof(out->ip) + icmp_size));
	out->ip.id = htons(sequence);
	out->ip.ttl = 64;
	out->ip.protocol = IPPROTO_ICMP;
	out->ip.saddr = own->ip;
	out->ip.daddr = peer->ip;
	out->ip.check = checksum((uint8_t *)frame + offsetof(struct echo_frame, ip),
				 sizeof(out->ip));
	out->icmp.type = ICMP_ECHO;
	out->icmp.un.echo.id = htons(id);
	out->icmp.un.echo.sequence = htons(sequence);
	for (size_t i = 0; i < data_size; i++)
		out->data[i] = data_byte(sequence, i);
	out->icmp.checksum = checksum((uint8_t *)frame + offsetof(struct echo_frame, icmp),
				      icmp_size);
	return offsetof(struct echo_frame, icmp) + icmp_size;
}

static enum net_kind parse_arp(const struct arp_frame *in, const struct net_host *own,
			       struct net_host *peer)
{
	if (in->arp.arp_pro != htons(ETHERTYPE_IP) || in->arp.arp_hln != 6 || in->arp.arp_pln != 4)
		return NET_OTHER;
	memcpy(peer->mac, in->arp.arp_sha, 6);
	memcpy(&peer->ip, in->arp.arp_spa, 4);
	if (in->arp.arp_op == htons(ARPOP_REPLY))
		return NET_ARP_REPLY;
	if (in->arp.arp_op != htons(ARPOP_REQUEST) || memcmp(in->arp.arp_tpa, &own->ip, 4) != 0)
		return NET_OTHER;
	return NET_ARP_REQUEST;
}

static enum net_kind parse_echo(const struct echo_frame *in, size_t size,
				const struct net_host *own, struct net_host *peer, uint16_t *id,
				uint16_t *sequence)
{
	const uint8_t *ip = (const uint8_t *)in + offsetof(struct echo_frame, ip);
	const uint8_t *icmp = (const uint8_t *)in + offsetof(struct echo_frame, icmp);
	size_t total = ntohs(in->ip.tot_len);

	if (in->ip.version != 4 || in->ip.ihl != sizeof(in->ip) / 4 || in->ip.daddr != own->ip ||
	    in->ip.protocol != IPPROTO_ICMP || checksum(ip, sizeof(in->ip)) != 0)
		return NET_OTHER;
	if (total < sizeof(in->ip) + sizeof(in->icmp) || total > size - sizeof(in->ether))
		return NET_OTHER;
	if (in->icmp.type != ICMP_ECHOREPLY || checksum(icmp, total - sizeof(in->ip)) != 0)
		return NET_OTHER;
	memcpy(peer->mac, in->ether.ether_shost, 6);
	peer->ip = in->ip.saddr;
	*id = ntohs(in->icmp.un.echo.id);
	*sequence = ntohs(in->icmp.un.echo.sequence);
	for (size_t i = 0; i < total - sizeof(in->ip) - sizeof(in->icmp); i++)
		if (in->data[i] != data_byte(*sequence, i))
			return NET_OTHER;
	return NET_ECHO_REPLY;
}

enum net_kind net_parse(const void *frame, size_t size, const struct net_host *own,
			struct net_host *peer, uint16_t *id, uint16_t *sequence)
{
	const struct ether_header *ether = frame;

	if (size < sizeof(*ether))
		return NET_OTHER;
	if (ether->ether_type == htons(ETHERTYPE_ARP) && size >= sizeof(struct arp_frame))
		return parse_arp(frame, own, peer);
	if (ether->ether_type == htons(ETHERTYPE_IP) && size >= sizeof(struct echo_frame))
		return parse_echo(frame, size, own, peer, id, sequence);
	return NET_OTHER;
}
