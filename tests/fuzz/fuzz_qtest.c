// SPDX-License-Identifier: BSD-2-Clause
/*
 * The qtest client against a QEMU whose answers are the input, in pieces of any size. Every call
 * comes back, what it read is whole, lines are reported as they were said, and nothing is believed
 * after the first answer that made no sense.
 */

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "qemu/qtest.h"

#define SOCKET 77

static struct input input;
static size_t asked; /* bytes of the block that is read */
static unsigned int reports;

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	return 0;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
	static const int errors[] = {EINTR, EPIPE, EAGAIN, ECONNRESET};
	uint32_t how = take(&input, 1);

	HOLDS(fd == SOCKET && size > 0 && flags & MSG_NOSIGNAL);
	if (how >= 252) {
		errno = errors[how - 252];
		return -1;
	}
	return how >= 240 ? 1 : (ssize_t)size;
}

static size_t say_block(char *text, size_t room)
{
	size_t used = (size_t)snprintf(text, room, "OK 0x");

	for (size_t i = 0; i < asked && used + 3 < room; i++)
		used += (size_t)snprintf(text + used, room - used, "%02x", take(&input, 1));
	text[used++] = '\n';
	return used;
}

static size_t say(uint32_t how, char *text, size_t room)
{
	static const char *const lines[] = {"OK\n", "OK 0x", "FAIL Unknown\n", "\n", "IRQ raise "};

	if (how % 8 == 0)
		return say_block(text, room);
	if (how % 8 < 6)
		return (size_t)snprintf(text, room, "%s", lines[how % 8 - 1]);
	return (size_t)snprintf(text, room, "IRQ %s %u\n", how & 16 ? "raise" : "lower",
				take(&input, 1 + how % 4));
}

static size_t say_anything(uint32_t how, char *text, size_t room)
{
	size_t length = how % 32;

	if (length > room)
		length = room;
	if (length > input.size)
		length = input.size;
	memcpy(text, input.bytes, length);
	take(&input, 0);
	input.bytes += length;
	input.size -= length;
	return length;
}

ssize_t recv(int fd, void *buffer, size_t room, int flags)
{
	char text[4096];
	uint32_t how = take(&input, 1);
	size_t length;

	HOLDS(fd == SOCKET && room > 0);
	if (how >= 250) {
		errno = how == 255 ? EINTR : how == 254 ? ECONNRESET : EAGAIN;
		return -1;
	}
	if (input.size == 0)
		return 0;
	length = how & 0x80 ? say_anything(how, text, sizeof(text)) : say(how, text, sizeof(text));
	if (length > room)
		length = room;
	memcpy(buffer, text, length);
	return (ssize_t)length;
}

static void see_line(void *data, unsigned int line, bool raised)
{
	HOLDS(data == &input);
	reports++;
}

static int read_block(struct qtest *qtest)
{
	uint8_t block[QTEST_BLOCK];

	asked = take(&input, 1) % 3 ? take(&input, 1) : QTEST_BLOCK;
	return qtest_read_block(qtest, 0xe0000000, block, asked);
}

static int call(struct qtest *qtest)
{
	uint32_t how = take(&input, 1);
	enum qtest_space space = how & 0x80 ? QTEST_IO : QTEST_MEMORY;
	unsigned int width = 1u << (how >> 4) % (space == QTEST_IO ? 3 : 4);
	uint64_t value;

	asked = width;
	switch (how % 5) {
	case 0:
		return qtest_read(qtest, space, 0xfee00000, width, &value);
	case 1:
		return qtest_write(qtest, space, UINT64_MAX, width, UINT64_MAX);
	case 2:
		return read_block(qtest);
	case 3:
		return qtest_intercept_ioapic(qtest);
	default:
		return qtest_dispatch(qtest);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct qtest qtest;
	int error = 0, later;

	input = (struct input){bytes, size};
	HOLDS(qtest_init(&qtest, SOCKET, 1) == 0);
	qtest.irq = see_line;
	qtest.irq_data = &input;
	while (input.size > 0) {
		later = call(&qtest);
		HOLDS(later <= 0 && qtest.used <= sizeof(qtest.buffer));
		HOLDS(!error || later == error);
		HOLDS(!later || qtest.error == later);
		error = later;
	}
	return 0;
}
