// SPDX-License-Identifier: BSD-2-Clause
/*
 * What stands on the other side of a rump kernel in tests: TCP servers on the host's own network
 * stack, a disk's content, and a process that moves another's pages.
 *
 *	counterpart echo [ADDRESS:]PORT		sends back what it gets
 *	counterpart sink [ADDRESS:]PORT		compares, and answers the end with a byte
 *	counterpart source [ADDRESS:]PORT BYTES	sends
 *	counterpart send ADDRESS:PORT BYTES	to a sink
 *	counterpart receive ADDRESS:PORT BYTES	from a source, and compares
 *	counterpart fill PATH BYTES		writes to a disk
 *	counterpart compare PATH BYTES		reads a disk, which must have that content
 *	counterpart collapse PID		every 0.3 s, until PID has ended
 */

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGE        4096
#define HUGE_PAGE   (2ul << 20)
#define PERIOD_US   300000
#define BUFFER_SIZE PATTERN_MOST

static void send_all(int fd, const void *data, size_t size)
{
	for (size_t sent = 0; sent < size;) {
		ssize_t put = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);

		if (put <= 0)
			err(1, "send");
		sent += (size_t)put;
	}
}

static void echo(int fd, uint8_t *buffer)
{
	ssize_t got;

	while ((got = recv(fd, buffer, BUFFER_SIZE, 0)) > 0)
		send_all(fd, buffer, (size_t)got);
}

/* Returns how many bytes came before the end. */
static size_t receive_all(int fd, uint8_t *buffer, size_t most)
{
	size_t position = 0;
	ssize_t got;

	while (position < most && (got = recv(fd, buffer, BUFFER_SIZE, 0)) > 0) {
		if (!pattern_matches(position, buffer, (size_t)got))
			errx(1, "bytes from %zu on are not what was sent", position);
		position += (size_t)got;
	}
	return position;
}

static void sink(int fd, uint8_t *buffer)
{
	receive_all(fd, buffer, SIZE_MAX);
	send_all(fd, "", 1);
}

static void source(int fd, size_t bytes)
{
	for (size_t done = 0; done < bytes; done += BUFFER_SIZE)
		send_all(fd, pattern_at(done),
			 bytes - done < BUFFER_SIZE ? bytes - done : BUFFER_SIZE);
}

static int listen_at(const char *where)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char address[INET_ADDRSTRLEN] = "0.0.0.0";
	const char *port = strchr(where, ':');

	if (port)
		snprintf(address, sizeof(address), "%.*s", (int)(port - where), where);
	in.sin_port = htons((uint16_t)atoi(port ? port + 1 : where));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    !inet_pton(AF_INET, address, &in.sin_addr) ||
	    bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 8))
		err(1, "%s", where);
	return fd;
}

static int connect_to(const char *where)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char address[INET_ADDRSTRLEN];
	const char *port = strchr(where, ':');

	if (!port)
		errx(2, "%s is not ADDRESS:PORT", where);
	snprintf(address, sizeof(address), "%.*s", (int)(port - where), where);
	in.sin_port = htons((uint16_t)atoi(port + 1));
	if (fd < 0 || !inet_pton(AF_INET, address, &in.sin_addr) ||
	    connect(fd, (struct sockaddr *)&in, sizeof(in)))
		err(1, "%s", where);
	return fd;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The client's side, timed until the other has it all. */
static void transfer(const char *what, const char *where, size_t bytes)
{
	static uint8_t buffer[BUFFER_SIZE];
	int fd = connect_to(where);
	double start = now_s();

	if (!strcmp(what, "receive")) {
		if (receive_all(fd, buffer, bytes) < bytes)
			errx(1, "the other side ended early");
	} else {
		source(fd, bytes);
		if (shutdown(fd, SHUT_WR) || recv(fd, buffer, 1, 0) != 1)
			err(1, "the other side did not get all");
	}
	printf("%s: %zu bytes, %.1f Mbit/s\n", what, bytes,
	       (double)bytes * 8 / 1e6 / (now_s() - start));
	close(fd);
}

/* An echo's last piece must not wait until those before it are acknowledged. */
static void send_at_once(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		err(1, "TCP_NODELAY");
}

static void serve(const char *what, const char *where, size_t bytes)
{
	static uint8_t buffer[BUFFER_SIZE];
	int listener = listen_at(where), fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		send_at_once(fd);
		if (!strcmp(what, "echo"))
			echo(fd, buffer);
		else if (!strcmp(what, "sink"))
			sink(fd, buffer);
		else
			source(fd, bytes);
		close(fd);
	}
}

static void fill(const char *path, size_t bytes)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		err(1, "%s", path);
	for (size_t done = 0; done < bytes; done += BUFFER_SIZE) {
		if (pwrite(fd, pattern_at(done), BUFFER_SIZE, (off_t)done) != BUFFER_SIZE)
			err(1, "%s: write at %zu", path, done);
	}
	if (fsync(fd))
		err(1, "%s", path);
	close(fd);
}

static void compare(const char *path, size_t bytes)
{
	static uint8_t buffer[BUFFER_SIZE];
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		err(1, "%s", path);
	for (size_t done = 0; done < bytes; done += BUFFER_SIZE) {
		if (pread(fd, buffer, BUFFER_SIZE, (off_t)done) != BUFFER_SIZE)
			err(1, "%s: read at %zu", path, done);
		if (!pattern_matches(done, buffer, BUFFER_SIZE))
			errx(1, "%s: the bytes from %zu on are others", path, done);
	}
	close(fd);
}

/* Returns in how many places the process's memory became huge pages. */
static unsigned int collapse_mapping(int pidfd, uintptr_t start, uintptr_t end)
{
	unsigned int collapsed = 0;

	for (uintptr_t at = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1); at + HUGE_PAGE <= end;
	     at += HUGE_PAGE) {
		struct iovec range = {(void *)at, HUGE_PAGE};

		if (syscall(SYS_process_madvise, pidfd, &range, 1, MADV_COLLAPSE, 0) > 0)
			collapsed++;
		else if (errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP)
			err(1, "process_madvise");
	}
	return collapsed;
}

static unsigned int collapse_once(int pidfd, const char *maps)
{
	uintptr_t start, end;
	unsigned int collapsed = 0;
	char line[512], access[5];
	FILE *file = fopen(maps, "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, access) == 3 &&
		    !strcmp(access, "rw-p"))
			collapsed += collapse_mapping(pidfd, start, end);
	}
	if (file)
		fclose(file);
	return collapsed;
}

static uint64_t frame_of(const uint8_t *page)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (off_t)((uintptr_t)page / PAGE * sizeof(entry))) != sizeof(entry))
		err(1, "pagemap");
	close(fd);
	return entry & ((UINT64_C(1) << 55) - 1);
}

/* Does the same to small pages of this process: whether they moved tells whether it works here. */
static bool control_moves(int self)
{
	uint8_t *area = mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *at = (uint8_t *)(((uintptr_t)area + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	uint64_t before;
	bool moved;

	if (area == MAP_FAILED)
		err(1, "mmap");
	madvise(area, 2 * HUGE_PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < HUGE_PAGE; i += PAGE)
		at[i] = 1;
	madvise(area, 2 * HUGE_PAGE, MADV_HUGEPAGE);
	before = frame_of(at + PAGE);
	collapse_mapping(self, (uintptr_t)at, (uintptr_t)at + HUGE_PAGE);
	moved = frame_of(at + PAGE) != before;
	munmap(area, 2 * HUGE_PAGE);
	return moved;
}

static int open_process(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (pidfd < 0)
		err(1, "process %d", pid);
	return pidfd;
}

static void collapse(const char *pid)
{
	int self = open_process(getpid()), other = open_process(atoi(pid));
	unsigned int rounds = 0, collapsed = 0, controls = 0;
	char maps[64];

	snprintf(maps, sizeof(maps), "/proc/%s/maps", pid);
	while (!syscall(SYS_pidfd_send_signal, other, 0, NULL, 0)) {
		controls += control_moves(self);
		collapsed += collapse_once(other, maps);
		rounds++;
		usleep(PERIOD_US);
	}
	printf("%u rounds, %u huge pages made, control moved in %u\n", rounds, collapsed, controls);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	size_t bytes = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;

	if (!strcmp(what, "echo") || !strcmp(what, "sink") || !strcmp(what, "source"))
		serve(what, argv[2], bytes);
	else if (!strcmp(what, "send") || !strcmp(what, "receive"))
		transfer(what, argv[2], bytes);
	else if (!strcmp(what, "fill"))
		fill(argv[2], bytes);
	else if (!strcmp(what, "compare"))
		compare(argv[2], bytes);
	else if (!strcmp(what, "collapse"))
		collapse(argv[2]);
	else
		errx(2, "usage: counterpart echo|sink|source [ADDRESS:]PORT [BYTES] | "
			"send|receive ADDRESS:PORT BYTES | fill|compare PATH BYTES | "
			"collapse PID");
	return 0;
}
