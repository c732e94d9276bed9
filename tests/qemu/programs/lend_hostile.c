// SPDX-License-Identifier: BSD-2-Clause
/*
 * A program that devices are lent to and that attacks the broker for some seconds: messages of any
 * size and content, paths that lead elsewhere, pages that are not its own, files passed along,
 * replies that it does not read, and many connections. In between it asks as it should, and must be
 * answered as it should.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker.h"

static const char *const paths[] = {
	"/etc/shadow",
	"/dev/mem",
	"/dev/uio0/../mem",
	"/sys/bus/pci/devices/0000:00:01.0/config",
	"/sys/bus/pci/devices/0000:00:02.0/../0000:00:01.0/config",
	"/proc/1/mem",
	"",
};

/* Of the device that is lent. */
static const char *const device_files[] = {
	"/sys/bus/pci/devices/0000:00:02.0/config",
	"/sys/bus/pci/devices/0000:00:02.0/reset",
};

static int inherited;

static int hello(void)
{
	struct broker_request request = {BROKER_MAGIC, BROKER_VERSION, BROKER_HELLO};
	struct broker_reply reply;
	int fd = -1;

	if (broker_send(inherited, &request, sizeof(request), -1) ||
	    broker_receive(inherited, &reply, sizeof(reply), &fd))
		return -1;
	return fd;
}

static void fill_random(void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)data)[i] = (unsigned char)(random() >> 8);
}

/* Valid but for what is asked. A file that comes back is one too many. */
static bool ask_for_path(int socket, const char *path)
{
	struct broker_request request = {BROKER_MAGIC, BROKER_VERSION, BROKER_OPEN};
	struct broker_reply reply;
	int fd;

	memcpy(request.path, path, strlen(path));
	if (broker_send(socket, &request, sizeof(request), -1) ||
	    broker_receive(socket, &reply, sizeof(reply), &fd))
		return true;
	if (fd >= 0)
		fprintf(stderr, "%s was opened\n", path);
	return fd < 0 && reply.error == -ENOENT;
}

static void send_garbage(int socket)
{
	unsigned char data[512];

	fill_random(data, sizeof(data));
	broker_send(socket, data, (size_t)random() % sizeof(data), random() % 3 ? -1 : 0);
}

static void send_mutated(int socket)
{
	struct broker_request request;

	fill_random(&request, sizeof(request));
	request.magic = BROKER_MAGIC;
	request.version = BROKER_VERSION;
	request.op = (uint16_t)(random() % 8);
	if (random() % 2)
		request.page_size = 2 << 20;
	if (random() % 2)
		strcpy(request.path, device_files[random() % 2]);
	if (random() % 4 == 0)
		request.width = 1U << random() % 3;
	if (random() % 2)
		request.node = -1;
	if (random() % 2)
		request.offset = (uint64_t)(random() % 64) << 21;
	broker_send(socket, &request, sizeof(request), random() % 8 ? -1 : 0);
}

/* Connections may have been used up by those that were given up just now. */
static bool is_served(void)
{
	for (int try = 0; try < 100; try++) {
		int socket = hello();

		if (socket >= 0) {
			bool right = ask_for_path(socket, "/dev/mem");

			close(socket);
			return right;
		}
		usleep(20000);
	}
	return false;
}

static bool attack(void)
{
	int socket = hello();
	bool right = true;

	if (socket < 0)
		return true;
	for (int i = random() % 300; i > 0; i--) {
		if (random() % 4 == 0)
			send_garbage(socket);
		else
			send_mutated(socket);
	}
	close(socket);
	socket = hello();
	if (socket >= 0) {
		right = ask_for_path(socket, paths[random() % (sizeof(paths) / sizeof(*paths))]);
		close(socket);
	}
	return right;
}

int main(int argc, char **argv)
{
	const char *where = getenv(BROKER_ENV);
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	unsigned long attacks = 0;

	if (!where)
		return 2;
	inherited = atoi(where);
	srandom((unsigned int)getpid());
	for (; time(NULL) < end; attacks++) {
		if (!attack())
			return 1;
		send_garbage(inherited);
		/* Replies to what was not asked as hello are not read by anybody else. */
		while (recv(inherited, &(char[64]){0}, 64, MSG_DONTWAIT) > 0)
			;
	}
	printf("%lu attacks\n", attacks);
	return is_served() ? 0 : 1;
}
