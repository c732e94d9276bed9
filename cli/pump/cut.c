// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cuts TCP segments over IPv4 and IPv6 as the kernel does for a card without offloads: each gets
 * the headers of the whole, with a length, a sequence number, and checksums of its own. Its data is
 * copied, since it must lie in buffers that it shares with no other segment.
 *
 * The kernel made the frame, but its header is checked: nothing is read or written outside of it.
 */

#include <linux/if_ether.h>
#include <string.h>

#include "pump/cut.h"
#include "pump/tcp.h"

#define VLAN_SIZE 4

static unsigned int min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

static uint32_t size_of(const struct usrpci_nic_frame *pieces, unsigned int n)
{
	uint32_t size = 0;

	for (unsigned int i = 0; i < n; i++)
		size += pieces[i].size;
	return size;
}

/* Finds IP's header behind VLAN tags, and whether it is one. */
static bool find_ip(struct cut *cut, const uint8_t *data)
{
	unsigned int at = ETH_HLEN - 2, type = get16(data + at);

	while ((type == ETH_P_8021Q || type == ETH_P_8021AD) && at + VLAN_SIZE < cut->tcp) {
		at += VLAN_SIZE;
		type = get16(data + at);
	}
	cut->ip = at + 2;
	if (type != (cut->is_ipv6 ? ETH_P_IPV6 : ETH_P_IP) ||
	    cut->ip + (cut->is_ipv6 ? IPV6_SIZE : IPV4_SIZE) > cut->tcp)
		return false;
	return cut->is_ipv6 || cut->ip + (data[cut->ip] & 15) * 4u <= cut->tcp;
}

/* The headers lie in the first piece, and data follows them. */
static bool parse(struct cut *cut)
{
	const uint8_t *data = cut->pieces[0].data;
	unsigned int first = cut->pieces[0].size, own;

	if (cut->tcp <= ETH_HLEN || cut->tcp + TCP_SIZE > first || !find_ip(cut, data))
		return false;
	own = (data[cut->tcp + TCP_LENGTH] >> 4) * 4u;
	cut->headers = cut->tcp + own;
	if (own < TCP_SIZE || cut->headers > first || cut->segment == 0)
		return false;
	cut->left = size_of(cut->pieces, cut->count) - cut->headers;
	cut->offset = cut->headers;
	return cut->headers + cut->segment <= IP_MAX && cut->left > 0;
}

bool cut_begin(struct cut *cut, const struct virtio_net_hdr_v1 *header,
	       const struct usrpci_nic_frame *pieces, unsigned int n, unsigned int headroom)
{
	bool parsed;

	*cut = (struct cut){
		.count = n,
		.headroom = headroom,
		.is_ipv6 = header->gso_type == VIRTIO_NET_HDR_GSO_TCPV6,
		.tcp = header->csum_start,
		.segment = header->gso_size,
	};
	if (n > USRPCI_NIC_PIECES_MAX ||
	    (!cut->is_ipv6 && header->gso_type != VIRTIO_NET_HDR_GSO_TCPV4))
		return false;
	memcpy(cut->pieces, pieces, n * sizeof(*pieces));
	parsed = parse(cut);
	if (!parsed)
		cut->left = 0;
	return parsed;
}

unsigned int cut_pieces(const struct cut *cut)
{
	unsigned int size = cut->headroom + cut->headers + min(cut->segment, cut->left);

	if (cut->left == 0)
		return 0;
	return (size + USRPCI_NIC_BUFFER_SIZE - 1) / USRPCI_NIC_BUFFER_SIZE;
}

/* Copies the frame's next bytes of data. */
static void copy_data(struct cut *cut, uint8_t *to, unsigned int size)
{
	cut->left -= size;
	while (size > 0) {
		const struct usrpci_nic_frame *piece = &cut->pieces[cut->piece];
		unsigned int part = min(size, piece->size - cut->offset);

		memcpy(to, (const uint8_t *)piece->data + cut->offset, part);
		cut->offset += part;
		to += part;
		size -= part;
		if (cut->offset == piece->size) {
			cut->piece++;
			cut->offset = 0;
		}
	}
}

/* Stores the headers and so many bytes of data in buffers. Returns how many buffers. */
static unsigned int copy(struct cut *cut, struct usrpci_nic_frame *pieces, unsigned int data)
{
	unsigned int size = cut->headers + data, from = cut->headers, room, n = 0;

	memcpy(pieces[0].data, cut->pieces[0].data, cut->headers);
	for (; size > 0; n++, from = 0) {
		room = USRPCI_NIC_BUFFER_SIZE - (n ? 0 : cut->headroom);
		if (n > 0)
			pieces[n].data = (uint8_t *)pieces[n].data - cut->headroom;
		pieces[n].size = (uint16_t)min(size, room);
		pieces[n].more = size > room;
		copy_data(cut, (uint8_t *)pieces[n].data + from, pieces[n].size - from);
		size -= pieces[n].size;
	}
	return n;
}

/*
 * Adds all bytes from "start" of the first piece. What follows an odd number of bytes counts with
 * its bytes swapped.
 */
static uint64_t sum_pieces(const struct usrpci_nic_frame *pieces, unsigned int n,
			   unsigned int start)
{
	uint64_t sum = 0, part;
	bool odd = false;

	for (unsigned int i = 0; i < n; i++, start = 0) {
		part = sum_add(0, (const uint8_t *)pieces[i].data + start, pieces[i].size - start);
		sum = sum_both(sum, odd ? part << 8 | part >> 56 : part);
		odd ^= (pieces[i].size - start) % 2;
	}
	return sum;
}

/* 0 would say that there is no checksum, and is the same number. */
static void write_checksum(uint8_t *at, uint64_t sum)
{
	uint16_t checksum = (uint16_t)~sum_fold(sum);

	put16(at, checksum ? checksum : 0xffff);
}

unsigned int cut_next(struct cut *cut, struct usrpci_nic_frame *pieces)
{
	unsigned int data = min(cut->segment, cut->left), size = cut->headers + data;
	unsigned int n = copy(cut, pieces, data);
	uint8_t *ip = (uint8_t *)pieces[0].data + cut->ip;
	uint8_t *tcp = (uint8_t *)pieces[0].data + cut->tcp;

	if (!cut->is_ipv6)
		put16(ip + 4, get16(ip + 4) + cut->number); /* the identification */
	ip_resize(ip, cut->is_ipv6, size - cut->ip);
	put32(tcp + TCP_SEQUENCE, get32(tcp + TCP_SEQUENCE) + cut->number * cut->segment);
	if (cut->left > 0)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PUSH);
	if (cut->number > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	put16(tcp + TCP_CHECKSUM, 0);
	write_checksum(tcp + TCP_CHECKSUM,
		       sum_add_pseudo_header(sum_pieces(pieces, n, cut->tcp), ip, cut->is_ipv6,
					     size - cut->tcp));
	cut->number++;
	return size;
}

bool cut_checksum(const struct virtio_net_hdr_v1 *header, const struct usrpci_nic_frame *pieces,
		  unsigned int n)
{
	unsigned int start = header->csum_start, at = start + header->csum_offset;

	if (at + sizeof(uint16_t) > pieces[0].size)
		return false;
	write_checksum((uint8_t *)pieces[0].data + at, sum_pieces(pieces, n, start));
	return true;
}
