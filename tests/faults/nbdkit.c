// SPDX-License-Identifier: BSD-2-Clause
/*
 * Stands for nbdkit(1): says on its standard input, a socket, what it serves (doc/proto.md of the
 * project NetworkBlockDevice/nbd), and ends when its client does.
 */

#include <endian.h>
#include <stdint.h>
#include <unistd.h>

#define OPTION_GO  7
#define OPTION_END 28 /* bytes of the client's flags and its one option */

struct reply {
	uint64_t magic;
	uint32_t option, type, length;
} __attribute__((packed));

static struct {
	uint64_t magic, option_magic;
	uint16_t flags;
} __attribute__((packed)) greeting;

static struct {
	struct reply export_reply;
	uint16_t export_type;
	uint64_t size;
	uint16_t flags;
	struct reply blocks_reply;
	uint16_t blocks_type;
	uint32_t least, preferred, most;
	struct reply end;
} __attribute__((packed)) answer;

static struct reply reply(uint32_t type, uint32_t length)
{
	return (struct reply){htobe64(0x0003e889045565a9), htobe32(OPTION_GO), htobe32(type),
			      htobe32(length)};
}

static void send_all(const void *bytes, size_t size)
{
	if (write(STDIN_FILENO, bytes, size) != (ssize_t)size)
		_exit(1);
}

int main(void)
{
	char bytes[OPTION_END];
	ssize_t got;

	greeting.magic = htobe64(0x4e42444d41474943);        /* "NBDMAGIC" */
	greeting.option_magic = htobe64(0x49484156454f5054); /* "IHAVEOPT" */
	greeting.flags = htobe16(1);
	answer.export_reply = reply(3, 12);
	answer.size = htobe64(1 << 20);
	answer.blocks_reply = reply(3, 14);
	answer.blocks_type = htobe16(3);
	answer.least = answer.preferred = answer.most = htobe32(512);
	answer.end = reply(1, 0);
	send_all(&greeting, sizeof(greeting));
	if (read(STDIN_FILENO, bytes, sizeof(bytes)) > 0)
		send_all(&answer, sizeof(answer));
	while ((got = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
		;
	return got < 0;
}
