// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pump between a card and a TAP, on a card that is played: it always has frames to be received,
 * as one on a busy wire.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <usrpci/irq.h>

#include "array.h"
#include "cli/packet.h"
#include "pump/pump.h"
#include "fixture.h"

#define ANSWER_MS 10000

static uint8_t buffers[128][USRPCI_NIC_BUFFER_SIZE];
static unsigned int buffer; /* the next one that is handed out */
static const struct usrpci_nic_info card = {.queues = 1, .frame_max = ETH_FRAME_LEN};
static volatile sig_atomic_t ended;
static int vectors;
static bool refused;    /* the card cannot be opened */
static int wanted = -1; /* the kernel's wish to have the card back; -1: it has no such */
static struct usrpci_nic_options asked;
static int interrupt = -1;      /* the card's; -1: it has none */
static unsigned int limit;      /* of frames that it has, where it has an interrupt */
static unsigned int taken_with; /* frames that were there when the interrupt was taken */
static unsigned int taken;
static struct usrpci_nic_frame sent[8];
static unsigned int sent_count;

struct usrpci_ctx *usrpci_dev_ctx(const struct usrpci_dev *dev)
{
	return NULL;
}

const char *usrpci_dev_name(const struct usrpci_dev *dev)
{
	return "played";
}

int usrpci_ctx_open_file(struct usrpci_ctx *ctx, const char *path)
{
	return -ENOENT;
}

int usrpci_irq_count(struct usrpci_dev *dev, enum usrpci_irq_type type)
{
	return type == USRPCI_IRQ_REQUEST ? wanted >= 0 : vectors;
}

int usrpci_irq_enable(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int count)
{
	return 0;
}

int usrpci_irq_fd(struct usrpci_dev *dev, enum usrpci_irq_type type, unsigned int vector)
{
	return wanted;
}

int usrpci_nic_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
		    struct usrpci_nic **nic)
{
	asked = *options;
	if (refused)
		return -ENOMEM;
	*nic = NULL;
	return 0;
}

void usrpci_nic_close(struct usrpci_nic *nic)
{
}

const struct usrpci_nic_info *usrpci_nic_info(const struct usrpci_nic *nic)
{
	return &card;
}

int usrpci_nic_start(struct usrpci_nic *nic)
{
	return 0;
}

int usrpci_nic_link(struct usrpci_nic *nic, struct usrpci_nic_link *link)
{
	memset(link, 0, sizeof(*link));
	return 0;
}

int usrpci_nic_irq_fd(struct usrpci_nic *nic, unsigned int queue)
{
	return interrupt;
}

int usrpci_nic_wait(struct usrpci_nic *nic, unsigned int queue, int timeout_ms)
{
	eventfd_t count;

	taken_with += __atomic_load_n(&limit, __ATOMIC_SEQ_CST);
	eventfd_read(interrupt, &count);
	__atomic_add_fetch(&taken, 1, __ATOMIC_SEQ_CST);
	return USRPCI_NIC_RECEIVE;
}

unsigned int usrpci_nic_receive(struct usrpci_nic *nic, unsigned int queue,
				struct usrpci_nic_frame *frames, unsigned int n)
{
	unsigned int left = __atomic_load_n(&limit, __ATOMIC_SEQ_CST);

	if (interrupt >= 0) {
		n = left < n ? left : n;
		__atomic_sub_fetch(&limit, n, __ATOMIC_SEQ_CST);
	}
	for (unsigned int i = 0; i < n; i++)
		frames[i] = (struct usrpci_nic_frame){.data = buffers[0], .size = 60};
	return n;
}

unsigned int usrpci_nic_transmit(struct usrpci_nic *nic, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n && sent_count < ARRAY_SIZE(sent); i++) {
		sent[sent_count] = frames[i];
		__atomic_add_fetch(&sent_count, 1, __ATOMIC_SEQ_CST);
	}
	return n;
}

unsigned int usrpci_nic_reclaim(struct usrpci_nic *nic, unsigned int queue)
{
	return 0;
}

size_t usrpci_nic_available(const struct usrpci_nic *nic)
{
	return 0;
}

void *usrpci_nic_get(struct usrpci_nic *nic)
{
	return buffers[buffer++ % ARRAY_SIZE(buffers)];
}

void usrpci_nic_put(struct usrpci_nic *nic, void *data)
{
}

static void *run(void *options)
{
	assert_int_equal(pump_run(NULL, options), 0);
	return NULL;
}

/* Returns whether a byte comes in time. */
static bool hears(int socket)
{
	struct pollfd poller = {.fd = socket, .events = POLLIN};
	char byte;

	return poll(&poller, 1, ANSWER_MS) == 1 && read(socket, &byte, 1) == 1;
}

static void a_question_is_answered_on_a_busy_wire(void **state)
{
	struct pump_options options = {.count = 1, .end = &ended};
	pthread_t thread;
	bool flows, answers;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	options.beat = pair[1];
	options.taps[0] = open("/dev/null", O_RDWR);
	assert_int_equal(pthread_create(&thread, NULL, run, &options), 0);
	flows = hears(pair[0]);
	answers = write(pair[0], "", 1) == 1 && hears(pair[0]);
	ended = 1;
	pthread_join(thread, NULL);
	assert_true(flows);
	assert_true(answers);
	close(options.taps[0]);
	close(pair[0]);
	close(pair[1]);
}

/* To enable an interrupt again takes longer than a frame. */
static void an_interrupt_is_taken_when_its_frames_are_moved(void **state)
{
	struct pump_options options = {.count = 1, .end = &ended};
	pthread_t thread;
	int pair[2];

	ended = 0;
	interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	options.beat = pair[1];
	assert_int_equal(pipe2(options.taps, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pthread_create(&thread, NULL, run, &options), 0);
	assert_true(hears(pair[0]));
	for (unsigned int round = 1; round <= 20; round++) {
		__atomic_store_n(&limit, 100, __ATOMIC_SEQ_CST);
		eventfd_write(interrupt, 1);
		while (__atomic_load_n(&taken, __ATOMIC_SEQ_CST) < round)
			usleep(100);
	}
	ended = 1;
	assert_int_equal(write(pair[0], "", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(taken_with, 0);
	close(options.taps[0]);
	close(options.taps[1]);
	close(pair[0]);
	close(pair[1]);
	close(interrupt);
}

/* Writes a frame of TCP with so many bytes of data, as a TAP that leaves the rest to the card. */
static void write_long_frame(int tap, unsigned int bytes)
{
	uint8_t frame[12 + 54 + 1500] __attribute__((aligned(8))) = {0};
	struct virtio_net_hdr_v1 *header = (void *)frame;
	uint8_t *ip = frame + sizeof(*header) + ETH_HLEN;

	*header = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 600,
		.csum_start = ETH_HLEN + 20,
		.csum_offset = 16,
	};
	put(ip - 2, 2, ETH_P_IP);
	put(ip, 4, 0x45000000 | (40 + bytes));
	put(ip + 8, 2, 0x4006);
	put(ip + 32, 2, 0x5010);
	assert_int_equal(write(tap, frame, 12 + 54 + bytes), 12 + 54 + bytes);
}

static void a_long_frame_is_cut_for_a_card_that_cannot(void **state)
{
	struct pump_options options = {.count = 1, .end = &ended};
	pthread_t thread;
	int pair[2], tap[2];

	ended = 0;
	interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, tap), 0);
	options.beat = pair[1];
	options.taps[0] = tap[1];
	write_long_frame(tap[0], 1500);
	assert_int_equal(pthread_create(&thread, NULL, run, &options), 0);
	assert_true(hears(pair[0]));
	while (__atomic_load_n(&sent_count, __ATOMIC_SEQ_CST) < 3)
		usleep(100);
	ended = 1;
	assert_int_equal(write(pair[0], "", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(sent_count, 3);
	for (unsigned int i = 0; i < 3; i++) {
		const uint8_t *ip = (uint8_t *)sent[i].data + ETH_HLEN;

		assert_int_equal(sent[i].size, 54 + (i < 2 ? 600 : 300));
		assert_int_equal(get(ip + 24, 4), i * 600); /* the sequence number */
		assert_int_equal(checksum(0, ip, 20), 0xffff);
		assert_false(sent[i].more);
	}
	for (unsigned int i = 0; i < 2; i++) {
		close(pair[i]);
		close(tap[i]);
	}
	close(interrupt);
}

/* As at an unplug under vfio, for which the kernel waits. */
static void a_card_that_the_kernel_wants_back_ends_it(void **state)
{
	struct pump_options options = {.beat = -1, .count = 1, .end = &ended};

	ended = 0;
	interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wanted = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(pipe2(options.taps, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pump_run(NULL, &options), -ESHUTDOWN);
	close(options.taps[0]);
	close(options.taps[1]);
	close(interrupt);
	close(wanted);
	wanted = -1;
}

/* The broker has 8 huge pages for a card, which buffers for 8 queues would not fit in. */
static void a_card_with_one_queue_gets_the_buffers_of_one(void **state)
{
	struct pump_options options = {.beat = -1, .count = 8, .end = &ended};

	refused = true;
	assert_int_equal(pump_run(NULL, &options), -ENOMEM);
	assert_int_equal(asked.queues, 1);
	assert_true(asked.spare_buffers * USRPCI_NIC_BUFFER_SIZE <= 4 << 20);
	vectors = 5;
	assert_int_equal(pump_run(NULL, &options), -ENOMEM);
	assert_int_equal(asked.queues, 4);
	refused = false;
	vectors = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_answered_on_a_busy_wire),
		cmocka_unit_test(an_interrupt_is_taken_when_its_frames_are_moved),
		cmocka_unit_test(a_long_frame_is_cut_for_a_card_that_cannot),
		cmocka_unit_test(a_card_that_the_kernel_wants_back_ends_it),
		cmocka_unit_test(a_card_with_one_queue_gets_the_buffers_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
