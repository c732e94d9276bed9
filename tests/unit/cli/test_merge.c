// SPDX-License-Identifier: BSD-2-Clause
/* Merging received TCP segments: what fits together, what does not, and what comes out. */

#include <linux/if_ether.h>
#include <string.h>

#include "cli/packet.h"
#include "pump/merge.h"
#include "fixture.h"

#define DATA 100 /* bytes of a segment */

/* Where what is changed stands in a frame of IPv4 whose TCP header has no options. */
enum { FLAGS_OF_IP = IP + 6, TTL = IP + 8, IP_CHECKSUM = IP + 10, TCP = IP + 20 };
enum { TCP_FLAGS = TCP + 13, WINDOW = TCP + 14, TCP_CHECKSUM = TCP + 16, PAYLOAD = TCP + 20 };

static uint8_t buffers[64][USRPCI_NIC_BUFFER_SIZE];

static void fill_checksums(uint8_t *data, bool is_ipv6, unsigned int size)
{
	unsigned int tcp = IP + (is_ipv6 ? 40 : 20), length = 20 + size;

	if (!is_ipv6) {
		put(data + IP_CHECKSUM, 2, 0);
		put(data + IP_CHECKSUM, 2, ~checksum(0, data + IP, 20));
	}
	put(data + tcp + 16, 2, 0);
	put(data + tcp + 16, 2, ~checksum(pseudo(data, is_ipv6, length), data + tcp, length));
}

static struct usrpci_nic_frame segment(unsigned int n, bool is_ipv6, uint32_t sequence,
				       unsigned int size)
{
	uint8_t *data = buffers[n];
	unsigned int tcp = IP + (is_ipv6 ? 40 : 20);

	memset(data, 0, sizeof(buffers[n]));
	memset(data, 0x55, 12);
	put(data + 12, 2, is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	data[IP] = is_ipv6 ? 0x60 : 0x45;
	if (is_ipv6) {
		put(data + IP + 4, 2, 20 + size);
		put(data + IP + 6, 2, 0x0640); /* TCP, 64 hops */
		memset(data + IP + 8, 0xfd, 32);
	} else {
		put(data + IP + 2, 2, 40 + size);
		put(data + IP + 4, 2, n); /* the identification */
		put(data + FLAGS_OF_IP, 2, 0x4000);
		put(data + TTL, 2, 0x4006);
		put(data + IP + 12, 4, 0x0a010001);
		put(data + IP + 16, 4, 0x0a010002);
	}
	put(data + tcp, 4, 0x1e611e61);
	put(data + tcp + 4, 4, sequence);
	put(data + tcp + 8, 4, 77);
	put(data + tcp + 12, 2, 0x5010);
	put(data + tcp + 14, 2, 500);
	memset(data + tcp + 20, (int)n + 1, size);
	fill_checksums(data, is_ipv6, size);
	return (struct usrpci_nic_frame){.data = data, .size = (uint16_t)(tcp + 20 + size)};
}

/* Puts the pieces behind each other, and checks that the sum is that of the whole segment. */
static void check_whole(struct merge *merge, bool is_ipv6, unsigned int size)
{
	static uint8_t whole[1 << 17];
	unsigned int tcp = IP + (is_ipv6 ? 40 : 20), bytes = 0;

	for (unsigned int i = 0; i < merge->count; i++) {
		assert_int_equal(merge->pieces[i].more, i + 1 < merge->count);
		memcpy(whole + bytes, merge->pieces[i].data, merge->pieces[i].size);
		bytes += merge->pieces[i].size;
	}
	assert_int_equal(bytes, tcp + 20 + size);
	assert_int_equal(get(whole + IP + (is_ipv6 ? 4 : 2), 2), 20 + size + (is_ipv6 ? 0 : 20));
	if (!is_ipv6)
		assert_int_equal(checksum(0, whole + IP, 20), 0xffff);
	assert_int_equal(get(whole + tcp + 16, 2), pseudo(whole, is_ipv6, 20 + size));
	assert_int_equal(merge->header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(merge->header.csum_start, tcp);
	assert_int_equal(merge->header.csum_offset, 16);
	assert_int_equal(merge->header.gso_size, DATA);
	assert_int_equal(merge->header.hdr_len, tcp + 20);
	for (unsigned int i = 0; i < size; i++)
		assert_int_equal(whole[tcp + 20 + i], i / DATA + 1);
}

static void segments_that_follow_each_other_are_merged(void **state)
{
	bool is_ipv6 = *(const bool *)*state;
	struct usrpci_nic_frame frame = segment(0, is_ipv6, UINT32_MAX - 150, DATA);
	unsigned int count = 1;
	struct merge merge;

	merge_begin(&merge, &frame);
	for (; count < USRPCI_NIC_PIECES_MAX; count++) {
		frame = segment(count, is_ipv6, UINT32_MAX - 150 + count * DATA, DATA);
		assert_true(merge_add(&merge, &frame));
	}
	frame = segment(count, is_ipv6, UINT32_MAX - 150 + count * DATA, DATA);
	assert_false(merge_add(&merge, &frame)); /* there is no more room */
	merge_end(&merge);
	assert_int_equal(merge.header.gso_type,
			 is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
	check_whole(&merge, is_ipv6, USRPCI_NIC_PIECES_MAX * DATA);
}

static void a_shorter_segment_is_the_last_one(void **state)
{
	struct usrpci_nic_frame frame = segment(0, false, 0, DATA);
	struct merge merge;

	merge_begin(&merge, &frame);
	frame = segment(1, false, DATA, 1);
	frame.size = 60; /* padded */
	assert_true(merge_add(&merge, &frame));
	frame = segment(2, false, DATA + 1, 1);
	assert_false(merge_add(&merge, &frame));
	merge_end(&merge);
	check_whole(&merge, false, DATA + 1);
}

static void a_pushed_segment_is_the_last_one(void **state)
{
	struct usrpci_nic_frame frame = segment(0, false, 0, DATA);
	struct merge merge;

	merge_begin(&merge, &frame);
	frame = segment(1, false, DATA, DATA);
	buffers[1][TCP_FLAGS] |= 0x08;
	fill_checksums(buffers[1], false, DATA);
	assert_true(merge_add(&merge, &frame));
	frame = segment(2, false, 2 * DATA, DATA);
	assert_false(merge_add(&merge, &frame));
	merge_end(&merge);
	assert_int_equal(buffers[0][TCP_FLAGS], 0x18);
	check_whole(&merge, false, 2 * DATA);
}

static void a_frame_without_another_stays_as_it_is(void **state)
{
	static const struct virtio_net_hdr_v1 none;
	struct usrpci_nic_frame frame = segment(0, false, 0, DATA);
	uint8_t before[sizeof(buffers[0])];
	struct merge merge;

	memcpy(before, buffers[0], sizeof(before));
	merge_begin(&merge, &frame);
	merge_end(&merge);
	assert_int_equal(merge.count, 1);
	assert_int_equal(merge.pieces[0].size, frame.size);
	assert_memory_equal(&merge.header, &none, sizeof(none));
	assert_memory_equal(buffers[0], before, sizeof(before));
}

/* Each of these changes makes the second segment another one's, or a wrong one. */
static void what_does_not_continue_a_frame_is_not_merged(void **state)
{
	static const struct {
		unsigned int at;
		uint8_t value;
		bool right; /* the checksums are made right again */
	} changes[] = {
		{0, 1, true},              /* to whom */
		{12, 0x81, true},          /* a VLAN */
		{IP, 0x46, true},          /* options of IP */
		{IP + 1, 3, true},         /* congestion */
		{IP + 3, 0xff, true},      /* a length beyond the frame */
		{IP + 3, 30, true},        /* a length that is too short */
		{FLAGS_OF_IP, 0x60, true}, /* a fragment */
		{FLAGS_OF_IP, 0, true},    /* its identification counts */
		{TTL, 1, true},
		{TTL + 1, 17, true},
		{IP + 12, 9, true},
		{IP_CHECKSUM, 0x12, false},
		{TCP, 1, true},
		{TCP + 7, 1, true},
		{TCP + 8, 1, true},
		{TCP + 12, 0x40, true},
		{TCP + 12, 0x60, true},
		{TCP + 12, 0xf0, true},
		{TCP_FLAGS, 0x11, true},
		{TCP_FLAGS, 0x02, true},
		{WINDOW, 9, true},
		{TCP_CHECKSUM, 0x12, false},
		{PAYLOAD + 50, 0xee, false},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct usrpci_nic_frame first = segment(0, false, 0, DATA);
		struct usrpci_nic_frame second = segment(1, false, DATA, DATA);
		struct merge merge;

		buffers[1][changes[i].at] = changes[i].value;
		if (changes[i].right)
			fill_checksums(buffers[1], false, DATA);
		merge_begin(&merge, &first);
		assert_false(merge_add(&merge, &second));
		merge_end(&merge);
		assert_int_equal(merge.count, 1);
		merge_begin(&merge, &second);
		merge_end(&merge);
		assert_int_equal(merge.count, 1);
	}
}

static void a_frame_that_is_cut_off_is_not_read_beyond_its_end(void **state)
{
	struct usrpci_nic_frame frame = segment(0, false, 0, DATA), next;
	uint8_t *end = buffers[0] + sizeof(buffers[0]);
	struct merge merge;

	for (uint16_t size = 0; size < frame.size; size++) {
		next = (struct usrpci_nic_frame){
			.data = memcpy(end - size, buffers[0], size),
			.size = size,
		};
		merge_begin(&merge, &next);
		assert_false(merge.open);
	}
}

int main(void)
{
	static bool ipv4 = false, ipv6 = true;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(segments_that_follow_each_other_are_merged, &ipv4),
		cmocka_unit_test_prestate(segments_that_follow_each_other_are_merged, &ipv6),
		cmocka_unit_test(a_shorter_segment_is_the_last_one),
		cmocka_unit_test(a_pushed_segment_is_the_last_one),
		cmocka_unit_test(a_frame_without_another_stays_as_it_is),
		cmocka_unit_test(what_does_not_continue_a_frame_is_not_merged),
		cmocka_unit_test(a_frame_that_is_cut_off_is_not_read_beyond_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
