// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pump between a card and a TAP, on a card that is played: it always has frames to be received,
 * as one on a busy wire.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "commands/pump.h"
#include "fixture.h"

#define ANSWER_MS 10000

static uint8_t buffer[USRPCI_NIC_BUFFER_SIZE];
static const struct usrpci_nic_info card = {.queues = 1};
static volatile sig_atomic_t ended;

int usrpci_nic_open(struct usrpci_dev *dev, const struct usrpci_nic_options *options,
		    struct usrpci_nic **nic)
{
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
	return -1;
}

int usrpci_nic_wait(struct usrpci_nic *nic, unsigned int queue, int timeout_ms)
{
	return -ETIMEDOUT;
}

unsigned int usrpci_nic_receive(struct usrpci_nic *nic, unsigned int queue,
				struct usrpci_nic_frame *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		frames[i] = (struct usrpci_nic_frame){.data = buffer, .size = 60};
	return n;
}

unsigned int usrpci_nic_transmit(struct usrpci_nic *nic, unsigned int queue,
				 const struct usrpci_nic_frame *frames, unsigned int n)
{
	return n;
}

void *usrpci_nic_get(struct usrpci_nic *nic)
{
	return buffer;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_answered_on_a_busy_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
