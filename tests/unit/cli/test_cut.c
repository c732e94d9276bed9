// SPDX-License-Identifier: BSD-2-Clause
/* Cutting TCP segments for a card that cannot: what each one says, and what is refused. */

#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include "array.h"
#include "cli/packet.h"
#include "pump/cut.h"
#include "pump/merge.h"
#include "fixture.h"

#define BYTES     30001 /* of data */
#define SEGMENT   1400
#define HEADROOM  12
#define TIMESTAMP 12 /* bytes of options behind TCP's header */

static uint8_t wholes[64][USRPCI_NIC_BUFFER_SIZE] __attribute__((aligned(2048)));
static uint8_t buffers[64][USRPCI_NIC_BUFFER_SIZE] __attribute__((aligned(2048)));

struct kind {
	bool is_ipv6;
	unsigned int tags; /* VLANs */
	unsigned int segment;
};

/* The bytes of the frame that is to be cut, all behind each other. */
static uint8_t flat[1 << 16];

static uint8_t data_at(unsigned int n)
{
	return (uint8_t)(n * 7 + n / 256);
}

/* Makes the frame, and returns where TCP's header is in it. */
static unsigned int make(const struct kind *kind, unsigned int bytes)
{
	unsigned int ip = ETH_HLEN + 4 * kind->tags, tcp = ip + (kind->is_ipv6 ? 40 : 20);
	unsigned int length = 20 + TIMESTAMP + bytes;

	memset(flat, 0x55, ip);
	for (unsigned int i = 0; i < kind->tags; i++)
		put(flat + 12 + 4 * i, 4, (i ? 0x81000000u : 0x88a80000u) + 7);
	put(flat + ip - 2, 2, kind->is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	if (kind->is_ipv6) {
		put(flat + ip, 4, 0x60000000);
		put(flat + ip + 4, 4, length << 16 | 0x0640);
		memset(flat + ip + 8, 0xfd, 32);
	} else {
		put(flat + ip, 4, 0x45000000 | (20 + length));
		put(flat + ip + 4, 4, 0xffff4000); /* the identification goes on with 0 */
		put(flat + ip + 8, 4, 0x40060000);
		put(flat + ip + 12, 4, 0x0a010001);
		put(flat + ip + 16, 4, 0x0a010002);
	}
	put(flat + tcp, 4, 0x1e611e61);
	put(flat + tcp + 4, 4, UINT32_MAX - 100);
	put(flat + tcp + 8, 4, 77);
	put(flat + tcp + 12, 4, 0x80990000 | 500); /* CWR, ACK, PSH and FIN */
	put(flat + tcp + 16, 4, 0);
	memset(flat + tcp + 20, 1, TIMESTAMP);
	for (unsigned int i = 0; i < bytes; i++)
		flat[tcp + 20 + TIMESTAMP + i] = data_at(i);
	return tcp;
}

/* Puts the frame in buffers as the kernel does. Returns how many. */
static unsigned int scatter(unsigned int size, struct usrpci_nic_frame *pieces)
{
	unsigned int n = 0, done = 0, skipped = HEADROOM;

	for (; done < size; n++, skipped = 0) {
		unsigned int room = USRPCI_NIC_BUFFER_SIZE - skipped;
		unsigned int part = size - done < room ? size - done : room;

		pieces[n] = (struct usrpci_nic_frame){
			.data = memcpy(wholes[n] + skipped, flat + done, part),
			.size = (uint16_t)part,
			.more = done + part < size,
		};
		done += part;
	}
	return n;
}

static struct virtio_net_hdr_v1 header_of(const struct kind *kind, unsigned int tcp)
{
	return (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = kind->is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = (uint16_t)kind->segment,
		.csum_start = (uint16_t)tcp,
		.csum_offset = 16,
	};
}

/* Takes the next segment, and puts its bytes behind each other in "out". Returns how many. */
static unsigned int next(struct cut *cut, uint8_t *out)
{
	struct usrpci_nic_frame pieces[40];
	unsigned int n = cut_pieces(cut), size = 0, told;

	for (unsigned int i = 0; i < n; i++)
		pieces[i].data = buffers[i] + HEADROOM;
	told = cut_next(cut, pieces);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(pieces[i].more, i + 1 < n);
		assert_ptr_equal(pieces[i].data, buffers[i] + (i ? 0 : HEADROOM));
		assert_in_range(pieces[i].size, 1, USRPCI_NIC_BUFFER_SIZE - (i ? 0 : HEADROOM));
		memcpy(out + size, pieces[i].data, pieces[i].size);
		size += pieces[i].size;
	}
	assert_int_equal(size, told);
	return size;
}

/* Checks the segment whose data begin at "from". Returns where the next one begins. */
static unsigned int check(const struct kind *kind, unsigned int tcp, const uint8_t *out,
			  unsigned int size, unsigned int from)
{
	unsigned int ip = ETH_HLEN + 4 * kind->tags, data = size - tcp - 20 - TIMESTAMP;
	bool last = from + data == BYTES;

	assert_int_equal(data, last ? BYTES - from : kind->segment);
	assert_memory_equal(out, flat, ip);
	if (kind->is_ipv6) {
		assert_int_equal(get(out + ip + 4, 2), size - ip - 40);
	} else {
		assert_int_equal(get(out + ip + 2, 2), size - ip);
		assert_int_equal(get(out + ip + 4, 2), (0xffff + from / kind->segment) & 0xffff);
		assert_int_equal(checksum(0, out + ip, 20), 0xffff);
	}
	assert_int_equal(get(out + tcp + 4, 4), UINT32_MAX - 100 + from);
	assert_int_equal(out[tcp + 13], 0x10 | (from ? 0 : 0x80) | (last ? 0x09 : 0));
	assert_memory_equal(out + tcp + 20, flat + tcp + 20, TIMESTAMP);
	assert_int_equal(checksum(pseudo(out + 4 * kind->tags, kind->is_ipv6, size - tcp),
				  out + tcp, size - tcp),
			 0xffff);
	for (unsigned int i = 0; i < data; i++)
		assert_int_equal(out[tcp + 20 + TIMESTAMP + i], data_at(from + i));
	return from + data;
}

static void each_segment_has_headers_of_its_own(void **state)
{
	static const struct kind kinds[] = {
		{false, 0, SEGMENT}, {true, 0, SEGMENT}, {false, 1, SEGMENT},
		{true, 2, 1401},     {false, 0, 8948},   {true, 0, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct kind *kind = &kinds[i];
		struct usrpci_nic_frame pieces[40];
		unsigned int tcp = make(kind, BYTES), from = 0;
		unsigned int n = scatter(tcp + 20 + TIMESTAMP + BYTES, pieces);
		struct virtio_net_hdr_v1 header = header_of(kind, tcp);
		static uint8_t out[1 << 16];
		struct cut cut;

		assert_true(cut_begin(&cut, &header, pieces, n, HEADROOM));
		while (cut.left > 0)
			from = check(kind, tcp, out, next(&cut, out), from);
		assert_int_equal(from, BYTES);
		assert_int_equal(cut_pieces(&cut), 0);
	}
}

static void what_was_cut_can_be_merged(void **state)
{
	static const struct kind kind = {false, 0, SEGMENT};
	static uint8_t out[2][USRPCI_NIC_BUFFER_SIZE];
	unsigned int tcp = make(&kind, 2 * SEGMENT);
	struct usrpci_nic_frame pieces[40], frames[2];
	struct virtio_net_hdr_v1 header = header_of(&kind, tcp);
	struct merge merge;
	struct cut cut;

	flat[tcp + 13] = 0x10;
	assert_true(cut_begin(&cut, &header, pieces,
			      scatter(tcp + 20 + TIMESTAMP + 2 * SEGMENT, pieces), HEADROOM));
	for (unsigned int i = 0; i < 2; i++)
		frames[i] = (struct usrpci_nic_frame){out[i], (uint16_t)next(&cut, out[i]), false};
	merge_begin(&merge, &frames[0]);
	assert_true(merge_add(&merge, &frames[1]));
	merge_end(&merge);
	assert_int_equal(merge.header.gso_size, SEGMENT);
	assert_memory_equal(out[0] + IP, flat + IP, 10); /* also the length of all */
}

/* Each of these changes says what cannot be. */
static void a_header_that_cannot_be_is_refused(void **state)
{
	static const struct kind kind = {false, 0, SEGMENT};
	static const struct {
		unsigned int at; /* in the frame; 0: in what follows */
		uint8_t value;
		struct virtio_net_hdr_v1 header;
	} wrong[] = {
		{IP, 0x4f, {0}},              /* longer than there is room before TCP's */
		{IP - 2, 0x86, {0}},          /* of IPv6 */
		{IP + 32, 0x40, {0}},         /* of TCP, too short */
		{0, 0, {.gso_size = 0xffff}}, /* without data */
		{0, 0, {.gso_size = 0xfffe}}, /* too long for IP */
		{0, 0, {.csum_start = 14}},   /* no IP before it */
		{0, 0, {.csum_start = 2030}}, /* beyond the first piece */
		{0, 0, {.gso_type = VIRTIO_NET_HDR_GSO_UDP}},
	};
	unsigned int tcp = make(&kind, BYTES), n;
	struct usrpci_nic_frame pieces[40];
	struct virtio_net_hdr_v1 header;
	struct cut cut;

	n = scatter(tcp + 20 + TIMESTAMP + BYTES, pieces);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint8_t *changed = wholes[0] + HEADROOM + wrong[i].at, before = *changed;

		header = header_of(&kind, tcp);
		if (wrong[i].at)
			*changed = wrong[i].value;
		if (wrong[i].header.gso_size)
			header.gso_size = wrong[i].header.gso_size == 0xffff ? 0 : 0xfffe;
		if (wrong[i].header.csum_start)
			header.csum_start = wrong[i].header.csum_start;
		if (wrong[i].header.gso_type)
			header.gso_type = wrong[i].header.gso_type;
		assert_false(cut_begin(&cut, &header, pieces, n, HEADROOM));
		assert_int_equal(cut_pieces(&cut), 0);
		*changed = before;
	}
	pieces[0].size = (uint16_t)(tcp + 20 + TIMESTAMP); /* nothing follows */
	header = header_of(&kind, tcp);
	assert_false(cut_begin(&cut, &header, pieces, 1, HEADROOM));
}

/* A frame of several pieces, of which the first has an odd number of bytes. */
static void a_checksum_that_was_left_out_is_filled_in(void **state)
{
	struct virtio_net_hdr_v1 header = {.csum_start = 34, .csum_offset = 6};
	struct usrpci_nic_frame pieces[3] = {
		{wholes[0], 101, true},
		{wholes[1], 50, true},
		{wholes[2], 33, false},
	};
	uint8_t whole[184];
	unsigned int done = 0;

	for (unsigned int i = 0; i < 3; done += pieces[i++].size)
		for (unsigned int k = 0; k < pieces[i].size; k++)
			whole[done + k] = wholes[i][k] = data_at(k + 31 * i);
	assert_true(cut_checksum(&header, pieces, 3));
	assert_int_equal(get(wholes[0] + 40, 2), (uint16_t)~checksum(0, whole + 34, 150));
	header.csum_offset = 66;
	assert_false(cut_checksum(&header, pieces, 3));
}

/* The field then says that there is no checksum, in UDP. */
static void a_checksum_is_never_0(void **state)
{
	struct virtio_net_hdr_v1 header = {.csum_start = 0, .csum_offset = 2};
	uint8_t bytes[4] = {0xff, 0xff, 0, 0};
	struct usrpci_nic_frame piece = {bytes, sizeof(bytes), false};

	assert_true(cut_checksum(&header, &piece, 1));
	assert_int_equal(get(bytes + 2, 2), 0xffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_segment_has_headers_of_its_own),
		cmocka_unit_test(what_was_cut_can_be_merged),
		cmocka_unit_test(a_header_that_cannot_be_is_refused),
		cmocka_unit_test(a_checksum_that_was_left_out_is_filled_in),
		cmocka_unit_test(a_checksum_is_never_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
