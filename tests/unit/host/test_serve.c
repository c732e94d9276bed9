// SPDX-License-Identifier: BSD-2-Clause
/*
 * The negotiation with a server of network blocks that says the right thing, or anything else.
 */

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/serve.h"
#include "fixture.h"

#define ACK  1
#define INFO 3

/* What a server has to say. */
struct script {
	uint8_t bytes[4096];
	size_t length;
};

static void say(struct script *script, uint64_t value, unsigned int bytes)
{
	for (unsigned int i = bytes; i > 0; i--)
		script->bytes[script->length++] = (uint8_t)(value >> (i - 1) * 8);
}

static void say_greeting(struct script *script, uint64_t magic, uint16_t flags)
{
	say(script, magic, 8);
	say(script, 0x49484156454f5054, 8);
	say(script, flags, 2);
}

static void say_reply(struct script *script, uint32_t type, uint32_t length)
{
	say(script, 0x0003e889045565a9, 8);
	say(script, 7, 4);
	say(script, type, 4);
	say(script, length, 4);
}

static void say_export(struct script *script, uint64_t size)
{
	say_reply(script, INFO, 12);
	say(script, 0, 2);
	say(script, size, 8);
	say(script, 0x2d, 2);
}

static void say_blocks(struct script *script, uint32_t least)
{
	say_reply(script, INFO, 14);
	say(script, 3, 2);
	say(script, least, 4);
	say(script, 4096, 4);
	say(script, UINT32_MAX, 4);
}

static struct script begin(void)
{
	struct script script = {.length = 0};

	say_greeting(&script, 0x4e42444d41474943, 1);
	return script;
}

/* Negotiates with a server that says all of it at once and ends. Returns also what is left. */
static int negotiate(const struct script *script, struct nbd_export *export, size_t *left)
{
	int pair[2], quiet = eventfd(0, EFD_CLOEXEC), error;
	uint8_t rest[4096];
	ssize_t got;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pair[1], script->bytes, script->length), script->length);
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	error = nbd_handshake(pair[0], quiet, export);
	got = recv(pair[0], rest, sizeof(rest), MSG_DONTWAIT);
	*left = got > 0 ? (size_t)got : 0;
	close(pair[0]);
	close(pair[1]);
	close(quiet);
	return error;
}

static void expect(const struct script *script, int error)
{
	struct nbd_export export;
	size_t left;

	assert_int_equal(negotiate(script, &export, &left), error);
}

static void what_the_server_has_is_known_and_no_byte_more_is_read(void **state)
{
	struct script script = begin();
	struct nbd_export export;
	size_t left;

	say_export(&script, 1 << 20);
	say_blocks(&script, 4096);
	say_reply(&script, ACK, 0);
	say(&script, 0x67446698, 4);
	assert_int_equal(negotiate(&script, &export, &left), 0);
	assert_int_equal(left, 4);
	assert_int_equal(export.size, 1 << 20);
	assert_int_equal(export.block_size, 4096);
	assert_int_equal(export.flags, 0x2d);
}

static void blocks_have_512_bytes_unless_it_says_otherwise(void **state)
{
	struct script script = begin();
	struct nbd_export export;
	size_t left;

	say_export(&script, 1024);
	say_reply(&script, ACK, 0);
	assert_int_equal(negotiate(&script, &export, &left), 0);
	assert_int_equal(export.block_size, 512);
}

static void a_server_that_ends_is_told_from_one_that_lies(void **state)
{
	struct script script = {.length = 0};

	expect(&script, -EPIPE);
	script = begin();
	expect(&script, -EPIPE);
	say_export(&script, 1024);
	expect(&script, -EPIPE);
	script = (struct script){.length = 0};
	say_greeting(&script, 1, 1);
	expect(&script, -EPROTO);
	script = (struct script){.length = 0};
	say_greeting(&script, 0x4e42444d41474943, 0);
	expect(&script, -EPROTO);
}

static void sizes_that_contradict_each_other_are_refused(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t block;
	} wrong[] = {{0, 512},    {1000, 512},  {UINT64_MAX & ~511ull, 512},
		     {4096, 256}, {4096, 1536}, {4096, 0}};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct script script = begin();

		say_export(&script, wrong[i].size);
		say_blocks(&script, wrong[i].block);
		say_reply(&script, ACK, 0);
		expect(&script, -EPROTO);
	}
}

static void replies_that_never_end_or_are_too_long_are_refused(void **state)
{
	struct script script = begin();

	for (int i = 0; i < 40; i++)
		say_export(&script, 1024);
	expect(&script, -EPROTO);
	script = begin();
	say_reply(&script, INFO, 1 << 20);
	expect(&script, -EPROTO);
	script = begin();
	say_reply(&script, 0x80000003, 0);
	expect(&script, -EPROTO);
}

static void a_signal_ends_the_wait(void **state)
{
	struct nbd_export export;
	int pair[2], signals = eventfd(1, EFD_CLOEXEC);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(nbd_handshake(pair[0], signals, &export), -EINTR);
	close(pair[0]);
	close(pair[1]);
	close(signals);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_server_has_is_known_and_no_byte_more_is_read),
		cmocka_unit_test(blocks_have_512_bytes_unless_it_says_otherwise),
		cmocka_unit_test(a_server_that_ends_is_told_from_one_that_lies),
		cmocka_unit_test(sizes_that_contradict_each_other_are_refused),
		cmocka_unit_test(replies_that_never_end_or_are_too_long_are_refused),
		cmocka_unit_test(a_signal_ends_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
