// SPDX-License-Identifier: BSD-2-Clause
/*
 * The client's side of the "fixed newstyle" negotiation (doc/proto.md of the project
 * NetworkBlockDevice/nbd), for one export without a name, with simple replies and without
 * encryption, as the kernel's client needs it. It reads no byte beyond the end of the negotiation,
 * because the kernel reads the rest.
 *
 * The server has no privileges and can be under the control of a hostile disk, so everything that
 * it sends is checked.
 */

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "serve/serve.h"

#define MAGIC        0x4e42444d41474943 /* "NBDMAGIC" */
#define OPTION_MAGIC 0x49484156454f5054 /* "IHAVEOPT" */
#define REPLY_MAGIC  0x0003e889045565a9

#define FIXED_NEWSTYLE 1
#define OPTION_GO      7
#define REPLY_ACK      1
#define REPLY_INFO     3
#define INFO_EXPORT    0
#define INFO_BLOCKS    3
#define REPLIES_MAX    16
#define DATA_MAX       1024
#define WAIT_MS        10000

struct greeting {
	uint64_t magic, option_magic;
	uint16_t flags;
} __attribute__((packed));

struct option {
	uint32_t client_flags;
	uint64_t magic;
	uint32_t option, length;
	uint32_t name_length;
	uint16_t infos, info;
} __attribute__((packed));

struct reply {
	uint64_t magic;
	uint32_t option, type, length;
} __attribute__((packed));

/* The data of REPLY_INFO. */
union info {
	uint8_t bytes[DATA_MAX];
	uint16_t type;
	struct {
		uint16_t type;
		uint64_t size;
		uint16_t flags;
	} __attribute__((packed)) export;
	struct {
		uint16_t type;
		uint32_t least, preferred, most;
	} __attribute__((packed)) blocks;
};

static int receive(int socket, void *data, size_t size, int timeout_ms)
{
	struct pollfd poller = {.fd = socket, .events = POLLIN};
	uint8_t *at = data;

	while (size > 0) {
		ssize_t got;

		if (poll(&poller, 1, timeout_ms) <= 0)
			return -ETIMEDOUT;
		got = recv(socket, at, size, MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
			return got ? -errno : -EPIPE;
		at += got > 0 ? got : 0;
		size -= got > 0 ? (size_t)got : 0;
	}
	return 0;
}

/* The server may take long to start, but the user can end the wait. */
static int await_greeting(int socket, int signals)
{
	struct pollfd pollers[] = {
		{.fd = socket, .events = POLLIN},
		{.fd = signals, .events = POLLIN},
	};

	while (poll(pollers, 2, -1) < 0)
		;
	return pollers[1].revents ? -EINTR : 0;
}

static int greet(int socket)
{
	struct greeting greeting;
	int error = receive(socket, &greeting, sizeof(greeting), WAIT_MS);

	if (error)
		return error;
	return be64toh(greeting.magic) == MAGIC && be64toh(greeting.option_magic) == OPTION_MAGIC &&
			       be16toh(greeting.flags) & FIXED_NEWSTYLE
		       ? 0
		       : -EPROTO;
}

static int ask(int socket)
{
	const struct option option = {
		.client_flags = htobe32(FIXED_NEWSTYLE),
		.magic = htobe64(OPTION_MAGIC),
		.option = htobe32(OPTION_GO),
		.length = htobe32(8),
		.infos = htobe16(1),
		.info = htobe16(INFO_BLOCKS),
	};

	return send(socket, &option, sizeof(option), MSG_NOSIGNAL) == sizeof(option) ? 0 : -EPIPE;
}

static void take_info(const union info *info, size_t length, struct nbd_export *export)
{
	if (be16toh(info->type) == INFO_EXPORT && length >= sizeof(info->export)) {
		export->size = be64toh(info->export.size);
		export->flags = be16toh(info->export.flags);
	} else if (be16toh(info->type) == INFO_BLOCKS && length >= sizeof(info->blocks)) {
		export->block_size = be32toh(info->blocks.least);
	}
}

/* Returns 1 for the last reply. */
static int take_reply(int socket, struct nbd_export *export)
{
	union info info = {0};
	struct reply reply;
	uint32_t length;
	int error = receive(socket, &reply, sizeof(reply), WAIT_MS);

	if (error)
		return error;
	length = be32toh(reply.length);
	if (be64toh(reply.magic) != REPLY_MAGIC || be32toh(reply.option) != OPTION_GO ||
	    length > sizeof(info))
		return -EPROTO;
	error = receive(socket, &info, length, WAIT_MS);
	if (error)
		return error;
	if (be32toh(reply.type) == REPLY_INFO)
		take_info(&info, length, export);
	else if (be32toh(reply.type) != REPLY_ACK)
		return -EPROTO;
	return be32toh(reply.type) == REPLY_ACK;
}

static bool is_valid(const struct nbd_export *export)
{
	uint32_t block = export->block_size;

	return block >= 512 && !(block & (block - 1)) && export->size > 0 &&
	       export->size <= INT64_MAX && export->size % block == 0;
}

int nbd_handshake(int socket, int signals, struct nbd_export *export)
{
	int got = await_greeting(socket, signals) ?: greet(socket) ?: ask(socket);

	*export = (struct nbd_export){.block_size = 512};
	for (int i = 0; !got && i < REPLIES_MAX; i++)
		got = take_reply(socket, export);
	if (got < 0)
		return got;
	return got == 1 && is_valid(export) ? 0 : -EPROTO;
}
