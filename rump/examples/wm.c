// SPDX-License-Identifier: BSD-2-Clause
/*
 * NetBSD's wm(4) on PCI devices of this host: gives the interfaces addresses, then pings or talks
 * TCP. Linked with vioif(4) it does the same on virtio.
 *
 *	usrpci bind 03:00.0
 *	wm wm0 10.0.2.15/24 ping 10.0.2.2 [COUNT [INTERVAL_MS]]
 *	wm wm0 10.0.2.15/24 wm1 10.0.3.1/24 ping 10.0.2.2,10.0.3.2	(in turn)
 *	wm wm0 dhcp echo 10.0.2.2 PORT BYTES CHUNK	(the peer sends back what it gets)
 *	wm wm0 dhcp echo 10.0.2.2 PORT 600s CHUNK	(for ten minutes)
 *	wm wm0 10.0.2.15/24 send 10.0.2.2 PORT BYTES	(the peer answers the end with a byte)
 *	wm wm0 10.0.2.15/24 receive 10.0.2.2 PORT BYTES
 *	wm wm0 10.0.2.15/24 serve unix:///run/wm.sock	(for remote clients: RUMP_SERVER)
 *
 * Data sent is pattern.h's, and what comes back is compared with it.
 */

#include <err.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rump/netconfig.h>
#include <rump/rump.h>
#include <rump/rump_syscalls.h>

#include "netbsd_socket.h"
#include "pattern.h"
#include "serve.h"

/* How long a reply is waited for: at first, while the link comes up, and then. */
#define PROBE_TIMEOUT_S 1
#define PING_TIMEOUT_S  5
#define TCP_TIMEOUT_S   60
#define PEERS_MOST      8
#define NETBSD_ENXIO    6
/* Not 0: a request of all zeros gets a reply that NetBSD takes for damaged. */
#define PING_ID 0x7573

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

static void set_timeout(int fd, int seconds)
{
	struct netbsd_timeval timeout = {.seconds = seconds};

	if (rump_sys_setsockopt(fd, NETBSD_SOL_SOCKET, NETBSD_SO_RCVTIMEO, &timeout,
				sizeof(timeout)))
		err(1, "setsockopt");
}

static int open_socket(int type, int protocol, int timeout_s)
{
	int fd = rump_sys_socket(NETBSD_AF_INET, type, protocol);

	if (fd < 0)
		err(1, "socket");
	set_timeout(fd, timeout_s);
	return fd;
}

static bool answers(const uint8_t *packet, size_t size, uint16_t sequence)
{
	size_t header = (size_t)(packet[0] & 0xf) * 4;
	const struct echo_packet *reply = (const struct echo_packet *)(packet + header);

	return size == header + sizeof(*reply) && reply->type == 0 &&
	       reply->sequence == htons(sequence) &&
	       pattern_matches(sequence, reply->data, sizeof(reply->data));
}

/* Waits for the reply to one request; others, late ones, are passed over. */
static int await_reply(int fd, uint16_t sequence)
{
	uint8_t packet[1500];
	ssize_t got;

	while ((got = rump_sys_recvfrom(fd, packet, sizeof(packet), 0, NULL, NULL)) > 0)
		if (answers(packet, (size_t)got, sequence))
			return 0;
	return -1;
}

static int ping_once(int fd, const struct netbsd_sockaddr_in *to, uint16_t sequence)
{
	struct echo_packet request = {
		.type = 8,
		.id = htons(PING_ID),
		.sequence = htons(sequence),
	};

	memcpy(request.data, pattern_at(sequence), sizeof(request.data));
	request.checksum = checksum(&request, sizeof(request));
	if (rump_sys_sendto(fd, &request, sizeof(request), 0, (const void *)to, sizeof(*to)) < 0) {
		usleep(100000); /* an interface that is gone fails at once, again and again */
		return -1;
	}
	return await_reply(fd, sequence);
}

/* Auto-negotiation and ARP take some seconds. */
static void await_peer(int fd, const struct netbsd_sockaddr_in *peer)
{
	for (unsigned int i = 0; i < 10 && ping_once(fd, peer, UINT16_MAX); i++)
		;
}

static unsigned int add_peers(char *list, int fd, struct netbsd_sockaddr_in *peers)
{
	unsigned int count = 0;
	char *name;

	while (count < PEERS_MOST && (name = strsep(&list, ","))) {
		peers[count] = netbsd_address(name, 0);
		await_peer(fd, &peers[count++]);
	}
	return count;
}

static int ping(char *list, unsigned int count, unsigned int interval_ms)
{
	struct netbsd_sockaddr_in peers[PEERS_MOST];
	int fd = open_socket(NETBSD_SOCK_RAW, IPPROTO_ICMP, PROBE_TIMEOUT_S);
	unsigned int peer_count = add_peers(list, fd, peers), lost = 0;
	double total = 0;

	set_timeout(fd, PING_TIMEOUT_S);
	for (unsigned int i = 0; i < count; i++) {
		double start = now_ms();

		if (!ping_once(fd, &peers[i % peer_count], (uint16_t)i)) {
			total += now_ms() - start;
		} else {
			fprintf(stderr, "request %u: no reply within %.0f ms\n", i,
				now_ms() - start);
			lost++;
		}
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

static void send_chunk(int fd, size_t position, size_t size)
{
	const uint8_t *data = pattern_at(position);

	for (size_t sent = 0; sent < size;) {
		ssize_t put = rump_sys_write(fd, data + sent, size - sent);

		if (put <= 0)
			err(1, "write at %zu", position + sent);
		sent += (size_t)put;
	}
}

static void receive_chunk(int fd, size_t position, size_t size)
{
	static uint8_t buffer[PATTERN_MOST];

	for (size_t had = 0; had < size;) {
		ssize_t got = rump_sys_read(fd, buffer + had, size - had);

		if (got <= 0)
			err(1, "read at %zu", position + had);
		had += (size_t)got;
	}
	if (!pattern_matches(position, buffer, size))
		errx(1, "bytes from %zu on are not what was sent", position);
}

/* Not before the peer says that it has it all is anything sent. */
static void finish_sending(int fd)
{
	char answer;

	if (rump_sys_shutdown(fd, SHUT_WR) || rump_sys_read(fd, &answer, 1) != 1)
		err(1, "the peer did not get all");
}

/* amount is bytes, or time: "600s". */
static int transfer(int fd, const char *what, const char *amount, size_t chunk)
{
	bool sending = strcmp(what, "receive"), receiving = strcmp(what, "send");
	double start = now_ms(), end = INFINITY, seconds;
	size_t bytes, done = 0;
	char *unit;

	bytes = strtoul(amount, &unit, 0);
	if (*unit == 's') {
		end = start + (double)bytes * 1e3;
		bytes = SIZE_MAX;
	}
	if (!chunk || chunk > PATTERN_MOST)
		errx(1, "CHUNK is 1 to %d", PATTERN_MOST);
	while (done < bytes && now_ms() < end) {
		size_t size = bytes - done < chunk ? bytes - done : chunk;

		if (sending)
			send_chunk(fd, done, size);
		if (receiving)
			receive_chunk(fd, done, size);
		done += size;
	}
	if (!receiving)
		finish_sending(fd);
	seconds = (now_ms() - start) / 1e3;
	printf("%s: %zu bytes, %.1f Mbit/s\n", what, done, (double)done * 8 / 1e6 / seconds);
	rump_sys_close(fd);
	return 0;
}

static int usage(const char *name)
{
	fprintf(stderr,
		"usage: %s {IF ADDRESS/PREFIX|IF dhcp}... COMMAND\n"
		"commands: ping PEER[,PEER]... [COUNT [INTERVAL_MS]]\n"
		"          echo PEER PORT BYTES|SECONDSs CHUNK\n"
		"          send|receive PEER PORT BYTES|SECONDSs\n"
		"          serve URL\n",
		name);
	return 2;
}

static bool is_address(const char *text)
{
	return strchr(text, '/') || !strcmp(text, "dhcp");
}

/* address is "A.B.C.D/PREFIX" or "dhcp". */
static void configure(const char *interface, char *address)
{
	char *prefix = strchr(address, '/');
	int error = rump_pub_netconfig_ifup(interface);

	if (error == NETBSD_ENXIO)
		errx(1, "there is no %s: NetBSD's driver has not found its card", interface);
	/* Auto-negotiation. */
	sleep(2);
	if (!error && prefix) {
		*prefix++ = '\0';
		error = rump_pub_netconfig_ipv4_ifaddr_cidr(interface, address, atoi(prefix));
	} else if (!error) {
		error = rump_pub_netconfig_dhcp_ipv4_oneshot(interface);
	}
	if (error)
		errx(1, "%s: cannot be configured: error %d", interface, error);
}

/* What the command line's interfaces are followed by. */
static int run(int argc, char **argv)
{
	const char *what = argv[0];

	if (!strcmp(what, "ping"))
		return ping(argv[1], argc > 2 ? (unsigned int)atoi(argv[2]) : 4,
			    argc > 3 ? (unsigned int)atoi(argv[3]) : 0);
	if (!strcmp(what, "serve"))
		serve(argv[1]);
	if (!strcmp(what, "echo") && argc == 5)
		return transfer(connect_to(argv[1], argv[2]), what, argv[3],
				strtoul(argv[4], NULL, 0));
	if ((!strcmp(what, "send") || !strcmp(what, "receive")) && argc == 4)
		return transfer(connect_to(argv[1], argv[2]), what, argv[3], PATTERN_MOST);
	return -1;
}

int main(int argc, char **argv)
{
	double start = now_ms();
	int at = 1, status;

	if (argc < 5)
		return usage(argv[0]);
	if (rump_init())
		errx(1, "the rump kernel does not start");
	printf("rump_init %.0f ms\n", now_ms() - start);
	for (; at + 3 < argc && is_address(argv[at + 1]); at += 2)
		configure(argv[at], argv[at + 1]);
	status = argc - at < 2 ? -1 : run(argc - at, argv + at);
	return status < 0 ? usage(argv[0]) : status;
}
