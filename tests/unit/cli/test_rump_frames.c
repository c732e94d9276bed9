// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames between a TAP and NetBSD's driver, whose kernel is played: long segments reach a card that
 * cuts them whole, in buffers of NetBSD's and with what the driver needs to know, and any other
 * card as frames that fit. The TAP is a socket.
 */

#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <usrpci/rump.h>

#include "cli/packet.h"
#include "pump/netbsd_mbuf.h"
#include "pump/rump_frames.h"
#include "pump/tcp.h"
#include "rump/standin/kernel.h"
#include "fixture.h"

#define HEADER   sizeof(struct virtio_net_hdr_v1)
#define CLUSTER  2048
#define BYTES    30000 /* of data */
#define SEGMENT  1448
#define SENT_MAX 64

struct buffer {
	struct netbsd_mbuf shown;
	uint8_t bytes[CLUSTER];
};

static struct netbsd_mbuf *sent[SENT_MAX];
static unsigned int sent_count;
static int inside, locked, card, allocated;
static void (*end_of_interrupt)(void);

void rump_schedule(void)
{
	assert_int_equal(inside++, 0);
}

void rump_unschedule(void)
{
	assert_int_equal(--inside, 0);
}

void rumpns__kernel_lock(int count)
{
	locked += count;
}

void rumpns__kernel_unlock(int count, int *counted)
{
	(void)counted;
	locked -= count;
}

void *rumpns_ifunit(const char *name)
{
	return strcmp(name, "wm0") ? NULL : &card;
}

int rumpns_ifpromisc(void *interface, int how)
{
	assert_ptr_equal(interface, &card);
	assert_int_equal(how, 1);
	return 0;
}

struct netbsd_mbuf *rumpns_m_devget(const void *data, int size, int offset, void *interface,
				    void (*copy)(const void *from, void *to, size_t size))
{
	struct netbsd_mbuf *first = NULL, **last = &first;

	assert_ptr_equal(interface, &card);
	assert_int_equal(offset, 0);
	for (int done = 0; done < size; done += CLUSTER) {
		struct buffer *made = calloc(1, sizeof(*made));
		struct netbsd_mbuf *one = &made->shown;

		one->data = made->bytes;
		one->size = size - done < CLUSTER ? size - done : CLUSTER;
		if (!copy)
			memcpy(one->data, (const uint8_t *)data + done, (size_t)one->size);
		*last = one;
		last = &one->next;
		allocated++;
	}
	first->packet_size = size;
	return first;
}

int rumpns_ifq_enqueue(void *interface, struct netbsd_mbuf *frame)
{
	assert_ptr_equal(interface, &card);
	assert_int_equal(inside, 1);
	assert_int_equal(locked, 1);
	assert_true(sent_count < SENT_MAX);
	sent[sent_count++] = frame;
	return 0;
}

void rumpns_m_freem(struct netbsd_mbuf *frame)
{
	while (frame) {
		struct netbsd_mbuf *next = frame->next;

		free(frame);
		frame = next;
		allocated--;
	}
}

void usrpci_rump_after_interrupt(void (*call)(void))
{
	end_of_interrupt = call;
}

/* Opens the card once with these offloads, and returns the other end of its TAP. */
static int open_card(struct frames_offloads offloads)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(frames_open("wm0", pair[0], offloads), 0);
	sent_count = 0;
	return pair[1];
}

static uint8_t data_at(unsigned int n)
{
	return (uint8_t)(n * 7 + n / 256);
}

/* Writes a segment to the TAP, with the header that Linux writes. Returns the frame's bytes. */
static unsigned int write_segment(int wire, uint8_t *packet, bool is_ipv6)
{
	struct virtio_net_hdr_v1 *header = (struct virtio_net_hdr_v1 *)packet;
	unsigned int tcp = IP + (is_ipv6 ? 40 : 20), size = tcp + 20 + BYTES;
	uint8_t *frame = packet + HEADER;

	memset(packet, 0, HEADER + tcp + 20);
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->gso_type = is_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	header->gso_size = SEGMENT;
	header->hdr_len = (uint16_t)(tcp + 20);
	header->csum_start = (uint16_t)tcp;
	header->csum_offset = 16;
	put(frame + 12, 2, is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	if (is_ipv6) {
		put(frame + IP, 4, 0x60000000);
		put(frame + IP + 4, 4, (20 + BYTES) << 16 | 0x0640);
		memset(frame + IP + 8, 0xfd, 32);
	} else {
		put(frame + IP, 4, 0x45000000 | (40 + BYTES));
		put(frame + IP + 8, 4, 0x40061234);
		put(frame + IP + 12, 4, 0x0a010001);
		put(frame + IP + 16, 4, 0x0a010002);
	}
	put(frame + tcp + 4, 4, 1000);
	put(frame + tcp + 12, 4, 0x50100000 | 500);
	for (unsigned int i = 0; i < BYTES; i++)
		frame[tcp + 20 + i] = data_at(i);
	assert_int_equal(write(wire, packet, HEADER + size), HEADER + size);
	return size;
}

/* Copies a frame's buffers behind each other. Returns its bytes. */
static unsigned int flatten(const struct netbsd_mbuf *frame, uint8_t *to)
{
	unsigned int size = 0;

	for (; frame; size += (unsigned int)frame->size, frame = frame->next)
		memcpy(to + size, frame->data, (size_t)frame->size);
	return size;
}

static void free_sent(void)
{
	for (unsigned int i = 0; i < sent_count; i++)
		rumpns_m_freem(sent[i]);
	sent_count = 0;
}

/* The card adds to what IP's checksum is, and its driver writes the others. */
static void check_uncut(bool is_ipv6)
{
	static uint8_t packet[1 << 16], seen[1 << 16];
	const unsigned int header = is_ipv6 ? 40 : 20;
	int wire = open_card((struct frames_offloads){.tso4 = true, .tso6 = true});
	unsigned int size = write_segment(wire, packet, is_ipv6);

	assert_true(frames_send());
	assert_int_equal(sent_count, 1);
	assert_int_equal(sent[0]->offloads, is_ipv6 ? NETBSD_TSO6 : NETBSD_TSO4);
	assert_int_equal(sent[0]->checksum, header << 16 | 16);
	assert_int_equal(sent[0]->segment, SEGMENT);
	assert_int_equal(sent[0]->packet_size, size);
	assert_int_equal(flatten(sent[0], seen), size);
	if (!is_ipv6)
		put(packet + HEADER + IP + 10, 2, 0);
	assert_memory_equal(seen, packet + HEADER, size);
	free_sent();
	close(wire);
}

static void a_card_that_cuts_gets_a_long_segment_whole(void **state)
{
	(void)state;
	check_uncut(false);
	check_uncut(true);
}

/* All buffers that were taken are replaced before the next frame is read. */
static void the_next_long_segment_finds_new_buffers(void **state)
{
	static uint8_t packet[1 << 16];
	int wire = open_card((struct frames_offloads){.tso4 = true}), before = allocated;

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		write_segment(wire, packet, false);
		assert_true(frames_send());
		free_sent();
	}
	assert_false(frames_send());
	assert_int_equal(allocated, before);
	close(wire);
}

static void check_cut(bool is_ipv6)
{
	static uint8_t packet[1 << 16], seen[1 << 16];
	const unsigned int headers = IP + (is_ipv6 ? 40 : 20) + 20;
	const unsigned int frames = (BYTES + SEGMENT - 1) / SEGMENT;
	int wire = open_card((struct frames_offloads){.tso4 = is_ipv6, .tso6 = !is_ipv6});
	unsigned int done = 0;

	write_segment(wire, packet, is_ipv6);
	assert_true(frames_send());
	assert_int_equal(sent_count, frames);
	for (unsigned int i = 0; i < frames; i++) {
		unsigned int size = flatten(sent[i], seen);

		assert_true(size <= headers + SEGMENT);
		assert_int_equal(sent[i]->offloads, 0);
		assert_int_equal(get(seen + headers - 16, 4), 1000 + done);
		assert_memory_equal(seen + headers, packet + HEADER + headers + done,
				    size - headers);
		done += size - headers;
	}
	assert_int_equal(done, BYTES);
	free_sent();
	close(wire);
}

static void any_other_card_gets_it_cut(void **state)
{
	(void)state;
	check_cut(false);
	check_cut(true);
}

static void a_short_frame_is_sent_as_it_is(void **state)
{
	uint8_t packet[HEADER + 64] = {0}, seen[CLUSTER];
	int wire = open_card((struct frames_offloads){.tso4 = true});

	(void)state;
	memset(packet + HEADER, 0x77, 64);
	assert_int_equal(write(wire, packet, sizeof(packet)), sizeof(packet));
	assert_true(frames_send());
	assert_int_equal(sent_count, 1);
	assert_int_equal(flatten(sent[0], seen), 64);
	assert_memory_equal(seen, packet + HEADER, 64);
	free_sent();
	assert_false(frames_send());
	close(wire);
}

/* Frames of an interrupt go to the TAP when its handlers are done, and are freed. */
static void received_frames_reach_the_tap(void **state)
{
	int wire = open_card((struct frames_offloads){0}), before;
	uint8_t frame[64], seen[HEADER + 64];

	(void)state;
	end_of_interrupt();
	before = allocated;
	for (unsigned int i = 0; i < 3; i++) {
		memset(frame, (int)i, sizeof(frame));
		rumpns_if_percpuq_enqueue(NULL, rumpns_m_devget(frame, 64, 0, &card, NULL));
	}
	assert_int_equal(read(wire, seen, sizeof(seen)), -1);
	end_of_interrupt();
	for (unsigned int i = 0; i < 3; i++) {
		memset(frame, (int)i, sizeof(frame));
		assert_int_equal(read(wire, seen, sizeof(seen)), sizeof(seen));
		assert_memory_equal(seen + HEADER, frame, sizeof(frame));
	}
	assert_int_equal(allocated, before);
	close(wire);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_card_that_cuts_gets_a_long_segment_whole),
		cmocka_unit_test(the_next_long_segment_finds_new_buffers),
		cmocka_unit_test(any_other_card_gets_it_cut),
		cmocka_unit_test(a_short_frame_is_sent_as_it_is),
		cmocka_unit_test(received_frames_reach_the_tap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
