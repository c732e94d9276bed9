// SPDX-License-Identifier: BSD-2-Clause
/*
 * A program that devices are lent to and that changes the file of its DMA memory, which it has for
 * reading and writing, behind the broker's back. The broker must live, and must not lend what it
 * cannot vouch for any more.
 *
 * usage: lend_file cut|exchange|grow|punch
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker.h"

#define PAGE_SIZE (UINT64_C(2) << 20)

static int ask(int socket, enum broker_op op, uint64_t offset, struct broker_reply *reply, int *fd)
{
	struct broker_request request = {
		.magic = BROKER_MAGIC,
		.version = BROKER_VERSION,
		.op = (uint16_t)op,
		.page_size = PAGE_SIZE,
		.offset = offset,
		.node = -1,
	};
	int error = broker_send(socket, &request, sizeof(request), -1);

	if (!error)
		error = broker_receive(socket, reply, sizeof(*reply), fd);
	return error ? error : reply->error;
}

static int hello(void)
{
	const char *where = getenv(BROKER_ENV);
	struct broker_reply reply;
	int fd = -1;

	return where && !ask(atoi(where), BROKER_HELLO, 0, &reply, &fd) ? fd : -1;
}

/* The physical page that is free now may be the one that the broker is given next, and refused. */
static int cut(int socket)
{
	struct broker_reply first, again;
	int file, same;

	if (ask(socket, BROKER_PAGE, 0, &first, &file) || ftruncate(file, 0) ||
	    ask(socket, BROKER_FREE, first.offset, &again, &same))
		return 1;
	if (!ask(socket, BROKER_PAGE, 0, &again, &same) && again.offset == first.offset) {
		printf("the page that was cut off was lent again\n");
		return 1;
	}
	printf("the broker lives: %s\n", again.error ? strerror(-again.error) : "another page");
	return 0;
}

/* Another place of the file takes the page that was punched out, so that its own gets another. */
static int exchange(int socket)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	struct broker_reply first, again;
	int file, same;

	if (ask(socket, BROKER_PAGE, 0, &first, &file) ||
	    fallocate(file, punch, (off_t)first.offset, PAGE_SIZE) ||
	    fallocate(file, 0, (off_t)(first.offset + 64 * PAGE_SIZE), PAGE_SIZE) ||
	    fallocate(file, 0, (off_t)first.offset, PAGE_SIZE) ||
	    ask(socket, BROKER_FREE, first.offset, &again, &same))
		return 1;
	if (!ask(socket, BROKER_PAGE, 0, &again, &same) && again.offset == first.offset) {
		printf("the page that was exchanged was lent with the address of the old one\n");
		return 1;
	}
	printf("the exchange is noticed\n");
	return 0;
}

/* What the file itself can be made to take counts too. */
static int grow(int socket)
{
	struct broker_reply reply;
	int file, pages = 0;

	if (ask(socket, BROKER_PAGE, 0, &reply, &file))
		return 1;
	while (!fallocate(file, 0, (off_t)(pages * PAGE_SIZE), PAGE_SIZE))
		pages++;
	printf("pages: %d\n", pages);
	return 0;
}

/* A page that a device may still write to is nobody else's, though the file has it no more. */
static int punch(int socket)
{
	struct broker_reply reply;
	int file;

	if (ask(socket, BROKER_PAGE, 0, &reply, &file) ||
	    fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)reply.offset,
		      PAGE_SIZE))
		return 1;
	if (!fallocate(file, 0, (off_t)reply.offset, PAGE_SIZE)) {
		printf("the page is free for others\n");
		return 1;
	}
	printf("the page is kept: %s\n", strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	int socket = hello();

	if (socket < 0 || argc != 2)
		return 2;
	if (!strcmp(argv[1], "grow"))
		return grow(socket);
	if (!strcmp(argv[1], "punch"))
		return punch(socket);
	return strcmp(argv[1], "cut") ? exchange(socket) : cut(socket);
}
