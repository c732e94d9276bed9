// SPDX-License-Identifier: BSD-2-Clause
/*
 * The qtest protocol, from the client's side: registers, memory blocks, intercepted interrupt
 * lines. Leaves out the virtual clock, which runs by itself here, and everything that needs QEMU's
 * qtest accelerator. Follows the comment "QTest Protocol" in QEMU's softmmu/qtest.c.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "numbers.h"
#include "qemu/qtest.h"

/* Room for the longest command, "writeq 0x... 0x...\n". */
#define COMMAND_SIZE 64

int qtest_init(struct qtest *qtest, int fd, unsigned int timeout_seconds)
{
	struct timeval timeout = {.tv_sec = timeout_seconds};

	*qtest = (struct qtest){.fd = fd};
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)))
		return -errno;
	return 0;
}

/* After a failure it is unknown which reply belongs to which command, so none is read any more. */
static int give_up(struct qtest *qtest, int error)
{
	qtest->error = error;
	return error;
}

static int socket_error(int error)
{
	switch (error) {
	case EAGAIN:
		return -ETIMEDOUT;
	case EPIPE:
	case ECONNRESET:
		return -ENODEV;
	default:
		return -error;
	}
}

static int send_command(struct qtest *qtest, const char *text, size_t length)
{
	ssize_t sent;

	while (length > 0) {
		sent = send(qtest->fd, text, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return give_up(qtest, socket_error(errno));
		text += sent;
		length -= (size_t)sent;
	}
	return 0;
}

/* Returns the number of bytes received; 0 if none are there and flags have MSG_DONTWAIT. */
static int receive(struct qtest *qtest, int flags)
{
	size_t room = sizeof(qtest->buffer) - qtest->used;
	ssize_t got;

	if (room == 0)
		return give_up(qtest, -EPROTO);
	do {
		got = recv(qtest->fd, qtest->buffer + qtest->used, room, flags);
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN && (flags & MSG_DONTWAIT))
		return 0;
	if (got <= 0)
		return give_up(qtest, got == 0 ? -ENODEV : socket_error(errno));
	qtest->used += (size_t)got;
	return (int)got;
}

/* "IRQ raise 21" */
static bool handle_irq(struct qtest *qtest, const char *line)
{
	bool raised = !strncmp(line, "IRQ raise ", 10);

	if (!raised && strncmp(line, "IRQ lower ", 10))
		return false;
	if (qtest->irq)
		qtest->irq(qtest->irq_data, (unsigned int)strtoul(line + 10, NULL, 10), raised);
	return true;
}

/*
 * Handles the reports at the front of the buffer. Returns the reply behind them, terminated, and
 * its length with the newline; NULL when no complete one is there.
 */
static char *next_reply(struct qtest *qtest, size_t *length)
{
	char *line = qtest->buffer, *end;

	while ((end = memchr(line, '\n', qtest->used - (size_t)(line - qtest->buffer)))) {
		*end = '\0';
		if (!handle_irq(qtest, line))
			break;
		line = end + 1;
	}
	qtest->used -= (size_t)(line - qtest->buffer);
	memmove(qtest->buffer, line, qtest->used);
	if (!end)
		return NULL;
	*length = (size_t)(end - line) + 1;
	return qtest->buffer;
}

/* Reports behind the reply are handled now, since poll(2) would not show that they are here. */
static void drop_reply(struct qtest *qtest, size_t length)
{
	qtest->used -= length;
	memmove(qtest->buffer, qtest->buffer + length, qtest->used);
	if (qtest->used > 0 && next_reply(qtest, &length))
		give_up(qtest, -EPROTO);
}

/* Sends a command; points at what follows "OK" in the reply, valid until drop_reply(). */
static int converse(struct qtest *qtest, const char *command, size_t size, char **reply,
		    size_t *length)
{
	int error = qtest->error ?: send_command(qtest, command, size);

	while (!error) {
		*reply = next_reply(qtest, length);
		if (*reply)
			break;
		error = receive(qtest, 0);
		error = error < 0 ? error : 0;
	}
	if (error)
		return error;
	if (strncmp(*reply, "OK", 2))
		return give_up(qtest, -EPROTO);
	*reply += 2;
	return 0;
}

static char width_letter(unsigned int width)
{
	return width == 1 ? 'b' : width == 2 ? 'w' : width == 4 ? 'l' : 'q';
}

int qtest_read(struct qtest *qtest, enum qtest_space space, uint64_t address, unsigned int width,
	       uint64_t *value)
{
	char command[COMMAND_SIZE], *reply, *end;
	size_t length;
	int size, error;

	size = snprintf(command, sizeof(command), "%s%c 0x%" PRIx64 "\n",
			space == QTEST_IO ? "in" : "read", width_letter(width), address);
	error = converse(qtest, command, (size_t)size, &reply, &length);
	if (error)
		return error;
	*value = strtoull(reply, &end, 16);
	if (end == reply)
		return give_up(qtest, -EPROTO);
	drop_reply(qtest, length);
	return 0;
}

int qtest_write(struct qtest *qtest, enum qtest_space space, uint64_t address, unsigned int width,
		uint64_t value)
{
	char command[COMMAND_SIZE], *reply;
	size_t length;
	int size, error;

	size = snprintf(command, sizeof(command), "%s%c 0x%" PRIx64 " 0x%" PRIx64 "\n",
			space == QTEST_IO ? "out" : "write", width_letter(width), address, value);
	error = converse(qtest, command, (size_t)size, &reply, &length);
	if (!error)
		drop_reply(qtest, length);
	return error;
}

/* " 0x8680c029": two digits a byte. */
static int parse_block(const char *text, uint8_t *bytes, size_t size)
{
	int high, low;

	if (strlen(text) != 3 + 2 * size)
		return -EPROTO;
	for (text += 3; size > 0; text += 2, size--) {
		high = hex_digit(text[0]);
		low = hex_digit(text[1]);
		if (high < 0 || low < 0)
			return -EPROTO;
		*bytes++ = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int qtest_read_block(struct qtest *qtest, uint64_t address, void *bytes, size_t size)
{
	char command[COMMAND_SIZE], *reply;
	size_t length;
	int used, error;

	used = snprintf(command, sizeof(command), "read 0x%" PRIx64 " 0x%zx\n", address, size);
	error = converse(qtest, command, (size_t)used, &reply, &length);
	if (error)
		return error;
	error = parse_block(reply, bytes, size);
	if (error)
		return give_up(qtest, error);
	drop_reply(qtest, length);
	return 0;
}

int qtest_intercept_ioapic(struct qtest *qtest)
{
	static const char command[] = "irq_intercept_in ioapic\n";
	size_t length;
	char *reply;
	int error = converse(qtest, command, sizeof(command) - 1, &reply, &length);

	if (!error)
		drop_reply(qtest, length);
	return error;
}

int qtest_dispatch(struct qtest *qtest)
{
	size_t length;
	int got = qtest->error;

	while (!got && (got = receive(qtest, MSG_DONTWAIT)) > 0) {
		if (next_reply(qtest, &length))
			return give_up(qtest, -EPROTO);
		got = 0;
	}
	return got;
}
