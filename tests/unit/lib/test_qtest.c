// SPDX-License-Identifier: BSD-2-Clause
/*
 * The qtest client, talking to a server that says what the test wants it to say.
 */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu/qtest.h"

struct peers {
	struct qtest qtest;
	int server;
	uint32_t lines; /* as reported */
	unsigned int reports;
};

static void record_line(void *data, unsigned int line, bool raised)
{
	struct peers *peers = data;

	peers->reports++;
	if (raised)
		peers->lines |= 1U << line;
	else
		peers->lines &= ~(1U << line);
}

static int setup(void **state)
{
	static struct peers peers;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	peers = (struct peers){.server = ends[1]};
	assert_int_equal(qtest_init(&peers.qtest, ends[0], 1), 0);
	peers.qtest.irq = record_line;
	peers.qtest.irq_data = &peers;
	*state = &peers;
	return 0;
}

static int teardown(void **state)
{
	struct peers *peers = *state;

	close(peers->qtest.fd);
	close(peers->server);
	return 0;
}

static void say(const struct peers *peers, const char *text)
{
	assert_int_equal(send(peers->server, text, strlen(text), 0), strlen(text));
}

static void assert_asked(const struct peers *peers, const char *expected)
{
	char text[256] = "";

	assert_true(recv(peers->server, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(text, expected);
}

static void accesses_have_the_width_that_was_asked(void **state)
{
	struct peers *peers = *state;
	struct qtest *q = &peers->qtest;
	uint64_t value;

	say(peers, "OK 0x00000000000000ed\n");
	assert_int_equal(qtest_read(q, QTEST_MEMORY, 0x80000000, 1, &value), 0);
	assert_true(value == 0xed);
	say(peers, "OK 0x0001\n");
	assert_int_equal(qtest_read(q, QTEST_IO, 0xcfc, 2, &value), 0);
	assert_true(value == 1);
	say(peers, "OK\n");
	assert_int_equal(qtest_write(q, QTEST_IO, 0xcf8, 4, 0x80000000), 0);
	say(peers, "OK\n");
	assert_int_equal(qtest_write(q, QTEST_MEMORY, 0x10, 8, UINT64_MAX), 0);
	assert_asked(peers, "readb 0x80000000\ninw 0xcfc\noutl 0xcf8 0x80000000\n"
			    "writeq 0x10 0xffffffffffffffff\n");
}

static void reports_of_lines_come_between_any_two_lines(void **state)
{
	struct peers *peers = *state;
	uint64_t value;

	say(peers, "IRQ raise 21\nIRQ raise 3\nOK 0x7\nIRQ lower 21\nIRQ raise ");
	assert_int_equal(qtest_read(&peers->qtest, QTEST_MEMORY, 0, 4, &value), 0);
	assert_true(value == 7);
	assert_int_equal(peers->lines, 1 << 3);
	assert_int_equal(peers->reports, 3);
	say(peers, "4\nOK 0x8\n");
	assert_int_equal(qtest_read(&peers->qtest, QTEST_MEMORY, 0, 4, &value), 0);
	assert_true(value == 8);
	assert_int_equal(peers->lines, 1 << 3 | 1 << 4);
}

static void dispatch_does_not_wait_and_keeps_half_a_line(void **state)
{
	struct peers *peers = *state;

	assert_int_equal(qtest_dispatch(&peers->qtest), 0);
	say(peers, "IRQ rai");
	assert_int_equal(qtest_dispatch(&peers->qtest), 0);
	assert_int_equal(peers->reports, 0);
	say(peers, "se 5\nIRQ lower 5\nIRQ raise 6\n");
	assert_int_equal(qtest_dispatch(&peers->qtest), 0);
	assert_int_equal(peers->reports, 3);
	assert_int_equal(peers->lines, 1 << 6);
}

static void blocks_arrive_byte_by_byte(void **state)
{
	struct peers *peers = *state;
	uint8_t bytes[4];

	say(peers, "OK 0x00a5ff7e\n");
	assert_int_equal(qtest_read_block(&peers->qtest, 0x1000, bytes, 4), 0);
	assert_memory_equal(bytes, "\x00\xa5\xff\x7e", 4);
	assert_asked(peers, "read 0x1000 0x4\n");
}

static void *speak_slowly(void *data)
{
	const struct peers *peers = data;
	static const char text[] = "OK 0x1234\n";

	for (const char *c = text; *c; c++) {
		usleep(1000);
		send(peers->server, c, 1, 0);
	}
	return NULL;
}

static void a_reply_in_pieces_is_put_together(void **state)
{
	struct peers *peers = *state;
	pthread_t speaker;
	uint64_t value;

	assert_int_equal(pthread_create(&speaker, NULL, speak_slowly, peers), 0);
	assert_int_equal(qtest_read(&peers->qtest, QTEST_MEMORY, 0, 4, &value), 0);
	assert_true(value == 0x1234);
	pthread_join(speaker, NULL);
}

static void silence_ends_in_a_timeout(void **state)
{
	struct peers *peers = *state;
	uint64_t value;

	assert_int_equal(qtest_read(&peers->qtest, QTEST_MEMORY, 0, 4, &value), -ETIMEDOUT);
	/* A reply that comes late would be taken for the next one's. */
	say(peers, "OK 0x1\n");
	assert_int_equal(qtest_read(&peers->qtest, QTEST_MEMORY, 4, 4, &value), -ETIMEDOUT);
}

static void a_server_that_is_gone_is_a_device_that_is_gone(void **state)
{
	struct peers *peers = *state;
	uint64_t value;

	say(peers, "OK 0x1");
	shutdown(peers->server, SHUT_RDWR);
	assert_int_equal(qtest_read(&peers->qtest, QTEST_MEMORY, 0, 4, &value), -ENODEV);
	assert_int_equal(qtest_write(&peers->qtest, QTEST_MEMORY, 0, 4, 1), -ENODEV);
	assert_int_equal(qtest_dispatch(&peers->qtest), -ENODEV);
}

static void refuse(struct peers *peers, const char *reply)
{
	uint64_t value;

	say(peers, reply);
	assert_int_equal(qtest_read(&peers->qtest, QTEST_MEMORY, 0, 4, &value), -EPROTO);
}

static void a_refused_command_is_an_error(void **state)
{
	refuse(*state, "FAIL Unknown command 'readl'\n");
}

static void a_reply_without_a_number_is_an_error(void **state)
{
	refuse(*state, "OK\n");
}

static void a_line_without_an_end_is_an_error(void **state)
{
	struct peers *peers = *state;
	char text[sizeof(peers->qtest.buffer) + 1];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refuse(peers, text);
}

static void a_block_of_the_wrong_size_or_digits_is_an_error(void **state)
{
	struct peers *peers = *state;
	uint8_t bytes[4];

	say(peers, "OK 0x0011223g\n");
	assert_int_equal(qtest_read_block(&peers->qtest, 0, bytes, 4), -EPROTO);
}

static void a_reply_that_nobody_asked_for_is_an_error(void **state)
{
	struct peers *peers = *state;

	say(peers, "OK 0x1\n");
	assert_int_equal(qtest_dispatch(&peers->qtest), -EPROTO);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(accesses_have_the_width_that_was_asked),
		CASE(reports_of_lines_come_between_any_two_lines),
		CASE(dispatch_does_not_wait_and_keeps_half_a_line),
		CASE(blocks_arrive_byte_by_byte),
		CASE(a_reply_in_pieces_is_put_together),
		CASE(silence_ends_in_a_timeout),
		CASE(a_server_that_is_gone_is_a_device_that_is_gone),
		CASE(a_refused_command_is_an_error),
		CASE(a_reply_without_a_number_is_an_error),
		CASE(a_line_without_an_end_is_an_error),
		CASE(a_block_of_the_wrong_size_or_digits_is_an_error),
		CASE(a_reply_that_nobody_asked_for_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
