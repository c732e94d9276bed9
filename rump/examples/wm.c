// SPDX-License-Identifier: BSD-2-Clause
/*
 * NetBSD's wm(4) on a PCI device of this host: gives the interface an address, then pings or talks
 * TCP.
 *
 *	usrpci bind 03:00.0
 *	wm wm0 10.0.2.15/24 ping 10.0.2.2 [COUNT [INTERVAL_MS]]
 *	wm wm0 10.0.2.15/24 echo 10.0.2.2 PORT BYTES CHUNK	(the peer sends back what it gets)
 *	wm wm0 10.0.2.15/24 send 10.0.2.2 PORT BYTES
 *	wm wm0 10.0.2.15/24 receive 10.0.2.2 PORT BYTES
 *	wm wm0 10.0.2.15/24 serve unix:///run/wm.sock	(for remote clients: RUMP_SERVER)
 *
 * Data sent is a sequence of numbers, and what comes back is compared with it.
 */

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rump/netconfig.h>
#include <rump/rump.h>
#include <rump/rump_syscalls.h>

#include "netbsd_socket.h"

#define PING_TIMEOUT_S 1
#define TCP_TIMEOUT_S  60

struct echo_packet {
	uint8_t type, code;
	uint16_t checksum, id, sequence;
	uint8_t data[56];
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static uint16_t checksum(const void *data, size_t size)
{
	const uint16_t *words = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < size / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static int open_socket(int type, int protocol, int timeout_s)
{
	struct netbsd_timeval timeout = {.seconds = timeout_s};
	int fd = rump_sys_socket(NETBSD_AF_INET, type, protocol);

	if (fd < 0 || rump_sys_setsockopt(fd, NETBSD_SOL_SOCKET, NETBSD_SO_RCVTIMEO, &timeout,
					  sizeof(timeout)))
		err(1, "socket");
	return fd;
}

/* Waits for the reply to one request; others, late ones, are passed over. */
static int await_reply(int fd, uint16_t sequence)
{
	uint8_t packet[1500];
	const struct echo_packet *reply;
	ssize_t got;

	while ((got = rump_sys_recvfrom(fd, packet, sizeof(packet), 0, NULL, NULL)) > 0) {
		size_t header = (size_t)(packet[0] & 0xf) * 4;

		reply = (const struct echo_packet *)(packet + header);
		if ((size_t)got >= header + 8 && reply->type == 0 &&
		    reply->sequence == htons(sequence))
			return 0;
	}
	return -1;
}

static int ping_once(int fd, const struct netbsd_sockaddr_in *to, uint16_t sequence)
{
	struct echo_packet request = {.type = 8, .sequence = htons(sequence)};

	request.checksum = checksum(&request, sizeof(request));
	if (rump_sys_sendto(fd, &request, sizeof(request), 0, (const void *)to, sizeof(*to)) < 0)
		return -1;
	return await_reply(fd, sequence);
}

static int ping(const char *peer, unsigned int count, unsigned int interval_ms)
{
	struct netbsd_sockaddr_in to = netbsd_address(peer, 0);
	int fd = open_socket(NETBSD_SOCK_RAW, IPPROTO_ICMP, PING_TIMEOUT_S);
	unsigned int lost = 0;
	double total = 0;

	/* Auto-negotiation and ARP take some seconds. */
	for (unsigned int i = 0; i < 10 && ping_once(fd, &to, UINT16_MAX); i++)
		;
	for (unsigned int i = 0; i < count; i++) {
		double start = now_ms();

		if (ping_once(fd, &to, (uint16_t)i))
			lost++;
		else
			total += now_ms() - start;
		if (interval_ms)
			usleep(interval_ms * 1000);
	}
	printf("%u sent, %u lost, round trip %.3f ms\n", count, lost,
	       count > lost ? total / (count - lost) : 0);
	return lost ? 1 : 0;
}

static int connect_to(const char *peer, const char *port)
{
	struct netbsd_sockaddr_in to = netbsd_address(peer, (uint16_t)atoi(port));
	int fd = open_socket(NETBSD_SOCK_STREAM, 0, TCP_TIMEOUT_S);

	if (rump_sys_connect(fd, (const void *)&to, sizeof(to)))
		err(1, "connect to %s:%s", peer, port);
	return fd;
}

static uint8_t byte_at(size_t position)
{
	return (uint8_t)((position * 2654435761u) >> 13);
}

static void send_chunk(int fd, size_t position, size_t size, uint8_t *buffer)
{
	for (size_t i = 0; i < size; i++)
		buffer[i] = byte_at(position + i);
	for (size_t sent = 0; sent < size;) {
		ssize_t put = rump_sys_write(fd, buffer + sent, size - sent);

		if (put <= 0)
			err(1, "write at %zu", position + sent);
		sent += (size_t)put;
	}
}

static void receive_chunk(int fd, size_t position, size_t size, uint8_t *buffer)
{
	for (size_t had = 0; had < size;) {
		ssize_t got = rump_sys_read(fd, buffer + had, size - had);

		if (got <= 0)
			err(1, "read at %zu", position + had);
		had += (size_t)got;
	}
	for (size_t i = 0; i < size; i++) {
		if (buffer[i] != byte_at(position + i))
			errx(1, "byte %zu is wrong", position + i);
	}
}

static int transfer(int fd, size_t bytes, size_t chunk, int sending, int receiving)
{
	uint8_t *buffer = malloc(chunk);
	double start = now_ms(), seconds;

	if (!buffer)
		err(1, "malloc");
	for (size_t done = 0; done < bytes; done += chunk) {
		size_t size = bytes - done < chunk ? bytes - done : chunk;

		if (sending)
			send_chunk(fd, done, size, buffer);
		if (receiving)
			receive_chunk(fd, done, size, buffer);
	}
	seconds = (now_ms() - start) / 1e3;
	printf("%zu bytes, %.1f Mbit/s\n", bytes, (double)bytes * 8 / 1e6 / seconds);
	free(buffer);
	rump_sys_close(fd);
	return 0;
}

/* Who may write to the socket owns the kernel: it is made for this user alone. */
static int serve(const char *url)
{
	mode_t before = umask(0077);
	int error = rump_init_server(url);

	umask(before);
	if (error)
		errx(1, "cannot serve %s: error %d", url, error);
	printf("serving %s\n", url);
	fflush(stdout);
	for (;;)
		pause();
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s IF ADDRESS/PREFIX ping PEER [COUNT [INTERVAL_MS]]\n"
		"       %s IF ADDRESS/PREFIX echo PEER PORT BYTES CHUNK\n"
		"       %s IF ADDRESS/PREFIX send|receive PEER PORT BYTES\n"
		"       %s IF ADDRESS/PREFIX serve URL\n",
		name, name, name, name);
	return 2;
}

static void configure(const char *interface, char *address)
{
	char *slash = strchr(address, '/');
	int error;

	if (slash)
		*slash = '\0';
	error = rump_pub_netconfig_ifup(interface);
	if (!error)
		error = rump_pub_netconfig_ipv4_ifaddr_cidr(interface, address,
							    slash ? atoi(slash + 1) : 24);
	if (error)
		errx(1, "%s: cannot be configured: error %d", interface, error);
	/* Auto-negotiation. */
	sleep(2);
}

int main(int argc, char **argv)
{
	const char *what = argc > 4 ? argv[3] : "";
	double start = now_ms();

	if (argc < 5)
		return usage(argv[0]);
	if (rump_init())
		errx(1, "the rump kernel does not start");
	printf("rump_init %.0f ms\n", now_ms() - start);
	configure(argv[1], argv[2]);
	if (!strcmp(what, "ping"))
		return ping(argv[4], argc > 5 ? (unsigned int)atoi(argv[5]) : 4,
			    argc > 6 ? (unsigned int)atoi(argv[6]) : 0);
	if (!strcmp(what, "serve"))
		return serve(argv[4]);
	if (!strcmp(what, "echo") && argc == 8)
		return transfer(connect_to(argv[4], argv[5]), strtoul(argv[6], NULL, 0),
				strtoul(argv[7], NULL, 0), 1, 1);
	if (!strcmp(what, "send") && argc == 7)
		return transfer(connect_to(argv[4], argv[5]), strtoul(argv[6], NULL, 0), 65536, 1,
				0);
	if (!strcmp(what, "receive") && argc == 7)
		return transfer(connect_to(argv[4], argv[5]), strtoul(argv[6], NULL, 0), 65536, 0,
				1);
	return usage(argv[0]);
}
