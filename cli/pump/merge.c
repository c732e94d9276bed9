// SPDX-License-Identifier: BSD-2-Clause
/*
 * Merges TCP segments (RFC 9293) over IPv4 (RFC 791) and IPv6 (RFC 8200). The merged frame says how
 * to cut it into the same segments again (Virtio 1.2, 5.1.6.2): a frame that is forwarded leaves as
 * it came. Its checksum is left to be filled in, so those of its segments are checked here.
 *
 * Frames come from the wire and are hostile. Not merged: VLANs, fragments, IP options and extension
 * headers, segments without data or with other flags than ACK and PSH.
 */

#include <linux/if_ether.h>
#include <string.h>

#include "pump/merge.h"
#include "pump/tcp.h"

struct segment {
	bool is_ipv6;
	uint16_t headers; /* bytes before the data */
	uint16_t size;    /* bytes of the data */
	uint32_t sequence;
	uint8_t flags;
};

/* Returns the bytes of IP's header; 0: nothing that can be merged. Stores how many follow it. */
static unsigned int parse_ip(const uint8_t *ip, unsigned int type, unsigned int size,
			     unsigned int *left)
{
	if (type == ETH_P_IP && size >= IPV4_SIZE && ip[0] == 0x45 && ip[9] == TCP &&
	    get16(ip + 6) == 0x4000 && get16(ip + 2) >= IPV4_SIZE && get16(ip + 2) <= size &&
	    sum_fold(sum_add(0, ip, IPV4_SIZE)) == 0xffff) {
		*left = get16(ip + 2) - IPV4_SIZE;
		return IPV4_SIZE;
	}
	if (type == ETH_P_IPV6 && size >= IPV6_SIZE && ip[0] >> 4 == 6 && ip[6] == TCP &&
	    get16(ip + 4) <= size - IPV6_SIZE) {
		*left = get16(ip + 4);
		return IPV6_SIZE;
	}
	return 0;
}

static bool parse(const struct usrpci_nic_frame *frame, struct segment *segment)
{
	const uint8_t *ip = (uint8_t *)frame->data + ETH_HLEN, *tcp;
	unsigned int header, own, left;

	if (frame->size < ETH_HLEN)
		return false;
	header = parse_ip(ip, get16(ip - 2), frame->size - ETH_HLEN, &left);
	if (header == 0 || left < TCP_SIZE)
		return false;
	tcp = ip + header;
	own = (tcp[TCP_LENGTH] >> 4) * 4u;
	if (own < TCP_SIZE || own >= left || (tcp[TCP_FLAGS] & ~TCP_PUSH) != TCP_ACK)
		return false;
	*segment = (struct segment){
		.is_ipv6 = header == IPV6_SIZE,
		.headers = (uint16_t)(ETH_HLEN + header + own),
		.size = (uint16_t)(left - own),
		.sequence = get32(tcp + TCP_SEQUENCE),
		.flags = tcp[TCP_FLAGS],
	};
	return sum_fold(sum_add_pseudo_header(sum_add(0, tcp, left), ip, segment->is_ipv6, left)) ==
	       0xffff;
}

static bool same(const uint8_t *one, const uint8_t *other, unsigned int from, unsigned int size)
{
	return !memcmp(one + from, other + from, size);
}

/* Whether headers differ only in what differs between segments of one connection. */
static bool match(const uint8_t *one, const uint8_t *other, const struct segment *segment)
{
	unsigned int ip = ETH_HLEN, tcp = ip + (segment->is_ipv6 ? IPV6_SIZE : IPV4_SIZE);

	if (!same(one, other, 0, ip + 2) || !same(one, other, tcp, TCP_SEQUENCE) ||
	    !same(one, other, tcp + TCP_ACKNOWLEDGED, TCP_LENGTH + 1 - TCP_ACKNOWLEDGED) ||
	    !same(one, other, tcp + TCP_WINDOW, 2) ||
	    !same(one, other, tcp + TCP_SIZE, segment->headers - tcp - TCP_SIZE))
		return false;
	if (segment->is_ipv6)
		return same(one, other, ip + 2, 2) && same(one, other, ip + 6, IPV6_SIZE - 6);
	return same(one, other, ip + 8, 2) && same(one, other, ip + 12, 8);
}

void merge_begin(struct merge *merge, const struct usrpci_nic_frame *frame)
{
	struct segment segment;

	memset(&merge->header, 0, sizeof(merge->header));
	merge->pieces[0] = *frame;
	merge->count = 1;
	merge->open = parse(frame, &segment);
	if (!merge->open)
		return;
	merge->is_ipv6 = segment.is_ipv6;
	merge->pushed = segment.flags & TCP_PUSH;
	merge->open = !merge->pushed;
	merge->headers = segment.headers;
	merge->segment = segment.size;
	merge->next = segment.sequence + segment.size;
	merge->size = (uint32_t)segment.headers + segment.size;
}

bool merge_add(struct merge *merge, const struct usrpci_nic_frame *frame)
{
	struct usrpci_nic_frame *first = &merge->pieces[0];
	struct segment segment;

	if (!merge->open || merge->count == USRPCI_NIC_PIECES_MAX || !parse(frame, &segment))
		return false;
	if (segment.is_ipv6 != merge->is_ipv6 || segment.headers != merge->headers ||
	    segment.sequence != merge->next || segment.size > merge->segment ||
	    merge->size + segment.size > IP_MAX || !match(first->data, frame->data, &segment))
		return false;
	first->size = (uint16_t)(merge->headers + merge->segment); /* without padding */
	merge->pieces[merge->count - 1].more = true;
	merge->pieces[merge->count++] = (struct usrpci_nic_frame){
		.data = (uint8_t *)frame->data + segment.headers,
		.size = segment.size,
	};
	merge->pushed = segment.flags & TCP_PUSH;
	merge->open = !merge->pushed && segment.size == merge->segment;
	merge->next += segment.size;
	merge->size += segment.size;
	return true;
}

void merge_end(struct merge *merge)
{
	uint8_t *ip = (uint8_t *)merge->pieces[0].data + ETH_HLEN;
	unsigned int header, size;

	if (merge->count == 1)
		return;
	header = merge->is_ipv6 ? IPV6_SIZE : IPV4_SIZE;
	size = merge->size - ETH_HLEN;
	ip_resize(ip, merge->is_ipv6, size);
	if (merge->pushed)
		ip[header + TCP_FLAGS] |= TCP_PUSH;
	put16(ip + header + TCP_CHECKSUM,
	      sum_fold(sum_add_pseudo_header(0, ip, merge->is_ipv6, size - header)));
	merge->header = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = merge->is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = merge->headers,
		.gso_size = merge->segment,
		.csum_start = (uint16_t)(ETH_HLEN + header),
		.csum_offset = TCP_CHECKSUM,
	};
}
